"""What the clinic costs with very many records: prints a table, for tests/bench/RESULTS.md by hand.

    clinic.py [--records 1000000] [--dir DIR]      (make clinic-million [RECORDS=n])

A file is filled by SQL: for five records a patient with a diagnosis, of 40 conditions, 50 records to a recommendation,
50 herbs, 9 kinds of mizaj, 120 days. A hub runs, so that what is pushed is stored. Then, one after the other, each a
process of its own: all analytics, the same again, those that a thousand new records made due, the shell script that does
the same, predictions of diagnoses that have recommendations, and lines that are imported into a file without feedback;
and POSTs at `serve`, one at a time and eight at once. Processor time is the kernel's (wait4), memory the most that the
process had (of the shell script: bash alone).

In the end each statement of sql/*.sql is explained by SQLite on this file. A table of records that is read from one end
to the other is named, and ends the run with 1 unless ALLOWED says why.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from conftest import BIN, World, free_port, until  # noqa: E402

DAY = 24 * 3600
LARGE = ("feedback", "patients", "diagnoses", "recommendations", "metrics", "cohort")
# Statements that read a table from one end to the other, and why that is right.
ALLOWED = {
    "analytics/analytics_best": "in the order of the index, and ends when the list is full",
    "analytics/analytics_worst": "in the order of the index, and ends when the list is full",
    "analytics/analytics_trending": "in the order of the index, and ends when the list is full",
    "analytics/analytics_status": "counts them",
    "feedback/feedback_history": "the newest first, and ends when the list is full",
    "transfer/demo_is_empty": "looks for the first",
    "transfer/run_all_count": "counts them, for the progress",
    **{f"transfer/dump_{table}": "exports them" for table in ("patients", "diagnoses", "recommendations", "feedback")},
}
FILL = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :patients)
INSERT INTO patients SELECT i, 'بیمار ' || i, 'مزاج ' || (i * 7919 % 9), i % 90 FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :patients)
INSERT INTO diagnoses SELECT i, i, 'condition ' || (i % 40),
    json_array('symptom ' || (i % 7), 'symptom ' || (i % 11)), :now - 130 * 86400 FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :recommendations)
INSERT INTO recommendations (id, diagnosis, herb)
    SELECT i, 1 + i % (:recommendations / 5), 'گیاه ' || (i * 31 / 7 % 50) FROM n;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 549)
INSERT INTO herb_symptoms SELECT 'گیاه ' || (i % 50), 'symptom ' || (i / 50), (i * 37 % 101) / 100.0 FROM n;
"""
FEEDBACK = """
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :records - 1)
SELECT NULL AS id, 1 + i / 5 AS patient, 1 + (40 * (i * 131 % 1000003) + i / 5 + :recommendations - 1) % :recommendations AS recommendation,
    CAST(1 + i / 5 AS TEXT) AS diagnosis, 1 + (i * 7 + i / 13) % 5 AS rating,
    1 + (i * 11 + i / 7) % 5 AS symptom_improvement, 1 + i % 5 AS compliance,
    CASE i % 20 WHEN 0 THEN 'nausea, headache' END AS side_effects, CASE i % 10 WHEN 0 THEN 'بهترم' END AS comment,
    :now - i * 7919 % (120 * 86400) AS created, :now - i * 7919 % (120 * 86400) AS updated, 1 AS version FROM n
"""


def megabytes(kilobytes):
    return f"{kilobytes / 1024:.0f}"


class Table:
    def __init__(self):
        print("| what | wall, s | CPU, s | memory, MB | |\n| --- | --- | --- | --- | --- |", flush=True)

    def row(self, what, wall, cpu, memory, more=""):
        times = (f"{seconds:.2f}" if seconds is not None else "–" for seconds in (wall, cpu))
        print(f"| {what} | {' | '.join(times)} | {memory} | {more} |", flush=True)


class Clinic:
    def __init__(self, path, records):
        self.world = World(path)
        self.path = path / "clinic.db"
        self.world.env["DIAGWS_CLINIC_DB"] = str(self.path)
        self.env = {**os.environ, **self.world.env}
        self.numbers = {"records": records, "patients": records // 5, "recommendations": records // 50,
                        "now": int(time.time())}
        self.table = Table()

    def timed(self, what, *arguments, more="", ok=(0,)):
        """Runs a command of ours, or a script, to its end, and makes a row of it."""
        began = time.monotonic()
        with open(self.path.parent / "said", "w+") as said:
            process = subprocess.Popen([str(a) for a in arguments], env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=said)
            memory, (pid, status, used) = 0, (0, 0, None)
            while pid == 0:
                memory = max(memory, self.most_memory(process.pid))
                time.sleep(0.005)
                pid, status, used = os.wait4(process.pid, os.WNOHANG)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            assert process.returncode in ok, f"{arguments}: {process.returncode}: {said.read()}"
        wall = time.monotonic() - began
        self.table.row(what, wall, used.ru_utime + used.ru_stime, memory and megabytes(memory) or "–",
                       more(wall) if callable(more) else more)

    @staticmethod
    def most_memory(pid):
        """Of a process so far, in kB. What the kernel says of one that has ended counts the Python that forked it, too."""
        found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) if found else 0

    def fill(self):
        self.world.run("diagws-clinic", "init")
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        with sqlite3.connect(self.path) as db:
            db.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")
            for statement in FILL.split(";")[:-1]:
                db.execute(statement, self.numbers)
            db.commit()
            db.execute("VACUUM INTO ?", (str(self.path.parent / "bare.db"),))
            db.execute("INSERT OR IGNORE INTO feedback " + FEEDBACK, self.numbers)
        count = self.one("SELECT count(*) FROM feedback")
        db.close()
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.table.row("the file is filled, by SQL", time.monotonic() - began, cpu, "–",
                       f"{count:,} records, {self.path.stat().st_size >> 20} MB")

    def one(self, sql):
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as db:
            return db.execute(sql).fetchone()[0]

    def analytics(self):
        count = f"{self.numbers['recommendations']:,} recommendations"
        run = BIN / "diagws-clinic", "analytics", "run"
        self.timed("clinic-analytics.sh -n, sqlite3's part too", ROOT / "examples" / "clinic-analytics.sh", "-n", more=count)
        self.timed("analytics run --all, each result new and pushed", *run, "--all", more=count)
        self.timed("analytics run --all, nothing new", *run, "--all", more=count)
        self.timed("analytics run, nothing due", *run)
        with sqlite3.connect(self.path) as db:
            changed = db.execute("UPDATE feedback SET rating = 6 - rating, version = version + 1 WHERE id % 1009 = 0").rowcount
        db.close()
        self.timed("analytics run, few due", *run, more=f"after {changed:,} records were changed")

    def predictions(self):
        for number in range(1, 4):
            self.timed("predict", BIN / "diagws-clinic", "predict", str(number * 37), more="5 recommendations")
        self.timed("predict, cached", BIN / "diagws-clinic", "predict", "37")
        self.timed("optimize", BIN / "diagws-clinic", "optimize", "41")
        self.timed("evolution", BIN / "diagws-clinic", "evolution", "37", more="30 days")
        self.timed("accuracy", BIN / "diagws-clinic", "accuracy", "37")
        self.timed("feedback most-effective", BIN / "diagws-clinic", "feedback", "most-effective")
        self.timed("feedback side-effects", BIN / "diagws-clinic", "feedback", "side-effects")
        self.timed("analytics condition", BIN / "diagws-clinic", "analytics", "condition", "condition 7")
        self.timed("analytics herb", BIN / "diagws-clinic", "analytics", "herb", "گیاه 7")

    def lines(self):
        """Import and export."""
        count = min(100_000, self.numbers["records"])
        file = self.path.parent / "feedback.ndjson"
        self.timed("export feedback", BIN / "diagws-clinic", "export", "feedback",
                   more=lambda wall: f"{self.numbers['records'] / wall:,.0f} lines/s")
        exported = subprocess.Popen([BIN / "diagws-clinic", "export", "feedback"], env=self.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with open(file, "wb") as out:
            for _ in range(count):
                out.write(exported.stdout.readline())
            exported.stdout.close()
        exported.wait()
        for how in ((), ("--atomic",)):
            bare = self.path.parent / "copy.db"
            bare.write_bytes((self.path.parent / "bare.db").read_bytes())
            self.timed(" ".join(("import feedback", *how)), BIN / "diagws-clinic", "import", *how, "--db", bare, "feedback",
                       file, more=lambda wall: f"{count / wall:,.0f} lines/s")

    # ---- serve ----

    def serve(self):
        port = free_port()
        self.world.grant_all(range(1, 2001), "doctor")
        self.header = {"Authorization": f"Bearer {self.world.token('doctor')}", "Content-Type": "application/json"}
        serve = subprocess.Popen([BIN / "diagws-clinic", "serve", "--listen", f"127.0.0.1:{port}", "--keys", self.world.keys],
                                 env=self.env, stdin=subprocess.DEVNULL, stderr=open(self.path.parent / "serve.log", "w"))
        try:
            until(lambda: self.ready(port), "the clinic's service")
            for what, senders, count in (("POST submit, one at a time", 1, 1000), ("POST submit, 8 at once", 8, 4000)):
                self.posts(what, port, senders, count, self.used(serve.pid))
            self.gets(port, 300, self.used(serve.pid))
        finally:
            memory = self.most_memory(serve.pid)
            serve.terminate()
            serve.wait()
        self.table.row("serve's memory after that", None, None, megabytes(memory))

    @staticmethod
    def used(pid):
        def seconds():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return seconds

    @staticmethod
    def ready(port):
        try:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            link.request("GET", "/readyz")
            return link.getresponse().status == 200
        except OSError:
            return False

    def ask(self, link, method, path, body=None):
        """The milliseconds of one call."""
        began = time.monotonic()
        link.request(method, path, body and json.dumps(body), self.header)
        answer = link.getresponse()
        text = answer.read()
        assert answer.status == 200, f"{path}: {answer.status} {text}"
        return 1000 * (time.monotonic() - began)

    def posts(self, what, port, senders, count, used):
        def send(number):
            chance, link = random.Random(number), http.client.HTTPConnection("127.0.0.1", port)
            # Patient p has the condition p % 40, and so have the recommendations r of diagnoses that are p by 40.
            times = []
            for _ in range(count // senders):
                patient = chance.randrange(1, 2001)
                recommendation = patient % 40 - 1 + 40 * chance.randrange(1, self.numbers["recommendations"] // 40)
                times.append(self.ask(link, "POST", "/api/feedback/submit", {
                    "diagnosis_id": patient, "recommendation_id": recommendation, "rating": chance.randint(1, 5),
                    "symptom_improvement": chance.randint(1, 5), "comment": "بهترم"}))
            return times
        self.measured(what, senders, count, used, send)

    def gets(self, port, count, used):
        def send(number):
            link = http.client.HTTPConnection("127.0.0.1", port)
            return [self.ask(link, "GET", f"/api/predictions/diagnosis/{number}/predict") for number in range(1, count + 1)]
        self.measured("GET predict, not cached", 1, count, used, send)

    def measured(self, what, senders, count, used, send):
        began, cpu = time.monotonic(), used()
        with concurrent.futures.ThreadPoolExecutor(senders) as pool:
            times = sorted(ms for part in pool.map(send, range(senders)) for ms in part)
        wall = time.monotonic() - began
        self.table.row(what, wall, used() - cpu, "–", f"{count / wall:,.0f} a second, p50 {statistics.median(times):.1f} ms, "
                       f"p99 {times[len(times) * 99 // 100]:.1f} ms")

    # ---- plans ----

    def plans(self):
        """[what reads a large table from one end to the other]"""
        found = []
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as db:
            for file in sorted((ROOT / "cmd" / "diagws-clinic" / "sql").glob("*.sql")):
                for name, sql in re.findall(r"^-- (\w+)\n(.*?)(?=^-- \w+\n|\Z)", file.read_text(), re.M | re.S):
                    if file.stem == "schema" or not re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|REPLACE)", sql, re.I):
                        continue
                    count = max(map(int, re.findall(r"\?(\d+)", sql)), default=0)
                    for *_, step in db.execute("EXPLAIN QUERY PLAN " + sql, (None,) * count):
                        scanned = re.match(r"SCAN (\w+)", step)
                        if scanned and self.table_of(sql, scanned[1]) in LARGE:
                            found.append((f"{file.stem}/{name}", step))
        db.close()
        return found

    @staticmethod
    def table_of(sql, alias):
        return next((table for table in LARGE if re.search(rf"\b{table}\s+(AS\s+)?{alias}\b", sql)), alias)


def main():
    parser = argparse.ArgumentParser(description="what the clinic costs with very many records")
    parser.add_argument("--records", type=int, default=1_000_000, help="a multiple of 10,000")
    parser.add_argument("--dir", help="where the files go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dw-", dir=options.dir) as folder:
        clinic = Clinic(pathlib.Path(folder).resolve(), options.records)
        try:
            clinic.world.hub("--ownership", "either")
            clinic.fill()
            clinic.analytics()
            clinic.predictions()
            clinic.lines()
            clinic.serve()
            scans = clinic.plans()
        finally:
            clinic.world.end()
    print("\nstatements that read a table of records from one end to the other:", "" if scans else "none")
    for name, step in scans:
        print(f"- {name}: {step}: {ALLOWED.get(name, 'NOT ALLOWED')}")
    return 1 if any(name not in ALLOWED for name, _ in scans) else 0


if __name__ == "__main__":
    sys.exit(main())
