# SPDX-License-Identifier: Apache-2.0
"""frunsim itself: what the other scenarios rely on."""

import gzip
import hashlib
import json

import pytest

from chain import FENCE, FRUN_PASSWORD, FRUN_USER, Chain, Raw
from tools import wait_until

OK_AUTH = (FRUN_USER, FRUN_PASSWORD)
FENCED = [(FENCE, "acme-prod-proxy")]


@pytest.fixture(scope="module")
def sim(tmp_path_factory, pki):
    chain = SimOnly(tmp_path_factory.mktemp("sim"), pki, connectors=())
    chain.start_sim()
    yield chain
    try:
        assert chain.sim.stop() == 0
        assert not chain.sim.sanitizer_findings()
    finally:
        chain.sim.kill()


class SimOnly(Chain):
    def raw(self, **kw):
        return Raw(self.sim_port, self.pki.path("frun-ca.pem"), "frun.corp", **kw)


@pytest.fixture(autouse=True)
def _clean(sim):
    sim.forget()


def test_logon_is_wanted(sim):
    a = sim.request("GET", "/sap/frun/x", FENCED, auth=None)
    assert a.status == 401
    assert a.get("WWW-Authenticate") == \
        'Basic realm="SAP NetWeaver Application Server [FR1/100]"'
    assert sim.request("GET", "/sap/frun/x", FENCED, auth=(FRUN_USER, "no")).status == 401


@pytest.mark.parametrize("label, fields, query, status", [
    ("missing", [], "", 403),
    ("unknown", [(FENCE, "other")], "", 403),
    ("field", FENCED, "", 200),
    ("query", [], "?a=b&" + FENCE + "=globex-proxy", 200),
    ("both the same", FENCED, "?" + FENCE + "=acme-prod-proxy", 200),
    ("both, different", FENCED, "?" + FENCE + "=globex-proxy", 403),
    ("field twice", FENCED * 2, "", 403),
    ("folded spelling twice", FENCED + [("x_admin_request_parameter", "acme-prod-proxy")], "", 403),
    ("query twice", [], f"?{FENCE}=globex-proxy&{FENCE}=globex-proxy", 403),
    ("encoded key twice", [], f"?{FENCE}=globex-proxy&%58-admin-request-parameter=globex-proxy",
     403),
])
def test_fence(sim, label, fields, query, status):
    a = sim.request("POST", "/sap/frun/x" + query, fields, b"{}", auth=OK_AUTH)
    assert a.status == status, label
    if status == 403:
        assert "admin request parameter" in json.loads(a.body)["reason"]


def test_it_remembers_without_passwords(sim):
    body = gzip.compress(b'{"a":"\xc3\xa4"}')
    with sim.raw() as c:
        for _ in range(2):
            c.send(sim.octets("POST", "/sap/frun/x?q=1", FENCED + [("Content-Encoding", "gzip")],
                              body, OK_AUTH))
            assert c.answer().status == 200
    got = sim.received()
    assert [g["request"] for g in got] == [1, 2] and got[0]["connection"] == got[1]["connection"]
    assert got[0]["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert got[0]["body"] == '{"a":"ä"}' and got[0]["body_bytes"] == len(body)
    assert got[0].get_field("Authorization") == "Basic " + FRUN_USER
    assert got[0]["path"] == "/sap/frun/x" and got[0]["query"] == "q=1"
    assert FRUN_PASSWORD not in json.dumps(got)


def test_chunked_body(sim):
    with sim.raw() as c:
        c.send(sim.octets("POST", "/sap/frun/x", FENCED + [("Transfer-Encoding", "chunked")],
                          auth=OK_AUTH) + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n")
        assert c.answer().status == 200
    assert sim.last()["body"] == "abcde"


def test_csrf_token_and_session(sim):
    a = sim.request("HEAD", "/sap/frun/x", FENCED + [("X-CSRF-Token", "Fetch")], auth=OK_AUTH)
    assert a.status == 200 and a.get("x-csrf-token")
    assert a.get("Set-Cookie").startswith("SAP_SESSIONID_FR1_100=")


def test_ping(sim):
    a = sim.request("GET", "/sap/bc/ping", auth=OK_AUTH)
    assert a.status == 200 and a.get("Content-Type").startswith("text/html")


@pytest.mark.parametrize("fault, check", [
    ("status:503", lambda a: a.status == 503 and a.is_complete),
    ("big:1M", lambda a: len(a.body) == 1 << 20),
    ("big:1M,chunked", lambda a: len(a.body) == 1 << 20 and a.get("Transfer-Encoding")),
    ("gzip,chunked", lambda a: json.loads(gzip.decompress(a.body))["status"] == "accepted"),
    ("location:https://fr1_frun/sap/x", lambda a: a.get("Location") == "https://fr1_frun/sap/x"),
    ("headers:40", lambda a: a.get("X-Sim-00039") == "value 39"),
    ("half-answer", lambda a: not a.is_complete),
    ("hints", lambda a: a.status == 200 and a.interim == [103]),
    ("early", lambda a: a.status == 200 and a.get("Connection") == "close"),
    ("raw:HTTP/1.1%20299%20Odd%0D%0AContent-Length:%201%0D%0A%0D%0Aa,b",
     lambda a: a.status == 299 and a.body == b"a"),
    ("nonsense", lambda a: a.status == 400),
])
def test_faults_with_an_answer(sim, fault, check):
    a = sim.request("POST", "/sap/frun/x?_sim=" + fault, FENCED, b"{}", auth=OK_AUTH)
    assert check(a), a


@pytest.mark.parametrize("fault", ["reset", "reset-early"])
def test_faults_without(sim, fault):
    with pytest.raises((ConnectionError, OSError)):
        sim.request("POST", "/sap/frun/x?_sim=" + fault, FENCED, b"{}", auth=OK_AUTH)
    wait_until(sim.received, "the request is remembered")
    assert sim.last()["status"] == 0


def test_a_cut_off_body_is_told_from_a_whole_one(sim):
    with sim.raw() as c:
        c.send(sim.octets("POST", "/sap/frun/x", FENCED + [("Content-Length", "100")],
                          auth=OK_AUTH) + b"abc")
    wait_until(sim.received, "the request is remembered")
    assert sim.last()["complete"] is False
