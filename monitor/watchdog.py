"""Watches the watching: says when the service is ready, and feeds systemd's watchdog.

It is fed only while everything gets on (``monitor.progress`` judges): every source gives its scans,
every try to connect ends, the store commits, every sink delivers or is told why it cannot. What
hangs without a word is named, and after ``WatchdogSec`` more systemd kills and starts us anew.
A thing that is merely down, or slow, is nobody's reason to stop watching the others.

Time here is the time that the event loop was seen to turn: a machine that was suspended, or a
process that was stopped, does not wake up stuck. A loop that hangs feeds nobody by itself.
Decision record 10 says how each patience was chosen.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, assert_never

from config.lines import Line as LineSettings
from config.lines import ModbusLine, OpcUaLine
from config.plant import Plant, Source
from drivers.reading import Cause, Scan
from monitor.progress import Mark, Memory, Stuck, in_words, judge
from monitor.recorder import Recorder
from monitor.sinks.base import Delivery
from monitor.supervise import Backoff, Held, Outage
from monitor.systemd import Notifier

LEAST = 30.0
"""Seconds that anything may take beyond what it is known to take at most: a busy machine."""
LONGEST_REST = Backoff().most
"""Seconds that ``supervise`` waits between two tries."""
LONGEST_COMMIT = 20.0
"""Seconds after which the disk is named; after ``recorder.LONGEST_COMMIT`` the daemon ends."""
PERIODS = 3
"""Of a source, without a scan; and tries of a connection, without an answer."""
READY_WITHIN = 60.0
"""Seconds after which the service is ready whoever has not spoken yet: others are watched."""
PERIOD = 5.0
"""Seconds between two looks, once it is ready."""
STARTING = 0.2
"""Seconds between two looks until then."""
FEEDINGS = 4
"""Looks at least within the time in which the watchdog wants to be fed."""
QUESTIONS, NODES_ASKED = 3, 100
"""Of an OPC UA server before it tells of its nodes: their units, what these are, and to tell; each
is asked for so many nodes at once, and after the last a first word comes within a keep-alive."""
NO_SCAN = "has given no scan"
SECOND = 10**9

log = logging.getLogger(__name__)


class _Source(NamedTuple):
    """A source, and how long it may be without a scan while it shares its line."""

    number: int
    name: str
    patience: float


class _Line(NamedTuple):
    """A line, and how long what it does can take."""

    name: str
    outage: Outage
    sources: Sequence[_Source]
    to_scan: float
    to_connect: float


class Watchdog:
    """Looks, again and again, whether everything gets on."""

    def __init__(
        self,
        recorder: Recorder,
        lines: Mapping[str, Outage],
        sinks: Sequence[Delivery],
        sink_outages: Mapping[str, Outage],
        manager: Notifier,
    ) -> None:
        self._recorder = recorder
        self._plant = recorder.plant
        self._lines = [_line(self._plant, name, outage) for name, outage in lines.items()]
        self._sinks = [(sink, sink_outages[sink.name]) for sink in sinks]
        self._manager = manager
        self._ready = False
        self._silent = set(range(len(self._plant.sources)))
        """Sources that have not given their first scan yet."""
        self._memory: Memory = {}
        self._named: set[str] = set()
        """What was stuck at the last look."""
        self._stuck: Sequence[Stuck] = ()
        self._looked: float | None = None
        """When it last looked, by the clock of the loop."""

    async def watch(self, held: Held) -> None:
        """Look until cancelled; ``held`` is called after each look that went well."""
        loop = asyncio.get_running_loop()
        most = self._manager.watchdog / FEEDINGS or PERIOD
        turned, last = 0.0, loop.time()
        while True:
            period = min(PERIOD if self._ready else STARTING, most)
            await asyncio.sleep(period)
            now = loop.time()
            turned += min(now - last, 2 * period)
            last = now
            self.look(turned)
            self._looked = now
            held()

    def look(self, now: float) -> None:
        """Look at everything; ``now`` is how long (s) the loop was seen to turn."""
        self._memory, stuck = judge(self._memory, self._marks(), now)
        self._stuck = stuck
        self._name(stuck)
        if not stuck:
            self._manager.alive()
        if not self._ready:
            self._look_for_first_scans(now)
        self._manager.status(self._status(stuck))

    def reasons(self, now: float) -> list[str]:
        """Return why all is not well at ``now``, by the clock of the loop; nothing if it is."""
        if self._looked is not None and now - self._looked > LEAST:
            return [f"watchdog has not looked for {now - self._looked:.0f} s"]
        if self._stuck or self._ready:
            return [str(each) for each in self._stuck]
        return [self._status(())]

    def _look_for_first_scans(self, now: float) -> None:
        """Say that we are ready when every source was tried, or enough time has passed."""
        latest = self._recorder.latest
        self._silent = {index for index in self._silent if not _was_tried(latest[index])}
        if self._silent and now < READY_WITHIN:
            return
        self._ready = self._manager.ready()
        if self._ready and self._silent:
            keys = (self._plant.sources[index].key for index in sorted(self._silent))
            log.warning("ready, but for what has given no scan yet: %s", in_words(keys))

    def _name(self, stuck: Sequence[Stuck]) -> None:
        """Log what is stuck when it begins to be, and when it gets on again."""
        names = {each.name for each in stuck}
        if news := [each for each in stuck if each.name not in self._named]:
            log.error("watchdog: %s; it is not fed until that gets on", in_words(news))
        if again := sorted(self._named - names):
            log.warning("watchdog: %s got on again", in_words(again))
        self._named = names

    def _marks(self) -> Iterator[Mark]:
        yield self._of_store()
        for line in self._lines:
            yield from self._of_line(line)
        for sink, outage in self._sinks:
            yield self._of_sink(sink, outage)

    def _of_store(self) -> Mark:
        patience = LONGEST_COMMIT + self._plant.store.tick / SECOND
        return Mark("store", "has committed nothing", self._recorder.commits, patience)

    def _of_line(self, line: _Line) -> Iterator[Mark]:
        if not line.outage.held:
            yield _of_try(line)
        newest = [self._newest(source) for source in line.sources]
        yield Mark(line.name, NO_SCAN, max(newest), line.to_scan)
        if len(newest) == 1:
            return
        for source, at in zip(line.sources, newest, strict=True):
            yield Mark(source.name, NO_SCAN, at, source.patience, part_of=line.name)

    def _newest(self, source: _Source) -> int:
        """Return when (boot ns) the source gave its newest scan; 0 before the first."""
        scan = self._recorder.latest[source.number]
        return 0 if scan is None else scan.boot

    def _of_sink(self, sink: Delivery, outage: Outage) -> Mark:
        lags = self._recorder.store.lags(sink.name).values()
        confirmed = tuple(lag.confirmed for lag in lags)
        return Mark(
            f"sink {sink.name}",
            "has delivered nothing, and got no answer",
            (confirmed, sink.tally.requests, outage.tries, outage.trying),
            LEAST + max(sink.patience, LONGEST_REST),
            idle=not any(lag.behind for lag in lags),
        )

    def _status(self, stuck: Sequence[Stuck]) -> str:
        """Return how we are, in a line."""
        if stuck:
            return f"STUCK: {in_words(each.name for each in stuck)}"
        if not self._ready:
            total = len(self._plant.sources)
            return f"starting: {total - len(self._silent)} of {total} sources have given a scan"
        up = sum(line.outage.held for line in self._lines)
        told = [
            f"watching {len(self._plant.equipment)} equipments",
            f"{up} of {len(self._lines)} lines up",
            f"{self._recorder.alarms_standing} alarms standing",
        ]
        return ", ".join(told + [self._backlog(*each) for each in self._sinks])

    def _backlog(self, sink: Delivery, outage: Outage) -> str:
        behind = sum(lag.behind for lag in self._recorder.store.lags(sink.name).values())
        return f"{sink.name} {'away, ' if outage.text else ''}{behind} behind"


def _line(plant: Plant, name: str, outage: Outage) -> _Line:
    sources = [source for source in plant.sources if source.line == name]
    shortest = min(source.period for source in sources) / SECOND
    visits = [_longest_visit(source) for source in sources]
    channels = sum(len(source.channels) for source in sources)
    timeout = max(source.timeout for source in sources) / SECOND
    all_of_them = LEAST + sum(visits)
    return _Line(
        f"line {name}",
        outage,
        [
            _Source(s.index, f"source {s.key}", all_of_them + PERIODS * s.period / SECOND)
            for s in sources
        ],
        to_scan=LEAST + PERIODS * shortest + max(visits),
        # It may be held only when something was answered, or lost when nothing was several times.
        to_connect=LEAST
        + _longest_beginning(plant.lines[name], channels)
        + PERIODS * (shortest + 2 * timeout),
    )


def _longest_visit(source: Source) -> float:
    """Return the seconds (at most) of a visit: a request for each channel, each nearly too late.

    Twice, since a bus is let fall silent for as long again after an answer that did not come.
    """
    return 2 * len(source.channels) * source.timeout / SECOND


def _was_tried(scan: Scan | None) -> bool:
    """Whether a source's scan is the outcome of a try, good or bad."""
    return scan is not None and scan.cause is not Cause.UNKNOWN


def _longest_beginning(settings: LineSettings, channels: int) -> float:
    """Return the seconds (at most) from a try to a line on which something may be asked."""
    match settings:
        case ModbusLine():
            return 2 * settings.modbus.connect_timeout / SECOND
        case OpcUaLine():
            opcua = settings.opcua
            requests = QUESTIONS * (channels // NODES_ASKED + 1)
            most = 2 * opcua.connect_timeout + requests * opcua.timeout + 2 * opcua.keep_alive
            return most / SECOND
        case _:
            assert_never(settings)


def _of_try(line: _Line) -> Mark:
    """Return how far the supervision of a line is: a try ends, and after a rest another begins."""
    tries = line.outage.tries
    if line.outage.trying:
        return Mark(line.name, "is neither connected nor lost", tries, line.to_connect)
    return Mark(line.name, "is not tried any more", tries, LEAST + LONGEST_REST)
