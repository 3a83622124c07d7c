"""A process that is stuck is found out and replaced: by a service manager, by diagws up, and by a client.

What is stuck here is a real hub or edge: stopped with SIGSTOP, or spinning in its main thread (tests/lib/stick.c).
"""
import asyncio
import configparser
import contextlib
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys

import pytest
import websockets

from conftest import BIN, BUILD, PATIENCE, ROOT, SANITIZED, free_port, receive, until
from test_up import alive, first_update, send, up

STICKY = {"LD_PRELOAD": str(BUILD / "tests" / "stick.so")}
if SANITIZED:
    STICKY["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
UNITS = ROOT / "examples" / "systemd"
STUCK = {"stopped": signal.SIGSTOP, "spinning": signal.SIGUSR1}


# ---- a service manager: its part is played here ----

class Manager:
    """The socket of a service manager, and what a service finds in its environment."""

    def __init__(self, world, seconds):
        self.path = world.path / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.seconds = seconds
        self.env = {**STICKY, "NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(int(seconds * 1e6))}

    def hear(self, seconds):
        """The next word, or None when there is none for so long."""
        ready, _, _ = select.select([self.socket], [], [], seconds)
        return self.socket.recv(4096).decode() if ready else None

    def hear_all(self):
        words = []
        while (word := self.hear(0)) is not None:
            words.append(word)
        return words

    def fill(self):
        """Leaves no room in the queue, as one that stands still does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.sendto(b"X=1", str(self.path))


@contextlib.contextmanager
def managed(world, seconds):
    manager = Manager(world, seconds)
    try:
        yield manager
    finally:
        manager.socket.close()


def start(world, which, env):
    if which == "hub":
        return world.hub(env=env)
    world.hub()
    return world.edge(env=env)


def wait_for_seconds(world, seconds):
    """Of the hub's own: a while in which its loop has turned."""
    alive_since = world.stat()["uptime_s"]
    until(lambda: world.stat()["uptime_s"] >= alive_since + seconds, f"{seconds} s of the hub's life")


@pytest.mark.parametrize("how", STUCK)
@pytest.mark.parametrize("which", ["hub", "edge"])
def test_one_that_is_stuck_is_heard_no_more(world, which, how):
    with managed(world, 0.9) as manager:
        process = start(world, which, manager.env)
        assert manager.hear(PATIENCE) == "READY=1"
        # Within the time, again and again, though nobody asks anything of it.
        for _ in range(4):
            assert manager.hear(PATIENCE) == "WATCHDOG=1"
        process.signal(STUCK[how])
        until(lambda: manager.hear(manager.seconds) is None, "silence")
        assert manager.hear(manager.seconds) is None
        assert process.popen.poll() is None
        if how == "stopped":
            process.signal(signal.SIGCONT)
            assert manager.hear(PATIENCE) == "WATCHDOG=1"
        else:
            process.kill()


@pytest.mark.parametrize("asked", [{}, {"WATCHDOG_PID": "1"}], ids=["nobody asked", "another was asked"])
@pytest.mark.parametrize("which", ["hub", "edge"])
def test_where_no_watchdog_is_none_is_fed(world, which, asked):
    with managed(world, 0.3) as manager:
        env = {**manager.env, **asked}
        if not asked:
            del env["WATCHDOG_USEC"]
        process = start(world, which, env)
        wait_for_seconds(world, 2)
        assert process.terminate() == 0
        assert manager.hear_all() == ["READY=1", "STOPPING=1"]


@pytest.mark.parametrize("which", ["hub", "edge"])
def test_a_manager_that_stands_still_stops_nobody(world, which):
    """Its queue is full: nothing waits for it, and what it has to know it is told as soon as it reads again."""
    with managed(world, 0.3) as manager:
        manager.fill()
        process = start(world, which, manager.env)
        wait_for_seconds(world, 1)
        assert set(manager.hear_all()) <= {"X=1", "READY=1", "WATCHDOG=1"}
        until(lambda: manager.hear(PATIENCE) == "WATCHDOG=1", "a word")
        manager.fill()
        assert process.terminate() == 0


def test_ready_is_told_when_there_is_room_again(world):
    with managed(world, 0.3) as manager:
        manager.fill()
        start(world, "edge", manager.env)
        words = []
        until(lambda: words.extend(manager.hear_all()) or "WATCHDOG=1" in words, "the words that waited")
        assert [word for word in words if word != "X=1"][:2] == ["READY=1", "WATCHDOG=1"]


@pytest.mark.parametrize("which", ["hub", "edge"])
def test_one_without_a_free_descriptor_is_heard(world, which):
    with managed(world, 0.9) as manager:
        process = start(world, which, manager.env)
        until(lambda: manager.hear(PATIENCE) == "WATCHDOG=1", "a word")
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{process.pid}/fd")),) * 2)
        manager.hear_all()
        for _ in range(4):
            assert manager.hear(PATIENCE) == "WATCHDOG=1"


# ---- the real systemd, with the units that are to be copied ----

@contextlib.contextmanager
def systemd(world, watchdog):
    """A manager for the user, with hub and edge as its units; needs root, for systemd wants /run to be its own."""
    units, run = world.path / "units", world.path / "xdg"
    shutil.copytree(UNITS, units)
    run.mkdir(mode=0o700)
    (units / "default.target").write_text("[Unit]\nDescription=nothing\n")
    commands = {
        "hub": f"{BIN}/diagws-hub --bind {world.endpoint} --state-dir {world.state}",
        "edge": f"{BIN}/diagws-edge --listen 127.0.0.1:{free_port()} --hub {world.endpoint} --keys {world.keys}"}
    for name, command in commands.items():
        more = units / f"diagws-{name}.service.d"
        more.mkdir()
        (more / "test.conf").write_text(
            f"[Service]\nExecStart=\nExecStart={command}\nUser=\nGroup=\nRuntimeDirectory=\nStateDirectory=\n"
            f"ProtectSystem=no\nProtectHome=no\nPrivateTmp=no\nWatchdogSec={watchdog}\nRestartSec=100ms\n"
            "LimitCORE=0\n")
    env = {**os.environ, "XDG_RUNTIME_DIR": str(run), "SYSTEMD_UNIT_PATH": f"{units}:/usr/lib/systemd/user",
           "SYSTEMD_LOG_TARGET": "console"}
    with open(world.path / "systemd.log", "wb") as log:
        manager = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c",
             "mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec systemd --user"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def control(*arguments, check=True):
        done = subprocess.run(["systemctl", "--user", *arguments], capture_output=True, text=True, env=env,
                              timeout=2 * PATIENCE)
        assert done.returncode == 0 or not check, done.stderr + (world.path / "systemd.log").read_text()
        return done.stdout.strip()

    try:
        until(lambda: control("is-active", "default.target", check=False) == "active" or manager.poll() is not None,
              "systemd")
        if manager.poll() is not None:
            pytest.skip("systemd does not run here: " + (world.path / "systemd.log").read_text())
        yield control
    finally:
        manager.terminate()
        manager.wait(2 * PATIENCE)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("systemd") or not shutil.which("unshare"),
                    reason="needs root and systemd")
def test_systemd_replaces_one_that_is_stuck(world):
    def main_pid(name):
        return int(control("show", "--value", "--property=MainPID", f"diagws-{name}.service"))

    with systemd(world, "2s") as control:
        control("start", "diagws-hub.service", "diagws-edge.service")  # returns when both have said READY=1
        wait_for_seconds(world, 3)  # more than the time: both have fed it
        for name in ("edge", "hub"):
            old = main_pid(name)
            os.kill(old, signal.SIGSTOP)
            until(lambda: main_pid(name) not in (0, old), f"another {name}", 2 * PATIENCE)
            until(lambda: control("is-active", f"diagws-{name}.service", check=False) == "active", "its start")
            assert control("show", "--value", "--property=NRestarts", f"diagws-{name}.service") == "1"
            assert not alive(old)
        until(lambda: world.stat()["edges"] == 1, "the edge at the hub")
        control("stop", "diagws-edge.service", "diagws-hub.service")


@pytest.mark.parametrize("name", ["hub", "edge"])
def test_units_name_options_and_times_that_are(world, name):
    """What the units say holds for the programs: -t takes it, a file may change it, and no time or number contradicts
    the defaults."""
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str
    unit.read(UNITS / f"diagws-{name}.service")
    service = unit["Service"]
    program = BIN / f"diagws-{name}"
    usage = " ".join(subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout.split())

    def default(option):
        return int(re.search(rf"--{option} .*?\[default (\d+)", usage)[1])

    # A flag would go before the variable that EnvironmentFile may set.
    assert service["ExecStart"] == f"/usr/local/bin/diagws-{name}"
    variables = dict(word.split("=", 1) for word in service["Environment"].split())
    assert set(variables) <= set(re.findall(r"env (\w+)", usage))
    if name == "edge":
        variables["DIAGWS_KEYS"] = str(world.keys)
        assert int(service["TimeoutStopSec"].removesuffix("s")) > default("drain-timeout")
        assert int(service["LimitNOFILE"]) >= default("max-connections") + 128
    world.run(program, "-t", env=variables)
    assert service["Type"] == "notify" and service["Restart"] == "on-failure" and service["WatchdogSec"]


# ---- diagws up ----

class Lines:
    """What a process writes to a pipe, line by line, each waited for."""

    def __init__(self, stream):
        self.fd = stream.fileno()
        self.left = b""

    def _more(self):
        if b"\n" not in self.left and select.select([self.fd], [], [], 0.05)[0]:
            self.left += os.read(self.fd, 65536)
        return b"\n" in self.left

    def next(self, patience=PATIENCE):
        until(self._more, f"a line; there is {self.left}", patience)
        line, _, self.left = self.left.partition(b"\n")
        return line.decode()


@contextlib.contextmanager
def sticky_up(tmp_path, monkeypatch, *arguments):
    for name, value in STICKY.items():
        monkeypatch.setenv(name, value)
    with up(tmp_path, "--watchdog", "1s", *arguments) as (process, told):
        process.lines = Lines(process.stderr)
        yield process, told


def replaced(process, name, pid):
    """Waits until diagws up says so; the successor's pid."""
    while not (line := process.lines.next()).startswith("diagws-up:"):
        pass
    found = re.fullmatch(rf"diagws-up: diagws-{name} \(pid {pid}\) was stuck for 1 s; ended it and started another "
                         r"\(pid (\d+)\)", line)
    assert found, line
    assert not alive(pid)
    return int(found.group(1))


@pytest.mark.parametrize("how", STUCK)
def test_up_replaces_an_edge_that_is_stuck(tmp_path, monkeypatch, how):
    with sticky_up(tmp_path, monkeypatch, "--edges", "2") as (process, told):
        hub, first, second = told["pids"]
        os.kill(second, STUCK[how])
        successor = replaced(process, "edge", second)
        send(told, "note_update", "123", '{"text":"kept"}')
        for url in told["urls"]:
            address = url.replace("http", "ws") + "/ws/123?token=" + told["token"]
            until(lambda: served(address), url)
        assert alive(hub) and alive(first) and alive(successor)
        process.send_signal(signal.SIGINT)
        assert process.wait(2 * PATIENCE) == 0
        assert not any(alive(pid) for pid in (hub, first, successor))


def served(address):
    try:
        return asyncio.run(first_update(address))["data"] == {"text": "kept"}
    except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
        return False


@pytest.mark.parametrize("how", STUCK)
def test_up_replaces_a_hub_that_is_stuck(tmp_path, monkeypatch, how):
    """The edge and its client stay, and the client gets what is sent afterwards."""
    async def go(process, told):
        async with websockets.connect(told["ws_url"], open_timeout=PATIENCE) as client:
            assert (await receive(client))["type"] == "connect"
            os.kill(told["pids"][0], STUCK[how])
            await asyncio.to_thread(replaced, process, "hub", told["pids"][0])
            await asyncio.to_thread(send, told, "note_update", "123", '{"text":"later"}')
            assert (await receive(client))["data"] == {"text": "later"}
        assert alive(told["pids"][1])

    with sticky_up(tmp_path, monkeypatch) as (process, told):
        asyncio.run(go(process, told))


def test_up_replaces_none_that_lives(tmp_path):
    """Neither while nothing happens, nor after it stood still itself for longer than the time."""
    def uptime():
        return json.loads(subprocess.run([BIN / "diagws-stat", "-e", told["hub"], "--json"], check=True,
                                         capture_output=True, text=True, timeout=PATIENCE).stdout)["uptime_s"]

    def let_pass(seconds):
        begun = uptime()
        until(lambda: uptime() >= begun + seconds, f"{seconds} s", 2 * PATIENCE)

    with up(tmp_path, "--watchdog", "1s", "--edges", "3") as (process, told):
        let_pass(2)
        process.send_signal(signal.SIGSTOP)
        let_pass(3)
        process.send_signal(signal.SIGCONT)
        let_pass(2)
        assert all(alive(pid) for pid in told["pids"])
        process.terminate()
        assert process.wait(2 * PATIENCE) == 0
        assert "stuck" not in process.stderr.read()


def test_up_can_be_told_not_to_look(tmp_path):
    with up(tmp_path, "--watchdog", "0s") as (process, told):
        for pid in told["pids"]:
            with open(f"/proc/{pid}/environ", "rb") as file:
                assert b"NOTIFY_SOCKET=" not in file.read()
    for time in ("999ms", "2h", "soon"):
        done = subprocess.run([BIN / "diagws", "up", "--watchdog", time], capture_output=True, text=True,
                              timeout=PATIENCE)
        assert done.returncode == 64 and "'--watchdog'" in done.stderr


@pytest.mark.parametrize("victim", [0, 1])
def test_up_ends_one_that_is_stopped_in_order(tmp_path, victim):
    """^C goes through to it: the edge still says goodbye, and neither has to be killed."""
    async def go(process, told):
        async with websockets.connect(told["ws_url"], open_timeout=PATIENCE) as client:
            assert (await receive(client))["type"] == "connect"
            os.kill(told["pids"][victim], signal.SIGSTOP)
            process.send_signal(signal.SIGINT)
            assert (await receive(client, 2 * PATIENCE))["type"] == "shutdown"
            with pytest.raises(websockets.ConnectionClosed):
                await receive(client, 2 * PATIENCE)
            assert client.close_code == 1012
        # Long before it would have to be killed (END_MS).
        assert await asyncio.to_thread(process.wait, PATIENCE / 2) == 0

    with up(tmp_path, "--watchdog", "1h") as (process, told):
        asyncio.run(go(process, told))
        assert not any(alive(pid) for pid in told["pids"])


# ---- a client ----

@contextlib.contextmanager
def watching(world, *arguments):
    token = world.path / "token"
    token.write_text(world.alice)
    client = subprocess.Popen([sys.executable, ROOT / "examples" / "watch.py", *arguments, "--token-file", token],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    client.lines, client.errors = Lines(client.stdout), Lines(client.stderr)
    try:
        yield client
    finally:
        client.kill()
        client.wait(PATIENCE)
        client.stdout.close()
        client.stderr.close()


def test_a_client_leaves_an_edge_that_is_stuck(clinic):
    """It goes on at the other edge exactly where it was; and when that one is killed, at the first again."""
    first, second = clinic.the_edge, clinic.edge()
    urls = [f"ws://127.0.0.1:{edge.port}/ws/123" for edge in (first, second)]

    def publish():
        return clinic.send("note_update", "123", {})["seq"]

    def next_update(client):
        while not (message := json.loads(client.lines.next()))["type"].endswith("_update"):
            assert message["type"] == "connect", message
            resumes.append(message["data"]["resume"])
        return message["seq"]

    with watching(clinic, *urls, "--count", "4", "--silent", "2") as client:
        resumes = []
        sent = [publish(), publish()]
        assert [next_update(client), next_update(client)] == sent
        first.signal(signal.SIGSTOP)
        until(lambda: stopped(first.pid), "the edge to stop")
        third = publish()
        assert next_update(client) == third
        assert client.errors.next() == f"silent for 2 s: {urls[0]}"
        first.signal(signal.SIGCONT)
        second.kill()
        fourth = publish()
        assert next_update(client) == fourth
        assert client.wait(PATIENCE) == 0
        assert len(resumes) >= 3 and set(resumes[1:]) == {"exact"}


def stopped(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"
