"""When an alarm is raised and when it returns, in words: for messages, pages and reviews. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import assert_never

from config.model import spell
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
from monitor.alarms.watch import Watched


def condition_of(watched: Watched, unit: str) -> str:
    """Return ``condition`` of an alarm at its place."""
    if watched.equipment == "gateway" and not watched.line:
        return watched.rule_name.replace("-", " ")  # a trouble of its own: its name says which
    return condition(watched.rule, unit, watched.states, watched.day)


def condition(  # noqa: C901, PLR0911, PLR0912 - an arm for each rule
    rule: Rule, unit: str, states: Mapping[int, str], day: date | None = None
) -> str:
    """Return in words when the alarm of ``rule`` is raised, and when it returns.

    ``unit`` is the channel's, as it is to be shown; ``states`` are the names of a channel that has
    states; ``day`` is when the calibration is due.
    """
    match rule:
        case High():
            return _beyond("above", "below", rule.limit, -rule.deadband, unit)
        case Low():
            return _beyond("below", "above", rule.limit, rule.deadband, unit)
        case OffNormal():
            words = [_word(each, states) for each in rule.off_normal or rule.normal]
            return f"is {'' if rule.off_normal else 'anything but '}{' or '.join(words)}"
        case Deviation():
            over = [f"{_quantity(rule.above, unit)} over"] if rule.above is not None else []
            under = [f"{_quantity(rule.below, unit)} under"] if rule.below is not None else []
            return f"more than {' or '.join(over + under)} {rule.setpoint}{_less(rule, unit)}"
        case Discrepancy():
            width = _quantity(rule.tolerance, unit)
            return f"differs from {rule.against} by more than {width}{_less(rule, unit)}"
        case Rate():
            up = [f"rises by {_quantity(rule.rising, unit)}"] if rule.rising is not None else []
            down = [f"falls by {_quantity(rule.falling, unit)}"] if rule.falling is not None else []
            ways = " or ".join(up + down)
            return f"{ways} in {spell(rule.per)} or faster, over {spell(rule.window)}"
        case Flatline():
            return f"does not change at all for {spell(rule.flatline)}"
        case Repeated():
            side, limit = ("below", rule.low) if rule.high is None else ("above", rule.high)
            return f"{rule.x} of {rule.of} readings are {side} {_quantity(limit, unit)}"
        case StatusBits():
            return f"one of the bits {', '.join(map(str, rule.bits))} is set"
        case CalibrationDue():
            ahead = f"is due within {spell(rule.ahead)}" if rule.ahead else "was due"
            return f"calibration {ahead}{f' ({day})' if day else ''}"
        case Unreadable():
            return "gives no usable reading"
        case Stale():
            return "its own time stands still"
        case Silent():
            return "does not answer"
        case _:
            assert_never(rule)


def _beyond(side: str, back: str, limit: float, deadband: float, unit: str) -> str:
    text = f"{side} {_quantity(limit, unit)}"
    return f"{text}, back {back} {_quantity(limit + deadband, unit)}" if deadband else text


def _less(rule: Deviation | Discrepancy, unit: str) -> str:
    return f", back with {_quantity(rule.deadband, unit)} less" if rule.deadband else ""


def _word(state: bool | str, states: Mapping[int, str]) -> str:  # noqa: FBT001 - it is the state, not an option
    return states.get(int(state), str(state)) if isinstance(state, bool) else state


def _quantity(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.6g} {unit}".rstrip()
