"""Hub and edge from outside: what they refuse to start with, in which words and with which exit status."""
import json
import os
import shutil
import socket
import subprocess
import tempfile

import pytest

from conftest import BIN, BUILD, PATIENCE, free_port, until


def hub(world, *arguments, env=None):
    return world.run("diagws-hub", *arguments, check=False, env=env)


def edge(world, *arguments, env=None):
    return world.run("diagws-edge", *arguments, check=False, env=env)


def refused(done, status, *words):
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


# ---- options ----

@pytest.mark.parametrize("arguments, words", [
    (["--queue-limit", "0"], "option '--queue-limit': '0' is out of range [DW1002]\n  expected: a whole number, from 1 to"),
    (["--queue-limit", "1x"], "'1x' is not a number"),
    (["--queue-ttl", "soon"], "option '--queue-ttl': 'soon' is not a duration"),
    (["--queue-ttl", "0s"], "option '--queue-ttl'"),
    (["--id-window", "-1s"], "option '--id-window'"),
    (["--store-limit", "1"], "option '--store-limit'"),
    (["--ownership", "x"], "expected: registry|claims|either"),
    (["--engine", "sqlite"], "'sqlite' is no engine; lmdb is"),
    (["--nonsense"], "nonsense"),
    (["--bind"], "bind"),
    (["operand"], "unexpected operand 'operand'"),
])
def test_hub_usage(world, arguments, words):
    done = hub(world, "--state-dir", world.state, *arguments)
    refused(done, 64, "diagws-hub: ", words, "\n  hint: try 'diagws-hub --help'")
    assert not world.state.exists()


@pytest.mark.parametrize("arguments, words", [
    (["--leeway", "31s"], "option '--leeway': '31s' is out of range"),
    (["--slow-timeout", "0s"], "option '--slow-timeout'"),
    (["--max-connections", "0"], "option '--max-connections'"),
    (["--drain-timeout", "2h"], "option '--drain-timeout'"),
    (["--nonsense"], "nonsense"),
    (["operand"], "unexpected operand 'operand'"),
])
def test_edge_usage(world, arguments, words):
    done = edge(world, "--keys", world.keys, *arguments)
    refused(done, 64, "diagws-edge: ", words, "\n  hint: try 'diagws-edge --help'")


def test_a_variable_is_held_to_the_same_bounds(world):
    refused(hub(world, "-t", env={"DIAGWS_HUB_QUEUE_LIMIT": "0"}), 64, "DIAGWS_HUB_QUEUE_LIMIT")
    refused(edge(world, "-t", "--keys", world.keys, env={"DIAGWS_LEEWAY": "1h"}), 64, "DIAGWS_LEEWAY")


@pytest.mark.parametrize("origin, words", [
    ("clinic.example", "no scheme"), ("https://clinic.example/", "a path"), ("https://me@clinic.example", "a user"),
    ("https://clinic.example:0", "port"), ("null", "no scheme")])
def test_an_origin_that_no_browser_sends(world, origin, words):
    keys = ["--keys", world.keys, "--origin", "https://clinic.example", "--origin", origin]
    for more in (["-t"], ["--listen", f"127.0.0.1:{free_port()}"]):
        refused(edge(world, *keys, *more), 78, f"option '--origin': '{origin}' is no origin", words, "SCHEME://HOST")


def test_origins_that_are_written_otherwise(world):
    assert edge(world, "-t", "--keys", world.keys, "--origin", "HTTPS://Clinic.example:443", "--origin",
                "https://clinic.example", "--origin", "*").returncode == 0


def test_an_engine_of_a_later_version(world):
    refused(hub(world, "--engine", "nats://127.0.0.1:4222"), 69, "'nats://127.0.0.1:4222' is not supported")


@pytest.mark.parametrize("uri, words", [
    ("tcp://0.0.0.0:5555", "is not on loopback"), ("tcp://192.0.2.1:5555", "is not on loopback"),
    ("tcp://*:5555", "[DW1010]"), ("tcp://[::]:5555", "[DW1010]"), ("nonsense", "[DW1010]"),
    ("ipc://" + "/" + "x" * 107, "the socket path has 108 bytes; the system allows 107")])
def test_addresses_that_may_not_be(world, uri, words):
    for more in ([], ["-t"]):
        refused(hub(world, "--bind", uri, "--state-dir", world.state, *more), 78, words)
    refused(edge(world, "--hub", uri, "--keys", world.keys, "--listen", f"127.0.0.1:{free_port()}"), 78, words)


@pytest.mark.parametrize("path", ["", "/" + "x" * 107])
def test_a_socket_path_that_cannot_be(world, path):
    for more in ([], ["-t"]):
        refused(edge(world, "--keys", world.keys, "--listen", f"unix:{path}", *more), 78, "is no socket path", "107 bytes")


def test_a_check_touches_nothing(world):
    done = hub(world, "-t", "--bind", world.endpoint, "--state-dir", world.state)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = edge(world, "-t", "--keys", world.keys)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not world.state.exists() and not (world.path / "run").exists()


# ---- the edge's keys and ports ----

def test_edge_needs_keys(world):
    empty = world.path / "empty"
    empty.mkdir()
    stray = world.path / "stray"
    stray.mkdir()
    (stray / "notes.txt").write_text("x")
    for more in ([], ["-t"]):
        refused(edge(world, *more), 78, "option '--keys' is missing [DW1010]")
        refused(edge(world, "--keys", empty, *more), 78, f"no key in '{empty}'")
        refused(edge(world, "--keys", stray, *more), 78, "'notes.txt'", "expected: KID.hs256")
        refused(edge(world, "--keys", "/no/such", *more), 66, "'/no/such'")
        refused(edge(world, "--keys", world.keys, "--tls-cert", "/x", *more), 78, "'--tls-key' is missing")


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "127.0.0.1:", "host.invalid:8000"])
def test_edge_listens_on_addresses_only(world, address):
    refused(edge(world, "--keys", world.keys, "--listen", address), 78, address)


def test_a_port_of_others(world):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        refused(edge(world, "--keys", world.keys, "--listen", f"127.0.0.1:{port}"), 69, str(port))


# ---- the hub's socket and store ----

def test_one_hub_to_a_socket_and_to_a_store(world):
    first = world.hub()
    refused(hub(world, "--bind", world.endpoint, "--state-dir", world.path / "other"), 69, "diagws-hub: ")
    refused(hub(world, "--bind", f"ipc://{world.path}/other.sock", "--state-dir", world.state), 69, str(world.state))
    assert world.send("x_update", "1", {})["seq"] == 1
    assert first.terminate() == 0
    world.hub()
    assert world.send("x_update", "1", {})["seq"] == 2


def test_a_socket_that_a_killed_hub_left_is_taken_over(world):
    world.hub().kill()
    assert (world.path / "run/hub.sock").exists()
    world.hub()
    assert world.send("x_update", "1", {})["seq"] == 1


@pytest.mark.parametrize("how", ["removed", "replaced", "its folder moved"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_hub_whose_socket_is_gone_ends_and_the_next_takes_over(world, how, which):
    """What it had taken is kept; a sender that was connected goes on with the next hub."""
    paths = [world.path / "run/hub.sock", world.path / "more/hub.sock"]
    binds = ["--bind", f"ipc://{paths[1]}", "--bind", f"tcp://127.0.0.1:{free_port()}"]
    the_hub = world.hub(*binds)
    sender = subprocess.Popen([BIN / "diagws-send", "--json", "-l"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, env={**os.environ, **world.env})

    def send(number):
        sender.stdin.write(f'{{"diagnosis_id":"1","type":"x_update","data":{{}},"id":"i{number}"}}\n')
        sender.stdin.flush()
        assert json.loads(sender.stdout.readline())["seq"] == number

    send(1)
    if how == "its folder moved":
        paths[which].parent.rename(world.path / "elsewhere")
    else:
        paths[which].unlink()
    if how == "replaced":
        paths[which].write_text("not a socket")
    send(2)
    assert the_hub.popen.wait(PATIENCE) == 75
    (line,) = [line for line in the_hub.said().splitlines() if "level=error" in line]
    assert "socket removed or replaced" in line and f"path={paths[which]}" in line and "exit status 75" in line
    assert "hub stopped" in the_hub.said()
    world.hub(*binds)
    send(3)
    sender.stdin.close()
    assert sender.wait(PATIENCE) == 0
    sender.stdout.close()
    assert world.stat("room", "1")["n"] == 3


def test_a_hub_goes_on_whatever_else_happens_to_its_socket(world):
    """Other permissions and names are the operator's affair, and clients still come in."""
    the_hub = world.hub()
    path = world.path / "run/hub.sock"
    path.chmod(0o600)
    os.link(path, path.with_name("other.sock"))
    path.with_name("hub.sock.lock").unlink()
    alive = world.stat()["uptime_s"]
    until(lambda: world.stat()["uptime_s"] >= alive + 3, "the hub to look a few times")
    assert the_hub.popen.poll() is None and "level=error" not in the_hub.said()
    assert the_hub.terminate() == 0


@pytest.mark.parametrize("content", [b"x" * 20000, b"short"], ids=["long", "short"])
def test_a_store_that_is_none(world, content):
    world.state.mkdir(mode=0o700)
    path = world.state / "data.mdb"
    path.write_bytes(content)
    done = hub(world, "--bind", world.endpoint, "--state-dir", world.state)
    refused(done, 74, str(path), "[DW1113]", "\n  expected: a store that is whole")
    assert path.read_bytes() == content


def test_a_file_of_zeros_is_begun_anew_where_there_was_no_store(world):
    """A power cut at the first start leaves one."""
    world.state.mkdir(mode=0o700)
    (world.state / "data.mdb").write_bytes(bytes(8192))
    world.hub()
    assert world.send("x_update", "1", {})["seq"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as somebody else")
def test_a_folder_of_others(world):
    home = tempfile.mkdtemp(dir="/tmp")
    try:
        os.chmod(home, 0o755)
        program = shutil.copy(BIN / "diagws-hub", home)
        for folder in (f"{home}/state", home):
            done = subprocess.run([program, "--bind", f"ipc://{home}/run/h.sock", "--state-dir", folder], user=65534,
                                  group=65534, extra_groups=[], capture_output=True, text=True, timeout=PATIENCE)
            refused(done, 77, home)
    finally:
        shutil.rmtree(home)


def test_an_edge_of_another_version_leaves_and_the_hub_goes_on(world):
    program = BUILD / "tests" / "diagws-edge-v99"
    assert program.exists(), f"make {program}"
    the_hub = world.hub()
    late = world.edge(program="diagws-edge-v99", wait=False)
    assert late.popen.wait(PATIENCE) == 76
    assert "speaks another protocol version" in late.said() and "edge and a hub of the same release" in late.said()
    world.edge()
    world.send("x_update", "1", {})
    assert the_hub.popen.poll() is None
    assert world.stat()["edges"] == 1


def test_sigterm_ends_both_and_all_is_kept(clinic):
    the_hub = clinic.processes[0]
    clinic.send("x_update", "123", {})
    assert clinic.the_edge.terminate() == 0
    assert the_hub.terminate() == 0
    clinic.hub()
    assert clinic.stat("room", "123")["n"] == 1
