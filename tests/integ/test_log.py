# SPDX-License-Identifier: Apache-2.0
"""Log targets: rotation by SIGHUP, a full disk, the form of access lines, no secret anywhere."""

import os
import re
import signal

import pytest

from chain import FENCE, FRUN_PASSWORD, PASSWORD, USER, basic, wait_until


def text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


@pytest.mark.parametrize("signo", [signal.SIGHUP, signal.SIGUSR1])
def test_rotation(make_chain, tmp_path, signo):
    gateway_log, connector_log = str(tmp_path / "gateway"), str(tmp_path / "connector")
    chain = make_chain(gateway={"log": {"target": "file:" + gateway_log}},
                       connector={"log": {"target": "file:" + connector_log}})
    assert chain.push().status == 200
    for program, log in ((chain.gateway, gateway_log), (chain.connector, connector_log)):
        os.rename(log, log + ".1")
        program.signal(signo)
        wait_until(lambda log=log: os.path.exists(log), "a new file")
    assert chain.push().status == 200
    wait_until(lambda: "/ACME_PROD/sap/frun" in text(gateway_log), "the access line")

    def lines():
        said = (text(gateway_log + ".1") + text(gateway_log)).splitlines()
        return [x for x in said if '"path":"/ACME_PROD/sap/frun' in x]

    wait_until(lambda: len(lines()) == 2, "both access lines")
    if signo == signal.SIGHUP:
        wait_until(lambda: "the changed configuration is in use" in text(gateway_log), "read again, too")
    else:
        assert "configuration" not in text(gateway_log)
    assert '"traceparent":"00-' in text(gateway_log)


def test_rotation_loses_no_line(make_chain, tmp_path):
    log = str(tmp_path / "gateway")
    chain = make_chain(gateway={"log": {"target": "file:" + log, "level": "error"}})
    for i in range(60):
        assert chain.push().status == 200
        if i % 10 == 5:
            os.rename(log, f"{log}.{i}")
            chain.gateway.signal(signal.SIGUSR1)
            wait_until(lambda: os.path.exists(log), "a new file")

    def lines():
        said = "".join(text(str(p)) for p in tmp_path.glob("gateway*"))
        return [x for x in said.splitlines() if "/ACME_PROD/sap/frun" in x]

    wait_until(lambda: len(lines()) == 60, "each request has its line")
    assert len({re.search('"request_id":"([^"]+)"', x).group(1) for x in lines()}) == 60


def test_a_full_disk_is_told_and_pushes_go_on(make_chain):
    chain = make_chain(gateway={"log": {"target": "file:/dev/full"}})
    assert chain.push().status == 200
    assert chain.push().status == 200
    wait_until(lambda: "/dev/full" in chain.gateway.log(), "a word on stderr")
    assert chain.gateway.log().count("/dev/full") == 1


@pytest.mark.skipif(os.path.exists("/run/systemd/journal/socket"), reason="there is a journal")
def test_a_missing_journal_is_told(make_chain):
    chain = make_chain(gateway={"log": {"target": "journal"}})
    assert chain.push().status == 200
    wait_until(lambda: "target = stderr" in chain.gateway.log(), "a word on stderr")


@pytest.mark.parametrize("access", ["json", "combined", "off"])
def test_no_secret_in_any_log(make_chain, access):
    chain = make_chain(gateway={"log": {"level": "debug", "access": access}})
    assert chain.push(fields=[(FENCE, "forged-fence")]).status == 200
    assert chain.push(auth=(USER, "wrong-pass-word")).status == 401
    assert chain.gateway.stop() == 0
    said = chain.gateway.log() + chain.connector.log()
    for secret in (PASSWORD, FRUN_PASSWORD, "wrong-pass-word", "acme-prod-proxy", "forged-fence",
                   basic(USER, PASSWORD).split()[1]):
        assert secret not in said, secret
    assert ("/ACME_PROD/sap/frun" in chain.gateway.log()) == (access != "off")
