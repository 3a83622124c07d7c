"""What was broken once stays mended, and ten thousand random histories show what the model says, on each engine; some also
through real processes.

A failure prints a history, as short as it was made. To look at it: keep it in a file, and

  make build/tests/harness && tests/model/drive.py --verbose FILE

shows what was seen at each step, up to the one that cannot be; HARNESS_LOG=1 build/tests/harness DIR <FILE also what hub
and edges log, and runs under gdb. Who is wrong, the code or the model, is for the reader to say: the model's rules are in
rules.py (messages), model.py (devices, joins), steps.py and outside.py (what each step does), reader.py (what one client
may be told). What is mended is kept in histories/.
"""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import drive  # noqa: E402
import fuzz  # noqa: E402
import history  # noqa: E402
import real  # noqa: E402

SANITIZED = "sanitize" in drive.BUILD.name
REAL = int(os.environ.get("REAL", 5 if SANITIZED else 40))
SEEDS = int(os.environ.get("SEEDS", 500 if SANITIZED else 5000))


KEPT = {path.name: history.read(path.read_text()) for path in sorted((HERE / "histories").iterdir())}


@pytest.mark.parametrize("name, engine", [(name, engine) for name in KEPT for engine in drive.engines_of(KEPT[name], "both")])
def test_a_history(name, engine):
    steps = KEPT[name]
    harness = drive.Harness()
    try:
        found = drive.check(harness, steps, [engine])
    finally:
        harness.end()
    assert found is None, "step %d, '%s': %s" % (found[1] + 1, steps[found[1]], found[2])


# What real processes cannot play needs time to go by.
@pytest.mark.parametrize("name", [name for name in KEPT if real.playable(KEPT[name])])
def test_a_history_through_real_processes(name):
    found = real.play(KEPT[name])
    assert found is None, real.text(KEPT[name], found, name)


def test_random_histories_through_real_processes():
    failures = real.search(int(os.environ.get("SEED", 1)), REAL, 6)
    assert not failures, "\n".join(real.text(real.random_history(seed), found, "seed %d" % seed) for seed, found in failures)


def test_random_histories():
    failures, said = fuzz.search(SEEDS, int(os.environ.get("SEED", 1)), ["memory", "lmdb"], os.cpu_count())
    print(said)
    assert not failures, fuzz.shortest(failures[0])
