"""diagws-bench from outside: against a real hub and edge its counts add up; against a peer that loses, repeats or
reorders a message it says so. The peer is a small server of plain HTTP and WebSocket frames, written here."""
import asyncio
import base64
import hashlib
import json
import os
import signal
import struct
import subprocess
import threading

import pytest

from conftest import BIN, PATIENCE, ROOT, free_port, until

CLIENTS = 20


@pytest.fixture
def server(world):
    """A hub and an edge that let in whoever the token names."""
    world.the_hub = world.hub("--ownership", "either")
    world.the_edge = world.edge()
    world.ws = f"ws://127.0.0.1:{world.the_edge.port}/ws/{{room}}?token={{token}}&device=bench-{{client}}"
    return world


def bench(world, *arguments, status=0):
    done = world.run("diagws-bench", *arguments, "--json", check=False)
    assert done.returncode == status, (done.returncode, done.stderr, done.stdout)
    return json.loads(done.stdout)


def at_server(server, verb, *arguments, status=0):
    return bench(server, verb, "--ws", server.ws, "--key-file", server.key, "--clients", CLIENTS, "--process",
                 f"edge={server.the_edge.pid}", "--process", f"hub={server.the_hub.pid}", *arguments, status=status)


def check_latency(result, count):
    latency = result["latency_us"]
    assert latency["count"] == count
    assert 0 < latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99_9"] <= latency["max"]
    assert latency["min"] <= latency["mean"] <= latency["max"]


def check_order(result):
    assert [result[name] for name in ("lost", "repeated", "disordered", "errors")] == [0, 0, 0, 0]


def check_processes(result, unit, idle=False):
    assert [process["name"] for process in result["processes"]] == ["edge", "hub"]
    for process in result["processes"]:
        assert idle or process["cpu_s"] > 0 and process[f"cpu_us_per_{unit}"] > 0
        for kind in ("private", "pss", "rss"):
            assert process[f"{kind}_kb_before"] > 0 and process[f"{kind}_kb_after"] > 0


@pytest.mark.parametrize("burst, rooms, by_post", [(1, 1, False), (8, 3, False), (4, 2, True)])
def test_fanout(server, burst, rooms, by_post):
    post = ["--publish", server.the_edge.url("/ws/broadcast")] if by_post else []
    result = at_server(server, "fanout", "--messages", 30, "--burst", burst, "--rooms", rooms, "--warm-up", 5, *post)
    assert (result["command"], result["clients"], result["rooms"]) == ("fanout", CLIENTS, rooms)
    assert (result["messages"], result["burst"], result["size"]) == (30, burst, 200)
    assert result["deliveries"] == 30 * CLIENTS and result["deliveries_per_s"] > 0
    check_latency(result, 30 * CLIENTS)
    check_order(result)
    check_processes(result, "delivery")


def test_a_spinning_fanout(server):
    result = at_server(server, "fanout", "--messages", 30, "--spin")
    assert result["deliveries"] == 30 * CLIENTS
    check_order(result)


@pytest.mark.parametrize("by_post", [False, True])
def test_latency(server, by_post):
    post = ["--publish", server.the_edge.url("/ws/broadcast")] if by_post else []
    result = at_server(server, "latency", "--rooms", 4, "--rate", 200, "--duration", "500ms", "--size", 1000, *post)
    assert result["messages"] == 100 and result["rate"] == 200
    assert result["deliveries"] == 100 * CLIENTS // 4
    assert result["seconds"] > 0.45
    check_latency(result, result["deliveries"])
    check_order(result)
    check_processes(result, "delivery")


@pytest.mark.parametrize("arguments", [[], ["--rate", 200], ["--concurrency", 1], ["--until", "upgrade"]])
def test_connect(server, arguments):
    result = at_server(server, "connect", *arguments)
    assert (result["connected"], result["failed"], result["errors"]) == (CLIENTS, 0, 0)
    assert result["connects_per_s"] > 0
    assert "--rate" not in arguments or result["seconds"] >= (CLIENTS - 1) / 200
    check_latency(result, CLIENTS)
    check_processes(result, "client", idle="upgrade" in arguments)


def test_what_the_hub_answers_is_not_left_for_the_next_tick(server):
    """Joins sent while answers come: an edge that missed the descriptor's edge then would look only each 100 ms."""
    results = (at_server(server, "connect", "--clients", 1000, "--rooms", 10, "--concurrency", 10) for _ in range(3))
    # One quiet second of the machine is enough.
    assert any(result["latency_us"]["p99"] < 90_000 for result in results)


def test_storm(server):
    result = at_server(server, "storm", "--rooms", 3, "--missed", 7)
    assert result["missed_total"] == result["deliveries"] == 7 * CLIENTS
    assert result["caught_up"] == CLIENTS and result["caught_up_s"] > 0
    check_latency(result, CLIENTS)
    check_order(result)
    check_processes(result, "client")


@pytest.mark.parametrize("by_post", [False, True])
def test_publish(server, by_post):
    way = ["--publish", server.the_edge.url("/ws/broadcast")] if by_post else ["--window", 8]
    result = bench(server, "publish", "--key-file", server.key, "--senders", 3, "--messages", 100, "--rooms", 2,
                   "--name", "load", *way)
    assert (result["acknowledged"], result["rejected"]) == (100, 0)
    assert result["window"] == (1 if by_post else 8) and result["messages_per_s"] > 0
    check_latency(result, 100)
    rooms = {room["diagnosis_id"]: room for room in server.stat("rooms")}
    assert rooms["load-0"]["n"] + rooms["load-1"]["n"] == 100


def test_memory(server):
    result = at_server(server, "memory", "--duration", "100ms")
    check_processes(result, "client", idle=True)
    assert result["errors"] == 0 and "private_bytes_per_client" in result["processes"][0]


def test_a_table_for_people(server):
    done = server.run("diagws-bench", "fanout", "--ws", server.ws, "--key-file", server.key, "--clients", 3, "--messages",
                      4, "--process", f"edge={server.the_edge.pid}")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["clients", "3"]
    assert ["deliveries", "12"] in [line.split() for line in lines]
    assert any("%" in line and "#" in line for line in lines) and any(line.startswith("edge ") for line in lines)
    assert done.stderr == ""


def test_one_token_for_all(server, tmp_path):
    server.grant("ward", "alice")
    (tmp_path / "token").write_text(server.token("alice", "--scope", "publish") + "\n")
    arguments = ["fanout", "--ws", server.ws, "--clients", 3, "--messages", 5, "--name", "ward", "--token-file"]
    assert bench(server, *arguments, tmp_path / "token")["deliveries"] == 15
    # What another run left in the room is not this run's.
    assert bench(server, *arguments, tmp_path / "token")["deliveries"] == 15


def test_interrupt_says_what_was_measured(server):
    running = subprocess.Popen(
        [BIN / "diagws-bench", "latency", "--ws", server.ws, "--key-file", server.key, "--clients", "5", "--name", "ward",
         "--rate", "200", "--duration", "1h", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **server.env})
    try:
        until(lambda: any(room["diagnosis_id"] == "ward" and room["n"] > 20 for room in server.stat("rooms")), "messages")
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 130, errors
    result = json.loads(out)
    assert result["deliveries"] > 20
    check_order(result)


def test_the_example(world):
    done = world.run(ROOT / "examples/bench.sh", "4", "--timeout", "30s", env={"BENCH_SECONDS": "1", "DIAGWS_BIN": str(BIN)},
                     timeout=6 * PATIENCE)
    assert done.stdout.count("== diagws bench") == 6 and "caught_up_s" in done.stdout


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["fanout", "x"], ["fanout", "--missed", "3"], ["publish", "--clients", "3"],
    ["connect", "--burst", "2"], ["fanout", "--clients", "0"], ["fanout", "--clients", "3", "--rooms", "4"],
    ["fanout", "--size", "10"], ["fanout", "--messages", "3", "--duration", "3s"], ["latency", "--rate", "0"],
    ["fanout", "--body", "x"], ["fanout", "--ws", "wss://127.0.0.1/"], ["fanout", "--ws", "ws://"],
    ["publish", "--publish", "https://127.0.0.1/"], ["publish", "--publish", "http://127.0.0.1/", "--window", "2"],
    ["fanout", "--key-file", "a", "--token-file", "b"], ["fanout", "--name", "a b"], ["memory", "--clients", "3"],
    ["memory", "--process", "edge"], ["memory", "--process", "edge=0"], ["latency", "--until", "upgrade"]])
def test_wrong_usage(world, arguments):
    done = world.run("diagws-bench", *arguments, check=False)
    assert done.returncode == 64, done.stderr
    assert done.stdout == "" and done.stderr.startswith("diagws-bench: ")


def refused(world, status, *arguments):
    done = world.run("diagws-bench", *arguments, "--timeout", "300ms", check=False)
    assert done.returncode == status, done.stderr
    assert done.stdout == "" and done.stderr.startswith("diagws-bench: ")
    return done.stderr


def test_what_is_away_or_refuses(server):
    here = ["fanout", "--clients", 2, "--ws", server.ws]
    nobody = f"127.0.0.1:{free_port()}"
    assert "does not answer" in refused(server, 75, *here, "-e", f"ipc://{server.path}/none")
    assert "cannot connect" in refused(server, 75, "fanout", "--clients", 2, "--ws", f"ws://{nobody}/")
    assert "token required" in refused(server, 77, *here)
    assert "404" in refused(server, 76, "fanout", "--clients", 2, "--ws", f"ws://127.0.0.1:{server.the_edge.port}/x")
    assert "no/such" in refused(server, 66, *here, "--key-file", "/no/such.hs256")
    assert "process 'gone'" in refused(server, 66, *here, "--process", "gone=2147483647")
    result = bench(server, "publish", "--publish", f"http://{nobody}/", status=75)
    assert (result["acknowledged"], result["rejected"]) == (0, 1)
    result = bench(server, "connect", "--clients", 3, "--ws", f"ws://{nobody}/", status=75)
    assert (result["connected"], result["failed"]) == (0, 3)


def frame(payload, opcode=1, last=True, wide=False):
    head = bytes([opcode | (0x80 if last else 0)])
    if wide or len(payload) > 65535:
        return head + b"\x7f" + struct.pack(">Q", len(payload)) + payload
    if len(payload) > 125:
        return head + b"\x7e" + struct.pack(">H", len(payload)) + payload
    return head + bytes([len(payload)]) + payload


class Peer:
    """A server that is not ours: POST /pub/ROOM sends the body to all WebSockets of /ws/ROOM. `trouble(number, frame)`
    gives what the first client gets in the place of a frame; `wrap` makes a frame of a body."""

    def __init__(self, wrap=frame, trouble=lambda number, sent: sent, accept=None, pings=False, keeps=True):
        self.wrap, self.trouble, self.accept, self.pings, self.keeps = wrap, trouble, accept, pings, keeps
        self.rooms, self.pongs, self.number, self.requests = {}, [], 0, []
        self.port = free_port()
        self.started = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        assert self.started.wait(PATIENCE)
        self.ws, self.pub = f"ws://127.0.0.1:{self.port}/ws/{{room}}", f"http://127.0.0.1:{self.port}/pub/{{room}}"
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=1000))
        self.started.set()
        self.loop.run_forever()

    async def end(self):
        """Nothing is left to be ended when the loop is gone."""
        tasks = asyncio.all_tasks(self.loop) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                verb, path, _ = head.split("\r\n")[0].split(" ")
                self.requests.append(path)
                room = path.split("?")[0].rsplit("/", 1)[1]
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
                if verb == "GET":
                    key = [line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")][0][19:]
                    await self.talk(reader, writer, room, key)
                    return
                body = await reader.readexactly(int(headers["content-length"]))
                self.publish(room, body)
                if not self.keeps:
                    writer.write(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\n")
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def talk(self, reader, writer, room, key):
        digest = hashlib.sha1((key.strip() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        accept = self.accept or base64.b64encode(digest).decode()
        writer.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"sec-websocket-accept:  {accept} \r\n\r\n").encode())
        self.rooms.setdefault(room, []).append(writer)
        while True:
            first, size = await reader.readexactly(2)
            assert size & 0x80, "not masked"
            mask = await reader.readexactly(4)
            payload = await reader.readexactly(size & 0x7f)
            self.pongs.append((first, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))))

    def publish(self, room, body):
        self.number += 1
        sent = self.wrap(body)
        for index, writer in enumerate(self.rooms.get(room, [])):
            # In two pieces, so that frames come in part.
            text = (self.trouble(self.number, sent) if index == 0 else sent)
            text += frame(b"number %d" % self.number, 9) if self.pings else b""
            writer.write(text[:7])
            writer.write(text[7:])


def at_peer(peer, world, verb, *arguments, status=0):
    return bench(world, verb, "--ws", peer.ws, "--publish", peer.pub, "--body", "{data}", "--ready", "", "--clients", 3,
                 "--timeout", "30s", *arguments, status=status)


def in_parts(body):
    """Cut in the middle of a key, with a PING between the parts."""
    at = body.index(b"number") + 3
    return frame(body[:at], 1, False) + frame(b"between", 9) + frame(body[at:at + 1], 0, False) + frame(body[at + 1:], 0)


@pytest.mark.parametrize("wrap, size", [
    (frame, 64), (frame, 65536), (lambda body: frame(body, wide=True), 200), (in_parts, 200),
    (lambda body: frame(b'{"n": 1, "sentinel": 2, "text": ' + json.dumps(json.dumps(json.loads(body))).encode() + b"}"), 200)])
def test_another_server(world, wrap, size):
    with Peer(wrap) as peer:
        for verb in ("fanout", "latency"):
            result = at_peer(peer, world, verb, "--messages", 20, "--size", size)
            assert result["deliveries"] == 60
            check_order(result)


def test_a_server_that_closes_after_each_answer(world):
    with Peer(keeps=False) as peer:
        assert at_peer(peer, world, "fanout", "--messages", 20)["deliveries"] == 60


def test_a_publisher_that_is_not_answered(server):
    """What the hub has not acknowledged is not lost."""
    server.the_hub.signal(signal.SIGSTOP)
    result = bench(server, "publish", "--publish", server.the_edge.url("/ws/broadcast"), "--key-file", server.key,
                   "--timeout", "300ms", status=75)
    assert (result["acknowledged"], result["rejected"]) == (0, 0)


def test_pongs(world):
    with Peer(pings=True) as peer:
        at_peer(peer, world, "fanout", "--messages", 6, "--name", "here")
        until(lambda: len(peer.pongs) >= 15, "the PONGs")
        # Those of the last message may be cut off by the end.
        assert {(0x8a, b"number %d" % number) for number in range(1, 6)} <= set(peer.pongs)
    with Peer(pings=True) as peer:
        at_peer(peer, world, "fanout", "--messages", 6, "--no-confirm")
        assert peer.pongs == []


class Trouble:
    """Keeps frame 5 back until frame 6, sends it twice, or not at all."""

    def __init__(self, kind):
        self.kind, self.kept = kind, b""

    def __call__(self, number, sent):
        if number == 5 and self.kind == "repeated":
            return sent + sent
        if number == 5:
            self.kept = sent if self.kind == "disordered" else b""
            return b""
        kept, self.kept = self.kept, b""
        return sent + kept


@pytest.mark.parametrize("kind", ["lost", "repeated", "disordered"])
def test_trouble_is_seen(world, kind):
    with Peer(trouble=Trouble(kind)) as peer:
        result = at_peer(peer, world, "latency", "--rate", 100, "--messages", 10, status=65)
    assert {name: result[name] for name in ("lost", "repeated", "disordered")} == {
        "lost": 0, "repeated": 0, "disordered": 0, kind: 1}
    assert result["deliveries"] == 30 - (kind == "lost")


def test_the_last_message_is_missed(world):
    with Peer(trouble=lambda number, sent: b"" if number == 10 else sent) as peer:
        for verb in ("fanout", "latency"):
            peer.number = 0
            result = at_peer(peer, world, verb, "--messages", 10, "--timeout", "1s", status=65)
            assert (result["lost"], result["deliveries"]) == (1, 29)


def test_a_server_that_keeps_nothing_loses_in_a_storm(world):
    with Peer() as peer:
        peer.ws += "?from={after}"
        result = at_peer(peer, world, "storm", "--missed", 4, "--timeout", "1s", status=65)
        assert (result["missed_total"], result["lost"], result["caught_up"]) == (12, 12, 0)
        # It came back with the number of the message it had.
        assert sum(path.endswith("?from=0") for path in peer.requests) == 3
        assert sum(path.endswith("?from=1") for path in peer.requests) == 3


def test_a_handshake_that_is_none(world):
    with Peer(accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA=") as peer:
        assert "Sec-WebSocket-Accept" in refused(world, 76, "fanout", "--clients", 2, "--ws", peer.ws, "--publish", peer.pub)


def test_a_frame_that_breaks_the_rules(world):
    with Peer(trouble=lambda number, sent: b"\xc1" + sent[1:] if number == 3 else sent) as peer:
        result = at_peer(peer, world, "fanout", "--messages", 10, status=65)
        assert result["errors"] == 1 and result["lost"] > 0
