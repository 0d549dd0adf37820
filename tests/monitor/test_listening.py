"""A door, also where there is no descriptor for who comes in."""

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from monitor import listening
from monitor.listening import Door
from tests.support.servers import HOST
from tests.support.waiting import eventually


class Listener(socket.socket):
    """One that has no descriptor for who connects, while ``scarce``."""

    scarce = 0
    tried = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tried += 1
        if self.scarce:
            raise OSError(self.scarce, "no")
        return super().accept()


@asynccontextmanager
async def greeting(limit: int = 100) -> AsyncIterator[tuple[Listener, int]]:
    """Say the line back that one says who connects."""
    listener = Listener()
    listener.bind((HOST, 0))
    listener.listen()
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.get_running_loop().create_task(serve(reader, writer)))

    door = Door(listener, welcome, limit, "the door")
    try:
        yield listener, listener.getsockname()[1]
    finally:
        door.close()
        await asyncio.gather(*served)


async def said(port: int, words: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(words)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_who_connects_is_let_in_and_heard() -> None:
    async with greeting() as (_, port):
        answers = await asyncio.gather(*(said(port, b"%d\n" % n) for n in range(20)))
    assert answers == [b"%d\n" % n for n in range(20)]


async def test_while_there_is_no_descriptor_it_rests_says_so_once_and_lets_them_in_after(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "PAUSE", 0.02)
    with caplog.at_level(logging.WARNING):
        async with greeting() as (listener, port):
            listener.scarce = errno.EMFILE
            waiting = asyncio.create_task(said(port, b"here\n"))
            await eventually(lambda: listener.tried > 3)
            assert [each.message for each in caplog.records] == [
                "the door: nobody who connects can be let in: Too many open files"
            ]
            listener.scarce = 0
            assert await waiting == b"here\n"
    assert caplog.records[1:] == [caplog.records[-1]]
    assert caplog.records[-1].message == "the door: who connects is let in again"


async def test_it_does_not_try_again_before_it_has_rested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PAUSE", 3600.0)
    async with greeting() as (listener, port):
        listener.scarce = errno.ENFILE
        _, writer = await asyncio.open_connection(HOST, port)
        await eventually(lambda: listener.tried > 0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert listener.tried == 1
        writer.close()
        await writer.wait_closed()


async def test_who_has_left_while_he_waited_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    async with greeting() as (listener, port):
        listener.scarce = errno.ECONNABORTED
        waiting = asyncio.create_task(said(port, b"here\n"))
        await eventually(lambda: listener.tried > 0)
        listener.scarce = 0
        assert await waiting == b"here\n"
    assert caplog.records == []


async def test_after_its_end_nobody_is_there() -> None:
    async with greeting() as (_, port):
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port)
