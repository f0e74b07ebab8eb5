# SPDX-License-Identifier: Apache-2.0
"""Large bodies over HTTP/2, up and down, in bounded memory; readers that are slow, or stop."""

import hashlib
import struct
import time

from chain import run, wait_until
from h2raw import H2, WINDOW, frame
from test_big_stream import MIB, Watch

SIZE = 100 * MIB
CHAIN = {"gateway": {"gateway": {"max_body": "1G", "body_timeout": "2s"}}}


def curl(chain, target, *more):
    done = run(["curl", "-sS", "--http2", "--cacert", chain.pki.path("ca.pem"), "--resolve",
                f"push.example.com:{chain.port}:127.0.0.1", "-u", "s4push:Push-Pass-4711",
                "-w", "\n%{http_version} %{http_code} %{size_download}", *more,
                f"https://push.example.com:{chain.port}{target}"], deadline=120)
    assert done.returncode == 0, done.stderr
    version, status, size = done.stdout.rpartition("\n")[2].split()
    return version, int(status), int(size)


def warm(chain):
    for _ in range(4):
        assert chain.push(b"w" * MIB).status == 200


def test_up(shared, tmp_path):
    body = tmp_path / "body"
    block = bytes(range(256)) * 4096
    digest = hashlib.sha256()
    with open(body, "wb") as f:
        for _ in range(SIZE // len(block)):
            f.write(block)
            digest.update(block)
    warm(shared)
    watch = Watch(shared)
    assert curl(shared, "/ACME_PROD/sap/frun/up", "-X", "POST", "-T", str(body))[:2] == ("2", 200)
    watch.finish("up")
    got = shared.last()
    assert got["body_bytes"] == SIZE and got["body_sha256"] == digest.hexdigest()


def test_down(shared):
    warm(shared)
    watch = Watch(shared)
    assert curl(shared, f"/ACME_PROD/sap/frun/x?_sim=big:{SIZE}", "-o", "/dev/null") == \
        ("2", 200, SIZE)
    watch.finish("down")


def test_slow_reader(shared):
    """The answer stops at the client's window, others on the connection go on; then it is over."""
    warm(shared)
    watch = Watch(shared)
    with H2(shared, auto_window=False) as c:
        c.send(frame(WINDOW, 0, 0, struct.pack(">I", 1 << 20)))
        n = c.request(c.fields(method="GET", path=f"/ACME_PROD/sap/frun/slow?_sim=big:{SIZE}"))
        c.until(lambda: len(c.stream(n).body) == 65535, "a window")
        for i in range(4):  # whoever reads on in time may take as long as it likes
            time.sleep(1)
            c.send(frame(WINDOW, 0, n, struct.pack(">I", 10000)))
            c.until(lambda: len(c.stream(n).body) == 65535 + 10000 * (i + 1), "a little more")
            assert c.ask(body=b"beside it").status == 200
        began = time.monotonic()
        c.until(lambda: c.done(n), "given up")
        assert c.stream(n).reset == "CANCEL" and 1 < time.monotonic() - began < 8
        assert c.ask(body=b"after it").status == 200
    watch.finish("slow")
    line = wait_until(lambda: [x for x in shared.access_lines() if x["path"].endswith("/slow")],
                      "line", 5)[0]
    assert "body_timeout" in line["note"], line
    # What was under way for it has ended, too: Focused Run is not kept busy.
    wait_until(lambda: [g for g in shared.received() if g["path"].endswith("/slow")], "end", 10)


def test_socket_that_nobody_reads(shared):
    """Windows as large as can be, but nothing is read from the socket."""
    warm(shared)
    watch = Watch(shared)
    with H2(shared, settings=[(4, 0x7fffffff)], rcvbuf=16384) as c:
        c.send(frame(WINDOW, 0, 0, struct.pack(">I", 0x7fffffff - 65535)))
        for i in range(20):
            c.request(c.fields(method="GET", path=f"/ACME_PROD/sap/frun/dead{i}?_sim=big:{SIZE}"))
        lines = wait_until(lambda: len([x for x in shared.access_lines()
                                        if "/dead" in x["path"]]) == 20 and
                           [x for x in shared.access_lines() if "/dead" in x["path"]], "lines", 30)
        assert all("body_timeout" in x["note"] for x in lines), lines
    watch.finish("dead")
    assert shared.push().status == 200
