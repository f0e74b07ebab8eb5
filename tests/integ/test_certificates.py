# SPDX-License-Identifier: Apache-2.0
"""Pushers known by client certificates: who is one, who is asked, and that nobody else is disturbed."""

import datetime
import hashlib
import http.client
import ssl
import subprocess

import pytest

from chain import (PASSWORD, USER, Chain, assert_problem, merge, password_hash, program, run,
                   wait_until)
from test_reload import change

ACME, GLOBEX = "/ACME_PROD/sap/frun/x", "/GLOBEX/sap/frun/x"
HOST = "globex.push.example.com"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def sha256(pki, name):
    with open(pki.path(name + ".pem"), encoding="ascii") as f:
        der = ssl.PEM_cert_to_DER_cert(f.read())
    return hashlib.sha256(der).hexdigest()


def dated(pki, name, issuer, begin_days, end_days):
    """A client certificate whose life has ended, or has not begun."""
    today = datetime.datetime.now(datetime.timezone.utc)

    def day(n):
        return (today + datetime.timedelta(days=n)).strftime("%y%m%d%H%M%SZ")
    folder = pki.path(name + ".d")
    subprocess.run(["mkdir", "-p", folder], check=True)
    for file, text in (("index", ""), ("serial", "77\n"), ("cnf", f"""[ca]
default_ca = x
[x]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[ext]
extendedKeyUsage = clientAuth
""")):
        with open(f"{folder}/{file}", "w", encoding="ascii") as f:
            f.write(text)
    run_ok("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-subj", "/CN=s4-acme", "-keyout", pki.path(name + ".key"), "-out", f"{folder}/csr",
           "-config", f"{folder}/cnf")
    run_ok("openssl", "ca", "-batch", "-config", f"{folder}/cnf", "-in", f"{folder}/csr", "-notext",
           "-cert", pki.path(issuer + ".pem"), "-keyfile", pki.path(issuer + ".key"), "-startdate",
           day(begin_days), "-enddate", day(end_days), "-extensions", "ext", "-out",
           pki.path(name + ".pem"))


def run_ok(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def certs(pki):
    for ca in ("pushers-ca", "globex-ca"):
        pki._openssl(ca, "/CN=" + ca, ["basicConstraints=critical,CA:TRUE",
                                       "keyUsage=critical,keyCertSign,cRLSign"])
    usage = ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"]
    pki._openssl("p-acme", "/C=DE/O=ACME, Inc./CN=s4-acme", usage, "pushers-ca")
    pki._openssl("p-next", "/C=DE/O=ACME, Inc./CN=s4-acme 2", usage, "pushers-ca")
    pki._openssl("p-forged", "/C=DE/O=ACME, Inc./CN=s4-acme", usage, "stranger-ca")
    pki._openssl("p-san", "/CN=whoever", usage + ["subjectAltName=DNS:s4.acme.example"], "pushers-ca")
    pki._openssl("p-other", "/CN=other", usage, "pushers-ca")
    pki._openssl("p-self", "/CN=self", usage)
    pki._openssl("p-globex", "/CN=globex", usage, "globex-ca")
    pki._openssl("p-globex-by-pushers", "/CN=globex", usage, "pushers-ca")
    dated(pki, "p-expired", "pushers-ca", -10, -1)
    dated(pki, "p-early", "pushers-ca", 1, 10)
    pki.server("globex-front", "ca", [HOST])
    return pki


def sections(pki):
    return {
        "gateway": {"client_ca": "tls/pushers-ca.pem"},
        "pusher cert-acme": {"endpoint": "ACME_PROD", "auth": "certificate",
                             "certificate_subject": "cn=S4-ACME, O=\"ACME, Inc.\", C=DE",
                             "certificate_san": "dns:S4.acme.example",
                             "certificate_sha256": sha256(pki, "p-self")},
        "pusher cert-expired": {"endpoint": "ACME_PROD", "auth": "certificate",
                                "certificate_subject": "CN=s4-acme",
                                "certificate_sha256": sha256(pki, "p-early")},
    }


@pytest.fixture(scope="module")
def _shared(tmp_path_factory, certs):
    chain = Chain(tmp_path_factory.mktemp("shared"), certs, gateway=sections(certs))
    try:
        chain.start()
        yield chain
        chain.stop()
    finally:
        chain.kill()


def push(chain, name=None, target=ACME, auth=None, **kw):
    return chain.push(target=target, auth=auth, certificate=chain.pki.path(name) if name else None,
                      **kw)


def logged(chain, pusher, auth):
    """Lines are written in batches, a little behind the answers."""
    wait_until(lambda: [x for x in chain.access_lines()
                        if (x.get("pusher"), x.get("auth")) == (pusher, auth)],
               f"access line of {pusher} by {auth}")


# -- who is one


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["p-acme", "p-san", "p-self"])
def test_right(shared, name, version):
    assert push(shared, name, version=version).status == 200
    got = shared.last()
    assert got["network"] == "ACME PROD"
    logged(shared, "cert-acme", "certificate")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name, say", [
    ("p-forged", "no CA of client_ca has signed it"),
    ("p-other", "no pusher that is enabled is known by it"),
    ("p-expired", "has expired"),
    ("p-early", "not valid yet"),
    ("forged", "no CA of client_ca has signed it"),
    (None, "credentials are needed"),
])
def test_wrong(shared, name, say, version):
    """The endpoint takes passwords too, so there is something to be asked for."""
    a = push(shared, name, version=version)
    problem = assert_problem(a, 401)
    assert say in problem["detail"], problem
    assert a.get("WWW-Authenticate").startswith("Basic")
    assert shared.received() == []


def test_the_subject_is_told_as_it_would_be_configured(shared):
    detail = assert_problem(push(shared, "p-next"), 401)["detail"]
    assert "CN=s4-acme 2,O=ACME\\, Inc.,C=DE" in detail, detail


def test_other_endpoint(shared):
    # Nobody is known by certificates there.
    assert_problem(push(shared, "p-acme", GLOBEX), 401)
    assert shared.received() == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [None, "p-acme", "p-forged", "p-expired", "p-self", "p-other"])
def test_passwords_are_undisturbed(shared, name, version):
    assert push(shared, name, auth=(USER, PASSWORD), version=version).status == 200
    logged(shared, "s4-acme", "basic")


def test_a_wrong_password_is_wrong_beside_a_right_certificate(shared):
    assert push(shared, "p-acme", auth=(USER, "wrong")).status == 401
    assert shared.received() == []


def test_certificate_fields_do_not_pass(shared):
    fields = [("SSL_CLIENT_CERT", "x"), ("X-Forwarded-Client-Cert", "x"), ("SSL-Client-Cert", "x"),
              ("X-SSL-Client-Verify", "SUCCESS")]
    with shared.raw(certificate=shared.pki.path("p-acme")) as c:
        c.send(shared.octets("POST", ACME, fields, b"{}", auth=None))
        assert c.answer().status == 200
    for name, _ in fields[:3]:
        assert not shared.last().get_field(name), name


def test_many_requests_on_one_connection(shared):
    with shared.raw(certificate=shared.pki.path("p-acme")) as c:
        for target, want in ((ACME, 200), (GLOBEX, 401), (ACME, 200), ("/ACME_PROD", 400)):
            c.send(shared.octets("POST", target, body=b"{}", auth=None))
            assert c.answer().status == want


@pytest.mark.parametrize("option, protocol", [("--http1.1", "1.1"), ("--http2", "2")])
def test_curl(shared, option, protocol):
    base = shared.pki.path("p-acme")
    r = run(["curl", "-sS", option, "--cacert", shared.pki.path("ca.pem"), "--cert", base + ".pem",
             "--key", base + ".key", "--connect-to", f"push.example.com:443:127.0.0.1:{shared.port}",
             "-d", "{}", "-o", "/dev/null", "-w", "%{http_code} %{http_version}",
             "https://push.example.com" + ACME])
    assert r.stdout == f"200 {protocol}", r


# -- resumption


def offered(chain, name, context, host="push.example.com", session=None, version=None,
            target=ACME):
    with chain.raw(name=host, context=context, session=session, version=version,
                   certificate=chain.pki.path(name) if name else None) as c:
        c.send(chain.octets("POST", target, body=b"{}", auth=None, host=host))
        a = c.answer()
        return a, c.sock.session, c.sock.session_reused


@pytest.mark.parametrize("version", VERSIONS)
def test_an_identity_is_never_resumed(shared, version):
    context = ssl.create_default_context(cafile=shared.pki.path("ca.pem"))
    a, session, _ = offered(shared, "p-acme", context, version=version)
    assert a.status == 200
    assert not session.has_ticket
    a, _, is_resumed = offered(shared, "p-acme", context, session=session, version=version)
    assert (a.status, is_resumed) == (200, False)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_without_certificate_stays_one(shared, version):
    context = ssl.create_default_context(cafile=shared.pki.path("ca.pem"))
    _, session, _ = offered(shared, None, context, version=version)
    assert session.has_ticket
    a, _, is_resumed = offered(shared, "p-acme", context, session=session, version=version)
    assert (a.status, is_resumed) == (401, True)


# -- one host asks, the other does not


@pytest.fixture(scope="module")
def _hosts(tmp_path_factory, certs):
    """GLOBEX has CAs of its own, asked for at its own name alone; all tickets from one secret."""
    chain = Chain(tmp_path_factory.mktemp("hosts"), certs, gateway={
        "gateway": {"session_ticket_key": "0123456789abcdef0123456789abcdef"},
        "endpoint GLOBEX": {"host_name": HOST, "client_ca": "../tls/globex-ca.pem",
                            "certificate": "../tls/globex-front.pem",
                            "private_key": "../tls/globex-front.key"},
        "pusher globex": {"auth": "certificate", "user": None, "password_hash": None,
                          "certificate_subject": "CN=globex"}})
    try:
        chain.start()
        yield chain
        chain.stop()
    finally:
        chain.kill()


@pytest.fixture
def hosts(_hosts, request):
    request.node.frun_chains = [_hosts]
    _hosts.forget()
    return _hosts


def at(chain, name, sni, target, host=None, auth=None, **kw):
    with chain.raw(name=sni, certificate=chain.pki.path(name) if name else None, **kw) as c:
        c.send(chain.octets("POST", target, body=b"{}", auth=auth, host=host or sni))
        return c.answer()


@pytest.mark.parametrize("version", VERSIONS)
def test_asked_at_its_own_name_alone(hosts, version):
    assert at(hosts, "p-globex", HOST, "/sap/frun/x", version=version).status == 200
    assert hosts.last()["network"] == "GLOBEX"
    for sni in ("push.example.com", HOST):
        out = run(["openssl", "s_client", "-connect", f"127.0.0.1:{hosts.port}", "-servername", sni,
                   "-tls1_2" if version == ssl.TLSVersion.TLSv1_2 else "-tls1_3"], stdin="").stdout
        assert ("CN = globex-ca" in out) == (sni == HOST), out
        assert ("No client certificate CA names sent" in out) == (sni != HOST), out


@pytest.mark.parametrize("name, sni, target, host, status, say", [
    ("p-globex", "push.example.com", GLOBEX, None, 403,
     f"client certificates for this endpoint are taken at https://{HOST}, not here"),
    ("p-globex-by-pushers", HOST, "/sap/frun/x", None, 403, "no CA of client_ca has signed it"),
    (None, HOST, "/sap/frun/x", None, 403, "a client certificate is needed, and none was shown"),
    ("p-globex", "push.example.com", "/sap/frun/x", HOST, 421, "another host"),
    ("p-globex", HOST, ACME, "push.example.com", 421, "another host"),
])
def test_no_way_around(hosts, name, sni, target, host, status, say):
    problem = assert_problem(at(hosts, name, sni, target, host), status)
    assert say in problem["detail"], problem
    assert hosts.received() == []


def test_asked_under_the_gateways_certificate(make_chain, certs):
    """CAs of its own, but the certificate of the gateway: connections are apart all the same."""
    certs.server("both-front", "ca", ["push.example.com", HOST])
    chain = make_chain(gateway={
        "gateway": {"certificate": "tls/both-front.pem", "private_key": "tls/both-front.key",
                    "ocsp_stapling": "on"},
        "endpoint GLOBEX": {"host_name": HOST, "client_ca": "../tls/globex-ca.pem"},
        "pusher globex": {"auth": "certificate", "user": None, "password_hash": None,
                          "certificate_subject": "CN=globex"}})
    assert at(chain, "p-globex", HOST, "/sap/frun/x").status == 200
    assert at(chain, "p-globex", "push.example.com", GLOBEX).status == 403
    assert at(chain, "p-globex", "push.example.com", "/sap/frun/x", HOST).status == 421
    assert at(chain, None, "push.example.com", ACME, auth=(USER, PASSWORD)).status == 200


def test_a_password_does_not_help_where_certificates_are_the_only_way(hosts):
    assert at(hosts, None, HOST, "/sap/frun/x", auth=(USER, PASSWORD)).status == 403
    assert at(hosts, "p-globex", HOST, "/sap/frun/x", auth=(USER, PASSWORD)).status == 200


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("first, then", [("push.example.com", HOST), (HOST, "push.example.com")])
def test_sessions_do_not_cross_hosts(hosts, tmp_path, version, first, then):
    """CVE-2025-23419: a session of a host that does not ask began one on a host that does."""
    saved = str(tmp_path / "session")

    def client(sni, *more):
        request = f"GET /sap/bc/ping HTTP/1.1\r\nHost: {sni}\r\nConnection: close\r\n\r\n"
        return run(["openssl", "s_client", "-connect", f"127.0.0.1:{hosts.port}", "-servername", sni,
                    version, "-ign_eof", *more], stdin=request).stdout
    assert "New, TLS" in client(first, "-sess_out", saved)
    assert "Reused, TLS" in client(first, "-sess_in", saved)
    again = client(then, "-sess_in", saved)
    assert "New, TLS" in again and "Reused" not in again, again


# -- over time


def restarted(chain, over):
    chain.gateway_sections = merge(chain.gateway_sections, over)
    chain.write_gateway()
    chain.gateway.stop()
    chain.restart(chain.gateway)


def test_rotation_keeps_both_and_ends_the_old(make_chain, certs):
    chain = make_chain(gateway={"pusher s4-acme": {
        "auth": "certificate", "user": None, "password_hash": None,
        "certificate_sha256": f"{sha256(certs, 'p-acme')}, {sha256(certs, 'p-next').upper()}"}})
    assert [push(chain, x).status for x in ("p-acme", "p-next", "p-other")] == [200, 200, 403]
    restarted(chain, {"pusher s4-acme": {
        "certificate_sha256": sha256(certs, "p-next"),
        "old_certificate_sha256": sha256(certs, "p-acme"),
        "old_certificate_until": "2099-01-01T00:00:00Z"}})
    assert [push(chain, x).status for x in ("p-acme", "p-next")] == [200, 200]
    restarted(chain, {"pusher s4-acme": {"old_certificate_until": "2020-01-01T00:00:00Z"}})
    old = push(chain, "p-acme")
    assert "show the new certificate" in assert_problem(old, 403)["detail"]
    assert push(chain, "p-next").status == 200


def test_a_disabled_pusher_is_nobody_and_nobody_is_asked(make_chain, certs):
    chain = make_chain(gateway=merge(sections(certs), {
        "pusher cert-expired": None, "pusher cert-acme": {"enabled": "no"}}))
    assert push(chain, "p-acme").status == 401
    assert push(chain, "p-acme", auth=(USER, PASSWORD)).status == 200
    out = run(["openssl", "s_client", "-connect", f"127.0.0.1:{chain.port}", "-tls1_2"], stdin="")
    assert "No client certificate CA names sent" in out.stdout
    assert "Client Certificate Types" not in out.stdout


def test_several_ways_at_once(make_chain, certs):
    chain = make_chain(gateway={
        "gateway": {"client_ca": "tls/pushers-ca.pem"}, "oauth": {"key_directory": "keys"},
        "pusher s4-acme": {"auth": "basic, oauth2, certificate",
                           "client_secret_hash": password_hash(PASSWORD),
                           "certificate_san": "dns:s4.acme.example"}})
    assert push(chain, "p-san").status == push(chain, auth=(USER, PASSWORD)).status == 200
    assert push(chain, "p-acme").status == push(chain).status == 401


@pytest.mark.parametrize("label, over, say", [
    ("no CA", {"gateway": {"client_ca": None}}, "needs client_ca"),
    ("nothing to know it by", {"pusher cert-acme": {
        "certificate_subject": None, "certificate_san": None, "certificate_sha256": None}},
     "certificate needs certificate_sha256"),
    ("unknown type", {"pusher cert-acme": {"certificate_subject": "NOSUCH=x"}}, "'NOSUCH' is no"),
    ("not a subject", {"pusher cert-acme": {"certificate_subject": "CN=a,"}}, "TYPE=value"),
    ("two of one", {"pusher cert-expired": {"certificate_subject": "CN=s4-acme,O=acme\\, INC.,C=DE"}},
     "a certificate of [pusher cert-acme] at endpoint ACME_PROD too"),
    ("two CAs", {"pusher cert-acme": {"endpoint": "ACME_PROD, GLOBEX"},
                 "endpoint GLOBEX": {"host_name": HOST, "client_ca": "../tls/globex-ca.pem"}},
     "have different client_ca"),
    ("CA without name", {"endpoint GLOBEX": {"client_ca": "../tls/globex-ca.pem"}},
     "needs host_name too"),
    ("end without old", {"pusher cert-acme": {"old_certificate_until": "2099-01-01T00:00:00Z"}},
     "needs old_certificate_sha256 too"),
    ("no CA in the file", {"gateway": {"client_ca": "tls/gateway.key"}}, "gateway.client_ca"),
])
def test_check_tells(make_chain, certs, label, over, say):
    chain = make_chain(start=False, gateway=merge(sections(certs), over))
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini"), "--check"])
    assert r.returncode == 78 and say in r.stderr + r.stdout, (label, r)


def test_python_and_its_own_http(shared):
    context = ssl.create_default_context(cafile=shared.pki.path("ca.pem"))
    context.check_hostname = False
    context.load_cert_chain(shared.pki.path("p-acme.pem"), shared.pki.path("p-acme.key"))
    c = http.client.HTTPSConnection("127.0.0.1", shared.port, context=context)
    for _ in range(3):
        c.request("POST", ACME, b"{}")
        answer = c.getresponse()
        assert (answer.status, answer.read() is not None) == (200, True)
    c.close()


# -- a reload, under connections that stay open


def test_a_reload_counts_on_open_connections(make_chain, certs):
    chain = make_chain(gateway={
        "gateway": {"client_ca": "tls/pushers-ca.pem"},
        "pusher s4-acme": {"auth": "basic, certificate", "certificate_san": "dns:s4.acme.example"}})
    with chain.raw(certificate=certs.path("p-san")) as c:
        def status():
            c.send(chain.octets("POST", ACME, body=b"{}", auth=None))
            return c.answer().status
        assert status() == 200
        for over, want in (({"pusher s4-acme": {"enabled": "no"}}, 401),
                           ({"pusher s4-acme": {"enabled": "yes"}}, 200),
                           ({"gateway": {"client_ca": "tls/globex-ca.pem"}}, 401),
                           ({"gateway": {"client_ca": "tls/pushers-ca.pem"}}, 200),
                           ({"pusher s4-acme": {"certificate_san": "dns:x.acme.example"}}, 401),
                           ({"pusher s4-acme": {"certificate_sha256": sha256(certs, "p-san")}}, 200)):
            change(chain, **over)
            assert status() == want, over
