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
WELCOME, REFUSED, PONG, STORED, RECORDS, TABLE = 33, 34, 35, 37, 41, 42
VERSION = 6
NOWHERE = 0, 0, 0  # a position
FRAME_MAX = 1 << 20


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


def scalar(data, at):
    """A msgpack value that the hub sends, and where the next begins."""
    first = data[at]
    if first <= 0x7f:
        return first, at + 1
    if first in (0xc2, 0xc3):
        return first == 0xc3, at + 1
    if 0xcc <= first <= 0xcf:
        n = 1 << (first - 0xcc)
        return int.from_bytes(data[at + 1:at + 1 + n], "big"), at + 1 + n
    if 0xa0 <= first <= 0xbf:
        n, begin = first & 0x1f, at + 1
    else:
        width = 1 << (first - (0xd9 if first >= 0xd9 else 0xc4))
        n, begin = int.from_bytes(data[at + 1:at + 1 + width], "big"), at + 1 + width
    return data[begin:begin + n], begin + n


def messages(data):
    """The messages of a frame, each the list of its fields."""
    found, at = [], 0
    while at < len(data):
        if data[at] == 0xdc:
            count, at = int.from_bytes(data[at + 1:at + 3], "big"), at + 3
        else:
            count, at = data[at] & 0x0f, at + 1
        found.append([])
        for _ in range(count):
            value, at = scalar(data, at)
            found[-1].append(value)
    return found


class Dealer:
    def __init__(self, zmq, context, uri):
        self.zmq = zmq
        self.socket = ctypes.c_void_p(zmq.zmq_socket(context, DEALER))
        for option, value in ((LINGER, 0), (RCVTIMEO, int(PATIENCE * 1000))):
            number = ctypes.c_int(value)
            zmq.zmq_setsockopt(self.socket, option, ctypes.byref(number), ctypes.c_size_t(4))
        assert zmq.zmq_connect(self.socket, uri.encode()) == 0

    def send(self, *fields):
        self.send_frame(packed(fields))

    def send_frame(self, frame):
        assert self.zmq.zmq_send(self.socket, frame, ctypes.c_size_t(len(frame)), 0) == len(frame)

    def frame(self):
        """The messages of the next one."""
        room = ctypes.create_string_buffer(1 << 21)
        n = self.zmq.zmq_recv(self.socket, room, ctypes.c_size_t(1 << 21), 0)
        assert n > 0
        return messages(room.raw[:n])

    def kind(self):
        """Of the next message, which is alone in its frame."""
        (only,) = self.frame()
        return only[0]

    def take(self, count):
        """So many messages, in however many frames."""
        got = []
        while len(got) < count:
            got += self.frame()
        assert len(got) == count
        return got


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
        peer.send(HELLO, VERSION, 1, 7, 1, "hostile")
        assert peer.kind() == WELCOME
        # The first holds the room, which is loaded when the second is answered.
        peer.send(READ, 100, 0, "123", *NOWHERE, 10, "ann", True, "", 60000, 0)
        peer.send(READ, 101, 0, "123", *NOWHERE, 10, "ann", True, "", 0, 0)
        assert peer.kind() == RECORDS
        before = resident_kib(hub.pid)
        for corr in range(100):
            peer.send(READ, corr, 0, "123", *NOWHERE, 10, "ann", True, "", 60000, 0, bytes(900_000))
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
        peer.send(HELLO, VERSION, 1, 7, 1, "hostile")
        assert peer.kind() == WELCOME
        peer.send(PUBLISH, 1, "123", "a_update", "i", b"{}", "", False, "", 0, 0, 0, 0)
        until(lambda: world.stat()["staged_bytes"] > 0, "the message to be on its way")
        before = resident_kib(hub.pid)
        peer.send(JOIN, 2, 9, "456", "ann", "phone", 2, *NOWHERE, "", *NOWHERE, 0, *NOWHERE, 0, 0, 0)
        for session in range(200):
            peer.send(LEAVE, session, "456", *NOWHERE, False, 0, 0, "", "", bytes(900_000))
        peer.send(PING, 1)
        assert peer.kind() == PONG  # and no STORED or JOINED yet
        assert resident_kib(hub.pid) - before < 40_000


def test_a_view_of_no_rows_is_answered(world):
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        peer.send(HELLO, VERSION, 2, 7, 1, "hostile")
        assert peer.kind() == WELCOME
        for to in ("", "ann"):
            peer.send(PUBLISH, 1, "123", "a_update", "i" + to, b"{}", "", False, to, 0, 0, 0, 0)
            assert peer.kind() == STORED
        peer.send(STAT, 2, "messages", "123", 0, "", False)
        assert peer.kind() == TABLE
        peer.send(PING, 1)
        assert peer.kind() == PONG


def test_a_column_that_a_view_has_not(world):
    """No client of ours is needed to be told; a lie about it changes nothing."""
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        for column in ("payload", "user_id\tconnections", "user_i", "user_idx", "\t", "\0", "x" * 64):
            peer.send(STAT, 2, "users", "", 10, column, True)
            (answer,) = peer.frame()
            assert answer == [TABLE, 2, 1003, b"user_id\tconnections", b"", False]
        peer.send(STAT, 3, "users", "", 10, "x" * 65, False)
        assert peer.kind() == REFUSED
        peer.send(STAT, 4, "users", "", 10, "connections", False)
        assert peer.frame()[0][:3] == [TABLE, 4, 0]


def publish(corr, room="123", data=b"{}"):
    return packed([PUBLISH, corr, room, "a_update", f"i{corr}", data, "", False, "", 0, 0, 0, 0])


def greeted(peer):
    peer.send(HELLO, VERSION, 2, 7, 1, "hostile")
    assert peer.kind() == WELCOME


def test_what_is_asked_together_is_committed_and_answered_together(world):
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        peer.send_frame(b"".join(publish(corr, str(corr % 3)) for corr in range(1, 101)))
        answers = peer.frame()
        assert [(a[0], a[1], a[2], a[3]) for a in answers] == [(STORED, corr, 0, corr) for corr in range(1, 101)]
        peer.send_frame(b"".join(publish(corr, str(corr % 3)) for corr in range(1, 101)))
        assert all(a[5] for a in peer.frame())  # duplicates


def test_one_that_is_alone_is_a_frame_as_ever(world):
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        peer.send_frame(publish(1))
        assert [a[:3] for a in peer.frame()] == [[STORED, 1, 0]]


@pytest.mark.parametrize("bad", [b"\xc0", b"\x90", b"\x91\x63", b"\x92\x02\x91\x01", b"\x92\x02\xff", b"\x91\x02",
                                 b"\xdc\xff\xff\x02", b"\x92\x02\xc6\xff\xff\xff\xff",
                                 packed([PUBLISH, 9, "x" * 65, "a_update", "i9", b"{}", "", False, "", 0, 0, 0, 0])])
def test_a_malformed_message_ends_its_frame_and_nothing_else(world, bad):
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        peer.send_frame(publish(1) + publish(2) + bad + publish(3))
        answers = peer.take(3)
        assert sorted(a[:3] for a in answers) == [[REFUSED, 1106, answers[0][2]], [STORED, 1, 0], [STORED, 2, 0]]
        peer.send_frame(publish(4))
        ((kind, corr, code, seq, *_),) = peer.frame()
        assert (kind, corr, code, seq) == (STORED, 4, 0, 3)  # what was behind the bad one was not stored


def test_a_frame_that_is_too_long_is_refused_unread(world):
    world.hub()
    one = publish(1, data=b'{"a":"' + b"x" * 60_000 + b'"}')
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        peer.send_frame(one * (FRAME_MAX // len(one) + 1))
        ((kind, code, _),) = peer.frame()
        assert (kind, code) == (REFUSED, 1106)
        peer.send_frame(publish(2))
        assert peer.frame()[0][1:4] == [2, 0, 1]


def test_a_frame_of_more_than_a_turn_takes_is_answered_whole_and_in_order(world):
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        peer.send_frame(b"".join(packed([PING, token]) for token in range(10_000)) + publish(1))
        assert peer.take(10_001)[:-1] == [[PONG, token, True] for token in range(10_000)]


def test_a_frame_that_asks_for_much_lets_others_have_their_turn(world):
    """It is told busy when it has had as much as eight turns have."""
    world.hub("--ownership", "either")
    asked = 3000
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        peer.send(HELLO, VERSION, 1, 7, 1, "hostile")
        assert peer.kind() == WELCOME
        peer.send_frame(b"".join(publish(corr, "123", b'{"a":"' + b"x" * 300 + b'"}') for corr in range(1, 91)))
        peer.take(90)
        peer.send(READ, 1, 0, "123", *NOWHERE, 100, "ann", True, "", 0, 0)
        assert peer.kind() == RECORDS  # and the room is loaded
        asking = b"".join(packed([READ, corr, 0, "123", *NOWHERE, 100, "ann", True, "", 0, 0])
                          for corr in range(asked))
        peer.send_frame(asking + publish(100))
        size, codes = 0, []
        while len(codes) < asked:
            for answer in peer.frame():
                codes.append(answer[2] if answer[0] == RECORDS else None)
                size += len(answer[16]) if answer[0] == RECORDS else 0
        codes += [None for answer in peer.frame()] if None not in codes else []
        assert 7 * 8 * 2**20 < size < 10 * 8 * 2**20
        assert codes[-1] is None  # its message is stored all the same
        many = codes.index(1105)
        assert codes == [0] * many + [1105] * (asked - many) + [None]
        peer.send(STAT, 1, "summary", "", 1, "", False)
        assert peer.frame()[0][:3] == [TABLE, 1, 0]


def test_of_long_views_one_at_a_time(world):
    """The others that came with it are told busy, which is said at once; short views are not long ones."""
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        peer.send_frame(b"".join(packed([STAT, corr, view, "", 10, "", False]) for corr, view in
                                 enumerate(("rooms", "queues", "summary", "users", "edges", "rooms"))))
        assert {answer[1]: answer[2] for answer in peer.take(6)} == {0: 0, 1: 1105, 2: 0, 3: 1105, 4: 1105, 5: 1105}
        peer.send(STAT, 6, "rooms", "", 10, "", False)
        assert peer.frame()[0][:3] == [TABLE, 6, 0]
