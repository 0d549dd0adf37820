"""Mean kinetic temperature (USP <1160>, governed by <1079.2>): for stored drug product alone.

The one constant temperature that would have done as much to a product as the ones that were, by an
activation energy of 83.144 kJ/mol. It says nothing of living cells or of what is frozen.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import exp, log

from config.plant import Storage

OVER_R = 10_000.0
"""Activation energy over the gas constant (K): 83.144 kJ/mol over 8.3144e-3 kJ/(mol K), exactly."""
ZERO = 273.15
HOUR = 3600
WINDOWS = {Storage.COLD: 24 * HOUR, Storage.ROOM: 30 * 24 * HOUR}
"""Seconds up to the end of an excursion, itself included."""


def mean_kinetic_temperature(weighted: Iterable[tuple[float, float]]) -> float | None:
    """Return it (degrees Celsius) over temperatures (Cel) with their weights; None without any."""
    total = sums = 0.0
    for celsius, weight in weighted:
        total += weight
        sums += weight * exp(-OVER_R / (celsius + ZERO))
    return OVER_R / -log(sums / total) - ZERO if total > 0 else None


def by_time(
    readings: Sequence[tuple[float, float | None]], longest: float
) -> Iterator[tuple[float, float]]:
    """Weight each of ``readings`` (seconds, Cel; None: bad) by half the time to its neighbours.

    What lies beside a bad reading, or in a gap longer than ``longest`` seconds, weighs nothing.
    """
    for (start, one), (end, other) in pairwise(readings):
        if one is not None and other is not None and 0 < end - start <= longest:
            yield one, (end - start) / 2
            yield other, (end - start) / 2
