"""``alarms report``: how alarms performed over a span, against ISA-18.2 and EEMUA 191.

The events are drawn from the daemon one after the other, and only counts are kept of them.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.options import INSTANT, json_option, socket_option

if TYPE_CHECKING:
    from monitor.alarms.performance import Performance, Tally
    from monitor.alarms.targets import Figure
    from monitor.messages import AlarmMessage
    from monitor.operators.protocol import (
        AlarmReportMessage,
        ReportedAlarm,
        ReportFigure,
        StatusMessage,
    )

_COLOURS = {"within": None, "manageable": "yellow", "over": "red", "": None}


@click.command()
@click.option(
    "--since", type=INSTANT, default="30d", show_default=True, help="A time, or how long ago."
)
@click.option("--until", type=INSTANT, help="Not included; now, when not said.")
@click.option("--area", "-a", "areas", multiple=True, help="Of this one; may be given again.")
@json_option
@socket_option
def report(
    since: int, until: int | None, areas: tuple[str, ...], as_json: bool, socket_path: Path
) -> None:
    """Show how alarms performed: rates, floods, nuisances and priorities, against their targets.

    Only alarms that people were told of count. Targets are those of ISA-18.2 and EEMUA 191 for one
    operator: the first is what should be, the second what can be managed for a while.
    """
    from monitor.alarms.performance import WHOLE

    end = time.time_ns() if until is None else until
    if since >= end:
        raise click.UsageError("--since must be before --until")
    reports = reported(socket_path, since, end)
    for area in areas:
        if area not in reports:
            click.echo(f"cytowatch: no alarm of an area {area} is on the record", err=True)
    wanted = [area for area in areas if area in reports] if areas else list(reports)
    for area in wanted:
        if as_json:
            click.echo(reports[area].model_dump_json(by_alias=True))
        elif area == WHOLE or areas:
            click.echo("\n".join(lines(reports[area])))
    if not (as_json or areas) and len(reports) > 1:
        click.echo("\n".join(["", *by_area(reports)]))


def reported(path: Path, start: int, end: int) -> Mapping[str, "AlarmReportMessage"]:
    """Return the report of the whole gateway and of each area that had an alarm, by area."""
    from monitor.alarms.performance import WHOLE, Tally
    from monitor.cli.client import ask, ask_for
    from monitor.messages import AlarmMessage
    from monitor.operators.protocol import (
        AlarmsRequest,
        ExportRequest,
        StatusMessage,
        StatusRequest,
    )

    [status] = ask_for(path, StatusRequest(), StatusMessage)
    # To its end: what comes after the span tells what stood in it.
    rows = ask(path, ExportRequest(what="events", start=start, end=2**63 - 1))
    performance = counted(rows, start, end)
    alarms = [each for each in ask_for(path, AlarmsRequest(), AlarmMessage) if not each.test]
    _let_stand(performance, alarms)
    tallies = performance.close()
    areas = {WHOLE, *tallies, *(each.area for each in alarms)}
    return {
        area: _message(performance, status, area, tallies.get(area, Tally()), alarms)
        for area in sorted(areas)
    }


def counted(rows: Iterator[str], start: int, end: int) -> "Performance":
    """Count the events of an export; a record that is younger than the span shortens it."""
    from monitor.alarms.performance import Performance, nanoseconds, transition

    performance = None
    for row in rows:
        event = json.loads(row)
        if performance is None:
            first = nanoseconds(event["time"]) if event["number"] == 1 else start
            performance = Performance(min(max(start, first), end - 1), end)
        if event["kind"] == "alarm" and (told := transition(event["body"])):
            performance.take(told)
    return performance or Performance(start, end)


def _let_stand(performance: "Performance", alarms: Sequence["AlarmMessage"]) -> None:
    from monitor.alarms.performance import nanoseconds

    for alarm in alarms:
        if alarm.active_state and alarm.annunciated and alarm.alarm_time:
            performance.stands(alarm.alarm, alarm.area, nanoseconds(alarm.alarm_time))


def _message(
    performance: "Performance",
    status: "StatusMessage",
    area: str,
    tally: "Tally",
    alarms: Sequence["AlarmMessage"],
) -> "AlarmReportMessage":
    from monitor.alarms.performance import DAY, WHOLE
    from monitor.alarms.targets import ENOUGH, figures
    from monitor.messages import rfc3339
    from monitor.operators.protocol import AlarmReportMessage
    from monitor.rates import standing

    start, end = performance.start, performance.end
    real = [alarm for alarm in alarms if not alarm.test]
    now = standing([alarm for alarm in real if area in {WHOLE, alarm.area}])
    return AlarmReportMessage(
        site=status.site,
        gateway=status.gateway,
        area=area,
        start=rfc3339(start),
        end=rfc3339(end),
        days=round((end - start) / DAY, 3),
        enough=end - start >= ENOUGH,
        alarms=tally.alarms,
        figures=tuple(_figure(each) for each in figures(tally, now, start, end)),
        most_frequent=tuple(_offenders(tally)),
        stale=tuple(sorted(set().union(*tally.stale.values()))),
    )


def _figure(figure: "Figure") -> "ReportFigure":
    from monitor.operators.protocol import ReportFigure

    return ReportFigure.model_validate(figure._asdict())


def _offenders(tally: "Tally") -> Iterator["ReportedAlarm"]:
    from monitor.alarms.targets import TOP
    from monitor.operators.protocol import ReportedAlarm

    for alarm, count in tally.by_alarm.most_common(TOP):
        yield ReportedAlarm(
            alarm=alarm,
            times=count,
            share=100 * count / tally.alarms,
            chattering=tally.chattering[alarm],
            fleeting=tally.fleeting[alarm],
        )


def lines(report: "AlarmReportMessage") -> list[str]:
    """Return a report as a table for people."""
    from monitor.cli.words import table

    where = f"area {report.area}" if report.area else f"gateway {report.gateway}"
    span = f"{report.days:g} days, {report.start} to {report.end} (UTC)"
    told = [f"Alarm performance of {where} ({report.site}), {span}", *_caution(report), ""]
    rows = [(each.words, value(each), each.target, each.verdict) for each in report.figures]
    plain = table([("", "", "target, manageable", "verdict"), *rows])
    told.append(plain[0])
    told += [
        click.style(text, fg=_COLOURS[figure.verdict])
        for text, figure in zip(plain[1:], report.figures, strict=True)
    ]
    return [*told, *_frequent(report), *_stale(report)]


def _caution(report: "AlarmReportMessage") -> list[str]:
    if report.enough:
        return []
    return ["The targets are meant for 30 days and more: with fewer, take the verdicts as a hint."]


def _frequent(report: "AlarmReportMessage") -> list[str]:
    from monitor.cli.words import table

    if not report.most_frequent:
        return []
    head = ("most frequent", "times", "share", "chattering", "fleeting")
    rows = [
        (each.alarm, str(each.times), f"{each.share:.1f} %", _count(each.chattering),
         _count(each.fleeting))
        for each in report.most_frequent
    ]  # fmt: skip
    return ["", *table([head, *rows])]


def _stale(report: "AlarmReportMessage") -> list[str]:
    from config.problems import plain

    return ["", "stood for more than 24 hours: " + plain(", ".join(report.stale))] * bool(
        report.stale
    )


def by_area(reports: Mapping[str, "AlarmReportMessage"]) -> list[str]:
    """Return a few figures of each area, a line each."""
    from monitor.cli.words import table

    keys = ("per_day", "worst_10_min", "floods", "in_flood", "chattering", "stale", "standing")
    heads = (
        "area",
        "a day",
        "worst 10 min",
        "floods",
        "in flood",
        "chattering",
        "stale",
        "standing",
    )
    rows = []
    for area, report in reports.items():
        known = {each.key: each for each in report.figures}
        if area:
            rows.append((area, *(value(known[key]) for key in keys)))
    return table([heads, *rows])


def value(figure: "ReportFigure") -> str:
    """Return the value of a figure as it is shown."""
    match figure.value:
        case None:
            return "-"
        case str():
            return figure.value
        case _ if figure.unit == "s":
            return duration(figure.value)
        case _:
            return f"{round(figure.value, 2):g} {figure.unit}".rstrip()


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``45 s``, ``12.5 min``, ``3.2 h``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{round(seconds, 1):g} s"


def _count(count: int) -> str:
    return str(count) if count else ""
