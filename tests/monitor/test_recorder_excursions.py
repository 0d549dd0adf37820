"""Excursions on the record: what the recorder hands to the ledger, keeps of it and tells."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from config.plant import Plant
from config.rules import High
from config.site import StoreSettings
from drivers.reading import Scan
from monitor.alarms.facts import Acknowledge
from monitor.excursions.record import ExcursionRecord
from monitor.messages import Actor, EquipmentRequest
from monitor.recorder import Recorder
from monitor.store.verify import verify
from tests.monitor.alarms.small_plant import SECOND, channel, door, plant, source
from tests.monitor.hand import FILE, HandTime, bodies, events, recording

NAME = "incubator-7/co2/high"
KIM = Actor(user="kim", via="socket")


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


def site(*, on_delay: int = 0, limit: float = 6.0) -> Plant:
    rules = (High(limit=limit, deadband=0.5, on_delay=on_delay),)
    small = plant(
        source(0, "incubator-7", "probe", "bus", [channel("co2", *rules)]),
        source(1, "incubator-7", "contact", "bus", [door()]),
    )
    [equipment] = small.equipment
    return replace(
        small,
        equipment=(replace(equipment, doors=((1, 0),)),),
        digest=sha256(small.text.encode()).hexdigest(),
        store=StoreSettings(tick=SECOND // 2),
    )


def says(recorder: Recorder, hand: HandTime, *values: float) -> None:
    """One reading a second."""
    for value in values:
        recorder.accept(Scan(0, *hand.now, (value,)))
        hand.pass_(1)


def records(folder: Path) -> list[ExcursionRecord]:
    return [ExcursionRecord.model_validate(body) for body in bodies(folder, "excursion")]


async def test_an_excursion_without_an_alarm_is_on_the_record(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path, site(on_delay=60 * SECOND)) as recorder:
        says(recorder, hand, 5.0, 5.0, 6.5, 7.0, 5.0, 5.0)
        await recorder.commit()
        store_id = recorder.store.store_id
    [record], [event] = records(tmp_path), events(tmp_path, "excursion")
    assert record.minor
    assert event.subject == NAME
    assert record.excursion == f"{store_id}/{NAME}/x3"
    assert (record.extreme, record.samples, record.start_crossed) == (7.0, 2, True)
    assert record.config == site().digest
    assert not verify(tmp_path / FILE).problems


async def test_its_alarm_and_what_was_done_about_it_are_named(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 5.0, 7.0)
        told = recorder.board.act(NAME, Acknowledge(), hand.now)
        assert isinstance(told, tuple)
        recorder.note("act", NAME, {"act": "acknowledge", "user": "kim", "reason": "door"})
        recorder.tell(told, actor=KIM, comment="door")
        recorder.note("act", "incubator-7", {"act": "comment", "user": "kim", "reason": "look"})
        recorder.note("refusal", NAME, {"act": "reset", "user": "kim", "reason": "no"})
        says(recorder, hand, 7.0, 5.0)
        await recorder.commit()
    [record] = records(tmp_path)
    assert not record.minor
    assert [alarm.occurrence.rpartition("/")[2] for alarm in record.alarms] == ["1"]
    assert [(act.act, act.user, act.reason) for act in record.acts] == [
        ("acknowledge", "kim", "door"),
        ("comment", "kim", "look"),
    ]


async def test_a_raise_at_a_later_scan_is_named(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site(on_delay=2 * SECOND)) as recorder:
        says(recorder, hand, 5.0, 7.0, 7.0, 7.0, 5.0)
        await recorder.commit()
    [record] = records(tmp_path)
    [alarm] = record.alarms
    assert (alarm.alarm, record.minor) == (NAME, False)
    assert alarm.raised is not None
    assert alarm.raised > record.start


async def test_the_batches_and_state_of_the_time_are_named(tmp_path: Path, hand: HandTime) -> None:
    def load(batch: str) -> EquipmentRequest:
        return EquipmentRequest(
            act="load", equipment="incubator-7", actor=KIM, reason="", batch=batch, request_id=batch
        )

    async with recording(tmp_path, site()) as recorder:
        recorder.use(load("B-1"))
        says(recorder, hand, 5.0, 7.0)
        recorder.use(load("B-2"))
        says(recorder, hand, 7.0, 5.0)
        await recorder.commit()
    [record] = records(tmp_path)
    assert record.batches == ("B-1", "B-2")
    assert record.equipment_state == "in_use"
    assert [each.batch for each in record.per_batch] == ["B-1", "B-2"]


async def test_the_door_is_heard_of_from_another_source(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        recorder.accept(Scan(1, *hand.now, (False,)))
        says(recorder, hand, 5.0, 7.0, 7.0)
        recorder.accept(Scan(1, *hand.now, (True,)))
        says(recorder, hand, 7.0, 7.0)
        recorder.accept(Scan(1, *hand.now, (False,)))
        says(recorder, hand, 7.0, 5.0)
        await recorder.commit()
    [record] = records(tmp_path)
    assert record.door_open_seconds == 2.0


VALUES = (5.0, 5.0, 6.5, 7.0, 7.5, 6.5, 5.0, 5.0, 7.0, 5.0)


async def test_a_restart_between_any_two_scans_changes_nothing(
    tmp_path: Path, hand: HandTime
) -> None:
    """But the id of the record's store; ``start_crossed`` too: what was said last is remembered."""
    whole = tmp_path / "whole"
    async with recording(whole, site()) as recorder:
        says(recorder, hand, *VALUES)
        await recorder.commit()
    told = [_comparable(record) for record in records(whole)]
    assert len(told) == 2
    for place in range(1, len(VALUES)):
        folder = tmp_path / str(place)
        async with recording(folder, site()) as recorder:
            says(recorder, hand, *VALUES[:place])
            await recorder.commit()
        async with recording(folder, site()) as recorder:
            says(recorder, hand, *VALUES[place:])
            await recorder.commit()
        assert [_comparable(record) for record in records(folder)] == told


def _comparable(record: ExcursionRecord) -> dict[str, object]:
    times = {"start", "end", "first_beyond", "last_beyond", "extreme_time"}
    own = {"excursion", "store_id", "alarms", *times}
    return record.model_dump(exclude=own)


async def test_one_that_goes_on_is_saved_when_it_changes_and_forgotten_at_its_end(
    tmp_path: Path, hand: HandTime
) -> None:
    saved = f"excursion/{NAME}"
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 5.0, 7.0)
        await recorder.commit()
    async with recording(tmp_path, site()) as recorder:
        assert saved in recorder.store.facts
        [record] = recorder.excursions.open_records(hand.now.at)
        assert (record.open, record.extreme) == (True, 7.0)
        says(recorder, hand, 5.0)
        await recorder.commit()
    async with recording(tmp_path, site()) as recorder:
        assert saved not in recorder.store.facts
        assert recorder.excursions.cases == {}


async def test_what_is_steady_costs_and_saves_nothing(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, *[5.0] * 10)
        assert recorder.excursions.tracked == set()
        assert recorder.excursions.take_changed() == {}


async def test_budgets_are_taken_up_from_the_record(tmp_path: Path, hand: HandTime) -> None:
    for _ in range(3):
        async with recording(tmp_path, site()) as recorder:
            says(recorder, hand, 5.0, 7.0, 5.0)
            await recorder.commit()
        hand.pass_(60)
    assert [record.day.excursions for record in records(tmp_path)] == [1, 2, 3]


async def test_a_new_limit_in_the_file_ends_what_goes_on(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 5.0, 7.0)
        await recorder.commit()
    async with recording(tmp_path, site(limit=6.5)) as recorder:
        says(recorder, hand, 7.0, 5.0)
        await recorder.commit()
    first, second = records(tmp_path)
    assert (first.ended_by, first.limit) == ("limit_changed", 6.0)
    assert (second.ended_by, second.limit) == ("returned", 6.5)


async def test_a_step_of_the_clock_lengthens_nothing(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 5.0, 7.0)
        hand.step(3600)
        recorder.follow_clock()
        says(recorder, hand, 7.0, 5.0)
        await recorder.commit()
    [record] = records(tmp_path)
    assert (record.clock_steps, record.duration_seconds) == (1, 2.0)


async def test_a_reboot_is_bridged(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 5.0, 7.0)
        await recorder.commit()
    hand.reboot(120)
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 7.0, 5.0)
        await recorder.commit()
    [record] = records(tmp_path)
    assert record.bridged
    assert record.gap_seconds == pytest.approx(121.0)
    assert record.duration_seconds == pytest.approx(122.0)


async def test_time_in_which_nobody_watched_is_a_gap(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 5.0, 7.0)
        await recorder.commit()
    hand.pass_(60)
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 7.0, 5.0)
        await recorder.commit()
    [record] = records(tmp_path)
    assert record.gap_seconds == 61.0
    assert not record.bridged
    assert len(events(tmp_path, "unmonitored")) == 1


async def test_what_was_said_long_before_the_start_draws_no_line(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 5.0)
        await recorder.commit()
    hand.pass_(10)
    async with recording(tmp_path, site()) as recorder:
        says(recorder, hand, 7.0, 5.0)
        await recorder.commit()
    assert [record.start_crossed for record in records(tmp_path)] == [False]
