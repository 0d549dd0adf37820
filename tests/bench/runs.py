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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.operators.protocol import GridStatus
from tests.bench import gauges, latency, spy
from tests.bench.daemon import Daemon, Loop, Start, daemon, run_command, stepped_command
from tests.bench.latency import Delays
from tests.bench.scene import (
    ROOT,
    BenchError,
    Counts,
    Process,
    Scene,
    Wire,
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
class BareRun:
    """What it takes to get the values and do nothing with them."""

    us: float
    """Microseconds of CPU for each reading."""
    readings: int
    memory: gauges.Memory


@dataclass(frozen=True)
class DaemonRun:
    """What the daemon took, and how well it did."""

    window: Window
    lost: int
    """Changes that were served meanwhile, and did not arrive."""
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


def reference_run(wire: Wire, span: Span, folder: Path) -> ReferenceRun:
    """Look at the script."""
    with (
        scene(wire, folder) as around,
        latency.listening(around.broker.port, "reference/#") as heard,
        process(wire.script(around), folder / "reference.log") as script,
    ):
        window = look(around, script.pid, span)
        return ReferenceRun(window, gauges.memory(script.pid), len(heard))


def bare_run(wire: Wire, span: Span, folder: Path) -> BareRun | None:
    """Look at what only takes the values; None where the wire has no such."""
    with scene(wire, folder) as around:
        command = wire.bare(around)
        if command is None:
            return None
        with process(command, folder / "bare.log") as bare:
            time.sleep(span.warm_up)
            first = counted(bare)
            time.sleep(span.seconds)
            last = counted(bare)
            readings = last["readings"] - first["readings"]
            if readings == 0:
                raise BenchError(f"nothing came in {span.seconds:.0f} s; see {folder / 'bare.log'}")
            us = (last["cpu_ns"] - first["cpu_ns"]) / readings / 1000
            return BareRun(us, readings, gauges.memory(bare.pid))


def counted(bare: Process) -> dict[str, int]:
    """Have it tell what it counted so far."""
    bare.send_signal(signal.SIGUSR1)
    assert bare.stdout is not None
    told: dict[str, int] = json.loads(bare.stdout.readline())
    return told


def daemon_run(wire: Wire, span: Span, folder: Path, loop: Loop) -> DaemonRun:
    """Look at the daemon, from its start to its end."""
    with (
        scene(wire, folder) as around,
        latency.listening(around.broker.port, latency.EVENTS) as heard,
        daemon(around, run_command(around.site_file(), loop)) as ours,
    ):
        start = ours.start()
        window = look(around, ours.pid, span)
        last, ended = latency.boot_ns(), time.time()
        memory = gauges.memory(ours.pid)
        status = ours.status()
        time.sleep(GRACE)
        counts = around.counts()
        lost = wire.lost(around, counts.changes, (ended - window.seconds, ended))
        sent = latency.sent_crossings(around.crossings, last - round(window.seconds * 1e9), last)
        delays = latency.delays(sent, latency.heard_crossings(heard))
        around.end_devices_and_broker()
        stopped = exit_after(ours)
        kept = float(str(status.store.figures["telemetry_bytes"])) / counts.readings
        return DaemonRun(window, lost, memory, start, status.grid, delays, stopped, kept)


def stepped_run(wire: Wire, span: Span, folder: Path) -> SteppedRun:
    """Look at the daemon's event loop."""
    with (
        scene(wire, folder) as around,
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


def spied_run(wire: Wire, span: Span, folder: Path, loop: Loop, file: Path) -> spy.Profile:
    """Look at where the daemon's CPU goes."""
    with scene(wire, folder) as around, daemon(around, run_command(around.site_file(), loop)) as d:
        d.start()
        time.sleep(span.warm_up)
        spy.record(d.pid, span.seconds, file)
        return spy.read(file)


def commands(wire: Wire, folder: Path, times: int) -> Commands:
    """Look at what people start: ``check`` of the load's file, and ``tail --help``."""
    with scene(wire, folder) as around:
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


def look(around: Scene, pid: int, span: Span) -> Window:
    """Warm up, then measure between two moments at which the database had just got something."""
    time.sleep(span.warm_up)
    first = edge(around, pid)
    time.sleep(span.seconds)
    last = edge(around, pid)
    seconds = last.at - first.at
    return Window(
        seconds=seconds,
        cpu_ns=last.cpu_ns - first.cpu_ns,
        system_ns=last.system_ns - first.system_ns,
        readings=last.counts.readings - first.counts.readings,
        due=seconds * around.wire.size.equipments * around.wire.size.channels,
        requests=last.counts.requests - first.counts.requests,
        repeated=last.counts.repeated,
        sent_bytes=last.counts.bytes - first.counts.bytes,
        written_bytes=last.written - first.written,
    )


def edge(around: Scene, pid: int) -> Edge:
    """Wait until more readings have come, so that what was spent on them counts with them."""
    before = around.counts().readings
    deadline = time.monotonic() + FLOW_TIMEOUT
    while (counts := around.counts()).readings == before:
        if time.monotonic() > deadline:
            raise BenchError(f"the database got no reading in {FLOW_TIMEOUT:.0f} s")
        time.sleep(LOOK)
    now = time.monotonic()
    written = gauges.written_bytes(pid)
    return Edge(now, gauges.cpu_ns(pid), gauges.system_ns(pid), written, counts)
