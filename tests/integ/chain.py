# SPDX-License-Identifier: Apache-2.0
"""The whole chain with the real programs on loopback: frunproxyd == frunconnector -> frunsim."""

import contextlib
import copy
import functools
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

from tools import Answer, Pki, Process, Raw, basic, free_port, wait_until

FENCE = "X-Admin-Request-Parameter"
USER, PASSWORD = "s4push", "Push-Pass-4711"
FRUN_USER, FRUN_PASSWORD = "FRUN_PUSH", "Frun-Pass-0815"


def bin_dir():
    here = os.path.dirname(os.path.abspath(__file__))
    return os.environ.get("FRUN_BIN") or os.path.join(here, "..", "..", "build", "bin")


def program(name):
    return os.path.join(bin_dir(), name)


def merge(base, over):
    """Lay sections over sections; None removes a key or a section."""
    result = copy.deepcopy(base)
    for section, keys in (over or {}).items():
        if keys is None:
            result.pop(section, None)
            continue
        into = result.setdefault(section, {})
        for key, value in keys.items():
            if value is None:
                into.pop(key, None)
            else:
                into[key] = value
    return result


def ini_text(sections):
    lines = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        for key, value in keys.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                lines.append(f"{key} = {one}")
        lines.append("")
    return "\n".join(lines)


@functools.lru_cache
def password_hash(password):
    """SHA-512 by openssl: the tests do not lean on the programs they test."""
    r = run(["openssl", "passwd", "-6", "-salt", "frunproxytest", "-stdin"], password + "\n")
    return r.stdout.strip()


class Chain:
    """One gateway, connectors by name, one frunsim, in a folder of their own."""

    def __init__(self, folder, pki, gateway=None, connector=None, sim=(), workers=2,
                 connectors=("dc1-a",), tunnel_via=None, has_sim=True, sim_plain=False):
        """gateway and connector are laid over the default sections; sim adds options for
        frunsim; tunnel_via(port) may return another port that leads to the tunnel's."""
        self.dir = str(folder)
        self.pki = pki
        os.makedirs(os.path.join(self.dir, "endpoints.d"), exist_ok=True)
        os.makedirs(os.path.join(self.dir, "secrets"), exist_ok=True)
        os.makedirs(os.path.join(self.dir, "tls"), exist_ok=True)
        for name in os.listdir(pki.dir):
            with contextlib.suppress(FileExistsError):
                os.symlink(pki.path(name), os.path.join(self.dir, "tls", name))
        self.write("secrets/acme_prod", FRUN_PASSWORD + "\n")
        self.write("secrets/frun", FRUN_PASSWORD + "\n")
        self.port = free_port()
        self.tunnel_port = free_port()
        self.sim_port = free_port()
        self.workers = workers
        self.sim_plain = sim_plain
        self.dial_port = tunnel_via(self.tunnel_port) if tunnel_via else self.tunnel_port
        self.gateway_sections = merge(self.default_gateway(), gateway)
        self.connector_over = connector
        self.sim = Process("frunsim", self.sim_argv(sim), self.path("frunsim.log")) \
            if has_sim else None
        self.gateway = Process("frunproxyd", [program("frunproxyd"), "--config",
                                              self.path("frunproxy.ini")],
                               self.path("frunproxyd.log"))
        self.connectors = {}
        for name in connectors:
            self.add_connector(name)
        self.write_gateway()

    # -- files

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        if name.startswith("secrets/"):
            os.chmod(self.path(name), 0o600)
        return self.path(name)

    def default_gateway(self):
        hashed = password_hash(PASSWORD)
        return {
            "gateway": {
                "public_url": "https://push.example.com",
                "listen": f"127.0.0.1:{self.port}",
                "certificate": "tls/gateway.pem",
                "private_key": "tls/gateway.key",
                "workers": str(self.workers),
                "include": "endpoints.d/*.ini",
                "state_directory": "state",
            },
            "tunnel": {
                "listen": f"127.0.0.1:{self.tunnel_port}",
                "certificate": "tls/gateway.pem",
                "private_key": "tls/gateway.key",
                "client_ca": "tls/connectors-ca.pem",
            },
            "log": {"level": "debug", "access": "json", "target": "stderr"},
            "admin": {"control_socket": "control.sock", "listen": ""},
            "audit": {"file": "audit.log"},
            "connector DC1-A": {"certificate_subject": "CN=dc1-a", "location_id": "DC1"},
            "connector DC1-B": {"certificate_subject": "CN=dc1-b", "location_id": "DC1"},
            "system FR1": {
                "system_id": "FR1", "client": "100", "role": "production",
                "logon_url": "https://frun.corp:44300", "virtual_host": "fr1_frun:443",
                "location_id": "DC1", "route": "tunnel", "health_check": "no",
            },
            "endpoint ACME_PROD": {
                "system": "FR1", "customer_network": "ACME PROD",
                "admin_request_parameter": "acme-prod-proxy",
                "admin_request_carrier": "header " + FENCE,
                "user": FRUN_USER, "password": "file:../secrets/acme_prod",
                "description": "ACME, productive tenants",
            },
            "endpoint GLOBEX": {
                "system": "FR1", "customer_network": "GLOBEX",
                "admin_request_parameter": "globex-proxy",
                "admin_request_carrier": "query " + FENCE,
                "user": FRUN_USER, "password": "file:../secrets/acme_prod",
            },
            "pusher s4-acme": {"endpoint": "ACME_PROD", "auth": "basic", "user": USER,
                               "password_hash": hashed},
            "pusher globex": {"endpoint": "GLOBEX", "auth": "basic", "user": "globex",
                              "password_hash": hashed},
        }

    def write_gateway(self):
        """Systems, endpoints and pushers stand in the included file, as a site would do it."""
        inner = ("system ", "endpoint ", "pusher ")
        main = {k: v for k, v in self.gateway_sections.items() if not k.startswith(inner)}
        rest = {k: v for k, v in self.gateway_sections.items() if k.startswith(inner)}
        self.write("frunproxy.ini", ini_text(main))
        self.write("endpoints.d/acme.ini", ini_text(rest))

    def default_connector(self, name):
        protocol = "HTTP" if self.sim_plain else "HTTPS"
        sections = {
            "connector": {"name": name, "certificate": f"tls/{name}.pem",
                          "private_key": f"tls/{name}.key", "retry_max": "1s"},
            "log": {"level": "debug", "target": "stderr"},
            "admin": {"control_socket": f"{name}.sock", "listen": ""},
            "audit": {"file": f"{name}-audit.log"},
            "subaccount provider": {"gateway": f"127.0.0.1:{self.dial_port}",
                                    "gateway_ca": "tls/ca.pem", "location_id": "DC1"},
            "system fr1_frun:443": {
                "backend_type": "ABAP System", "protocol": protocol,
                "internal_host": "127.0.0.1", "internal_port": str(self.sim_port),
                "principal_type": "X.509 Certificate",
                "system_certificate_for_logon": "no", "host_in_request_header": "virtual",
                "backend_ca": "tls/frun-ca.pem",
            },
            "resource frun": {"system": "fr1_frun:443", "path": "/sap/frun",
                              "policy": "path-and-all-sub-paths", "active": "yes"},
            "resource ping": {"system": "fr1_frun:443", "path": "/sap/bc/ping",
                              "policy": "path-only", "active": "yes"},
        }
        if self.sim_plain:
            sections["system fr1_frun:443"].pop("backend_ca")
        return sections

    def add_connector(self, name, over=None, file=None):
        file = file or name
        sections = merge(merge(self.default_connector(name), self.connector_over), over)
        self.write(f"{file}.ini", ini_text(sections))
        self.connectors[file] = Process(
            f"frunconnector {file}",
            [program("frunconnector"), "--config", self.path(f"{file}.ini")],
            self.path(f"{file}.log"))
        return self.connectors[file]

    @property
    def connector(self):
        return next(iter(self.connectors.values()))

    def sim_argv(self, extra):
        argv = [program("frunsim"), "--listen", f"127.0.0.1:{self.sim_port}",
                "--user", FRUN_USER, "--password-file", self.path("secrets/frun"),
                "--fence", "ACME PROD=acme-prod-proxy", "--fence", "GLOBEX=globex-proxy"]
        if self.sim_plain:
            argv.append("--plain")
        else:
            argv += ["--certificate", self.pki.path("frun.pem"),
                     "--private-key", self.pki.path("frun.key")]
        return argv + list(extra)

    # -- life

    def start(self, wait=True):
        if self.sim:
            self.start_sim()
        self.gateway.start()
        self.wait_port(self.gateway, self.port)
        for c in self.connectors.values():
            c.start()
        if wait:
            self.wait_healthy()
        return self

    def start_sim(self):
        self.sim.start()
        self.wait_port(self.sim, self.sim_port)

    @staticmethod
    def wait_port(process, port, host="127.0.0.1"):
        def listens():
            if not process.is_running():
                raise AssertionError(f"{process.name} ended\n{process.tail()}")
            with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
                return True
            return False
        wait_until(listens, f"{process.name} listens\n{process.tail()}", 20)

    def health(self):
        """Status of the gateway's own health page, 0 if it does not answer."""
        try:
            return self.request("GET", "/sap/bc/ping", auth=None).status
        except (OSError, ConnectionError, ssl.SSLError):
            return 0

    def wait_healthy(self, deadline=20.0):
        """Healthy several times over: each new connection may reach another worker."""
        try:
            wait_until(lambda: all(self.health() == 200 for _ in range(6)),
                       "the gateway is healthy", deadline)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.logs()}")

    def processes(self):
        return [p for p in [self.gateway, *self.connectors.values(), self.sim] if p]

    def logs(self):
        return "\n".join(f"---- {p.name}\n{p.tail()}" for p in self.processes())

    def stop(self):
        """Everything ends on SIGTERM with 0, and no sanitizer had anything to say."""
        problems = []
        for p in self.processes():
            if p.child is None:
                continue
            killed = p.child.poll() == -signal.SIGKILL
            try:
                code = p.stop()
            except AssertionError as e:
                problems.append(str(e))
                continue
            if code != 0 and not killed:
                problems.append(f"{p.name} ended with {code}")
            problems += [f"{p.name}: {line}" for line in p.sanitizer_findings()]
        assert not problems, "\n".join(problems) + "\n" + self.logs()

    def kill(self):
        for p in self.processes():
            p.kill()

    def restart(self, process, deadline=20.0):
        process.start()
        if process is self.gateway:
            self.wait_port(process, self.port)
        self.wait_healthy(deadline)

    # -- requests

    def raw(self, **kw):
        kw.setdefault("port", self.port)
        kw.setdefault("ca", self.pki.path("ca.pem"))
        return Raw(**kw)

    @staticmethod
    def octets(method, target, fields=(), body=None, auth=(USER, PASSWORD),
               host="push.example.com"):
        lines = [f"{method} {target} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host}")
        if auth:
            lines.append("Authorization: " + basic(*auth))
        lines += [f"{n}: {v}" for n, v in fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")

    def request(self, method, target, fields=(), body=None, auth=(USER, PASSWORD), **kw):
        """One request on a connection of its own."""
        with self.raw(**kw) as c:
            c.send(self.octets(method, target, fields, body, auth))
            return c.answer(method)

    def push(self, body=b'{"resourceMetrics":[]}', target="/ACME_PROD/sap/frun/ngdci",
             fields=(("Content-Type", "application/json"),), **kw):
        return self.request("POST", target, fields, body, **kw)

    # -- what Focused Run got

    def _sim_request(self, method):
        with Raw(self.sim_port, self.pki.path("frun-ca.pem"), "frun.corp",
                 is_plain=self.sim_plain) as c:
            c.send(f"{method} /_sim/received HTTP/1.1\r\nHost: sim\r\n\r\n".encode())
            return c.answer(method)

    def received(self):
        return [Received(r) for r in json.loads(self._sim_request("GET").body)]

    def last(self):
        got = self.received()
        assert got, "Focused Run received nothing\n" + self.logs()
        return got[-1]

    def forget(self):
        assert self._sim_request("DELETE").status == 204

    # -- logs

    def access_lines(self):
        lines = []
        for line in self.gateway.log().splitlines():
            at = line.find("{")
            if at >= 0:
                with contextlib.suppress(ValueError):
                    value = json.loads(line[at:])
                    if isinstance(value, dict) and "status" in value:
                        lines.append(value)
        return lines

    def pushes_logged(self, n):
        """Access lines of requests to endpoints, once there are n of them: they are written in
        batches, a little behind the answers."""
        def enough():
            lines = [x for x in self.access_lines() if "endpoint" in x]
            return lines if len(lines) >= n else None
        return wait_until(enough, f"{n} access lines", 10)


class Received(dict):
    """A request as frunsim wrote it down."""

    def all(self, name):
        return [v for n, v in self["fields"] if n.lower() == name.lower()]

    def get_field(self, name):
        values = self.all(name)
        return values[0] if values else None


class Background:
    """Run a function in a thread; result() gives its value or raises what it raised."""

    def __init__(self, fn, *args, **kw):
        self.value = None
        self.error = None
        self.thread = threading.Thread(target=self._run, args=(fn, args, kw), daemon=True)
        self.thread.start()

    def _run(self, fn, args, kw):
        try:
            self.value = fn(*args, **kw)
        except BaseException as e:  # handed to whoever asks
            self.error = e

    def is_running(self):
        return self.thread.is_alive()

    def result(self, deadline=30.0):
        self.thread.join(deadline)
        assert not self.thread.is_alive(), "still running"
        if self.error:
            raise self.error
        return self.value


def many(n, fn):
    """fn() n times at once; what they returned."""
    return [b.result() for b in [Background(fn) for _ in range(n)]]


def assert_problem(answer, status, by="frunproxyd"):
    """It is our own error, and says so."""
    assert answer.status == status, answer
    assert (answer.get("Content-Type") or "").startswith("application/problem+json"), answer
    assert (answer.get("Proxy-Status") or "").startswith(by), answer
    value = json.loads(answer.body)
    assert value["status"] == status and value["title"], answer
    return value


def run(argv, stdin=None, deadline=30):
    return subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True,
                          timeout=deadline)


__all__ = ["Answer", "Background", "Chain", "FENCE", "FRUN_PASSWORD", "FRUN_USER", "PASSWORD",
           "Pki", "Raw", "Received", "USER", "assert_problem", "basic", "free_port", "ini_text",
           "many", "merge", "password_hash", "program", "run", "time", "wait_until"]
