"""The gateway's own troubles are told, and how it is stands in the database."""

import gzip
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from config.plant import Plant
from config.site import InfluxDb
from drivers.base import Line
from drivers.grid import Grid
from monitor.certificates import Certificates
from monitor.clock import RecordClock
from monitor.desk import Desk
from monitor.health import Health
from monitor.messages import AlarmEventMessage
from monitor.recorder import Recorder
from monitor.store import Store
from monitor.store.room import Disk
from monitor.supervise import Outage
from tests.monitor.hand import FILE, HandTime, bodies, events, scan, small_plant, times

QUOTA = 2000
"""Bytes: some ten ticks of a scan each."""
GIB = 2**30


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    return HandTime(monkeypatch)


def delivering() -> Plant:
    return replace(small_plant(), influxdb=InfluxDb(url="http://127.0.0.1:1"))


@asynccontextmanager
async def healthy(
    folder: Path, *, quota: int = QUOTA, lines: Sequence[Line] = ()
) -> AsyncIterator[tuple[Recorder, Health, Outage]]:
    """A gateway on a small quota, and what its one database is known to be."""
    plant = delivering()
    async with Store.open(folder / FILE, quota=quota, sinks=["influxdb"]) as store:
        recorder = await Recorder.start(plant, store, RecordClock())
        outage = Outage("influxdb", lambda _phase, _text: None, lambda: recorder.clock().at)
        outage.regained()
        desk = Desk(recorder, Grid(recorder.clock), [], [outage])
        yield recorder, Health(recorder, desk, lines, [outage]), outage


async def live(recorder: Recorder, health: Health, hand: HandTime, *, seconds: int) -> None:
    for _ in range(seconds):
        recorder.accept(scan(hand.now, 5.0))
        await recorder.commit()
        await health.tell()
        health.look()
        await recorder.commit()
        hand.pass_(1)


def changes(folder: Path, alarm: str) -> list[str]:
    told = [AlarmEventMessage.model_validate_json(event.body) for event in events(folder, "alarm")]
    return [each.change.value for each in told if each.alarm == f"gateway/_/{alarm}"]


async def test_undelivered_readings_are_an_alarm_long_before_any_of_them_leaves(
    tmp_path: Path, hand: HandTime
) -> None:
    async with healthy(tmp_path, quota=10 * QUOTA) as (recorder, health, _):
        while not changes(tmp_path, "store-filling"):
            await live(recorder, health, hand, seconds=1)
        assert recorder.store.lost_lines == 0
        assert (await recorder.store.status()).lanes[0].behind_bytes < 6 * QUOTA


async def test_readings_that_leave_undelivered_are_counted_and_told(
    tmp_path: Path, hand: HandTime
) -> None:
    async with healthy(tmp_path) as (recorder, health, _):
        await live(recorder, health, hand, seconds=40)
        lost = recorder.store.lost_lines
        assert lost > 0
        assert changes(tmp_path, "store-losing") == ["raised"]
        blobs = await recorder.store.telemetry(0, 2**20)
        recorder.store.confirm("influxdb", "telemetry", blobs[-1].id)
        for _ in range(62):
            hand.pass_(1)
            health.look()
        await recorder.commit()
    assert changes(tmp_path, "store-losing") == ["raised", "returned"]
    begin, end = bodies(tmp_path, "loss")
    assert (begin["phase"], end["phase"]) == ("begin", "end")
    assert begin["points"] + end["points"] == lost


async def test_a_loss_is_told_once_however_often_the_daemon_starts(
    tmp_path: Path, hand: HandTime
) -> None:
    for _ in range(3):
        async with healthy(tmp_path) as (recorder, health, _):
            await live(recorder, health, hand, seconds=20)
    assert changes(tmp_path, "store-losing") == ["raised"]
    assert [body["phase"] for body in bodies(tmp_path, "loss")] == ["begin"]


class Dropping:
    """A line whose server drops values."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dropped = 0

    async def hold(self, held: object) -> None:
        raise AssertionError(held)

    def visit(self, source: int) -> None:
        raise AssertionError(source)


async def test_values_that_a_server_drops_are_told_and_counted_by_line(
    tmp_path: Path, hand: HandTime
) -> None:
    one, other = Dropping("one"), Dropping("other")
    async with healthy(tmp_path, quota=100 * QUOTA, lines=[one, other]) as (recorder, health, _):
        await live(recorder, health, hand, seconds=2)
        assert changes(tmp_path, "values-dropped") == []
        one.dropped += 3
        await live(recorder, health, hand, seconds=1)
        one.dropped += 4
        await live(recorder, health, hand, seconds=70)
        [*_, blob] = await recorder.store.telemetry(0, 2**20)
    assert changes(tmp_path, "values-dropped") == ["raised", "returned"]
    assert bodies(tmp_path, "loss") == [
        {"phase": "begin", "values": 3},
        {"phase": "end", "values": 4},
    ]
    assert {event.subject for event in events(tmp_path, "loss")} == {"line/one"}
    assert b"values_dropped=7i" in gzip.decompress(blob.body)


@pytest.mark.usefixtures("hand")
async def test_a_damaged_record_is_told_until_the_next_start(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 1000)
    for _ in range(2):
        async with healthy(tmp_path) as (recorder, health, _):
            health.look()
            await recorder.commit()
    assert changes(tmp_path, "store-damaged") == ["raised", "returned"]
    assert len(bodies(tmp_path, "store")) == 1


async def test_points_that_the_database_refuses_for_good_are_told(
    tmp_path: Path, hand: HandTime
) -> None:
    async with healthy(tmp_path, quota=10 * QUOTA) as (recorder, health, _):
        await live(recorder, health, hand, seconds=1)
        await recorder.store.dead_letter("influxdb", b"incubator co2=1 7", "field type conflict")
        await live(recorder, health, hand, seconds=70)
    assert changes(tmp_path, "points-refused") == ["raised", "returned"]


async def test_a_sign_of_trouble_becomes_its_alarm_when_it_has_held_for_so_long(
    tmp_path: Path, hand: HandTime
) -> None:
    unset = [True]
    async with healthy(tmp_path) as (recorder, _, outage):
        desk = Desk(recorder, Grid(recorder.clock), [], [outage])
        signs = {"clock-unsynchronised": lambda: unset[0]}
        health = Health(recorder, desk, [], [outage], signs)
        for seconds in (0, 15 * 60 - 1, 1):
            await recorder.commit()
            assert changes(tmp_path, "clock-unsynchronised") == []
            hand.pass_(seconds)
            health.look()
        unset[0] = False
        health.look()
        await recorder.commit()
    assert changes(tmp_path, "clock-unsynchronised") == ["raised", "returned"]


@pytest.mark.parametrize(
    ("disk", "alarm"),
    [
        (Disk(free=5 * GIB, size=100 * GIB, full=True), "disk-full"),
        (Disk(free=3 * GIB, size=100 * GIB), "disk-filling"),
        (Disk(free=50 * GIB, size=100 * GIB, names=9_999, all_names=10**6), "disk-filling"),
    ],
)
async def test_little_room_and_none_are_told_until_there_is_some(
    tmp_path: Path, hand: HandTime, monkeypatch: pytest.MonkeyPatch, disk: Disk, alarm: str
) -> None:
    looked = [disk]

    async def look(_: Store) -> Disk:
        return looked[-1]

    monkeypatch.setattr(Store, "look_at_disk", look)
    async with healthy(tmp_path) as (recorder, health, _):
        await live(recorder, health, hand, seconds=2)
        looked.append(Disk(free=50 * GIB, size=100 * GIB))
        await live(recorder, health, hand, seconds=61)
    assert changes(tmp_path, alarm) == ["raised", "returned"]
    [other] = {"disk-full", "disk-filling"} - {alarm}
    assert changes(tmp_path, other) == []


async def test_how_long_certificates_last_stands_beside_it(tmp_path: Path, hand: HandTime) -> None:
    certificates = Certificates([])
    certificates.expiries = {"mqtt": hand.wall // 10**9 + 3 * 86_400, "opcua": 2**40}
    async with healthy(tmp_path) as (recorder, _, outage):
        desk = Desk(recorder, Grid(recorder.clock), [], [outage])
        await Health(recorder, desk, [], [outage], certificates=certificates).tell()
        await recorder.commit()
        [*_, blob] = await recorder.store.telemetry(0, 2**20)
    point = gzip.decompress(blob.body)
    assert b",certificate_days=3i" in point
    assert b",clock_ahead_ms=0" in point
    assert b",scans_missed=0i" in point


async def test_a_database_that_is_away_is_told_after_a_minute(
    tmp_path: Path, hand: HandTime
) -> None:
    async with healthy(tmp_path) as (recorder, health, outage):
        outage.lost("no answer")
        for seconds in (0, 59, 1):
            await recorder.commit()
            assert changes(tmp_path, "sink-influxdb") == []
            hand.pass_(seconds)
            health.look()
        await recorder.commit()
    assert changes(tmp_path, "sink-influxdb") == ["raised"]


async def test_how_the_gateway_is_stands_among_the_readings(tmp_path: Path, hand: HandTime) -> None:
    async with healthy(tmp_path) as (recorder, health, _):
        recorder.accept(scan(hand.now, 6.5))
        await recorder.commit()
        head, before = recorder.store.last.head, len(await recorder.store.telemetry(0, 2**20))
        await health.tell()
        await health.tell()
        await recorder.commit()
        [blob] = (await recorder.store.telemetry(0, 2**20))[before:]
        first, second = gzip.decompress(blob.body).decode().splitlines()
        assert recorder.store.last.scan == 1, "it is no scan"
    assert first.startswith("gateway,gateway=gw-1,site=les-ulis version=")
    assert f'head="{head}"' in first
    for field in ("last_scan=1i", "last_seq=1i", "readings_good=1i", "influxdb_up=true"):
        assert f",{field}" in first
    assert int(second.rpartition(" ")[2]) == int(first.rpartition(" ")[2]) + 1, "strictly later"
    assert len(times(tmp_path, "incubator-7")) == 1, "and no reading"
    assert json.loads(events(tmp_path, "start")[0].body)["away"] == "first start"


async def test_what_the_disk_has_changed_is_told_and_counted(
    tmp_path: Path, hand: HandTime
) -> None:
    async with healthy(tmp_path, quota=1000 * QUOTA) as (recorder, health, _):
        await live(recorder, health, hand, seconds=3)
        with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
            other.execute("UPDATE blob SET body = zeroblob(9) WHERE id = 2")
        await recorder.store.telemetry(0, 2**20)
        await live(recorder, health, hand, seconds=70)
    assert changes(tmp_path, "store-spoilt") == ["raised", "returned"]
    assert bodies(tmp_path, "loss") == [
        {"phase": "begin", "entries": 1},
        {"phase": "end", "entries": 0},
    ]


async def test_what_is_found_spoilt_as_the_record_is_opened_is_told_and_only_then(
    tmp_path: Path, hand: HandTime
) -> None:
    async with healthy(tmp_path, quota=1000 * QUOTA) as (recorder, health, _):
        recorder.accept(scan(hand.now, 9.0))
        await live(recorder, health, hand, seconds=3)
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        assert other.execute("UPDATE facts SET snapshot = snapshot || ' '").rowcount
    for _ in range(2):
        async with healthy(tmp_path, quota=1000 * QUOTA) as (recorder, health, _):
            await live(recorder, health, hand, seconds=70)
    assert changes(tmp_path, "store-spoilt") == ["raised", "returned"]
    assert bodies(tmp_path, "loss")[0]["phase"] == "begin"
