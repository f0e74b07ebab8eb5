# SPDX-License-Identifier: Apache-2.0
"""What a Focused Run in trouble does to the pusher, and that the next push works."""

import json

import pytest

from chain import assert_problem

X = "/ACME_PROD/sap/frun/x?_sim="


def quoted(raw):
    return "".join(f"%{ord(c):02X}" if not c.isalnum() else c for c in raw)


@pytest.mark.parametrize("fault", ["reset", "reset-early"])
def test_reset(shared, fault):
    assert_problem(shared.push(target=X + fault), 502, "frun")
    assert shared.push().status == 200
    assert len([g for g in shared.received() if fault in g["query"]]) == 1, "a POST is not repeated"


@pytest.mark.parametrize("fault", ["half-answer", "half-answer,chunked"])
def test_half_answer_is_cut_off_for_the_pusher_too(shared, fault):
    try:
        a = shared.push(target=X + fault)
        assert a.status == 502 or not a.is_complete, a
    except ConnectionError:
        pass  # cut off before its head had left
    assert shared.push().status == 200


def test_connection_closed_without_saying_so(shared):
    """The next request finds a stale connection; whether POST or GET, it must succeed."""
    for method in ("POST", "GET", "POST"):
        assert shared.push(target=X + "close").status == 200
        body = b"{}" if method == "POST" else None
        assert shared.request(method, "/ACME_PROD/sap/frun/y", body=body).status == 200


def test_early_answer_while_the_body_is_on_its_way(shared):
    size = 8 << 20
    with shared.raw() as c:
        c.send(shared.octets("POST", X + "early,status:403", [("Content-Length", str(size))]))
        try:
            for _ in range(size // 65536):
                c.send(b"e" * 65536)
        except OSError:
            pass
        try:
            a = c.answer()
        except ConnectionError:
            a = None  # the answer may be lost behind a reset: a TCP property
    assert a is None or a.status == 403, a
    assert shared.push().status == 200


def test_interim_answers(shared):
    a = shared.push(target=X + "hints")
    assert a.status == 200 and json.loads(a.body)["status"] == "accepted"


@pytest.mark.parametrize("fault, length", [("big:0", 0), ("big:1", 1), ("big:65536", 65536),
                                           ("big:3M,chunked", 3 << 20), ("big:100K,gzip", 102400)])
def test_sizes(shared, fault, length):
    a = shared.push(target=X + fault)
    assert a.status == 200 and a.is_complete and len(a.body) == length


def test_no_body(shared):
    for status in (204, 304):
        a = shared.push(target=X + f"status:{status}")
        assert a.status == status and a.body == b""
    with shared.raw() as c:
        for _ in range(3):
            c.send(shared.octets("POST", X + "status:204", body=b"{}"))
            assert c.answer().status == 204


def test_slow_answer(shared):
    a = shared.push(target=X + "big:4000,slow-answer:4000")
    assert a.status == 200 and a.body == b"x" * 4000


@pytest.mark.parametrize("label, raw", [
    ("not HTTP", "nonsense\r\n\r\n"),
    ("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 999", "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n"),
    ("CL twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ("CL and TE", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "1\r\na\r\n0\r\n\r\n"),
    ("bad CL", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na"),
    ("folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
    ("blank before colon", "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n"),
    ("bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("TE gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc"),
    ("101", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    ("cut-off head", "HTTP/1.1 200 OK\r\nContent-Le"),
])
def test_bad_answers(shared, label, raw):
    assert_problem(shared.push(target=X + "raw:" + quoted(raw)), 502, "frun")
    assert shared.push().status == 200, label


def test_head_of_the_answer_too_large(shared):
    a = shared.push(target=X + "headers:5000")
    assert_problem(a, 502, "frun")


def test_answer_until_close(shared):
    a = shared.push(target=X + "raw:" + quoted("HTTP/1.1 200 OK\r\n\r\nuntil the end"))
    assert a.status == 200 and a.body == b"until the end"


def test_answer_behind_the_answer_is_not_given_to_the_next(shared):
    raw = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    assert shared.push(target=X + "raw:" + quoted(raw)).body == b"a"
    for _ in range(4):
        assert b"evil" not in shared.push().body
