"""The simulated plant: equipment with physics and a scenario, behind real servers.

Wired as plants are: a CO2 probe and a humidity and temperature probe share each incubator's own
Modbus TCP host, the door contacts and gas pressures of all of them come in at one I/O module, and
each bioreactor's controller is an OPC UA server.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from drivers.simulated import instruments, nodes, simulation
from drivers.simulated.equipment import Chamber
from drivers.simulated.instruments import MOST_INCUBATORS, Block
from drivers.simulated.place import HOST
from drivers.simulated.scenario import DecontaminationRuns, Scenario, ScenarioError, minute
from drivers.simulated.servers import ModbusHost
from drivers.simulated.simulation import Simulation
from drivers.simulated.site import (
    CO2_UNIT,
    HUMIDITY_UNIT,
    IO_LINE,
    IO_UNIT,
    probes_line,
    site_file,
)

if TYPE_CHECKING:
    from drivers.simulated.opcua import OpcUaHost

TIME_FACTOR = 30.0
"""A door opening of 14 s is one of seven minutes, and is made good within half a minute."""
SAMPLING = simulation.SECOND
"""ns of the plant's own time between two samples of a bioreactor's controller."""


class Address(NamedTuple):
    """Where a line's host is."""

    host: str
    port: int


class SimulatedPlant:
    """The plant while it runs: ``async with SimulatedPlant() as plant``.

    ``time_factor`` speeds the physics only; the scenario and all clocks stay as they are.
    Raises ``ScenarioError`` when the scenario does not fit the plant.
    """

    def __init__(
        self,
        incubators: int = 6,
        bioreactors: int = 2,
        *,
        scenario: Scenario | None = None,
        seed: int = 1,
        time_factor: float = TIME_FACTOR,
    ) -> None:
        if not 1 <= incubators <= MOST_INCUBATORS:
            raise ScenarioError(f"one I/O module serves 1 to {MOST_INCUBATORS} incubators")
        scenario = minute() if scenario is None else scenario
        chambers = [f"incubator-{number:02}" for number in range(1, incubators + 1)]
        tanks = [f"bioreactor-{number:02}" for number in range(1, bioreactors + 1)]
        simulation.check(scenario, chambers, tanks, _units(chambers, tanks))
        runs = [each for each in scenario.happenings if isinstance(each, DecontaminationRuns)]
        self._emptied = {run.incubator for run in runs}
        self.simulation = Simulation(chambers, tanks, scenario, seed=seed, time_factor=time_factor)
        self._modbus: Mapping[str, ModbusHost] = {}
        self._opcua: Mapping[str, OpcUaHost] = {}
        self._standing = AsyncExitStack()
        self._over = False

    @property
    def incubators(self) -> Sequence[str]:
        """The names of the incubators."""
        return tuple(self.simulation.chambers)

    @property
    def bioreactors(self) -> Sequence[str]:
        """The names of the bioreactors, which their lines bear too."""
        return tuple(self.simulation.tanks)

    @property
    def lines(self) -> Mapping[str, Address]:
        """Each line's host and port, by the name that the site file gives the line."""
        return {name: Address(HOST, host.port) for name, host in self._hosts.items()}

    @property
    def with_cells(self) -> Sequence[str]:
        """The incubators that no decontamination is written down for: cells may be in them."""
        return tuple(name for name in self.incubators if name not in self._emptied)

    def plugged(self, line: str) -> bool:
        """Whether the line's host is on the network now."""
        return self._hosts[line].plugged

    def config_yaml(
        self, state_directory: Path, *, mqtt_port: int | None = None, commands: bool = False
    ) -> str:
        """Return the text of a site file that watches this plant.

        ``mqtt_port`` is a broker's on the loopback; ``commands``: whether acts come over it.
        """
        return site_file(
            (self.incubators, self.bioreactors),
            {name: address.port for name, address in self.lines.items()},
            state_directory,
            mqtt_port=mqtt_port,
            commands=commands,
        )

    async def __aenter__(self) -> Self:
        chambers = self.simulation.chambers
        hosts = {probes_line(name): _probes(chamber) for name, chamber in chambers.items()}
        self._modbus = hosts | {IO_LINE: ModbusHost({IO_UNIT: partial(_io, chambers.values())})}
        self._opcua = _controllers(self.bioreactors)
        async with AsyncExitStack() as standing:
            for host in self._hosts.values():
                standing.push_async_callback(host.close)
            for host in self._hosts.values():
                await host.plug()
            running = asyncio.create_task(self._run(), name="simulated plant")
            standing.push_async_callback(self._end, running)
            self._standing = standing.pop_all()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._standing.aclose()

    @property
    def _hosts(self) -> Mapping[str, "ModbusHost | OpcUaHost"]:
        return {**self._modbus, **self._opcua}

    async def _run(self) -> None:
        """Let time pass: physics and sensors, then what the scenario does to the network."""
        clock = asyncio.get_running_loop().time
        start, began, shown = clock(), time.time_ns(), -1
        while not self._over:
            now = round((clock() - start) * simulation.SECOND)
            self.simulation.advance(now)
            await self._reconcile()
            if shown < now // SAMPLING:
                shown = now // SAMPLING
                await self._show(began + now)
            await asyncio.sleep(simulation.TICK / simulation.SECOND)

    async def _show(self, at: int) -> None:
        """Let the bioreactors' controllers sample their sensors."""
        for name, host in self._opcua.items():
            await host.show(nodes.shown(self.simulation.tanks[name]), at)

    async def _end(self, running: asyncio.Task[None]) -> None:
        """Not by cancelling: a host that is just being plugged would stay half open."""
        self._over = True
        await running

    async def _reconcile(self) -> None:
        """Make each host what the scenario says it is now."""
        for line, modbus in self._modbus.items():
            modbus.silent = self.simulation.silent(line)
        pulled = self.simulation.pulled
        for line, host in self._hosts.items():
            await (host.pull() if line in pulled else host.plug())


def _units(incubators: Sequence[str], bioreactors: Sequence[str]) -> dict[str, set[int]]:
    """The units behind each line."""
    probes = {probes_line(name): {CO2_UNIT, HUMIDITY_UNIT} for name in incubators}
    controllers: dict[str, set[int]] = {name: set() for name in bioreactors}
    return {**probes, IO_LINE: {IO_UNIT}, **controllers}


def _controllers(bioreactors: Sequence[str]) -> Mapping[str, "OpcUaHost"]:
    if not bioreactors:
        return {}
    # Its library takes half a second: only a plant that has bioreactors pays for it.
    from drivers.simulated.opcua import OpcUaHost  # noqa: PLC0415 - see above

    return {name: OpcUaHost(name) for name in bioreactors}


def _probes(chamber: Chamber) -> ModbusHost:
    return ModbusHost(
        {
            CO2_UNIT: lambda: instruments.gmp251(chamber.shown),
            HUMIDITY_UNIT: lambda: instruments.hmp(chamber.shown),
        }
    )


def _io(chambers: Collection[Chamber]) -> Sequence[Block]:
    return instruments.io_module([chamber.signals for chamber in chambers])
