"""What messages look like to people: one line each, the same in a pipe as on a terminal. Pure.

Colour only repeats what a word says. Whatever a device or a person typed is made harmless first.
"""

import json
from collections.abc import Sequence

import click
from pydantic import JsonValue, ValidationError

from monitor.messages import AlarmEventMessage, AlarmMessage
from monitor.operators.protocol import EventMessage, ValueMessage

COLOURS = {"critical": "bright_red", "high": "red", "medium": "yellow", "low": "cyan"}
GRADES = {"good": None, "uncertain": "yellow", "bad": "red"}
SHOWN = 80
"""Characters of a value in a note."""


def plain(text: str) -> str:
    """Return the text without anything that a terminal obeys: controls, escapes, bidi marks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def figure(value: float | bool | str | None) -> str:
    """Return a value as it is shown: at most six significant digits; ``-`` where there is none."""
    match value:
        case None:
            return "-"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)


def letter(priority: str) -> str:
    """Return the priority by letter and word."""
    return f"{priority[:1].upper()} {priority:<8}"


def event_line(event: EventMessage) -> str:
    """Return an event as one line, coloured by its priority."""
    if event.kind != "alarm":
        return click.style(plain(_note(event)), dim=True)
    try:
        told = AlarmEventMessage.model_validate(event.body)
    except ValidationError:
        # Recorded by another release; its words are still worth showing.
        return plain(_note(event))
    return _coloured(plain(_transition(told)), told)


def alarm_line(alarm: AlarmMessage) -> str:
    """Return an alarm that stands as one line, coloured by its priority."""
    mark = " " if alarm.acked_state else "!"
    parts = [
        f"{mark} {letter(alarm.priority)}",
        f"{alarm.state:<22}",
        alarm.alarm,
        _against(alarm),
        f"since {alarm.alarm_time}" if alarm.alarm_time else "",
        f"until {alarm.shelved_until}" if alarm.shelved_until else "",
        _because(alarm),
        alarm.response if alarm.active_state else "",
    ]
    return _coloured(plain("  ".join(part for part in parts if part)), alarm)


def value_line(value: ValueMessage) -> str:
    """Return what a channel says as one line."""
    age = "-" if value.age is None else f"{value.age:.1f} s"
    name = f"{value.equipment}/{value.channel}"
    quality = f"{value.quality} ({value.reason})" if value.reason else value.quality
    said = f"{figure(value.value)} {value.unit}".rstrip()
    text = plain(f"{name:<36}  {said:>14}  {age:>8}  {quality}")
    return click.style(text, fg=GRADES[value.quality])


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with their columns aligned."""
    safe = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in safe
    ]


def _transition(told: AlarmEventMessage) -> str:
    parts = [
        told.time,
        letter(told.priority),
        f"{told.change.upper():<12}",
        told.alarm,
        _against(told),
        f"[{told.after}]",
        _because(told),
        _who(told),
        told.response if told.change.startswith("raised") else "",
    ]
    return "  ".join(part for part in parts if part)


def _against(alarm: AlarmMessage) -> str:
    limit = "" if alarm.limit is None else f" (limit {figure(alarm.limit)})"
    said = f"{figure(alarm.value)} {alarm.unit}".rstrip()
    return "" if alarm.value is None and alarm.limit is None else said + limit


def _because(alarm: AlarmMessage) -> str:
    cause = alarm.suppressed_by or alarm.superseded_by
    return f"(behind {cause})" if cause else ""


def _who(told: AlarmEventMessage) -> str:
    if not told.actor:
        return ""
    name = f"{told.actor} (as {told.claimed})" if told.claimed else told.actor
    return f"by {name}: {told.comment}" if told.comment else f"by {name}"


def _note(event: EventMessage) -> str:
    facts = {key: value for key, value in event.body.items() if value not in (None, "")}
    body = " ".join(f"{key}={_short(value)}" for key, value in facts.items())
    kind = event.kind.upper()
    return "  ".join(
        part for part in (event.time, "- -       ", f"{kind:<12}", event.subject, body) if part
    )


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _coloured(text: str, alarm: AlarmMessage) -> str:
    if not alarm.active_state:
        return click.style(text, fg="green" if alarm.acked_state else None)
    urgent = alarm.priority == "critical" and not alarm.acked_state
    return click.style(text, fg=COLOURS.get(alarm.priority), bold=urgent or None)
