"""The band of values in which nothing can change: what makes the good case cheap.

Between two scans of a steady channel a value inside its band leaves every fact of its alarms as
it is, so one comparison stands for all of its rules. Whatever waits for time or for another
reading (``restless``) is looked at on every scan instead, wherever its value lies.
What a rule asks beside the value (does it stand still?) is looked at apart (``inputs``).
The two values of a state lie in bands as numbers do; a text has ``Words`` instead.
"""

from math import inf
from typing import NamedTuple

from config.rules import (
    Deviation,
    Discrepancy,
    High,
    Low,
    OffNormal,
    Rate,
    Repeated,
    Rule,
    StatusBits,
)
from monitor.alarms.facts import Alarm, State
from monitor.alarms.verdict import Compared, clear_of, tolerated

Band = tuple[float, float]
"""Lowest and highest value, both inside."""

EVERYWHERE: Band = (-inf, inf)
NOWHERE: Band = (inf, -inf)


class Words(NamedTuple):
    """The words of a text in which nothing can change: these, or all but these."""

    words: frozenset[object] = frozenset()
    but: bool = True

    def has(self, word: object) -> bool:
        """Whether nothing changes at ``word``."""
        return (word in self.words) is not self.but

    def within(self, other: "Words") -> "Words":
        """Return the words that are in both."""
        if self.but and other.but:
            return Words(self.words | other.words)
        if self.but:
            return Words(other.words - self.words, but=False)
        if other.but:
            return Words(self.words - other.words, but=False)
        return Words(self.words & other.words, but=False)


ANYTHING = Words()


def band(rule: Rule, alarm: Alarm, other: float | None = None) -> Band:
    """Return where a good value changes nothing of an ``alarm`` that is not ``restless``.

    ``other`` is what it is compared with, where it is; None while that cannot be used.
    """
    match rule:
        case High():
            still = (clear_of(rule), _peak(rule, alarm)) if alarm.active else (-inf, rule.limit)
        case Low():
            still = (_peak(rule, alarm), clear_of(rule)) if alarm.active else (rule.limit, inf)
        case OffNormal():
            states = [state for state in (False, True) if rule.is_off(state) is alarm.active]
            still = (min(states), max(states)) if states else NOWHERE
        case Deviation() | Discrepancy():
            still = NOWHERE if alarm.active else _around(rule, other)
        case Rate():
            still = NOWHERE
        case Repeated():
            still = NOWHERE if alarm.samples else _between(rule.low, rule.high)
        case StatusBits():
            # Below the lowest of the bits none is set; above it no stretch of numbers is steady.
            still = 0, 2 ** min(rule.bits) - 1
        case _:
            still = EVERYWHERE
    return still


def words(rule: Rule, alarm: Alarm) -> Words:
    """Return what ``band`` does, for a channel whose values are words."""
    if not isinstance(rule, OffNormal):
        return ANYTHING
    named = rule.off_normal or rule.normal
    return Words(frozenset(named), but=bool(rule.off_normal) is not alarm.active)


def narrower(one: Band, other: Band) -> Band:
    """Return the band that lies inside both."""
    return max(one[0], other[0]), min(one[1], other[1])


def restless(rule: Rule, alarm: Alarm) -> bool:
    """Whether ``alarm`` must be looked at on every scan: a timer, a gate, or no band to rest in."""
    return (
        alarm.pending is not None
        or alarm.inside_since is not None
        or alarm.silenced
        or (alarm.acknowledged_at is not None and rule.re_alarm is not None)
        or _is_to_escalate(rule, alarm)
        or (alarm.active and not isinstance(rule, High | Low | OffNormal))
    )


def _is_to_escalate(rule: Rule, alarm: Alarm) -> bool:
    holds = alarm.active or alarm.latched
    return holds and alarm.asks and alarm.escalations < len(rule.steps)


def awake(alarm: Alarm) -> bool:
    """Whether ``alarm`` is anything but at peace: what an outage has to be told of."""
    return alarm.pending is not None or alarm.state is not State.NORMAL


def _around(rule: Compared, other: float | None) -> Band:
    if other is None:
        return EVERYWHERE
    above, below = tolerated(rule)
    return _between(
        None if below is None else other - below, None if above is None else other + above
    )


def _between(low: float | None, high: float | None) -> Band:
    return (-inf if low is None else low), (inf if high is None else high)


def _peak(rule: High | Low, alarm: Alarm) -> float:
    return rule.limit if alarm.peak is None else alarm.peak
