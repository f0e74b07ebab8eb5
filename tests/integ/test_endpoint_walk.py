# SPDX-License-Identifier: Apache-2.0
"""frunctl endpoint check without a running daemon: the walk from the files, in the daemon's words."""

import json
import os

import pytest

from chain import program, run
from sap import sap_chain
from test_direct import direct
from test_endpoint_switch import switch, two_roads


def walk(chain, *words, code=0):
    r = run([program("frunctl"), "endpoint", "check", *words, "--config",
             chain.path("frunproxy.ini")], deadline=60)
    assert r.returncode == code, (words, r.returncode, r.stdout, r.stderr)
    assert "need the daemon" in r.stderr, r.stderr
    return r.stdout


def walk_json(chain, *words, **kw):
    return json.loads(walk(chain, *words, "--json", **kw))


def states(value):
    return {s["step"]: s["state"] for s in value["steps"]}


def worst(value):
    return [s for s in value["steps"] if s["state"] == "fail"][0]


def stopped(make_chain, **over):
    chain = direct(make_chain, **over)
    chain.gateway.stop()
    chain.forget()
    return chain


def test_direct_road_as_the_daemon_walks_it(make_chain):
    chain = stopped(make_chain)
    found = walk_json(chain, "ACME_PROD")
    assert found["verdict"] == "up" and found["road"] == "direct" and found["status"] == 200
    assert states(found) == {"name": "ok", "connection": "ok", "tls": "ok", "logon": "ok",
                             "ping": "ok"}
    assert chain.last().get_field("Authorization").startswith("Basic ")
    text = walk(chain, "--all")
    assert text.count(": up\n") == 2 and "ACME_PROD by direct: up" in text


@pytest.mark.parametrize("label, over, step, words", [
    ("no such name", {"address": "nowhere.invalid:443"}, "name", "DNS"),
    ("nobody listens", {"address": "127.0.0.1:1"}, "connection", "Focused Run"),
    ("wrong authority", {"backend_ca": "../tls/ca.pem"}, "tls", "backend_ca"),
    ("wrong name", {"server_name": "other.example.com"}, "tls", "server_name"),
])
def test_what_is_wrong(make_chain, label, over, step, words):
    chain = stopped(make_chain, **over)
    found = walk_json(chain, "ACME_PROD", code=1)
    assert found["verdict"] == "down", label
    assert worst(found)["step"] == step and words in worst(found)["remedy"], found


def test_a_refused_logon_is_tried_once(make_chain):
    chain = stopped(make_chain)
    chain.write("secrets/acme_prod", "wrong\n")
    found = walk_json(chain, "--all", code=1)
    assert [f["verdict"] for f in found] == ["refused", "refused"]
    assert len(chain.received()) == 1
    assert "not tried" in worst(found[1])["found"]
    walk(chain, "--all", "--force", code=1)
    assert len(chain.received()) == 3


def test_tunnel_needs_the_daemon(make_chain):
    chain = make_chain(start=False)
    found = walk_json(chain, "ACME_PROD")
    assert found["verdict"] == "unverified" and found["road"] == "tunnel"
    tunnel = found["steps"][0]
    assert tunnel["step"] == "tunnel" and tunnel["state"] == "skipped"
    assert "is good until 20" in tunnel["found"] and "start frunproxyd" in tunnel["remedy"]
    assert set(states(found).values()) == {"skipped"}
    assert not os.path.exists(chain.path("state")), "nothing is written"


def test_token_of_a_tunnel_road(make_chain):
    """What lies before the tunnel is looked at."""
    chain = make_chain(start=False, gateway={"endpoint ACME_PROD": {
        "auth": "oauth2", "user": None, "password": None, "client_id": "frun",
        "client_secret": "file:../secrets/acme_prod", "token_url": "https://127.0.0.1:1/token"}})
    found = walk_json(chain, "ACME_PROD", code=1)
    assert found["verdict"] == "down" and worst(found)["step"] == "token", found
    secret = open(chain.path("secrets/acme_prod"), encoding="ascii").read().strip()
    assert secret not in walk(chain, "ACME_PROD", code=1)


def test_two_roads_and_a_switch_before(make_chain):
    chain = two_roads(make_chain)
    chain.gateway.stop()
    found = walk_json(chain, "ACME_PROD", "--standby")
    assert found["road"] == "direct" and found["standby"] is True and found["verdict"] == "up"
    assert walk_json(chain, "ACME_PROD")["road"] == "tunnel"
    chain.gateway.start()
    chain.wait_healthy()
    assert switch(chain)["to"] == "direct"
    chain.gateway.stop()
    assert walk_json(chain, "ACME_PROD")["road"] == "direct"
    assert walk_json(chain, "GLOBEX")["road"] == "tunnel"


@pytest.mark.parametrize("label, spoil, code, verdict, step", [
    ("good", lambda sap: None, 0, "up", None),
    ("no Cloud Connector", lambda sap: sap.proxy.locations.clear(), 1, "down", "tunnel"),
    ("no mapping", lambda sap: sap.proxy.systems.clear(), 1, "down", "mapping"),
    ("wrong client", lambda sap: setattr(sap.tokens, "secret", "another"), 1, "down", "token"),
])
def test_sap_road(make_chain, sap, label, spoil, code, verdict, step):
    spoil(sap)
    chain = sap_chain(make_chain, sap, start=False)
    found = walk_json(chain, "ACME_PROD", code=code)
    assert found["verdict"] == verdict and found["road"] == "sap-connectivity", (label, found)
    assert step is None or worst(found)["step"] == step, found


def test_what_cannot_be_walked(make_chain):
    chain = make_chain(start=False)
    r = run([program("frunctl"), "endpoint", "check", "NOBODY", "--config",
             chain.path("frunproxy.ini")])
    assert r.returncode == 1 and "there is no endpoint NOBODY" in r.stderr
    r = run([program("frunctl"), "endpoint", "check", "ACME_PROD", "--socket",
             chain.path("control.sock")])
    assert r.returncode == 69, "a daemon was asked for by name"
    chain.write("tls/gateway.key", "no key\n")
    r = run([program("frunctl"), "endpoint", "check", "ACME_PROD", "--config",
             chain.path("frunproxy.ini")])
    assert r.returncode == 78 and "private_key" in r.stderr, r
