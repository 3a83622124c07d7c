"""A sample of what desynchronizes HTTP servers, as tests/conformance/smuggle.py has it whole: at the edge itself, and at
haproxy and nginx in front of it beside an honest client.
"""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "conformance"))
import smuggle
from conftest import SANITIZED


@pytest.fixture
def stand(world):
    return smuggle.Stand(world)


def test_each_input_gets_what_it_should(stand):
    assert smuggle.direct(stand, stand.chosen(short=True)) == []


@pytest.mark.parametrize("proxy", ("haproxy", "nginx"))
def test_an_honest_client_gets_its_own_answers(stand, proxy):
    requests = 300 if SANITIZED else 1000
    assert smuggle.beside(stand, proxy, stand.chosen(short=True), requests, 1, stand.world.path) == []


def test_expectations_are_judged():
    """What the table says is read as it is meant."""
    assert smuggle.alternatives("200h 404/405 keep|close|413") == [
        ([{200}, {404, 405}], [True, False], "keep"), ([], [], "close"), ([{413}], [False], None)]
