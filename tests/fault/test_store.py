"""The store's own faults: a disk that fills up under a hub, a limit that is reached, a file that was damaged.

A hub whose store is full tells senders so and goes on with all else: clients join, read and confirm, and what they
confirmed outlives a restart. When there is room again it takes messages again, by itself. A damaged store
is refused at the start, with what is wrong with it; tests/unit/store/test_damage.c damages every page of one.
"""
import asyncio
import errno
import json
import os

import pytest

from conftest import PATIENCE, need, receive, receive_updates, until
from disk import Disk

MIB = 1 << 20
ROOM = "123"


@pytest.fixture
def disk(world, tmp_path):
    need("root")
    need("loop")
    with Disk(tmp_path, 48 * MIB).of(world) as disk:
        yield disk


def fill(disk):
    """To the brim: large steps, then small ones, until not even a block is left."""
    path = disk.root / "filler"
    with open(path, "ab", buffering=0) as filler:
        for step in (256 << 10, 4096):
            while True:
                try:
                    filler.write(bytes(step))
                    os.fsync(filler.fileno())
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    break
    return path


class Sender:
    """Messages of known ids, and what became of each."""

    def __init__(self, world, size):
        self.world, self.size, self.stored, self.count = world, size, {}, 0

    def send(self, id=None):
        """The exit status; what was stored is noted."""
        if id is None:
            id, self.count = f"m-{self.count}", self.count + 1
        done = self.world.run("diagws-send", "--json", "--id", id, "note_update", ROOM,
                              json.dumps({"of": id, "text": "x" * self.size}), check=False)
        if done.returncode == 0:
            self.stored[id] = json.loads(done.stdout)["seq"]
        else:
            assert done.returncode == 75 and "[DW1103]" in done.stderr, done.stderr
        return done.returncode

    def until_full(self, most):
        for _ in range(most):
            if self.send() == 75:
                return
        pytest.fail("the store does not fill up")


def device(world, name):
    """The position that the hub has of it; None when it is not known."""
    rows = [row for row in world.devices(ROOM) if row["device"] == name]
    return rows[0]["confirmed_seq"] if rows else None


async def visit(world, name, stored):
    """A device joins, gets everything that was stored after what it has, and leaves when that is confirmed."""
    async with world.the_edge.connect(ROOM, world.alice, device=name) as client:
        await receive(client)
        updates = await receive_updates(client, len(stored))
        assert [(update["id"], update["seq"]) for update in updates] == list(stored.items())
        assert all(update["data"]["of"] == update["id"] for update in updates)
        last = updates[-1]["seq"]
        await asyncio.to_thread(until, lambda: device(world, name) == last, "the confirmation")
    return last


def goes_on(world, sender, name):
    """What a hub does whose store is full."""
    assert sender.send("left-out") == 75
    last = asyncio.run(visit(world, name, sender.stored))
    status, _, _ = world.the_edge.request(f"/ws/messages/{ROOM}?after=0", token=world.alice)
    assert status == 200
    assert sender.send("left-out") == 75
    return last


def begin(world, *options):
    hub = world.hub("--queue-limit", 10000, *options)
    world.the_edge = world.edge()
    world.grant(ROOM, "alice")
    world.alice = world.token("alice")
    return hub


def test_a_full_disk_stops_nothing_but_senders(world, disk):
    hub = begin(world)
    sender = Sender(world, 40000)
    for _ in range(5):
        sender.send()
    filler = fill(disk)
    sender.until_full(100)
    last = goes_on(world, sender, "phone")
    # Neither does a restart change that, nor is anything forgotten by it.
    assert hub.terminate() == 0
    world.hub("--queue-limit", 10000)
    until(world.the_edge.ready, "the edge's return")
    assert device(world, "phone") == last
    goes_on(world, sender, "pad")
    # Who may not watch any more is not let in for want of room.
    world.run("diagws-owner", "revoke", ROOM, "nobody")
    world.run("diagws-owner", "deny", ROOM, "eve")
    filler.unlink()
    assert sender.send("left-out") == 0
    for _ in range(20):
        assert sender.send() == 0
    assert "storage_full" in world.processes[-1].said()
    asyncio.run(visit(world, "third", sender.stored))


def test_a_disk_without_room_for_a_store_is_said(world, disk):
    filler = fill(disk)
    hub = world.hub(wait=False)
    assert hub.popen.wait(PATIENCE) in (73, 75)
    assert "No space left on device" in hub.said()
    filler.unlink()
    begin(world)
    assert Sender(world, 100).send() == 0


def test_a_reached_limit_stops_nothing_but_senders_and_passes(world):
    begin(world, "--store-limit", "1M", "--queue-ttl", "20s")
    sender = Sender(world, 40000)
    sender.until_full(100)
    goes_on(world, sender, "phone")
    # As messages grow old, there is room again.
    until(lambda: sender.send("left-out") == 0, "room", 30 + PATIENCE)


def damages():
    def cut(file, size):
        file.truncate(5 * 4096)

    def empty(file, size):
        file.truncate(0)

    def zero(page):
        def damage(file, size):
            file.seek(page * 4096)
            file.write(bytes(4096))
        return damage

    def swap(file, size):
        heads = file.read(8192)
        file.seek(0)
        file.write(heads[4096:] + heads[:4096])

    def flip(mark):
        """The last byte of every copy of this."""
        def damage(file, size):
            content = file.read()
            at = content.find(mark)
            assert at >= 0
            while at >= 0:
                file.seek(at + len(mark) - 1)
                file.write(bytes([content[at + len(mark) - 1] ^ 1]))
                at = content.find(mark, at + 1)
        return damage

    return {"cut": cut, "empty": empty, "head": zero(0), "swap": swap, "message": flip(b"MARKMARK"),
            "owner": flip(ROOM.encode() + b"\0alice"), "cursor": flip(b"alice\0phone"), "version": flip(b"version")}


@pytest.mark.parametrize("name", damages())
def test_a_damaged_store_is_refused(world, name):
    hub = begin(world)
    world.send("note_update", ROOM, {"mark": "MARKMARK"})

    async def visit():
        async with world.the_edge.connect(ROOM, world.alice, device="phone") as client:
            await receive(client)
            await receive_updates(client, 1)
            await asyncio.to_thread(until, lambda: device(world, "phone") == 1, "the confirmation")
    asyncio.run(visit())
    assert hub.terminate() == 0
    path = world.state / "data.mdb"
    with open(path, "r+b") as file:
        damages()[name](file, path.stat().st_size)
    again = world.hub(wait=False)
    assert again.popen.wait(PATIENCE) == 74
    said = again.said()
    assert "[DW1113]" in said and f"'{path}' is damaged" in said and "restore a copy" in said, said
