"""What a backlog showed, as rows of the table."""

from collections.abc import Sequence

from tests.bench import budget
from tests.bench.backlog import DAY, HOUR, BacklogRun, Stretch
from tests.bench.budget import Row
from tests.bench.latency import percentile

GROWN_MB = 10.0
"""Megabytes by which memory may differ between the ends of a stretch: it does not grow with time
or backlog, but for a request under way."""
DRAIN_SHARE = 1 / 3
"""Of the outage, that the drain may take: three times live at least, live readings beside it."""
LAG_S = 5.0
"""Seconds that live readings may be old while a backlog drains."""


def backlog_rows(run: BacklogRun) -> list[Row]:
    """Every row, in its order."""
    return [
        *store_rows(run),
        *stretch_rows("away", "database away", run.away),
        *drain_rows(run),
        *stretch_rows("drain", "while it drains", run.draining),
        *whole_rows(run),
        *arrived_rows(run),
    ]


def store_rows(run: BacklogRun) -> list[Row]:
    """What the outage makes, and how it is to start on it."""
    made, size = run.made, run.backlog.size
    kept = made.telemetry_bytes / made.readings
    days = run.quota / (kept * size.equipments * size.channels * DAY)
    pace = f"{made.readings} readings, made in {made.took:.0f} s"
    quota = f"a day's {kept * size.equipments * size.channels * DAY / 1e9:.2g} GB"
    return [
        Row("backlog_h", "the outage", run.backlog.seconds / HOUR, "h", None, pace),
        Row("backlog_file_mb", "  the store's file", made.file_bytes / 1e6, "MB"),
        Row("backlog_bytes", "  bytes on the disk per reading",
            made.file_bytes / made.readings, "B"),
        Row("backlog_kept_bytes", "  of them counted by the quota", kept, "B"),
        Row("backlog_days", "  days that the usual quota keeps", days, "d", None, quota),
        Row("backlog_start_s", "start on it to first scan on the disk",
            run.start, "s", budget.START_S),
    ]  # fmt: skip


def stretch_rows(key: str, what: str, part: Stretch) -> list[Row]:
    """How well the daemon did in a part of the run."""
    grown, late, loop = part.last.memory - part.first.memory, part.delays, part.loop
    ends = f"{part.first.memory:.0f} MB, then {part.last.memory:.0f}"
    cpu = f"{loop['longest_cpu'] / 1e6:.1f} ms of it on a CPU; {loop['longest_is']}"
    p99 = percentile(late.ms, 0.99) if late.ms else None
    events = f"of {len(late.ms)} events"
    return [
        Row(f"backlog_{key}_grown_mb", f"{what}: memory grown", grown, "MB", GROWN_MB, ends),
        Row(f"backlog_{key}_step_ms", "  longest step of the event loop",
            loop["longest"] / 1e6, "ms", budget.STEP_MS, cpu),
        Row(f"backlog_{key}_cpu_ms", "  most CPU in a step",
            loop["most_cpu"] / 1e6, "ms", None, loop["most_cpu_is"]),
        Row(f"backlog_{key}_latency_ms", "  reply sent to alarm event, p99",
            p99, "ms", budget.LATENCY_MS, events),
        Row(f"backlog_{key}_unheard", "  crossings without their event",
            late.unheard, "", budget.NONE),
    ]  # fmt: skip


def drain_rows(run: BacklogRun) -> list[Row]:
    """How fast the backlog went, and how live the rest was."""
    drain, size = run.drain, run.backlog.size
    rate = drain.waiting * size.channels / drain.seconds
    live = size.equipments * size.channels
    share = drain.seconds / run.backlog.seconds
    lag = percentile(drain.lags, 0.99) if drain.lags else None
    after = drain.arrived.live_after
    return [
        Row("backlog_drain_s", "the database is back: all there after", drain.seconds, "s"),
        Row("backlog_drain_share", "  as a part of the outage", share, "", DRAIN_SHARE),
        Row("backlog_drain_rate", "  readings of the backlog a second", rate, ""),
        Row("backlog_drain_times", "  in times of the live ones, which go before", rate / live, ""),
        Row("backlog_live_after_s", "  first live reading after", after, "s"),
        Row("backlog_lag_s", "  live readings are old, p99 of looks", lag, "s", LAG_S,
            _worst(drain.lags)),
    ]  # fmt: skip


def _worst(lags: Sequence[float]) -> str:
    return f"{lags[-1]:.1f} at most" if lags else ""


def whole_rows(run: BacklogRun) -> list[Row]:
    """What holds for the whole run."""
    grid = run.grid
    return [
        Row("backlog_memory_mb", "memory, at most", run.most, "MB", budget.MEMORY_MB),
        Row("backlog_deviation_ms", "a poll's start off its grid, p99",
            grid.deviation_ms_p99, "ms", budget.DEVIATION_MS),
        Row("backlog_skipped", "  polls missed",
            grid.skipped, "", budget.NONE, f"of {grid.visits}"),
    ]  # fmt: skip


def arrived_rows(run: BacklogRun) -> list[Row]:
    """What is not there as it should be."""
    drain, there = run.drain, run.drain.arrived
    first = f"after {there.requests_before} requests"
    return [
        Row("backlog_missing", "scans that did not arrive", max(drain.due - there.whole, 0), "",
            budget.NONE, f"of {drain.due}"),
        Row("backlog_doubled", "  that came twice", there.doubled, "", budget.NONE),
        Row("backlog_others", "  equipments with another count than was made", drain.others, "",
            budget.NONE),
        Row("backlog_alarms_missing", "alarm events that did not arrive",
            max(drain.due_alarms - there.alarms_whole, 0), "", budget.NONE,
            f"of {drain.due_alarms}"),
        Row("backlog_alarms_changed", "  that came again as something else", there.changed, "",
            budget.NONE),
        Row("backlog_alarms_late", "  scans that came before the newest one",
            there.before_newest, "", budget.NONE, first),
    ]  # fmt: skip


WRONG = frozenset(
    {
        "backlog_missing",
        "backlog_doubled",
        "backlog_others",
        "backlog_alarms_missing",
        "backlog_alarms_changed",
    }
)
"""Rows that tell of a defect when they are missed, on whatever machine."""


def wrong(rows: Sequence[Row]) -> list[Row]:
    """Return those by which something was lost or doubled."""
    return [row for row in rows if row.key in WRONG and row.kept is False]
