"""What the fault tests share: the real processes of tests/lib/processes.py, and `need`.

A fault test says first what of the machine it needs: need("root", "loop"). Where that is missing the test is
skipped with the line `skipped: why`, never passed. With CI set in the environment a skip for any other reason
is a failure, so a test that could run cannot stay out unnoticed.
"""
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from processes import *  # noqa: E402, F401, F403
from processes import SANITIZED, complete, tell, told  # noqa: E402

# A sanitizer has the allocator for itself, and a mutant need be caught but once.
collect_ignore = ["test_inject.py", "test_mutants.py"] if SANITIZED else []

_missing = []  # the reasons for which need() skipped


def _works(*command):
    """None when the command succeeds, else what it said."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]


def _root():
    return None if os.geteuid() == 0 else "not root"


def _loop():
    if _root():
        return _root()
    with tempfile.NamedTemporaryFile() as image:
        image.truncate(1 << 20)
        return _works("sh", "-c", 'd=$(losetup -f --show "$1") && losetup -d "$d"', "sh", image.name)


def _netns():
    return _root() or _works("unshare", "--net", "ip", "link", "set", "lo", "up")


def _strace():
    return _works("strace", "-o", "/dev/null", "-e", "inject=fdatasync:delay_enter=1", "true")


def _chromium():
    return None if shutil.which("chromium") else "chromium is not installed"


_PROBES = {"root": _root, "loop": _loop, "netns": _netns, "strace": _strace, "chromium": _chromium}


@functools.lru_cache(maxsize=None)
def lacks(what):
    """Why this machine does not have it; None when it has."""
    return _PROBES[what]()


def need(*things):
    for what in things:
        why = lacks(what)
        if why is not None:
            reason = f"skipped: {what}: {why}"
            _missing.append(reason)
            tell("missing", reason)
            print(reason)
            pytest.skip(reason)


def pytest_collection_modifyitems(items):
    """What takes longest begins first, so that in the end nobody waits for it alone."""
    items.sort(key=lambda item: item.path.name != "test_torture.py")


def measured(text):
    """Prints what a test has measured, also in the summary, where nothing keeps it back."""
    tell("measured", text)
    print(text)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not any(reason in str(report.longrepr) for reason in _missing):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and not for what need() found missing: {report.longrepr}"
    complete(item, report)


def pytest_terminal_summary(terminalreporter):
    for line in told(terminalreporter, "measured") + told(terminalreporter, "missing"):
        terminalreporter.write_line(line)
