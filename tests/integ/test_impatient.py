# SPDX-License-Identifier: Apache-2.0
"""A sender that keeps nothing and does not wait: what it sent completely is delivered all the same."""

import time

import pytest

from tools import wait_until


def line_of(chain, request_id):
    return wait_until(lambda: [x for x in chain.access_lines() if request_id in x.values()],
                      "access line", 10)[0]


def leave(chain, method, body, length=None):
    name = f"impatient-{method}-{length}"
    fields = [("X-Request-ID", name)]
    octets = chain.octets(method, "/ACME_PROD/sap/frun/x?_sim=delay:1s", fields, body=body)
    if length is not None:
        octets = octets.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % length)
    with chain.raw() as c:
        c.send(octets)
        wait_until(lambda: any(g["path"] == "/sap/frun/x" for g in chain.received())
                   or length is not None, "Focused Run has it", 10)
    return line_of(chain, name)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_complete_push_is_delivered(make_chain, method):
    chain = make_chain()
    assert chain.push().status == 200
    line = leave(chain, method, b"metrics")
    assert line["status"] == 200 and line["by"] == "focused-run", line
    assert line["note"] == "the sender went away before the answer", line
    assert line["bytes_in"] == 7 and line["bytes_out"] == 0, line
    assert chain.push().status == 200


def test_query_is_cancelled(make_chain):
    chain = make_chain()
    assert chain.push().status == 200
    line = leave(chain, "GET", None)
    assert line["status"] == 0 and line["error"] == "connection_terminated", line
    assert chain.push().status == 200


def test_incomplete_push_is_cancelled(make_chain):
    chain = make_chain()
    assert chain.push().status == 200
    line = leave(chain, "POST", b"metrics", 70)
    assert line["status"] == 0, line
    assert chain.push().status == 200


def test_push_that_waits_for_a_tunnel_is_delivered(make_chain):
    chain = make_chain()
    assert chain.push().status == 200
    chain.connector.stop()
    chain.forget()
    with chain.raw() as c:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/held", [("X-Request-ID", "held-one")],
                            body=b"metrics"))
        time.sleep(0.3)
    chain.connector.start()
    line = line_of(chain, "held-one")
    assert line["status"] == 200 and line["by"] == "focused-run", line
    assert [g["body"] for g in chain.received()] == ["metrics"]
