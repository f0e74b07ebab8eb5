# SPDX-License-Identifier: Apache-2.0
"""Through SAP's connectivity proxy and a Cloud Connector: requests, tokens, errors told apart."""

import json
import threading

import pytest

from chain import FENCE, FRUN_USER, assert_problem, basic, many, run, program, wait_until
from sap import CLIENT, SECRET, SUBACCOUNT, Sap, sap_chain, waits_for_a_cloud_connector
from test_control import metrics

GLOBEX = ("globex", "Push-Pass-4711")


def assert_secret(chain):
    """Neither the secret nor a token is in any log."""
    log = chain.gateway.log()
    assert SECRET not in log and "eyJ" not in log and "c2lnbmF0dXJl" not in log


def test_endpoint_list_names_the_road(make_chain, sap):
    chain = sap_chain(make_chain, sap, start=False)
    r = run([program("frunctl"), "endpoint", "list", "--config", chain.path("frunproxy.ini")])
    assert r.returncode == 0 and "sap-connectivity" in r.stdout and "tunnel" not in r.stdout, r


def test_push(make_chain, sap):
    chain = sap_chain(make_chain, sap)
    forged = [("Proxy-Authorization", "Bearer forged"), ("X-zid", "other"),
              ("SAP-Connectivity-SCC-Location_ID", "DC2"),
              ("SAP_Connectivity_SCC_Location_ID", "DC2"),
              ("SAP-Connectivity-Authentication", "Bearer forged")]
    with chain.raw() as c:
        for _ in range(3):
            c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x?a=1", forged, body=b"{}"))
            answer = c.answer()
            assert answer.status == 200 and answer.body == b"got it"
    got = sap.proxy.delivered
    assert got[0]["line"] == "POST http://frun-virtual:443/sap/frun/x?a=1 HTTP/1.1"
    for r in got:
        assert sap.proxy.get(r, "SAP-Connectivity-SCC-Location_ID") == "DC1"
        assert sap.proxy.get(r, "Authorization") == basic(FRUN_USER, "Frun-Pass-0815")
        assert sap.proxy.get(r, FENCE) == "acme-prod-proxy"
        assert sap.proxy.get(r, "X-zid") is None
        assert sap.proxy.get(r, "SAP-Connectivity-Authentication") is None
        assert "forged" not in str(r["fields"]) and r["body"] == b"{}"
    assert len({r["connection"]["number"] for r in got}) == 1
    assert len(sap.tokens.requests) == 1
    assert sap.tokens.requests[0]["form"]["client_id"] == CLIENT
    line = chain.pushes_logged(3)[-1]
    assert line["route"] == "sap-connectivity" and line["by"] == "focused-run"
    assert_secret(chain)


def test_empty_location_sends_no_field(make_chain, sap):
    sap.proxy.locations = {""}
    chain = sap_chain(make_chain, sap, {"system FR1": {"location_id": ""}})
    assert chain.push().status == 200
    assert sap.proxy.get(sap.proxy.delivered[0], "SAP-Connectivity-SCC-Location_ID") is None


def test_large_bodies_go_through(make_chain, sap):
    sap.proxy.backend = lambda r: (200, r["body"], ())
    chain = sap_chain(make_chain, sap)
    body = bytes(range(256)) * 8192
    assert chain.push(body=body).body == body


def test_locations_and_hosts_at_once_never_share_a_connection(make_chain, sap):
    sap.proxy.locations = {"DC1", "DC2"}
    sap.proxy.systems["frun-other:8443"] = ["/sap/frun"]
    chain = sap_chain(make_chain, sap, {"endpoint GLOBEX": {
        "location_id": "DC2", "virtual_host": "frun-other:8443"}}, workers=1)

    def both():
        return [chain.push().status,
                chain.push(target="/GLOBEX/sap/frun/x", auth=GLOBEX).status]
    assert set(sum(many(10, both), [])) == {200}
    used = {}
    for r in sap.proxy.delivered:
        used.setdefault(r["connection"]["number"], set()).add(
            (sap.proxy.get(r, "Host"), sap.proxy.get(r, "SAP-Connectivity-SCC-Location_ID")))
    assert all(len(of) == 1 for of in used.values()), used
    assert not [r for r in sap.proxy.requests if r["status"] != 200]


# -- tokens

def test_a_hundred_requests_through_an_expiry_fetch_once(make_chain, sap):
    sap.tokens.life = 3
    chain = sap_chain(make_chain, sap)
    assert chain.push().status == 200
    first = len(sap.tokens.requests)
    sap.tokens.life = 3600
    token = next(iter(sap.tokens.good))
    wait_until(lambda: not sap.tokens.accepts(token), "the first token expires", 10)
    sap.tokens.delay = 0.3
    assert {a.status for a in many(100, chain.push)} == {200}
    assert len(sap.tokens.requests) - first == 1
    assert len(sap.proxy.delivered) == 101


def test_present_token_is_used_while_the_service_is_down(make_chain, sap):
    sap.tokens.life = 5
    chain = sap_chain(make_chain, sap)
    assert chain.push().status == 200
    sap.tokens.fault = (503, "down")
    wait_until(lambda: chain.push().status == 200 and
               "could not be renewed" in chain.gateway.log(), "the renewal fails", 10, 0.1)
    assert chain.push().status == 200
    sap.tokens.fault = None
    wait_until(lambda: chain.push().status == 200, "a push after the service is back", 20, 0.2)
    assert_secret(chain)


def test_requests_wait_for_a_token(make_chain, sap):
    sap.tokens.fault = (503, "not yet")
    chain = sap_chain(make_chain, sap, {"gateway": {"hold": "10s"}}, start=False)
    chain.gateway.start()
    chain.wait_port(chain.gateway, chain.port)
    answers = []
    t = threading.Thread(target=lambda: answers.append(chain.push().status))
    t.start()
    wait_until(lambda: len(sap.tokens.requests) >= 2, "the service is asked again")
    sap.tokens.fault = None
    t.join(20)
    assert answers == [200]


def test_wrong_secret_is_told_at_once(make_chain, sap):
    sap.tokens.secret = "renewed"
    chain = sap_chain(make_chain, sap, start=False)
    chain.gateway.start()
    chain.wait_port(chain.gateway, chain.port)
    wait_until(lambda: "invalid_client" in chain.gateway.log(), "the refusal is logged")
    problem = chain.push()
    assert_problem(problem, 503)
    assert problem.get("Retry-After")
    line = chain.pushes_logged(1)[0]
    assert line["error"] == "proxy_auth" and "invalid_client" in line["note"]
    assert sap.proxy.requests == [] and len(sap.tokens.requests) == 1
    assert chain.health() == 503
    assert_secret(chain)


def test_certificate_instead_of_a_secret(make_chain, pki):
    sap = Sap(pki, client_ca="connectors-ca.pem")
    text = {n: open(pki.path(n), encoding="ascii").read().replace("\n", "\\n")
            for n in ("dc1-a.pem", "dc1-a.key")}
    key = sap.key(**{"clientsecret": None, "token_service_url": "https://wrong.invalid",
                     "certurl": sap.tokens.url, "credential-type": "x509",
                     "certificate": text["dc1-a.pem"], "key": text["dc1-a.key"]})
    chain = sap_chain(make_chain, sap, key=key)
    assert chain.push().status == 200
    assert "client_secret" not in sap.tokens.requests[0]["form"]
    assert "PRIVATE" not in chain.gateway.log()
    sap.stop()


def test_subscriber(make_chain, sap):
    chain = sap_chain(make_chain, sap, section={"tenant": "subscriber-1"})
    assert chain.push().status == 200
    assert sap.tokens.requests[0]["zid"] == "subscriber-1"


def test_identity_authentication(make_chain, sap):
    key = {"connectivity": [{"name": "conn", "instance_guid": "guid-1",
                             "credentials": sap.key(clientsecret="unused")}],
           "identity": [{"name": "ias", "credentials": {
               "clientid": CLIENT, "clientsecret": SECRET, "url": sap.tokens.url}}]}
    chain = sap_chain(make_chain, sap, key=key, section={"identity_key": "secrets/btp.json"})
    assert chain.push().status == 200
    asked = sap.tokens.requests[0]
    assert asked["line"].startswith("POST /oauth2/token ")
    assert asked["form"]["resource"] == "urn:sap:identity:application:service:id:guid-1"


def test_refused_token_is_replaced_once(make_chain, sap):
    chain = sap_chain(make_chain, sap)
    assert chain.push().status == 200
    sap.tokens.revoke()
    assert {a.status for a in many(20, chain.push)} == {200}
    assert len(sap.tokens.requests) == 2
    line = [x for x in chain.pushes_logged(21) if x.get("repeats")]
    assert line and all(x["repeats"] == 1 for x in line)


def test_proxy_that_never_accepts_makes_no_loop(make_chain, sap):
    chain = sap_chain(make_chain, sap)
    assert chain.push().status == 200
    sap.proxy.tokens = type("Nobody", (), {"accepts": lambda self, token: False})()
    for _ in range(5):
        assert_problem(chain.push(), 502)
    assert len(sap.tokens.requests) == 2
    line = chain.pushes_logged(6)[-1]
    assert line["error"] == "proxy_auth" and line["by"] == "sap-connectivity"


# -- errors told apart

@pytest.mark.parametrize("label, break_it, status, kind", [
    ("system", lambda p: p.systems.clear(), 403, "access_denied_system"),
    ("resource", lambda p: p.systems.update({"frun-virtual:443": ["/sap/bc/ping"]}), 403,
     "access_denied_resource"),
    ("backend", lambda p: setattr(p, "backend_down", True), 502, "backend_unreachable"),
    ("no connector", lambda p: p.locations.clear(), 503, "no_tunnel"),
])
def test_errors(make_chain, sap, label, break_it, status, kind):
    break_it(sap.proxy)
    chain = sap_chain(make_chain, sap, {"gateway": {"hold": "300ms"}})
    for _ in range(3):
        answer = chain.push()
        value = assert_problem(answer, status)
        assert f'details="{kind}"' in answer.get("Proxy-Status")
        assert SUBACCOUNT not in value["detail"], "the pusher is not told internal names"
    if status == 503:
        assert int(answer.get("Retry-After")) >= 1
    lines = chain.pushes_logged(3)
    assert {x["error"] for x in lines} == {kind}
    assert sap.proxy.delivered == [], label
    told = [x for x in chain.gateway.log().splitlines() if kind in x and '"status"' not in x]
    assert len(told) == 1, told  # a state, not each request
    m = metrics(chain)
    name = 'endpoint="ACME_PROD",route="sap-connectivity"'
    assert m[f'frunproxy_denials_total{{{name},reason="{kind}"}}'] == 3
    code = f'code="{status // 100}xx",origin="sap-connectivity"'
    assert m[f"frunproxy_requests_total{{{name},{code}}}"] == 3


@pytest.mark.parametrize("status", [400, 403, 405, 502, 503])
def test_answers_of_focused_run_pass_untouched(make_chain, sap, status):
    page = "<title>Logon Error Message</title>" + "x" * 20000
    sap.proxy.backend = lambda r: (status, page, ("X-Own: 1",))
    chain = sap_chain(make_chain, sap)
    answer = chain.push()
    assert answer.status == status and answer.body.decode() == page
    assert answer.get("X-Own") == "1" and answer.get("Proxy-Status") is None
    assert chain.pushes_logged(1)[0]["by"] == "focused-run"


def test_long_lines_are_refused_before_sending(make_chain, sap):
    chain = sap_chain(make_chain, sap, {"gateway": {"max_target": "16K"}})
    assert_problem(chain.push(target="/ACME_PROD/sap/frun/x?" + "a" * 8192), 414)
    answer = chain.push(fields=[("X-Long", "b" * 8190)])
    assert_problem(answer, 431)
    assert "8192" in json.loads(answer.body)["detail"]
    assert sap.proxy.requests == []
    assert chain.push(fields=[("X-Long", "b" * 8100)]).status == 200


# -- the circuit

def test_circuit(make_chain, sap):
    sap.proxy.locations = set()
    chain = sap_chain(make_chain, sap, {"gateway": {"hold": "20s"}}, workers=1,
                      section={"retry_min": "400ms", "retry_max": "1s"})
    waits_for_a_cloud_connector(chain, sap.proxy, sap.proxy.requests)
    assert len(sap.proxy.delivered) == 50


def test_denied_does_not_open_the_circuit(make_chain, sap):
    chain = sap_chain(make_chain, sap)
    sap.proxy.systems["frun-virtual:443"] = ["/sap/bc/ping"]
    for _ in range(5):
        assert_problem(chain.push(), 403)
    assert len(sap.proxy.requests) == 5
    sap.proxy.systems["frun-virtual:443"].append("/sap/frun")
    assert chain.push().status == 200


def test_senders_that_leave_do_not_stop_the_trying(make_chain, sap):
    sap.proxy.locations = set()
    chain = sap_chain(make_chain, sap, {"gateway": {"hold": "20s"}}, workers=1,
                      section={"retry_min": "200ms", "retry_max": "300ms"})
    for _ in range(5):
        with chain.raw() as c:
            c.send(chain.octets("GET", "/ACME_PROD/sap/frun/x"))
            n = len(sap.proxy.requests)
            wait_until(lambda: len(sap.proxy.requests) > n, "it is tried")
    sap.proxy.locations = {"DC1"}
    assert chain.push().status == 200


def test_health_comes_back_though_nobody_pushes(make_chain, sap):
    """A load balancer that follows our health sends nothing while it is bad."""
    sap.proxy.locations = set()
    chain = sap_chain(make_chain, sap, {"gateway": {"hold": "100ms"}}, workers=1,
                      section={"retry_min": "2s", "retry_max": "2s"})
    assert chain.health() == 200
    assert_problem(chain.push(), 503)
    assert_problem(chain.push(target="/GLOBEX/sap/frun/x", auth=GLOBEX), 503)
    assert chain.health() == 503
    wait_until(lambda: chain.health() == 200, "it may be tried again")


def test_health_fetches_the_token(make_chain, sap):
    sap.tokens.fault = (503, "not yet")
    chain = sap_chain(make_chain, sap, start=False, workers=1)
    chain.gateway.start()
    chain.wait_port(chain.gateway, chain.port)
    wait_until(lambda: chain.health() == 503, "the failure is seen")
    sap.tokens.fault = None
    chain.wait_healthy()
    assert chain.push().status == 200


def test_one_that_tries_slowly_does_not_hold_the_others(make_chain, sap):
    """The first after a pause may be a slow sender's: the Cloud Connector is back all the same."""
    go_on = threading.Event()
    sap.proxy.locations = set()
    sap.proxy.backend = lambda r: (200, "" if r["path"].endswith("/y") or go_on.wait(30) else "", ())
    chain = sap_chain(make_chain, sap, {"gateway": {"hold": "20s"}}, workers=1,
                      section={"retry_min": "300ms", "retry_max": "300ms"})
    answers = []
    slow = threading.Thread(target=lambda: answers.append(chain.push().status))
    slow.start()
    wait_until(lambda: "no_tunnel" in chain.gateway.log(), "the circuit is open")
    sap.proxy.locations = {"DC1"}
    wait_until(lambda: sap.proxy.delivered, "the slow one goes first")
    assert chain.push(target="/ACME_PROD/sap/frun/y").status == 200
    assert answers == []
    go_on.set()
    slow.join(20)
    assert answers == [200]


def test_a_denied_path_beside_good_ones_is_one_line(make_chain, sap):
    sap.proxy.systems["frun-virtual:443"] = ["/sap/frun"]
    chain = sap_chain(make_chain, sap)
    for _ in range(5):
        assert_problem(chain.push(target="/ACME_PROD/sap/bc/ping"), 403)
        assert chain.push().status == 200
    chain.pushes_logged(10)
    told = [x for x in chain.gateway.log().splitlines()
            if "sap-connectivity" in x and ("access_denied" in x or "good again" in x)
            and '"status"' not in x]
    assert len(told) == 1, told


def test_our_own_token_that_is_too_long_is_not_the_senders_fault(make_chain, sap):
    sap.tokens.padding = "p" * 7000
    chain = sap_chain(make_chain, sap)
    problem = chain.push()
    assert_problem(problem, 502)
    assert 'details="proxy_auth"' in problem.get("Proxy-Status")
    assert sap.proxy.requests == []


def test_very_long_target(make_chain, sap):
    chain = sap_chain(make_chain, sap, {"gateway": {"max_target": "32K", "max_head": "64K"}})
    assert_problem(chain.push(target="/ACME_PROD/sap/frun/x?" + "a" * 20000), 414)
    assert sap.proxy.requests == []


# -- configuration

@pytest.mark.parametrize("label, key, section, says", [
    ("several", lambda s: {"connectivity": [{"name": "a", "credentials": s.key()},
                                            {"name": "b", "credentials": s.key()}]}, {},
     "set instance to one of a, b"),
    ("not JSON", lambda s: "{", {}, "not JSON"),
    ("no secret", lambda s: s.key(clientsecret=None), {}, '"clientsecret" is missing'),
    ("no proxy", lambda s: s.key(onpremise_proxy_host=None), {}, "give proxy_host here"),
    ("no port", lambda s: s.key(onpremise_proxy_http_port=None), {}, "give proxy_port here"),
    ("pair", lambda s: s.key(), {"certificate": "tls/dc1-a.pem"}, "needs private_key too"),
    ("IAS", lambda s: s.key(), {"identity_key": "secrets/btp.json"}, '"instance_guid"'),
])
def test_check_names_file_and_field(make_chain, sap, label, key, section, says):
    chain = sap_chain(make_chain, sap, section=section, start=False)
    value = key(sap)
    chain.write("secrets/btp.json", value if isinstance(value, str) else json.dumps(value))
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini"), "--check"])
    assert r.returncode == 78, label
    assert says in r.stderr and "sap-connectivity BTP." in r.stderr, r.stderr
    assert SECRET not in r.stderr


def test_check_needs_no_network(make_chain, sap):
    chain = sap_chain(make_chain, sap, start=False)
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini"), "--check"])
    assert r.returncode == 0, r.stderr
    assert sap.tokens.requests == [] and sap.proxy.requests == []


# -- auth = oauth2

OAUTH2 = {"user": None, "password": None, "auth": "oauth2", "client_id": CLIENT,
          "client_secret": "file:../secrets/client", "token_ca": "../tls/ca.pem"}


@pytest.mark.parametrize("road", ["sap-connectivity", "tunnel"])
def test_token_toward_focused_run(make_chain, sap, road):
    keys = dict(OAUTH2, token_url=sap.tokens.url + "/oauth/token")
    if road == "tunnel":
        chain = make_chain(start=False)
        sections = chain.gateway_sections["endpoint ACME_PROD"]
    else:
        chain = sap_chain(make_chain, sap, start=False)
        sections = chain.gateway_sections["endpoint ACME_PROD"]
    for k, v in keys.items():
        sections.pop(k, None)
        if v is not None:
            sections[k] = v
    chain.write("secrets/client", SECRET)
    chain.write_gateway()
    chain.start()
    answer = chain.push()
    if road == "tunnel":
        # frunsim knows Basic only: it refuses, and hides what it does not know
        assert answer.status == 401
        assert chain.last().all("Authorization") == ["(hidden)"]
    else:
        assert answer.status == 200
        bearer = sap.proxy.get(sap.proxy.delivered[0], "Authorization")
        assert bearer.startswith("Bearer ") and sap.tokens.accepts(bearer[7:])
        proxy = sap.proxy.get(sap.proxy.delivered[0], "Proxy-Authorization")
        assert sap.tokens.accepts(proxy[7:])
    assert chain.pushes_logged(1)[0]["route"] == road
    assert_secret(chain)
