"""Killed at each system call: a hub, and an edge, that end just before any write, sync or send of one publish.

A publish is traced once to count, per thread, the calls that leave something behind: on the disk, in a socket, for
another thread. Then, for each of them, strace kills the process as it enters that call. What follows is always the
same: the process is started again, a stranger's message comes first (it would get a number that was given
but not kept), and the sender, whose first try may have had an answer or not, repeats with the same id.

A short run takes the first, middle and last call of each kind; DIAGWS_FAULT=long takes all.
"""
import collections
import os
import pathlib
import re
import signal
import subprocess

import pytest

from conftest import PATIENCE, need, until
from stage import Stage

CALLS = "write,writev,pwrite64,pwritev,fdatasync,msync,ftruncate,sendto,sendmsg"
LONG = os.environ.get("DIAGWS_FAULT") == "long"


class Traced:
    """strace on a process, or on one of its threads, while the block runs."""

    def __init__(self, process, *arguments, tid=None):
        self.process, self.tid = process, tid
        self.arguments = arguments if tid else ("-f", *arguments)

    def __enter__(self):
        self.strace = subprocess.Popen(["strace", "-qq", *map(str, self.arguments), "-p",
                                        str(self.tid or self.process.pid)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until(self.attached, "strace")
        return self

    def attached(self):
        # A call that is no part of a publish may have been the one that kills.
        if self.process.popen.poll() is not None:
            return True
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        try:
            return all("TracerPid:\t0\n" not in (tasks / str(tid) / "status").read_text()
                       for tid in ([self.tid] if self.tid else threads(self.process).values()))
        except FileNotFoundError:
            return False

    def __exit__(self, *_):
        self.strace.terminate()
        self.strace.wait(PATIENCE)
        self.strace.stderr.close()


def threads(process):
    """Thread ids by what they do: the name ZeroMQ gives its own, main, and the others by their order."""
    roles = {}
    for tid in sorted(int(task.name) for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()):
        name = pathlib.Path(f"/proc/{process.pid}/task/{tid}/comm").read_text().strip()
        roles["main" if tid == process.pid else name if name.startswith("ZMQ") else f"worker{len(roles)}"] = tid
    return roles


def places(process, path, publish):
    """(thread's role, call, N) of all that the process does for one publish."""
    roles = {tid: role for role, tid in threads(process).items()}
    with Traced(process, "-e", f"trace={CALLS}", "-o", path):
        publish()
    counts = collections.Counter()
    for line in path.read_text().splitlines():
        call = re.match(r"(\d+) +(\w+)\(", line)
        if call:
            counts[roles[int(call[1])], call[2]] += 1
    kinds = sorted(counts.items())
    assert kinds, "the publish shows no calls"
    return [(role, call, n) for (role, call), count in kinds
            for n in (range(1, count + 1) if LONG else sorted({1, (count + 1) // 2, count}))]


def kill_at(process, place, publish):
    """Runs publish() with the process killed at the place. True: it was, False: it did not come by there."""
    role, call, n = place
    with Traced(process, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}", "-o", "/dev/null",
                tid=threads(process)[role]):
        publish()
    reached = process.popen.poll() == -signal.SIGKILL
    process.kill()
    return reached


def all_places(stage, process, publish, path, restart, prepare=lambda: None):
    """Counts, then kills at each; how many of the places were come by."""
    prepare()
    stage.settle()
    every = places(process(), path, lambda: publish("count"))
    if process().popen.poll() is not None:
        restart()
    reached = 0
    for number, place in enumerate(every):
        id = f"at-{number}-{'-'.join(map(str, place)).replace('/', '.')}"
        prepare()
        stage.settle()
        reached += kill_at(process(), place, lambda: publish(id))
        restart()
        stage.repeat(id)
    print(f"{len(every)} places, killed at {reached}")
    assert reached > len(every) / 2


@pytest.mark.parametrize("when", ("running", "begun", "ending"))
def test_a_hub_killed_at_any_call_loses_and_repeats_nothing(world, tmp_path, when):
    """Running it writes to the journal; just begun, and at its end, to the store's file."""
    need("strace")
    # It ends while it is traced, where a leak cannot be looked for.
    stage = Stage(world, hub_env={"ASAN_OPTIONS": "detect_leaks=0"} if when == "ending" else None)

    def publish(id):
        stage.try_to_send(id, stage.hub)
        until(lambda: id in stage.watchers[0].ids or stage.hub.popen.poll() is not None, "the message, or the end")
        if when == "ending":
            stage.hub.signal(signal.SIGTERM)
            until(lambda: stage.hub.popen.poll() is not None, "the end")

    def prepare():
        if when == "begun":
            stage.hub.terminate()
            stage.start_hub()

    stage.play(lambda: all_places(stage, lambda: stage.hub, publish, tmp_path / "trace", stage.start_hub, prepare))
    assert stage.watchers[0].connections == 1, "the client's socket dropped"
    stage.judge()


def test_an_edge_killed_at_any_call_loses_nothing(world, tmp_path):
    need("strace")
    stage = Stage(world, devices=("phone", "tablet"))

    def publish(id):
        stage.try_to_post(id)
        until(lambda: all(id in watcher.ids for watcher in stage.watchers) or stage.edge.popen.poll() is not None,
              "the message, or the end")

    stage.play(lambda: all_places(stage, lambda: stage.edge, publish, tmp_path / "trace", stage.start_edge))
    stage.judge()
