"""The power is cut at random moments: whatever a sender was told is stored is there afterwards, under its numbers.

The store lies on a small ext4 that is shut down without a flush of its journal (disk.py), the senders' receipts
outside of it. After each cut the disk is mounted again, a hub opens the store, and every line is sent once more with its
id, as somebody would who does not know what became of it. Then each line is there once: what was acknowledged before
the cut answers `duplicate` with the numbers told then, the numbers of a room have no hole and mean one message only, and
a client that watched all the time saw the same as one that comes now.

POWER_CUTS says how many cuts (`make power-loss CUTS=200`), SEED repeats the draws of an earlier run.
"""
import asyncio
import json
import os
import random
import subprocess
import time

import pytest
import websockets

from conftest import BIN, PATIENCE, need, receive, until
from disk import Disk

CUTS = int(os.environ.get("POWER_CUTS", 8))
SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
LINES = 400


@pytest.fixture
def disk(world, tmp_path):
    need("root")
    need("loop")
    disk = Disk(tmp_path)
    world.state = disk.root / "state"
    try:
        yield disk
    finally:
        for process in world.processes:
            if process.name == "diagws-hub":
                process.kill()
        disk.close()


def start_hub(world, disk, *arguments, wait=True):
    hub = world.hub("--queue-limit", 10000, *arguments, wait=wait)
    disk.holds(hub.pid)
    return hub


class Sender:
    """diagws-send with lines of known ids; its receipts lie on another disk than the store."""

    def __init__(self, world, name, lines, window):
        self.world, self.lines = world, lines
        self.input, self.output = world.path / f"{name}.ndjson", world.path / f"{name}.receipts"
        self.input.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.process = self.start(window)

    def start(self, window):
        with open(self.output, "wb") as output:
            return subprocess.Popen([BIN / "diagws-send", "-l", "--json", "-w", str(window), "--timeout", "30s", self.input],
                                    env={**os.environ, **self.world.env}, stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=subprocess.DEVNULL)

    def answered(self):
        return self.output.stat().st_size > 0

    def ended(self):
        return self.process.poll() is not None

    def stop(self):
        """The receipts it had printed by now: id to (seq, n, duplicate)."""
        self.process.kill()
        self.process.wait(PATIENCE)
        receipts = self.output.read_text().split("\n")[:-1]
        return {r["id"]: (r["seq"], r["n"], r["duplicate"]) for r in map(json.loads, receipts)}

    def again(self):
        """All lines once more, to the end."""
        self.process = self.start(256)
        until(self.ended, "every line's answer", 3 * PATIENCE)
        assert self.process.returncode == 0
        return self.stop()


class Bench:
    """A hub on the disk, an edge beside it, and what was said in all cuts so far."""

    def __init__(self, world, disk, rooms):
        self.world, self.disk = world, disk
        self.hub = start_hub(world, disk)
        self.edge = world.edge()
        self.token = world.token("alice")
        world.run("diagws-owner", "import", "-", input="".join(
            json.dumps({"diagnosis_id": room, "user_id": "alice"}) + "\n" for room in rooms))
        self.by_seq = {}
        self.acknowledged = self.lost = self.resolved = 0

    def cut(self, again=None):
        """The power goes and comes back; `again` seconds after the hub's start it goes once more."""
        self.disk.cut()
        self.hub.kill()
        self.disk.remount()
        if again is not None:
            self.hub = start_hub(self.world, self.disk, wait=False)
            time.sleep(again)
            self.cut()
        else:
            self.hub = start_hub(self.world, self.disk)

    def judge(self, room, sender, before, after):
        """`before` the cut these were told; `after` it, every line."""
        for id, (seq, n, _) in before.items():
            self.acknowledged += 1
            if after[id] != (seq, n, True):
                self.lost += 1
        assert self.lost == 0, f"{room}: lost {[id for id in before if after[id] != (*before[id][:2], True)]}"
        self.resolved += sum(duplicate for id, (_, _, duplicate) in after.items() if id not in before)
        assert after.keys() == {line["id"] for line in sender.lines}
        for id, (seq, _, _) in after.items():
            assert self.by_seq.setdefault(seq, id) == id, f"{seq} is {id}, was {self.by_seq[seq]}"
        assert sorted(n for _, n, _ in after.values()) == list(range(1, len(after) + 1))

    async def watch(self, room, sender, ready, **query):
        """Reads until every line was seen once, in order and whole; what it saw: id to (seq, n)."""
        seen, last = {}, 0
        async with self.edge.connect(room, self.token, **query) as socket:
            assert (await receive(socket))["type"] == "connect"
            ready.set()
            while len(seen) < len(sender.lines):
                message = await receive(socket, 3 * PATIENCE)
                assert message["type"] == "note_update", message
                assert message["id"] not in seen and message["seq"] > last
                last = message["seq"]
                seen[message["id"]] = (last, message["n"])
                assert message["data"] == data_of(message["id"])
            return seen


def data_of(id):
    """Of its own for each id, between some bytes and some thousand."""
    draw = random.Random(id)
    return {"of": id, "text": "x" * int(2 ** draw.uniform(0, 12))}


def lines_of(room):
    ids = (f"{room}.{number}" for number in range(LINES))
    return [{"diagnosis_id": room, "type": "note_update", "id": id, "data": data_of(id)} for id in ids]


async def one_cut(bench, rooms, draw):
    """Watchers stay connected over the cut; each room has a sender of its own."""
    ready = [asyncio.Event() for _ in rooms]
    lines = {room: lines_of(room) for room in rooms}
    senders = {}

    def under_load():
        for room in rooms:
            senders[room] = Sender(bench.world, room, lines[room], draw.choice((1, 4, 16, 64)))
        until(lambda: all(sender.answered() for sender in senders.values()), "the first receipts")
        time.sleep(draw.uniform(0, 0.2))
        bench.disk.cut()
        before = {room: sender.stop() for room, sender in senders.items()}
        bench.cut(again=draw.uniform(0, 0.05) if draw.random() < 0.2 else None)
        for room, sender in senders.items():
            bench.judge(room, sender, before[room], sender.again())

    class Lines:
        def __init__(self, room):
            self.lines = lines[room]
    watchers = [asyncio.create_task(bench.watch(room, Lines(room), event)) for room, event in zip(rooms, ready)]
    try:
        await asyncio.gather(*(event.wait() for event in ready))
        await asyncio.to_thread(under_load)
        seen = await asyncio.gather(*watchers)
        late = [await bench.watch(room, Lines(room), asyncio.Event(), after=0, device="late") for room in rooms]
        assert seen == late
    finally:
        for watcher in watchers:
            watcher.cancel()


def test_what_was_acknowledged_outlives_a_power_cut(world, disk):
    draw = random.Random(SEED)
    rooms = [[f"cut-{cut}-a", f"cut-{cut}-b"] for cut in range(CUTS)]
    bench = Bench(world, disk, sum(rooms, []))
    begun = time.monotonic()
    for cut in range(CUTS):
        asyncio.run(one_cut(bench, rooms[cut], draw))
    print(f"seed {SEED}: {CUTS} power cuts in {time.monotonic() - begun:.0f} s, {bench.acknowledged} messages "
          f"acknowledged before them, {bench.lost} lost; {bench.resolved} more were stored and their answers lost")
    assert bench.acknowledged > CUTS
