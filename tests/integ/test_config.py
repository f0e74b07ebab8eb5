# SPDX-License-Identifier: Apache-2.0
"""Configuration: --check says everything at once, with places; broken files start nothing."""

import json
import re

import pytest

from chain import Process, merge, ini_text, program, run

PLACE = re.compile(r"^(?P<file>\S+?):(?P<line>\d+): (?P<where>.+?): (?P<why>.+)$")


def check(chain, name="frunproxyd", file="frunproxy.ini"):
    r = run([program(name), "--config", chain.path(file), "--check"])
    places = [PLACE.match(line) for line in (r.stdout + r.stderr).splitlines()]
    return r, [p for p in places if p]


@pytest.fixture
def files(make_chain):
    return make_chain(start=False)


@pytest.mark.parametrize("name", ["frunproxyd", "frunconnector", "frunctl", "frunsim"])
def test_help_and_version(name):
    r = run([program(name), "--help"])
    assert r.returncode == 0 and name in r.stdout
    r = run([program(name), "--version"])
    assert r.returncode == 0 and re.search(r"\d+\.\d+\.\d+", r.stdout)


def test_good_files(files):
    r, _ = check(files)
    assert r.returncode == 0, r
    r, _ = check(files, "frunconnector", "dc1-a.ini")
    assert r.returncode == 0, r


def test_all_errors_at_once_with_places(files):
    files.gateway_sections = merge(files.gateway_sections, {
        "gateway": {"workers": "many", "nonsense": "1", "head_timeout": "-1"},
        "tunnel": {"certificate": "tls/missing.pem"},
        "endpoint ACME_PROD": {"system": "FR9", "landscape_sync": "perhaps"},
        "pusher globex": {"endpoint": "NOBODY", "password_hash": "plain"},
        "strange": {"a": "b"},
    })
    files.write_gateway()
    r, places = check(files)
    assert r.returncode == 78, r
    wheres = {p["where"] for p in places}
    for expected in ("gateway.workers", "gateway.nonsense", "gateway.head_timeout",
                     "endpoint ACME_PROD.system", "endpoint ACME_PROD.landscape_sync",
                     "pusher globex.endpoint", "pusher globex.password_hash"):
        assert expected in wheres, (expected, wheres)
    assert any("strange" in w for w in wheres)
    inner = [p for p in places if p["where"] == "endpoint ACME_PROD.system"][0]
    lines = open(files.path("endpoints.d/acme.ini"), encoding="utf-8").read().splitlines()
    assert inner["file"].endswith("endpoints.d/acme.ini")
    assert lines[int(inner["line"]) - 1].startswith("system = FR9")


@pytest.mark.parametrize("label, over, where", [
    ("no listen", {"gateway": {"listen": None}}, "gateway.listen"),
    ("no public_url", {"gateway": {"public_url": None}}, "gateway.public_url"),
    ("public_url with a path", {"gateway": {"public_url": "https://a/b"}}, "gateway.public_url"),
    ("missing certificate", {"gateway": {"certificate": "tls/none.pem"}}, "gateway.certificate"),
    ("no certificate", {"gateway": {"certificate": "junk"}}, "gateway.certificate"),
    ("key of another certificate", {"gateway": {"private_key": "tls/frun.key"}},
     "gateway.private_key"),
    ("key with a passphrase", {"tunnel": {"private_key": "junk"}}, "tunnel.private_key"),
    ("no CPUs", {"gateway": {"cpu_affinity": "3-1"}}, "gateway.cpu_affinity"),
    ("short key of tickets", {"gateway": {"session_ticket_key": "secret"}},
     "gateway.session_ticket_key"),
    ("missing client_ca", {"tunnel": {"client_ca": "tls/none.pem"}}, "tunnel.client_ca"),
    ("no CA", {"tunnel": {"client_ca": "junk"}}, "tunnel.client_ca"),
    ("no CA behind an inherited certificate", {"tunnel": {
        "certificate": None, "private_key": None, "client_ca": "junk"}}, "tunnel.client_ca"),
    ("no CA of a direct system", {"system FR1": {
        "route": "direct", "address": "127.0.0.1:1", "backend_ca": "../junk"}},
     "system FR1.backend_ca"),
    ("no CA of a direct endpoint", {"endpoint GLOBEX": {
        "route": "direct", "address": "127.0.0.1:1", "backend_ca": "../junk"}},
     "endpoint GLOBEX.backend_ca"),
    ("log in a missing folder", {"log": {"target": "file:none/log"}}, "log.target"),
    ("the gateway's own path", {"endpoint GLOBEX": {"customer_network": "SAP"}},
     "endpoint GLOBEX.customer_network"),
    ("bad carrier", {"endpoint ACME_PROD": {"admin_request_carrier": "cookie X"}},
     "endpoint ACME_PROD.admin_request_carrier"),
    ("carrier that is framing", {"endpoint ACME_PROD": {
        "admin_request_carrier": "header Content-Length"}},
     "endpoint ACME_PROD.admin_request_carrier"),
    ("carrier without a value", {"endpoint ACME_PROD": {"admin_request_parameter": None}},
     "endpoint ACME_PROD.admin_request_parameter"),
    ("fence with a line end", {"endpoint ACME_PROD": {"admin_request_parameter": "a\x01b"}},
     "endpoint ACME_PROD.admin_request_parameter"),
    ("missing secret", {"endpoint ACME_PROD": {"password": "file:none"}},
     "endpoint ACME_PROD.password"),
    ("two endpoints of one network", {"endpoint GLOBEX": {"customer_network": "ACME_PROD"}},
     "endpoint GLOBEX"),
    ("network too long", {"endpoint GLOBEX": {"customer_network": "N" * 41}},
     "endpoint GLOBEX.customer_network"),
    ("user with colon", {"pusher globex": {"user": "a:b"}}, "pusher globex.user"),
    ("weak hash", {"pusher globex": {"password_hash": "$1$ab$cdefghijklmnopqrstuvw."}},
     "pusher globex.password_hash"),
    ("direct without address", {"system FR1": {"route": "direct"}}, ""),
    ("unknown route", {"system FR1": {"route": "carrier-pigeon"}}, "system FR1.route"),
    ("limit out of range", {"gateway": {"max_fields": "1000000"}}, "gateway.max_fields"),
    ("bad virtual host", {"system FR1": {"virtual_host": "a b"}}, "virtual_host"),
])
def test_broken_gateway_files(files, label, over, where):
    files.write("junk", "no PEM at all\n")
    files.gateway_sections = merge(files.gateway_sections, over)
    files.write_gateway()
    r, places = check(files)
    assert r.returncode == 78, (label, r)
    if where:
        assert any(where in p["where"] for p in places), (label, r)
    else:
        assert r.stderr or r.stdout


@pytest.mark.parametrize("label, over, where", [
    ("unknown key", {"connector": {"colour": "red"}}, "connector.colour"),
    ("no gateway", {"subaccount provider": {"gateway": None}}, "subaccount provider.gateway"),
    ("resource of no system", {"resource frun": {"system": "other:1"}}, "resource frun.system"),
    ("relative path", {"resource frun": {"path": "sap/frun"}}, "resource frun.path"),
    ("bad policy", {"resource frun": {"policy": "everything"}}, "resource frun.policy"),
    ("bad port", {"system fr1_frun:443": {"internal_port": "70000"}},
     "system fr1_frun:443.internal_port"),
    ("bad back-end type", {"system fr1_frun:443": {"backend_type": "Mainframe"}},
     "system fr1_frun:443.backend_type"),
    ("missing key file", {"connector": {"private_key": "tls/none.key"}}, "connector.private_key"),
    ("key of another certificate", {"connector": {"private_key": "tls/frun.key"}},
     "connector.private_key"),
    ("log in a missing folder", {"log": {"target": "file:none/log"}}, "log.target"),
    ("missing proxy password", {"subaccount provider": {
        "proxy": "http://127.0.0.1:1", "proxy_user": "x", "proxy_password": "file:none"}},
     "subaccount provider.proxy_password"),
])
def test_broken_connector_files(files, label, over, where):
    files.write("broken.ini", ini_text(merge(files.default_connector("dc1-a"), over)))
    r, places = check(files, "frunconnector", "broken.ini")
    assert r.returncode == 78, (label, r)
    if where:
        assert any(where in p["where"] for p in places), (label, r)


def test_one_bad_certificate_does_not_hide_the_next(files):
    files.write("junk", "no PEM at all\n")
    files.gateway_sections = merge(files.gateway_sections, {
        "gateway": {"private_key": "tls/frun.key"},
        "tunnel": {"private_key": "tls/frun.key", "client_ca": "junk"}})
    files.write_gateway()
    r, places = check(files)
    assert r.returncode == 78, r
    assert [p["where"] for p in places] == [
        "gateway.private_key", "tunnel.private_key", "tunnel.client_ca"], r
    files.write("broken.ini", ini_text(merge(files.default_connector("dc1-a"), {
        "connector": {"private_key": "tls/frun.key"},
        "subaccount provider": {"gateway_ca": "junk"}})))
    r, places = check(files, "frunconnector", "broken.ini")
    assert r.returncode == 78, r
    assert [p["where"] for p in places if p["where"] != "warning"] == [
        "connector.private_key", "subaccount provider.gateway_ca"], r


@pytest.mark.parametrize("days, word", [("-1", "expired on"), ("5", "expires on"), ("60", None)])
def test_certificates_that_end(files, days, word):
    run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old",
         "-keyout", files.path("old.key"), "-out", files.path("old.csr")])
    r = run(["openssl", "x509", "-req", "-in", files.path("old.csr"), "-days", days,
             "-signkey", files.path("old.key"), "-out", files.path("old.pem")])
    assert r.returncode == 0, r
    over = {"certificate": "old.pem", "private_key": "old.key"}
    files.gateway_sections = merge(files.gateway_sections, {"gateway": over})
    files.write_gateway()
    files.write("old.ini", ini_text(merge(files.default_connector("dc1-a"), {"connector": over})))
    for r, where in ((check(files)[0], "gateway"),
                     (check(files, "frunconnector", "old.ini")[0], "connector")):
        assert r.returncode == 0, r
        said = [x for x in r.stderr.splitlines()
                if f"warning: {where}.certificate: " in x and "expire" in x]
        assert bool(said) == bool(word) and (not word or word in said[0]), r


def test_certificates_of_other_names(files):
    files.gateway_sections = merge(files.gateway_sections, {
        "gateway": {"public_url": "https://elsewhere.example.com:8443"},
        "tunnel": {"server_name": "nowhere.example.com"}})
    files.write_gateway()
    r, _ = check(files)
    assert r.returncode == 0, r
    assert "gateway.certificate: the certificate does not carry the name elsewhere." in r.stderr, r
    assert "tunnel.server_name: the certificate does not carry the name nowhere." in r.stderr, r


def test_a_broken_file_starts_nothing(files):
    files.gateway_sections = merge(files.gateway_sections, {"gateway": {"nonsense": "1"}})
    files.write_gateway()
    p = Process("frunproxyd", [program("frunproxyd"), "--config", files.path("frunproxy.ini")],
                files.path("broken.log")).start()
    try:
        assert p.wait(10) == 78
        assert "gateway.nonsense" in p.log()
    finally:
        p.kill()


def test_missing_file_and_wrong_usage(files):
    assert run([program("frunproxyd"), "--config", files.path("none.ini"), "--check"]) \
        .returncode == 78
    assert run([program("frunproxyd"), "--nonsense"]).returncode not in (0, 78)
    assert run([program("frunproxyd")]).returncode != 0


def test_a_port_in_use_is_told(make_chain):
    chain = make_chain(connectors=(), wait=False, has_sim=False)
    second = Process("frunproxyd", [program("frunproxyd"), "--config", chain.path("blocked.ini")],
                     chain.path("second.log"))
    text = open(chain.path("frunproxy.ini"), encoding="utf-8").read()
    import socket
    with socket.create_server(("127.0.0.1", 0)) as s:
        chain.write("blocked.ini", text.replace(f"127.0.0.1:{chain.port}",
                                                f"127.0.0.1:{s.getsockname()[1]}")
                    .replace(f"127.0.0.1:{chain.tunnel_port}", "127.0.0.1:0"))
        second.start()
        try:
            assert second.wait(10) not in (0, None)
            assert str(s.getsockname()[1]) in second.log()
        finally:
            second.kill()


def test_no_secret_in_the_report(files):
    files.gateway_sections = merge(files.gateway_sections, {
        "endpoint ACME_PROD": {"password": "literal-Secret-1", "nonsense": "1"}})
    files.write_gateway()
    r, _ = check(files)
    assert r.returncode == 78 and "literal-Secret-1" not in r.stdout + r.stderr


def test_json(make_chain):
    """What people read of files, machines read as JSON; secrets are in neither."""
    chain = make_chain(start=False)
    frunctl = program("frunctl")
    good = chain.path("frunproxy.ini")

    def ask(*words, status=0):
        r = run([frunctl, "config", *words, "--json"])
        assert r.returncode == status, r
        return json.loads(r.stdout)

    told = ask("check", good)
    assert told["result"] == "good" and told["side"] == "gateway"
    assert told["counts"]["endpoints"] == 2
    told = ask("check", chain.path("dc1-a.ini"))
    assert told["side"] == "connector" and told["counts"]["systems"] == 1
    bad = chain.write("bad.ini", "[gateway]\nlisten = nowhere\nspeed = high\n")
    told = ask("check", bad, status=78)
    assert told["result"] == "bad" and "counts" not in told
    assert any("gateway.speed" in line for line in told["report"]), told

    shown = ask("show", good)
    assert {e["name"] for e in shown["endpoint"]} == {"ACME_PROD", "GLOBEX"}
    assert "$6$" not in json.dumps(shown) and "acme-prod-proxy" not in json.dumps(shown)

    with open(good, encoding="utf-8") as f:
        other = chain.write("other.ini", f.read().replace("[gateway]", "[gateway]\nhold = 3s"))
    told = ask("diff", good, other)
    assert told["changes"] == [{"section": "gateway", "key": "hold", "before": "8 s",
                                "now": "3 s"}], told
    assert told["restart"] == [] and told["more"] == 0

    keys = ask("keys")
    grace = next(k for k in keys if k["file"] == "gateway" and k["key"] == "drain_grace")
    assert grace["type"] == "time" and grace["unit"] == "s" and grace["default"] == "2 s"
    assert grace["changes"] == "reload" and grace["help"]
    assert next(k for k in keys if k["key"] == "workers")["changes"] == "restart"
    plain = run([frunctl, "config", "keys"]).stdout.splitlines()
    assert len(plain) == len(keys) and all(line.count("\t") == 8 for line in plain)
