"""Processes that are killed, frozen and restarted: no client socket drops, nothing is lost."""
import asyncio
import signal
import socket

from conftest import PATIENCE, closed, receive, receive_updates, until


def note(world, number):
    return world.send("note_update", "123", {"number": number})


def numbers(updates):
    return [update["data"]["number"] for update in updates]


def behind(world, device):
    """How many messages the device has not confirmed; None when it is not known."""
    for row in world.devices("123"):
        if row["device"] == device:
            return row["behind"]
    return None


async def settle(world, device):
    await asyncio.to_thread(until, lambda: behind(world, device) == 0, "the device's confirmation")


def test_a_killed_hub_drops_no_socket_and_no_message(clinic):
    async def watch():
        async with clinic.the_edge.connect("123", clinic.alice, device="a") as one, \
                clinic.the_edge.connect("123", clinic.alice, device="b") as two:
            for client in (one, two):
                await receive(client)
            for round_ in range(3):
                await asyncio.to_thread(note, clinic, 2 * round_)
                clinic.processes[0].kill()
                clinic.processes[0] = await asyncio.to_thread(clinic.hub)
                await asyncio.to_thread(note, clinic, 2 * round_ + 1)
            for client in (one, two):
                updates = await receive_updates(client, 6)
                assert numbers(updates) == list(range(6))
                assert [update["n"] for update in updates] == list(range(1, 7))
    asyncio.run(watch())


def test_what_was_queued_outlives_the_hub(clinic):
    for number in range(5):
        note(clinic, number)
    clinic.processes[0].kill()
    clinic.processes[0] = clinic.hub()
    until(clinic.the_edge.ready, "the edge's return")

    async def watch():
        async with clinic.the_edge.connect("123", clinic.alice) as client:
            assert (await receive(client))["data"]["replaying"] == 5
            assert numbers(await receive_updates(client, 5)) == list(range(5))
    asyncio.run(watch())


def test_a_hub_that_is_told_to_stop_keeps_cursors(clinic):
    async def visit(expected):
        async with clinic.the_edge.connect("123", clinic.alice, device="phone") as client:
            connect = await receive(client)
            assert numbers(await receive_updates(client, len(expected))) == expected
            if expected:
                await settle(clinic, "phone")
            return connect["data"]
    note(clinic, 1)
    assert asyncio.run(visit([1]))["resume"] == "new"
    assert clinic.processes[0].terminate() == 0
    clinic.processes[0] = clinic.hub()
    until(clinic.the_edge.ready, "the edge's return")
    # What it confirmed within the last five seconds comes again.
    assert asyncio.run(visit([1]))["resume"] == "exact"
    note(clinic, 2)
    assert asyncio.run(visit([1, 2]))["replaying"] == 2


def test_a_frozen_hub_drops_no_socket(clinic):
    hub = clinic.processes[0]

    async def watch():
        async with clinic.the_edge.connect("123", clinic.alice) as client:
            await receive(client)
            hub.signal(signal.SIGSTOP)
            sender = asyncio.create_task(asyncio.to_thread(
                clinic.run, "diagws-send", "--timeout", "20s", "note_update", "123", '{"number":1}'))
            await asyncio.to_thread(until, lambda: not clinic.the_edge.ready(), "the edge to notice")
            assert client.open
            hub.signal(signal.SIGCONT)
            assert numbers(await receive_updates(client, 1)) == [1]
            await sender
    asyncio.run(watch())


def test_a_killed_edge_loses_nothing(clinic):
    async def watch():
        other = await asyncio.to_thread(clinic.edge)
        async with clinic.the_edge.connect("123", clinic.alice, device="phone") as client:
            await receive(client)
            await asyncio.to_thread(note, clinic, 1)
            await receive_updates(client, 1)
            await settle(clinic, "phone")
            clinic.the_edge.kill()
            assert (await closed(client))[0] == 1006
        await asyncio.to_thread(note, clinic, 2)
        async with other.connect("123", clinic.alice, device="phone") as client:
            assert (await receive(client))["data"]["resume"] == "exact"
            # What it confirmed within the last five seconds comes again.
            assert numbers(await receive_updates(client, 2)) == [1, 2]
    asyncio.run(watch())


def test_one_that_leaves_while_it_is_let_in_is_not_counted(clinic):
    """Closed by a binary frame that comes right behind the upgrade, while the hub is still asked."""
    upgrade = ("GET /ws/123?token={token}&device=d{number} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
    for number in range(30):
        with socket.create_connection(("127.0.0.1", clinic.the_edge.port), timeout=PATIENCE) as client:
            client.sendall(upgrade.format(token=clinic.alice, number=number).encode() + b"\x82\x81\0\0\0\0x")
            got = b""
            while b"text frames only" not in got:
                piece = client.recv(4096)
                assert piece, got
                got += piece
    until(lambda: clinic.stat("summary")["connections"] == 0, "the hub to count none")
