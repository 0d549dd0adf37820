"""``export``: readings or events of a time span, for people's own tools.

Asked of the daemon, or read from a file: a backup, or the store of a daemon that is stopped.
"""

import csv
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from monitor.cli.exits import IO_ERROR, Failure, clearing_away
from monitor.cli.options import INSTANT, NEW_FILE, socket_option

if TYPE_CHECKING:
    from monitor.messages import Message
    from monitor.operators.protocol import ExportRequest


@click.command()
@click.option("--from", "start", type=INSTANT, required=True, help="A time, or how long ago: 2h.")
@click.option("--to", "end", type=INSTANT, help="Not included; now, when not said.")
@click.option("--equipment", "-e", help="Only this one.")
@click.option(
    "--what", type=click.Choice(["readings", "events"]), default="readings", show_default=True
)
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
@click.option("--output", "-o", type=NEW_FILE, help="Into this file.")
@click.option(
    "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="From a backup or the store of a stopped daemon, and not from the daemon.",
)  # fmt: skip
@socket_option
def export(
    start: int,
    end: int | None,
    equipment: str | None,
    what: str,
    form: str,
    as_json: bool,
    output: Path | None,
    file: Path | None,
    socket_path: Path,
) -> None:
    """Write readings or events of a time span, oldest first, as CSV or JSON lines."""
    from monitor.cli.client import ask
    from monitor.operators.protocol import ExportRequest

    asked = {"what": what, "start": start, "end": end or time.time_ns(), "equipment": equipment}
    request = ExportRequest.model_validate(asked)
    rows = _from_file(file, request) if file else ask(socket_path, request)
    with opened(output) as out:
        if form == "jsonl" or as_json:
            for row in rows:
                out.write(row + "\n")
        else:
            write_csv(request, rows, out)


def write_csv(request: "ExportRequest", rows: Iterator[str], out: TextIO) -> None:
    """Write rows (JSON objects) as CSV (RFC 4180), with a header; what is not there is empty."""
    from monitor.operators.protocol import EventMessage, ReadingMessage

    write_rows(ReadingMessage if request.what == "readings" else EventMessage, rows, out)


def write_rows(model: type["Message"], rows: Iterator[str], out: TextIO) -> None:
    """Write messages of one kind (JSON objects) as CSV, with a header."""
    names = [name for name in model.model_fields if name != "schema_"]
    writer = csv.writer(out)
    writer.writerow(names)
    for row in rows:
        fields: Mapping[str, object] = json.loads(row)
        writer.writerow([_cell(fields[name]) for name in names])


def _cell(value: object) -> object:
    """Numbers as Python writes them: they read back as the same; objects as JSON."""
    match value:
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        case bool():
            return str(value).lower()
        case _:
            return value


def _from_file(file: Path, request: "ExportRequest") -> Iterator[str]:
    from monitor.operators.answers import exported
    from monitor.store.errors import StoreError
    from monitor.store.reader import Reader

    try:
        with Reader(file) as reader:
            yield from exported(request, reader, reader.store_id)
    except StoreError as error:
        raise Failure(str(error), IO_ERROR) from error


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """Give stdout, or a file that gets its name when it is whole."""
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    from monitor.store.own import new_own

    part = output.with_name(f".{output.name}.part")
    try:
        with (
            clearing_away(),
            os.fdopen(new_own(part, 0o666), "w", encoding="utf-8", newline="") as out,
        ):
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(output)
    except OSError as error:
        raise Failure(f"{output}: {error.strerror}", IO_ERROR) from error
    finally:
        part.unlink(missing_ok=True)
