"""What proves that a device has received something: PONGs, counters, and a client's own acknowledgment."""
import asyncio
import collections
import json
import os
import resource
import struct
import time

import pytest

from conftest import PATIENCE, receive, receive_updates, shared_world, until


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A hub, an edge, and alice."""
    with shared_world(tmp_path_factory) as world:
        world.hub("--queue-limit", 300)
        world.the_edge = world.edge()
        world.alice = world.token("alice")
        yield world


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 8 * PATIENCE))


async def opened(world, room, **query):
    socket = await world.the_edge.connect(room, world.alice, **query)
    hello = await receive(socket)
    assert hello["type"] == "connect", hello
    return socket, hello["data"]


def send(world, room, count=1, pad=0):
    """So many numbered updates in one batch."""
    lines = "".join(json.dumps({"data": {"i": i, "pad": "x" * pad}}) + "\n" for i in range(count))
    world.run("diagws-send", "-l", "-d", room, "-t", "x_update", input=lines)


async def witness(world, room):
    """What one that just connects and answers PINGs has confirmed: by then others' PONGs have been heard, too."""
    socket, _ = await opened(world, room, device="witness", after=0)
    head = (await asyncio.to_thread(world.stat, "room", room))["head"]
    while (await receive(socket)).get("seq") != head:
        pass
    await world.until_confirmed(room, "witness", head)
    await socket.close()


async def acknowledge(socket, seq, **fields):
    await socket.send(json.dumps({"type": "ack", "seq": seq, **fields}))


class Frames:
    """A client that sees every frame, and answers a PING when it is told to."""

    async def open(self, world, room, **query):
        arguments = "&".join(f"{name}={value}" for name, value in {"token": world.alice, **query}.items())
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", world.the_edge.port, limit=1 << 22)
        self.writer.write((f"GET /ws/{room}?{arguments} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
        assert b" 101 " in await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        return self

    async def frame(self, patience=PATIENCE):
        """(opcode, payload) of the next frame."""
        async def read():
            head, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return head & 15, await self.reader.readexactly(size)
        return await asyncio.wait_for(read(), patience)

    async def ping(self):
        """The payload of the next PING, and the texts before it."""
        texts = []
        while True:
            opcode, payload = await self.frame()
            if opcode == 9:
                return payload, texts
            texts.append(json.loads(payload))

    async def ping_behind(self, room, n):
        """The payload of the first PING behind the nth update of a room, and that update. Earlier ones are answered."""
        last = {}
        while True:
            payload, texts = await self.ping()
            last = ([last] + [text for text in texts if text["diagnosis_id"] == int(room) and "seq" in text])[-1]
            if last.get("n") == n:
                return payload, last
            await self.pong(payload)

    async def _send(self, head, payload):
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self.writer.write(bytes([head]) + size + bytes(4) + payload)
        await self.writer.drain()

    async def pong(self, payload):
        await self._send(0x8A, payload)

    async def text(self, **message):
        await self._send(0x81, json.dumps(message).encode())

    def close(self):
        self.writer.close()


# ---- PONGs ----

def test_a_pong_confirms_what_was_written_before_its_ping(site):
    room = site.room("alice")

    async def watch():
        client = await Frames().open(site, room, device="phone")
        assert (await client.frame())[0] == 1
        await asyncio.to_thread(send, site, room, 3)
        payload, last = await client.ping_behind(room, 3)
        tag, _, seq, n = struct.unpack(">cQQQ", payload)
        assert (tag, seq, n) == (b"D", last["seq"], 3)
        assert site.confirmed(room, "phone") < seq
        await client.pong(payload)
        await site.until_confirmed(room, "phone", seq)
        client.close()
    run(watch())


def test_a_pong_that_no_ping_asked_for_confirms_nothing(site):
    room = site.room("alice")

    async def watch():
        client = await Frames().open(site, room, device="phone")
        await client.frame()
        await asyncio.to_thread(send, site, room, 2)
        payload, last = await client.ping_behind(room, 2)
        seq, n = last["seq"], last["n"]
        before = site.confirmed(room, "phone")
        sealed = payload[:9]
        for wrong in (b"", b"x", payload[:-1], payload + b"x", b"E" + payload[1:], struct.pack(">cQ", b"C", 1),
                      os.urandom(125), *(sealed + struct.pack(">QQ", *position) for position in (
                          (seq + 1, n), (2**64 - 1, 2**64 - 1), (seq, n + 1), (seq, n - 1), (seq - 1, n), (seq, 0)))):
            await client.pong(wrong)
        await client.text(type="ping")
        assert json.loads((await client.frame())[1])["type"] == "pong"
        await witness(site, room)
        assert site.confirmed(room, "phone") == before
        assert "confirmation of no position" not in site.processes[0].said()  # the hub was not bothered
        await client.pong(payload)
        await site.until_confirmed(room, "phone", seq)
        client.close()
    run(watch())


def test_pings_are_few_under_load(site):
    """At most one each 250 ms, however much there is to confirm."""
    room = site.room("alice")

    async def watch():
        client = await Frames().open(site, room, device="phone")
        await client.frame()
        began, sender, pings, updates = time.monotonic(), None, 0, 0
        for _ in range(12):
            sender = asyncio.create_task(asyncio.to_thread(send, site, room, 50))
            target = updates + 50
            while updates < target:
                opcode, payload = await client.frame()
                pings += opcode == 9
                updates += opcode == 1
                if opcode == 9:
                    await client.pong(payload)
            await sender
        seconds = time.monotonic() - began
        assert 1 <= pings <= seconds / 0.25 + 1
        client.close()
    run(watch())


@pytest.mark.parametrize("kind", ["answers over and over", "anything"])
def test_pongs_that_no_ping_asked_for_make_pings_no_rarer(site, kind):
    room = site.room("alice")

    async def flood(hostile, payload):
        frame = bytes([0x8A, 0x80 | len(payload)]) + bytes(4) + payload
        for _ in range(100):  # 4,000 a second of all, and of each what it may send
            for each in hostile:
                each.writer.write(frame * 10)
                await each.writer.drain()
            await asyncio.sleep(0.04)

    async def watch():
        *hostile, client = [await Frames().open(site, room, device=f"hostile{i}") for i in range(15)] + [
            await Frames().open(site, room, device="phone")]
        await asyncio.to_thread(send, site, room)
        payload, _ = await hostile[0].ping_behind(room, 1)
        flooding = asyncio.create_task(flood(hostile, payload if kind == "answers over and over" else b"x"))
        began, last, gaps = time.monotonic(), None, []
        while not flooding.done():
            sender = asyncio.create_task(asyncio.to_thread(send, site, room))
            opcode = None
            while opcode != 1:
                opcode, payload = await client.frame()
                if opcode == 9:
                    await client.pong(payload)
                    now = time.monotonic()
                    gaps += [now - last] if last is not None and now > began + 3 else []
                    last = now
            await sender
        await flooding  # none of them was closed
        assert min(gaps) < 0.75, gaps
        for each in (*hostile, client):
            each.close()
    run(watch())


FLOODS = {"pings": b"\x89\x80" + bytes(4), "long pings": b"\x89\xfd" + bytes(129), "fragments": b"\x00\x80" + bytes(4),
          "pongs": b"\x8a\x81" + bytes(5)}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_frames_that_say_nothing_is_read_slowly(site, kind):
    """What a stack may send is read at once; of a flood others hear nothing, and it is heard in the end."""
    room, frame = site.room("alice"), FLOODS[kind]

    async def asked(client, before):
        """Its `ping`, behind so many bytes of the flood, has been answered."""
        flood = frame * (before // len(frame))
        if kind == "fragments":
            client.writer.write(b"\x01\x80" + bytes(4) + flood + b"\x80\x8f" + bytes(4) + b'{"type":"ping"}')
        else:
            client.writer.write(flood)
            await client.text(type="ping")
        while True:
            opcode, payload = await client.frame(4 * PATIENCE)
            if opcode == 1 and json.loads(payload)["type"] == "pong":
                return

    async def watch():
        hostile, client = [await Frames().open(site, room, device=device) for device in ("hostile", "phone")]
        await asked(hostile, 6000)
        flood = asyncio.create_task(asked(hostile, 12000))
        for _ in range(50):
            await asked(client, 0)
        assert not flood.done()
        await flood
        hostile.close()
        client.close()
    run(watch())


# ---- large rooms ----

LARGE, DEVICES = 1040, 16  # clients of a large room, and of one user


async def crowd(world, room):
    """Clients of a large room, each with its `connect` read."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limit), limit))
    users = [f"user-{number}" for number in range(LARGE // DEVICES)]
    world.grant(room, *users)
    tokens = [world.token(user) for user in users]
    clients = [await Frames().open(world, room, token=tokens[number // DEVICES], device=f"d-{number}")
               for number in range(LARGE)]
    for client in clients:
        opcode, text = await client.frame()
        assert opcode == 1
        client.session = int(json.loads(text)["data"]["session"], 16)
    return clients


def test_a_large_room_is_asked_by_turns(site):
    """Its PONGs do not come all at once; each client has its turn, and is asked in the end."""
    room = site.room("alice")

    async def watch():
        clients = await crowd(site, room)
        turns = [[] for _ in clients]  # of each client, what its PINGs asked it to confirm
        news = asyncio.Event()
        got = collections.Counter()    # who has the nth message

        async def read(client, asked):
            while True:
                opcode, payload = await client.frame(8 * PATIENCE)
                if opcode == 9:
                    asked.append(struct.unpack(">cQQQ", payload)[3])
                    await client.pong(payload)
                else:
                    got[json.loads(payload)["n"]] += 1
                    news.set()
        readers = [asyncio.create_task(read(*each)) for each in zip(clients, turns)]
        def asks():
            """How many were asked behind the nth message."""
            return collections.Counter(n for asked in turns for n in asked)
        n = 0

        def fewest():
            """Were asked behind one message; those behind the newest may not have come all."""
            return min(count for behind, count in asks().items() if behind < n)
        # On a busy machine messages may come so rarely that each asks everyone.
        while n == 0 or (fewest() > LARGE / 2 and n < 100):
            for _ in range(5):
                n += 1
                await asyncio.to_thread(send, site, room)
            while got[n] < LARGE:
                news.clear()
                await asyncio.wait_for(news.wait(), PATIENCE)

        def all_confirmed():
            return site.stat("messages", room)[-1]["delivered"] == LARGE
        await asyncio.to_thread(until, all_confirmed, "all to have confirmed the last message")
        for reader in readers:
            reader.cancel()
        for client in clients:
            client.close()
        assert asks()[1] == LARGE  # nothing else came for long: it asks with what is written anyway
        assert fewest() <= LARGE / 2, asks()
        assert max(map(len, turns)) - min(map(len, turns)) <= 1, collections.Counter(map(len, turns))
        # Those who came to sixteen rooms one behind another, and so to one room at every sixteenth place.
        places = collections.defaultdict(set)
        for client, asked in zip(clients, turns):
            places[client.session % 16].add(tuple(asked))
        assert min(map(len, places.values())) > 1
    run(watch())


# ---- more than one room ----

def test_a_counter_confirms_all_rooms_of_a_connection(site):
    one, two = site.room("alice"), site.room("alice")

    async def watch():
        client = await Frames().open(site, one, device="many")
        await client.frame()
        await client.text(type="subscribe", diagnosis_id=int(two))
        await asyncio.to_thread(send, site, one, 2)
        payload, in_one = await client.ping_behind(one, 2)
        await asyncio.to_thread(send, site, two, 3)
        in_two = {}
        while in_two.get("n") != 3:
            opcode, text = await client.frame()
            assert opcode == 1  # one PING at a time: the next comes when this one was answered
            in_two = json.loads(text)
        before = [site.confirmed(room, "many") for room in (one, two)]
        tag, counter = struct.unpack(">cQ", payload)
        assert tag == b"C"
        await client.pong(struct.pack(">cQ", b"C", counter + 1))
        await client.pong(struct.pack(">cQQQ", b"D", 0, in_one["seq"], in_one["n"]))
        await client.pong(struct.pack(">cQQQ", b"D", 0, in_two["seq"], in_two["n"]))
        await witness(site, two)
        assert [site.confirmed(room, "many") for room in (one, two)] == before
        await client.pong(payload)
        await site.until_confirmed(one, "many", in_one["seq"])
        await client.pong((await client.ping())[0])
        await site.until_confirmed(two, "many", in_two["seq"])
        client.close()
    run(watch())


def test_a_late_counter_confirms_nothing_that_came_after_it(site):
    one, two = site.room("alice"), site.room("alice")

    async def watch():
        client = await Frames().open(site, one, device="many")
        await client.frame()
        await client.text(type="subscribe", diagnosis_id=int(two))
        await asyncio.to_thread(send, site, two)
        payload, first = await client.ping_behind(two, 1)
        await asyncio.to_thread(send, site, two)
        opcode, text = await client.frame()
        second = json.loads(text)["seq"]
        assert (opcode, second > first["seq"]) == (1, True)
        await client.pong(payload)
        await site.until_confirmed(two, "many", first["seq"])
        await client.pong((await client.ping())[0])
        await site.until_confirmed(two, "many", second)
        client.close()
    run(watch())


# ---- ack=client ----

def test_with_ack_client_only_the_client_confirms(site):
    room = site.room("alice")

    async def watch():
        socket, _ = await opened(site, room, device="sure", ack="client")
        before = site.confirmed(room, "sure")
        await asyncio.to_thread(send, site, room, 100)
        updates = await receive_updates(socket, 100)
        await witness(site, room)
        assert site.confirmed(room, "sure") == before
        for update in updates[9::10]:
            await acknowledge(socket, update["seq"])
            await site.until_confirmed(room, "sure", update["seq"])
        await socket.close()
    run(watch())


def test_an_ack_counts_when_the_ring_has_dropped_the_message(site):
    room = site.room("alice")

    async def watch():
        socket, _ = await opened(site, room, device="sure", ack="client")
        await asyncio.to_thread(send, site, room, 20, 60 * 1024)
        updates = await receive_updates(socket, 20)
        for number in (2, 3, 17, 19):
            await acknowledge(socket, updates[number]["seq"])
            await site.until_confirmed(room, "sure", updates[number]["seq"])
        await socket.close()
    run(watch())


def test_one_that_acknowledges_resumes_exactly(site):
    """No overlap: nothing comes again that it said it has."""
    room = site.room("alice")

    async def watch():
        socket, _ = await opened(site, room, device="sure", ack="client")
        await asyncio.to_thread(send, site, room, 10)
        updates = await receive_updates(socket, 10)
        await acknowledge(socket, updates[6]["seq"])
        await socket.close()
        socket, data = await opened(site, room, device="sure", ack="client")
        assert (data["resume"], data["replaying"]) == ("exact", 3)
        assert await receive_updates(socket, 3) == updates[7:]
        await socket.close()
    run(watch())


def test_an_ack_on_any_connection_spares_the_repeats(site):
    room = site.room("alice")

    async def watch():
        socket, _ = await opened(site, room, device="phone")
        await asyncio.to_thread(send, site, room, 5)
        updates = await receive_updates(socket, 5)
        await site.until_confirmed(room, "phone", updates[4]["seq"])
        await acknowledge(socket, updates[4]["seq"])
        await socket.close()
        socket, data = await opened(site, room, device="phone")
        assert (data["resume"], data["replaying"]) == ("exact", 0)
        await socket.close()
    run(watch())


def test_an_ack_names_its_room_where_there_are_many(site):
    one, two = site.room("alice"), site.room("alice")

    async def watch():
        socket, _ = await opened(site, one, device="sure", ack="client")
        await socket.send(json.dumps({"type": "subscribe", "diagnosis_id": int(two)}))
        assert (await receive(socket))["type"] == "subscribed"
        await asyncio.to_thread(send, site, two, 4)
        updates = await receive_updates(socket, 4)
        await acknowledge(socket, updates[1]["seq"])
        assert (await receive(socket))["data"]["field"] == "diagnosis_id"
        await acknowledge(socket, updates[1]["seq"], diagnosis_id=999)
        assert (await receive(socket))["data"]["code"] == "not_subscribed"
        await acknowledge(socket, updates[1]["seq"], diagnosis_id=int(two))
        await site.until_confirmed(two, "sure", updates[1]["seq"])
        await acknowledge(socket, updates[3]["seq"] + 1, diagnosis_id=int(two))
        assert (await receive(socket))["data"]["field"] == "seq"
        await acknowledge(socket, 2**62, diagnosis_id=int(two))
        assert (await receive(socket))["data"]["field"] == "seq"
        await socket.close()
    run(watch())


def test_a_hub_restart_forgets_no_acknowledgment(world):
    world.hub()
    world.the_edge = world.edge()
    world.alice = world.user("alice", "1")

    async def watch():
        socket, _ = await opened(world, "1", device="sure", ack="client")
        await asyncio.to_thread(send, world, "1", 6)
        updates = await receive_updates(socket, 6)
        world.processes[0].kill()
        await acknowledge(socket, updates[3]["seq"])
        world.processes[0] = await asyncio.to_thread(world.hub)
        await world.until_confirmed("1", "sure", updates[3]["seq"])
        await asyncio.to_thread(send, world, "1", 1)
        last, = await receive_updates(socket, 1)
        await acknowledge(socket, last["seq"])
        await world.until_confirmed("1", "sure", last["seq"])
        await socket.close()
    run(watch())


# ---- keep-alive ----

def test_heartbeats_tell_the_head_and_silence_ends(site):
    one, two = site.room("alice"), site.room("alice")

    async def watch():
        silent = await Frames().open(site, one, device="silent")
        socket, _ = await opened(site, one, heartbeat=1)
        await socket.send(json.dumps({"type": "subscribe", "diagnosis_id": int(two)}))
        assert (await receive(socket))["type"] == "subscribed"
        await asyncio.to_thread(send, site, two)
        update, = await receive_updates(socket, 1)
        beats = [await receive(socket, 25 + PATIENCE) for _ in range(2)]
        heads = {beat["diagnosis_id"]: beat["data"]["head"] for beat in beats}
        assert {beat["type"] for beat in beats} == {"heartbeat"}
        assert heads[int(two)] == update["seq"] and set(heads) == {int(one), int(two)}
        # A connection that is half open: nothing comes from it, not even the PONG to a keep-alive.
        end = None
        while end is None:
            opcode, payload = await silent.frame(40 + PATIENCE)
            end = payload if opcode == 8 else None
        assert end == struct.pack(">H", 1001) + b"silent"
        silent.close()
        await socket.close()
    run(watch())
