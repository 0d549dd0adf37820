from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.excursions.segment import NONE, Limit, Part, beyond

DEPTHS = st.floats(-50, 50).map(lambda depth: round(depth, 3))


@pytest.mark.parametrize(
    ("before", "after", "span", "part"),
    [
        (-1.0, -2.0, 60.0, NONE),
        (-1.0, 0.0, 60.0, NONE),
        (0.0, 0.0, 60.0, NONE),
        (1.0, 3.0, 60.0, Part(60.0, 120.0)),
        (0.0, 2.0, 60.0, Part(60.0, 60.0)),
        (-1.0, 1.0, 60.0, Part(30.0, 15.0)),
        (-3.0, 1.0, 60.0, Part(15.0, 7.5)),
        (1.0, -3.0, 60.0, Part(15.0, 7.5)),
        (5.0, 5.0, 0.0, Part(0.0, 0.0)),
    ],
)
def test_what_lies_beyond(before: float, after: float, span: float, part: Part) -> None:
    assert beyond(before, after, span) == pytest.approx(part)


def test_the_formula_of_the_crossing() -> None:
    """(x2 - L)^2 / (2 (x2 - x1)) * span, for a line that crosses the limit."""
    x1, x2, limit, span = 36.8, 38.1, 37.5, 12.0
    assert beyond(x1 - limit, x2 - limit, span).area == pytest.approx(
        (x2 - limit) ** 2 / (2 * (x2 - x1)) * span
    )


@given(DEPTHS, DEPTHS, st.floats(0.1, 3600))
def test_it_is_what_adding_up_small_steps_gives(before: float, after: float, span: float) -> None:
    steps = 2000
    line = [before + (after - before) * n / steps for n in range(steps + 1)]
    area = sum((max(0, a) + max(0, b)) / 2 for a, b in pairwise(line)) * span / steps
    time = sum((a + b) / 2 > 0 for a, b in pairwise(line)) * span / steps
    part = beyond(before, after, span)
    assert part.area == pytest.approx(area, rel=1e-3, abs=span * 0.05)
    assert part.time == pytest.approx(time, abs=2 * span / steps)


def test_a_low_limit_is_a_high_one_upside_down() -> None:
    low, high = Limit(4.0, high=False), Limit(6.0, high=True)
    assert (low.depth(3.5), high.depth(6.5)) == (0.5, 0.5)
    assert (low.at(0.5), high.at(0.5)) == (3.5, 6.5)
