# SPDX-License-Identifier: Apache-2.0
"""A push travels through frunproxyd and frunconnector to Focused Run and its answer comes back."""

import gzip
import hashlib
import json

import pytest

from chain import FENCE, FRUN_PASSWORD, FRUN_USER, PASSWORD, USER, basic, wait_until

BODY = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
    {"name": "abap_system_users_count", "gauge": {"dataPoints": [{"asDouble": 417}]}}]}]}]}).encode()


def test_post(shared):
    a = shared.push(BODY, "/ACME_PROD/sap/frun/ngdci?useCase=hm&dev=true&x=%2F%20")
    assert a.status == 200, a
    assert json.loads(a.body) == {"status": "accepted", "network": "ACME PROD",
                                  "bytes": len(BODY),
                                  "sha256": hashlib.sha256(BODY).hexdigest()}
    got = shared.last()
    assert (got["method"], got["path"], got["query"]) == \
        ("POST", "/sap/frun/ngdci", "useCase=hm&dev=true&x=%2F%20")
    assert got["body"].encode() == BODY
    assert got["network"] == "ACME PROD"
    assert got.all("Host") == ["fr1_frun"]
    assert got.all("Authorization") == ["Basic " + FRUN_USER]
    assert got.all(FENCE) == ["acme-prod-proxy"]
    assert got.all("Content-Type") == ["application/json"]
    assert got["client_certificate"] is None


def test_fence_in_the_query_of_another_endpoint(shared):
    a = shared.push(b"{}", "/GLOBEX/sap/frun/ngdci?a=1", auth=("globex", PASSWORD))
    assert a.status == 200, a
    got = shared.last()
    assert got["network"] == "GLOBEX"
    assert got["query"] == f"a=1&{FENCE}=globex-proxy"
    assert got.all(FENCE) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
def test_methods(shared, method):
    body = b"{}" if method in ("POST", "PUT") else None
    a = shared.request(method, "/ACME_PROD/sap/frun/x", body=body)
    assert a.status == 200, a
    assert shared.last()["method"] == method
    if method == "HEAD":
        assert a.body == b"" and int(a.get("Content-Length")) > 0


def test_csrf_fetch_by_head_and_cookie(shared):
    a = shared.request("HEAD", "/ACME_PROD/sap/frun/x", [("X-CSRF-Token", "Fetch")])
    token, cookie = a.get("x-csrf-token"), a.get("Set-Cookie")
    assert a.status == 200 and token and cookie.startswith("SAP_SESSIONID_FR1_100=")
    pair = cookie.split(";")[0]
    assert shared.push(fields=[("X-CSRF-Token", token), ("Cookie", pair)]).status == 200
    assert shared.last().all("X-CSRF-Token") == [token]
    assert shared.last().all("Cookie") == [pair]


def test_ping_of_focused_run(shared):
    a = shared.request("GET", "/ACME_PROD/sap/bc/ping")
    assert a.status == 200 and a.get("Content-Type").startswith("text/html"), a
    assert shared.last()["path"] == "/sap/bc/ping"


def test_gzip_body_is_untouched(shared):
    packed = gzip.compress(BODY * 50)
    a = shared.push(packed, fields=[("Content-Encoding", "gzip"),
                                    ("Content-Type", "application/json")])
    assert a.status == 200, a
    got = shared.last()
    assert got["body_sha256"] == hashlib.sha256(packed).hexdigest()
    assert got["decoded_bytes"] == len(BODY) * 50
    assert got.all("Content-Encoding") == ["gzip"]


def test_gzip_and_chunked_answer(shared):
    a = shared.push(b"{}", "/ACME_PROD/sap/frun/x?_sim=gzip,chunked")
    assert a.status == 200 and a.get("Content-Encoding") == "gzip", a
    assert json.loads(gzip.decompress(a.body))["status"] == "accepted"


def test_chunked_body(shared):
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", [("Transfer-Encoding", "chunked")]))
        for octet in b"4;name=value\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\nTrailer: dropped\r\n\r\n":
            c.send(bytes([octet]))
        assert c.answer().status == 200
    got = shared.last()
    assert got["body"] == '{"a":1}' and got["complete"]
    assert got.all("Trailer") == []


def test_empty_body(shared):
    assert shared.push(b"").status == 200
    assert shared.last()["body_bytes"] == 0


def test_keep_alive_on_both_sides(shared):
    with shared.raw() as c:
        for _ in range(5):
            c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
            assert c.answer().status == 200
    got = shared.received()
    assert len(got) == 5
    assert len({g["connection"] for g in got}) == 1, "the connector keeps its connection"


def test_pipelined_requests_are_answered_in_order(shared):
    with shared.raw() as c:
        c.send(b"".join(shared.octets("POST", f"/ACME_PROD/sap/frun/p{i}?_sim=status:{200 + i}",
                                      body=b"x" * i) for i in range(4)))
        assert [c.answer().status for _ in range(4)] == [200, 201, 202, 203]
    assert [(g["path"][-2:], g["body_bytes"]) for g in shared.received()] == \
        [("p0", 0), ("p1", 1), ("p2", 2), ("p3", 3)]


def test_http_1_0(shared):
    octets = shared.octets("POST", "/ACME_PROD/sap/frun/x?_sim=chunked", body=b"{}")
    with shared.raw() as c:
        c.send(octets.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        a = c.answer()
        assert a.status == 200 and not a.get("Transfer-Encoding"), a
        assert json.loads(a.body)["status"] == "accepted"
        assert c.ends()


def test_connection_close_is_honoured(shared):
    with shared.raw() as c:
        c.send(shared.octets("GET", "/ACME_PROD/sap/frun/x", [("Connection", "close")]))
        a = c.answer()
        assert a.status == 200 and a.get("Connection") == "close"
        assert c.ends()


def test_100_continue_only_after_authorisation(shared):
    expect = [("Expect", "100-continue"), ("Content-Length", "2")]
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", expect))
        assert c.head().status == 100
        c.send(b"{}")
        assert c.answer().status == 200
    assert shared.last()["body"] == "{}"
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", expect, auth=(USER, "wrong")))
        assert c.head().status == 401
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/etc/passwd", expect))
        assert c.head().status == 403


def test_many_at_once(shared):
    connections = [shared.raw() for _ in range(40)]
    for i, c in enumerate(connections):
        c.send(shared.octets("POST", f"/ACME_PROD/sap/frun/m{i}", body=b"y" * 30000))
    assert [c.answer().status for c in connections] == [200] * 40
    for c in connections:
        c.close()
    assert sorted(g["path"] for g in shared.received()) == \
        sorted(f"/sap/frun/m{i}" for i in range(40))


def test_access_line_and_no_secret_in_any_log(shared):
    assert shared.push(fields=[("X-Request-ID", "id-of-this-push")]).status == 200
    line = wait_until(lambda: [x for x in shared.access_lines()
                               if "id-of-this-push" in x.values()], "access line")[0]
    values = [str(v) for v in line.values()]
    for expected in ("ACME_PROD", "s4-acme", "tunnel", "200", "focused-run", "POST"):
        assert expected in values, (expected, line)
    assert any("DC1-A" in v for v in values), line
    everything = "".join(p.log() for p in shared.processes())
    for secret in (PASSWORD, FRUN_PASSWORD, basic(USER, PASSWORD)[6:],
                   basic(FRUN_USER, FRUN_PASSWORD)[6:]):
        assert secret not in everything
