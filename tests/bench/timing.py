"""Whether the time of a refusal tells a room that is unknown from one that is forbidden.

    timing.py [--tries 20000] [--messages 60000] [--seed N]      (make timing)

A real hub, whose rooms are forbidden to the one who asks: one with a single message, one with 60,000, one that somebody
watches, so that it is in memory, and one with many other users; and rooms that nobody knows, another one each time. READs
and JOINs of them in random order, one at a time, on the hub's own socket, where nothing lies between the hub and the
clock. (An edge answers a refusal no sooner than after 50 ms besides, which hides what is left.) Memory for rooms that
nobody watches is short, so that a room that was loaded would not stay.

Prints for each kind of room the mean and the quartiles, and Welch's t against the unknown ones; fails where one of them
is 4.5 or more (Goodwill et al. 2011, as in dudect): beyond that the two differ, and it is not chance.
"""
import argparse
import json
import pathlib
import random
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from conftest import World  # noqa: E402
from test_hostile_peer import DENIED, JOINED, PING, PONG, RECORDS, dealer, greeted, heard, join, read  # noqa: E402

BOUND = 4.5
USERS = 1000  # of the direct messages, and of the room with many users
ROOMS = ("unknown", "single", "many", "watched", "shared")


def lines(count):
    """One message; a tenth of what a hub keeps as the ten times as many direct ones; and users."""
    def line(room, **more):
        return json.dumps({"diagnosis_id": room, "type": "a_update", "data": {"text": "x" * 100}, **more}) + "\n"
    yield from (line(room) for room in ("single", "watched", "shared"))
    for number in range(count):
        yield line("many") if number % 6 == 0 else line("many", user=f"user {number % USERS}")


def fill(world, count):
    limit = count // 6
    hub = world.hub("--queue-limit", limit)
    world.run("diagws-send", "-l", input="".join(lines(count)), timeout=300)
    world.run("diagws-owner", "import", timeout=60, input="".join(
        json.dumps({"diagnosis_id": "shared", "user_id": f"user {number}"}) + "\n" for number in range(USERS)))
    world.grant("watched", "ann")
    hub.terminate()
    world.hub("--queue-limit", limit, "--memory-limit", "1M")


def measure(asker, holder, kind, tries, order):
    """Seconds of each try, by room."""
    ask, answer = (read, RECORDS) if kind == "READ" else (None, JOINED)
    left = {room: tries for room in ROOMS}
    times = {room: [] for room in ROOMS}
    corr, ping_at = 0, 0
    while left:
        what = order.choice(list(left))
        corr += 1
        # As long as the others' names.
        room = f"{order.randrange(16 ** 6):06x}" if what == "unknown" else what
        frame = ask(corr, room, "eve") if ask else join(corr, corr, room, "eve")
        begun = time.perf_counter()
        asker.send_frame(frame)
        (told,) = asker.frame()
        times[what].append(time.perf_counter() - begun)
        assert told[:2] == [answer, corr] and told[2 if ask else 3] == DENIED, told
        if len(times[what]) == tries:
            del left[what]
        if time.monotonic() > ping_at:
            ping_at = time.monotonic() + 2
            for peer in (holder, asker):
                peer.send(PING, corr)
                heard(peer, PONG, 1, corr)
    return times


def welch(a, b):
    difference = statistics.fmean(a) - statistics.fmean(b)
    return difference / (statistics.variance(a) / len(a) + statistics.variance(b) / len(b)) ** 0.5


def report(kind, times):
    worst = 0.0
    print(f"{kind}: microseconds of {len(times['unknown'])} tries each")
    print(f"  {'room':10}{'mean':>10}{'quarter':>10}{'median':>10}{'3/4':>10}{'t':>10}")
    for room in ROOMS:
        t = welch(times[room], times["unknown"]) if room != "unknown" else 0.0
        quartiles = statistics.quantiles(times[room], n=4)
        print(f"  {room:10}" + "".join(f"{value * 1e6:10.1f}" for value in (statistics.fmean(times[room]), *quartiles))
              + f"{t:10.2f}", flush=True)
        worst = max(worst, abs(t))
    return worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tries", type=int, default=20_000)
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        world = World(pathlib.Path(folder))
        try:
            fill(world, options.messages)
            with dealer(world.env["DIAGWS_HUB"]) as asker, dealer(world.env["DIAGWS_HUB"]) as holder:
                greeted(asker, 1, 8)
                greeted(holder, 1, 9)
                holder.send_frame(join(1, 1 << 40, "watched", "ann"))
                assert heard(holder, JOINED, 1, 1)[3] == 0
                order = random.Random(options.seed)
                worst = [report(kind, measure(asker, holder, kind, options.tries, order)) for kind in ("READ", "JOIN")]
        except BaseException:
            print(*(process.said() for process in world.processes), file=sys.stderr)
            raise
        finally:
            world.end()
    return 0 if max(worst) < BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
