"""Clients who begin further back than all others while a burst is on its way to these.

The edge has of the room only what came since its first client, and the ring has no place for the burst: what it was
sent last is held when it is sent the older messages again. Everybody gets everything that follows their position, in
order and once, or is told the exact gap.
"""
import json
import subprocess

from conftest import BIN, SANITIZED, until
from load import Clients

ROOMS, CLIENTS, OLD, NEW = (2, 80, 100, 60) if SANITIZED else (4, 150, 100, 100)
PER_USER = 50


def lines(room, count, pad):
    return "".join(json.dumps({"diagnosis_id": room, "type": "note_update", "data": {"t": 0, "pad": "x" * pad}}) + "\n"
                   for _ in range(count))


def test_who_begins_further_back_during_a_burst(world):
    world.hub("--ownership", "claims")
    edge = world.edge()
    at = {}  # client -> the n of its newest message

    def take(clients):
        for entry in clients.new():
            if entry.kind in "ug":
                first, last = (entry.n, entry.n) if entry.kind == "u" else (entry.seq, entry.n)
                assert first == at[entry.client] + 1, entry
                at[entry.client] = last
            else:
                assert entry.kind == "c", entry
                connected.add(entry.client)
        return True

    with Clients(world) as clients:
        connected = set()
        for number in range(ROOMS):
            at.clear()
            connected.clear()
            room = f"room-{number}"
            tokens = [world.token(f"user-{number}-{count}", "--diagnosis", room) for count in range(CLIENTS // PER_USER + 2)]
            world.run("diagws-send", "-l", input=lines(room, OLD, 10))
            seqs = [message["seq"] for message in
                    edge.request(f"/ws/messages/{room}?limit=1000", token=tokens[0])[2]["messages"]]
            for count in range(CLIENTS):
                at[clients.open(edge, room, tokens[count // PER_USER], f"d{count}&after=new")] = OLD
            until(lambda: take(clients) and len(connected) == len(at), "all clients")
            burst = subprocess.Popen([BIN / "diagws-send", "-e", world.endpoint, "-l"], stdin=subprocess.PIPE, text=True)
            burst.stdin.write(lines(room, NEW, 20000))
            burst.stdin.flush()
            for count, place in enumerate((99, 97, 95, 93, 90, 85)):
                until(lambda: take(clients) and max(at.values()) > OLD + 3 * count, "a part of the burst")
                at[clients.open(edge, room, tokens[-1], f"back{place}&after={seqs[place - 1]}")] = place
            burst.stdin.close()
            assert burst.wait(30) == 0
            until(lambda: take(clients) and set(at.values()) == {OLD + NEW}, "all messages", 60)
    assert "hub lost" not in edge.said()
