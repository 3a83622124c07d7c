"""What an attacker does: one class an attack, played by attacks.py in a process of its own.

prepare() runs once, before anything is measured; begin() and then turn() again and again run in the attacker's process.
A turn is short, for between two turns it is asked to end. What the servers refuse, close or do not take is no failure
of an attack: it goes on with what it gets. `did` counts what it got through with.
"""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import select
import socket
import struct
import time

import peer as raw
from peer import CLIENT, EDGE, Peer, framed

DIRECT = "crowded"  # the room of direct messages
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def token(servers, user, rooms=(), **claims):
    """As the clinic's login service would sign it."""
    def part(text):
        return base64.urlsafe_b64encode(text).rstrip(b"=")
    body = {"sub": user, "exp": int(time.time()) + 24 * 3600, "diagnoses": list(rooms), **claims}
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(body).encode())
    key = servers.key.read_bytes().rstrip(b"\n")
    return (text + b"." + part(hmac.new(key, text, hashlib.sha256).digest())).decode()


class Attack:
    name = title = ""
    hub_options = ()

    def __init__(self, servers):
        self.servers = servers
        self.did = 0

    def prepare(self):
        pass

    def begin(self):
        pass

    def turn(self):
        time.sleep(0.01)

    def store(self, messages):
        """Raw PUBLISHes, stored and answered."""
        peer, frame = Peer(self.servers.endpoint), b""
        for message in messages:
            frame += message
            if len(frame) > 30_000:
                peer.send(frame)
                peer.settle(0.1)
                frame = b""
        peer.send(frame)
        peer.settle(0.5)
        peer.close()


class Control(Attack):
    """No attack: a core is kept busy for such a share of the time, at which nobody is talked to."""

    def __init__(self, servers, share):
        super().__init__(servers)
        self.share = min(share, 0.95)

    def turn(self):
        end = time.thread_time() + 0.01 * self.share
        while time.thread_time() < end:
            sum(range(500))
        time.sleep(0.01 * (1 - self.share))


class Socket:
    """Non-blocking, TCP; what is to be said goes out as the edge takes it."""

    def __init__(self, servers, hello=b""):
        self.socket = socket.create_connection(("127.0.0.1", servers.port), 5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.out, self.got = hello, b""
        self.socket.setblocking(False)

    def fileno(self):
        return self.socket.fileno()

    def push(self):
        with contextlib.suppress(BlockingIOError):
            self.out = self.out[self.socket.send(self.out):]

    def pull(self):
        """Whether it is still open."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return True
        self.got += data
        return bool(data)

    def close(self):
        self.socket.close()


class Http(Attack):
    """Eight connections that ask again as soon as they are answered, as a service that no limit binds."""

    path = "/readyz"
    connections = 8

    def begin(self):
        who = token(self.servers, "service", scope="publish stat")
        self.request = (f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {who}\r\n\r\n").encode()
        self.open = []

    def take(self, client):
        client.push()
        if not client.pull():
            return False
        head, end, body = client.got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if end and len(body) >= length:
            self.did += head.split(b" ", 2)[1] in (b"200", b"503")
            client.got, client.out = body[length:], self.request
            client.push()
        return True

    def turn(self):
        while len(self.open) < self.connections:
            self.open.append(Socket(self.servers, self.request))
        for client in self.open:
            client.push()
        for client in select.select(self.open, [], [], 0.05)[0]:
            with contextlib.suppress(OSError):
                if self.take(client):
                    continue
            self.open.remove(client)
            client.close()


class Readiness(Http):
    name, title = "readyz", "`/readyz` in a loop from 8 connections"


class Status(Http):
    name, title = "status", "`/ws/status` in a loop from 8 connections, a room of 50 users × 100 direct messages"
    hub_options = "--queue-limit", "1000"  # a room keeps ten times as many direct messages at least
    path = "/ws/status"
    users, each = 50, 100

    def prepare(self):
        edge = Peer(self.servers.endpoint, EDGE)
        for user in range(self.users):
            edge.send(raw.join(user, user + 1, DIRECT, f"u{user}"))
        edge.settle(1)
        self.store(raw.publish(i, DIRECT, to=f"u{i % self.users}") for i in range(self.users * self.each))
        edge.close()


class StatusRoom(Status):
    name, title = "status-room", "the same with a room of 3,000 users × 1 direct message"
    users, each = 3000, 1


def frame(opcode, payload=b""):
    """A client's, masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def frames(data):
    """The server's whole frames, and what is left."""
    found = []
    while len(data) >= 2:
        size, at = data[1], 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at], "big")
        if len(data) < at + size:
            break
        found.append((data[0] & 15, data[at:at + size]))
        data = data[at + size:]
    return found, data


class WebSockets(Attack):
    """Clients with good tokens, of a few users; who is closed comes again."""

    clients, users = 16, 4
    reconnects = 20  # in a turn, at most
    answers = True   # PINGs are answered
    pause = 0.02

    def begin(self):
        self.poll = select.epoll()
        self.open, self.came = {}, 0
        tokens = [token(self.servers, f"attacker{i}", self.rooms(i)) for i in range(self.users)]
        self.asks = [f"GET /ws/{self.rooms(i)[0]}?token={tokens[i]}&device=d{{}} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n" for i in range(self.users)]

    def rooms(self, user):
        return [f"attacked{user}"]

    def connect(self):
        who = self.came % self.users
        client = Socket(self.servers, self.asks[who].format(self.came // self.users % 1000).encode())
        client.upgraded, client.user = False, who
        self.came += 1
        client.push()
        self.open[client.fileno()] = client
        self.poll.register(client, select.EPOLLIN)

    def take(self, client):
        if not client.pull():
            return False
        if not client.upgraded:
            head, end, rest = client.got.partition(b"\r\n\r\n")
            if not end or b" 101 " not in head[:16]:
                return not end
            client.upgraded, client.got = True, rest
        found, client.got = frames(client.got)
        for opcode, payload in found:
            if opcode == PING and self.answers:
                client.out += frame(PONG, payload)
            self.hear(client, opcode, payload)
        return all(opcode != CLOSE for opcode, _ in found)

    def hear(self, client, opcode, payload):
        """A frame of the edge."""

    def say(self, client):
        """What it says next, when all else has been taken."""
        return b""

    def end(self, client):
        self.poll.unregister(client)
        del self.open[client.fileno()]
        client.close()

    def turn(self):
        for _ in range(min(self.reconnects, self.clients - len(self.open))):
            self.connect()
        for number, _ in self.poll.poll(self.pause):
            client = self.open[number]
            with contextlib.suppress(OSError):
                if self.take(client):
                    continue
            self.end(client)
        for client in list(self.open.values()):
            try:
                if client.upgraded and not client.out:
                    client.out = self.say(client)
                    self.did += bool(client.out)
                if client.out:
                    client.push()
            except OSError:
                self.end(client)


class Idle(WebSockets):
    name, title = "idle", "4,000 idle WebSocket connections"
    clients, users, reconnects = 4000, 160, 200

    def begin(self):
        super().begin()
        while len(self.open) < self.clients or not all(c.upgraded for c in self.open.values()):
            self.turn()

    def rooms(self, user):
        return [f"attacked{user % 40}"]

    def turn(self):
        super().turn()
        self.did = len(self.open)


class Pings(WebSockets):
    name, title, pause = "pings", "a flood of PINGs from 16 clients", 0
    flood = frame(PING, b"ping") * 2000

    def say(self, client):
        return self.flood


class Pongs(WebSockets):
    """The positions are those of its last PING with another n: such as nothing was ever sent at."""

    name, title, pause = "pongs", "a flood of forged PONGs from 16 clients", 0
    answers = False

    def begin(self):
        super().begin()
        self.peer, self.sent, self.next = Peer(self.servers.endpoint), 0, 0

    def rooms(self, user):
        return ["attacked"]

    def hear(self, client, opcode, payload):
        if opcode == PING and payload[:1] == b"D":
            client.seal, client.at = payload[1:-16], struct.unpack(">QQ", payload[-16:])

    def say(self, client):
        seq, n = getattr(client, "at", (0, 0))
        return b"".join(frame(PONG, b"D" + getattr(client, "seal", b"") + struct.pack(">QQ", seq - i % 7 if seq > 7 else seq, max(n - i % 100, 0)))
                        for i in range(500))

    def turn(self):
        if time.monotonic() > self.next:
            self.sent += 1
            self.next = time.monotonic() + 0.02
            self.peer.send(raw.publish(self.sent, "attacked", name=f"{os.getpid()}-"))
            self.peer.drop_answers()
        super().turn()


def says(**message):
    return frame(TEXT, json.dumps(message).encode())


class Subscribe(WebSockets):
    name, title, pause = "subscribe", "subscribing and unsubscribing in a loop, 16 clients that come again", 0.001
    flood = b"".join(says(type="subscribe", diagnosis_id=f"room{i}") + says(type="unsubscribe", diagnosis_id=f"room{i}")
                     for i in range(50))

    def rooms(self, user):
        return [f"room{i}" for i in range(50, 51)] + [f"room{i}" for i in range(50)]

    def say(self, client):
        return self.flood


class Acks(Subscribe):
    name, title = "acks", "`ack`s and the smallest messages in a loop, 16 clients that come again"
    flood = (says(type="ack", seq=0) + frame(TEXT, b"{}")) * 60


class Connects(WebSockets):
    """Each leaves when it was let in."""

    name, title, pause = "connects", "new connections in a loop, 50 at a time", 0.001
    clients, users, reconnects = 50, 16, 50

    def hear(self, client, opcode, payload):
        if opcode == TEXT:
            self.did += 1
            raise OSError


class Peers(Attack):
    """Raw peers at the hub's socket that send a frame again and again."""

    count, kind, reads = 1, CLIENT, True
    most = None  # frames of a peer; None: without end

    def frame(self, number):
        raise NotImplementedError

    def begin(self):
        self.peers = []
        while len(self.peers) < self.count:
            self.peers.append(self.connect(len(self.peers)))

    def connect(self, number):
        peer = Peer(self.servers.endpoint, self.kind, number=random.getrandbits(60))
        peer.number, peer.left, peer.sent = number, b"", 0
        return peer

    def push(self, peer):
        """Whether it is still there."""
        for _ in range(32):
            if not peer.left and (self.most is None or peer.sent < self.most):
                peer.left = framed(self.frame(peer.number))
                peer.sent += 1
                self.did += 1
            left = peer.try_send(peer.left) if peer.left else b""
            if left is None or left:
                peer.left = left or b""
                return left is not None
            peer.left = left
        return True

    def turn(self):
        readers = [peer.socket for peer in self.peers if self.reads]
        writers = [peer.socket for peer in self.peers if peer.left or self.most is None or peer.sent < self.most]
        select.select(readers, writers, [], 0.05)
        for i, peer in enumerate(self.peers):
            if not self.push(peer) or (self.reads and peer.drop_answers() is None):
                peer.close()
                self.peers[i] = self.connect(i)
        if not writers:
            time.sleep(0.02)


class StatsUnread(Peers):
    name, title = "stats", "3,000 STATs of 2,000 rooms, never read"
    reads, most = False, 3000

    def prepare(self):
        self.store(raw.publish(i, f"stat{i}") for i in range(2000))

    def frame(self, number):
        return raw.stat(1, "rooms")


class ReadsUnread(Peers):
    name, title = "reads", "10,000 READs of a room of 400 KB, never read"
    kind, reads, most = EDGE, False, 10000

    def prepare(self):
        self.store(raw.publish(i, "read", b'{"a":"' + b"x" * 4000 + b'"}') for i in range(100))

    def frame(self, number):
        return raw.read(1, "read")


class OwnLists(Peers):
    name, title = "own", "a frame of 400 `OWN list` again and again, a registry of 20,000 rows"
    lists = b"".join(raw.own(i, "list") for i in range(400))

    def prepare(self):
        rows = "".join(json.dumps({"diagnosis_id": f"owned{i % 5000}", "user_id": f"user{i}"}) + "\n"
                       for i in range(20_000))
        self.servers.command("diagws-owner", "import", "-", input=rows, timeout=120)

    def frame(self, number):
        return self.lists


class PublishFlood(Peers):
    name, title = "publish", "three publishers that flood 64 KiB messages"
    count = 3
    data = b'{"a":"' + b"x" * 65_000 + b'"}'

    def frame(self, number):
        return raw.publish(self.did, f"flood{self.did % 20}", self.data, name=f"{os.getpid()}-{number}-")


class Unknown(Peers):
    name, title = "unknown", "READs and JOINs of unknown rooms in a flood"
    kind, claimed = EDGE, False

    def frame(self, number):
        room = f"no{random.getrandbits(50)}"
        return b"".join(raw.read(i, room + str(i), claimed=self.claimed) +
                        raw.join(i, i + 1, room + str(i), claimed=self.claimed) for i in range(50))


class Joins(Unknown):
    name, title = "joins", "the same by an edge whose users may, up to its share of 20,000 sessions"
    hub_options = "--max-sessions", "20000"
    claimed = True


class Silent(Attack):
    """Half of them do not even greet."""

    name, title = "silent", "1,100 silent peers at the hub's socket"
    count, kind = 1100, None

    def begin(self):
        self.peers = []
        for _ in range(self.count):
            self.add()

    def add(self):
        with contextlib.suppress(OSError):
            self.peers.append(Peer(self.servers.endpoint, self.kind, greets=len(self.peers) % 2 == 0))
            self.did += 1

    def turn(self):
        time.sleep(0.05)


class Waits(Silent):
    """As many `diagws-send --wait`, whose senders go and come again."""

    name, title = "waits", "1,100 senders with `--wait` of an hour, that go and come again"
    count = 1100

    def add(self):
        with contextlib.suppress(OSError):
            peer = Peer(self.servers.endpoint, CLIENT, number=random.getrandbits(60))
            peer.send(raw.publish(self.did, "nobody", wait=1, wait_ms=3_600_000, name=f"{os.getpid()}-"))
            self.peers.append(peer)
            self.did += 1

    def turn(self):
        for peer in self.peers[:5]:
            peer.close()
        del self.peers[:5]
        for _ in range(min(5, self.count - len(self.peers))):
            self.add()
        time.sleep(0.02)


ATTACKS = [Idle, Status, StatusRoom, Readiness, StatsUnread, ReadsUnread, OwnLists, PublishFlood, Unknown, Joins, Silent, Waits,
           Pings, Pongs, Subscribe, Acks, Connects]
