"""`make bench`: a row is measured on real processes, a report keeps what was written by hand. No speed is judged."""
import importlib
import re
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT

BENCH = ROOT / "tests" / "bench"


@pytest.fixture
def bench(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCH)
    module = importlib.import_module("bench")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "RESULTS.md")
    return module


def test_rows_of_ours_can_be_measured():
    done = subprocess.run([sys.executable, BENCH / "bench.py", "--quick", "connect", "storm"], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    text = (BUILD / "RESULTS-quick.md").read_text()
    assert re.search(r"^Today: p99 [\d.,]+ ms\. \*\*(met|missed)\*\*$", text, re.M), text
    assert re.search(r"^Today: [\d.]+ s, 0 lost\.", text, re.M), text


def test_attacks_can_be_measured():
    """Two of them, one at each socket; what they cost on a busy machine is not judged."""
    done = subprocess.run([sys.executable, BENCH / "attacks.py", "--runs", "1", "--seconds", "1", "subscribe", "publish"],
                          capture_output=True, text=True, timeout=180)
    assert done.returncode in (0, 1), done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 2 and all("not measured" not in row[-1] for row in rows), done.stdout
    did = re.findall(r"\(([\d,]+) done\)", done.stderr)
    assert len(did) == 2 and "0" not in did, done.stderr


def test_only_what_was_measured_is_written_anew(bench):
    bench.RESULTS.write_text(bench.report(
        {"fanout": "## Fan-out\n\nTarget: low.\n\nToday: 7 µs. **met**\n\nold",
         "storm": "## Storm\n\nTarget: t.\n\nToday: x."},
        {"fanout": "a note\n"}))
    sections, by_hand = bench.old_parts()
    sections["storm"] = sections["storm"].replace("x.", "2 s. **missed**")
    bench.RESULTS.write_text(bench.report(sections, by_hand))
    text = bench.RESULTS.read_text()
    assert "| Fan-out | low | 7 µs | **met** |" in text and "| Storm | t | 2 s | **missed** |" in text
    assert text.count("a note") == 1 and "\nold\n" in text


def test_a_contestant_that_fails_fails_alone(bench):
    class Row(bench.ROWS[0]):
        pass

    def fails():
        raise bench.Failed("no luck")

    row = Row(bench.Bench(quick=True))
    row.contestants = {label: lambda: {"cpu": 2.0, "rate": 1.0} for label in row.contestants}
    row.contestants["Nchan"] = fails
    found, failed, rounds = bench.measure(row, 2, bench.Progress(), 1)
    text = bench.section(row, rounds, found, failed, "today")
    assert "- failed: Nchan: no luck" in text and "| Nchan | – |" in text
    assert ("Today: 2.00 µs, 1.00 × the bare loop, 1.00 × one that asks for confirmations; 1.00 × the bare loop's "
            "CPU, from an empty room. **met**") in text


def test_another_build_is_measured_by_turns(bench, tmp_path):
    measured = []

    def ours():
        measured.append(bench.Diagws.build)
        return {"cpu": 2.0 if bench.Diagws.build == bench.BUILD else 4.0}

    row = bench.ROWS[0](bench.Bench(quick=True))
    row.contestants = {label: (lambda: {"cpu": 2.0}) if label.startswith(bench.OTHERS) else ours
                       for label in row.contestants}
    found, failed, rounds = bench.measure(row, 2, bench.Progress(), 1, beside=tmp_path)
    here, there = bench.BUILD, tmp_path
    assert not failed and measured == [here, there] * 3 + [there, here] * 3
    assert "| diagws | cpu | 2 | 4 | 0.500 |" in bench.section(row, rounds, found, failed, "today")
