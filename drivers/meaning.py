"""From a raw value to a channel's value, whatever wire it came over. Pure.

What a value means is said by ``config.plant.Meaning``; every driver that looks at values one by one
does it here, so that a pump's state means the same over Modbus and over OPC UA.
"""

from collections.abc import Mapping
from math import isfinite
from struct import Struct

from config.plant import Meaning
from drivers.reading import Fault, Quality, Reason

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
INFINITY = float("inf")
_BAD = {reason: Fault(Quality.BAD, reason) for reason in Reason}
_FLOAT32 = Struct("f")


def bad(reason: Reason) -> Fault:
    """Return the fault of a reading that has no value, for this reason."""
    return _BAD[reason]


def scaled(meaning: Meaning, raw: float) -> float:
    """Return ``raw`` in the channel's unit."""
    return raw * float(meaning.scale) / float(meaning.divisor) + float(meaning.offset)


def in_range(meaning: Meaning, value: float) -> float | Reason:
    """Return ``value``, or why it cannot be true."""
    if not isfinite(value):
        return Reason.NOT_A_NUMBER
    low = limit(meaning.valid_min, -INFINITY)
    high = limit(meaning.valid_max, INFINITY)
    return value if low <= value <= high else Reason.OUT_OF_RANGE


def counted(meaning: Meaning, raw: float) -> int | Reason:
    """Return a signed 64-bit integer; integers that are not scaled stay exact."""
    plain = (meaning.scale, meaning.divisor, meaning.offset) == (1, 1, 0)
    checked = in_range(meaning, raw if plain else scaled(meaning, raw))
    if isinstance(checked, Reason):
        return checked
    count = round(checked)
    return count if INT64_MIN <= count <= INT64_MAX else Reason.OUT_OF_RANGE


def state(meaning: Meaning, raw: float) -> bool | Reason:
    """Return which of two states it is."""
    if raw not in {0, 1}:
        return Reason.UNKNOWN_STATE
    return bool(raw) is not meaning.inverted


def named(names: Mapping[int, str], raw: float) -> str | Reason:
    """Return the name of a raw value; the number itself where none has a name."""
    if not names:
        return str(raw)
    name = names.get(int(raw)) if raw == int(raw) else None
    return Reason.UNKNOWN_STATE if name is None else name


def limit(given: float | None, default: float) -> float:
    """Return the limit that was given, or the default."""
    return default if given is None else given


def single(value: float) -> float:
    """Return the float32 that is nearest; the value itself where none is."""
    try:
        nearest: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    except OverflowError:
        return value
    return nearest
