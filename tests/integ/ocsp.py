# SPDX-License-Identifier: Apache-2.0
"""An authority that answers OCSP questions by 'openssl ocsp', with faults on demand."""

import http.server
import os
import re
import subprocess
import threading
import time

from tools import free_port

DELEGATE = ["basicConstraints=CA:FALSE", "extendedKeyUsage=OCSPSigning"]
TIME = re.compile(rb"\x18\x0f(\d{14}Z)")


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, check=True, capture_output=True).stdout


def tlv(der, at):
    """Where the content of a DER element begins, and where it ends."""
    n = der[at + 1]
    if n < 0x80:
        return at + 2, at + 2 + n
    k = n & 0x7f
    return at + 2 + k, at + 2 + k + int.from_bytes(der[at + 2:at + 2 + k], "big")


class Authority:
    """A CA in a folder; its certificates, what it says of them, and who signs that."""

    def __init__(self, pki, folder, name="ocsp-ca"):
        self.pki = pki
        self.dir = str(folder)
        self.name = name
        self.revoked = set()
        self.names = []
        self.signer = name
        if not os.path.exists(pki.path(name + ".pem")):
            pki._openssl(name, "/CN=" + name, ["basicConstraints=critical,CA:TRUE",
                                               "keyUsage=critical,keyCertSign,cRLSign"])

    def issue(self, name, url=None, has_feature=True, has_chain=True, hosts=("push.example.com",)):
        extensions = ["basicConstraints=CA:FALSE",
                      "subjectAltName=" + ",".join("DNS:" + h for h in hosts)]
        extensions += [f"authorityInfoAccess=OCSP;URI:{url}"] if url else []
        extensions += ["tlsfeature=status_request"] if has_feature else []
        self.pki._openssl(name, "/CN=" + hosts[0], extensions, self.name)
        self.names.append(name)
        chain = self.pki.path(name + "-chain.pem")
        with open(chain, "wb") as out:
            for one in [name, self.name] if has_chain else [name]:
                with open(self.pki.path(one + ".pem"), "rb") as f:
                    out.write(f.read())
        return {"certificate": chain, "private_key": self.pki.path(name + ".key")}

    def delegate(self, name):
        self.pki._openssl(name, "/CN=" + name, DELEGATE, self.name)
        return name

    def write_index(self):
        path = os.path.join(self.dir, "index.txt")
        with open(path, "w", encoding="ascii") as f:
            for name in self.names:
                serial = openssl("x509", "-noout", "-serial", "-in",
                                 self.pki.path(name + ".pem")).decode().strip().split("=")[1]
                state, since = ("R", "260101000000Z,keyCompromise") if name in self.revoked \
                    else ("V", "")
                f.write(f"{state}\t491231235959Z\t{since}\t{serial}\tunknown\t/CN={name}\n")
        return path

    def argv(self, signer=None):
        signer = signer or self.signer
        return ["-index", self.write_index(), "-CA", self.pki.path(self.name + ".pem"),
                "-rsigner", self.pki.path(signer + ".pem"),
                "-rkey", self.pki.path(signer + ".key"), "-nmin", "60"]

    def answer(self, question, signer=None):
        asked, told = (os.path.join(self.dir, x) for x in ("question", "answer"))
        with open(asked, "wb") as f:
            f.write(question)
        openssl("ocsp", *self.argv(signer), "-reqin", asked, "-respout", told)
        with open(told, "rb") as f:
            return f.read()

    def answer_until(self, question, in_s):
        """An answer that ends in so many seconds: openssl knows only minutes, so sign it again."""
        der = self.answer(question)
        until = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + in_s)).encode()
        since = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + in_s - 3600)).encode()
        at = [m.start(1) for m in TIME.finditer(der)][1:3]
        der = der[:at[0]] + since + der[at[0] + 15:at[1]] + until + der[at[1] + 15:]
        basic = der.index(b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01") + 11
        tbs = tlv(der, tlv(der, basic)[0])[0]
        tbs_end = tlv(der, tbs)[1]
        signature, end = tlv(der, tlv(der, tbs_end)[1])
        for _ in range(200):  # until it is as long as the old one
            new = openssl("dgst", "-sha256", "-sign", self.pki.path(self.signer + ".key"),
                          stdin=der[tbs:tbs_end])
            if len(new) == end - signature - 1:
                return der[:signature + 1] + new + der[end:]
        raise AssertionError("no signature of that length")


class Responder:
    """HTTP in front of an authority. answer(question) gives status and body, and may be replaced."""

    def __init__(self, authority=None, port=None):
        self.port = port or free_port()
        self.authority = authority
        self.answer = lambda question: (200, self.authority.answer(question))
        self.questions = []
        self.server = None
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/ocsp"

    def start(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                question = self.rfile.read(int(self.headers["Content-Length"]))
                outer.questions.append((self.path, self.headers["Content-Type"]))
                with outer.lock:
                    status, body = outer.answer(question)
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/ocsp-response")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
