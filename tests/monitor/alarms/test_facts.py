"""The ISA-18.2 state is read off the facts."""

import pytest

from monitor.alarms.facts import NORMAL, Alarm, AlarmEvent, Change, State
from tests.monitor.alarms.small_plant import BOOTED, minute

UNSEEN = Alarm(active=True, acknowledged=False, version=1)


@pytest.mark.parametrize(
    ("active", "latched", "acknowledged", "state"),
    [
        (False, False, True, State.NORMAL),
        (True, False, False, State.UNACKNOWLEDGED),
        (True, False, True, State.ACKNOWLEDGED),
        (False, False, False, State.RETURNED),
        (False, True, False, State.LATCHED_UNACKNOWLEDGED),
        (False, True, True, State.LATCHED_ACKNOWLEDGED),
    ],
)
def test_state(active: bool, latched: bool, acknowledged: bool, state: State) -> None:
    assert Alarm(active=active, latched=latched, acknowledged=acknowledged).state is state


@pytest.mark.parametrize(
    ("active", "latched", "acknowledged", "state"),
    [
        (False, False, True, State.UNCONFIRMED),
        (True, False, False, State.UNACKNOWLEDGED),
        (True, False, True, State.ACKNOWLEDGED),
        (False, False, False, State.RETURNED),
        (False, True, False, State.LATCHED_UNACKNOWLEDGED),
        (False, True, True, State.LATCHED_ACKNOWLEDGED),
    ],
)
def test_a_confirmation_is_the_last_that_is_owed(
    active: bool, latched: bool, acknowledged: bool, state: State
) -> None:
    alarm = Alarm(active=active, latched=latched, acknowledged=acknowledged, confirmed=False)
    assert alarm.state is state


@pytest.mark.parametrize(
    ("alarm", "state", "annunciated"),
    [
        (NORMAL, State.NORMAL, True),
        (UNSEEN, State.UNACKNOWLEDGED, True),
        (Alarm(shelved_until=BOOTED), State.SHELVED, False),
        (Alarm(shelved_until=0), State.SHELVED, False),
        (Alarm(suppressed_by="cause"), State.NORMAL, False),
        (Alarm(active=True, suppressed_by="cause"), State.SUPPRESSED, False),
        (Alarm(active=True, superseded_by="worse"), State.SUPPRESSED, False),
        (Alarm(active=True, suppressed_by="cause", shelved_until=1), State.SHELVED, False),
        (Alarm(out_of_service_until=0), State.OUT_OF_SERVICE, False),
        (Alarm(active=True, out_of_service_until=1, shelved_until=1), State.OUT_OF_SERVICE, False),
        (Alarm(active=True, suppressed_by="state:cleaning"), State.SUPPRESSED, False),
    ],
)
def test_gates_hide_the_state_underneath(alarm: Alarm, state: State, annunciated: bool) -> None:
    assert (alarm.state, alarm.annunciated) == (state, annunciated)


@pytest.mark.parametrize(
    ("alarm", "unheard"),
    [
        (UNSEEN._replace(shelved_until=1), False),
        (Alarm(active=True, acknowledged_at=1, shelved_until=1), False),
        (Alarm(active=True, shelved_until=1), True),
        (Alarm(active=True, out_of_service_until=1), True),
        (Alarm(active=True, suppressed_by="state:cleaning"), True),
        (Alarm(active=True, superseded_by="worse"), False),
        (Alarm(shelved_until=1), False),
    ],
)
def test_what_came_in_a_silence_was_not_heard(alarm: Alarm, unheard: bool) -> None:
    assert alarm.unheard is unheard


@pytest.mark.parametrize(
    ("before", "after", "annunciated"),
    [
        (State.UNACKNOWLEDGED, State.RETURNED, True),
        (State.ACKNOWLEDGED, State.NORMAL, True),
        (State.SUPPRESSED, State.NORMAL, False),
        (State.SUPPRESSED, State.UNACKNOWLEDGED, True),
    ],
)
def test_what_becomes_normal_while_suppressed_is_not_told_as_news(
    before: State, after: State, annunciated: bool
) -> None:
    event = AlarmEvent("a/b/c", Change.CLEARED, before, after, minute(0), NORMAL)
    assert event.annunciated is annunciated


def test_an_alarm_of_which_anything_was_told_is_kept() -> None:
    assert NORMAL.at_rest
    assert not Alarm(version=1).at_rest
