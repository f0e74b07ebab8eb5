# SPDX-License-Identifier: Apache-2.0
"""GET /sap/bc/ping on the gateway's root speaks for the daemon, below a root URL for Focused Run."""

import pytest

from chain import assert_problem, wait_until


def test_healthy(chain):
    a = chain.request("GET", "/sap/bc/ping", auth=None)
    assert a.status == 200 and a.get("Content-Type").startswith("text/plain"), a
    assert a.body
    assert chain.received() == []
    a = chain.request("HEAD", "/sap/bc/ping", auth=None)
    assert a.status == 200 and a.body == b""


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_other_methods(chain, method):
    a = chain.request(method, "/sap/bc/ping", auth=None)
    assert a.status == 405 and "GET" in a.get("Allow")


def test_no_usable_route_and_back(make_chain):
    chain = make_chain(connectors=(), wait=False)
    a = chain.request("GET", "/sap/bc/ping", auth=None)
    assert a.status == 503 and a.body, "it says the reason"
    assert b"ACME" not in a.body, "strangers learn no endpoint names"
    c = chain.add_connector("dc1-a").start()
    chain.wait_healthy()
    c.stop()
    wait_until(lambda: chain.health() == 503, "the last tunnel is gone")


def test_focused_run_down_is_not_our_illness(chain):
    chain.sim.stop()
    assert chain.health() == 200
    assert_problem(chain.request("GET", "/ACME_PROD/sap/bc/ping"), 502, "frun")
    chain.start_sim()


def test_ping_through_needs_credentials_and_a_resource(make_chain):
    chain = make_chain(connector={"resource ping": None})
    assert chain.request("GET", "/ACME_PROD/sap/bc/ping", auth=None).status == 401
    assert_problem(chain.request("GET", "/ACME_PROD/sap/bc/ping"), 403, "frunconnector")
    assert chain.push().status == 200


def test_a_hundred_pings_on_one_connection(chain):
    with chain.raw() as c:
        for _ in range(100):
            c.send(b"GET /sap/bc/ping HTTP/1.1\r\nHost: push.example.com\r\n\r\n")
            assert c.answer().status == 200
