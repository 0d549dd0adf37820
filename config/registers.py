"""A Modbus register as a site writes it, and what can be wrong with it.

``{holding: 0, type: float32, order: CDAB, unit: ppm}`` says where the device keeps the value, and
how it lies there.
"""

import struct
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from config.catalogue import Entry
from config.meaning import MeaningSpec, converted
from config.model import Whole
from config.plant import ChannelType, Encoding, Register, Table
from config.problems import Finding

LAST_ADDRESS = 65535
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


class RegisterSpec(MeaningSpec):
    """Where a Modbus device keeps one value, and what it means. Exactly one table is named."""

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


def register_faults(spec: RegisterSpec, entry: Entry) -> Iterator[Finding]:
    """What is wrong with where ``spec`` says that the value lies, and how."""
    tables = "coil, discrete, input, holding"
    match len(spec.addresses):
        case 0:
            yield Finding((), f"an address is missing: one of {tables}; over OPC UA a node")
        case 1:
            yield from _layout_faults(spec, entry)
        case _:
            yield Finding((), f"two addresses: give one of {tables}")


def _layout_faults(spec: RegisterSpec, entry: Entry) -> Iterator[Finding]:
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
    if entry.type is ChannelType.TEXT and not spec.names and encoding is not Encoding.STRING:
        yield Finding((), "names are missing: what each number is called")
    yield from _order_faults(spec, encoding)
    yield from _sentinel_faults(spec, encoding)


def _bit_faults(spec: RegisterSpec) -> Iterator[Finding]:
    if spec.type not in {Encoding.BIT, Encoding.UINT16}:
        where = f"bit {spec.bit}" if spec.bit is not None else f"a {spec.table}"
        yield Finding(("type",), f"{where} is no {spec.type}: leave the type out")


def _order_faults(spec: RegisterSpec, encoding: Encoding) -> Iterator[Finding]:
    if spec.order is None:
        return
    if encoding is Encoding.BIT:
        yield Finding(("order",), "a single bit has no byte order")
    elif (spec.width == 1 or encoding is Encoding.STRING) and len(spec.order) != len("AB"):
        yield Finding(("order",), f"{encoding} is AB or BA: its registers have no order")
    elif spec.width > 1 and encoding is not Encoding.STRING and len(spec.order) == len("AB"):
        yield Finding(("order",), f"{encoding} is ABCD, CDAB, BADC or DCBA")


def _sentinel_faults(spec: RegisterSpec, encoding: Encoding) -> Iterator[Finding]:
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


def register_of(spec: RegisterSpec, entry: Entry) -> Register:
    """The register that ``spec`` comes to. Nothing must be wrong with it."""
    encoding = spec.encoding or Encoding.BIT
    return Register(
        table=spec.table,
        address=spec.addresses[spec.table],
        encoding=encoding,
        words_swapped=spec.order in {"CDAB", "DCBA"},
        bytes_swapped=spec.order in {"BA", "BADC", "DCBA"},
        bit=spec.bit,
        length=spec.width,
        sentinels=frozenset(_raw(sentinel, encoding) for sentinel in spec.sentinels),
        **converted(spec, entry),
    )


def _raw(sentinel: float, encoding: Encoding) -> float:
    """A sentinel as the decoder sees it: 0x8000 in an int16 is -32768, a float32 is rounded."""
    if encoding is Encoding.FLOAT32:
        (rounded,) = _SINGLE.unpack(_SINGLE.pack(sentinel))
        return float(rounded)
    modulus = 1 << _SIGNED.get(encoding, 0)
    negative = encoding in _SIGNED and sentinel >= modulus / 2
    return sentinel - modulus if negative else sentinel
