"""Clients that take little or nothing, and hubs that are frozen while clients wait."""
import array
import asyncio
import concurrent.futures
import fcntl
import io
import json
import select
import signal
import termios
import time

import pytest
import websockets

from conftest import PATIENCE, closed, receive, receive_updates, until
from test_delivery import Raw

PAD = 60 * 1024


def send(world, room, count, start=0, pad=PAD):
    """So many numbered updates in one batch."""
    lines = "".join(json.dumps({"data": {"i": i, "pad": "x" * pad}}) + "\n" for i in range(start, start + count))
    world.run("diagws-send", "-l", "-d", room, "-t", "x_update", input=lines)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 6 * PATIENCE))


def connected(world, room, device):
    return {row["device"]: row["connected"] for row in world.devices(room)}.get(device, 0)


def confirmed(world, room, device):
    return {row["device"]: row["confirmed_seq"] for row in world.devices(room)}.get(device, 0)


def take(raw, last):
    """What comes up to the update with this n: each n once, in order, the missing ones told; the updates' n."""
    got, n = [], None
    while n != last:
        message = raw.message()
        assert message is not None, f"closed at {n}"
        if message["type"] == "gap":
            data = message["data"]
            assert (n is None or data["from"] == n + 1) and data["count"] == data["to"] - data["from"] + 1, (n, data)
            n = data["to"]
            got.append((data["reason"], data["count"]))
        elif message["type"] == "x_update":
            assert n is None or message["n"] == n + 1, (n, message["n"])
            n = message["n"]
            got.append(n)
    return got


@pytest.fixture
def site(world):
    """A hub that keeps few messages, and alice."""
    world.hub("--queue-limit", 20)
    world.alice = world.user("alice", "123")
    return world


def test_who_fell_off_the_ring_is_fed_and_told_what_is_gone(site):
    edge = site.edge()
    raw = Raw(edge, "123", site.alice, "slow")
    assert raw.message()["type"] == "connect"
    send(site, "123", 60)
    got = take(raw, 60)
    assert [what for what in got if isinstance(what, tuple)] and got[-20:] == list(range(41, 61))
    assert {what[0] for what in got if isinstance(what, tuple)} == {"limit"}
    send(site, "123", 1)
    assert take(raw, 61) == [61]
    raw.close()


def test_what_a_slow_client_missed_does_not_count_as_delivered(site):
    """It confirms what comes after the gap; the awaited message lay in it."""
    raw = Raw(site.edge(), "123", site.alice, "slow")
    assert raw.message()["type"] == "connect"
    send(site, "123", 20)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = pool.submit(site.run, "diagws-send", "--json", "--wait=delivered:1", "--deadline=5s", "x_update", "123",
                            "{}", check=False)
        until(lambda: site.stat()["waiting"] == 1, "the sender to wait")
        send(site, "123", 60)
        assert 21 not in take(raw, 81)
        more = pool.submit(raw.message)  # its PING
        until(lambda: confirmed(site, "123", "slow") == 81, "the newest to be confirmed")
        done = asked.result(PATIENCE)
        send(site, "123", 1)
        assert more.result(PATIENCE)["n"] == 82
    assert (done.returncode, json.loads(done.stdout)["delivered"]) == (75, 0)
    raw.close()


def test_who_takes_little_is_not_closed(world):
    """One that takes something within --slow-timeout stays, though it never catches up meanwhile."""
    world.hub("--queue-limit", 200)
    edge = world.edge("--slow-timeout", "2s")
    world.grant("123", "alice")
    raw = Raw(edge, "123", world.token("alice"), "slow")
    assert raw.message()["type"] == "connect"
    send(world, "123", 100)
    begun, taken, pieces = time.monotonic(), 0, 0
    while time.monotonic() - begun < 6:
        taken += len(raw.file.read(24 * 1024))
        pieces += 1
        until(lambda: time.monotonic() - begun > 0.1 * pieces, "the next moment")
    assert taken == pieces * 24 * 1024 < 50 * PAD
    assert connected(world, "123", "slow") == 1
    raw.close()


def test_who_takes_nothing_is_closed_and_cut(site):
    edge = site.edge("--slow-timeout", "1s")
    raw = Raw(edge, "123", site.alice, "stuck")
    assert raw.message()["type"] == "connect"
    until(lambda: connected(site, "123", "stuck") == 1, "it to be there")
    begun = time.monotonic()
    while connected(site, "123", "stuck") == 1:
        assert time.monotonic() - begun < 4 + PATIENCE
        send(site, "123", 5)
    until(lambda: not edge_sockets(edge), "its socket to be gone")
    raw.close()


def edge_sockets(edge):
    """Established connections of this edge's clients, on its side."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return [row for row in rows if row[1].endswith(f":{edge.port:04X}") and row[3] == "01"]


def test_sigterm_ends_with_clients_that_read_nothing(site):
    edge = site.edge("--slow-timeout", "60s")
    raw = Raw(edge, "123", site.alice, "stuck")
    assert raw.message()["type"] == "connect"

    async def watch():
        sockets = [await edge.connect("123", site.alice, device=f"d{number}") for number in range(5)]
        for socket in sockets:
            assert (await receive(socket))["type"] == "connect"
        for _ in range(2):  # no more at once than the hub keeps, for whoever is not that fast
            await asyncio.gather(asyncio.to_thread(send, site, "123", 20), *(receive_updates(s, 20) for s in sockets))
        begun = time.monotonic()
        edge.popen.terminate()
        for socket in sockets:
            message = await receive(socket)
            assert message["type"] == "shutdown" and len(message["data"]["retry_after_ms"]) == 2
            assert await closed(socket) == (1012, "service restart")
        try:
            late = await edge.connect("123", site.alice)
            assert (await closed(late))[0] in (1012, 1013)
        except (OSError, websockets.InvalidHandshake):
            pass
        assert await asyncio.to_thread(edge.popen.wait, PATIENCE) == 0
        return time.monotonic() - begun
    assert run(watch()) < 5 + PATIENCE / 10
    raw.close()


def talk(raw, *messages):
    """Sends text messages, each in a frame of its own."""
    for message in messages:
        text = json.dumps(message).encode()
        raw.socket.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)


def test_what_is_told_to_a_stalled_client_waits_for_it(site):
    edge = site.edge("--slow-timeout", "60s")
    site.grant("124", "alice")
    raw = Raw(edge, "123", site.alice, "slow")
    assert raw.message()["type"] == "connect"
    send(site, "123", 20)
    talk(raw, {"type": "subscribe", "diagnosis_id": 124}, {"type": "ping"}, {"type": "nonsense"})
    until(lambda: connected(site, "124", "slow") == 1, "the hub to know")
    site.send("note_update", "124", {})
    seen, n, wanted = [], 0, {"subscribed", "pong", "error", "note_update"}
    while n < 20 or wanted - set(seen):
        message = raw.message()
        seen.append(message["type"])
        if message["type"] == "x_update":
            assert message["n"] == n + 1
            n = message["n"]
    assert len(seen) == 24 and seen.index("subscribed") < seen.index("note_update")
    raw.close()


def test_a_stalled_client_that_keeps_asking_is_closed(site):
    edge = site.edge("--slow-timeout", "60s")
    raw = Raw(edge, "123", site.alice, "stuck")
    assert raw.message()["type"] == "connect"
    send(site, "123", 20)
    send(site, "123", 20)
    talk(raw, *[{"type": "nonsense"}] * 99)
    until(lambda: not edge_sockets(edge), "its socket to be gone")
    raw.close()


def test_the_drain_timeout_is_kept(site):
    edge = site.edge("--drain-timeout", "300ms")
    raw = Raw(edge, "123", site.alice, "stuck")
    assert raw.message()["type"] == "connect"
    send(site, "123", 40)
    begun = time.monotonic()
    edge.popen.terminate()
    assert edge.popen.wait(PATIENCE) == 0
    assert time.monotonic() - begun < 0.9 + PATIENCE / 10
    raw.close()


def test_who_comes_while_the_hub_is_frozen_gets_in_when_it_is_back(clinic):
    hub = clinic.processes[0]

    async def watch():
        hub.signal(signal.SIGSTOP)
        await asyncio.to_thread(until, lambda: not clinic.the_edge.ready(), "the edge to notice")
        sockets = [await clinic.the_edge.connect("123", clinic.alice) for _ in range(3)]
        hub.signal(signal.SIGCONT)
        for socket in sockets:
            assert (await receive(socket))["type"] == "connect"
        await asyncio.to_thread(clinic.send, "x_update", "123", {})
        for socket in sockets:
            await receive_updates(socket, 1)
            await socket.close()
    run(watch())


def test_who_is_fed_while_the_hub_freezes_is_fed_when_it_is_back(site):
    edge = site.edge("--slow-timeout", "60s")
    raw = Raw(edge, "123", site.alice, "slow")
    assert raw.message()["type"] == "connect"
    send(site, "123", 20)
    site.processes[0].signal(signal.SIGSTOP)
    until(lambda: not edge.ready(), "the edge to notice")
    raw.message()
    site.processes[0].signal(signal.SIGCONT)
    assert take(raw, 20)[-1] == 20
    raw.close()


def gulp(raw, complete):
    """Takes nothing until its buffer is full, then all of it, again and again until complete(got)."""
    unread, got = array.array("i", [0]), b""
    while not complete(got):
        while True:
            before = unread[0]
            select.select([raw.socket], [], [], 0.05)
            fcntl.ioctl(raw.socket, termios.FIONREAD, unread)
            if unread[0] == before:
                break
        if unread[0] > 0:
            got += raw.socket.recv(unread[0])
    return got


@pytest.mark.parametrize("pad", (80, 120))
def test_who_takes_many_at_once_is_fed_on(world, pad):
    """However many of the records fit into its socket, no more is asked for next than the hub gives."""
    world.hub("--queue-limit", 10000)
    edge = world.edge()
    world.grant("123", "alice")
    raw = Raw(edge, "123", world.token("alice"), "slow")
    assert raw.message()["type"] == "connect"
    send(world, "123", 5000, pad=pad)
    got = gulp(raw, lambda got: got.count(b'"x_update"') == 5000 or got.endswith(b"try again later"))
    raw.file = io.BytesIO(got)
    assert take(raw, 5000) == list(range(1, 5001))
    raw.close()
