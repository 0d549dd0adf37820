"""Taking an archive out of a store: piece by piece, while the daemon goes on writing to it.

Which links and readings belong to it is settled first; these never change any more. Each slice is
a statement of its own, as in ``reader``, so that no long snapshot keeps the log from being carried
over. Readings may leave for the quota meanwhile: so they are read first.

A time cuts each strand before the first entry of that time or later, and no readings off that the
links before the cut speak of. Archives that end and begin at one time therefore adjoin, whatever
the clock did. Links are never cut: what was committed together is there together, as only so the
chain can be computed.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from monitor.store import archive, chain, schema
from monitor.store.archive import Piece, Plan, Range, Taken, Wanted
from monitor.store.errors import StoreError
from monitor.store.events import checksum
from monitor.store.strands import START, Place
from monitor.store.verify import read_gone

SLICE_BYTES = 2**20
"""Of readings that are held at once, and at least one blob."""
ROWS = 500
FILE_BYTES = 16 * 2**20
"""Of readings that are joined to one file."""
FILE_BLOBS = 10_000
ABOUT = 600
"""Bytes that a row is counted as, beside readings, where room is looked for."""


class _Bounds(NamedTuple):
    links: Range
    events: Range
    blobs: Range
    record: bytes
    """The record strand's head before."""


def take(db: sqlite3.Connection, path: Path, wanted: Wanted) -> Iterator[Plan | Piece | Taken]:
    """Give the plan, then all pieces, and what it was in the end.

    Raises StoreError when there is nothing of it, or readings left while they were waited for;
    sqlite3.Error as the disk has it.
    """
    bounds = _bounds(db, path, wanted)
    names = dict(db.execute("SELECT id, names FROM grouping"))
    yield Plan(_about(db, bounds), path)
    readings = _Readings(db, path, names, bounds.blobs)
    yield from readings.pieces()
    record = _Record(db, bounds)
    yield from record.pieces()
    yield Piece(archive.SPOILT, archive.joined([*readings.spoilt, *record.spoilt]))
    before, last = readings.before, readings.last
    yield Taken(
        store_id=schema.read_meta(db, "store_id") or "",
        links=bounds.links,
        events=bounds.events,
        readings=Range(first=before.number + 1, last=last.number),
        before=chain.whole(bounds.links.first - 1, bounds.record, *before),
        after=chain.whole(bounds.links.last, record.head, *last),
        spoilt=len(readings.spoilt) + len(record.spoilt),
        place=readings.place,
    )


def _bounds(db: sqlite3.Connection, path: Path, wanted: Wanted) -> _Bounds:
    with _at_one_moment(db):  # Both strands.
        first, last = _links(db, wanted)
        spoken = "SELECT last_event, last_blob, head FROM link WHERE id = ?"
        before = _row(db, spoken, first - 1) or (0, 0, chain.START)
        last_event, last_blob, _ = _row(db, spoken, last) or before
        blobs = _blobs(db, wanted, before[1], last_blob)
    links = Range(first=first, last=last)
    if not links.count and not blobs.count:
        raise StoreError(f"{path}: nothing was recorded in that span")
    return _Bounds(links, Range(first=before[0] + 1, last=last_event), blobs, before[2])


@contextmanager
def _at_one_moment(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def _links(db: sqlite3.Connection, wanted: Wanted) -> tuple[int, int]:
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM link").fetchone()
    first = 1
    if wanted.start is not None:
        first = _cut(db, "SELECT min(id) FROM link WHERE at >= ?", wanted.start, newest + 1)
    elif wanted.first is not None:
        first = _cut(db, "SELECT min(id) FROM link WHERE last_event >= ?", wanted.first, newest + 1)
    last = newest
    if wanted.end is not None:
        last = _cut(db, "SELECT min(id) FROM link WHERE at >= ?", wanted.end, newest + 1) - 1
    elif wanted.last is not None:
        last = _cut(db, "SELECT min(id) FROM link WHERE last_event >= ?", wanted.last, newest)
    return first, max(last, first - 1)


def _blobs(db: sqlite3.Connection, wanted: Wanted, before: int, spoken_of: int) -> Range:
    """By time each blob has its own; by numbers of events they are those that the links bind."""
    gone = read_gone(db)
    (newest,) = db.execute("SELECT coalesce(max(id), ?) FROM blob", (gone.number,)).fetchone()
    # Left to itself, SQLite would go through all of the file.
    by_time = "SELECT min(id) FROM blob INDEXED BY blob_by_time WHERE last_at >= ?"
    first, last = 1, newest
    if wanted.start is not None:
        first = max(_cut(db, by_time, wanted.start, newest + 1), before + 1)
    elif wanted.first is not None:
        first = before + 1
    if wanted.end is not None:
        last = max(_cut(db, by_time, wanted.end, newest + 1) - 1, spoken_of)
    elif wanted.last is not None:
        last = spoken_of
    first = max(first, gone.number + 1)
    return Range(first=first, last=max(last, first - 1))


def _cut(db: sqlite3.Connection, query: str, value: int, otherwise: int) -> int:
    (found,) = db.execute(query, (value,)).fetchone()
    return otherwise if found is None else int(found)


def _about(db: sqlite3.Connection, bounds: _Bounds) -> int:
    sizes = "SELECT total FROM blob WHERE id <= ? ORDER BY id DESC LIMIT 1"
    last, first = _row(db, sizes, bounds.blobs.last), _row(db, sizes, bounds.blobs.first - 1)
    (gone,) = json.loads(schema.read_meta(db, "gone") or "[0, 0, 0]")[2:3]
    rows = bounds.links.count + bounds.events.count + bounds.blobs.count
    readings = (last or (gone,))[0] - (first or (gone,))[0] if bounds.blobs.count else 0
    return ABOUT * rows + max(readings, 0)


class _Readings:
    """The telemetry strand: files of joined gzip members, each with its index."""

    def __init__(
        self, db: sqlite3.Connection, path: Path, names: dict[int, str], blobs: Range
    ) -> None:
        self._db = db
        self._path = path
        self._names = names
        self._blobs = blobs
        self.before = self.last = START
        self.spoilt: list[dict[str, object]] = []
        self._newest = b""
        self._file = 0

    @property
    def place(self) -> tuple[str, str]:
        """Site and gateway, by the newest; empty where there are none that say them."""
        return archive.place_of(self._newest)

    def pieces(self) -> Iterator[Piece]:
        """Give them; ``before`` and ``last`` say which there were."""
        after = self._blobs.first - 1
        rows = self._begin(after)
        while rows:
            index: list[dict[str, object]] = []
            odd: list[Piece] = []
            self._file += 1
            file, size = archive.readings_file(self._file), 0
            while rows and size < FILE_BYTES and len(index) < FILE_BLOBS:
                for row in rows:
                    yield from self._add(file, row, index, odd)
                    size += len(row[-1])
                rows = self._next(self.last.number)
            yield Piece(archive.index_file(file), archive.joined(index))
            yield from odd

    def _begin(self, after: int) -> Sequence[tuple[Any, ...]]:
        """Find where to begin, and begin at once: the oldest may be just about to leave."""
        with _at_one_moment(self._db):
            gone = read_gone(self._db)
            after = max(after, gone.number)
            head = _row(self._db, "SELECT head FROM blob WHERE id = ?", after)
            self.before = self.last = Place(after, head[0]) if head else gone
            return self._slice(after)

    def _next(self, after: int) -> Sequence[tuple[Any, ...]]:
        rows = self._slice(after)
        here = rows[0][0] if rows else self._blobs.last + 1
        if here > after + 1 and read_gone(self._db).number > after:
            raise StoreError(
                f"{self._path}: readings left for the quota while they were waited for;"
                " ask for a later span, or write to a quicker disk"
            )
        return rows

    def _slice(self, after: int) -> Sequence[tuple[Any, ...]]:
        """Rows that follow, as many as may be held at once."""
        rows, size = [], 0
        found = self._db.execute(
            "SELECT id, grouping, first_scan, last_scan, first_at, last_at, lines, sha256, head,"
            " body FROM blob WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (after, self._blobs.last, ROWS),
        )
        for row in found:
            rows.append(row)
            size += len(row[-1])
            if size >= SLICE_BYTES:
                break
        found.close()
        return rows

    def _add(
        self,
        file: str,
        row: tuple[Any, ...],
        index: list[dict[str, object]],
        odd: list[Piece],
    ) -> Iterator[Piece]:
        number, group, first, last, start, end, lines, sha256, head, body = row
        spoilt = hashlib.sha256(body).digest() != sha256
        index.append(
            {
                "blob": number,
                "equipment": self._names.get(group, ""),
                "first_scan": first,
                "last_scan": last,
                "first_at": start,
                "last_at": end,
                "lines": lines,
                "sha256": sha256.hex(),
                "bytes": len(body),
                "spoilt": spoilt,
                "head": head.hex(),
            }
        )
        self.last = Place(number, head)
        if spoilt:
            self.spoilt.append({"what": "readings", "name": str(number), "words": _WORDS})
            odd.append(Piece(archive.spoilt_file(number), body))
            return
        self._newest = body
        yield Piece(file, body)


class _Record:
    """The record strand: links, events, and the configurations that they name."""

    def __init__(self, db: sqlite3.Connection, bounds: _Bounds) -> None:
        self._db = db
        self._bounds = bounds
        self.head = bounds.record
        self.spoilt: list[dict[str, object]] = []

    def pieces(self) -> Iterator[Piece]:
        """Give them; ``head`` is the last link's then."""
        yield Piece(archive.LINKS, b"")
        for rows in self._slices(
            "SELECT id, at, last_blob, telemetry, config, last_event, head FROM link"
            " WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            self._bounds.links,
        ):
            yield Piece(archive.LINKS, archive.joined([_link(row) for row in rows]))
            self.head = rows[-1][-1]
        yield Piece(archive.EVENTS, b"")
        for rows in self._slices(
            f"SELECT number, seq, kind, at, boot, subject, body, ms, {self._crc()} FROM event"  # noqa: S608 - our own text
            " WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
            self._bounds.events,
        ):
            yield Piece(archive.EVENTS, archive.joined([self._event(row) for row in rows]))
        yield from self._configurations()

    def _crc(self) -> str:
        """What to ask for the checksum of an event: a backup of an earlier release has none."""
        columns = {row[1] for row in self._db.execute("PRAGMA table_info(event)")}
        return "crc" if "crc" in columns else "NULL"

    def _slices(self, query: str, bounds: Range) -> Iterator[list[tuple[Any, ...]]]:
        after = bounds.first - 1
        while rows := self._db.execute(query, (after, bounds.last, ROWS)).fetchall():
            after = rows[-1][0]
            yield rows

    def _event(self, row: tuple[Any, ...]) -> dict[str, object]:
        *told, crc = row
        if crc is not None and not _holds(told, crc):
            self.spoilt.append({"what": "event", "name": str(told[0]), "words": _WORDS})
        names = ("number", "seq", "kind", "at", "boot", "subject", "body", "ms")
        return {**dict(zip(names, told, strict=True)), "time": archive.time_of(told[3])}

    def _configurations(self) -> Iterator[Piece]:
        """Those that the links name, and before them the one that was in effect."""
        links = self._bounds.links
        digests = self._db.execute(
            "SELECT digest FROM config WHERE digest IN"
            " (SELECT config FROM link WHERE id BETWEEN ? AND ?) OR digest ="
            " (SELECT config FROM link WHERE id < ? AND config IS NOT NULL"
            "  ORDER BY id DESC LIMIT 1) ORDER BY digest",
            (links.first, links.last, links.first),
        )
        for (digest,) in digests.fetchall():
            (text,) = self._db.execute(
                "SELECT text FROM config WHERE digest = ?", (digest,)
            ).fetchone()
            if hashlib.sha256(text.encode()).hexdigest() != digest:
                self.spoilt.append({"what": "configuration", "name": digest, "words": _WORDS})
            yield Piece(archive.configuration_file(digest), text.encode())


_WORDS = "its checksum did not hold when the archive was made"


def _link(row: tuple[Any, ...]) -> dict[str, object]:
    number, at, last_blob, telemetry, config, last_event, head = row
    return {
        "link": number,
        "at": at,
        "time": archive.time_of(at),
        "last_blob": last_blob,
        "telemetry": telemetry.hex(),
        "config": config,
        "last_event": last_event,
        "head": head.hex(),
    }


def _holds(told: Sequence[object], crc: object) -> bool:
    try:
        return checksum(*told) == crc
    except TypeError:  # A disk can make bytes of a text.
        return False


def _row(db: sqlite3.Connection, query: str, value: int) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = db.execute(query, (value,)).fetchone()
    return row
