# SPDX-License-Identifier: Apache-2.0
"""A head that the gateway takes and the connector does not."""

import time

from chain import assert_problem


def test_refused_at_once(make_chain):
    chain = make_chain(connector={"connector": {"max_head": "8K"}})
    begin = time.monotonic()
    assert_problem(chain.push(fields=[("X-Long", "y" * 20000)]), 431)
    assert time.monotonic() - begin < 4  # not held as if a connector could come
    assert chain.push().status == 200


def test_gateway_takes_the_head_it_is_configured_for(make_chain):
    chain = make_chain(gateway={"gateway": {"max_head": "128K"}})
    a = chain.push(fields=[(f"X-Long-{i}", "y" * 30000) for i in range(3)])
    assert_problem(a, 431)
    assert chain.push(fields=[("X-Long", "y" * 50000)]).status == 200
