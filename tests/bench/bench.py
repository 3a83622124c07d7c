"""Measures diagws beside what it is compared with, and writes tests/bench/RESULTS.md.

    bench.py [--runs 3] [--quick] [--beside BUILD] [ROW…]   (make bench [RUNS=3] [QUICK=1] [BESIDE=BUILD] [ONLY='ROW…'])

A row (rows.py) is one target of the design. Its contestants are measured by turns, A B C A B C …, each on fresh
processes, and the report gives the median of the rounds and the ratios. The server has a core, the load another; the
hub has a third where there is one, else it shares the load's.

Of RESULTS.md, written after each row, only what was measured changes; what lies between `<!-- by hand … -->` and
`<!-- /by hand -->` is kept. --beside BUILD measures what is ours twice, with these programs and with those of another
build folder, by turns, and ends each row with a table of both: what a change costs. --quick takes small numbers and seconds, and writes into the build folder: it shows that
all of it works, and says nothing about speed.

Failure modes: what fails is said in its row, and the others go on. After --minutes each row that is left gets one
round, and SPARE_MINUTES later what is left is not measured any more.
"""
import argparse
import contextlib
import datetime
import pathlib
import platform
import re
import signal
import statistics
import subprocess
import sys
import time

import load
from rows import ROWS, table
from servers import BUILD, CORES, HUB, LOAD, ROOT, SERVER, Diagws, Failed

RESULTS = pathlib.Path(__file__).resolve().parent / "RESULTS.md"
SPARE_MINUTES = 3
BESIDE = ", beside"
OTHERS = ("bare", "Nchan", "Redis", "kernel")  # what is measured beside ours begins so
PACKAGES = ("gcc", "libc6", "libwebsockets17", "libuv1", "libzmq5", "libmsgpackc2", "libjwt0", "libjansson4",
            "liblmdb0", "nginx", "libnginx-mod-nchan", "redis-tools")
HEAD = """# What diagws costs, beside what it is compared with

Written by `make bench` (tests/bench/bench.py says how; RUNS=3 ONLY='rows' QUICK=1): make it anew rather than edit it,
but for what lies between the marks `by hand`. All in one run on one machine over loopback: ratios are worth more than
figures, and figures of two machines cannot be compared.
"""


class Bench:
    """What the rows share."""

    def __init__(self, quick):
        self.quick = quick
        self.stack = contextlib.ExitStack()
        self.stores = {}

    def filled(self, rooms):
        """A hub without an edge, with so many rooms of 100 messages: made when it is first asked for, and kept."""
        key = rooms, Diagws.build
        if key not in self.stores:
            servers = self.stack.enter_context(Diagws(edge=False))
            load.run("publish", servers, senders=8, window=1000, rooms=rooms, messages=rooms * 100, size=load.SIZE,
                     name=f"fill{rooms}", timeout="60s", patience=180)
            self.stores[key] = servers
        return self.stores[key]

    @staticmethod
    def sizes():
        """[name, bytes, where] of what we keep for a client."""
        with contextlib.suppress(OSError):
            said = subprocess.run([BUILD / "tests/sizes"], capture_output=True, text=True).stdout
            return [(name, int(size), part) for name, size, part in (line.split("\t") for line in said.splitlines())]
        return []


class Progress:
    def __init__(self):
        self.begun = time.monotonic()

    def minutes(self):
        return (time.monotonic() - self.begun) / 60

    def say(self, text):
        seconds = int(time.monotonic() - self.begun)
        print(f"{seconds // 60:3}:{seconds % 60:02} {text}", file=sys.stderr, flush=True)


def measure(row, rounds, progress, minutes, beside=None):
    """({contestant: {figure: median}}, {contestant: why it failed}, rounds that were made); what was measured of the
    build beside this is called `contestant, beside`."""
    builds = {"": BUILD, BESIDE: beside} if beside else {"": BUILD}
    found, failed, made = {label: [] for label in row.contestants}, {}, 0
    for turn in range(rounds):
        if turn > 0 and progress.minutes() > minutes:
            break
        for label, contestant in row.contestants.items():
            of = [""] if label.startswith(OTHERS) else reversed(builds) if turn % 2 else builds
            for name in (label + suffix for suffix in of):
                Diagws.build = builds[name.removeprefix(label)]
                try:
                    if progress.minutes() > minutes + SPARE_MINUTES:
                        raise Failed("there was no time left")
                    figures = contestant()
                    found.setdefault(name, []).append(figures)
                    said = ", ".join(f"{figure} {value:.4g}" for figure, value in figures.items() if value is not None)
                except Exception as error:  # whatever it is, the others are to be measured
                    failed[name] = str(error) if isinstance(error, Failed) else repr(error)
                    said = f"FAILED: {failed[name]}"
                progress.say(f"{row.name} {turn + 1}/{rounds} {name}: {said}")
        made += 1
    return {name: median(all_figures) for name, all_figures in found.items()}, failed, made


def median(all_figures):
    """Of each figure."""
    names = {name: None for figures in all_figures for name in figures}
    values = {name: [f[name] for f in all_figures if f.get(name) is not None] for name in names}
    return {name: statistics.median(v) for name, v in values.items() if v}


def compared(found):
    """Each figure of ours: here, in the other build, and the ratio."""
    rows = [[label, name, f"{value:.4g}", f"{beside[name]:.4g}", f"{value / beside[name]:.3f}"]
            for label, figures in found.items() for beside in [found.get(label + BESIDE, {})]
            for name, value in figures.items() if beside.get(name)]
    return ["", *table(["", "figure", "here", "beside", "ratio"], rows)] if rows else []


def section(row, rounds, found, failed, about):
    here = {label: figures for label, figures in found.items() if not label.endswith(BESIDE)}
    today, met = row.judge(here)
    verdict = {True: "**met**", False: "**not measured**" if failed else "**missed**", None: ""}[met]
    lines = [f"## {row.title}", "", f"Target: {row.target}.", "", f"Today: {today}. {verdict}".rstrip(), "", row.how,
             ""]
    lines += row.lines(here) + row.more(here) + compared(found)
    lines += [""] + [f"- failed: {label}: {' '.join(why.split())}" for label, why in failed.items()]
    lines += [""] if failed else []
    lines += [f"<sub>{about}, {rounds} round{'s' if rounds > 1 else ''}</sub>"]
    return "\n".join(lines)


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal: +(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES], capture_output=True,
                           text=True)
    cores = [next(iter(cores)) for cores in (SERVER, HUB, LOAD)]
    return "\n".join([
        "## The machine", "",
        f"- {cpu[1] if cpu else platform.machine()}, {len(CORES)} cores used, {int(memory[1]) // 2**20} GiB, "
        f"Linux {platform.release()}",
        f"- measured server on core {cores[0]}, load on core {cores[2]}, the hub beside an edge on core {cores[1]}",
        "- one process or worker each; nginx keeps 100 messages in memory, Redis appends with appendfsync always, the "
        "hub runs with --ownership claims and otherwise its defaults (100 messages, fdatasync)",
        "- " + ", ".join(asked.stdout.splitlines())])


def old_parts():
    """({row: its section}, {row: what was written by hand}) of the present report."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    sections = dict(re.findall(r"<!-- row (\w+) -->\n(.*?)\n<!-- /row -->", text, re.S))
    return sections, dict(re.findall(r"<!-- by hand (\w+) -->\n(.*?)<!-- /by hand -->", text, re.S))


def summary(sections):
    lines = ["## Targets", "", "| what | target | today | |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        text = sections.get(row.name)
        if text is not None:
            title, target = text.splitlines()[0].lstrip("# "), re.search(r"^Target: (.*)\.$", text, re.M)
            today = re.search(r"^Today: (.*)\.(?: (\*\*[\w ]+\*\*))?$", text, re.M)
            lines.append(f"| {title} | {target[1]} | {today[1]} | {today[2] or ''} |")
    return "\n".join(lines)


def report(sections, by_hand):
    def hand(name):
        return f"<!-- by hand {name} -->\n{by_hand.get(name, '')}<!-- /by hand -->"
    parts = [HEAD, hand("head"), ""]
    parts += [summary(sections), "", machine(), ""] if sections else ["No run has been kept here yet.", ""]
    for row in ROWS:
        if row.name in sections:
            parts += [f"<!-- row {row.name} -->\n{sections[row.name]}\n<!-- /row -->"]
        if row.name in sections or row.name in by_hand:
            parts += [hand(row.name), ""]
    if "clinic" in by_hand:  # printed by clinic.py
        parts += [hand("clinic"), ""]
    return "\n".join(parts)


def arguments():
    parser = argparse.ArgumentParser(prog="bench.py")
    parser.add_argument("--runs", type=int, default=3, help="rounds of each row")
    parser.add_argument("--minutes", type=float, default=11, help="after so many, one round for each row that is left")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    parser.add_argument("--beside", type=pathlib.Path, metavar="BUILD", help="measure those programs by turns with these")
    parser.add_argument("--out", type=pathlib.Path, help="write there, not RESULTS.md")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=" ".join(row.name for row in ROWS))
    options = parser.parse_args()
    unknown = set(options.rows) - {row.name for row in ROWS}
    if unknown or options.runs < 1:
        parser.error(f"no such row: {' '.join(unknown)}" if unknown else "--runs: at least 1")
    return options


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress, bench = Progress(), Bench(options.quick)
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    about = f"{datetime.date.today()}, {commit.stdout.strip() or 'no git'}"
    about += ", QUICK: no figures" if options.quick else ""
    path = options.out or (BUILD / "RESULTS-quick.md" if options.quick else RESULTS)
    sections, by_hand = old_parts()
    bad = 0
    try:
        for kind in ROWS:
            if options.rows and kind.name not in options.rows:
                continue
            row = kind(bench)
            rounds = 1 if row.once or options.quick else options.runs
            found, failed, rounds = measure(row, rounds, progress, options.minutes, options.beside)
            sections[row.name] = section(row, rounds, found, failed, about)
            path.write_text(report(sections, by_hand))
            bad += len(failed)
    except KeyboardInterrupt:
        progress.say("interrupted: what was measured is written")
        bad += 1
    finally:
        bench.stack.close()
    progress.say(f"written: {path}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
