"""A record that an earlier release left, taken up by this one: nothing lost, nothing told twice.

The facts and events here are as the release before equipment states, excursions and the full
alarm engine wrote them, key for key.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from monitor.alarms.facts import Refusal, State, Unshelve
from monitor.messages import AlarmEventMessage, AlarmMessage
from monitor.recorder import Recorder
from monitor.store import Event, Store, Tick
from tests.monitor.alarms.small_plant import BOOTED, MINUTE, NOON, SECOND
from tests.monitor.hand import (
    FILE,
    HIGH,
    LOW,
    OTHER,
    HandTime,
    bodies,
    events,
    recording,
    scan,
    small_plant,
)

HOUR = 60 * MINUTE
RULE: Mapping[str, object] = {
    "name": "high",
    "priority": "medium",
    "on_delay": 0,
    "off_delay": 0,
    "latching": False,
    "response": "",
    "kind": "high",
    "limit": 6.0,
    "deadband": 0.1,
}
LOW_RULE = {**RULE, "name": "low", "kind": "low", "limit": 4.0, "deadband": 0.0}
NOON_TOLD = "2026-02-02T02:40:00.000Z"


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


def facts(rule: Mapping[str, object], **said: object) -> str:
    """What stands of an alarm, as it was saved."""
    saved = {"v": 1, "boot_id": "boot-1", "saved": [NOON, BOOTED], **said}
    return json.dumps({**saved, "rule": json.dumps(rule, separators=(",", ":"))})


def raised(**more: object) -> dict[str, object]:
    moment = [NOON, BOOTED]
    return {
        "condition": True,
        "active": True,
        "occurrence": 1,
        "version": 2,
        "value": 7.0,
        "peak": 7.0,
        "peak_at": NOON,
        "condition_start": moment,
        "alarm_time": moment,
        **more,
    }


STOOD = {
    HIGH: facts(RULE, **raised()),
    LOW: facts(LOW_RULE, shelved_until=BOOTED + HOUR, version=1),
    OTHER: facts(RULE, **raised(acknowledged=False, shelved_until=BOOTED + HOUR)),
}
ANNA = {"actor": "anna", "claimed": "", "via": "socket", "comment": "calibration"}


def told(seq: int, name: str, store_id: str, **said: object) -> Event:
    """The newest event of an alarm, as it was written."""
    equipment, channel, rule = name.split("/")
    body = {
        "schema": "cytowatch.alarm_event.v1",
        "site": "les-ulis",
        "gateway": "gw-1",
        "area": "suite-a",
        "equipment": equipment,
        "kind": "incubator",
        "channel": channel,
        "rule": rule,
        "alarm": name,
        "event_id": f"{store_id}-{seq}",
        "seq": seq,
        "store_id": store_id,
        "owner_epoch": 1,
        "version": 2,
        "occurrence": f"{store_id}/{name}/1",
        "active_state": True,
        "acked_state": True,
        "latched_state": False,
        "shelving_state": "Unshelved",
        "suppressed_state": False,
        "suppressed_or_shelved": False,
        "retain": True,
        "annunciated": True,
        "suppressed_by": "",
        "superseded_by": "",
        "shelved_until": None,
        "priority": "medium",
        "severity": 500,
        "value": 7.0,
        "unit": "%",
        "limit": 6.0,
        "peak": 7.0,
        "peak_time": NOON_TOLD,
        "condition_start": NOON_TOLD,
        "alarm_time": NOON_TOLD,
        "time": NOON_TOLD,
        "response": "",
        "config": "e3b0c442",
        "before": "unacknowledged",
        "scan": 0,
        **ANNA,
        **said,
    }
    body["state"] = body["after"]
    return Event(seq + 1, seq, "alarm", NOON, BOOTED, name, json.dumps(body))


SHELVED = {"change": "shelved", "after": "shelved", "shelving_state": "TimedShelved"}


async def leave_a_record(folder: Path) -> None:
    """Write what an earlier release would have left when it was told to stop."""
    async with Store.open(folder / FILE, quota=2**30) as store:
        began = {"version": "0.1.0", "pid": 1, "boot_id": "boot-1", "clock_epoch": 1}
        start = {**began, "config": small_plant().digest, "away": "first start"}
        tick = Tick(facts=dict(STOOD))
        tick.events += [
            Event(1, None, "start", NOON, BOOTED, "gw-1", json.dumps(start)),
            told(1, HIGH, store.store_id, change="acknowledged", after="acknowledged"),
            told(2, LOW, store.store_id, **SHELVED, shelved_until="2026-02-02T03:40:00.000Z"),
            told(3, OTHER, store.store_id, **SHELVED, shelved_until="2026-02-02T03:40:00.000Z"),
            Event(5, None, "stop", NOON, BOOTED, "gw-1", '{"reason":"told to"}'),
        ]
        await store.commit(tick)


def states(recorder: Recorder) -> Mapping[str, State]:
    return {name: alarm.state for name, alarm in recorder.board.standing()}


async def test_what_stood_stands_and_nobody_is_told_of_it_again(
    tmp_path: Path, hand: HandTime
) -> None:
    await leave_a_record(tmp_path)
    hand.pass_(30)
    async with recording(tmp_path) as recorder:
        assert states(recorder) == {
            HIGH: State.ACKNOWLEDGED,
            LOW: State.SHELVED,
            OTHER: State.SHELVED,
        }
        stands = {message.alarm: message for message in recorder.active()}
        assert stands.keys() == {HIGH, LOW, OTHER}
        for value in (7.0, 7.1):
            recorder.accept(scan(hand.now, value))
            recorder.accept(scan(hand.now, value, of=1))
            hand.pass_(1)
        await recorder.commit()
    assert [event.seq for event in events(tmp_path, "alarm")] == [1, 2, 3]


async def test_what_happens_to_it_next_is_told_whole(tmp_path: Path, hand: HandTime) -> None:
    await leave_a_record(tmp_path)
    hand.pass_(30)
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        recorder.accept(scan(hand.now, 5.0, of=1))
        await recorder.commit()
        assert states(recorder) == {LOW: State.SHELVED, OTHER: State.SHELVED}
        for message in recorder.active():
            AlarmMessage.model_validate_json(message.model_dump_json(by_alias=True))
    new = [AlarmEventMessage.model_validate(body) for body in bodies(tmp_path, "alarm")[3:]]
    assert [(m.seq, m.alarm, m.change, m.version) for m in new] == [
        (4, HIGH, "cleared", 3),
        (5, OTHER, "returned", 3),
    ]
    assert new[1].occurrence == f"{new[1].store_id}/{OTHER}/1"
    assert (new[1].shelved_by, new[1].shelved_reason) == ("anna", "calibration")
    assert new[1].equipment_state == "in_use"


async def test_a_shelf_ends_when_it_would_have(tmp_path: Path, hand: HandTime) -> None:
    await leave_a_record(tmp_path)
    hand.pass_(3599)
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 7.0, of=1))
        assert recorder.board.alarm(OTHER).state is State.SHELVED
        hand.pass_(1)
        recorder.accept(scan(hand.now, 7.0, of=1))
        assert recorder.board.alarm(OTHER).state is State.UNACKNOWLEDGED


async def test_what_is_out_just_now_is_an_excursion_from_the_first_reading_on(
    tmp_path: Path, hand: HandTime
) -> None:
    await leave_a_record(tmp_path)
    hand.pass_(30)
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 7.0))
        (case,) = recorder.excursions.cases.values()
        assert [alarm.alarm for alarm in case.setting.alarms] == [HIGH]
        assert case.track.first.boot == BOOTED + 30 * SECOND


async def test_its_acts_are_bound_to_the_same_occurrence(tmp_path: Path, hand: HandTime) -> None:
    await leave_a_record(tmp_path)
    hand.pass_(30)
    async with recording(tmp_path) as recorder:
        outcome = recorder.board.act(
            OTHER, Unshelve(), hand.now, expect_occurrence=1, expect_version=2
        )
        assert not isinstance(outcome, Refusal)
        assert [event.after for event in outcome] == [State.UNACKNOWLEDGED]
