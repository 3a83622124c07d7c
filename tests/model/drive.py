#!/usr/bin/env python3
"""Runs histories through the harness and shows what was seen to the model.

  drive.py [--engine memory|lmdb|both] FILE…    histories that are kept, or were printed
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import history
from reader import Mismatch
from steps import Model, Seen

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DIAGWS_BUILD", ROOT / "build"))

WORLDS = 200  # so many histories a process carries out, for each killed hub leaves something behind in it


class Harness:
    """One that takes history after history."""

    def __init__(self, lines=False):
        shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.dir = tempfile.TemporaryDirectory(prefix="model-", dir=shared)
        self.errors = tempfile.TemporaryFile()
        self.popen, self.lines, self.count = None, lines, 0

    def _start(self):
        env = {**os.environ, "HARNESS_LINES": "1"} if self.lines else None
        self.errors.truncate(0)
        # A hub that is killed leaves its memory behind.
        env = {**(env or os.environ), "ASAN_OPTIONS": "detect_leaks=0"}
        self.popen = subprocess.Popen([BUILD / "tests" / "harness", self.dir.name], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self.errors, text=True, bufsize=1 << 20, env=env)

    def run(self, steps):
        """The lines of each step's answer. One that dies is tried again with one that keeps back nothing."""
        self.count += 1
        if self.popen is not None and self.count % WORLDS == 0:
            self._stop()
        if self.popen is None:
            self._start()
        try:
            self.popen.stdin.write("\n".join(steps) + "\nend\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            pass
        answers, lines = [], []
        for line in self.popen.stdout:
            line = line.rstrip("\n")
            if line == "end":
                self.popen.stdout.readline()
                return answers
            if line == ".":
                answers.append(lines)
                lines = []
            else:
                lines.append(line)
        return self._died(steps, answers, lines)

    def _died(self, steps, answers, lines):
        status = self.popen.wait()
        self.errors.seek(0)
        errors = self.errors.read().decode(errors="replace")
        self.popen = None
        if not self.lines:
            again = Harness(lines=True)
            try:
                return again.run(steps)
            finally:
                again.end()
        said = [line for line in errors.splitlines() if "ERROR:" in line or "runtime error" in line or "Assert" in line]
        return answers + [["the harness died with %s: %s" % (status, " ".join(said)[:500])]]

    def _stop(self):
        self.popen.stdin.close()
        self.popen.wait()
        self.popen.stdout.close()
        self.popen = None

    def end(self):
        if self.popen is not None:
            self._stop()
        self.errors.close()
        self.dir.cleanup()


def judge(steps, answers):
    """None, or (index of the step, what is wrong)."""
    model = Model(history.parse(steps[0])[1])
    for i, step in enumerate(steps):
        words, options = history.parse(step)
        try:
            need = answers[i] if i < len(answers) else ["no answer"]
            model.step(words, options, Seen(need))
        except Mismatch as error:
            return i, str(error)
    return None


def check(harness, steps, engines):
    """None, or (engine, index of the step, what is wrong)."""
    for engine in engines:
        found = judge(history.with_engine(steps, engine), harness.run(history.with_engine(steps, engine)))
        if found:
            return (engine, *found)
    return None


def engines_of(steps, wanted):
    own = history.parse(steps[0])[1].get("engine", "both")
    both = ["memory", "lmdb"]
    return [engine for engine in both if own in (engine, "both") and wanted in (engine, "both")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="both", choices=["memory", "lmdb", "both"])
    parser.add_argument("--verbose", action="store_true", help="what was seen at each step")
    parser.add_argument("file", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    harness, status = Harness(), 0
    for path in options.file:
        steps = history.read(path.read_text())
        for engine in engines_of(steps, options.engine):
            mine = history.with_engine(steps, engine)
            answers = harness.run(mine)
            found = judge(mine, answers)
            for i, step in enumerate(mine if options.verbose or found else []):
                if found and i > found[0]:
                    break
                print("    %s" % step)
                for line in answers[i] if i < len(answers) else []:
                    print("        %s" % line)
            print("%s %s: %s" % (path, engine, "step %d: %s: %s" % (found[0] + 1, mine[found[0]], found[1]) if found else
                                 "ok"))
            status |= found is not None
    harness.end()
    return status


if __name__ == "__main__":
    sys.exit(main())
