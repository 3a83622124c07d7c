"""What an edge tells its clients when what goes between it and the hub comes late, not at all or wrong: it has no credit; a
stream was set back for somebody who begins further back than all others; what it gets does not follow.
"""
import asyncio
import contextlib
import json
import subprocess
import sys
import time

import pytest

from conftest import BIN, PATIENCE, ROOT, free_port, receive, receive_updates, until
from frames import (CONFIRM, CREDIT, JOIN, JOINED, MESSAGES, FrameProxy, as_another_session,
                    end_with_the_first_record_again, say_busy)
from proxy import DOWN

sys.path.insert(0, str(ROOT / "tests" / "integration"))

from test_delivery import Raw  # noqa: E402

OLD = 20
PAD = 60 * 1024


@pytest.fixture
def site(world):
    """An edge that reaches its hub through a proxy; senders do not."""
    port = free_port()
    world.hub("--queue-limit", OLD, "--bind", f"tcp://127.0.0.1:{port}")
    world.grant("123", "alice")
    world.grant("456", "alice")
    world.alice = world.token("alice")
    with FrameProxy(("127.0.0.1", port)) as proxy:
        world.proxy = proxy
        world.the_edge = world.edge("--hub", f"tcp://127.0.0.1:{proxy.port}")
        yield world


def send(world, count, pad=0, room="123"):
    """So many updates in one batch; the seq of the last."""
    line = json.dumps({"data": {"pad": "x" * pad}}) + "\n"
    world.run("diagws-send", "-l", "-d", room, "-t", "x_update", input=line * count)
    return world.stat("summary")["head"]


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 6 * PATIENCE))


def test_heartbeats_never_tell_an_older_head(site):
    head = send(site, OLD)

    async def watch():
        first = await site.the_edge.connect("123", site.alice, device="first", after="new", heartbeat="1")
        begun = time.monotonic()
        assert (await receive(first))["data"]["head"] == head
        # The keep-alive is due after 25 s. A hub that is not heard for as long as all of this would be done without.
        await asyncio.to_thread(until, lambda: time.monotonic() > begun + 24, "the keep-alive to be near", 25)
        site.proxy.hold_from(DOWN, MESSAGES)
        second = await site.the_edge.connect("123", site.alice, device="second", after="0")
        assert (await receive(second))["data"]["replaying"] == OLD
        beat = await receive(first)
        assert site.proxy.holds[DOWN] and not second.messages
        site.proxy.let_go(DOWN)
        assert (beat["type"], beat["data"]["head"]) == ("heartbeat", head)
        assert [update["n"] for update in await receive_updates(second, OLD)] == list(range(1, OLD + 1))
        await first.close()
        await second.close()
    run(watch())
    assert "hub lost" not in site.the_edge.said()


@contextlib.contextmanager
def awaited(world, pad=0):
    """One more update, whose sender waits until a device has it."""
    command = [BIN / "diagws-send", "--json", "--wait=delivered:1", "--deadline=15s", "x_update", "123",
               json.dumps({"pad": "x" * pad})]
    sender = subprocess.Popen(command, env=world.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        until(lambda: world.stat()["waiting"] == 1, "the sender to wait")
        yield sender
    finally:
        sender.kill()
        sender.wait(PATIENCE)


def starve(world):
    """The edge's credit is used up, and none comes."""
    world.proxy.keep.add(CREDIT)
    send(world, 300, PAD, "456")
    until(lambda: world.stat("edges")[0]["behind"] > 0, "the hub to wait for credit")


async def set_back_and_trim(world, count):
    """Somebody begins before all others; before anything is sent once more, so many come, and others are dropped."""
    second = await world.the_edge.connect("123", world.alice, device="second", after="0")
    assert (await receive(second))["type"] == "connect"
    await asyncio.to_thread(send, world, count)
    world.proxy.keep.clear()
    return second


async def other_room(world):
    socket = await world.the_edge.connect("456", world.alice, device="other", after="new")
    assert (await receive(socket))["type"] == "connect"
    return socket


def gap_of(message):
    return message["type"], message["data"]["from"], message["data"]["to"]


def confirmed(world, device):
    return {row["device"]: row["confirmed_seq"] for row in world.devices("123")}.get(device, 0)


def test_what_is_dropped_before_the_first_message_is_told(site):
    """Of a room in which there was nothing yet, also when somebody joined it."""
    async def watch():
        other = await other_room(site)
        first = await site.the_edge.connect("123", site.alice, device="first")
        assert (await receive(first))["data"]["resume"] == "new"
        await asyncio.to_thread(starve, site)
        await asyncio.to_thread(send, site, 25)
        site.proxy.keep.clear()
        assert gap_of(await receive(first)) == ("gap", 1, 5)
        assert [update["n"] for update in await receive_updates(first, 20)] == list(range(6, 26))
        for socket in (other, first):
            await socket.close()
    run(watch())


def test_what_was_sent_before_counts_though_it_is_dropped_then(site):
    async def watch():
        send(site, 1)
        other = await other_room(site)
        first = await site.the_edge.connect("123", site.alice, device="first", after="new")
        assert (await receive(first))["type"] == "connect"
        site.proxy.lose.add(CONFIRM)
        await asyncio.to_thread(send, site, 2)
        with awaited(site) as sender:
            await asyncio.to_thread(send, site, 7)
            await receive_updates(first, 10)
            await asyncio.to_thread(starve, site)
            second = await set_back_and_trim(site, 15)
            assert gap_of(await receive(second)) == ("gap", 1, 6)
            assert [update["n"] for update in await receive_updates(second, 20)] == list(range(7, 27))
            assert [update["n"] for update in await receive_updates(first, 15)] == list(range(12, 27))
            site.proxy.lose.clear()
            await asyncio.to_thread(send, site, 1)
            out, _ = await asyncio.to_thread(sender.communicate)
            assert (sender.returncode, json.loads(out)["delivered"]) == (0, 1)
        for socket in (other, first, second):
            await socket.close()
    run(watch())


def test_what_had_not_been_taken_when_it_is_dropped_does_not_count(site):
    """The edge had been sent it, but the client had not: it is told of the gap, and confirms what follows."""
    send(site, 1)
    first = Raw(site.the_edge, "123", site.alice, "first&after=new", holds=64 * 1024)
    assert first.message()["type"] == "connect"

    async def watch():
        other = await other_room(site)
        await asyncio.to_thread(send, site, 9, PAD)
        with awaited(site, PAD) as sender:
            await asyncio.to_thread(send, site, 1, PAD)
            await asyncio.to_thread(starve, site)
            second = await set_back_and_trim(site, 19)
            assert gap_of(await receive(second)) == ("gap", 1, 11)
            assert [update["n"] for update in await receive_updates(second, 20)] == list(range(12, 32))
            got = []
            while not got or got[-1] != 31:
                message = await asyncio.to_thread(first.message)
                got.append(gap_of(message) if message["type"] == "gap" else message["n"])
            taken = len(got) - 21
            assert got == [*range(2, 2 + taken), ("gap", 2 + taken, 11), *range(12, 32)]
            more = asyncio.create_task(asyncio.to_thread(first.message))  # its PING
            head = site.stat("summary")["head"]
            await asyncio.to_thread(until, lambda: confirmed(site, "first") == head, "it to be confirmed")
            assert sender.poll() is None, sender.communicate()
            await asyncio.to_thread(send, site, 1)
            assert (await more)["n"] == 32
        for socket in (other, second):
            await socket.close()
    run(watch())
    first.close()


def test_what_cannot_follow_stops_nothing_that_comes_later(site):
    """The edge takes what it can of it, and introduces itself again."""
    send(site, 9, PAD // 3)
    site.proxy.change[MESSAGES] = end_with_the_first_record_again

    async def watch():
        client = await site.the_edge.connect("123", site.alice, device="first", after="0")
        assert (await receive(client))["data"]["replaying"] == 9
        assert [update["n"] for update in await receive_updates(client, 9)] == list(range(1, 10))
        assert not site.proxy.change and "has a hole" in site.the_edge.said()
        await asyncio.to_thread(until, site.the_edge.ready, "the hub's welcome")
        for n in range(10, 15):
            await asyncio.to_thread(send, site, 1, PAD)
            assert (await receive(client))["n"] == n
        await client.close()
    run(watch())


def test_who_is_behind_when_it_returns_to_a_busy_hub_waits(site):
    """Its JOIN is asked again, and nothing of what it lacks is before the hub counts it."""
    # Of a derived device: the hub that is deceived counts another session of it, too.
    client = Raw(site.the_edge, "123", site.alice)
    assert client.message()["type"] == "connect"
    send(site, OLD, PAD)
    site.proxy.always.update({JOIN: as_another_session, JOINED: say_busy})
    site.proxy.cut()
    until(lambda: site.proxy.changed > 1, "the session to return")
    got = [client.message()["n"] for _ in range(7)]
    until(lambda: site.proxy.changed > 8, "it to ask again and again")
    site.proxy.always.clear()
    while got[-1] != OLD:
        message = client.message()
        assert message is not None, f"closed behind {got}"
        got.append(message["n"])
    assert got == list(range(1, OLD + 1))
    client.close()
