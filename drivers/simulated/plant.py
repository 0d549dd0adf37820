"""The simulated plant: incubators with physics and a scenario, behind real Modbus TCP servers.

Wired as plants are: a CO2 probe and a humidity and temperature probe share each incubator's own
host, and the door contacts and gas pressures of all of them come in at one I/O module.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from drivers.simulated import instruments, simulation
from drivers.simulated.instruments import MOST_INCUBATORS, Block
from drivers.simulated.scenario import Scenario, ScenarioError, minute
from drivers.simulated.servers import HOST, ModbusHost
from drivers.simulated.simulation import Chamber, Simulation
from drivers.simulated.site import (
    CO2_UNIT,
    HUMIDITY_UNIT,
    IO_LINE,
    IO_UNIT,
    probes_line,
    site_file,
)

TIME_FACTOR = 30.0
"""A door opening of 14 s is one of seven minutes, and is made good within half a minute."""


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
        *,
        scenario: Scenario | None = None,
        seed: int = 1,
        time_factor: float = TIME_FACTOR,
    ) -> None:
        if not 1 <= incubators <= MOST_INCUBATORS:
            raise ScenarioError(f"one I/O module serves 1 to {MOST_INCUBATORS} incubators")
        names = [f"incubator-{number:02}" for number in range(1, incubators + 1)]
        scenario = minute() if scenario is None else scenario
        simulation.check(scenario, names, _units(names))
        self.simulation = Simulation(names, scenario, seed=seed, time_factor=time_factor)
        self._hosts: Mapping[str, ModbusHost] = {}
        self._standing = AsyncExitStack()
        self._over = False

    @property
    def incubators(self) -> Sequence[str]:
        """The names of the incubators."""
        return tuple(self.simulation.chambers)

    @property
    def lines(self) -> Mapping[str, Address]:
        """Each line's host and port, by the name that the site file gives the line."""
        return {name: Address(HOST, host.port) for name, host in self._hosts.items()}

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
            self.incubators,
            {name: address.port for name, address in self.lines.items()},
            state_directory,
            mqtt_port=mqtt_port,
            commands=commands,
        )

    async def __aenter__(self) -> Self:
        chambers = self.simulation.chambers
        hosts = {probes_line(name): _probes(chamber) for name, chamber in chambers.items()}
        self._hosts = hosts | {IO_LINE: ModbusHost({IO_UNIT: partial(_io, chambers.values())})}
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

    async def _run(self) -> None:
        """Let time pass: physics and sensors, then what the scenario does to the network."""
        clock = asyncio.get_running_loop().time
        start = clock()
        while not self._over:
            self.simulation.advance(round((clock() - start) * simulation.SECOND))
            await self._reconcile()
            await asyncio.sleep(simulation.TICK / simulation.SECOND)

    async def _end(self, running: asyncio.Task[None]) -> None:
        """Not by cancelling: a host that is just being plugged would stay half open."""
        self._over = True
        await running

    async def _reconcile(self) -> None:
        """Make each host what the scenario says it is now."""
        pulled = self.simulation.pulled
        for line, host in self._hosts.items():
            host.silent = self.simulation.silent(line)
            await (host.pull() if line in pulled else host.plug())


def _units(incubators: Sequence[str]) -> dict[str, set[int]]:
    """The units behind each line."""
    probes = {probes_line(name): {CO2_UNIT, HUMIDITY_UNIT} for name in incubators}
    return {**probes, IO_LINE: {IO_UNIT}}


def _probes(chamber: Chamber) -> ModbusHost:
    return ModbusHost(
        {
            CO2_UNIT: lambda: instruments.gmp251(chamber.shown),
            HUMIDITY_UNIT: lambda: instruments.hmp(chamber.shown),
        }
    )


def _io(chambers: Collection[Chamber]) -> Sequence[Block]:
    return instruments.io_module([chamber.signals for chamber in chambers])
