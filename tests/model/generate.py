"""Random histories from a seed. The generator only guesses where things stand: what makes no sense changes nothing.

A history has a few of everything, so that what is rare in life meets often: clients that are away while direct messages
are dropped, late PONGs, rights that go, edges that stand still, hubs that are killed before they wrote, time that goes
by, streams that are set back for somebody who comes from further behind, devices that acknowledge and come back again and
again, rights that go while an edge stands still, an older copy of the store that is put back.
"""
import random

USERS, ROOMS = ["ann", "bob", "cid", "dot"], ["1", "2", "r3"]

# How likely is a step of each kind, in the mood of a history.
MOODS = {
    "busy": dict(send=30, direct=20, open=14, close=6, pong=18, ack=3, receipts=6, poll=5, wait=4, age=3),
    "away": dict(send=24, direct=26, open=12, close=10, pong=12, poll=8, wait=5, age=3, crash=2, write=2, receipts=5),
    "slow": dict(send=30, direct=16, open=12, close=3, pong=12, freeze=6, thaw=6, receipts=5, poll=2, age=2, back=6),
    "broken": dict(send=22, direct=14, open=12, close=4, pong=14, ack=3, crash=5, restart=1, write=4, age=5, receipts=6,
                   kill=1, poll=3, wait=4),
    "rights": dict(send=22, direct=12, open=14, close=3, pong=10, revoke=5, grant=5, deny=1, age=4, freeze=2, thaw=2,
                   poll=4, wait=4, crash=1, miss=4),
    "still": dict(send=22, direct=12, open=12, close=3, pong=12, stop=5, cont=5, age=6, revoke=2, grant=2, crash=1,
                  receipts=4, freeze=2, thaw=2, kill=1, miss=5),
    "old": dict(send=26, direct=18, open=12, close=6, pong=12, age=9, poll=6, wait=4, crash=2, write=2, receipts=4, sweep=2,
                freeze=2, thaw=2, outlive=3),
    "own": dict(send=24, direct=14, open=12, close=8, pong=4, ack=18, receipts=6, age=4, crash=2, write=2),
    "loyal": dict(send=6, direct=6, open=3, come=10, close=4, pong=2, ack=22, receipts=2, age=14, crash=1, restart=2, write=1),
    "gaps": dict(send=18, direct=18, burst=14, open=8, close=3, pong=4, crash=5, receipts=10, poll=3, freeze=4, thaw=4,
                 age=2),
    "copied": dict(send=26, direct=12, open=12, come=3, close=4, pong=10, backup=3, restore=4, poll=6, crash=1, restart=3,
                   receipts=4),
    "crowd": dict(send=10, direct=10, open=30, away=22, pong=12, receipts=6),
    "ids": dict(send=24, direct=8, again=16, open=6, pong=6, receipts=4, age=6, crash=2),
    "many": dict(send=26, direct=14, open=8, sub=12, unsub=5, close=3, pong=16, ack=2, receipts=4, freeze=2, thaw=2,
                 revoke=2, grant=2, crash=2),
}

# Of these real processes can play nearly all.
REAL = ["busy", "away", "slow", "broken", "rights", "still", "own", "many", "gaps", "copied", "loyal"]


class Generator:
    def __init__(self, seed, moods):
        self.r = random.Random(seed)
        self.steps = []
        self.count = {"m": 0, "c": 0, "w": 0}
        self.sent = []
        self.open = []
        self.seats = {}  # client -> (edge, room, user, device)
        self.acked = None  # the seat of the last that acknowledged
        self.copied = False
        self.frozen, self.stopped, self.away = set(), set(), set()
        mood = self.r.choice(moods or list(MOODS))
        self.mood, self.weights = mood, dict(MOODS[mood])
        # Few that stay with it: what one acknowledges matters when it comes next.
        self.loyal = mood == "loyal"
        self.rooms = ROOMS[:self.r.choice([1, 1, 1, 2] if self.loyal else [1, 1, 1, 2, 3])]
        self.users = USERS[:self.r.choice([1, 1, 2] if self.loyal else [2, 2, 3, 4])]
        self.edges = self.r.choice([1, 2, 2, 3])
        self.devices = 20 if mood == "crowd" else 1 if self.loyal else 2
        self.acking = {"own": 0.7, "loyal": 0.8}.get(mood, 0.1)  # how likely one acknowledges itself
        self.limit = self.r.choice([1, 2, 3, 3, 4, 5, 5, 7, 10])
        self.dying = self.r.choice([0.03, 0.06, 0.3])
        self.big = mood == "slow" and self.r.random() < 0.5
        # Ages count by the wall clock: it is set only where none is near.
        self.clocked = mood not in ("old", "ids") and self.r.random() < 0.2

    def name(self, kind):
        self.count[kind] += 1
        return "%s%d" % (kind, self.count[kind])

    def add(self, *parts):
        self.steps.append(" ".join(str(part) for part in parts if part != ""))

    def make(self, length):
        world = ["world", "limit=%d" % self.limit, "edges=%d" % self.edges, "seed=%d" % self.r.randrange(1000)]
        if self.mood == "old":
            self.ttl = self.r.choice([7, 12, 20])
            world.append("ttl=%d" % self.ttl)
            if self.r.random() < 0.3:
                world.append("cursors=%d" % self.r.choice([25, 40]))
        if self.mood == "ids":
            world.append("ids=%d" % self.r.choice([2, 3, 5, 1000]))
            world.append("window=%d" % self.r.choice([5, 9, 1000]))
        if self.r.random() < 0.2:
            world.append("evict")
        if self.r.random() < 0.1:
            world.append("either")
        self.add(*world)
        for room in self.rooms:
            for user in self.users:
                if self.r.random() < 0.9:
                    self.add("grant", room, user)
        names, weights = list(self.weights), list(self.weights.values())
        while len(self.steps) < length:
            getattr(self, "do_" + self.r.choices(names, weights)[0])()
        self.settle()
        return self.steps

    def settle(self):
        """In the end everything is there again, and everybody reads."""
        for edge in sorted(self.stopped):
            self.add("cont", edge)
        for edge in sorted(self.away):
            self.add("return", edge)
        for client in sorted(self.frozen):
            self.add("thaw", client)
        for user in self.users:
            if self.r.random() < 0.3:
                self.add("poll", 0, self.r.choice(self.rooms), user, "after=0", "epoch=now")

    # ---- steps

    def do_send(self, to="", room=None):
        room = room or self.r.choice(self.rooms)
        for _ in range(self.r.choice([1, 1, 1, 2] if self.loyal else [1, 1, 1, 2, 3, self.limit + 1])):
            id = self.name("m")
            self.sent.append((room, id, to))
            self.add("send", room, id, "to=" + to if to else "",
                     "ttl=%d" % self.r.choice([1, 4, 60]) if not self.clocked and self.r.random() < self.dying else "",
                     "except=" + self.r.choice(self.open) if self.open and self.r.random() < 0.05 else "",
                     "size=%d" % self.r.choice([30000, 60000]) if self.big and self.r.random() < 0.7 else "")

    def do_direct(self):
        self.do_send(self.r.choice(self.users[:2] if self.r.random() < 0.7 else self.users))

    def do_burst(self):
        """More than is kept, so that whoever is not there is told a gap."""
        room, to = self.r.choice(self.rooms), self.r.choice(["", self.users[0]])
        for _ in range(self.limit + self.r.randrange(1, 3)):
            id = self.name("m")
            self.sent.append((room, id, to))
            self.add("send", room, id, "to=" + to if to else "")

    def do_again(self):
        if self.sent:
            room, id, to = self.r.choice(self.sent[-6:])
            self.add("send", room, id, "to=" + to if to else "", "text=other" if self.r.random() < 0.2 else "")

    def place(self, chance):
        """Where a reader asks to begin, now and then."""
        if self.r.random() > chance:
            return ""
        kind = self.r.random()
        if kind < 0.55 and self.sent:
            after = self.r.choice(self.sent)[1]
        elif kind < 0.7:
            after = "0"
        elif kind < 0.75:
            after = "+%d" % self.r.randrange(1, 4)
        else:
            after = "new"
        epochs = ["", "", "", " epoch=now", " epoch=other"]
        if self.mood == "copied":
            epochs += [" epoch=first"] * 3
        epoch = self.r.choice(epochs) if after != "new" else ""
        return "after=" + after + epoch

    def do_open(self):
        user = self.r.choice(self.users)
        derived = self.r.random() < (0.1 if self.loyal else 0.3)
        device = ("t" if derived else "d") + str(self.r.randrange(self.devices))
        self.enter((self.r.randrange(self.edges), self.r.choice(self.rooms), user, device), self.place(0.35))

    def do_come(self):
        """Somebody who was here, or still is, comes as the same device and asks for nothing but what it has missed."""
        if not self.seats:
            self.do_open()
            return
        _, *who = self.acked if self.acked and self.r.random() < 0.5 else self.r.choice(list(self.seats.values())[-6:])
        self.enter((self.r.randrange(self.edges), *who), "")

    def enter(self, seat, place):
        client = self.name("c")
        if seat[3][0] != "t":
            self.gone(lambda other: other[1:] == seat[1:])
        self.open.append(client)
        self.seats[client] = seat
        self.add("open", client, *seat, "derived" if seat[3][0] == "t" else "", "ack" if self.r.random() < self.acking else "",
                 "claim" if self.r.random() < 0.1 else "", place)

    def gone(self, which):
        """Those at such seats have been closed, but where they watch more than that."""
        if self.mood != "many":
            self.open = [client for client in self.open if not which(self.seats[client])]

    def one(self, clients):
        clients = sorted(clients)
        return self.r.choice(clients) if clients else None

    def do_close(self):
        client = self.one(self.open)
        if client:
            self.open.remove(client)
            self.frozen.discard(client)
            late = self.sent and self.r.random() < (0.5 if self.acking > 0.5 else 0.1)
            self.add("close", client, "ack=" + self.r.choice(self.sent[-4:])[1] if late else "")

    def do_away(self):
        """Who was seen last is to be known to the millisecond."""
        if self.open:
            self.do_close()
            self.add("age", 1)

    def do_pong(self):
        client = self.one(self.open)
        if client:
            late = self.sent and self.r.random() < 0.25
            self.add("pong", client, self.r.choice(self.sent)[1] if late else "")

    def do_ack(self):
        client = self.one(self.open)
        if self.loyal:
            if client is None:
                self.do_come()
                return
            if self.r.random() < 0.7:
                self.do_send(self.r.choice(["", self.seats[client][2]]), self.seats[client][1])
        if client and self.sent:
            self.acked = self.seats[client]
            _, room, user, _ = self.acked
            its = [sent for sent in self.sent[-8:] if sent[0] == room and sent[2] in ("", user)]
            wild = not its or self.r.random() < (0.1 if self.loyal else 0.2)
            self.add("ack", client, self.r.choice(self.sent[-6:] if wild else its[-1:] * 2 + its[-2:])[1])

    def do_receipts(self):
        if self.sent:
            bare = self.r.random() < 0.3
            self.add("receipts", self.r.choice(self.sent[-8:])[1], "bare" if bare else "",
                     "except=" + self.r.choice(self.open) if bare and self.open and self.r.random() < 0.2 else "")

    def do_sub(self):
        client = self.one(self.open)
        if client:
            self.add("sub", client, self.r.choice(self.rooms), self.place(0.3))

    def do_unsub(self):
        client = self.one(self.open)
        if client:
            self.add("unsub", client, self.r.choice(self.rooms))

    def do_poll(self):
        edge, room, user = self.r.randrange(self.edges), self.r.choice(self.rooms), self.r.choice(self.users)
        limit = "limit=%d" % self.r.choice([1, 2, 3]) if self.r.random() < 0.6 else ""
        place = self.place(0.9)
        self.add("poll", edge, room, user, limit, "" if "new" in place else place)
        for _ in range(self.r.randrange(3) if limit else 0):
            self.add("poll", edge, room, user, limit, "after=last")

    def do_wait(self):
        place = self.place(0.9)
        self.add("wait", self.name("w"), self.r.randrange(self.edges), self.r.choice(self.rooms), self.r.choice(self.users),
                 "limit=%d" % self.r.choice([1, 3]) if self.r.random() < 0.3 else "",
                 ("after=" + self.sent[-1][1] if self.sent else "") if "new" in place or self.r.random() < 0.6 else place)

    def do_freeze(self):
        client = self.one(set(self.open) - self.frozen)
        if client:
            self.frozen.add(client)
            self.add("freeze", client)

    def do_thaw(self):
        client = self.one(self.frozen)
        if client:
            self.frozen.discard(client)
            self.add("thaw", client)

    def do_back(self):
        """Somebody comes from further back than those who are there."""
        if self.sent:
            self.enter((self.r.randrange(self.edges), self.r.choice(self.rooms), self.r.choice(self.users),
                        "b%d" % self.r.randrange(3)),
                       "after=" + self.r.choice(["0", self.sent[0][1], self.r.choice(self.sent)[1]]))

    def do_age(self):
        if self.clocked and self.r.random() < 0.4:
            self.add("clock", self.r.choice([-100, -7, 3, 50, 3600]))
        elif self.loyal:
            self.add("age", self.r.choice([2, 3, 5, 6, 6, 7]))
        else:
            self.add("age", self.r.choice([1, 2, 3, 4, 6, 6, 11]))

    def do_outlive(self):
        """What was sent while an edge was not there is too old when it comes back."""
        edge = self.r.randrange(self.edges)
        gone, back = self.r.choice([("crash", "return"), ("stop", "cont")])
        self.add(gone, *[edge] if gone == "stop" else [])
        self.do_direct()
        self.add("age", self.ttl + 1)
        for other in range(self.edges) if gone == "crash" else [edge]:
            self.add(back, other)
        for _ in range(self.r.randrange(1, 4)):
            self.r.choice([self.do_send, self.do_send, self.do_pong, self.do_ack])()
        self.do_pong()
        for _, id, _ in self.sent[-4:]:
            self.add("receipts", id)

    def do_revoke(self):
        self.revoke(self.r.choice(self.rooms), self.r.choice(self.users))

    def revoke(self, room, user):
        self.add("revoke", room, user)
        self.gone(lambda seat: seat[1:3] == (room, user))

    def do_grant(self):
        self.add("grant", self.r.choice(self.rooms), self.r.choice(self.users))

    def do_miss(self):
        """An edge stands still until the hub takes it for gone; meanwhile one of those there loses a right, and messages
        come."""
        client = self.one(self.open)
        if client is None:
            self.do_open()
            return
        edge, room, user, _ = self.seats[client]
        if self.r.random() < 0.7:
            user = self.r.choice(self.users)
            self.enter((edge, room, user, "d%d" % self.r.randrange(self.devices)), "")
        self.add("stop", edge)
        self.add("age", self.r.choice([4, 6, 11]))
        if self.r.random() < 0.8:
            self.revoke(room, user)
        for _ in range(self.r.randrange(1, 3)):
            self.do_send(self.r.choice(["", "", user]), room)
        self.stopped.discard(edge)
        self.add("cont", edge)

    def do_deny(self):
        self.add("deny", self.r.choice(self.rooms), self.r.choice(self.users))

    def do_write(self):
        self.add("write")

    def do_sweep(self):
        self.add("sweep")

    def hub(self, how, *options):
        self.add(how, *options)
        self.away = set(range(self.edges)) - self.stopped
        later = set()
        for edge in sorted(self.away, key=lambda _: self.r.random()):
            if self.r.random() < (0.95 if self.loyal else 0.7):
                self.add("return", edge)
            else:
                later.add(edge)
        self.away = later | self.stopped

    def do_crash(self):
        if self.away:
            self.do_return()
        else:
            self.hub("crash")

    def do_restart(self):
        lower = self.limit > 1 and self.r.random() < 0.3
        if lower:
            self.limit = self.r.randrange(1, self.limit)
        self.hub("restart", "limit=%d" % self.limit if lower else "")

    def do_backup(self):
        self.copied = True
        self.add("backup")

    def do_restore(self):
        """More has been published since the copy; some of it is what those who come then name."""
        if not self.copied:
            self.do_backup()
            return
        if self.r.random() < 0.5:
            self.do_send()
        before = self.sent[-4:]
        self.hub("restore")
        for _ in range(self.r.randrange(3) if before else 0):
            if self.r.random() < 0.5:
                self.do_send()
            place = "after=%s%s" % (self.r.choice(before)[1], self.r.choice(["", " epoch=first", " epoch=now"]))
            if self.r.random() < 0.5 and self.seats:
                self.enter(self.r.choice(list(self.seats.values())), place)
            else:
                self.add("poll", self.r.randrange(self.edges), self.r.choice(self.rooms), self.r.choice(self.users), place)

    def do_return(self):
        edge = self.one(self.away - self.stopped)
        if edge is not None:
            self.away.discard(edge)
            self.add("return", edge)

    def do_stop(self):
        edge = self.r.randrange(self.edges)
        self.stopped.add(edge)
        self.add("stop", edge)
        if self.r.random() < 0.3:
            self.add("age", self.r.choice([4, 6, 11]))

    def do_cont(self):
        edge = self.one(self.stopped)
        if edge is not None:
            self.stopped.discard(edge)
            self.add("cont", edge)
            if edge in self.away:
                self.do_return()

    def do_kill(self):
        edge = self.r.randrange(self.edges)
        self.stopped.discard(edge)
        self.away.discard(edge)
        self.add("kill", edge)


def make(seed, moods=None, lengths=(15, 25, 40, 60)):
    generator = Generator(seed, moods)
    return generator.make(generator.r.choice(lengths))
