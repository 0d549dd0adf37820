"""Intervals in which nobody looked."""

import pytest

from monitor.alarms.unmonitored import Unmonitored, unmonitored
from tests.monitor.alarms.small_plant import NOON, SECOND, channel, plant, source

PLANT = plant(
    source(0, "inc", "probe", "bus", [channel("temp")]),
    source(1, "rea", "probe", "bus", [channel("temp")]),
)


@pytest.mark.parametrize(
    ("away", "told"),
    [(-5.0, False), (0.0, False), (3.0, False), (3.001, True), (3600.0, True)],
)
def test_two_periods_and_a_tick_are_not_worth_telling(away: float, told: bool) -> None:
    last = NOON - round(away * SECOND)
    gaps = unmonitored({"inc": last}, NOON, PLANT)
    assert gaps == ([Unmonitored("inc", last, NOON)] if told else [])
    assert [gap.seconds for gap in gaps] == ([away] if told else [])


def test_a_new_equipment_was_not_unwatched() -> None:
    assert unmonitored({}, NOON, PLANT) == []


def test_one_that_is_no_longer_in_the_file_is_nobodys_concern() -> None:
    assert unmonitored({"gone": 0}, NOON, PLANT) == []
