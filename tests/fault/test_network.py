"""A bad network, between clients and the edge and between the edge and the hub: nothing is lost, nothing is silent.

A stream of messages runs through a room while the line is cut, reset, half open, held, delayed, or passes single bytes
(proxy.py), and while a link between network namespaces of our own is taken down. Clients come back whenever they
notice, as devices that keep no state; the history checker judges what they got.

NETWORK_ROUNDS says how often each fault strikes, SEED repeats the draws of an earlier run; DIAGWS_FAULT=long adds what
takes minutes.
"""
import asyncio
import contextlib
import json
import os
import random
import time

import pytest
import websockets

from conftest import BIN, PATIENCE, Process, free_port, need, receive, until
from history import History
from load import Stream
from proxy import DOWN, UP, Proxy
from wire import Wire

LONG = os.environ.get("DIAGWS_FAULT") == "long"
ROUNDS = int(os.environ.get("NETWORK_ROUNDS", 20 if LONG else 2))
SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
ROOM = "123"


class Told(Stream):
    """A stream whose attempts and answers are written down."""

    def __init__(self, history, world, rate, pad=200):
        super().__init__(world, [ROOM], rate, pad)
        self.history = history

    def send(self, lines):
        self.history.attempt(f"m-{self.next}", ROOM)
        super().send(lines)

    def end(self, check=True):
        for number, stored in super().end(check).items():
            self.history.answer(f"m-{number}", stored.seq, stored.n)


class Watcher:
    """A device that watches the room; it notices a dead line by its own pings, and comes back."""

    def __init__(self, history, device, url, silence=0.3, sock=None):
        self.history, self.device, self.url, self.silence, self.sock = history, device, url, silence, sock
        self.connections = 0
        self.received = 0
        self.away = True

    async def run(self):
        while True:
            try:
                more = {} if self.sock is None else {"sock": await asyncio.to_thread(self.sock)}
                async with websockets.connect(self.url, open_timeout=PATIENCE, close_timeout=0.1, max_queue=None,
                                              ping_interval=self.silence, ping_timeout=self.silence, **more) as socket:
                    await self.read(socket)
            except (OSError, EOFError, asyncio.TimeoutError, websockets.WebSocketException):
                await asyncio.sleep(0.05)

    async def read(self, socket):
        connection = self.history.connect(self.device, ROOM)
        self.connections += 1
        self.away = False
        try:
            async for text in socket:
                connection.message(json.loads(text))
                self.received += 1
        finally:
            self.away = True
            connection.closed(socket.close_code)


class Scene:
    """A room with a stream and some devices at `url`, and the book of it."""

    def __init__(self, world, url, count=4, rate=200, pad=200, window=10.0, **watching):
        self.world, self.rate, self.pad = world, rate, pad
        self.history = History(window)
        self.watchers = [Watcher(self.history, f"device-{number}", f"{url}&device=device-{number}", **watching)
                         for number in range(count)]

    def play(self, act, then=None):
        """Runs act(), which may block, under the stream; then all that is owed must come, and the book is judged."""
        def under_load():
            until(lambda: all(watcher.connections for watcher in self.watchers), "the devices")
            with Told(self.history, self.world, self.rate, self.pad) as stream:
                until(lambda: all(watcher.received > 1 for watcher in self.watchers), "the first messages")
                act()
                stream.end()
            until(lambda: not self.history.missing(), "what is owed", 3 * PATIENCE)
            if then is not None:
                then()

        async def run():
            tasks = [asyncio.create_task(watcher.run()) for watcher in self.watchers]
            try:
                await asyncio.to_thread(under_load)
                verdict = self.history.judge()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            print(f"\nseed {SEED}: {verdict}")
            assert verdict.ok, verdict.faults[:10]
        asyncio.run(run())

    def flows(self):
        """Each device gets messages again."""
        before = [watcher.received for watcher in self.watchers]
        until(lambda: all(w.received > count for w, count in zip(self.watchers, before)), "messages for each device")

    def came_back(self, before):
        until(lambda: all(w.connections > count for w, count in zip(self.watchers, before)), "the devices' return")

    def connections(self):
        return [watcher.connections for watcher in self.watchers]


def url_of(world, port, host="127.0.0.1"):
    return f"ws://{host}:{port}/ws/{ROOM}?token={world.alice}"


def moment(draw, most=0.2):
    """So that faults strike anywhere between two messages."""
    time.sleep(draw.uniform(0, most))


@pytest.fixture
def behind_proxy(world):
    """A clinic whose clients come through a proxy."""
    world.hub("--queue-limit", 10000)
    world.the_edge = world.edge("--slow-timeout", "1s")
    world.grant(ROOM, "alice")
    world.alice = world.token("alice")
    with Proxy(("127.0.0.1", world.the_edge.port)) as proxy:
        world.proxy = proxy
        yield world


FAULTS = {
    "cut": lambda proxy: proxy.cut(),
    "reset": lambda proxy: proxy.reset(),
    "half open": lambda proxy: proxy.swallow(UP, DOWN),
    "deaf": lambda proxy: proxy.swallow(DOWN),
    "mute": lambda proxy: proxy.swallow(UP),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_clients_whose_line_breaks_resume(behind_proxy, fault):
    world, draw = behind_proxy, random.Random(SEED)
    scene = Scene(world, url_of(world, world.proxy.port))

    def act():
        for _ in range(ROUNDS):
            moment(draw)
            before = scene.connections()
            FAULTS[fault](world.proxy)
            scene.came_back(before)
            scene.flows()
    scene.play(act)


def behind(world, device):
    """How many messages the device has not confirmed; None when it is not known."""
    return {row["device"]: row["behind"] for row in world.devices(ROOM)}.get(device)


def test_single_bytes_make_no_difference(behind_proxy):
    """Handshake, frames and PONGs come byte by byte, in both directions; what was confirmed is known to be."""
    world = behind_proxy
    world.proxy.dribble = True
    scene = Scene(world, url_of(world, world.proxy.port), rate=20, silence=None)

    def act():
        scene.flows()
        scene.flows()

    def confirmed():
        until(lambda: all(behind(world, w.device) == 0 for w in scene.watchers), "all to be confirmed")
    scene.play(act, then=confirmed)
    assert scene.connections() == [1] * len(scene.watchers)


def test_a_slow_line_delays_and_loses_nothing(behind_proxy):
    world = behind_proxy
    world.proxy.delay = 0.15
    scene = Scene(world, url_of(world, world.proxy.port), silence=None)
    scene.play(scene.flows)
    assert scene.connections() == [1] * len(scene.watchers)


def close_the_slow(world):
    """--slow-timeout: the edge gives up a client that takes nothing, and feeds it when it returns."""
    scene = Scene(world, url_of(world, world.proxy.port), rate=200, pad=20000, silence=None)

    def act():
        before = scene.connections()
        world.proxy.hold()
        until(lambda: world.stat("summary")["connections"] == 0, "the edge to give them up")
        world.proxy.release()
        scene.came_back(before)
        scene.flows()
    scene.play(act)


def close_the_silent(world):
    """Nothing came from the client for 60 s, not even a PONG, so all of that time is repeated."""
    scene = Scene(world, url_of(world, world.proxy.port), rate=1, window=80, silence=None)

    def act():
        begun, before = time.monotonic(), scene.connections()
        world.proxy.swallow(UP)
        until(lambda: all(w.connections > count for w, count in zip(scene.watchers, before)), "the edge to close", 90)
        assert 55 < time.monotonic() - begun < 70
    scene.play(act)


if LONG:
    @pytest.mark.parametrize("close", (close_the_slow, close_the_silent))
    def test_the_edge_gives_up(behind_proxy, close):
        close(behind_proxy)


# ---- between edge and hub ----


@pytest.fixture
def hub_behind_proxy(world):
    """A clinic whose edge reaches the hub through a proxy; senders do not."""
    port = free_port()
    world.hub("--queue-limit", 10000, "--bind", f"tcp://127.0.0.1:{port}")
    world.grant(ROOM, "alice")
    world.alice = world.token("alice")
    with Proxy(("127.0.0.1", port)) as proxy:
        world.proxy = proxy
        world.the_edge = world.edge("--hub", f"tcp://127.0.0.1:{proxy.port}")
        yield world


def held(proxy, seconds):
    proxy.hold()
    time.sleep(seconds)
    proxy.release()


def away(proxy, seconds):
    with proxy.down():
        time.sleep(seconds)


def dribbled(proxy, seconds):
    proxy.dribble = True
    time.sleep(seconds)
    proxy.dribble = False


HUB_FAULTS = {
    "cut": lambda proxy, draw: proxy.cut(),
    "reset": lambda proxy, draw: proxy.reset(),
    "away": lambda proxy, draw: away(proxy, draw.uniform(0, 1)),
    "held": lambda proxy, draw: held(proxy, draw.uniform(0, 1)),
    "held for long": lambda proxy, draw: held(proxy, 5),
    "held for too long": lambda proxy, draw: held(proxy, 12),
    "single bytes": lambda proxy, draw: dribbled(proxy, 0.5),
}
SHORT = ("cut", "reset", "away", "held", "single bytes")


@pytest.mark.parametrize("fault", HUB_FAULTS if LONG else SHORT)
def test_no_client_drops_when_the_edge_loses_the_hub(hub_behind_proxy, fault):
    world, draw = hub_behind_proxy, random.Random(SEED)
    scene = Scene(world, url_of(world, world.the_edge.port), silence=None)

    def act():
        for _ in range(min(ROUNDS, 3) if "long" in fault else ROUNDS):
            moment(draw)
            HUB_FAULTS[fault](world.proxy, draw)
            scene.flows()
    scene.play(act)
    assert scene.connections() == [1] * len(scene.watchers)


def test_a_dead_line_to_the_hub_is_left(hub_behind_proxy):
    """Neither end is told that nothing passes any more."""
    world = hub_behind_proxy
    scene = Scene(world, url_of(world, world.the_edge.port))

    def act():
        world.proxy.swallow(UP, DOWN)
        scene.flows()
    scene.play(act)
    assert scene.connections() == [1] * len(scene.watchers)


# ---- a link that goes down ----


@pytest.fixture
def far_clients(world):
    """A clinic whose edge and clients live in network namespaces of their own, with a link between them."""
    need("root")
    need("netns")
    world.hub("--queue-limit", 10000)
    world.grant(ROOM, "alice")
    world.alice = world.token("alice")
    with Wire() as wire:
        edge = Process(world, "diagws-edge", [
            *wire.inside(wire.edge), BIN / "diagws-edge", "--listen", f"{wire.EDGE}:8000", "--hub", world.endpoint,
            "--keys", world.keys])
        world.processes.append(edge)
        until(lambda: "hub welcomed us" in edge.said() or edge.popen.poll() is not None, "the edge")
        world.wire = wire
        yield world


def test_a_link_goes_down_and_comes_back(far_clients):
    """For a moment, which TCP bridges; and for so long that clients give their connections up."""
    world, draw = far_clients, random.Random(SEED)
    scene = Scene(world, url_of(world, 8000, world.wire.EDGE), silence=0.5, sock=lambda: world.wire.connect(8000))

    def act():
        for _ in range(ROUNDS):
            with world.wire.down():
                time.sleep(draw.uniform(0, 0.3))
            scene.flows()
            before = scene.connections()
            with world.wire.down():
                until(lambda: all(watcher.away for watcher in scene.watchers), "the devices to notice")
            scene.came_back(before)
            scene.flows()
    scene.play(act)
