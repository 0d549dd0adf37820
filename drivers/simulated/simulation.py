"""The plant as it stands at each moment: incubators, their sensors and what is happening to them.

Pure but for its own state: time is handed in, and runs in ticks of a fixed length, so the same
seed and scenario give the same run to the last bit, however often one looks.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivers.simulated import physics
from drivers.simulated.instruments import IncubatorSignals
from drivers.simulated.physics import Incubator, Inputs, State
from drivers.simulated.scenario import (
    BottleEmpty,
    DoorLeftOpen,
    Happening,
    NetworkPulled,
    Scenario,
    ScenarioError,
    SensorFails,
    UnitSilent,
)
from drivers.simulated.sensors import Failing, Quantity, Sensors, Shown

TICK = 100_000_000
"""ns of the plant's own time between two samples of its sensors."""
SECOND = 10**9


@dataclass
class Chamber:
    """One incubator of the plant, and what stands around it now."""

    name: str
    state: State
    inputs: Inputs
    sensors: Sensors
    shown: Shown
    failing: dict[Quantity, Failing]

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` of physical time pass, and sample the sensors."""
        self.state = physics.advance(MAKE, self.state, self.inputs, seconds)
        self.shown = self.sensors.sample(self.state, gas=self.inputs.gas, failures=self.failing)

    @property
    def signals(self) -> IncubatorSignals:
        """What is wired to the I/O module; the incubator's own alarm is about its gas."""
        pressure = self.shown[Quantity.GAS_PRESSURE]
        return IncubatorSignals(self.inputs.door_open, self.inputs.gas, pressure)


MAKE = Incubator()


class Simulation:
    """The incubators under a scenario; ``time_factor`` speeds their physics and nothing else."""

    def __init__(
        self, names: Sequence[str], scenario: Scenario, *, seed: int = 1, time_factor: float = 1.0
    ) -> None:
        self.chambers = {name: _chamber(name, seed) for name in names}
        self.standing: list[Happening] = []
        self._coming = scenario.play(names, seed)
        self._next = next(self._coming, None)
        self._seconds = time_factor * TICK / SECOND
        self._ticks = 0

    def advance(self, now: int) -> None:
        """Bring the plant to ``now`` (ns since its start); it never goes back."""
        while (self._ticks + 1) * TICK <= now:
            self._ticks += 1
            self._tick(self._ticks * TICK)

    @property
    def pulled(self) -> set[str]:
        """The lines that are off the network."""
        return {each.line for each in self.standing if isinstance(each, NetworkPulled)}

    def silent(self, line: str) -> set[int]:
        """The units behind ``line`` that do not answer."""
        silent = [each for each in self.standing if isinstance(each, UnitSilent)]
        return {each.unit for each in silent if each.line == line}

    def _tick(self, now: int) -> None:
        before = self.standing
        self.standing = [each for each in before if each.stands(now)] + self._begun(now)
        if self.standing or before:
            self._apply(now)
        for chamber in self.chambers.values():
            chamber.advance(self._seconds)

    def _begun(self, now: int) -> list[Happening]:
        begun = []
        while self._next is not None and self._next.at <= now:
            begun.append(self._next)
            self._next = next(self._coming, None)
        return begun

    def _apply(self, now: int) -> None:
        """Make what acts on each chamber follow from what stands; nothing else does."""
        for chamber in self.chambers.values():
            chamber.inputs = replace(chamber.inputs, door_open=False, gas=True)
            chamber.failing = {}
        for happening in self.standing:
            match happening:
                case DoorLeftOpen(incubator=name):
                    chamber = self.chambers[name]
                    chamber.inputs = replace(chamber.inputs, door_open=True)
                case BottleEmpty(incubators=names):
                    for chamber in (self.chambers[name] for name in names):
                        chamber.inputs = replace(chamber.inputs, gas=False)
                case SensorFails(incubator=name, quantity=quantity, failure=failure):
                    failing = Failing(failure, (now - happening.at) / SECOND)
                    self.chambers[name].failing[quantity] = failing
                case NetworkPulled() | UnitSilent():
                    pass  # The servers ask for these.


def check(scenario: Scenario, incubators: Sequence[str], units: dict[str, set[int]]) -> None:
    """Raise ``ScenarioError`` when ``scenario`` names what the plant does not have."""
    for happening in scenario.happenings:
        match happening:
            case DoorLeftOpen(incubator=name) | SensorFails(incubator=name):
                _known("incubator", [name], incubators)
            case BottleEmpty(incubators=names):
                _known("incubator", names, incubators)
            case NetworkPulled(line=line):
                _known("line", [line], list(units))
            case UnitSilent(line=line, unit=unit):
                _known("line", [line], list(units))
                _known(f"unit of {line}", [str(unit)], sorted(map(str, units[line])))


def _known(kind: str, named: Sequence[str], there: Sequence[str]) -> None:
    for name in named:
        if name not in there:
            have = ", ".join(there)
            raise ScenarioError(f"the scenario names the {kind} {name}; the plant has {have}")


def _chamber(name: str, seed: int) -> Chamber:
    """An incubator that has stood closed for a day, with noise of its own."""
    inputs = Inputs()
    state = physics.settled(MAKE, inputs.room)
    sensors = Sensors(random.Random(f"{seed}/{name}"))  # noqa: S311 - noise, no secret
    shown = sensors.sample(state, gas=True, failures={})
    return Chamber(name, state, inputs, sensors, shown, {})
