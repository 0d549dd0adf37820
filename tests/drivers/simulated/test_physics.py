"""The steps in time and the controller that all simulated equipment shares."""

import math
from typing import NamedTuple

import pytest

from drivers.simulated.physics import advance, proportional_integral


class Swing(NamedTuple):
    """A harmonic oscillator."""

    place: float
    speed: float


def rates(now: Swing) -> Swing:
    return Swing(now.speed, -now.place)


@pytest.mark.parametrize("seconds", [0.05, 1.0, 6.3])
def test_time_passes_as_the_equations_say(seconds: float) -> None:
    there = advance(Swing._make, Swing(1.0, 0.0), rates, seconds, 0.05)
    assert there.place == pytest.approx(math.cos(seconds), abs=1e-6)
    assert there.speed == pytest.approx(-math.sin(seconds), abs=1e-6)


def test_half_the_step_has_a_sixteenth_of_the_error() -> None:
    def error(step: float) -> float:
        there = advance(Swing._make, Swing(1.0, 0.0), rates, 6.0, step)
        return math.hypot(there.place - math.cos(6.0), there.speed + math.sin(6.0))

    assert error(0.2) / error(0.1) == pytest.approx(16, rel=0.1)


def test_no_time_changes_nothing() -> None:
    still = Swing(1.0, 2.0)
    assert advance(Swing._make, still, rates, 0.0, 1.0) is still


@pytest.mark.parametrize(
    ("error", "integral", "output", "rate"),
    [
        (1.0, 2.0, 5.0, 0.3),  # Between its stops it integrates.
        (-0.5, 2.0, 0.5, -0.15),
        (9.0, 2.0, 10.0, 0.0),  # At a stop it does not wind up,
        (-9.0, 2.0, 0.0, 0.0),
        (-0.1, 12.0, 10.0, -0.03),  # and leaves it at once.
    ],
)
def test_a_controller_is_proportional_and_integral_between_its_stops(
    error: float, integral: float, output: float, rate: float
) -> None:
    found = proportional_integral(error, integral, gain=3.0, time=10.0, most=10.0)
    assert found == pytest.approx((output, rate))
