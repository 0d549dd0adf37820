"""Confirm, re-alarm, escalation, one-shot shelves and out of service on the record.

All of it over kills and reboots.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from config.plant import Plant
from config.rules import Escalation, High, Priority
from monitor.alarms.facts import (
    Acknowledge,
    Act,
    Confirm,
    Refusal,
    RemoveFromService,
    Shelve,
)
from monitor.messages import Actor
from monitor.recorder import Recorder
from tests.monitor.alarms.small_plant import SECOND, channel, plant, source
from tests.monitor.hand import HandTime, bodies, recording, scan, small_plant

NAME = "incubator-7/co2/high"
ANNA = Actor(user="anna", via="socket")
CRITICAL = High(
    limit=6.0,
    deadband=0.1,
    alarm_class="gmp-critical",
    confirm=True,
    re_alarm=60 * SECOND,
    consequence="The medium turns sour",
    time_to_respond=600 * SECOND,
)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


def critical_plant(rule: High = CRITICAL) -> Plant:
    """One incubator with a CO2 alarm of which everything is asked, or another one."""
    one = plant(source(0, "incubator-7", "probe", "bus", [channel("co2", rule)]))
    return replace(one, digest=small_plant().digest, store=small_plant().store)


def act(recorder: Recorder, what: Act, hand: HandTime) -> None:
    events = recorder.board.act(NAME, what, hand.now)
    assert not isinstance(events, Refusal), events.text
    recorder.tell(events, actor=ANNA)


async def after_a_minute(
    folder: Path, hand: HandTime, value: float, *acts: Act, rule: High = CRITICAL
) -> None:
    """Start, hear one reading, do what is asked, and be killed."""
    hand.pass_(60)
    async with recording(folder, critical_plant(rule)) as recorder:
        recorder.accept(scan(hand.now, value))
        for what in acts:
            act(recorder, what, hand)
        await recorder.commit()


def changes(folder: Path) -> list[str]:
    told = bodies(folder, "alarm")
    return [f"{one['change']} -> {one['after']}" for one in told if one["alarm"] == NAME]


async def test_each_step_is_on_the_record_though_it_is_killed_after_each(
    tmp_path: Path, hand: HandTime
) -> None:
    await after_a_minute(tmp_path, hand, 7.0, Acknowledge())
    await after_a_minute(tmp_path, hand, 7.0)
    await after_a_minute(tmp_path, hand, 5.0)
    await after_a_minute(tmp_path, hand, 5.0, Acknowledge())
    await after_a_minute(tmp_path, hand, 5.0, Confirm())
    assert changes(tmp_path) == [
        "raised -> unacknowledged",
        "acknowledged -> acknowledged",
        "re_alarmed -> unacknowledged",
        "returned -> returned",
        "acknowledged -> unconfirmed",
        "confirmed -> normal",
    ]
    [*_, again, _, _, confirmed] = bodies(tmp_path, "alarm")
    assert (again["re_alarms"], again["occurrence"]) == (1, confirmed["occurrence"])
    assert (again["alarm_class"], again["time_to_respond"]) == ("gmp-critical", 600)
    assert (confirmed["actor"], confirmed["confirmed_state"], confirmed["retain"]) == (
        "anna",
        True,
        False,
    )


URGENT = High(
    limit=6.0,
    escalate=(
        Escalation(after=120 * SECOND),
        Escalation(after=240 * SECOND, to=Priority.CRITICAL),
    ),
)


@pytest.mark.parametrize("rebooted", [False, True], ids=["killed", "rebooted"])
async def test_each_step_of_an_escalation_is_told_once_wherever_a_kill_falls(
    tmp_path: Path, hand: HandTime, rebooted: bool
) -> None:
    for minute in range(7):
        await after_a_minute(tmp_path, hand, 7.0, rule=URGENT)
        if rebooted and minute == 3:
            hand.reboot(0)
    await after_a_minute(tmp_path, hand, 7.0, Acknowledge(), rule=URGENT)
    assert changes(tmp_path) == [
        "raised -> unacknowledged",
        "escalated -> unacknowledged",
        "escalated -> unacknowledged",
        "acknowledged -> acknowledged",
    ]
    told = bodies(tmp_path, "alarm")
    assert [each["priority"] for each in told] == ["medium", "high", "critical", "medium"]
    assert {each["configured_priority"] for each in told} == {"medium"}
    assert [each["escalations"] for each in told] == [0, 1, 2, 0]
    minutes = [(int(each["time"][14:16]) - int(told[0]["time"][14:16])) % 60 for each in told]
    assert minutes == [0, 2, 4, 7]


@pytest.mark.parametrize("rebooted", [False, True], ids=["killed", "rebooted"])
async def test_out_of_service_ends_after_its_time_wherever_that_falls(
    tmp_path: Path, hand: HandTime, rebooted: bool
) -> None:
    await after_a_minute(tmp_path, hand, 7.0, RemoveFromService(150 * SECOND))
    if rebooted:
        hand.reboot(0)
    await after_a_minute(tmp_path, hand, 7.0)
    await after_a_minute(tmp_path, hand, 7.0)
    assert changes(tmp_path)[1:] == ["removed_from_service -> out_of_service"]
    await after_a_minute(tmp_path, hand, 7.0)
    assert changes(tmp_path)[2:] == ["returned_to_service -> unacknowledged"]
    [_, removed, back] = bodies(tmp_path, "alarm")
    assert removed["out_of_service_until"] is not None
    assert (removed["annunciated"], back["annunciated"]) == (False, True)


async def test_a_one_shot_shelf_ends_with_its_occurrence_after_a_kill(
    tmp_path: Path, hand: HandTime
) -> None:
    await after_a_minute(tmp_path, hand, 7.0, Acknowledge(), Shelve(3600 * SECOND, one_shot=True))
    await after_a_minute(tmp_path, hand, 5.0)
    assert changes(tmp_path)[2:] == [
        "shelved -> shelved",
        "returned -> shelved",
        "unshelved -> unconfirmed",
    ]
    assert [one["shelving_state"] for one in bodies(tmp_path, "alarm")][2:] == [
        "OneShotShelved",
        "OneShotShelved",
        "Unshelved",
    ]
