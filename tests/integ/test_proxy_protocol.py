# SPDX-License-Identifier: Apache-2.0
"""Behind a balancer: whose connection it is, the PROXY protocol tells, before TLS."""

import os
import re
import shutil
import socket
import struct
import textwrap

import pytest

from chain import Raw, run, wait_until
from tools import Process, free_port

V2 = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = "203.0.113.9"
REQUIRED = {"proxy_protocol": "required", "proxy_trusted": "127.0.0.1, 192.0.2.0/24"}


def v1(source=CLIENT):
    return f"PROXY TCP4 {source} 198.51.100.1 56324 443\r\n".encode()


def v2(source=CLIENT, command=0x21, tlv=b""):
    body = socket.inet_aton(source) + socket.inet_aton("198.51.100.1")
    body += struct.pack("!HH", 56324, 443) + tlv
    return V2 + bytes([command, 0x11]) + struct.pack("!H", len(body)) + body


def v2_over_ipv6(source):
    body = socket.inet_pton(socket.AF_INET6, source) * 2 + struct.pack("!HH", 1, 2)
    return V2 + bytes([0x21, 0x21]) + struct.pack("!H", len(body)) + body


def bring(port, *pieces, source="127.0.0.1"):
    """A connection that begins with these octets, each piece in a packet of its own."""
    s = socket.socket()
    s.settimeout(20)
    s.bind((source, 0))
    s.connect(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        s.sendall(piece)
    return s


def is_closed(s):
    with s:
        try:
            return s.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def proxied(make_chain):
    """A chain whose own connections begin with a head too."""
    def make(gateway=None, **kw):
        over = {"gateway": dict(REQUIRED)}
        over["gateway"].update(gateway or {})
        chain = make_chain(start=False, gateway=over, **kw)

        def raw(head=(v1("192.0.2.99"),), **options):
            return Raw(chain.port, chain.pki.path("ca.pem"), connection=bring(chain.port, *head),
                       **options)
        chain.raw = raw
        return chain.start()
    return make


@pytest.mark.parametrize("head,client", [
    ((v1(),), CLIENT),
    ((v2(),), CLIENT),
    ((v2(tlv=b"\x04\x01\x00" + b"\0" * 256),), CLIENT),
    (tuple(bytes([c]) for c in v1()), CLIENT),
    (tuple(bytes([c]) for c in v2(tlv=b"\x20\0\2ab")), CLIENT),
    ((b"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n",), "2001:db8::7"),
    ((v2_over_ipv6("2001:db8::8"),), "2001:db8::8"),
    ((v2_over_ipv6("::ffff:203.0.113.10"),), "203.0.113.10"),
    ((b"PROXY UNKNOWN\r\n",), "127.0.0.1"),
    ((v2(command=0x20),), "127.0.0.1"),
], ids=["v1", "v2", "v2 tlv", "v1 octets", "v2 octets", "v1 tcp6", "v2 tcp6", "v2 mapped",
        "unknown", "local"])
def test_the_address_of_the_head_counts(proxied, head, client):
    chain = proxied()
    assert chain.push(head=head).status == 200
    assert chain.pushes_logged(1)[-1]["client"] == client
    told = chain.last().get_field("X-Forwarded-For") or chain.last().get_field("Forwarded")
    assert client in told


def test_without_a_good_head_nothing(proxied):
    chain = proxied({"handshake_timeout": "2s"})
    for octets in (b"\x16\x03\x01\x02\0\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                   b"PROXY TCP4 203.0.113.9 198.51.100.1 1\r\n", V2 + b"\x21\x11\xff\xff",
                   V2 + b"\x21\x31\0\xd8", b"PROXY UNKNOWN " + b"x" * 200):
        assert is_closed(bring(chain.port, octets)), octets
    assert is_closed(bring(chain.port, v1()[:20]))  # never complete: closed in the end
    chain.gateway.wait_log("does not begin with a PROXY head")
    assert chain.push().status == 200


def test_connections_from_elsewhere_are_refused(proxied):
    chain = proxied()
    assert is_closed(bring(chain.port, v1(), source="127.0.0.2"))
    chain.gateway.wait_log("127.0.0.2 refused: it is not in proxy_trusted")
    for _ in range(50):
        assert is_closed(bring(chain.port, source="127.0.0.2"))
    lines = chain.gateway.log().count("not in proxy_trusted")
    assert lines <= 2 * chain.workers, "a line for every connection"
    assert chain.push().status == 200


def test_the_tunnel_behind_a_balancer(make_chain, tmp_path):
    """The connector's connection gets its head from a forwarder, which stands for the balancer."""
    if not shutil.which("haproxy"):
        pytest.skip("no haproxy")
    balancer = []

    def via(port):
        balancer.append(Haproxy(tmp_path, port, "send-proxy-v2"))
        return balancer[0].port
    chain = make_chain(gateway={"tunnel": {"proxy_protocol": "required",
                                           "proxy_trusted": "127.0.0.1"}}, tunnel_via=via)
    try:
        assert chain.push().status == 200
    finally:
        balancer[0].process.stop()


def test_off_takes_no_head(chain):
    with pytest.raises((OSError, ConnectionError)):
        Raw(chain.port, chain.pki.path("ca.pem"), connection=bring(chain.port, v1()))
    assert chain.push().status == 200


def test_a_reload_turns_it_on(make_chain):
    chain = make_chain()
    assert chain.push().status == 200
    chain.gateway_sections["gateway"].update(REQUIRED)
    chain.write_gateway()
    chain.gateway.signal(1)

    def on():
        try:
            with Raw(chain.port, chain.pki.path("ca.pem"),
                     connection=bring(chain.port, v1())) as c:
                c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
                return c.answer("POST").status == 200
        except OSError:
            return False
    wait_until(on, "heads are taken")


@pytest.mark.parametrize("over,why", [
    ({"proxy_protocol": "required"}, "gateway.proxy_protocol: needs proxy_trusted"),
    ({"proxy_protocol": "required", "proxy_trusted": "10.1.2.3/8"},
     "must be a network whose address ends where its bits end"),
    ({"proxy_protocol": "required", "proxy_trusted": "balancer"},
     "must be an address or a network"),
    ({"proxy_protocol": "v1"}, "gateway.proxy_protocol: "),
])
def test_wrong_keys(make_chain, over, why):
    chain = make_chain(start=False, gateway={"gateway": over})
    r = run([*chain.gateway.argv, "--check"])
    assert r.returncode == 78 and why in r.stderr, r.stderr


# -- real balancers, configured as the administrator's guide says

GUIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "ADMIN.md")


def guide_block(begin, port, target):
    """A configuration of the guide, with our addresses in the place of its."""
    with open(GUIDE, encoding="utf-8") as f:
        blocks = re.findall(r"(?:^    .*\n|^\n)+", f.read(), re.M)
    text = textwrap.dedent([b for b in blocks if b.strip().startswith(begin)][0])
    text, n = re.subn(r"\b10\.0\.0\.\d+:443", f"127.0.0.1:{target}", text)
    assert n == 2, text
    text, n = re.subn(r"(bind|listen) :?443", rf"\1 127.0.0.1:{port}", text)
    assert n == 1, text
    return text


class Haproxy:
    def __init__(self, folder, target, option):
        self.port = free_port()
        path = os.path.join(str(folder), f"haproxy-{self.port}.cfg")
        text = guide_block("defaults", self.port, target)
        assert " send-proxy-v2 check inter 2s\n" in text
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("send-proxy-v2 check inter 2s", option))
        self.process = Process("haproxy", [shutil.which("haproxy"), "-db", "-f", path], path + ".log")
        self.process.start()


class Nginx:
    MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

    def __init__(self, folder, target, _):
        self.port = free_port()
        path = os.path.join(str(folder), f"nginx-{self.port}.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"load_module {self.MODULE};\ndaemon off;\nmaster_process off;\n"
                    f"pid {path}.pid;\nerror_log stderr;\nevents {{}}\n"
                    + guide_block("stream {", self.port, target))
        self.process = Process("nginx", [shutil.which("nginx"), "-p", str(folder), "-c", path],
                               path + ".log")
        self.process.start()


@pytest.mark.parametrize("kind,option", [(Haproxy, "send-proxy"), (Haproxy, "send-proxy-v2"),
                                         (Haproxy, "send-proxy-v2 check inter 2s"),
                                         (Haproxy, "send-proxy-v2 check inter 100ms"),
                                         (Haproxy, "send-proxy-v2-ssl-cn"), (Nginx, "v1")])
def test_real_balancers(proxied, tmp_path, kind, option):
    if kind is Haproxy and not shutil.which("haproxy"):
        pytest.skip("no haproxy")
    if kind is Nginx and not (shutil.which("nginx") and os.path.exists(Nginx.MODULE)):
        pytest.skip("no nginx with its stream module")
    chain = proxied()
    balancer = kind(tmp_path, chain.port, option)
    try:
        chain.wait_port(balancer.process, balancer.port)
        for n in range(3):
            s = bring(balancer.port, source="127.0.0.7")
            with Raw(balancer.port, chain.pki.path("ca.pem"), connection=s) as c:
                c.send(chain.octets("POST", "/ACME_PROD/sap/frun/x", body=b"{}"))
                assert c.answer("POST").status == 200
            assert chain.pushes_logged(n + 1)[-1]["client"] == "127.0.0.7"
    finally:
        balancer.process.stop()
