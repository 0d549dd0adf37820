"""A rehearsal on a real record: its steps, who may, and what it leaves of the real alarm."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pytest

from config.plant import Operators, Plant
from config.rules import Deviation, High, Low, Rate
from config.site import Mqtt, StoreSettings
from drivers.grid import Grid
from drivers.reading import Origin
from monitor.alarms.performance import transition
from monitor.desk import Desk
from monitor.messages import Actor, ActReply, ActRequest, AlarmAct, AlarmEventMessage
from monitor.operators.alarm_test import AlarmTestMessage, AlarmTestRequest, AlarmTestStep
from monitor.operators.base import Rehearsed
from monitor.recorder import Recorder
from monitor.rehearsals import AT_ONCE, LONGEST
from monitor.store.reader import Reader
from monitor.store.verify import verify
from tests.monitor.alarms.small_plant import SECOND, channel, plant, source
from tests.monitor.hand import (
    EVER,
    FILE,
    HIGH,
    LOW,
    bodies,
    committing,
    events,
    recording,
    scan,
    small_plant,
)
from tests.support.waiting import eventually

SHADOW = "incubator-7/co2/test-high"
MOMENT = SECOND // 20
STEPS = [
    "condition",
    "raised",
    "delivered_mqtt",
    "delivered_influxdb",
    "acknowledged",
    "returned",
    "ended",
]


def quick(*rules: High | Low | Deviation | Rate, operators: Operators | None = None) -> Plant:
    """The small plant, read ten times a second, so that a test of its alarms is soon over."""
    one = source(0, "incubator-7", "probe", "bus", [channel("co2", *rules)])
    two = source(1, "incubator-8", "probe", "bus", [channel("co2", High(limit=6.0))])
    sources = replace(one, period=SECOND // 10), replace(two, period=SECOND // 10)
    store = StoreSettings(tick=SECOND // 2)
    return replace(plant(*sources), store=store, digest=small_plant().digest, operators=operators)


USUAL = High(limit=6.0, deadband=0.1, on_delay=MOMENT, priority="high"), Low(limit=4.0)


def asked(alarm: str = HIGH, user: str = "anna", **given: object) -> AlarmTestRequest:
    return AlarmTestRequest.model_validate(
        {
            "alarm": alarm,
            "actor": Actor(user=user, via="socket", uid=1000),
            "reason": "monthly challenge",
            "patience": 60 * SECOND,
            **given,
        }
    )


@dataclass
class Site:
    """A gateway with a record."""

    recorder: Recorder
    desk: Desk
    folder: Path

    async def whole(self, request: AlarmTestRequest) -> list[Rehearsed]:
        """All that is told of a rehearsal."""
        async with asyncio.timeout(120):
            return [told async for told in self.desk.rehearse(request)]

    async def act(self, act: AlarmAct, user: str = "kim", alarm: str = SHADOW) -> ActReply:
        actor = Actor(user=user, via="socket", uid=1000)
        request_id = f"{act}-{user}-{self.recorder.clock().boot}"
        return await self.desk.act(
            ActRequest(
                act=act, alarm=alarm, actor=actor, reason="seen it", duration=SECOND,
                request_id=request_id,
            )
        )  # fmt: skip


@asynccontextmanager
async def running(folder: Path, of: Plant | None = None) -> AsyncIterator[Site]:
    of = of or quick(*USUAL)
    async with recording(folder, of) as recorder, committing(recorder):
        recorder.accept(scan(recorder.clock(), 5.0))
        yield Site(recorder, Desk(recorder, Grid(recorder.clock), (), ()), folder)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path) as site:
        yield site


def parts(told: Sequence[Rehearsed]) -> tuple[list[AlarmTestStep], AlarmTestMessage]:
    *steps, record = told
    assert isinstance(record, AlarmTestMessage)
    assert list(record.steps) == steps
    return list(record.steps), record


def refused(told: Sequence[Rehearsed]) -> str:
    [refusal] = told
    return str(getattr(refusal, "word", refusal))


async def test_it_is_walked_from_its_condition_to_its_end(site: Site) -> None:
    steps, record = parts(await site.whole(asked()))
    assert [step.step for step in steps] == STEPS
    assert {step.outcome for step in steps} == {"as_expected", "not_configured"}
    not_there = [step.seen for step in steps if step.outcome == "not_configured"]
    assert not_there == [f"not configured: the site has no {s}" for s in ("mqtt", "influxdb")]
    assert record.verdict == "passed"
    assert (record.user, record.reason, record.via) == ("anna", "monthly challenge", "socket")
    assert (record.alarm, record.test_alarm) == (HIGH, SHADOW)
    assert (record.limit, record.condition) == (6.0, "above 6 %, back below 5.9 %")
    assert record.config == site.recorder.plant.digest
    assert (record.real_before, record.real_after) == ("normal", "normal")
    head = site.recorder.store.last.head
    assert record.head == head != ""
    begin, end = bodies(site.folder, "alarm_test")
    assert (begin["phase"], begin["user"], begin["reason"]) == ("begin", "anna", record.reason)
    assert AlarmTestMessage.model_validate(end) == record.model_copy(
        update={"head": "", "event": 0}
    )
    assert record.event == events(site.folder, "alarm_test")[-1].number
    assert verify(site.folder / FILE, head=head).problems == ()


async def test_each_transition_is_flagged_and_counts_for_nothing(site: Site) -> None:
    steps, _ = parts(await site.whole(asked()))
    told = bodies(site.folder, "alarm")
    assert [each["change"] for each in told] == ["raised", "acknowledged", "cleared", "ended"]
    assert {(each["alarm"], each["rule"], each["test"]) for each in told} == {
        (SHADOW, "test-high", True)
    }
    assert [each["event_id"] for each in told] == [s.event_id for s in steps if s.event_id]
    assert all(transition(each) is None for each in told)
    assert told[1]["actor"] == "anna"
    assert site.recorder.active() == []
    assert SHADOW not in site.desk.watched


async def test_its_readings_are_recorded_as_a_test_and_shown_to_nobody(site: Site) -> None:
    before = site.recorder.latest[0]
    _, record = parts(await site.whole(asked()))
    assert site.recorder.latest[0] is before
    with Reader(site.folder / FILE) as reader:
        points = [point for point in reader.readings(0, EVER) if point.origin is Origin.TEST]
    assert {point.channel for point in points} == {"co2"}
    assert {point.value for point in points} == {6.1, 5.8}
    assert [point.time for point in points] == sorted({point.time for point in points})
    assert (points[0].scan, points[-1].scan) == record.scans
    assert bodies(site.folder, "excursion") == []
    assert site.recorder.excursions.open_records(EVER) == []


async def test_a_real_excursion_is_told_beside_it_as_ever(site: Site) -> None:
    told: list[Rehearsed] = []
    async with aclosing(site.desk.rehearse(asked())) as steps:
        async for step in steps:
            told.append(step)
            if isinstance(step, AlarmTestStep) and step.step in {"condition", "raised"}:
                site.recorder.accept(scan(site.recorder.clock(), 7.0))
                await asyncio.sleep(MOMENT / SECOND)
                site.recorder.accept(scan(site.recorder.clock(), 7.1))
    _, record = parts(told)
    assert record.verdict == "passed"
    assert (record.real_before, record.real_after) == ("normal", "unacknowledged")
    assert [each.change for each in record.real_events] == ["raised"]
    [real] = site.recorder.active()
    assert (real.alarm, real.test, real.annunciated) == (HIGH, False, True)
    assert real.peak in {7.0, 7.1}
    [excursion] = site.recorder.excursions.open_records(site.recorder.clock().at)
    assert [alarm.alarm for alarm in excursion.alarms] == [HIGH]
    assert excursion.acts == ()
    assert excursion.extreme == 7.1


async def test_confirm_and_reset_are_steps_where_the_rule_asks_for_them(tmp_path: Path) -> None:
    rule = High(limit=6.0, confirm=True, latching=True)
    async with running(tmp_path, quick(rule)) as site:
        steps, record = parts(await site.whole(asked()))
    assert [step.step for step in steps] == [
        *STEPS[:5], "confirmed", "returned", "reset", "ended"
    ]  # fmt: skip
    assert record.verdict == "passed"
    assert [each["change"] for each in bodies(tmp_path, "alarm")] == [
        "raised", "acknowledged", "confirmed", "returned", "reset", "ended"
    ]  # fmt: skip


async def test_by_hand_it_waits_for_an_operator(site: Site) -> None:
    drill = asyncio.create_task(site.whole(asked(by_hand=True)))
    await eventually(lambda: site.desk.standing(SHADOW) is not None)
    acts: Sequence[AlarmAct] = "shelve", "remove_from_service"
    for act in acts:
        assert (await site.act(act)).word == "test"
    assert (await site.act("comment")).word == "done"
    assert (await site.act("acknowledge")).word == "done"
    steps, record = parts(await drill)
    assert record.verdict == "passed"
    [acknowledged] = [step for step in steps if step.step == "acknowledged"]
    assert acknowledged.seen == "acknowledged, by kim over socket: seen it"
    assert bodies(site.folder, "excursion") == []


async def test_where_nobody_acknowledges_in_time_it_has_failed(site: Site) -> None:
    steps, record = parts(await site.whole(asked(by_hand=True, patience=SECOND // 2)))
    assert record.verdict == "failed"
    assert [(step.step, step.outcome) for step in steps[4:]] == [
        ("acknowledged", "not_as_expected"),
        ("returned", "not_reached"),
        ("ended", "as_expected"),
    ]
    assert "not acknowledged when the test's time was up" in steps[4].seen
    assert [each["change"] for each in bodies(site.folder, "alarm")] == ["raised", "ended"]
    assert site.recorder.active() == []


async def test_a_delivery_that_does_not_come_has_failed(tmp_path: Path) -> None:
    deaf = replace(quick(*USUAL), mqtt=Mqtt(host="127.0.0.1", port=9))
    async with running(tmp_path, deaf) as site:
        confirm = asyncio.create_task(_confirm_later(site.recorder))
        steps, record = parts(await site.whole(asked(patience=SECOND // 2)))
        await confirm
    assert record.verdict == "failed"
    assert steps[2].outcome == "not_as_expected"
    assert "not accepted by 127.0.0.1:9" in steps[2].seen
    assert steps[-1].seen == "over; accepted by 127.0.0.1:9"


class Deaf(NamedTuple):
    """A broker at which nobody listens."""

    unheard: bool = True
    name: str = "mqtt"
    warnings: tuple[str, ...] = ()


async def test_a_broker_at_which_nobody_listens_is_no_delivery(tmp_path: Path) -> None:
    there = replace(quick(*USUAL), mqtt=Mqtt(host="127.0.0.1", port=9))
    async with running(tmp_path, there) as site:
        site.desk.ask_of([Deaf()])
        drill = asyncio.create_task(site.whole(asked()))
        while not drill.done():
            site.recorder.store.confirm("mqtt", "events", site.recorder.store.last.event)
            await asyncio.sleep(0.02)
        steps, record = parts(drill.result())
    assert record.verdict == "failed"
    assert steps[2].outcome == "not_as_expected"
    assert "accepted by 127.0.0.1:9, which says that nobody listens there" in steps[2].seen
    assert steps[-1].outcome == "as_expected"


async def _confirm_later(recorder: Recorder) -> None:
    """The broker comes back when the test has given up."""
    while all(event.change != "ended" for event in _told(recorder)):  # noqa: ASYNC110 - polled
        await asyncio.sleep(0.02)
    recorder.store.confirm("mqtt", "events", recorder.store.last.event)


def _told(recorder: Recorder) -> list[AlarmEventMessage]:
    with Reader(recorder.store.path) as reader:
        found = [e for e in reader.events(0, EVER) if e.subject == SHADOW]
    return [AlarmEventMessage.model_validate_json(event.body) for event in found]


async def test_who_hangs_up_ends_it(site: Site) -> None:
    async with aclosing(site.desk.rehearse(asked(by_hand=True))) as steps:
        async for step in steps:
            if isinstance(step, AlarmTestStep) and step.step == "raised":
                break
    await site.recorder.committed()
    assert site.recorder.active() == []
    end = bodies(site.folder, "alarm_test")[-1]
    assert (end["verdict"], [each["step"] for each in end["steps"]]) == ("abandoned", STEPS[:2])
    _, record = parts(await site.whole(asked()))
    assert record.verdict == "passed", "and it can be tested again"


@pytest.mark.parametrize("step", STEPS[:-1])
async def test_a_daemon_that_is_killed_in_the_middle_ends_it_at_its_next_start(
    tmp_path: Path, step: str
) -> None:
    async with running(tmp_path) as site:
        steps = site.desk.rehearse(asked())
        async for told in steps:
            if isinstance(told, AlarmTestStep) and told.step == step:
                await site.recorder.committed()
                break
        taken = [each["change"] for each in bodies(tmp_path, "alarm")]
    await steps.aclose()  # Into a recorder whose store is closed: as good as killed.
    assert [each["change"] for each in bodies(tmp_path, "alarm")] == taken
    async with running(tmp_path) as site:
        assert site.recorder.active() == []
        assert SHADOW not in site.desk.watched
        assert [each["change"] for each in bodies(tmp_path, "alarm")] == [*taken, "ended"]
        last = bodies(tmp_path, "alarm")[-1]
        assert (last["test"], last["state"], last["retain"]) == (True, "ended", False)
        end = bodies(tmp_path, "alarm_test")[-1]
        assert (end["verdict"], end["test_alarm"]) == ("interrupted", SHADOW)
        count = len(events(tmp_path, "alarm_test"))
    async with running(tmp_path):
        assert len(events(tmp_path, "alarm_test")) == count, "and only once"


async def test_the_gateways_own_alarms_and_silent_units_are_tested_too(site: Site) -> None:
    names = "gateway/_/store-damaged", "gateway/_/line-bus", "incubator-7/_/silent-probe"
    assert all(name in site.desk.watched for name in names)
    every = await asyncio.gather(*(site.whole(asked(name)) for name in names))
    for told in every:
        _, record = parts(told)
        assert (record.verdict, record.scans) == ("passed", (0, 0))


STAFF = Operators(
    roles={"tester": frozenset({"test"}), "operator": frozenset({"acknowledge"})},
    users={"anna": ("tester",), "ben": ("operator",)},
)


async def test_only_who_may_test_tests(tmp_path: Path) -> None:
    async with running(tmp_path, quick(*USUAL, operators=STAFF)) as site:
        assert refused(await site.whole(asked(user="ben"))) == "forbidden"
        _, record = parts(await site.whole(asked(user="anna")))
        assert (record.verdict, record.role) == ("passed", "tester")
        drill = asyncio.create_task(site.whole(asked(by_hand=True)))
        await eventually(lambda: site.desk.standing(SHADOW) is not None)
        assert (await site.act("acknowledge", "anna")).word == "forbidden"
        assert (await site.act("acknowledge", "ben")).word == "done"
        _, record = parts(await drill)
        assert record.verdict == "passed"
    [forbidden, _] = bodies(tmp_path, "refusal")
    assert (forbidden["act"], forbidden["user"], forbidden["word"]) == ("test", "ben", "forbidden")


async def test_what_cannot_be_tested_is_refused_on_the_record(tmp_path: Path) -> None:
    slow = High(name="slow", limit=6.0, on_delay=LONGEST)
    apart = Deviation(name="apart", setpoint="sp", above=1.0)
    async with running(tmp_path, quick(*USUAL, slow, apart)) as site:
        for alarm, word in {
            "incubator-7/co2/slow": "too_long",
            "incubator-7/co2/apart": "not_testable",
            "incubator-7/co2/none": "unknown_alarm",
        }.items():
            assert refused(await site.whole(asked(alarm))) == word
        words = [each["word"] for each in bodies(tmp_path, "refusal")]
    assert words == ["too_long", "not_testable", "unknown_alarm"]
    assert bodies(tmp_path, "alarm_test") == []


async def test_one_of_each_alarm_and_few_at_once(site: Site) -> None:
    names = [HIGH, LOW, "incubator-8/co2/high", "incubator-7/_/silent-probe"]
    drills = [asyncio.create_task(site.whole(asked(n, by_hand=True))) for n in names[:AT_ONCE]]
    shadow = SHADOW.replace("high", "low"), SHADOW
    await eventually(lambda: all(site.desk.standing(name) for name in shadow))
    assert refused(await site.whole(asked(HIGH))) == "under_way"
    assert refused(await site.whole(asked(SHADOW))) == "unknown_alarm"
    assert refused(await site.whole(asked(names[-1]))) == "too_many"
    for drill in drills:
        drill.cancel()
    await asyncio.gather(*drills, return_exceptions=True)
    _, record = parts(await site.whole(asked(names[-1])))
    assert record.verdict == "passed"
