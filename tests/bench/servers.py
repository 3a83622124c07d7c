"""The processes that are measured: a hub and an edge of ours, the bare servers, Nchan, Redis.

Each is a context manager: it starts on a directory of its own, pinned to the server's core, and ends with all it
started. What the load tool needs to know of it: `where` (options of diagws-bench) and `pids` (name: process).
"""
import contextlib
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DIAGWS_BUILD", ROOT / "build"))
PATIENCE = 60.0
CORES = sorted(os.sched_getaffinity(0))
SERVER = {CORES[0]}
LOAD = {CORES[-1]}                      # the load and, where two are all there are, the hub
HUB = {CORES[1]} if len(CORES) > 1 else SERVER


class Failed(Exception):
    """A measurement that could not be made; the text says why."""


def until(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"gave up waiting for {what}")
        time.sleep(0.005)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def pinned(cores):
    """What is started in here runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Process:
    def __init__(self, folder, name, arguments, cores, **more):
        self.name, self.log = name, pathlib.Path(folder) / f"{name}.log"
        with pinned(cores), open(self.log, "ab") as log:
            self.popen = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=folder, **more)
        self.pid = self.popen.pid

    def said(self):
        return self.log.read_text(errors="replace")

    def lives(self):
        if self.popen.poll() is not None:
            raise Failed(f"{self.name} ended: {self.said()[-500:].strip()}")
        return True

    def end(self, how=signal.SIGTERM):
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


class Servers:
    """Processes on a temporary directory."""

    where = ()

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="diagws-bench-", ignore_cleanup_errors=True)
        self.folder = pathlib.Path(self.temporary.name)
        self.processes = []
        self.pids = {}

    def start(self, name, arguments, cores=SERVER, **more):
        process = Process(self.folder, name, arguments, cores, **more)
        self.processes.append(process)
        self.pids[name] = process.pid
        return process

    def __enter__(self):
        try:
            self.run()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.end()
        self.temporary.cleanup()

    @staticmethod
    def answers(process, port):
        def look():
            process.lives()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False
        until(look, process.name)


class Diagws(Servers):
    """A hub, and an edge unless it is to go without one."""

    build = BUILD  # whose programs, the load tool's too

    def __init__(self, edge=True, confirm=True):
        super().__init__()
        self.with_edge, self.confirm = edge, confirm
        self.endpoint = f"ipc://{self.folder}/run/hub.sock"
        self.keys = self.folder / "keys"
        self.key = self.keys / "bench.hs256"

    def run(self):
        self.keys.mkdir(mode=0o700)
        self.key.write_text(secrets.token_hex(32) + "\n")
        self.key.chmod(0o600)
        (self.folder / "run").mkdir(mode=0o750)
        self.start_hub()
        self.where = ["--endpoint", self.endpoint, "--key-file", self.key]
        if self.with_edge:
            self.port = free_port()
            edge = self.start("edge", [self.build / "bin/diagws-edge", "--listen", f"127.0.0.1:{self.port}", "--hub",
                                       self.endpoint, "--keys", self.keys])
            until(lambda: edge.lives() and self.ready(), "the edge")
            self.where += ["--ws", f"ws://127.0.0.1:{self.port}/ws/{{room}}?token={{token}}&device=bench-{{client}}"]
            self.where += [] if self.confirm else ["--no-confirm"]

    def start_hub(self):
        """Starts it, and says how long it took from exec until it served."""
        begun = time.monotonic()
        cores = HUB if self.with_edge else SERVER
        hub = self.start("hub", [self.build / "bin/diagws-hub", "--bind", self.endpoint, "--state-dir",
                                 self.folder / "state", "--ownership", "claims"], cores)
        until(lambda: "hub ready" in hub.said() or not hub.lives(), "the hub")
        return time.monotonic() - begun

    def kill_hub(self):
        hub = next(p for p in self.processes if p.name == "hub")
        hub.end(signal.SIGKILL)
        self.processes.remove(hub)
        hub.log.unlink()

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def command(self, *arguments, **more):
        """Runs a command of ours to its end, on the load's core."""
        with pinned(LOAD):
            return subprocess.run([self.build / "bin" / arguments[0], *map(str, arguments[1:])], capture_output=True,
                                  text=True, env={**os.environ, "DIAGWS_HUB": self.endpoint}, **more)


class Peer(Servers):
    """A server that takes messages by POST /pub/{room} and stores nothing that lasts."""

    def run(self):
        self.port = free_port()
        self.answers(self.serve(), self.port)

    def options(self, burst=1):
        return ["--ws", f"ws://127.0.0.1:{self.port}/ws/{{room}}", "--ready", "", "--body", "{data}",
                "--publish", f"http://127.0.0.1:{self.port}/pub/{{room}}" + (f"?burst={burst}" if burst > 1 else "")]


class Floor(Peer):
    """floor_epoll, floor_lws."""

    def __init__(self, program, *arguments):
        super().__init__()
        self.command = [BUILD / "tests" / program, None, *arguments]

    def serve(self):
        self.command[1] = self.port
        return self.start("server", self.command)


class Nchan(Peer):
    CONFIG = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
events { worker_connections 19500; use epoll; multi_accept on; }
http {
    access_log off;
    tcp_nodelay on;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_body_buffer_size 64k;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {
        listen 127.0.0.1:%d backlog=4096;
        location ~ ^/ws/(.+)$ {
            nchan_subscriber websocket;
            nchan_channel_id $1;
            nchan_subscriber_first_message oldest;
        }
        location ~ ^/pub/(.+)$ {
            nchan_publisher http;
            nchan_channel_id $1;
            nchan_message_buffer_length 100;
            nchan_message_timeout 1h;
        }
    }
}
"""

    def serve(self):
        (self.folder / "nginx.conf").write_text(self.CONFIG % self.port)
        master = self.start("nginx", ["/usr/sbin/nginx", "-p", self.folder, "-c", "nginx.conf", "-e", "error.log"])
        children = pathlib.Path(f"/proc/{master.pid}/task/{master.pid}/children")
        self.pids = {"server": int(until(lambda: master.lives() and children.read_text().split(), "nginx")[0])}
        return master

    def options(self, burst=1):
        return super().options()  # it has no way to take several at once


class Redis(Servers):
    """Debian's redis-check-rdb is the server under another name; redis-tools has it without a system service."""

    def run(self):
        self.socket = self.folder / "redis.sock"
        server = self.start("redis", ["redis-server", "--port", 0, "--unixsocket", self.socket, "--appendonly", "yes",
                                      "--appendfsync", "always", "--auto-aof-rewrite-percentage", 0, "--save", "",
                                      "--dir", self.folder], executable="/usr/bin/redis-check-rdb")
        until(lambda: server.lives() and self.socket.exists(), "redis")

    def publish(self, count, senders, window, size, rooms=100):
        """Messages a second that were answered."""
        with pinned(LOAD):
            done = subprocess.run(
                ["redis-benchmark", "-s", self.socket, "-n", str(count), "-c", str(senders), "-P", str(window), "-r",
                 str(rooms), "--csv", "XADD", "room:__rand_int__", "MAXLEN", "~", "100", "*", "data", "x" * size],
                capture_output=True, text=True, timeout=120)
        try:
            return float(done.stdout.splitlines()[-1].split('","')[1])
        except (IndexError, ValueError):
            raise Failed(f"redis-benchmark: {done.stderr.strip() or done.stdout[-200:]}") from None


def cpu_seconds(pid):
    """User and system time of all threads."""
    total = 0
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(path.read_text().split()[0])
    return total / 1e9
