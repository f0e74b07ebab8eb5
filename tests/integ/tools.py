# SPDX-License-Identifier: Apache-2.0
"""Small things the scenarios need: certificates, processes, raw HTTP, a CONNECT proxy, a forwarder."""

import base64
import contextlib
import fcntl
import os
import random
import select
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "WARNING: ThreadSanitizer")


def wait_until(condition, what, deadline=15.0, step=0.02):
    """Wait for a condition; its value is returned. Never a fixed sleep."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(step)


def _reserve(port):
    """Keep the port for this process as long as it lives; False if another one has it."""
    folder = os.path.join(tempfile.gettempdir(), "frun-test-ports")
    os.makedirs(folder, exist_ok=True)
    fd = os.open(os.path.join(folder, str(port)), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return False
    return True


def free_port(family=socket.AF_INET, host="127.0.0.1"):
    """A port nobody listens on, below the range that outgoing connections are given, and ours.

    Listeners share ports (SO_REUSEPORT): without a reservation two tests side by side that drew the
    same number would serve each other's requests, most often while one of them restarts a daemon."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        with contextlib.closing(socket.socket(family)) as s:
            try:
                s.bind((host, port))
            except OSError:
                continue
            if _reserve(port):
                return port
    raise AssertionError("no free port")


class Pki:
    """Throw-away certificates: three authorities that trust each other in nothing."""

    def __init__(self, folder):
        self.dir = str(folder)
        os.makedirs(self.dir, exist_ok=True)
        for name in ("ca", "connectors-ca", "frun-ca", "stranger-ca"):
            self._openssl(name, "/CN=" + name, ["basicConstraints=critical,CA:TRUE",
                                                "keyUsage=critical,keyCertSign,cRLSign"])
        self.server("gateway", "ca", ["push.example.com", "tunnel.example.com"])
        self.server("frun", "frun-ca", ["frun.corp"])
        self.server("stranger", "stranger-ca", ["frun.corp", "push.example.com"])
        for name in ("dc1-a", "dc1-b", "dc2-a", "nobody"):
            self.client(name, "connectors-ca")
        self.client("forged", "stranger-ca", "dc1-a")

    def path(self, name):
        return os.path.join(self.dir, name)

    def _openssl(self, name, subject, extensions, issuer=None):
        args = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", subject,
                "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"),
                "-config", "/dev/null"]
        # Without a configuration file openssl wants to be told even an empty name section.
        config = self.path("openssl.cnf")
        if not os.path.exists(config):
            with open(config, "w", encoding="ascii") as f:
                f.write("[req]\ndistinguished_name = dn\n[dn]\n")
        args[-1] = config
        if issuer:
            args += ["-CA", self.path(issuer + ".pem"), "-CAkey", self.path(issuer + ".key")]
        for text in extensions:
            args += ["-addext", text]
        subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def server(self, name, issuer, hosts):
        names = ",".join("DNS:" + h for h in hosts) + ",IP:127.0.0.1,IP:::1"
        self._openssl(name, "/CN=" + hosts[0],
                      ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth",
                       "subjectAltName=" + names], issuer)

    def client(self, name, issuer, common_name=None):
        self._openssl(name, "/CN=" + (common_name or name),
                      ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"], issuer)


class Process:
    """A program under test; its output goes into one file over all its lives."""

    def __init__(self, name, argv, log, env=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.log_path = str(log)
        self.env = dict(os.environ, **(env or {}))
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1:quarantine_size_mb=8")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.child = None

    def start(self, pass_fds=(), preexec_fn=None):
        assert os.access(self.argv[0], os.X_OK), f"{self.argv[0]} is not built (FRUN_BIN?)"
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, env=self.env, pass_fds=pass_fds,
                                          preexec_fn=preexec_fn)
        return self

    @property
    def pid(self):
        return self.child.pid

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        """kill -9, and collect it."""
        if self.is_running():
            self.child.kill()
        if self.child:
            self.child.wait(10)

    def wait(self, deadline=20.0):
        return self.child.wait(deadline)

    def stop(self, deadline=20.0):
        """SIGTERM; the exit code."""
        if self.is_running():
            self.child.terminate()
        try:
            return self.child.wait(deadline)
        except subprocess.TimeoutExpired:
            self.child.send_signal(signal.SIGABRT)
            self.child.wait(10)
            raise AssertionError(f"{self.name} did not end within {deadline} s\n{self.tail()}")

    def log(self):
        try:
            with open(self.log_path, "rb") as f:
                return f.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def tail(self, n=60):
        return "\n".join(self.log().splitlines()[-n:])

    def wait_log(self, text, deadline=15.0, after=0):
        def seen():
            if not self.is_running() and text not in self.log()[after:]:
                raise AssertionError(f"{self.name} ended\n{self.tail()}")
            return text in self.log()[after:]
        wait_until(seen, f"{self.name} says {text!r}\n", deadline)

    def memory(self, what="VmRSS"):
        """Octets of resident memory (VmRSS) or its peak (VmHWM)."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(what + ":"):
                    return int(line.split()[1]) * 1024
        raise AssertionError(f"{self.name}: no {what}")

    def sanitizer_findings(self):
        return [line for line in self.log().splitlines()
                if any(mark in line for mark in SANITIZER_MARKS)]


class Answer:
    """One HTTP answer."""

    def __init__(self, version, status, reason, fields, body=b"", is_complete=True):
        self.version = version
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = body
        self.is_complete = is_complete

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:300]!r}>"


class Raw:
    """A TLS (or plain) connection that sends exactly the octets it is given."""

    def __init__(self, port, ca=None, name="push.example.com", host="127.0.0.1", timeout=20.0,
                 certificate=None, version=None, rcvbuf=None, is_plain=False, connection=None,
                 session=None, has_nagle=False, context=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        s = connection or socket.socket(family)
        s.settimeout(timeout)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if not connection:
            s.connect((host, port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0 if has_nagle else 1)
        self.buffer = b""
        self.sock = s
        if is_plain:
            return
        context = context or ssl.create_default_context(cafile=ca) # a session needs its context
        context.check_hostname = name is not None
        if version:
            context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["http/1.1"])
        if certificate:
            context.load_cert_chain(certificate + ".pem", certificate + ".key")
        try:
            self.sock = context.wrap_socket(s, server_hostname=name, session=session)
        except BaseException:
            s.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def fill(self):
        """Read more; False at the end of the stream (an abortive end counts too)."""
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as e:
            if isinstance(e, ssl.SSLError) and "timed out" in str(e):
                raise
            data = b""
        self.buffer += data
        return bool(data)

    def ends(self, timeout=10.0):
        """Does the peer close without sending more?"""
        self.sock.settimeout(timeout)
        try:
            return not self.buffer and not self.fill()
        except (socket.timeout, TimeoutError):
            return False

    def rest(self):
        while self.fill():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                raise ConnectionError(f"connection ended, {self.buffer[:200]!r} was left")
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status, reason = (lines[0] + " ").split(" ", 2)
        fields = []
        for line in lines[1:]:
            name, value = line.split(":", 1)
            fields.append((name, value.strip()))
        return Answer(version, int(status), reason.strip(), fields)

    def _take(self, n):
        parts, have = [self.buffer], len(self.buffer)
        self.buffer = b""
        while have < n:
            if not self.fill():
                return b"".join(parts), False
            parts.append(self.buffer)
            have += len(self.buffer)
            self.buffer = b""
        data = b"".join(parts)
        self.buffer = data[n:]
        return data[:n], True

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self.fill():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _chunks(self, answer):
        parts = []
        while True:
            line = self._line()
            if line is None:
                answer.is_complete = False
                break
            n = int(line.split(b";")[0], 16)
            if n == 0:
                while self._line():
                    pass
                break
            data, whole = self._take(n)
            parts.append(data)
            if not whole or self._line() is None:
                answer.is_complete = False
                break
        answer.body = b"".join(parts)

    def answer(self, method="GET"):
        """The next final answer; 1xx answers before it are collected in .interim."""
        interim = []
        answer = self.head()
        while 100 <= answer.status < 200 and answer.status != 101:
            interim.append(answer.status)
            answer = self.head()
        answer.interim = interim
        if method == "HEAD" or answer.status in (101, 204, 304):
            return answer
        if (answer.get("Transfer-Encoding") or "").lower() == "chunked":
            self._chunks(answer)
        elif answer.get("Content-Length") is not None:
            answer.body, answer.is_complete = self._take(int(answer.get("Content-Length")))
        else:
            answer.body = self.rest()
        return answer


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _pump(a, b, stop):
    """Copy both ways until one side ends."""
    pairs = {a: b, b: a}
    while not stop.is_set():
        ready, _, _ = select.select([a, b], [], [], 0.1)
        for s in ready:
            data = s.recv(65536)
            if not data:
                return
            pairs[s].sendall(data)


class _Listener:
    """A listening thread; handle() runs in a thread of its own for each connection."""

    def __init__(self):
        self.stop_event = threading.Event()
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(0.1)
        self.port = self.sock.getsockname()[1]
        self.open_sockets = set()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stop_event.is_set():
            try:
                s, _ = self.sock.accept()
            except (socket.timeout, TimeoutError):
                continue
            except OSError:
                return
            threading.Thread(target=self._guarded, args=(s,), daemon=True).start()

    def _guarded(self, s):
        s.settimeout(None)
        with self.lock:
            self.open_sockets.add(s)
        try:
            self.handle(s)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open_sockets.discard(s)
            s.close()

    def handle(self, s):
        raise NotImplementedError

    def drop(self):
        """Cut every connection that is open now."""
        with self.lock:
            for s in self.open_sockets:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.stop_event.set()
        self.sock.close()
        self.drop()
        self.thread.join(5)


class ConnectProxy(_Listener):
    """An HTTP CONNECT proxy; with user and password it wants Basic credentials."""

    def __init__(self, user=None, password=None):
        self.expected = basic(user, password) if user else None
        self.granted = []
        self.refused = 0
        self.requests = []
        super().__init__()

    def handle(self, s):
        head = b""
        while b"\r\n\r\n" not in head:
            data = s.recv(4096)
            if not data or len(head) > 16384:
                return
            head += data
        head, rest = head.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {n.strip().lower(): v.strip() for n, v in
                  (line.split(":", 1) for line in lines[1:])}
        self.requests.append(lines[0])
        method, target, _ = lines[0].split(" ")
        if method != "CONNECT":
            s.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        if self.expected and fields.get("proxy-authorization") != self.expected:
            self.refused += 1
            s.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                      b'Proxy-Authenticate: Basic realm="corp"\r\nContent-Length: 0\r\n\r\n')
            return
        host, port = target.rsplit(":", 1)
        with socket.create_connection((host.strip("[]"), int(port)), 5) as upstream:
            upstream.settimeout(None)
            s.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.granted.append(target)
            if rest:
                upstream.sendall(rest)
            _pump(s, upstream, self.stop_event)


class Forwarder(_Listener):
    """A TCP forwarder that can freeze the connections it has: nothing passes, nothing closes."""

    def __init__(self, port):
        self.target = port
        self.frozen = set()
        self.count = 0
        self.live = set()
        super().__init__()

    def freeze(self):
        """From now on the present connections are dead wires; new ones work."""
        with self.lock:
            self.frozen |= self.live
            return len(self.live)

    def handle(self, s):
        me = object()
        with socket.create_connection(("127.0.0.1", self.target), 5) as upstream:
            upstream.settimeout(None)
            self.count += 1
            with self.lock:
                self.live.add(me)
            pairs = {s: upstream, upstream: s}
            try:
                while not self.stop_event.is_set():
                    if me in self.frozen:
                        time.sleep(0.05)
                        continue
                    ready, _, _ = select.select([s, upstream], [], [], 0.05)
                    for one in ready:
                        if me in self.frozen:
                            break
                        data = one.recv(65536)
                        if not data:
                            return
                        pairs[one].sendall(data)
            finally:
                with self.lock:
                    self.live.discard(me)


class LongPath(_Listener):
    """A TCP forwarder over a long way: what comes within one tick goes on at the end of the next one. rounds counts,
    for both directions, the ticks at which more than a few frames went on."""

    TICK = 0.012

    def __init__(self, port):
        self.target = port
        self.rounds = {"in": 0, "out": 0}
        super().__init__()

    def handle(self, s):
        with socket.create_connection(("127.0.0.1", self.target), 5) as far:
            for one in (s, far):
                one.settimeout(None)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ways = {s: (far, "in"), far: (s, "out")}
            held = {s: b"", far: b""}
            while not self.stop_event.is_set():
                came = {s: [], far: []}
                end = time.monotonic() + self.TICK
                while (left := end - time.monotonic()) > 0:
                    for one in select.select([s, far], [], [], left)[0]:
                        data = one.recv(262144)
                        if not data:
                            return
                        came[one].append(data)
                for one, (to, way) in ways.items():
                    to.sendall(held[one])
                    self.rounds[way] += len(held[one]) > 8192
                    held[one] = b"".join(came[one])
