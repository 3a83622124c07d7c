"""The edge's door: who waits there, what is let in as a WebSocket, who may come from where, how it closes."""
import asyncio
import json
import os
import signal
import socket
import ssl
import struct
import time

import pytest
import websockets

from conftest import EFFECTIVENESS, PATIENCE, SANITIZED, Edge, closed, free_port, receive, shared_world, until
from held import openssl

EFFECT = "/ws/broadcast-effectiveness-update"
UPDATE = json.dumps({"diagnosis_id": 123, **EFFECTIVENESS}).encode()
MASK = bytes(4)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with shared_world(tmp_path_factory) as world:
        world.hub()
        world.the_edge = world.edge("--origin", "https://clinic.example")
        world.alice = world.user("alice", "123")
        yield world


class Link:
    """A connection of raw bytes, read answer by answer."""

    def __init__(self, port, sent=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.rest = b""
        self.send(sent)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, sent):
        self.socket.sendall(sent)

    def more(self):
        piece = self.socket.recv(65536)
        self.rest += piece
        return piece

    def head(self):
        """(status, {header: value}) of the next answer."""
        while b"\r\n\r\n" not in self.rest:
            assert self.more(), self.rest
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return int(first.split()[1]), {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}

    def answer(self):
        """(status, headers, body)."""
        status, headers = self.head()
        size = int(headers.get("content-length", 0))
        while len(self.rest) < size:
            assert self.more(), self.rest
        body, self.rest = self.rest[:size], self.rest[size:]
        return status, headers, body

    def frame(self):
        """(opcode, payload) of the next frame."""
        def need(n):
            while len(self.rest) < n:
                assert self.more(), self.rest
        need(2)
        size, at = self.rest[1], 2
        if size == 126:
            need(4)
            size, at = struct.unpack("!H", self.rest[2:4])[0], 4
        need(at + size)
        opcode, payload, self.rest = self.rest[0] & 15, self.rest[at:at + size], self.rest[at + size:]
        return opcode, payload

    def message(self):
        """The next text message; PINGs are passed over."""
        while True:
            opcode, payload = self.frame()
            if opcode == 1:
                return json.loads(payload)
            assert opcode == 9, (opcode, payload)

    def ended(self):
        """Whether the other side ends it, with nothing more said."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def upgrade(path, *headers, version="13", key="MDEyMzQ1Njc4OWFiY2RlZg=="):
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: keep-alive, Upgrade",
             *([f"Sec-WebSocket-Version: {version}"] if version else []), *([f"Sec-WebSocket-Key: {key}"] if key else []),
             *headers, "", ""]
    return "\r\n".join(lines).encode()


def text(payload):
    data = payload.encode()
    assert len(data) < 126
    return bytes([0x81, 0x80 | len(data)]) + MASK + data


def code(body):
    return json.loads(body)["error"]["code"]


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


# ---- upgrades

def test_frames_that_come_with_the_upgrade(site):
    frames = b"".join(text(json.dumps({"type": "ping"})) for _ in range(8))
    with Link(site.the_edge.port, upgrade(f"/ws/123?token={site.alice}&after=new") + frames) as link:
        assert link.head()[0] == 101
        assert [link.message()["type"] for _ in range(9)] == ["connect"] + ["pong"] * 8


def test_connect_is_the_first_that_is_heard(site):
    """Whatever a client says before it, and however it ends."""
    other = json.dumps({"type": "unsubscribe", "diagnosis_id": 123})
    for said, heard in (([json.dumps({"type": "ping"}), "nonsense"], ["connect", "pong", "error"]),
                        ([other, json.dumps({"type": "ping"})], ["connect", "unsubscribed", "pong"])):
        with Link(site.the_edge.port, upgrade(f"/ws/123?token={site.alice}&after=new") + b"".join(map(text, said))) as link:
            assert link.head()[0] == 101
            assert [link.message()["type"] for _ in heard] == heard
    with Link(site.the_edge.port, upgrade(f"/ws/999?token={site.alice}") + text(json.dumps({"type": "ping"}))) as link:
        assert link.head()[0] == 101
        assert link.frame() == (8, struct.pack("!H", 1008) + b"access denied")
        answered = time.monotonic()
        link.send(bytes([0x88, 0x82]) + MASK + struct.pack("!H", 1008))
        assert link.ended() and time.monotonic() - answered < 2  # it is read, so nobody waits for it


def test_an_upgrade_that_comes_byte_by_byte(site):
    with Link(site.the_edge.port) as link:
        link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in upgrade(f"/ws/123?token={site.alice}", "X-Auth:", "If: x"):
            link.send(bytes([byte]))
        assert link.head()[0] == 101
        assert link.message()["type"] == "connect"


def test_an_upgrade_behind_requests_on_the_same_connection(site):
    with Link(site.the_edge.port, GET) as link:
        assert link.answer()[0] == 200
        link.send(GET + upgrade(f"/ws/123?token={site.alice}&after=new"))
        assert link.answer()[0] == 200
        assert link.head()[0] == 101
        assert link.message()["type"] == "connect"
        link.send(text(json.dumps({"type": "ping"})))
        assert link.message()["type"] == "pong"


def test_nothing_may_follow_an_upgrade_behind_a_request(site):
    """Wherever what is read at once ends: at 12288 bytes it is right between the two."""
    for size in (1000, 12287, 12288, 12289):
        def sent(filler):
            return GET + upgrade(f"/ws/123?token={site.alice}", f"X: {filler}")
        with Link(site.the_edge.port, sent("x" * (size - len(sent("")))) + text(json.dumps({"type": "ping"}))) as link:
            assert link.answer()[0] == 200
            status, _, body = link.answer()
            assert (size, status, code(body)) == (size, 400, "bad_upgrade")


def test_a_silent_websocket_behind_a_request_stays(site):
    """Nothing of the HTTP connection that it was is left to end it, nor keeps it."""
    before = len(os.listdir(f"/proc/{site.the_edge.pid}/fd"))
    with Link(site.the_edge.port, GET + upgrade(f"/ws/123?token={site.alice}&after=new")) as link:
        assert link.answer()[0] == 200
        assert link.head()[0] == 101
        assert link.message()["type"] == "connect"
        link.socket.settimeout(12)
        with pytest.raises(TimeoutError):
            link.more()
        link.socket.settimeout(PATIENCE)
        link.send(text(json.dumps({"type": "ping"})))
        assert link.message()["type"] == "pong"
    until(lambda: len(os.listdir(f"/proc/{site.the_edge.pid}/fd")) <= before, "its descriptors to be closed")


def test_nothing_is_opened_behind_an_answer_that_ends(site):
    """However the refused request lies in what is read at once."""
    for size in (1000, 12288, 16384):
        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        body = size - len(head % size)
        with Link(site.the_edge.port, head % body + b"x" * body + upgrade(f"/ws/123?token={site.alice}")) as link:
            status, headers, _ = link.answer()
            assert (status, headers["connection"]) == (400, "close")
            assert link.ended()


@pytest.mark.parametrize("path, status", [
    ("/healthz?" + "&".join("a" * 32), 200), ("/healthz?" + "&".join("a" * 33), 400), ("/healthz?" + "&" * 1000, 400),
    ("/healthz?" + "a" * 8100, 200), ("/ws/123?" + "&".join("a" * 33), 400)],
    ids=["32 arguments", "33 arguments", "1001 arguments", "a long one", "33 arguments of a WebSocket"])
def test_as_large_as_may_be(site, path, status):
    """All limits reached at once are answered."""
    filler = {"/ws": ["Upgrade: websocket"]}.get(path[:3], [f"Authorization: Basic {'z' * 7000}", f"Content-Type: {'y' * 9000}"])
    for lines in ([], filler):
        with Link(site.the_edge.port, "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()) as link:
            got, _, body = link.answer()
            assert got == status or (got, code(body)) == (401, "token_invalid") or got == 401
    with Link(site.the_edge.port, upgrade(f"/ws/123?{'&'.join('a' * 31)}&token={site.alice}", f"X: {'x' * 15000}")) as link:
        assert link.head()[0] == 101
        assert link.message()["type"] == "connect"


@pytest.mark.parametrize("version", ["8", "14", "", "x", "13, 13"])
def test_other_versions(site, version):
    with Link(site.the_edge.port, upgrade("/ws/123", version=version)) as link:
        status, headers, body = link.answer()
        assert (status, code(body)) == (426, "upgrade_required")
        assert (headers["sec-websocket-version"], headers["upgrade"]) == ("13", "websocket")


def test_a_plain_get_says_what_a_proxy_must_do(site):
    status, headers, body = site.the_edge.request("/ws/123", token=site.alice)
    assert (status, body["error"]["code"]) == (426, "upgrade_required")
    assert "a proxy in front must pass Upgrade and Connection on" in body["detail"]
    assert headers["Upgrade"] == "websocket"


@pytest.mark.parametrize("lines, options", [
    ([], {"key": ""}), ([], {"key": "x"}), ([], {"key": "MDEyMzQ1Njc4OWFiY2RlZg="}), ([], {"key": "MDEyMzQ1Njc4OWFiY2Rl*A=="}),
    (["Sec-WebSocket-Protocol: chat"], {}), (["Sec-WebSocket-Protocol: diagws, a, b"], {}), (["Sec-WebSocket-Protocol:"], {}),
    (["Content-Length: 3"], {}), (["Transfer-Encoding: chunked"], {})])
def test_bad_upgrades(site, lines, options):
    with Link(site.the_edge.port, upgrade(f"/ws/123?token={site.alice}", *lines, **options)) as link:
        status, headers, body = link.answer()
        assert (status, code(body), headers["content-type"]) == (400, "bad_upgrade", "application/json")


@pytest.mark.parametrize("path", ["/ws/%31%32%33", "/ws/a.b", "/ws/" + "9" * 65, "/ws/"])
def test_a_malformed_diagnosis_is_unknown(site, path):
    with Link(site.the_edge.port, upgrade(f"{path}?token={site.alice}")) as link:
        assert link.head()[0] == 101
        assert link.frame() == (8, struct.pack("!H", 1008) + b"access denied")


@pytest.mark.parametrize("path", ["/ws/messages/..%2fstatus", "/ws/./123", "/ws/..%5c", "/ws/%2e%2e/healthz"])
def test_paths_are_taken_as_they_are_sent(site, path):
    for sent in (f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), upgrade(path)):
        with Link(site.the_edge.port, sent) as link:
            status, _, body = link.answer()
            assert (status, code(body)) == (400, "bad_request")


def test_an_upgrade_to_something_else_is_ignored(site):
    """As Java's HttpClient sends it with every request."""
    sent = (f"POST {EFFECT} HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: {len(UPDATE)}\r\nHost: x\r\n"
            f"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\nAuthorization: Bearer {site.alice}\r\n"
            "\r\n").encode() + UPDATE
    with Link(site.the_edge.port, sent * 2) as link:
        assert [link.answer()[0] for _ in range(2)] == [200, 200]


# ---- tokens

def test_a_token_in_the_subprotocols(site):
    async def watch():
        url = f"ws://127.0.0.1:{site.the_edge.port}/ws/123"
        async with websockets.connect(url, subprotocols=["diagws", site.alice]) as client:
            assert client.subprotocol == "diagws"
            assert (await receive(client))["type"] == "connect"
        async with websockets.connect(f"{url}?token={site.alice}", subprotocols=["diagws"]) as client:
            assert (await receive(client))["type"] == "connect"
        async with websockets.connect(url, subprotocols=["diagws", "x.y.z"]) as client:
            assert await closed(client) == (1008, "token invalid")
        async with websockets.connect(url, subprotocols=["diagws", "x" * 6000]) as client:
            assert await closed(client) == (1008, "token invalid")
        # An Authorization of another kind is somebody else's, however long it is.
        long = {"Authorization": "Negotiate " + "y" * 6000}
        async with websockets.connect(f"{url}?token={site.alice}", extra_headers=long) as client:
            assert (await receive(client))["type"] == "connect"
        assert (await asyncio.to_thread(site.the_edge.request, f"/ws/messages/123?token={site.alice}", headers=long))[0] == 200
        basic = {"Authorization": "Basic YTpi"}
        async with websockets.connect(url, subprotocols=["diagws", site.alice], extra_headers=basic) as client:
            assert (await receive(client))["type"] == "connect"
    asyncio.run(watch())


def test_arguments_are_read_alike(site):
    """By WebSockets and by HTTP: names as they are, the first that has a value."""
    for query, good in ((f"token={site.alice}", True), (f"token&token={site.alice}", True), (f"Token={site.alice}", False),
                        (f"token%3D{site.alice}", False), (f"x=1&token={site.alice}&token=y", True),
                        (f"token=y&token={site.alice}", False)):
        assert (site.the_edge.request(f"/ws/messages/123?{query}")[0] == 200) == good, query
        with Link(site.the_edge.port, upgrade(f"/ws/123?{query}")) as link:
            assert link.head()[0] == 101
            assert (link.frame()[0] == 1) == good, query


def test_refused_websockets_make_room(site):
    edge = site.edge("--max-connections", "20")
    refused = [Link(edge.port, upgrade("/ws/123")) for _ in range(30)]
    begun = time.monotonic()
    for _ in range(10):
        assert edge.request("/healthz")[0] == 200
    assert time.monotonic() - begun < 3
    for link in refused:
        link.socket.close()


def test_a_refusal_that_waits_is_told_at_the_end(site):
    """And one that ends its connection waits for no body."""
    edge = site.edge("--drain-timeout", "60s")
    with Link(edge.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{") as link:
        assert link.answer()[0] == 400
    with Link(edge.port, b"POST /ws/nope HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{") as link, Link(edge.port, GET) as other:
        assert other.answer()[0] == 200
        edge.signal(signal.SIGTERM)
        status, headers, body = link.answer()
        assert (status, code(body), headers["connection"]) == (404, "not_found", "close") and headers["date"]
        link.socket.close()
        assert edge.popen.wait(PATIENCE) == 0


# ---- pages of other origins

def test_a_page_of_an_allowed_origin(site):
    origin = {"Origin": "https://clinic.example"}
    status, headers, _ = site.the_edge.request(EFFECT, UPDATE, site.alice, headers=origin)
    assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (200, "https://clinic.example", "Origin")
    status, headers, _ = site.the_edge.request(EFFECT, UPDATE, "wrong", headers=origin)
    assert (status, headers["Access-Control-Allow-Origin"]) == (401, "https://clinic.example")
    with Link(site.the_edge.port, f"OPTIONS {EFFECT} HTTP/1.1\r\nHost: x\r\nOrigin: https://clinic.example\r\n"
              "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n".encode()) as link:
        status, headers = link.head()
        assert status == 204
        assert headers["access-control-allow-origin"] == "https://clinic.example"
        assert "POST" in headers["access-control-allow-methods"]
        assert "Authorization" in headers["access-control-allow-headers"]


@pytest.mark.parametrize("origin", ["https://other.example", "http://clinic.example", "null", "nonsense"])
def test_a_page_of_another_origin_may_read_why(site, origin):
    for method, path, body in (("GET", "/ws/messages/123", None), ("POST", EFFECT, UPDATE), ("OPTIONS", EFFECT, None)):
        status, headers, answer = site.the_edge.request(path, body, site.alice, method, {"Origin": origin})
        assert (status, answer["error"]["code"]) == (403, "origin")
        assert headers["Access-Control-Allow-Origin"] == "*"
    with Link(site.the_edge.port, upgrade(f"/ws/123?token={site.alice}", f"Origin: {origin}")) as link:
        status, _, body = link.answer()
        assert (status, code(body)) == (403, "origin")


# ---- connections that wait, and their number

def test_silent_connections_keep_nobody_out(site):
    import resource
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert before[1] >= 6000, "this test opens 4500 connections"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 6000), before[1]))
    silent = [socket.create_connection(("127.0.0.1", site.the_edge.port), timeout=PATIENCE) for _ in range(4500)]
    try:
        for _ in range(20):
            assert site.the_edge.request("/healthz")[0] == 200
    finally:
        for link in silent:
            link.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_idle_connections_make_room(site):
    edge = site.edge("--max-connections", "12")
    idle = []
    for _ in range(12):
        idle.append(Link(edge.port, GET))
        assert idle[-1].answer()[0] == 200
    more = [Link(edge.port, GET) for _ in range(5)]
    assert [link.answer()[0] for link in more] == [200] * 5
    assert all(link.ended() for link in idle[:5])  # those that were idle for longest
    idle[-1].send(GET)
    assert idle[-1].answer()[0] == 200
    for link in idle + more:
        link.socket.close()


def test_fewer_descriptors_than_connections(site):
    """Where the process may have no more, there are fewer connections, and idle ones make room as ever."""
    import resource
    edge = Edge(site, free_port(), [], env=None, limits=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120)))
    site.processes.append(edge)
    until(edge.ready, "the edge")
    assert "fewer descriptors are allowed" in edge.said()
    idle = [Link(edge.port, GET) for _ in range(130)]
    begun = time.monotonic()
    assert edge.request("/healthz")[0] == 200
    assert time.monotonic() - begun < 5
    for link in idle:
        link.socket.close()


def long_poll(site, edge, behind=b""):
    """One that waits: nothing comes."""
    last = edge.request("/ws/messages/123?limit=1000&after=0", token=site.alice)[2]["head"]
    return Link(edge.port, f"GET /ws/messages/123?wait=20s&after={last} HTTP/1.1\r\nHost: x\r\n"
                           f"Authorization: Bearer {site.alice}\r\n\r\n".encode() + behind)


def test_nothing_may_follow_an_upgrade_that_waits(site):
    """Something comes behind it while the request before is under way: alone, and with it."""
    edge, head, frame = site.edge(), upgrade(f"/ws/123?token={site.alice}"), text(json.dumps({"type": "ping"}))
    for with_it, later in ((head, frame), (b"", head + frame)):
        with long_poll(site, edge, with_it) as link:
            assert edge.request("/healthz")[0] == 200  # so what came before is read
            link.send(later)
            site.send("x_update", "123", {})
            assert link.answer()[0] == 200
            status, _, body = link.answer()
            assert (status, code(body)) == (400, "bad_upgrade")


def test_websockets_and_requests_under_way_are_counted(site):
    edge = site.edge("--max-connections", "4")

    async def run():
        poll = await asyncio.to_thread(long_poll, site, edge)  # it has been read when the others are in
        clients = [await edge.connect("123", site.alice) for _ in range(3)]
        await asyncio.to_thread(until, lambda: Link(edge.port, GET).ended(), "the edge to be full")
        for client in clients:
            await client.close()
        assert await asyncio.to_thread(until, lambda: edge.ready(), "room")
        poll.socket.close()
    asyncio.run(run())


def resident(process):
    """Bytes of its own memory."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def test_answers_that_one_user_does_not_read_are_bounded(site):
    edge = site.edge()
    site.grant("big", "alice", "bob")
    for number in range(4):
        site.send("x_update", "big", {"x": "y" * 60000})
    before, links = resident(edge), []
    ask = (f"GET /ws/messages/big HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.alice}\r\n\r\n" * 4).encode()
    for _ in range(150):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.settimeout(PATIENCE)
        link.connect(("127.0.0.1", edge.port))
        link.sendall(ask)
        links.append(link)
    # A large answer that nobody takes stays in the edge: 8 MiB of them, here 34, then no more.
    heads = [link.recv(15) for link in links]
    assert 20 <= heads.count(b"HTTP/1.1 200 OK") <= 60
    assert heads.count(b"HTTP/1.1 429 To") >= 90
    assert resident(edge) - before < (64 << 20 if not SANITIZED else 1 << 40)
    assert edge.request("/ws/messages/big", token=site.token("bob"))[0] == 200
    for link in links:
        link.close()
    until(lambda: edge.request("/ws/messages/big", token=site.alice)[0] == 200, "what was not read to be forgotten")


@pytest.mark.parametrize("sent", [b"P", b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{" % EFFECT.encode()], ids=["a head", "a body"])
def test_what_a_stranger_has_begun_makes_room(site, sent):
    """Half a head, and half a body that is refused already."""
    edge = site.edge("--max-connections", "30")
    begun = [Link(edge.port, sent) for _ in range(40)]
    started = time.monotonic()
    for _ in range(10):
        assert edge.request("/healthz")[0] == 200
    assert time.monotonic() - started < 5
    for link in begun:
        link.socket.close()


def test_bodies_of_one_user_are_bounded(site):
    edge = site.edge()
    before = resident(edge)
    head = (f"POST {EFFECT} HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\nAuthorization: Bearer {site.alice}\r\n"
            "\r\n").encode()
    links = [Link(edge.port, head + b" " * 262000) for _ in range(100)]
    other = site.token("service", "--scope", "publish")
    assert edge.request(EFFECT, UPDATE, other)[0] == 200
    assert resident(edge) - before < (32 << 20 if not SANITIZED else 1 << 40)
    statuses = []
    for link in links:
        link.send(b" " * 144)
        statuses.append(link.answer()[0])
    assert set(statuses) <= {400, 429} and statuses.count(429) > 50
    for link in links:
        link.socket.close()
    assert edge.request(EFFECT, UPDATE, site.alice)[0] == 200
    # However many were refused, what was counted for them is over with them.
    large = json.dumps({**json.loads(UPDATE), "comment": "x" * 30000}).encode()
    assert edge.request(EFFECT, large, other)[0] == 200
    assert edge.request(EFFECT, large, site.alice)[0] == 200


def test_what_a_small_answer_says_is_said(site):
    """Also where bodies of the same user are at their limit."""
    edge = site.edge()
    head = (f"POST {EFFECT} HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\nAuthorization: Bearer {site.alice}\r\n"
            "\r\n").encode()
    links = [Link(edge.port, head + b" " * 262100) for _ in range(31)]
    until(lambda: resident(edge) > 7 << 20, "them to be there")
    bodies = json.dumps({**json.loads(UPDATE), "comment": "x" * 40000, "id": "at-the-limit"}).encode()
    for _ in range(8):
        status, _, answer = edge.request(EFFECT, bodies, site.alice)
        assert status in (200, 429)
        assert status == 429 or answer["id"] == "at-the-limit"
    assert edge.request(EFFECT, UPDATE, site.alice)[0] == 200
    for link in links:
        link.socket.close()


def test_who_reads_no_answers_makes_no_one_wait_for_long(site):
    edge = site.edge("--max-connections", "24")
    junk = [Link(edge.port, b"x y\r\n\r\n" + b"j" * 100) for _ in range(40)]
    begun = time.monotonic()
    for _ in range(3):
        assert edge.request("/healthz")[0] == 200
    assert time.monotonic() - begun < 3
    for link in junk:
        link.socket.close()


def test_a_refused_body_under_way_is_answered_before_the_end(site):
    edge = site.edge()
    with Link(edge.port, f"POST {EFFECT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nAuthorization: Bearer x\r\n\r\n"
              .encode() + b" " * 100) as link, Link(edge.port, GET) as other:
        assert other.answer()[0] == 200
        edge.signal(signal.SIGTERM)
        until(lambda: "shutting down" in edge.said(), "the signal")
        link.send(b" " * 900)
        assert link.answer()[0] == 401
    assert edge.popen.wait(PATIENCE) == 0


GET_MESSAGES = "GET /ws/messages/123 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n\r\n"
POST_UPDATE = ("POST " + EFFECT + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\nContent-Length: " + str(len(UPDATE)) +
               "\r\n\r\n" + UPDATE.decode())


@pytest.mark.parametrize("asked", [GET_MESSAGES, POST_UPDATE, POST_UPDATE * 2, GET_MESSAGES + POST_UPDATE],
                         ids=["a GET", "a POST", "two POSTs", "a GET and a POST"])
def test_who_says_that_this_is_all_is_answered_all(site, asked):
    """FIN behind the last request, also while the hub is asked; then the connection ends."""
    hub = site.processes[0]
    asked = asked.replace("TOKEN", site.alice).encode()
    hub.signal(signal.SIGSTOP)
    links = [Link(site.the_edge.port, asked) for _ in range(8)]
    for link in links:
        link.socket.shutdown(socket.SHUT_WR)
    hub.signal(signal.SIGCONT)
    for link in links:
        for _ in range(asked.count(b"HTTP/1.1\r\n")):
            assert link.answer()[0] == 200
        assert link.ended()


@pytest.mark.parametrize("sent", [
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n", GET + b"GET / HT", b"POST /ws/broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    b"POST /ws/broadcast HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", GET, b""],
    ids=["a head", "the next head", "a body", "chunks", "a request", "nothing"])
def test_who_leaves_in_the_midst_is_forgotten_at_once(site, sent):
    """However the end comes: with the last bytes, or behind them."""
    edge = site.edge()
    before = len(os.listdir(f"/proc/{edge.pid}/fd"))
    for number in range(100):
        with Link(edge.port, sent[:number % 7]) as link:
            link.send(sent[number % 7:])
            if number % 2:
                link.socket.shutdown(socket.SHUT_WR)
    begun = time.monotonic()
    until(lambda: len(os.listdir(f"/proc/{edge.pid}/fd")) <= before, "its descriptors to be closed")
    assert time.monotonic() - begun < 6 and edge.terminate() == 0


def test_an_answer_that_was_begun_and_refused_is_not_waited_for(site):
    """A 403 that is taken in part, and then no more."""
    edge = site.edge("--drain-timeout", "60s")
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.settimeout(PATIENCE)
    slow.connect(("127.0.0.1", edge.port))
    ask = f"GET /ws/messages/999 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.alice}\r\n\r\n".encode()
    slow.sendall(ask * 30)
    got = b""
    while got.count(b"HTTP/1.1 403") < 30:
        piece = slow.recv(65536)
        assert piece, got
        got += piece
    slow.close()
    assert edge.terminate() == 0


def test_what_comes_too_slowly(site):
    """Nothing, half a head and half a body: ended after 10, 10 and 30 s, the body with an answer."""
    body = (f"POST {EFFECT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nAuthorization: Bearer {site.alice}\r\n\r\n"
            "{").encode()
    begun = time.monotonic()
    waits = [Link(site.the_edge.port), Link(site.the_edge.port, b"GET /ws/123 HTTP/1.1\r\nHost"),
             Link(site.the_edge.port, b"GET /healthz HTTP/1.1\r\nHost"), Link(site.the_edge.port, GET + b"GET /he"),
             Link(site.the_edge.port, body), Link(site.the_edge.port, body.replace(b"{", b"").replace(
                 b"Content-Length: 100", b"Transfer-Encoding: chunked") + b"5\r\n{")]
    assert waits[3].answer()[0] == 200
    for link in waits[:4]:
        link.socket.settimeout(30)
        assert link.ended()
        assert time.monotonic() - begun > 9
    for link in waits[4:]:
        link.socket.settimeout(60)
        status, headers, answer = link.answer()
        assert (status, code(answer), headers["connection"]) == (408, "timeout", "close")
        assert time.monotonic() - begun > 29
        assert link.ended()


# ---- the end

def test_half_an_answer_is_finished_before_the_end(site):
    edge = site.edge()
    for number in range(4):
        site.send("x_update", "123", {"number": number, "x": "y" * 60000})
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.settimeout(PATIENCE)
    slow.connect(("127.0.0.1", edge.port))
    slow.sendall(f"GET /ws/messages/123 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.alice}\r\n\r\n".encode())
    got = slow.recv(1000)
    edge.signal(signal.SIGTERM)
    until(lambda: "shutting down" in edge.said(), "the signal")
    while True:
        piece = slow.recv(65536)
        if not piece:
            break
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    assert len(json.loads(body)["messages"]) >= 4
    assert edge.popen.wait(PATIENCE) == 0


@pytest.mark.parametrize("timeout", ["0s", "1s"])
def test_the_end_with_a_long_poll_and_a_body_under_way(site, timeout):
    edge = site.edge("--drain-timeout", timeout)
    poll = long_poll(site, edge)
    body = Link(edge.port, b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nAuthorization: Bearer %s\r\n\r\n{" % (
        EFFECT.encode(), site.alice.encode()))
    silent, idle = Link(edge.port), Link(edge.port, GET)
    assert idle.answer()[0] == 200
    edge.signal(signal.SIGTERM)
    assert edge.popen.wait(PATIENCE) == 0
    assert silent.ended() and idle.ended()
    if timeout != "0s":
        assert poll.answer()[0] == 503
    for link in (poll, body, silent, idle):
        link.socket.close()


# ---- TLS and PROXY

def certificate(site, name):
    key, chain = site.path / f"{name}.key", site.path / f"{name}.pem"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}", "-keyout", key, "-out", chain)
    return key, chain


def common_name(port):
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as link, trust.wrap_socket(link) as secured:
        return secured.getpeercert(binary_form=True)


def tls_status(port, sent):
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as link, trust.wrap_socket(link) as secured:
        secured.sendall(sent)
        return int(secured.recv(4096).split()[1])


def test_the_certificate_is_read_again(site):
    key, chain = certificate(site, "first")
    port = free_port()
    edge = site.edge("--listen", f"wss://127.0.0.1:{port}", "--tls-cert", chain, "--tls-key", key)
    first = common_name(port)
    assert first == common_name(port)
    other_key, other_chain = certificate(site, "second")
    other_key.replace(key)
    other_chain.replace(chain)
    edge.signal(signal.SIGHUP)
    until(lambda: common_name(port) != first, "the new certificate")
    for subprotocols, wanted in ((["diagws"], 101), (["chat"], 400), (["diagws", site.alice], 400)):
        assert tls_status(port, upgrade("/ws/123", f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}")) == wanted
    second, good = common_name(port), {key: key.read_bytes(), chain: chain.read_bytes()}
    half = {path: path.read_bytes() for path in certificate(site, "third")}  # as between the renames of a renewal
    refused = 0
    for path in (key, chain):
        for bad in (b"nonsense", None, next(text for new, text in half.items() if new.suffix == path.suffix)):
            path.unlink() if bad is None else path.write_bytes(bad)
            edge.signal(signal.SIGHUP)
            refused += 1
            until(lambda: edge.said().count("TLS certificate not read again; the old one stays") == refused, "the log")
            assert common_name(port) == second, (path.name, bad)
        path.write_bytes(good[path])
    assert "reason=" in edge.said() and "BEGIN" not in edge.said()
    for path, text in zip((key, chain), half.values()):
        path.write_bytes(text)
    edge.signal(signal.SIGHUP)
    until(lambda: common_name(port) not in (first, second), "the third certificate")


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def proxy_header(client):
    host, port = client
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", 12) + socket.inet_aton(host) + socket.inet_aton("127.0.0.1") + \
        struct.pack("!HH", port, 443)


def test_each_connection_begins_with_a_proxy_header(site):
    edge = site.edge("--proxy-protocol", "--verbose", wait=False)
    until(lambda: "hub welcomed us" in edge.said(), "the edge")
    header = proxy_header(("192.0.2.7", 4711))
    with Link(edge.port, header + GET) as link:
        assert link.answer()[0] == 200
        link.send(GET)  # once for each connection
        assert link.answer()[0] == 200
    with Link(edge.port, header + upgrade(f"/ws/123?token={site.alice}")) as link:
        assert link.head()[0] == 101
        assert link.message()["type"] == "connect"
    with Link(edge.port) as link:
        for byte in header + upgrade(f"/ws/123?token={site.alice}"):
            link.send(bytes([byte]))
        assert link.head()[0] == 101
    for sent in (GET, b"\r\n\r\n\0\r\nQUIX\n" + header[12:] + GET, b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n" + GET,
                 upgrade("/ws/123"), header[:4] + GET):
        with Link(edge.port, sent) as link:
            assert link.ended(), sent
    # Without the option a header is nothing that HTTP knows.
    with Link(site.the_edge.port, header + GET) as link:
        assert link.answer()[0] == 400
