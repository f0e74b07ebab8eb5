# SPDX-License-Identifier: Apache-2.0
"""The site of the benchmark: one origin, and the subjects that push to it, started when first asked for."""

import json
import os
import resource
import shutil
import signal
import subprocess

import peers
from chain import FRUN_PASSWORD, FRUN_USER, PASSWORD, USER, Chain, password_hash, program
from meters import trees
from sap import Sap
from tools import Pki, Process, basic, free_port, wait_until

PUSHER = basic(USER, PASSWORD)
ORIGIN = basic(FRUN_USER, FRUN_PASSWORD)
SUBJECT_CPU, LOAD_CPU, ANY_CPU = "0", "1", "0,1"
ENDPOINTS, PUSHERS, STREAMS = 300, 1000, 2000


def pinned(cpu, argv):
    return [shutil.which("taskset"), "-c", cpu] + argv


class Subject:
    """Something to push to. parts: name -> processes whose CPU the work costs. targets: a file with a path and an
    Authorization value on each line that the load takes in turn, instead of path and auth."""

    def __init__(self, name, port, path, parts, cpu=SUBJECT_CPU, targets=None, warm_seconds=1):
        self.name, self.port, self.parts, self.cpu = name, port, parts, cpu
        self.path = path + "/sap/frun/ngdci"
        self.targets, self.warm_seconds = targets, warm_seconds
        self.is_warm = set()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}{self.path}"

    @property
    def processes(self):
        return [p for part in self.parts.values() for p in part]


class Site:
    """start() starts the origin, subject(NAME) what that subject needs; stop() ends everything."""

    def __init__(self, folder, wrap=lambda process: None):
        """wrap may change the command of one of our own programs."""
        self.dir, self.wrap = folder, wrap
        self.pki = Pki(os.path.join(folder, "pki"))
        self.all = []
        self.subjects = {}
        self.files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.port = free_port()

    def start(self):
        origin = self.run("origin", LOAD_CPU, peers.nginx(
            self.dir, "origin", peers.ORIGIN, self.files, port=self.port, tls=self.pki.dir,
            basic=ORIGIN, ssl="ssl", also="true"))
        Chain.wait_port(origin, self.port)

    def run(self, name, cpu, argv):
        p = Process(name, pinned(cpu, argv), os.path.join(self.dir, name + ".out"))
        self.all.append(p.start())
        return p

    def subject(self, name):
        if name not in self.subjects:
            for s in self._builders()[name]():
                self.subjects[s.name] = s
        return self.subjects[name]

    def _builders(self):
        pair = {name: lambda mark=mark: self._chain(mark) for mark in ("", " +log")
                for name in ("direct" + mark, "tunnel" + mark)}
        return {
            **pair,
            "nginx": lambda: [self._nginx("nginx")],
            "nginx +log": lambda: [self._nginx("nginx +log", access_log=self._access_log())],
            "haproxy": self._haproxy,
            "ssh": lambda: self._ssh(False),
            "ssh+stunnel": lambda: self._ssh(True),
            "sap-connectivity": self._sap,
            "streams": self._streams,
            "endpoints": self._endpoints,
            "pushers": self._pushers,
            "always one": self._always_one,
            "one process": lambda: self._workers("one process", 2),
            "process A": lambda: self._workers("process A", 1),
            "process B": lambda: self._workers("process B", 1),
        }

    # -- peers

    def _access_log(self):
        return os.path.join(self.dir, "nginx.access") + " full"

    def _nginx(self, name, origin=None, access_log="off", parts=None):
        port = free_port()
        p = self.run(name, SUBJECT_CPU, peers.nginx(
            self.dir, name.replace(" ", ""), peers.PEER, self.files, port=port, tls=self.pki.dir,
            origin=origin or self.port, basic=ORIGIN, pusher=PUSHER, access_log=access_log))
        Chain.wait_port(p, port)
        server, agent = parts or ([], [])
        return Subject(name, port, "/ACME_PROD",
                       {"server": [p] + server, "agent": agent} if parts else {"server": [p]})

    def _haproxy(self):
        port = free_port()
        p = self.run("haproxy", SUBJECT_CPU, peers.haproxy(
            self.dir, self.pki.dir, port=port, origin=self.port, basic=ORIGIN, pusher=PUSHER))
        Chain.wait_port(p, port)
        return [Subject("haproxy", port, "/ACME_PROD", {"server": [p]})]

    def _ssh(self, by_stunnel):
        """nginx, and ssh -R dialling out from the origin's side; or that within TLS by stunnel."""
        name = "ssh+stunnel" if by_stunnel else "ssh"
        key = name.replace("+", "-")
        port, remote = free_port(), free_port()
        server = [self.run(key + "d", SUBJECT_CPU, peers.sshd(self.dir, key, port))]
        agent = []
        Chain.wait_port(server[0], port)
        if by_stunnel:
            out, into = free_port(), free_port()
            server.append(self.run("stunnel-server", SUBJECT_CPU,
                                   peers.stunnel(self.dir, self.pki.dir, into, port, False)))
            Chain.wait_port(server[1], into)
            agent.append(self.run("stunnel-client", SUBJECT_CPU,
                                  peers.stunnel(self.dir, self.pki.dir, out, into, True)))
            Chain.wait_port(agent[0], out)
            port = out
        agent.append(self.run(key, SUBJECT_CPU, peers.ssh(self.dir, key, port, remote, self.port)))
        Chain.wait_port(agent[-1], remote)
        return [self._nginx(name, remote, parts=(server, agent))]

    # -- ours

    def _gateway(self, name, over, connectors=("dc1-a",), connector=None, workers=1, cpu=SUBJECT_CPU):
        """A gateway with one customer network on the direct route and, if it has a connector, the same
        one as GLOBEX on the tunnel route."""
        folder = os.path.join(self.dir, name.replace(" ", "-"))
        keys = {"gateway": {"keepalive_timeout": "600s"},
                "log": {"level": "info", "access": "off", "target": f"file:{folder}/log"},
                "endpoint GLOBEX": {"admin_request_parameter": peers.FENCE,
                                    "admin_request_carrier": "header X-Admin-Request-Parameter"},
                "pusher s4-acme": {"endpoint": "ACME_PROD, GLOBEX"},
                "pusher globex": None}
        if offers_http2():
            keys["gateway"]["http2"] = "yes"
        if not connectors:
            keys.update({"endpoint GLOBEX": None, "tunnel": None, "connector DC1-A": None,
                         "connector DC1-B": None, "pusher s4-acme": {"endpoint": "ACME_PROD"}})
        c = Chain(folder, self.pki, gateway=keys, workers=workers, has_sim=False,
                  connectors=connectors, connector=connector)
        direct = {"route": "direct", "address": f"127.0.0.1:{self.port}",
                  "backend_ca": "../tls/frun-ca.pem", "server_name": "frun.corp"}
        c.gateway_sections["endpoint ACME_PROD"].update(direct)
        for section, extra in over.items():
            c.gateway_sections.setdefault(section, {}).update(extra)
        for section, extra in list(c.gateway_sections.items()):
            if section.startswith("endpoint NET"):
                c.gateway_sections[section] = {**c.gateway_sections["endpoint ACME_PROD"], **extra}
        c.write_gateway()
        for p in [c.gateway, *c.connectors.values()]:
            self.wrap(p)
            p.argv = pinned(cpu, p.argv)
            self.all.append(p.start())
        Chain.wait_port(c.gateway, c.port)
        c.wait_healthy()
        return c

    def _connector(self, access="off", **over):
        return {"log": {"level": "info", "access": access}, "connector": over,
                "system fr1_frun:443": {"internal_port": str(self.port)}}

    def _chain(self, mark):
        access = "json" if mark else "off"
        c = self._gateway("chain" + mark, {"log": {"access": access}}, connector=self._connector(access))
        gateway, connector = [c.gateway], [c.connector]
        return [Subject("direct" + mark, c.port, "/ACME_PROD", {"gateway": gateway}),
                Subject("tunnel" + mark, c.port, "/GLOBEX",
                        {"gateway": gateway, "connector": connector})]

    def _sap(self):
        """Through SAP's connectivity proxy: its stand-in is an origin without TLS on the load's CPU."""
        sap = Sap(self.pki)
        port = free_port()
        Chain.wait_port(self.run("sap-proxy", LOAD_CPU, peers.nginx(
            self.dir, "sap-proxy", peers.ORIGIN, self.files, port=port, tls=self.pki.dir,
            basic=ORIGIN, ssl="", host="frun-virtual:443", also=peers.AS_SAP_PROXY)), port)
        key = os.path.join(self.dir, "sap.json")
        with open(key, "w", encoding="ascii") as f:
            json.dump(sap.key(onpremise_proxy_http_port=str(port)), f)
        os.chmod(key, 0o600)
        c = self._gateway("sap", {
            "sap-connectivity BTP": {"service_key": key, "token_ca": "tls/ca.pem"},
            "endpoint ACME_PROD": {"route": "sap-connectivity", "sap_connectivity": "BTP",
                                   "virtual_host": "frun-virtual:443", "location_id": "DC1"}},
            connectors=())
        return [Subject("sap-connectivity", c.port, "/ACME_PROD", {"gateway": [c.gateway]})]

    def _streams(self):
        """Room for many requests in flight. Three connectors: each opens at most 1024 connections to
        a system, and the herd does not fall evenly."""
        room = str(STREAMS + 100)
        c = self._gateway("streams", {"tunnel": {"max_streams": room},
                                      "gateway": {"body_timeout": "600s"},
                                      "connector DC2-A": {"certificate_subject": "CN=dc2-a", "location_id": "DC1"},
                                      "endpoint GLOBEX": {"max_in_flight": "0"},
                                      "pusher s4-acme": {"max_in_flight": "0"}},
                          connectors=("dc1-a", "dc1-b", "dc2-a"),
                          connector=self._connector(max_streams=room, body_timeout="600s"))
        return [Subject("streams", c.port, "/GLOBEX",
                        {"gateway": [c.gateway], "connector": [*c.connectors.values()]})]

    def _targets(self, name, lines):
        path = os.path.join(self.dir, name + ".targets")
        with open(path, "w", encoding="ascii") as f:
            f.writelines(f"{path}\t{auth}\n" for path, auth in lines)
        return path

    def _always_one(self):
        """What many are compared with: wrk takes its requests from a list here too, which slows it down."""
        direct = self.subject("direct")
        lines = [("/ACME_PROD/sap/frun/ngdci", PUSHER)] * ENDPOINTS
        return [Subject("always one", direct.port, "/ACME_PROD", direct.parts,
                        targets=self._targets("one", lines))]

    def _endpoints(self):
        over = {}
        for n in range(ENDPOINTS):
            over[f"endpoint NET_{n}"] = {"customer_network": f"NET {n}",
                                         "admin_request_parameter": f"net-{n}-proxy"}
            over[f"pusher p-{n}"] = {"endpoint": f"NET_{n}", "auth": "basic", "user": f"net{n}",
                                     "password_hash": password_hash(PASSWORD)}
        c = self._gateway("endpoints", over, connectors=())
        lines = [(f"/NET_{n}/sap/frun/ngdci?n={n}", basic(f"net{n}", PASSWORD))
                 for n in range(ENDPOINTS)]
        return [Subject("endpoints", c.port, "/ACME_PROD", {"gateway": [c.gateway]},
                        targets=self._targets("endpoints", lines), warm_seconds=4)]

    def _pushers(self):
        over = {f"pusher p-{n}": {"endpoint": "ACME_PROD", "auth": "basic", "user": f"pusher{n}",
                                  "password_hash": password_hash(PASSWORD)}
                for n in range(PUSHERS)}
        c = self._gateway("pushers", over, connectors=())
        lines = [("/ACME_PROD/sap/frun/ngdci", basic(f"pusher{n}", PASSWORD))
                 for n in range(PUSHERS)]
        return [Subject("pushers", c.port, "/ACME_PROD", {"gateway": [c.gateway]},
                        targets=self._targets("pushers", lines), warm_seconds=8)]

    def _workers(self, name, workers):
        c = self._gateway(name, {}, connectors=(), workers=workers, cpu=ANY_CPU)
        return [Subject(name, c.port, "/ACME_PROD", {"gateway": [c.gateway]}, cpu=ANY_CPU)]

    # -- end

    def stop(self):
        """Last started, first stopped, one after the other: whoever has children collects them."""
        for p in reversed(self.all):
            try:
                wait_until(lambda p=p: len(trees([p])[0]) == 1, f"{p.name} to be alone", 2)
            except AssertionError:
                pass  # then they end with it
            try:
                p.signal(signal.SIGTERM)
                p.wait(10)
            except Exception:  # whatever it is, nothing may stay
                p.kill()


def offers_http2():
    """Has this version the key? One without it speaks HTTP/1.1 alone."""
    r = subprocess.run([program("frunctl"), "config", "sample", "gateway"], capture_output=True,
                       text=True, check=True)
    return "http2 =" in r.stdout
