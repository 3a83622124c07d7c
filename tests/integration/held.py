"""An edge whose checks of signatures are held back (tests/lib/hold.c), and keys and tokens that take it to one."""
import asyncio
import contextlib
import os
import subprocess

from conftest import BUILD, PATIENCE, SANITIZED, until

RSA = "RSA", "-pkeyopt", "rsa_keygen_bits:2048"
THREADS = 4  # libuv's


class Hold:
    """As long as it lasts no check of a public key's signature ends."""

    def __init__(self, world):
        self.path = world.path / "hold"
        self.env = {"HOLD": str(self.path), "LD_PRELOAD": str(BUILD / "tests" / "hold.so")}
        if SANITIZED:
            self.env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"

    def begin(self):
        self.path.touch()

    def until_held(self, count=1):
        until(lambda: self.path.stat().st_size >= count, f"{count} checks")

    def end(self):
        self.path.unlink()


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=PATIENCE)


def key_pair(world, name, *kind):
    """A private key, whose public one the edges have."""
    private = world.path / name
    openssl("genpkey", "-algorithm", *kind, "-out", private)
    private.chmod(0o600)
    openssl("pkey", "-in", private, "-pubout", "-out", world.keys / name)
    return private


@contextlib.contextmanager
def checks(world):
    """A hub, and what an edge needs whose checks can be held back: in the end they go on."""
    world.rsa = key_pair(world, "rs.rs256.pem", *RSA)
    world.hold = Hold(world)
    world.hub()
    try:
        yield world
    finally:
        world.hold.path.unlink(missing_ok=True)


def site(world):
    """A fixture: a hub, such an edge, alice and bob who may watch 123 and 124."""
    with checks(world):
        world.the_edge = world.edge(env=world.hold.env)
        world.grant("123", "alice", "bob")
        world.grant("124", "alice", "bob")
        yield world


def slow_token(site, number=0, user="alice"):
    """No two are the same: none is known from before."""
    return site.token(user, "--issuer", f"number{number}", key=site.rsa)


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


async def heard(reader, *words):
    """All of them, in whatever pieces they come."""
    said = b""
    while not all(word in said for word in words):
        piece = await asyncio.wait_for(reader.read(4096), PATIENCE)
        assert piece, said
        said += piece
