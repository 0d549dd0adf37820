"""A replay of what the daemon recorded tells what the daemon told, event by event."""

import asyncio
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from monitor.store.reader import Reader
from tests.support.servers import HOST
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.devices import CHANNELS, Probe, SecondMake

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

EVER = 2**63 - 1
HIGH, LOW = "incubator-1/co2/high", "incubator-2/co2/low"
LINE = "gateway/_/line-two"
TOLD = (
    "alarm", "change", "before", "after", "time", "value", "peak", "peak_time", "condition_start",
    "alarm_time", "version", "annunciated", "suppressed_by", "superseded_by", "equipment_state",
    "limit", "scan",
)  # fmt: skip

MEASURED = (
    "equipment", "channel", "rule", "limit", "first_beyond", "last_beyond", "extreme",
    "extreme_time", "samples", "bad_samples", "minor", "ended_by", "equipment_state",
)  # fmt: skip


def site(ports: Mapping[str, int]) -> str:
    """Delays that no number of periods comes to: the record has milliseconds, the daemon more."""
    lines = "".join(
        f"  - {{name: {name}, modbus: {{host: {HOST}, port: {port}}}}}\n"
        for name, port in ports.items()
    )
    equipment = "".join(
        f"  - name: incubator-{number}\n    kind: incubator\n    area: suite-a\n    limits: co2\n"
        f"    sources:\n      - line: {name}\n        unit: 1\n        every: 200ms\n"
        f"        channels:\n{CHANNELS}\n"
        for number, name in enumerate(ports, 1)
    )
    return f"""\
site: les-ulis
gateway: gw-1
store: {{tick: 200ms}}
excursions: {{rejoin: 300ms}}
kinds:
  incubator: {{reads: {{type: counter}}}}
defaults:
  silent: {{on_delay: 1.1s}}
limits:
  co2:
    co2:
      - {{name: high, high: 6.0, deadband: 0.1, on_delay: 500ms, off_delay: 300ms}}
      - {{name: high-high, high: 8.0, deadband: 0.1, priority: critical}}
      - {{name: low, low: 4.0, deadband: 0.1}}
lines:
{lines}equipment:
{equipment}"""


async def test_the_same_readings_make_the_same_alarms(tmp_path: Path) -> None:
    one, two = Probe(), Probe()
    first, second = SecondMake(one), SecondMake(two)
    daemon = Daemon(tmp_path / "gateway", site({"one": first.port, "two": second.port}))
    with first:
        with second:
            daemon.start()
            try:
                await daemon.ready()
                await excursions(daemon, one, two)
                second.__exit__()
                await until(daemon, one, LINE)
            except BaseException:
                daemon.kill()
                raise
        out = await asyncio.to_thread(replayed, daemon, "--since", "1h")
        assert await daemon.stop() == 0
    live = told(daemon, "alarm")
    assert {each["alarm"] for each in live[: len(out)]} >= {HIGH, LOW, LINE, f"{HIGH}-high"}
    assert compared(out) == compared(live)[: len(compared(out))]
    for form in ("jsonl", "csv", "store"):
        again = replayed(daemon, exported(daemon, form))
        assert compared(again) == compared(live), form
        assert measured(again) == measured(told(daemon, "excursion")), form


async def excursions(daemon: Daemon, one: Probe, two: Probe) -> None:
    """A brief one, a long one that gets worse, and one of the other probe, which stays."""
    await scans(one, 3)
    one.co2 = 6.5
    await scans(one, 1)
    one.co2 = 5.0
    await scans(one, 3)
    one.co2, two.co2 = 6.5, 3.5
    await until(daemon, one, HIGH)
    one.co2 = 9.0
    await until(daemon, one, f"{HIGH}-high")
    one.co2 = 5.0
    await scans(one, 5)
    one.co2 = 7.0
    await scans(one, 5)


async def scans(probe: Probe, count: int) -> None:
    """Return when a probe was read so often."""
    upto = len(probe.served) + count
    await eventually(lambda: len(probe.served) >= upto, GENEROUS)


async def until(daemon: Daemon, probe: Probe, alarm: str) -> None:
    """Return when an alarm stands; looked at whenever ``probe`` was read."""
    for _ in range(int(GENEROUS * 5)):
        if alarm in await daemon.alarms():
            return
        await scans(probe, 1)
    raise AssertionError(f"{alarm} was not raised: {list(await daemon.alarms())}")


def told(daemon: Daemon, kind: str) -> list[Mapping[str, Any]]:
    """What the daemon told, by its record."""
    with Reader(daemon.store) as reader:
        return [json.loads(event.body) for event in reader.events(0, EVER) if event.kind == kind]


def exported(daemon: Daemon, form: str) -> str:
    """The readings of the record in a file."""
    if form == "store":
        return str(daemon.store)
    file = daemon.folder / f"readings.{form}"
    run(
        daemon,
        "export",
        "--from",
        "1h",
        "--format",
        form,
        "--file",
        str(daemon.store),
        "-o",
        str(file),
    )
    return str(file)


def replayed(daemon: Daemon, *arguments: str) -> list[Mapping[str, Any]]:
    """What a replay tells."""
    out = run(daemon, "replay", *arguments, "--config", str(daemon.file), "--json")
    return [json.loads(text) for text in out.splitlines()][:-1]


def run(daemon: Daemon, *arguments: str) -> str:
    done = subprocess.run(
        daemon.command(*arguments), env=daemon.environment, capture_output=True, check=False,
        text=True, timeout=GENEROUS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def compared(messages: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """What must be the same of alarms: all but who told it."""
    alarms = [each for each in messages if "change" in each]
    return [[each[name] for name in TOLD] for each in alarms]


def measured(messages: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """What must be the same of excursions; their times are crossings between milliseconds."""
    excursions = [each for each in messages if "unit_minutes" in each]
    return [
        [*(each[name] for name in MEASURED), pytest.approx(each["outside_seconds"], abs=0.01)]
        for each in excursions
    ]
