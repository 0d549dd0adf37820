"""Asks the daemon: one connection, one request, and its answer line by line."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from config.problems import plain
from monitor.cli.exits import FOUND, NOT_ALLOWED, UNAVAILABLE, Failure
from monitor.messages import Message
from monitor.operators.protocol import End, Request

Answer = TypeVar("Answer", bound=Message)
AT_ONCE = 2**16
"""Bytes."""


class NoDaemon(Failure):
    """No daemon answers there, or none any more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, UNAVAILABLE)


class Gone(NoDaemon):
    """The daemon was there, and went away before the end of its answer."""


class Declined(Failure):
    """The daemon will not answer this request; ``word`` says why to programs."""

    def __init__(self, end: End) -> None:
        super().__init__(plain(end.text or end.word), FOUND)
        self.word = end.word


def ask(path: Path, request: Request) -> Iterator[str]:
    """Give the lines of the answer, but not its end; raises ``Failure`` for people."""
    return converse(connect(path), request)


def converse(
    connection: socket.socket, request: Request, *, beat: float | None = None
) -> Iterator[str]:
    """Give the lines of the answer on a connection of its own, which is closed at the end.

    With ``beat`` an empty one whenever none came for so many seconds.
    """
    with connection:
        try:
            connection.sendall(request.model_dump_json().encode() + b"\n")
            for line in _lines(connection, beat):
                text = line.decode()
                if text.startswith('{"schema":"cytowatch.end.'):
                    _ended(End.model_validate_json(text))
                    return
                yield text
        except ConnectionError as error:
            raise Gone("the daemon went away") from error
    raise Gone("the daemon went away")


def _lines(connection: socket.socket, beat: float | None) -> Iterator[bytes]:
    """Give lines without their newlines, and empty ones as ``converse`` says."""
    connection.settimeout(beat)
    parts: list[bytes] = []
    while True:
        try:
            got = connection.recv(AT_ONCE)
        except TimeoutError:
            yield b""
            continue
        if not got:
            return
        *whole, rest = got.split(b"\n")
        for line in whole:
            parts.append(line)
            yield b"".join(parts)
            parts = []
        parts.append(rest)


def ask_for(path: Path, request: Request, model: type[Answer]) -> list[Answer]:
    """Give the whole answer, as messages of one kind."""
    return [understood(model, text) for text in ask(path, request)]


def understood(model: type[Answer], text: str) -> Answer:
    """Return a line as a message; raises ``Failure`` where the daemon is of another release."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise Failure(
            "the daemon answers in words of another release; use the command line it came with",
            UNAVAILABLE,
        ) from error


def _ended(end: End) -> None:
    if end.word == "stopping":
        raise Gone(end.text)
    if end.result == "failed":
        raise Declined(end)


def connect(path: Path) -> socket.socket:
    """Reach the daemon; raises ``Failure`` when there is none or it does not let us."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except PermissionError as error:
        connection.close()
        raise Failure(
            f"{path}: you may not ask the daemon; be a member of the socket's group, or use sudo",
            NOT_ALLOWED,
        ) from error
    except OSError as error:
        connection.close()
        raise NoDaemon(
            f"{path}: no daemon answers there ({error.strerror or error}); is it running?"
            " --socket names another place"
        ) from error
    return connection
