"""A copy of the store's files that is written over them: what was stored since is gone, and its numbers are given again.

So the store has another epoch then, and every client that names the old one is told `reset`: no number ever means two
messages to anybody. However the hub ended, and though the files stay the same files (`cp` writes into them).
"""
import asyncio
import json
import subprocess

import pytest

from conftest import closed, receive, receive_updates, until


def copy(world, *commands):
    for command in commands:
        subprocess.run(["sh", "-c", command], check=True, cwd=world.path)


def send_up_to(world, last, text):
    while (seq := world.send("note_update", "123", {"text": text})["seq"]) < last:
        pass
    assert seq == last


def restart(world, end):
    hub = world.processes[0]
    assert hub.terminate() == 0 if end == "stopped" else hub.kill() is None
    return hub


def begin_again(world):
    world.processes[0] = world.hub()
    until(world.the_edge.ready, "the edge's return")
    return world.processes[0]


async def visit(world, **query):
    """What a new device is told, and the texts that it gets."""
    async with world.the_edge.connect("123", world.alice, device="new", **query) as client:
        connect = (await receive(client))["data"]
        return connect, [update["data"]["text"] for update in await receive_updates(client, connect["replaying"])]


@pytest.mark.parametrize("end", ("stopped", "killed"))
@pytest.mark.parametrize("backup", ("cp state/* backup/", "cp -a state/. backup/"), ids=("visible", "all"))
def test_a_restored_copy_is_told_to_who_names_the_old_store(clinic, end, backup):
    restore = backup.replace("state", "from").replace("backup", "state").replace("from", "backup")
    send_up_to(clinic, 10, "kept")
    restart(clinic, "stopped")
    copy(clinic, "mkdir backup", backup)
    begin_again(clinic)

    async def watch():
        async with clinic.the_edge.connect("123", clinic.alice, device="stays", after="new") as client:
            epoch = (await receive(client))["data"]["epoch"]
            await asyncio.to_thread(send_up_to, clinic, 20, "lost")
            assert [update["seq"] for update in await receive_updates(client, 10)] == list(range(11, 21))
            connect, texts = await visit(clinic, after=20, epoch=epoch)
            assert (connect["resume"], texts) == ("exact", [])
            await asyncio.to_thread(restart, clinic, end)
            inode = (clinic.state / "data.mdb").stat().st_ino
            await asyncio.to_thread(copy, clinic, restore)
            assert (clinic.state / "data.mdb").stat().st_ino == inode
            hub = await asyncio.to_thread(begin_again, clinic)
            assert "the store was restored" in hub.said()
            # Who held positions of it is sent away, to begin anew.
            assert (await closed(client))[0] == 1012
        return epoch
    epoch = asyncio.run(watch())
    connect, texts = asyncio.run(visit(clinic, after=20, epoch=epoch))
    assert (connect["resume"], connect["head"], texts) == ("reset", 10, ["kept"] * 10)
    assert connect["epoch"] != epoch
    # Also when those numbers have been given again.
    send_up_to(clinic, 20, "new")
    connect, texts = asyncio.run(visit(clinic, after=20, epoch=epoch))
    assert (connect["resume"], texts) == ("reset", ["kept"] * 10 + ["new"] * 10)
    answer = clinic.the_edge.request(f"/ws/messages/123?after=20&epoch={epoch}", token=clinic.alice)[2]
    assert answer["reset"] and len(answer["messages"]) == 20
    # The new one stays, whatever happens to the hub.
    restart(clinic, "killed")
    assert "the store was restored" not in begin_again(clinic).said()
    assert clinic.stat("summary")["epoch"] == connect["epoch"]


def test_a_hub_that_is_killed_again_and_again_keeps_its_epoch(clinic):
    epochs = set()
    for number in range(1, 6):
        send_up_to(clinic, number, "kept")
        epochs.add(clinic.stat("summary")["epoch"])
        restart(clinic, "killed")
        begin_again(clinic)
    assert len(epochs) == 1


def test_no_second_hub_whatever_is_removed(clinic):
    send_up_to(clinic, 3, "kept")
    for name in ("lock", "lock.mdb", ".standing", "journal", "data.mdb"):
        (clinic.state / name).unlink(missing_ok=True)
        done = clinic.run("diagws-hub", "--bind", f"ipc://{clinic.path}/other.sock", "--state-dir", clinic.state,
                          check=False)
        assert done.returncode == 69 and f"another hub uses '{clinic.state}'" in done.stderr, done.stderr
    assert json.loads(clinic.run("diagws-stat", "--json", "summary").stdout)["head"] == 3
