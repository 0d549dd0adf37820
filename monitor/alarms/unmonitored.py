"""Not watching is a fact too: the time in which nobody looked at an equipment."""

from collections.abc import Mapping
from typing import NamedTuple

from config.plant import Equipment, Plant

PERIODS = 2
"""Missed grid points are normal at a restart up to this many periods (and a tick)."""


class Unmonitored(NamedTuple):
    """An interval of record time (ns, UTC) in which an equipment was not watched."""

    equipment: str
    start: int
    end: int

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end - self.start) / 10**9


def unmonitored(last_seen: Mapping[str, int], now: int, plant: Plant) -> list[Unmonitored]:
    """Return the intervals from the newest reading on record (ns, by equipment) until ``now``.

    An equipment without any reading on record is new, and was not unwatched; one whose newest
    reading is no older than two of its shortest periods and a tick has missed nothing.
    """
    intervals = [
        Unmonitored(one.name, last_seen[one.name], now)
        for one in plant.equipment
        if one.name in last_seen
    ]
    return [gap for gap in intervals if gap.end - gap.start > unnoticed(plant, gap.equipment)]


def unnoticed(plant: Plant, name: str) -> int:
    """Return for how long (ns) an equipment may go unread before that is a gap."""
    equipment: Equipment = plant.by_name[name]
    period = min(plant.sources[index].period for index in equipment.sources)
    return PERIODS * period + plant.store.tick
