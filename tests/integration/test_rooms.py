"""One connection, many rooms: subscribe and unsubscribe, each authorized, each with a position of its own."""
import asyncio
import json

import pytest

from conftest import PATIENCE, closed, receive, receive_updates, shared_world, until

ROOMS = [str(number) for number in range(500, 570)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A hub, an edge, and alice who may watch many diagnoses; bob is another's doctor."""
    with shared_world(tmp_path_factory) as world:
        world.hub("--ownership", "either")
        world.the_edge = world.edge()
        world.grant_all(ROOMS, "alice")
        world.grant("900", "bob")
        world.alice = world.token("alice")
        yield world


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 6 * PATIENCE))


async def tell(socket, kind, room=None, **fields):
    named = {} if room is None else {"diagnosis_id": int(room)}
    await socket.send(json.dumps({"type": kind, **named, **fields}))


async def opened(world, room, token=None, **query):
    socket = await world.the_edge.connect(room, token or world.alice, **query)
    assert (await receive(socket))["type"] == "connect"
    return socket


async def subscribed(socket, room, **fields):
    """Subscribes, and returns the answer's data."""
    await tell(socket, "subscribe", room, **fields)
    answer = await receive(socket)
    assert (answer["type"], answer["diagnosis_id"]) == ("subscribed", int(room)), answer
    return answer["data"]


async def note(world, room, **data):
    return await asyncio.to_thread(world.send, "note_update", room, data)


def test_each_room_has_its_own_replay_and_order(site):
    one, two, three = site.room("alice"), site.room("alice"), site.room("alice")
    for number in range(3):
        site.send("note_update", two, {"number": number})

    async def watch():
        socket = await opened(site, one, device="many")
        data = await subscribed(socket, two)
        assert (data["resume"], data["replaying"], data["device"], data["user_id"]) == ("new", 3, "many", "alice")
        assert set(data) >= {"message", "timestamp", "diagnosis_id", "session", "epoch", "head", "oldest"}
        replay = await receive_updates(socket, 3)
        assert [(update["diagnosis_id"], update["n"]) for update in replay] == [(int(two), n) for n in (1, 2, 3)]
        assert (await subscribed(socket, three, after="new"))["resume"] == "new"
        for room in (three, one, two, one):
            await note(site, room, of=room)
        updates = await receive_updates(socket, 4)
        assert sorted(update["diagnosis_id"] for update in updates) == sorted(map(int, (three, one, two, one)))
        assert all(str(update["diagnosis_id"]) == update["data"]["of"] for update in updates)
        last = {update["diagnosis_id"]: update["seq"] for update in updates}
        for room in (one, two, three):
            await site.until_confirmed(room, "many", last[int(room)])
        await socket.close()
    run(watch())


def test_a_subscription_begins_after_a_position_of_its_own(site):
    one, two = site.room("alice"), site.room("alice")
    seqs = [site.send("note_update", two, {"number": number})["seq"] for number in range(4)]

    async def watch():
        socket = await opened(site, one)
        data = await subscribed(socket, two, after=seqs[1])
        assert (data["resume"], data["replaying"]) == ("exact", 2)
        assert [update["seq"] for update in await receive_updates(socket, 2)] == seqs[2:]
        await tell(socket, "unsubscribe", two)
        assert (await receive(socket))["type"] == "unsubscribed"
        assert (await subscribed(socket, two, after=seqs[3], epoch="another"))["resume"] == "reset"
        assert [update["seq"] for update in await receive_updates(socket, 4)] == seqs
        await socket.close()
    run(watch())


def test_a_device_resumes_each_room_where_it_was(site):
    one, two = site.room("alice"), site.room("alice")

    async def visit(expected):
        socket = await opened(site, one, device="tablet")
        data = await subscribed(socket, two)
        assert data["replaying"] == expected
        await receive_updates(socket, expected)
        return socket

    async def watch():
        socket = await visit(0)
        seq = (await note(site, two))["seq"]
        await receive_updates(socket, 1)
        await tell(socket, "ack", two, seq=seq)
        await site.until_confirmed(two, "tablet", seq)
        await socket.close()
        await note(site, two)
        await (await visit(1)).close()
    run(watch())


def test_unknown_and_forbidden_are_refused_alike(site):
    async def watch():
        socket = await opened(site, site.room("alice"))
        for room in ("900", "901"):
            await tell(socket, "subscribe", room)
            error = await receive(socket)
            assert (error["type"], error["diagnosis_id"]) == ("error", int(room))
            assert error["data"] == {"code": "access_denied", "message": "access denied"}
        await tell(socket, "ping")
        assert (await receive(socket))["type"] == "pong"
        await socket.close()
    run(watch())


def test_a_claim_of_the_token_lets_in_later_too(site):
    token = site.token("carol", "--diagnosis", "700", "--diagnosis", "701")

    async def watch():
        socket = await opened(site, "700", token)
        await subscribed(socket, "701")
        await tell(socket, "subscribe", "702")
        assert (await receive(socket))["data"]["code"] == "access_denied"
        await note(site, "701", text="x")
        assert (await receive_updates(socket, 1))[0]["diagnosis_id"] == 701
        await socket.close()
    run(watch())


def test_what_was_unsubscribed_is_silent(site):
    one, two = site.room("alice"), site.room("alice")

    async def watch():
        socket = await opened(site, one)
        await subscribed(socket, two)
        await tell(socket, "unsubscribe", one)
        gone = await receive(socket)
        assert (gone["type"], gone["diagnosis_id"], gone["data"]) == ("unsubscribed", int(one), {})
        assert (await note(site, one))["clients_notified"] == 0
        await note(site, two)
        update, = await receive_updates(socket, 1)
        assert update["diagnosis_id"] == int(two)
        await tell(socket, "unsubscribe", two)
        assert (await receive(socket))["type"] == "unsubscribed"
        await tell(socket, "unsubscribe", two)
        assert (await receive(socket))["data"]["code"] == "not_subscribed"
        assert (await subscribed(socket, one, after=0))["replaying"] == 1
        await receive_updates(socket, 1)
        await socket.close()
    run(watch())


def test_sixty_four_rooms_and_no_more(site):
    async def watch():
        socket = await opened(site, ROOMS[0])
        for room in ROOMS[1:64]:
            await subscribed(socket, room)
        await tell(socket, "subscribe", ROOMS[64])
        assert (await receive(socket))["data"]["code"] == "too_many"
        await tell(socket, "unsubscribe", ROOMS[7])
        assert (await receive(socket))["type"] == "unsubscribed"
        await subscribed(socket, ROOMS[64])
        for room in ROOMS[:64]:
            await note(site, room)
        updates = await receive_updates(socket, 63)
        assert len({update["diagnosis_id"] for update in updates}) == 63
        await socket.close()
    run(watch())
    until(lambda: site.stat("summary")["connections"] == 0, "the hub to count none")


def test_replaced_in_one_room_of_several(site):
    one, two = site.room("alice"), site.room("alice")

    async def watch():
        old = await opened(site, one, device="phone")
        await subscribed(old, two)
        new = await opened(site, two, device="phone")
        gone = await receive(old)
        assert (gone["type"], gone["diagnosis_id"], gone["data"]) == ("unsubscribed", int(two), {"reason": "replaced"})
        await note(site, two)
        await note(site, one)
        assert (await receive_updates(new, 1))[0]["diagnosis_id"] == int(two)
        assert (await receive_updates(old, 1))[0]["diagnosis_id"] == int(one)
        again = await opened(site, one, device="phone")
        assert await closed(old) == (4001, "replaced")
        await asyncio.gather(new.close(), again.close())
    run(watch())


def test_revoked_in_one_room_of_several(site):
    one, two = site.room("alice"), site.room("alice")

    async def watch():
        socket = await opened(site, one)
        await subscribed(socket, two)
        await asyncio.to_thread(site.run, "diagws-owner", "revoke", one, "alice")
        gone = await receive(socket)
        assert (gone["type"], gone["diagnosis_id"]) == ("unsubscribed", int(one))
        assert gone["data"] == {"reason": "access denied"}
        await note(site, two)
        assert (await receive_updates(socket, 1))[0]["diagnosis_id"] == int(two)
        await asyncio.to_thread(site.run, "diagws-owner", "revoke", two, "alice")
        assert await closed(socket) == (1008, "access denied")
    run(watch())


def test_subscribing_before_connect_was_told(site):
    one, two = site.room("alice"), site.room("alice")

    async def watch():
        socket = await site.the_edge.connect(one, site.alice)
        await tell(socket, "subscribe", two)
        assert [(await receive(socket))["type"] for _ in range(2)] == ["connect", "subscribed"]
        await note(site, two)
        await receive_updates(socket, 1)
        await socket.close()
    run(watch())


def test_a_killed_hub_loses_no_room(world):
    world.hub()
    world.the_edge = world.edge()
    world.alice = world.user("alice", "1", "2", "3")

    async def watch():
        socket = await opened(world, "1", device="many")
        await subscribed(socket, "2")
        await subscribed(socket, "3")
        for number in range(3):
            for room in ("1", "2", "3"):
                await note(world, room, number=number)
            world.processes[0].kill()
            world.processes[0] = await asyncio.to_thread(world.hub)
        got = {}
        for update in await receive_updates(socket, 9):
            got.setdefault(update["diagnosis_id"], []).append((update["n"], update["data"]["number"]))
        assert got == {room: [(1, 0), (2, 1), (3, 2)] for room in (1, 2, 3)}
        for room in ("1", "2", "3"):
            await world.until_confirmed(room, "many", world.stat("room", room)["head"])
        await socket.close()
    run(watch())


def test_without_a_hub_a_subscription_waits_and_then_fails(clinic):
    clinic.grant("124", "alice")

    async def watch():
        socket = await opened(clinic, "123")
        clinic.processes[0].kill()
        await asyncio.to_thread(until, lambda: not clinic.the_edge.ready(), "the edge to notice")
        await tell(socket, "subscribe", "124")
        error = await receive(socket)
        assert (error["type"], error["data"]["code"], error["diagnosis_id"]) == ("error", "unavailable", 124)
        await asyncio.to_thread(clinic.hub)
        await subscribed(socket, "124")
        await socket.close()
    run(watch())
