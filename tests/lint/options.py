# SPDX-License-Identifier: Apache-2.0
"""Each configuration key stands in the table, in the sample file and in the manual; no file knows more.

Arguments: root folder, path of frunctl. A key that is off by default stands in the sample as "; key = value".
In the manual a key is `key` below a heading or table that names its [section].
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
    return {tuple(line.split("\t")) for line in out.splitlines()}


def sample_keys(side):
    section, keys = "", set()
    for line in read(SAMPLES[side]).splitlines():
        m = SECTION.match(line)
        section = m.group(1) if m else section
        m = KEY.match(line)
        if m:
            keys.add((side, section, m.group(1)))
    return keys


def manual_keys(known):
    """What stands in backquotes below the nearest heading or line that names sections."""
    sections = {s for _, s, _ in known}
    here, keys = set(), set()
    for line in read(MANUAL).splitlines():
        named = {s for s in re.findall(r"\[([\w-]+)[^\]]*\]", line) if s in sections}
        if line.startswith("#") or named:
            here = named or (here if line.startswith("###") else set())
        keys |= {(s, k) for s in here for k in re.findall(r"`([a-z][a-z0-9_]*)(?:\s*=[^`]*)?`", line)}
    return keys


rows = table()
in_sample = {k for side in SAMPLES for k in sample_keys(side)}
in_manual = manual_keys(rows)
errors = [f"{SAMPLES[r[0]]}: [{r[1]}] {r[2]} is missing" for r in sorted(rows - in_sample)]
errors += [f"{SAMPLES[r[0]]}: [{r[1]}] {r[2]} is not in the table" for r in sorted(in_sample - rows)]
errors += [f"{MANUAL}: [{s}] {k} is missing" for _, s, k in sorted(rows) if (s, k) not in in_manual]
verdict(errors, f"{len(rows)} keys")
