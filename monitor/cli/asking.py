"""What every act on the command line shares: who asks and why, and how is told what came of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec

import click

from monitor.cli.exits import FOUND, leave
from monitor.cli.options import json_option, socket_option

if TYPE_CHECKING:
    from monitor.messages import ActReply

Own = ParamSpec("Own")


class Asking(NamedTuple):
    """Who asks, why, and how to answer."""

    path: Path
    """Of the daemon's socket."""
    reason: str
    claimed: str
    role: str
    dry_run: bool
    as_json: bool


def asking(command: Callable[Concatenate[Asking, Own], None]) -> Callable[..., None]:
    """Give a command an ``Asking`` as its first argument, and the options that it is made of."""

    def whole(
        reason: str,
        claimed: str,
        role: str,
        dry_run: bool,
        as_json: bool,
        socket_path: Path,
        *args: Own.args,
        **kwargs: Own.kwargs,
    ) -> None:
        command(Asking(socket_path, reason, claimed, role, dry_run, as_json), *args, **kwargs)

    return _options(update_wrapper(whole, command))


def _options(command: Callable[..., None]) -> Callable[..., None]:
    why = click.option("--reason", "-r", default="", help="Why; kept on the record.")
    who = click.option("--as", "claimed", default="", help="Your name, beside your login.")
    role = click.option("--role", default="", help="As what, of the roles that you have.")
    dry = click.option("--dry-run", is_flag=True, help="Only show what would be done to what.")
    return why(who(role(dry(json_option(socket_option(command))))))


@contextmanager
def within_bounds() -> Iterator[None]:
    """Turn what a request cannot carry, as a reason of a book's length, into an error of usage."""
    from pydantic import BaseModel, ValidationError

    from config.problems import spell_path
    from config.shape import findings

    try:
        yield
    except ValidationError as error:
        wrong = (f"{spell_path(each.path)}: {each.text}" for each in findings(BaseModel, error))
        raise click.UsageError("; ".join(wrong)) from error


def would(who: Asking, act: str, subject: str, state: str) -> None:
    """Say what would be done."""
    if who.as_json:
        from monitor.operators.protocol import NameMessage

        click.echo(NameMessage(alarm=subject).model_dump_json(by_alias=True))
    else:
        click.echo(f"{subject}: would {words(act)}, now {state}")


def came(who: Asking, act: str, reply: "ActReply") -> bool:
    """Say what came of an act; return whether it was refused."""
    from config.problems import plain

    refused = reply.result == "refused"
    if who.as_json:
        click.echo(reply.model_dump_json(by_alias=True))
    elif refused:
        click.echo(plain(f"{reply.alarm}: refused ({reply.word}): {reply.text}"), err=True)
    elif reply.state is None:
        click.echo(plain(f"{reply.alarm}: {reply.text}"))
    else:
        click.echo(plain(f"{reply.alarm}: {words(act)} done, now {reply.state}"))
    return refused


def end(act: str, asked: int, refused: int) -> None:
    """Leave with 1 when any was refused; say so when there was nothing to do."""
    if not asked:
        click.echo(f"Nothing that fits is there to {words(act)}.", err=True)
    leave(FOUND if refused else 0)


def words(act: str) -> str:
    """Return an act as people say it."""
    return act.replace("_", " ")
