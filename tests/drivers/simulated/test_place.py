"""A port that is ours for life, served or not."""

import asyncio

import pytest

from drivers.simulated.place import HOST, Place, will_reset


async def test_it_refuses_while_nobody_serves_it_and_is_the_same_afterwards() -> None:
    place = Place()
    port = place.port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port)
    async with await asyncio.start_server(lambda _, writer: writer.close(), HOST, port):
        reader, writer = await asyncio.open_connection(HOST, port)
        assert await reader.read() == b""
        writer.close()
    assert place.port == port
    place.close()


async def test_a_connection_that_will_reset_does_not_end_politely() -> None:
    def drop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        will_reset(writer.transport)
        writer.close()

    place = Place()
    async with await asyncio.start_server(drop, HOST, place.port):
        reader, writer = await asyncio.open_connection(HOST, place.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
    place.close()
