"""Inside the band nothing changes; that is all that a band promises, and it is everything."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import (
    Deviation,
    Discrepancy,
    Escalation,
    High,
    Low,
    OffNormal,
    Rate,
    Repeated,
    Rule,
    StatusBits,
    Unreadable,
)
from drivers.reading import Quality
from monitor.alarms import engine
from monitor.alarms.bands import (
    ANYTHING,
    EVERYWHERE,
    NOWHERE,
    Band,
    Words,
    band,
    narrower,
    restless,
    words,
)
from monitor.alarms.facts import NORMAL, Alarm, Observation, Sample, Shelve
from tests.monitor.alarms.small_plant import MINUTE, minute

HIGH = High(name="high", limit=37.5, deadband=0.5)
LOW = Low(name="low", limit=4.5, deadband=0.5)
OPEN, SHUT = OffNormal(off_normal=(True,)), OffNormal(normal=(True,))
HELD, RUNNING = OffNormal(off_normal=("held", "done")), OffNormal(normal=("running",))


def read(rule: Rule, *values: float | str) -> Alarm:
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
        (OPEN, NORMAL, (False, False)),
        (OPEN, read(OPEN, True), (True, True)),
        (SHUT, NORMAL, (True, True)),
        (SHUT, read(SHUT, False), (False, False)),
        (OffNormal(off_normal=(True, False)), NORMAL, NOWHERE),
        (Rate(rising=0.5, window=600), NORMAL, NOWHERE),
        (Repeated(x=3, of=5, high=20.0), NORMAL, (-inf, 20.0)),
        (Repeated(x=3, of=5, low=-5.0), NORMAL, (-5.0, inf)),
        (Repeated(x=3, of=5, high=20.0), NORMAL._replace(samples=(Sample(0, 21.0),)), NOWHERE),
        (StatusBits(bits=(7, 3)), NORMAL, (0, 7)),
    ],
)
def test_band(rule: Rule, alarm: Alarm, expected: Band) -> None:
    assert band(rule, alarm) == expected


DEVIATION = Deviation(setpoint="sp", above=0.5, below=1.0)
DIFFERENCE = Discrepancy(against="t2", tolerance=0.5)


@pytest.mark.parametrize(
    ("rule", "alarm", "other", "expected"),
    [
        (DEVIATION, NORMAL, 37.0, (36.0, 37.5)),
        (Deviation(setpoint="sp", above=0.5), NORMAL, 37.0, (-inf, 37.5)),
        (Deviation(setpoint="sp", below=0.5), NORMAL, 37.0, (36.5, inf)),
        (DIFFERENCE, NORMAL, 37.0, (36.5, 37.5)),
        (DIFFERENCE, NORMAL, None, EVERYWHERE),
        (DIFFERENCE, NORMAL._replace(active=True), 37.0, NOWHERE),
    ],
)
def test_the_band_of_what_is_compared_lies_around_the_other(
    rule: Rule, alarm: Alarm, other: float | None, expected: Band
) -> None:
    assert band(rule, alarm, other) == expected


def test_the_band_of_a_channel_lies_inside_those_of_all_its_rules() -> None:
    assert narrower(band(HIGH, NORMAL), band(LOW, NORMAL)) == (4.5, 37.5)
    assert narrower(EVERYWHERE, band(LOW, NORMAL)) == (4.5, inf)


def test_a_timer_or_a_gate_is_looked_at_on_every_scan() -> None:
    slow = HIGH.model_copy(update={"on_delay": MINUTE, "off_delay": MINUTE})
    assert restless(slow, read(slow, 38.0))
    assert not restless(slow, read(slow, 38.0, 38.0))
    assert restless(slow, read(slow, 38.0, 38.0, 36.0))
    assert restless(HIGH, engine.step(HIGH, NORMAL, Shelve(MINUTE), minute(0)))
    urgent = HIGH.model_copy(update={"escalate": Escalation(after=MINUTE)})
    assert restless(urgent, read(urgent, 38.0))
    assert not restless(urgent, read(urgent, 38.0)._replace(escalations=1))
    assert not restless(urgent, read(urgent, 38.0, 36.0))
    assert restless(HIGH, engine.gate(HIGH, read(HIGH, 38.0), "cause", "", minute(1)))


@pytest.mark.parametrize(
    ("rule", "state"), [(OPEN, True), (SHUT, False), (HELD, "held"), (RUNNING, "held")]
)
def test_an_alarm_that_stands_on_a_state_waits_for_nothing(rule: Rule, state: bool | str) -> None:
    alarm = read(rule, state)
    assert alarm.active
    assert not restless(rule, alarm)


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


WORDS = st.sampled_from(["held", "done", "running", "idle"])
STEPS = {"on_delay": 0, "off_delay": 0}, {"on_delay": 2 * MINUTE, "off_delay": 2 * MINUTE}


@pytest.mark.parametrize("delays", STEPS)
@pytest.mark.parametrize("rule", [HELD, RUNNING])
@given(before=st.lists(WORDS, max_size=8), word=WORDS)
def test_at_its_words_a_steady_alarm_stays_as_it_is(
    rule: OffNormal, delays: dict[str, int], before: list[str], word: str
) -> None:
    rule = rule.model_copy(update=delays)
    alarm = read(rule, *before)
    if not restless(rule, alarm):
        after = engine.step(rule, alarm, Observation(word, Quality.GOOD), minute(len(before)))
        assert (after is alarm) is words(rule, alarm).has(word)


@pytest.mark.parametrize("delays", STEPS)
@pytest.mark.parametrize("rule", [OPEN, SHUT])
@given(before=st.lists(st.booleans(), max_size=8), state=st.booleans())
def test_in_its_band_a_state_stays_as_it_is(
    rule: OffNormal, delays: dict[str, int], before: list[bool], state: bool
) -> None:
    rule = rule.model_copy(update=delays)
    alarm = read(rule, *before)
    low, high = band(rule, alarm)
    if not restless(rule, alarm):
        after = engine.step(rule, alarm, Observation(state, Quality.GOOD), minute(len(before)))
        assert (after is alarm) is (low <= state <= high)


SETS = st.builds(Words, st.frozensets(WORDS), st.booleans())


@given(SETS, SETS, WORDS)
def test_words_within_others_are_in_both(one: Words, other: Words, word: str) -> None:
    assert one.within(other).has(word) is (one.has(word) and other.has(word))


def test_a_rule_without_states_says_nothing_of_words() -> None:
    assert words(Unreadable(), NORMAL) == ANYTHING
    assert ANYTHING.has("anything")
