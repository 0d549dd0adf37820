"""``tail``: events as they happen, for as long as it is let."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.options import INSTANT, json_option, socket_option

if TYPE_CHECKING:
    from monitor.operators.protocol import EventMessage, TailRequest

BEAT = 1.0
"""Seconds without an event after which it is looked what of a flood is to be told."""
RETRY = 1.0
"""Seconds between two looks whether the daemon is back."""
PRIORITIES = ("low", "medium", "high", "critical")
STATES = (
    "normal",
    "unacknowledged",
    "acknowledged",
    "returned",
    "latched_unacknowledged",
    "latched_acknowledged",
    "unconfirmed",
    "shelved",
    "suppressed",
    "out_of_service",
    "ended",
)


@click.command()
@click.option("--equipment", "-e", multiple=True, help="Only this one; may be given again.")
@click.option("--priority", "-p", type=click.Choice(PRIORITIES), help="Only this one and worse.")
@click.option(
    "--state", "-s", "states", multiple=True, type=click.Choice(STATES), help="Only these."
)
@click.option("--since", type=INSTANT, help="Begin with what was then: 2h, or a time.")
@click.option(
    "-n", "last", default=10, show_default=True, type=click.IntRange(0, 100_000),
    help="Begin with the last so many.",
)  # fmt: skip
@click.option("--all", "acts", is_flag=True, help="Also the acts and refusals themselves.")
@click.option("--no-follow", is_flag=True, help="End with what is on the record now.")
@click.option("--every-event", is_flag=True, help="Tell each event of a flood, too.")
@click.option("--once", is_flag=True, help="End when the daemon goes away.")
@json_option
@socket_option
def tail(
    equipment: tuple[str, ...],
    priority: str | None,
    states: tuple[str, ...],
    since: int | None,
    last: int,
    acts: bool,
    no_follow: bool,
    every_event: bool,
    once: bool,
    as_json: bool,
    socket_path: Path,
) -> None:
    """Show events as they happen: alarms, lines, starts, gaps.

    A line says when, how urgent, what happened, to which alarm, the value against its limit, and
    the state after it. With --json an alarm's line is what goes out over MQTT, the same object.
    A flood (ten alarms in ten minutes, until fewer than five are left) is summed up every few
    seconds, while critical alarms keep a line each.
    """
    from monitor.operators.protocol import TailRequest

    request = TailRequest.model_validate(
        {
            "equipment": equipment,
            "priority": priority,
            "states": states,
            "since": since,
            "last": last,
            "acts": acts,
            "follow": not no_follow,
        }
    )
    if no_follow or every_event or as_json:
        for event in followed(socket_path, request, once=once or no_follow):
            click.echo(as_line(event, as_json=as_json))
        return
    from monitor.cli.floods import lines

    for line in lines(heard(socket_path, request, once=once, beat=BEAT)):
        click.echo(line)


def as_line(event: "EventMessage", *, as_json: bool) -> str:
    """Return the event as it is printed."""
    import json

    from monitor.cli.words import event_line

    if not as_json:
        return event_line(event)
    if event.kind == "alarm":
        return json.dumps(event.body, ensure_ascii=False, separators=(",", ":"))
    return event.model_dump_json(by_alias=True)


def followed(path: Path, request: "TailRequest", *, once: bool) -> Iterator["EventMessage"]:
    """Give events, going on where it was when the daemon is back after a break."""
    return (event for event in heard(path, request, once=once) if event is not None)


def heard(
    path: Path, request: "TailRequest", *, once: bool, beat: float | None = None
) -> Iterator["EventMessage | None"]:
    """``followed``, with a None whenever none came for ``beat`` seconds."""
    from monitor.cli.client import Gone, NoDaemon, connect, converse, understood
    from monitor.operators.protocol import EventMessage

    waiting = False
    while True:
        try:
            connection = connect(path)
            if waiting:
                click.echo("cytowatch: the daemon is back", err=True)
            waiting = False
            for text in converse(connection, request, beat=beat):
                event = understood(EventMessage, text) if text else None
                request = _from(request, event) if event else request
                yield event
        except Gone as gone:
            if once:
                raise
            click.echo(f"cytowatch: {gone.message}; waiting for it", err=True)
            waiting = True
        except NoDaemon:
            if not waiting:
                raise
        else:
            return
        time.sleep(RETRY)


def _from(request: "TailRequest", event: "EventMessage") -> "TailRequest":
    """The request that goes on after an event."""
    after = {"after": event.number, "store_id": event.store_id, "last": 0, "since": None}
    return request.model_copy(update=after)
