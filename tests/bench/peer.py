"""A peer of the hub made of bytes: a unix socket, ZMTP 3.1 and msgpack, with no library between.

So thousands of them fit into a process, what is not read is really not read, and what no program of ours would send can
be sent. A peer is blocking unless it is told otherwise; nothing here judges an answer.
"""
import contextlib
import pathlib
import re
import select
import socket
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from packed import packed  # noqa: E402

VERSION = int(re.search(r"#define DW_PROTOCOL_VERSION (\d+)", (ROOT / "lib/wire/wire.c").read_text())[1])

EDGE, CLIENT = 1, 2
HELLO, PING, PUBLISH, JOIN, READ, STAT, OWN = 1, 2, 4, 5, 9, 10, 11
NOWHERE = 0, 0, 0

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER" + b"\x08Identity" + bytes(4)
LONG, COMMAND = 2, 4


def framed(payload):
    """A message of one part, as it goes over the line."""
    if len(payload) > 255:
        return bytes([LONG]) + struct.pack(">Q", len(payload)) + payload
    return bytes([0, len(payload)]) + payload


def hello(kind, peer=7):
    return packed([HELLO, VERSION, kind, peer, 1, "attacker"])


def publish(corr, room, data=b"{}", to="", wait=0, wait_ms=0, name="a"):
    return packed([PUBLISH, corr, room, "a_update", f"{name}{corr}", data, "", False, to, 0, 0, wait, wait_ms])


def join(corr, session, room, user="ann", claimed=True):
    return packed([JOIN, corr, session, room, user, "phone", 2 if claimed else 0, *NOWHERE, "", *NOWHERE, 0, *NOWHERE, 0, 0, 0])


def read(corr, room, user="ann", wait_ms=0, claimed=True):
    return packed([READ, corr, 0, room, *NOWHERE, 1000, user, claimed, "", wait_ms, 0])


def stat(corr, view, room="", limit=10000):
    return packed([STAT, corr, view, room, limit, "", False])


def own(corr, verb, room="", user=""):
    return packed([OWN, corr, verb, room, user, False, False, "", ""])


class Peer:
    """kind: None says no HELLO; greets: without it not even a greeting of ZMTP."""

    def __init__(self, endpoint, kind=CLIENT, greets=True, number=7):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(endpoint.removeprefix("ipc://"))
        if greets:
            self.socket.sendall(GREETING + bytes([COMMAND, len(READY)]) + READY)
        if kind is not None:
            self._await(len(GREETING) + 2)  # and the hub's READY, of fewer than 256 bytes
            self.send(hello(kind, number))

    def _await(self, count):
        """The hub's side of the handshake: libzmq drops whoever says more before it is over."""
        self.socket.settimeout(10)
        self._read(self._read(count)[-1])
        self.socket.settimeout(None)

    def _read(self, count):
        """Exactly so many bytes; a time-out of the socket's makes MSG_WAITALL wait for nothing."""
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise OSError("the hub has let go of us")
            got += more
        return got

    def send(self, payload):
        self.socket.sendall(framed(payload))

    def try_send(self, bytes_left):
        """What of these bytes the hub does not take now; None: it has let go of us."""
        try:
            return bytes_left[self.socket.send(bytes_left, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL):]
        except BlockingIOError:
            return bytes_left
        except OSError:
            return None

    def drop_answers(self):
        """Reads what there is, and says how many bytes. None: the hub has ended the connection."""
        count = 0
        try:
            while count < 1 << 20:
                n = len(self.socket.recv(1 << 18, socket.MSG_DONTWAIT))
                if n == 0:
                    return None
                count += n
        except BlockingIOError:
            return count
        except OSError:
            return None
        return count

    def settle(self, seconds):
        """Drops answers until none has come for so long."""
        while select.select([self.socket], [], [], seconds)[0] and self.drop_answers() is not None:
            pass

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.close()
