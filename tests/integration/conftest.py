"""The real processes of tests/lib/processes.py, for the tests of this folder and whoever uses them from elsewhere."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from processes import *  # noqa: E402, F401, F403
