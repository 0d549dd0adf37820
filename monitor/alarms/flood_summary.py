"""A flood told in summaries: who reads along is not to lose what matters in what scrolls past.

While a flood is on, only critical alarms are told one by one; the others are counted and told
together every few seconds, and once more when it ends. Pure: time comes with the transitions, and
by ``advance`` where none come.
"""

from collections import Counter, deque
from enum import StrEnum
from typing import NamedTuple

from config.rules import Priority
from monitor.alarms.facts import Change
from monitor.alarms.flood import Flood, FloodWatch
from monitor.alarms.performance import SECOND, Transition

EVERY = 5 * SECOND
"""Between two summaries (ns)."""
NAMED = 4
"""Areas and equipments that a summary names, those with most alarms first."""

_KINDS = {
    Change.RETURNED: "returned",
    Change.CLEARED: "returned",
    Change.ACKNOWLEDGED: "acknowledged",
    Change.ESCALATED: "escalated",
}


class Phase(StrEnum):
    """What a summary is of."""

    BEGAN = "began"
    """The alarms by which it became a flood; each of them was told by itself."""
    ON = "on"
    """What came since the last summary."""
    OVER = "over"
    """The whole flood."""


class Summary(NamedTuple):
    """What is told of a flood in one line."""

    phase: Phase
    at: int
    """When it is told (record time, ns)."""
    flood: Flood
    first_out: str
    """The alarm that came first: often the cause."""
    counts: tuple[tuple[str, int], ...]
    """How many were raised, returned, acknowledged, escalated or anything else; and what else was
    counted."""
    worst: Priority | None
    """Of those raised."""
    worst_alarm: str
    areas: tuple[tuple[str, int], ...]
    """Where most were raised, and how many."""
    equipment: tuple[tuple[str, int], ...]


class Heard(NamedTuple):
    """What is to be told of one transition, or of what else came."""

    before: tuple[Summary, ...]
    shown: bool
    """Whether it is told by itself."""
    after: tuple[Summary, ...]


class _Counts:
    """What a summary will say."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.areas: Counter[str] = Counter()
        self.equipment: Counter[str] = Counter()
        self.worst: tuple[Priority, str] | None = None

    def add(self, told: Transition) -> None:
        kind = _KINDS.get(told.change)
        self.kinds[kind or ("raised" if told.rings else "other")] += 1
        if told.rings:
            self.areas[told.area] += 1
            self.equipment[told.alarm.split("/")[0]] += 1
            if self.worst is None or told.priority.severity > self.worst[0].severity:
                self.worst = told.priority, told.alarm

    def summary(self, phase: Phase, at: int, flood: Flood, first_out: str) -> Summary:
        worst, alarm = self.worst or (None, "")
        areas, equipment = self.areas.most_common(NAMED), self.equipment.most_common(NAMED)
        counts = tuple(self.kinds.items())
        return Summary(
            phase, at, flood, first_out, counts, worst, alarm, tuple(areas), tuple(equipment)
        )


class FloodSummary:
    """Takes transitions as they come, and says what is to be told of them."""

    def __init__(self) -> None:
        self._watch = FloodWatch()
        self._lately: deque[Transition] = deque()
        """Those of the last ten minutes that people were told of: they may become a flood."""
        self._first_out = ""
        self._whole = _Counts()
        self._since = _Counts()
        self._told_at = 0

    def take(self, told: Transition) -> Heard:
        """Take the next transition."""
        before = self._pass(told.at - 1)
        was_on = self._watch.flood is not None
        if told.rings and (ended := self._ring(told)):
            before = (*before, self._end(ended, told.at))
            was_on = False
        flood = self._watch.flood
        if flood is None:
            return Heard(before, shown=True, after=())
        if not was_on:
            return Heard(before, shown=True, after=(self._begin(flood, told.at),))
        self._whole.add(told)
        self._since.add(told)
        return Heard(before, told.priority is Priority.CRITICAL, self._pass(told.at))

    def count(self, what: str, at: int) -> Heard:
        """Take what follows from alarms and is none, as an excursion that is over at ``at``."""
        before = self._pass(at - 1)
        if self._watch.flood is None:
            return Heard(before, shown=True, after=())
        self._whole.kinds[what] += 1
        self._since.kinds[what] += 1
        return Heard(before, shown=False, after=self._pass(at))

    def advance(self, now: int) -> tuple[Summary, ...]:
        """Let time pass; return what is due by ``now`` (record time, ns)."""
        return self._pass(now)

    def _ring(self, told: Transition) -> Flood | None:
        ended = self._watch.annunciate(told.at)
        self._lately.append(told)
        while len(self._lately) > self._watch.lately:
            self._lately.popleft()
        return ended

    def _begin(self, flood: Flood, at: int) -> Summary:
        self._first_out = self._lately[0].alarm
        self._whole, self._since = _Counts(), _Counts()
        for each in self._lately:
            self._whole.add(each)
        self._told_at = at
        return self._whole.summary(Phase.BEGAN, at, flood, self._first_out)

    def _end(self, flood: Flood, now: int) -> Summary:
        at = now if flood.end is None else flood.end
        return self._whole.summary(Phase.OVER, at, flood, self._first_out)

    def _pass(self, now: int) -> tuple[Summary, ...]:
        on = self._watch.flood
        if ended := self._watch.advance(now):
            return (self._end(ended, now),)
        if on is None or now - self._told_at < EVERY or not self._since.kinds:
            return ()
        summary = self._since.summary(Phase.ON, now, on, self._first_out)
        self._since, self._told_at = _Counts(), now
        return (summary,)
