"""The README's commands show what they say."""
import os
import subprocess

from conftest import BIN, PATIENCE, ROOT


def test_the_demo_loses_nothing():
    done = subprocess.run([ROOT / "examples" / "demo.sh"], env={**os.environ, "DIAGWS_BIN": str(BIN)}, capture_output=True,
                          text=True, timeout=6 * PATIENCE)
    assert done.returncode == 0 and "Nothing was lost." in done.stdout, done.stdout + done.stderr
    assert "mallory: closed: 1008 access denied" in done.stdout


def test_the_clinic_tells_of_a_ranking_that_turned():
    done = subprocess.run([ROOT / "examples" / "demo-clinic.sh"], env={**os.environ, "DIAGWS_BIN": str(BIN), "SCRIPT": "1"},
                          capture_output=True, text=True, timeout=6 * PATIENCE)
    assert done.returncode == 0 and "Everybody who watches knows." in done.stdout, done.stdout + done.stderr
    assert "/#diagnosis=101&token=" in done.stdout and "effectiveness_update: " in done.stdout
