"""Limits that people share: who floods is bounded, and the others at the same address and at others go on.

Clients come from two addresses of this machine, as two clinics would.
"""
import asyncio
import http.client
import itertools
import json
import signal
import socket

import pytest
import websockets

import held
from conftest import EFFECTIVENESS, PATIENCE, receive, until
from held import descriptors, slow_token
from test_tokens import PUBLISH, UPDATE, flip

HERE, THERE = "127.0.0.2", "127.0.0.3"
ADDRESS_CHECKS = 64  # with the threads, of one address


@pytest.fixture
def site(world):
    with held.checks(world):
        world.grant("123", "alice", "bob")
        yield world


def ask(edge, path, source, token=None, body=None):
    """(status, headers, JSON) of one HTTP request from this address."""
    link = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=PATIENCE, source_address=(source, 0))
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    try:
        if body is None:
            link.request("GET", path, headers=headers)
        else:
            link.request("POST", path, json.dumps(body), {**headers, "Content-Type": "application/json"})
        answer = link.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        link.close()


def messages(edge, source, token):
    return ask(edge, "/ws/messages/123", source, token)


def come(edge, source, token=None, **query):
    """A WebSocket from this address."""
    arguments = {**({"token": token} if token is not None else {}), **query}
    text = "&".join(f"{key}={value}" for key, value in arguments.items())
    return websockets.connect(f"ws://127.0.0.1:{edge.port}/ws/123?{text}", open_timeout=PATIENCE,
                              close_timeout=PATIENCE, local_addr=(source, 0))


async def end_of(edge, source, token=None, **query):
    """How a connection that is refused ends; None: it is let in."""
    socket = await come(edge, source, token, **query)
    try:
        hello = await receive(socket)
        assert hello["type"] == "connect"
        await socket.close()
        return None
    except websockets.ConnectionClosed:
        return socket.close_code, socket.close_reason


RATE = (1008, "rate limit")


# ---- tokens that are no good ----

def test_bad_tokens_are_an_address_own(site):
    edge = site.edge("--max-bad-tokens", "1")
    key = site.rsa
    known, fresh = site.token("alice", key=key), site.token("alice", "--ttl", "2h", key=key)
    forged = flip(site.token("alice", "--ttl", "3h", key=key), 2)
    assert messages(edge, HERE, known)[0] == 200

    statuses = [messages(edge, HERE, forged)[0] for _ in range(30)]
    assert statuses[:10] == [401] * 10 and statuses[-1] == 429 and set(statuses) == {401, 429}

    def refused():
        """An unseen token, when nothing is left (one is earned a second)."""
        token = site.token("alice", "--issuer", str(next(numbers)), key=key)
        until(lambda: messages(edge, HERE, forged)[0] == 429, "the end of the budget")
        status, headers, body = messages(edge, HERE, token)
        return status == 429 and (body["error"]["code"], headers["Retry-After"])

    numbers = itertools.count()
    assert until(refused, "a refusal") == ("rate_limit", "1")
    assert messages(edge, HERE, known)[0] == 200
    assert messages(edge, THERE, forged)[0] == 401
    assert messages(edge, THERE, fresh)[0] == 200
    until(lambda: messages(edge, HERE, forged)[0] == 429, "the end of the budget")
    assert messages(edge, HERE, fresh)[0] == 200  # it is known now

    async def run():
        ends = [await end_of(edge, HERE, forged) for _ in range(10)]
        assert RATE in ends and set(ends) <= {RATE, (1008, "token invalid")}
        assert await end_of(edge, HERE, known) is None
        assert await end_of(edge, THERE, forged) == (1008, "token invalid")
    asyncio.run(run())
    late = site.token("alice", "--ttl", "4h", key=key)
    until(lambda: messages(edge, HERE, late)[0] == 200, "a token to be earned")


def test_what_a_secret_signed_is_judged_all_the_same(site):
    """Its check costs little. But what is no good of it counts."""
    edge = site.edge("--max-bad-tokens", "1")
    forged, slow = flip(site.token("alice"), 2), flip(slow_token(site), 2)
    assert {messages(edge, HERE, forged)[0] for _ in range(30)} == {401}

    def spent():
        assert messages(edge, HERE, forged)[0] == 401
        return messages(edge, HERE, slow)[0] == 429
    until(spent, "the end of the budget")
    assert messages(edge, HERE, site.token("alice", "--ttl", "2h"))[0] == 200
    assert asyncio.run(end_of(edge, HERE, site.token("alice", "--ttl", "3h"))) is None


@pytest.mark.parametrize("kind", ["HS256", "RS256"])
def test_tokens_that_have_expired_are_not_bad(site, kind):
    edge = site.edge("--max-bad-tokens", "1")
    key = site.rsa if kind == "RS256" else site.key
    old = site.token("alice", "--ttl", "1s", key=key)
    until(lambda: messages(edge, THERE, old)[0] == 401, "its end")
    assert {messages(edge, HERE, old)[0] for _ in range(30)} == {401}
    assert messages(edge, HERE, slow_token(site))[0] == 200


def upgrade(edge, source, token):
    link = socket.create_connection(("127.0.0.1", edge.port), source_address=(source, 0))
    link.settimeout(PATIENCE)
    link.sendall(f"GET /ws/123?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode())
    return link


def rest_of(link):
    got = b""
    while piece := link.recv(4096):
        got += piece
    link.close()
    return got


def test_a_flood_of_forged_tokens_does_not_hold_up_another_address(site):
    edge, count = site.edge("--max-bad-tokens", "1", env=site.hold.env), 300
    template = slow_token(site).split(".")
    forged = [".".join([*template[:2], f"{number:04}" + template[2][4:]]) for number in range(count)]
    good = slow_token(site, 1, "bob")

    async def run():
        site.hold.begin()
        flood = [await asyncio.to_thread(upgrade, edge, HERE, token) for token in forged]
        for link in flood:  # all of them are in
            assert b" 101 " in await asyncio.to_thread(link.recv, 129)
        other = asyncio.create_task(end_of(edge, THERE, good))
        await asyncio.to_thread(site.hold.until_held, 4)
        site.hold.end()
        assert await other is None
        ends = [await asyncio.to_thread(rest_of, link) for link in flood]
        checked = sum(b"token invalid" in end for end in ends)
        refused = sum(b"rate limit" in end for end in ends)
        assert checked + refused == count
        assert ADDRESS_CHECKS <= checked < count / 2  # those that were under way, and what a second earns
    asyncio.run(run())


def test_who_leaves_while_its_check_waits_for_others(site):
    edge = site.edge(env=site.hold.env)
    tokens = [slow_token(site, number) for number in range(ADDRESS_CHECKS + 20)]
    before = descriptors(edge) - 1  # that connection may be there still
    site.hold.begin()
    links = []
    for token in tokens:
        link = socket.create_connection(("127.0.0.1", edge.port), source_address=(HERE, 0))
        link.settimeout(PATIENCE)
        link.sendall(f"GET /ws/messages/123?token={token} HTTP/1.1\r\nHost: x\r\n"
                     "Connection: close\r\n\r\n".encode())
        links.append(link)
    until(lambda: descriptors(edge) >= before + len(links), "the requests")
    for link in links[1::2]:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        link.close()
    until(lambda: descriptors(edge) <= before + 1 + len(links) // 2, "their end")
    site.hold.end()
    for link in links[::2]:
        assert rest_of(link).startswith(b"HTTP/1.1 200 ")
    assert edge.terminate() == 0


def test_an_edge_that_ends_while_checks_wait_for_others(site):
    edge = site.edge(env=site.hold.env)
    site.hold.begin()
    links = [upgrade(edge, HERE, slow_token(site, number)) for number in range(ADDRESS_CHECKS + 20)]
    site.hold.until_held(4)
    edge.popen.terminate()
    until(lambda: "shutting down" in edge.said(), "the signal")
    edge.popen.terminate()
    site.hold.end()
    assert edge.popen.wait(PATIENCE) == 0
    for link in links:
        link.close()


def test_a_socket_without_an_address_has_no_such_budget(site):
    path = site.path / "e.sock"
    edge = site.edge("--max-bad-tokens", "1", "--max-address-requests", "1", "--listen", f"unix:{path}")

    def status(target):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(PATIENCE)
            link.connect(str(path))
            link.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return int(link.recv(4096).split()[1])
    assert {status("/ws/messages/123?token=x") for _ in range(30)} == {401}
    assert {status("/ws/status") for _ in range(30)} == {200}


# ---- users ----

def test_a_user_that_reconnects_too_often(site):
    edge = site.edge("--max-user-handshakes", "1")
    alice, bob = site.token("alice"), site.token("bob")

    async def run():
        ends = [await end_of(edge, HERE, alice) for _ in range(30)]
        assert ends[:10] == [None] * 10 and RATE in ends and set(ends) == {None, RATE}
        assert await end_of(edge, HERE, bob) is None
        assert await end_of(edge, HERE, alice) in (None, RATE)
        socket = await come(edge, HERE, bob)
        assert (await receive(socket))["type"] == "connect"
        codes = []
        for number in range(20):  # a fresh token is one too
            await socket.send(json.dumps({"type": "auth", "token": bob}))
            told = await receive(socket)
            codes.append(told["data"]["code"] if told["type"] == "error" else told["type"])
        assert codes[0] == "auth" and "rate_limit" in codes and set(codes) == {"auth", "rate_limit"}
        await asyncio.to_thread(until, lambda: asyncio.run(end_of(edge, HERE, alice)) is None, "alice's next second")
        await socket.close()
    asyncio.run(run())


def test_so_many_connections_of_a_user(site):
    edge = site.edge("--max-user-connections", "2")
    wide = site.edge("--max-user-connections", "0", "--max-user-handshakes", "0")
    alice, bob = site.token("alice"), site.token("bob")

    async def run():
        first, second = [await come(edge, HERE, alice, device=name) for name in "ab"]
        assert await end_of(edge, THERE, alice) == RATE
        assert await end_of(edge, HERE, bob) is None
        await first.close()
        await asyncio.to_thread(until, lambda: asyncio.run(end_of(edge, THERE, alice)) is None, "a place")
        await second.close()
        many = [await come(wide, HERE, alice) for _ in range(250)]
        for socket in many:
            assert (await receive(socket))["type"] == "connect"
            await socket.close()
    asyncio.run(run())


def test_a_refused_connection_is_none_of_its_user(site):
    """Though it does not answer the Close."""
    edge = site.edge("--max-user-connections", "1")
    tokens = [slow_token(site, number) for number in range(3)]

    async def run():
        first = await come(edge, HERE, tokens[0])
        assert (await receive(first))["type"] == "connect"
        refused, told = upgrade(edge, HERE, tokens[1]), b""
        while b"rate limit" not in told:
            told += refused.recv(4096)
        await first.close()
        assert await end_of(edge, HERE, tokens[2]) is None
        refused.close()
    asyncio.run(run())


def test_a_user_that_asks_too_often(site):
    edge = site.edge("--max-user-requests", "1")
    alice, bob, service = site.token("alice"), site.token("bob"), site.token("backend", "--scope", "publish")
    statuses = [messages(edge, HERE, alice)[0] for _ in range(30)]
    assert statuses[:10] == [200] * 10 and 429 in statuses and set(statuses) == {200, 429}
    assert messages(edge, HERE, bob)[0] == 200
    assert [ask(edge, PUBLISH, HERE, service, UPDATE)[0] for _ in range(30)] == [200] * 30
    until(lambda: ask(edge, PUBLISH, HERE, alice, {"diagnosis_id": 123, **EFFECTIVENESS})[0] == 200, "a request")


# ---- who is not known ----

def test_what_a_user_says_on_all_its_connections(site):
    """Coming again and again gives no one more to say than others; a service has no such bound."""
    edge = site.edge("--max-user-requests", "3")
    alice, bob, service = site.token("alice"), site.token("bob"), site.token("alice", "--scope", "publish")

    async def say(token, device, count):
        """Whether it may."""
        socket = await come(edge, HERE, token, device=device)
        assert (await receive(socket))["type"] == "connect"
        try:
            for _ in range(count):
                await socket.send('{"type":"ping"}')
            for _ in range(count):
                while (await receive(socket))["type"] != "pong":
                    pass
            await socket.close()
            return True
        except websockets.ConnectionClosed:
            assert (socket.close_code, socket.close_reason) == RATE
            return False

    async def run():
        assert await say(alice, "one", 25)
        assert not await say(alice, "two", 60)
        assert await say(bob, "three", 25)
        assert await say(service, "four", 60)
    asyncio.run(run())
    until(lambda: messages(edge, HERE, alice)[0] == 429, "the end of the budget, which is the same")


def test_requests_without_a_token_count_for_the_address(site):
    edge = site.edge("--max-address-requests", "1")
    for path, status in (("/ws/status", 200), ("/ws/messages/123", 401)):
        statuses = [ask(edge, path, HERE)[0] for _ in range(30)]
        assert 429 in statuses and set(statuses) <= {status, 429}
    assert messages(edge, HERE, site.token("alice"))[0] == 200
    assert ask(edge, "/ws/status", THERE)[0] == 200
    assert [ask(edge, "/healthz", HERE)[0] for _ in range(30)] == [200] * 30


def test_connections_without_a_token_count_for_the_address(site):
    edge = site.edge("--max-address-connections", "3")
    alice, bob = site.token("alice"), site.token("bob")

    async def run():
        waiting = [await come(edge, HERE, auth="message") for _ in range(3)]
        assert await end_of(edge, HERE, auth="message") == RATE
        assert await end_of(edge, HERE) == RATE
        assert await end_of(edge, HERE, alice) is None
        assert await end_of(edge, THERE) == (1008, "token required")
        await waiting[0].send(json.dumps({"type": "auth", "token": bob}))
        assert (await receive(waiting[0]))["type"] == "connect"
        fourth = await come(edge, HERE, auth="message")  # it has that place
        await fourth.send(json.dumps({"type": "auth", "token": alice}))
        assert (await receive(fourth))["type"] == "connect"
        for socket in (*waiting, fourth):
            await socket.close()
        await asyncio.to_thread(until, lambda: asyncio.run(end_of(edge, HERE)) == (1008, "token required"), "a place")
    asyncio.run(run())


def test_a_token_that_is_being_checked_takes_no_place_of_strangers(site):
    edge = site.edge("--max-address-connections", "3")

    async def run():
        waiting = [await come(edge, HERE, auth="message") for _ in range(3)]
        assert await end_of(edge, HERE, slow_token(site)) is None
        assert await end_of(edge, HERE, auth="message") == RATE
        for socket in waiting:
            await socket.close()
    asyncio.run(run())


@pytest.mark.parametrize("limit, kind", [
    ("max-address-connections", None), ("max-address-handshakes", None), ("max-address-handshakes", "HS256"),
    ("max-bad-tokens", "RS256")])
def test_who_is_refused_for_its_address_takes_no_place_of_others(site, limit, kind):
    """Though it never ends its connection: as long as there is a place each of them is told why."""
    edge = site.edge("--max-connections", "100", f"--{limit}", "1")  # more than are taken in one turn
    token = flip(site.token("alice", key=site.rsa if kind == "RS256" else site.key), 2) if kind else ""
    links, refused = [upgrade(edge, HERE, "&auth=message")], 0
    for _ in range(250):
        link, told = upgrade(edge, HERE, token), b""
        links.append(link)
        while b"rate limit" not in told and b"token " not in told:
            piece = link.recv(4096)
            assert piece, (len(links), told)
            told += piece
        refused += b"rate limit" in told
    assert refused > 150
    assert asyncio.run(end_of(edge, THERE, site.token("alice"))) is None
    for link in links:
        link.close()


def test_new_connections_without_a_token_count_for_the_address(site):
    edge = site.edge("--max-address-handshakes", "1")

    async def run():
        ends = [await end_of(edge, HERE) for _ in range(30)]
        assert ends[:10] == [(1008, "token required")] * 10 and RATE in ends
        assert await end_of(edge, HERE, site.token("alice")) is None
        assert await end_of(edge, THERE) == (1008, "token required")
    asyncio.run(run())


def test_who_is_refused_together_with_others_is_told_why(site):
    edge = site.edge()
    for _ in range(300):
        links = [upgrade(edge, HERE, "&auth=message"), upgrade(edge, HERE, "")]
        told = b""
        while b"token required" not in told:
            piece = links[1].recv(4096)
            assert piece, told
            told += piece
        for link in links:
            link.close()


def test_a_client_finds_no_place_among_the_hubs_sessions(world):
    world.hub("--max-sessions", "2")  # one for this edge, one for others
    world.grant("123", "alice", "bob")
    edge = world.edge()

    async def run():
        first = await come(edge, HERE, world.token("alice"))
        assert (await receive(first))["type"] == "connect"
        assert await end_of(edge, HERE, world.token("bob")) == (1013, "try again later")
        await first.close()
        until(lambda: world.stat()["connections"] == 0, "it to leave")
        assert await end_of(edge, HERE, world.token("bob")) is None
    asyncio.run(run())


def test_all_come_back_to_a_hub_that_has_a_place_for_each(world):
    """Whichever edge comes first."""
    options = ["--max-sessions", "8"]
    hub = world.hub(*options)
    world.grant("123", "alice")
    edges = world.edge(), world.edge()

    async def watch():
        clients = []
        for edge, count in zip(edges, (4, 2)):
            for number in range(count):
                clients.append(await come(edge, HERE, world.token("alice"), device=f"{edge.port}-{number}"))
                assert (await receive(clients[-1]))["type"] == "connect"
        edges[0].signal(signal.SIGSTOP)
        hub.kill()
        world.hub(*options)
        until(lambda: world.stat()["connections"] == 2, "the second edge's clients")
        edges[0].signal(signal.SIGCONT)
        until(lambda: world.stat()["connections"] == 6, "the first one's")
        world.send("x_update", "123", {})
        for client in clients:
            assert (await receive(client))["type"] == "x_update"
            await client.close()
    asyncio.run(watch())
