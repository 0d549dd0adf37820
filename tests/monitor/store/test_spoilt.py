"""What the disk changes after it was written is noticed when it is read: not used, and told."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from monitor.store import Blob, Store
from tests.monitor.store.support import QUOTA, event, tick_of

GROUPS = [("incubator-0",)]


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store of five ticks, a blob, an event and a fact each."""
    path = tmp_path / "cytowatch.db"
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups(GROUPS)
        for number in range(1, 6):
            tick = tick_of(groups, 4 * number - 3)
            tick.events = [event(number, seq=number)]
            tick.facts = {f"incubator-0/co2/rule-{number}": "{}"}
            await store.commit(tick)
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(statement)


def lines(blob: Blob) -> list[bytes]:
    return zlib.decompress(blob.body, 31).splitlines()


@pytest.mark.parametrize("blob", [1, 3, 5])
async def test_readings_that_changed_are_not_delivered_and_hold_up_nothing(
    path: Path, blob: int
) -> None:
    change(path, f"UPDATE blob SET body = zeroblob(length(body)) WHERE id = {blob}")  # noqa: S608 - our own text
    for _ in range(2):
        async with Store.open(path, quota=QUOTA) as store:
            blobs = await store.telemetry(0, 2**20)
            assert [each.id for each in blobs] == [1, 2, 3, 4, 5]
            assert [len(lines(each)) for each in blobs] == [
                0 if n == blob else 4 for n in range(1, 6)
            ]
            assert [each.lines for each in blobs] == [0 if n == blob else 4 for n in range(1, 6)]
            await store.telemetry(0, 2**20)
            assert store.spoilt == (await store.status()).spoilt == 1
            store.confirm("influxdb", "telemetry", 5)


@pytest.mark.parametrize(
    "spoil",
    [
        """body = '{"number":8}'""",
        "at = at + 1",
        "subject = CAST(x'ff00ff' AS TEXT)",
        "kind = 'act'",
        "seq = 77",
    ],
)
async def test_an_event_that_changed_is_not_told_as_what_it_says(path: Path, spoil: str) -> None:
    change(path, f"UPDATE event SET {spoil} WHERE number = 3")  # noqa: S608 - our own text
    async with Store.open(path, quota=QUOTA) as store:
        told = await store.events(0, 10)
        assert [each.number for each in told] == [1, 2, 3, 4, 5]
        assert [each.kind for each in told] == ["alarm", "alarm", "spoilt", "alarm", "alarm"]
        assert (told[2].subject, told[2].body, told[2].seq) == ("", "{}", None)
        assert [each.number for each in await store.events_by_seq(1, 5)] == [1, 2, 4, 5]
        assert [each.number for each in await store.earlier("alarm", 5, 9)] == [4, 2, 1]
        assert store.spoilt == 1


async def test_where_an_alarm_stood_is_judged_anew_when_it_cannot_be_believed(path: Path) -> None:
    change(path, "UPDATE facts SET snapshot = '{' WHERE name LIKE '%rule-2'")
    async with Store.open(path, quota=QUOTA) as store:
        assert [name[-1] for name in store.facts] == ["1", "3", "4", "5"]
        assert store.spoilt == 1
    async with Store.open(path, quota=QUOTA) as store:
        assert (len(store.facts), store.spoilt) == (4, 1)
