"""A small disk that can lose its power: ext4 in a file, loop-mounted, and shut down without a flush of its journal.

What was written and not synced is gone after cut() and remount(), as after a pulled plug. It leaves nothing behind:
the mount and its loop device go at close(), and when the test itself is killed, a shell that waits for that ends the
process named last by holds() and unmounts.
"""
import contextlib
import fcntl
import os
import signal
import struct
import subprocess

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2
GUARD = """trap '' INT TERM HUP
while read -r line; do pid=$line; done
[ -z "$pid" ] || kill -9 "$pid"
umount -l "$1" 2>/dev/null
rm -f "$2"
"""


class Disk:
    def __init__(self, path, size=512 << 20):
        self.image, self.root = path / "disk.img", path / "disk"
        self.root.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(size)
        self.guard = subprocess.Popen(["sh", "-c", GUARD, "guard", self.root, self.image], stdin=subprocess.PIPE,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.format()

    def format(self):
        """Empty again, and mounted."""
        self.unmount()
        self._run("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0", "-J", "size=8", self.image)
        self.mount()

    def mount(self):
        self._run("mount", "-o", "loop", self.image, self.root)

    def unmount(self):
        if os.path.ismount(self.root):
            self._run("umount", self.root)

    def cut(self):
        """The power goes: from now on nothing reaches the disk, not even what the file system had promised itself."""
        directory = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(directory, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(directory)

    def remount(self):
        """The power is back: the journal is replayed. Nobody may have a file open on it any more."""
        self.unmount()
        self.mount()

    def keep(self, copy):
        """A copy of the disk as it is, to go on from more than once."""
        self.unmount()
        self._run("cp", "--sparse=always", self.image, copy)
        self.mount()

    def restore(self, copy):
        self.unmount()
        self._run("cp", "--sparse=always", copy, self.image)
        self.mount()

    def holds(self, pid):
        """The process that is to be ended with the disk."""
        self.guard.stdin.write(b"%d\n" % pid)
        self.guard.stdin.flush()

    @contextlib.contextmanager
    def of(self, world):
        """Gives a world's store to this disk; in the end the hub is killed, and the disk goes."""
        world.state = self.root / "state"
        try:
            yield self
        finally:
            for process in world.processes:
                if process.name == "diagws-hub":
                    process.kill()
            self.close()

    def close(self):
        self.guard.stdin.write(b"\n")
        self.guard.stdin.close()
        self.guard.wait()

    @staticmethod
    def _run(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
