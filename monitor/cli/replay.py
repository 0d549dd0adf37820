"""``replay``: what a site's file would have told of readings that were recorded.

They come from a file (an export, or a backup of a store) or out of the daemon's record.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from monitor.cli.exits import CONFIG, IO_ERROR, Failure
from monitor.cli.options import INSTANT, json_option, socket_option

if TYPE_CHECKING:
    from config.plant import Plant
    from monitor.operators.protocol import ReplayedRule, ReplayMessage
    from monitor.replay import ReplayTold, Row, Step, Tally, Trial

By = Literal["=", "1", "2"]
EVER = 2**63 - 1
SQLITE = b"SQLite format 3\0"
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--config", "-c", "config", required=True, type=_FILE,
    envvar="CYTOWATCH_CONFIG", show_envvar=True, help="The site's file that is tried.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="SET.CHANNEL.RULE.KEY=VALUE",
    help="Set one rule otherwise: incubator-37c.temperature.high.on_delay=10m; repeatable.",
)  # fmt: skip
@click.option("--compare", type=_FILE, help="Another site's file, tried beside it.")
@click.option("--since", type=INSTANT, help="Only what was recorded from then on: 30d, or a time.")
@click.option("--until", type=INSTANT, help="Not included.")
@click.option("--equipment", "-e", help="Only this one.")
@click.option("--events", type=_FILE, help="Exported events of the same time: steps of the clock.")
@click.option("--summary", is_flag=True, help="Only what it comes to, rule by rule.")
@json_option
@socket_option
def replay(
    file: Path | None,
    config: Path,
    settings: tuple[str, ...],
    compare: Path | None,
    since: int | None,
    until: int | None,
    equipment: str | None,
    events: Path | None,
    summary: bool,
    as_json: bool,
    socket_path: Path,
) -> None:
    """Show what a site's file would have told of recorded readings, and when.

    FILE is what ``cytowatch export`` wrote (CSV or JSON lines; - is standard input), or a backup of
    a store; without one the daemon is asked for its record, from --since on. The same code judges
    as in the daemon; nobody acknowledges anything, and so nothing escalates. Limits and delays are
    tried with --set, or in a copy of the file that is given to --compare.
    """
    from monitor.replay import Trial, recorded

    if file is None and since is None:
        raise click.UsageError("name a FILE, or say with --since what the daemon is asked for")
    span = (since or 0, EVER if until is None else until)
    plants = [_plant(config, settings), *([_plant(compare)] if compare else [])]
    with _telling(file), _opened(file, span, equipment, socket_path) as (rows, own_steps):
        steps = own_steps if events is None else _steps(_json_lines(events))
        trials = [Trial(plant, steps) for plant in plants]
        began = time.monotonic()
        wanted = _within(rows, span, equipment)
        for of in recorded(wanted):
            told = [trial.take(of) for trial in trials]
            if not summary and any(told):
                _show(told, as_json=as_json)
        took = time.monotonic() - began
    _conclude(trials, as_json=as_json, took=took)


def _plant(path: Path, settings: Sequence[str] = ()) -> "Plant":
    from config.load import load
    from config.problems import ConfigError
    from config.trial import overrides

    try:
        return load(path, overrides=overrides(path, settings))
    except ConfigError as error:
        raise Failure("\n".join(str(problem) for problem in error.problems), CONFIG) from error


@contextmanager
def _telling(file: Path | None) -> Iterator[None]:
    """Say what is wrong with what is read."""
    from monitor.replay import RowError
    from monitor.store.errors import StoreError

    try:
        yield
    except RowError as error:
        raise Failure(f"{file or 'the daemon'}: {error}", IO_ERROR) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{file}: is neither an export nor a store", IO_ERROR) from error
    except StoreError as error:
        raise Failure(str(error), IO_ERROR) from error
    except OSError as error:
        raise Failure(f"{file}: cannot be read: {error.strerror}", IO_ERROR) from error


@contextmanager
def _opened(
    file: Path | None, span: tuple[int, int], equipment: str | None, socket_path: Path
) -> Iterator[tuple[Iterator["Row"], Sequence["Step"]]]:
    """Give the readings, and the steps of the clock where these are at hand, too."""
    from monitor.replay.rows import rows_of_json, rows_of_text

    if file is None:
        yield (
            rows_of_json(_asked(socket_path, "readings", span, equipment)),
            _steps(_asked(socket_path, "events", span, None)),
        )
    elif str(file) == "-":
        yield rows_of_text(iter(sys.stdin)), ()
    elif _is_store(file):
        yield from _of_store(file, span, equipment)
    else:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield rows_of_text(lines), ()


def _asked(
    socket_path: Path, what: str, span: tuple[int, int], equipment: str | None
) -> Iterator[str]:
    from monitor.cli.client import ask
    from monitor.operators.protocol import ExportRequest

    asked = {"what": what, "start": span[0], "end": span[1], "equipment": equipment}
    return ask(socket_path, ExportRequest.model_validate(asked))


def _is_store(file: Path) -> bool:
    with file.open("rb") as head:
        return head.read(len(SQLITE)) == SQLITE


def _of_store(
    file: Path, span: tuple[int, int], equipment: str | None
) -> Iterator[tuple[Iterator["Row"], Sequence["Step"]]]:
    from monitor.replay.rows import rows_of_points
    from monitor.store.reader import Reader

    with Reader(file) as reader:
        texts = (event.body for event in reader.events(*span) if event.kind == "clock_step")
        steps = _steps_of(json.loads(text) for text in texts)
        yield rows_of_points(reader.readings(*span, equipment)), steps


def _json_lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as lines:
        yield from lines


def _steps(events: Iterable[str]) -> Sequence["Step"]:
    """Read the steps of the clock out of exported events (JSON lines)."""
    bodies = (
        event["body"] for text in events if (event := json.loads(text))["kind"] == "clock_step"
    )
    return _steps_of(bodies)


def _steps_of(bodies: Iterable[Mapping[str, str]]) -> Sequence["Step"]:
    from monitor.alarms.performance import nanoseconds
    from monitor.replay import Step

    return [
        Step(nanoseconds(body["before"]), nanoseconds(body["after"]))
        for body in bodies
        if body["kind"] != "slewed"
    ]


def _within(rows: Iterable["Row"], span: tuple[int, int], equipment: str | None) -> Iterator["Row"]:
    start, end = span
    if (start, end, equipment) == (0, EVER, None):
        return iter(rows)
    return (row for row in rows if start <= row.time < end and equipment in {None, row.equipment})


def _show(told: Sequence[Sequence["ReplayTold"]], *, as_json: bool) -> None:
    """Print what was told at one time; of two files, which of them told it."""
    for each, by in _merged(told):
        if len(told) == 1:
            click.echo(each.model_dump_json(by_alias=True) if as_json else _line(each))
        elif as_json:
            click.echo(_marked(each, by))
        else:
            click.echo(f"{by}  {_line(each)}")


def _marked(told: "ReplayTold", by: By) -> str:
    from monitor.operators.protocol import ReplayedMessage

    return ReplayedMessage(by=by, told=told).model_dump_json(by_alias=True)


def _line(told: "ReplayTold") -> str:
    from config.problems import plain
    from monitor.cli.words import transition_line
    from monitor.messages import AlarmEventMessage
    from monitor.pages.facts import sentence

    if isinstance(told, AlarmEventMessage):
        return transition_line(told)
    parts = (told.end or told.last_beyond, "- -       ", "EXCURSION   ", sentence(told))
    return click.style(plain("  ".join(parts)), dim=True)


def _merged(told: Sequence[Sequence["ReplayTold"]]) -> Iterator[tuple["ReplayTold", By]]:
    """Give what either tells: ``=`` both, ``1`` the first alone, ``2`` the second alone."""
    first, second = told[0], list(told[1]) if len(told) > 1 else []
    for each in first:
        same = next((other for other in second if _what(other) == _what(each)), None)
        if same is not None:
            second.remove(same)
        yield each, "1" if same is None else "="
    for each in second:
        yield each, "2"


def _what(told: "ReplayTold") -> tuple[str, ...]:
    """Return what two files tell when they tell the same."""
    from monitor.messages import AlarmEventMessage

    if isinstance(told, AlarmEventMessage):
        return told.alarm, told.change
    return told.equipment, told.channel, told.rule, told.start


def _conclude(trials: Sequence["Trial"], *, as_json: bool, took: float) -> None:
    from monitor.cli.words import table

    messages = [summarised(trial) for trial in trials]
    if as_json:
        for message in messages:
            click.echo(message.model_dump_json(by_alias=True))
    else:
        click.echo("\n".join(["", *table(_rows(messages))]))
    first = messages[0]
    rate = first.readings / took * 60 if took else 0.0
    click.echo(
        f"{first.readings} readings in {first.scans} scans, {first.start or 'none'} to"
        f" {first.end or 'none'}, in {took:.1f} s ({rate:.3g} readings a minute)",
        err=True,
    )
    for number, message in enumerate(messages, 1):
        _say_unknown(message, f"file {number}: " if len(messages) > 1 else "")


def _say_unknown(message: "ReplayMessage", which: str) -> None:
    if message.unknown:
        names = ", ".join(list(message.unknown)[:3])
        click.echo(
            f"cytowatch: {which}{sum(message.unknown.values())} readings of channels that the file"
            f" does not have, or has otherwise, were left out: {names} …",
            err=True,
        )


def summarised(trial: "Trial") -> "ReplayMessage":
    """Return what it came to, as a message; the most frequent first."""
    from monitor.messages import rfc3339
    from monitor.operators.protocol import ReplayMessage

    tallies, judged = trial.close(), trial.judged
    ordered = sorted(tallies.items(), key=lambda each: (-each[1].raised, -each[1].brief, each[0]))
    return ReplayMessage(
        site=trial.plant.site,
        gateway=trial.plant.gateway,
        config=trial.plant.digest[:8],
        start=None if judged.first is None else rfc3339(judged.first),
        end=None if judged.last is None else rfc3339(judged.last),
        readings=judged.readings,
        scans=judged.scans,
        rules=tuple(_rule(name, tally) for name, tally in ordered),
        unknown=dict(trial.unknown),
    )


def _rule(name: str, tally: "Tally") -> "ReplayedRule":
    from monitor.operators.protocol import ReplayedRule

    return ReplayedRule(
        alarm=name,
        raised=tally.raised,
        annunciated=tally.annunciated,
        standing=tally.standing / 10**9,
        shortest=None if tally.shortest is None else tally.shortest / 10**9,
        longest=None if tally.longest is None else tally.longest / 10**9,
        stands=tally.stands,
        brief=tally.brief,
        longest_brief=tally.longest_brief / 10**9,
        excursions=tally.excursions,
        outside=tally.outside,
        longest_excursion=tally.longest_excursion,
    )


def _rows(messages: Sequence["ReplayMessage"]) -> list[tuple[str, ...]]:
    """Return the summary as a table: of two files, their columns side by side."""
    heads = [
        f"{word} {number}" if len(messages) > 1 else word
        for number in range(1, len(messages) + 1)
        for word in _HEADS
    ]
    by_alarm = [{rule.alarm: rule for rule in message.rules} for message in messages]
    names = dict.fromkeys(name for known in by_alarm for name in known)
    rows = ((n, *(cell for known in by_alarm for cell in _cells(known.get(n)))) for n in names)
    return [("alarm", *heads), *rows]


_HEADS = ("raised", "told", "standing", "shortest", "longest", "too brief", "outside")


def _cells(rule: "ReplayedRule | None") -> tuple[str, ...]:
    if rule is None:
        return ("-",) * len(_HEADS)
    from monitor.cli.report import duration

    def lasted(seconds: float | None) -> str:
        return "" if seconds is None else duration(seconds)

    brief = f"{rule.brief} (to {duration(rule.longest_brief)})" if rule.brief else ""
    still = " still" if rule.stands else ""
    standing = duration(rule.standing) + still if rule.raised else ""
    outside = f"{duration(rule.outside)} in {rule.excursions}" if rule.excursions else ""
    return (
        str(rule.raised), str(rule.annunciated), standing, lasted(rule.shortest),
        lasted(rule.longest), brief, outside,
    )  # fmt: skip
