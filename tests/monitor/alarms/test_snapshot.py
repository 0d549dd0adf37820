"""What is saved is what is loaded, and after a reboot means the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import Escalation, High
from drivers.reading import Moment, Quality
from monitor.alarms import engine, snapshot
from monitor.alarms.facts import (
    NORMAL,
    Acknowledge,
    Alarm,
    Observation,
    Pending,
    RemoveFromService,
    Sample,
    Shelve,
)
from tests.monitor.alarms.small_plant import BOOTED, MINUTE, NOON, SECOND, minute

SLOW = High(name="high", limit=6.0, on_delay=5 * MINUTE, off_delay=5 * MINUTE)
BEYOND, INSIDE = Observation(7.0, Quality.GOOD), Observation(5.0, Quality.GOOD)

MOMENTS = st.builds(Moment, st.integers(0, 2**62), st.integers(-(2**62), 2**62))
REALS = st.floats(allow_nan=False)
ALARMS = st.builds(
    Alarm,
    condition=st.booleans(),
    pending=st.none()
    | st.builds(
        Pending,
        MOMENTS,
        st.none() | REALS,
        st.none() | st.integers(),
        st.booleans(),
        st.none() | st.booleans() | st.integers() | REALS | st.text(),
    ),
    condition_start=st.none() | MOMENTS,
    inside_since=st.none() | MOMENTS,
    active=st.booleans(),
    alarm_time=st.none() | MOMENTS,
    acknowledged=st.booleans(),
    acknowledged_at=st.none() | st.integers(),
    confirmed=st.booleans(),
    re_alarms=st.integers(0),
    unacknowledged_since=st.none() | st.integers(),
    escalations=st.integers(0),
    latched=st.booleans(),
    shelved_until=st.none() | st.integers(),
    one_shot=st.booleans(),
    out_of_service_until=st.none() | st.integers(),
    suppressed_by=st.text(),
    superseded_by=st.text(),
    occurrence=st.integers(0),
    peak=st.none() | REALS,
    peak_at=st.none() | st.integers(),
    value=st.none() | REALS | st.booleans() | st.text() | st.integers(),
    other=st.none() | REALS,
    version=st.integers(0),
    source_time=st.none() | st.integers(),
    standing=st.none() | REALS | st.integers() | st.text(),
    samples=st.lists(st.builds(Sample, st.integers(), REALS, st.booleans())).map(tuple),
    rule=st.text(),
    bridged=st.booleans(),
)


@given(ALARMS)
def test_within_one_boot_what_was_saved_is_what_is_loaded(alarm: Alarm) -> None:
    saved = snapshot.dump(alarm, "boot-1", minute(0))
    assert snapshot.load(saved, "boot-1", minute(99)) == alarm


def rebooted(alarm: Alarm, saved_at: float, loaded_at: float, up: float) -> tuple[Alarm, Moment]:
    """Save, reboot, and load ``loaded_at`` minutes after noon, ``up`` minutes after the boot."""
    text = snapshot.dump(alarm, "boot-1", minute(saved_at))
    now = Moment(minute(loaded_at).at, round(up * MINUTE))
    return snapshot.load(text, "boot-2", now), now


def test_an_on_delay_counts_on_over_a_reboot() -> None:
    pending = engine.step(SLOW, NORMAL, BEYOND, minute(0))
    alarm, now = rebooted(pending, 1, 3, 1)
    later = Moment(now.at + 2 * MINUTE, now.boot + 2 * MINUTE)
    almost = Moment(later.at - 1, later.boot - 1)
    assert alarm.bridged
    assert not engine.step(SLOW, alarm, BEYOND, almost).active
    raised = engine.step(SLOW, alarm, BEYOND, later)
    assert raised.active
    assert raised.condition_start is not None
    assert raised.condition_start.at == NOON


def test_a_shelf_ends_at_its_time_over_a_reboot() -> None:
    shelved = engine.step(SLOW, NORMAL, Shelve(10 * MINUTE), minute(0))
    alarm, now = rebooted(shelved, 0, 4, 2)
    assert alarm.shelved_until == now.boot + 6 * MINUTE


def test_a_removal_ends_at_its_time_over_a_reboot() -> None:
    removed = engine.step(SLOW, NORMAL, RemoveFromService(10 * MINUTE), minute(0))
    alarm, now = rebooted(removed, 0, 4, 2)
    assert alarm.out_of_service_until == now.boot + 6 * MINUTE
    assert alarm.bridged


def test_a_re_alarm_counts_on_over_a_reboot() -> None:
    rule = High(name="high", limit=6.0, re_alarm=10 * MINUTE)
    raised = engine.step(rule, NORMAL, BEYOND, minute(0))
    seen = engine.step(rule, raised, Acknowledge(), minute(1))
    alarm, now = rebooted(seen, 2, 5, 1)
    due = Moment(now.at + 6 * MINUTE, now.boot + 6 * MINUTE)
    almost = Moment(due.at - 1, due.boot - 1)
    assert engine.step(rule, alarm, BEYOND, almost).re_alarms == 0
    assert engine.step(rule, alarm, BEYOND, due).re_alarms == 1


def test_an_escalation_counts_on_over_a_reboot() -> None:
    steps = Escalation(after=10 * MINUTE), Escalation(after=20 * MINUTE)
    rule = High(name="high", limit=6.0, escalate=steps)
    raised = engine.step(rule, NORMAL, BEYOND, minute(0))
    urgent = engine.step(rule, raised, BEYOND, minute(10))
    alarm, now = rebooted(urgent, 10, 14, 1)
    assert alarm.escalations == 1
    due = Moment(now.at + 6 * MINUTE, now.boot + 6 * MINUTE)
    almost = Moment(due.at - 1, due.boot - 1)
    assert engine.step(rule, alarm, BEYOND, almost).escalations == 1
    assert engine.step(rule, alarm, BEYOND, due).escalations == 2


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_release_without_escalation_left_unacknowledged_has_asked_since_it_was_saved(
    version: int,
) -> None:
    text = (
        f'{{"v":{version},"boot_id":"boot-1","saved":[100,50],"condition":true,"active":true,'
        '"acknowledged":false,"occurrence":3,"version":4,"alarm_time":[1,2]'
    )
    alarm = snapshot.load(text + "}", "boot-1", Moment(160, 110))
    assert (alarm.unacknowledged_since, alarm.escalations) == (50, 0)
    rebooted_now = snapshot.load(text + "}", "boot-2", Moment(130, 40))
    assert rebooted_now.unacknowledged_since == 10
    shelved = snapshot.load(text + ',"shelved_until":9000}', "boot-1", Moment(160, 110))
    assert shelved.unacknowledged_since is None


def test_facts_of_a_release_without_these_acts_mean_what_they_meant() -> None:
    text = (
        '{"v":1,"boot_id":"b","saved":[1,2],"condition":true,"active":true,"acknowledged":false,'
        '"shelved_until":9,"occurrence":3,"version":4,"alarm_time":[1,2]}'
    )
    alarm = snapshot.load(text, "b", Moment(1, 2))
    assert (alarm.confirmed, alarm.re_alarms, alarm.one_shot) == (True, 0, False)
    assert (alarm.acknowledged_at, alarm.out_of_service_until) == (None, None)
    assert (alarm.active, alarm.acknowledged, alarm.shelved_until) == (True, False, 9)


def test_what_a_release_without_re_alarm_had_acknowledged_still_latches_and_asks_anew() -> None:
    text = (
        '{"v":1,"boot_id":"boot-1","saved":[100,50],"condition":true,"active":true,'
        '"shelved_until":9000,"occurrence":3,"version":4,"alarm_time":[1,2]}'
    )
    rule = High(name="high", limit=6.0, latching=True, re_alarm=10 * MINUTE)
    alarm = snapshot.load(text, "boot-1", minute(0))
    assert alarm.acknowledged_at == 50
    assert not alarm.unheard
    assert engine.step(rule, alarm, INSIDE, Moment(200, 100)).latched
    rebooted_now = snapshot.load(text, "boot-2", Moment(130, 40))
    assert rebooted_now.acknowledged_at == 10


def test_a_wall_clock_that_went_back_bridges_nothing_and_loses_nothing() -> None:
    shelved = engine.step(SLOW, NORMAL, Shelve(10 * MINUTE), minute(0))
    alarm, now = rebooted(shelved, 2, 1, 0.5)
    assert alarm.shelved_until == now.boot + 8 * MINUTE


def test_what_a_rule_looks_back_on_grows_older_over_a_reboot() -> None:
    looking = NORMAL._replace(samples=(Sample(minute(0).boot, 37.0),))
    alarm, now = rebooted(looking, 1, 4, 0.5)
    (sample,) = alarm.samples
    assert now.boot - sample.boot == 4 * MINUTE


def test_what_does_not_run_is_not_marked_as_bridged() -> None:
    alarm, _ = rebooted(Alarm(acknowledged=False, version=2, occurrence=1), 0, 5, 1)
    assert alarm == Alarm(acknowledged=False, version=2, occurrence=1)


def test_a_new_condition_was_measured_whole_and_is_not_bridged() -> None:
    pending = engine.step(SLOW, NORMAL, BEYOND, minute(0))
    alarm, now = rebooted(pending, 1, 3, 1)
    inside = engine.step(SLOW, alarm, INSIDE, now)
    assert not engine.step(SLOW, inside, BEYOND, now).bridged


def test_the_saved_text_is_one_object_with_its_version() -> None:
    saved = json.loads(snapshot.dump(NORMAL, "boot-1", Moment(NOON, BOOTED)))
    assert saved == {"v": 3, "boot_id": "boot-1", "saved": [NOON, BOOTED]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"v": 0, "boot_id": "b", "saved": [0, 0]}',
        '{"v": 4, "boot_id": "b", "saved": [0, 0]}',
        '{"v": 1, "boot_id": "b", "saved": [0, 0], "pending": 3}',
        '{"v": 1, "boot_id": "b", "saved": [0, 0], "alarm_time": 3}',
        '{"v": 1, "boot_id": "b", "saved": [0, 0], "samples": 3}',
        '{"v": 1, "boot_id": "b", "saved": [0, 0], "samples": [3]}',
        '{"v": 1, "boot_id": "c", "saved": 3}',
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(snapshot.SnapshotError, match="alarm"):
        snapshot.load(text, "b", Moment(NOON, SECOND))
