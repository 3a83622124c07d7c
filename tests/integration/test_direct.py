"""Who gets a message and for how long: to one user, not to one session, with a time to live."""
import asyncio
import contextlib
import json
import signal

import pytest

from conftest import PATIENCE, receive, receive_updates, until
from test_api import api

GENERAL = "/ws/broadcast"


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 6 * PATIENCE))


@pytest.fixture
def ward(clinic):
    """Bob may watch 123, too."""
    clinic.grant("123", "bob")
    clinic.bob = clinic.token("bob")
    return clinic


@contextlib.asynccontextmanager
async def watching(world, *watchers, **query):
    """A connection for each (token, device), past its `connect`: [(socket, data of `connect`)]."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for token, device in watchers:
            socket = await stack.enter_async_context(world.the_edge.connect("123", token, device=device, **query))
            hello = await receive(socket)
            assert hello["type"] == "connect", hello
            found.append((socket, hello["data"]))
        yield found


async def send(world, number, *options):
    return await asyncio.to_thread(world.send, "note_update", "123", {"number": number}, *options)


async def post(world, number, token=None, **members):
    body = {"diagnosis_id": 123, "type": "note_update", "data": {"number": number}, **members}
    status, _, answer = await asyncio.to_thread(world.the_edge.request, GENERAL, body, token or world.alice)
    assert status == 200, answer
    return answer


async def nothing_more(socket):
    """All that was on its way has come, and it is nothing."""
    await socket.send('{"type":"ping"}')
    assert (await receive(socket))["type"] == "pong"


async def numbers(socket, count):
    return [update["data"]["number"] for update in await receive_updates(socket, count)]


def confirmed(world, device):
    def is_so():
        return any(row["device"] == device and row["behind"] == 0 for row in world.devices("123"))
    until(is_so, f"{device} to confirm")


# ---- to one user ----

def test_a_direct_message_goes_to_all_devices_of_its_user_alone(ward):
    async def go():
        async with watching(ward, (ward.alice, "a1"), (ward.alice, "a2"), (ward.bob, "b")) as (one, two, other):
            receipt = await send(ward, 1, "-u", "alice")
            assert (receipt["n"], receipt["clients_notified"], receipt["devices_queued"]) == (None, 2, 0)
            everyone = await send(ward, 2)
            assert everyone["n"] == 1
            for socket, _ in (one, two):
                direct, general = await receive_updates(socket, 2)
                assert (direct["direct"], "n" in direct, direct["data"]) == (True, False, {"number": 1})
                assert (direct["seq"], direct["id"]) == (receipt["seq"], receipt["id"])
                assert (general["n"], "direct" in general, general["data"]) == (1, False, {"number": 2})
            # Bob gets the other one, and no gap: n has no hole.
            assert await numbers(other[0], 1) == [2]
            await nothing_more(other[0])
    run(go())


def test_a_direct_message_is_queued_for_its_users_devices(ward):
    async def go():
        async with watching(ward, (ward.alice, "a1"), (ward.bob, "b")):
            await send(ward, 0)
            for device in ("a1", "b"):
                await asyncio.to_thread(confirmed, ward, device)
        await asyncio.to_thread(
            until, lambda: ward.stat("room", "123")["connections"] == 0, "both to be away")
        receipt = await send(ward, 1, "-u", "alice")
        assert (receipt["clients_notified"], receipt["devices_queued"]) == (0, 1)
        ward.processes[0].kill()
        ward.processes[0] = await asyncio.to_thread(ward.hub)
        async with watching(ward, (ward.alice, "new"), (ward.bob, "b"), (ward.bob, "newer")) as (alice, bob, newer):
            got = await receive_updates(alice[0], 2)
            assert [(update["data"]["number"], update.get("direct")) for update in got] == [(0, None), (1, True)]
            for socket, hello in (bob, newer):
                for update in await receive_updates(socket, hello["replaying"]):
                    assert update["data"]["number"] == 0
                await nothing_more(socket)
    run(go())


def test_a_direct_message_over_http(ward):
    async def go():
        async with watching(ward, (ward.alice, "a"), (ward.bob, "b")) as (alice, bob):
            answer = await post(ward, 1, user="bob")
            assert (answer["n"], answer["clients_notified"]) == (None, 1)
            assert await numbers(bob[0], 1) == [1]
            await nothing_more(alice[0])
            seen = {}
            for name, token in (("alice", ward.alice), ("bob", ward.bob)):
                _, _, body = await asyncio.to_thread(ward.the_edge.request, "/ws/messages/123", token=token)
                seen[name] = [(message["data"]["number"], message["direct"]) for message in body["messages"]]
                assert (body["gap"], body["last"]) == (None, 1)
            assert seen == {"alice": [], "bob": [(1, True)]}
    run(go())


def test_receipts_count_the_users_devices_alone(ward):
    async def go():
        async with watching(ward, (ward.alice, "a1"), (ward.alice, "a2"), (ward.bob, "b")):
            receipt = await send(ward, 1, "-u", "alice", "--wait=delivered:2", "--deadline=30s")
            assert receipt["delivered"] == 2
            done = await asyncio.to_thread(
                ward.run, "diagws-send", "--json", "-u", "bob", "--wait=delivered:2", "--deadline=1s", "x_update", "123",
                "{}", check=False)
            assert (done.returncode, json.loads(done.stdout)["delivered"]) == (75, 1)
    run(go())


def test_lines_name_their_users(ward):
    lines = [{"data": {"number": 1}, "user": "bob"}, {"data": {"number": 2}, "ttl_s": 3600},
             {"data": {"number": 3}, "user": None}]

    async def go():
        async with watching(ward, (ward.alice, "a"), (ward.bob, "b")) as (alice, bob):
            text = "".join(json.dumps(line) + "\n" for line in lines)
            done = await asyncio.to_thread(ward.run, "diagws-send", "-l", "--json", "-t", "note_update", "-d", "123",
                                           "-u", "alice", input=text)
            assert [json.loads(row)["n"] for row in done.stdout.splitlines()] == [None] * 3
            assert await numbers(alice[0], 2) == [2, 3]
            assert await numbers(bob[0], 1) == [1]
            for socket, _ in (alice, bob):
                await nothing_more(socket)
    run(go())


def test_the_library_sends_to_one_user_and_not_to_one_session(ward):
    async def go():
        async with watching(ward, (ward.alice, "a"), (ward.bob, "b")) as (alice, bob), api(ward) as handle:
            await handle.call("next", None, "bob", None, 0, 0, 0)
            assert (await handle.call("publish", 123, "note_update", '{"number":1}', None))["n"] == 0
            await handle.call("next", None, None, bob[1]["session"], 0, 0, 0)
            assert (await handle.call("publish", 123, "note_update", '{"number":2}', None))["n"] == 1
            assert (await handle.call("publish", 123, "note_update", '{"number":3}', None))["n"] == 2
            assert await numbers(alice[0], 2) == [2, 3]
            assert await numbers(bob[0], 2) == [1, 3]
    run(go())


# ---- not to one session ----

def test_an_excluded_session_gets_no_message_and_no_gap(ward):
    async def go():
        async with watching(ward, (ward.alice, "a1"), (ward.alice, "a2"), (ward.bob, "b")) as (mine, other, bob):
            answer = await post(ward, 1, exclude_session=mine[1]["session"])
            assert (answer["n"], answer["clients_notified"]) == (1, 2)
            await post(ward, 2)
            for socket, _ in (other, bob):
                assert await numbers(socket, 2) == [1, 2]
            (update,) = await receive_updates(mine[0], 1)
            assert (update["data"]["number"], update["n"]) == (2, 2)
            await nothing_more(mine[0])
    run(go())


def test_an_excluded_session_of_nobody_excludes_nobody(ward):
    async def go():
        async with watching(ward, (ward.alice, "a")) as (alice,):
            assert (await post(ward, 1, exclude_session="0123456789abcdef"))["clients_notified"] == 1
            assert await numbers(alice[0], 1) == [1]
    run(go())


# ---- for a time ----

def test_an_expired_message_is_told_as_a_gap(ward):
    async def go():
        for number, ttl in enumerate((None, "1s", "1s", None), 1):
            await send(ward, number, *(["--ttl", ttl] if ttl else []))
        await asyncio.to_thread(
            until, lambda: len(ward.the_edge.request("/ws/messages/123", token=ward.alice)[2]["messages"]) == 2,
            "two to expire")
        async with watching(ward, (ward.alice, "a")) as ((socket, _),):
            assert await numbers(socket, 1) == [1]
            told = []
            while (message := await receive(socket))["type"] == "gap":
                hole = message["data"]
                assert (hole["reason"], hole["count"]) == ("expired", hole["to"] - hole["from"] + 1)
                told += range(hole["from"], hole["to"] + 1)
            assert (told, message["n"]) == ([2, 3], 4)
            await nothing_more(socket)
    run(go())


def test_a_message_in_its_time_is_delivered(ward):
    async def go():
        await send(ward, 1, "--ttl", "1h")
        await post(ward, 2, ttl_s=3600)
        async with watching(ward, (ward.alice, "a")) as ((socket, _),):
            assert await numbers(socket, 2) == [1, 2]
            await post(ward, 3, ttl_s=1)
            assert await numbers(socket, 1) == [3]
    run(go())


def test_an_edge_that_slept_too_long_tells_what_is_lost(world):
    """More direct messages than the hub remembers come while the edge takes nothing."""
    world.hub("--queue-limit", 1)
    world.the_edge = world.edge()
    world.grant("123", "alice")
    alice, count = world.token("alice"), 4000

    async def go():
        async with watching(world, (alice, "a")) as ((socket, _),):
            await send(world, 0, "-u", "alice")
            assert await numbers(socket, 1) == [0]
            world.the_edge.signal(signal.SIGSTOP)
            try:
                lines = "".join(f'{{"data":{{"number":{number}}}}}\n' for number in range(1, count))
                await asyncio.to_thread(world.run, "diagws-send", "-l", "-u", "alice", "-d", "123", "-t", "x_update",
                                        input=lines)
            finally:
                world.the_edge.signal(signal.SIGCONT)
            got = missed = 0
            while got != count - 1:
                message = await receive(socket)
                if message["type"] == "gap":
                    missed += message["data"]["count"]
                    assert message["data"]["direct"]
                else:
                    assert message["data"]["number"] > got
                    skipped, got = message["data"]["number"] - got - 1, message["data"]["number"]
                    assert not skipped or missed, f"{skipped} before {got}"
            assert missed
    run(go())


def test_what_a_gap_named_does_not_come_after_all(world):
    """The edge's ring still has, for another client, what the hub dropped; a direct message older than that waits."""
    world.hub("--queue-limit", 3)
    world.the_edge = world.edge()
    world.grant("123", "alice", "bob")
    alice, bob = world.token("alice"), world.token("bob")

    async def go():
        async with watching(world, (bob, "b")) as ((other, _),):
            async with watching(world, (alice, "a")):
                pass
            await send(world, 0, "-u", "alice")
            for number in range(1, 9):
                await send(world, number)
            await receive_updates(other, 8)
            async with watching(world, (alice, "a")) as ((socket, hello),):
                assert (hello["resume"], hello["replaying"]) == ("gap", 4)
                gap = await receive(socket)
                assert (gap["type"], gap["data"]) == ("gap", {"from": 1, "to": 5, "count": 5, "reason": "limit"})
                assert await numbers(socket, 4) == [0, 6, 7, 8]
                await send(world, 9)
                assert await numbers(socket, 1) == [9]
                await nothing_more(socket)
                await asyncio.to_thread(confirmed, world, "a")
    run(go())


def test_an_edge_that_slept_while_all_was_forgotten_goes_on(world):
    """More direct messages, and more to everyone, than the hub remembers came meanwhile: what it streams goes on ahead
    of all that the edge has."""
    world.hub("--ownership", "claims", "--queue-limit", 5)
    edge = world.edge()
    token = world.token("alice", "--diagnosis", "r")

    def send(count, **more):
        world.run("diagws-send", "-l", input="".join(
            json.dumps({"diagnosis_id": "r", "type": "note_update", "data": {"i": i}, **more}) + "\n"
            for i in range(count)))

    async def main():
        async with edge.connect("r", token, device="d") as ws:
            assert (await receive(ws))["type"] == "connect"
            send(2)
            assert [message["n"] for message in await receive_updates(ws, 2)] == [1, 2]
            edge.signal(signal.SIGSTOP)
            for _ in range(3):
                send(400, user="alice")
                send(20)
            edge.signal(signal.SIGCONT)
            n, gaps = 2, []
            while n < 62:
                message = await receive(ws)
                if message["type"] == "gap" and not message["data"].get("direct"):
                    assert message["data"]["from"] == n + 1
                    n = message["data"]["to"]
                    gaps.append(message["data"]["count"])
                elif message["type"] == "note_update" and message.get("n"):
                    assert message["n"] == n + 1
                    n += 1
            assert sum(gaps) == 55
            send(1)
            while (message := await receive(ws)).get("n") != 63:
                assert message["type"] in ("gap", "note_update"), message
    asyncio.run(main())
    assert edge.said().count("hub lost") < 5
