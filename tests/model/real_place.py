"""The hub and edges of a history played by real processes, their HTTP, and what is waited for.

One more edge is ours: senders speak to it, and it is always there. On each of the others somebody of ours watches a room
that the model does not know, for whom the hub has to speak to that edge when it is to find out that it is gone.
"""
import base64
import functools
import hashlib
import hmac
import http.client
import importlib.util
import json
import pathlib
import signal
import time

from real_client import Gone, RealClient
from real_line import Line

_path = pathlib.Path(__file__).resolve().parents[1] / "integration" / "conftest.py"
_spec = importlib.util.spec_from_file_location("integration_conftest", _path)
integration = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(integration)

EXPIRES = 4000000000
ASIDE = "aside"     # a room and a user of ours, whom the model does not know


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def number(text):
    return int(text) if text.isdigit() and (text == "0" or text[0] != "0") else text


class Place:
    def __init__(self, path):
        self.world = integration.World(path)
        self.secret = self.world.key.read_text().strip().encode()
        self.lines, self.answer, self.clients, self.edges, self.lines_up = [], [], {}, [], []
        self.http = {}
        self.backup = None
        self.asked = set()  # polls that wait, by name
        self.excepts = {}   # session that a message was not for

    def end(self):
        for client in [*self.clients.values(), *(edge.sentinel for edge in self.edges)]:
            client.drop()
        for connection in self.http.values():
            connection.close()
        for process in self.world.processes:
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGCONT)
                process.popen.kill()
        self.world.end()
        for edge in self.edges:
            edge.line.end()

    # ---- processes

    @functools.lru_cache(maxsize=None)
    def token(self, user, rooms=(), sid=None, scope=None):
        claims = {"sub": user, "exp": EXPIRES, "diagnoses": list(rooms)}
        if sid:
            claims["sid"] = sid
        if scope:
            claims["scope"] = scope
        body = b".".join(encode(json.dumps(part).encode())
                         for part in ({"alg": "HS256", "typ": "JWT", "kid": "test"}, claims))
        return (body + b"." + encode(hmac.new(self.secret, body, hashlib.sha256).digest())).decode()

    def admin(self):
        return self.token(ASIDE, scope="publish stat admin")

    def start_hub(self, wait=True):
        self.hub = self.world.hub("--queue-limit", self.limit, "--ownership",
                                  "either" if self.model.either else "registry", *self.hub_options, wait=wait)

    def start_edge(self, line, wait=True):
        edge = self.world.edge(*(["--hub", "ipc://" + line.path] if line else []), "--slow-timeout", "1h", wait=wait)
        edge.line = line
        return edge

    def sentinel(self, edge):
        """Somebody of ours on it, for whom the hub has to speak to this edge."""
        self.sentinels += 1
        edge.sentinel_user = "sentinel-%d" % self.sentinels
        self.own("grant", ASIDE, edge.sentinel_user)
        edge.sentinel = RealClient("sentinel", None, edge.port, "/ws/%s?token=%s" % (ASIDE, self.token(edge.sentinel_user)),
                                   [])
        edge.sentinel.wait(lambda: edge.sentinel.answers, "the sentinel to be let in")

    def own(self, verb, room, user):
        self.world.run("diagws-owner", verb, room, user)

    def do_world(self, words, options):
        self.hub_options = ["--memory-limit", "0"] if "evict" in options else []
        self.sentinels, self.limit = 0, self.model.limit
        self.start_hub(wait=False)
        hub_path = self.world.endpoint.partition("://")[2]
        lines = [Line(hub_path + "-%d" % i, hub_path) for i in range(int(options.get("edges", 2)))]
        integration.until(lambda: "hub ready" in self.hub.said(), "the hub")
        for line in lines:
            line.up()
        self.edges = [self.start_edge(line, wait=False) for line in lines]
        self.aside = self.start_edge(None, wait=False)
        self.aside_stopped = False
        for edge in [*self.edges, self.aside]:
            edge.stopped = edge.away = False
            integration.until(edge.ready, "an edge")
        for edge in self.edges:
            self.sentinel(edge)
        self.rooms = [ASIDE]
        self.own("grant", ASIDE, ASIDE)
        self.epoch = self.page(self.aside, ASIDE, self.admin())[1]["epoch"]
        self.first_epoch = self.epoch
        self.answer = ["epoch " + self.epoch]

    def know(self, room):
        """So that what is said of it can be waited for."""
        if room not in self.rooms:
            self.rooms.append(room)
            self.own("grant", room, ASIDE)

    # ---- HTTP

    def ask(self, edge, method, path, token, body=None):
        headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
        data = json.dumps(body) if body is not None else None
        for last in (False, True):
            connection = self.http.get(edge.port)
            if connection is None:
                connection = self.http[edge.port] = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            except (http.client.HTTPException, OSError):
                connection.close()
                del self.http[edge.port]
                if last:
                    raise

    def page(self, edge, room, token, **query):
        text = "&".join("%s=%s" % item for item in query.items() if item[1] is not None)
        return self.ask(edge, "GET", "/ws/messages/%s?%s" % (room, text), token)

    # ---- waiting

    def wait(self, condition, what, patience=10.0):
        deadline = time.monotonic() + patience
        while True:
            about = condition()
            if about is True:
                return
            assert time.monotonic() < deadline, "gave up waiting for " + (what % about if about else what)
            self.read_some()

    def reading(self):
        return [c for c in self.clients.values() if not c.over and not c.frozen and not self.edges[c.edge].stopped]

    def read_some(self, seconds=0.005):
        clients = self.reading()
        for client in clients:
            client.read(seconds / len(clients))
        if not clients:
            integration.select_nothing(seconds)

    def settle(self):
        """Everything that was said has been taken."""
        for edge in self.edges:
            if not edge.stopped and not edge.away:
                for room in self.rooms:
                    status, page = self.page(edge, room, self.admin(), limit=1)
                    assert status == 200, "no page of %s: %s %s" % (room, status, page)
        for client in self.reading():
            try:
                client.turn()
            except Gone:
                pass
        for client in self.clients.values():
            if client.frozen and not client.over and not self.edges[client.edge].stopped:
                client.look_for_end()
        for name in [name for name, client in self.clients.items() if client.over]:
            del self.clients[name]

    def counts_are_right(self):
        """Or what the hub counts in each room, and what the model does."""
        counted = {}
        for client in self.model.clients():
            for session in client.sessions:
                if session.counted:
                    counted[session.room.name] = counted.get(session.room.name, 0) + 1
        status, page = self.ask(self.aside, "GET", "/ws/status", self.admin())
        if status != 200:
            return page, counted
        found = {room: count for room, count in page["connections_by_diagnosis"].items() if room != ASIDE}
        return True if found == counted else (found, counted)

    def hub_told(self, edge):
        """Of all that its clients have confirmed until now."""
        then = time.monotonic() * 1000
        if not edge.away and not edge.stopped:
            self.wait(lambda: edge.line.told_since(then) or (), "an edge to tell its hub", 10)
