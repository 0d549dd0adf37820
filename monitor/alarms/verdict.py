"""What one reading says to one rule, before any delay. Pure."""

from enum import Enum
from math import isnan
from typing import assert_never

from config.rules import High, Low, OffNormal, Rule, Silent, Stale, Unreadable
from drivers.reading import Quality, Reason
from monitor.alarms.facts import Alarm, Condition, Observation

_OLD = (Reason.LAST_USABLE, Reason.NOT_PROVEN)
"""Values that are not of now: they count as bad whatever quality they come with."""


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
    match rule:
        case High() | Low():
            return _doubted(_level(rule, stimulus), stimulus)
        case OffNormal():
            return _doubted(_normality(rule, stimulus), stimulus)
        case Unreadable():
            return Verdict.CLEAR if usable(stimulus) else Verdict.BEYOND
        case Stale():
            return _doubted(_standstill(alarm, stimulus), stimulus)
        case Silent():
            return Verdict.UNKNOWN
        case _:
            assert_never(rule)


def beyond(rule: High | Low, value: float) -> bool:
    """Whether ``value`` is past the limit, strictly."""
    return value > rule.limit if isinstance(rule, High) else value < rule.limit


def clear_of(rule: High | Low) -> float:
    """Return the value that must be passed, strictly, on the way back."""
    if isinstance(rule, High):
        return rule.limit - rule.deadband
    return rule.limit + rule.deadband


def _level(rule: High | Low, observation: Observation) -> Verdict:
    value = observation.value
    if value is None or isinstance(value, str) or not usable(observation):
        return Verdict.UNKNOWN
    if beyond(rule, value):
        return Verdict.BEYOND
    threshold = clear_of(rule)
    back = value < threshold if isinstance(rule, High) else value > threshold
    return Verdict.CLEAR if back else Verdict.WITHIN


def _normality(rule: OffNormal, observation: Observation) -> Verdict:
    value = observation.value
    if value is None or not usable(observation):
        return Verdict.UNKNOWN
    return Verdict.BEYOND if rule.is_off(value) else Verdict.CLEAR


def _standstill(alarm: Alarm, observation: Observation) -> Verdict:
    time = observation.source_time
    last = observation.previous_time if alarm.source_time is None else alarm.source_time
    if time is None or last is None or not usable(observation):
        return Verdict.UNKNOWN
    return Verdict.BEYOND if time == last else Verdict.CLEAR


def _doubted(verdict: Verdict, observation: Observation) -> Verdict:
    """An uncertain reading may begin an alarm; that it is well, it cannot say."""
    if observation.quality is Quality.UNCERTAIN and verdict is not Verdict.BEYOND:
        return Verdict.UNKNOWN
    return verdict


def _condition_verdict(holds: bool | None) -> Verdict:  # noqa: FBT001 - it is the thing itself, not an option
    if holds is None:
        return Verdict.UNKNOWN
    return Verdict.BEYOND if holds else Verdict.CLEAR
