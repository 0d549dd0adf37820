"""Which registers are read together: channels to blocks, one request each. Pure.

Neighbours are read in one request, through gaps that cost less than a request; blocks that a site
declares exact are read just so. A block that the unit refuses is halved until only the refused
channels are alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from config.plant import Encoding, Grouping, Register, Table

WIDTHS = {
    Encoding.INT16: 1,
    Encoding.UINT16: 1,
    Encoding.BIT: 1,
    Encoding.INT32: 2,
    Encoding.UINT32: 2,
    Encoding.FLOAT32: 2,
    Encoding.INT64: 4,
    Encoding.UINT64: 4,
    Encoding.FLOAT64: 4,
}
"""Registers that a value of each encoding takes; a string takes what its ``length`` says."""
MAX_REGISTERS = 125
MAX_BITS = 2000
"""What the protocol lets one request read."""


@dataclass(frozen=True, slots=True)
class Block:
    """One request: where it reads, and which channels lie there."""

    table: Table
    address: int
    count: int
    channels: tuple[int, ...]
    """Indices into the source's channels, in ascending order."""
    exact: bool = False
    """Read just so; never halved."""

    @property
    def end(self) -> int:
        """The address after the last one that is read."""
        return self.address + self.count


def width(register: Register) -> int:
    """Return how many addresses the value takes."""
    return WIDTHS.get(register.encoding, register.length)


def plan(registers: Sequence[Register], grouping: Grouping) -> tuple[Block, ...]:
    """Return the blocks by which every register (one per channel) is read exactly once."""
    exact = [
        Block(*given, channels=_inside(registers, *given), exact=True) for given in grouping.exact
    ]
    taken = {channel for block in exact for channel in block.channels}
    rest = [
        (channel, register) for channel, register in enumerate(registers) if channel not in taken
    ]
    return tuple(block for block in exact if block.channels) + tuple(_merged(rest, grouping))


def halves(block: Block, registers: Sequence[Register]) -> tuple[Block, ...]:
    """Return two blocks that read the same channels; none where that cannot tell them apart."""
    if block.exact:
        return ()
    places = sorted({(registers[c].address, width(registers[c])) for c in block.channels})
    first = set(places[: len(places) // 2])
    if not first:
        return ()
    low = [c for c in block.channels if (registers[c].address, width(registers[c])) in first]
    high = [c for c in block.channels if c not in low]
    return (_spanning(low, registers), _spanning(high, registers))


def _inside(
    registers: Sequence[Register], table: Table, address: int, count: int
) -> tuple[int, ...]:
    return tuple(
        channel
        for channel, register in enumerate(registers)
        if register.table is table
        and address <= register.address
        and register.address + width(register) <= address + count
    )


def _spanning(channels: Sequence[int], registers: Sequence[Register]) -> Block:
    """Return the smallest block around the channels."""
    start = min(registers[c].address for c in channels)
    end = max(registers[c].address + width(registers[c]) for c in channels)
    return Block(registers[channels[0]].table, start, end - start, tuple(sorted(channels)))


def _merged(wanted: Iterable[tuple[int, Register]], grouping: Grouping) -> Iterable[Block]:
    """Yield blocks of neighbours, table by table, from the lowest address up."""
    current: Block | None = None
    for channel, register in sorted(wanted, key=_place):
        alone = Block(register.table, register.address, width(register), (channel,))
        joined = current and _joined(current, alone, grouping)
        if current and not joined:
            yield current
        current = joined or alone
    if current:
        yield current


def _place(wanted: tuple[int, Register]) -> tuple[str, int, int]:
    _, register = wanted
    return register.table, register.address, width(register)


def _joined(block: Block, other: Block, grouping: Grouping) -> Block | None:
    """Return one block that reads both, or None if they are better read apart."""
    end = max(block.end, other.end)
    if (
        block.table is not other.table
        or other.address - block.end > grouping.max_gap
        or end - block.address > _most(block.table, grouping)
        or any(_in_between(block, other, exact) for exact in grouping.exact)
    ):
        return None
    channels = tuple(sorted(block.channels + other.channels))
    return Block(block.table, block.address, end - block.address, channels)


def _most(table: Table, grouping: Grouping) -> int:
    if table in {Table.COIL, Table.DISCRETE}:
        return min(grouping.max_bits, MAX_BITS)
    return min(grouping.max_registers, MAX_REGISTERS)


def _in_between(block: Block, other: Block, exact: tuple[Table, int, int]) -> bool:
    """Whether joining the two would read into an exact block, which is read by itself."""
    table, address, count = exact
    return table is block.table and address < other.address and block.end < address + count
