"""The daemon as a site runs it: a process of its own, asked over its local socket."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TypeVar

from monitor.cli.client import NoDaemon, ask_for
from monitor.messages import AlarmMessage, Message
from monitor.operators.protocol import (
    AlarmsRequest,
    Request,
    SinkStatus,
    StatusMessage,
    StatusRequest,
)
from monitor.store.reader import Reader

ROOT = Path(__file__).parents[2]
GENEROUS = 60.0
"""Seconds in which a thing that takes one must be done, on however loaded a machine."""

Answer = TypeVar("Answer", bound=Message)


class Daemon:
    """``cytowatch run``: started, killed and started again over the same state."""

    def __init__(self, folder: Path, site: str) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.file = folder / "site.yaml"
        self.log = folder / "daemon.log"
        self.socket = folder / "s"  # A path of pytest is long, and that of a socket may not be.
        self.program: Sequence[str] = ("monitor.cli",)
        """The module to run; a test may have one that behaves worse."""
        self.under: Sequence[str] = ()
        """What runs it, and lets it be its own process: nothing, or a tracer."""
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(site, encoding="utf-8")

    @property
    def store(self) -> Path:
        return self.state / "cytowatch.db"

    @property
    def environment(self) -> dict[str, str]:
        """What the daemon and the commands that ask it are told."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "STATE_DIRECTORY": str(self.state),
            "CYTOWATCH_SOCKET": str(self.socket),
        }

    @staticmethod
    def command(*arguments: str) -> list[str]:
        """A command of the command line, for `subprocess`."""
        return [sys.executable, "-m", "monitor.cli", *arguments]

    @property
    def pid(self) -> int | None:
        """Of its process, while that runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself: nobody has killed or stopped it since its start."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start it; ``ready`` waits until it answers."""
        assert self._process is None
        run = [sys.executable, "-m", *self.program, "run", "--config", str(self.file)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.under, *run],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> StatusMessage:
        """Return its first status, as soon as it answers."""
        async with asyncio.timeout(GENEROUS):
            while True:
                try:
                    return await self.status()
                except NoDaemon:
                    assert self._process is not None
                    assert self._process.poll() is None, self.words()
                    await asyncio.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self._end(signal.SIGKILL)

    async def stop(self, seconds: float = GENEROUS) -> int:
        """End it in good order; return its exit code, or raise TimeoutExpired."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(process.wait, seconds)
        finally:
            process.kill()
            process.wait()

    async def ask(self, request: Request, model: type[Answer]) -> list[Answer]:
        """Ask over the local socket."""
        return await asyncio.to_thread(ask_for, self.socket, request, model)

    async def status(self) -> StatusMessage:
        [status] = await self.ask(StatusRequest(), StatusMessage)
        return status

    async def alarms(self) -> dict[str, AlarmMessage]:
        """What stands, by name."""
        return {alarm.alarm: alarm for alarm in await self.ask(AlarmsRequest(), AlarmMessage)}

    async def until_delivered(self) -> None:
        """Return when both sinks have all that is committed just now."""
        sinks: Sequence[SinkStatus] = ()
        try:
            async with asyncio.timeout(2 * GENEROUS):
                while not sinks or any(s.telemetry_behind + s.events_behind for s in sinks):
                    sinks = (await self.status()).sinks
        except TimeoutError:
            raise AssertionError(f"{sinks}\n{self.words()}") from None

    async def run(self, *arguments: str) -> "Ran":
        """Run a command of the command line beside the daemon."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(GENEROUS):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Ran(process.returncode or 0, out.decode(), err.decode())

    def words(self) -> str:
        """What it logged."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def reader(self) -> Reader:
        """The record, as ``export`` reads it."""
        return Reader(self.store)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Ran:
    """A command that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def lines(self) -> Sequence[str]:
        return self.out.splitlines()

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"
