"""The register maps of the simulated instruments: what each unit's tables hold, as raw words. Pure.

The maps are those of real instruments, so that the profiles for these read the simulated ones:
a CO2 probe as Vaisala's GMP251 and a humidity and temperature probe as Vaisala's HMP series (float
registers, least significant word first; user guides M211799EN and M212022EN), and a plain I/O
module with 16-bit analog inputs and contacts.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from config.plant import Table
from drivers.simulated.incubator import saturation
from drivers.simulated.sensors import Quantity, Shown

NO_VALUE = 0x8000
"""What the I/O module says for an analog input whose sensor is broken."""
MOST_INCUBATORS = 32
"""What one module's contacts and analog inputs suffice for."""
PRESSURE_SCALE = 1000
"""Raw units per bar of the I/O module's analog inputs."""
RELIABLE, NOT_RELIABLE = 0, 2
"""The GMP251's CO2 status."""
WELL, ERROR = 0, 2
"""The GMP251's device status: bit 1 is an error."""


class Block(NamedTuple):
    """Neighbouring words (0 to 65535) of a register table, or bits (0 or 1) of a bit table."""

    table: Table
    address: int
    words: tuple[int, ...]


class Mode(IntEnum):
    """What an incubator says that it is at, as a number on the I/O module."""

    CULTURE = 0
    DECONTAMINATION = 1
    WARMING_UP = 2
    """Back from a decontamination, and not at its set-points yet."""


@dataclass(frozen=True)
class IncubatorSignals:
    """What the I/O module is wired to, for one incubator."""

    door_open: bool
    well: bool
    """The incubator's own alarm contact, wired so that a broken wire alarms: closed when well."""
    gas_pressure: float | None
    """bar; None: the transmitter's loop is open."""
    mode: Mode = Mode.CULTURE
    """Its contact "decontamination" is closed in the mode of that name."""


def swapped_float(value: float | None) -> tuple[int, int]:
    """Return ``value`` as two registers, least significant first; None is the quiet NaN."""
    high, low = struct.unpack(">HH", struct.pack(">f", math.nan if value is None else value))
    return low, high


def gmp251(shown: Shown) -> tuple[Block, ...]:
    """Return the holding registers of a GMP251: CO2 in ppm at 0, its status at 0x0800."""
    co2 = shown[Quantity.CO2]
    ppm = None if co2 is None else 10_000 * co2
    whole = 0 if ppm is None else round(ppm)
    status = (WELL, RELIABLE) if ppm is not None else (ERROR, NOT_RELIABLE)
    temperature = swapped_float(shown[Quantity.TEMPERATURE])
    return (
        Block(Table.HOLDING, 0x0000, (*swapped_float(ppm), *temperature, *temperature)),
        Block(Table.HOLDING, 0x0100, (min(whole, 32_000), min(whole // 10, 32_000))),
        Block(Table.HOLDING, 0x0800, status),
    )


def hmp(shown: Shown) -> tuple[Block, ...]:
    """Return the holding registers of an HMP: humidity (% RH) at 0, temperature (degC) at 2.

    Behind them dew point (6), dew or frost point (8, 10), dew point at 1 atm (12) and absolute
    humidity in g/m3 (14); the quantities that are not simulated are NaN.
    """
    humidity, temperature = shown[Quantity.HUMIDITY], shown[Quantity.TEMPERATURE]
    dew = _dew_point(humidity, temperature)
    water = _absolute_humidity(humidity, temperature)
    values = (humidity, temperature, None, dew, dew, dew, dew, water, None, None, None)
    return (Block(Table.HOLDING, 0, tuple(word for v in values for word in swapped_float(v))),)


def io_module(incubators: Sequence[IncubatorSignals]) -> tuple[Block, ...]:
    """Return the tables of the I/O module that all incubators share.

    Discrete input ``3 n`` is the door contact of the incubator with index ``n`` (1: open), the ones
    after it its own alarm contact (1: well) and that of its decontamination (1: running); input
    register ``2 n`` is its gas pressure in mbar (16-bit, 0x8000: the loop is open), the one after
    it its ``Mode``; holding register 0 is the module's status (0: well).
    """
    contacts = [bit for each in incubators for bit in _contacts(each)]
    words = [word for each in incubators for word in (_scaled(each.gas_pressure), each.mode.value)]
    return (
        Block(Table.DISCRETE, 0, tuple(contacts)),
        Block(Table.INPUT, 0, tuple(words)),
        Block(Table.HOLDING, 0, (WELL,)),
    )


def _contacts(signals: IncubatorSignals) -> tuple[int, ...]:
    running = signals.mode is Mode.DECONTAMINATION
    return int(signals.door_open), int(signals.well), int(running)


def _scaled(value: float | None) -> int:
    return NO_VALUE if value is None else round(value * PRESSURE_SCALE) & 0x7FFF


def _dew_point(humidity: float | None, temperature: float | None) -> float | None:
    """Magnus' formula solved for the temperature (degC), for the humidity in % RH."""
    if humidity is None or temperature is None or humidity <= 0:
        return None
    exponent = math.log(humidity / 100) + 17.62 * temperature / (243.12 + temperature)
    return 243.12 * exponent / (17.62 - exponent)


def _absolute_humidity(humidity: float | None, temperature: float | None) -> float | None:
    if humidity is None or temperature is None:
        return None
    return saturation(temperature) * humidity / 100
