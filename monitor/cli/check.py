"""``check`` and ``schema``: a site's file, before the daemon meets it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.exits import CONFIG, leave
from monitor.cli.options import json_option

if TYPE_CHECKING:
    from config.plant import Plant

BLOB, SCAN, READING = 140, 7, 9.5
"""Bytes that a blob, each scan and each reading in it take, compressed: fitted to noisy float32."""
DAY = 86_400


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def check(file: Path, as_json: bool) -> None:
    """Check a site's file and say everything that is wrong with it, by line.

    Exit 78 if anything is; a good file is summed up.
    """
    from config.load import load
    from config.problems import ConfigError
    from monitor.cli.words import plain, table

    try:
        plant = load(file)
    except ConfigError as error:
        for problem in error.problems:
            said = {"schema": "cytowatch.problem.v1", **problem._asdict()}
            click.echo(json.dumps(said, default=str) if as_json else plain(str(problem)))
        count = len(error.problems)
        click.echo(f"{count} problem{'s'[: count > 1]} in {file}", err=True)
        leave(CONFIG)
        return
    facts = summary(plant)
    if as_json:
        click.echo(json.dumps({"schema": "cytowatch.check.v1", **facts}))
        return
    for line in table([(key.replace("_", " "), str(fact)) for key, fact in facts.items()]):
        click.echo(line)


def summary(plant: "Plant") -> dict[str, str | int | float]:
    """Return what a plant comes to; rates are per second."""
    from monitor.store.opening import USUAL_QUOTA

    sources = plant.sources
    quota = plant.store.quota or USUAL_QUOTA
    readings = sum(len(source.channels) / source.period for source in sources) * 10**9
    return {
        "site": plant.site,
        "gateway": plant.gateway,
        "config": plant.digest[:8],
        "lines": len(plant.lines),
        "equipments": len(plant.equipment),
        "sources": len(sources),
        "channels": sum(len(source.channels) for source in sources),
        "rules": sum(len(channel.rules) for source in sources for channel in source.channels),
        "requests_per_second": round(_requests(plant), 1),
        "readings_per_second": round(readings, 1),
        "days_until_quota_about": round(quota / _bytes_per_day(plant), 1),
    }


def _bytes_per_day(plant: "Plant") -> float:
    """Return what a day of readings takes: an estimate, for noisy values, which compress worst."""
    from monitor.recorder import GROUP

    scans = sum(10**9 / source.period for source in plant.sources)
    readings = sum(len(source.channels) * 10**9 / source.period for source in plant.sources)
    groups = -(-len(plant.equipment) // GROUP)
    blobs = min(groups * 10**9 / plant.store.tick, scans)
    return DAY * (BLOB * blobs + SCAN * scans + READING * readings)


def _requests(plant: "Plant") -> float:
    from drivers.modbus.plan import plan

    return sum(
        len(plan([channel.register for channel in source.channels], source.grouping))
        * 10**9
        / source.period
        for source in plant.sources
    )


@click.command()
def schema() -> None:
    """Print the JSON Schema of the site's file: editors check and complete with it."""
    from config.load import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
