"""How many alarms there were lately, kept as they come: for charts, of the gateway and each area.

Pure. A rolling hour and day are kept by the minute, so that what is kept does not grow with what
comes; ten minutes are exact, as floods are judged by them. Times are record time (ns).
"""

from collections import deque
from typing import NamedTuple

from monitor.alarms.flood import FloodWatch
from monitor.alarms.performance import DAY, HOUR, MINUTE, SECOND, WHOLE, Transition


class Rate(NamedTuple):
    """Of the gateway or of one area, at one time."""

    last_10_min: int
    """Alarms annunciated."""
    last_hour: int
    last_day: int
    flood: bool
    """Whether one is on."""
    floods: int
    """Begun in the last day."""
    flood_seconds: float
    """How long the one that is on has lasted; 0 where none is."""


NO_RATE = Rate(0, 0, 0, flood=False, floods=0, flood_seconds=0.0)
"""Where there never was an alarm."""


class _Minutes:
    """Counts by the minute, for a day."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = deque()
        """Minute and count, oldest first; none without a count."""

    def add(self, at: int) -> None:
        minute = at // MINUTE
        counts = self._counts
        if counts and counts[-1][0] >= minute:
            last, count = counts.pop()
            counts.append((last, count + 1))
        else:
            counts.append((minute, 1))

    def since(self, now: int, back: int) -> int:
        """Return how many there were in the minutes of the last ``back`` (ns)."""
        oldest = (now - DAY) // MINUTE
        while self._counts and self._counts[0][0] <= oldest:
            self._counts.popleft()
        first = (now - back) // MINUTE
        return sum(count for minute, count in self._counts if minute > first)


class _Area:
    """What is kept of the gateway or of one area."""

    def __init__(self) -> None:
        self.watch = FloodWatch()
        self.minutes = _Minutes()
        self.floods = _Minutes()

    def add(self, at: int) -> None:
        before = self.watch.flood
        ended = self.watch.annunciate(at)
        self.minutes.add(at)
        if self.watch.flood is not None and (before is None or ended is not None):
            self.floods.add(at)

    def rate(self, now: int) -> Rate:
        self.watch.advance(now)
        flood = self.watch.flood
        return Rate(
            last_10_min=self.watch.lately,
            last_hour=self.minutes.since(now, HOUR),
            last_day=self.minutes.since(now, DAY),
            flood=flood is not None,
            floods=self.floods.since(now, DAY),
            flood_seconds=0.0 if flood is None else (now - flood.start) / SECOND,
        )


class Rates:
    """Takes transitions in the order of the record."""

    def __init__(self) -> None:
        self._areas: dict[str, _Area] = {WHOLE: _Area()}

    def take(self, told: Transition) -> None:
        """Count it, if people were told of an alarm by it."""
        if not told.rings:
            return
        for area in {WHOLE, told.area}:
            self._areas.setdefault(area, _Area()).add(told.at)

    def now(self, at: int) -> dict[str, Rate]:
        """Return how it is at ``at``, by area; ``WHOLE`` is the whole gateway."""
        return {name: area.rate(at) for name, area in self._areas.items()}
