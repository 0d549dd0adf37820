"""What lies beyond a limit between two readings, on the straight line from one to the other.

A depth is how far a value is beyond the limit, in the channel's unit: positive outside, negative
inside. Where the line crosses the limit, the part beyond is a triangle.
"""

from typing import NamedTuple


class Limit(NamedTuple):
    """What is not to be passed, strictly, and on which side."""

    value: float
    high: bool

    def depth(self, value: float) -> float:
        """Return how far ``value`` is beyond."""
        return value - self.value if self.high else self.value - value

    def at(self, depth: float) -> float:
        """Return the value that is ``depth`` beyond."""
        return self.value + depth if self.high else self.value - depth


class Part(NamedTuple):
    """What of a stretch lies beyond."""

    time: float
    """In the unit of time of the stretch."""
    area: float
    """The channel's unit times that."""


NONE = Part(0.0, 0.0)


def beyond(before: float, after: float, span: float) -> Part:
    """Return what lies beyond between two depths that are ``span`` apart (trapezoid, triangle)."""
    if before <= 0 and after <= 0:
        return NONE
    if before >= 0 and after >= 0:
        return Part(span, (before + after) / 2 * span)
    outer = max(before, after)
    time = outer / abs(after - before) * span
    return Part(time, outer * time / 2)
