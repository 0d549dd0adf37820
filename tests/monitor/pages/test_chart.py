import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.pages import chart

SECOND = 10**9
START = 1_770_000_000 * SECOND


def line(span: float, *readings: tuple[float, float | None], longest: float = 3) -> chart.Line:
    drawn = chart.Line(START, START + round(span * SECOND), round(longest * SECOND))
    for at, value in readings:
        drawn.add(START + round(at * SECOND), value)
    drawn.finish()
    return drawn


def drawn_heights(found: chart.Line, to: chart.Scale) -> list[float]:
    texts = chart.paths(found, to)
    return [float(y) for text in texts for y in re.findall(r"[ML][\d.]+ ([\d.]+)", text)]


def test_a_line_is_drawn_from_side_to_side() -> None:
    found = line(10, *((n, float(n)) for n in range(11)), longest=1)
    to = chart.Scale(0, 10)
    [path] = chart.paths(found, to)
    assert path.startswith(f"M{chart.LEFT}.0 {chart.BOTTOM}.0")
    assert path.endswith(f"L{chart.RIGHT}.0 {chart.TOP}.0")
    assert found.gaps == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 49_999), st.floats(-5, 5))
def test_no_extreme_is_lost_among_thousands_of_readings(place: int, base: float) -> None:
    readings = [(n / 10, base + math.sin(n / 500)) for n in range(50_000)]
    readings[place] = (place / 10, base + 9.0)
    found = line(5_000, *readings)
    to = chart.Scale(base - 2, base + 10)
    heights = drawn_heights(found, to)
    assert len(heights) <= 4 * (chart.RIGHT - chart.LEFT + 1)
    assert min(heights) == pytest.approx(to.y(base + 9.0), abs=0.06)
    assert (found.lowest, found.highest) == (min(v for _, v in readings), base + 9.0)


def test_bad_readings_and_missing_ones_break_the_line() -> None:
    found = line(20, (0, 1.0), (1, 1.0), (2, None), (3, 1.0), (4, 1.0), (14, 1.0), (20, 1.0))
    assert len(chart.paths(found, chart.Scale(0, 2))) == 4  # The last two stand alone.
    assert [((a - START) // SECOND, (b - START) // SECOND) for a, b in found.gaps] == [
        (1, 3), (4, 20),
    ]  # fmt: skip


def test_what_is_broken_everywhere_stays_small() -> None:
    found = line(1_000_000, *((n, None if n % 2 else 1.0) for n in range(100_000)))
    assert len(found.runs) <= (chart.RUNS + 1) * 1000
    assert len(found.gaps) < 1000


def test_an_area_returns_to_the_limit() -> None:
    found = line(2, (0, 1.0), (1, 3.0), (2, 1.0))
    to = chart.Scale(0, 4)
    [area] = chart.areas(found, to, 2.0)
    base = f"{to.y(2.0):.1f}"
    assert area.startswith(f"M{chart.LEFT}.0 {base}")
    assert area.endswith(f"L{chart.RIGHT}.0 {base}Z")


def test_values_have_round_ticks_and_room() -> None:
    to = chart.scale([36.9, 38.3, 37.5])
    assert to.low < 36.9
    assert to.high > 38.3
    labels = [tick.label for tick in chart.value_ticks(to)]
    assert labels == ["37.00", "37.25", "37.50", "37.75", "38.00", "38.25"]


def test_a_flat_line_has_a_scale_too() -> None:
    assert chart.value_ticks(chart.scale([0.0, 0.0]))
    assert chart.value_ticks(chart.scale([5.0]))


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (20, ["02:40:00|02 Feb 2026", "02:40:05", "02:40:10", "02:40:15", "02:40:20"]),
        (1800, ["02:40|02 Feb 2026", "02:45", "02:50", "02:55", "03:00", "03:05", "03:10"]),
        (86_400, ["03:00|02 Feb 2026", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00",
                  "00:00|03 Feb 2026"]),
        (5 * 86_400, ["03 Feb", "04 Feb", "05 Feb", "06 Feb", "07 Feb"]),
    ],
)  # fmt: skip
def test_times_have_round_ticks(span: int, labels: list[str]) -> None:
    found = [tick.label for tick in chart.time_ticks(START, START + span * SECOND)]
    assert found == labels


def test_marks_that_are_close_stand_above_each_other() -> None:
    times = [START, START, START, START, START + 900 * SECOND]
    found = chart.marks(times, START, START + 1000 * SECOND)
    assert [mark.number for mark in found] == [1, 2, 3, 4, 5]
    assert len({mark.y for mark in found[:3]}) == 3
    assert found[4].y == found[0].y
