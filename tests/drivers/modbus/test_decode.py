import math
import struct
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from config.plant import Channel, ChannelType, Encoding, Grouping, Register, Table
from drivers.modbus.decode import Decoder
from drivers.modbus.plan import Block, plan
from drivers.reading import Reason, Value

ORDERS = {
    "ABCD": (False, False),
    "CDAB": (True, False),
    "BADC": (False, True),
    "DCBA": (True, True),
}
NUMBERS = {
    Encoding.INT16: ("h", ModbusClientMixin.DATATYPE.INT16),
    Encoding.UINT16: ("H", ModbusClientMixin.DATATYPE.UINT16),
    Encoding.INT32: ("i", ModbusClientMixin.DATATYPE.INT32),
    Encoding.UINT32: ("I", ModbusClientMixin.DATATYPE.UINT32),
    Encoding.INT64: ("q", ModbusClientMixin.DATATYPE.INT64),
    Encoding.UINT64: ("Q", ModbusClientMixin.DATATYPE.UINT64),
    Encoding.FLOAT32: ("f", ModbusClientMixin.DATATYPE.FLOAT32),
    Encoding.FLOAT64: ("d", ModbusClientMixin.DATATYPE.FLOAT64),
}


def channel(
    register: Register,
    type_: ChannelType = ChannelType.ANALOG,
    names: Mapping[int, str] | None = None,
) -> Channel:
    return Channel("c", type_, "", register, names=names or {})


def decode(payload: bytes, *channels: Channel) -> list[Value | Reason]:
    """Return, per channel, its value or why it has none."""
    table = channels[0].register.table
    count = len(payload) * 8 if table in {Table.COIL, Table.DISCRETE} else len(payload) // 2
    block = Block(table, 0, count, tuple(range(len(channels))))
    values, faults = Decoder(block, channels).decode(payload)
    told: list[Value | Reason] = []
    for index, value in enumerate(values):
        assert (value is None) == (index in faults)
        told.append(faults[index].reason if value is None else value)
    return told


def holding(encoding: Encoding, address: int = 0, **more: object) -> Register:
    return Register(Table.HOLDING, address, encoding, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("payload", "register", "value"),
    [
        # Vaisala GMP252: the example of its manual, D47A 43E8
        ("D47A 43E8", holding(Encoding.FLOAT32, words_swapped=True), 465.65997314453125),
        # Vaisala HMP and Indigo
        ("7AE1 41F4", holding(Encoding.FLOAT32, words_swapped=True), 30.559999465942383),
        # Eurotherm: IEEE region, and scaled integers
        ("3F80 20C5", holding(Encoding.FLOAT32), 1.0010000467300415),
        ("0001 D4C0", holding(Encoding.INT32), 120_000.0),
        ("00B2", holding(Encoding.INT16, divisor=10.0), 17.8),
        ("00D8", holding(Encoding.INT16, divisor=10.0), 21.6),
        # Watlow PM, BINDER
        ("0000 4296", holding(Encoding.FLOAT32, words_swapped=True), 75.0),
        ("0000 4214", holding(Encoding.FLOAT32, words_swapped=True), 37.0),
        # Thermo ULT
        ("FFFFFCE0", holding(Encoding.INT32, divisor=10.0), -80.0),
        ("8000", holding(Encoding.INT16), -32768.0),
        ("012E", holding(Encoding.UINT16, divisor=10.0), 30.2),
        ("0014", holding(Encoding.INT16, scale=1.8, offset=32.0), 68.0),
    ],
)
def test_vectors_of_real_instruments(payload: str, register: Register, value: float) -> None:
    (told,) = decode(bytes.fromhex(payload), channel(register))
    assert told == value
    assert isinstance(told, float)


def test_a_hamilton_block_gives_ph_status_and_limits() -> None:
    payload = struct.pack(">10H", 0x1000, 0, 0xCD0C, 0x4080, 0, 0, 0, 0, 0, 0x4160)
    floats = [channel(holding(Encoding.FLOAT32, at, words_swapped=True)) for at in (2, 6, 8)]
    status = channel(holding(Encoding.UINT32, 4, words_swapped=True), ChannelType.COUNTER)
    ph, *limits, fault = decode(payload, *floats, status)
    assert ph == pytest.approx(4.02503, abs=1e-5)
    assert limits == [0.0, 14.0]
    assert fault == 0


@given(data=st.data())
def test_every_order_of_every_number(data: st.DataObject) -> None:
    """A block of any mixture gives the values that were put in, in the order of its channels."""
    registers: list[Register] = []
    expected: list[float] = []
    payload = b""
    for encoding in data.draw(st.lists(st.sampled_from(list(NUMBERS)), min_size=1, max_size=12)):
        code, _ = NUMBERS[encoding]
        size = struct.calcsize(f"={code}")
        raw = data.draw(st.binary(min_size=size, max_size=size))
        (number,) = struct.unpack(f">{code}", raw)
        words_swapped, bytes_swapped = ORDERS[data.draw(st.sampled_from(list(ORDERS)))]
        registers.append(
            Register(
                Table.INPUT,
                len(payload) // 2,
                encoding,
                words_swapped=words_swapped,
                bytes_swapped=bytes_swapped,
            )
        )
        payload += on_the_wire(raw, words_swapped=words_swapped, bytes_swapped=bytes_swapped)
        expected.append(number)
    order = data.draw(st.permutations(range(len(registers))))
    told = decode(payload, *(channel(registers[i]) for i in order))
    for i, value in zip(order, told, strict=True):
        if math.isfinite(expected[i]):
            assert value == float(expected[i])
            assert isinstance(value, float)
        else:
            assert value is Reason.NOT_A_NUMBER


@given(st.sampled_from(list(NUMBERS)), st.booleans(), st.binary(min_size=8, max_size=8))
def test_pymodbus_reads_the_same(encoding: Encoding, swapped: bool, raw: bytes) -> None:
    code, datatype = NUMBERS[encoding]
    payload = raw[: struct.calcsize(f"={code}")]
    words = list(struct.unpack(f">{len(payload) // 2}H", payload))
    theirs = ModbusClientMixin.convert_from_registers(
        words, datatype, word_order="little" if swapped else "big"
    )
    assert isinstance(theirs, int | float)
    (ours,) = decode(payload, channel(holding(encoding, words_swapped=swapped)))
    assert ours == (float(theirs) if math.isfinite(theirs) else Reason.NOT_A_NUMBER)


@given(st.lists(st.floats(width=32), min_size=2, max_size=30))
def test_the_fast_way_and_the_slow_way_agree(numbers: list[float]) -> None:
    payload = struct.pack(f">{len(numbers)}f", *numbers)
    registers = [
        holding(
            Encoding.FLOAT32,
            2 * i,
            scale=1.0 + i,
            divisor=10.0,
            offset=0.5,
            valid_min=-1e6,
            valid_max=1e6,
            sentinels=frozenset({-999.9}),
        )
        for i in range(len(numbers))
    ]
    together = decode(payload, *map(channel, registers))
    for i, told in enumerate(together):
        assert decode(payload, channel(registers[i])) == [told]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_is_bad_and_spoils_no_neighbour(number: float) -> None:
    payload = struct.pack(">3f", 1.5, number, 2.5)
    channels = [channel(holding(Encoding.FLOAT32, 2 * i)) for i in range(3)]
    assert decode(payload, *channels) == [1.5, Reason.NOT_A_NUMBER, 2.5]


@pytest.mark.parametrize(
    ("payload", "encoding", "sentinel"),
    [
        ("8000", Encoding.INT16, 0x8000),
        ("8000", Encoding.INT16, -32768),
        ("7FFF", Encoding.INT16, 0x7FFF),
        ("FFFF", Encoding.UINT16, 65535),
        ("80000000", Encoding.INT32, 0x80000000),
        ("FFFFFFFF", Encoding.UINT32, 0xFFFFFFFF),
        ("7FFFFFFFFFFFFFFF", Encoding.INT64, 0x7FFFFFFFFFFFFFFF),
        ("8000000000000000", Encoding.INT64, 0x8000000000000000),
        ("FFFFFFFFFFFFFFFF", Encoding.UINT64, 0xFFFFFFFFFFFFFFFF),
        ("C479F99A", Encoding.FLOAT32, -999.9),
        ("C08F3F3333333333", Encoding.FLOAT64, -999.9),
        ("0000", Encoding.INT16, 0),
    ],
)
def test_a_sentinel_is_no_value(payload: str, encoding: Encoding, sentinel: float) -> None:
    register = holding(encoding, sentinels=frozenset({float(sentinel)}))
    for type_ in (ChannelType.ANALOG, ChannelType.COUNTER):
        assert decode(bytes.fromhex(payload), channel(register, type_)) == [Reason.SENTINEL]


def test_a_sentinel_of_one_channel_is_a_value_of_another() -> None:
    channels = [
        channel(holding(Encoding.INT16, 0, sentinels=frozenset({-1.0}))),
        channel(holding(Encoding.INT16, 1)),
    ]
    assert decode(b"\xff\xff\xff\xff", *channels) == [Reason.SENTINEL, -1.0]


@pytest.mark.parametrize(
    ("raw", "told"),
    [(-1, Reason.OUT_OF_RANGE), (0, 0.0), (1000, 100.0), (1001, Reason.OUT_OF_RANGE)],
)
def test_what_cannot_be_true_is_bad(raw: int, told: float | Reason) -> None:
    register = holding(Encoding.INT16, divisor=10.0, valid_min=0.0, valid_max=100.0)
    assert decode(struct.pack(">h", raw), channel(register)) == [told]


def test_a_counter_is_an_exact_integer_that_fits_64_signed_bits() -> None:
    register = holding(Encoding.UINT64)
    assert decode(struct.pack(">Q", 2**63 - 1), channel(register, ChannelType.COUNTER)) == [
        2**63 - 1
    ]
    assert decode(struct.pack(">Q", 2**63), channel(register, ChannelType.COUNTER)) == [
        Reason.OUT_OF_RANGE
    ]
    scaled = holding(Encoding.UINT16, scale=3600.0)
    (told,) = decode(struct.pack(">H", 7), channel(scaled, ChannelType.COUNTER))
    assert (told, type(told)) == (25200, int)


@pytest.mark.parametrize("table", [Table.COIL, Table.DISCRETE])
def test_bits_are_states(table: Table) -> None:
    bits = [channel(Register(table, i, Encoding.BIT), ChannelType.STATE) for i in (0, 3, 9, 15)]
    assert decode(b"\x09\x80", *bits) == [True, True, False, True]


def test_a_contact_may_be_wired_the_other_way() -> None:
    door = channel(Register(Table.DISCRETE, 0, Encoding.BIT, inverted=True), ChannelType.STATE)
    assert decode(b"\x01", door) == [False]
    assert decode(b"\x00", door) == [True]


@pytest.mark.parametrize("bytes_swapped", [False, True])
def test_bits_of_a_register_are_counted_from_the_least_significant(bytes_swapped: bool) -> None:
    payload = b"\x02\x81" if bytes_swapped else b"\x81\x02"
    bits = [
        channel(holding(Encoding.BIT, bit=bit, bytes_swapped=bytes_swapped), ChannelType.STATE)
        for bit in range(16)
    ]
    told = decode(payload, *bits)
    assert [bit for bit, value in enumerate(told) if value is True] == [1, 8, 15]


def test_a_status_register_beside_its_bits_and_a_float() -> None:
    payload = struct.pack(">Hf", 0x8001, 37.5)
    channels = [
        channel(holding(Encoding.BIT, bit=15), ChannelType.STATE),
        channel(holding(Encoding.UINT16), ChannelType.COUNTER),
        channel(holding(Encoding.FLOAT32, 1)),
        channel(holding(Encoding.BIT, bit=1), ChannelType.STATE),
    ]
    assert decode(payload, *channels) == [True, 0x8001, 37.5, False]


@pytest.mark.parametrize(
    ("raw", "type_", "names", "told"),
    [
        (0, ChannelType.STATE, {0: "closed", 1: "open"}, False),
        (1, ChannelType.STATE, {0: "closed", 1: "open"}, True),
        (2, ChannelType.STATE, {0: "closed", 1: "open"}, Reason.UNKNOWN_STATE),
        (3, ChannelType.TEXT, {0: "idle", 3: "running"}, "running"),
        (4, ChannelType.TEXT, {0: "idle", 3: "running"}, Reason.UNKNOWN_STATE),
        (4, ChannelType.TEXT, {}, "4"),
    ],
)
def test_names(
    raw: int, type_: ChannelType, names: Mapping[int, str], told: Value | Reason
) -> None:
    given_channel = channel(holding(Encoding.UINT16), type_, names)
    assert decode(struct.pack(">H", raw), given_channel) == [told]


@pytest.mark.parametrize(
    ("payload", "register", "told"),
    [
        (b"GMP252  ", holding(Encoding.STRING, length=4), "GMP252"),
        (b"MG2P25\0\0", holding(Encoding.STRING, length=4, bytes_swapped=True), "GMP252"),
        (b"\x00\x0052P2GM", holding(Encoding.STRING, length=4, words_swapped=True), "GMP252"),
        (b"AB\0\xffCD\xff\xff", holding(Encoding.STRING, length=4), "AB"),
        (b"\xff\xff\xff\xff", holding(Encoding.STRING, length=2), Reason.NOT_TEXT),
        (b"A\x07BC", holding(Encoding.STRING, length=2), Reason.NOT_TEXT),
    ],
)
def test_text(payload: bytes, register: Register, told: str | Reason) -> None:
    assert decode(payload, channel(register, ChannelType.TEXT)) == [told]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.binary(min_size=128, max_size=128))
def test_overlapping_channels_are_each_read(addresses: Sequence[int], payload: bytes) -> None:
    kinds = list(NUMBERS)
    registers = [holding(kinds[i % len(kinds)], address) for i, address in enumerate(addresses)]
    (block,) = plan(registers, Grouping(max_gap=125))
    inside = payload[: 2 * block.count]
    channels = list(map(channel, registers))
    values, _ = Decoder(block, channels).decode(inside)
    for i, register in enumerate(registers):
        code, _ = NUMBERS[register.encoding]
        start = 2 * (register.address - block.address)
        (number,) = struct.unpack_from(f">{code}", inside, start)
        value = values[block.channels.index(i)]
        assert value == (float(number) if math.isfinite(number) else None)


def on_the_wire(raw: bytes, *, words_swapped: bool, bytes_swapped: bool) -> bytes:
    words = [raw[i : i + 2] for i in range(0, len(raw), 2)]
    if words_swapped:
        words.reverse()
    return b"".join(word[::-1] if bytes_swapped else word for word in words)
