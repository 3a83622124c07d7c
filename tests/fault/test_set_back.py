"""A stream that was set back for somebody who begins further back than all others, while what follows is still under way."""
import asyncio
import json
import time

import pytest

from conftest import PATIENCE, free_port, receive, receive_updates, until
from frames import MESSAGES, FrameProxy
from proxy import DOWN

OLD = 20


@pytest.fixture
def site(world):
    """An edge that reaches its hub through a proxy; senders do not."""
    port = free_port()
    world.hub("--queue-limit", OLD, "--bind", f"tcp://127.0.0.1:{port}")
    world.grant("123", "alice")
    world.alice = world.token("alice")
    with FrameProxy(("127.0.0.1", port)) as proxy:
        world.proxy = proxy
        world.the_edge = world.edge("--hub", f"tcp://127.0.0.1:{proxy.port}")
        yield world


def send(world, count):
    """So many updates in one batch; the seq of the last."""
    world.run("diagws-send", "-l", "-d", "123", "-t", "x_update", input='{"data": {}}\n' * count)
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
