"""The arithmetic of a rate against a plain reference, and what is kept for it."""

from itertools import pairwise
from statistics import linear_regression

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import Rate, Repeated
from drivers.reading import Moment, Quality, Reason
from monitor.alarms.facts import NORMAL, Observation, Sample
from monitor.alarms.trend import MOST, STEPS, counted, looked_back, sampled, slope, window
from tests.monitor.alarms.small_plant import BOOTED, NOON, SECOND

MINUTE = 60 * SECOND
RULE = Rate(rising=1.0, per=MINUTE, window=5 * MINUTE)
VALUES = st.floats(-1e6, 1e6)
EVERY_TEN = st.lists(VALUES, min_size=26, max_size=31)


def spaced(values: list[float], step: int = 10 * SECOND, start: int = BOOTED) -> list[Sample]:
    return [Sample(start + place * step, value) for place, value in enumerate(values)]


@given(EVERY_TEN, st.integers(0, 10**18), st.sampled_from([SECOND, MINUTE, 60 * MINUTE]))
def test_the_slope_is_that_of_the_least_squares_line(
    values: list[float], start: int, per: int
) -> None:
    points = spaced(values, start=start)
    seconds = [10.0 * place for place in range(len(values))]
    expected = linear_regression(seconds, values).slope * per / SECOND
    rule = Rate(rising=1.0, per=per, window=5 * MINUTE)
    assert slope(points, rule) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(VALUES, st.floats(-100, 100))
def test_a_straight_line_has_its_own_slope(value: float, per_minute: float) -> None:
    points = spaced([value + per_minute * place / 6 for place in range(31)])
    assert slope(points, RULE) == pytest.approx(per_minute, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ([0], False),
        ([0, 60, 120, 180, 239], False),
        ([0, 60, 120, 180, 240], True),
        ([0, 75, 150, 225, 300], True),
        ([0, 76, 150, 225, 300], False),
        ([60, 120, 180, 240, 300], True),
        ([0, 100, 200, 300], False),
    ],
)
def test_nothing_is_said_of_a_window_with_holes(seconds: list[int], said: bool) -> None:
    points = [Sample(BOOTED + at * SECOND, 37.0) for at in seconds]
    assert (slope(points, RULE) is not None) is said


@given(st.lists(st.integers(0, 40 * SECOND), max_size=120))
def test_what_is_kept_is_little_and_enough(pauses: list[int]) -> None:
    """Spaced by a thirtieth of the window, never more than ``MOST``, never older than needed."""
    kept: tuple[Sample, ...] = ()
    at = BOOTED
    for pause in pauses:
        at += pause
        newest = Sample(at, 37.0)
        kept = sampled(RULE, kept, newest)
        assert len(kept) <= MOST
        assert all(b.boot - a.boot >= RULE.window // STEPS for a, b in pairwise(kept))
        points = window(RULE, kept, newest)
        assert points[-1] == newest
        assert all(at - point.boot <= RULE.window for point in points)
        assert at - kept[-1].boot < RULE.window // STEPS


@pytest.mark.parametrize(
    "observation",
    [
        Observation(None, Quality.BAD, Reason.REFUSED),
        Observation(37.0, Quality.UNCERTAIN, Reason.LAST_USABLE),
        Observation("heating", Quality.GOOD),
        Observation(float("nan"), Quality.GOOD),
    ],
)
def test_what_is_no_number_of_now_is_not_kept(observation: Observation) -> None:
    now = Moment(NOON, BOOTED)
    assert looked_back(RULE, NORMAL, observation, now) == (NORMAL, observation)


@given(
    st.lists(st.tuples(st.integers(18, 22), st.booleans()), max_size=60),
    st.integers(1, 4),
    st.integers(2, 6),
)
def test_what_is_kept_of_the_last_readings_counts_as_all_of_them_do(
    readings: list[tuple[int, bool]], x: int, of: int
) -> None:
    rule = Repeated(x=x, of=of, high=20.0)
    kept: tuple[Sample, ...] = ()
    said: list[int] = []
    for place, (value, doubtful) in enumerate(readings):
        kept = counted(rule, kept, Sample(place, float(value), doubtful))
        said += [value] if value > 20 or not doubtful else []
        assert sum(one.value > 20 for one in kept) == sum(value > 20 for value in said[-of:])
        assert len(kept) <= of
        assert not kept or kept[0].value > 20
