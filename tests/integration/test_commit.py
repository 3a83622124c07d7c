"""Acknowledged means durable, seen means stored: a store that delays its commit, or fails it.

strace makes the hub's fdatasync slow or broken; where it may not trace, these tests say so and are skipped.
"""
import asyncio
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from conftest import PATIENCE, receive, receive_updates, until


class Tampered:
    """strace on the hub while the block runs."""

    def __init__(self, hub, path, *expressions):
        self.hub, self.path = hub, path
        self.arguments = [argument for expression in expressions for argument in ("-e", expression)]

    def __enter__(self):
        self.strace = subprocess.Popen(["strace", "-f", "-tt", "-s", "400", "-xx", "-o", self.path, *self.arguments, "-p",
                                        str(self.hub.pid)], stderr=subprocess.PIPE, text=True)
        until(self.attached, "strace")
        return self

    def attached(self):
        if self.strace.poll() is not None:
            pytest.skip(f"strace may not trace here: {self.strace.stderr.read().strip()}")
        return all("TracerPid:\t0\n" not in (task / "status").read_text()
                   for task in pathlib.Path(f"/proc/{self.hub.pid}/task").iterdir())

    def __exit__(self, *_):
        self.strace.terminate()
        self.strace.wait(PATIENCE)
        self.strace.stderr.close()

    def calls(self):
        return self.path.read_text().splitlines()


def sender(world, data):
    return subprocess.Popen([str(pathlib.Path(world.env["PATH"].split(":")[0]) / "diagws-send"), "--timeout", "20s",
                             "note_update", "123", json.dumps(data)], env={**os.environ, **world.env},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_nobody_hears_of_it_before_the_commit(clinic, tmp_path):
    hub = clinic.processes[0]

    async def watch():
        async with clinic.the_edge.connect("123", clinic.alice) as client:
            await receive(client)
            with Tampered(hub, tmp_path / "trace", "inject=fdatasync:delay_enter=2000000"):
                process = sender(clinic, {"slow": True})
                # Statistics answer while the disk does not, and say that it waits.
                summary = await asyncio.to_thread(until, lambda: (lambda s: s["staged_bytes"] > 0 and s)(
                    clinic.stat("summary")), "the message to be staged")
                assert summary["messages_stored"] == 0 and summary["head"] == 0
                assert process.poll() is None
                assert not client.messages
                # A room that is in memory is joined without the disk.
                async with clinic.the_edge.connect("123", clinic.alice, device="second") as second:
                    assert (await receive(second))["data"]["head"] == 0
                    assert process.poll() is None
                    assert (await receive_updates(second, 1))[0]["data"] == {"slow": True}
                assert (await receive_updates(client, 1))[0]["data"] == {"slow": True}
                assert process.wait(PATIENCE) == 0, process.stderr.read()
    asyncio.run(watch())


def test_the_commit_comes_before_the_first_byte_of_it(clinic, tmp_path):
    """In the order of system calls: what is sent of the message follows the last sync of its commit."""
    hub = clinic.processes[0]

    async def watch():
        async with clinic.the_edge.connect("123", clinic.alice) as client:
            await receive(client)
            with Tampered(hub, tmp_path / "trace", "trace=fdatasync,pwrite64,sendto,sendmsg,write") as trace:
                await asyncio.to_thread(clinic.send, "note_update", "123", {"mark": "MARKMARK"})
                await receive_updates(client, 1)
            return trace.calls()
    calls = asyncio.run(watch())
    mark = "".join(f"\\x{ord(c):02x}" for c in "MARKMARK")
    shown = [index for index, call in enumerate(calls) if mark in call and ("sendto(" in call or "sendmsg(" in call)]
    synced = [index for index, call in enumerate(calls) if "fdatasync" in call and "= 0" in call]
    assert shown and synced
    assert min(synced) < min(shown)
    # And a sync follows the first write of it: the journal's, or LMDB's before the meta page, which is written through.
    stored = [index for index, call in enumerate(calls) if "pwrite64" in call and index < min(shown)]
    assert min(stored) < max(index for index in synced if index < min(shown))


def test_what_is_in_the_journal_soon_comes_into_the_file(clinic):
    """So a copy that mdb_copy makes of a quiet hub has everything."""
    for mark in ("FIRSTMARK", "SECONDMARK"):
        clinic.send("note_update", "123", {"mark": mark})
    until(lambda: b"SECONDMARK" in (clinic.state / "data.mdb").read_bytes(), "the file to have both")
    assert clinic.processes[0].popen.poll() is None


def test_lone_messages_wait_for_none_that_are_not_to_come(clinic, tmp_path):
    """A commit that held many positions and no message does not make those wait that come one by one (HUB_LINGER_US)."""
    hub = clinic.processes[0]
    clinic.send("note_update", "123", {})

    async def visit():
        clients = [await clinic.the_edge.connect("123", clinic.alice, device=f"d{number}") for number in range(30)]
        for client in clients:
            await receive(client)
        hub.signal(signal.SIGSTOP)
        for client in clients:
            await client.close()
    asyncio.run(visit())
    with Tampered(hub, tmp_path / "trace", "trace=ppoll") as trace:
        hub.signal(signal.SIGCONT)  # all their positions at once
        until(lambda: not any(row["connected"] for row in clinic.devices("123")), "them to be away")
        for number in range(8):
            clinic.send("note_update", "123", {"number": number})
        calls = trace.calls()
    waits = [int(seconds) * 10**9 + int(nanoseconds) for call in calls
             for seconds, nanoseconds in re.findall(r"ppoll\(.*], 3, {tv_sec=(\d+), tv_nsec=(\d+)}", call)]
    # Of 3 descriptors: without the ROUTER's it waits while the store is busy (HUB_GATHER_US), which holds up nothing. The
    # first may be what was left, to the nanosecond, of a wait that SIGSTOP or the tracer interrupted.
    assert len(waits) > 8 and not [wait for wait in waits[1:] if 0 < wait <= 500_000]


def test_a_failed_sync_is_an_error_and_the_end(clinic, tmp_path):
    # It ends while it is traced, where a leak cannot be looked for.
    assert clinic.processes[0].terminate() == 0
    hub = clinic.hub(env={"ASAN_OPTIONS": "detect_leaks=0"})
    kept = clinic.send("note_update", "123", {"kept": True})
    with Tampered(hub, tmp_path / "trace", "inject=fdatasync:error=EIO"):
        process = sender(clinic, {"lost": True})
        assert process.wait(PATIENCE) == 75
        assert "[DW1104]" in process.stderr.read()
        assert hub.popen.wait(PATIENCE) == 74
    assert "the storage failed" in hub.said()
    clinic.hub()
    until(clinic.the_edge.ready, "the edge's return")

    async def watch():
        async with clinic.the_edge.connect("123", clinic.alice) as client:
            await receive(client)
            update = (await receive_updates(client, 1))[0]
            assert (update["seq"], update["data"]) == (kept["seq"], {"kept": True})
    asyncio.run(watch())
