"""A peer that speaks the hub's protocol with bytes of its own making: what it sends must cost the hub no more than the
manual allows. It talks to libzmq itself, for no program of ours would send such frames.
"""
import contextlib
import ctypes
import pathlib
import struct

import pytest

from conftest import PATIENCE, SANITIZED, until
from test_commit import Tampered

DEALER, LINGER, RCVTIMEO = 5, 17, 27
HELLO, PING, PUBLISH, JOIN, LEAVE, READ, STAT = 1, 2, 4, 5, 6, 9, 10
WELCOME, PONG, STORED, TABLE = 33, 35, 37, 42


def packed(value):
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(packed, value))


class Dealer:
    def __init__(self, zmq, context, uri):
        self.zmq = zmq
        self.socket = ctypes.c_void_p(zmq.zmq_socket(context, DEALER))
        for option, value in ((LINGER, 0), (RCVTIMEO, int(PATIENCE * 1000))):
            number = ctypes.c_int(value)
            zmq.zmq_setsockopt(self.socket, option, ctypes.byref(number), ctypes.c_size_t(4))
        assert zmq.zmq_connect(self.socket, uri.encode()) == 0

    def send(self, *fields):
        frame = packed(fields)
        assert self.zmq.zmq_send(self.socket, frame, ctypes.c_size_t(len(frame)), 0) == len(frame)

    def kind(self):
        """Of the next message."""
        frame = ctypes.create_string_buffer(1 << 20)
        assert self.zmq.zmq_recv(self.socket, frame, ctypes.c_size_t(1 << 20), 0) > 0
        return frame.raw[1]


@contextlib.contextmanager
def dealer(uri):
    zmq = ctypes.CDLL("libzmq.so.5")
    zmq.zmq_ctx_new.restype = zmq.zmq_socket.restype = ctypes.c_void_p
    context = ctypes.c_void_p(zmq.zmq_ctx_new())
    peer = Dealer(zmq, ctypes.c_void_p(context.value), uri)
    try:
        yield peer
    finally:
        zmq.zmq_close(peer.socket)
        zmq.zmq_ctx_term(context)


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
def test_polls_that_wait_keep_nothing_that_was_added_to_them(world):
    hub = world.hub("--ownership", "either")
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        peer.send(HELLO, 2, 1, 7, 1, "hostile")
        assert peer.kind() == WELCOME
        before = resident_kib(hub.pid)
        for corr in range(100):
            peer.send(READ, corr, 0, "123", 0, 0, 10, "ann", True, "", 60000, bytes(900_000))
        peer.send(PING, 1)
        assert peer.kind() == PONG
        # All are in: a hundred polls that wait, less than a frame's size each.
        until(lambda: resident_kib(hub.pid) - before < 40_000, "the hub to let go of the frames")


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
def test_sessions_that_leave_a_room_not_loaded_yet_keep_nothing_that_was_added(world, tmp_path):
    """A LEAVE is never refused, however much waits."""
    hub = world.hub("--ownership", "either")
    with dealer(world.env["DIAGWS_HUB"]) as peer, \
            Tampered(hub, tmp_path / "trace", "trace=fdatasync", "inject=fdatasync:delay_enter=2000000"):
        peer.send(HELLO, 2, 1, 7, 1, "hostile")
        assert peer.kind() == WELCOME
        peer.send(PUBLISH, 1, "123", "a_update", "i", b"{}", "", False, "", 0, 0, 0, 0)
        until(lambda: world.stat()["staged_bytes"] > 0, "the message to be on its way")
        before = resident_kib(hub.pid)
        peer.send(JOIN, 2, 9, "456", "ann", "phone", 2, 0, 0, "", 0, 0, 0, 0, 0)
        for session in range(200):
            peer.send(LEAVE, session, "456", 0, 0, False, bytes(900_000))
        peer.send(PING, 1)
        assert peer.kind() == PONG  # and no STORED or JOINED yet
        assert resident_kib(hub.pid) - before < 40_000


def test_a_view_of_no_rows_is_answered(world):
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        peer.send(HELLO, 2, 2, 7, 1, "hostile")
        assert peer.kind() == WELCOME
        for to in ("", "ann"):
            peer.send(PUBLISH, 1, "123", "a_update", "i" + to, b"{}", "", False, to, 0, 0, 0, 0)
            assert peer.kind() == STORED
        peer.send(STAT, 2, "messages", "123", 0)
        assert peer.kind() == TABLE
        peer.send(PING, 1)
        assert peer.kind() == PONG
