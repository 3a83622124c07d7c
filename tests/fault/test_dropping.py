"""Clients without a line of acknowledgment code that drop their connection in mid-stream: their own record misses none.

One is a page in Chromium (tests/browser/watch.js), which also reloads itself; the other a script with
python3-websockets. Each has only its `device=`: where to go on is the server's to know. Repeats are allowed, and are
told by their seq. DROPS says how often each drops (and reloads); SEED repeats a run.
"""
import asyncio
import contextlib
import json
import os
import random
import secrets
import sys

import websockets

from conftest import ROOT, measured, need, until
from load import Stream

sys.path.insert(0, str(ROOT / "tests" / "browser"))
from chromium import Chromium, serving_pages  # noqa: E402

DROPS = int(os.environ.get("DROPS", "5"))
SEED = int(os.environ.get("SEED", secrets.randbelow(1 << 31)))
RATE = 100  # messages in a second
LONGEST = 0.4  # seconds that a connection lives


def judge(what, stored, record, opened):
    """record: (connection, message) in the order in which they were written down; opened: how many connections."""
    updates = [message for _, message in record if message["type"] == "note_update"]
    got = {message["data"]["number"]: (message["seq"], message["n"], message["id"]) for message in updates}
    missing = sorted(set(stored) - set(got))
    measured(f"{what}: {DROPS} drops, seed {SEED}: {opened} connections, {len(stored)} stored, "
             f"{len(got)} recorded, {len(updates) - len(got)} of them again, {len(missing)} missing")
    assert not missing, f"seed {SEED}: {missing[:20]}"
    assert got == {number: (message.seq, message.n, f"m-{number}") for number, message in stored.items()}
    told = [message for _, message in record if message["type"] not in ("note_update", "connect")]
    assert not [message for message in told if message["type"] != "closed"], told
    for number in {connection for connection, _ in record}:
        seqs = [message["seq"] for connection, message in record if connection == number and "seq" in message]
        assert all(a < b for a, b in zip(seqs, seqs[1:])), f"seed {SEED}: connection {number}: {seqs}"


def watched(world, *arguments):
    world.hub("--queue-limit", 10000)
    world.grant("123", "alice")
    return world.edge(*arguments), world.token("alice")


def test_a_page_misses_nothing(world):
    need("chromium")

    async def watch(origin, edge, token):
        async with Chromium() as browser:
            with Stream(world, ["123"], RATE) as stream:
                await browser.open(f"{origin}/watch.html?edge=127.0.0.1:{edge.port}&room=123&device=tab&token={token}"
                                   f"&drops={DROPS}&reloads={DROPS}&seed={SEED}")
                while await browser.ask("left('drops') + left('reloads')") != 0:
                    await asyncio.sleep(0.1)
                stored = stream.end()
            last = f"m-{max(stored)}"
            for _ in range(200):
                record = [(entry["connection"], json.loads(entry["text"]))
                          for entry in json.loads(await browser.ask("whole()") or "[]")]
                if record and record[-1][1].get("id") == last:
                    break
                await asyncio.sleep(0.1)
            assert await browser.ask("left('drops')") == await browser.ask("left('reloads')") == 0
            opened = await browser.ask("left('connections')")
            return stored, record, opened
    with serving_pages() as origin:
        edge, token = watched(world, "--origin", origin)
        judge("a page in Chromium, as many reloads", *asyncio.run(watch(origin, edge, token)))


def test_a_script_misses_nothing(world):
    """Dropped with a closing handshake and without a word by turns; then it also stops listening before that, while
    its stack goes on confirming."""
    edge, token = watched(world)
    dice = random.Random(SEED)
    record = []

    async def listen(socket, number):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in socket:
                record.append((number, json.loads(text)))

    async def visit(number):
        socket = await edge.connect("123", token, device="script")
        listening = asyncio.create_task(listen(socket, number))
        await asyncio.sleep(dice.random() * LONGEST)
        if number % 2:
            listening.cancel()
            await asyncio.sleep(dice.random() * LONGEST)
            socket.transport.abort()
        else:
            await socket.close()
        await asyncio.wait([listening])

    async def watch():
        with Stream(world, ["123"], RATE) as stream:
            for number in range(DROPS):
                await visit(number)
            stored = await asyncio.to_thread(stream.end)
        async with edge.connect("123", token, device="script") as socket:
            listening = asyncio.create_task(listen(socket, DROPS))
            last = f"m-{max(stored)}"
            await asyncio.to_thread(until, lambda: record and record[-1][1].get("id") == last, "the newest message")
            listening.cancel()
        return stored
    stored = asyncio.run(watch())
    judge("a script with python3-websockets", stored, record, DROPS + 1)
