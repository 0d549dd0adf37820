"""``status``: how the gateway is."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.options import json_option, socket_option

if TYPE_CHECKING:
    from monitor.operators.protocol import LineStatus, SinkStatus, StatusMessage

COLOURS = {"up": "green", "down": "red", "starting": "yellow"}


@click.command()
@json_option
@socket_option
def status(as_json: bool, socket_path: Path) -> None:
    """Show how the gateway is: lines, sinks, store, clock, and how far the record goes."""
    from monitor.cli.client import ask_for
    from monitor.operators.protocol import StatusMessage, StatusRequest

    for message in ask_for(socket_path, StatusRequest(), StatusMessage):
        if as_json:
            click.echo(message.model_dump_json(by_alias=True))
        else:
            _show(message)


def _show(message: "StatusMessage") -> None:
    from monitor.cli.words import table

    for line in table(_facts(message)):
        click.echo(line)
    links: list[LineStatus | SinkStatus] = [*message.lines, *message.sinks]
    kinds = ["line"] * len(message.lines) + ["sink"] * len(message.sinks)
    rows = [
        (kind, link.name, link.state, link.since or "", _more(link))
        for kind, link in zip(kinds, links, strict=True)
    ]
    for link, line in zip(links, table(rows), strict=True):
        click.echo(click.style(line, fg=COLOURS[link.state]))


def _facts(message: "StatusMessage") -> list[tuple[str, str]]:
    from monitor.cli.words import figures

    clock = {True: "synchronised", False: "NOT synchronised", None: "not known"}
    return [
        ("gateway", f"{message.site}/{message.gateway}, cytowatch {message.version}"),
        ("running", f"pid {message.pid} since {message.started}"),
        ("time", f"{message.time}, clock {clock[message.clock_synchronised]}"),
        ("file", f"{message.config}: {message.equipment} equipments, {message.channels} channels"),
        (
            "alarms",
            f"{message.alarms_standing} standing, {message.alarms_unacknowledged} unacknowledged",
        ),
        ("record", f"scan {message.last_scan}, seq {message.last_seq}"),
        ("grid", _grid(message)),
        ("store", f"{message.store.store_id} in {message.store.path}"),
        *[("", f"{name}: {words}") for name, words in figures(message.store.figures)],
    ]


def _grid(message: "StatusMessage") -> str:
    grid = message.grid
    kept = f"{grid.visits} visits, {grid.skipped} skipped"
    return f"{kept}, off by {grid.deviation_ms_p99:.1f} ms (p99)"


def _more(link: "LineStatus | SinkStatus") -> str:
    from monitor.operators.protocol import SinkStatus

    behind = ""
    if isinstance(link, SinkStatus) and (link.telemetry_behind or link.events_behind):
        behind = f"behind by {link.telemetry_behind} blobs, {link.events_behind} events"
    return "; ".join(part for part in (link.text, behind, *_more_of(link)) if part)


def _more_of(link: "LineStatus | SinkStatus") -> list[str]:
    from monitor.operators.protocol import SinkStatus

    if not isinstance(link, SinkStatus):
        return []
    owed = [
        f"{each.consumer} owes receipts of {each.behind} events since {each.oldest}"
        for each in link.receipts
        if each.behind
    ]
    return [*link.warnings, *owed]
