"""``store``: the durable record; dead letters are in ``letters``, archives in ``archives``."""

import json
import time
from pathlib import Path

import click

from monitor.cli.archives import export_archive, verify
from monitor.cli.exits import IO_ERROR, Failure
from monitor.cli.letters import dead_letters
from monitor.cli.options import json_option, socket_option


@click.group()
def store() -> None:
    """Look after the store: how full it is, whether it is as it was written, a copy of it."""


store.add_command(dead_letters)
store.add_command(export_archive)
store.add_command(verify)


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
