# SPDX-License-Identifier: Apache-2.0
"""Load for the live test: pushes on new connections, on kept ones, and some that Focused Run takes two
seconds for. Every answer is looked at; what goes wrong is told with its time."""

import base64
import socket
import ssl
import threading
import time

BODY = b"x" * 2000
KINDS = {"new": 4, "kept": 4, "slow": 2}


class Load:
    def __init__(self, ca, user, password):
        self.context = ssl.create_default_context(cafile=ca)
        self.auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.is_over = False
        self.lock = threading.Lock()
        self.counts = {kind: {"requests": 0, "failed": 0, "slowest_s": 0.0} for kind in KINDS}
        self.failures = []
        self.threads = [threading.Thread(target=self.run, args=(kind,), daemon=True)
                        for kind, n in KINDS.items() for _ in range(n)]

    def __enter__(self):
        self.begin = time.monotonic()
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *what):
        self.is_over = True
        for t in self.threads:
            t.join(60)

    def total(self):
        with self.lock:
            return sum(c["requests"] for c in self.counts.values())

    def wait_more(self, n, deadline=60):
        """Until so many more pushes have been answered."""
        want = self.total() + n
        end = time.monotonic() + deadline
        while self.total() < want and time.monotonic() < end:
            time.sleep(0.05)

    def told(self):
        with self.lock:
            return {"counts": self.counts, "failures": self.failures[:5],
                    "failed": sum(c["failed"] for c in self.counts.values()),
                    "requests": sum(c["requests"] for c in self.counts.values())}

    def note(self, kind, began, fault):
        took = time.monotonic() - began
        with self.lock:
            c = self.counts[kind]
            c["requests"] += 1
            c["slowest_s"] = max(c["slowest_s"], round(took, 2))
            if fault:
                c["failed"] += 1
                self.failures.append([round(began - self.begin, 2), round(took, 2), kind, fault])

    def run(self, kind):
        while not self.is_over:
            began = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", 443), 60) as s, \
                        self.context.wrap_socket(s, server_hostname="push.example.com") as c:
                    is_last = False
                    while not is_last:
                        status, is_last, text = self.push(c, kind)
                        self.note(kind, began, None if status == 200 else text)
                        is_last = is_last or kind != "kept" or self.is_over
                        began = time.monotonic()
            except OSError as e:
                self.note(kind, began, repr(e))

    def push(self, c, kind):
        query = "?_sim=delay:2s" if kind == "slow" else ""
        c.sendall((f"POST /ACME_PROD/sap/frun/load{query} HTTP/1.1\r\nHost: push.example.com\r\n"
                   f"Authorization: Basic {self.auth}\r\nContent-Length: {len(BODY)}\r\n\r\n").encode() + BODY)
        got = b""
        while b"\r\n\r\n" not in got:
            data = c.recv(65536)
            if not data:
                raise ConnectionError(f"closed before the answer's head was there: {got!r}")
            got += data
        head, body = got.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        fields = {k.strip().lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:])}
        while len(body) < int(fields.get("content-length", "0")):
            data = c.recv(65536)
            if not data:
                raise ConnectionError("closed in the middle of the answer")
            body += data
        return int(lines[0].split()[1]), fields.get("connection") == "close", (head + body).decode()
