# SPDX-License-Identifier: Apache-2.0
"""The configuration changes while the gateway runs: nothing is lost, and nothing stays that is not
in it any more."""

import os
import re
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest

from chain import (FENCE, PASSWORD, USER, Background, assert_problem, basic, free_port,
                   password_hash, program, run, wait_until)

IMPATIENT = {"connector": {"retry_min": "100ms", "retry_max": "300ms"}}
IN_USE = "the changed configuration is in use"
KEPT = "the configuration in use is kept"


def outcomes(chain):
    return len(re.findall(f"{IN_USE}|{KEPT}", chain.gateway.log()))


def reload(chain, want=IN_USE):
    """SIGHUP, and wait for what becomes of it."""
    before = outcomes(chain)
    chain.gateway.child.send_signal(signal.SIGHUP)
    wait_until(lambda: outcomes(chain) > before, "the reload has ended\n" + chain.gateway.tail(), 20)
    last = re.findall(f"{IN_USE}|{KEPT}", chain.gateway.log())[-1]
    assert last == want, chain.gateway.tail()


def ask(chain, name="control.sock"):
    """frunctl reload."""
    return run([program("frunctl"), "reload", "--socket", chain.path(name)])


def change(chain, want=IN_USE, **sections):
    """Sections by name; a key of None goes, a section of None too."""
    for name, keys in sections.items():
        if keys is None:
            chain.gateway_sections.pop(name)
            continue
        section = chain.gateway_sections.setdefault(name, {})
        for key, value in keys.items():
            if value is None:
                section.pop(key, None)
            else:
                section[key] = value
    chain.write_gateway()
    reload(chain, want)


class Kept:
    """A connection that is kept over reloads."""

    def __init__(self, chain):
        self.chain = chain
        self.c = chain.raw()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.c.__exit__(*what)

    def push(self, **kw):
        self.c.send(self.chain.octets("POST", kw.pop("target", "/ACME_PROD/sap/frun/x"), (),
                                      b"{}", **kw))
        return self.c.answer("POST")


class Load:
    """Pushes on kept and on new connections from several threads; every answer is looked at."""

    def __init__(self, chain, threads=4, per_connection=20, target="/ACME_PROD/sap/frun/load"):
        self.chain = chain
        self.target = target
        self.per_connection = per_connection
        self.is_over = False
        self.n = 0
        self.failures = []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *what):
        self.is_over = True
        for t in self.threads:
            t.join(60)

    def run(self):
        body = b"x" * 3000
        while not self.is_over:
            try:
                with self.chain.raw() as c:
                    for _ in range(self.per_connection):
                        c.send(self.chain.octets("POST", self.target, (), body))
                        answer = c.answer("POST")
                        self.n += 1
                        if answer.status != 200:
                            self.failures.append(answer)
                        if (answer.get("Connection") or "") == "close" or self.is_over:
                            break
            except (OSError, ConnectionError, AssertionError) as e:
                self.failures.append(e)


def tunnels(chain):
    return chain.gateway.log().count("tunnel from 127.0.0.1")


def test_nothing_changed(make_chain):
    chain = make_chain()
    with Kept(chain) as kept:
        assert kept.push().status == 200
        opened = tunnels(chain)
        for _ in range(3):
            reload(chain)
            assert kept.push().status == 200
        assert tunnels(chain) == opened
        assert "drain" not in chain.connector.log()


def test_pushers_and_endpoints(make_chain):
    chain = make_chain()
    with Kept(chain) as kept:
        assert kept.push().status == 200
        # Another password: the old one is good no more, on this connection neither.
        change(chain, **{"pusher s4-acme": {"password_hash": password_hash("new")}})
        assert kept.push().status == 401
        assert kept.push(auth=(USER, "new")).status == 200
        # A pusher that has gone, and one that is new.
        change(chain, **{"pusher s4-acme": None, "pusher fresh": {
            "endpoint": "ACME_PROD", "auth": "basic", "user": "fresh",
            "password_hash": password_hash(PASSWORD)}})
        assert kept.push(auth=(USER, "new")).status == 401
        assert kept.push(auth=("fresh", PASSWORD)).status == 200
        # May use another endpoint only.
        change(chain, **{"pusher fresh": {"endpoint": "GLOBEX"}})
        assert kept.push(auth=("fresh", PASSWORD)).status == 403
        assert kept.push(auth=("fresh", PASSWORD), target="/GLOBEX/sap/frun/x").status == 200
        # An endpoint goes, and comes.
        change(chain, **{"endpoint ACME_PROD": None, "endpoint INITECH": {
            "system": "FR1", "customer_network": "INITECH",
            "admin_request_parameter": "globex-proxy", "admin_request_carrier": "query " + FENCE,
            "user": "FRUN_PUSH", "password": "file:../secrets/acme_prod"},
            "endpoint GLOBEX": None, "pusher globex": None,
            "pusher fresh": {"endpoint": "INITECH"}})
        assert_problem(kept.push(auth=("fresh", PASSWORD)), 404)
        assert kept.push(auth=("fresh", PASSWORD), target="/INITECH/sap/frun/x").status == 200


def test_what_is_under_way_finishes(make_chain):
    """Its endpoint goes while a push waits for Focused Run, and while its body comes."""
    chain = make_chain()
    slow = "/ACME_PROD/sap/frun/x?_sim=delay:2s"
    waiting = Background(chain.push, target=slow)
    with chain.raw() as c:
        octets = chain.octets("POST", slow, (), b"x" * 1000)
        c.send(octets[:-500])
        time.sleep(0.3)
        change(chain, **{"endpoint ACME_PROD": None, "pusher s4-acme": None})
        assert chain.push().status == 404
        c.send(octets[-500:])
        assert c.answer("POST").status == 200
    assert waiting.result().status == 200


@pytest.mark.parametrize("what", ["syntax", "certificate", "address", "secret"])
def test_broken_is_not_used(make_chain, what):
    chain = make_chain()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        broken = {"syntax": {"gateway": {"hold": "soon", "max_body": "none"}},
                  "certificate": {"gateway": {"certificate": "tls/ca.pem"}},
                  "address": {"gateway": {"listen": [f"127.0.0.1:{chain.port}",
                                                     f"127.0.0.1:{taken.getsockname()[1]}"]}},
                  "secret": {"endpoint ACME_PROD": {"password": "file:../secrets/none"}}}[what]
        with Kept(chain) as kept:
            assert kept.push().status == 200
            change(chain, want=KEPT, **broken)
            assert kept.push().status == 200 and chain.push().status == 200
    log = chain.gateway.log()
    expected = {"syntax": ["gateway.hold", "gateway.max_body"],
                "certificate": ["gateway.private_key", "does not belong"],
                "address": ["another program listens there"],
                "secret": ["secrets/none"]}[what]
    assert all(text in log for text in expected), chain.gateway.tail()
    assert chain.gateway.is_running()


def test_listeners(make_chain):
    chain = make_chain()
    other = free_port()
    tunnel = free_port()
    with Kept(chain) as kept:
        assert kept.push().status == 200
        change(chain, gateway={"listen": [f"127.0.0.1:{chain.port}", f"127.0.0.1:{other}"]},
               tunnel={"listen": [f"127.0.0.1:{chain.tunnel_port}", f"127.0.0.1:{tunnel}"]})
        for _ in range(8):
            assert chain.push(port=other).status == 200 and chain.push().status == 200
        change(chain, gateway={"listen": f"127.0.0.1:{other}"})
        assert kept.push().status == 200  # accepted before
        for _ in range(8):
            assert chain.push(port=other).status == 200
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", chain.port), 2)
        with socket.create_connection(("127.0.0.1", tunnel), 2):
            pass


def test_connectors(make_chain):
    """A connector that may not come any more loses its tunnels; the other keeps its own."""
    chain = make_chain(connectors=("dc1-a", "dc1-b"), connector=IMPATIENT)
    wait_until(lambda: all("open, location" in c.log() for c in chain.connectors.values()), "tunnels")
    change(chain, **{"connector DC1-B": {"location_id": "DC2"}})
    b, a = chain.connectors["dc1-b"], chain.connectors["dc1-a"]
    wait_until(lambda: "the gateway drains this tunnel" in b.log() and "refused with 403" in b.log(),
               "dc1-b is sent away")
    assert "drains" not in a.log()
    assert chain.push().status == 200
    change(chain, **{"connector DC1-B": {"location_id": "DC1"}})
    opened = b.log().count("open, location")
    wait_until(lambda: b.log().count("open, location") > opened, "dc1-b is back", 10)
    change(chain, **{"connector DC1-A": None})
    wait_until(lambda: "refused with 403" in a.log(), "dc1-a is sent away")
    assert chain.push().status == 200


def test_another_ca_of_connectors(make_chain, pki):
    """Tunnels are opened anew, so that each shows a certificate that is trusted now."""
    chain = make_chain(connector=IMPATIENT)
    bundle = open(pki.path("connectors-ca.pem")).read() + open(pki.path("frun-ca.pem")).read()
    chain.write("both.pem", bundle)
    with Load(chain) as load:
        change(chain, tunnel={"client_ca": "both.pem"})
        wait_until(lambda: "the gateway drains this tunnel" in chain.connector.log(), "drained")
        wait_until(lambda: chain.connector.log().count("open, location") >= 4, "opened anew", 10)
        n = load.n
        wait_until(lambda: load.n > n + 50, "pushes go on", 20)
    assert not load.failures, load.failures[:3]
    change(chain, tunnel={"client_ca": "tls/frun-ca.pem"})
    wait_until(lambda: "closed the connection" in chain.connector.log(), "not trusted any more")


def copy_pair(pki, name, to):
    shutil.copy(pki.path(name + ".pem"), to + ".pem")
    shutil.copy(pki.path(name + ".key"), to + ".key")


def test_certificates(make_chain, pki):
    chain = make_chain()
    copy_pair(pki, "gateway", chain.path("own"))
    change(chain, gateway={"certificate": "own.pem", "private_key": "own.key"})
    with Kept(chain) as kept:
        first = kept.c.sock.getpeercert(True)
        assert kept.push().status == 200
        pki.server("renewed", "ca", ["push.example.com"])
        copy_pair(pki, "renewed", chain.path("own"))
        reload(chain)
        assert kept.push().status == 200
        with Kept(chain) as later:
            assert later.c.sock.getpeercert(True) != first
            assert later.push().status == 200


def test_files_are_watched(make_chain, pki):
    """A renewed pair is used by itself; one that does not fit is told once."""
    chain = make_chain()
    copy_pair(pki, "gateway", chain.path("own"))
    change(chain, gateway={"certificate": "own.pem", "private_key": "own.key"})
    with Kept(chain) as first:
        before = first.c.sock.getpeercert(True)
    pki.server("watched", "ca", ["push.example.com"])
    chain.write("frunproxy.ini", "[gateway]\nhalf = ")  # nobody asked for that to be read
    shutil.copy(pki.path("watched.pem"), chain.path("own.pem"))
    chain.gateway.wait_log(KEPT, 30)
    with Kept(chain) as same:
        assert same.c.sock.getpeercert(True) == before
    n = outcomes(chain)
    shutil.copy(pki.path("watched.key"), chain.path("own.key.new"))
    os.rename(chain.path("own.key.new"), chain.path("own.key"))
    wait_until(lambda: outcomes(chain) > n, "picked up", 30)
    with Kept(chain) as renewed:
        assert renewed.c.sock.getpeercert(True) != before
        assert renewed.push().status == 200


def test_limits(make_chain):
    """What a limit has let through is not forgotten, and a changed one counts at once."""
    chain = make_chain(gateway={"pusher s4-acme": {"max_requests_per_second": 1, "burst": 3},
                                "gateway": {"hold": "0"}})
    with Kept(chain) as kept:
        begin = time.monotonic()
        for _ in range(3):
            assert kept.push().status == 200
        reload(chain)
        n_let_in = 3
        while kept.push().status == 200:
            n_let_in += 1
        assert n_let_in <= 4 + (time.monotonic() - begin)
        change(chain, **{"pusher s4-acme": {"max_requests_per_second": None, "burst": None}})
        for _ in range(10):
            assert kept.push().status == 200
        change(chain, gateway={"max_body": "1K"})
        assert kept.push().status == 200
        assert chain.push(body=b"x" * 2000).status == 413


def test_log(make_chain):
    chain = make_chain()
    own = chain.path("own.log")
    chain.gateway_sections["log"] = {"target": "file:own.log", "access": "combined",
                                     "level": "info"}
    chain.write_gateway()
    chain.gateway.child.send_signal(signal.SIGHUP)
    wait_until(lambda: os.path.exists(own) and IN_USE in open(own).read(), "it goes to the file")
    assert chain.push().status == 200
    wait_until(lambda: '"POST /ACME_PROD' in open(own).read(), "an access line in the file")
    os.rename(own, own + ".1")
    chain.gateway.child.send_signal(signal.SIGHUP)
    wait_until(lambda: os.path.exists(own) and IN_USE in open(own).read(), "opened again")
    assert "debug" not in open(own).read()


def descriptors(chain):
    return len(os.listdir(f"/proc/{chain.gateway.child.pid}/fd"))


def test_under_load(make_chain):
    """Reloads in a row under load, each with another configuration, and a broken one between."""
    chain = make_chain(workers=2, gateway={"log": {"level": "info"}})
    hold = ["8s", "7s"]
    with Load(chain) as load:
        wait_until(lambda: load.n > 100, "load")
        for i in range(12):
            change(chain, gateway={"hold": hold[i % 2]}, **{f"pusher extra{i}": {
                "endpoint": "GLOBEX", "auth": "basic", "user": f"extra{i}",
                "password_hash": password_hash(PASSWORD)}})
            if i % 4 == 3:
                change(chain, want=KEPT, gateway={"hold": "never"})
        n = load.n
        wait_until(lambda: load.n > n + 100, "load goes on", 30)
    assert not load.failures, load.failures[:3]
    assert tunnels(chain) <= 4


def test_many_times(make_chain):
    """Neither memory nor descriptors grow."""
    chain = make_chain(gateway={"log": {"level": "info"}})
    n = 60
    with Kept(chain) as kept:
        for _ in range(n // 3):
            reload(chain)
            assert kept.push().status == 200
        fds, rss = descriptors(chain), chain.gateway.memory()
        for _ in range(n):
            reload(chain)
            assert kept.push().status == 200
        print("descriptors", fds, descriptors(chain), "octets", rss, chain.gateway.memory())
        assert descriptors(chain) <= fds + 2
        # A sanitizer keeps what was freed for a while, 8 MiB here.
        assert chain.gateway.memory() < rss + 16 * 1024 * 1024


def test_storm(make_chain):
    """Signals faster than reloads while one of two connectors ends; then reload and end at once."""
    chain = make_chain(connectors=("dc1-a", "dc1-b"), gateway={"log": {"level": "info"}})
    with Load(chain, threads=3) as load:
        wait_until(lambda: load.n > 30, "load", 20)
        chain.connectors["dc1-a"].signal(signal.SIGTERM)
        for _ in range(30):
            chain.gateway.signal(signal.SIGHUP)
            time.sleep(0.02)
        n = load.n
        wait_until(lambda: load.n > n + 60, "load goes on", 40)
    assert not load.failures, load.failures[:3]
    assert outcomes(chain) <= 30 and KEPT not in chain.gateway.log()
    assert chain.connectors["dc1-a"].wait(10) == 0
    chain.gateway.signal(signal.SIGHUP)
    chain.gateway.signal(signal.SIGTERM)
    assert chain.gateway.wait(20) == 0


def asked_while_it_drains(chain, daemon, socket_name):
    """Who asks then is told at once, and what is under way finishes."""
    slow = Background(chain.push, target="/ACME_PROD/sap/frun/x?_sim=delay:5s")
    wait_until(chain.received, "under way")
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("stopping")
    n = len(re.findall(f"{IN_USE}|{KEPT}", daemon.log()))
    daemon.signal(signal.SIGHUP)
    r = ask(chain, socket_name)
    assert daemon.is_running(), "the answer does not wait for the drain"
    assert r.returncode not in (0, 78) and "stopping" in r.stderr, r
    assert slow.result().status == 200
    assert daemon.wait(20) == 0
    assert len(re.findall(f"{IN_USE}|{KEPT}", daemon.log())) == n


def test_asked_while_it_drains(make_chain):
    chain = make_chain()
    asked_while_it_drains(chain, chain.gateway, "control.sock")


def put_pair(pki, name, path):
    """Certificate and key as one file, there as a whole or not at all."""
    with open(path + ".new", "w", encoding="ascii") as f:
        for part in (".pem", ".key"):
            with open(pki.path(name + part), encoding="ascii") as g:
                f.write(g.read())
    os.chmod(path + ".new", 0o600)
    os.rename(path + ".new", path)


def everything_at_once(chain, daemon, socket_name, renew):
    """Files that change, SIGHUP and frunctl reload: each is answered, and the last one counts."""
    with Load(chain, threads=2) as load:
        wait_until(lambda: load.n > 20, "load", 20)
        asked = []
        for i in range(6):
            renew(f"storm{i}")
            daemon.signal(signal.SIGHUP)
            asked.append(Background(ask, chain, socket_name))
            time.sleep(0.05)
        for a in asked:
            r = a.result()  # 78: certificate and key were read on both sides of a change
            assert (r.returncode, "in use" in r.stdout, KEPT in r.stderr) in \
                ((0, True, False), (78, False, True)), r
        # Behind all of them: a reload that goes on would read the next file before it is noticed.
        r = ask(chain, socket_name)
        assert r.returncode == 0, r
        wait_until(lambda: daemon.log().count(": reading ") ==
                   len(re.findall(f"{IN_USE}|{KEPT}", daemon.log())), "all have ended", 20)
        renew("watched")
        wait_until(lambda: "changed files: reading" in daemon.log(), "picked up", 30, step=0.002)
        daemon.signal(signal.SIGHUP)
        r = ask(chain, socket_name)
        assert r.returncode == 0 and "in use" in r.stdout, r
        assert "changed files: the changed configuration is in use" in daemon.log()
        n = load.n
        wait_until(lambda: load.n > n + 40, "load goes on", 30)
    assert not load.failures, load.failures[:3]


def test_everything_at_once(make_chain, pki):
    chain = make_chain(workers=2)
    own = chain.path("own.pem")
    put_pair(pki, "gateway", own)
    change(chain, gateway={"certificate": "own.pem", "private_key": "own.pem"})

    def renew(name):
        pki.server(name, "ca", ["push.example.com"])
        put_pair(pki, name, own)

    everything_at_once(chain, chain.gateway, "control.sock", renew)
    with Kept(chain) as last:
        with open(pki.path("watched.pem"), encoding="ascii") as f:
            assert last.c.sock.getpeercert(True) == ssl.PEM_cert_to_DER_cert(f.read())
        assert last.push().status == 200


@pytest.mark.skipif(not shutil.which("wrk"), reason="no wrk")
def test_under_somebody_elses_load(make_chain):
    """wrk keeps its connections; reloads, a broken one among them, disturb none of its requests."""
    chain = make_chain()
    wrk = Background(run, ["wrk", "-t2", "-c16", "-d8s", "--timeout", "20s",
                           "-H", "Authorization: " + basic(USER, PASSWORD),
                           f"https://127.0.0.1:{chain.port}/ACME_PROD/sap/frun/wrk"])
    wait_until(lambda: len(chain.received()) > 20, "load", 20)
    change(chain, gateway={"hold": "7s"})
    change(chain, **{"endpoint GLOBEX": {"description": "changed"}})
    change(chain, KEPT, gateway={"hold": "long"})
    change(chain, gateway={"hold": "6s"})
    reload(chain)
    told = wrk.result()
    assert told.returncode == 0 and "requests in" in told.stdout, told
    assert "Socket errors" not in told.stdout and "Non-2xx" not in told.stdout, told.stdout
