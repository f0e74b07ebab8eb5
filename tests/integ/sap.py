# SPDX-License-Identifier: Apache-2.0
"""SAP's side: a token service and a connectivity proxy with a Cloud Connector behind it, as SAP
documents them. Focused Run itself stands inside: it answers what the test wants."""

import base64
import contextlib
import json
import socket
import ssl
import threading
import time
import urllib.parse

from chain import Background, wait_until

CLIENT = "sb-4711!b1|connectivity!b17"
SECRET = "S3cret$+/= for the token"
SUBACCOUNT = "0c5c4f4e-subaccount"

NO_TUNNEL = ('There is no SAP Cloud Connector (SCC) connected to your subaccount matching the '
             'requested tunnel for subaccount "%s" and SCC location ID "%s". Check the configuration '
             'on SCC and cloud side.')
NO_SYSTEM = ("Access denied to system %s. In case this was a valid request, ensure to expose the "
             "system correctly in your cloud connector.")
NO_RESOURCE = ("Access denied to resource %s on system %s. In case this was a valid request, ensure "
               "to expose the resource correctly in your cloud connector.")
AFFINITY = ("One of the headers [SAP-Connectivity-ConsumerAccount, SAP-Connectivity-SCC-Location_ID] "
            "was set with a different value than the original tunnel account:///%s/%s")
MAX_LINE = 8192


class Server:
    """Threads behind one listening socket; handle(socket, head, rest) returns what it read too
    much, or None to close."""

    def __init__(self, context=None):
        self.context = context
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.lock = threading.Lock()
        self.n_connections = 0
        threading.Thread(target=self._accept, args=(self.sock,), daemon=True).start()

    def _accept(self, sock):
        while True:
            try:
                s, _ = sock.accept()
            except OSError:
                return
            with self.lock:
                self.n_connections += 1
                number = self.n_connections
            threading.Thread(target=self._serve, args=(s, number), daemon=True).start()

    def _serve(self, s, number):
        with contextlib.suppress(OSError, ssl.SSLError), contextlib.closing(s):
            s.settimeout(30)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
            connection = {"number": number,
                          "certificate": s.getpeercert() if self.context else None}
            s = self.greet(s, connection)
            if not s:
                return
            with contextlib.closing(s):
                rest = b""
                while rest is not None:
                    while b"\r\n\r\n" not in rest:
                        data = s.recv(65536)
                        if not data:
                            return
                        rest += data
                    head, rest = rest.split(b"\r\n\r\n", 1)
                    lines = head.decode("latin-1").split("\r\n")
                    fields = [line.split(": ", 1) for line in lines[1:]]
                    request = {"line": lines[0], "lines": lines, "fields": fields,
                               "connection": connection}
                    rest = self.body(s, request, rest)
                    if rest is None or not self.handle(s, request):
                        return

    def greet(self, s, connection):
        """What comes before HTTP; the socket to go on with, or None."""
        return s

    @staticmethod
    def get(request, name):
        values = [v for n, v in request["fields"] if n.lower() == name.lower()]
        assert len(values) < 2, f"{name} stands {len(values)} times"
        return values[0] if values else None

    def body(self, s, request, rest):
        if (self.get(request, "Transfer-Encoding") or "").lower() == "chunked":
            while not rest.endswith(b"0\r\n\r\n"):
                data = s.recv(65536)
                if not data:
                    return None
                rest += data
            request["body"] = rest
            return b""
        size = int(self.get(request, "Content-Length") or 0)
        while len(rest) < size:
            data = s.recv(65536)
            if not data:
                return None
            rest += data
        request["body"] = rest[:size]
        return rest[size:]

    @staticmethod
    def answer(s, status, body, fields=()):
        body = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *fields]
        s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return True

    def stop(self):
        self.sock.close()


def b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class TokenService(Server):
    """POST /oauth/token over TLS; client secret or client certificate."""

    def __init__(self, pki, life=3600, client_ca=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.path("gateway.pem"), pki.path("gateway.key"))
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(pki.path(client_ca))
        self.client_ca = client_ca
        self.life = life
        self.secret = SECRET
        self.fault = None      # (status, body): instead of an answer
        self.delay = 0
        self.padding = ""      # makes tokens longer
        self.requests = []
        self.good = {}         # token -> when it ends
        super().__init__(context)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def handle(self, s, request):
        form = dict(urllib.parse.parse_qsl(request["body"].decode()))
        with self.lock:
            self.requests.append({"line": request["line"], "form": form,
                                  "zid": self.get(request, "X-zid")})
        time.sleep(self.delay)
        if self.fault:
            return self.answer(s, *self.fault)
        is_known = self.client_ca or form.get("client_secret") == self.secret
        if form.get("grant_type") != "client_credentials" or form.get("client_id") != CLIENT \
                or not is_known:
            return self.answer(s, 401, json.dumps({"error": "invalid_client",
                                                   "error_description": "Bad credentials " +
                                                   form.get("client_secret", "")}))
        now = time.time()
        zid = self.get(request, "X-zid") or SUBACCOUNT
        claims = {"iat": int(now), "exp": int(now) + self.life, "zid": zid, "client_id": CLIENT,
                  "jti": str(len(self.requests)) + self.padding}
        token = f"{b64({'alg': 'RS256'})}.{b64(claims)}.c2lnbmF0dXJl"
        with self.lock:
            self.good[token] = now + self.life
        return self.answer(s, 200, json.dumps({"access_token": token, "token_type": "bearer",
                                               "expires_in": self.life}))

    def accepts(self, token):
        with self.lock:
            return self.good.get(token, 0) > time.time()

    def revoke(self):
        with self.lock:
            self.good.clear()


class ConnectivityProxy(Server):
    """Port 20003: absolute form only, a token on every request, one tunnel for a connection."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.locations = {"DC1"}                 # where a Cloud Connector is connected
        self.systems = {"frun-virtual:443": ["/sap/frun", "/sap/bc/ping"]}
        self.backend_down = False
        self.backend = lambda request: (200, "got it", ())
        self.requests = []                       # everything that came
        self.delivered = []                      # what Focused Run got
        self.delay = 0
        super().__init__()

    def handle(self, s, request):
        with self.lock:
            self.requests.append(request)
        request["status"], body, fields = self.judge(request)
        if request["status"] == 200:
            time.sleep(self.delay)
        return self.answer(s, request["status"], body, fields)

    def judge(self, request):
        method, target, _ = request["line"].split(" ")
        request["path"] = urllib.parse.urlsplit(target).path
        if any(len(line) + 2 > MAX_LINE for line in request["lines"]):
            return 400, "line too long", ()
        if method == "CONNECT" or not target.startswith("http://"):
            return 405, "HTTPS proxying is not supported", ()
        authority = target[7:].split("/", 1)[0]
        assert self.get(request, "Host") == authority, request
        bearer = self.get(request, "Proxy-Authorization") or ""
        if not bearer.startswith("Bearer ") or not self.tokens.accepts(bearer[7:]):
            return 407, "", ()
        location = self.get(request, "SAP-Connectivity-SCC-Location_ID") or ""
        connection = request["connection"]
        if connection.setdefault("location", location) != location:
            return 400, AFFINITY % (SUBACCOUNT, connection["location"]), ()
        if location not in self.locations:
            return 503, NO_TUNNEL % (SUBACCOUNT, location), ()
        if connection.setdefault("system", authority) != authority or \
                authority not in self.systems:
            return 403, NO_SYSTEM % authority, ()
        if not any(request["path"].startswith(p) for p in self.systems[authority]):
            return 403, NO_RESOURCE % (request["path"], authority), ()
        if self.backend_down:
            return 502, f"Unable to open connection to backend system {authority}.", ()
        with self.lock:
            self.delivered.append(request)
        return self.backend(request)


class SocksProxy(Server):
    """Port 20004: SOCKS5 with method 0x80, then TCP to Focused Run, which stands inside."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.locations = {"DC1"}
        self.systems = {("frun-virtual", 443)}
        self.backend_tls = None                  # context of Focused Run
        self.backend = lambda request: (200, "got it", ())
        self.logon_fault = None                  # instead of the answer to the token
        self.reply = None                        # code instead of the answer to CONNECT
        self.dials = []                          # (token is good, location, host, port)
        self.delivered = []
        super().__init__()

    @staticmethod
    def exactly(s, n):
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                raise OSError("gone")
            data += more
        return data

    def greet(self, s, connection):
        hello = self.exactly(s, 2)
        methods = self.exactly(s, hello[1])
        if hello[0] != 5 or 0x80 not in methods:
            s.sendall(b"\x05\xff")
            return None
        s.sendall(b"\x05\x80")
        assert self.exactly(s, 1) == b"\x01"
        token = self.exactly(s, int.from_bytes(self.exactly(s, 4), "big")).decode()
        location = base64.b64decode(self.exactly(s, self.exactly(s, 1)[0]), validate=True).decode()
        if self.logon_fault is not None:
            s.sendall(self.logon_fault)
            return None
        is_good = self.tokens.accepts(token)
        s.sendall(b"\x01\x00" if is_good else b"\x01\x01")
        if not is_good:
            with self.lock:
                self.dials.append((False, location, None, None))
            return None
        head = self.exactly(s, 4)
        assert head[:3] == b"\x05\x01\x00", head
        assert head[3] in (1, 3), "only IPv4 and names"
        host = socket.inet_ntoa(self.exactly(s, 4)) if head[3] == 1 else \
            self.exactly(s, self.exactly(s, 1)[0]).decode()
        port = int.from_bytes(self.exactly(s, 2), "big")
        with self.lock:
            self.dials.append((True, location, host, port))
        code = self.reply if self.reply is not None else \
            3 if location not in self.locations else \
            2 if (host, port) not in self.systems else 0
        s.sendall(bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))
        if code:
            return None
        connection.update(location=location, system=f"{host}:{port}")
        return self.backend_tls.wrap_socket(s, server_side=True) if self.backend_tls else s

    def handle(self, s, request):
        with self.lock:
            self.delivered.append(request)
        request["path"] = urllib.parse.urlsplit(request["line"].split(" ")[1]).path
        return self.answer(s, *self.backend(request))


class Sap:
    """All of them, and what the configuration says about them."""

    def __init__(self, pki, **tokens):
        self.pki = pki
        self.tokens = TokenService(pki, **tokens)
        self.proxy = ConnectivityProxy(self.tokens)
        self.socks = SocksProxy(self.tokens)

    def key(self, **over):
        value = {"clientid": CLIENT, "clientsecret": SECRET,
                 "token_service_url": self.tokens.url,
                 "onpremise_proxy_host": "127.0.0.1",
                 "onpremise_proxy_http_port": str(self.proxy.port),
                 "onpremise_socks5_proxy_port": str(self.socks.port),
                 "credential-type": "binding-secret"}
        value.update(over)
        return {k: v for k, v in value.items() if v is not None}

    def stop(self):
        self.tokens.stop()
        self.proxy.stop()
        self.socks.stop()


def sap_chain(make_chain, sap, gateway=None, section=None, key=None, start=True, workers=2):
    """A gateway whose only system stands behind SAP's Cloud Connector."""
    over = {"tunnel": None, "connector DC1-A": None, "connector DC1-B": None,
            "gateway": {"hold": "2s"},
            "sap-connectivity BTP": {"service_key": "secrets/btp.json", "token_ca": "tls/ca.pem",
                                     **(section or {})}}
    chain = make_chain(start=False, has_sim=False, connectors=(), workers=workers, gateway=over)
    chain.write("secrets/btp.json", json.dumps(key or sap.key()))
    system = chain.gateway_sections["system FR1"]
    system.update({"route": "sap-connectivity", "sap_connectivity": "BTP",
                   "virtual_host": "frun-virtual:443"})
    for name, keys in (gateway or {}).items():
        chain.gateway_sections.setdefault(name, {}).update(keys)
    chain.write_gateway()
    return chain.start() if start else chain


def waits_for_a_cloud_connector(chain, proxy, tries):
    """Without one, proxy is not hammered while 50 pushes wait; with one, everybody goes at once."""
    pushes = [Background(chain.push) for _ in range(50)]
    wait_until(lambda: len(tries) >= 3, "it is tried again")
    n_first = len(tries)
    assert not any(not p.is_running() for p in pushes)
    proxy.locations = {"DC1"}
    assert [p.result(30).status for p in pushes] == [200] * 50
    assert n_first < 100
    assert "good again after no_tunnel" in chain.gateway.log()
