# SPDX-License-Identifier: Apache-2.0
"""Endpoints by host names of their own; no connection speaks for another customer's certificate."""

import pytest

from chain import Chain, assert_problem, program, run

ACME, ALIAS, GLOBEX = "acme.push.example.com", "acme2.push.example.com", "globex.push.example.com"
PUBLIC = "push.example.com"
OTHER = ("globex", "Push-Pass-4711")


@pytest.fixture(scope="module")
def _shared(tmp_path_factory, pki):
    pki.server("acme", "ca", [ACME, ALIAS])
    chain = Chain(tmp_path_factory.mktemp("shared"), pki, gateway={
        "endpoint ACME_PROD": {"host_name": f"{ACME}, {ALIAS}", "certificate": "../tls/acme.pem",
                               "private_key": "../tls/acme.key"},
        "endpoint GLOBEX": {"host_name": GLOBEX}})
    try:
        chain.start()
        yield chain
        chain.stop()
    finally:
        chain.kill()


def ask(chain, sni, host, target="/sap/frun/x", method="POST", **kw):
    body = b"{}" if method == "POST" else None
    with chain.raw(name=sni) as c:
        c.send(chain.octets(method, target, body=body, host=host, **kw))
        return c.answer(method)


@pytest.mark.parametrize("host", [ACME, ACME.upper(), ACME + ":443", ACME + "."])
def test_reached_without_a_path(shared, host):
    assert ask(shared, ACME, host).status == 200
    got = shared.last()
    assert (got["network"], got["path"]) == ("ACME PROD", "/sap/frun/x")


def test_second_name_and_the_gateways_certificate(shared):
    assert ask(shared, ALIAS, ACME).status == 200
    assert ask(shared, PUBLIC, GLOBEX, auth=OTHER).status == 200
    assert shared.last()["network"] == "GLOBEX"


def test_root_path_stays(shared):
    assert shared.push().status == 200
    assert shared.last()["network"] == "ACME PROD"


@pytest.mark.parametrize("sni, host", [
    (ACME, GLOBEX), (ACME, PUBLIC), (ACME, "unknown.example.com"), (PUBLIC, ACME)])
@pytest.mark.parametrize("target", ["/sap/frun/x", "/GLOBEX/sap/frun/x", "/ACME_PROD/sap/frun/x",
                                    "/sap/bc/ping"])
def test_no_crossing(shared, sni, host, target):
    for auth in (OTHER, ("s4push", "Push-Pass-4711")):
        assert_problem(ask(shared, sni, host, target, auth=auth), 421)
    assert shared.received() == []


def test_another_customers_credentials_do_not_work(shared):
    assert_problem(ask(shared, ACME, ACME, auth=OTHER), 403)
    assert_problem(ask(shared, ACME, ACME, auth=None), 401)
    assert shared.received() == []


def test_no_root_path_behind_a_host_name(shared):
    for target in ("/GLOBEX/sap/frun/x", "/ACME_PROD/sap/frun/x", "/sap/bc/gui"):
        assert_problem(ask(shared, ACME, ACME, target), 403)
    a = ask(shared, ACME, ACME, "/", "GET")
    assert a.status == 400 and b"such as /sap/frun" in a.body, a


def test_ping_goes_to_focused_run(shared):
    a = ask(shared, ACME, ACME, "/sap/bc/ping", "GET")
    assert a.status == 200 and not (a.get("Proxy-Status") or ""), a
    assert ask(shared, ACME, ACME, "/sap/bc/ping", "GET", auth=None).status == 401


def test_frunctl_shows_it(shared):
    r = run([program("frunctl"), "endpoint", "root-url", "ACME_PROD", "--config",
             shared.path("frunproxy.ini")])
    assert r.stdout.split() == ["https://push.example.com/ACME_PROD", "https://" + ACME,
                                "https://" + ALIAS], r
    r = run([program("frunctl"), "endpoint", "list", "--config", shared.path("frunproxy.ini")])
    assert "https://" + GLOBEX in r.stdout


def test_a_certificate_without_the_name_is_told(shared):
    r = run([program("frunproxyd"), "--config", shared.path("frunproxy.ini"), "--check"])
    assert "endpoint GLOBEX.host_name" in r.stdout + r.stderr
    assert "does not carry the name " + GLOBEX in r.stdout + r.stderr
    assert "name " + ACME not in r.stdout + r.stderr


def test_http2_does_not_cross_either(shared):
    """curl is told to open the connection by one name and to ask for another."""
    def status(sni, authority, user):
        r = run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--http2",
                 "--cacert", shared.pki.path("ca.pem"), "--resolve", f"{sni}:{shared.port}:127.0.0.1",
                 "-H", f"Host: {authority}", "-u", user, "-d", "{}",
                 f"https://{sni}:{shared.port}/sap/frun/x"])
        return r.stdout
    assert status(ACME, ACME, "s4push:Push-Pass-4711") == "200 2"
    assert status(ACME, GLOBEX, "globex:Push-Pass-4711") == "421 2"
    assert status(PUBLIC, ACME, "s4push:Push-Pass-4711") == "421 2"
