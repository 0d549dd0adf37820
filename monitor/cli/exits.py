"""How a command ends: the codes of sysexits.h, and the one error that carries them.

0 done; 1 what was looked for is so, or what was asked for is refused; 2 the command line is wrong;
69 no daemon answers; 71 no thread or memory to run with; 74 input or output failed; 77 not allowed;
78 the configuration is wrong; 130 ended by Ctrl-C; 141 nobody reads any more.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import click

from config.problems import plain

FOUND = 1
UNAVAILABLE = 69
IO_ERROR = 74
NOT_ALLOWED = 77
CONFIG = 78
INTERRUPTED = 130
NOBODY_READS = 141


class Failure(click.ClickException):
    """A command cannot go on: what, where and what to do, for people; a code for programs."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it off the instance too

    def show(self, file: IO[str] | None = None) -> None:
        """Say it, on stderr."""
        said = "\n".join(plain(line) for line in self.format_message().split("\n"))
        click.echo(f"cytowatch: {said}", file=file, err=file is None)


@contextmanager
def clearing_away() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end what is inside as an error does, so that no draft is left."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # Signals are not ours then.
        return
    asked = (signal.SIGTERM, signal.SIGHUP)
    heard = [each for each in asked if signal.getsignal(each) is signal.SIG_DFL]
    for each in heard:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in heard:
            signal.signal(each, signal.SIG_DFL)


def leave(code: int) -> None:
    """End the command with ``code``, having said all there is to say."""
    if code:
        raise click.exceptions.Exit(code)
