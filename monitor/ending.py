"""Where the process cannot go on for want of something that only the machine can give it.

No memory for an object: it ends at once, as if it had been killed. What was done by half (a scan
that is judged and not recorded) must not be committed on the way out, and tidying up would take
memory, too. The record is made for a kill at any moment, and systemd starts the daemon anew.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn

OS_ERROR = 71
"""The exit code: EX_OSERR of sysexits.h."""
_SAID = (
    b"cytowatch: no memory is left for it, so it ends and is to be started anew: look who takes the"
    b" memory of this machine, or let the service have more (MemoryMax)\n"
)


def out_of_memory() -> NoReturn:
    """Say so, and end the process."""
    try:
        os.write(2, _SAID)
    finally:
        os._exit(OS_ERROR)


@asynccontextmanager
async def memory() -> AsyncIterator[None]:
    """End the process where anything in the block, or any of its tasks, has found no memory."""
    try:
        yield
    except* MemoryError:
        out_of_memory()


def see_to_memory(loop: asyncio.AbstractEventLoop) -> None:
    """End the process where anything that the loop calls has found no memory."""

    def handle(loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
        if isinstance(context.get("exception"), MemoryError):
            out_of_memory()
        loop.default_exception_handler(dict(context))

    loop.set_exception_handler(handle)
