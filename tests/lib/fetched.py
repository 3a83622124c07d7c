"""What tests use of other people's programs: `used("go", …)` notes one with its version, `missing(…)` why one is not here,
and skips its test; both are told in the summary, where nothing keeps them back. `fetch` has a package manager get what a
folder of ours pins, into build/stacks.
"""
import os
import shutil
import subprocess

import pytest

from processes import BUILD, PATIENCE, tell, told

MADE = BUILD / "stacks"
FETCH_S = 120  # npm and go, where they have nothing yet


def used(what):
    tell("used", what)


def missing(why):
    tell("missing", why)
    pytest.skip(why)


def tool(name, *version):
    """The first line of what it says of its version; the test is skipped when it is not here."""
    if shutil.which(name) is None:
        missing(f"{name} is not installed")
    done = subprocess.run([name, *version], capture_output=True, text=True, timeout=PATIENCE)
    return (done.stdout + done.stderr).splitlines()[0]


def fetch(folder, *command, env=None):
    """Runs a package manager on a copy of a folder of ours."""
    copy = MADE / folder.name
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=FETCH_S,
                          env={**os.environ, **(env or {})})
    if done.returncode != 0:
        missing(f"{folder.name}: {command[0]} fetched nothing: {(done.stderr.splitlines() or ['no word'])[-1]}")
    return copy


def npm(folder):
    """A folder's packages, as its lock file pins them; fetched once."""
    lock, have = folder / "package-lock.json", MADE / folder.name / "fetched.json"
    if not have.exists() or have.read_bytes() != lock.read_bytes():
        tool("npm", "--version")
        fetch(folder, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
        shutil.copy(lock, have)
    return MADE / folder.name / "node_modules"


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("stacks used: " + ", ".join(told(terminalreporter, "used")))
    if missed := told(terminalreporter, "missing"):
        terminalreporter.write_line("stacks not used: " + ", ".join(missed))
