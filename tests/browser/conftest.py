"""What the browser's tests share: the real processes of tests/lib/processes.py, and what they fetch."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from fetched import *  # noqa: E402, F401, F403
from processes import *  # noqa: E402, F401, F403
