"""Conversions are exact, reversible, and only between units of one dimension."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.units import SPELLINGS, UNITS, UnitError, conversion, convert, exact, symbol

PAIRS = [(a, b) for a, b in product(UNITS, UNITS) if UNITS[a].dimension == UNITS[b].dimension]

KNOWN = [
    (37.0, "Cel", "[degF]", 98.6),
    (98.6, "degF", "degC", 37.0),
    (0.0, "degC", "K", 273.15),
    (-80.0, "°C", "K", 193.15),
    (50000.0, "ppm", "%", 5.0),
    (1013.25, "hPa", "Pa", 101325.0),
    (15.0, "Pa", "mbar", 0.15),
    (1.0, "bar", "mbar", 1000.0),
    (1.0, "in", "mm", 25.4),
    (0.1, "L/min", "mL/min", 100.0),
]


@pytest.mark.parametrize(("value", "unit", "wanted", "expected"), KNOWN)
def test_known_conversions_are_correctly_rounded(
    value: float, unit: str, wanted: str, expected: float
) -> None:
    assert convert(value, unit, wanted) == expected


@given(st.sampled_from(PAIRS), st.floats(-1e6, 1e6))
def test_there_and_back_is_where_it_was(pair: tuple[str, str], value: float) -> None:
    there, back = conversion(*pair), conversion(pair[1], pair[0])
    assert back(there(value)) == exact(value)


@given(st.sampled_from(PAIRS), st.sampled_from(PAIRS), st.integers(-1000, 1000))
def test_maps_compose(first: tuple[str, str], second: tuple[str, str], value: int) -> None:
    one, two = conversion(*first), conversion(*second)
    assert two.after(one)(value) == two(one(value))


def test_what_is_written_is_what_is_meant() -> None:
    assert exact(0.1) == Fraction(1, 10)


def test_spellings_lead_to_units_of_the_table() -> None:
    assert {symbol(spelling) for spelling in SPELLINGS} <= UNITS.keys()
    assert not SPELLINGS.keys() & UNITS.keys()


def test_what_does_not_convert_says_so() -> None:
    with pytest.raises(UnitError, match=r"'%' \(fraction\) does not convert to '%RH'"):
        conversion("%", "%RH")
    with pytest.raises(UnitError, match="there is no unit 'furlong'"):
        conversion("furlong", "m")
