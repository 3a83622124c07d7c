"""Tokens whose signature takes long to check: meanwhile everybody else is served, and who left is forgotten.

The checks are held back (tests/lib/hold.c), so that what happens meanwhile does not depend on how long they take.
"""
import asyncio
import json
import signal
import socket
import ssl
import struct
import time

import pytest

import held
from conftest import PATIENCE, closed, free_port, receive, until
from held import THREADS, descriptors, heard, openssl, slow_token
from test_tokens import PUBLISH, UPDATE, flip

site = pytest.fixture(held.site)


async def publish(site, token):
    return await asyncio.to_thread(site.the_edge.request, PUBLISH, UPDATE, token)


def test_others_are_served_while_tokens_are_checked(site):
    edge, count = site.the_edge, 3 * THREADS

    async def run():
        site.hold.begin()
        waiting = [await edge.connect("123", slow_token(site, number)) for number in range(count)]
        post = asyncio.create_task(publish(site, slow_token(site, count)))
        await asyncio.to_thread(site.hold.until_held, THREADS)
        async with edge.connect("123", site.token("bob")) as other:
            assert (await receive(other))["type"] == "connect"
            await other.send('{"type":"ping"}')
            assert (await receive(other))["type"] == "pong"
            assert (await publish(site, site.token("bob")))[0] == 200
            assert (await receive(other))["type"] == "effectiveness_update"
            assert not post.done() and not any(socket.messages for socket in waiting)
            site.hold.end()
            assert (await post)[0] == 200
            for client in waiting:
                assert (await receive(client))["type"] == "connect"
                await client.close()
    asyncio.run(run())


def test_what_a_client_says_meanwhile_waits_for_its_token(site):
    async def run():
        site.hold.begin()
        async with site.the_edge.connect("123", slow_token(site)) as client:
            await client.send('{"type":"ping"}')
            await client.send('{"type":"subscribe","diagnosis_id":124}')
            await asyncio.to_thread(site.hold.until_held)
            assert not client.messages
            site.hold.end()
            said = [(await receive(client))["type"] for _ in range(3)]
            assert sorted(said) == ["connect", "pong", "subscribed"] and said[2] == "subscribed"
        async with site.the_edge.connect("123", slow_token(site)) as known:  # from the cache now
            assert (await receive(known))["type"] == "connect"
    asyncio.run(run())


def test_frames_in_one_piece_with_the_upgrade_wait_too(site):
    ping = bytes([0x81, 0x80 | 15, 0, 0, 0, 0]) + b'{"type":"ping"}'

    async def run():
        site.hold.begin()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.the_edge.port)
        writer.write((f"GET /ws/123?token={slow_token(site)} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n").encode() + ping)
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        await asyncio.to_thread(site.hold.until_held)
        site.hold.end()
        await heard(reader, b'"connect"', b'"pong"')
        writer.close()
    asyncio.run(run())


def test_tls_keeps_what_it_has_decrypted_meanwhile(site):
    """Frames that come in one piece with the request's headers, and more than that."""
    key, certificate = site.path / "tls.key", site.path / "tls.pem"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
            "-keyout", key, "-out", certificate)
    port = free_port()
    site.edge("--listen", f"wss://127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key, env=site.hold.env)
    trust = ssl.create_default_context(cafile=certificate)
    trust.check_hostname = False
    ping = bytes([0x81, 0x80 | 15, 0, 0, 0, 0]) + b'{"type":"ping"}'

    async def ask(request, wanted):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.write(request)
        while site.hold.path.exists():
            await asyncio.sleep(0)
        said = b""
        while not all(word in said for word in wanted):
            piece = await asyncio.wait_for(reader.read(65536), PATIENCE)
            assert piece, said
            said += piece
        writer.transport.abort()

    async def run():
        site.hold.begin()
        asked = [asyncio.create_task(ask(*question)) for question in [
            (f"GET /ws/123?token={slow_token(site, 1)} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
             "\r\n".encode() + ping * 60, [b'"connect"', b'"pong"'])]]
        await asyncio.to_thread(site.hold.until_held, 1)
        site.hold.end()
        await asyncio.gather(*asked)
    asyncio.run(run())


def test_a_bad_token_is_told_when_the_body_is_there(site):
    """Not as a body that did not come, however long the check takes."""
    site.hold.begin()
    with socket.create_connection(("127.0.0.1", site.the_edge.port), timeout=PATIENCE) as link:
        link.sendall(f"POST {PUBLISH}?token={flip(slow_token(site, 3), 2)} HTTP/1.1\r\nHost: x\r\n"
                     "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{}".encode())
        site.hold.until_held(1)
        site.hold.end()
        link.settimeout(2)
        with pytest.raises(TimeoutError):
            link.recv(64)
        link.settimeout(PATIENCE)
        link.sendall(b" " * 8)
        assert link.recv(64).startswith(b"HTTP/1.1 401 ")


def test_a_body_that_comes_with_its_head_waits_for_the_check(site):
    body = json.dumps({**UPDATE, "comment": "x" * 9000}).encode()
    site.hold.begin()
    with socket.create_connection(("127.0.0.1", site.the_edge.port), timeout=PATIENCE) as link:
        link.sendall(f"POST {PUBLISH}?token={slow_token(site, 2)} HTTP/1.1\r\nHost: x\r\n"
                     f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        site.hold.until_held(1)
        site.hold.end()
        assert link.recv(64).startswith(b"HTTP/1.1 200 ")


def test_refusals_are_the_same(site):
    edge = site.the_edge

    async def run():
        site.hold.begin()
        wrong = await edge.connect("123", flip(slow_token(site), 2))
        expired = await edge.connect("123", site.token("alice", "--ttl", "1s", key=site.rsa))
        over = time.time() + 1
        nowhere = await edge.connect("125", slow_token(site, 1))
        malformed = await edge.connect("a.b", slow_token(site, 2))
        argument = await edge.connect("123", slow_token(site, 3), after="x")
        post = asyncio.create_task(publish(site, flip(slow_token(site, 4), 2)))
        get = asyncio.create_task(asyncio.to_thread(
            edge.request, "/ws/messages/125", None, slow_token(site, 5)))
        await asyncio.to_thread(site.hold.until_held, THREADS)
        until(lambda: time.time() > over, "the end of a token")
        site.hold.end()
        assert await closed(wrong) == (1008, "token invalid")
        assert await closed(expired) == (1008, "token expired")
        assert await closed(nowhere) == (1008, "access denied")
        assert await closed(malformed) == (1008, "access denied")
        told = await receive(argument)
        assert (told["type"], told["data"]["code"]) == ("error", "invalid_field")
        assert await closed(argument) == (1008, "invalid_field")
        status, _, body = await post
        assert (status, body["error"]["code"]) == (401, "token_invalid")
        assert (await get)[0] == 403
    asyncio.run(run())


def test_so_many_checks_and_no_more(site):
    edge = site.edge("--max-checks", "2", env=site.hold.env)

    async def run():
        site.hold.begin()
        first = await edge.connect("123", slow_token(site, 1))
        second = await edge.connect("123", slow_token(site, 2))
        third = await edge.connect("123", slow_token(site, 3))
        assert await closed(third) == (1013, "try again later")
        status, headers, body = await asyncio.to_thread(edge.request, PUBLISH, UPDATE, slow_token(site, 4))
        assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "busy", "1")
        async with edge.connect("123", site.token("bob")) as secret:
            assert (await receive(secret))["type"] == "connect"
        site.hold.end()
        for client in (first, second):
            assert (await receive(client))["type"] == "connect"
            await client.close()
        async with edge.connect("123", slow_token(site, 3)) as again:
            assert (await receive(again))["type"] == "connect"
    asyncio.run(run())


def test_who_leaves_is_forgotten(site):
    edge = site.the_edge

    def request(head):
        client = socket.create_connection(("127.0.0.1", edge.port))
        client.sendall((head + "\r\nHost: x\r\n").encode())
        return client

    site.hold.begin()
    tokens = [slow_token(site, number) for number in range(4 * THREADS)]
    before = descriptors(edge)
    reads = [request(f"GET /ws/messages/123?token={token} HTTP/1.1") for token in tokens[:2 * THREADS]]
    for client in reads:
        client.sendall(b"\r\n")
    site.hold.until_held(THREADS)
    until(lambda: descriptors(edge) >= before + len(reads), "the requests")
    for client in reads:  # some of them are being checked, others wait for it
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # not only half of it
        client.close()
    until(lambda: descriptors(edge) <= before + 2 * THREADS - len(reads) + 1, "their end")

    others = []
    for token in tokens[2 * THREADS:3 * THREADS]:
        client = request(f"GET /ws/123?token={token} HTTP/1.1")
        client.sendall(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
        assert b" 101 " in client.recv(4096)
        others.append(client)
    for token in tokens[3 * THREADS:]:
        client = request(f"POST {PUBLISH}?token={token} HTTP/1.1")
        client.sendall(b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{")
        others.append(client)
    for client in others:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    site.hold.end()
    until(lambda: descriptors(edge) <= before, "the end of all")
    assert edge.request(PUBLISH, UPDATE, slow_token(site))[0] == 200
    assert edge.terminate() == 0


def test_no_more_of_a_body_is_read_before_its_token_was_checked(site):
    site.hold.begin()
    client = socket.create_connection(("127.0.0.1", site.the_edge.port))
    body = json.dumps({**UPDATE, "comment": "x" * 60000}).encode()
    client.sendall((f"POST {PUBLISH}?token={slow_token(site)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode())
    client.sendall(body)
    site.hold.until_held()
    site.hold.end()
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"]


def test_keys_that_change_meanwhile(site):
    """A token is judged by the keys that were there when it came, and that is not remembered."""
    edge, token = site.the_edge, slow_token(site)

    async def run():
        site.hold.begin()
        client = await edge.connect("123", token)
        await asyncio.to_thread(site.hold.until_held)
        (site.keys / site.rsa.name).unlink()
        edge.signal(signal.SIGHUP)
        until(lambda: "keys read again" in edge.said(), "the keys")
        site.hold.end()
        assert (await receive(client))["type"] == "connect"
        await client.close()
        again = await edge.connect("123", token)
        assert await closed(again) == (1008, "token invalid")
    asyncio.run(run())


async def told_to_end(site):
    """Connections whose checks are held back, at an edge that had a signal since."""
    edge = site.the_edge
    site.hold.begin()
    clients = [await edge.connect("123", slow_token(site, number)) for number in range(2 * THREADS)]
    await asyncio.to_thread(site.hold.until_held, THREADS)
    edge.signal(signal.SIGTERM)
    until(lambda: "shutting down" in edge.said(), "the signal")
    return clients


def test_an_edge_that_ends_meanwhile(site):
    edge = site.the_edge

    async def run():
        clients = await told_to_end(site)
        site.hold.end()
        for client in clients:
            assert await closed(client) == (1012, "service restart")
        assert edge.popen.wait(PATIENCE) == 0
    asyncio.run(run())


def test_an_edge_that_must_end_at_once(site):
    """Two signals: nobody is waited for, but the checks that have begun."""
    edge = site.the_edge

    async def run():
        clients = await told_to_end(site)
        edge.signal(signal.SIGTERM)
        site.hold.end()
        assert await asyncio.to_thread(edge.popen.wait, PATIENCE) == 0
        for client in clients:
            await closed(client)
    asyncio.run(run())
