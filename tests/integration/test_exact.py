"""Nothing is missing in silence, nothing is told twice, and no receipt is false, where a user has a direct message that is
older than what the room keeps; when rights end while an edge sleeps; and for those who acknowledge themselves."""
import asyncio
import concurrent.futures
import contextlib
import json
import os
import signal
import time

import pytest
import websockets

from conftest import PATIENCE, closed, receive, receive_updates, until
from test_commit import Tampered
from test_delivery import Raw
from test_slow import send, take, talk


def publish(world, room, count, **more):
    """Lone messages, each with its receipt."""
    options = [word for name, value in more.items() for word in (f"--{name}", str(value))]
    return [world.send("note_update", room, {"i": i}, *options) for i in range(count)]


@pytest.fixture
def ward(world):
    """alice and bob watch r, of which 5 messages are kept: a direct one to bob older than all others, n 4 to 15 gone."""
    world.hub("--queue-limit", 5)
    world.the_edge = world.edge()
    world.grant("r", "alice", "bob")
    world.alice, world.bob = world.token("alice"), world.token("bob")
    return world


def fill(world):
    """seq 1 to 3 to everyone, 4 to bob, 5 to 21 to everyone: n 1 to 20, of which 16 to 20 are kept."""
    publish(world, "r", 3)
    publish(world, "r", 1, user="bob")
    publish(world, "r", 17)


async def hello_of(socket):
    hello = await receive(socket)
    assert hello["type"] == "connect", hello
    return hello["data"]


def test_a_position_is_not_taken_from_another_users_direct_message(ward):
    fill(ward)

    async def go():
        async with ward.the_edge.connect("r", ward.bob) as bob:
            hello = await hello_of(bob)
            assert (hello["resume"], hello["replaying"]) == ("new", 6)
            got = await receive_updates(bob, 6)
            assert [message.get("n") for message in got] == [None, 16, 17, 18, 19, 20]
            async with ward.the_edge.connect("r", ward.alice, after=4) as alice:
                assert (await hello_of(alice))["resume"] == "gap"
                gap = (await receive(alice))["data"]
                assert (gap["from"], gap["to"], gap["count"], gap["reason"]) == (4, 15, 12, "limit")
                assert [message["n"] for message in await receive_updates(alice, 5)] == [16, 17, 18, 19, 20]
    asyncio.run(go())
    page = ward.the_edge.request("/ws/messages/r?after=4", token=ward.alice)[2]
    assert page["gap"] == {"from": 4, "to": 15, "count": 12, "reason": "limit"}


def test_who_is_frozen_is_told_the_gap_though_the_stream_was_set_back(world):
    """bob's first visit sets the edge's stream back to his old direct message, and the ring is emptied."""
    world.hub("--queue-limit", 5)
    edge = world.edge()
    world.grant("123", "alice", "bob")
    publish(world, "123", 1, user="bob")
    slow = Raw(edge, "123", world.token("alice"), "slow")
    assert slow.message()["type"] == "connect"
    send(world, "123", 40, pad=40 * 1024)  # what is kept of it fits into the ring

    async def go():
        async with edge.connect("123", world.token("bob")) as bob:
            assert (await hello_of(bob))["replaying"] == 6
            await receive_updates(bob, 6)
    asyncio.run(go())
    got = take(slow, 40)
    assert got[0] == 1 and got[-5:] == [36, 37, 38, 39, 40] and [what for what in got if isinstance(what, tuple)]
    slow.close()


def test_what_was_gone_before_a_first_visit_is_not_delivered_by_it(ward):
    """bob confirms all that he got: the newest count, the dropped ones do not."""
    publish(ward, "r", 3)
    publish(ward, "r", 1, user="bob")
    for i in range(17):
        ward.run("diagws-send", "-i", f"m{i}", "note_update", "r", json.dumps({"i": i}))

    async def go():
        async with ward.the_edge.connect("r", ward.bob, device="b") as bob:
            await hello_of(bob)
            await receive_updates(bob, 6)
            again = ("diagws-send", "--json", "--wait", "delivered:1", "--deadline", "300ms", "-i")
            done = await asyncio.to_thread(
                ward.run, *again, "m16", "note_update", "r", json.dumps({"i": 16}), check=False)
            assert (done.returncode, json.loads(done.stdout)["delivered"]) == (0, 1)
            done = await asyncio.to_thread(
                ward.run, *again, "m2", "note_update", "r", json.dumps({"i": 2}), check=False)
            assert (done.returncode, json.loads(done.stdout)["delivered"]) == (75, 0)
    asyncio.run(go())


def test_what_was_told_as_a_gap_is_not_delivered_after_a_restart(world):
    """n 1 to 6 were told as a gap, behind an older direct message; the hub was killed before that was confirmed."""
    hub = world.hub("--queue-limit", 3)
    world.the_edge = world.edge()
    world.alice = world.user("alice", "r")

    def again(number):
        done = world.run("diagws-send", "--json", "--wait", "delivered:1", "--deadline", "300ms", "-i", f"m{number}",
                         "note_update", "r", json.dumps({"i": number}), check=False)
        return done.returncode, json.loads(done.stdout)["delivered"]

    async def visit():
        async with world.the_edge.connect("r", world.alice, device="a") as alice:
            await hello_of(alice)
    asyncio.run(visit())
    publish(world, "r", 1, user="alice")
    for number in range(1, 10):
        world.run("diagws-send", "-i", f"m{number}", "note_update", "r", json.dumps({"i": number}))
    raw = Raw(world.the_edge, "r", world.alice, "a")
    assert raw.message()["data"]["resume"] == "gap"
    assert raw.message()["data"]["to"] == 6
    hub.kill()
    world.hub("--queue-limit", 3)
    until(lambda: [row["connected"] for row in world.devices("r")] == [1], "the edge to return")
    # It answers the PINGs only now.
    assert [raw.message().get("n") for _ in range(4)] == [None, 7, 8, 9]
    publish(world, "r", 1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        more = pool.submit(lambda: [raw.message().get("n") for _ in range(2)])
        until(lambda: [row["behind"] for row in world.devices("r")] == [0], "the cursor")
        assert again(9) == (0, 1)
        assert again(4) == (75, 0)
        publish(world, "r", 1)
        assert more.result(PATIENCE) == [10, 11]
    raw.close()


def test_one_who_was_revoked_while_the_edge_slept_gets_nothing_newer(world):
    """The CLOSE is lost with the hub's patience; the others' return brings the messages."""
    world.hub()
    edge = world.edge()
    names = [f"user{i}" for i in range(12)]
    world.grant("r", *names)
    tokens = {name: world.token(name) for name in names}

    async def go():
        async with contextlib.AsyncExitStack() as stack:
            sockets = {name: await stack.enter_async_context(edge.connect("r", token))
                       for name, token in tokens.items()}
            for socket in sockets.values():
                await hello_of(socket)
            await asyncio.to_thread(publish, world, "r", 1)
            for socket in sockets.values():
                await receive_updates(socket, 1)
            edge.signal(signal.SIGSTOP)
            try:
                await asyncio.to_thread(until, lambda: not world.stat("edges"), "the hub to forget the edge", 30)
                await asyncio.to_thread(world.run, "diagws-owner", "revoke", "r", *names[6:])
                await asyncio.to_thread(publish, world, "r", 5)
            finally:
                edge.signal(signal.SIGCONT)
            for name in names[:6]:
                assert [message["n"] for message in await receive_updates(sockets[name], 5)] == [2, 3, 4, 5, 6]
            for name in names[6:]:
                with contextlib.suppress(websockets.ConnectionClosed):
                    while True:
                        message = await receive(sockets[name])
                        assert not message["type"].endswith("_update"), f"{name}: {message}"
                assert await closed(sockets[name]) == (1008, "access denied")
    asyncio.run(go())


def test_what_a_device_acknowledged_does_not_come_again(clinic):
    """It acknowledges now and then, for longer than the 5 s of those who only answer PINGs, leaves in good order and
    returns."""
    async def go():
        async with clinic.the_edge.connect("123", clinic.alice, device="a", ack="client") as alice:
            await hello_of(alice)
            for _ in range(8):
                due = time.monotonic() + 1.1
                while time.monotonic() < due:
                    await asyncio.to_thread(publish, clinic, "123", 1)
                    last = (await receive_updates(alice, 1))[0]["seq"]
                await alice.send(json.dumps({"type": "ack", "seq": last}))
        await asyncio.to_thread(until, lambda: clinic.devices("123")[0]["connected"] == 0, "the end")
        async with clinic.the_edge.connect("123", clinic.alice, device="a", ack="client") as alice:
            hello = await hello_of(alice)
            assert (hello["resume"], hello["replaying"]) == ("exact", 0)
    asyncio.run(go())


def test_a_gap_of_direct_messages_is_told_once(world):
    """On one connection, over a poll's pages, and to nobody who missed none."""
    world.hub("--queue-limit", 3)
    edge = world.edge()
    world.grant("r", "alice", "bob")
    alice, bob = world.token("alice"), world.token("bob")
    publish(world, "r", 1)
    first = publish(world, "r", 1, user="alice")[0]["seq"]

    async def visit(token, device, count):
        async with edge.connect("r", token, device=device, ack="client") as socket:
            await hello_of(socket)
            seqs = [message["seq"] for message in await receive_updates(socket, count)]
            await socket.send(json.dumps({"type": "ack", "seq": seqs[-1]}))
            await asyncio.to_thread(until, lambda: any(
                row["device"] == device and row["confirmed_seq"] == seqs[-1] for row in world.devices("r")),
                "the ack")

    async def back(token, device, expected):
        async with edge.connect("r", token, device=device, ack="client") as socket:
            await hello_of(socket)
            told = []
            await socket.send('{"type":"ping"}')
            while (message := await receive(socket))["type"] != "pong":
                if message["type"] == "gap":
                    told.append(message["data"])
            await asyncio.to_thread(publish, world, "r", 1, user=token is alice and "alice" or "bob")
            while (message := await receive(socket))["type"] != "note_update":
                told.append(message["data"])
            assert told == expected
    asyncio.run(visit(alice, "a", 2))
    asyncio.run(visit(bob, "b", 1))
    publish(world, "r", 40, user="bob")
    # More direct messages to bob than the room remembers are nothing that alice missed.
    asyncio.run(back(alice, "a", []))
    publish(world, "r", 5, user="alice")
    # She has not acknowledged the one that came last; of the five the last three are kept.
    asyncio.run(back(alice, "a", [{"from": 2, "to": 4, "count": 3, "reason": "limit", "direct": True}]))
    told, after, more = [], first, True
    while more:
        page = edge.request(f"/ws/messages/r?after={after}&limit=1", token=alice)[2]
        told += page.get("direct_gaps", [])
        after, more = page["last"], page["more"]
    assert told == [{"from": 2, "to": 5, "count": 4, "reason": "limit"}]


def test_a_gap_names_nothing_that_just_grew_old(world):
    """The message at after= has passed its age since the hub looked last: what it says is still known."""
    world.hub("--queue-ttl", "1s")
    edge = world.edge()
    world.grant("r", "alice")
    world.grant("other", "alice")
    alice = world.token("alice")
    seq = publish(world, "r", 5)[2]["seq"]

    async def go():
        async with edge.connect("r", alice) as socket:
            await hello_of(socket)
            await receive_updates(socket, 5)
            # To look into that room would make the hub look at its ages.
            await asyncio.to_thread(publish, world, "other", 1)
            await asyncio.to_thread(
                until, lambda: edge.request("/ws/messages/other", token=alice)[2]["messages"] == [], "their age")
            async with edge.connect("r", alice, after=seq) as again:
                assert (await hello_of(again))["resume"] == "gap"
                gap = (await receive(again))["data"]
                assert (gap["from"], gap["to"], gap["reason"]) == (4, 5, "expired")
    asyncio.run(go())


def test_a_device_that_is_new_is_kept_at_once(clinic):
    """In a quiet room: the room's load is one commit, the device's cursor the next, long before the 5 s of others."""
    commits = clinic.stat("summary")["commits"]

    async def go():
        async with clinic.the_edge.connect("123", clinic.alice, device="new") as socket:
            await hello_of(socket)
            await asyncio.to_thread(until, lambda: clinic.stat("summary")["commits"] >= commits + 2, "the commit", 2)
            clinic.processes[0].kill()
    asyncio.run(go())
    clinic.the_edge.kill()
    clinic.hub()
    assert clinic.send("note_update", "123", {}, "--wait", "stored")["devices_queued"] == 1


# ---- of several stays of a device, the newest ----

JOIN_R, LEAVE_R = {"type": "subscribe", "diagnosis_id": "r"}, {"type": "unsubscribe", "diagnosis_id": "r"}


@contextlib.contextmanager
def frozen(process):
    """It does nothing, and what comes to it waits, while the block runs."""
    process.signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


async def say(socket, *messages):
    """Says these, and returns what came until the edge had taken them."""
    for message in (*messages, {"type": "ping"}):
        await socket.send(json.dumps(message))
    came = []
    while (message := await receive(socket))["type"] != "pong":
        came.append(message)
    return came


def counted(world, room):
    return sum(row["connected"] for row in world.devices(room))


def test_a_takeover_does_not_end_who_has_come_anew(clinic):
    """The hub learns at once that the other took r over, and that the first left it and came again: that one stays."""
    clinic.grant_all(["q", "r"], "alice")

    async def go():
        async with clinic.the_edge.connect("123", clinic.alice, device="d") as first, \
                clinic.the_edge.connect("q", clinic.alice, device="d") as other:
            await hello_of(first)
            await hello_of(other)
            await first.send(json.dumps(JOIN_R))
            assert (await receive(first))["type"] == "subscribed"
            with frozen(clinic.processes[0]):
                assert await say(other, JOIN_R) == []
                assert [message["type"] for message in await say(first, LEAVE_R, JOIN_R)] == ["unsubscribed"]
            assert (await receive(other))["type"] == "subscribed"
            told = await receive(other)
            assert (told["type"], told["data"]) == ("unsubscribed", {"reason": "replaced"})
            told = await receive(first)
            assert (told["type"], told["diagnosis_id"]) == ("subscribed", "r"), told
            receipt = (await asyncio.to_thread(publish, clinic, "r", 1))[0]
            assert receipt["clients_notified"] == 1
            assert (await receive_updates(first, 1))[0]["seq"] == receipt["seq"]
            assert await say(first) == await say(other) == []
    asyncio.run(go())
    until(lambda: counted(clinic, "r") == 0, "the hub to count nobody")


def test_who_leaves_before_being_let_in_again_is_not_counted(world, tmp_path):
    """What is fed to the first stay comes while the second waits for a commit, which asks for a place that only the
    engine knows; the client leaves before that."""
    hub = world.hub("--queue-limit", 20)
    edge = world.edge()
    alice = world.user("alice", "123", "r")
    send(world, "r", 60, pad=0)
    forgotten = edge.request("/ws/messages/r", token=alice)[2]["messages"][0]["seq"] - 30
    slow = Raw(edge, "123", alice, "slow")
    assert slow.message()["type"] == "connect"

    def heard(*messages):
        """As say."""
        talk(slow, *messages, {"type": "ping"})
        came = []
        while (message := slow.message())["type"] != "pong":
            came.append(message.get("n", message["type"]))
        return came

    talk(slow, {**JOIN_R, "after": "new"})
    assert slow.message()["type"] == "subscribed"
    send(world, "r", 60)
    with contextlib.ExitStack() as held:
        with frozen(hub):
            while came := heard():
                assert 120 not in came  # it has fallen behind, and the hub is asked for the next
            new = Raw(edge, "123", alice, "new")  # which the commit has to write
            assert heard(LEAVE_R, {**JOIN_R, "after": forgotten}) == ["unsubscribed"]
            held.enter_context(Tampered(hub, tmp_path / "trace", "inject=fdatasync:delay_enter=60000000"))
        assert new.message()["type"] == "connect"  # so what was fed is there, too
        assert heard(LEAVE_R) == ["unsubscribed"]
    publish(world, "123", 1)
    assert counted(world, "r") == 0
    new.close()
    slow.close()


def test_who_was_taken_over_unseen_does_not_come_back(world):
    """Its edge sleeps while the hub is killed and another connection takes its place at the next one."""
    hub = world.hub()
    edge = world.edge()
    world.grant("r", "alice")
    query = {"token": world.token("alice"), "device": "d", "ack": "client"}

    def restart():
        hub.kill()
        world.hub()
        publish(world, "r", 1)
        return world.edge()

    async def acknowledge(socket, n):
        update = (await receive_updates(socket, 1))[0]
        assert update["n"] == n
        await socket.send(json.dumps({"type": "ack", "seq": update["seq"]}))
        await asyncio.to_thread(until, lambda: [row["confirmed_seq"] for row in world.devices("r")] == [
            update["seq"]], "the ack")

    async def go():
        async with edge.connect("r", **query) as old:
            await hello_of(old)
            with frozen(edge):
                second = await asyncio.to_thread(restart)
                new = await second.connect("r", **query)
                assert (await hello_of(new))["replaying"] == 1
                await acknowledge(new, 1)
            with pytest.raises(websockets.ConnectionClosed):
                pytest.fail(f"the old connection was told {await receive(old)}")
            assert (old.close_code, old.close_reason) == (4001, "replaced")
            await asyncio.to_thread(publish, world, "r", 1)
            await acknowledge(new, 2)
            await new.close()
        async with second.connect("r", **query) as new:
            hello = await hello_of(new)
            assert (hello["resume"], hello["replaying"]) == ("exact", 0)
    asyncio.run(go())
