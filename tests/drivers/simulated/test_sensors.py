"""Noise, and each way in which a sensor can fail."""

import random
from statistics import mean, stdev

import pytest

from drivers.simulated.sensors import (
    DRIFT,
    IN_BIOREACTOR,
    IN_INCUBATOR,
    NOISE,
    Failing,
    Failure,
    Quantity,
    Sensors,
    Shown,
)

MEASURED = {Quantity.TEMPERATURE: 37.0, Quantity.CO2: 5.0, Quantity.HUMIDITY: 90.9}


def sample(sensors: Sensors, failure: Failure | None = None, seconds: float = 0.0) -> Shown:
    failures = {} if failure is None else {Quantity.CO2: Failing(failure, seconds)}
    return sensors.sample(MEASURED, failures)


def new(seed: int = 1) -> Sensors:
    return Sensors(random.Random(seed))  # noqa: S311 - noise, no secret


def test_noise_is_about_the_true_value_and_as_wide_as_said() -> None:
    sensors = new()
    shown = [value for _ in range(2000) if (value := sample(sensors)[Quantity.CO2]) is not None]
    assert mean(shown) == pytest.approx(5.0, abs=0.003)
    assert stdev(shown) == pytest.approx(NOISE[Quantity.CO2], rel=0.1)


def test_the_same_seed_shows_the_same() -> None:
    first, second, other = new(7), new(7), new(8)
    assert [sample(first) for _ in range(5)] == [sample(second) for _ in range(5)]
    assert sample(first) != sample(other)


def test_a_broken_sensor_has_no_value_and_the_others_have() -> None:
    shown = sample(new(), Failure.BROKEN)
    assert shown[Quantity.CO2] is None
    assert shown[Quantity.TEMPERATURE] == pytest.approx(37.0, abs=0.2)


def test_a_stuck_sensor_repeats_what_it_showed() -> None:
    sensors = new()
    before = sample(sensors)
    after = [sample(sensors, Failure.STUCK) for _ in range(3)]
    assert {each[Quantity.CO2] for each in after} == {before[Quantity.CO2]}
    assert after[0][Quantity.HUMIDITY] != after[1][Quantity.HUMIDITY]


def test_a_drifting_sensor_shows_more_and_more() -> None:
    late = sample(new(), Failure.DRIFTING, 20.0)[Quantity.CO2]
    assert late == pytest.approx(6.0, abs=0.1)


def test_a_sensor_that_is_mended_shows_the_truth_again() -> None:
    sensors = new()
    sample(sensors, Failure.BROKEN)
    assert sample(sensors)[Quantity.CO2] == pytest.approx(5.0, abs=0.1)


def test_an_uncertain_sensor_shows_what_is_so() -> None:
    sensors, sure = new(), new()
    assert sample(sensors, Failure.UNCERTAIN) == sample(sure)


def test_every_quantity_is_measured_somewhere_and_has_noise_and_drift() -> None:
    assert set(IN_INCUBATOR) | set(IN_BIOREACTOR) == set(Quantity)
    assert set(IN_INCUBATOR) & set(IN_BIOREACTOR) == {Quantity.TEMPERATURE}
    assert set(NOISE) == set(DRIFT) == set(Quantity)
