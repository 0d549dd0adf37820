"""``store export`` and ``store verify``: archives that outlive cytowatch, and whether they hold."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from monitor.cli.exits import FOUND, IO_ERROR, Failure, clearing_away, leave
from monitor.cli.options import INSTANT, NEW_FILE, json_option, socket_option

if TYPE_CHECKING:
    from monitor.operators.protocol import ArchiveRequest
    from monitor.store.archive import Manifest, Piece, Plan
    from monitor.store.errors import StoreError
    from monitor.store.verify import Verdict

Numbers = tuple[int | None, int | None]


class _Found(NamedTuple):
    """What was found of one file."""

    path: Path
    manifest: "Manifest | None"
    """Of an archive."""
    verdict: "Verdict"
    seam: tuple[str, ...] = ()
    """Why it does not go on where the archive before ends."""

    @property
    def problems(self) -> tuple[str, ...]:
        return (*self.verdict.problems, *self.seam)


def _numbers(_: click.Context, __: click.Parameter, value: str | None) -> Numbers:
    found = re.fullmatch(r"(\d{1,18})?-(\d{1,18})?", value or "-")
    if not found:
        raise click.BadParameter(f"{value}: write FIRST-LAST, or leave one of them out")
    first, last = (int(text) if text else None for text in found.groups())
    return first, last


@click.command("export")
@click.argument("archive", type=NEW_FILE)
@click.option("--from", "start", type=INSTANT, help="A time, or how long ago: 30d.")
@click.option("--to", "end", type=INSTANT, help="Not included; now, when not said.")
@click.option(
    "--events", callback=_numbers, help="FIRST-LAST: numbers of events, in place of times."
)
@click.option(
    "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="From a backup or the store of a stopped daemon, and not from the daemon.",
)  # fmt: skip
@json_option
@socket_option
def export_archive(
    archive: Path,
    start: int | None,
    end: int | None,
    events: Numbers,
    file: Path | None,
    as_json: bool,
    socket_path: Path,
) -> None:
    """Write the record, or a span of it, to ARCHIVE: one ZIP file that needs no cytowatch.

    Events, readings and configurations, with all that it takes to check them; README.txt in it
    says how. A running daemon puts on the record who had it. Nothing is ever overwritten.
    """
    from monitor.operators.protocol import ArchiveRequest
    from monitor.store.errors import StoreError
    from monitor.store.packing import pack
    from monitor.store.unpacking import verify_archive

    if (start or end) and events != (None, None):
        raise click.UsageError("say times, or numbers of events")
    request = ArchiveRequest(start=start, end=end, first=events[0], last=events[1])
    rows = _from_file(file, request) if file else _from_daemon(socket_path, request)
    try:
        with clearing_away():
            manifest = pack(archive, understood_as(rows))
        _, verdict = verify_archive(archive)
    except StoreError as error:
        raise Failure(str(error), IO_ERROR) from error
    if as_json:
        click.echo(manifest.model_dump_json(by_alias=True))
    else:
        click.echo(f"{archive}  {archive.stat().st_size} bytes: {_covers(manifest)}")
        click.echo(f"before {manifest.before}\nhead {manifest.after}")
    _say(verdict.problems, err=True)
    leave(0 if verdict.whole else FOUND)


@click.command("verify")
@click.argument("files", type=click.Path(path_type=Path, dir_okay=False), nargs=-1)
@click.option("--head", default="", help="A chain head that was published before (digest).")
@json_option
@socket_option
def verify(files: Sequence[Path], head: str, as_json: bool, socket_path: Path) -> None:
    """Go through the chain of FILES, or of the running daemon's store; exit 1 if anything is amiss.

    Each is a store or an archive of one. Finds edits, deletions and reorderings; truncation with a
    head that was published before. Archives are given in their order, and have to adjoin.
    One that cannot be read does not keep the others from being looked at; exit 74 if that is all.
    """
    from monitor.store.errors import StoreError

    _check_head(head)
    codes = {0}
    for found in _verdicts(files or [_path(socket_path)], head):
        if isinstance(found, StoreError):
            Failure(str(found), IO_ERROR).show()
            codes.add(IO_ERROR)
            continue
        if as_json:
            told = {"path": str(found.path), **asdict(found.verdict), "problems": found.problems}
            click.echo(json.dumps({"schema": "cytowatch.verdict.v1", **told}))
        else:
            _tell(found)
        codes.add(FOUND if found.problems else 0)
    leave(FOUND if FOUND in codes else max(codes))


def _check_head(head: str) -> None:
    from monitor.store.chain import read_whole

    try:
        if head:
            read_whole(head)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--head") from error


def _verdicts(files: Sequence[Path], head: str) -> Iterator["_Found | StoreError"]:
    """Each archive is held against the one before, and ``head`` against the one it should be in."""
    from monitor.store.errors import StoreError
    from monitor.store.unpacking import heads_for, is_archive, seam_problems, verify_archive
    from monitor.store.verify import verify as verify_store

    archives = [file for file in files if is_archive(file)]
    heads = dict(zip(archives, heads_for(archives, head), strict=True))
    before = None
    for file in files:
        try:
            if file not in heads:
                yield _Found(file, None, verify_store(file, head))
                continue
            manifest, verdict = verify_archive(file, heads[file])
        except StoreError as error:
            yield error
            before = None
            continue
        seam = tuple(seam_problems(before, manifest)) if before else ()
        before = manifest
        yield _Found(file, manifest, verdict, seam)


def _tell(found: _Found) -> None:
    path, manifest, verdict, seam = found
    _say(found.problems)
    said = "whole" if verdict.whole else "NOT as it was written"
    if seam:
        said += ", and does NOT follow the one before"
    covers = f"{verdict.events} events, {verdict.blobs} blobs"
    click.echo(f"{path}: {said}: {_covers(manifest) if manifest else covers}")
    if manifest:
        click.echo(f"before {verdict.before}")
    click.echo(f"head {verdict.head}")


def _covers(manifest: "Manifest") -> str:
    from config.problems import plain

    events, readings = manifest.events, manifest.readings
    of = [f"events {events.first} to {events.last}"] if events.count else []
    of += [f"blobs {readings.first} to {readings.last}"] if readings.count else []
    return plain(f"{manifest.gateway} at {manifest.site}, {', '.join(of)}, made {manifest.made}")


def _say(problems: Sequence[str], *, err: bool = False) -> None:
    from config.problems import plain

    for problem in problems:
        click.echo(plain(problem), err=err)


def understood_as(rows: Iterator[str]) -> Iterator["Plan | Piece | Manifest"]:
    """Give what the daemon says of an archive as it is to be written."""
    from base64 import b64decode

    from monitor.cli.client import understood
    from monitor.operators.protocol import ArchivePieceMessage, ArchivePlanMessage
    from monitor.store.archive import Manifest, Piece, Plan

    for row in rows:
        if row.startswith('{"schema":"cytowatch.archive_piece.'):
            piece = understood(ArchivePieceMessage, row)
            yield Piece(piece.member, b64decode(piece.data))
        elif row.startswith('{"schema":"cytowatch.archive_plan.'):
            plan = understood(ArchivePlanMessage, row)
            yield Plan(plan.bytes, Path(plan.store))
        else:
            yield understood(Manifest, row)


def _from_daemon(socket_path: Path, request: "ArchiveRequest") -> Iterator[str]:
    """Ask when the first is drawn: what cannot be written is not asked for."""
    from monitor.cli.client import ask

    yield from ask(socket_path, request)


def _from_file(file: Path, request: "ArchiveRequest") -> Iterator[str]:
    from monitor.operators.archives import Maker, archived
    from monitor.store.reader import Reader

    with Reader(file) as reader:
        yield from archived(request, reader, Maker(made=time.time_ns()))


def _path(socket_path: Path) -> Path:
    from monitor.cli.client import ask_for
    from monitor.operators.protocol import StoreStatusMessage, StoreStatusRequest

    [found] = ask_for(socket_path, StoreStatusRequest(), StoreStatusMessage)
    return Path(found.path)
