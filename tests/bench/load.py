# SPDX-License-Identifier: Apache-2.0
"""The load: wrk at full speed over HTTP/1.1, h2load over HTTP/2, benchload for the rest.

Each function pushes to subjects (all of the list at once) and returns one result {"requests", "us", ...}. It calls
begin() when what it prepares is done: from there on CPU counts. A wrong answer ends the benchmark.
"""

import json
import os
import re
import subprocess
import tempfile

from chain import program
from subjects import ANY_CPU, LOAD_CPU, PUSHER, pinned

HERE = os.path.dirname(os.path.abspath(__file__))


class Wrong(Exception):
    """A wrong answer, a broken connection, or none at all."""


def _cpu(subject):
    return ANY_CPU if subject.cpu == ANY_CPU else LOAD_CPU


def _start(subject, argv, **kw):
    return subprocess.Popen(pinned(_cpu(subject), argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **kw)


def _end(subject, child, deadline, stdin=None):
    try:
        out, err = child.communicate(stdin, timeout=deadline)
    finally:
        child.kill()
        child.wait()
    if child.returncode:
        raise Wrong(f"{subject.name}: the load ended with {child.returncode}\n{out[-2000:]}{err[-2000:]}")
    return out


def _sum(results):
    """Pushes that ran side by side, as one result."""
    total = dict(results[0], requests=sum(r["requests"] for r in results),
                 us=max(r["us"] for r in results))
    for key in total:
        if key.startswith("p"):
            total[key] = max(r[key] for r in results)
    return total


def _checked(subject, got):
    if got.pop("failed") or not got["requests"]:
        raise Wrong(f"{subject.name}: wrong answers")
    return got


def full_speed(subjects, seconds, begin, octets=1024, connections=16):
    children = []
    begin()
    for s in subjects:
        env = dict(os.environ, BENCH_SIZE=str(octets), BENCH_AUTH=PUSHER)
        if s.targets:
            env["BENCH_TARGETS"] = s.targets
        children.append(_start(s, ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
                                   os.path.join(HERE, "push.lua"), s.url], env=env))
    outs = [_end(s, child, seconds + 30) for s, child in zip(subjects, children)]
    return _sum([_checked(s, json.loads(out.splitlines()[-1]))
                 for s, out in zip(subjects, outs)])


def http2(subjects, seconds, begin, octets=1024, connections=4, streams=8):
    """h2load tells no percentiles, and counts as failed what is neither 2xx nor 3xx."""
    (s,) = subjects
    with tempfile.NamedTemporaryFile("w") as body:
        body.write("x" * octets)
        body.flush()
        begin()
        child = _start(s, ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}",
                           "-d", body.name, "-H", "Authorization: " + PUSHER,
                           "-H", "Content-Type: application/json",
                           "-H", f"X-Bench-Octets: {octets}", s.url])
        out = _end(s, child, seconds + 30)
    return _checked(s, h2load_result(out, seconds))


def h2load_result(text, seconds):
    """What h2load printed, as a result."""
    if "Application protocol: h2\n" not in text:
        raise Wrong("h2load: HTTP/2 was not agreed\n" + text[-2000:])
    counts = {k: int(n) for n, k in re.findall(r"(\d+) (succeeded|failed|errored|timeout|2xx)", text)}
    failed = counts["failed"] + counts["errored"] + counts["timeout"] + \
        abs(counts["succeeded"] - counts["2xx"])
    return {"requests": counts["2xx"], "us": seconds * 1000000, "failed": failed}


def _benchload(subject, *options):
    host = f"127.0.0.1:{subject.port}"
    return [program("benchload"), "--to", host, "--path", subject.path, "--auth", PUSHER, *options]


def _paced(subjects, seconds, begin, *options):
    (s,) = subjects
    child = _start(s, _benchload(s, "--seconds", str(seconds), *options), stdin=subprocess.PIPE)
    if child.stdout.readline() == "ready\n":
        begin()
    out = _end(s, child, seconds + 30, "go\n")
    return _checked(s, json.loads(out.splitlines()[-1]))


def new_connections(subjects, seconds, begin):
    """A connection, a full TLS handshake and one push of 1 KiB, again and again on 16 at once."""
    return _paced(subjects, seconds, begin, "--close")


def fixed_rate(subjects, seconds, begin, rate=500):
    """Latencies count from the moment when a push was due, so none hides behind another."""
    return _paced(subjects, seconds, begin, "--rate", str(rate))


class Herd:
    """Connections that wait: idle ones have pushed once, active ones owe the last octet of a push."""

    def __init__(self, subject, kind, most):
        self.subject = subject
        self.child = _start(subject, _benchload(subject, "--herd", kind, "--connections", str(most),
                                                "--octets", "1" if kind == "active" else "64"),
                            stdin=subprocess.PIPE)

    @property
    def pid(self):
        return self.child.pid

    def to(self, n):
        self.child.stdin.write(f"{n}\n")
        self.child.stdin.flush()
        if self.child.stdout.readline() != f"{n}\n":
            raise Wrong(f"{self.subject.name}: a herd of {n}: {self.child.stderr.read()[-2000:]}")

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(20)
        finally:
            self.child.kill()
            self.child.wait()
            self.child.stdout.close()
            self.child.stderr.close()
