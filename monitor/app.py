"""The whole running system, on one page.

Lines give scans to the recorder, the recorder judges them and commits, sinks deliver what is
committed, and people ask at the desk. Each line and each sink has one supervised task; the grid
turns for all lines; the recorder commits for all. Nothing here decides anything.

Stopping is cancelling: every task lets go at once, and what is left in the open tick is committed.
What breaks the common path (the store, the recorder) ends the daemon, and systemd starts it anew.
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from config.plant import Plant
from drivers import open_lines
from drivers.base import LineLost
from drivers.grid import Grid
from monitor import systemd, threads
from monitor.certificates import Certificates, used
from monitor.clock import RecordClock
from monitor.desk import Desk
from monitor.ending import memory, see_to_memory
from monitor.health import Health
from monitor.metrics import Metrics
from monitor.notify import Notifying
from monitor.operators import address, local
from monitor.outside import Outside
from monitor.recorder import Recorder
from monitor.signs import of_notifying, signs
from monitor.sinks.base import Gateway, SinkLost
from monitor.sinks.influx import InfluxSink
from monitor.sinks.mqtt import MqttSink
from monitor.skew import line_skews
from monitor.store import Store, StoreError
from monitor.supervise import Hold, Outage, keep_running
from monitor.systemd import NOBODY, Notifier
from monitor.watchdog import Watchdog
from monitor.web import Web, WebLost

SECOND = 10**9
FILE = "cytowatch.db"
log = logging.getLogger(__name__)

Sink = InfluxSink | MqttSink
NewLoop = Callable[[], asyncio.AbstractEventLoop]


@dataclass(frozen=True)
class Daemon:
    """What runs, for whoever started it."""

    recorder: Recorder
    desk: Desk
    grid: Grid
    sinks: Sequence[Sink]
    socket: Path


class Job(NamedTuple):
    """Something of the gateway's own that is kept going."""

    hold: Hold
    expected: type[Exception]


@asynccontextmanager
async def running(plant: Plant, manager: Notifier = NOBODY) -> AsyncIterator[Daemon]:
    """Run everything inside the block; ``plant`` says what, ``manager`` is told how it is.

    Raises ``StoreError`` or ``SocketError`` when it cannot start, and an ``ExceptionGroup`` that
    holds a ``StoreError`` when the record cannot go on.
    """
    clock = RecordClock()
    grid = Grid(clock)
    directory = state_directory(plant)
    opened = Store.open(
        directory.absolute() / FILE, quota=plant.store.quota, sinks=reading_sinks(plant)
    )
    async with opened as store:
        recorder = await Recorder.start(plant, store, clock)
        lines = open_lines(plant, clock, recorder.accept, directory)
        line_outages = {line.name: _outage(recorder, "line", line.name) for line in lines}
        sink_outages = {name: _outage(recorder, "sink", name) for name in sink_names(plant)}
        outages = {"line": list(line_outages.values()), "sink": list(sink_outages.values())}
        databases = open_databases(plant, recorder)
        desk = Desk(recorder, grid, outages["line"], outages["sink"], databases)
        sinks: list[Sink] = [*databases, *open_brokers(plant, recorder, desk)]
        desk.ask_of([sink for sink in sinks if isinstance(sink, MqttSink)])
        for line in lines:
            for source in (s for s in plant.sources if s.line == line.name):
                grid.add(source.period, source.key, partial(line.visit, source.index))
        grid.every(SECOND, recorder.follow_clock)
        grid.every(SECOND, recorder.follow_use)
        certificates = Certificates(used(plant, directory))
        skews = line_skews(plant, recorder)
        notifying = open_notifying(plant, recorder, sinks)
        told = {**signs(clock, grid, sinks, certificates, skews), **of_notifying(notifying)}
        health = Health(recorder, desk, lines, outages["sink"], told, certificates, skews)
        grid.every(SECOND, health.look)
        watchdog = Watchdog(recorder, line_outages, sinks, sink_outages, manager)
        metrics = Metrics(recorder, grid, lines, outages, sinks, certificates, skews)
        own = {
            "health": Job(health.hold, StoreError),
            "watchdog": Job(watchdog.watch, StoreError),
            "certificates": Job(certificates.hold, OSError),
            **({"notify": Job(notifying.hold, StoreError)} if notifying else {}),
            **_pages(plant, Outside(metrics, watchdog)),
        }
        socket = address.to_open(directory)
        try:
            async with memory(), local.serve(socket, desk), asyncio.TaskGroup() as group:  # noqa: TID251 - when it fails all ends
                tasks = [group.create_task(recorder.commit_ticks(), name="commit")]

                def keep(hold: Hold, outage: Outage, expected: type[Exception]) -> None:
                    kept = keep_running(hold, outage, expected)
                    tasks.append(group.create_task(kept, name=outage.name))

                for line in lines:
                    keep(line.hold, line_outages[line.name], LineLost)
                for sink in sinks:
                    keep(sink.hold, sink_outages[sink.name], SinkLost)
                tasks.append(group.create_task(grid.run(), name="grid"))
                for name, job in own.items():
                    keep(job.hold, _outage(recorder, "own", name), job.expected)
                try:
                    yield Daemon(recorder, desk, grid, sinks, socket)
                finally:
                    recorder.end()
                for task in tasks:
                    task.cancel()
        finally:
            await recorder.close()


def main(plant: Plant, new_loop: NewLoop = asyncio.new_event_loop) -> int:
    """Run until SIGTERM or SIGINT on an event loop that ``new_loop`` makes; return 0.

    Raises ``NoThreadError``, and what ``running`` raises.
    """
    # The pool ends first: asyncio needs a thread of its own to end it.
    with asyncio.Runner(loop_factory=new_loop) as runner, threads.ready() as pool:
        runner.get_loop().set_default_executor(pool)
        see_to_memory(runner.get_loop())
        runner.run(_until_stopped(plant, systemd.from_environment()))
    return 0


async def _until_stopped(plant: Plant, manager: Notifier) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(plant, manager) as daemon:
        log.info(
            "watching %d channels of %d equipments; local socket %s",
            sum(len(source.channels) for source in plant.sources),
            len(plant.equipment),
            daemon.socket,
        )
        # What stands now stays for good: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        try:
            await stop.wait()
        finally:
            manager.stopping()
            log.info("stopping")


def state_directory(plant: Plant) -> Path:
    """Return where the store lies: as the file says, else systemd's place, else ``./state``."""
    # systemd joins several state directories by colons; ours is the first.
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return plant.store.directory or Path(given or "state")


def sink_names(plant: Plant) -> list[str]:
    """Return the names under which the configured sinks have their cursors."""
    return reading_sinks(plant) + (["mqtt"] if plant.mqtt is not None else [])


def reading_sinks(plant: Plant) -> list[str]:
    """Return those of them that take readings: readings wait for them, and for no others."""
    return [settings.name for settings in plant.databases]


def open_databases(plant: Plant, recorder: Recorder) -> list[InfluxSink]:
    """Return every configured database, ready to be held."""
    gateway = Gateway(plant.site, plant.gateway)
    return [InfluxSink(settings, gateway, recorder.store) for settings in plant.databases]


def open_brokers(plant: Plant, recorder: Recorder, desk: Desk) -> list[MqttSink]:
    """Return the configured broker, if there is one, ready to be held."""
    gateway = Gateway(plant.site, plant.gateway)
    return [MqttSink(plant.mqtt, gateway, recorder, desk.command)] if plant.mqtt else []


def _pages(plant: Plant, outside: Outside) -> dict[str, Job]:
    if plant.http is None:
        return {}
    return {"http": Job(Web(plant.http, outside.pages()).hold, WebLost)}


def open_notifying(plant: Plant, recorder: Recorder, sinks: Sequence[Sink]) -> Notifying | None:
    """Return what runs the command for alarms that reach nobody; None where there is none."""
    if plant.notify is None:
        return None
    brokers = [sink for sink in sinks if isinstance(sink, MqttSink)]
    return Notifying(plant.notify, recorder, lambda event: any(b.reached(event) for b in brokers))


def _outage(recorder: Recorder, kind: str, name: str) -> Outage:
    """Trouble of a line or sink: in the log and on the record, when it begins, changes and ends."""

    def tell(phase: str, text: str) -> None:
        log.log(_LEVELS[phase], "%s %s: %s", kind, name, text if phase != "end" else "well again")
        recorder.note("outage", f"{kind}/{name}", {"phase": phase, "text": text})

    return Outage(name, tell, lambda: recorder.clock().at)


_LEVELS = {"begin": logging.WARNING, "change": logging.WARNING, "end": logging.INFO}
