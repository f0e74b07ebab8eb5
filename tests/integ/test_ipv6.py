# SPDX-License-Identifier: Apache-2.0
"""Several listen addresses, IPv6 among them, on every leg."""

import socket

import pytest

from chain import free_port


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback")


def test_listen_on_both(make_chain):
    chain = make_chain(start=False)
    port6 = free_port(socket.AF_INET6, "::1")
    chain.gateway_sections["gateway"]["listen"] = f"127.0.0.1:{chain.port}, [::1]:{port6}"
    chain.write_gateway()
    chain.start()
    assert chain.push().status == 200
    assert chain.push(host="::1", port=port6).status == 200
    got = chain.last()
    assert got.all("X-Forwarded-For") == ["::1"]
    assert '"[::1]"' in got.all("Forwarded")[0]


def test_tunnel_and_back_end_over_ipv6(make_chain):
    chain = make_chain(start=False, connectors=())
    port6 = free_port(socket.AF_INET6, "::1")
    sim6 = free_port(socket.AF_INET6, "::1")
    chain.gateway_sections["tunnel"]["listen"] = f"[::1]:{port6}"
    chain.write_gateway()
    chain.sim.argv[chain.sim.argv.index("--listen") + 1] = f"[::1]:{sim6}"
    chain.add_connector("dc1-a", {
        "subaccount provider": {"gateway": f"[::1]:{port6}"},
        "system fr1_frun:443": {"internal_host": "[::1]", "internal_port": str(sim6)}})
    chain.sim.start()
    chain.wait_port(chain.sim, sim6, "::1")
    sim, chain.sim = chain.sim, None
    try:
        chain.start()
        assert chain.push().status == 200
    finally:
        chain.sim = sim
