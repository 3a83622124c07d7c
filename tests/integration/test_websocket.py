"""WebSockets from outside, with a client that is no program of ours: what is sent, refused and closed."""
import asyncio
import json
import ssl
import subprocess
import time
import urllib.request

import pytest
import websockets

from conftest import EFFECTIVENESS, PATIENCE, closed, free_port, receive, receive_updates, shared_world, until

STAMP = "%Y-%m-%dT%H:%M:%S"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A hub, an edge, alice who may watch 123 and status, and bob."""
    with shared_world(tmp_path_factory) as world:
        world.hub()
        world.the_edge = world.edge("--origin", "HTTPS://Clinic.example:443")
        world.grant("124", "bob")
        world.alice = world.user("alice", "123", "status")
        yield world


def run(coroutine):
    return asyncio.run(coroutine)


async def open_to(edge, room, token, **query):
    """(socket, its `connect`)."""
    socket = await edge.connect(room, token, **query)
    message = await receive(socket)
    assert message["type"] == "connect", message
    return socket, message["data"]


def refusal(edge, room, token=None, **query):
    """(code, reason, seconds, what was said before)."""
    async def watch():
        begun = time.monotonic()
        said = []
        async with edge.connect(room, token, **query) as socket:
            try:
                while True:
                    said.append(await receive(socket))
            except websockets.ConnectionClosed:
                return socket.close_code, socket.close_reason, time.monotonic() - begun, said
    return run(watch())


def updates(world, room, count, start=0):
    """Sends so many numbered updates at once."""
    lines = "".join(json.dumps({"diagnosis_id": room, "type": "x_update", "data": {"i": start + i}}) + "\n"
                    for i in range(count))
    world.run("diagws-send", "-l", input=lines)


def fresh(site, user="alice"):
    """A room that no other test uses."""
    site.rooms = getattr(site, "rooms", 0) + 1
    room = f"room-{site.rooms}"
    site.grant(room, user)
    return room


# ---- connect and messages ----

def test_the_fields_of_connect(site):
    async def watch():
        async with site.the_edge.connect("123", site.alice, device="phone") as socket:
            return await receive(socket)
    message = run(watch())
    assert sorted(message) == ["data", "diagnosis_id", "timestamp", "type"]
    assert (message["type"], message["diagnosis_id"]) == ("connect", 123)
    data = message["data"]
    assert sorted(data) == sorted(["message", "timestamp", "diagnosis_id", "user_id", "device", "session", "epoch",
                                   "head", "oldest", "resume", "replaying"])
    assert (data["diagnosis_id"], data["user_id"], data["device"]) == (123, "alice", "phone")
    assert (data["head"], data["resume"], data["replaying"]) == (0, "new", 0)
    time.strptime(data["timestamp"].partition(".")[0].rstrip("Z"), STAMP)
    assert data["timestamp"].endswith("Z") and message["timestamp"].endswith("Z")


@pytest.mark.parametrize("user, told", [("55", 55), ("055", "055"), ("u 5", "u 5"), ("é", "é")])
def test_a_user_is_a_number_where_it_can_be(site, user, told):
    site.grant("123", user)

    async def watch():
        socket, data = await open_to(site.the_edge, "123", site.token(user))
        await socket.close()
        return data["user_id"]
    assert run(watch()) == told


@pytest.mark.parametrize("room, told", [("0", 0), ("007", "007"), ("9007199254740991", 9007199254740991),
                                        ("9007199254740992", "9007199254740992"), ("A_-z", "A_-z"), ("x" * 64,) * 2])
def test_a_room_is_a_number_where_it_can_be(site, room, told):
    site.grant(room, "alice")

    async def watch():
        socket, data = await open_to(site.the_edge, room, site.alice)
        site.send("x_update", room, {"a": 1})
        update, = await receive_updates(socket, 1)
        await socket.close()
        return data["diagnosis_id"], update["diagnosis_id"]
    assert run(watch()) == (told, told)


def test_each_update_arrives_as_documented(site):
    room = fresh(site)
    old, new = {"dose": 1.0, "drug": "a", "same": [1], "gone": 1}, {"dose": 2, "drug": "a", "same": [1], "more": None}
    sent = [("recommendation", {"old_data": old, "new_data": new, "reason": "why"}),
            ("effectiveness", EFFECTIVENESS),
            ("feedback", {"feedback_id": 1, "rating": 5, "effectiveness": 0.5, "comment": "é\U0001f600"}),
            ("lab_update", {"any": {"thing": []}})]

    async def watch():
        socket, _ = await open_to(site.the_edge, room, site.alice)
        receipts = [await asyncio.to_thread(site.send, kind, room, data, "--id", f"id-{kind}") for kind, data in sent]
        got = await receive_updates(socket, len(sent))
        await socket.close()
        return receipts, got
    receipts, got = run(watch())
    for number, (receipt, message, (kind, _)) in enumerate(zip(receipts, got, sent), 1):
        assert sorted(message) == ["data", "diagnosis_id", "id", "n", "seq", "timestamp", "type"]
        assert message["type"] == (kind if kind.endswith("_update") else f"{kind}_update")
        assert (message["n"], message["seq"], message["id"]) == (number, receipt["seq"], f"id-{kind}")
        assert message["diagnosis_id"] == room
        time.strptime(message["timestamp"].partition(".")[0].rstrip("Z"), STAMP)
    data = got[0]["data"]
    assert sorted(data.pop("changed_fields")) == ["dose", "more"]
    assert data == {"old_data": old, "new_data": new, "old_recommendation": old, "new_recommendation": new,
                    "reason": "why"}
    assert [message["data"] for message in got[1:]] == [data for _, data in sent[1:]]


@pytest.mark.parametrize("old, new, names", [
    ({}, {}, []), ({"a": 1}, {"a": 1}, []), ({"a": 1}, {"a": 2}, ["a"]), ({}, {"a": None}, ["a"]),
    ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, []), ({"a": [1, 2]}, {"a": [2, 1]}, ["a"]),
    ({"a": "1"}, {"a": 1}, ["a"]), ({"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 3}, ["b", "c"])])
def test_changed_fields_are_the_keys_of_new_data_that_differ(site, old, new, names):
    room = fresh(site)
    site.send("recommendation", room, {"old_data": old, "new_data": new})

    async def watch():
        socket, _ = await open_to(site.the_edge, room, site.alice)
        update, = await receive_updates(socket, 1)
        await socket.close()
        return update["data"]["changed_fields"]
    assert run(watch()) == names


def test_members_pass_in_the_senders_own_bytes(site):
    room = fresh(site)
    text = '{"recommendation_id":789,"new_effectiveness":0.850,"confidence":1e-1,"sample_size":150,"dose":1.10,' \
           '"big":9223372036854775807,"text":"\\u00e9\\/ \\t","nested":{"z":1.0,"a":-0}}'

    async def watch():
        socket, _ = await open_to(site.the_edge, room, site.alice)
        await asyncio.to_thread(site.run, "diagws-send", "effectiveness", room, text)
        frame = await asyncio.wait_for(socket.recv(), PATIENCE)
        await socket.close()
        return frame
    assert f'"data":{text}' in run(watch())


def test_every_client_gets_the_same_frame_and_later_the_same_again(site):
    room = fresh(site)
    site.grant(room, "bob")
    bob = site.token("bob")

    async def watch():
        sockets = [(await open_to(site.the_edge, room, token))[0] for token in (site.alice, site.alice, bob)]
        await asyncio.to_thread(site.send, "x_update", room, {"a": 1})
        frames = [await asyncio.wait_for(socket.recv(), PATIENCE) for socket in sockets]
        late, data = await open_to(site.the_edge, room, bob, device="late")
        frames.append(await asyncio.wait_for(late.recv(), PATIENCE))
        for socket in (*sockets, late):
            await socket.close()
        return frames, data
    frames, data = run(watch())
    assert len(set(frames)) == 1
    assert data["replaying"] == 1 and json.loads(frames[0])["seq"] <= data["head"]


# ---- who may not ----

def test_unknown_and_forbidden_are_refused_alike(site):
    for room in ("124", "99999999", "no-such", "a.b", "x" * 65, "a%20b", "%C3%A4", ""):
        code, reason, seconds, said = refusal(site.the_edge, room, site.alice)
        assert (code, reason, said) == (1008, "access denied", []), room
        assert seconds >= 0.049, room


def test_status_is_a_room_too(site):
    async def watch():
        socket, data = await open_to(site.the_edge, "status", site.alice)
        await asyncio.to_thread(site.send, "x_update", "status", {})
        update, = await receive_updates(socket, 1)
        await socket.close()
        return data["diagnosis_id"], update["diagnosis_id"]
    assert run(watch()) == ("status", "status")
    assert refusal(site.the_edge, "status", site.token("bob"))[:2] == (1008, "access denied")


@pytest.mark.parametrize("query", [{"after": "x"}, {"after": "-1"}, {"after": ""}, {"after": "1x"}, {"after": "1e3"},
                                   {"after": "99999999999999999999"}, {"device": "a%20b"}, {"device": ""},
                                   {"device": "x" * 65}, {"epoch": "a/b"}, {"epoch": "0" * 33}, {"ack": "server"}, {"ack": ""},
                                   {"auth": "x"}, {"auth": ""}, {"heartbeat": "2"}, {"heartbeat": "yes"}])
def test_garbage_arguments_are_refused(site, query):
    code, reason, _, said = refusal(site.the_edge, "123", site.alice, **query)
    assert (code, reason) == (1008, "invalid_field")
    assert [(message["type"], message["data"]["code"]) for message in said] == [("error", "invalid_field")]
    assert next(iter(query)) in said[0]["data"]["message"]


def test_a_stranger_with_garbage_learns_only_of_the_token(site):
    assert refusal(site.the_edge, "123", "x", after="x")[::3] == (1008, [])
    assert refusal(site.the_edge, "123", "x", after="x")[1] == "token invalid"


def upgrade(edge, path, *headers):
    """The first bytes that answer an upgrade."""
    import socket as sockets
    with sockets.create_connection(("127.0.0.1", edge.port), timeout=PATIENCE) as link:
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{edge.port}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *headers, "", ""]
        link.sendall("\r\n".join(lines).encode())
        got = b""
        while b"\r\n\r\n" not in got or (b" 101 " not in got and not got.endswith(b"}")):
            piece = link.recv(65536)
            if not piece:
                break
            got += piece
        return got


@pytest.mark.parametrize("origin, status", [
    (None, 101), ("https://clinic.example", 101), ("https://clinic.example:443", 101), ("https://evil.example", 403),
    ("http://clinic.example", 403), ("https://clinic.example:444", 403), ("https://clinic.example.evil.example", 403),
    ("https://clinic.exampl", 403), ("null", 403), ("x", 403)])
def test_origins(site, origin, status):
    headers = [f"Origin: {origin}"] if origin else []
    answer = upgrade(site.the_edge, f"/ws/123?token={site.alice}", *headers)
    assert int(answer.split()[1]) == status
    if status == 403:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "origin"


def test_a_page_of_the_same_host_is_let_in(site):
    same = f"Origin: http://127.0.0.1:{site.the_edge.port}"
    assert b" 101 " in upgrade(site.the_edge, f"/ws/123?token={site.alice}", same)


def test_websockets_are_at_one_place(site):
    for path, status in (("/", b"404"), ("/ws/123/x", b"404"), ("/other", b"404"), ("/healthz", b"200")):
        assert upgrade(site.the_edge, path).split()[1] == status, path


# ---- what a client says ----

async def answers(site, *said):
    """What comes back, and that the connection goes on."""
    socket, _ = await open_to(site.the_edge, "123", site.alice, after="new")
    got = []
    for text in said:
        await socket.send(text)
    await socket.send('{"type":"ping"}')
    while not got or got[-1]["type"] != "pong":
        got.append(await receive(socket))
    await socket.close()
    return got


def test_ping_is_answered(site):
    pong, = run(answers(site))
    assert sorted(pong) == ["data", "diagnosis_id", "timestamp", "type"] and list(pong["data"]) == ["timestamp"]
    time.strptime(pong["data"]["timestamp"].partition(".")[0].rstrip("Z"), STAMP)


@pytest.mark.parametrize("text, code", [
    ("{", "bad_json"), ("", "bad_json"), ("nonsense", "bad_json"), ("[]", "bad_json"), ('"ping"', "bad_json"),
    ('{"type":"ping","type":"ping"}', "bad_json"), ("{}", "invalid_field"), ('{"type":5}', "invalid_field"),
    ('{"type":"nothing"}', "unknown_type"), ('{"type":"connect"}', "unknown_type"),
    ('{"type":"effectiveness_update","data":{}}', "unknown_type"),
    ('{"type":"ack"}', "invalid_field"), ('{"type":"ack","seq":"1"}', "invalid_field"),
    ('{"type":"ack","seq":-1}', "invalid_field"), ('{"type":"ack","seq":999999999}', "invalid_field"),
    ('{"type":"subscribe"}', "invalid_field"), ('{"type":"subscribe","diagnosis_id":"a/b"}', "invalid_field"),
    ('{"type":"subscribe","diagnosis_id":-1}', "invalid_field"), ('{"type":"subscribe","diagnosis_id":""}', "invalid_field"),
    ('{"type":"subscribe","diagnosis_id":123}', "already_subscribed"),
    ('{"type":"subscribe","diagnosis_id":123,"after":-1}', "invalid_field"),
    ('{"type":"subscribe","diagnosis_id":123,"after":"old"}', "invalid_field"),
    ('{"type":"subscribe","diagnosis_id":123,"epoch":"a/b"}', "invalid_field"),
    ('{"type":"subscribe","diagnosis_id":123,"epoch":"' + "0" * 33 + '"}', "invalid_field"),
    ('{"type":"unsubscribe"}', "invalid_field"), ('{"type":"unsubscribe","diagnosis_id":"a/b"}', "invalid_field"),
    ('{"type":"auth","token":"x"}', "token_invalid"), ('{"type":"auth","token":""}', "token_required"),
    ('{"type":"auth"}', "invalid_field"), ('{"type":"auth","token":1}', "invalid_field"), ("[" * 4000, "bad_json"),
    ('{"type":"ping","x":"' + "y" * 8192 + '"}', "too_big"), ("x" * 65536, "too_big")])
def test_bad_input_gets_an_error_and_the_connection_goes_on(site, text, code):
    error, pong = run(answers(site, text))
    assert (error["type"], error["data"]["code"], pong["type"]) == ("error", code, "pong")
    assert error["data"]["message"] and error["diagnosis_id"] == 123


def test_a_message_of_8_kib_is_taken(site):
    text = '{"type":"ping","x":"%s"}'
    text = text % ("y" * (8192 - len(text) + 2))
    assert len(text) == 8192
    assert [message["type"] for message in run(answers(site, text))] == ["pong"]


def closes(site, action):
    async def watch():
        socket, _ = await open_to(site.the_edge, "123", site.alice, after="new")
        await action(socket)
        return await closed(socket)
    return run(watch())


def test_binary_is_1003(site):
    assert closes(site, lambda socket: socket.send(b"{}"))[0] == 1003
    assert closes(site, lambda socket: socket.send(b""))[0] == 1003


@pytest.mark.parametrize("data", [b"\xff", b'{"type":"ping","x":"\xc3"}', b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_bad_utf8_is_1007(site, data):
    assert closes(site, lambda socket: socket.write_frame(True, 0x1, data))[0] == 1007


def test_a_character_in_two_fragments_is_whole(site):
    async def watch():
        socket, _ = await open_to(site.the_edge, "123", site.alice, after="new")
        text = '{"type":"ping","x":"\u00e4"}'.encode()
        cut = text.index(b"\xc3") + 1
        await socket.write_frame(False, 0x1, text[:cut])
        await socket.write_frame(True, 0x0, text[cut:])
        assert (await receive(socket))["type"] == "pong"
        await socket.close()
    run(watch())


def test_any_bytes_in_a_ping_or_pong_are_fine_also_after_text(site):
    async def watch():
        socket, _ = await open_to(site.the_edge, "123", site.alice, after="new")
        for payload in (b"\xff\xfe", b"\xc3", b"\x00\x80" * 20):
            await socket.send('{"type":"ping"}')
            assert (await receive(socket))["type"] == "pong"
            await asyncio.wait_for(await socket.ping(payload), PATIENCE)
            await socket.pong(payload)
        await socket.send('{"type":"ping"}')
        assert (await receive(socket))["type"] == "pong"
        await socket.close()
    run(watch())


def test_a_frame_over_64_kib_is_1009(site):
    assert closes(site, lambda socket: socket.send("x" * 65537))[0] == 1009


def test_fragments_count_together(site):
    assert closes(site, lambda socket: socket.send(["x" * 30000] * 3))[0] == 1009
    assert [m["type"] for m in run(answers(site, ['{"type":', '"ping"}']))] == ["pong"]


def test_a_flood_is_1008(site):
    async def flood(socket):
        try:
            for _ in range(2000):
                await socket.send('{"type":"ping"}')
        except websockets.ConnectionClosed:
            pass
    assert closes(site, flood) == (1008, "rate limit")


def test_the_65th_connection_of_a_user_is_1008(site):
    site.grant("123", "crowd")
    token = site.token("crowd")

    async def crowd():
        sockets = [(await open_to(site.the_edge, "123", token, after="new"))[0] for _ in range(64)]
        async with site.the_edge.connect("123", token) as socket:
            assert await closed(socket) == (1008, "rate limit")
        other, _ = await open_to(site.the_edge, "123", site.alice)  # others are not affected
        await sockets.pop().close()
        deadline = time.monotonic() + PATIENCE
        while True:  # and one that left makes room
            async with site.the_edge.connect("123", token) as socket:
                try:
                    assert (await receive(socket))["type"] == "connect"
                    break
                except websockets.ConnectionClosed:
                    assert time.monotonic() < deadline
        await asyncio.gather(*(socket.close() for socket in (*sockets, other)))
    run(crowd())


# ---- devices and positions ----

def test_a_device_is_taken_over(site):
    room = fresh(site)

    async def watch():
        first, _ = await open_to(site.the_edge, room, site.alice, device="phone")
        second, _ = await open_to(site.the_edge, room, site.alice, device="phone")
        assert await closed(first) == (4001, "replaced")
        await asyncio.to_thread(site.send, "x_update", room, {})
        await receive_updates(second, 1)
        await second.close()
    run(watch())


def test_tabs_live_side_by_side(site):
    room = fresh(site)

    async def watch():
        (first, one), (second, two) = [await open_to(site.the_edge, room, site.alice) for _ in range(2)]
        assert one["device"] == two["device"] and one["session"] != two["session"]
        await asyncio.to_thread(site.send, "x_update", room, {})
        assert await receive_updates(first, 1) == await receive_updates(second, 1)
        await asyncio.gather(first.close(), second.close())
    run(watch())


def test_where_after_leads(site):
    room = fresh(site)
    updates(site, room, 5)

    async def watch(**query):
        socket, data = await open_to(site.the_edge, room, site.alice, **query)
        got = await receive_updates(socket, data["replaying"])
        await socket.send('{"type":"ping"}')
        assert (await receive(socket))["type"] == "pong"  # and no more
        await socket.close()
        return data, got
    data, all_of_it = run(watch(device="a", after="0"))
    assert [message["n"] for message in all_of_it] == [1, 2, 3, 4, 5]
    assert data["oldest"] == all_of_it[0]["seq"] and data["head"] == all_of_it[-1]["seq"]
    data, got = run(watch(device="b", after=all_of_it[2]["seq"]))
    assert (data["resume"], got) == ("exact", all_of_it[3:])
    data, got = run(watch(device="c", after=all_of_it[4]["seq"], epoch=data["epoch"]))
    assert (data["resume"], got) == ("exact", [])
    data, got = run(watch(device="d", after="new"))
    assert got == [] and data["head"] == all_of_it[-1]["seq"]
    data, got = run(watch(device="e"))
    assert (data["resume"], got) == ("new", all_of_it)
    data, got = run(watch(device="f", after=all_of_it[2]["seq"], epoch="another"))
    assert (data["resume"], got) == ("reset", all_of_it)
    data, got = run(watch(device="g", after=2**53 - 1))
    assert (data["resume"], got) == ("reset", all_of_it)


def test_what_was_missed_comes_on_return(site):
    room = fresh(site)

    async def first():
        socket, data = await open_to(site.the_edge, room, site.alice, device="phone")
        await socket.close()
        return data
    assert run(first())["resume"] == "new"
    updates(site, room, 5)

    async def again():
        socket, data = await open_to(site.the_edge, room, site.alice, device="phone")
        got = await receive_updates(socket, 5)
        await socket.close()
        return data, got
    data, got = run(again())
    assert (data["resume"], data["replaying"]) == ("exact", 5)
    assert [message["data"]["i"] for message in got] == list(range(5))


def test_a_gap_is_told_exactly(site):
    room = fresh(site)
    updates(site, room, 3)

    async def first():
        socket, _ = await open_to(site.the_edge, room, site.alice, device="phone", after="new")
        await socket.close()
    run(first())
    updates(site, room, 150)

    async def again():
        socket, data = await open_to(site.the_edge, room, site.alice, device="phone")
        gap = await receive(socket)
        got = await receive_updates(socket, 100)
        await socket.close()
        return data, gap, got
    data, gap, got = run(again())
    assert (data["resume"], data["replaying"]) == ("gap", 100)
    assert (gap["type"], gap["diagnosis_id"]) == ("gap", room)
    assert gap["data"] == {"from": 4, "to": 53, "count": 50, "reason": "limit"}
    assert [message["n"] for message in got] == list(range(54, 154))
    assert [message["data"]["i"] for message in got] == list(range(50, 150))


def test_a_first_visit_gets_no_gap(site):
    room = fresh(site)
    updates(site, room, 150)

    async def watch():
        socket, data = await open_to(site.the_edge, room, site.alice, device="never-seen")
        got = await receive_updates(socket, 100)
        await socket.close()
        return data["resume"], [message["n"] for message in got]
    assert run(watch()) == ("new", list(range(51, 151)))


def test_ack_moves_the_device(site):
    room = fresh(site)

    def seen():
        row, = [row for row in site.devices(room) if row["device"] == "phone"]
        return row["confirmed_seq"]

    async def watch():
        socket, _ = await open_to(site.the_edge, room, site.alice, device="phone")
        await asyncio.to_thread(updates, site, room, 2)
        got = await receive_updates(socket, 2)
        await socket.send(json.dumps({"type": "ack", "seq": got[1]["seq"]}))
        await asyncio.to_thread(until, lambda: seen() == got[1]["seq"], "the confirmation")
        await socket.close()
    run(watch())


# ---- owners ----

def test_revoking_closes_within_a_second(site):
    room = fresh(site)
    site.grant(room, "bob")

    async def watch():
        mine, _ = await open_to(site.the_edge, room, site.alice)
        other, _ = await open_to(site.the_edge, room, site.token("bob"))
        begun = time.monotonic()
        await asyncio.to_thread(site.run, "diagws-owner", "revoke", room, "alice")
        assert await closed(mine) == (1008, "access denied")
        seconds = time.monotonic() - begun
        await asyncio.to_thread(site.send, "x_update", room, {})
        await receive_updates(other, 1)
        await other.close()
        return seconds
    assert run(watch()) < 1 + PATIENCE / 10
    assert refusal(site.the_edge, room, site.alice)[:2] == (1008, "access denied")


@pytest.mark.parametrize("how, owner, claimed, both", [("registry", True, False, True), ("claims", False, True, True),
                                                       ("either", True, True, True)])
def test_who_decides(world, how, owner, claimed, both):
    world.hub("--ownership", how)
    edge = world.edge()
    world.grant("123", "alice")
    world.grant("5", "carol")
    by_claim = ("--diagnosis", "123", "--diagnosis", "x")

    def lets_in(token, room="123"):
        async def watch():
            async with edge.connect(room, token) as socket:
                try:
                    return (await receive(socket))["type"] == "connect"
                except websockets.ConnectionClosed:
                    assert (socket.close_code, socket.close_reason) == (1008, "access denied")
                    return False
        return run(watch())

    assert lets_in(world.token("alice")) == owner
    assert lets_in(world.token("bob", *by_claim)) == claimed
    assert lets_in(world.token("alice", *by_claim)) == both
    assert not lets_in(world.token("bob"))
    assert not lets_in(world.token("bob", *by_claim), "124")
    published = edge.request("/ws/broadcast", {"diagnosis_id": 123, "type": "x_update", "data": {}},
                             world.token("bob", *by_claim))[0]
    assert published == (200 if claimed else 403)


def test_a_denial_beats_a_claim(world):
    world.hub("--ownership", "either")
    edge = world.edge()
    token = world.token("bob", "--diagnosis", "123")

    async def watch():
        socket, _ = await open_to(edge, "123", token)
        await asyncio.to_thread(world.run, "diagws-owner", "deny", "123", "bob")
        assert await closed(socket) == (1008, "access denied")
    run(watch())
    assert refusal(edge, "123", token)[:2] == (1008, "access denied")


# ---- statistics ----

def test_status_by_scope(clinic):
    stat = clinic.token("ops", "--scope", "stat")

    async def watch():
        first, _ = await open_to(clinic.the_edge, "123", clinic.alice)
        second, _ = await open_to(clinic.the_edge, "123", clinic.alice)
        full = await asyncio.to_thread(clinic.the_edge.request, "/ws/status", token=stat)
        plain = await asyncio.to_thread(clinic.the_edge.request, "/ws/status")
        await asyncio.gather(first.close(), second.close())
        return full[2], plain[2]
    full, plain = run(watch())
    assert (plain["total_connections"], plain["total_diagnoses"]) == (2, 1)
    assert full["connections_by_diagnosis"] == {"123": 2} and full["users"] == {"alice": 2}
    assert "123" not in json.dumps({**plain, "uptime_s": 0}) and "alice" not in json.dumps(plain)
    until(lambda: clinic.the_edge.request("/ws/status")[2]["total_connections"] == 0, "the clients' end")
    clinic.send("x_update", "123", {})
    # An answer is good for a second.
    until(lambda: clinic.the_edge.request("/ws/status", token=stat)[2]["queued_messages"] >= 1, "a look after that")
    full = clinic.the_edge.request("/ws/status", token=stat)[2]
    assert full["queued_messages_by_diagnosis"] == {"123": full["queued_messages"]}
    answer = clinic.the_edge.request("/ws/broadcast", {"diagnosis_id": 123, "type": "x_update", "data": {}},
                                     clinic.alice)[2]
    assert (answer["clients_notified"], answer["devices_queued"]) == (0, 1)


# ---- the hub's absence, shutdown, transports ----

def test_without_a_hub_clients_stay_and_new_ones_wait(clinic):
    async def watch():
        old, _ = await open_to(clinic.the_edge, "123", clinic.alice)
        clinic.processes[0].kill()
        await asyncio.to_thread(until, lambda: not clinic.the_edge.ready(), "the edge to notice")
        begun = time.monotonic()
        async with clinic.the_edge.connect("123", clinic.alice) as new:
            assert await closed(new) == (1013, "try again later")
        assert 4.9 <= time.monotonic() - begun < 6 + PATIENCE / 5
        await old.send('{"type":"ping"}')
        assert (await receive(old))["type"] == "pong"
        await asyncio.to_thread(clinic.hub)
        await asyncio.to_thread(clinic.send, "x_update", "123", {"back": True})
        update, = await receive_updates(old, 1)
        assert update["data"] == {"back": True}
        await old.close()
    run(watch())


def test_sigterm_says_when_to_come_back(clinic):
    async def watch():
        socket, _ = await open_to(clinic.the_edge, "123", clinic.alice)
        clinic.the_edge.popen.terminate()
        message = await receive(socket)
        assert message["type"] == "shutdown"
        low, high = message["data"]["retry_after_ms"]
        assert 0 <= low < high
        assert await closed(socket) == (1012, "service restart")
    run(watch())
    assert clinic.the_edge.popen.wait(PATIENCE) == 0


def test_tls(world):
    certificate, key = world.path / "cert.pem", world.path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True, timeout=PATIENCE)
    world.hub()
    world.grant("123", "alice")
    port = free_port()
    world.edge("--listen", f"wss://127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key)
    trust = ssl.create_default_context(cafile=str(certificate))

    async def watch():
        async with websockets.connect(f"wss://127.0.0.1:{port}/ws/123?token={world.token('alice')}",
                                      ssl=trust) as socket:
            assert (await receive(socket))["type"] == "connect"
            await asyncio.to_thread(world.send, "x_update", "123", {"x": "y" * 60000})
            update, = await receive_updates(socket, 1)
            assert len(update["data"]["x"]) == 60000
            await socket.send('{"type":"ping"}')
            assert (await receive(socket))["type"] == "pong"
        async with websockets.connect(f"wss://127.0.0.1:{port}/ws/123", ssl=trust) as socket:
            assert await closed(socket) == (1008, "token required")
    run(watch())
    # WebSockets alone: whatever else comes is told so, and the connection ends.
    for path, status in (("/healthz", 426), ("/ws/broadcast", 426), ("/ws/123", 426)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"https://127.0.0.1:{port}{path}", context=trust, timeout=PATIENCE)
        assert refused.value.code == status and json.load(refused.value)["error"]["code"] == "upgrade_required"


def test_a_unix_socket(world):
    path = world.path / "edge.sock"
    world.hub()
    world.edge("--listen", f"unix:{path}")
    world.grant("123", "alice")
    assert path.stat().st_mode & 0o777 == 0o660

    async def watch():
        async with websockets.unix_connect(str(path), f"ws://localhost/ws/123?token={world.token('alice')}") as socket:
            assert (await receive(socket))["type"] == "connect"
            await asyncio.to_thread(world.send, "x_update", "123", {})
            await receive_updates(socket, 1)
    run(watch())
    second = world.edge("--listen", f"unix:{path}", wait=False)
    assert second.popen.wait(PATIENCE) != 0 and "in use" in second.said()
