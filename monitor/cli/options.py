"""Options that several commands share, and how what people type is read."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from monitor.operators import address

Command = TypeVar("Command", bound=Callable[..., object])


def socket_option(command: Command) -> Command:
    """Add ``--socket PATH``."""
    return click.option(
        "--socket",
        "socket_path",
        type=click.Path(path_type=Path),
        default=address.to_ask,
        envvar="CYTOWATCH_SOCKET",
        show_envvar=True,
        help="Where the daemon listens; found by itself where the daemon is a service.",
    )(command)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="One JSON object a line, with its schema."
    )(command)


class Span(click.ParamType[int]):
    """A duration such as ``30m``, in nanoseconds."""

    name = "duration"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read what was typed."""
        from config.model import nanoseconds

        try:
            found = nanoseconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not isinstance(found, int) or found <= 0:
            self.fail("a duration is more than nothing: 30m, 8h", param, ctx)
        return found


class Instant(click.ParamType[int]):
    """A time (RFC 3339), or how long ago it was (``2h``), in nanoseconds UTC."""

    name = "time"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read what was typed; a time without its zone is UTC."""
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return self._ago(value, param, ctx)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(zoned.timestamp() * 1000) * 10**6

    def _ago(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from config.model import nanoseconds

        try:
            return time.time_ns() - int(nanoseconds(value))
        except ValueError:
            self.fail(
                f"{value} is neither a time (2026-01-31T12:00:00Z) nor how long ago (2h)",
                param,
                ctx,
            )


class NewFile(click.Path[Path]):
    """A file that is written, and so has a name."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Read what was typed; ``-`` would be taken for stdout, and be a file."""
        if os.fspath(value) in {"", "-"}:
            self.fail("name a file (./- for one of that name)", param, ctx)
        return super().convert(value, param, ctx)


SPAN = Span()
INSTANT = Instant()
NEW_FILE = NewFile()
