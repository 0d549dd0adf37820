"""The log on standard error, and nobody who logs ever waits for who reads it.

A journal that is stopped, or a pipe that nobody empties, takes no more at some time, and a plain
write would hold up the whole daemon. Then lines wait for a thread of their own; when too many do,
those that come are dropped and counted.
"""

import logging
import os
import queue
import select
from contextlib import suppress
from threading import Thread

MOST = 10_000
"""Lines that may wait."""
PATIENCE = 1.0
"""Seconds that what still waits has in the end."""

log = logging.getLogger(__name__)


class Log(logging.Handler):
    """Writes to a descriptor: at once where it takes a line, by a thread while it does not."""

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: queue.Queue[bytes] = queue.Queue(MOST)
        self._dropped = 0
        self._writer: Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or let it wait; see ``logging.Handler``."""
        try:
            text = f"{self.format(record)}\n".encode(errors="backslashreplace")
        except Exception:  # noqa: BLE001 - as logging's own: a wrong format ends nobody's work
            self.handleError(record)
            return
        if not self._waiting.unfinished_tasks and self._takes(text):
            self._write(text)
        else:
            self._let_wait(text)

    def flush(self) -> None:
        """Return when nothing waits any more, or after ``PATIENCE``."""
        waiting = self._waiting
        with waiting.all_tasks_done:
            waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, PATIENCE)

    def _takes(self, text: bytes) -> bool:
        """Whether a write returns at once: so much fits where a pipe or socket is writable."""
        return len(text) <= select.PIPE_BUF and bool(
            select.select([], [self._descriptor], [], 0)[1]
        )

    def _let_wait(self, text: bytes) -> None:
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self._dropped += 1
        if self._writer is None:
            writer = Thread(target=self._write_on, name="log", daemon=True)
            with suppress(RuntimeError):  # There is no thread to be had: it waits for the next one.
                writer.start()
                self._writer = writer

    def _write_on(self) -> None:
        while True:
            self._write(self._waiting.get())
            self._waiting.task_done()
            if self._dropped and self._waiting.empty():
                dropped, self._dropped = self._dropped, 0
                log.warning("%d lines of the log were dropped: nobody had read it", dropped)

    def _write(self, text: bytes) -> None:
        with suppress(OSError):  # Nobody is there to be told.
            while text:
                text = text[os.write(self._descriptor, text) :]
