# SPDX-License-Identifier: Apache-2.0
"""A POST on a connection that Focused Run closes without a word: sent again only where the endpoint allows it."""

import pytest

from scripted import read_body, scripted_chain

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def lame(state):
    """Takes the second request of its first connection and hangs up."""
    def script(s, head, rest):
        _, rest = read_body(s, head, rest)
        state["n"] += 1
        if state["n"] == 2:
            return None
        s.sendall(ANSWER)
        return rest
    return script


@pytest.mark.parametrize("route", ["tunnel", "direct"])
@pytest.mark.parametrize("repeat, status, taken", [("no", 502, 2), ("yes", 200, 3)])
def test_post(make_chain, route, repeat, status, taken):
    state = {"n": 0}
    # One worker: the second request takes the connection of the first.
    chain = scripted_chain(make_chain, route, lame(state), gateway={
        "gateway": {"workers": "1"}, "endpoint ACME_PROD": {"repeat_requests": repeat}})
    assert chain.push().status == 200
    assert chain.push().status == status
    assert state["n"] == taken
    for head in chain.backend.heads:
        assert "frun-" not in head.lower().replace("frun-push", ""), head
    chain.backend.stop()
