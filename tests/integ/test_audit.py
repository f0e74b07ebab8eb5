# SPDX-License-Identifier: Apache-2.0
"""The audit log: what both daemons and frunctl write into it, no secret, and every way of tampering found."""

import json
import os
import re
import resource
import signal
import subprocess

from chain import FRUN_PASSWORD, PASSWORD, USER, program, run
from tools import wait_until

KEY = "an audit key of at least thirty-two octets"
GATEWAY = {"audit": {"level": "all", "file": "audit.log", "key": "file:secrets/audit"}}


def start(make_chain, wait=True, **kw):
    chain = make_chain(start=False, gateway=kw.pop("gateway", GATEWAY), **kw)
    chain.write("secrets/audit", KEY + "\n")
    os.chmod(chain.path("secrets/audit"), 0o600)
    chain.start(wait=wait)
    return chain


def records(chain, name="audit.log"):
    with open(chain.path(name), encoding="ascii") as f:
        return [json.loads(line) for line in f]


def find(chain, event, name="audit.log", **want):
    return [r for r in records(chain, name)
            if r["event"] == event and all(r.get(k) == v for k, v in want.items())]


def wait_for(chain, event, name="audit.log", **want):
    wait_until(lambda: find(chain, event, name, **want), f"{event} in {name}")
    return find(chain, event, name, **want)[-1]


def verify(chain, *words, code=0):
    words = words or ("--config", chain.path("frunproxy.ini"))
    r = subprocess.run([program("frunctl"), "audit", "verify", *words], capture_output=True, text=True,
                       timeout=60)
    assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
    return r.stdout


def test_what_is_written(make_chain):
    chain = start(make_chain)
    wait_for(chain, "daemon.started", object="frunproxyd")
    tunnel = wait_for(chain, "tunnel.opened", who="DC1-A")
    assert tunnel["outcome"] == "ok" and tunnel["object"] == "DC1"
    wait_for(chain, "daemon.started", "dc1-a-audit.log", object="frunconnector")

    # let in, and turned away
    assert chain.push().status == 200
    wait_for(chain, "access.allowed", who="s4-acme", object="ACME_PROD")
    assert chain.push(auth=(USER, "wrong-" + PASSWORD)).status == 401
    denied = wait_for(chain, "access.denied", object="ACME_PROD")
    assert denied["outcome"] == "denied" and denied["from"] == "127.0.0.1" and "401" in denied["detail"]
    assert chain.push(auth=("globex", PASSWORD)).status == 403
    wait_for(chain, "access.denied", who="globex")

    # commands, by whom
    r = run([program("frunctl"), "log", "level", "info", "--config", chain.path("frunproxy.ini")])
    assert r.returncode == 0
    command = wait_for(chain, "admin.command", object="POST /api/v1/log/level")
    assert command["who"].startswith(f"uid {os.getuid()}")

    # a change, with its values but for secrets; a bad one
    chain.gateway_sections["gateway"]["hold"] = "7s"
    chain.gateway_sections["audit"]["level"] = "security"
    chain.gateway_sections["endpoint ACME_PROD"]["admin_request_parameter"] = "another-fence"
    chain.write_gateway()
    chain.gateway.child.send_signal(signal.SIGHUP)
    changed = wait_for(chain, "config.changed", object="gateway")
    assert "hold" in changed["detail"] and "7 s" in changed["detail"] and changed["who"] == "SIGHUP"
    wait_for(chain, "audit.level", detail="from all to security")
    wait_for(chain, "config.reloaded", outcome="ok")
    chain.write("endpoints.d/bad.ini", "[endpoint X]\nnonsense = 1\n")
    chain.gateway.child.send_signal(signal.SIGHUP)
    wait_for(chain, "config.reloaded", outcome="failed")
    os.unlink(chain.path("endpoints.d/bad.ini"))

    # nothing but files, perhaps
    chain.gateway.child.send_signal(signal.SIGHUP)
    again = wait_for(chain, "config.reloaded", outcome="ok",
                     detail="no key has changed; the files that the configuration names were read anew")
    assert again["who"] == "SIGHUP"

    # what frunctl changes in a file is in the same chain
    chain.gateway_sections["pusher s4-acme"]["auth"] = "basic"
    r = subprocess.run([program("frunctl"), "pusher", "rotate", "s4-acme", "--password", "--config",
                        chain.path("frunproxy.ini")], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    made = wait_for(chain, "credential.made", object="pusher s4-acme")
    assert made["who"].startswith("frunctl, uid")

    chain.gateway.child.send_signal(signal.SIGTERM)
    wait_for(chain, "daemon.stopped", object="frunproxyd")
    wait_until(lambda: not chain.gateway.is_running(), "the gateway ends")
    assert ": good: " in verify(chain)
    assert ": good: " in verify(chain, chain.path("dc1-a-audit.log"))
    assert "fault(s)" in verify(chain, chain.path("audit.log"), code=1)  # its key is missing

    with open(chain.path("audit.log"), encoding="ascii") as f:
        text = f.read()
    for secret in (PASSWORD, FRUN_PASSWORD, KEY, "another-fence", "acme-prod-proxy", r.stdout.strip()):
        assert secret not in text
    assert os.stat(chain.path("audit.log")).st_mode & 0o077 == 0


def test_floods_are_counted(make_chain):
    chain = start(make_chain)
    for _ in range(50):
        assert chain.push(auth=(USER, "wrong")).status == 401
    wait_for(chain, "access.denied")
    chain.gateway.child.send_signal(signal.SIGTERM)
    wait_until(lambda: not chain.gateway.is_running(), "the gateway ends")
    denials = find(chain, "access.denied")
    assert len(denials) <= 4 and sum(r.get("again", 1) for r in denials) == 50


def test_denials_of_the_connector(make_chain):
    chain = make_chain(connector={"resource frun": {"path": "/sap/frun/other"}})
    assert chain.push().status == 403
    denied = wait_for(chain, "access.denied", "dc1-a-audit.log")
    assert "/sap/frun/ngdci" in denied["detail"]


def test_levels_of_the_connector(make_chain):
    """One key says what goes into the audit log and into the log, also after a reload."""
    name = "dc1-a-audit.log"
    chain = make_chain(connector={"audit": {"file": name, "level": "all"},
                                  "resource frun": {"path": "/sap/frun/ngdci"}})

    def pushes():
        """One that is allowed, one that is not."""
        assert chain.push().status == 200
        assert chain.push(target="/ACME_PROD/sap/frun/other").status == 403

    def change(old, new):
        with open(chain.path("dc1-a.ini"), encoding="utf-8") as f:
            text = f.read()
        chain.write("dc1-a.ini", text.replace(f"file = {name}\nlevel = {old}", f"file = {name}\nlevel = {new}"))
        chain.connector.child.send_signal(signal.SIGHUP)
        wait_for(chain, "audit.level", name, detail=f"from {old} to {new}")

    pushes()
    wait_for(chain, "access.allowed", name)
    wait_for(chain, "access.denied", name)
    change("all", "security")
    pushes()
    change("security", "off")
    n = len(records(chain, name))
    pushes()
    chain.connector.child.send_signal(signal.SIGTERM)
    wait_until(lambda: not chain.connector.is_running(), "the connector ends")
    assert chain.connector.log().count("access allowed: POST /sap/frun/ngdci") == 1
    assert chain.connector.log().count("access denied: POST /sap/frun/other") == 2
    assert not [r for r in records(chain, name)[n:] if r["event"] in ("access.allowed", "daemon.stopped")]
    assert ": good: " in verify(chain, chain.path(name))


def test_strangers_at_the_tunnel(make_chain):
    chain = start(make_chain, wait=False, gateway={**GATEWAY, "connector DC1-A": {"location_id": "OTHER"}})
    refused = wait_for(chain, "tunnel.refused")
    assert refused["outcome"] == "denied" and "dc1-a" in refused["who"]


def test_tampering_is_found(make_chain):
    chain = start(make_chain)
    wait_for(chain, "tunnel.opened")
    chain.gateway.child.send_signal(signal.SIGTERM)
    wait_until(lambda: not chain.gateway.is_running(), "the gateway ends")
    noted = re.search(r"\d+:[0-9a-f]{64}", verify(chain)).group()
    with open(chain.path("audit.log"), "rb") as f:
        whole = f.read()
    lines = whole.splitlines(keepends=True)
    assert len(lines) >= 3

    def spoil(text, want):
        with open(chain.path("audit.log"), "wb") as f:
            f.write(text)
        out = verify(chain, code=1)
        assert want in out, out

    spoil(whole.replace(b'"who":"DC1-A"', b'"who":"DC1-B"', 1), "was changed")
    spoil(b"".join(lines[:1] + lines[2:]), "record(s) were removed before record 3")
    spoil(b"".join(lines[:2] + lines[1:]), "it was inserted or moved")
    spoil(b"".join(lines[:1] + [lines[2], lines[1]] + lines[3:]), "it was inserted or moved")
    spoil(b"".join(lines[:1] + [b'{"seq":2,"event":"harmless"}\n'] + lines[1:]), "is no record")
    spoil(b"".join(lines[1:]), "record(s) are missing at the beginning")
    spoil(b"".join(lines[:-1]), "1 record(s) are missing at the end")
    spoil(whole[:-9], "cut short")
    with open(chain.path("audit.log"), "wb") as f:
        f.write(whole)
    config = ("--config", chain.path("frunproxy.ini"))
    verify(chain, *config, "--expect", noted)
    verify(chain, *config, "--expect", noted[:-1] + ("0" if noted[-1] != "0" else "1"), code=1)
    out = json.loads(verify(chain, *config, "--json"))
    one = out["files"][0]
    assert out["good"] and one["good"] and f"{one['last']}:{one['hash']}" == noted

    # the daemon goes on behind damage, and it stays on record
    with open(chain.path("audit.log"), "wb") as f:
        f.write(b"".join(lines[:-1]))
    chain.gateway.start()
    wait_for(chain, "audit.damaged")
    assert "were removed" in verify(chain, code=1)


def test_show(make_chain):
    chain = start(make_chain)
    wait_for(chain, "tunnel.opened")
    config = ("--config", chain.path("frunproxy.ini"))
    show = [program("frunctl"), "audit", "show", *config]
    out = run([*show, "--event", "tunnel.*"]).stdout
    assert "tunnel.opened" in out and "daemon.started" not in out
    lines = run([*show, "--json"]).stdout.splitlines()
    assert [json.loads(x)["seq"] for x in lines] == list(range(1, len(lines) + 1))
    year = json.loads(lines[0])["time"][:4]
    assert run([*show, "--since", year]).stdout
    assert not run([*show, "--until", str(int(year) - 1)]).stdout
    assert subprocess.run([program("frunctl"), "audit", "verify", "--expect", "x"],
                          capture_output=True, timeout=60).returncode == 64


def test_rotation_and_a_full_disk(make_chain):
    chain = start(make_chain, gateway={"audit": {**GATEWAY["audit"], "max_size": "64K", "keep": "2"},
                                       "log": {"level": "error", "access": "off"}})
    wait_for(chain, "tunnel.opened")
    pid = chain.gateway.child.pid
    level = [program("frunctl"), "log", "level", "error", "--config", chain.path("frunproxy.ini")]

    def many(n):
        for _ in range(n):
            assert run(level).returncode == 0

    # Files of this process may not grow above what the audit log has now: as good as a full disk,
    # but for the log, which is shorter.
    many(12)
    wait_until(lambda: len(find(chain, "admin.command")) == 12, "all are there")
    size = os.stat(chain.path("audit.log")).st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    many(3)
    assert len(chain.gateway.log()) + 500 < size
    wait_until(lambda: "audit events wait until it can be written" in chain.gateway.log(), "it is told")
    assert chain.push().status == 200
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: len(find(chain, "admin.command")) == 15, "what waited is there")
    assert chain.gateway.log().count("audit events wait") == 1
    verify(chain)
