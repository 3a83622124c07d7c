"""Senders and clients of a busy clinic, as the outside world writes them; each tells the history what it saw.

Clients are python3-websockets without a line of acknowledgment code: they come, read, leave and return at
random. Senders give every message an id and repeat it until it is answered, over `diagws-send -l` or HTTP.
What neither may ever see, however processes die, is collected in `odd`.
"""
import asyncio
import base64
import collections
import contextlib
import hashlib
import hmac
import json
import random
import time

import websockets

PATIENCE = 5.0
NO_ANSWER = (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, EOFError)
EXPECTED_CLOSES = {1000, 1006, 1012, 1013, 4001}


def mint(key_file, user, **claims):
    """A token, as the clinic's login service would sign it."""
    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=")
    body = {"sub": user, "exp": int(time.time()) + 24 * 3600, **claims}
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(body).encode())
    return (text + b"." + part(hmac.new(key_file.read_bytes().rstrip(b"\n"), text, hashlib.sha256).digest())).decode()


class Load:
    """What all senders and clients share."""

    def __init__(self, world, history, ports, seed):
        self.world, self.history, self.ports, self.seed = world, history, ports, seed
        self.sending = True
        self.present = collections.defaultdict(dict)  # room -> {session: user} of who is connected
        self.closes = collections.Counter()
        self.answers = collections.Counter()
        self.odd = []

    def random(self, *name):
        return random.Random(f"{self.seed}/{'/'.join(map(str, name))}")


async def request(port, method, path, token, body=b""):
    """(status, JSON) of one HTTP call, or any of NO_ANSWER."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        writer.write((f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                      f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in head if line.lower().startswith("content-length:"))
        return int(head[0].split()[1]), json.loads(await reader.readexactly(length))
    finally:
        writer.close()


# ---- clients ----

class Client:
    """One device in one room. kind says how it is known and where it goes on:
    `named` ?device=; `derived` a token of its own; `own` keeps ?after= itself; `sure` acknowledges itself;
    `many` watches `second` as well, now and then."""

    def __init__(self, load, number, room, user, kind, second):
        self.load, self.room, self.user, self.kind, self.second = load, room, user, kind, second
        self.name = f"{user}/{kind}{number}"
        self.query = "token=" + mint(load.world.key, user, jti=f"t{number}")
        if kind != "derived":
            self.query += f"&device={kind}{number}"
        if kind == "sure":
            self.query += "&ack=client"
        self.random = load.random("client", number)
        self.seq = self.epoch = self.session = None
        self.wandering = True     # comes and goes; otherwise it stays connected
        self.turn = asyncio.Event()
        self.visits = 0
        self.subscribed = False   # to the second room

    def url(self):
        after = ""
        if self.kind == "own" and self.epoch is not None:
            after = f"&after={self.seq}&epoch={self.epoch}"
        return f"ws://127.0.0.1:{self.random.choice(self.load.ports)}/ws/{self.room}?{self.query}{after}"

    async def live(self):
        """Until it is cancelled."""
        while True:
            try:
                socket = await websockets.connect(self.url(), open_timeout=PATIENCE, close_timeout=1, max_queue=None,
                                                  ping_interval=None, compression=None)
            except (OSError, asyncio.TimeoutError, websockets.InvalidHandshake, websockets.ConnectionClosed, EOFError):
                await asyncio.sleep(self.random.uniform(0.1, 0.6))
                continue
            own = self.kind == "own" and self.epoch is not None
            seen = self.load.history.connect(self.name, self.room, self.seq if own else None, own, self.user)
            try:
                await self.visit(socket, seen)
            finally:
                seen.closed(socket.close_code)
                self.load.present[self.room].pop(self.session, None)
            if self.wandering:
                await asyncio.sleep(self.random.choice((0, 0, 0.05, 0.5, 3)) * self.random.random())

    async def visit(self, socket, seen):
        """Reads until the server closes, its time is over, or it is told to come anew."""
        self.turn.clear()
        reader = asyncio.ensure_future(self.read(socket, seen))
        leave = asyncio.ensure_future(self.turn.wait())
        stay = self.random.expovariate(1 / 15) if self.wandering else None
        try:
            await asyncio.wait({reader, leave}, timeout=stay, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leave.cancel()
            if not reader.done() and self.random.random() < 0.5:
                socket.transport.abort()
            with contextlib.suppress(websockets.ConnectionClosed):  # it was cut while it closed
                await socket.close()
            await asyncio.wait({reader})
        self.load.closes[socket.close_code] += 1
        if socket.close_code not in EXPECTED_CLOSES:
            self.load.odd.append(f"{self.name} in {self.room}: closed with {socket.close_code} {socket.close_reason}")
        reader.result()

    async def read(self, socket, seen):
        try:
            async for text in socket:
                obj = json.loads(text)
                seen.message(obj)
                await self.take(obj, socket, seen)
        except websockets.ConnectionClosed:
            pass

    async def take(self, obj, socket, seen):
        if obj["type"] in ("connect", "subscribed"):
            await self.enter(obj, socket, seen)
        elif obj["type"].endswith("_update") and self.kind == "sure" and self.random.random() < 0.7:
            self.load.history.confirm(self.name, self.room, obj["seq"])
            await socket.send(json.dumps({"type": "ack", "seq": obj["seq"]}))
        elif obj["type"].endswith("_update") and self.kind == "many":
            if self.subscribed and self.random.random() < 0.02:
                self.subscribed = False
                await socket.send(json.dumps({"type": "unsubscribe", "diagnosis_id": self.second}))
        elif obj["type"].endswith("_update"):
            self.seq = max(self.seq, obj["seq"])
        elif obj["type"] == "unsubscribed" or obj["type"] == "error" and obj["data"]["code"] == "unavailable":
            seen.unsubscribe(self.second)
            await self.subscribe(socket, seen)
        elif obj["type"] == "error":
            self.load.odd.append(f"{self.name} in {self.room}: {obj['data']}")

    async def enter(self, obj, socket, seen):
        data = obj["data"]
        if data["resume"] == "reset" or data["epoch"] != (self.epoch or data["epoch"]):
            self.load.odd.append(f"{self.name} in {obj['diagnosis_id']}: at {self.seq} of {self.epoch}: {data}")
        self.epoch, self.session = data["epoch"], data["session"]
        self.subscribed = obj["type"] == "subscribed"
        self.seq = self.seq or 0
        if obj["type"] == "connect":
            self.visits += 1
            self.load.present[self.room][self.session] = self.user
            if self.kind == "many":
                await self.subscribe(socket, seen)

    async def subscribe(self, socket, seen):
        seen.subscribe(self.second)
        await socket.send(json.dumps({"type": "subscribe", "diagnosis_id": self.second}))


class Poller:
    """A device that asks over HTTP for what follows what it has, and waits for it there."""

    WAIT = 3

    def __init__(self, load, number, room, user):
        self.load, self.room, self.user = load, room, user
        self.name = f"{user}/poll{number}"
        self.token = mint(load.world.key, user, jti=f"t{number}")
        self.random = load.random("client", number)
        self.seq = self.visits = 0
        self.epoch = ""
        self.wandering = True
        self.turn = asyncio.Event()

    async def live(self):
        while True:
            try:
                status, answer = await asyncio.wait_for(request(
                    self.random.choice(self.load.ports), "GET",
                    f"/ws/messages/{self.room}?after={self.seq}&wait={self.WAIT}s{self.epoch}", self.token), self.WAIT + PATIENCE)
            except NO_ANSWER:
                status = None
            if status == 200:
                self.take(answer)
            elif status not in (None, 503):
                self.load.odd.append(f"{self.name} in {self.room}: {status} {answer}")
            if status != 200 or self.wandering:
                await asyncio.sleep(self.random.uniform(0.1, 0.6))

    def take(self, answer):
        """As if it were a connection that begins after what it has."""
        found = answer["messages"]
        self.epoch = f"&epoch={answer['epoch']}"
        first = self.visits == 0
        seen = self.load.history.connect(self.name, self.room, self.seq, own_state=True, user=self.user)
        seen.message({"type": "connect", "data": {
            "head": answer["head"], "oldest": found[0]["seq"] if found else 0, "resume": "new" if first else "exact"}})
        if not first:
            for gap in answer["gaps"]:
                seen.message({"type": "gap", "data": gap})
            if answer.get("direct_gap"):
                seen.message({"type": "gap", "data": {**answer["direct_gap"], "direct": True}})
        for obj in found:
            seen.message(obj)
            self.seq = max(self.seq, obj["seq"])
        seen.stayed()
        seen.closed()
        self.visits += 1


# ---- senders ----

class Source:
    """Makes the messages of one sender: ids that never repeat, sizes from nothing to `large` bytes."""

    def __init__(self, load, name, rooms, large):
        self.load, self.name, self.rooms, self.large = load, name, rooms, large
        self.random = load.random("source", name)
        self.count = 0

    def next(self):
        self.count += 1
        size = self.random.choice((0, 20, 300)) if self.random.random() < 0.98 else self.large
        message = {"diagnosis_id": self.random.choice(self.rooms), "type": "note_update",
                   "data": {"number": self.count, "by": self.name, "pad": "x" * size},
                   "id": f"{self.name}-{self.count}"}
        return message


class Poster:
    """A service that posts at any edge, and again elsewhere until it is answered."""

    def __init__(self, load, number, rooms, pause, large=8000):
        self.load, self.pause = load, pause
        self.source = Source(load, f"post{number}", rooms, large)
        self.random = load.random("poster", number)
        self.token = mint(load.world.key, "service", scope="publish")

    async def live(self):
        while self.load.sending:
            message = self.address(self.source.next())
            self.load.history.attempt(message["id"], message["diagnosis_id"], message.get("user"),
                                      message.get("exclude_session"))
            while not await self.post(message):
                await asyncio.sleep(self.random.uniform(0.05, 0.3))
            await asyncio.sleep(self.random.expovariate(1 / self.pause))

    def address(self, message):
        """Some are for one user, some not for one who is there."""
        present = list(self.load.present[message["diagnosis_id"]].items())
        what = self.random.random()
        if present and what < 0.2:
            message["user"] = self.random.choice(present)[1]
        elif present and what < 0.3:
            message["exclude_session"] = self.random.choice(present)[0]
        return message

    async def post(self, message):
        try:
            status, answer = await asyncio.wait_for(self.request(message), PATIENCE)
        except NO_ANSWER as error:
            self.load.history.failed(message["id"], repr(error))
            self.load.answers["no answer"] += 1
            return False
        self.load.answers[status] += 1
        if status == 200:
            self.load.history.answer(answer["id"], answer["seq"], answer.get("n"), answer["duplicate"])
            return True
        self.load.history.failed(message["id"], status)
        if status not in (429, 503, 504):
            self.load.odd.append(f"{message['id']}: refused with {status} {answer}")
        return False

    async def request(self, message):
        return await request(self.random.choice(self.load.ports), "POST", "/ws/broadcast", self.token,
                             json.dumps(message).encode())


class Batch:
    """A long-lived `diagws-send -l`; when it dies, its successor begins with what was not answered."""

    WINDOW = 64

    def __init__(self, load, number, rooms, pause, slot, large=8000):
        self.load, self.pause, self.slot = load, pause, slot
        self.source = Source(load, f"batch{number}", rooms, large)
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
                    self.load.history.attempt(message["id"], message["diagnosis_id"])
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
            self.open.pop(answer["id"], None)
            self.load.answers["stored"] += 1
