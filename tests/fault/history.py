"""Judges what senders and devices saw: it knows nothing of the product but what went over its sockets.

Senders report each attempt and its answer, devices each connection and every JSON object on it, in order.
`judge()` then names what cannot be explained:

  lost          stored (answered, or seen by anyone), and neither delivered nor covered by a gap told to a device
                whose last connection is open, or was left with `stayed()`; one that left is owed what came
                before the newest it got
  repeated      a seq twice on one connection; again on a later one though its position had long gone past it
                (`settled`); at all for a device that keeps its own position; one id stored as two messages
  out_of_order  a seq on a connection that is not above the one before it in that room
  reused        one seq, or one n of a room, or one direct_n of a user in it, with two meanings
  silent_gap    n or direct_n jumps and no `gap` says exactly that
  over_told     a `gap` names what was not missed (gaps.py)
  false_receipt an answer says of more devices than got it that it was delivered (receipts.py)
  after_revoke  who was shut out was let in, stayed, or got what was sent after that (owners.py)
  phantom       delivered, but never attempted, or not for this room, user or session, or over its age

A device resumes from what it had confirmed 5 s before its connection ended, and that is written at least each 5 s.
Repeats of what came, or was confirmed by itself, in the last 10 s (`window`) of its earlier connections are therefore
allowed. Who kills a hub again before it can have written says when that was (`last_write`); who freezes processes
gives a `settled` of their own (outages.py).
"""
import collections
import json
import threading
import time

from gaps import Gap, Page, judge_page, malformed, over_told
from retained import Message, Numbers
from receipts import false_receipts
from streams import Connection, Device, Stream

KINDS = ("lost", "repeated", "out_of_order", "reused", "silent_gap", "over_told", "false_receipt", "after_revoke",
         "phantom")


class Verdict:
    """A list of texts for each kind."""

    def __init__(self, found=None, counts=None):
        for kind in KINDS:
            setattr(self, kind, list(getattr(found, kind)) if found else [])
        self.counts = counts or {}

    @property
    def faults(self):
        return [f"{kind}: {text}" for kind in KINDS for text in getattr(self, kind)]

    @property
    def ok(self):
        return not self.faults

    def __str__(self):
        found = ", ".join(f"{len(getattr(self, kind))} {kind.replace('_', ' ')}" for kind in KINDS)
        return found + "; " + ", ".join(f"{name} {value}" for name, value in self.counts.items())


class History:
    """Safe to feed from several threads. `trace`: a file that gets each event as a line of JSON. `limit` and `ttl` are
    the hub's, None: not known; `access` (owners.py): who may watch what; `settled` (outages.py)."""

    def __init__(self, window=10.0, clock=time.monotonic, trace=None, limit=None, ttl=None, access=None, settled=None):
        self.window, self.access = window, access
        self.numbers = Numbers(limit, ttl)
        self.settled = settled or self._beyond_window
        self._exact = settled is not None
        self._clock = clock
        self._file = trace
        self._lock = threading.RLock()
        self._messages = {}  # id -> Message
        self._rooms = collections.defaultdict(list)  # room -> Messages
        self._devices = {}   # (device, room) -> Device
        self._by_seq = {}    # seq -> (room, id)
        self._by_n = {}      # (room, user or None, number) -> id
        self._content = {}   # seq -> what was seen first
        self._jumps = []     # (room, user or None, sessions, where, numbers that did not come)
        self._old = []       # (where, spans) of repeats that are judged when `last_write` is known
        self._gaps, self._pages, self._receipts = [], [], []
        self.last_write = lambda ended: ended - 5.0  # when positions were certainly written before that moment
        self._verdict = Verdict()
        self._counts = {"attempts": 0, "answers": 0, "failed": 0, "receipts": 0, "connections": 0, "deliveries": 0,
                        "repeats": 0, "gaps": 0, "direct gaps": 0, "pages": 0}
        self.oldest_repeat = 0.0

    # ---- senders ----

    def attempt(self, id, room, user=None, exclude_session=None, ttl=None):
        """A sender is about to send; the same id again is the same message once more."""
        with self._lock:
            self._trace("attempt", id, [room, user, exclude_session, ttl])
            self._counts["attempts"] += 1
            if id not in self._messages:
                message = Message(id, str(room), user, exclude_session, ttl, self._clock())
                self._messages[id] = message
                self._rooms[message.room].append(message)
                self.numbers.add(message)

    def answer(self, id, seq, n=None, duplicate=False):
        """The sender was told `stored`, or `duplicate`: both say that it is durable as this seq."""
        with self._lock:
            self._trace("answer", id, [seq, n, duplicate])
            self._counts["answers"] += 1
            message = self._messages[id]
            if message.answered_at is None:
                message.answered_at = self._clock()
            self._number(message, seq, n, None, "answered")

    def delivered(self, id, count):
        """The sender was told that so many devices have got it."""
        with self._lock:
            self._trace("delivered", id, count)
            self._counts["receipts"] += 1
            self._receipts.append((self._clock(), self._messages[id], count))

    def failed(self, id, why=None):
        """Told no, or told nothing: it may or may not be stored."""
        with self._lock:
            self._trace("failed", id, why)
            self._counts["failed"] += 1

    # ---- devices ----

    def connect(self, device, room, after=None, own_state=False, user=None, **options):
        """A connection opens. device: unique per user and device. own_state: `after` is all that it got.
        place: the process that serves it; began: when it was asked for; page: it is a poll; acks: it acknowledges
        itself."""
        with self._lock:
            self._trace("connect", device, [room, after, options])
            self._counts["connections"] += 1
            return Connection(self, device, str(room), after, own_state=own_state, user=user, **options)

    def confirm(self, device, room, seq):
        """The device acknowledged itself (ack=client): what it did not is repeated rightly."""
        with self._lock:
            self._trace("confirm", device, [room, seq])
            known = self._device(device, str(room))
            known.acks = True
            known.confirms.append((self._clock(), seq))

    def note(self, *what):
        """Something else, for whoever reads the trace."""
        with self._lock:
            self._trace("note", *what)

    # ---- what is told while it goes on ----

    def missing(self, retained=False):
        """(device, room, seq) of all that is owed and has not come yet: wait for none before judging.
        retained: only what surely is, for of what is not a device is told with what follows."""
        with self._lock:
            now = self._clock()
            return [(device.name, device.room, message.seq) for device in self._devices.values()
                    for message in self._owed(device)
                    if not retained or not self.numbers.may_be_gone(message, now)]

    def intruders(self):
        """Open connections of those who are shut out, by name."""
        with self._lock:
            return [f"{device.name} in {device.room}" for device in self._devices.values() for stream in device.streams
                    if stream.open and stream.welcomed and self._shut(device, float("inf")) is not None]

    def judge(self, final=True):
        """final: everything owed should have come, and what is not known by now never will."""
        with self._lock:
            verdict = Verdict(self._verdict, {**self._counts, "oldest_repeat_s": round(self.oldest_repeat, 1)})
            verdict.repeated += [where for where, spans in self._old if self.settled(spans)]
            verdict.silent_gap += self._unexplained()
            if final:
                self._judge_numbers(verdict)
                for device in self._devices.values():
                    verdict.lost += [f"{device.name} in {device.room}: seq {m.seq} number {m.number} id {m.id}"
                                     f"{'' if m.answered_at else ' (seen by others)'}" for m in self._owed(device)]
            if self.access:
                verdict.after_revoke += self.access.stayed(self._devices.values(), self._clock())
            return verdict

    # ---- inside ----

    def _judge_numbers(self, verdict):
        for gap in self._gaps:
            verdict.over_told += over_told(self.numbers, gap)
        for page in self._pages:
            for kind, text in judge_page(self.numbers, page):
                getattr(verdict, kind).append(text)
        verdict.false_receipt += false_receipts(self._receipts, self._devices.values())
        for (room, user), line in self.numbers.lines.items():
            wrong = line.misnumbered() if self._exact else None  # others may know of messages that it does not
            if wrong is not None:
                verdict.reused.append(f"seq {wrong.seq} of {room} has number {wrong.number}"
                                      f"{f' of {user}' if user else ''}, and others come before it")

    def _trace(self, what, who, more=None):
        """Without the data of messages."""
        if self._file:
            if what == "message" and "seq" in more:
                more = {name: value for name, value in more.items() if name != "data"}
            self._file.write(json.dumps([round(self._clock(), 4), what, who, more]) + "\n")

    def _device(self, name, room):
        if (name, room) not in self._devices:
            self._devices[name, room] = Device(name, room)
        return self._devices[name, room]

    def _shut(self, device, since):
        """When the device's user was shut out of the room, where that is so and was before `since`; else None."""
        when = self.access.shut(device.room, device.user) if self.access else None
        return when if when is not None and when < since else None

    def _join(self, name, room, after, own_state, user, place=None, began=None, page=False, acks=False):
        device = self._device(name, room)
        device.acks |= acks
        stream = Stream(device, after, own_state, self._clock() if began is None else began, place, page)
        device.user = device.user or user
        device.streams.append(stream)
        return stream

    def _leave(self, stream, when=None, code=None):
        if stream is not None and stream.ended is None:
            stream.ended = self._clock() if when is None else when
            stream.well = stream.leaves and code == 1000

    def _joined(self, stream, data, session):
        """Where the server says that the device stands."""
        if stream is None:
            return
        device = stream.device
        lost = self._cursor_lost(stream, data["resume"])
        first = lost or device.first_visit is None
        stream.welcome(data, session, self._clock())
        if device.user is None and data.get("user_id") is not None:
            device.user = str(data["user_id"])
        if self._shut(device, stream.began) is not None:
            self._verdict.after_revoke.append(f"{device.name} in {device.room}: let in")
        start = stream.start(first)
        if start is not None:
            self._skip(stream, start, first and stream.after != "new" or stream.resume == "reset")
        skips = start is not None and (start > device.newest or stream.resume == "reset")
        if first:
            device.first_visit = stream
        for direct, track in stream.tracks.items():
            track.begin(None if first or skips else device.last[direct])

    @staticmethod
    def _skip(stream, start, for_it_is_gone):
        """What a device does not get for it did not ask for that, and what for that is gone."""
        device = stream.device
        asked = int(stream.after or 0) if for_it_is_gone and stream.resume != "reset" else start
        device.skipped.append((device.newest, asked if asked > 0 else device.newest, None))
        if for_it_is_gone:
            device.skipped.append((device.newest, start, stream.welcomed))

    def _cursor_lost(self, stream, resume):
        """A device that comes back as one never seen: rightly where its cursor cannot have been written."""
        device = stream.device
        if not self._exact or resume != "new" or stream.after is not None or device.first_visit is None:
            return False
        visit = device.first_visit
        if self.settled(device.spans(visit.welcomed, stream), self._clock()):
            self._verdict.silent_gap.append(f"{device.name} in {device.room}: came back as one never seen")
        return True

    def _gap(self, stream, data):
        direct = bool(data.get("direct"))
        self._counts["direct gaps" if direct else "gaps"] += 1
        if stream is None:
            return None
        device = stream.device
        gap = Gap(f"{device.name} in {device.room}", stream, direct, data["from"], data["to"], data["count"],
                  data["reason"], self._clock())
        self._verdict.over_told += malformed(gap)
        if not 1 <= gap.first <= gap.last:
            return None
        if not stream.page:
            self._tell(stream, gap)
        device.told[direct].update(range(gap.first, gap.last + 1))
        device.last[direct] = max(device.last[direct] or 0, gap.last)
        self._gaps.append(gap)
        return gap

    def _tell(self, stream, gap):
        device, track = stream.device, stream.tracks[gap.direct]
        fresh = track.fresh
        if fresh:
            since = device.since(gap.direct, gap.first)
            gap.had = since is not None and self.settled(device.spans(since, stream), stream.welcomed, device.acks)
            if since is not None:
                device.goes_back(device.seq_of(gap.direct, gap.first), gap.at)
        jumped, again = track.tell(gap.first, gap.last)
        self._jump(stream, f"{gap}", gap.direct, jumped, fresh)
        if again:
            self._verdict.over_told.append(f"{gap}: some of it came, or was told, before")

    def _page(self, stream, name, answer, first):
        found = answer["messages"]
        oldest = next((obj["seq"] for obj in found if obj.get("n") is not None), 0)
        self._counts["pages"] += 1
        self._joined(stream, {"head": answer["head"], "oldest": oldest, "resume": "new" if first else "exact"}, None)
        page = Page(f"{name} in {stream.device.room}", stream, int(stream.after), answer["last"], answer["head"], first)
        gaps = answer["gaps"] + [{**gap, "direct": True} for gap in answer.get("direct_gaps", ())]
        page.gaps += [gap for gap in (self._gap(stream, data) for data in gaps) if gap]
        for obj in found:
            self._update(stream, name, stream.device.room, obj)
            direct = obj.get("n") is None
            page.brought[direct].add(obj.get("direct_n") if direct else obj["n"])
            if obj["seq"] > answer["last"]:
                self._verdict.out_of_order.append(f"{page.where}: seq {obj['seq']} on a page up to {answer['last']}")
        self._pages.append(page)
        stream.stays = True
        self._leave(stream)

    def _update(self, stream, name, room, obj):
        self._counts["deliveries"] += 1
        seq, n, own, id = obj["seq"], obj.get("n"), obj.get("direct_n"), obj.get("id")
        where = f"{name} in {room}: seq {seq} {f'n {n}' if own is None else f'direct_n {own}'} id {id}"
        message = self._messages.get(id)
        if message is None or stream is None or message.room != room:
            self._verdict.phantom.append(f"{where}, {'never sent' if message is None else 'not in this room'}")
            return
        message.seen = True
        device = stream.device
        self._may_get(stream, where, message)
        self._number(message, seq, n, own, "delivered")
        self._same(where, seq, obj)
        self._order(stream, where, seq)
        direct = message.user is not None
        if (own if direct else n) is None:
            self._verdict.reused.append(f"{where}: it has no number")
        elif not stream.page:
            if stream.resume == "gap" and not stream.told and not stream.seqs - {seq}:
                self._verdict.silent_gap.append(f"{where}: it was welcomed with a gap, and told of none")
            track = stream.tracks[direct]
            fresh = track.fresh
            jumped, told = track.bring(message.number)
            self._jump(stream, where, direct, jumped, fresh)
            if told:
                self._verdict.over_told.append(f"{where}: it came after a gap that names it")
        device.take(seq, direct, message.number, self._clock())

    def _may_get(self, stream, where, message):
        device, verdict = stream.device, self._verdict
        if message.user is not None and device.user is not None and message.user != device.user:
            verdict.phantom.append(f"{where}, for another user")
        if message.exclude is not None and message.exclude == stream.session:
            verdict.phantom.append(f"{where}, to the session that it excludes")
        if self.numbers.surely_old(message, stream.began):
            verdict.phantom.append(f"{where}, over before this connection was asked for")
        shut = self._shut(device, message.attempted)
        if shut is not None:
            verdict.after_revoke.append(f"{where}, sent {message.attempted - shut:.3f} s after its user was shut out")

    def _number(self, message, seq, n, own, how):
        """One message has one seq and one number, and they are its own."""
        number, known = (n, message.n) if message.user is None else (own, message.own)
        verdict, text = self._verdict, f"id {message.id} {how} as seq {seq} number {number}"
        if message.seq is not None and message.seq != seq:
            verdict.repeated.append(f"{text}, and before as seq {message.seq}")
        elif number is not None and known is not None and known != number:
            verdict.reused.append(f"{text}, and before as number {known}")
        holder = self._by_seq.setdefault(seq, message.id)
        if holder != message.id:
            verdict.reused.append(f"{text}: that seq is id {holder}'s")
        if number is not None:
            holder = self._by_n.setdefault((message.room, message.user, number), message.id)
            if holder != message.id:
                verdict.reused.append(f"{text}: that number in {message.room} is id {holder}'s")
        if message.seq is None or message.number is None:
            message.seq = message.seq or seq
            message.n = message.n or n
            message.own = message.own or own
            self.numbers.line(message.room, message.user).changed()

    def _same(self, where, seq, obj):
        content = hash(json.dumps([obj.get(name) for name in ("type", "n", "direct_n", "data")], sort_keys=True))
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
        if stream.own_state and stream.after is not None:
            self._verdict.repeated.append(f"{where}, though the device keeps its position")
            return
        since = device.had(seq, device.got[seq])
        if since is None:
            return
        spans = device.spans(since, stream)
        age = max((end for _, _, end in spans), default=since) - since
        self.oldest_repeat = max(self.oldest_repeat, age)
        device.goes_back(seq, self._clock())
        where = f"{where}, {age:.1f} s before its connection ended"
        if not self._exact:
            self._old.append((where, spans))
        elif self.settled(spans, stream.welcomed, device.acks):
            self._verdict.repeated.append(where)

    def _beyond_window(self, spans, _returned=None, _acknowledged=False):
        ended = max((end for _, _, end in spans), default=None)
        since = min((begin for _, begin, _ in spans), default=None)
        return ended is not None and since < min(ended, self.last_write(ended) + 5.0) - self.window

    def _jump(self, stream, where, direct, jumped, fresh):
        """Missing unless a gap on an earlier connection said so, or it is known by the end that each was not for this
        session. fresh: an earlier one may be meant."""
        device = stream.device
        silent = [number for number in jumped if not (fresh and number in device.told[direct])]
        if silent:
            sessions = set(device.sessions) if fresh else {stream.session}
            self._jumps.append((device.room, device.user if direct else None, sessions, where, silent))

    def _unexplained(self):
        for room, user, sessions, where, jumped in self._jumps:
            line = self.numbers.line(room, user)
            silent = [n for n in jumped if line.get(n) is None or line.get(n).exclude not in sessions]
            if silent:
                yield f"{where}: nothing said of {silent[0]} to {silent[-1]}"

    def _owed(self, device):
        """Stored messages that should have come to this device, and did not."""
        last = device.streams[-1] if device.streams else None
        if last is None or device.first_visit is None:
            return []
        stays = (last.stays or last.open) and self._shut(device, float("inf")) is None
        room = self._rooms[device.room]
        device.due += room[device.looked:]
        device.looked = len(room)
        device.due = [message for message in device.due if message.seq is None or not self._done(device, message)]
        return [message for message in device.due
                if message.seq is not None and (stays or message.seq <= device.newest)]

    def _done(self, device, message):
        """It is not for this device, or it has it, or is told: whatever comes, it need not get it any more."""
        if message.seq in device.got or message.user not in (None, device.user) or message.exclude in device.sessions:
            return True
        if any(above < message.seq <= to and (when is None or self.numbers.may_be_gone(message, when))
               for above, to, when in device.skipped):
            return True
        return self.numbers.number(message) in device.told[message.user is not None]
