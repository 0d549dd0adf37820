"""A process of fixed length that writes to a store, and prints what was acknowledged.

``python writing.py PHASE FILE`` with one of the phases of a store's life; the same calls to the
system in each run, so that it can be killed at any of them. The rest of a phase is prepared, and
what must be so after it is held against the file, by the functions beside it.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from monitor.store import database as module
from monitor.store.compact import compact
from monitor.store.database import Cursors, Database
from monitor.store.reader import Reader
from monitor.store.verify import verify
from tests.monitor.store.support import QUOTA, event, tick_of

GROUPS = [("incubator-0",), ("incubator-1",)]
ALARM = "incubator-0/co2/high"
BEFORE = 6
"""Ticks that a file has which was prepared."""
TICKS = 8
"""Ticks that a phase commits."""
LITTLE = 1500
"""Bytes of readings, some four ticks: more must leave."""


def write(path: Path, quota: int, ticks: int) -> None:
    """Open it, commit ticks, each with an event, readings, a fact and a cursor, and close it."""
    module.CHECKPOINT_COMMITS = 3
    database = Database(path, quota)
    acknowledge(database.ends.event)
    database.look_at_disk()
    groups = database.groups(GROUPS)
    for _ in range(ticks):
        number = database.ends.event + 1
        tick = tick_of(groups, database.ends.scan + 1)
        kind = "store" if database.salvaged else "alarm"
        seq = None if database.salvaged else database.ends.seq + 1
        tick.events = [event(number, seq=seq, kind=kind)]
        tick.facts = {ALARM: f'{{"version":{number}}}'}
        cursors: Cursors = {("mqtt", "events"): number - 1} if number > 1 else {}
        database.commit(tick, cursors, None)
        acknowledge(number)
        database.tidy()
    database.close()


def acknowledge(number: int) -> None:
    os.write(1, f"{number}\n".encode())


def nothing(path: Path) -> None:
    path.parent.mkdir(parents=True)


def prepare(path: Path) -> None:
    """A store with readings that left and readings that stay."""
    path.parent.mkdir(parents=True)
    database = Database(path, LITTLE)
    groups = database.groups(GROUPS)
    for number in range(1, BEFORE + 1):
        tick = tick_of(groups, 4 * number - 3)
        tick.events = [event(number, seq=number)]
        tick.facts = {ALARM: f'{{"version":{number}}}'}
        database.commit(tick, {("mqtt", "events"): number - 1}, None)
    database.close()


def prepare_earlier(path: Path) -> None:
    """One as the first release wrote it."""
    prepare(path)
    execute(
        path,
        "DROP TABLE quarantine",
        "ALTER TABLE event DROP COLUMN crc",
        "CREATE TABLE old (name TEXT PRIMARY KEY, snapshot TEXT NOT NULL) WITHOUT ROWID",
        "INSERT INTO old SELECT name, snapshot FROM facts",
        "DROP TABLE facts",
        "ALTER TABLE old RENAME TO facts",
        "UPDATE meta SET value = '1' WHERE key = 'schema'",
    )


def prepare_damaged(path: Path) -> None:
    """One that lacks a table, and so is moved aside and salvaged."""
    prepare(path)
    execute(path, "DROP TABLE reply")


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def check(path: Path, acknowledged: int) -> None:
    """Open what is left: nothing acknowledged is missing, nothing doubled, nothing half."""
    database = Database(path, QUOTA)
    ends, facts, cursors = database.ends, database.facts(), database.cursors()
    numbers = [each.number for each in database.events(0, 10**6)]
    blobs = database.telemetry(0, 2**30)
    spoilt = database.spoilt
    database.close()
    verdict = verify(path)
    assert verdict.whole, verdict
    assert spoilt == 0
    assert acknowledged <= ends.event <= acknowledged + 1
    assert numbers == list(range(1, ends.event + 1))
    assert ends.scan == 4 * ends.event
    assert [blob.id for blob in blobs] == list(range(ends.gone.id + 1, ends.blob + 1))
    with Reader(path) as reader:
        scans = [point.scan for point in reader.readings(0, 2**62)]
    assert scans == sorted(set(scans))
    missing = set(range(scans[0] if scans else 1, ends.scan + 1)) - set(scans)
    assert not missing or max(missing) <= scans[0] + 3, "of one tick the other group left already"
    assert facts == ({ALARM: f'{{"version":{ends.event}}}'} if ends.event else {})
    assert cursors == ({("mqtt", "events"): ends.event - 1} if ends.event > 1 else {})
    left = {each.name.removeprefix(path.name) for each in path.parent.iterdir()}
    assert {name for name in left if "corrupt" not in name} <= TIDY, left


TIDY = {"", "-wal", "-shm", "cytowatch.lock", "cytowatch.ballast"}
"""Of what is left, what may be: drafts and notes of a step that was cut off are done with."""


class Phase(NamedTuple):
    """A part of a store's life."""

    prepare: Callable[[Path], None]
    acknowledged: int
    """Ticks that are on the disk before it begins."""
    run: Callable[[Path], None]


def run_compact(path: Path) -> None:
    compact(path)
    acknowledge(BEFORE)


PHASES: Mapping[str, Phase] = {
    "new": Phase(nothing, 0, lambda path: write(path, LITTLE, TICKS)),
    "migrated": Phase(prepare_earlier, BEFORE, lambda path: write(path, LITTLE, 2)),
    "salvaged": Phase(prepare_damaged, BEFORE, lambda path: write(path, QUOTA, 2)),
    "compacted": Phase(prepare, BEFORE, run_compact),
}

if __name__ == "__main__":
    PHASES[sys.argv[1]].run(Path(sys.argv[2]))
