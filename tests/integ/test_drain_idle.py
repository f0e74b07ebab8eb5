# SPDX-License-Identifier: Apache-2.0
"""A connection whose answer had begun when the drain began does not delay it."""

import threading
import time

import pytest

from chain import Background
from scripted import read_body, scripted_chain


@pytest.mark.parametrize("route", ["tunnel", "direct"])
def test_ends_behind_its_answer(make_chain, route):
    may_end = threading.Event()

    def slow(s, head, rest):
        _, rest = read_body(s, head, rest)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        assert may_end.wait(20)
        s.sendall(b"lf")
        return rest

    chain = scripted_chain(make_chain, route, slow)
    with chain.raw() as c:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
        while not c.buffer.endswith(b"\r\n\r\nha"):
            assert c.fill()
        begin = time.monotonic()
        end = Background(chain.gateway.stop)
        while chain.health() == 200:
            pass  # until it listens no more: the drain has begun
        may_end.set()
        assert c.answer().body == b"half"
        assert end.result() == 0
    assert time.monotonic() - begin < 8
    assert "cut off" not in chain.gateway.log()
