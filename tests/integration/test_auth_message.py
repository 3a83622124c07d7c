"""Tokens over the connection: the first one in a message, and a fresh one in the place of an old one."""
import asyncio
import base64
import json
import time

import pytest
import websockets

import held
from conftest import PATIENCE, closed, receive, until
from held import THREADS, descriptors, heard, slow_token
from test_tokens import flip


def auth(token):
    return json.dumps({"type": "auth", "token": token})


def connections(world):
    return world.stat("summary")["connections"]


async def let_in(edge, room, token, **query):
    """A connection whose token came in its first message."""
    socket = await edge.connect(room, auth="message", **query)
    await socket.send(auth(token))
    hello = await receive(socket)
    assert hello["type"] == "connect", hello
    return socket, hello["data"]


async def answer(socket, text):
    await socket.send(text)
    return await receive(socket)


async def refused(edge, *messages, room="123", **query):
    """(code, reason) and the codes of the errors that went before."""
    socket = await edge.connect(room, auth="message", **query)
    for message in messages:
        await socket.send(message)
    codes = []
    with pytest.raises(websockets.ConnectionClosed):
        while True:
            said = await receive(socket)
            assert said["type"] == "error", said
            codes.append(said["data"]["code"])
    return (socket.close_code, socket.close_reason), codes


# ---- the first message ----

def test_goes_on_as_one_whose_token_came_with_the_url(clinic):
    async def run():
        socket, told = await let_in(clinic.the_edge, "123", clinic.alice, device="phone")
        assert (told["diagnosis_id"], told["user_id"], told["device"]) == (123, "alice", "phone")
        await asyncio.to_thread(clinic.send, "x_update", "123", {"a": 1})
        update = await receive(socket)
        assert update["data"] == {"a": 1}
        assert (await answer(socket, '{"type":"ping"}'))["type"] == "pong"
        await socket.close()
        again, told = await let_in(clinic.the_edge, "123", clinic.alice, device="phone", after=update["seq"])
        assert told["resume"] == "exact"
        await again.close()
        derived, _ = await let_in(clinic.the_edge, "123", clinic.alice)
        by_url = await clinic.the_edge.connect("123", clinic.alice)
        hello = await receive(by_url)
        assert hello["data"]["device"] == (await derived_device(clinic))
        await derived.close()
        await by_url.close()
    asyncio.run(run())


async def derived_device(world):
    socket, told = await let_in(world.the_edge, "123", world.alice)
    await socket.close()
    return told["device"]


def test_no_room_is_joined_before(clinic):
    async def run():
        socket = await clinic.the_edge.connect("123", auth="message")
        other, _ = await let_in(clinic.the_edge, "123", clinic.alice)
        assert await asyncio.to_thread(connections, clinic) == 1
        await asyncio.to_thread(clinic.send, "x_update", "123", {})
        assert (await receive(other))["type"] == "x_update"
        assert not socket.messages
        await socket.send(auth(clinic.alice))
        assert (await receive(socket))["type"] == "connect"
        assert await asyncio.to_thread(connections, clinic) == 2
        await socket.close()
        await other.close()
    asyncio.run(run())


@pytest.mark.parametrize("message, codes", [
    ('{"type":"ping"}', ["token_required"]), ('{"type":"subscribe","diagnosis_id":124}', ["token_required"]),
    ("{}", ["token_required"]), ('{"type":1}', ["token_required"]), ('{"type":"auth"}', ["invalid_field"]),
    ('{"type":"auth","token":7}', ["invalid_field"]), ("{", ["bad_json"]), ("[]", ["bad_json"]), ("", ["bad_json"]),
    (auth("x" * 8192), ["too_big"]), (auth(""), [])])
def test_anything_else_first_ends_it(clinic, message, codes):
    last = auth(clinic.alice)  # too late
    assert asyncio.run(refused(clinic.the_edge, message, last)) == ((1008, "token required"), codes)


def test_who_says_nothing_is_closed(clinic):
    assert asyncio.run(refused(clinic.the_edge)) == ((1008, "token required"), [])


def test_refusals_are_those_of_the_url(clinic):
    edge = clinic.the_edge
    expired = clinic.token("alice", "--ttl", "1s")
    until(lambda: edge.request("/ws/messages/123", token=expired)[0] == 401, "the end of a token")

    async def run():
        assert await refused(edge, auth("x")) == ((1008, "token invalid"), [])
        assert await refused(edge, auth("x" * 4097)) == ((1008, "token invalid"), [])
        assert await refused(edge, auth(flip(clinic.alice, 2))) == ((1008, "token invalid"), [])
        assert await refused(edge, auth(expired)) == ((1008, "token expired"), [])
        assert await refused(edge, auth(clinic.alice), room="125") == ((1008, "access denied"), [])
        assert await refused(edge, auth(clinic.alice), room="a.b") == ((1008, "access denied"), [])
        assert await refused(edge, auth(clinic.alice), after="x") == ((1008, "invalid_field"), ["invalid_field"])
        assert await refused(edge, auth("x"), after="x") == ((1008, "token invalid"), [])
    asyncio.run(run())


def test_a_token_in_the_url_is_not_looked_at_then(clinic):
    async def run():
        assert await refused(clinic.the_edge, '{"type":"ping"}', token=clinic.alice) == (
            (1008, "token required"), ["token_required"])
        socket = await clinic.the_edge.connect("123", "x", auth="message")
        assert (await answer(socket, auth(clinic.alice)))["type"] == "connect"
        await socket.close()
    asyncio.run(run())


def test_who_has_sent_none_when_the_edge_ends(clinic):
    async def run():
        waiting = await clinic.the_edge.connect("123", auth="message")
        clinic.the_edge.popen.terminate()
        assert await closed(waiting) == (1012, "service restart")
        assert clinic.the_edge.popen.wait(PATIENCE) == 0
    asyncio.run(run())


# ---- a token that takes long to check ----

site = pytest.fixture(held.site)


def frame(text):
    data = text.encode()
    assert len(data) < 65536
    head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else bytes([0x81, 0xfe]) + len(data).to_bytes(2, "big")
    return head + b"\0\0\0\0" + data


def test_what_follows_it_waits_in_one_piece_too(site):
    async def run():
        site.hold.begin()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.the_edge.port)
        writer.write(b"GET /ws/123?auth=message HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(auth(slow_token(site))) + frame('{"type":"ping"}') +
                     frame('{"type":"subscribe","diagnosis_id":124}'))
        await asyncio.to_thread(site.hold.until_held)
        site.hold.end()
        await heard(reader, b'"connect"', b'"pong"', b'"subscribed"')
        writer.close()
    asyncio.run(run())


def test_one_check_at_a_time(site):
    async def run():
        socket, _ = await let_in(site.the_edge, "123", site.token("alice"))
        site.hold.begin()
        await socket.send(auth(slow_token(site)))
        await asyncio.to_thread(site.hold.until_held)
        error = await answer(socket, auth(slow_token(site, 1)))
        assert (error["type"], error["data"]["code"]) == ("error", "auth_pending")
        assert (await answer(socket, '{"type":"ping"}'))["type"] == "pong"  # it goes on meanwhile
        site.hold.end()
        assert (await receive(socket))["type"] == "auth"
        assert (await answer(socket, auth(slow_token(site, 1))))["type"] == "auth"
        await socket.close()
    asyncio.run(run())


def test_who_leaves_meanwhile_is_forgotten(site):
    before = descriptors(site.the_edge)

    async def run():
        first = [await site.the_edge.connect("123", auth="message") for _ in range(THREADS)]
        renewing = [(await let_in(site.the_edge, "123", site.token("alice"), device=f"d{number}"))[0]
                    for number in range(THREADS)]
        site.hold.begin()
        for number, socket in enumerate(first + renewing):
            await socket.send(auth(slow_token(site, number)))
        await asyncio.to_thread(site.hold.until_held, THREADS)
        for socket in first + renewing:
            socket.transport.abort()
    asyncio.run(run())
    site.hold.end()
    until(lambda: descriptors(site.the_edge) <= before, "their end")
    assert site.the_edge.terminate() == 0


# ---- a fresh token ----

def expiry(token):
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def test_a_fresh_token_moves_the_end(clinic):
    short = clinic.token("alice", "--ttl", "3s")
    fresh = clinic.token("alice", "--ttl", "1h")

    async def run():
        renewed = await clinic.the_edge.connect("123", short, device="a")
        other = await clinic.the_edge.connect("123", short, device="b")
        by_message, _ = await let_in(clinic.the_edge, "123", short, device="c")
        for socket in (renewed, other):
            assert (await receive(socket))["type"] == "connect"
        for socket in (renewed, by_message):
            told = await answer(socket, auth(fresh))
            assert (told["type"], told["data"]) == ("auth", {"expires": rfc3339(expiry(fresh))})
        assert await closed(other) == (1008, "token expired")
        for socket in (renewed, by_message):
            assert (await answer(socket, '{"type":"ping"}'))["type"] == "pong"
        await asyncio.to_thread(clinic.send, "x_update", "123", {"late": True})
        assert (await receive(renewed))["data"] == {"late": True}
        told = await answer(renewed, auth(clinic.token("alice", "--ttl", "2s")))  # sooner is allowed too
        assert told["type"] == "auth"
        assert await closed(renewed) == (1008, "token expired")
        await by_message.close()
    asyncio.run(run())


def test_a_token_that_is_no_good_changes_nothing(clinic):
    short = clinic.token("alice", "--ttl", "3s")
    clinic.grant("123", "bob")

    async def run():
        socket = await clinic.the_edge.connect("123", short)
        assert (await receive(socket))["type"] == "connect"
        for token, code in [("x", "token_invalid"), (flip(clinic.alice, 2), "token_invalid"), ("", "token_required"),
                            (clinic.token("bob"), "access_denied")]:
            error = await answer(socket, auth(token))
            assert (error["type"], error["data"]["code"], error["data"]["field"]) == ("error", code, "token")
            assert token == "" or token not in json.dumps(error)
        await asyncio.to_thread(clinic.send, "x_update", "123", {})
        assert (await receive(socket))["type"] == "x_update"
        assert await closed(socket) == (1008, "token expired")
    asyncio.run(run())


def test_an_expired_one_is_said_to_be(clinic):
    expired = clinic.token("alice", "--ttl", "1s")
    until(lambda: clinic.the_edge.request("/ws/messages/123", token=expired)[0] == 401, "the end of a token")

    async def run():
        socket, _ = await let_in(clinic.the_edge, "123", clinic.alice)
        error = await answer(socket, auth(expired))
        assert (error["type"], error["data"]["code"]) == ("error", "token_expired")
        await socket.close()
    asyncio.run(run())


def claiming(world, *rooms, user="alice"):
    return world.token(user, *[word for room in rooms for word in ("--diagnosis", room)])


def by_claims(world, how):
    world.hub("--ownership", how)
    world.the_edge = world.edge()


async def watching(edge, first, *others, token):
    socket, _ = await let_in(edge, first, token, after="new")
    for room in others:
        assert (await answer(socket, json.dumps({"type": "subscribe", "diagnosis_id": room})))["type"] == "subscribed"
    return socket


def test_rooms_are_judged_by_the_new_claim(world):
    by_claims(world, "claims")

    async def run():
        socket = await watching(world.the_edge, "123", 124, token=claiming(world, "123", "124"))
        assert await asyncio.to_thread(connections, world) == 2
        assert (await answer(socket, auth(claiming(world, "124", "125"))))["type"] == "auth"
        told = await receive(socket)
        assert (told["type"], told["diagnosis_id"], told["data"]) == ("unsubscribed", 123, {"reason": "access denied"})
        await asyncio.to_thread(until, lambda: connections(world) == 1, "the hub to know")
        for room in ("123", "124"):
            await asyncio.to_thread(world.send, "x_update", room, {"room": room})
        update = await receive(socket)
        assert (update["diagnosis_id"], update["data"]) == (124, {"room": "124"})
        denied = await answer(socket, '{"type":"subscribe","diagnosis_id":123}')
        assert denied["data"]["code"] == "access_denied"
        assert (await answer(socket, '{"type":"subscribe","diagnosis_id":125}'))["type"] == "subscribed"
        await socket.close()
        only = await watching(world.the_edge, "123", token=claiming(world, "123"))
        assert (await answer(only, auth(claiming(world, "124"))))["type"] == "auth"
        assert await closed(only) == (1008, "access denied")
        await asyncio.to_thread(until, lambda: connections(world) == 0, "the hub to know")
    asyncio.run(run())


@pytest.mark.parametrize("how", ["registry", "either"])
def test_where_the_registry_lets_in_the_claim_takes_nothing(world, how):
    by_claims(world, how)
    world.grant("123", "alice")

    async def run():
        socket = await watching(world.the_edge, "123", token=claiming(world, "123"))
        assert (await answer(socket, auth(world.token("alice"))))["type"] == "auth"
        await asyncio.to_thread(world.send, "x_update", "123", {})
        assert (await receive(socket))["type"] == "x_update"
        assert (await answer(socket, auth(claiming(world, "124"))))["type"] == "auth"
        await asyncio.to_thread(world.send, "x_update", "123", {"again": 1})
        assert (await receive(socket))["data"] == {"again": 1}
        await socket.close()
    asyncio.run(run())


def test_nothing_is_lost_or_repeated_while_tokens_are_renewed(world):
    """Renewals between messages, with and without waiting, of a device that acknowledges and one that does not."""
    by_claims(world, "claims")

    edge, tokens, count = world.the_edge, [claiming(world, "123"), claiming(world, "123", "124")], 500
    lines = "".join(json.dumps({"data": {"number": number}}) + "\n" for number in range(count))

    async def watch(socket):
        numbers, renewals, known = [], 0, 0
        while len(numbers) < count or known < renewals:
            if renewals < 50 and known == renewals:
                await socket.send(auth(tokens[renewals % 2]))
                renewals += 1
            message = await receive(socket)
            if message["type"] == "auth":
                known += 1
            else:
                numbers.append(message["data"]["number"])
        assert numbers == list(range(count))
        await socket.close()

    async def run():
        sockets = [(await let_in(edge, "123", tokens[0], device=name, ack=ack))[0]
                   for name, ack in (("a", "auto"), ("b", "client"))]
        await asyncio.gather(*map(watch, sockets), asyncio.to_thread(
            world.run, "diagws-send", "-l", "-d", "123", "-t", "x_update", input=lines))
    asyncio.run(run())


def test_a_hub_that_comes_back_judges_by_the_new_claim(world):
    hub = world.hub("--ownership", "claims")
    world.the_edge = world.edge()

    async def run():
        socket = await watching(world.the_edge, "123", 124, token=claiming(world, "123", "124"))
        hub.kill()
        assert (await answer(socket, auth(claiming(world, "124"))))["type"] == "auth"
        world.hub("--ownership", "claims")
        told = await receive(socket)
        assert (told["type"], told["diagnosis_id"]) == ("unsubscribed", 123)
        await asyncio.to_thread(world.send, "x_update", "124", {"back": 1})
        assert (await receive(socket))["data"] == {"back": 1}
        await socket.close()
    asyncio.run(run())


def test_no_token_is_in_the_log(world):
    world.hub()
    edge = world.the_edge = world.edge("-v", "-v")
    world.grant("123", "alice")
    good, bad = world.token("alice"), "SECRET" + flip(world.token("alice", "--ttl", "2h"), 2)

    async def run():
        socket, _ = await let_in(edge, "123", good)
        assert (await answer(socket, auth(bad)))["data"]["code"] == "token_invalid"
        assert (await refused(edge, auth(bad)))[0] == (1008, "token invalid")
        await socket.close()
    asyncio.run(run())
    until(lambda: edge.said().count("token refused") == 2, "the log")
    for token in (good, bad):
        assert not any(part in edge.said() for part in token.split("."))


# ---- a long poll ----

def test_a_long_poll_ends_with_its_token(clinic):
    token = clinic.token("alice", "--ttl", "2s")
    begun = time.time()
    status, _, body = clinic.the_edge.request("/ws/messages/123?wait=60s", token=token)
    assert (status, body["messages"]) == (200, [])
    assert begun < expiry(token) <= time.time() + 0.1
    until(lambda: clinic.the_edge.request("/ws/messages/123?wait=60s", token=token)[0] == 401, "the end of the token")


