# SPDX-License-Identifier: Apache-2.0
"""Who may push, and where: nothing reaches Focused Run without good credentials for the endpoint."""

import base64

import pytest

from chain import FRUN_PASSWORD, FRUN_USER, PASSWORD, USER, Background, assert_problem


def encoded(text):
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize("label, fields", [
    ("none", []),
    ("wrong password", [("Authorization", encoded(b"s4push:wrong"))]),
    ("empty password", [("Authorization", encoded(b"s4push:"))]),
    ("no colon", [("Authorization", encoded(b"s4push"))]),
    ("unknown user", [("Authorization", encoded(b"nobody:x"))]),
    ("empty user", [("Authorization", encoded(b":" + PASSWORD.encode()))]),
    ("user with other case", [("Authorization", encoded(b"S4PUSH:" + PASSWORD.encode()))]),
    ("password plus NUL", [("Authorization", encoded(b"s4push:" + PASSWORD.encode() + b"\0x"))]),
    ("not base64", [("Authorization", "Basic !!!!")]),
    ("only the scheme", [("Authorization", "Basic")]),
    ("another scheme", [("Authorization", "Bearer abc")]),
    ("Focused Run's own", [("Authorization",
                            encoded(f"{FRUN_USER}:{FRUN_PASSWORD}".encode()))]),
    ("proxy field instead", [("Proxy-Authorization", encoded(f"{USER}:{PASSWORD}".encode()))]),
    ("in the query", [("sap-user", USER), ("sap-password", PASSWORD)]),
])
def test_bad_credentials(shared, label, fields):
    a = shared.push(fields=fields, auth=None)
    assert_problem(a, 401)
    assert a.get("WWW-Authenticate").startswith("Basic realm="), label
    assert shared.received() == [], label


def test_two_authorization_fields(shared):
    good, bad = f"{USER}:{PASSWORD}".encode(), b"s4push:wrong"
    for pair in ([good, bad], [bad, good], [good, good]):
        a = shared.push(fields=[("Authorization", encoded(x)) for x in pair], auth=None)
        assert a.status in (400, 401), a
    assert shared.received() == []


def test_scheme_is_case_insensitive(shared):
    value = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert shared.push(fields=[("Authorization", "bASIC " + value)], auth=None).status == 200


def test_wrong_endpoint_for_a_pusher(shared):
    assert_problem(shared.push(target="/GLOBEX/sap/frun/x"), 403)
    assert_problem(shared.push(target="/ACME_PROD/sap/frun/x", auth=("globex", PASSWORD)), 403)
    assert shared.received() == []


def test_a_good_password_once_does_not_open_another_endpoint_later(shared):
    """The cache of verified credentials belongs to endpoint and pusher."""
    with shared.raw() as c:
        for target, status in (("/ACME_PROD", 200), ("/GLOBEX", 403), ("/ACME_PROD", 200)):
            c.send(shared.octets("POST", target + "/sap/frun/x", body=b"{}"))
            assert c.answer().status == status


def test_after_a_wrong_password_the_right_one_works_at_once(shared):
    with shared.raw() as c:
        for password, status in (("wrong", 401), (PASSWORD, 200), ("wrong", 401), (PASSWORD, 200)):
            c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}",
                                 auth=(USER, password)))
            assert c.answer().status == status


def test_a_body_behind_a_refusal_does_not_become_a_request(shared):
    smuggled = shared.octets("POST", "/ACME_PROD/sap/frun/smuggled", body=b"{}")
    with shared.raw() as c:
        c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", body=smuggled, auth=(USER, "wrong")))
        assert c.answer().status == 401
        c.sock.settimeout(1)
        try:
            assert c.answer().status != 200
        except (ConnectionError, TimeoutError, OSError):
            pass
    assert shared.received() == []


def test_hashing_does_not_throttle(shared):
    """A flood of wrong passwords must not keep a known pusher waiting."""
    assert shared.push().status == 200
    flood = [Background(shared.push, auth=(USER, f"wrong-{i}")) for i in range(30)]
    with shared.raw() as c:
        for _ in range(20):
            c.send(shared.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
            assert c.answer().status == 200
    assert {f.result().status for f in flood} <= {401, 503}
