"""Devices that serve numbered values, over Modbus TCP and OPC UA, and remember how far they are."""

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pyModbusTCP.server import DataBank

from config.plant import Table
from drivers.simulated.instruments import Block
from tests.ledger.serials import Number
from tests.support.opcua_servers import Change, Node, OpcUaServer

_WORDS = 4
"""Registers of a float64."""


class Channel(NamedTuple):
    """A channel that is served; the first of a device has the excursions."""

    name: str
    unit: str
    normal: int
    high: int
    """Where it stands in an excursion."""


INCUBATOR = (Channel("co2", "%", 5, 7), Channel("temperature", "Cel", 37, 37))
BIOREACTOR = (Channel("ph", "pH", 7, 9), Channel("temperature", "Cel", 37, 37))


@dataclass
class Device:
    """What one device serves."""

    equipment: str
    number: int
    channels: Sequence[Channel]
    polled: bool = True
    """Whether each read is a value of its own; else one may be read again as it stands."""
    high: bool = False
    """Whether its excursion is on."""
    served: list[bool] = field(default_factory=list)
    """By count, from 1: whether it was served in an excursion."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> list[float]:
        """The next value of each channel; from now on they were served."""
        with self.lock:
            high = self.high
            self.served.append(high)
            return [self.value(n, len(self.served)) for n in range(len(self.channels))]

    def value(self, channel: int, count: int) -> float:
        """What that channel was served as, that time."""
        told = self.channels[channel]
        level = told.high if self.served[count - 1] else told.normal
        return Number(level, self.number, channel, count).value

    def registers(self) -> list[int]:
        """The next values, as Modbus registers (float64, high word first)."""
        values = self.next()
        packed = struct.pack(f">{len(values)}d", *values)
        return list(struct.unpack(f">{_WORDS * len(values)}H", packed))

    def blocks(self) -> Sequence[Block]:
        """Answer a read of a `drivers.simulated.servers.ModbusHost` (pymodbus)."""
        return [Block(Table.HOLDING, 0, tuple(self.registers()))]

    def nodes(self) -> list[Node]:
        """Its channels as nodes of OPC UA, as they stand."""
        values = self.next()
        return [
            Node(f"s={channel.name}", value, unit=channel.unit)
            for channel, value in zip(self.channels, values, strict=True)
        ]

    def publish(self, server: OpcUaServer) -> None:
        """Give the nodes of a server their next values."""
        names = [Node(f"s={channel.name}").id for channel in self.channels]
        server.set(*(Change(*each) for each in zip(names, self.next(), strict=True)))


class Bank(DataBank):  # type: ignore[misc]  # pyModbusTCP ships no types
    """The registers of a pyModbusTCP host that serves one device."""

    def __init__(self, device: Device) -> None:
        super().__init__(h_regs_size=_WORDS * len(device.channels))
        self._device = device

    def get_holding_registers(
        self, address: int, number: int = 1, srv_info: object = None
    ) -> list[int] | None:
        """See pyModbusTCP's ``DataBank``."""
        del srv_info
        words = self._device.registers()[address : address + number]
        return words if len(words) == number else None
