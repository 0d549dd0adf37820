"""Reading what can be read of a damaged file: whatever lies on pages that are whole.

SQLite gives up a statement at the first page that it cannot make sense of. So a table with whole
numbers for keys is read range by range, and a range that fails is halved until only what lies on
the bad page is missing; a table with texts for keys is read from both of its ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from monitor.store import schema

MOST_FAILURES = 5000
"""Reads of one table that may fail: some hundred bad pages, and the end of a hopeless search."""
BEYOND = 2**62
"""No key is larger."""

Numbered = Literal["event", "link", "blob", "reply", "dead_letter", "grouping"]
Named = Literal["facts", "cursor", "config", "meta"]
_KEYS: dict[Numbered | Named, str] = {
    "event": "number",
    "link": "id",
    "blob": "id",
    "reply": "id",
    "dead_letter": "id",
    "grouping": "id",
    "facts": "name",
    "cursor": "sink, lane",
    "config": "digest",
    "meta": "key",
}


class Damaged:
    """``with Damaged(path) as old``; nothing here raises but what is wrong with ourselves."""

    def __init__(self, path: Path) -> None:
        self._db: sqlite3.Connection | None = None
        self._tables: set[str] = set()
        for immutable in (False, True):  # Where its log is what is damaged, the file is read alone.
            with suppress(sqlite3.Error):
                db = _connect(path, immutable=immutable)
                self._tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
                self._db = db
                break

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._db is not None:
            self._db.close()

    @property
    def ours(self) -> bool:
        """Whether it can be seen to be a store."""
        return {"meta", "event"} <= self._tables

    def crc(self, table: Literal["event", "facts"]) -> str:
        """Return what to ask for the checksum of a row; an earlier release wrote none."""
        with suppress(sqlite3.Error):
            columns = {row[1] for row in self._rows(table, f"PRAGMA table_info({table})")}
            return "crc" if "crc" in columns else "NULL"
        return "NULL"

    def numbered(self, table: Numbered, columns: str, after: int = 0) -> Iterator[tuple[Any, ...]]:
        """Rows with keys greater than ``after``, in order; ``columns`` begin with the key."""
        key = _KEYS[table]
        query = f"SELECT {columns} FROM {table} WHERE {key} > ? AND {key} <= ? ORDER BY {key}"  # noqa: S608 - our own text
        ranges, failures = [(after, BEYOND)], 0
        while ranges and failures < MOST_FAILURES:
            low, high = ranges.pop()
            try:
                for row in self._rows(table, query, low, high):
                    low = row[0]
                    yield row
            except sqlite3.Error:
                failures += 1
                if high - low > 1:
                    middle = (low + high) // 2
                    ranges += [(middle, high), (low, middle)]

    def named(self, table: Named, columns: str) -> Iterator[tuple[Any, ...]]:
        """Rows from the first on, and, where these break off, from the last back; some twice."""
        query = f"SELECT {columns} FROM {table} ORDER BY "  # noqa: S608 - our own text
        keys = _KEYS[table].split(", ")
        for direction in ("", " DESC"):
            try:
                yield from self._rows(table, query + ", ".join(key + direction for key in keys))
            except sqlite3.Error:
                continue
            return

    def _rows(self, table: str, query: str, *values: int) -> Iterator[tuple[Any, ...]]:
        if self._db is not None and table in self._tables:
            yield from self._db.execute(query, values)


def _connect(path: Path, *, immutable: bool) -> sqlite3.Connection:
    if not immutable:
        return schema.connect_readonly(path)
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
