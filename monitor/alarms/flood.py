"""A flood: more alarms than people can take in (ISA-18.2, 16.5; EEMUA 191). Pure.

It begins with the alarm that is the tenth within ten minutes, and ends as soon as fewer than five
were annunciated in the last ten. Times are nanoseconds. One that is a little older than the last
counts as that one; after one that is older by more than ten minutes everything begins anew.
"""

from collections import deque
from typing import NamedTuple

WINDOW = 600 * 10**9
"""How far back alarms are counted (ns)."""
BEGINS = 10
ENDS = 5


class Flood(NamedTuple):
    """One flood, until now or whole."""

    first: int
    """When the first of the alarms that made it was annunciated."""
    start: int
    """When there were ten."""
    alarms: int
    """How many were annunciated, from the first on."""
    peak: int
    """The most of them in any ten minutes."""
    end: int | None = None
    """When fewer than five were left; None while it goes on."""


class FloodWatch:
    """Watches when alarms are annunciated, and says when that is a flood."""

    def __init__(self) -> None:
        self._times: deque[int] = deque()
        self._now = 0
        self.most = 0
        """The most in any ten minutes so far, flood or not."""
        self.flood: Flood | None = None
        """The one that is on."""

    @property
    def lately(self) -> int:
        """How many were annunciated in the last ten minutes, as of the last look."""
        return len(self._times)

    def advance(self, now: int) -> Flood | None:
        """Let time pass until ``now``; return the flood that ended by it."""
        if now < self._now - WINDOW:
            return self._begin_anew(now)
        if now < self._now:
            return None
        ended = self._ended(now)
        self._forget(now)
        return ended

    def annunciate(self, at: int) -> Flood | None:
        """Count an alarm that was annunciated at ``at``; return the flood that ended before it."""
        if at < self._now - WINDOW:
            ended = self._begin_anew(at)
        else:
            ended = self._ended(at - 1) if at > self._now else None
            self._forget(max(at, self._now))
        self._times.append(self._now)
        lately = len(self._times)
        self.most = max(self.most, lately)
        flood = self.flood
        if flood is not None:
            peak = max(flood.peak, lately)
            self.flood = flood._replace(alarms=flood.alarms + 1, peak=peak)
        elif lately >= BEGINS:
            self.flood = Flood(self._times[0], self._now, lately, lately)
        return ended

    def _begin_anew(self, at: int) -> Flood | None:
        """The clock was set back: what was before has no place in the time from now on."""
        flood, self.flood = self.flood, None
        ended = flood and flood._replace(end=self._now)
        self._times.clear()
        self._now = at
        return ended

    def _forget(self, now: int) -> None:
        self._now = now
        times = self._times
        while times and times[0] <= now - WINDOW:
            times.popleft()

    def _ended(self, now: int) -> Flood | None:
        """It ends when the fifth newest is ten minutes old."""
        flood, times = self.flood, self._times
        if flood is None:
            return None
        # Several may have been ten minutes old at the very time at which the last one came.
        end = self._now if len(times) < ENDS else times[-ENDS] + WINDOW
        if end > now:
            return None
        self.flood = None
        return flood._replace(end=end)
