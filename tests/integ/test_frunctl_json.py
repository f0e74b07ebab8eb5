# SPDX-License-Identifier: Apache-2.0
"""frunctl --json: each command of the table, done and failed, says one JSON value and no secret."""

import json
import os
import subprocess

import pytest

from chain import FRUN_PASSWORD, PASSWORD, USER, merge, password_hash, program, wait_until
from issuers import Issuer

SPOKEN = "A spoken pass-word"

# Several values, one a line.
STREAMS = {"top", "audit show"}


def frunctl(*args, stdin=None, deadline=60):
    return subprocess.run([program("frunctl"), *args], input=stdin, capture_output=True, text=True,
                          timeout=deadline)


def commands():
    out = json.loads(frunctl("config", "commands", "--json").stdout)
    return {" ".join(filter(None, (c["group"], c["name"]))): c for c in out}


def test_the_table_promises_json_everywhere():
    for name, c in commands().items():
        assert "--json" in c["arguments"], name


@pytest.fixture
def idp(pki):
    issuer = Issuer(pki)
    yield issuer
    issuer.stop()


def good_ways(chain, tmp):
    """Command: its words, what stdin gives, exit status, keys that the answer must have."""
    gw = ("--config", chain.path("frunproxy.ini"))
    cn = ("--config", chain.path("dc1-a.ini"))
    pki = str(tmp / "pki")
    one = "ACME_PROD"
    mass = tmp / "list.csv"
    mass.write_text("NEW NET;fence-new;FRUN_PUSH;" + FRUN_PASSWORD + ";s4-new\n")
    os.mkdir(tmp / "keys", 0o700)
    return [
        ("alert list", gw, None, 0, ("alerts",)),
        ("alert list", cn, None, 0, ("alerts",)),
        ("audit show", gw, None, 0, ("seq", "event", "hash")),
        ("audit verify", gw, None, 0, ("good", "files")),
        ("config check", (chain.path("frunproxy.ini"),), None, 0, ("result", "counts", "report")),
        ("config diff", gw, None, 0, ("changes", "restart")),
        ("config diff", (chain.path("frunproxy.ini"), chain.path("frunproxy.ini")), None, 0,
         ("changes", "restart")),
        ("config show", (chain.path("frunproxy.ini"),), None, 0, ("gateway",)),
        ("config sample", ("gateway",), None, 0, ("name", "text")),
        ("config manual", (), None, 0, ("name", "text")),
        ("config keys", (), None, 0, ()),
        ("config man", ("frunctl",), None, 0, ("name", "text")),
        ("config commands", (), None, 0, ()),
        ("certificate list", gw, None, 0, ("certificates",)),
        ("connector list", gw, None, 0, ("connectors",)),
        ("doctor", gw, None, None, ("findings",)),
        ("endpoint add", ("NEW_ONE", "system=FR1", "customer_network=NEW ONE",
                          "admin_request_parameter=new-one", "admin_request_carrier=header X-Fence",
                          "user=U", "--password-file", "-", *gw), SPOKEN, 0, ("result", "files")),
        ("endpoint check", (one, *gw), None, None, ("steps",)),
        ("endpoint health", gw, None, 0, ()),
        ("endpoint list", gw, None, 0, ("endpoints",)),
        ("endpoint remove", ("NEW_ONE", *gw), None, 0, ("result", "files")),
        ("endpoint show", (one, *gw), None, 0, ("requests", "road")),
        ("endpoint root-url", (one, *gw), None, 0, ("root_url",)),
        ("endpoint switch", (one, "--to", "direct", "--force", *gw), None, None, ()),
        ("log level", ("info", *gw), None, 0, ("level",)),
        ("mass-setup", (str(mass), "--apply", "--handover", str(tmp / "hand.csv"), "--system", "FR1",
                        *gw), None, 0, ("lines", "new")),
        ("oauth check-issuer", ("IDP", *gw), None, 0, ("keys", "good", "keys_url")),
        ("oauth new-key", (str(tmp / "keys"), *gw), None, 0, ("id", "file")),
        ("passwd", gw, SPOKEN, 0, ("hash", "method")),
        ("pki init", (pki, *gw), None, 0, ("certificate", "private_key", "until")),
        ("pki gateway", (pki, "--name", "push.example.com", *gw), None, 0, ("certificate",)),
        ("pki connector", (pki, "--name", "dc9", *gw), None, 0, ("certificate_subject",)),
        ("pki server", (pki, "--name", "frun.corp", *gw), None, 0, ("certificate",)),
        ("pki revoke", (pki, pki + "/dc9.pem", *gw), None, 0, ("file", "revoked", "until")),
        ("pusher add", ("s4-two", "endpoint=" + one, "--password-file", "-", *gw), SPOKEN, 0,
         ("result", "files")),
        ("pusher list", gw, None, 0, ("pushers",)),
        ("pusher remove", ("s4-two", *gw), None, 0, ("result", "files")),
        ("pusher service-key", ("s4-acme", *gw), None, 0, ("uaa", "endpoints")),
        ("pusher rotate", ("s4-acme", "--password", *gw), None, 0, ("user", "password")),
        ("push", ("--url", f"https://127.0.0.1:{chain.port}/{one}/sap/frun/ngdci", "--user", "globex",
                  "--ca", chain.pki.path("ca.pem")), PASSWORD, None, ("status", "remedy")),
        ("requests", gw, None, 0, ("requests",)),
        ("reload", gw, None, 0, ("result",)),
        ("secret set", ("a_secret", "--password-file", "-", *gw), SPOKEN, 0, ("file", "reference")),
        ("status", gw, None, 0, ("daemon", "version")),
        ("status", cn, None, 0, ("daemon", "version")),
        ("subaccount list", cn, None, 0, ("subaccounts",)),
        ("system list", cn, None, 0, ("systems",)),
        ("top", ("1", "1", *gw), None, 0, ("endpoints",)),
        ("tunnel list", gw, None, 0, ("tunnels",)),
        ("tunnel list", cn, None, 0, ("tunnels",)),
        ("connector drain", ("DC1-A", *gw), None, 0, ("tunnels_draining",)),
        ("drain", gw, None, 0, ()),
    ]


def values(name, text):
    return [json.loads(x) for x in text.splitlines()] if name in STREAMS else [json.loads(text)]


def test_each_command_when_it_goes_well(make_chain, idp, tmp_path):
    idp.start()
    hashed = password_hash(PASSWORD)
    chain = make_chain(gateway={
        "issuer IDP": idp.section(), "oauth": {"key_directory": "keys"},
        "endpoint ACME_PROD": {"standby_route": "direct", "address": "127.0.0.1:9",
                               "backend_ca": "../tls/frun-ca.pem"},
        "pusher s4-acme": {"endpoint": "ACME_PROD", "auth": "basic", "user": USER,
                           "password_hash": hashed}})
    seen = set()
    for name, words, stdin, code, keys in good_ways(chain, tmp_path):
        r = frunctl(*name.split(), *words, "--json", stdin=stdin and stdin + "\n")
        assert code is None or r.returncode == code, (name, r.returncode, r.stdout, r.stderr)
        for value in values(name, r.stdout):
            for key in keys:
                assert key in value, (name, key, value)
        if r.stderr.strip():
            assert "messages" in json.loads(r.stderr), (name, r.stderr)
        for secret in (SPOKEN, FRUN_PASSWORD, PASSWORD, "globex-proxy"):
            assert secret not in r.stdout + r.stderr, (name, secret)
        seen.add(name)
    assert seen == set(commands())


def test_each_command_when_it_goes_wrong(make_chain):
    chain = make_chain(start=False)
    chain.write("bad.ini", "[gateway]\nnonsense = 1\n[endpoint X]\nmore = 2\n")
    for name in commands():
        r = frunctl(*name.split(), "--no-such-option", "--json")
        answer = json.loads(r.stdout)
        assert (r.returncode, answer["exit"], answer["result"]) == (64, 64, "failed"), (name, r)
        assert answer["errors"] and not r.stderr, (name, r)
    for words, code in ((("status",), 69), (("reload",), 69), (("endpoint", "list"), 0),
                        (("pusher", "list"), 0), (("nothing", "at", "all"), 64),
                        (("pki",), 64)):
        r = frunctl(*words, "--json", *(() if code == 64 else ("--config", chain.path("frunproxy.ini"))))
        answer = json.loads(r.stdout)
        assert r.returncode == code and (code == 0 or answer["exit"] == code), (words, r)
    bad = ("--config", chain.path("bad.ini"))
    for words in (("status",), ("pusher", "list"), ("endpoint", "root-url", "X"),
                  ("pusher", "rotate", "x"), ("endpoint", "add", "X", "system=FR1"),
                  ("oauth", "check-issuer", "X"), ("audit", "verify")):
        r = frunctl(*words, *bad, "--json", stdin="word\n")
        answer = json.loads(r.stdout)
        assert answer["exit"] == r.returncode and r.returncode, (words, r)
        assert answer["errors"] and not r.stderr, (words, r)
    r = frunctl("config", "check", chain.path("bad.ini"), "--json")
    answer = json.loads(r.stdout)
    assert r.returncode == 78 and answer["result"] == "bad" and len(answer["report"]) >= 2, r
    r = frunctl("config", "show", chain.path("bad.ini"), "--json")
    assert r.returncode == 78 and any("bad.ini:2:" in x for x in json.loads(r.stdout)["errors"]), r


def test_a_change_that_frunctl_makes_is_in_the_audit_log(make_chain, tmp_path):
    chain = make_chain()
    gw = ("--config", chain.path("frunproxy.ini"))
    cn = ("--config", chain.path("dc1-a.ini"))
    os.mkdir(tmp_path / "keys", 0o700)
    pki = str(tmp_path / "pki")
    mass = tmp_path / "list.csv"
    mass.write_text("NEW NET;fence-new;FRUN_PUSH;" + FRUN_PASSWORD + ";s4-new\n")
    for words, config, event, thing, stdin in (
            (("pki", "init", pki), gw, "certificate.made", pki + "/ca.pem", None),
            (("pki", "connector", pki, "--name", "x9"), cn, "certificate.made", pki + "/x9.pem", None),
            (("oauth", "new-key", str(tmp_path / "keys")), gw, "key.made", str(tmp_path / "keys"), None),
            (("passwd",), gw, "credential.made", "hash of a password", SPOKEN),
            (("secret", "set", "one", "--password-file", "-"), gw, "file.written",
             chain.path("secrets", "one"), SPOKEN),
            (("secret", "set", "two", "--password-file", "-"), cn, "file.written",
             chain.path("secrets", "two"), SPOKEN),
            (("mass-setup", str(mass), "--apply", "--handover", str(tmp_path / "hand.csv"), "--system",
              "FR1"), gw, "file.written", chain.path("secrets", "NEW_NET"), None)):
        r = frunctl(*words, *config, stdin=stdin and stdin + "\n")
        assert r.returncode == 0 and "not in the audit log" not in r.stderr, (words, r)
        log = chain.path("audit.log" if config == gw else "dc1-a-audit.log")
        with open(log, encoding="ascii") as f:
            told = [json.loads(line) for line in f]
        assert any(t["event"] == event and t["object"] == thing and t["who"].startswith("frunctl, uid")
                   for t in told), (words, told[-3:])
        assert SPOKEN not in str(told) and FRUN_PASSWORD not in str(told)
        r = frunctl("audit", "verify", *config)
        assert r.returncode == 0, r
