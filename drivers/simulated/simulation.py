"""The plant as it stands at each moment: its equipment, and what is happening to it.

Pure but for its own state: time is handed in, and runs in ticks of a fixed length, so the same
seed and scenario give the same run to the last bit, however often one looks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from drivers.simulated.equipment import Chamber, Tank
from drivers.simulated.incubator import Programme
from drivers.simulated.scenario import (
    AgitatorStops,
    BottleEmpty,
    DecontaminationRuns,
    DoorLeftOpen,
    GasFails,
    Happening,
    NetworkPulled,
    Scenario,
    ScenarioError,
    SensorFails,
    UnitSilent,
)
from drivers.simulated.sensors import IN_BIOREACTOR, IN_INCUBATOR, Failing, Failure

TICK = 100_000_000
"""ns of the plant's own time between two samples of its sensors."""
SECOND = 10**9


class Simulation:
    """The equipment under a scenario; ``time_factor`` speeds its physics and nothing else."""

    def __init__(
        self,
        incubators: Sequence[str],
        bioreactors: Sequence[str],
        scenario: Scenario,
        *,
        seed: int = 1,
        time_factor: float = 1.0,
    ) -> None:
        self.chambers = {name: Chamber.settled(name, seed) for name in incubators}
        self.tanks = {
            name: Tank.settled(name, seed, index) for index, name in enumerate(bioreactors)
        }
        self.standing: list[Happening] = []
        self._equipment: Mapping[str, Chamber | Tank] = {**self.chambers, **self.tanks}
        self._coming = scenario.play(incubators, bioreactors, seed)
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
        for each in self._equipment.values():
            each.advance(self._seconds)

    def _begun(self, now: int) -> list[Happening]:
        begun = []
        while self._next is not None and self._next.at <= now:
            begun.append(self._next)
            self._next = next(self._coming, None)
        return begun

    def _apply(self, now: int) -> None:
        """Make what acts on each equipment follow from what stands; nothing else does."""
        for each in self._equipment.values():
            each.undisturbed()
        for happening in self.standing:
            self._happen(happening, now)

    def _happen(self, happening: Happening, now: int) -> None:
        match happening:
            case DoorLeftOpen(incubator=name):
                chamber = self.chambers[name]
                chamber.inputs = replace(chamber.inputs, door_open=True)
            case BottleEmpty(incubators=names):
                for chamber in (self.chambers[name] for name in names):
                    chamber.inputs = replace(chamber.inputs, gas=False)
            case DecontaminationRuns(incubator=name):
                chamber = self.chambers[name]
                programme = Programme.COOLING if happening.cools(now) else Programme.HOT
                chamber.inputs = replace(chamber.inputs, programme=programme)
            case GasFails(bioreactor=name):
                self.tanks[name].inputs = replace(self.tanks[name].inputs, gas=False)
            case AgitatorStops(bioreactor=name):
                self.tanks[name].inputs = replace(self.tanks[name].inputs, drive=False)
            case SensorFails(equipment=name, quantity=quantity, failure=failure):
                failing = Failing(failure, (now - happening.at) / SECOND)
                self._equipment[name].failing[quantity] = failing
            case NetworkPulled() | UnitSilent():
                pass  # The servers ask for these.
            case _:
                assert_never(happening)


def check(
    scenario: Scenario,
    incubators: Sequence[str],
    bioreactors: Sequence[str],
    units: Mapping[str, set[int]],
) -> None:
    """Raise ``ScenarioError`` when ``scenario`` names what the plant does not have.

    ``units`` are those behind each line; an OPC UA line has none.
    """
    for happening in scenario.happenings:
        match happening:
            case DoorLeftOpen(incubator=name) | DecontaminationRuns(incubator=name):
                _known("incubator", [name], incubators)
            case BottleEmpty(incubators=names):
                _known("incubator", names, incubators)
            case GasFails(bioreactor=name) | AgitatorStops(bioreactor=name):
                _known("bioreactor", [name], bioreactors)
            case SensorFails():
                _known("equipment", [happening.equipment], [*incubators, *bioreactors])
                _can_fail(happening, in_bioreactor=happening.equipment in bioreactors)
            case NetworkPulled(line=line):
                _known("line", [line], list(units))
            case UnitSilent(line=line, unit=unit):
                _known("line", [line], list(units))
                _known(f"unit of {line}", [str(unit)], sorted(map(str, units[line])))
            case _:
                assert_never(happening)


def _known(kind: str, named: Iterable[str], there: Sequence[str]) -> None:
    for name in named:
        if name not in there:
            have = ", ".join(there) or "none"
            raise ScenarioError(f"the scenario names the {kind} {name}; the plant has {have}")


def _can_fail(fails: SensorFails, *, in_bioreactor: bool) -> None:
    has = IN_BIOREACTOR if in_bioreactor else IN_INCUBATOR
    if fails.quantity not in has:
        raise ScenarioError(
            f"the scenario lets the sensor {fails.quantity} of {fails.equipment} fail; "
            f"it has {', '.join(sorted(has))}"
        )
    if fails.failure is Failure.UNCERTAIN and not in_bioreactor:
        raise ScenarioError(
            f"the scenario makes the sensor {fails.quantity} of {fails.equipment} uncertain; "
            "Modbus has no word for that, only a bioreactor's OPC UA has"
        )
