"""Modbus devices of two makes whose values a test sets, and which remember all that they served."""

import struct
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from pyModbusTCP.server import DataBank, ModbusServer

from config.plant import Table
from drivers.simulated.instruments import Block
from tests.support.servers import HOST, free_port

WORDS = 4
"""Holding registers: co2 as a float32, then the number of the read as an uint32."""

CHANNELS = """\
          co2: {holding: 0, type: float32, order: ABCD, unit: "%"}
          reads: {holding: 2, type: uint32}"""
"""The same, as a site writes it."""


def single(value: float) -> float:
    """The nearest value that a float32 can hold."""
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


class Served(NamedTuple):
    """What one read was answered."""

    number: int
    co2: float
    at: int
    """UTC nanoseconds."""


@dataclass
class Probe:
    """What a unit holds; no two reads of it are answered alike, so that each is known again."""

    co2: float = 5.0
    served: list[Served] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> list[int]:
        """Answer a read."""
        with self._lock:
            served = Served(len(self.served) + 1, single(self.co2), time.time_ns())
            self.served.append(served)
        return list(struct.unpack(">4H", struct.pack(">fI", served.co2, served.number)))

    def blocks(self) -> Sequence[Block]:
        """Answer a read of a `drivers.simulated.servers.ModbusHost` (pymodbus)."""
        return [Block(Table.HOLDING, 0, tuple(self.read()))]

    def forget(self) -> None:
        """Begin anew: what was read until now was no read over the wire."""
        self.served.clear()


class _Bank(DataBank):  # type: ignore[misc]  # pyModbusTCP ships no types
    def __init__(self, probe: Probe) -> None:
        super().__init__(h_regs_size=WORDS)
        self._probe = probe

    def get_holding_registers(
        self, address: int, number: int = 1, srv_info: object = None
    ) -> list[int] | None:
        del srv_info
        words = self._probe.read()[address : address + number]
        return words if len(words) == number else None


class SecondMake(AbstractContextManager["SecondMake"]):
    """A host of one probe by pyModbusTCP, which answers for every unit; it has its own threads."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.port = free_port()
        self._server = ModbusServer(HOST, self.port, no_block=True, data_bank=_Bank(probe))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
