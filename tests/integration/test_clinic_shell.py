"""examples/clinic-analytics.sh: what SQL in a shell script makes of a file is what `analytics run --all` makes of it, to
the digit, and what the formulas say; and so it reaches those who watch."""
import json
import random
import sqlite3

import pytest

from clinic_scores import DAY, effectiveness
from conftest import ROOT

NOW = 1_790_000_000
# Where a record begins or ends to count, or changes sides.
EDGES = [NOW, NOW + 1, NOW - 1, *(NOW - days * DAY + off for days in (30, 90) for off in (-1, 0, 1))]
# (recent, of it successes, earlier, of it successes): a tenth more, a tenth less, and just beyond and within.
TENTHS = [(10, 6, 10, 5), (10, 5, 10, 6), (10, 7, 10, 5), (9, 6, 10, 6), (20, 11, 20, 8), (10, 4, 20, 10), (1, 1, 0, 0),
          (5, 5, 0, 0), (0, 0, 5, 5), (85, 73, 15, 12), (1, 0, 1, 1), (3, 2, 3, 2), (40, 27, 60, 23)]


def records(chance):
    """(recommendation, record) of many: the boundaries of time and of the trend, then whatever comes."""
    def record(success, created):
        low, high = chance.randint(1, 2), chance.randint(3, 5)
        bad = chance.choice([(low, high), (high, low), (low, low)])
        rating, improvement = (chance.randint(3, 5), chance.randint(3, 5)) if success else bad
        return {"rating": rating, "symptom_improvement": improvement, "created": created}

    def recent():
        return chance.randint(NOW - 30 * DAY, NOW)

    def earlier():
        return chance.randint(NOW - 90 * DAY, NOW - 30 * DAY - 1)
    for number, (n1, s1, n2, s2) in enumerate(TENTHS, 1):
        for of, good, time in ((n1, s1, recent), (n2, s2, earlier)):
            yield from ((number, record(at < good, time())) for at in range(of))
    for number in range(20, 41):
        for _ in range(chance.randint(1, 40)):
            time = chance.choice(EDGES) if number < 30 else chance.randint(NOW - 120 * DAY, NOW)
            yield number, record(chance.random() < number / 45, time)
    yield 41, record(True, NOW - 90 * DAY - 1)


@pytest.fixture
def file(world):
    """The file with what was told of each recommendation."""
    path = world.path / "clinic.db"
    world.env["DIAGWS_CLINIC_DB"] = str(path)
    world.run("diagws-clinic", "init")
    told = {}
    with sqlite3.connect(path) as db:
        db.executemany("INSERT INTO patients (id, name) VALUES (?, 'پروین')", ((n,) for n in range(1, 101)))
        db.executemany("INSERT INTO diagnoses VALUES (?, ?, 'میگرن', '[]', 0)", ((str(100 + n), n) for n in range(1, 4)))
        db.executemany("INSERT INTO recommendations (id, diagnosis, herb) VALUES (?, ?, ?)",
                       ((n, str(101 + n % 3), f"گیاه \"{n}\"") for n in range(1, 43)))
        for recommendation, record in records(random.Random(7)):
            told.setdefault(recommendation, []).append(record)
        db.executemany(
            "INSERT INTO feedback (patient, recommendation, diagnosis, rating, symptom_improvement, created, updated) "
            "VALUES (:patient, :recommendation, '101', :rating, :symptom_improvement, :created, :created)",
            ({**record, "recommendation": recommendation, "patient": patient}
             for recommendation, list_of in told.items() for patient, record in enumerate(list_of, 1)))
    db.close()
    return path, told


def analytics(world, *arguments, check=True):
    return world.run(ROOT / "examples" / "clinic-analytics.sh", *arguments, env={"CLINIC_NOW": str(NOW)}, check=check)


def messages(world, edge, token):
    """{a word of the message's id: the data of all that have it}, as it reached the hub."""
    found = {}
    for diagnosis in ("101", "102", "103"):
        for message in edge.request(f"/ws/messages/{diagnosis}?limit=100", token=token)[2]["messages"]:
            found.setdefault(message["id"].split(".")[1], {})[message["data"]["recommendation_id"]] = message["data"]
    return found


def test_the_shell_agrees_to_the_digit(world, file):
    path, told = file
    due = {number: {**score, "recommendation_id": number} for number in told
           if (score := effectiveness(told[number], NOW)) is not None}
    assert {score["trend"] for score in due.values()} == {"stable", "improving", "declining"} and 41 not in due
    for score in due.values():
        score["new_effectiveness"] = score.pop("effectiveness")
        score.update(old_effectiveness=None, improvement=None, herb_name=f"گیاه \"{score['recommendation_id']}\"")

    printed = [json.loads(line) for line in analytics(world, "-n").stdout.splitlines()]
    assert {line["data"]["recommendation_id"]: line["data"] for line in printed} == due and len(printed) == len(due)

    world.hub()
    edge, token = world.edge(), world.user("alice", "101", "102", "103")
    for _ in range(2):
        assert analytics(world).stdout == ""
    world.run("diagws-clinic", "analytics", "run", "--all", "--now", NOW)
    found = messages(world, edge, token)
    assert found["shell"] == due
    assert found["effectiveness"] == due
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        kept = {row["recommendation"]: row for row in db.execute("SELECT * FROM metrics WHERE cases IS NOT NULL")}
    db.close()
    assert kept.keys() == due.keys()
    for number, row in kept.items():
        assert (row["effectiveness"], row["confidence"], row["cases"], row["trend"], row["average_rating"]) == tuple(
            due[number][name] for name in ("new_effectiveness", "confidence", "sample_size", "trend", "average_rating"))

    assert analytics(world, "-n").stdout == "", "what the clinic has told is not told again"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE feedback SET rating = 1 WHERE recommendation = 8")
    db.close()
    line, = analytics(world, "-n").stdout.splitlines()
    data = json.loads(line)["data"]
    assert (data["old_effectiveness"], data["new_effectiveness"], data["improvement"]) == (1, 0, -1)


def test_wrong_use(world):
    assert analytics(world, "a", "b", check=False).returncode == 64
    missing = analytics(world, world.path / "no.db", check=False)
    assert missing.returncode == 66 and missing.stderr.endswith("no.db: there is no such file\n")
