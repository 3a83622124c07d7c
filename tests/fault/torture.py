"""Kills and freezes a running clinic at random and judges what its senders and clients saw.

A hub, three edges, 300 clients in 20 rooms, HTTP and pipe senders with ids. Each 0.2 to 2 s a random process is
SIGKILLed, and started again after a while, or SIGSTOPped and let go on. The outages are drawn from the seed
before the run: the same seed gives the same ones. At the end all is healed, every client gets what it is owed on
the connection that it has, then reconnects once and gets the rest; then the history is judged.

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
import signal
import socket
import subprocess
import sys
import tempfile
import time

from conftest import BIN, SANITIZED, World, until
from history import KINDS, History
from crowd import Batch, Client, Load, Poller, Poster

ROOMS, EDGES, BATCHES, POSTERS = 20, 3, 2, 3
KINDS_OF_CLIENTS = ("named", "derived", "own", "sure", "named", "derived", "many", "named", "poll")
FREEZE = 2.0     # seconds at most
WRITES = 5.0     # the hub writes positions each so many seconds
HEAL = 90.0 if SANITIZED else 30.0
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


class Slot:
    """A process that is killed, frozen and started again in its place."""

    def __init__(self, run, name, arguments):
        self.run, self.name, self.arguments = run, name, arguments
        self.log = open(run.path / f"{name}.log", "ab")
        self.popen = None
        self.ours = False  # it ends because it was killed here
        self.lives = []    # [began, ended]

    def start(self):
        self.ours = False
        self.lives.append([time.monotonic(), float("inf")])
        self.popen = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                      env=self.run.env)

    def _gone(self):
        return self.popen is None or self.popen.poll() is not None

    def look(self):
        """Starts one again that ended by itself, and says so."""
        if self.popen is not None and not self.ours and self.popen.poll() is not None:
            self.run.load.odd.append(f"{self.name} ended by itself with {self.popen.returncode}")
            self.lives[-1][1] = time.monotonic()
            self.start()

    async def kill(self, outage):
        self.look()
        self.ours = True
        self.lives[-1][1] = time.monotonic()
        self.popen.kill()
        await asyncio.to_thread(self.popen.wait)
        await asyncio.sleep(outage)
        self.start()

    async def freeze(self, outage):
        self.look()
        self.popen.send_signal(signal.SIGSTOP)
        await asyncio.sleep(outage)
        self.popen.send_signal(signal.SIGCONT)

    def end(self):
        if not self._gone():
            self.ours = True
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.run.load.odd.append(f"{self.name} did not end within 30 s of SIGTERM")
                self.popen.kill()
                self.popen.wait()
        self.log.close()


class SenderSlot(Slot):
    """A sender's process: the sender itself starts the next one."""

    def start(self):
        pass

    async def spawn(self):
        self.ours = False
        self.popen = await asyncio.create_subprocess_exec(
            *self.arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=self.log,
            env=self.run.env)
        return self.popen

    async def ended(self):
        status = await self.popen.wait()
        if not self.ours and status not in (0, 75):
            self.run.load.odd.append(f"{self.name} ended with {status}")

    def _gone(self):
        return self.popen is None or self.popen.returncode is not None

    def look(self):
        pass

    async def kill(self, outage):
        if not self._gone():
            self.ours = True
            self.popen.kill()

    async def freeze(self, outage):
        process = self.popen
        if self._gone():
            return
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(outage)
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)

    def end(self):
        if not self._gone():
            self.popen.kill()
        self.log.close()


def plan(seed, kills, slots):
    """[(when, slot, `kill` or `freeze`, seconds)]: no process has two outages at a time."""
    rng = random.Random(f"{seed}/plan")
    weights = {"hub": 2, "edge": 2, "send": 1}
    free_at = collections.defaultdict(float)
    now, outages = 0.0, []
    while sum(1 for outage in outages if outage[2] == "kill") < kills:
        now += rng.uniform(0.2, 2.0)
        ready = [slot for slot in slots if free_at[slot] <= now]
        if not ready:
            continue
        slot = rng.choices(ready, [weights[slot.rstrip("0123456789")] for slot in ready])[0]
        how = "kill" if rng.random() < 0.7 else "freeze"
        seconds = rng.uniform(0.2, FREEZE) if how == "freeze" else rng.choice((0, 0.1, 0.5, 1.0)) * rng.random()
        free_at[slot] = now + seconds + 0.3
        outages.append((now, slot, how, seconds))
    return outages


class Run:
    def __init__(self, options):
        self.options = options
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="dw-", dir=options.dir)).resolve()
        self.world = World(self.path)
        self.env = {**os.environ, **self.world.env}
        self.trace = open(self.path / "history.ndjson", "w")
        self.history = History(window=options.window, trace=self.trace)
        ports = []
        while len(ports) < EDGES:
            ports.append(quiet_port(ports))
        self.load = Load(self.world, self.history, ports, options.seed)
        self.rooms = [str(100 + number) for number in range(ROOMS)]
        self.slots = {"hub": Slot(self, "hub", [
            BIN / "diagws-hub", "--bind", self.world.endpoint, "--state-dir", self.world.state,
            "--queue-limit", str(options.queue_limit)])}
        for number, port in enumerate(ports):
            self.slots[f"edge{number}"] = Slot(self, f"edge{number}", [
                BIN / "diagws-edge", "--listen", f"127.0.0.1:{port}", "--hub", self.world.endpoint, "--keys",
                self.world.keys])
        for number in range(BATCHES):
            self.slots[f"send{number}"] = SenderSlot(self, f"send{number}", [BIN / "diagws-send", "-l", "--json"])
        self.history.last_write = self.last_write
        self.done = collections.Counter()
        self.stalled = []

    def last_write(self, moment):
        """When the hub had certainly written all that counts for resuming. It writes each 5 s of its life; what edges
        tell it when it comes back counts 5 s later, for it cannot know when that was confirmed."""
        for began, ended in reversed(self.slots["hub"].lives):
            end = min(moment, ended)
            if end > began + 2 * WRITES + FREEZE:
                return end - WRITES
        return 0.0

    def prepare(self):
        """The hub, the edges, and who may watch what."""
        hub = self.slots["hub"]
        hub.start()
        until(lambda: b"hub ready" in (self.path / "hub.log").read_bytes(), "the hub")
        users = [f"user{number}" for number in range(self.options.clients // 10 + 1)]
        for room in self.rooms:
            self.world.grant(room, *users)
        for number in range(EDGES):
            self.slots[f"edge{number}"].start()
        self.clients = [self.client(number, users[number // ROOMS % len(users)])
                        for number in range(self.options.clients)]

    def client(self, number, user):
        kind, room = KINDS_OF_CLIENTS[number % len(KINDS_OF_CLIENTS)], self.rooms[number % ROOMS]
        if kind == "poll":
            return Poller(self.load, number, room, user)
        return Client(self.load, number, room, user, kind, self.rooms[(number * 7 + 1) % ROOMS])

    async def torture(self):
        """The outages, one after the other, on a running clinic."""
        pause = 1 / self.options.rate * (BATCHES + POSTERS)
        senders = [Batch(self.load, n, self.rooms, pause, self.slots[f"send{n}"]) for n in range(BATCHES)]
        senders += [Poster(self.load, n, self.rooms, pause) for n in range(POSTERS)]
        watching = [asyncio.ensure_future(client.live()) for client in self.clients]
        sending = [asyncio.ensure_future(sender.live()) for sender in senders]
        try:
            await self.outages(watching + sending)
            self.load.sending = False
            await self.heal(watching, sending)
        finally:
            for task in watching + sending:
                task.cancel()
            for result in await asyncio.gather(*watching, *sending, return_exceptions=True):
                if isinstance(result, Exception):
                    self.load.odd.append(f"the test itself failed: {result!r}")

    async def outages(self, tasks):
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
        for turn in ("stayed", "returned"):
            if turn == "returned":
                before = [client.visits for client in self.clients]
                for client in self.clients:
                    client.turn.set()
                await self.come(lambda: all(c.visits > b for c, b in zip(self.clients, before)), "to return")
            await self.come(lambda: not self.history.missing(), "for what was owed")
            missing = self.history.missing()
            if turn == "stayed":
                self.stalled = missing

    async def come(self, condition, what):
        deadline = time.monotonic() + HEAL
        while not condition() and time.monotonic() < deadline:
            await asyncio.sleep(0.25)
        if not condition():
            self.load.odd.append(f"clients waited {HEAL:.0f} s {what}")

    def judge(self, began):
        verdict = self.history.judge()
        for slot in self.slots.values():
            said = (self.path / f"{slot.name}.log").read_text(errors="replace")
            self.load.odd += [f"{slot.name}: {line}" for line in said.splitlines() if any(w in line for w in REPORTS)]
        table = {"seed": self.options.seed, "seconds": round(time.monotonic() - began, 1),
                 **dict(sorted(self.done.items())),
                 **{f"answer {key}": value for key, value in sorted(self.load.answers.items(), key=str)},
                 **{f"close {key}": value for key, value in sorted(self.load.closes.items(), key=str)},
                 **verdict.counts, **{kind: len(getattr(verdict, kind)) for kind in KINDS},
                 "stalled": len(self.stalled), "odd": len(self.load.odd)}
        print("\n".join(f"{key:<20} {value:>10}" for key, value in table.items()))
        faults = verdict.faults + [f"stalled: {who} in {room}: seq {seq}" for who, room, seq in self.stalled]
        faults += [f"odd: {text}" for text in self.load.odd]
        for text in faults[:60]:
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
    parser.add_argument("--queue-limit", type=int, default=10000, help="small: gaps are due")
    parser.add_argument("--window", type=float, default=10.0 + FREEZE, help="seconds that may be repeated")
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
