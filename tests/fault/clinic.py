"""Kills a clinic at random while feedback flows, and looks whether everybody knows the same in the end.

    clinic.py [--kills 100] [--seed NUMBER]      (make clinic-kills)

A hub, two edges and `diagws-clinic serve`; eight writers give and change feedback over HTTP, a listener watches each
diagnosis. Each 0.1 to 1 s the hub, an edge or serve is SIGKILLed and started again after a while, or `diagws-clinic
analytics run` is started beside them and SIGKILLed while it works; the seed draws what and when. Then all is healed, the
analytics run once more, and what the writers were told, what the file has, what the listeners saw and what the formulas
say is compared (clinic_judge.py). Exit status: 0 all agree, 1 not.
"""
import argparse
import asyncio
import collections
import os
import pathlib
import random
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import types

from conftest import BIN, SANITIZED, World, until

from clinic_judge import judge
from clinic_scores import DAY
from clinic_ward import Listener, Writer
from outages import Outages, Slot
from torture import REPORTS, quiet_port

WRITERS, PATIENTS = 8, 40        # as many of them to each writer
CONDITIONS = ("سردرد", "migraine")
RECOMMENDATIONS = 12             # half of them for each condition, on the first patients' diagnoses
MIZAJ = ("گرم و تر", "سرد و خشک", None)
HEAL = 90.0 if SANITIZED else 30.0
WEIGHTS = {"hub": 2, "edge0": 1, "edge1": 1, "serve": 4, "run": 2}
SAID = 12  # faults of a kind


class Ward:
    """All of it. What none may ever see is collected in `odd`."""

    def __init__(self, options):
        self.options, self.seed = options, options.seed
        self.random = random.Random(f"{options.seed}/ward")
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="dw-", dir=options.dir)).resolve()
        self.world = World(self.path)
        self.db_path = self.path / "clinic.db"
        self.world.env["DIAGWS_CLINIC_DB"] = str(self.db_path)
        self.env = {**os.environ, **self.world.env}
        self.odd, self.done = [], collections.Counter()
        self.load, self.outages = types.SimpleNamespace(odd=self.odd), Outages()  # what Slot asks of its run
        self.asked = collections.Counter()  # (patient, recommendation) -> requests that may have been carried out
        self.recommendations = {c: list(range(1 + n, 1 + RECOMMENDATIONS, 2)) for n, c in enumerate(CONDITIONS)}
        self.over = asyncio.Event()         # nothing more is written

    @staticmethod
    def condition(patient):
        return CONDITIONS[patient % 2]

    @staticmethod
    def diagnosis(patient):
        return str(100 + patient)

    def rooms(self):
        return [self.diagnosis(patient) for patient in range(1, PATIENTS + 1)]

    # ---- before ----

    def prepare(self):
        """The file, the processes, and who may do what."""
        ports = []
        while len(ports) < 3:
            ports.append(quiet_port(ports))
        self.edge_ports, self.serve_port = ports[:2], ports[2]
        self.world.run("diagws-clinic", "init")
        self.fill()
        edge = ["diagws-edge", "--hub", self.world.endpoint, "--keys", self.world.keys, "--listen"]
        commands = {"hub": ["diagws-hub", "--bind", self.world.endpoint, "--state-dir", self.world.state,
                            "--queue-limit", "10000"],
                    "edge0": [*edge, f"127.0.0.1:{ports[0]}"], "edge1": [*edge, f"127.0.0.1:{ports[1]}"],
                    "serve": ["diagws-clinic", "serve", "--keys", self.world.keys, "--listen", f"127.0.0.1:{ports[2]}"]}
        self.slots = {name: Slot(self, name, [str(a) for a in (BIN / program, *rest)])
                      for name, (program, *rest) in commands.items()}
        self.slots["hub"].start()
        until(lambda: b"hub ready" in (self.path / "hub.log").read_bytes(), "the hub")
        self.world.grant_all(self.rooms(), "ward")
        for number in range(WRITERS):
            self.world.grant_all([self.diagnosis(p) for p in self.patients(number)], f"writer{number}")
        self.world.run("diagws-clinic", "analytics", "run")
        for name in ("edge0", "edge1", "serve"):
            self.slots[name].start()
        self.writers = [Writer(self, n, self.patients(n), self.options.pause) for n in range(WRITERS)]
        self.listeners = [Listener(self, room) for room in self.rooms()]

    def patients(self, writer):
        return [patient for patient in range(1, PATIENTS + 1) if patient % WRITERS == writer]

    def fill(self):
        """Patients, diagnoses, recommendations, and what was said in the last months by those who left since."""
        now = int(time.time())
        everybody = range(1, 2 * PATIENTS + 1)
        with sqlite3.connect(self.db_path) as db:
            db.executemany("INSERT INTO patients VALUES (?, ?, ?, ?)",
                           ((p, f"patient {p}", MIZAJ[p % 3], 20 + p % 60) for p in everybody))
            db.executemany("INSERT INTO diagnoses VALUES (?, ?, ?, ?, ?)",
                           ((self.diagnosis(p), p, self.condition(p), '["درد"]', now) for p in everybody))
            db.executemany("INSERT INTO recommendations (id, diagnosis, herb) VALUES (?, ?, ?)",
                           ((r, self.diagnosis(1 + (r + (r - 1) // 2) % 2 * 2 + r % 2), f"herb {r}")
                            for r in range(1, RECOMMENDATIONS + 1)))
            db.executemany("INSERT INTO herb_symptoms VALUES (?, ?, ?)",
                           ((f"herb {r}", "درد", self.random.random()) for r in range(1, RECOMMENDATIONS + 1)))
            db.executemany(
                "INSERT INTO feedback (patient, recommendation, diagnosis, rating, symptom_improvement, created, updated)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((p, r, self.diagnosis(p), self.random.randint(1, 5), self.random.randint(1, 5), when, when)
                 for p in everybody[PATIENTS:] for r in self.recommendations[self.condition(p)]
                 for when in [now - self.random.randint(1, 100) * DAY - DAY // 2] if self.random.random() < 0.3))
        db.close()

    # ---- meanwhile ----

    async def live(self):
        listening = [asyncio.ensure_future(listener.live()) for listener in self.listeners]
        await self.come(lambda: all(listener.connections for listener in self.listeners), "the listeners")
        writing = [asyncio.ensure_future(writer.live()) for writer in self.writers]
        try:
            await self.kill_all()
            self.over.set()
            await asyncio.wait_for(asyncio.gather(*writing), HEAL)
            await self.heal()
        finally:
            for task in listening + writing:
                task.cancel()
            await asyncio.gather(*listening, *writing, return_exceptions=True)

    async def kill_all(self):
        running = set()
        each = self.random.sample(sorted(WEIGHTS), len(WEIGHTS))  # once, also in a short run
        while sum(self.done.values()) < self.options.kills:
            await asyncio.sleep(self.random.uniform(0.1, 1.0))
            what = each.pop() if each else self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            outage = self.random.choice((0, 0.1, 0.5, 1.0)) * self.random.random()
            self.done[what] += 1
            running.add(asyncio.ensure_future(self.run(outage) if what == "run" else self.slots[what].kill(outage)))
            if sum(self.done.values()) % 20 == 0:
                print(f"{sum(self.done.values())} kills, {self.given()} given, {len(self.odd)} odd", flush=True)
        await asyncio.gather(*running)
        for slot in self.slots.values():
            slot.look()

    async def run(self, most):
        """The analytics by the shell, which are killed while they work."""
        with open(self.path / "run.log", "ab") as log:
            process = subprocess.Popen([BIN / "diagws-clinic", "analytics", "run", "--all"], env=self.env,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        await asyncio.sleep(most / 4)
        process.kill()
        if await asyncio.to_thread(process.wait) not in (0, 75, -signal.SIGKILL):
            self.odd.append(f"analytics run ended with {process.returncode}")

    def given(self):
        return sum(writer.answers[200] for writer in self.writers)

    # ---- in the end ----

    async def heal(self):
        """Everything goes out, and everybody gets it."""
        for name in ("run", "again"):  # the second, for what the first found waiting behind a hub that came up
            done = await asyncio.to_thread(self.world.run, "diagws-clinic", "analytics", "run", check=False)
            if done.returncode != 75:
                break
        if done.returncode != 0:
            self.odd.append(f"the last analytics run ended with {done.returncode}: {done.stderr}")
        await self.come(lambda: not self.rows("SELECT id FROM outbox"), "an empty outbox")
        self.polled = {listener.room: await listener.polled() for listener in self.listeners}
        await self.come(lambda: all(len(l.messages) >= len(self.polled[l.room]) for l in self.listeners), "everybody")

    def reports(self):
        """What a sanitizer said of a process."""
        return [f"odd: {log.stem}: {line}" for log in sorted(self.path.glob("*.log"))
                for line in log.read_text(errors="replace").splitlines() if any(word in line for word in REPORTS)]

    async def come(self, condition, what):
        deadline = time.monotonic() + HEAL
        while not condition() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        if not condition():
            self.odd.append(f"waited {HEAL:g} s for {what}")

    def rows(self, sql):
        db = sqlite3.connect(f"file:{self.db_path}?mode=ro", uri=True, timeout=HEAL)
        try:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql)]
        finally:
            db.close()

    def end(self, keep):
        for slot in reversed(self.slots.values()):
            slot.end()
        if keep:
            print(f"logs and file: {self.path}")
        else:
            shutil.rmtree(self.path)


def arguments(given=None):
    parser = argparse.ArgumentParser(description="Kill a clinic while feedback flows; compare what everybody knows.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--pause", type=float, default=0.05, help="seconds, on average, between a writer's requests")
    parser.add_argument("--dir", help="where the state goes")
    parser.add_argument("--keep", action="store_true", help="keep logs and file also when all is well")
    return parser.parse_args(given)


def clinic(options):
    """The list of faults."""
    print(f"seed {options.seed}", flush=True)
    ward, faults, began = Ward(options), ["it did not come to a verdict"], time.monotonic()
    try:
        ward.prepare()
        asyncio.run(ward.live())
        faults, table = judge(ward)
        faults += ward.reports()
        table = {"seed": options.seed, "seconds": round(time.monotonic() - began, 1),
                 **{f"{what} killed": count for what, count in sorted(ward.done.items())}, **table}
        print("\n".join(f"{key:<24} {value:>10}" for key, value in table.items()))
        said = collections.Counter(text.partition(":")[0] for text in faults)
        for kind in said:
            print("\n".join([text for text in faults if text.startswith(f"{kind}:")][:SAID]))
    finally:
        ward.end(keep=bool(faults) or options.keep)
    return faults


if __name__ == "__main__":
    sys.exit(1 if clinic(arguments()) else 0)
