import asyncio
import gzip
import json
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from config.plant import ChannelType, Plant
from config.rules import CalibrationDue, High, OffNormal
from config.site import InfluxDb, Mqtt, StoreSettings
from drivers.reading import Cause, Fault, Quality, Reason, Scan
from monitor import recorder as recorder_module
from monitor.alarms.facts import Acknowledge, Refusal, Shelve, State
from monitor.messages import Actor, AlarmEventMessage, rfc3339
from monitor.recorder import Recorder
from monitor.release import code
from monitor.store import StoreError
from monitor.store.line_protocol import alarm_event
from monitor.store.verify import verify
from tests.monitor.alarms.small_plant import SECOND, channel, door, lost, plant, source
from tests.monitor.hand import (
    FILE,
    HIGH,
    LOW,
    OTHER,
    HandTime,
    bodies,
    committing,
    events,
    recording,
    scan,
    small_plant,
    times,
)
from tests.monitor.store.influx_parser import parse

MILLISECOND = 10**6


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


async def test_nothing_is_told_before_it_is_committed(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        told = recorder.store.last
        recorder.accept(scan(hand.now, 6.5))
        assert recorder.active() == []
        assert recorder.standing(HIGH) is None
        assert recorder.store.last == told
        await recorder.commit()
        [message] = recorder.active()
        assert recorder.standing(HIGH) == message
        assert (message.alarm, message.state, message.value) == (HIGH, State.UNACKNOWLEDGED, 6.5)
        assert (message.event_id, message.seq) == (f"{recorder.store.store_id}-1", 1)
        assert recorder.store.last.seq == 1
        assert recorder.store.last.scan == 1


async def test_a_scan_of_the_past_does_not_stand_before_its_commit_either(
    tmp_path: Path, hand: HandTime
) -> None:
    """While a commit is under way, what comes meanwhile waits for the next one."""
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 6.5))
        commit = asyncio.ensure_future(recorder.commit())
        await asyncio.sleep(0)
        recorder.accept(scan(hand.now, 6.5, of=1))
        await commit
        assert [alarm.alarm for alarm in recorder.active()] == [HIGH]
        await recorder.commit()
        assert [alarm.alarm for alarm in recorder.active()] == [HIGH, OTHER]


async def test_an_alarm_is_committed_at_once_and_readings_with_the_tick(
    tmp_path: Path, hand: HandTime
) -> None:
    slow = replace(
        small_plant(), store=small_plant().store.model_copy(update={"tick": 3600 * SECOND})
    )
    async with recording(tmp_path, slow) as recorder, committing(recorder):
        recorder.accept(scan(hand.now, 5.0))
        recorder.accept(scan(hand.now, 6.5))
        async with asyncio.timeout(60):
            await recorder.store.wait("events", recorder.store.last.event)
        assert (recorder.store.last.scan, recorder.store.last.seq) == (2, 1)
        recorder.accept(scan(hand.now, 6.6))
        await asyncio.sleep(0)
        assert recorder.store.last.scan == 2


async def test_the_times_of_a_source_strictly_increase(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        for value in (5.0, 5.1, 5.2):
            recorder.accept(scan(hand.now, value))
        recorder.accept(scan(hand.now, 5.0, of=1))
        hand.pass_(0.001)
        recorder.accept(scan(hand.now, 5.3))
        await recorder.commit()
    start = hand.wall - MILLISECOND
    assert times(tmp_path, "incubator-7") == [start + n * MILLISECOND for n in range(4)]
    assert times(tmp_path, "incubator-8") == [start]


async def test_what_is_recorded_while_nobody_keeps_the_clock_says_so(
    tmp_path: Path, hand: HandTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def let_clock_be(kept: bool | None) -> None:
        monkeypatch.setattr(recorder_module, "synchronised", lambda: kept)

    said: list[bool | None] = [False, True, None, False]
    let_clock_be(said[0])
    async with recording(tmp_path) as recorder:
        for value, kept in zip((6.5, 5.0, 6.5, 5.0), said, strict=True):
            let_clock_be(kept)
            hand.pass_(10)
            recorder.follow_clock()
            recorder.accept(scan(hand.now, value))
        await recorder.commit()
        blobs = await recorder.store.telemetry(0, 2**20)
    lines = [line for blob in blobs for line in gzip.decompress(blob.body).splitlines()]
    fields = [parse(line).fields for line in lines if line.startswith(b"incubator,")]
    assert [each.get("clock_synchronised", True) for each in fields] == [False, True, True, False]
    assert [each["clock_synchronised"] for each in bodies(tmp_path, "alarm")] == said
    points = [alarm_event(event) for event in events(tmp_path, "alarm")]
    told = [parse(point).fields.get("clock_synchronised") for point in points]
    assert told == said


async def test_the_times_of_a_source_increase_over_a_restart(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path) as recorder:
        for value in (5.0, 5.1, 5.2):
            recorder.accept(scan(hand.now, value))
        await recorder.commit()
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(recorder.clock(), 5.3))
        await recorder.commit()
    told = times(tmp_path, "incubator-7")
    assert list(told) == sorted(set(told))
    assert len(told) == 4


async def test_what_is_accepted_is_counted(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        recorder.accept(lost(0, Cause.LINE, 1))
        recorder.accept(scan(hand.now, 6.5, of=1))
        assert recorder.scans == 3
        assert recorder.readings == {Quality.GOOD: 2, Quality.UNCERTAIN: 0, Quality.BAD: 1}
        assert recorder.changes == {"raised": 1}
        assert [s and s.values for s in recorder.latest] == [(None,), (6.5,)]


async def test_what_is_shown_of_a_source_is_whole_when_single_channels_speak(
    tmp_path: Path, hand: HandTime
) -> None:
    two = replace(
        plant(source(0, "incubator-7", "probe", "bus", [channel("co2"), channel("humidity")])),
        store=StoreSettings(tick=SECOND // 2),
    )
    bad, at = Fault(Quality.BAD, Reason.DEVICE_STATUS), hand.now.at
    async with recording(tmp_path, two) as recorder:
        whole = Scan(0, *hand.now, (5.0, None), {1: bad}, {0: at, 1: at})
        one = Scan(0, *hand.now, (5.5, None), source_times={0: at + 1}, spoke=frozenset({0}))
        other = Scan(0, *hand.now, (None, 91.0), source_times={1: at + 2}, spoke=frozenset({1}))
        shown = []
        for each in (one, whole, one, other):
            recorder.accept(each)
            [latest] = recorder.latest
            shown.append(latest and (latest.values, dict(latest.faults), dict(latest.source_times)))
    assert shown == [
        None,
        ((5.0, None), {1: bad}, {0: at, 1: at}),
        ((5.5, None), {1: bad}, {0: at + 1, 1: at}),
        ((5.5, 91.0), {}, {0: at + 1, 1: at + 2}),
    ]


async def test_watchers_see_every_scan_while_they_watch(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        seen: list[Scan] = []
        with recorder.watching(seen.append):
            recorder.accept(scan(hand.now, 5.0))
        recorder.accept(scan(hand.now, 5.1))
        assert [each.values for each in seen] == [(5.0,)]


async def test_a_restart_goes_on_where_it_was(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 6.5))
        recorder.accept(scan(hand.now, 6.5, of=1))
        await recorder.commit()
        hand.pass_(1)
        acked = recorder.board.act(OTHER, Acknowledge(), recorder.clock())
        assert not isinstance(acked, Refusal)
        recorder.tell(acked, actor=Actor(user="anna", via="mqtt"), comment="seen")
        await recorder.commit()
        stood = recorder.active()
        hand.pass_(1)
        recorder.accept(scan(hand.now, 5.0))  # It is over, but nobody will ever have known.
    assert [alarm.state for alarm in stood] == [State.UNACKNOWLEDGED, State.ACKNOWLEDGED]
    hand.pass_(1)
    async with recording(tmp_path) as recorder:
        assert recorder.active() == stood
        recorder.accept(scan(hand.now, 6.5))
        recorder.accept(scan(hand.now, 6.5, of=1))
        await recorder.commit()
        assert recorder.active() == stood, "nothing is told twice"
        recorder.accept(scan(hand.now, 5.0))
        recorder.accept(scan(hand.now, 5.0, of=1))
        await recorder.commit()
    told = [AlarmEventMessage.model_validate_json(e.body) for e in events(tmp_path, "alarm")]
    assert [(e.seq, e.alarm, e.change, e.version) for e in told] == [
        (1, HIGH, "raised", 1),
        (2, OTHER, "raised", 1),
        (3, OTHER, "acknowledged", 2),
        (4, HIGH, "returned", 2),
        (5, OTHER, "cleared", 3),
    ]
    assert told[0].occurrence == told[3].occurrence
    numbers = [event.number for event in events(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert verify(tmp_path / FILE).whole


async def test_a_running_delay_goes_on_over_a_restart(tmp_path: Path, hand: HandTime) -> None:
    patient = small_plant()
    rule = patient.sources[0].channels[0].rules[0].model_copy(update={"on_delay": 10 * SECOND})
    delayed = plant(source(0, "incubator-7", "probe", "bus", [channel("co2", rule)]))
    async with recording(tmp_path, delayed) as recorder:
        recorder.accept(scan(hand.now, 6.5))
        began = rfc3339(hand.wall)
        await recorder.commit()
    hand.pass_(9)
    async with recording(tmp_path, delayed) as recorder:
        recorder.accept(scan(hand.now, 6.6))
        await recorder.commit()
        assert recorder.active() == []
        hand.pass_(1)
        recorder.accept(scan(hand.now, 6.7))
        await recorder.commit()
        [alarm] = recorder.active()
    assert (alarm.condition_start, alarm.alarm_time) == (began, rfc3339(hand.wall))


@pytest.mark.parametrize(
    ("away", "how", "cause"),
    [
        (10.0, "killed", "killed"),
        (10.0, "stopped", "stopped"),
        (10.0, "rebooted", "host restarted"),
        (2.6, "killed", "killed"),
        (2.4, "killed", None),
        (0.1, "stopped", None),
    ],
)
async def test_time_in_which_nobody_watched_is_told_with_its_cause(
    tmp_path: Path, hand: HandTime, away: float, how: str, cause: str | None
) -> None:
    """Two periods of a second and a tick of half a second are no gap."""
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        await recorder.commit()
        last = rfc3339(hand.wall)
        if how == "stopped":
            await recorder.close()
    if how == "rebooted":
        hand.reboot(away)
    else:
        hand.pass_(away)
    async with recording(tmp_path) as recorder:
        for of in (0, 1, 0):
            recorder.accept(scan(hand.now, 5.0, of=of))
        await recorder.commit()
    told = events(tmp_path, "unmonitored")
    # The other incubator had no reading yet: it was not unwatched, it is new.
    assert [event.subject for event in told] == ["incubator-7"] * (cause is not None)
    for event in told:
        assert json.loads(event.body) == {
            "from": last,
            "to": rfc3339(hand.wall),
            "seconds": away,
            "cause": cause,
        }


async def test_each_equipment_was_unwatched_until_its_own_first_scan(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        recorder.accept(scan(hand.now, 5.0, of=1))
        await recorder.commit()
    hand.pass_(5)
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        hand.pass_(3)
        recorder.accept(scan(hand.now, 5.0, of=1))
        await recorder.commit()
    told = {e.subject: json.loads(e.body)["seconds"] for e in events(tmp_path, "unmonitored")}
    assert told == {"incubator-7": 5.0, "incubator-8": 8.0}


@pytest.mark.parametrize(("away", "missed", "told"), [(20, 19, 1), (2, 1, 0)])
async def test_a_stall_is_an_unmonitored_interval_too(
    tmp_path: Path, hand: HandTime, away: int, missed: int, told: int
) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        last = rfc3339(hand.wall)
        hand.pass_(away)
        recorder.accept(scan(hand.now, 5.0)._replace(missed=missed))
        await recorder.commit()

    bodies_told = bodies(tmp_path, "unmonitored")
    assert len(bodies_told) == told
    for body in bodies_told:
        assert (body["from"], body["seconds"]) == (last, away)
        assert body["cause"] == "19 grid points missed"


async def test_a_step_of_the_clock_is_no_stall(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        hand.pass_(2)
        hand.step(3600)
        recorder.accept(scan(hand.now, 5.0)._replace(missed=1))
        await recorder.commit()

    assert events(tmp_path, "unmonitored") == []


async def test_a_start_tells_who_and_why(tmp_path: Path, hand: HandTime) -> None:
    one = small_plant()
    other = replace(one, digest=sha256(b"other").hexdigest(), text="other")
    for of in (one, one, other):
        async with recording(tmp_path, of) as recorder:
            hand.pass_(1)
            await recorder.close()
    assert [event.kind for event in events(tmp_path)] == [
        *("start", "config", "stop"),
        *("start", "stop"),
        *("start", "config", "stop"),
    ]
    starts = bodies(tmp_path, "start")
    assert [start["away"] for start in starts] == ["first start", "stopped", "stopped"]
    assert {start["boot_id"] for start in starts} == {"boot-1"}
    assert [body["was"] for body in bodies(tmp_path, "config")] == ["", one.digest]


async def test_a_start_says_which_code_runs(tmp_path: Path, hand: HandTime) -> None:
    del hand
    async with recording(tmp_path):
        pass
    assert [start["code"] for start in bodies(tmp_path, "start")] == [code()]


async def test_a_step_of_the_clock_is_recorded_and_logged(
    tmp_path: Path, hand: HandTime, caplog: pytest.LogCaptureFixture
) -> None:
    async with recording(tmp_path) as recorder:
        recorder.follow_clock()
        hand.step(3600)
        recorder.follow_clock()
        recorder.follow_clock()
        await recorder.commit()
        assert recorder.clock() == hand.now
    [step] = bodies(tmp_path, "clock_step")
    assert (step["kind"], step["clock_epoch"]) == ("forward", 2)
    assert caplog.text.count("the wall clock stepped") == 1
    hand.pass_(1)
    async with recording(tmp_path) as recorder:
        assert recorder.clock.epoch == 2, "and known after a restart"


async def test_a_clock_far_behind_the_record_is_told_at_the_start(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 5.0))
        await recorder.commit()
    hand.step(-3600)
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(recorder.clock(), 5.0))
        await recorder.commit()
    [step] = bodies(tmp_path, "clock_step")
    assert step["kind"] == "backward"
    assert events(tmp_path, "unmonitored") == []
    assert verify(tmp_path / FILE).whole


async def test_a_step_back_is_believed_and_the_record_keeps_what_it_has(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path) as recorder:
        for number in range(4):
            recorder.accept(scan(recorder.clock(), 5.0 + number / 10))
            hand.pass_(10)
            if number == 1:
                hand.step(-20)
                recorder.follow_clock()
        await recorder.commit()
    start = hand.wall - 20 * SECOND
    assert list(times(tmp_path, "incubator-7")) == [start, start + 10 * SECOND] * 2
    [step] = bodies(tmp_path, "clock_step")
    assert (step["kind"], step["before"]) == ("backward", rfc3339(hand.wall))


@pytest.mark.parametrize("seconds", [86_400, -3600])
@pytest.mark.parametrize("restarted", [False, True])
async def test_no_step_of_the_clock_ends_a_shelf_or_makes_a_delay_shorter_or_longer(
    tmp_path: Path, hand: HandTime, seconds: int, *, restarted: bool
) -> None:
    """One incubator is beyond its limit, which has a delay; the other's alarm is shelved."""
    small = small_plant()
    rule = small.sources[0].channels[0].rules[0].model_copy(update={"on_delay": 60 * SECOND})
    delayed = plant(
        source(0, "incubator-7", "probe", "bus", [channel("co2", rule)]),
        source(1, "incubator-8", "probe", "bus", [channel("co2", High(limit=6.0))]),
    )

    async with AsyncExitStack() as stack:
        recorder = await stack.enter_async_context(recording(tmp_path, delayed))
        shelved = recorder.board.act(OTHER, Shelve(60 * SECOND), recorder.clock())
        assert not isinstance(shelved, Refusal)
        recorder.tell(shelved)
        recorder.accept(scan(recorder.clock(), 6.5))
        await recorder.commit()
        hand.step(seconds)
        if restarted:
            await stack.aclose()
            recorder = await stack.enter_async_context(recording(tmp_path, delayed))
        for passed in (1, 58):
            hand.pass_(passed)
            await look(recorder)
        assert {alarm.alarm: alarm.state for alarm in recorder.active()} == {OTHER: State.SHELVED}
        hand.pass_(1)
        await look(recorder)
        assert {a.alarm: a.state for a in recorder.active()} == {HIGH: State.UNACKNOWLEDGED}
    [step] = bodies(tmp_path, "clock_step")
    assert step["kind"] == ("forward" if seconds > 0 else "backward")
    assert bodies(tmp_path, "unmonitored") == []


@pytest.mark.parametrize("stepped", [86_400, -30, -3600, -86_400])
async def test_how_long_nobody_watched_is_told_by_elapsed_time(
    tmp_path: Path, hand: HandTime, stepped: int
) -> None:
    """Two minutes, in which the wall clock is set: by more than they are, or by less."""
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(recorder.clock(), 5.0))
        await recorder.commit()
    hand.pass_(120)
    hand.step(stepped)
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(recorder.clock(), 5.0))
        await recorder.commit()
        assert recorder.clock() == hand.now
        assert recorder.clock.epoch == 2
    [step], [gap] = bodies(tmp_path, "clock_step"), bodies(tmp_path, "unmonitored")
    assert step["kind"] == ("forward" if stepped > 0 else "backward")
    assert (gap["seconds"], gap["to"]) == (120, rfc3339(hand.wall))


async def look(recorder: Recorder) -> None:
    """A second of the daemon: its clock, one scan beyond the limit, and a commit."""
    recorder.follow_clock()
    recorder.accept(scan(recorder.clock(), 6.6))
    recorder.accept(scan(recorder.clock(), 5.0, of=1))
    await recorder.commit()


async def test_a_disk_that_fails_ends_the_commits(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 6.5))
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked"):
                await recorder.commit_ticks()
        assert recorder.active() == []
        await recorder.close()  # Says and does no more.
    assert [event.kind for event in events(tmp_path)] == ["start", "config"]


async def test_a_disk_that_is_stuck_ends_the_commits(
    tmp_path: Path, hand: HandTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "LONGEST_COMMIT", 0.05)
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 6.5))
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as intruder:
            intruder.execute("BEGIN IMMEDIATE")  # SQLite waits a second for it.
            with pytest.raises(StoreError, match="took over"):
                await recorder.commit_ticks()
        assert recorder.active() == []
        await recorder.close()


async def test_a_commit_whose_waiter_was_cancelled_is_told_all_the_same(
    tmp_path: Path, hand: HandTime
) -> None:
    """The end of the daemon can cancel a commit that is under way; the disk has it all the same."""
    async with recording(tmp_path) as recorder:
        async with committing(recorder) as task:
            recorder.accept(scan(hand.now, 6.5))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
        await recorder.close()
        assert recorder.store.last.seq == 1
    async with recording(tmp_path) as recorder:
        assert [alarm.alarm for alarm in recorder.active()] == [HIGH]


async def test_what_waits_for_a_commit_returns_after_it(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder, committing(recorder):
        recorder.accept(scan(hand.now, 5.0))
        async with asyncio.timeout(60):
            await recorder.committed()
        assert recorder.store.last.scan == 1


async def test_a_rule_that_is_gone_ends_its_alarm(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 3.0))
        await recorder.commit()
        assert [alarm.alarm for alarm in recorder.active()] == [LOW]
    one = small_plant()
    rules = one.sources[0].channels[0].rules[:1]
    without = plant(source(0, "incubator-7", "probe", "bus", [channel("co2", *rules)]))
    async with recording(tmp_path, without) as recorder:
        assert recorder.active() == []
    [*_, last] = bodies(tmp_path, "alarm")
    assert (last["alarm"], last["change"], last["state"], last["retain"]) == (
        LOW,
        "ended",
        "ended",
        False,
    )


async def test_facts_of_a_later_release_are_refused_with_words(
    tmp_path: Path, hand: HandTime
) -> None:
    async with recording(tmp_path) as recorder:
        recorder.accept(scan(hand.now, 6.5))
        await recorder.commit()
        recorder.accept(scan(hand.now, 6.9))  # A new peak is a fact, and no event.
        tick, _, _ = recorder._open_next()
        tick.facts = {HIGH: tick.facts[HIGH].replace('"v":3', '"v":4')}
        await recorder.store.commit(tick)
    with pytest.raises(StoreError, match=r"cytowatch\.db: .*later release.*move the file away"):
        async with recording(tmp_path):
            pass


def with_sinks(of: Plant) -> Plant:
    return replace(of, influxdb=InfluxDb(url="http://127.0.0.1:1"), mqtt=Mqtt(host="127.0.0.1"))


async def test_a_sink_that_is_away_is_told_after_a_minute(tmp_path: Path, hand: HandTime) -> None:
    async with recording(tmp_path, with_sinks(small_plant())) as recorder:
        for seconds in (0, 59, 1, 10):
            hand.pass_(seconds)
            recorder.report("sink-mqtt", holds=True)
            recorder.report("sink-influxdb", holds=False)
        recorder.report("sink-mqtt", holds=False)
        await recorder.commit()
        assert [a.alarm for a in recorder.active()] == ["gateway/_/sink-mqtt"]
    assert [e["change"] for e in bodies(tmp_path, "alarm")] == ["raised", "returned"]


async def test_states_that_are_not_normal_are_told_by_name_over_a_restart(
    tmp_path: Path, hand: HandTime
) -> None:
    """Single channels speak; the daemon is away while the delay of the door runs."""
    ajar = OffNormal(name="ajar", off_normal=(True,), on_delay=60 * SECOND)
    held = channel("mode", OffNormal(normal=("running",)), kind=ChannelType.TEXT)
    states = replace(
        plant(source(0, "incubator-7", "probe", "bus", [door(ajar), held])),
        store=StoreSettings(tick=SECOND // 2),
    )
    async with recording(tmp_path, states) as recorder:
        recorder.accept(Scan(0, *hand.now, (False, "running")))
        hand.pass_(1)
        recorder.accept(Scan(0, *hand.now, (True, None), spoke=frozenset({0})))
        await recorder.commit()
    hand.pass_(10)
    async with recording(tmp_path, states) as recorder:
        assert recorder.active() == []
        recorder.accept(Scan(0, *hand.now, (True, "held")))
        hand.pass_(50)
        recorder.accept(Scan(0, *hand.now, (None, "held"), spoke=frozenset({1})))
        await recorder.commit()
        standing = {one.alarm: one.value for one in recorder.active()}
        assert standing == {
            "incubator-7/door/ajar": "open",
            "incubator-7/mode/off-normal": "held",
        }
    told = [(one["alarm"], one["change"], one["value"]) for one in bodies(tmp_path, "alarm")]
    assert told == [
        ("incubator-7/mode/off-normal", "raised", "held"),
        ("incubator-7/door/ajar", "raised", "open"),
    ]


async def test_what_is_due_is_told_by_the_clock_of_the_record(
    tmp_path: Path, hand: HandTime
) -> None:
    today = datetime.fromtimestamp(hand.wall / SECOND, UTC).date()
    small = small_plant()
    dated = replace(
        small.sources[0],
        calibration_due=today + timedelta(days=2),
        calibration=(CalibrationDue(name="calibration-probe", ahead=86_400 * SECOND),),
    )
    watched = replace(small, sources=(dated, *small.sources[1:]))
    name = f"{dated.equipment}/_/calibration-probe"
    async with recording(tmp_path, watched) as recorder:
        recorder.follow_clock()
        await recorder.commit()
        assert recorder.active() == []
        hand.pass_(86_400)
        recorder.follow_clock()
        await recorder.commit()
        [message] = recorder.active()
    assert message.alarm == name
    assert message.condition == f"calibration is due within 1d ({dated.calibration_due})"
    async with recording(tmp_path, watched) as recorder:
        assert [alarm.alarm for alarm in recorder.active()] == [name]
