# SPDX-License-Identifier: Apache-2.0
"""Access lines: their forms, their targets, what becomes of them when a target is gone."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from chain import FRUN_PASSWORD, PASSWORD, USER, ini_text, program, wait_until

# Apache: LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined
COMBINED = re.compile(
    r'(?P<host>\S+) (?P<ident>\S+) (?P<user>\S+) '
    r'\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<octets>\d+|-) '
    r'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"')

# RFC 5424 6, with the structured data taken apart below.
SYSLOG = re.compile(
    r'<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) '
    r'(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<proc>[!-~]{1,128}) (?P<id>[!-~]{1,32}) '
    r'(?P<data>-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: (?P<text>.*))?', re.DOTALL)
PARAM = re.compile(r' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\.)*)"')


def syslog(datagram):
    m = SYSLOG.fullmatch(datagram.decode("utf-8"))
    assert m, datagram
    facility, severity = divmod(int(m["pri"]), 8)
    params = {}
    if m["data"] != "-":
        element = re.fullmatch(r'\[([!#-<>-\\^-~]{1,32})((?: [^\]\\]*(?:\\.[^\]\\]*)*)?)\]', m["data"], re.DOTALL)
        assert element and element[1] == "frun@32473", m["data"]
        params = {k: re.sub(r"\\(.)", r"\1", v) for k, v in PARAM.findall(element[2])}
        assert len("".join(f' {k}="{v}"' for k, v in PARAM.findall(element[2]))) == len(element[2]), m["data"]
    return {**m.groupdict(), "facility": facility, "severity": severity, "params": params}


def journal(datagram):
    """systemd.io/JOURNAL_NATIVE_PROTOCOL: NAME=value lines; no field of ours is binary."""
    lines = datagram.decode("utf-8").split("\n")
    assert lines.pop() == ""
    assert all(re.match(r"[A-Z][A-Z0-9_]{0,63}=", line) for line in lines), lines
    return dict(line.split("=", 1) for line in lines)


class Datagrams:
    """A daemon's socket, and what came to it."""

    def __init__(self, path=None):
        self.path, self.got = path, []
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(path or ("127.0.0.1", 0))
        self.socket.setblocking(False)

    def address(self):
        return self.path or "%s:%d" % self.socket.getsockname()

    def all(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.got.append(self.socket.recv(1 << 17))
        return self.got

    def close(self):
        self.socket.close()
        if self.path:
            os.unlink(self.path)


@pytest.fixture
def daemon_socket(tmp_path):
    opened = []

    def make(name="socket", is_udp=False):
        opened.append(Datagrams(None if is_udp else str(tmp_path / name)))
        return opened[-1]

    yield make
    for d in opened:
        with contextlib.suppress(OSError):
            d.close()


def lines_of(path):
    with contextlib.suppress(FileNotFoundError):
        with open(path, encoding="utf-8") as f:
            return f.read().splitlines()
    return []


def no_secrets(text):
    for secret in (PASSWORD, FRUN_PASSWORD, "acme-prod-proxy", "sap-client=100"):
        assert secret not in text, secret


def test_combined_is_what_programs_know(make_chain, tmp_path):
    log = str(tmp_path / "access.log")
    chain = make_chain(gateway={"log": {"access": "combined", "access_target": "file:" + log}})
    assert chain.push(target="/ACME_PROD/sap/frun/ngdci?sap-client=100",
                      fields=[("User-Agent", 'a "quoted" \\ agent')]).status == 200
    assert chain.push(auth=(USER, "wrong")).status == 401
    chain.raw().send(b"NONSENSE\r\n\r\n").answer("GET")
    wait_until(lambda: sum('"-" 400' in x or "/ACME_PROD/" in x for x in lines_of(log)) == 3, "three lines")
    parsed = [COMBINED.fullmatch(x) for x in lines_of(log)]
    assert all(parsed), lines_of(log)
    good = next(m for m in parsed if m["request"].startswith("POST") and m["status"] == "200")
    assert (good["host"], good["ident"], good["user"], good["referer"]) == ("127.0.0.1", "-", "s4-acme", "-")
    assert good["request"] == "POST /ACME_PROD/sap/frun/ngdci HTTP/1.1"
    assert good["agent"] == r'a \"quoted\" \\ agent'
    assert any((m["user"], m["status"]) == ("-", "401") for m in parsed)
    no_secrets("\n".join(lines_of(log)))
    assert not any(COMBINED.search(x) for x in chain.gateway.log().splitlines()), "only where they belong"


def json_lines(log):
    return [json.loads(x) for x in log.splitlines() if x.startswith("{")]


def both_lines(chain, request_id):
    """What gateway and connector say of one request."""
    def found():
        lines = [[x for x in json_lines(p.log()) if x.get("request_id") == request_id]
                 for p in (chain.gateway, chain.connector)]
        return lines if all(lines) else None

    (gateway,), (connector,) = wait_until(found, "both lines")
    return gateway, connector


def test_gateway_and_connector_tell_of_the_same_request(make_chain):
    chain = make_chain()
    fields = [("X-Request-ID", "id-of-this-push"), ("User-Agent", "a sender"), ("Content-Type", "application/json")]
    assert chain.push(fields=fields, body=b"x" * 5000).status == 200
    gateway, connector = both_lines(chain, "id-of-this-push")
    for line in (gateway, connector):
        assert (line["status"], line["by"], line["method"]) == (200, "focused-run", "POST")
        assert (line["bytes_in"], line["user_agent"], line["client"]) == (5000, "a sender", "127.0.0.1")
        assert line["ms"] >= line["upstream_ms"] > 0
    assert gateway["traceparent"].split("-")[1] == connector["traceparent"].split("-")[1]
    assert re.fullmatch(r"DC1-A/[0-9a-f]{8}#\d+", gateway["tunnel"]) and gateway["connector"] == "DC1-A"
    assert re.fullmatch(r"provider at 127\.0\.0\.1:\d+ #\d+", connector["tunnel"])
    assert (connector["subaccount"], connector["system"], connector["resource"]) == ("provider", "fr1_frun:443", "frun")
    assert connector["path"] == "/sap/frun/ngdci" and "endpoint" not in connector
    # The connector's word; what is left of the gateway's waiting was the tunnel's.
    assert 0 < gateway["backend_ms"] <= gateway["upstream_ms"]
    assert connector["upstream_ms"] == pytest.approx(gateway["backend_ms"], abs=0.01)
    assert connector["ms"] <= gateway["ms"] - gateway["wait_ms"] + 1000
    no_secrets(json.dumps(connector))
    # The back end's time does not travel farther.
    assert "frun-backend-us" not in dict((n.lower(), v) for n, v in chain.push().fields)


def test_the_connector_tells_what_it_refuses(make_chain):
    chain = make_chain(connector={"resource frun": {"path": "/sap/frun/other"}})
    assert chain.push(fields=[("X-Request-ID", "denied")]).status == 403
    gateway, connector = both_lines(chain, "denied")
    assert (gateway["by"], connector["by"], connector["error"]) == ("connector", "connector", "http_request_denied")
    assert "resource" not in connector and "backend_ms" not in gateway
    assert connector["note"] and connector["bytes_out"] > 0 and connector["upstream_ms"] == 0
    chain.sim.stop()
    assert chain.request("GET", "/ACME_PROD/sap/bc/ping", fields=[("X-Request-ID", "down")]).status == 502
    gateway, connector = both_lines(chain, "down")
    assert (connector["status"], connector["by"], connector["error"]) == (502, "connector", "connection_refused")
    assert connector["resource"] == "ping"


def test_the_connector_has_the_same_forms_and_targets(make_chain, daemon_socket, tmp_path):
    taken, log = daemon_socket(), str(tmp_path / "access.log")
    chain = make_chain(connector={"log": {"access": "combined", "access_target": "file:" + log}})
    assert chain.push().status == 200
    line = wait_until(lambda: [m for m in map(COMBINED.fullmatch, lines_of(log)) if m and "ngdci" in m["request"]],
                      "a combined line")[0]
    assert line["request"] == "POST /sap/frun/ngdci HTTP/2.0" and line["user"] == "-"
    os.rename(log, log + ".1")
    chain.connector.signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(log), "a new file")
    sections = chain.default_connector("dc1-a")
    sections["log"] = {"level": "info", "access_target": "journal:" + taken.address()}
    chain.write("dc1-a.ini", ini_text(sections))
    chain.connector.signal(signal.SIGHUP)
    wait_until(lambda: "the changed configuration is in use" in chain.connector.log(), "another target")
    assert chain.push(fields=[("X-Request-ID", "by-journal")]).status == 200
    record = wait_until(lambda: [x for x in map(journal, taken.all()) if x.get("FRUN_REQUEST_ID") == "by-journal"],
                        "a record")[0]
    assert record["FRUN_SYSTEM"] == "fr1_frun:443" and record["FRUN_RESOURCE"] == "frun"
    assert record["SYSLOG_IDENTIFIER"] == "frunconnector"


def test_every_fact_is_in_the_manual(make_chain):
    chain = make_chain(connector={"resource frun": {"path": "/sap/frun/ngdci"}})
    assert chain.push(fields=[("X-Request-ID", "good"), ("User-Agent", "x")]).status == 200
    assert chain.push(target="/ACME_PROD/sap/frun/other", fields=[("X-Request-ID", "bad")]).status == 403
    told = {k for name in ("good", "bad") for line in both_lines(chain, name) for k in line}
    assert {"tunnel", "backend_ms", "resource", "error", "note"} <= told
    root = os.path.join(os.path.dirname(__file__), "..", "..")
    with open(os.path.join(root, "docs", "MANUAL.md"), encoding="utf-8") as f:
        section = f.read().split("\n## Log\n")[1].split("\n## ")[0]
    documented = {name for row in re.findall(r"^\|([^|]*)\|", section, re.M) for name in re.findall(r"`(\w+)`", row)}
    with open(os.path.join(root, "src", "admin", "accesslog.c"), encoding="utf-8") as f:
        known = set(re.findall(r'FACT\("(\w+)"', f.read()))
    assert told <= known | {"time"} and known <= documented, known - documented


@pytest.mark.parametrize("is_udp", [False, True])
def test_syslog(make_chain, daemon_socket, is_udp):
    taken = daemon_socket(is_udp=is_udp)
    chain = make_chain(gateway={"log": {"access_target": "syslog:" + taken.address(),
                                        "access_facility": "local3", "access_severity": "notice"}})
    fields = [("X-Request-ID", "id-of-this-push"), ("User-Agent", 'x"]\\y')]
    assert chain.push(fields=fields).status == 200
    mine = wait_until(lambda: [x for x in map(syslog, taken.all()) if x["params"].get("endpoint")], "a message")[0]
    assert (mine["facility"], mine["severity"]) == (19, 5)
    assert (mine["app"], mine["proc"], mine["id"]) == ("frunproxyd", str(chain.gateway.child.pid), "access")
    p = mine["params"]
    assert p["request_id"] == "id-of-this-push" and p["user_agent"] == 'x"]\\\\y'
    assert (p["endpoint"], p["pusher"], p["route"], p["connector"]) == ("ACME_PROD", "s4-acme", "tunnel", "DC1-A")
    assert (p["status"], p["by"], p["method"]) == ("200", "focused-run", "POST")
    said = json.loads(mine["text"])
    assert said.pop("time") and {k for k in said} == set(p), "the same facts in both"
    no_secrets(repr(taken.all()))


def test_log_and_access_lines_in_one_syslog(make_chain, daemon_socket):
    taken = daemon_socket()
    chain = make_chain(gateway={"log": {"target": "syslog:" + taken.address(), "level": "info",
                                        "facility": "local1", "access": "combined"}})
    assert chain.push().status == 200
    wait_until(lambda: any(x["params"].get("endpoint") for x in map(syslog, taken.all())), "an access line")
    messages = [syslog(x) for x in taken.all()]
    events = [x for x in messages if x["id"] == "event"]
    assert events and all(x["facility"] == 17 for x in events)
    scoped = next(x for x in events if x["params"].get("scope", "").startswith("tunnel"))
    assert scoped["severity"] == 6 and scoped["text"].startswith(scoped["params"]["scope"] + ": ")
    assert all(COMBINED.fullmatch(x["text"]) for x in messages if x["id"] == "access")


def test_journal(make_chain, daemon_socket):
    taken = daemon_socket()
    chain = make_chain(gateway={"log": {"target": "journal:" + taken.address(), "level": "info"}})
    assert chain.push(fields=[("X-Request-ID", "id-of-this-push")]).status == 200
    mine = wait_until(lambda: [x for x in map(journal, taken.all()) if x.get("FRUN_ENDPOINT")], "a record")[0]
    assert mine["FRUN_REQUEST_ID"] == "id-of-this-push" and mine["FRUN_LOG"] == "access"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", mine["FRUN_TRACEPARENT"])
    assert (mine["FRUN_ENDPOINT"], mine["FRUN_PUSHER"], mine["FRUN_STATUS"]) == ("ACME_PROD", "s4-acme", "200")
    assert (mine["PRIORITY"], mine["SYSLOG_IDENTIFIER"]) == ("6", "frunproxyd")
    assert json.loads(mine["MESSAGE"])["endpoint"] == "ACME_PROD"
    events = [x for x in map(journal, taken.all()) if x["FRUN_LOG"] == "event"]
    assert any(x.get("FRUN_SCOPE", "").startswith("tunnel") for x in events)
    no_secrets(repr(taken.all()))


def lost(chain, kind):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(chain.path("control.sock"))
        s.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        text = b"".join(iter(lambda: s.recv(1 << 16), b"")).decode()
    return float(re.search(rf'frunproxy_log_lines_lost_total{{log="{kind}"}} (\S+)', text)[1])


def reload(chain):
    return subprocess.run([program("frunctl"), "reload", "--socket", chain.path("control.sock")],
                          capture_output=True, text=True, timeout=60)


def test_a_syslog_that_comes_and_goes(make_chain, daemon_socket, tmp_path):
    """Pushes go on; the log says so once; when it is there again, so are the lines."""
    address = str(tmp_path / "socket")
    chain = make_chain(gateway={"log": {"access_target": "syslog:" + address}})
    for _ in range(5):
        assert chain.push().status == 200
    wait_until(lambda: lost(chain, "access") >= 5, "losses are counted")
    assert lost(chain, "event") == 0
    taken = daemon_socket()

    def arrives():
        assert chain.push().status == 200
        return [x for x in taken.all() if b"endpoint=" in x]

    wait_until(arrives, "lines arrive by themselves", 20)
    taken.close()
    again = daemon_socket()
    assert chain.push(fields=[("X-Request-ID", "behind-a-restart")]).status == 200
    wait_until(lambda: any(b"behind-a-restart" in x for x in again.all()), "nothing is lost by a restart")
    assert chain.gateway.log().count(f'syslog at "{address}" takes no lines (No such file or directory)') == 1


@pytest.mark.parametrize("access", ["json", "combined"])
def test_reopened_without_a_loss(make_chain, tmp_path, access):
    log = str(tmp_path / "access.log")
    chain = make_chain(gateway={"log": {"access": access, "access_target": "file:" + log}})
    for i in range(60):
        assert chain.push(fields=[("User-Agent", f"push-{i}.")]).status == 200
        if i % 10 == 5:
            os.rename(log, f"{log}.{i}")
            chain.gateway.signal(signal.SIGUSR1)
            wait_until(lambda: os.path.exists(log), "a new file")

    def agents():
        return [a for p in tmp_path.glob("access.log*") for a in re.findall(r"push-\d+\.", "\n".join(lines_of(str(p))))]

    wait_until(lambda: len(agents()) == 60, "each push has its line")
    assert len(set(agents())) == 60


def test_a_full_disk_costs_lines_and_nothing_else(make_chain):
    chain = make_chain(gateway={"log": {"access_target": "file:/dev/full"}})
    for _ in range(20):
        assert chain.push().status == 200
    wait_until(lambda: lost(chain, "access") >= 20, "losses are counted")
    assert chain.gateway.log().count('"/dev/full" takes no lines (No space left on device)') == 1
    assert chain.gateway.stop() == 0
    assert re.search(r"access log: \d+ lines lost in all", chain.gateway.log())


def test_a_reload_changes_form_and_target(make_chain, daemon_socket, tmp_path):
    log, taken = str(tmp_path / "access.log"), daemon_socket()
    chain = make_chain()

    def use(**keys):
        chain.gateway_sections["log"] = {"level": "debug", **keys}
        chain.write_gateway()
        r = reload(chain)
        assert r.returncode == 0, r.stdout + r.stderr

    use(access="combined", access_target="file:" + log)
    assert chain.push(fields=[("User-Agent", "to-the-file")]).status == 200
    wait_until(lambda: any("to-the-file" in x for x in lines_of(log)), "a line in the file")
    use(access="json", access_target="journal:" + taken.address())
    assert chain.push(fields=[("User-Agent", "to-the-journal")]).status == 200
    wait_until(lambda: any(b"FRUN_USER_AGENT=to-the-journal" in x for x in taken.all()), "a record")
    use(access="json")
    assert chain.push(fields=[("User-Agent", "to-the-log")]).status == 200
    wait_until(lambda: any(x.get("user_agent") == "to-the-log" for x in chain.access_lines()), "a line in the log")
    chain.gateway_sections["log"]["access_target"] = "file:/nowhere/at/all"
    chain.write_gateway()
    r = reload(chain)
    assert r.returncode != 0 and "/nowhere/at/all" in r.stdout + r.stderr, r.stdout + r.stderr
    assert not any("to-the-journal" in x or "to-the-log" in x for x in lines_of(log))


def test_a_file_that_cannot_be_opened_is_told_with_its_key(make_chain):
    chain = make_chain(gateway={"log": {"access_target": "file:/nowhere/at/all"}}, start=False)
    r = subprocess.run([program("frunproxyd"), "--config", chain.path("frunproxy.ini")], capture_output=True, text=True)
    assert r.returncode == 78 and "log.access_target: cannot open" in r.stderr, r.stderr
