"""lib/http beside the edge's own calls: files of a page, and a server of nothing but HTTP (tests/lib/http_server.c)."""
import http.client
import json
import signal
import socket
import urllib.parse

import pytest

from conftest import BIN, BUILD, PATIENCE, Process, free_port, shared_world, until
from test_door import Link
from test_up import up

FILES = {"index.html": b"<!doctype html><title>page</title>", "app.js": b"export {}", "style.css": b"a { }",
         "app.webmanifest": b"{}", "icons/a.png": b"\x89PNG"}
TYPES = {"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8",
         "/app.js": "text/javascript; charset=utf-8", "/style.css": "text/css; charset=utf-8",
         "/app.webmanifest": "application/manifest+json", "/icons/a.png": "image/png"}


def page(folder, files=FILES):
    (folder / "icons").mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_bytes(text)
    return folder


class Server(Process):
    def __init__(self, world, connections):
        self.port = free_port()
        super().__init__(world, "http_server", [BUILD / "tests/http_server", f"127.0.0.1:{self.port}", world.keys,
                                                str(connections), world.www])
        until(lambda: "ready" in self.said() or world._must_live(self), "the server")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with shared_world(tmp_path_factory) as world:
        world.hub()
        world.www = page(world.path / "www")
        (world.www / ".secret").write_text("no")
        (world.www / "more").mkdir()
        (world.www / "more/a.txt").write_text("no")
        world.the_edge = world.edge("--www", world.www)
        world.server = world._keep(Server(world, 100))
        world.alice = world.token("alice")
        yield world


def ask(port, path, method="GET", headers=None, body=None):
    """(status, headers, bytes)"""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    link.request(method, path, body, headers or {})
    answer = link.getresponse()
    try:
        return answer.status, answer.headers, answer.read()
    finally:
        link.close()


@pytest.fixture(params=["the_edge", "server"])
def port(site, request):
    return getattr(site, request.param).port


@pytest.mark.parametrize("path", TYPES)
def test_a_file_is_served_by_its_name(port, path):
    status, headers, body = ask(port, path)
    assert (status, body) == (200, FILES[path.lstrip("/") or "index.html"])
    assert headers.get_all("Content-Type") == [TYPES[path]]
    assert headers.get_all("Cache-Control") == ["no-cache"] and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    status, head, body = ask(port, path, "HEAD")
    assert (status, head["Content-Length"], body) == (200, headers["Content-Length"], b"")


def test_who_has_it_is_not_sent_it_again(port):
    whole = ask(port, "/app.js")[1]
    tag = whole["ETag"]
    assert tag != ask(port, "/style.css")[1]["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        status, headers, body = ask(port, "/app.js", headers={"If-None-Match": known})
        assert (status, headers["ETag"], body) == (304, tag, b""), known
        assert headers["Content-Length"] in (None, whole["Content-Length"]), known  # of the file, which a cache may believe
    for other in ('"other"', tag.strip('"'), "", "x" * 600):
        assert ask(port, "/app.js", headers={"If-None-Match": other})[0] == 200, other
    with Link(port, b"GET /app.js HTTP/1.1\r\nHost: x\r\nIf-None-Match: %s\r\n\r\nGET /app.js HTTP/1.1\r\nHost: x\r\n\r\n"
              % tag.encode()) as link:
        assert link.head()[0] == 304
        assert link.answer()[0] == 200


def test_nothing_else_is_a_file(port):
    for path in ("/.secret", "/more/a.txt", "/more", "/icons", "/icons/", "/nothing.html", "/%69ndex.html", "//index.html"):
        assert ask(port, path)[0] == 404, path
    assert ask(port, "/icons/../index.html")[0] == 400
    status, headers, _ = ask(port, "/app.js", "POST", {"Content-Type": "application/json"}, b"{}")
    assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    status, headers, _ = ask(port, "/app.js", "OPTIONS")
    assert (status, headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert ask(port, "/app.js?token=no")[0] == 401


def test_a_file_counts_as_a_stranger_s_request(site):
    edge = site.edge("--www", site.www, "--max-address-requests", "1")
    assert 429 in [ask(edge.port, "/")[0] for _ in range(20)]


@pytest.mark.parametrize("files, said", [
    ({"app.js": b""}, "no index.html"),
    ({"index.html": b"", "a.exe": b""}, "a.exe"),
    ({"index.html": b"", "a b.js": b""}, "a b.js"),
    ({"index.html": b"", "big.js": b"x" * (1024 * 1024 + 1)}, "big.js"),
    ({"index.html": b"", **{f"{i}.js": b"x" * 1024 * 1024 for i in range(9)}}, "8 MiB"),
    ({"index.html": b"", **{f"{i}.js": b"" for i in range(64)}}, "too many"),
])
def test_a_folder_that_cannot_be_served_is_told(site, tmp_path, files, said):
    arguments = [BIN / "diagws-edge", "--keys", site.keys, "--test", "--www"]
    done = site.run(*arguments, page(tmp_path / "www", files), check=False)
    assert done.returncode == 78 and said in done.stderr, done.stderr
    assert site.run(*arguments, tmp_path / "nowhere", check=False).returncode == 78


def test_64_files_of_1_mib_are_served(site, tmp_path):
    files = {"index.html": b"x" * 1024 * 1024, **{f"{i}.js": b"" for i in range(63)}}
    site.run(BIN / "diagws-edge", "--keys", site.keys, "--test", "--www", page(tmp_path / "www", files))


def test_diagws_up_shows_its_page(site, tmp_path):
    with up(tmp_path, "--www", str(site.www)) as (_, told):
        url = urllib.parse.urlsplit(told["page_url"])
        assert url.fragment == f"diagnosis=123&token={told['token']}" and url.path == "/" and url.query == ""
        assert ask(url.port, url.path)[2] == FILES["index.html"]


# ---- a server of its own

def call(site, path, method="GET", token=None, body=None):
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    status, head, text = ask(site.server.port, path, method, headers, body)
    return status, head, json.loads(text) if text else None


def test_each_method_has_its_call(site):
    told = call(site, "/things/12")
    assert told[0] == 200 and told[2] == {"call": "get", "part": "12", "user": "", "body": 0}
    assert call(site, "/things/12/summary")[2]["call"] == "summary"
    assert call(site, "/things")[2]["call"] == "list"
    assert call(site, "/things/12", "PUT", site.alice, b"{}")[2] == {"call": "put", "part": "12", "user": "alice", "body": 2}
    assert call(site, "/things", "POST", site.alice, b"{}")[2] == {"call": "post", "part": "", "user": "alice", "body": 2}
    assert call(site, "/things", "POST", None, b"{}")[0] == 401
    status, headers, told = call(site, "/things/12", "DELETE")
    assert (status, headers["Allow"], told["error"]["code"]) == (405, "GET, HEAD, PUT, OPTIONS", "method_not_allowed")
    assert call(site, "/things/12", "OPTIONS")[1]["Allow"] == "GET, HEAD, PUT, OPTIONS"
    assert call(site, "/things/12", "PUT", site.alice, b"x" * (256 * 1024 + 1))[0] == 413


@pytest.mark.parametrize("name", ["گل گاوزبان", "a/b", "50%", "x" * 64, "ن" * 64, "x" * 65, "ن" * 65, "a\nb", ""])
def test_a_name_in_a_path(site, name):
    status, _, told = call(site, "/names/" + urllib.parse.quote(name, safe=""))
    expected = 404 if name == "" else 400 if len(name) > 64 or "/" in name or "\n" in name else 200
    assert status == expected and (status != 200 or told["part"] == name)
    assert call(site, "/things/%31")[2]["part"] != "1"


def test_who_leaves_is_not_answered(site):
    with Link(site.server.port, b"GET /later/60000 HTTP/1.1\r\nHost: x\r\n\r\n") as link:
        until(lambda: "asked" in site.server.said(), "its request")
        link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: "called off" in site.server.said(), "the end of its request")
    assert call(site, "/later/1")[2]["call"] == "later"


def test_the_longest_idle_makes_room(site):
    server = site._keep(Server(site, 2))
    get = b"GET /things HTTP/1.1\r\nHost: x\r\n\r\n"
    with Link(server.port, get) as first, Link(server.port, get) as second:
        assert first.answer()[0] == 200 and second.answer()[0] == 200
        with Link(server.port, get) as third:
            assert third.answer()[0] == 200
            assert first.more() == b""


@pytest.mark.parametrize("ms, expected", [(300, 200), (60000, None)])
def test_the_end_lets_requests_end(site, ms, expected):
    server = site._keep(Server(site, 100))
    with Link(server.port, b"GET /later/%d HTTP/1.1\r\nHost: x\r\n\r\n" % ms) as late, Link(server.port) as silent:
        with Link(server.port, b"GET /things HTTP/1.1\r\nHost: x\r\n\r\n") as idle:
            assert idle.answer()[0] == 200
            server.signal(signal.SIGTERM)
            assert idle.more() == b"" and silent.more() == b""
        if expected is None:
            server.signal(signal.SIGTERM)
        else:
            status, headers, _ = late.answer()
            assert (status, headers["connection"]) == (expected, "close")
        assert server.popen.wait(PATIENCE) == 0
