"""When an alarm is raised, in words."""

from datetime import date

import pytest

from config.rules import (
    CalibrationDue,
    Deviation,
    Discrepancy,
    Flatline,
    High,
    Low,
    OffNormal,
    Rate,
    Repeated,
    Rule,
    Silent,
    Stale,
    StatusBits,
    Unreadable,
)
from monitor.alarms.conditions import condition, condition_of
from monitor.alarms.watch import watch
from tests.monitor.alarms.small_plant import MINUTE, plant, source

DOOR = {0: "closed", 1: "open"}

CONDITIONS: list[tuple[Rule, str]] = [
    (High(limit=37.5), "above 37.5 °C"),
    (High(limit=37.5, deadband=0.1), "above 37.5 °C, back below 37.4 °C"),
    (Low(limit=-80, deadband=2), "below -80 °C, back above -78 °C"),
    (OffNormal(off_normal=(True,)), "is open"),
    (OffNormal(off_normal=("held", "aborted")), "is held or aborted"),
    (OffNormal(normal=(False,)), "is anything but closed"),
    (OffNormal(normal=("growth", "rest")), "is anything but growth or rest"),
    (Deviation(setpoint="sp", above=0.5), "more than 0.5 °C over sp"),
    (
        Deviation(setpoint="sp", above=0.5, below=1, deadband=0.1),
        "more than 0.5 °C over or 1 °C under sp, back with 0.1 °C less",
    ),
    (Deviation(setpoint="sp", below=1), "more than 1 °C under sp"),
    (Discrepancy(against="probe", tolerance=1), "differs from probe by more than 1 °C"),
    (
        Rate(rising=0.2, falling=0.5, per=MINUTE, window=5 * MINUTE),
        "rises by 0.2 °C or falls by 0.5 °C in 1m or faster, over 5m",
    ),
    (Flatline(flatline=30 * MINUTE), "does not change at all for 30m"),
    (Repeated(x=3, of=5, high=20), "3 of 5 readings are above 20 °C"),
    (Repeated(x=3, of=5, low=20), "3 of 5 readings are below 20 °C"),
    (StatusBits(bits=(3, 7)), "one of the bits 3, 7 is set"),
    (CalibrationDue(name="c", ahead=60 * 24 * 60 * MINUTE), "calibration is due within 60d"),
    (CalibrationDue(name="c", ahead=0), "calibration was due"),
    (Unreadable(), "gives no usable reading"),
    (Stale(), "its own time stands still"),
    (Silent(name="silent-x"), "does not answer"),
]


@pytest.mark.parametrize(("rule", "words"), CONDITIONS)
def test_a_condition_in_words(rule: Rule, words: str) -> None:
    assert condition(rule, "°C", DOOR) == words


def test_a_trouble_of_the_gateways_own_is_what_it_is_called() -> None:
    rules = {"sink-mqtt": Silent(name="sink-mqtt")}
    watched = watch(plant(source(0, "inc", "probe", "bus", [])), rules)
    assert condition_of(watched["gateway/_/sink-mqtt"], "") == "sink mqtt"
    assert condition_of(watched["gateway/_/line-bus"], "") == "does not answer"


def test_what_is_due_is_told_with_its_day() -> None:
    rule = CalibrationDue(name="c", ahead=0)
    assert condition(rule, "", {}, date(2027, 3, 1)) == "calibration was due (2027-03-01)"
