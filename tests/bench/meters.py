# SPDX-License-Identifier: Apache-2.0
"""What the kernel knows: CPU of process trees, memory, and who else used the CPUs."""

import glob
import os
import resource
import time

from tools import wait_until


def _children():
    """Parent by process."""
    parents = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="latin-1") as f:
                text = f.read()
        except OSError:
            continue  # it ended meanwhile
        parents[int(text.split(" ", 1)[0])] = int(text.rsplit(")", 1)[1].split()[1])
    return parents


def trees(processes):
    """For each process the pids of itself and all its descendants."""
    parents = _children()
    result = []
    for process in processes:
        pids, grown = {process.pid}, True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in pids} - pids
            grown = bool(more)
            pids |= more
        result.append(sorted(pids))
    return result


def cpu_us(pids):
    """User and system time so far of all threads; to the nanosecond, unlike the ticks of stat."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            with open(path, encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total / 1000


def _rollup_kib(pids, what):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith(what + ":"))
    return total


def pss_kib(pids):
    return _rollup_kib(pids, "Pss")


def settled_pss_kib(pids):
    """Memory once it no longer changes. That is seen in what is nobody else's: the share of what is common changes with each
    program that starts or ends beside them."""
    last = [0, _rollup_kib(pids, "Anonymous")]

    def same():
        last[:] = [last[1], _rollup_kib(pids, "Anonymous")]
        return last[0] == last[1]

    wait_until(same, "memory to settle", 30, step=0.5)
    return pss_kib(pids)


def descriptors(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def _busy_us():
    """All CPUs: everything but idle; the time a hypervisor took away counts as busy."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(x) for x in f.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) * 1e6 / os.sysconf("SC_CLK_TCK")


def _own_us():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used) * 1e6


class Foreign:
    """The share of all CPUs that went to none of ours: how quiet the machine was. Takes everything that
    lives; a load program that has been waited for counts through this process."""

    def __init__(self, known):
        self.known = known
        self.begin = self._now()

    def _now(self):
        pids = [pid for tree in trees(self.known) for pid in tree]
        return time.monotonic(), _busy_us(), _own_us() + cpu_us(pids)

    def percent(self):
        then, now = self.begin, self._now()
        wall, busy, own = (b - a for a, b in zip(then, now))
        return max(0.0, 100 * (busy - own) / (wall * 1e6 * os.cpu_count()))
