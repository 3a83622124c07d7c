"""What each step of a history does to real processes: the other half of real.py.

A step returns False where it makes no sense as things stand; the model says how things stand.
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

EXPIRES, STANDS_S = 4000000000, 3.0
ASIDE = "aside"     # a room and a user of ours, whom the model does not know
ALL_DEVICES = 1000000


class Late(Exception):
    """An edge has stood still for too long to know what follows."""


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def number(text):
    return int(text) if text.isdigit() and (text == "0" or text[0] != "0") else text


class Steps:
    def __init__(self, path):
        self.world = integration.World(path)
        self.secret = self.world.key.read_text().strip().encode()
        self.lines, self.answer, self.clients, self.edges, self.lines_up = [], [], {}, [], []
        self.http = {}
        self.backup = None
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

    # ---- senders and owners

    def post(self, words, options, session=None, wait=""):
        _, room, id, *_ = words
        self.know(room)
        data = {"t": options.get("text", id)}
        if int(options.get("size", 0)):
            data["pad"] = "x" * int(options["size"])
        body = {"diagnosis_id": number(room), "type": "note_update", "id": id, "data": data}
        if "to" in options:
            body["user"] = options["to"]
        if "ttl" in options:
            body["ttl_s"] = int(options["ttl"])
        if session:
            body["exclude_session"] = session
        status, answer = self.ask(self.aside, "POST", "/ws/broadcast" + wait, self.admin(), body)
        assert status in (200, 422, 504), "a message: %s %s" % (status, answer)
        return status, answer

    def stored(self, status, answer):
        if status == 422:
            return "stored 1 0 0 0 0 0"
        return "stored 0 %d %d %d %d %d" % (answer["seq"], answer["n"] or 0, answer["duplicate"],
                                            answer["clients_notified"], answer["devices_queued"])

    def do_send(self, words, options):
        client = self.clients.get(options.get("except"))
        session = client.session if client else None
        status, answer = self.post(words, options, session)
        self.answer = [self.stored(status, answer)]
        if status == 200 and not answer["duplicate"]:
            self.excepts[words[2]] = session

    def do_receipts(self, words, options):
        message = self.model.last.get(words[1])
        self.answer = []
        if message is None:
            return False
        again = {"text": message.text, "size": message.size}
        if message.to:
            again["to"] = message.to
        if message.expires:
            again["ttl"] = (message.expires - message.at) // 1000
        words, session = ["send", message.room, message.id], self.excepts.get(message.id)
        self.answer = [self.stored(*self.post(words, again, session))]
        status, answer = self.post(words, again, session, "?wait=delivered:%d&deadline=1ms" % ALL_DEVICES)
        self.answer.append("receipts %d" % answer["delivered"])

    def do_grant(self, words, options):
        self.answer = []
        self.know(words[1])
        self.own(*words[:3])

    do_revoke = do_deny = do_grant

    # ---- clients

    def place(self, options):
        """{"after":, "epoch":}; False: it names what is not there."""
        request = self.model.request(options)
        if request is False:
            return False
        epoch = options.get("epoch")
        return {"after": request["after"],
                "epoch": {"first": self.first_epoch, "now": self.epoch}.get(epoch, "another") if epoch else None}

    def there(self, text):
        edge = int(text)
        return edge < len(self.edges) and not self.edges[edge].stopped and not self.edges[edge].away

    def do_open(self, words, options):
        self.answer = []
        _, name, edge, room, user, device = words[:6]
        place = self.place(options)
        if not self.there(edge) or name in self.clients or place is False:
            return False
        self.know(room)
        derived = "derived" in options
        query = {"token": self.token(user, (room,) if "claim" in options else (), device if derived else None),
                 "device": None if derived else device, "ack": "client" if "ack" in options else None, **place}
        text = "&".join("%s=%s" % item for item in query.items() if item[1] is not None)
        client = RealClient(name, int(edge), self.edges[int(edge)].port, "/ws/%s?%s" % (room, text), self.lines)
        self.clients[name] = client
        self.until_answered(client)

    def until_answered(self, client):
        before = client.answers
        try:
            client.wait(lambda: client.answers > before, "an answer")
        except Gone:
            pass

    def active(self, name, hub):
        client = self.clients.get(name)
        if client is None or client.frozen or self.edges[client.edge].stopped or (hub and self.edges[client.edge].away):
            return None
        return client

    def do_sub(self, words, options):
        self.answer = []
        client, place = self.active(words[1], True), self.place(options)
        if client is None or place is False:
            return False
        self.know(words[2])
        client.tell(type="subscribe", diagnosis_id=number(words[2]), **{k: v for k, v in place.items() if v is not None})
        self.until_answered(client)

    def do_unsub(self, words, options):
        self.answer = []
        client = self.active(words[1], True)
        if client is None:
            return False
        client.tell(type="unsubscribe", diagnosis_id=number(words[2]))
        self.until_answered(client)

    def do_close(self, words, options):
        self.answer = []
        client = self.clients.get(words[1])
        if client is None or self.edges[client.edge].stopped:
            return False
        message = self.model.last.get(options.get("ack"))
        if message is not None and not client.frozen:
            client.tell(type="ack", seq=message.seq, diagnosis_id=number(message.room))
        client.leave()
        del self.clients[words[1]]

    def do_freeze(self, words, options):
        self.answer = []
        client = self.active(words[1], False)
        if client is None:
            return False
        client.frozen = True

    def do_thaw(self, words, options):
        self.answer = []
        client = self.clients.get(words[1])
        if client is None or not client.frozen or self.edges[client.edge].stopped:
            return False
        client.frozen = False

    def do_pong(self, words, options):
        self.answer = []
        client, known = self.active(words[1], False), self.model.client(words[1])
        if client is None:
            return False
        index = len(client.pings) - 1
        if len(words) > 2 and not known.many:
            if words[2] not in self.model.last:
                return False
            seq = self.model.last[words[2]].seq
            index = next((i for i, ping in enumerate(client.pings) if ping[0] >= seq), -1)
        if index < 0:
            return False
        client.say(10, client.pings[index][1])
        del client.pings[:index + 1]
        self.confirmed(client)

    def await_ping(self, name):
        """Of what it got a PING comes, at most one each 250 ms and none while a connection of several rooms owes one."""
        client, known = self.active(name, True), self.model.client(name)
        if client is None or not client.owed or known.sure or (known.many and client.pings):
            return
        try:
            client.wait(lambda: not client.owed, "a PING that follows what it got")
        except Gone:
            pass

    def confirmed(self, client):
        try:
            client.turn()
        except Gone:
            return
        self.hub_told(self.edges[client.edge])

    def do_ack(self, words, options):
        self.answer = []
        client, message = self.active(words[1], False), self.model.last.get(words[2])
        if client is None or message is None:
            return False
        client.tell(type="ack", seq=message.seq, diagnosis_id=number(message.room))
        self.confirmed(client)

    def do_poll(self, words, options):
        self.answer = []
        _, edge, room, user = words[:4]
        place = self.place(options)
        if not self.there(edge) or place is False or place["after"] == "new":
            return False
        self.know(room)
        token = self.token(user, (room,) if "claim" in options else ())
        status, page = self.page(self.edges[int(edge)], room, token, limit=options.get("limit"), **place)
        self.answer = ["poll %d %s" % (status, json.dumps(page))]

    # ---- the hub and edges

    def again(self, end):
        """Every edge of the history loses its line."""
        self.answer = []
        for edge in self.edges:
            edge.line.cut()
            edge.away = True
        end()
        self.start_hub()
        self.wait(lambda: self.aside.ready() or (), "the edge of ours")

    def do_crash(self, words, options):
        self.again(self.hub.kill)

    def do_restart(self, words, options):
        self.limit = int(options.get("limit", self.limit))
        self.again(self.hub.terminate)

    def copy(self, source, target):
        """As an administrator does it."""
        target.mkdir(exist_ok=True)
        self.world.run("sh", "-c", 'cp "$1"/* "$2"', "sh", source, target)

    def do_backup(self, words, options):
        self.answer = []
        self.backup = self.world.path / "backup"
        self.copy(self.world.state, self.backup)

    def do_restore(self, words, options):
        self.answer = []
        if self.backup is None:
            return False

        def copy_back():
            self.hub.terminate()
            self.copy(self.backup, self.world.state)
        self.again(copy_back)
        self.own("grant", ASIDE, ASIDE)
        for room in self.rooms:
            self.own("grant", room, ASIDE)
        self.epoch = self.page(self.aside, ASIDE, self.admin())[1]["epoch"]
        self.answer = ["epoch " + self.epoch]

    def do_return(self, words, options):
        self.answer = []
        edge = self.edges[int(words[1])] if int(words[1]) < len(self.edges) else None
        if edge is None or edge.stopped or not edge.away:
            return False
        edge.line.up()
        self.wait(lambda: edge.ready() or (), "an edge to be back")
        edge.away = False

    def do_stop(self, words, options):
        self.answer = []
        edge = self.edges[int(words[1])] if int(words[1]) < len(self.edges) else None
        if edge is None or edge.stopped:
            return False
        edge.signal(signal.SIGSTOP)
        edge.stopped, edge.stopped_at = True, time.monotonic()

    def do_cont(self, words, options):
        self.answer = []
        edge = self.edges[int(words[1])] if int(words[1]) < len(self.edges) else None
        if edge is None or not edge.stopped:
            return False
        edge.stopped = False
        edge.signal(signal.SIGCONT)
        if time.monotonic() > edge.stopped_at + STANDS_S:
            raise Late()
        if not edge.away:
            self.wait(lambda: edge.ready() or (), "an edge to go on")
            self.hub_told(edge)

    def do_kill(self, words, options):
        """The hub finds out when it has to tell this edge something."""
        self.answer = []
        index = int(words[1])
        if index >= len(self.edges):
            return False
        old = self.edges[index]
        for name in [name for name, client in self.clients.items() if client.edge == index]:
            self.clients.pop(name).drop()
        old.kill()
        old.line.cut()
        self.own("revoke", ASIDE, old.sentinel_user)
        old.sentinel.drop()
        self.http.pop(old.port, None)
        old.line.up()
        edge = self.edges[index] = self.start_edge(old.line)
        edge.stopped = edge.away = False
        self.sentinel(edge)
