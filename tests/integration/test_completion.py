"""Completion as bash does it."""
import os
import subprocess

import pytest

from conftest import BIN, PATIENCE, ROOT

COMMANDS = ["diagws-hub", "diagws-edge", "diagws-send", "diagws-stat", "diagws-owner", "diagws-token"]


def complete(*words, cwd=None):
    """What bash would offer for the last word."""
    quoted = " ".join("'" + word + "'" for word in words)
    script = (f"source {ROOT}/completions/diagws.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
              "_diagws; printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE, cwd=cwd,
                          env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"})
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_offers_every_option(command):
    words = subprocess.run([BIN / command, "--list-words"], capture_output=True, text=True, check=True).stdout.split()
    options = [word for word in words if word.startswith("--")]
    assert "--help" in options
    assert sorted(complete(command, "--")) == sorted(options)
    assert sorted(complete("diagws", command.removeprefix("diagws-"), "--")) == sorted(options)
    assert complete(command, "--hel") == ["--help"]


def test_offers_commands():
    assert complete("diagws", "st") == ["stat"]
    assert set(complete("diagws", "")) >= {"up", "send", "stat", "owner", "token", "hub", "edge", "help"}
    assert set(complete("diagws-owner", "")) >= {"grant", "revoke", "list", "import"}
    assert "--edges" in complete("diagws", "up", "--")


def test_every_command_is_registered():
    script = f"source {ROOT}/completions/diagws.bash; complete -p {' '.join(['diagws', *COMMANDS])}"
    subprocess.run(["bash", "-c", script], check=True, capture_output=True, timeout=PATIENCE)


def test_offers_files(tmp_path):
    (tmp_path / "update.json").write_text("{}")
    (tmp_path / "keys").mkdir()
    assert complete("diagws-send", "effectiveness", "123", "@upd", cwd=tmp_path) == ["@update.json"]
    assert complete("diagws-edge", "--keys", "k", cwd=tmp_path) == ["keys"]
    assert complete("diagws-edge", "--keys", "u", cwd=tmp_path) == []
