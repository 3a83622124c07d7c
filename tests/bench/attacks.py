"""What an attacker costs those who do nothing but their work: `make attacks`, one row an attack (attackers.py).

    attacks.py [--runs 3] [--seconds 4] [ATTACK…]      (make attacks [RUNS=3] [SECONDS=4] [ONLY='status own'])

Beside one hub and one edge, fresh for each attack, an honest publisher sends 200 messages a second to 20 rooms, and 60
honest clients are timed from when a message was due until they have it: alone, beside the attack, and beside a control
that takes as much of the processor as the attacker did and talks to nobody, by turns, so many rounds. Ratios are of
paired rounds, of each the median. What is no more than the control's ratio is the machine's two cores, not us.

The edge has a core; the hub, the honest load and the attacker share the other. An attacker has machines of its own, so
here it has the time that the others leave (SCHED_IDLE): with nice 10 already one that turned in a loop and talked to
nobody cost the honest 2.6 to 5 × in p99. The hub starts with the soft limit of 1024 descriptors that a shell and
systemd give. Memory is the most that a process had of its own; its bound is what it had alone at first, and what MEMORY
in diagws-hub(8) and diagws-edge(8) allows on top.

Failure modes: a hub or an edge that ends, or an honest run that loses a message, is refused one or does not end, is
said in the row and makes it fail; the attack is then over. Ends with 1 when a row misses.
"""
import argparse
import contextlib
import multiprocessing
import os
import pathlib
import re
import resource
import signal
import statistics
import sys
import threading
import time

import load
from attackers import ATTACKS, Control
from servers import BUILD, LOAD, Diagws, Failed, cpu_seconds, until

CLIENTS, ROOMS, RATE = 60, 20, 200
RATIO = 2.0
CALM = 20  # s, at most, after an attack
HUB_ROOMS = 32  # --memory-limit
# MiB. Hub: what waits for the store, what is under way to an edge, ids and rooms remembered, the journal, a sort, and
# rooms that nobody watches. Edge: bodies and answers under way, and what the hub has under way to it.
BOUND = {"hub": 64 + 16 + 20 + 24 + 16 + HUB_ROOMS, "edge": 128 + 16}
fork = multiprocessing.get_context("fork")


class Clinic(Diagws):
    def __init__(self, *hub_options):
        super().__init__()
        self.hub_options = hub_options

    def start(self, name, arguments, *cores, **more):
        if name == "hub":
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            more["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
            arguments = [*arguments, "--memory-limit", f"{HUB_ROOMS}M", *self.hub_options]
        return super().start(name, arguments, *cores, **more)

    def ended(self):
        """What has, and its last words."""
        for process in self.processes:
            if process.popen.poll() is not None:
                return f"the {process.name} ended with {process.popen.returncode}"
        return None


class Peaks:
    """The most memory, in MiB, that each process has had of its own: not of VmHWM, which counts the mapped store, too."""

    def __init__(self, pids):
        self.pids, self.most, self.over = pids, dict.fromkeys(pids, 0.0), threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.over.wait(0.05):
            for name, pid in self.pids.items():
                with contextlib.suppress(OSError):
                    found = re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
                    self.most[name] = max(self.most[name], int(found[1]) / 1024 if found else 0)

    def __enter__(self):
        self.thread.start()
        return self.most

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def play(attack, ready, stop, did):
    """The attacker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setaffinity(0, LOAD)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with contextlib.suppress(OSError):
        attack.begin()
    ready.set()
    while not stop.is_set():
        try:
            attack.turn()
            did.value = attack.did
        except OSError:
            time.sleep(0.01)


class Attacker:
    """Attacks from its beginning to its end; `share` of a core is what it took, `did` what it got through with."""

    def __init__(self, attack):
        self.ready, self.stop, self.count = fork.Event(), fork.Event(), fork.Value("q", 0, lock=False)
        self.process = fork.Process(target=play, args=(attack, self.ready, self.stop, self.count), daemon=True)

    def __enter__(self):
        self.process.start()
        until(lambda: self.ready.is_set() or not self.process.is_alive(), "the attacker")
        self.begun, self.cpu = time.monotonic(), cpu_seconds(self.process.pid)
        return self

    def look(self):
        self.share = (cpu_seconds(self.process.pid) - self.cpu) / (time.monotonic() - self.begun)
        self.did = self.count.value

    def __exit__(self, *_):
        self.stop.set()
        self.process.join(3)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def honest(servers, seconds):
    """p50 and p99 in ms, what went wrong for the honest, peaks in MiB."""
    figures = {"p50": float("inf"), "p99": float("inf"), "wrong": []}
    with Peaks(servers.pids) as peaks:
        try:
            popen = load.start("latency", servers, clients=CLIENTS, rooms=ROOMS, rate=RATE, duration=f"{seconds}s",
                               warm_up=1, timeout="10s")
            found = load.finish(popen, 4 * seconds + 30, strict=False)
            figures.update({name: found["latency_us"][name] / 1000 for name in ("p50", "p99")})
            figures["wrong"] += [f"{found[name]} {name}" for name in ("lost", "rejected", "errors") if found.get(name)]
        except Failed as error:
            figures["wrong"].append(" ".join(str(error).split())[:120])
            time.sleep(0.2)  # what is about to end has ended
    figures.update(peaks)
    figures["wrong"] += [ended for ended in (servers.ended(),) if ended]
    return figures


def beside(servers, attack, seconds):
    with Attacker(attack) as attacker:
        figures = honest(servers, seconds)
        attacker.look()
    figures.update(share=attacker.share, did=attacker.did)
    return figures


def calm(servers):
    """Whether what the attack left behind is over: an honest run must not begin in the middle of it."""
    def idle():
        if servers.ended():
            raise Failed(servers.ended())
        before = [cpu_seconds(pid) for pid in servers.pids.values()]
        time.sleep(0.2)
        return all(cpu_seconds(pid) - then < 0.05 for pid, then in zip(servers.pids.values(), before))
    with contextlib.suppress(Failed):
        return until(idle, "calm", CALM)
    return False


def measure(kind, options):
    """The rounds of one attack: [(alone, attack, control)]."""
    rounds = []
    with Clinic(*kind.hub_options) as servers:
        attack = kind(servers)
        attack.prepare()
        calm(servers)
        for turn in range(options.runs):
            alone = honest(servers, options.seconds)
            attacked = beside(servers, attack, options.seconds)
            quiet = calm(servers)
            if not quiet and not servers.ended():
                attacked["wrong"].append(f"still busy {CALM} s later")
            control = beside(servers, Control(servers, attacked["share"]), options.seconds) if quiet else None
            rounds.append((alone, attacked, control))
            print(f"{kind.name} {turn + 1}/{options.runs}: alone {alone['p99']:.2f} ms, attack {attacked['p99']:.2f} ms "
                  f"({attacked['did']:,} done), control {control['p99'] if control else 0:.2f} ms", *alone["wrong"], "|",
                  *attacked["wrong"], file=sys.stderr, flush=True)
            if servers.ended() or not quiet or not calm(servers):
                break
    return rounds


def median(values):
    return statistics.median(values) if values else float("nan")


def text(value, unit=""):
    if value == float("inf") or value != value:
        return "–"
    return f"{value:.2f}{unit}" if value < 100 else f"{value:,.0f}{unit}"


def row(kind, rounds):
    """Its cells, and whether the attack costs no more than it may."""
    alone, attacked = [r[0] for r in rounds], [r[1] for r in rounds]
    control = [r[2] for r in rounds if r[2] is not None]
    ratio = median([a["p99"] / b["p99"] for a, b in zip(attacked, alone)])
    burnt = median([c["p99"] / b["p99"] for c, b in zip(control, alone)])
    wrong = sorted({w for figures in attacked for w in figures["wrong"]})
    memory, within = [], True
    for name in ("hub", "edge"):
        before, most = alone[0][name], max(a[name] for a in attacked)
        within &= most <= before + BOUND[name]
        memory.append(f"{before:.0f} → {most:.0f} (≤ {before + BOUND[name]:.0f})")
    ok = ratio <= RATIO and within and not wrong
    cells = [kind.title, f"{text(median([a['p50'] for a in alone]))} / {text(median([a['p99'] for a in alone]))}",
             f"{text(median([a['p50'] for a in attacked]))} / {text(median([a['p99'] for a in attacked]))}",
             f"{text(ratio)} ×", f"{text(burnt)} ×", f"{median([a['share'] for a in attacked]):.0%}", *memory,
             "**met**" if ok else "**missed**" + (": " + "; ".join(wrong) if wrong else "")]
    return cells, ok


HEAD = ["attack", "alone: p50 / p99, ms", "beside it", "p99", "control's p99", "attacker's core", "hub, MiB", "edge, MiB",
        ""]


def line(cells):
    return "| " + " | ".join(cells) + " |"


def arguments():
    parser = argparse.ArgumentParser(prog="attacks.py")
    parser.add_argument("--runs", type=int, default=3, help="rounds of each attack")
    parser.add_argument("--seconds", type=int, default=4, help="of each part that is timed")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=" ".join(kind.name for kind in ATTACKS))
    options = parser.parse_args()
    unknown = set(options.attacks) - {kind.name for kind in ATTACKS}
    if unknown or options.runs < 1 or options.seconds < 1:
        parser.error(f"no such attack: {' '.join(unknown)}" if unknown else "--runs, --seconds: at least 1")
    return options


def main():
    options, bad, lines = arguments(), 0, [line(HEAD), line(["---"] * len(HEAD))]
    for kind in ATTACKS:
        if options.attacks and kind.name not in options.attacks:
            continue
        try:
            cells, ok = row(kind, measure(kind, options))
        except Failed as error:
            cells, ok = [kind.title, *["–"] * (len(HEAD) - 2), f"**not measured**: {' '.join(str(error).split())}"], False
        lines.append(line(cells))
        bad += not ok
        (BUILD / "ATTACKS.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
