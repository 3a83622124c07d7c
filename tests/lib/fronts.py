"""The proxies of examples/proxy, as a test starts them: the example's own text, with other ports and paths.

A text that an example does not have fails the test: the example has changed, and its test must be looked at. What a proxy
logs lies in its folder.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples/proxy"
NAMES = ("hitch", "haproxy", "nginx")
LOCAL_HEADER = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
PATIENCE = 30.0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def certificate(folder):
    """cert.pem, key.pem and both in one, for 127.0.0.1 and localhost: the folder."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True, timeout=60)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder


def substitute(text, pairs):
    for old, new in pairs:
        assert old in text, f"the example does not say '{old}'"
        text = text.replace(old, str(new))
    return text


def _hitch(front, text, edges):
    assert len(set(edges)) == 1, "hitch knows one address: the edges share it"
    changes = [('host = "*"', 'host = "127.0.0.1"'), ('port = "443"', f'port = "{front.port}"'),
               ("/etc/hitch/diagws.pem", front.certificates / "both.pem"), ("[127.0.0.1]:8001", f"[127.0.0.1]:{edges[0]}")]
    if os.geteuid() != 0:
        changes += [('user = "_hitch"\n', ""), ('group = "_hitch"\n', "")]
    return substitute(text, changes), ["hitch", "--config"]


def _haproxy(front, text, edges):
    changes = [("maxconn 20000", "maxconn 2000"), ("bind :::443 v4v6", f"bind 127.0.0.1:{front.port}"),
               ("/etc/haproxy/diagws.pem", front.certificates / "both.pem"),
               *((f"127.0.0.1:{8001 + at}", f"127.0.0.1:{port}") for at, port in enumerate(edges))]
    if os.geteuid() != 0:
        changes += [("    user haproxy\n", ""), ("    group haproxy\n", "")]
    return substitute(text, changes), ["haproxy", "-db", "-f"]


def _nginx(front, text, edges):
    kept = "".join(f"    {kind}_temp_path {front.folder}/{kind};\n"
                   for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    changes = [("worker_rlimit_nofile 65536", "worker_rlimit_nofile 10000"),
               ("worker_connections 20000", "worker_connections 4000"), ("listen 443 ssl;", f"listen 127.0.0.1:{front.port} ssl;"), ("        listen [::]:443 ssl;\n", ""),
               ("/etc/nginx/diagws.pem", front.certificates / "cert.pem"),
               ("/etc/nginx/diagws.key", front.certificates / "key.pem"), ("/run/nginx.pid", front.folder / "nginx.pid"),
               ("/var/log/nginx", front.folder), ("http {\n", f"http {{\n{kept}"),
               *((f"127.0.0.1:{8001 + at}", f"127.0.0.1:{port}") for at, port in enumerate(edges))]
    return substitute(text, changes), ["nginx", "-e", front.folder / "error.log", "-g", "daemon off;", "-c"]


class Front:
    """One proxy before edges on these ports, as its example has it; `change` are further (old, new) texts."""

    make = {"hitch": _hitch, "haproxy": _haproxy, "nginx": _nginx}
    file = {"hitch": "hitch.conf", "haproxy": "haproxy.cfg", "nginx": "nginx.conf"}

    def __init__(self, name, folder, certificates, edges, change=()):
        self.name, self.folder, self.certificates = name, pathlib.Path(folder) / name, certificates
        self.port = free_port()
        self.folder.mkdir()
        self.trust = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
        text, command = self.make[name](self, (EXAMPLES / self.file[name]).read_text(), list(edges))
        path = self.folder / self.file[name]
        path.write_text(substitute(text, change))
        self.output = self.folder / "output.log"
        with open(self.output, "wb") as log:
            self.popen = subprocess.Popen([*command, path], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:  # waits for its clients
                for pid in self.pids()[::-1]:
                    os.kill(pid, signal.SIGKILL)
                self.popen.wait(PATIENCE)

    def pids(self):
        """The process and its workers."""
        children = pathlib.Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        return [self.popen.pid, *map(int, children)]

    def said(self):
        """All that it has logged anywhere."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def dial(self, source=None):
        """A TLS connection to it."""
        raw = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0) if source else None)
        return self.trust.wrap_socket(raw, server_hostname="127.0.0.1")

    def ready(self):
        assert self.popen.poll() is None, f"{self.name} ended: {self.said()}"
        try:
            with self.dial() as link:
                return ask(link, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 200
        except (OSError, ValueError):
            return False


def present():
    """Those that are installed."""
    return [name for name in NAMES if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")]


def ask(link, request):
    """(status, head, body) of one request on a connection that goes on."""
    link.sendall(request)
    return answer(link.makefile("rb", buffering=0), head_only=request.startswith(b"HEAD "))


def answer(file, head_only=False):
    """(status, head in lower case, body) of the next answer; ValueError where there is none."""
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", file.readline())
    if status is None:
        raise ValueError("no answer")
    head = {}
    while (line := file.readline().rstrip(b"\r\n")) != b"":
        name, _, value = line.partition(b":")
        head[name.decode().lower()] = value.strip().decode()
    if int(status[1]) in (101, 204, 304) or head_only:
        return int(status[1]), head, b""
    if head.get("transfer-encoding") == "chunked":
        body = b""
        while (size := int(file.readline(), 16)) > 0:
            body += exactly(file, size + 2)[:-2]
        file.readline()
        return int(status[1]), head, body
    return int(status[1]), head, exactly(file, int(head["content-length"]))


def exactly(file, size):
    data = b""
    while len(data) < size:
        more = file.read(size - len(data))
        if not more:
            raise ValueError("cut in mid-answer")
        data += more
    return data


def edge_is_ready(port, proxied):
    """Whether the edge on a port is; where it wants a PROXY header, it gets one of the proxy's own."""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as link:
            request = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
            return ask(link, (LOCAL_HEADER if proxied else b"") + request)[0] == 200
    except (OSError, ValueError):
        return False


def until(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        time.sleep(0.01)
