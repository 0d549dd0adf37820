"""How alarms perform: what ISA-18.2 (clause 16) and EEMUA 191 count of them. Pure.

Only what is annunciated counts: what asks people for a response. Rehearsals never do.
Everything is drawn from the transitions on the record, one after the other, and what is kept of
them does not grow with their number: a month is gone through in little memory.
Figures are those of the whole gateway and of each area; hours, days and ten minutes are UTC's.
Times are record time (ns).
"""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from config.rules import Priority
from monitor.alarms.facts import Change, State
from monitor.alarms.flood import Flood, FloodWatch

SECOND = 10**9
MINUTE = 60 * SECOND
TEN_MINUTES = 10 * MINUTE
HOUR = 60 * MINUTE
DAY = 24 * HOUR
CHATTERS = 3
"""So many times within a minute."""
FLEETING = MINUTE
"""An alarm that returned by itself before this was nothing that anybody could respond to."""
STALE = DAY
WHOLE = ""
"""Stands for the whole gateway where areas are named."""

_ASKS = frozenset({Change.RAISED, Change.RAISED_AGAIN, Change.RE_ALARMED, Change.ESCALATED})
_BACK = frozenset({Change.UNSHELVED, Change.UNSUPPRESSED, Change.RETURNED_TO_SERVICE})
_STANDING = frozenset({State.UNACKNOWLEDGED, State.ACKNOWLEDGED})
_RETURNS = frozenset({Change.RETURNED, Change.CLEARED})
SUPPRESSIONS: Mapping[Change, str] = {
    Change.SHELVED: "shelved",
    Change.SUPPRESSED: "suppressed",
    Change.REMOVED_FROM_SERVICE: "out_of_service",
}
"""The changes that take an alarm from people's sight, and what they are counted as."""


class Transition(NamedTuple):
    """What is counted of one transition."""

    at: int
    alarm: str
    area: str
    """Empty for an alarm of the gateway itself."""
    priority: Priority
    change: Change
    before: State
    after: State
    annunciated: bool
    since: int | None
    """When the current or last occurrence was raised."""

    @property
    def rings(self) -> bool:
        """Whether people are told of an alarm by it, for the first time or anew."""
        if not self.annunciated:
            return False
        anew = self.change in _BACK and self.after is State.UNACKNOWLEDGED
        return anew or self.change in _ASKS


def transition(body: Mapping[str, object]) -> Transition | None:
    """Read the body of an ``AlarmEventMessage``; None for a rehearsal.

    Raises KeyError or ValueError for what is none.
    """
    if body.get("test"):
        return None
    raised = body["alarm_time"]
    return Transition(
        nanoseconds(str(body["time"])),
        str(body["alarm"]),
        str(body["area"]),
        Priority(str(body["priority"])),
        Change(str(body["change"])),
        State(str(body["before"])),
        State(str(body["after"])),
        body["annunciated"] is True,
        None if raised is None else nanoseconds(str(raised)),
    )


def nanoseconds(text: str) -> int:
    """Return an RFC 3339 time of the record (milliseconds) in nanoseconds UTC."""
    moment = datetime.fromisoformat(text)
    return round(moment.timestamp() * 1000) * 10**6


@dataclass
class Mean:
    """A mean in the making."""

    total: int = 0
    count: int = 0

    def add(self, value: int) -> None:
        """Take one more."""
        self.total += value
        self.count += 1

    @property
    def seconds(self) -> float | None:
        """The mean of what was added (ns), in seconds; None of nothing."""
        return self.total / self.count / SECOND if self.count else None


@dataclass
class Floods:
    """What is told of the floods in a span."""

    number: int = 0
    longest: int = 0
    """ns"""
    total: int = 0
    """ns"""
    worst: int = 0
    """The most alarms in one of them."""

    def add(self, flood: Flood, end: int) -> None:
        """Count a flood that was over, or cut off by the end of the span, at ``end``."""
        lasted = (end if flood.end is None else min(flood.end, end)) - flood.start
        self.number += 1
        self.longest = max(self.longest, lasted)
        self.total += lasted
        self.worst = max(self.worst, flood.alarms)


@dataclass
class Tally:
    """What is counted of the whole gateway, or of one area."""

    alarms: int = 0
    """Annunciated."""
    by_day: Counter[int] = field(default_factory=Counter)
    by_hour: Counter[int] = field(default_factory=Counter)
    by_ten: Counter[int] = field(default_factory=Counter)
    by_alarm: Counter[str] = field(default_factory=Counter)
    by_priority: Counter[Priority] = field(default_factory=Counter)
    suppressions: Counter[str] = field(default_factory=Counter)
    chattering: Counter[str] = field(default_factory=Counter)
    """By alarm: how often it was the third time or more within a minute."""
    fleeting: Counter[str] = field(default_factory=Counter)
    stale: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By day: what stood for more than 24 hours."""
    to_acknowledge: Mean = field(default_factory=Mean)
    to_return: Mean = field(default_factory=Mean)
    floods: Floods = field(default_factory=Floods)
    watch: FloodWatch = field(default_factory=FloodWatch)

    def annunciate(self, told: Transition, end: int) -> None:
        """Count an alarm that people were told of."""
        self.alarms += 1
        self.by_day[told.at // DAY] += 1
        self.by_hour[told.at // HOUR] += 1
        self.by_ten[told.at // TEN_MINUTES] += 1
        self.by_alarm[told.alarm] += 1
        self.by_priority[told.priority] += 1
        if ended := self.watch.annunciate(told.at):
            self.floods.add(ended, end)

    def end(self, end: int) -> None:
        """Let the span end: a flood that is on is cut off."""
        ended = self.watch.advance(end) or self.watch.flood
        if ended is not None:
            self.floods.add(ended, end)


class _Life:
    """What must be remembered of one alarm to judge its next transition."""

    __slots__ = ("area", "fled", "rang", "recent", "unanswered")

    def __init__(self) -> None:
        self.area = WHOLE
        self.recent: deque[int] = deque(maxlen=CHATTERS)
        """When it last was annunciated."""
        self.rang: int | None = None
        """When the occurrence that still stands was, if people were told of it."""
        self.unanswered: int | None = None
        """When it was, if nobody has acknowledged that yet."""
        self.fled: int | None = None
        """When it returned by itself, if at once: not yet known whether it comes again."""


class Performance:
    """Counts the transitions of a span, which come in the order of the record."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        """Not included."""
        self.tallies: dict[str, Tally] = {WHOLE: Tally()}
        """By area; ``WHOLE`` is everything."""
        self._lives: defaultdict[str, _Life] = defaultdict(_Life)
        self._standing: dict[str, tuple[str, int]] = {}
        """By alarm that people see as active: its area, and since when."""
        self._met: set[str] = set()

    def take(self, told: Transition) -> None:
        """Count one; what comes after the span only says what stood at its end."""
        self._stand(told)
        if not self.start <= told.at < self.end:
            return
        self._answer(told)
        if told.rings:
            self._ring(told)
        if kind := SUPPRESSIONS.get(told.change):
            for tally in self._of(told.area):
                tally.suppressions[kind] += 1

    def stands(self, alarm: str, area: str, since: int) -> None:
        """Say, after all transitions, that people see an alarm as active since ``since``."""
        if alarm not in self._met:
            self._standing[alarm] = (area, since)

    def close(self) -> Mapping[str, Tally]:
        """Let the span end, and return what was counted by area."""
        for alarm, (area, since) in self._standing.items():
            self._stood(alarm, area, since, self.end)
        for name, life in self._lives.items():
            if life.fled is not None:
                self._flee(name, life)
        for tally in self.tallies.values():
            tally.end(self.end)
        return self.tallies

    def _of(self, area: str) -> tuple[Tally, ...]:
        whole = self.tallies[WHOLE]
        if area == WHOLE:
            return (whole,)
        return whole, self.tallies.setdefault(area, Tally())

    def _ring(self, told: Transition) -> None:
        for tally in self._of(told.area):
            tally.annunciate(told, self.end)
        if told.change is Change.ESCALATED:
            return  # Still the same asking: it did not come anew.
        life = self._lives[told.alarm]
        life.area = told.area
        life.recent.append(told.at)
        if len(life.recent) == CHATTERS and told.at - life.recent[0] < MINUTE:
            for tally in self._of(told.area):
                tally.chattering[told.alarm] += 1
        if life.fled is not None:
            if told.at - life.fled >= FLEETING:
                self._flee(told.alarm, life)
            life.fled = None
        if told.change is not Change.RE_ALARMED:
            life.rang = told.at
        life.unanswered = told.at

    def _flee(self, alarm: str, life: _Life) -> None:
        for tally in self._of(life.area):
            tally.fleeting[alarm] += 1

    def _answer(self, told: Transition) -> None:
        """Count how long people took, and how long it stood, by what ends either."""
        life = self._lives.get(told.alarm)
        if life is None:
            return
        if told.change is Change.ACKNOWLEDGED and life.unanswered is not None:
            for tally in self._of(told.area):
                tally.to_acknowledge.add(told.at - life.unanswered)
            life.unanswered = None
        elif told.change in _RETURNS and life.rang is not None:
            stood = told.at - life.rang
            for tally in self._of(told.area):
                tally.to_return.add(stood)
            if stood < FLEETING and life.unanswered is not None:
                life.fled = told.at
            life.rang = None

    def _stand(self, told: Transition) -> None:
        """Follow since when people see an alarm as active; the first word tells of before, too."""
        stood, stands = told.before in _STANDING, told.after in _STANDING
        if stood and told.alarm not in self._met:
            self._standing[told.alarm] = (told.area, told.at if told.since is None else told.since)
        self._met.add(told.alarm)
        if stands:
            self._standing.setdefault(told.alarm, (told.area, told.at))
        elif begun := self._standing.pop(told.alarm, None):
            self._stood(told.alarm, *begun, told.at)

    def _stood(self, alarm: str, area: str, since: int, until: int) -> None:
        """Count an alarm as stale on each day on which it had stood for more than 24 hours."""
        first, last = max(since + STALE, self.start), min(until, self.end)
        if first >= last:
            return
        for day in range(first // DAY, (last - 1) // DAY + 1):
            for tally in self._of(area):
                tally.stale[day].add(alarm)
