"""Clients that never read: what they cost the edge's memory, that they are closed, that readers miss nothing.

The short form of slow.py, which also measures latencies.
"""
from conftest import SANITIZED, measured, until
from slow import BOUND, FILL, FILL_PAD, FILL_RATE, Scene, private


def test_stuck_clients_cost_a_bounded_memory_and_are_closed(world):
    readers = stuck = 50
    world.hub("--ownership", "claims")
    scene = Scene(world, 1, "--slow-timeout", "10s" if SANITIZED else "5s")
    reading = scene.open(readers, "r", reads=True)
    before = private(scene.edge)
    scene.open(stuck, "s", reads=False)
    scene.received(reading, scene.send(FILL, FILL_RATE, FILL_PAD))
    each = (private(scene.edge) - before) / stuck
    assert world.stat("summary")["connections"] == readers + stuck
    measured(f"a stuck client: {each / 1024:.1f} KiB of the edge's memory, at most {BOUND >> 10}")
    if not SANITIZED:  # its allocator keeps what is freed
        assert each <= BOUND
    until(lambda: world.stat("summary")["connections"] == readers, "the stuck clients to be closed", 40)
    scene.received(reading, scene.send(FILL, FILL_RATE, FILL_PAD))
    scene.clients.let_all_read()
    ends = {}

    def all_ended():
        ends.update((entry.client, (entry.kind, entry.seq)) for entry in scene.clients.new() if entry.kind in "xe")
        return len(ends) == stuck
    until(all_ended, "the stuck clients' end")
    # A frame that says 1013 comes behind what a client has not read, and such a client has no room for it.
    assert set(ends.values()) <= {("x", 1013), ("e", 0)}
    scene.end()
