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
from tests.support.opcua_servers import Node

PERIOD = 500
"""Milliseconds between two points of every grid."""
_WORDS = 4
"""Registers of a float64."""


class Channel(NamedTuple):
    """A channel that is served; the first of a device has the excursions."""

    name: str
    unit: str
    normal: int
    high: int
    """Where it stands in an excursion."""
    steady: bool = False
    """Whether it has one value for ever."""


INCUBATOR = (Channel("co2", "%", 5, 7), Channel("temperature", "Cel", 37, 37))
BIOREACTOR = (
    Channel("ph", "pH", 7, 9),
    Channel("temperature", "Cel", 37, 37),
    # What changes never comes alone with it: so a scan of all channels is one of the grid.
    Channel("ph_setpoint", "pH", 7, 7, steady=True),
)


@dataclass
class Device:
    """What one device serves."""

    equipment: str
    number: int
    channels: Sequence[Channel]
    line: str
    subscribed: bool = False
    """Whether what changes is told; else each read is a value of its own."""
    high: bool = False
    """Whether its excursion is on."""
    served: list[list[bool]] = field(default_factory=list)
    """By channel and count, from 1: whether it was served in an excursion."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.served = self.served or [[] for _ in self.channels]

    def next(self) -> list[float]:
        """The next value of each channel; from now on they were served."""
        return [self.next_of(number) for number in range(len(self.channels))]

    def next_of(self, channel: int) -> float:
        """The next value of one channel."""
        with self.lock:
            self.served[channel].append(self.high)
            return self.value(channel, len(self.served[channel]))

    def last(self, channel: int) -> float:
        """What that channel was served as last."""
        return self.value(channel, len(self.served[channel]))

    def value(self, channel: int, count: int) -> float:
        """What that channel was served as, that time."""
        told = self.channels[channel]
        level = told.high if self.served[channel][count - 1] else told.normal
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

    def node(self, channel: int) -> str:
        """The node that a channel is of."""
        return Node(f"s={self.channels[channel].name}").id


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
