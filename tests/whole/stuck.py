"""``cytowatch``, but for one thing that hangs while the file ``$STUCK_WHILE`` is there.

Run as ``python -m tests.whole.stuck WHAT run --config FILE``. What hangs does so as a mistake of
ours would make it: without an error and without an end. Patience is short, so that a test has
some, but longer than what a disk or a machine that is busy needs.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from drivers.modbus.line import ModbusLine
from monitor import supervise, watchdog
from monitor.cli import main
from monitor.recorder import Recorder
from monitor.sinks.influx import Database as Influx
from monitor.store.database import Database

P = ParamSpec("P")
R = TypeVar("R")
PAUSE = 0.05
HANGS = "it hangs now"
"""What is said when a thread is held up."""

WHILE = Path(os.environ.get("STUCK_WHILE", "/nowhere"))
LINE = "bus"
"""The line that hangs; others do not."""


def blocking(function: Callable[P, R]) -> Callable[P, R]:
    """Hold up the thread that calls."""

    def blocked(*args: P.args, **kwargs: P.kwargs) -> R:
        if WHILE.exists():
            print(HANGS, flush=True)
        while WHILE.exists():
            time.sleep(PAUSE)
        return function(*args, **kwargs)

    return blocked


def hanging(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Hold up the task that calls."""

    async def hung(*args: P.args, **kwargs: P.kwargs) -> R:
        while WHILE.exists():  # noqa: ASYNC110, ASYNC240 - it is a test's switch, looked at rarely
            await asyncio.sleep(PAUSE)
        return await function(*args, **kwargs)

    return hung


def of_one_line(
    hold: Callable[[ModbusLine, supervise.Held], Awaitable[None]],
) -> Callable[[ModbusLine, supervise.Held], Awaitable[None]]:
    """Hold up what would connect one line."""
    hung = hanging(hold)

    async def held(line: ModbusLine, held: supervise.Held) -> None:
        await (hung if line.name == LINE else hold)(line, held)

    return held


def forgetting(
    visit: Callable[[ModbusLine, int], None],
) -> Callable[[ModbusLine, int], None]:
    """Forget the visits of one line."""

    def visited(line: ModbusLine, source: int) -> None:
        if line.name != LINE or not WHILE.exists():
            visit(line, source)

    return visited


def hang(what: str) -> None:
    """Let one thing hang, from now on, while the file is there."""
    match what:
        case "hold":
            ModbusLine.hold = of_one_line(ModbusLine.hold)  # type: ignore[method-assign,assignment]
        case "visit":
            ModbusLine.visit = forgetting(ModbusLine.visit)  # type: ignore[method-assign,assignment]
        case "store":
            Database.commit = blocking(Database.commit)  # type: ignore[method-assign]
        case "sink":
            Influx.write = hanging(Influx.write)  # type: ignore[method-assign,assignment]
        case "loop":
            Recorder.follow_clock = blocking(Recorder.follow_clock)  # type: ignore[method-assign]
        case "nothing":
            pass
        case _:
            raise SystemExit(f"{what} cannot hang")


if __name__ == "__main__":
    impatient = partial(supervise.Backoff, first=0.1, most=0.5)
    supervise.Backoff = impatient  # type: ignore[misc,assignment]
    watchdog.LEAST = watchdog.LONGEST_COMMIT = 5.0
    watchdog.LONGEST_REST = 0.5
    hang(sys.argv.pop(1))
    sys.exit(main())
