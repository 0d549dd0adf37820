"""Room on the disk: how much there is, how long it lasts, and a ballast for when there is none.

The ballast is a file that holds nothing, and some more names. When the disk is full it is given up,
so that alarms and acts can still be written and what waits can be delivered; when there is room it
is made anew. A disk can be full of bytes, or of names: it has so many inodes and no more.
"""

import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from monitor.store.errors import StoreError
from monitor.store.own import new_own

MIB = 2**20
BALLAST = 16 * MIB
"""Bytes; an eighth of a disk where that is less."""
LITTLE = 4 * 2**30
"""Bytes that are little room on a disk of any size; on a small one it is a tenth of it."""
SPARE_NAMES = 3
"""Empty files beside the ballast: what opening or salvaging a store makes is one more than them."""
FEW_NAMES = 10_000
"""Inodes that are few on a disk of any size; on a small one it is a tenth of them."""
TIGHT_BYTES, TIGHT_NAMES = 2**20, SPARE_NAMES + 1
"""What it takes to open a store and look through it."""
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
    names: int | None = None
    """Files that may still be made; None where there is no such limit."""
    all_names: int = 0
    full: bool = False
    """There is no room for the ballast: it is given up, and readings leave for those that come."""

    def fills(self, days_left: float | None) -> bool:
        """Whether that is to be seen to, long before it is full."""
        little = self.free < min(self.size // 10, LITTLE)
        few = self.names is not None and self.names < min(self.all_names // 10, FEW_NAMES)
        return little or few or (days_left is not None and days_left < SOON)

    @property
    def tight(self) -> bool:
        """Whether there is not even what it takes to open a store."""
        return self.has_less_than(TIGHT_BYTES, TIGHT_NAMES)

    def has_less_than(self, free: int, names: int) -> bool:
        """Whether fewer bytes are free, or fewer files can be made."""
        return self.free < free or (self.names is not None and self.names < names)


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
    """The file ``cytowatch.ballast`` beside the store, and ``cytowatch.ballast-1`` and so on."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name("cytowatch.ballast")
        self._spares = [
            store.with_name(f"cytowatch.ballast-{number}") for number in range(1, SPARE_NAMES + 1)
        ]

    def make(self) -> None:
        """Make what is missing of it, if there is room for as much again beside it."""
        disk = look(self._path)
        size = min(BALLAST, disk.size // 8)
        if disk.has_less_than(0 if self.held else 2 * size, 2 * TIGHT_NAMES):
            return
        try:
            for spare in self._spares:
                if not _is_file(spare):  # An earlier release made none.
                    os.close(new_own(spare))
            if not self.held:
                _reserve(self._path, size)
        except OSError:  # Somebody else was quicker: it is tried again.
            self.give_up()

    def give_up(self) -> bool:
        """Give its room to who needs it; False when that was done before."""
        held = self.held
        for file in (self._path, *self._spares):
            with suppress(IsADirectoryError):  # Somebody's folder stays, and is no ballast.
                file.unlink(missing_ok=True)
        return held

    def give_up_if_tight(self) -> bool:
        """Give it up when a store cannot even be opened otherwise; return whether it was."""
        return look(self._path).tight and self.give_up()

    @property
    def held(self) -> bool:
        """Whether it is there, and not something in its place."""
        return _is_file(self._path)


def look(path: Path) -> Disk:
    """Return how the disk is that ``path`` would be on."""
    found = os.statvfs(path.parent)
    names = found.f_favail if found.f_files else None
    size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return Disk(free, size, names, found.f_files)


def leave_room(target: Path, needed: int, store: Path, *, advice: str) -> None:
    """Raise StoreError where ``needed`` bytes at ``target`` have no room, or would take too much.

    That is, on the disk of ``store``, what the daemon will need; ``advice``: what to do then.
    """
    disk = look(target)
    left = disk._replace(free=disk.free - needed)
    mib = f"about {needed // MIB + 1} MiB are needed, {disk.free // MIB} are free"
    if left.free < 0:
        raise StoreError(f"{target}: there is no room for it: {mib}")
    if _same_disk(target, store) and left.fills(None):
        raise StoreError(
            f"{target}: {mib}, and cytowatch needs what would be left of this disk; {advice}"
        )


def _same_disk(target: Path, store: Path) -> bool:
    try:
        return target.parent.stat().st_dev == store.parent.stat().st_dev
    except OSError:  # Whoever asks may not see where the daemon's store lies.
        return False


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _reserve(path: Path, size: int) -> None:
    descriptor = new_own(path)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)
