# SPDX-License-Identifier: Apache-2.0
"""The control socket and frunctl's live commands: both daemons, text and JSON, who may and who may not."""

import json
import os
import socket
import stat
import subprocess

from chain import program, run
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
