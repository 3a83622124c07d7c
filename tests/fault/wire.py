"""Two network namespaces with a link between them that can be taken down. Each is held by a process that ends with the
test, whatever becomes of it; with it go the namespace and the link.
"""
import contextlib
import ctypes
import os
import socket
import subprocess
import threading

from conftest import PATIENCE

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Wire:
    EDGE, CLIENTS = "10.91.0.1", "10.91.0.2"

    def __init__(self):
        self.edge, self.clients = self._namespace(), self._namespace()
        self._run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", str(self.clients.pid))
        for holder, address in ((self.edge, self.EDGE), (self.clients, self.CLIENTS)):
            self._run("ip", "address", "add", f"{address}/24", "dev", "wire", inside=holder)
            self._run("ip", "link", "set", "wire", "up", inside=holder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for holder in (self.edge, self.clients):
            holder.stdin.close()
            holder.wait(PATIENCE)

    @staticmethod
    def _namespace():
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b"ready\n"
        holder.stdout.close()
        return holder

    @staticmethod
    def inside(holder):
        """What a command begins with that is to run there."""
        return ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]

    def _run(self, *command, inside=None):
        done = subprocess.run([*self.inside(inside or self.edge), *command], capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    @contextlib.contextmanager
    def down(self):
        self._run("ip", "link", "set", "wire", "down", inside=self.clients)
        try:
            yield
        finally:
            self._run("ip", "link", "set", "wire", "up", inside=self.clients)

    def connect(self, port):
        """A socket from the clients' side to the edge's; it stays there, whoever uses it."""
        made = []

        def enter():
            namespace = os.open(f"/proc/{self.clients.pid}/ns/net", os.O_RDONLY)
            try:
                if libc.setns(namespace, CLONE_NEWNET) == 0:
                    made.append(socket.socket())
            finally:
                os.close(namespace)
        thread = threading.Thread(target=enter)  # only this thread enters, and ends there
        thread.start()
        thread.join()
        made[0].settimeout(1)
        made[0].connect((self.EDGE, port))
        made[0].setblocking(False)
        return made[0]
