"""A proxy of plain TCP between two that talk: a wire that swallows, delays or spoils bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, Flag, auto

from tests.support.servers import HOST


class Way(Flag):
    """Where bytes vanish; connections stay open on both sides."""

    NONE = 0
    TO_SERVER = auto()
    TO_CLIENT = auto()
    BOTH = TO_SERVER | TO_CLIENT


class Manner(Enum):
    """How a wire carries what it does not swallow; told of all connections at once."""

    WHOLE = "whole"
    REFUSED = "refused"
    """hangs up, and on everybody who comes"""
    SLOW = "slow"
    """late by half a second and more with every piece"""
    DRIP = "drip"
    """a few bytes at a time"""
    GARBAGE = "garbage"
    """something before what the server says, once for each piece"""
    DOUBLED = "doubled"
    """everything that the server says twice"""
    CUT = "cut"
    """hangs up in the middle of what the server says"""
    FLIPPED = "flipped"
    """one bit of each piece that the server says; who has no checksum of his own cannot know"""


LATE = 0.5
DRIPPED = 16
"""Bytes."""
PAUSE = 0.02
NOISE = b"\xff\x00\xa5 noise\r\n"


Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(eq=False)
class _Connection:
    swallowed: Way
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Wire:
    """Between clients, who come to ``port``, and the server at ``target``."""

    target: int
    port: int = 0
    swallows: Way = Way.NONE
    """What a connection that is made from now on swallows, for good."""
    manner: Manner = Manner.WHOLE
    made: int = 0
    """Connections that were ever made."""
    _connections: set[_Connection] = field(default_factory=set)

    def cut(self, way: Way) -> None:
        """Swallow, on the connections that there are and on those that are made until ``mend``.

        What was swallowed never comes: as after a firewall forgot a connection, one that was cut
        stays so, and only a new one is whole.
        """
        self.swallows = way
        for connection in self._connections:
            connection.swallowed |= way

    def mend(self) -> None:
        """Let the next connection be whole."""
        self.swallows = Way.NONE

    def behave(self, manner: Manner) -> None:
        """Carry what comes from now on so."""
        self.manner = manner
        if manner is Manner.REFUSED:
            for connection in self._connections:
                connection.hang_up.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side has hung up."""
        self.made += 1
        connection = _Connection(self.swallows)
        self._connections.add(connection)
        try:
            if self.manner is Manner.REFUSED:
                return
            there = await asyncio.open_connection(HOST, self.target)
            try:
                await self._join((reader, writer), there, connection)
            finally:
                await _hang_up(there[1])
        except OSError:
            pass  # Nobody is there.
        finally:
            self._connections.discard(connection)
            await _hang_up(writer)

    async def _join(self, here: Side, there: Side, connection: _Connection) -> None:
        ways = ((here[0], there[1], Way.TO_SERVER), (there[0], here[1], Way.TO_CLIENT))
        pumps = [asyncio.create_task(self._pump(*way, connection)) for way in ways]
        pumps.append(asyncio.create_task(_told(connection.hang_up)))
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: Way,
        connection: _Connection,
    ) -> None:
        with suppress(OSError):
            while heard := await reader.read(2**16):
                if way not in connection.swallowed:
                    await self._hand_on(heard, writer, way)

    async def _hand_on(self, heard: bytes, writer: asyncio.StreamWriter, way: Way) -> None:
        """Write it, in the wire's manner; raises ConnectionError where that is to hang up."""
        spoils = way is Way.TO_CLIENT
        match self.manner:
            case Manner.SLOW:
                await asyncio.sleep(LATE)
            case Manner.DRIP:
                while heard and self.manner is Manner.DRIP:
                    writer.write(heard[:DRIPPED])
                    heard = heard[DRIPPED:]
                    await writer.drain()
                    await asyncio.sleep(PAUSE)
            case Manner.GARBAGE if spoils:
                heard = NOISE + heard
            case Manner.DOUBLED if spoils:
                heard += heard
            case Manner.FLIPPED if spoils:
                middle = len(heard) // 2
                heard = heard[:middle] + bytes([heard[middle] ^ 1]) + heard[middle + 1 :]
            case Manner.CUT if spoils:
                writer.write(heard[: len(heard) // 2])
                await writer.drain()
                raise ConnectionResetError
            case _:
                pass
        writer.write(heard)
        await writer.drain()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def _told(event: asyncio.Event) -> None:
    await event.wait()


@asynccontextmanager
async def wire(target: int) -> AsyncIterator[Wire]:
    """Listen on a free port of the loopback until the block is left."""
    between = Wire(target)
    carried: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        carried.add(task)
        try:
            await between.carry(reader, writer)
        finally:
            carried.discard(task)

    server = await asyncio.start_server(carry, HOST, 0)
    between.port = server.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        server.close()
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)
        await server.wait_closed()
