"""The store's blocking half: every statement that the one writing connection ever executes.

Used in the store's thread only. A transaction is all or nothing, and what is held in memory
(``Ends``) changes only after it; after an error nothing is done any more.
"""

import hashlib
import json
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from monitor.store import chain, opening, room, schema
from monitor.store.errors import DiskFullError, StoreError
from monitor.store.events import Event, checksum, checksum_of_fact
from monitor.store.points import newest_times
from monitor.store.reader import DeadLetter
from monitor.store.room import Ballast, Disk, look
from monitor.store.salvage import Report
from monitor.store.tick import Blob, Counted, LaneStatus, Last, StoreStatus, Tick

CHECKPOINT = 2**20
"""Bytes of readings after which the log is carried over into the file."""
CHECKPOINT_COMMITS = 64
"""The same in commits: each writes some pages, however small it is."""
LOOK_BACK = 4 * 2**20
"""Compressed bytes of the newest readings searched for when each equipment was last seen."""
MOST_GONE = 256
"""Blobs that may leave in one commit, so that it stays short after the quota was lowered."""
MOST_LETTERS = 10_000
"""Dead letters kept, of all databases; the points themselves are among the readings, too."""
CLAIMED = 8
"""Of the ballast one part in so many becomes room in the file, and as much again in its log."""
KEPT_WHEN_FULL = 0.98
"""The part of the readings that stays on a full disk: what leaves makes room for new ones."""
REPLIES = 100_000
"""Answers kept for requests that are repeated."""
MILLISECOND = 10**6
log = logging.getLogger(__name__)

T = TypeVar("T")
Cursors = Mapping[tuple[str, Counted], int]


class Gone(NamedTuple):
    """How far readings have left for the quota."""

    id: int = 0
    """Of the newest blob that left."""
    head: bytes = chain.START
    """The telemetry strand's head there, from which the strand goes on."""
    total: int = 0
    """Bytes of all blobs up to there."""
    lost_lines: int = 0
    """Those that no sink, or not every one, had."""


NOTHING_GONE = Gone()


@dataclass(frozen=True, slots=True)
class Ends:
    """Where everything that grows ends."""

    blob: int = 0
    telemetry: bytes = chain.START
    total: int = 0
    scan: int = 0
    event: int = 0
    seq: int = 0
    ms: int = 0
    link: int = 0
    record: bytes = chain.START
    at: int = 0
    gone: Gone = NOTHING_GONE

    @property
    def last(self) -> Last:
        """The part that is told."""
        head = chain.whole(self.link, self.record, self.blob, self.telemetry)
        return Last(self.scan, self.event, self.seq, self.at, head)


class Member(NamedTuple):
    """A group's lines of a tick, compressed."""

    group: int
    lines: int
    body: bytes


def compress(lines: Sequence[bytes]) -> bytes:
    """Return one gzip member, the same for the same lines (it bears no time)."""
    return zlib.compress(b"\n".join(lines) + b"\n", 1, wbits=31)


NO_LINES = zlib.compress(b"", 1, wbits=31)


class Database:
    """The open file. Every method may raise StoreError, and then all that follow do."""

    def __init__(self, path: Path, quota: int | None) -> None:
        """Lock the directory, open or make the file, and load where everything ends."""
        self.path = path
        self._failure = ""
        self.ends = Ends()
        self.salvaged: Report | None = None
        """What was taken over at this start of a file that could not be used."""
        self.spoilt = 0
        """Entries in quarantine."""
        self.spoilt_before = 0
        """Those of them that were there when the file was opened."""
        self._since_checkpoint = 0
        self._bytes_at_checkpoint = 0
        self._room: int | None = None
        """Bytes of readings that are kept while the disk is full."""
        self._lock = opening.lock(path)
        try:
            self._ballast = Ballast(path)
            self._bare = given_up = self._ballast.give_up_if_tight()
            """Whether there is no ballast that could be given up at the next start."""
            if given_up:
                log.error("%s: the disk is full; the ballast beside it was given up", path)
            self.quota = opening.usual_quota(path) if quota is None else quota
            self._db = opening.open_file(path)
        except BaseException:
            os.close(self._lock)
            raise
        try:
            self._load()
            if given_up:
                with suppress(DiskFullError):
                    self._claim_room()
        except BaseException:
            self.close()
            raise

    @property
    def moved_aside(self) -> Path | None:
        """Where a file lies that could not be used at this start."""
        return None if self.salvaged is None else Path(self.salvaged.to)

    # --- writing -----------------------------------------------------------------------------

    def commit(self, tick: Tick, cursors: Cursors, delivered: int | None) -> Ends:
        """Write a tick in one transaction; return where everything ends when it is on the disk.

        ``delivered`` is the blob up to which every sink has confirmed; None where there is none.
        On a full disk older readings leave for those of the tick, and if that is not enough those
        of the tick are lost, and counted; its events are written in any case, or it fails.
        Raises ValueError, before anything is written, when its events do not follow the last.
        """
        self._check_order(tick)
        members = [
            Member(group, len(lines), compress(lines)) for group, lines in tick.lines.items()
        ]
        try:
            self.ends = self._making_room(lambda: self._write(tick, members, cursors, delivered))
        except DiskFullError:
            self.ends = self._write_bare(tick, members, cursors)
        self._since_checkpoint += 1
        return self.ends

    def _write(
        self, tick: Tick, members: Sequence[Member], cursors: Cursors, delivered: int | None
    ) -> Ends:
        with self._transaction():
            ends = replace(self.ends, at=_newest_time(tick, self.ends.at))
            ends = self._add_blobs(ends, tick, members)
            ends = self._add_record(ends, tick)
            self._note_salvage(tick)
            self._add_facts(tick.facts)
            self._add_replies(tick.replies)
            self._add_cursors(cursors)
            return self._keep_quota(ends, delivered)

    def _write_bare(self, tick: Tick, members: Sequence[Member], cursors: Cursors) -> Ends:
        """Write a tick without its readings: there is room for what people must know, at most."""
        lost = sum(member.lines for member in members)
        try:
            with self._transaction():
                ends = replace(self.ends, at=_newest_time(tick, self.ends.at))
                gone = ends.gone._replace(lost_lines=ends.gone.lost_lines + lost)
                ends = self._add_record(replace(ends, gone=gone), tick)
                self._note_salvage(tick)
                self._add_facts(tick.facts)
                self._add_replies(tick.replies)
                self._add_cursors(cursors)
                self._set_gone(gone)
        except DiskFullError as error:
            self._failure = str(error)
            raise
        return ends

    def confirm(self, cursors: Cursors) -> None:
        """Write cursors alone."""

        def write() -> None:
            with self._transaction():
                self._add_cursors(cursors)

        self._making_room(write)

    def groups(self, names: Sequence[tuple[str, ...]]) -> list[int]:
        """Return the id of each group of equipment, registering those that are new."""
        texts = [json.dumps(group, separators=(",", ":")) for group in names]

        def write() -> None:
            with self._transaction():
                self._db.executemany(
                    "INSERT OR IGNORE INTO grouping (names) VALUES (?)", [(text,) for text in texts]
                )

        self._making_room(write)
        with self._telling():
            self._names = dict(self._db.execute("SELECT id, names FROM grouping"))
        ids = {text: number for number, text in self._names.items()}
        return [ids[text] for text in texts]

    def add_dead_letter(self, sink: str, line: bytes, words: str) -> None:
        """Keep a line that a database refused for good."""

        def write() -> None:
            with self._transaction():
                self._add_letter(sink, line, words)

        self._making_room(write)

    def _add_letter(self, sink: str, line: bytes, words: str) -> None:
        newest = self._db.execute("SELECT max(id) FROM dead_letter").fetchone()[0]
        number = max(self._count("letter"), newest or 0) + 1  # One that left is never reused.
        self._db.execute(
            "INSERT INTO dead_letter (id, sink, line, words) VALUES (?, ?, ?, ?)",
            (number, sink, line, words),
        )
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('letter', ?)", (str(number),))
        self._crowd_out_letters()

    def find_dead_letter(self, number: int) -> DeadLetter | None:
        """Return the dead letter of this number; None where there is none."""
        with self._telling():
            row = self._db.execute(
                "SELECT id, sink, line, words FROM dead_letter WHERE id = ?", (number,)
            ).fetchone()
        return row and DeadLetter(*row)

    def end_dead_letter(self, number: int) -> None:
        """Let a dead letter go."""
        with self._transaction():
            self._db.execute("DELETE FROM dead_letter WHERE id = ?", (number,))

    def _crowd_out_letters(self) -> None:
        """Let the oldest go when there are too many, and count them."""
        gone = self._db.execute(
            "DELETE FROM dead_letter WHERE id IN"
            " (SELECT id FROM dead_letter ORDER BY id DESC LIMIT -1 OFFSET ?)",
            (MOST_LETTERS,),
        ).rowcount
        if gone:
            total = str(self._count("letters_gone") + gone)
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('letters_gone', ?)", (total,))

    def _count(self, key: str) -> int:
        return int(schema.read_meta(self._db, key) or 0)

    @property
    def untidy(self) -> bool:
        """Whether the log has grown so much that it is time to carry it over into the file.

        On a full disk it always is: a log that was carried over takes no more room.
        """
        grown = self.ends.total - self._bytes_at_checkpoint
        due = grown >= CHECKPOINT or self._since_checkpoint >= CHECKPOINT_COMMITS
        return due or (self._room is not None and self._since_checkpoint > 0)

    def tidy(self) -> None:
        """Carry the log over into the file; done after a commit was told of, if it is time."""
        if not self.untidy:
            return
        try:
            self._making_room(self._carry_over)
        except DiskFullError:
            return  # The log is whole, and it is tried again after the next commit.
        self._since_checkpoint = 0
        self._bytes_at_checkpoint = self.ends.total

    def look_at_disk(self) -> Disk:
        """Return how the disk is; where there is room again, all is kept as it was before."""
        self._ballast.make()
        if (self._room is not None or self._bare) and self._ballast.held:
            log.warning("%s: there is room on the disk again", self.path)
            self._room = None
        self._bare = not self._ballast.held
        return look(self.path)._replace(full=self._bare)

    def close(self) -> None:
        """Close the file and give the directory back."""
        try:
            if self._bare or self._room is not None or self._is_tight():
                self._close_keeping_log()
            else:
                self._db.close()
        finally:
            os.close(self._lock)

    def _is_tight(self) -> bool:
        with suppress(OSError):  # Where the disk itself is gone, nothing is to be kept on it.
            return look(self.path).tight
        return False

    def _close_keeping_log(self) -> None:
        """Close the file but leave its log and index: there might be no room to make them anew.

        SQLite removes them with the last connection, unless that one can only read.
        """
        with suppress(sqlite3.Error), closing(schema.connect_readonly(self.path)) as last:
            last.execute("SELECT count(*) FROM meta").fetchone()
            self._db.close()
        self._db.close()

    # --- reading -----------------------------------------------------------------------------

    def telemetry(self, after: int, limit_bytes: int) -> list[Blob]:
        """Return blobs that follow ``after``, at least one where there is one.

        One that is not as it was written has no lines, and is in quarantine.
        """
        blobs: list[Blob] = []
        spoilt: list[int] = []
        with self._telling():
            rows = self._db.execute(
                "SELECT sha256, id, grouping, first_scan, last_scan, first_at, last_at, lines, body"
                " FROM blob WHERE id > ? ORDER BY id",
                (after,),
            )
            for sha256, *row in rows:
                blob = Blob(*row)
                limit_bytes -= len(blob.body)
                if blobs and limit_bytes < 0:
                    break
                if hashlib.sha256(blob.body).digest() != sha256:
                    spoilt.append(blob.id)
                    blob = blob._replace(lines=0, body=NO_LINES)
                blobs.append(blob)
        self._quarantine("blob", spoilt)
        return blobs

    def events(self, after: int, limit: int) -> list[Event]:
        """Return at most ``limit`` events that follow ``after``.

        In place of one that is not as it was written stands one of the kind ``spoilt``.
        """
        where = "WHERE number > ? ORDER BY number LIMIT ?"
        return self._events(where, (after, limit), spoilt=True)

    def events_by_seq(self, first: int, last: int) -> list[Event]:
        """Return the alarm transitions from seq ``first`` to ``last``, both included."""
        return self._events("WHERE seq BETWEEN ? AND ? ORDER BY seq", (first, last))

    def newest(self, kind: str, subject: str | None) -> Event | None:
        """Return the newest event of a kind, about ``subject`` where one is given."""
        where = "WHERE kind = ?" + (" AND subject = ?" if subject is not None else "")
        asked = (kind,) if subject is None else (kind, subject)
        found = self._events(f"{where} ORDER BY number DESC LIMIT 1", asked)
        return found[0] if found else None

    def earlier(self, kind: str, below: int, limit: int) -> list[Event]:
        """Return at most ``limit`` events of a kind with lower numbers, the newest first."""
        where = "WHERE kind = ? AND number < ? ORDER BY number DESC LIMIT ?"
        return self._events(where, (kind, below, limit))

    def reply_to(self, request_id: str) -> str | None:
        """Return the answer that a request was given; None where it is new."""
        with self._telling():
            row = self._db.execute(
                "SELECT body FROM reply WHERE request_id = ?", (request_id,)
            ).fetchone()
        return None if row is None else str(row[0])

    def facts(self) -> dict[str, str]:
        """Return where each alarm stands; what is spoilt of it is forgotten, and judged anew."""
        with self._telling():
            rows = self._db.execute("SELECT name, snapshot, crc FROM facts").fetchall()
        sound = {
            name: snapshot
            for name, snapshot, crc in rows
            if crc in {None, checksum_of_fact(name, snapshot)}
        }
        spoilt = [name for name, _, _ in rows if name not in sound]
        if spoilt:
            self._quarantine("facts", spoilt)
            with self._transaction():
                gone = [(name,) for name in spoilt]
                self._db.executemany("DELETE FROM facts WHERE name = ?", gone)
        return sound

    def cursors(self) -> dict[tuple[str, Counted], int]:
        """Return how far each sink has confirmed, by sink and lane."""
        with self._telling():
            rows = self._db.execute("SELECT sink, lane, upto FROM cursor")
            return {(sink, lane): upto for sink, lane, upto in rows}

    def last_seen(self) -> dict[str, int]:
        """Return when each equipment last had a scan (ns, UTC), by the newest readings."""
        wanted = {name for names in self._names.values() for name in json.loads(names)}
        seen: dict[str, int] = {}
        budget = LOOK_BACK
        with self._telling():
            for (body,) in self._db.execute("SELECT body FROM blob ORDER BY id DESC"):
                budget -= len(body)
                if budget < 0 or wanted <= seen.keys():
                    break
                with suppress(zlib.error):  # A spoilt blob must not keep the daemon from starting.
                    for name, at in newest_times(zlib.decompress(body, wbits=31)).items():
                        seen[name] = max(at, seen.get(name, 0))
        return seen

    def status(self, cursors: Cursors) -> StoreStatus:
        """Return what there is to say; ``cursors`` are the sinks' newest confirmations."""
        ends = self.ends
        with self._telling():
            return StoreStatus(
                store_id=self.store_id,
                path=self.path,
                last=ends.last,
                file_bytes=_size(self.path) + _size(self.path.with_name(self.path.name + "-wal")),
                telemetry_bytes=ends.total - ends.gone.total,
                quota=self.quota,
                blobs=ends.blob - ends.gone.id,
                oldest_at=self._blob_at(ends.gone.id),
                lost_lines=ends.gone.lost_lines,
                lanes=tuple(self._lane(*key, upto) for key, upto in sorted(cursors.items())),
                dead_letters=dict(
                    self._db.execute("SELECT sink, count(*) FROM dead_letter GROUP BY sink")
                ),
                dead_letters_gone=self._count("letters_gone"),
                moved_aside=self.moved_aside,
                spoilt=self.spoilt,
            )

    # --- the parts of a transaction ----------------------------------------------------------

    def _check_order(self, tick: Tick) -> None:
        numbers = [event.number for event in tick.events]
        if numbers != list(range(self.ends.event + 1, self.ends.event + 1 + len(numbers))):
            raise ValueError(f"events {numbers} do not follow event {self.ends.event}")
        seqs = [event.seq for event in tick.events if event.seq is not None]
        if seqs != list(range(self.ends.seq + 1, self.ends.seq + 1 + len(seqs))):
            raise ValueError(f"alarm events {seqs} do not follow {self.ends.seq}")

    def _add_blobs(self, ends: Ends, tick: Tick, members: Sequence[Member]) -> Ends:
        span = (tick.first_scan, tick.last_scan, tick.first_at, tick.last_at)
        number, head, total = ends.blob, ends.telemetry, ends.total
        for group, lines, body in members:
            number += 1
            total += len(body)
            sha256 = hashlib.sha256(body).digest()
            entry = chain.BlobEntry(number, self._names[group], *span, lines, sha256)
            head = chain.blob_head(head, entry)
            self._db.execute(
                "INSERT INTO blob VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, group, *span, lines, total, sha256, head, body),
            )
        if not members:
            return ends
        return replace(ends, blob=number, telemetry=head, total=total, scan=tick.last_scan)

    def _add_record(self, ends: Ends, tick: Tick) -> Ends:
        if not tick.events and tick.config is None:
            return ends
        digest = tick.config[0] if tick.config else None
        if tick.config:
            self._db.execute("INSERT OR IGNORE INTO config VALUES (?, ?)", tick.config)
        ends, events = self._add_events(ends, tick.events)
        entry = chain.LinkEntry(ends.link + 1, ends.at, ends.blob, ends.telemetry, digest)
        head = chain.link_head(ends.record, entry, events)
        self._db.execute(
            "INSERT INTO link (id, at, last_blob, telemetry, config, last_event, head)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*entry, ends.event, head),
        )
        return replace(ends, link=entry.number, record=head)

    def _add_events(self, ends: Ends, events: Sequence[Event]) -> tuple[Ends, list[Event]]:
        seq, newest = ends.seq, ends.ms
        added = []
        for event in events:
            ms = self._free_ms(event.at // MILLISECOND, newest)
            newest = max(newest, ms)
            seq = seq if event.seq is None else event.seq
            added.append(event._replace(ms=ms))
            self._db.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*added[-1], checksum(*added[-1])),
            )
        return replace(ends, event=ends.event + len(added), seq=seq, ms=newest), added

    def _free_ms(self, ms: int, newest: int) -> int:
        """Return the first millisecond from ``ms`` on that no event has, up to ``newest``."""
        while (
            ms <= newest and self._db.execute("SELECT 1 FROM event WHERE ms = ?", (ms,)).fetchone()
        ):
            ms += 1
        return ms

    def _note_salvage(self, tick: Tick) -> None:
        """Once an event tells what was salvaged, it need not be told at the next start."""
        if self.salvaged and any(event.kind == "store" for event in tick.events):
            self._db.execute("DELETE FROM meta WHERE key = 'salvage'")

    def _add_facts(self, facts: Mapping[str, str]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)",
            [(*each, checksum_of_fact(*each)) for each in facts.items() if each[1]],
        )
        gone = [(name,) for name, snapshot in facts.items() if not snapshot]
        self._db.executemany("DELETE FROM facts WHERE name = ?", gone)

    def _add_replies(self, replies: Mapping[str, str]) -> None:
        if replies:
            self._db.executemany(
                "INSERT OR REPLACE INTO reply (request_id, body) VALUES (?, ?)", replies.items()
            )
            self._db.execute(
                "DELETE FROM reply WHERE id <= (SELECT max(id) FROM reply) - ?", (REPLIES,)
            )

    def _add_cursors(self, cursors: Cursors) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)",
            [(sink, lane, upto) for (sink, lane), upto in cursors.items()],
        )

    def _keep_quota(self, ends: Ends, delivered: int | None) -> Ends:
        """Let the oldest blobs leave until the rest fits; never those of this tick.

        The oldest are the delivered ones as long as there are any, as sinks confirm in order.
        """
        gone, most = ends.gone, self.quota if self._room is None else min(self.quota, self._room)
        if ends.total - gone.total <= most:
            return ends
        rows = self._db.execute(
            "SELECT id, head, total, lines FROM blob WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (gone.id, self.ends.blob, MOST_GONE),
        )
        for number, head, total, lines in rows:
            lost = 0 if delivered is None or number <= delivered else lines
            gone = Gone(number, head, total, gone.lost_lines + lost)
            if ends.total - total <= most:
                break
        self._db.execute("DELETE FROM blob WHERE id <= ?", (gone.id,))
        self._set_gone(gone)
        return replace(ends, gone=gone)

    def _set_gone(self, gone: Gone) -> None:
        text = json.dumps([gone.id, gone.head.hex(), gone.total, gone.lost_lines])
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('gone', ?)", (text,))

    # --- a full disk -------------------------------------------------------------------------

    def _making_room(self, write: Callable[[], T]) -> T:
        """Do ``write``, and once more with the ballast given up when the disk is full."""
        try:
            return write()
        except DiskFullError:
            self._make_room()
            return write()

    def _make_room(self) -> None:
        kept = self.ends.total - self.ends.gone.total
        if self._room is None:
            log.error("%s: the disk is full; older readings leave for those that come", self.path)
        self._room = int(kept * KEPT_WHEN_FULL)
        given_up = self._ballast.give_up()
        with suppress(DiskFullError):  # A log that was carried over is written from its beginning.
            self._carry_over()
            if given_up:
                self._claim_room()

    def _claim_room(self) -> None:
        """Take some of the ballast's room for the file and its log, before others take it all.

        What lies in the file and holds nothing is room that nobody else can have: events go there
        when not a byte is left on the disk.
        """
        size = min(room.BALLAST // CLAIMED, look(self.path).free // 4)
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('room', zeroblob(?))", (size,))
        self._carry_over()
        with self._transaction():
            self._db.execute("DELETE FROM meta WHERE key = 'room'")

    def _carry_over(self) -> None:
        with self._telling():
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    # --- helpers -----------------------------------------------------------------------------

    def _load(self) -> None:
        with self._telling():
            self.store_id = schema.read_meta(self._db, "store_id") or ""
            self._names = dict(self._db.execute("SELECT id, names FROM grouping"))
            self.ends = self._load_ends()
            (self.spoilt,) = self._db.execute("SELECT count(*) FROM quarantine").fetchone()
            self.spoilt_before = self.spoilt
            if text := schema.read_meta(self._db, "salvage"):
                self.salvaged = Report.read(text)
        self._bytes_at_checkpoint = self.ends.total

    def _load_ends(self) -> Ends:
        gone = Gone()
        if text := schema.read_meta(self._db, "gone"):
            number, head, total, lost = json.loads(text)
            gone = Gone(number, bytes.fromhex(head), total, lost)
        ends = Ends(blob=gone.id, telemetry=gone.head, total=gone.total, gone=gone)
        link = self._db.execute(
            "SELECT id, head, at, last_blob FROM link ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if link:
            ends = replace(ends, link=link[0], record=link[1], at=link[2])
        blob = self._db.execute(
            "SELECT id, head, total, last_scan, last_at FROM blob ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if blob:
            at = blob[4] if not link or blob[0] > link[3] else ends.at
            ends = replace(
                ends, blob=blob[0], telemetry=blob[1], total=blob[2], scan=blob[3], at=at
            )
        # Each by its index: asked for together, all events would be gone through at each start.
        number, seq, ms = (
            self._db.execute(f"SELECT max({column}) FROM event").fetchone()[0] or 0  # noqa: S608 - our own text
            for column in ("number", "seq", "ms")
        )
        return replace(ends, event=number, seq=seq, ms=ms)

    def _events(
        self, where: str, values: Sequence[str | int], *, spoilt: bool = False
    ) -> list[Event]:
        """Those of a part; without those that are not as they were written, or ``spoilt`` ones."""
        with self._telling():
            rows = self._db.execute(
                f"SELECT number, seq, kind, at, boot, subject, body, ms, crc FROM event {where}",  # noqa: S608 - our own text
                values,
            ).fetchall()
        events = {Event(*row[:-1]): row[-1] in {None, checksum(*row[:-1])} for row in rows}
        bad = [event.number for event, sound in events.items() if not sound]
        if not bad:
            return list(events)
        self._quarantine("event", bad)
        told = [event if sound else _spoilt(event) for event, sound in events.items()]
        return [event for event in told if spoilt or event.number not in bad]

    def _quarantine(self, what: str, names: Sequence[int | str]) -> None:
        """Note what is not as it was written; each once, however often it is met."""
        for name in names:
            with self._transaction():
                noted = self._db.execute(
                    "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?)",
                    (what, str(name), "its checksum does not hold"),
                )
            if noted.rowcount:
                self.spoilt += 1
                log.error("%s: %s %s is not as it was written, and not used", self.path, what, name)

    def _lane(self, sink: str, lane: Counted, upto: int) -> LaneStatus:
        if lane == "events":
            behind = self.ends.event - upto
            row = self._db.execute("SELECT at FROM event WHERE number = ?", (upto + 1,)).fetchone()
            return LaneStatus(sink, "events", upto, behind, 0, row and row[0])
        if lane == "receipts":
            behind = self.ends.seq - upto
            row = self._db.execute("SELECT at FROM event WHERE seq = ?", (upto + 1,)).fetchone()
            return LaneStatus(sink, "receipts", upto, behind, 0, row and row[0])
        start = max(upto, self.ends.gone.id)
        row = self._db.execute("SELECT total FROM blob WHERE id = ?", (start,)).fetchone()
        total = row[0] if row else self.ends.gone.total
        return LaneStatus(
            sink,
            "telemetry",
            upto,
            self.ends.blob - start,
            self.ends.total - total,
            self._blob_at(start),
        )

    def _blob_at(self, after: int) -> int | None:
        row = self._db.execute("SELECT first_at FROM blob WHERE id = ?", (after + 1,)).fetchone()
        return row and int(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._telling():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # It may be rolled back already.
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn SQLite's errors into ours, and refuse everything after the first."""
        if self._failure:
            raise StoreError(self._failure)
        try:
            yield
        except sqlite3.Error as error:
            if opening.is_full(error):
                raise DiskFullError(f"{self.path}: {error}; make room on the disk") from error
            if opening.is_damage(error):
                opening.mark_suspect(self.path)
            self._failure = f"{self.path}: {error}; look at the disk, and start cytowatch again"
            raise StoreError(self._failure) from error


def _spoilt(event: Event) -> Event:
    """What stands in the place of an event: its number, and the time under which it is known."""
    return event._replace(seq=None, kind="spoilt", subject="", body="{}")


def _newest_time(tick: Tick, before: int) -> int:
    times = [event.at for event in tick.events]
    if tick.lines:
        times.append(tick.last_at)
    return max(times, default=before)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
