# SPDX-License-Identifier: Apache-2.0
"""Several gateways behind one name, keys that rotate under load, and a real OAuth client library."""

import json
import os
import socket
import time

import pytest

from chain import Background, Chain, merge, program, run, wait_until
from oauth import CLIENT, SECRET, ask, bearer, header, push, sections, token

requests_oauthlib = pytest.importorskip("requests_oauthlib")
oauth2 = pytest.importorskip("oauthlib.oauth2")


def test_two_gateways_accept_each_other(make_chain):
    one = make_chain(gateway=sections())
    two = make_chain(gateway=sections(key_directory=one.path("keys")))
    assert len(os.listdir(one.path("keys"))) == 1
    for a, b in ((one, two), (two, one)):
        text = token(a)
        assert push(b, text).status == push(a, text).status == 200


def test_strangers_do_not(make_chain):
    one, two = make_chain(gateway=sections()), make_chain(gateway=sections())
    a = push(two, token(one))
    assert a.status == 401 and "not known here" in a.get("WWW-Authenticate")


def test_two_gateways_that_start_at_once_make_one_key(make_chain, tmp_path):
    over = sections(key_directory=str(tmp_path / "shared-keys"))
    chains = [make_chain(start=False, gateway=over) for _ in range(2)]
    starts = [Background(c.start) for c in chains]
    for s in starts:
        s.result()
    assert len(os.listdir(tmp_path / "shared-keys")) == 1
    assert push(chains[1], token(chains[0])).status == 200


def kids(chain):
    a = ask(chain, method="GET", fields=(), target="/.well-known/jwks.json")
    return [k["kid"] for k in json.loads(a.body)["keys"]]


def test_rotation_under_load(make_chain):
    """Two gateways, a new key every 4 s: tokens of either are good at either all the time."""
    over = sections(rotate_after="4s", reread="1s", token_lifetime="3s")
    one = make_chain(gateway=over)
    two = make_chain(gateway=merge(over, {"oauth": {"key_directory": one.path("keys")}}))
    seen, bad = set(), []
    end = time.monotonic() + 11
    while time.monotonic() < end:
        for a, b in ((one, two), (two, one)):
            text = token(a)
            seen.add(header(text)["kid"])
            statuses = [push(x, text).status for x in (a, b)]
            if statuses != [200, 200]:
                bad.append((header(text)["kid"], statuses))
    assert not bad, bad
    assert len(seen) >= 2, seen
    assert set(kids(one)) & seen


def test_a_key_that_is_taken_away_takes_its_tokens_along(make_chain):
    chain = make_chain(gateway=sections(reread="1s", rotate_after="0"))
    text = token(chain)
    assert push(chain, text).status == 200
    for name in os.listdir(chain.path("keys")):
        os.unlink(chain.path("keys", name))
    wait_until(lambda: push(chain, text).status == 401, "the token is refused", 10)
    assert push(chain, token(chain)).status == 200


def test_a_token_ends_in_the_cache_too(make_chain):
    chain = make_chain(gateway=sections(token_lifetime="2s"))
    text = token(chain)
    with chain.raw() as c:
        def status():
            c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", [bearer(text)], b"{}", auth=None))
            return c.answer().status
        assert status() == status() == 200
        wait_until(lambda: status() == 401, "the token ends", 6)


def test_get_for_old_clients(make_chain):
    chain = make_chain(gateway=sections(legacy_token_get="yes"))
    query = f"/oauth/token?grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}"
    a = ask(chain, method="GET", fields=(), target=query)
    assert a.status == 200 and push(chain, json.loads(a.body)["access_token"]).status == 200
    assert ask(chain, method="HEAD", fields=(), target=query).status == 405
    time.sleep(0.3)
    assert SECRET not in chain.gateway.log()


def test_unusable_keys_stop_the_start(make_chain):
    chain = make_chain(start=False, gateway=sections(key_directory="/proc/self/fdinfo"))
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini")])
    assert r.returncode != 0 and "frunctl oauth new-key" in r.stderr


@pytest.fixture
def resolves(monkeypatch):
    """push.example.com is this machine."""
    real = socket.getaddrinfo

    def fake(host, *args, **kw):
        return real("127.0.0.1" if host == "push.example.com" else host, *args, **kw)
    monkeypatch.setattr(socket, "getaddrinfo", fake)


def test_a_real_client_library(make_chain, resolves):
    chain: Chain = make_chain(gateway=sections(token_lifetime="2s"))
    base = f"https://push.example.com:{chain.port}"
    ca = chain.pki.path("ca.pem")
    client = oauth2.BackendApplicationClient(client_id=CLIENT)
    with requests_oauthlib.OAuth2Session(client=client) as session:
        session.trust_env = False
        for how in ({"client_secret": SECRET, "include_client_id": True},
                    {"auth": (CLIENT, SECRET)}):
            got = session.fetch_token(base + "/oauth/token", verify=ca, **how)
            assert got["token_type"] == "bearer" and got["expires_in"] == 2
            a = session.post(base + "/ACME_PROD/sap/frun/ngdci", json={}, verify=ca)
            assert a.status_code == 200, a.text
        with pytest.raises(oauth2.OAuth2Error) as e:
            session.fetch_token(base + "/oauth/token", verify=ca, auth=(CLIENT, "wrong"))
        assert e.value.error == "invalid_client"
        session.fetch_token(base + "/oauth/token", verify=ca, auth=(CLIENT, SECRET))
        time.sleep(2.1)
        with pytest.raises(oauth2.TokenExpiredError):
            session.post(base + "/ACME_PROD/sap/frun/ngdci", json={}, verify=ca)
