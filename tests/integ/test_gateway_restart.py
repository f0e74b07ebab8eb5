# SPDX-License-Identifier: Apache-2.0
"""The gateway goes away under a connector, which dials for ever and is back soon."""

import time

from chain import wait_until

IDLE = {"connector": {"retry_min": "100ms", "retry_max": "1s"}}


def test_killed_and_restarted(make_chain):
    chain = make_chain(connector=IDLE)
    assert chain.push().status == 200
    for _ in range(2):
        chain.gateway.kill()
        chain.gateway.start()
        chain.wait_port(chain.gateway, chain.port)
        begin = time.monotonic()
        chain.wait_healthy(10)
        print("back after %.2f s" % (time.monotonic() - begin))
        assert chain.push().status == 200


def test_restarted_in_good_order(make_chain):
    chain = make_chain(connector=IDLE)
    assert chain.gateway.stop() == 0
    chain.restart(chain.gateway, 10)
    assert chain.push().status == 200
    assert chain.connector.is_running()


def test_the_connector_may_come_first(make_chain):
    chain = make_chain(connector=IDLE, start=False)
    chain.start_sim()
    chain.connector.start()
    wait_until(lambda: chain.connector.log().count(str(chain.tunnel_port)) >= 2,
               "it tells that it tries again")
    assert chain.connector.is_running()
    chain.gateway.start()
    chain.wait_port(chain.gateway, chain.port)
    chain.wait_healthy(10)
    assert chain.push().status == 200


def test_several_gateways(make_chain, tmp_path, pki):
    from chain import Chain
    first = make_chain(start=False, connectors=())
    second = make_chain(start=False, connectors=(), has_sim=False)
    assert isinstance(second, Chain)
    first.add_connector("dc1-a", {"subaccount provider": {
        "gateway": f"127.0.0.1:{first.tunnel_port}, 127.0.0.1:{second.tunnel_port}"},
        **IDLE})
    second.gateway.start()
    first.start()
    wait_until(lambda: second.health() == 200, "the second gateway has a tunnel, too")
    assert first.push().status == 200 and second.push().status == 200
    assert len(first.received()) == 2
    first.gateway.kill()
    assert second.push().status == 200
    first.restart(first.gateway, 10)
    assert first.push().status == 200
