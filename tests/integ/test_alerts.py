# SPDX-License-Identifier: Apache-2.0
"""Alerts begin when something is wrong for long enough, are told once, and end."""

import http.client
import json
import socket
import subprocess

from chain import Background, program
from tools import wait_until


class Unix(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def get(path, target):
    c = Unix(path)
    c.request("GET", target)
    answer = c.getresponse()
    text = answer.read().decode()
    c.close()
    assert answer.status == 200, (answer.status, text)
    return text


def frunctl(*args):
    return subprocess.run([program("frunctl"), *args], stdout=subprocess.PIPE, text=True, timeout=60,
                          check=True).stdout


def table(sock):
    return frunctl("alert", "list", "--socket", sock).splitlines()


def test_a_tunnel_goes_and_comes(make_chain, tmp_path):
    said = tmp_path / "said"
    command = tmp_path / "command"
    command.write_text(f"#!/bin/sh\ncat >> {said}\necho >> {said}\nenv >> {said}.env\n", encoding="ascii")
    command.chmod(0o755)
    chain = make_chain(gateway={"alert": {"command": str(command), "tunnel_for": "1s", "certificate_days": "0",
                                          "disk_free": "0"},
                                "connector DC1-B": None},
                       connector={"alert": {"tunnel_for": "1s"}})
    sock = chain.path("control.sock")

    def alerts(path=sock):
        return {(a["alert"], a["name"]): a for a in json.loads(get(path, "/api/v1/alerts"))["alerts"]}

    def told():
        return [json.loads(x) for x in said.read_text().splitlines()] if said.exists() else []

    assert alerts() == {}
    chain.connector.stop()
    wait_until(lambda: alerts().get(("tunnel-down", "DC1-A"), {}).get("state") == "firing", "it fires", 30)
    wait_until(lambda: len(told()) == 1, "the command is told")
    first = told()[0]
    assert first["alert"] == "tunnel-down" and first["state"] == "firing" and first["daemon"] == "frunproxyd"
    assert first["remedy"] and first["since"].startswith("20") and "until" not in first
    row = table(sock)[1].split()
    assert row[:2] == ["firing", "1"] and "tunnel-down" in row and "DC1-A" in row
    assert first["text"] in table(sock)[1] and first["remedy"] in table(sock)[1]
    metrics = get(sock, "/metrics")
    assert 'frunproxy_alerts{alert="tunnel-down",name="DC1-A"} 1' in metrics
    assert "alert: tunnel-down DC1-A" in chain.gateway.log()
    with open(f"{said}.env", encoding="ascii") as f:
        names = {x.split("=")[0] for x in f.read().splitlines()}
    assert names <= {"PATH", "LANG", "PWD", "SHLVL", "_", "OLDPWD"}

    chain.connector.start()
    chain.wait_healthy()
    wait_until(lambda: alerts()[("tunnel-down", "DC1-A")]["state"] == "resolved", "it is over", 40)
    wait_until(lambda: len(told()) == 2, "the command is told of that, too")
    over = told()[1]
    assert over["state"] == "resolved" and over["since"] == first["since"] < over["until"]
    assert table(sock)[1].split()[:4] == ["resolved", "1", over["since"], over["until"]]
    listed = json.loads(frunctl("alert", "list", "--json", "--socket", sock))["alerts"]
    assert [(x["state"], x["until"]) for x in listed] == [("resolved", over["until"])]
    assert 'frunproxy_alerts{' not in get(sock, "/metrics")
    assert chain.gateway.log().count("alert: tunnel-down DC1-A") == 2  # once each

    # certificates of these tests live for three days
    own = alerts(chain.path("dc1-a.sock"))
    wait_until(lambda: any(k[0] == "certificate-expiry" for k in alerts(chain.path("dc1-a.sock"))), "certificates")
    assert all(k[0] != "tunnel-down" for k in own)
    rows = table(chain.path("dc1-a.sock"))
    assert "UNTIL" not in rows[0] and any("certificate-expiry" in x for x in rows[1:])


def test_a_command_that_fails_is_told(make_chain):
    chain = make_chain(gateway={"alert": {"command": "/bin/false"}})
    wait_until(lambda: "/bin/false failed with exit status 1" in chain.gateway.log(), "it is told", 30)
    assert chain.push().status == 200


def test_who_waits_for_a_limit_is_told(make_chain):
    """Places that are taken are no alert; requests that wait for them all the time are."""
    chain = make_chain(gateway={"alert": {"limit_for": "1s"}, "endpoint ACME_PROD": {"max_in_flight": "1"},
                                "gateway": {"hold": "60s"}}, workers=1)
    slow = [Background(chain.push, target="/ACME_PROD/sap/frun/x?_sim=delay:7s", timeout=60) for _ in range(3)]

    def firing():
        return {a["name"]: a for a in json.loads(get(chain.path("control.sock"), "/api/v1/alerts"))["alerts"]
                if a["state"] == "firing" and a["alert"] == "limit-reached"}
    wait_until(lambda: "endpoint ACME_PROD" in firing(), "it is told", 25)
    assert "pusher s4-acme" in firing()
    assert "1 of 1 are under way" in firing()["endpoint ACME_PROD"]["text"]
    assert "max_in_flight" in firing()["endpoint ACME_PROD"]["remedy"]
    assert [x.result().status for x in slow] == [200] * 3
