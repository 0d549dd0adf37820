"""What a block's bytes mean: payload to values and faults. Pure.

A block is compiled once. All its values come out of one ``struct`` where they lie in one order;
that the whole block is good is seen by a few passes in C, and only a block with something off is
looked at value by value. Both ways give the same values.

The four orders of the bytes 1234 of a 32-bit value: ABCD as they are; DCBA little-endian; and with
the two bytes of every register swapped first, CDAB is little-endian and BADC big-endian.
"""

import sys
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from operator import add, itemgetter, mul, truediv
from struct import Struct
from typing import NamedTuple, assert_never

from config.plant import Channel, ChannelType, Encoding, Register, Table
from drivers.meaning import bad, counted, in_range, limit, named, scaled, single, state
from drivers.modbus.plan import WIDTHS, Block, width
from drivers.reading import NO_FAULTS, Fault, Reason, Value

CODES = {
    Encoding.INT16: "h",
    Encoding.UINT16: "H",
    Encoding.INT32: "i",
    Encoding.UINT32: "I",
    Encoding.INT64: "q",
    Encoding.UINT64: "Q",
    Encoding.FLOAT32: "f",
    Encoding.FLOAT64: "d",
    Encoding.BIT: "H",
}
SIGNED = {Encoding.INT16: 16, Encoding.INT32: 32, Encoding.INT64: 64}
"""Bits of the encodings whose sentinels may be written as their unsigned pattern (0x8000)."""
_LARGEST = sys.float_info.max
"""Beyond it lie only the infinities, and NaN lies nowhere."""

Raw = float | int | bytes
Decoded = tuple[tuple[Value | None, ...], Mapping[int, Fault]]
"""The values in the order of ``Block.channels``, and by channel index why some are not good."""


class Decoder:
    """Decodes the payloads of one block."""

    __slots__ = ("_channels", "_indices", "_numbers", "_raw", "_sentinels")

    def __init__(self, block: Block, channels: Sequence[Channel]) -> None:
        self._indices = block.channels
        self._channels = tuple(channels[index] for index in block.channels)
        self._raw = _reader(block, [channel.register for channel in self._channels])
        self._sentinels = tuple(_sentinels(channel.register) for channel in self._channels)
        plain = all(_is_number(channel) for channel in self._channels)
        self._numbers = _Numbers(self._channels) if plain else None

    def decode(self, payload: bytes) -> Decoded:
        """Return what the payload says; it must be as long as the block asks for."""
        raw = self._raw(payload)
        if self._numbers is None:
            return self._judged(raw, [None] * len(self._indices), range(len(self._indices)))
        values, doubtful = self._numbers.convert(raw)
        if not doubtful:
            return values, NO_FAULTS
        return self._judged(raw, values, doubtful)

    def _judged(
        self, raw: Sequence[Raw], values: Sequence[Value | None], places: Iterable[int]
    ) -> Decoded:
        """Look at the values at these places one by one; the others are good as they are."""
        judged = list(values)
        faults: dict[int, Fault] = {}
        for place in places:
            verdict = _judge(self._channels[place], raw[place], self._sentinels[place])
            if isinstance(verdict, Reason):
                faults[self._indices[place]] = bad(verdict)
                judged[place] = None
            else:
                judged[place] = verdict
        return tuple(judged), faults


# From bytes to raw values


class _Field(NamedTuple):
    """Bytes of the payload that are unpacked as one."""

    swapped: bool
    """Whether the two bytes of every register are swapped first."""
    little: bool
    offset: int
    """In bytes."""
    size: int
    code: str


def _reader(block: Block, registers: Sequence[Register]) -> Callable[[bytes], Sequence[Raw]]:
    """Return a function from payload to one raw value per channel."""
    if block.table in {Table.COIL, Table.DISCRETE}:
        return _bit_reader([register.address - block.address for register in registers])
    fields = _fields(block, registers)
    layers = _layers(fields)
    unpackers = [_unpacker(layer, 2 * block.count) for layer in layers]
    unpack = unpackers[0] if len(unpackers) == 1 else _concatenation(unpackers)
    columns = {
        field: column for column, field in enumerate(field for layer in layers for field in layer)
    }
    order = [columns[field] for field in fields]
    return _reordered(unpack, order, len(columns))


def _bit_reader(positions: Sequence[int]) -> Callable[[bytes], Sequence[Raw]]:
    def read(payload: bytes) -> Sequence[Raw]:
        bits = int.from_bytes(payload, "little")
        return [bits >> position & 1 for position in positions]

    return read


def _fields(block: Block, registers: Sequence[Register]) -> list[_Field]:
    """Return where each register lies; single ones go with the way their neighbours are read."""
    orders = {_order(register) for register in registers if WIDTHS.get(register.encoding, 1) > 1}
    return [_field(register, block.address, orders) for register in registers]


def _field(register: Register, start: int, orders: set[tuple[bool, bool]]) -> _Field:
    offset, size = 2 * (register.address - start), 2 * width(register)
    if register.encoding is Encoding.STRING:
        return _Field(register.bytes_swapped, False, offset, size, f"{size}s")  # noqa: FBT003 - no order
    order = _order(register)
    if width(register) == 1:
        twice = (not order[0], not order[1])  # Swapping a register's bytes twice changes nothing.
        order = twice if twice in orders and order not in orders else order
    return _Field(*order, offset, size, CODES[register.encoding])


def _order(register: Register) -> tuple[bool, bool]:
    """Return whether bytes are swapped first, and whether the result is little-endian."""
    if width(register) == 1:
        return register.bytes_swapped, False
    return register.words_swapped is not register.bytes_swapped, register.words_swapped


def _layers(fields: Iterable[_Field]) -> list[list[_Field]]:
    """Return the fields as few lists, each of one order, ascending and without overlaps."""
    layers: list[list[_Field]] = []
    for field in sorted(set(fields)):
        for layer in layers:
            last = layer[-1]
            if last[:2] == field[:2] and last.offset + last.size <= field.offset:
                layer.append(field)
                break
        else:
            layers.append([field])
    return layers


def _unpacker(layer: Sequence[_Field], size: int) -> Callable[[bytes], tuple[Raw, ...]]:
    parts, end = ["<" if layer[0].little else ">"], 0
    for field in layer:
        parts.append("x" * (field.offset - end) + field.code)
        end = field.offset + field.size
    unpack = Struct("".join(parts) + "x" * (size - end)).unpack
    if not layer[0].swapped:
        return unpack

    def unpack_swapped(payload: bytes) -> tuple[Raw, ...]:
        registers = array("H", payload)
        registers.byteswap()
        return unpack(registers)

    return unpack_swapped


def _concatenation(
    unpackers: Sequence[Callable[[bytes], tuple[Raw, ...]]],
) -> Callable[[bytes], tuple[Raw, ...]]:
    return lambda payload: tuple(value for unpack in unpackers for value in unpack(payload))


def _reordered(
    unpack: Callable[[bytes], tuple[Raw, ...]], order: Sequence[int], columns: int
) -> Callable[[bytes], tuple[Raw, ...]]:
    """Return ``unpack`` with its columns in this order."""
    if list(order) == list(range(columns)):
        return unpack
    if len(order) == 1:
        return lambda payload: (unpack(payload)[order[0]],)
    pick: Callable[[tuple[Raw, ...]], tuple[Raw, ...]] = itemgetter(*order)
    return lambda payload: pick(unpack(payload))


# From raw values to values, all at once


class _Numbers:
    """Channels that are all measured in numbers: a block at a time."""

    __slots__ = ("_highest", "_limited", "_lowest", "_sentinels", "_steps")

    def __init__(self, channels: Sequence[Channel]) -> None:
        registers = [channel.register for channel in channels]
        self._steps = _steps(registers)
        self._sentinels = frozenset[float]().union(*map(_sentinels, registers))
        self._lowest = [limit(register.valid_min, -_LARGEST) for register in registers]
        self._highest = [limit(register.valid_max, _LARGEST) for register in registers]
        self._limited = any(r.valid_min is not None or r.valid_max is not None for r in registers)

    def convert(self, raw: Sequence[Raw]) -> tuple[tuple[float, ...], Sequence[int]]:
        """Return all values, and the places of those that may not be good."""
        values: tuple[float, ...] = raw  # type: ignore[assignment]  # strings are no numbers
        for operation, operands in self._steps:
            values = tuple(map(operation, values, operands))
        if not self._limited and not self._sentinels and isfinite(sum(values)):
            return values, ()
        return values, self._doubtful(raw, values)

    def _doubtful(self, raw: Sequence[Raw], values: Sequence[float]) -> Sequence[int]:
        """Places where a raw value is some register's sentinel, or a value is not in its range."""
        sentinels = self._sentinels
        spans = zip(range(len(raw)), raw, values, self._lowest, self._highest, strict=True)
        return [
            place
            for place, word, value, low, high in spans
            if not low <= value <= high or word in sentinels
        ]


def _is_number(channel: Channel) -> bool:
    """Whether the value needs no more than arithmetic; 64-bit sentinels need care."""
    register = channel.register
    if channel.type is not ChannelType.ANALOG or register.encoding in {
        Encoding.BIT,
        Encoding.STRING,
    }:
        return False
    return not (register.sentinels and register.encoding in {Encoding.INT64, Encoding.UINT64})


_Step = tuple[Callable[[float, float], float], tuple[float, ...]]


def _steps(registers: Sequence[Register]) -> list[_Step]:
    """Return only the arithmetic that changes something; integers must become floats."""
    floats = {Encoding.FLOAT32, Encoding.FLOAT64}
    scales = tuple(float(register.scale) for register in registers)
    divisors = tuple(float(register.divisor) for register in registers)
    offsets = tuple(float(register.offset) for register in registers)
    steps: list[_Step] = []
    if any(scale != 1 for scale in scales):
        steps.append((mul, scales))
    if any(divisor != 1 for divisor in divisors):
        steps.append((truediv, divisors))
    if any(offsets) or (
        not steps and any(register.encoding not in floats for register in registers)
    ):
        steps.append((add, offsets))
    return steps


# From a raw value to a value, one by one


def _judge(channel: Channel, raw: Raw, sentinels: frozenset[float]) -> Value | Reason:
    """Return the channel's value, or why there is none."""
    if isinstance(raw, bytes):
        return _text(channel.register, raw)
    if not isfinite(raw):
        return Reason.NOT_A_NUMBER
    if sentinels and float(raw) in sentinels:
        return Reason.SENTINEL
    if channel.register.bit is not None and channel.register.table in {Table.INPUT, Table.HOLDING}:
        raw = int(raw) >> channel.register.bit & 1
    return _meaning(channel, raw)


def _meaning(channel: Channel, raw: float) -> Value | Reason:
    match channel.type:
        case ChannelType.ANALOG:
            return in_range(channel.register, scaled(channel.register, raw))
        case ChannelType.COUNTER:
            return counted(channel.register, raw)
        case ChannelType.STATE:
            return state(channel.register, raw)
        case ChannelType.TEXT:
            return named(channel.names, raw)
        case other:
            assert_never(other)


def _text(register: Register, raw: bytes) -> str | Reason:
    """Return what the characters say, without the padding at the end."""
    if register.words_swapped:
        raw = b"".join(raw[at : at + 2] for at in range(len(raw) - 2, -1, -2))
    try:
        text = raw.split(b"\x00")[0].decode().rstrip()
    except UnicodeDecodeError:
        return Reason.NOT_TEXT
    return text if text.isprintable() else Reason.NOT_TEXT


def _sentinels(register: Register) -> frozenset[float]:
    """Return the sentinels as the encoding gives them: signed, and in its own precision."""
    given = {float(sentinel) for sentinel in register.sentinels}
    if register.encoding is Encoding.FLOAT32:
        return frozenset(map(single, given))
    bits = SIGNED.get(register.encoding)
    if bits is None:
        return frozenset(given)
    return frozenset(given | {value - 2.0**bits for value in given if value >= 2.0 ** (bits - 1)})
