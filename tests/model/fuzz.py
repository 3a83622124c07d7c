"""Random histories by the thousand: each engine is to show what the model says. The first that does not is made as short
as it can be and printed, in the form that is kept in histories/.

  fuzz.py [--seeds N] [--seed FIRST] [--engine memory|lmdb|both] [--jobs N] [--keep DIR]

Where both engines are asked, memory's answers are judged, and LMDB's where they differ from them.
"""
import argparse
import concurrent.futures
import os
import pathlib
import sys
import time

import drive
import generate
import history
from shrink import shrink

BATCH = 100


def run_batch(first, count, engines):
    """[(seed, engine, step, what)] of the first failure, if any; and how many steps were run."""
    harness, steps_run = drive.Harness(), 0
    try:
        for seed in range(first, first + count):
            steps = generate.make(seed)
            steps_run += len(steps)
            said = None
            for engine in engines:
                mine = history.with_engine(steps, engine)
                answers = harness.run(mine)
                if answers == said:
                    continue
                found = drive.judge(mine, answers)
                if found:
                    return [(seed, engine, *found)], steps_run
                said = answers
    finally:
        harness.end()
    return [], steps_run


def report(failure, keep):
    seed, engine, _, _ = failure
    harness = drive.Harness()
    steps = history.with_engine(generate.make(seed), engine)
    steps, what = shrink(steps, lambda steps: drive.judge(steps, harness.run(steps)))
    harness.end()
    text = "# seed %d: step %d, '%s':\n# %s\n%s\n" % (seed, what[0], steps[what[0]], what[1], "\n".join(steps))
    print(text)
    if keep:
        path = pathlib.Path(keep) / ("seed-%d" % seed)
        path.write_text(text)
        print("kept as %s" % path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1, help="the first")
    parser.add_argument("--engine", default="both", choices=["memory", "lmdb", "both"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", help="a directory for what failed")
    parser.add_argument("--all", action="store_true", help="go on after a failure, and count them")
    options = parser.parse_args()
    engines = ["memory", "lmdb"] if options.engine == "both" else [options.engine]
    began, done, steps, failures = time.monotonic(), 0, 0, []
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        end = options.seed + options.seeds
        waiting = {pool.submit(run_batch, first, min(BATCH, end - first), engines): min(BATCH, end - first)
                   for first in range(options.seed, end, BATCH)}
        for future in concurrent.futures.as_completed(waiting):
            found, count = future.result()
            done, steps = done + waiting[future], steps + count
            failures += found
            if found and not options.all:
                for other in waiting:
                    other.cancel()
                break
    print("%d histories, %d steps, %.1f s, seeds %d to %d: %s" % (
        done, steps, time.monotonic() - began, options.seed, end - 1, "%d failed" % len(failures) if failures else "ok"))
    for failure in sorted(failures)[:1 if not options.all else 10]:
        report(failure, options.keep)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
