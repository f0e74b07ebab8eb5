# SPDX-License-Identifier: Apache-2.0
"""Paths that a managed service's set-up fixes, mapped to Focused Run's and back."""

import pytest

from chain import assert_problem
from scripted import read_body, scripted_chain

CHAIN = {"gateway": {"endpoint ACME_PROD": {
    "paths": "cloud-alm",
    "map": ["/api/calm-logs /sap/frun/logs", "/api/calm-logs/v2 /sap/frun/logs2"]}}}
REGISTER = "/api/landscape-management/v1/Registration"


@pytest.mark.parametrize("sent, got", [
    (REGISTER, "/sap/frun/ngdci" + REGISTER),
    ("/api/calm-metrics/v1/metrics?useCase=hm&serviceId=1&dev=true",
     "/sap/frun/ngdci/api/calm-metrics/v1/metrics?useCase=hm&serviceId=1&dev=true"),
    ("/api/calm-logs/v1/logs", "/sap/frun/logs/v1/logs"),
    ("/api/calm-logs/v2/logs", "/sap/frun/logs2/logs"),
    ("/api/calm-logs/v22", "/sap/frun/logs/v22"),
    ("/sap/frun/ngdci", "/sap/frun/ngdci"),
])
def test_mapped(shared, sent, got):
    assert shared.push(target="/ACME_PROD" + sent).status == 200
    path, _, query = got.partition("?")
    assert (shared.last()["path"], shared.last()["query"] or "") == (path, query)


@pytest.mark.parametrize("path", [
    "/api", "/api/calm-metricsX", "/api/calm-tasks/v1/tasks", REGISTER.lower(),
    "/api/landscape-management/v1/RegistrationX", "/sap/frunX", "/sap/bc/gui"])
def test_what_is_not_mapped_stays_closed(shared, path):
    assert_problem(shared.push(target="/ACME_PROD" + path), 403)
    assert shared.received() == []


@pytest.mark.parametrize("path", [
    "/api/calm-metrics/../../sap/bc/gui", "/api/calm-metrics/%2e%2e/x", "/api//calm-metrics",
    "/api/calm-metrics%2fv1", "/api/calm-%6detrics", "/api/calm-metrics/..;/x"])
def test_tricks(shared, path):
    assert_problem(shared.push(target="/ACME_PROD" + path), 400)
    assert shared.received() == []


def test_another_endpoint_maps_nothing(shared):
    a = shared.push(target="/GLOBEX/api/calm-metrics", auth=("globex", "Push-Pass-4711"))
    assert_problem(a, 403)


def test_registration_comes_back_untouched(make_chain):
    """ABAP's set-up waits for the LMS id: status, fields and body are Focused Run's own."""
    body = b'{"lmsId":"8f3c"}'
    got = []

    def script(s, head, rest):
        sent, rest = read_body(s, head, rest)
        got.append((head.split(b"\r\n")[0], sent))
        s.sendall(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                  b"Location: https://fr1_frun/sap/frun/ngdci" + REGISTER.encode() +
                  b"/8f3c?a=b\r\nContent-Location: /sap/frun/logs/v1/x\r\nX-Own: kept\r\n"
                  b"Content-Length: 16\r\n\r\n" + body)
        return rest

    chain = scripted_chain(make_chain, "tunnel", script, gateway=CHAIN["gateway"])
    a = chain.push(b'{"systemNumber":"1"}', target="/ACME_PROD" + REGISTER)
    assert (a.status, a.body, a.get("X-Own")) == (201, body, "kept"), a
    assert a.get("Location") == "https://push.example.com/ACME_PROD" + REGISTER + "/8f3c?a=b", a
    assert a.get("Content-Location") == "/ACME_PROD/api/calm-logs/v1/x", a
    assert got == [(b"POST /sap/frun/ngdci" + REGISTER.encode() + b" HTTP/1.1",
                    b'{"systemNumber":"1"}')]
    chain.backend.stop()
