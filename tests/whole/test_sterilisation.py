"""A sterilisation of the simulated plant, whole: it calls nobody, neither while the chamber is hot
nor on its way back; and one that never ends is told when its suppression is over, and not before.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from config.load import load
from config.plant import Plant
from config.rules import SECOND, EquipmentState
from drivers.simulated.equipment import Chamber
from drivers.simulated.incubator import Programme
from drivers.simulated.plant import SimulatedPlant
from drivers.simulated.scenario import CALM
from monitor import app
from monitor.cli.client import ask_for
from monitor.messages import AlarmMessage
from monitor.operators.protocol import AlarmsRequest
from monitor.store.reader import Reader
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

NAME = "incubator-01"
HIGH = f"{NAME}/temperature/high"
LONGEST = 4 * SECOND
"""How long the run that never ends may suppress; a site may not say less than a minute."""
EVER = 2**63 - 1

Body = Mapping[str, Any]


@dataclass
class Record:
    """What a daemon recorded of the incubator, while it runs."""

    store: Path

    def bodies(self, kind: str) -> Sequence[Body]:
        """What its events of a kind say, in their order."""
        return [body for of, body in self.told() if of == kind]

    def told(self) -> Sequence[tuple[str, Body]]:
        """Kind and body of each of its events, in their order."""
        with Reader(self.store) as reader:
            found = [e for e in reader.events(0, EVER) if e.subject.split("/")[0] == NAME]
        return [(event.kind, json.loads(event.body) | {"at": event.at}) for event in found]

    def states(self) -> Sequence[str]:
        """The states it came into."""
        return [e["state"] for e in self.bodies("equipment_state") if e["change"] == "state"]


def site(plant: SimulatedPlant, folder: Path) -> str:
    """The demo's, but faster."""
    text = plant.config_yaml(folder / "state")
    text = re.sub(r"on_delay: \d+s", "on_delay: 600ms", text)
    text = text.replace("rejoin: 5s", "rejoin: 1s").replace("timeout: 500ms", "timeout: 30s")
    text = text.replace("profile: vaisala-", "every: 200ms, profile: vaisala-")
    return text.replace("- name: io\n", "- name: io\n        every: 200ms\n")


@asynccontextmanager
async def simulated() -> AsyncIterator[tuple[SimulatedPlant, Chamber]]:
    """An incubator in which time passes only where the test lets it (``Chamber.advance``)."""
    async with SimulatedPlant(1, 0, scenario=CALM, time_factor=0) as plant:
        yield plant, plant.simulation.chambers[NAME]


def at(chamber: Chamber, programme: Programme) -> None:
    """Have the incubator's controller go over to it."""
    chamber.inputs = replace(chamber.inputs, programme=programme)


async def test_a_sterilisation_calls_nobody_and_is_on_the_record(tmp_path: Path) -> None:
    async with simulated() as (plant, chamber):
        with Daemon(tmp_path / "daemon", site(plant, tmp_path / "daemon")) as daemon:
            await daemon.ready()
            record = Record(daemon.store)
            await a_run_goes_by(chamber, daemon, record)
            assert await daemon.alarms() == {}, "nothing is left to do"
            assert await daemon.stop() == 0
    assert record.states() == ["cleaning", "warming_up", "in_use"]
    alarms = record.bodies("alarm")
    assert {HIGH, f"{NAME}/co2/low"} <= {each["alarm"] for each in alarms}
    assert not [each for each in alarms if each["annunciated"]], "nobody is called"
    assert {"state:cleaning"} <= {each["suppressed_by"] for each in alarms}
    changes = record.bodies("equipment_state")
    assert not [each for each in changes if each["change"] == "suppression_ended"]
    cleaning, warming, _ = changes
    assert cleaning["told"] == "decontamination: running"
    assert warming["told"] == "mode: warming-up"
    assert instant(cleaning["suppressing_until"]) >= warming["at"], "within its longest"
    [hot] = [each for each in record.bodies("excursion") if each["rule"] == "high-high"]
    assert (hot["equipment_state"], hot["minor"]) == ("cleaning", True)
    assert hot["extreme"] > 80


async def a_run_goes_by(chamber: Chamber, daemon: Daemon, record: Record) -> None:
    """It heats until the daemon tells of it, cools, warms up again, and is ready for cells.

    Each step waits until the daemon has seen the one before it.
    """
    low = f"{NAME}/co2/low"
    at(chamber, Programme.HOT)
    await eventually(lambda: record.states() == ["cleaning"])
    chamber.advance(1500)
    await until_active(daemon, {HIGH, low})
    assert {alarm.state for alarm in (await daemon.alarms()).values()} == {"suppressed"}
    at(chamber, Programme.COOLING)
    chamber.advance(1500)
    await until_active(daemon, {low})
    at(chamber, Programme.CULTURE)
    await eventually(lambda: record.states() == ["cleaning", "warming_up"])
    while chamber.state.co2_probe < 4.75:
        chamber.advance(5)
    await until_active(daemon, set())
    assert record.states() == ["cleaning", "warming_up"], "its CO2 is not at the set-point yet"
    chamber.advance(900)
    await eventually(lambda: record.states() == ["cleaning", "warming_up", "in_use"])
    await until_seen(daemon, 6)
    ended = {"high", "high-high", "low"}  # More than the rejoin time after the run.
    await eventually(lambda: {each["rule"] for each in record.bodies("excursion")} >= ended)


async def until_active(daemon: Daemon, wanted: Collection[str]) -> None:
    """Return when the milder limits that are passed are these."""
    active: set[str] | None = None
    async with asyncio.timeout(GENEROUS):
        while active is None or active != set(wanted):
            alarms = (await daemon.alarms()).values()
            active = {a.alarm for a in alarms if a.active_state and a.rule in {"high", "low"}}


async def until_seen(daemon: Daemon, scans: int) -> None:
    """Return when each source was read so often again."""
    before = (await daemon.status()).last_scan
    async with asyncio.timeout(GENEROUS):
        while (await daemon.status()).last_scan < before + 3 * scans:
            pass


def instant(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000) * 10**6


def hurried(plant: Plant) -> Plant:
    """The same, but what a cleaning suppresses it suppresses for seconds."""
    cleaning = plant.suppression[EquipmentState.CLEANING].model_copy(update={"longest": LONGEST})
    states = {**plant.suppression, EquipmentState.CLEANING: cleaning}
    return replace(plant, suppression=states)


@pytest.fixture
def socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path that is short enough."""
    path = tmp_path / "s"
    monkeypatch.setenv("CYTOWATCH_SOCKET", str(path))
    return path


async def test_one_that_never_ends_is_told_when_it_has_been_silent_for_its_longest(
    tmp_path: Path, socket: Path
) -> None:
    async with simulated() as (plant, chamber):
        file = tmp_path / "site.yaml"
        file.write_text(site(plant, tmp_path), encoding="utf-8")
        async with app.running(hurried(load(file, environ={}))) as daemon:
            record = Record(daemon.recorder.store.path)
            await eventually(lambda: daemon.recorder.store.last.scan > 9)
            at(chamber, Programme.HOT)
            await eventually(lambda: record.states() == ["cleaning"])
            chamber.advance(1500)
            await eventually(lambda: bool(annunciated(record)))
            standing = await asyncio.to_thread(ask_for, socket, AlarmsRequest(), AlarmMessage)
            told = record.told()
    high = next(alarm for alarm in standing if alarm.alarm == HIGH)
    assert high.active_state
    assert not high.suppressed_by.startswith("state:")
    assert high.equipment_state == "cleaning", "the contact says so still"
    assert record.states()[0] == "cleaning"
    changes = [body.get("change") for _, body in told]
    end = changes.index("suppression_ended")
    calls = [number for number, (_, body) in enumerate(told) if body.get("annunciated")]
    assert end < min(calls), "nobody is called before its end"
    begun = record.bodies("equipment_state")[0]
    assert instant(begun["suppressing_until"]) == begun["at"] // 10**6 * 10**6 + LONGEST
    assert told[end][1]["at"] >= begun["at"] + LONGEST - SECOND // 10**3


def annunciated(record: Record) -> Sequence[Body]:
    """The calls about its temperature."""
    calls = [each for each in record.bodies("alarm") if each["annunciated"]]
    return [each for each in calls if each["alarm"].startswith(f"{NAME}/temperature/high")]
