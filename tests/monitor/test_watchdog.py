"""When the service is ready, when its watchdog is fed, and what is named when it is not."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from config.lines import ModbusLine, OpcUa, OpcUaLine
from config.plant import Plant
from drivers.reading import Cause, Fault, Quality, Reason, Scan
from monitor import watchdog
from monitor.recorder import Recorder
from monitor.sinks.base import Tally
from monitor.supervise import Outage
from monitor.systemd import Notifier
from monitor.watchdog import LEAST, LONGEST_COMMIT, READY_WITHIN, Watchdog
from tests.monitor.alarms.small_plant import SECOND, channel, plant, source
from tests.monitor.hand import HandTime, recording
from tests.support.manager import Manager, manager
from tests.support.waiting import eventually

LONG = 300.0
"""Seconds; longer than anything here may take."""


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Manager]:
    with manager(str(tmp_path / "n")) as listening:
        yield listening


@dataclass
class Broker:
    """A sink as it is seen from outside."""

    name: str
    tally: Tally
    patience: float = 5.0


def two_lines() -> Plant:
    """Two incubators on a bus, and one alone."""
    return plant(
        source(0, "incubator-7", "probe", "bus", [channel("co2")]),
        source(1, "incubator-8", "probe", "bus", [channel("co2")]),
        source(2, "incubator-9", "probe", "io", [channel("co2")]),
    )


@dataclass
class Gateway:
    """A watchdog that is looked after by hand, and what it looks at."""

    recorder: Recorder
    watchdog: Watchdog
    lines: Mapping[str, Outage]
    broker: Broker
    broker_outage: Outage
    systemd: Manager
    hand: HandTime
    turned: float = 0.0
    told: list[str] = field(default_factory=list)

    async def live(
        self,
        seconds: float,
        *,
        quiet: frozenset[int] = frozenset(),
        cause: Cause = Cause.NONE,
        commits: bool = True,
        delivers: bool = True,
    ) -> None:
        """Let time pass, each second of which every source but the quiet ones gives a scan."""
        for _ in range(round(seconds)):
            self.hand.pass_(1)
            self.turned += 1
            for index in {0, 1, 2} - quiet:
                self.recorder.accept(self.said(index, cause))
            if commits:
                await self.recorder.commit()
            if delivers:
                store = self.recorder.store
                store.confirm(self.broker.name, "events", store.last.event)
            self.watchdog.look(self.turned)
            self.told += self.systemd.heard()  # A socket that nobody reads holds ten messages.

    def said(self, index: int, cause: Cause) -> Scan:
        now = self.hand.now
        if cause is Cause.NONE:
            return Scan(index, now.at, now.boot, (5.0,))
        bad = {0: Fault(Quality.BAD, Reason.LINE_DOWN)}
        return Scan(index, now.at, now.boot, (None,), bad, cause=cause)

    def take(self) -> list[str]:
        """Return what systemd was told since it was asked last."""
        told, self.told = self.told + self.systemd.heard(), []
        return told

    def fed(self) -> bool:
        """Whether the watchdog was fed since it was asked last."""
        return "WATCHDOG=1" in self.take()


@asynccontextmanager
async def gateway(
    folder: Path, hand: HandTime, systemd: Manager, of: Plant | None = None
) -> AsyncIterator[Gateway]:
    async with recording(folder, of or two_lines()) as recorder:
        clock = recorder.clock
        names = ("bus", "io", "mqtt")
        outages = {name: Outage(name, lambda _p, _t: None, lambda: clock().at) for name in names}
        for outage in outages.values():
            outage.begun()
            outage.regained()
        lines = {name: outages[name] for name in ("bus", "io")}
        broker = Broker("mqtt", Tally())
        notifier = Notifier(systemd.address, watchdog=60.0)
        dog = Watchdog(recorder, lines, [broker], {"mqtt": outages["mqtt"]}, notifier)
        yield Gateway(recorder, dog, lines, broker, outages["mqtt"], systemd, hand)


async def test_it_is_ready_when_every_source_was_tried(
    tmp_path: Path, hand: HandTime, systemd: Manager
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(3, quiet=frozenset({1}))
        heard = of.take()
        assert "READY=1" not in heard
        assert "STATUS=starting: 2 of 3 sources have given a scan" in heard
        await of.live(1)
        heard = of.take()
        assert heard.count("READY=1") == 1
        assert heard[-1] == (
            "STATUS=watching 3 equipments, 2 of 2 lines up, 0 alarms standing, mqtt 0 behind"
        )
        await of.live(3)
        assert "READY=1" not in of.take()


async def test_a_first_connection_that_is_still_being_made_is_no_try(
    tmp_path: Path, hand: HandTime, systemd: Manager
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(5, cause=Cause.UNKNOWN)
        assert "READY=1" not in of.take()
        await of.live(1, cause=Cause.LINE)
        assert "READY=1" in of.take(), "a dead device does not keep the service from starting"


async def test_whoever_does_not_speak_keeps_it_from_starting_only_so_long(
    tmp_path: Path, hand: HandTime, systemd: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(READY_WITHIN - 1, cause=Cause.UNKNOWN)
        assert "READY=1" not in of.take()
        await of.live(1, cause=Cause.UNKNOWN)
        assert "READY=1" in of.take()
    assert "incubator-7/probe; incubator-8/probe; incubator-9/probe" in caplog.text


async def test_readiness_that_could_not_be_told_is_told_again(
    tmp_path: Path, hand: HandTime, systemd: Manager
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        of.watchdog = Watchdog(of.recorder, {}, [], {}, notifier := Notifier("/nowhere/n"))
        await of.live(2)
        notifier._address = systemd.address
        await of.live(2)
        assert of.take().count("READY=1") == 1


async def test_what_is_down_is_not_stuck(tmp_path: Path, hand: HandTime, systemd: Manager) -> None:
    """Devices dead, broker away for ten minutes: it is tried again and again, so it is fed."""
    async with gateway(tmp_path, hand, systemd) as of:
        outages = [*of.lines.values(), of.broker_outage]
        for _ in range(10):
            for outage in outages:
                outage.begun()
            await of.live(20, cause=Cause.LINE, delivers=False)
            for outage in outages:
                outage.lost("no route to host")
            await of.live(40, cause=Cause.LINE, delivers=False)
            assert of.take().count("WATCHDOG=1") == 60
        await of.live(1, delivers=False)
        assert of.take()[-1].startswith("STATUS=watching 3 equipments, 0 of 2 lines up, ")
        assert of.watchdog._status([]).endswith(" behind")
        assert "mqtt away, " in of.watchdog._status([])


async def test_a_line_without_a_scan_is_stuck_and_named_once(
    tmp_path: Path, hand: HandTime, systemd: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(10)
        assert of.fed()
        await of.live(LEAST, quiet=frozenset({0, 1}))
        assert of.fed(), "it may be slow"
        await of.live(LONG, quiet=frozenset({0, 1}))
        of.take()
        await of.live(10, quiet=frozenset({0, 1}))
        assert not of.fed()
        assert of.watchdog._named == {"line bus"}
        [error] = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert "watchdog: line bus has given no scan for 3" in error.getMessage()
        await of.live(1)
        assert of.fed()
        assert caplog.records[-1].getMessage() == "watchdog: line bus got on again"


async def test_a_source_alone_is_stuck_too_and_the_line_is_not_blamed(
    tmp_path: Path, hand: HandTime, systemd: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(LONG, quiet=frozenset({1}))
        await of.live(1, quiet=frozenset({1}))
    assert "watchdog: source incubator-8/probe has given no scan" in caplog.text
    assert "line bus" not in caplog.text


@pytest.mark.parametrize(
    ("trying", "words"),
    [(True, "is neither connected nor lost"), (False, "is not tried any more")],
)
async def test_a_try_that_never_ends_is_stuck_though_bad_scans_come(
    trying: bool,
    words: str,
    tmp_path: Path,
    hand: HandTime,
    systemd: Manager,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        of.lines["io"].lost("refused")
        if trying:
            of.lines["io"].begun()
        await of.live(LEAST, cause=Cause.LINE)
        assert of.fed()
        await of.live(LONG, cause=Cause.LINE)
        of.take()
        await of.live(1, cause=Cause.LINE)
        assert not of.fed()
    assert f"watchdog: line io {words}" in caplog.text


async def test_a_store_that_commits_nothing_is_stuck(
    tmp_path: Path, hand: HandTime, systemd: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(10)
        await of.live(LONGEST_COMMIT, commits=False)
        assert of.fed()
        await of.live(2, commits=False)
        of.take()
        await of.live(2, commits=False)
        assert not of.fed()
        await of.live(1)
        assert of.fed()
    assert "watchdog: store has committed nothing for 2" in caplog.text


async def test_a_sink_is_stuck_only_with_something_to_deliver(
    tmp_path: Path, hand: HandTime, systemd: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(1)
        await of.live(LONG, delivers=False)
        assert not any(r.levelno == logging.ERROR for r in caplog.records), "nothing waits"
        of.recorder.note("outage", "line/io", {})
        of.take()
        for _ in range(10):
            of.broker.tally.requests += 1  # Each was refused, or answered by a plea for patience.
            await of.live(LEAST, delivers=False)
            assert of.take().count("WATCHDOG=1") == LEAST
        await of.live(LONG, delivers=False)
        of.take()
        await of.live(1, delivers=False)
        assert not of.fed()
        assert "watchdog: sink mqtt has delivered nothing, and got no answer" in caplog.text
        await of.live(1)
        assert of.fed()


async def test_a_sink_is_given_the_time_that_its_peer_may_take(
    tmp_path: Path, hand: HandTime, systemd: Manager
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        of.broker.patience = 10 * LONG  # A long body on a slow link.
        of.recorder.note("outage", "line/io", {})
        await of.live(2 * LONG, delivers=False)
        of.take()
        await of.live(1, delivers=False)
        assert of.fed()


@pytest.mark.parametrize(
    ("what", "change", "seconds"),
    [
        ("read once an hour", {"period": 3600 * SECOND}, 3 * 3600),
        (
            "twenty requests, each with ten seconds to be answered",
            {"channels": tuple(channel(f"co2-{n}") for n in range(20)), "timeout": 10 * SECOND},
            200,
        ),
    ],
)
async def test_what_is_merely_slow_is_not_stuck(
    what: str,
    change: dict[str, Any],
    seconds: float,
    tmp_path: Path,
    hand: HandTime,
    systemd: Manager,
) -> None:
    slow = replace(two_lines(), sources=tuple(replace(s, **change) for s in two_lines().sources))
    async with gateway(tmp_path, hand, systemd, slow) as of:
        marks = [mark for mark in of.watchdog._marks() if mark.trouble == watchdog.NO_SCAN]
        assert len(marks) == 4, "one is alone on its line"
        assert all(mark.patience > seconds for mark in marks), what


async def test_a_connection_that_is_slow_to_be_made_has_the_time_of_its_wire(
    tmp_path: Path, hand: HandTime, systemd: Manager
) -> None:
    opcua = OpcUa(endpoint="opc.tcp://192.0.2.31:4840", connect_timeout=60 * SECOND)
    lines = {**two_lines().lines, "io": OpcUaLine(name="io", opcua=opcua)}
    async with gateway(tmp_path, hand, systemd, replace(two_lines(), lines=lines)) as of:
        assert isinstance(of.recorder.plant.lines["bus"], ModbusLine)
        patience = {line.name: line.to_connect for line in of.watchdog._lines}
        first_words = 3 * 4 + 2 * 5
        assert patience["line io"] - patience["line bus"] == 2 * (60 - 5) + first_words


async def test_a_server_of_many_nodes_has_the_time_to_be_asked_for_all_of_them(
    tmp_path: Path, hand: HandTime, systemd: Manager
) -> None:
    nodes = tuple(channel(f"value_{number}") for number in range(2000))
    wide = replace(two_lines().sources[2], channels=nodes)
    opcua = OpcUa(endpoint="opc.tcp://192.0.2.31:4840")
    wanted = plant(*two_lines().sources[:2], wide)
    lines = {**wanted.lines, "io": OpcUaLine(name="io", opcua=opcua)}
    async with gateway(tmp_path, hand, systemd, replace(wanted, lines=lines)) as of:
        patience = {line.name: line.to_connect for line in of.watchdog._lines}
        assert patience["line io"] > 3 * 20 * 4


async def test_time_in_which_the_loop_did_not_turn_counts_for_nobody(
    tmp_path: Path,
    hand: HandTime,
    systemd: Manager,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A process that was stopped, or a machine that was suspended, for ten minutes."""
    monkeypatch.setattr(watchdog, "STARTING", 0.001)
    monkeypatch.setattr(watchdog, "PERIOD", 0.001)
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(1)
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(of.watchdog.watch(lambda: None))
        await eventually(of.fed)
        slept, time = 600.0, loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + slept)
        of.take()
        await eventually(of.fed)
        monkeypatch.undo()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "watchdog: " not in caplog.text


async def test_the_manager_that_wants_to_hear_more_often_does(
    tmp_path: Path, hand: HandTime, systemd: Manager
) -> None:
    async with gateway(tmp_path, hand, systemd) as of:
        await of.live(1)
        of.take()
        of.watchdog._manager = Notifier(systemd.address, watchdog=0.04)
        task = asyncio.create_task(of.watchdog.watch(lambda: None))
        heard: list[str] = []

        def thrice() -> bool:
            heard.extend(of.take())
            return heard.count("WATCHDOG=1") > 3

        await eventually(thrice)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
