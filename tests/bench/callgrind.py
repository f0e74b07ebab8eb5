# SPDX-License-Identifier: Apache-2.0
"""Read what callgrind dumps: instructions by object and function."""

import os
import re

NAME = re.compile(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$")


def self_costs(lines):
    """{(object, function): instructions of its own}. Names are written once and numbered; the line behind "calls="
    is what the called function cost, which stands with that function too."""
    names = {"ob": {}, "fn": {}}
    now = {"ob": "?", "fn": "?"}
    costs = {}
    is_call = False
    for line in lines:
        line = line.rstrip("\n")
        named = NAME.match(line)
        if named:
            called, kind, number, name = named.groups()
            if name is not None:
                names[kind][number] = os.path.basename(name) if kind == "ob" else name
            if not called:
                now[kind] = names[kind].get(number, "?")
        elif line.startswith("calls="):
            is_call = True
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            if not is_call:
                key = (now["ob"], now["fn"])
                costs[key] = costs.get(key, 0) + int(line.split()[1])
            is_call = False
    return costs


def less(costs, taken_off, n):
    """The difference of two counts, for each of n."""
    keys = costs.keys() | taken_off.keys()
    return {k: (costs.get(k, 0) - taken_off.get(k, 0)) / n for k in keys}


def smallest(counts):
    """The one with the smallest total."""
    return min(counts, key=lambda costs: sum(costs.values()))
