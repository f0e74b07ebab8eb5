# SPDX-License-Identifier: Apache-2.0
"""The direct route: the daemon beside Focused Run, no tunnel."""

import pytest

from chain import FENCE, FRUN_USER, assert_problem


def direct(make_chain, start=True, plain=False, **over):
    chain = make_chain(connectors=(), start=False, sim_plain=plain,
                       gateway={"tunnel": None, "connector DC1-A": None, "connector DC1-B": None,
                                "gateway": {"connect_timeout": "1s"}})
    keys = {"route": "direct", "address": f"127.0.0.1:{chain.sim_port}",
            "location_id": None}
    keys.update({"protocol": "HTTP"} if plain else {"protocol": "HTTPS",
                                                    "backend_ca": "../tls/frun-ca.pem"})
    keys.update(over)
    system = chain.gateway_sections["system FR1"]
    for key, value in keys.items():
        if value is None:
            system.pop(key, None)
        else:
            system[key] = value
    chain.write_gateway()
    return chain.start() if start else chain


@pytest.mark.parametrize("plain", [False, True])
def test_push(make_chain, plain):
    chain = direct(make_chain, plain=plain)
    with chain.raw() as c:
        for _ in range(3):
            c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x?a=1", body=b"{}"))
            assert c.answer().status == 200
    got = chain.received()
    assert len({g["connection"] for g in got}) == 1
    assert got[0].all("Host") == ["fr1_frun"] and got[0]["query"] == "a=1"
    assert got[0].all("Authorization") == ["Basic " + FRUN_USER]
    assert got[0].all(FENCE) == ["acme-prod-proxy"]
    assert (got[0]["tls"] is None) == plain
    assert "direct" in chain.pushes_logged(3)[-1].values()


def test_name_in_the_certificate(make_chain):
    chain = direct(make_chain, server_name="frun.corp")
    assert chain.push().status == 200
    assert chain.last()["sni"] == "frun.corp"


@pytest.mark.parametrize("label, over", [
    ("wrong authority", {"backend_ca": "../tls/ca.pem"}),
    ("wrong name", {"server_name": "other.example.com"}),
])
def test_certificate_is_checked(make_chain, label, over):
    chain = direct(make_chain, **over)
    assert_problem(chain.push(), 502)
    assert chain.received() == [], label


def test_focused_run_down_and_up_again(make_chain):
    chain = direct(make_chain)
    assert chain.push().status == 200
    chain.sim.stop()
    assert_problem(chain.push(), 502)
    chain.start_sim()
    assert chain.push().status == 200


def test_bodies_of_two_endpoints_do_not_share_a_connection(make_chain):
    chain = direct(make_chain)
    assert chain.push().status == 200
    assert chain.push(target="/GLOBEX/sap/frun/x", auth=("globex", "Push-Pass-4711")).status == 200
    assert len({g["connection"] for g in chain.received()}) == 2


def test_paths_are_judged_without_a_connector_too(make_chain):
    chain = direct(make_chain)
    assert_problem(chain.push(target="/ACME_PROD/sap/opu"), 403)
    assert chain.received() == []


def test_an_endpoint_may_choose_its_own_route(make_chain):
    chain = make_chain(start=False)
    chain.gateway_sections["endpoint GLOBEX"].update({
        "route": "direct", "address": f"127.0.0.1:{chain.sim_port}", "protocol": "HTTPS",
        "backend_ca": "../tls/frun-ca.pem"})
    chain.write_gateway()
    chain.start()
    assert chain.push().status == 200
    chain.connector.stop()
    assert chain.push(target="/GLOBEX/sap/frun/x", auth=("globex", "Push-Pass-4711")).status == 200
