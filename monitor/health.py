"""The gateway's own health: its troubles become alarms, and how it is a point in the database.

Once a second each trouble is reported to its alarm. Every ten seconds a point of the measurement
``gateway`` goes among the readings: it is kept, delivered and chained as they are, and carries the
head of the record's chain out of the gateway. The alarm rates go beside it once a minute, and when
they have changed.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import MappingProxyType

from drivers.base import Line
from monitor.certificates import Certificates
from monitor.desk import Desk
from monitor.operators.protocol import SinkStatus, StatusMessage, StoreStatusMessage
from monitor.rates import Follower, by_area
from monitor.recorder import Recorder
from monitor.skew import LineSkew, worst
from monitor.store.line_protocol import Figure
from monitor.store.room import Disk, Trend
from monitor.supervise import Held, Outage
from monitor.troubles import (
    DISK_FILLING,
    DISK_FULL,
    POINTS_REFUSED,
    STORE_DAMAGED,
    STORE_FILLING,
    STORE_LOSING,
    STORE_SPOILT,
    VALUES_DROPPED,
    sink_trouble,
)

MILLISECOND = 10**6
PERIOD = 10.0
"""Seconds between two points."""
EVERY = 6
"""The alarm rates go with every sixth of them, and with each where they have changed."""
FILLING = 0.5
"""The part of the quota that undelivered readings may take before that is an alarm."""


NONE: Mapping[str, Callable[[], bool | None]] = MappingProxyType({})


class Health:
    """Looks after the gateway itself while it runs; ``signs`` tell of further troubles.

    A sign that says None leaves the alarm as it is.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is another thing that is looked after
        self,
        recorder: Recorder,
        desk: Desk,
        lines: Sequence[Line],
        sinks: Sequence[Outage],
        signs: Mapping[str, Callable[[], bool | None]] = NONE,
        certificates: Certificates | None = None,
        skews: Sequence[LineSkew] = (),
    ) -> None:
        self._recorder = recorder
        self._desk = desk
        self._lines = lines
        self._sinks = sinks
        self._signs = signs
        self._certificates = certificates or Certificates(())
        self._skews = skews
        self._delivers_readings = bool(recorder.plant.databases)
        self._filling = self._refused = False
        self._disk, self._trend, self._fills = Disk(), Trend(), False
        self._dead = 0
        self._rates: Mapping[str, Mapping[str, Figure]] = {}
        store = recorder.store
        self._losing = Loss(recorder, STORE_LOSING, "points", lambda: {"store": store.lost_lines})
        spoilt = {"store": store.spoilt_before}
        self._spoiling = Loss(
            recorder, STORE_SPOILT, "entries", lambda: {"store": store.spoilt}, spoilt
        )
        self._dropping = Loss(recorder, VALUES_DROPPED, "values", self._dropped)

    def look(self) -> None:
        """Report every trouble to its alarm, as it is just now."""
        for sink in self._sinks:
            self._recorder.report(sink_trouble(sink.name), holds=not sink.held)
        damaged = self._recorder.store.moved_aside is not None
        self._recorder.report(STORE_DAMAGED, holds=damaged)
        for trouble, sign in self._signs.items():
            if (holds := sign()) is not None:
                self._recorder.report(trouble, holds=holds)
        self._recorder.report(DISK_FULL, holds=self._disk.full)
        self._recorder.report(DISK_FILLING, holds=self._fills)
        self._spoiling.look()
        self._dropping.look()
        if self._delivers_readings:
            self._recorder.report(STORE_FILLING, holds=self._filling)
            self._recorder.report(POINTS_REFUSED, holds=self._refused)
            self._losing.look()

    async def hold(self, held: Held) -> None:
        """Record how the gateway is, again and again; ends only by being cancelled.

        Raises StoreError when the store cannot say how it is.
        """
        self._dead = _dead_letters_ever((await self._desk.status()).store)
        await self._look_at_disk()
        rates = await Follower.begin(self._recorder.store, self._desk.now().at)
        held()
        await self.tell_rates(rates, always=True)
        for number in count(1):
            await asyncio.sleep(PERIOD)
            await self.tell_rates(rates, always=number % EVERY == 0)
            await self.tell()

    async def tell(self) -> None:
        """Record how the gateway is just now."""
        await self._look_at_disk()
        status = await self._desk.status()
        waiting = max((sink.telemetry_behind_bytes for sink in status.sinks), default=0)
        self._filling = waiting > FILLING * self._recorder.store.quota
        dead = _dead_letters_ever(status.store)
        self._refused, self._dead = dead > self._dead, dead
        days = self._certificates.days_left(self._recorder.clock().at)
        skew = worst(self._skews)
        more = {
            **({} if days is None else {"certificate_days": days}),
            **({} if skew is None else {"skew_ms": skew / MILLISECOND}),
            "values_dropped": sum(self._dropped().values()),
            "disk_free_bytes": self._disk.free,
            "disk_bytes": self._disk.size,
        }
        self._recorder.record_health({**figures(status, self._recorder), **more})

    async def _look_at_disk(self) -> None:
        self._disk = await self._recorder.store.look_at_disk()
        days = self._trend.days_left(self._recorder.clock().boot, self._disk.free)
        self._fills = self._disk.fills(days)

    async def tell_rates(self, follower: Follower, *, always: bool) -> None:
        """Record how many alarms people were told of lately, altogether and by area."""
        rates = await follower.rates(self._desk.now().at)
        areas = sorted({each.area for each in self._recorder.plant.equipment})
        points = by_area(rates, areas, self._recorder.standing_as_told())
        if always or points != self._rates:
            self._recorder.record_alarm_performance(points)
            self._rates = points

    def _dropped(self) -> dict[str, int]:
        return {f"line/{line.name}": line.dropped for line in self._lines}


class Loss:
    """What is lost for good: an alarm, and on the record how much when it begins and ends."""

    def __init__(
        self,
        recorder: Recorder,
        trouble: str,
        what: str,
        count: Callable[[], Mapping[str, int]],
        before: Mapping[str, int] | None = None,
    ) -> None:
        self._recorder = recorder
        self._trouble = trouble
        self._what = what
        self._count = count
        """Gives what was lost since the start, by whom."""
        self._last = self._told = count() if before is None else before
        """``before``: what had been lost when this run began, where some may have been since."""
        self._losing = self._is_active()
        self._losers = set(self._last) if self._losing else set[str]()

    def look(self) -> None:
        """Report whether more was lost since the last look."""
        count = self._count()
        self._recorder.report(self._trouble, holds=count != self._last)
        self._last = count
        losing = self._is_active()
        if losing != self._losing:
            self._losing = losing
            self._tell("begin" if losing else "end")

    def _tell(self, phase: str) -> None:
        lost = {name: count - self._told[name] for name, count in self._last.items()}
        self._losers |= {name for name, count in lost.items() if count}
        for name in sorted(self._losers):
            self._recorder.note("loss", name, {"phase": phase, self._what: lost[name]})
        self._told = self._last
        if phase == "end":
            self._losers.clear()

    def _is_active(self) -> bool:
        return self._recorder.board.alarm(f"gateway/_/{self._trouble}").active


def figures(status: StatusMessage, recorder: Recorder) -> Mapping[str, Figure]:
    """Return the fields of a point: what a dashboard shows, and what an auditor compares."""
    store, readings = status.store, recorder.readings
    return {
        "version": status.version,
        "config": status.config,
        "clock_synchronised": status.clock_synchronised,
        "clock_epoch": recorder.clock.epoch,
        "store_id": store.store_id,
        "last_scan": store.last_scan,
        "last_event": store.last_event,
        "last_seq": store.last_seq,
        "head": store.chain_head,
        "clock_ahead_ms": recorder.clock.ahead() / MILLISECOND,
        "scans": recorder.scans,
        "scans_missed": recorder.missed,
        **{f"readings_{quality.name.lower()}": count for quality, count in readings.items()},
        "alarms_standing": status.alarms_standing,
        "alarms_unacknowledged": status.alarms_unacknowledged,
        "lines": len(status.lines),
        "lines_up": sum(line.state == "up" for line in status.lines),
        "visits": status.grid.visits,
        "visits_skipped": status.grid.skipped,
        "deviation_ms_p99": status.grid.deviation_ms_p99,
        **_of_store(store.figures),
        "store_dead_letters": _dead_letters(store),
        **{name: figure for sink in status.sinks for name, figure in _of_sink(sink).items()},
    }


def _of_store(known: Mapping[str, object]) -> Mapping[str, Figure]:
    names = ("file_bytes", "telemetry_bytes", "quota", "lost_lines", "spoilt")
    return {f"store_{name}": figure for name in names if isinstance(figure := known[name], int)}


def _dead_letters(store: StoreStatusMessage) -> int:
    by_sink = store.figures["dead_letters"]
    counts = by_sink.values() if isinstance(by_sink, dict) else ()
    return sum(count for count in counts if isinstance(count, int))


def _dead_letters_ever(store: StoreStatusMessage) -> int:
    gone = store.figures.get("dead_letters_gone", 0)
    return _dead_letters(store) + (gone if isinstance(gone, int) else 0)


def _of_sink(sink: SinkStatus) -> Mapping[str, Figure]:
    return {
        f"{sink.name}_up": sink.state == "up",
        f"{sink.name}_telemetry_behind_bytes": sink.telemetry_behind_bytes,
        f"{sink.name}_events_behind": sink.events_behind,
        **{f"{sink.name}_{each.consumer}_receipts_behind": each.behind for each in sink.receipts},
    }
