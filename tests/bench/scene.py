"""What stands around the one that is measured, each a process of its own on free loopback ports:
the devices (``modbus.py`` and ``opcua.py`` say which), an InfluxDB that counts, and a real
Mosquitto.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.debian import Tool
from tests.support.servers import Mosquitto

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
STOP_TIMEOUT = 10.0
_OURS = ("CYTOWATCH_", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CREDENTIALS_", "NOTIFY_SOCKET")

Process = subprocess.Popen[str]


class BenchError(Exception):
    """The bench cannot go on; the text is for people."""


@dataclass(frozen=True)
class Size:
    """How much there is to watch, at 1 Hz."""

    equipments: int = 400
    channels: int = 25


@dataclass(frozen=True)
class Counts:
    """What the database was sent so far."""

    requests: int
    bytes: int
    repeated: int
    """Bodies that came a second time."""
    lines: Mapping[str, int]
    """By measurement."""
    changes: Mapping[int, int]
    """Readings that bear a source time, each once however often it was sent: by the whole seconds
    (UTC) of that time."""
    readings: int
    """Of the equipment, and not of events and the like; what is sent again is none."""


class Wire(Protocol):
    """A protocol to be measured: who serves it, who watches it beside us, and what a reading is."""

    @property
    def size(self) -> "Size":
        """How much is watched."""

    @property
    def words(self) -> str:
        """The load, for people."""

    def devices(self, folder: Path) -> Sequence[str]:
        """The command that serves it; it says its ``ports`` in a line of JSON when it does.

        In ``folder`` it writes ``CROSSINGS``, JSON lines.
        """

    def site_text(self, around: "Scene") -> str:
        """The file that a daemon watches it by."""

    def script(self, around: "Scene") -> Sequence[str]:
        """The command of the script beside us."""

    def bare(self, around: "Scene") -> Sequence[str] | None:
        """The command of what does nothing but take the values; None where there is no such."""

    def readings(self, lines: Mapping[str, int], changes: Mapping[int, int]) -> int:
        """How many readings the database got; of the daemon or of the script."""

    def lost(self, around: "Scene", changes: Mapping[int, int], span: tuple[float, float]) -> int:
        """Changes served in ``span`` (UTC seconds) that are not among those which arrived."""


CROSSINGS = "crossings.jsonl"
"""Where the devices tell when they sent what crosses a limit."""


class Broker(Mosquitto):
    """Mosquitto that tells only errors: a log of every packet would take CPU from the others."""

    def command(self) -> tuple[Tool, list[str]]:
        program, arguments = super().command()
        file = Path(arguments[-1])
        file.write_text(file.read_text().replace("log_type all", "log_type error"))
        return program, arguments

    def pause(self) -> None:
        """Let it be there and do nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it even when it is paused; it has nothing to save."""
        self.kill()


@dataclass
class Scene:
    """Everything but the one that is measured."""

    wire: Wire
    folder: Path
    devices: Process
    ports: Sequence[int]
    database_port: int
    broker: Broker

    @property
    def crossings(self) -> Path:
        return self.folder / CROSSINGS

    @property
    def database_url(self) -> str:
        return f"http://127.0.0.1:{self.database_port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def site_file(self) -> Path:
        """Write the file that a daemon watches all this by."""
        file = self.folder / "site.yaml"
        file.write_text(self.wire.site_text(self), encoding="utf-8")
        return file

    def counts(self) -> Counts:
        """Ask the database what it got."""
        counts = f"{self.database_url}/count"
        with urllib.request.urlopen(counts, timeout=10) as answer:  # noqa: S310 - http, our own
            said = json.load(answer)
        changes = {int(second): count for second, count in said["changes"].items()}
        readings = self.wire.readings(said["lines"], changes)
        requests = said["requests"], said["bytes"], said["repeated"]
        return Counts(*requests, said["lines"], changes, readings)

    def end_devices_and_broker(self) -> None:
        """Let every connection be refused from now on."""
        end(self.devices)
        self.broker.kill()

    def freeze_devices_and_broker(self) -> None:
        """Let nobody answer any more, with all connections standing."""
        self.devices.send_signal(signal.SIGSTOP)
        self.broker.pause()


@contextmanager
def scene(wire: Wire, folder: Path) -> Iterator[Scene]:
    """Set everything up, and take it down however the block ends."""
    folder.mkdir()
    with ExitStack() as running:
        sink = running.enter_context(process([sys.executable, str(HERE / "http_sink.py")]))
        devices = running.enter_context(process(wire.devices(folder)))
        said = json.loads(first_line(devices, "the simulated devices"))
        port = int(first_line(sink, "the counting database"))
        broker = running.enter_context(Broker(folder / "mosquitto"))
        yield Scene(wire, folder, devices, said["ports"], port, broker)


def environment() -> Mapping[str, str]:
    """The environment of whatever is started: nothing in it tells cytowatch how to be."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
    return {**plain, "PYTHONPATH": str(ROOT)}


@contextmanager
def process(command: Sequence[str], log: Path | None = None) -> Iterator[Process]:
    """Run a command beside us, and end it with the block; what it logs goes to ``log``."""
    with ExitStack() as files:
        stderr = None if log is None else files.enter_context(log.open("a"))
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: we end them in good order.
        )
    try:
        yield child
    finally:
        end(child)


def end(child: Process) -> None:
    """End a process, by force if need be; nothing happens if it has ended."""
    child.send_signal(signal.SIGCONT)
    child.terminate()
    try:
        child.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def first_line(child: Process, who: str) -> str:
    """Return what a process says first; raises BenchError when it ends without a word."""
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        raise BenchError(f"{who} did not start (exit {child.wait()})")
    return line
