# SPDX-License-Identifier: Apache-2.0
"""A back end of a few lines, for answers that no sane server gives."""

import contextlib
import socket
import ssl
import threading

from chain import merge


class Scripted:
    """Calls script(socket, head, rest) for each request; it returns what it read too much, or None
    to close."""

    def __init__(self, port, script, pki=None):
        self.script = script
        self.tls = None
        self.heads = []
        if pki:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(pki.path("frun.pem"), pki.path("frun.key"))
        self.sock = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with contextlib.suppress(OSError), contextlib.closing(s):
            s.settimeout(20)
            # As servers do; else a reset would overtake what waits for an acknowledgement.
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                s = self.tls.wrap_socket(s, server_side=True)
            with contextlib.closing(s):
                self._requests(s)

    def _requests(self, s):
        rest = b""
        while rest is not None:
            while b"\r\n\r\n" not in rest:
                data = s.recv(65536)
                if not data:
                    return
                rest += data
            head, rest = rest.split(b"\r\n\r\n", 1)
            self.heads.append(head.decode("latin-1"))
            rest = self.script(s, head, rest)

    def stop(self):
        self.sock.close()


def scripted_chain(make_chain, route, script, plain=True, gateway=None, connector=None):
    """A chain whose Focused Run is a script, on the tunnel or the direct route."""
    over = {} if route == "tunnel" else {"tunnel": None, "connector DC1-A": None,
                                         "connector DC1-B": None}
    chain = make_chain(start=False, has_sim=False, sim_plain=plain,
                       connectors=("dc1-a",) if route == "tunnel" else (),
                       gateway=merge(over, gateway), connector=connector)
    if route == "direct":
        system = chain.gateway_sections["system FR1"]
        system.pop("location_id")
        system.update({"route": "direct", "address": f"127.0.0.1:{chain.sim_port}",
                       "protocol": "HTTP" if plain else "HTTPS"})
        if not plain:
            system["backend_ca"] = "../tls/frun-ca.pem"
        chain.write_gateway()
    chain.backend = Scripted(chain.sim_port, script, None if plain else chain.pki)
    return chain.start()


def read_body(s, head, rest):
    """The body by Content-Length; what follows it is returned too."""
    size = 0
    for line in head.decode("latin-1").split("\r\n"):
        if line.lower().startswith("content-length:"):
            size = int(line.split(":")[1])
    while len(rest) < size:
        data = s.recv(65536)
        if not data:
            break
        rest += data
    return rest[:size], rest[size:]
