"""Room on the disk: how much there is, how long it lasts, and a ballast for when there is none.

The ballast is a file that holds nothing. When the disk is full it is given up, so that alarms and
acts can still be written and what waits can be delivered; when there is room it is made anew.
"""

import os
import shutil
from collections import deque
from pathlib import Path
from typing import NamedTuple

MIB = 2**20
BALLAST = 16 * MIB
"""Bytes; an eighth of a disk where that is less."""
LITTLE = 4 * 2**30
"""Bytes that are little room on a disk of any size; on a small one it is a tenth of it."""
SOON = 3.0
"""Days."""
DAY = 86_400 * 10**9
EVERY = DAY // 144
"""Ten minutes: the time between two samples of a trend (ns)."""
LEAST = DAY // 4
"""A trend of less than six hours (ns) is none: a log that was unpacked is not a disk that fills."""


class Disk(NamedTuple):
    """The disk that the store is on."""

    free: int = 0
    """Bytes that the daemon's user may still write."""
    size: int = 0
    full: bool = False
    """There is no room for the ballast: it is given up, and readings leave for those that come."""

    def fills(self, days_left: float | None) -> bool:
        """Whether that is to be seen to, long before it is full."""
        little = self.free < min(self.size // 10, LITTLE)
        return little or (days_left is not None and days_left < SOON)


class Trend:
    """How the room on a disk dwindles, by samples of the last day."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque()

    def days_left(self, now: int, free: int) -> float | None:
        """Take note that ``free`` bytes are left at ``now`` (ns, by a clock that never steps).

        Returns the days until there are none, if it goes on so; None where it grows, or too little
        is known.
        """
        samples = self._samples
        if not samples or now - samples[-1][0] >= EVERY:
            samples.append((now, free))
        while now - samples[0][0] > DAY:
            samples.popleft()
        since, before = samples[0]
        if now - since < LEAST or free >= before:
            return None
        return free / (before - free) * (now - since) / DAY


class Ballast:
    """The file ``cytowatch.ballast`` beside the store."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name("cytowatch.ballast")

    def make(self) -> None:
        """Make it, if it is missing and there is room for as much again beside it."""
        disk = look(self._path)
        size = min(BALLAST, disk.size // 8)
        if not self.held and disk.free >= 2 * size:
            _reserve(self._path, size)

    def give_up(self) -> bool:
        """Give its room to who needs it; False when that was done before."""
        held = self.held
        self._path.unlink(missing_ok=True)
        return held

    def give_up_if_needed(self, room: int) -> None:
        """Give it up when less than ``room`` bytes are free."""
        if look(self._path).free < room:
            self.give_up()

    @property
    def held(self) -> bool:
        """Whether it is there."""
        return self._path.exists()


def look(path: Path) -> Disk:
    """Return how the disk is that ``path`` would be on."""
    usage = shutil.disk_usage(path.parent)
    return Disk(usage.free, usage.total)


def _reserve(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:  # Somebody else was quicker: it is tried again.
        path.unlink()
    finally:
        os.close(descriptor)
