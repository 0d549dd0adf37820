"""A broker that does as it is told: what no real one does on demand. MQTT 5 and 3.1.1, by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

CONNECT = 1


class Told(NamedTuple):
    """A message that was published."""

    topic: str
    payload: bytes
    retain: bool = False


Verdict = Callable[[str], int | None]
"""Says by the topic with which reason code a message is answered; None: not at all."""


def well(_: str) -> int | None:
    """Accept everything."""
    return 0


def anybody(_: int) -> int:
    """Let everybody in."""
    return 0


@dataclass
class ScriptedBroker:
    """``async with ScriptedBroker(verdict) as broker``: listens on a port of the loopback."""

    verdict: Verdict = well
    farewell: int | None = None
    """With which reason it ends each connection after its first message; None: it does not."""
    offers: bytes = b""
    """The properties of its greeting (MQTT 5)."""
    admits: Callable[[int], int] = anybody
    """Says by the flags of a CONNECT with which reason code it is answered."""
    grants: int = 1
    """With which code a subscription is answered."""
    hands_on: bool = False
    """Whether who subscribed, to whatever it was, is sent what was published."""
    asked: list[bytes] = field(default_factory=list)
    """The bodies of the CONNECTs that came."""
    pings: int = 0
    told: list[Told] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        level = 5
        try:
            while True:
                first, body = await _packet(reader)
                level = body[6] if first >> 4 == CONNECT else level
                writer.write(self._reply(first, body, level))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    def _reply(self, first: int, body: bytes, level: int) -> bytes:
        is_5 = level == 5
        match first >> 4:
            case 1:  # CONNECT
                self.asked.append(body)
                offers = bytes((len(self.offers),)) + self.offers if is_5 else b""
                return bytes((0x20, 2 + len(offers), 0, self.admits(body[7]))) + offers
            case 3:  # PUBLISH
                return self._acknowledge(body, is_5=is_5, retain=bool(first & 1))
            case 8:  # SUBSCRIBE
                codes = bytes((self.grants,)) * _filters(body, is_5=is_5)
                return _framed(0x90, body[:2] + (b"\x00" if is_5 else b"") + codes)
            case 12:  # PINGREQ
                self.pings += 1
                return b"\xd0\x00"
            case _:
                return b""

    def _acknowledge(self, body: bytes, *, is_5: bool, retain: bool) -> bytes:
        end = 2 + int.from_bytes(body[:2], "big")
        topic, number, rest = body[2:end].decode(), body[end : end + 2], body[end + 2 :]
        self.told.append(Told(topic, rest[1:] if is_5 else rest, retain))
        if self.farewell is not None:
            return bytes((0xE0, 2, self.farewell, 0))
        code = self.verdict(topic)
        if code is None:
            return b""
        answer = bytes((0x40, 3)) + number + bytes((code,)) if is_5 else b"\x40\x02" + number
        # Of QoS 0, so there is no packet identifier in it.
        handed = _framed(0x30, body[:end] + rest) if self.hands_on and code == 0 else b""
        return answer + handed


def _filters(body: bytes, *, is_5: bool) -> int:
    """How many a SUBSCRIBE asks for."""
    at, count = 3 + body[2] if is_5 else 2, 0
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        count += 1
    return count


def _framed(first: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((first, *length, rest)) + body


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the first byte (kind and flags) and the body of the next packet."""
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first, await reader.readexactly(length)
