"""A proxy before a hub that knows ZMTP's frames: one of a chosen kind is held, and all that follow it that way; or those of
a kind alone are kept back while others pass, or lost, or one is changed.
"""
import asyncio
import contextlib
import struct

from proxy import DOWN, UP, Proxy

JOIN, CONFIRM, CREDIT, JOINED, MESSAGES = 5, 7, 8, 38, 39  # diagws-protocol(7)
GREETING, COMMAND, LONG = 64, 4, 2


def cut_frame(data):
    """(its kind, its bytes); (None, b"") while it is not whole."""
    if len(data) < 2 or (data[0] & LONG and len(data) < 9):
        return None, b""
    size = 9 + struct.unpack(">Q", data[1:9])[0] if data[0] & LONG else 2 + data[1]
    body = 9 if data[0] & LONG else 2
    if len(data) < size:
        return None, b""
    kind = None if data[0] & COMMAND or size < body + 2 else data[body + (3 if data[body] == 0xdc else 1)]
    return kind, data[:size]


def end_with_the_first_record_again(frame):
    """MESSAGES whose last record is the first once more. The records are its last field; a record of them is an array of 9."""
    body = frame[9:]
    at = 6 + body[2] % 32  # behind kind and room come two small numbers
    assert body[:2] == b"\x95\x27" and body[at - 3] < 128 and body[at - 2] < 128 and body[at - 1] == 0xc6
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
                while greeted:
                    kind, frame = cut_frame(rest)
                    if not frame:
                        break
                    rest = rest[len(frame):]
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
        if link in self.links:
            self.links.discard(link)
            link.close()
