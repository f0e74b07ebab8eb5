# SPDX-License-Identifier: Apache-2.0
"""Measure what a push costs, against other programs that do the same work; started by run.sh.

Each subject runs alone on CPU 0, the load and the origin on CPU 1. The rounds of a row go through its subjects
forward and backward in turn, so that nobody is always first, and what disturbs the machine disturbs all.
"""

import argparse
import json
import os
import platform
import re
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integ"))

import figures  # noqa: E402
import report  # noqa: E402
from chain import program  # noqa: E402
from load import Wrong  # noqa: E402
from rows import all_rows, is_installed  # noqa: E402
from subjects import Site  # noqa: E402

SKIPPED = 77


def options():
    names = ", ".join(row.name for row in all_rows())
    o = argparse.ArgumentParser(prog="run.sh")
    o.add_argument("--quick", action="store_true", help="2 rounds instead of 5")
    o.add_argument("--rounds", type=int, help="another number of rounds")
    o.add_argument("--seconds", type=int, default=2, help="of load in one measurement (2)")
    o.add_argument("--only", metavar="ROW,...", help="these rows: " + names)
    o.add_argument("--json", metavar="FILE", help="write every measurement there")
    o.add_argument("--markdown", metavar="FILE", help="write the tables there too")
    o.add_argument("--report", metavar="FILE", nargs="+",
                   help="measure nothing, print the tables of what --json has written")
    o.add_argument("--tiny", action="store_true",
                   help="one round of a second, small herds: shows that it runs, and nothing else")
    return o.parse_args()


def chosen(only):
    rows = all_rows()
    if not only:
        return rows
    wanted = only.split(",")
    unknown = set(wanted) - {row.name for row in rows}
    if unknown:
        raise SystemExit(f"bench: no such row: {', '.join(sorted(unknown))}")
    return [row for row in rows if row.name in wanted]


def version(argv):
    r = subprocess.run(argv, capture_output=True, text=True)
    found = re.search(r"\d+\.\d+(\.\d+)?(p\d)?", r.stdout + r.stderr)
    return found.group() if found else "?"


def host():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "?")
    return {"at": time.strftime("%Y-%m-%d %H:%M"), "CPU": f"{os.cpu_count()} x {cpu}",
            "Linux": platform.release(), "OpenSSL": ssl.OPENSSL_VERSION.split()[1],
            "nginx": version(["nginx", "-v"]),
            **{name: version([name, flag]) for name, flag in (("haproxy", "-v"), ("ssh", "-V"))
               if shutil.which(name)}}


def measure(site, row, args):
    started = time.monotonic()
    rounds = []
    count = 1 if args.tiny else args.rounds or (2 if args.quick else 5)
    if row.how == "memory":
        count = min(count, 1)  # processes keep what they have once grown to
    if not args.tiny:
        count *= row.more
    try:
        row.start(site, args.tiny)
        for n in range(count if row.labels else 0):
            order = row.labels if n % 2 == 0 else row.labels[::-1]
            rounds.append({label: row.measure(site, label, 1 if args.tiny else args.seconds)
                           for label in order})
    finally:
        row.end()
    print(f"{row.name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    return {"title": row.title, "how": row.how, "labels": row.labels, "missing": row.missing,
            "rounds": rounds}


def run(args):
    result = {"host": host(), "seconds": args.seconds, "rows": {}}
    folder = tempfile.mkdtemp(prefix="frunproxy-bench.")
    os.chmod(folder, 0o755)  # nginx and haproxy may have other users read there
    site = Site(folder)
    try:
        site.start()
        for row in chosen(args.only):
            result["rows"][row.name] = measure(site, row, args)
    finally:
        site.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return result


def main():
    args = options()
    if args.report:
        runs = []
        for name in args.report:
            with open(name, encoding="utf-8") as f:
                runs.append(json.load(f))
    else:
        if not is_installed("nginx") or not os.access(program("benchload"), os.X_OK):
            print("skipped: nginx with Lua, wrk, h2load or our own programs are not here")
            sys.exit(SKIPPED)
        if len(os.sched_getaffinity(0)) < 2:
            raise SystemExit("bench: needs two CPUs, one for the proxy and one for the load")
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            runs = [run(args)]
        except Wrong as e:
            raise SystemExit(f"bench: {e}")
        if args.json:
            with open(args.json, "w", encoding="utf-8") as f:
                json.dump(runs[0], f, indent=1)
    text = report.text(figures.merged(runs))
    print("\n" + text)
    if args.markdown:
        with open(args.markdown, "w", encoding="utf-8") as f:
            f.write(text + "\n")


if __name__ == "__main__":
    main()
