"""diagws-stat and diagws-owner from outside."""
import asyncio
import json
import os
import pty
import signal
import subprocess

import pytest

from conftest import BIN, PATIENCE, receive, until

SUMMARY = ("version uptime_s epoch head rooms rooms_resident connections edges clients messages_received messages_stored "
           "messages_rejected duplicates queued retained dropped_limit dropped_expired commits commit_ms_p50 "
           "commit_ms_p99 commit_ms_max store_bytes staged_bytes sent delivered waiting "
           "store_writable")
ROOMS = "diagnosis_id connections devices queued retained n head oldest_queued_s oldest sent delivered"
HEADERS = {
    ("summary",): SUMMARY, ("rooms",): ROOMS, ("room", "123"): ROOMS,
    ("devices", "123"): "user_id device connected confirmed_seq behind seen_s",
    ("messages", "123"): "seq n id type bytes age_s sent delivered direct",
    ("edges",): "name incarnation connections rooms credit behind connected_s",
    ("queues",): "diagnosis_id queued oldest_queued_s devices_away",
    ("users",): "user_id connections",
}


@pytest.fixture
def hub(world):
    world.the_hub = world.hub()
    for room, count in (("123", 2), ("x-1", 3), ("007", 1)):
        for _ in range(count):
            world.send("x_update", room, {})
    return world


def stat(world, *arguments):
    return world.run("diagws-stat", *arguments, check=False)


def owner(world, *arguments, input=None):
    return world.run("diagws-owner", *arguments, input=input, check=False)


def on_terminal(world, *arguments, env=None):
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([BIN / arguments[0], *arguments[1:]], stdin=subprocess.DEVNULL, stdout=theirs,
                               stderr=theirs, env={**os.environ, "TERM": "xterm", **world.env, **(env or {})})
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 65536):
            said += piece
    except OSError:
        pass  # the other side is closed
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    return said.decode().replace("\r\n", "\n")


# ---- diagws-stat ----

@pytest.mark.parametrize("view", HEADERS)
def test_a_pipe_gets_a_stable_header(hub, view):
    done = stat(hub, *view)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [row.split("\t") for row in done.stdout.splitlines()]
    assert rows[0] == HEADERS[view].split()
    assert all(len(row) == len(rows[0]) for row in rows)
    answer = json.loads(stat(hub, *view, "--json").stdout)
    if view[0] in ("summary", "room"):
        assert list(answer) == rows[0]
    else:
        assert [list(row) for row in answer] == [rows[0]] * (len(rows) - 1)


def test_summary_counts(hub):
    summary = hub.stat()
    assert (summary["head"], summary["retained"], summary["messages_stored"]) == (6, 6, 6)
    assert summary["commits"] >= 1 and summary["commit_ms_max"] >= summary["commit_ms_p50"] > 0
    assert stat(hub).stdout.splitlines()[0].split("\t")[0] == "version"


def test_rooms_are_sorted_and_cut(hub):
    by_messages = hub.stat("rooms", "--sort", "n")
    assert [(row["diagnosis_id"], row["n"]) for row in by_messages] == [("x-1", 3), (123, 2), ("007", 1)]
    assert [row["diagnosis_id"] for row in hub.stat("rooms", "--sort", "diagnosis_id")] == ["007", 123, "x-1"]
    assert [row["diagnosis_id"] for row in hub.stat("rooms", "--sort", "n", "--top", "1")] == ["x-1"]
    assert len(hub.stat("rooms", "--top", "2")) == 2
    lines = stat(hub, "rooms", "--format", "ndjson", "--sort", "n").stdout.splitlines()
    assert [json.loads(line)["n"] for line in lines] == [3, 2, 1]


def test_the_first_of_more_rooms_than_an_answer_holds(world):
    """The hub sorts all of them, not those that fitted: the three with the most messages came last."""
    world.hub()
    quiet = [f"quiet-{number}".ljust(64, "-") for number in range(15000)]
    busy = {f"busy-{count}".ljust(64, "-"): count for count in (2, 4, 3)}
    lines = "".join(f'{{"diagnosis_id":"{room}","type":"x_update","data":{{}}}}\n'
                    for room in [*quiet, *(room for room, count in busy.items() for _ in range(count))])
    world.run("diagws-send", "-l", "-w", "4096", input=lines)
    every = stat(world, "rooms", "--format", "tsv")
    assert "the hub has more rows than these" in every.stderr and every.stdout.count("\n") < len(quiet)
    best = stat(world, "rooms", "--json", "--sort", "n", "--top", "3")
    assert best.stderr == ""
    assert [(row["diagnosis_id"][:6], row["n"]) for row in json.loads(best.stdout)] == [
        ("busy-4", 4), ("busy-3", 3), ("busy-2", 2)]
    # Equal ones by the first column.
    queued = world.stat("queues", "--sort", "queued", "--top", "5")
    assert [row["diagnosis_id"] for row in queued[3:]] == sorted(quiet)[:2]
    # As many as fit, and none is left out between.
    fitting = stat(world, "rooms", "--json", "--sort", "diagnosis_id", "--top", "100000")
    names = [row["diagnosis_id"] for row in json.loads(fitting.stdout)]
    assert len(names) > 5000 and names == sorted([*quiet, *busy])[:len(names)]
    assert f"the hub has more rows than these {len(names)}" in fitting.stderr
    last = world.stat("rooms", "--sort", "diagnosis_id", "--reverse", "--top", "2")
    assert [row["diagnosis_id"] for row in last] == sorted(quiet)[:-3:-1]


@pytest.mark.parametrize("view", HEADERS, ids=lambda view: view[0])
def test_a_view_is_sorted_by_its_columns_and_no_other(hub, view):
    for column in HEADERS[view].split():
        assert stat(hub, *view, "--sort", column).returncode == 0
    done = stat(hub, *view, "--sort", "payload")
    assert done.returncode == 64
    assert f"option '--sort': 'payload' is no column of '{view[0]}' [DW1002]" in done.stderr
    assert f"\n  hint: its columns are: {HEADERS[view]}\n" in done.stderr


def test_sorting_the_other_way_round(hub):
    assert [row["n"] for row in hub.stat("rooms", "--sort", "n", "--reverse")] == [1, 2, 3]
    assert [row["diagnosis_id"] for row in hub.stat("rooms", "--sort", "diagnosis_id", "--reverse")] == [
        "x-1", 123, "007"]
    hub.send("x_update", "123", {}, "-u", "alice")
    for options in ([], ["--reverse"]):  # what has no value is last, both ways
        assert hub.stat("messages", "123", "--sort", "n", *options)[-1]["direct"] == 1
    done = stat(hub, "rooms", "--reverse")
    assert done.returncode == 64 and "option '--reverse' needs '--sort'" in done.stderr


def test_messages_of_a_room_with_their_receipts(hub):
    """One that a device has, one that it skipped, a direct one, one that waits."""
    edge = hub.edge()
    hub.grant("9", "alice")
    hub.send("x_update", "9", {}, "-i", "first")

    async def watch():
        async with edge.connect("9", hub.token("alice"), device="phone", after="new") as socket:
            assert (await receive(socket))["type"] == "connect"
            await asyncio.to_thread(hub.send, "y_update", "9", {"a": 1}, "-i", "second", "--wait=delivered:1")
            await asyncio.to_thread(hub.send, "x_update", "9", {}, "-i", "third", "-u", "alice", "--wait=delivered:1")

    asyncio.run(watch())
    until(lambda: hub.stat("room", "9")["connections"] == 0, "the device to leave")
    hub.send("x_update", "9", {}, "-i", "fourth")
    rows = hub.stat("messages", "9")
    assert all(row.pop("age_s") < 60 for row in rows)
    names = ("seq", "n", "id", "type", "bytes", "sent", "delivered", "direct")
    assert rows == [dict(zip(names, row)) for row in (
        (7, 1, "first", "x_update", 2, 0, 0, 0), (8, 2, "second", "y_update", 7, 1, 1, 0),
        (9, None, "third", "x_update", 2, 1, 1, 1), (10, 3, "fourth", "x_update", 2, 0, 0, 0))]
    assert [row["id"] for row in hub.stat("messages", "9", "--sort", "delivered", "--top", "2")] == ["second", "third"]
    # The totals count as delivered what was to everyone.
    assert (hub.stat()["sent"], hub.stat()["delivered"], hub.stat()["waiting"]) == (2, 1, 0)
    assert (hub.stat("room", "9")["sent"], hub.stat("room", "9")["delivered"]) == (2, 1)
    assert stat(hub, "messages", "123").stdout.count("\n") == 3


def test_a_room_that_nobody_knows(hub):
    assert hub.stat("room", "123")["n"] == 2
    for view in ("room", "devices", "messages"):
        done = stat(hub, view, "nobody")
        assert done.returncode == 67
        assert "'nobody'" in done.stderr and "[DW1109]" in done.stderr


@pytest.mark.parametrize("arguments, status", [
    (["nonsense"], 64), (["room"], 64), (["devices"], 64), (["messages"], 64), (["rooms", "1"], 64), (["rooms", "--sort", "nonsense"], 64),
    (["rooms", "--sort", ""], 64), (["rooms", "--sort", "n" * 65], 64),
    (["rooms", "--top", "0"], 64), (["--format", "xml"], 64), (["room", "a b"], 65), (["messages", "a b"], 65), (["messages", "1", "2"], 64)])
def test_stat_exit_status(hub, arguments, status):
    done = stat(hub, *arguments)
    assert done.returncode == status
    assert done.stdout == "" and done.stderr.startswith("diagws-stat: ")


def test_without_a_hub(world):
    for command in (["diagws-stat"], ["diagws-owner", "list"], ["diagws-owner", "grant", "1", "alice"]):
        done = world.run(*command, "--timeout", "200ms", check=False)
        assert done.returncode == 75
        assert world.endpoint in done.stderr and "[DW1101]" in done.stderr


def test_stat_that_cannot_print(hub):
    assert hub.run("sh", "-c", "diagws-stat rooms >/dev/full", check=False).returncode == 74


def test_a_terminal_gets_a_table(hub):
    drawn = on_terminal(hub, "diagws-stat", "rooms", "--sort", "n", "--color", "never")
    rows = drawn.splitlines()
    assert rows[0].split() == ROOMS.split()
    assert [row.split()[0] for row in rows[1:]] == ["x-1", "123", "007"]
    assert len({row.rfind(" 0 ") for row in rows[1:]}) == 1
    upright = dict(row.split() for row in on_terminal(hub, "diagws-stat", env={"NO_COLOR": "1"}).splitlines())
    assert list(upright) == SUMMARY.split()
    assert "\033" in on_terminal(hub, "diagws-stat", "rooms")
    assert "\033" not in on_terminal(hub, "diagws-stat", "rooms", env={"TERM": "dumb"})
    assert json.loads(on_terminal(hub, "diagws-stat", "--json"))["head"] == 6


# ---- diagws-owner ----

def owners(world, *arguments):
    return [(row["diagnosis_id"], row["user_id"], row["state"])
            for row in json.loads(owner(world, "list", "--json", *arguments).stdout)]


def test_granting_is_silent_and_lasts(hub):
    done = owner(hub, "grant", "123", "alice", "bób", "42")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    hub.the_hub.kill()
    hub.hub()
    assert sorted(owners(hub, "123"), key=str) == sorted(
        [(123, "alice", "granted"), (123, "bób", "granted"), (123, 42, "granted")], key=str)
    assert owner(hub, "revoke", "123", "bób").returncode == 0
    assert owner(hub, "deny", "123", "42").returncode == 0
    assert owner(hub, "grant", "x-1", "alice").returncode == 0
    assert sorted(owners(hub, "--user", "alice"), key=str) == [("x-1", "alice", "granted"), (123, "alice", "granted")]
    assert owners(hub, "--user", "42") == [(123, 42, "denied")]
    assert owners(hub, "123", "--user", "bób") == []
    done = owner(hub, "list", "x-1")
    assert done.stdout == "diagnosis_id\tuser_id\tstate\nx-1\talice\tgranted\n"


def test_changes_are_told_when_asked(hub):
    assert owner(hub, "-n", "grant", "123", "alice").stdout == "would grant 123 alice\n"
    assert owners(hub) == []
    assert owner(hub, "-v", "grant", "123", "alice").stdout == "granted 123 alice\n"
    assert owner(hub, "-v", "grant", "123", "alice").stdout == "already granted 123 alice\n"
    assert owner(hub, "-n", "grant", "123", "alice").stdout == ""
    assert owner(hub, "-n", "deny", "123", "alice").stdout == "would deny 123 alice\n"
    assert owner(hub, "-v", "revoke", "123", "bob").stdout == "not granted before 123 bob\n"
    assert on_terminal(hub, "diagws-owner", "revoke", "123", "alice") == "revoked 123 alice\n"


def test_import_takes_many_lines(hub):
    text = "".join(json.dumps({"diagnosis_id": number % 10, "user_id": f"user {number}"}) + "\r\n"
                   for number in range(2000))
    done = owner(hub, "import", input=text + "\n" + '{"diagnosis_id":"x","user_id":7}')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(owners(hub)) == 2001
    path = hub.path / "owners.ndjson"
    path.write_text('{"diagnosis_id":3,"user_id":"zoe"}\n')
    assert owner(hub, "-n", "import", path).stdout == "would grant 3 zoe\n"
    assert owner(hub, "import", path).returncode == 0
    assert (3, "zoe", "granted") in owners(hub, "3")


def test_import_passes_what_is_wrong(hub):
    wrong = ["nonsense", "[]", '{"diagnosis_id":1}', '{"diagnosis_id":"a b","user_id":"x"}',
             '{"diagnosis_id":1,"user_id":""}', '{"diagnosis_id":1,"user_id":"x","role":"y"}',
             '{"diagnosis_id":1.5,"user_id":"x"}', '{"diagnosis_id":1,"user_id":"' + "x" * 5000 + '"}']
    done = owner(hub, "import", input="\n".join(wrong) + '\n{"diagnosis_id":1,"user_id":"ok"}\n')
    assert done.returncode == 65
    for number in range(1, len(wrong) + 1):
        assert f"diagws-owner: stdin:{number}: " in done.stderr
    assert owners(hub) == [(1, "ok", "granted")]
    assert owner(hub, "import", input="").returncode == 0
    assert owner(hub, "import", "/no/such/file").returncode == 66


@pytest.mark.parametrize("arguments, status", [
    ([], 64), (["nonsense"], 64), (["grant", "123"], 64), (["grant"], 64), (["list", "1", "2"], 64),
    (["list", "-n"], 64), (["grant", "--user", "x", "1", "y"], 64), (["import", "a", "b"], 64),
    (["grant", "a b", "alice"], 65), (["grant", "123", "alice", "x" * 129], 65), (["deny", "123", "a\tb"], 65),
    (["list", "a b"], 65), (["list", "--user", "a\nb"], 65)])
def test_owner_exit_status(hub, arguments, status):
    done = owner(hub, *arguments)
    assert done.returncode == status
    assert done.stdout == "" and done.stderr.startswith("diagws-owner: ")
    assert owners(hub) == []


def test_an_import_can_be_interrupted(hub):
    process = subprocess.Popen([BIN / "diagws-owner", "-v", "import"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, env={**os.environ, **hub.env})
    process.stdin.write('{"diagnosis_id":1,"user_id":"ok"}\n')
    process.stdin.flush()
    assert process.stdout.readline() == "granted 1 ok\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    process.stdin.close()
    process.stdout.close()
    until(lambda: owners(hub) == [(1, "ok", "granted")], "the grant")
