"""How a WebSocket ends, byte for byte: whatever the client did, it gets a Close, then the end of the connection."""
import json
import signal
import socket
import struct
import time

import pytest

from conftest import PATIENCE, until, upgraded

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8a
PAD = 60 * 1024
AT_ONCE = 1.0  # TCP ends so soon after the client's end


def frame(head, payload=b"", size=None):
    """As a client sends it, with a mask of zeros; size: what its header says instead."""
    size = len(payload) if size is None else size
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = b"\xfe" + struct.pack("!H", size) if size < 65536 else b"\xff" + struct.pack("!Q", size)
    return bytes([head]) + length + bytes(4) + payload


def code(number, reason=b""):
    return struct.pack("!H", number) + reason


class Client:
    """A socket on which nothing is read but when it is asked for; small: little may wait unread in its kernel, and it comes
    in segments as short as on a network, so that the window opens as it is read."""

    def __init__(self, edge, room, token, small=False, query=""):
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", edge.port))
        self.port = self.socket.getsockname()[1]
        self.edge = edge
        self.file = upgraded(self.socket, f"/ws/{room}?token={token}{query}")
        head, payload = self.frame()
        assert (head, json.loads(payload)["type"]) == (TEXT, "connect")

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.file.close()
        self.socket.close()

    def say(self, *pieces):
        """All in one segment, where it is small enough for one."""
        self.socket.sendall(b"".join(pieces))

    def frame(self):
        """(first byte, payload) of the next frame; None at the end."""
        head = self.file.read(2)
        if not head:
            return None
        size = head[1]
        if size > 125:
            size = int.from_bytes(self.file.read(2 if size == 126 else 8), "big")
        payload = self.file.read(size)
        assert len(head) == 2 and len(payload) == size, "cut in the middle of a frame"
        return head[0], payload

    def rest(self):
        """All frames up to the end of the connection; a reset fails."""
        frames = []
        while (got := self.frame()) is not None:
            frames.append(got)
        return frames

    def finish(self):
        """Answers the Close, and expects the end at once."""
        self.say(frame(CLOSE))
        self.socket.settimeout(AT_ONCE)
        assert self.frame() is None

    def last(self):
        """All frames up to a Close, which is answered and followed by the end."""
        frames = []
        while not frames or frames[-1][0] != CLOSE:
            frames.append(self.frame())
            assert frames[-1] is not None, "no Close"
        self.finish()
        return frames

    def row(self):
        """(bytes sent and not taken, bytes come and not read) on the edge's side; None: it has closed it."""
        local, remote = f"{self.edge.port:04X}", f"{self.port:04X}"
        with open("/proc/net/tcp", encoding="ascii") as file:
            for line in file:
                at = line.split()
                if at[1].endswith(f":{local}") and at[2].endswith(f":{remote}") and at[9] != "0":
                    return tuple(int(queue, 16) for queue in at[4].split(":"))
        return None

    def gone(self):
        return self.row() is None


@pytest.fixture
def site(world):
    world.hub("--queue-limit", 200)
    world.alice = world.user("alice", "123")
    return world


@pytest.fixture
def client(site):
    with Client(site.edge(), "123", site.alice) as client:
        yield client


# ---- what a client's Close says

@pytest.mark.parametrize("payload,answer", [
    (b"", b""),
    (code(1000), code(1000)),
    (code(1000, b"bye"), code(1000, b"bye")),
    (code(1002), code(1002)),
    (code(3000), code(3000)),
    (code(4999, b"x" * 123), code(4999, b"x" * 123)),
    *[(code(number), code(1002)) for number in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)],
    (b"\x03", code(1002)),
    (code(1000, b"\xff"), code(1007)),
    (code(1000, "ä".encode()[:1]), code(1007)),
    (code(3000, b"\xed\xa0\x80"), code(1007)),
], ids=lambda bytes: bytes[:6].hex() or "none")
def test_a_close_is_answered_once_and_then_it_ends(client, payload, answer):
    client.say(frame(CLOSE, payload))
    client.socket.settimeout(AT_ONCE)
    assert client.rest() == [(CLOSE, answer)]
    until(client.gone, "the edge to have closed it", AT_ONCE)


@pytest.mark.parametrize("more", [
    frame(TEXT, b'{"type":"ping"}'),
    frame(TEXT, b'{"type":"subscribe","diagnosis_id":124}'),
    frame(BINARY, b"x"),
    frame(PING, b"x"),
    frame(CLOSE, code(1000)),
    frame(CLOSE, code(4000)),
    frame(0xf5, b"no frame"),
    frame(TEXT, b'{"type":"ping"}') * 5000,
], ids=["ping", "subscribe", "binary", "PING", "again", "another", "garbage", "much"])
def test_what_follows_a_close_is_dropped(client, more):
    client.say(frame(CLOSE, code(1000)), more)
    assert client.rest() == [(CLOSE, code(1000))]


# ---- what breaks the protocol

BROKE = (CLOSE, code(1002, b"protocol error"))

BROKEN = {
    "PING of 126": frame(PING, b"x" * 126),
    "PING of 64 KiB": frame(PING, b"x" * 65536),
    "PONG of 126": frame(PONG, b"x" * 126),
    "Close of 126": frame(CLOSE, code(1000, b"x" * 124)),
    "PING in pieces": frame(PING & 0x7f, b"x"),
    "reserved bit": frame(TEXT | 0x40, b"{}"),
    "reserved opcode": frame(0x83, b"{}"),
    "reserved control opcode": frame(0x8b, b"{}"),
    "continuation of nothing": frame(0x80, b"{}"),
    "text within text": frame(TEXT & 0x7f, b"{") + frame(TEXT, b"{}"),
    "longer than 2^63": bytes([TEXT, 0xff, 0x80]) + bytes(7 + 4) + b"{}",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_frame_is_1002_and_then_it_ends(client, what):
    client.say(BROKEN[what])
    assert client.frame() == BROKE
    client.finish()
    client.socket.close()
    client.file.close()
    until(client.gone, "the edge to have closed it", AT_ONCE)


@pytest.mark.parametrize("what", BROKEN)
def test_what_follows_a_broken_frame_does_not_cost_the_close(client, what):
    """No reset, though the edge does not care for what it is still sent."""
    client.say(BROKEN[what], frame(TEXT, b'{"type":"ping"}') * 20000)
    assert client.rest() == [BROKE]


def test_what_is_refused_is_closed_before_what_breaks_the_protocol(client):
    client.say(frame(BINARY, b"x"), frame(PING, b"x" * 126))
    assert client.frame() == (CLOSE, code(1003, b"text frames only"))
    client.finish()


@pytest.mark.parametrize("last,number", [(frame(PING, b"x" * 126), 1002), (frame(BINARY, b"x"), 1003)],
                         ids=["1002", "1003"])
def test_who_never_ends_is_cut(client, last, number):
    client.say(last)
    assert client.frame()[1][:2] == code(number)
    until(client.gone, "the edge to have given up")


def test_the_end_without_a_close_ends_it(client):
    client.socket.shutdown(socket.SHUT_WR)
    client.socket.settimeout(AT_ONCE)
    assert client.rest() == []


# ---- clients that do not read

def stall(world, edge):
    """A client to which a frame is half sent."""
    client = Client(edge, "123", world.alice, small=True)
    lines = "".join(json.dumps({"data": {"i": i, "pad": "x" * PAD}}) + "\n" for i in range(20))
    world.run("diagws-send", "-l", "-d", "123", "-t", "x_update", input=lines)
    seen = [None]

    def still():
        before, seen[0] = seen[0], client.row()
        return before == seen[0] and seen[0][0] > 0
    until(still, "the kernel to be full")
    return client


def check_end(client, answer):
    """It reads again: whole frames, and a Close at last."""
    *frames, last = client.last()
    assert frames and {head for head, _ in frames} <= {TEXT, PING, PONG}
    assert last == (CLOSE, answer)


@pytest.mark.parametrize("said,answer", [
    (frame(BINARY, b"x"), code(1003, b"text frames only")),
    (frame(TEXT, b"\xff"), code(1007, b"bad utf8")),
    (frame(TEXT, b"x" * 65537), code(1009, b"too big")),
    (frame(TEXT, b'{"type":"ack","seq":0}') * 150, code(1008, b"rate limit")),
    (frame(TEXT, b'{"type":"nonsense"}') * 99, code(1013, b"too slow")),
    (frame(PING, b"x" * 126), BROKE[1]),
    (frame(TEXT | 0x40, b"{}"), BROKE[1]),
    (frame(BINARY, b"x") + frame(TEXT | 0x40, b"{}"), code(1003, b"text frames only")),
], ids=["1003", "1007", "1009", "1008", "1013", "PING", "reserved bit", "1003 first"])
def test_a_stalled_client_is_told_when_it_reads_again(site, said, answer):
    with stall(site, site.edge("--slow-timeout", "60s")) as client:
        client.say(said)
        until(lambda: client.row()[1] == 0, "the edge to have read it")
        check_end(client, answer)


def test_a_stalled_client_is_told_of_a_restart(site):
    edge = site.edge("--slow-timeout", "60s")
    with stall(site, edge) as client:
        edge.signal(signal.SIGTERM)
        until(lambda: "shutting down" in edge.said(), "the edge to drain")
        check_end(client, code(1012, b"service restart"))
    assert edge.popen.wait(PATIENCE) == 0


def test_a_client_that_was_too_slow_is_told(site):
    with stall(site, site.edge("--slow-timeout", "1s")) as client:
        begun = time.monotonic()
        until(lambda: time.monotonic() - begun > 3, "its time to be over")
        check_end(client, code(1013, b"too slow"))


def test_a_stalled_client_that_says_close_is_answered(site):
    with stall(site, site.edge("--slow-timeout", "60s")) as client:
        client.say(frame(CLOSE, code(1000)))
        *frames, last = client.rest()
        assert frames and all(head in (TEXT, PING) for head, _ in frames)
        assert last == (CLOSE, code(1000))


def test_who_takes_a_little_of_what_it_missed_is_waited_for(site):
    """It needs longer than one that takes nothing is given."""
    with stall(site, site.edge("--slow-timeout", "60s")) as client:
        client.say(frame(BINARY, b"x"))
        until(lambda: client.row()[1] == 0, "the edge to have read it")
        begun, pieces, taken = time.monotonic(), 0, b""
        while time.monotonic() - begun < 5:
            taken += client.socket.recv(1024)
            pieces += 1
            until(lambda: time.monotonic() - begun > 0.1 * pieces, "the next moment")
        while not taken.endswith(code(1003, b"text frames only")):
            more = client.socket.recv(65536)
            assert more, "no Close"
            taken += more
