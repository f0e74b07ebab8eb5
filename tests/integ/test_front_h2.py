# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 at the front door: offered, used, and as strict as HTTP/1.1."""

import json
import socket
import ssl
import time

import pytest

from chain import FENCE, FRUN_USER, assert_problem, run, wait_until
from h2raw import (CONTINUATION, DATA, END_HEADERS, END_STREAM, H2, HEADERS, RST, block, frame,
                   literal)

CHAIN = {"gateway": {"gateway": {"max_body": "1M"}}}


def curl(chain, *more, target="/ACME_PROD/sap/frun/x", auth="s4push:Push-Pass-4711"):
    argv = ["curl", "-sS", "--cacert", chain.pki.path("ca.pem"), "--resolve",
            f"push.example.com:{chain.port}:127.0.0.1", "-w", "\n%{http_version} %{http_code}"]
    if auth:
        argv += ["-u", auth]
    done = run([*argv, *more, f"https://push.example.com:{chain.port}{target}"])
    assert done.returncode == 0, done.stderr
    body, _, last = done.stdout.rpartition("\n")
    version, status = last.split()
    return version, int(status), body


def test_curl(shared):
    version, status, body = curl(shared, "--http2", "-d", '{"a":1}', "-H",
                                 "Content-Type: application/json")
    assert (version, status) == ("2", 200), body
    got = shared.last()
    assert got["body"] == '{"a":1}'
    assert got.all("Host") == ["fr1_frun"]
    assert got.all("Authorization") == ["Basic " + FRUN_USER]
    assert got.all(FENCE) == ["acme-prod-proxy"]
    assert got.all("X-Forwarded-Proto") == ["https"]
    assert got.all("Via")[0].startswith("2.0 frunproxyd"), got.all("Via")
    line = shared.pushes_logged(1)[-1]
    assert line["protocol"] == "HTTP/2.0" and line["status"] == 200, line


def test_http1_beside_it(shared):
    assert curl(shared, "--http1.1", "-d", "x")[:2] == ("1.1", 200)
    assert curl(shared, "-0", "-d", "x")[:2] == ("1.1", 200)
    wait_until(lambda: {"HTTP/1.1", "HTTP/1.0"} <= {x.get("protocol") for x in
                                                  shared.access_lines()}, "lines", 5)


def test_broken_http1_behind_it(make_chain):
    """The exchange of a request by HTTP/2 serves a head that breaks off by HTTP/1.1."""
    chain = make_chain(workers=1)
    assert curl(chain, "--http2", "-d", "x")[:2] == ("2", 200)
    with chain.raw() as c:
        c.send(b"GET /\x01 HTTP/1.1\r\n\r\n")
        assert c.answer().status == 400
    line = wait_until(lambda: [x for x in chain.access_lines() if x["status"] == 400], "line", 5)
    assert line[0]["protocol"] == "HTTP/1.1", line


def test_switched_off(make_chain):
    chain = make_chain(gateway={"gateway": {"http2": "no"}})
    assert curl(chain, "--http2", "-d", "x")[:2] == ("1.1", 200)


def test_preface_without_agreement(shared):
    with shared.raw() as c:
        c.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert c.answer().status == 505
        assert c.ends()


def test_tunnel_name_speaks_no_h2(shared):
    ctx = ssl.create_default_context(cafile=shared.pki.path("ca.pem"))
    ctx.load_cert_chain(shared.pki.path("dc1-a.pem"), shared.pki.path("dc1-a.key"))
    ctx.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection(("127.0.0.1", shared.tunnel_port))
    with ctx.wrap_socket(plain, server_hostname="push.example.com") as s:
        assert s.selected_alpn_protocol() == "http/1.1"


def test_own_errors_look_the_same(shared):
    with H2(shared) as c:
        a = c.ask(auth=None)
        assert_problem(a, 401)
        assert a.get("www-authenticate").startswith("Basic realm=")
        assert_problem(c.ask(path="/nobody/sap/frun"), 404)
        assert_problem(c.ask(method="DELETE"), 405)
        assert c.ask(method="GET", path="/sap/bc/ping", auth=None).status == 200
        assert c.ask(body=b"still open").status == 200


def test_many_streams_at_once(shared):
    with H2(shared) as c:
        n = [c.request(c.fields(path=f"/ACME_PROD/sap/frun/m{i}"), b"y" * (i * 100))
             for i in range(60)]
        assert [c.answer(i).status for i in n] == [200] * 60
    assert sorted(g["path"] for g in shared.received()) == \
        sorted(f"/sap/frun/m{i}" for i in range(60))


def test_announced_limits(shared):
    with H2(shared) as c:
        c.until(lambda: c.settings, "SETTINGS")
        assert c.settings[3] == 100 and c.settings[4] == 65536 and c.settings[6] == 32768


def test_head_and_empty_answers(shared):
    with H2(shared) as c:
        a = c.ask(method="HEAD")
        assert a.status == 200 and a.body == b"" and int(a.get("content-length")) > 0
        for status in (204, 304):
            a = c.ask(method="GET", path=f"/ACME_PROD/sap/frun/x?_sim=status:{status}")
            assert a.status == status and a.body == b"", a


def test_100_continue_only_after_authorisation(shared):
    with H2(shared) as c:
        expect = [("expect", "100-continue"), ("content-length", "2")]
        n = c.request(c.fields(more=expect), is_end=False)
        c.until(lambda: c.stream(n).heads, "100")
        assert c.stream(n).heads[0] == [(":status", "100")]
        c.send(frame(DATA, END_STREAM, n, b"{}"))
        assert c.answer(n).status == 200
        n = c.request(c.fields(more=expect, auth=("s4push", "wrong")), is_end=False)
        assert c.answer(n).status == 401
        assert len(c.stream(n).heads) == 1
        assert_problem(c.ask(more=[("expect", "200-ok")]), 417)


def test_cookies_are_joined_and_trailers_dropped(shared):
    with H2(shared) as c:
        n = c.request(c.fields(more=[("cookie", "a=1"), ("x-y", "z"), ("cookie", "b=2")]),
                      is_end=False)
        c.send(frame(DATA, 0, n, b"{}") +
               frame(HEADERS, END_HEADERS | END_STREAM, n, block([("x-trailer", "t")])))
        assert c.answer(n).status == 200
    got = shared.last()
    assert got.all("Cookie") == ["a=1; b=2"] and got.all("X-Trailer") == []
    assert got["body"] == "{}" and got["complete"]


def test_split_and_padded_heads(shared):
    with H2(shared) as c:
        n = c.request(c.fields(more=[("x-pad", "p" * 3000)]), b"x", cut=700)
        assert c.answer(n).status == 200
        octets = block(c.fields())
        c.next_id += 2
        c.send(frame(HEADERS, END_HEADERS | END_STREAM | 8, n + 2,
                     b"\x09" + octets + b"\0" * 9))
        assert c.answer(n + 2).status == 200


def variant(**change):
    """The good head with fields changed (None: left out); names as in the head, '_' for '-'."""
    out = []
    for name, value in H2.fields():
        key = name.lstrip(":").replace("-", "_")
        value = change.pop(key, value)
        if value is not None:
            out.append((name, value))
    return out


REFUSED = [
    # label, fields, a status or the code of a reset
    ("head too long", H2.fields(more=[("x-long", "v" * 33000)]), 431),
    ("too many fields", H2.fields(more=[(f"x-{i}", "v") for i in range(101)]), 431),
    ("target too long", variant(path="/ACME_PROD/sap/frun/" + "a" * 8200), 414),
    ("CR in a value", H2.fields(more=[("x-a", "b\rc")]), 400),
    ("LF in a value", H2.fields(more=[("x-a", "b\nTransfer-Encoding: chunked")]), 400),
    ("NUL in a value", H2.fields(more=[("x-a", "b\0c")]), 400),
    ("blank in front", H2.fields(more=[("x-a", " b")]), 400),
    ("blank behind", H2.fields(more=[("x-a", "b\t")]), 400),
    ("colon in a name", H2.fields(more=[("x:a", "b")]), 400),
    ("blank in a name", H2.fields(more=[("x a", "b")]), 400),
    ("CRLF in a name", H2.fields(more=[("x\r\ny", "b")]), 400),
    ("upper case", H2.fields(more=[("X-Upper", "b")]), "PROTOCOL_ERROR"),
    ("empty name", H2.fields(more=[("", "b")]), (400, "PROTOCOL_ERROR")),
    ("Connection", H2.fields(more=[("connection", "close")]), "PROTOCOL_ERROR"),
    ("Transfer-Encoding", H2.fields(more=[("transfer-encoding", "chunked")]), "PROTOCOL_ERROR"),
    ("Keep-Alive", H2.fields(more=[("keep-alive", "1")]), "PROTOCOL_ERROR"),
    ("Proxy-Connection", H2.fields(more=[("proxy-connection", "x")]), "PROTOCOL_ERROR"),
    ("Upgrade", H2.fields(more=[("upgrade", "h2c")]), "PROTOCOL_ERROR"),
    ("TE: gzip", H2.fields(more=[("te", "gzip")]), "PROTOCOL_ERROR"),
    ("two lengths", H2.fields(more=[("content-length", "0"), ("content-length", "0")]),
     "PROTOCOL_ERROR"),
    ("length with sign", H2.fields(more=[("content-length", "+0")]), "PROTOCOL_ERROR"),
    ("length of a list", H2.fields(more=[("content-length", "0, 0")]), "PROTOCOL_ERROR"),
    ("length without body", H2.fields(more=[("content-length", "5")]), "PROTOCOL_ERROR"),
    ("no method", variant(method=None), "PROTOCOL_ERROR"),
    ("no path", variant(path=None), "PROTOCOL_ERROR"),
    ("empty path", variant(path=""), "PROTOCOL_ERROR"),
    ("no scheme", variant(scheme=None), "PROTOCOL_ERROR"),
    ("another scheme", variant(scheme="ftp"), 400),
    ("no authority", variant(authority=None), "PROTOCOL_ERROR"),
    ("two paths", variant() + [(":path", "/")], "PROTOCOL_ERROR"),
    ("pseudo behind", [("x-a", "b")] + variant(), "PROTOCOL_ERROR"),
    ("unknown pseudo", [(":frun", "b")] + variant(), "PROTOCOL_ERROR"),
    ("status in a request", [(":status", "200")] + variant(), "PROTOCOL_ERROR"),
    ("path of no slash", variant(path="ACME_PROD/sap/frun"), "PROTOCOL_ERROR"),
    ("absolute path", variant(path="https://push.example.com/ACME_PROD/sap/frun"),
     "PROTOCOL_ERROR"),
    ("star but no OPTIONS", variant(path="*"), "PROTOCOL_ERROR"),
    ("star", variant(path="*", method="OPTIONS"), 400),
    ("blank in the path", variant(path="/ACME_PROD/sap/frun HTTP/1.1"), "PROTOCOL_ERROR"),
    ("CRLF in the path", variant(path="/ACME_PROD/x HTTP/1.1\r\nX: y"), "PROTOCOL_ERROR"),
    ("fragment", variant(path="/ACME_PROD/sap/frun#x"), 400),
    ("octets above 127 in the path", variant(path="/ACME_PROD/sap/frun/\xe4"), 400),
    ("dot segments", variant(path="/ACME_PROD/sap/frun/../bc"), 400),
    ("blank in the method", variant(method="GET /x"), "PROTOCOL_ERROR"),
    ("long method", variant(method="G" * 33), 400),
    ("user in the authority", variant(authority="a@push.example.com"), (400, "PROTOCOL_ERROR")),
    ("CRLF in the authority", variant(authority="push\r\nX: y"), "PROTOCOL_ERROR"),
    ("hosts that differ", H2.fields(more=[("host", "other.example.com")]), 400),
    ("two hosts", H2.fields(more=[("host", "push.example.com"), ("host", "push.example.com")]),
     "PROTOCOL_ERROR"),
    ("CONNECT", [(":method", "CONNECT"), (":authority", "push.example.com:443")], 501),
    ("extended CONNECT", [(":protocol", "websocket")] + variant(method="CONNECT"),
     "PROTOCOL_ERROR"),
    ("two credentials", H2.fields(more=[("authorization", "Basic eA==")]), 400),
]


@pytest.mark.parametrize("label, fields, want", REFUSED, ids=[r[0] for r in REFUSED])
def test_refused_heads(shared, label, fields, want):
    with H2(shared) as c:
        a = c.ask(fields)
        got = a if isinstance(a, str) else a.status
        assert got in (want if isinstance(want, tuple) else (want,)), (label, a)
        if not isinstance(a, str):
            assert_problem(a, got)
        assert c.ask(body=b"the connection goes on").status == 200
    assert len(shared.received()) == 1


def test_refused_heads_have_access_lines(shared):
    before = len(shared.access_lines())
    with H2(shared) as c:
        c.ask(H2.fields(more=[("x-a", "b\0c")]))
        c.ask(H2.fields(more=[("connection", "close")]))
    lines = wait_until(lambda: len(shared.access_lines()) >= before + 2 and
                       shared.access_lines()[before:], "two lines", 5)
    assert [(x["status"], x["protocol"]) for x in lines] == [(400, "HTTP/2.0"), (0, "HTTP/2.0")]
    assert "rules of HTTP/2" in lines[1]["note"]


@pytest.mark.parametrize("label, length, sent", [("longer", 2, b"xyz"), ("shorter", 9, b"xyz")])
def test_body_and_length_differ(shared, label, length, sent):
    with H2(shared) as c:
        n = c.request(c.fields(more=[("content-length", str(length))]), sent)
        assert c.answer(n) == "PROTOCOL_ERROR", label
        assert c.ask(body=b"x").status == 200
    assert all(g["body"] != "xyz" or not g["complete"] for g in shared.received())


def test_host_instead_of_authority(shared):
    with H2(shared) as c:
        assert c.ask(variant(authority=None) + [("host", "push.example.com")]).status == 200
        assert c.ask(c.fields(more=[("host", "PUSH.example.com"), ("te", "trailers")])).status == 200


@pytest.mark.parametrize("target, auth, want", [
    ("/ACME_PROD/sap/frun/x", "s4push:wrong", 401),
    ("/ACME_PROD/sap/other/x", "s4push:Push-Pass-4711", 403),
    ("/nobody/sap/frun/x", "s4push:Push-Pass-4711", 404)])
def test_early_answer_is_never_lost(shared, target, auth, want):
    """curl decides late whether its body goes out: a reset behind the answer made it give up."""
    for _ in range(25):
        assert curl(shared, "--http2", "-d", "{}", target=target, auth=auth)[:2] == ("2", want)


def test_early_answer_and_a_long_body(shared, tmp_path):
    """More than a window: the client stops by itself, or after a while by our reset."""
    body = tmp_path / "body"
    body.write_bytes(b"x" * 900000)
    for _ in range(10):
        assert curl(shared, "--http2", "--data-binary", f"@{body}",
                    auth="s4push:wrong")[:2] == ("2", 401)


def test_early_answer_lingers(shared):
    wrong = H2.fields(auth=("s4push", "wrong"))
    with H2(shared) as c:
        ending, silent, greedy = (c.request(wrong, is_end=False) for _ in range(3))
        for n in (ending, silent, greedy):
            assert_problem(c.answer(n), 401)
        began = time.monotonic()
        for i in range(4):
            c.send(frame(DATA, END_STREAM if i == 3 else 0, ending, b"x" * 16000))
        assert c.ask(body=b"beside it").status == 200
        c.send(frame(DATA, 0, greedy, b"x" * 16384) * 4 + frame(DATA, 0, greedy, b"x"))
        c.until(lambda: c.stream(greedy).reset, "the window is all")
        assert c.stream(greedy).reset == "FLOW_CONTROL_ERROR"
        c.until(lambda: c.stream(silent).reset, "reset")
        assert c.stream(silent).reset == "NO_ERROR" and time.monotonic() - began > 1.5
        assert c.ask(body=b"x").status == 200
        assert c.stream(ending).reset is None
        assert not {ending, silent, greedy} & set(c.windows)
        for _ in range(6):  # the connection's window comes back
            n = c.request(wrong, b"x" * 60000)
            assert_problem(c.answer(n), 401)
        assert c.ask(body=b"x").status == 200 and c.windows[0] > 65535 * 4
    assert len(shared.received()) == 3


def test_body_too_long(shared):
    with H2(shared) as c:
        n = c.request(c.fields(more=[("content-length", "2000000")]), is_end=False)
        assert_problem(c.answer(n), 413)
        n = c.request(c.fields(), b"x" * 60000, is_end=False)
        sent = 60000
        while not c.done(n) and sent < 2000000:
            c.until(lambda: c.done(n) or min(c.windows.get(n, 0) + 65536,
                                             c.windows.get(0, 0) + 65535) > sent + 16384, "window")
            if not c.done(n):  # else the window is not ours to use any more
                c.send(frame(DATA, 0, n, b"x" * 16384))
                sent += 16384
        assert_problem(c.answer(n), 413)
        c.until(lambda: c.stream(n).reset, "the rest is not wanted")
        assert c.stream(n).reset == "NO_ERROR"
        assert c.ask(body=b"x").status == 200


BROKEN = [
    ("DATA on stream 0", frame(DATA, 0, 0, b"x"), "PROTOCOL_ERROR"),
    ("CONTINUATION out of order", frame(CONTINUATION, END_HEADERS, 1, b""), "PROTOCOL_ERROR"),
    ("frame inside a head", frame(HEADERS, 0, 1, literal(":method", "GET")) + frame(DATA, 0, 1),
     "PROTOCOL_ERROR"),
    ("even stream", frame(HEADERS, END_HEADERS, 2, b""), "PROTOCOL_ERROR"),
    ("broken compression", frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
     "COMPRESSION_ERROR"),
    ("too long a frame", b"\x01\x00\x00\x00\x00\x00\x00\x00\x01", "FRAME_SIZE_ERROR"),
    ("RST of nothing", frame(RST, 0, 5, b"\0\0\0\x08"), "PROTOCOL_ERROR"),
]


@pytest.mark.parametrize("label, octets, code", BROKEN, ids=[b[0] for b in BROKEN])
def test_broken_framing_ends_the_connection(shared, label, octets, code):
    with H2(shared) as c:
        c.send(octets)
        assert c.ends() == code
    assert shared.push().status == 200


def test_json_answers_and_gzip_pass(shared):
    with H2(shared) as c:
        a = c.ask(path="/ACME_PROD/sap/frun/x?_sim=gzip,chunked", body=b"{}")
        assert a.status == 200 and a.get("content-encoding") == "gzip"
        a = c.ask(body=b"{}")
        assert json.loads(a.body)["status"] == "accepted"
        assert not a.get("connection") and not a.get("transfer-encoding")
