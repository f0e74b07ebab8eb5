# SPDX-License-Identifier: Apache-2.0
"""Which paths go through: one canonical form, segment boundaries, nothing repaired."""

import json

import pytest

from chain import assert_problem

FRUN = "/ACME_PROD/sap/frun"


@pytest.mark.parametrize("target, status", [
    # resources
    (FRUN, 200), (FRUN + "/", 200), (FRUN + "/a/b;v=1/c", 200), (FRUN + "/~a.b_c-d", 200),
    (FRUN + "/%C3%A4", 200), ("/ACME_PROD/sap/bc/ping", 200),
    (FRUN + "X", 403), (FRUN + "X/y", 403), (FRUN + ";x", 403), ("/ACME_PROD/sap/FRUN/x", 403),
    ("/ACME_PROD/sap/bc/pingX", 403), ("/ACME_PROD/sap/bc/ping/x", 403), ("/ACME_PROD/sap/bc", 403),
    ("/ACME_PROD/sap", 403), ("/ACME_PROD/sap/opu/odata", 403), ("/ACME_PROD/_sim/received", 403),
    # the bare root: ABAP's connection check wants 400
    ("/ACME_PROD", 400), ("/ACME_PROD/", 400), ("/ACME_PROD?sap-client=100", 400),
    # endpoints
    ("/NOBODY/sap/frun/x", 404), ("/acme_prod/sap/frun/x", 404), ("/ACME_PRODX/sap/frun/x", 404),
    ("/sap/frun/x", 404), ("/", 404), ("/ACME%20PROD/sap/frun/x", 404),
    # never repaired
    (FRUN + "/../x", 400), (FRUN + "/..", 400), (FRUN + "/./x", 400), (FRUN + "/.", 400),
    (FRUN + "/%2e%2e/x", 400), (FRUN + "/%2E/x", 400), (FRUN + "/.%2e/x", 400),
    (FRUN + "/..;a/x", 400), (FRUN + "//x", 400), ("//ACME_PROD/sap/frun/x", 400),
    ("/ACME_PROD//sap/frun/x", 400), (FRUN + "%2fx", 400), (FRUN + "%2Fx", 400),
    (FRUN + "/%5cx", 400), (FRUN + "/\\x", 400), (FRUN + "/%00", 400), (FRUN + "/%0d%0a", 400),
    (FRUN + "/%7f", 400), (FRUN + "/%", 400), (FRUN + "/%4", 400), (FRUN + "/%zz", 400),
    (FRUN + "/#x", 400), (FRUN + "/a%23b", 200), (FRUN + "/{x}", 400), (FRUN + '/"x"', 400),
    ("/ACME_PROD/sap/%66run/x", 400), ("/%41CME_PROD/sap/frun/x", 400),
    ("/ACME_PROD/sap/opu/../frun/x", 400), (FRUN + "/\u00e4", 400),
    ("ACME_PROD/sap/frun/x", 400), ("*", 400),
])
def test_path(shared, target, status):
    with shared.raw() as c:
        if target.endswith("/ping"):
            c.send(shared.octets("GET", target))
        else:
            c.send(shared.octets("POST", target, body=b"{}"))
        a = c.answer()
    assert a.status == status, (target, a)
    got = shared.received()
    if status == 200:
        assert got[-1]["path"] == target[len("/ACME_PROD"):], "forwarded as it was judged"
    else:
        assert_problem(a, status)
        assert got == [], target


def test_bare_root_says_what_it_is(shared):
    a = shared.request("GET", "/ACME_PROD")
    assert a.status == 400 and "json" in a.get("Content-Type")
    assert json.loads(a.body)


def test_without_credentials_nothing_is_told_about_paths(shared):
    for target in ("/ACME_PROD", "/ACME_PROD/sap/opu"):
        assert shared.request("GET", target, auth=None).status == 401, target


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO"])
def test_method(shared, method):
    a = shared.request(method, FRUN + "/x")
    if method == "CONNECT":
        assert a.status in (400, 405, 501), a
    else:
        assert_problem(a, 405)
        assert sorted(m.strip() for m in a.get("Allow").split(",")) == \
            ["GET", "HEAD", "POST", "PUT"]
    assert shared.received() == []


@pytest.mark.parametrize("target, host, status", [
    ("https://push.example.com" + FRUN + "/x", "push.example.com", 200),
    ("https://PUSH.example.com:443" + FRUN + "/x", "push.example.com", 200),
    ("https://other.example.com" + FRUN + "/x", "push.example.com", 400),
    ("https://push.example.com:444" + FRUN + "/x", "push.example.com", 400),
    ("https://u@push.example.com" + FRUN + "/x", "push.example.com", 400),
    ("ftp://push.example.com" + FRUN + "/x", "push.example.com", 400),
    ("https:" + FRUN + "/x", "push.example.com", 400),
])
def test_absolute_form(shared, target, host, status):
    with shared.raw() as c:
        c.send(shared.octets("POST", target, body=b"{}", host=host))
        assert c.answer().status == status
    assert len(shared.received()) == (1 if status == 200 else 0)


def test_query_passes_untouched(shared):
    query = "a=%2F..%2f&b=%zz&c=//..//&d=a+b&e;f=g&=h&&i"
    with shared.raw() as c:
        c.send(shared.octets("POST", FRUN + "/x?" + query, body=b"{}"))
        a = c.answer()
    if a.status == 200:
        assert shared.last()["query"] == query
    else:
        assert a.status == 400, "a bad escape in the query may be refused, never repaired"
