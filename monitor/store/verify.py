"""Whether the record is as it was written: the whole hash chain gone through, entry by entry.

It finds edits, deletions, insertions and reorderings of events, configurations and readings, and,
given a head that was published before (by the digest, or kept elsewhere), the loss of the newest
entries and a chain that was computed anew. It cannot tell that the newest entries since the last
known head were cut off, nor that everything since then was computed anew by somebody who can
write the file; nor, as readings leave for the quota, whether those that are gone left by
themselves. What is replaced as it changes is not bound by the chain: alarm facts, cursors, answers
and dead letters.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from monitor.store import chain, schema
from monitor.store.errors import unreadable
from monitor.store.events import Event
from monitor.store.strands import (
    START,
    Place,
    ToldBlob,
    ToldLink,
    blob_problems,
    link_problems,
)

MOST_PROBLEMS = 100
"""Problems that are listed at most."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found."""

    store_id: str
    events: int
    blobs: int
    """Blobs of readings that are still here."""
    gone: int
    """Blobs that left for the quota, before those."""
    before: str
    """The chain's head before the first entry that is here."""
    head: str
    """Of the chain as it is now."""
    problems: tuple[str, ...]
    """One sentence each; empty when nothing is amiss."""

    @property
    def whole(self) -> bool:
        """Whether nothing is amiss."""
        return not self.problems


def verify(path: Path, head: str = "") -> Verdict:
    """Go through the chain of the store at ``path``, a copy, or one that is in use.

    ``head`` is one that was published earlier; empty when none is known.
    Raises StoreError when the file is no store or cannot be read at all, and ValueError when
    ``head`` does not look like one.
    """
    if head:
        chain.read_whole(head)
    try:
        with closing(schema.connect_readonly(path)) as db:
            db.execute("BEGIN")  # One snapshot: the daemon may be writing.
            return _verdict(db, head)
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


def _verdict(db: sqlite3.Connection, known: str) -> Verdict:
    gone = read_gone(db)
    problems = _all_problems(db, gone, known)
    blob, telemetry = _one(db, "SELECT id, head FROM blob ORDER BY id DESC", gone)
    link, record = _one(db, "SELECT id, head FROM link ORDER BY id DESC", START)
    (events,) = _one(db, "SELECT count(*) FROM event", (0,))
    (blobs,) = _one(db, "SELECT count(*) FROM blob", (0,))
    return Verdict(
        store_id=schema.read_meta(db, "store_id") or "",
        events=events,
        blobs=blobs,
        gone=gone.number,
        before=chain.whole(*START, *gone),
        head=chain.whole(link, record, blob, telemetry),
        problems=tuple(islice(problems, MOST_PROBLEMS)),
    )


def _all_problems(db: sqlite3.Connection, gone: Place, known: str) -> Iterator[str]:
    yield from blob_problems(gone, _blobs(db))
    yield from link_problems(
        START, 0, _links(db), lambda blob: _head_of(db, gone, blob), gone.number
    )
    (last,) = _one(db, "SELECT last_event FROM link ORDER BY id DESC", (0,))
    if beyond := _one(db, "SELECT number FROM event WHERE number > ?", (), last):
        yield f"events from {beyond[0]}: not part of the chain"
    yield from _config_problems(db)
    if known:
        yield from _known_problems(db, gone, known)


def _blobs(db: sqlite3.Connection) -> Iterator[ToldBlob]:
    names = dict(db.execute("SELECT id, names FROM grouping"))
    rows = db.execute(
        "SELECT id, grouping, first_scan, last_scan, first_at, last_at, lines, sha256, head, body"
        " FROM blob ORDER BY id"
    )
    for number, group, first, last, start, end, lines, sha256, told, body in rows:
        equipment = names.get(group, "")
        entry = chain.BlobEntry(number, equipment, first, last, start, end, lines, sha256)
        yield ToldBlob(entry, hashlib.sha256(body).digest(), told)


def _links(db: sqlite3.Connection) -> Iterator[ToldLink]:
    last = 0
    rows = db.execute(
        "SELECT id, at, last_blob, telemetry, config, last_event, head FROM link ORDER BY id"
    )
    for *content, last_event, told in rows:
        events = _events(db, last, last_event)
        yield ToldLink(chain.LinkEntry(*content), events, last_event, told)
        last = last_event


def _head_of(db: sqlite3.Connection, gone: Place, blob: int) -> bytes | None:
    if blob == gone.number:
        return gone.head
    head: bytes | None = _one(db, "SELECT head FROM blob WHERE id = ?", (None,), blob)[0]
    return head


def _config_problems(db: sqlite3.Connection) -> Iterator[str]:
    rows = db.execute(
        "SELECT DISTINCT link.config, config.text FROM link"
        " LEFT JOIN config ON config.digest = link.config WHERE link.config IS NOT NULL"
    )
    for digest, text in rows:
        if text is None:
            yield f"configuration {digest[:8]}: its text is missing"
        elif hashlib.sha256(text.encode()).hexdigest() != digest:
            yield f"configuration {digest[:8]}: its text was changed"


def _known_problems(db: sqlite3.Connection, gone: Place, known: str) -> Iterator[str]:
    link, record, blob, telemetry = chain.read_whole(known)
    found = _one(db, "SELECT head FROM link WHERE id = ?", (), link)
    if link and not found:
        yield f"record: cut off before link {link}, which was published"
    elif link and found[0] != record:
        yield f"record: up to link {link} not what was published"
    head = _head_of(db, gone, blob)
    if blob > gone.number and head is None:
        yield f"readings: cut off before blob {blob}, which was published"
    elif head is not None and head != telemetry:
        yield f"readings: up to blob {blob} not what was published"


def read_gone(db: sqlite3.Connection) -> Place:
    """Return where the readings that are still here begin: the newest that left, and its head."""
    text = schema.read_meta(db, "gone")
    if text is None:
        return START
    number, head, *_ = json.loads(text)
    return Place(number, bytes.fromhex(head))


def _events(db: sqlite3.Connection, after: int, last: int) -> list[Event]:
    rows = db.execute(
        "SELECT number, seq, kind, at, boot, subject, body, ms FROM event"
        " WHERE number > ? AND number <= ? ORDER BY number",
        (after, last),
    )
    return [Event(*row) for row in rows]


def _one(
    db: sqlite3.Connection, query: str, otherwise: tuple[Any, ...], *values: int
) -> tuple[Any, ...]:
    """Return the first row, or ``otherwise`` where there is none."""
    row: tuple[Any, ...] | None = db.execute(f"{query} LIMIT 1", values).fetchone()
    return otherwise if row is None else row
