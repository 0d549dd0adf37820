"""``ack``, ``confirm``, ``reset``, ``shelve`` …: what an operator does, bound to what was seen.

The daemon takes from the kernel who asks; ``--as`` adds a name by hand and is kept as claimed.
An alarm is named whole, or several by a pattern: then the act is done on those that it concerns.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from monitor.cli.asking import Asking, asking, came, end, within_bounds, would
from monitor.cli.options import SPAN

if TYPE_CHECKING:
    from monitor.messages import AlarmAct, AlarmMessage

alarms_argument = click.argument("alarms", metavar="ALARM...", nargs=-1, required=True)


@click.command()
@alarms_argument
@asking
def ack(who: Asking, alarms: tuple[str, ...]) -> None:
    """Acknowledge alarms: I have seen them.

    ALARM is equipment/channel/rule, or less of it (incubator-07), or a pattern ('*/co2/low').
    """
    _act(who, "acknowledge", alarms)


@click.command()
@alarms_argument
@asking
def confirm(who: Asking, alarms: tuple[str, ...]) -> None:
    """Confirm alarms: something was done about them; the reason says what."""
    _act(who, "confirm", alarms)


@click.command()
@alarms_argument
@asking
def reset(who: Asking, alarms: tuple[str, ...]) -> None:
    """Reset latched alarms whose condition is gone."""
    _act(who, "reset", alarms)


@click.command()
@click.option("--for", "duration", type=SPAN, help="How long, such as 30m or 8h.")
@click.option("--one-shot", is_flag=True, help="End it with the return of the condition, too.")
@alarms_argument
@asking
def shelve(who: Asking, alarms: tuple[str, ...], duration: int | None, one_shot: bool) -> None:
    """Silence alarms for a time; they go on being watched and recorded."""
    if duration is None and not one_shot:
        raise click.UsageError("say for how long, with --for, or --one-shot")
    _act(who, "shelve", alarms, duration=duration, one_shot=one_shot)


@click.command()
@alarms_argument
@asking
def unshelve(who: Asking, alarms: tuple[str, ...]) -> None:
    """End a shelf before its time."""
    _act(who, "unshelve", alarms)


@click.command()
@click.option("--for", "duration", type=SPAN, required=True, help="How long, such as 8h or 3d.")
@alarms_argument
@asking
def out_of_service(who: Asking, alarms: tuple[str, ...], duration: int) -> None:
    """Remove alarms from service, as for maintenance: also those that do not stand now."""
    _act(who, "remove_from_service", alarms, duration=duration)


@click.command()
@alarms_argument
@asking
def in_service(who: Asking, alarms: tuple[str, ...]) -> None:
    """Return alarms to service before their time."""
    _act(who, "return_to_service", alarms)


@click.command()
@click.option("--excursion", is_flag=True, help="SUBJECT is an excursion's id, or the end of it.")
@click.argument("subject")
@click.argument("text")
@asking
def comment(who: Asking, subject: str, text: str, excursion: bool) -> None:
    """Put TEXT on the record, about an alarm, an equipment or an excursion; it changes nothing.

    SUBJECT is equipment/channel/rule, a pattern of such alarms that stand, or an equipment.
    """
    if who.reason:
        raise click.UsageError("TEXT is what is said: leave --reason out")
    said = who._replace(reason=text)
    if excursion:
        from monitor.cli.excursions import one

        _, record = one(who.path, subject)
        alarm = f"{record.equipment}/{record.channel}/{record.rule}"
        _act(said, "comment", (alarm,), excursion=record.excursion)
    elif "/" in subject:
        _act(said, "comment", (subject,))
    else:
        from monitor.cli.equipment import use

        use(said, "comment", subject)


def _act(
    who: Asking,
    act: "AlarmAct",
    patterns: tuple[str, ...],
    *,
    duration: int | None = None,
    one_shot: bool = False,
    excursion: str = "",
) -> None:
    from monitor.cli.client import ask_for
    from monitor.messages import ActReply
    from monitor.operators.protocol import Ask

    names, seen = _concerned(who, act, patterns)
    refused = 0
    for name in names:
        alarm = seen.get(name)
        if who.dry_run:
            would(who, act, name, alarm.state if alarm else "normal")
            continue
        with within_bounds():
            asked = Ask(
                act=act,
                alarm=name,
                claimed=who.claimed,
                role=who.role,
                reason=who.reason,
                duration=duration,
                one_shot=one_shot,
                excursion=excursion,
                occurrence=None if excursion or alarm is None else alarm.occurrence,
                version=alarm and alarm.version,
                request_id=uuid.uuid4().hex,
            )
        replies = ask_for(who.path, asked, ActReply)
        refused += sum(came(who, act, reply) for reply in replies)
    end(act, len(names), refused)


def _concerned(
    who: Asking, act: "AlarmAct", patterns: tuple[str, ...]
) -> tuple[Sequence[str], Mapping[str, "AlarmMessage"]]:
    """Return the alarms that the act is for, and how those of them stand that do."""
    from monitor.cli.client import ask_for
    from monitor.messages import AlarmMessage
    from monitor.operators.patterns import is_pattern
    from monitor.operators.protocol import AlarmsRequest, NameMessage, NamesRequest

    with within_bounds():
        naming, standing = NamesRequest(fit=patterns), AlarmsRequest(fit=patterns)
    names = [each.alarm for each in ask_for(who.path, naming, NameMessage)]
    found = ask_for(who.path, standing, AlarmMessage)
    seen = {alarm.alarm: alarm for alarm in found}
    meant = {pattern for pattern in patterns if not is_pattern(pattern)}
    chosen = [name for name in names if name in meant or concerns(act, seen.get(name))]
    return sorted(chosen, key=lambda name: _turn(name, seen.get(name))), seen


def _turn(name: str, alarm: "AlarmMessage | None") -> tuple[bool, int, bool]:
    """Return when an act on many comes to this alarm: after those for which it speaks.

    To shelve a worse level, or the alarm of a silent unit, lets what is behind it speak, and to
    unshelve it silences that: an act on it would be refused for a change that is our own.
    """
    if alarm is None:
        return False, 0, False
    behind = alarm.superseded_by or alarm.suppressed_by
    return alarm.active_state and not behind, alarm.severity, "/_/" in name


def concerns(act: "AlarmAct", alarm: "AlarmMessage | None") -> bool:
    """Whether an act on many is for this one, as it stands (None: it is normal)."""
    if alarm is None:
        return act == "remove_from_service"
    shelved = alarm.shelving_state != "Unshelved"
    fits: Mapping[AlarmAct, bool] = {
        "acknowledge": not alarm.acked_state,
        "confirm": alarm.acked_state and not alarm.confirmed_state,
        "reset": alarm.latched_state,
        "shelve": not shelved,
        "unshelve": shelved,
        "remove_from_service": not alarm.out_of_service_state,
        "return_to_service": alarm.out_of_service_state,
        "comment": True,
    }
    return fits[act]
