"""A channel as a site writes it, what can be wrong with it, and the register that it comes to.

``{holding: 0, type: float32, order: CDAB, unit: ppm}`` says where the device keeps the value and
what the device means; the catalogue says what the channel is. Between the two stands an exact
linear conversion.
"""

import struct
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from config.catalogue import Entry
from config.model import Model, Real, Whole
from config.plant import Channel, ChannelType, Encoding, Register, Table
from config.problems import Finding
from config.units import Linear, UnitError, conversion, exact

LAST_ADDRESS = 65535
MOST_EXACT = 2**53
"""Whole numbers up to here are floats without loss."""

LARGEST_SINGLE = 3.4028234663852886e38
_SINGLE = struct.Struct(">f")

_WIDTH = {
    Encoding.INT16: 1,
    Encoding.UINT16: 1,
    Encoding.INT32: 2,
    Encoding.UINT32: 2,
    Encoding.INT64: 4,
    Encoding.UINT64: 4,
    Encoding.FLOAT32: 2,
    Encoding.FLOAT64: 4,
    Encoding.BIT: 1,
}
"""Registers that a value of each encoding takes; strings say it themselves."""
_SIGNED = {Encoding.INT16: 16, Encoding.INT32: 32, Encoding.INT64: 64}
_UNSIGNED = {Encoding.UINT16: 16, Encoding.UINT32: 32, Encoding.UINT64: 64}
_FLOATS = frozenset({Encoding.FLOAT32, Encoding.FLOAT64})
_WHOLE = _SIGNED.keys() | _UNSIGNED.keys()

_FITTING = {
    ChannelType.ANALOG: _WHOLE | _FLOATS,
    ChannelType.COUNTER: _WHOLE,
    ChannelType.STATE: frozenset({Encoding.BIT, *_WHOLE}),
    ChannelType.TEXT: frozenset({Encoding.STRING, Encoding.BIT, *_WHOLE}),
}
"""The encodings that a channel of each type can be read from."""

Address = Annotated[Whole, Field(ge=0, le=LAST_ADDRESS)]


class ChannelSpec(Model):
    """Where a device keeps one value, and what it means by it. Exactly one table is named."""

    coil: Address | None = None
    discrete: Address | None = None
    input: Address | None = None
    holding: Address | None = None
    """The address on the wire, zero-based: 0 for a manual's 1, 40001 or 400001."""
    type: Encoding | None = None
    """Not needed for coils, discrete inputs and single bits."""
    order: Literal["AB", "BA", "ABCD", "CDAB", "BADC", "DCBA"] | None = None
    """Bytes as they come, A the most significant; AB or ABCD when not given."""
    bit: Annotated[Whole, Field(ge=0, le=15)] | None = None
    length: Annotated[Whole, Field(ge=1, le=125)] | None = None
    """Registers of a string."""
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

    @property
    def addresses(self) -> dict[Table, int]:
        """The tables named, with the address in each; a good channel has one."""
        named = {
            Table.COIL: self.coil,
            Table.DISCRETE: self.discrete,
            Table.INPUT: self.input,
            Table.HOLDING: self.holding,
        }
        return {table: address for table, address in named.items() if address is not None}

    @property
    def table(self) -> Table:
        """The table named."""
        return next(iter(self.addresses))

    @property
    def encoding(self) -> Encoding | None:
        """How the value lies there; None when the file does not say and it cannot be told."""
        if self.bit is not None or self.table in {Table.COIL, Table.DISCRETE}:
            return Encoding.BIT
        return self.type

    @property
    def width(self) -> int:
        """Registers (or coils) that the value takes."""
        return _WIDTH.get(self.type, self.length or 1) if self.type and self.bit is None else 1


def faults(spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    """Everything that is wrong with ``spec`` for a channel that the catalogue calls ``entry``.

    Paths are relative to the channel.
    """
    tables = "coil, discrete, input, holding"
    match len(spec.addresses):
        case 0:
            yield Finding((), f"an address is missing: one of {tables}")
        case 1:
            yield from _layout_faults(spec, entry)
        case _:
            yield Finding((), f"two addresses: give one of {tables}")
    yield from _meaning_faults(spec, entry)


def _layout_faults(spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    encoding = spec.encoding
    if encoding is None:
        known = ", ".join(each for each in Encoding if each is not Encoding.BIT)
        yield Finding((), f"type is missing: one of {known}")
        return
    if spec.type is not None and encoding is Encoding.BIT:
        yield from _bit_faults(spec)
    elif spec.bit is not None and spec.table in {Table.COIL, Table.DISCRETE}:
        yield Finding(("bit",), f"a {spec.table} is one bit already")
    elif spec.type is Encoding.BIT:
        yield Finding(("type",), "a bit of a register is named by bit: 0 to 15")
    if encoding not in _FITTING[entry.type]:
        yield Finding(("type",), f"{encoding} cannot be read as {entry.type}")
    if (spec.length is not None) != (encoding is Encoding.STRING):
        yield Finding(("length",), "a string needs a length in registers, and nothing else has one")
    last = next(iter(spec.addresses.values())) + spec.width - 1
    if last > LAST_ADDRESS:
        yield Finding((spec.table,), f"the value would end at {last}, past {LAST_ADDRESS}")
    yield from _order_faults(spec, encoding)
    yield from _sentinel_faults(spec, encoding)


def _bit_faults(spec: ChannelSpec) -> Iterator[Finding]:
    if spec.type not in {Encoding.BIT, Encoding.UINT16}:
        where = f"bit {spec.bit}" if spec.bit is not None else f"a {spec.table}"
        yield Finding(("type",), f"{where} is no {spec.type}: leave the type out")


def _order_faults(spec: ChannelSpec, encoding: Encoding) -> Iterator[Finding]:
    if spec.order is None:
        return
    if encoding is Encoding.BIT:
        yield Finding(("order",), "a single bit has no byte order")
    elif (spec.width == 1 or encoding is Encoding.STRING) and len(spec.order) != len("AB"):
        yield Finding(("order",), f"{encoding} is AB or BA: its registers have no order")
    elif spec.width > 1 and encoding is not Encoding.STRING and len(spec.order) == len("AB"):
        yield Finding(("order",), f"{encoding} is ABCD, CDAB, BADC or DCBA")


def _sentinel_faults(spec: ChannelSpec, encoding: Encoding) -> Iterator[Finding]:
    bits = _SIGNED.get(encoding) or _UNSIGNED.get(encoding)
    if spec.sentinels and bits is None and encoding not in _FLOATS:
        yield Finding(("sentinels",), f"a {encoding} has no sentinels")
    for index, sentinel in enumerate(spec.sentinels):
        if encoding is Encoding.FLOAT32 and abs(sentinel) > LARGEST_SINGLE:
            yield Finding(("sentinels", index), f"{sentinel:g} is no {encoding}")
    for index, sentinel in enumerate(spec.sentinels if bits else ()):
        lowest = -(2 ** (bits or 0) // 2) if encoding in _SIGNED else 0
        if not (sentinel.is_integer() and lowest <= sentinel < 2 ** (bits or 0)):
            yield Finding(("sentinels", index), f"{sentinel:g} is no {encoding}")


def _meaning_faults(spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    if spec.scale == 0:
        yield Finding(("scale",), "a scale of 0 makes every value the same")
    if spec.valid is not None and spec.valid[0] >= spec.valid[1]:
        yield Finding(("valid",), "the lowest valid value comes first, and is below the highest")
    match entry.type:
        case ChannelType.ANALOG | ChannelType.COUNTER:
            yield from _number_faults(spec, entry)
        case ChannelType.STATE | ChannelType.TEXT:
            yield from _name_faults(spec, entry)


def _number_faults(spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    if spec.names:
        yield Finding(("names",), f"names are for states and texts; this is {entry.type}")
    try:
        linear = _linear(spec, entry)
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


def _name_faults(spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    for key in ("unit", "valid"):
        if getattr(spec, key) is not None:
            yield Finding((key,), f"a {entry.type} has no {key}")
    if (spec.scale, spec.offset) != (1.0, 0.0):
        yield Finding((), f"a {entry.type} has no scale or offset")
    if entry.type is ChannelType.STATE:
        yield from _state_faults(spec, entry)
    elif not spec.names and spec.type is not Encoding.STRING:
        yield Finding((), "names are missing: what each number is called")


def _state_faults(spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    if spec.names and set(spec.names) != {0, 1}:
        yield Finding(("names",), "a state has two names, of 0 and of 1")
    elif spec.names and entry.names and set(spec.names.values()) != set(entry.names.values()):
        words = " and ".join(entry.names.values())
        yield Finding(("names",), f"the catalogue calls its states {words}")


def _linear(spec: ChannelSpec, entry: Entry) -> Linear:
    """From raw values to the catalogue's unit. Raises ``UnitError``."""
    own = Linear(exact(spec.scale), exact(spec.offset))
    if spec.unit is None or spec.unit == entry.unit:
        return own
    if not entry.unit:
        raise UnitError(f"{spec.unit!r} cannot be converted")
    return conversion(spec.unit, entry.unit).after(own)


def limits_of(spec: ChannelSpec, entry: Entry) -> tuple[float, float] | None:
    """What can be true of the channel, in the catalogue's unit. Raises ``UnitError``."""
    if spec.valid is None:
        return None
    to_unit = conversion(spec.unit, entry.unit) if spec.unit and entry.unit else Linear()
    return float(to_unit(spec.valid[0])), float(to_unit(spec.valid[1]))


def build(name: str, spec: ChannelSpec, entry: Entry) -> Channel:
    """The channel as the daemon runs it, without rules. ``faults`` must have found none."""
    linear = (
        Linear() if entry.type in {ChannelType.STATE, ChannelType.TEXT} else _linear(spec, entry)
    )
    plain = linear == Linear()
    encoding = spec.encoding or Encoding.BIT
    return Channel(
        name=name,
        type=entry.type,
        unit=entry.unit,
        address=_register(spec, entry, encoding, linear),
        names=dict(entry.names)
        if entry.type is ChannelType.STATE and entry.names
        else dict(spec.names),
        single_precision=encoding is Encoding.FLOAT32 and plain,
    )


def _register(spec: ChannelSpec, entry: Entry, encoding: Encoding, linear: Linear) -> Register:
    valid = limits_of(spec, entry)
    scale, divisor = _quotient(linear.scale)
    return Register(
        table=spec.table,
        address=spec.addresses[spec.table],
        encoding=encoding,
        words_swapped=spec.order in {"CDAB", "DCBA"},
        bytes_swapped=spec.order in {"BA", "BADC", "DCBA"},
        bit=spec.bit,
        length=spec.width,
        scale=scale,
        divisor=divisor,
        offset=float(linear.offset),
        sentinels=frozenset(_raw(sentinel, encoding) for sentinel in spec.sentinels),
        valid_min=valid[0] if valid else None,
        valid_max=valid[1] if valid else None,
        inverted=bool(entry.names and spec.names and spec.names[0] != entry.names[0]),
    )


def _quotient(scale: Fraction) -> tuple[float, float]:
    """A multiplier and a divisor that lose nothing, where floats can hold them."""
    if abs(scale.numerator) <= MOST_EXACT and scale.denominator <= MOST_EXACT:
        return float(scale.numerator), float(scale.denominator)
    return float(scale), 1.0


def _raw(sentinel: float, encoding: Encoding) -> float:
    """A sentinel as the decoder sees it: 0x8000 in an int16 is -32768, a float32 is rounded."""
    if encoding is Encoding.FLOAT32:
        (rounded,) = _SINGLE.unpack(_SINGLE.pack(sentinel))
        return float(rounded)
    modulus = 1 << _SIGNED.get(encoding, 0)
    negative = encoding in _SIGNED and sentinel >= modulus / 2
    return sentinel - modulus if negative else sentinel
