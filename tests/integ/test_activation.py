# SPDX-License-Identifier: Apache-2.0
"""What systemd does to the gateway: sockets handed over, readiness, watchdog."""

import os
import socket

import pytest

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
        assert "has not turned" not in chain.gateway.log(), "a worker that had not begun yet"


@pytest.mark.parametrize("name", ["frunproxyd", "frunconnector"])
def test_why_it_does_not_start(make_chain, tmp_path, name):
    """systemctl status shows the lines since the last try only, hence the reason in its status."""
    chain = make_chain(start=False)
    process = chain.gateway if name == "frunproxyd" else chain.connector
    file = process.argv[process.argv.index("--config") + 1]
    with open(file, "a", encoding="utf-8") as f:
        f.write("\nbogus = 1\nmore = 2\n")
    with Manager(str(tmp_path / "notify")) as m:
        m.start(process)
        assert process.wait(10) == 78
        m.look()
        status = [x for x in m.seen if x.startswith("STATUS=")]
    process.child = None
    assert len(status) == 1 and status[0].startswith("STATUS=not started, 2 errors: " + file), status
    assert "bogus" in status[0]
    assert "bogus" in process.log() and "more" in process.log()


@pytest.mark.parametrize("per_connection", [1, 10])
def test_restarted_under_load(make_chain, per_connection):
    """systemd keeps the socket and starts the next one while the old one finishes: no connection is
    refused, no request is lost, and connectors come over by themselves."""
    from chain import Process
    from test_reload import Load

    chain = make_chain(start=False, connector={"connector": {"retry_min": "100ms",
                                                             "retry_max": "500ms"}})
    chain.start_sim()
    argv = list(chain.gateway.argv)
    with socket.create_server(("127.0.0.1", chain.port), backlog=1024) as s:
        hand_over(chain, s)
        for c in chain.connectors.values():
            c.start()
        chain.wait_healthy()
        with Load(chain, threads=4, per_connection=per_connection) as load:
            for i in range(2):
                wait_until(lambda: load.n > 50 * (i + 1), "load", 20)
                old = chain.gateway
                chain.gateway = Process("frunproxyd", argv, chain.path(f"frunproxyd{i}.log"))
                # Both run for a while, here even more than with systemd.
                chain.gateway_sections["admin"]["control_socket"] = f"control{i}.sock"
                chain.write_gateway()
                old.child.terminate()
                hand_over(chain, s)
                assert old.wait(30) == 0 and not old.sanitizer_findings(), old.tail()
                # Each worker has a tunnel: one that stops before has requests that wait for it.
                wait_until(lambda: chain.gateway.log().count("tunnel from") >= 2, "tunnels", 20)
            n = load.n
            wait_until(lambda: load.n > n + 50, "load goes on", 30)
    assert not load.failures, load.failures[:3]


LAUNCH_KEPT = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(x), fcntl.F_DUPFD, 500) for x in sys.argv[1].split(",")]
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)),
                  LISTEN_FDNAMES=":".join(["frun-kept"] * len(fds)))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """systemd's side of NOTIFY_SOCKET with a store for descriptors."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.store = []
        self.seen = []

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.socket.close()
        for fd in self.store:
            os.close(fd)

    def look(self):
        try:
            while True:
                text, fds, _, _ = socket.recv_fds(self.socket, 4096, 253)
                lines = text.decode().splitlines()
                self.seen += lines
                if "FDSTORE=1" in lines:
                    assert "FDNAME=frun-kept" in lines
                    self.store += fds
                elif "FDSTOREREMOVE=1" in lines:
                    for fd in self.store:
                        os.close(fd)
                    self.store = []
        except BlockingIOError:
            pass

    def has(self, line):
        self.look()
        return line in self.seen

    def start(self, process):
        process.env["NOTIFY_SOCKET"] = self.path
        if self.store:
            fds = ",".join(str(fd) for fd in self.store)
            process.argv = ["/usr/bin/python3", "-c", LAUNCH_KEPT, fds] + process.argv
        process.start(pass_fds=tuple(self.store))


@pytest.mark.parametrize("workers", [2, 3, 1], ids=["same", "more", "fewer"])
def test_ports_stay_open_over_a_restart(make_chain, tmp_path, workers):
    """Without a socket unit: what listens is left with systemd at the end and taken up again."""
    from chain import Process
    from test_reload import Load

    chain = make_chain(start=False, workers=2,
                       connector={"connector": {"retry_min": "100ms", "retry_max": "500ms"}})
    with Manager(str(tmp_path / "notify")) as m:
        chain.start_sim()
        argv = list(chain.gateway.argv)
        m.start(chain.gateway)
        for c in chain.connectors.values():
            c.start()
        chain.wait_healthy()
        with Load(chain, threads=4, per_connection=1) as load:
            wait_until(lambda: load.n > 50, "load", 20)
            old = chain.gateway
            old.child.terminate()
            assert old.wait(30) == 0 and not old.sanitizer_findings(), old.tail()
            m.look()
            assert len(m.store) == 4  # two workers, front door and tunnel
            for port in (chain.port, chain.tunnel_port):
                socket.create_connection(("127.0.0.1", port), 5).close()
            chain.gateway = Process("frunproxyd", argv, chain.path("frunproxyd2.log"))
            chain.gateway_sections["gateway"]["workers"] = str(workers)
            chain.write_gateway()
            m.start(chain.gateway)
            wait_until(lambda: m.has("FDSTOREREMOVE=1"), "it has taken them up")
            n = load.n
            wait_until(lambda: load.n > n + 50, "load goes on", 30)
        assert not m.store
        assert "4 listening socket(s) were kept open" in chain.gateway.log()
        assert not load.failures, load.failures[:3]
        # Nobody but the gateway holds them now: what it gives up is closed.
        chain.gateway.child.kill()
        chain.gateway.child.wait()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", chain.port), 5)
