"""Faults in the allocator and the store: the Nth call fails, once or for ever, while a small load runs.

inject.c is preloaded and told by a file what to fail once everything stands. Whatever fails, the process
goes on or ends loudly (a status that is not 0, a line that says why, never a broken pointer), everybody gets an answer as
long as it lives, and without the fault all is as it was: what was acknowledged is there, under its number.

A short run takes places spread over the range; DIAGWS_FAULT=long each, up to a bound.
"""
import asyncio
import errno
import http.client
import json
import mmap
import os
import signal
import struct
import subprocess

import pytest
import websockets

from conftest import BIN, BUILD, PATIENCE, until
from stage import ROOM, Stage

LONG = os.environ.get("DIAGWS_FAULT") == "long"
ALLOCATE, WRITE, SYNC = 1, 2, 4
TAKES_HALF = 0
BATCH = 4


class Faults:
    """What inject.c is told, and tells."""

    LAYOUT = struct.Struct("=Q6I")  # inode, at, error, ever, calls, seen, failed
    CALLS = struct.Struct("=I")

    def __init__(self, world):
        path = world.path / "inject"
        path.write_bytes(bytes(self.LAYOUT.size))
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.env = {"LD_PRELOAD": str(BUILD / "tests" / "inject.so"), "DIAGWS_INJECT": str(path)}
        self.store, self.file = world.state, "journal"

    def arm(self, calls, at, error, ever):
        self.map[:] = self.LAYOUT.pack((self.store / self.file).stat().st_ino, at, error, ever, 0, 0, 0)
        self.CALLS.pack_into(self.map, 20, calls)

    def disarm(self):
        """(calls seen, calls failed)."""
        self.CALLS.pack_into(self.map, 20, 0)
        return self.LAYOUT.unpack(self.map[:])[5:]


def spread(count, most):
    """Places from 1 to count: all, or that many, closer to each other at the start, where the work begins."""
    if LONG or count <= most:
        return range(1, min(count, 400) + 1)
    return sorted({1 + round((count - 1) * (i / (most - 1)) ** 1.5) for i in range(most)})


def ended(process, before):
    """That it ended as it may: it said why, and no pointer was followed that was none."""
    assert process.popen.returncode > 0 or process.popen.returncode == -signal.SIGABRT, process.popen.returncode
    assert process.said()[len(before):].strip(), f"{process.name} ended in silence: {process.popen.returncode}"


def send_batch(stage, process, ids):
    """diagws-send of the ids: none without an answer while the process lives."""
    lines = "".join(json.dumps({"diagnosis_id": ROOM, "type": "note_update", "id": id, "data": stage.data(id)}) + "\n"
                    for id in ids)
    for id in ids:
        stage.history.attempt(id, ROOM)
    sender = subprocess.Popen([BIN / "diagws-send", "-l", "--json", "--timeout", "5s", "-"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **stage.world.env})
    sender.stdin.write(lines)
    sender.stdin.close()
    sender.stdin = None
    until(lambda: sender.poll() is not None or process.popen.poll() is not None, "the answers, or the end")
    sender.kill()
    out, err = sender.communicate()
    answers = {answer["id"]: answer for answer in map(json.loads, out.splitlines(keepends=False))}
    for id in ids:
        stage.note(id, answers.get(id))
    if process.popen.poll() is None:
        # Not for good, not away and not late: those would be a hub that lives and does not answer.
        assert sender.returncode in (0, 75), err
        assert "[DW1101]" not in err and "[DW1102]" not in err, err
    return err


def visit(stage, edge, device, process):
    """A device that comes and leaves, or finds the process ended; it may be sent away, but not for good."""
    async def come():
        async with edge.connect(ROOM, stage.token, device=device, after="new") as socket:
            await asyncio.wait_for(socket.recv(), PATIENCE)

    async def come_or_end():
        task = asyncio.create_task(come())
        while not task.done() and process.popen.poll() is None:
            await asyncio.wait({task}, timeout=0.05)
        # An edge would keep it waiting for the hub's return.
        if task.done():
            task.result()
    try:
        asyncio.run(come_or_end())
    except websockets.ConnectionClosed as closed:
        assert closed.code != 1008, closed.reason
    except (OSError, websockets.WebSocketException):
        pass


class HubLoad:
    """A batch, a grant, a visit and a look at the statistics, of a hub with the faults in it."""

    def __init__(self, world, file="journal"):
        self.world, self.faults = world, Faults(world)
        self.faults.file = file
        self.stage = Stage(world, hub_env=self.faults.env)
        self.granted = set()

    def prepare(self):
        """The file's turn comes with the first commit of a hub that follows one that was ended; else the journal's."""
        self.stage.settle()
        if self.faults.file == "data.mdb":
            self.stage.hub.terminate()
            self.restart()
            self.stage.settle()

    def process(self):
        return self.stage.hub

    def stands(self):
        """One that is about to end may still answer."""
        answers = self.world.run("diagws-stat", "--json", "--timeout", "1s", check=False).returncode == 0
        return answers and "the storage failed, stopping" not in self.stage.hub.said()

    def run(self, name, ids):
        hub = self.stage.hub
        errors = send_batch(self.stage, hub, ids)
        for arguments in (["diagws-owner", "--timeout", "5s", "grant", "other", name],
                          ["diagws-stat", "--timeout", "5s", "--json", "rooms", "--sort", "n"]):
            if hub.popen.poll() is not None:
                return errors
            command = subprocess.Popen(arguments, env={**os.environ, **self.world.env}, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until(lambda: command.poll() is not None or hub.popen.poll() is not None, arguments[0])
            command.kill()
            if command.wait() == 0 and arguments[0] == "diagws-owner":
                self.granted.add(name)
        visit(self.stage, self.stage.edge, name, hub)
        return errors

    def restart(self):
        self.stage.start_hub()

    def judge(self):
        rows = json.loads(self.world.run("diagws-owner", "--json", "list", "other").stdout or "[]")
        assert {row["user_id"] for row in rows} >= self.granted
        assert self.stage.watchers[0].connections == 1, "the client's socket dropped"
        self.stage.judge()


class EdgeLoad:
    """Messages over HTTP and a visit, at an edge with the faults in it."""

    def __init__(self, world):
        self.world, self.faults = world, Faults(world)
        self.stage = Stage(world, edge_env=self.faults.env)

    def prepare(self):
        self.stage.settle()

    def process(self):
        return self.stage.edge

    def stands(self):
        try:
            return self.stage.edge.request("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def run(self, name, ids):
        for id in ids:
            self.stage.try_to_post(id)
        visit(self.stage, self.stage.edge, name, self.stage.edge)

    def restart(self):
        self.stage.start_edge()

    def judge(self):
        self.stage.judge()


def strike(load, name, *fault):
    """One round of the load with the fault in it. True: it came to pass. The process is there afterwards."""
    stage = load.stage
    ids = [f"{name}-{number}" for number in range(BATCH)]
    load.prepare()
    process = load.process()
    before = process.said()
    load.faults.arm(*fault)
    errors = load.run(name, ids)
    _, failed = load.faults.disarm()
    until(lambda: process.popen.poll() is not None or load.stands(), "it to work again, or its end")
    outcome = process.popen.poll()
    if outcome is not None:
        ended(process, before)
        load.restart()
    for id in ids:
        stage.repeat(id)
    return failed > 0, outcome, errors


def count(load, calls):
    """How many such calls one round makes."""
    load.prepare()
    load.faults.arm(calls, 1 << 31, 0, 0)
    load.run(f"count-{calls}", [f"count-{calls}-{number}" for number in range(BATCH)])
    return load.faults.disarm()[0]


def allocations(load, most_once, most_ever):
    every = count(load, ALLOCATE)
    struck = ends = rounds = 0
    for ever, most in ((0, most_once), (1, most_ever)):
        for at in spread(every, most):
            failed, outcome, _ = strike(load, f"{'ever' if ever else 'once'}-{at}", ALLOCATE, at, errno.ENOMEM, ever)
            struck += failed
            ends += outcome is not None
            rounds += 1
    print(f"{every} allocations; {rounds} rounds, {struck} with a fault, {ends} ended the process")
    assert struck > rounds / 2


def test_a_hub_without_memory_forgets_nothing(world):
    load = HubLoad(world)
    load.stage.play(lambda: allocations(load, 10, 5))
    load.judge()


def test_an_edge_without_memory_loses_nothing(world):
    load = EdgeLoad(world)
    load.stage.play(lambda: allocations(load, 10, 5))
    load.judge()


@pytest.mark.parametrize("file", ("journal", "data.mdb"))
@pytest.mark.parametrize("error", (errno.ENOSPC, errno.EIO, TAKES_HALF))
def test_a_store_that_fails_to_write_forgets_nothing(world, error, file):
    load = HubLoad(world, file)
    struck = []

    def scene():
        for calls in (WRITE, SYNC) if error != TAKES_HALF else (WRITE,):
            for at in spread(count(load, calls), 3):
                for ever in (0, 1):
                    failed, outcome, errors = strike(load, f"{calls}-{at}-{ever}", calls, at, error, ever)
                    struck.append(failed)
                    if failed and error == errno.EIO:
                        assert outcome == 74
                    # A full disk is survived, at the head too. The journal's place is taken by the file; when that has
                    # none it is told, but once may have been a cursor's turn.
                    if failed and error == errno.ENOSPC and calls == WRITE:
                        assert outcome is None
                        assert "[DW1103]" not in errors if file == "journal" else "[DW1103]" in errors or not ever or at > 1
    load.stage.play(scene)
    assert sum(struck) > len(struck) / 2
    assert (world.state / "data.mdb").stat().st_blocks * 512 < 16 << 20, "more disk was taken because one took no writes"
    load.judge()
    # What is not written for want of room is not asked for more room.
    assert (world.state / "data.mdb").stat().st_size < 8 << 20
