"""The hostile server, on a port of each test's own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.drivers.modbus.hostile import Hostile


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[Hostile]:
    async with Hostile() as server:
        yield server
