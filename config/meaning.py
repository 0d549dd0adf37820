"""What a raw value means, as a site writes it: the part that every wire's channels have in common.

``{…, scale: 0.1, unit: degC}`` says what the device means; the catalogue says what the channel is.
Between the two stands an exact linear conversion.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TypedDict

from pydantic import Field

from config.catalogue import Entry
from config.model import Model, Real
from config.plant import ChannelType
from config.problems import Finding
from config.units import Linear, UnitError, conversion, exact

MOST_EXACT = 2**53
"""Whole numbers up to here are floats without loss."""
NUMBERS = frozenset({ChannelType.ANALOG, ChannelType.COUNTER})


class MeaningSpec(Model):
    """What a device means by a raw value."""

    scale: Real = 1.0
    offset: Real = 0.0
    """``raw * scale + offset`` is the value in ``unit``."""
    unit: str | None = None
    """What the device gives; converted to the catalogue's unit, which it is when not given."""
    sentinels: tuple[Real, ...] = ()
    """Raw values by which the device says that it has none."""
    valid: tuple[Real, Real] | None = None
    """What can be true, in ``unit``; everything outside is bad."""
    names: Mapping[int, str] = Field(default_factory=dict)
    """What raw values are called."""


class Converted(TypedDict):
    """The fields of ``plant.Meaning`` that do not depend on the wire."""

    scale: float
    divisor: float
    offset: float
    valid_min: float | None
    valid_max: float | None
    inverted: bool


def meaning_faults(spec: MeaningSpec, entry: Entry) -> Iterator[Finding]:
    """What is wrong with ``spec`` on any wire, for a channel that the catalogue calls ``entry``."""
    if spec.scale == 0:
        yield Finding(("scale",), "a scale of 0 makes every value the same")
    if spec.valid is not None and spec.valid[0] >= spec.valid[1]:
        yield Finding(("valid",), "the lowest valid value comes first, and is below the highest")
    match entry.type:
        case ChannelType.ANALOG | ChannelType.COUNTER:
            yield from _number_faults(spec, entry)
        case ChannelType.STATE | ChannelType.TEXT:
            yield from _name_faults(spec, entry)


def _number_faults(spec: MeaningSpec, entry: Entry) -> Iterator[Finding]:
    if spec.names:
        yield Finding(("names",), f"names are for states and texts; this is {entry.type}")
    try:
        linear = linear_of(spec, entry)
    except UnitError as error:
        known = f": the catalogue has {entry.unit!r}" if entry.unit else ": it is a bare number"
        yield Finding(("unit",), f"{error}{known}")
        return
    try:
        _ = float(linear.scale), float(linear.offset), limits_of(spec, entry)
    except OverflowError:
        yield Finding((), "scale, offset or valid is beyond what a float can hold")
    if entry.type is ChannelType.COUNTER and linear != Linear():
        yield Finding((), "a counter is kept as it is: no scale, offset or conversion")


def _name_faults(spec: MeaningSpec, entry: Entry) -> Iterator[Finding]:
    for key in ("unit", "valid"):
        if getattr(spec, key) is not None:
            yield Finding((key,), f"a {entry.type} has no {key}")
    if (spec.scale, spec.offset) != (1.0, 0.0):
        yield Finding((), f"a {entry.type} has no scale or offset")
    if entry.type is ChannelType.STATE:
        yield from _state_faults(spec, entry)


def _state_faults(spec: MeaningSpec, entry: Entry) -> Iterator[Finding]:
    if spec.names and set(spec.names) != {0, 1}:
        yield Finding(("names",), "a state has two names, of 0 and of 1")
    elif spec.names and entry.names and set(spec.names.values()) != set(entry.names.values()):
        words = " and ".join(entry.names.values())
        yield Finding(("names",), f"the catalogue calls its states {words}")


def linear_of(spec: MeaningSpec, entry: Entry) -> Linear:
    """From raw values to the catalogue's unit; states and texts are as they are.

    Raises ``UnitError``.
    """
    if entry.type not in NUMBERS:
        return Linear()
    own = Linear(exact(spec.scale), exact(spec.offset))
    if spec.unit is None or spec.unit == entry.unit:
        return own
    if not entry.unit:
        raise UnitError(f"{spec.unit!r} cannot be converted")
    return conversion(spec.unit, entry.unit).after(own)


def limits_of(spec: MeaningSpec, entry: Entry) -> tuple[float, float] | None:
    """What can be true of the channel, in the catalogue's unit. Raises ``UnitError``."""
    if spec.valid is None:
        return None
    to_unit = conversion(spec.unit, entry.unit) if spec.unit and entry.unit else Linear()
    return float(to_unit(spec.valid[0])), float(to_unit(spec.valid[1]))


def converted(spec: MeaningSpec, entry: Entry) -> Converted:
    """What ``spec`` comes to. ``meaning_faults`` must have found none."""
    linear, valid = linear_of(spec, entry), limits_of(spec, entry)
    scale, divisor = _quotient(linear.scale)
    return Converted(
        scale=scale,
        divisor=divisor,
        offset=float(linear.offset),
        valid_min=valid[0] if valid else None,
        valid_max=valid[1] if valid else None,
        inverted=bool(entry.names and spec.names and spec.names[0] != entry.names[0]),
    )


def _quotient(scale: Fraction) -> tuple[float, float]:
    """A multiplier and a divisor that lose nothing, where floats can hold them."""
    if abs(scale.numerator) <= MOST_EXACT and scale.denominator <= MOST_EXACT:
        return float(scale.numerator), float(scale.denominator)
    return float(scale), 1.0
