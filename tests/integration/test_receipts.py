"""How many devices have a message: what senders are told who wait for it, over the command line, HTTP and the library.

A device counts when its WebSocket stack has answered the PING behind the message, so the clients here only have to
be connected: websockets answers by itself.
"""
import asyncio
import contextlib
import json
import signal
import subprocess
import time

import pytest

from conftest import BIN, EFFECTIVENESS, PATIENCE, ROOT, receive, receive_updates, until
from test_api import api

GENERAL, EFFECT = "/ws/broadcast", "/ws/broadcast-effectiveness-update"
UNDELIVERED = -1114


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 6 * PATIENCE))


@contextlib.asynccontextmanager
async def watching(world, count, room="123", **query):
    """So many devices of alice in the room, each past its `connect`."""
    async with contextlib.AsyncExitStack() as stack:
        sockets = []
        for number in range(count):
            socket = await stack.enter_async_context(
                world.the_edge.connect(room, world.alice, device=f"d{number}", **query))
            assert (await receive(socket))["type"] == "connect"
            sockets.append(socket)
        yield sockets


async def send(world, *options, room="123", data=None):
    """diagws-send --json: (status, receipt or None, what it says)."""
    done = await asyncio.to_thread(world.run, "diagws-send", "--json", *options, "note_update", room,
                                   json.dumps(data or {}), check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


async def post(world, query, body=None, path=GENERAL):
    body = body or {"diagnosis_id": 123, "type": "note_update", "data": {}}
    status, _, answer = await asyncio.to_thread(world.the_edge.request, f"{path}?{query}", body, world.alice)
    return status, answer


# ---- diagws-send ----

def test_two_devices_are_enough_and_one_is_not(clinic):
    async def go():
        async with watching(clinic, 2):
            status, receipt, said = await send(clinic, "--wait=delivered:2", "--deadline=10s")
            assert (status, receipt["delivered"], said) == (0, 2, "")
        async with watching(clinic, 1):
            begun = time.monotonic()
            status, receipt, said = await send(clinic, "--wait=delivered:2", "--deadline=1s", "-i", "job-7")
            assert time.monotonic() - begun >= 1
            assert (status, receipt["delivered"], receipt["duplicate"]) == (75, 1, False)
            assert "1 of 2 devices have confirmed it within 1s [DW1114]" in said
            assert "run again with -i job-7" in said
            # Stored it is: the same again is a duplicate, and waits for the same message.
            status, receipt, said = await send(clinic, "--wait=delivered:1", "-i", "job-7")
            assert (status, receipt["delivered"], receipt["duplicate"], said) == (0, 1, True, "")
    run(go())


def test_nobody_is_told_when_the_deadline_is_over(clinic):
    begun = time.monotonic()
    done = clinic.run("diagws-send", "--wait=delivered:1", "--deadline", "300ms", "x_update", "123", "{}", check=False)
    assert 0.3 <= time.monotonic() - begun < PATIENCE
    assert (done.returncode, done.stdout) == (75, "")
    assert "stored, but 0 of 1 devices have confirmed it within 300ms [DW1114]" in done.stderr


def test_the_timeout_does_not_cut_the_deadline_short(clinic):
    async def go():
        sending = asyncio.create_task(
            send(clinic, "--wait=delivered:1", "--deadline=30s", "--timeout=1s"))
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
        done, _ = await asyncio.wait([sending], timeout=2.5)
        assert not done
        async with watching(clinic, 1):
            assert (await sending)[:1] == (0,)
    run(go())


def test_a_device_that_comes_later_counts(clinic):
    async def go():
        sending = asyncio.create_task(send(clinic, "--wait=delivered:1", "--deadline=60s"))
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
        async with watching(clinic, 1):
            status, receipt, _ = await sending
            assert (status, receipt["delivered"]) == (0, 1)
        assert clinic.stat()["waiting"] == 0
    run(go())


def test_a_device_that_skipped_does_not_count(clinic):
    """after=new after the message was stored: it was never written to that device."""
    async def go():
        clinic.send("note_update", "123", {}, "-i", "old")
        async with watching(clinic, 1, after="new") as (skipped,):
            status, receipt, said = await send(clinic, "--wait=delivered:1", "--deadline=1s", "-i", "old")
            assert (status, receipt["duplicate"], receipt["delivered"]) == (75, True, 0), said
            status, receipt, _ = await send(clinic, "--wait=delivered:1")
            assert (status, receipt["delivered"]) == (0, 1)
            assert (await receive(skipped))["seq"] == receipt["seq"]
    run(go())


def test_a_device_that_comes_when_the_time_is_over_does_not_count(clinic):
    """It is told of a gap, and confirms that; the message it never had."""
    async def go():
        asked = asyncio.create_task(send(clinic, "--ttl=1s", "--wait=delivered:1", "--deadline=6s"))
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
        await asyncio.to_thread(until, lambda: not clinic.stat("messages", "123"), "its time to be over")
        async with clinic.the_edge.connect("123", clinic.alice, device="late") as late:
            assert [(await receive(late))["type"] for _ in range(2)] == ["connect", "gap"]
            status, receipt, _ = await asked
            assert (status, receipt["delivered"]) == (75, 0)
    run(go())


def test_a_device_that_was_told_a_gap_instead_does_not_count(clinic):
    """So many others to the same user came that the awaited one is kept no more."""
    async def go():
        async with watching(clinic, 1):
            pass
        asked = asyncio.create_task(send(clinic, "-u", "alice", "--wait=delivered:1", "--deadline=4s"))
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
        await asyncio.to_thread(clinic.run, "diagws-send", "-l", "-u", "alice", "-d", "123", "-t", "x_update",
                                input='{"data":{}}\n' * 100)
        async with clinic.the_edge.connect("123", clinic.alice, device="d0") as back:
            kinds = [(await receive(back))["type"] for _ in range(102)]
            assert kinds == ["connect", "gap"] + ["x_update"] * 100
            status, receipt, _ = await asked
            assert (status, receipt["delivered"]) == (75, 0)
    run(go())


def test_the_count_is_learned_across_a_restart_of_the_hub(clinic):
    async def go():
        async with watching(clinic, 1):
            sending = asyncio.create_task(send(clinic, "--wait=delivered:2", "--deadline=60s"))
            await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
            clinic.processes[0].kill()
            clinic.processes[0] = await asyncio.to_thread(clinic.hub)
            await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait again")
            async with clinic.the_edge.connect("123", clinic.alice, device="late"):
                status, receipt, said = await sending
            assert (status, receipt["delivered"], receipt["duplicate"], said) == (0, 2, False, "")
        assert clinic.stat()["head"] == 1
    run(go())


def test_a_restart_of_the_hub_leaves_the_deadline_where_it_was(clinic):
    async def go():
        begun = time.monotonic()
        sending = asyncio.create_task(send(clinic, "--wait=delivered:1", "--deadline=4s"))
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
        await asyncio.to_thread(until, lambda: time.monotonic() - begun > 2, "half of the deadline")
        clinic.processes[0].kill()
        clinic.processes[0] = await asyncio.to_thread(clinic.hub)
        status, receipt, said = await sending
        assert (status, receipt["delivered"]) == (75, 0) and "[DW1114]" in said
        assert 4 <= time.monotonic() - begun < 6
    run(go())


def test_a_hub_that_stays_away_is_told_together_with_the_receipt(clinic):
    async def go():
        sending = asyncio.create_task(send(clinic, "--wait=delivered:1", "--deadline=1s"))
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
        clinic.processes[0].kill()
        status, receipt, said = await sending
        assert (status, receipt["seq"], receipt["delivered"]) == (75, 1, None)
        assert "stored, but not known who has it: " in said and "is waited for again" in said
    run(go())


def test_the_first_interrupt_waits_for_devices(clinic):
    async def go():
        sender = subprocess.Popen(
            [BIN / "diagws-send", "--json", "--wait=delivered:1", "--deadline=60s", "x_update", "123", "{}"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env={**clinic.env, "PATH": ""}, text=True)
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
        sender.send_signal(signal.SIGINT)
        async with watching(clinic, 1):
            out, _ = await asyncio.to_thread(sender.communicate, timeout=PATIENCE)
        assert sender.returncode == 130 and json.loads(out)["delivered"] == 1
    run(go())


def test_each_line_waits_for_its_own_devices(clinic):
    """Rooms with two devices, one and none: the lines do not hold each other up."""
    lines = "".join(json.dumps({"diagnosis_id": room, "type": "x_update", "data": {}, "id": f"{room}-{number}"}) + "\n"
                    for number in range(20) for room in ("two", "one", "none"))
    clinic.grant("two", "alice")
    clinic.grant("one", "alice")

    async def go(*options):
        async with watching(clinic, 2, "two"), watching(clinic, 1, "one"):
            return await asyncio.to_thread(
                clinic.run, "diagws-send", "-l", "--wait=delivered:2", "--deadline=2s", *options, input=lines,
                check=False)

    begun = time.monotonic()
    done = run(go("--receipts"))
    assert time.monotonic() - begun < PATIENCE
    rows = sorted(done.stdout.splitlines(), key=lambda row: int(row.split("\t")[0]))
    outcomes = {room: {(row.split("\t")[5], row.split("\t")[6]) for row in rows if row.split("\t")[1] == room}
                for room in ("two", "one", "none")}
    assert len(rows) == 60 and done.returncode == 75
    assert outcomes == {"two": {("stored", "2")}, "one": {("not_delivered", "1")}, "none": {("not_delivered", "0")}}
    assert "stdin:2: stored, but 1 of 2 devices have confirmed it within 2s [DW1114]" in done.stderr
    assert "stopped after" not in done.stderr
    again = run(go("--json"))
    receipts = [json.loads(row) for row in again.stdout.splitlines()]
    assert all(receipt["duplicate"] for receipt in receipts) and len(receipts) == 60
    assert {receipt["delivered"] for receipt in receipts if receipt["diagnosis_id"] == "two"} == {2}


def test_the_cron_job_of_the_examples(clinic):
    report = clinic.path / "report.json"
    report.write_text('{"beds":4}')

    async def go(count):
        async with watching(clinic, count):
            return await asyncio.to_thread(clinic.run, ROOT / "examples/cron-wait.sh", "123", report, check=False,
                                           env={"CRON_WAIT_DEADLINE": "1s"})
    done = run(go(0))
    assert done.returncode == 75 and "nobody has seen the report of 123" in done.stderr
    done = run(go(1))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert clinic.stat()["head"] == 1


# ---- HTTP ----

def test_over_http_200_with_two_devices_and_504_with_one(clinic):
    async def go():
        async with watching(clinic, 2):
            status, answer = await post(clinic, "wait=delivered:2&deadline=10s")
            assert (status, answer["success"], answer["delivered"], answer["seq"]) == (200, True, 2, 1)
            status, answer = await post(clinic, "wait=delivered:2", {"diagnosis_id": 123, **EFFECTIVENESS}, EFFECT)
            assert (status, answer["delivered"], answer["recommendation_id"]) == (200, 2, 789)
        async with watching(clinic, 1):
            status, answer = await post(clinic, "wait=delivered:2&deadline=1s")
            assert (status, answer["success"], answer["error"]["code"]) == (504, False, "not_delivered")
            assert (answer["seq"], answer["n"], answer["delivered"]) == (3, 3, 1)
            assert answer["detail"] == "stored, but 1 of 2 devices have confirmed it in time"
            body = {"diagnosis_id": 123, "type": "note_update", "data": {}, "id": answer["id"]}
            status, answer = await post(clinic, "wait=delivered:1", body)
            assert (status, answer["duplicate"], answer["seq"], answer["delivered"]) == (200, True, 3, 1)
        status, answer = await post(clinic, "wait=stored")
        assert status == 200 and "delivered" not in answer
    run(go())


async def drop(world):
    """What was sent before is kept no more."""
    await asyncio.to_thread(world.run, "diagws-send", "-l", "-d", "123", "-t", "x_update", input='{"data":{}}\n' * 100)


async def sent_again(world, id, **more):
    """How many have it, as who sends it again is told."""
    status, answer = await post(world, "wait=delivered:9&deadline=1ms",
                                {"diagnosis_id": 123, "type": "note_update", "data": {}, "id": id, **more})
    assert (status, answer["error"]["code"]) == (504, "not_delivered")
    return answer["delivered"]


def test_who_sends_again_need_not_know_whom_the_message_was_not_for(clinic):
    """The only device was sent what follows it, but not this."""
    async def go():
        async with clinic.the_edge.connect("123", clinic.alice, device="d0") as socket:
            body = {"diagnosis_id": 123, "type": "note_update", "data": {}, "id": "x1",
                    "exclude_session": (await receive(socket))["data"]["session"]}
            assert (await post(clinic, "wait=stored", body))[1]["clients_notified"] == 0
            assert (await post(clinic, "wait=delivered:1&deadline=10s"))[0] == 200
            assert [update["n"] for update in await receive_updates(socket, 1)] == [2]
            assert await sent_again(clinic, "x1") == 0
            await drop(clinic)
            await receive_updates(socket, 100)
            assert (await post(clinic, "wait=delivered:1&deadline=10s"))[0] == 200
            assert await sent_again(clinic, "x1") == 0
            async with clinic.the_edge.connect("123", clinic.alice, device="d1", after="new") as other:
                session = (await receive(other))["data"]["session"]
                assert await sent_again(clinic, "x1", exclude_session=session) == 0
        assert await sent_again(clinic, "x1") == 0
    run(go())


def test_who_waits_again_is_not_told_of_the_device_that_the_message_was_not_for(clinic):
    """It confirms what was around the message while that is waited for."""
    async def go():
        async with clinic.the_edge.connect("123", clinic.alice, device="d0", ack="client") as socket:
            body = {"diagnosis_id": 123, "type": "note_update", "data": {}, "id": "x1",
                    "exclude_session": (await receive(socket))["data"]["session"]}
            assert (await post(clinic, "wait=stored", body))[0] == 200
            await drop(clinic)
            del body["exclude_session"]
            asked = asyncio.create_task(post(clinic, "wait=delivered:1&deadline=4s", body))
            await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the sender to wait")
            last = (await receive_updates(socket, 100))[-1]
            await socket.send(json.dumps({"type": "ack", "seq": last["seq"]}))
            status, answer = await post(clinic, "wait=delivered:1&deadline=10s",
                                        {"diagnosis_id": 123, "type": "x_update", "data": {}, "id": last["id"]})
            assert (status, answer["duplicate"]) == (200, True) and not asked.done()
            status, answer = await asked
            assert (status, answer["delivered"]) == (504, 0)
    run(go())


def test_who_sends_again_need_not_know_that_the_message_had_a_time(clinic):
    """It was over when the only device came, which was told so."""
    async def go():
        await asyncio.to_thread(clinic.send, "note_update", "123", {}, "-i", "x2", "--ttl=1s")
        await asyncio.to_thread(until, lambda: not clinic.stat("messages", "123"), "its time to be over")
        async with clinic.the_edge.connect("123", clinic.alice, device="d0") as socket:
            assert [(await receive(socket))["type"] for _ in range(2)] == ["connect", "gap"]
            assert (await post(clinic, "wait=delivered:1&deadline=10s"))[0] == 200
            assert await sent_again(clinic, "x2") == 0
            await drop(clinic)
            await receive_updates(socket, 101)
            assert (await post(clinic, "wait=delivered:1&deadline=10s"))[0] == 200
            assert await sent_again(clinic, "x2") == 0
            assert await sent_again(clinic, "x2", ttl_s=60) == 0
    run(go())


def test_over_http_across_a_restart_of_the_hub(clinic):
    async def go():
        asking = asyncio.create_task(post(clinic, "wait=delivered:1&deadline=30s"))
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the request to wait")
        clinic.processes[0].kill()
        clinic.processes[0] = await asyncio.to_thread(clinic.hub)
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the request to wait again")
        async with watching(clinic, 1):
            status, answer = await asking
        assert (status, answer["delivered"], answer["duplicate"], answer["seq"]) == (200, 1, False, 1)
        assert clinic.stat()["head"] == 1
    run(go())


def test_over_http_a_refused_message_is_not_waited_for(clinic):
    stranger = clinic.token("mallory")
    begun = time.monotonic()
    status, _, answer = clinic.the_edge.request(
        f"{GENERAL}?wait=delivered:1&deadline=30s", {"diagnosis_id": 123, "type": "x_update", "data": {}}, stranger)
    assert (status, answer["error"]["code"]) == (403, "access_denied")
    assert time.monotonic() - begun < PATIENCE / 2
    assert clinic.stat()["waiting"] == 0


def test_an_edge_that_ends_answers_those_who_wait(clinic):
    async def go():
        asking = asyncio.create_task(post(clinic, "wait=delivered:1&deadline=60s"))
        await asyncio.to_thread(until, lambda: clinic.stat()["waiting"] == 1, "the request to wait")
        assert await asyncio.to_thread(clinic.the_edge.terminate) == 0
        status, answer = await asking
        assert (status, answer["error"]["code"], answer["seq"]) == (503, "closing", 1)
    run(go())


# ---- libdiagws ----

def test_the_library_waits_for_devices(clinic):
    async def go():
        async with watching(clinic, 2) as (one, _), api(clinic) as handle:
            assert (await handle.call("next", None, None, None, 0, 2, 10000))["err"] == 0
            answer = await handle.call("effectiveness", 123, 789, 0.85, 0.92, 150)
            assert (answer["err"], answer["seq"], answer["delivered"]) == (0, 1, 2)
            # Once used it is forgotten.
            answer = await handle.call("publish", 123, "x_update", "{}", None)
            assert (answer["err"], answer["seq"], answer["delivered"]) == (0, 2, 0)
            await handle.call("next", "mine", None, None, 0, 3, 500)
            answer = await handle.call("publish", 123, "x_update", "{}", None)
            assert (answer["err"], answer["seq"], answer["delivered"]) == (UNDELIVERED, 3, 2)
            assert (answer["id"], answer["strerror"]) == ("mine", "not delivered in time")
            assert "have confirmed it in time: 2" in answer["error"]
            assert [update["seq"] for update in await receive_updates(one, 3)] == [1, 2, 3]
    run(go())


def test_the_librarys_callbacks_come_with_the_count(clinic):
    async def go():
        async with watching(clinic, 1), api(clinic, window=4) as handle:
            for number, wanted in enumerate((1, 2, 0)):
                await handle.call("next", None, None, None, 0, wanted, 700)
                assert (await handle.call("send", 123, "x_update", "{}", f"id{number}-", 1))["err"] == 0
            assert (await handle.call("flush"))["err"] == 0
            done = {answer["id"]: (answer["done"], answer["seq"], answer["delivered"]) for answer in handle.done}
            assert done == {"id0-0": (0, 1, 1), "id1-0": (UNDELIVERED, 2, 1), "id2-0": (0, 3, 0)}
    run(go())


@pytest.mark.parametrize("field, how", [
    ("id", ("a b", None, None, 0, 0, 0)), ("user", (None, "", None, 0, 0, 0)),
    ("exclude_session", (None, None, "x", 0, 0, 0)), ("ttl_ms", (None, None, None, 999, 0, 0)),
    ("ttl_ms", (None, None, None, 2592000001, 0, 0)), ("delivered", (None, None, None, 0, 1000001, 0)),
    ("deadline_ms", (None, None, None, 0, 1, -1)), ("deadline_ms", (None, None, None, 0, 1, 3600001))])
def test_the_library_checks_how_a_message_is_sent(clinic, field, how):
    async def go():
        async with api(clinic) as handle:
            assert (await handle.call("next", None, "bob", None, 0, 0, 0))["err"] == 0
            answer = await handle.call("next", *how)
            assert answer["err"] == -1003 and f"field '{field}'" in answer["error"]
            answer = await handle.call("publish", 123, "x_update", "{}", None)
            assert (answer["err"], answer["n"]) == (0, 1)
    run(go())
