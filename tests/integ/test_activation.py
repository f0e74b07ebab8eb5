# SPDX-License-Identifier: Apache-2.0
"""What systemd does to the gateway: sockets handed over, readiness, watchdog."""

import os
import socket

from chain import wait_until


def hand_over(chain, *listeners):
    """Start the gateway as systemd does: sockets from descriptor 3 on, LISTEN_PID its own."""
    numbers = [s.fileno() for s in listeners]

    def prepare():
        copies = [os.dup(n) for n in numbers]
        for i, n in enumerate(copies):
            os.dup2(n, 3 + i, inheritable=True)
        os.environ["LISTEN_PID"] = str(os.getpid())

    # The shell sets LISTEN_PID to the number that exec keeps.
    chain.gateway.argv = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"'] + chain.gateway.argv
    chain.gateway.env["LISTEN_FDS"] = str(len(numbers))
    chain.gateway.env["LISTEN_FDNAMES"] = ":".join(["frunproxyd.socket"] * len(numbers))
    chain.gateway.start(pass_fds=tuple(range(3, 3 + len(numbers))), preexec_fn=prepare)


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
