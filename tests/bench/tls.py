#!/usr/bin/python3
"""What TLS costs: by the edge itself, and by each proxy of examples/proxy in front of one. For diagws-edge(8).

    tls.py [--clients 1000] [--messages 40]

Memory: what edge and proxy hold more (PSS, all their processes) with so many idle WebSockets than before they came, without
the kernel's. CPU: user and system time of edge and proxy for each message that a client gets (some 300 bytes, one at a
time, PINGs and PONGs included). And for each connection: TLS, the upgrade, `connect`.
"""
import argparse
import asyncio
import os
import pathlib
import resource
import ssl
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "tests/lib")]
import fronts
import websockets
from conftest import EFFECTIVENESS, World, free_port, until

WAYS = ("none", "edge", *fronts.NAMES)
ROOMS = ("1", "2")
TICK = 1 / os.sysconf("SC_CLK_TCK")


def pss(pids):
    lines = (line for pid in pids for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def cpu(pids):
    """From the scheduler, in seconds: a tick of the clock is too coarse."""
    return sum(int(path.read_text().split()[0]) for pid in pids for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


class Way:
    def __init__(self, name, folder, certificates):
        self.name, self.front = name, None
        self.world = World(folder)
        self.world.hub("--ownership", "claims")
        self.tokens = {}
        if name == "edge":
            self.port = free_port()
            edge = self.world.edge("--listen", f"wss://127.0.0.1:{self.port}", "--tls-cert", certificates / "cert.pem",
                                   "--tls-key", certificates / "key.pem")
        else:
            proxied = name in ("hitch", "haproxy")
            edge = self.world.edge(*(["--proxy-protocol"] if proxied else []), wait=False)
            until(lambda: fronts.edge_is_ready(edge.port, proxied), "the edge")
            self.port = edge.port
            if name != "none":
                self.front = fronts.Front(name, folder, certificates, [edge.port] * 2)
                until(self.front.ready, name)
                self.port = self.front.port
        self.pids = [edge.pid] + (self.front.pids() if self.front else [])
        self.url = f"{'ws' if name == 'none' else 'wss'}://127.0.0.1:{self.port}/ws/"
        self.trust = None if name == "none" else ssl.create_default_context(cafile=str(certificates / "cert.pem"))

    def end(self):
        if self.front:
            self.front.end()
        self.world.end()

    def token(self, at):
        """A user has fifty devices."""
        user = f"user{at // 50}"
        if user not in self.tokens:
            self.tokens[user] = self.world.token(user, *(f"--diagnosis={room}" for room in ROOMS))
        return self.tokens[user]

    async def connect(self, at):
        url = f"{self.url}{ROOMS[at % len(ROOMS)]}?token={self.token(at)}&device=d{at}&after=new"
        socket = await websockets.connect(url, ssl=self.trust, ping_interval=None, compression=None, max_queue=None)
        await socket.recv()
        return socket

    async def measure(self, clients, messages):
        """(bytes a connection, CPU seconds a connection, CPU seconds a message)"""
        sockets = [await self.connect(-1 - at) for at in range(20)]
        before, begun = pss(self.pids), cpu(self.pids)
        for at in range(clients):
            sockets.append(await self.connect(at))
        connected = cpu(self.pids)
        await asyncio.sleep(5)
        memory = pss(self.pids) - before
        begun_messages = cpu(self.pids)
        for at in range(messages):
            for room in ROOMS:
                await asyncio.to_thread(self.world.send, "effectiveness", room, EFFECTIVENESS)
            await asyncio.gather(*(socket.recv() for socket in sockets))
        told = cpu(self.pids)
        for socket in sockets:
            socket.transport.abort()
        return memory / clients, (connected - begun) / clients, (told - begun_messages) / messages / len(sockets)


def main():
    parser = argparse.ArgumentParser(description="what TLS costs, by the edge and by proxies")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=40)
    parser.add_argument("ways", nargs="*", default=WAYS)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    print("TLS by    KiB/connection  us/connection  us/message")
    for name in options.ways:
        with tempfile.TemporaryDirectory(prefix="dw") as folder:
            os.chmod(folder, 0o755)
            path = pathlib.Path(folder)
            (path / "tls").mkdir()
            way = Way(name, path, fronts.certificate(path / "tls"))
            try:
                memory, connection, message = asyncio.run(way.measure(options.clients, options.messages))
                print(f"{name:8} {memory / 1024:15.1f} {connection * 1e6:14.0f} {message * 1e6:11.1f}", flush=True)
            finally:
                way.end()


if __name__ == "__main__":
    main()
