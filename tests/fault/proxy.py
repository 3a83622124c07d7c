"""A TCP proxy on loopback with a bad line: it cuts, resets, swallows, holds, delays, or passes single bytes.

It runs in a thread of its own, so that what is beside it may block. A fault holds for the connections that are open
when it is asked for (cut, reset, swallow), or for all until it ends (refusing, hold, dribble, delay).
"""
import asyncio
import contextlib
import socket
import struct
import threading

UP, DOWN = "to the server", "to the client"


class Link:
    """One connection: two sockets, and a task for each direction."""

    def __init__(self, client, server):
        self.ends = {UP: (client, server), DOWN: (server, client)}
        self.swallowed = set()
        self.tasks = []

    def close(self, reset=False):
        for end in self.ends[UP]:
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        for task in self.tasks:
            task.cancel()


class Proxy:
    def __init__(self, target):
        self.target = target  # (host, port)
        self.refusing = self.dribble = False
        self.delay = 0.0
        self.links = set()
        self.accepted = 0
        self.loop = asyncio.new_event_loop()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.flows = asyncio.Event()
        self.flows.set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.server.cancel)
        self.thread.join()

    # ---- the faults ----

    def cut(self):
        """All connections end in good order (FIN), in the middle of whatever they carried."""
        self._do(self._close_all, False)

    def reset(self):
        self._do(self._close_all, True)

    def swallow(self, *directions):
        """What these connections carry that way is taken and lost; neither side learns of it, or of the other's end."""
        self._do(lambda: [link.swallowed.update(directions) for link in self.links])

    def hold(self):
        """Nothing passes, and nothing is taken, until release()."""
        self._do(self.flows.clear)

    def release(self):
        self._do(self.flows.set)

    @contextlib.contextmanager
    def down(self):
        """No connection, old or new."""
        self.refusing = True
        self.cut()
        try:
            yield
        finally:
            self.refusing = False

    def _close_all(self, reset):
        for link in self.links:
            link.close(reset)
        self.links.clear()

    def _do(self, function, *arguments):
        done = threading.Event()

        def run():
            function(*arguments)
            done.set()
        self.loop.call_soon_threadsafe(run)
        assert done.wait(10), "the proxy's loop is stuck"

    # ---- its thread ----

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.create_task(self._serve())
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self.server)
        self._close_all(False)
        self.listener.close()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _serve(self):
        while True:
            client, _ = await self.loop.sock_accept(self.listener)
            if self.refusing:
                client.close()
            else:
                self.loop.create_task(self._connect(client))

    async def _connect(self, client):
        server = socket.socket(socket.AF_INET)
        server.setblocking(False)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # so that hold() is soon felt
        try:
            await self.loop.sock_connect(server, self.target)
        except OSError:
            client.close()
            server.close()
            return
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(client, server)
        link.tasks = [self.loop.create_task(self._carry(link, direction)) for direction in (UP, DOWN)]
        self.links.add(link)
        self.accepted += 1

    async def _carry(self, link, direction):
        source, sink = link.ends[direction]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while True:
                await self.flows.wait()
                data = await self.loop.sock_recv(source, 65536)
                await self.flows.wait()
                if not data:
                    break
                if direction not in link.swallowed:
                    await self._pass(sink, data)
        if not link.swallowed and link in self.links:
            self.links.discard(link)
            link.close()

    async def _pass(self, sink, data):
        if self.delay:
            await asyncio.sleep(self.delay)
        if not self.dribble:
            await self.loop.sock_sendall(sink, data)
            return
        for at in range(len(data)):
            await self.loop.sock_sendall(sink, data[at:at + 1])
            await asyncio.sleep(0)
