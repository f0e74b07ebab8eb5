# SPDX-License-Identifier: Apache-2.0
"""What a pusher may use: rate, places, body; exact over all workers, and nobody else suffers."""

import json
import time

from chain import Background, assert_problem, wait_until

SLOW = "/ACME_PROD/sap/frun/x?_sim=delay:{}"


def limited(make_chain, pusher=None, endpoint=None, gateway=None):
    return make_chain(gateway={"pusher s4-acme": pusher or {}, "endpoint ACME_PROD": endpoint or {},
                               "gateway": gateway or {}}, workers=2)


def at_once(chain, n, target="/ACME_PROD/sap/frun/x"):
    """n pushes on connections of their own, sent together."""
    connections = [chain.raw(timeout=30) for _ in range(n)]
    try:
        for c in connections:
            c.send(chain.octets("POST", target, body=b"{}"))
        return [c.answer() for c in connections]
    finally:
        for c in connections:
            c.close()


def test_rate_counts_over_all_workers(make_chain):
    chain = limited(make_chain, {"max_requests_per_second": "2", "burst": "10"},
                    gateway={"hold": "0"})
    begin = time.monotonic()
    answers = at_once(chain, 30)
    seconds = time.monotonic() - begin
    good = [a for a in answers if a.status == 200]
    # Two workers, one count: the burst, and two more for each second the test took.
    assert 10 <= len(good) <= 10 + 2 * seconds + 1, (len(good), seconds)
    refused = [a for a in answers if a.status != 200]
    assert refused
    for a in refused:
        value = assert_problem(a, 429)
        assert "max_requests_per_second of pusher s4-acme" in value["detail"], value
        assert a.get("Retry-After") == "1", a
    lines = [x for x in chain.pushes_logged(30) if x["status"] == 429]
    assert len(lines) == len(refused)
    assert all(x["error"] == "http_request_denied" and x["by"] == "gateway" and
               x["pusher"] == "s4-acme" for x in lines), lines
    # What Retry-After promised holds.
    time.sleep(1)
    assert chain.push().status == 200
    # Another pusher's requests are not counted.
    assert chain.push(target="/GLOBEX/sap/frun/x", auth=("globex", "Push-Pass-4711")).status == 200


def test_too_fast_waits_for_its_turn(make_chain):
    chain = limited(make_chain, {"max_requests_per_second": "10", "burst": "1"},
                    gateway={"hold": "8s"})
    begin = time.monotonic()
    answers = at_once(chain, 20)
    seconds = time.monotonic() - begin
    assert [a.status for a in answers] == [200] * 20
    assert 1.8 < seconds < 6, seconds


def test_places_are_never_exceeded_and_nothing_is_lost(make_chain):
    chain = limited(make_chain, {"max_in_flight": "3"})
    begin = time.monotonic()
    answers = at_once(chain, 24, SLOW.format("200ms"))
    seconds = time.monotonic() - begin
    assert [a.status for a in answers] == [200] * 24
    # 24 requests of 200 ms in rounds of three cannot take less, whatever the number of workers.
    assert seconds >= 8 * 0.2, seconds


def test_places_with_requests_that_do_not_end(make_chain):
    chain = limited(make_chain, {"max_in_flight": "2"}, gateway={"hold": "500ms"})
    held = [chain.raw() for _ in range(2)]
    for c in held:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", [("Content-Length", "5")]) + b"ab")
    time.sleep(0.3)  # both are under way
    begin = time.monotonic()
    a = chain.push()
    value = assert_problem(a, 429)
    assert "max_in_flight of pusher s4-acme" in value["detail"], value
    assert a.get("Retry-After") == "1", a
    assert 0.4 < time.monotonic() - begin < 3
    line = chain.pushes_logged(1)[-1]
    assert line["status"] == 429 and line["wait_ms"] > 400, line
    waiting = Background(chain.push)
    time.sleep(0.1)
    held[0].send(b"cde")
    assert held[0].answer().status == 200
    assert waiting.result().status == 200
    held[1].close()
    wait_until(lambda: chain.push().status == 200, "a lost pusher's place is free again", 5)
    held[0].close()


def test_slow_bodies_do_not_stop_another_pusher(make_chain):
    """More slow pushes than the tunnels have streams: the other customer does not notice."""
    chain = make_chain(gateway={"tunnel": {"max_streams": "8"}, "gateway": {"hold": "20s"}},
                       workers=1)
    slow = [chain.raw() for _ in range(20)]
    try:
        for c in slow:
            c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", [("Content-Length", "9")]) + b"a")
        time.sleep(0.5)
        for _ in range(10):
            begin = time.monotonic()
            a = chain.push(target="/GLOBEX/sap/frun/x", auth=("globex", "Push-Pass-4711"))
            assert a.status == 200
            assert time.monotonic() - begin < 10, "it waited behind the slow ones"
    finally:
        for c in slow:
            c.close()


def test_endpoint_ceiling(make_chain):
    chain = limited(make_chain, endpoint={"max_in_flight": "1"}, gateway={"hold": "300ms"})
    first = Background(chain.push, target=SLOW.format("4s"))
    wait_until(lambda: chain.push().status == 429, "the place is taken", 3)
    value = assert_problem(chain.push(), 429)
    assert "max_in_flight of endpoint ACME_PROD" in value["detail"], value
    assert first.result().status == 200
    assert chain.push().status == 200


def test_max_body_of_a_pusher(make_chain):
    chain = limited(make_chain, {"max_body": "2K"})
    assert chain.push(b"x" * 2048).status == 200
    value = assert_problem(chain.push(b"x" * 2049), 413)
    assert "of pusher s4-acme" in value["detail"], value
    with chain.raw() as c:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", [("Transfer-Encoding", "chunked")]) +
               b"1000\r\n" + b"y" * 4096 + b"\r\n0\r\n\r\n")
        assert "of pusher s4-acme" in json.loads(c.answer().body)["detail"]
    assert chain.push(b"x" * 4096, target="/GLOBEX/sap/frun/x",
                      auth=("globex", "Push-Pass-4711")).status == 200
