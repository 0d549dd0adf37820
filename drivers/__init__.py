"""How equipment is read: wire to scan."""

from collections import defaultdict
from pathlib import Path
from typing import assert_never

from config.lines import ModbusLine, OpcUaLine
from config.plant import Plant
from drivers.base import Clock, Emit, Line
from drivers.modbus import line as modbus
from drivers.settle import settled

__all__ = ["open_lines"]


def open_lines(plant: Plant, clock: Clock, emit: Emit, directory: Path) -> list[Line]:
    """Return every line of the plant that has sources, ready to be held and visited.

    What a line makes for itself and needs again (a certificate) is kept in ``directory``.
    """
    sources = defaultdict(list)
    for source in plant.sources:
        sources[source.line].append(source)
    sweeper = modbus.Sweeper(modbus.precision(plant.sources))
    lines: list[Line] = []
    for name, own in sources.items():
        take = settled(own, emit)
        match settings := plant.lines[name]:
            case ModbusLine():
                lines.append(modbus.ModbusLine(settings, own, clock, take, sweeper))
            case OpcUaLine():
                # Its library takes 48 MB: only a plant that has such a line pays for it.
                from drivers.opcua.line import OpcUaLine as Subscribed  # noqa: PLC0415 - see above

                lines.append(Subscribed(settings, own, clock, take, plant.gateway, directory))
            case _:
                assert_never(settings)
    return lines
