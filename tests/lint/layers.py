# SPDX-License-Identifier: Apache-2.0
"""Includes obey src/ROOMS; each .c includes its own header first; third-party headers keep to their rooms."""
import os
import re

from common import code, files, read, rooms, verdict

THIRD = [("event2/", "event2"), ("openssl/", "openssl"), ("nghttp2/", "nghttp2"), ("curl/", "curl"),
         ("jansson", "jansson"), ("ini.h", "ini"), ("crypt.h", "crypt"), ("systemd/", "systemd")]
SYSTEM = re.compile(r"""(sys|netinet|arpa|net|linux)/\w+\.h |
    (assert|ctype|dlfcn|errno|fcntl|float|getopt|glob|grp|ifaddrs|inttypes|limits|locale|math|netdb|poll|pthread|pwd|
    sched|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|
    strings|syslog|termios|threads|time|uchar|unistd|wchar|dirent|libgen|fnmatch|malloc|endian|byteswap|regex|
    endian|search|execinfo|resolv|langinfo|iconv|semaphore|ftw|err|error|sysexits|mntent|utime|wordexp)\.h""", re.X)
SIDE_BY_SIDE = {("gateway", "connector"), ("connector", "gateway")}


def system_include(room, name, libs):
    for start, lib in THIRD:
        if name.startswith(start):
            return None if lib in libs else f"<{name}>: room {room} does not own {lib}"
    return None if SYSTEM.fullmatch(name) else f"<{name}>: neither a system header nor a library of src/ROOMS"


def quoted_include(path, room, name, order):
    parts = name.split("/")
    if parts[0] != "frun" or len(parts) != 3:
        beside = os.path.join(os.path.dirname(path), name)
        private = path.startswith("src/") and "/" not in name and beside in ALL
        return None if private else f'"{name}": no header of this room and no public one'
    other = parts[1]
    if other not in order:
        return f'"{name}": room {other} is not in src/ROOMS'
    if order.index(other) > order.index(room) or (room, other) in SIDE_BY_SIDE:
        return f'"{name}": room {room} must not know room {other}'
    return None if "include/" + name in ALL else f'"{name}": no such header'


def own_header(path, room, first):
    """x.c begins with its own header; a further file of a module with the module's or a private one."""
    module = os.path.basename(path)[:-2]
    if "include/frun/%s/%s.h" % (room, module) in ALL:
        good = first == f"frun/{room}/{module}.h"
    else:
        m = re.fullmatch(r"frun/%s/(\w+)\.h" % room, first or "")
        good = (first or "").endswith("_int.h") or (bool(m) and module.startswith(m.group(1) + "_"))
    return None if good else f'begins with "{first}", not with its own header'


ALL = set(files(".c", ".h"))
floors = rooms()
errors = []
looked = 0
for path in sorted(ALL):
    m = re.match(r"(?:include/frun|src)/(\w+)/", path)
    if not m:
        continue
    looked += 1
    this_room = m.group(1)
    if this_room not in floors:
        errors.append(f"{path}: room {this_room} is not in src/ROOMS")
        continue
    first_name = None
    for no, line in enumerate(code(read(path), keep_strings=True).split("\n"), 1):
        inc = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not inc:
            continue
        first_name = first_name or inc.group(2)
        if inc.group(1) == "<":
            wrong = system_include(this_room, inc.group(2), floors[this_room])
        else:
            wrong = quoted_include(path, this_room, inc.group(2), list(floors))
        if wrong:
            errors.append(f"{path}:{no}: {wrong}")
    if path.endswith(".c") and this_room != "bin":
        wrong = own_header(path, this_room, first_name)
        if wrong:
            errors.append(f"{path}:1: {wrong}")
verdict(errors, f"{looked} files of {len(floors)} rooms")
