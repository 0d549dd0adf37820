"""``alarms``: what stands now, also what is put aside; its subcommands look at alarms in bulk."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.exits import FOUND, leave
from monitor.cli.options import json_option, socket_option
from monitor.cli.report import report

if TYPE_CHECKING:
    from monitor.messages import AlarmMessage
    from monitor.operators.protocol import UsageMessage


@click.group(invoke_without_command=True, subcommand_metavar="[COMMAND]")
@click.option("--equipment", "-e", multiple=True, help="Only this one; may be given again.")
@click.option("--suppressed", is_flag=True, help="Only what nobody is told of just now.")
@click.option("--check", is_flag=True, help="Exit 1 when an alarm is shown that people are told.")
@json_option
@socket_option
@click.pass_context
def alarms(
    ctx: click.Context,
    equipment: tuple[str, ...],
    suppressed: bool,
    check: bool,
    as_json: bool,
    socket_path: Path,
) -> None:
    """Show what stands now: the unacknowledged (marked !) first, then by priority.

    What is shelved, suppressed by design or out of service follows, with who, why and until when.
    """
    if ctx.invoked_subcommand is not None:
        return
    from monitor.cli.client import ask_for
    from monitor.cli.words import alarm_line
    from monitor.messages import AlarmMessage
    from monitor.operators.protocol import AlarmsRequest

    found = ask_for(socket_path, AlarmsRequest(equipment=equipment), AlarmMessage)
    shown = [alarm for alarm in found if not (suppressed and alarm.annunciated)]
    usages = {} if as_json else _usages(socket_path, shown)
    for alarm in sorted(shown, key=urgency):
        used = usages.get(alarm.equipment)
        click.echo(alarm.model_dump_json(by_alias=True) if as_json else alarm_line(alarm, used))
    click.echo(summary(found), err=True)
    leave(FOUND if check and any(told(alarm, suppressed) for alarm in shown) else 0)


alarms.add_command(report)


def _usages(path: Path, shown: Sequence["AlarmMessage"]) -> Mapping[str, "UsageMessage"]:
    """How those equipments are used of which a state suppresses an alarm."""
    from monitor.cli.client import ask_for
    from monitor.operators.protocol import UsageMessage, UsageRequest

    if not any(alarm.suppressed_by.startswith("state:") for alarm in shown):
        return {}
    return {used.equipment: used for used in ask_for(path, UsageRequest(), UsageMessage)}


def told(alarm: "AlarmMessage", suppressed: bool) -> bool:
    """Whether ``--check`` minds the alarm: people are told of it, or it is what was asked for."""
    return not alarm.test and (alarm.annunciated or suppressed)


def urgency(alarm: "AlarmMessage") -> tuple[bool, bool, int, str]:
    """Return what alarms are sorted by: the most urgent is the least."""
    return not alarm.annunciated, alarm.acked_state, -alarm.severity, alarm.alarm


def summary(found: Sequence["AlarmMessage"]) -> str:
    """Return how many stand, and how many of which nobody is told just now, by why."""
    if not found:
        return "No alarm stands."
    real = [alarm for alarm in found if not alarm.test]
    aside = Counter(each for alarm in real if (each := _aside(alarm)))
    parts = [f"{count} {word}" for word, count in sorted(aside.items())]
    parts += [f"{len(found) - len(real)} under test"] if len(real) < len(found) else []
    heard = sum(alarm.annunciated for alarm in real)
    return ", ".join([f"{heard} annunciated", *parts]) + "."


def _aside(alarm: "AlarmMessage") -> str:
    """Why nobody is told; empty where people are. Of several whys the strongest counts."""
    if alarm.annunciated:
        return ""
    if alarm.out_of_service_state:
        return "out of service"
    if alarm.shelving_state != "Unshelved":
        return "shelved"
    return "suppressed" if alarm.suppressed_by else "behind a worse level"
