# SPDX-License-Identifier: Apache-2.0
"""Each configuration key stands in the table, in the sample file and in the manual; no file knows more.

Arguments: root folder, path of frunctl. A key that is off by default stands in the sample as "; key = value".
In the manual a key is a table row below "## file" and "### [section]".
"""
import re
import subprocess
import sys

from common import read, verdict

SAMPLES = {"gateway": "conf/frunproxy.ini", "connector": "conf/frunconnector.ini"}
MANUAL = "docs/CONFIGURATION.md"
SECTION = re.compile(r"\s*[;#]?\s*\[([\w-]+)[^\]]*\]\s*$")
KEY = re.compile(r"\s*(?:[;#]\s?)?([a-z][a-z0-9_]*)\s*=")


def table():
    out = subprocess.run([sys.argv[2], "config", "keys"], capture_output=True, text=True, check=True).stdout
    return {tuple(line.split("\t")[:3]) for line in out.splitlines()}


def sample_keys(side):
    section, keys = "", set()
    for line in read(SAMPLES[side]).splitlines():
        m = SECTION.match(line)
        section = m.group(1) if m else section
        m = KEY.match(line)
        if m:
            keys.add((side, section, m.group(1)))
    return keys


def manual_keys():
    side, section, keys = "", "", set()
    for line in read(MANUAL).splitlines():
        side = next((s for s, f in SAMPLES.items() if line == "## " + f.split("/")[1]), side)
        m = re.match(r"### \[([\w-]+)", line)
        section = m.group(1) if m else section
        m = re.match(r"\| `(\w+)` \|", line)
        if m:
            keys.add((side, section, m.group(1)))
    return keys


rows = table()
in_sample = {k for side in SAMPLES for k in sample_keys(side)}
in_manual = manual_keys()
errors = [f"{SAMPLES[r[0]]}: [{r[1]}] {r[2]} is missing" for r in sorted(rows - in_sample)]
errors += [f"{SAMPLES[r[0]]}: [{r[1]}] {r[2]} is not in the table" for r in sorted(in_sample - rows)]
errors += [f"{MANUAL}: {r[0]} [{r[1]}] {r[2]} is missing" for r in sorted(rows - in_manual)]
errors += [f"{MANUAL}: {r[0]} [{r[1]}] {r[2]} is not in the table" for r in sorted(in_manual - rows)]
verdict(errors, f"{len(rows)} keys")
