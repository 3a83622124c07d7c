"""diagws and diagws up, from outside: as one who tries diagws for the first time does."""
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request

import pytest
import websockets

from conftest import BIN, EFFECTIVENESS, PATIENCE, receive, until


@contextlib.contextmanager
def up(tmp_path, *arguments):
    """A running `diagws up --json` and what it printed; ended by SIGTERM unless it was before."""
    process = subprocess.Popen([BIN / "diagws", "up", "--json", *arguments], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, json.loads(line)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(2 * PATIENCE)
        process.stdout.close()
        process.stderr.close()


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def send(told, *arguments):
    subprocess.run([BIN / "diagws", "send", "-e", told["hub"], *arguments], check=True, timeout=PATIENCE)


async def first_update(url):
    async with websockets.connect(url, open_timeout=PATIENCE) as client:
        assert (await receive(client))["type"] == "connect"
        return await receive(client)


def test_the_whole_way(tmp_path):
    with up(tmp_path, "--edges", "2") as (process, told):
        assert set(told) == {"url", "ws_url", "hub", "key_file", "user", "token", "state_dir", "page_url", "pids", "urls"}
        assert len(told["pids"]) == 3 and len(told["urls"]) == 2 and told["urls"][0] == told["url"]
        assert os.stat(told["key_file"]).st_mode & 0o777 == 0o600
        send(told, "effectiveness", "123", json.dumps(EFFECTIVENESS))
        update = asyncio.run(first_update(told["ws_url"]))
        assert update["data"] == EFFECTIVENESS
        request = urllib.request.Request(told["url"] + "/ws/broadcast-effectiveness-update", method="POST",
                                         data=json.dumps({"diagnosis_id": 123, **EFFECTIVENESS}).encode(),
                                         headers={"Authorization": "Bearer " + told["token"],
                                                  "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert json.load(answer)["seq"] == update["seq"] + 1
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert not any(alive(pid) for pid in told["pids"])
        assert not os.path.exists(told["state_dir"])


def test_edges_share_the_first_port(tmp_path):
    """The kernel spreads connections over them; each keeps a port of its own."""
    count = 40

    async def connect(told):
        clients = [await websockets.connect(told["ws_url"] + f"&device=d{number}", open_timeout=PATIENCE)
                   for number in range(count)]
        for client in clients:
            assert (await receive(client))["type"] == "connect"
        rows = json.loads(subprocess.run([BIN / "diagws-stat", "-e", told["hub"], "--json", "edges"], check=True,
                                         capture_output=True, text=True, timeout=PATIENCE).stdout)
        await asyncio.gather(*(client.close() for client in clients))
        return [row["connections"] for row in rows]

    with up(tmp_path, "--edges", "2") as (_, told):
        sessions = asyncio.run(connect(told))
        assert len(sessions) == 2 and sum(sessions) == count and min(sessions) > 0, sessions
        with urllib.request.urlopen(told["urls"][1] + "/readyz", timeout=PATIENCE) as answer:
            assert answer.status == 200


def test_the_token_is_in_no_command_line(tmp_path):
    with up(tmp_path) as (process, told):
        for pid in [process.pid, *told["pids"]]:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                assert told["token"].encode() not in file.read()


def test_a_busy_port_is_passed_over(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with up(tmp_path, "--port", str(port)) as (_, told):
            assert int(told["url"].rpartition(":")[2]) > port


def test_runs_at_the_same_time_share_no_port(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    runs = [subprocess.Popen([BIN / "diagws", "up", "--json", "--port", str(port)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        urls = [json.loads(run.stdout.readline())["url"] for run in runs]
        assert len(set(urls)) == 3, urls
    finally:
        for run in runs:
            run.terminate()
        for run in runs:
            run.wait(2 * PATIENCE)
            run.stdout.close()


def test_a_state_dir_is_kept(tmp_path):
    state = tmp_path / "kept"
    with up(tmp_path, "--state-dir", str(state)) as (_, told):
        send(told, "note_update", "123", '{"text":"kept"}')
    with up(tmp_path, "--state-dir", str(state)) as (_, told):
        assert asyncio.run(first_update(told["ws_url"]))["data"] == {"text": "kept"}
    assert (state / "keys" / "dev.hs256").exists()


@pytest.mark.parametrize("victim", [0, 1])
def test_one_that_dies_ends_all(tmp_path, victim):
    with up(tmp_path) as (process, told):
        os.kill(told["pids"][victim], signal.SIGKILL)
        assert process.wait(PATIENCE) == 69
        assert "ended" in process.stderr.read()
        assert not any(alive(pid) for pid in told["pids"])


def test_children_do_not_outlive_it(tmp_path):
    with up(tmp_path) as (process, told):
        process.kill()
        process.wait(PATIENCE)
        until(lambda: not any(alive(pid) for pid in told["pids"]), "the children's end")
        shutil.rmtree(told["state_dir"])


def run(*arguments):
    return subprocess.run([BIN / "diagws", *arguments], capture_output=True, text=True, timeout=PATIENCE)


def test_runs_commands_like_git():
    assert run("send", "--version").stdout == "diagws-send (diagws) 0.1.0\n"
    assert run("--version").stdout == "diagws (diagws) 0.1.0\n"
    listed = run("--help")
    assert listed.returncode == 0
    for name in ("up", "send", "stat", "owner", "token", "hub", "edge"):
        assert f"\n  {name} " in listed.stdout
    unknown = run("sned")
    assert unknown.returncode == 64 and "'sned' is no command [DW1002]" in unknown.stderr and not unknown.stdout
    assert run().returncode == 64 and run("").returncode == 64 and run("../true").returncode == 64
    assert run("up", "extra").returncode == 64


def test_runs_others_that_are_in_the_path(tmp_path):
    other = tmp_path / "diagws-other"
    other.write_text('#!/bin/sh\necho "other $1"\nexit 3\n')
    other.chmod(0o755)
    done = subprocess.run([BIN / "diagws", "other", "word"], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (done.returncode, done.stdout) == (3, "other word\n")
