"""Reading the record back, for export and tail: a read-only connection, a little at a time.

Each slice is a statement of its own, so that no long snapshot keeps the daemon's log from being
carried over. For use in one thread other than the store's, or in another process.
"""

import json
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from monitor.store import schema
from monitor.store.archive import Piece, Plan, Taken, Wanted
from monitor.store.archiving import take
from monitor.store.errors import StoreError, unreadable
from monitor.store.events import Event
from monitor.store.points import MILLISECOND, Point, read_line

BLOBS = 64
"""Blobs per slice."""
EVENTS = 500
"""Events per slice."""
_TAIL = re.compile(rb"scan=(\d+)i (-?\d+)$")


class DeadLetter(NamedTuple):
    """A line that a database refused for good."""

    id: int
    sink: str
    line: bytes
    words: str
    """What the database said."""


class Reader:
    """``with Reader(path) as reader``; every method may raise StoreError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._telling():
            self._db = schema.connect_readonly(path)
            self._names = dict(self._db.execute("SELECT id, names FROM grouping"))
            self.store_id = schema.read_meta(self._db, "store_id") or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def readings(self, start: int, end: int, equipment: str | None = None) -> Iterator[Point]:
        """Readings from ``start`` to before ``end`` (ns, UTC) in the order of their scans."""
        wanted = None if equipment is None else b",equipment=%b," % equipment.encode()
        for _, blobs in groupby(self._blobs(start, end, equipment), key=itemgetter(0)):
            lines = [line for _, body in blobs for line in _lines(self._path, body)]
            told = sorted(line for line in lines if start <= line.at < end)
            for line in told:
                if wanted is None or wanted in line.text.split(b" ", 1)[0]:
                    yield from read_line(line.text)

    def newest(self, start: int, end: int) -> Iterator[Point]:
        """Readings of the newest live scan of each source, from ``start`` to before ``end``."""
        found: dict[bytes, _Line] = {}
        for _, body in self._blobs(start, end, None):
            for line in _lines(self._path, body):
                head = line.text.split(b" ", 1)[0]
                if b",origin=live" in head and b",source=" in head and start <= line.at < end:
                    found[head] = max(line, found.get(head, line))
        for line in found.values():
            yield from read_line(line.text)

    def events(self, start: int, end: int) -> Iterator[Event]:
        """Events from ``start`` to before ``end`` (ns, UTC) in the order of their numbers."""
        with self._telling():
            first, last = self._db.execute(
                "SELECT min(number), max(number) FROM event WHERE at >= ? AND at < ?", (start, end)
            ).fetchone()
        after = (first or 0) - 1
        while first is not None and after < last:
            slice_ = self._slice(
                "SELECT number, seq, kind, at, boot, subject, body, ms FROM event"
                " WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
                (after, last, EVENTS),
            )
            if not slice_:
                return
            after = slice_[-1][0]
            found = (Event(*row) for row in slice_)
            yield from (event for event in found if start <= event.at < end)

    def of_kind(self, kind: str, start: int) -> Iterator[Event]:
        """Events of one kind from ``start`` (ns, UTC) on, in the order of their numbers."""
        after = -1
        while slice_ := self._slice(
            "SELECT number, seq, kind, at, boot, subject, body, ms FROM event"
            " WHERE kind = ? AND number > ? ORDER BY number LIMIT ?",
            (kind, after, EVENTS),
        ):
            after = slice_[-1][0]
            found = (Event(*row) for row in slice_)
            yield from (event for event in found if event.at >= start)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Lines that a database refused for good, in the order in which it did."""
        after = 0
        while slice_ := self._slice(
            "SELECT id, sink, line, words FROM dead_letter WHERE id > ? ORDER BY id LIMIT ?",
            (after, EVENTS),
        ):
            after = slice_[-1][0]
            yield from (DeadLetter(*row) for row in slice_)

    def archive(self, wanted: Wanted) -> Iterator[Plan | Piece | Taken]:
        """Give what an archive is made of; see ``archiving.take``."""
        with self._telling():
            yield from take(self._db, self._path, wanted)

    def _blobs(self, start: int, end: int, equipment: str | None) -> Iterator[tuple[int, bytes]]:
        """The first scan of its tick and the body of each blob that may hold such readings."""
        groups = [
            number
            for number, names in self._names.items()
            if equipment is None or equipment in json.loads(names)
        ]
        with self._telling():
            first, last = self._db.execute(
                "SELECT min(id), max(id) FROM blob WHERE first_at < ? AND last_at >= ?",
                (end, start),
            ).fetchone()
        after = (first or 0) - 1
        while first is not None and after < last:
            slice_ = self._slice(
                "SELECT id, first_scan, body FROM blob WHERE id > ? AND id <= ?"
                " AND first_at < ? AND last_at >= ?"
                " AND grouping IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?",
                (after, last, end, start, json.dumps(groups), BLOBS),
            )
            if not slice_:
                return
            after = slice_[-1][0]
            yield from ((scan, body) for _, scan, body in slice_)

    def _slice(self, query: str, values: Sequence[str | int]) -> list[tuple[Any, ...]]:
        with self._telling():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise unreadable(self._path, error) from error


class _Line(NamedTuple):
    scan: int
    at: int
    text: bytes


def _lines(path: Path, body: bytes) -> Iterator[_Line]:
    try:
        texts = zlib.decompress(body, wbits=31).splitlines()
    except zlib.error as error:
        raise StoreError(f"{path}: readings are damaged; see cytowatch store verify") from error
    for text in texts:
        if tail := _TAIL.search(text):
            yield _Line(int(tail[1]), int(tail[2]) * MILLISECOND, text)
