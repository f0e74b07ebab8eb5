# SPDX-License-Identifier: Apache-2.0
"""The connector dies during pushes and comes back: no push is lost without a word, none is doubled."""

import signal
import threading
import time
from collections import Counter

from chain import Background
from tools import wait_until

IDLE = {"connector": {"retry_min": "100ms", "retry_max": "1s"}}


class Pushers:
    """Threads that push numbered requests until told to stop."""

    def __init__(self, chain, n=4):
        self.chain = chain
        self.stop_event = threading.Event()
        self.answers = {}
        self.threads = [Background(self.run, i) for i in range(n)]

    def run(self, who):
        n = 0
        while not self.stop_event.is_set():
            name = f"w{who}n{n}"
            n += 1
            try:
                self.answers[name] = self.chain.push(
                    target="/ACME_PROD/sap/frun/" + name, timeout=30).status
            except OSError as e:
                self.answers[name] = repr(e)

    def stop(self):
        self.stop_event.set()
        for t in self.threads:
            t.result(60)
        return self.answers


def judge(chain, answers, allowed):
    assert set(answers.values()) <= allowed, Counter(answers.values())
    arrived = Counter(g["path"].rsplit("/", 1)[1] for g in chain.received() if g["complete"])
    for name, status in answers.items():
        if status == 200:
            assert arrived[name] == 1, (name, arrived[name])
        else:
            assert arrived[name] <= 1, (name, arrived[name])
    return Counter(answers.values())


def test_killed_and_restarted_during_pushes(make_chain):
    chain = make_chain(connector=IDLE, sim=["--keep", "100000"])
    pushers = Pushers(chain)
    times = []
    for _ in range(3):
        count = len(pushers.answers)
        while len(pushers.answers) < count + 20:
            time.sleep(0.01)
        chain.connector.kill()
        begin = time.monotonic()
        chain.connector.start()
        chain.wait_healthy()
        times.append(time.monotonic() - begin)
    counts = judge(chain, pushers.stop(), {200, 502})
    # A request that waits is held, one that was under way may break: one for each pusher.
    assert counts[502] <= 12 and counts[200] >= 60, counts
    print("back after", ["%.2f s" % t for t in times], dict(counts))
    assert max(times) < 8


def test_restarted_in_good_order_loses_nothing(make_chain):
    chain = make_chain(connector=IDLE, sim=["--keep", "100000"])
    pushers = Pushers(chain)
    for _ in range(2):
        count = len(pushers.answers)
        while len(pushers.answers) < count + 20:
            time.sleep(0.01)
        assert chain.connector.stop() == 0
        chain.connector.start()
        chain.wait_healthy()
    counts = judge(chain, pushers.stop(), {200})
    assert counts[200] >= 40


def test_two_connectors_one_killed(make_chain):
    chain = make_chain(connector=IDLE, connectors=("dc1-a", "dc1-b"), sim=["--keep", "100000"])
    for c in chain.connectors.values():
        c.wait_log("")
    pushers = Pushers(chain)
    while len(pushers.answers) < 40:
        time.sleep(0.01)
    chain.connectors["dc1-a"].kill()
    count = len(pushers.answers)
    while len(pushers.answers) < count + 40:
        time.sleep(0.01)
    counts = judge(chain, pushers.stop(), {200, 502})
    assert counts[502] <= 4, counts
    assert chain.health() == 200
    assert chain.push().status == 200


def test_a_stream_in_flight_ends_with_an_error_not_a_hang(make_chain):
    chain = make_chain(connector=IDLE)
    slow = Background(chain.push, target="/ACME_PROD/sap/frun/x?_sim=delay:20s")
    while not chain.received():
        time.sleep(0.02)
    begin = time.monotonic()
    chain.connector.kill()
    assert slow.result().status == 502
    assert time.monotonic() - begin < 5


def test_a_slow_request_holds_nobody_up_for_too_long(make_chain):
    """A restart lasts as long as the longest request in flight, here longer than `hold`. The connector
    said that it comes back: who came meanwhile waits for it and gets no error."""
    chain = make_chain(gateway={"gateway": {"hold": "1s"}}, connector=IDLE)
    slow = Background(chain.push, target="/ACME_PROD/sap/frun/slow?_sim=delay:4s", timeout=30)
    wait_until(lambda: any("/slow" in g["path"] for g in chain.received()), "it is under way")
    chain.connector.signal(signal.SIGTERM)
    wait_until(lambda: "connector says it is closing" in chain.gateway.log(), "its farewell")
    waiting = [Background(chain.push, target=f"/ACME_PROD/sap/frun/w{i}", timeout=30) for i in range(4)]
    assert chain.connector.wait(20) == 0
    chain.connector.start()
    assert slow.result(20).status == 200
    assert [w.result(20).status for w in waiting] == [200] * 4
    # Gone for good, nobody waits longer than `hold`.
    assert chain.connector.stop() == 0
    begin = time.monotonic()
    assert chain.push().status == 503
    assert time.monotonic() - begin < 4
