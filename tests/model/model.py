"""The reference model: what a hub and its edges are to do, in the plainest words, and what must be seen of it.

It follows a history step by step and is shown what was seen at each; what cannot be is a Mismatch. Where more than one
answer is right it keeps the least and the most that may be (`low`, `high`), and accepts what lies between: so it is with
what a killed hub had not written yet, and with a client's own acknowledgment that its edge could not place.

Of a device: `at`, what all its open sessions have confirmed; `trail`, when that was so; `resume`, where it goes on.
"""
from rules import Message, Room
from reader import Reader, Mismatch, further, nearer, need

SILENCE, DEAD, DEVICES = 10000, 5000, 16
NEVER = 1 << 62
SETTLED_LEAST = SETTLED_MOST = 5000  # a device resumes from where it was so long ago


class Standing:
    """Where a device is, as low or as high as it may be."""

    def __init__(self, at, now):
        self.at = self.resume = self.acked = at
        self.trail = [(now, at)]

    def begin(self, now):
        """It counts from now on."""
        self.trail = [(now, self.at)]

    def copy(self, now):
        other = Standing(self.at, now)
        other.resume = other.acked = self.resume
        return other

    def when(self, then):
        """What `at` was at that time."""
        found = self.trail[0][1] if self.trail[0][0] <= then else (0, 0)
        for time, at in self.trail:
            if time <= then:
                found = at
        return found

    def move(self, at, now):
        if further(self.at, at) != self.at:
            self.at = further(self.at, at)
            self.trail.append((now, self.at))


class Device:
    def __init__(self, room, user, name, at, now, wall):
        self.room, self.user, self.name = room, user, name
        self.low, self.high = Standing(at, now), Standing(at, now)
        self.had = [(at[0], at[0]), (at[1], at[1])]  # of each log the newest run that it was delivered
        self.got = set()   # what it was delivered, run or not
        self.sessions = []
        self.seen = self.least_seen = wall  # when it was last connected, and what is surely noted of that
        self.doubtful = False  # over its age, and maybe forgotten
        self.derived = self.ahead = False
        self.stored = None
        self.coming = 0  # so many of its sessions return with one edge, and have not yet

    def advance(self, now):
        """After anything that its sessions confirmed, and as time goes by."""
        if not self.sessions:
            return
        low = [session.known_low for session in self.sessions]
        high = [session.known_high for session in self.sessions]
        together = low[0]
        for at in low:
            together = nearer(together, at)
        if self.coming == 0:
            self.low.move(together, now)
            settled = further(self.low.when(now - SETTLED_MOST), self.low.acked)
            self.low.resume = further(self.low.resume, nearer(together, settled))
        self.advance_high(high, now)

    def advance_high(self, confirmed, now):
        together = confirmed[0]
        for at in confirmed:
            together = nearer(together, at)
        self.high.move(together, now)
        settled = further(self.high.when(now - SETTLED_LEAST), self.high.acked)
        self.high.resume = further(self.high.resume, nearer(together, settled))

    def end_in_turn(self, ending, now):
        """Each of those that end together may be the last, and count then with those alone that stay."""
        staying = [session.known_high for session in self.sessions if session not in ending]
        for session in ending if len(ending) > 1 else []:
            self.advance_high([session.known_high, *staying], now)

    def delivered(self, log, begun, upto):
        """By the least that is to be remembered: of each log the newest run without a gap."""
        first, to = self.had[log]
        if begun > to:
            self.had[log] = (begun, max(begun, upto))
        elif upto > begun and upto >= first:
            self.had[log] = (min(begun, first), max(upto, to))

    def surely_has(self, message):
        first, to = self.had[1 if message.to else 0]
        return message in self.got and first < message.number <= to

    def write(self):
        # That one is still connected is not noted where nothing else is to be.
        self.stored = (self.low.at, self.low.resume, list(self.had), self.seen, self.least_seen)

    def forget_unwritten(self, now, clock_was_set):
        at, resume, had, self.seen, self.least_seen = self.stored
        self.low = Standing(at, NEVER)  # until it is there again
        self.low.resume = self.low.acked = resume
        self.had = list(had)
        self.sessions = []
        if clock_was_set:
            self.high.acked = further(self.high.acked, self.high.at)  # by the clock it was there long ago

    def join(self, session, now):
        if self.low.trail[0][0] == NEVER:
            self.low.begin(now)
        self.sessions.append(session)


class Session:
    """One room on one connection."""

    def __init__(self, client, room, device_name, request):
        self.client, self.room, self.device_name = client, room, device_name
        self.reader = Reader(room, client.user, "%s in %s" % (client.name, room.name), client)
        self.device = None
        self.request = request  # until joined
        self.joined = None      # the step's data of `connect`
        self.counted = False    # the hub knows it
        self.low = self.high = (0, 0)              # confirmed, as its edge knows
        self.known_low = self.known_high = (0, 0)  # as the hub knows
        self.acked_low = self.acked_high = None
        self.live = None   # the newest that came as it was stored
        self.order = None  # a close that is on its way to a stopped edge
        self.opened = 0    # when

    def told(self):
        return self.reader.told


class Client:
    def __init__(self, name, edge, user, device, derived, sure, claims):
        self.name, self.edge, self.user, self.device = name, edge, user, device
        self.derived, self.sure, self.claims = derived, sure, claims
        self.sessions = []   # in the order in which they were asked for
        self.pings = []      # (seq of the newest update, {session: (told, count of messages)})
        self.seq = 0
        self.many = False
        self.frozen = False
        self.late = False    # something was in its way since it was up to date
        self.connected = False
        self.refused = None  # codes of an error that it must be told
        self.close = None    # how it must end
        self.ended = []      # rooms that it is told not to watch any more, and why

    def session(self, room):
        return next((s for s in self.sessions if s.room.name == room), None)


class Edge:
    def __init__(self, number, now):
        self.number = number
        self.stopped = self.away = False
        self.known = True       # to the hub, as who it is
        self.heard = now        # by the hub
        self.stopped_at = self.epoch = None
        self.clients = {}
        self.left = []          # (when, session) that ended while the hub was not there, or a moment before

    @property
    def there(self):
        return not self.stopped and not self.away


class Base:
    """What there is; steps.py says what each step does to it."""

    def __init__(self, world):
        get = lambda name, otherwise: int(world.get(name, otherwise))
        self.limit, self.ttl = get("limit", 5), get("ttl", 604800) * 1000
        self.cursor_ttl = get("cursors", 2592000) * 1000
        self.id_count, self.id_window = get("ids", 1000000), get("window", 86400) * 1000
        self.either, self.lmdb = "either" in world, world.get("engine") == "lmdb"
        self.wall = self.mono = 0
        self.rooms, self.devices, self.owners = {}, {}, {}
        self.ids = []      # (room, id, message, to, text, wall), oldest first
        self.last = {}     # id -> message, for steps that name one
        self.head = 0
        self.epoch = self.first_epoch = None
        self.edges = [Edge(i, 0) for i in range(get("edges", 2))]
        self.poll_last = 0
        self.waits = {}    # polls that were not answered yet
        self.backup = None
        self.clock_was_set = False
        self.lost = {}     # (room, user) -> the newest seq when the right to watch was lost

    def room(self, name):
        if name not in self.rooms:
            self.rooms[name] = Room(name, self.limit, self.ttl)
        return self.rooms[name]

    def client(self, name):
        return next((edge.clients[name] for edge in self.edges if name in edge.clients), None)

    def clients(self):
        return [client for edge in self.edges for client in edge.clients.values()]

    def may(self, room, user, claimed):
        state = self.owners.get((room, user))
        if state == "deny":
            return False
        return state == "grant" or (self.either and claimed)

    def devices_of(self, room, user=None):
        return [d for d in self.devices.values() if d.room is room and (user is None or d.user == user)]

    # ---- sessions begin and end

    def leave_all(self, sessions, now, write=True, together=False):
        """The hub ends them, in an order of its own, or together."""
        for session in sessions:
            session.device.advance(now)
        for device in {session.device for session in sessions if not together}:
            device.end_in_turn([session for session in sessions if session.device is device], now)
        for session in sessions:
            session.counted = False
            session.device.sessions.remove(session)
        for device in {session.device for session in sessions}:
            device.advance(now)
            device.seen = device.least_seen = self.wall
            if write:
                device.write()

    def write_all(self, room=None):
        for device in self.devices.values():
            if room is None or device.room is room:
                if device.sessions:
                    device.seen = self.wall
                if room is None:
                    device.advance(self.mono)
                device.write()

    def tell(self, session):
        """What its edge knows of it is told to the hub."""
        session.known_low = further(further(session.known_low, session.low), session.acked_low or (0, 0))
        session.known_high = further(session.known_high, session.high)
        device = session.device
        if session.acked_low is not None:
            device.low.acked = further(device.low.acked, session.acked_low)
        if session.acked_high is not None:
            device.high.acked = further(device.high.acked, session.acked_high)
        for log in (0, 1):
            self.maybe_begun_anew(session, log)
            upto = session.known_low[log]
            begun = [begin for begin in session.reader.begins[log] if begin <= upto]
            if begun:
                device.delivered(log, max(begun), upto)
        device.got.update(m for m in session.reader.got if m.number <= session.known_high[1 if m.to else 0])
        device.advance(self.mono)

    @staticmethod
    def maybe_begun_anew(session, log):
        """A run that may have begun behind a gap is remembered in the place of the one before."""
        upto, device = session.known_high[log], session.device
        begun = max([begin for begin in session.reader.begins[log] if begin <= upto], default=0)
        if upto >= begun > device.had[log][1]:
            device.had[log] = (begun, begun)

    # ---- joining

    def find_device(self, session):
        return self.devices.get((session.room.name, session.client.user, session.device_name))

    def takeover(self, session):
        """An explicit device has one connection in a room."""
        device = self.find_device(session)
        if session.client.derived or device is None or device.derived:
            return
        rivals = list(device.sessions)
        self.leave_all(rivals, self.mono, write=False)
        for rival in rivals:
            self.order(rival, 4001, "replaced")

    def order(self, session, code, reason):
        """The hub tells the edge to end it."""
        edge = self.edges[session.client.edge]
        if session.client.name not in edge.clients or edge.clients[session.client.name] is not session.client:
            return  # its edge was killed
        if edge.stopped:
            session.order = (code, reason)
        elif edge.there:
            self.end(session, code, reason)

    def end(self, session, code, reason):
        """Its edge ends it."""
        client = session.client
        if len(client.sessions) == 1:
            client.close = (code, reason)
            return
        client.sessions.remove(session)
        client.ended.append((session.room.name, reason))

    def foreign(self, after, epoch):
        return (epoch is not None and epoch != self.epoch) or after > self.head

    def stand(self, session, device):
        """(resume, least, most): where it begins, gaps not counted; resume None: exact or gap."""
        room, user, request = session.room, session.client.user, session.request
        after, epoch = request["after"], request["epoch"]
        fresh = (room.oldest(None, self.wall) - 1, room.oldest(user, self.wall) - 1)
        if after is not None and after != "new" and self.foreign(after, epoch):
            return "reset", fresh, fresh
        if after == "new":
            head = (len(room.everyone), len(room.log(user)))
            return "new", head, head
        if after == 0 and epoch is None:
            return "new", fresh, fresh
        if after is not None:
            places = room.place(None, after), room.place(user, after)
            return None, tuple(p[0] for p in places), tuple(p[1] for p in places)
        if device is None:
            return "new", fresh, fresh
        if device.ahead:
            return "reset", fresh, fresh
        return None, device.low.resume, device.high.resume

    def welcome(self, session, data):
        """It has been let in, and told so."""
        device, client, room = self.find_device(session), session.client, session.room
        if device is not None and device.doubtful:
            if data["resume"] == "new" and session.request["after"] is None:
                del self.devices[(room.name, client.user, session.device_name)]
                device = None
            else:
                device.doubtful = False
        resume, least, most = self.stand(session, device)
        need(data["epoch"] == self.epoch, "%s: epoch %s", client.name, data["epoch"])
        need(data["user_id"] == client.user and data["device"] == session.device_name, "%s: whose is %s", client.name,
             data)
        need(data["head"] == room.head, "%s: head %s, expected %s", client.name, data["head"], room.head)
        oldest = room.oldest(None, self.wall)
        oldest = room.everyone[oldest].seq if oldest <= len(room.everyone) else 0
        need(data["oldest"] == oldest, "%s: oldest %s, expected %s", client.name, data["oldest"], oldest)
        need(data["resume"] in ([resume] if resume else ["exact", "gap"]), "%s: resume %s, expected %s", client.name,
             data["resume"], resume or "exact or gap")
        session.joined = data
        session.resume = resume
        session.counted = True
        session.reader.begin(least, most)
        session.reader.seq = 0

    def joined(self, session):
        """What came with the join has been read: where it began is known now."""
        reader, data, client = session.reader, session.joined, session.client
        holes, count = reader.holes, len(reader.got)
        for log, user in ((0, None), (1, client.user)):
            untold = reader.start[log] is None and reader.most[log] + 1 < session.room.oldest(user, self.wall)
            need(not untold, "%s: a gap was not told: it begins behind %s of %s", client.name, reader.most[log],
                 ("those to everyone", "its own")[log])
        reader.settle_start()
        start, start_low = tuple(reader.start), reader.start_low()
        need(data["resume"] == (session.resume or ("gap" if holes else "exact")), "%s: resume %s and %d gaps",
             client.name, data["resume"], holes)
        need(not session.resume or holes == 0, "%s: %d gaps, and resume is %s", client.name, holes, data["resume"])
        own = sum(m.excluded is client for m in session.room.retained(client.user, self.wall))
        need(count <= data["replaying"] <= count + own, "%s: replaying %s, but %d came", client.name, data["replaying"],
             count)
        device = self.find_device(session)
        if device is None:
            device = self.add_device(session, start_low)
            device.high = Standing(start, self.mono)
        elif data["resume"] == "new" and session.request["after"] == "new":
            for standing in (device.low, device.high):
                if further(standing.resume, start) != standing.resume:
                    standing.at = standing.resume = standing.acked = further(standing.resume, start)
                    standing.trail = [(self.mono, standing.at)]
                    device.had = [(start[0], start[0]), (start[1], start[1])]
        elif session.request["after"] is None and session.resume is None:
            device.low.resume, device.high.resume = start_low, start
        device.derived = client.derived
        device.seen = self.wall
        session.device = device
        device.join(session, self.mono)
        # One that begins anew says nothing of what is gone before that.
        anew = session.resume == "reset" or session.resume == "new" and session.request["after"] != "new"
        low = nearer(device.low.resume, start_low) if anew else start_low
        high = nearer(device.high.resume, start) if anew else start
        session.low, session.high = session.known_low, session.known_high = low, high
        if client.sure:
            session.acked_low, session.acked_high = low, high
            device.low.acked, device.high.acked = further(device.low.acked, low), further(device.high.acked, high)
        session.request = session.joined = None
        device.advance(self.mono)

    def add_device(self, session, at):
        room, user = session.room, session.client.user
        mine = [d for d in self.devices_of(room, user)]
        while len(mine) >= DEVICES:
            idle = [d for d in mine if not d.sessions]
            if not idle:
                break
            gone = min(idle, key=lambda d: d.seen)
            mine.remove(gone)
            del self.devices[(room.name, user, gone.name)]
        device = Device(room, user, session.device_name, at, self.mono, self.wall)
        device.derived = session.client.derived
        self.devices[(room.name, user, session.device_name)] = device
        device.write()
        return device
