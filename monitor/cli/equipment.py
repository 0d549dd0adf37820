"""``equipment``, ``set-state``, ``load``, ``unload``: how equipment is used, and what is in it."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.asking import Asking, asking, came, end, within_bounds, would
from monitor.cli.options import SPAN, json_option, socket_option

if TYPE_CHECKING:
    from config.rules import EquipmentState
    from monitor.messages import EquipmentAct

STATES = (
    *("in-use", "idle", "cleaning", "warming-up", "maintenance", "out-of-service", "quarantined"),
    "as-told",
)
"""What ``set-state`` takes; the last is whatever its channels tell."""


@click.command()
@click.argument("names", metavar="[EQUIPMENT]...", nargs=-1)
@json_option
@socket_option
def equipment(names: tuple[str, ...], as_json: bool, socket_path: Path) -> None:
    """Show how equipment is used: state, phase and the batches inside."""
    from monitor.cli.client import ask_for
    from monitor.cli.words import usage_line
    from monitor.operators.protocol import UsageMessage, UsageRequest

    with within_bounds():
        asked = UsageRequest(fit=names)
    for used in ask_for(socket_path, asked, UsageMessage):
        click.echo(used.model_dump_json(by_alias=True) if as_json else usage_line(used))


@click.command()
@click.option("--for", "duration", type=SPAN, help="After this its channels tell again.")
@click.argument("name", metavar="EQUIPMENT")
@click.argument("state", type=click.Choice(STATES))
@asking
def set_state(who: Asking, name: str, state: str, duration: int | None) -> None:
    """Say what EQUIPMENT (or each that fits a pattern) is doing: what it is to be judged by.

    Without --for it holds until the next word, or for as long as the state may suppress alarms.
    """
    from config.rules import EquipmentState

    wanted = None if state == "as-told" else EquipmentState(state.replace("-", "_"))
    use(who, "set_state", name, state=wanted, duration=duration)


@click.command()
@click.option("--position", "-p", default="", help="Where in it, as a shelf.")
@click.argument("name", metavar="EQUIPMENT")
@click.argument("batch")
@asking
def load(who: Asking, name: str, batch: str, position: str) -> None:
    """Say that BATCH is in EQUIPMENT from now on."""
    use(who, "load", name, batch=batch, position=position)


@click.command()
@click.option("--position", "-p", default="", help="From where in it; left out: wherever it is.")
@click.argument("name", metavar="EQUIPMENT")
@click.argument("batch")
@asking
def unload(who: Asking, name: str, batch: str, position: str) -> None:
    """Say that BATCH is in EQUIPMENT no longer."""
    use(who, "unload", name, batch=batch, position=position)


def use(
    who: Asking,
    act: "EquipmentAct",
    name: str,
    *,
    state: "EquipmentState | None" = None,
    duration: int | None = None,
    batch: str = "",
    position: str = "",
) -> None:
    """Ask for an act on each equipment that fits, bound to the state that it is seen in."""
    from monitor.cli.client import ask_for
    from monitor.messages import ActReply
    from monitor.operators.protocol import AskUse, UsageMessage, UsageRequest

    refused, seen = 0, ask_for(who.path, UsageRequest(fit=(name,)), UsageMessage)
    for used in seen:
        if who.dry_run:
            would(who, act, used.equipment, used.state)
            continue
        with within_bounds():
            asked = AskUse(
                act=act,
                equipment=used.equipment,
                claimed=who.claimed,
                role=who.role,
                reason=who.reason,
                duration=duration,
                state=state,
                seen=used.state if act == "set_state" else None,
                batch=batch,
                position=position,
                request_id=uuid.uuid4().hex,
            )
        refused += sum(came(who, act, reply) for reply in ask_for(who.path, asked, ActReply))
    end(act, len(seen), refused)
