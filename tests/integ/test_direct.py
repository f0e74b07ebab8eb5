# SPDX-License-Identifier: Apache-2.0
"""The direct route: the daemon beside Focused Run, no tunnel."""

import pytest

from chain import FENCE, FRUN_USER, PASSWORD, assert_problem

GLOBEX = ("globex", PASSWORD)


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


def two_users(make_chain, **keys):
    """One worker; GLOBEX logs on as another user, and Focused Run takes both."""
    chain = direct(make_chain, start=False)
    chain.gateway_sections["gateway"]["workers"] = "1"
    chain.gateway_sections["endpoint GLOBEX"].update({"user": "OTHER", **keys})
    at = chain.sim.argv.index("--user")
    del chain.sim.argv[at:at + 4]
    chain.write_gateway()
    return chain.start()


def push_in_turn(chain, n):
    with chain.raw() as a, chain.raw() as b:
        for i in range(n):
            body = b"x" * (1 + 30000 * i)
            a.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=body))
            assert a.answer().status == 200
            b.send(chain.octets("POST", "/GLOBEX/sap/frun/x", body=body + b"y", auth=GLOBEX))
            assert b.answer().status == 200
    return chain.received()


def test_endpoints_share_connections_and_nothing_else(make_chain):
    """Other credentials, another fence by another carrier: each request brings its own alone."""
    got = push_in_turn(two_users(make_chain), 5)
    assert len(got) == 10 and len({g["connection"] for g in got}) == 1
    for i, g in enumerate(got):
        acme = i % 2 == 0
        assert g["network"] == ("ACME PROD" if acme else "GLOBEX")
        assert g.all("Authorization") == ["Basic " + (FRUN_USER if acme else "OTHER")]
        assert g.all(FENCE) == (["acme-prod-proxy"] if acme else [])
        assert g["query"] == ("" if acme else FENCE + "=globex-proxy")
        assert g["body_bytes"] == 30000 * (i // 2) + (1 if acme else 2)


@pytest.mark.parametrize("keys", [{"backend_ca": "../tls/both-ca.pem"}, {"server_name": "frun.corp"},
                                  {"virtual_host": "fr2_frun:443"}], ids=lambda k: next(iter(k)))
def test_what_is_never_shared(make_chain, pki, keys):
    with open(pki.path("both-ca.pem"), "wb") as out:
        for name in ("ca.pem", "frun-ca.pem"):
            with open(pki.path(name), "rb") as f:
                out.write(f.read())
    got = push_in_turn(two_users(make_chain, **keys), 3)
    by_network = {}
    for g in got:
        by_network.setdefault(g["network"], set()).add(g["connection"])
    assert [len(c) for c in by_network.values()] == [1, 1]
    assert by_network["ACME PROD"] != by_network["GLOBEX"]


def test_connections_do_not_grow_with_endpoints(make_chain):
    """As many as there are requests at the same time, however many endpoints they are for."""
    chain = direct(make_chain, start=False)
    chain.gateway_sections["gateway"]["workers"] = "1"
    acme = chain.gateway_sections["endpoint ACME_PROD"]
    pusher = chain.gateway_sections["pusher s4-acme"]
    for i in range(40):
        name = f"NET_{i}"
        chain.gateway_sections["endpoint " + name] = dict(acme, customer_network=name)
        chain.gateway_sections["pusher p" + str(i)] = dict(pusher, endpoint=name, user=f"u{i}")
    chain.write_gateway()
    chain.start()
    with chain.raw() as c:
        for i in range(40):
            c.send(chain.octets("POST", f"/NET_{i}/sap/frun/x", body=b"{}",
                                auth=(f"u{i}", PASSWORD)))
            assert c.answer().status == 200
    got = chain.received()
    assert len(got) == 40 and len({g["connection"] for g in got}) == 1


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
