# SPDX-License-Identifier: Apache-2.0
"""Our own errors: which status, that they say they are ours, and that Focused Run's pass."""

import json
import time

import pytest

from chain import FENCE, assert_problem

FAST = {"gateway": {"hold": "1s", "response_timeout": "1s", "connect_timeout": "1s",
                    "max_body": "64K"}}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 502, 503, 504])
def test_a_focused_run_answer_is_never_replaced(shared, status):
    a = shared.push(target=f"/ACME_PROD/sap/frun/x?_sim=status:{status}")
    assert a.status == status
    assert a.get("Content-Type") == "application/json"
    assert json.loads(a.body)["status"] == "accepted"
    assert "error=" not in (a.get("Proxy-Status") or "")


def test_focused_runs_own_refusals_pass(make_chain):
    """A wrong fence in our configuration is Focused Run's 403, not ours."""
    chain = make_chain(gateway={"endpoint ACME_PROD": {"admin_request_parameter": "wrong"}})
    a = chain.push()
    assert a.status == 403 and "unknown" in json.loads(a.body)["reason"]


def test_wrong_password_towards_focused_run(make_chain):
    chain = make_chain(gateway={"endpoint ACME_PROD": {"password": "file:../secrets/wrong"}},
                       start=False)
    chain.write("secrets/wrong", "wrong\n")
    chain.start()
    a = chain.push()
    assert a.status == 401
    assert a.get("WWW-Authenticate") == \
        'Basic realm="SAP NetWeaver Application Server [FR1/100]"'


def test_no_tunnel(make_chain):
    chain = make_chain(gateway=FAST, connectors=(), wait=False)
    begin = time.monotonic()
    a = chain.push()
    took = time.monotonic() - begin
    assert_problem(a, 503)
    assert 1 <= int(a.get("Retry-After")) <= 60
    assert 0.9 <= took < 5, f"held for {took} s"
    line = chain.pushes_logged(1)[-1]
    assert 503 in line.values() and "gateway" in line.values(), line


def test_a_held_request_goes_on_when_the_tunnel_comes(make_chain):
    chain = make_chain(gateway={"gateway": {"hold": "15s"}}, wait=False, connectors=())
    with chain.raw() as c:
        c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=b'{"held":1}'))
        c.sock.settimeout(0.3)
        with pytest.raises(OSError):
            c.answer()
        chain.add_connector("dc1-a").start()
        c.sock.settimeout(15)
        assert c.answer().status == 200
    assert chain.last()["body"] == '{"held":1}'


def test_focused_run_is_down(make_chain):
    chain = make_chain(gateway=FAST)
    assert chain.push().status == 200
    chain.sim.stop()
    a = chain.push()
    assert_problem(a, 502, "frun")
    assert "error=" in a.get("Proxy-Status")
    chain.start_sim()
    assert chain.push().status == 200


def test_focused_run_is_too_slow(make_chain):
    chain = make_chain(gateway=FAST)
    a = chain.push(target="/ACME_PROD/sap/frun/x?_sim=delay:9s")
    assert_problem(a, 504, "frun")
    assert chain.push().status == 200


def test_the_connector_has_a_response_timeout_too(make_chain):
    chain = make_chain(connector={"connector": {"response_timeout": "1s"}})
    assert_problem(chain.push(target="/ACME_PROD/sap/frun/x?_sim=delay:4s"), 504, "frun")


def test_denied_by_the_connector(make_chain):
    chain = make_chain(connector={"resource frun": {"policy": "path-only"}})
    assert chain.push(target="/ACME_PROD/sap/frun").status == 200
    a = chain.push(target="/ACME_PROD/sap/frun/x")
    assert_problem(a, 403, "frunconnector")
    assert len(chain.received()) == 1
    line = chain.pushes_logged(2)[-1]
    assert "connector" in line.values(), line


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_body_too_large(make_chain, how):
    chain = make_chain(gateway=FAST)
    with chain.raw() as c:
        if how == "length":
            c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", [("Content-Length", "65537")]))
        else:
            c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x",
                                [("Transfer-Encoding", "chunked")]))
            try:
                for _ in range(20):
                    c.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            except OSError:
                pass
        assert_problem(c.answer(), 413)
    assert not [g for g in chain.received() if g["complete"]]
    assert chain.push(b"x" * 65536).status == 200


def test_head_too_large_is_431(shared):
    a = shared.push(fields=[("X-Big", "b" * 40000)])
    assert_problem(a, 431)


def test_a_retry_after_of_focused_run_passes(shared):
    raw = "HTTP/1.1 503 Busy\r\nRetry-After: 77\r\nContent-Length: 0\r\n\r\n"
    quoted = "".join(f"%{ord(c):02X}" if not c.isalnum() else c for c in raw)
    a = shared.push(target="/ACME_PROD/sap/frun/x?_sim=raw:" + quoted)
    assert a.status == 503 and a.get("Retry-After") == "77" and a.body == b""


def test_own_errors_name_the_request(shared):
    a = shared.push(target="/ACME_PROD/etc", fields=[("X-Request-ID", "find-me"), (FENCE, "x")])
    value = assert_problem(a, 403)
    assert a.get("X-Request-ID") == "find-me" and "find-me" in json.dumps(value)
    assert a.get("Cache-Control") == "no-store"
