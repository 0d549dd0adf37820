"""How long the machine lets this process wait: what a test that is about time has to forgive."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PAUSE = 0.01
WORTH = 50_000_000
"""Nanoseconds."""


@dataclass
class Stalls:
    """How late a task is woken that only sleeps: what everybody in this process has to bear."""

    worst: int = 0
    """Nanoseconds."""
    told: list[tuple[int, int]] = field(default_factory=list)
    """When (ns, UTC) it was held up, and for how long, where that was worth a word."""

    def worst_between(self, since: int, until: int) -> int:
        """The worst of that time (ns, UTC); 0 where nothing was worth a word."""
        return max((late for at, late in self.told if since <= at - late <= until), default=0)

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            before = time.monotonic_ns()
            await asyncio.sleep(PAUSE)
            late = time.monotonic_ns() - before - round(PAUSE * 10**9)
            self.worst = max(self.worst, late)
            if late > WORTH:
                self.told.append((time.time_ns(), late))


@asynccontextmanager
async def watching_stalls() -> AsyncIterator[Stalls]:
    """Look until the block is left."""
    stalls = Stalls()
    task = asyncio.create_task(stalls.watch())
    try:
        yield stalls
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
