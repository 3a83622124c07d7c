#!/usr/bin/python3
"""Throws every input of inputs.py at an edge, and at the proxies in front of it beside an honest client.

    smuggle.py [direct|haproxy|nginx ...] [--requests 1000] [--only TEXT] [--seed N] [--short] [--list]

direct: each input on a connection of its own; its answers, their order and form, and the connection's end must be what the
table says, and the edge must go on serving, at rest. haproxy, nginx: the examples of examples/proxy with connections to the
edge that all clients share (haproxy's default, nginx's keepalive); two attackers send all inputs over and over while an
honest client publishes, and each of its answers must be its own, and nobody else may see one. (What is hidden in a body is
looked for directly only: a proxy may have taken it for a request of its own right.) --short takes a sample of the large families. Exits 1 when something failed.
"""
import argparse
import base64
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "tests/lib"), str(ROOT / "tests/conformance")]
import fronts
import inputs
from conftest import World, until

PATIENCE = 5.0
WAYS = ("direct", "haproxy", "nginx")
TICK = 1 / os.sysconf("SC_CLK_TCK")
SHARED = {"haproxy": [(" send-proxy-v2 check-send-proxy", "")], "nginx": []}  # one edge's connections are for all clients


class Wrong(Exception):
    """What an input did that it must not."""


class Stand:
    """A hub and an edge, started anew when an input has stopped it, and the table for them."""

    def __init__(self, world):
        self.world = world
        self.hub = world.hub()
        world.grant(inputs.ROOM, "alice")
        world.grant(inputs.QUIET, "alice")
        world.grant(inputs.EVIL_ROOM, "alice")
        self.alice, self.publisher = world.token("alice"), world.token("service", "--scope", "publish")
        self.table = inputs.Table(self.publisher, self.alice, self.forged()).inputs
        self.edge = world.edge()
        self.hidden = 0  # the last message of the room that nobody publishes to

    def forged(self):
        """A token that names a key of RS256 which is there, and that nobody has signed."""
        pair = self.world.path / "pair.pem"
        subprocess.run(["openssl", "genrsa", "-out", pair, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", pair, "-pubout", "-out", self.world.keys / "pair.rs256.pem"], check=True,
                       capture_output=True)
        parts = ({"alg": "RS256", "kid": "pair", "typ": "JWT"}, {"sub": "alice", "exp": int(time.time()) + 3600})
        coded = [json.dumps(part).encode() for part in parts] + [random.Random(1).randbytes(256)]
        return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in coded)

    def again(self):
        """An edge that serves, in place of one that does not."""
        self.edge.kill()
        self.edge = self.world.edge()

    def chosen(self, only=None, short=False):
        """The inputs; of a family every fifteenth where time is short."""
        families = itertools.count()
        return [one for one in self.table if (only is None or only in one.name)
                and not (short and one.family and next(families) % 15)]


# ---- directly ----

class Link:
    """A connection that reads answers one by one."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, one):
        for at, piece in enumerate(one.pieces):
            if at > 0:
                time.sleep(one.pause)
            with contextlib.suppress(ConnectionError):  # the server may have had enough; what it said is read
                self.socket.sendall(piece)

    def begin(self):
        """(status, head) of the next answer; None at the end of the connection."""
        try:
            line = self.file.readline(65536)
        except ConnectionError:
            return None
        except TimeoutError:
            raise Wrong("no answer, and no end") from None
        if line == b"":
            return None
        status = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n", line)
        if status is None:
            raise Wrong(f"no status line: {line[:60]!r}")
        if status[1] == b"100":
            self.file.readline()
            return self.begin()
        return int(status[1]), http.client.parse_headers(self.file)

    def body(self, head):
        if head.get("transfer-encoding") is not None or head.get("content-length") is None:
            raise Wrong("an answer without a length")
        size = int(head["content-length"])
        try:
            text = self.file.read(size)
        except (ConnectionError, TimeoutError):
            text = b""
        if len(text) != size:
            raise Wrong("half an answer")
        return text


def alternatives(expect):
    """[(statuses of each answer, which of them are a HEAD's, how it ends)] of an expectation."""
    found = []
    for text in expect.split("|"):
        *tokens, end = text.split() if text.split()[-1] in ("keep", "close") else [*text.split(), None]
        found.append(([{int(status) for status in token.rstrip("h").split("/")} for token in tokens],
                      [token.endswith("h") for token in tokens], end))
    return found


def check_form(status, head, text):
    """An answer of the contract."""
    if head.get("content-type", "").split(";")[0] != "application/json":
        raise Wrong(f"{status} with {head.get('content-type')}")
    for name, value in (("x-content-type-options", "nosniff"), ("cache-control", "no-store")):
        if head.get(name) != value:
            raise Wrong(f"{status} without {name}: {value}")
    if "server" in head or "date" not in head:
        raise Wrong(f"{status} with a Server or without a Date")
    if text is None:
        return
    try:
        answer = json.loads(text)
    except ValueError:
        raise Wrong(f"{status} with {text[:60]!r}") from None
    if status >= 400 and not (answer.get("success") is False and answer["error"]["code"] and answer["error"]["message"]):
        raise Wrong(f"{status} with {text[:80]!r}")


def judge(port, one):
    """Sends an input and reads what comes; raises Wrong."""
    with Link(port) as link:
        link.send(one)
        live, seen = alternatives(one.expect), []
        while any(len(statuses) > len(seen) for statuses, _, _ in live):
            got = link.begin()
            said = " ".join(map(str, seen)) or "nothing"
            if got is None:
                if any(len(statuses) == len(seen) and end != "keep" for statuses, _, end in live):
                    return
                raise Wrong(f"{said} and the end, not {one.expect}")
            status, head = got
            live = [a for a in live if len(a[0]) > len(seen) and status in a[0][len(seen)]]
            if not live:
                raise Wrong(f"{said}, then {status}, not {one.expect}")
            of_head = live[0][1][len(seen)]
            seen.append(status)
            if status == 101:
                return check_frames(link, one.frames)
            if status != 204:
                check_form(status, head, None if of_head else link.body(head))
        check_end(link, {end for _, _, end in live}, seen)


def check_frames(link, types):
    """A WebSocket's messages."""
    got = []
    while len(got) < len(types):
        first, size = link.file.read(2)
        if first != 0x81:
            raise Wrong(f"a frame that begins with {first:#x}, after {got}")
        if size == 126:
            size = int.from_bytes(link.file.read(2), "big")
        got.append(json.loads(link.file.read(size))["type"])
    if sorted(got) != sorted(types):
        raise Wrong(f"{got}, not {types}")


def check_end(link, ends, seen):
    """Whether the connection goes on with one more request, or ends, and nothing else comes."""
    said = " ".join(map(str, seen))
    if ends != {"close"}:
        with contextlib.suppress(ConnectionError):
            link.socket.sendall(inputs.request("GET", "/healthz"))
    got = link.begin()
    if got is None:
        if ends == {"keep"}:
            raise Wrong(f"{said} and the end, though the connection should go on")
    elif ends == {"close"}:
        raise Wrong(f"{said} and then {got[0]}, though the connection should end")
    elif got[0] != 200 or link.body(got[1]) != b'{"status":"ok"}':
        raise Wrong(f"{said}, and the next request got {got[0]}")


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def at_rest(pid):
    """Whether a process uses less than a third of a core."""
    before = cpu(pid)
    time.sleep(0.1)
    return cpu(pid) - before < 0.035


def check_edge(stand, hidden=True):
    """It serves, and nothing that was hidden was published."""
    try:
        with Link(stand.edge.port) as link:
            link.socket.settimeout(2)
            link.socket.sendall(inputs.request("GET", f"/ws/messages/{inputs.EVIL_ROOM}", f"Authorization: Bearer {stand.alice}"))
            got = link.begin()
            if got is None or got[0] != 200:
                raise Wrong(f"after it, a good request gets {got and got[0]}")
            last, stand.hidden = stand.hidden, json.loads(link.body(got[1]))["head"]
            if hidden and stand.hidden != last:
                raise Wrong("a hidden request was served")
    except OSError as error:
        raise Wrong(f"after it the edge serves nobody: {error}") from None


def direct(stand, chosen):
    """[(name, what is wrong)]"""
    wrong = []
    for at, one in enumerate(chosen):
        try:
            judge(stand.edge.port, one)
        except (Wrong, OSError, ValueError) as error:
            wrong.append((one.name, f"{error or type(error).__name__}"))
        try:
            check_edge(stand)
            if at % 20 == 0 or one is chosen[-1]:
                deadline = time.monotonic() + PATIENCE
                while not at_rest(stand.edge.pid):
                    if time.monotonic() > deadline:
                        raise Wrong("it, or one of the 19 before, leaves the edge busy")
        except Wrong as error:
            wrong.append((one.name, str(error)))
            stand.again()
    return wrong


# ---- behind a proxy ----

class Attackers:
    """Send all inputs through a proxy, each in an order of its own, until they are told to end."""

    def __init__(self, front, chosen, seed, count=2):
        self.front, self.chosen, self.leaks = front, chosen, []
        self.over, self.rounds = threading.Event(), [0] * count
        self.threads = [threading.Thread(target=self.run, args=(at, random.Random(seed + at))) for at in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def run(self, at, order):
        while not self.over.is_set():
            for one in order.sample(self.chosen, len(self.chosen)):
                if self.over.is_set():
                    return
                with contextlib.suppress(OSError):
                    if b"honest-" in self.attack(one):
                        self.leaks.append((one.name, "an attacker got an answer of the honest client"))
            self.rounds[at] += 1

    def attack(self, one):
        """All that comes until nothing does for a moment."""
        said = b""
        with self.front.dial() as link:
            for piece in one.pieces if len(one.pieces) < 10 else (b"".join(one.pieces),):
                link.sendall(piece)
                time.sleep(one.pause)
            link.settimeout(0.03)
            while more := link.recv(65536):
                said += more
        return said


class Honest:
    """Publishes with ids of its own over a few connections that it keeps."""

    def __init__(self, front, token):
        self.front, self.token, self.links, self.sent = front, token, [None] * 4, 0

    def ask(self):
        """None, or what was wrong with one answer."""
        self.sent += 1
        at, name = self.sent % len(self.links), f"honest-{self.sent}"
        body = json.dumps({"diagnosis_id": 123, "type": "x_update", "data": {"x": 1}, "id": name}).encode()
        request = inputs.request("POST", "/ws/broadcast", f"Authorization: Bearer {self.token}",
                                 "Content-Type: application/json", f"Content-Length: {len(body)}", body=body)
        try:
            if self.links[at] is None or self.sent % 50 == at:
                self.close(at)
                self.links[at] = self.front.dial()
            status, head, text = fronts.ask(self.links[at], request)
        except (OSError, ValueError) as error:
            self.close(at)
            return f"{name}: {error}"
        if head.get("connection") == "close":
            self.close(at)
        return None if status == 200 and json.loads(text)["id"] == name else f"{name}: {status} {text[:100]!r}"

    def close(self, at):
        if self.links[at] is not None:
            self.links[at].close()
        self.links[at] = None


def beside(stand, name, chosen, requests, seed, folder):
    """[(name, what is wrong)] of a proxy with honest and other clients: one wrong answer of the honest one is too many."""
    certificates = fronts.certificate(folder)
    wrong = []
    with fronts.Front(name, folder, certificates, [stand.edge.port] * 2, SHARED[name]) as front:
        until(front.ready, name)
        honest = Honest(front, stand.publisher)
        with Attackers(front, chosen, seed) as attackers:
            while (honest.sent < requests or min(attackers.rounds) == 0) and len(wrong) < 10:
                answer = honest.ask()
                if answer is not None:
                    wrong.append((f"an honest client behind {name}", answer))
        if honest.sent < requests:
            wrong.append((f"an honest client behind {name}", f"{honest.sent} requests, then no more"))
        wrong += attackers.leaks
    try:
        check_edge(stand, hidden=False)
    except Wrong as error:
        wrong.append((name, str(error)))
        stand.again()
    print(f"{name}: {honest.sent} honest requests, each input at least {min(attackers.rounds)} times twice", file=sys.stderr)
    return wrong


def main():
    parser = argparse.ArgumentParser(description="inputs that desynchronize HTTP", usage=__doc__.split("\n")[2].strip())
    parser.add_argument("ways", nargs="*", metavar="|".join(WAYS))
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--only")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if set(options.ways) - set(WAYS):
        parser.error(f"one of {', '.join(WAYS)}")
    wrong = []
    with tempfile.TemporaryDirectory(prefix="dw") as folder:
        os.chmod(folder, 0o755)
        world = World(pathlib.Path(folder))
        try:
            stand = Stand(world)
            chosen = stand.chosen(options.only, options.short)
            if options.list:
                print("\n".join(f"{one.name}\t{one.expect}" for one in chosen))
                return 0
            for way in options.ways or WAYS:
                wrong += direct(stand, chosen) if way == "direct" else beside(
                    stand, way, chosen, options.requests, options.seed, world.path)
        finally:
            world.end()
    for name, what in wrong:
        print(f"{name}: {what}")
    print(f"{len(chosen)} inputs, {len(wrong)} wrong", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
