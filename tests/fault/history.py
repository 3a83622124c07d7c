"""Judges what senders and devices saw: it knows nothing of the product but what went over its sockets.

Senders report each attempt and its answer, devices each connection and every JSON object on it, in order.
`judge()` then names what cannot be explained:

  lost          stored (answered, or seen by anyone), and neither delivered nor covered by a gap told to a device
                whose last connection is open, or was left with `stayed()`; one that left is owed what came
                before the newest it got
  repeated      a seq twice on one connection; again on a later one beyond the window; at all for a device that
                keeps its own position; one id stored as two messages
  out_of_order  a seq on a connection that is not above the one before it in that room
  reused        one seq, or one n of a room, with two meanings
  silent_gap    n jumps and no `gap` says exactly that, or a `gap` names what is not missing
  phantom       delivered, but never attempted, or not for this room, user or session

The window: a device resumes from what it had confirmed 5 s before its connection ended, and that is written at
least each 5 s. Repeats of what came, or was confirmed by itself, in the last 10 s of its earlier connections are
therefore allowed. Who freezes processes gives a larger window; who kills a hub again before it can have written
says when that was (`last_write`).
"""
import json
import threading
import time
from dataclasses import dataclass, field

KINDS = ("lost", "repeated", "out_of_order", "reused", "silent_gap", "phantom")


@dataclass
class Message:
    """One that a sender named: its numbers are known once it was answered, or seen."""
    id: str
    room: str
    user: str = None
    exclude: str = None
    answered: bool = False
    seq: int = None
    n: int = None
    seen: bool = False


@dataclass
class Verdict:
    lost: list = field(default_factory=list)
    repeated: list = field(default_factory=list)
    out_of_order: list = field(default_factory=list)
    reused: list = field(default_factory=list)
    silent_gap: list = field(default_factory=list)
    phantom: list = field(default_factory=list)
    counts: dict = field(default_factory=dict)

    @property
    def faults(self):
        return [f"{kind}: {text}" for kind in KINDS for text in getattr(self, kind)]

    @property
    def ok(self):
        return not self.faults

    def __str__(self):
        found = ", ".join(f"{len(getattr(self, kind))} {kind.replace('_', ' ')}" for kind in KINDS)
        return found + "; " + ", ".join(f"{name} {value}" for name, value in self.counts.items())


class Device:
    """What a device got in a room, over all its connections."""

    def __init__(self, name, room):
        self.name, self.room = name, room
        self.streams = []
        self.got = {}        # seq -> when it came last
        self.newest = 0      # seq
        self.n = None        # the newest n it got, or was told to miss
        self.skipped = []    # (above, up to): seqs that it did not ask for
        self.told = []       # (from, to) of gaps
        self.told_direct = 0
        self.confirms = []   # (when, seq)
        self.user = None
        self.sessions = set()

    def owes_nothing(self, seq):
        return any(above < seq <= to for above, to in self.skipped)

    def last_end(self, stream):
        """When the connection before this one ended, as far as it had when this one began."""
        ends = [min(s.ended if s.ended is not None else stream.began, stream.began)
                for s in self.streams if s is not stream and s.began <= stream.began and s.resume is not None]
        return max(ends, default=stream.began)


class Stream:
    """One room on one connection, from its join on."""

    def __init__(self, device, after, own_state, began):
        self.device, self.after, self.own_state, self.began = device, after, own_state, began
        self.ended = None
        self.stays = False
        self.resume = None
        self.session = None
        self.seq = 0
        self.seqs = set()
        self.n = None        # the newest n on this connection, or what it continues from
        self.fresh = True    # nothing that has an n came yet
        self.holes = []      # gaps told since the last message
        self.first_visit = not device.streams


class Connection:
    """What one connection of a device received; made by History.connect()."""

    def __init__(self, history, device, room, after, own_state, user):
        self._history, self._device, self._own_state, self._user = history, device, own_state, user
        self._streams = {}
        self._room = room
        self._session = None
        self.subscribe(room, after)

    def subscribe(self, room, after=None):
        """One more room is asked for on this connection."""
        with self._history._lock:
            self._streams[room] = self._history._join(self._device, room, after, self._own_state, self._user)

    def unsubscribe(self, room):
        with self._history._lock:
            self._history._leave(self._streams.pop(room, None))

    def message(self, obj):
        """Each JSON object received, in order; what is not about messages is ignored."""
        with self._history._lock:
            self._history._trace("message", self._device, obj)
            room = str(obj.get("diagnosis_id", self._room))
            stream = self._streams.get(room)
            kind = obj.get("type", "")
            if kind in ("connect", "subscribed"):
                self._session = obj["data"].get("session", self._session)
                self._history._joined(stream, obj["data"], self._session)
            elif kind == "gap":
                self._history._gap(stream, obj["data"])
            elif kind.endswith("_update"):
                self._history._update(stream, self._device, room, obj)

    def stayed(self):
        """It has read to the end and may close: it still is owed everything."""
        for stream in self._streams.values():
            stream.stays = True

    def closed(self, code=None):
        with self._history._lock:
            self._history._trace("closed", self._device, code)
            for stream in self._streams.values():
                self._history._leave(stream)


class History:
    """Safe to feed from several threads. `trace`: a file that gets each event as a line of JSON."""

    def __init__(self, window=10.0, clock=time.monotonic, trace=None):
        self.window = window
        self._clock = clock
        self._file = trace
        self._lock = threading.RLock()
        self._messages = {}  # id -> Message
        self._devices = {}   # (device, room) -> Device
        self._by_seq = {}    # seq -> (room, id)
        self._by_n = {}      # (room, n) -> id
        self._content = {}   # seq -> what was seen first
        self._jumps = []     # (room, sessions, where, the n that did not come, gaps told to earlier connections)
        self._old = []       # (where, when it came, when its connection ended) of repeats beyond the window
        self.last_write = lambda ended: ended - 5.0  # when positions were certainly written before that moment
        self._verdict = Verdict()
        self._counts = {"attempts": 0, "answers": 0, "failed": 0, "connections": 0, "deliveries": 0, "repeats": 0,
                        "gaps": 0}
        self.oldest_repeat = 0.0

    # ---- senders ----

    def attempt(self, id, room, user=None, exclude_session=None):
        """A sender is about to send; the same id again is the same message once more."""
        with self._lock:
            self._trace("attempt", id, [room, user])
            self._counts["attempts"] += 1
            self._messages.setdefault(id, Message(id, str(room), user, exclude_session))

    def answer(self, id, seq, n=None, duplicate=False):
        """The sender was told `stored`, or `duplicate`: both say that it is durable as this seq."""
        with self._lock:
            self._trace("answer", id, [seq, n, duplicate])
            self._counts["answers"] += 1
            message = self._messages[id]
            message.answered = True
            self._number(message, seq, n, "answered")

    def failed(self, id, why=None):
        """Told no, or told nothing: it may or may not be stored."""
        with self._lock:
            self._trace("failed", id, why)
            self._counts["failed"] += 1

    # ---- devices ----

    def connect(self, device, room, after=None, own_state=False, user=None):
        """A connection opens. device: unique per user and device. own_state: `after` is all that it got."""
        with self._lock:
            self._trace("connect", device, [room, after])
            self._counts["connections"] += 1
            return Connection(self, device, str(room), after, own_state, user)

    def confirm(self, device, room, seq):
        """The device acknowledged itself (ack=client): what it did not is repeated rightly."""
        with self._lock:
            self._trace("confirm", device, [room, seq])
            self._device(device, str(room)).confirms.append((self._clock(), seq))

    # ---- what is told while it goes on ----

    def missing(self):
        """(device, room, seq) of all that is owed and has not come yet: wait for none before judging."""
        with self._lock:
            return [(device.name, device.room, message.seq) for device in self._devices.values()
                    for message in self._owed(device)]

    def judge(self, final=True):
        """final: everything owed should have come."""
        with self._lock:
            verdict = Verdict(**{kind: list(getattr(self._verdict, kind)) for kind in KINDS})
            verdict.repeated += self._too_old()
            verdict.silent_gap += self._unexplained()
            if final:
                for device in self._devices.values():
                    for message in self._owed(device):
                        verdict.lost.append(f"{device.name} in {device.room}: seq {message.seq} n {message.n} id "
                                            f"{message.id}{'' if message.answered else ' (seen by others)'}")
            verdict.counts = {**self._counts, "oldest_repeat_s": round(self.oldest_repeat, 1)}
            return verdict

    # ---- inside ----

    def _trace(self, what, who, more=None):
        if self._file:
            self._file.write(json.dumps([round(self._clock(), 4), what, who, more]) + "\n")

    def _device(self, name, room):
        return self._devices.setdefault((name, room), Device(name, room))

    def _join(self, name, room, after, own_state, user):
        device = self._device(name, room)
        stream = Stream(device, after, own_state, self._clock())
        device.user = device.user or user
        device.streams.append(stream)
        return stream

    def _leave(self, stream):
        if stream is not None and stream.ended is None:
            stream.ended = self._clock()

    def _joined(self, stream, data, session):
        """Where the server says that the device stands."""
        device, head, oldest = stream.device, data["head"], data.get("oldest") or 0
        stream.resume = data["resume"]
        stream.session = session
        if session is not None:
            device.sessions.add(session)
        if device.user is None and data.get("user_id") is not None:
            device.user = str(data["user_id"])
        first = all(s is stream or s.resume is None for s in device.streams)
        start = self._start(stream, head, oldest, first)
        if start is not None and start > device.newest:
            device.skipped.append((0 if first else device.newest, start))
        skips = start is not None and (start > device.newest or stream.resume == "reset")
        stream.n = None if first or skips else device.n

    @staticmethod
    def _start(stream, head, oldest, first):
        """The seq above which all is owed; None: from where the device was."""
        if stream.after == "new":
            return head
        retained = oldest - 1 if 0 < oldest <= head else head
        if stream.resume == "reset":
            return retained
        if stream.after is not None:
            return max(int(stream.after), retained) if first else int(stream.after)
        return retained if first else None

    def _gap(self, stream, data):
        self._counts["gaps"] += 1
        if data.get("direct"):
            stream.device.told_direct += data["count"]
            return
        first, last = data["from"], data["to"]
        where = f"{stream.device.name} in {stream.device.room}"
        if first > last:
            self._verdict.silent_gap.append(f"{where}: a gap told from {first} to {last}")
        stream.holes.append((first, last, data["count"]))
        stream.device.told.append((first, last))

    def _update(self, stream, name, room, obj):
        self._counts["deliveries"] += 1
        verdict, seq, n, id = self._verdict, obj["seq"], obj.get("n"), obj.get("id")
        where = f"{name} in {room}: seq {seq} n {n} id {id}"
        message = self._messages.get(id)
        if message is None or stream is None or message.room != room:
            verdict.phantom.append(f"{where}, {'never sent' if message is None else 'not in this room'}")
            return
        message.seen = True
        device = stream.device
        if message.user is not None and device.user is not None and message.user != device.user:
            verdict.phantom.append(f"{where}, for another user")
        if message.exclude is not None and message.exclude == stream.session:
            verdict.phantom.append(f"{where}, to the session that it excludes")
        self._number(message, seq, n, "delivered")
        self._same(where, seq, obj)
        self._order(stream, where, seq)
        if n is not None:
            self._count(stream, where, n)
        device.got[seq] = self._clock()
        device.newest = max(device.newest, seq)

    def _number(self, message, seq, n, how):
        """One message has one seq and one n, and they are its own."""
        verdict, text = self._verdict, f"id {message.id} {how} as seq {seq} n {n}"
        if message.seq is not None and message.seq != seq:
            verdict.repeated.append(f"{text}, and before as seq {message.seq}")
        elif n is not None and message.n is not None and message.n != n:
            verdict.reused.append(f"{text}, and before as n {message.n}")
        holder = self._by_seq.setdefault(seq, message.id)
        if holder != message.id:
            verdict.reused.append(f"{text}: that seq is id {holder}'s")
        if n is not None:
            holder = self._by_n.setdefault((message.room, n), message.id)
            if holder != message.id:
                verdict.reused.append(f"{text}: that n of {message.room} is id {holder}'s")
        message.seq = message.seq or seq
        message.n = message.n or n

    def _same(self, where, seq, obj):
        content = hash(json.dumps([obj.get("type"), obj.get("n"), obj.get("data")], sort_keys=True))
        if self._content.setdefault(seq, content) != content:
            self._verdict.reused.append(f"{where}: seen before with other content")

    def _order(self, stream, where, seq):
        """Rising on one connection; not again what this device had, beyond the window."""
        device, verdict = stream.device, self._verdict
        if seq in stream.seqs:
            verdict.repeated.append(f"{where}, twice on one connection")
        elif seq < stream.seq:
            verdict.out_of_order.append(f"{where}, after seq {stream.seq}")
        elif isinstance(stream.after, int) and stream.resume != "reset" and seq <= stream.after:
            verdict.repeated.append(f"{where}, asked for what is after {stream.after}")
        elif seq in device.got:
            self._again(stream, where, seq)
        stream.seqs.add(seq)
        stream.seq = max(stream.seq, seq)

    def _again(self, stream, where, seq):
        device = stream.device
        self._counts["repeats"] += 1
        if stream.resume == "reset" or (stream.after is not None and not stream.own_state):
            return
        if stream.own_state:
            self._verdict.repeated.append(f"{where}, though the device keeps its position")
            return
        since = device.got[seq]
        if device.confirms:
            since = min((when for when, upto in device.confirms if upto >= seq), default=None)
            if since is None:
                return
        age = device.last_end(stream) - since
        self.oldest_repeat = max(self.oldest_repeat, age)
        if age > self.window:
            self._old.append((where, since, since + age))

    def _count(self, stream, where, n):
        """n goes on by one, or a gap says what is missing. A new connection may begin earlier than the last ended."""
        device, verdict, expected = stream.device, self._verdict, stream.n
        for first, last, count in stream.holes:
            if last >= n:
                verdict.silent_gap.append(f"{where}: a gap told from {first} to {last}")
            elif expected is not None and first > expected + 1:
                self._jump(stream, where, expected + 1, first - 1)
            elif expected is not None and first <= expected and not stream.fresh:
                verdict.silent_gap.append(f"{where}: a gap told from {first}, but {expected} had come")
            if count != last - first + 1:
                verdict.silent_gap.append(f"{where}: a gap told of {count} from {first} to {last}")
            expected = max(last, expected or 0)
        if expected is not None and n > expected + 1:
            self._jump(stream, where, expected + 1, n - 1)
        stream.holes, stream.fresh = [], False
        stream.n = n
        device.n = max(device.n or 0, n)

    def _jump(self, stream, where, first, last):
        """Missing unless it is known by the end that each was not for this session."""
        device = stream.device
        told = list(device.told) if stream.fresh else []
        sessions = set(device.sessions) if stream.fresh else {stream.session}
        self._jumps.append((device.room, sessions, where, range(first, last + 1), told))

    def _too_old(self):
        for where, since, ended in self._old:
            if since < min(ended, self.last_write(ended) + 5.0) - self.window:
                yield f"{where}, {ended - since:.1f} s before its connection ended"

    def _unexplained(self):
        for room, sessions, where, jumped, told in self._jumps:
            silent = [n for n in jumped if not any(first <= n <= last for first, last in told)
                      and not self._excluded(room, n, sessions)]
            if silent:
                yield f"{where}: nothing said of {silent[0]} to {silent[-1]}"

    def _excluded(self, room, n, sessions):
        message = self._messages.get(self._by_n.get((room, n)))
        return message is not None and message.exclude in sessions

    def _owed(self, device):
        """Stored messages that should have come to this device, and did not."""
        last = device.streams[-1] if device.streams else None
        if last is None or all(s.resume is None for s in device.streams):
            return []
        stays = last.stays or last.ended is None
        missing = []
        for message in self._messages.values():
            seq = message.seq
            if seq is None or message.room != device.room or seq in device.got:
                continue
            if message.user is not None and message.user != device.user:
                continue
            if message.exclude in device.sessions:
                continue
            if not stays and seq > device.newest or device.owes_nothing(seq):
                continue
            if message.n is not None and any(first <= message.n <= to for first, to in device.told):
                continue
            missing.append(message)
        direct = [m for m in missing if m.user is not None]
        return missing if len(direct) > device.told_direct else [m for m in missing if m.user is None]
