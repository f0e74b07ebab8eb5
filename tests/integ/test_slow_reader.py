# SPDX-License-Identifier: Apache-2.0
"""Whoever reads slowly slows the sender, not the memory of those between."""

import hashlib
import threading
import time

from chain import Background, wait_until

MIB = 1 << 20
# What may pile up on the way: sockets' buffers of three hops, both ends.
ON_THE_WAY = 40 * MIB
GROWTH = 24 * MIB
CHAIN = {"gateway": {"gateway": {"max_body": "1G"}}}


def memories(chain):
    return [chain.gateway.memory(), chain.connector.memory()]


def test_slow_focused_run(shared):
    shared.push()
    before = memories(shared)
    size = 256 * MIB
    sent = [0]
    block = b"m" * 65536
    with shared.raw(timeout=60) as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x?_sim=slow-read:4M",
                             [("Content-Length", str(size))]))
        stop = threading.Event()

        def sender():
            while sent[0] < size and not stop.is_set():
                c.send(block)
                sent[0] += len(block)

        thread = Background(sender)
        peak = before
        end = time.monotonic() + 3
        while time.monotonic() < end:
            peak = [max(a, b) for a, b in zip(peak, memories(shared))]
            time.sleep(0.05)
        assert sent[0] < ON_THE_WAY, f"{sent[0] / MIB} MiB were taken from the sender in 3 s"
        for name, a, b in zip(("gateway", "connector"), before, peak):
            assert b - a < GROWTH, f"{name} grew by {(b - a) / MIB} MiB"
        # Others are not slowed.
        begin = time.monotonic()
        assert shared.push().status == 200
        assert time.monotonic() - begin < 10
        stop.set()
    try:
        thread.result(10)
    except (OSError, ValueError):
        pass  # its connection was closed under it
    # The abandoned push ends at Focused Run as cut off, not as whole.
    wait_until(lambda: [g for g in shared.received() if "slow-read" in g["query"]],
               "the cut-off push is noticed", 60)
    cut = [g for g in shared.received() if "slow-read" in g["query"]][0]
    assert cut["complete"] is False


def test_slow_pusher_reads_a_large_answer(shared):
    before = memories(shared)
    size = 128 * MIB
    with shared.raw(timeout=60, rcvbuf=65536) as c:
        c.send(shared.octets("GET", f"/ACME_PROD/sap/frun/x?_sim=big:{size}"))
        # Reading begins late.
        peak = before
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            peak = [max(a, b) for a, b in zip(peak, memories(shared))]
            time.sleep(0.05)
        for name, a, b in zip(("gateway", "connector"), before, peak):
            assert b - a < GROWTH, f"{name} grew by {(b - a) / MIB} MiB"
        a = c.answer()
    assert a.status == 200 and a.is_complete and len(a.body) == size


def test_slow_sender(shared):
    body = b"s" * 3000
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x",
                             [("Content-Length", str(len(body)))]))
        for i in range(0, len(body), 100):
            c.send(body[i:i + 100])
            time.sleep(0.01)
        assert c.answer().status == 200
    assert shared.last()["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_pusher_goes_away_during_the_answer(shared):
    with shared.raw(rcvbuf=65536) as c:
        c.send(shared.octets("GET", "/ACME_PROD/sap/frun/x?_sim=big:64M"))
        c.head()
    assert shared.push().status == 200
