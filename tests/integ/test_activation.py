# SPDX-License-Identifier: Apache-2.0
"""What systemd does to the gateway: sockets handed over, readiness, watchdog."""

import socket

from chain import wait_until


LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="gateway")
os.execv(sys.argv[2], sys.argv[2:])
"""


def hand_over(chain, listener):
    """Start the gateway as systemd does: the socket is descriptor 3, LISTEN_PID its own."""
    number = listener.fileno()
    chain.gateway.argv = ["/usr/bin/python3", "-c", LAUNCH, str(number)] + chain.gateway.argv
    chain.gateway.start(pass_fds=(number,))


def test_sockets_handed_over(make_chain):
    chain = make_chain(start=False)
    chain.start_sim()
    with socket.create_server(("127.0.0.1", chain.port), backlog=128) as s:
        hand_over(chain, s)
        for c in chain.connectors.values():
            c.start()
        chain.wait_healthy()
        assert chain.push().status == 200
        # It is our socket it serves: the listener outlives the daemon.
        assert chain.gateway.stop() == 0
        with socket.create_connection(("127.0.0.1", chain.port), 2):
            pass


def test_ready_status_and_watchdog(make_chain, tmp_path):
    chain = make_chain(start=False)
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(10)
        s.setblocking(False)
        seen = []

        def has(text):
            try:
                while True:
                    seen.extend(s.recv(4096).decode().splitlines())
            except BlockingIOError:
                pass
            return any(line.startswith(text) for line in seen)

        chain.gateway.env.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="1000000")
        chain.start()
        wait_until(lambda: has("READY=1"), "READY=1")
        wait_until(lambda: seen.count("WATCHDOG=1") >= 2 or (has("WATCHDOG=1") and False),
                   "the watchdog is fed")
        assert chain.gateway.stop() == 0
        assert has("STOPPING=1")
