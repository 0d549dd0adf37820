"""The clocks of devices are judged by the times of their values, and our own is kept out of it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.lines import OpcUa, OpcUaLine
from config.plant import Plant
from drivers import open_lines
from drivers.grid import Grid
from drivers.reading import Moment, Scan, Value
from monitor import skew as module
from monitor.certificates import Certificates
from monitor.desk import Desk
from monitor.health import Health
from monitor.metrics import Metrics
from monitor.recorder import Recorder
from monitor.skew import line_skews, skew_of, worst
from monitor.troubles import skew_trouble
from tests.drivers.opcua import harness
from tests.monitor.alarms.small_plant import BAD, NOON, SECOND, channel, plant, source
from tests.monitor.hand import HandTime, bodies, events, recording
from tests.support.opcua_servers import Change, OpcUaServer
from tests.support.waiting import eventually

MINUTE = 60
LATE = 600 * 10**6


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    monkeypatch.setattr(module, "synchronised", lambda: True)
    return HandTime(monkeypatch)


def said(at: float, *values: Value | None, times: Sequence[float | None]) -> Scan:
    """What a source said, seconds after noon, and when its device says that each came to be."""
    when = {n: NOON + round(time * SECOND) for n, time in enumerate(times) if time is not None}
    bad = {n: BAD for n, value in enumerate(values) if value is None}
    return Scan(0, NOON + round(at * SECOND), round(at * SECOND), values, bad, when)


BEFORE = said(100, 5.0, 37.0, times=[98, 40])


@pytest.mark.parametrize(
    ("scan", "seconds"),
    [
        pytest.param(said(101, 5.1, 37.0, times=[100.5, 40]), 0, id="between the looks"),
        pytest.param(said(101, 5.1, 37.0, times=[99.5, 40]), 0, id="told a little late"),
        pytest.param(said(101, 5.1, 37.0, times=[161, 40]), 60, id="ahead"),
        pytest.param(said(101, 5.1, 37.0, times=[39.4, 40]), -60, id="behind"),
        pytest.param(said(101, 5.1, 37.1, times=[161, 101]), 0, id="the nearest of two"),
        pytest.param(said(101, 5.0, 37.0, times=[98, 40]), None, id="all stand"),
        pytest.param(said(101, 5.0, 37.0, times=[161, 40]), None, id="read anew, the same value"),
        pytest.param(said(101, 5.1, 37.0, times=[98, 40]), None, id="another value of that time"),
        pytest.param(said(101, 5.1, 37.0, times=[None, 40]), None, id="no time any more"),
        pytest.param(said(101, None, 37.0, times=[161, 40]), None, id="bad now"),
    ],
)
def test_only_a_value_that_changed_between_two_looks_says_how_late_it_is(
    scan: Scan, seconds: float | None
) -> None:
    off = skew_of(BEFORE, scan, LATE)
    assert off == (None if seconds is None else round(seconds * SECOND))


def test_what_is_told_for_the_first_time_may_be_as_old_as_it_likes() -> None:
    for before in (said(100, None, times=[None]), said(100, 5.0, times=[None])):
        assert skew_of(before, said(101, 5.1, times=[-9999]), LATE) is None


@given(
    true=st.floats(0, 10),
    late=st.floats(0, LATE / SECOND),
    off=st.floats(-1e6, 1e6),
)
def test_a_clock_is_never_called_worse_than_it_is_nor_another_way(
    true: float, late: float, off: float
) -> None:
    """``true`` is when the value changed; it was told between the looks, so much later."""
    told = true + late
    before, scan = said(told - 1, 1.0, times=[-1e7]), said(told + 1, 2.0, times=[true + off])
    found = skew_of(before, scan, LATE)
    assert found is not None
    assert abs(found) <= abs(off) * SECOND + 2
    assert found * off >= 0 or abs(found) <= 2
    assert abs(found) >= (abs(off) - 3) * SECOND


def reactors(**settings: object) -> Plant:
    """Two reactors behind one OPC UA server."""
    opcua = OpcUa.model_validate({"endpoint": "opc.tcp://127.0.0.1:4840", **settings})
    small = plant(
        source(0, "reactor-1", "plc", "hall", [channel("ph", timed=True)]),
        source(1, "reactor-2", "plc", "hall", [channel("ph", timed=True)]),
    )
    return replace(small, lines={"hall": OpcUaLine(name="hall", opcua=opcua)})


class Watched:
    """A gateway whose sources change a value each second, by clocks that may be off."""

    def __init__(self, recorder: Recorder, hand: HandTime) -> None:
        self.recorder, self.hand = recorder, hand
        [self.line] = line_skews(recorder.plant, recorder)
        self.verdicts: list[bool | None] = []

    def pass_(self, seconds: int, off: Mapping[int, float], *, every: int = 1) -> bool | None:
        """Let time pass, and say what the sign says in the end."""
        for second in range(seconds):
            self.hand.pass_(1)
            for source_, ahead in off.items():
                if second % every == 0:
                    self.recorder.accept(changed(self.hand.now, source_, ahead))
            self.recorder.follow_clock()
            self.verdicts.append(self.line())
            if self.verdicts[-1] is not None:
                self.recorder.report(skew_trouble("hall"), holds=bool(self.verdicts[-1]))
        return self.verdicts[-1]


def changed(now: Moment, source_: int, ahead: float) -> Scan:
    """A value that has just become another one."""
    time = now.at - SECOND // 10 + round(ahead * SECOND)
    return Scan(source_, *now, (now.at / SECOND % 97,), {}, {0: time})


@asynccontextmanager
async def watched(folder: Path, hand: HandTime, **settings: object) -> AsyncIterator[Watched]:
    async with recording(folder, reactors(**settings)) as recorder:
        yield Watched(recorder, hand)
        await recorder.commit()


def alarms(folder: Path) -> list[str]:
    """What became of the alarm, in its order."""
    return [
        body["change"] for body in bodies(folder, "alarm") if body["alarm"] == "gateway/_/skew-hall"
    ]


async def test_a_clock_that_is_off_for_minutes_is_an_alarm_until_it_is_set(
    tmp_path: Path, hand: HandTime
) -> None:
    async with watched(tmp_path, hand) as gateway:
        assert gateway.pass_(10, {0: 0, 1: 3}) is False
        assert gateway.pass_(4 * MINUTE, {0: 0, 1: 95}) is True
        assert worst([gateway.line]) == pytest.approx(95 * SECOND, abs=2 * SECOND)
        await gateway.recorder.commit()
        assert alarms(tmp_path) == []
        gateway.pass_(2 * MINUTE, {0: 0, 1: 95})
        assert gateway.pass_(2 * MINUTE, {0: 0, 1: 0}) is False
    assert alarms(tmp_path) == ["raised", "returned"]
    begin, end = bodies(tmp_path, "skew")
    assert (begin["phase"], end["phase"]) == ("begin", "end")
    assert begin["seconds"] == pytest.approx(95, abs=2)
    assert {event.subject for event in events(tmp_path, "skew")} == {"reactor-2/plc"}


@pytest.mark.parametrize(("tolerance", "off"), [("30s", True), ("2m", False)])
async def test_how_much_is_too_much_stands_in_the_file(
    tmp_path: Path, hand: HandTime, tolerance: str, off: bool
) -> None:
    async with watched(tmp_path, hand, clock_tolerance=tolerance) as gateway:
        assert gateway.pass_(10, {0: -60}) is off


async def test_a_time_that_jumps_now_and_then_is_no_clock_that_is_off(
    tmp_path: Path, hand: HandTime
) -> None:
    async with watched(tmp_path, hand) as gateway:
        for _ in range(5):
            gateway.pass_(2, {0: 1e6})
            gateway.pass_(1, {0: 0})
            gateway.pass_(2, {0: -1e6})
            gateway.pass_(1, {0: 0})
        assert True not in gateway.verdicts


async def test_a_source_that_seldom_changes_is_judged_when_it_does(
    tmp_path: Path, hand: HandTime
) -> None:
    async with watched(tmp_path, hand) as gateway:
        assert gateway.pass_(3 * MINUTE, {0: 95}, every=MINUTE) is None
        assert gateway.pass_(3 * MINUTE, {0: 95}, every=MINUTE) is True


async def test_nobody_is_judged_by_a_clock_that_is_not_kept(
    tmp_path: Path, hand: HandTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "synchronised", lambda: False)
    async with watched(tmp_path, hand) as gateway:
        assert gateway.pass_(10 * MINUTE, {0: 95}) is False
    assert alarms(tmp_path) == []


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_a_step_of_our_own_clock_puts_nobody_in_the_wrong(
    tmp_path: Path, hand: HandTime, seconds: int
) -> None:
    async with watched(tmp_path, hand) as gateway:
        gateway.pass_(10, {0: 0})
        hand.step(seconds)
        assert gateway.pass_(10 * MINUTE, {0: 0}) is False
        assert True not in gateway.verdicts


async def test_a_restart_keeps_the_alarm_until_it_is_known_anew(
    tmp_path: Path, hand: HandTime
) -> None:
    async with watched(tmp_path, hand) as gateway:
        gateway.pass_(6 * MINUTE, {0: 95})
    async with watched(tmp_path, hand) as gateway:
        assert gateway.pass_(10 * MINUTE, {}) is None
        gateway.pass_(10 * MINUTE, {0: 95})
    assert alarms(tmp_path) == ["raised"]


async def test_each_clock_that_is_known_is_a_figure(tmp_path: Path, hand: HandTime) -> None:
    async with watched(tmp_path, hand) as gateway:
        recorder, grid = gateway.recorder, Grid(gateway.recorder.clock)
        gateway.pass_(10, {0: -95, 1: 0})
        metrics = Metrics(recorder, grid, [], {}, [], Certificates([]), [gateway.line])
        families = {family.name: family for family in await metrics.families()}
        samples = families["cytowatch_source_clock_skew_seconds"].samples
        assert {sample.labels["source"]: sample.value for sample in samples} == {
            "reactor-1/plc": -93.5,
            "reactor-2/plc": 0,
        }
        await recorder.commit()
        await Health(recorder, Desk(recorder, grid, [], []), [], [], skews=[gateway.line]).tell()
        await recorder.commit()
        [*_, blob] = await recorder.store.telemetry(0, 2**20)
    assert b",skew_ms=-93500.0," in gzip.decompress(blob.body)


@pytest.mark.real
async def test_a_server_whose_clock_is_off_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "synchronised", lambda: True)
    with OpcUaServer(tmp_path, "node-opcua", [harness.PH]) as server:
        server.set_clock(95_000)
        of = behind(server)
        async with recording(tmp_path, of) as recorder:
            [sign] = line_skews(of, recorder)
            [line] = open_lines(of, recorder.clock, recorder.accept, tmp_path)
            holding = asyncio.create_task(line.hold(lambda: None))
            for value in (7.1, 7.2, 7.3, 7.4, 7.5):
                server.set(Change(harness.PH.id, value))
                await eventually(partial(shows, recorder, value))
                sign()
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            assert worst([sign]) == pytest.approx(95 * SECOND, abs=60 * SECOND)


def behind(server: OpcUaServer) -> Plant:
    """A plant of one channel of that server."""
    line = OpcUaLine(name="line", opcua=harness.settings(server.endpoint))
    return replace(plant(harness.source([harness.channel(harness.PH)])), lines={"line": line})


def shows(recorder: Recorder, value: float) -> bool:
    """Whether its one channel was told to have this value."""
    latest = recorder.latest[0]
    return latest is not None and latest.values == (value,)
