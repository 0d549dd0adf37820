"""What sensors show: the true value with its noise, or what a failing one shows instead.

Pure: the noise comes from the generator that is handed in, so the same seed shows the same run.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Quantity(StrEnum):
    """What the sensors of incubators and bioreactors measure."""

    TEMPERATURE = "temperature"
    """degC"""
    CO2 = "co2"
    """% v/v, by the infrared probe"""
    HUMIDITY = "humidity"
    """% RH"""
    GAS_PRESSURE = "gas_pressure"
    """bar above the room's, behind the bottle's reducer; an analog input of the I/O module"""
    PH = "ph"
    DISSOLVED_OXYGEN = "dissolved_oxygen"
    """% of saturation with air"""
    AGITATION = "agitation"
    """rpm"""
    AIR_FLOW = "air_flow"
    """mL/min"""
    O2_FLOW = "o2_flow"
    """mL/min"""
    CO2_FLOW = "co2_flow"
    """mL/min"""
    BASE_FLOW = "base_flow"
    """mL/min"""
    WEIGHT = "weight"
    """kg, net"""
    GLUCOSE = "glucose"
    """g/L"""
    LACTATE = "lactate"
    """g/L"""
    CELL_DENSITY = "cell_density"
    """Living cells per mL."""
    OXYGEN_UPTAKE = "oxygen_uptake"
    """mmol/L/h, by balance of the gas"""
    HEATER = "heater"
    """% of its power"""


IN_INCUBATOR = (Quantity.TEMPERATURE, Quantity.CO2, Quantity.HUMIDITY, Quantity.GAS_PRESSURE)
IN_BIOREACTOR = (
    Quantity.TEMPERATURE,
    *(q for q in Quantity if q not in IN_INCUBATOR),
)


class Failure(StrEnum):
    """How a sensor can fail while its electronics still answer."""

    BROKEN = "broken"
    """No value: a probe says NaN, the I/O module the integer that stands for "none" (0x8000), and
    an OPC UA server a bad status."""
    STUCK = "stuck"
    """Repeats what it showed when it failed."""
    DRIFTING = "drifting"
    """Shows more and more, or less and less; see ``DRIFT``."""
    UNCERTAIN = "uncertain"
    """Shows what is so, and says that it is not sure: only OPC UA has a status for that."""


NOISE: Mapping[Quantity, float] = {
    Quantity.TEMPERATURE: 0.02,
    Quantity.CO2: 0.015,
    Quantity.HUMIDITY: 0.25,
    Quantity.GAS_PRESSURE: 0.005,
    Quantity.PH: 0.005,
    Quantity.DISSOLVED_OXYGEN: 0.3,
    Quantity.AGITATION: 0.3,
    Quantity.AIR_FLOW: 2.0,
    Quantity.O2_FLOW: 1.0,
    Quantity.CO2_FLOW: 0.3,
    Quantity.BASE_FLOW: 0.0,
    Quantity.WEIGHT: 0.002,
    Quantity.GLUCOSE: 0.02,
    Quantity.LACTATE: 0.01,
    Quantity.CELL_DENSITY: 3e4,
    Quantity.OXYGEN_UPTAKE: 0.01,
    Quantity.HEATER: 0.1,
}
"""Standard deviation of a sample: about a fifth of such probes' accuracy."""

DRIFT: Mapping[Quantity, float] = {
    Quantity.TEMPERATURE: 0.12,
    Quantity.CO2: 0.05,
    Quantity.HUMIDITY: -0.3,
    Quantity.GAS_PRESSURE: -0.01,
    Quantity.PH: -0.02,
    Quantity.DISSOLVED_OXYGEN: -1.0,
    Quantity.AGITATION: -1.0,
    Quantity.AIR_FLOW: -10.0,
    Quantity.O2_FLOW: 2.0,
    Quantity.CO2_FLOW: 1.0,
    Quantity.BASE_FLOW: 0.05,
    Quantity.WEIGHT: 0.02,
    Quantity.GLUCOSE: -0.02,
    Quantity.LACTATE: 0.02,
    Quantity.CELL_DENSITY: 2e4,
    Quantity.OXYGEN_UPTAKE: 0.02,
    Quantity.HEATER: 0.5,
}
"""Per second of the plant's own time since the failure; far faster than real, to be seen."""

Shown = Mapping[Quantity, float | None]
"""One sample of an equipment's sensors; None: the sensor has no value."""


@dataclass
class Sensors:
    """The sensors of one equipment; remembers only what a stuck one repeats."""

    noise: random.Random
    shown: dict[Quantity, float | None] = field(default_factory=dict)

    def sample(
        self, measured: Mapping[Quantity, float], failures: Mapping[Quantity, "Failing"]
    ) -> Shown:
        """Return what the sensors show of what is ``measured``; each call is a new sample."""
        for quantity, value in measured.items():
            noisy = max(0.0, value + self.noise.gauss(0.0, NOISE[quantity]))
            self.shown[quantity] = self._show(quantity, noisy, failures.get(quantity))
        return dict(self.shown)

    def _show(self, quantity: Quantity, value: float, failing: "Failing | None") -> float | None:
        if failing is None:
            return value
        match failing.failure:
            case Failure.UNCERTAIN:
                return value
            case Failure.BROKEN:
                return None
            case Failure.STUCK:
                return self.shown.get(quantity, value)
            case Failure.DRIFTING:
                return max(0.0, value + DRIFT[quantity] * failing.seconds)


@dataclass(frozen=True)
class Failing:
    """A failure and for how many seconds of the plant's own time it has stood."""

    failure: Failure
    seconds: float
