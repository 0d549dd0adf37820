"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.model import Bare, nanoseconds, spell

KNOWN = {
    "500ms": 500 * 10**6,
    "1s": 10**9,
    "2m": 120 * 10**9,
    "1.5h": 5400 * 10**9,
    "7d": 604_800 * 10**9,
    "0.1s": 10**8,
    "0s": 0,
}
REFUSED = [
    Bare(5),
    1.5,
    True,
    None,
    "5",
    "s",
    "",
    "five s",
    "5 weeks",
    "nans",
    "infs",
    "1m30s",
    "5S",
]


@pytest.mark.parametrize(("text", "expected"), KNOWN.items())
def test_a_number_with_a_unit(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_told_what_a_duration_is(text: object) -> None:
    with pytest.raises(ValueError, match="500ms, 1s, 2m, 8h, 7d"):
        nanoseconds(text)


def test_code_hands_over_nanoseconds() -> None:
    assert nanoseconds(5) == 5


@given(st.integers(1, 10**15))
def test_what_is_spelt_is_read_back(microseconds: int) -> None:
    duration = microseconds * 1000
    assert nanoseconds(spell(duration)) == duration
