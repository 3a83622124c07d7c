"""What each step of a history does, by the model, and whether what was seen of it can be.

`Model(world).step(words, options, seen)`: seen is what was said in answer to the step (Seen). Raises Mismatch.
"""
import json

import model
from model import Base, Client, Session
from outside import Outside
from reader import Mismatch, need, further
from rules import Message

ACCESS = (1008, "access denied")


class Seen:
    """The lines of an answer, by what they are about."""

    def __init__(self, lines):
        self.lines = lines
        self.events = {}   # client -> [(kind, what)]
        self.waits = {}    # poll -> (status, page)
        self.began = set()  # polls that wait from now on
        self.time = self.stored = self.poll = self.receipts = self.epoch = None
        self.noop = False
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == "c":
                name, _, text = rest.partition(" ")
                self.events.setdefault(name, []).append(("frame", json.loads(text)))
            elif kind == "p":
                self.events.setdefault(rest, []).append(("ping", None))
            elif kind == "x":
                name, code, *reason = rest.split(" ", 2)
                self.events.setdefault(name, []).append(("close", (int(code), reason[0] if reason else "")))
            elif kind == "t":
                self.time = tuple(map(int, rest.split()))
            elif kind == "stored":
                self.stored = tuple(map(int, rest.split()))
            elif kind == "receipts":
                self.receipts = None if rest == "none" else int(rest)
            elif kind == "poll":
                status, _, text = rest.partition(" ")
                self.poll = (int(status), json.loads(text))
            elif kind == "wait":
                name, status, text = rest.split(" ", 2)
                self.waits[name] = (int(status), json.loads(text))
            elif kind == "epoch":
                self.epoch = rest
            elif kind == "noop":
                self.noop = True
            else:
                raise Mismatch("it said: %s" % line)


class Model(Outside, Base):
    def step(self, words, options, seen):
        if seen.time is not None:
            self.wall, self.mono = seen.time
        if seen.epoch is not None and self.epoch is None:
            self.epoch = self.first_epoch = seen.epoch
        for device in self.devices.values():
            if device.sessions:
                device.high.resume = further(device.high.resume, device.high.when(self.mono - model.SETTLED_LEAST))
        act = getattr(self, "do_" + words[0])
        done = act(words, options, seen)
        need((done is False) == seen.noop, "noop is %s, expected %s", seen.noop, done is False)
        for name in seen.events:
            need(self.client(name) is not None, "%s is not there, and was told %s", name, seen.events[name])
        self.watch_waits(seen)
        for client in self.clients():
            self.watch(client, seen.events.get(client.name, []))

    # ---- what a client sees

    def watch(self, client, events):
        edge = self.edges[client.edge]
        if not client.frozen and edge.there and not events and not client.close and not client.ended and \
                not client.late and all(s.request is None for s in client.sessions):
            self.up_to_date(client)
            return
        client.late = client.late or client.frozen or not edge.there
        for kind, what in events:
            if kind == "ping":
                told = {s: (s.reader.told, len(s.reader.got)) for s in client.sessions if s.request is None or s.joined}
                client.pings.append((client.seq, told))
            elif kind == "close":
                need(client.close == what, "%s: closed with %s, expected %s", client.name, what, client.close)
                client.close = None
                self.closed(client)
                return
            else:
                need(not client.frozen, "%s reads nothing, and read %s", client.name, what)
                self.frame(client, what)
        for session in client.sessions:
            if session.joined is not None:
                self.joined(session)
            need(session.request is None or not edge.there or client.close, "%s was not let in to %s", client.name,
                 session.room.name)
        need(client.close is None or edge.stopped, "%s was not closed with %s", client.name, client.close)
        need(not client.ended or edge.stopped or client.frozen, "%s was not told that it does not watch %s",
             client.name, client.ended)
        self.up_to_date(client)

    def up_to_date(self, client):
        edge = self.edges[client.edge]
        if client.frozen or not edge.there:
            client.late = True
            return
        for session in client.sessions:
            owed = session.reader.owed(self.wall) if session.request is None else []
            need(not owed, "%s: did not get %s", session.reader.name, [m.id for m in owed])
        client.late = False

    def frame(self, client, frame):
        kind = frame["type"]
        session = client.session(str(frame["diagnosis_id"]))
        if kind == "unsubscribed":
            ended = (str(frame["diagnosis_id"]), frame["data"].get("reason"))
            need(ended in client.ended, "%s: %s, expected %s", client.name, frame, client.ended)
            client.ended.remove(ended)
            return
        if kind == "error":
            need(client.refused and frame["data"]["code"] in client.refused, "%s: %s, expected %s", client.name, frame,
                 client.refused)
            client.refused = None
            return
        if session is None:
            # It left, and what was on its way came nevertheless.
            need(client.late, "%s: of a room that it does not watch: %s", client.name, frame)
            return
        if kind in ("connect", "subscribed"):
            need(session.request is not None and session.joined is None, "%s: not asked for: %s", client.name, frame)
            need((kind == "connect") == (session is client.sessions[0] and not client.connected), "%s: %s", client.name,
                 frame)
            client.connected = True
            self.welcome(session, frame["data"])
            return
        need(session.request is None or session.joined is not None, "%s: before it was let in: %s", client.name, frame)
        if kind == "gap":
            session.reader.gap(frame["data"], self.wall, client.late)
            return
        session.reader.update(frame, self.wall, client.late)
        client.seq = frame["seq"]
        message = session.reader.got[-1]
        if session.joined is None and not client.late and not message.size:
            session.live = message
        need(self.had_right(client, message), "%s: a message of after it lost the right: %s", client.name, frame)

    def had_right(self, client, message):
        """At some time since it was stored."""
        room = message.room
        if self.may(room, client.user, room in client.claims):
            return True
        lost = self.lost.get((room, client.user))
        return lost is not None and message.seq <= lost

    def closed(self, client):
        """Its connection is no more, and its edge is there: what the hub still counts of it leaves."""
        edge = self.edges[client.edge]
        for session in client.sessions:
            if session.counted:
                need(edge.there, "%s: counted, and its edge is not there", client.name)
                self.tell(session)
            if session.device is not None and (session.counted or edge.away):
                edge.left.append((self.mono if session.counted else None, session))
        self.leave_all([session for session in client.sessions if session.counted], self.mono)
        del edge.clients[client.name]

    # ---- senders and owners

    def do_world(self, words, options, seen):
        for edge in self.edges:
            edge.heard, edge.epoch = self.mono, self.epoch

    def do_send(self, words, options, seen):
        _, room, id, *_ = words
        message = Message(0, room, id, options.get("text", id), options.get("to", ""), 0, self.wall, 0, None)
        if "ttl" in options:
            message.expires = self.wall + int(options["ttl"]) * 1000
        client = self.client(options["except"]) if "except" in options else None
        message.excluded, message.size = client, int(options.get("size", 0))
        self.store(message, seen)

    def store(self, message, seen):
        """Or a duplicate."""
        room, id = message.room, message.id
        need(seen.stored is not None, "no answer")
        code, seq, n, duplicate, notified, queued = seen.stored
        known = self.known_id(room, id)
        if known is not None and (known.text, known.to) != (message.text, message.to):
            need(code != 0, "an id with two contents was stored")
            return
        need(code == 0, "refused with %s", code)
        need(duplicate == (known is not None), "duplicate is %s", duplicate)
        if known is not None:
            need((seq, n) == (known.seq, 0 if known.to else known.number), "seq and n of a duplicate: %s %s", seq, n)
            return
        self.head += 1
        place = self.room(room)
        message.seq, message.number = self.head, len(place.log_of(message.to or None)) + 1
        need((seq, n) == (self.head, 0 if message.to else message.number), "seq and n: %s %s", seq, n)
        self.count_audience(place, message, notified, queued)
        place.add(message)
        self.ids.append(message)
        self.last[id] = message

    def count_audience(self, room, message, notified, queued):
        devices = self.devices_of(room, message.to or None)
        sessions = [s for d in devices for s in d.sessions if message.excluded is not s.client]
        need(notified == len(sessions), "notified %s, expected %s", notified, len(sessions))
        most = sum(not d.sessions for d in devices)
        least = sum(not d.sessions and not d.doubtful for d in devices)
        need(least <= queued <= most, "queued %s, expected %s..%s", queued, least, most)

    def known_id(self, room, id):
        """The message that it names, while it is remembered."""
        for message in self.ids[-self.id_count:]:
            if (message.room, message.id) == (room, id) and self.wall - message.at < self.id_window:
                return message
        return None

    def do_receipts(self, words, options, seen):
        message = self.last.get(words[1])
        if message is None:
            return False
        again = Message(0, message.room, message.id, message.text, message.to, 0, self.wall, 0, message.excluded, message.size)
        again.expires = self.wall + message.expires - message.at if message.expires else 0
        if "bare" in options:
            again.excluded, again.expires = self.client(options["except"]) if "except" in options else None, 0
        self.store(again, seen)
        message = self.last[words[1]]
        need(seen.receipts is not None, "no receipts")
        room = self.room(message.room)
        retained = room.retains(message, self.wall)
        least = most = 0
        excluded = message.excluded is None
        for device in self.devices_of(room, message.to or None):
            # Once it is dropped nobody knows any more whom it was not for, only that there was one.
            if retained and message.excluded is not None and message.excluded in [s.client for s in device.sessions]:
                excluded = True
                continue
            most += message in device.got
            least += device.surely_has(message) and not device.doubtful
        if not excluded:
            # Its own device is not known any more: one less is counted, for it may be among them.
            least -= least > 0
        # Of one with a time of its own nobody knows any more, once it is dropped, whether that was over before it was sent.
        if message.dead(self.wall) or message.expires and not retained:
            least = 0
        need(least <= seen.receipts <= most, "receipts of %s: %s, expected %s..%s", message.id, seen.receipts, least,
             most)

    def own(self, words, state):
        _, room, user = words[:3]
        before = self.may(room, user, False)
        self.owners[(room, user)] = state
        if before and not self.may(room, user, False):
            self.lost[(room, user)] = self.head
        intruders = [session for device in self.devices_of(self.room(room), user) for session in device.sessions
                     if not self.may(room, user, room in session.client.claims)]
        if intruders:
            self.lost[(room, user)] = self.head
        self.leave_all(intruders, self.mono)
        for session in intruders:
            self.order(session, *ACCESS)
        self.write_all(self.room(room))

    def do_grant(self, words, options, seen):
        self.own(words, "grant")

    def do_revoke(self, words, options, seen):
        self.own(words, "none")

    def do_deny(self, words, options, seen):
        self.own(words, "deny")

    # ---- clients

    def request(self, options):
        """Where it asks to begin; False: the step names what is not there."""
        after, epoch = options.get("after"), options.get("epoch")
        if epoch is not None:
            epoch = {"first": self.first_epoch, "now": self.epoch}.get(epoch, "another")
        if after is None or after == "new":
            return {"after": after, "epoch": epoch}
        if after == "last":
            number = self.poll_last
        elif after[0] == "+":
            number = self.head + int(after[1:])
        elif after.isdigit():
            number = int(after)
        elif after in self.last:
            number = self.last[after].seq
        else:
            return False
        return {"after": number, "epoch": epoch}

    def edge(self, text):
        number = int(text)
        return self.edges[number] if number < len(self.edges) else None

    def do_open(self, words, options, seen):
        _, name, number, room, user, device = words[:6]
        edge, request = self.edge(number), self.request(options)
        if edge is None or not edge.there or self.client(name) is not None or request is False:
            return False
        claims = {room} if "claim" in options else set()
        client = Client(name, edge.number, user, device, "derived" in options, "ack" in options, claims)
        edge.clients[name] = client
        session = Session(client, self.room(room), device, request)
        session.opened = self.mono
        client.sessions.append(session)
        if self.may(room, user, bool(claims)):
            self.takeover(session)
        else:
            client.close = ACCESS

    def active(self, name, hub):
        """A client that can do something now."""
        client = self.client(name)
        if client is None:
            return None
        edge = self.edges[client.edge]
        return None if edge.stopped or client.frozen or (hub and edge.away) else client

    def do_sub(self, words, options, seen):
        client, request = self.active(words[1], True), self.request(options)
        if client is None or request is False:
            return False
        room = words[2]
        if client.session(room) is not None:
            client.refused = ("already_subscribed",)
            return None
        client.many = True
        if not self.may(room, client.user, room in client.claims):
            client.refused = ("access_denied",)
            return None
        session = Session(client, self.room(room), client.device, request)
        session.opened = self.mono
        client.sessions.append(session)
        self.takeover(session)

    def do_unsub(self, words, options, seen):
        client = self.active(words[1], True)
        if client is None:
            return False
        session = client.session(words[2])
        if session is None:
            client.refused = ("not_subscribed",)
            return None
        client.many = True
        client.sessions.remove(session)
        client.ended.append((words[2], None))
        self.leave_all([session], self.mono)

    def do_close(self, words, options, seen):
        client = self.client(words[1])
        if client is None or self.edges[client.edge].stopped:
            return False
        message = self.last.get(options.get("ack"))
        if message is not None and not client.frozen:
            self.acknowledge(client, message, seen, told=False)
            seen.events.pop(client.name, None)
        self.closed(client)

    def do_freeze(self, words, options, seen):
        client = self.active(words[1], False)
        if client is None:
            return False
        client.frozen = True

    def do_thaw(self, words, options, seen):
        client = self.client(words[1])
        if client is None or not client.frozen or self.edges[client.edge].stopped:
            return False
        client.frozen = False

    def do_pong(self, words, options, seen):
        client = self.active(words[1], False)
        if client is None:
            return False
        index = len(client.pings) - 1
        if len(words) > 2 and not client.many:
            if words[2] not in self.last:
                return False
            seq = self.last[words[2]].seq
            index = next((i for i, ping in enumerate(client.pings) if ping[0] >= seq), -1)
        if index < 0:
            return False
        told = client.pings[index][1]
        del client.pings[:index + 1]
        for session, (at, _) in told.items():
            if session in client.sessions and not client.sure:
                session.low, session.high = further(session.low, at), further(session.high, at)
                if session.counted and self.edges[client.edge].there:
                    self.tell(session)

    def do_ack(self, words, options, seen):
        client, message = self.active(words[1], False), self.last.get(words[2])
        if client is None or message is None:
            return False
        self.acknowledge(client, message, seen)

    @staticmethod
    def ends_there(reader, at):
        """Nothing that was told with it as one gap follows."""
        logs = [reader.room.log_of(user) for user in (None, reader.user)]
        return all(number >= min(told, len(log)) or log[number + 1] in reader.got
                   for number, told, log in zip(at, reader.told, logs))

    @staticmethod
    def end_of_gap(reader, log, number, told):
        """In the midst of a gap that was told as one it may be all of it."""
        if 0 < number <= len(log) and log[number] not in reader.got:
            while number < min(told, len(log)) and log[number + 1] not in reader.got:
                number += 1
        return number

    def acknowledge(self, client, message, seen, told=True):
        """told: the hub is told of it at once."""
        session = client.session(message.room)
        refused = any(kind == "frame" and what["type"] == "error" for kind, what in seen.events.get(client.name, []))
        if session is None:
            client.refused = ("not_subscribed",)
            return
        if message.seq > session.reader.seq and refused:
            client.refused = ("invalid_field",)  # it never got that
            return
        # Of one whose stack confirms the edge may not find the place any more: not surely what it was told.
        reader, logs = session.reader, [session.room.log_of(user) for user in (None, client.user)]
        most = tuple(min(told, log.upto(message.seq)) for told, log in zip(reader.told, logs))
        got = [(m, mark) for m, mark in zip(reader.got, reader.marks) if m.seq <= message.seq]
        if client.sure and got:
            # Of a gap only its numbers are told: by a seq in it nothing of it is surely acknowledged.
            least = most if message in reader.got and self.ends_there(reader, most) else tuple(
                min(number, log.upto(got[-1][0].seq)) for number, log in zip(most, logs))
            session.low = further(session.low, least)
            session.acked_low = further(session.acked_low or (0, 0), least)
        elif session.live in [m for m, _ in got]:
            # Its edge has it at hand.
            session.acked_low = further(session.acked_low or (0, 0), (logs[0].upto(session.live.seq), 0))
        if got:
            most = further(most, got[-1][1])
        most = tuple(self.end_of_gap(reader, log, at, told) for log, at, told in zip(logs, most, reader.told))
        session.high = further(session.high, most)
        session.acked_high = further(session.acked_high or (0, 0), most)
        if told and session.counted and self.edges[client.edge].there:
            self.tell(session)
