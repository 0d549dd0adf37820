"""Simulated Modbus TCP hosts by pymodbus, the only importer of it in ``drivers``.

A host answers for its units on one port of the loopback; it can be pulled from the network and
put back on the same port, and a unit of it can fall silent.
What a unit holds is asked for at each request, so a read always has the plant as it stands.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from config.plant import Table
from drivers.simulated.instruments import Block
from drivers.simulated.place import HOST, Place, will_reset

_UNIT_BYTE = 6
"""Where the unit stands in a Modbus TCP frame."""
_TABLES = {1: Table.COIL, 2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}
"""The table that each reading function code reads."""
_WORD = 16

# It would tell of every client that goes; what a simulated device thinks of that is of no use.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

Blocks = Callable[[], Sequence[Block]]
"""Gives what a unit holds now; always the same tables, addresses and lengths."""


class ModbusHost:
    """A Modbus TCP host on the loopback; not on the network before ``plug``."""

    def __init__(self, units: Mapping[int, Blocks]) -> None:
        self.units = frozenset(units)
        self.silent: set[int] = set()
        """Units that get requests and give no answer."""
        self._devices = [_device(number, blocks) for number, blocks in units.items()]
        self._server: ModbusTcpServer | None = None
        self._place = Place()

    @property
    def port(self) -> int:
        """The TCP port on the loopback, the same for life."""
        return self._place.port

    @property
    def plugged(self) -> bool:
        """Whether it is on the network."""
        return self._server is not None

    async def plug(self) -> None:
        """Listen; nothing happens when it does already. Raises ``HostError``."""
        if self._server is None:
            server = ModbusTcpServer(
                self._devices, address=(HOST, self.port), trace_packet=self._answer
            )
            try:
                await server.serve_forever(background=True)
            except RuntimeError as error:
                raise self._place.taken(error) from error
            self._server = server

    async def pull(self) -> None:
        """Reset every connection and refuse new ones; nothing happens when it is pulled already."""
        if self._server is not None:
            server, self._server = self._server, None
            for connection in server.active_connections.values():
                will_reset(connection.transport)
            server.close()

    async def close(self) -> None:
        """Leave the network for good, and give the port back."""
        await self.pull()
        self._place.close()

    def _answer(self, sending: bool, frame: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        """Let a frame through; a reply of a silent unit becomes nothing."""
        if sending and frame[_UNIT_BYTE] in self.silent:
            return b""
        return frame


def _device(number: int, blocks: Blocks) -> SimDevice:
    """A pymodbus device whose registers are filled anew from ``blocks`` at each read."""
    now = blocks()

    async def refresh(
        function: int,
        start: int,
        _address: int,
        _count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if written:
            return ExcCodes.ILLEGAL_FUNCTION
        for block in blocks():
            if block.table is _TABLES[function]:
                words = _words(block)
                first = _first(block) - start
                registers[first : first + len(words)] = words
        return None

    tables = (Table.COIL, Table.DISCRETE, Table.HOLDING, Table.INPUT)
    coils, discretes, holdings, inputs = (_data(now, table) for table in tables)
    return SimDevice(number, (coils, discretes, holdings, inputs), action=refresh)


def _data(blocks: Sequence[Block], table: Table) -> list[SimData]:
    """The shape of one table; pymodbus wants each to hold something, at worst at the very end."""
    here = [block for block in blocks if block.table is table]
    if table in {Table.COIL, Table.DISCRETE}:
        bits = [SimData(b.address, values=_padded(b), datatype=DataType.BITS) for b in here]
        return bits or [SimData(0xFFF0, values=[False] * _WORD, datatype=DataType.BITS)]
    words = [SimData(b.address, values=list(b.words), datatype=DataType.REGISTERS) for b in here]
    return words or [SimData(0xFFFF, values=[0], datatype=DataType.REGISTERS)]


def _words(block: Block) -> list[int]:
    """What pymodbus keeps for a block: registers, or sixteen bits to a register, lowest first."""
    if block.table not in {Table.COIL, Table.DISCRETE}:
        return list(block.words)
    bits = _padded(block)
    words = [bits[i : i + _WORD] for i in range(0, len(bits), _WORD)]
    return [sum(1 << i for i, bit in enumerate(word) if bit) for word in words]


def _padded(block: Block) -> list[bool]:
    bits = [bool(bit) for bit in block.words]
    return bits + [False] * (-len(bits) % _WORD)


def _first(block: Block) -> int:
    """Where a block begins in pymodbus' list: bits are counted in words there."""
    bits = block.table in {Table.COIL, Table.DISCRETE}
    return block.address // _WORD if bits else block.address
