#!/usr/bin/python3
"""Mutated messages and frames at a real hub, from its socket, beside an honest pair: see live.py.

    live_hub.py [--minutes 10] [--inputs N] [--seed N]

Three of four inputs are a message of the protocol with changes, in a sound frame of ZMTP, on a connection that has
introduced itself: a PING behind it must be answered. The fourth is bytes of ZMTP with changes, from the greeting on.
"""
import contextlib
import pathlib
import socket
import struct
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent)]
import live
from live import PATIENCE, Finding
from packed import messages, packed
from test_hostile_peer import HELLO, JOIN, LEAVE, PING, PONG, PUBLISH, READ, STAT, VERSION, WELCOME

WHO, BYE, CONFIRM, CREDIT, OWN = 32, 3, 7, 8, 11
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16 + 32)
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER\x08Identity" + struct.pack(">I", 0)
ROOMS = [f"room-{i}" for i in range(40)] + ["", "x" * 64, "x" * 65]


def frame(body, flags=0):
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


def message(pick):
    """A message that a peer may send."""
    room, user = pick.choice(ROOMS), pick.choice(("ann", "bob", "", "گل"))
    session, corr = pick.randrange(1, 30), pick.randrange(1 << pick.choice((4, 64)))
    at = pick.randrange(100), pick.randrange(100), pick.randrange(3)
    return packed(pick.choice((
        (PUBLISH, corr, room, "note_update", f"id:{corr % 1000}", b'{"a":1}', "", True, user, 0, pick.choice((0, 50)), 0, 0),
        (PUBLISH, corr, room, "feedback_update", "", b'{"feedback_id":1,"rating":4,"effectiveness":0.5}', user, True, "", 0, 0,
         pick.randrange(3), 20),
        (JOIN, corr, session, room, user, f"device-{pick.randrange(20)}", pick.randrange(128), *at, "", *at, 1 << 32, *at, 0, 0, 0),
        (LEAVE, session, room, *at, pick.random() < 0.5, 0, 0, user, "device-1"),
        (CONFIRM, room, *at, True, pick.random() < 0.5, 0, 0, struct.pack(">QQ", session, session + 1)),
        (CREDIT, pick.randrange(1 << pick.choice((8, 64)))),
        (READ, corr, pick.choice((0, session)), room, *at, pick.choice((0, 10, 1000, 1 << 40)), user, True, "", 20, 0),
        (STAT, corr, pick.choice(("summary", "rooms", "room", "devices", "messages", "edges", "queues", "users", "x")), room,
         pick.choice((0, 3, 100000)), pick.choice(("", "room", "n", "nothing")), False),
        (OWN, corr, pick.choice(("grant", "revoke", "deny", "list", "check", "x")), room, user, pick.random() < 0.5, True),
        (PING, corr), (BYE,), (HELLO, VERSION, pick.randrange(4), pick.randrange(1, 50), corr, "another"))))


class Peer:
    """A connection to the hub's socket that has introduced itself."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE / 5)
        self.socket.connect(path)
        self.rest = b""
        self.socket.sendall(GREETING + frame(READY, 4))
        self._fill(64)
        self.rest = self.rest[64:]
        self._frame()

    def _fill(self, n):
        while len(self.rest) < n:
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise ConnectionError
            self.rest += piece

    def _frame(self):
        """After a time-out it may be called again."""
        self._fill(2)
        head = 9 if self.rest[0] & 2 else 2
        self._fill(head)
        end = head + int.from_bytes(self.rest[1:head], "big")
        self._fill(end)
        flags, body, self.rest = self.rest[0], self.rest[head:end], self.rest[end:]
        return flags, body

    def ask(self, question, wanted):
        """Whether the answer came before the hub forgot us or closed the connection. Asks again, as any peer does: who is
        replaced by another's HELLO loses what it was to be told."""
        end = time.monotonic() + live.LATE
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                return self._ask(question, wanted)
        raise Finding("the hub does not answer")

    def _ask(self, question, wanted):
        try:
            self.socket.sendall(frame(packed(question)))
            while True:
                flags, body = self._frame()
                for fields in messages(body) if flags & 4 == 0 else []:
                    if wanted(fields):
                        return True
                    if fields[0] == WHO:
                        return False
        except ConnectionError:
            return False

    def close(self):
        self.socket.close()


class Attack:
    """One for all attackers: each has a peer of its own."""

    def __init__(self, path):
        self.path = path
        self.own = threading.local()

    def __call__(self, mutator, keep):
        if mutator.random.randrange(4) == 0:
            self.send_bytes(mutator, keep)
        else:
            self.send_message(mutator, keep)

    def send_message(self, mutator, keep):
        pick = mutator.random
        if getattr(self.own, "peer", None) is None:
            self.own.peer = Peer(self.path)
            hello = HELLO, VERSION, 1, pick.getrandbits(63), 1, "mutant"
            if not self.own.peer.ask(hello, lambda fields: fields[0] == WELCOME):
                raise Finding("the hub does not welcome")
        data = keep(mutator.mutated(b"".join(message(pick) for _ in range(pick.choice((1, 1, 3))))))
        token = pick.getrandbits(60)
        with contextlib.suppress(ConnectionError):
            self.own.peer.socket.sendall(frame(data))
        if not self.own.peer.ask((PING, token), lambda fields: fields[:2] == [PONG, token]):
            self.own.peer.close()
            self.own.peer = None

    def send_bytes(self, mutator, keep):
        """To its end, which the hub sees and answers with its own."""
        pick = mutator.random
        parts = [GREETING, frame(READY, 4), frame(packed((HELLO, VERSION, 1, pick.getrandbits(63), 1, "mutant")))]
        parts += [frame(message(pick), pick.choice((0, 0, 1, 2, 4))) for _ in range(pick.randrange(4))]
        which = pick.randrange(len(parts))
        parts[which] = mutator.mutated(parts[which])
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(live.LATE)
            link.connect(self.path)
            with contextlib.suppress(ConnectionError):
                link.sendall(keep(b"".join(parts)))
                link.shutdown(socket.SHUT_WR)
                while link.recv(1 << 16):
                    pass


def run(world, seed, inputs, seconds):
    hub = world.hub("--ownership", "either")
    edge = world.edge()
    return live.fuzz(world, hub, edge, Attack(world.endpoint.removeprefix("ipc://")), seed, inputs, seconds)


if __name__ == "__main__":
    live.main("hub", run)
