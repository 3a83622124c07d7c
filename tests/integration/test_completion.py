"""Completion as bash does it: the function by itself, and the Tab key on a terminal."""
import os
import pty
import re
import select
import subprocess
import time

import pytest

from conftest import BIN, PATIENCE, ROOT

COMMANDS = ["diagws-hub", "diagws-edge", "diagws-send", "diagws-stat", "diagws-owner", "diagws-token",
            "diagws-bench", "diagws-clinic"]


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
    assert set(complete("diagws", "")) >= {"up", "send", "stat", "owner", "token", "bench", "clinic", "hub", "edge",
                                          "help"}
    assert set(complete("diagws-owner", "")) >= {"grant", "revoke", "list", "import"}
    assert set(complete("diagws-bench", "")) >= {"fanout", "latency", "connect", "storm", "publish", "memory"}
    assert "--edges" in complete("diagws", "up", "--")
    assert complete("diagws", "help", "st") == ["stat"]
    assert not any(word.startswith("-") for word in complete("diagws", "help", ""))


def test_every_command_is_registered():
    script = f"source {ROOT}/completions/diagws.bash; complete -p {' '.join(['diagws', *COMMANDS])}"
    subprocess.run(["bash", "-c", script], check=True, capture_output=True, timeout=PATIENCE)


def test_offers_files(tmp_path):
    (tmp_path / "update.json").write_text("{}")
    (tmp_path / "keys").mkdir()
    assert complete("diagws-send", "effectiveness", "123", "@upd", cwd=tmp_path) == ["@update.json"]
    assert complete("diagws-edge", "--keys", "k", cwd=tmp_path) == ["keys"]
    assert complete("diagws-edge", "--keys", "u", cwd=tmp_path) == []
    assert sorted(complete("diagws-token", "mint", "--key-file", "", cwd=tmp_path)) == ["keys", "update.json"]


def test_offers_choices():
    assert complete("diagws-stat", "--color", "ne") == ["never"]
    assert complete("diagws-stat", "--color", "=", "al") == ["always"]
    assert complete("diagws-send", "-u", "") == []


def read_until(fd, wanted):
    """What the terminal shows up to and with `wanted`; bounded."""
    shown, end = b"", time.monotonic() + PATIENCE
    while wanted not in shown:
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        assert ready, f"{wanted} did not come: {shown}"
        shown += os.read(fd, 4096)
    return shown


def press_tab(line, cwd):
    """The line after Tab, as an interactive bash has it: an echo is put around it (Ctrl-A, Ctrl-E)."""
    terminal, shell = pty.openpty()
    process = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=shell, stdout=shell, stderr=shell,
                               cwd=cwd, start_new_session=True,
                               env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb",
                                    "INPUTRC": "/dev/null"})
    os.close(shell)
    try:
        os.write(terminal, f"source {ROOT}/completions/diagws.bash; echo rea''dy\n".encode())
        read_until(terminal, b"ready\r\n")
        os.write(terminal, f"{line}\t\x01echo lin''e \x05 do''ne\n".encode())
        shown = read_until(terminal, b" done\r\n").decode()
        return re.search(r"\nline (.*?) +done\r\n", shown).group(1)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(terminal)


@pytest.mark.parametrize("typed, becomes", [
    ("diagws-send note_update 123 @up", "diagws-send note_update 123 @update.json"),
    ("diagws-token mint --key-file up", "diagws-token mint --key-file update.json"),
    ("diagws-edge --keys=k", "diagws-edge --keys=keys/"),
    ("diagws-stat --color=al", "diagws-stat --color=always"),
    ("diagws send --rece", "diagws send --receipts"),
])
def test_tab_key(tmp_path, typed, becomes):
    (tmp_path / "update.json").write_text("{}")
    (tmp_path / "keys").mkdir()
    assert press_tab(typed, tmp_path) == becomes
