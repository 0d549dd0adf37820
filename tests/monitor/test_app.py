import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from config.lines import Modbus, ModbusLine
from config.plant import Plant
from config.rules import High, Priority
from config.site import InfluxDb, Mqtt, Notify, StoreSettings
from drivers.reading import Quality
from monitor.app import reading_sinks, running, sink_names, state_directory
from monitor.cli.client import NoDaemon, ask_for
from monitor.messages import Message
from monitor.operators.protocol import (
    AskLetter,
    DeadLetterMessage,
    DeadLettersRequest,
    LetterReply,
    Request,
    StatusMessage,
    StatusRequest,
)
from monitor.store import Store, StoreError
from monitor.store.reader import Reader
from monitor.troubles import gateway_rules
from monitor.watchdog import Watchdog
from tests.drivers.modbus.hostile import Hostile, silent
from tests.monitor.alarms.small_plant import SECOND, channel, plant, source
from tests.monitor.sinks.database import database
from tests.support.servers import HOST, free_port
from tests.support.waiting import eventually

INFLUXDB = InfluxDb(url=f"http://{HOST}:1")
MQTT = Mqtt(host=HOST, port=1)


def on(folder: Path, port: int, *, influxdb: bool = False, mqtt: bool = False) -> Plant:
    """An incubator on a host at that port, five times a second."""
    one = replace(
        source(0, "incubator-7", "probe", "bus", [channel("co2")]), unit=1, period=SECOND // 5
    )
    modbus = Modbus(host=HOST, port=port)
    return replace(
        plant(one),
        lines={"bus": ModbusLine(name="bus", modbus=modbus)},
        store=StoreSettings(directory=folder / "state", tick=SECOND // 5),
        influxdb=INFLUXDB if influxdb else None,
        mqtt=MQTT if mqtt else None,
    )


@pytest.fixture(autouse=True)
def short_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "s"
    monkeypatch.setenv("CYTOWATCH_SOCKET", str(path))
    return path


@asynccontextmanager
async def host() -> AsyncIterator[Hostile]:
    async with Hostile() as server:
        yield server


async def test_it_watches_records_and_answers_until_it_is_left(
    tmp_path: Path, short_socket: Path
) -> None:
    async with host() as server:
        of = on(tmp_path, server.port)
        async with running(of) as daemon:
            assert daemon.sinks == []
            await eventually(lambda: daemon.recorder.store.last.scan > 2)
            [status] = await asyncio.to_thread(
                ask_for, short_socket, StatusRequest(), StatusMessage
            )
            assert status.last_scan > 2
            assert [(line.name, line.state) for line in status.lines] == [("bus", "up")]
            assert status.grid.visits > 2
            accepted = daemon.recorder
    with pytest.raises(NoDaemon, match="No such file"):
        ask_for(short_socket, StatusRequest(), StatusMessage)
    with Reader(tmp_path / "state" / "cytowatch.db") as reader:
        points = list(reader.readings(0, 2**63 - 1))
        kinds = [event.kind for event in reader.events(0, 2**63 - 1)]
    assert len(points) == accepted.scans, "the last tick too"
    # A machine that is too busy to look at every point of the grid makes it say so.
    assert [kind for kind in kinds if kind != "unmonitored"] == ["start", "config", "stop"]


async def test_an_outage_of_a_line_is_told_when_it_begins_and_when_it_ends(
    tmp_path: Path,
) -> None:
    server = Hostile()
    server.port = free_port()
    async with running(on(tmp_path, server.port)) as daemon:
        await eventually(lambda: daemon.recorder.store.last.event >= 3)
        await server.listen()
        await eventually(lambda: daemon.recorder.readings[Quality.GOOD] > 0)
        await server.stop()
    with Reader(tmp_path / "state" / "cytowatch.db") as reader:
        told = [e for e in reader.events(0, 2**63 - 1) if e.kind == "outage"]
    assert {event.subject for event in told} == {"line/bus"}
    phases = [json.loads(event.body)["phase"] for event in told]
    assert phases[0] == "begin"
    assert "end" in phases


async def test_what_is_under_way_in_the_end_is_no_bad_reading(tmp_path: Path) -> None:
    """It would say that the line was down, and its delay would run on until the next start."""
    async with host() as server:
        async with running(on(tmp_path, server.port)) as daemon:
            await eventually(lambda: daemon.recorder.readings[Quality.GOOD] > 2)
            server.usual = silent
            asked = len(server.asked)
            await eventually(lambda: len(server.asked) > asked)
        assert daemon.recorder.readings[Quality.BAD] == 0
    with Reader(tmp_path / "state" / "cytowatch.db") as reader:
        assert {point.quality for point in reader.readings(0, 2**63 - 1)} == {Quality.GOOD}


@pytest.mark.parametrize("mqtt", [True, False], ids=["broker away", "no broker"])
async def test_a_critical_alarm_that_reaches_nobody_runs_the_command(
    tmp_path: Path, mqtt: bool
) -> None:
    told = tmp_path / "told"
    always = High(name="high", limit=-1.0, priority=Priority.CRITICAL)
    async with host() as server:
        of = on(tmp_path, server.port, mqtt=mqtt)
        co2 = replace(of.sources[0].channels[0], rules=(always,))
        of = replace(
            of,
            sources=(replace(of.sources[0], channels=(co2,)),),
            notify=Notify(command=("/bin/sh", "-c", f"cat >> {told}"), after=SECOND // 10),
        )
        async with running(of) as daemon:
            notified = "incubator-7/co2/high"
            async with asyncio.timeout(60):
                while await daemon.recorder.store.newest("notified") is None:  # noqa: ASYNC110 - it sets no event
                    await asyncio.sleep(0.01)
    [event] = [json.loads(line) for line in told.read_text().splitlines()]
    assert (event["alarm"], event["priority"]) == (notified, "critical")
    with Reader(tmp_path / "state" / "cytowatch.db") as reader:
        assert [each.subject for each in reader.of_kind("notified", 0)] == [notified]


async def test_a_second_daemon_on_one_record_is_refused(tmp_path: Path) -> None:
    async with host() as server:
        of = on(tmp_path, server.port)
        async with running(of) as daemon:
            with pytest.raises(StoreError, match="another"):
                async with running(of):
                    pass
            scans = daemon.recorder.scans
            await eventually(lambda: daemon.recorder.scans > scans)


async def test_who_asks_from_another_folder_is_told_where_the_record_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of = replace(on(tmp_path, free_port()), store=StoreSettings(directory=Path("state")))
    async with running(of) as daemon:
        assert daemon.recorder.store.path == tmp_path / "state" / "cytowatch.db"


async def test_a_disk_that_fails_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(store: Store, tick: object) -> None:
        raise StoreError(f"{store.path}: no space left on device: {tick is None}")

    async with host() as server:
        with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - it is left by itself
            async with running(on(tmp_path, server.port)) as daemon:
                monkeypatch.setattr(Store, "commit", full)
                daemon.recorder.note("outage", "line/bus", {})
                await asyncio.sleep(60)
    assert caught.group_contains(StoreError, match="no space left")


class Suspendable:
    """Stands in for the module ``time`` where the clocks are read: the machine can have slept."""

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME
    slept = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.slept

    def clock_gettime_ns(self, which: int) -> int:
        return time.clock_gettime_ns(which) + self.slept


async def test_a_machine_that_slept_has_watched_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elapsed time counts on in a suspended machine; the event loop's own does not."""
    machine = Suspendable()
    monkeypatch.setattr("monitor.clock.time", machine)
    monkeypatch.setattr("monitor.signs.synchronised", lambda: True)
    async with host() as server, running(on(tmp_path, server.port)) as daemon:
        await eventually(lambda: daemon.recorder.store.last.scan > 2)
        machine.slept = 8 * 3600 * SECOND
        scans = daemon.recorder.scans
        await eventually(lambda: daemon.recorder.scans > scans + 5)
        assert daemon.recorder.missed > 8 * 3600 * 4, "five in a second"
        assert daemon.recorder.clock.epoch == 1, "the wall clock went on as elapsed time did"
        assert daemon.recorder.active() == []
    with Reader(tmp_path / "state" / "cytowatch.db") as reader:
        told = list(reader.events(0, 2**63 - 1))
    slept = [json.loads(e.body) for e in told if e.kind == "unmonitored"]
    [night] = [body for body in slept if body["seconds"] > 8 * 3600]
    assert night["seconds"] < 8 * 3600 + 60
    assert "grid points missed" in night["cause"]
    assert not [event for event in told if event.kind in {"clock_step", "alarm"}]


def test_the_record_lies_where_the_file_says_or_else_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = on(tmp_path, 1)
    unnamed = replace(named, store=StoreSettings())
    assert state_directory(named) == tmp_path / "state"
    assert state_directory(unnamed) == Path("state")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/cytowatch:/var/lib/other")
    assert state_directory(unnamed) == Path("/var/lib/cytowatch")
    assert state_directory(named) == tmp_path / "state"


@pytest.mark.parametrize(
    ("influxdb", "mqtt", "all_of_them", "readings"),
    [
        (False, False, [], []),
        (True, False, ["influxdb"], ["influxdb"]),
        (False, True, ["mqtt"], []),
        (True, True, ["influxdb", "mqtt"], ["influxdb"]),
    ],
)
def test_readings_wait_for_the_database_and_not_for_the_broker(
    tmp_path: Path, influxdb: bool, mqtt: bool, all_of_them: list[str], readings: list[str]
) -> None:
    of = on(tmp_path, 1, influxdb=influxdb, mqtt=mqtt)
    assert sink_names(of) == all_of_them
    assert reading_sinks(of) == readings


async def test_each_sink_bears_the_name_of_its_place_in_the_record(tmp_path: Path) -> None:
    of = on(tmp_path, free_port(), influxdb=True, mqtt=True)
    async with running(of) as daemon:
        assert [sink.name for sink in daemon.sinks] == sink_names(of)
        status = await daemon.desk.status()
        assert [sink.name for sink in status.sinks] == sink_names(of)
        lanes = {(lane.sink, lane.lane) for lane in (await daemon.recorder.store.status()).lanes}
        assert ("mqtt", "telemetry") not in lanes
        assert ("influxdb", "telemetry") in lanes


async def test_several_databases_each_have_a_place_and_readings_wait_for_the_slowest(
    tmp_path: Path,
) -> None:
    two = INFLUXDB.model_copy(update={"name": "archive"})
    of = replace(on(tmp_path, free_port(), influxdb=True, mqtt=True), other_databases=(two,))
    assert sink_names(of) == ["influxdb", "archive", "mqtt"]
    assert reading_sinks(of) == ["influxdb", "archive"]
    assert {"sink-influxdb", "sink-archive", "sink-mqtt"} <= gateway_rules(of).keys()
    async with running(of) as daemon:
        lanes = {(lane.sink, lane.lane) for lane in (await daemon.recorder.store.status()).lanes}
        assert {("influxdb", "telemetry"), ("archive", "telemetry")} <= lanes


async def test_a_point_that_a_database_refused_is_mended_and_taken_back_over_the_socket(
    tmp_path: Path,
) -> None:
    """All the way: refused, listed, mended, taken; while the daemon goes on delivering."""
    line = "incubator,equipment=incubator-7 co2=oops 7"

    async def talk(request: Request, answer: type[Message]) -> list[Message]:
        return await asyncio.to_thread(lambda: list(ask_for(daemon.socket, request, answer)))

    async with host() as server, database() as fake:
        settings = InfluxDb(url=fake.url, bucket="b")
        of = replace(on(tmp_path, server.port), influxdb=settings)
        async with running(of) as daemon:
            await daemon.recorder.store.dead_letter("influxdb", line.encode(), "invalid number")
            [letter] = await talk(DeadLettersRequest(), DeadLetterMessage)
            assert letter.model_dump(include={"id", "line"}) == {"id": 1, "line": line}
            mended = line.replace("oops", "5.0")
            ask = AskLetter(act="replay", id=1, line=mended, reason="read off the display")
            [reply] = await talk(ask, LetterReply)
            assert reply.model_dump(include={"result", "text"}) == {"result": "taken", "text": ""}
            assert fake.accepted.count(mended.encode()) == 1
            assert await talk(DeadLettersRequest(), DeadLetterMessage) == []
    with Reader(tmp_path / "state" / "cytowatch.db") as reader:
        acts = [json.loads(event.body) for event in reader.of_kind("act", 0)]
    assert [(act["act"], act["mended"], act["via"]) for act in acts] == [
        ("replay_dead_letter", mended, "socket")
    ]


async def test_a_mistake_in_the_watchdog_does_not_end_the_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(_: Watchdog, now: float) -> None:
        raise ZeroDivisionError(f"at {now}")

    monkeypatch.setattr(Watchdog, "look", mistaken)
    async with host() as server, running(on(tmp_path, server.port)) as daemon:
        await eventually(lambda: "own watchdog: internal error: ZeroDivisionError" in caplog.text)
        scans = daemon.recorder.scans
        await eventually(lambda: daemon.recorder.scans > scans)
