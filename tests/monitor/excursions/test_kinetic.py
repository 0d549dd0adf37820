import pytest

from monitor.excursions.kinetic import by_time, mean_kinetic_temperature

MONTH = [25.0] * 29 * 24 + [40.0] * 24


@pytest.mark.parametrize(
    ("temperatures", "mean"),
    [
        ([25.0] * 10, 25.000000),
        ([20.0, 25.0, 30.0], 25.858208),
        ([2.0, 8.0], 5.536425),
        ([5.0] * 20 + [15.0] * 4, 7.704628),
        (MONTH, 26.113034),
    ],
)
def test_equal_intervals(temperatures: list[float], mean: float) -> None:
    found = mean_kinetic_temperature((one, 1.0) for one in temperatures)
    assert found == pytest.approx(mean, abs=5e-7)


def test_unequal_intervals_are_weighted_by_time() -> None:
    equal = mean_kinetic_temperature((one, 1.0) for one in [5.0] * 20 + [15.0] * 4)
    assert mean_kinetic_temperature([(5.0, 20.0), (15.0, 4.0)]) == pytest.approx(equal)


def test_nothing_has_no_mean() -> None:
    assert mean_kinetic_temperature([]) is None


def test_a_reading_weighs_half_the_time_to_its_neighbours() -> None:
    readings = [(0.0, 4.0), (60.0, 5.0), (180.0, 6.0)]
    weights: dict[float, float] = {}
    for celsius, weight in by_time(readings, 120.0):
        weights[celsius] = weights.get(celsius, 0.0) + weight
    assert weights == {4.0: 30.0, 5.0: 90.0, 6.0: 60.0}


def test_bad_readings_and_gaps_weigh_nothing() -> None:
    readings = [(0.0, 4.0), (60.0, None), (120.0, 5.0), (1000.0, 6.0)]
    assert list(by_time(readings, 120.0)) == []
