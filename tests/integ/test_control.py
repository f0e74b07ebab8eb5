# SPDX-License-Identifier: Apache-2.0
"""The control socket and frunctl's live commands: both daemons, text and JSON, who may and who may not."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest
from chain import FRUN_PASSWORD, PASSWORD, Background, program, run
from test_reload import change
from tools import wait_until


def ctl(chain, *words, socket_name="control.sock", code=0):
    r = subprocess.run([program("frunctl"), *words, "--socket", chain.path(socket_name)],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == code, (words, r.returncode, r.stdout, r.stderr)
    return r.stdout if code == 0 else r.stderr


def ctl_json(chain, *words, **kw):
    return json.loads(ctl(chain, *words, "--json", **kw))


def test_status_of_both(chain):
    gateway = ctl_json(chain, "status")
    assert gateway["daemon"] == "frunproxyd" and gateway["state"] == "running"
    assert gateway["pid"] == chain.gateway.child.pid
    assert gateway["tunnels"] == 2 and gateway["endpoints"] == 2
    connector = ctl_json(chain, "status", socket_name="dc1-a.sock")
    assert connector["daemon"] == "frunconnector" and connector["tunnels"] == 2
    assert "frunproxyd" in ctl(chain, "status")
    assert "frunconnector" in ctl(chain, "status", socket_name="dc1-a.sock")


def test_found_by_the_configuration(chain):
    for file, daemon in (("frunproxy.ini", "frunproxyd"), ("dc1-a.ini", "frunconnector")):
        r = run([program("frunctl"), "status", "--config", chain.path(file)])
        assert daemon in r.stdout


def test_found_whatever_else_the_file_says(chain, monkeypatch):
    """For ExecReload= systemd hides the credentials, and a file with errors is what a reload has to tell
    of: neither keeps frunctl from the daemon."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    for file, daemon, secret in (("frunproxy.ini", "frunproxyd", "tls/gateway.key"),
                                 ("dc1-a.ini", "frunconnector", "tls/dc1-a.key")):
        with open(chain.path(file), encoding="utf-8") as f:
            text = f.read()
        assert secret in text
        chain.write(file, text.replace(secret, "credential:key"))
        r = run([program("frunctl"), "status", "--config", chain.path(file)])
        assert r.returncode == 0 and daemon in r.stdout, r.stderr
        chain.write(file, text + "\nbogus = 1\n")
        r = run([program("frunctl"), "reload", "--config", chain.path(file)])
        assert r.returncode == 78, r.stdout
        assert "bogus: unknown key" in r.stderr and "the configuration in use is kept" in r.stderr
        chain.write(file, text)
        r = run([program("frunctl"), "reload", "--config", chain.path(file)])
        assert r.returncode == 0, r.stderr
    r = run([program("frunctl"), "reload", "--config", chain.path("nowhere.ini")])
    assert r.returncode == 78 and "cannot be read" in r.stderr


def test_mode(chain):
    mode = os.stat(chain.path("control.sock")).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


def test_drain_ends_both(chain):
    assert ctl_json(chain, "drain", socket_name="dc1-a.sock")["state"] == "draining"
    wait_until(lambda: not chain.connector.is_running(), "the connector ends")
    assert ctl_json(chain, "drain")["state"] == "draining"
    wait_until(lambda: not chain.gateway.is_running(), "the gateway ends")
    assert not os.path.exists(chain.path("control.sock"))


def test_no_daemon(make_chain):
    chain = make_chain(start=False)
    assert "cannot be reached" in ctl(chain, "status", code=69)


def test_left_behind_and_foreign(make_chain):
    """A socket without a daemon is replaced; a file, or a socket that lives, is not."""
    chain = make_chain(start=False)
    path = chain.path("control.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    chain.start()
    assert ctl_json(chain, "status")["state"] == "running"
    chain.gateway.stop()
    with open(path, "w", encoding="ascii") as f:
        f.write("mine")
    r = subprocess.run(chain.gateway.argv, capture_output=True, text=True, timeout=60)
    assert r.returncode == 78 and "admin.control_socket" in r.stderr, r.stderr
    with open(path, encoding="ascii") as f:
        assert f.read() == "mine"


class Unix(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def get(chain, target, headers=None, socket_name="control.sock", method="GET", body=None):
    c = Unix(chain.path(socket_name))
    c.request(method, target, body=body, headers=headers or {})
    r = c.getresponse()
    data = r.read().decode()
    c.close()
    return r.status, r.getheader("Content-Type"), data


def samples(text):
    """{ 'name{labels}': value } of a text of metrics."""
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines() if not line.startswith("#")}


def metrics(chain, **kw):
    status, kind, text = get(chain, "/metrics", **kw)
    assert status == 200, text
    return samples(text)


def load(chain):
    """Some pushes with every kind of end."""
    for _ in range(5):
        assert chain.push(b"x" * 100).status < 300
    assert chain.push(auth=("s4push", "wrong")).status == 401
    assert chain.push(target="/GLOBEX/sap/frun/ngdci").status == 403
    assert chain.push(target="/NOBODY/sap/frun/ngdci").status == 404
    chain.pushes_logged(7)


def test_an_endpoint_that_comes_back(make_chain):
    """Out of the configuration and in again: counted on, and no line of the metrics comes twice."""
    chain = make_chain()
    globex = dict(chain.gateway_sections["endpoint GLOBEX"])
    pusher = dict(chain.gateway_sections["pusher globex"])
    assert chain.push(target="/GLOBEX/sap/frun/ngdci", auth=("globex", PASSWORD)).status < 300
    change(chain, **{"endpoint GLOBEX": None, "pusher globex": None})
    change(chain, **{"endpoint GLOBEX": globex, "pusher globex": pusher})
    assert chain.push(target="/GLOBEX/sap/frun/ngdci", auth=("globex", PASSWORD)).status < 300
    chain.pushes_logged(2)
    names = [line.rsplit(" ", 1)[0] for line in get(chain, "/metrics")[2].splitlines()
             if not line.startswith("#")]
    assert len(names) == len(set(names)), [n for n in names if names.count(n) > 1][:3]
    assert ctl_json(chain, "endpoint", "show", "GLOBEX")["requests"] == 2


def test_refused_by_the_connector(make_chain):
    """Its access control is a reason of its own; a health page that says 503 refuses nobody."""
    chain = make_chain(connector={"resource frun": {"path": "/sap/frun/ngdci",
                                                    "policy": "path-only"}})
    chain.gateway.wait_log("open")
    assert chain.push(target="/ACME_PROD/sap/frun/other").status == 403
    chain.pushes_logged(1)
    chain.connector.stop()
    wait_until(lambda: chain.health() == 503, "no way left")
    reasons = {k: v for k, v in metrics(chain).items() if k.startswith("frunproxy_denials_total")}
    want = 'frunproxy_denials_total{endpoint="ACME_PROD",route="tunnel",reason="access_denied"}'
    assert reasons == {want: 1}


def test_health(make_chain):
    """Metrics, status, list, show and top say what the checks have found."""
    chain = make_chain(gateway={
        "system FR1": {"health_check": "yes", "health_interval": "200ms"},
        "endpoint GLOBEX": {"health_check": "no"}})

    def is_up():
        return ctl_json(chain, "status")["endpoint_health"] == {"up": 1, "unknown": 1}
    wait_until(is_up, "up", 25)
    m = metrics(chain)
    state = 'frunproxy_endpoint_health{endpoint="ACME_PROD",state="%s"}'
    assert m[state % "up"] == 1 and m[state % "down"] == 0
    assert m['frunproxy_endpoint_checks_total{endpoint="ACME_PROD",result="good"}'] >= 2
    assert not [k for k in m if re.match("frunproxy_endpoint_(health|checks)", k) and "GLOBEX" in k], "not checked"
    assert {e["name"]: e["health"] for e in ctl_json(chain, "endpoint", "list")["endpoints"]} == {
        "ACME_PROD": "up", "GLOBEX": "unknown"}
    chain.connector.stop()

    def is_down():
        return ctl_json(chain, "endpoint", "show", "ACME_PROD")["health"] == "down"
    wait_until(is_down, "down", 25)
    assert "frunconnector" in ctl_json(chain, "endpoint", "show", "ACME_PROD")["remedy"]
    assert metrics(chain)[state % "down"] == 1
    assert "down" in ctl(chain, "endpoint", "list") and "down" in ctl(chain, "top", "1", "1")


@pytest.mark.parametrize("signals", [1, 2])
def test_questions_while_one_worker_still_drains(make_chain, signals):
    """A worker that has ended already answers as well, and nobody is left with an answer to come."""
    chain = make_chain(workers=2)
    slow = Background(chain.push, target="/ACME_PROD/sap/frun/x?_sim=delay:4s")
    wait_until(chain.received, "under way")
    assert ctl_json(chain, "drain")["state"] == "draining"
    chain.gateway.wait_log("stopping")
    for _ in range(20):
        status, _, text = get(chain, "/api/v1/status")
        assert status == 200 and json.loads(text)["state"] == "draining"
        time.sleep(0.05)
    assert get(chain, "/metrics")[0] == 200
    assert slow.is_running(), "the answers came while a request was under way"
    if signals == 2:
        chain.gateway.signal(signal.SIGTERM)
        assert chain.gateway.wait(10) == 0
    else:
        assert slow.result().status == 200
        assert chain.gateway.wait(10) == 0


def test_counters_are_what_was_pushed(chain):
    load(chain)
    m = metrics(chain)
    acme = 'endpoint="ACME_PROD",route="tunnel"'
    assert m[f'frunproxy_requests_total{{{acme},code="2xx",origin="focused-run"}}'] == 5
    assert m[f'frunproxy_requests_total{{{acme},code="4xx",origin="gateway"}}'] == 1
    assert m[f'frunproxy_denials_total{{{acme},reason="credentials"}}'] == 1
    assert m[f'frunproxy_request_duration_seconds_count{{{acme}}}'] == 6
    assert m[f'frunproxy_upstream_duration_seconds_count{{{acme}}}'] == 5
    # Of the refused one the body may have been read.
    assert 500 <= m[f'frunproxy_request_body_bytes_total{{{acme}}}'] <= 522
    assert m['frunproxy_denials_total{endpoint="GLOBEX",route="tunnel",reason="forbidden"}'] == 1
    assert m['frunproxy_tunnels{connector="DC1-A"}'] == 2
    assert m['frunproxy_healthy'] == 1
    assert m['frunproxy_handshakes_total'] >= 8
    one = ctl_json(chain, "endpoint", "show", "ACME_PROD")
    assert one["requests"] == 6 and one["answers"]["2xx"] == {"focused-run": 5}
    assert one["pushers"] == ["s4-acme"] and one["bytes_in"] >= 500
    assert one["denials"] == {"credentials": 1} and one["road"] == "tunnel"


def test_every_command(chain):
    load(chain)
    rows = ctl_json(chain, "endpoint", "list")["endpoints"]
    assert [e["name"] for e in rows] == ["ACME_PROD", "GLOBEX"]
    assert "ACME_PROD" in ctl(chain, "endpoint", "list")
    assert "focused-run" in ctl(chain, "endpoint", "show", "ACME_PROD")
    assert "no endpoint" in ctl(chain, "endpoint", "show", "NONE", code=1)
    connectors = ctl_json(chain, "connector", "list")["connectors"]
    assert [(c["name"], c["state"]) for c in connectors] == [("DC1-A", "connected"),
                                                            ("DC1-B", "away")]
    assert "DC1-A" in ctl(chain, "connector", "list")
    assert connectors[1]["away_since"].startswith("20") and "not dialled in" in connectors[1]["away_because"]
    assert "away_since" not in connectors[0]
    tunnels = ctl_json(chain, "tunnel", "list")["tunnels"]
    assert [t["connector"] for t in tunnels] == ["DC1-A"] * 2
    assert {t["worker"] for t in tunnels} == {0, 1}
    assert "DC1-A" in ctl(chain, "tunnel", "list")
    requests = ctl_json(chain, "requests")["requests"]
    pushes = [r for r in requests if r.get("endpoint") == "ACME_PROD" and r["status"] < 300]
    assert len(pushes) == 5 and pushes[0]["by"] == "focused-run"
    assert pushes[0]["path"] == "/ACME_PROD/sap/frun/ngdci" and pushes[0]["pusher"] == "s4-acme"
    assert "ACME_PROD" in ctl(chain, "requests")
    certificates = ctl_json(chain, "certificate", "list")["certificates"]
    assert {"front", "tunnel", "client-ca"} <= {c["what"] for c in certificates}
    assert all(c["state"] == "valid" for c in certificates)
    assert "valid" in ctl(chain, "certificate", "list")
    systems = ctl(chain, "system", "list")
    assert "fr1_frun:443" in systems and "production" in systems
    assert "credentials" in ctl(chain, "requests") or "http_request_denied" in ctl(chain, "requests")


def test_who_is_asked_at_the_wrong_daemon_learns_the_right_one(chain):
    assert "subaccounts frunconnector's" in ctl(chain, "subaccount", "list", code=1)
    assert "connectors are frunproxyd's" in ctl(chain, "connector", "list", code=1,
                                                socket_name="dc1-a.sock")
    r = run([program("frunctl"), "endpoint", "list", "--config", chain.path("dc1-a.ini")])
    assert r.returncode == 64 and "is a connector's file" in r.stderr
    assert r.stderr.count("\n") == 1, r.stderr


def test_connector_drain(chain):
    before = {t["age_seconds"] for t in ctl_json(chain, "tunnel", "list")["tunnels"]}
    assert before
    answer = ctl_json(chain, "connector", "drain", "DC1-A")
    assert answer["tunnels_draining"] == 2
    wait_until(lambda: "closing this tunnel" in chain.gateway.tail() or
               ctl_json(chain, "connector", "list")["connectors"][0]["tunnels"] == 2,
               "the connector is back")
    assert "no connector" in ctl(chain, "connector", "drain", "NONE", code=1)
    assert "is missing" in ctl(chain, "connector", "drain", code=64)


def test_log_level(chain):
    assert ctl(chain, "log", "level") == "debug\n"
    assert ctl_json(chain, "log", "level", "error")["level"] == "error"
    assert ctl_json(chain, "status")["log_level"] == "error"
    assert "error, warning" in ctl(chain, "log", "level", "loud", code=1)


def test_connector_commands(chain):
    load(chain)
    sock = {"socket_name": "dc1-a.sock"}
    ctl(chain, "log", "level", "info", **sock)
    one = ctl_json(chain, "subaccount", "list", **sock)["subaccounts"][0]
    assert (one["state"], one["tunnels"], one["opened"]) == ("connected", 2, 2)
    assert "provider" in ctl(chain, "subaccount", "list", **sock)
    tunnels = ctl_json(chain, "tunnel", "list", **sock)["tunnels"]
    assert [t["state"] for t in tunnels] == ["open", "open"]
    assert "provider" in ctl(chain, "tunnel", "list", **sock)
    system = ctl_json(chain, "system", "list", **sock)["systems"][0]
    assert system["name"] == "fr1_frun:443" and system["requests"] == 5
    assert {r["path"] for r in system["resources"]} == {"/sap/frun", "/sap/bc/ping"}
    assert "fr1_frun:443" in ctl(chain, "system", "list", **sock)
    requests = ctl_json(chain, "requests", **sock)["requests"]
    assert [(r["by"], r["path"]) for r in requests] == [("focused-run", "/sap/frun/ngdci")] * 5
    m = metrics(chain, **sock)
    system = 'system="fr1_frun:443"'
    assert m[f'frunconnector_requests_total{{{system},code="2xx",origin="focused-run"}}'] == 5
    assert m[f'frunconnector_request_duration_seconds_count{{{system}}}'] == 5
    assert m[f'frunconnector_request_body_bytes_total{{{system}}}'] == 500
    assert m['frunconnector_tunnels{subaccount="provider"}'] == 2
    certificates = ctl_json(chain, "certificate", "list", **sock)["certificates"]
    assert {"connector", "gateway-ca", "backend-ca"} <= {c["what"] for c in certificates}


def test_top(chain):
    ctl_process = subprocess.Popen([program("frunctl"), "top", "2", "1", "--json", "--socket",
                                    chain.path("control.sock")], stdout=subprocess.PIPE, text=True)
    try:
        while ctl_process.poll() is None:
            assert chain.push().status < 300
        text = ctl_process.stdout.read()
    finally:
        ctl_process.stdout.close()
    assert ctl_process.returncode == 0
    rows = {e["name"]: e for e in json.loads(text)["endpoints"]}
    assert rows["ACME_PROD"]["requests_per_second"] > 0
    assert rows["GLOBEX"]["requests_per_second"] == 0
    assert "REQ/S" in ctl(chain, "top", "1", "1")
    ctl(chain, "top", "often", code=64)


def test_endpoint_list_without_daemon(make_chain):
    chain = make_chain(start=False)
    r = run([program("frunctl"), "endpoint", "list", "--json", "--config",
             chain.path("frunproxy.ini")])
    assert r.returncode == 0 and r.stderr == ""
    assert [e["name"] for e in json.loads(r.stdout)["endpoints"]] == ["ACME_PROD", "GLOBEX"]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_alert_rules():
    here = os.path.dirname(os.path.abspath(__file__))
    rules = os.path.join(here, "..", "..", "docs", "alerts", "frunproxy.rules.yml")
    for argv in (["promtool", "check", "rules", rules],
                 ["promtool", "test", "rules", os.path.join(here, "rules", "frunproxy.test.yml")]):
        r = run(argv)
        assert r.returncode == 0, r.stdout + r.stderr


def test_dashboard_asks_for_metrics_there_are(make_chain):
    """Every name in the dashboard and in the alert rules is one that a daemon serves."""
    chain = make_chain(gateway={"system FR1": {"health_check": "yes"}})
    load(chain)
    here = os.path.dirname(os.path.abspath(__file__))
    docs = os.path.join(here, "..", "..", "docs")
    lines = [line for name in ("control.sock", "dc1-a.sock")
             for line in get(chain, "/metrics", socket_name=name)[2].splitlines()]
    served = {line.split("{")[0].split(" ")[0] for line in lines}
    served |= {line.split()[2] for line in lines if line.startswith("# TYPE")}  # none fires now
    with open(os.path.join(docs, "grafana", "frunproxy.json"), encoding="utf-8") as f:
        board = json.load(f)
    asked = " ".join(t["expr"] for p in board["panels"] for t in p.get("targets", []))
    with open(os.path.join(docs, "alerts", "frunproxy.rules.yml"), encoding="utf-8") as f:
        asked += " ".join(line for line in f if "summary:" not in line and "description:" not in line)
    names = set(re.findall(r"\bfrun(?:proxy|connector)_[a-z0-9_]+", asked))
    assert len(names) > 15 and names <= served, names - served


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_likes_the_metrics(chain):
    load(chain)
    for name in ("control.sock", "dc1-a.sock"):
        _, kind, text = get(chain, "/metrics", socket_name=name)
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        r = run(["promtool", "check", "metrics"], text)
        assert r.returncode == 0, r.stdout + r.stderr + text


def test_openmetrics(chain):
    for name in ("control.sock", "dc1-a.sock"):
        _, kind, text = get(chain, "/metrics", {"Accept": "application/openmetrics-text"},
                            socket_name=name)
        assert kind.startswith("application/openmetrics-text; version=1.0.0")
        assert text.endswith("\n# EOF\n") and "# UNIT" in text


GATEWAY_PAGES = ["status", "config", "endpoints", "endpoints/ACME_PROD", "pushers", "connectors",
                 "tunnels", "requests", "certificates", "log/level"]


CONNECTOR_PAGES = ["status", "config", "subaccounts", "tunnels", "systems", "requests",
                   "certificates", "log/level"]


def test_no_secret_anywhere(chain):
    load(chain)
    secrets = [PASSWORD, FRUN_PASSWORD, "acme-prod-proxy", "globex-proxy", "$6$"]
    for name, pages in (("control.sock", GATEWAY_PAGES), ("dc1-a.sock", CONNECTOR_PAGES)):
        for page in [f"/api/v1/{p}" for p in pages] + ["/metrics"]:
            status, _, text = get(chain, page, socket_name=name)
            assert status == 200, (page, text)
            assert not [s for s in secrets if s in text], page


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_others_are_refused(chain):
    """By the mode of the file, and behind an open one by their numbers."""
    def status_as_nobody():
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                               program("frunctl"), "status", "--socket", path],
                              capture_output=True, text=True, timeout=60)
    path = chain.path("control.sock")
    folder = os.path.dirname(path)
    while folder != "/":
        os.chmod(folder, os.stat(folder).st_mode | 0o755)
        folder = os.path.dirname(folder)
    if not os.access("/proc/self", os.R_OK):
        pytest.skip("no /proc")
    r = status_as_nobody()
    assert r.returncode == 77 and "not permitted" in r.stderr, r.stderr
    os.chmod(path, 0o666)
    r = status_as_nobody()
    assert r.returncode == 77 and "root" in r.stderr, (r.returncode, r.stderr)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_group(make_chain):
    chain = make_chain(gateway={"admin": {"group": "users"}})
    path = chain.path("control.sock")
    folder = os.path.dirname(path)
    while folder != "/":
        os.chmod(folder, os.stat(folder).st_mode | 0o755)
        folder = os.path.dirname(folder)
    for groups, code in ((["--groups=100"], 0), (["--clear-groups"], 77)):
        r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", *groups,
                            program("frunctl"), "status", "--socket", path],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == code, (groups, r.returncode, r.stdout, r.stderr)
