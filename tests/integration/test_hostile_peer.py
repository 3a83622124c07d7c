"""A peer that speaks the hub's protocol with bytes of its own making: what it sends must cost the hub no more than the
manual allows. It talks to libzmq itself, for no program of ours would send such frames.
"""
import contextlib
import ctypes
import json
import pathlib
import threading

import pytest

from conftest import PATIENCE, SANITIZED, until
from packed import messages, packed
from test_commit import Tampered

DEALER, LINGER, RCVTIMEO, DONTWAIT = 5, 17, 27, 1
HELLO, PING, PUBLISH, JOIN, LEAVE, READ, STAT, OWN = 1, 2, 4, 5, 6, 9, 10, 11
WELCOME, REFUSED, PONG, STORED, JOINED, CLOSE, RECORDS, TABLE = 33, 34, 35, 37, 38, 40, 41, 42
BUSY, DENIED, RATE = 1105, 1201, 1206
VERSION = 6
RETURN = 16  # a JOIN's flag
NOWHERE = 0, 0, 0  # a position
FRAME_MAX = 1 << 20


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

    def offer(self, frame):
        """Sends it unless too much waits to be sent."""
        return self.zmq.zmq_send(self.socket, frame, ctypes.c_size_t(len(frame)), DONTWAIT) == len(frame)

    def frame(self, flags=0):
        """The messages of the next one; with DONTWAIT, if there is one."""
        room = ctypes.create_string_buffer(1 << 21)
        n = self.zmq.zmq_recv(self.socket, room, ctypes.c_size_t(1 << 21), flags)
        assert n > 0 or flags
        return messages(room.raw[:n]) if n > 0 else []

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
            assert answer == [TABLE, 2, 1003, b"user_id\tconnections", b"", False, b"", b""]
        peer.send(STAT, 3, "users", "", 10, "x" * 65, False)
        assert peer.kind() == REFUSED
        peer.send(STAT, 4, "users", "", 10, "connections", False)
        assert peer.frame()[0][:3] == [TABLE, 4, 0]


def publish(corr, room="123", data=b"{}"):
    return packed([PUBLISH, corr, room, "a_update", f"i{corr}", data, "", False, "", 0, 0, 0, 0])


def greeted(peer, kind=2, number=7):
    peer.send(HELLO, VERSION, kind, number, 1, "hostile")
    assert peer.kind() == WELCOME


def test_what_is_asked_together_is_committed_and_answered_together(world):
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        for duplicate in (False, True):
            peer.send_frame(b"".join(publish(corr, str(corr % 3)) for corr in range(1, 101)))
            answers, frames = [], 0
            while len(answers) < 100:
                answers += peer.frame()
                frames += 1
            assert [tuple(a[:4]) for a in answers] == [(STORED, corr, 0, corr) for corr in range(1, 101)]
            assert all(a[5] == duplicate for a in answers)
            assert frames <= 10  # a turn takes what it can in half a millisecond, and may leave some for the next


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


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
def test_a_frame_that_asks_for_much_lets_others_have_their_turn(world):
    """All of it is answered, as fast as the answers are read; others wait for no more than a share of it."""
    hub = world.hub()
    rooms, asked = 300, 3000
    with dealer(world.env["DIAGWS_HUB"]) as peer, dealer(world.env["DIAGWS_HUB"]) as other:
        greeted(peer)
        peer.send_frame(b"".join(publish(corr, f"{corr:064}") for corr in range(1, rooms + 1)))
        peer.take(rooms)
        other.send(HELLO, VERSION, 2, 8, 1, "other")
        assert other.kind() == WELCOME
        before = resident_kib(hub.pid)
        asking = b"".join(packed([STAT, corr, "rooms", "", rooms, "", False]) for corr in range(asked))
        peer.send_frame(asking + publish(rooms + 1))
        for corr in range(20):
            other.send_frame(publish(corr, "other"))
            assert other.frame()[0][:3] == [STORED, corr, 0]
        assert resident_kib(hub.pid) - before < 16_000
        answers = peer.take(asked + 1)
        assert [answer[:3] for answer in answers if answer[0] == TABLE] == [[TABLE, corr, 0] for corr in range(asked)]
        assert answers[-1][:3] == [STORED, rooms + 1, 0]


def join(corr, session, room, user, device="phone", flags=0):
    return packed([JOIN, corr, session, room, user, device, flags, *NOWHERE, "", *NOWHERE, 0, *NOWHERE, 0, 0, 0])


def leave(session, room):
    return packed([LEAVE, session, room, *NOWHERE, False, 0, 0, "", ""])


def read(corr, room, user):
    return packed([READ, corr, 0, room, *NOWHERE, 10, user, False, "", 0, 0])


def heard(peer, kind, session_at, session):
    """Takes messages up to the one of this kind about this session, and returns it."""
    while True:
        for message in peer.frame():
            if message[0] == kind and message[session_at] == session:
                return message


def flood(peer, number, told, stop):
    """Publishes 64 KiB messages as fast as they are taken, and counts what it is told."""
    frame = b"".join(publish(corr, f"flooded-{number}", b'{"a":"' + b"x" * 65_000 + b'"}') for corr in range(15))
    while not stop.is_set():
        if not peer.offer(frame):
            stop.wait(0.001)
        for answer in iter(lambda: peer.frame(DONTWAIT), []):
            for message in answer:
                told[message[2]] = told.get(message[2], 0) + 1


def test_who_floods_takes_no_more_than_a_share(world, tmp_path):
    """Three publishers of 64 KiB messages, and a disk that is slow: who sends a little beside them is never refused."""
    hub = world.hub("--queue-limit", "10")
    uri, stop, told = world.env["DIAGWS_HUB"], threading.Event(), [{}, {}, {}]
    with contextlib.ExitStack() as peers, \
            Tampered(hub, tmp_path / "trace", "trace=fdatasync", "inject=fdatasync:delay_enter=200000"):
        flooders = []
        for number in range(3):
            peer = peers.enter_context(dealer(uri))
            greeted(peer, number=number + 100)
            flooders.append(threading.Thread(target=flood, args=(peer, number, told[number], stop)))
        try:
            for thread in flooders:
                thread.start()
            until(lambda: all(0 in codes for codes in told), "all three to flood")
            line = json.dumps({"diagnosis_id": 123, "type": "a_update", "data": {"text": "x" * 50_000}}) + "\n"
            for _ in range(10):
                before = [sum(codes.values()) for codes in told]
                done = world.run("diagws-send", "--timeout", "60s", "-l", input=line * 5, check=False, timeout=90)
                assert (done.returncode, done.stderr) == (0, "")
                until(lambda: all(sum(codes.values()) > count for codes, count in zip(told, before)), "them to flood on")
        finally:
            stop.set()
            for thread in flooders:
                thread.join()
    assert all(set(codes) <= {0, BUSY} for codes in told)
    assert world.stat("room", "123")["n"] == 50


def peak_kib(pid):
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])


def test_lists_of_owners_take_no_more_than_a_share(world):
    """A frame of 400 of them: they are answered by turns, or told busy; who asks beside them is answered."""
    hub = world.hub()
    names = [f"{number:0128}" for number in range(6000)]
    world.run("diagws-owner", "import", input="".join(
        json.dumps({"diagnosis_id": f"{number % 7:064}", "user_id": name}) + "\n" for number, name in enumerate(names)))
    with dealer(world.env["DIAGWS_HUB"]) as peer, dealer(world.env["DIAGWS_HUB"]) as other:
        greeted(peer)
        greeted(other, number=8)
        before = peak_kib(hub.pid)
        peer.send_frame(b"".join(packed([OWN, corr, "list", "", "", False, False, "", ""]) for corr in range(400)))
        other.send_frame(publish(1))
        assert other.frame()[0][:3] == [STORED, 1, 0]
        answers = peer.take(400)
        assert sorted(answer[1] for answer in answers) == list(range(400))
        codes = [answer[2] for answer in answers]
        assert set(codes) <= {0, BUSY} and codes.count(0) > 10
        assert SANITIZED or peak_kib(hub.pid) - before < 80_000
        # Once it has been answered it may ask on; a page says where the next begins.
        pages, after = [], (b"", b"")
        while not pages or after != (b"", b""):
            peer.send(OWN, 1, "list", "", "", False, False, *(text.decode() for text in after))
            ((_, _, code, columns, cells, more, *after),) = peer.frame()
            after = tuple(after)
            assert (code, columns) == (0, b"diagnosis_id\tuser_id\tstate") and more == (after != (b"", b""))
            pages.append(cells)
            assert len(cells) <= 256 * 1024
        assert len(pages) == 6 and all(sum(page.count(name.encode()) for page in pages) == 1 for name in names[::97])
    listed = world.run("diagws-owner", "list").stdout.splitlines()
    assert sorted(line.split("\t")[1] for line in listed[1:]) == names


def test_a_list_goes_on_behind_an_entry_of_what_is_listed(world):
    world.hub()
    world.grant("123", "ann", "bob", "eve")
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer)
        for asked, code in ((("123", "", "123", "bob"), 0), (("", "", "123", "bob"), 0), (("123", "", "12", "x"), 1003),
                            (("123", "", "123", ""), 1003), (("", "", "", "bob"), 1003), (("", "", "1 3", "b"), 1003)):
            room, user, *after = asked
            peer.send(OWN, 1, "list", room, user, False, False, *after)
            ((kind, _, told, _, cells, more, *_),) = peer.frame()
            assert (kind, told, more) == (TABLE, code, False)
            assert code or (b"eve" in cells and b"bob" not in cells and b"ann" not in cells)


@pytest.mark.parametrize("kind", ["read", "join"])
def test_nothing_is_loaded_for_who_may_not(world, kind):
    """Neither a room that nobody knows, nor one that is only not theirs; and both are refused in the same words."""
    hub = world.hub()
    for number in range(20):
        world.send("a_update", f"known-{number}", {})
    hub.terminate()
    world.hub()
    rooms = [f"{what}-{number}" for number in range(20) for what in ("known", "unknown")]
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer, 1)

        def ask(corr, room):
            return read(corr, room, "eve") if kind == "read" else join(corr, corr + 1, room, "eve")
        peer.send_frame(b"".join(ask(corr, room) for corr, room in enumerate(rooms)))
        for corr, (room, answer) in enumerate(zip(rooms, peer.take(len(rooms)))):
            room = room.encode()
            told = [RECORDS, corr, DENIED, room] if kind == "read" else [JOINED, corr, corr + 1, DENIED, room]
            assert answer[:len(told)] == told and not any(answer[len(told):])
        assert world.stat()["rooms_resident"] == 0
        # Who may is let in, and the room loaded for that.
        world.grant("known-3", "eve")
        peer.send_frame(ask(100, "known-3"))
        assert heard(peer, RECORDS if kind == "read" else JOINED, 1, 100)[2 + (kind == "join")] == 0
        assert world.stat()["rooms_resident"] == 1


@pytest.mark.parametrize("to, wait", [("", 1), ("ann", 0)])
def test_nothing_is_loaded_for_who_may_not_publish(world, to, wait):
    """Who waits for devices, or sends to one user, needs the room in memory."""
    hub = world.hub()
    world.send("a_update", "known", {})
    hub.terminate()
    world.hub()
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer, 1)
        for corr, room in enumerate(("known", "unknown") * 2):
            peer.send(PUBLISH, corr, room, "a_update", f"i{corr}", b"{}", "eve", False, to, 0, 0, wait, 1)
            assert peer.frame()[0][:4] == [STORED, corr, DENIED, 0]
        assert world.stat()["rooms_resident"] == 0
        world.grant("known", "eve")
        peer.send(PUBLISH, 9, "known", "a_update", "i9", b"{}", "eve", False, to, 0, 0, wait, 1)
        assert heard(peer, STORED, 1, 9)[2] == 0
    summary = world.stat()
    assert (summary["messages_rejected"], summary["messages_received"], summary["rooms_resident"]) == (4, 5, 1)


def test_a_room_with_many_users_refuses_as_any_other(world):
    """The registry is asked for one entry, not for all of the room."""
    hub = world.hub()
    world.run("diagws-owner", "import", input="".join(
        json.dumps({"diagnosis_id": 123, "user_id": f"user {number}"}) + "\n" for number in range(30_000)))
    world.send("a_update", "123", {})
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer, 1)
        peer.send_frame(read(1, "123", "user 7"))
        assert peer.frame()[0][:3] == [RECORDS, 1, 0]  # it is in memory
        spent = []
        for room in ("123", "456") * 3:
            before = ticks(hub.pid)
            peer.send_frame(b"".join(read(corr, room, "user") for corr in range(2000)))
            assert {answer[2] for answer in peer.take(2000)} == {DENIED}
            spent.append(ticks(hub.pid) - before)
        assert sum(spent[0::2]) < 5 * sum(spent[1::2]) + 20


def ticks(pid):
    """What a process has used of processors."""
    return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))


def test_who_leaves_while_the_right_is_looked_up_has_not_come(world):
    world.hub()
    world.grant("123", "ann")
    world.send("a_update", "123", {})
    with dealer(world.env["DIAGWS_HUB"]) as peer:
        greeted(peer, 1)
        for session in (1, 2, 3):
            peer.send_frame(join(10, session, "123", "ann") + leave(session, "123"))
            peer.send(OWN, 9, "check", "123", "ann", False, False, "", "")
            assert [answer[:3] for answer in peer.take(1)] == [[43, 9, 0]]  # and no JOINED before it
        assert (world.stat()["connections"], world.stat()["rooms_resident"]) == (0, 0)
        # The same session again: only its second coming counts.
        peer.send_frame(join(11, 4, "123", "ann") + leave(4, "123") + join(12, 4, "123", "ann"))
        assert peer.frame()[0][:4] == [JOINED, 12, 4, 0]
        peer.send_frame(leave(4, "123"))
        until(lambda: world.stat()["connections"] == 0, "it to leave")


def test_of_two_connections_of_a_device_the_later_one_stays(world):
    """However far the earlier one has come meanwhile: its right is looked up, its room is loaded, or it is there."""
    world.hub()
    rooms = [f"room-{number}" for number in range(100)]
    world.run("diagws-owner", "import", input="".join(
        json.dumps({"diagnosis_id": room, "user_id": user}) + "\n" for room in rooms for user in ("ann", "bob")))
    with dealer(world.env["DIAGWS_HUB"]) as first, dealer(world.env["DIAGWS_HUB"]) as second:
        greeted(first, 1, 8)
        greeted(second, 1, 9)
        second.send_frame(b"".join(publish(corr, room) for corr, room in enumerate(rooms)))
        second.take(len(rooms))
        for session, room in enumerate(rooms, 1):
            second.send_frame(join(1, 1000 + session, room, "bob"))
            first.send_frame(join(2, session, room, "ann") + packed([PING, session]))
            heard(first, 35, 1, session)  # its PONG: the JOIN is in
            second.send_frame(join(3, 2000 + session, room, "ann"))
            assert heard(second, JOINED, 2, 2000 + session)[3] == 0
            assert heard(first, CLOSE, 1, session)[3] == 4001
        assert world.stat()["connections"] == 200


def test_an_edge_has_no_more_sessions_than_are_left_for_others(world):
    world.hub("--max-sessions", "8")
    world.run("diagws-owner", "import", input="".join(
        json.dumps({"diagnosis_id": f"room-{number}", "user_id": "ann"}) + "\n" for number in range(9)))

    def come(peer, number, session):
        peer.send_frame(join(session, session, f"room-{number}", "ann"))
        return heard(peer, JOINED, 1, session)[3]

    with dealer(world.env["DIAGWS_HUB"]) as first, dealer(world.env["DIAGWS_HUB"]) as second:
        greeted(first, 1, 8)
        greeted(second, 1, 9)
        assert [come(first, number, 1 + number) for number in range(6)] == [0, 0, 0, 0, RATE, RATE]
        assert [come(second, 6 + number, 11 + number) for number in range(3)] == [0, 0, RATE]
        assert come(first, 0, 1) == 0  # it is there
        assert world.stat()["rooms_resident"] == 6
        first.send_frame(leave(1, "room-0"))
        until(lambda: world.stat()["connections"] == 5, "it to leave")
        assert come(second, 8, 13) == 0
        assert come(first, 0, 1) == RATE
        # Who takes the place of another connection of its device, or comes back, finds one.
        first.send_frame(join(20, 20, "room-1", "ann"))
        assert heard(first, JOINED, 1, 20)[3] == 0
        first.send_frame(join(21, 21, "room-0", "ann", flags=RETURN))
        assert heard(first, JOINED, 1, 21)[3] == 0
