"""examples/proxy: hitch, haproxy and nginx before two edges, each as its example has it, with real clients through TLS."""
import asyncio
import concurrent.futures
import json
import re
import signal
import struct

import pytest
import websockets

import fronts
from conftest import EFFECTIVENESS, PATIENCE, closed, free_port, receive, receive_updates, until

UPGRADE = (b"GET /ws/123?%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return fronts.certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=fronts.NAMES)
def shop(request, world, certificates):
    """A hub, two edges and a proxy: `front`. Alice may watch 123."""
    world.hub()
    world.alice = world.user("alice", "123")
    proxied = request.param != "nginx"
    one = free_port()
    shared = ["--listen", f"127.0.0.1:{one}"] if request.param == "hitch" else []
    world.edges = [world.edge("-v", *shared, *(["--proxy-protocol"] if proxied else []), wait=False) for _ in range(2)]
    for edge in world.edges:
        until(lambda: fronts.edge_is_ready(edge.port, proxied), f"an edge: {edge.said()}")
    ports = [one, one] if shared else [edge.port for edge in world.edges]
    with fronts.Front(request.param, world.path, certificates, ports) as front:
        world.front = front
        until(front.ready, f"{request.param}: {front.said()}")
        yield world


def connect(shop, room="123", source=None, **query):
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return websockets.connect(f"wss://127.0.0.1:{shop.front.port}/ws/{room}" + (f"?{text}" if text else ""),
                              ssl=shop.front.trust, open_timeout=PATIENCE, close_timeout=PATIENCE, max_queue=None,
                              ping_interval=None, local_addr=(source, 0) if source else None)


def call(link, method, path, body=None, token=None):
    """(status, JSON) on a connection that goes on."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    status, _, text = fronts.ask(link, head.encode() + b"\r\n" + data)
    return status, json.loads(text) if text else None


def test_the_example_is_what_its_program_takes(shop):
    """A warning is a fault of the example."""
    said = shop.front.said()
    assert not re.search(r"warn|deprecated|ignoring|unknown|emerg|alert", said, re.I), said


def test_a_websocket_and_its_receipts(shop):
    async def watch():
        async with connect(shop, token=shop.alice) as socket:
            assert (await receive(socket))["type"] == "connect"
            receipt = await asyncio.to_thread(shop.send, "x_update", "123", {"x": "y" * 60000}, "--wait=delivered:1")
            assert receipt["delivered"] == 1
            update, = await receive_updates(socket, 1)
            assert len(update["data"]["x"]) == 60000
            await socket.send('{"type":"ping"}')
            assert (await receive(socket))["type"] == "pong"
    asyncio.run(watch())


def test_closes_come_through(shop):
    async def watch():
        for query, reason in (({}, "token required"), ({"token": "x"}, "token invalid")):
            async with connect(shop, **query) as socket:
                assert await closed(socket) == (1008, reason)
        async with connect(shop, room="124", token=shop.alice) as socket:
            assert await closed(socket) == (1008, "access denied")
        async with connect(shop, token=shop.alice) as socket:
            await receive(socket)
            await socket.send(b"binary")
            assert (await closed(socket))[0] == 1003
        # Of both edges, whichever it is.
        async with connect(shop, token=shop.alice) as socket:
            await receive(socket)
            for edge in shop.edges:
                edge.signal(signal.SIGTERM)
            assert (await receive(socket))["type"] == "shutdown"
            assert (await closed(socket))[0] == 1012
    asyncio.run(watch())


def test_a_client_that_leaves_is_gone_at_once(shop):
    """Its Close, or the end of its TCP connection, gets to the edge."""
    async def watch():
        async def abort(socket):
            socket.transport.abort()

        for leave in (lambda socket: socket.close(4000, "bye"), abort):
            socket = await connect(shop, token=shop.alice)
            await receive(socket)
            await asyncio.to_thread(until, lambda: shop.stat()["connections"] == 1, "the client to be counted")
            await leave(socket)
            await asyncio.to_thread(until, lambda: shop.stat()["connections"] == 0, "the client to be gone")
    asyncio.run(watch())


def test_a_long_poll(shop):
    with concurrent.futures.ThreadPoolExecutor(1) as pool, shop.front.dial() as link:
        asked = pool.submit(call, link, "GET", "/ws/messages/123?wait=60s", None, shop.alice)
        until(lambda: shop.stat()["waiting"] == 1, "the request to wait")
        shop.send("x_update", "123", {"x": 1})
        status, answer = asked.result(PATIENCE)
        assert status == 200 and [message["data"] for message in answer["messages"]] == [{"x": 1}]
        # The same connection goes on.
        assert call(link, "GET", "/healthz") == (200, {"status": "ok"})


def test_requests_and_upgrades_by_turns(shop):
    """Of several clients, so that what is kept to the edges is used again: nobody gets what is another's."""
    sender = shop.token("service", "--scope", "publish")
    links = [shop.front.dial() for _ in range(4)]
    for turn in range(8):
        for at, link in enumerate(links):
            body = {"diagnosis_id": 123, "id": f"{turn}-{at}", **EFFECTIVENESS}
            status, answer = call(link, "POST", "/ws/broadcast-effectiveness-update", body, sender)
            assert (status, answer["id"]) == (200, f"{turn}-{at}")
            assert call(link, "HEAD", "/healthz") == (200, None)
            assert call(link, "GET", "/ws/messages/124", token=shop.alice)[0] == 403
            status, answer = call(link, "GET", "/nowhere")
            assert (status, answer["error"]["code"]) == (404, "not_found")
        with shop.front.dial() as fresh:
            assert upgraded(fresh, shop)["type"] == "connect"
    # A connection that has carried requests may still become a WebSocket.
    for link in links:
        assert upgraded(link, shop)["type"] == "connect"
        link.close()


def upgraded(link, shop):
    """The first message of a WebSocket on this connection."""
    status, _, _ = fronts.ask(link, UPGRADE % f"after=new&token={shop.alice}".encode())
    assert status == 101
    with link.makefile("rb") as file:
        first, size = file.read(2)
        assert first == 0x81
        if size == 126:
            size, = struct.unpack(">H", file.read(2))
        return json.loads(file.read(size))


def test_one_of_two_edges_is_killed(shop):
    """Its clients come back through the other, and miss nothing; those of the other notice nothing."""
    async def watch():
        sockets = [await connect(shop, token=shop.alice, device=f"d{at}") for at in range(24)]
        for socket in sockets:
            assert (await receive(socket))["type"] == "connect"
        await asyncio.to_thread(shop.edges[0].kill)
        # Those that stay answer; those that do not have ended.
        lost = set()
        for at, socket in enumerate(sockets):
            try:
                await socket.send('{"type":"ping"}')
                assert (await receive(socket))["type"] == "pong"
            except websockets.ConnectionClosed:
                lost.add(at)
        assert 0 < len(lost) < len(sockets)
        await asyncio.to_thread(shop.send, "x_update", "123", {"x": 1})
        for at in lost:
            sockets[at] = await again(at)
        for at, socket in enumerate(sockets):
            if at in lost:
                assert (await receive(socket))["type"] == "connect"
            assert (await receive_updates(socket, 1))[0]["data"] == {"x": 1}
        for socket in sockets:
            await socket.close()

    async def again(at):
        """Whatever the proxy still says of the edge that is gone."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return await connect(shop, token=shop.alice, device=f"d{at}")
            except (OSError, websockets.WebSocketException):
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)
    asyncio.run(watch())


def test_no_token_in_a_log(shop):
    """Not of requests that go well, nor of those that fail in the proxy."""
    secret = shop.alice.rsplit(".", 1)[1]

    async def watch():
        async with connect(shop, token=shop.alice) as socket:
            await receive(socket)
    asyncio.run(watch())
    path = f"/ws/messages/123?token={shop.alice}"
    with shop.front.dial() as link:
        call(link, "GET", path)
        call(link, "GET", path, body={"not": "wanted"})
    with shop.front.dial() as link:  # what no proxy takes
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nbroken\r\nContent-Length: -\r\n\r\n".encode())
        link.recv(65536)
    for edge in shop.edges:
        edge.kill()
    for _ in range(3):
        with shop.front.dial() as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            try:
                link.recv(65536)
            except OSError:
                pass
    shop.front.end()
    said = shop.front.said()
    if shop.front.name != "hitch":  # which sees no URL
        assert "/ws/messages/123" in said and re.search(r"\b50[234]\b", said)
    assert secret not in said and "token=" not in said


@pytest.mark.parametrize("shop", ("hitch", "haproxy"), indirect=True)  # nginx has no PROXY header of version 2
def test_the_edge_knows_the_client(shop):
    async def watch():
        async with connect(shop, token="x", source="127.0.0.77") as socket:
            await closed(socket)
    asyncio.run(watch())
    until(lambda: any("127.0.0.77:" in edge.said() for edge in shop.edges), "the client's address in a log")
