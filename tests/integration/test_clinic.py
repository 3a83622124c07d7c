"""diagws-clinic from a shell, with a real hub: what it takes and refuses, at each limit and one past it; what is kept when
the hub is away, the file locked, the disk full or the process killed; and that what goes out by export comes in by import.
"""
import contextlib
import csv
import io
import json
import os
import signal
import sqlite3
import subprocess

import pytest

from conftest import BIN, PATIENCE, shared_world, until

NOW = "2026-12-01T12:00:00Z"
TABLES = ["patients", "diagnoses", "recommendations", "feedback", "herb_symptoms"]
GOOD = {"diagnosis_id": 10, "recommendation_id": 1, "rating": 4, "symptom_improvement": 5}
PERSIAN = "خ"


class Clinic:
    """A file, and commands on it."""

    def __init__(self, world, path):
        self.world, self.path = world, path

    def run(self, *arguments, input=None, check=True, **more):
        return self.world.run("diagws-clinic", "--db", self.path, "--now", NOW, *arguments, input=input, check=check,
                              **more)

    def ask(self, *arguments, **more):
        return json.loads(self.run("--json", *arguments, **more).stdout)

    def lines(self, table, *records, **more):
        return self.run("import", table, input="".join(json.dumps(record) + "\n" for record in records), **more)

    def submit(self, check=True, **changes):
        body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
        return self.run("feedback", "submit", "--json", input=json.dumps(body), check=check)

    def read(self, sql, *values):
        with contextlib.closing(sqlite3.connect(self.path)) as file:
            return file.execute(sql, values).fetchall()

    def waiting(self):
        return self.read("SELECT message FROM outbox WHERE refused IS NULL ORDER BY id")


def fill(clinic):
    """Two patients with the same condition, one with another."""
    clinic.run("init")
    clinic.lines("patients", {"id": 1, "name": "علی", "mizaj": "گرم و تر", "age": 40}, {"id": 2, "name": "Ann"},
                 {"id": 3, "name": "Bob"})
    clinic.lines("diagnoses", {"id": 10, "patient": 1, "condition": "میگرن", "symptoms": ["سردرد", "nausea"]},
                 {"id": "d-20", "patient": 2, "condition": "میگرن"}, {"id": 30, "patient": 3, "condition": "cough"})
    clinic.lines("recommendations", {"id": 1, "diagnosis": 10, "herb": "زعفران", "dosage": "1 g"},
                 {"id": 2, "diagnosis": 10, "herb": "Ginger"}, {"id": 3, "diagnosis": 30, "herb": "Thyme"})
    clinic.lines("herb_symptoms", {"herb": "زعفران", "symptom": "سردرد", "strength": 0.85})
    return clinic


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """One hub for all of them."""
    with shared_world(tmp_path_factory) as world:
        world.hub()
        yield world


@pytest.fixture(scope="module")
def filled(hub, tmp_path_factory):
    """What each test gets a copy of."""
    return fill(Clinic(hub, tmp_path_factory.mktemp("filled") / "clinic.db"))


@pytest.fixture
def clinic(hub, tmp_path, filled):
    with contextlib.closing(sqlite3.connect(filled.path)) as file:
        file.execute("VACUUM INTO ?", [str(tmp_path / "clinic.db")])
    with contextlib.closing(sqlite3.connect(tmp_path / "clinic.db", isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("UPDATE clinic SET tag = lower(hex(randomblob(6)))")  # they share a hub
    return Clinic(hub, tmp_path / "clinic.db")


@pytest.fixture
def alone(clinic, tmp_path):
    """The same, without a hub."""
    away = {"DIAGWS_HUB": f"ipc://{tmp_path}/nobody.sock", "DIAGWS_TIMEOUT": "50ms"}
    run = clinic.run
    clinic.with_hub = run
    clinic.run = lambda *arguments, **more: run(*arguments, **{"env": away, **more})
    return clinic


@pytest.fixture(scope="module")
def demo(hub, tmp_path_factory):
    clinic = Clinic(hub, tmp_path_factory.mktemp("demo") / "clinic.db")
    clinic.run("init")
    clinic.run("demo")
    return clinic


def messages(world, room):
    done = world.run("diagws-stat", "--json", "messages", room, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else []


# ---- the file ----


def brief(value):
    """Of a parameter, for a test's name."""
    return (value if isinstance(value, str) else json.dumps(value))[:40]


def test_makes_its_file_once_and_for_its_owner(filled):
    assert filled.path.stat().st_mode & 0o777 == 0o600
    again = filled.run("init", check=False)
    assert again.returncode == 73 and "File exists" in again.stderr


@pytest.mark.parametrize("prepare,status,word", [
    (lambda path: None, 66, "'diagws-clinic init' makes one"),
    (lambda path: path.write_text("no database at all, but a text" * 100), 74, "not a database"),
    (lambda path: sqlite3.connect(path).execute("CREATE TABLE other (x)"), 74, "not a clinic's file"),
], ids=["none", "a text", "another's"])
def test_opens_only_a_clinic(hub, tmp_path, prepare, status, word):
    prepare(tmp_path / "x.db")
    done = Clinic(hub, tmp_path / "x.db").run("analytics", "status", check=False)
    assert done.returncode == status and word in done.stderr and done.stdout == ""


def test_says_what_it_may_not_open(clinic, tmp_path):
    bare = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

    def ends(path, *arguments):
        return subprocess.run([*bare, BIN / "diagws-clinic", "--db", path, *arguments], capture_output=True).returncode

    (tmp_path / "folder").mkdir()
    assert ends(tmp_path / "folder", "analytics", "status") == 74
    clinic.path.chmod(0)
    (tmp_path / "folder").chmod(0)
    assert ends(clinic.path, "analytics", "status") == 77
    assert ends(tmp_path / "folder" / "c.db", "analytics", "status") == 77
    assert ends(tmp_path / "folder" / "c.db", "init") == 77


def test_leaves_a_newer_version_alone(clinic):
    with contextlib.closing(sqlite3.connect(clinic.path)) as file:
        file.execute("PRAGMA user_version = 99")
    done = clinic.submit(check=False)
    assert done.returncode == 76 and "its format is 99" in done.stderr
    assert clinic.read("SELECT count(*) FROM feedback") == [(0,)]


def test_waits_for_who_has_locked_it_and_then_says_so(alone):
    with contextlib.closing(sqlite3.connect(alone.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = alone.submit(check=False)
        assert done.returncode == 75 and "another program has been writing" in done.stderr
        assert alone.ask("feedback", "history")["count"] == 0  # reading is not held up
        other.execute("ROLLBACK")
    alone.submit()
    assert alone.ask("feedback", "history")["count"] == 1


def test_a_full_disk_loses_nothing_that_was_told(alone, tmp_path):
    """A disk of its own, too small for the import."""
    script = """set -e
        mount -t tmpfs -o size=600k none "$1"; export DIAGWS_CLINIC_DB=$1/c.db; diagws-clinic init
        status=0; diagws-clinic import patients <"$2" 2>"$3" || status=$?
        rm -f "$1/c.db-shm"; if dd if=/dev/zero of="$1/rest" bs=1k 2>"$3.dd"; then exit 1; fi
        full=0; diagws-clinic export patients >"$2" 2>&1 || full=$?
        rm "$1/rest"; diagws-clinic export patients | wc -l; echo $status $full"""
    (tmp_path / "disk").mkdir()
    (tmp_path / "many").write_text("".join(json.dumps({"id": i, "name": "n" * 200}) + "\n" for i in range(1, 8001)))
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "-", tmp_path / "disk",
                           tmp_path / "many", tmp_path / "said"], capture_output=True, text=True, timeout=6 * PATIENCE,
                          env={**os.environ, **alone.world.env})
    if "unshare failed" in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip("no disks of one's own here: " + done.stderr)
    kept, status, full = map(int, done.stdout.split())
    said = (tmp_path / "said").read_text()
    assert status == 75 and "the disk is full" in said, said
    assert full == 75 and (tmp_path / "many").read_text().endswith("c.db: the disk is full [DW1103]\n")
    assert 0 < kept < 8000 and kept % 1000 == 0 and f"stopped after line {kept};" in said


# ---- feedback ----


@pytest.mark.parametrize("changes", [
    {"rating": 1}, {"rating": 5}, {"symptom_improvement": 1}, {"symptom_improvement": 5}, {"compliance": 1},
    {"compliance": 5}, {"compliance": None}, {"comment": PERSIAN * 500}, {"side_effects": PERSIAN * 500},
    {"comment": "a\nb\t\"c\""}, {"diagnosis_id": "10"}, {"diagnosis_id": "d-20"},
], ids=brief)
def test_takes_what_is_just_allowed(alone, changes):
    answer = json.loads(alone.submit(**changes).stdout)
    assert answer["success"] is True and answer["version"] == 1 and answer["updated"] is False
    stored = alone.ask("feedback", "history")["feedback"][0]
    changes = {**changes, **({"diagnosis_id": 10} if changes.get("diagnosis_id") == "10" else {})}
    assert changes.items() <= stored.items()


@pytest.mark.parametrize("changes,field", [
    ({"rating": 0}, "rating"), ({"rating": 6}, "rating"), ({"rating": 4.5}, "rating"), ({"rating": "5"}, "rating"),
    ({"rating": None}, "rating"), ({"rating": True}, "rating"), ({"symptom_improvement": 0}, "symptom_improvement"),
    ({"symptom_improvement": 6}, "symptom_improvement"), ({"compliance": 0}, "compliance"),
    ({"compliance": 6}, "compliance"), ({"comment": PERSIAN * 501}, "comment"),
    ({"side_effects": PERSIAN * 501}, "side_effects"), ({"stars": 5}, "stars"),
    ({"recommendation_id": 3}, "recommendation_id"),
    ({"recommendation_id": 99}, "recommendation_id"), ({"diagnosis_id": "a b"}, "diagnosis_id"),
], ids=brief)
def test_refuses_what_is_one_past_it(alone, changes, field):
    done = alone.submit(check=False, **changes)
    assert done.returncode == 65 and f"field '{field}'" in done.stderr and done.stdout == ""
    assert alone.read("SELECT count(*) FROM feedback") == [(0,)] and alone.waiting() == []


def test_says_what_was_given_and_what_is_allowed(alone):
    said = alone.submit(check=False, rating=6).stderr
    assert said.startswith("diagws-clinic: field 'rating': 6 is not within 1..5 [DW1003]\n")
    assert "  expected: an integer from 1 to 5\n" in said


@pytest.mark.parametrize("arguments,input,status", [
    (["feedback", "submit"], "{", 65), (["feedback", "submit"], "", 65), (["feedback", "submit"], "[]", 65),
    (["feedback", "submit"], '{"a":"' + "x" * 70000 + '"}', 65), (["feedback", "submit", "@nowhere"], "", 66),
    (["feedback", "submit", "{}", "{}"], "", 64), (["feedback", "update"], "", 64),
    (["feedback", "update", "x"], "{}", 65),
    (["feedback", "update", "9"], '{"rating":3}', 67), (["feedback", "summary", "99"], "", 67),
    (["feedback", "overview", "99"], "", 67), (["feedback", "overview", "a b"], "", 65),
    (["feedback", "praise"], "", 64),
    (["feedback"], "", 64), (["analytics", "recommendation", "0"], "", 65), (["analytics", "herb", "none"], "", 67),
    (["predict", "99"], "", 67), (["predict"], "", 64), (["optimize", "10", "--target", "1.1"], "", 64),
    (["optimize", "10", "--target", "x"], "", 64), (["profile", "9"], "", 67), (["stats", "9"], "", 67),
    (["outbox", "pull"], "", 64), (["import", "people"], "", 64), (["export", "people"], "", 64), (["import"], "", 64),
    (["analytics", "status", "--now", "yesterday"], "", 64),
    (["analytics", "status", "--now", "2026-02-30T00:00:00Z"], "", 64),
], ids=brief)
def test_ends_with_the_status_of_what_is_wrong(alone, arguments, input, status):
    done = alone.run(*arguments, input=input, check=False)
    assert done.returncode == status and done.stdout == ""
    assert done.stderr.startswith("diagws-clinic: ")


def test_days_before_1970_are_none(alone):
    evolution = alone.ask("evolution", "10", "--now", "0")
    assert {day["date"] for day in evolution["days"]} == {"1970-01-01"}


def test_a_second_one_changes_the_first(alone):
    first = json.loads(alone.submit(compliance=3, comment="so so").stdout)
    second = json.loads(alone.submit(rating=2).stdout)
    assert (second["feedback_id"], second["version"], second["updated"]) == (first["feedback_id"], 2, True)
    history = alone.ask("feedback", "history")
    assert history["count"] == 1 and history["feedback"][0]["rating"] == 2
    third = alone.ask("feedback", "update", first["feedback_id"], input='{"comment":"better"}')
    assert third["version"] == 3
    kept = alone.ask("feedback", "history", "10")["feedback"][0]
    assert (kept["rating"], kept["comment"]) == (2, "better")


def test_a_dry_run_changes_nothing(alone):
    assert alone.ask("feedback", "submit", "-n", input=json.dumps(GOOD))["success"] is True
    assert alone.run("feedback", "submit", "-n", input=json.dumps({**GOOD, "rating": 6}), check=False).returncode == 65
    assert alone.read("SELECT count(*) FROM feedback") == [(0,)] and alone.waiting() == []


# ---- pushing ----


def test_is_silent_and_pushes(clinic, hub):
    before = len(messages(hub, "10"))
    done = clinic.run("feedback", "submit", input=json.dumps(GOOD))
    assert done.stdout == done.stderr == "" and clinic.waiting() == []
    sent = messages(hub, "10")[before:]
    assert [message["type"] for message in sent] == ["feedback_update"]
    assert clinic.run("analytics", "run").stderr == ""
    assert [message["type"] for message in messages(hub, "10")[before + 1:]] == ["effectiveness_update"]
    assert clinic.ask("analytics", "run") == {"success": True, "computed": 0, "changed": 0}


def test_keeps_what_cannot_be_pushed_and_pushes_it_once(alone, hub):
    before = len(messages(hub, "10"))
    done = alone.submit()
    assert json.loads(done.stdout)["success"] is True
    assert "kept; 1 push waits for the hub: " in done.stderr and "does not answer" in done.stderr
    assert alone.run("outbox", "push", check=False).returncode == 75
    assert alone.run("analytics", "run", check=False).returncode == 75
    listed = alone.ask("outbox")
    assert listed["waiting"] == 2 and [row["type"] for row in listed["outbox"]] == ["feedback_update",
                                                                                    "effectiveness_update"]
    assert "symptom" not in json.dumps(listed)
    assert alone.run("-q", "feedback", "submit", input=json.dumps({**GOOD, "recommendation_id": 2})).stderr == ""
    for _ in range(2):
        assert alone.with_hub("outbox", "push").stderr == ""
    assert alone.waiting() == []
    assert [row["type"] for row in messages(hub, "10")[before:]] == ["feedback_update", "effectiveness_update",
                                                                     "feedback_update"]


def test_killed_before_its_push_it_is_pushed_later(alone, hub, tmp_path):
    before = len(messages(hub, "10"))
    popen = subprocess.Popen([BIN / "diagws-clinic", "--db", alone.path, "--endpoint", f"ipc://{tmp_path}/nobody.sock",
                              "--timeout", "1m", "feedback", "submit"], stdin=subprocess.PIPE)
    popen.stdin.write(json.dumps(GOOD).encode())
    popen.stdin.close()
    until(alone.waiting, "the record")
    popen.send_signal(signal.SIGKILL)
    popen.wait()
    # As it was when the hub had it, and the row was not deleted yet.
    with contextlib.closing(sqlite3.connect(alone.path)) as file:
        rows = file.execute("SELECT * FROM outbox").fetchall()
    alone.with_hub("outbox", "push")
    with contextlib.closing(sqlite3.connect(alone.path)) as file, file:
        file.executemany(f"INSERT INTO outbox VALUES ({','.join('?' * len(rows[0]))})", rows)
    assert len(alone.waiting()) == 1
    alone.with_hub("outbox", "push")
    assert alone.waiting() == [] and len(messages(hub, "10")) == before + 1


def test_says_that_an_endpoint_is_none(alone):
    done = alone.run("outbox", "push", check=False)
    assert done.returncode == 0  # nothing waits
    alone.submit()
    done = alone.run("outbox", "push", "--endpoint", "nonsense", check=False)
    assert done.returncode == 78 and "'nonsense'" in done.stderr


def test_what_the_hub_refuses_stays_and_holds_nobody_up(alone, hub):
    alone.submit()
    with contextlib.closing(sqlite3.connect(alone.path)) as file, file:
        file.execute("UPDATE outbox SET data = '{\"rating\":9}'")
    before = len(messages(hub, "10"))
    done = alone.with_hub("feedback", "submit", input=json.dumps({**GOOD, "recommendation_id": 2}))
    assert "refused for good: 1 of the pushes" in done.stderr
    listed = alone.ask("outbox")
    assert (listed["waiting"], listed["refused"]) == (0, 1) and "feedback_id" in listed["outbox"][0]["refused"]
    assert len(messages(hub, "10")) == before + 1


def test_a_file_brought_back_from_a_copy_is_heard(clinic, hub, tmp_path):
    """The hub has seen ids of what the copy does not know."""
    before = len(messages(hub, "10"))
    with contextlib.closing(sqlite3.connect(clinic.path)) as file:
        file.execute("VACUUM INTO ?", [str(tmp_path / "copy.db")])
    clinic.submit(rating=1)
    copy = Clinic(hub, tmp_path / "copy.db")
    for rating in [2, 3]:
        assert copy.submit(rating=rating).stderr == ""
    assert copy.read("SELECT * FROM outbox") == []
    told = [message["id"].split(".", 1) for message in messages(hub, "10")[before:] if message["type"] == "feedback_update"]
    assert [name for _, name in told] == ["feedback.1.1", "feedback.1.1", "feedback.1.2"]
    assert told[0][0] != told[1][0] == told[2][0]


def test_many_go_out_in_order(alone, hub):
    """More than fit into the window, with data that is longer than what may be under way."""
    with contextlib.closing(sqlite3.connect(alone.path)) as file, file:
        file.executemany("INSERT INTO outbox (diagnosis, type, message, data, created) VALUES ('many', 'note_update', ?, ?, 0)",
                         [(f"m{i}", json.dumps({"i": i, "text": "x" * (60000 if i < 20 else 10)})) for i in range(300)])
    alone.with_hub("outbox", "push", "--timeout", "20s")
    assert alone.waiting() == []
    ids = [row["id"] for row in messages(hub, "many")]
    assert ids == [f"m{i}" for i in range(300)][-len(ids):] and len(ids) >= 100


# ---- import and export ----


def lines_of_patients(count, bad):
    lines = [json.dumps({"id": i, "name": f"n{i}"}) for i in range(1, count + 1)]
    lines[bad - 1] = '{"id":17,"name":17}'
    return "\n".join(lines)  # the last one has no end


@pytest.mark.parametrize("atomic", [False, True])
def test_a_bad_line_of_ten_thousand(hub, tmp_path, atomic):
    clinic = Clinic(hub, tmp_path / "clinic.db")
    clinic.run("init")
    (tmp_path / "patients.ndjson").write_text(lines_of_patients(10000, 17))
    done = clinic.run("import", *(["--atomic"] if atomic else []), "patients", tmp_path / "patients.ndjson", check=False)
    assert done.returncode == 65 and done.stdout == ""
    assert f"{tmp_path}/patients.ndjson:17: field 'name': 17 is not a text [DW1003]" in done.stderr
    assert done.stderr.count("[DW") == 1
    assert clinic.read("SELECT count(*) FROM patients") == [(0 if atomic else 9999,)]


def test_a_dry_import_checks_and_changes_nothing(alone):
    done = alone.lines("patients", {"id": 4, "name": "x"}, {"id": 4, "name": ""}, check=False)
    assert done.returncode == 65 and alone.read("SELECT count(*) FROM patients") == [(4,)]
    before = alone.run("export", "patients").stdout
    dry = alone.run("import", "-n", "patients", input='{"id":5,"name":"y"}\n{"id":0,"name":"y"}\n', check=False)
    assert dry.returncode == 65 and "stdin:2: field 'id'" in dry.stderr
    assert alone.run("export", "patients").stdout == before


BAD = {
    "patients": [
        ({"id": 0, "name": "a"}, "'id'"),
        ({"id": "1", "name": "a"}, "'id'"),
        ({"id": 9}, "'name' is missing"),
        ({"id": 9, "name": " "}, "'name'"),
        ({"id": 9, "name": PERSIAN * 201}, "201 characters"),
        ({"id": 9, "name": "a\x1b[1m"}, "control"),
        ({"id": 9, "name": "a", "age": 151}, "151"),
        ({"id": 9, "name": "a", "age": -1}, "-1"),
        ({"id": 9, "name": "a", "mizaj": PERSIAN * 65}, "65 characters"),
        ({"id": 9, "name": "a", "phone": "1"}, "'phone' is not a field of patients"),
    ],
    "diagnoses": [
        ({"id": "a b", "patient": 1, "condition": "x"}, "'id'"),
        ({"id": "a", "patient": 77, "condition": "x"}, "there is no patient 77"),
        ({"id": "a", "patient": 1, "condition": PERSIAN * 65}, "'condition'"),
        ({"id": "a", "patient": 1, "condition": "x", "symptoms": ["s"] * 51}, "51 entries"),
        ({"id": "a", "patient": 1, "condition": "x", "symptoms": [1]}, "'symptoms'"),
        ({"id": "a", "patient": 1, "condition": "x", "symptoms": ["s;t"]}, "';'"),
        ({"id": "a", "patient": 1, "condition": "x", "symptoms": "s"}, "'symptoms'"),
        ({"id": "a", "patient": 1, "condition": "x", "created": "yesterday"}, "'created'"),
    ],
    "recommendations": [
        ({"id": 9, "diagnosis": "nobody", "herb": "x"}, "there is no diagnosis nobody"),
        ({"id": 9, "diagnosis": 10, "herb": "x", "dosage": "x" * 201}, "'dosage'"),
    ],
    "feedback": [
        ({"diagnosis": 10, "recommendation": 3, "rating": 3, "symptom_improvement": 3}, "this diagnosis's condition"),
        ({"diagnosis": 10, "recommendation": 1, "rating": 6, "symptom_improvement": 3}, "6 is not within 1..5"),
        ({"diagnosis": 10, "recommendation": 1, "rating": 3, "symptom_improvement": 3, "comment": PERSIAN * 501},
         "501 characters"),
    ],
    "herb_symptoms": [
        ({"herb": "x", "symptom": "y", "strength": 1.01}, "1.01"),
        ({"herb": "x", "symptom": "y", "strength": "0.5"}, "'strength'"),
    ],
}


@pytest.mark.parametrize("table", BAD)
def test_import_refuses_what_is_out_of_bounds(alone, table):
    done = alone.lines(table, *(record for record, _ in BAD[table]), check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("diagws-clinic: ")]
    assert done.returncode == 65 and len(said) == len(BAD[table])
    for number, (line, (_, word)) in enumerate(zip(said, BAD[table]), 1):
        assert f"stdin:{number}: " in line and word in line


@pytest.mark.parametrize("table,record", [
    ("patients", {"id": 9, "name": PERSIAN * 200, "mizaj": PERSIAN * 64, "age": 150}),
    ("diagnoses", {"id": "d" * 64, "patient": 1, "condition": PERSIAN * 64, "symptoms": [PERSIAN * 64] * 50,
                   "created": "2026-01-01T03:30:00.5+03:30"}),
    ("recommendations", {"id": 9, "diagnosis": 10, "herb": PERSIAN * 64, "dosage": PERSIAN * 200}),
    ("feedback", {"diagnosis": 10, "recommendation": 1, "rating": 1, "symptom_improvement": 5, "comment": PERSIAN * 500}),
    ("feedback", {"diagnosis": 10, "recommendation": 1, "rating": 1, "symptom_improvement": 5, "comment": "  as said\n"}),
    ("herb_symptoms", {"herb": "x", "symptom": "y", "strength": 1}),
], ids=brief)
def test_import_takes_what_is_just_within(alone, table, record):
    alone.lines(table, record)
    lines = [json.loads(line) for line in alone.run("export", table).stdout.splitlines()]
    record = {name: value if name != "created" else "2026-01-01T00:00:00Z" for name, value in record.items()}
    assert any(record.items() <= line.items() for line in lines)


def test_import_changes_what_is_there_but_not_what_feedback_rests_on(alone):
    alone.lines("patients", {"id": 1, "name": "  Ali "})
    assert alone.read("SELECT name, mizaj, age FROM patients WHERE id = 1") == [("Ali", None, None)]
    alone.submit()
    for table, record in [("diagnoses", {"id": 10, "patient": 2, "condition": "میگرن"}),
                          ("diagnoses", {"id": 10, "patient": 1, "condition": "cough"}),
                          ("recommendations", {"id": 1, "diagnosis": 10, "herb": "Thyme"}),
                          ("recommendations", {"id": 1, "diagnosis": 30, "herb": "زعفران"})]:
        done = alone.lines(table, record, check=False)
        assert done.returncode == 65 and "has feedback" in done.stderr
    alone.lines("recommendations", {"id": 1, "diagnosis": 10, "herb": "زعفران", "dosage": "2 g"})
    alone.lines("feedback", {"diagnosis": 10, "recommendation": 1, "rating": 1, "symptom_improvement": 1})
    assert alone.read("SELECT rating, version FROM feedback") == [(1, 2)]
    # What was pushed as a version never comes again as another one.
    alone.lines("feedback", {"diagnosis": 10, "recommendation": 1, "rating": 2, "symptom_improvement": 1, "version": 1})
    assert alone.read("SELECT rating, version FROM feedback") == [(2, 2)]
    assert json.loads(alone.submit().stdout)["version"] == 3


def test_csv_with_quotes_line_ends_and_faults(alone, tmp_path):
    alone.submit()
    text = ('\ufeffrecommendation,diagnosis,rating,symptom_improvement,comment,side_effects\r\n'
            '2,10,5,4,"two lines,\r\nand a ""quote""",\r\n'
            '2,d-20,5,4,"a" b,\r\n'
            '2,d-20,4,3\r\n'
            '2,d-20,five,3,,\r\n'
            '2,d-20,4,3,,none\r\n'
            '1,d-20,4,3,"a line,\r\n\udcff no text\r\nand one more",\r\n'
            '1,d-20,4,3,"a line,\r\n' + "x" * 70000 + '\r\n'
            '2,d-20,4,3,"never closed,\r\n')
    (tmp_path / "feedback.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    done = alone.run("import", "feedback", tmp_path / "feedback.csv", check=False)
    assert done.returncode == 65
    assert [line.split(":")[2] for line in done.stderr.splitlines() if line.startswith("diagws")] == [
        "4", "5", "6", "8", "12", "13"]
    rows = alone.read("SELECT comment, side_effects FROM feedback WHERE recommendation = 2 ORDER BY patient")
    assert alone.read("SELECT count(*) FROM feedback WHERE recommendation = 1") == [(1,)]  # the one that was there
    assert rows == [('two lines,\nand a "quote"', None), (None, "none")]
    for head, word in [("id,name,phone\n", "'phone'"), ("id\n", "'name' is missing"), ("id,name,id\n", "twice")]:
        done = alone.run("import", "patients", "--input", "csv", input=head + "9,a,b\n", check=False)
        assert done.returncode == 65 and word in done.stderr
    assert alone.read("SELECT count(*) FROM patients") == [(3,)]


@pytest.mark.parametrize("output", ["ndjson", "csv"])
def test_what_goes_out_comes_in_again(hub, demo, tmp_path, output):
    first, second = demo, Clinic(hub, tmp_path / "clinic.db")
    second.run("init")
    for table in TABLES:
        (tmp_path / f"{table}.{output}").write_text(first.run("export", table, "--output", output).stdout)
        second.run("import", "--atomic", table, tmp_path / f"{table}.{output}")
        assert second.run("export", table).stdout == first.run("export", table).stdout
    assert second.read("SELECT * FROM cohort") == first.read("SELECT * FROM cohort")
    if output == "csv":
        rows = list(csv.DictReader(io.StringIO((tmp_path / "patients.csv").read_text())))
        assert len(rows) == 40 and set(rows[0]) == {"id", "name", "mizaj", "age"}


def test_an_interrupted_import_says_how_far_it_came(alone, tmp_path):
    """Its input stays open: what came is taken, and ^C ends it."""
    popen = subprocess.Popen([BIN / "diagws-clinic", "--db", alone.path, "import", "patients"], stdin=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    popen.stdin.write('{"id":7,"name":"x"}\n{"id":8,"name":"y"}\n')
    popen.stdin.flush()
    until(lambda: alone.read("SELECT count(*) FROM patients") == [(5,)], "both lines")
    popen.send_signal(signal.SIGINT)
    said = popen.communicate(timeout=PATIENCE)[1]
    assert popen.returncode == 130 and "stdin: stopped after line 2; what stands up to there was taken" in said


# ---- demo, and what is shown ----


def test_demo_fills_an_empty_file_alone(demo):
    assert demo.waiting() == []
    status = demo.ask("analytics", "status")
    assert status["feedback"] > 1200 and status["due"] == 0
    assert {row["trend"] for row in demo.ask("analytics", "worst", "--limit", "50", "--min-samples", "1")["recommendations"]}
    assert demo.ask("analytics", "trending")["recommendations"]
    again = demo.run("demo", check=False)
    assert again.returncode == 73 and "not empty" in again.stderr


def test_the_ranking_of_101_turns_after_a_few_good_words(hub, tmp_path):
    clinic = Clinic(hub, tmp_path / "clinic.db")
    clinic.run("init")
    clinic.run("demo", "--seed", "2")
    before = [entry["recommendation_id"] for entry in clinic.ask("predict", "101")["predictions"]]
    givers = [row[0] for row in clinic.read(
        "SELECT id FROM diagnoses d WHERE condition = (SELECT condition FROM diagnoses WHERE id = '101') AND NOT EXISTS "
        "(SELECT 1 FROM feedback f WHERE f.patient = d.patient AND f.recommendation = ?)", before[1])][:5]
    for giver in givers:
        clinic.run("feedback", "submit", input=json.dumps(
            {"diagnosis_id": giver, "recommendation_id": before[1], "rating": 5, "symptom_improvement": 5}))
    after = [entry["recommendation_id"] for entry in clinic.ask("predict", "101")["predictions"]]
    assert len(givers) == 5 and after[:2] == before[1::-1]
    tag = clinic.read("SELECT tag FROM clinic")[0][0]
    assert "recommendation_update" in [row["type"] for row in messages(hub, "101") if row["id"].startswith(tag)]


LISTS = [["predict", "101"], ["feedback", "history"], ["analytics", "diagnosis", "101"]]
SINGLE = [["feedback", "summary", "1"], ["stats", "1"], ["analytics", "condition", "میگرن"]]


@pytest.mark.parametrize("arguments", LISTS + SINGLE, ids=" ".join)
def test_every_format_says_the_same(demo, arguments):
    answer = demo.ask(*arguments)
    assert list(answer)[0] == "success" and answer["success"] is True
    lines = demo.run(*arguments, "--format", "ndjson").stdout.splitlines()
    table = list(csv.DictReader(io.StringIO(demo.run(*arguments).stdout), delimiter="\t", quoting=csv.QUOTE_NONE))
    if arguments in LISTS:
        records = next(value for value in answer.values() if isinstance(value, list))
        assert records and [json.loads(line) for line in lines] == records
    else:
        records = [answer]
        assert [json.loads(line) for line in lines] == records
    assert len(table) == len(records)
    for row, record in zip(table, records):
        for name, value in record.items():
            if isinstance(value, (int, float)) and name != "success" and not isinstance(value, bool):
                assert float(row[name]) == value
            elif isinstance(value, str):
                assert row[name] == value
    people = demo.run(*arguments, "--format", "table", "--color", "never").stdout
    assert people and "\t" not in people and "\x1b" not in people


def test_an_output_that_cannot_be_written_is_told(demo):
    done = demo.world.run("sh", "-c", f"diagws-clinic --db {demo.path} export feedback >/dev/full", check=False)
    assert done.returncode == 74
    done = demo.world.run("sh", "-c", f"diagws-clinic --db {demo.path} analytics status --json >/dev/full", check=False)
    assert done.returncode == 74
