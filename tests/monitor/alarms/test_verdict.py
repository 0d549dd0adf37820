"""What one reading says to one rule, row by row."""

from datetime import date, datetime

import pytest

from config.rules import (
    CalibrationDue,
    Deviation,
    Discrepancy,
    Flatline,
    Rate,
    Repeated,
    Rule,
    StatusBits,
)
from drivers.reading import Quality, Reason
from monitor.alarms.facts import NORMAL, Alarm, Condition, Observation, Sample
from monitor.alarms.verdict import Verdict, is_due, verdict
from tests.monitor.alarms.small_plant import moment

GOOD, UNSURE, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD
NOW, DAY = moment(0), 86_400 * 10**9
BEYOND, WITHIN, CLEAR, UNKNOWN = Verdict.BEYOND, Verdict.WITHIN, Verdict.CLEAR, Verdict.UNKNOWN

FAULTY = StatusBits(bits=(3, 7))
FROZEN = Flatline(flatline=600)
OFF = Deviation(setpoint="sp", above=0.5, below=1.0, deadband=0.125)
TWO = Discrepancy(against="t2", tolerance=0.5, deadband=0.125)
HOT, COLD = Deviation(setpoint="sp", above=0.5), Deviation(setpoint="sp", below=0.5)
FAST = Rate(rising=0.5, falling=1.0, window=600)
RISING, FALLING = Rate(rising=0.5, window=600), Rate(falling=0.5, window=600)
OFTEN = Repeated(x=2, of=3, high=20.0)
SELDOM = Repeated(x=2, of=3, low=-5.0)
STANDS = Alarm(standing=37.0)


def seen(*values: float) -> Alarm:
    return Alarm(samples=tuple(Sample(place, value) for place, value in enumerate(values)))


@pytest.mark.parametrize(
    ("rule", "alarm", "observation", "expected"),
    [
        (FAULTY, NORMAL, Observation(0, GOOD), CLEAR),
        (FAULTY, NORMAL, Observation(0b0000_1000, GOOD), BEYOND),
        (FAULTY, NORMAL, Observation(0b1000_0000, GOOD), BEYOND),
        (FAULTY, NORMAL, Observation(0b0111_0111, GOOD), CLEAR),
        (FAULTY, NORMAL, Observation(-1, GOOD), BEYOND),
        (FAULTY, NORMAL, Observation(0b0000_1000, UNSURE), BEYOND),
        (FAULTY, NORMAL, Observation(0, UNSURE), UNKNOWN),
        (FAULTY, NORMAL, Observation(0b0000_1000, UNSURE, Reason.LAST_USABLE), UNKNOWN),
        (FAULTY, NORMAL, Observation(None, BAD, Reason.REFUSED), UNKNOWN),
        (FAULTY, NORMAL, Observation(8.0, GOOD), UNKNOWN),
        (OFF, NORMAL, Observation(37.5, GOOD, other=37.0), WITHIN),
        (OFF, NORMAL, Observation(37.51, GOOD, other=37.0), BEYOND),
        (OFF, NORMAL, Observation(37.375, GOOD, other=37.0), WITHIN),
        (OFF, NORMAL, Observation(37.374, GOOD, other=37.0), CLEAR),
        (OFF, NORMAL, Observation(36.0, GOOD, other=37.0), WITHIN),
        (OFF, NORMAL, Observation(35.99, GOOD, other=37.0), BEYOND),
        (OFF, NORMAL, Observation(36.125, GOOD, other=37.0), WITHIN),
        (OFF, NORMAL, Observation(36.126, GOOD, other=37.0), CLEAR),
        (OFF, NORMAL, Observation(39.0, GOOD), UNKNOWN),
        (OFF, NORMAL, Observation(39.0, UNSURE, other=37.0), BEYOND),
        (OFF, NORMAL, Observation(37.0, UNSURE, other=37.0), UNKNOWN),
        (OFF, NORMAL, Observation(None, BAD, Reason.REFUSED, other=37.0), UNKNOWN),
        (TWO, NORMAL, Observation(37.5, GOOD, other=37.0), WITHIN),
        (TWO, NORMAL, Observation(37.51, GOOD, other=37.0), BEYOND),
        (TWO, NORMAL, Observation(36.49, GOOD, other=37.0), BEYOND),
        (TWO, NORMAL, Observation(36.625, GOOD, other=37.0), WITHIN),
        (TWO, NORMAL, Observation(36.626, GOOD, other=37.0), CLEAR),
        (TWO, NORMAL, Observation(37.0, GOOD), UNKNOWN),
        (HOT, NORMAL, Observation(0.0, GOOD, other=37.0), CLEAR),
        (HOT, NORMAL, Observation(38.0, GOOD, other=37.0), BEYOND),
        (COLD, NORMAL, Observation(99.0, GOOD, other=37.0), CLEAR),
        (COLD, NORMAL, Observation(36.0, GOOD, other=37.0), BEYOND),
        (FAST, NORMAL, Observation(37.0, GOOD), UNKNOWN),
        (FAST, NORMAL, Observation(37.0, GOOD, rate=0.5), WITHIN),
        (FAST, NORMAL, Observation(37.0, GOOD, rate=0.501), BEYOND),
        (FAST, NORMAL, Observation(37.0, GOOD, rate=0.449), CLEAR),
        (FAST, NORMAL, Observation(37.0, GOOD, rate=-1.0), WITHIN),
        (FAST, NORMAL, Observation(37.0, GOOD, rate=-1.001), BEYOND),
        (FAST, NORMAL, Observation(37.0, GOOD, rate=-0.899), CLEAR),
        (FAST, NORMAL, Observation(37.0, UNSURE, rate=0.6), BEYOND),
        (FAST, NORMAL, Observation(37.0, UNSURE, rate=0.1), UNKNOWN),
        (RISING, NORMAL, Observation(37.0, GOOD, rate=-9.0), CLEAR),
        (FALLING, NORMAL, Observation(37.0, GOOD, rate=9.0), CLEAR),
        (FALLING, NORMAL, Observation(37.0, GOOD, rate=-9.0), BEYOND),
        (OFTEN, seen(21.0, 20.0), Observation(20.0, GOOD), CLEAR),
        (OFTEN, seen(21.0, 19.0, 22.0), Observation(22.0, GOOD), BEYOND),
        (OFTEN, seen(21.0, 22.0, 19.0), Observation(19.0, GOOD), BEYOND),
        (OFTEN, seen(21.0, 22.0), Observation(22.0, UNSURE), BEYOND),
        (OFTEN, seen(21.0), Observation(19.0, UNSURE), UNKNOWN),
        (OFTEN, seen(21.0, 22.0), Observation(None, BAD), UNKNOWN),
        (SELDOM, seen(-5.0, -6.0, -6.0), Observation(-6.0, GOOD), BEYOND),
        (SELDOM, seen(-6.0, -5.0), Observation(-5.0, GOOD), CLEAR),
        (FROZEN, NORMAL, Observation(37.0, GOOD), CLEAR),
        (FROZEN, NORMAL, Observation(37.0, GOOD, unchanged_since=NOW), BEYOND),
        (FROZEN, NORMAL, Observation(37.0, UNSURE, unchanged_since=NOW), BEYOND),
        (FROZEN, STANDS, Observation(37.0, GOOD), BEYOND),
        (FROZEN, STANDS, Observation(37.1, GOOD), CLEAR),
        (FROZEN, STANDS, Observation(37.1, UNSURE), UNKNOWN),
        (FROZEN, STANDS, Observation(37.0, UNSURE), BEYOND),
        (FROZEN, STANDS, Observation(37.0, UNSURE, Reason.LAST_USABLE), UNKNOWN),
        (FROZEN, STANDS, Observation(None, BAD, Reason.NOT_A_NUMBER), UNKNOWN),
    ],
)
def test_verdict(rule: Rule, alarm: Alarm, observation: Observation, expected: Verdict) -> None:
    assert verdict(rule, alarm, observation) is expected


SOON, OVER = CalibrationDue(name="soon", ahead=2 * DAY), CalibrationDue(name="over", ahead=0)


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("2027-02-26T23:59:59", []),
        ("2027-02-27T00:00:00", ["soon"]),
        ("2027-02-28T23:59:59", ["soon"]),
        ("2027-03-01T00:00:00", ["soon", "over"]),
        ("2031-01-01T00:00:00", ["soon", "over"]),
        ("1970-01-01T00:00:00", []),
    ],
)
def test_a_calibration_is_due_from_the_beginning_of_its_day(at: str, due: list[str]) -> None:
    now = round(datetime.fromisoformat(f"{at}+00:00").timestamp()) * 10**9
    rules = [rule for rule in (SOON, OVER) if is_due(rule, date(2027, 3, 1), now)]
    assert [rule.name for rule in rules] == due


def test_what_is_simply_so_or_not_so_says_the_same_to_every_rule() -> None:
    said = [verdict(FAULTY, NORMAL, Condition(holds)) for holds in (True, False, None)]
    assert said == [BEYOND, CLEAR, UNKNOWN]
