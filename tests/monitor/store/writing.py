"""A process of fixed length that writes to a store, and prints what was acknowledged.

``python writing.py PHASE FILE`` with one of the phases of a store's life; the same calls to the
system in each run, so that it can be killed at any of them, and the power lost after any. The rest
of a phase is prepared, and what must be so after it is in ``promises``.
"""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from monitor.store import database as module
from monitor.store import room, schema
from monitor.store.backup import copy
from monitor.store.compact import compact
from monitor.store.database import Cursors, Database
from monitor.store.tick import Tick
from tests.monitor.store import promises
from tests.monitor.store.archives import archived
from tests.monitor.store.promises import ALARM, BEFORE, SPOILT, archive_of, backup_of, original_of
from tests.monitor.store.support import QUOTA, event, tick_of

GROUPS = [("incubator-0",), ("incubator-1",)]
TICKS = 8
"""Ticks that a phase commits."""
ROUNDS = 3
"""Of acts."""
LITTLE = 1500
"""Bytes of readings, some four ticks: more must leave."""
BALLAST = 2**16
FULL = "inject=pwrite64:error=ENOSPC:when=70..71"
"""In the middle of a phase."""


def write(path: Path, quota: int, ticks: int) -> None:
    """Open it, commit ticks, each with an event, readings, a fact and a cursor, and close it."""
    module.CHECKPOINT_COMMITS = 3
    room.BALLAST = BALLAST
    database = Database(path, quota)
    acknowledge(database.ends.event)
    groups = database.groups(GROUPS)
    for _ in range(ticks):
        database.look_at_disk()
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
    """Not even the folder."""
    path.parent.parent.mkdir()


def prepare(path: Path) -> None:
    """A store with readings that left and readings that stay."""
    path.parent.mkdir(parents=True)
    begin(path, LITTLE, 1, BEFORE).close()


def begin(path: Path, quota: int, first: int, last: int) -> Database:
    """Commit those ticks, and leave it open."""
    database = Database(path, quota)
    groups = database.groups(GROUPS)
    for number in range(first, last + 1):
        tick = tick_of(groups, 4 * number - 3)
        tick.events = [event(number, seq=number)]
        tick.facts = {ALARM: f'{{"version":{number}}}'}
        database.commit(tick, {("mqtt", "events"): number - 1} if number > 1 else {}, None)
    return database


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


def prepare_killed(path: Path) -> None:
    """One with room that nobody uses amid it, whose daemon was killed: a tick is in its log."""
    path.parent.mkdir(parents=True)
    begin(path, QUOTA, 1, 0).close()
    execute(path, "CREATE TABLE room AS SELECT zeroblob(50000) AS body")
    begin(path, QUOTA, 1, BEFORE - 1).close()
    execute(path, "DROP TABLE room")
    database, other = begin(path, QUOTA, BEFORE, BEFORE), path.parent.with_name("other")
    shutil.copytree(path.parent, other)
    database.close()
    shutil.rmtree(path.parent)
    other.rename(path.parent)


def prepare_copy(path: Path) -> None:
    """A backup that was put in the place of the store."""
    prepare(path)
    with closing(schema.connect(path)) as db:
        original_of(path).write_text(str(schema.read_meta(db, "store_id")))
        schema.mark_copy(db)


def prepare_foreign(path: Path) -> None:
    """One that is no store any more, with a log that is whole."""
    prepare_killed(path)
    with path.open("r+b") as file:
        file.write(b"noise" * 20)


def prepare_spoilt(path: Path) -> None:
    """One of which the disk changed some readings and a fact."""
    prepare(path)
    execute(
        path,
        "UPDATE blob SET body = zeroblob(length(body)) WHERE id = (SELECT max(id) FROM blob)",
        "UPDATE facts SET crc = 1",
    )


def act(path: Path) -> None:
    """Each small transaction that a store knows, in rounds."""
    database = Database(path, QUOTA)
    acts = [each for number in range(1, ROUNDS + 1) for each in acts_of(database, number)]
    for done, each in enumerate(acts, 1):
        each()
        acknowledge(done)
    database.close()


def acts_of(database: Database, number: int) -> Iterator[Callable[[], object]]:
    """The acts of a round, in the order of ``promises.picture_after``."""
    text = f"site: {number}"
    tick = Tick(
        events=[event(number, kind="act")],
        replies={f"request-{number}": "{}"},
        config=(sha256(text.encode()).hexdigest(), text),
    )
    yield partial(database.commit, tick, {}, None)
    yield partial(database.add_dead_letter, "influxdb", b"co2 5.0 %d" % number, "no")
    yield partial(database.confirm, {("influxdb", "events"): number})
    yield partial(database.end_dead_letter, number - 1)
    yield partial(database.groups, [(f"room-{number}",)])


def run_compact(path: Path) -> None:
    compact(path)
    acknowledge(BEFORE)


def run_backup(path: Path) -> None:
    """While the store is in use, which goes on."""
    database = Database(path, QUOTA)
    copy(path, backup_of(path))
    acknowledge(BEFORE)
    database.close()
    write(path, QUOTA, 1)


def run_archive(path: Path) -> None:
    """While the store is in use."""
    database = Database(path, QUOTA)
    archived(path, archive_of(path))
    acknowledge(BEFORE)
    database.close()


def read_spoilt(path: Path) -> None:
    database = Database(path, QUOTA)
    database.telemetry(0, QUOTA)
    database.facts()
    acknowledge(SPOILT)
    database.close()


RESTARTED = "restarted"


class Phase(NamedTuple):
    """A part of a store's life."""

    prepare: Callable[[Path], None]
    run: Callable[[Path], None]
    check: Callable[[Path, Sequence[int]], None]
    """What must be so, by what it said was done."""
    fault: str = ""
    """What strace is to do to it meanwhile."""
    again: Callable[[Path, Sequence[int]], None] | None = promises.prepared
    """What must be so when it was killed and a daemon goes on, as in ``RESTARTED``."""


PHASES: Mapping[str, Phase] = {
    "new": Phase(
        nothing, partial(write, quota=LITTLE, ticks=TICKS), promises.new, again=promises.new
    ),
    RESTARTED: Phase(prepare_killed, partial(write, quota=QUOTA, ticks=2), promises.prepared),
    "migrated": Phase(prepare_earlier, partial(write, quota=LITTLE, ticks=2), promises.prepared),
    "salvaged": Phase(
        prepare_damaged,
        partial(write, quota=QUOTA, ticks=2),
        promises.salvaged,
        again=promises.salvaged,
    ),
    "foreign": Phase(
        prepare_foreign,
        partial(write, quota=QUOTA, ticks=2),
        promises.new_though_foreign,
        again=promises.new_though_foreign,
    ),
    "compacted": Phase(prepare_killed, run_compact, promises.compacted),
    "copied": Phase(prepare_killed, run_backup, promises.backed_up),
    "put-to-work": Phase(
        prepare_copy,
        partial(write, quota=QUOTA, ticks=1),
        promises.put_to_work,
        again=promises.put_to_work,
    ),
    "archived": Phase(prepare_killed, run_archive, promises.archived),
    "acts": Phase(nothing, act, promises.acts, again=None),
    "spoilt": Phase(prepare_spoilt, read_spoilt, promises.spoilt, again=None),
    "full": Phase(prepare, partial(write, quota=QUOTA, ticks=TICKS), promises.prepared, FULL),
}

if __name__ == "__main__":
    PHASES[sys.argv[1]].run(Path(sys.argv[2]))
