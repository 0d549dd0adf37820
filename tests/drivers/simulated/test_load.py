"""The bench's load: its values by another decoder, its crossings, and the process itself."""

import asyncio
import contextlib
import io
import json
import math
import random
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from pymodbus.client import AsyncModbusTcpClient

from drivers.simulated.load import (
    HOST,
    IMAGES,
    Equipment,
    Load,
    Override,
    base,
    cross_limits,
    limit,
    make_images,
    serve,
    swapped,
    telling,
)
from tests.support.waiting import eventually

CHANNELS = 25
REGISTERS = 2 * CHANNELS
SMALL = Load(equipments=2, channels=CHANNELS, transitions=0)


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    return make_images(CHANNELS, random.Random(1))  # noqa: S311 - noise, no secret


def quiet(images: list[bytes]) -> Equipment:
    return Equipment("load-001", images, 0)


def value(registers: bytes, channel: int) -> float:
    words = registers[4 * channel :][:4]
    number: float = struct.unpack(">f", words[2:] + words[:2])[0]
    return number


@pytest_asyncio.fixture
async def ports() -> AsyncIterator[list[int]]:
    listening: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(SMALL, lambda _who, _what: None, listening.set_result))
    yield await listening
    serving.cancel()
    await asyncio.wait([serving])


async def test_pymodbus_decodes_every_channel_about_its_base(ports: list[int]) -> None:
    client = AsyncModbusTcpClient(HOST, port=ports[1], timeout=60, retries=0)
    assert await client.connect()
    reply = await client.read_holding_registers(0, count=REGISTERS, device_id=1)
    values = client.convert_from_registers(
        reply.registers, client.DATATYPE.FLOAT32, word_order="little"
    )
    assert isinstance(values, list)
    assert len(values) == CHANNELS
    for channel, number in enumerate(map(float, values)):
        assert math.isnan(number) or number == pytest.approx(base(channel), abs=1.5)
    again = await client.read_input_registers(0, count=REGISTERS, device_id=9)
    assert again.registers != reply.registers
    client.close()


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("0001 0000 0006 01 06 0000 0001", "0001 0000 0003 01 86 01"),
        ("0002 0000 0006 01 03 0000 0000", "0002 0000 0003 01 83 03"),
        ("0003 0000 0006 01 03 0031 0002", "0003 0000 0003 01 83 02"),
        ("0004 0000 0006 01 03 0000 007e", "0004 0000 0003 01 83 03"),
    ],
)
async def test_what_cannot_be_read_is_refused(ports: list[int], request_: str, reply: str) -> None:
    reader, writer = await asyncio.open_connection(HOST, ports[0])
    writer.write(bytes.fromhex(request_))
    expected = bytes.fromhex(reply)
    assert await reader.readexactly(len(expected)) == expected
    writer.close()


async def test_requests_in_pieces_and_in_a_row_are_answered_in_their_order(
    ports: list[int],
) -> None:
    reader, writer = await asyncio.open_connection(HOST, ports[0])
    one, two = (bytes.fromhex(f"000{n} 0000 0006 01 03 0000 0002") for n in (1, 2))
    writer.write(one + two[:5])
    assert (await reader.readexactly(13))[:2] == b"\0\1"
    writer.write(two[5:])
    assert (await reader.readexactly(13))[:2] == b"\0\2"
    writer.close()


async def test_what_is_no_modbus_frame_ends_the_connection(ports: list[int]) -> None:
    reader, writer = await asyncio.open_connection(HOST, ports[0])
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()


def test_one_value_in_a_hundred_is_nan_and_none_crosses_by_chance(images: list[bytes]) -> None:
    values = [value(image, channel) for image in images for channel in range(CHANNELS)]
    assert sum(map(math.isnan, values)) / len(values) == pytest.approx(0.01, rel=0.15)
    assert len(images) == IMAGES
    for index, number in enumerate(values):
        assert math.isnan(number) or abs(number - base(index % CHANNELS)) < limit(0) - base(0)


def test_a_crossing_is_carried_from_its_first_reply_to_its_end(images: list[bytes]) -> None:
    equipment = quiet(images)
    equipment.cross(3)
    seen = [equipment.registers(0, REGISTERS) for _ in range(3)]
    assert [change is not None and change.beyond for _, change in seen] == [True, False, False]
    assert all(value(registers, 3) > limit(3) for registers, _ in seen)
    equipment.back()
    registers, change = equipment.registers(0, REGISTERS)
    assert change == Override(3, swapped(base(3)), beyond=False)
    assert value(registers, 3) == base(3), "good, whatever the noise would have said"
    assert equipment.registers(0, REGISTERS)[1] is None


def test_a_reply_without_the_channel_does_not_tell_the_change(images: list[bytes]) -> None:
    equipment = quiet(images)
    equipment.cross(3)
    assert equipment.registers(0, 6)[1] is None
    assert equipment.registers(7, 4)[1] is None, "half of it is not it"
    registers, change = equipment.registers(6, 2)
    assert change is not None
    assert value(registers, 0) > limit(3)


def test_what_is_told_is_a_line_of_json_with_both_clocks(images: list[bytes]) -> None:
    record = io.StringIO()
    telling(record)(quiet(images), Override(3, b"", beyond=True))
    line = json.loads(record.getvalue())
    assert (line["equipment"], line["channel"], line["to"]) == ("load-001", "c04", "beyond")
    assert line["sent_ns"] > line["sent_boot_ns"] > 0


async def test_crossings_come_at_the_asked_rate_each_on_another_equipment(
    images: list[bytes],
) -> None:
    equipments = [Equipment(f"load-{n}", images, 0) for n in range(50)]
    crossing = asyncio.create_task(cross_limits(equipments, CHANNELS, 60_000, 60))
    await eventually(lambda: all(each.override is not None for each in equipments))
    crossing.cancel()
    await asyncio.wait([crossing])
    channels = {each.override.channel for each in equipments if each.override is not None}
    assert channels == set(range(CHANNELS))


@pytest.mark.real
def test_the_process_says_where_it_listens_records_and_ends_on_sigterm(tmp_path: Path) -> None:
    record = tmp_path / "sent.jsonl"
    command = [sys.executable, "-m", "drivers.simulated.load", "--equipments", "3"]
    more = ["--channels", "4", "--transitions", "6000", "--hold", "0.1", "--record", str(record)]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["equipments"] == ["load-001", "load-002", "load-003"]
        asyncio.run(_poll(said["ports"], until=lambda: "within" in record.read_text()))
        process.terminate()
        assert process.wait(60) == 0
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert {line["to"] for line in lines} == {"beyond", "within"}


async def _poll(ports: list[int], *, until: Callable[[], bool]) -> None:
    """Read every equipment until one has gone and come back, as the record says."""
    connections = [await asyncio.open_connection(HOST, port) for port in ports]
    while not until():
        for reader, writer in connections:
            writer.write(bytes.fromhex("0001 0000 0006 01 03 0000 0008"))
            await reader.readexactly(25)
    for _, writer in connections:
        writer.close()


@pytest.mark.real
def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        more = ["--equipments", "1", "--port-base", str(taken.getsockname()[1])]
        command = [sys.executable, "-m", "drivers.simulated.load", *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert "cannot listen" in done.stderr
