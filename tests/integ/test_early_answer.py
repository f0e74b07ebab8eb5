# SPDX-License-Identifier: Apache-2.0
"""Focused Run answers before it has read the push, and closes: the pusher gets that answer."""

import socket
import struct

import pytest

from scripted import scripted_chain

REFUSAL = (b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 3\r\n"
           b'WWW-Authenticate: Basic realm="FR1"\r\n\r\nno!')


def refuse(s, _head, _rest):
    s.sendall(REFUSAL)  # what is unread when the socket closes makes the system send a reset


@pytest.mark.parametrize("route", ["tunnel", "direct"])
@pytest.mark.parametrize("plain", [True, False])
def test_answer_is_passed_on(make_chain, route, plain):
    chain = scripted_chain(make_chain, route, refuse, plain)
    for size in [200_000] * 5 + [3_000_000] * 5:
        a = chain.push(body=b"x" * size)
        assert (a.status, a.body) == (401, b"no!"), size
        assert a.get("WWW-Authenticate") == 'Basic realm="FR1"'


@pytest.mark.parametrize("plain", [True, False])
def test_cut_answer_is_not_taken_for_complete(make_chain, plain):
    def cut(s, _head, _rest):
        s.sendall(b"HTTP/1.1 401 Unauthorized\r\n\r\nthe end of this is the connection's end")
        # A reset in any case, also when nothing is unread at this moment.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    chain = scripted_chain(make_chain, "direct", cut, plain)
    for _ in range(20):
        try:
            a = chain.push(body=b"x" * 3_000_000)
        except OSError:
            continue
        assert a.status == 502 or not a.is_complete, a
