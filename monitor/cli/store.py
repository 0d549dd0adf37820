"""``store status|verify|backup|compact``: the durable record; dead letters are in ``letters``."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from monitor.cli.exits import FOUND, IO_ERROR, Failure, leave
from monitor.cli.letters import dead_letters
from monitor.cli.options import json_option, socket_option


@click.group()
def store() -> None:
    """Look after the store: how full it is, whether it is as it was written, a copy of it."""


store.add_command(dead_letters)


@store.command("status")
@json_option
@socket_option
def status(as_json: bool, socket_path: Path) -> None:
    """Show how the store is."""
    from monitor.cli.client import ask_for
    from monitor.cli.words import figures, table
    from monitor.operators.protocol import StoreStatusMessage, StoreStatusRequest

    for found in ask_for(socket_path, StoreStatusRequest(), StoreStatusMessage):
        if as_json:
            click.echo(found.model_dump_json(by_alias=True))
            continue
        facts = found.model_dump(exclude={"schema_", "figures"})
        rows = [(name.replace("_", " "), str(fact)) for name, fact in facts.items()]
        for line in table(rows + figures(found.figures)):
            click.echo(line)


@store.command("verify")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--head", default="", help="A chain head that was published before (digest).")
@json_option
@socket_option
def verify(file: Path | None, head: str, as_json: bool, socket_path: Path) -> None:
    """Go through the chain of FILE, or of the running daemon's store; exit 1 if anything is amiss.

    Finds edits, deletions and reorderings; truncation with a head that was published before.
    """
    from config.problems import plain
    from monitor.store.errors import StoreError
    from monitor.store.verify import verify as gone_through

    path = file or _path(socket_path)
    try:
        verdict = gone_through(path, head)
    except StoreError as error:
        raise Failure(str(error), IO_ERROR) from error
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--head") from error
    if as_json:
        click.echo(json.dumps({"schema": "cytowatch.verdict.v1", **asdict(verdict)}))
    else:
        for problem in verdict.problems:
            click.echo(plain(problem))
        said = "whole" if verdict.whole else "NOT as it was written"
        click.echo(f"{path}: {said}: {verdict.events} events, {verdict.blobs} blobs")
        click.echo(f"head {verdict.head}")
    leave(0 if verdict.whole else FOUND)


@store.command("backup")
@click.argument("name", required=False)
@json_option
@socket_option
def backup(name: str | None, as_json: bool, socket_path: Path) -> None:
    """Copy the store, while it is in use, into the folder backups beside it, under NAME."""
    from pydantic import ValidationError

    from config.problems import plain
    from monitor.cli.client import ask_for
    from monitor.operators.protocol import BackupMessage, BackupRequest

    named = name or time.strftime("cytowatch-%Y%m%dT%H%M%SZ.db", time.gmtime())
    try:
        request = BackupRequest(name=named)
    except ValidationError:
        raise click.BadParameter("a file name of letters, digits, dot, _ and -") from None
    for made in ask_for(socket_path, request, BackupMessage):
        text = made.model_dump_json(by_alias=True)
        click.echo(text if as_json else plain(f"{made.path}  {made.bytes} bytes"))


@store.command("compact")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@json_option
def compact(file: Path, as_json: bool) -> None:
    """Rewrite the store FILE without the room that readings left; the daemon must be stopped.

    What is freed inside the file is used again by the daemon: this is for a quota that was lowered.
    """
    from config.problems import plain
    from monitor.store.compact import compact as rewrite
    from monitor.store.errors import StoreError

    try:
        before, after = rewrite(file)
    except StoreError as error:
        raise Failure(str(error), IO_ERROR) from error
    if as_json:
        told = {"path": str(file), "bytes_before": before, "bytes": after}
        click.echo(json.dumps({"schema": "cytowatch.compacted.v1", **told}))
    else:
        click.echo(plain(f"{file}  {before} bytes, now {after}"))


def _path(socket_path: Path) -> Path:
    from monitor.cli.client import ask_for
    from monitor.operators.protocol import StoreStatusMessage, StoreStatusRequest

    [found] = ask_for(socket_path, StoreStatusRequest(), StoreStatusMessage)
    return Path(found.path)
