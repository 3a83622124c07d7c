"""What devices get that were away, and what order all see.

A device counts as having got something when its PONG came back, which diagws-stat shows as `behind` 0: that is
the condition the tests wait for before they go on.
"""
import asyncio
import json
import socket

import pytest

from conftest import receive, receive_updates, until


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
    return {row["device"]: row for row in world.stat("devices", room)}


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
def test_a_device_gets_exactly_what_it_missed(clinic, query):
    other = clinic.edge()
    updates(clinic, "123", 3)
    _, got = visit(clinic, clinic.the_edge, "123", clinic.alice, **query)
    assert numbers(got) == [0, 1, 2]
    updates(clinic, "123", 4, start=3)
    data, got = visit(clinic, other, "123", clinic.alice, **query)
    assert (data["resume"], numbers(got)) == ("exact", [3, 4, 5, 6])
    data, got = visit(clinic, clinic.the_edge, "123", clinic.alice, **query)
    assert (data["resume"], data["replaying"], got) == ("exact", 0, [])


def test_only_what_was_ponged_moves_the_device(clinic):
    """A client whose stack answers no PING gets all of it again."""
    updates(clinic, "123", 3)

    async def silent():
        with socket.create_connection(("127.0.0.1", clinic.the_edge.port)) as raw:
            raw.sendall((f"GET /ws/123?device=phone&token={clinic.alice} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode())
            got = b""
            while got.count(b"x_update") < 3 or b"\x89" not in got[got.rindex(b"x_update"):]:
                part = await asyncio.to_thread(raw.recv, 65536)
                assert part
                got += part
            assert devices(clinic, "123")["phone"]["behind"] == 3
    run(silent())
    until(lambda: devices(clinic, "123")["phone"]["connected"] == 0, "the device to be away")
    data, got = visit(clinic, clinic.the_edge, "123", clinic.alice, device="phone")
    assert (data["resume"], numbers(got)) == ("exact", [0, 1, 2])


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
