"""The hub's sockets: who may come in, what may be done where, and what one who comes in can cost the others."""
import grp
import json
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import threading

import pytest

from conftest import BIN, PATIENCE, SANITIZED, until
from packed import packed
from test_hostile_peer import (HELLO, JOIN, NOWHERE, PING, PONG, PUBLISH, READ, REFUSED, STAT, STORED, VERSION, WELCOME,
                               dealer, greeted, publish, resident_kib)

JOINED, WHO = 38, 32
NO_PERMISSION = 1205
GREETING = b"\xff" + bytes(7) + b"\x01\x7f\x03\x01NULL" + bytes(48)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


def path_of(world, role):
    return world.path / role / "hub.sock"


def uri_of(world, role):
    return f"ipc://{path_of(world, role)}"


@pytest.fixture
def roles(world):
    """A hub with a socket for each role."""
    world.the_hub = world.hub(*[word for role in ("edge", "sender", "stat", "admin")
                                for word in ("--bind", f"{uri_of(world, role)},role={role}")])
    return world


MESSAGES = {
    "publish": ([PUBLISH, 7, "123", "a_update", "i1", b"{}", "", False, "", 0, 0, 0, 0], {"edge", "sender"}),
    "join": ([JOIN, 7, 9, "123", "ann", "phone", 2, *NOWHERE, "", *NOWHERE, 0, *NOWHERE, 0, 0, 0], {"edge"}),
    "read": ([READ, 7, 0, "123", *NOWHERE, 10, "ann", True, "", 0, 0], {"edge"}),
    "stat": ([STAT, 7, "summary", "", 1, "", False], {"edge", "stat", "admin"}),
}


@pytest.mark.parametrize("role", ["edge", "sender", "stat", "admin"])
def test_what_may_be_said_is_the_sockets_never_the_peers(roles, role):
    """Whatever it says of itself, it has this socket's right and no other."""
    kinds = (1, 2) if role == "edge" else (2,)
    for kind in kinds:
        with dealer(uri_of(roles, role)) as peer:
            peer.send(HELLO, VERSION, kind, 100 + kind, 1, "somebody")
            assert peer.kind() == WELCOME
            for name, (fields, allowed) in MESSAGES.items():
                peer.send(*fields)
                answer = peer.frame()[0]
                code = answer[3] if answer[0] == JOINED else answer[2]
                if role not in allowed or (kind == 2 and name in ("join", "read")):
                    assert code == NO_PERMISSION, (name, answer)
                else:
                    assert code != NO_PERMISSION, (name, answer)


def test_an_edge_comes_in_only_where_edges_may(roles):
    for role in ("sender", "stat", "admin"):
        with dealer(uri_of(roles, role)) as peer:
            peer.send(HELLO, VERSION, 1, 7, 1, "edge")
            assert peer.frame()[0][:2] == [REFUSED, NO_PERMISSION]
            peer.send(*MESSAGES["join"][0])
            assert peer.kind() == WHO
    late = roles.edge("--hub", uri_of(roles, "sender"), wait=False)
    assert late.popen.wait(PATIENCE) == 77
    assert "is not for edges" in late.said() and "role 'edge'" in late.said()


def test_a_cron_job_sends_and_does_nothing_else(roles):
    """The group of a cron job, by the commands: 77 for all but sending."""
    def run(role, *arguments, **more):
        return roles.run(*arguments, env={"DIAGWS_HUB": uri_of(roles, role)}, check=False, **more)

    assert run("sender", "diagws-send", "a_update", "123", "-", input="{}").returncode == 0
    batch = run("sender", "diagws-send", "-l", "-t", "a_update", "-d", "123", input='{"data":{}}\n' * 20)
    assert batch.returncode == 0
    for command in (["diagws-stat"], ["diagws-stat", "room", "123"], ["diagws-owner", "list"],
                    ["diagws-owner", "grant", "123", "ann"], ["diagws-owner", "revoke", "123", "ann"]):
        done = run("sender", *command)
        assert done.returncode == 77, (command, done)
        assert "DW1205" in done.stderr
    assert run("stat", "diagws-stat", "room", "123").returncode == 0
    assert run("stat", "diagws-send", "a_update", "123", "-", input="{}").returncode == 77
    assert run("stat", "diagws-owner", "grant", "123", "ann").returncode == 77
    assert run("admin", "diagws-owner", "grant", "123", "ann").returncode == 0
    assert run("admin", "diagws-send", "a_update", "123", "-", input="{}").returncode == 77
    assert run("edge", "diagws-owner", "grant", "123", "bob").returncode == 77
    assert roles.stat("room", "123")["n"] == 21


def test_a_sender_learns_nobodys_right(roles):
    """Neither by a message that would be stored, nor by one that is wrong and would not."""
    roles.run("diagws-owner", "grant", "123", "ann", env={"DIAGWS_HUB": uri_of(roles, "admin")})
    with dealer(uri_of(roles, "sender")) as sender, dealer(uri_of(roles, "edge")) as edge:
        sender.send(HELLO, VERSION, 2, 7, 1, "sender")
        edge.send(HELLO, VERSION, 1, 8, 1, "edge")
        assert sender.kind() == edge.kind() == WELCOME
        told = {"sender": set(), "edge": set()}
        for data in (b"{}", b"no JSON"):
            for user in ("ann", "eve"):
                for name, peer in (("sender", sender), ("edge", edge)):
                    peer.send(PUBLISH, 1, "123", "a_update", user, data, user, False, "ann", 0, 0, 0, 0)
                    told[name].add(tuple(peer.frame()[0][2:]))
        assert len(told["sender"]) == 1 and {answer[0] for answer in told["sender"]} == {NO_PERMISSION}
        assert len(told["edge"]) > 1
        sender.send(PUBLISH, 2, "123", "a_update", "i", b"{}", "", False, "ann", 0, 0, 0, 0)
        assert sender.frame()[0][:3] == [STORED, 2, 0]


def test_nobody_takes_over_a_peer_of_another_socket(roles):
    with dealer(uri_of(roles, "edge")) as edge, dealer(uri_of(roles, "sender")) as other:
        edge.send(HELLO, VERSION, 1, 7, 1, "edge")
        assert edge.kind() == WELCOME
        other.send(HELLO, VERSION, 2, 7, 99, "other")
        other.send(PING, 1)
        assert other.kind() == WHO  # not let in by another's name
        edge.send(PING, 2)
        assert edge.frame() == [[PONG, 2, True]]


@pytest.mark.parametrize("setting, words", [
    ("role=root", "'root' is no role"), ("role=", "'' is no role"), ("role=edge+", "'' is no role"),
    ("mode=0999", "'0999' is no mode"), ("mode=", "'' is no mode"), ("mode=01777", "'01777' is no mode"),
    ("group=no-such-group", "'no-such-group' is no group"), ("owner=root", "'owner=root' is no setting"),
    ("", "'' is no setting")])
def test_settings_of_a_socket_that_are_none(world, setting, words):
    for more in ([], ["-t"]):
        done = subprocess.run([BIN / "diagws-hub", "--bind", f"{world.endpoint},{setting}", "--state-dir", world.state,
                               *more], capture_output=True, text=True, env={**os.environ, **world.env}, timeout=PATIENCE)
        assert done.returncode == 78 and words in done.stderr, done.stderr
    assert not world.state.exists()


def test_a_port_has_no_file(world):
    done = subprocess.run([BIN / "diagws-hub", "-t", "--bind", "tcp://127.0.0.1:5555,mode=0600"], capture_output=True,
                          text=True, env={**os.environ, **world.env}, timeout=PATIENCE)
    assert done.returncode == 78 and "neither group nor mode" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to any group")
def test_a_socket_belongs_to_its_group(world):
    group = grp.getgrnam("daemon")
    world.hub("--bind", f"{uri_of(world, 'sender')},role=sender,group=daemon,mode=0620")
    found = path_of(world, "sender").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o620, group.gr_gid)
    assert stat.S_IMODE((world.path / "run/hub.sock").stat().st_mode) == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as somebody else")
def test_the_three_groups_of_a_clinic(world):
    """As diagws-hub(8) has it, with groups that every system has: who is in none comes in nowhere."""
    groups = {"edge": "daemon", "sender": "mail", "stat+admin": "news"}
    home = tempfile.mkdtemp(dir="/tmp")
    os.chmod(home, 0o755)
    ids = {role: grp.getgrnam(name).gr_gid for role, name in groups.items()}
    nobody = {"user": 65534, "group": 65534}
    programs = {name: shutil.copy(BIN / name, home) for name in ("diagws-hub", "diagws-send", "diagws-stat", "diagws-owner")}
    binds = []
    for role, group in groups.items():
        os.mkdir(f"{home}/{role}", 0o750)
        os.chown(f"{home}/{role}", 65534, ids[role])
        binds += ["--bind", f"ipc://{home}/{role}/hub.sock,role={role},group={group}"]
    os.mkdir(f"{home}/state")
    os.chown(f"{home}/state", 65534, 65534)
    hub = subprocess.Popen([programs["diagws-hub"], *binds, "--state-dir", f"{home}/state"], stderr=subprocess.PIPE,
                           text=True, extra_groups=ids.values(), **nobody)

    def run(member_of, role, name, *arguments, **more):
        return subprocess.run([programs[name], "-e", f"ipc://{home}/{role}/hub.sock", "--timeout", "2s", *arguments],
                              extra_groups=[ids[one] for one in member_of], capture_output=True, text=True,
                              timeout=PATIENCE, user=12345, group=12345, **more).returncode
    try:
        until(lambda: all(os.path.exists(f"{home}/{role}/hub.sock") for role in groups), "the sockets")
        send = ("diagws-send", "a_update", "123", "-")
        assert run(["sender"], "sender", *send, input="{}") == 0
        for role in ("edge", "stat+admin"):
            assert run(["sender"], role, *send, input="{}") == 77  # its group does not reach the socket
        assert run(["sender"], "sender", "diagws-stat") == 77
        assert run(["sender"], "sender", "diagws-owner", "grant", "123", "ann") == 77
        assert run([], "sender", *send, input="{}") == 77
        assert run(["stat+admin"], "stat+admin", "diagws-owner", "grant", "123", "ann") == 0
        assert run(["stat+admin"], "stat+admin", "diagws-stat") == 0
        assert run(["stat+admin"], "stat+admin", *send, input="{}") == 77
        assert run(["stat+admin"], "sender", *send, input="{}") == 77
    finally:
        hub.terminate()
        hub.communicate(timeout=PATIENCE)
        shutil.rmtree(home)
    assert hub.returncode == 0


def connect(world):
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(PATIENCE)
    line.connect(str(world.path / "run/hub.sock"))
    return line


def ended(line):
    """It was closed from the other side."""
    try:
        while line.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


def few_descriptors(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def hub_with(world, limits):
    from conftest import Process
    hub = world._keep(Process(world, "diagws-hub", [BIN / "diagws-hub", "--bind", world.endpoint, "--state-dir",
                                                    world.state], limits=limits))
    until(lambda: "hub ready" in hub.said(), "the hub")
    return hub


@pytest.mark.parametrize("soft, hard", [(64, 256), (64, 20000)])
def test_silent_peers_use_up_no_descriptors(world, soft, hard):
    """More than there are places for: others still come in, and the hub never runs out."""
    hub = hub_with(world, few_descriptors(soft, hard))
    lines = []
    for _ in range(1015):
        lines.append(connect(world))
    assert world.send("a_update", "1", {})["seq"] == 1
    assert len(os.listdir(f"/proc/{hub.pid}/fd")) <= hard - 32
    until(lambda: len(os.listdir(f"/proc/{hub.pid}/fd")) < 40, "the silent to be let go")
    assert all(map(ended, lines))
    assert world.send("a_update", "1", {})["seq"] == 2 and hub.popen.poll() is None
    for line in lines:
        line.close()


def test_strangers_who_speak_make_room_for_others(world):
    """They greet as ZeroMQ does, and then say nothing for ever."""
    hub = hub_with(world, few_descriptors(64, 256))
    lines = []
    for _ in range(300):
        line = connect(world)
        try:
            line.sendall(GREETING + READY)
        except BrokenPipeError:
            pass
        lines.append(line)
    until(lambda: world.run("diagws-send", "a_update", "1", "-", input="{}", check=False).returncode == 0,
          "a place for others")
    assert hub.popen.poll() is None
    for line in lines:
        line.close()


def test_senders_that_wait_are_no_more_than_connections(world):
    hub = hub_with(world, few_descriptors(64, 20000))
    waiting = [dealer(world.endpoint) for _ in range(60)]
    peers = [one.__enter__() for one in waiting]
    for number, peer in enumerate(peers):
        peer.send(HELLO, VERSION, 2, 1000 + number, 1, "sender")
        assert peer.kind() == WELCOME
        peer.send(PUBLISH, 1, "1", "a_update", f"i{number}", b"{}", "", False, "", 0, 0, 1, 3600 * 1000)
        assert peer.kind() == STORED
    until(lambda: world.stat()["waiting"] == 60, "all to wait")
    for one in waiting:
        one.__exit__(None, None, None)
    # An hour's wait ends with its peer.
    until(lambda: world.stat()["waiting"] == 0, "the waits to end")
    assert hub.popen.poll() is None


@pytest.mark.parametrize("bad", [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\xff" + bytes(8) + b"\x7e", GREETING[:10] + b"\x01" + GREETING[11:],
    GREETING.replace(b"NULL", b"CURV"), GREETING + b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER",
    GREETING + b"\x04\x05\x05READY", GREETING + b"\x00\x01a", GREETING + b"\x04\x08\x05READY\xff\x00",
    GREETING + READY + b"\x08\x00", GREETING + READY + b"\x06" + struct.pack(">Q", 1 << 20),
    GREETING + READY + b"\x05\x01\x00", GREETING + READY + b"\x02" + b"\xff" * 8], ids=range(12))
def test_who_does_not_speak_zeromq_is_let_go(world, bad):
    hub = world.hub()
    with connect(world) as line:
        line.sendall(bad)
        assert ended(line)
    assert world.send("a_update", "1", {})["seq"] == 1
    assert hub.popen.poll() is None


def test_a_message_of_several_frames_is_passed_over(world):
    world.hub()
    with connect(world) as line:
        body = packed([HELLO, VERSION, 2, 7, 1, "raw"])
        line.sendall(GREETING + READY + b"\x01\x03abc" + b"\x03" + struct.pack(">Q", 3 << 20) + bytes(3 << 20) +
                     b"\x00\x01z" + b"\x00" + bytes([len(body)]) + body)
        told = b""
        while b"Identity\0\0\0\0" not in told or len(told) < told.index(b"Identity") + 20:
            told += line.recv(4096)
        assert told.startswith(b"\xff") and b"ROUTER" in told
        # The next that is said is the first: flags, size, a list of six fields and the kind.
        assert told[told.index(b"Identity") + 12:][2:4] == bytes([0x97, WELCOME])


def test_a_ping_of_zeromq_is_answered(world):
    world.hub()
    with connect(world) as line:
        line.sendall(GREETING + READY + b"\x04\x0b\x04PING\x00\x0aabcd")
        told = b""
        while b"\x04PONGabcd" not in told:
            more = line.recv(4096)
            assert more
            told += more


def frame(*message):
    body = packed(message)
    return bytes([0, len(body)]) + body


def test_an_edge_that_goes_is_not_one_that_takes_nothing(world):
    """It has asked for something, and is gone before it can be answered."""
    hub = world.hub()
    with connect(world) as line:
        line.sendall(GREETING + READY + frame(HELLO, VERSION, 1, 7, 1, "brief"))
        until(lambda: world.stat()["edges"] == 1, "the edge")
        hub.signal(signal.SIGSTOP)
        line.sendall(frame(PING, 1))
    hub.signal(signal.SIGCONT)
    until(lambda: world.stat()["edges"] == 0, "its end")
    assert "level=warn" not in hub.said(), hub.said()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
@pytest.mark.parametrize("asked", ["stat", "read"])
def test_answers_that_nobody_reads_have_a_bound(world, asked):
    """It is not listened to any more, and the others are as before."""
    hub = world.hub("--ownership", "either")
    with dealer(world.endpoint) as sender:
        greeted(sender)
        sender.send_frame(b"".join(publish(corr, f"{corr % 90:064}", b'{"a":"' + b"x" * 600 + b'"}')
                                   for corr in range(1, 1001)))
        sender.take(1000)
    before = resident_kib(hub.pid)
    with connect(world) as line:
        hello = packed([HELLO, VERSION, 1, 7, 1, "deaf"])
        ask = packed([STAT, 1, "rooms", "", 100000, "", False]) if asked == "stat" else \
            packed([READ, 1, 0, f"{1:064}", *NOWHERE, 1000, "ann", True, "", 0, 0])
        frame = b"\x02" + struct.pack(">Q", len(ask)) + ask
        line.sendall(GREETING + READY + b"\x00" + bytes([len(hello)]) + hello)
        line.setblocking(False)
        sent = 0
        try:
            for _ in range(10_000):
                sent += line.send(frame)
        except BlockingIOError:
            pass
        for number in range(20):
            assert world.send("a_update", "1", {})["n"] == number + 1
        assert resident_kib(hub.pid) - before < 24_000
        assert world.stat()["clients"] >= 1


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
def test_answers_that_many_do_not_read_have_a_bound(world):
    """Each may have a MiB and more of them, and all together 128: who came first is let go for who comes later."""
    hub = world.hub("--ownership", "either")
    with dealer(world.endpoint) as sender:
        greeted(sender)
        sender.send_frame(b"".join(publish(corr, "1", b'{"a":"' + b"x" * 60000 + b'"}') for corr in range(1, 11)))
        sender.take(10)
    before = resident_kib(hub.pid)
    ask = frame(READ, 1, 0, "1", *NOWHERE, 1000, "ann", True, "", 0, 0)
    lines = [connect(world) for _ in range(300)]
    try:
        for number, line in enumerate(lines):
            line.sendall(GREETING + READY + frame(HELLO, VERSION, 1, 100 + number, 1, "deaf") + ask * 20)
        until(lambda: hub.said().count("much is said to others") > 0, "some to be let go")
        assert world.send("a_update", "1", {})["n"] == 11
        assert resident_kib(hub.pid) - before < 200_000
    finally:
        for line in lines:
            line.close()


@pytest.mark.parametrize("when", ["poll", "load"])
def test_who_reads_is_answered_however_much_comes_due_at_once(world, when):
    """Polls of one room that a message ends, or reads that waited for the room to be loaded: by turns, as they are
    taken; nobody is let go for what the hub has to say at once."""
    hub = world.hub("--ownership", "either")
    big = b'{"a":"' + b"x" * 60_000 + b'"}'
    asked = 1000
    if when == "load":
        with dealer(world.endpoint) as sender:
            greeted(sender)
            for corr in range(1, 5):
                sender.send_frame(publish(corr, "123", big))
                sender.take(1)
        hub.terminate()
        world.hub("--ownership", "either")
    with dealer(world.endpoint) as edge, dealer(world.endpoint) as sender:
        greeted(edge, 1)
        greeted(sender, number=8)
        wait_ms = 60_000 if when == "poll" else 0
        edge.send_frame(b"".join(packed([READ, corr, 0, "123", *NOWHERE, 10, "ann", True, "", wait_ms, 0])
                                 for corr in range(asked)))
        if when == "poll":
            until(lambda: world.stat()["waiting"] == asked, "the polls to wait")
            sender.send_frame(publish(1, "123", big))
            sender.take(1)
        answers = edge.take(asked)
        assert sorted(answer[1] for answer in answers) == list(range(asked))
        assert all(answer[2] == 0 and len(answer[-2]) > 60_000 for answer in answers)


def test_sigterm_is_obeyed_whatever_comes_in(world):
    hub = world.hub("--ownership", "either")
    done = threading.Event()

    def flood(number):
        with dealer(world.endpoint) as peer:
            peer.send(HELLO, VERSION, 1, 100 + number, 1, "flood")
            corr = 0
            zmq, wait = peer.zmq, 1
            while not done.is_set():
                for _ in range(100):
                    corr += 1
                    frame = packed([READ, corr, 0, f"r{number}x{corr}", *NOWHERE, 10, "ann", False, "", 0, 0])
                    zmq.zmq_send(peer.socket, frame, len(frame), wait)

    floods = [threading.Thread(target=flood, args=(number,)) for number in range(4)]
    for one in floods:
        one.start()
    try:
        until(lambda: world.stat()["edges"] >= 4, "the floods")
        hub.popen.terminate()
        assert hub.popen.wait(PATIENCE) == 0
    finally:
        done.set()
        for one in floods:
            one.join()
    stopped = [line for line in hub.said().splitlines() if "hub stop" in line]
    assert len(stopped) == 2, hub.said()


def test_a_frame_that_is_not_ended_is_not_waited_for_by_others(world):
    world.hub()
    with connect(world) as line:
        line.sendall(GREETING + READY + b"\x02" + struct.pack(">Q", 1 << 20) + bytes(1000))
        assert world.send("a_update", "1", {})["seq"] == 1
        line.settimeout(3 * PATIENCE)
        assert ended(line)  # after ten seconds
    assert json.loads(world.run("diagws-stat", "--json").stdout)["clients"] >= 1
