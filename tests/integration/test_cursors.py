"""Where devices stand: how long that is kept, when it is written, what it is worth after kills of everything."""
import asyncio
import json

from conftest import EFFECTIVENESS, receive, receive_updates, until


def devices(world):
    return {row["device"]: row for row in world.devices("123")}


def confirmed(world, device, seq):
    return until(lambda: devices(world).get(device, {}).get("confirmed_seq") == seq, f"{device} to confirm {seq}")


async def visit(world, edge, count, sure=False, **query):
    """Reads `count` updates, has them confirmed, and goes; (data of `connect`, the updates)."""
    async with edge.connect("123", world.alice, **query) as client:
        hello = await receive(client)
        got = await receive_updates(client, count)
        if sure:
            await client.send(json.dumps({"type": "ack", "seq": got[-1]["seq"]}))
        if got:
            await asyncio.to_thread(confirmed, world, hello["data"]["device"], got[-1]["seq"])
    await asyncio.to_thread(until, lambda: devices(world)[hello["data"]["device"]]["connected"] == 0, "it to be away")
    return hello["data"], got


def test_a_device_unseen_for_too_long_is_forgotten(world):
    hub = world.hub("--cursor-ttl", "2s")
    edge = world.edge()
    world.alice = world.user("alice", "123")
    world.send("effectiveness", "123", EFFECTIVENESS)
    assert asyncio.run(visit(world, edge, 1, sure=True, device="phone"))[0]["resume"] == "new"
    assert asyncio.run(visit(world, edge, 0, device="phone"))[0]["resume"] == "exact"
    until(lambda: devices(world)["phone"]["seen_s"] >= 2, "it to be unseen for long")
    assert hub.terminate() == 0
    world.hub("--cursor-ttl", "2s")
    until(edge.ready, "the edge's return")
    data, got = asyncio.run(visit(world, edge, 1, device="phone"))
    assert (data["resume"], data["replaying"]) == ("new", 1)


def test_cursors_survive_when_everything_is_killed(clinic):
    """They are written within seconds, and at the end of a connection at once."""
    edge = clinic.the_edge
    clinic.send("effectiveness", "123", EFFECTIVENESS)
    asyncio.run(visit(clinic, edge, 1, sure=True, device="gone"))

    async def watch():
        async with edge.connect("123", clinic.alice, device="there") as client:
            await receive(client)
            await receive_updates(client, 1)
            await asyncio.to_thread(confirmed, clinic, "there", 1)
            last = await asyncio.to_thread(clinic.send, "effectiveness", "123", EFFECTIVENESS)
            await receive_updates(client, 1)
            await asyncio.to_thread(confirmed, clinic, "there", last["seq"])
            # The commit that brings it: nothing else is there to be written.
            commits = (await asyncio.to_thread(clinic.stat, "summary"))["commits"]
            await asyncio.to_thread(until, lambda: clinic.stat("summary")["commits"] > commits, "the cursor's commit")
            edge.kill()
            clinic.processes[0].kill()
            return last["seq"]
    seq = asyncio.run(watch())
    clinic.hub()
    stand = devices(clinic)
    assert (stand["gone"]["confirmed_seq"], stand["there"]["confirmed_seq"]) == (1, seq)
    other = clinic.edge()
    # The one acknowledged itself; the other was cut off within seconds of its PONG.
    data, got = asyncio.run(visit(clinic, other, 1, device="gone"))
    assert (data["resume"], got[0]["n"]) == ("exact", 2)
    data, got = asyncio.run(visit(clinic, other, 2, device="there"))
    assert (data["resume"], [message["n"] for message in got]) == ("exact", [1, 2])


def test_a_room_that_is_given_up_keeps_what_it_knows(world):
    """Direct messages, places and cursors of a room that had no place in memory."""
    world.hub("--memory-limit", "1M", "--queue-limit", 3)
    edge = world.edge()
    world.alice = world.user("alice", "123")
    world.send("effectiveness", "123", EFFECTIVENESS)
    asyncio.run(visit(world, edge, 1, sure=True, device="phone"))
    direct = [world.send("note_update", "123", {"i": i}, "-u", "alice") for i in range(5)]
    for i in range(5):
        world.send("effectiveness", "123", EFFECTIVENESS)
    others = [f"other-{i}" for i in range(40)]
    world.grant_all(others, "alice")
    world.run("diagws-send", "-l", "-t", "note_update", "-u", "bob", input="".join(
        json.dumps({"diagnosis_id": room, "data": {"fill": "x" * 60000}}) + "\n" for room in others for _ in range(3)))
    assert world.stat("summary")["rooms_resident"] < 40

    async def watch():
        async with edge.connect("123", world.alice, device="phone") as client:
            hello = (await receive(client))["data"]
            assert (hello["resume"], hello["replaying"]) == ("gap", 6)
            gaps = [(await receive(client))["data"] for _ in range(2)]
            assert {"from": 1, "to": 2, "count": 2, "reason": "limit", "direct": True} in gaps
            assert {"from": 2, "to": 3, "count": 2, "reason": "limit"} in gaps
            got = await receive_updates(client, 6)
            assert [message["seq"] for message in got[:3]] == [row["seq"] for row in direct[2:]]
            assert [message["n"] for message in got[3:]] == [4, 5, 6]
    asyncio.run(watch())
