"""Kills and freezes a running clinic at random and judges what its senders and clients saw.

A hub, three edges, 300 clients in 20 rooms of unequal rate, HTTP and pipe senders with ids, some of which wait until
devices have their messages, and administrators who shut users out and let them in again. Each 0.2 to 2 s a random
process is SIGKILLed, and started again after a while, or SIGSTOPped and let go on, now and then for 15 s. The outages,
the queue's limit and its age are drawn from the seed before the run: the same seed gives the same ones. At the end all
is healed, every client gets what it is owed and retained on the connection that it has, then reconnects once and gets
the rest, or is told of it; then the history is judged.

A fault is what the history names, a client that stalls without a reason, an answer or a close that no outage
explains, and a process that ends by itself. Exit status: 0 none, 1 some.
"""
import argparse
import asyncio
import collections
import os
import pathlib
import random
import resource
import secrets
import shutil
import socket
import sys
import tempfile
import time

from conftest import BIN, SANITIZED, World, until
from crowd import Client, Load, Poller
from history import KINDS, History
from outages import Outages, SenderSlot, Slot, plan
from owners import Access, Owner
from senders import Batch, Poster

ROOMS, USERS, EDGES, BATCHES, POSTERS, WAITERS, OWNERS = 20, 11, 3, 2, 3, 3, 3
KINDS_OF_CLIENTS = ("named", "derived", "own", "sure", "many", "poll", "slow", "named", "sure")
HEAL = 90.0 if SANITIZED else 30.0
SAID = 12  # faults of a kind
REPORTS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion", "stack smashing")


def quiet_port(chosen):
    """A port that no connection of the clients can take by itself while an edge is down."""
    for port in iter(lambda: secrets.choice(range(20000, 32000)), None):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in chosen:
            return port


def drawn(options):
    """(queue limit, queue age in seconds or None): what is not given is drawn from the seed."""
    rng = random.Random(f"{options.seed}/options")
    limit = rng.choice((10000, rng.randint(5, 20), rng.randint(20, 100)))
    ttl = rng.choice((None, None, float(rng.randint(8, 30))))
    return options.queue_limit or limit, ttl if options.queue_ttl is None else options.queue_ttl or None


class Run:
    def __init__(self, options):
        self.options = options
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="dw-", dir=options.dir)).resolve()
        self.world = World(self.path)
        self.env = {**os.environ, **self.world.env}
        self.trace = open(self.path / "history.ndjson", "w")
        self.limit, self.ttl = drawn(options)
        self.outages = Outages(note=lambda *what: self.history.note(*what), slowness=3 if SANITIZED else 1)
        self.access = Access(calm=self.outages.calm)
        self.history = History(trace=self.trace, limit=self.limit, ttl=self.ttl, access=self.access,
                               settled=self.outages.settled)
        self.ports = []
        while len(self.ports) < EDGES:
            self.ports.append(quiet_port(self.ports))
        self.rooms = [str(100 + number) for number in range(ROOMS)]
        self.done = collections.Counter()
        self.stalled = []

    def prepare(self):
        """The hub, the edges, and who may watch what."""
        self.load = Load(self.world, self.history, self.access, self.ports, self.options.seed)
        self.slots = self.processes()
        self.slots["hub"].start()
        until(lambda: b"hub ready" in (self.path / "hub.log").read_bytes(), "the hub")
        self.users = [f"user{number}" for number in range(USERS)]
        for room in self.rooms:
            self.world.grant(room, *self.users)
        for number in range(EDGES):
            self.slots[f"edge{number}"].start()
        self.clients = [self.client(number) for number in range(self.options.clients)]

    def processes(self):
        kept = ["--queue-limit", str(self.limit)] + (["--queue-ttl", f"{self.ttl:.0f}s"] if self.ttl else [])
        slots = {"hub": Slot(self, "hub", [
            BIN / "diagws-hub", "--bind", self.world.endpoint, "--state-dir", self.world.state, *kept])}
        for number, port in enumerate(self.ports):
            slots[f"edge{number}"] = Slot(self, f"edge{number}", [
                BIN / "diagws-edge", "--listen", f"127.0.0.1:{port}", "--hub", self.world.endpoint, "--keys",
                self.world.keys])
        for number in range(BATCHES):
            waits = ["--wait", "delivered:2", "--deadline", "1500ms"] if number else []
            slots[f"send{number}"] = SenderSlot(self, f"send{number}", [
                BIN / "diagws-send", "-l", "--json", *waits])
        return slots

    def client(self, number):
        """One of several devices of a user in a room."""
        kind = KINDS_OF_CLIENTS[number % len(KINDS_OF_CLIENTS)]
        user = self.users[(number // ROOMS // 3 + number % ROOMS) % USERS]
        rooms = [self.rooms[(number + step) % ROOMS] for step in (0, 7, 11)]
        return (Poller if kind == "poll" else Client)(self.load, number, rooms, user, kind)

    def senders(self):
        """A few rooms get most."""
        order = self.load.random("rooms").sample(self.rooms, ROOMS)
        rooms = {room: 1 / (rank + 1) ** 1.5 for rank, room in enumerate(order)}
        pause = 1 / self.options.rate * (BATCHES + POSTERS + WAITERS)
        return [*(Batch(self.load, n, rooms, pause, self.slots[f"send{n}"]) for n in range(BATCHES)),
                *(Poster(self.load, n, rooms, pause) for n in range(POSTERS)),
                *(Poster(self.load, n, rooms, pause, waits=True) for n in range(WAITERS)),
                *(Owner(self.load, n, rooms, set(self.users[n::OWNERS]), 1.5) for n in range(OWNERS))]

    async def torture(self):
        """The outages, one after the other, on a running clinic."""
        watching = [asyncio.ensure_future(client.live()) for client in self.clients]
        watching.append(asyncio.ensure_future(self.outages.watch_the_machine()))
        sending = [asyncio.ensure_future(sender.live()) for sender in self.senders()]
        try:
            await self.break_all(watching + sending)
            self.load.over.set()
            await self.heal(watching, sending)
        finally:
            await self.stop(watching + sending)

    async def stop(self, tasks):
        left = tasks
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=1)  # wait_for may have swallowed one
        for task in tasks:
            if not task.cancelled() and task.exception() is not None:
                self.load.odd.append(f"the test itself failed: {task.exception()!r}")

    async def break_all(self, tasks):
        began, running, said = time.monotonic(), [], 0
        for when, name, how, seconds in plan(self.options.seed, self.options.kills, list(self.slots)):
            while time.monotonic() < began + when:
                done, _ = await asyncio.wait(tasks, timeout=began + when - time.monotonic(),
                                             return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            slot = self.slots[name]
            running.append(asyncio.ensure_future(slot.kill(seconds) if how == "kill" else slot.freeze(seconds)))
            self.done[f"{name.rstrip('0123456789')} {how}"] += 1
            kills = sum(count for what, count in self.done.items() if what.endswith("kill"))
            if kills // 20 > said:
                said = kills // 20
                print(f"{time.monotonic() - began:6.0f} s  {kills} kills  {self.history.judge(final=False)}  "
                      f"odd {len(self.load.odd)}", flush=True)
        await asyncio.gather(*running)

    async def heal(self, watching, sending):
        """All that is owed arrives on the connections that are there, and then after one more."""
        for slot in self.slots.values():
            slot.look()
        _, waiting = await asyncio.wait(sending, timeout=HEAL)
        if waiting:
            self.load.odd.append(f"{len(waiting)} senders were not answered within {HEAL:.0f} s of the last outage")
        for client in self.clients:
            client.wandering = False
        await self.come(lambda: not self.history.missing(True), "for what is retained")
        self.stalled = self.history.missing(True)
        await self.come(lambda: not self.history.intruders(), "for who is shut out to leave")
        before = [client.visits for client in self.clients]
        for client in self.clients:
            client.turn.set()
        def away():
            return [client.name for client, visits in zip(self.clients, before) if not self.returned(client, visits)]
        await self.come(lambda: not away(), "to return", away)
        await self.come(lambda: not self.history.missing(), "for what was owed")

    def returned(self, client, visits):
        return client.visits > visits or self.access.shut(client.room, client.user) is not None

    async def come(self, condition, what, who=lambda: ()):
        deadline = time.monotonic() + HEAL
        while not condition() and time.monotonic() < deadline:
            await asyncio.sleep(0.25)
        if not condition():
            self.load.odd.append(f"clients waited {HEAL:.0f} s {what} {' '.join(who()[:9])}".rstrip())

    def judge(self, began):
        verdict = self.history.judge()
        for slot in self.slots.values():
            said = (self.path / f"{slot.name}.log").read_text(errors="replace")
            self.load.odd += [f"{slot.name}: {line}" for line in said.splitlines() if any(w in line for w in REPORTS)]
        table = {"seed": self.options.seed, "seconds": round(time.monotonic() - began, 1),
                 "queue limit": self.limit, "queue age": self.ttl or "-",
                 **dict(sorted(self.done.items())),
                 **{f"answer {key}": value for key, value in sorted(self.load.answers.items(), key=str)},
                 **{f"close {key}": value for key, value in sorted(self.load.closes.items(), key=str)},
                 **verdict.counts, **{kind: len(getattr(verdict, kind)) for kind in KINDS},
                 "stalled": len(self.stalled), "odd": len(self.load.odd)}
        print("\n".join(f"{key:<20} {value:>10}" for key, value in table.items()))
        faults = verdict.faults + [f"stalled: {who} in {room}: seq {seq}" for who, room, seq in self.stalled]
        faults += [f"odd: {text}" for text in self.load.odd]
        said = collections.Counter()
        for text in faults:
            kind = text.partition(":")[0]
            said[kind] += 1
            if said[kind] <= SAID:
                print(text)
        return faults

    def end(self, keep):
        for slot in reversed(self.slots.values()):
            slot.end()
        self.trace.close()
        if keep:
            print(f"logs and history: {self.path}")
        else:
            shutil.rmtree(self.path)


def arguments(given=None):
    parser = argparse.ArgumentParser(description="Kill and freeze a running clinic; judge what was seen.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--rate", type=float, default=25.0, help="messages a second, all senders together")
    parser.add_argument("--queue-limit", type=int, help="else drawn: 10000, or few, so that gaps are due")
    parser.add_argument("--queue-ttl", type=float, help="seconds, 0: days; else drawn")
    parser.add_argument("--dir", help="where the state goes")
    parser.add_argument("--keep", action="store_true", help="keep logs and history also when all is well")
    return parser.parse_args(given)


def torture(options):
    """The list of faults."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, limit), limit))
    print(f"seed {options.seed}", flush=True)
    run, faults, began = Run(options), ["it did not come to a verdict"], time.monotonic()
    try:
        run.prepare()
        asyncio.run(run.torture())
        faults = run.judge(began)
    finally:
        run.end(keep=bool(faults) or options.keep)
    return faults


if __name__ == "__main__":
    sys.exit(1 if torture(arguments()) else 0)
