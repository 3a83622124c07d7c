"""Killed at each system call: a hub, and an edge, that end just before any write, sync or send of one publish.

A publish is traced once to count, per thread, the calls that leave something behind: on the disk, in a socket, for
another thread. Then, for each of them, strace kills the process as it enters that call. What follows is always the
same: the process is started again, a stranger's message comes first (it would get a number that was given
but not kept), and the sender, whose first try may have had an answer or not, repeats with the same id.

A short run takes the first, middle and last call of each kind; DIAGWS_FAULT=long takes all.
"""
import asyncio
import collections
import http.client
import json
import os
import pathlib
import re
import subprocess

import pytest
import websockets

from conftest import BIN, PATIENCE, need, until
from history import History

CALLS = "write,writev,pwrite64,pwritev,fdatasync,msync,ftruncate,sendto,sendmsg"
LONG = os.environ.get("DIAGWS_FAULT") == "long"
ROOM = "123"


class Traced:
    """strace on a process, or on one of its threads, while the block runs."""

    def __init__(self, pid, *arguments):
        self.arguments, self.pid = arguments, pid

    def __enter__(self):
        self.strace = subprocess.Popen(["strace", "-qq", *map(str, self.arguments), "-p", str(self.pid)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until(self.attached, "strace")
        return self

    def attached(self):
        assert self.strace.poll() is None, self.strace.stderr.read()
        every = f"/proc/{self.pid}/task" if "-f" in self.arguments else f"/proc/{self.pid}/.."
        tasks = pathlib.Path(every).iterdir() if "-f" in self.arguments else [pathlib.Path(f"/proc/{self.pid}")]
        return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)

    def __exit__(self, *_):
        self.strace.terminate()
        self.strace.wait(PATIENCE)
        self.strace.stderr.close()


def threads(process):
    """Thread ids by what they do: the name ZeroMQ gives its own, main, and the others by their order."""
    roles = {}
    for tid in sorted(int(task.name) for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()):
        name = pathlib.Path(f"/proc/{process.pid}/task/{tid}/comm").read_text().strip()
        roles["main" if tid == process.pid else name if name.startswith("ZMQ") else f"worker{len(roles)}"] = tid
    return roles


def places(process, path, publish):
    """(thread's role, call, N) of all that the process does for one publish."""
    roles = {tid: role for role, tid in threads(process).items()}
    with Traced(process.pid, "-f", "-e", f"trace={CALLS}", "-o", path):
        publish()
    counts = collections.Counter()
    for line in path.read_text().splitlines():
        call = re.match(r"(\d+) +(\w+)\(", line)
        if call:
            counts[roles[int(call[1])], call[2]] += 1
    kinds = sorted(counts.items())
    assert kinds, "the publish shows no calls"
    return [(role, call, n) for (role, call), count in kinds
            for n in (range(1, count + 1) if LONG else sorted({1, (count + 1) // 2, count}))]


def kill_at(process, place, publish):
    """Runs publish() with the process killed at the place. True: it was, False: it did not come by there."""
    role, call, n = place
    with Traced(threads(process)[role], "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}",
                "-o", "/dev/null"):
        publish()
    reached = process.popen.poll() is not None
    process.kill()
    return reached


class Watcher:
    """A device that watches the room, and comes back wherever the edge is now."""

    def __init__(self, history, where, token, device):
        self.history, self.where, self.token, self.device = history, where, token, device
        self.ids = set()
        self.connections = 0
        self.head = None

    async def run(self):
        while True:
            try:
                async with self.where().connect(ROOM, self.token, device=self.device) as socket:
                    await self.read(socket)
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
                await asyncio.sleep(0.02)

    async def read(self, socket):
        connection = self.history.connect(self.device, ROOM)
        self.connections += 1
        try:
            async for text in socket:
                message = json.loads(text)
                connection.message(message)
                self.ids.add(message.get("id"))
        finally:
            connection.closed(socket.close_code)


class Stage:
    """A room with some history, a device that watches it, and the book of what is said."""

    def __init__(self, world, devices=("phone",)):
        self.world = world
        self.history = History()
        self.answers = {}
        self.hub = world.hub("--queue-limit", 10000)
        self.edge = world.edge()
        world.grant(ROOM, "alice")
        self.token = world.token("alice")
        self.watchers = [Watcher(self.history, lambda: self.edge, self.token, device) for device in devices]
        for number in range(5):
            self.send(f"old-{number}")

    def data(self, id):
        return {"for": id, "text": "x" * 300}

    def answered(self, id, answer):
        """Whatever the answer says must be what any earlier one to the same id said."""
        numbers = answer["seq"], answer["n"]
        assert self.answers.setdefault(id, numbers) == numbers, f"{id} was {self.answers[id]}, is {numbers}"
        self.history.answer(id, answer["seq"], answer["n"], answer["duplicate"])
        return answer

    def send(self, id):
        self.history.attempt(id, ROOM)
        return self.answered(id, self.world.send("note_update", ROOM, self.data(id), "--timeout", "20s", "-i", id))

    def try_to_send(self, id, process):
        """One try that ends with an answer, or with the process."""
        self.history.attempt(id, ROOM)
        sender = subprocess.Popen([BIN / "diagws-send", "--json", "--timeout", "20s", "-i", id, "note_update", ROOM,
                                   json.dumps(self.data(id))], env={**os.environ, **self.world.env},
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            until(lambda: sender.poll() is not None or process.popen.poll() is not None, "an answer")
        finally:
            sender.kill()
            output = sender.communicate()[0]
        self.note(id, json.loads(output) if output.endswith("\n") else None)

    def try_to_post(self, id):
        """One try over HTTP, at the edge."""
        self.history.attempt(id, ROOM)
        body = {"diagnosis_id": ROOM, "type": "note_update", "id": id, "data": self.data(id)}
        try:
            status, _, answer = self.edge.request("/ws/broadcast", body, self.token)
        except (OSError, http.client.HTTPException):
            status, answer = None, None
        assert status in (None, 200), answer
        self.note(id, answer)

    def note(self, id, answer):
        if answer is None:
            self.history.failed(id, "no answer")
        else:
            self.answered(id, answer)

    def repeat(self, id):
        """After the restart: a stranger first, then the same id until stored, and once more."""
        known = id in self.answers
        self.send(f"{id}-stranger")
        assert self.send(id)["duplicate"] or not known, f"{id} was acknowledged, then forgotten"
        assert self.send(id)["duplicate"]
        self.all_saw(f"{id}-stranger", id)

    def all_saw(self, *ids):
        for watcher in self.watchers:
            until(lambda: watcher.ids.issuperset(ids), f"{ids} at {watcher.device}")

    def settle(self):
        """As at the start: everybody connected."""
        until(self.edge.ready, "the edge's return")
        until(lambda: self.world.stat("summary")["connections"] == len(self.watchers), "the devices' return")

    def judge(self):
        """A device that was never here sees each message once, without a hole; then the book is closed."""
        connection = self.history.connect("late", ROOM, after=0, own_state=True)
        seen = []

        async def read():
            async with self.edge.connect(ROOM, self.token, device="late", after=0) as socket:
                while len(seen) < len(self.answers):
                    message = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
                    connection.message(message)
                    if "n" in message:
                        seen.append((message["id"], message["seq"], message["n"]))
            connection.closed(1000)
        asyncio.run(read())
        assert [n for _, _, n in seen] == list(range(1, len(self.answers) + 1))
        assert {id: (seq, n) for id, seq, n in seen} == self.answers
        verdict = self.history.judge(final=True)
        for fault in ("lost", "repeated", "out_of_order", "reused", "silent_gap", "phantom"):
            assert not getattr(verdict, fault), f"{fault}: {getattr(verdict, fault)}"

    def play(self, scene):
        """Runs the scene, which may block, while the devices watch."""
        async def run():
            watchers = [asyncio.create_task(watcher.run()) for watcher in self.watchers]
            try:
                await asyncio.to_thread(scene)
            finally:
                for watcher in watchers:
                    watcher.cancel()
                await asyncio.gather(*watchers, return_exceptions=True)
        asyncio.run(run())


def all_places(stage, process, publish, path, restart):
    """Counts, then kills at each; how many of the places were come by."""
    stage.settle()
    every = places(process(), path, lambda: publish("count"))
    reached = 0
    for number, place in enumerate(every):
        id = f"at-{number}-{'-'.join(map(str, place)).replace('/', '.')}"
        stage.settle()
        reached += kill_at(process(), place, lambda: publish(id))
        restart()
        stage.repeat(id)
    print(f"{len(every)} places, killed at {reached}")
    assert reached > len(every) / 2


def test_a_hub_killed_at_any_call_loses_and_repeats_nothing(world, tmp_path):
    need("strace")
    stage = Stage(world)

    def publish(id):
        stage.try_to_send(id, stage.hub)
        until(lambda: id in stage.watchers[0].ids or stage.hub.popen.poll() is not None, "the message, or the end")

    def restart():
        stage.hub = world.hub("--queue-limit", 10000)
    stage.play(lambda: all_places(stage, lambda: stage.hub, publish, tmp_path / "trace", restart))
    assert stage.watchers[0].connections == 1, "the client's socket dropped"
    stage.judge()


def test_an_edge_killed_at_any_call_loses_nothing(world, tmp_path):
    need("strace")
    stage = Stage(world, devices=("phone", "tablet"))

    def publish(id):
        stage.try_to_post(id)
        until(lambda: all(id in watcher.ids for watcher in stage.watchers) or stage.edge.popen.poll() is not None,
              "the message, or the end")

    def restart():
        stage.edge = world.edge()
    stage.play(lambda: all_places(stage, lambda: stage.edge, publish, tmp_path / "trace", restart))
    stage.judge()
