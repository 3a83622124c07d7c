"""What is idle stays, behind each proxy of examples/proxy: a WebSocket for 130 s, of which nobody hears but the edge's PINGs,
and a long poll for its whole 60 s. All proxies at once; `make idle`, for it takes that long.
"""
import asyncio
import contextlib
import json
import os
import time

import pytest
import websockets

import fronts
from conftest import free_port, receive, receive_updates, until

LONG = os.environ.get("DIAGWS_FAULT") == "long"
IDLE = 130 if LONG else 5  # the short run sees that the test itself works
POLL = 60 if LONG else 2


@pytest.fixture
def row(world, tmp_path):
    """A hub, an edge for each proxy, and the proxies. Alice may watch 123."""
    world.hub()
    world.grant("123", "alice")
    world.alice = world.token("alice")
    certificates = fronts.certificate(tmp_path)
    world.fronts = []
    try:
        for name in fronts.NAMES:
            proxied = name != "nginx"
            edge = world.edge(*(["--proxy-protocol"] if proxied else []), wait=False)
            until(lambda: fronts.edge_is_ready(edge.port, proxied), f"an edge: {edge.said()}")
            ports = [edge.port, edge.port if name != "haproxy" else free_port()]  # haproxy's other one is away
            world.fronts.append(fronts.Front(name, world.path, certificates, ports))
        for front in world.fronts:
            until(front.ready, front.name)
        yield world
    finally:
        for front in world.fronts:
            front.end()


def poll(front, token):
    """A long poll that nothing ends, and one request more on its connection."""
    begun = time.monotonic()
    with front.dial() as link:
        link.settimeout(POLL + fronts.PATIENCE)
        request = f"GET /ws/messages/123?wait={POLL}s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        status, _, body = fronts.ask(link, request.encode())
        assert status == 200 and json.loads(body)["messages"] == [], front.name
        assert time.monotonic() - begun >= POLL
        assert fronts.ask(link, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 200, front.name


def test_what_is_idle_stays(row):
    async def watch():
        async with contextlib.AsyncExitStack() as stack:
            sockets = {}
            for front in row.fronts:
                url = f"wss://127.0.0.1:{front.port}/ws/123?token={row.alice}&device={front.name}"
                sockets[front.name] = await stack.enter_async_context(
                    websockets.connect(url, ssl=front.trust, ping_interval=None))
                assert (await receive(sockets[front.name]))["type"] == "connect"
            polls = asyncio.gather(*(asyncio.to_thread(poll, front, row.alice) for front in row.fronts))
            await asyncio.sleep(IDLE)
            await polls
            for name, socket in sockets.items():
                await socket.send('{"type":"ping"}')
                assert (await receive(socket))["type"] == "pong", name
            receipt = await asyncio.to_thread(row.send, "x_update", "123", {"x": 1}, "--wait=delivered:3")
            assert receipt["delivered"] == 3
            for name, socket in sockets.items():
                assert (await receive_updates(socket, 1))[0]["data"] == {"x": 1}, name
    asyncio.run(watch())
