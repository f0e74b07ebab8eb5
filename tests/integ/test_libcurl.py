# SPDX-License-Identifier: Apache-2.0
"""libcurl is loaded by those who fetch something, and only by them; without it they say what is missing."""

import os
import subprocess

import pytest

from chain import program
from ocsp import Authority
from sap import sap_chain


@pytest.fixture
def broken(tmp_path):
    """An environment in which the loader finds something that is no libcurl."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "libcurl.so.4").write_text("no library\n")
    return {"LD_LIBRARY_PATH": str(folder)}


def run_in(env, *argv):
    return subprocess.run(argv, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30)


def check(chain, env):
    return run_in(env, program("frunproxyd"), "--check", "--config", chain.path("frunproxy.ini"))


def assert_named(r, place):
    assert r.returncode == 78, r
    line = [x for x in r.stderr.splitlines() if "libcurl.so.4" in x]
    assert line and place in line[0] and "install libcurl" in line[0], r.stderr


def test_nobody_else_needs_it(make_chain, broken):
    chain = make_chain(start=False)
    chain.gateway.env.update(broken)
    chain.connector.env.update(broken)
    assert check(chain, broken).returncode == 0
    chain.start()
    assert chain.push().status == 200


def test_tokens_of_sap(make_chain, sap, broken):
    chain = sap_chain(make_chain, sap, start=False)
    assert check(chain, {}).returncode == 0
    assert_named(check(chain, broken), "sap-connectivity BTP.service_key")


def test_tokens_of_focused_run(make_chain, broken):
    chain = make_chain(start=False, gateway={"endpoint ACME_PROD": {
        "auth": "oauth2", "user": None, "password": None, "client_id": "frun",
        "client_secret": "file:../secrets/acme_prod", "token_url": "https://127.0.0.1:1/token"}})
    assert check(chain, {}).returncode == 0
    assert_named(check(chain, broken), "endpoint ACME_PROD.token_url")


def test_keys_of_issuers(make_chain, broken):
    chain = make_chain(start=False, gateway={
        "issuer IDP": {"issuer": "https://127.0.0.1:1/realm", "audience": "frunproxy", "scope": "x"},
        "pusher s4-acme": {"auth": "jwt", "user": None, "password_hash": None, "issuer": "IDP",
                           "token_client": "sb-acme"}})
    assert check(chain, {}).returncode == 0
    assert_named(check(chain, broken), "issuer IDP.issuer")


def test_stapling(make_chain, pki, tmp_path, broken):
    pair = Authority(pki, tmp_path).issue("stapled", url="http://127.0.0.1:1/")
    chain = make_chain(start=False, connectors=(), has_sim=False,
                       gateway={"gateway": pair})
    assert check(chain, {}).returncode == 0
    assert_named(check(chain, broken), "gateway.certificate")


def test_frunctl(make_chain, broken):
    chain = make_chain(start=False)
    r = run_in(broken, program("frunctl"), "push", "--url", "https://127.0.0.1:1/ACME_PROD",
               "--user", "x", "--password-file", chain.path("secrets/frun"))
    assert r.returncode == 1 and "libcurl.so.4" in r.stderr and "install libcurl" in r.stderr, r
