"""What one reading says to one rule, before any delay. Pure."""

from datetime import date
from enum import Enum
from math import inf, isnan
from typing import assert_never

from config.rules import (
    CalibrationDue,
    Deviation,
    Discrepancy,
    Flatline,
    High,
    Low,
    OffNormal,
    Rate,
    Repeated,
    Rule,
    Silent,
    Stale,
    StatusBits,
    Unreadable,
)
from drivers.reading import Quality, Reason, Value
from monitor.alarms.facts import Alarm, Condition, Observation

_OLD = (Reason.LAST_USABLE, Reason.NOT_PROVEN)
"""Values that are not of now: they count as bad whatever quality they come with."""

Compared = Deviation | Discrepancy
"""Rules that hold a channel against another one."""
Measured = High | Low | Compared | Rate | Repeated
"""Rules that have a limit to go beyond, further or less far."""

_DAY_ZERO, _DAY = date(1970, 1, 1), 86_400 * 10**9
SLOWER = 0.9
"""The part of its limit below which a rate is back."""


class Verdict(Enum):
    """What a reading says to a rule, before any delay."""

    BEYOND = "beyond"
    """The condition holds."""
    WITHIN = "within"
    """Not beyond the limit, nor back past the deadband: begins nothing and ends nothing."""
    CLEAR = "clear"
    """The condition is gone."""
    UNKNOWN = "unknown"
    """Nothing can be said."""


def usable(observation: Observation) -> bool:
    """Whether a value is there, of now, and a number where it should be one."""
    value = observation.value
    return (
        observation.quality is not Quality.BAD
        and observation.reason not in _OLD
        and value is not None
        and not (isinstance(value, float) and isnan(value))
    )


def verdict(rule: Rule, alarm: Alarm, stimulus: Observation | Condition) -> Verdict:
    """Return what ``stimulus`` says to ``rule``, no delay considered."""
    if isinstance(stimulus, Condition):
        return _condition_verdict(stimulus.holds)
    if isinstance(rule, Unreadable):
        return Verdict.CLEAR if usable(stimulus) else Verdict.BEYOND
    if stimulus.value is None or not usable(stimulus):
        return Verdict.UNKNOWN
    said = _said(rule, alarm, stimulus, stimulus.value)
    doubted = stimulus.quality is Quality.UNCERTAIN and said is not Verdict.BEYOND
    # An uncertain reading may begin an alarm; that it is well, it cannot say.
    return Verdict.UNKNOWN if doubted else said


def _said(rule: Rule, alarm: Alarm, observation: Observation, value: Value) -> Verdict:
    """What a usable reading says, taken at its word."""
    match rule:
        case High() | Low():
            said = _level(rule, value)
        case Deviation() | Discrepancy():
            said = _apart(rule, value, observation.other)
        case Rate():
            said = _pace(rule, observation.rate)
        case Repeated():
            said = _so(sum(past(rule, one.value) for one in alarm.samples) >= rule.x)
        case OffNormal():
            said = _so(rule.is_off(value))
        case StatusBits():
            said = _status(rule, value)
        case Flatline():
            said = _flatness(alarm, observation, value)
        case Stale():
            said = _standstill(alarm, observation)
        case Unreadable() | Silent() | CalibrationDue():
            said = Verdict.UNKNOWN
        case _:
            assert_never(rule)
    return said


def beyond(rule: High | Low, value: float) -> bool:
    """Whether ``value`` is past the limit, strictly."""
    return value > rule.limit if isinstance(rule, High) else value < rule.limit


def past(rule: Repeated, value: float) -> bool:
    """Whether a single ``value`` lies past the limit, strictly."""
    too_high = rule.high is not None and value > rule.high
    return too_high or (rule.low is not None and value < rule.low)


def is_due(rule: CalibrationDue, day: date, at: int) -> bool:
    """Whether ``day`` (of UTC) has begun at record time ``at`` (ns), or will within ``ahead``."""
    return at >= (day - _DAY_ZERO).days * _DAY - rule.ahead


def clear_of(rule: High | Low) -> float:
    """Return the value that must be passed, strictly, on the way back."""
    if isinstance(rule, High):
        return rule.limit - rule.deadband
    return rule.limit + rule.deadband


def _level(rule: High | Low, value: Value) -> Verdict:
    if isinstance(value, str):
        return Verdict.UNKNOWN
    if beyond(rule, value):
        return Verdict.BEYOND
    threshold = clear_of(rule)
    back = value < threshold if isinstance(rule, High) else value > threshold
    return Verdict.CLEAR if back else Verdict.WITHIN


def figure(rule: Measured, observation: Observation) -> float | None:
    """Return what the limit of ``rule`` is held against: the value, or how far off it is."""
    value, other = observation.value, observation.other
    if value is None or isinstance(value, str):
        return None
    match rule:
        case High() | Low() | Repeated():
            return float(value)
        case Deviation():
            return None if other is None else value - other
        case Discrepancy():
            return None if other is None else abs(value - other)
        case Rate():
            return observation.rate
        case _:
            assert_never(rule)


def worse(rule: Measured, one: float, other: float) -> bool:
    """Whether a figure is further beyond than another."""
    match rule:
        case High():
            return one > other
        case Low():
            return one < other
        case Repeated():
            return one > other if rule.high is not None else one < other
        case Deviation() | Discrepancy() | Rate():
            return abs(one) > abs(other)
        case _:
            assert_never(rule)


def tolerated(rule: Compared) -> tuple[float | None, float | None]:
    """Return how far above and below the other channel's value it may lie (None: any distance)."""
    if isinstance(rule, Discrepancy):
        return rule.tolerance, rule.tolerance
    return rule.above, rule.below


def _apart(rule: Compared, value: Value, other: float | None) -> Verdict:
    above, below = tolerated(rule)
    if other is None or isinstance(value, str):
        return Verdict.UNKNOWN
    highest = inf if above is None else other + above
    lowest = -inf if below is None else other - below
    if not lowest <= value <= highest:
        return Verdict.BEYOND
    back = lowest + rule.deadband < value < highest - rule.deadband
    return Verdict.CLEAR if back else Verdict.WITHIN


def _pace(rule: Rate, rate: float | None) -> Verdict:
    if rate is None:
        return Verdict.UNKNOWN
    limits = (rate, rule.rising), (-rate, rule.falling)
    used = max((pace / limit for pace, limit in limits if limit is not None), default=0.0)
    if used > 1:
        return Verdict.BEYOND
    return Verdict.CLEAR if used < SLOWER else Verdict.WITHIN


def _status(rule: StatusBits, value: Value) -> Verdict:
    if not isinstance(value, int):
        return Verdict.UNKNOWN
    return _so(any(value >> bit & 1 for bit in rule.bits))


def _flatness(alarm: Alarm, observation: Observation, value: Value) -> Verdict:
    if alarm.standing is None:
        return _so(observation.unchanged_since is not None)
    return _so(value == alarm.standing)


def _standstill(alarm: Alarm, observation: Observation) -> Verdict:
    time = observation.source_time
    last = observation.previous_time if alarm.source_time is None else alarm.source_time
    if time is None or last is None:
        return Verdict.UNKNOWN
    return _so(time == last)


def _so(holds: bool) -> Verdict:  # noqa: FBT001 - it is the thing itself, not an option
    return Verdict.BEYOND if holds else Verdict.CLEAR


def _condition_verdict(holds: bool | None) -> Verdict:  # noqa: FBT001 - as above
    return Verdict.UNKNOWN if holds is None else _so(holds)
