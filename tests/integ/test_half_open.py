# SPDX-License-Identifier: Apache-2.0
"""A tunnel whose wire is dead, with nobody to say so, is found out by PING and replaced."""

import time

from chain import Background
from tools import Forwarder

FAST = {"ping_interval": "1s", "ping_timeout": "1s"}


def make(make_chain, gateway_pings, connector_pings):
    forwarders = []

    def through(port):
        forwarders.append(Forwarder(port))
        return forwarders[-1].port

    chain = make_chain(tunnel_via=through,
                       gateway={"tunnel": FAST if gateway_pings else {}},
                       connector={"connector": dict(FAST if connector_pings else {},
                                                    retry_min="100ms", retry_max="500ms")})
    return chain, forwarders[0]


def run(make_chain, gateway_pings, connector_pings, limit):
    chain, forwarder = make(make_chain, gateway_pings, connector_pings)
    try:
        assert chain.push().status == 200
        tunnels = forwarder.count
        assert forwarder.freeze() >= 1
        begin = time.monotonic()
        # Held or broken meanwhile; what counts is that pushes work again soon.
        while True:
            a = Background(chain.push, timeout=10)
            try:
                if a.result(15).status == 200 and forwarder.count > tunnels:
                    break
            except OSError:
                pass
            assert time.monotonic() - begin < limit, chain.logs()
        print("back after %.2f s" % (time.monotonic() - begin))
        chain.wait_healthy(10)
        assert time.monotonic() - begin < limit
    finally:
        chain.stop()
        forwarder.stop()


def test_both_find_out(make_chain):
    run(make_chain, True, True, 15)


def test_the_connector_alone_finds_out(make_chain):
    """The new tunnel of a newer dial must not wait for the stale one."""
    run(make_chain, False, True, 12)


