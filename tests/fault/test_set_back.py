"""What an edge tells of a room whose messages come late or not at all: it has no credit, or its stream was set back for
somebody who begins further back than all others.
"""
import asyncio
import json
import time

import pytest

from conftest import PATIENCE, free_port, receive, receive_updates, until
from frames import CREDIT, MESSAGES, FrameProxy
from proxy import DOWN

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


def starve(world):
    """The edge's credit is used up, and none comes."""
    world.proxy.keep.add(CREDIT)
    send(world, 300, PAD, "456")
    until(lambda: world.stat("edges")[0]["behind"] > 0, "the hub to wait for credit")


async def other_room(world):
    socket = await world.the_edge.connect("456", world.alice, device="other", after="new")
    assert (await receive(socket))["type"] == "connect"
    return socket


def gap_of(message):
    return message["type"], message["data"]["from"], message["data"]["to"]


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
