"""diagws-clinic serve from outside: its paths, who may use them, their limits, and what becomes of a record when the
file, the hub or the service itself goes away. One hub, one edge and one clinic serve all of these tests."""
import asyncio
import concurrent.futures
import contextlib
import http.client
import json
import resource
import signal
import sqlite3
import threading
import time
import urllib.parse

import pytest

from conftest import BIN, PATIENCE, Edge, Process, free_port, receive_updates, shared_world, until

HEADACHE, HERB = "سردرد مزمن", "گل گاوزبان"
IN_HAND, IN_HAND_OF_ONE = 128, 16
OWN, OTHER = "101", "103"  # alice's and carol's diagnosis


class Clinic(Process):
    url, request, ready = Edge.url, Edge.request, Edge.ready

    def __init__(self, world, file, *arguments, limits=None):
        self.port = free_port()
        super().__init__(world, "diagws-clinic", [
            BIN / "diagws-clinic", "serve", "--db", file, "--listen", f"127.0.0.1:{self.port}", "--keys", world.keys,
            "--timeout", "1s", *arguments], limits=limits)

    def raw(self, method, path, body=None, token=None, **headers):
        """(status, headers, bytes) of a request that is sent as it is."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2 * PATIENCE)
        try:
            if token is not None:
                headers["Authorization"] = f"Bearer {token}"
            link.request(method, path, body, {"Content-Type": "application/json", **headers})
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            link.close()


def fill(file):
    """Two patients with the same condition, a third with another one, and a herb for each."""
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("PRAGMA foreign_keys = ON")
        db.executemany("INSERT INTO patients VALUES (?, ?, ?, ?)",
                       [(1, "آلیس", "گرم و تر", 40), (2, "باب", "گرم و تر", 50), (3, "Carol", None, None)])
        db.executemany("INSERT INTO diagnoses VALUES (?, ?, ?, ?, 1)", [
            (OWN, 1, HEADACHE, '["درد"]'), ("102", 2, HEADACHE, "[]"), (OTHER, 3, "insomnia", "[]")])
        db.executemany("INSERT INTO recommendations (id, diagnosis, herb) VALUES (?, ?, ?)",
                       [(n, OWN, f"{HERB} {n}") for n in range(1, 4)] + [(9, OTHER, "valerian"), (50, OWN, "sage")] +
                       [(n, OWN, "mint") for n in range(100, 200)])


def start(world, *arguments, limits=None):
    clinic = world._keep(Clinic(world, world.file, *map(str, arguments), limits=limits))
    until(clinic.ready, "the clinic")
    return clinic


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with shared_world(tmp_path_factory) as world:
        world.the_hub = world.hub()
        world.the_edge = world.edge()
        world.file = world.path / "clinic.db"
        world.run("diagws-clinic", "init", "--db", world.file)
        fill(world.file)
        www = world.path / "www"
        www.mkdir()
        (www / "index.html").write_text("<!doctype html>")
        world.www = www
        world.alice, world.bob, world.carol = world.user("alice", OWN), world.user("bob", "102"), world.user("carol", OTHER)
        world.stranger, world.stat = world.token("mallory"), world.token("desk", "--scope", "stat")
        world.service = world.token("cron", "--scope", "publish")
        world.serve = start(world, "--www", www, "--edge", "ws://127.0.0.1:8000", "--edge", "wss://edge.example")
        yield world


def feedback(diagnosis=OWN, recommendation=1, rating=4, **more):
    return {"diagnosis_id": int(diagnosis), "recommendation_id": recommendation, "rating": rating,
            "symptom_improvement": 4, **more}


def rows(world, sql, *values):
    with contextlib.closing(sqlite3.connect(f"file:{world.file}?mode=ro", uri=True)) as db:
        return db.execute(sql, values).fetchall()


def refused(answer, status, code, field=None):
    got, _, body = answer
    assert (got, body["success"], body["error"]["code"], body["error"].get("field")) == (status, False, code, field), body
    return body["error"]["message"]


# ---- every path ----

PATHS = [
    ("GET", "/api/feedback/history?diagnosis_id=101&limit=200", "alice", {"feedback", "count"}),
    ("GET", "/api/feedback/history?limit=1", "stat", {"feedback", "count"}),
    ("GET", "/api/feedback/recommendation/1/summary", "alice", {"satisfied_percent", "side_effects"}),
    ("GET", "/api/feedback/recommendation/1/trend", "alice", {"trend", "recent", "earlier"}),
    ("GET", "/api/feedback/diagnosis/101/overview", "alice", {"condition", "recommendations"}),
    ("GET", "/api/feedback/stats/most-effective?limit=50&min_samples=1", "stat", {"recommendations"}),
    ("GET", "/api/feedback/stats/side-effects?limit=50", "stat", {"side_effects"}),
    ("GET", "/api/analytics/status", "stat", {"due", "outbox", "model_version"}),
    ("GET", "/api/analytics/recommendation/1/effectiveness", "alice", {"effectiveness", "performance"}),
    ("GET", "/api/analytics/diagnosis/101/effectiveness", "alice", {"condition", "recommendations"}),
    ("GET", "/api/analytics/condition/" + urllib.parse.quote(HEADACHE), "stat", {"condition", "effectiveness"}),
    ("GET", "/api/analytics/herb/" + urllib.parse.quote(f"{HERB} 1"), "stat", {"herb_name", "effectiveness"}),
    ("GET", "/api/analytics/trending?limit=1", "stat", {"recommendations"}),
    ("GET", "/api/analytics/worst-performing", "stat", {"recommendations"}),
    ("POST", "/api/analytics/calculate/1", "alice", {"changed"}),
    ("POST", "/api/analytics/batch/calculate", "alice", {"results"}),
    ("GET", "/api/predictions/diagnosis/101/predict?optimization=aggressive", "alice", {"predictions", "note"}),
    ("GET", "/api/predictions/diagnosis/101/optimize?target=0.5", "alice", {"target", "reached"}),
    ("GET", "/api/predictions/diagnosis/101/evolution", "alice", {"days"}),
    ("GET", "/api/predictions/diagnosis/101/accuracy", "alice", {"accuracy"}),
    ("GET", "/api/predictions/patient/1/profile", "alice", {"mizaj", "herbs"}),
    ("GET", "/api/predictions/recommendation/1/prediction-stats", "alice", {"forecast", "historical"}),
    ("GET", "/api/predictions/model/version", "stranger", {"weights", "model_version"}),
    ("POST", "/api/predictions/batch/predict?optimization=balanced", "alice", {"results"}),
]
BODIES = {"/api/analytics/batch/calculate": {"recommendation_ids": [1, 2, 1]},
          "/api/predictions/batch/predict": {"diagnosis_ids": [101, "101"]}}


def call(world, method, path, who):
    return world.serve.request(path, BODIES.get(path.partition("?")[0], b"" if method == "POST" else None),
                               getattr(world, who) if who else None, method)


@pytest.mark.parametrize("method,path,who,names", PATHS, ids=[path.partition("?")[0] for _, path, _, _ in PATHS])
def test_each_path_answers_who_may(world, method, path, who, names):
    status, headers, body = call(world, method, path, who)
    assert status == 200 and body["success"] is True and names <= body.keys(), body
    assert headers["Cache-Control"] == "no-store"
    refused(call(world, method, path, None), 401, "token_required")
    status, _, _ = call(world, method, path, "stranger")
    assert status == (200 if who == "stranger" else 403)
    if method == "GET":
        assert call(world, method, path, "stat")[0] == 200


def test_feedback_is_given_changed_and_heard(world):
    async def go():
        async with world.the_edge.connect(OWN, world.alice) as socket:
            await socket.recv()
            status, _, body = await asyncio.to_thread(
                world.serve.request, "/api/feedback/submit", feedback(recommendation=2, comment="خوب"), world.alice)
            assert status == 200 and (body["updated"], body["version"], body["diagnosis_id"]) == (False, 1, 101)
            (update,) = await receive_updates(socket, 1)
            assert update["type"] == "feedback_update" and update["data"]["comment"] == "خوب"
            number = body["feedback_id"]
            status, _, body = await asyncio.to_thread(
                world.serve.request, f"/api/feedback/update/{number}", {"rating": 5}, world.alice, "PUT")
            assert status == 200 and (body["feedback_id"], body["updated"], body["version"]) == (number, True, 2)
            first, second = await receive_updates(socket, 2)
            assert [first["data"]["rating"], second["type"]] == [5, "effectiveness_update"]
            again = await asyncio.to_thread(
                world.serve.request, "/api/feedback/submit", feedback(recommendation=2), world.alice)
            assert (again[2]["feedback_id"], again[2]["updated"], again[2]["version"]) == (number, True, 3)
            return number

    number = asyncio.run(go())
    assert rows(world, "SELECT version, comment FROM feedback WHERE id = ?", number) == [(3, None)]
    for name in ("rating", "symptom_improvement"):  # which there must be
        refused(world.serve.request(f"/api/feedback/update/{number}", {name: None, "comment": "x"}, world.alice, "PUT"), 422,
                "invalid_field", name)
    # Another patient with this condition follows the same recommendation: for each his own owner.
    assert world.serve.request("/api/feedback/submit", feedback("102", 2), world.bob)[0] == 200
    refused(world.serve.request(f"/api/feedback/update/{number}", {"rating": 1}, world.bob, "PUT"), 403, "access_denied")
    refused(world.serve.request(f"/api/feedback/update/{number}", {"rating": 1}, world.stat, "PUT"), 403, "access_denied")


def test_a_batch_takes_each_record_by_itself(world):
    status, _, body = world.serve.request("/api/feedback/batch/submit", {"feedback": [
        feedback(recommendation=100), feedback(recommendation=101, rating=6), feedback(recommendation=9),
        {"diagnosis_id": OWN, "rating": 1}, feedback(recommendation=102)]}, world.alice)
    assert status == 200 and (body["accepted"], body["rejected"]) == (2, 3)
    assert [result.get("error", {}).get("field") for result in body["results"]] == [
        None, "rating", "recommendation_id", "recommendation_id", None]
    refused(world.serve.request("/api/feedback/batch/submit", {"feedback": [
        feedback(recommendation=103), feedback(OTHER, 9)]}, world.alice), 403, "access_denied")
    assert rows(world, "SELECT count(*) FROM feedback WHERE recommendation IN (9, 103)") == [(0,)]


# ---- rights ----

def test_what_there_is_not_and_what_is_another_s_look_alike(world):
    """To the byte; and both take as long as refusals take."""
    pairs = [("GET", "/api/feedback/diagnosis/{}/overview", OTHER, "777", None),
             ("GET", "/api/feedback/recommendation/{}/summary", 9, 777777, None),
             ("GET", "/api/feedback/recommendation/{}/summary", 9, "no-number", None),
             ("GET", "/api/predictions/patient/{}/profile", 3, 777777, None),
             ("GET", "/api/feedback/history?diagnosis_id={}", OTHER, "no/id", None),
             ("POST", "/api/analytics/calculate/{}", 9, 777777, ""),
             ("PUT", "/api/feedback/update/{}", 10 ** 6, -1, '{"rating":6}'),
             ("POST", "/api/feedback/submit?{}", 1, 2, json.dumps(feedback(OTHER, 9, 6))),
             ("POST", "/api/feedback/submit?{}", 1, 2, json.dumps(feedback("777", 9, 6)))]
    # One that she owns, but that the clinic does not know.
    world.grant("555", "alice")
    pairs += [("GET", "/api/feedback/diagnosis/{}/overview", "555", "556", None),
              ("POST", "/api/feedback/submit?{}", 1, 2, json.dumps(feedback("555")))]
    seen = set()
    for method, path, foreign, unknown, body in pairs:
        for value in (foreign, unknown):
            begun = time.monotonic()
            status, headers, text = world.serve.raw(method, path.format(value), body, world.alice)
            assert time.monotonic() - begun >= 0.045, (method, path, value, status, text)
            del headers["Date"]
            seen.add((status, str(headers), text))
    assert len(seen) == 1 and next(iter(seen))[0] == 403, seen


def test_a_list_of_ids_is_for_the_owner_of_all_of_them(world):
    for ids in ([1, 9], [1, 777777]):
        refused(world.serve.request("/api/analytics/batch/calculate", {"recommendation_ids": ids}, world.alice), 403,
                "access_denied")
        status, _, body = world.serve.request("/api/analytics/batch/calculate", {"recommendation_ids": ids}, world.service)
        assert status == 200 and len(body["results"]) == 2
    for ids in ([101, 103], [101, 777]):
        refused(world.serve.request("/api/predictions/batch/predict", {"diagnosis_ids": ids}, world.alice), 403,
                "access_denied")
    assert world.serve.request("/api/predictions/batch/predict", {"diagnosis_ids": [101, 103]}, world.stat)[0] == 200


def test_who_sees_everything_is_told_what_there_is_not(world):
    for path in ("/api/analytics/condition/nothing", "/api/feedback/recommendation/777777/trend",
                 "/api/feedback/recommendation/x/trend", "/api/predictions/patient/777777/profile",
                 "/api/predictions/diagnosis/777/predict"):
        refused(world.serve.request(path, token=world.stat), 404, "unknown")
    refused(world.serve.request("/api/analytics/calculate/777777", b"", world.service, "POST"), 404, "unknown")
    # To write in another's name no scope is enough.
    for token in (world.stat, world.service):
        refused(world.serve.request("/api/feedback/submit", feedback(), token), 403, "access_denied")


# ---- bad input ----

@pytest.mark.parametrize("change,field", [
    ({"rating": 0}, "rating"), ({"rating": 6}, "rating"), ({"rating": 4.5}, "rating"), ({"rating": "5"}, "rating"),
    ({"symptom_improvement": 0}, "symptom_improvement"), ({"symptom_improvement": None}, "symptom_improvement"),
    ({"compliance": 6}, "compliance"), ({"comment": "خ" * 501}, "comment"), ({"side_effects": "خ" * 501}, "side_effects"),
    ({"recommendation_id": 9}, "recommendation_id"), ({"recommendation_id": 777777}, "recommendation_id"),
    ({"diagnosis_id": "no id"}, "diagnosis_id"), ({"diagnosis_id": None}, "diagnosis_id"), ({"mood": 1}, "mood")])
def test_a_bad_field_is_named(world, change, field):
    refused(world.serve.request("/api/feedback/submit", {**feedback(), **change}, world.alice), 422, "invalid_field", field)


def test_at_the_limit_it_is_taken(world):
    text = "خ" * 500
    for change in ({"rating": 1}, {"rating": 5}, {"comment": text, "side_effects": text}):
        assert world.serve.request("/api/feedback/submit", {**feedback(recommendation=3), **change}, world.alice)[0] == 200
    assert rows(world, "SELECT length(comment) FROM feedback WHERE recommendation = 3") == [(500,)]
    many = [feedback(recommendation=100 + n) for n in range(50)]
    status, _, body = world.serve.request("/api/feedback/batch/submit", {"feedback": many}, world.alice)
    assert status == 200 and body["accepted"] == 50
    ids = list(range(100, 200))
    status, _, body = world.serve.request("/api/analytics/batch/calculate", {"recommendation_ids": ids}, world.alice)
    assert status == 200 and len(body["results"]) == 100
    status, _, body = world.serve.request("/api/predictions/batch/predict", {"diagnosis_ids": [101] * 20}, world.alice)
    assert status == 200 and len(body["results"]) == 20
    refused(world.serve.request("/api/feedback/batch/submit", {"feedback": many + [feedback()]}, world.alice), 422,
            "invalid_field", "feedback")
    refused(world.serve.request("/api/analytics/batch/calculate", {"recommendation_ids": ids + [1]}, world.alice), 422,
            "invalid_field", "recommendation_ids")
    refused(world.serve.request("/api/predictions/batch/predict", {"diagnosis_ids": [101] * 21}, world.alice), 422,
            "invalid_field", "diagnosis_ids")


@pytest.mark.parametrize("path,most", [("/api/feedback/history", 200), ("/api/feedback/stats/most-effective", 50),
                                       ("/api/feedback/stats/side-effects", 50), ("/api/analytics/trending", 50),
                                       ("/api/analytics/worst-performing", 50)])
def test_a_list_has_a_limit(world, path, most):
    for limit in (1, most):
        assert world.serve.request(f"{path}?limit={limit}", token=world.stat)[0] == 200
    for limit in (0, most + 1, "x", ""):
        refused(world.serve.request(f"{path}?limit={limit}", token=world.stat), 422, "invalid_field", "limit")


def test_other_arguments_have_bounds(world):
    predict = "/api/predictions/diagnosis/101"
    for path, field in ((f"{predict}/predict?optimization=bold", "optimization"), (f"{predict}/optimize?target=0", "target"),
                        (f"{predict}/optimize?target=1.01", "target"), (f"{predict}/optimize?target=nan", "target"),
                        (f"{predict}/optimize?target=0x1", "target"), (f"{predict}/optimize?target=0.5.5", "target")):
        refused(world.serve.request(path, token=world.alice), 422, "invalid_field", field)
        refused(world.serve.request(path, token=world.carol), 403, "access_denied")
    refused(world.serve.request("/api/analytics/trending?min_samples=0", token=world.stat), 422, "invalid_field",
            "min_samples")
    assert world.serve.request(f"{predict}/optimize?target=1", token=world.alice)[0] == 200


def test_bodies_that_are_none(world):
    for body in (b"", b"{", b"{}{}", b'{"rating":1,"rating":2}', b"\xff"):
        refused(world.serve.request("/api/feedback/submit", body, world.alice), 400, "bad_json")
    refused(world.serve.request("/api/feedback/submit", b"[]", world.alice), 422, "invalid_field")
    refused(world.serve.request("/api/feedback/submit", b'"%s"' % (b"x" * (256 * 1024 - 2)), world.alice), 422,
            "invalid_field")
    assert world.serve.raw("POST", "/api/feedback/submit", b" " * (256 * 1024 + 1), world.alice)[0] == 413
    assert world.serve.raw("POST", "/api/feedback/submit", "{}", world.alice, **{"Content-Type": "text/plain"})[0] == 415


def test_methods_and_paths(world):
    for path, allow in (("/api/feedback/submit", "POST, OPTIONS"), ("/api/feedback/update/1", "PUT, OPTIONS"),
                        ("/api/feedback/history", "GET, HEAD, OPTIONS")):
        status, headers, _ = world.serve.raw("DELETE", path, token=world.alice)
        assert (status, headers["Allow"]) == (405, allow)
    status, headers, text = world.serve.raw("HEAD", "/api/predictions/model/version", token=world.alice)
    assert (status, text) == (200, b"") and int(headers["Content-Length"]) > 10
    for path in ("/api", "/api/feedback/recommendation//summary", "/api/feedback/recommendation/1/2/summary",
                 "/api/analytics/condition/", "/nothing"):
        assert world.serve.raw("GET", path, token=world.stat)[0] == 404
    condition = "/api/analytics/condition/"
    for name, status in (("%00", 400), ("a%2fb", 400), ("%ff", 400), ("a%0ab", 400), ("%D8%AE" * 64, 404)):
        assert world.serve.raw("GET", condition + name, token=world.stat)[0] == status, name
    assert world.serve.raw("GET", condition + "%D8%AE" * 65, token=world.stat)[0] in (400, 404)


def test_the_page_and_what_it_is_told(world):
    status, headers, body = world.serve.request("/config.json")
    assert status == 200 and body == {"edges": ["ws://127.0.0.1:8000", "wss://edge.example"], "api": True,
                                      "version": "0.1.0"}
    status, headers, text = world.serve.raw("GET", "/")
    assert (status, text) == (200, b"<!doctype html>") and headers["Content-Type"].startswith("text/html")
    rules = dict(rule.strip().partition(" ")[::2] for rule in headers["Content-Security-Policy"].split(";"))
    assert rules["connect-src"] == "'self' ws://127.0.0.1:8000 wss://edge.example"
    assert rules["default-src"] == "'none'" and rules["script-src"] == "'self'"
    assert world.serve.request("/healthz")[2] == {"status": "ok"} == world.serve.request("/readyz")[2]


def test_options_that_do_not_go_together(world):
    for arguments, word in ((["--keys", world.keys, "--edge", "http://x"], "http://x"), ([], "--keys"),
                            (["--keys", world.keys, "--edge", "ws://x;script-src *"], "script-src"),
                            (["--keys", world.keys, "--listen", "nowhere"], "nowhere"),
                            (["--keys", world.keys, "--www", world.path / "none"], "none")):
        done = world.run("diagws-clinic", "serve", "--db", world.file, "--listen", f"127.0.0.1:{free_port()}", *arguments, check=False)
        assert done.returncode == 78 and word in done.stderr, done.stderr
    missing = world.run("diagws-clinic", "serve", "--db", world.path / "x", "--keys", world.keys, check=False)
    assert missing.returncode == 66


# ---- when something is away ----

@contextlib.contextmanager
def writing(world):
    """Another program holds the file as its writer."""
    db = sqlite3.connect(world.file, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")
    finally:
        db.close()


def test_a_file_that_is_written_by_another(world):
    with writing(world), concurrent.futures.ThreadPoolExecutor() as pool:
        # All wait for it together, not each for 5 s, and who only reads waits no longer.
        answers = [pool.submit(world.serve.request, "/api/feedback/submit", feedback(), world.alice) for _ in range(4)]
        answers.append(pool.submit(world.serve.request, "/api/analytics/status", None, world.stat))
        assert sorted(answer.result()[0] for answer in answers) == [200, 503, 503, 503, 503]
        status, _, body = world.serve.request("/readyz")
        assert (status, body["reasons"]) == (503, ["another program is writing to the clinic's file"])
    until(world.serve.ready, "the file to be free")
    assert world.serve.request("/api/feedback/submit", feedback(), world.alice)[0] == 200


def test_a_file_that_is_written_in_groups_by_another(world):
    """Who writes much, and leaves the file free for a moment now and then, keeps nobody waiting."""
    ended = threading.Event()

    def write():
        while not ended.is_set():
            with writing(world):
                ended.wait(1)
            ended.wait(0.006)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert [world.serve.request("/api/feedback/submit", feedback(), world.alice)[0] for _ in range(2)] == [200] * 2
    finally:
        ended.set()
        writer.join()


def test_a_file_that_was_taken_away(world):
    """Nothing more is said to be stored: it would be in a file that has no name any more, or beside another one's log."""
    aside = world.file.with_name("aside.db")
    for other in (False, True):
        world.file.rename(aside)
        if other:
            world.file.write_bytes(aside.read_bytes())
        try:
            refused(world.serve.request("/api/feedback/submit", feedback(), world.alice), 500, "io")
            assert world.serve.request("/api/analytics/status", token=world.stat)[0] == 500
            assert world.serve.request("/readyz")[2]["reasons"] == ["the clinic's file cannot be used"]
        finally:
            aside.rename(world.file)
        until(world.serve.ready, "the file to be back")
        assert world.serve.request("/api/feedback/submit", feedback(), world.alice)[0] == 200


def test_a_file_that_cannot_grow(world):
    """Not ready as long as nothing can be written, also where a transaction alone could begin."""
    serve = start(world, limits=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    resource.prlimit(serve.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    assert serve.request("/api/feedback/submit", feedback(), world.alice)[0] == 500
    for _ in range(2):
        assert serve.request("/api/analytics/status", token=world.stat)[0] == 200
        assert serve.request("/readyz")[2]["reasons"] == ["the clinic's file cannot be used"]
    resource.prlimit(serve.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until(serve.ready, "the file to be written again")
    assert serve.request("/api/feedback/submit", feedback(), world.alice)[0] == 200
    serve.end()


def test_too_much_in_hand_whose_turn_it_is_and_an_end_with_requests_in_hand(world):
    serve, statuses = start(world), []
    with concurrent.futures.ThreadPoolExecutor(IN_HAND + 3) as pool:
        def ask(token, count, path, *bodies):
            """One more than there may be: when it is refused, the others are in hand."""
            futures = [pool.submit(serve.request, path, bodies[n] if bodies else b"", token, "POST") for n in range(count + 1)]
            (answer,) = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED).done
            statuses.extend(futures)
            return answer.result()

        def give(token, diagnosis):
            bodies = [feedback(diagnosis, 160 + n) for n in range(IN_HAND_OF_ONE + 1)]
            return ask(token, IN_HAND_OF_ONE, "/api/feedback/submit", *bodies)

        with writing(world):
            refused(give(world.alice, OWN), 429, "rate_limit")
            refused(give(world.bob, "102"), 429, "rate_limit")
            refused(ask(world.service, IN_HAND - 2 * IN_HAND_OF_ONE, "/api/analytics/calculate/1"), 503, "busy")
            serve.popen.terminate()
            until(lambda: "shutting down" in serve.said(), "the end to begin")
    assert sorted(future.result()[0] for future in statuses) == [200] * IN_HAND + [429, 429, 503]
    # Who came first with many does not keep the other one waiting for all of them.
    order = rows(world, "SELECT diagnosis FROM feedback WHERE recommendation BETWEEN 160 AND 192 ORDER BY id")
    assert order[:IN_HAND_OF_ONE].count(("102",)) >= IN_HAND_OF_ONE / 4, order
    assert serve.popen.wait(PATIENCE) == 0


def waiting(world):
    return rows(world, "SELECT count(*) FROM outbox")[0][0]


def pushed(world, room):
    """The ids of what the room was told, oldest first."""
    ids, after = [], 0
    while True:
        status, _, page = world.the_edge.request(f"/ws/messages/{room}?after={after}&limit=1000", token=world.alice)
        assert status == 200
        ids += [message["id"] for message in page["messages"]]
        after = page["last"]
        if not page["more"]:
            return ids


def test_the_hub_away(world):
    assert world.serve.request("/api/feedback/submit", feedback(recommendation=50, rating=5), world.alice)[0] == 200
    assert world.serve.request("/api/analytics/calculate/50", b"", world.alice, "POST")[2]["effectiveness"] == 1
    until(lambda: waiting(world) == 0, "the outbox to be empty")
    world.the_hub.kill()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = [pool.submit(world.serve.request, "/api/feedback/submit", feedback(rating=1), world.alice)]
        answers += [pool.submit(world.serve.request, f"/api/feedback/recommendation/{id}/trend", None, world.carol)
                    for id in (1, 777777)]
    for answer in answers:
        refused(answer.result(), 503, "hub_unreachable")
    until(lambda: not world.serve.ready(), "the clinic to notice")
    assert world.serve.request("/api/analytics/status", token=world.stat)[0] == 200
    with contextlib.closing(sqlite3.connect(world.file)) as db, db:
        db.execute("UPDATE feedback SET rating = 1, symptom_improvement = 1 WHERE recommendation = 50")
    status, _, body = world.serve.request("/api/analytics/calculate/50", b"", world.service, "POST")
    assert status == 200 and body["changed"] is True
    (message,) = (row[0] for row in rows(world, "SELECT message FROM outbox WHERE type = 'effectiveness_update'"))
    world.the_hub = world.hub()
    until(lambda: waiting(world) == 0, "the outbox to be empty")
    until(lambda: world.the_edge.ready() and world.serve.ready(), "all to be there")
    assert pushed(world, OWN).count(message) == 1


def test_killed_it_loses_nothing_and_tells_nothing_twice(world):
    serve = start(world)
    answered = []

    def give():
        with contextlib.suppress(OSError, http.client.HTTPException):
            for n in range(60):
                status, _, body = serve.request("/api/feedback/submit", feedback(recommendation=150 + n % 50), world.alice)
                assert status == 200
                answered.append((body["feedback_id"], body["version"]))

    writers = [threading.Thread(target=give) for _ in range(4)]
    for writer in writers:
        writer.start()
    until(lambda: len(answered) >= 20, "some feedback")
    serve.kill()
    for writer in writers:
        writer.join()
    # Whoever is left sends what it left, and once.
    until(lambda: waiting(world) == 0, "the outbox to be empty")
    versions = dict(rows(world, "SELECT id, version FROM feedback"))
    ids = pushed(world, OWN)
    assert len(set(ids)) == len(ids)
    told = {id.partition(".")[2] for id in ids}
    assert all(version <= versions[number] for number, version in answered)
    assert {f"feedback.{number}.{version}" for number, version in answered} <= told


def test_keys_are_read_again_and_a_socket_serves_too(world):
    serve = start(world, "--listen", f"unix:{world.path}/clinic.sock", "--issuer", "clinic")
    key = world.keys / "more.hs256"
    key.write_text("x" * 64)
    key.chmod(0o600)
    mint = ["--issuer", "clinic", "--scope", "stat"]
    refused(serve.request("/api/analytics/status", token=world.stat), 401, "token_invalid")
    assert serve.request("/api/analytics/status", token=world.token("desk", *mint))[0] == 200
    token = world.token("desk", *mint, key=key)
    refused(serve.request("/api/analytics/status", token=token), 401, "token_invalid")
    serve.signal(signal.SIGHUP)
    until(lambda: serve.request("/api/analytics/status", token=token)[0] == 200, "the new key")
    done = world.run("curl", "-s", "--unix-socket", world.path / "clinic.sock", "http://x/healthz")
    assert json.loads(done.stdout) == {"status": "ok"}
    assert serve.terminate() == 0 and token not in serve.said()
    key.unlink()


def test_an_owner_reads_no_comment_of_others(world):
    """bob follows a recommendation of alice's diagnosis."""
    body = json.dumps(feedback("102", 150, comment="only for the desk"))
    assert world.serve.raw("POST", "/api/feedback/submit", body.encode(), world.bob)[0] == 200

    def latest(token):
        status, _, answer = world.serve.raw("GET", "/api/feedback/recommendation/150/summary", token=token)
        assert status == 200
        return json.loads(answer)["latest_comment"]

    assert (latest(world.stat), latest(world.alice)) == ("only for the desk", None)
