"""``check`` and ``schema``: a site's file, before the daemon meets it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import click

from monitor.cli.exits import CONFIG, leave
from monitor.cli.options import json_option

if TYPE_CHECKING:
    from config.lines import OpcUa
    from config.plant import Plant, Source

BLOB, SCAN, READING = 140, 7, 9.5
"""Bytes that a blob, each scan and each reading in it take, compressed: fitted to noisy float32."""
DAY = 86_400


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--justify", is_flag=True, help="List every alarm with what it is for: limits, delays, why."
)
@json_option
def check(file: Path, justify: bool, as_json: bool) -> None:
    """Check a site's file and say everything that is wrong with it, by line.

    Exit 78 if anything is; a good file is summed up.
    """
    from config.load import load
    from config.problems import ConfigError, plain
    from monitor.cli.words import table

    try:
        plant = load(file)
    except ConfigError as error:
        for problem in error.problems:
            said = {"schema": "cytowatch.problem.v1", **problem._asdict()}
            click.echo(json.dumps(said, default=str) if as_json else str(problem))
        count = len(error.problems)
        click.echo(f"{count} problem{'s'[: count > 1]} in {plain(str(file))}", err=True)
        leave(CONFIG)
        return
    if justify:
        _justify(plant, as_json=as_json)
        return
    facts = summary(plant)
    if as_json:
        click.echo(json.dumps({"schema": "cytowatch.check.v1", **facts}))
        return
    for line in table([(key.replace("_", " "), str(fact)) for key, fact in facts.items()]):
        click.echo(line)


def _justify(plant: "Plant", *, as_json: bool) -> None:
    """Print every alarm, and say what is missing."""
    from monitor.alarms.watch import watch
    from monitor.cli.justify import definition, gaps, lines
    from monitor.troubles import gateway_rules

    alarms = watch(plant, gateway_rules(plant)).values()
    told = (json.dumps(definition(each)) for each in alarms) if as_json else lines(alarms)
    for line in told:
        click.echo(line)
    missing = [f"{count} {what}" for what, count in gaps(alarms).items() if count]
    click.echo(", ".join([f"{len(alarms)} alarms", *missing]), err=True)


def summary(plant: "Plant") -> dict[str, str | int | float]:
    """Return what a plant comes to; rates are per second.

    Requests are those that ask for values: a subscribed node costs none, and is on the record at
    each grid point and with each change.
    """
    from monitor.store.opening import USUAL_QUOTA

    sources = plant.sources
    quota = plant.store.quota or USUAL_QUOTA
    return {
        "site": plant.site,
        "gateway": plant.gateway,
        "config": plant.digest[:8],
        "lines": len(plant.lines),
        "equipments": len(plant.equipment),
        "sources": len(sources),
        "channels": sum(len(source.channels) for source in sources),
        "subscribed_nodes": sum(len(each.channels) for each in sources if _subscribed(plant, each)),
        "rules": sum(len(channel.rules) for source in sources for channel in source.channels),
        "requests_per_second": round(_requests(plant), 1),
        "readings_per_second": round(_readings(plant), 1),
        "changes_per_second_assumed": round(_changes(plant), 1),
        "days_until_quota_about": round(quota / _bytes_per_day(plant), 1),
    }


def _rate(source: "Source") -> float:
    """Return how often a source comes round on its grid, per second."""
    return 10**9 / source.period


def _readings(plant: "Plant") -> float:
    """Return the readings on the grid."""
    return sum(len(source.channels) * _rate(source) for source in plant.sources)


def _subscribed(plant: "Plant", source: "Source") -> "OpcUa | None":
    """Return how the source is subscribed; None where it is polled."""
    from config.lines import OpcUaLine

    line = plant.lines[source.line]
    return line.opcua if isinstance(line, OpcUaLine) and line.opcua.reading != "poll" else None


def _publishings(plant: "Plant") -> float:
    """Return the scans beside the grid, if every source has a change in every publishing."""
    subscribed = (_subscribed(plant, source) for source in plant.sources)
    return sum(10**9 / settings.publishing for settings in subscribed if settings)


def _changes(plant: "Plant") -> float:
    """Return the readings beside the grid, if every number changes once in each publishing.

    A device can change faster, and most change more slowly: it is to plan the disk with.
    """
    from config.plant import ChannelType

    return sum(
        10**9 / settings.publishing
        for source in plant.sources
        if (settings := _subscribed(plant, source))
        for channel in source.channels
        if channel.type is ChannelType.ANALOG
    )


def _bytes_per_day(plant: "Plant") -> float:
    """Return what a day of readings takes: an estimate, for noisy values, which compress worst."""
    from monitor.recorder import GROUP

    scans = sum(map(_rate, plant.sources)) + _publishings(plant)
    readings = _readings(plant) + _changes(plant)
    groups = -(-len(plant.equipment) // GROUP)
    blobs = min(groups * 10**9 / plant.store.tick, scans)
    return DAY * (BLOB * blobs + SCAN * scans + READING * readings)


def _requests(plant: "Plant") -> float:
    return sum(_requests_of(plant, source) * _rate(source) for source in plant.sources)


def _requests_of(plant: "Plant", source: "Source") -> int:
    """Return how many requests one round of a source takes."""
    from config.lines import ModbusLine, OpcUaLine
    from drivers.modbus.plan import plan

    line = plant.lines[source.line]
    match line:
        case ModbusLine():
            return len(plan([channel.register for channel in source.channels], source.grouping))
        case OpcUaLine():
            return 0 if _subscribed(plant, source) else 1
        case _:
            assert_never(line)


@click.command()
def schema() -> None:
    """Print the JSON Schema of the site's file: editors check and complete with it."""
    from config.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
