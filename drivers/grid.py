"""The grid: when each source is visited, on one wheel for all of them.

A grid point of a key is ``phase + k * period`` on CLOCK_BOOTTIME, by index ``k``, so it never
drifts. Phases lie on slots, so that many polls share one wake-up of the event loop, which at low
rates costs more than the polls themselves. Points that could not be kept are skipped, never made
up for in a burst.
"""

import asyncio
from array import array
from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple
from zlib import crc32

from drivers.base import Clock

MILLISECOND = 10**6
SECOND = 10**9
SLOT = 100 * MILLISECOND
"""How far apart wake-ups are: at 400 polls a second, 100 ms cost a sixth less CPU than 20 ms."""
SPREAD = 2 * SECOND
"""Phases lie within this time: what is read once an hour is first read soon after the start."""
EARLY = MILLISECOND
"""Timers have no finer grain, and uvloop's fire up to this much too soon."""
BIN = MILLISECOND // 10
BINS = 10_000


class Punctuality(NamedTuple):
    """How far the starts were from their grid points, since the grid was made."""

    starts: int
    skipped: int
    """Grid points that were not kept."""
    worst: int
    """The largest deviation (ns)."""
    bins: tuple[int, ...]
    """Starts by deviation, in steps of 0.1 ms; the last one holds all beyond."""

    def percentile(self, share: float) -> int:
        """Return the deviation (ns) that this share of the starts did not exceed."""
        wanted = share * self.starts
        seen = 0
        for index, count in enumerate(self.bins):
            seen += count
            if seen >= wanted:
                return min((index + 1) * BIN, self.worst)
        return self.worst


class _Entry:
    """One key's points and what is called at each."""

    __slots__ = ("call", "failed", "key", "offset", "period", "phase")

    def __init__(self, period: int, offset: int, key: str, call: Callable[[], None]) -> None:
        self.period = period
        self.offset = offset
        self.phase = 0
        self.key = key
        self.call = call
        self.failed = False

    def set_off(self, now: int) -> int:
        """Return the first point of all, soon after ``now`` however long the period is.

        Slots are those of whole seconds, so that all entries share them, whenever they set off.
        """
        first = now - now % SECOND + self.offset
        step = min(self.period, SECOND)
        self.phase = first + max(0, (now - first) // step + 1) * step
        return self.phase

    def after(self, now: int) -> int:
        """Return the first point later than ``now``."""
        return now + self.period - (now - self.phase) % self.period


class Grid:
    """Calls each key's callback at its grid points, while ``run`` runs."""

    def __init__(self, clock: Clock, slot: int = SLOT) -> None:
        self._clock = clock
        self._slot = slot
        self._wheel: dict[int, list[_Entry]] = {}
        self._instants: list[int] = []
        """A heap of the instants (boot ns) that have entries in the wheel."""
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._bins = array("Q", bytes(8 * (BINS + 1)))
        self._skipped = 0
        self._worst = 0

    def add(self, period: int, key: str, call: Callable[[], None]) -> None:
        """Call ``call`` every ``period`` ns, at a phase that is the key's own and always the same.

        Raises ValueError for a period that is not positive.
        """
        if period <= 0:
            raise ValueError(f"the period of {key} must be positive, not {period} ns")
        slots = max(1, min(period, SPREAD) // self._slot)
        self._insert(_Entry(period, crc32(key.encode()) % slots * self._slot, key, call))

    def every(self, period: int, call: Callable[[], None]) -> None:
        """Call ``call`` every ``period`` ns; for sweepers, which share the others' wake-ups.

        Raises ValueError for a period that is not positive.
        """
        if period <= 0:
            raise ValueError(f"a period must be positive, not {period} ns")
        self._insert(_Entry(period, 0, getattr(call, "__qualname__", "sweeper"), call))

    async def run(self) -> None:
        """Turn the wheel until cancelled."""
        self._running = True
        self._set_off()
        self._arm()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._running = False
            self._disarm()

    @property
    def skipped(self) -> int:
        """Grid points that were not kept so far."""
        return self._skipped

    def punctuality(self) -> Punctuality:
        """Return how well the grid was kept so far."""
        return Punctuality(sum(self._bins), self._skipped, self._worst, tuple(self._bins))

    def _set_off(self) -> None:
        """Begin with the points that are to come; those since ``add`` were nobody's."""
        entries = [entry for waiting in self._wheel.values() for entry in waiting]
        self._wheel.clear()
        self._instants.clear()
        now = self._clock().boot
        for entry in entries:
            self._put(entry, entry.set_off(now))

    def _insert(self, entry: _Entry) -> None:
        self._put(entry, entry.set_off(self._clock().boot))
        if self._running:
            self._arm()

    def _put(self, entry: _Entry, instant: int) -> None:
        entries = self._wheel.get(instant)
        if entries is None:
            self._wheel[instant] = [entry]
            heappush(self._instants, instant)
        else:
            entries.append(entry)

    def _arm(self) -> None:
        self._disarm()
        if self._instants:
            wait = self._instants[0] - self._clock().boot
            loop = asyncio.get_running_loop()
            # Whole milliseconds, rounded up: uvloop rounds a shorter wait down to none, and spins.
            delay = -(-wait // MILLISECOND) / 1000 if wait > 0 else 0
            self._timer = loop.call_later(delay, self._turn)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        """Start what is due at one instant; after a stall, others wait until I/O had its turn."""
        instant = self._instants[0]
        if instant <= self._clock().boot + EARLY:
            heappop(self._instants)
            entries = self._wheel.pop(instant)
            for entry in entries:
                self._start(entry)
            now = self._clock().boot
            self._note(now - instant, len(entries))
            for entry in entries:
                self._put(entry, self._next(entry, instant, now))
        self._arm()

    def _next(self, entry: _Entry, instant: int, now: int) -> int:
        following = instant + entry.period
        if following > now:
            return following
        later = entry.after(now)
        self._skipped += (later - following) // entry.period
        return later

    def _note(self, deviation: int, starts: int) -> None:
        """Count the starts of one instant by the time at which the last of them was through."""
        deviation = max(deviation, 0)
        self._bins[min(deviation // BIN, BINS)] += starts
        self._worst = max(self._worst, deviation)

    def _start(self, entry: _Entry) -> None:
        try:
            entry.call()
        except Exception as error:  # noqa: BLE001 - a defect in one callback must not stop the others
            if not entry.failed:
                entry.failed = True
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"the visit of {entry.key} failed", "exception": error}
                )
