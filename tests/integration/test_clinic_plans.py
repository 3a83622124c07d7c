"""How SQLite carries out each statement of the clinic: by an index, however many records, recommendations, patients and
diagnoses there are. What walks through a table or an index all the same stands here with its reason."""
import pathlib
import re
import sqlite3

SQL = pathlib.Path(__file__).resolve().parents[2] / "cmd/diagws-clinic/sql"
# statement: (what it walks through, why)
WALKS = {
    "analytics_best": ("m USING INDEX metrics_by_effectiveness", "from the best on, as far as the limit"),
    "analytics_worst": ("m USING INDEX metrics_by_effectiveness", "from the worst on, as far as the limit"),
    "analytics_trending": ("m USING INDEX metrics_improving", "from the best on, as far as the limit"),
    "analytics_status": ("metrics USING INDEX metrics_by_effectiveness|feedback USING COVERING INDEX \\w+|"
                         "outbox USING INDEX outbox_waiting", "counts all of them"),
    "feedback_history": ("f USING INDEX feedback_newest", "from the newest on, as far as the limit"),
    "feedback_side_effects": ("parts", "the parts of what an index found"),
    "feedback_side_effects_of": ("parts", "the parts of what an index found"),
    "outbox_add": ("c", "has one row"),
    "outbox_waiting": ("outbox USING INDEX outbox_waiting", "from the first that waits on, as far as the limit"),
    "outbox_count": ("outbox USING INDEX outbox_waiting", "counts all that wait"),
    "outbox_refused_count": ("outbox", "counts what was refused, of what waits: few"),
    "outbox_list": ("outbox", "lists all of it"),
    "outbox_last": ("sqlite_sequence", "has a row for each of a few tables"),
    "run_all_count": ("metrics", "counts all of them"),
    "demo_is_empty": ("(patients|herb_symptoms)", "stops at the first row"),
    **{f"dump_{table}": (table, "exports all of it")
       for table in ("patients", "diagnoses", "recommendations", "feedback", "herb_symptoms")},
    "predict_cohort": ("\\(subquery-1\\)", "the 20 rows that an index found"),
}


def statements():
    """As sql/compile.awk reads them: {name: text}."""
    found = {}
    for path in sorted(SQL.glob("*.sql")):
        name = None
        for line in path.read_text().splitlines():
            if re.fullmatch("-- [a-z0-9_]+", line):
                name = line[3:]
                found[name] = ""
            elif name and not line.startswith("--"):
                found[name] += line + "\n"
    return found


def plan(db, text):
    most = max([0] + [int(n) for n in re.findall(r"\?(\d+)", text)])
    return [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + text, [None] * most)]


def test_plans():
    texts = statements()
    db = sqlite3.connect(":memory:")
    db.executescript(texts.pop("schema_1"))
    walked, wrong = set(), []
    for name, text in texts.items():
        for step in plan(db, text):
            if not step.startswith("SCAN ") or step == "SCAN CONSTANT ROW" or " VIRTUAL TABLE " in step:
                continue
            walked.add(name)
            if name not in WALKS or not re.fullmatch(WALKS[name][0], step[5:]):
                wrong.append((name, step))
    assert wrong == [] and WALKS.keys() - walked == set()
    # The newest of those who are alike are read off an index, and not sorted out of all of them.
    assert not [step for step in plan(db, texts["predict_cohort"]) if "B-TREE" in step]
