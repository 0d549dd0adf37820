"""A store that is rewritten is the same store, and no more room is taken than it needs."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from monitor.store import Store, StoreError
from monitor.store.compact import compact
from monitor.store.verify import verify
from tests.monitor.store.support import QUOTA, event, tick_of

LITTLE = 4000


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store most of whose readings have left."""
    path = tmp_path / "cytowatch.db"
    async with Store.open(path, quota=QUOTA) as store:
        groups = await store.groups([("incubator-0",)])
        for number in range(1, 101):
            tick = tick_of(groups, 4 * number - 3, width=50)
            tick.events = [event(number, seq=number)]
            await store.commit(tick)
    async with Store.open(path, quota=LITTLE) as store:
        await store.commit(tick_of(groups, 401, width=50))
    return path


def size(path: Path) -> int:
    return path.stat().st_size


def files(path: Path) -> dict[str, bytes]:
    """What there is, but for what SQLite makes for a reader and the daemon for itself."""
    beside = {"cytowatch.db-shm", "cytowatch.db-wal", "cytowatch.lock"}
    return {
        each.name: each.read_bytes() for each in path.parent.iterdir() if each.name not in beside
    }


async def test_it_is_smaller_and_says_the_same(path: Path) -> None:
    before, bytes_before = verify(path), size(path)
    assert compact(path) == (bytes_before, size(path))
    assert size(path) < 0.7 * bytes_before
    assert verify(path) == before
    assert list(files(path)) == ["cytowatch.db"]
    async with Store.open(path, quota=LITTLE) as store:
        assert (store.store_id, store.last.event) == (before.store_id, 100)
        await store.commit(tick_of(await store.groups([("incubator-0",)]), 405))
    assert verify(path).problems == ()


async def test_a_daemon_that_runs_is_not_disturbed(path: Path) -> None:
    async with Store.open(path, quota=LITTLE):
        with pytest.raises(StoreError, match="another cytowatch"):
            compact(path)


async def test_one_that_is_not_whole_stays_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE event SET body = '{}' WHERE number = 7")
    before = files(path)
    with pytest.raises(StoreError, match=re.escape("events 7 to 7 (link 7): changed")):
        compact(path)
    assert files(path) == before


async def test_while_somebody_reads_its_log_it_stays_as_it_is(path: Path) -> None:
    async with Store.open(path, quota=LITTLE) as store:
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        await store.commit(tick_of(await store.groups([("incubator-0",)]), 405))
    try:
        with pytest.raises(StoreError, match="not compacted"):
            compact(path)
    finally:
        reader.close()
    assert verify(path).problems == ()


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        compact(tmp_path / "cytowatch.db")
