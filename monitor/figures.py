"""How the gateway is, in figures: each part of its status message. Pure."""

from collections.abc import Sequence
from typing import Any

from drivers.grid import Grid
from monitor.messages import rfc3339
from monitor.operators.protocol import (
    GridStatus,
    LineStatus,
    ReceiptStatus,
    SinkStatus,
    StoreStatusMessage,
)
from monitor.store import StoreStatus
from monitor.supervise import Outage

MILLISECOND = 10**6
MQTT = "mqtt"
"""The sink that consumers listen to."""


def line_status(outage: Outage) -> LineStatus:
    """Return how a line is."""
    return LineStatus(**_how(outage))


def sink_status(
    outage: Outage, store: StoreStatus, last_event: int, warnings: Sequence[str] = ()
) -> SinkStatus:
    """Return how a sink is, with what waits for it and what else there is to say of it."""
    lanes = {lane.lane: lane for lane in store.lanes if lane.sink == outage.name}
    telemetry, events = lanes.get("telemetry"), lanes.get("events")
    return SinkStatus(
        **_how(outage),
        telemetry_behind=telemetry.behind if telemetry else 0,
        telemetry_behind_bytes=telemetry.behind_bytes if telemetry else 0,
        # One that never reached its broker has not asked for its cursor yet.
        events_behind=events.behind if events else last_event,
        receipts=_receipts(store) if outage.name == MQTT else (),
        warnings=tuple(warnings),
    )


def _receipts(store: StoreStatus) -> tuple[ReceiptStatus, ...]:
    return tuple(
        ReceiptStatus(
            consumer=lane.sink,
            seq=lane.confirmed,
            behind=lane.behind,
            oldest=None if lane.oldest_at is None else rfc3339(lane.oldest_at),
        )
        for lane in store.lanes
        if lane.lane == "receipts"
    )


def grid_status(grid: Grid) -> GridStatus:
    """Return how well the grid points are kept."""
    kept = grid.punctuality()
    return GridStatus(
        visits=kept.starts,
        skipped=kept.skipped,
        deviation_ms_p50=kept.percentile(0.5) / MILLISECOND,
        deviation_ms_p99=kept.percentile(0.99) / MILLISECOND,
        deviation_ms_worst=kept.worst / MILLISECOND,
    )


def store_status(status: StoreStatus) -> StoreStatusMessage:
    """Return how the store is."""
    figures = {
        "file_bytes": status.file_bytes,
        "telemetry_bytes": status.telemetry_bytes,
        "quota": status.quota,
        "blobs": status.blobs,
        "oldest": None if status.oldest_at is None else rfc3339(status.oldest_at),
        "lost_lines": status.lost_lines,
        "spoilt": status.spoilt,
        "dead_letters": dict(status.dead_letters),
        "dead_letters_gone": status.dead_letters_gone,
        "moved_aside": None if status.moved_aside is None else str(status.moved_aside),
    }
    return StoreStatusMessage(
        path=str(status.path),
        store_id=status.store_id,
        last_scan=status.last.scan,
        last_event=status.last.event,
        last_seq=status.last.seq,
        chain_head=status.last.head,
        figures=figures,
    )


def _how(outage: Outage) -> dict[str, Any]:
    state = "up" if outage.held else ("down" if outage.text else "starting")
    since = None if outage.since is None else rfc3339(outage.since)
    return {"name": outage.name, "state": state, "since": since, "text": outage.text}
