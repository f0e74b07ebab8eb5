# SPDX-License-Identifier: Apache-2.0
"""Tokens for a client certificate instead of a secret (RFC 8705), as SAP's x509 service keys want them."""

import json
import ssl
import subprocess

import pytest

from chain import PASSWORD, USER, assert_problem, merge, password_hash, program, run, wait_until
from oauth import FORM, SECRET, ask, bearer, claims, form, push, token
from test_certificates import ACME, certs, restarted, sha256  # certs: a fixture

__all__ = ["certs"]
CLIENT = "sb-s4-acme"


def sections(certs, **oauth):
    return {
        "gateway": {"client_ca": "tls/pushers-ca.pem"},
        "oauth": {"key_directory": "keys", **oauth},
        "pusher s4-acme": {"endpoint": "ACME_PROD", "auth": "oauth2", "user": None,
                           "password_hash": None,
                           "certificate_subject": "CN=s4-acme,O=ACME\\, Inc.,C=DE",
                           "certificate_sha256": sha256(certs, "p-self")},
        "pusher other": {"endpoint": "ACME_PROD", "auth": "oauth2", "certificate_subject": "CN=other",
                         "client_secret_hash": password_hash(SECRET)},
    }


def got(chain, name, client=CLIENT, **kw):
    body = form(grant_type="client_credentials", client_id=client, response_type="token")
    return ask(chain, body, certificate=chain.pki.path(name) if name else None, **kw)


def granted(chain, name, client=CLIENT):
    a = got(chain, name, client)
    assert a.status == 200, a
    return json.loads(a.body)["access_token"]


def shown(chain, name):
    return {"certificate": chain.pki.path(name)} if name else {}


def test_a_certificate_instead_of_a_secret(make_chain, certs):
    chain = make_chain(gateway=sections(certs))
    for name in ("p-acme", "p-self"):
        text = granted(chain, name)
        assert claims(text)["client_id"] == CLIENT and "cnf" not in claims(text)
        # SAP's clients push without a certificate.
        assert push(chain, text).status == push(chain, text, **shown(chain, "p-other")).status == 200
    for name, client in (("p-other", CLIENT), ("p-forged", CLIENT), ("p-expired", CLIENT), (None, CLIENT),
                         ("p-acme", "sb-other"), ("p-acme", "nobody"), ("forged", CLIENT)):
        a = got(chain, name, client)
        assert (a.status, json.loads(a.body)["error"]) == (401, "invalid_client"), (name, client, a)
    # A secret that is shown counts, right or wrong.
    assert token(chain, "sb-other", SECRET, **shown(chain, "p-acme"))
    wrong = form(grant_type="client_credentials", client_id=CLIENT, client_secret="x")
    assert ask(chain, wrong, **shown(chain, "p-acme")).status == 401
    # auth does not name certificate: it alone opens nothing.
    assert chain.push(target=ACME, auth=None, **shown(chain, "p-acme")).status == 401
    line = wait_until(lambda: [x for x in chain.access_lines() if x.get("pusher") == "s4-acme"],
                      "access lines")[0]
    assert line["auth"] == "oauth2" and line["path"] == "/oauth/token"


def test_a_token_dies_with_its_certificate(make_chain, certs):
    chain = make_chain(gateway=sections(certs))
    by_name, by_pin = granted(chain, "p-acme"), granted(chain, "p-self")
    restarted(chain, {"pusher s4-acme": {
        "certificate_sha256": None, "old_certificate_sha256": sha256(certs, "p-self"),
        "old_certificate_until": "2099-01-01T00:00:00Z"}})
    assert push(chain, by_name).status == push(chain, by_pin).status == 200
    restarted(chain, {"pusher s4-acme": {"old_certificate_until": "2020-01-01T00:00:00Z"}})
    assert push(chain, by_name).status == 200
    refused = push(chain, by_pin)
    assert "certificate it was issued for is not valid any more" in assert_problem(
        refused, 401)["detail"]
    restarted(chain, {"pusher s4-acme": {"certificate_subject": "CN=s4-acme 2"}})
    assert push(chain, by_name).status == 401


def test_a_token_lives_no_longer_than_its_certificate(make_chain, certs):
    chain = make_chain(gateway=sections(certs, token_lifetime="160h"))
    a = got(chain, "p-acme")
    assert json.loads(a.body)["expires_in"] <= 3 * 86400


def test_bound_tokens(make_chain, certs):
    chain = make_chain(gateway=sections(certs, bind_tokens="yes"))
    text = granted(chain, "p-acme")
    assert len(claims(text)["cnf"]["x5t#S256"]) == 43
    for name, status in (("p-acme", 200), (None, 401), ("p-self", 401), ("p-acme", 200)):
        a = push(chain, text, **shown(chain, name))
        assert a.status == status, (name, a)
    assert "only with the client certificate" in a.get("WWW-Authenticate") if status == 401 else True
    # Others are not bound.
    assert push(chain, token(chain, "sb-other", SECRET)).status == 200


@pytest.mark.parametrize("option", ["--http1.1", "--http2"])
def test_curl(make_chain, certs, option):
    chain = make_chain(gateway=sections(certs))
    base = certs.path("p-acme")
    r = run(["curl", "-sS", option, "--cacert", certs.path("ca.pem"), "--cert", base + ".pem", "--key",
             base + ".key", "--connect-to", f"push.example.com:443:127.0.0.1:{chain.port}", "-d",
             f"grant_type=client_credentials&client_id={CLIENT}",
             "https://push.example.com/oauth/token"])
    assert json.loads(r.stdout)["token_type"] == "bearer", r


def test_requests_oauthlib(make_chain, certs):
    requests_oauthlib = pytest.importorskip("requests_oauthlib")
    oauth2 = pytest.importorskip("oauthlib.oauth2")
    chain = make_chain(gateway=sections(certs))
    base, url = certs.path("p-acme"), f"https://127.0.0.1:{chain.port}"
    client = oauth2.BackendApplicationClient(client_id=CLIENT)
    with requests_oauthlib.OAuth2Session(client=client) as session:
        session.trust_env = False
        session.cert = (base + ".pem", base + ".key")
        text = session.fetch_token(url + "/oauth/token", client_id=CLIENT, include_client_id=True,
                                   verify=certs.path("ca.pem"))["access_token"]
        r = session.post(url + ACME, data=b"{}", verify=certs.path("ca.pem"))
        assert r.status_code == 200, r.text
    assert push(chain, text).status == 200


def test_metadata(make_chain, certs):
    chain = make_chain(gateway=sections(certs, cert_url="https://cert.push.example.com"))
    a = ask(chain, method="GET", fields=(), target="/.well-known/oauth-authorization-server")
    value = json.loads(a.body)
    assert "tls_client_auth" in value["token_endpoint_auth_methods_supported"]
    assert value["mtls_endpoint_aliases"]["token_endpoint"] == \
        "https://cert.push.example.com/oauth/token"
    assert value["tls_client_certificate_bound_access_tokens"] is False


def test_nobody_without_certificates_sees_a_difference(make_chain, certs):
    over = merge(sections(certs), {"gateway": {"client_ca": None}, "pusher other": None, "pusher s4-acme": {
        "certificate_subject": None, "certificate_sha256": None,
        "client_secret_hash": password_hash(SECRET)}})
    chain = make_chain(gateway=over)
    a = ask(chain, form(grant_type="client_credentials", client_id=CLIENT), (FORM,))
    assert (a.status, json.loads(a.body)["error_description"]) == (
        401, "client_id and client_secret are needed")
    assert chain.push(target=ACME, auth=None, fields=[bearer(token(chain, CLIENT, SECRET))]).status == 200


# -- frunctl


def ctl(chain, *args):
    return run([program("frunctl"), "pusher", *args, "--config", chain.path("frunproxy.ini")])


def key_of(chain, *args):
    r = ctl(chain, *args)
    assert r.returncode == 0, r
    return json.loads(r.stdout)


def kept(chain, name, key):
    """What a managed service would keep of the key: certificate and key as files."""
    for suffix, what in ((".pem", "certificate"), (".key", "key")):
        with open(chain.path(name + suffix), "w", encoding="ascii") as f:
            f.write(key["uaa"][what])
    return {"certificate": chain.path(name)}


def works(chain, shown_by):
    a = ask(chain, form(grant_type="client_credentials", client_id=CLIENT), **shown_by)
    return a.status == 200 and push(chain, json.loads(a.body)["access_token"]).status == 200


def again(chain):
    chain.gateway.stop()
    chain.restart(chain.gateway)


def test_a_service_key_with_a_certificate_from_nothing_to_a_push(make_chain):
    chain = make_chain(start=False, gateway={"oauth": {"key_directory": "keys"}})
    key = key_of(chain, "service-key", "s4-acme", "--x509")
    uaa = key["uaa"]
    assert key["endpoints"]["Api"] == "https://push.example.com/ACME_PROD/api"
    assert sorted(uaa) == ["certificate", "certurl", "clientid", "credential-type", "identityzone", "key",
                           "url"]
    assert (uaa["certurl"], uaa["credential-type"]) == ("https://push.example.com", "x509")
    text = open(chain.path("endpoints.d/acme.ini"), encoding="utf-8").read()
    assert "auth = basic, oauth2" in text and uaa["key"] not in text
    assert uaa["certificate"].splitlines()[1] not in text
    first = kept(chain, "first", key)
    chain.start()
    assert works(chain, first)
    assert chain.push().status == 200  # with its password, as before
    refused = ctl(chain, "service-key", "s4-acme", "--x509")
    assert refused.returncode == 1 and "rotate" in refused.stderr and refused.stdout == ""
    assert "(known by 1 certificate line)" in ctl(chain, "list").stdout
    # Rotation: both, then the new one alone.
    second = kept(chain, "second", key_of(chain, "rotate", "s4-acme", "--x509", "--grace", "1h"))
    again(chain)
    assert works(chain, first) and works(chain, second)
    third = kept(chain, "third", key_of(chain, "rotate", "s4-acme", "--x509", "--grace", "0"))
    again(chain)
    assert [works(chain, x) for x in (first, second, third)] == [False, False, True]


def test_signed_by_a_ca_of_ours(make_chain, tmp_path):
    chain = make_chain(start=False, gateway={"oauth": {"key_directory": "keys"}})
    folder = str(tmp_path / "pki")
    assert run([program("frunctl"), "pki", "init", folder, "--name", "Pushers"]).returncode == 0
    key = key_of(chain, "service-key", "s4-acme", "--x509", "--pki", folder)
    shown_by = kept(chain, "signed", key)
    r = run(["openssl", "verify", "-purpose", "sslclient", "-CAfile", folder + "/ca.pem",
             shown_by["certificate"] + ".pem"])
    assert r.returncode == 0, r
    chain.start()
    assert works(chain, shown_by)


def test_a_certificate_made_elsewhere(make_chain, certs):
    chain = make_chain(start=False, gateway={"oauth": {"key_directory": "keys"}})
    key = key_of(chain, "service-key", "s4-acme", "--x509", "--certificate", certs.path("p-self.pem"))
    assert "key" not in key["uaa"]
    assert ssl.PEM_cert_to_DER_cert(key["uaa"]["certificate"])
    chain.start()
    assert works(chain, shown(chain, "p-self"))


def test_a_certificate_alone_is_rotated_too(make_chain, certs):
    chain = make_chain(start=False, gateway={"oauth": {"key_directory": "keys"}, "pusher s4-acme": {
        "auth": "basic, certificate", "certificate_sha256": sha256(certs, "p-self")}})
    r = ctl(chain, "rotate", "s4-acme", "--x509")
    assert r.returncode == 0 and r.stdout.startswith("-----BEGIN CERTIFICATE"), r
    for suffix in (".pem", ".key"):
        chain.write("made" + suffix, r.stdout)
    chain.start()
    for certificate in (chain.path("made"), certs.path("p-self")):
        assert chain.push(target=ACME, auth=None, certificate=certificate).status == 200
    assert chain.push(auth=(USER, PASSWORD)).status == 200
    key_of(chain, "service-key", "s4-acme", "--x509", "--force")
    text = open(chain.path("endpoints.d/acme.ini"), encoding="utf-8").read()
    assert "auth = basic, oauth2, certificate" in text


def test_a_key_that_nobody_saw_is_not_kept(make_chain):
    chain = make_chain(start=False, gateway={"oauth": {"key_directory": "keys"}})
    path = chain.path("endpoints.d/acme.ini")
    before = open(path, encoding="utf-8").read()
    argv = [program("frunctl"), "pusher", "service-key", "s4-acme", "--x509", "--config",
            chain.path("frunproxy.ini")]
    with open("/dev/full", "wb") as full:
        r = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False, timeout=30)
    assert r.returncode == 1 and b"cannot be printed" in r.stderr, r
    assert open(path, encoding="utf-8").read() == before


def test_the_key_names_where_certificates_are_asked_for(make_chain, certs):
    chain = make_chain(start=False, gateway={
        "oauth": {"key_directory": "keys", "cert_url": "https://cert.push.example.com"},
        "endpoint GLOBEX": {"host_name": "globex.push.example.com",
                            "client_ca": "../tls/globex-ca.pem"}})
    assert key_of(chain, "service-key", "s4-acme", "--x509")["uaa"]["certurl"] == \
        "https://cert.push.example.com"
    assert key_of(chain, "service-key", "globex", "--x509")["uaa"]["certurl"] == \
        "https://globex.push.example.com"
