"""Real hubs, edges and clients for the tests: nothing here stands in for a process of ours. Each folder's conftest.py
gives its tests all of it.

`world` gives a test a directory, keys and tokens, and starts processes that end with it; `shared_world` is one for the
tests of a file. Waiting is always for a condition (`until`), bounded by a deadline; what a process says on stderr is kept
and shown when a test fails. A sanitizer's report in it fails the test.
"""
import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest
import websockets

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DIAGWS_BUILD", ROOT / "build"))
BIN = BUILD / "bin"
SANITIZED = "sanitize" in BUILD.name
PATIENCE = 30.0 if SANITIZED else 10.0
UNKNOWN_ROOM = 67  # how diagws-stat ends where nothing was sent and nobody watches

CLAIMS = []  # of ports

EFFECTIVENESS = {"recommendation_id": 789, "new_effectiveness": 0.85, "confidence": 0.92, "sample_size": 150}


def until(condition, what, patience=PATIENCE):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + patience
    pause = 0.002
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        select_nothing(pause)
        pause = min(pause * 2, 0.05)


def select_nothing(seconds):
    """Lets others run between two looks at a condition."""
    import select

    select.select([], [], [], seconds)


def free_port():
    """One that no other test on this machine has been given, also while nobody listens on it: edges that are killed and
    started again share theirs with whoever took it meanwhile (SO_REUSEPORT). It stays claimed until this process ends."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"diagws-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        claim = open(folder / str(port), "w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            continue
        CLAIMS.append(claim)
        return port


class Process:
    """One running program of ours."""

    def __init__(self, world, name, arguments, env=None, limits=None):
        self.name = name
        self.log_path = world.path / f"{name}-{len(world.processes)}.log"
        self.log = open(self.log_path, "wb")
        self.popen = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                      env={**os.environ, **world.env, **(env or {})}, preexec_fn=limits)

    @property
    def pid(self):
        return self.popen.pid

    def said(self):
        return self.log_path.read_text(errors="replace")

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        self.popen.kill()
        self.popen.wait(PATIENCE)

    def terminate(self):
        """SIGTERM, and its exit status."""
        self.popen.terminate()
        return self.popen.wait(PATIENCE)

    def end(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
            try:
                self.popen.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self.log.close()


class Edge(Process):
    def __init__(self, world, port, arguments, program="diagws-edge", env=None, limits=None):
        self.port = port
        path = BIN / program if program == "diagws-edge" else BUILD / "tests" / program
        super().__init__(world, program, [
            path, "--listen", f"127.0.0.1:{port}", "--hub", world.endpoint, "--keys", world.keys, *arguments],
            env, limits)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def request(self, path, body=None, token=None, method=None, headers=None):
        """(status, headers, JSON or text) of one HTTP call; body: bytes, or what becomes JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url(path), data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                status, head, text = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, head, text = error.code, error.headers, error.read()
        try:
            return status, head, json.loads(text)
        except ValueError:
            return status, head, text.decode(errors="replace")

    def ready(self):
        try:
            return self.request("/readyz")[0] == 200
        except OSError:
            assert self.popen.poll() is None, f"the edge ended: {self.said()}"
            return False

    def connect(self, room, token=None, **query):
        """A WebSocket to a room, as any client opens it."""
        parts = {"token": token, **query} if token is not None else query
        text = "&".join(f"{key}={value}" for key, value in parts.items())
        return websockets.connect(f"ws://127.0.0.1:{self.port}/ws/{room}" + (f"?{text}" if text else ""),
                                  open_timeout=PATIENCE, close_timeout=PATIENCE, max_queue=None)


class World:
    def __init__(self, path):
        self.path = path
        self.processes = []
        self.endpoint = f"ipc://{path}/run/hub.sock"
        self.state = path / "state"
        self.keys = path / "keys"
        self.keys.mkdir(mode=0o700)
        self.key = self.keys / "test.hs256"
        self.key.write_text(secrets.token_hex(32) + "\n")
        self.key.chmod(0o600)
        self.fresh = itertools.count(1000)
        self.env = {"DIAGWS_HUB": self.endpoint, "XDG_RUNTIME_DIR": str(path), "XDG_STATE_HOME": str(path),
                    "PATH": f"{BIN}:{os.environ['PATH']}"}

    def _keep(self, process):
        self.processes.append(process)
        return process

    def hub(self, *arguments, wait=True, env=None):
        hub = self._keep(Process(self, "diagws-hub", [
            BIN / "diagws-hub", "--bind", self.endpoint, "--state-dir", self.state, *map(str, arguments)], env))
        if wait:
            until(lambda: "hub ready" in hub.said() or self._must_live(hub), "the hub")
        return hub

    @staticmethod
    def _must_live(process):
        assert process.popen.poll() is None, f"{process.name} ended: {process.said()}"

    def edge(self, *arguments, wait=True, program="diagws-edge", env=None):
        edge = self._keep(Edge(self, free_port(), [str(a) for a in arguments], program, env))
        if wait:
            until(edge.ready, "the edge")
        return edge

    def run(self, *arguments, input=None, check=True, env=None, timeout=None):
        """Runs a command of ours to its end."""
        done = subprocess.run([str(a) for a in arguments], input=input, capture_output=True, text=True,
                              timeout=timeout or 2 * PATIENCE, env={**os.environ, **self.env, **(env or {})})
        if check:
            assert done.returncode == 0, f"{arguments}: {done.returncode}: {done.stderr}"
        return done

    def token(self, user, *arguments, key=None):
        return self.run("diagws-token", "mint", "--key-file", key or self.key, "--sub", user, *arguments).stdout.strip()

    def grant(self, room, *users):
        self.run("diagws-owner", "grant", room, *users)

    def grant_all(self, rooms, user):
        self.run("diagws-owner", "import", input="".join(
            json.dumps({"diagnosis_id": room, "user_id": user}) + "\n" for room in rooms))

    def user(self, name, *rooms):
        """The token of one who may watch these rooms."""
        self.grant_all(rooms, name)
        return self.token(name)

    def room(self, *users):
        """One that nobody has watched yet, and that these may watch."""
        room = str(next(self.fresh))
        self.grant(room, *users)
        return room

    def send(self, kind, room, data, *options):
        """diagws-send, and its receipt."""
        done = self.run("diagws-send", "--json", *options, kind, room, json.dumps(data))
        return json.loads(done.stdout)

    def confirmed(self, room, device):
        return {row["device"]: row["confirmed_seq"] for row in self.devices(room)}.get(device)

    async def until_confirmed(self, room, device, seq):
        await asyncio.to_thread(until, lambda: self.confirmed(room, device) == seq, f"{device} to have {seq} of {room}")

    def devices(self, room):
        """The room's devices; none while the hub has not heard of it: an edge's JOIN may still be under way."""
        done = self.run("diagws-stat", "--json", "devices", room, check=False)
        assert done.returncode in (0, UNKNOWN_ROOM), done.stderr
        return json.loads(done.stdout) if done.returncode == 0 else []

    def stat(self, *arguments):
        return json.loads(self.run("diagws-stat", "--json", *arguments).stdout)

    def end(self):
        for process in reversed(self.processes):
            process.end()
        for process in self.processes:
            said = process.said()
            for word in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "Assertion"):
                assert word not in said, f"{process.name}: {said}"


@contextlib.contextmanager
def shared_world(tmp_path_factory):
    # A socket path has 107 bytes at most: keep ours short.
    world = World(tmp_path_factory.mktemp("w", numbered=True).resolve())
    try:
        yield world
    finally:
        world.end()


@pytest.fixture
def world(tmp_path_factory):
    with shared_world(tmp_path_factory) as world:
        yield world


@pytest.fixture
def clinic(world):
    """A hub, an edge, and alice who may watch 123."""
    world.hub()
    world.the_edge = world.edge()
    world.alice = world.user("alice", "123")
    return world


_told = []


def tell(kind, line):
    """For the summary: the next report takes it there, from whichever process the test runs in."""
    _told.append((kind, line))


def told(terminalreporter, kind):
    """What tests told of this kind."""
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    return sorted({line for report in reports for said, line in getattr(report, "user_properties", ()) if said == kind})


def complete(item, report):
    """Adds what was told, and of a failure what its processes said."""
    report.user_properties += _told
    _told.clear()
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and world is not None:
        for process in world.processes:
            report.sections.append((f"{process.name} {process.pid}", process.said()[-4000:]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    complete(item, outcome.get_result())


def upgraded(link, path, *headers):
    """What is read of this socket, behind an upgrade that was answered."""
    link.sendall("\r\n".join((f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
                              "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", *headers,
                              "\r\n")).encode())
    file = link.makefile("rb")
    assert b" 101 " in file.readline()
    while file.readline() != b"\r\n":
        pass
    return file


async def receive(socket, patience=PATIENCE):
    """The next message, as JSON."""
    return json.loads(await asyncio.wait_for(socket.recv(), patience))


async def receive_updates(socket, count):
    """The next `count` updates; anything else on the way fails."""
    updates = []
    while len(updates) < count:
        message = await receive(socket)
        assert message["type"].endswith("_update"), message
        updates.append(message)
    return updates


async def closed(socket):
    """(code, reason) with which the server closes."""
    try:
        while True:
            await asyncio.wait_for(socket.recv(), PATIENCE)
    except websockets.ConnectionClosed:
        return socket.close_code, socket.close_reason
