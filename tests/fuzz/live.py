"""What the two live fuzzers share: an honest pair beside the attackers, mutations, and the judgement.

The honest pair is a `diagws-send -l` and a WebSocket that watches its room; they go on as fast as each message is told,
and what the watcher gets must be exactly what was sent, in order. The attackers are threads with a seed each: the same seed
makes the same inputs. Failure modes: a process of ours that ended or grew beyond GROWTH, a message of the pair that is late,
wrong or missing, an answer that an attacker must get and does not. The last inputs of each attacker are then kept.
"""
import argparse
import asyncio
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/integration")]
from conftest import BUILD, PATIENCE, SANITIZED, World, receive  # noqa: E402

ATTACKERS = 4
GROWTH = 96 << 20  # bytes: what the hub may stage, and as much again as it needs beside
LATE = 3 * PATIENCE


class Finding(Exception):
    """Something that must not be."""


def anonymous(pid):
    """Bytes of memory that are no file's: the store's file is mapped, and no process's own."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("Anonymous:")[1].split()[0]) << 10


class Mutator:
    """Inputs like given ones."""

    ODD = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xc1", b"\xdf\xff\xff\xff\xff", b"\xff" * 8, b"\x00" * 8, b"\r\n", b"\n", b"\"", b"{",
           b"[" * 70, b"%00", b"\xed\xa0\x80", b"9" * 20, b"-1", b"1e999", b"\\u0000", b"\xf4\x90\x80\x80", b"a" * 300)

    def __init__(self, seed):
        self.random = random.Random(seed)

    def mutated(self, data):
        """A few changes; now and then none."""
        data = bytearray(data)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3, 8))):
            self._change(data)
        return bytes(data)

    def _change(self, data):
        pick = self.random
        at = pick.randrange(len(data) + 1)
        some = pick.choice((1, 1, 2, 4, 16, 64))
        what = pick.randrange(6)
        if what == 0 and at < len(data):
            data[at] ^= 1 << pick.randrange(8)
        elif what == 1 and at < len(data):
            data[at] = pick.randrange(256)
        elif what == 2:
            del data[at:at + some]
        elif what == 3:
            data[at:at] = pick.choice(self.ODD)
        elif what == 4:
            data[at:at] = data[at:at + some] * pick.choice((1, 2, 20))
        else:
            data[at:at + some] = pick.randbytes(some)


class Pair(threading.Thread):
    """The honest publisher and watcher."""

    def __init__(self, world, edge):
        super().__init__(daemon=True)
        self.world, self.edge = world, edge
        self.room = "honest-room"
        world.grant(self.room, "honest")
        self.token = world.token("honest")
        self.told, self.wrong, self.enough = 0, None, threading.Event()

    def run(self):
        try:
            asyncio.run(self._go_on())
        except Exception as error:  # whatever it is, it is a finding
            self.wrong = f"the honest pair after {self.told} messages: {error!r}"

    async def _go_on(self):
        sender = await asyncio.create_subprocess_exec(
            str(BUILD / "bin/diagws-send"), "-l", "-t", "note_update", "-d", self.room,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **self.world.env})
        async with self.edge.connect(self.room, self.token) as socket:
            assert json.loads(await socket.recv())["type"] == "connect"
            while not self.enough.is_set():
                count = 1 + self.told % 3
                for number in range(self.told, self.told + count):
                    sender.stdin.write(b'{"data":{"number":%d}}\n' % number)
                updates = [await receive(socket, LATE) for _ in range(count)]
                got = [(update["type"], update.get("n"), update["data"].get("number")) for update in updates]
                assert got == [("note_update", n + 1, n) for n in range(self.told, self.told + count)], got
                self.told += count
        sender.stdin.close()
        assert await sender.wait() == 0, await sender.stderr.read()


class Attacker(threading.Thread):
    """Calls `attack(mutator, keep)` until its inputs or its time are over; `keep` takes each input before it is sent."""

    def __init__(self, attack, seed, inputs, until):
        super().__init__(daemon=True)
        self.attack, self.seed, self.left, self.until = attack, seed, inputs, until
        self.mutator = Mutator(seed)
        self.recent, self.wrong, self.done = [], None, 0

    def keep(self, data):
        self.recent = self.recent[-49:] + [data]
        return data

    def run(self):
        try:
            while self.done < self.left and time.monotonic() < self.until:
                self.attack(self.mutator, self.keep)
                self.done += 1
        except Exception as error:
            self.wrong = f"the attacker with seed {self.seed} at input {self.done}: {error!r}"


def watch(world, processes, pair, attackers):
    """Until the attackers have ended. How much each process's memory grew at most."""
    first = {process: anonymous(process.pid) for process in processes}
    grown = dict.fromkeys(processes, 0)
    while any(attacker.is_alive() for attacker in attackers):
        for attacker in attackers:
            attacker.join(0.2)
            for process in processes:
                if process.popen.poll() is not None:
                    raise Finding(f"{process.name} ended with {process.popen.returncode}: {process.said()[-4000:]}")
                grown[process] = max(grown[process], anonymous(process.pid) - first[process])
            wrong = attacker.wrong or pair.wrong
            if wrong:
                raise Finding(wrong)
    for process in processes:
        if grown[process] > GROWTH and not SANITIZED:
            raise Finding(f"{process.name} grew by {grown[process] >> 20} MiB")
    return grown


def keep_inputs(attackers):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="diagws-live-"))
    for attacker in attackers:
        (folder / f"{attacker.seed}.hex").write_text("\n".join(data.hex() for data in attacker.recent) + "\n")
    return folder


def fuzz(world, hub, edge, attack, seed, inputs, seconds):
    """Attacks beside the pair; a line of what was done. Raises Finding."""
    pair = Pair(world, edge)
    end = time.monotonic() + seconds
    attackers = [Attacker(attack, seed * ATTACKERS + i, inputs // ATTACKERS, end) for i in range(ATTACKERS)]
    pair.start()
    try:
        for attacker in attackers:
            attacker.start()
        grown = watch(world, (hub, edge), pair, attackers)
        pair.enough.set()
        pair.join(LATE)
        if pair.wrong or pair.is_alive():
            raise Finding(pair.wrong or "the honest pair does not end")
    except Finding as finding:
        raise Finding(f"{finding}; seed {seed}, the last inputs in {keep_inputs(attackers)}") from None
    return (f"{sum(attacker.done for attacker in attackers):,} inputs, {pair.told:,} honest messages exact; grown: " +
            ", ".join(f"{process.name} {size >> 20} MiB" for process, size in grown.items()))


def main(name, run):
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--inputs", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"{name}: seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        world = World(pathlib.Path(folder).resolve())
        try:
            print(f"{name}: {run(world, options.seed, options.inputs, options.minutes * 60)}")
        except Finding as finding:
            sys.exit(f"{name}: {finding}")
        finally:
            world.end()
