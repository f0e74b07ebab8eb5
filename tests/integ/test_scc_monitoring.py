# SPDX-License-Identifier: Apache-2.0
"""The connector's monitoring API has SAP Cloud Connector's paths and field names, so its tools work here."""

import json
import re
import time

import pytest
from test_admin_web import Web, login, with_login
from tools import free_port, wait_until

BUCKETS = [10, 20, 30, 40, 50, 75, 100, 125, 150, 200, 300, 400, 500, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000]


@pytest.fixture
def watched(make_chain):
    port = free_port()
    chain = make_chain(connector={"admin": {"listen": f"127.0.0.1:{port}"}})
    chain.web = Web(port)
    for _ in range(3):
        assert chain.push(b"x" * 1000).status == 200
    wait_until(lambda: get(chain, "/api/v1/systems")["systems"][0]["requests"] == 3, "they are counted")
    return chain


def get(chain, path):
    r, body = chain.web.call(path)
    assert r.status == 200, (path, r.status, body)
    assert r.getheader("Content-Type").startswith("application/json")
    return json.loads(body)


def only(answer):
    """The one membership of an answer."""
    assert answer["version"] == 1 and len(answer["subaccounts"]) == 1
    s = answer["subaccounts"][0]
    assert s["regionHost"] == "127.0.0.1" and s["subaccount"] == "provider" and s["locationID"] == "DC1"
    return s


def now_ms():
    return time.time() * 1000


def test_subaccounts(watched):
    s = only(get(watched, "/api/monitoring/subaccounts"))
    assert set(s) == {"regionHost", "subaccount", "displayName", "description", "locationID", "tunnel"}
    t = s["tunnel"]
    assert set(t) == {"state", "connectedSinceTimeStamp", "connections", "applicationConnections", "serviceChannels",
                      "subaccountCertificate", "user"}
    assert t["state"] == "Connected" and t["connections"] == 2
    assert abs(now_ms() - t["connectedSinceTimeStamp"]) < 120000
    c = t["subaccountCertificate"]
    assert set(c) == {"notBeforeTimeStamp", "notAfterTimeStamp", "subjectDN", "issuer", "serialNumber"}
    assert c["subjectDN"] == "CN=dc1-a" and c["issuer"] and re.fullmatch("[0-9A-F]+", c["serialNumber"])
    assert c["notBeforeTimeStamp"] < now_ms() < c["notAfterTimeStamp"]
    watched.gateway.stop()
    wait_until(lambda: only(get(watched, "/api/monitoring/subaccounts"))["tunnel"]["state"] == "ConnectFailure",
               "the loss shows", 30)


def test_backends(watched):
    b = only(get(watched, "/api/monitoring/connections/backends"))["backendConnections"]
    assert [set(x) for x in b] == [{"virtualBackend", "internalBackend", "protocol", "idle", "active"}]
    assert b[0]["virtualBackend"] == "fr1_frun:443" and b[0]["internalBackend"] == f"127.0.0.1:{watched.sim_port}"
    assert b[0]["protocol"] == "HTTPS" and b[0]["idle"] >= 1 and b[0]["active"] == 0
    p = only(get(watched, "/api/monitoring/performance/backends"))
    assert now_ms() - p["sinceTime"] < 120000
    assert [set(x) for x in p["backendPerformance"]] == [{"virtualHost", "virtualPort", "protocol", "buckets"}]
    x = p["backendPerformance"][0]
    assert (x["virtualHost"], x["virtualPort"]) == ("fr1_frun", "443")
    assert [set(k) for k in x["buckets"]] == [{"numberOfCalls", "minimumCallDurationMs"}] * 22
    assert [k["minimumCallDurationMs"] for k in x["buckets"]] == BUCKETS
    assert sum(k["numberOfCalls"] for k in x["buckets"]) == 3
    assert only(get(watched, "/api/monitoring/connections/serviceChannels"))["serviceChannels"] == []


def test_top_time_consumers(watched):
    s = only(get(watched, "/api/monitoring/performance/topTimeConsumers"))
    assert len(s["requests"]) == 3 and "sinceTime" in s
    r = s["requests"][0]
    assert set(r) == {"startTime", "id", "protocol", "virtualBackend", "internalBackend", "resource", "sentBytes",
                      "receivedBytes", "user", "totalTime", "externalTime", "genSsoTime", "openRemoteTime",
                      "validateSsoTime", "latencyTime"}
    assert r["resource"] == "/sap/frun/ngdci" and r["virtualBackend"] == "fr1_frun:443" and r["sentBytes"] == 1000
    assert r["totalTime"] >= r["externalTime"] >= 0
    times = [x["totalTime"] for x in s["requests"]]
    assert times == sorted(times, reverse=True)


def test_usage(watched):
    s = only(get(watched, "/api/monitoring/usage"))
    assert s["serviceChannelUsageStatistics"] == [] and "sinceTime" in s
    u = s["usageStatistics"][0]
    assert set(u) == {"virtualHost", "virtualPort", "protocol", "bytesReceived", "bytesSent", "calls",
                      "mostRecentAccess", "resources"}
    assert u["calls"] == 3 and u["bytesSent"] == 3000 and abs(now_ms() - u["mostRecentAccess"]) < 120000
    by_name = {r["resourceName"]: r for r in u["resources"]}
    assert by_name["/sap/frun"]["calls"] == 3 and by_name["/sap/frun"]["enabled"] is True
    assert "mostRecentAccess" not in by_name["/sap/bc/ping"] and by_name["/sap/bc/ping"]["calls"] == 0
    # The same on the status page's own way.
    system = get(watched, "/api/v1/systems")["systems"][0]
    assert {r["name"]: r["requests"] for r in system["resources"]} == {"frun": 3, "ping": 0}
    assert system["denied"] == 0


def test_certificates(watched):
    c = get(watched, "/api/monitoring/certificates")
    assert set(c) == {"expired", "expiring", "ok", "version"}
    assert c["expired"] == [] and len(c["expiring"]) == 1  # the tests' certificates live for days
    assert set(c["expiring"][0]) == {"type", "validTo", "subaccountName", "subaccountRegion"}
    assert c["expiring"][0]["type"] == "subaccount" and c["expiring"][0]["validTo"] > now_ms()
    assert set(get(watched, "/api/monitoring/certificates/expiring")) == {"expiring", "version"}
    assert watched.web.status("/api/monitoring/certificates/old") == 404


def test_machine(watched):
    m = get(watched, "/api/monitoring/memory")
    assert set(m) == {"physicalKB", "virtualKB", "cloudConnectorHeapKB", "version"}
    for part in ("physicalKB", "virtualKB"):
        assert set(m[part]) == {"total", "CloudConnector", "others", "free"}
        assert m[part]["total"] > m[part]["CloudConnector"] > 0
    assert set(m["cloudConnectorHeapKB"]) == {"total", "used", "free"}
    d = get(watched, "/api/monitoring/disk")
    assert set(d) == {"total", "CloudConnector", "others", "free", "version"} and d["total"] > d["free"] > 0
    for _ in range(2):
        cpu = get(watched, "/api/monitoring/cpu")
        assert set(cpu) == {"total", "CloudConnector", "version"}
        assert 0 <= cpu["CloudConnector"] <= cpu["total"] <= 100, cpu


def test_alerts(watched):
    """The tests' certificates end within days."""
    wait_until(lambda: get(watched, "/api/monitoring/alerts")["alerts"], "alerts", 30)
    answer = get(watched, "/api/monitoring/alerts")
    assert set(answer) == {"alerts", "version"}
    ours = {(a["alert"], a["name"]) for a in get(watched, "/api/v1/alerts")["alerts"]}
    for a in answer["alerts"]:
        assert set(a) == {"timestamp", "status", "type", "origin", "message", "entity"}
        assert abs(now_ms() - a["timestamp"]) < 120000 and a["message"]
        assert (a["type"], a["entity"]) in ours


def test_exposed(make_chain):
    """Load balancers ask without a login; all the rest wants one."""
    port = free_port()
    make_chain(connector=with_login(port))
    web = Web(port)
    assert web.status("/exposed?action=ping") == 200
    assert web.call("/exposed?action=hasMasterRole")[1] == b"true"
    assert web.status("/exposed?action=ensureMasterRole") == 200
    assert web.status("/exposed?action=other") == 400
    assert web.status("/exposed") == 400
    for path in ("/api/monitoring/subaccounts", "/api/v1/connector/version", "/exposed/x"):
        assert web.status(path) == 401
    r, body = web.call("/api/v1/connector/version", headers={**login(), "Accept": "application/json"})
    assert r.status == 200 and re.fullmatch(r"\d+\.\d+\.\d+", json.loads(body)["version"])
