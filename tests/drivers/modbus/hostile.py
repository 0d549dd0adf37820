"""A Modbus TCP server that does what it is told: every fault that a peer can make.

Each register of unit ``u`` at address ``a`` reads ``1000 * u + a``, so that a value which came to
the wrong request is seen. Requests take their behaviour from ``script``, one each, and then from
``usual``.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Self

from pymodbus.framer import FramerRTU

from tests.support.servers import HOST, free_port
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Asked:
    """A request as it arrived, and the frames that one could answer it with."""

    tid: int
    unit: int
    function: int
    address: int
    count: int

    @property
    def payload(self) -> bytes:
        if self.function in {1, 2}:
            bits = sum((self.address + i) % 2 << i for i in range(self.count))
            return bits.to_bytes((self.count + 7) // 8, "little")
        values = [1000 * self.unit + self.address + i for i in range(self.count)]
        return struct.pack(f">{self.count}H", *values)

    def frame(
        self,
        *,
        tid: int | None = None,
        protocol: int = 0,
        length: int | None = None,
        unit: int | None = None,
        function: int | None = None,
        count: int | None = None,
        payload: bytes | None = None,
    ) -> bytes:
        """Return the good reply, but for what is given."""
        payload = self.payload if payload is None else payload
        body = bytes(
            (
                self.unit if unit is None else unit,
                self.function if function is None else function,
                len(payload) if count is None else count,
            )
        )
        body += payload
        length = len(body) if length is None else length
        return struct.pack(">HHH", self.tid if tid is None else tid, protocol, length) + body

    def rtu(self, function: int | None = None, payload: bytes | None = None) -> bytes:
        """Return the reply as an RTU frame."""
        payload = bytes((len(self.payload),)) + self.payload if payload is None else payload
        body = bytes((self.unit, self.function if function is None else function)) + payload
        return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")

    def exception(self, code: int) -> bytes:
        return struct.pack(">HHHBBB", self.tid, 0, 3, self.unit, self.function | 0x80, code)


class Wait(NamedTuple):
    seconds: float


class Until(NamedTuple):
    """Wait for something that the test brings about."""

    event: asyncio.Event


class Close(NamedTuple):
    """End the connection in order."""


class Reset(NamedTuple):
    """End the connection with a RST."""


Action = bytes | Wait | Until | Close | Reset
Behaviour = Callable[[Asked], Sequence[Action]]


def good(asked: Asked) -> Sequence[Action]:
    return [asked.frame()]


def silent(_: Asked) -> Sequence[Action]:
    return []


def refusing(code: int, *addresses: int) -> Behaviour:
    """Refuse every request that touches one of these addresses; all, when none is given."""

    def behave(asked: Asked) -> Sequence[Action]:
        touched = range(asked.address, asked.address + asked.count)
        if not addresses or any(address in touched for address in addresses):
            return [asked.exception(code)]
        return good(asked)

    return behave


def only_units(*units: int) -> Behaviour:
    """Let these units answer, and no others."""
    return lambda asked: good(asked) if asked.unit in units else []


class Hostile(AbstractAsyncContextManager["Hostile"]):
    """The server, on a free port of the loopback, in this event loop."""

    def __init__(self, usual: Behaviour = good) -> None:
        self.usual = usual
        self.script: deque[Behaviour] = deque()
        self.asked: list[Asked] = []
        self.connections = 0
        self.most = 1000
        """Connections beyond this many at a time are taken and closed."""
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def listen(self) -> None:
        # Not one of the kernel's choice: that may be given to another while we do not listen.
        self.port = self.port or free_port()
        self._server = await asyncio.start_server(self._serve, HOST, self.port)

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Refuse connections from now on, and reset those that stand."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()
        await eventually(lambda: not self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            if len(self._writers) <= self.most:
                await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await self._hear(reader)
            self.asked.append(asked)
            behaviour = self.script.popleft() if self.script else self.usual
            for action in behaviour(asked):
                await self._do(action, writer)

    async def _hear(self, reader: asyncio.StreamReader) -> Asked:
        request = await reader.readexactly(12)
        tid, protocol, length, *rest = struct.unpack(">HHHBBHH", request)
        assert (protocol, length) == (0, 6)
        return Asked(tid, *rest)

    async def _do(self, action: Action, writer: asyncio.StreamWriter) -> None:
        match action:
            case bytes():
                writer.write(action)
                await writer.drain()
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Until(event):
                await event.wait()
            case Close():
                writer.close()
                raise ConnectionAbortedError
            case Reset():
                writer.transport.abort()
                raise ConnectionAbortedError


class HostileBus(Hostile):
    """The same under RTU framing; behaviours answer with ``Asked.rtu``."""

    async def _hear(self, reader: asyncio.StreamReader) -> Asked:
        request = await reader.readexactly(8)
        assert FramerRTU.compute_CRC(request[:6]).to_bytes(2, "big") == request[6:]
        return Asked(0, *struct.unpack(">BBHH", request[:6]))
