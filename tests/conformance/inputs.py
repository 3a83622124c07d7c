"""What has been, or could be, sent to desynchronize an HTTP server or the proxy in front of it: one table.

An input has a name, its bytes (in pieces, each a segment of its own), and what must come of it, directly:

    "200 404 keep"          two answers, then the connection serves one request more
    "401 close"             one answer, then the end
    "400/501 close"         one of these
    "404 404 keep|400 close"  one or the other
    "405"                   one answer; whether the connection goes on is the server's choice
    "close"                 no answer at all
    "200h 200 keep"         the first is of a HEAD: it has no body

What must never happen is the same for all: another answer, an answer that is not whole, an error that is not the contract's
JSON, a message in the room 666 (EVIL publishes there, and is hidden in what is a body or nothing), a server that is busy or
deaf afterwards.
"""
import base64
import dataclasses
import json
import struct

EVIL_ROOM, ROOM, QUIET = "666", "123", "124"
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")
WEBSOCKET = (*UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==")

# Whoever reads a body or refuses it: one answer, and not a byte of the body read as a request.
ONE = "{0} keep|{0} close|400/413 close"
ONE_OF_HEAD = "200h keep|200h close|400/413h close"
REFUSED = "400 close"


@dataclasses.dataclass
class Input:
    name: str
    pieces: tuple
    expect: str
    family: bool = False     # one of a large family: a sample is enough where time is short
    frames: tuple = ()       # types of the messages that a WebSocket gets, in any order
    pause: float = 0.001     # between pieces


def request(method, target, *lines, body=b"", version="HTTP/1.1", host="Host: x"):
    """Bytes as they are given; nothing is added but Host."""
    raw = [f"{method} {target} {version}", *([host] if host else []), *lines]
    return b"\r\n".join(line if isinstance(line, bytes) else line.encode("latin-1") for line in raw) + b"\r\n\r\n" + body


class Table:
    """The inputs, for tokens of a hub that is there: publisher and alice are good, forged names a key of RS256."""

    def __init__(self, publisher, alice, forged):
        self.inputs, self.count = [], 0
        self.bearer, self.alice = f"Authorization: Bearer {publisher}", f"Authorization: Bearer {alice}"
        self.alice_token, self.forged = alice, f"Authorization: Bearer {forged}"
        self.evil = self.post(EVIL_ROOM)
        for part in (self.bodies, self.pipelines, self.names, self.lengths, self.encodings, self.chunks, self.heads,
                     self.request_lines, self.hosts, self.methods, self.targets, self.upgrades, self.limits):
            part()
        assert len({one.name for one in self.inputs}) == len(self.inputs)

    def add(self, name, raw, expect, **more):
        pieces = raw if isinstance(raw, tuple) else (raw,)
        self.inputs.append(Input(name, pieces, expect, **more))

    def post(self, room=ROOM, *lines, method="POST", target="/ws/broadcast", auth=None, length=None, type="application/json"):
        body = json.dumps({"diagnosis_id": int(room), "type": "x_update", "data": {"x": 1}}).encode()
        size = (f"Content-Length: {len(body)}",) if length is None else length
        return request(method, target, auth or self.bearer, f"Content-Type: {type}", *size, *lines, body=body)

    def hiding(self, method, target, *lines):
        """A request whose body is one."""
        return request(method, target, *lines, f"Content-Length: {len(self.evil)}", body=self.evil)

    def bodies(self):
        """Bodies of requests that have none, and of those that are refused."""
        for method, target, status in (("GET", "/metrics", "404"), ("GET", "/healthz", "200"), ("DELETE", "/healthz", "405"),
                                       ("OPTIONS", "/healthz", "200/204/405/501"), ("HEAD", "/healthz", "200h"),
                                       ("GET", "/nowhere", "404")):
            one = request(method, target, "Content-Length: 5", body=b"hello")
            once = ONE_OF_HEAD if method == "HEAD" else ONE.format(status)
            twice = f"{status} {status} keep|{once}"
            self.add(f"{method} {target} with a body, twice in one segment", one + one, twice)
            self.add(f"{method} {target} with a body, twice, 1 ms apart", (one, one), twice)
            self.add(f"{method} {target}, head and body apart", (one[:-5], one[-5:]), once)
            self.add(f"{method} {target} hiding a request", self.hiding(method, target), once)
        for name, status, raw in (
                ("no token", "401", self.hiding("POST", "/ws/broadcast", "Content-Type: application/json")),
                ("a bad token", "401", self.hiding("POST", "/ws/broadcast", "Content-Type: application/json",
                                                   "Authorization: Bearer x")),
                ("a forged token", "401", self.hiding("POST", "/ws/broadcast", "Content-Type: application/json", self.forged)),
                ("no such path", "404", self.hiding("POST", "/nowhere", self.bearer)),
                ("not of this path", "405", self.hiding("POST", "/healthz", self.bearer)),
                ("no JSON", "400", self.hiding("POST", "/ws/broadcast", "Content-Type: application/json", self.bearer)),
                ("another type", "415", self.hiding("POST", "/ws/broadcast", "Content-Type: text/plain", self.bearer)),
                ("gzip", "415", self.hiding("POST", "/ws/broadcast", "Content-Type: application/json",
                                            "Content-Encoding: gzip", self.bearer))):
            self.add(f"POST hiding a request, {name}", raw, ONE.format(status))
            head = len(raw) - len(self.evil)
            self.add(f"POST hiding a request, {name}, head and body apart", (raw[:head], raw[head:]), ONE.format(status))
        self.add("Expect: 100-continue", self.post(ROOM, "Expect: 100-continue"), "200 keep")

    def pipelines(self):
        post, health = self.post(), request("GET", "/healthz")
        forged = request("GET", f"/ws/messages/{ROOM}", self.forged)
        poll = request("GET", f"/ws/messages/{QUIET}?wait=1s", self.alice)
        for name, first, status in (("GET", health, "200"), ("POST", post, "200"), ("HEAD", request("HEAD", "/healthz"), "200h"),
                                    ("a long poll", poll, "200"), ("a forged token", forged, "401"),
                                    ("404", request("GET", "/nowhere"), "404")):
            for way, pieces in (("in one segment", (first + post,)), ("1 ms apart", (first, post)),
                                ("cut in the second's head", (first + post[:30], post[30:])),
                                ("cut in the second's body", (first + post[:-5], post[-5:]))):
                self.add(f"{name} and POST, {way}", pieces, f"{status} 200 keep")
        self.add("POST and GET", post + health, "200 200 keep")
        self.add("HEAD and GET", request("HEAD", "/healthz") + health, "200h 200 keep")
        self.add("HEAD of messages", request("HEAD", f"/ws/messages/{ROOM}", self.alice), "200h keep")
        self.add("ten POSTs", 10 * post, "200 " * 10 + "keep")
        self.add("fifty GETs", 50 * health, "200 " * 50 + "keep")
        self.add("a byte at a time", tuple(bytes([byte]) for byte in post), "200 keep")
        self.add("Connection: close and one more", request("GET", "/healthz", "Connection: close") + health, "200 close")
        self.add("HTTP/1.0 and one more", request("GET", "/healthz", version="HTTP/1.0") + health, "200 close|400 close")

    def names(self):
        """Names that are the beginning of known ones: they must not swallow the line that follows."""
        known = ("accept-encoding accept-language authorization cache-control connection content-encoding content-length "
                 "content-type cookie date etag expect forwarded from host if-match if-modified-since if-none-match "
                 "if-unmodified-since keep-alive origin proxy-connection range referer sec-websocket-extensions "
                 "sec-websocket-key sec-websocket-protocol sec-websocket-version te transfer-encoding upgrade user-agent via "
                 "x-auth-token x-forwarded-for x-real-ip").split()
        beginnings = {name[:size] for name in known for size in range(1, len(name))} - set(known)
        for name in sorted(beginnings):
            body = json.dumps({"diagnosis_id": int(ROOM), "type": "x_update", "data": {"x": 1}}).encode()
            raw = request("POST", "/ws/broadcast", f"{name}: 1", f"Content-Length: {len(body)}", f"{name}:", self.bearer,
                          f"{name}: 2", "Content-Type: application/json", body=body)
            self.add(f"'{name}:' before what matters", raw, "200 keep", family=name not in ("x", "if", "x-auth", "x-forwarded"))
            raw = self.hiding("GET", "/healthz", f"{name}:")
            self.add(f"'{name}:' before a length", raw, ONE.format("200"), family=name not in ("x", "if", "x-auth"))

    def lengths(self):
        for value in ("+5", "-5", "0x5", "5 5", "5, 5", "5,6", "5;", "five", "", "5\t5", "\x0b5", "\xd9\xa5", "5.0", "1e1", "'5'"):
            for method, target in (("GET", "/healthz"), ("POST", "/ws/broadcast")):
                raw = request(method, target, self.bearer, "Content-Type: application/json", f"Content-Length: {value}",
                              body=b"hello" + self.evil)
                self.add(f"{method}, Content-Length {value!r}", raw, REFUSED)
        for value in ("18446744073709551621", "9" * 40, "9223372036854775808"):
            for method, target in (("GET", "/healthz"), ("POST", "/ws/broadcast")):
                raw = request(method, target, self.bearer, "Content-Type: application/json", f"Content-Length: {value}",
                              body=b"hello" + self.evil)
                self.add(f"{method}, Content-Length {value[:24]}", raw, "400/413 close")
        for method, target in (("GET", "/healthz"), ("POST", "/ws/broadcast")):
            for first, second in (("5", "5"), ("5", "6"), ("0", str(len(self.evil))), (str(len(self.evil)), "0")):
                raw = request(method, target, self.bearer, "Content-Type: application/json", f"Content-Length: {first}",
                              f"Content-Length: {second}", body=self.evil)
                self.add(f"{method}, Content-Length {first} and {second}", raw, REFUSED)

    def encodings(self):
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.evil), self.evil)
        for method, target, status in (("GET", "/healthz", "200"), ("HEAD", "/healthz", "200h"), ("GET", "/nowhere", "404"),
                                       ("POST", "/ws/broadcast", "401")):
            raw = request(method, target, "Content-Type: application/json", "Transfer-Encoding: chunked", body=chunked)
            self.add(f"{method} {target}, chunked, hiding a request", raw,
                     ONE_OF_HEAD if method == "HEAD" else ONE.format(status))
        for value in ("identity", "gzip", "gzip, chunked", "chunked, identity", "chunked, chunked", "xchunked", "chunkedx",
                      "chunked;a=b", "\x0bchunked", '"chunked"', "", "chunked\x00", "chunked chunked"):
            for method, target in (("GET", "/healthz"), ("POST", "/ws/broadcast")):
                raw = request(method, target, self.bearer, "Content-Type: application/json", f"Transfer-Encoding: {value}",
                              body=b"0\r\n\r\n" + self.evil)
                self.add(f"{method}, Transfer-Encoding {value!r}", raw, "400/501 close")
        for name, lines in (("and a length", ("Transfer-Encoding: chunked", "Content-Length: 5")),
                            ("after a length", ("Content-Length: 5", "Transfer-Encoding: chunked")),
                            ("in two lines", ("Transfer-Encoding: chunked", "Transfer-Encoding: identity")),
                            ("and once more", ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
                            ("and a space before the colon", ("Transfer-Encoding : chunked", "Content-Length: 5")),
                            ("folded", ("Transfer-Encoding:", " chunked", "Content-Length: 5"))):
            for method, target in (("GET", "/healthz"), ("POST", "/ws/broadcast")):
                raw = request(method, target, self.bearer, "Content-Type: application/json", *lines,
                              body=b"0\r\n\r\n" + self.evil)
                self.add(f"{method}, Transfer-Encoding {name}", raw, "400/501 close")
        raw = request("POST", "/ws/broadcast", self.bearer, "Content-Type: application/json", "Transfer-Encoding: chunked",
                      version="HTTP/1.0", body=b"0\r\n\r\n" + self.evil)
        self.add("HTTP/1.0, chunked", raw, "400/411/501 close")

    def chunked(self, body):
        return request("POST", "/ws/broadcast", self.bearer, "Content-Type: application/json", "Transfer-Encoding: chunked",
                       body=body)

    def chunks(self):
        body = json.dumps({"diagnosis_id": int(ROOM), "type": "x_update", "data": {"x": 1}}).encode()
        whole = b"%x\r\n%s\r\n" % (len(body), body)
        bytewise = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        for name, good in (("in one", whole), ("by bytes", bytewise), ("in capitals", whole[:2].upper() + whole[2:]),
                           ("with zeros before the size", b"000" + whole)):
            self.add(f"a body in chunks, {name}", self.chunked(good + b"0\r\n\r\n"), "200 keep")
            self.add(f"a body in chunks, {name}, and one more", 2 * self.chunked(good + b"0\r\n\r\n"), "200 200 keep")
        trailer = whole + b"0\r\nContent-Length: 5\r\nAuthorization: Bearer x\r\n\r\n"
        self.add("a body in chunks, with trailers", self.chunked(trailer), "200 keep|400 close")
        extended = b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        self.add("a body in chunks, with an extension", self.chunked(extended), "200 keep|400 close")
        for size in (b"+5", b"-5", b"0x5", b" 5", b"5 5", b"g", b"", b"10000000000000005", b"f" * 40, b"5\x00", b"5\xff"):
            self.add(f"a chunk of size {size[:20]!r}", self.chunked(size + b"\r\nhello\r\n0\r\n\r\n" + self.evil),
                     "400/413 close|close")
        self.add("a chunk longer than it says", self.chunked(b"3\r\nhello\r\n0\r\n\r\n" + self.evil), "400 close|close")
        self.add("a chunk's size that ends in LF", self.chunked(b"5\nhello\r\n0\r\n\r\n" + self.evil), "400 close|close")
        self.add("an extension with LF", self.chunked(b"2;\nxx\r\n%x\r\n0\r\n\r\n" % len(self.evil) + self.evil),
                 "400 close|close")

    def heads(self):
        """Lines of a head that are none."""
        for name, line in (
                ("no colon", "broken"), ("no name", ": x"), ("a space before the colon", "X-A : 1"),
                ("a tab before the colon", "X-A\t: 1"), ("a space in the name", "X A: 1"), ("a bracket in the name", "X(A: 1"),
                ("Latin in the name", "X-\xe9: 1"), ("NUL in the name", "X\x00A: 1"), ("NUL in the value", "X-A: 1\x002"),
                ("a control in the value", "X-A: \x01"), ("DEL in the value", "X-A: \x7f"), ("CR in the value", "X-A: 1\r2"),
                ("LF ends the line", "X-A: 1\nX-B: 2"), ("LF hides a length", f"X-A: 1\nContent-Length: {len(self.evil)}"),
                ("CR hides a length", f"X-A: 1\rContent-Length: {len(self.evil)}"),
                ("a line is folded", "X-A: 1\r\n 2"), ("a line is folded by a tab", "X-A: 1\r\n\t2"),
                ("an empty line is folded", "X-A:\r\n \r\n 2"), ("a folded length", "Content-Length:\r\n 5")):
            for method, target in (("GET", "/healthz"), ("POST", "/ws/broadcast")):
                raw = request(method, target, self.bearer, "Content-Type: application/json", line)
                self.add(f"{method}, {name}", raw + (self.evil if "length" in name else b""), REFUSED)
        self.add("the first line is folded", request("GET", "/healthz", host=" Host: x"), REFUSED)
        self.add("only LF", b"GET /healthz HTTP/1.1\nHost: x\n\n", REFUSED)
        self.add("an empty line before", b"\r\n" + request("GET", "/healthz"), "200 keep|400 close")
        self.add("a NUL before", b"\0" + request("GET", "/healthz"), REFUSED)
        self.add("a TLS client", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), "400 close|close")

    def request_lines(self):
        for line in ("GET  /healthz HTTP/1.1", "GET\t/healthz HTTP/1.1", "GET /healthz", "GET /healthz  HTTP/1.1",
                     "GET /healthz HTTP/1.1 ", "GET /health z HTTP/1.1", " GET /healthz HTTP/1.1", "GET /healthz http/1.1",
                     "GET /healthz HTTP/1.1x", "GET /healthz HTTP/1.10", "GET /healthz HTTP/11", "GET /healthz HTTP/1.",
                     "GET healthz HTTP/1.1", "G@T /healthz HTTP/1.1", "GET /healthz\x00 HTTP/1.1", "GET /healthz HTTP/1.1\x00",
                     "GET", "/healthz", "\x80\x81"):
            self.add(f"the line {line!r}", line.encode("latin-1") + b"\r\nHost: x\r\n\r\n", REFUSED)
        for version in ("HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"):
            self.add(version, request("GET", "/healthz", version=version), "400/505 close")
        self.add("HTTP/2 as such", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), "400/505 close")

    def hosts(self):
        self.add("no Host", request("GET", "/healthz", host=None), REFUSED)
        self.add("no Host, HTTP/1.0", request("GET", "/healthz", host=None, version="HTTP/1.0"), "200 close|400 close")
        for first, second in (("x", "x"), ("x", "y"), ("x", "")):
            self.add(f"Host {first!r} and {second!r}", request("GET", "/healthz", f"Host: {second}", host=f"Host: {first}"), REFUSED)
        for value in ("", "a b", "a/b", "a@b", "a,b", "a:port", "a:1:2", "[::1", "a?b", "a#b", "a\\b", "\xe9", "a\x00b"):
            self.add(f"Host {value!r}", request("GET", "/healthz", host=f"Host: {value}"), REFUSED)
        for value in ("x", "x:80", "127.0.0.1:8000", "[::1]:8000", "clinic.example"):
            self.add(f"Host {value!r}, as it should be", request("GET", "/healthz", host=f"Host: {value}"), "200 keep")

    def methods(self):
        for method in ("TRACE", "PROPFIND", "FOO", "PUT", "PATCH", "get", "Get"):
            self.add(method, request(method, "/healthz"), "405/501" if method.isupper() else "400/405/501")
        self.add("CONNECT", request("CONNECT", "x:80"), "400/404/405/501")
        self.add("OPTIONS *", request("OPTIONS", "*"), "200/204/400/404/405/501")
        self.add("GET *", request("GET", "*"), "400/404")
        self.add("HEAD of what is not there", request("HEAD", "/nowhere"), "404h keep")
        self.add("HEAD of what is POSTed to", request("HEAD", "/ws/broadcast"), "405h keep")
        self.add("HEAD without a token", request("HEAD", f"/ws/messages/{ROOM}"), "401h keep")
        for target in ("/healthz", f"/ws/messages/{ROOM}"):
            self.add(f"Upgrade: h2c, GET {target}", request("GET", target, "Connection: Upgrade, HTTP2-Settings",
                     "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", self.alice), "200 keep")
        self.add("Upgrade: h2c, POST", self.post(ROOM, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                                 "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), "200 keep")
        self.add("Upgrade: websocket, of no room", request("GET", "/healthz", *WEBSOCKET), "200 keep")

    def targets(self):
        self.add("absolute-form", request("GET", "http://x/healthz"), "200 keep|400")
        for target in ("http://", "http://y/healthz", "ftp://x/healthz"):
            self.add(f"the target {target}", request("GET", target), "200 keep|400|404|421")
        for target in ("/%", "/%2", "/%zz", "/healthz%00", "/ws/messages/%2f", f"/ws/messages/..%2fstatus",
                       f"/ws/messages/..%2Fstatus", "/ws/../healthz", "/./healthz", "/ws/messages/..", "/ws/messages/.",
                       "/ws/messages/%2e%2e/status", "/\xff", "/a#b"):
            self.add(f"the target {target!r}", request("GET", target, self.alice), "400")
        for target in ("//healthz", "/healthz/", "/healthz;a", "/HEALTHZ", f"/ws/messages/{ROOM}/"):
            self.add(f"the target {target}", request("GET", target, self.alice), "400|404 keep")
        self.add("bad escapes in a query", request("GET", "/healthz?a=%zz"), "200 keep|400")

    def upgrades(self):
        def upgrade(*lines, method="GET", version="HTTP/1.1", target=None):
            return request(method, target or f"/ws/{QUIET}?token={self.alice_token}", *lines, version=version)

        key = WEBSOCKET[3]
        for value in ("8", "14", "0", "13, 8", "+13", "013", "x", ""):
            self.add(f"WebSocket version {value!r}", upgrade(*UPGRADE, f"Sec-WebSocket-Version: {value}", key), "426|400")
        self.add("WebSocket without a version", upgrade(*UPGRADE, key), "426|400")
        self.add("WebSocket of two versions", upgrade(*WEBSOCKET, "Sec-WebSocket-Version: 8"), "426|400")
        for name, value in (("short", "MDEyMzQ1Njc4OWFiY2Rl"), ("long", "MDEyMzQ1Njc4OWFiY2RlZmdo"), ("none", ""),
                            ("not base64", "!!!!!!!!!!!!!!!!!!!!!!=="), ("of 15 bytes", base64.b64encode(bytes(15)).decode()),
                            ("of 1,000 characters", "A" * 1000)):
            self.add(f"a WebSocket key: {name}", upgrade(*WEBSOCKET[:3], f"Sec-WebSocket-Key: {value}"), "400")
        self.add("a WebSocket without a key", upgrade(*WEBSOCKET[:3]), "400")
        self.add("a WebSocket of two keys", upgrade(*WEBSOCKET, key), "400")
        self.add("a WebSocket with a body", upgrade(*WEBSOCKET, f"Content-Length: {len(self.evil)}") + self.evil, REFUSED)
        self.add("a WebSocket with chunks", upgrade(*WEBSOCKET, "Transfer-Encoding: chunked") + b"0\r\n\r\n" + self.evil, REFUSED)
        self.add("a WebSocket without Connection", upgrade(WEBSOCKET[0], *WEBSOCKET[2:]), "400|426")
        self.add("a WebSocket without Upgrade", upgrade(*WEBSOCKET[1:]), "400|426")
        self.add("a WebSocket by POST", upgrade(*WEBSOCKET, method="POST"), "400|404|405")
        self.add("a WebSocket of HTTP/1.0", upgrade(*WEBSOCKET, version="HTTP/1.0"), "400|426")
        self.add("a WebSocket without Host", request("GET", f"/ws/{ROOM}", *WEBSOCKET, host=None), REFUSED)
        self.add("a WebSocket with a line that is folded", upgrade(*WEBSOCKET, "X-A: 1", " 2"), REFUSED)
        self.add("an unknown subprotocol", upgrade(*WEBSOCKET, "Sec-WebSocket-Protocol: chat"), "400")
        self.add("a plain GET of a room", upgrade(), "426")
        self.add("a WebSocket", upgrade(*WEBSOCKET), "101", frames=("connect",))
        self.add("a WebSocket behind a request", request("GET", "/healthz") + upgrade(*WEBSOCKET), "200 101", frames=("connect",))
        for count in (1, 4, 20):
            frames = count * frame(b'{"type":"ping"}')
            self.add(f"{count} frames in the upgrade's own segment", upgrade(*WEBSOCKET) + frames, "101",
                     frames=("connect", *count * ("pong",)))
        whole = upgrade(*WEBSOCKET) + 4 * frame(b'{"type":"ping"}')
        self.add("an upgrade and frames by bytes", tuple(bytes([byte]) for byte in whole), "101",
                 frames=("connect", *4 * ("pong",)))

    def limits(self):
        large = request("POST", "/ws/broadcast", self.bearer, "Content-Type: application/json", "Content-Length: 300000",
                        body=self.evil + b" " * (300000 - len(self.evil)))
        self.add("a body of 300,000 bytes", large, "413 keep|413 close")
        for size, count in ((17000, 1), (170, 100), (1000, 17)):
            lines = [f"X-{at}: {'a' * size}" for at in range(count)]
            self.add(f"{count} lines of {size} bytes", request("GET", "/healthz", *lines), "431")
        self.add("a head of 50,000 bytes", request("GET", "/healthz", f"X-A: {'a' * 50000}"), "431 close")
        self.add("a head of 1,000,000 bytes", request("GET", "/healthz", f"X-A: {'a' * 1000000}"), "431 close")
        self.add("a line of 10,000 bytes, as it should be", request("GET", "/healthz", f"X-A: {'a' * 10000}"), "200 keep")
        self.add("80 lines, as it should be", request("GET", "/healthz", *(f"X-{at}: a" for at in range(80))), "200 keep")
        for size, expect in ((8192, "200 keep"), (8193, "414")):
            self.add(f"a target of {size} bytes", request("GET", "/healthz?" + "a" * (size - 9)), expect)
        self.add("a target of 100,000 bytes", request("GET", "/healthz?" + "a" * 100000), "414/431 close")


def frame(text):
    """A text frame of a client."""
    mask = b"\x01\x02\x03\x04"
    assert len(text) < 126
    return struct.pack("BB", 0x81, 0x80 | len(text)) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
