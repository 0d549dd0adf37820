"""``ack``, ``reset``, ``shelve``, ``unshelve``: what an operator does, bound to what was seen.

The daemon takes from the kernel who asks; ``--as`` adds a name by hand and is kept as claimed.
"""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from monitor.cli.exits import FOUND, leave
from monitor.cli.options import SPAN, json_option, socket_option

if TYPE_CHECKING:
    from monitor.messages import ActReply

Command = TypeVar("Command", bound=Callable[..., object])


def _who_and_why(command: Command) -> Command:
    why = click.option("--reason", "-r", required=True, help="Why; kept on the record.")
    who = click.option("--as", "claimed", default="", help="Your name, beside your login.")
    names = click.argument("names", metavar="ALARM...", nargs=-1, required=True)
    return names(why(who(json_option(socket_option(command)))))


@click.command()
@_who_and_why
def ack(
    names: tuple[str, ...], reason: str, claimed: str, as_json: bool, socket_path: Path
) -> None:
    """Acknowledge alarms, as equipment/channel/rule: I have seen them."""
    _act(socket_path, "acknowledge", names, reason, claimed, as_json=as_json)


@click.command()
@_who_and_why
def reset(
    names: tuple[str, ...], reason: str, claimed: str, as_json: bool, socket_path: Path
) -> None:
    """Reset latched alarms whose condition is gone."""
    _act(socket_path, "reset", names, reason, claimed, as_json=as_json)


@click.command()
@click.option("--for", "duration", type=SPAN, required=True, help="How long, such as 30m or 8h.")
@_who_and_why
def shelve(
    names: tuple[str, ...],
    duration: int,
    reason: str,
    claimed: str,
    as_json: bool,
    socket_path: Path,
) -> None:
    """Silence alarms for a time; they go on being watched and recorded."""
    _act(socket_path, "shelve", names, reason, claimed, as_json=as_json, duration=duration)


@click.command()
@_who_and_why
def unshelve(
    names: tuple[str, ...], reason: str, claimed: str, as_json: bool, socket_path: Path
) -> None:
    """End a shelf before its time."""
    _act(socket_path, "unshelve", names, reason, claimed, as_json=as_json)


def _act(
    path: Path,
    act: Literal["acknowledge", "reset", "shelve", "unshelve"],
    names: tuple[str, ...],
    reason: str,
    claimed: str,
    *,
    as_json: bool,
    duration: int | None = None,
) -> None:
    from monitor.cli.client import ask_for
    from monitor.messages import ActReply, AlarmMessage
    from monitor.operators.protocol import AlarmsRequest, Ask

    seen = {a.alarm: a for a in ask_for(path, AlarmsRequest(names=names), AlarmMessage)}
    refused = 0
    for name in names:
        alarm = seen.get(name)
        asked = Ask(
            act=act,
            alarm=name,
            claimed=claimed,
            reason=reason,
            duration=duration,
            occurrence=alarm and alarm.occurrence,
            version=alarm and alarm.version,
            request_id=uuid.uuid4().hex,
        )
        refused += sum(
            _told(reply, act, as_json=as_json) for reply in ask_for(path, asked, ActReply)
        )
    leave(FOUND if refused else 0)


def _told(reply: "ActReply", act: str, *, as_json: bool) -> bool:
    """Say what came of an act; return whether it was refused."""
    from config.problems import plain

    refused = reply.result == "refused"
    if as_json:
        click.echo(reply.model_dump_json(by_alias=True))
    elif refused:
        click.echo(plain(f"{reply.alarm}: refused ({reply.word}): {reply.text}"), err=True)
    else:
        click.echo(plain(f"{reply.alarm}: {act} done, now {reply.state}"))
    return refused
