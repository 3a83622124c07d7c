"""What writers, file, listeners and formulas of tests/fault/clinic.py know, held against one another.

Each fault is a line that begins with its kind:
  lost     what was acknowledged is not in the file, or older words are
  counted  a record, or a sum that is kept of records, counts something twice or not at all
  score    a result is not what the formulas make of the records
  push     a version that was committed was not pushed, or twice, or something was pushed that is not in the file
  view     who has listened knows something else than the file
  odd      what nobody may see at any time
"""
import collections
import json
import re

import conftest  # noqa: F401: finds tests/lib
from clinic_scores import effectiveness

FIRST_RANKING = 1  # its version


def judge(ward):
    """([faults], {what: count})."""
    feedback, metrics = ward.rows("SELECT * FROM feedback"), ward.rows("SELECT * FROM metrics")
    rankings, outbox = ward.rows("SELECT * FROM rankings"), ward.rows("SELECT * FROM outbox")
    of = {row["id"]: row["diagnosis"] for row in ward.rows("SELECT id, diagnosis FROM recommendations")}
    tag = ward.rows("SELECT tag FROM clinic")[0]["tag"]
    faults = [f"push: waits: {row['message']} {row['refused']}" for row in outbox]
    faults += [*records(ward, feedback), *cohorts(ward), *scores(ward, feedback, metrics)]
    seen = {listener.room: listener.messages for listener in ward.listeners}
    for listener in ward.listeners:
        if ward.polled[listener.room] != listener.messages:
            faults.append(f"view: {listener.room}: by polling it is another list than by WebSocket")
    faults += pushes(seen, expected(ward, tag, feedback, metrics, rankings, of))
    ours = {room: [m for m in messages if re.fullmatch(rf"{tag}\.\w+\.\d+\.\d+(\.r)?", m[1])]
            for room, messages in seen.items()}
    faults += [*words(ward, feedback, ours), *last(ours, metrics, rankings, of)]
    faults += [f"odd: {text}" for text in ward.odd]
    answers = sum((writer.answers for writer in ward.writers), collections.Counter())
    kinds = collections.Counter(kind for messages in seen.values() for _, _, kind, _ in messages)
    return faults, {**{f"answer {key}": value for key, value in sorted(answers.items(), key=str)},
                    "records": len(feedback), "versions": sum(row["version"] for row in feedback),
                    **dict(sorted(kinds.items())),
                    "connections": sum(listener.connections for listener in ward.listeners)}


def records(ward, feedback):
    """Each record is the last that was acknowledged, or an attempt behind it, and has as many versions as that makes."""
    kept = {(row["patient"], row["recommendation"]): row for row in feedback}
    for writer in ward.writers:
        for pair, attempts in writer.attempts.items():
            answered = [number for number, attempt in enumerate(attempts) if attempt.version is not None]
            row = kept.get(pair)
            if row is None:
                if answered:
                    yield f"lost: {pair}: {attempts[answered[-1]].comment}"
                continue
            fits = [a for a in attempts[answered[-1] if answered else 0:] if a.comment == row["comment"]]
            if not fits or (fits[0].rating, fits[0].improvement) != (row["rating"], row["symptom_improvement"]):
                yield f"lost: {pair}: {attempts[-1].comment} was the last, the file has {row}"
            if row["id"] != writer.ids.get(pair, row["id"]):
                yield f"counted: {pair}: acknowledged as {writer.ids[pair]}, in the file as {row['id']}"
            least = attempts[answered[-1]].version if answered else 1
            if not least <= row["version"] <= ward.asked[pair]:
                yield f"counted: {pair}: version {row['version']} after {ward.asked[pair]} requests, {least} acknowledged"


def cohorts(ward):
    kept = ward.rows("SELECT herb, mizaj, patient, cases, good, last FROM cohort ORDER BY 1, 2, 3")
    counted = ward.rows(
        "SELECT herb, mizaj, patient, count(*) AS cases, sum(rating >= 3) AS good, max(f.created) AS last FROM feedback f "
        "JOIN patients p ON p.id = patient JOIN recommendations r ON r.id = recommendation WHERE mizaj IS NOT NULL "
        "GROUP BY herb, mizaj, patient ORDER BY 1, 2, 3")
    return [] if kept == counted else ["counted: the cohorts are not what the records add up to"]


def scores(ward, feedback, metrics):
    by = collections.defaultdict(list)
    for row in feedback:
        by[row["recommendation"]].append(row)
    now = max(row["computed"] for row in metrics)
    for row in metrics:
        score = effectiveness(by[row["recommendation"]], now)
        kept = {"effectiveness": row["effectiveness"], "sample_size": row["cases"], "confidence": row["confidence"],
                "trend": row["trend"], "average_rating": row["average_rating"]}
        if kept != score:
            yield f"score: recommendation {row['recommendation']}: the file has {kept}, the records make {score}"
    if by.keys() != {row["recommendation"] for row in metrics}:
        yield "score: not each recommendation with feedback has a result"


def expected(ward, tag, feedback, metrics, rankings, of):
    """{diagnosis: the ids of all that must have been pushed there}."""
    ids = collections.defaultdict(set)
    writing = {patient for writer in ward.writers for patient in writer.patients}
    for row in feedback:
        if row["patient"] not in writing:
            continue  # it was there before
        home, other = row["diagnosis"], of[row["recommendation"]]
        for version in range(1, row["version"] + 1):
            ids[home].add(f"{tag}.feedback.{row['id']}.{version}")
            if other != home:
                ids[other].add(f"{tag}.feedback.{row['id']}.{version}.r")
    for row in metrics:
        for version in range(1, row["version"] + 1):
            ids[of[row["recommendation"]]].add(f"{tag}.effectiveness.{row['recommendation']}.{version}")
    for row in rankings:  # the first one is only kept
        for version in range(FIRST_RANKING + 1, row["version"] + 1):
            ids[row["diagnosis"]].add(f"{tag}.ranking.{row['diagnosis']}.{version}")
    return ids


def pushes(seen, ids):
    for room, messages in seen.items():
        times = collections.Counter(id for _, id, _, _ in messages)
        yield from (f"push: {room}: {id} came {count} times" for id, count in times.items() if count > 1)
        yield from (f"push: {room}: {id} never came" for id in sorted(ids[room] - times.keys()))
        yield from (f"push: {room}: {id} is of nothing in the file" for id in sorted(times.keys() - ids[room]))
    yield from (f"push: {room}: nobody listens there" for room in ids.keys() - seen.keys() if ids[room])


def words(ward, feedback, seen):
    """Each push says what its version said, as far as it was acknowledged."""
    pairs = {row["id"]: (row["patient"], row["recommendation"]) for row in feedback}
    attempts = {(pair, a.version): a for writer in ward.writers for pair, list_of in writer.attempts.items()
                for a in list_of if a.version is not None}
    for room, messages in seen.items():
        for _, id, kind, data in messages:
            parts = id.split(".")
            attempt = attempts.get((pairs.get(int(parts[2])), int(parts[3]))) if kind == "feedback_update" else None
            if attempt is not None and (data["rating"], data["effectiveness"]) != (
                    attempt.rating, attempt.improvement / 5):
                yield f"push: {room}: {id} says {data}, acknowledged was {attempt.comment} with {attempt.rating}"
            if attempt is not None and data.get("comment") != (None if parts[4:] else attempt.comment):
                yield f"push: {room}: {id} says {data.get('comment')}, acknowledged was {attempt.comment}"


def last(seen, metrics, rankings, of):
    """What a page shows in the end, and that each change began where the one before had ended."""
    shown, ranked, versions = {}, {}, {}
    for room, messages in seen.items():
        for _, id, kind, data in messages:
            version = int(id.split(".")[3])
            if kind == "effectiveness_update":
                number = data["recommendation_id"]
                if data["old_effectiveness"] != shown.get(number, {}).get("new_effectiveness"):
                    yield f"view: {room}: {id} goes on from {data['old_effectiveness']}, not from {shown.get(number)}"
                shown[number] = data
            elif kind == "recommendation_update":
                if room in ranked and data["old_data"] != ranked[room]:
                    yield f"view: {room}: {id} goes on from {data['old_data']}, not from {ranked[room]}"
                ranked[room] = data["new_data"]
            what = id.removesuffix(".r").rpartition(".")[0]
            if version <= versions.get((room, what), 0):
                yield f"view: {room}: {id} came behind version {versions[room, what]}"
            versions[room, what] = version
    for row in metrics:
        data = shown.get(row["recommendation"], {})
        if (row["effectiveness"], row["confidence"], row["cases"], row["trend"]) != tuple(
                data.get(name) for name in ("new_effectiveness", "confidence", "sample_size", "trend")):
            yield f"view: {of[row['recommendation']]}: the file has {row}, the page {data}"
    for row in rankings:
        ranking = json.loads(row["ranking"])
        order = [entry["recommendation_id"] for entry in ranking]
        if row["diagnosis"] in ranked and [e["recommendation_id"] for e in ranked[row["diagnosis"]]["ranking"]] != order:
            yield f"view: {row['diagnosis']}: the file ranks {order}, the page {ranked[row['diagnosis']]}"
