"""The daemon on an event loop of which every step is timed: ``python steps.py SITE_FILE``.

A step is one callback, or one stretch of a task between two awaits; a turn is all of them from one
look at the sockets to the next, so that what arrives meanwhile waits for it. At SIGUSR1 the
figures so far are put aside and timing begins anew; at the end all of them are told as a JSON
list, oldest first.
Timing costs CPU, so nothing else is measured in such a run.
"""

import asyncio
import gc
import json
import selectors
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from config.load import load
from monitor import app
from monitor.store.database import Database

MILLISECOND = 10**6
SLOW = 5 * MILLISECOND


@dataclass
class Figures:
    """What was seen in one stretch of time; times in ns."""

    steps: int = 0
    slow: int = 0
    """Steps of 5 ms and more."""
    longest: int = 0
    longest_cpu: int = 0
    """Of it, on a CPU: the rest is time in which the machine ran somebody else."""
    longest_is: str = ""
    most_cpu: int = 0
    """The most that any step was on a CPU."""
    most_cpu_is: str = ""
    turns: int = 0
    longest_turn: int = 0
    longest_collection: int = 0
    """Of the garbage collector; part of the step in which it falls."""
    commits: int = 0
    """Each is one fsync of the store's log."""
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def step(self, handle: asyncio.Handle, wall: int, cpu: int) -> None:
        """Count one step."""
        self.steps += 1
        self.slow += wall >= SLOW
        if wall > self.longest:
            self.longest, self.longest_cpu, self.longest_is = wall, cpu, name(handle)
        if cpu > self.most_cpu:
            self.most_cpu, self.most_cpu_is = cpu, name(handle)

    def end(self) -> None:
        """Note how long the stretch was."""
        self.seconds = time.monotonic() - self.began

    def turn(self, wall: int) -> None:
        """Count one turn."""
        self.turns += 1
        self.longest_turn = max(self.longest_turn, wall)


def name(handle: asyncio.Handle) -> str:
    """What a step was, for people."""
    callback = handle._callback  # type: ignore[attr-defined]  # as asyncio's own debugging has it
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"task {owner.get_name()}: {getattr(owner.get_coro(), '__qualname__', '')}"
    return getattr(callback, "__qualname__", None) or repr(callback)


class Watch:
    """Holds the figures, and puts itself between the loop and its work."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.stretches = [self.figures]
        self._collecting = 0

    def begin_anew(self, _number: int, _frame: FrameType | None) -> None:
        """Begin the next stretch; what SIGUSR1 does."""
        self.figures.end()
        self.figures = Figures()
        self.stretches.append(self.figures)

    def timed(self, run: Callable[[asyncio.Handle], None]) -> Callable[[asyncio.Handle], None]:
        """Wrap ``asyncio.Handle._run``."""

        def timed_run(handle: asyncio.Handle) -> None:
            wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
            run(handle)
            used = time.thread_time_ns() - cpu
            self.figures.step(handle, time.perf_counter_ns() - wall, used)

        return timed_run

    def counted(self, commit: Callable[..., object]) -> Callable[..., object]:
        """Wrap ``Database.commit``."""

        def counted_commit(*arguments: object) -> object:
            self.figures.commits += 1
            return commit(*arguments)

        return counted_commit

    def collection(self, phase: str, _info: dict[str, int]) -> None:
        """Time a garbage collection; one of ``gc.callbacks``."""
        if phase == "start":
            self._collecting = time.perf_counter_ns()
        else:
            taken = time.perf_counter_ns() - self._collecting
            self.figures.longest_collection = max(self.figures.longest_collection, taken)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Make a loop that is watched."""
        return asyncio.SelectorEventLoop(Selector(self))


class Selector(selectors.EpollSelector):
    """Times what lies between two looks at the sockets."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._looked = time.perf_counter_ns()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._watch.figures.turn(time.perf_counter_ns() - self._looked)
        ready = super().select(timeout)
        self._looked = time.perf_counter_ns()
        return ready


def main() -> None:
    """Run until SIGTERM, then tell the figures."""
    watch = Watch()
    signal.signal(signal.SIGUSR1, watch.begin_anew)
    gc.callbacks.append(watch.collection)
    for owner, method, wrap in (
        (asyncio.Handle, "_run", watch.timed),
        (Database, "commit", watch.counted),
    ):
        setattr(owner, method, wrap(getattr(owner, method)))
    app.main(load(Path(sys.argv[1])), watch.new_loop)
    watch.figures.end()
    print(json.dumps([asdict(figures) for figures in watch.stretches]), flush=True)


if __name__ == "__main__":
    main()
