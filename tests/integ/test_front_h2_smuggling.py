# SPDX-License-Identifier: Apache-2.0
"""What Focused Run reads on the wire of hostile HTTP/2: one well-formed HTTP/1.1 request, or none."""

import re

import pytest

from h2raw import DATA, END_HEADERS, END_STREAM, H2, HEADERS, block, frame
from scripted import scripted_chain
from test_front_h2 import REFUSED, variant

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\Z")
LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} /[\x21\x22\x24-\x7e]* HTTP/1\.1\Z")


class BackEnd:
    """Reads requests as strictly as can be; whatever is odd is kept as a complaint."""

    def __init__(self):
        self.requests = []  # (request line, fields, body), of whole ones
        self.cut = []       # request lines of those that ended too early
        self.complaints = []

    def complain(self, what, octets):
        self.complaints.append((what, octets))

    def __call__(self, s, head, rest):
        lines = head.split(b"\r\n")
        fields = []
        if not LINE.match(lines[0]):
            self.complain("request line", lines[0])
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.match(name) or not VALUE.match(value.strip(b" ")):
                self.complain("field", line)
            fields.append((name.lower(), value.strip(b" ")))
        count = {n: sum(f[0] == n for f in fields) for n in
                 (b"host", b"content-length", b"transfer-encoding", b"cookie", b"authorization")}
        if count[b"host"] != 1 or count[b"content-length"] + count[b"transfer-encoding"] > 1 or \
                count[b"cookie"] > 1 or count[b"authorization"] != 1:
            self.complain("count", str(count).encode())
        body, rest = self.body(s, dict(fields), rest)
        if body is None:
            self.cut.append(lines[0])
            return None
        self.requests.append((lines[0], fields, body))
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return rest

    def more(self, s, rest, n):
        while len(rest) < n:
            data = s.recv(65536)
            if not data:
                return None
            rest += data
        return rest

    def line(self, s, rest):
        while rest is not None and b"\r\n" not in rest:
            rest = self.more(s, rest, len(rest) + 1)
        return (None, None) if rest is None else rest.split(b"\r\n", 1)

    def body(self, s, fields, rest):
        if b"transfer-encoding" not in fields:
            n = int(fields.get(b"content-length", b"0"))
            rest = self.more(s, rest, n)
            return (None, b"") if rest is None else (rest[:n], rest[n:])
        if fields[b"transfer-encoding"] != b"chunked":
            self.complain("coding", fields[b"transfer-encoding"])
        body = b""
        while True:
            size, rest = self.line(s, rest)
            if size is None:
                return None, b""
            if not re.match(rb"[0-9a-fA-F]{1,8}\Z", size):
                self.complain("chunk", size)
            n = int(size, 16)
            rest = self.more(s, rest, n + 2)
            if rest is None:
                return None, b""
            if rest[n:n + 2] != b"\r\n":
                self.complain("chunk's end or trailer", rest[n:n + 40])
            if n == 0:
                return body, rest[2:]
            body, rest = body + rest[:n], rest[n + 2:]


@pytest.fixture(params=["tunnel", "direct"])
def wire(request, make_chain):
    end = BackEnd()
    chain = scripted_chain(make_chain, request.param, end)
    chain.end = end
    return chain


def marker(chain, c, n):
    """A good request behind it: it is read as what it is, and as the next."""
    name = f"/sap/frun/marker{n}"
    assert c.ask(path="/ACME_PROD" + name, body=b"marker").status == 200
    line, _, body = chain.end.requests.pop()
    assert line == f"POST {name} HTTP/1.1".encode() and body == b"marker", (line, body)


def test_what_is_refused_never_goes_on(wire):
    for i, (label, fields, _) in enumerate(REFUSED):
        with H2(wire) as c:
            for body in (None, b"GET /sap/frun/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"):
                c.ask(fields, body=body)
                marker(wire, c, i)
        if label == "length without body":
            wire.end.cut.clear()  # with a body that does not fit, it may have begun
        assert not wire.end.requests and not wire.end.cut and not wire.end.complaints, \
            (label, vars(wire.end))


INNER = b"0\r\n\r\nGET /sap/frun/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
PASSED = [
    # label, fields, body, what must be there, what must not
    ("body that looks like chunks", H2.fields(), INNER, [], []),
    ("length that fits", H2.fields(more=[("content-length", str(len(INNER)))]), INNER, [], []),
    ("GET with a body", H2.fields(method="GET"), INNER, [], []),
    ("crumbs of cookies", H2.fields(more=[("cookie", "a=1"), ("x-y", "z"), ("cookie", "b=2"),
                                          ("cookie", "c=3; d=4")]),
     b"x", [(b"cookie", b"a=1; b=2; c=3; d=4")], []),
    ("host beside :authority", H2.fields(more=[("host", "push.example.com")]), b"x",
     [(b"host", b"fr1_frun")], []),
    ("host alone", variant(authority=None) + [("host", "push.example.com")], b"x",
     [(b"host", b"fr1_frun")], []),
    ("te: trailers", H2.fields(more=[("te", "trailers")]), b"x", [], [b"te"]),
    ("trailer", H2.fields(more=[("trailer", "x-admin-request-parameter")]), b"x", [], [b"trailer"]),
    ("names of HTTP/1.1's framing", H2.fields(more=[("http2-settings", "AAMAAABk"),
                                                    ("content-length-", "5"),
                                                    ("transfer_encoding", "chunked"),
                                                    ("x-transfer-encoding", "chunked")]),
     b"x", [], [b"transfer-encoding "]),
    ("empty value", H2.fields(more=[("x-empty", "")]), b"x", [(b"x-empty", b"")], []),
    ("tab and octets above 127", H2.fields(more=[("x-odd", b"a\tb\xe4")]), b"x",
     [(b"x-odd", b"a\tb\xe4")], []),
    ("CRLF encoded in the query", variant(path="/ACME_PROD/sap/frun/x?a=%0d%0aX:%20y"), b"x", [], [b"x"]),
    ("blanks in the query", variant(path="/ACME_PROD/sap/frun/x?a=%20HTTP/1.1"), b"x", [], []),
    ("a forged fence", H2.fields(more=[("x-admin-request-parameter", "other")]), b"x", [], []),
]


def test_what_passes_is_one_request(wire):
    for i, (label, fields, body, there, absent) in enumerate(PASSED):
        with H2(wire) as c:
            a = c.ask(fields, body=body)
            assert not isinstance(a, str) and a.status == 200, (label, a)
            assert len(wire.end.requests) == 1, (label, wire.end.requests)
            _, got, sent = wire.end.requests.pop()
            assert sent == body, (label, sent)
            for name, value in there:
                assert [v for n, v in got if n == name] == [value], (label, name, got)
            assert not {n for n, _ in got} & set(absent), (label, got)
            assert b"other" not in [v for _, v in got]
            marker(wire, c, i)
        assert not wire.end.cut and not wire.end.complaints, (label, vars(wire.end))


def test_trailers_do_not_go_on(wire):
    with H2(wire) as c:
        n = c.request(c.fields(), is_end=False)
        c.send(frame(DATA, 0, n, b"body") + frame(
            HEADERS, END_HEADERS | END_STREAM, n,
            block([("x-admin-request-parameter", "other"), ("x-t", "v")])))
        assert c.answer(n).status == 200
        assert wire.end.requests.pop()[2] == b"body"
        for label, bad in [("pseudo", (":path", "/x")), ("CRLF", ("x-t", "a\r\nb")),
                           ("chunked", ("transfer-encoding", "chunked"))]:
            n = c.request(c.fields(), is_end=False)
            c.send(frame(DATA, 0, n, b"body") +
                   frame(HEADERS, END_HEADERS | END_STREAM, n, block([bad])))
            assert c.answer(n) == "PROTOCOL_ERROR", label
        marker(wire, c, 0)
    # Their bodies never got an end: a back end that reads strictly sees them cut off, or not at all.
    assert not wire.end.requests and not wire.end.complaints


@pytest.mark.parametrize("length, sent", [(2, b"xyz"), (9, b"xyz"), (60000, INNER)])
def test_length_that_does_not_fit(wire, length, sent):
    """Whatever went on is cut off by the end of its connection, never completed by what follows."""
    with H2(wire) as c:
        n = c.request(c.fields(more=[("content-length", str(length))]), sent)
        assert c.answer(n) == "PROTOCOL_ERROR"
        n = c.request(c.fields(more=[("content-length", str(length))]), is_end=False)
        c.send(frame(DATA, 0, n, sent[:1]))
        c.send(frame(DATA, END_STREAM, n, sent[1:]))
        assert c.answer(n) == "PROTOCOL_ERROR"
        marker(wire, c, 0)
    assert not wire.end.complaints, wire.end.complaints
    assert not wire.end.requests, wire.end.requests


def test_more_than_no_body(wire):
    """What was told as empty may have gone on as such before the first octet came."""
    with H2(wire) as c:
        n = c.request(c.fields(more=[("content-length", "0")]), INNER)
        a = c.answer(n)
        assert a == "PROTOCOL_ERROR" or a.status == 200, a
        marker(wire, c, 0)
    assert not wire.end.complaints, wire.end.complaints
    assert [body for _, _, body in wire.end.requests] in ([], [b""]), wire.end.requests
