# SPDX-License-Identifier: Apache-2.0
"""The connector's configuration changes while it runs: its tunnels stay, unless they are what has
changed, and then the new ones come first."""

import re
import signal

from chain import free_port, ini_text, merge, program, run, wait_until

from test_reload import (IN_USE, KEPT, Load, ask, asked_while_it_drains, everything_at_once,
                         put_pair)

QUICK = {"connector": {"retry_min": "100ms", "retry_max": "1s"}}


def outcomes(chain):
    return re.findall(f"{IN_USE}|{KEPT}", chain.connector.log())


def write(chain, over):
    sections = merge(merge(chain.default_connector("dc1-a"), QUICK), over)
    chain.write("dc1-a.ini", ini_text(sections))


def reload(chain, over, want=IN_USE):
    n = len(outcomes(chain))
    write(chain, over)
    chain.connector.signal(signal.SIGHUP)
    wait_until(lambda: len(outcomes(chain)) > n, "the reload has ended", 20)
    assert outcomes(chain)[-1] == want, chain.connector.tail()


def opened(chain):
    return chain.connector.log().count("open, location")


def test_access_control_at_once(make_chain):
    chain = make_chain(connector=QUICK)
    assert chain.push().status == 200
    n = opened(chain)
    reload(chain, {"resource frun": {"path": "/sap/frun/other"}})
    assert chain.push().status == 403
    assert chain.push(target="/ACME_PROD/sap/frun/other/x").status == 200
    reload(chain, {"resource frun": None, "system fr1_frun:443": {"internal_port": "x"}}, want=KEPT)
    assert chain.push(target="/ACME_PROD/sap/frun/other/x").status == 200
    reload(chain, {})
    assert chain.push().status == 200
    assert opened(chain) == n, "tunnels are not touched"


def test_changed_membership(make_chain, pki):
    """Another certificate: new tunnels first, then the old ones finish; nothing is lost."""
    chain = make_chain(connector=QUICK)
    pki.client("dc1-a-renewed", "connectors-ca", "dc1-a")
    new = {"connector": {"certificate": pki.path("dc1-a-renewed.pem"),
                         "private_key": pki.path("dc1-a-renewed.key")}}
    n = opened(chain)
    with Load(chain) as load:
        wait_until(lambda: load.n > 50, "load")
        reload(chain, new)
        wait_until(lambda: opened(chain) > n, "opened anew", 15)
        wait_until(lambda: "drained and closed" in chain.connector.log(), "the old ones end", 20)
        done = load.n
        wait_until(lambda: load.n > done + 50, "load goes on", 20)
    assert not load.failures, load.failures[:3]


def test_memberships_come_and_go(make_chain):
    chain = make_chain(connector=QUICK)
    n = opened(chain)
    second = {"subaccount second": {"gateway": f"127.0.0.1:{chain.tunnel_port}",
                                    "gateway_ca": "tls/ca.pem", "location_id": "DC1"}}
    reload(chain, second)
    wait_until(lambda: opened(chain) >= n + 2, "the second one stands", 10)
    ended = chain.connector.log().count("drained and closed")
    reload(chain, {})
    wait_until(lambda: chain.connector.log().count("drained and closed") >= ended + 2, "gone", 10)
    assert chain.push().status == 200
    # An address where nobody is: the old tunnels carry on until the new ones could have stood.
    reload(chain, {"subaccount provider": {"gateway": f"127.0.0.1:{free_port()}"}})
    assert chain.push().status == 200
    reload(chain, {})
    assert chain.push().status == 200


def test_many_times(make_chain):
    chain = make_chain(connector=QUICK)
    with Load(chain, threads=2) as load:
        for i in range(12):
            reload(chain, {"connector": {"response_timeout": f"{60 + i}s"}})
    assert not load.failures, load.failures[:3]
    assert "drained" not in chain.connector.log()


def test_asked_through_the_control_socket(make_chain, tmp_path):
    socket = str(tmp_path / "c")
    chain = make_chain(connector=merge(QUICK, {"admin": {"control_socket": socket}}))
    admin = {"admin": {"control_socket": socket}}

    def ctl(*words):
        return run([program("frunctl"), *words, "--socket", socket])

    write(chain, merge(admin, {"connector": {"response_timeout": "61s"}}))
    r = ctl("config", "diff")
    assert r.returncode == 0 and r.stdout.strip() == \
        "connector.response_timeout: 1 m -> 61 s", r
    r = ctl("reload")
    assert r.returncode == 0 and "in use" in r.stdout, r
    assert ctl("config", "diff").stdout == ""
    write(chain, merge(admin, {"connector": {"response_timeout": "soon", "tunnels": "many"}}))
    r = ctl("reload")
    assert r.returncode == 78, r
    assert "connector.response_timeout" in r.stderr and "connector.tunnels" in r.stderr, r
    assert "is kept" in r.stderr, r
    r = ctl("reload", "--json")
    assert r.returncode == 78 and '"kept"' in r.stdout, r


def test_faster_than_they_end(make_chain):
    """More than may be on their way out at a time: the one too many waits and is in use then."""
    chain = make_chain(connector=merge(QUICK, {"connector": {"connect_timeout": "1s"}}))
    n = opened(chain)
    write(chain, {"connector": {"connect_timeout": "1s"}})
    for i in range(66):
        before = len(outcomes(chain))
        chain.connector.signal(signal.SIGHUP)
        wait_until(lambda: len(outcomes(chain)) > before, f"reload {i} has ended", 40)
    r = ask(chain, "dc1-a.sock")
    assert r.returncode == 0 and "in use" in r.stdout, r
    assert KEPT not in chain.connector.log() and opened(chain) == n
    assert chain.push().status == 200


def test_asked_while_it_drains(make_chain):
    chain = make_chain(connector=QUICK)
    asked_while_it_drains(chain, chain.connector, "dc1-a.sock")


def test_everything_at_once(make_chain, pki):
    chain = make_chain(connector=QUICK)
    own = chain.path("own.pem")
    put_pair(pki, "dc1-a", own)
    reload(chain, {"connector": {"certificate": "own.pem", "private_key": "own.pem"}})

    def renew(name):
        pki.client(name, "connectors-ca", "dc1-a")
        put_pair(pki, name, own)

    everything_at_once(chain, chain.connector, "dc1-a.sock", renew)
    assert chain.push().status == 200
