"""A file that cannot be used gives way to a new store, which takes over what can be read of it.

The old file stays as it is, under another name. Taken over are: where alarms, use and excursions
stand; the events, numbered anew (what they say of themselves, their ids above all, stays, so that
whoever had one knows it again); readings that a sink has not had and whose checksum holds; how far
each sink is; configurations, answers and dead letters. What was taken over, and what was not,
stands in the new store until an event has told it.

It may be cut off anywhere: a note beside the file says that it was begun, and the next start does
it again from there. The new store is built under a name of its own and renamed when it is whole.
"""

import hashlib
import json
import logging
import os
import sqlite3
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from monitor.store import chain, schema
from monitor.store.damaged import Damaged
from monitor.store.events import Event, checksum, checksum_of_fact
from monitor.store.own import new_own
from monitor.store.points import newest_times
from monitor.store.sync import sync

MOST_READINGS = 512 * 2**20
"""Compressed bytes of readings that are taken over at most, so that a start stays a start."""
ANYWAY = 4 * 2**20
"""The newest so many are taken over, delivered or not: they say when equipment was last seen."""
EVENTS = 500
"""Events per link of the new chain."""
log = logging.getLogger(__name__)


class Report(NamedTuple):
    """What was taken over, and what was not."""

    to: str
    """Where the old file lies."""
    alarms: int
    """Facts: where an alarm, the use of an equipment or an excursion stands."""
    events: int
    events_lost: int
    """At least: numbers that are missing among those that were found."""
    blobs: int
    blobs_lost: int
    """Blobs of readings that a sink has not had, and never will from here."""
    lines_lost: int
    """Points in those of them that could be counted."""

    @classmethod
    def read(cls, text: str) -> "Report":
        """Read what ``json.dumps(report._asdict())`` wrote."""
        return cls(**json.loads(text))


def replace(path: Path) -> None:
    """Move the file at ``path`` aside and build a new store from what can be read of it.

    Raises OSError and sqlite3.Error as the disk has it.
    """
    note = _note(path)
    draft = note.with_name(note.name + ".new")
    _write(draft, _free_name(path).name)
    draft.rename(note)
    finish(path)


def finish(path: Path) -> None:
    """Do what ``replace`` had begun, if it was cut off; from where it was."""
    note = _note(path)
    if not note.exists():
        return
    sync(path.parent)  # The note, and what a killed one had renamed, is there before all else.
    aside = path.with_name(note.read_text(encoding="utf-8"))
    if not aside.exists():
        _move(path, aside)
    if not path.exists():
        _build(path, aside)
    note.unlink()
    sync(path.parent)


def _move(path: Path, aside: Path) -> None:
    """Rename the log first: the file is what says that all of it is done.

    The old log beside the new file would spoil it.
    """
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    sync(path.parent)
    with suppress(FileNotFoundError):
        path.rename(aside)
    sync(path.parent)


def _build(path: Path, aside: Path) -> None:
    new = path.with_name(path.name + ".new")
    try:
        report = _fill(new, aside, MOST_READINGS)
    except sqlite3.Error as error:
        # The daemon is to start: on a full disk without the readings, on the worst with nothing.
        log.error("%s: not everything can be taken over: %s", aside, error)  # noqa: TRY400 - words, no stack
        try:
            report = _fill(new, aside, 0)
        except sqlite3.Error:
            report = _fill(new, None, 0, str(aside))
    log.error(
        "%s was damaged: it is %s now, and a new record begins; taken over: %d alarms and uses,"
        " %d events, %d blobs of readings; lost: %d events, %d blobs",
        *(path, aside.name, report.alarms, report.events, report.blobs),
        *(report.events_lost, report.blobs_lost),
    )
    sync(new)
    new.rename(path)
    sync(path.parent)


def _fill(new: Path, aside: Path | None, budget: int, named: str = "") -> Report:
    """Make the file ``new`` of what ``aside`` still says; nothing of it where there is none."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    _write(new, "")
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")  # One that is cut off is made anew.
        db.execute("PRAGMA journal_mode = MEMORY")
        schema.create(db)
        db.execute("BEGIN")
        report = Report(named or str(aside), 0, 0, 0, 0, 0, 0)
        if aside is not None:
            with Damaged(aside) as old:
                report = _take_over(old, db, report, budget) if old.ours else report
        db.execute("INSERT INTO meta VALUES ('salvage', ?)", (json.dumps(report._asdict()),))
        gone = json.dumps([0, chain.START.hex(), 0, report.lines_lost])
        db.execute("INSERT INTO meta VALUES ('gone', ?)", (gone,))
        db.execute("COMMIT")
    return report


def _take_over(old: Damaged, new: sqlite3.Connection, report: Report, budget: int) -> Report:
    cursors = [row for row in old.named("cursor", "sink, lane, upto") if _are(row, str, str, int)]
    told = [upto for _, lane, upto in cursors if lane == "telemetry"]
    delivered = max(min(told, default=0), _gone(old))
    last_event, last_blob = _newest(old)
    readings = _Readings(old, new)
    readings.take(delivered, budget, last_blob)
    events = _Events(new, readings)
    events.take(old)
    for sink, lane, upto in cursors:
        # Transitions are counted anew, so nobody has a receipt for one of them.
        kept = {"telemetry": readings.ids, "events": events.numbers}.get(lane, [])
        new_upto = bisect_right(kept, upto)
        new.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", (sink, lane, new_upto))
    _take_rest(old, new)
    (alarms,) = new.execute("SELECT count(*) FROM facts").fetchone()
    return report._replace(
        alarms=alarms,
        events=len(events.numbers),
        events_lost=max([last_event, *events.numbers[-1:]]) - len(events.numbers),
        blobs=len(readings.ids),
        blobs_lost=readings.lost,
        lines_lost=readings.lines_lost,
    )


class _Readings:
    """The blobs that are taken over, numbered anew, as the telemetry strand of a new chain."""

    def __init__(self, old: Damaged, new: sqlite3.Connection) -> None:
        self._old = old
        self._new = new
        self.ids: list[int] = []
        """What they were, in order."""
        self.head = chain.START
        self.at = 0
        self.lost = self.lines_lost = 0
        self._total = 0
        self._names = {
            row[0]: row[1] for row in old.numbered("grouping", "id, names") if _are(row, int, str)
        }

    def take(self, delivered: int, budget: int, last: int) -> None:
        """Take over those beyond ``delivered``, and the newest in any case: at most ``budget``.

        ``last`` is what the record said of the newest there was.
        """
        found = [
            row
            for row in self._old.numbered("blob", "id, length(body), lines")
            if _are(row, int, int, int)
        ]
        first, lines_before = self._first(found, delivered, budget)
        for row in self._old.numbered(
            "blob",
            "id, grouping, first_scan, last_scan, first_at, last_at, lines, sha256, body",
            after=first - 1,
        ):
            if _are(row, *[int] * 7, bytes, bytes) and hashlib.sha256(row[8]).digest() == row[7]:
                self._add(*row)
        newest = max([last, *(row[0] for row in found[-1:])])
        undelivered = len(self.ids) - bisect_right(self.ids, delivered)
        self.lost = max(newest - delivered, 0) - undelivered
        taken = set(self.ids)
        self.lines_lost = lines_before + sum(
            lines
            for id_, _, lines in found
            if id_ >= first and id_ > delivered and id_ not in taken
        )

    def _first(
        self, found: Sequence[tuple[int, int, int]], delivered: int, budget: int
    ) -> tuple[int, int]:
        """Return where to begin, and how many undelivered points lie before."""
        bytes_, first, lines = 0, _end(found), 0
        for id_, size, points in reversed(found):
            bytes_ += size
            if bytes_ > budget or (id_ <= delivered and bytes_ > ANYWAY):
                lines += points if id_ > delivered else 0
                budget = 0
            else:
                first = id_
        return first, lines

    def _add(  # noqa: PLR0913, PLR0917 - the columns of its row
        self,
        old_id: int,
        group: int,
        first_scan: int,
        last_scan: int,
        first_at: int,
        last_at: int,
        lines: int,
        sha256: bytes,
        body: bytes,
    ) -> None:
        names = self._names.get(group) or _equipment_in(body)
        number, span = len(self.ids) + 1, (first_scan, last_scan, first_at, last_at)
        entry = chain.BlobEntry(number, names, *span, lines, sha256)
        self.head = chain.blob_head(self.head, entry)
        self._total += len(body)
        self._new.execute("INSERT OR IGNORE INTO grouping (names) VALUES (?)", (names,))
        self._new.execute(
            "INSERT INTO blob SELECT ?, id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM grouping"
            " WHERE names = ?",
            (number, *span, lines, self._total, sha256, self.head, body, names),
        )
        self.ids.append(old_id)
        self.at = max(self.at, last_at)


class _Events:
    """The events that are taken over, numbered anew, as the record strand of a new chain."""

    def __init__(self, new: sqlite3.Connection, readings: _Readings) -> None:
        self._new = new
        self._readings = readings
        self.numbers: list[int] = []
        """What they were, in order."""

    def take(self, old: Damaged) -> None:
        """Take over every event that can be read and makes sense."""
        found = _sound(old)
        at, head, link = self._readings.at, chain.START, 0
        while some := list(islice(found, EVENTS)):
            link += 1
            added = [event for event in map(self._add, some) if event]
            at = max(at, *(event.at for event in some))
            entry = chain.LinkEntry(link, at, len(self._readings.ids), self._readings.head, None)
            head = chain.link_head(head, entry, added)
            self._new.execute(
                "INSERT INTO link (id, at, last_blob, telemetry, config, last_event, head)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*entry, len(self.numbers), head),
            )

    def _add(self, event: Event) -> Event | None:
        """It counts among those of the new store, but not among its transitions: those are new."""
        new = event._replace(number=len(self.numbers) + 1, seq=None)
        try:
            self._new.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*new, checksum(*new))
            )
        except sqlite3.IntegrityError:  # Two under one time of delivery: one of them is spoilt.
            return None
        self.numbers.append(event.number)
        return new


def _sound(old: Damaged) -> Iterator[Event]:
    columns = "number, seq, kind, at, boot, subject, body, ms"
    for *row, crc in old.numbered("event", f"{columns}, {old.crc('event')}"):
        told = _are(row[2:], str, int, int, str, str, int) and _is_object(row[6])
        if told and crc in {None, checksum(*row)}:
            yield Event(*row)


def _gone(old: Damaged) -> int:
    """Return the newest blob that had left for the quota."""
    for key, value in old.named("meta", "key, value"):
        with suppress(ValueError, TypeError, LookupError):
            if key == "gone":
                return int(json.loads(value)[0])
    return 0


def _newest(old: Damaged) -> tuple[int, int]:
    """Return the newest event and blob that the record strand speaks of."""
    spoken = [
        row[1:]
        for row in old.numbered("link", "id, last_event, last_blob")
        if _are(row, *[int] * 3)
    ]
    events, blobs = zip(*spoken, strict=True) if spoken else ((0,), (0,))
    return max(events), max(blobs)


def _take_rest(old: Damaged, new: sqlite3.Connection) -> None:
    """What is replaced as it changes, and what people may ask for."""
    for *fact, crc in old.named("facts", f"name, snapshot, {old.crc('facts')}"):
        if _are(fact, str, str) and _is_object(fact[1]):
            right = checksum_of_fact(fact[0], fact[1])
            if crc in {None, right}:
                new.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (*fact, right))
    for row in old.named("config", "digest, text"):
        if _are(row, str, str) and hashlib.sha256(row[1].encode()).hexdigest() == row[0]:
            new.execute("INSERT OR REPLACE INTO config VALUES (?, ?)", row)
    for _, *reply in old.numbered("reply", "id, request_id, body"):
        if _are(reply, str, str):
            new.execute("INSERT OR REPLACE INTO reply (request_id, body) VALUES (?, ?)", reply)
    for _, *letter in old.numbered("dead_letter", "id, sink, line, words"):
        if _are(letter, str, bytes, str):
            new.execute("INSERT INTO dead_letter (sink, line, words) VALUES (?, ?, ?)", letter)


def _end(found: Sequence[tuple[int, int, int]]) -> int:
    """Return the id after the newest that was found."""
    return found[-1][0] + 1 if found else 1


def _are(values: Sequence[object], *types: type) -> bool:
    return len(values) == len(types) and all(map(isinstance, values, types))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), Mapping)
    except ValueError:
        return False


def _equipment_in(body: bytes) -> str:
    try:
        names = sorted(newest_times(zlib.decompress(body, wbits=31)))
    except zlib.error:
        names = []
    return json.dumps(names, separators=(",", ":"))


def _free_name(path: Path) -> Path:
    """Return a name that says when the file was last written."""
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    name = f"{path.name}.corrupt-{written:%Y%m%dT%H%M%SZ}"
    aside = path.with_name(name)
    count = 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{name}-{count}")
    return aside


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".salvage")


def _write(path: Path, text: str) -> None:
    descriptor = new_own(path)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
