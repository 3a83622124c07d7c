"""What clients that never read cost those that do: the readers' latency, and the edge's memory.

    slow.py [--runs 5] [--readers 500] [--stuck 500]      (make slow-clients)

For one room and for many, so many pairs of runs, without and with the stuck clients by turns, each with a fresh edge.
First come messages large enough to fill all that a stuck client's kernel and the edge take for it; only then is
measured: from before a message is given to diagws-send until a reader's read() has returned with it. Fails when the
median p99 with them is above 1.2 times the one without, or a stuck client costs more than diagws-edge(8) states.
Two runs can be compared when nothing else gets between them: where it may, all is scheduled in real time, before
whatever else the machine does, and the hub's store lies in memory, away from everybody's disk.
"""
import argparse
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from conftest import World, until
from load import Clients, Stream, quantile

BOUND = 260 * 1024  # bytes of the edge's own memory for a stuck client: see MEMORY in diagws-edge(8)
FILL, FILL_RATE, FILL_PAD = 40, 100, 16 * 1024  # 640 KiB to each: a ring has 256 KiB, their sockets about 200 KiB
PER_USER = 16  # devices of a user in a room


def private(edge):
    """Bytes that only the edge has."""
    text = pathlib.Path(f"/proc/{edge.pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^Private_\w+: +(\d+) kB$", text, re.M)) * 1024


def resident(edge):
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", pathlib.Path(f"/proc/{edge.pid}/status").read_text(), re.M)[1]) * 1024


def kernel(edge):
    """Bytes that the kernel holds for what the edge has written to its clients, and for the clients themselves."""
    def held(direction):
        said = subprocess.run(["ss", "-tmnH", f"{direction} = :{edge.port}"], capture_output=True, text=True,
                              check=True).stdout
        return sum(int(r) + int(f) + int(w) for r, f, w in re.findall(r"skmem:\(r(\d+),.*?,f(\d+),w(\d+),", said))
    return held("sport"), held("dport")


class Scene:
    """An edge with readers in some rooms; stuck clients may join them."""

    def __init__(self, world, rooms, *arguments):
        self.world = world
        self.rooms = [f"{len(world.processes)}-{number}" for number in range(rooms)]
        self.edge = world.edge(*arguments)
        self.clients = Clients(world)
        self.tokens = {}
        self.next = 1
        self.seen = {room: [] for room in self.rooms}

    def open(self, count, kind, reads):
        """So many clients more, spread over the rooms: {client: room}."""
        opened = {}
        for number in range(count):
            room, place = self.rooms[number % len(self.rooms)], number // len(self.rooms)
            user = f"{kind}-{room}-{place // PER_USER}"
            if user not in self.tokens:
                self.tokens[user] = self.world.token(user, "--diagnosis", room)
            opened[self.clients.open(self.edge, room, self.tokens[user], f"d{place % PER_USER}", reads)] = room
        expected = self.clients.count
        until(lambda: self.world.stat("summary")["connections"] == expected, f"{expected} connections")
        return opened

    def send(self, count, rate, pad):
        """(numbers, {number: Stored}) of a stream that is over: all was stored."""
        with Stream(self.world, self.rooms, rate, pad, self.next) as stream:
            until(lambda: len(stream.sent) >= count, "the stream", count / rate + 30)
            stored = stream.end()
        self.next = stream.next
        return stored

    def received(self, readers, stored):
        """Latencies in ns, when every reader has got exactly what was stored in its room, in order."""
        due = {room: sorted(n for n, message in stored.items() if message.room == room) for room in self.rooms}
        got = {client: [] for client in readers}
        latencies, others = [], []
        missing = sum(len(due[room]) for room in readers.values())

        def all_there():
            nonlocal missing
            for entry in self.clients.new():
                if entry.kind == "u" and entry.client in got:
                    got[entry.client].append(entry.number)
                    latencies.append(entry.at - entry.sent)
                    missing -= 1
                elif entry.kind != "c":
                    others.append(entry)
            return missing <= 0 or others
        until(all_there, "the readers to have all")
        assert not others, others[:5]
        for client, room in readers.items():
            assert got[client] == due[room], f"client {client} in {room}"
        return latencies

    def end(self):
        self.clients.__exit__()
        self.edge.end()


def measure(world, rooms, readers, stuck, rate, seconds):
    """One run: a dict of what was measured."""
    scene = Scene(world, rooms)
    reading = scene.open(readers, "r", reads=True)
    idle = private(scene.edge), resident(scene.edge)
    scene.open(stuck, "s", reads=False)
    scene.received(reading, scene.send(max(FILL, FILL * rooms), FILL_RATE * min(rooms, 2), FILL_PAD))
    stored = scene.send(rate * seconds, rate, 100)
    latencies = scene.received(reading, stored)
    assert world.stat("summary")["connections"] == readers + stuck
    edge_side, client_side = kernel(scene.edge)
    result = {"p50": quantile(latencies, 0.5) / 1e6, "p99": quantile(latencies, 0.99) / 1e6,
              "max": max(latencies) / 1e6, "deliveries": len(latencies), "private": private(scene.edge) - idle[0],
              "rss": resident(scene.edge) - idle[1], "edge_kernel": edge_side, "client_kernel": client_side}
    scene.end()
    return result


def compare(world, what, runs, rooms, readers, stuck, rate, seconds=10):
    """Prints a line for each run, and the verdict; true when it is within the bounds."""
    results = {0: [], stuck: []}
    print(f"{what}: {readers} readers, {rate} messages/s for {seconds} s, {runs} runs without and with {stuck} stuck")
    for _ in range(runs):
        for count, kept in results.items():
            run = measure(world, rooms, readers, count, rate, seconds)
            kept.append(run)
            print(f"  {count:4} stuck: p50 {run['p50']:.2f} p99 {run['p99']:.2f} max {run['max']:.1f} ms of "
                  f"{run['deliveries']}; edge +{run['private'] >> 10} KiB private, +{run['rss'] >> 10} KiB RSS, kernel "
                  f"{run['edge_kernel'] >> 10} + {run['client_kernel'] >> 10} KiB (edge's + clients' sockets)",
                  flush=True)
    median = {count: {key: statistics.median(run[key] for run in kept) for key in kept[0]}
              for count, kept in results.items()}
    ratio = median[stuck]["p99"] / median[0]["p99"]
    # All that an edge took since before they came is put down to them: the rings and the readers' bursts, too.
    each = {key: median[stuck][key] / stuck for key in ("private", "rss", "edge_kernel", "client_kernel")}
    print(f"  median p99 {median[stuck]['p99']:.2f} ms with, {median[0]['p99']:.2f} ms without: ratio {ratio:.2f} "
          f"(at most 1.2)\n  a stuck client: {each['private'] / 1024:.1f} KiB private (at most {BOUND >> 10}), "
          f"{each['rss'] / 1024:.1f} KiB RSS; kernel {each['edge_kernel'] / 1024:.1f} KiB for the edge's socket, "
          f"{each['client_kernel'] / 1024:.1f} KiB for its own", flush=True)
    return ratio <= 1.2 and each["private"] <= BOUND


def main():
    parser = argparse.ArgumentParser(description="What clients that never read cost those that do.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--readers", type=int, default=500)
    parser.add_argument("--stuck", type=int, default=500)
    given = parser.parse_args()
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="slow-", dir=memory if memory.is_dir() else None) as path:
        world = World(pathlib.Path(path))
        try:
            world.hub("--ownership", "claims")
            good = [compare(world, "one room", given.runs, 1, given.readers, given.stuck, 50),
                    compare(world, "50 rooms", given.runs, 50, given.readers, given.stuck, 500)]
        finally:
            world.end()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
