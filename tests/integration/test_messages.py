"""GET /ws/messages/{diagnosis_id}: what is retained, waiting for the next one, and what is no more."""
import asyncio
import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import socket
import time

import pytest

from conftest import PATIENCE, ROOT, SANITIZED, receive, receive_updates, until

DENIED = {"success": False, "error": {"code": "access_denied", "message": "access denied"}, "detail": "access denied"}


def get(world, query="", room="123", token=None, edge=None, **more):
    """(status, answer)."""
    path = f"/ws/messages/{room}" + (f"?{query}" if query else "")
    status, _, answer = (edge or world.the_edge).request(path, token=token or world.alice, **more)
    return status, answer


def read(world, query="", **more):
    status, answer = get(world, query, **more)
    assert status == 200, answer
    return answer


def send_many(world, count, room="123", pad=0, start=1):
    """Numbered updates in one batch."""
    lines = (json.dumps({"data": {"number": number, "pad": "x" * pad}}) for number in range(start, start + count))
    world.run("diagws-send", "-l", "-d", room, "-t", "x_update", input="\n".join(lines))


def numbers(answer):
    return [message["data"]["number"] for message in answer["messages"]]


@contextlib.contextmanager
def asking(world, query, **more):
    """A request under way: its future."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool.submit(get, world, query, **more)


def waits(world, count=1):
    until(lambda: world.stat()["waiting"] == count, "the request to wait")


# ---- what is retained ----

def test_the_same_objects_as_on_a_websocket(clinic):
    clinic.send("recommendation", "123", {"old_data": {"a": 1}, "new_data": {"a": 2}, "reason": "ü"}, "-i", "r-1")
    send_many(clinic, 3)

    async def watch():
        async with clinic.the_edge.connect("123", clinic.alice) as ws:
            hello = await receive(ws)
            return hello, await receive_updates(ws, 4)

    hello, updates = asyncio.run(watch())
    answer = read(clinic)
    epoch = hello["data"]["epoch"]
    assert answer == {"messages": updates, "epoch": epoch, "head": 4, "last": 4, "more": False, "gap": None, "gaps": []}
    assert read(clinic, f"after=2&epoch={epoch}")["messages"] == updates[2:]


def test_of_a_room_without_messages_there_is_nothing(clinic):
    answer = read(clinic)
    assert answer.pop("epoch")
    assert answer == {"messages": [], "head": 0, "last": 0, "more": False, "gap": None, "gaps": []}


def test_pages_follow_each_other(clinic):
    """`last` of one answer is `after` of the next, until there is no more."""
    send_many(clinic, 95)
    got, after, pages = [], 0, 0
    while True:
        answer = read(clinic, f"after={after}&limit=10")
        got += numbers(answer)
        after, pages = answer["last"], pages + 1
        if not answer["more"]:
            break
        assert len(answer["messages"]) == 10
    assert (got, pages) == (list(range(1, 96)), 10)
    assert len(read(clinic)["messages"]) == 95 and len(read(clinic, "limit=1000")["messages"]) == 95


def test_large_messages_come_in_bounded_answers(clinic):
    """30 of 60 KiB: no answer holds more than a few, and all come."""
    send_many(clinic, 30, pad=60000)
    got, after, sizes = [], 0, []
    while True:
        answer = read(clinic, f"after={after}&limit=1000")
        got += numbers(answer)
        sizes.append(len(json.dumps(answer)))
        after = answer["last"]
        if not answer["more"]:
            break
    assert got == list(range(1, 31))
    assert max(sizes) <= 300 * 1024 and len(sizes) > 5


def test_a_slow_reader_gets_its_answer_in_pieces(clinic):
    """An answer larger than what the sockets hold, taken slowly; others are answered meanwhile."""
    send_many(clinic, 4, pad=60000)
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.settimeout(PATIENCE)
        link.connect(("127.0.0.1", clinic.the_edge.port))
        link.sendall(f"GET /ws/messages/123 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {clinic.alice}\r\n\r\n"
                     .encode())
        got = link.recv(100)
        assert numbers(read(clinic)) == [1, 2, 3, 4]
        while not got.endswith(b'"gap":null,"gaps":[]}'):
            piece = link.recv(3000)
            assert piece, "the answer ended early"
            got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head.lower()
        assert numbers(json.loads(body)) == [1, 2, 3, 4]
        # The connection goes on.
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in link.recv(4096)


def test_what_was_trimmed_is_a_gap(clinic):
    clinic.send("x_update", "other", {})
    send_many(clinic, 150)
    answer = read(clinic, "after=11&limit=5")
    gap = {"from": 11, "to": 50, "count": 40, "reason": "limit"}
    assert (answer["gap"], answer["gaps"]) == (gap, [gap])
    assert numbers(answer) == [51, 52, 53, 54, 55] and answer["more"]
    answer = read(clinic, f"after={answer['last']}")
    assert (answer["gap"], numbers(answer)) == (None, list(range(56, 151)))


def test_who_began_before_the_first_message_is_told_too(clinic):
    """Zero with its epoch is a position; without, it asks for what is there."""
    began = read(clinic)
    send_many(clinic, 103)
    answer = read(clinic, f"after={began['last']}&epoch={began['epoch']}")
    assert answer["gap"] == {"from": 1, "to": 3, "count": 3, "reason": "limit"}
    assert numbers(answer)[0] == 4
    assert (read(clinic)["gap"], numbers(read(clinic))[0]) == (None, 4)


def test_what_expired_between_others_is_a_gap_each(clinic):
    """Two holes among what is retained: `gaps` names both, `gap` the first."""
    for number, ttl in enumerate((0, 1, 1, 0, 1, 0), 1):
        clinic.send("x_update", "123", {"number": number}, *(["--ttl", "1s"] if ttl else []))
    answer = until(lambda: (got := read(clinic)) and len(got["messages"]) == 3 and got, "three to expire")
    holes = [{"from": 2, "to": 3, "count": 2, "reason": "expired"},
             {"from": 5, "to": 5, "count": 1, "reason": "expired"}]
    assert (numbers(answer), answer["gap"], answer["gaps"]) == ([1, 4, 6], holes[0], holes)
    assert answer["last"] == 6


def test_a_position_of_another_store_or_ahead_is_reset(clinic):
    send_many(clinic, 3)
    for query in ("after=4", "after=2&epoch=" + "0" * 32):
        answer = read(clinic, query)
        assert (answer["reset"], numbers(answer), answer["last"]) == (True, [1, 2, 3], 3)
    assert "reset" not in read(clinic, "after=3")


# ---- waiting ----

def test_a_poll_is_answered_by_the_next_message(clinic):
    send_many(clinic, 2)
    begun = time.monotonic()
    with asking(clinic, "after=2&wait=60s") as asked:
        waits(clinic)
        send_many(clinic, 1, start=3)
        status, answer = asked.result(PATIENCE)
    assert (status, numbers(answer), answer["last"]) == (200, [3], 3)
    assert time.monotonic() - begun < 30
    # What is there already is not waited with.
    assert numbers(read(clinic, "after=1&wait=60s")) == [2, 3]


def test_a_poll_ends_with_nothing_when_its_time_is_over(clinic):
    """Longer than what the edge waits for answers that are due at once, and for headers."""
    begun = time.monotonic()
    link = open_poll(clinic, 11)
    link.settimeout(11 + PATIENCE)
    answer = link.recv(65536)
    while not answer.endswith(b"}"):
        answer += link.recv(65536)
    link.close()
    assert 11 <= time.monotonic() - begun < 11 + PATIENCE
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    body = json.loads(body)
    assert (body["messages"], body["last"], body["more"]) == ([], 0, False)


def test_a_poll_outlives_the_hub(clinic):
    with asking(clinic, "wait=30s") as asked:
        waits(clinic)
        clinic.processes[0].kill()
        clinic.processes[0] = clinic.hub()
        waits(clinic)
        send_many(clinic, 1)
        status, answer = asked.result(PATIENCE)
    assert (status, numbers(answer)) == (200, [1])


def test_a_poll_without_a_hub_is_answered_503(clinic):
    with asking(clinic, "wait=1s") as asked:
        waits(clinic)
        clinic.processes[0].kill()
        status, answer = asked.result(2 * PATIENCE)
    assert (status, answer["error"]["code"]) == (503, "hub_unreachable")


def test_polls_of_messages_for_others_go_on(clinic):
    """A direct message to somebody else is no answer for alice."""
    with asking(clinic, "wait=60s") as asked:
        waits(clinic)
        clinic.send("x_update", "123", {"number": 1}, "-u", "bob")
        assert clinic.stat()["waiting"] == 1 and not asked.done()
        send_many(clinic, 1, start=2)
        assert numbers(asked.result(PATIENCE)[1]) == [2]


def test_an_edge_that_ends_answers_polls(clinic):
    with asking(clinic, "wait=60s") as asked:
        waits(clinic)
        assert clinic.the_edge.terminate() == 0
        status, answer = asked.result(PATIENCE)
    assert (status, answer["error"]["code"]) == (503, "closing")


def test_the_poller_of_the_examples(clinic):
    """It goes on where it ended, across a restart of the hub, and says what it missed."""
    token, state = clinic.path / "token", clinic.path / "position"
    token.write_text(clinic.alice)
    command = [ROOT / "examples/poll.py", clinic.the_edge.url("/ws/messages/123"), "--token-file", token,
               "--state", state]
    send_many(clinic, 3)
    got = [json.loads(row)["data"]["number"] for row in clinic.run(*command, "--count", 3).stdout.splitlines()]
    assert got == [1, 2, 3]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(clinic.run, *command, "--count", 1)
        waits(clinic)
        clinic.processes[0].kill()
        clinic.processes[0] = clinic.hub()
        waits(clinic)
        send_many(clinic, 1, start=4)
        (row,) = asked.result(2 * PATIENCE).stdout.splitlines()
        assert json.loads(row)["data"] == {"number": 4, "pad": ""}
    send_many(clinic, 120, start=5)
    rows = [json.loads(row) for row in clinic.run(*command, "--count", 100).stdout.splitlines()]
    assert rows[0] == {"type": "gap", "data": {"from": 5, "to": 24, "count": 20, "reason": "limit"}}
    assert [row["data"]["number"] for row in rows[1:]] == list(range(25, 125))
    token.write_text(clinic.token("mallory"))
    done = clinic.run(*command, check=False)
    assert (done.returncode, done.stderr) == (2, "poll.py: 403 access_denied\n")


def open_poll(world, seconds):
    link = socket.create_connection(("127.0.0.1", world.the_edge.port), timeout=PATIENCE)
    link.sendall(f"GET /ws/messages/123?wait={seconds}s HTTP/1.1\r\nHost: x\r\n"
                 f"Authorization: Bearer {world.alice}\r\n\r\n".encode())
    return link


def test_polls_of_one_user_are_bounded_and_freed(clinic):
    """64 at once; those that were cut off are free again when the hub is done with them."""
    links = [open_poll(clinic, 4) for _ in range(64)]
    waits(clinic, 64)
    status, answer = get(clinic, "wait=1s")
    assert (status, answer["error"]["code"]) == (429, "rate_limit")
    assert get(clinic)[0] == 200, "one that does not wait is none of them"
    clinic.grant("123", "bob")
    assert get(clinic, "wait=100ms", token=clinic.token("bob"))[0] == 200
    descriptors = pathlib.Path(f"/proc/{clinic.the_edge.pid}/fd")
    most = len(list(descriptors.iterdir()))
    for link in links:
        link.close()
    until(lambda: len(list(descriptors.iterdir())) <= most - 64, "the edge to notice")
    until(lambda: get(clinic, "wait=100ms")[0] == 200, "places to be free", 4 * PATIENCE)
    assert clinic.stat()["waiting"] == 0
    send_many(clinic, 1)
    assert numbers(read(clinic)) == [1]


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_who_leaves_a_poll_or_asks_more_meanwhile_keeps_nobody_busy(clinic):
    """The client's end, and a second request behind the first, wait in the kernel: the edge does not look at them again
    and again."""
    descriptors = pathlib.Path(f"/proc/{clinic.the_edge.pid}/fd")
    before, used = len(list(descriptors.iterdir())), cpu_seconds(clinic.the_edge)
    gone, more = open_poll(clinic, 3), open_poll(clinic, 5)
    waits(clinic, 2)
    gone.close()
    more.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    until(lambda: len(list(descriptors.iterdir())) == before + 1, "the edge to notice")
    said = b""
    while piece := more.recv(65536):
        said += piece
    assert said.count(b"HTTP/1.1 200 ") == 2 and said.endswith(b'{"status":"ok"}')
    assert cpu_seconds(clinic.the_edge) - used < 1


def test_who_says_no_more_still_gets_the_answer(clinic):
    """A client may shut down its side once it has asked (RFC 9112, 9.6): the edge must not take it for one that left."""
    link = open_poll(clinic, 30)
    link.shutdown(socket.SHUT_WR)
    waits(clinic)
    begun = time.monotonic()
    until(lambda: time.monotonic() > begun + 2.5, "the edge to have looked twice")
    send_many(clinic, 1)
    said = b""
    while piece := link.recv(65536):
        said += piece
    assert said.startswith(b"HTTP/1.1 200 ") and numbers(json.loads(said.partition(b"\r\n\r\n")[2])) == [1]


@pytest.mark.skipif(SANITIZED, reason="memory is measured without a sanitizer")
def test_readers_that_leave_in_the_middle_cost_nothing(clinic):
    send_many(clinic, 4, pad=60000)

    def memory():
        with open(f"/proc/{clinic.the_edge.pid}/status") as status:
            return int(next(row for row in status if row.startswith("VmRSS:")).split()[1])

    def round_():
        for _ in range(50):
            with socket.socket() as link:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                link.connect(("127.0.0.1", clinic.the_edge.port))
                link.sendall(f"GET /ws/messages/123 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {clinic.alice}\r\n\r\n"
                             .encode())
                assert link.recv(100).startswith(b"HTTP/1.1 200")
    round_()
    before = memory()
    for _ in range(6):
        round_()
    assert memory() - before < 8 * 1024, "300 of 240 KiB each"


# ---- who may, and what is wrong ----

@pytest.mark.parametrize("query", ["", "after=0&limit=5", "after=x", "limit=0", "wait=99s"])
def test_unknown_and_forbidden_look_the_same(clinic, query):
    """Also when an argument is wrong; and none of them sooner than 50 ms."""
    clinic.grant("124", "somebody")
    send_many(clinic, 1, "124")
    for room in ("124", "99999", "no such room", "x" * 65):
        begun = time.monotonic()
        assert get(clinic, query, room.replace(" ", "%20")) == (403, DENIED)
        assert time.monotonic() - begun >= 0.049


def test_a_revoked_reader_is_refused(clinic):
    send_many(clinic, 1)
    assert numbers(read(clinic)) == [1]
    clinic.run("diagws-owner", "revoke", "123", "alice")
    assert get(clinic) == (403, DENIED)


def test_the_right_to_publish_is_none_to_read(clinic):
    assert get(clinic, token=clinic.token("backend", "--scope", "publish stat")) == (403, DENIED)


def test_a_claim_lets_in_where_claims_count(world):
    world.hub("--ownership", "claims")
    edge = world.edge()
    token = world.token("carol", "--diagnosis", "123")
    world.send("x_update", "123", {"number": 1})
    assert numbers(get(world, token=token, edge=edge)[1]) == [1]
    assert get(world, room="124", token=token, edge=edge) == (403, DENIED)
    assert get(world, "wait=soon", token=token, edge=edge)[0] == 422


@pytest.mark.parametrize("query, field", [
    ("after=x", "after"), ("after=-1", "after"), ("after=new", "after"), ("after=" + "9" * 30, "after"),
    ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("wait=61s", "wait"), ("wait=soon", "wait"),
    ("epoch=a%20b", "epoch"), ("epoch=" + "0" * 33, "epoch"), ("epoch=" + "0" * 100, "epoch")])
def test_arguments_are_checked(clinic, query, field):
    status, answer = get(clinic, query)
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (422, "invalid_field", field)


def test_what_one_asks_wrongly_costs_nobody_an_answer(clinic):
    """Requests of one turn go to the hub as one frame; what it cannot take of it ends the frame."""
    clinic.the_edge.popen.send_signal(signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        askers = []
        for query in ("epoch=" + "0" * 40, "after=0", "after=0"):
            asker = stack.enter_context(socket.create_connection(("127.0.0.1", clinic.the_edge.port), PATIENCE))
            asker.sendall(f"GET /ws/messages/123?{query}&token={clinic.alice} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            askers.append(asker)
        clinic.the_edge.popen.send_signal(signal.SIGCONT)
        assert [asker.recv(12) for asker in askers] == [b"HTTP/1.1 422", b"HTTP/1.1 200", b"HTTP/1.1 200"]


def test_tokens_paths_and_methods(clinic):
    edge = clinic.the_edge
    assert edge.request("/ws/messages/123")[0] == 401
    assert edge.request("/ws/messages/123", token="x.y.z")[0] == 401
    assert edge.request(f"/ws/messages/123?token={clinic.alice}")[0] == 200
    for path, status in (("/ws/messages", 426), ("/ws/messages/", 404), ("/ws/messages/123/4", 404)):
        assert edge.request(path, token=clinic.alice)[0] == status
    assert edge.request("/ws/messages/123", token=clinic.alice, method="HEAD")[::2] == (200, "")
    for method in ("POST", "PUT", "DELETE"):
        body = b"{}" if method in ("POST", "PUT") else None
        status, head, _ = edge.request("/ws/messages/123", body, clinic.alice, method)
        assert (status, head["allow"]) == (405, "GET, HEAD, OPTIONS")
