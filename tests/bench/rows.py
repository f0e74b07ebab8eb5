# SPDX-License-Identifier: Apache-2.0
"""What is measured: one row for each question, its subjects, and how a single measurement is taken."""

import os
import shutil
import socket
import ssl
import time

import load
import meters
import peers
from subjects import ENDPOINTS, PUSHERS, STREAMS
from tools import wait_until

# Longer than a subject takes to see that its burst is over, and to let go of connections to the origin.
CALM_S = 30

H1_PEERS = ["nginx", "haproxy", "direct", "tunnel", "ssh", "ssh+stunnel"]
PROGRAMS = {"nginx": ["nginx", "wrk", "h2load", "taskset"], "haproxy": ["haproxy"], "ssh": ["sshd"], "ssh+stunnel": ["sshd", "stunnel4"]}


def is_installed(name):
    return all(shutil.which(p, path="/usr/sbin:/usr/bin:/sbin:/bin") for p in PROGRAMS.get(name, ())) and \
        (name != "nginx" or os.path.exists(f"{peers.MODULES}/ngx_http_lua_module.so"))


class Row:
    """name -> rounds of {label: result}. A label is a subject's name, or "A & B" for two side by side."""

    how = "cpu"
    more = 1

    def __init__(self, name, title, labels, run, longer=1, more=1, **options):
        """longer: times the seconds of a measurement; more: times the rounds."""
        self.name, self.title, self.labels = name, title, labels
        self.run, self.longer, self.more, self.options = run, longer, more, options
        self.missing = {}

    def subjects(self, site, label):
        return [site.subject(part) for part in label.split(" & ")]

    def start(self, site, tiny):
        """Bring up what the row needs, and find out what cannot be measured."""
        for label in list(self.labels):
            if not is_installed(label):
                self.skip(label, "not installed")
                continue
            for s in self.subjects(site, label):
                if self.name == "h2" and not speaks_http2(s):
                    self.skip(label, "not offered")
                elif not tiny:
                    self.warm(s)

    def skip(self, label, why):
        self.labels = [one for one in self.labels if one != label]
        self.missing[label] = why

    def warm(self, subject):
        """Caches, kept connections and verified credentials, once for each kind of load."""
        load_of = self.run if self.name == "h2" else load.full_speed
        kind = (self.name == "h2", self.options.get("octets"))
        if kind not in subject.is_warm:
            seconds = 1 if subject.is_warm else subject.warm_seconds
            load_of([subject], seconds, lambda: None, **self.options)
            subject.is_warm.add(kind)

    def measure(self, site, label, seconds):
        return self.take(site, self.subjects(site, label), seconds * self.longer)

    def take(self, site, subjects, seconds, herd=None):
        parts = {}
        for s in dict.fromkeys(subjects):  # two loads may share one
            for part, processes in s.parts.items():
                parts.setdefault(part, []).extend(processes)
        pids = {part: [pid for tree in meters.trees(ps) for pid in tree]
                for part, ps in parts.items()}
        begin = {}

        def mark():
            begin["foreign"] = meters.Foreign(site.all + ([herd] if herd else []))
            begin["cpu"] = {part: meters.cpu_us(p) for part, p in pids.items()}

        got = self.run(subjects, seconds, mark, **self.options)
        got["cpu_us"] = {part: (meters.cpu_us(p) - begin["cpu"][part]) / got["requests"]
                         for part, p in pids.items()}
        got["foreign"] = begin["foreign"].percent()
        return got

    def end(self):
        """After the last round."""


class Curve(Row):
    """The same push while a herd waits; labels are "N what". Goes up and down, so that big herds are not built
    more often than needed."""

    def __init__(self, name, title, subject, kind, counts, tiny_counts):
        super().__init__(name, title, [], load.full_speed)
        self.subject_name, self.kind, self.counts, self.tiny_counts = subject, kind, counts, tiny_counts
        self.herd = None

    def start(self, site, tiny):
        counts = self.tiny_counts if tiny else self.counts
        self.labels = [str(n) for n in counts]
        self.subject = site.subject(self.subject_name)
        if not tiny:
            self.warm(self.subject)
        self.herd = load.Herd(self.subject, self.kind, max(counts))
        self.base = self.descriptors()

    def descriptors(self):
        return meters.descriptors([p.pid for p in self.subject.processes])

    def measure(self, site, label, seconds):
        """An idle connection is one descriptor; an active one is another in the process that calls Focused Run.
        Kept connections of the load before come and go: a few do not matter."""
        n = int(label)
        self.herd.to(n)
        want = n * (2 if self.kind == "active" else 1)
        wait_until(lambda: abs(self.descriptors() - self.base - want) <= 64,
                   f"{n} connections at {self.subject.name}", 30)
        return self.take(site, [self.subject], seconds, self.herd)

    def end(self):
        if self.herd:
            self.herd.close()
            self.herd = None


class Memory(Row):
    """PSS: at rest, and for each connection that has pushed once and waits. The tunnel comes first: its gateway
    serves the direct route too, and keeps what it has grown to."""

    how = "memory"

    def __init__(self, name, title, labels, counts, tiny_counts):
        super().__init__(name, title, labels, None)
        self.counts, self.tiny_counts = counts, tiny_counts

    def start(self, site, tiny):
        self.now = self.tiny_counts if tiny else self.counts
        self.calm_s = 0 if tiny else CALM_S
        for label in self.labels:
            site.subject(label)

    def measure(self, site, label, _):
        subject = site.subject(label)
        load.fixed_rate([subject], 1, lambda: None, rate=16)
        pids = {part: [p.pid for p in ps] for part, ps in subject.parts.items()}
        got = {"idle_kib": {part: meters.settled_pss_kib(p) for part, p in pids.items()}, "each_kib": {}}
        if label == "tunnel":
            return got
        (front,) = pids.values()
        before = meters.settled_pss_kib(front)
        herd = load.Herd(subject, "idle", max(self.now))
        try:
            for n in self.now:
                herd.to(n)
                time.sleep(self.calm_s)
                got["each_kib"][str(n)] = (meters.settled_pss_kib(front) - before) / n
        finally:
            herd.close()
        return got


def speaks_http2(subject):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", subject.port), 5) as s, context.wrap_socket(s) as tls:
        return tls.selected_alpn_protocol() == "h2"


def all_rows():
    """In the order of measuring: memory first, while processes are fresh and few share their pages."""
    return [
        Memory("memory", "PSS", ["tunnel", "nginx", "direct"], (1000, 5000), (20, 40)),
        Row("1k", "POST 1 KiB, 16 connections", H1_PEERS, load.full_speed),
        Row("16k", "POST 16 KiB, 16 connections", H1_PEERS, load.full_speed, octets=16384),
        Row("256k", "POST 256 KiB, 8 connections", H1_PEERS, load.full_speed, octets=262144,
            connections=8),
        Row("sap", "POST 1 KiB, through a connectivity proxy", ["nginx", "sap-connectivity"], load.full_speed),
        Row("log", "POST 1 KiB, access lines on", ["nginx +log", "direct +log", "tunnel +log"],
            load.full_speed),
        Row("h2", "POST 1 KiB over HTTP/2, 4 connections x 8 streams",
            ["nginx", "haproxy", "direct", "tunnel"], load.http2),
        Row("tls", "POST 1 KiB, new TLS connection each", ["nginx", "haproxy", "direct", "tunnel"],
            load.new_connections),
        Row("rate", "POST 1 KiB, 500 a second on 16 connections", H1_PEERS, load.fixed_rate, more=6),
        Row("workers", "POST 1 KiB, two threads on both CPUs", ["process A & process B",
                                                               "one process & one process"],
            load.full_speed, more=4),
        Curve("idle", "POST 1 KiB, direct, beside idle connections", "direct", "idle",
              (0, 1000, 10000), (0, 10, 50)),
        Curve("streams", "POST 1 KiB, tunnel, beside requests in flight", "streams", "active",
              (1, STREAMS), (1, 20)),
        Row("endpoints", f"POST 1 KiB, direct: 1 endpoint, {ENDPOINTS} in turn",
            ["always one", "endpoints"], load.full_speed),
        Row("pushers", f"POST 1 KiB, direct: 1 pusher, {PUSHERS} in turn", ["always one", "pushers"],
            load.full_speed),
    ]
