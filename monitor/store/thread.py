"""One thread with a queue of calls: where blocking work is done, in order, away from the loop.

Never the default executor: a name server that hangs can occupy all of that, and then an alarm
would wait for it.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from monitor.store.errors import StoreError

T = TypeVar("T")


class Worker:
    """A thread that does one call after the other; made inside a running event loop."""

    def __init__(self, name: str) -> None:
        """Raises StoreError where the process may have no more threads."""
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._closed = False
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StoreError(
                f"this machine lets cytowatch have no thread for the {name}: "
                "raise TasksMax of the service, or the limit of its user (ulimit -u)"
            ) from error

    def start(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Queue a call; the future may be dropped or cancelled, the call is done all the same."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            _fail(future, RuntimeError(f"{self._thread.name} is closed"))
            return future
        self._calls.put(lambda: self._do(function, future))
        return future

    async def call(self, function: Callable[[], T]) -> T:
        """Queue a call and wait for its result; whoever is cancelled here does not stop it."""
        return await asyncio.shield(self.start(function))

    async def close(self) -> None:
        """Return when every queued call is done and the thread is gone."""
        self._closed = True
        self._calls.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
        self._tell(lambda: self._ended.set_result(None))

    def _do(self, function: Callable[[], T], future: asyncio.Future[T]) -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            failure = error
            self._tell(lambda: _fail(future, failure))
        else:
            self._tell(lambda: _succeed(future, result))

    def _tell(self, settle: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(settle)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            return


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # Seen: a caller who was cancelled leaves no warning behind.
