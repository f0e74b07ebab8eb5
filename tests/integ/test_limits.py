# SPDX-License-Identifier: Apache-2.0
"""Every wait has an end: timeouts with shortened settings, and ceilings on connections."""

import socket
import time

from chain import assert_problem, wait_until

CHAIN = {"gateway": {"gateway": {
    "handshake_timeout": "700ms", "head_timeout": "800ms", "body_timeout": "900ms",
    "keepalive_timeout": "1s", "upstream_keepalive": "1s"}},
    "connector": {"connector": {"body_timeout": "2s", "backend_keepalive": "1s"}}}


LATE = 8  # seconds: well below the defaults, well above what a busy machine takes


def closed_after(c, low):
    begin = time.monotonic()
    assert c.ends(LATE)
    took = time.monotonic() - begin
    assert low <= took <= LATE, took


def test_tls_handshake(shared):
    s = socket.create_connection(("127.0.0.1", shared.port))
    s.settimeout(LATE)
    begin = time.monotonic()
    assert s.recv(1) == b""
    assert 0.5 < time.monotonic() - begin < LATE
    s.close()


def test_silent_connection(shared):
    with shared.raw() as c:
        closed_after(c, 0.5)


def test_idle_after_a_request(shared):
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
        assert c.answer().status == 200
        closed_after(c, 0.8)


def test_slow_head(shared):
    with shared.raw() as c:
        begin = time.monotonic()
        try:
            for octet in shared.octets("POST", "/ACME_PROD/sap/frun/x", [("X-A", "a" * 200)]):
                c.send(bytes([octet]))
                time.sleep(0.05)
        except OSError:
            pass
        took = time.monotonic() - begin
        data = c.rest() + c.buffer
        assert took < LATE
        assert data == b"" or data.startswith(b"HTTP/1.1 408"), data
    assert shared.received() == []


def test_stalled_body(shared):
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", [("Content-Length", "10")]) + b"abc")
        begin = time.monotonic()
        data = c.rest()
        assert 0.5 < time.monotonic() - begin < LATE
        assert data == b"" or data.startswith(b"HTTP/1.1 408"), data
    wait_until(shared.received, "the cut-off push is noticed")
    assert shared.last()["complete"] is False


def test_a_body_that_trickles_is_not_stalled(shared):
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", [("Content-Length", "4")]))
        for _ in range(4):
            time.sleep(0.5)
            c.send(b"z")
        assert c.answer().status == 200


def test_pusher_that_does_not_read(shared):
    with shared.raw(rcvbuf=4096) as c:
        c.send(shared.octets("GET", "/ACME_PROD/sap/frun/x?_sim=big:64M"))
        wait_until(lambda: [x for x in shared.access_lines() if "/ACME_PROD/sap/frun/x" in
                            x.values() and "GET" in x.values()], "it is given up", 15)
    assert shared.push().status == 200


def test_back_end_connection_is_not_kept_for_ever(shared):
    assert shared.push().status == 200
    first = shared.last()["connection"]
    time.sleep(1.8)
    assert shared.push().status == 200
    assert shared.last()["connection"] != first


def test_connection_ceiling(make_chain):
    chain = make_chain(gateway={"gateway": {"max_connections": "20"}})
    kept = []
    try:
        refused = 0
        for _ in range(30):
            try:
                c = chain.raw(timeout=1)
                c.send(chain.octets("GET", "/sap/bc/ping", auth=None))
                assert c.answer().status == 200
                kept.append(c)
            except OSError:
                refused += 1
        assert len(kept) <= 22 and refused >= 8, (len(kept), refused)
    finally:
        for c in kept:
            c.close()
    wait_until(lambda: chain.health() == 200, "room again")
    assert chain.push().status == 200


def test_a_flood_waiting_for_a_tunnel_is_bounded(make_chain):
    chain = make_chain(gateway={"gateway": {"max_waiting": "5", "hold": "2s"}}, workers=1,
                       connectors=(), wait=False)
    connections = [chain.raw() for _ in range(12)]
    begin = time.monotonic()
    for c in connections:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
    times = []
    for c in connections:
        assert_problem(c.answer(), 503)
        times.append(time.monotonic() - begin)
        c.close()
    assert max(times) < 6
