"""Numbered values: each says which device served it, on which channel and as which of its values.

What is served is ``level + code / 10**10``: the whole part is what an alarm looks at, the digits
after the point are two of the device, one of the channel and seven of the serial number.  A float64
keeps them all, so whoever reads a value anywhere knows where it is from, or that it is invented.
"""

import math
from typing import NamedTuple

_SCALE = 10**10
_CHANNEL = 10**7
_DEVICE = 10


class Number(NamedTuple):
    """One value that one channel of one device has had."""

    level: int
    device: int
    """1 to 99."""
    channel: int
    """0 to 9."""
    serial: int
    """From 1, less than ten millions; the channels of one reading bear the same."""

    @property
    def value(self) -> float:
        code = (self.device * _DEVICE + self.channel) * _CHANNEL + self.serial
        return self.level + code / _SCALE


def number_of(value: float) -> Number:
    """What a value says; of one that was never served, something that does not give it back."""
    level = math.floor(value)
    rest, serial = divmod(round((value - level) * _SCALE), _CHANNEL)
    return Number(level, *divmod(rest, _DEVICE), serial)
