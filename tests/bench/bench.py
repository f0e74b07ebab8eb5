# SPDX-License-Identifier: Apache-2.0
"""Measure CPU per request and memory per idle connection against nginx; started by run.sh.

Each subject runs alone on CPU 0, the load and the origin on CPU 1. Rounds go through all subjects
one after the other, so that whatever else the machine does disturbs all of them alike; ratios are
taken within a round.
"""

import argparse
import contextlib
import glob
import json
import os
import resource
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integ"))

import nginx  # noqa: E402
from chain import FRUN_PASSWORD, FRUN_USER, PASSWORD, USER, Chain  # noqa: E402
from tools import Pki, Process, basic, free_port, wait_until  # noqa: E402

SIZES = {"1 KiB": (1024, 16), "16 KiB": (16384, 16), "256 KiB": (262144, 8)}
PUSHER = "Basic " + basic(USER, PASSWORD).split()[-1]
ORIGIN = "Basic " + basic(FRUN_USER, FRUN_PASSWORD).split()[-1]
IDLE = 1000
SUBJECT_CPU, LOAD_CPU = "0", "1"
MODULES = "/usr/lib/nginx/modules"


def pinned(cpu, argv):
    return [shutil.which("taskset"), "-c", cpu] + argv


def cpu_us(process):
    """User and system time of all threads so far."""
    total = 0
    for path in glob.glob(f"/proc/{process.pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1000


def pss_kib(process):
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


class Subject:
    """Something to push to: where, and the processes whose CPU it costs."""

    def __init__(self, name, peer, url, processes):
        self.name, self.peer, self.url, self.processes = name, peer, url, processes


class Site:
    """Origin, nginx and two gateways with one connector each: without and with access lines."""

    def __init__(self, folder):
        self.dir = folder
        self.pki = Pki(os.path.join(folder, "pki"))
        self.subjects = []
        self.all = []

    def start(self):
        chains = {log: self.chain(log) for log in ("off", "json")}
        listen = "\n".join(f"listen 127.0.0.1:{c.sim_port} ssl backlog=4096;"
                           for c in chains.values())
        origin = nginx.write(self.dir, "origin", nginx.ORIGIN, listen=listen, tls=self.pki.dir,
                             basic=ORIGIN, modules=MODULES)
        self.run("origin", LOAD_CPU, origin)
        for c in chains.values():
            Chain.wait_port(self.all[0], c.sim_port)
        for log, chain in chains.items():
            self.peer(log, chain.sim_port)
            for p in (chain.gateway, chain.connector):
                p.start()
                self.all.append(p)
            chain.wait_healthy()
            url = f"https://127.0.0.1:{chain.port}"
            mark = "" if log == "off" else " +log"
            self.subjects += [
                Subject("direct" + mark, "nginx" + mark, url + "/ACME_PROD", [chain.gateway]),
                Subject("tunnel" + mark, "nginx" + mark, url + "/GLOBEX",
                        [chain.gateway, chain.connector])]
        self.subjects.sort(key=lambda s: ("log" in s.name, s.name != s.peer))

    def run(self, name, cpu, argv):
        p = Process(name, pinned(cpu, argv), os.path.join(self.dir, name + ".out"))
        p.start()
        self.all.append(p)
        return p

    def peer(self, log, origin):
        mark = "" if log == "off" else " +log"
        name = "nginx-" + log
        port = free_port()
        path = os.path.join(self.dir, name + ".access")
        argv = nginx.write(self.dir, name, nginx.PEER, port=port, origin=origin, tls=self.pki.dir,
                           basic=ORIGIN, pusher=PUSHER,
                           access_log="off" if log == "off" else path + " full")
        p = self.run(name, SUBJECT_CPU, argv)
        Chain.wait_port(p, port)
        self.subjects.append(Subject("nginx" + mark, "nginx" + mark,
                                     f"https://127.0.0.1:{port}/ACME_PROD", [p]))

    def chain(self, log):
        folder = os.path.join(self.dir, "chain-" + log)
        c = Chain(folder, self.pki, workers=1, has_sim=False, gateway={
            "gateway": {"keepalive_timeout": "300s"},
            "log": {"level": "info", "access": log,
                    "target": "file:" + os.path.join(folder, "access.log")},
            # GLOBEX is the same customer network but for the way to it.
            "endpoint GLOBEX": {"admin_request_parameter": "acme-prod-proxy",
                                "admin_request_carrier": "header X-Admin-Request-Parameter"},
            "pusher s4-acme": {"endpoint": "ACME_PROD, GLOBEX"},
            "pusher globex": None,
        }, connector={"log": {"level": "info"}})
        direct = {"route": "direct", "address": f"127.0.0.1:{c.sim_port}",
                  "backend_ca": "../tls/frun-ca.pem", "server_name": "frun.corp"}
        c.gateway_sections["endpoint ACME_PROD"].update(direct)
        c.write_gateway()
        for p in (c.gateway, c.connector):
            p.argv = pinned(SUBJECT_CPU, p.argv)
        return c

    def stop(self):
        for p in reversed(self.all):
            with contextlib.suppress(Exception):
                p.signal(signal.SIGTERM)
        for p in reversed(self.all):
            try:
                p.wait(10)
            except Exception:  # whatever it is, nothing may stay
                p.kill()


def load(subject, size, seconds):
    octets, connections = SIZES[size]
    env = dict(os.environ, BENCH_SIZE=str(octets), BENCH_AUTH=PUSHER)
    argv = pinned(LOAD_CPU, ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
                             os.path.join(HERE, "push.lua"), subject.url + "/sap/frun/ngdci"])
    before = [cpu_us(p) for p in subject.processes]
    r = subprocess.run(argv, env=env, capture_output=True, text=True, check=True,
                       timeout=seconds + 30)
    spent = [cpu_us(p) - b for p, b in zip(subject.processes, before)]
    got = json.loads(r.stdout.splitlines()[-1])
    if got["failed"] or not got["requests"]:
        raise SystemExit(f"bench: {subject.name}, {size}: wrong answers\n{r.stdout}{r.stderr}")
    got["cpu_us"] = [s / got["requests"] for s in spent]
    return got


def measure(subjects, rounds, seconds):
    """One list of {subject: result} per size."""
    rows = {size: [] for size in SIZES}
    for s in subjects:
        for size in SIZES:
            load(s, size, 1)  # caches, keep-alive connections, verified credentials
    for n in range(rounds):
        for size in SIZES:
            # In turn forward and backward: nobody is always first behind the pause.
            order = subjects if n % 2 == 0 else subjects[::-1]
            rows[size].append({s.name: load(s, size, seconds) for s in order})
        print(f"round {n + 1} of {rounds}", file=sys.stderr)
    return rows


def settled(process):
    last = [0, pss_kib(process)]

    def same():
        last[:] = [last[1], pss_kib(process)]
        return last[0] == last[1]

    wait_until(same, "memory to settle", step=0.5)
    return last[1]


def idle(subject):
    """KiB of PSS: before, and for each of IDLE connections that have pushed once and wait."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, path = subject.url.removeprefix("https://").partition("/")
    address = (host.split(":")[0], int(host.split(":")[1]))
    push = (f"POST /{path}/sap/frun/ngdci HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n"
            f"Authorization: {PUSHER}\r\n\r\n{{}}").encode()
    open_sockets = []

    def one():
        s = context.wrap_socket(socket.create_connection(address, timeout=20))
        s.sendall(push)
        if b" 200 " not in s.recv(4096):
            raise SystemExit(f"bench: {subject.name}: no 200 from an idle connection")
        return s

    try:
        one().close()
        before = settled(subject.processes[0])
        for _ in range(IDLE):
            open_sockets.append(one())
        after = settled(subject.processes[0])
    finally:
        for s in open_sockets:
            s.close()
    return before, (after - before) / IDLE


def spread(values, digits=1):
    return (f"{statistics.median(values):.{digits}f} "
            f"[{min(values):.{digits}f}-{max(values):.{digits}f}]")


def ratio(rounds, a, b):
    return statistics.median(sum(r[a]["cpu_us"]) / sum(r[b]["cpu_us"]) for r in rounds)


def cell(rounds, s):
    total = spread([sum(r[s.name]["cpu_us"]) for r in rounds])
    return f"{total} x{ratio(rounds, s.name, s.peer):.2f}"


def table(head, lines):
    rows = [head] + lines
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    rows.insert(1, ["-" * w for w in widths])
    for row in rows:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |")


def report(subjects, rows, memory):
    print("\nCPU microseconds per POST: median [min-max] x ratio to nginx "
          "(+log: access lines on)\n")
    table(["subject"] + list(rows),
          [[s.name] + [cell(rows[size], s) for size in rows] for s in subjects])
    print("\nThe two ends of the tunnel, medians; the gateway's ratio to nginx\n")
    tunnels = [s for s in subjects if len(s.processes) == 2]
    lines = []
    for s in tunnels:
        line = [s.name]
        for size in rows:
            ends = [statistics.median(r[s.name]["cpu_us"][i] for r in rows[size]) for i in (0, 1)]
            share = statistics.median(r[s.name]["cpu_us"][0] / sum(r[s.peer]["cpu_us"])
                                      for r in rows[size])
            line.append(f"{ends[0]:.1f} x{share:.2f} + {ends[1]:.1f}")
        lines.append(line)
    table(["gateway + connector"] + list(rows), lines)
    print(f"\nMemory: PSS of the idle process, and per idle TLS connection at {IDLE}\n")
    base = memory["nginx"][1]
    table(["subject", "idle MiB", "KiB per connection"],
          [[name, f"{before / 1024:.1f}", f"{each:.1f} x{each / base:.2f}"]
           for name, (before, each) in memory.items()])


def main():
    options = argparse.ArgumentParser(prog="run.sh")
    options.add_argument("--quick", action="store_true", help="2 rounds instead of 5")
    options.add_argument("--seconds", type=int, default=2, help="of load per measurement (2)")
    options.add_argument("--json", metavar="FILE", help="write every measurement there")
    args = options.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("bench: needs two CPUs, one for the proxy and one for the load")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="frunproxy-bench.")
    site = Site(folder)
    try:
        site.start()
        plain = [s for s in site.subjects if s.name in ("nginx", "direct")]
        memory = {s.name: idle(s) for s in plain}
        rows = measure(site.subjects, 2 if args.quick else 5, args.seconds)
        report(site.subjects, rows, memory)
        if args.json:
            with open(args.json, "w", encoding="utf-8") as f:
                json.dump({"cpu": rows, "memory": memory, "at": time.time()}, f, indent=1)
    finally:
        site.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
