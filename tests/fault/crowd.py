"""Clients of a busy clinic, as the outside world writes them; each tells the history what it saw.

They are python3-websockets without a line of acknowledgment code, but for those that acknowledge themselves: they come,
read, leave and return at random, stop reading for a while, watch more rooms at once, or poll. What none may ever see,
however processes die, is collected in `odd`.
"""
import asyncio
import base64
import collections
import contextlib
import hashlib
import hmac
import json
import random
import socket as sockets
import time

import websockets

from outages import ANYWHERE

PATIENCE = 5.0
NO_ANSWER = (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, EOFError)
EXPECTED_CLOSES = {1000, 1006, 1012, 1013, 4001}
UNHEARD = {"unavailable", "access_denied"}  # errors that an outage or a revoke explains


def mint(key_file, user, **claims):
    """A token, as the clinic's login service would sign it."""
    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=")
    body = {"sub": user, "exp": int(time.time()) + 24 * 3600, **claims}
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(body).encode())
    return (text + b"." + part(hmac.new(key_file.read_bytes().rstrip(b"\n"), text, hashlib.sha256).digest())).decode()


class Load:
    """What all senders and clients share."""

    def __init__(self, world, history, access, ports, seed):
        self.world, self.history, self.access, self.ports, self.seed = world, history, access, ports, seed
        self.over = asyncio.Event()  # nothing more is sent
        self.users = collections.defaultdict(set)     # room -> who has a device there
        self.present = collections.defaultdict(dict)  # room -> {session: user} of who is connected
        self.closes = collections.Counter()
        self.answers = collections.Counter()
        self.odd = []

    @property
    def sending(self):
        return not self.over.is_set()

    async def pause(self, seconds):
        """So long, or until nothing more is sent."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)

    def random(self, *name):
        return random.Random(f"{self.seed}/{'/'.join(map(str, name))}")

    def refused(self, who, room, user, asked):
        """Told `access denied`: odd unless it may be so."""
        if self.access.may(room, user, asked, time.monotonic()):
            self.odd.append(f"{who} in {room}: refused, though it was let in all the time")


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


class Person:
    """What a client and a poller have in common."""

    def __init__(self, load, number, rooms, user, kind):
        self.load, self.room, self.rooms, self.user, self.kind = load, rooms[0], rooms, user, kind
        self.name = f"{user}/{kind}{number}"
        self.token = mint(load.world.key, user, jti=f"t{number}")
        self.random = load.random("client", number)
        self.wandering = True     # comes and goes; otherwise it stays connected
        self.turn = asyncio.Event()
        self.visits = 0
        for room in rooms:
            load.users[room].add(user)

    def edge(self):
        """(name, port)"""
        number = self.random.randrange(len(self.load.ports))
        return f"edge{number}", self.load.ports[number]

    async def stay_away(self):
        """Mostly it is back at once, now and then it misses a lot."""
        away = self.random.uniform(5, 40) if self.random.random() < 0.1 else self.random.choice((0, 0, 0.05, 0.5, 3))
        await self.load.pause(away * self.random.random())


class Client(Person):
    """One device. kind says how it is known and where it goes on, or what it does:
    `named` ?device=; `derived` a token of its own; `own` keeps ?after= itself; `sure` acknowledges itself, late and in
    part; `slow` has little room for what it does not read; `many` watches more rooms on its connection."""

    def __init__(self, load, number, rooms, user, kind):
        super().__init__(load, number, rooms if kind == "many" else rooms[:1], user, kind)
        self.query = "token=" + self.token
        if kind != "derived":
            self.query += f"&device={kind}{number}"
        if kind == "sure":
            self.query += "&ack=client"
        self.seq = 0
        self.epoch = self.session = None
        self.unacknowledged = []
        self.asked = {}   # room -> when it was asked for

    async def connect(self, port):
        after = f"&after={self.seq}&epoch={self.epoch}" if self.keeps_position() else ""
        sock = sockets.socket()
        try:
            if self.kind == "slow":
                sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port)), PATIENCE)
            return await websockets.connect(
                f"ws://127.0.0.1:{port}/ws/{self.room}?{self.query}{after}", sock=sock, open_timeout=PATIENCE,
                close_timeout=1, max_queue=None, ping_interval=None, compression=None)
        except BaseException:
            sock.close()
            raise

    def keeps_position(self):
        return self.kind == "own" and self.epoch is not None

    async def live(self):
        """Until it is cancelled."""
        while True:
            began, (place, port) = time.monotonic(), self.edge()
            try:
                socket = await self.connect(port)
            except (OSError, asyncio.TimeoutError, websockets.InvalidHandshake, websockets.ConnectionClosed, EOFError):
                await asyncio.sleep(self.random.uniform(0.1, 0.6))
                continue
            own = self.keeps_position()
            seen = self.load.history.connect(self.name, self.room, self.seq if own else None, own, self.user,
                                             place=ANYWHERE if self.kind == "derived" else place, began=began,
                                             acks=self.kind == "sure")
            self.session, self.asked, self.unacknowledged = None, {self.room: began}, []
            try:
                await self.visit(socket, seen)
            finally:
                seen.closed(socket.close_code)
                for room in self.rooms:
                    self.load.present[room].pop(self.session, None)
            if self.wandering:
                await self.stay_away()
            elif socket.close_code != 1000:
                await asyncio.sleep(self.random.uniform(0.1, 0.6))

    async def visit(self, socket, seen):
        """Reads until the server closes, its time is over, or it is told to come anew."""
        self.turn.clear()
        reader = asyncio.ensure_future(self.read(socket, seen))
        tends = asyncio.ensure_future(self.tend(socket, seen))
        leave = asyncio.ensure_future(self.turn.wait())
        stay = self.random.expovariate(1 / 15) if self.wandering else None
        try:
            await asyncio.wait({reader, leave}, timeout=stay, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leave.cancel()
            tends.cancel()
            await asyncio.wait({tends})
            if not reader.done() and self.random.random() < 0.5:
                socket.transport.abort()
            else:
                seen.leaves()
            with contextlib.suppress(websockets.ConnectionClosed):  # it was cut while it closed
                await socket.close()
            await asyncio.wait({reader})
        self.judge_close(socket)
        if not tends.cancelled():
            tends.result()
        reader.result()

    def judge_close(self, socket):
        self.load.closes[f"{socket.close_code} {socket.close_reason}".strip()] += 1
        if socket.close_code == 1008 and socket.close_reason == "access denied":
            now = time.monotonic()
            if all(self.load.access.may(room, self.user, asked, now) for room, asked in self.asked.items()):
                self.load.odd.append(f"{self.name} in {', '.join(self.asked)}: refused, though it may watch")
        elif socket.close_code not in EXPECTED_CLOSES:
            self.load.odd.append(f"{self.name} in {self.room}: closed with {socket.close_code} {socket.close_reason}")

    async def read(self, socket, seen):
        try:
            async for text in socket:
                obj = json.loads(text)
                seen.message(obj)
                self.take(obj, seen)
        except websockets.ConnectionClosed:
            pass

    def take(self, obj, seen):
        kind, room = obj["type"], str(obj.get("diagnosis_id"))
        if kind in ("connect", "subscribed"):
            self.enter(obj)
        elif kind.endswith("_update"):
            self.seq = max(self.seq, obj["seq"])
            self.unacknowledged.append(obj["seq"])
        elif kind in ("unsubscribed", "error"):
            self.leave(obj, room, seen)

    def enter(self, obj):
        data, room = obj["data"], str(obj["diagnosis_id"])
        if data["resume"] == "reset" or data["epoch"] != (self.epoch or data["epoch"]):
            self.load.odd.append(f"{self.name} in {room}: at {self.seq} of {self.epoch}: {data}")
        self.epoch, self.session = data["epoch"], data["session"]
        self.load.present[room][self.session] = self.user
        self.visits += obj["type"] == "connect"

    def leave(self, obj, room, seen):
        """A room is left, was taken away, or refused."""
        said = obj["data"].get("code") or obj["data"].get("reason") or ""
        if said == "not_subscribed" and self.kind == "many":
            return  # it was taken away as it was left, and may have been asked for again
        if obj["type"] == "error" and (self.kind != "many" or said not in UNHEARD):
            self.load.odd.append(f"{self.name} in {self.room}: {obj}")
        if said.replace("_", " ") == "access denied":
            self.load.refused(self.name, room, self.user, self.asked.get(room, 0.0))
        self.asked.pop(room, None)
        seen.unsubscribe(room)
        self.load.present[room].pop(self.session, None)

    async def tend(self, socket, seen):
        """What it does beside reading."""
        try:
            while True:
                await asyncio.sleep(self.random.uniform(0.2, 1.5))
                if self.wandering and self.random.random() < (0.05 if self.kind == "slow" else 0.004):
                    await self.doze(socket, seen)
                if self.kind == "sure" and self.unacknowledged and self.random.random() < 0.5:
                    await self.acknowledge(socket)
                if self.kind == "many" and self.session is not None:
                    await self.change_rooms(socket, seen)
        except websockets.ConnectionClosed:
            pass

    async def doze(self, socket, seen):
        """It reads nothing, not even PINGs."""
        seen.paused()
        socket.transport.pause_reading()
        try:
            await self.load.pause(self.random.uniform(4, 16) if self.kind == "slow" else self.random.uniform(0.5, 8))
        finally:
            socket.transport.resume_reading()
            seen.resumed()

    async def acknowledge(self, socket):
        seq = self.random.choice(self.unacknowledged)
        self.unacknowledged = [other for other in self.unacknowledged if other > seq]
        if socket.open:
            self.load.history.confirm(self.name, self.room, seq)
            await socket.send(json.dumps({"type": "ack", "seq": seq}))

    async def change_rooms(self, socket, seen):
        for room in self.rooms:
            if room not in self.asked:
                self.asked[room] = time.monotonic()
                seen.subscribe(room)
                await socket.send(json.dumps({"type": "subscribe", "diagnosis_id": room}))
            elif self.wandering and len(self.asked) > 1 and self.random.random() < 0.02:
                await socket.send(json.dumps({"type": "unsubscribe", "diagnosis_id": room}))


class Poller(Person):
    """A device that asks over HTTP for what follows what it has, page by page, and waits for more at the end."""

    WAIT = 3

    def __init__(self, load, number, rooms, user, kind):
        super().__init__(load, number, rooms[:1], user, kind)
        self.limit = self.random.randint(2, 20)
        self.seq = 0
        self.epoch = ""

    async def live(self):
        while True:
            began, (place, port) = time.monotonic(), self.edge()
            try:
                status, answer = await asyncio.wait_for(request(
                    port, "GET", f"/ws/messages/{self.room}?after={self.seq}&limit={self.limit}&wait={self.WAIT}s"
                    f"{self.epoch}", self.token), self.WAIT + PATIENCE)
            except NO_ANSWER:
                status = None
            if status == 200:
                self.take(answer, place, began)
            elif status == 403:
                self.load.refused(self.name, self.room, self.user, began)
            elif status not in (None, 503):
                self.load.odd.append(f"{self.name} in {self.room}: {status} {answer}")
            if status != 200:
                await asyncio.sleep(self.random.uniform(0.1, 0.6))
            elif self.wandering and not answer["more"]:
                await self.stay_away()

    def take(self, answer, place, began):
        self.epoch = f"&epoch={answer['epoch']}"
        if len(answer["messages"]) > self.limit or answer.get("reset"):
            self.load.odd.append(f"{self.name} in {self.room}: {len(answer['messages'])} messages on a page of "
                                 f"{self.limit}, reset {answer.get('reset')}")
        self.load.history.connect(self.name, self.room, self.seq, own_state=True, user=self.user, place=place,
                                  began=began, page=True).page(answer, first=self.visits == 0)
        self.seq = max(self.seq, answer["last"])
        self.visits += 1
