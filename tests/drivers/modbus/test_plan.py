from hypothesis import given
from hypothesis import strategies as st

from config.plant import Encoding, Grouping, Register, Table
from drivers.modbus.plan import Block, halves, plan, width

BITS = {Table.COIL, Table.DISCRETE}


def holding(*places: tuple[int, Encoding]) -> list[Register]:
    return [Register(Table.HOLDING, address, encoding) for address, encoding in places]


def test_neighbours_are_read_together_and_strangers_apart() -> None:
    registers = holding(
        (10, Encoding.FLOAT32), (0, Encoding.INT16), (28, Encoding.INT64), (49, Encoding.INT16)
    )
    assert plan(registers, Grouping(max_gap=16)) == (
        Block(Table.HOLDING, 0, 32, (0, 1, 2)),
        Block(Table.HOLDING, 49, 1, (3,)),
    )


def test_tables_are_never_mixed() -> None:
    registers = [Register(table, 0, Encoding.BIT, bit=0) for table in Table]
    assert {(block.table, block.count) for block in plan(registers, Grouping())} == {
        (table, 1) for table in Table
    }


def test_bits_of_one_register_are_one_request() -> None:
    registers = [Register(Table.HOLDING, 5, Encoding.BIT, bit=bit) for bit in range(16)]
    assert plan(registers, Grouping()) == (Block(Table.HOLDING, 5, 1, tuple(range(16))),)


def test_no_request_is_larger_than_allowed() -> None:
    registers = holding(*((address, Encoding.UINT16) for address in range(300)))
    assert [block.count for block in plan(registers, Grouping())] == [125, 125, 50]
    assert [block.count for block in plan(registers, Grouping(max_registers=100))] == [100] * 3


def test_exact_blocks_stay_as_they_are_given() -> None:
    registers = holding((0, Encoding.INT16), (3, Encoding.INT16), (8, Encoding.INT16))
    grouping = Grouping(exact=((Table.HOLDING, 2, 4), (Table.HOLDING, 40, 9)))
    assert plan(registers, grouping) == (
        Block(Table.HOLDING, 2, 4, (1,), exact=True),
        Block(Table.HOLDING, 0, 1, (0,)),
        Block(Table.HOLDING, 8, 1, (2,)),
    )


def test_a_block_is_halved_until_each_place_is_alone() -> None:
    registers = holding(*((address, Encoding.FLOAT32) for address in (0, 2, 4, 10, 10)))
    (whole,) = plan(registers, Grouping())
    low, high = halves(whole, registers)
    assert (low, high) == (
        Block(Table.HOLDING, 0, 4, (0, 1)),
        Block(Table.HOLDING, 4, 8, (2, 3, 4)),
    )
    assert halves(halves(high, registers)[1], registers) == ()
    assert halves(Block(Table.HOLDING, 0, 4, (0, 1), exact=True), registers) == ()


@st.composite
def apart(draw: st.DrawFn) -> list[Register]:
    """Registers that do not overlap, in any order."""
    registers = []
    for table in draw(st.sets(st.sampled_from(Table), min_size=1)):
        kinds = [Encoding.BIT] if table in BITS else [Encoding.INT16, Encoding.FLOAT32]
        address = 0
        for gap in draw(st.lists(st.integers(0, 40), max_size=40)):
            register = Register(table, address + gap, draw(st.sampled_from(kinds)))
            registers.append(register)
            address = register.address + width(register)
    return draw(st.permutations(registers))


@given(
    registers=apart(),
    gap=st.integers(0, 30),
    most=st.integers(2, 200),
    bits=st.integers(1, 3000),
    exact=st.lists(
        st.tuples(st.sampled_from(Table), st.integers(0, 300), st.integers(1, 30)), max_size=2
    ),
)
def test_plans(
    registers: list[Register], gap: int, most: int, bits: int, exact: list[tuple[Table, int, int]]
) -> None:
    exact = [given for given in exact if not _clashes(given, exact, registers)]
    grouping = Grouping(gap, most, bits, tuple(exact))
    blocks = plan(registers, grouping)

    channels = [channel for block in blocks for channel in block.channels]
    assert sorted(channels) == list(range(len(registers))), "each is covered once"
    for block in blocks:
        for channel in block.channels:
            register = registers[channel]
            assert register.table is block.table
            assert block.address <= register.address
            assert register.address + width(register) <= block.end
        if block.exact:
            assert (block.table, block.address, block.count) in exact
        else:
            assert block.count <= (min(bits, 2000) if block.table in BITS else min(most, 125))
    read = [(b.table, a) for b in blocks for a in range(b.address, b.end)]
    assert len(read) == len(set(read)), "nothing is read twice"
    assert len(blocks) <= len(registers)


@given(registers=apart())
def test_halves_read_the_same_and_less(registers: list[Register]) -> None:
    waiting = list(plan(registers, Grouping()))
    alone = []
    while waiting:
        block = waiting.pop()
        parts = halves(block, registers)
        alone += [] if parts else [block]
        assert not parts or sorted(parts[0].channels + parts[1].channels) == list(block.channels)
        assert all(part.count < block.count for part in parts)
        waiting += parts
    assert sorted(block.channels for block in alone) == [(c,) for c in range(len(registers))]


def _clashes(
    one: tuple[Table, int, int], exact: list[tuple[Table, int, int]], registers: list[Register]
) -> bool:
    """Whether it cuts a register in two, or overlaps another exact block."""
    table, start, count = one
    others = [other for other in exact if other is not one and other[0] is table]
    cut = any(
        r.table is table and r.address < edge < r.address + width(r)
        for r in registers
        for edge in (start, start + count)
    )
    return cut or any(start < b + c and b < start + count for _, b, c in others)
