"""What ``/metrics`` tells: every figure by which somebody else watches this gateway.

Counters count since the start of the daemon unless their help says otherwise. What cannot be known
just now (a clock nobody speaks for, a certificate that cannot be read) is left out, never guessed.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from config.rules import Priority
from drivers.base import Line
from drivers.grid import Grid
from monitor import VERSION
from monitor.alarms.facts import Change, State
from monitor.certificates import Certificates
from monitor.clock import synchronised
from monitor.exposition import Family, Sample
from monitor.recorder import Recorder
from monitor.sinks.base import Delivery
from monitor.skew import LineSkew
from monitor.store import StoreStatus
from monitor.store.tick import LaneStatus
from monitor.supervise import Outage

SECOND = 10**9
_STANDING = [state for state in State if state not in {State.NORMAL, State.ENDED}]


@dataclass
class Metrics:
    """Reads the figures off what runs."""

    recorder: Recorder
    grid: Grid
    lines: Sequence[Line]
    outages: Mapping[str, Sequence[Outage]]
    """Of lines (``line``) and sinks (``sink``)."""
    sinks: Sequence[Delivery]
    certificates: Certificates
    skews: Sequence[LineSkew] = ()

    def __post_init__(self) -> None:
        self._started = self.recorder.clock().boot

    async def families(self) -> list[Family]:
        """Return all figures as they are just now; raises StoreError when the store cannot say."""
        store = await self.recorder.store.status()
        return [
            *self._own(),
            *self._readings(),
            *self._grid(),
            *self._alarms(),
            *self._links(),
            *self._deliveries(store),
            *self._store(store),
            *self._time(),
        ]

    def _own(self) -> Iterator[Family]:
        plant, elapsed = self.recorder.plant, self.recorder.clock().boot - self._started
        who = {
            "site": plant.site,
            "gateway": plant.gateway,
            "version": VERSION,
            "config": plant.digest[:8],
            "store_id": self.recorder.store.store_id,
        }
        yield _gauge("info", "Always 1; the labels say what runs here.", Sample(1, who))
        yield _gauge(
            "uptime_seconds", "Since the start, by elapsed time.", Sample(elapsed / SECOND)
        )
        yield _gauge("equipments", "Equipments that are watched.", Sample(len(plant.equipment)))

    def _readings(self) -> Iterator[Family]:
        recorder = self.recorder
        by_quality = recorder.readings.items()
        yield _counter(
            "readings_total",
            "Readings accepted, by quality.",
            *(Sample(count, {"quality": quality.name.lower()}) for quality, count in by_quality),
        )
        yield _counter("scans_total", "Scans accepted.", Sample(recorder.scans))
        yield _counter(
            "scans_missed_total",
            "Grid points of sources that no scan was made for: somebody was too slow.",
            Sample(recorder.missed),
        )
        yield _counter(
            "values_dropped_total",
            "How often a server said that it dropped values before it could tell them, by line.",
            *(Sample(line.dropped, {"line": line.name}) for line in self.lines),
        )

    def _grid(self) -> Iterator[Family]:
        kept = self.grid.punctuality()
        yield _counter("grid_points_total", "Grid points that were kept.", Sample(kept.starts))
        yield _counter(
            "grid_points_skipped_total",
            "Grid points that the daemon itself came too late for.",
            Sample(kept.skipped),
        )
        yield _gauge(
            "grid_deviation_seconds",
            "How late grid points were kept since the start, by quantile.",
            *(Sample(kept.percentile(q) / SECOND, {"quantile": str(q)}) for q in (0.5, 0.99)),
            Sample(kept.worst / SECOND, {"quantile": "1"}),
        )

    def _alarms(self) -> Iterator[Family]:
        recorder = self.recorder
        standing = [alarm for alarm in recorder.standing_as_told() if not alarm.test]
        found = Counter((alarm.state, alarm.priority) for alarm in standing)
        yield _gauge(
            "alarms",
            "Alarms that are not normal, by ISA-18.2 state and priority.",
            *(
                Sample(found[state, priority], {"state": state, "priority": priority})
                for state in _STANDING
                for priority in Priority
            ),
        )
        yield _gauge(
            "alarms_unacknowledged",
            "Alarms that somebody owes an acknowledgement, also those that are silenced.",
            Sample(sum(not alarm.acked_state for alarm in standing)),
        )
        yield _counter(
            "alarm_transitions_total",
            "Alarm transitions, by what happened; rehearsals too.",
            *(Sample(recorder.changes[change], {"change": change}) for change in Change),
        )

    def _links(self) -> Iterator[Family]:
        for kind, outages in self.outages.items():
            yield _gauge(
                f"{kind}_up",
                f"Whether the {kind} is held (1) or down (0).",
                *(Sample(outage.held, {kind: outage.name}) for outage in outages),
            )
            yield _counter(
                f"{kind}_tries_total",
                f"Connections of the {kind} begun.",
                *(Sample(outage.tries, {kind: outage.name}) for outage in outages),
            )

    def _deliveries(self, store: StoreStatus) -> Iterator[Family]:
        now = self.recorder.clock().at
        for lane, what in (("events", "events"), ("telemetry", "batches")):
            lanes = [each for each in store.lanes if each.lane == lane]
            yield _gauge(
                f"sink_backlog_{what}",
                f"Committed {what} that the sink does not have yet.",
                *(Sample(each.behind, {"sink": each.sink}) for each in lanes),
            )
        yield _gauge(
            "sink_backlog_bytes",
            "Compressed readings that the sink does not have yet.",
            *(
                Sample(e.behind_bytes, {"sink": e.sink})
                for e in store.lanes
                if e.lane == "telemetry"
            ),
        )
        yield _gauge(
            "sink_backlog_age_seconds",
            "Age of the oldest that the sink does not have yet, by lane; 0 when it has all.",
            *(
                Sample(_age(e, now), {"sink": e.sink, "lane": e.lane})
                for e in store.lanes
                if e.lane != "receipts"
            ),
        )
        receipts = [each for each in store.lanes if each.lane == "receipts"]
        yield _gauge(
            "receipts_behind_events",
            "Alarm events that a consumer has not said that it has.",
            *(Sample(each.behind, {"consumer": each.sink}) for each in receipts),
        )
        yield _gauge(
            "receipts_behind_age_seconds",
            "Age of the oldest of them; 0 when it has all.",
            *(Sample(_age(each, now), {"consumer": each.sink}) for each in receipts),
        )
        yield _counter(
            "sink_delivered_total",
            "Points (InfluxDB) or alarm events (MQTT) that the other side has confirmed.",
            *(Sample(sink.tally.delivered, {"sink": sink.name}) for sink in self.sinks),
        )
        yield _counter(
            "sink_requests_total",
            "Write requests (InfluxDB) or messages (MQTT) sent.",
            *(Sample(sink.tally.requests, {"sink": sink.name}) for sink in self.sinks),
        )
        yield _counter(
            "sink_too_large_total",
            "Messages (MQTT) that were larger than the broker takes, and are not told.",
            *(Sample(sink.tally.too_large, {"sink": sink.name}) for sink in self.sinks),
        )
        yield _gauge(
            "sink_dead_letters",
            "Points kept on the gateway that the other side refuses for good.",
            *(Sample(store.dead_letters.get(s.name, 0), {"sink": s.name}) for s in self.sinks),
        )

    def _store(self, store: StoreStatus) -> Iterator[Family]:
        recorder = self.recorder
        yield _gauge("store_file_bytes", "The record on the disk.", Sample(store.file_bytes))
        yield _gauge(
            "store_telemetry_bytes", "Compressed readings kept.", Sample(store.telemetry_bytes)
        )
        yield _gauge("store_quota_bytes", "Of compressed readings.", Sample(store.quota))
        yield _gauge(
            "store_disk_free_bytes",
            "What the daemon's user may still write to the disk.",
            *(Sample(free) for free in _free(store)),
        )
        yield _counter(
            "store_lost_points_total",
            "Points that left for the quota before every sink had them, since the record began.",
            Sample(store.lost_lines),
        )
        yield Family(
            "cytowatch_store_commit_seconds",
            "summary",
            "How long ticks took to be on the disk.",
            (
                Sample(recorder.commit_seconds, suffix="_sum"),
                Sample(recorder.commits, suffix="_count"),
            ),
        )

    def _time(self) -> Iterator[Family]:
        said = synchronised()
        yield _gauge(
            "clock_synchronised",
            "Whether the machine's clock is kept in step; absent where nobody says.",
            *(() if said is None else (Sample(said),)),
        )
        yield _gauge(
            "clock_ahead_seconds",
            "By how much record time is ahead of the machine's clock, which is met slowly.",
            Sample(self.recorder.clock.ahead() / SECOND),
        )
        yield _gauge(
            "source_clock_skew_seconds",
            "By how much the clock behind a source is ahead of ours, as far as it can be seen.",
            *(
                Sample(source.skew / SECOND, {"source": source.key})
                for line in self.skews
                for source in line.sources
                if source.skew is not None
            ),
        )
        yield _gauge(
            "certificate_expiry_timestamp_seconds",
            "When a certificate of this gateway expires (Unix time).",
            *(Sample(at, {"certificate": name}) for name, at in self.certificates.expiries.items()),
        )


def _gauge(name: str, text: str, *samples: Sample) -> Family:
    return Family(f"cytowatch_{name}", "gauge", text, samples)


def _counter(name: str, text: str, *samples: Sample) -> Family:
    return Family(f"cytowatch_{name}", "counter", text, samples)


def _age(lane: LaneStatus, now: int) -> float:
    return 0.0 if lane.oldest_at is None else max(now - lane.oldest_at, 0) / SECOND


def _free(store: StoreStatus) -> Iterator[int]:
    """Return the bytes that are free where the record lies; nothing where the disk does not say."""
    try:
        disk = os.statvfs(store.path.parent)
    except OSError:
        return
    yield disk.f_bavail * disk.f_frsize
