"""What is counted as missed of a grid, over any sequence of points."""

import pytest

from drivers.points import Points

PERIOD = 1000


@pytest.mark.parametrize(
    ("boots", "missed"),
    [
        ([5], 0),
        ([5, 1005, 2005], 0),
        ([5, 1009, 2001, 3005], 0),
        ([5, 2005], 1),
        ([5, 4705, 5005], 3),
        ([0, 10**12], 0),
    ],
    ids=["the first", "all", "late and early", "one", "three, and then late", "before any"],
)
def test_points_that_never_came_are_missed(boots: list[int], missed: int) -> None:
    points = Points(PERIOD)
    for boot in boots:
        points.reach(boot)
    assert points.take_missed() == missed
    assert points.take_missed() == 0


def test_a_point_that_is_passed_over_is_missed() -> None:
    points = Points(PERIOD)
    points.reach(5)
    points.skip()
    points.reach(2005)
    assert points.take_missed() == 2
