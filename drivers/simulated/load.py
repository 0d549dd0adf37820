"""A load for the bench: many equipments on Modbus TCP, one process, little CPU of its own.

`python -m drivers.simulated.load --equipments 400 --channels 25` listens on one loopback port for
each equipment and says which in one line of JSON on stdout. Unit 1 (any unit) of each has its
channels as float32 from holding or input register 0 on, least significant word first.

Values wander about ``base`` with noise; one in a hundred is NaN. At even times the next equipment
sends one channel beyond ``limit`` for some seconds, so that the alarm transitions of all (raised
and returned) come to ``--transitions`` a minute. With ``--record`` each reply that is the first
to carry such a change is told, with its time of sending, for latencies to be computed from.

pymodbus would take more CPU here than what is to be measured; it is the oracle of the tests.
"""

import argparse
import asyncio
import gc
import json
import math
import random
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO, assert_never

HOST = "127.0.0.1"
IMAGES = 4096
"""Sets of values, made beforehand; each equipment walks through them from its own place."""
NOISE = 0.2
BAD = 0.01
"""Part of all values that is NaN."""
MARGIN = 5.0
"""How far ``limit`` is above ``base``; what crosses it goes as far again."""

_REQUEST = struct.Struct(">HHHBBHH")
_HEAD = struct.Struct(">HHHBBB")
_READS = (3, 4)
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_MOST_REGISTERS = 125


def base(channel: int) -> float:
    """What the channel with this index wanders about."""
    return 20.0 + channel


def limit(channel: int) -> float:
    """A high limit that is crossed only on purpose: 25 standard deviations above ``base``."""
    return base(channel) + MARGIN


def swapped(value: float) -> bytes:
    """A float32 as two registers, least significant word first."""
    big = struct.pack(">f", value)
    return big[2:] + big[:2]


def make_images(channels: int, chance: random.Random) -> list[bytes]:
    """The sets of values that all equipments draw from, as registers on the wire."""

    def value(channel: int) -> float:
        if chance.random() < BAD:
            return math.nan
        return chance.gauss(base(channel), NOISE)

    return [b"".join(swapped(value(k)) for k in range(channels)) for _ in range(IMAGES)]


class Override(NamedTuple):
    """A value that one channel has in place of its noise."""

    channel: int
    words: bytes
    beyond: bool


@dataclass(slots=True)
class Equipment:
    """One equipment: its values now, and whether one of them is sent beyond its limit."""

    name: str
    images: list[bytes]
    position: int
    override: Override | None = None
    untold: bool = False
    """Whether no reply has yet carried the override."""

    def cross(self, channel: int) -> None:
        """Send ``channel`` beyond its limit, until it comes ``back``."""
        self.override = Override(channel, swapped(limit(channel) + MARGIN), beyond=True)
        self.untold = True

    def back(self) -> None:
        """Bring what crossed back; the first reply has a good value for it, then noise again."""
        if self.override is not None:
            channel = self.override.channel
            self.override = Override(channel, swapped(base(channel)), beyond=False)
            self.untold = True

    def registers(self, first: int, count: int) -> tuple[bytes, Override | None]:
        """The registers asked for, with fresh noise, and the change that they first carry."""
        self.position = (self.position + 1) % len(self.images)
        image = self.images[self.position]
        override = self.override
        if override is None:
            return image[2 * first : 2 * (first + count)], None
        at = 4 * override.channel
        image = image[:at] + override.words + image[at + 4 :]
        carried = self.untold and 2 * first <= at and at + 4 <= 2 * (first + count)
        if carried:
            self.untold = False
            self.override = override if override.beyond else None
        return image[2 * first : 2 * (first + count)], override if carried else None


Tell = Callable[[Equipment, Override], None]
"""Takes note of a change that is about to be sent."""


class Connection(asyncio.Protocol):
    """Answers one client for one equipment."""

    def __init__(self, equipment: Equipment, tell: Tell) -> None:
        self._equipment = equipment
        self._tell = tell
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole; a frame that is none ends the connection."""
        data = self._rest + data
        while len(data) >= _REQUEST.size:
            transaction, protocol, length, unit, function, first, count = _REQUEST.unpack_from(data)
            if protocol != 0 or length != _REQUEST.size - 6:
                self._transport.abort()
                return
            self._transport.write(self._reply(transaction, unit, function, first, count))
            data = data[_REQUEST.size :]
        self._rest = data

    def _reply(self, transaction: int, unit: int, function: int, first: int, count: int) -> bytes:
        if code := self._refusal(function, first, count):
            return _HEAD.pack(transaction, 0, 3, unit, function | 0x80, code)
        registers, carried = self._equipment.registers(first, count)
        if carried is not None:
            self._tell(self._equipment, carried)
        return _HEAD.pack(transaction, 0, 3 + 2 * count, unit, function, 2 * count) + registers

    def _refusal(self, function: int, first: int, count: int) -> int:
        if function not in _READS:
            return _ILLEGAL_FUNCTION
        if not 1 <= count <= _MOST_REGISTERS:
            return _ILLEGAL_VALUE
        return _ILLEGAL_ADDRESS if 2 * (first + count) > len(self._equipment.images[0]) else 0


def telling(record: TextIO) -> Tell:
    """A ``Tell`` that writes a line of JSON; both clocks, so that any process can compare."""

    def tell(equipment: Equipment, change: Override) -> None:
        line = {
            "equipment": equipment.name,
            "channel": channel_name(change.channel),
            "to": "beyond" if change.beyond else "within",
            "sent_ns": time.clock_gettime_ns(time.CLOCK_REALTIME),
            "sent_boot_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        }
        record.write(json.dumps(line) + "\n")
        record.flush()

    return tell


def equipment_name(index: int) -> str:
    """``load-001`` for index 0."""
    return f"load-{index + 1:03}"


def channel_name(index: int) -> str:
    """``c01`` for index 0."""
    return f"c{index + 1:02}"


async def cross_limits(
    equipments: Sequence[Equipment], channels: int, transitions: float, hold: float
) -> None:
    """Send one equipment after the other beyond a limit for ``hold`` seconds, without end.

    ``transitions`` a minute: half of them go beyond, half come back.
    """
    loop = asyncio.get_running_loop()
    start, turn = loop.time(), 0
    while True:
        turn += 1
        await asyncio.sleep(start + turn * 2 * 60 / transitions - loop.time())
        equipment = equipments[turn % len(equipments)]
        if equipment.override is None:
            equipment.cross(turn % channels)
            loop.call_later(hold, equipment.back)


class Load(NamedTuple):
    """What is to be served."""

    equipments: int
    channels: int
    port_base: int = 0
    """The first port; 0: whatever is free."""
    transitions: float = 100.0
    """Alarm transitions of all equipments together, a minute; 0: none."""
    hold: float = 5.0
    """Seconds beyond the limit."""
    seed: int = 1


async def serve(load: Load, tell: Tell, ready: Callable[[list[int]], None]) -> None:
    """Serve ``load`` until cancelled; ``ready`` is called with the ports once all listen."""
    chance = random.Random(load.seed)  # noqa: S311 - noise, no secret
    images = make_images(load.channels, chance)
    equipments = [
        Equipment(equipment_name(index), images, chance.randrange(IMAGES))
        for index in range(load.equipments)
    ]
    gc.freeze()
    async with AsyncExitStack() as listening:
        ports = []
        for index, equipment in enumerate(equipments):
            port = load.port_base + index if load.port_base else 0
            server = await _listen(equipment, tell, port)
            listening.push_async_callback(_close, server)
            ports.append(server.sockets[0].getsockname()[1])
        ready(ports)
        if load.transitions:
            await cross_limits(equipments, load.channels, load.transitions, load.hold)
        await asyncio.get_running_loop().create_future()


async def _listen(equipment: Equipment, tell: Tell, port: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(equipment, tell), HOST, port)


async def _close(server: asyncio.Server) -> None:
    server.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. 0 then; 69 (EX_UNAVAILABLE) when a port is taken."""
    given = _parse(arguments)
    load = Load(
        given.equipments, given.channels, given.port_base, given.transitions, given.hold, given.seed
    )
    _allow_sockets(2 * load.equipments + 64)
    with ExitStack() as open_files:
        record = _record(given.record, open_files)
        tell: Tell = telling(record) if record is not None else lambda _equipment, _change: None
        try:
            asyncio.run(_until_told(load, tell))
        except OSError as error:
            print(f"cannot listen: {error}", file=sys.stderr)  # noqa: T201 - stderr is talk
            return 69
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drivers.simulated.load", description=__doc__)
    parser.add_argument("--equipments", type=int, default=400)
    parser.add_argument("--channels", type=int, default=25, help="float32 channels of each")
    parser.add_argument("--port-base", type=int, default=0, help="first port; 0: any free ones")
    parser.add_argument("--transitions", type=float, default=100, help="alarm transitions a minute")
    parser.add_argument("--hold", type=float, default=5, help="seconds beyond a limit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", help="file for the times of sending, - for stdout")
    given = parser.parse_args(arguments)
    if given.equipments < 1 or given.channels < 1 or given.hold <= 0 or given.transitions < 0:
        parser.error("equipments, channels and seconds are at least one, and nothing is negative")
    return given


def _record(path: str | None, open_files: ExitStack) -> TextIO | None:
    match path:
        case None:
            return None
        case "-":
            return sys.stdout
        case str():
            return open_files.enter_context(Path(path).open("a", encoding="utf-8"))
        case _:
            assert_never(path)


def _allow_sockets(wanted: int) -> None:
    """Raise this process's own limit of open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


async def _until_told(load: Load, tell: Tell) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(serve(load, tell, _say_ready))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


def _say_ready(ports: list[int]) -> None:
    names = [equipment_name(index) for index in range(len(ports))]
    said = {"host": HOST, "ports": ports, "equipments": names}
    print(json.dumps(said), flush=True)  # noqa: T201 - stdout is data


if __name__ == "__main__":
    sys.exit(main())
