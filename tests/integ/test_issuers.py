# SPDX-License-Identifier: Apache-2.0
"""Tokens of identity providers: whose they are, what is refused and why, keys that change or are away."""

import concurrent.futures
import signal
import socket
import time

import pytest

from chain import (PASSWORD, USER, Background, assert_problem, merge, password_hash, program, run,
                   wait_until)
from issuers import Issuer, Key
from oauth import push
from test_reload import change


@pytest.fixture
def idp(pki):
    issuer = Issuer(pki)
    yield issuer
    issuer.stop()


def sections(idp, **over):
    return {
        "issuer IDP": idp.section(**over),
        "pusher s4-acme": {"endpoint": "ACME_PROD", "auth": "basic, jwt", "user": USER,
                           "password_hash": password_hash(PASSWORD), "issuer": "IDP",
                           "token_client": "sb-acme", "claim": "zid=acme"},
        "pusher globex": {"endpoint": "GLOBEX", "auth": "jwt", "user": None, "password_hash": None,
                          "issuer": "IDP", "token_client": "sb-acme", "claim": "zid=globex"},
    }


def logged(chain, *words):
    return wait_until(lambda: [x for x in chain.gateway.log().splitlines()
                               if all(w in x for w in words)], " ".join(words), 10)


def has_keys(chain):
    return logged(chain, "issuer IDP", "key(s) from")


@pytest.fixture
def running(make_chain, idp):
    def make(**over):
        idp.start()
        chain = make_chain(gateway=sections(idp, **over))
        has_keys(chain)
        return chain
    return make


def refused(chain, text, why, target="/ACME_PROD/sap/frun/ngdci"):
    a = push(chain, text, target)
    assert_problem(a, 401)
    way = a.all("WWW-Authenticate")[0]
    assert way.startswith('Bearer realm="frunproxy", error="invalid_token", '), way
    assert why in way, way


def test_right_tokens(running, idp):
    chain = running()
    text = idp.token()
    mine = "/ACME_PROD/sap/frun/jwt"
    chain.forget()
    assert push(chain, text, mine).status == 200
    assert push(chain, text, mine).status == 200
    assert chain.last().get_field("Authorization").startswith("Basic ")  # the endpoint's own
    assert chain.push(target=mine).status == 200  # the other way is open too
    lines = wait_until(lambda: (lambda x: x if len(x) == 3 else None)(
        [x for x in chain.access_lines() if x["path"] == mine]), "three lines", 10)
    assert [(x["pusher"], x["auth"]) for x in lines] == [("s4-acme", "jwt")] * 2 + [
        ("s4-acme", "basic")]
    assert text not in chain.gateway.log() and text.split(".")[2] not in chain.gateway.log()
    assert [x.split()[0] for x in chain.push(auth=None).all("WWW-Authenticate")] == ["Basic",
                                                                                   "Bearer"]
    for over in ({"aud": "frunproxy"}, {"scope": "x frunproxy.push"},
                 {"scope": None, "scp": ["frunproxy.push"]}, {"cid": None, "client_id": None},
                 {"exp": int(time.time()) - 30}, {"nbf": int(time.time()) + 30}):
        assert push(chain, idp.token(**over)).status == 200, over


def test_wrong_tokens(running, idp):
    chain = running()
    now = int(time.time())
    stranger = Key("k1")
    rows = [
        ("audience", idp.token(aud="someone"), "for somebody else",
         ("issuer IDP", "seen: someone", "expected audience frunproxy")),
        ("scope", idp.token(scope="other"), "lacks the scope",
         ("seen: other", "expected scope frunproxy.push")),
        ("expired", idp.token(exp=now - 61), "has expired", ("has expired, seen: 6",)),
        ("early", idp.token(nbf=now + 120), "not valid yet", ("compare the clocks",)),
        ("issuer", idp.token(iss="https://evil.example.com"), "issuer is not known",
         ("seen: https://evil.example.com",)),
        ("signature", idp.token(key=stranger), "signature is wrong", ("signature is wrong",)),
        ("none", idp.token(alg="none") + "AA", "is not accepted", ("seen: none",)),
        ("HMAC with the public key", idp.token(alg="HS256"), "is not accepted",
         ("a way that is not accepted",)),
        ("not allowed", idp.token(alg="RS512"), "is not accepted", ("seen: RS512",)),
        ("client", idp.token(azp="x", cid="x", client_id="x"), "nobody is known",
         ("seen: client=x,sub=sb-acme", "token_client")),
        ("two clients", idp.token(azp="x"), "nobody is known", ()),
        ("tenant", idp.token(zid="other"), "nobody is known", ()),
        ("no tenant", idp.token(zid=None), "nobody is known", ()),
        ("crit", idp.token(header={"crit": ["x"]}), "not understood", ()),
        ("ID token", idp.token(header={"typ": "ID"}), "not an access token", ()),
        ("malformed", "a.b", "malformed", ()),
        ("long", "a." + "A" * 17000 + ".c", "too long", ()),
    ]
    chain.forget()
    for label, text, why, words in rows:
        refused(chain, text, why)
        if words:
            assert logged(chain, *words), label
    h, c, s = idp.token().split(".")
    refused(chain, f"{h}.{c}.{s[:-4]}", "signature is wrong")
    refused(chain, f"{h}.{c}.", "malformed")
    assert chain.received() == []
    assert push(chain, idp.token()).status == 200
    assert len(idp.fetches()) == 1  # nothing of this was worth a question to the issuer


def test_one_tenant_does_not_open_the_others_endpoint(running, idp):
    chain = running()
    acme, globex = idp.token(), idp.token(zid="globex")
    for text, target, status in ((acme, "/ACME_PROD", 200), (acme, "/GLOBEX", 403),
                                 (globex, "/GLOBEX", 200), (globex, "/ACME_PROD", 403)):
        assert push(chain, text, target + "/sap/frun/x").status == status, (target, status)
    a = chain.push(target="/GLOBEX/sap/frun/x", auth=None)
    assert a.all("WWW-Authenticate") == ['Bearer realm="frunproxy"'], a


def test_every_algorithm(running, idp):
    idp.keys += [Key("p256", "EC", 256), Key("p384", "EC", 384)]
    chain = running(algorithms="RS256, RS384, RS512, PS256, ES256, ES384")
    for alg, key in (("RS256", 0), ("RS384", 0), ("RS512", 0), ("PS256", 0), ("ES256", 1),
                     ("ES384", 2)):
        assert push(chain, idp.token(key=idp.keys[key], alg=alg)).status == 200, alg


def test_rollover_fetches_once_for_a_hundred(running, idp):
    chain = running(refresh_min="1 s")
    old = idp.token()
    assert push(chain, old).status == 200
    time.sleep(1.2)  # not within refresh_min of the first fetch
    idp.key = Key("k2")
    idp.keys.insert(0, idp.key)
    idp.delay = 0.5
    before = len(idp.fetches())
    fresh = idp.token()
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: push(chain, fresh).status, range(100)))
    assert answers == [200] * 100
    assert len(idp.fetches()) == before + 1
    assert push(chain, old).status == 200  # its key is shown still
    idp.keys = [idp.key]
    time.sleep(1.2)
    refused(chain, idp.token(kid="made-up"), "not known here")  # asks, and the old key goes
    refused(chain, old, "not known here")
    assert push(chain, fresh).status == 200


def test_made_up_keys_do_not_hammer_the_issuer(running, idp):
    chain = running(refresh_min="60 s")
    for i in range(30):
        refused(chain, idp.token(kid=f"made-up-{i}"), "not known here")
    assert len(idp.fetches()) == 1 + 2  # a few may come early, and then none from there
    # Nor do they keep a new key from being found, whose tokens come from elsewhere.
    idp.key = Key("k2")
    idp.keys.append(idp.key)
    for n in (2, 3):
        s = socket.socket()
        s.bind((f"127.0.0.{n}", 0))
        s.connect(("127.0.0.1", chain.port))
        assert push(chain, idp.token(), connection=s).status == 200
    assert len(idp.fetches()) == 1 + 3


@pytest.mark.parametrize("what", ["dropped", "changed"])
def test_reload_ends_waiting_for_its_keys(running, idp, what):
    """Its keys are being fetched, slowly, when its section goes or says something else."""
    chain = running(refresh_min="60 s")
    idp.key = Key("k2")
    idp.delay = 4
    waiting = Background(push, chain, idp.token())
    wait_until(lambda: len(idp.fetches()) > 1, "keys are wanted", 10)
    if what == "dropped":
        basic = {"auth": "basic", "issuer": None, "token_client": None, "claim": None}
        change(chain, **{"issuer IDP": None, "pusher s4-acme": basic, "pusher globex": {
            **basic, "user": "globex", "password_hash": password_hash(PASSWORD)}})
    else:
        change(chain, **{"issuer IDP": {"refresh_min": "59 s"}})
    begun = time.monotonic()
    answer = waiting.result()
    assert time.monotonic() - begun < 2, "it did not wait for what does not come"
    if what == "dropped":
        assert answer.status == 401, answer
        assert "not accepted any more" in answer.get("WWW-Authenticate"), answer
    else:
        assert_problem(answer, 503)  # the keys are being fetched anew
        assert int(answer.get("Retry-After")) > 0


def test_rollover_right_after_a_fetch(running, idp):
    chain = running(refresh_min="60 s")
    for i in range(2, 5):
        idp.key = Key(f"k{i}")
        idp.keys.append(idp.key)
        assert push(chain, idp.token()).status == 200, i
    assert len(idp.fetches()) == 4


def test_issuer_that_shows_its_key_late(running, idp):
    """It signs before it shows: the same token is good as soon as the key is there."""
    chain = running(refresh_min="60 s")
    fresh = Key("k2")
    text = idp.token(key=fresh)
    refused(chain, text, "not known here")
    idp.keys.append(fresh)
    assert push(chain, text).status == 200


def test_issuer_is_down_at_start(make_chain, idp):
    chain = make_chain(gateway=sections(idp, refresh_min="1 s"))
    text = idp.token()
    logged(chain, "issuer IDP: no keys", "check host, port")
    a = push(chain, text)
    assert_problem(a, 503)
    assert int(a.get("Retry-After")) > 0
    assert chain.push().status == 200  # by password
    refused(chain, idp.token(iss="https://evil.example.com"), "issuer is not known")
    idp.start()
    wait_until(lambda: push(chain, text).status == 200, "keys are fetched", 20)


def test_issuer_goes_down_later(running, idp):
    chain = running(refresh="1 s", refresh_min="1 s", stale="6 s")
    text = idp.token()
    assert push(chain, text).status == 200
    idp.stop()
    logged(chain, "issuer IDP: keys not refreshed", "used on")
    assert push(chain, idp.token(sub="another")).status == 200  # never seen before
    logged(chain, "issuer IDP: its keys could not be refreshed for 6 s")
    assert_problem(push(chain, text), 503)
    assert len([x for x in chain.gateway.log().splitlines() if "keys not refreshed" in x]) == 1
    idp.start()
    wait_until(lambda: push(chain, text).status == 200, "keys are back", 30)


@pytest.mark.parametrize("label, change, words", [
    ("another's description", {"described": "https://127.0.0.1/other"}, "that of https://127.0.0.1"),
    ("redirect", {"fault": (302, "")}, "redirects are not followed"),
    ("no JSON", {"fault": (200, "<html>")}, "no description of an issuer"),
    ("not trusted", {"certificate": "stranger"}, "CA"),
])
def test_what_is_wrong_with_the_issuer_is_told(make_chain, idp, label, change, words):
    for name, value in change.items():
        setattr(idp, name, value)
    idp.start()
    chain = make_chain(gateway=sections(idp))
    assert logged(chain, "issuer IDP: no keys", words), label
    assert_problem(push(chain, idp.token()), 503)


def test_weak_keys_are_left_out(make_chain, idp):
    idp.keys = [idp.key, Key("weak", bits=1024)]
    idp.start()
    chain = make_chain(gateway=sections(idp))
    logged(chain, "1 key(s) left out", "2048")
    assert push(chain, idp.token()).status == 200
    refused(chain, idp.token(key=idp.keys[1]), "not known here")


def test_beside_tokens_of_our_own(make_chain, idp):
    from oauth import sections as own, token
    idp.start()
    over = own()
    over["issuer IDP"] = idp.section()
    over["pusher s4-acme"].update({"auth": "oauth2, jwt", "user": None, "password_hash": None,
                                   "issuer": "IDP", "token_subject": "sb-acme"})
    chain = make_chain(gateway=over)
    has_keys(chain)
    assert push(chain, token(chain)).status == 200
    assert push(chain, idp.token()).status == 200
    assert push(chain, idp.token(sub="x")).status == 401
    refused(chain, idp.token(iss="https://evil.example.com"), "")


def reload(chain):
    before = chain.gateway.log().count("is in use")
    chain.gateway.child.send_signal(signal.SIGHUP)
    wait_until(lambda: chain.gateway.log().count("is in use") > before, "a reload", 20)


def test_disabled_pusher_is_cut_at_reload(running, idp):
    chain = running()
    text = idp.token()
    assert push(chain, text).status == 200
    before = len(idp.fetches())
    reload(chain)
    assert push(chain, text).status == 200
    assert len(idp.fetches()) == before  # the same issuer goes on with its keys
    chain.gateway_sections["pusher s4-acme"]["enabled"] = "no"
    chain.write_gateway()
    reload(chain)
    assert_problem(push(chain, text), 401)


def test_an_issuer_comes_and_goes_by_reload(make_chain, idp):
    idp.start()
    chain = make_chain()
    text = idp.token()
    assert push(chain, text).status == 401
    plain = chain.gateway_sections
    chain.gateway_sections = merge(plain, sections(idp))
    chain.write_gateway()
    reload(chain)
    has_keys(chain)
    assert push(chain, text).status == 200
    chain.gateway_sections = plain
    chain.write_gateway()
    reload(chain)
    assert push(chain, text).status == 401
    assert chain.push().status == 200


def test_check_issuer(make_chain, idp):
    idp.start()
    idp.keys = [idp.key, Key("e", "EC", 256), Key("weak", bits=1024)]
    chain = make_chain(start=False, gateway=sections(idp))
    argv = [program("frunctl"), "oauth", "check-issuer", "IDP", "--config",
            chain.path("frunproxy.ini")]
    done = run(argv)
    assert done.returncode == 0, done
    assert "k1" in done.stdout and "RS256" in done.stdout and "ES256" in done.stdout
    assert "left out" in done.stdout
    idp.described = "https://127.0.0.1/other"
    done = run(argv)
    assert done.returncode == 1 and "to the letter" in done.stderr, done
    argv[3] = "NOBODY"
    done = run(argv)
    assert done.returncode == 1 and "there is no [issuer NOBODY]" in done.stderr, done


def test_check_refuses_a_pusher_that_any_token_would_be(make_chain, idp):
    over = sections(idp)
    del over["pusher s4-acme"]["token_client"]
    chain = make_chain(start=False, gateway=over)
    done = run([program("frunproxyd"), "--check", "--config", chain.path("frunproxy.ini")])
    assert done.returncode == 78
    assert "jwt needs token_client or token_subject" in done.stdout + done.stderr, done
