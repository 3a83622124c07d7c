"""A large room, or a burst, holds nobody else up, and nobody in it misses anything.

Nothing here is timed: who came first is told by what each client had when.
"""
import json

from conftest import SANITIZED, until
from load import Clients

MANY = 500 if SANITIZED else 2000
PER_USER = 16


def open_clients(world, clients, edge, rooms):
    """A client for each name in rooms, and their numbers by room once all are connected."""
    tokens, numbers = {}, {}
    for count, room in enumerate(rooms):
        user = f"user-{count // PER_USER}"
        if user not in tokens:
            names = sorted(set(rooms[count // PER_USER * PER_USER:][:PER_USER]))
            tokens[user] = world.token(user, *(word for name in names for word in ("--diagnosis", name)))
        numbers.setdefault(room, []).append(clients.open(edge, room, tokens[user], f"d-{count}"))
    connected = []

    def all_connected():
        connected.extend(entry for entry in clients.new() if entry.kind == "c")
        return len(connected) == len(rooms)
    until(all_connected, "all clients", 60)
    return numbers


def lines(first, rooms, pad=0):
    return "".join(json.dumps({"diagnosis_id": room, "id": f"m-{first + place}",
                               "data": {"t": 0, "pad": "x" * pad}}) + "\n" for place, room in enumerate(rooms))


def test_a_large_room_does_not_hold_up_a_small_one(world):
    world.hub("--ownership", "claims")
    edge = world.edge()
    with Clients(world) as clients:
        numbers = open_clients(world, clients, edge, ["small", *["large"] * MANY])
        first = 0
        for round in range(5):  # both messages need not be in one commit each time
            world.run("diagws-send", "-l", "-t", "note_update", input=lines(10 * round, ["large", "small"]))
            got = []

            def all_got():
                got.extend(entry for entry in clients.new() if entry.kind == "u")
                return len(got) == MANY + 1
            until(all_got, "all to have got it", 30)
            small = next(entry.at for entry in got if entry.client == numbers["small"][0])
            first += small < max(entry.at for entry in got if entry.client != numbers["small"][0])
        assert first > 0, "the small room always had to wait for all of the large one"


def test_a_burst_that_the_ring_has_no_place_for_reaches_everyone(world):
    count, pad = 1000 if SANITIZED else 3000, 2000  # of 256 KiB, many times
    world.hub("--ownership", "claims", "--queue-limit", 10000)
    edge = world.edge()
    with Clients(world) as clients:
        numbers = open_clients(world, clients, edge, ["other", *["burst"] * 40])
        world.run("diagws-send", "-l", "-t", "note_update", "-w", "1000",
                  input=lines(0, ["burst"] * count + ["other"], pad))
        got = {number: [] for number in (*numbers["other"], *numbers["burst"])}

        def all_got():
            for entry in clients.new():
                assert entry.kind == "u", entry
                got[entry.client].append(entry.number)
            return all(got[number] and got[number][-1] == count - 1 for number in numbers["burst"])
        until(all_got, "the burst", 60)
        for number in numbers["burst"]:
            assert got[number] == list(range(count))
        until(lambda: all_got() and got[numbers["other"][0]] == [count], "the other room's message")
    assert "hole" not in edge.said()
