"""The line between one edge and its hub, so that a test decides when there is one: two sockets and what goes through.

It knows one thing of what it carries: the hub is greeted (PING, lib/wire/wire.c) with the edge's clock right after the edge
has told it what its clients confirmed. So `told_since` is a condition for "the hub has been told".
"""
import os
import select
import socket
import threading

GREETING = 64           # of ZMTP 3
LONG, COMMAND = 2, 4    # flags of its frames
PING = b"\x92\x02"      # msgpack: an array of two, the first is DW_PING


class Frames:
    """What an edge says, cut into frames."""

    def __init__(self):
        self.bytes, self.skip = b"", GREETING

    def feed(self, data):
        """The clocks that PINGs name."""
        self.bytes += data
        if self.skip:
            if len(self.bytes) < self.skip:
                return
            self.bytes, self.skip = self.bytes[self.skip:], 0
        while len(self.bytes) >= 2:
            flags, head = self.bytes[0], 9 if self.bytes[0] & LONG else 2
            if len(self.bytes) < head:
                return
            size = int.from_bytes(self.bytes[1:head], "big")
            if len(self.bytes) < head + size:
                return
            body, self.bytes = self.bytes[head:head + size], self.bytes[head + size:]
            if not flags & COMMAND and body[:2] == PING and body[2] >= 0xcc:
                yield int.from_bytes(body[3:], "big")


class Line:
    def __init__(self, path, target):
        self.path, self.target = str(path), str(target)
        self.clock = 0          # of the newest PING, ms
        self.links = {}         # socket -> (the other, its Frames or None)
        self.listener = None
        self.asked, self.done = None, threading.Event()
        self.wake_in, self.wake_out = os.pipe()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def up(self):
        self._ask("up")

    def cut(self):
        self._ask("cut")

    def end(self):
        self._ask("end")
        self.thread.join()
        os.close(self.wake_in)
        os.close(self.wake_out)

    def told_since(self, then):
        return self.clock > then

    def _ask(self, what):
        self.done.clear()
        self.asked = what
        os.write(self.wake_out, b"x")
        assert self.done.wait(10), "the line is stuck"

    # ---- its thread

    def _run(self):
        while True:
            listening = [self.listener] if self.listener else []
            ready, _, _ = select.select([self.wake_in, *listening, *self.links], [], [])
            for source in ready:
                if source is self.listener:
                    self._accept()
                elif source in self.links:
                    self._carry(source)
            if self.wake_in in ready:
                os.read(self.wake_in, 1)
                what = self.asked
                self._obey(what)
                self.done.set()
                if what == "end":
                    return

    def _obey(self, what):
        if what == "up" and self.listener is None:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            self.listener.listen()
        elif what != "up":
            if self.listener is not None:
                self.listener.close()
                os.unlink(self.path)
                self.listener = None
            while self.links:
                self._drop(next(iter(self.links)))

    def _accept(self):
        client, server = self.listener.accept()[0], socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            server.close()
            return
        self.links[client] = (server, Frames())
        self.links[server] = (client, None)

    def _drop(self, source):
        other, _ = self.links.pop(source)
        self.links.pop(other, None)
        source.close()
        other.close()

    def _carry(self, source):
        other, frames = self.links[source]
        try:
            data = source.recv(1 << 18)
            if data:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(source)
        elif frames is not None:
            for clock in frames.feed(data):
                self.clock = clock
