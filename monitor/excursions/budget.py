"""What excursions add up to: per batch, and per 24 hours of an equipment (domain: a time budget).

An excursion that reaches into the 24 hours counts whole, though it may have begun before: what
of its area lay before is not kept, and too much is the safe side.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pydantic import ValidationError

from monitor.alarms.performance import nanoseconds
from monitor.excursions.record import Budget, ExcursionRecord

DAY = 86_400 * 10**9
KEPT = 60 * DAY
"""How far back excursions are remembered for the budget of a batch (ns of record time)."""


class Spent(NamedTuple):
    """What one excursion adds to a budget."""

    equipment: str
    channel: str
    rule: str
    unit: str
    batches: tuple[str, ...]
    until: int
    """Record time of its end (ns, UTC)."""
    outside: float
    gap: float
    unit_minutes: float
    extreme: float


def spent(record: ExcursionRecord, now: int) -> Spent:
    """Return what ``record`` adds; one that goes on lasts until ``now`` (ns, UTC)."""
    return Spent(
        record.equipment,
        record.channel,
        record.rule,
        record.unit,
        record.batches,
        now if record.end is None else nanoseconds(record.end),
        record.outside_seconds,
        record.gap_seconds,
        record.unit_minutes,
        record.extreme,
    )


def spent_by(body: str, now: int) -> Spent | None:
    """Return what a record on the record adds; None where this release cannot read it."""
    try:
        return spent(ExcursionRecord.model_validate_json(body), now)
    except ValidationError:
        return None


def of_day(every: Iterable[Spent], now: int) -> list[Budget]:
    """Return the budget of each limit over the 24 hours up to ``now`` (ns, UTC)."""
    recent = [one for one in every if one.until > now - DAY]
    places = sorted({(one.equipment, one.channel, one.rule) for one in recent})
    return [
        _added("24h", [s for s in recent if (s.equipment, s.channel, s.rule) == place], place[0])
        for place in places
    ]


def of_batch(every: Iterable[Spent], batch: str) -> list[Budget]:
    """Return the budget of ``batch`` for each limit, wherever it was."""
    mine = [one for one in every if batch in one.batches]
    limits = sorted({(one.channel, one.rule, one.unit) for one in mine})
    return [
        _added("batch", [s for s in mine if (s.channel, s.rule, s.unit) == limit], batch=batch)
        for limit in limits
    ]


def _added(
    window: Literal["24h", "batch"], every: Sequence[Spent], equipment: str = "", batch: str = ""
) -> Budget:
    return Budget(
        window=window,
        equipment=equipment,
        batch=batch,
        channel=every[0].channel,
        rule=every[0].rule,
        unit=every[0].unit,
        excursions=len(every),
        outside_seconds=round(sum(one.outside for one in every), 6),
        gap_seconds=round(sum(one.gap for one in every), 6),
        unit_minutes=sum(one.unit_minutes for one in every),
        lowest=min(one.extreme for one in every),
        highest=max(one.extreme for one in every),
    )
