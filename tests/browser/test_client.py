"""www/diagws.js against an edge that does, one connection after another, what a real one seldom does on demand: it
repeats itself, gives advice, falls silent, begins anew, refuses.
"""
import asyncio
import contextlib
import json
import time
import urllib.parse

import websockets

from chromium import Chromium, serving_pages
from conftest import PATIENCE, ROOT, free_port

WWW = ROOT / "cmd" / "diagws-clinic" / "www"
START = """import("./diagws.js").then(({Watch}) => {
	window.heard = [];
	window.watch = new Watch({edges: %s, diagnosis: "101", token: "first", silent: 1800, patience: 500,
		tell: (what, {state, seq, count, expires, epoch, reason}, replayed) =>
			heard.push([what, state ?? seq ?? count ?? expires ?? epoch, replayed ?? reason ?? null])});
	watch.start();
})"""


class Edge:
    """Each connection gets what the next script says; what the page asked and said is kept, with the time."""

    def __init__(self, *scripts):
        self.scripts, self.asked, self.said, self.began, self.ended = list(scripts), [], [], [], []

    async def serve(self, socket):
        self.began.append(time.monotonic())
        self.asked.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(socket.path).query)))
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.hear(socket)
            await self.scripts.pop(0)(self, socket)
            await socket.wait_closed()
        self.ended.append(time.monotonic())

    async def hear(self, socket):
        self.said.append(json.loads(await socket.recv()))


async def say(socket, *messages):
    for message in messages:
        await socket.send(json.dumps(message))


def connect(epoch, replaying, head, resume="exact"):
    return {"type": "connect", "data": {"epoch": epoch, "replaying": replaying, "head": head, "resume": resume}}


def update(seq):
    return {"type": "note_update", "seq": seq, "data": {}}


async def repeats_itself_and_restarts(_, socket):
    await say(socket, connect("E", 2, 2), update(1), update(1), update(2), {"type": "gap", "data": {"count": 3}}, update(6),
              {"type": "shutdown", "data": {"retry_after_ms": [1500, 1600]}})
    await socket.close(1012)


async def falls_silent(_, socket):
    await say(socket, connect("E", 0, 7))


async def begins_anew_and_refuses(_, socket):
    await say(socket, connect("F", 1, 1, "reset"), update(1))
    await socket.close(1008, "token expired")


async def takes_a_fresh_token(edge, socket):
    await say(socket, connect("F", 0, 1))
    await edge.hear(socket)
    await say(socket, {"type": "auth", "data": {"expires": "later"}})
    await edge.hear(socket)
    await say(socket, {"type": "pong"}, update(2))


async def heard(browser, last):
    """All that the page has been told, when `last` was."""
    deadline = time.monotonic() + 3 * PATIENCE
    while True:
        told = await browser.ask("heard")
        if told and told[-1] == last:
            return told
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.01)


async def talk(origin, edge, edges):
    async with Chromium() as browser:
        await browser.open(f"{origin}/words.js")
        await browser.ask(START % json.dumps(edges))
        told = await heard(browser, ["state", "refused", "token expired"])
        assert [one for one in told if one[0] != "state"] == [
            ["connect", "E", None], ["update", 1, True], ["update", 2, True], ["gap", 3, None], ["update", 6, False],
            ["connect", "E", None], ["reset", "F", None], ["connect", "F", None], ["update", 1, True]]
        assert [one[1] for one in told if one[0] == "state"] == [
            "connecting", "waiting", "connecting", "replaying", "live", "waiting",  # the first edge is not there
            "connecting", "waiting", "connecting", "live", "waiting",
            "connecting", "waiting", "connecting", "replaying", "live", "refused"]
        assert await browser.ask("watch.position") == {"seq": 1, "epoch": "F"}
        await browser.ask("watch.renew('second')")
        await heard(browser, ["state", "live", None])
        await browser.ask("watch.renew('third')")
        await heard(browser, ["auth", "later", None])
        await browser.ask("watch.probe()")
        await heard(browser, ["update", 2, False])
        await browser.ask("watch.stop()")


def test_an_edge_that_does_what_it_wants():
    async def test():
        edge = Edge(repeats_itself_and_restarts, falls_silent, begins_anew_and_refuses, takes_a_fresh_token)
        with serving_pages(WWW) as origin:
            async with websockets.serve(edge.serve, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                await talk(origin, edge, [f"ws://127.0.0.1:{free_port()}", f"ws://127.0.0.1:{port}"])
        first, second, third, fourth = edge.asked
        assert first == {"auth": "message", "heartbeat": "1", "after": "0"}
        assert second == {**first, "after": "6", "epoch": "E"}
        assert third == {**first, "after": "7", "epoch": "E"}, "nothing up to the head was left for us"
        assert fourth == {**first, "after": "1", "epoch": "F"}
        assert edge.said == [{"type": "auth", "token": token} for token in ("first", "first", "first", "second", "third")] + [
            {"type": "ping"}]
        assert edge.began[1] - edge.ended[0] >= 1.5, "the advice was followed"
        assert edge.ended[1] - edge.began[1] >= 1.7, "silence was noticed, and not before its time"

    asyncio.run(test())
