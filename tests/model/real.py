#!/usr/bin/env python3
"""The same histories through real processes: diagws-hub, its edges, WebSockets and HTTP, held to the same model.

  real.py [--seeds N] [--seed FIRST] [--jobs N] [FILE…]      histories that are kept, or random ones

What each client sees becomes the lines that harness.c prints, so model and judge are the same. Nothing is waited for but
conditions: after each step that every edge has taken what the hub had said (a poll of each room), that every client has
read it (`ping`), and that the hub counts the connections that the model counts. What the model does not accept is looked
at again until PATIENCE is over, for a client may be told what it is owed a moment later; what it may not be told at all
stays wrong.

Left out: what needs time to go by (age, clock, worlds and messages with ages, windows of ids), and what the hub does by
itself now and then (write, sweep, rest). An edge that is stopped goes on before anybody doubts it, and the hub does not
end meanwhile. What needs seconds to be settled (a device resumes from where it was 5 s before) is held to both bounds.
"""
import argparse
import concurrent.futures
import copy
import os
import pathlib
import shutil
import sys
import tempfile
import time

import drive
import generate
import history
import model
from real_client import Gone
from real_steps import Late, Steps
from reader import Mismatch
from shrink import shrink
from steps import Model, Seen

# Of a device that is away 5 s by a clock that is not ours.
model.SETTLED_LEAST, model.SETTLED_MOST = 4000, 60000

PATIENCE = 3.0
UNPLAYABLE = {"age", "clock"}
PASSED_OVER = {"write", "sweep", "rest"}
WORLD = {"world", "limit", "edges", "engine", "either", "evict", "seed"}


def playable(steps):
    """Nothing of it would have to be left out."""
    words, options = history.parse(steps[0])
    return set(options) <= WORLD and options.get("engine") != "memory" and steps[1:] == adapt(steps)[1:]


def adapt(steps):
    """What of it can be played here."""
    kept, stopped = [], set()
    for step in steps:
        words, options = history.parse(step)
        verb = words[0]
        if verb == "world":
            step = " ".join(part for part in step.split() if part.partition("=")[0] in WORLD)
        elif verb in UNPLAYABLE | PASSED_OVER or (stopped and verb in ("crash", "restart", "restore", "kill")):
            continue
        elif int(options.get("ttl", 60)) < 60:
            step = " ".join(part for part in step.split() if not part.startswith("ttl="))
        if verb == "stop":
            stopped.add(words[1])
        elif verb == "cont":
            stopped.discard(words[1])
        kept.append(step)
    return kept


class Real(Steps):
    """One hub and its edges, for one history."""

    def run(self, steps):
        """None, or (index of the step, what is wrong)."""
        words, options = history.parse(steps[0])
        self.model = Model({**options, "engine": "lmdb"})
        for i, step in enumerate(steps):
            try:
                self.step(*history.parse(step))
            except Late:
                return None
            except Gone as error:
                return i, "%s was closed" % error
            except (Mismatch, AssertionError) as error:
                return i, str(error)
        return None

    def step(self, words, options):
        if words[0] == "pong":
            self.answer = []
            self.await_ping(words[1])
            self.judge(["rest"], {}, None, None)
        act = getattr(self, "do_" + words[0])
        done = act(words, options)
        self.settle()
        self.judge(words, options, done, act if words[0] in ("poll", "receipts") else None)
        self.wait(self.counts_are_right, "the hub to count the connections that there are: it counts %s, expected %s")

    def judge(self, words, options, done, ask):
        """Looks again and again until the model is content, or for as long as there is patience."""
        deadline = time.monotonic() + PATIENCE
        while True:
            tried, count = copy.deepcopy(self.model), len(self.lines)
            try:
                tried.step(words, options, Seen(self.seen(done, count)))
                self.model = tried
                del self.lines[:count]  # what comes from now on is of the next step
                return
            except Mismatch:
                if time.monotonic() > deadline:
                    raise
            self.read_some(0.05)
            if ask:
                ask(words, options)
            self.settle()

    def seen(self, done, count):
        now = "t %d %d" % (time.time() * 1000, time.monotonic() * 1000)
        return [now, *self.lines[:count], *self.answer, *(["noop"] if done is False else [])]


def play(steps, verbose=False):
    path = pathlib.Path(tempfile.mkdtemp(prefix="real-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    try:
        real = Real(path)
        try:
            found = real.run(steps)
            if found and verbose:
                print("\n".join(real.lines + real.answer))
                for process in real.world.processes:
                    print("---- %s\n%s" % (process.name, process.said()[-3000:]))
            return found
        finally:
            real.end()
    finally:
        shutil.rmtree(path)


def random_history(seed):
    return adapt(generate.make(seed, generate.REAL, (10, 15, 25)))


def play_seed(seed):
    return seed, play(random_history(seed))


def search(first, count, jobs):
    """[(seed, (step, what))] of those that failed."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return [(seed, found) for seed, found in pool.map(play_seed, range(first, first + count)) if found]


def text(steps, found, about):
    return "# %s: step %d, '%s':\n# %s\n%s\n" % (about, found[0] + 1, steps[found[0]], found[1], "\n".join(steps))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=4 * os.cpu_count())
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("file", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    if options.file:
        failed = 0
        for path in options.file:
            steps = history.read(path.read_text())
            found = play(steps, options.verbose) if playable(steps) else None
            failed += bool(found)
            print("%s: %s" % (path, text(steps, found, "real") if found else "ok" if playable(steps) else "left out"))
        return failed > 0
    began = time.monotonic()
    failures = search(options.seed, options.seeds, options.jobs)
    print("%d histories through real processes in %.1f s, seeds %d to %d: %s" % (
        options.seeds, time.monotonic() - began, options.seed, options.seed + options.seeds - 1,
        "%d failed" % len(failures) if failures else "ok"))
    for seed, found in failures[:5]:
        steps = random_history(seed)
        if play(steps, options.verbose):
            try:
                steps, found = shrink(steps, play)
            except AssertionError:
                pass  # not each time
        print(text(steps, found, "seed %d" % seed))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
