# SPDX-License-Identifier: Apache-2.0
"""An endpoint moves to its other road by hand, without losing a request, and stays there."""

import json
import os
import threading
import time

import pytest

from chain import FENCE, Background, program, run, wait_until
from sap import Sap
from test_control import ctl, ctl_json
from test_endpoint_health import says
from test_reload import reload


def two_roads(make_chain, start=True, connectors=("dc1-a",), **over):
    """Through the tunnel, or straight to the same Focused Run."""
    chain = make_chain(start=False, connectors=connectors)
    chain.gateway_sections["system FR1"].update({
        "standby_route": "direct", "address": f"127.0.0.1:{chain.sim_port}",
        "backend_ca": "../tls/frun-ca.pem", **over})
    chain.write_gateway()
    return chain.start() if start else chain


def switch(chain, *words, name="ACME_PROD", code=0):
    if code:
        return ctl(chain, "endpoint", "switch", name, *words, code=code)
    return ctl_json(chain, "endpoint", "switch", name, *words)


def steps_of(value):
    return {s["step"]: s["state"] for s in value["steps"]}


def roads(chain):
    return {h["endpoint"]: h["road"] for h in ctl_json(chain, "endpoint", "health")}


class Load:
    """Pushes without a pause on several connections; every answer is kept."""

    def __init__(self, chain, n=6):
        self.chain = chain
        self.stop = threading.Event()
        self.statuses = []
        self.errors = []
        self.sent = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n)]
        for t in self.threads:
            t.start()

    def _run(self):
        try:
            with self.chain.raw() as c:
                while not self.stop.is_set():
                    with self.lock:
                        self.sent += 1
                        number = self.sent
                    c.send(self.chain.octets("POST", f"/ACME_PROD/sap/frun/n{number}",
                                             body=b"x" * 2000))
                    with_status = c.answer().status
                    with self.lock:
                        self.statuses.append(with_status)
        except Exception as e:  # told at the end
            self.errors.append(e)

    def wait(self, n):
        with self.lock:
            want = len(self.statuses) + n
        wait_until(lambda: len(self.statuses) >= want or self.errors, f"{n} more answers", 30)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(30)
        assert not self.errors, self.errors
        assert len(self.statuses) == self.sent


def test_under_load_there_and_back_nothing_is_lost(make_chain):
    chain = make_chain(start=False, sim=("--keep", "100000"))
    chain.gateway_sections["system FR1"].update({
        "standby_route": "direct", "address": f"127.0.0.1:{chain.sim_port}",
        "backend_ca": "../tls/frun-ca.pem"})
    chain.write_gateway()
    chain.start()
    load = Load(chain)
    load.wait(50)
    for there, back in (("tunnel", "direct"), ("direct", "tunnel"), ("tunnel", "direct")):
        v = switch(chain)
        assert v["switched"] and v["kept"] and (v["from"], v["to"]) == (there, back), v
        assert roads(chain) == {"ACME_PROD": back, "GLOBEX": "tunnel"}
        load.wait(50)
    load.end()
    assert set(load.statuses) == {200}
    got = [r["path"] for r in chain.received() if r["method"] == "POST"]
    assert sorted(got) == sorted(f"/sap/frun/n{i}" for i in range(1, load.sent + 1)), \
        "each once, none lost"
    lines = chain.pushes_logged(load.sent)
    assert {x["route"] for x in lines} == {"tunnel", "direct"}
    assert not [x for x in lines if x.get("repeats")]


def test_requests_under_way_finish_on_their_road(make_chain):
    chain = two_roads(make_chain)
    slow = [Background(chain.push, target=f"/ACME_PROD/sap/frun/slow{i}?_sim=delay:3s")
            for i in range(3)]
    wait_until(lambda: len([r for r in chain.access_lines() if "endpoint" in r]) == 0 and
               all(t.is_running() for t in slow), "under way")
    time.sleep(0.5)
    v = switch(chain)
    assert v["switched"] and v["in_flight"] == 3 and v["took_ms"] < 1000, v
    assert "switched from tunnel to direct; 3 request(s) finish on the old road" in \
        chain.gateway.log()
    assert chain.push().status == 200
    for s in slow:
        assert s.result().status == 200
    lines = chain.pushes_logged(4)
    assert sorted(x["route"] for x in lines) == ["direct", "tunnel", "tunnel", "tunnel"]


def test_who_waits_for_the_old_road_takes_the_new_one(make_chain):
    chain = two_roads(make_chain)
    chain.connector.stop()
    held = [Background(chain.push) for _ in range(3)]
    wait_until(lambda: all(h.is_running() for h in held), "they wait")
    time.sleep(0.7)
    begun = time.monotonic()
    v = switch(chain)
    assert v["switched"] and v["moved"] == 3 and v["in_flight"] == 0, v
    for h in held:
        assert h.result(5).status == 200
    assert time.monotonic() - begun < 5, "well before the end of hold"


def test_the_new_road_must_answer_first(make_chain):
    chain = two_roads(make_chain, connectors=(), start=False, route="direct",
                      standby_route="tunnel")
    chain.start(wait=False)
    text = ctl_text(chain, "endpoint", "switch", "ACME_PROD")
    assert "stays on direct, because tunnel is not good" in text and "tunnel      fail" in text
    assert roads(chain)["ACME_PROD"] == "direct"
    assert chain.push().status == 200
    assert "endpoint ACME_PROD stays on direct: the check of tunnel says down" in \
        chain.gateway.log()
    assert not os.path.exists(chain.path("state", "roads"))
    # By force it goes all the same.
    v = switch(chain, "--force")
    assert v["switched"] and v["verdict"] == "down" and steps_of(v)["tunnel"] == "fail"
    assert roads(chain)["ACME_PROD"] == "tunnel"
    v = switch(chain, "--to", "direct")
    assert v["switched"] and roads(chain)["ACME_PROD"] == "direct"
    v = switch(chain, "--to", "direct")
    assert not v["switched"] and v["to"] == v["from"] == "direct"
    assert "has no road sap-connectivity" in switch(chain, "--to", "sap-connectivity", code=1)


def test_there_is_no_fallback(make_chain):
    chain = two_roads(make_chain)
    chain.connector.stop()
    wait_until(lambda: chain.push(fields=()).status == 503, "nothing but its road", 20)
    assert roads(chain)["ACME_PROD"] == "tunnel"


def test_kept_over_a_restart(make_chain):
    chain = two_roads(make_chain)
    assert switch(chain)["kept"]
    chain.gateway.stop()
    chain.restart(chain.gateway)
    assert roads(chain) == {"ACME_PROD": "direct", "GLOBEX": "tunnel"}
    assert "takes direct, to which it was switched before" in chain.gateway.log()
    assert chain.push().status == 200
    assert chain.pushes_logged(1)[-1]["route"] == "direct"
    assert switch(chain)["to"] == "tunnel"
    chain.gateway.stop()
    chain.restart(chain.gateway)
    assert roads(chain)["ACME_PROD"] == "tunnel"


@pytest.mark.parametrize("label, text, said", [
    ("cut off", "frunproxyd roads 1\ndirect ACME_PROD\n", "is damaged"),
    ("something else", "hello\n", "is damaged"),
    ("empty", "", "is damaged"),
    ("unknown road", "frunproxyd roads 1\nfast ACME_PROD\nend\n", "is damaged"),
    ("a road it has not", "frunproxyd roads 1\nsap-connectivity ACME_PROD\nend\n",
     "has no such road any more"),
    ("an endpoint that is gone", "frunproxyd roads 1\ndirect OTHER\nend\n", ""),
])
def test_what_cannot_be_understood_is_the_configured_route(make_chain, label, text, said):
    chain = two_roads(make_chain, start=False)
    os.mkdir(chain.path("state"))
    chain.write("state/roads", text)
    chain.start()
    assert roads(chain)["ACME_PROD"] == "tunnel", label
    assert said in chain.gateway.log(), label


def test_a_folder_that_cannot_be_written(make_chain):
    chain = two_roads(make_chain, start=False)
    chain.gateway_sections["gateway"]["state_directory"] = "missing/state"
    chain.write_gateway()
    chain.start()
    assert "will not outlive a restart" in chain.gateway.log()
    v = switch(chain)
    assert v["switched"] and not v["kept"]
    assert "cannot be kept" in chain.gateway.log()
    assert "could not be kept" in ctl(chain, "endpoint", "switch", "ACME_PROD")


def test_what_the_configuration_must_say(make_chain):
    chain = two_roads(make_chain, start=False)
    for keys, why in (({"address": None}, "route direct needs address"),
                      ({"standby_route": "tunnel"}, "standby_route is the same as route"),
                      ({"standby_route": "sap-connectivity"}, "needs sap_connectivity = NAME")):
        system = chain.gateway_sections["system FR1"]
        before = dict(system)
        for key, value in keys.items():
            system.pop(key, None) if value is None else system.update({key: value})
        chain.write_gateway()
        r = run([program("frunctl"), "config", "check", chain.path("frunproxy.ini")])
        assert r.returncode == 78 and why in r.stderr, (keys, r.stderr)
        chain.gateway_sections["system FR1"] = before


def test_without_another_road(chain):
    assert "has no other road" in switch(chain, code=1)
    assert "there is no endpoint NOBODY" in switch(chain, name="NOBODY", code=1)
    assert "has no standby_route" in ctl(chain, "endpoint", "check", "ACME_PROD", "--standby",
                                         code=1)


# -- from SAP's Cloud Connector to our own

def test_migration_from_cloud_connector(make_chain, pki):
    sap = Sap(pki)
    sap.proxy.systems = {"fr1-frun:443": ["/sap/frun", "/sap/bc/ping"]}
    chain = make_chain(start=False, connector={
        "system fr1_frun:443": None,
        "system fr1-frun:443": {"backend_type": "ABAP System", "protocol": "HTTPS",
                                "internal_host": "127.0.0.1", "internal_port": "1",
                                "backend_ca": "tls/frun-ca.pem"},
        "resource frun": {"system": "fr1-frun:443"}, "resource ping": {"system": "fr1-frun:443"}})
    text = open(chain.path("dc1-a.ini"), encoding="utf-8").read()
    chain.write("dc1-a.ini", text.replace("internal_port = 1\n",
                                          f"internal_port = {chain.sim_port}\n"))
    chain.gateway_sections["sap-connectivity BTP"] = {"service_key": "secrets/btp.json",
                                                      "token_ca": "tls/ca.pem"}
    chain.write("secrets/btp.json", json.dumps(sap.key()))
    chain.gateway_sections["system FR1"].update({
        "route": "sap-connectivity", "standby_route": "tunnel", "sap_connectivity": "BTP",
        "virtual_host": "fr1-frun:443"})
    chain.write_gateway()
    chain.start()
    assert chain.push().status == 200 and len(sap.proxy.delivered) == 1
    good = ctl_json(chain, "endpoint", "check", "ACME_PROD", "--standby")
    assert good["standby"] and good["road"] == "tunnel" and good["verdict"] == "up"
    v = switch(chain)
    assert v["switched"] and (v["from"], v["to"]) == ("sap-connectivity", "tunnel")
    assert chain.push().status == 200 and len(sap.proxy.delivered) == 1
    assert chain.last().all(FENCE) == ["acme-prod-proxy"]
    # The legacy road still answers, so the way back is open.
    assert switch(chain)["to"] == "sap-connectivity"
    assert chain.push().status == 200
    assert len([r for r in sap.proxy.delivered if r["line"].startswith("POST")]) == 2
    sap.stop()


# -- checks by hand

def test_check_walks_the_road(chain):
    v = ctl_json(chain, "endpoint", "check", "ACME_PROD")
    assert v["verdict"] == "up" and v["status"] == 200 and v["road"] == "tunnel"
    assert list(steps_of(v)) == ["tunnel", "mapping", "resource", "name", "connection", "tls",
                                 "logon", "ping"]
    assert set(steps_of(v).values()) == {"ok"}
    text = ctl(chain, "endpoint", "check", "ACME_PROD")
    assert "ACME_PROD by tunnel: up" in text and "connector DC1-A" in text
    assert len(ctl_json(chain, "endpoint", "check", "--all")) == 2


def test_check_of_a_wrong_password_is_one_logon(make_chain):
    chain = make_chain(start=False)
    chain.write("secrets/acme_prod", "wrong\n")
    chain.start()
    for _ in range(3):
        out = ctl_text(chain, "endpoint", "check", "--all", "--json")
        assert {v["verdict"] for v in json.loads(out)} == {"refused"}
    assert len(chain.received()) == 1, "one failed logon for six checks"
    assert "not tried: 401" in ctl_text(chain, "endpoint", "check", "GLOBEX")
    ctl_text(chain, "endpoint", "check", "ACME_PROD", "--force")
    assert len(chain.received()) == 2


def ctl_text(chain, *words):
    """Output of a command that ends with 1."""
    r = run([program("frunctl"), *words, "--socket", chain.path("control.sock")], deadline=60)
    assert r.returncode == 1, r
    return r.stdout


def test_no_switch_with_a_wrong_password(make_chain):
    chain = two_roads(make_chain, start=False)
    chain.write("secrets/acme_prod", "wrong\n")
    chain.start()
    text = ctl_text(chain, "endpoint", "switch", "ACME_PROD")
    assert "logon" in text and "401" in text
    assert "are not tried again for" in switch(chain, code=1)
    assert len(chain.received()) == 1 and roads(chain)["ACME_PROD"] == "tunnel"


def test_a_corrected_password_ends_parking(make_chain):
    """The user was corrected in Focused Run: the next check by force shows it, and health too."""
    chain = make_chain(start=False, gateway={"system FR1": {"health_check": "yes",
                                                            "health_interval": "300ms"}},
                       has_sim=True)
    with open(chain.path("secrets/frun"), "w", encoding="ascii") as f:
        f.write("another\n")
    chain.start()
    says(chain, "parked: logon: ")
    chain.sim.stop()
    chain.write("secrets/frun", "Frun-Pass-0815\n")
    chain.start_sim()
    assert ctl_json(chain, "endpoint", "check", "ACME_PROD", "--force")["verdict"] == "up"
    says(chain, "up (was", "ACME_PROD")
    says(chain, "up (was", "GLOBEX")


def test_a_reload_keeps_the_road_and_what_is_known(make_chain):
    chain = make_chain(start=False)
    chain.gateway_sections["system FR1"].update({
        "standby_route": "direct", "address": f"127.0.0.1:{chain.sim_port}",
        "backend_ca": "../tls/frun-ca.pem", "health_check": "yes", "health_interval": "300ms"})
    chain.write_gateway()
    chain.start()
    assert switch(chain)["to"] == "direct"
    says(chain, "up (was", "GLOBEX")
    chain.gateway_sections["endpoint ACME_PROD"]["description"] = "another one"
    chain.write_gateway()
    reload(chain)
    assert roads(chain) == {"ACME_PROD": "direct", "GLOBEX": "tunnel"}
    assert {h["endpoint"]: h["health"] for h in
            ctl_json(chain, "endpoint", "health")}["GLOBEX"] == "up"
    assert chain.push().status == 200
    assert chain.pushes_logged(1)[-1]["route"] == "direct"
    # The move is for good: the road stays, and there is no other one any more.
    system = chain.gateway_sections["system FR1"]
    chain.gateway_sections["endpoint ACME_PROD"].update({"route": "direct",
                                                         "standby_route": "tunnel"})
    system["route"] = "tunnel"
    chain.write_gateway()
    reload(chain)
    assert roads(chain)["ACME_PROD"] == "direct"
    assert switch(chain)["to"] == "tunnel"
    assert chain.push().status == 200
    assert chain.pushes_logged(2)[-1]["route"] == "tunnel"
