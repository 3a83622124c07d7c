"""Load for the fault tests: a stream of numbered messages, and a process full of clients that writes down what it gets.

All times are of CLOCK_MONOTONIC, in nanoseconds, which is the same clock in every process: a message carries its own
(`t` of its data, taken before it is given to diagws-send), the clients stamp what they receive.
"""
import collections
import json
import math
import os
import pathlib
import struct
import subprocess
import threading
import time

from conftest import BUILD, PATIENCE, until

Stored = collections.namedtuple("Stored", "room seq n at")
Entry = collections.namedtuple("Entry", "at sent seq n client kind number size")


class Stream:
    """Messages m-1, m-2, … to some rooms by turns, `rate` in a second, from when `with` begins until `end`.

    .sent: {number: (room, time)}; .stored: {number: Stored}, of all that diagws-send has got an answer for.
    """

    def __init__(self, world, rooms, rate, pad=0, first=1, timeout="60s"):
        self.rooms, self.rate, self.pad, self.next = rooms, rate, "x" * pad, first
        self.popen = subprocess.Popen(
            ["diagws-send", "-l", "--receipts", "--timeout", timeout, "-t", "note_update"],
            env={**os.environ, **world.env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.sent, self.stored = {}, {}
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._write), threading.Thread(target=self._read)]

    def _write(self):
        begun, count = time.monotonic(), 0
        with self.popen.stdin as lines:
            while not self.over.wait(max(0.0, begun + count / self.rate - time.monotonic())):
                count += 1
                self.send(lines)

    def send(self, lines):
        number, now = self.next, time.monotonic_ns()
        room = self.rooms[number % len(self.rooms)]
        self.sent[number] = room, now
        self.next += 1  # before anyone can have got it
        lines.write(json.dumps({"diagnosis_id": room, "id": f"m-{number}",
                                "data": {"t": now, "number": number, "pad": self.pad}}) + "\n")

    def _read(self):
        for line in self.popen.stdout:
            _, room, seq, n, name, *_ = line.rstrip("\n").split("\t")
            self.stored[int(name.rpartition("-")[2])] = Stored(room, int(seq), int(n), time.monotonic_ns())

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        if not self.over.is_set():
            self.end(check=kind is None)

    def end(self, check=True):
        """No message more; waits until all are answered."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        status = self.popen.wait(PATIENCE)
        if check:
            assert status == 0 and len(self.stored) == len(self.sent), (status, len(self.stored), len(self.sent))
        return self.stored


class Clients:
    """Clients in a process of their own (tests/fault/clients.c); `new()`: what they got since it was last asked."""

    ENTRY = struct.Struct("<QQQQIIII")

    def __init__(self, world):
        self.path = pathlib.Path(world.path) / f"record-{time.monotonic_ns()}"
        self.popen = subprocess.Popen([BUILD / "tests" / "clients", self.path], stdin=subprocess.PIPE, text=True)
        self.file = None
        self.rest = b""
        self.count = 0

    def open(self, edge, room, token, device, reads=True):
        """One more client, and its number."""
        self._say(f"{'open' if reads else 'stuck'} {edge.port} /ws/{room}?token={token}&device={device}\n")
        self.count += 1
        return self.count - 1

    def let_all_read(self):
        self._say("read\n")

    def _say(self, line):
        self.popen.stdin.write(line)
        self.popen.stdin.flush()

    def new(self):
        if self.file is None:
            until(self.path.exists, "the clients' record")
            self.file = open(self.path, "rb")
        self.rest += self.file.read()
        whole = len(self.rest) // self.ENTRY.size * self.ENTRY.size
        entries = [Entry(*fields[:5], chr(fields[5]), *fields[6:])
                   for fields in self.ENTRY.iter_unpack(self.rest[:whole])]
        self.rest = self.rest[whole:]
        return entries

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.stdin.close()
        status = self.popen.wait(PATIENCE)
        if self.file is not None:
            self.file.close()
        assert status == 0, "the clients ended"


def quantile(values, share):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
