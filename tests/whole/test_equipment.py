"""A cleaning that an incubator tells itself, whole: no false alarm, no more silence than it takes,
and the state in every point, over a kill in the middle.
"""

import asyncio
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from config.plant import Table
from drivers.simulated.instruments import Block
from drivers.simulated.servers import ModbusHost
from monitor.messages import AlarmMessage
from monitor.store.verify import verify
from tests.support.servers import HOST, InfluxDB
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

NAME = "incubator-07"
HIGH = f"{NAME}/temperature/high"
EVER = 2**63 - 1


@dataclass
class Incubator:
    """A probe and a contact that is closed while the chamber is decontaminated."""

    temperature: float = 37.0
    decontamination: bool = False

    def blocks(self) -> Sequence[Block]:
        words = struct.unpack(">2H", struct.pack(">f", self.temperature))
        return [
            Block(Table.HOLDING, 0, words),
            Block(Table.DISCRETE, 0, (int(self.decontamination),)),
        ]


def site(port: int, influxdb: InfluxDB, database: str) -> str:
    return f"""\
site: les-ulis
gateway: gw-1
store: {{tick: 200ms}}
influxdb: {{url: "{influxdb.url}", api: v1, database: {database}, timeout: 10s}}
limits:
  chamber:
    temperature: [{{name: high, high: 38.0, deadband: 0.1, priority: high}}]
lines:
  - {{name: bus, modbus: {{host: {HOST}, port: {port}, timeout: 10s}}}}
equipment:
  - name: {NAME}
    kind: incubator
    area: suite-a
    limits: chamber
    state: [{{channel: decontamination, states: {{running: cleaning}}}}]
    sources:
      - line: bus
        unit: 1
        every: 200ms
        channels:
          temperature: {{holding: 0, type: float32, order: ABCD, unit: "°C"}}
          decontamination: {{discrete: 0, names: {{0: "off", 1: running}}}}
"""


def changes(daemon: Daemon) -> Sequence[tuple[object, ...]]:
    """What the record says of states."""
    with daemon.reader() as reader:
        told = [each for each in reader.events(0, EVER) if each.kind == "equipment_state"]
    bodies = [json.loads(each.body) for each in told]
    return [(body["before"], body["state"], body["cause"]) for body in bodies]


async def until(daemon: Daemon, state: str) -> AlarmMessage:
    """Return the alarm as soon as it is in that state."""
    alarm: AlarmMessage | None = None
    try:
        async with asyncio.timeout(GENEROUS):
            while alarm is None or alarm.state != state:
                alarm = (await daemon.alarms()).get(HIGH)
    except TimeoutError:
        raise AssertionError(f"{alarm}\n{changes(daemon)}\n{daemon.words()}") from None
    return alarm


async def some_scans(daemon: Daemon) -> None:
    """Return when the next few scans are on the record."""
    now = last = (await daemon.status()).last_scan
    async with asyncio.timeout(GENEROUS):
        while now < last + 4:
            now = (await daemon.status()).last_scan


async def test_a_cleaning_raises_nothing_and_hides_nothing(
    tmp_path: Path, influxdb16: InfluxDB
) -> None:
    incubator = Incubator()
    host = ModbusHost({1: incubator.blocks})
    await host.plug()
    database = f"equipment_{host.port}"
    influxdb16.create(database)
    try:
        with Daemon(tmp_path / "daemon", site(host.port, influxdb16, database)) as daemon:
            await daemon.ready()
            await some_scans(daemon)
            assert changes(daemon) == [], "it is in use, as it always was"
            await a_run_goes_by(daemon, incubator)
            await daemon.until_delivered()
            assert await daemon.stop() == 0
        assert "Traceback" not in daemon.words()
        assert verify(daemon.store).whole
    finally:
        await host.close()
    points = influxdb16.query("SELECT state FROM incubator", database)
    states = [state for state, _ in groupby(row["state"] for row in points)]
    assert states == ["in_use", "cleaning", "in_use"]
    events = influxdb16.query("SELECT * FROM event WHERE kind = 'equipment_state'", database)
    assert [row["subject"] for row in events] == [NAME, NAME]


async def a_run_goes_by(daemon: Daemon, incubator: Incubator) -> None:
    """The contact closes, the chamber gets hot, the daemon is killed; then the contact opens."""
    begun = "in_use", "cleaning", "channel"
    incubator.decontamination = True
    await eventually(lambda: changes(daemon) == [begun])
    incubator.temperature = 180.0
    await until(daemon, "suppressed")
    daemon.kill()
    daemon.start()
    await daemon.ready()
    await some_scans(daemon)
    alarm = await until(daemon, "suppressed")
    assert not alarm.annunciated
    assert (alarm.suppressed_by, alarm.equipment_state) == ("state:cleaning", "cleaning")
    assert changes(daemon) == [begun], "a restart changes nothing"
    incubator.decontamination = False
    # The chamber is still hot, and now somebody is told.
    alarm = await until(daemon, "unacknowledged")
    assert alarm.annunciated
    assert alarm.equipment_state == "in_use"
    assert changes(daemon) == [begun, ("cleaning", "in_use", "default")]
    incubator.temperature = 37.0
    await until(daemon, "returned")
