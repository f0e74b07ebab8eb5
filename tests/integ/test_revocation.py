# SPDX-License-Identifier: Apache-2.0
"""Revocation lists: whose client certificate is on one, whose CA has none, lists that end or change."""

import datetime
import json
import os
import shutil
import subprocess
import time

import pytest

from chain import assert_problem, merge, program, run, wait_until
from test_certificates import at, sha256
from test_control import ctl_json, metrics
from test_reload import change

ACME = "/ACME_PROD/sap/frun/x"
HOST = "globex.push.example.com"
USAGE = ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"]
CA = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]


def openssl(*args):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, text=True).stdout


def crl(pki, name, issuer, revoked=(), days=(-1, 7), der=False, key=None):
    """A list NAME.crl by openssl, good from and until so many days from now."""
    folder = pki.path(name + ".crl.d")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    config = os.path.join(folder, "cnf")
    with open(config, "w", encoding="ascii") as f:
        f.write(f"[ca]\ndefault_ca = x\n[x]\ndatabase = {folder}/index\ncrlnumber = {folder}/number\n"
                "default_md = sha256\n")
    for file, text in (("index", ""), ("number", f"{int(time.time()):X}\n".rjust(17, "0"))):
        with open(os.path.join(folder, file), "w", encoding="ascii") as f:
            f.write(text)
    ca = ["-config", config, "-cert", pki.path(issuer + ".pem"), "-keyfile",
          pki.path((key or issuer) + ".key")]
    for one in revoked:
        openssl("ca", *ca, "-revoke", pki.path(one + ".pem"))
    now = datetime.datetime.now(datetime.timezone.utc)
    begin, end = [(now + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in days]
    made = os.path.join(folder, "made")
    openssl("ca", *ca, "-gencrl", "-crl_lastupdate", begin, "-crl_nextupdate", end, "-out", made)
    if der:
        openssl("crl", "-in", made, "-outform", "DER", "-out", made)
    os.replace(made, pki.path(name + ".crl"))
    return pki.path(name + ".crl")


@pytest.fixture(scope="module")
def certs(pki):
    for ca in ("pushers-ca", "globex-ca"):
        pki._openssl(ca, "/CN=" + ca, CA)
    pki._openssl("p-acme", "/CN=s4-acme", USAGE, "pushers-ca")
    pki._openssl("p-next", "/CN=s4-acme", USAGE, "pushers-ca")
    pki._openssl("p-self", "/CN=self", USAGE)
    pki._openssl("p-inter", "/CN=pushers-inter", CA, "pushers-ca")
    pki._openssl("p-deep", "/CN=s4-acme", USAGE, "p-inter")
    with open(pki.path("p-deep.pem"), "a", encoding="ascii") as out:
        with open(pki.path("p-inter.pem"), encoding="ascii") as f:
            out.write(f.read())
    pki._openssl("p-globex", "/CN=globex", USAGE, "globex-ca")
    pki.server("globex-front", "ca", [HOST])
    crl(pki, "nobody", "pushers-ca")
    crl(pki, "acme", "pushers-ca", ["p-acme"])
    crl(pki, "ended", "pushers-ca", [], (-9, -2))
    crl(pki, "inter", "p-inter")
    crl(pki, "deep", "p-inter", ["p-deep"])
    crl(pki, "above", "pushers-ca", ["p-inter"])
    crl(pki, "globex", "globex-ca", ["p-globex"])
    return pki


def sections(pki, file, **over):
    return merge({
        "gateway": {"client_ca": "tls/pushers-ca.pem", "client_crl": file},
        "pusher cert-acme": {"endpoint": "ACME_PROD", "auth": "certificate",
                             "certificate_subject": "CN=s4-acme",
                             "certificate_sha256": sha256(pki, "p-self")},
        "pusher by-print": {"endpoint": "GLOBEX", "auth": "certificate",
                            "certificate_sha256": sha256(pki, "p-acme")},
    }, over)


def push(chain, name, target=ACME, **kw):
    return chain.push(target=target, auth=None, certificate=chain.pki.path(name), **kw)


def refused(chain, name, say, target=ACME, **kw):
    problem = assert_problem(push(chain, name, target, **kw), 401)
    assert say in problem["detail"], problem


def join(pki, name, *lists):
    with open(pki.path(name), "wb") as out:
        for one in lists:
            with open(pki.path(one + ".crl"), "rb") as f:
                out.write(f.read())
    return pki.path(name)


def test_who_is_on_the_list(make_chain, certs):
    chain = make_chain(gateway=sections(certs, certs.path("acme.crl")))
    assert push(chain, "p-next").status == 200
    assert push(chain, "p-self").status == 200, "known by its fingerprint, of no CA"
    refused(chain, "p-acme", "has been revoked by its CA")
    refused(chain, "p-acme", "has been revoked by its CA", "/GLOBEX/sap/frun/x")
    refused(chain, "p-deep", "no revocation list of the CA that has signed it")
    # DER is as good
    crl(certs, "der", "pushers-ca", ["p-next"], der=True)
    change(chain, gateway={"client_crl": certs.path("der.crl")})
    assert push(chain, "p-acme").status == 200
    refused(chain, "p-next", "has been revoked")
    change(chain, gateway={"client_crl": None})
    assert push(chain, "p-next").status == push(chain, "p-deep").status == 200


def test_lists_of_a_chain(make_chain, certs):
    chain = make_chain(gateway=sections(certs, certs.path("inter.crl")))
    assert push(chain, "p-deep").status == 200, "the root's list is missing, and not needed"
    refused(chain, "p-next", "no revocation list")
    for lists, want in ((["deep"], "has been revoked"), (["inter", "above"], "has been revoked"),
                        (["inter", "ended"], "has expired")):
        change(chain, gateway={"client_crl": join(certs, "-".join(lists), *lists)})
        refused(chain, "p-deep", want)
    change(chain, gateway={"client_crl": join(certs, "good", "inter", "nobody")})
    assert push(chain, "p-deep").status == push(chain, "p-next").status == 200


def test_a_list_that_changes_counts_on_open_connections(make_chain, certs):
    live = certs.path("live.crl")
    shutil.copy(certs.path("nobody.crl"), live)
    chain = make_chain(gateway=sections(certs, live))
    with chain.raw(certificate=certs.path("p-acme")) as c:
        def answer():
            c.send(chain.octets("POST", ACME, body=b"{}", auth=None))
            return c.answer()
        assert answer().status == 200
        shutil.copy(certs.path("acme.crl"), live + ".new")
        os.replace(live + ".new", live)
        wait_until(lambda: answer().status == 401, "the new list is in use", 40, step=0.5)
        # what cannot be read is told, and the present one is used on
        with open(live, "w", encoding="ascii") as f:
            f.write("nonsense\n")
        wait_until(lambda: "no usable revocation list" in chain.gateway.log(), "it is told", 40)
        assert answer().status == 401
        shutil.copy(certs.path("nobody.crl"), live)
        wait_until(lambda: answer().status == 200, "nobody is on it", 40, step=0.5)


def test_a_list_that_has_ended(make_chain, certs):
    chain = make_chain(gateway=sections(certs, certs.path("ended.crl")))
    refused(chain, "p-next", "the revocation list of its CA has expired")
    assert push(chain, "p-self").status == 200
    assert "warning: gateway.client_crl" in chain.gateway.log()
    shown = [c for c in ctl_json(chain, "certificate", "list")["certificates"]
             if c["what"] == "client-crl"]
    assert [(c["name"], c["state"]) for c in shown] == [("gateway", "expired")]
    assert metrics(chain)['frunproxy_certificate_expiry_seconds{what="client-crl",name="gateway"}'] < time.time()
    alert = 'frunproxy_alert{alert="crl-expiry",name="gateway"}'
    wait_until(lambda: "crl-expiry" in chain.gateway.log(), "the alert", 30)
    assert any("crl-expiry" in key for key in metrics(chain)), alert
    change(chain, gateway={"client_crl": certs.path("nobody.crl")})
    assert push(chain, "p-next").status == 200


def test_an_endpoint_of_its_own(make_chain, certs):
    chain = make_chain(gateway=sections(certs, certs.path("nobody.crl"), **{
        "endpoint GLOBEX": {"host_name": HOST, "client_ca": "../tls/globex-ca.pem",
                            "client_crl": certs.path("globex.crl"),
                            "certificate": certs.path("globex-front.pem"),
                            "private_key": certs.path("globex-front.key")},
        "pusher by-print": None,
        "pusher cert-globex": {"endpoint": "GLOBEX", "auth": "certificate",
                               "certificate_subject": "CN=globex"}}))
    assert push(chain, "p-acme").status == 200
    assert "has been revoked" in assert_problem(at(chain, "p-globex", HOST, "/sap/frun/x"), 401)["detail"]


@pytest.mark.parametrize("label, file, code, say", [
    ("of another CA", "globex.crl", 0, "its list of CN=globex-ca counts only if"),
    ("of another CA alone", "globex.crl", 0, "it holds no list of CN=pushers-ca"),
    ("ended", "ended.crl", 0, "the list of CN=pushers-ca expired on"),
    ("forged", "forged.crl", 78, "in the name of CN=pushers-ca is not signed by that CA"),
    ("none in it", "p-acme.pem", 78, "no usable revocation list"),
    ("empty", "empty.crl", 78, "no usable revocation list"),
    ("cut", "cut.crl", 78, "damaged"),
    ("not there", "no.crl", 78, "cannot read"),
    ("a folder", ".", 78, "is a folder"),
    ("good", "nobody.crl", 0, ""),
])
def test_check_tells(make_chain, certs, label, file, code, say):
    # in the CA's name, by another key
    certs._openssl("twin-ca", "/CN=pushers-ca", CA)
    crl(certs, "forged", "twin-ca")
    with open(certs.path("empty.crl"), "w", encoding="ascii"):
        pass
    with open(certs.path("nobody.crl"), encoding="ascii") as f:
        text = f.read()
    with open(certs.path("cut.crl"), "w", encoding="ascii") as f:
        f.write(text[:120] + "\n-----END X509 CRL-----\n")
    chain = make_chain(start=False, gateway=sections(certs, certs.path(file)))
    r = run([program("frunproxyd"), "--config", chain.path("frunproxy.ini"), "--check"])
    assert r.returncode == code and say in r.stderr + r.stdout, (label, r)
    assert ("gateway.client_crl" in r.stderr + r.stdout) == bool(say), (label, r)


def test_a_list_needs_its_ca_beside_it(make_chain, certs):
    for over in ({"gateway": {"client_ca": None}},
                 {"endpoint GLOBEX": {"client_crl": certs.path("globex.crl")}}):
        chain = make_chain(start=False, gateway=sections(certs, certs.path("nobody.crl"), **over))
        r = run([program("frunctl"), "config", "check", chain.path("frunproxy.ini")])
        assert r.returncode == 78 and "client_crl: needs client_ca beside it" in r.stderr, r


def test_a_connector_on_the_list(make_chain, certs):
    live = certs.path("connectors.crl")
    crl(certs, "connectors", "connectors-ca")
    chain = make_chain(connectors=("dc1-a", "dc1-b"), gateway={"tunnel": {"client_crl": live}})
    assert chain.push().status == 200
    crl(certs, "connectors", "connectors-ca", ["dc1-b"])
    wait_until(lambda: "has been revoked by its CA" in chain.gateway.log(), "dc1-b is turned away", 60)
    wait_until(lambda: [c["state"] for c in ctl_json(chain, "connector", "list")["connectors"]] ==
               ["connected", "away"], "its tunnels are gone", 60)
    assert chain.push().status == 200
    wait_until(lambda: "refused our certificate" in chain.connectors["dc1-b"].log(), "it is told why", 60)

    def away():
        return ctl_json(chain, "connector", "list")["connectors"][1]
    wait_until(lambda: "a certificate with its subject" in away()["away_because"], "the gateway tells why", 60)
    assert "has been revoked by its CA" in away()["last_error"] and away()["away_since"] <= away()["last_error_time"]
    assert "subject" not in ctl_json(chain, "connector", "list")["connectors"][0]["last_error"]
    assert [v for k, v in metrics(chain).items() if "tunnels_refused_total" in str(k)][0] >= 1
    with open(chain.path("audit.log"), encoding="ascii") as f:
        told = [r for r in map(json.loads, f) if r["event"] == "tunnel.refused"]
    assert told[0]["object"] == "CN=dc1-b" and told[0]["outcome"] == "denied" and not told[0].get("who")
    assert "has been revoked by its CA" in told[0]["detail"] and "(1 such since" in told[0]["detail"]


def test_made_by_frunctl(tmp_path):
    folder = str(tmp_path / "pki")

    def pki(*args, code=0):
        r = run([program("frunctl"), "pki", *args])
        assert r.returncode == code, r
        return r.stdout + r.stderr
    pki("init", folder)
    for name in ("one", "two", "three"):
        pki("connector", folder, "--name", name)
    file, ca = folder + "/ca.crl", folder + "/ca.pem"

    def serials():
        assert subprocess.run(["openssl", "crl", "-in", file, "-CAfile", ca, "-noout"],
                              capture_output=True, text=True).stderr.strip() == "verify OK"
        text = openssl("crl", "-in", file, "-noout", "-text")
        return [x.split(":")[1].strip() for x in text.splitlines() if "Serial Number" in x], text

    def serial(name):
        return openssl("x509", "-in", f"{folder}/{name}.pem", "-noout", "-serial").strip().split("=")[1]
    pki("revoke", folder)
    assert serials()[0] == []
    pki("revoke", folder, folder + "/one.pem")
    pki("revoke", folder, folder + "/one.pem", folder + "/three.pem", "--days", "2")
    got, text = serials()
    assert sorted(got) == sorted([serial("one"), serial("three")])
    assert "X509v3 CRL Number: \n                3" in text
    assert os.stat(file).st_mode & 0o777 == 0o644
    for name, ok in (("one", False), ("two", True), ("three", False)):
        r = subprocess.run(["openssl", "verify", "-crl_check", "-CAfile", ca, "-CRLfile", file,
                            f"{folder}/{name}.pem"], capture_output=True, text=True)
        assert (r.returncode == 0) == ok, r
    other = str(tmp_path / "other")
    pki("init", other)
    assert "not signed by the CA" in pki("revoke", other, folder + "/two.pem", code=1)
    assert "no certificate" in pki("revoke", folder, folder + "/two.key", code=1)
    shutil.copy(file, other + "/ca.crl")
    assert "not of the CA beside it" in pki("revoke", other, code=1)
    assert "--days takes" in pki("revoke", folder, "--days", "0", code=64)
