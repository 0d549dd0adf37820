"""Servers that others wrote: pymodbus and pyModbusTCP, over real sockets."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pyModbusTCP.server import DataBank, ModbusServer

from config.plant import Channel, ChannelType, Encoding, Register, Source, Table
from drivers.reading import Reason
from tests.drivers.modbus.harness import Held, source, words
from tests.support.servers import free_port

pytestmark = pytest.mark.real

PATIENCE = 60_000
"""Milliseconds: none of these servers is ever silent, but the machine may be busy."""


@pytest_asyncio.fixture
async def pymodbus() -> AsyncIterator[int]:
    """Unit 1: numbers at 0, a float at 100, and nothing in between."""
    port = free_port()
    device = SimDevice(
        1,
        [
            SimData(0, values=[1000, 1001, 1002], datatype=DataType.REGISTERS),
            SimData(100, values=[36.6], datatype=DataType.FLOAT32),
        ],
    )
    server = ModbusTcpServer([device], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    yield port
    await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus says nothing


@pytest.fixture
def pymodbustcp() -> Iterator[int]:
    port = free_port()
    bank = DataBank()
    low, high = struct.unpack(">HH", struct.pack(">f", 36.5))[::-1]
    bank.set_holding_registers(0, [low, high, 302])
    bank.set_input_registers(0, [0xFFCE])
    bank.set_coils(0, [True, False, True])
    bank.set_discrete_inputs(0, [False, True])
    server = ModbusServer("127.0.0.1", port, no_block=True, data_bank=bank)
    server.start()
    yield port
    server.stop()


async def test_pymodbus_is_read_and_its_refusal_costs_one_channel(pymodbus: int) -> None:
    registers = [
        *words(0, 1, 2, 50),
        Register(Table.HOLDING, 100, Encoding.FLOAT32),
    ]
    async with Held(
        pymodbus, source(0, registers, timeout=PATIENCE), connect_timeout=PATIENCE
    ) as held:
        scan = await held.read()
        held.scans.clear()
        held.visits.clear()

    assert scan.values[:3] == (1000.0, 1001.0, 1002.0)
    assert scan.values[4] == pytest.approx(36.6, abs=1e-5)
    assert {index: fault.reason for index, fault in scan.faults.items()} == {3: Reason.REFUSED}


async def test_pymodbustcp_is_read_in_all_its_tables(pymodbustcp: int) -> None:
    channels = [
        (Register(Table.HOLDING, 0, Encoding.FLOAT32, words_swapped=True), ChannelType.ANALOG),
        (Register(Table.HOLDING, 2, Encoding.INT16, divisor=10.0), ChannelType.ANALOG),
        (Register(Table.INPUT, 0, Encoding.INT16), ChannelType.ANALOG),
        (Register(Table.COIL, 2, Encoding.BIT), ChannelType.STATE),
        (Register(Table.DISCRETE, 0, Encoding.BIT), ChannelType.STATE),
    ]
    given = _with_types(
        source(0, [register for register, _ in channels], timeout=PATIENCE), channels
    )
    async with Held(pymodbustcp, given, connect_timeout=PATIENCE) as held:
        scan = await held.read()
        held.scans.clear()
        held.visits.clear()

    assert scan.values == (36.5, 30.2, -50.0, True, False)
    assert not scan.faults


async def test_pymodbustcp_restarted_is_read_again(pymodbustcp: int) -> None:
    async with Held(pymodbustcp, source(timeout=PATIENCE), connect_timeout=PATIENCE) as held:
        assert not (await held.read()).faults
        task = held._task
        assert task is not None
        await asyncio.sleep(0)
        held.line._transport.abort()  # type: ignore[union-attr]  # it stands
        await held.read_good()
        held.scans.clear()
        held.visits.clear()
    assert held.losses


def _with_types(given: Source, channels: list[tuple[Register, ChannelType]]) -> Source:
    typed = tuple(
        Channel(f"c{i}", type_, "", register) for i, (register, type_) in enumerate(channels)
    )
    return Source(
        given.index,
        given.equipment,
        given.name,
        given.line,
        given.unit,
        given.period,
        given.timeout,
        typed,
        given.grouping,
        given.silent,
    )
