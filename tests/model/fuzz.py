#!/usr/bin/env python3
"""Random histories by the thousand: each engine is to show what the model says. The first that does not is made as short
as it can be and printed, in the form that is kept in histories/.

  fuzz.py [--seeds N] [--seed FIRST] [--engine memory|lmdb|both] [--jobs N] [--keep DIR]

Where both engines are asked, memory's answers are judged, and LMDB's where they differ from them.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import sys
import time

import drive
import generate
import history
from shrink import shrink

BATCH = 100


def nameless(answers):
    """Without the names of sessions and stores, which are random."""
    return re.sub("[0-9a-f]{16,}", "", "\n".join("\n".join(lines) for lines in answers))


def run_batch(first, count, engines):
    """([(seed, engine, step, what)] of the first failure, if any; how many steps were run)."""
    harness, steps_run = drive.Harness(), 0
    try:
        for seed in range(first, first + count):
            steps = generate.make(seed)
            steps_run += len(steps)
            said = None
            for engine in engines:
                mine = history.with_engine(steps, engine)
                answers = harness.run(mine)
                if said is not None and nameless(answers) == said:
                    continue
                found = drive.judge(mine, answers)
                if found:
                    return [(seed, engine, *found)], steps_run
                said = nameless(answers)
    finally:
        harness.end()
    return [], steps_run


def shortest(failure):
    """The history of a failure as text, as short as it can be made."""
    seed, engine, _, _ = failure
    harness = drive.Harness()
    steps = history.with_engine(generate.make(seed), engine)
    steps, what = shrink(steps, lambda steps: drive.judge(steps, harness.run(steps)))
    harness.end()
    return "# seed %d: step %d, '%s':\n# %s\n%s\n" % (seed, what[0] + 1, steps[what[0]], what[1], "\n".join(steps))


def search(seeds, first, engines, jobs, go_on=False):
    """The failures (up to the first seed that fails, or all) and a line about what was done."""
    began, done, steps, failures = time.monotonic(), 0, 0, []
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        end = first + seeds
        waiting = {pool.submit(run_batch, batch, min(BATCH, end - batch), engines): min(BATCH, end - batch)
                   for batch in range(first, end, BATCH)}
        for future in concurrent.futures.as_completed(waiting):
            if future.cancelled():
                continue
            found, count = future.result()
            done, steps = done + waiting[future], steps + count
            failures += found
            if found and not go_on:
                # They began in their order: what began before this one goes on to its end.
                for other in waiting:
                    other.cancel()
    return sorted(failures), "%d histories of %d steps in %.1f s, seeds %d to %d: %s" % (
        done, steps, time.monotonic() - began, first, end - 1, "%d failed" % len(failures) if failures else "ok")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1, help="the first")
    parser.add_argument("--engine", default="both", choices=["memory", "lmdb", "both"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", help="a directory for what failed")
    parser.add_argument("--all", action="store_true", help="go on after a failure: the first of each hundred")
    options = parser.parse_args()
    engines = ["memory", "lmdb"] if options.engine == "both" else [options.engine]
    failures, said = search(options.seeds, options.seed, engines, options.jobs, options.all)
    print(said)
    for failure in failures[:10]:
        text = shortest(failure)
        print(text)
        if options.keep:
            path = pathlib.Path(options.keep) / ("seed-%d" % failure[0])
            path.write_text(text)
            print("kept as %s" % path)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
