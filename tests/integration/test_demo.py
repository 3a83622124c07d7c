"""The README's first command shows what it says."""
import os
import subprocess

from conftest import BIN, PATIENCE, ROOT


def test_the_demo_loses_nothing():
    done = subprocess.run([ROOT / "examples" / "demo.sh"], env={**os.environ, "DIAGWS_BIN": str(BIN)}, capture_output=True,
                          text=True, timeout=6 * PATIENCE)
    assert done.returncode == 0 and "Nothing was lost." in done.stdout, done.stdout + done.stderr
    assert "mallory: closed: 1008 access denied" in done.stdout
