"""diagws-token from outside: what mint makes, check accepts, and check names the exact fault of the rest."""
import base64
import json
import os
import pty
import re
import subprocess
import time

import pytest

from conftest import BIN, PATIENCE, until


def check(world, token, *arguments):
    return world.run("diagws-token", "check", "--keys", world.keys, *arguments, input=token, check=False)


def mint(world, *arguments):
    return world.run("diagws-token", "mint", *arguments, check=False)


def part(token, index):
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_what_is_minted_is_accepted(world):
    token = world.token("dr. bób", "--ttl", "2h", "--scope", "publish stat", "--diagnosis", "123", "--diagnosis", "x-1")
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    assert part(token, 0) == {"alg": "HS256", "kid": "test", "typ": "JWT"}
    payload = part(token, 1)
    assert payload["exp"] - payload["iat"] == 7200 and abs(payload["iat"] - time.time()) < 60
    claims = json.loads(check(world, token + "\n", "--json").stdout)
    assert (claims["sub"], claims["scope"], claims["exp"]) == ("dr. bób", "publish stat", payload["exp"])
    assert claims["diagnoses"] == [123, "x-1"]
    path = world.path / "token"
    path.write_text(token)
    lines = dict(row.split("\t") for row in check(world, None, path).stdout.splitlines() if "diagnosis" not in row)
    assert lines["sub"] == "dr. bób" and lines["exp"] == str(payload["exp"])
    done = check(world, token, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def fault(world, token, *arguments):
    done = check(world, token, *arguments)
    assert done.returncode == 77 and done.stdout == ""
    assert token.strip() == "" or token.strip() not in done.stderr
    return done.stderr


def test_check_names_the_fault(world):
    token = world.token("alice", "--audience", "x", "--issuer", "here")
    assert "aud is 'x', want 'y'" in fault(world, token, "--audience", "y")
    assert "iss is 'here', want 'there'" in fault(world, token, "--issuer", "there")
    assert "aud is missing, want 'y'" in fault(world, world.token("alice"), "--audience", "y")
    assert check(world, token, "--audience", "x", "--issuer", "here").returncode == 0
    head, body, signature = token.split(".")
    for wrong in ("nonsense", "a.b", f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}", f"{head}.{body[:-2]}.{signature}"):
        assert "[DW12" in fault(world, wrong)
    assert "[DW12" in fault(world, "")


def test_check_tells_since_when_a_token_is_expired(world):
    token = world.token("alice", "--ttl", "1s")
    done = until(lambda: (lambda done: done if done.returncode else None)(check(world, token)), "the token to expire")
    assert done.returncode == 77
    assert re.search(r"expired \d+ (s|sec|second|seconds) ago", done.stderr), done.stderr
    assert check(world, token, "--leeway", "30s").returncode == 0


@pytest.mark.parametrize("arguments, status", [
    ([], 64), (["nonsense"], 64), (["mint"], 64), (["mint", "--sub", "alice"], 64), (["mint", "--key-file", "KEY"], 64),
    (["mint", "--key-file", "KEY", "--sub", "alice", "x"], 64), (["mint", "--key-file", "KEY", "--sub", "a", "--ttl", "x"], 64),
    (["mint", "--key-file", "KEY", "--sub", "a", "--json"], 64), (["mint", "--key-file", "/no/such.hs256", "--sub", "a"], 66),
    (["check"], 64), (["check", "--keys", "KEYS", "--sub", "a"], 64), (["check", "--keys", "KEYS", "a", "b"], 64),
    (["check", "--keys", "KEYS", "--leeway", "31s"], 64), (["check", "--keys", "KEYS", "/no/such"], 66),
    (["check", "--keys", "/no/such"], 66)])
def test_exit_status(world, arguments, status):
    names = {"KEY": world.key, "KEYS": world.keys}
    done = world.run("diagws-token", *(names.get(word, word) for word in arguments), input="", check=False)
    assert done.returncode == status, done.stderr
    assert done.stdout == "" and done.stderr.startswith("diagws-token: ")


@pytest.mark.parametrize("arguments", [["--sub", ""], ["--sub", "x" * 129], ["--sub", "a", "--diagnosis", "a b"],
                                       ["--sub", "a", "--scope", "nonsense"]])
def test_names_that_no_edge_would_take_are_not_minted(world, arguments):
    done = mint(world, "--key-file", world.key, *arguments)
    assert done.returncode in (64, 65)
    assert done.stdout == "" and done.stderr.startswith("diagws-token: ")


def test_a_terminal_is_not_asked_for_a_token(world):
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run([BIN / "diagws-token", "check", "--keys", world.keys], stdin=theirs, capture_output=True,
                              text=True, timeout=PATIENCE, env={**os.environ, **world.env})
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 64
    assert "a terminal" in done.stderr


def test_a_token_that_cannot_be_printed(world):
    done = world.run("sh", "-c", f"diagws-token mint --key-file {world.key} --sub a >/dev/full", check=False)
    assert done.returncode == 74
