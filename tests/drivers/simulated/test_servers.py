"""Simulated hosts read by two clients that are not ours."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.utils import decode_ieee, word_list_to_long

from drivers.simulated.instruments import Block, IncubatorSignals, gmp251, hmp, io_module
from drivers.simulated.place import HOST
from drivers.simulated.sensors import Quantity, Shown
from drivers.simulated.servers import ModbusHost

SHOWN: dict[Quantity, float | None] = {
    Quantity.TEMPERATURE: 37.0,
    Quantity.CO2: 5.0,
    Quantity.HUMIDITY: 90.5,
    Quantity.GAS_PRESSURE: 1.0,
}


class Bench:
    """A host with two probes and one with an I/O module, and what they show now."""

    def __init__(self) -> None:
        self.shown: Shown = dict(SHOWN)
        self.doors = [False] * 12
        self.probes = ModbusHost({240: lambda: gmp251(self.shown), 241: lambda: hmp(self.shown)})
        self.io = ModbusHost({1: self.contacts})

    def contacts(self) -> tuple[Block, ...]:
        return io_module(
            [IncubatorSignals(door, well=True, gas_pressure=1.0) for door in self.doors]
        )


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.probes.plug()
    await bench.io.plug()
    yield bench
    await bench.probes.close()
    await bench.io.close()
    await asyncio.sleep(0)  # The connections' ends are told in the next round.


@pytest_asyncio.fixture
async def client(bench: Bench) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient(
        HOST, port=bench.probes.port, timeout=60, retries=0, reconnect_delay=0
    )
    assert await client.connect()
    yield client
    client.close()


async def floats(client: AsyncModbusTcpClient, unit: int, count: int) -> list[float]:
    reply = await client.read_holding_registers(0, count=2 * count, device_id=unit)
    assert not reply.isError()
    values = client.convert_from_registers(
        reply.registers, client.DATATYPE.FLOAT32, word_order="little"
    )
    return [float(v) for v in values] if isinstance(values, list) else [float(str(values))]


async def test_pymodbus_reads_the_probes(client: AsyncModbusTcpClient) -> None:
    assert await floats(client, 240, 1) == [50_000.0]
    assert await floats(client, 241, 2) == [90.5, 37.0]
    status = await client.read_holding_registers(0x0800, count=2, device_id=240)
    assert status.registers == [0, 0]


async def test_every_read_has_the_plant_as_it_stands(
    bench: Bench, client: AsyncModbusTcpClient
) -> None:
    bench.shown = {**SHOWN, Quantity.CO2: 4.25}
    assert await floats(client, 240, 1) == [42_500.0]


async def test_an_independent_client_reads_the_same(bench: Bench) -> None:
    bench.doors[7] = True

    def read() -> tuple[float, list[int] | None, list[bool] | None]:
        probe = ModbusClient(HOST, bench.probes.port, unit_id=240, timeout=60)
        io = ModbusClient(HOST, bench.io.port, unit_id=1, timeout=60)
        words = probe.read_holding_registers(0, 2)
        found = io.read_input_registers(0, 24), io.read_discrete_inputs(0, 36)
        probe.close()
        io.close()
        assert words is not None
        # The word that comes first is the least significant.
        return decode_ieee(word_list_to_long(words, big_endian=False)[0]), *found

    ppm, pressures, contacts = await asyncio.to_thread(read)
    assert ppm == 50_000.0
    assert pressures == [1000, 0] * 12
    assert contacts == [False, True, False] * 7 + [True, True, False] + [False, True, False] * 4


@pytest.mark.parametrize(("address", "count"), [(6, 2), (0x0300, 1), (0, 8)])
async def test_what_is_not_in_the_map_is_refused(
    client: AsyncModbusTcpClient, address: int, count: int
) -> None:
    reply = await client.read_holding_registers(address, count=count, device_id=240)
    assert reply.isError()
    assert reply.exception_code == 2
    assert await floats(client, 240, 1) == [50_000.0], "and the next read is well"


async def test_nothing_can_be_written(client: AsyncModbusTcpClient) -> None:
    assert (await client.write_register(0, 1, device_id=240)).isError()
    assert await floats(client, 240, 1) == [50_000.0]


async def test_a_table_that_is_not_there_is_refused(client: AsyncModbusTcpClient) -> None:
    assert (await client.read_coils(0, count=1, device_id=240)).isError()
    assert (await client.read_input_registers(0, count=2, device_id=240)).isError()


async def test_a_silent_unit_gives_no_answer_while_the_other_does(
    bench: Bench, client: AsyncModbusTcpClient
) -> None:
    bench.probes.silent = {240}
    hasty = AsyncModbusTcpClient(HOST, port=bench.probes.port, timeout=0.1, retries=0)
    assert await hasty.connect()
    with pytest.raises(ModbusIOException):
        await hasty.read_holding_registers(0, count=2, device_id=240)
    hasty.close()
    assert await floats(client, 241, 2) == [90.5, 37.0]
    bench.probes.silent = set()
    assert await floats(client, 240, 1) == [50_000.0]


async def test_a_pulled_host_resets_refuses_and_comes_back_on_its_port(bench: Bench) -> None:
    port = bench.probes.port
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(bytes.fromhex("0001 0000 0006 f1 03 0000 0004"))
    assert len(await reader.readexactly(17)) == 17
    await bench.probes.pull()
    await bench.probes.pull()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port)
    await bench.probes.plug()
    await bench.probes.plug()
    assert bench.probes.port == port
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(bytes.fromhex("0002 0000 0006 f1 03 0000 0004"))
    assert (await reader.readexactly(17))[:2] == b"\0\2"
    writer.close()


async def test_the_other_hosts_do_not_notice(bench: Bench) -> None:
    await bench.probes.pull()
    client = AsyncModbusTcpClient(HOST, port=bench.io.port, timeout=60, retries=0)
    assert await client.connect()
    reply = await client.read_discrete_inputs(0, count=2, device_id=1)
    assert reply.bits[:2] == [False, True]
    client.close()
