# SPDX-License-Identifier: Apache-2.0
"""Count the instructions of a push outside the kernel; started by "run.sh --instructions" and by ctest.

The daemons run under valgrind's callgrind, which does not care what else the machine does: two counts of the same build
differ by a few tenths of a percent. One push is sent behind the other on a connection that is kept; what
a number of pushes costs is divided by that number.

--check compares with instructions.json beside this file and exits with 1 if a row has grown by more than TOLERANCE,
or if many endpoints or pushers in turn cost so much more than one;
with other versions of compiler or libraries than the recorded ones it compares nothing and exits with 77.
"""

import argparse
import contextlib
import glob
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integ"))

import callgrind  # noqa: E402
from chain import Chain, program  # noqa: E402
from report import table  # noqa: E402
from rows import is_installed  # noqa: E402
from subjects import ENDPOINTS, PUSHER, PUSHERS, Site, offers_http2  # noqa: E402
from tools import Raw  # noqa: E402

RECORD = os.path.join(HERE, "instructions.json")
TOLERANCE = 0.05
STRETCHES = 5
AT_ONCE = 6
SKIPPED = 77
# Without it a long memcpy is one instruction of the CPU that valgrind counts once for each octet.
PLAIN_COPIES = "glibc.cpu.x86_rep_movsb_threshold=0x40000000:glibc.cpu.x86_rep_stosb_threshold=0x40000000"
KIB = 1024
# name -> endpoint, processes, octets of a body, pushes of one stretch
ROWS = {
    "direct 1 KiB": ("ACME_PROD", ("gateway",), KIB, 40),
    "direct 16 KiB": ("ACME_PROD", ("gateway",), 16 * KIB, 20),
    "direct 256 KiB": ("ACME_PROD", ("gateway",), 256 * KIB, 6),
    "tunnel 1 KiB": ("GLOBEX", ("gateway", "connector"), KIB, 40),
    f"tunnel 1 KiB, {AT_ONCE} at once": ("GLOBEX", ("gateway", "connector"), KIB, 60),
    "tunnel 16 KiB": ("GLOBEX", ("gateway", "connector"), 16 * KIB, 20),
    "tunnel 256 KiB": ("GLOBEX", ("gateway", "connector"), 256 * KIB, 6),
    "direct 1 KiB, HTTP/2": ("ACME_PROD", ("gateway",), KIB, 40),
    "direct 1 KiB, new TLS connection": ("ACME_PROD", ("gateway",), KIB, 3),
}
# name -> subject that is pushed to in turn, pushes of one stretch. Each has a gateway of its own, and must cost what
# PLAIN costs, which pushes to one endpoint with one credential.
CURVES = {
    f"direct 1 KiB, {ENDPOINTS} endpoints": ("endpoints", ENDPOINTS),
    f"direct 1 KiB, {PUSHERS} pushers": ("pushers", PUSHERS),
}
PLAIN = "direct 1 KiB: gateway"


def versions():
    """What moves the figures without a change of ours."""
    r = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "libc6", "libssl3", "libnghttp2-14",
                        "libevent-core-2.1-7", "gcc", "valgrind"], capture_output=True, text=True)
    found = dict(line.split(" ", 1) for line in sorted(r.stdout.splitlines()))
    return {"machine": platform.machine(), **found}


class Rig:
    """The benchmark's site with the daemons of one subject under callgrind."""

    def __init__(self, folder, subject="tunnel"):
        self.folder, self.subject = folder, subject
        self.site = Site(folder, self.under_callgrind)

    def under_callgrind(self, process):
        name = "connector" if "connector" in process.name else "gateway"
        process.env["GLIBC_TUNABLES"] = PLAIN_COPIES
        process.argv = [shutil.which("valgrind"), "--tool=callgrind", "--instr-atstart=no", "--dump-line=no",
                        f"--callgrind-out-file={self.folder}/{name}.count", *process.argv]

    def start(self):
        self.site.start()
        subject = self.site.subject(self.subject)
        self.port, self.targets = subject.port, subject.targets
        self.processes = {name: process for name, (process,) in subject.parts.items()}

    def control(self, name, *options):
        subprocess.run(["callgrind_control", *options, str(self.processes[name].pid)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def count(self, names, work):
        """Instructions that work() costs each process, by function."""
        for name in names:
            self.control(name, "--instr=on")
        work()
        got = {}
        for name in names:
            self.control(name, "--instr=off")
            before = set(glob.glob(f"{self.folder}/{name}.count*"))
            self.control(name, "--dump")
            (path,) = set(glob.glob(f"{self.folder}/{name}.count*")) - before
            with open(path, encoding="utf-8") as f:
                got[name] = callgrind.self_costs(f)
        return got

    def least(self, names, work, n):
        """For each of n pushes that work() makes: the smallest of several counts. What comes on top in the others is
        chance: an answer read in two parts, a connection opened anew."""
        counts = [self.count(names, work) for _ in range(STRETCHES)]
        return {p: callgrind.less(callgrind.smallest([c[p] for c in counts]), {}, n) for p in names}

    def connection(self):
        return Raw(self.port, self.site.pki.path("ca.pem"))

    @staticmethod
    def push(endpoint, body):
        fields = (("Content-Type", "application/json"), ("X-Bench-Octets", len(body)))
        return Chain.octets("POST", f"/{endpoint}/sap/frun/ngdci", fields, body)

    def pushes(self, connection, endpoint, body, n):
        push = self.push(endpoint, body)
        for _ in range(n):
            answer = connection.send(push).answer("POST")
            if answer.status != 200:
                raise SystemExit(f"instructions: {answer}")

    def at_once(self, connections, endpoint, body, n):
        """n pushes, as many at a time as there are connections: they share passes, TLS records and system calls."""
        push = self.push(endpoint, body)
        for _ in range(n // len(connections)):
            self.processes["gateway"].signal(signal.SIGSTOP)
            for c in connections:
                c.send(push)
            self.processes["gateway"].signal(signal.SIGCONT)
            for c in connections:
                answer = c.answer("POST")
                if answer.status != 200:
                    raise SystemExit(f"instructions: {answer}")

    def in_turn(self, n):
        """A push to each target: first for the kept connections and the verified credentials, then counted."""
        body = b"x" * KIB
        with open(self.targets, encoding="ascii") as f:
            pushes = [Chain.octets("POST", path, (("Authorization", auth), ("Content-Type", "application/json"),
                                                  ("X-Bench-Octets", KIB)), body, auth=None)
                      for path, auth in (line.rstrip("\n").split("\t") for line in f)]

        def work():
            for push in pushes[:n]:
                answer = c.send(push).answer("POST")
                if answer.status != 200:
                    raise SystemExit(f"instructions: {answer}")

        with self.connection() as c:
            work()
            return self.least(["gateway"], work, n)

    def new_connections(self, endpoint, body, n):
        for _ in range(n):
            with self.connection() as c:
                self.pushes(c, endpoint, body, 1)

    def http2(self, endpoint, octets, n):
        """One connection with eight streams; its handshake is taken off by the caller."""
        path = os.path.join(self.folder, "body")
        with open(path, "wb") as f:
            f.write(b"x" * octets)
        url = f"https://127.0.0.1:{self.port}/{endpoint}/sap/frun/ngdci"
        r = subprocess.run(["h2load", "-t1", "-c1", "-m8", f"-n{n}", "-d", path, "-H",
                            "Authorization: " + PUSHER, "-H", f"X-Bench-Octets: {octets}", url], capture_output=True, text=True)
        if "Application protocol: h2\n" not in r.stdout or f"{n} 2xx" not in r.stdout:
            raise SystemExit(f"instructions: h2load\n{r.stdout}{r.stderr}")

    def row(self, name):
        """Instructions of one push by process and function; None if this version cannot do it."""
        endpoint, names, octets, n = ROWS[name]
        body = b"x" * octets
        if "HTTP/2" in name:
            if not offers_http2():
                return None
            self.http2(endpoint, octets, 20)
            short, long = (self.least(names, lambda k=k: self.http2(endpoint, octets, k), 1)
                           for k in (n, 3 * n))
            return {p: callgrind.less(long[p], short[p], 2 * n) for p in names}
        if "new TLS" in name:
            self.new_connections(endpoint, body, 2)
            return self.least(names, lambda: self.new_connections(endpoint, body, n), n)
        if "at once" in name:
            with contextlib.ExitStack() as stack:
                c = [stack.enter_context(self.connection()) for _ in range(AT_ONCE)]
                self.at_once(c, endpoint, body, 10 * AT_ONCE)
                return self.least(names, lambda: self.at_once(c, endpoint, body, n), n)
        with self.connection() as c:
            self.pushes(c, endpoint, body, 10)
            return self.least(names, lambda: self.pushes(c, endpoint, body, n), n)


def in_rig(subject, work):
    folder = tempfile.mkdtemp(prefix="frunproxy-count.")
    os.chmod(folder, 0o755)
    rig = Rig(folder, subject)
    try:
        rig.start()
        return work(rig)
    finally:
        rig.site.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measure(word):
    found = {}
    plain = [name for name in ROWS if word in name]
    rows = in_rig("tunnel", lambda rig: {name: rig.row(name) for name in plain}) if plain else {}
    for name, (subject, n) in CURVES.items():
        if word in name:
            rows[name] = in_rig(subject, lambda rig, n=n: rig.in_turn(n))
    for name, row in rows.items():
        for process, costs in (row or {}).items():
            found[f"{name}: {process}"] = costs
    return found


def own(costs):
    return sum(n for (thing, _), n in costs.items() if thing.startswith("frun"))


def show(found, recorded, top):
    lines = []
    for name, costs in found.items():
        total, before = sum(costs.values()), recorded.get(name)
        lines.append([name, f"{total:.0f}", f"{own(costs):.0f}", f"{before}" if before else "-",
                      f"{total / before - 1:+.1%}" if before else "-"])
    print("\n".join(table(["one push", "instructions", "our own", "recorded", "change"], lines)))
    for name, costs in found.items() if top else ():
        total = sum(costs.values())
        print(f"\n{name}: where they go")
        for (thing, function), n in sorted(costs.items(), key=lambda c: -c[1])[:top]:
            print(f"  {n:9.0f} {n / total:5.1%}  {thing}: {function}")


def judge(found, recorded):
    grown = [f"{name}: {recorded[name]} before, {sum(costs.values()):.0f} now"
             for name, costs in found.items()
             if name in recorded and sum(costs.values()) > recorded[name] * (1 + TOLERANCE)]
    plain = sum(found.get(PLAIN, {}).values())
    grown += [f"{name}: {sum(costs.values()):.0f}, but one alone {plain:.0f}"
              for name, costs in found.items()
              if plain and name.split(":")[0] in CURVES and sum(costs.values()) > plain * (1 + TOLERANCE)]
    for line in grown:
        print("grown: " + line)
    if grown:
        print("If that is the price of something wanted, record it: sh tests/bench/run.sh --instructions --record")
    return 1 if grown else 0


def main():
    o = argparse.ArgumentParser(prog="run.sh --instructions")
    o.add_argument("--only", metavar="WORD", default="", help="rows with this word in the name")
    o.add_argument("--top", type=int, default=12, help="functions shown for each row (12)")
    o.add_argument("--check", action="store_true", help="exit with 1 if a row has grown")
    o.add_argument("--record", action="store_true", help="write instructions.json")
    args = o.parse_args()
    missing = [p for p in ("valgrind", "callgrind_control") if not shutil.which(p)]
    missing += [] if is_installed("nginx") else ["nginx with Lua, or h2load"]
    if missing or not os.access(program("frunproxyd"), os.X_OK):
        print("skipped: not here: " + ", ".join(missing or [program("frunproxyd")]))
        return SKIPPED
    with open(RECORD, encoding="utf-8") as f:
        recorded = json.load(f)
    here = versions()
    if here != recorded["versions"]:
        differs = sorted(k for k in here.keys() | recorded["versions"].keys()
                         if here.get(k) != recorded["versions"].get(k))
        print("recorded with other versions: " + ", ".join(differs))
        if args.check:
            return SKIPPED
    found = measure(args.only)
    show(found, recorded["instructions"], 0 if args.check else args.top)
    if args.record:
        figures = {**recorded["instructions"], **{k: round(sum(v.values())) for k, v in found.items()}}
        with open(RECORD, "w", encoding="utf-8") as f:
            json.dump({"versions": here, "instructions": figures}, f, indent=1)
            f.write("\n")
    return judge(found, recorded["instructions"]) if args.check else 0


if __name__ == "__main__":
    sys.exit(main())
