"""Waiting, in a test, for what a real process does in its own time."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return as soon as the condition holds; raises TimeoutError if it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for cannot set an event.
            await asyncio.sleep(0.01)
