"""The one that is measured: the daemon, or the script beside it, as a process of its own."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monitor.cli.client import NoDaemon, ask_for
from monitor.operators.address import NAME
from monitor.operators.protocol import StatusMessage, StatusRequest
from tests.bench.scene import HERE, BenchError, Process, Scene, process

Loop = Literal["asyncio", "uvloop"]
STEP = 0.02
"""Seconds between looks at what is waited for."""
PATIENCE = 60.0
EXIT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Start:
    """Seconds from exec on."""

    first_poll: float
    first_scan: float
    """Until a scan is on the disk."""


@dataclass
class Daemon:
    """``cytowatch run``, over a scene."""

    process: Process
    socket: Path
    log: Path
    born: float
    """By ``time.monotonic``."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def status(self) -> StatusMessage:
        """Ask how it is."""
        [status] = ask_for(self.socket, StatusRequest(), StatusMessage)
        return status

    def start(self, beyond: int = 0) -> Start:
        """Wait until it watches, and return how long that took.

        ``beyond`` is the last scan that was on the record before.
        """
        first_poll = self._until(lambda status: status.grid.visits > 0)
        return Start(first_poll, self._until(lambda status: status.last_scan > beyond))

    def _until(self, condition: Callable[[StatusMessage], bool]) -> float:
        """Return how old it was when the condition held for its status."""
        while (age := time.monotonic() - self.born) < PATIENCE:
            try:
                if condition(self.status()):
                    return time.monotonic() - self.born
            except NoDaemon:
                if self.process.poll() is not None:
                    break
            time.sleep(STEP)
        raise BenchError(f"the daemon does not watch after {age:.0f} s; its log:\n{self.words()}")

    def words(self) -> str:
        """The end of what it logged."""
        return self.log.read_text(errors="replace")[-4000:]

    def terminate(self) -> float:
        """Tell it to stop, and return the seconds until it was gone."""
        told = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            return EXIT_TIMEOUT
        if code != 0:
            raise BenchError(f"the daemon ended with {code}; its log:\n{self.words()}")
        return time.monotonic() - told


def run_command(file: Path, loop: Loop) -> Sequence[str]:
    """The daemon as a site runs it."""
    command = [sys.executable, "-m", "monitor.cli", "run", "--config", str(file)]
    return [*command, "--loop", loop]


def stepped_command(file: Path) -> Sequence[str]:
    """The daemon with every step of its event loop timed; see ``steps.py``."""
    return [sys.executable, str(HERE / "steps.py"), str(file)]


@contextmanager
def daemon(scene: Scene, command: Sequence[str]) -> Iterator[Daemon]:
    """Run it inside the block."""
    log = scene.folder / "daemon.log"
    born = time.monotonic()
    with process(command, log) as child:
        yield Daemon(child, scene.state / NAME, log, born)
