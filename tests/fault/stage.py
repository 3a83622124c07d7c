"""What the fault tests of one process share: a room with some history, devices that watch it and come back, a sender
that repeats, and the book in which all of it is written down and judged.
"""
import asyncio
import http.client
import json
import os
import subprocess

import websockets

from conftest import BIN, PATIENCE, until
from history import History

ROOM = "123"


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

    def __init__(self, world, devices=("phone",), hub_env=None, edge_env=None):
        self.world, self.hub_env, self.edge_env = world, hub_env, edge_env
        self.history = History()
        self.answers = {}
        self.start_hub()
        self.start_edge()
        world.grant(ROOM, "alice")
        self.token = world.token("alice")
        self.watchers = [Watcher(self.history, lambda: self.edge, self.token, device) for device in devices]
        for number in range(5):
            self.send(f"old-{number}")

    def start_hub(self):
        self.hub = self.world.hub("--queue-limit", 10000, env=self.hub_env)

    def start_edge(self):
        self.edge = self.world.edge(env=self.edge_env)

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
        assert status in (None, 200, 503), answer
        self.note(id, answer if status == 200 else None)

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
        self.check()
        self.all_saw(f"{id}-stranger", id)

    def all_saw(self, *ids):
        for watcher in self.watchers:
            until(lambda: watcher.ids.issuperset(ids), f"{ids} at {watcher.device}")

    def settle(self):
        """As at the start: everybody connected."""
        until(self.edge.ready, "the edge's return")
        until(lambda: self.world.stat("summary")["connections"] == len(self.watchers), "the devices' return")

    def check(self, final=False):
        verdict = self.history.judge(final=final)
        assert verdict.ok, "\n".join(verdict.faults)

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
            connection.stayed()
            connection.closed(1000)
        asyncio.run(read())
        assert [n for _, _, n in seen] == list(range(1, len(self.answers) + 1))
        assert {id: (seq, n) for id, seq, n in seen} == self.answers
        self.check(final=True)

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
