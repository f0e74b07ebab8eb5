# SPDX-License-Identifier: Apache-2.0
"""An identity provider: discovery and JWKS over TLS, keys that roll over, tokens signed by 'openssl'."""

import contextlib
import hashlib
import hmac
import http.server
import json
import ssl
import subprocess
import tempfile
import threading
import time

from oauth import encode
from tools import free_port

DIGEST = {"RS256": "sha256", "RS384": "sha384", "RS512": "sha512", "PS256": "sha256",
          "ES256": "sha256", "ES384": "sha384"}


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, check=True, capture_output=True).stdout


def raw_signature(der, half):
    """r and s side by side of an ECDSA signature in DER."""
    at, out = 2 + (der[1] & 0x7f if der[1] & 0x80 else 0), b""
    for _ in range(2):
        n = der[at + 1]
        out += der[at + 2:at + 2 + n].lstrip(b"\0").rjust(half, b"\0")
        at += 2 + n
    return out


class Key:
    """A signing key: RSA or EC, with its JWK."""

    def __init__(self, kid, kind="RSA", bits=2048):
        self.kid, self.kind, self.bits = kid, kind, bits
        option = f"rsa_keygen_bits:{bits}" if kind == "RSA" else f"ec_paramgen_curve:P-{bits}"
        self.pem = openssl("genpkey", "-algorithm", kind, "-pkeyopt", option)
        self.public = openssl("pkey", "-pubout", stdin=self.pem)

    @property
    def jwk(self):
        if self.kind == "RSA":
            n = openssl("rsa", "-noout", "-modulus", stdin=self.pem).decode().strip().split("=")[1]
            return {"kty": "RSA", "use": "sig", "kid": self.kid, "n": encode(bytes.fromhex(n)),
                    "e": "AQAB", "value": self.public.decode()}
        point = openssl("pkey", "-pubout", "-outform", "DER", stdin=self.pem)[-self.bits // 4:]
        half = len(point) // 2
        return {"kty": "EC", "use": "sig", "kid": self.kid, "crv": f"P-{self.bits}",
                "x": encode(point[:half]), "y": encode(point[half:])}

    def sign(self, alg, text):
        if alg == "none":
            return b""
        if alg.startswith("HS"):
            return hmac.new(self.public, text, hashlib.sha256).digest()
        with tempfile.NamedTemporaryFile() as f:  # stdin is for what is signed
            f.write(self.pem)
            f.flush()
            more = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] \
                if alg == "PS256" else []
            made = openssl("dgst", "-" + DIGEST[alg], "-sign", f.name, *more, stdin=text)
        return raw_signature(made, self.bits // 8) if alg.startswith("ES") else made


class Issuer:
    """What it shows may be changed at any time: keys, faults, delay."""

    def __init__(self, pki, port=None, certificate="gateway"):
        self.pki = pki
        self.port = port or free_port()
        self.certificate = certificate
        self.issuer = f"https://127.0.0.1:{self.port}/realm"
        self.key = Key("k1")
        self.keys = [self.key]
        self.described = None  # issuer in the description, if it is another one
        self.fault = None      # (status, body)
        self.fields = []
        self.delay = 0
        self.requests = []
        self.server = None

    def section(self, **over):
        return {"issuer": self.issuer, "audience": "frunproxy", "scope": "frunproxy.push",
                "ca": "tls/ca.pem", **over}

    def token(self, key=None, alg="RS256", header=None, kid=None, **over):
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "sb-acme", "aud": ["frunproxy"], "azp": "sb-acme",
                  "cid": "sb-acme", "client_id": "sb-acme", "zid": "acme", "iat": now,
                  "exp": now + 600, "scope": ["uaa.resource", "frunproxy.push"]}
        claims.update(over)
        claims = {k: v for k, v in claims.items() if v is not None}
        key = key or self.key
        head = {"alg": alg, "typ": "JWT", "kid": kid or key.kid, **(header or {})}
        text = encode(json.dumps(head).encode()) + "." + encode(json.dumps(claims).encode())
        return text + "." + encode(key.sign(alg, text.encode()))

    def fetches(self):
        return [r for r in self.requests if r.endswith("/jwks")]

    def answer(self, path):
        if self.fault:
            return self.fault
        if path == "/realm/.well-known/openid-configuration":
            return 200, json.dumps({"issuer": self.described or self.issuer,
                                    "jwks_uri": f"https://127.0.0.1:{self.port}/jwks"})
        if path == "/jwks":
            return 200, json.dumps({"keys": [k.jwk for k in self.keys]})
        return 404, "{}"

    def start(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                time.sleep(outer.delay)
                status, body = outer.answer(self.path)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    for name, value in outer.fields:
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pki.path(self.certificate + ".pem"),
                                self.pki.path(self.certificate + ".key"))
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
