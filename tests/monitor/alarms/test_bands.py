"""Inside the band nothing changes; that is all that a band promises, and it is everything."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import High, Low, Rule, Unreadable
from drivers.reading import Quality
from monitor.alarms import engine
from monitor.alarms.bands import EVERYWHERE, Band, band, narrower, restless
from monitor.alarms.facts import NORMAL, Alarm, Observation, Shelve
from tests.monitor.alarms.small_plant import MINUTE, minute

HIGH = High(name="high", limit=37.5, deadband=0.5)
LOW = Low(name="low", limit=4.5, deadband=0.5)


def read(rule: Rule, *values: float) -> Alarm:
    alarm = NORMAL
    for minutes, value in enumerate(values):
        alarm = engine.step(rule, alarm, Observation(value, Quality.GOOD), minute(minutes))
    return alarm


@pytest.mark.parametrize(
    ("rule", "alarm", "expected"),
    [
        (HIGH, NORMAL, (-inf, 37.5)),
        (HIGH, read(HIGH, 38.0, 39.0, 38.0), (37.0, 39.0)),
        (HIGH, read(HIGH, 38.0, 36.0), (-inf, 37.5)),
        (LOW, NORMAL, (4.5, inf)),
        (LOW, read(LOW, 4.0, 3.0, 4.2), (3.0, 5.0)),
        (Unreadable(), NORMAL, (-inf, inf)),
    ],
)
def test_band(rule: Rule, alarm: Alarm, expected: Band) -> None:
    assert band(rule, alarm) == expected


def test_the_band_of_a_channel_lies_inside_those_of_all_its_rules() -> None:
    assert narrower(band(HIGH, NORMAL), band(LOW, NORMAL)) == (4.5, 37.5)
    assert narrower(EVERYWHERE, band(LOW, NORMAL)) == (4.5, inf)


def test_a_timer_or_a_gate_is_looked_at_on_every_scan() -> None:
    slow = HIGH.model_copy(update={"on_delay": MINUTE, "off_delay": MINUTE})
    assert restless(slow, read(slow, 38.0))
    assert not restless(slow, read(slow, 38.0, 38.0))
    assert restless(slow, read(slow, 38.0, 38.0, 36.0))
    assert restless(HIGH, engine.step(HIGH, NORMAL, Shelve(MINUTE), minute(0)))
    assert restless(HIGH, engine.gate(read(HIGH, 38.0), "cause", ""))


VALUES = st.sampled_from([3.0, 4.0, 4.5, 4.9, 5.0, 5.1, 36.9, 37.0, 37.1, 37.5, 37.6, 40.0])
RULES = st.sampled_from(
    [
        rule.model_copy(
            update={"on_delay": on * MINUTE, "off_delay": off * MINUTE, "latching": hold}
        )
        for rule in (HIGH, LOW)
        for on in (0, 2)
        for off in (0, 2)
        for hold in (False, True)
    ]
)


@given(RULES, st.lists(VALUES, max_size=12), VALUES)
def test_inside_its_band_a_steady_alarm_stays_as_it_is(
    rule: Rule, before: list[float], value: float
) -> None:
    alarm = read(rule, *before)
    low, high = band(rule, alarm)
    if not restless(rule, alarm) and low <= value <= high:
        now = minute(len(before))
        assert engine.step(rule, alarm, Observation(value, Quality.GOOD), now) is alarm
