"""``excursions``: what lay beyond a limit, for how long and how far; and its page."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.asking import within_bounds
from monitor.cli.exits import FOUND, Failure
from monitor.cli.export import opened
from monitor.cli.options import INSTANT, NEW_FILE, json_option, socket_option

if TYPE_CHECKING:
    from monitor.excursions.record import Budget, ExcursionAct, ExcursionRecord

SECOND = 10**9


@click.group()
def excursions() -> None:
    """Show what lay beyond a limit, with or without an alarm: each interval is a record."""


@excursions.command("list")
@click.option("--since", type=INSTANT, help="That went on then or later: 2h, or a time.")
@click.option("--until", type=INSTANT, help="That had begun before.")
@click.option("--equipment", "-e", help="Only this one.")
@click.option("--batch", "-b", default="", help="Only with this batch inside.")
@click.option("--open", "only_open", is_flag=True, help="Only those that go on.")
@json_option
@socket_option
def list_(
    since: int | None,
    until: int | None,
    equipment: str | None,
    batch: str,
    only_open: bool,
    as_json: bool,
    socket_path: Path,
) -> None:
    """List excursions, oldest first, then those that go on."""
    rows = _ask(
        socket_path, since=since, until=until, equipment=equipment, batch=batch, only_open=only_open
    )
    if as_json:
        for row in rows:
            click.echo(row)
        return
    records = sorted(_records(rows), key=lambda record: (record.open, record.start))
    for line in _table(records):
        click.echo(line)
    if not records:
        click.echo("No excursion.", err=True)


@excursions.command()
@click.argument("excursion", metavar="ID")
@json_option
@socket_option
def show(excursion: str, as_json: bool, socket_path: Path) -> None:
    """Show one excursion, whole. The end of its id is enough, such as co2/high/x17."""
    from monitor.cli.words import done_by, table
    from monitor.pages.facts import flat, sections

    text, record = one(socket_path, excursion)
    if as_json:
        click.echo(text)
        return
    found = sections(record, _kinetic(socket_path, record))
    acts = [(act.time, _done(act)) for act in record.acts]
    later = [
        (comment["time"], f"comment{done_by(comment['body'])}")
        for comment in _later(socket_path, record)
    ]
    for line in table([*flat(found), *acts, *later]):
        click.echo(line)


def _done(act: "ExcursionAct") -> str:
    """Return what somebody did or said: to what, who, in which role and why."""
    from monitor.cli.words import done_by

    return f"{act.act.replace('_', ' ')} {act.subject}{done_by(act.model_dump())}"


@excursions.command()
@click.option("--since", type=INSTANT, help="That went on then or later: 2h, or a time.")
@click.option("--until", type=INSTANT, help="That had begun before.")
@click.option("--equipment", "-e", help="Only this one.")
@click.option("--batch", "-b", default="", help="Only with this batch inside.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
@click.option("--output", "-o", type=NEW_FILE, help="Into this file.")
@socket_option
def export(
    since: int | None,
    until: int | None,
    equipment: str | None,
    batch: str,
    form: str,
    as_json: bool,
    output: Path | None,
    socket_path: Path,
) -> None:
    """Write the records, whole, as CSV or JSON lines."""
    from monitor.cli.export import write_rows
    from monitor.excursions.record import ExcursionRecord

    rows = _ask(socket_path, since=since, until=until, equipment=equipment, batch=batch)
    with opened(output) as out:
        if form == "jsonl" or as_json:
            for row in rows:
                out.write(row + "\n")
        else:
            write_rows(ExcursionRecord, rows, out)


@excursions.command()
@click.argument("excursion", metavar="ID")
@click.option(
    "--output", "-o", type=NEW_FILE, required=True,
    help="The file to write.",
)  # fmt: skip
@socket_option
def page(excursion: str, output: Path, socket_path: Path) -> None:
    """Write one excursion as a page (HTML, whole in itself) with a chart, to read and to print."""
    import time
    from datetime import UTC, datetime

    from monitor.pages import excursion as pages

    _, record = one(socket_path, excursion)
    drawing = pages.Drawing(record, time.time_ns())
    for text in _exported(socket_path, record, *drawing.span, drawing.channels):
        drawing.add_reading(json.loads(text))
    for text in _exported_events(socket_path, record, *drawing.span):
        drawing.add_event(json.loads(text))
    for comment in _later(socket_path, record, after=drawing.span[1] + 1):
        drawing.add_comment(comment)
    now = datetime.now(UTC).astimezone()
    kinetic = _kinetic(socket_path, record)
    with opened(output) as out:
        out.write(drawing.page(made=now, kinetic=kinetic))


@excursions.command()
@click.option("--batch", "-b", default="", help="Of this batch, wherever it was.")
@click.option("--equipment", "-e", help="Only this one.")
@json_option
@socket_option
def budget(batch: str, equipment: str | None, as_json: bool, socket_path: Path) -> None:
    """Show what excursions add up to: over the last 24 hours, or for a batch.

    Those that go on are in it, as far as they went.
    """
    import time

    from monitor.cli.words import table
    from monitor.excursions.budget import DAY, of_batch, of_day, spent

    now = time.time_ns()
    since = None if batch else now - DAY
    records = _records(_ask(socket_path, since=since, equipment=equipment, batch=batch))
    every = [spent(record, now) for record in records]
    budgets = of_batch(every, batch) if batch else of_day(every, now)
    if as_json:
        for each in budgets:
            click.echo(each.model_dump_json(by_alias=True))
        return
    for line in table([_HEAD, *map(_budget_row, budgets)]) if budgets else ():
        click.echo(line)
    if not budgets:
        click.echo("No excursion.", err=True)


_HEAD = ("where", "limit", "times", "outside", "gaps", "area beyond", "from", "to")


def _budget_row(each: "Budget") -> Sequence[str]:
    from monitor.pages.figures import area, duration, measure

    return (
        each.equipment or "wherever it was",
        f"{each.channel}/{each.rule}",
        str(each.excursions),
        duration(each.outside_seconds),
        duration(each.gap_seconds),
        area(each.unit_minutes, each.unit),
        measure(each.lowest, each.unit),
        measure(each.highest, each.unit),
    )


def _table(records: Sequence["ExcursionRecord"]) -> list[str]:
    from monitor.cli.words import table
    from monitor.pages.figures import area, duration, measure

    rows = [
        (
            record.start,
            "goes on" if record.open else duration(record.duration_seconds),
            f"{record.equipment}/{record.channel}/{record.rule}",
            f"{measure(record.extreme, record.unit)} (limit {record.limit:g})",
            area(record.unit_minutes, record.unit),
            "minor" if record.minor else "alarm",
            " ".join(record.batches),
            record.excursion.rpartition("/")[2],
        )
        for record in records
    ]
    return table(rows) if rows else []


def _ask(path: Path, **wanted: object) -> Iterator[str]:
    from monitor.cli.client import ask
    from monitor.operators.protocol import ExcursionsRequest

    with within_bounds():
        request = ExcursionsRequest.model_validate(wanted)
    return ask(path, request)


def _records(rows: Iterator[str]) -> list["ExcursionRecord"]:
    from monitor.cli.client import understood
    from monitor.excursions.record import ExcursionRecord

    return [understood(ExcursionRecord, row) for row in rows]


def one(path: Path, excursion: str) -> tuple[str, "ExcursionRecord"]:
    """Return the one excursion whose id ends so, as it came and as it is understood."""
    from monitor.cli.client import understood
    from monitor.excursions.record import ExcursionRecord

    rows = list(_ask(path, excursion=excursion))
    if not rows:
        raise Failure(f"there is no excursion {excursion}", FOUND)
    if len(rows) > 1:
        names = ", ".join(str(json.loads(row)["excursion"]) for row in rows[:5])
        raise Failure(f"{excursion} is the end of several: {names}; say more of it", FOUND)
    return rows[0], understood(ExcursionRecord, rows[0])


def _exported(
    path: Path, record: "ExcursionRecord", start: int, end: int, channels: Sequence[str]
) -> Iterator[str]:
    from monitor.cli.client import ask
    from monitor.operators.protocol import ExportRequest

    asked = {"what": "readings", "start": start, "end": end, "equipment": record.equipment}
    return ask(path, ExportRequest.model_validate({**asked, "channels": channels}))


def _exported_events(path: Path, record: "ExcursionRecord", start: int, end: int) -> Iterator[str]:
    from monitor.cli.client import ask
    from monitor.operators.protocol import ExportRequest

    asked = {"what": "events", "start": start, "end": end, "equipment": record.equipment}
    return ask(path, ExportRequest.model_validate(asked))


def _later(
    path: Path, record: "ExcursionRecord", after: int | None = None
) -> Iterator[dict[str, Any]]:
    """What was said of an excursion after its end, or after the time ``after`` (ns, UTC)."""
    import time

    from monitor.alarms.performance import nanoseconds

    if record.end is None:
        return
    start = nanoseconds(record.end) if after is None else after
    for text in _exported_events(path, record, start, time.time_ns()):
        event: dict[str, Any] = json.loads(text)
        if event["kind"] == "act" and event["body"].get("excursion") == record.excursion:
            yield event


def _kinetic(path: Path, record: "ExcursionRecord") -> float | None:
    """The mean kinetic temperature, where it has a meaning; out of the recorded readings."""
    from config.plant import Storage
    from monitor.alarms.performance import nanoseconds
    from monitor.excursions.kinetic import WINDOWS, by_time, mean_kinetic_temperature
    from monitor.pages.facts import has_kinetic

    if not has_kinetic(record):
        return None
    end = nanoseconds(record.end or record.last_beyond)
    start = end - WINDOWS[Storage(record.storage)] * SECOND
    rows = (json.loads(row) for row in _exported(path, record, start, end + 1, [record.channel]))
    readings = [
        (nanoseconds(row["time"]) / SECOND, row["value"] if row["quality"] == "good" else None)
        for row in rows
        if row["origin"] == "live"
    ]
    return mean_kinetic_temperature(by_time(readings, 3 * record.period_seconds))
