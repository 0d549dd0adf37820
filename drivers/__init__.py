"""How equipment is read: wire to scan."""

from collections import defaultdict
from typing import assert_never

from config.lines import ModbusLine
from config.plant import Plant
from drivers.base import Clock, Emit, Line
from drivers.modbus import line as modbus

__all__ = ["open_lines"]


def open_lines(plant: Plant, clock: Clock, emit: Emit) -> list[Line]:
    """Return every line of the plant that has sources, ready to be held and visited."""
    sources = defaultdict(list)
    for source in plant.sources:
        sources[source.line].append(source)
    sweeper = modbus.Sweeper(modbus.precision(plant.sources))
    lines: list[Line] = []
    for name, own in sources.items():
        match settings := plant.lines[name]:
            case ModbusLine():
                lines.append(modbus.ModbusLine(settings, own, clock, emit, sweeper))
            case _:
                assert_never(settings)
    return lines
