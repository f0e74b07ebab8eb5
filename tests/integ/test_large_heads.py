# SPDX-License-Identifier: Apache-2.0
"""Heads as large as max_head may be set, in both versions of HTTP."""

import pytest

from h2raw import H2
from scripted import read_body, scripted_chain

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def fields(total):
    """Many cookies among them: they are joined, sorted out and written once more."""
    n = total // 9000
    return [("cookie" if i % 2 else f"x-long-{i}", f"c{i}=" + "y" * 8900) for i in range(n)]


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_up_to_the_largest(make_chain, version):
    def script(s, head, rest):
        _, rest = read_body(s, head, rest)
        s.sendall(OK)
        return rest

    chain = scripted_chain(make_chain, "direct", script, gateway={"gateway": {"max_head": "1M"}})
    for total in (100000, 400000, 800000):
        more = fields(total)
        if version == "2":
            with H2(chain) as c:
                a = c.ask(more=more + [("content-length", "1")], body=b"x")
                assert not isinstance(a, str) and a.status == 200, a
        else:
            # One Cookie field is all that HTTP/1.1 allows.
            names = [(n if n != "cookie" else f"x-more-{i}", v) for i, (n, v) in enumerate(more)]
            a = chain.push(b"x", fields=names)
            assert a.status == 200, a
        got = chain.backend.heads[-1]
        assert got.count("y" * 8900) == len(more), (total, len(got))
    a = chain.push(b"x", fields=[(f"X-{i}", "y" * 30000) for i in range(36)])
    assert a.status == 431, a
