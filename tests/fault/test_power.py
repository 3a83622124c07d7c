"""The power is cut at random moments: whatever a sender was told is stored is there afterwards, under its numbers.

The store lies on a small ext4 that is shut down without a flush of its journal (disk.py), the senders' receipts
outside of it. After each cut the disk is mounted again, a hub opens the store, and every line is sent once more with
its id, as somebody would who does not know what became of it. Then each line is there once: what was acknowledged
before the cut answers `duplicate` with the numbers told then, the numbers of a room have no hole and mean one message
only, and a client that watched all the time saw the same as one that comes now. The same where only the hub is killed.

POWER_CUTS says how many cuts (`make power-loss CUTS=200`), SEED repeats the draws of an earlier run.
"""
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import time

import pytest

from conftest import BIN, PATIENCE, need, receive, until
from disk import Disk
from history import History

CUTS = int(os.environ.get("POWER_CUTS", 6))
SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
LINES = 250
RECEIPT = 120  # bytes, about
MIB = 1 << 20


@pytest.fixture
def disk(world, tmp_path):
    need("root")
    need("loop")
    # Who ends the test by SIGTERM wants it to clean up as well.
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Disk(tmp_path).of(world) as disk:
            yield disk
    finally:
        signal.signal(signal.SIGTERM, handler)


def start_hub(world, disk, wait=True):
    hub = world.hub("--queue-limit", 10000, wait=False)
    disk.holds(hub.pid)
    if wait:
        until(lambda: "hub ready" in hub.said() or hub.popen.poll() is not None, "the hub")
        assert hub.popen.poll() is None, f"the hub does not open the store: {hub.said()}"
        # Its epoch is the same: what it noted beside the store is not ahead of it either.
        assert "the store was restored" not in hub.said()
    return hub


class Sender:
    """diagws-send with lines of known ids; its receipts lie on another disk than the store."""

    def __init__(self, world, room, size, count=LINES):
        self.world, self.room = world, room
        self.ids = [f"{room}.{number}" for number in range(count)]
        self.size = size
        self.input, self.output = world.path / f"{room}.ndjson", world.path / f"{room}.receipts"
        self.input.write_text("".join(json.dumps({"diagnosis_id": room, "type": "note_update", "id": id,
                                                  "data": self.data(id)}) + "\n" for id in self.ids))

    def data(self, id):
        """Of its own for each id."""
        draw = random.Random(id)
        return {"of": id, "text": "x" * int(draw.uniform(0.2, 1) * self.size)}

    def start(self, window):
        self.output.unlink(missing_ok=True)
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [BIN / "diagws-send", "-l", "--json", "-w", str(window), "--timeout", "30s", self.input],
                env={**os.environ, **self.world.env}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.DEVNULL)

    def answered(self, share=0.0):
        """Whether there is a receipt, and so many of all."""
        return self.output.stat().st_size > share * len(self.ids) * RECEIPT or self.process.poll() is not None

    def stop(self):
        """The receipts it had printed by now: id to (seq, n, duplicate)."""
        self.process.kill()
        self.process.wait(PATIENCE)
        receipts = self.output.read_text().split("\n")[:-1]
        return {r["id"]: (r["seq"], r["n"], r["duplicate"]) for r in map(json.loads, receipts)}

    def send_all(self):
        self.start(256)
        until(lambda: self.process.poll() is not None, "every line's answer", 3 * PATIENCE)
        assert self.process.returncode == 0
        return self.stop()


class Bench:
    """A hub on the disk, an edge beside it, and what was said in all cuts of one store."""

    def __init__(self, world, disk, fault):
        self.world, self.disk, self.fault = world, disk, fault
        self.hub = start_hub(world, disk)
        self.edge = world.edge()
        self.token = world.token("alice")
        self.by_seq = {}
        self.acknowledged = self.resolved = 0

    def grant(self, rooms):
        self.world.run("diagws-owner", "import", "-", input="".join(
            json.dumps({"diagnosis_id": room, "user_id": "alice"}) + "\n" for room in rooms))

    def fail(self):
        """What the test is about: the power goes, or only the process."""
        if self.fault == "power":
            self.disk.cut()
        else:
            self.hub.kill()

    def recover(self, draw):
        """Sometimes it fails again, while the hub is opening the store."""
        self.hub.kill()
        if self.fault == "power":
            self.disk.remount()
        if draw.random() < 0.2:
            self.hub = start_hub(self.world, self.disk, wait=False)
            time.sleep(draw.uniform(0, 0.05))
            self.fail()
            self.recover(draw)
        else:
            self.hub = start_hub(self.world, self.disk)

    def settle(self, history, sender, before):
        """`before` the cut these were told; now all is sent again."""
        after = sender.send_all()
        assert after.keys() == set(sender.ids)
        for answers in (before, after):
            for id, answer in answers.items():
                history.answer(id, *answer)
        lost = [id for id, (seq, n, _) in before.items() if after[id] != (seq, n, True)]
        assert not lost, f"{len(lost)} of {len(before)} acknowledged messages lost: {lost[:5]}"
        reused = [id for id, (seq, _, _) in after.items() if self.by_seq.setdefault(seq, id) != id]
        assert not reused, f"numbers used again: {reused[:5]}"
        assert sorted(n for _, n, _ in after.values()) == list(range(1, len(after) + 1))
        self.acknowledged += len(before)
        self.resolved += sum(duplicate for id, (_, _, duplicate) in after.items() if id not in before)

    async def watch(self, history, sender, device, ready=None, after=None):
        """Reads until every line was seen."""
        query = {"device": device} if after is None else {"device": device, "after": after}
        left = set(sender.ids)
        async with self.edge.connect(sender.room, self.token, **query) as socket:
            connection = history.connect(device, sender.room, after)
            while left:
                message = await receive(socket, 3 * PATIENCE)
                connection.message(message)
                if message["type"] == "connect" and ready is not None:
                    ready.set()
                if message["type"] == "note_update":
                    assert message["data"] == sender.data(message["id"])
                    left.discard(message["id"])
            connection.stayed()
            connection.closed()


async def one_cut(bench, senders, draw):
    """Each room has its sender, and a watcher who stays connected over the cut."""
    history = History()
    ready = [asyncio.Event() for _ in senders]
    watchers = [asyncio.create_task(bench.watch(history, sender, "phone", event))
                for sender, event in zip(senders, ready)]

    def under_load():
        for sender in senders:
            for id in sender.ids:
                history.attempt(id, sender.room)
            sender.start(draw.choice((1, 4, 16, 64)))
        share = draw.random()
        while not all(sender.answered(share) for sender in senders):
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.005))
        bench.fail()
        before = [sender.stop() for sender in senders]
        bench.recover(draw)
        for sender, answers in zip(senders, before):
            bench.settle(history, sender, answers)
    try:
        await asyncio.gather(*(event.wait() for event in ready))
        await asyncio.to_thread(under_load)
        await asyncio.gather(*watchers)
        await asyncio.gather(*(bench.watch(history, sender, "late", after=0) for sender in senders))
    finally:
        for watcher in watchers:
            watcher.cancel()
    verdict = history.judge()
    assert verdict.ok, verdict.faults[:10]


@pytest.mark.parametrize("fault, cuts", (("power", CUTS), ("process", (CUTS + 1) // 2)), ids=("power", "process"))
def test_what_was_acknowledged_outlives_a_cut(world, disk, fault, cuts):
    draw = random.Random(SEED)
    bench = Bench(world, disk, fault)
    bench.grant(f"cut-{cut}-{room}" for cut in range(cuts) for room in "ab")
    begun = time.monotonic()
    for cut in range(cuts):
        asyncio.run(one_cut(bench, [Sender(world, f"cut-{cut}-{room}", 3000) for room in "ab"], draw))
    print(f"\nseed {SEED}: {cuts} cuts of the {fault} in {time.monotonic() - begun:.0f} s, {bench.acknowledged} "
          f"messages acknowledged before them, 0 lost; {bench.resolved} more were stored whose answer was lost")
    assert bench.acknowledged > cuts


def map_size(hub):
    """How much of the store the hub has mapped."""
    with open(f"/proc/{hub.pid}/maps") as maps:
        spans = [re.match(r"(\w+)-(\w+)", line).groups() for line in maps if line.endswith("/data.mdb\n")]
    return sum(int(end, 16) - int(begin, 16) for begin, end in spans)


class Filled:
    """A store that is nearly so large that its map must grow, to begin with again and again."""

    def __init__(self, world, disk, copy):
        self.world, self.disk, self.copy = world, disk, copy
        self.senders, self.stored = [], {}

    def fill(self, size):
        if self.copy.exists():
            self.disk.restore(self.copy)
        hub = start_hub(self.world, self.disk)
        while (self.world.state / "data.mdb").stat().st_size < size:
            self.senders.append(Sender(self.world, f"base-{len(self.senders)}", 60000, 32))
            self.stored[self.senders[-1].room] = self.senders[-1].send_all()
        assert hub.terminate() == 0
        self.disk.keep(self.copy)

    def begin(self):
        self.disk.restore(self.copy)
        return start_hub(self.world, self.disk)

    def judge(self, draw):
        """The newest, and some of the older, are what they were."""
        for sender in [self.senders[-1], draw.choice(self.senders)]:
            told = {id: (seq, n, True) for id, (seq, n, _) in self.stored[sender.room].items()}
            assert sender.send_all() == told, f"{sender.room} is not what it was"


def cut_while_growing(world, disk, base, draw):
    """One cut; how many messages had been acknowledged before it, and whether the map had grown by then."""
    # More than the journal holds: the map grows with LMDB's commits, before its room is short.
    sender = Sender(world, f"growth-{len(base.senders)}", 60000, 1000)
    hub = base.begin()
    size = map_size(hub)
    hub.signal(signal.SIGSTOP)
    sender.start(256)
    hub.signal(signal.SIGCONT)
    if draw.random() < 0.7:
        until(lambda: map_size(hub) > size, "the map to grow")
    else:
        until(sender.answered, "the first receipts")
    time.sleep(draw.uniform(0, 0.05))
    grown = map_size(hub) > size
    disk.cut()
    before = sender.stop()
    hub.kill()
    disk.remount()
    hub = start_hub(world, disk)
    base.judge(draw)
    after = sender.send_all()
    assert {id: after[id] for id in before} == {id: (seq, n, True) for id, (seq, n, _) in before.items()}
    hub.kill()
    return len(before), grown


def test_a_cut_while_the_map_grows(world, disk, tmp_path):
    """A batch that does not fit is done again in the new map."""
    draw = random.Random(SEED)
    base = Filled(world, disk, tmp_path / "copy.img")
    for filled in (46, 62):
        base.fill(filled * MIB)
        told = [cut_while_growing(world, disk, base, draw) for _ in range(max(1, CUTS // 8))]
        print(f"\nseed {SEED}: {len(told)} cuts of the power at {filled} MiB, {sum(grown for _, grown in told)} when "
              f"the map had grown, {sum(count for count, _ in told)} messages acknowledged before them, 0 lost")


def test_a_cut_while_the_store_is_made(world, disk):
    """Whenever it comes, the next hub opens or makes the store; and the first message counts as any other."""
    draw = random.Random(SEED)
    sender = Sender(world, "first", 100, 1)
    for _ in range(CUTS):
        disk.format()
        hub = start_hub(world, disk, wait=False)
        before = {}
        if draw.random() < 0.5:
            before = sender.send_all()
        else:
            time.sleep(draw.uniform(0, 0.05))
        disk.cut()
        hub.kill()
        disk.remount()
        hub = start_hub(world, disk)
        assert sender.send_all() == {"first.0": (1, 1, bool(before))}
        hub.kill()
