# SPDX-License-Identifier: Apache-2.0
"""The daemon checks each endpoint's road with its own credentials and tells every change once."""

import json
import time

import pytest

from chain import FENCE, FRUN_USER, Background, wait_until
from sap import sap_chain
from scripted import scripted_chain
from test_direct import direct

FAST = {"system FR1": {"health_check": "yes", "health_interval": "200ms"}}
ONE = {"endpoint GLOBEX": None, "pusher globex": None}


def checks(chain):
    """What Focused Run got of the gateway itself."""
    return [r for r in chain.received() if (r.get_field("User-Agent") or "").startswith("frunproxyd")]


def said(chain, endpoint="ACME_PROD"):
    """What the log says of an endpoint's health."""
    mark = f"endpoint {endpoint}: health: "
    return [line.split(mark, 1)[1] for line in chain.gateway.log().splitlines() if mark in line]


def says(chain, text, endpoint="ACME_PROD", deadline=25):
    def seen():
        lines = said(chain, endpoint)
        return lines if any(text in line for line in lines) else None
    try:
        return wait_until(seen, f"{endpoint}: {text}", deadline)
    except AssertionError as e:
        raise AssertionError(f"{e}\n{said(chain, endpoint)}\n{chain.logs()}")


def test_up_as_a_push_would_go(make_chain):
    chain = make_chain(gateway=FAST)
    assert says(chain, "up") == ["up (was unknown)"]
    says(chain, "up", "GLOBEX")
    got = checks(chain)
    assert {g["path"] for g in got} == {"/sap/bc/ping"}
    assert {(g.all(FENCE) or ["query"])[0] for g in got} == {"acme-prod-proxy", "query"}
    for g in got:
        assert g["method"] == "GET" and "sap-client=100" in g["query"]
        assert g.all("Host") == ["fr1_frun"] and g.all("Authorization") == ["Basic " + FRUN_USER]
    assert len(said(chain)) == 1, "a state is told once"
    assert not [x for x in chain.access_lines() if "endpoint" in x], "checks are no pushes"


def test_another_client_and_path(make_chain):
    chain = make_chain(gateway={**FAST, **ONE, "endpoint ACME_PROD": {
        "health_client": "200", "health_path": "/sap/frun/alive"}})
    says(chain, "up")
    assert {(g["path"], g["query"]) for g in checks(chain)} == {("/sap/frun/alive",
                                                               "sap-client=200")}


def test_off(make_chain):
    chain = make_chain(gateway={"system FR1": FAST["system FR1"],
                                "endpoint GLOBEX": {"health_check": "no"}})
    says(chain, "up")
    assert said(chain, "GLOBEX") == []


def test_one_wrong_logon_parks_all_who_share_the_user(make_chain):
    chain = make_chain(start=False, gateway=FAST)
    chain.write("secrets/acme_prod", "wrong\n")
    chain.start()
    says(chain, "parked: logon: ")
    says(chain, "parked: logon: ", "GLOBEX")
    assert sum("the same credentials were refused" in str(said(chain, n))
               for n in ("ACME_PROD", "GLOBEX")) == 1
    time.sleep(1.5)  # seven intervals: nothing may come any more
    assert len(checks(chain)) == 1, "one failed logon, not one for each endpoint and interval"


def test_tunnel_down_and_up_again(make_chain):
    chain = make_chain(gateway={**FAST, **ONE})
    says(chain, "up")
    chain.connector.stop()
    line = says(chain, "down (was up): tunnel: ")[-1]
    assert 'location ID "DC1"' in line and "check that frunconnector runs" in line
    chain.connector.start()
    wait_until(lambda: said(chain)[-1] == "up (was down)", "up again", 25)


def test_location_nobody_serves(make_chain):
    chain = make_chain(gateway={"system FR1": {**FAST["system FR1"], "location_id": "dc1"}, **ONE},
                       wait=False)
    assert '"dc1"' in says(chain, "down (was unknown): tunnel")[-1]


@pytest.mark.parametrize("label, over, text", [
    ("no resource", {"resource ping": None}, "unverified (was unknown): resource: "),
    ("suspended", {"resource ping": {"active": "no"}}, "unverified (was unknown): resource: "),
    ("no mapping", {"system fr1_frun:443": None, "system other:443": {
        "backend_type": "ABAP System", "protocol": "HTTP", "internal_host": "127.0.0.1",
        "internal_port": "1"}, "resource frun": {"system": "other:443"},
                    "resource ping": {"system": "other:443"}}, "down (was unknown): mapping: "),
    ("no such name", {"system fr1_frun:443": {"internal_host": "nowhere.invalid"}},
     "down (was unknown): name: "),
    ("wrong CA", {"system fr1_frun:443": {"backend_ca": "tls/ca.pem"}},
     "down (was unknown): tls: "),
    ("nobody listens", {"system fr1_frun:443": {"internal_port": "1"}},
     "down (was unknown): connection: "),
])
def test_what_the_connector_says(make_chain, label, over, text):
    chain = make_chain(gateway={**FAST, **ONE}, connector=over)
    assert len(says(chain, text)) == 1, label


@pytest.mark.parametrize("label, over, text", [
    ("no such name", {"address": "nowhere.invalid:443"}, "down (was unknown): name: "),
    ("nobody listens", {"address": "127.0.0.1:1"}, "down (was unknown): connection: "),
    ("wrong authority", {"backend_ca": "../tls/ca.pem"}, "down (was unknown): tls: "),
    ("wrong name", {"server_name": "other.example.com"}, "down (was unknown): tls: "),
])
def test_direct_road(make_chain, label, over, text):
    chain = direct(make_chain, **FAST["system FR1"], **over)
    assert "; check" in says(chain, text)[0] or "; compare" in said(chain)[0], label


def scripted(make_chain, answer):
    def script(s, head, rest):
        s.sendall(answer)
        return rest
    return scripted_chain(make_chain, "direct", script, gateway={**FAST, **ONE})


@pytest.mark.parametrize("label, answer, text", [
    ("redirect", b"HTTP/1.1 302 Found\r\nLocation: https://sso.example.com/\r\n"
                 b"Content-Length: 0\r\n\r\n",
     "unverified (was unknown): logon: 302, redirected to https://sso.example.com/"),
    ("logon page", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 26\r\n\r\n"
                   b"<html><form method=\"post\">", "unverified (was unknown): logon: 200 with an HTML"),
    ("not exposed", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
     "unverified (was unknown): ping: Focused Run answered 403"),
    ("no service", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
     "unverified (was unknown): ping: Focused Run answered 404"),
    ("ill", b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n",
     "down (was unknown): ping: Focused Run answered 500"),
    ("endless head", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
     "down (was unknown): ping: "),
    ("no HTTP", b"SSH-2.0-x\r\n\r\n", "down (was unknown): ping: "),
])
def test_what_focused_run_says(make_chain, label, answer, text):
    if label == "endless head":
        def script(s, head, rest):
            s.sendall(answer)
        chain = scripted_chain(make_chain, "direct", script, gateway={**FAST, **ONE})
    else:
        chain = scripted(make_chain, answer)
    says(chain, text)
    chain.backend.stop()


def test_a_back_end_that_hangs(make_chain):
    chain = scripted_chain(make_chain, "direct", lambda s, head, rest: time.sleep(15),
                           gateway={**FAST, **ONE})
    # Three checks at the same time limit: that they end is seen in the number of requests.
    wait_until(lambda: len(chain.backend.heads) >= 2, "the first one was given up", 25)
    chain.gateway.stop()
    chain.backend.stop()


# -- through SAP's Cloud Connector

@pytest.mark.parametrize("label, spoil, text", [
    ("good", lambda sap: None, "up (was unknown)"),
    ("no Cloud Connector", lambda sap: sap.proxy.locations.clear(),
     "down (was unknown): tunnel: "),
    ("no mapping", lambda sap: sap.proxy.systems.clear(), "down (was unknown): mapping: "),
    ("no resource", lambda sap: sap.proxy.systems["frun-virtual:443"].remove("/sap/bc/ping"),
     "unverified (was unknown): resource: "),
    ("back end away", lambda sap: setattr(sap.proxy, "backend_down", True),
     "down (was unknown): back-end: "),
    ("wrong client", lambda sap: setattr(sap.tokens, "secret", "another"),
     "down (was unknown): token: "),
    ("wrong user", lambda sap: setattr(sap.proxy, "backend", lambda r: (401, "", ())),
     "parked: logon: 401"),
])
def test_sap_road(make_chain, sap, label, spoil, text):
    spoil(sap)
    chain = sap_chain(make_chain, sap, start=False)
    chain.gateway_sections["system FR1"].update(FAST["system FR1"])
    chain.gateway_sections["endpoint GLOBEX"]["health_check"] = "no"
    chain.write_gateway()
    chain.start(wait=False)
    says(chain, text)
    for r in sap.proxy.delivered:
        assert r["line"] == "GET http://frun-virtual:443/sap/bc/ping?sap-client=100 HTTP/1.1"
    if label == "wrong user":
        assert len(sap.proxy.delivered) == 1


def test_many_endpoints_are_spread(make_chain):
    """Sixty endpoints at one system: no two dozen at once, all of them up."""
    over = {f"endpoint N{i:02}": {
        "system": "FR1", "customer_network": f"N{i:02}", "admin_request_carrier": "none",
        "user": FRUN_USER, "password": "file:../secrets/acme_prod"} for i in range(60)}
    chain = make_chain(gateway={**over, "system FR1": {"health_check": "yes",
                                                       "health_interval": "2s"}})
    for i in range(60):
        says(chain, "up", f"N{i:02}", 40)


def test_stopping_in_the_middle_of_a_check(make_chain):
    chain = scripted_chain(make_chain, "direct", lambda s, head, rest: time.sleep(8),
                           gateway={**FAST, **ONE})
    wait_until(lambda: chain.backend.heads, "a check is under way")
    begun = time.monotonic()
    assert chain.gateway.stop() == 0
    assert time.monotonic() - begun < 5, "a check does not hold up the end"
    chain.backend.stop()
