# SPDX-License-Identifier: Apache-2.0
"""Logging on to Focused Run by certificate: the connector's system certificate, and the gateway's
own on the direct route."""

import os
import ssl

import pytest

from chain import FRUN_USER, assert_problem, basic, program, run
from sap import Sap, Server, sap_chain
from test_control import ctl_json


class FocusedRun(Server):
    """Asks for a client certificate, and notes what came."""

    def __init__(self, pki, ca="connectors-ca.pem", mode=ssl.CERT_REQUIRED):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.path("frun.pem"), pki.path("frun.key"))
        context.verify_mode = mode
        context.load_verify_locations(pki.path(ca))
        self.requests = []
        super().__init__(context)

    def handle(self, s, request):
        with self.lock:
            self.requests.append(request)
        return self.answer(s, 200, "got it")

    def subject(self, request):
        certificate = request["connection"]["certificate"] or {}
        return dict(x[0] for x in certificate.get("subject", ())).get("commonName")


@pytest.fixture
def frun(pki):
    it = FocusedRun(pki)
    yield it
    it.stop()


LOGON = {"system_certificate": "tls/dc1-b.pem", "system_private_key": "tls/dc1-b.key",
         "system_certificate_for_logon": "yes"}


@pytest.mark.parametrize("credentials", ["keep", "drop"])
def test_connector(make_chain, frun, credentials):
    chain = make_chain(has_sim=False, connector={"system fr1_frun:443": {
        **LOGON, "basic_credentials": credentials, "internal_port": str(frun.port)}})
    forged = [("SSL_CLIENT_CERT", "forged"), ("Ssl-Client-Cert-Chain-1", "forged")]
    assert chain.push(fields=forged).body == b"got it"
    r = frun.requests[0]
    assert frun.subject(r) == "dc1-b"
    kept = basic(FRUN_USER, "Frun-Pass-0815") if credentials == "keep" else None
    assert frun.get(r, "Authorization") == kept
    assert "forged" not in str(r["fields"])
    assert frun.get(r, "SSL_CLIENT_CERT") is None


def test_connector_without_the_certificate_is_refused(make_chain, frun):
    chain = make_chain(has_sim=False, connector={"system fr1_frun:443": {
        "internal_port": str(frun.port)}})
    answer = chain.push()
    assert_problem(answer, 502, "frunconnector")
    assert b"does not accept this connector's system certificate" in answer.body
    assert frun.requests == []


CERTIFICATE = {"user": None, "password": None, "auth": "certificate",
               "client_certificate": "../tls/dc1-b.pem", "client_key": "../tls/dc1-b.key"}


def own(chain, **over):
    for name in ("endpoint ACME_PROD", "endpoint GLOBEX"):
        section = chain.gateway_sections[name]
        for key, value in {**CERTIFICATE, **over}.items():
            section.pop(key, None)
            if value is not None:
                section[key] = value
    return chain


def direct(make_chain, port):
    chain = make_chain(connectors=(), has_sim=False, start=False, gateway={
        "tunnel": None, "connector DC1-A": None, "connector DC1-B": None,
        "system FR1": {"route": "direct", "address": f"127.0.0.1:{port}",
                       "backend_ca": "../tls/frun-ca.pem"}})
    chain.gateway_sections["system FR1"].pop("location_id")
    return chain


def test_direct(make_chain, frun):
    chain = own(direct(make_chain, frun.port))
    chain.gateway_sections["endpoint GLOBEX"].update(client_certificate="../tls/dc1-a.pem",
                                                     client_key="../tls/dc1-a.key")
    chain.write_gateway()
    chain.start()
    forged = [("SSL_CLIENT_CERT", "forged")]
    assert chain.push(fields=forged).body == b"got it"
    answer = chain.push(target="/GLOBEX/sap/frun/x", auth=("globex", "Push-Pass-4711"))
    assert answer.status == 200
    assert [frun.subject(r) for r in frun.requests] == ["dc1-b", "dc1-a"]
    listed = ctl_json(chain, "certificate", "list")["certificates"]
    assert sorted(c["name"] for c in listed if c["what"] == "system") == ["ACME_PROD", "GLOBEX"]
    for r in frun.requests:
        assert frun.get(r, "Authorization") is None and "forged" not in str(r["fields"])


def test_by_socks5(make_chain, pki):
    sap = Sap(pki)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.path("frun.pem"), pki.path("frun.key"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.path("connectors-ca.pem"))
    sap.socks.backend_tls = context
    chain = own(sap_chain(make_chain, sap, {"system FR1": {
        "backend_ca": "../tls/frun-ca.pem", "server_name": "frun.corp"}}, {"via": "socks5"},
        start=False))
    chain.write_gateway()
    chain.start()
    assert chain.push().status == 200
    assert sap.socks.get(sap.socks.delivered[0], "Authorization") is None
    sap.stop()


@pytest.mark.parametrize("label, over, says", [
    ("no pair", {"client_key": None}, "client_certificate: needs client_key too"),
    ("foreign key", {"client_key": "../tls/dc1-a.key"}, "does not belong to the certificate"),
    ("password", {"user": "U", "password": "file:../secrets/acme_prod"}, "is for auth = basic"),
    ("token", {"token_url": "https://x.example.com/t"}, "needs auth = oauth2 too"),
])
def test_check(make_chain, frun, label, over, says):
    chain = own(direct(make_chain, frun.port), **over)
    chain.write_gateway()
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini"), "--check"])
    assert r.returncode == 78 and says in r.stderr, (label, r.stderr)


def test_check_on_the_tunnel(make_chain):
    chain = own(make_chain(start=False))
    chain.write_gateway()
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini"), "--check"])
    assert r.returncode == 78 and "system_certificate_for_logon in frunconnector.ini" in r.stderr


def test_key_that_everybody_can_read(make_chain):
    chain = make_chain(start=False, connector={"system fr1_frun:443": {
        **LOGON, "system_private_key": "open.key"}})
    with open(chain.pki.path("dc1-b.key"), encoding="ascii") as f:
        chain.write("open.key", f.read())
    for mode, is_told in ((0o644, True), (0o640, False)):
        os.chmod(chain.path("open.key"), mode)
        r = run([program("frunconnector"), "--config", chain.path("dc1-a.ini"), "--check"])
        assert r.returncode == 0, r.stderr
        told = "system_private_key: " in r.stderr and "can be read or written by everybody" in \
            r.stderr
        assert told == is_told, r.stderr
