# SPDX-License-Identifier: Apache-2.0
"""frunctl pusher: a service key made, stored as a hash, used, rotated; the file stays the administrator's."""

import json
import os
import stat
import subprocess

import pytest

from chain import PASSWORD, USER, merge, password_hash, program, run
from oauth import ask, bearer, form, push, sections

COMMENTS = """# ours, by hand
[pusher s4-acme]
; the productive tenant
endpoint = ACME_PROD   ; one network
auth     = basic
user     = %s
password_hash = %s

# the next one stays as it is
[pusher globex]
endpoint = GLOBEX
auth = oauth2
"""


def ctl(chain, *args, stdin=None):
    return run([program("frunctl"), *args, "--config", chain.path("frunproxy.ini")], stdin)


def by_hand(make_chain):
    chain = make_chain(start=False, gateway={
        "oauth": {"key_directory": "keys"}, "pusher s4-acme": None, "pusher globex": None})
    chain.write("endpoints.d/pushers.ini", COMMENTS % (USER, password_hash(PASSWORD)))
    return chain


def secret_of(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["uaa"]["clientsecret"]


def test_a_service_key_from_nothing_to_a_push(make_chain):
    chain = by_hand(make_chain)
    path = chain.path("endpoints.d/pushers.ini")
    os.chmod(path, 0o640)
    r = ctl(chain, "pusher", "service-key", "s4-acme")
    key = json.loads(r.stdout)
    assert key == {
        "endpoints": {"Api": "https://push.example.com/ACME_PROD/api"},
        "uaa": {"url": "https://push.example.com", "clientid": "sb-s4-acme",
                "clientsecret": key["uaa"]["clientsecret"], "identityzone": "ACME_PROD",
                "credential-type": "binding-secret"}}
    text = open(path, encoding="utf-8").read()
    assert key["uaa"]["clientsecret"] not in text and len(key["uaa"]["clientsecret"]) == 43
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert os.listdir(os.path.dirname(path)).count("pushers.ini.frunctl-new") == 0
    before = (COMMENTS % (USER, password_hash(PASSWORD))).splitlines()
    after = text.splitlines()
    assert [x for x in before if x not in after] == ["auth     = basic"]
    assert [x.split(" =")[0] for x in after if x not in before] == ["auth", "client_secret_hash"]
    chain.start()
    a = ask(chain, form(grant_type="client_credentials", client_id="sb-s4-acme",
                        client_secret=key["uaa"]["clientsecret"]))
    assert a.status == 200, a
    assert push(chain, json.loads(a.body)["access_token"]).status == 200
    assert chain.push().status == 200
    again = ctl(chain, "pusher", "service-key", "s4-acme")
    assert again.returncode == 1 and "rotate" in again.stderr and again.stdout == ""
    assert open(path, encoding="utf-8").read() == text


def test_rotation_keeps_the_old_secret_and_its_tokens_for_a_while(make_chain):
    chain = by_hand(make_chain)
    first = secret_of(ctl(chain, "pusher", "service-key", "globex"))
    chain.start()

    def got(secret):
        return ask(chain, form(grant_type="client_credentials", client_id="sb-globex",
                               client_secret=secret))

    def push_to_globex(text):
        return push(chain, text, "/GLOBEX/sap/frun/x").status
    old_token = json.loads(got(first).body)["access_token"]
    second = secret_of(ctl(chain, "pusher", "rotate", "globex", "--grace", "1h"))
    chain.gateway.stop()
    chain.restart(chain.gateway)
    assert got(first).status == got(second).status == 200
    assert json.loads(got(first).body)["expires_in"] <= 3600 < json.loads(
        got(second).body)["expires_in"]
    new_token = json.loads(got(second).body)["access_token"]
    assert push_to_globex(old_token) == push_to_globex(new_token) == 200  # and over the restart
    third = secret_of(ctl(chain, "pusher", "rotate", "globex", "--grace", "0"))
    chain.gateway.stop()
    chain.restart(chain.gateway)
    assert [got(x).status for x in (first, second, third)] == [401, 401, 200]
    assert push_to_globex(old_token) == push_to_globex(new_token) == 401
    a = chain.push(target="/GLOBEX/sap/frun/x", fields=[bearer(new_token)], auth=None)
    assert "the secret or certificate it was issued for is not valid any more" in a.get("WWW-Authenticate")


def test_a_password_is_rotated_the_same_way(make_chain):
    chain = by_hand(make_chain)
    r = ctl(chain, "pusher", "rotate", "s4-acme", "--password", "--grace", "10m")
    assert r.returncode == 0, r.stderr
    fresh = r.stdout.split("password: ")[1].strip()
    chain.start()
    assert chain.push(auth=(USER, fresh)).status == 200
    assert chain.push().status == 200
    assert chain.push(auth=(USER, fresh + "x")).status == 401


def test_a_disabled_or_removed_pusher_takes_its_tokens_along(make_chain):
    chain = make_chain(gateway=sections())
    a = ask(chain)
    text = json.loads(a.body)["access_token"]
    assert push(chain, text).status == 200
    for over in ({"enabled": "no"}, None):
        chain.gateway_sections = merge(chain.gateway_sections, {"pusher s4-acme": over})
        chain.write_gateway()
        chain.gateway.stop()
        chain.restart(chain.gateway)
        refused = push(chain, text)
        assert refused.status == 401 and "not allowed here any more" in refused.body.decode()
        assert chain.push().status == 401 and ask(chain).status == 401


def test_what_makes_the_configuration_bad_is_put_back(make_chain):
    chain = by_hand(make_chain)
    chain.write("endpoints.d/other.ini", "[pusher other]\nendpoint = GLOBEX\nauth = oauth2\n"
                "client_id = sb-s4-acme\n")
    path = chain.path("endpoints.d/pushers.ini")
    before = open(path, encoding="utf-8").read()
    r = ctl(chain, "pusher", "service-key", "s4-acme")
    assert (r.returncode, r.stdout) == (78, ""), r
    assert "client ID sb-s4-acme is that of" in r.stderr and "is as it was before" in r.stderr, r
    assert open(path, encoding="utf-8").read() == before
    assert ctl(chain, "config", "check").returncode == 0


@pytest.mark.parametrize("args", [("service-key", "globex", "--force"), ("rotate", "globex"),
                                  ("rotate", "s4-acme", "--password")])
def test_a_secret_that_nobody_saw_is_not_kept(make_chain, args):
    chain = by_hand(make_chain)
    secret_of(ctl(chain, "pusher", "service-key", "globex"))
    path = chain.path("endpoints.d/pushers.ini")
    before = open(path, encoding="utf-8").read()
    argv = [program("frunctl"), "pusher", *args, "--config", chain.path("frunproxy.ini")]
    with open("/dev/full", "wb") as full:
        r = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False, timeout=30)
    assert r.returncode == 1 and b"cannot be printed" in r.stderr, r
    assert open(path, encoding="utf-8").read() == before


@pytest.mark.parametrize("label, head, eol", [
    ("blanks and a comment", "  [ pusher \t s4-acme ]  ; ours", "\n"),
    ("CRLF", "[pusher s4-acme]", "\r\n"),
    ("byte order mark", "\ufeff[pusher s4-acme]", "\r\n"),
])
def test_forms_of_a_file(make_chain, label, head, eol):
    chain = by_hand(make_chain)
    lines = [head, "endpoint = ACME_PROD", "auth = oauth2", "; the end", "[pusher globex]", "endpoint = GLOBEX",
             "auth = oauth2"]
    real, link = chain.path("pushers.txt"), chain.path("endpoints.d/pushers.ini")
    with open(real, "w", encoding="utf-8", newline="") as f:
        f.write(eol.join(lines))
    os.unlink(link)
    os.symlink(real, link)
    open(real + ".frunctl-new", "w", encoding="utf-8").close()  # of a run that was killed
    r = ctl(chain, "pusher", "service-key", "s4-acme")
    assert r.returncode == 0, (label, r.stderr)
    secret_of(ctl(chain, "pusher", "service-key", "globex"))
    assert os.path.islink(link) and not os.path.exists(real + ".frunctl-new")
    with open(real, encoding="utf-8", newline="") as f:
        after = f.read()
    new = [x.split(" =")[0] for x in after.split(eol) if x not in lines]
    assert new == ["client_secret_hash", "client_secret_hash", ""], (label, after)
    assert after.count("\n") == after.count(eol)
    assert [x for x in after.split(eol) if x in lines] == lines


def test_the_key_shows_the_host_name(make_chain):
    chain = by_hand(make_chain)
    chain.gateway_sections = merge(chain.gateway_sections, {
        "endpoint ACME_PROD": {"host_name": "acme.push.example.com, old.push.example.com"}})
    chain.write_gateway()
    key = json.loads(ctl(chain, "pusher", "service-key", "s4-acme").stdout)
    assert key["endpoints"]["Api"] == "https://acme.push.example.com/api"
    assert key["uaa"]["url"] == "https://push.example.com"
    assert key["uaa"]["identityzone"] == "ACME_PROD"


@pytest.mark.parametrize("label, args, code, say", [
    ("unknown pusher", ["service-key", "nobody"], 1, "there is no [pusher nobody]"),
    ("no name", ["service-key"], 64, "NAME is missing"),
    ("x509 without CA", ["service-key", "globex", "--x509", "--pki", "/nowhere"], 1, "pki init"),
    ("x509 without file", ["service-key", "globex", "--x509", "--certificate", "/nowhere"], 1,
     "cannot read /nowhere"),
    ("CA without x509", ["service-key", "globex", "--pki", "/nowhere"], 64, "belong to --x509"),
    ("no certificate to rotate", ["rotate", "globex", "--x509"], 1, "service-key globex --x509"),
    ("bad grace", ["rotate", "globex", "--grace", "soon"], 64, "no time like"),
    ("nothing to rotate", ["rotate", "globex"], 1, "service-key"),
    ("foreign endpoint", ["service-key", "globex", "--endpoint", "ACME_PROD"], 1, "may not use"),
    ("foreign option", ["list", "--grace", "1h"], 64, "does not belong"),
])
def test_refusals_change_nothing(make_chain, label, args, code, say):
    chain = by_hand(make_chain)
    before = open(chain.path("endpoints.d/pushers.ini"), encoding="utf-8").read()
    r = ctl(chain, "pusher", *args)
    assert (r.returncode, r.stdout) == (code, ""), (label, r)
    assert say in r.stderr, (label, r.stderr)
    assert open(chain.path("endpoints.d/pushers.ini"), encoding="utf-8").read() == before


def test_without_oauth_the_remedy_is_told(make_chain):
    chain = make_chain(start=False)
    r = ctl(chain, "pusher", "service-key", "s4-acme")
    assert r.returncode == 1 and "[oauth]\nkey_directory = " in r.stderr


def test_list(make_chain):
    chain = make_chain(start=False, gateway=sections())
    r = ctl(chain, "pusher", "list")
    assert r.returncode == 0
    assert "basic, oauth2" in r.stdout and "globex!b7|client" in r.stdout


def test_push_with_a_service_key(make_chain):
    chain = by_hand(make_chain)
    chain.gateway_sections = merge(chain.gateway_sections, {
        "gateway": {"public_url": f"https://127.0.0.1:{chain.port}"}})
    chain.write_gateway()
    r = ctl(chain, "pusher", "service-key", "globex")
    assert r.returncode == 0, r.stderr
    chain.write("key.json", r.stdout)
    chain.start()
    argv = [program("frunctl"), "push", "--service-key", chain.path("key.json"), "--ca",
            chain.pki.path("ca.pem")]
    sent = run(argv)
    assert sent.returncode == 0, sent.stderr
    assert any("/sap/frun/metrics" in str(v) for v in chain.last().values()), chain.last()
    chain.write("key.json", r.stdout.replace('clientsecret": "', 'clientsecret": "x'))
    sent = run(argv)
    assert sent.returncode == 1 and "client ID or secret is wrong" in sent.stderr
