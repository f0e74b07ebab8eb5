# SPDX-License-Identifier: Apache-2.0
"""frunctl: check, endpoints and root URLs, password hashes, certificates, a push."""

import json
import os

from chain import PASSWORD, USER, program, run


def ctl(*args, stdin=None):
    return run([program("frunctl"), *args], stdin)


def test_endpoints_and_root_urls(make_chain):
    chain = make_chain(start=False)
    config = chain.path("frunproxy.ini")
    r = ctl("endpoint", "list", "--config", config)
    assert r.returncode == 0 and "ACME_PROD" in r.stdout and "GLOBEX" in r.stdout, r
    r = ctl("endpoint", "root-url", "--config", config, "ACME_PROD")
    assert r.returncode == 0 and r.stdout.strip() == "https://push.example.com/ACME_PROD", r
    assert ctl("endpoint", "root-url", "--config", config, "NOBODY").returncode != 0


def test_config_check(make_chain):
    chain = make_chain(start=False)
    assert ctl("config", "check", chain.path("frunproxy.ini")).returncode == 0
    chain.write("broken.ini", "[gateway]\nnonsense = 1\n")
    r = ctl("config", "check", chain.path("broken.ini"))
    assert r.returncode == 78 and "gateway.nonsense" in r.stdout + r.stderr


def test_help_of_each_command():
    for words in (("pki",), ("pki", "connector"), ("passwd",), ("config", "check")):
        r = ctl(*words, "--help")
        assert r.returncode == 0 and " ".join(words) in r.stdout, (words, r)
    assert "passwd" not in ctl("pki", "--help").stdout


def test_passwd_makes_a_hash_the_gateway_takes(make_chain):
    r = ctl("passwd", stdin="A new pass-word ä\n")
    hashed = r.stdout.strip()
    assert r.returncode == 0 and hashed.startswith("$y$") or hashed.startswith("$6$"), r
    assert ctl("passwd", stdin="A new pass-word ä\n").stdout.strip() != hashed, "salted"
    chain = make_chain(gateway={"pusher s4-acme": {"password_hash": hashed}})
    assert chain.push(auth=(USER, "A new pass-word ä")).status == 200
    assert chain.push(auth=(USER, PASSWORD)).status == 401


def test_pki_serves_the_whole_chain(make_chain, tmp_path):
    folder = tmp_path / "pki"
    for args in (("init", folder),
                 ("gateway", folder, "--name", "push.example.com", "--ip", "127.0.0.1"),
                 ("connector", folder, "--name", "dc1-a"),
                 ("server", folder, "--name", "frun.corp", "--ip", "127.0.0.1")):
        r = ctl("pki", *args)
        assert r.returncode == 0, r
    for name in os.listdir(folder):
        if name.endswith(".key"):
            assert os.stat(folder / name).st_mode & 0o077 == 0, name
    f = str(folder)
    chain = make_chain(start=False, gateway={
        "gateway": {"certificate": f + "/gateway.pem",
                    "private_key": f + "/gateway.key"},
        "tunnel": {"certificate": f + "/gateway.pem",
                   "private_key": f + "/gateway.key", "client_ca": f + "/ca.pem"}},
        connector={"connector": {"certificate": f + "/dc1-a.pem",
                                 "private_key": f + "/dc1-a.key"},
                   "subaccount provider": {"gateway_ca": f + "/ca.pem"},
                   "system fr1_frun:443": {"backend_ca": f + "/ca.pem"}})
    argv = chain.sim.argv
    argv[argv.index("--certificate") + 1] = f + "/frun.corp.pem"
    argv[argv.index("--private-key") + 1] = f + "/frun.corp.key"
    chain.start(wait=False)
    from tools import wait_until
    wait_until(lambda: chain.request("GET", "/sap/bc/ping", auth=None,
                                     ca=f + "/ca.pem").status == 200, "healthy")
    assert chain.push(ca=f + "/ca.pem").status == 200


def test_push_a_large_payload_with_progress(make_chain):
    chain = make_chain()
    big = chain.write("big.json", '{"x":"' + "y" * 4000000 + '"}')
    secret = chain.write("secrets/push", PASSWORD + "\n")
    args = ("push", "--url", f"https://localhost:{chain.port}/ACME_PROD/sap/frun/x", "--user", USER,
            "--password-file", secret, "--ca", chain.pki.path("ca.pem"))
    chain.pki.server("localhost-push", "ca", ["localhost"])
    chain.gateway_sections["gateway"].update(
        certificate=chain.pki.path("localhost-push.pem"),
        private_key=chain.pki.path("localhost-push.key"))
    chain.write_gateway()
    assert ctl("reload", "--config", chain.path("frunproxy.ini")).returncode == 0
    r = ctl(*args, "--file", big, "--progress", "--json")
    value = json.loads(r.stdout)
    assert r.returncode == 0 and value["status"] == 200 and value["bytes_sent"] > 4000000, r
    assert "(100 %)" in r.stderr and PASSWORD not in r.stdout + r.stderr
    r = ctl(*args, "--file", big)
    assert r.returncode == 0 and "status:       200" in r.stdout and r.stderr == "", r
    r = ctl(*args[:2], args[2].replace("ACME_PROD", "NOBODY"), *args[3:], "--json")
    value = json.loads(r.stdout)
    assert r.returncode == 1 and value["status"] == 404 and "endpoint list" in value["remedy"], r
