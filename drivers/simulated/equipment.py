"""The equipment of the simulated plant: each with its physics, its sensors, and what befalls it.

Pure but for its own state; time is handed in, in physical seconds.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from drivers.simulated import bioreactor, incubator
from drivers.simulated.bioreactor import Bioreactor, Operation, Phase
from drivers.simulated.incubator import Incubator, Programme
from drivers.simulated.instruments import IncubatorSignals, Mode
from drivers.simulated.sensors import Failing, Failure, Quantity, Sensors, Shown

CHAMBER, TANK = Incubator(), Bioreactor()
"""The makes that the plant has."""
CULTURES = (
    (Phase.INOCULATION, 1.2e12, TANK.batch.adaptation - 1800),
    (Phase.GROWTH, 4.0e12, 0.0),
    (Phase.GROWTH, 2.5e12, 0.0),
)
"""Phase, cells per m3 and seconds in the phase at which the bioreactors begin, one after the other.

The first is half an hour before its first division, and the second so dense that it needs oxygen.
"""
GAS_PRESSURE = 1.0
"""bar, while the bottle has gas."""
_PER_MINUTE = 60e6
"""mL/min in a m3/s."""
_GRAMS = {Quantity.GLUCOSE: 0.18016, Quantity.LACTATE: 0.09008}
"""g per mmol."""


@dataclass
class Chamber:
    """One incubator of the plant, and what stands around it now."""

    name: str
    state: incubator.State
    inputs: incubator.Inputs
    sensors: Sensors
    shown: Shown
    failing: dict[Quantity, Failing]
    mode: Mode = Mode.CULTURE

    @classmethod
    def settled(cls, name: str, seed: int) -> "Chamber":
        """Return an incubator that has stood closed for a day, with noise of its own."""
        inputs, sensors = incubator.Inputs(), _sensors(name, seed)
        state = incubator.settled(CHAMBER, inputs.room)
        return cls(name, state, inputs, sensors, sensors.sample(in_chamber(state), {}), {})

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` of physical time pass, and sample the sensors."""
        inputs = replace(self.inputs, programme=self._programme)
        self.state = incubator.advance(CHAMBER, self.state, inputs, seconds)
        self.mode = self._next_mode(inputs.programme)
        measured = in_chamber(self.state, gas=self.inputs.gas)
        self.shown = self.sensors.sample(measured, self.failing)

    @property
    def _programme(self) -> Programme:
        """What its controller is at; it ends no decontamination before the chamber is cool."""
        wanted, cool = self.inputs.programme, incubator.is_cool(CHAMBER, self.state)
        hot = self.mode is Mode.DECONTAMINATION and not cool
        return Programme.COOLING if hot and wanted is Programme.CULTURE else wanted

    def _next_mode(self, programme: Programme) -> Mode:
        if programme is not Programme.CULTURE:
            return Mode.DECONTAMINATION
        if self.mode is Mode.CULTURE or incubator.is_ready(CHAMBER, self.state):
            return Mode.CULTURE
        return Mode.WARMING_UP

    def undisturbed(self) -> None:
        """Close the door, bring gas and mend the sensors: nothing befalls it."""
        self.inputs, self.failing = incubator.Inputs(room=self.inputs.room), {}

    @property
    def signals(self) -> IncubatorSignals:
        """What is wired to the I/O module; the incubator's own alarm is about its gas."""
        pressure = self.shown[Quantity.GAS_PRESSURE]
        inputs = self.inputs
        return IncubatorSignals(inputs.door_open, inputs.gas, pressure, self.mode)


@dataclass
class Tank:
    """One bioreactor of the plant, the batch in it, and what stands around it now."""

    name: str
    state: bioreactor.State
    inputs: bioreactor.Inputs
    sensors: Sensors
    shown: Shown
    failing: dict[Quantity, Failing]
    in_phase: float
    """Physical seconds that the phase has stood."""

    @classmethod
    def settled(cls, name: str, seed: int, index: int) -> "Tank":
        """Return a bioreactor amid its batch; ``index`` says which of ``CULTURES`` it has."""
        phase, density, in_phase = CULTURES[index % len(CULTURES)]
        inputs, sensors = bioreactor.Inputs(phase=phase), _sensors(name, seed)
        state = bioreactor.grown(TANK, density, inputs)
        shown = sensors.sample(in_tank(state, inputs), {})
        return cls(name, state, inputs, sensors, shown, {}, in_phase)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` of physical time pass, and sample the sensors."""
        self.state = bioreactor.advance(TANK, self.state, self.inputs, seconds)
        self.in_phase += seconds
        self._follow()
        self.shown = self.sensors.sample(in_tank(self.state, self.inputs), self.failing)

    def _follow(self) -> None:
        phase = bioreactor.following(TANK, self.state, self.inputs.phase, self.in_phase)
        if phase is not self.inputs.phase:
            self.inputs, self.in_phase = replace(self.inputs, phase=phase), 0.0

    def undisturbed(self) -> None:
        """Bring gas, start the stirrer and mend the sensors: nothing befalls it."""
        self.inputs, self.failing = replace(self.inputs, gas=True, drive=True), {}

    @property
    def operation(self) -> Operation:
        """What its own controller says that it is doing."""
        return bioreactor.operation(TANK, self.state, self.inputs)

    @property
    def uncertain(self) -> frozenset[Quantity]:
        """What its sensors say that they are not sure of."""
        failing = self.failing.items()
        return frozenset(q for q, each in failing if each.failure is Failure.UNCERTAIN)


def in_chamber(state: incubator.State, *, gas: bool = True) -> Mapping[Quantity, float]:
    """Return what an incubator's sensors measure, in their units."""
    return {
        Quantity.TEMPERATURE: state.air_probe,
        Quantity.CO2: state.co2_probe,
        Quantity.HUMIDITY: state.humidity_probe,
        Quantity.GAS_PRESSURE: GAS_PRESSURE if gas else 0.0,
    }


def in_tank(state: bioreactor.State, inputs: bioreactor.Inputs) -> Mapping[Quantity, float]:
    """Return what a bioreactor's sensors measure, in their units."""
    act = bioreactor.actuators(TANK, state, inputs)
    return {
        Quantity.TEMPERATURE: state.broth_probe,
        Quantity.PH: state.ph_probe,
        Quantity.DISSOLVED_OXYGEN: state.oxygen_probe,
        Quantity.AGITATION: 60 * act.stirring,
        Quantity.AIR_FLOW: _PER_MINUTE * act.air,
        Quantity.O2_FLOW: _PER_MINUTE * act.oxygen,
        Quantity.CO2_FLOW: _PER_MINUTE * act.co2,
        Quantity.BASE_FLOW: _PER_MINUTE * act.feed.base,
        Quantity.WEIGHT: bioreactor.WATER * state.volume,
        Quantity.GLUCOSE: _GRAMS[Quantity.GLUCOSE] * state.per_volume(state.glucose),
        Quantity.LACTATE: _GRAMS[Quantity.LACTATE] * state.per_volume(state.lactate),
        Quantity.CELL_DENSITY: 1e-6 * state.per_volume(state.cells),
        Quantity.OXYGEN_UPTAKE: 3600 * bioreactor.uptake(TANK, state),
        Quantity.HEATER: 100 * act.heater / TANK.vessel.heater,
    }


def _sensors(name: str, seed: int) -> Sensors:
    return Sensors(random.Random(f"{seed}/{name}"))  # noqa: S311 - noise, no secret
