"""The short form of `make clinic-kills`."""
import clinic


def test_everybody_knows_the_same(tmp_path_factory):
    # A socket path has 107 bytes at most: keep ours short.
    assert clinic.clinic(clinic.arguments(["--kills", "6", "--dir", str(tmp_path_factory.mktemp("c").resolve())])) == []
