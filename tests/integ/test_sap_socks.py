# SPDX-License-Identifier: Apache-2.0
"""Through SAP's SOCKS5 proxy to a TCP mapping of a Cloud Connector: octets, TLS of our own, tokens,
errors told apart."""

import ssl

import pytest

from chain import FENCE, FRUN_USER, assert_problem, basic, many, program, run, wait_until
from sap import SECRET, sap_chain, waits_for_a_cloud_connector

GLOBEX = ("globex", "Push-Pass-4711")


def socks_chain(make_chain, sap, gateway=None, section=None, is_tls=False, **kwargs):
    system = {"protocol": "HTTPS" if is_tls else "HTTP"}
    if is_tls:
        system.update(backend_ca="../tls/ca.pem", server_name="127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sap.pki.path("gateway.pem"), sap.pki.path("gateway.key"))
        sap.socks.backend_tls = context
    sections = {"system FR1": system}
    for name, keys in (gateway or {}).items():
        sections.setdefault(name, {}).update(keys)
    return sap_chain(make_chain, sap, sections, {"via": "socks5", **(section or {})}, **kwargs)


@pytest.mark.parametrize("is_tls", [False, True])
def test_push(make_chain, sap, is_tls):
    chain = socks_chain(make_chain, sap, is_tls=is_tls)
    forged = [("Proxy-Authorization", "Bearer forged"),
              ("SAP-Connectivity-SCC-Location_ID", "DC2")]
    with chain.raw() as c:
        for _ in range(3):
            c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x?a=1", forged, body=b"{}"))
            answer = c.answer()
            assert answer.status == 200 and answer.body == b"got it"
    got = sap.socks.delivered
    assert got[0]["line"] == "POST /sap/frun/x?a=1 HTTP/1.1"
    for r in got:
        assert sap.socks.get(r, "Host") == "frun-virtual"
        assert sap.socks.get(r, "Authorization") == basic(FRUN_USER, "Frun-Pass-0815")
        assert sap.socks.get(r, FENCE) == "acme-prod-proxy"
        assert r["body"] == b"{}"
        for name in ("Proxy-Authorization", "SAP-Connectivity-SCC-Location_ID"):
            assert sap.socks.get(r, name) is None
    assert sap.socks.dials == [(True, "DC1", "frun-virtual", 443)]
    assert sap.proxy.requests == [] and len(sap.tokens.requests) == 1
    line = chain.pushes_logged(3)[-1]
    assert line["route"] == "sap-connectivity" and line["by"] == "focused-run"
    log = chain.gateway.log()
    assert SECRET not in log and "eyJ" not in log


def test_large_bodies_and_long_lines_go_through(make_chain, sap):
    """TCP knows no lines: the 8192 octets of the HTTP proxy are none of this road's."""
    sap.socks.backend = lambda r: (200, r["body"], ())
    chain = socks_chain(make_chain, sap, {"gateway": {"max_target": "32K", "max_head": "64K"}},
                        is_tls=True)
    body = bytes(range(256)) * 8192
    assert chain.push(body=body).body == body
    answer = chain.push(target="/ACME_PROD/sap/frun/x?" + "a" * 20000,
                        fields=[("X-Long", "b" * 9000)], body=b"x")
    assert answer.status == 200 and answer.body == b"x"


def test_empty_location(make_chain, sap):
    sap.socks.locations = {""}
    chain = socks_chain(make_chain, sap, {"system FR1": {"location_id": ""}})
    assert chain.push().status == 200
    assert sap.socks.dials[0][1] == ""


def test_one_connection_is_of_one_location_and_system(make_chain, sap):
    sap.socks.locations = {"DC1", "DC2"}
    sap.socks.systems.add(("frun-other", 8443))
    chain = socks_chain(make_chain, sap, {"endpoint GLOBEX": {
        "location_id": "DC2", "virtual_host": "frun-other:8443"}}, workers=1)

    def both():
        return [chain.push().status,
                chain.push(target="/GLOBEX/sap/frun/x", auth=GLOBEX).status]
    assert set(sum(many(10, both), [])) == {200}
    for r in sap.socks.delivered:
        want = ("DC1", "frun-virtual:443", "acme-prod-proxy")
        if r["connection"]["location"] == "DC2":
            want = ("DC2", "frun-other:8443", sap.socks.get(r, FENCE))
            assert want[2] != "acme-prod-proxy"
        assert (r["connection"]["location"], r["connection"]["system"],
                sap.socks.get(r, FENCE)) == want


@pytest.mark.parametrize("label, fault, status, kind", [
    ("backend closed", {"reply": 1}, 502, "backend_unreachable"),
    ("no mapping", {"systems": set()}, 403, "access_denied_system"),
    ("no connector", {"locations": set()}, 503, "no_tunnel"),
    ("backend away", {"reply": 4}, 502, "backend_unreachable"),
    ("logon at the end", {"reply": 5}, 502, "proxy_auth"),
    ("command", {"reply": 7}, 502, "no_socks5"),
    ("not ours", {"logon_fault": b"HTTP/1.1 400 Bad Request"}, 502, "no_socks5"),
])
def test_refusals(make_chain, sap, label, fault, status, kind):
    for name, value in fault.items():
        setattr(sap.socks, name, value)
    chain = socks_chain(make_chain, sap, {"gateway": {"hold": "300ms"}})
    for _ in range(3):
        answer = chain.push()
        assert_problem(answer, status)
        assert f'details="{kind}"' in answer.get("Proxy-Status"), label
    lines = chain.pushes_logged(3)
    assert {x["error"] for x in lines} == {kind}
    assert sap.socks.delivered == []
    told = [x for x in chain.gateway.log().splitlines() if kind in x and '"status"' not in x]
    assert len(told) == 1, told  # a state, not each request
    assert "eyJ" not in chain.gateway.log()


def test_refused_token_is_replaced_once(make_chain, sap):
    chain = socks_chain(make_chain, sap, section={"keepalive": "0"})
    assert chain.push().status == 200
    sap.tokens.revoke()
    assert {a.status for a in many(20, chain.push)} == {200}
    assert len(sap.tokens.requests) == 2
    line = [x for x in chain.pushes_logged(21) if x.get("repeats")]
    assert line and all(x["repeats"] == 1 for x in line)


def test_proxy_that_never_accepts_makes_no_loop(make_chain, sap):
    chain = socks_chain(make_chain, sap, section={"keepalive": "0"})
    assert chain.push().status == 200
    sap.socks.logon_fault = b"\x01\x01"
    for _ in range(5):
        assert_problem(chain.push(), 502)
    assert len(sap.tokens.requests) == 2
    assert chain.pushes_logged(6)[-1]["error"] == "proxy_auth"


def test_answers_are_focused_runs_own(make_chain, sap):
    """What reads like SAP's proxy comes from behind it: this road ends at Focused Run."""
    page = "There is no SAP Cloud Connector (SCC) connected to your subaccount"
    sap.socks.backend = lambda r: (503, page, ("X-Own: 1",))
    chain = socks_chain(make_chain, sap)
    for _ in range(2):
        answer = chain.push()
        assert answer.status == 503 and answer.body.decode() == page
        assert answer.get("X-Own") == "1" and answer.get("Proxy-Status") is None
    assert {x["by"] for x in chain.pushes_logged(2)} == {"focused-run"}


def test_circuit(make_chain, sap):
    sap.socks.locations = set()
    chain = socks_chain(make_chain, sap, {"gateway": {"hold": "20s"}}, workers=1,
                        section={"retry_min": "400ms", "retry_max": "1s"})
    waits_for_a_cloud_connector(chain, sap.socks, sap.socks.dials)


def test_focused_run_that_is_not_trusted(make_chain, sap):
    chain = socks_chain(make_chain, sap, {"system FR1": {"server_name": "frun.example.com"}},
                        is_tls=True)
    sap.socks.backend_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    sap.socks.backend_tls.load_cert_chain(sap.pki.path("gateway.pem"), sap.pki.path("gateway.key"))
    assert_problem(chain.push(), 502)
    assert sap.socks.delivered == []
    assert "does not carry the name frun.example.com" in chain.pushes_logged(1)[0]["note"]


@pytest.mark.parametrize("label, key, gateway, says", [
    ("port", {"onpremise_socks5_proxy_port": None}, {}, "give proxy_port here, 20004 as a rule"),
    ("CA", {}, {"system FR1": {"protocol": "HTTPS"}}, "via = socks5 with protocol HTTPS needs "
                                                      "backend_ca"),
])
def test_check(make_chain, sap, label, key, gateway, says):
    chain = socks_chain(make_chain, sap, gateway, key=sap.key(**key), start=False)
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini"), "--check"])
    assert r.returncode == 78 and says in r.stderr, (label, r.stderr)
