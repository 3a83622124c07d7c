"""The short form of `make torture`: about 20 kills, roomy logs and small ones."""
import pytest

import torture


@pytest.mark.parametrize("limit, age, kills", [(10000, 0, 12), (5, 10, 8)], ids=["roomy", "small"])
def test_nothing_is_lost(limit, age, kills, tmp_path_factory):
    # A socket path has 107 bytes at most: keep ours short.
    assert torture.torture(torture.arguments([
        "--kills", str(kills), "--clients", "120", "--queue-limit", str(limit), "--queue-ttl", str(age),
        "--dir", str(tmp_path_factory.mktemp("t").resolve())])) == []
