"""The HTTP calls from outside: each answer and each refusal, to the byte where the contract gives one."""
import concurrent.futures
import json
import signal
import socket
import subprocess
import time

import pytest

from conftest import BIN, EFFECTIVENESS, PATIENCE, shared_world, until

EFFECT, RECOMMEND, FEED, GENERAL = ("/ws/broadcast-effectiveness-update", "/ws/broadcast-recommendation-update",
                                    "/ws/broadcast-feedback-update", "/ws/broadcast")
FEEDBACK = {"diagnosis_id": 123, "feedback_id": 7, "rating": 4, "effectiveness": 0.5}
UPDATE = {"diagnosis_id": 123, **EFFECTIVENESS}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A hub, an edge, alice who owns 123, a publisher, and a stranger."""
    with shared_world(tmp_path_factory) as world:
        world.hub()
        world.the_edge = world.edge()
        world.grant("124", "someone")
        world.alice = world.user("alice", "123")
        world.publisher = world.token("backend", "--scope", "publish")
        world.stranger = world.token("mallory")
        yield world


def raw(edge, head, body=b""):
    """(status, {header: value}, JSON or bytes) of bytes sent as they are; reads to the connection's end."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=PATIENCE) as link:
        text = head if isinstance(head, bytes) else head.replace("\n", "\r\n").encode()
        link.sendall(text + b"\r\n" + body)
        got = b""
        try:
            while b"\r\n\r\n" not in got or len(got) < expected(got):
                piece = link.recv(65536)
                if not piece:
                    break
                got += piece
        except ConnectionResetError:
            pass
    assert b"\r\n\r\n" in got, got
    head, _, rest = got.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    try:
        rest = json.loads(rest)
    except ValueError:
        pass
    return int(lines[0].split()[1]), headers, rest


def expected(got):
    """How many bytes the whole answer has."""
    head, _, rest = got.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + 4 + int(line.split(b":")[1])
    return len(got) + 1


def post(edge, path, body, token, *headers):
    """A POST of these very bytes."""
    data = body if isinstance(body, bytes) else body.encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(data)}",
             f"Authorization: Bearer {token}", *headers]
    return raw(edge, "".join(line + "\n" for line in lines), data)


def error(code, message, field=None):
    inner = {"code": code, "message": message, **({"field": field} if field else {})}
    return {"success": False, "error": inner, "detail": message}


DENIED = error("access_denied", "access denied")


# ---- answers ----

def test_the_answer_to_a_broadcast(site):
    status, headers, body = site.the_edge.request(EFFECT, {**UPDATE, "id": "first"}, site.alice)
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    assert isinstance(body.pop("seq"), int) and isinstance(body.pop("n"), int) and body.pop("message")
    assert body == {"success": True, "status": "broadcasted", "diagnosis_id": 123, "id": "first", "duplicate": False,
                    "clients_notified": 0, "devices_queued": 0, **EFFECTIVENESS}


@pytest.mark.parametrize("path, body, more", [
    (RECOMMEND, {"old_data": {"a": 1}, "new_data": {"a": 2}, "reason": "why"}, {"reason": "why"}),
    (RECOMMEND, {"old_data": {}, "new_data": {}}, {}),
    (EFFECT, {**EFFECTIVENESS, "extra": [1], "note": None}, {**EFFECTIVENESS, "note": None}),
    (EFFECT, {"recommendation_id": 42, "new_effectiveness": 0, "confidence": 1, "sample_size": 0},
     {"recommendation_id": 42, "new_effectiveness": 0, "confidence": 1, "sample_size": 0}),
    (FEED, {"feedback_id": 1, "rating": 1, "effectiveness": 0.0}, {"feedback_id": 1, "rating": 1, "effectiveness": 0}),
    (FEED, {"feedback_id": 1, "rating": 5, "effectiveness": 1.0, "recommendation_id": 9, "comment": "é" * 500},
     {"feedback_id": 1, "rating": 5, "effectiveness": 1, "recommendation_id": 9, "comment": "é" * 500}),
    (GENERAL, {"type": "lab_update", "data": {"x": 1}}, {"type": "lab_update"}),
    (GENERAL, {"type": "lab_update", "data": {"x": 1}, "user": "alice", "exclude_session": "00000000000000ab", "ttl_s": 60},
     {"type": "lab_update", "user": "alice", "exclude_session": "00000000000000ab", "ttl_s": 60}),
])
def test_each_call_repeats_the_scalars(site, path, body, more):
    status, _, answer = site.the_edge.request(path, {"diagnosis_id": 123, **body}, site.alice)
    assert status == 200
    for name in ("seq", "n", "id", "message", "clients_notified", "devices_queued"):
        assert name in answer
        del answer[name]
    assert answer == {"success": True, "status": "broadcasted", "diagnosis_id": 123, "duplicate": False, **more}


def test_numbers_are_repeated_in_the_senders_bytes(site):
    body = '{"diagnosis_id":123,"recommendation_id":789,"new_effectiveness":0.10,"confidence":1e-1,"sample_size":1}'
    with socket.create_connection(("127.0.0.1", site.the_edge.port), timeout=PATIENCE) as link:
        link.sendall((f"POST {EFFECT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
                      f"Authorization: Bearer {site.alice}\r\n\r\n{body}").encode())
        got = b""
        while b'"sample_size":1}' not in got:
            piece = link.recv(65536)
            assert piece, got
            got += piece
    assert b'"new_effectiveness":0.10,"confidence":1e-1,"sample_size":1}' in got


def test_seq_and_n_grow_by_message(site):
    first, second = (site.the_edge.request(EFFECT, UPDATE, site.alice)[2] for _ in range(2))
    assert second["seq"] > first["seq"] and second["n"] == first["n"] + 1
    assert first["id"] != second["id"]


def test_an_id_sent_twice_is_stored_once(site):
    first = site.the_edge.request(EFFECT, {**UPDATE, "id": "twice"}, site.alice)[2]
    status, _, again = site.the_edge.request(EFFECT, {**UPDATE, "id": "twice"}, site.alice)
    assert (status, again["duplicate"]) == (200, True)
    assert (again["seq"], again["n"], again["id"]) == (first["seq"], first["n"], "twice")
    assert site.the_edge.request(EFFECT, UPDATE, site.alice)[2]["n"] == first["n"] + 1


def test_an_id_with_other_content_is_refused(site):
    site.the_edge.request(EFFECT, {**UPDATE, "id": "reused"}, site.alice)
    status, _, body = site.the_edge.request(EFFECT, {**UPDATE, "sample_size": 1, "id": "reused"}, site.alice)
    assert status == 422
    assert (body["error"]["code"], body["error"]["field"]) == ("id_reused", "id")


def test_the_scope_publishes_anywhere(site):
    assert site.the_edge.request(EFFECT, {**UPDATE, "diagnosis_id": "nobody-1"}, site.publisher)[0] == 200
    assert site.the_edge.request(EFFECT, {**UPDATE, "diagnosis_id": 124}, site.publisher)[0] == 200


@pytest.mark.parametrize("given, told", [(123, 123), ("123", 123), ("0123", "0123"), ("a-B_9", "a-B_9"), (0, 0),
                                         ("9007199254740992", "9007199254740992"), (9007199254740991,) * 2,
                                         ("a" * 64, "a" * 64)])
def test_how_a_diagnosis_is_written(site, given, told):
    body = site.the_edge.request(EFFECT, {**UPDATE, "diagnosis_id": given}, site.publisher)[2]
    assert body["diagnosis_id"] == told and type(body["diagnosis_id"]) is type(told)


# ---- who may ----

def test_unknown_and_forbidden_are_answered_alike(site):
    answers = []
    for room in (124, 99999999, "no-such"):
        begun = time.monotonic()
        answer = site.the_edge.request(EFFECT, {**UPDATE, "diagnosis_id": room}, site.stranger)
        assert time.monotonic() - begun >= 0.049
        head = {name: value for name, value in answer[1].items() if name.lower() != "date"}
        answers.append((answer[0], head, answer[2]))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 403 and answers[0][2] == DENIED


def test_a_stranger_stores_nothing(site):
    before = site.the_edge.request(EFFECT, UPDATE, site.alice)[2]["n"]
    site.the_edge.request(EFFECT, UPDATE, site.stranger)
    assert site.the_edge.request(EFFECT, UPDATE, site.alice)[2]["n"] == before + 1


# ---- fields ----

WITHOUT = object()


def changed(base, **fields):
    return {name: value for name, value in {**base, **fields}.items() if value is not WITHOUT}


RECOMMENDATION = {"diagnosis_id": 123, "old_data": {}, "new_data": {}}
LAB = {"diagnosis_id": 123, "type": "lab_update", "data": {}}


@pytest.mark.parametrize("path, base, field, value", [
    *((FEED, FEEDBACK, "rating", value) for value in (0, 6, -1, 4.5, 4.0, "5", None, True, [4], WITHOUT)),
    *((FEED, FEEDBACK, "effectiveness", value) for value in (-0.1, 1.1, 2, "0.5", None, WITHOUT)),
    (FEED, FEEDBACK, "feedback_id", WITHOUT), (FEED, FEEDBACK, "feedback_id", {}),
    (FEED, FEEDBACK, "comment", "x" * 501), (FEED, FEEDBACK, "comment", 5),
    *((EFFECT, UPDATE, "new_effectiveness", value) for value in (-0.1, 1.1, "1", WITHOUT)),
    *((EFFECT, UPDATE, "confidence", value) for value in (-0.001, 1.001, False, WITHOUT)),
    *((EFFECT, UPDATE, "sample_size", value) for value in (-1, 1.5, "1", WITHOUT)),
    (EFFECT, UPDATE, "recommendation_id", WITHOUT), (EFFECT, UPDATE, "recommendation_id", 1.5), (EFFECT, UPDATE, "recommendation_id", "r-1"),
    *((RECOMMEND, RECOMMENDATION, name, value) for name in ("old_data", "new_data") for value in ([], "x", WITHOUT)),
    (RECOMMEND, RECOMMENDATION, "reason", 5),
    *((EFFECT, UPDATE, "diagnosis_id", value)
      for value in ("", "a b", "ä", "a.b", "../x", "a" * 65, -1, 1.5, 9007199254740992, None, [], WITHOUT)),
    *((EFFECT, UPDATE, "id", value) for value in ("", "a b", "x" * 129, 5, {})),
    *((GENERAL, LAB, "type", value)
      for value in ("lab", "Lab_update", "_update", "a" * 58 + "_update", "lab-x_update", "connect", 5, WITHOUT)),
    *((GENERAL, LAB, "data", value) for value in ([], "x", None, WITHOUT)),
    (GENERAL, LAB, "surprise", 1),
])
def test_a_wrong_field_is_named(site, path, base, field, value):
    status, _, body = site.the_edge.request(path, changed(base, **{field: value}), site.publisher)
    assert status == 422
    assert (body["error"]["code"], body["error"]["field"]) == ("invalid_field", field)
    assert body["detail"] == body["error"]["message"]
    assert f"'{field}'" in body["detail"]
    if value is not WITHOUT and isinstance(value, (int, float)) and not isinstance(value, bool) and field != "surprise":
        assert json.dumps(value) in body["detail"]  # what was given


def test_a_refusal_says_what_is_allowed(site):
    detail = site.the_edge.request(FEED, {**FEEDBACK, "rating": 6}, site.publisher)[2]["detail"]
    assert "6" in detail and "1..5" in detail


@pytest.mark.parametrize("field, value", [
    ("user", ""), ("user", "a\tb"), ("user", "x" * 129), ("user", -1), ("user", []), ("exclude_session", "0" * 16),
    ("exclude_session", 7), ("exclude_session", "0123456789ABCDEF"), ("ttl_s", 0), ("ttl_s", 2592001), ("ttl_s", 1.5),
    ("ttl_s", "5")])
def test_who_gets_it_and_how_long_is_checked(site, field, value):
    status, _, body = site.the_edge.request(GENERAL, {**LAB, field: value}, site.publisher)
    assert (status, body["error"]["code"], body["error"]["field"]) == (422, "invalid_field", field)


def test_metrics_are_for_administrators(site):
    assert site.the_edge.request("/metrics", token=site.alice)[::2] == (404, error("not_found", "no such path"))


@pytest.mark.parametrize("path, allow", [(EFFECT, "POST, OPTIONS"), ("/ws/status", "GET, HEAD, OPTIONS"),
                                         ("*", "GET, HEAD, POST, OPTIONS")])
def test_options(site, path, allow):
    status, headers, body = raw(site.the_edge, f"OPTIONS {path} HTTP/1.1\nHost: x\nConnection: close\n")
    assert (status, headers["allow"], body) == (204, allow, b"")


@pytest.mark.parametrize("query, field", [
    ("wait=soon", "wait"), ("wait=delivered", "wait"), ("wait=delivered:0", "wait"), ("wait=delivered:-1", "wait"),
    ("wait=delivered:1000001", "wait"), ("wait=delivered:1x", "wait"), ("wait=" + "9" * 100, "wait"),
    ("wait=delivered:1&deadline=soon", "deadline"), ("wait=delivered:1&deadline=0s", "deadline"),
    ("wait=delivered:1&deadline=61s", "deadline"), ("deadline=1s", "deadline"),
    ("wait=stored&deadline=1s", "deadline")])
def test_what_to_wait_for_is_checked(site, query, field):
    for path, body in ((EFFECT, UPDATE), (GENERAL, LAB)):
        status, _, answer = site.the_edge.request(f"{path}?{query}", body, site.alice)
        assert (status, answer["error"]["code"], answer["error"]["field"]) == (422, "invalid_field", field)
    # In the contract's order: a stranger is told nothing of it, and a body that is no JSON comes first.
    assert site.the_edge.request(f"{EFFECT}?{query}", UPDATE, site.stranger)[::2] == (403, DENIED)
    assert post(site.the_edge, f"{EFFECT}?{query}", "{", site.alice)[0] == 400


# ---- JSON ----

FLAT = '{"diagnosis_id":123,"recommendation_id":789,"new_effectiveness":%s,"confidence":0.9,"sample_size":%s}'


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"}", b"nonsense", FLAT % ("NaN", "1"), FLAT % ("Infinity", "1"), FLAT % (".5", "1"),
    FLAT % ("0.5", "01"), FLAT % ("0.5", "1") + "x", FLAT % ("0.5", "1,"), b'{"diagnosis_id":123,"x":"\xff"}',
    b'{"diagnosis_id":123,"x":"\xed\xa0\x80"}', '{"diagnosis_id":123,"x":"a\nb"}', '{"diagnosis_id":123,"x":"\\ud800"}',
    FLAT.replace('"confidence":0.9', '"confidence":0.9,"confidence":0.8') % ("0.5", "1"),
    FLAT.replace('"confidence":0.9', '"x":{"a":1,"a":2},"confidence":0.9') % ("0.5", "1"), "[" * 5000 + "]" * 5000])
def test_bad_json_is_400(site, body):
    status, _, answer = post(site.the_edge, EFFECT, body, site.publisher)
    assert (status, answer["error"]["code"]) == (400, "bad_json")
    assert answer["detail"] == answer["error"]["message"]


def test_bad_json_tells_where(site):
    detail = post(site.the_edge, EFFECT, '{"diagnosis_id":123,\n"a":1,"a":2}', site.publisher)[2]["detail"]
    assert "line 2" in detail and "duplicate" in detail


@pytest.mark.parametrize("body", [
    FLAT % ("0.5", "9223372036854775808"), FLAT % ("0.5", "-9223372036854775809"), FLAT % ("1e400", "1"),
    (FLAT % ("0.5", "1"))[:-1] + ',"note":"a\\u0000b"}', (FLAT % ("0.5", "1"))[:-1] + ',"deep":[{"x":1e999}]}',
    (FLAT % ("0.5", "1"))[:-1] + ',"a\\u0000":1}', "[]", "5", '"x"', "null"])
def test_what_no_parser_here_takes_is_422(site, body):
    status, _, answer = post(site.the_edge, EFFECT, body, site.publisher)
    assert (status, answer["error"]["code"]) == (422, "invalid_field")


# ---- bounds and transport ----

def test_data_over_64_kib_is_413(site):
    fits = {"diagnosis_id": 123, "type": "x_update", "data": {"x": "y" * (65536 - len('{"x":""}'))}}
    assert site.the_edge.request(GENERAL, fits, site.publisher)[0] == 200
    fits["data"]["x"] += "y"
    status, _, body = site.the_edge.request(GENERAL, fits, site.publisher)
    assert (status, body["error"]["code"]) == (413, "too_big")


def test_a_body_over_256_kib_is_413_before_it_is_sent(site):
    head = (f"POST {EFFECT} HTTP/1.1\nHost: x\nContent-Type: application/json\nAuthorization: Bearer {site.alice}\n"
            "Content-Length: %s\n")
    status, headers, body = raw(site.the_edge, head % 262145)
    assert (status, headers["connection"]) == (413, "close")
    assert body == error("too_large", "a body may have 262144 bytes")
    assert raw(site.the_edge, head % 262145, b" " * 262145)[0] == 413
    assert raw(site.the_edge, head % 262144, b" " * 262144)[0] == 400  # taken, and no JSON
    assert raw(site.the_edge, head % (1 << 62))[0] == 413


def test_a_chunked_body(site):
    head = f"POST {EFFECT} HTTP/1.1\nHost: x\nContent-Type: application/json\nAuthorization: Bearer {site.alice}\n"
    assert raw(site.the_edge, head)[0] == 400  # no body, so no JSON
    chunk = json.dumps(UPDATE).encode()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunk), chunk)
    assert raw(site.the_edge, head + "Transfer-Encoding: chunked\n", chunked)[0] == 200
    pieces = b"".join(b"1;why=not\r\n%c\r\n" % byte for byte in chunk) + b"000\r\nTrailer: x\r\n\r\n"
    assert raw(site.the_edge, head + "Transfer-Encoding: Chunked\n", pieces)[0] == 200
    # Both: the classic of request smuggling.
    assert raw(site.the_edge, head + "Transfer-Encoding: chunked\nContent-Length: 5\n", chunked)[0] == 400


@pytest.mark.parametrize("length", ["x", "-1", "1x", "0x10", "1e3", "99999999999999999999"])
def test_a_length_that_is_no_number(site, length):
    head = f"POST {EFFECT} HTTP/1.1\nHost: x\nContent-Type: application/json\nAuthorization: Bearer {site.alice}\n"
    assert raw(site.the_edge, head + f"Content-Length: {length}\n")[0] in (400, 413)


@pytest.mark.parametrize("kind, status", [("text/plain", 415), ("application/x-www-form-urlencoded", 415),
                                          ("application/jsonx", 415), ("application/json; charset=utf-8", 200),
                                          ("Application/JSON", 200), ("application/vnd.clinic+json", 200)])
def test_the_content_type(site, kind, status):
    answer = site.the_edge.request(EFFECT, UPDATE, site.alice, headers={"Content-Type": kind})
    assert answer[0] == status
    if status == 415:
        assert answer[2] == error("media_type", "the Content-Type must be application/json")


@pytest.mark.parametrize("method, path, allow", [
    ("GET", EFFECT, "POST"), ("PUT", EFFECT, "POST"), ("DELETE", EFFECT, "POST"), ("PATCH", GENERAL, "POST"),
    ("HEAD", GENERAL, "POST"), ("GET", RECOMMEND, "POST"), ("GET", FEED, "POST"), ("POST", "/ws/status", "GET"),
    ("PUT", "/healthz", "GET"), ("DELETE", "/readyz", "GET")])
def test_a_wrong_method_is_405(site, method, path, allow):
    status, headers, body = site.the_edge.request(path, b"{}" if method in ("PUT", "POST", "PATCH") else None,
                                                  method=method)
    assert (status, headers["Allow"]) == (405, {"GET": "GET, HEAD, OPTIONS", "POST": "POST, OPTIONS"}[allow])
    if method != "HEAD":
        assert body == error("method_not_allowed", "this path does not take that method")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/ws", "/nothing", "/ws/broadcast/", "/ws/123/x", "/healthz/x"])
def test_what_is_not_there_is_404(site, method, path):
    answer = site.the_edge.request(path, b"{}" if method in ("PUT", "POST") else None, method=method)
    assert answer[::2] == (404, error("not_found", "no such path"))


def test_a_long_url_is_414(site):
    fits = "/healthz?" + "x" * 8000
    assert site.the_edge.request(fits)[0] == 200
    status, _, body = site.the_edge.request("/healthz?" + "x" * 8300)
    assert (status, body) == (414, error("uri_too_long", "the URL may have 8192 bytes"))
    assert site.the_edge.request("/" + "x" * 8300)[0] == 414


def with_headers(*names, size):
    return "GET /healthz HTTP/1.1\nHost: x\n" + "".join(f"{name}: {'y' * size}\n" for name in names)


@pytest.mark.parametrize("names", [["Accept"], ["Cookie"], ["Accept", "Cookie"]])
def test_headers_over_16_kib_are_431(site, names):
    assert raw(site.the_edge, with_headers(*names, size=16000 // len(names)))[0] == 200
    assert raw(site.the_edge, with_headers(*names, size=16500 // len(names)))[::2] == (
        431, error("headers_too_large", "the headers may have 16384 bytes"))


@pytest.mark.parametrize("names", [["Cookie"], ["X-More"], [f"X-{i}" for i in range(70)]])
def test_endless_headers_are_431(site, names):
    assert raw(site.the_edge, with_headers(*names, size=70000 // len(names)))[::2] == (
        431, error("headers_too_large", "the headers may have 16384 bytes"))


def test_the_edge_outlives_rubbish(site):
    for rubbish in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), b"\0" * 1000, b"GET\r\n\r\n",
                    b"CONNECT x:1 HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"x" * 100000):
        with socket.create_connection(("127.0.0.1", site.the_edge.port), timeout=PATIENCE) as link:
            try:
                link.sendall(rubbish)
                link.shutdown(socket.SHUT_WR)
                while link.recv(65536):
                    pass
            except OSError:
                pass
        assert site.the_edge.request("/healthz")[0] == 200, rubbish[:20]


def test_a_connection_is_used_again(site):
    with socket.create_connection(("127.0.0.1", site.the_edge.port), timeout=PATIENCE) as link:
        body = json.dumps(UPDATE)
        for _ in range(3):
            link.sendall((f"POST {EFFECT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                          f"Authorization: Bearer {site.alice}\r\n\r\n{body}").encode())
            got = b""
            while b"\r\n\r\n" not in got or len(got) < expected(got):
                piece = link.recv(65536)
                assert piece
                got += piece
            assert got.startswith(b"HTTP/1.1 200")


# ---- the order of checks: 404/405, 413/415, 401, 400, 403, 422 ----

def test_path_and_method_come_first(site):
    head = "Host: x\nContent-Type: text/plain\nContent-Length: 999999999\n"
    assert raw(site.the_edge, "POST /nothing HTTP/1.1\n" + head)[0] == 404
    assert raw(site.the_edge, f"PUT {EFFECT} HTTP/1.1\n" + head)[0] == 405


@pytest.mark.parametrize("head, status", [("Content-Type: application/json\n", 401),
                                          ("Content-Length: 999999\nContent-Type: application/json\n", 413),
                                          ("Content-Length: 2\nContent-Type: text/plain\n", 415)])
def test_the_body_s_form_comes_before_the_token(site, head, status):
    assert raw(site.the_edge, f"POST {EFFECT} HTTP/1.1\nHost: x\n{head}", b"{}")[0] == status


def test_the_token_comes_before_the_json(site):
    assert post(site.the_edge, EFFECT, "{", "wrong")[0] == 401


def test_json_comes_before_the_right_to_publish(site):
    assert post(site.the_edge, EFFECT, "{", site.stranger)[0] == 400


@pytest.mark.parametrize("room", [123, 124, 99999999])
def test_the_right_to_publish_comes_before_the_fields(site, room):
    begun = time.monotonic()
    answer = site.the_edge.request(FEED, {**FEEDBACK, "diagnosis_id": room, "rating": 6}, site.stranger)
    assert answer[::2] == (403, DENIED)
    assert time.monotonic() - begun >= 0.049


def test_an_owner_is_told_of_the_field(site):
    assert site.the_edge.request(FEED, {**FEEDBACK, "rating": 6}, site.alice)[0] == 422


def test_a_stranger_learns_nothing_by_size_or_fields(site):
    large = {"diagnosis_id": 123, "type": "x_update", "data": {"x": "y" * 70000}}
    assert site.the_edge.request(GENERAL, {**LAB, "ttl_s": 0}, site.stranger)[::2] == (403, DENIED)
    assert site.the_edge.request(GENERAL, large, site.stranger)[0] in (403, 413)


# ---- status and health ----

def test_status_tells_totals_to_anyone_and_ids_to_stat(site):
    status, _, body = site.the_edge.request("/ws/status")
    assert status == 200
    assert sorted(body) == ["queued_messages", "total_connections", "total_diagnoses", "uptime_s"]
    assert all(isinstance(value, int) for value in body.values())
    assert sorted(site.the_edge.request("/ws/status", token=site.publisher)[2]) == sorted(body)
    full = site.the_edge.request("/ws/status", token=site.token("ops", "--scope", "stat"))[2]
    assert sorted(full) == sorted([*body, "connections_by_diagnosis", "queued_messages_by_diagnosis", "users"])


@pytest.mark.parametrize("path", ["/healthz", "/health", "/health/live", "/readyz", "/health/ready"])
def test_health(site, path):
    assert site.the_edge.request(path)[::2] == (200, {"status": "ok"})


def test_probes_and_status_ask_the_hub_for_no_more_than_it_has_said(clinic):
    """While it is frozen: a probe is answered by what was heard in the last two seconds, and a status call by what
    another was answered in the last one; of those that come later one asks for all."""
    edge, hub = clinic.the_edge, clinic.processes[0]
    until(edge.ready, "the edge")
    for path in ("/readyz", "/ws/status"):
        assert edge.request(path)[0] == 200
        hub.signal(signal.SIGSTOP)
        assert edge.request(path)[0] == 200
        until(lambda: edge.request("/readyz")[0] == 503, "the edge to notice")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(edge.request, "/ws/status") for _ in range(8)]
            hub.signal(signal.SIGCONT)
            assert {answer.result()[0] for answer in asked} == {200}
        until(edge.ready, "the edge's return")


def test_a_hub_that_is_not_there(clinic):
    edge, hub = clinic.the_edge, clinic.processes[0]
    hub.kill()
    until(lambda: edge.request("/readyz")[0] == 503, "the edge to notice")
    assert edge.request("/readyz")[2] == {"status": "unavailable", "reasons": ["the hub does not answer"]}
    assert edge.request("/health/ready")[0] == 503
    assert edge.request("/healthz")[::2] == (200, {"status": "ok"})
    begun = time.monotonic()
    status, headers, body = edge.request(EFFECT, UPDATE, clinic.alice)
    assert time.monotonic() - begun < 5 + PATIENCE / 5
    assert (status, headers["Retry-After"]) == (503, "1")
    made = body.pop("id")
    assert made and body == error("hub_unreachable", "the hub does not answer")
    clinic.hub()
    until(edge.ready, "the edge's return")
    assert edge.request(EFFECT, {**UPDATE, "id": made}, clinic.alice)[0] == 200


def test_a_full_store_is_not_ready(world):
    """Messages are refused, reading goes on, and whoever asks is told why."""
    world.hub("--store-limit", "2M")
    edge = world.edge()
    world.grant("123", "alice")
    alice = world.token("alice")
    body = {"diagnosis_id": 123, "type": "x_update", "data": {"x": "y" * 60000}}
    for _ in range(60):
        status, headers, answer = edge.request(GENERAL, body, alice)
        if status != 200:
            break
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (503, "storage_full", "1")
    until(lambda: edge.request("/readyz")[::2] == (503, {"status": "unavailable", "reasons": ["the storage is full"]}),
          "the edge to hear of it")
    assert edge.request("/healthz")[0] == 200
    assert edge.request("/ws/messages/123?limit=1", token=alice)[0] == 200


def test_a_post_waits_out_a_restart_of_the_hub(clinic):
    clinic.processes[0].kill()
    body = json.dumps(UPDATE)
    with socket.create_connection(("127.0.0.1", clinic.the_edge.port), timeout=PATIENCE) as link:
        link.sendall((f"POST {EFFECT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                      f"Authorization: Bearer {clinic.alice}\r\n\r\n{body}").encode())
        clinic.hub()
        assert link.recv(65536).startswith(b"HTTP/1.1 200")


def test_curl_as_the_documents_show_it(site):
    done = subprocess.run(["curl", "-sS", "-H", f"Authorization: Bearer {site.alice}", "-H",
                           "Content-Type: application/json", "-d", json.dumps(UPDATE), site.the_edge.url(EFFECT)],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert json.loads(done.stdout)["status"] == "broadcasted"


def test_what_is_wrong_with_the_configuration_is_told(world):
    for arguments in (["--tls-cert", "/no/such/file"], ["--listen", "nonsense"], ["--keys", "/no/such/directory"]):
        done = subprocess.run([BIN / "diagws-edge", "--hub", world.endpoint, "--keys", world.keys, *arguments],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode in (66, 78), (arguments, done)
        assert arguments[0] in done.stderr or arguments[1] in done.stderr
