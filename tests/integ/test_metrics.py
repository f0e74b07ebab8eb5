# SPDX-License-Identifier: Apache-2.0
"""What operators see: /metrics with thousands of endpoints, over changes of the configuration, at its limits."""

import re
import socket

from chain import PASSWORD, Background, wait_until
from test_control import Unix, ctl, ctl_json, get, metrics, samples
from test_reload import change

MANY = 2000


def of(m, **labels):
    """The samples that have these labels."""
    want = [f'{k}="{v}"' for k, v in labels.items()]
    return {k: v for k, v in m.items() if all(w in k for w in want)}


def test_removed_and_renamed(make_chain):
    """What is not configured any more is not told, what is counts on: nothing ever counts down."""
    chain = make_chain()

    def push(n):
        for _ in range(n):
            assert chain.push(target="/GLOBEX/sap/frun/ngdci", auth=("globex", PASSWORD)).status < 300

    push(3)
    chain.push()
    chain.pushes_logged(4)
    before = metrics(chain)
    name = 'frunproxy_requests_total{endpoint="%s",route="tunnel",code="2xx",origin="focused-run"}'
    assert before[name % "GLOBEX"] == 3 and before[name % "ACME_PROD"] == 1

    # Renamed: the same customer network under another name is another endpoint.
    section = dict(chain.gateway_sections["endpoint GLOBEX"])
    change(chain, **{"endpoint GLOBEX": None, "endpoint GLOBEX_EU": section, "pusher globex": {"endpoint": "GLOBEX_EU"}})
    gone = metrics(chain)
    assert of(gone, endpoint="GLOBEX") == {}
    push(2)
    chain.pushes_logged(6)
    now = metrics(chain)
    assert now[name % "GLOBEX_EU"] == 2 and of(now, endpoint="GLOBEX") == {}
    assert now[name % "ACME_PROD"] == 1
    counters = {k for k in before if "_total" in k and "GLOBEX" not in k}
    assert counters and all(now[k] >= before[k] for k in counters), [k for k in counters if now.get(k, -1) < before[k]]

    # Back under its old name: on from where it was.
    change(chain, **{"endpoint GLOBEX_EU": None, "endpoint GLOBEX": section, "pusher globex": {"endpoint": "GLOBEX"}})
    push(1)
    chain.pushes_logged(7)
    last = metrics(chain)
    assert last[name % "GLOBEX"] == 4 and of(last, endpoint="GLOBEX_EU") == {}


def test_queues_and_ceilings(make_chain):
    chain = make_chain(gateway={"pusher s4-acme": {"max_in_flight": "5"}, "endpoint ACME_PROD": {"max_in_flight": "1"}})
    m = metrics(chain)
    assert m['frunproxy_endpoint_requests{endpoint="ACME_PROD"}'] == 0
    assert m['frunproxy_endpoint_max_requests{endpoint="ACME_PROD"}'] == 1
    assert m['frunproxy_pusher_max_requests{pusher="s4-acme"}'] == 5
    assert m['frunproxy_window_budget_used_bytes'] == 0 < m['frunproxy_window_budget_bytes']
    assert m['frunproxy_max_waiting_requests'] >= 1000 and m['frunproxy_max_connections'] >= 1000
    slow = [Background(chain.push, target="/ACME_PROD/sap/frun/x?_sim=delay:3s") for _ in range(3)]
    wait_until(lambda: metrics(chain)['frunproxy_endpoint_queued_requests{endpoint="ACME_PROD"}'] == 2, "two wait", 30)
    m = metrics(chain)
    assert m['frunproxy_endpoint_requests{endpoint="ACME_PROD"}'] == 1
    assert m['frunproxy_pusher_requests{pusher="s4-acme"}'] == 3
    assert m['frunproxy_pusher_queued_requests{pusher="s4-acme"}'] == 2
    assert m['frunproxy_waiting_requests'] == 2
    assert m['frunproxy_tunnel_requests{connector="DC1-A"}'] == 1
    assert m['frunproxy_tunnel_max_requests{connector="DC1-A"}'] > 1
    assert m['frunproxy_tunnel_max_requests{connector="DC1-B"}'] == 0
    inside = metrics(chain, socket_name="dc1-a.sock")
    assert inside['frunconnector_tunnel_requests{subaccount="provider"}'] == 1
    assert inside['frunconnector_tunnel_max_requests{subaccount="provider"}'] > 1
    assert inside['frunconnector_helper_threads{pool="names"}'] >= 1
    assert inside['frunconnector_helper_queued_jobs{pool="names"}'] == 0
    assert [x.result().status for x in slow] == [200] * 3
    m = metrics(chain)
    assert m['frunproxy_endpoint_queued_requests{endpoint="ACME_PROD"}'] == 0
    # Who it is was verified by a helper thread, once.
    assert m['frunproxy_helper_jobs_total{pool="passwords"}'] >= 1
    assert m['frunproxy_helper_max_queued_jobs{pool="passwords"}'] > 1
    assert m['frunproxy_helper_wait_seconds_total{pool="passwords"}'] >= 0


def test_why_a_tunnel_ended(make_chain):
    """Both ends tell what became of the last tunnel and when, and the gateway who is away and why."""
    chain = make_chain()
    assert {t["last_error"] for t in ctl_json(chain, "tunnel", "list")["tunnels"]} == {""}
    sock = {"socket_name": "dc1-a.sock"}
    assert {t["last_error"] for t in ctl_json(chain, "tunnel", "list", **sock)["tunnels"]} == {""}
    chain.gateway.kill()
    wait_until(lambda: ctl_json(chain, "tunnel", "list", **sock)["tunnels"][0]["last_error"], "the connector knows", 30)
    chain.gateway.start()
    chain.wait_healthy()
    told = ctl_json(chain, "tunnel", "list", **sock)["tunnels"][0]
    assert told["last_error"] and told["last_error_time"].startswith("20") and told["state"] in ("open", "waiting")
    assert "LAST ERROR" in ctl(chain, "tunnel", "list", **sock)

    chain.connector.kill()

    def away():
        return {c["name"]: c for c in ctl_json(chain, "connector", "list")["connectors"]}["DC1-A"]
    wait_until(lambda: away()["state"] == "away", "the gateway misses it", 40)
    one = away()
    assert one["away_because"] == one["last_error"] != "" and one["away_since"] == one["last_error_time"]
    assert one["away_since"] in ctl(chain, "connector", "list")
    chain.connector.start()
    chain.wait_healthy()
    back = ctl_json(chain, "tunnel", "list")["tunnels"][0]
    assert back["last_error"] == one["last_error"] and back["since"] > one["away_since"]
    assert "away_since" not in away()
    certificates = {(c["what"], c["name"]) for c in ctl_json(chain, "certificate", "list")["certificates"]}
    assert ("connector", "DC1-A") in certificates
    shown = {c["what"] for c in ctl_json(chain, "certificate", "list", **sock)["certificates"]}
    assert "gateway" in shown


def test_the_end_of_a_tunnel_in_words(make_chain):
    chain = make_chain()

    def why():
        return {c["name"]: c for c in ctl_json(chain, "connector", "list")["connectors"]}["DC1-A"]["last_error"]
    ctl(chain, "connector", "drain", "DC1-A")
    wait_until(lambda: "drained by command" in why(), "the command", 30)
    assert "connector says it is closing" not in chain.gateway.log()
    chain.wait_healthy()
    chain.connector.stop()
    wait_until(lambda: "the connector closed it" in why(), "the connector's doing", 30)
    assert "connector says it is closing" in chain.gateway.log()
    assert all(t["rtt_ms"] is None or t["rtt_ms"] > 0
               for t in ctl_json(chain, "tunnel", "list")["tunnels"])


def test_who_is_refused_is_told(make_chain):
    chain = make_chain(start=False, gateway={"connector DC1-A": {"location_id": "DC9"}})
    chain.start(wait=False)

    def away():
        return {c["name"]: c for c in ctl_json(chain, "connector", "list")["connectors"]}["DC1-A"]
    wait_until(lambda: "refused" in away()["last_error"], "it is turned away", 30)
    one = away()
    assert one["state"] == "away" and "location ID" in one["away_because"]
    assert one["away_since"] < one["last_error_time"]  # it never was here


def many(n):
    out = {f"endpoint T{i:04}": {"system": "FR1", "customer_network": f"TENANT {i:04}",
                                 "admin_request_parameter": f"tenant-{i:04}",
                                 "admin_request_carrier": "header X-Admin-Request-Parameter",
                                 "user": "FRUN_PUSH", "password": "file:../secrets/frun"} for i in range(n)}
    return out


def test_thousands_of_endpoints(make_chain):
    """The text comes in pieces while others are served, complete, and only what was touched is in it."""
    chain = make_chain(gateway=many(MANY), workers=2)
    with chain.raw(timeout=60) as c:
        for i in range(MANY // 2):
            c.send(chain.octets("POST", f"/TENANT_{i:04}/sap/frun/x", body=b"{}"))
            assert c.answer().status in (401, 403)
    chain.pushes_logged(MANY // 2)

    # A reader that does not read on: who asks meanwhile is answered.
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(chain.path("control.sock"))
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        first = s.recv(4096)
        for _ in range(5):
            assert get(chain, "/api/v1/log/level")[0] == 200
        # Another configuration meanwhile: what was begun goes on with what it began with.
        change(chain, **{"endpoint T0001": None})
        data = [first]
        while part := s.recv(1 << 20):
            data.append(part)
    head, body = b"".join(data).split(b"\r\n\r\n", 1)
    assert b"chunked" in head and body.endswith(b"0\r\n\r\n")

    c = Unix(chain.path("control.sock"))
    c.request("GET", "/metrics")
    text = c.getresponse().read().decode()
    names = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))
    m = samples(text)
    counted = re.findall(r'frunproxy_requests_total\{endpoint="(T\d+)"', text)
    assert sorted(set(counted)) == [f"T{i:04}" for i in range(MANY // 2) if i != 1]
    assert of(m, endpoint="T0001") == {}
    histograms = [n for n in names if n.startswith("frunproxy_request_duration_seconds_bucket")]
    assert len(histograms) >= 23 * (MANY // 2 - 1)
    # Nothing was sent on: no line about it.
    assert not [n for n in names if n.startswith("frunproxy_upstream_duration_seconds")]
