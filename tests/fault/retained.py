"""The numbers of messages: `n` counts a room's messages to everyone, `direct_n` those to one user in it, both 1, 2, …

What is retained: of each of the two the newest `limit`, of all direct ones of a room together the newest ten times
that, none older than `ttl`; one with a `ttl` of its own is over after that. When exactly a message was stored nobody
outside knows: not before it was attempted, not after it was answered. So there are two questions, whether it may be
gone and whether it surely is, and whoever accuses asks the one that the accused can live with.
"""
import bisect
import collections
from dataclasses import dataclass

HISTORY_TIMES = 10
CLOCKS = 0.1  # seconds: ages are of the wall clock, in milliseconds


@dataclass
class Message:
    """One that a sender named: its numbers are known once it was answered, or seen."""
    id: str
    room: str
    user: str = None
    exclude: str = None
    ttl: float = None
    attempted: float = 0.0
    answered_at: float = None
    seq: int = None
    n: int = None
    own: int = None
    seen: bool = False

    @property
    def number(self):
        return self.n if self.user is None else self.own


class Line:
    """The messages of one numbering."""

    def __init__(self):
        self.messages = []
        self._tables = None

    def changed(self):
        self._tables = None

    def _look(self):
        if self._tables is not None:
            return self
        self._tables = True
        known = sorted((m for m in self.messages if m.seq is not None), key=lambda m: m.seq)
        if len(known) == len(self.messages):  # what nobody has seen has the number of its place
            for rank, message in enumerate(known, 1):
                if message.user is not None and message.own is None:
                    message.own = rank
        known = [m for m in known if m.number is not None]
        self.by_number = {m.number: m for m in known}
        self.seqs, self._at = [m.seq for m in known], [m.number for m in known]
        known.sort(key=lambda m: m.attempted)
        self._attempts, self._most, most = [m.attempted for m in known], [], 0
        for message in known:
            most = max(most, message.number)
            self._most.append(most)
        return self

    def get(self, number):
        return self._look().by_number.get(number)

    def at(self, seq):
        """The number of the newest up to this seq."""
        index = bisect.bisect_right(self._look().seqs, seq)
        return self._at[index - 1] if index else 0

    def most(self, when):
        """The highest number that can have been given by then."""
        index = bisect.bisect_right(self._look()._attempts, when)
        return self._most[index - 1] if index else 0

    def misnumbered(self):
        """The first whose place among all is not its number; None also when some are not known."""
        known = sorted((m for m in self.messages if m.seq is not None), key=lambda m: m.seq)
        if len(known) < len(self.messages):
            return None
        return next((m for rank, m in enumerate(known, 1) if m.number not in (None, rank)), None)


class Numbers:
    """All lines. limit None: what is retained is not known here, and all may be gone."""

    def __init__(self, limit=None, ttl=None):
        self.limit, self.ttl = limit, ttl
        self.lines = collections.defaultdict(Line)       # (room, user or None)
        self._directs = collections.defaultdict(list)    # room -> messages

    def add(self, message):
        self.lines[message.room, message.user].messages.append(message)
        if message.user is not None:
            self._directs[message.room].append(message)

    def line(self, room, user=None):
        return self.lines[str(room), user]

    def number(self, message):
        """Also of one that nobody has seen, where that is known."""
        if message.number is None:
            self.line(message.room, message.user).at(0)
        return message.number

    def age(self, message):
        """How old it can get; None: as old as it likes."""
        return min((age for age in (message.ttl, self.ttl) if age is not None), default=None)

    def may_be_old(self, message, when):
        age = self.age(message)
        return age is not None and message.attempted + age <= when + CLOCKS

    def surely_old(self, message, when):
        age = self.age(message)
        return age is not None and message.answered_at is not None and message.answered_at + age + CLOCKS < when

    def may_be_beyond(self, message, when):
        """The limit: so many newer ones can have been stored by then."""
        if self.limit is None:
            return True
        newer = self.line(message.room, message.user).most(when) - (message.number or 0)
        if newer >= self.limit or message.user is None:
            return newer >= self.limit
        return self._newer_directs(message, lambda m: m.attempted <= when) >= HISTORY_TIMES * self.limit

    def may_be_gone(self, message, when):
        return self.may_be_old(message, when) or self.may_be_beyond(message, when)

    def surely_trimmed(self, message, when):
        """Not merely over by its own ttl: such a one stays where it is, and is told in its place."""
        if self.limit is None:
            return False
        def stored(m):
            return m.answered_at is not None and m.answered_at < when
        newer = sum(1 for m in self.line(message.room, message.user).messages
                    if stored(m) and m.number is not None and m.number > message.number)
        beyond = newer >= self.limit or message.user is not None and (
            self._newer_directs(message, stored) >= HISTORY_TIMES * self.limit)
        return beyond or self.ttl is not None and stored(message) and message.answered_at + self.ttl + CLOCKS < when

    def _newer_directs(self, message, counts):
        return sum(1 for m in self._directs[message.room] if m.seq is not None and m.seq > message.seq and counts(m))

    def beyond_history(self, line, seq, head):
        """So far back that only a lower bound of the number at this seq need be known."""
        return self.limit is None or line.at(head) - line.at(seq) >= HISTORY_TIMES * self.limit
