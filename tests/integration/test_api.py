"""libdiagws call by call, driven over a pipe (tests/lib/api.c), against real hubs, edges and a watching client."""
import asyncio
import contextlib
import json
import pathlib
import signal

import pytest

from conftest import BUILD, EFFECTIVENESS, PATIENCE, receive, receive_updates

INVALID, BAD_JSON, TOO_BIG, CONFIG = -1003, -1004, -1005, -1010
HUB_AWAY, TIMEOUT, BUSY, VERSION, ID_REUSED, UNKNOWN = -1101, -1102, -1105, -1107, -1108, -1109
NOTHING = {"seq": 0, "n": 0, "duplicate": 0, "notified": 0, "queued": 0}


class Api:
    """A program that holds one handle: each call is a line to it, each answer a line from it."""

    def __init__(self, process):
        self.process = process
        self.done = []

    async def read(self):
        return json.loads(await asyncio.wait_for(self.process.stdout.readline(), 3 * PATIENCE))

    def write(self, *fields):
        line = "\t".join("-" if field is None else str(field) for field in fields)
        self.process.stdin.write(line.encode("utf-8", "surrogateescape") + b"\n")

    async def answer(self):
        """The answer to the call; what callbacks said before it is kept in `done`."""
        while "done" in (answer := await self.read()):
            self.done.append(answer)
        return answer

    async def call(self, *fields):
        self.write(*fields)
        return await self.answer()


@contextlib.asynccontextmanager
async def api(world, endpoint="", timeout_ms=10000, window=256, program="api", **env):
    process = await asyncio.create_subprocess_exec(
        BUILD / "tests" / program, endpoint, str(timeout_ms), str(window), env={**world.env, **env},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        handle = Api(process)
        handle.opened = await handle.read()
        yield handle
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0, await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def picked(answer, **expected):
    return {name: answer[name] for name in expected}


def test_a_watcher_gets_the_three_documented_updates(clinic):
    async def go():
        async with clinic.the_edge.connect(123, clinic.alice) as socket, api(clinic) as handle:
            assert (await receive(socket))["type"] == "connect"
            assert handle.opened == {"open": 0, "version": "0.1.0"}
            answers = [await handle.call("recommendation", 123, '{"a":1}', '{"b":[2,"ü"]}', None),
                       await handle.call("recommendation", 123, "{}", "{}", 'said "so" \\ ☃'),
                       await handle.call("effectiveness", 123, 789, 0.85, 0.92, 150),
                       await handle.call("feedback", 123, 5, 4, 0.5, 789, "très bien"),
                       await handle.call("feedback", 123, 6, 1, 1, -1, None)]
            return answers, await receive_updates(socket, 5)

    answers, updates = asyncio.run(go())
    for number, (answer, update) in enumerate(zip(answers, updates), 1):
        expected = dict(err=0, error="", seq=number, n=number, duplicate=0, notified=1)
        assert picked(answer, **expected) == expected
        assert (update["seq"], update["n"], update["id"]) == (number, number, answer["id"])
    old, new = {"a": 1}, {"b": [2, "ü"]}
    assert [(update["type"], update["data"]) for update in updates] == [
        ("recommendation_update", {"old_data": old, "new_data": new, "reason": None, "old_recommendation": old,
                                   "new_recommendation": new, "changed_fields": ["b"]}),
        ("recommendation_update", {"old_data": {}, "new_data": {}, "reason": 'said "so" \\ ☃',
                                   "old_recommendation": {}, "new_recommendation": {}, "changed_fields": []}),
        ("effectiveness_update", EFFECTIVENESS),
        ("feedback_update", {"feedback_id": 5, "rating": 4, "effectiveness": 0.5, "recommendation_id": 789,
                             "comment": "très bien"}),
        ("feedback_update", {"feedback_id": 6, "rating": 1, "effectiveness": 1})]


def test_numbers_read_back_exactly_in_any_locale(clinic):
    """A locale with a comma of the test's own making: the C library's file with the sign changed."""
    values = [0, 1, 0.1, 1 / 3, 0.30000000000000004, 5e-324, 1e-5, 0.9999999999999999]
    folder = clinic.path / "locales" / "comma"
    folder.mkdir(parents=True)
    plain = pathlib.Path("/usr/lib/locale/C.utf8/LC_NUMERIC").read_bytes()
    (folder / "LC_NUMERIC").write_bytes(plain.replace(b".\0", b",\0"))

    async def go():
        async with clinic.the_edge.connect(123, clinic.alice) as socket, \
                api(clinic, LOCPATH=str(folder.parent)) as handle:
            assert (await receive(socket))["type"] == "connect"
            for value in values:
                assert (await handle.call("effectiveness", 123, 1, repr(value), 0, 0))["err"] == 0
            assert (await handle.call("locale", "comma"))["sign"] == ","
            assert (await handle.call("effectiveness", 123, 1, "0,25", "0,5", 0))["err"] == 0
            assert (await handle.call("publish", 123, "x_update", '{"x":0.125}', None))["err"] == 0
            return [update["data"] for update in await receive_updates(socket, len(values) + 2)]

    updates = asyncio.run(go())
    assert [data["new_effectiveness"] for data in updates[:-2]] == values
    assert (updates[-2]["new_effectiveness"], updates[-2]["confidence"]) == (0.25, 0.5)
    assert updates[-1] == {"x": 0.125}


@pytest.mark.parametrize("err, words, call", [
    (INVALID, "rating", ("feedback", 1, 1, 6, 0.5, -1, None)),
    (INVALID, "rating", ("feedback", 1, 1, 0, 0.5, -1, None)),
    (INVALID, "comment", ("feedback", 1, 1, 5, 0.5, -1, "é" * 501)),
    (BAD_JSON, "", ("feedback", 1, 1, 5, 0.5, -1, "\udcff")),
    (INVALID, "new_effectiveness", ("effectiveness", 1, 1, "nan", 0, 0)),
    (INVALID, "confidence", ("effectiveness", 1, 1, 0, "inf", 0)),
    (INVALID, "confidence", ("effectiveness", 1, 1, 0, 1.5, 0)),
    (INVALID, "sample_size", ("effectiveness", 1, 1, 0, 1, -1)),
    (INVALID, "diagnosis_id", ("effectiveness", "a b", 1, 0, 1, 1)),
    (INVALID, "diagnosis_id", ("effectiveness", None, 1, 0, 1, 1)),
    (BAD_JSON, "", ("recommendation", 1, '{},"x":{}', "{}", None)),
    (INVALID, "new_data", ("recommendation", 1, "{}", "[]", None)),
    (INVALID, "old_data", ("recommendation", 1, None, "{}", None)),
    (INVALID, "id", ("publish", 1, "x_update", "{}", "a b")),
    (INVALID, "id", ("publish", 1, "x_update", "{}", "i" * 129)),
    (INVALID, "type", ("publish", 1, "x", "{}", None)),
    (INVALID, "type", ("publish", 1, None, "{}", None)),
    (INVALID, "data", ("publish", 1, "x_update", None, None)),
    (INVALID, "data", ("publish", 1, "x_update", "[]", None)),
    (BAD_JSON, "", ("publish", 1, "x_update", "{", None)),
    (TOO_BIG, "", ("publish", 1, "x_update", '{"x":"' + "y" * 65536 + '"}', None)),
    (BAD_JSON, "", ("send", 1, "x_update", "{", None, 1)),
    (INVALID, "diagnosis_id", ("room", "a b")),
])
def test_what_is_wrong_is_refused_before_it_is_sent(world, err, words, call):
    """There is no hub: what were sent would end otherwise, and later."""
    async def go():
        async with api(world, timeout_ms=60000) as handle:
            answer = await handle.call(*call)
            assert not handle.done
            return answer

    answer = asyncio.run(go())
    assert answer["err"] == err and words in answer["error"] != "" and answer["strerror"] not in ("", "ok")
    assert "seq" not in answer or picked(answer, **NOTHING) == NOTHING


@pytest.mark.parametrize("err, arguments", [
    (CONFIG, {"endpoint": "http://example.org"}), (CONFIG, {"endpoint": "tcp://192.0.2.1:1"}),
    (INVALID, {"window": 4097}), (INVALID, {"timeout_ms": -1})])
def test_only_an_endpoint_is_opened(world, err, arguments):
    async def go():
        async with api(world, **arguments) as handle:
            return handle.opened["open"]

    assert asyncio.run(go()) == err


def test_an_id_is_stored_once_and_for_one_content(clinic):
    async def go():
        async with api(clinic) as handle:
            first = await handle.call("publish", 7, "x_update", '{"x":1}', "job-1")
            again = await handle.call("publish", 7, "x_update", '{"x":1}', "job-1")
            other = await handle.call("publish", 7, "x_update", '{"x":2}', "job-1")
            assert (first["err"], first["seq"], first["duplicate"]) == (0, 1, 0)
            assert (again["err"], again["seq"], again["n"], again["duplicate"]) == (0, 1, 1, 1)
            assert (other["err"], other["seq"]) == (ID_REUSED, 0) and "this id was used" in other["error"]
            room = await handle.call("room", 7)
            assert picked(room, n=1, retained=1) == {"n": 1, "retained": 1}

    asyncio.run(go())


def test_a_window_calls_back_for_each_message(clinic):
    async def go():
        async with api(clinic, window=4) as handle:
            await handle.call("nest", 1)
            assert (await handle.call("send", 7, "x_update", "{}", "a", 500))["err"] == 0
            assert len(handle.done) >= 496
            assert 0 <= (await handle.call("poll", 0))["err"] <= 4
            assert (await handle.call("flush"))["err"] == 0
            assert [(done["done"], done["id"], done["seq"]) for done in handle.done] == [
                (0, f"a{i}", i + 1) for i in range(500)]
            assert [done["nested"] for done in handle.done if "nested" in done] == [BUSY]
            assert (await handle.call("send", 7, "x_update", "{}", None, 4))["err"] == 0
            assert (await handle.call("loop"))["err"] == 0
            assert len({done["id"] for done in handle.done}) == len(handle.done) == 504

    asyncio.run(go())
    assert clinic.stat("room", "7")["n"] == 504


def test_counts_are_those_of_the_hub(clinic):
    async def go():
        async with clinic.the_edge.connect(123, clinic.alice) as socket, api(clinic) as handle:
            assert (await receive(socket))["type"] == "connect"
            unknown = await handle.call("room", "nobody")
            assert (unknown["err"], unknown["connections"]) == (UNKNOWN, 99)
            for room in (123, 123, 8):
                await handle.call("publish", room, "x_update", "{}", None)
            all_ = dict(err=0, rooms=1, connections=1, retained=3, edges=1, head=3)
            room = dict(err=0, connections=1, retained=2, n=2, head=2, oldest=1)
            assert picked(await handle.call("counts"), **all_) == all_
            assert picked(await handle.call("room", 123), **room) == room

    asyncio.run(go())


def test_an_absent_hub_is_told_and_close_does_not_wait(world):
    async def go():
        async with api(world, timeout_ms=100) as handle:
            answer = await handle.call("publish", 1, "x_update", "{}", None)
            assert (answer["err"], len(answer["id"]), answer["seq"]) == (HUB_AWAY, 32, 0)
            assert world.endpoint in answer["error"]
            counts = await handle.call("counts")
            assert (counts["err"], counts["rooms"]) == (HUB_AWAY, 99)
        async with api(world, timeout_ms=600000) as handle:
            assert (await handle.call("send", 1, "x_update", "{}", None, 4))["err"] == 0
        assert await handle.process.stdout.read() == b""

    asyncio.run(go())


def test_a_hub_of_another_version_refuses_for_good(world):
    async def go():
        async with api(world, timeout_ms=60000, program="api-v99") as handle:
            assert (await handle.call("send", 1, "x_update", "{}", "a", 3))["err"] == 0
            world.hub()
            assert (await handle.call("flush"))["err"] == VERSION
            assert [(done["done"], done["id"]) for done in handle.done] == [(VERSION, f"a{i}") for i in range(3)]
            answer = await handle.call("publish", 1, "x_update", "{}", None)
            assert answer["err"] == VERSION and answer["error"]
            return answer["error"]

    assert "version 6" in asyncio.run(go())
    assert world.stat()["head"] == 0


def test_a_window_outlives_a_killed_hub(clinic):
    """Everything is stored once, each under its id, and the n have no hole."""
    count = 6000  # more than pipes hold: the driver waits for us long before its last

    async def go():
        async with api(clinic, timeout_ms=60000) as handle:
            handle.write("send", 123, "x_update", "{}", "job-", count)
            while len(handle.done) < 100:
                handle.done.append(await handle.read())
            clinic.processes[0].kill()
            assert f"head={count}" not in clinic.hub().said()
            assert (await handle.answer())["err"] == 0
            assert (await handle.call("flush"))["err"] == 0
            assert {done["done"] for done in handle.done} == {0}
            assert sorted(done["n"] for done in handle.done) == list(range(1, count + 1))
            assert sorted(done["id"] for done in handle.done) == sorted(f"job-{i}" for i in range(count))
            assert (await handle.call("room", 123))["n"] == count

    asyncio.run(go())


def test_what_a_stopped_hub_left_open_is_repeated_and_stored_once(clinic):
    async def go():
        hub = clinic.processes[0]
        async with clinic.the_edge.connect(123, clinic.alice) as socket, api(clinic, timeout_ms=300) as handle:
            assert (await receive(socket))["type"] == "connect"
            assert (await handle.call("publish", 123, "x_update", '{"x":1}', "one"))["err"] == 0
            hub.signal(signal.SIGSTOP)
            open_ = await handle.call("publish", 123, "x_update", '{"x":2}', None)
            assert open_["err"] in (HUB_AWAY, TIMEOUT) and open_["error"] and len(open_["id"]) == 32
            assert picked(open_, **NOTHING) == NOTHING
            hub.signal(signal.SIGCONT)
            while (again := await handle.call("publish", 123, "x_update", '{"x":2}', open_["id"]))["err"] != 0:
                assert again["err"] in (HUB_AWAY, TIMEOUT)
            assert (again["id"], again["n"]) == (open_["id"], 2)
            assert (await handle.call("publish", 123, "x_update", '{"x":3}', "three"))["n"] == 3
            updates = await receive_updates(socket, 3)
            assert [(update["id"], update["data"]["x"]) for update in updates] == [
                ("one", 1), (open_["id"], 2), ("three", 3)]

    asyncio.run(go())
