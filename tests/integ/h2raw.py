# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frame by frame, right and wrong: what no library would let a test send."""

import contextlib
import socket
import ssl
import struct
import time

import hpack

from tools import Answer, basic

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
CODES = ("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
         "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
         "CONNECT_ERROR", "ENHANCE_YOUR_CALM")


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A field without table and without Huffman, so that a test sees every octet it sends."""
    def text(x):
        x = x if isinstance(x, bytes) else x.encode("latin-1")
        n = len(x)
        if n < 127:
            return bytes([n]) + x
        n -= 127
        out = b"\x7f"
        while n >= 128:
            out += bytes([n % 128 + 128])
            n //= 128
        return out + bytes([n]) + x
    return b"\x00" + text(name) + text(value)


def block(fields):
    return b"".join(literal(n, v) for n, v in fields)


class Stream:
    """What came back on one stream."""

    def __init__(self):
        self.heads = []
        self.body = b""
        self.is_ended = False
        self.reset = None


class H2:
    """A client's connection."""

    def __init__(self, chain, settings=(), is_started=True, auto_window=True, host="127.0.0.1",
                 rcvbuf=None):
        ctx = ssl.create_default_context(cafile=chain.pki.path("ca.pem"))
        ctx.set_alpn_protocols(["h2", "http/1.1"])
        s = socket.socket()
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.connect((host, chain.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(20)
        self.sock = ctx.wrap_socket(s, server_hostname="push.example.com")
        assert self.sock.selected_alpn_protocol() == "h2"
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.buffer = b""
        self.streams = {}
        self.goaway = []
        self.settings = {}
        self.pings = 0
        self.is_closed = False
        self.auto_window = auto_window
        self.windows = {}
        self.next_id = 1
        if is_started:
            self.send(PREFACE + frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v)
                                                              for k, v in settings)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.is_closed = True
        self.sock.close()

    def send(self, octets):
        self.sock.sendall(octets)

    def flood(self, octets, n):
        """Send n times, as far as the other side lets us."""
        with contextlib.suppress(OSError):
            for _ in range(n):
                self.send(octets)

    @staticmethod
    def fields(method="POST", path="/ACME_PROD/sap/frun/x", auth=("s4push", "Push-Pass-4711"),
               authority="push.example.com", scheme="https", more=()):
        out = [(":method", method), (":scheme", scheme), (":path", path)]
        if authority is not None:
            out.append((":authority", authority))
        if auth:
            out.append(("authorization", "Basic " + basic(*auth).split(" ")[-1]))
        return out + list(more)

    def stream(self, n):
        return self.streams.setdefault(n, Stream())

    def request(self, fields, body=None, is_end=True, cut=None):
        """HEADERS, and DATA if there is a body; returns the stream's number."""
        n = self.next_id
        self.next_id += 2
        self.stream(n)
        octets = block(fields)
        flags = END_STREAM if is_end and body is None else 0
        parts = [octets[i:i + 16384] for i in range(0, len(octets), 16384)] if not cut else \
            [octets[i:i + cut] for i in range(0, len(octets), cut)]
        out = b""
        for i, part in enumerate(parts):
            kind = HEADERS if i == 0 else CONTINUATION
            out += frame(kind, (flags if i == 0 else 0) |
                         (END_HEADERS if i == len(parts) - 1 else 0), n, part)
        if body is not None:
            for i in range(0, len(body), 16384):
                out += frame(DATA, 0, n, body[i:i + 16384])
            if is_end:
                out += frame(DATA, END_STREAM, n)
        self.send(out)
        return n

    def _fill(self, timeout):
        self.sock.settimeout(max(timeout, 0.01))
        try:
            data = self.sock.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            data = b""
        if not data:
            self.is_closed = True
            return False
        self.buffer += data
        return True

    def _header(self, n, payload, flags, kind):
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        fields = [(k, v) for k, v in self.decoder.decode(payload)]
        self.stream(n).heads.append([(str(k), str(v)) for k, v in fields])
        if flags & END_STREAM:
            self.stream(n).is_ended = True

    def _take(self, kind, flags, n, payload):
        if kind == HEADERS:
            assert flags & END_HEADERS
            self._header(n, payload, flags, kind)
        elif kind == DATA:
            self.stream(n).body += payload
            self.stream(n).is_ended |= bool(flags & END_STREAM)
            if self.auto_window and payload:
                step = struct.pack(">I", len(payload))
                with contextlib.suppress(OSError):
                    self.send(frame(WINDOW, 0, 0, step) +
                              (b"" if flags & END_STREAM else frame(WINDOW, 0, n, step)))
        elif kind == RST:
            self.stream(n).reset = CODES[struct.unpack(">I", payload)[0]]
        elif kind == GOAWAY:
            last, code = struct.unpack(">II", payload[:8])
            self.goaway.append((last, CODES[code]))
        elif kind == SETTINGS and not flags & ACK:
            for i in range(0, len(payload), 6):
                k, v = struct.unpack(">HI", payload[i:i + 6])
                self.settings[k] = v
            with contextlib.suppress(OSError):
                self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            with contextlib.suppress(OSError):
                self.send(frame(PING, ACK, 0, payload))
        elif kind == PING:
            self.pings += 1
        elif kind == WINDOW:
            self.windows[n] = self.windows.get(n, 0) + struct.unpack(">I", payload)[0]

    def pump(self, timeout=0.05):
        """Read what is there; false when nothing came in time."""
        if self.is_closed or not self._fill(timeout):
            return False
        while len(self.buffer) >= 9:
            length = struct.unpack(">I", b"\0" + self.buffer[:3])[0]
            if len(self.buffer) < 9 + length:
                break
            kind, flags, n = struct.unpack(">BBI", self.buffer[3:9])
            payload = self.buffer[9:9 + length]
            self.buffer = self.buffer[9 + length:]
            self._take(kind, flags, n & 0x7fffffff, payload)
        return True

    def until(self, condition, what, deadline=15.0):
        end = time.monotonic() + deadline
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or (self.is_closed and not condition()):
                seen = {k: (s.heads, len(s.body), s.is_ended, s.reset)
                        for k, s in self.streams.items()}
                raise AssertionError(f"{what}: closed={self.is_closed} goaway={self.goaway} "
                                     f"streams={seen}")
            self.pump(min(left, 0.2))

    def done(self, n):
        s = self.stream(n)
        return s.is_ended or s.reset is not None

    def answer(self, n, deadline=15.0):
        """The answer of stream n, or the name of the reset's code."""
        self.until(lambda: self.done(n), f"answer on stream {n}", deadline)
        s = self.stream(n)
        finals = [h for h in s.heads if h[0][1][0] != "1"]
        if not finals or not s.is_ended:
            return s.reset
        return Answer("HTTP/2", int(finals[0][0][1]), "", finals[0][1:], s.body)

    def ask(self, fields=None, body=None, **kw):
        return self.answer(self.request(fields or self.fields(**kw), body))

    def ends(self, deadline=15.0):
        """The connection ends; the code of the last GOAWAY, or None."""
        self.until(lambda: self.is_closed, "the connection ends", deadline)
        return self.goaway[-1][1] if self.goaway else None
