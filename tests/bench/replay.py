"""How fast ``cytowatch replay`` goes through an export: ``./cyto bench --replay``.

Writes an export of incubators at 1 Hz, a rule on every channel and now and then an excursion, as
JSON lines and as CSV, has each replayed by a process of its own on one core, and tells what a
reading took, wire format to verdict.
"""

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from config.load import load
from config.plant import Plant
from drivers.simulated.site import load_site_file
from monitor.messages import rfc3339
from monitor.operators.protocol import ReadingMessage
from tests.bench.budget import Row
from tests.bench.scene import ROOT, BenchError, Size, environment

START = 1_769_860_800
"""2026-01-31T12:00:00Z"""
MINUTE_US = 60e6
SLOWEST_US = 60.0
"""A million readings a minute on one core."""
EXCURSION = 97
"""One scan in so many has a channel beyond its limit."""
FORMS = ("jsonl", "csv")


@dataclass(frozen=True)
class Replayed:
    """One replay: how much there was and what it took."""

    readings: int
    bytes: int
    cpu_s: float
    wall_s: float
    memory_mb: float
    raised: int

    @property
    def us(self) -> float:
        """CPU of a reading, microseconds; the start of the process is in it."""
        return self.cpu_s * 1e6 / self.readings


def replay_rows(size: Size, readings: int, folder: Path) -> list[Row]:
    """Measure both forms, and return the rows of the table."""
    folder.mkdir(exist_ok=True)
    site = folder / "site.yaml"
    site.write_text(
        load_site_file(range(5020, 5020 + size.equipments), size.channels, folder / "state")
    )
    plant = load(site, environ={})
    rows: list[Row] = []
    for form in FORMS:
        file = folder / f"readings.{form}"
        write(plant, readings, file)
        rows += _rows(form, replayed(site, file))
        file.unlink()
    return rows


def _rows(form: str, run: Replayed) -> Iterator[Row]:
    rate = f"{MINUTE_US / run.us / 1e6:.1f} million readings a minute"
    yield Row(
        f"replay_{form}_us", f"replay of {form}: CPU per reading", run.us, "µs", SLOWEST_US, rate
    )
    yield Row(
        f"replay_{form}_s", "  time for all", run.wall_s, "s", None, f"{run.readings} readings"
    )
    yield Row(f"replay_{form}_memory_mb", "  memory", run.memory_mb, "MB")
    yield Row(f"replay_{form}_raised", "  alarms raised", run.raised, "")
    yield Row(f"replay_{form}_bytes", "  bytes of a reading", run.bytes / run.readings, "")


def replayed(site: Path, file: Path) -> Replayed:
    """Replay a file in a process of its own, and look at what it took."""
    command = [sys.executable, "-m", "monitor.cli", "replay", str(file), "--config", str(site)]
    with subprocess.Popen(
        [*command, "--summary", "--json"], cwd=ROOT, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        out, said = child.stdout.read(), child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise BenchError(f"replay ended with {child.returncode}: {said}")
    told = json.loads(out.splitlines()[-1])
    raised = sum(rule["raised"] for rule in told["rules"])
    wall = float(said.rpartition(", in ")[2].split()[0])
    cpu = used.ru_utime + used.ru_stime
    size = file.stat().st_size
    return Replayed(told["readings"], size, cpu, wall, used.ru_maxrss * 1024 / 1e6, raised)


def write(plant: Plant, readings: int, file: Path) -> None:
    """Write an export of so many readings, at least."""
    with file.open("w", encoding="utf-8", newline="") as out:
        if file.suffix == ".csv":
            _write_csv(exported(plant, readings), out)
        else:
            out.writelines(
                json.dumps(row, separators=(",", ":")) + "\n" for row in exported(plant, readings)
            )


def exported(plant: Plant, readings: int) -> Iterator[Mapping[str, object]]:
    """Give readings as the daemon exports them, scan by scan, second by second."""
    chance = random.Random(1)  # noqa: S311 - noise, no secret
    kinds = {each.name: each.kind for each in plant.equipment}
    scan = given = 0
    while given < readings:
        second, turn = divmod(scan, len(plant.sources))
        source = plant.sources[turn]
        scan += 1
        row = {
            "schema": ReadingMessage.model_fields["schema_"].default,
            "time": rfc3339((START + second) * 10**9 + turn * 10**6),
            "site": plant.site,
            "area": "suite-a",
            "equipment": source.equipment,
            "kind": kinds[source.equipment],
            "source": source.name,
            "gateway": plant.gateway,
        }
        for index, channel in enumerate(source.channels):
            beyond = 1000.0 if scan % EXCURSION == index else 0.0
            yield row | {
                "channel": channel.name,
                "value": round(5 + chance.random() + beyond, 5),
                "quality": "good",
                "reason": "",
                "source_time": None,
                "scan": scan,
                "origin": "live",
                "state": "in_use",
            }
        given += len(source.channels)


def _write_csv(rows: Iterator[Mapping[str, object]], out: TextIO) -> None:
    names = [name for name in ReadingMessage.model_fields if name != "schema_"]
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([row[name] for name in names] for row in rows)
