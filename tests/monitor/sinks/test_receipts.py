"""Receipts: what consumers have made durable, and what is told again until they say so."""

import json
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from config.site import Mqtt
from config.site import Receipts as Settings
from monitor.alarms.facts import State
from monitor.sinks.base import Gateway
from monitor.sinks.mqtt import MqttSink
from monitor.sinks.receipts import LONGEST_REST, TOGETHER, Pace, Receipts, Told, Window
from tests.monitor.sinks.consumer import Consumer, Forgetful
from tests.monitor.sinks.scene import HIGH, Scene, holding, opened
from tests.support.servers import HOST, Mosquitto
from tests.support.waiting import eventually

SITE = "cytowatch/v1/les-ulis"
EVENT = f"{SITE}/equipment/{HIGH}/event"
MS = 10**6
MINUTE = 60.0


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene


class Time:
    """The clock of the loop, turned by hand."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr("monitor.sinks.receipts._time", lambda: clock.now)
    return clock


def settings(*consumers: str, within: int = 60_000 * MS) -> Settings:
    return Settings.model_validate({"from": consumers, "within": within})


@pytest_asyncio.fixture
async def kept(
    scene: Scene,
    clock: Time,  # noqa: ARG001 - it stands in for the loop's
) -> AsyncIterator[Receipts]:
    receipts = Receipts(settings("scada", "pager"), "gw-1", scene.store)
    with receipts.held():
        yield receipts


def receipt(scene: Scene, seq: object, **other: object) -> bytes:
    said = {"gateway": "gw-1", "store_id": scene.store.store_id, "seq": seq}
    return json.dumps({"schema": "cytowatch.receipt.v1", **said, **other}).encode()


async def happen(scene: Scene, count: int) -> None:
    await scene.happen(*[(HIGH, State.UNACKNOWLEDGED)] * count)


def upto(scene: Scene, consumer: str = "scada") -> int:
    return scene.store.cursor(consumer, "receipts")


# --- what is due ------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 100), max_size=40), st.floats(0, 200))
def test_what_was_told_is_due_when_its_time_is_over_and_not_before(
    gaps: list[float], last: float
) -> None:
    told, now, when = Told(64.0), 0.0, []
    for seq, gap in enumerate(gaps, start=1):
        now += gap
        told.tell(seq, now)
        when.append(now)
    now += last
    due = told.due(now)
    assert due >= sum(now - at >= 64 for at in when)
    assert due <= sum(now - at >= 64 - 1 for at in when), "a grain early at most"


def test_many_events_take_few_marks() -> None:
    told = Told(60.0)
    for seq in range(100_000):
        told.tell(seq, seq / 1000)
    assert len(told._marks) < 200


def test_who_says_nothing_is_told_ever_more_rarely() -> None:
    pace, now, times = Pace(MINUTE, MINUTE), 0.0, []
    for _ in range(10):
        pace.tried(20, now)
        times.append(pace.at - now)
        now = pace.at
    assert times == [60, 120, 240, 480, 960, 1920, *[LONGEST_REST] * 4]


def test_who_has_the_whole_window_is_told_the_next_at_once_and_who_gets_on_is_given_time() -> None:
    pace = Pace(MINUTE, MINUTE)
    pace.tried(20, 0)
    pace.heard(11, 5, more=True)
    assert pace.at == 65
    pace.heard(20, 6, more=True)
    assert pace.at == 6


def test_who_is_back_after_a_long_silence_does_not_wait_for_the_end_of_it() -> None:
    pace = Pace(MINUTE, LONGEST_REST)
    pace.tried(20, 0)
    pace.heard(3, 10, more=False)
    assert (pace.at, pace.rest) == (70, MINUTE)
    pace.heard(3, 20, more=False)
    assert pace.at == 70, "to say it again and again does not put it off"


# --- what is taken ----------------------------------------------------------------------------


async def test_receipts_are_cumulative_and_never_go_back(scene: Scene, kept: Receipts) -> None:
    await happen(scene, 5)
    for seq, after in [(3, 3), (3, 3), (2, 3), (5, 5), (0, 5)]:
        kept.take("scada", receipt(scene, seq), retained=False)
        assert upto(scene) == after
    assert upto(scene, "pager") == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"", "not as cytowatch.receipt.v1 says"),
        (b"[" * 900, "not as cytowatch.receipt.v1 says"),
        (b" " * 2000, "larger than 1024 bytes"),
        ({"seq": 6}, "events that there are not yet"),
        ({"seq": -1}, "not as cytowatch.receipt.v1 says"),
        ({"seq": "3"}, ""),
        ({"store_id": "another"}, "of another record"),
        ({"schema": "cytowatch.receipt.v2"}, "not as cytowatch.receipt.v1 says"),
        ({"more": 1}, "not as cytowatch.receipt.v1 says"),
    ],
)
async def test_what_is_no_receipt_of_ours_is_ignored_and_said_once(
    scene: Scene,
    kept: Receipts,
    caplog: pytest.LogCaptureFixture,
    wrong: bytes | dict[str, object],
    words: str,
) -> None:
    caplog.set_level(logging.INFO, "monitor.sinks.receipts")
    await happen(scene, 5)
    payload = wrong if isinstance(wrong, bytes) else receipt(scene, wrong.pop("seq", 3), **wrong)
    for _ in range(3):
        kept.take("scada", payload, retained=False)
    said = [record.message for record in caplog.records]
    if not words:
        assert (said, upto(scene)) == ([], 3)
        return
    assert len(said) == 1
    assert words in said[0]
    assert upto(scene) == 0
    kept.take("scada", receipt(scene, 3), retained=False)
    assert upto(scene) == 3
    kept.take("scada", payload, retained=False)
    assert len(caplog.records) == 1, "who is wrong every second time fills no log"
    with kept.held():
        kept.take("scada", payload, retained=False)
    assert len(caplog.records) == 2, "with each connection it is said anew"


async def test_strangers_and_retained_ones_are_ignored(
    scene: Scene, kept: Receipts, caplog: pytest.LogCaptureFixture
) -> None:
    await happen(scene, 5)
    for stranger in ("bob", "eve", "mallory"):
        kept.take(stranger, receipt(scene, 3), retained=False)
    kept.take("scada", receipt(scene, 3), retained=True)
    kept.take("scada", receipt(scene, 3, gateway="gw-2"), retained=False)
    assert [record.message for record in caplog.records] == [
        "a receipt of bob is ignored: nobody named it in mqtt.receipts",
        "a receipt of scada is ignored: it is retained, so it may be an old one",
    ]
    assert upto(scene) == 0


@pytest.mark.usefixtures("clock")
async def test_how_far_a_consumer_is_outlives_the_daemon_and_a_new_one_begins_at_the_present(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as scene:
        first = Receipts(settings("scada"), "gw-1", scene.store)
        await happen(scene, 5)
        with first.held():
            first.take("scada", receipt(scene, 3), retained=False)
    async with opened(tmp_path) as scene:
        Receipts(settings("scada", "pager"), "gw-1", scene.store)
        assert (upto(scene), upto(scene, "pager")) == (3, 5)
        await happen(scene, 1)
    async with opened(tmp_path) as scene:
        Receipts(settings("scada", "pager"), "gw-1", scene.store)
        assert (upto(scene), upto(scene, "pager")) == (3, 5)


@pytest.mark.usefixtures("clock")
async def test_one_that_was_there_from_the_first_event_on_owes_that_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        Receipts(settings("scada"), "gw-1", scene.store)
        await happen(scene, 2)
    async with opened(tmp_path) as scene:
        Receipts(settings("scada"), "gw-1", scene.store)
        assert upto(scene) == 0


# --- what is owed -----------------------------------------------------------------------------


async def test_what_is_owed_is_told_again_a_window_at_a_time(
    scene: Scene, kept: Receipts, clock: Time
) -> None:
    await happen(scene, 50)
    kept.told(50)
    assert kept.again() is None
    assert kept.next_in() == MINUTE
    clock.now += MINUTE
    assert kept.again() == Window(1, TOGETHER)
    assert kept.again() is None, "to both of them at once"
    assert kept.next_in() == MINUTE
    kept.take("scada", receipt(scene, TOGETHER), retained=False)
    assert kept.next_in() == 0
    assert kept.again() == Window(TOGETHER + 1, 2 * TOGETHER)
    kept.take("scada", receipt(scene, 50), retained=False)
    clock.now += MINUTE
    assert kept.again() == Window(1, TOGETHER), "pager has not said a word"
    assert kept.next_in() == 2 * MINUTE
    kept.take("pager", receipt(scene, 50), retained=False)
    clock.now += 1000 * MINUTE
    assert kept.again() is None


async def test_who_owes_for_too_long_is_late_and_nobody_else(
    scene: Scene, kept: Receipts, clock: Time, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.sinks.receipts")
    await happen(scene, 2)
    kept.told(2)
    clock.now += MINUTE - 1
    assert [kept.late(each) for each in kept.consumers] == [False, False]
    kept.take("pager", receipt(scene, 2), retained=False)
    clock.now += 1
    assert [kept.late(each) for each in kept.consumers] == [True, False]
    kept.again()
    kept.take("scada", receipt(scene, 1), retained=False)
    assert kept.late("scada")
    kept.take("scada", receipt(scene, 2), retained=False)
    assert kept.late("scada") is False
    assert [record.message for record in caplog.records] == [
        "scada owes a receipt from seq 1 on, and is told it again",
        "scada has made durable all that it owed",
    ]


async def test_time_without_a_broker_counts_for_nobody(scene: Scene, clock: Time) -> None:
    kept = Receipts(settings("scada"), "gw-1", scene.store)
    with kept.held():
        await happen(scene, 1)
        kept.told(1)
        clock.now += MINUTE / 2
    assert kept.late("scada") is None, "the broker is away, and that is an alarm of its own"
    clock.now += 100 * MINUTE
    with kept.held():
        assert kept.late("scada") is False
        clock.now += MINUTE / 2
        assert kept.late("scada") is True


async def test_after_a_restart_nobody_knows_for_a_while_how_late_it_is(
    tmp_path: Path, clock: Time
) -> None:
    async with opened(tmp_path) as scene:
        Receipts(settings("scada"), "gw-1", scene.store)
        await happen(scene, 3)
    async with opened(tmp_path) as scene:
        kept = Receipts(settings("scada"), "gw-1", scene.store)
        with kept.held():
            assert kept.late("scada") is None
            clock.now += MINUTE
            assert kept.late("scada") is True
            assert kept.again() == Window(1, 3)
            kept.take("scada", receipt(scene, 3), retained=False)
            assert kept.late("scada") is False


# --- at a real broker -------------------------------------------------------------------------


def sink_to(port: int, scene: Scene, *consumers: str, **more: object) -> MqttSink:
    receipts = {"from": consumers, "within": 100 * MS}
    made = {"host": HOST, "port": port, "receipts": receipts, "timeout": 60_000 * MS} | more
    return MqttSink(Mqtt.model_validate(made), Gateway("les-ulis", "gw-1"), scene)


def delivered(scene: Scene) -> bool:
    return scene.store.cursor("mqtt", "events") == scene.store.last.event


@pytest.mark.real
@pytest.mark.timeout(240)
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_the_queue_of_a_slow_consumer_dropped_arrives_all_the_same_once(
    scene: Scene, tmp_path: Path, protocol: str
) -> None:
    with Forgetful(tmp_path / "forgetful") as broker:
        consumer = Consumer(broker.port)
        async with consumer.listening():
            pass
        sink = sink_to(broker.port, scene, "scada", protocol=protocol)
        async with holding(sink):
            await happen(scene, 60)
            await eventually(lambda: delivered(scene))
            await eventually(lambda: sink.receipts.late("scada") is True)
            async with consumer.listening(slow=0.002):
                await eventually(lambda: upto(scene) == 60)
                await eventually(lambda: sink.receipts.late("scada") is False)
        told = await scene.store.events_by_seq(1, 60)
    assert [consumer.events[seq] for seq in range(1, 61)] == [event.body for event in told]


@pytest.mark.real
@pytest.mark.timeout(240)
async def test_what_happens_goes_before_what_is_told_again(
    mosquitto: Mosquitto, scene: Scene
) -> None:
    """A consumer that is dead holds up nobody who listens."""
    sink = sink_to(mosquitto.port, scene, "dead", "scada")
    consumer = Consumer(mosquitto.port)
    async with consumer.listening(), holding(sink):
        await happen(scene, 30)
        await eventually(lambda: sink.receipts.late("dead") is True)
        await happen(scene, 30)
        await eventually(lambda: upto(scene) == 60)
        assert sink.receipts.late("dead") is True
        assert sink.receipts.late("scada") is False
        await eventually(lambda: consumer.heard > 60)
    assert upto(scene, "dead") == 0
    assert len(consumer.events) == 60


@pytest.mark.real
@pytest.mark.timeout(240)
async def test_a_restart_forgets_no_receipt_and_no_debt(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Not even where the broker, too, has forgotten what it had accepted."""
    consumer = Consumer(mosquitto.port)
    async with opened(tmp_path) as scene:
        sink = sink_to(mosquitto.port, scene, "scada")
        async with holding(sink), consumer.listening():
            await happen(scene, 3)
            await eventually(lambda: upto(scene) == 3)
        async with holding(sink):
            await happen(scene, 3)
            await eventually(lambda: delivered(scene))
    mosquitto.kill()
    mosquitto.start()
    async with opened(tmp_path) as scene, consumer.listening():
        assert upto(scene) == 3
        async with holding(sink_to(mosquitto.port, scene, "scada")):
            await eventually(lambda: upto(scene) == 6)
    assert sorted(consumer.events) == [1, 2, 3, 4, 5, 6]


@pytest.mark.real
@pytest.mark.timeout(240)
async def test_a_receipt_is_no_request(mosquitto: Mosquitto, scene: Scene) -> None:
    asked: list[Sequence[object]] = []

    async def on_command(*request: object) -> None:
        asked.append(request)

    receipts = {"from": ["scada"]}
    made = Mqtt.model_validate(
        {"host": HOST, "port": mosquitto.port, "receipts": receipts, "commands": True}
    )
    sink = MqttSink(made, Gateway("les-ulis", "gw-1"), scene, on_command)
    consumer = Consumer(mosquitto.port)
    async with consumer.listening(), holding(sink):
        await happen(scene, 2)
        await eventually(lambda: upto(scene) == 2)
    assert asked == []
