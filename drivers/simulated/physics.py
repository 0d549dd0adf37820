"""What incubators and bioreactors have in common: time that passes, and their own controllers.

Pure: states are named tuples of floats, rates are the same tuple per second.
"""

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

S = TypeVar("S", bound=tuple[float, ...])


def advance(
    make: Callable[[Iterable[float]], S],
    state: S,
    rates: Callable[[S], S],
    seconds: float,
    longest: float,
) -> S:
    """Return the state after ``seconds`` under constant inputs; ``make`` builds one of its parts.

    Runge-Kutta of fourth order in equal steps of at most ``longest`` seconds, so that how the time
    is cut does not show in the outcome.
    """
    if seconds <= 0:
        return state
    steps = math.ceil(seconds / longest)
    for _ in range(steps):
        state = _step(make, state, rates, seconds / steps)
    return state


def _step(
    make: Callable[[Iterable[float]], S], state: S, rates: Callable[[S], S], step: float
) -> S:
    def moved(slope: S, by: float) -> S:
        return make([x + by * dx for x, dx in zip(state, slope, strict=True)])

    k1 = rates(state)
    k2 = rates(moved(k1, step / 2))
    k3 = rates(moved(k2, step / 2))
    k4 = rates(moved(k3, step))
    slopes = zip(state, k1, k2, k3, k4, strict=True)
    return make([x + step / 6 * (a + 2 * b + 2 * c + d) for x, a, b, c, d in slopes])


def proportional_integral(
    error: float, integral: float, gain: float, time: float, most: float
) -> tuple[float, float]:
    """Output between 0 and ``most``, and the integral's rate, which stands still at either stop."""
    wanted = gain * error + integral
    if (wanted > most and error > 0) or (wanted < 0 and error < 0):
        return max(0.0, min(most, wanted)), 0.0
    return max(0.0, min(most, wanted)), gain * error / time
