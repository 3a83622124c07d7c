"""The messages of a store, and what follows from them alone: what is retained, what is gone and why, what is known.

Nothing is kept but every message there ever was; each question is answered by looking at them again. Times are ms.
"""
from dataclasses import dataclass, field

TIMES = 10  # so many times the limit is known of what is no more, and retained of the direct messages of all


@dataclass(eq=False)
class Message:
    seq: int
    room: str
    id: str
    text: str
    to: str          # "": to everyone
    number: int      # among those to everyone in its room, or among those to its user there
    at: int
    expires: int     # 0: never
    excluded: object  # the client that does not get it
    size: int = 0

    def dead(self, now):
        return self.expires != 0 and self.expires <= now


@dataclass(eq=False)
class Log:
    """The messages to everyone, or those to one user."""
    messages: list = field(default_factory=list)

    def __len__(self):
        return len(self.messages)

    def __getitem__(self, number):
        return self.messages[number - 1]

    def upto(self, seq):
        """The number of the newest that is not above this seq."""
        count = 0
        for message in self.messages:
            if message.seq <= seq:
                count = message.number
        return count


class Room:
    def __init__(self, name, limit, ttl):
        self.name, self.limit, self.ttl = name, limit, ttl
        self.everyone = Log()
        self.own = {}      # user -> Log
        self.directs = []  # of all users, oldest first
        self.head = 0      # seq of the newest message

    def log(self, user):
        return self.own.setdefault(user, Log())

    def add(self, message):
        self.head = message.seq
        if message.to:
            self.directs.append(message)
            self.log(message.to).messages.append(message)
        else:
            self.everyone.messages.append(message)

    def cut(self, head):
        """An older copy of the store was put back."""
        for log in [self.everyone, *self.own.values()]:
            log.messages = [message for message in log.messages if message.seq <= head]
        self.directs = [message for message in self.directs if message.seq <= head]
        self.head = max([m.seq for log in [self.everyone, *self.own.values()] for m in log.messages], default=0)

    def fresh(self, message, now):
        return message.at >= now - self.ttl

    def oldest(self, user, now):
        """The number of the oldest retained, of those to everyone (user None) or of those to this user; one more than
        there are where none is."""
        if user is None:
            log, kept = self.everyone, self.everyone.messages[-self.limit:]
        else:
            log = self.log(user)
            newest = self.directs[-TIMES * self.limit:]
            kept = [message for message in log.messages[-self.limit:] if message in newest]
        for message in kept:
            if self.fresh(message, now):
                return message.number
        return len(log) + 1

    def log_of(self, user):
        return self.everyone if user is None else self.log(user)

    def retains(self, message, now):
        return message.number >= self.oldest(message.to or None, now)

    def retained(self, user, now):
        """What this user may have now, in order."""
        found = self.everyone.messages[self.oldest(None, now) - 1:] + self.log(user).messages[self.oldest(user, now) - 1:]
        return sorted(found, key=lambda message: message.seq)

    def reasons(self, user, now):
        """Why what precedes the retained may be said to be no more."""
        kept = len(self.log_of(user)) + 1 - self.oldest(user, now)
        if kept >= self.limit:
            return ("limit",)
        if user is None or len(self.directs) < TIMES * self.limit:
            return ("expired",)
        held = sum(self.retains(message, now) for message in self.directs)
        # Others' may have been so many once that these had to go.
        return ("limit",) if held >= TIMES * self.limit else ("limit", "expired")

    def known_from(self, user):
        """From this number on it is known which seq each message had."""
        return max(len(self.log_of(user)) - TIMES * self.limit, 0) + 1

    def place(self, user, seq):
        """(least, most): the number of the newest message that is not above this seq, as exactly as it may be told. What
        was forgotten is told by a lower bound."""
        log = self.log_of(user)
        number, known = log.upto(seq), self.known_from(user)
        if number >= known or known == 1 or seq == 0:
            return number, number
        return 0, number


def ranges(numbers):
    """[1, 2, 3, 7] is [(1, 3), (7, 7)]."""
    found = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
