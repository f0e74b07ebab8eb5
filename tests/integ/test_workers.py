# SPDX-License-Identifier: Apache-2.0
"""Workers: on which CPUs they run."""

import glob
import os

import pytest
from tools import wait_until

CPUS = sorted(os.sched_getaffinity(0))


def masks(chain):
    """CPUs of each worker's thread, by its name."""
    found = {}
    for task in glob.glob(f"/proc/{chain.gateway.pid}/task/*"):
        with open(task + "/comm", encoding="ascii") as f:
            name = f.read().strip()
        if name.startswith("worker-"):
            found[name] = sorted(os.sched_getaffinity(int(os.path.basename(task))))
    return found


def start(make_chain, affinity):
    return make_chain(workers=2, gateway={"gateway": {"cpu_affinity": affinity},
                                          "log": {"level": "debug"}})


def test_left_alone_unless_asked(make_chain):
    assert masks(make_chain(workers=2)) == {"worker-0": CPUS, "worker-1": CPUS}


@pytest.mark.parametrize("affinity, own", [
    ("yes", CPUS), (str(CPUS[-1]), CPUS[-1:]), (f"{CPUS[0]}-1023", CPUS)])
def test_pinned_in_turn(make_chain, affinity, own):
    chain = start(make_chain, affinity)
    want = {f"worker-{i}": [own[i % len(own)]] for i in range(2)}
    wait_until(lambda: masks(chain) == want, "pinned")
    assert chain.push().status == 200


@pytest.mark.skipif(1023 in CPUS, reason="a very large machine")
def test_cpus_that_are_not_ours_are_left_alone(make_chain):
    chain = start(make_chain, "1023")
    wait_until(lambda: chain.gateway.log().count("is not pinned") == 2, "told")
    assert set(map(tuple, masks(chain).values())) == {tuple(CPUS)}
    assert chain.push().status == 200
