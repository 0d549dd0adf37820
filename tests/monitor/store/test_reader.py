from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.store import Store, StoreError, Tick, reader
from monitor.store.points import Point
from monitor.store.reader import Reader
from tests.monitor.store.support import NOON, QUOTA, SECOND, event, tick_of

TENTH = SECOND // 10


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BLOBS", 3)
    monkeypatch.setattr(reader, "EVENTS", 3)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Ten ticks of four scans, a tenth of a second apart, dealt to two incubators in turn."""
    path = tmp_path / "cytowatch.db"
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",), ("incubator-1",)])
        for number in range(10):
            tick = tick_of(groups, 1 + 4 * number)
            tick.events = [event(number + 1, at=NOON + number * SECOND)]
            await store.commit(tick)
    return path


def scans(points: Iterator[Point]) -> list[int]:
    return [point.scan for point in points]


def test_all_readings_come_in_the_order_of_their_scans(path: Path) -> None:
    with Reader(path) as record:
        points = list(record.readings(0, 2**62))
    assert scans(iter(points)) == list(range(1, 41))
    assert [point.time for point in points] == [NOON + n * TENTH for n in range(1, 41)]
    assert {(point.channel, point.equipment) for point in points} == {
        ("co2", "incubator-0"),
        ("co2", "incubator-1"),
    }


@pytest.mark.parametrize("first", [0, 1, 7, 40, 41])
@pytest.mark.parametrize("last", [0, 1, 2, 23, 41])
def test_a_span_begins_with_its_start_and_stops_before_its_end(
    path: Path, first: int, last: int
) -> None:
    with Reader(path) as record:
        found = scans(record.readings(NOON + first * TENTH, NOON + last * TENTH))
    assert found == list(range(max(first, 1), min(last, 41)))


def test_readings_of_one_equipment(path: Path) -> None:
    with Reader(path) as record:
        assert scans(record.readings(0, 2**62, "incubator-1")) == list(range(1, 41, 2))
        assert scans(record.readings(0, 2**62, "incubator-7")) == []


def test_events_of_a_span_come_in_the_order_of_their_numbers(path: Path) -> None:
    with Reader(path) as record:
        assert [e.number for e in record.events(0, 2**62)] == list(range(1, 11))
        assert [e.number for e in record.events(NOON + SECOND, NOON + 5 * SECOND)] == [2, 3, 4, 5]
        assert list(record.events(0, NOON)) == []


async def test_a_store_in_use_is_read_as_far_as_it_is_committed(path: Path) -> None:
    async with Store.open(path, quota=QUOTA) as store:
        with Reader(path) as record:
            events = record.events(0, 2**62)
            assert next(events).number == 1
            await store.commit(Tick(events=[event(11, at=NOON + 20 * SECOND)]))
            assert [e.number for e in events] == list(range(2, 11))
            assert [e.number for e in record.events(NOON + 15 * SECOND, 2**62)] == [11]


async def test_readings_that_leave_meanwhile_are_passed_over(path: Path) -> None:
    async with Store.open(path, quota=1) as store:
        with Reader(path) as record:
            points = record.readings(0, 2**62)
            assert next(points).scan == 1
            groups = await store.groups([("incubator-0",)])
            await store.commit(tick_of(groups, 41))
            rest = scans(points)
    assert rest == sorted(rest)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        Reader(tmp_path / "none.db")
