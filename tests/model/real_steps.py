"""What each step of a history does to real processes: the other half of real.py.

A step returns False where it makes no sense as things stand; the model says how things stand.
"""
import http.client
import json
import signal
import threading
import time

from real_client import Gone, RealClient
from real_place import ASIDE, Place, integration, number

STANDS_S = 3.0  # an edge stands still no longer
ALL_DEVICES = 1000000


class Late(Exception):
    """An edge has stood still for too long to know what follows."""


class Steps(Place):
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

    def session_of(self, name):
        client = self.clients.get(name)
        return client.session if client else None

    def do_send(self, words, options):
        session = self.session_of(options.get("except"))
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
        if message.expires and "bare" not in options:
            again["ttl"] = (message.expires - message.at) // 1000
        words, session = ["send", message.room, message.id], self.excepts.get(message.id)
        if "bare" in options:
            session = self.session_of(options.get("except"))
        status, answer = self.post(words, again, session)
        self.answer = [self.stored(status, answer)]
        if status == 200 and not answer["duplicate"]:
            self.excepts[message.id] = session
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
        # A PING that came since the step before is answered by nobody.
        self.lines[:] = [line for line in self.lines if line != "p " + words[1]]

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

    def do_wait(self, words, options):
        """Beside all else: its answer is seen when it comes."""
        self.answer = []
        _, name, edge, room, user = words[:5]
        place = self.place(options)
        if not self.there(edge) or name in self.model.waits or place is False or place["after"] == "new":
            return False
        self.know(room)
        token = self.token(user, (room,) if "claim" in options else ())
        threading.Thread(target=self.await_page, daemon=True, args=(
            name, self.edges[int(edge)].port, room, token, {**place, "limit": options.get("limit"), "wait": "30s"})).start()
        integration.until(lambda: name in self.asked, "a poll to be asked")

    def await_page(self, name, port, room, token, query):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        text = "&".join("%s=%s" % item for item in query.items() if item[1] is not None)
        try:
            connection.request("GET", "/ws/messages/%s?%s" % (room, text), headers={"Authorization": "Bearer " + token})
            self.asked.add(name)
            answer = connection.getresponse()
            self.lines.append("wait %s %d %s" % (name, answer.status, answer.read().decode()))
        except (http.client.HTTPException, OSError):
            self.asked.add(name)  # its edge was killed
        finally:
            connection.close()

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
        old.kill()  # first: it must not see its clients leave one by one
        for name in [name for name, client in self.clients.items() if client.edge == index]:
            self.clients.pop(name).drop()
        old.line.cut()
        self.own("revoke", ASIDE, old.sentinel_user)
        old.sentinel.drop()
        self.http.pop(old.port, None)
        old.line.up()
        edge = self.edges[index] = self.start_edge(old.line)
        edge.stopped = edge.away = False
        self.sentinel(edge)
