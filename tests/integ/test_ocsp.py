# SPDX-License-Identifier: Apache-2.0
"""OCSP stapling at the front door: what clients see, whom the gateway believes, and what it says."""

import re
import shutil
import subprocess
import threading
import time

import pytest

from chain import program, run, wait_until
from ocsp import Authority, Responder
from tools import Process, free_port

ACME = "acme.push.example.com"


@pytest.fixture
def authority(pki, tmp_path):
    return Authority(pki, tmp_path)


@pytest.fixture
def responder(authority):
    r = Responder(authority)
    yield r.start()
    r.stop()


def gateway(make_chain, pair, over=None, **kw):
    """A gateway alone, with that certificate."""
    sections = {"gateway": dict(pair, **(over or {})), **kw}
    return make_chain(gateway=sections, connectors=(), has_sim=False, wait=False)


def stapled(chain, authority, name="push.example.com", version="-tls1_3"):
    """What a client that asks sees: 'good', or None."""
    r = subprocess.run(["openssl", "s_client", "-status", version, "-connect",
                        f"127.0.0.1:{chain.port}", "-servername", name, "-verify_return_error",
                        "-CAfile", authority.pki.path(authority.name + ".pem")],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    text = r.stdout.decode("latin-1")
    assert "Verify return code: 0 (ok)" in text, text + r.stderr.decode("latin-1")
    if "OCSP response: no response sent" in text:
        return None
    assert "OCSP Response Status: successful" in text, text
    return re.search(r"Cert Status: (\w+)", text).group(1)


def serial_shown(chain, name):
    r = subprocess.run(["openssl", "s_client", "-status", "-connect", f"127.0.0.1:{chain.port}",
                        "-servername", name], stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=20)
    found = re.search(r"Serial Number: (\w+)", r.stdout.decode("latin-1"))
    return found and found.group(1)


def wait_stapled(chain, authority, want="good", **kw):
    wait_until(lambda: stapled(chain, authority, **kw) == want, f"stapled: {want}\n{chain.logs()}",
               30, 0.2)


@pytest.mark.parametrize("signer", ["authority", "delegate"])
def test_good(make_chain, authority, responder, signer):
    if signer == "delegate":
        authority.signer = authority.delegate("ocsp-delegate")
    chain = gateway(make_chain, authority.issue("must", responder.url))
    wait_stapled(chain, authority)
    assert stapled(chain, authority, version="-tls1_2") == "good"
    assert responder.questions == [("/ocsp", "application/ocsp-request")]
    log = chain.gateway.log()
    assert "must-chain.pem demands a stapled OCSP response; until http://" in log
    assert log.count(f"must-chain.pem: stapling the OCSP response of {responder.url}") == 1


def test_real_responder(make_chain, authority, tmp_path):
    port = free_port()
    pair = authority.issue("real", f"http://127.0.0.1:{port}")
    server = Process("openssl ocsp", [shutil.which("openssl"), "ocsp", "-port", str(port),
                                       *authority.argv()],
                     tmp_path / "openssl-ocsp.log").start()
    try:
        chain = gateway(make_chain, pair)
        wait_stapled(chain, authority)
    finally:
        server.kill()


@pytest.mark.parametrize("has_feature, mode, want", [
    (False, "auto", False), (True, "auto", True), (False, "on", True), (True, "off", False)])
def test_modes(make_chain, authority, responder, has_feature, mode, want):
    pair = authority.issue("modes", responder.url, has_feature)
    chain = gateway(make_chain, pair, {"ocsp_stapling": mode})
    if want:
        wait_stapled(chain, authority)
    else:
        for _ in range(5):
            assert stapled(chain, authority) is None
        assert not responder.questions
    assert ("but ocsp_stapling = off" in chain.gateway.log()) == (mode == "off")


def wrong_signer(a, _):
    a.signer = a.delegate("ocsp-other")
    a.pki._openssl("ocsp-other", "/CN=ocsp-other", ["basicConstraints=CA:FALSE"], a.name)


def stranger(a, _):
    a.signer = "stranger-ca"


def revoked(a, _):
    a.revoked.add("bad")


def expired(a, r):
    r.answer = lambda question: (200, a.answer_until(question, -60))


def forgotten(a, _):
    a.names.remove("bad")


def broken(_, r):
    r.answer = lambda question: (500, b"")


def portal(_, r):
    r.answer = lambda question: (200, b"<html>please log on</html>")


def huge(_, r):
    r.answer = lambda question: (200, b"\x30" * 100000)


def gone(_, r):
    r.stop()


@pytest.mark.parametrize("fault, text", [
    (revoked, "the certificate has been revoked (keyCompromise): put a new certificate"),
    (expired, "the answer has expired; check this machine's clock"),
    (wrong_signer, "not signed by the certificate's issuer"),
    (stranger, "not signed by the certificate's issuer"),
    (forgotten, "the responder does not know the certificate"),
    (broken, "HTTP status 500"),
    (portal, "what came is no OCSP response; does a proxy"),
    (huge, "above its ceiling"),
    (gone, "if the way out is an HTTP proxy, set [gateway] ocsp_proxy")])
def test_bad(make_chain, authority, responder, fault, text):
    pair = authority.issue("bad", responder.url)
    fault(authority, responder)
    chain = gateway(make_chain, pair)
    chain.gateway.wait_log(text)
    assert stapled(chain, authority) is None
    line = next(x for x in chain.gateway.log().splitlines() if text in x)
    assert "bad-chain.pem: " in line
    assert "clients that" in line and "refuse the connection" in line


def test_told_once_while_it_lasts(make_chain, authority, responder):
    pair = authority.issue("once", responder.url)
    responder.answer = lambda question: (500, b"")
    chain = gateway(make_chain, pair)
    wait_until(lambda: len(responder.questions) >= 2, "asked again", 30)
    chain.gateway.wait_log("HTTP status 500")
    assert chain.gateway.log().count("HTTP status 500") == 1


def test_gone_and_back(make_chain, authority, responder):
    pair = authority.issue("back", responder.url)
    whole = responder.answer
    responder.answer = lambda question: (200, authority.answer_until(question, 8))
    chain = gateway(make_chain, pair)
    wait_stapled(chain, authority)
    responder.stop()
    chain.gateway.wait_log("could not be renewed")
    chain.gateway.wait_log("no OCSP response to staple, which the certificate demands")
    assert stapled(chain, authority) is None
    responder.answer = whole
    responder.start()
    wait_stapled(chain, authority)
    chain.gateway.wait_log("stapling the OCSP response", after=chain.gateway.log().index(
        "no OCSP response to staple"))


def test_renewed_before_it_ends(make_chain, authority, responder):
    pair = authority.issue("renewed", responder.url)
    responder.answer = lambda question: (200, authority.answer_until(question, 6))
    chain = gateway(make_chain, pair)
    wait_stapled(chain, authority)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        assert stapled(chain, authority) == "good"
        time.sleep(0.2)
    assert len(responder.questions) >= 3
    assert chain.gateway.log().count("stapling the OCSP response") == 1


def test_endpoints_have_their_own(make_chain, authority, responder):
    pair = authority.issue("public", responder.url)
    own = authority.issue("own", responder.url, hosts=[ACME])
    chain = gateway(make_chain, pair, **{"endpoint ACME_PROD": dict(own, host_name=ACME)})
    wait_stapled(chain, authority)
    wait_stapled(chain, authority, name=ACME)
    shown = {serial_shown(chain, name) for name in ("push.example.com", ACME)}
    assert None not in shown and len(shown) == 2
    assert len(responder.questions) == 2


def test_through_a_proxy(make_chain, authority, responder):
    pair = authority.issue("proxied", "http://ocsp.example.invalid/a")
    chain = gateway(make_chain, pair, {"ocsp_proxy": f"http://127.0.0.1:{responder.port}"})
    wait_stapled(chain, authority)
    assert responder.questions[0][0] == "http://ocsp.example.invalid/a"


def test_stops_while_a_responder_hangs(make_chain, authority, responder):
    pair = authority.issue("hangs", responder.url)
    release = threading.Event()

    def hang(_):
        release.wait(30)
        return 500, b""
    responder.answer = hang
    chain = gateway(make_chain, pair)
    try:
        wait_until(lambda: responder.questions, "asked")
        assert stapled(chain, authority) is None
        begin = time.monotonic()
        assert chain.gateway.stop() == 0
        assert time.monotonic() - begin < 10
    finally:
        release.set()


@pytest.mark.parametrize("issue, over, text", [
    ({"url": None}, {}, "names no OCSP responder: clients that look at it refuse"),
    ({"has_chain": False}, {}, "append the CA's intermediate certificates"),
    ({}, {"ocsp_stapling": "off"}, "but ocsp_stapling = off"),
    ({"url": None, "has_feature": False}, {"ocsp_stapling": "on"}, "ocsp_stapling = auto"),
    ({}, {"ocsp_stapling": "off", "ocsp_proxy": "http://proxy.corp:3128"}, "has no effect"),
    ({}, {}, None),
    ({"url": None, "has_feature": False, "has_chain": False}, {}, None)])
def test_check(make_chain, authority, issue, over, text):
    issue = dict({"url": "http://ocsp.example.com"}, **issue)
    pair = authority.issue("checked", **issue)
    chain = make_chain(start=False, gateway={"gateway": dict(pair, **over)})
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini"), "--check"])
    assert r.returncode == 0, r.stderr
    assert "good" in r.stdout
    if text:
        assert text in r.stderr and ("gateway.certificate" in r.stderr
                                     or "gateway.ocsp_proxy" in r.stderr), r.stderr
    else:
        assert "OCSP" not in r.stderr, r.stderr
