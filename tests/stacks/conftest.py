"""What the stacks' tests share: the real processes of the integration tests, and the line that says which stacks ran.

`used("go", …)` notes a stack with its version; `missing(…)` notes why one is not here, and skips its test. Both are told
in the summary, where nothing keeps them back.
"""
import importlib.util
import pathlib
import sys

import pytest

_path = pathlib.Path(__file__).resolve().parents[1] / "integration" / "conftest.py"
_spec = importlib.util.spec_from_file_location("integration_conftest", _path)
integration = importlib.util.module_from_spec(_spec)
sys.modules["integration_conftest"] = integration
_spec.loader.exec_module(integration)
globals().update({name: value for name, value in vars(integration).items() if not name.startswith("_")})

_used = set()
_missing = set()


def used(what):
    _used.add(what)


def missing(why):
    _missing.add(why)
    pytest.skip(why)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("stacks used: " + ", ".join(sorted(_used)))
    if _missing:
        terminalreporter.write_line("stacks not used: " + ", ".join(sorted(_missing)))
