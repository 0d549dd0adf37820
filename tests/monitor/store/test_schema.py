"""A file of an earlier version is brought up to this one, wherever that is cut off."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor.store import Store, schema
from monitor.store.database import Database
from monitor.store.verify import verify
from tests.monitor.store.support import QUOTA, event, tick_of

TO_VERSION_1 = (
    "DROP TABLE quarantine",
    "ALTER TABLE event DROP COLUMN crc",
    "CREATE TABLE old (name TEXT PRIMARY KEY, snapshot TEXT NOT NULL) WITHOUT ROWID",
    "INSERT INTO old SELECT name, snapshot FROM facts",
    "DROP TABLE facts",
    "ALTER TABLE old RENAME TO facts",
    "UPDATE meta SET value = '1' WHERE key = 'schema'",
)


def make_version_1(path: Path) -> None:
    """A store of two ticks, as the first release wrote it."""
    database = Database(path, QUOTA)
    groups = database.groups([("incubator-0",)])
    for number in (1, 2):
        tick = tick_of(groups, 4 * number - 3)
        tick.events = [event(number, seq=number)]
        tick.facts = {"a/co2/high": f'{{"version":{number}}}'}
        database.commit(tick, {}, None)
    database.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in TO_VERSION_1:
            db.execute(statement)


def columns(db: sqlite3.Connection) -> dict[str, list[Any]]:
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {
        name: db.execute(f"PRAGMA table_xinfo({name})").fetchall()
        for (name,) in tables.fetchall()
        if not name.startswith("sqlite_")
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cytowatch.db"


async def test_an_earlier_store_is_brought_up_and_goes_on(path: Path) -> None:
    make_version_1(path)
    assert verify(path).problems == ()
    async with Store.open(path, quota=QUOTA) as store:
        assert store.moved_aside is None
        assert (store.last.event, store.facts) == (2, {"a/co2/high": '{"version":2}'})
        assert [each.number for each in await store.events(0, 9)] == [1, 2]
        tick = tick_of(await store.groups([("incubator-0",)]), 9)
        tick.events = [event(3, seq=3)]
        await store.commit(tick)
    assert verify(path).problems == ()


def test_brought_up_it_is_as_one_that_was_made_anew(tmp_path: Path) -> None:
    make_version_1(tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as old:
        schema.migrate(old)
        with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as new:
            schema.create(new)
            assert columns(old) == columns(new)
            assert schema.read_meta(old, "schema") == schema.read_meta(new, "schema")


def test_there_is_a_step_from_every_version(path: Path) -> None:
    assert sorted(schema.STEPS) == list(range(1, schema.VERSION))
    assert path.parent.exists()


class Failing(sqlite3.Connection):
    """A disk that fails at some statement."""

    left = 0

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:  # type: ignore[override]
        if not sql.startswith(("SELECT", "ROLLBACK")):
            self.left -= 1
            if self.left < 0:
                raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


def test_a_step_that_fails_at_any_statement_leaves_the_earlier_version(path: Path) -> None:
    make_version_1(path)
    before = path.read_bytes()
    failures = 0
    with closing(sqlite3.connect(path, isolation_level=None, factory=Failing)) as db:
        while schema.read_meta(db, "schema") != str(schema.VERSION):
            db.left = failures
            try:
                schema.migrate(db)
            except sqlite3.OperationalError:
                failures += 1
                with closing(schema.connect_readonly(path)) as reader:
                    assert schema.read_meta(reader, "schema") == "1"
                assert path.read_bytes() == before
    assert failures > len(schema.STEPS[1])
    assert verify(path).problems == ()
