"""Hub restarts under 200 clients and load: the short form of restarts.py, which also judges the time."""
import os
import random
import secrets

from conftest import PATIENCE, measured
from restarts import Trial

RESTARTS = int(os.environ.get("RESTARTS", "3"))
SEED = int(os.environ.get("SEED", secrets.randbelow(1 << 31)))


def test_hub_restarts_drop_no_socket_and_no_message(world):
    trial = Trial(world, 200)
    verdict = trial.run(RESTARTS, random.Random(SEED), 3 * PATIENCE)
    measured(f"seed {SEED}: {trial}")
    assert verdict.ok, f"seed {SEED}: {verdict}: {verdict.faults[:10]}"
