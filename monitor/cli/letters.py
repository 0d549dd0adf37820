"""``store dead-letters list|export|replay|drop``: what a database refused for good."""

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from monitor.cli.exits import FOUND, IO_ERROR, Failure, leave
from monitor.cli.options import json_option, socket_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.operators.protocol import AskLetter, DeadLetterMessage, LetterReply

why_option = click.option("--reason", "-r", default="", help="Why; kept on the record.")
who_option = click.option("--as", "claimed", default="", help="Your name, beside your login.")
role_option = click.option("--role", default="", help="As what, of the roles that you have.")


@click.group("dead-letters")
def dead_letters() -> None:
    """See to points that a database refused for good: each is line protocol, times in ms."""


@dead_letters.command("list")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--sink", default="", help="Only of this database.")
@json_option
@socket_option
def list_(file: Path | None, sink: str, as_json: bool, socket_path: Path) -> None:
    """List them with the database's words; of FILE (a backup), or the daemon's."""
    from config.problems import plain

    for letter in _letters(file, socket_path, sink):
        if as_json:
            click.echo(letter.model_dump_json(by_alias=True))
        else:
            click.echo(plain(f"{letter.id} {letter.sink}: {letter.words}"))
            click.echo(plain(f"  {letter.line}"))


@dead_letters.command("export")
@click.argument("target", type=click.File("w", encoding="utf-8"))
@click.option("--sink", default="", help="Only of this database.")
@socket_option
def export(target: TextIO, sink: str, socket_path: Path) -> None:
    """Write them to TARGET, one JSON object a line: mend ``line`` there, then ``replay --from``."""
    count = 0
    for count, letter in enumerate(_letters(None, socket_path, sink), start=1):  # noqa: B007 - counted
        target.write(letter.model_dump_json(by_alias=True) + "\n")
    click.echo(f"{count} dead letters", err=True)


@dead_letters.command("replay")
@click.argument("ids", nargs=-1, type=int)
@click.option("--all", "every", is_flag=True, help="Every one.")
@click.option("--sink", default="", help="With --all: only of this database.")
@click.option("--from", "source", type=click.File("r", encoding="utf-8"), help="A mended export.")
@why_option
@who_option
@role_option
@json_option
@socket_option
def replay(
    ids: tuple[int, ...],
    every: bool,
    sink: str,
    source: TextIO | None,
    reason: str,
    claimed: str,
    role: str,
    as_json: bool,
    socket_path: Path,
) -> None:
    """Send them to their database again; one that it takes is a dead letter no more.

    Exit 1 if any stays.
    """
    from monitor.operators.protocol import AskLetter

    if sum((bool(ids), every, source is not None)) != 1:
        raise click.UsageError("say which: their numbers, --all, or --from FILE")
    letters = {letter.id: letter for letter in _letters(None, socket_path, sink)}
    lines = dict.fromkeys(ids or letters) if source is None else _mended(source, letters)
    asks = [
        AskLetter(act="replay", id=i, line=line, reason=reason, claimed=claimed, role=role)
        for i, line in lines.items()
    ]
    _settle(asks, socket_path, as_json=as_json)


@dead_letters.command("drop")
@click.argument("ids", nargs=-1, type=int, required=True)
@click.option("--reason", "-r", required=True, help="Why; kept on the record with the line.")
@who_option
@role_option
@json_option
@socket_option
def drop(
    ids: tuple[int, ...], reason: str, claimed: str, role: str, as_json: bool, socket_path: Path
) -> None:
    """Let them go for good."""
    from monitor.operators.protocol import AskLetter

    asks = [AskLetter(act="drop", id=i, reason=reason, claimed=claimed, role=role) for i in ids]
    _settle(asks, socket_path, as_json=as_json)


def _settle(asks: "list[AskLetter]", socket_path: Path, *, as_json: bool) -> None:
    """Ask for one after the other; what is away is away for all that follow."""
    from config.problems import plain
    from monitor.cli.client import ask_for
    from monitor.operators.protocol import LetterReply

    stays = False
    for asked in asks:
        for reply in ask_for(socket_path, asked, LetterReply):
            stays |= reply.result not in {"taken", "dropped"}
            text = reply.model_dump_json(by_alias=True) if as_json else _told(reply)
            click.echo(text if as_json else plain(text))
            if reply.result == "away":
                leave(FOUND)
    leave(FOUND if stays else 0)


def _told(reply: "LetterReply") -> str:
    return f"{reply.id} {reply.result}{f': {reply.text}' if reply.text else ''}"


def _mended(source: TextIO, letters: "dict[int, DeadLetterMessage]") -> dict[int, str | None]:
    """Return the lines of an export by their numbers; None for those that are as before."""
    from pydantic import ValidationError

    from monitor.operators.protocol import DeadLetterMessage

    lines: dict[int, str | None] = {}
    for number, text in enumerate(source, start=1):
        if not text.strip():
            continue
        try:
            read = DeadLetterMessage.model_validate_json(text)
        except ValidationError as error:
            said = f"{source.name}:{number}: no line of an export"
            raise click.BadParameter(said, param_hint="--from") from error
        known = letters.get(read.id)
        lines[read.id] = None if known and known.line == read.line else read.line
    return lines


def _letters(file: Path | None, socket_path: Path, sink: str) -> "Iterator[DeadLetterMessage]":
    from monitor.cli.client import ask_for
    from monitor.operators.protocol import DeadLetterMessage, DeadLettersRequest

    if file is None:
        yield from ask_for(socket_path, DeadLettersRequest(sink=sink), DeadLetterMessage)
    else:
        yield from (letter for letter in _in_file(file) if sink in {"", letter.sink})


def _in_file(file: Path) -> "Iterator[DeadLetterMessage]":
    from monitor.operators.answers import as_letter
    from monitor.store.errors import StoreError
    from monitor.store.reader import Reader

    try:
        with Reader(file) as reader:
            yield from (as_letter(letter) for letter in reader.dead_letters())
    except StoreError as error:
        raise Failure(str(error), IO_ERROR) from error
