# SPDX-License-Identifier: Apache-2.0
"""Session tickets: resumption on any worker and any gateway behind one name, and no delay without."""

import ssl
import time

import pytest

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
KEY = "0123456789abcdef0123456789abcdef"


def client(chain):
    return ssl.create_default_context(cafile=chain.pki.path("ca.pem"))


def visit(chain, context, version, session=None, **kw):
    """One request on a connection of its own: its session, and whether that was resumed."""
    with chain.raw(context=context, version=version, session=session, **kw) as c:
        c.send(chain.octets("GET", "/sap/bc/ping"))
        assert c.answer().status == 200
        return c.sock.session, c.sock.session_reused


@pytest.mark.parametrize("version", VERSIONS)
def test_resumed_by_every_worker(make_chain, version):
    chain = make_chain(workers=2)
    context = client(chain)
    session, is_resumed = visit(chain, context, version)
    assert not is_resumed
    for _ in range(20):
        assert visit(chain, context, version, session)[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_switched_off(make_chain, version):
    chain = make_chain(gateway={"gateway": {"session_tickets": "no"}})
    context = client(chain)
    session, _ = visit(chain, context, version)
    assert not session.has_ticket
    assert not visit(chain, context, version, session)[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_resumed_after_a_restart_with_a_key(make_chain, version):
    for key, want in ((KEY, True), (None, False)):
        chain = make_chain(gateway={"gateway": {"session_ticket_key": key}} if key else {})
        context = client(chain)
        session, _ = visit(chain, context, version)
        chain.gateway.stop()
        chain.gateway.start()
        chain.wait_healthy()
        assert visit(chain, context, version, session)[1] is want


@pytest.mark.parametrize("tickets", ["yes", "no"])
def test_clients_with_nagle_do_not_wait(make_chain, tickets):
    """Such a client holds its request back until its handshake has been acknowledged."""
    chain = make_chain(gateway={"gateway": {"session_tickets": tickets}})
    context = client(chain)
    took = []
    for _ in range(8):
        with chain.raw(context=context, version=ssl.TLSVersion.TLSv1_3, has_nagle=True) as c:
            begin = time.monotonic()
            c.send(chain.octets("GET", "/sap/bc/ping"))
            assert c.answer().status == 200
            took.append(time.monotonic() - begin)
    assert sorted(took)[1] < 0.03, took
