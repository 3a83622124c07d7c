"""What the stacks' tests share: the real processes of tests/lib/processes.py, and the line that says which stacks ran.

`used("go", …)` notes a stack with its version; `missing(…)` notes why one is not here, and skips its test. Both are told
in the summary, where nothing keeps them back.
"""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from processes import *  # noqa: E402, F401, F403
from processes import tell, told  # noqa: E402


def used(what):
    tell("used", what)


def missing(why):
    tell("missing", why)
    pytest.skip(why)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("stacks used: " + ", ".join(told(terminalreporter, "used")))
    if missed := told(terminalreporter, "missing"):
        terminalreporter.write_line("stacks not used: " + ", ".join(missed))
