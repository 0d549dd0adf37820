import pytest

from config.problems import plain
from drivers.base import LineLost


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no answer within 2 s", "no answer within 2 s"),
        ("°C", "°C"),
        ("K\nERROR forged", "K\\nERROR forged"),
        ("\x1b[2J\u202e", "\\x1b[2J\\u202e"),
    ],
)
def test_what_a_peer_says_cannot_forge_a_line_of_the_log(said: str, shown: str) -> None:
    assert plain(said) == shown
    assert str(LineLost(said)) == shown
