"""What must be so of a store whose phase was cut off: nothing acknowledged is missing, nothing is
doubled, nothing half. Each is given the file and what the phase said was done."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from monitor.store import schema
from monitor.store.database import Database
from monitor.store.reader import Reader
from monitor.store.unpacking import verify_archive
from monitor.store.verify import verify
from tests.monitor.store.support import QUOTA

ALARM = "incubator-0/co2/high"
BEFORE = 6
"""Ticks that a file has which was prepared."""
ACTS = 5
"""Small transactions in a round of them."""
SPOILT = 2
"""Entries that are made so."""
TIDY = {"", "-wal", "-shm", "cytowatch.lock"}
"""Of what is left, what may be: drafts and notes of a step that was cut off are done with."""
BALLAST = "cytowatch.ballast"


def new(path: Path, told: Sequence[int]) -> None:
    """Of a store that begins with nothing."""
    ticks(path, max(told, default=0))
    tidy(path)


def new_though_foreign(path: Path, told: Sequence[int]) -> None:
    """Of one that begins where something else lay."""
    ticks(path, max(told, default=0))
    tidy(path, but="corrupt")


def prepared(path: Path, told: Sequence[int]) -> None:
    """Of a store that had ``BEFORE`` ticks."""
    ticks(path, max(told, default=BEFORE))
    tidy(path)


def salvaged(path: Path, told: Sequence[int]) -> None:
    """Of one that had them, and was damaged."""
    ticks(path, max(told, default=BEFORE))
    tidy(path, but="corrupt")


def compacted(path: Path, told: Sequence[int]) -> None:
    """What was said to be compacted is."""
    if told:
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA freelist_count").fetchone() == (0,)
    prepared(path, told)


def backed_up(path: Path, told: Sequence[int]) -> None:
    """What was said to be copied is, and what bears the name of a copy is one."""
    prepared(path, told)
    copy = backup_of(path)
    assert copy.exists() or not told
    if copy.exists():
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("SELECT value FROM meta WHERE key = 'copy'").fetchone() == ("1",)
        ticks(copy, BEFORE)


def backup_of(path: Path) -> Path:
    return path.parent.parent / "backup" / "copy.db"


def put_to_work(path: Path, told: Sequence[int]) -> None:
    """A copy that is put to work has a name of its own, and is no copy any more."""
    prepared(path, told)
    with closing(schema.connect_readonly(path)) as db:
        assert schema.read_meta(db, "copy") is None
        assert schema.read_meta(db, "store_id") != original_of(path).read_text()


def original_of(path: Path) -> Path:
    """The name of the store that it is a copy of."""
    return path.parent.parent / "original"


def archived(path: Path, told: Sequence[int]) -> None:
    """The same of an archive."""
    prepared(path, told)
    archive = archive_of(path)
    assert archive.exists() or not told
    if archive.exists():
        manifest, verdict = verify_archive(archive)
        assert verdict.whole, verdict
        assert manifest.events.last == BEFORE


def archive_of(path: Path) -> Path:
    return path.parent.parent / "archive.zip"


def ticks(path: Path, acknowledged: int) -> None:
    """Open what is left of so many ticks: there may be one more."""
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
    readings(path, ends.scan)
    assert facts == ({ALARM: f'{{"version":{ends.event}}}'} if ends.event else {})
    assert cursors == ({("mqtt", "events"): ends.event - 1} if ends.event > 1 else {})


def readings(path: Path, last: int) -> None:
    """The scans up to ``last`` are there, each once, but for the oldest that left."""
    with Reader(path) as reader:
        scans = [point.scan for point in reader.readings(0, 2**62)]
    assert all(one < another for one, another in pairwise(scans))
    missing = set(range(scans[0] if scans else 1, last + 1)) - set(scans)
    assert not missing or max(missing) <= scans[0] + 3, "of one tick the other group left already"


def tidy(path: Path, *, but: str = " ") -> None:
    """Nothing is left beside it but what bears that word; and nothing was moved aside."""
    left = {each.name.removeprefix(path.name) for each in path.parent.iterdir()}
    left = {name for name in left if but not in name and not name.startswith(BALLAST)}
    assert left <= TIDY, left


def acts(path: Path, told: Sequence[int]) -> None:
    """Small transactions, each there or not, in their order."""
    done = max(told, default=0)
    Database(path, QUOTA).close()
    assert verify(path).whole
    tidy(path)
    assert picture(path) in (picture_after(done), picture_after(done + 1))


Picture = tuple[int, list[str], list[int], dict[str, int], int]
"""Events, answers, dead letters, cursors and groups."""


def picture(path: Path) -> Picture:
    with closing(schema.connect_readonly(path)) as db:
        return (
            db.execute("SELECT count(*) FROM event").fetchone()[0],
            [row[0] for row in db.execute("SELECT request_id FROM reply ORDER BY id")],
            [row[0] for row in db.execute("SELECT id FROM dead_letter ORDER BY id")],
            dict(db.execute("SELECT sink, upto FROM cursor")),
            db.execute("SELECT count(*) FROM grouping").fetchone()[0],
        )


def picture_after(acts: int) -> Picture:
    """The same after so many acts of ``writing.act``."""
    commits, letters, confirmed, ended, groups = ((acts + 4 - n) // ACTS for n in range(ACTS))
    return (
        commits,
        [f"request-{number}" for number in range(1, commits + 1)],
        list(range(max(ended, 1), letters + 1)),
        {"influxdb": confirmed} if confirmed else {},
        groups,
    )


def spoilt(path: Path, told: Sequence[int]) -> None:
    """What is spoilt is noted, each entry once, whether that was cut off or not."""
    assert list(told) in ([], [SPOILT])
    for _ in range(2):
        database = Database(path, QUOTA)
        assert database.telemetry(0, 2**30)[-1].lines == 0
        assert database.facts() == {}
        assert [each.kind for each in database.events(0, 10)] == ["alarm"] * BEFORE
        assert database.spoilt == SPOILT
        database.close()
    tidy(path)
