"""Judges gaps both ways: all that was missed is told, and nothing else.

On a WebSocket a gap must not name
  - what this connection brought, or was told to miss, before or after it
  - what is still retained, or was never sent: it counts as gone as soon as it can have been (retained.py)
  - what was gone before the device's first visit, which has missed nothing
  - what the device had surely confirmed: repeats and gaps are bounded alike, for both begin at its position; a device
    that keeps its own position is told what follows exactly that
Its reason is that of the newest: `limit` when so many newer ones can be there, `expired` when it is old enough.

A poll's page, which begins after S and says where it ends (`last`), is exact: what is in (S, last] it brings or tells.
A position older than ten times the limit may be told more, never less.
"""
from dataclasses import dataclass, field

REASONS = ("limit", "expired")


@dataclass
class Gap:
    where: str
    stream: object
    direct: bool
    first: int
    last: int
    count: int
    reason: str
    at: float
    had: bool = False     # the device had confirmed that, or what follows

    @property
    def line(self):
        device = self.stream.device
        return device.room, device.user if self.direct else None

    def __str__(self):
        return f"{self.where}: a {'direct ' if self.direct else ''}gap from {self.first} to {self.last} ({self.reason})"


@dataclass
class Page:
    """What one answer to a poll brought and told."""
    where: str
    stream: object
    after: int
    last: int
    head: int
    first: bool
    brought: dict = field(default_factory=lambda: {False: set(), True: set()})
    gaps: list = field(default_factory=list)


class Track:
    """What a connection has brought of one numbering."""

    def __init__(self):
        self.last = None    # the newest that came or was told to be missed, or what it goes on from
        self.fresh = True   # nothing came yet: it may begin earlier
        self.told = set()

    def begin(self, last):
        self.last = last

    def bring(self, number):
        """(numbers that were passed over, whether a gap had named this one)"""
        jumped = self._jump(number)
        self.last = number if self.fresh else max(self.last or 0, number)
        self.fresh = False
        return jumped, number in self.told

    def tell(self, first, last):
        """(numbers that were passed over, whether some came or were told before)"""
        jumped = self._jump(first)
        again = not self.fresh and self.last is not None and first <= self.last
        self.told.update(range(first, last + 1))
        self.last = last if self.fresh else max(self.last or 0, last)
        self.fresh = False
        return jumped, again

    def _jump(self, number):
        return range(self.last + 1, number) if self.last is not None and number > self.last + 1 else ()


def malformed(gap):
    if not 1 <= gap.first <= gap.last:
        yield f"{gap}: that is no range"
    elif gap.count != gap.last - gap.first + 1:
        yield f"{gap} of {gap.count}"
    if gap.reason not in REASONS:
        yield f"{gap}: that is no reason"


def over_told(numbers, gap):
    """What a gap names that was not missed."""
    line, stream = numbers.line(*gap.line), gap.stream
    if gap.last > line.most(gap.at):
        yield f"{gap}: nothing above {line.most(gap.at)} was sent"
        return
    yield from _not_gone(numbers, line, gap)
    if stream.page:
        return
    if stream.own_state and stream.after is not None:
        had = line.at(stream.after)
        if gap.first <= had and not numbers.beyond_history(line, stream.after, stream.head):
            yield f"{gap}: it asked for what is after seq {stream.after}, number {had}"
        return
    yield from _before_the_first_visit(numbers, line, gap)
    if gap.had:
        yield f"{gap}: it had confirmed {gap.first} long before"


def _not_gone(numbers, line, gap):
    """Retained, or gone for another reason than what is said."""
    if numbers.limit is None:
        return
    last = line.get(gap.last)
    if last is not None and gap.reason == "expired" and not numbers.may_be_old(last, gap.at):
        yield f"{gap}: {gap.last} was {gap.at - last.attempted:.1f} s old at most"
    elif last is not None and gap.reason != "expired" and not numbers.may_be_beyond(last, gap.at):
        yield f"{gap}: {gap.last} is within the limit"
    elif gap.reason == "expired":
        missed = (line.get(number) for number in range(gap.first, gap.last))
        kept = next((m for m in missed if m is not None and not numbers.may_be_gone(m, gap.at)), None)
        if kept is not None:
            yield f"{gap}: {kept.number} is retained"


def _before_the_first_visit(numbers, line, gap):
    visit, streams = gap.stream.device.first_visit, gap.stream.device.streams
    if visit is None:
        return
    # The hub may know the device from a visit before, whose answer did not reach it.
    if any(stream.welcomed is None for stream in streams[:streams.index(visit)]):
        return
    if gap.direct:
        first = line.get(gap.first)
        if first is not None and numbers.surely_trimmed(first, visit.began):
            yield f"{gap}: it was gone before the first visit"
        return
    begin = line.at(visit.oldest) if visit.oldest else line.at(visit.head) + 1
    if gap.first < begin:
        yield f"{gap}: the first visit began with {begin}"


def judge_page(numbers, page):
    """(`silent_gap` or `over_told`, text)"""
    device = page.stream.device
    for direct in (False, True):
        line, brought = numbers.line(device.room, device.user if direct else None), page.brought[direct]
        where = f"{page.where}: after {page.after} up to {page.last}, {'direct' if direct else 'n'}"
        told = set()
        for gap in (gap for gap in page.gaps if gap.direct == direct):
            named = set(range(gap.first, gap.last + 1))
            if named & (told | brought):
                yield "over_told", f"{where}: {min(named & (told | brought))} twice"
            if page.first and gap.reason == "limit":
                yield "over_told", f"{where}: a first page tells of {gap.first} to {gap.last}"
            told |= named
        begin = min(told | brought, default=line.at(page.last) + 1) if page.first else line.at(page.after) + 1
        due = set(range(begin, line.at(page.last) + 1))
        silent = due - told - brought
        if silent:
            yield "silent_gap", f"{where}: nothing said of {min(silent)} to {max(silent)}"
        over = told - due
        if numbers.beyond_history(line, page.after, page.head):
            over = {number for number in over if number > line.at(page.last)}
        if over:
            yield "over_told", f"{where}: {min(over)} to {max(over)} are told"
