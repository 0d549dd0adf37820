"""Alarm performance: stories by hand, and every count made anew from the whole list."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import Priority
from monitor.alarms.facts import Change, State
from monitor.alarms.performance import (
    DAY,
    FLEETING,
    HOUR,
    MINUTE,
    SECOND,
    STALE,
    TEN_MINUTES,
    WHOLE,
    Performance,
    Tally,
    Transition,
    nanoseconds,
    transition,
)
from tests.support.desk import alarm_event

START = 20_000 * DAY
END = START + 30 * DAY
HIGH = "incubator-1/co2/high"
OTHER = "incubator-2/co2/high"
UNACK, ACK, NORMAL = State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.NORMAL
RETURNED, SHELVED, SUPPRESSED = State.RETURNED, State.SHELVED, State.SUPPRESSED


def told(
    at: int,
    change: Change,
    before: State,
    after: State,
    *,
    alarm: str = HIGH,
    area: str = "suite-a",
    priority: Priority = Priority.LOW,
    since: int | None = None,
) -> Transition:
    annunciated = after not in {SHELVED, SUPPRESSED, State.OUT_OF_SERVICE}
    return Transition(START + at, alarm, area, priority, change, before, after, annunciated, since)


def raised(at: int, alarm: str = HIGH, area: str = "suite-a") -> Transition:
    return told(at, Change.RAISED, NORMAL, UNACK, alarm=alarm, area=area, since=START + at)


def acknowledged(at: int) -> Transition:
    return told(at, Change.ACKNOWLEDGED, UNACK, ACK)


def returned(at: int, *, after: State = RETURNED, alarm: str = HIGH) -> Transition:
    change = Change.RETURNED if after is RETURNED else Change.CLEARED
    before = UNACK if after is RETURNED else ACK
    return told(at, change, before, after, alarm=alarm)


def counted(*transitions: Transition, end: int = END) -> Tally:
    performance = Performance(START, end)
    for each in transitions:
        performance.take(each)
    return performance.close()[WHOLE]


@pytest.mark.parametrize(
    ("change", "before", "after", "rings"),
    [
        (Change.RAISED, NORMAL, UNACK, True),
        (Change.RAISED, NORMAL, SUPPRESSED, False),
        (Change.RAISED, SHELVED, SHELVED, False),
        (Change.RAISED_AGAIN, RETURNED, UNACK, True),
        (Change.RE_ALARMED, ACK, UNACK, True),
        (Change.ESCALATED, UNACK, UNACK, True),
        (Change.ESCALATED, State.LATCHED_UNACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED, True),
        (Change.ACKNOWLEDGED, UNACK, ACK, False),
        (Change.RETURNED, UNACK, RETURNED, False),
        (Change.SHELVED, UNACK, SHELVED, False),
        (Change.UNSHELVED, SHELVED, UNACK, True),
        (Change.UNSHELVED, SHELVED, NORMAL, False),
        (Change.UNSHELVED, SHELVED, SUPPRESSED, False),
        (Change.UNSUPPRESSED, SUPPRESSED, UNACK, True),
        (Change.UNSUPPRESSED, SUPPRESSED, ACK, False),
        (Change.UNSUPPRESSED, SUPPRESSED, RETURNED, False),
        (Change.RETURNED_TO_SERVICE, State.OUT_OF_SERVICE, UNACK, True),
        (Change.REMOVED_FROM_SERVICE, UNACK, State.OUT_OF_SERVICE, False),
    ],
)
def test_what_people_are_told_of(
    change: Change, before: State, after: State, *, rings: bool
) -> None:
    assert told(0, change, before, after).rings is rings


def test_a_message_is_read_and_a_rehearsal_is_not() -> None:
    message = alarm_event(3, alarm_time="2026-01-31T12:00:01.500Z")
    read = transition(message.model_dump(mode="json"))
    assert read is not None
    assert (read.alarm, read.change, read.rings) == (message.alarm, Change.RAISED, True)
    assert read.since == nanoseconds(message.time) - 1_500 * 10**6
    assert transition(message.model_copy(update={"test": True}).model_dump(mode="json")) is None


def escalated(at: int, priority: Priority) -> Transition:
    return told(at, Change.ESCALATED, UNACK, UNACK, priority=priority)


def test_an_escalation_is_one_more_alarm_and_the_same_asking() -> None:
    tally = counted(
        raised(0),
        escalated(10 * SECOND, Priority.HIGH),
        escalated(20 * SECOND, Priority.CRITICAL),
        acknowledged(30 * SECOND),
        returned(90 * SECOND, after=NORMAL),
    )
    assert tally.alarms == 3
    assert tally.by_priority == {Priority.LOW: 1, Priority.HIGH: 1, Priority.CRITICAL: 1}
    assert (tally.to_acknowledge.seconds, tally.to_acknowledge.count) == (30.0, 1)
    assert (tally.to_return.seconds, tally.to_return.count) == (90.0, 1)
    assert not tally.chattering


def test_what_was_gone_at_once_is_fleeting_though_it_escalated_afterwards() -> None:
    latched = State.LATCHED_UNACKNOWLEDGED
    gone = told(10 * SECOND, Change.RETURNED, UNACK, latched)
    later = told(30 * SECOND, Change.ESCALATED, latched, latched)
    assert counted(raised(0), gone, later).fleeting == {HIGH: 1}


def test_how_long_people_took_and_how_long_it_stood() -> None:
    tally = counted(raised(0), acknowledged(30 * SECOND), returned(90 * SECOND, after=NORMAL))
    assert (tally.to_acknowledge.seconds, tally.to_return.seconds) == (30, 90)
    assert not tally.fleeting


def test_a_suppressed_raise_counts_when_people_are_told() -> None:
    hidden = told(0, Change.RAISED, NORMAL, SUPPRESSED)
    shown = told(HOUR, Change.UNSUPPRESSED, SUPPRESSED, UNACK)
    tally = counted(hidden, shown)
    assert (tally.alarms, tally.by_hour[(START + HOUR) // HOUR]) == (1, 1)


def test_fleeting_is_what_returns_by_itself_and_stays_away() -> None:
    short = [raised(0), returned(20 * SECOND)]
    assert counted(*short).fleeting == {HIGH: 1}
    assert not counted(*short, raised(50 * SECOND)).fleeting
    assert counted(*short, raised(5 * MINUTE)).fleeting == {HIGH: 1}
    assert not counted(raised(0), acknowledged(SECOND), returned(2 * SECOND, after=NORMAL)).fleeting
    assert not counted(raised(0), returned(2 * MINUTE)).fleeting


def test_chattering_is_three_within_a_minute() -> None:
    beat = [each for at in (0, 20, 40) for each in (raised(at * SECOND), returned(at * SECOND + 1))]
    assert counted(*beat).chattering == {HIGH: 1}
    slow = [each for at in (0, 30, 60) for each in (raised(at * SECOND), returned(at * SECOND + 1))]
    assert not counted(*slow).chattering


def test_stale_is_told_of_each_day_on_which_it_had_stood_for_one() -> None:
    first_day = START // DAY
    tally = counted(raised(0), returned(3 * DAY + HOUR))
    assert sorted(tally.stale) == [first_day + 1, first_day + 2, first_day + 3]
    assert not counted(raised(0), returned(DAY)).stale


def test_what_stood_before_the_span_and_what_stands_still() -> None:
    before = told(HOUR, Change.CLEARED, ACK, NORMAL, since=START - 5 * DAY)
    assert len(counted(before).stale) == 1
    performance = Performance(START, END)
    performance.stands(HIGH, "suite-a", START - DAY)
    tallies = performance.close()
    assert len(tallies[WHOLE].stale) == len(tallies["suite-a"].stale) == 30


def test_what_comes_after_the_span_only_tells_what_stood() -> None:
    after = told(31 * DAY, Change.CLEARED, ACK, NORMAL, since=START)
    tally = counted(after)
    assert (tally.alarms, len(tally.stale)) == (0, 29)


def test_suppressions_are_counted_by_kind() -> None:
    tally = counted(
        told(0, Change.SHELVED, UNACK, SHELVED),
        told(1, Change.SUPPRESSED, UNACK, SUPPRESSED),
        told(2, Change.SUPPRESSED, UNACK, SUPPRESSED),
        told(3, Change.REMOVED_FROM_SERVICE, ACK, State.OUT_OF_SERVICE),
    )
    assert tally.suppressions == {"shelved": 1, "suppressed": 2, "out_of_service": 1}


ALARMS = {HIGH: "suite-a", OTHER: "suite-b", "gateway/_/line-bus": ""}


@st.composite
def histories(draw: st.DrawFn) -> list[Transition]:
    """Raise and return of some alarms, at any times: each in its own order, all in one."""
    found: list[Transition] = []
    for alarm, area in ALARMS.items():
        times = sorted(draw(st.sets(st.integers(0, 4000), max_size=30)))
        for number, at in enumerate(times):
            change, before, after = _next(number)
            found.append(told(at * 10 * SECOND, change, before, after, alarm=alarm, area=area))
    return sorted(found, key=lambda each: each.at)


def _next(number: int) -> tuple[Change, State, State]:
    if number % 2:
        return Change.RETURNED, UNACK, RETURNED
    raised = Change.RAISED_AGAIN if number else Change.RAISED
    return raised, RETURNED if number else NORMAL, UNACK


def rings(history: Sequence[Transition], area: str, alarm: str = "") -> list[int]:
    return [
        each.at
        for each in history
        if each.rings and area in {WHOLE, each.area} and alarm in {"", each.alarm}
    ]


def fleeting(history: Sequence[Transition], alarm: str) -> Iterator[int]:
    own = [each for each in history if each.alarm == alarm]
    for first, second in pairwise(own):
        if not first.rings or second.rings or second.at - first.at >= FLEETING:
            continue
        later = [each.at for each in own if each.at > second.at and each.rings]
        if not later or later[0] - second.at >= FLEETING:
            yield second.at


@given(histories(), st.integers(1, 12))
def test_every_count_is_as_counted_from_the_whole_list(
    history: list[Transition], hours: int
) -> None:
    end = START + hours * HOUR
    performance = Performance(START, end)
    for each in history:
        performance.take(each)
    tallies = performance.close()
    within = [each for each in history if each.at < end]
    for area in tallies:
        times, tally = rings(within, area), tallies[area]
        assert tally.alarms == len(times)
        assert tally.by_ten == {
            at // TEN_MINUTES: sum(t // TEN_MINUTES == at // TEN_MINUTES for t in times)
            for at in times
        }
        own = [alarm for alarm, of in ALARMS.items() if area in {WHOLE, of}]
        assert tally.watch.most == max(
            (sum(at - TEN_MINUTES < t <= at for t in times) for at in times), default=0
        )
        for alarm in own:
            mine = rings(within, area, alarm)
            assert tally.by_alarm[alarm] == len(mine)
            thirds = [at for at in mine if sum(at - MINUTE < t <= at for t in mine) > 2]
            assert tally.chattering[alarm] == len(thirds)
            assert tally.fleeting[alarm] == len(list(fleeting(within, alarm)))


@given(st.integers(-3 * DAY, 20 * DAY), st.integers(1, 20 * DAY))
def test_stale_days_are_as_looked_at_hour_by_hour(at: int, lasted: int) -> None:
    at, lasted = at // HOUR * HOUR, max(lasted // HOUR, 1) * HOUR
    gone = told(at + lasted, Change.CLEARED, ACK, NORMAL, since=START + at)
    tally = counted(gone)
    hours = range(START, min(END, START + at + lasted), HOUR)
    days = {hour // DAY for hour in hours if hour - (START + at) >= STALE}
    assert set(tally.stale) == days
