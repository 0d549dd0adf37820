"""``alarms``: what stands now."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.exits import FOUND, leave
from monitor.cli.options import json_option, socket_option

if TYPE_CHECKING:
    from monitor.messages import AlarmMessage


@click.command()
@click.option("--equipment", "-e", multiple=True, help="Only this one; may be given again.")
@click.option("--all", "everything", is_flag=True, help="Also what is shelved or suppressed.")
@click.option("--check", is_flag=True, help="Exit 1 when an alarm is shown.")
@json_option
@socket_option
def alarms(
    equipment: tuple[str, ...], everything: bool, check: bool, as_json: bool, socket_path: Path
) -> None:
    """Show what stands now: the unacknowledged (marked !) first, then by priority."""
    from monitor.cli.client import ask_for
    from monitor.cli.words import alarm_line
    from monitor.messages import AlarmMessage
    from monitor.operators.protocol import AlarmsRequest

    found = ask_for(socket_path, AlarmsRequest(equipment=equipment), AlarmMessage)
    shown = [alarm for alarm in found if everything or alarm.annunciated]
    for alarm in sorted(shown, key=urgency):
        click.echo(alarm.model_dump_json(by_alias=True) if as_json else alarm_line(alarm))
    _say(len(shown), len(found) - len(shown))
    leave(FOUND if check and shown else 0)


def urgency(alarm: "AlarmMessage") -> tuple[bool, int, str]:
    """Return what alarms are sorted by: the most urgent is the least."""
    return alarm.acked_state, -alarm.severity, alarm.alarm


def _say(shown: int, hidden: int) -> None:
    if not shown:
        click.echo("No alarm stands.", err=True)
    if hidden:
        click.echo(f"{hidden} more are shelved or suppressed: --all shows them.", err=True)
