"""What devices get that were away, what order all see, and what slow clients cost the others.

A device counts as having got something when its PONG came back, which diagws-stat shows as `behind` 0: that is
the condition the tests wait for before they go on.
"""
import asyncio
import json
import socket
import time

import pytest

from conftest import PATIENCE, receive, receive_updates, until, upgraded


def run(coroutine):
    return asyncio.run(coroutine)


def updates(world, room, count, start=0, pad=0, sender=None):
    """Sends so many numbered updates in one batch."""
    lines = (json.dumps({"i": i, "by": sender, "pad": "x" * pad}) for i in range(start, start + count))
    text = "".join(f'{{"data":{line}}}\n' for line in lines)
    world.run("diagws-send", "-l", "-d", room, "-t", "x_update", input=text)


def numbers(messages):
    return [message["data"]["i"] for message in messages]


async def enter(edge, room, token, **query):
    """(socket, data of `connect`, what is replayed)."""
    ws = await edge.connect(room, token, **query)
    hello = await receive(ws)
    assert hello["type"] == "connect", hello
    return ws, hello["data"], await receive_updates(ws, hello["data"]["replaying"])


async def nothing_more(ws):
    await ws.send('{"type":"ping"}')
    assert (await receive(ws))["type"] == "pong"


def devices(world, room):
    return {row["device"]: row for row in world.devices(room)}


def confirmed(world, room, device):
    """The hub knows that this device has got everything."""
    return until(lambda: devices(world, room).get(device, {}).get("behind") == 0, f"{device} to confirm")


def visit(world, edge, room, token, **query):
    """One visit until all was confirmed: (data of `connect`, what came)."""
    async def watch():
        ws, data, got = await enter(edge, room, token, **query)
        await nothing_more(ws)
        await asyncio.to_thread(confirmed, world, room, data["device"])
        await ws.close()
        return data, got
    data, got = run(watch())
    until(lambda: devices(world, room)[data["device"]]["connected"] == 0, "the device to be away")
    return data, got


# ---- away ----

def test_updates_nobody_watches_arrive_on_the_first_connection(clinic):
    updates(clinic, "123", 5)
    data, got = visit(clinic, clinic.the_edge, "123", clinic.alice)
    assert (data["resume"], data["replaying"], numbers(got)) == ("new", 5, list(range(5)))
    assert [message["n"] for message in got] == [1, 2, 3, 4, 5]


def test_of_150_the_newest_100_arrive(clinic):
    updates(clinic, "123", 150)
    data, got = visit(clinic, clinic.the_edge, "123", clinic.alice)
    assert (data["resume"], data["oldest"], numbers(got)) == ("new", got[0]["seq"], list(range(50, 150)))
    assert [message["n"] for message in got] == list(range(51, 151))


@pytest.mark.parametrize("query", [{"device": "phone"}, {}], ids=["named", "derived"])
def test_a_device_gets_what_it_missed(clinic, query):
    """And again what it confirmed within five seconds before it went, but nothing else."""
    other = clinic.edge()
    updates(clinic, "123", 3)
    _, got = visit(clinic, clinic.the_edge, "123", clinic.alice, **query)
    assert numbers(got) == [0, 1, 2]
    updates(clinic, "123", 4, start=3)
    data, got = visit(clinic, other, "123", clinic.alice, **query)
    assert (data["resume"], data["replaying"]) == ("exact", len(got))
    assert numbers(got) == list(range(got[0]["n"] - 1, 7)) and got[0]["n"] <= 4


def test_a_gap_after_a_position_of_the_clients_own_is_exact(world):
    world.hub("--queue-limit", 5)
    edge = world.edge()
    world.grant("123", "alice")
    token = world.token("alice")
    stored = [world.send("note_update", "123", {"i": i}) for i in range(30)]
    # The room itself does not know the place any more.
    async def watch():
        async with edge.connect("123", token, after=stored[9]["seq"], device="phone") as ws:
            hello = await receive(ws)
            assert (hello["data"]["resume"], hello["data"]["replaying"]) == ("gap", 5)
            gap = await receive(ws)
            assert gap["type"] == "gap"
            assert gap["data"] == {"from": 11, "to": 25, "count": 15, "reason": "limit"}
            assert [message["n"] for message in await receive_updates(ws, 5)] == [26, 27, 28, 29, 30]
    run(watch())


def silent_visit(world, edge, token, complete, meanwhile=None):
    """One visit of a client whose stack answers no PING, until `complete` is true of what it got."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=PATIENCE) as raw:
        raw.sendall((f"GET /ws/123?device=phone&token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
        got = b""
        while not complete(got):
            part = raw.recv(65536)
            assert part, got
            got += part
        if meanwhile:
            meanwhile()
        behind = devices(world, "123")["phone"]["behind"]
    until(lambda: devices(world, "123")["phone"]["connected"] == 0, "the device to be away")
    return got, behind


def test_only_what_was_ponged_moves_the_device(clinic):
    """A client whose stack answers no PING gets all of it again."""
    updates(clinic, "123", 3)

    def complete(got):
        return got.count(b"x_update") == 3 and b"\x89" in got[got.rindex(b"x_update"):]

    def confirm():  # which takes longer than to confirm what was written
        visit(clinic, clinic.the_edge, "123", clinic.alice, device="pad")
    assert silent_visit(clinic, clinic.the_edge, clinic.alice, complete, confirm)[1] == 3
    until(lambda: devices(clinic, "123")["phone"]["connected"] == 0, "the device to be away")
    data, got = visit(clinic, clinic.the_edge, "123", clinic.alice, device="phone")
    assert (data["resume"], numbers(got)) == ("exact", [0, 1, 2])


def test_a_gap_is_told_until_it_was_ponged(world):
    """Also where nothing is left to come after it."""
    world.hub("--queue-limit", 2, "--queue-ttl", "1s")
    edge = world.edge()
    world.grant("123", "alice")
    token = world.token("alice")
    updates(world, "123", 1)
    silent_visit(world, edge, token, lambda got: b'"connect"' in got)
    updates(world, "123", 5, start=1)
    until(lambda: world.stat("room", "123")["oldest_queued_s"] >= 1, "all to be over their age")
    for _ in range(2):
        got, _ = silent_visit(world, edge, token, lambda got: b'"gap"' in got and b"\x89" in got[got.rindex(b"gap"):])
        assert b'"from":1,"to":6,"count":6' in got


# ---- order ----

def test_all_clients_see_one_order(clinic):
    """Concurrent senders, two edges, 50 clients: one sequence, n without a hole, seq rising."""
    edges = [clinic.the_edge, clinic.edge()]
    senders, each, clients = 4, 50, 50

    async def watch():
        opened = await asyncio.gather(*(enter(edges[i % 2], "123", clinic.alice, device=f"d{i // 2 % 16}-{i}")
                                        for i in range(clients)))
        sockets = [ws for ws, _, _ in opened]
        sending = [asyncio.to_thread(updates, clinic, "123", each, sender=s) for s in range(senders)]
        everything, *_ = await asyncio.gather(asyncio.gather(*(receive_updates(ws, senders * each) for ws in sockets)),
                                              *sending)
        await asyncio.gather(*(nothing_more(ws) for ws in sockets))
        await asyncio.gather(*(ws.close() for ws in sockets))
        return everything
    everything = run(watch())
    first = everything[0]
    assert all(other == first for other in everything)
    assert [message["n"] for message in first] == list(range(1, senders * each + 1))
    seqs = [message["seq"] for message in first]
    assert all(a < b for a, b in zip(seqs, seqs[1:]))
    for sender in range(senders):
        assert [m["data"]["i"] for m in first if m["data"]["by"] == sender] == list(range(each))


# ---- slow clients ----

class Raw:
    """A client that reads when it is told to: nothing in between takes bytes for it."""

    def __init__(self, edge, room, token, device=None, holds=256 * 1024):
        named = f"device={device}&" if device else ""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, holds)
        self.socket.connect(("127.0.0.1", edge.port))
        self.file = upgraded(self.socket, f"/ws/{room}?{named}token={token}")

    def message(self, patience=30):
        """The next text frame as JSON; a PING is answered. None at the end."""
        self.socket.settimeout(patience)
        deadline = time.monotonic() + patience  # keep-alive PINGs would hold it up for ever
        while True:
            assert time.monotonic() < deadline, "no message came"
            head = self.file.read(2)
            if len(head) < 2:
                return None
            size = head[1]
            if size == 126:
                size = int.from_bytes(self.file.read(2), "big")
            elif size == 127:
                size = int.from_bytes(self.file.read(8), "big")
            body = self.file.read(size)
            if head[0] == 0x81:
                return json.loads(body)
            if head[0] == 0x89:
                self.socket.sendall(bytes([0x8a, 0x80 | size, 0, 0, 0, 0]) + body)
            if head[0] == 0x88:
                return None

    def close(self):
        self.file.close()
        self.socket.close()


def test_a_backlog_beyond_the_hubs_window_arrives(world):
    """24 MiB in large frames: the edge takes them, and says so before the hub waits for it."""
    world.hub("--queue-limit", "1000")
    edge = world.edge()
    world.grant("123", "alice")
    updates(world, "123", 400, pad=60 * 1024)

    async def watch():
        ws, _, got = await enter(edge, "123", world.token("alice"))
        await ws.close()
        return got
    assert numbers(run(watch())) == list(range(400))


def test_a_client_off_the_ring_is_fed_by_the_hub(clinic):
    """6 MiB in messages of 60 KiB: the ring has 4 of them, the sockets' buffers some more, the hub all."""
    count = 100
    slow = Raw(clinic.the_edge, "123", clinic.alice, "slow")
    assert slow.message()["type"] == "connect"

    async def fast():
        ws, _, _ = await enter(clinic.the_edge, "123", clinic.alice, device="fast")
        await asyncio.gather(receive_updates(ws, count), asyncio.to_thread(updates, clinic, "123", count, 0, 60 * 1024))
        await ws.close()
    run(fast())  # what the slow one does not read keeps nobody
    got = [slow.message() for _ in range(count)]
    assert [message["type"] for message in got] == ["x_update"] * count
    assert numbers(got) == list(range(count))
    assert [message["n"] for message in got] == list(range(1, count + 1))
    updates(clinic, "123", 1, start=count)
    assert slow.message()["data"]["i"] == count
    slow.close()


def test_who_never_reads_is_closed_and_stops_nobody(world):
    world.hub("--queue-limit", "1000")  # so that a reader on a busy machine is not overrun
    edge = world.edge("--slow-timeout", "1s")
    world.grant("123", "alice")
    alice = world.token("alice")
    stuck = Raw(edge, "123", alice, "stuck")
    count = 160

    async def watch():
        ws, _, _ = await enter(edge, "123", alice, device="fast")
        got, _ = await asyncio.gather(receive_updates(ws, count),
                                      asyncio.to_thread(updates, world, "123", count, 0, 60 * 1024))
        await asyncio.to_thread(until, lambda: devices(world, "123")["stuck"]["connected"] == 0, "it to be closed")
        await nothing_more(ws)
        await ws.close()
        return got
    got = run(watch())
    assert numbers(got) == list(range(count))
    data, got = visit(world, edge, "123", alice, device="fast", after=got[-1]["seq"])
    assert (data["resume"], got) == ("exact", [])
    stuck.close()


async def come_and_go(edge, room, token, **query):
    """A client who has left when the hub lets it in."""
    text = "&".join(f"{key}={value}" for key, value in query.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write((f"GET /ws/{room}?token={token}&{text} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


def test_who_begins_before_the_others_gets_all_and_nobody_anything_twice(clinic):
    """The edge has of the room what came since its first client, who is ahead of all others: it is sent the rest again
    for whoever comes from further back."""
    edge = clinic.the_edge
    tokens = {"alice": clinic.alice, "bob": clinic.token("bob")}
    clinic.grant("123", "bob")
    updates(clinic, "123", 20)
    clinic.send("x_update", "123", {"i": 20}, "-u", "alice")
    seqs = [message["seq"] for message in edge.request("/ws/messages/123", token=clinic.alice)[2]["messages"]]

    async def watch():
        sockets = [(await enter(edge, "123", clinic.alice, device="first", after="new"))[0]]
        for place, index in enumerate([15, 18, 10, 11, 10, 3, 7, 0]):
            await come_and_go(edge, "123", clinic.alice, device=f"gone{place}", after=seqs[index])
            for user, token in tokens.items():
                ws, _, got = await enter(edge, "123", token, device=f"at{place}", after=seqs[index])
                assert numbers(got) == list(range(index + 1, 21 if user == "alice" else 20))
                sockets.append(ws)
        ws, hello, got = await enter(edge, "123", tokens["bob"], device="new")
        assert (hello["resume"], numbers(got)) == ("new", list(range(20)))
        sockets.append(ws)
        await asyncio.to_thread(updates, clinic, "123", 2, 21)
        for ws in sockets:
            assert numbers(await receive_updates(ws, 2)) == [21, 22]
            await nothing_more(ws)
            await ws.close()
    run(watch())
    assert "hub lost" not in edge.said()
