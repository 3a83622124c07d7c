"""What the judge keeps of a device in a room, and of each of its connections; what a client says to it."""
from gaps import Track


class Device:
    """What a device got in a room, over all its connections."""

    def __init__(self, name, room):
        self.name, self.room = name, room
        self.streams = []
        self.first_visit = None               # the stream
        self.got, self.first = {}, {}         # seq -> when it came last, and when first
        self.numbers = {False: {}, True: {}}  # direct or not: number -> (when it came last, seq)
        self.last = {False: None, True: None} # the newest number it got, or was told to miss
        self.told = {False: set(), True: set()}
        self.newest = 0      # seq
        self.skipped = []    # (above, up to, when): seqs that it did not ask for; when: those gone by then
        self.due = []        # messages of the room that it has neither got nor need get, as far as was looked:
        self.looked = 0      # at so many of them
        self.confirms = []   # (when, seq)
        self.backs = []      # (when, seq), both rising: its position proved to be before that
        self.acks = False    # it acknowledges itself
        self.user = None
        self.sessions = set()

    def take(self, seq, direct, number, now):
        self.got[seq] = now
        self.first.setdefault(seq, now)
        self.newest = max(self.newest, seq)
        if number is not None:
            self.numbers[direct][number] = now, seq
            self.last[direct] = max(self.last[direct] or 0, number)

    def since(self, direct, number):
        """When it had got (or acknowledged, where it does that itself) this number or one that follows; None: never."""
        had = (self.had(seq, when) for when, seq in self._later(direct, number))
        return min((when for when in had if when is not None), default=None)

    def seq_of(self, direct, number):
        """The seq of the first that it got of this number and those that follow."""
        return min((seq for _, seq in self._later(direct, number)), default=self.newest)

    def _later(self, direct, number):
        known = self.numbers[direct]
        return [known[other] for other in range(number, (self.last[direct] or 0) + 1) if other in known]

    def had(self, seq, got):
        """When it had what came (last) then. What one acknowledged itself it has to again when that was lost."""
        if not self.acks:
            return got
        return self.acknowledged(seq, max([got] + [when for when, back in self.backs if back <= seq]))

    def goes_back(self, seq, now):
        """What was acknowledged before counts no more from this seq on: it was repeated, or told to be missed."""
        while self.backs and self.backs[-1][1] >= seq:
            self.backs.pop()
        self.backs.append((now, seq))

    def acknowledged(self, seq, since=0.0):
        return min((when for when, upto in self.confirms if upto >= seq and when >= since), default=None)

    def spans(self, since, before):
        """(process that served it, from, to) of what it was connected and read since then, before that stream."""
        found, after = [], before
        for stream in reversed(self.streams):
            if stream is before or stream.began > before.began:
                continue
            if stream.welcomed is not None:
                found += [(stream.place, max(begin, since), end) for begin, end in stream.pieces(after.began)
                          if end > since]
            if stream.began <= since:
                break
            after = stream
        return found[::-1]


class Stream:
    """One room on one connection, from its join on."""

    def __init__(self, device, after, own_state, began, place=None, page=False):
        self.device, self.after, self.own_state, self.began = device, after, own_state, began
        self.place, self.page = place, page
        self.ended = None
        self.stays = False
        self.leaves = self.well = False  # the client closed, in good order
        self.resume = self.session = self.welcomed = None
        self.head = self.oldest = 0
        self.seq = 0
        self.seqs = set()
        self.tracks = {False: Track(), True: Track()}
        self.pauses = []     # (from, to): it did not read
        self.unread = False  # and does not now

    @property
    def told(self):
        return any(track.told for track in self.tracks.values())

    @property
    def open(self):
        return self.ended is None

    def welcome(self, data, session, now):
        self.resume, self.head, self.oldest = data["resume"], data["head"], data.get("oldest") or 0
        self.welcomed, self.session = now, session
        if session is not None:
            self.device.sessions.add(session)

    def start(self, first):
        """The seq above which all is owed; None: from where the device was."""
        if self.after == "new":
            return self.head
        retained = self.oldest - 1 if 0 < self.oldest <= self.head else self.head
        if self.resume == "reset":
            return retained
        if self.after is not None:
            return max(int(self.after), retained) if first else int(self.after)
        return retained if first else None

    def pieces(self, until):
        """(from, to) of when it was read. A client that acknowledges itself and left in good order had told all."""
        begin, end = self.welcomed, until if self.ended is None else min(self.ended, until)
        for paused, resumed in self.pauses:
            if begin < min(paused, end):
                yield begin, min(paused, end)
            begin = resumed
        if self.device.acks and self.well:
            end = until
        if begin < end:
            yield begin, end


class Connection:
    """What one connection of a device received; made by History.connect()."""

    def __init__(self, history, device, room, after, **options):
        self._history, self._device, self._options = history, device, options
        self._streams = {}
        self._room = room
        self._session = None
        self._paused = self._resumed = None
        self.subscribe(room, after)

    def subscribe(self, room, after=None):
        """One more room is asked for on this connection."""
        room = str(room)
        with self._history._lock:
            self._streams[room] = self._history._join(self._device, room, after, **self._options)
            self._options["began"] = None

    def unsubscribe(self, room):
        with self._history._lock:
            self._history._leave(self._streams.pop(str(room), None))

    def watches(self, room):
        return str(room) in self._streams

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

    def page(self, answer, first=False):
        """An answer to a poll, as if it were a connection that begins after what the device has, and ends."""
        with self._history._lock:
            self._history._trace("page", self._device, {
                **answer, "messages": [[obj["seq"], obj.get("n"), obj.get("direct_n")] for obj in answer["messages"]]})
            self._history._page(self._streams[self._room], self._device, answer, first)

    def paused(self):
        """It reads nothing: what it does not see meanwhile, also the end, is not its connection's doing."""
        self._paused, self._resumed = self._history._clock(), None
        for stream in self._streams.values():
            stream.unread = True

    def resumed(self):
        if self._paused is not None:
            self._resumed = self._history._clock()
            for stream in self._streams.values():
                stream.pauses.append((self._paused, self._resumed))
                stream.unread = False

    def stayed(self):
        """It has read to the end and may close: it still is owed everything."""
        for stream in self._streams.values():
            stream.stays = True

    def leaves(self):
        """The client is about to close, in good order: what it acknowledged was before that."""
        for stream in self._streams.values():
            stream.leaves = True

    def closed(self, code=None):
        """One that ends in a pause, or as it is over, may have ended when that began."""
        with self._history._lock:
            self._history._trace("closed", self._device, code)
            now = self._history._clock()
            unseen = self._paused is not None and (self._resumed is None or now - self._resumed < 2)
            for stream in self._streams.values():
                self._history._leave(stream, self._paused if unseen else None, code)
