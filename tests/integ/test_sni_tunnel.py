# SPDX-License-Identifier: Apache-2.0
"""The tunnel on the gateway's own port, told apart by SNI; client certificates asked for there only."""

import ssl

import pytest

from chain import Raw
from test_control import ctl_json
from tools import wait_until

CHAIN = {"gateway": {"tunnel": {"listen": None, "server_name": "tunnel.example.com"}}}


@pytest.fixture(scope="module")
def _shared(tmp_path_factory, pki):
    from chain import Chain
    chain = Chain(tmp_path_factory.mktemp("shared"), pki, connectors=(), **CHAIN)
    chain.dial_port = chain.port
    chain.add_connector("dc1-a", {"subaccount provider": {"server_name": "tunnel.example.com"}})
    try:
        chain.start()
        yield chain
        chain.stop()
    finally:
        chain.kill()


def test_a_push_goes_through(shared):
    assert shared.push().status == 200
    assert shared.last()["network"] == "ACME PROD"


def test_a_pusher_is_not_asked_for_a_certificate(shared):
    # A certificate of an authority that nobody knows would be refused if it were asked for.
    with shared.raw(certificate=shared.pki.path("forged")) as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
        assert c.answer().status == 200


def test_the_tunnel_name_wants_a_certificate(shared):
    with pytest.raises((ssl.SSLError, OSError)):
        with shared.raw(name="tunnel.example.com") as c:
            c.send(b"GET /sap/bc/ping HTTP/1.1\r\nHost: tunnel.example.com\r\n\r\n")
            c.head()


def test_no_front_door_behind_the_tunnel_name(shared):
    with shared.raw(name="tunnel.example.com", certificate=shared.pki.path("dc1-a")) as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
        assert c.head().status >= 400
    assert shared.received() == []


def test_no_tunnel_behind_the_front_door(shared):
    """A hello without the tunnel's SNI name comes without a certificate: it is just a path."""
    with shared.raw(certificate=shared.pki.path("dc1-a")) as c:
        c.send(b"GET /.well-known/ptth/x/ HTTP/1.1\r\nHost: push.example.com\r\n"
               b"Connection: upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\n\r\n")
        assert c.head().status in (400, 401, 403, 404)


def test_the_name_is_compared_without_case(shared):
    with pytest.raises((ssl.SSLError, OSError)):
        with Raw(shared.port, shared.pki.path("ca.pem"), "TUNNEL.example.com") as c:
            c.send(b"GET /sap/bc/ping HTTP/1.1\r\nHost: tunnel.example.com\r\n\r\n")
            assert c.head().status == 200


def test_a_refused_certificate_is_told(shared):
    """Whoever looks for the connector that its subject names sees why it does not come."""
    with pytest.raises((ssl.SSLError, OSError)):
        with shared.raw(name="tunnel.example.com", certificate=shared.pki.path("forged")) as c:
            c.send(b"GET / HTTP/1.1\r\nHost: tunnel.example.com\r\n\r\n")
            c.head()

    def last():
        return ctl_json(shared, "connector", "list")["connectors"][0]["last_error"]
    wait_until(lambda: "refused: a certificate with its subject, from 127.0.0.1" in last(), "it is told")
    assert "not signed by the configured CA" in last()
    assert shared.push().status == 200
