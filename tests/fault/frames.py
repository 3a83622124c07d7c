"""A proxy before a hub that knows ZMTP's frames: one of a chosen kind is held, and all that follow it that way; or those of
a kind alone are kept back while others pass, or lost, or one is changed.
"""
import asyncio
import contextlib
import struct

from proxy import DOWN, UP, Proxy

CREDIT, CONFIRM, MESSAGES = 8, 7, 39  # diagws-protocol(7)
GREETING, COMMAND, LONG = 64, 4, 2


def cut_frame(data):
    """(its kind, its bytes); (None, b"") while it is not whole."""
    if len(data) < 9:
        return None, b""
    size = 9 + struct.unpack(">Q", data[1:9])[0] if data[0] & LONG else 2 + data[1]
    body = 9 if data[0] & LONG else 2
    kind = data[body + 1] if size > body + 1 and not data[0] & COMMAND else None
    return (kind, data[:size]) if len(data) >= size else (None, b"")


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


class FrameProxy(Proxy):
    def __init__(self, target):
        self.keep, self.lose = set(), set()  # kinds
        self.kept = []
        self.change = {}  # kind -> what becomes of the next frame of it
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
                    if kind in self.keep:
                        self.kept.append(frame)
                    elif kind not in self.lose:
                        late, self.kept = (b"".join(self.kept), []) if not self.keep else (b"", self.kept)
                        await self.loop.sock_sendall(sink, late + frame)
        if link in self.links:
            self.links.discard(link)
            link.close()
