"""How ``tail`` tells of a flood: in a line every few seconds, while critical alarms keep theirs."""

import time
from collections.abc import Iterable, Iterator

import click

from config.problems import plain
from monitor.alarms.flood_summary import FloodSummary, Heard, Phase, Summary
from monitor.alarms.performance import SECOND, Transition, nanoseconds, transition
from monitor.cli.report import duration
from monitor.cli.words import event_line
from monitor.messages import rfc3339
from monitor.operators.protocol import EventMessage

EXCURSION = "excursion"


def lines(events: Iterable[EventMessage | None]) -> Iterator[str]:
    """Give what is printed of events; None is a moment in which none came."""
    flood = FloodSummary()
    for event in events:
        if event is None:
            yield from map(summary_line, flood.advance(time.time_ns()))
            continue
        heard = _heard(flood, event)
        yield from map(summary_line, heard.before)
        if heard.shown:
            yield event_line(event)
        yield from map(summary_line, heard.after)


def _heard(flood: FloodSummary, event: EventMessage) -> Heard:
    if event.kind == EXCURSION:
        return flood.count(EXCURSION, nanoseconds(event.time))
    told = _transition(event)
    return Heard((), shown=True, after=()) if told is None else flood.take(told)


def _transition(event: EventMessage) -> Transition | None:
    """Read a transition; None for anything else, and for what another release recorded."""
    if event.kind != "alarm":
        return None
    try:
        return transition(event.body)
    except (KeyError, ValueError):
        return None


def summary_line(summary: Summary) -> str:
    """Return one line on a flood."""
    text = "  ".join([rfc3339(summary.at), "- -       ", "FLOOD       ", _told(summary)])
    return click.style(plain(text), fg="magenta", bold=True)


def _told(summary: Summary) -> str:
    flood = summary.flood
    match summary.phase:
        case Phase.BEGAN:
            lasted = duration((summary.at - flood.first) / SECOND)
            head = f"begins: {flood.alarms} alarms in {lasted}; first {summary.first_out}"
            return _joined(head, _where(summary), "from now on in summaries, critical ones singly")
        case Phase.ON:
            so_far = f"{flood.alarms} in all, first {summary.first_out}"
            return _joined(_counts(summary), _worst(summary), _where(summary), so_far)
        case Phase.OVER:
            lasted = duration((summary.at - flood.start) / SECOND)
            head = f"over after {lasted}: {flood.alarms} alarms, {flood.peak} in the worst 10 min"
            see = f"all of it: cytowatch tail --since {rfc3339(flood.first)} --no-follow"
            first = f"first {summary.first_out}"
            return _joined(head, _counts(summary), _worst(summary), _where(summary), first, see)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _counts(summary: Summary) -> str:
    several = {EXCURSION: f"{EXCURSION}s"}
    return ", ".join(
        f"{count} {several.get(kind, kind) if count > 1 else kind}"
        for kind, count in summary.counts
    )


def _worst(summary: Summary) -> str:
    return f"worst {summary.worst} {summary.worst_alarm}" if summary.worst else ""


def _where(summary: Summary) -> str:
    areas = ", ".join(f"{area or 'gateway'} {count}" for area, count in summary.areas)
    equipment = ", ".join(f"{name} {count}" for name, count in summary.equipment)
    return f"{areas} ({equipment})" if areas else ""
