"""The record of one excursion, as it is kept, told, exported and drawn.

Times are RFC 3339, UTC, milliseconds. Durations are seconds of elapsed time, which no step of a
clock changes, and areas the channel's unit times minutes.
"""

from typing import Literal, NamedTuple

from pydantic import Field

from config.plant import Plant, Source
from monitor.excursions.track import Track
from monitor.messages import Message, rfc3339

SECOND = 10**9
MINUTE = 60 * SECOND

Ending = Literal["", "returned", "limit_changed", "rule_removed"]
"""Why it ended; empty while it goes on."""


class ExcursionAlarm(Message):
    """An alarm of the same channel that was active during it."""

    alarm: str
    occurrence: str
    raised: str | None
    annunciated: bool = True
    """Whether people were told at any time of it: it may be shelved, suppressed, out of service."""


class ExcursionAct(Message):
    """What somebody did about an alarm of the channel or its equipment, or said of it, then."""

    time: str
    subject: str
    """The alarm, or the equipment."""
    act: str
    user: str
    claimed: str = ""
    """The name given by hand, beside the proven one."""
    role: str = ""
    """In which it was done."""
    reason: str = ""


class Budget(Message):
    """What excursions of one limit add up to."""

    schema_: Literal["cytowatch.excursion_budget.v1"] = Field(
        "cytowatch.excursion_budget.v1", alias="schema"
    )
    window: Literal["24h", "batch"]
    equipment: str
    """Empty for a batch: it counts wherever the batch was."""
    batch: str = ""
    """Empty for 24 hours of an equipment."""
    channel: str
    rule: str
    unit: str
    excursions: int
    outside_seconds: float
    """Measured beyond the limit; without gaps."""
    gap_seconds: float
    unit_minutes: float
    lowest: float
    """The lowest of their extreme values."""
    highest: float


class Place(NamedTuple):
    """Where an excursion is: what the record has of it, by the names of the record."""

    site: str
    gateway: str
    area: str
    equipment: str
    kind: str
    channel: str
    rule: str
    unit: str
    doors: tuple[str, ...]
    source: str
    period_seconds: float
    serial: str
    calibration_due: str | None
    storage: str

    @property
    def name(self) -> str:
        """Return the name of its alarm."""
        return f"{self.equipment}/{self.channel}/{self.rule}"


class ExcursionRecord(Message):
    """An interval in which usable readings of a channel lay beyond a limit."""

    schema_: Literal["cytowatch.excursion.v1"] = Field("cytowatch.excursion.v1", alias="schema")
    excursion: str
    """Its id: ``{store_id}/{equipment}/{channel}/{rule}/x{number of the scan that began it}``"""
    site: str
    gateway: str
    area: str
    equipment: str
    kind: str
    channel: str
    rule: str
    unit: str
    direction: Literal["high", "low"]
    limit: float
    """As it was in effect, by state and phase of the equipment."""
    open: bool
    """Whether it goes on: its figures are those up to its newest usable reading."""
    start: str
    """Where the line between two readings crossed the limit; else ``first_beyond``."""
    start_crossed: bool
    """Whether ``start`` is interpolated; else nothing usable was read right before it."""
    end: str | None
    """Where the line crossed it again; else the first usable reading inside."""
    end_crossed: bool
    ended_by: Ending
    first_beyond: str
    """The first reading beyond the limit."""
    last_beyond: str
    duration_seconds: float
    """From ``start`` to ``end``: what is outside, inside between rejoined parts, and gaps."""
    outside_seconds: float
    """Measured beyond the limit."""
    inside_seconds: float
    """Measured inside it, between parts that lay no further apart than the rejoin time."""
    gap_seconds: float
    """Nothing usable: bad readings, readings over three periods apart, nobody watching."""
    extreme: float
    extreme_time: str
    mean: float
    mean_of: Literal["time", "readings"]
    """Over ``outside_seconds``, weighted by time; of the readings beyond, where that is nothing."""
    unit_minutes: float
    """The area beyond the limit."""
    samples: int
    """Usable readings, from the first beyond to the last."""
    bad_samples: int
    equipment_state: str
    """At its start."""
    phase: str
    """At its start; empty where none is known."""
    batches: tuple[str, ...]
    """Ids of the batches that were inside at any time during it, opaque."""
    doors: tuple[str, ...]
    """The channels that tell of doors."""
    door_open_seconds: float | None
    """How long any of them stood open during it; None where there is none."""
    alarms: tuple[ExcursionAlarm, ...]
    acts: tuple[ExcursionAct, ...]
    minor: bool
    """No alarm of this limit or of a worse one was annunciated."""
    config: str
    """The configuration's hash at its start."""
    clock_synchronised: bool | None
    """At its start and its end; None: nobody knows."""
    clock_steps: int
    """How often the wall clock stepped during it."""
    bridged: bool
    """The machine was started anew during it: the wall clock stood in for elapsed time."""
    source: str
    period_seconds: float
    serial: str
    """Of the probe."""
    calibration_due: str | None
    storage: str
    """``2-8C`` or ``15-25C`` where drug product is stored; else empty."""
    store_id: str
    day: Budget
    """This limit, on this equipment, over the 24 hours to its end, itself included."""
    per_batch: tuple[Budget, ...]
    """For each batch inside: this limit, wherever the batch was, itself included."""


def measured(track: Track) -> dict[str, object]:
    """Return what the readings say of it, by the names of the record."""
    tally, end = track.tally, track.end
    return {
        "direction": "high" if track.limit.high else "low",
        "limit": track.limit.value,
        "start": rfc3339(track.start.at),
        "start_crossed": track.crossed,
        "end_crossed": track.back is not None and track.back.crossed,
        "first_beyond": rfc3339(track.first.at),
        "last_beyond": rfc3339(track.last.at),
        "duration_seconds": seconds(end.boot - track.start.boot),
        "outside_seconds": seconds(tally.outside),
        "inside_seconds": seconds(tally.inside),
        "gap_seconds": seconds(tally.gap),
        "extreme": track.extreme,
        "extreme_time": rfc3339(track.extreme_at),
        "mean": track.mean,
        "mean_of": "time" if tally.outside else "readings",
        "unit_minutes": tally.area / MINUTE,
        "samples": tally.samples,
        "bad_samples": tally.bad,
    }


def place(plant: Plant, source: Source, channel: int, rule: str) -> Place:
    """Return what is known of where it is."""
    equipment = plant.by_name[source.equipment]
    due = source.calibration_due
    return Place(
        site=plant.site,
        gateway=plant.gateway,
        area=equipment.area,
        equipment=equipment.name,
        kind=equipment.kind,
        channel=source.channels[channel].name,
        rule=rule,
        unit=source.channels[channel].unit,
        doors=tuple(plant.sources[s].channels[c].name for s, c in equipment.doors),
        source=source.name,
        period_seconds=source.period / SECOND,
        serial=source.serial,
        calibration_due=due.isoformat() if due else None,
        storage=equipment.storage.value if equipment.storage else "",
    )


def seconds(nanoseconds: float) -> float:
    """Return a duration as a record has it."""
    return round(nanoseconds / SECOND, 6)
