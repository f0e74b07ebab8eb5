# SPDX-License-Identifier: Apache-2.0
"""What the lints share: the tracked files, C text without comments, the floors, the verdict."""
import os
import re
import subprocess
import sys

SKIPPED = 77


def root():
    """First argument, or the folder two levels above this file."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))


def files(*suffixes, under=("",)):
    """Tracked files (all files when there is no git, as in a release archive), relative to root."""
    top = root()
    got = subprocess.run(["git", "-C", top, "-c", "safe.directory=*", "ls-files", "-z"],
                         capture_output=True, text=True, check=False)
    names = [n for n in got.stdout.split("\0") if n] if got.returncode == 0 else []
    if not names:
        for folder, _, found in os.walk(top):
            names += [os.path.relpath(os.path.join(folder, n), top) for n in found]
    return sorted(n for n in names if (not suffixes or n.endswith(suffixes)) and n.startswith(tuple(under))
                  and os.path.isfile(os.path.join(top, n)))


def read(name):
    with open(os.path.join(root(), name), encoding="utf-8", errors="replace") as f:
        return f.read()


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code(text, keep_strings=False):
    """C text with comments (and the insides of strings) blanked; lines stay where they are."""
    def blank(m):
        t = m.group(0)
        if t[0] in "\"'":
            return t if keep_strings else t[0] + t[0]
        return " " + "\n" * t.count("\n")
    return TOKEN.sub(blank, text)


def functions(text):
    """(name, first line, last line) of each function body; relies on the formatter's braces."""
    lines = code(text).split("\n")
    i = 0
    while i < len(lines):
        if lines[i] != "{":
            i += 1
            continue
        start = i - 1
        while start > 0 and re.match(r"[\s)]", lines[start]):
            start -= 1
        end = i
        while end < len(lines) - 1 and not lines[end].startswith("}"):
            end += 1
        m = re.search(r"(\w+)\s*\(", " ".join(lines[start:i]))
        if m:
            yield m.group(1), start + 1, end + 1
        i = end + 1


def rooms():
    """{room: set of third-party libraries}, lowest floor first."""
    found = {}
    for line in read("src/ROOMS").splitlines():
        words = line.split("#")[0].split()
        if words:
            found[words[0]] = set(words[1:])
    return found


def verdict(errors, what):
    """Print the findings and end with them; an empty look-over counts as a failure."""
    for e in errors:
        print(e)
    print(f"{len(errors)} findings in {what}")
    sys.exit(1 if errors or what.startswith("0 ") else 0)
