"""Who may watch what, and an administrator who takes it away and gives it back while messages flow.

A user is shut out for sure from the moment at which `revoke` was acknowledged to the one at which the next `grant`
is asked for; in between two answers nobody outside knows. While that is so the user is not let in, gets no message
that was sent meanwhile, and has lost the connections from before within LATE, unless its edge or the hub was disturbed
then. A user who was let in all the time is not refused.
"""
import asyncio
import collections
import time

from conftest import BIN

LATE = 5.0  # seconds; a second is promised
FOREVER = float("inf")


class Access:
    """When who was given and taken what. At first all may."""

    def __init__(self, clock=time.monotonic, calm=lambda place, begin, end: True):
        self._clock, self._calm = clock, calm
        self._changes = collections.defaultdict(list)  # (room, user) -> [[what, asked, acknowledged]]

    def ask(self, room, user, what):
        """A change is asked for; an answer that does not come may mean that it was made, so it is asked for again."""
        changes = self._changes[str(room), user]
        if not changes or changes[-1][0] != what:
            changes.append([what, self._clock(), FOREVER])

    def done(self, room, user):
        self._changes[str(room), user][-1][2] = self._clock()

    def shut(self, room, user):
        """Since when the user is shut out for sure; None: is not."""
        changes = self._changes.get((str(room), user))
        if not changes or changes[-1][0] != "revoke" or changes[-1][2] == FOREVER:
            return None
        return changes[-1][2]

    def may(self, room, user, begin, end):
        """Let in for sure, all the time between."""
        changes = self._changes.get((str(room), user), ())
        shut = False
        for what, asked, done in changes:
            if what == "revoke" and asked <= end:
                shut = True
            elif what == "grant" and done < begin:
                shut = False
        return not shut

    def stayed(self, devices, now):
        """Connections from before that stayed too long."""
        streams = collections.defaultdict(list)
        for device in devices:
            streams[device.room, device.user] += device.streams
        for (room, user), changes in self._changes.items():
            for (what, asked, done), following in zip(changes, changes[1:] + [["", now, now]]):
                if what != "revoke" or done + LATE > following[1]:
                    continue
                for stream in streams[room, user]:
                    if self._outstays(stream, asked, done, now):
                        yield f"{stream.device.name} in {room}: still open {LATE:.0f} s after that"

    def _outstays(self, stream, asked, done, now):
        if stream.welcomed is None or stream.welcomed > asked or stream.page:
            return False
        if (now if stream.open else stream.ended) <= done + LATE:
            return False
        unread = stream.unread or any(begin <= done + LATE and end >= asked for begin, end in stream.pauses)
        return not unread and self._calm(stream.place, asked - 1, done + LATE)


class Owner:
    """An administrator of some users, mostly busy where most is sent."""

    def __init__(self, load, number, rooms, users, pause):
        self.load, self.rooms, self.users, self.pause = load, rooms, users, pause
        self.random = load.random("owner", number)

    async def live(self):
        while self.load.sending:
            await self.load.pause(self.random.expovariate(1 / self.pause))
            room = self.random.choices(list(self.rooms), list(self.rooms.values()))[0]
            there = sorted(self.load.users[room] & self.users)
            if not there:
                continue
            user = self.random.choice(there)
            await self.change("revoke", room, user)
            await self.load.pause(self.random.choice((0.0, 1.0, 4.0, 12.0)) * self.random.random())
            if self.load.sending or self.random.random() < 0.5:  # some are still shut out when all is judged
                await self.change("grant", room, user)

    async def change(self, what, room, user):
        self.load.access.ask(room, user, what)
        self.load.history.note(what, [room, user])
        while not await self.run(what, room, user):
            await asyncio.sleep(self.random.uniform(0.1, 0.5))
        self.load.access.done(room, user)
        self.load.history.note(f"{what} done", [room, user])
        self.load.answers[what] += 1

    async def run(self, what, room, user):
        process = await asyncio.create_subprocess_exec(
            BIN / "diagws-owner", what, room, user, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env={"DIAGWS_HUB": self.load.world.endpoint, "PATH": "/usr/bin"})
        _, said = await process.communicate()
        if process.returncode not in (0, 75):
            self.load.odd.append(f"{what} {room} {user}: {process.returncode} {said.decode(errors='replace')}")
        return process.returncode == 0
