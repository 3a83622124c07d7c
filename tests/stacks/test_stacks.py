"""Clients of other people's stacks, each as its documentation shows it: it connects to a real edge, gets what is sent
while it is there and what it missed, and is confirmed though it has no code for that (its stack answers PINGs).

Chromium, python3-websockets and curl are always here. Node's ws, Go's gorilla/websocket and Java's java.net.http are
tried where their toolchains are; what they need beyond these is pinned, and fetched into build/stacks.
"""
import asyncio
import concurrent.futures
import contextlib
import json
import shutil
import subprocess
import sys

import pytest
import websockets

from conftest import MADE, PATIENCE, ROOT, fetch, missing, npm, tool, until, used

sys.path.insert(0, str(ROOT / "tests" / "browser"))
from chromium import Chromium, serving_pages  # noqa: E402

HERE = ROOT / "tests" / "stacks"


def python():
    used(f"python3-websockets {websockets.__version__}")
    return [sys.executable, HERE / "watch.py"]


def node():
    version = tool("node", "--version")
    modules = npm(HERE / "node")
    used(f"node {version} with ws " + json.loads((modules / "ws/package.json").read_text())["version"])
    return ["node", modules.parent / "watch.js"]


def gorilla():
    version = tool("go", "version")
    copy = fetch(HERE / "go", "go", "build", "-o", "watch", ".",
                 env={"GOFLAGS": "-mod=readonly -modcacherw", "GOMODCACHE": str(MADE / "modules"), "CGO_ENABLED": "0"})
    used(f"{version} with gorilla/websocket " + (copy / "go.mod").read_text().split()[-1])
    return [copy / "watch"]


def java(program):
    if shutil.which("javac") is None:
        missing("javac is not installed")
    used(tool("java", "-version"))
    return ["java", HERE / "java" / f"{program}.java"]


class Program:
    """A client that prints what it gets."""

    def __init__(self, site, url, command):
        self.path = site.path / f"client-{len(list(site.path.glob('client-*')))}"
        with open(self.path, "wb") as out:
            self.popen = subprocess.Popen([*command, url], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT)

    def messages(self):
        lines = self.path.read_text().splitlines(keepends=True)
        assert self.popen.poll() is None, "".join(lines)
        return [json.loads(line) for line in lines if line.endswith("\n") and line.startswith("{")]

    def end(self):
        self.popen.kill()
        self.popen.wait(PATIENCE)


class Page:
    """A page in a Chromium of its own that keeps what it gets (tests/browser/watch.js)."""

    def __init__(self, site):
        self.runner = asyncio.Runner()
        self.browser = Chromium()
        self.run(self.browser.__aenter__())
        self.run(self.browser.open(
            f"{site.origin}/watch.html?edge=127.0.0.1:{site.the_edge.port}&room=123&device=stack&token={site.alice}"
            "&drops=0&reloads=0&seed=1"))

    def run(self, what):
        return self.runner.run(what)

    def messages(self):
        return [json.loads(entry["text"]) for entry in json.loads(self.run(self.browser.ask("whole()")) or "[]")]

    def end(self):
        self.run(self.browser.__aexit__())
        self.runner.close()


@pytest.fixture
def site(world):
    with serving_pages() as world.origin:
        world.hub()
        world.the_edge = world.edge("--origin", world.origin)
        world.grant("123", "alice")
        world.alice = world.token("alice", "--scope", "publish")
        yield world


def chromium():
    used(tool("chromium", "--version").partition(" built")[0].strip())
    return Page


def program(command):
    """What starts it."""
    return lambda site: Program(
        site, f"ws://127.0.0.1:{site.the_edge.port}/ws/123?device=stack&token={site.alice}", command)


WEBSOCKETS = {"chromium": chromium, "python3-websockets": lambda: program(python()), "node ws": lambda: program(node()),
              "go gorilla": lambda: program(gorilla()), "java WebSocket": lambda: program(java("Watch"))}


@contextlib.contextmanager
def watching(site, start):
    """A client that has been told `connect`."""
    client = start(site)
    try:
        until(lambda: [message["type"] for message in client.messages()][:1] == ["connect"], "connect", 3 * PATIENCE)
        yield client
    finally:
        client.end()


def seqs(client):
    return [message["seq"] for message in client.messages() if message["type"] == "note_update"]


def device(site):
    (row,) = site.devices("123")
    return row


@pytest.mark.parametrize("stack", WEBSOCKETS)
def test_a_websocket_gets_all_and_is_confirmed_without_code(site, stack):
    start = WEBSOCKETS[stack]()
    with watching(site, start) as client:
        live = site.send("note_update", "123", {"text": "live"}, "--wait=delivered:1", "--deadline=30s")
        assert live["delivered"] == 1
        until(lambda: seqs(client) == [live["seq"]], "the live message")
    until(lambda: not device(site)["connected"], "its end")
    lost = [site.send("note_update", "123", {"text": text})["seq"] for text in ("ä", "x" * 60000, "z")]
    assert device(site)["behind"] >= 3
    with watching(site, start) as client:
        until(lambda: seqs(client)[-3:] == lost, "what it missed")
        assert seqs(client) in (lost, [live["seq"], *lost])  # what it had confirmed just before may come again
        assert [len(message["data"]["text"]) for message in client.messages()[-3:]] == [1, 60000, 1]
        until(lambda: device(site)["behind"] == 0, "its receipt")
        assert device(site)["confirmed_seq"] == lost[-1]


# ---- over plain HTTP ----

class Curl:
    def __init__(self, site, *options):
        self.command = ["curl", "-sS", "--max-time", "30", "-H", f"Authorization: Bearer {site.alice}", *options]
        used(tool("curl", "--version").split(" (")[0])

    def call(self, method, url, body=None):
        more = ["-H", "Content-Type: application/json", "-d", json.dumps(body)] if body is not None else []
        done = subprocess.run([*self.command, *more, "-X", method, "-w", "\\n%{http_code}", url], capture_output=True,
                              text=True, timeout=6 * PATIENCE)
        assert done.returncode == 0, done.stderr
        text, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(text)

    def end(self):
        pass


class Java:
    def __init__(self, site):
        self.popen = subprocess.Popen([*java("Call"), site.alice], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True)

    def call(self, method, url, body=None):
        self.popen.stdin.write(" ".join([method, url, *([json.dumps(body)] if body is not None else [])]) + "\n")
        self.popen.stdin.flush()
        status, _, text = self.popen.stdout.readline().partition(" ")
        return int(status), json.loads(text)

    def end(self):
        self.popen.kill()
        self.popen.wait(PATIENCE)
        self.popen.stdin.close()
        self.popen.stdout.close()


CALLERS = {"curl": Curl, "curl --http2": lambda site: Curl(site, "--http2"), "java HttpClient": Java}


@contextlib.contextmanager
def calling(site, stack):
    caller = CALLERS[stack](site)
    try:
        yield lambda method, path, body=None: caller.call(method, site.the_edge.url(path), body)
    finally:
        caller.end()


@pytest.mark.parametrize("stack", CALLERS)
def test_calls_are_answered(site, stack):
    """By their defaults: Java's client and curl --http2 ask for HTTP/2 (Upgrade: h2c), and are answered by HTTP/1.1."""
    sent = [site.send("note_update", "123", {"text": text})["seq"] for text in ("ä", "x" * 60000)]
    with calling(site, stack) as call, concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert call("GET", "/healthz") == (200, {"status": "ok"})
        status, missed = call("GET", "/ws/messages/123?after=0")
        assert (status, [message["seq"] for message in missed["messages"]]) == (200, sent)
        assert missed["messages"][0]["data"] == {"text": "ä"}
        asked = pool.submit(call, "GET", f"/ws/messages/123?after={sent[-1]}&epoch={missed['epoch']}&wait=30s")
        until(lambda: site.stat()["waiting"] == 1 or asked.done(), "the long poll")
        live = site.send("note_update", "123", {"text": "live"})
        status, answer = asked.result(3 * PATIENCE)
        assert (status, [message["seq"] for message in answer["messages"]]) == (200, [live["seq"]])
        status, posted = call("POST", "/ws/broadcast", {
            "diagnosis_id": 123, "type": "note_update", "data": {"text": "y" * 60000}})
        assert (status, posted["success"], posted["seq"]) == (200, True, live["seq"] + 1)
        status, refused = call("POST", "/ws/broadcast", {"diagnosis_id": 123, "type": "no_update", "data": 1})
        assert (status, refused["success"]) == (422, False)
        assert call("DELETE", "/ws/broadcast")[0] == 405
