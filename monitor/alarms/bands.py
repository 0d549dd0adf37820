"""The band of values in which nothing can change: what makes the good case cheap.

Between two scans of a steady channel a value inside its band leaves every fact of its alarms as
it is, so one comparison stands for all of its rules. Whatever waits for time or for another
reading (``restless``) is looked at on every scan instead, wherever its value lies.
"""

from math import inf

from config.rules import High, Low, Rule
from monitor.alarms.engine import clear_of
from monitor.alarms.facts import Alarm, State

Band = tuple[float, float]
"""Lowest and highest value, both inside."""

EVERYWHERE: Band = (-inf, inf)


def band(rule: Rule, alarm: Alarm) -> Band:
    """Return where a good value changes nothing of an ``alarm`` that is not ``restless``."""
    match rule:
        case High():
            return (clear_of(rule), _peak(rule, alarm)) if alarm.active else (-inf, rule.limit)
        case Low():
            return (_peak(rule, alarm), clear_of(rule)) if alarm.active else (rule.limit, inf)
        case _:
            return EVERYWHERE


def narrower(one: Band, other: Band) -> Band:
    """Return the band that lies inside both."""
    return max(one[0], other[0]), min(one[1], other[1])


def restless(rule: Rule, alarm: Alarm) -> bool:
    """Whether ``alarm`` must be looked at on every scan: a timer, a gate, or no band to rest in."""
    return (
        alarm.pending is not None
        or alarm.inside_since is not None
        or alarm.shelved_until is not None
        or alarm.suppressed_by != ""
        or (alarm.active and not isinstance(rule, High | Low))
    )


def awake(alarm: Alarm) -> bool:
    """Whether ``alarm`` is anything but at peace: what an outage has to be told of."""
    return alarm.pending is not None or alarm.state is not State.NORMAL


def _peak(rule: High | Low, alarm: Alarm) -> float:
    return rule.limit if alarm.peak is None else alarm.peak
