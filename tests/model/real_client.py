"""A WebSocket client that does nothing by itself: it reads when it is told to, and answers the PINGs that it is told to.

What it reads becomes the lines that harness.c prints for its clients.
"""
import json
import select
import socket
import time

TEXT, CLOSE, PING = 1, 8, 9
PATIENCE = 10.0
NOT_SEEN = ("pong", "heartbeat", "shutdown")


def mask(op, payload):
    """A frame as a client sends it; the mask is nought."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0xfe]) + len(payload).to_bytes(2, "big")
    return bytes([0x80 | op]) + size + bytes(4) + payload


def cut(data):
    """(op, payload) of its first whole frame, and what is left; None: there is none."""
    if len(data) < 2:
        return None
    size, head = data[1], 2
    if size >= 126:
        head = 4 if size == 126 else 10
        size = int.from_bytes(data[2:head], "big")
    if len(data) < head + size:
        return None
    return (data[0] & 15, data[head:head + size]), data[head + size:]


class Gone(Exception):
    """It was closed."""


class RealClient:
    def __init__(self, name, edge, port, path, lines):
        self.name, self.edge, self.lines = name, edge, lines
        self.bytes, self.pings, self.seq = b"", [], 0
        self.owed = False       # something came that a PING must follow
        self.frozen = self.over = False
        self.session, self.answers, self.pongs = None, 0, 0
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.bytes:
            part = self.socket.recv(65536)
            assert part, "no answer to an upgrade"
            self.bytes += part
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        assert b" 101 " in head, head

    # ---- it reads

    def read(self, seconds=0.0):
        """What has come, or comes in that time."""
        while not self.over:
            self._take()
            if self.over or not select.select([self.socket], [], [], seconds)[0]:
                return
            self._receive()
            seconds = 0.0

    def _receive(self):
        try:
            part = self.socket.recv(1 << 18)
        except OSError:
            part = b""
        self.bytes += part
        if not part:
            self._take()
            self._end(1006, "")

    def _take(self):
        while not self.over:
            found = cut(self.bytes)
            if found is None:
                return
            (op, payload), self.bytes = found
            if op == TEXT:
                self._text(payload.decode())
            elif op == PING:
                self.pings.append((self.seq, payload))
                self.owed = False
                self.lines.append("p %s" % self.name)
            elif op == CLOSE:
                self._end(int.from_bytes(payload[:2], "big"), payload[2:].decode())

    def _text(self, text):
        message = json.loads(text)
        kind = message["type"]
        if kind in NOT_SEEN:
            self.pongs += kind == "pong"
            return
        if "seq" in message:
            self.seq = message["seq"]
        self.owed |= "seq" in message or kind == "gap"
        if kind == "connect":
            self.session = message["data"]["session"]
        self.answers += kind in ("connect", "subscribed", "unsubscribed", "error")
        self.lines.append("c %s %s" % (self.name, text))

    def _end(self, code, reason):
        if not self.over:
            self.over = True
            self.lines.append("x %s %d %s" % (self.name, code, reason))
            self.socket.close()

    def look_for_end(self):
        """Of one that reads nothing: it was closed if a close lies in what it did not read."""
        if not select.select([self.socket], [], [], 0)[0]:
            return
        rest = self.bytes + self.socket.recv(1 << 20, socket.MSG_PEEK)
        found = cut(rest)
        while found is not None:
            (op, payload), rest = found
            if op == CLOSE:
                self._end(int.from_bytes(payload[:2], "big"), payload[2:].decode())
                return
            found = cut(rest)

    def wait(self, condition, what):
        """Reads until it is so. Gone: it was closed before."""
        deadline = time.monotonic() + PATIENCE
        self.read()
        while not condition():
            if self.over:
                raise Gone(self.name)
            assert time.monotonic() < deadline, "%s: gave up waiting for %s" % (self.name, what)
            self.read(0.1)

    # ---- it says something

    def say(self, op, payload):
        try:
            self.socket.sendall(mask(op, payload))
        except OSError:
            pass  # what it reads next says why

    def tell(self, **message):
        self.say(TEXT, json.dumps(message).encode())

    def turn(self):
        """Its edge has taken all that it said, and it has read all that was said before that."""
        before = self.pongs
        self.tell(type="ping")
        self.wait(lambda: self.pongs > before, "an answer")

    def leave(self):
        """Its edge knows that it has left."""
        self.over = True
        self.say(CLOSE, (1000).to_bytes(2, "big"))
        self.socket.settimeout(PATIENCE)
        try:
            while self.socket.recv(1 << 18):
                pass
        except OSError:
            pass
        self.socket.close()

    def drop(self):
        self.over = True
        self.socket.close()
