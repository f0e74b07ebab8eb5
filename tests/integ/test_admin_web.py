# SPDX-License-Identifier: Apache-2.0
"""The status page's listener: who gets an answer, by what name, from what origin, with what headers."""

import base64
import http.client
import json
import ssl
import subprocess

import pytest
from chain import PASSWORD, merge, password_hash, program, run
from tools import free_port, wait_until

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Web:
    """The listener of one daemon."""

    def __init__(self, port, host="127.0.0.1", tls=None):
        self.port, self.host, self.tls = port, host, tls

    def call(self, target, method="GET", headers=None, body=None, host=None):
        c = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=30) \
            if self.tls else http.client.HTTPConnection(self.host, self.port, timeout=30)
        all_headers = dict(headers or {})
        if host is not None:
            all_headers["Host"] = host
        c.request(method, target, body=body, headers=all_headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r, data

    def status(self, *args, **kw):
        return self.call(*args, **kw)[0].status


@pytest.fixture
def plain(make_chain):
    """Both pages on loopback, without a login."""
    ports = free_port(), free_port()
    chain = make_chain(gateway={"admin": {"listen": f"127.0.0.1:{ports[0]}", "host_name": "frun-dmz.corp"}},
                       connector={"admin": {"listen": f"127.0.0.1:{ports[1]}"}})
    chain.web, chain.web2 = Web(ports[0]), Web(ports[1])
    return chain


def login(user="admin", password=PASSWORD):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def with_login(port, **more):
    return {"admin": {"listen": f"127.0.0.1:{port}", "user": "admin",
                      "password_hash": password_hash(PASSWORD), **more}}


def test_page_and_headers(plain):
    for web in (plain.web, plain.web2):
        for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript"),
                           ("/charts.js", "text/javascript"), ("/icon.svg", "image/svg+xml")):
            r, body = web.call(path)
            assert r.status == 200 and r.getheader("Content-Type").startswith(kind), path
            assert body and b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b""), path
            assert b"https://" not in body, path
            etag = r.getheader("ETag")
            again, nothing = web.call(path, headers={"If-None-Match": etag})
            assert again.status == 304 and nothing == b""
        for path, status in (("/", 200), ("/api/v1/status", 200), ("/nowhere", 404)):
            r, _ = web.call(path)
            assert r.status == status
            for name, value in SAFE.items():
                assert r.headers.get_all(name) == [value], (path, name)
            policy = r.getheader("Content-Security-Policy")
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy and "*" not in policy
        r, body = web.call("/api/v1/status")
        assert r.getheader("Cache-Control") == "no-store"
        assert json.loads(body)["daemon"] in ("frunproxyd", "frunconnector")
        assert web.call("/metrics")[0].status == 200


def test_rebinding(plain):
    """A foreign name that points at us gets nothing, whatever it asks for."""
    port = plain.web.port
    for host in ("localhost", f"localhost:{port}", "127.0.0.1", f"127.0.0.1:{port}", f"[::1]:{port}",
                 "LOCALHOST", f"frun-dmz.corp:{port}"):
        assert plain.web.status("/api/v1/status", host=host) == 200, host
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example",
                 "10.0.0.1", "[::1", "xfrun-dmz.corp"):
        for path in ("/", "/api/v1/status", "/metrics"):
            assert plain.web.status(path, host=host) in (400, 421), host


def test_foreign_origins(plain):
    web = plain.web
    own = f"http://127.0.0.1:{web.port}"
    assert web.status("/api/v1/status", headers={"Origin": own}) == 200
    assert web.status("/api/v1/status", headers={"Origin": "https://evil.example"}) == 403
    assert web.status("/api/v1/status", headers={"Origin": "null"}) == 403
    assert web.status("/api/v1/status", headers={"Sec-Fetch-Site": "cross-site",
                                                 "Sec-Fetch-Mode": "no-cors"}) == 403
    assert web.status("/api/v1/status", headers={"Sec-Fetch-Site": "same-site"}) == 403
    # A link from elsewhere may open the page.
    assert web.status("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}) == 200


def test_nothing_changes_without_a_login(plain):
    r, body = plain.web.call("/api/v1/drain", "POST", headers={"X-Frun-Admin": "1"})
    assert r.status == 403 and b"password_hash" in body
    assert plain.web.status("/api/v1/status") == 200 and plain.gateway.is_running()


def test_login(make_chain):
    port = free_port()
    chain = make_chain(gateway=with_login(port))
    web = Web(port)
    for path in ("/", "/api/v1/status", "/page.js", "/metrics", "/nowhere"):
        r, _ = web.call(path)
        assert r.status == 401 and r.getheader("WWW-Authenticate").startswith("Basic realm="), path
        assert r.getheader("Content-Security-Policy")
    assert web.status("/api/v1/status", headers=login()) == 200
    assert web.status("/api/v1/status", headers=login()) == 200  # remembered
    assert web.status("/api/v1/status", headers=login(password="wrong")) == 401
    assert web.status("/api/v1/status", headers=login(user="other")) == 401
    assert web.status("/api/v1/status", headers={"Authorization": "Bearer x"}) == 401
    assert web.status("/api/v1/status", headers={"Authorization": "Basic ???"}) == 401
    # What changes something wants a field that no foreign form can send.
    assert web.status("/api/v1/log/level", "POST", headers=login(), body='{"level":"info"}') == 403
    sure = {**login(), "X-Frun-Admin": "1"}
    assert web.status("/api/v1/log/level", "POST", body='{"level":"info"}',
                      headers={**sure, "Origin": "https://evil.example"}) == 403
    assert web.status("/api/v1/log/level", "POST", body='{"level":"info"}',
                      headers={**sure, "Sec-Fetch-Site": "none"}) == 403
    assert web.status("/api/v1/log/level", "POST", body='{"level":"info"}', headers=sure) == 200
    assert web.status("/api/v1/log/level", "POST", body='{"level":"debug"}', headers={
        **sure, "Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}) == 200
    with open(chain.path("frunproxyd.log"), encoding="utf-8", errors="replace") as f:
        assert PASSWORD not in f.read()


def test_guessing_is_stopped(make_chain):
    port = free_port()
    make_chain(gateway=with_login(port))
    web = Web(port)
    assert web.status("/", headers=login()) == 200
    seen = [web.status("/", headers=login(password=f"guess{i}")) for i in range(8)]
    assert seen[:5] == [401] * 5 and seen[5:] == [429] * 3
    # A credential that was right before is not locked out by somebody else's guesses.
    assert web.status("/", headers=login()) == 200


def test_tls_and_another_address(make_chain, pki):
    """With TLS the certificate vouches for the name: any is good; a reload changes the password."""
    port = free_port()
    chain = make_chain(gateway=with_login(port, certificate="tls/gateway.pem", private_key="tls/gateway.key"))
    context = ssl.create_default_context(cafile=pki.path("ca.pem"))
    context.check_hostname = False
    web = Web(port, tls=context)
    assert web.status("/", headers=login(), host="frun.example.com") == 200
    changed = merge(chain.gateway_sections, {"admin": {"password_hash": password_hash("Other-1")}})
    chain.gateway_sections = changed
    chain.write_gateway()
    chain.gateway.child.send_signal(1)
    wait_until(lambda: web.status("/", headers=login(password="Other-1")) == 200, "the new password counts")
    assert web.status("/", headers=login()) == 401


class Events:
    """A listener: events as they come."""

    def __init__(self, web, headers=None):
        self.c = http.client.HTTPConnection(web.host, web.port, timeout=30)
        self.c.request("GET", "/api/v1/events", headers=headers or {})
        self.r = self.c.getresponse()

    def next(self):
        name, data = None, None
        while True:
            line = self.r.readline()
            assert line, "the stream ended"
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif not line and name:
                return name, data

    def until(self, name, fits=lambda d: True):
        for _ in range(200):
            got, data = self.next()
            if got == name and fits(data):
                return data
        raise AssertionError(f"no {name}")

    def close(self):
        self.r.close()
        self.c.close()


def test_events(plain):
    e = Events(plain.web)
    assert e.r.status == 200 and e.r.getheader("Content-Type") == "text/event-stream"
    assert e.r.getheader("Cache-Control") == "no-store"
    wanted = {"status", "endpoints", "health", "tunnels", "connectors", "requests", "systems", "certificates", "series"}
    names = set()
    for _ in range(30):
        names.add(e.next()[0])
        if wanted <= names:
            break
    assert wanted <= names
    first = e.until("status")
    assert e.until("status")["uptime_seconds"] > first["uptime_seconds"]  # it comes again by itself
    assert plain.push().status == 200
    e.until("requests", lambda d: any(r["path"] == "/ACME_PROD/sap/frun/ngdci" for r in d["requests"]))
    # Of a list only what has changed comes.
    changed = e.until("endpoints", lambda d: any(x["name"] == "ACME_PROD" and x["requests"] == 1 for x in d["set"]))
    assert [x["name"] for x in changed["set"]] == ["ACME_PROD"] and not changed["first"] and changed["gone"] == []
    e.close()


def test_listeners_are_bounded(plain):
    all_of_them = [Events(plain.web) for _ in range(17)]
    assert [e.r.status for e in all_of_them] == [200] * 16 + [503]
    assert all_of_them[16].r.getheader("Retry-After")
    all_of_them[15].next()
    assert plain.web.status("/api/v1/status") == 200  # they leave room for others
    for e in all_of_them:
        e.close()

    def has_room():
        e = Events(plain.web)
        e.close()
        return e.r.status == 200
    wait_until(has_room, "who has gone makes room")


def test_series(plain):
    for _ in range(3):
        assert plain.push().status == 200
    assert plain.push(auth=("s4push", "wrong")).status == 401
    wait_until(lambda: sum(json.loads(plain.web.call("/api/v1/series")[1])["all"]["requests"]) >= 4, "counted")
    s = json.loads(plain.web.call("/api/v1/series")[1])
    assert s["step_seconds"] == 600 and len(s["all"]["requests"]) == 360
    acme = next(x for x in s["series"] if x["name"] == "ACME_PROD")
    assert {k: len(v) for k, v in acme.items() if k != "name"} == dict.fromkeys(
        ("requests", "errors", "refused", "mean_ms", "p95_ms"), 36)
    one = json.loads(plain.web.call("/api/v1/series/ACME_PROD")[1])
    assert one["step_seconds"] == 60 and sum(one["requests"]) == 4 and sum(one["refused"]) == 1
    assert sum(one["errors"]) == 0 and max(one["p95_ms"]) > 0
    assert plain.web.status("/api/v1/series/NOBODY") == 404


def test_audit(make_chain):
    """Logins, right and wrong, and who gave which command."""
    port = free_port()
    chain = make_chain(gateway=merge(with_login(port), {"audit": {"file": "audit.log", "level": "security"}}))
    web = Web(port)
    assert web.status("/api/v1/log/level", "POST", body='{"level":"info"}',
                      headers={**login(password="wrong"), "X-Frun-Admin": "1"}) == 401
    assert web.status("/api/v1/log/level", "POST", body='{"level":"info"}',
                      headers={**login(), "X-Frun-Admin": "1"}) == 200

    def records():
        with open(chain.path("audit.log"), encoding="ascii") as f:
            return [r for r in map(json.loads, f) if r["event"].startswith("admin.")]
    wait_until(lambda: len(records()) >= 3, "they are written")
    assert [(r["event"], r["outcome"]) for r in records()] == [
        ("admin.login", "denied"), ("admin.login", "ok"), ("admin.command", "ok")]
    assert records()[1]["who"] == "admin" and records()[1]["from"] == "127.0.0.1"
    assert records()[2]["object"] == "POST /api/v1/log/level" and "127.0.0.1" in records()[2]["who"]


def check(chain, name="frunproxy.ini", binary="frunproxyd"):
    return subprocess.run([program(binary), "--config", chain.path(name), "--check"],
                          capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("admin, why", [
    ({"listen": "0.0.0.0:8460"}, "needs certificate and private_key, user and password_hash"),
    ({"listen": "[::]:8460"}, "needs certificate"),
    ({"listen": "10.1.2.3:8460", "user": "admin", "password_hash": "HASH"}, "needs certificate and private_key"),
    ({"listen": "10.1.2.3:8460", "certificate": "tls/gateway.pem", "private_key": "tls/gateway.key"},
     "needs user and password_hash"),
    ({"listen": "127.0.0.1:8460", "user": "admin"}, "password_hash"),
    ({"listen": "127.0.0.1:8460", "certificate": "tls/gateway.pem"}, "private_key"),
    ({"listen": "127.0.0.1:8460", "certificate": "tls/none.pem", "private_key": "tls/gateway.key"}, "none.pem"),
    ({"listen": "nonsense"}, "must be host:port"),
])
def test_check_refuses_open_doors(make_chain, admin, why):
    admin = {k: password_hash(PASSWORD) if v == "HASH" else v for k, v in admin.items()}
    chain = make_chain(gateway={"admin": admin}, start=False)
    r = check(chain)
    assert r.returncode == 78 and "admin." in r.stderr and why in r.stderr, r.stderr


def test_address_in_use(make_chain):
    """Two daemons never share the address: an asked-for one fails, the default one is done without."""
    port = free_port()
    first = make_chain(gateway={"admin": {"listen": f"127.0.0.1:{port}"}})
    second = make_chain(gateway={"admin": {"listen": f"127.0.0.1:{port}"}}, start=False)
    r = run([program("frunproxyd"), "--config", second.path("frunproxy.ini")])
    assert r.returncode == 78 and "admin.listen" in r.stderr and "another program" in r.stderr
    assert first.gateway.is_running()
