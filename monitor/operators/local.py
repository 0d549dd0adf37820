"""The local socket: who is logged in on the gateway asks here, and the kernel says who it is.

Each connection carries one request and its answer (``protocol``), and has a task of its own.
Nothing here can hold up the daemon: requests are small, connections are counted, and what a reader
does not take is not made; one that takes nothing for ``PATIENCE`` is told so and dropped.
"""

import asyncio
import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from monitor.ending import out_of_memory
from monitor.listening import Door
from monitor.messages import Actor
from monitor.operators.address import SocketError
from monitor.operators.answers import Declined, answer, line, streams
from monitor.operators.base import Desk
from monitor.operators.protocol import REQUEST, End, Request
from monitor.store.errors import StoreError

LONGEST_REQUEST = 64 * 1024
CONNECTIONS = 64
"""At once, of all users."""
BACKLOG = 100
"""Who may wait to be let in."""
HIGH_WATER = 256 * 1024
"""Bytes that may wait for a slow reader."""
ASKING = 10.0
"""Seconds in which a request must be in."""
PATIENCE = 30.0
"""Seconds in which a reader must take something."""

TURN = 50
"""Lines after which others have their turn: a millisecond or two of work."""
LINGER = 1.0
"""Seconds that are left to take the last of an answer."""

log = logging.getLogger(__name__)


class TooSlow(Exception):  # noqa: N818 - says what the reader is
    """The reader takes nothing."""


@dataclass
class Office:
    """The open socket: its limits, and who is being served."""

    desk: Desk
    connections: int = CONNECTIONS
    asking: float = ASKING
    patience: float = PATIENCE
    pause: float = 1.0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection in a task of its own."""
        task = asyncio.get_running_loop().create_task(self._serve(Visitor(reader, writer, self)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def close(self) -> None:
        """Let everyone go."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, visitor: "Visitor") -> None:
        try:
            if len(self.tasks) > self.connections:
                text = f"{self.connections} connections are served at once; try again later"
                await visitor.end("too_many", text)
            else:
                await visitor.serve()
        except asyncio.CancelledError:
            visitor.writer.write(_end("stopping", "the daemon stops"))
            await visitor.leave(0)
            raise
        except (ConnectionError, TooSlow):
            pass
        except MemoryError:
            out_of_memory()
        except Exception:
            # One request that we cannot answer is a fault of ours, and not the end of the daemon.
            log.exception("local socket: a request could not be answered")
            with suppress(ConnectionError, TooSlow):
                await visitor.end("internal", "the daemon could not answer; its log says more")
        await visitor.leave()


@dataclass
class Visitor:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    office: Office

    async def serve(self) -> None:
        """Take the request and answer it."""
        self.writer.transport.set_write_buffer_limits(high=HIGH_WATER)
        try:
            request = await self._request()
            if streams(request):
                await self._until_closed(request)
            else:
                await self._tell(request)
        except Declined as declined:
            await self.end(declined.word, str(declined))
        except StoreError as error:
            await self.end("store", str(error))
        except TooSlow:
            self.writer.write(_end("too_slow", "this reader took nothing for too long"))
        else:
            await self.end("done", "")

    async def end(self, word: str, text: str) -> None:
        """Write the last line."""
        await self._send(_end(word, text))

    async def leave(self, linger: float = LINGER) -> None:
        """Close, but first let the reader take what is written.

        What it still says is read and thrown away: a unix socket that is closed over unread input
        takes the answer with it.
        """
        try:
            self.writer.write_eof()
            async with asyncio.timeout(linger):
                while await self.reader.read(HIGH_WATER):
                    pass
        except (TimeoutError, OSError):
            pass
        finally:
            self.writer.transport.abort()

    async def _request(self) -> Request:
        try:
            async with asyncio.timeout(self.office.asking):
                text = await self.reader.readline()
        except TimeoutError as error:
            raise Declined("timeout", "no request came") from error
        except ValueError as error:
            raise Declined("too_large", f"a request has at most {LONGEST_REQUEST} bytes") from error
        try:
            return REQUEST.validate_json(text)
        except (ValidationError, RecursionError) as error:
            raise Declined("invalid", _why(error)) from error

    async def _until_closed(self, request: Request) -> None:
        """Answer, but stop as soon as the client closes or says anything more."""
        telling = asyncio.ensure_future(self._tell(request))
        closing = asyncio.ensure_future(self.reader.read(1))
        try:
            await asyncio.wait({telling, closing}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
        finally:
            for task in (telling, closing):
                task.cancel()
            await asyncio.gather(telling, closing, return_exceptions=True)

    async def _tell(self, request: Request) -> None:
        actor = await who(self.writer)
        answers = answer(request, self.office.desk, actor, pause=self.office.pause)
        async with aclosing(answers) as lines:
            told = 0
            async for text in lines:
                await self._send(text.encode() + b"\n")
                told += 1
                if told % TURN == 0:
                    # Sending does not wait while there is room: a long answer must.
                    await asyncio.sleep(0)

    async def _send(self, data: bytes) -> None:
        self.writer.write(data)
        try:
            async with asyncio.timeout(self.office.patience):
                await self.writer.drain()
        except TimeoutError as error:
            raise TooSlow from error


def _end(word: str, text: str) -> bytes:
    end = End(result="done" if word == "done" else "failed", word=word, text=text)
    return line(end).encode() + b"\n"


def _why(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "the request is nested too deeply"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


async def who(writer: asyncio.StreamWriter) -> Actor:
    """Return whose process is at the other end by the kernel's word, and the name now."""
    peer: socket.socket = writer.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    # In a thread: the name may come from a directory server that does not answer.
    name = await asyncio.to_thread(_user_name, uid)
    return Actor(user=name, via="socket", uid=uid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


@asynccontextmanager
async def serve(path: Path, desk: Desk) -> AsyncIterator[Office]:
    """Answer on a unix socket at ``path`` (mode 0660) inside the block; raises ``SocketError``."""
    async with open_office(path, Office(desk)) as office:
        yield office


@asynccontextmanager
async def open_office(path: Path, office: Office) -> AsyncGenerator[Office, None]:
    """As ``serve``, with limits of one's own."""
    listener = _listen(path)
    inode = _inode(path)
    listener.listen(BACKLOG)
    door = Door(listener, office.welcome, LONGEST_REQUEST, "the local socket")
    try:
        yield office
    finally:
        door.close()
        await office.close()
        if _inode(path) == inode:
            _remove(path)


def _listen(path: Path) -> socket.socket:
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before bind, so that at no moment anybody else could connect; after it, against the umask.
        os.fchmod(listener.fileno(), 0o660)
        listener.bind(os.fspath(path))
        path.chmod(0o660)
    except OSError as error:
        listener.close()
        raise SocketError(f"{path}: the local socket cannot be opened: {error}") from error
    return listener


def _clear(path: Path) -> None:
    """Remove the socket of a daemon that is no more; never anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketError(f"{path}: the local socket cannot be opened: {error}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"{path}: this is no socket; move it away, the daemon does not remove it")
    if _answers(path):
        raise SocketError(f"{path}: another daemon answers there; stop it first")
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except OSError as error:
            raise SocketError(f"{path}: cannot tell who is there: {error}") from error
    return True


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
