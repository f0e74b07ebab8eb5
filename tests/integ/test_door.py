# SPDX-License-Identifier: Apache-2.0
"""Who may dial in: the certificate decides, for each location ID; connectors share a location."""

import contextlib
import socket
import ssl

import pytest

from chain import assert_problem, wait_until

TWO = {"connector DC2-A": {"certificate_subject": "CN=dc2-a", "location_id": "DC2"},
       "endpoint GLOBEX": {"location_id": "DC2"}}


def hello(location="DC1"):
    return (b"GET /.well-known/ptth/x/ HTTP/1.1\r\nHost: push.example.com\r\n"
            b"Connection: upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\n\r\n")


def test_each_location_has_its_connectors(make_chain):
    chain = make_chain(gateway=TWO)
    chain.add_connector("dc2-a", {"subaccount provider": {"location_id": "DC2"}}).start()
    assert chain.push().status == 200
    wait_until(lambda: chain.push(target="/GLOBEX/sap/frun/x",
                                  auth=("globex", "Push-Pass-4711")).status == 200, "DC2 is there")
    chain.connectors["dc1-a"].stop()
    chain.gateway.wait_log("dc1-a") if "dc1-a" in chain.gateway.log() else None
    a = chain.push(timeout=20)
    assert_problem(a, 503)
    assert chain.push(target="/GLOBEX/sap/frun/x", auth=("globex", "Push-Pass-4711")).status == 200


@pytest.mark.parametrize("label, name, location", [
    ("certificate that is not listed", "nobody", "DC1"),
    ("location that is not allowed", "dc2-a", "DC1"),
    ("location in other case", "dc1-a", "dc1"),
    ("no location", "dc1-a", ""),
])
def test_refused(make_chain, label, name, location):
    chain = make_chain(gateway=dict(TWO, gateway={"hold": "500ms"}), connectors=(), wait=False)
    over = {"subaccount provider": {"location_id": location or None}}
    c = chain.add_connector(name, over).start()
    c.wait_log("403")
    assert c.is_running(), "it goes on trying"
    assert_problem(chain.push(), 503)


def test_forged_authority(make_chain):
    chain = make_chain(gateway={"gateway": {"hold": "500ms"}}, connectors=(), wait=False)
    c = chain.add_connector("dc1-a", {"connector": {"certificate": "tls/forged.pem",
                                                    "private_key": "tls/forged.key"}}).start()
    before = len(c.log())
    wait_until(lambda: c.log().count(str(chain.tunnel_port)) >= 2 and len(c.log()) > before,
               "two tries")
    assert_problem(chain.push(), 503)
    assert chain.health() == 503


def test_connector_checks_the_gateway(make_chain):
    chain = make_chain(gateway={"gateway": {"hold": "500ms"}}, connectors=(), wait=False)
    c = chain.add_connector("dc1-a", {"subaccount provider": {
        "gateway_ca": "tls/stranger-ca.pem"}}).start()
    wait_until(lambda: "certificate" in c.log().lower(), "it tells why")
    assert_problem(chain.push(), 503)


def test_connector_checks_the_gateways_name(make_chain):
    chain = make_chain(gateway={"gateway": {"hold": "500ms"}}, connectors=(), wait=False)
    c = chain.add_connector("dc1-a", {"subaccount provider": {
        "server_name": "elsewhere.example.com"}}).start()
    wait_until(lambda: c.log().count(str(chain.tunnel_port)) >= 2, "two tries")
    assert_problem(chain.push(), 503)


def test_without_certificate_nobody_gets_in(chain):
    with pytest.raises((ssl.SSLError, OSError)):
        with chain.raw(port=chain.tunnel_port) as c:
            c.send(hello())
            c.head()


def test_strangers_do_not_fill_the_log(make_chain):
    chain = make_chain(workers=1)
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", chain.tunnel_port)) as s:
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            s.settimeout(10)
            with contextlib.suppress(OSError):
                while s.recv(4096):
                    pass
    told = chain.gateway.log().count("failed before it became a tunnel")
    assert 1 <= told <= 50, "some lines in ten seconds, not one for each"
    socket.create_connection(("127.0.0.1", chain.tunnel_port)).close()
    chain.gateway.wait_log("ended before it became a tunnel")  # a balancer's look, at debug
    assert chain.push().status == 200


def test_tls_1_2_is_not_enough_for_a_tunnel(chain):
    with pytest.raises((ssl.SSLError, OSError)):
        with chain.raw(port=chain.tunnel_port, certificate=chain.pki.path("dc1-a"),
                       version=ssl.TLSVersion.TLSv1_2) as c:
            c.send(hello())
            c.head()


@pytest.mark.parametrize("label, octets", [
    ("no upgrade", b"GET /.well-known/ptth/x/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("another path", b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: ptth\r\n"
                     b"ALPN: h2\r\n\r\n"),
    ("no identity", hello()),
    ("POST", hello().replace(b"GET", b"POST")),
    ("no HTTP", b"nonsense\r\n\r\n"),
])
def test_odd_hellos_are_ordinary_errors(chain, label, octets):
    with chain.raw(port=chain.tunnel_port, certificate=chain.pki.path("dc1-a")) as c:
        c.send(octets)
        assert 400 <= c.head().status < 600, label
    assert chain.push().status == 200


def test_front_door_takes_tls_1_2_and_1_3(chain):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert chain.push(version=version).status == 200


def test_least_in_flight_wins(make_chain):
    chain = make_chain(connectors=("dc1-a", "dc1-b"))
    wait_until(lambda: all(n in chain.gateway.log().lower() for n in ("dc1-a", "dc1-b")), "both")
    connections = [chain.raw() for _ in range(30)]
    for c in connections:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x?_sim=delay:1s", body=b"{}"))
    assert [c.answer().status for c in connections] == [200] * 30
    names = {v for line in chain.pushes_logged(30) for v in map(str, line.values())
             if v.upper() in ("DC1-A", "DC1-B")}
    assert len(names) == 2, names
