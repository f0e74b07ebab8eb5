# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 under load: many streams, both versions at once; what dies or stops loses nothing."""

import contextlib
import re
import time
from collections import Counter

from chain import Background, assert_problem, run, wait_until
from h2raw import DATA, END_STREAM, H2, frame
from tools import basic

IDLE = {"connector": {"retry_min": "100ms", "retry_max": "1s"}}
KEEP = ["--keep", "100000"]


def h2load(chain, n, body, path, *more):
    """Pushes by h2load; how many were answered, and how many with 2xx (0 in HTTP/1.1, where it does
    not count them)."""
    done = run(["h2load", "-n", str(n), "-d", body, f"--connect-to=127.0.0.1:{chain.port}",
                "-H", "Authorization: Basic " + basic("s4push", "Push-Pass-4711").split(" ")[-1],
                *more, f"https://push.example.com:{chain.port}/ACME_PROD/sap/frun/{path}"],
               deadline=120)
    assert done.returncode == 0, done.stdout + done.stderr
    got = re.search(r"(\d+) done,.* (\d+) errored, (\d+) timeout\nstatus codes: (\d+) 2xx", done.stdout)
    assert got and got[2] == got[3] == "0", done.stdout
    return int(got[1]), int(got[4])


def arrived(chain):
    return Counter(g["path"].rsplit("/", 1)[1] for g in chain.received() if g["complete"])


def test_four_connections_of_eight_streams(make_chain, tmp_path):
    chain = make_chain(sim=KEEP)
    body = tmp_path / "body"
    body.write_bytes(b"m" * 2000)
    assert h2load(chain, 2000, str(body), "load", "-c4", "-m8") == (2000, 2000)
    assert arrived(chain) == {"load": 2000}


def test_both_versions_at_once(make_chain, tmp_path):
    chain = make_chain(sim=KEEP)
    body = tmp_path / "body"
    body.write_bytes(b"m" * 2000)
    loads = [Background(h2load, chain, 1000, str(body), "two", "-c4", "-m8"),
             Background(h2load, chain, 1000, str(body), "one", "-c8", "--h1")]
    assert [x.result(120) for x in loads] == [(1000, 1000), (1000, 0)]
    assert arrived(chain) == {"two": 1000, "one": 1000}
    lines = Counter((x["protocol"], x["status"]) for x in chain.pushes_logged(2000))
    assert lines == {("HTTP/2.0", 200): 1000, ("HTTP/1.1", 200): 1000}


def test_connector_killed_in_mid_push(make_chain):
    """The pushers get 502 at once, on a connection that goes on; nothing is sent twice."""
    chain = make_chain(connector=IDLE, sim=KEEP)
    with H2(chain) as c:
        half = c.request(c.fields(path="/ACME_PROD/sap/frun/half"), b"h" * 30000, is_end=False)
        whole = c.request(c.fields(path="/ACME_PROD/sap/frun/whole?_sim=delay:20s"), b"w")
        wait_until(lambda: [g for g in chain.received() if g["path"].endswith("/whole")],
                   "the whole one is there", 10)
        began = time.monotonic()
        chain.connector.kill()
        assert_problem(c.answer(whole), 502)
        assert_problem(c.answer(half), 502)
        assert time.monotonic() - began < 5
        c.send(frame(DATA, END_STREAM, half, b"too late"))
        chain.connector.start()
        chain.wait_healthy()
        assert c.ask(path="/ACME_PROD/sap/frun/next", body=b"n").status == 200
        assert c.stream(half).reset is None
    got = Counter(g["path"].rsplit("/", 1)[1] for g in chain.received())
    assert got["whole"] == got["next"] == 1 and got["half"] <= 1, got
    assert arrived(chain)["half"] == 0


class Load:
    """Connections that push numbered requests, so many at once, until told to go away."""

    def __init__(self, chain, connections=4, streams=8):
        self.chain = chain
        self.streams = streams
        self.answers = {}  # name: status, or what happened instead
        self.goaways = []
        self.threads = [Background(self.run, i) for i in range(connections)]

    def ask(self, c, name, live):
        with contextlib.suppress(OSError):
            c.pump(0.001)
            if not c.goaway and not c.is_closed:
                live[c.next_id] = name
                c.request(c.fields(path=f"/ACME_PROD/sap/frun/{name}?_sim=delay:20ms"), b"x" * 500)

    def run(self, who):
        live = {}
        n = 0
        with H2(self.chain) as c:
            while not c.is_closed:
                while len(live) < self.streams and not c.goaway and not c.is_closed:
                    self.ask(c, f"w{who}n{n}", live)
                    n += 1
                c.pump(0.05)
                for stream in [x for x in live if c.done(x)]:
                    a = c.answer(stream)
                    self.answers[live.pop(stream)] = a if isinstance(a, str) else a.status
            self.goaways.append(c.goaway)
            for stream, name in live.items():
                self.answers[name] = "never read" if stream > c.goaway[-1][0] else "lost"


def test_stop_under_load(make_chain):
    """Whatever was accepted is answered; whatever was not never went on, and the client can tell."""
    chain = make_chain(sim=KEEP)
    load = Load(chain)
    wait_until(lambda: len(load.answers) > 200, "some load", 30)
    chain.gateway.signal(15)
    for t in load.threads:
        t.result(60)
    assert chain.gateway.wait() == 0
    assert len(load.goaways) == 4
    for seen in load.goaways:
        # Announced first, and named when that was certainly read.
        assert [code for _, code in seen] == ["NO_ERROR"] * len(seen) and len(seen) == 2, seen
        assert seen[0][0] == 0x7fffffff and seen[1][0] < 0x7fffffff, seen
    counts = Counter(load.answers.values())
    assert set(counts) <= {200, "never read", "REFUSED_STREAM"} and counts[200] > 200, counts
    there = arrived(chain)
    for name, status in load.answers.items():
        assert there[name] == (1 if status == 200 else 0), (name, status, there[name])
