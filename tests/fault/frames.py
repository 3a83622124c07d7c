"""A proxy before a hub that knows ZMTP's frames, and makes one of each message: one of a chosen kind is held, and all that
follow it that way; or those of a kind alone are kept back while others pass, or lost, or one is changed.
"""
import asyncio
import contextlib
import struct

from proxy import DOWN, UP, Proxy

JOIN, CONFIRM, CREDIT, JOINED, MESSAGES = 5, 7, 8, 38, 39  # diagws-protocol(7)
GREETING, COMMAND, LONG = 64, 4, 2


def cut_frame(data):
    """(its head, its body); None while it is not whole."""
    if len(data) < 2 or (data[0] & LONG and len(data) < 9):
        return None
    size = 9 + struct.unpack(">Q", data[1:9])[0] if data[0] & LONG else 2 + data[1]
    body = 9 if data[0] & LONG else 2
    return (data[:body], data[body:size]) if len(data) >= size else None


def end_of_value(body, at):
    """Where the msgpack value that begins there ends; arrays hold scalars only."""
    tag = body[at]
    if tag in (0xdc, *range(0x90, 0xa0)):
        count, at = (struct.unpack(">H", body[at + 1:at + 3])[0], at + 3) if tag == 0xdc else (tag & 15, at + 1)
        for _ in range(count):
            at = end_of_value(body, at)
        return at
    if 0xa0 <= tag < 0xc0:
        return at + 1 + (tag & 31)
    lengths = {0xc4: 1, 0xd9: 1, 0xc5: 2, 0xda: 2, 0xc6: 4, 0xdb: 4}
    if tag in lengths:
        return at + 1 + lengths[tag] + int.from_bytes(body[at + 1:at + 1 + lengths[tag]], "big")
    return at + 1 + {0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8, 0xca: 4, 0xcb: 8}.get(tag, 0)


def messages(head, body):
    """(kind, frame) of each message of the frame, as a frame of its own; kind None: it is none."""
    if head[0] & COMMAND or len(body) < 2:
        yield None, head + body
        return
    while body:
        end = end_of_value(body, 0)
        size = struct.pack(">Q", end) if end > 255 else bytes([end])
        yield body[3 if body[0] == 0xdc else 1], bytes([head[0] | LONG if end > 255 else head[0] & ~LONG]) + size + body[:end]
        body = body[end:]


def end_with_the_first_record_again(frame):
    """MESSAGES whose last record is the first once more. The records are its last field; a record of them is an array."""
    body = frame[9:]
    at = 9 + body[2] % 32  # behind kind and room come four small numbers, a position and a reason, and a flag
    assert body[:2] == b"\x98\x27" and max(body[at - 6:at - 2]) < 128 and body[at - 1] == 0xc6
    records = body[at + 4:]
    second = records.index(records[:1], 1)
    while records[second + 1] != records[1] + 1:  # its seq
        second = records.index(records[:1], second + 1)
    records += records[:second]
    body = body[:at] + struct.pack(">I", len(records)) + records
    return frame[:1] + struct.pack(">Q", len(body)) + body


def as_another_session(frame):
    """JOIN or JOINED: [kind, corr, session, …], and corr is small."""
    body = bytearray(frame[9:] if frame[0] & LONG else frame[2:])
    at = 4 if body[0] == 0xdc else 2
    at += {0xcc: 2, 0xcd: 3}.get(body[at], 1)
    assert body[at] == 0xcf
    body[at + 8] ^= 1
    return frame[:-len(body)] + body


def say_busy(frame):
    """JOINED of another session as that of this one, with code 1105: [38, corr, session, code, …]."""
    frame = as_another_session(frame)
    body = frame[9:] if frame[0] & LONG else frame[2:]
    at = 4 + {0xcc: 2, 0xcd: 3}.get(body[4], 1) + 9
    assert body[at] == 0
    body = body[:at] + b"\xcd" + struct.pack(">H", 1105) + body[at + 1:]
    return bytes([frame[0] | LONG]) + struct.pack(">Q", len(body)) + body


class FrameProxy(Proxy):
    def __init__(self, target):
        self.keep, self.lose = set(), set()  # kinds
        self.kept = []
        self.change = {}  # kind -> what becomes of the next frame of it;
        self.always = {}  # of each, and how many those were
        self.changed = 0
        self.kinds = {UP: None, DOWN: None}
        self.holds = {UP: False, DOWN: False}
        self.free = {UP: asyncio.Event(), DOWN: asyncio.Event()}
        super().__init__(target)

    def hold_from(self, direction, kind):
        """The next frame of this kind, and what follows it, stays here until let_go()."""
        self.kinds[direction] = kind
        self.holds[direction] = False
        self._do(self.free[direction].clear)

    def let_go(self, direction):
        self.kinds[direction] = None
        self._do(self.free[direction].set)

    # What was kept goes on before the next frame once `keep` is empty; all kinds in it go the same way.

    async def _pass(self, sink, direction, kind, frame):
        if kind is not None and kind == self.kinds[direction]:
            self.holds[direction] = True
            await self.free[direction].wait()
        if kind in self.change:
            frame = self.change.pop(kind)(frame)
        if kind in self.always:
            frame = self.always[kind](frame)
            self.changed += 1
        if kind in self.keep:
            self.kept.append(frame)
        elif kind not in self.lose:
            late, self.kept = (b"".join(self.kept), []) if not self.keep else (b"", self.kept)
            await self.loop.sock_sendall(sink, late + frame)

    async def _carry(self, link, direction):
        source, sink = link.ends[direction]
        greeted, rest = False, b""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await self.loop.sock_recv(source, 65536):
                if not greeted:
                    head, data = data[:GREETING - len(rest)], data[GREETING - len(rest):]
                    await self.loop.sock_sendall(sink, head)
                    rest += head
                    greeted = len(rest) == GREETING
                    rest = b"" if greeted else rest
                rest += data
                while greeted and (cut := cut_frame(rest)):
                    rest = rest[len(cut[0]) + len(cut[1]):]
                    for kind, frame in messages(*cut):
                        await self._pass(sink, direction, kind, frame)
        if link in self.links:
            self.links.discard(link)
            link.close()
