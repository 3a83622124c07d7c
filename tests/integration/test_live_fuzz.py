"""The short form of `make fuzz-live`: mutated messages, heads, bodies and frames beside an honest pair."""
import pathlib
import random
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "fuzz")]
import live_edge
import live_hub


@pytest.mark.parametrize("which", [live_hub, live_edge], ids=["hub", "edge"])
def test_the_honest_pair_gets_exactly_what_was_published(world, which):
    seed = random.randrange(1 << 30)
    print("seed", seed, which.run(world, seed, inputs=4000, seconds=600))
