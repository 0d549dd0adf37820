"""How equipment is used, on the record: what is heard, done and due, and what follows from it."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from config.plant import Plant
from config.rules import High, When
from config.site import StoreSettings
from drivers.reading import Scan
from monitor.alarms.facts import Refusal
from monitor.messages import Actor, AlarmEventMessage, EquipmentRequest, rfc3339
from monitor.recorder import Recorder
from monitor.store import StoreError, Tick, line_protocol
from monitor.store.reader import Reader
from monitor.store.verify import verify
from monitor.troubles import STORE_DAMAGED
from tests.monitor.alarms.small_plant import channel, plant, source
from tests.monitor.alarms.used_plant import (
    CLEANING,
    IN_USE,
    LONGEST,
    LOST,
    SILENT,
    USED,
    panel,
    used_plant,
)
from tests.monitor.hand import EVER, FILE, HandTime, bodies, committing, events, recording
from tests.monitor.store.influx_parser import parse

SECOND = 10**9
ANNA = Actor(user="anna", claimed="Anna B.", role="operator", via="socket", uid=1000)
WARM = f"{USED}/temperature/high"


def site(*when: When) -> Plant:
    """Its tick is so long that only what is committed at once is committed in a test."""
    slow = StoreSettings().model_copy(update={"tick": 3600 * SECOND})
    used = used_plant(High(limit=38.0, deadband=0.1, when=when))
    return replace(used, digest=sha256(used.text.encode()).hexdigest(), store=slow)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


def told(hand: HandTime, *said: object) -> Scan:
    """What the panel says just now."""
    return panel(0, *said)._replace(at=hand.wall, boot=hand.boot)


def warm(hand: HandTime, value: float) -> Scan:
    """What the probe says just now."""
    return Scan(1, hand.wall, hand.boot, (value,))


def asked(act: str, of: str = USED, **given: object) -> EquipmentRequest:
    fields: dict[str, object] = {"reason": "as planned", "request_id": "r-1"} | given
    return EquipmentRequest.model_validate({"act": act, "equipment": of, "actor": ANNA, **fields})


def done(recorder: Recorder, act: str, of: str = USED, **given: object) -> str:
    text = recorder.use(asked(act, of, **given))
    assert isinstance(text, str), text
    return text


def states(folder: Path, of: str) -> Sequence[tuple[str, str]]:
    """The source and the state of every point of an equipment."""
    with Reader(folder / FILE) as reader:
        points = {point.scan: point for point in reader.readings(0, EVER, of)}
    return [(point.source, point.state) for point in points.values()]


def changes(folder: Path) -> Sequence[tuple[Any, ...]]:
    names = ("change", "before", "state", "cause", "user", "suppresses")
    return [tuple(body[name] for name in names) for body in bodies(folder, "equipment_state")]


async def test_a_state_is_on_the_record_at_once_and_in_every_point_from_then_on(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path, site()) as recorder, committing(recorder):
        recorder.accept(told(hand))
        recorder.accept(warm(hand, 37.0))
        hand.pass_(1)
        recorder.accept(told(hand, True))
        recorder.accept(warm(hand, 37.0))
        async with asyncio.timeout(30):
            await recorder.store.wait("events", recorder.store.last.event)
        assert recorder.usage(USED).state is CLEANING
    assert states(tmp_path, USED) == [
        ("panel", "in_use"),
        ("probe", "in_use"),
        ("panel", "cleaning"),
        ("probe", "cleaning"),
    ]
    [body] = bodies(tmp_path, "equipment_state")
    until = rfc3339(hand.wall + LONGEST)
    assert body == {
        "change": "state",
        "state": "cleaning",
        "before": "in_use",
        "phase": "",
        "phase_before": "",
        "cause": "channel",
        "told": "decontamination: running",
        "until": None,
        "suppresses": True,
        "suppressing_until": until,
        "bridged": False,
        "user": "",
        "reason": "",
    }
    [event] = events(tmp_path, "equipment_state")
    assert (event.subject, event.at, event.seq) == (USED, hand.wall, None)
    assert verify(tmp_path / FILE).whole


async def test_alarms_follow_the_state_and_say_it(tmp_path: Path, hand: HandTime) -> None:
    """The cause stands on the record before what follows from it."""
    async with recording(tmp_path, site()) as recorder:
        recorder.accept(told(hand))
        recorder.accept(warm(hand, 39.0))
        recorder.accept(told(hand, True, "culture", "harvest"))
        recorder.accept(told(hand, False, "culture", "harvest"))
        await recorder.commit()
    written = [
        (e.kind, e.subject) for e in events(tmp_path) if e.kind in {"alarm", "equipment_state"}
    ]
    assert written == [
        ("alarm", WARM),
        ("equipment_state", USED),
        ("equipment_state", USED),
        ("alarm", WARM),
        ("equipment_state", USED),
        ("alarm", WARM),
    ]
    alarms = [AlarmEventMessage.model_validate_json(e.body) for e in events(tmp_path, "alarm")]
    assert [(a.change, a.suppressed_by, a.equipment_state, a.phase) for a in alarms] == [
        ("raised", "", "in_use", ""),
        ("suppressed", "state:cleaning", "cleaning", "harvest"),
        ("unsuppressed", "", "in_use", "harvest"),
    ]
    assert [alarm.scan for alarm in alarms] == [2, 3, 4]


async def test_suppression_ends_though_the_state_goes_on(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        recorder.accept(told(hand, True))
        recorder.accept(warm(hand, 39.0))
        hand.pass_(LONGEST / SECOND - 1)
        recorder.follow_use()
        await recorder.commit()
        [alarm] = recorder.active()
        assert not alarm.annunciated
        hand.pass_(1)
        recorder.follow_use()
        await recorder.commit()
        [alarm] = recorder.active()
        assert (alarm.annunciated, alarm.equipment_state) == (True, "cleaning")
        assert recorder.usage(USED).state is CLEANING
    assert changes(tmp_path) == [
        ("state", "in_use", "cleaning", "channel", "", True),
        ("suppression_ended", "cleaning", "cleaning", "channel", "", False),
    ]


async def test_a_device_that_hangs_in_a_phase_keeps_no_alarm_silent_for_good(
    tmp_path: Path, hand: HandTime
) -> None:
    rinse = site(When(phases=("rinse",), off=True, longest=600 * SECOND))
    async with recording(tmp_path, rinse) as recorder:
        recorder.accept(told(hand, False, "culture", "rinse"))
        recorder.accept(warm(hand, 39.0))
        hand.pass_(599)
        recorder.follow_use()
        assert recorder.board.alarm(WARM).suppressed_by == "phase:rinse"
        await recorder.commit()
    hand.pass_(1)
    async with recording(tmp_path, rinse) as recorder:
        [alarm] = recorder.active()
        assert (alarm.annunciated, alarm.state, alarm.phase) == (True, "unacknowledged", "rinse")
        recorder.accept(warm(hand, 39.0))
        [case] = recorder.excursions.cases.values()
        assert case.setting.phase == "rinse"
    assert [change for change, *_ in changes(tmp_path)] == ["phase", "phase_suppression_ended"]


@pytest.mark.parametrize("reboot", [False, True])
async def test_a_restart_goes_on_where_it_was(tmp_path: Path, hand: HandTime, reboot: bool) -> None:
    async with recording(tmp_path, site()) as recorder:
        recorder.accept(told(hand, True))
        recorder.accept(warm(hand, 39.0))
        done(recorder, "load", batch="B-1", position="shelf 2")
        await recorder.commit()
        before = recorder.usage(USED)
        stood = recorder.active()
    if reboot:
        hand.reboot(60)
    else:
        hand.pass_(60)
    async with recording(tmp_path, site()) as recorder:
        assert recorder.active() == stood
        after = recorder.usage(USED)
        assert (after.state, after.loaded, after.bridged) == (CLEANING, before.loaded, reboot)
        recorder.accept(warm(hand, 39.0))
        recorder.accept(told(hand, True))
        hand.pass_(LONGEST / SECOND - 61)
        recorder.follow_use()
        await recorder.commit()
        assert recorder.active() == stood, "nothing is told twice"
        hand.pass_(1)
        recorder.follow_use()
        await recorder.commit()
    assert [change for change, *_ in changes(tmp_path)] == ["state", "suppression_ended"]
    assert bodies(tmp_path, "equipment_state")[1]["bridged"] is reboot
    assert set(states(tmp_path, USED)) == {("panel", "cleaning"), ("probe", "cleaning")}


async def test_what_fell_due_while_it_was_away_is_told_at_the_start(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path, site()) as recorder:
        recorder.accept(told(hand))
        done(recorder, "set_state", state="cleaning", duration=600 * SECOND)
        await recorder.commit()
    hand.pass_(601)
    async with recording(tmp_path, site()) as recorder:
        assert recorder.usage(USED).state is IN_USE
        assert recorder.store.last.event == len(events(tmp_path)), "it is committed"
    assert changes(tmp_path) == [
        ("state", "in_use", "cleaning", "act", "anna", True),
        ("state", "cleaning", "in_use", "channel", "", False),
    ]


async def test_what_fell_due_before_an_act_is_not_put_down_to_it(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path, site()) as recorder:
        recorder.accept(told(hand))
        done(recorder, "set_state", state="cleaning", duration=10 * SECOND)
        hand.pass_(10)
        done(recorder, "load", batch="B-1")
        await recorder.commit()
    assert changes(tmp_path)[1] == ("state", "cleaning", "in_use", "channel", "", False)


async def test_an_act_is_signed_and_answered_with_what_is_so_now(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path, site()) as recorder:
        recorder.accept(told(hand))
        until = rfc3339(hand.wall + LONGEST)
        said = done(recorder, "set_state", state="cleaning", reason="a spill")
        assert said == f"cleaning until {until}"
        said = done(recorder, "load", batch="B-1", position="shelf 2")
        assert said == "B-1 loaded at shelf 2"
        assert done(recorder, "unload", batch="B-1") == "B-1 unloaded"
        assert done(recorder, "set_state", state=None) == "in_use"
        assert done(recorder, "comment") == "noted"
        await recorder.commit()
    signed = {"user": "anna", "claimed": "Anna B.", "role": "operator", "via": "socket"}
    set_, freed = bodies(tmp_path, "equipment_state")
    assert signed.items() <= set_.items()
    assert (set_["reason"], set_["until"]) == ("a spill", until)
    assert signed.items() <= freed.items()
    came, left = bodies(tmp_path, "occupancy")
    batch = {"batch": "B-1", "position": "shelf 2", "since": rfc3339(hand.wall)}
    assert came == {"act": "load", **batch, **signed, "reason": "as planned"}
    assert left == {"act": "unload", **batch, **signed, "reason": "as planned"}
    assert [event.subject for event in events(tmp_path, "occupancy")] == [USED, USED]
    assert verify(tmp_path / FILE).whole


async def test_a_state_that_outlasts_its_suppression_says_so(
    tmp_path: Path, hand: HandTime
) -> None:
    end, silent = rfc3339(hand.wall + 2 * LONGEST), rfc3339(hand.wall + LONGEST)
    async with recording(tmp_path, site()) as recorder:
        said = done(recorder, "set_state", state="cleaning", duration=2 * LONGEST)
        assert said == f"cleaning until {end}; alarms are suppressed until {silent}"
        assert done(recorder, "set_state", state="idle") == "idle"


async def test_alarms_name_the_batches_inside(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        for batch, position in [("B-2", "1"), ("B-1", "1"), ("B-2", "2")]:
            done(recorder, "load", batch=batch, position=position)
        done(recorder, "load", of=SILENT, batch="B-9")
        recorder.accept(warm(hand, 39.0))
        done(recorder, "unload", batch="B-2")
        recorder.accept(warm(hand, 37.0))
        recorder.report(STORE_DAMAGED, holds=True)
        await recorder.commit()
    alarms = [AlarmEventMessage.model_validate_json(e.body) for e in events(tmp_path, "alarm")]
    assert [(alarm.equipment, alarm.batches, alarm.equipment_state) for alarm in alarms] == [
        (USED, ("B-2", "B-1"), "in_use"),
        (USED, ("B-1",), "in_use"),
        ("gateway", (), ""),
    ]


async def test_a_batch_is_in_no_log_and_no_tag(
    tmp_path: Path, hand: HandTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    batch = "PATIENT-BATCH-1"
    async with recording(tmp_path, site()) as recorder:
        done(recorder, "load", batch=batch, position="shelf 2")
        for refused in ("load", "unload"):
            bad = f"{batch}\n" if refused == "unload" else batch
            assert isinstance(recorder.use(asked(refused, batch=bad, position="shelf 2")), Refusal)
        recorder.accept(warm(hand, 39.0))
        done(recorder, "unload", batch=batch)
        await recorder.commit()
    assert batch not in caplog.text
    for event in events(tmp_path):
        assert batch not in event.subject
        line = (
            line_protocol.alarm_event(event)
            if event.kind == "alarm"
            else line_protocol.event(event, "les-ulis", "gw-1")
        )
        parsed = parse(line)
        assert not any(batch in tag for tag in parsed.tags.values())
        if event.kind in {"alarm", "occupancy"}:
            assert batch in str(parsed.fields)


@pytest.mark.usefixtures("hand")
async def test_what_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    async with recording(tmp_path, site()) as recorder:
        await recorder.commit()
        last = recorder.store.last.event
        for request, word in [
            (asked("load", of="incubator-99", batch="B-1"), "unknown_equipment"),
            (asked("comment", of="gateway"), "unknown_equipment"),
            (asked("unload", batch="B-1"), "not_there"),
            (asked("set_state", state="cleaning", reason=" "), "reason_required"),
            (asked("set_state", state=None), "already_done"),
        ]:
            refusal = recorder.use(request)
            assert isinstance(refusal, Refusal)
            assert refusal.word == word
        await recorder.commit()
        assert recorder.store.last.event == last


async def test_an_unread_state_is_in_use_after_a_minute(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, site()) as recorder:
        recorder.accept(told(hand, True))
        for _ in range(62):
            hand.pass_(1)
            recorder.accept(told(hand, LOST))
            recorder.follow_use()
        await recorder.commit()
    assert changes(tmp_path)[1:] == [("state", "cleaning", "in_use", "unknown", "", False)]
    assert states(tmp_path, USED)[-2:] == [("panel", "cleaning"), ("panel", "in_use")]


async def test_what_is_kept_of_an_equipment_called_usage_is_no_alarm(
    tmp_path: Path, hand: HandTime
) -> None:
    named = plant(source(0, "usage", "probe", "bus", [channel("co2", High(limit=6.0))]))
    async with recording(tmp_path, named) as recorder:
        recorder.accept(Scan(0, hand.wall, hand.boot, (7.0,)))
        done(recorder, "load", of="usage", batch="B-1")
        await recorder.commit()
        stood = recorder.active()
    async with recording(tmp_path, named) as recorder:
        assert recorder.active() == stood
        assert recorder.usage("usage").batches == ("B-1",)


@pytest.mark.usefixtures("hand")
async def test_what_is_as_it_always_was_is_not_kept(tmp_path: Path) -> None:
    async with recording(tmp_path, site()) as recorder:
        done(recorder, "load", of=SILENT, batch="B-1")
        await recorder.commit()
        done(recorder, "unload", of=SILENT, batch="B-1")
        await recorder.commit()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM facts")]
    assert names == [f"usage/{USED}"]


@pytest.mark.usefixtures("hand")
async def test_what_a_later_release_kept_is_not_lost(tmp_path: Path) -> None:
    async with recording(tmp_path, site()) as recorder:
        await recorder.store.commit(Tick(facts={f"usage/{USED}": '{"v":2}'}))
    with pytest.raises(StoreError, match="saved by a later release; start the release"):
        async with recording(tmp_path, site()):
            pass
