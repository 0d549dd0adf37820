"""The ISA-18.2 state is read off the facts."""

import pytest

from monitor.alarms.facts import NORMAL, Alarm, State
from tests.monitor.alarms.small_plant import BOOTED

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
    ],
)
def test_gates_hide_the_state_underneath(alarm: Alarm, state: State, annunciated: bool) -> None:
    assert (alarm.state, alarm.annunciated) == (state, annunciated)


def test_an_alarm_of_which_anything_was_told_is_kept() -> None:
    assert NORMAL.at_rest
    assert not Alarm(version=1).at_rest
