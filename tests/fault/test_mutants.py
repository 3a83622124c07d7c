"""Mutants: the product broken on purpose, one promise at a time. Each must be caught by the test that names the promise.

mutants/NAME.patch begins with what it breaks and the lines `caught by: TEST` (maybe several) and `shows: WORDS` (a
regular expression that each failure's text must hold, so that a mutant which merely does not start is not taken for
caught). It is applied to a copy of the sources and built beside copies of the objects, so only what
it changes is compiled; then each test runs on that build and must fail. The same test passes on the clean build: it is
in the suite itself. A patch that no longer applies is a failure. Where test_random_histories is named it must catch the
mutant within MODEL_SEEDS random histories, whatever the kept ones do; the first seed that does is told with the test.

A short run takes what a server of this kind must never do; DIAGWS_FAULT=long, or `make mutants`, all.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("DIAGWS_BUILD", ROOT / "build"))
SHORT = ("commit-without-sync", "answer-before-commit", "number-before-commit", "id-forgotten")
ALL = sorted(path.stem for path in (HERE / "mutants").glob("*.patch"))
BUILD_S, TEST_S = 300, 120
MODEL_SEEDS = 1000


class Survived(Exception):
    """The mutant was not made, or not caught as it must be."""


def run(arguments, seconds, **more):
    """(status, output) of a command that ends in time, with all that it started."""
    process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True, **more)
    try:
        output = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise Survived(f"not over after {seconds} s: {arguments}\n{process.communicate()[0]}") from None
    return process.returncode, output


def read(patch):
    """(the tests that must catch it, what their failures show)."""
    text = patch.read_text()
    files = re.findall(r"^\+\+\+ b/(\S+)", text, re.M)
    # The objects are copied without their dependencies: a header would be compiled into nothing.
    if not files or not all(name.endswith(".c") for name in files):
        raise Survived(f"{patch.name}: only .c files can be changed")
    return re.findall(r"^caught by: (.+)$", text, re.M), re.search(r"^shows: (.+)$", text, re.M)[1]


def make(patch, path, model):
    """The folder of a build with the patch; model: with the harness of tests/model."""
    tree, build = path / "tree", path / ("build-sanitize" if "sanitize" in BUILD.name else "build")
    tests = ["tests/model", "tests/lib"] if model else []
    for part in ("cmd", "lib", "include", *tests):
        shutil.copytree(ROOT / part, tree / part)
    shutil.copy2(ROOT / "Makefile", tree)
    for part in ("cmd", "lib", "bin", *(part for part in tests if (BUILD / part).is_dir())):
        shutil.copytree(BUILD / part, build / part, ignore=shutil.ignore_patterns("*.d"), symlinks=True)
    status, output = run(["patch", "-p1", "-s", "-F0", "--no-backup-if-mismatch", "-d", tree, "-i", patch], BUILD_S)
    if status != 0:
        raise Survived(f"{patch.name} does not apply any more:\n{output}")
    sanitize = ["SANITIZE=address,undefined"] if "sanitize" in BUILD.name else []
    status, output = run(["make", "-C", tree, f"BUILD={build}", "WERROR=", *sanitize,
                          *(build / "bin" / program.name for program in (BUILD / "bin").iterdir()),
                          *([build / "tests" / "harness"] if model else [])], BUILD_S,
                         env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")})
    if status != 0:
        raise Survived(f"{patch.name} does not build:\n{output}")
    return build


def catch(name, path):
    """The tests that caught the mutant, and with which random history."""
    patch = HERE / "mutants" / f"{name}.patch"
    tests, shows = read(patch)
    env = {**os.environ, "DIAGWS_BUILD": str(make(patch, path, any(test.startswith("tests/model/") for test in tests))),
           "DIAGWS_FAULT": "short", "SEEDS": str(MODEL_SEEDS)}
    caught = []
    for test in tests:
        status, output = run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=short", test],
                             TEST_S, cwd=ROOT, env=env)
        if status != 1 or f"FAILED {test}" not in output:
            raise Survived(f"{name} was not caught by {test}:\n{output}")
        if not re.search(shows, output):
            raise Survived(f"{name}: {test} failed, but not with '{shows}':\n{output}")
        seed = re.search(r"# seed (\d+): step", output)
        caught.append(f"{test} (seed {seed[1]})" if seed else test)
    return ", ".join(caught)


@pytest.mark.parametrize("name", ALL if os.environ.get("DIAGWS_FAULT") == "long" else SHORT)
def test_a_mutant_is_caught(name, tmp_path):
    catch(name, tmp_path)


def main():
    missed = 0
    print(f"{'mutant':32} caught by", flush=True)
    for name in sys.argv[1:] or ALL:
        with tempfile.TemporaryDirectory(prefix="mutant-") as path:
            try:
                print(f"{name:32} {catch(name, pathlib.Path(path))}", flush=True)
            except Survived as survived:
                missed += 1
                print(f"{name:32} NOT CAUGHT\n{survived}", flush=True)
    print(f"{missed} not caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
