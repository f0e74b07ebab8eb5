# SPDX-License-Identifier: Apache-2.0
"""The connector reaches its gateway through an HTTP CONNECT proxy, with and without a password."""

import pytest

from chain import wait_until
from tools import ConnectProxy


@pytest.fixture
def proxy(request):
    p = ConnectProxy(*getattr(request, "param", ()))
    yield p
    p.stop()


def via(proxy, **more):
    return {"subaccount provider": {"proxy": f"http://127.0.0.1:{proxy.port}", **more}}


def test_without_password(make_chain, proxy):
    chain = make_chain(connector=via(proxy))
    assert chain.push().status == 200
    assert set(proxy.granted) == {f"127.0.0.1:{chain.tunnel_port}"}


@pytest.mark.parametrize("proxy", [("svc", "Proxy-Pass-99")], indirect=True)
def test_with_password(make_chain, proxy):
    chain = make_chain(start=False, connector=via(proxy, proxy_user="svc",
                                                  proxy_password="file:secrets/proxy"))
    chain.write("secrets/proxy", "Proxy-Pass-99\n")
    chain.start()
    assert chain.push().status == 200
    assert proxy.granted
    assert "Proxy-Pass-99" not in chain.connector.log()


@pytest.mark.parametrize("proxy", [("svc", "Proxy-Pass-99")], indirect=True)
def test_with_a_wrong_password_it_goes_on_trying(make_chain, proxy):
    chain = make_chain(start=False, connector=via(proxy, proxy_user="svc",
                                                  proxy_password="file:secrets/proxy"))
    chain.write("secrets/proxy", "wrong\n")
    chain.start(wait=False)
    wait_until(lambda: proxy.refused >= 2, "two tries")
    chain.connector.wait_log("407")
    proxy.expected = None
    chain.wait_healthy()
    assert chain.push().status == 200


def test_cut_tunnels_come_back_through_the_proxy(make_chain, proxy):
    chain = make_chain(connector=via(proxy))
    before = len(proxy.granted)
    proxy.drop()
    wait_until(lambda: len(proxy.granted) > before, "dialled again")
    chain.wait_healthy()
    assert chain.push().status == 200


def test_direct_route_through_a_proxy(make_chain, proxy):
    chain = make_chain(connectors=(), wait=False, gateway={"system FR1": {
        "route": "direct", "backend_ca": "../tls/frun-ca.pem", "protocol": "HTTPS",
        "proxy": f"http://127.0.0.1:{proxy.port}"}}, start=False)
    chain.gateway_sections["system FR1"]["address"] = f"127.0.0.1:{chain.sim_port}"
    chain.write_gateway()
    chain.start()
    assert chain.push().status == 200
    assert set(proxy.granted) == {f"127.0.0.1:{chain.sim_port}"}
