"""A database that was away for hours: ``./cyto bench --backlog [HOURS]``.

Makes the store of such an outage on a compressed clock (``backlog_store.py``), starts the daemon on
it at its full load with the database still away, lets the database come back, and looks until it
has everything: memory, event loop, grid and alarms meanwhile, how fast it drains, how old live
readings are, and in the end whether every scan and alarm event arrived, each once.
"""

import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from drivers.simulated.site import load_site_file
from monitor.operators.protocol import GridStatus
from monitor.store.opening import usual_quota
from tests.bench import gauges, latency
from tests.bench.backlog_sink import Arrived
from tests.bench.backlog_store import Made
from tests.bench.daemon import Daemon, daemon, stepped_command
from tests.bench.latency import Delays, Heard
from tests.bench.modbus import Modbus
from tests.bench.runs import GRACE
from tests.bench.scene import BenchError, Scene, Size, first_line, process, scene
from tests.support.servers import InfluxDB, free_port

REAL = "bench"
"""The database in a real InfluxDB."""
HOUR = 3600
DAY = 24 * HOUR
USUAL_HOURS = 1.0
ESTIMATED = 10
"""Bytes on the disk for each reading, before anything is measured."""
LEFT_FREE = 4 * 2**30
"""Bytes of the disk that are not ours to fill."""
LOOK = 0.5
"""Seconds between two looks."""
LEVEL = 3
"""Seconds of live scans that may be under way when the backlog is through."""
LONGEST = 1.0
"""Times the outage, and ``PATIENCE`` seconds, after which the drain is not waited for."""
PATIENCE = 120.0
TOLD_EVERY = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Backlog:
    """What is to be looked at."""

    size: Size
    seconds: int
    """Of the outage."""
    away: float
    """Seconds for which the daemon is looked at while the database is still away."""
    warm_up: float
    influxdb: bool = False
    """Whether what comes back is a real one, and not one that only counts."""

    @property
    def scans(self) -> int:
        return self.seconds * self.size.equipments

    @property
    def estimated(self) -> int:
        """Bytes that it will take on the disk."""
        return self.scans * self.size.channels * ESTIMATED


@dataclass(frozen=True)
class Mark:
    """How the daemon is at one end of a stretch."""

    boot: int
    memory: float
    """Megabytes."""

    @classmethod
    def of(cls, pid: int) -> "Mark":
        """Look, and have the event loop's figures begin anew."""
        os.kill(pid, signal.SIGUSR1)
        return cls(latency.boot_ns(), gauges.memory(pid).now)


@dataclass(frozen=True)
class Stretch:
    """What the daemon was like in one part of the run."""

    first: Mark
    last: Mark
    delays: Delays
    loop: Mapping[str, Any]
    """See ``steps.Figures``."""


@dataclass(frozen=True)
class Drain:
    """How the backlog went."""

    seconds: float
    """From the database's start until it had everything."""
    waiting: int
    """Scans that waited when it came up."""
    lags: Sequence[float]
    """How old live readings were at most, look by look (s); sorted."""
    arrived: Arrived
    """In the end."""
    due: int
    """Scans that were committed by then."""
    due_alarms: int
    others: int
    """Equipments of which not as many scans came as were made."""


@dataclass(frozen=True)
class BacklogRun:
    """All that was measured."""

    backlog: Backlog
    made: Made
    quota: int
    start: float
    """Seconds to the first scan on the disk."""
    away: Stretch
    draining: Stretch
    most: float
    """Megabytes of memory since the start."""
    grid: GridStatus
    drain: Drain


def backlog_run(backlog: Backlog, folder: Path, say: Say) -> BacklogRun:
    """Make it, let it drain, and look; raises BenchError when that cannot be or takes too long."""
    port = free_port()
    with scene(Modbus(backlog.size), folder) as around:
        file = _site_file(around, port)
        quota = usual_quota(around.state)
        check_room(backlog, quota, shutil.disk_usage(folder).free)
        say(f"making {backlog.seconds / HOUR:g} h of backlog, about {_gb(backlog.estimated)} GB")
        made = _made(file, backlog)
        say("the daemon on it, the database away")
        with (
            latency.listening(around.broker.port, latency.EVENTS) as heard,
            daemon(around, stepped_command(file)) as ours,
        ):
            start = ours.start(beyond=made.scans).first_scan
            time.sleep(backlog.warm_up)
            marks = [Mark.of(ours.pid)]
            time.sleep(backlog.away)
            marks.append(Mark.of(ours.pid))
            say("the database comes back")
            drain = _drained(backlog, ours, port, made, say, folder / "influxdb")
            marks.append(Mark.of(ours.pid))
            grid, most = ours.status().grid, gauges.memory(ours.pid).most
            time.sleep(GRACE)
            ours.terminate()
            away, draining = _stretches(marks, around, heard, _loops(ours))
        return BacklogRun(backlog, made, quota, start, away, draining, most, grid, drain)


def check_room(backlog: Backlog, quota: int, free: int) -> None:
    """Raise BenchError when the store would not fit on the disk (bytes free), or in the quota."""
    if backlog.estimated + LEFT_FREE > free:
        raise BenchError(
            f"{backlog.seconds / HOUR:g} h take about {_gb(backlog.estimated)} GB, and the disk "
            f"has {_gb(free)} GB: {_gb(LEFT_FREE)} must stay free; see --folder"
        )
    if backlog.estimated > quota * 1.2:
        raise BenchError(
            f"{backlog.seconds / HOUR:g} h take about {_gb(backlog.estimated)} GB, and a gateway "
            f"keeps {_gb(quota)} GB unless it is told otherwise: what it let go would be missed"
        )


def _gb(count: int) -> str:
    return f"{count / 1e9:.2g}"


def _site_file(around: Scene, port: int) -> Path:
    """Write the file by which the daemon looks for a database that is not there yet."""
    file = around.folder / "site.yaml"
    text = load_site_file(
        around.ports,
        around.wire.size.channels,
        around.state,
        mqtt_port=around.broker.port,
        influxdb_url=f"http://127.0.0.1:{port}",
    )
    file.write_text(text, encoding="utf-8")
    return file


def _made(file: Path, backlog: Backlog) -> Made:
    log = file.with_name("backlog.log")
    command = [sys.executable, "-m", "tests.bench.backlog_store", str(file), str(backlog.seconds)]
    with process(command, log) as child:
        try:
            return Made(**json.loads(first_line(child, "what makes the backlog")))
        except BenchError as error:
            raise BenchError(f"{error}; its log:\n{log.read_text()[-2000:]}") from error


def _drained(
    backlog: Backlog, ours: Daemon, port: int, made: Made, say: Say, folder: Path
) -> Drain:
    """Start the database, and return when it has everything that there is."""
    before = ours.status()
    began, told, lags = time.monotonic(), 0.0, []
    limit = PATIENCE + LONGEST * backlog.seconds
    serve = [*(sys.executable, "-m", "tests.bench.backlog_sink"), "--port", str(port)]
    serve += ["--made", str(made.scans), "--newest", str(before.last_seq)]
    with ExitStack() as running:
        real = running.enter_context(InfluxDB(folder)) if backlog.influxdb else None
        if real is not None:
            real.create(REAL)
            serve += ["--forward", f"{real.url}/write?db={REAL}&precision=ms"]
        first_line(running.enter_context(process(serve)), "the database")
        while True:
            arrived, took = _arrived(port), time.monotonic() - began
            lags += [] if arrived.lag is None else [arrived.lag]
            status = ours.status()
            if level(arrived, status.last_scan, backlog.size) or took > limit:
                break
            if took - told > TOLD_EVERY:
                told = took
                say(f"{arrived.scans} of {status.last_scan} scans there after {took:.0f} s")
            time.sleep(LOOK)
        arrived = _settled(port, status.last_scan, status.last_seq)
        came = _ask(port, "equipment") if real is None else _counted(real, made)
        others = others_of(came, made, backlog.size)
    due = status.last_scan, status.last_seq
    return Drain(took, before.last_scan, sorted(lags), arrived, *due, others)


def level(arrived: Arrived, last_scan: int, size: Size) -> bool:
    """Whether nothing waits but what was said just now."""
    return last_scan - arrived.whole <= LEVEL * size.equipments


def _settled(port: int, scans: int, alarms: int) -> Arrived:
    """Return what arrived, as soon as all that was committed has, or after some seconds."""
    deadline = time.monotonic() + TOLD_EVERY
    while True:
        arrived = _arrived(port)
        there = arrived.whole >= scans and arrived.alarms_whole >= alarms
        if there or time.monotonic() > deadline:
            return arrived
        time.sleep(LOOK)


def _counted(real: InfluxDB, made: Made) -> Mapping[str, object]:
    """Ask InfluxDB itself how many of the scans that were made it has of each equipment."""
    asked = f'SELECT count("scan") FROM "load" WHERE "scan" <= {made.scans} GROUP BY "equipment"'  # noqa: S608 - InfluxQL, with a number of ours
    return {str(row["equipment"]): row["count"] for row in real.query(asked, REAL)}


def others_of(came: Mapping[str, object], made: Made, size: Size) -> int:
    """Return of how many equipments not as many scans came as were made."""
    each = made.scans // size.equipments
    right = sum(1 for count in came.values() if count == each)
    return size.equipments - right + max(len(came) - size.equipments, 0)


def _arrived(port: int) -> Arrived:
    return Arrived(**_ask(port, "arrived"))


def _ask(port: int, what: str) -> Mapping[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{what}", timeout=60) as answer:
        told: Mapping[str, Any] = json.load(answer)
    return told


def _loops(ours: Daemon) -> Sequence[Mapping[str, Any]]:
    """Return the event loop's figures of the two stretches, of a daemon that has ended."""
    assert ours.process.stdout is not None
    _, away, draining, _ = json.loads(ours.process.stdout.read())
    return away, draining


def _stretches(
    marks: Sequence[Mark],
    around: Scene,
    heard: Sequence[Heard],
    loops: Sequence[Mapping[str, Any]],
) -> Sequence[Stretch]:
    told = latency.heard_crossings(heard)
    return [
        Stretch(
            first,
            last,
            latency.delays(latency.sent_crossings(around.crossings, first.boot, last.boot), told),
            loop,
        )
        for (first, last), loop in zip(pairwise(marks), loops, strict=True)
    ]
