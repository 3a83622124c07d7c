"""Senders of a busy clinic: each gives every message an id and repeats it until it is answered, over `diagws-send -l`
or HTTP, and tells the history what it was told. Some wait until devices have it. `rooms` has their rates.
"""
import asyncio
import collections
import contextlib
import json

from crowd import NO_ANSWER, PATIENCE, mint, request


class Source:
    """Makes the messages of one sender: ids that never repeat, sizes from nothing to `large` bytes. A few rooms get
    most. Some are to one user who has a device there, or has not, some not for one session, some not for long."""

    def __init__(self, load, name, rooms, large=8000):
        self.load, self.name, self.large = load, name, large
        self.rooms, self.weights = list(rooms), list(rooms.values())
        self.random = load.random("source", name)
        self.count = 0

    def next(self):
        self.count += 1
        room = self.random.choices(self.rooms, self.weights)[0]
        message = {"diagnosis_id": room, "type": "note_update", "id": f"{self.name}-{self.count}"}
        what, present = self.random.random(), list(self.load.present[room])
        if what < 0.25:
            message["user"] = self.random.choice(sorted(self.load.users[room]))
        if present and 0.23 < what < 0.33:
            message["exclude_session"] = self.random.choice(present)
        if self.random.random() < 0.15:
            message["ttl_s"] = self.random.randint(1, 5)
        size = self.random.choice((0, 20, 300)) if self.random.random() < 0.93 else self.large
        message["data"] = {"number": self.count, "by": self.name, "pad": "x" * size}
        self.load.history.attempt(message["id"], room, message.get("user"), message.get("exclude_session"),
                                  message.get("ttl_s"))
        return message


class Poster:
    """A service that posts at any edge, and again elsewhere until it is answered. One that waits is told on how many
    devices its message is, and asks that once more of earlier ones."""

    KEPT = 100  # of which it asks
    ALL = 1000  # devices, more than there are: all that have it are told of

    def __init__(self, load, number, rooms, pause, waits=False):
        self.load, self.pause, self.waits = load, pause, waits
        self.source = Source(load, f"{'wait' if waits else 'post'}{number}", rooms)
        self.random = load.random("poster", self.source.name)
        self.token = mint(load.world.key, "service", scope="publish")

    async def live(self):
        sent = collections.deque(maxlen=self.KEPT)
        while self.load.sending:
            message = self.source.next()
            while not await self.post(message, self.random.randint(1, 4), self.random.choice((0.5, 2.0, 8.0))):
                await asyncio.sleep(self.random.uniform(0.05, 0.3))
            sent.append(message)
            if self.waits:
                await self.post(self.random.choice(sent), self.ALL, 0.3)
            await self.load.pause(self.random.expovariate(1 / self.pause))

    async def post(self, message, devices, deadline):
        wait = f"?wait=delivered:{devices}&deadline={int(deadline * 1000)}ms" if self.waits else ""
        try:
            status, answer = await asyncio.wait_for(request(
                self.random.choice(self.load.ports), "POST", "/ws/broadcast" + wait, self.token,
                json.dumps(message).encode()), PATIENCE + (deadline if self.waits else 0.0))
        except NO_ANSWER as error:
            self.load.history.failed(message["id"], repr(error))
            self.load.answers["no answer"] += 1
            return False
        self.load.answers[status] += 1
        if status == 200 or status == 504 and "seq" in answer:
            self.load.history.answer(answer["id"], answer["seq"], answer.get("n"), answer.get("duplicate", False))
            if self.waits:
                self.load.history.delivered(answer["id"], answer["delivered"])
            return True
        self.load.history.failed(message["id"], status)
        if status not in (429, 503, 504):
            self.load.odd.append(f"{message['id']}: refused with {status} {answer}")
        return False


class Batch:
    """A long-lived `diagws-send -l`; when it dies, its successor begins with what was not answered."""

    WINDOW = 64

    def __init__(self, load, number, rooms, pause, slot):
        self.load, self.pause, self.slot = load, pause, slot
        self.source = Source(load, f"batch{number}", rooms)
        self.random = load.random("batch", number)
        self.open = {}  # id -> line, in order

    async def live(self):
        while self.load.sending or self.open:
            process = await self.slot.spawn()
            feed = asyncio.ensure_future(self.feed(process))
            try:
                await self.answers(process)
            finally:
                feed.cancel()
                await asyncio.gather(feed, return_exceptions=True)
                with contextlib.suppress(OSError):
                    process.stdin.close()
                    await process.stdin.wait_closed()
            for id in self.open:
                self.load.history.failed(id, "sender ended")
            await self.slot.ended()

    async def feed(self, process):
        try:
            for line in list(self.open.values()):
                process.stdin.write(line)
            while self.load.sending or self.open:
                if self.load.sending and len(self.open) < self.WINDOW:
                    message = self.source.next()
                    line = json.dumps(message).encode() + b"\n"
                    self.open[message["id"]] = line
                    process.stdin.write(line)
                await process.stdin.drain()
                await asyncio.sleep(self.random.expovariate(1 / self.pause))
            process.stdin.close()
        except OSError:  # it is gone: what is open goes to the next one
            pass

    async def answers(self, process):
        while True:
            line = await process.stdout.readline()
            if not line.endswith(b"\n"):
                return  # a last half line of a killed one is no answer
            answer = json.loads(line)
            self.load.history.answer(answer["id"], answer["seq"], answer["n"], answer["duplicate"])
            if answer["delivered"] is not None:
                self.load.history.delivered(answer["id"], answer["delivered"])
            self.open.pop(answer["id"], None)
            self.load.answers["stored"] += 1
