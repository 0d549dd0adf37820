"""The register maps, word for word."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plant import Table
from drivers.simulated.instruments import (
    Block,
    IncubatorSignals,
    Mode,
    gmp251,
    hmp,
    io_module,
    swapped_float,
)
from drivers.simulated.sensors import Quantity, Shown

GOOD: Shown = {
    Quantity.TEMPERATURE: 37.0,
    Quantity.CO2: 5.0,
    Quantity.HUMIDITY: 90.0,
    Quantity.GAS_PRESSURE: 1.0,
}


def words(blocks: tuple[Block, ...], address: int, count: int) -> tuple[int, ...]:
    block = next(b for b in blocks if b.address <= address < b.address + len(b.words))
    return block.words[address - block.address :][:count]


def value(blocks: tuple[Block, ...], address: int) -> float:
    low, high = words(blocks, address, 2)
    number: float = struct.unpack(">f", struct.pack(">HH", high, low))[0]
    return number


def test_words_are_swapped_as_the_manual_shows() -> None:
    assert swapped_float(30.56) == (0x7AE1, 0x41F4)


@given(st.floats(width=32, allow_nan=False))
def test_every_float_comes_back(number: float) -> None:
    low, high = swapped_float(number)
    assert struct.unpack(">f", struct.pack(">HH", high, low)) == (number,)


def test_the_co2_probe_says_ppm_its_integers_and_that_it_is_well() -> None:
    blocks = gmp251(GOOD)
    assert value(blocks, 0) == 50_000.0
    assert value(blocks, 4) == 37.0
    assert words(blocks, 0x0100, 2) == (32_000, 5_000)
    assert words(blocks, 0x0800, 2) == (0, 0)


def test_a_broken_co2_probe_says_nan_zero_and_not_reliable() -> None:
    blocks = gmp251({**GOOD, Quantity.CO2: None})
    assert math.isnan(value(blocks, 0))
    assert words(blocks, 0x0100, 2) == (0, 0)
    assert words(blocks, 0x0800, 2) == (2, 2)


def test_the_humidity_probe_says_humidity_temperature_and_what_follows_from_them() -> None:
    blocks = hmp(GOOD)
    assert value(blocks, 0) == 90.0
    assert value(blocks, 2) == 37.0
    assert value(blocks, 6) == pytest.approx(35.1, abs=0.1)
    assert value(blocks, 14) == pytest.approx(39.5, abs=0.3)


@pytest.mark.parametrize(("broken", "there"), [(Quantity.HUMIDITY, 2), (Quantity.TEMPERATURE, 0)])
def test_a_broken_element_is_nan_with_all_that_follows_from_it(
    broken: Quantity, there: int
) -> None:
    blocks = hmp({**GOOD, broken: None})
    assert math.isnan(value(blocks, 2 - there))
    assert not math.isnan(value(blocks, there))
    assert math.isnan(value(blocks, 6))


def test_the_io_module_has_contacts_scaled_integers_and_a_sentinel() -> None:
    blocks = io_module(
        [
            IncubatorSignals(door_open=False, well=True, gas_pressure=1.002),
            IncubatorSignals(door_open=True, well=False, gas_pressure=None),
            IncubatorSignals(False, True, 0.0, Mode.DECONTAMINATION),
            IncubatorSignals(False, True, 0.0, Mode.WARMING_UP),
        ]
    )
    tables = {block.table: block.words for block in blocks}
    assert tables[Table.DISCRETE] == (0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0)
    assert tables[Table.INPUT] == (1002, 0, 0x8000, 0, 0, 1, 0, 2)
    assert tables[Table.HOLDING] == (0,)
