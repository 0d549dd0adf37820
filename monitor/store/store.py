"""The store as the daemon sees it: awaited from the event loop, done in one thread of its own.

What is committed is held here in memory for everyone to see at once (``last``, cursors); it
changes only when the thread has said that the disk has it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Self, assert_never

from monitor.store import backup
from monitor.store.database import Database, Ends
from monitor.store.errors import StoreError
from monitor.store.events import Event
from monitor.store.points import Point
from monitor.store.reader import DeadLetter, Reader
from monitor.store.room import Disk
from monitor.store.salvage import Report
from monitor.store.thread import Worker
from monitor.store.tick import Blob, Counted, Lag, Lane, Last, StoreStatus, Tick

IDLE = 1.0
"""Seconds that a confirmation waits for a commit to go with."""


class Store:
    """The durable record. ``async with Store.open(path, quota=...) as store``."""

    def __init__(self, worker: Worker, database: Database, sinks: Collection[str]) -> None:
        self._worker = worker
        self._database = database
        self._ends = database.ends
        self._last = self._ends.last
        self._followed: set[tuple[str, Counted]] = {(sink, "telemetry") for sink in sinks}
        self._cursors: dict[tuple[str, Counted], int] = {}
        self._unwritten: dict[tuple[str, Counted], int] = {}
        self._flush: asyncio.TimerHandle | None = None
        self._failure: StoreError | None = None
        self._news = asyncio.Event()
        self.facts: Mapping[str, str] = {}
        """Where each alarm stood when the store was opened."""
        self.last_seen: Mapping[str, int] = {}
        """By equipment: the time (ns, UTC) of its newest scan when the store was opened."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, quota: int | None, sinks: Collection[str] = ()
    ) -> AsyncIterator[Self]:
        """Open the file ``path``, making its directory and itself where there is none.

        ``quota`` is in bytes of compressed readings (None: as the disk allows); ``sinks`` are those
        that readings are kept for, beside those that ask for their cursor. When the block is left,
        everything that was handed over is written first.
        Raises StoreError when another daemon has it, a newer one wrote it, or the disk fails; a
        damaged file is no error: it is moved to ``moved_aside``, and what can be read of it is
        taken over (``salvaged``).
        """
        worker = Worker("store")
        files = ExitStack()  # Filled and emptied in the thread, whoever is cancelled here.
        try:
            database = await worker.call(
                lambda: files.enter_context(closing(Database(path, quota)))
            )
            store = cls(worker, database, sinks)
            await store._load()
            try:
                yield store
            finally:
                await store._write_cursors()
        finally:
            worker.start(files.close)
            await worker.close()

    @property
    def store_id(self) -> str:
        """Names this store; its event numbers and seqs mean nothing in another."""
        return self._database.store_id

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def moved_aside(self) -> Path | None:
        """Where a damaged file lies that was found at the start; None when all was well."""
        return self._database.moved_aside

    @property
    def salvaged(self) -> Report | None:
        """What was taken over of that file, and what was lost; None when all was well."""
        return self._database.salvaged

    @property
    def quota(self) -> int:
        """Bytes of compressed readings that are kept."""
        return self._database.quota

    @property
    def last(self) -> Last:
        """The newest of everything that is committed."""
        return self._last

    @property
    def lost_lines(self) -> int:
        """Points that left for the quota before every sink had them, since the store began."""
        return self._ends.gone.lost_lines

    @property
    def spoilt(self) -> int:
        """Entries that were met and are not as they were written, since the store began."""
        return self._database.spoilt

    @property
    def spoilt_before(self) -> int:
        """Those of them that an earlier run had met: what opening met is not among them."""
        return self._database.spoilt_before

    async def groups(self, names: Sequence[tuple[str, ...]]) -> list[int]:
        """Return a group id for each tuple of equipment that is to share gzip members."""
        return await self._worker.call(partial(self._database.groups, names))

    async def commit(self, tick: Tick) -> None:
        """Return when the whole tick is on the disk; whoever is cancelled here does not stop it.

        Raises StoreError on any error of the disk: the process must end then.
        Raises ValueError when the tick's events do not follow the last ones.
        """
        cursors = self._take_unwritten()
        work = partial(self._database.commit, tick, cursors, self._delivered())
        await asyncio.shield(self._start_commit(work))

    async def telemetry(self, after: int, limit_bytes: int) -> list[Blob]:
        """Return blobs that follow ``after``, in order; one may be larger than ``limit_bytes``.

        Where readings left for the quota, ids jump. Keep ``limit_bytes`` at some hundred KiB, so
        that no commit waits for the reading.
        """
        if after >= self._ends.blob:
            return []  # A way to the thread and back would cost more than the answer.
        return await self._worker.call(partial(self._database.telemetry, after, limit_bytes))

    async def events(self, after: int, limit: int) -> list[Event]:
        """Return at most ``limit`` events that follow the number ``after``, in order."""
        if after >= self._ends.event:
            return []
        return await self._worker.call(partial(self._database.events, after, limit))

    async def events_by_seq(self, first: int, last: int) -> list[Event]:
        """Return the alarm transitions from seq ``first`` to ``last``, both included."""
        return await self._worker.call(partial(self._database.events_by_seq, first, last))

    async def newest(self, kind: str, subject: str | None = None) -> Event | None:
        """Return the newest event of a kind (about ``subject``, where given); None if none is."""
        return await self._worker.call(partial(self._database.newest, kind, subject))

    async def earlier(self, kind: str, below: int, limit: int) -> list[Event]:
        """Return at most ``limit`` events of a kind numbered below ``below``, the newest first."""
        return await self._worker.call(partial(self._database.earlier, kind, below, limit))

    async def newest_readings(self, start: int, end: int) -> list[Point]:
        """Return those of the newest live scan of each source in a short span (ns, UTC)."""
        return await self._worker.call(partial(_newest, self.path, start, end))

    async def reply_to(self, request_id: str) -> str | None:
        """Return the answer that a request was given; None where it is new."""
        return await self._worker.call(partial(self._database.reply_to, request_id))

    async def dead_letter(self, sink: str, line: bytes, words: str) -> None:
        """Keep a line that a database refused for good, with its words."""
        await self._worker.call(partial(self._database.add_dead_letter, sink, line, words))

    async def find_dead_letter(self, number: int) -> DeadLetter | None:
        """Return the dead letter of this number; None where there is none."""
        return await self._worker.call(partial(self._database.find_dead_letter, number))

    async def end_dead_letter(self, number: int) -> None:
        """Let a dead letter go: its database has it, or somebody said that it may."""
        await self._worker.call(partial(self._database.end_dead_letter, number))

    async def look_at_disk(self) -> Disk:
        """See how much room there is, now and then: when there is enough, there is a ballast."""
        return await self._worker.call(self._database.look_at_disk)

    async def status(self) -> StoreStatus:
        """Return what there is to say of sizes, backlogs and losses."""
        followed = {key: self._cursors.get(key, 0) for key in self._followed}
        return await self._worker.call(partial(self._database.status, followed))

    async def backup(self, path: Path) -> None:
        """Make a consistent copy at ``path``, of what is committed now; commits do not wait for it.

        Raises StoreError when ``path`` exists or cannot be written.
        """
        worker = Worker("backup")
        try:
            await worker.call(partial(backup.copy, self.path, path))
        finally:
            await worker.close()

    def cursor(self, sink: str, lane: Counted) -> int:
        """Return up to where ``sink`` has confirmed, as its lane counts; 0 at first."""
        self._followed.add((sink, lane))
        return self._cursors.get((sink, lane), 0)

    def confirm(self, sink: str, lane: Counted, upto: int) -> None:
        """Take note that ``sink`` has everything up to ``upto``; on the disk within a second or so.

        Raises ValueError when that is not committed yet.
        """
        if upto > self._newest(lane):
            raise ValueError(f"{sink} confirmed {lane} {upto}, which does not exist yet")
        if upto > self.cursor(sink, lane):
            self._move(sink, lane, upto)

    def _move(self, sink: str, lane: Counted, upto: int) -> None:
        self._cursors[sink, lane] = self._unwritten[sink, lane] = upto
        if self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.call_later(IDLE, self._write_when_idle)

    def begin(self, sink: str, lane: Counted) -> None:
        """Follow ``sink`` there; one that is new to the record begins at the present."""
        self._followed.add((sink, lane))
        if (sink, lane) not in self._cursors:
            self._move(sink, lane, self._newest(lane))

    def lags(self, sink: str) -> dict[Lane, Lag]:
        """Return how far ``sink`` is in each lane that waits for it, and in that of the events."""
        lanes: list[Lane] = ["events"]
        if (sink, "telemetry") in self._followed:
            lanes.append("telemetry")
        return {lane: Lag(self._cursors.get((sink, lane), 0), self._newest(lane)) for lane in lanes}

    async def wait(self, lane: Lane, beyond: int) -> None:
        """Return when something newer than ``beyond`` is committed.

        Raises StoreError once the store has failed.
        """
        while self._newest(lane) <= beyond:
            if self._failure is not None:
                raise self._failure
            await self._news.wait()

    async def _load(self) -> None:
        self.facts = await self._worker.call(self._database.facts)
        self.last_seen = await self._worker.call(self._database.last_seen)
        self._cursors = await self._worker.call(self._database.cursors)

    def _newest(self, lane: Counted) -> int:
        match lane:
            case "telemetry":
                return self._ends.blob
            case "events":
                return self._ends.event
            case "receipts":
                return self._ends.seq
            case _:
                assert_never(lane)

    def _delivered(self) -> int | None:
        lanes = [key for key in self._followed if key[1] == "telemetry"]
        return min((self._cursors.get(key, 0) for key in lanes), default=None)

    def _start_commit(self, work: partial[Ends]) -> asyncio.Future[Ends]:
        future = self._worker.start(work)
        future.add_done_callback(self._committed)
        return future

    def _committed(self, future: asyncio.Future[Ends]) -> None:
        error = future.exception()
        if error is None:
            self._ends = future.result()
            self._last = self._ends.last
            if self._database.untidy:
                self._worker.start(self._database.tidy)
        elif isinstance(error, StoreError):
            self._failure = error
        self._news.set()
        self._news = asyncio.Event()

    def _take_unwritten(self) -> dict[tuple[str, Counted], int]:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        cursors, self._unwritten = self._unwritten, {}
        return cursors

    def _write_when_idle(self) -> None:
        self._worker.start(partial(self._database.confirm, self._take_unwritten()))

    async def _write_cursors(self) -> None:
        cursors = self._take_unwritten()
        if cursors and self._failure is None:
            await self._worker.call(partial(self._database.confirm, cursors))


def _newest(path: Path, start: int, end: int) -> list[Point]:
    with Reader(path) as reader:
        return list(reader.newest(start, end))
