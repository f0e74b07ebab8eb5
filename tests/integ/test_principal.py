# SPDX-License-Identifier: Apache-2.0
"""Principal propagation: who pushes reaches Focused Run as a short-lived certificate of the
connector's own CA, over a connection on which both sides have shown theirs."""

import base64
import ssl
import subprocess
import threading

import pytest

from chain import PASSWORD, assert_problem, program, run, wait_until
from test_certificate_logon import FocusedRun
from test_control import ctl_json

GLOBEX = ("globex", PASSWORD)
PRINCIPALS = {"system_certificate": "tls/dc1-b.pem", "system_private_key": "tls/dc1-b.key",
              "principal_ca_certificate": "tls/stranger-ca.pem",
              "principal_ca_key": "tls/stranger-ca.key"}


@pytest.fixture
def frun(pki):
    it = FocusedRun(pki)
    yield it
    it.stop()


def make(make_chain, frun, over=None, endpoint=None, pusher=None, **kwargs):
    chain = make_chain(has_sim=False, start=False, connector={"system fr1_frun:443": {
        **PRINCIPALS, "internal_port": str(frun.port), **(over or {})}}, **kwargs)
    for name in ("endpoint ACME_PROD", "endpoint GLOBEX"):
        chain.gateway_sections[name].update({"propagate_principal": "yes", **(endpoint or {})})
    chain.gateway_sections["pusher s4-acme"].update(pusher or {})
    chain.write_gateway()
    return chain


class Certificate:
    """What openssl says of an SSL_CLIENT_CERT."""

    def __init__(self, pki, value):
        self.pki = pki
        self.der = base64.b64decode(value, validate=True)
        self.pem = ssl.DER_cert_to_PEM_cert(self.der)

    def show(self, *args):
        return subprocess.run(["openssl", "x509", "-noout", *args], input=self.pem.encode(),
                              check=True, capture_output=True).stdout.decode().strip()

    @property
    def subject(self):
        return self.show("-subject", "-nameopt", "RFC2253").removeprefix("subject=")

    def verify(self, ca):
        r = subprocess.run(["openssl", "verify", "-purpose", "sslclient", "-x509_strict",
                            "-CAfile", self.pki.path(ca)], input=self.pem.encode(),
                           capture_output=True, check=False)
        return r.returncode == 0

    def lives(self, seconds):
        r = subprocess.run(["openssl", "x509", "-noout", "-checkend", str(seconds)],
                           input=self.pem.encode(), capture_output=True, check=False)
        return r.returncode == 0


FORGED = [("frun-principal", base64.b64encode(b"DDIC").decode()), ("SSL_CLIENT_CERT", "forged"),
          ("FRUN_PRINCIPAL", "forged"), ("Ssl-Client-Cert", "forged"),
          ("SSL_CLIENT_CERT_CHAIN_1", "forged"), ("SSL_CIPHER_SUITE", "forged")]


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_certificate(make_chain, frun, pki, kind):
    over = {"principal_subject": "CN=${name}, OU=Pushers, O=ACME", "principal_lifetime": "10 m"}
    ca = "stranger-ca.pem"
    if kind == "rsa":
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3",
                        "-subj", "/CN=rsa-ca", "-keyout", pki.path("rsa-ca.key"),
                        "-out", pki.path("rsa-ca.pem"), "-config", pki.path("openssl.cnf"),
                        "-addext", "basicConstraints=critical,CA:TRUE",
                        "-addext", "keyUsage=critical,keyCertSign"],
                       check=True, capture_output=True)
        ca = "rsa-ca.pem"
        over.update(principal_ca_certificate=pki.path(ca), principal_ca_key=pki.path("rsa-ca.key"))
    chain = make(make_chain, frun, over).start()
    for _ in range(3):
        assert chain.push(fields=FORGED).body == b"got it"
    values = set()
    for r in frun.requests:
        assert frun.subject(r) == "dc1-b"
        assert frun.get(r, "Authorization") is None
        assert "forged" not in str(r["fields"]) and FORGED[0][1] not in str(r["fields"])
        assert not [n for n, _ in r["fields"] if n.lower().startswith("frun")]
        values.add(frun.get(r, "SSL_CLIENT_CERT"))
    assert len(values) == 1, "it is kept"
    certificate = Certificate(pki, values.pop())
    assert certificate.subject == "CN=s4push,OU=Pushers,O=ACME"
    assert certificate.verify(ca)
    assert certificate.lives(500) and not certificate.lives(601)
    listed = ctl_json(chain, "certificate", "list", socket_name="dc1-a.sock")["certificates"]
    assert {"system", "principal-ca"} <= {c["what"] for c in listed}
    log = chain.connector.log()
    assert "PRIVATE" not in log


def test_name_of_the_pusher(make_chain, frun, pki):
    """Whatever it is, it stays a name: no RDN of its own."""
    chain = make(make_chain, frun, {"principal_subject": "CN=${name},O=ACME"},
                 pusher={"principal": "Push, O=SAP+OU=x \"q\" \u00fc"}).start()
    assert chain.push().status == 200
    got = Certificate(pki, frun.get(frun.requests[0], "SSL_CLIENT_CERT"))
    assert got.subject == 'CN=Push\\, O=SAP\\+OU=x \\"q\\" \\C3\\BC,O=ACME'


def test_two_never_mixed(make_chain, frun, pki):
    chain = make(make_chain, frun).start()
    status = []

    def push(i):
        target, auth = ("/ACME_PROD/sap/frun/acme", None) if i % 2 else ("/GLOBEX/sap/frun/globex",
                                                                        GLOBEX)
        status.append(chain.push(target=target, **({"auth": auth} if auth else {})).status)
    threads = [threading.Thread(target=push, args=(i,)) for i in range(60)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert status == [200] * 60
    seen = {}
    for r in frun.requests:
        who = "globex" if "/globex" in r["line"] else "acme"
        seen.setdefault(who, set()).add(frun.get(r, "SSL_CLIENT_CERT"))
    assert {who: {Certificate(pki, v).subject for v in values} for who, values in seen.items()} == \
        {"globex": {"CN=globex"}, "acme": {"CN=s4push"}}


def test_off_by_default(make_chain, frun):
    """Only one end is asked to: nobody is told, everything else goes on as before."""
    chain = make(make_chain, frun, {"principal_ca_certificate": None, "principal_ca_key": None})
    chain.start()
    assert chain.push(fields=FORGED).status == 200
    r = frun.requests[0]
    assert frun.get(r, "SSL_CLIENT_CERT") == "" and frun.get(r, "Authorization")
    assert not [n for n, _ in r["fields"] if n.lower().startswith("frun")]


def test_checks_of_the_road_are_nobodys(make_chain, frun):
    """The gateway's own requests have no pusher: the endpoint's technical user speaks for them."""
    chain = make(make_chain, frun, endpoint={"health_check": "yes", "health_interval": "200ms"})
    chain.start()

    def checks():
        return [r for r in frun.requests if "/sap/bc/ping" in r["line"]]
    wait_until(lambda: len(checks()) > 2, "checks", 20)
    for r in checks():
        assert frun.get(r, "SSL_CLIENT_CERT") == "" and frun.get(r, "Authorization")
        assert not [n for n, _ in r["fields"] if n.lower().startswith("frun")]
    assert chain.push().body == b"got it"
    assert [r for r in frun.requests if frun.get(r, "SSL_CLIENT_CERT")]


def test_gateway_that_does_not_say(make_chain, frun):
    chain = make(make_chain, frun, endpoint={"propagate_principal": "no"}).start()
    assert chain.push(fields=FORGED).status == 200
    r = frun.requests[0]
    assert frun.get(r, "SSL_CLIENT_CERT") == "" and frun.get(r, "Authorization")


def test_system_that_does_not_ask(make_chain, pki):
    """It would believe any header: it gets no request."""
    frun = FocusedRun(pki, mode=ssl.CERT_NONE)
    chain = make(make_chain, frun).start()
    answer = chain.push()
    assert_problem(answer, 502, "frunconnector")
    assert b"does not ask for this connector's system certificate" in answer.body
    assert frun.requests == []
    frun.stop()


def check(chain, name, code):
    r = run([program(name), "--config", chain.path(
        "frunproxy.ini" if name == "frunproxyd" else "dc1-a.ini"), "--check"])
    assert r.returncode == code, r.stderr
    return r.stderr


@pytest.mark.parametrize("label, over, says", [
    ("pair", {"principal_ca_key": None}, "principal_ca_certificate: needs principal_ca_key too"),
    ("foreign key", {"principal_ca_key": "tls/ca.key"}, "does not belong to the certificate"),
    ("no CA", {"principal_ca_certificate": "tls/dc1-a.pem", "principal_ca_key": "tls/dc1-a.key"},
     "is no CA"),
    ("no certificate of its own", {"system_certificate": None, "system_private_key": None},
     "needs protocol = HTTPS and system_certificate"),
    ("type", {"principal_type": "None"}, "needs principal_type = X.509 Certificate"),
    ("one for all", {"principal_subject": "CN=fixed"}, "has no ${name}"),
    ("subject", {"principal_subject": "XX=${name}"}, "no certificate can carry"),
    ("alone", {"principal_ca_certificate": None, "principal_ca_key": None,
               "principal_lifetime": "5 m"}, "needs principal_ca_certificate too"),
])
def test_check_of_the_connector(make_chain, frun, label, over, says):
    assert says in check(make(make_chain, frun, over), "frunconnector", 78), label


def test_check_of_the_gateway(make_chain, frun):
    chain = make(make_chain, frun, pusher={"user": "u" * 65})
    assert "is longer than the 64 octets" in check(chain, "frunproxyd", 78)
    chain = make(make_chain, frun, connectors=())
    chain.gateway_sections["system FR1"].update({"route": "direct", "address": "127.0.0.1:1",
                                                 "backend_ca": "../tls/ca.pem"})
    chain.write_gateway()
    assert "propagate_principal: needs route tunnel" in check(chain, "frunproxyd", 78)
    chain.gateway_sections["system FR1"].update({"route": "tunnel", "standby_route": "direct"})
    chain.write_gateway()
    assert "propagate_principal: no other standby_route" in check(chain, "frunproxyd", 78)
