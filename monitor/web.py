"""A few pages over HTTP for whoever watches the watcher; read only, and nobody is asked who he is.

So it listens on the loopback alone unless the file names another address. The server is our own,
since so little is served: of a request the head is read, within a time and a size, one answer is
given and the connection closed; so many are served at once and no more. What is not bounded here
does not exist.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from http import HTTPStatus
from typing import NamedTuple

from config.site import Http
from monitor.ending import out_of_memory
from monitor.listening import Door
from monitor.supervise import Held

LOOPBACK = ("127.0.0.1", "::1")
CONNECTIONS = 16
"""At once; more are told to come later."""
LONGEST_HEAD = 8 * 1024
"""Bytes of a request."""
ASKING = 5.0
"""Seconds in which the head of a request must be in."""
TAKING = 10.0
"""Seconds in which an answer must be taken."""
LINGER = 1.0
"""Seconds in which what is still said is thrown away, so that it does not cost the answer."""
_NO_SUCH_FAMILY = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

log = logging.getLogger(__name__)


class WebLost(Exception):  # noqa: N818 - it is an event of the plant, not a mistake in a program
    """The port cannot be opened; the text says why and what to do."""


class Answer(NamedTuple):
    """What is said to a request."""

    status: HTTPStatus
    kind: str
    """Of the body, as ``Content-Type`` has it."""
    body: str


Page = Callable[[], Awaitable[Answer]]


def plain(status: HTTPStatus, text: str = "") -> Answer:
    """Return an answer in a line of text."""
    return Answer(status, "text/plain; charset=utf-8", f"{text or status.phrase}\n")


class Web:
    """Serves ``pages``, by their path, while it is held."""

    def __init__(self, settings: Http, pages: Mapping[str, Page]) -> None:
        self._settings = settings
        self._pages = pages
        self._served: set[asyncio.Task[None]] = set()

    async def hold(self, held: Held) -> None:
        """Listen and answer until cancelled; raises WebLost when the port cannot be opened."""
        with ExitStack() as opened:
            listeners = [opened.enter_context(each) for each in self._listen()]
            doors = [Door(each, self._welcome, LONGEST_HEAD, "http") for each in listeners]
            held()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                for door in doors:
                    door.close()
                for task in list(self._served):
                    task.cancel()
                await asyncio.gather(*self._served, return_exceptions=True)

    def _listen(self) -> list[socket.socket]:
        port = self._settings.port
        if self._settings.address:
            return [_listener(self._settings.address, port)]
        listeners: list[socket.socket] = []
        for address in LOOPBACK:
            try:
                listeners.append(_listener(address, port))
            except WebLost as error:
                cause = error.__cause__
                if listeners and isinstance(cause, OSError) and cause.errno in _NO_SUCH_FAMILY:
                    continue  # A machine without IPv6 has no ::1.
                for each in listeners:
                    each.close()
                raise
        return listeners

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = self._answer(reader) if len(self._served) < CONNECTIONS else _crowded()
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, answering))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answering: Awaitable[tuple[str, Answer]],
    ) -> None:
        try:
            method, answer = await answering
            writer.write(_response(method, answer))
            async with asyncio.timeout(TAKING):
                await writer.drain()
            await _leave(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # Who asks has gone, or says or takes nothing: that is his own affair.
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, Answer]:
        """Read a request; return its method and the answer."""
        try:
            async with asyncio.timeout(ASKING):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return "", plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
            return "", plain(HTTPStatus.BAD_REQUEST)
        return words[0], await self._page(words[0], words[1].partition("?")[0])

    async def _page(self, method: str, path: str) -> Answer:
        page = self._pages.get(path)
        if page is None:
            return plain(HTTPStatus.NOT_FOUND, f"here are {', '.join(self._pages)}")
        if method not in {"GET", "HEAD"}:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            return await page()
        except MemoryError:
            out_of_memory()
        except Exception:
            # One page that cannot be made is a fault of ours, and not the end of the others.
            log.exception("%s could not be made", path)
            return plain(HTTPStatus.INTERNAL_SERVER_ERROR, "the daemon's log says more")


async def _crowded() -> tuple[str, Answer]:
    return "", plain(HTTPStatus.SERVICE_UNAVAILABLE, "too many ask at once; try again later")


def _listener(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family)
    except OSError as error:
        why = f"cannot listen at {address} port {port}: {error.strerror}"
        raise WebLost(f"{why}; end who is there, or change http in the file") from error
    return listener


def _response(method: str, answer: Answer) -> bytes:
    body = answer.body.encode()
    allowed = "Allow: GET, HEAD\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"Content-Type: {answer.kind}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"{allowed}Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if method == "HEAD" else body)


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that this was all, and let the other side take it."""
    writer.write_eof()
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while await reader.read(LONGEST_HEAD):
                pass
