# SPDX-License-Identifier: Apache-2.0
"""1 GiB up through the chain, and down, in bounded memory."""

import hashlib
import threading
import time

import pytest

from chain import Background

MIB = 1 << 20
GIB = 1 << 30
GROWTH = 32 * MIB
CHAIN = {"gateway": {"gateway": {"max_body": "2G"}}}


class Watch:
    """Peak memory while something runs."""

    def __init__(self, chain):
        self.processes = {"gateway": chain.gateway, "connector": chain.connector}
        self.before = {n: p.memory() for n, p in self.processes.items()}
        self.peak = dict(self.before)
        self.end = threading.Event()
        self.thread = Background(self.run)

    def run(self):
        while not self.end.wait(0.05):
            for n, p in self.processes.items():
                self.peak[n] = max(self.peak[n], p.memory())

    def finish(self, label):
        self.end.set()
        self.thread.result()
        for n in self.processes:
            grown = self.peak[n] - self.before[n]
            print(f"{label}: {n} {self.before[n] / MIB:.1f} -> {self.peak[n] / MIB:.1f} MiB")
            assert grown < GROWTH, f"{n} grew by {grown / MIB:.1f} MiB"


@pytest.fixture
def warm(shared):
    for _ in range(4):
        assert shared.push(b"w" * MIB).status == 200
    return shared


def test_up(warm):
    block = bytes(range(256)) * 4096
    digest = hashlib.sha256()
    watch = Watch(warm)
    begin = time.monotonic()
    with warm.raw(timeout=120) as c:
        c.send(warm.octets("POST", "/ACME_PROD/sap/frun/x", [("Content-Length", str(GIB))]))
        for _ in range(GIB // len(block)):
            c.send(block)
            digest.update(block)
        a = c.answer()
    assert a.status == 200, a
    print(f"up: {GIB / MIB / (time.monotonic() - begin):.0f} MiB/s")
    watch.finish("up")
    assert warm.last()["body_bytes"] == GIB
    assert warm.last()["body_sha256"] == digest.hexdigest()
    assert warm.sim.memory() < 512 * MIB


def test_up_chunked_through_a_slow_focused_run(warm):
    size = 64 * MIB
    block = b"c" * MIB
    watch = Watch(warm)
    with warm.raw(timeout=120) as c:
        c.send(warm.octets("POST", "/ACME_PROD/sap/frun/x?_sim=slow-read:16M",
                           [("Transfer-Encoding", "chunked")]))
        for _ in range(size // len(block)):
            c.send(b"%x\r\n" % len(block) + block + b"\r\n")
        c.send(b"0\r\n\r\n")
        assert c.answer().status == 200
    watch.finish("slow")
    assert warm.last()["body_bytes"] == size and warm.last()["complete"]


def test_down(warm):
    size = GIB // 2
    watch = Watch(warm)
    got = 0
    with warm.raw(timeout=120) as c:
        c.send(warm.octets("GET", f"/ACME_PROD/sap/frun/x?_sim=big:{size}"))
        a = c.head()
        assert a.status == 200 and int(a.get("Content-Length")) == size
        got += len(c.buffer)
        c.buffer = b""
        while got < size:
            data = c.sock.recv(262144)
            assert data, f"cut off after {got}"
            got += len(data)
    watch.finish("down")
