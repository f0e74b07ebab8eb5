# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 clients that mean harm, or leave: floods, dribbles, standstills, drains."""

import time

import pytest

from chain import wait_until
from h2raw import (CONTINUATION, DATA, END_HEADERS, END_STREAM, H2, HEADERS, PING, PRIORITY, RST,
                   SETTINGS, WINDOW, block, frame)

CHAIN = {"gateway": {"gateway": {"body_timeout": "1s", "head_timeout": "1s",
                                 "keepalive_timeout": "2s", "http2_max_streams": "10"}}}
CANCEL = b"\0\0\0\x08"


def rapid_reset(c):
    for i in range(1, 600, 2):
        c.flood(frame(HEADERS, END_HEADERS | END_STREAM, i, block(c.fields(method="GET"))) +
                frame(RST, 0, i, CANCEL), 1)


def provoke(c, request):
    """It is us who reset the streams, and the client that waits for it. Source: CVE-2025-8671."""
    for _ in range(80):
        if c.is_closed or c.goaway:
            break
        n = c.next_id
        c.next_id += 10
        c.flood(b"".join(request(i) for i in range(n, n + 10, 2)), 1)
        c.until(lambda: c.is_closed or c.goaway or c.stream(n + 8).reset, "resets")


def provoked_resets(c):
    head = block(c.fields())
    provoke(c, lambda i: frame(HEADERS, END_HEADERS, i, head) +
            frame(WINDOW, 0, i, b"\x7f\xff\xff\xff"))


def malformed_requests(c):
    head = block(c.fields(more=[("connection", "close")]))
    provoke(c, lambda i: frame(HEADERS, END_HEADERS | END_STREAM, i, head))


def empty_data(c):
    n = c.request(c.fields(), is_end=False)
    c.flood(frame(DATA, 0, n), 300)


def continuations(c):
    c.flood(frame(HEADERS, 0, 1, block(c.fields())), 1)
    c.flood(frame(CONTINUATION, 0, 1), 300)


def bomb(c):
    """One long field put into the table, then named over and over by one octet."""
    big = b"\x40\x03x-b" + b"\x7f" + bytes([3900 - 127 & 127 | 128, (3900 - 127) >> 7]) + b"v" * 3900
    c.flood(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(c.fields()) + big + b"\xbe" * 12000), 1)


FLOODS = [
    ("PING", lambda c: c.flood(frame(PING, 0, 0, b"12345678"), 300)),
    ("SETTINGS", lambda c: c.flood(frame(SETTINGS, 0, 0), 300)),
    ("PRIORITY", lambda c: c.flood(frame(PRIORITY, 0, 1, b"\0\0\0\0\x01"), 300)),
    ("WINDOW_UPDATE", lambda c: c.flood(frame(WINDOW, 0, 0, b"\0\0\0\x01"), 3000)),
    ("empty DATA", empty_data),
    ("CONTINUATION", continuations),
    ("rapid reset", rapid_reset),
    ("provoked resets", provoked_resets),
    ("malformed requests", malformed_requests),
    ("HPACK bomb", bomb),
]


@pytest.mark.parametrize("label, attack", FLOODS, ids=[f[0] for f in FLOODS])
def test_floods_end_the_connection(shared, label, attack):
    with H2(shared) as c:
        c.until(lambda: c.settings, "SETTINGS")
        attack(c)
        assert c.ends(10) == "ENHANCE_YOUR_CALM"
    assert shared.push().status == 200


def test_too_many_streams(shared):
    with H2(shared) as c:
        n = [c.request(c.fields(path="/ACME_PROD/sap/frun/x?_sim=delay:500ms"), b"x")
             for _ in range(12)]
        got = [c.answer(i) for i in n]
    assert [a.status for a in got[:10]] == [200] * 10
    assert got[10:] == ["REFUSED_STREAM"] * 2


def test_head_that_does_not_end(shared):
    with H2(shared) as c:
        c.until(lambda: c.settings, "SETTINGS") # an ACK inside the head would be a fault
        c.send(frame(HEADERS, 0, 1, block(c.fields())))
        began = time.monotonic()
        c.ends(10)
        assert 0.8 < time.monotonic() - began < 6


def test_body_that_stops(shared):
    with H2(shared) as c:
        n = c.request(c.fields(), b"some", is_end=False)
        a = c.answer(n)
        assert a.status == 408, a
        assert c.ask(body=b"x").status == 200


def test_answer_that_nobody_reads(shared):
    """Data Dribble: a stream window that stays at nothing."""
    with H2(shared, settings=[(4, 0)], auto_window=False) as c:
        n = c.request(c.fields(), b"{}")
        c.until(lambda: c.stream(n).reset, "reset")
        assert c.stream(n).reset == "CANCEL"


def test_idle_connection_is_told_to_go(shared):
    with H2(shared) as c:
        assert c.ask(body=b"x").status == 200
        assert c.ends(8) == "NO_ERROR"


@pytest.mark.parametrize("how", ["reset", "lost"])
def test_complete_push_is_delivered(shared, how):
    c = H2(shared)
    c.request(c.fields(path=f"/ACME_PROD/sap/frun/{how}?_sim=delay:500ms"), b"metrics")
    if how == "reset":
        c.send(frame(RST, 0, 1, CANCEL))
        assert c.ask(body=b"goes on").status == 200
    c.close()
    line = wait_until(lambda: [x for x in shared.access_lines()
                               if x.get("path") == f"/ACME_PROD/sap/frun/{how}"], "line", 10)[0]
    assert line["status"] == 200 and line["by"] == "focused-run", line
    assert [g["body"] for g in shared.received() if g["path"].endswith(how)] == ["metrics"]


def test_stop_under_load_loses_nothing(make_chain):
    chain = make_chain()
    with H2(chain) as c:
        n = [c.request(c.fields(path=f"/ACME_PROD/sap/frun/d{i}?_sim=delay:300ms"), b"x")
             for i in range(30)]
        wait_until(lambda: len(chain.received()) >= 30, "all under way", 10)
        chain.gateway.signal(15)
        assert [c.answer(i).status for i in n] == [200] * 30
        assert c.ends(10) == "NO_ERROR"
    assert chain.gateway.wait() == 0
