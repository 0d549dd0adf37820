"""What the sensors show: the probe's value with its noise, or what a failing one shows instead.

Pure: the noise comes from the generator that is handed in, so the same seed shows the same run.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from drivers.simulated.physics import State


class Quantity(StrEnum):
    """What an incubator's sensors measure."""

    TEMPERATURE = "temperature"
    """degC, by the humidity and temperature probe"""
    CO2 = "co2"
    """% v/v, by the infrared probe"""
    HUMIDITY = "humidity"
    """% RH"""
    GAS_PRESSURE = "gas_pressure"
    """bar above the room's, behind the bottle's reducer; an analog input of the I/O module"""


class Failure(StrEnum):
    """How a sensor can fail while its electronics still answer."""

    BROKEN = "broken"
    """No value: a probe says NaN, the I/O module the integer that stands for "none" (0x8000)."""
    STUCK = "stuck"
    """Repeats what it showed when it failed."""
    DRIFTING = "drifting"
    """Shows more and more; see ``DRIFT``."""


NOISE: Mapping[Quantity, float] = {
    Quantity.TEMPERATURE: 0.02,
    Quantity.CO2: 0.015,
    Quantity.HUMIDITY: 0.25,
    Quantity.GAS_PRESSURE: 0.005,
}
"""Standard deviation of a sample: about a fifth of such probes' accuracy."""

DRIFT: Mapping[Quantity, float] = {
    Quantity.TEMPERATURE: 0.12,
    Quantity.CO2: 0.05,
    Quantity.HUMIDITY: -0.3,
    Quantity.GAS_PRESSURE: -0.01,
}
"""Per second of the plant's own time since the failure; far faster than real, to be seen."""

GAS_PRESSURE = 1.0
"""bar, while the bottle has gas."""

Shown = Mapping[Quantity, float | None]
"""One sample of every sensor; None: the sensor has no value."""


@dataclass
class Sensors:
    """The sensors of one incubator; remembers only what a stuck one repeats."""

    noise: random.Random
    shown: dict[Quantity, float | None] = field(default_factory=dict)

    def sample(self, state: State, *, gas: bool, failures: Mapping[Quantity, "Failing"]) -> Shown:
        """Return what the sensors show in ``state``; each call is a new sample."""
        for quantity, value in _measured(state, gas=gas).items():
            noisy = max(0.0, value + self.noise.gauss(0.0, NOISE[quantity]))
            self.shown[quantity] = self._show(quantity, noisy, failures.get(quantity))
        return dict(self.shown)

    def _show(self, quantity: Quantity, value: float, failing: "Failing | None") -> float | None:
        if failing is None:
            return value
        match failing.failure:
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


def _measured(state: State, *, gas: bool) -> dict[Quantity, float]:
    return {
        Quantity.TEMPERATURE: state.air_probe,
        Quantity.CO2: state.co2_probe,
        Quantity.HUMIDITY: state.humidity_probe,
        Quantity.GAS_PRESSURE: GAS_PRESSURE if gas else 0.0,
    }
