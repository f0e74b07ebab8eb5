# SPDX-License-Identifier: Apache-2.0
"""frunctl doctor at both ends: what is right, what is wrong, and an archive without secrets."""

import json
import os
import socket
import tarfile
import threading

import pytest

from chain import FRUN_PASSWORD, program, run
from tools import ConnectProxy, free_port, wait_until


def doctor(config, *args):
    r = run([program("frunctl"), "doctor", "--config", config, "--json", *args], deadline=60)
    assert "ERROR: AddressSanitizer" not in r.stderr and "runtime error" not in r.stderr, r
    return r


def findings(r, step, area=""):
    value = json.loads(r.stdout)
    assert value["healthy"] == (r.returncode == 0)
    return [f for f in value["findings"] if f["step"] == step and f["area"].startswith(area)]


def one(r, step, area=""):
    found = findings(r, step, area)
    assert len(found) == 1, (step, area, r.stdout)
    return found[0]


def test_a_gateway_that_is_well(make_chain):
    chain = make_chain(start=False)
    chain.pki.server("localhost", "ca", ["localhost"])
    os.symlink(chain.pki.path("localhost.pem"), chain.path("tls", "localhost.pem"))
    os.symlink(chain.pki.path("localhost.key"), chain.path("tls", "localhost.key"))
    chain.gateway_sections["gateway"].update(
        public_url=f"https://localhost:{chain.port}", certificate="tls/localhost.pem",
        private_key="tls/localhost.key")
    os.makedirs(chain.path("state"), mode=0o700)
    chain.write_gateway()
    chain.gateway.start()
    chain.start_sim()
    chain.wait_port(chain.gateway, chain.port)
    chain.connector.start()
    config = chain.path("frunproxy.ini")

    def has_tunnels():
        return one(doctor(config, "--ca", chain.pki.path("ca.pem")), "tunnels")["state"] == "ok"
    wait_until(has_tunnels, "tunnels")
    r = doctor(config, "--ca", chain.pki.path("ca.pem"))
    assert r.returncode == 0, r.stdout
    for step, area in (("configuration", "gateway"), ("daemon", "gateway"), ("state", "machine"),
                       ("disk", "machine"), ("front door", "ports"), ("tunnel", "ports"),
                       ("tcp", "public URL"), ("tls", "public URL"), ("answer", "public URL"),
                       ("check", "endpoint ACME_PROD")):
        assert one(r, step, area)["state"] == "ok", (step, r.stdout)
    for f in json.loads(r.stdout)["findings"]:
        assert f["state"] in ("ok", "skipped") or f["remedy"], f
    text = run([program("frunctl"), "doctor", "--config", config, "--ca",
                chain.pki.path("ca.pem")], deadline=60)
    assert text.returncode == 0 and " 0 wrong" in text.stdout, text
    os.chmod(chain.path("state"), 0o777)
    r = doctor(config)
    assert r.returncode == 1
    assert one(r, "state", "machine")["state"] == "fail"
    assert "CA" in one(r, "tls", "public URL")["remedy"], "the system does not trust this CA"


def test_a_gateway_that_is_not(make_chain):
    chain = make_chain(start=False)
    r = doctor(chain.path("frunproxy.ini"))
    assert r.returncode == 1
    assert one(r, "daemon")["state"] == "warn" and one(r, "front door", "ports")["state"] == "fail"
    chain.write("frunproxy.ini", "[gateway]\nnonsense = 1\n[tunnel]\n")
    r = doctor(chain.path("frunproxy.ini"))
    assert r.returncode == 1
    assert any("nonsense" in f["found"] and f["remedy"] for f in findings(r, "configuration"))
    for args, status in ((("--nonsense",), 64), (("word",), 64)):
        assert run([program("frunctl"), "doctor", *args]).returncode == status
    assert run([program("frunctl"), "doctor", "--config", "/nowhere"]).returncode in (1, 78)


def test_a_connector_that_is_well(make_chain):
    chain = make_chain()
    config = chain.path("dc1-a.ini")
    r = doctor(config)
    assert r.returncode == 0, r.stdout
    assert "2 tunnels" in one(r, "upgrade")["found"] or "tunnels open" in one(r, "upgrade")["found"]
    for step, area in (("tls", "gateway"), ("tls", "system"), ("logon", "system"),
                       ("clock", "machine"), ("certificate", "gateway")):
        assert findings(r, step, area), (step, r.stdout)
    chain.connector.stop()
    for _ in range(3):
        r = doctor(config)
        assert r.returncode == 0 and "opens the tunnel" in one(r, "upgrade")["found"], r.stdout
    wait_until(lambda: "DC1-A" in chain.gateway.log(), "the gateway has seen it")


def test_pushes_do_not_suffer_from_a_doctor(make_chain):
    """Its tunnel says at once that it takes no request: the gateway uses another one."""
    chain = make_chain(connectors=("dc1-a", "dc1-b"))
    chain.connectors["dc1-b"].stop()
    stop = threading.Event()
    bad = []

    def push():
        while not stop.is_set():
            status = chain.push().status
            if status != 200:
                bad.append(status)
    pusher = threading.Thread(target=push)
    pusher.start()
    try:
        for _ in range(8):
            r = doctor(chain.path("dc1-b.ini"))
            assert "opens the tunnel" in one(r, "upgrade")["found"], r.stdout
    finally:
        stop.set()
        pusher.join()
    assert not bad


@pytest.fixture
def site(make_chain):
    return make_chain(connectors=("dc1-a",))


def changed(chain, section, **keys):
    """Findings of a connector with a section changed."""
    chain.add_connector("dc1-a", {section: keys, "admin": {"control_socket": "none.sock"}}, "other")
    return doctor(chain.path("other.ini"))


def answering(text):
    """A server that answers whoever comes with the same octets."""
    s = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            with c:
                c.settimeout(5)
                try:
                    c.recv(65536)
                    c.sendall(text)
                except OSError:
                    pass
    threading.Thread(target=serve, daemon=True).start()
    return s


def test_what_is_wrong_on_the_way_to_the_gateway(site):
    sub = "subaccount provider"
    r = changed(site, sub, gateway=f"127.0.0.1:{free_port()}")
    assert "refused" in one(r, "tcp", "gateway")["found"] and r.returncode == 1
    r = changed(site, sub, gateway="no-such-host.invalid:8444")
    assert one(r, "dns", "gateway")["state"] == "fail" and "resolv" in one(r, "dns", "gateway")["remedy"]
    r = changed(site, sub, gateway_ca="tls/frun-ca.pem")
    f = one(r, "tls", "gateway")
    assert f["state"] == "fail" and "issued by" in f["found"] and "inspection" in f["remedy"]
    r = changed(site, sub, server_name="other.example.com")
    assert "not for other.example.com" in one(r, "tls", "gateway")["found"]
    r = changed(site, sub, location_id="NOT-ALLOWED")
    assert one(r, "identity", "gateway")["state"] == "fail"
    assert "location_id" in one(r, "identity", "gateway")["remedy"]
    r = changed(site, sub, gateway=f"127.0.0.1:{site.port}")
    assert one(r, "upgrade", "gateway")["state"] == "fail", "the front door is no tunnel port"


@pytest.mark.parametrize("answer, word", [
    (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy_user"),
    (b"HTTP/1.1 403 Forbidden\r\n\r\n", "allowed for CONNECT"),
    (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "cannot reach"),
    (b"SSH-2.0-nonsense\r\n\r\n", "host and port"), (b"", "no HTTP proxy")])
def test_what_is_wrong_with_the_proxy(site, answer, word):
    with answering(answer) as s:
        r = changed(site, "subaccount provider", proxy=f"http://127.0.0.1:{s.getsockname()[1]}")
    f = one(r, "proxy", "gateway")
    assert f["state"] == "fail" and word in f["remedy"], f


def test_through_a_good_proxy(site):
    proxy = ConnectProxy("user", "Proxy-Pass-1")
    try:
        site.write("secrets/proxy", "Proxy-Pass-1\n")
        keys = {"proxy": f"http://127.0.0.1:{proxy.port}", "proxy_user": "user"}
        r = changed(site, "subaccount provider", proxy_password="file:secrets/proxy", **keys)
        assert one(r, "proxy")["state"] == "ok" and one(r, "upgrade")["state"] == "ok", r.stdout
    finally:
        proxy.stop()


def test_what_is_wrong_behind_the_connector(site):
    system = "system fr1_frun:443"
    r = changed(site, system, internal_port=str(free_port()))
    assert one(r, "tcp", "system")["state"] == "fail"
    r = changed(site, system, backend_ca="tls/ca.pem")
    assert "not trusted" in one(r, "tls", "system")["found"]
    r = changed(site, system, protocol="HTTP", backend_ca=None)
    assert one(r, "logon", "system")["state"] == "fail"
    old = b"HTTP/1.1 401 U\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n"
    with answering(old) as s:
        r = changed(site, system, protocol="HTTP", backend_ca=None,
                    internal_port=str(s.getsockname()[1]))
    assert one(r, "clock", "system")["state"] == "fail" and r.returncode == 1


def test_the_archive_holds_no_secret(make_chain):
    chain = make_chain(gateway={"log": {"target": "file:gw.log"}})
    log = chain.path("gw.log")
    chain.push()
    with open(log, "a", encoding="utf-8") as f:
        f.write(f"somebody wrote {FRUN_PASSWORD} here\n")
    with open(chain.path("endpoints.d", "acme.ini"), "a", encoding="utf-8") as f:
        f.write("; old password: Comment-Secret-1\n[endpoint LITERAL]\nsystem = FR1\n"
                "customer_network = LIT\nadmin_request_parameter = literal-fence\nuser = U\n"
                "password = Literal-Secret-2 ; and a remark Comment-Secret-3\n")
    bundle = chain.path("doctor.tar.gz")
    r = doctor(chain.path("frunproxy.ini"), "--bundle", bundle)
    assert os.path.exists(bundle) and os.stat(bundle).st_mode & 0o077 == 0, r
    texts = {}
    with tarfile.open(bundle, "r:gz") as tar:
        for m in tar.getmembers():
            texts[m.name] = tar.extractfile(m).read().decode()
    names = {n.split("/", 1)[1] for n in texts}
    assert {"versions.txt", "findings.json", "config/frunproxy.ini", "config/acme.ini",
            "daemon/status.json", "daemon/tunnels.json", "log.txt"} <= names, names
    with open(chain.path("endpoints.d", "acme.ini"), encoding="utf-8") as f:
        hashes = [x.split("=", 1)[1].strip() for x in f if x.startswith("password_hash")]
    assert hashes
    for secret in [FRUN_PASSWORD, "Comment-Secret-1", "Literal-Secret-2", "Comment-Secret-3",
                   "acme-prod-proxy", "literal-fence", *hashes]:
        for name, text in texts.items():
            assert secret not in text, (secret, name)
    assert "customer_network = ACME PROD" in texts["frunctl-doctor/config/acme.ini"]
    assert "file:../secrets/acme_prod" in texts["frunctl-doctor/config/acme.ini"]
    assert json.loads(texts["frunctl-doctor/findings.json"])["findings"]
    r = doctor(chain.path("frunproxy.ini"), "--bundle", chain.path("no", "where.tar.gz"))
    assert r.returncode == 1 and "cannot be written" in r.stderr
