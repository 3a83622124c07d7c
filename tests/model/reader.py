"""What one client may be told of one room, on one connection: each message for it once, in order, and each that is no
more in a gap, once, before what follows it.

A position is a pair: all to everyone up to its first number, and all to its user up to the second, are settled.
"""


class Mismatch(Exception):
    """What was seen cannot be."""


def need(condition, text, *values):
    if not condition:
        raise Mismatch(text % values)


def further(a, b):
    return max(a[0], b[0]), max(a[1], b[1])


def nearer(a, b):
    return min(a[0], b[0]), min(a[1], b[1])


class Reader:
    """After a join: `least` and `most` say where it may begin; the first thing that it is told shows where it did."""

    def __init__(self, room, user, name, client):
        self.room, self.user, self.name, self.client = room, user, name, client
        self.least, self.most = [0, 0], [0, 0]
        self.begins = [[], []]   # numbers behind which it began to read without a gap
        self.start = None        # where it began, once that is known
        self.seq = 0
        self.got = []            # messages, in order,
        self.marks = []          # and how far it had been told with each
        self.holes = 0           # gaps told of what is not retained

    def begin(self, least, most):
        self.least, self.most = list(least), list(most)
        self.first = tuple(least)
        self.start = [None, None]
        self.begins = [[], []]
        self.holes = 0

    @property
    def told(self):
        for which in (0, 1):
            self._skip_excluded(which)
        return tuple(self.most)

    def _log(self, which):
        return self.room.log_of(self.user if which else None)

    def _skip_excluded(self, which):
        """What was sent by this client is passed over without a word, or lies in a gap."""
        log = self._log(which)
        while self.most[which] < len(log) and log[self.most[which] + 1].excluded is self.client:
            self.most[which] += 1

    def _move(self, which, first, to, what):
        """The next that it is told of this log begins with this number."""
        self._skip_excluded(which)
        need(self.least[which] < first <= self.most[which] + 1, "%s: %s begins with %s, expected %s..%s", self.name,
             what, first, self.least[which] + 1, self.most[which] + 1)
        if self.start is not None and self.start[which] is None:
            self.start[which] = first - 1
            self.begins[which].append(first - 1)
        self.least[which] = self.most[which] = to

    def settle_start(self):
        """It was told nothing more of the join: where it began is as far as it could be."""
        for which in (0, 1):
            if self.start[which] is None:
                self.start[which] = self.most[which]
                self.begins[which].append(self.most[which])
                self.least[which] = self.most[which]

    def start_low(self):
        """The least that it can have begun behind: what it sent itself may have been passed over."""
        low = list(self.start)
        for which in (0, 1):
            log = self._log(which)
            while low[which] > self.first[which] and log[low[which]].excluded is self.client:
                low[which] -= 1
        return tuple(low)

    def update(self, frame, now, late):
        """late: it, or what feeds it, had stopped; what it gets may be older than what it could ask for."""
        direct = bool(frame.get("direct"))
        log = self._log(direct)
        message = next((m for m in log.messages if m.seq == frame.get("seq")), None)
        need(message is not None, "%s: an update that is not for it: %s", self.name, frame)
        need(frame.get("id") == message.id and frame["data"].get("t") == message.text and
             frame["type"] == "note_update", "%s: not what was stored: %s", self.name, frame)
        if direct:
            need("n" not in frame and frame.get("direct_n") == message.number, "%s: numbers of a direct one: %s",
                 self.name, frame)
        else:
            need("direct_n" not in frame and frame.get("n") == message.number, "%s: numbers: %s", self.name, frame)
        need(message.excluded is not self.client, "%s: its own message: %s", self.name, frame)
        need(late or not message.dead(now), "%s: a message that has expired: %s", self.name, frame)
        need(message.seq > self.seq, "%s: not in order: %s after %s", self.name, message.seq, self.seq)
        self.seq = message.seq
        self._move(direct, message.number, message.number, "an update")
        self._skip_excluded(not direct)
        need(self._log(not direct).upto(message.seq) <= self.most[not direct], "%s: %s came, and nothing was said of what "
             "was before it", self.name, message.id)
        self.got.append(message)
        self.marks.append(tuple(self.most))

    def gap(self, data, now, late):
        direct = bool(data.get("direct"))
        first, to, reason = data["from"], data["to"], data["reason"]
        user = self.user if direct else None
        log = self._log(direct)
        need(first <= to <= len(log) and data["count"] == to - first + 1, "%s: no gap: %s", self.name, data)
        need(reason in ("limit", "expired"), "%s: reason of a gap: %s", self.name, data)
        self._move(direct, first, to, "a gap (%s)" % (data,))
        if first == to and log[to].dead(now) and reason == "expired":
            # it is dead in its place
            need(log[to].excluded is not self.client or not self.room.retains(log[to], now), "%s: a gap of its own: %s",
                 self.name, data)
            if not self.room.retains(log[to], now):
                self.begins[direct].append(to)
                self.holes += 1
            return
        need(to < self.room.oldest(user, now), "%s: a gap of what is retained: %s", self.name, data)
        need(late or reason in self.room.reasons(user, now), "%s: a gap's reason: %s, expected %s", self.name, data,
             self.room.reasons(user, now))
        self.holes += 1
        self.begins[direct].append(to)

    def owed(self, now):
        """What is retained and it was not told."""
        for which in (0, 1):
            self._skip_excluded(which)
        return [m for m in self.room.retained(self.user, now)
                if m.number > self.most[1 if m.to else 0] and m.excluded is not self.client]
