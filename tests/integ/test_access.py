# SPDX-License-Identifier: Apache-2.0
"""Access control on the connector: default deny, judged for every request, denials audited."""

import pytest

from chain import assert_problem, wait_until


@pytest.mark.parametrize("label, over", [
    ("no resource", {"resource frun": None}),
    ("suspended", {"resource frun": {"active": "no"}}),
    ("another path", {"resource frun": {"path": "/sap/fru"}}),
    ("path only", {"resource frun": {"policy": "path-only"}}),
    ("other virtual host", {"system fr1_frun:443": None, "system other:443": {
        "backend_type": "ABAP System", "protocol": "HTTPS", "internal_host": "127.0.0.1",
        "internal_port": "1", "backend_ca": "tls/frun-ca.pem"},
        "resource frun": {"system": "other:443"}, "resource ping": {"system": "other:443"}}),
    ("other virtual port", {"system fr1_frun:443": None, "system fr1_frun:444": {
        "backend_type": "ABAP System", "protocol": "HTTPS", "internal_host": "127.0.0.1",
        "internal_port": "1", "backend_ca": "tls/frun-ca.pem"},
        "resource frun": {"system": "fr1_frun:444"}, "resource ping": {"system": "fr1_frun:444"}}),
])
def test_denied(make_chain, label, over):
    chain = make_chain(connector=over)
    assert_problem(chain.push(fields=[("X-Request-ID", "denied-one")]), 403, "frunconnector")
    assert chain.received() == [], label
    wait_until(lambda: "/sap/frun/ngdci" in chain.connector.log(), "audit line")
    audit = [x for x in chain.connector.log().splitlines() if "/sap/frun/ngdci" in x]
    assert any("den" in x.lower() and "fr1_frun" in x for x in audit), audit


def test_exact_path_of_path_only(make_chain):
    chain = make_chain(connector={"resource frun": {"path": "/sap/frun/ngdci",
                                                    "policy": "path-only"}})
    assert chain.push(target="/ACME_PROD/sap/frun/ngdci?a=1").status == 200
    assert_problem(chain.push(target="/ACME_PROD/sap/frun/ngdci/x"), 403, "frunconnector")
    assert_problem(chain.push(target="/ACME_PROD/sap/frun/ngdc"), 403, "frunconnector")


def test_virtual_host_is_compared_without_case(make_chain):
    chain = make_chain(gateway={"system FR1": {"virtual_host": "FR1_Frun"}})
    assert chain.push().status == 200


def test_host_in_request_header_internal(make_chain):
    chain = make_chain(connector={"system fr1_frun:443": {"host_in_request_header": "internal"}})
    assert chain.push().status == 200
    got = chain.last()
    assert got.all("Host") == [f"127.0.0.1:{chain.sim_port}"]
    assert any("fr1_frun" in v for v in got.all("X-Forwarded-Host")), got["fields"]


def test_http_to_the_back_end(make_chain):
    chain = make_chain(sim_plain=True)
    assert chain.push().status == 200
    assert chain.last()["tls"] is None
    assert chain.last().all("Host") == ["fr1_frun"]


@pytest.mark.parametrize("label, over", [
    ("no authority: nothing is trusted", {"backend_ca": None}),
    ("wrong authority", {"backend_ca": "tls/ca.pem"}),
    ("wrong name", {"server_name": "other.example.com"}),
])
def test_back_end_certificate(make_chain, label, over):
    chain = make_chain(connector={"system fr1_frun:443": over}, start=False)
    chain.start(wait=False)
    wait_until(lambda: chain.health() == 200 or not chain.connector.is_running(), "decided")
    if not chain.connector.is_running():
        # A connector may also refuse to start without an authority: default deny either way.
        assert label.startswith("no authority") and "backend_ca" in chain.connector.log()
        chain.connectors.clear()
        return
    chain.wait_healthy()
    assert_problem(chain.push(), 502, "frun")
    assert chain.received() == []


def test_server_name_of_the_back_end(make_chain):
    chain = make_chain(connector={"system fr1_frun:443": {"server_name": "frun.corp"}})
    assert chain.push().status == 200
    assert chain.last()["sni"] == "frun.corp"


def test_system_certificate_is_shown_only_for_logon(make_chain):
    certificate = {"system_certificate": "tls/dc1-b.pem", "system_private_key": "tls/dc1-b.key"}
    sim = None
    for logon in ("no", "yes"):
        chain = make_chain(connector={"system fr1_frun:443": dict(
            certificate, system_certificate_for_logon=logon)}, start=False)
        chain.sim.argv += ["--client-ca", chain.pki.path("connectors-ca.pem")]
        chain.start()
        assert chain.push(fields=[("SSL_CLIENT_CERT", "forged")]).status == 200
        got = chain.last()
        sent = [v for n, v in got["fields"] if n.lower().replace("_", "-") == "ssl-client-cert"]
        if logon == "yes":
            assert "dc1-b" in (got["client_certificate"] or "") and sent == []
        else:
            assert sent == [""]
        sim = chain
    assert sim
