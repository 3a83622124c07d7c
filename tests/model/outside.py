"""What each step does to polls, time, the hub's life, edges and the store: the other half of steps.py."""
from dataclasses import dataclass

from model import DEAD, SILENCE, Device, Standing
from reader import further, need
from rules import ranges

ACCESS = (1008, "access denied")
LEFT = 2000  # ms: an edge keeps so long, or less, what sessions that ended had confirmed
TICK = 64  # ms: which connection is newer is not known more exactly
PAGE_BYTES = 150000  # past that a page may have fewer messages than were asked for
WAIT = 30000


@dataclass
class Wait:
    """A poll that waits."""
    edge: object
    room: object
    user: str
    request: dict
    limit: int
    claimed: bool
    due: int
    late: bool = False  # its edge was not there all the time
    lost: bool = False  # or had it no right


class Outside:
    # ---- polls

    def do_poll(self, words, options, seen):
        _, number, room, user = words[:4]
        edge, request = self.edge(number), self.request(options)
        if edge is None or not edge.there or request is False or request["after"] == "new":
            return False
        need(seen.poll is not None, "no answer")
        status, page = seen.poll
        if not self.may(room, user, "claim" in options):
            need(status == 403, "status %s", status)
            return None
        need(status == 200, "status %s: %s", status, page)
        self.poll_last = self.page(self.room(room), user, request, int(options.get("limit", 100)), page)

    # ---- polls that wait

    def do_wait(self, words, options, seen):
        _, name, number, room, user = words[:5]
        edge, request = self.edge(number), self.request(options)
        if edge is None or not edge.there or request is False or request["after"] == "new" or name in self.waits:
            return False
        seen.began.add(name)
        self.waits[name] = Wait(edge, self.room(room), user, request, int(options.get("limit", 100)), "claim" in options,
                                self.mono + WAIT)

    def watch_waits(self, seen):
        for name, (status, page) in seen.waits.items():
            wait = self.waits.pop(name, None)
            need(wait is not None, "%s: a poll that nobody waits for was answered: %s", name, page)
            self.answered(name, wait, status, page)
        for name, wait in list(self.waits.items()):
            may = self.may(wait.room.name, wait.user, wait.claimed)
            wait.lost |= not may
            if not wait.edge.there:
                wait.late = True
                continue
            need(may or name not in seen.began, "%s: a poll was not refused", name)
            need(not may or not self.awaits(wait), "%s: a poll was not answered with %s", name,
                 [m.id for m in self.awaits(wait)])
            need(wait.late or self.mono < wait.due + 1000, "%s: a poll waits for too long", name)

    def awaits(self, wait):
        after, epoch = wait.request["after"] or 0, wait.request["epoch"]
        behind = 0 if self.foreign(after, epoch) else after
        return [m for m in wait.room.retained(wait.user, self.wall) if m.seq > behind]

    def answered(self, name, wait, status, page):
        """A while later, where its edge was not there."""
        if wait.late and status == 503 or status == 403 and (wait.lost or not self.may(wait.room.name, wait.user, wait.claimed)):
            return
        need(status == 200, "%s: status %s: %s", name, status, page)
        if wait.late:
            return
        need(self.may(wait.room.name, wait.user, wait.claimed), "%s: a page for one who lost the right", name)
        self.page(wait.room, wait.user, wait.request, wait.limit, page)
        nothing = not page["messages"] and not page["gaps"] and not page.get("direct_gaps") and not page.get("reset")
        need(not nothing or self.mono >= wait.due, "%s: answered with nothing", name)

    def page(self, room, user, request, limit, page):
        """Each tells what is retained behind `after`, at most so many, and exactly what is gone up to its `last`."""
        after, epoch = request["after"] or 0, request["epoch"]
        reset = self.foreign(after, epoch)
        begins = reset or (after == 0 and epoch is None)
        need(page.get("reset", False) == reset, "reset: %s", page.get("reset"))
        need(page["epoch"] == self.epoch and page["head"] == room.head, "head or epoch: %s", page)
        behind = 0 if begins else after
        retained = [m for m in room.retained(user, self.wall) if m.seq > behind]
        told = retained[:limit]
        if page["more"] and len(page["messages"]) < len(told) and sum(m.size for m in told) > PAGE_BYTES:
            told = [m for m in told if m.seq <= page["last"]]
            limit = len(told)
        alive = [m for m in told if not m.dead(self.wall)]
        need([(m["seq"], m["id"]) for m in page["messages"]] == [(m.seq, m.id) for m in alive], "messages %s, expected %s",
             [m["id"] for m in page["messages"]], [m.id for m in alive])
        for shown, m in zip(page["messages"], alive):
            need((shown.get("direct_n") if m.to else shown.get("n")) == m.number and ("n" in shown) == (not m.to),
                 "numbers: %s", shown)
        last = page["last"]
        least = told[-1].seq if told else behind
        most = retained[limit].seq - 1 if len(retained) > limit else max(room.head, behind)
        need(page["more"] or len(retained) <= limit, "no more, but %s is", [m.id for m in retained[limit:]])
        need(least <= last <= most and (page["more"] or last == most), "last %s, expected %s..%s", last, least, most)
        direct = page.get("direct_gaps", [page["direct_gap"]] if page.get("direct_gap") else [])
        for who, gaps in ((None, page["gaps"]), (user, direct)):
            self.gone(room, who, begins, behind, last, told, gaps)
        need(page["gap"] == (page["gaps"][0] if page["gaps"] else None), "gap %s of %s", page["gap"], page["gaps"])
        return last

    def gone(self, room, user, begins, behind, last, told, gaps):
        log = room.log_of(user)
        oldest = room.oldest(user, self.wall)
        dead = {m.number for m in told if m.dead(self.wall) and (m.to or None) == user}
        least, most = (oldest - 1, oldest - 1) if begins else room.place(user, behind)
        upto = log.upto(last)
        must = dead | set(range(most + 1, min(upto, oldest - 1) + 1))
        may = must | set(range(least + 1, min(upto, oldest - 1) + 1))
        named = []
        for gap in gaps:
            need(gap["count"] == gap["to"] - gap["from"] + 1, "a gap's count: %s", gap)
            numbers = range(gap["from"], gap["to"] + 1)
            reasons = ("expired",) if set(numbers) <= dead else room.reasons(user, self.wall)
            need(gap["reason"] in reasons, "a gap's reason: %s, expected %s", gap, reasons)
            named += numbers
        need(len(named) == len(set(named)), "told twice: %s", gaps)
        need(must <= set(named) <= may, "gaps%s %s, expected %s%s", " of direct ones" if user else "", ranges(named),
             ranges(must), "" if must == may else " to %s" % ranges(may))

    # ---- time and the hub

    def do_age(self, words, options, seen):
        for edge in self.edges:
            if not edge.stopped and not edge.away:
                edge.heard = self.mono
            elif edge.known and self.mono >= edge.heard + SILENCE:
                edge.known = False
                self.silent([s for client in edge.clients.values() for s in client.sessions if s.counted], edge.heard)
        self.doubt()

    def silent(self, sessions, heard):
        self.leave_all(sessions, heard, together=True)
        for session in sessions:
            session.device.seen = session.device.least_seen = self.wall - (self.mono - heard)
        for room in {session.room for session in sessions}:
            self.write_all(room)

    def doubt(self, swept=False):
        """Devices over their age may be forgotten, and are after a sweep."""
        for key, device in list(self.devices.items()):
            if device.sessions or self.wall < device.least_seen + self.cursor_ttl:
                continue
            device.doubtful = True
            if swept and self.wall >= device.seen + self.cursor_ttl:
                del self.devices[key]

    def do_clock(self, words, options, seen):
        self.clock_was_set = True
        self.doubt()

    def do_write(self, words, options, seen):
        self.write_all()

    def do_sweep(self, words, options, seen):
        self.doubt(swept=True)

    def do_rest(self, words, options, seen):
        pass

    def hub_ends(self):
        for edge in self.edges:
            edge.away, edge.known = True, False
        for client in self.clients():
            for session in client.sessions:
                session.counted = False
                session.known_low = session.known_high = (0, 0)
        for device in self.devices.values():
            device.sessions = []

    def do_crash(self, words, options, seen):
        for device in self.devices.values():
            device.forget_unwritten(self.mono, self.clock_was_set)
        self.hub_ends()
        self.doubt(swept=True)

    def do_restart(self, words, options, seen):
        if self.lmdb and "limit" in options:
            self.limit = int(options["limit"])
            for room in self.rooms.values():
                room.limit = self.limit
        self.write_all()
        for device in self.devices.values():
            device.end_in_turn(device.sessions, self.mono)
            device.forget_unwritten(self.mono, self.clock_was_set)
        self.hub_ends()
        self.doubt(swept=True)

    # ---- edges

    def do_stop(self, words, options, seen):
        edge = self.edge(words[1])
        if edge is None or edge.stopped:
            return False
        edge.stopped, edge.stopped_at = True, self.mono

    def do_cont(self, words, options, seen):
        edge = self.edge(words[1])
        if edge is None or not edge.stopped:
            return False
        edge.stopped = False
        anew = self.mono >= edge.stopped_at + DEAD
        for client in edge.clients.values():
            for session in list(client.sessions):
                if session.order is not None and not anew and not edge.away:
                    self.end(session, *session.order)
                session.order = None
        if edge.away:
            return None
        if anew or not edge.known:
            self.anew(edge)
        edge.heard = self.mono

    def do_return(self, words, options, seen):
        edge = self.edge(words[1])
        if edge is None or edge.stopped or not edge.away:
            return False
        edge.away = False
        self.do_age(words, options, seen)
        self.anew(edge)

    def anew(self, edge):
        """It has introduced itself again: what the hub knew of it ends, and its sessions return."""
        self.leave_all([s for client in edge.clients.values() for s in client.sessions if s.counted], edge.heard,
                       together=True)
        other = edge.epoch != self.epoch
        edge.known, edge.heard, edge.epoch = True, self.mono, self.epoch
        for when, session in edge.left if not other else []:
            self.depart(session, when is None)
        edge.left = [(self.mono, session) for when, session in edge.left
                     if not other and (when is None or when > self.mono - LEFT)]
        devices = {session: self.find_device(session) for client in edge.clients.values() for session in client.sessions}
        for device in [] if other else devices.values():
            if device is not None:
                device.coming += 1
        for client in list(edge.clients.values()):
            if other:
                for session in client.sessions:
                    session.device = None
                client.close = (1012, "service restart")
                continue
            for session in list(client.sessions):
                if devices[session] is not None:
                    devices[session].coming -= 1
                if self.may(session.room.name, client.user, session.room.name in client.claims):
                    self.come_back(session)
                else:
                    self.end(session, *ACCESS)

    def depart(self, session, surely):
        """What it confirmed last is told again to a hub that may not know it, or surely does not: it counts where
        nobody is connected."""
        device = self.find_device(session)
        if device is None or device.derived or session.client.derived or device.sessions:
            return
        if surely and not device.doubtful:
            seen = device.seen, device.least_seen
            device.sessions.append(session)
            session.device, session.known_low, session.known_high = device, (0, 0), (0, 0)
            self.tell(session)
            device.sessions.remove(session)
            device.seen, device.least_seen = seen
            device.write()
        else:
            for what in ("at", "resume", "acked"):
                setattr(device.high, what, further(getattr(device.high, what), session.high))

    def replaced(self, session):
        """Its device has another connection that is as new."""
        device = self.find_device(session)
        return device is not None and not session.client.derived and not device.derived and any(
            other.opened // TICK >= session.opened // TICK for other in device.sessions)

    def come_back(self, session):
        if self.replaced(session):
            self.end(session, 4001, "replaced")
        else:
            self.join_again(session)

    def join_again(self, session):
        device = self.find_device(session)
        self.takeover(session)
        known = device is not None
        device = device if known else self.add_device(session, (0, 0))
        if not known or device.doubtful:
            # It was over its age: what it had is as good as all that is no more.
            fresh = tuple(session.room.oldest(user, self.wall) - 1 for user in (None, session.client.user))
            device.high.at = device.high.resume = further(session.high, further(fresh, device.high.at if known else fresh))
            device.high.trail = [(0, device.high.at)]
            device.stored = (*device.stored[:3], self.wall, self.wall)
        session.device = device
        session.counted = True
        session.known_low = session.known_high = (0, 0)
        device.join(session, self.mono)
        device.seen, device.derived = self.wall, session.client.derived
        self.tell(session)

    def do_kill(self, words, options, seen):
        edge = self.edge(words[1])
        if edge is None:
            return False
        heard = self.mono if edge.there else edge.heard
        self.silent([s for client in edge.clients.values() for s in client.sessions if s.counted], heard)
        edge.clients = {}
        self.waits = {name: wait for name, wait in self.waits.items() if wait.edge is not edge}
        edge.stopped = edge.away = False
        edge.known, edge.heard, edge.epoch = True, self.mono, self.epoch

    # ---- copies of the store

    def do_backup(self, words, options, seen):
        if not self.lmdb:
            return False
        self.backup = (self.head, len(self.ids), dict(self.owners),
                       {key: (device.stored, device.derived, set(device.got), device.high.at, device.high.resume)
                        for key, device in self.devices.items()})

    def do_restore(self, words, options, seen):
        if self.backup is None:
            return False
        self.do_restart(words, options, seen)
        head, count, self.owners, devices = self.backup
        need(seen.epoch is not None, "no epoch")
        need(seen.epoch != self.epoch or head == self.head, "an older store kept its epoch")
        self.owners = dict(self.owners)
        for room in self.rooms.values():
            room.cut(head)
        del self.ids[count:]
        self.head, self.epoch = head, seen.epoch
        self.devices = {}
        for (room, user, name), (stored, derived, got, at, resume) in devices.items():
            device = Device(self.room(room), user, name, stored[0], self.mono, self.wall)
            device.stored, device.derived, device.got = stored, derived, set(got)
            device.forget_unwritten(self.mono, self.clock_was_set)
            device.high = Standing(at, self.mono)
            device.high.resume, device.high.acked = resume, at
            self.devices[(room, user, name)] = device
        self.lost = {key: min(seq, head) for key, seq in self.lost.items()}
        self.doubt(swept=True)
