# SPDX-License-Identifier: Apache-2.0
"""Calls that are banned by the style, notes for later, and paths of somebody's machine."""
import re

from common import code, files, read, verdict

# What to use instead.
CALLS = {
    "strcpy": "snprintf or buf_put", "strcat": "buf_put", "sprintf": "snprintf", "vsprintf": "vsnprintf",
    "gets": "read", "strtok": "span_split", "strtok_r": "span_split", "strncpy": "snprintf", "atoi": "span_to_u64",
    "atol": "span_to_u64", "atoll": "span_to_u64", "atof": "nothing", "scanf": "span_to_u64",
    "sscanf": "span_to_u64", "fscanf": "span_to_u64", "alloca": "an arena", "rand": "mono_entropy",
    "srand": "mono_entropy", "random": "mono_entropy", "localtime": "localtime_r", "gmtime": "gmtime_r",
    "ctime": "mono_wall_text", "asctime": "mono_wall_text", "system": "posix_spawn", "popen": "posix_spawn",
    "signal": "sigaction", "accept": "accept4", "pipe": "pipe2", "dup": "F_DUPFD_CLOEXEC", "creat": "open",
}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(CALLS))
EXIT = re.compile(r"(?<![\w.>])(_?exit|_Exit|quick_exit)\s*\(")
FLAGGED = {"open": "O_CLOEXEC", "openat": "O_CLOEXEC", "socket": "SOCK_CLOEXEC", "accept4": "SOCK_CLOEXEC",
           "socketpair": "SOCK_CLOEXEC", "pipe2": "O_CLOEXEC", "epoll_create1": "EPOLL_CLOEXEC"}
OPENS = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(FLAGGED))
FOPEN = re.compile(r'(?<![\w.>])f(?:re|d)?open\s*\(.*,\s*"([^"]*)"')
LATER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE = re.compile(r"/home/[a-z]+/|/root/")


def arguments(text, at):
    """From the opening bracket to its closing one."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return text[at:i + 1]
    return text[at:]


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def c_file(name, raw):
    found = []
    text = code(raw)
    for m in CALL.finditer(text):
        found.append((m.start(), f"{m.group(1)}() is banned; use {CALLS[m.group(1)]}"))
    for m in EXIT.finditer(text):
        if not name.startswith(("src/bin/", "tests/")):
            found.append((m.start(), f"{m.group(1)}() outside src/bin"))
    for m in OPENS.finditer(text):
        call = arguments(text, m.end() - 1)
        if FLAGGED[m.group(1)] not in call:
            found.append((m.start(), f"{m.group(1)}() without {FLAGGED[m.group(1)]}"))
    with_strings = code(raw, keep_strings=True)
    errors.extend(f'{name}:{line_of(with_strings, m.start())}: fopen() without "e"'
                  for m in FOPEN.finditer(with_strings) if "e" not in m.group(1))
    if "SPDX-License-Identifier: Apache-2.0" not in raw:
        found.append((0, "no SPDX line"))
    errors.extend(f"{name}:{line_of(text, at)}: {why}" for at, why in found)


errors = []
names = files()
for path in names:
    whole = read(path)
    if "\0" in whole[:4096]:
        continue
    if path.endswith((".c", ".h")):
        c_file(path, whole)
    if path != "tests/lint/banned.py":
        errors.extend(f"{path}:{line_of(whole, m.start())}: {m.group(0)}"
                      for rule in (LATER, MACHINE) for m in rule.finditer(whole))
verdict(errors, f"{len(names)} files")
