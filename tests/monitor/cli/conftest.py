"""A daemon's local socket in a thread of its own, so that commands can ask as from outside."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from click.testing import CliRunner, Result

from monitor.cli import cli
from monitor.operators.local import Office, open_office
from monitor.store.events import Event
from tests.support.desk import FakeDesk

LOW = "incubator-07/co2/low"


@dataclass
class Gateway:
    """Serves a fake desk inside ``with``; can be entered again, as a daemon is started again."""

    desk: FakeDesk
    path: Path
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread | None = None
    _stop: asyncio.Event = field(init=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to serve."""
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,))
        self._thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        """Stop serving, if it is not stopped already."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._thread = None

    def add(self, *events: Event) -> None:
        """Commit events."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(self.desk.store.add, *events)
        self._loop.call_soon_threadsafe(done.set)
        assert done.wait(10)

    def ask(self, *arguments: str, color: bool = False) -> Result:
        """Run a command that asks here."""
        socket = ["--socket", str(self.path)]
        return CliRunner().invoke(cli, [*arguments, *socket], color=color)

    def _run(self, ready: threading.Event) -> None:
        try:
            self._loop.run_until_complete(self._serve(ready))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        self._stop = asyncio.Event()
        async with open_office(self.path, Office(self.desk, pause=0.01)):
            ready.set()
            await self._stop.wait()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(FakeDesk(tmp_path), tmp_path / "cytowatch.sock") as gateway:
        yield gateway


def lines(output: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in output.splitlines()]
    assert all(line["schema"].startswith("cytowatch.") for line in found)
    return found
