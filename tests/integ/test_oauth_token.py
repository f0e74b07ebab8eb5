# SPDX-License-Identifier: Apache-2.0
"""The token endpoint: what is asked, what is answered, and what the token then opens."""

import json
import os
import time

import pytest

from chain import PASSWORD, USER, Background, assert_problem, wait_until
from oauth import (CLIENT, FORM, SECRET, ask, bearer, claims, encode, form, header, part, push,
                   sections, token)


CHAIN = {"gateway": sections()}


def oauth_error(a, status, code):
    assert a.status == status, a
    assert a.get("Content-Type") == "application/json" and a.get("Cache-Control") == "no-store", a
    value = json.loads(a.body)
    assert value["error"] == code and value["error_description"], a
    return value


def test_form_body(shared):
    a = ask(shared)
    assert a.status == 200, a
    assert a.get("Content-Type") == "application/json"
    assert a.get("Cache-Control") == "no-store"
    value = json.loads(a.body)
    assert sorted(value) == ["access_token", "expires_in", "jti", "scope", "token_type"]
    assert value["token_type"] == "bearer" and value["expires_in"] == 12 * 3600
    c = claims(value["access_token"])
    assert c["iss"] == "https://push.example.com" and c["aud"] == [c["iss"]]
    assert c["sub"] == c["cid"] == c["client_id"] == CLIENT
    assert c["jti"] == value["jti"] and c["exp"] - c["iat"] == 12 * 3600
    assert header(value["access_token"])["alg"] == "ES256"
    shared.forget()
    assert push(shared, value["access_token"]).status == 200
    assert shared.last().get_field("Authorization").startswith("Basic ")  # the endpoint's own


@pytest.mark.parametrize("label, body, fields, auth", [
    ("Basic", form(grant_type="client_credentials"), (FORM,), (CLIENT, SECRET)),
    ("Basic and client_id", form(grant_type="client_credentials", client_id=CLIENT), (FORM,),
     (CLIENT, SECRET)),
    ("what SAP's clients add", form(grant_type="client_credentials", client_id=CLIENT,
                                    client_secret=SECRET, response_type="token", scope="a b"),
     (FORM,), None),
    ("charset", form(grant_type="client_credentials", client_id=CLIENT, client_secret=SECRET),
     (("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),), None),
    ("escaped in Basic", form(grant_type="client_credentials"), (FORM,),
     ("globex%21b7%7Cclient", SECRET)),
    ("plain in Basic", form(grant_type="client_credentials"), (FORM,),
     ("globex!b7|client", SECRET)),
    ("escaped in the body", b"grant_type=client_credentials&client_id=globex%21b7%7Cclient"
     b"&client_secret=" + SECRET.encode(), (FORM,), None),
])
def test_accepted_forms(shared, label, body, fields, auth):
    assert ask(shared, body, fields, auth).status == 200, label


def test_grant_type_in_the_query_with_basic(shared):
    a = ask(shared, b"", auth=(CLIENT, SECRET), target="/oauth/token?grant_type=client_credentials")
    assert a.status == 200, a


def test_chunked_body(shared):
    body = form(grant_type="client_credentials", client_id=CLIENT, client_secret=SECRET)
    with shared.raw() as c:
        c.send(b"POST /oauth/token HTTP/1.1\r\nHost: push.example.com\r\n"
               b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n"
               b"\r\n")
        for i in range(0, len(body), 7):
            piece = body[i:i + 7]
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        c.send(b"0\r\n\r\n")
        assert c.answer("POST").status == 200


@pytest.mark.parametrize("label, body, fields, auth, status, code", [
    ("nothing", b"", (), None, 400, "invalid_request"),
    ("no grant", form(client_id=CLIENT, client_secret=SECRET), (FORM,), None, 400,
     "invalid_request"),
    ("other grant", form(grant_type="password", client_id=CLIENT, client_secret=SECRET), (FORM,),
     None, 400, "unsupported_grant_type"),
    ("grant twice", b"grant_type=client_credentials&grant_type=client_credentials", (FORM,),
     (CLIENT, SECRET), 400, "invalid_request"),
    ("secret twice", b"grant_type=client_credentials&client_id=a&client_secret=b&client_secret=b",
     (FORM,), None, 400, "invalid_request"),
    ("two ways", form(grant_type="client_credentials", client_id=CLIENT, client_secret=SECRET),
     (FORM,), (CLIENT, SECRET), 400, "invalid_request"),
    ("two clients", form(grant_type="client_credentials", client_id="other"), (FORM,),
     (CLIENT, SECRET), 400, "invalid_request"),
    ("JSON", b'{"grant_type":"client_credentials"}', (("Content-Type", "application/json"),),
     None, 400, "invalid_request"),
    ("broken escape", b"grant_type=client_credentials&x=%zz", (FORM,), (CLIENT, SECRET), 400,
     "invalid_request"),
    ("no client", form(grant_type="client_credentials"), (FORM,), None, 401, "invalid_client"),
    ("no secret", form(grant_type="client_credentials", client_id=CLIENT), (FORM,), None, 401,
     "invalid_client"),
    ("wrong secret", form(grant_type="client_credentials", client_id=CLIENT, client_secret="x"),
     (FORM,), None, 401, "invalid_client"),
    ("unknown client", form(grant_type="client_credentials", client_id="x", client_secret=SECRET),
     (FORM,), None, 401, "invalid_client"),
    ("user and password", form(grant_type="client_credentials"), (FORM,), (USER, PASSWORD), 401,
     "invalid_client"),
    ("wrong secret by Basic", form(grant_type="client_credentials"), (FORM,), (CLIENT, "x"), 401,
     "invalid_client"),
    ("secret with NUL", form(grant_type="client_credentials"), (FORM,), (CLIENT, SECRET + "\0x"),
     401, "invalid_client"),
    ("long secret", form(grant_type="client_credentials", client_id=CLIENT,
                         client_secret="x" * 5000), (FORM,), None, 401, "invalid_client"),
])
def test_errors(shared, label, body, fields, auth, status, code):
    a = ask(shared, body, fields, auth)
    oauth_error(a, status, code)
    assert bool(a.get("WWW-Authenticate")) == (status == 401 and auth is not None), label


def test_a_long_body_is_refused(shared):
    assert_problem(ask(shared, b"x=" + b"y" * 8192), 413)
    with shared.raw() as c:
        c.send(b"POST /oauth/token HTTP/1.1\r\nHost: push.example.com\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n" + b"2001\r\n" + b"z" * 0x2001 + b"\r\n")
        assert c.answer("POST").status == 413


def test_methods(shared):
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        a = ask(shared, None, (), method=method)
        assert a.status == 405 and a.get("Allow") == "POST", a
    query = "/oauth/token?grant_type=client_credentials&client_id=%s&client_secret=%s"
    assert ask(shared, method="GET", target=query % (CLIENT, SECRET)).status == 405
    oauth_error(ask(shared, b"", target=query % (CLIENT, SECRET)), 400, "invalid_request")
    assert ask(shared, None, (), method="POST", target="/oauth/token_keys", auth=None).status == 405


def test_documents(shared):
    keys = json.loads(ask(shared, method="GET", fields=(), target="/.well-known/jwks.json").body)
    shown = json.loads(ask(shared, method="GET", fields=(), target="/oauth/token_keys").body)
    assert [k["kid"] for k in keys["keys"]] == [k["kid"] for k in shown["keys"]]
    assert "BEGIN PUBLIC KEY" in shown["keys"][0]["value"] and "d" not in keys["keys"][0]
    assert header(token(shared))["kid"] in [k["kid"] for k in keys["keys"]]
    for name in ("openid-configuration", "oauth-authorization-server"):
        a = ask(shared, method="GET", fields=(), target="/.well-known/" + name)
        value = json.loads(a.body)
        assert value["issuer"] == "https://push.example.com"
        assert value["token_endpoint"] == "https://push.example.com/oauth/token"
        assert value["jwks_uri"] == "https://push.example.com/.well-known/jwks.json"
        assert ask(shared, method="HEAD", fields=(), target="/.well-known/" + name).body == b""


def test_keys_are_for_the_owner_alone(shared):
    folder = shared.path("keys")
    assert os.stat(folder).st_mode & 0o777 == 0o700
    names = [n for n in os.listdir(folder) if n.endswith(".pem")]
    assert len(names) == 1
    assert os.stat(os.path.join(folder, names[0])).st_mode & 0o777 == 0o600


def test_a_token_opens_its_endpoint_alone(shared):
    acme, globex = token(shared), token(shared, "globex!b7|client")
    with shared.raw() as c:
        for text, target, status in ((acme, "/ACME_PROD", 200), (acme, "/GLOBEX", 403),
                                     (globex, "/GLOBEX", 200), (globex, "/ACME_PROD", 403),
                                     (acme, "/ACME_PROD", 200), (acme, "/GLOBEX", 403)):
            c.send(shared.octets("POST", target + "/sap/frun/x", [bearer(text)], b"{}", auth=None))
            assert c.answer().status == status, (target, status)


def test_both_ways_at_once(shared):
    text = token(shared)
    mine = "/ACME_PROD/sap/frun/both"
    for _ in range(2):
        assert push(shared, text, mine).status == 200
        assert shared.push(target=mine).status == 200

    def logged():
        lines = [x for x in shared.access_lines() if x["path"] == mine]
        return lines if len(lines) == 4 else None
    lines = wait_until(logged, "four lines", 10)
    assert {(x["pusher"], x["auth"]) for x in lines} == {("s4-acme", "oauth2"),
                                                         ("s4-acme", "basic")}


def test_a_pusher_without_basic_has_no_basic(shared):
    a = shared.push(target="/GLOBEX/sap/frun/x", auth=("globex", PASSWORD))
    assert_problem(a, 401)
    assert a.all("WWW-Authenticate") == ['Bearer realm="frunproxy"'], a


def forged(text):
    """Label and what is wrong with the token."""
    h, c, s = text.split(".")
    yield "no signature", f"{h}.{c}."
    yield "alg none", encode(json.dumps({"alg": "none"}).encode()) + f".{c}."
    yield "other claims", f"{h}." + encode(part(text, 1).replace(b"acme", b"acmf")) + f".{s}"
    yield "cut", text[:-3]
    yield "padded", text + "="
    yield "four parts", text + ".x"
    yield "two tokens", text + " " + text
    yield "no token", "abc"
    yield "huge", "A" * 5000
    yield "huge parts", f"{h}." + "A" * 20000 + f".{s}"


def test_forged_tokens(shared):
    text = token(shared)
    assert push(shared, text).status == 200
    shared.forget()
    for label, bad in forged(text):
        a = push(shared, bad)
        assert a.status in (401, 431), (label, a)
        if a.status == 401:
            assert_problem(a, 401)
            ways = a.all("WWW-Authenticate")
            assert ways[0].startswith('Bearer realm="frunproxy", error="invalid_token", '
                                      'error_description="'), (label, ways)
            assert ways[1].startswith("Basic realm="), (label, ways)
    assert shared.received() == []
    assert push(shared, text).status == 200


def test_missing_credentials_name_both_ways(shared):
    a = shared.push(auth=None)
    assert_problem(a, 401)
    assert [x.split()[0] for x in a.all("WWW-Authenticate")] == ["Basic", "Bearer"]


def test_a_flood_of_wrong_secrets_keeps_no_token_waiting(shared):
    text = token(shared)
    wrong = [form(grant_type="client_credentials", client_id=CLIENT, client_secret=f"wrong-{i}")
             for i in range(40)]
    flood = [Background(ask, shared, w) for w in wrong]
    fresh = push(shared, text)  # perhaps its first time on this worker
    assert fresh.status == 200
    with shared.raw() as c:
        for _ in range(20):
            c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", [bearer(text)], b"{}", auth=None))
            assert c.answer().status == 200
    assert {f.result().status for f in flood} <= {401, 503}


def test_no_secret_and_no_token_in_the_log(shared):
    text = token(shared)
    assert push(shared, text).status == 200
    assert push(shared, text + "x").status == 401
    ask(shared, method="GET", target=f"/oauth/token?client_secret={SECRET}")
    time.sleep(0.3)
    log = shared.gateway.log()
    assert SECRET not in log and text not in log and text.split(".")[2] not in log
    lines = [x for x in shared.access_lines() if x.get("path") == "/oauth/token"]
    assert any(x.get("pusher") == "s4-acme" and x.get("auth") == "oauth2" for x in lines)


def test_a_trickled_body_does_not_hold_the_connection(make_chain):
    """Anybody may begin to ask for a token; body_timeout is for all of it."""
    over = sections()
    over["gateway"] = dict(over.get("gateway", {}), body_timeout="1s")
    chain = make_chain(gateway=over)
    with chain.raw() as c:
        c.send(chain.octets("POST", "/oauth/token", [FORM, ("Content-Length", "4000")], auth=None))
        begin = time.monotonic()
        c.sock.settimeout(0.1)
        while not c.buffer and time.monotonic() - begin < 5:
            c.send(b"x")
            try:
                c.fill()
            except TimeoutError:
                pass
        c.sock.settimeout(10)
        assert_problem(c.answer(), 408)
        assert time.monotonic() - begin < 4
