"""A clock that is moved by hand, and a recorder over a real store that lives by it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from config.plant import Plant
from config.rules import High, Low
from config.site import StoreSettings
from drivers.reading import Moment, Scan
from monitor import clock
from monitor.clock import RecordClock
from monitor.recorder import Recorder
from monitor.store import Event, Store
from monitor.store.reader import Reader
from tests.monitor.alarms.small_plant import BOOTED, NOON, SECOND, channel, plant, source

FILE = "cytowatch.db"
EVER = 2**63 - 1
HIGH, LOW = "incubator-7/co2/high", "incubator-7/co2/low"
OTHER = "incubator-8/co2/high"


class HandTime:
    """Stands in for the module ``time`` where the clocks are read."""

    CLOCK_BOOTTIME = 7

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = NOON
        self.boot = BOOTED
        self.boot_id = "boot-1"
        monkeypatch.setattr(clock, "time", self)
        monkeypatch.setattr(clock, "boot_id", lambda: self.boot_id)

    def time_ns(self) -> int:
        return self.wall

    def clock_gettime_ns(self, which: int) -> int:
        assert which == self.CLOCK_BOOTTIME
        return self.boot

    @property
    def now(self) -> Moment:
        return Moment(self.wall, self.boot)

    def pass_(self, seconds: float) -> None:
        """Let time go on, on both clocks."""
        self.wall += round(seconds * SECOND)
        self.boot += round(seconds * SECOND)

    def step(self, seconds: float) -> None:
        """Set the wall clock."""
        self.wall += round(seconds * SECOND)

    def reboot(self, seconds: float) -> None:
        """Let the machine be started anew, which takes so long."""
        self.wall += round(seconds * SECOND)
        self.boot, self.boot_id = 30 * SECOND, "boot-2"


def small_plant() -> Plant:
    """Two incubators with a CO2 probe each, on one line."""
    rules = High(limit=6.0, deadband=0.1), Low(limit=4.0)
    small = plant(
        source(0, "incubator-7", "probe", "bus", [channel("co2", *rules)]),
        source(1, "incubator-8", "probe", "bus", [channel("co2", rules[0])]),
    )
    digest = sha256(small.text.encode()).hexdigest()
    return replace(small, digest=digest, store=StoreSettings(tick=SECOND // 2))


def scan(now: Moment, value: float, *, of: int = 0) -> Scan:
    """What a probe said just now."""
    return Scan(of, now.at, now.boot, (value,))


@asynccontextmanager
async def recording(folder: Path, of: Plant | None = None) -> AsyncIterator[Recorder]:
    """Take up the record in ``folder``; what is open in the end is lost, as by a kill."""
    of = of or small_plant()
    async with Store.open(folder / FILE, quota=2**30) as store:
        yield await Recorder.start(of, store, RecordClock())


@asynccontextmanager
async def committing(recorder: Recorder) -> AsyncIterator["asyncio.Task[None]"]:
    """Commit as the daemon does, inside the block."""
    task = asyncio.create_task(recorder.commit_ticks())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def events(folder: Path, kind: str | None = None) -> list[Event]:
    """What stands on the record beside the readings."""
    with Reader(folder / FILE) as reader:
        return [each for each in reader.events(0, EVER) if kind in {None, each.kind}]


def bodies(folder: Path, kind: str) -> list[Mapping[str, Any]]:
    return [json.loads(event.body) for event in events(folder, kind)]


def times(folder: Path, equipment: str) -> Sequence[int]:
    """When its scans were, by the record (ns, UTC)."""
    with Reader(folder / FILE) as reader:
        return [point.time for point in reader.readings(0, EVER, equipment)]
