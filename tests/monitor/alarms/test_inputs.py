"""What is remembered of earlier scans, and what another channel says beside a reading."""

import pytest

from config.rules import Flatline
from drivers.reading import Fault, Quality, Reason, Value
from monitor.alarms.facts import Observation
from monitor.alarms.inputs import STILL, Reference, Unchanged, patience
from tests.monitor.alarms.small_plant import DOUBTFUL, SECOND, moment, scan

GOOD, UNSURE = Quality.GOOD, Quality.UNCERTAIN
OLD = Fault(UNSURE, Reason.LAST_USABLE)


def remembered(*said: tuple[float, Value | None, Fault | None]) -> Unchanged:
    one = Unchanged(0, 3 * SECOND)
    for seconds, value, fault in said:
        one.remember(scan(seconds, value, faults={0: fault} if fault else None))
    return one


@pytest.mark.parametrize(
    ("said", "since"),
    [
        ([(0, 37.0, None)], 0),
        ([(0, 37.0, None), (1, 37.0, None)], 0),
        ([(0, 36.0, None), (1, 37.0, None)], 1),
        ([(0, 37.0, None), (1, None, None), (2, 37.0, None)], 0),
        ([(0, 37.0, None), (1, 36.0, DOUBTFUL), (2, 37.0, None)], 0),
        ([(0, 37.0, DOUBTFUL), (1, 37.0, None)], 0),
        ([(0, 37.0, OLD), (1, 37.0, None)], 1),
        ([(0, 37.0, None), (1, float("nan"), None)], 0),
        ([(0, 36.0, None), (1, 37.0, None), (2, 36.0, None), (3, 37.0, None)], 3),
        ([(0, 36.0, None)], None),
        ([], None),
    ],
)
def test_since_when_a_value_is_what_it_is(
    said: list[tuple[float, Value | None, Fault | None]], since: float | None
) -> None:
    lasting = remembered(*said).lasting(scan(9, 37.0))
    assert lasting == (None if since is None else moment(since))


def test_a_value_lasts_once_patience_is_over() -> None:
    one = remembered((0, "heating", None))
    assert one.lasting(scan(2.9, "heating")) is None
    assert one.lasting(scan(3, "heating")) == moment(0)
    assert one.lasting(scan(3, None)) is None


def test_a_rule_that_is_in_a_hurry_is_asked_sooner() -> None:
    assert patience(SECOND, Flatline(flatline=60 * SECOND)) == STILL * SECOND
    assert patience(60 * SECOND, Flatline(flatline=60 * SECOND)) == 60 * SECOND


READ = Observation(37.5, GOOD)


@pytest.mark.parametrize(
    ("value", "fault", "seconds", "beside"),
    [
        (37.0, None, 3, Observation(37.5, GOOD, other=37.0)),
        (37.0, None, 3.1, READ),
        (37.0, DOUBTFUL, 0, Observation(37.5, UNSURE, other=37.0)),
        (37.0, OLD, 0, READ),
        (None, None, 0, READ),
        ("auto", None, 0, READ),
        (37, None, 0, Observation(37.5, GOOD, other=37.0)),
    ],
)
def test_what_stands_beside_a_reading(
    value: Value | None, fault: Fault | None, seconds: float, beside: Observation
) -> None:
    one = Reference(0, SECOND)
    one.hear(scan(0, value, faults={0: fault} if fault else None))
    assert one.beside(READ, moment(seconds)) == beside


def test_it_is_heard_when_it_is_another_value() -> None:
    one = Reference(0, SECOND)
    assert one.hear(scan(0, 37.0))
    assert not one.hear(scan(1, 37.0))
    assert not one.hear(scan(2, None, 5.0, spoke=frozenset({1})))
    assert one.hear(scan(3, None))
    assert not one.hear(scan(4, None))
    assert one.hear(scan(5, 37.0))
