# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: what is under way is finished, nothing new is begun, the end is 0."""

import json
import signal
import socket
import time

from chain import Background, program, run, wait_until

SLOW = "/ACME_PROD/sap/frun/x?_sim=delay:2s"


def status(chain):
    r = run([program("frunctl"), "status", "--json", "--socket", chain.path("control.sock")])
    assert r.returncode == 0, r
    return json.loads(r.stdout)


def test_gateway_finishes_what_is_under_way(make_chain):
    chain = make_chain()
    slow = [Background(chain.push, target=SLOW) for _ in range(6)]
    wait_until(lambda: len(chain.received()) == 6, "under way")
    chain.gateway.signal(signal.SIGTERM)
    assert [s.result().status for s in slow] == [200] * 6
    assert chain.gateway.wait(10) == 0


def test_gateway_says_it_is_draining(make_chain):
    chain = make_chain(gateway={"gateway": {"drain_timeout": "20s"}})
    with chain.raw() as c:
        slow = Background(chain.push, target="/ACME_PROD/sap/frun/x?_sim=delay:3s")
        wait_until(lambda: chain.received(), "under way")
        # A request whose head is half there when the drain begins is still answered.
        c.send(b"GET /sap/bc/ping HTTP/1.1\r\n")
        time.sleep(0.2)
        chain.gateway.signal(signal.SIGTERM)
        chain.gateway.wait_log("stopping")
        try:
            c.send(b"Host: push.example.com\r\n\r\n")
            a = c.answer()
            assert a.status == 503 and a.get("Connection") == "close", a
        except OSError:
            pass  # closing a connection without a complete request is allowed, too
        assert slow.result().status == 200
    assert chain.gateway.wait(10) == 0


def test_idle_connections_do_not_hold_the_gateway_up(make_chain):
    chain = make_chain()
    connections = [chain.raw() for _ in range(5)]
    for c in connections[:3]:
        c.send(chain.octets("GET", "/ACME_PROD/sap/frun/x"))
        assert c.answer().status == 200
    begin = time.monotonic()
    assert chain.gateway.stop() == 0
    assert time.monotonic() - begin < 10
    for c in connections:
        assert c.ends()
        c.close()


def test_a_kept_connection_may_ask_once_more(make_chain):
    """Its client knows nothing yet: the next request is served, and its answer is the last."""
    chain = make_chain(gateway={"gateway": {"drain_timeout": "60s", "drain_grace": "40s"}})
    with chain.raw() as c:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=b"1"))
        a = c.answer()
        assert a.status == 200 and a.get("Connection") != "close", a
        chain.gateway.signal(signal.SIGTERM)
        chain.gateway.wait_log("stopping")
        wait_until(lambda: chain.health() != 200, "it listens no more")
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=b"2"))
        a = c.answer()
        assert a.status == 200 and a.get("Connection") == "close", a
        assert c.ends()
    assert chain.gateway.wait(10) == 0
    assert "cut off" not in chain.gateway.log()


def test_no_grace(make_chain):
    chain = make_chain(gateway={"gateway": {"drain_timeout": "60s", "drain_grace": "0"}})
    with chain.raw() as c:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=b"1"))
        assert c.answer().status == 200
        assert chain.gateway.stop() == 0
        assert c.ends()


def test_connections_in_the_queue_are_served(make_chain):
    chain = make_chain(workers=2)
    chain.gateway.signal(signal.SIGSTOP)
    waiting = [socket.create_connection(("127.0.0.1", chain.port), timeout=20) for _ in range(30)]
    chain.gateway.signal(signal.SIGTERM)
    chain.gateway.signal(signal.SIGCONT)

    def serve(s):
        with chain.raw(connection=s) as c:
            c.send(chain.octets("GET", "/sap/bc/ping"))
            return c.answer().status

    # /sap/bc/ping says that the gateway stops, if it does already; but no reset, no silence.
    served = [Background(serve, s) for s in waiting]
    assert {s.result() for s in served} <= {200, 503}
    assert chain.gateway.wait(10) == 0


def test_a_tunnel_that_comes_late_is_taken(make_chain):
    """Requests that wait for a tunnel when the drain begins: it comes, and they are served."""
    chain = make_chain(gateway={"gateway": {"hold": "30s", "drain_timeout": "60s"}})
    chain.connector.kill()
    chain.gateway.wait_log("ended after")
    waiting = [Background(chain.push) for _ in range(6)]
    wait_until(lambda: status(chain)["waiting"] == 6, "they wait")
    chain.gateway.signal(signal.SIGTERM)
    chain.gateway.wait_log("stopping")
    chain.connector.start()
    assert [w.result().status for w in waiting] == [200] * 6
    assert chain.gateway.wait(10) == 0
    assert chain.connector.is_running()


def test_drain_timeout_ends_it(make_chain):
    chain = make_chain(gateway={"gateway": {"drain_timeout": "1s"}})
    slow = Background(chain.push, target="/ACME_PROD/sap/frun/x?_sim=delay:20s")
    wait_until(lambda: chain.received(), "under way")
    begin = time.monotonic()
    assert chain.gateway.stop() == 0
    assert time.monotonic() - begin < 6
    try:
        assert slow.result().status >= 500
    except OSError:
        pass


def test_a_second_signal_ends_at_once(make_chain):
    chain = make_chain()
    slow = Background(chain.push, target="/ACME_PROD/sap/frun/x?_sim=delay:15s")
    wait_until(lambda: chain.received(), "under way")
    chain.gateway.signal(signal.SIGTERM)
    chain.gateway.wait_log("stopping")
    chain.gateway.signal(signal.SIGTERM)
    chain.gateway.wait(5)
    try:
        slow.result()
    except OSError:
        pass


def test_connector_finishes_what_is_under_way(make_chain):
    chain = make_chain()
    slow = [Background(chain.push, target=SLOW) for _ in range(6)]
    wait_until(lambda: len(chain.received()) == 6, "under way")
    chain.connector.signal(signal.SIGTERM)
    assert [s.result().status for s in slow] == [200] * 6
    assert chain.connector.wait(10) == 0


def test_one_of_two_connectors_drains_without_a_lost_request(make_chain):
    chain = make_chain(connectors=("dc1-a", "dc1-b"))
    a, b = chain.connectors.values()
    wait_until(lambda: chain.gateway.log().count("dc1-b") or chain.gateway.log().count("DC1-B"),
               "the second connector is in")
    statuses = []
    for i in range(60):
        if i == 20:
            a.signal(signal.SIGTERM)
        statuses.append(chain.push().status)
    assert statuses == [200] * 60
    assert a.wait(10) == 0
    assert b.is_running()


def test_a_large_push_survives_a_draining_gateway(make_chain):
    chain = make_chain()
    with chain.raw() as c:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", [("Content-Length", "3000000")]))
        c.send(b"d" * 1000000)
        time.sleep(0.1)
        chain.gateway.signal(signal.SIGTERM)
        chain.gateway.wait_log("stopping")
        c.send(b"d" * 2000000)
        a = c.answer()
        assert a.status == 200 and a.get("Connection") == "close", a
    assert chain.gateway.wait(10) == 0
    assert chain.last()["body_bytes"] == 3000000
