"""Hub restarts under many clients: no socket drops, all catch up, nothing is lost.

    restarts.py [--restarts 200] [--clients 1000] [--seed NUMBER]      (make hub-restarts)

A stream of messages goes to 20 rooms, whose clients are spread over two edges. At random moments the hub is killed
(SIGKILL) or told to end (SIGTERM), by turns, and started again at once. Caught up is a restart when the last client
has got the last message that was given to diagws-send before the hub was ready again (what it could not take
meanwhile comes on its return); the time counts from "hub ready" in its log. The history says whether anything was
lost, repeated, out of order or reused.
"""
import argparse
import datetime
import pathlib
import random
import re
import secrets
import sys
import tempfile
import time

from conftest import World, select_nothing, until
from history import History
from load import Clients, Stream, quantile

ROOMS = [f"room-{number}" for number in range(20)]
RATE = 100  # messages in a second
PER_USER = 16
LONGEST = 0.3  # seconds between a return and the next kill


def ready_at(hub):
    """When the hub said that it was ready, as CLOCK_MONOTONIC has it; its log counts in ms, rounded down."""
    said = re.search(r'time=(\S+)Z .*"hub ready"', hub.said())[1]
    wall = datetime.datetime.fromisoformat(said + "+00:00").timestamp()
    return int(wall * 1e9) - (time.time_ns() - time.monotonic_ns())


class Trial:
    """The processes, the stream, and what is known of each message: how many clients have still to get it."""

    def __init__(self, world, count):
        self.world = world
        self.hub = world.hub("--ownership", "claims")
        self.edges = [world.edge(), world.edge()]
        self.now = 0.0
        self.history = History(clock=lambda: self.now)
        self.clients = Clients(world)
        self.connections = []  # by client: (room, its connection in the history)
        self.in_room = dict.fromkeys(ROOMS, 0)
        self.owed, self.got_at = {}, {}  # by number
        self.attempted = self.settled = 0
        self.dropped = []
        self.caught_up, self.away = [], []
        self._open(count)
        self.stream = Stream(world, ROOMS, RATE)

    def _open(self, count):
        tokens = {}
        for number in range(count):
            room, place = ROOMS[number % len(ROOMS)], number // len(ROOMS)
            user = f"u{number % len(ROOMS)}-{place // PER_USER}"
            if user not in tokens:
                tokens[user] = self.world.token(user, "--diagnosis", room)
            self.clients.open(self.edges[place % 2], room, tokens[user], f"d{place % PER_USER}")
            self.connections.append((room, self.history.connect(str(number), room)))
            self.in_room[room] += 1
        until(lambda: self.world.stat("summary")["connections"] == count, f"{count} connections")

    def watch(self):
        """Takes what the clients have got since it was last called."""
        entries = self.clients.new()
        while self.attempted < self.stream.next - 1:  # each was noted before it was sent
            self.attempted += 1
            room = self.stream.sent[self.attempted][0]
            self.owed[self.attempted] = self.in_room[room]
            self.history.attempt(f"m-{self.attempted}", room)
        for entry in entries:
            self.now = entry.at / 1e9
            self._take(entry, *self.connections[entry.client])

    def _take(self, entry, room, connection):
        if entry.kind == "u":
            self.owed[entry.number] -= 1
            self.got_at[entry.number] = entry.at
            connection.message({"type": "note_update", "diagnosis_id": room, "seq": entry.seq, "n": entry.n,
                                "id": f"m-{entry.number}", "data": {"t": entry.sent}})
        elif entry.kind == "g":
            connection.message({"type": "gap", "diagnosis_id": room, "data": {
                "from": entry.seq, "to": entry.n, "count": entry.n - entry.seq + 1}})
        elif entry.kind == "c":
            connection.message({"type": "connect", "diagnosis_id": room, "data": {"head": entry.seq, "resume": "new"}})
        else:
            self.dropped.append(entry)

    def settle(self, upto, patience):
        """Until all clients have all that was sent until then: when the last came, in ns."""
        last = max((number for number, (_, sent) in list(self.stream.sent.items()) if sent <= upto), default=0)

        def done():
            self.watch()
            return self.dropped or not any(self.owed[number] for number in range(self.settled + 1, last + 1))
        until(done, "all clients to catch up", patience)
        came = max((self.got_at[number] for number in range(self.settled + 1, last + 1)), default=0)
        self.settled = last
        return came

    def restart(self, term, patience):
        begun = time.monotonic_ns()
        if term:
            assert self.hub.terminate() == 0
        else:
            self.hub.kill()
        self.hub = self.world.hub("--ownership", "claims")
        ready = ready_at(self.hub)
        self.away.append((ready - begun) / 1e6)
        self.caught_up.append(max(0, self.settle(ready, patience) - ready) / 1e6)

    def run(self, restarts, dice, patience):
        """The history's verdict, when all is over."""
        with self.stream:
            for number in range(restarts):
                select_nothing(dice.random() * LONGEST)
                self.restart(number % 2, patience)
                assert not self.dropped, self.dropped[:5]
            answers = self.stream.end()
        self.settle(time.monotonic_ns(), patience)
        for number, stored in answers.items():
            self.history.answer(f"m-{number}", stored.seq, stored.n)
        assert self.world.stat("summary")["connections"] == len(self.connections)
        verdict = self.history.judge()
        self.clients.__exit__()
        return verdict

    def __str__(self):
        return (f"{len(self.caught_up)} hub restarts (SIGKILL and SIGTERM by turns), {len(self.connections)} clients "
                f"on {len(self.edges)} edges, {self.attempted} messages: {len(self.dropped)} sockets dropped; caught "
                f"up after median {quantile(self.caught_up, 0.5):.0f} p99 {quantile(self.caught_up, 0.99):.0f} max "
                f"{max(self.caught_up):.0f} ms; hub away median {quantile(self.away, 0.5):.0f} max "
                f"{max(self.away):.0f} ms")


def main():
    parser = argparse.ArgumentParser(description="Hub restarts under many clients.")
    parser.add_argument("--restarts", type=int, default=200)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="restarts-") as path:
        world = World(pathlib.Path(path))
        try:
            trial = Trial(world, given.clients)
            verdict = trial.run(given.restarts, random.Random(given.seed), 30)
        finally:
            world.end()
    print(f"{trial}\n{verdict}")
    print("\n".join(verdict.faults[:20]))
    return 0 if verdict.ok and max(trial.caught_up) <= 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
