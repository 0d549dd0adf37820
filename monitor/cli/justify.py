"""Every alarm of a site's file with what it is for: the master alarm database of ISA-18.2. Pure.

The file is that database; here it is only laid out, for a review, or as JSON for another system.
"""

from collections.abc import Iterable, Iterator

from pydantic import JsonValue

from config.model import spell
from config.problems import plain
from config.rules import (
    High,
    Low,
    Rule,
    When,
)
from config.units import sign
from monitor.alarms.conditions import condition_of
from monitor.alarms.watch import Watched
from monitor.cli.words import quantity

SECOND = 10**9
NAMED = 3
"""Alarms of one definition that are named; of more, how many."""


def definition(watched: Watched) -> dict[str, JsonValue]:
    """Return an alarm as one object; durations are seconds."""
    rule = watched.rule
    return {
        "schema": "cytowatch.alarm_definition.v1",
        "alarm": watched.name,
        "area": watched.area,
        "kind": watched.kind,
        "rule": rule.kind,
        "condition": condition_of(watched, sign(watched.unit)),
        "unless": list(unless(rule, watched.unit)),
        "priority": rule.priority,
        "severity": rule.priority.severity,
        "class": rule.alarm_class,
        "on_delay": rule.on_delay / SECOND,
        "off_delay": rule.off_delay / SECOND,
        "delay_justification": rule.delay_justification,
        "latching": rule.latching,
        "confirm": rule.confirm,
        "re_alarm": _seconds(rule.re_alarm),
        "escalate": [
            {"after": each.after / SECOND, "to": rule.priority_after(number)}
            for number, each in enumerate(rule.steps, start=1)
        ],
        "reason_required": rule.reason_required,
        "shelvable": rule.shelvable,
        "longest_shelf": rule.longest_shelf / SECOND,
        "roles": list(rule.roles),
        "consequence": rule.consequence,
        "response": rule.response,
        "time_to_respond": _seconds(rule.time_to_respond),
    }


def _seconds(duration: int | None) -> float | None:
    return None if duration is None else duration / SECOND


def lines(alarms: Iterable[Watched]) -> Iterator[str]:
    """Yield the alarms as text, those of one definition together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for watched in alarms:
        alike.setdefault(tuple(_told(watched)), []).append(watched.name)
    for told, names in alike.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield plain(", ".join(names[:NAMED]) + more)
        yield from (f"    {plain(line)}" for line in told)


def _told(watched: Watched) -> Iterator[str]:
    rule = watched.rule
    delay = f", for {spell(rule.on_delay)}" if rule.on_delay else ""
    yield condition_of(watched, sign(watched.unit)) + delay
    yield from unless(rule, watched.unit)
    yield ", ".join(_handling(rule))
    yield f"consequence: {rule.consequence or '-'}"
    yield f"response: {rule.response or '-'}"
    yield f"time to respond: {'-' if rule.time_to_respond is None else spell(rule.time_to_respond)}"
    if rule.on_delay or rule.off_delay:
        yield f"delay is justified by: {rule.delay_justification or '-'}"


def _handling(rule: Rule) -> Iterator[str]:
    yield f"priority {rule.priority}"
    if rule.alarm_class:
        yield f"class {rule.alarm_class}"
    if rule.off_delay:
        yield f"back after {spell(rule.off_delay)}"
    if rule.latching:
        yield "latching"
    if rule.confirm:
        yield "to be confirmed"
    if rule.re_alarm:
        yield f"again {spell(rule.re_alarm)} after its acknowledgement"
    for number, each in enumerate(rule.steps, start=1):
        yield f"{rule.priority_after(number)} after {spell(each.after)} without an acknowledgement"
    yield f"shelved for {spell(rule.longest_shelf)} at most" if rule.shelvable else "never shelved"
    if rule.roles:
        yield f"by {' or '.join(rule.roles)}"


def gaps(alarms: Iterable[Watched]) -> dict[str, int]:
    """Return how many alarms do not say what a review asks for."""
    rules = [watched.rule for watched in alarms]
    return {
        "without a consequence": sum(not rule.consequence for rule in rules),
        "without a response": sum(not rule.response for rule in rules),
        "without a time to respond": sum(rule.time_to_respond is None for rule in rules),
        "delayed without a justification": sum(
            bool(rule.on_delay) and not rule.delay_justification for rule in rules
        ),
    }


def unless(rule: Rule, unit: str) -> Iterator[str]:
    """Yield what is different in some states and phases, in words."""
    if isinstance(rule, High | Low):
        for when in rule.when:
            yield f"{_where(when)}: {', '.join(_differences(when, unit))}"


def _where(when: When) -> str:
    states = [f"while {' or '.join(when.states)}"] if when.states else []
    phases = [f"in phase {' or '.join(when.phases)}"] if when.phases else []
    return ", ".join([*states, *phases])


def _differences(when: When, unit: str) -> Iterator[str]:
    if when.off:
        yield "off"
    if when.limit is not None:
        yield f"limit {quantity(when.limit, unit)}"
    if when.deadband is not None:
        yield f"deadband {quantity(when.deadband, unit)}"
    if when.on_delay is not None:
        yield f"for {spell(when.on_delay)}"
