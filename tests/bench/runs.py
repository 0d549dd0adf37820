"""The runs that are measured, one after the other: on few cores they would take from each other.

Every run has a scene of its own (devices, database, broker), warms up, and is then looked at for
a while: what it took from the CPU, and what the database has acknowledged of it meanwhile.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.simulated.load import limit
from monitor.operators.protocol import GridStatus
from tests.bench import gauges, latency, spy
from tests.bench.daemon import Daemon, Loop, Start, daemon, run_command, stepped_command
from tests.bench.latency import Delays
from tests.bench.scene import (
    HERE,
    ROOT,
    BenchError,
    Counts,
    Scene,
    Size,
    environment,
    process,
    scene,
)

GRACE = 1.5
"""Seconds in which what was sent at the end of a run must have been told."""
DEAD = 4.0
"""Seconds for which everything is dead before the daemon is told to stop."""
LOOK = 0.01
FLOW_TIMEOUT = 30.0
LOAD_KIND = "load"
REFERENCE_KIND = "incubator"


@dataclass(frozen=True)
class Span:
    """How long to look, in seconds."""

    warm_up: float
    seconds: float


@dataclass(frozen=True)
class Window:
    """What a process did while it was looked at."""

    seconds: float
    cpu_ns: int
    system_ns: int
    readings: int
    """Acknowledged by the database."""
    due: float
    """Readings that a perfect one would have brought there."""
    requests: int
    repeated: int
    sent_bytes: int
    written_bytes: int

    @property
    def us(self) -> float:
        """Microseconds of CPU for each reading."""
        return self.cpu_ns / self.readings / 1000


@dataclass(frozen=True)
class ReferenceRun:
    """What the script beside us took."""

    window: Window
    memory: gauges.Memory
    published: int
    """Crossings that it told to the broker."""


@dataclass(frozen=True)
class DaemonRun:
    """What the daemon took, and how well it did."""

    window: Window
    memory: gauges.Memory
    start: Start
    grid: GridStatus
    delays: Delays
    exit: float
    """Seconds from SIGTERM on, with every device refusing and no broker."""
    stored_bytes: float
    """Compressed, in the store, for each reading."""


@dataclass(frozen=True)
class SteppedRun:
    """What the event loop did; see ``steps.Figures``."""

    load: dict[str, Any]
    silence: dict[str, Any]
    """While nobody answered any more."""
    exit: float
    """Seconds from SIGTERM on, with devices and broker that hang."""


@dataclass(frozen=True)
class Commands:
    """What the command line takes (seconds)."""

    check: float
    tail_help: float


@dataclass(frozen=True)
class Edge:
    """The figures at one end of a window."""

    at: float
    cpu_ns: int
    system_ns: int
    written: int
    counts: Counts


def reference_run(size: Size, span: Span, folder: Path) -> ReferenceRun:
    """Look at the script."""
    with (
        scene(size, folder) as around,
        latency.listening(around.broker.port, "reference/#") as heard,
        process(reference_command(around), folder / "reference.log") as script,
    ):
        window = look(around, script.pid, span, REFERENCE_KIND)
        return ReferenceRun(window, gauges.memory(script.pid), len(heard))


def reference_command(around: Scene) -> Sequence[str]:
    """The script, told of its devices, database and broker."""
    limits = [limit(channel) for channel in range(around.size.channels)]
    return [
        *(sys.executable, str(HERE / "reference.py"), "--ports", json.dumps(list(around.ports))),
        *("--limits", json.dumps(limits), "--influx", around.database_url),
        *("--mqtt-port", str(around.broker.port)),
    ]


def daemon_run(size: Size, span: Span, folder: Path, loop: Loop) -> DaemonRun:
    """Look at the daemon, from its start to its end."""
    with (
        scene(size, folder) as around,
        latency.listening(around.broker.port, latency.EVENTS) as heard,
        daemon(around, run_command(around.site_file(), loop)) as ours,
    ):
        start = ours.start()
        window = look(around, ours.pid, span, LOAD_KIND)
        last = latency.boot_ns()
        memory = gauges.memory(ours.pid)
        status = ours.status()
        time.sleep(GRACE)
        sent = latency.sent_crossings(around.crossings, last - round(window.seconds * 1e9), last)
        delays = latency.delays(sent, latency.heard_crossings(heard))
        around.end_devices_and_broker()
        stopped = exit_after(ours)
        readings = status.last_scan * size.channels
        kept = float(str(status.store.figures["telemetry_bytes"])) / readings
        return DaemonRun(window, memory, start, status.grid, delays, stopped, kept)


def stepped_run(size: Size, span: Span, folder: Path) -> SteppedRun:
    """Look at the daemon's event loop."""
    with (
        scene(size, folder) as around,
        daemon(around, stepped_command(around.site_file())) as ours,
    ):
        ours.start()
        time.sleep(span.warm_up)
        os.kill(ours.pid, signal.SIGUSR1)
        time.sleep(span.seconds)
        os.kill(ours.pid, signal.SIGUSR1)
        around.freeze_devices_and_broker()
        stopped = exit_after(ours)
        assert ours.process.stdout is not None
        _, load, silence = json.loads(ours.process.stdout.read())
        return SteppedRun(load, silence, stopped)


def spied_run(size: Size, span: Span, folder: Path, loop: Loop, file: Path) -> spy.Profile:
    """Look at where the daemon's CPU goes."""
    with scene(size, folder) as around, daemon(around, run_command(around.site_file(), loop)) as d:
        d.start()
        time.sleep(span.warm_up)
        spy.record(d.pid, span.seconds, file)
        return spy.read(file)


def commands(size: Size, folder: Path, times: int) -> Commands:
    """Look at what people start: ``check`` of the load's file, and ``tail --help``."""
    with scene(size, folder) as around:
        file = str(around.site_file())
    checks = [wall("check", file) for _ in range(max(1, times // 3))]
    return Commands(
        statistics.median(checks),
        statistics.median(wall("tail", "--help") for _ in range(times)),
    )


def wall(*arguments: str) -> float:
    """Return the seconds that a command takes."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "monitor.cli", *arguments],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
    )
    return time.monotonic() - began


def exit_after(ours: Daemon) -> float:
    """Leave the daemon without anyone for a while, end it, and return how long that took."""
    time.sleep(DEAD)
    return ours.terminate()


def look(around: Scene, pid: int, span: Span, measurement: str) -> Window:
    """Warm up, then measure between two moments at which the database had just got something."""
    time.sleep(span.warm_up)
    first = edge(around, pid, measurement)
    time.sleep(span.seconds)
    last = edge(around, pid, measurement)
    seconds = last.at - first.at
    return Window(
        seconds=seconds,
        cpu_ns=last.cpu_ns - first.cpu_ns,
        system_ns=last.system_ns - first.system_ns,
        readings=(last.counts.scans - first.counts.scans) * around.size.channels,
        due=seconds * around.size.equipments * around.size.channels,
        requests=last.counts.requests - first.counts.requests,
        repeated=last.counts.repeated,
        sent_bytes=last.counts.bytes - first.counts.bytes,
        written_bytes=last.written - first.written,
    )


def edge(around: Scene, pid: int, measurement: str) -> Edge:
    """Wait until more scans have come, so that what was spent on them counts with them."""
    before = around.counts(measurement).scans
    deadline = time.monotonic() + FLOW_TIMEOUT
    while (counts := around.counts(measurement)).scans == before:
        if time.monotonic() > deadline:
            raise BenchError(f"the database got no reading in {FLOW_TIMEOUT:.0f} s")
        time.sleep(LOOK)
    now = time.monotonic()
    written = gauges.written_bytes(pid)
    return Edge(now, gauges.cpu_ns(pid), gauges.system_ns(pid), written, counts)
