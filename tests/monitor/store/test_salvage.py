"""A damaged file gives way to a new store: what of it is there, what is not, and each is told."""

import json
import os
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from monitor.store import Event, Store, Tick
from monitor.store.database import Database
from monitor.store.reader import Reader
from monitor.store.salvage import Report
from monitor.store.verify import verify
from tests.monitor.store.support import NOON, QUOTA, event, tick_of

TICKS = 60
GROUPS = [("incubator-0",), ("incubator-1",)]
ALARM = "incubator-0/co2/high"
WIDE = 60
"""Lines are so much longer, so that the readings of a tick fill pages of their own."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cytowatch.db"


async def make(path: Path, *, delivered: int = 20, told: int = 40) -> None:
    """A store of ``TICKS`` ticks with an event each; blobs come in pairs, a group each."""
    async with Store.open(path, quota=QUOTA, sinks=["influxdb"]) as store:
        groups = await store.groups(GROUPS)
        for number in range(1, TICKS + 1):
            tick = tick_of(groups, 4 * number - 3, width=WIDE)
            told_of = event(number, seq=number, at=NOON + number * 10**9)
            tick.events = [told_of._replace(subject=ALARM, body=body_of(number))]
            tick.facts = {ALARM: f'{{"version":{number}}}', f"usage/incubator-{number}": "{}"}
            tick.replies = {f"request-{number}": "{}"}
            await store.commit(tick)
        await store.dead_letter("influxdb", b"a line", "no words")
        store.confirm("influxdb", "telemetry", 2 * delivered)
        store.confirm("influxdb", "events", told)


def body_of(number: int) -> str:
    """As large as an alarm event is."""
    return json.dumps({"event_id": f"before-{number}", "filling": "x" * 400})


def pages_of(path: Path, table: str, kind: str = "leaf") -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY path"
        return [number for (number,) in db.execute(query, (table, kind))]


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def spoil(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


async def taken_over(path: Path) -> tuple[Report, list[Event]]:
    """Open it, hold the new store against what must be so of any, and say what it has."""
    async with Store.open(path, quota=QUOTA, sinks=["influxdb"]) as store:
        assert store.salvaged is not None
        report, found = store.salvaged, await store.events(0, 10**6)
        assert (report.events, report.blobs) == (len(found), (await store.status()).blobs)
        assert report.alarms == len(store.facts)
        assert store.lost_lines == report.lines_lost
        assert store.cursor("influxdb", "events") == sum(number_of(e) <= 40 for e in found)
        assert store.last.seq == 0, "its own transitions are numbered from 1"
        assert [e.number for e in found] == list(range(1, len(found) + 1))
    assert verify(path).problems == ()
    return report, found


def number_of(found: Event) -> int:
    return int(json.loads(found.body)["event_id"].removeprefix("before-"))


async def undelivered(path: Path) -> list[int]:
    """The scans that are still to be delivered from the new store."""
    async with Store.open(path, quota=QUOTA, sinks=["influxdb"]) as store:
        blobs = await store.telemetry(store.cursor("influxdb", "telemetry"), 2**30)
    lines = [line for blob in blobs for line in zlib.decompress(blob.body, 31).splitlines()]
    return sorted(int(line.rpartition(b"scan=")[2].partition(b"i")[0]) for line in lines)


async def test_of_a_file_that_only_lacks_a_table_everything_else_is_taken_over(path: Path) -> None:
    await make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TABLE reply")
    report, found = await taken_over(path)
    assert report == Report(report.to, TICKS + 1, TICKS, 0, 2 * TICKS, 0, 0)
    assert [number_of(each) for each in found] == list(range(1, TICKS + 1))
    assert {each.subject for each in found} == {ALARM}
    assert await undelivered(path) == list(range(4 * 20 + 1, 4 * TICKS + 1))
    async with Store.open(path, quota=QUOTA) as store:
        assert store.facts[ALARM] == f'{{"version":{TICKS}}}'
        newest = await store.newest("alarm", ALARM)
        assert newest is not None
        assert number_of(newest) == TICKS
        assert set(store.last_seen) == {"incubator-0", "incubator-1"}
        assert (await store.status()).dead_letters == {"influxdb": 1}
    with Reader(path) as reader:
        assert len({p.scan for p in reader.readings(0, 2**62, "incubator-1")}) == 2 * TICKS


async def test_nobody_has_a_receipt_for_what_is_counted_anew(path: Path) -> None:
    """Not even where the new store has as many transitions as the old one, and more."""
    await make(path)
    async with Store.open(path, quota=QUOTA) as store:
        store.begin("scada", "receipts")
        assert store.cursor("scada", "receipts") == TICKS
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TABLE reply")
    async with Store.open(path, quota=QUOTA) as store:
        await store.commit(Tick(events=[event(TICKS + 1, seq=1), event(TICKS + 2, seq=2)]))
        store.begin("scada", "receipts")
        assert store.cursor("scada", "receipts") == 0, "it owes both"


@pytest.mark.parametrize("leaf", [0, 3, -1])
async def test_events_on_a_bad_page_are_missing_and_no_others(path: Path, leaf: int) -> None:
    await make(path)
    spoil(path, pages_of(path, "event")[leaf])
    report, found = await taken_over(path)
    missing = set(range(1, TICKS + 1)) - {number_of(each) for each in found}
    assert 0 < len(missing) < 12
    assert missing == set(range(min(missing), max(missing) + 1))
    assert report.events_lost == len(missing)
    assert report.blobs_lost == 0


async def test_readings_on_a_bad_page_are_counted_and_the_others_delivered(path: Path) -> None:
    await make(path)
    spoil(path, pages_of(path, "blob")[-2])
    report, _ = await taken_over(path)
    missing = set(range(4 * 20 + 1, 4 * TICKS + 1)) - set(await undelivered(path))
    assert missing
    assert len(missing) == 2 * report.blobs_lost


async def test_readings_that_were_changed_are_not_delivered(path: Path) -> None:
    await make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE blob SET body = zeroblob(length(body)) WHERE id = 100")
        db.execute("DROP TABLE reply")
    report, _ = await taken_over(path)
    assert (report.blobs_lost, report.lines_lost) == (1, 2)
    assert len(await undelivered(path)) == 4 * (TICKS - 20) - 2


async def test_what_was_changed_before_is_not_made_sound_by_taking_it_over(path: Path) -> None:
    await make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE event SET subject = 'another' WHERE number = 7")
        db.execute("UPDATE facts SET snapshot = '{}' WHERE name = ?", (ALARM,))
        db.execute("DROP TABLE reply")
    report, found = await taken_over(path)
    assert (report.events, report.events_lost, report.alarms) == (TICKS - 1, 1, TICKS)
    assert 7 not in {number_of(each) for each in found}


async def test_where_alarms_stood_is_read_from_both_ends_of_a_spoilt_table(path: Path) -> None:
    async with Store.open(path, quota=QUOTA) as store:
        for number in range(3):
            names = [f"incubator-{number}{each:03}/co2/high" for each in range(100)]
            tick = tick_of([], 1, scans=0)
            tick.facts = dict.fromkeys(names, json.dumps({"filling": "x" * 200}))
            await store.commit(tick)
    leaves = pages_of(path, "facts")
    spoil(path, leaves[len(leaves) // 2])
    async with Store.open(path, quota=QUOTA) as store:
        assert 270 <= len(store.facts) < 300


async def test_how_far_sinks_were_is_asked_of_nobody_when_it_is_lost(path: Path) -> None:
    """All is delivered once more: the points are the same, and the events bear their ids."""
    await make(path)
    spoil(path, pages_of(path, "cursor")[0])
    async with Store.open(path, quota=QUOTA, sinks=["influxdb"]) as store:
        assert store.cursor("influxdb", "events") == store.cursor("influxdb", "telemetry") == 0
        assert len(await store.events(0, 1000)) == TICKS


@pytest.mark.parametrize("content", [b"no database at all. " * 9999, b"", b"SQLite format 3\0"])
async def test_what_is_no_store_gives_nothing(path: Path, content: bytes) -> None:
    write(path, content)
    async with Store.open(path, quota=QUOTA) as store:
        assert (store.salvaged is None) == (not content)
        assert (store.last.event, store.facts) == (0, {})


class CutOffError(Exception):
    """The power is gone."""


async def test_wherever_it_is_cut_off_the_next_start_does_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("rename", "unlink"):
        monkeypatch.setattr(Path, name, cut_off(getattr(Path, name), calls))
    monkeypatch.setattr(os, "fsync", cut_off(os.fsync, calls))
    stop, done = 0, False
    while not done:
        stop += 1
        path = tmp_path / str(stop) / "cytowatch.db"
        calls[:] = ["-"] * 10**6
        await make(path)
        spoil(path, pages_of(path, "facts")[0])
        calls[:] = ["-"] * stop
        try:
            Database(path, QUOTA).close()
            done = True
        except CutOffError:
            pass
        calls[:] = ["-"] * 10**6
        report, _ = await taken_over(path)
        assert report.events == TICKS
        assert len(list(path.parent.glob("*.corrupt-*Z"))) == 1
        assert not list(path.parent.glob("*.salvage*")), "all is tidied up"
        assert not list(path.parent.glob("*.new*")), "all is tidied up"
    assert stop > 10, "there were that many places"


def cut_off(call: Callable[..., object], left: list[str]) -> Callable[..., object]:
    """Do ``call`` as long as there are some left, and nothing ever after."""

    def until_cut_off(*arguments: object, **named: object) -> object:
        if not left:
            raise CutOffError
        left.pop()
        return call(*arguments, **named)

    return until_cut_off
