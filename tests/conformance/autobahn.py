"""The cases of Autobahn's test suite (PyPI: autobahntestsuite, a wheel for Python 2) under Python 3.

Its case files are read from the wheel, mended in memory, and given a WebSocket client that may break the rules, written
anew here: the suite's own needs Twisted and an autobahn of 2015. Python 2's byte strings become str of U+0000..U+00FF
(latin-1) throughout; bytes exist only at the socket. A case is done when its connection has ended.
"""
import asyncio
import base64
import codecs
import collections
import importlib
import importlib.util
import random
import re
import struct
import sys
import time
import types
import zipfile
from urllib.parse import urlsplit

MENDS = [
    (r"^# coding.*$", ""),
    (r"^(\s*)print\b.*$", r"\1pass"),
    (r"^import binascii$", ""),
    (r"\(object, Case, \)", "(Case,)"),                       # no such order of bases in Python 3
    (r"^from autobahn\S* import .*$", ""), (r"^from zope\S* import .*$", ""), (r"^from twisted\S* import .*$", ""),
    (r"^   implements\(.*$", ""),
    (r"^from case1[23]\S* import .*$", ""), (r"^.*Case1[23]_X_X.*$", ""),   # compression: neither offered nor loaded
    (r" / self\.p\.autoFragmentSize", " // self.p.autoFragmentSize"),
    (r"^from (case\w*) import", r"from wscases_\1 import"),
    (r"pickle\.dumps\(obj1\) == pickle\.dumps\(obj2\)", "obj1 == obj2"),    # pickles tell equal strings apart
]
OPEN, CLOSING, CLOSED = "open", "closing", "closed"
ALLOWED = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011}
PATIENCE = 300  # seconds for one case


class Hex:
    @staticmethod
    def b2a_hex(s):
        return s.encode("latin-1").hex()


class Utf8Validator:
    def reset(self):
        self.decoder = codecs.getincrementaldecoder("utf-8")("strict")

    __init__ = reset

    def validate(self, s):
        try:
            self.decoder.decode(s.encode("latin-1"))
        except UnicodeDecodeError:
            return (False, False)
        return (True, not self.decoder.getstate()[0])


class Finder:
    """Finds the wheel's case files as modules `wscases_…`."""

    def __init__(self, wheel):
        self.files = zipfile.ZipFile(wheel)
        self.names = {re.sub(r".*/(\w+)\.py$", r"\1", name): name for name in self.files.namelist()
                      if re.match(r"autobahntestsuite/case/\w+\.py$", name)}

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name.startswith("wscases_") else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = self.names[module.__name__[len("wscases_"):]]
        text = self.files.read(name).decode("latin-1").replace("\r\n", "\n")
        for what, to in MENDS:
            text = re.sub(what, to, text, flags=re.M)
        module.__dict__.update(WebSocketProtocol=Peer, Utf8Validator=Utf8Validator, xrange=range, unichr=chr,
                               binascii=Hex)
        exec(compile(text, name, "exec"), module.__dict__)


def load(wheel):
    """{name: class} of the cases, in order."""
    sys.meta_path.insert(0, Finder(wheel))
    cases = importlib.import_module("wscases___init__").Cases
    return {case.__name__[4:].replace("_", "."): case for case in cases}


class Peer(asyncio.Protocol):
    """The client's side; what a case calls `self.p`."""
    STATE_OPEN, STATE_CLOSING, STATE_CLOSED = OPEN, CLOSING, CLOSED
    MESSAGE_TYPE_TEXT, MESSAGE_TYPE_BINARY = 1, 2
    CLOSE_STATUS_CODE_NORMAL, CLOSE_STATUS_CODE_GOING_AWAY, CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1000, 1001, 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007
    CLOSE_STATUS_CODES_ALLOWED = sorted(ALLOWED)
    DROP_S = CLOSE_S = 1.0

    def __init__(self, case, url, done):
        self.url, self.done = url, done
        self.factory = types.SimpleNamespace(isServer=False)
        self.state, self.buffer, self.shaken, self.out = None, bytearray(), False, bytearray()
        self.connectionWasOpen = self.failedByMe = self.droppedByMe = self.wasClean = self.closedByMe = False
        self.localCloseCode = self.localCloseReason = self.remoteCloseCode = self.remoteCloseReason = None
        self.createWirelog, self.wire = True, []
        self.txFrameStats, self.autoFragmentSize = collections.Counter(), 0
        self.queue, self.sender, self.timers = collections.deque(), None, []
        self.message, self.opcode = None, None
        self.began = time.monotonic()
        self.runCase = case(self)

    # --- what cases do
    def log(self, *what):
        if self.createWirelog and len(self.wire) < 400:
            self.wire.append((round(time.monotonic() - self.began, 4),) + what)

    def enableWirelog(self, on):
        self.createWirelog = on

    def later(self, delay, call):
        self.timers.append(asyncio.get_running_loop().call_later(delay, call))

    def continueLater(self, delay, call, tag=None):
        self.later(delay, lambda: self.state != CLOSED and call())

    def killAfter(self, delay):
        self.later(delay, lambda: self.state != CLOSED and self.failConnection(1001, "Going Away"))

    def closeAfter(self, delay):
        self.later(delay, lambda: self.state != CLOSED and self.sendClose())

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        data = payload.encode("latin-1")
        if payload_len is not None:
            data = (data * (payload_len // len(data) + 1))[:payload_len]
        n = len(data)
        head = bytes([fin << 7 | rsv % 8 << 4 | opcode % 128])
        if n < 126:
            head += bytes([0x80 | n])
        else:
            head += b"\xfe" + struct.pack("!H", n) if n < 65536 else b"\xff" + struct.pack("!Q", n)
        key = random.randbytes(4)
        self.txFrameStats[opcode] += 1
        self.log("TX", opcode, fin, rsv, n, payload[:48])
        self.send(head + key + masked(data, key), sync, chopsize)

    def sendMessage(self, payload, isBinary=False, fragmentSize=None, sync=False):
        size = fragmentSize or self.autoFragmentSize or len(payload) or 1
        pieces = [payload[i:i + size] for i in range(0, len(payload), size)] or [""]
        for i, piece in enumerate(pieces):
            self.sendFrame((2 if isBinary else 1) if i == 0 else 0, piece, fin=i == len(pieces) - 1, sync=sync)

    def beginMessage(self, isBinary=False):
        self.begun = 2 if isBinary else 1

    def beginMessageFrame(self, n):
        self.key, self.at = random.randbytes(4), 0
        head = bytes([self.begun, 0x80 | n]) if n < 126 else bytes([self.begun, 0xfe]) + struct.pack("!H", n)
        self.begun = 0
        self.send(head + self.key, False, None)

    def sendMessageFrameData(self, payload):
        k = self.at % 4
        self.log("TX data", payload[:48])
        self.send(masked(payload.encode("latin-1"), self.key[k:] + self.key[:k]), False, None)
        self.at += len(payload)

    def endMessage(self):
        self.sendFrame(0, "")

    def sendClose(self, code=None, reason=None):
        if reason is not None:
            reason = reason.encode("utf-8").decode("latin-1")
            if len(reason) + 2 > 125:
                reason = reason[:120] + "..."
        self.sendCloseFrame(code, reason)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        if self.state != OPEN:
            return
        payload = ("" if code is None else struct.pack("!H", code).decode("latin-1")) + (reasonUtf8 or "")
        self.sendFrame(8, payload)
        self.state, self.closedByMe = CLOSING, not isReply
        self.localCloseCode, self.localCloseReason = code, reasonUtf8
        if self.closedByMe:
            self.close_timer = asyncio.get_running_loop().call_later(self.CLOSE_S, self.drop, "no answer to close")
            self.timers.append(self.close_timer)

    # --- the wire
    def send(self, data, sync, chopsize):
        if self.state == CLOSED:
            return
        chunks = [data[i:i + chopsize] for i in range(0, len(data), chopsize)] if chopsize else [data]
        if not (sync or chopsize or self.queue or self.sender):
            # As Twisted does: what a case sends in one go leaves in one write, so that it arrives in one piece.
            if not self.out:
                asyncio.get_running_loop().call_soon(self.flush)
            self.out += data
            return
        self.flush()
        self.queue.extend(chunks)
        if self.sender is None:
            self.sender = asyncio.get_running_loop().create_task(self.trickle())

    def flush(self):
        if self.out:
            self.write(bytes(self.out))
        self.out.clear()

    def write(self, data):
        if self.state != CLOSED and not self.transport.is_closing():
            self.transport.write(data)

    async def trickle(self):
        while self.queue:
            self.write(self.queue.popleft())
            await asyncio.sleep(0.00001)
        self.sender = None

    def connection_made(self, transport):
        self.transport = transport
        url = urlsplit(self.url)
        path = url.path + (f"?{url.query}" if url.query else "")
        key = base64.b64encode(random.randbytes(16)).decode()
        self.transport.write((f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: WebSocket\r\n"
                              f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                              "Sec-WebSocket-Version: 13\r\n\r\n").encode())

    def data_received(self, data):
        self.buffer += data
        if not self.shaken:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self.response = head.decode("latin-1")  # cases look at it
            if not head.startswith(b"HTTP/1.1 101"):
                self.drop("no upgrade")
                return
            self.shaken, self.buffer, self.state, self.connectionWasOpen = True, bytearray(rest), OPEN, True
            self.runCase.onOpen()
        while self.take_frame():
            pass

    def take_frame(self):
        b = self.buffer
        if len(b) < 2 or self.state == CLOSED:
            return False
        n, at = b[1] & 0x7f, 2
        if n > 125:
            at = 4 if n == 126 else 10
            if len(b) < at:
                return False
            n = int.from_bytes(b[2:at], "big")
        if len(b) < at + n:
            return False
        first, second, payload = b[0], b[1], b[at:at + n].decode("latin-1")
        opcode, fin = first & 15, first >> 7
        del b[:at + n]
        self.log("RX", opcode, fin, first >> 4 & 7, n, payload[:48])
        if first & 0x70 or second & 0x80 or opcode & 7 > 2 or (opcode > 7 and (n > 125 or not fin)):
            self.failConnection(1002, "server broke the protocol")
        elif opcode == 8:
            self.take_close(payload)
        elif opcode == 9:
            if self.state == OPEN:
                self.sendFrame(10, payload)
            self.runCase.onPing(payload)
        elif opcode == 10:
            self.runCase.onPong(payload)
        elif (opcode == 0) == (self.message is None):
            self.failConnection(1002, "server broke the protocol: fragments")
        else:
            if opcode:
                self.message, self.opcode = [], opcode
            self.message.append(payload)
            if fin:
                whole, self.message = "".join(self.message), None
                if self.opcode == 1 and Utf8Validator().validate(whole) != (True, True):
                    self.failConnection(1007, "server sent bad UTF-8")
                else:
                    self.runCase.onMessage(whole, self.opcode == 2)
        return True

    def take_close(self, payload):
        code = struct.unpack("!H", payload[:2].encode("latin-1"))[0] if len(payload) > 1 else None
        self.remoteCloseCode = code
        if len(payload) == 1 or (code is not None and code not in ALLOWED and not 3000 <= code < 5000):
            self.failConnection(1002, "invalid close code")
        self.remoteCloseReason = payload[2:] or None
        if self.remoteCloseReason and not Utf8Validator().validate(self.remoteCloseReason)[0]:
            self.failConnection(1007, "invalid close reason")
        if self.state == CLOSING:
            self.close_timer.cancel()
            self.wasClean = True
            self.later(self.DROP_S, lambda: self.drop("server did not drop TCP", unclean=True))
        elif self.state == OPEN:
            self.wasClean = True
            self.sendCloseFrame(1000, None, isReply=True)

    def failConnection(self, code, reason):
        self.failedByMe = True
        if self.state == CLOSING:
            self.drop(reason)
        elif self.state == OPEN:
            self.sendCloseFrame(code, reason)

    def drop(self, why, unclean=False):
        if self.state == CLOSED:
            return
        self.log("DROP", why)
        if unclean:
            self.wasClean = False
        self.state, self.droppedByMe = CLOSED, True
        self.transport.abort()

    def connection_lost(self, error):
        self.log("LOST", str(error))
        self.state = CLOSED
        for timer in self.timers:
            timer.cancel()
        self.runCase.onClose(self.wasClean, self.remoteCloseCode, self.remoteCloseReason)
        self.runCase.onConnectionLost(self.failedByMe)
        if not self.done.done():
            self.done.set_result(None)


def masked(data, key):
    n = len(data)
    whole = int.from_bytes((key * (n // 4 + 1))[:n], "big") ^ int.from_bytes(data, "big")
    return whole.to_bytes(n, "big")


async def run(case, url):
    """What a case's instance says, when its connection has ended: behavior, behaviorClose, result, resultClose."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    at = urlsplit(url)
    _, peer = await loop.create_connection(lambda: Peer(case, url, done), at.hostname, at.port)
    await asyncio.wait_for(done, PATIENCE)
    return peer
