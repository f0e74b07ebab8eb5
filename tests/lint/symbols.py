# SPDX-License-Identifier: Apache-2.0
"""A public function carries the name of its module, its room, or a struct that only its module declares."""
import os
import re

from common import code, files, read, verdict

KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof", "defined", "__attribute__"}
headers = files(".h", under=("include/frun/",))
modules = {os.path.basename(h)[:-2] for h in headers}
errors = []
looked = 0


def top_level(text):
    """Declarations only: preprocessor lines and what stands in braces removed."""
    text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", code(text), flags=re.M)
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", ";", text)
    return text


for path in headers:
    room, module = path.split("/")[2], os.path.basename(path)[:-2]
    text = top_level(read(path))
    structs = set(re.findall(r"\bstruct\s+(\w+)\s*;", text)) - modules
    prefixes = {module, room} | structs
    if re.search(r"^extern\b", text, flags=re.M):
        errors.append(f"{path}: extern data")
    guard = f"FRUN_{room}_{module}_H".upper()
    if f"#ifndef {guard}\n#define {guard}\n" not in read(path):
        errors.append(f"{path}: guard is not {guard}")
    for item in text.split(";"):
        m = re.search(r"\b(\w+)\s*\(", item)
        if not m or "typedef" in item or m.group(1) in KEYWORDS:
            continue
        looked += 1
        if not any(m.group(1) == p or m.group(1).startswith(p + "_") for p in prefixes):
            errors.append(f"{path}: {m.group(1)}() begins with none of {', '.join(sorted(prefixes))}")
verdict(errors, f"{looked} functions of {len(headers)} headers")
