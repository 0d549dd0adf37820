"""Letting in who connects, also when the process has no descriptor left for one more.

The servers of asyncio then try a hundred times at once and log each try with its trace, again and
again, as long as somebody waits at the door. Here the door is left alone for a while, which is told
when it begins and when it is over; who waits there is let in then.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable

PAUSE = 1.0
"""Seconds for which the door is left alone."""

Welcome = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
log = logging.getLogger(__name__)


class Door:
    """A socket that listens, open from the first until ``close``; in a running event loop."""

    def __init__(self, listener: socket.socket, welcome: Welcome, limit: int, name: str) -> None:
        """``welcome`` is called with each connection, whose reader holds at most ``limit`` bytes.

        ``name`` says in the log which door it is.
        """
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._welcome = welcome
        self._limit = limit
        self._name = name
        self._resting: asyncio.TimerHandle | None = None
        self._told = False
        self._entering: set[asyncio.Task[None]] = set()
        listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._open()

    def close(self) -> None:
        """Let nobody in any more, and give the address up."""
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self._entering:
            task.cancel()

    def _open(self) -> None:
        self._resting = None
        self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        """Take one: the loop comes back while there are more."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # Who was there has left again.
        except OSError as error:
            self._rest(error)
            return
        if self._told:
            self._told = False
            log.warning("%s: who connects is let in again", self._name)
        connection.setblocking(False)  # noqa: FBT003 - the socket's own signature
        task = self._loop.create_task(self._enter(connection))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    def _rest(self, error: OSError) -> None:
        self._loop.remove_reader(self._listener)
        self._resting = self._loop.call_later(PAUSE, self._open)
        if not self._told:
            self._told = True
            why = os.strerror(error.errno) if error.errno else str(error)
            log.error("%s: nobody who connects can be let in: %s", self._name, why)

    async def _enter(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader(self._limit, self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, self._welcome, self._loop)
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except BaseException:
            connection.close()
            raise
