"""diagws-send from outside: what it reads, what it tells, and how it ends."""
import asyncio
import concurrent.futures
import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import BIN, EFFECTIVENESS, PATIENCE, SANITIZED, receive, until

GOOD = json.dumps(EFFECTIVENESS)


def line(room=1, kind="x_update", data=None, **more):
    return json.dumps({"diagnosis_id": room, "type": kind, "data": {} if data is None else data, **more})


def send(world, *arguments, input=None, env=None):
    return world.run("diagws-send", *arguments, input=input, env=env, check=False)


def start(world, *arguments, **more):
    return subprocess.Popen([BIN / "diagws-send", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, bufsize=1, env={**os.environ, **world.env}, **more)


def finish(process):
    """Its status and what is left of its output."""
    process.stdin.close()
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        errors = reader.submit(process.stderr.read)  # beside the other: a full pipe holds it up
        out, err = process.stdout.read(), errors.result()
    process.stdout.close()
    process.stderr.close()
    return process.wait(PATIENCE), out, err


def head(world):
    return world.stat()["head"]


@pytest.fixture
def hub(world):
    world.the_hub = world.hub()
    return world


# ---- one message ----

def test_data_comes_from_the_command_line_a_file_or_standard_input(hub):
    path = hub.path / "data.json"
    path.write_text(GOOD + "\n")
    for arguments, text in (([GOOD], None), ([f"@{path}"], None), ([], GOOD), (["-"], GOOD + "\n"), (["@-"], GOOD)):
        done = send(hub, "effectiveness", "123", *arguments, input=text)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert head(hub) == 5


def test_a_receipt_says_where_the_message_is(hub):
    first = hub.send("effectiveness", "123", EFFECTIVENESS, "-i", "job-7")
    assert first == {"diagnosis_id": 123, "seq": 1, "n": 1, "id": "job-7", "duplicate": False,
                     "clients_notified": 0, "devices_queued": 0, "delivered": None}
    again = hub.send("effectiveness", "123", EFFECTIVENESS, "-i", "job-7")
    assert again == {**first, "duplicate": True}
    assert hub.send("effectiveness", "007", EFFECTIVENESS)["diagnosis_id"] == "007"
    done = send(hub, "-i", "job-7", "effectiveness", "123", json.dumps({**EFFECTIVENESS, "sample_size": 1}))
    assert done.returncode == 65
    assert "another message had this id" in done.stderr


def test_standard_input_is_left_alone_when_it_is_not_needed(hub):
    path = hub.path / "lines.ndjson"
    path.write_text(line() + "\n")
    for command in (f"diagws-send effectiveness 123 '{GOOD}'", f"diagws-send -l {path}"):
        done = hub.run("sh", "-c", f"while read -r word; do {command}; echo $word; done", input="a\nb\nc\n")
        assert done.stdout == "a\nb\nc\n"


@pytest.mark.parametrize("arguments", [["effectiveness", "123"], ["effectiveness", "123", "-"], ["-l"], ["-l", "-"]])
def test_a_terminal_as_input_gets_short_help(world, arguments):
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run([BIN / "diagws-send", *arguments], stdin=theirs, capture_output=True, text=True,
                              timeout=PATIENCE)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 64
    assert "diagws-send -l [-t TYPE]" in done.stderr


@pytest.mark.parametrize("arguments, text, status", [
    (["-l"], "", 0), (["-l"], "\n  \n\r\n", 0), (["effectiveness", "1"], "", 65), (["effectiveness", "1"], " \n", 65)])
def test_empty_input(hub, arguments, text, status):
    done = send(hub, *arguments, input=text)
    assert done.returncode == status
    assert head(hub) == 0


@pytest.mark.parametrize("arguments, words", [
    (["feedback", "1", '{"feedback_id":1,"rating":0,"effectiveness":0.5}'], "field 'rating': 0 is not within 1..5"),
    (["feedback", "1", '{"feedback_id":1,"rating":6,"effectiveness":0.5}'], "field 'rating': 6 is not within 1..5"),
    (["feedback", "1", '{"feedback_id":1,"rating":4.5,"effectiveness":0.5}'], "field 'rating': 4.5"),
    (["feedback", "1", '{"feedback_id":1,"rating":"5","effectiveness":0.5}'], "field 'rating': \"5\""),
    (["feedback", "1", '{"feedback_id":1,"rating":5,"effectiveness":1.1}'], "field 'effectiveness': 1.1"),
    (["feedback", "1", '{"feedback_id":1,"rating":5,"effectiveness":-0.1}'], "field 'effectiveness': -0.1"),
    (["feedback", "1", '{"feedback_id":1,"rating":5,"effectiveness":NaN}'], "[DW1004]"),
    (["feedback", "1", '{"feedback_id":1,"rating":5}'], "field 'effectiveness' is missing"),
    (["feedback", "1", '{"rating":5,"rating":4}'], "[DW1004]"),
    (["x_update", "1", "[]"], "[DW1003]"),
    (["x_update", "1", "{"], "[DW1004]"),
    (["x_update", "a b", "{}"], "'a b' is not a diagnosis id"),
    (["x_update", "x" * 65, "{}"], "is not a diagnosis id"),
    (["nonsense", "1", "{}"], "\"nonsense\" is not a type"),
    (["-i", "a b", "x_update", "1", "{}"], "the value is not an id"),
    (["x_update", "1", json.dumps({"a": "x" * 70000})], "[DW1005]"),
    (["-l", "-t", "nonsense", "/dev/null"], "\"nonsense\" is not a type"),
    (["-l", "-d", "a b", "/dev/null"], "'a b' is not a diagnosis id"),
])
def test_what_is_wrong_is_said_and_not_sent(hub, arguments, words):
    done = send(hub, *arguments)
    assert done.returncode == 65
    assert words in done.stderr
    assert done.stderr.startswith("diagws-send: ")
    assert "\n  expected: " in done.stderr
    assert head(hub) == 0


def test_input_beyond_its_bound_is_refused(hub):
    done = send(hub, "x_update", "1", input='{"a":"' + "x" * 1000000 + '"}')
    assert done.returncode == 65
    assert "[DW1005]" in done.stderr


@pytest.mark.parametrize("arguments, status", [
    ([], 64), (["x_update"], 64), (["x_update", "1", "{}", "{}"], 64), (["-l", "a", "b"], 64), (["-l", "-i", "x"], 64),
    (["-t", "x_update", "x_update", "1", "{}"], 64), (["--wait=soon", "x_update", "1", "{}"], 64),
    (["-l", "-w", "0"], 64), (["--nonsense"], 64),
    (["--wait=delivered", "x_update", "1", "{}"], 64), (["--wait=delivered:0", "x_update", "1", "{}"], 64),
    (["--wait=delivered:1000001", "x_update", "1", "{}"], 64), (["--wait=delivered:2x", "x_update", "1", "{}"], 64),
    (["--deadline", "1s", "x_update", "1", "{}"], 64), (["--wait=stored", "--deadline", "1s", "x_update", "1", "{}"], 64),
    (["--wait=delivered:1", "--deadline", "0s", "x_update", "1", "{}"], 64),
    (["--wait=delivered:1", "--deadline", "61m", "x_update", "1", "{}"], 64),
    (["--ttl", "999ms", "x_update", "1", "{}"], 64), (["--ttl", "31d", "x_update", "1", "{}"], 64),
    (["-u", "", "x_update", "1", "{}"], 65), (["-l", "-u", "a\tb", "/dev/null"], 65),
    (["x_update", "1", "@/no/such/file"], 66), (["-l", "/no/such/file"], 66), (["-l", "/"], 66),
    (["-e", "tcp://192.0.2.1:5", "x_update", "1", "{}"], 78), (["-e", "ipc:///" + "x" * 120, "x_update", "1", "{}"], 78),
])
def test_exit_status(hub, arguments, status):
    done = send(hub, *arguments)
    assert done.returncode == status
    assert done.stderr != "" and done.stdout == ""
    assert head(hub) == 0


def test_stored_is_what_wait_means(hub):
    assert send(hub, "--wait=stored", "x_update", "1", "{}").returncode == 0


@pytest.mark.parametrize("closed, status", [("<&-", 66), ("--json x_update 1 '{}' >&-", 74),
                                            ("--json x_update 1 '{}' >/dev/full", 74)])
def test_closed_or_broken_streams(hub, closed, status):
    command = f"diagws-send {closed}" if closed.startswith("--") else f"diagws-send -l {closed}"
    assert hub.run("sh", "-c", command, check=False).returncode == status


def test_checking_needs_no_hub(world):
    assert send(world, "-n", "effectiveness", "123", GOOD).returncode == 0
    done = send(world, "-n", "-l", input=line() + "\nnonsense\n" + line())
    assert done.returncode == 65
    assert done.stderr.startswith("diagws-send: stdin:2: ")


# ---- no hub ----

def test_without_a_hub_the_id_is_told(world):
    done = send(world, "--timeout", "200ms", "x_update", "1", "{}")
    assert done.returncode == 75
    assert "[DW1101]" in done.stderr and world.endpoint in done.stderr
    made = done.stderr.split(" -i ")[1].split(",")[0]
    assert f"id {made}" in done.stderr
    world.hub()
    assert world.send("x_update", "1", {}, "-i", made)["id"] == made


def test_away_beats_wrong(world):
    done = send(world, "-l", "--timeout", "200ms", input=line() + "\nnonsense\n" + line(id="mine") + "\n")
    assert done.returncode == 75
    assert "stdin:1: " in done.stderr and "with this \"id\"" in done.stderr
    assert "stdin:2: " in done.stderr
    assert "stdin:3: " in done.stderr and "id mine" in done.stderr


def test_a_hub_that_comes_late_is_found(world):
    process = start(world, "--timeout", "30s", "--json", "x_update", "1", "{}")
    until(lambda: world.hub(), "the hub")
    status, out, err = finish(process)
    assert (status, err) == (0, "")
    assert json.loads(out)["seq"] == 1


def test_a_socket_of_others_is_no_permission(hub):
    folder = tempfile.mkdtemp(dir="/tmp")
    try:
        os.chmod(folder, 0o755)
        if os.geteuid() != 0:
            pytest.skip("only root can run a command as somebody else")
        program = shutil.copy(BIN / "diagws-send", folder)
        os.chmod(hub.path / "run", 0o750)
        done = subprocess.run([program, "-e", hub.endpoint, "x_update", "1", "{}"], user=65534, group=65534,
                              extra_groups=[], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 77
        assert "no permission" in done.stderr
    finally:
        shutil.rmtree(folder)


# ---- many ----

def test_lines_of_all_kinds(hub):
    text = (line(1) + "\r\n\n   \n" + json.dumps({"data": EFFECTIVENESS, "id": "own"}) + "\n"
            + line("x-1", "feedback", {"feedback_id": 1, "rating": 6, "effectiveness": 1}) + "\n" + line(3))
    done = send(hub, "-l", "-t", "effectiveness", "-d", "123", "--receipts", input=text)
    assert done.returncode == 65
    assert "diagws-send: stdin:5: field 'rating': 6 is not within 1..5 [DW1003]\n" in done.stderr
    assert "  expected: an integer from 1 to 5\n  hint: " in done.stderr
    rows = sorted(row.split("\t") for row in done.stdout.splitlines())
    assert [row[:4] + row[5:] for row in rows] == [
        ["1", "1", "1", "1", "stored", ""], ["4", "123", "2", "1", "stored", ""],
        ["5", "x-1", "", "", "invalid_field", ""], ["6", "3", "3", "1", "stored", ""]]
    assert rows[1][4] == "own"
    assert len({row[4] for row in rows}) == 4 and rows[2][4] == ""


def test_lines_are_told_by_their_file(hub):
    path = hub.path / "updates.ndjson"
    path.write_text("nonsense\n" + line())
    done = send(hub, "-l", path)
    assert done.returncode == 65
    assert f"diagws-send: {path}:1: " in done.stderr
    assert head(hub) == 1


def test_each_line_is_sent_as_it_comes(hub):
    process = start(hub, "-l", "--json")
    for number in range(1, 4):
        process.stdin.write(line() + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["seq"] == number
    assert finish(process)[0] == 0


@pytest.mark.parametrize("length", [256 * 1024, 256 * 1024 + 1, 64 * 2**20])
def test_too_long_a_line_is_passed_by_its_number(hub, length):
    begin, end = '{"diagnosis_id":1,"type":"x_update","data":{"a":"', '"}}'
    long = begin + "x" * (length - len(begin) - len(end)) + end
    process = start(hub, "-l")
    process.stdin.write(line() + "\n" + long + "\n" + line() + "\n")
    process.stdin.flush()
    until(lambda: unread(process.stdin) == 0, "all to be read")
    most = peak_memory(process)
    status, _, error = finish(process)
    assert status == 65
    # One that is just within the bound of a line is over that of data.
    assert "diagws-send: stdin:2: " in error and "[DW1005]" in error
    assert ("the line is too long" in error) == (length > 256 * 1024)
    assert head(hub) == 2
    if not SANITIZED:
        assert most < 32 * 1024


def peak_memory(process):
    """KiB, of this program alone."""
    with open(f"/proc/{process.pid}/status") as status:
        return int(next(row for row in status if row.startswith("VmHWM:")).split()[1])


def test_who_gets_a_line_and_how_long_is_checked(hub):
    wrong = [line(user=""), line(user=[]), line(exclude_session="x"), line(ttl_s=0), line(ttl_s=1.5)]
    done = send(hub, "-l", input="\n".join(wrong) + "\n")
    assert done.returncode == 65
    for number, field in enumerate(("user", "user", "exclude_session", "ttl_s", "ttl_s"), 1):
        assert f"stdin:{number}: field '{field}': " in done.stderr
    assert head(hub) == 0


def test_a_batch_is_stored_once_in_order(hub):
    text = "".join(line(number % 7, data={"number": number}) + "\n" for number in range(3000))
    done = send(hub, "-l", "--receipts", "-w", "64", input=text)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [row.split("\t") for row in done.stdout.splitlines()]
    assert sorted(int(row[0]) for row in rows) == list(range(1, 3001))
    assert [int(row[2]) for row in sorted(rows, key=lambda row: int(row[0]))] == list(range(1, 3001))


@pytest.mark.parametrize("arguments, size, least, most",
                         [([], 1, 257, 4096), ([], 8192, 100, 128), (["-w", "300"], 1, 300, 300), (["-w", "300"], 8192, 100, 128)])
def test_the_window_grows_while_answers_are_prompt(hub, arguments, size, least, most):
    """What is answered after a hub that was stopped goes on is what was under way meanwhile: of long messages a MiB."""
    path = hub.path / "many.ndjson"
    path.write_text((line(data={"text": "x" * size}) + "\n") * 20000)
    answers = hub.path / "answers"

    def told():
        return answers.read_bytes().count(b"\n")

    def wait_until_full():
        """It sleeps although there is input, and nothing comes any more."""
        looks = [None] * 8

        def is_full():
            state = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            looks.append(told() if state == "S" and waits(process) and unread(source) > 0 else None)
            return looks[-1] is not None and len(set(looks[-8:])) == 1

        until(is_full, "a full window")

    hub.the_hub.signal(signal.SIGSTOP)
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as feeder, open(answers, "wb") as output:
        source = feeder.stdout
        process = subprocess.Popen([BIN / "diagws-send", "-l", "--json", "--timeout", "60s", *arguments], stdin=source,
                                   stdout=output, env={**os.environ, **hub.env})
        wait_until_full()
        assert told() == 0
        hub.the_hub.signal(signal.SIGCONT)
        until(lambda: told() > 2000, "answers")
        hub.the_hub.signal(signal.SIGSTOP)
        wait_until_full()
        before = told()
        process.send_signal(signal.SIGINT)
        hub.the_hub.signal(signal.SIGCONT)
        assert process.wait(PATIENCE) == 130
    assert least <= told() - before <= most


def test_a_batch_survives_a_killed_hub(hub):
    """Answers that were lost with the hub are asked for again with the same ids: nothing is stored twice."""
    count = 3000
    path = hub.path / "many.ndjson"
    path.write_text("".join(line(number % 7, data={"number": number}) + "\n" for number in range(count)))
    process = start(hub, "-l", "--json", "--timeout", "30s", path)
    answers = [json.loads(process.stdout.readline()) for _ in range(50)]
    hub.the_hub.kill()
    hub.hub()
    status, out, err = finish(process)
    assert (status, err) == (0, "")
    answers += [json.loads(answer) for answer in out.splitlines()]
    assert sorted(answer["seq"] for answer in answers) == list(range(1, count + 1))
    assert len({answer["id"] for answer in answers}) == count
    assert head(hub) == count


def test_a_watcher_gets_each_once_although_the_hub_is_killed(clinic):
    """20,000 lines, the hub killed twice on the way: each n comes once, in order, or is told in a gap."""
    count = 20000
    path = clinic.path / "many.ndjson"
    path.write_text("".join(line(123, data={"number": number}) + "\n" for number in range(count)))

    async def watch():
        told, numbers, kills = [], [], [count // 4, count // 2]
        async with clinic.the_edge.connect(123, clinic.alice) as socket:
            assert (await receive(socket))["type"] == "connect"
            process = start(clinic, "-l", "--timeout", "60s", path)
            while len(told) < count:
                message = await receive(socket, 3 * PATIENCE)
                if message["type"] == "gap":
                    told += range(message["data"]["from"], message["data"]["to"] + 1)
                elif message["type"] == "x_update":
                    told.append(message["n"])
                    numbers.append(message["data"]["number"])
                if kills and len(told) > kills[0]:
                    kills.pop(0)
                    clinic.the_hub.kill()
                    clinic.the_hub = clinic.hub("--queue-limit", 10000)
        return told, numbers, finish(process)

    assert clinic.processes[0].terminate() == 0
    clinic.the_hub = clinic.hub("--queue-limit", 10000)
    told, numbers, (status, _, err) = asyncio.run(watch())
    assert (status, err) == (0, "")
    assert told == list(range(1, count + 1))
    assert len(set(numbers)) == len(numbers) >= count // 4
    assert clinic.stat("room", "123")["n"] == count


def test_the_first_interrupt_waits_for_answers(hub):
    process = start(hub, "-l", "--json")
    process.stdin.write(line() + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["seq"] == 1
    hub.the_hub.signal(signal.SIGSTOP)
    process.stdin.write(line() + "\n")
    process.stdin.flush()
    # The line is taken when the pipe is empty again; only then is there something to wait for.
    until(lambda: unread(process.stdin) == 0, "the line to be read")
    process.send_signal(signal.SIGINT)
    hub.the_hub.signal(signal.SIGCONT)
    status, out, _ = finish(process)
    assert status == 130
    assert [json.loads(answer)["seq"] for answer in out.splitlines()] == [2]


def unread(pipe):
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    return count[0]


def test_an_interrupt_while_reading_ends_at_once(hub):
    for arguments in (["-l"], ["x_update", "1"]):
        process = start(hub, *arguments)
        until(lambda: waits(process), "the command to wait for input")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
    assert head(hub) == 0


def waits(process):
    """Whether SIGINT is blocked by now: it is when the command has set itself up."""
    with open(f"/proc/{process.pid}/status") as status:
        blocked = next(row for row in status if row.startswith("SigBlk:"))
    return int(blocked.split()[1], 16) & (1 << (signal.SIGINT - 1))


def test_a_reader_that_leaves_is_told(hub):
    path = hub.path / "many.ndjson"
    path.write_text((line() + "\n") * 20000)
    done = hub.run("bash", "-c", f"diagws-send -l --json {path} | head -n 1; exit ${{PIPESTATUS[0]}}", check=False)
    assert done.returncode == 74
    assert len(done.stdout.splitlines()) == 1
    assert "stopped after line" in done.stderr
    assert head(hub) < 20000


class Terminal:
    """A pseudo-terminal: `theirs` is for a command, `hear()` tells what it has said so far."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        os.set_blocking(self.ours, False)
        self.said = ""

    def hear(self):
        try:
            self.said += os.read(self.ours, 65536).decode()
        except BlockingIOError:
            pass  # the kernel hands on what was written a little later
        return self.said

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def test_on_a_terminal_one_line_says_what_happened(hub):
    for options, words in (([], "stored 1, clients 0, queued 0\r\n"), (["-q"], ""), (["-l"], "stored 2, rejected 1")):
        terminal = Terminal()
        text = line() + "\nnonsense\n" + line() if "-l" in options else "{}"
        operands = [] if "-l" in options else ["x_update", "1"]
        subprocess.run([BIN / "diagws-send", *options, *operands], input=text.encode(), stdout=terminal.theirs,
                       stderr=terminal.theirs, timeout=PATIENCE, env={**os.environ, **hub.env})
        until(lambda: words in terminal.hear(), words)
        assert words != "" or terminal.said == ""
        terminal.close()


def test_progress_of_a_long_batch_on_a_terminal(hub):
    path = hub.path / "many.ndjson"
    path.write_text("nonsense\n" + (line() + "\n") * 4998 + line())
    # A full window stops the reading, so that a pipe takes the rest only when the hub goes on.
    some, rest = path.read_bytes()[:1000], path.read_bytes()[1000:]
    for arguments, has_file in ((["-l", path], True), (["-l"], True), (["-l"], False)):
        terminal = Terminal()
        hub.the_hub.signal(signal.SIGSTOP)
        with open(path if has_file else os.devnull) as file:
            process = subprocess.Popen([BIN / "diagws-send", "--timeout", "60s", *arguments], stderr=terminal.theirs,
                                       stdin=file if has_file else subprocess.PIPE,
                                       env={**os.environ, **hub.env, "TERM": "xterm"})
        if not has_file:
            process.stdin.write(some)
            process.stdin.flush()
        until(lambda: "rejected 1" in terminal.hear(), "progress")
        assert ("/5000 0%" in terminal.said) == has_file
        hub.the_hub.signal(signal.SIGCONT)
        process.communicate(None if has_file else rest, timeout=PATIENCE)
        until(lambda: "stored 4999, rejected 1" in terminal.hear(), "the summary")
        assert "\r\x1b[Kstored 4999" in terminal.said
        terminal.close()
