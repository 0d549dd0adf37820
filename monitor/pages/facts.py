"""Everything that a record of an excursion says, in words: the tables of its page, and ``show``."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from config.plant import Storage
from monitor.excursions.kinetic import HOUR, WINDOWS
from monitor.excursions.record import Budget, ExcursionRecord
from monitor.pages.figures import area, duration, measure

ENDINGS = {
    "": "it goes on",
    "returned": "the readings were back inside",
    "limit_changed": "another limit came into effect",
    "rule_removed": "the rule was taken out of the site's file",
}
UNKNOWN = "not known"
LONGEST_IN_HOURS = 48


class Fact(NamedTuple):
    """One line of a table."""

    name: str
    text: str


class Section(NamedTuple):
    """One table."""

    title: str
    facts: tuple[Fact, ...]


def sections(
    record: ExcursionRecord, kinetic: float | None, zone: tzinfo | None = None
) -> list[Section]:
    """Return every figure of ``record``, by what it is about; ``zone`` (None: here) is local time.

    ``kinetic`` is the mean kinetic temperature, where there is one.
    """
    found = [
        Section("Time", tuple(_time(record, zone))),
        Section("Extent", tuple(_extent(record, zone))),
        Section("Data", tuple(_data(record))),
        Section("Circumstances", tuple(_circumstances(record))),
        Section("Adds up to", tuple(_budgets(record))),
    ]
    if has_kinetic(record):
        found.append(Section("Stored product", (_kinetic(record, kinetic),)))
    return [*found, Section("Identity", tuple(_identity(record)))]


def has_kinetic(record: ExcursionRecord) -> bool:
    """Whether mean kinetic temperature has a meaning: where drug product is stored."""
    return record.storage != "" and record.unit == "Cel"


def sentence(record: ExcursionRecord) -> str:
    """Return the excursion in one sentence."""
    side = "above" if record.direction == "high" else "below"
    lasts = "has been" if record.open else "was"
    silenced = "its alarm was silenced" if record.alarms else "no alarm was raised"
    alarm = silenced if record.minor else "an alarm was raised"
    return (
        f"In {record.equipment}, {_plain(record.channel)} {lasts} {side}"
        f" {measure(record.limit, record.unit)} for {duration(record.duration_seconds)},"
        f" by at most {measure(abs(record.extreme - record.limit), record.unit)}; {alarm}."
    )


def local(text: str, zone: tzinfo | None) -> str:
    """Return a time of the record as the clock on the wall had it; its day where it is another."""
    moment = datetime.fromisoformat(text)
    there = moment.astimezone(zone)
    day = "" if there.date() == moment.astimezone(UTC).date() else f"{there:%Y-%m-%d} "
    return f"{day}{there:%H:%M:%S} {offset(there)}"


def offset(moment: datetime) -> str:
    """Return how far local time is from UTC."""
    digits = f"{moment:%z}"[:5]
    return f"UTC{digits[:3]}:{digits[3:]}"


def utc(text: str) -> str:
    """Return a time of the record in UTC."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _time(record: ExcursionRecord, zone: tzinfo | None) -> Iterator[Fact]:
    crossed = "where the line between two readings crosses the limit"
    bare = "the first reading beyond: none could be used right before it"
    after = "the first usable reading inside: data were missing before it"
    yield Fact("Start", _both(record.start, zone))
    yield Fact("Start is", crossed if record.start_crossed else bare)
    yield Fact("End", _both(record.end, zone) if record.end else "it goes on")
    if record.end:
        yield Fact("End is", _end_is(record, crossed, after))
    yield Fact("First reading beyond", _both(record.first_beyond, zone))
    yield Fact("Last reading beyond", _both(record.last_beyond, zone))
    yield Fact("Ended because", ENDINGS[record.ended_by])
    yield Fact("Duration", f"{duration(record.duration_seconds)} ({record.duration_seconds:g} s)")
    yield Fact("Measured outside", duration(record.outside_seconds))
    yield Fact("Measured inside, between parts of it", duration(record.inside_seconds))
    yield Fact("Gaps", duration(record.gap_seconds))


def _end_is(record: ExcursionRecord, crossed: str, after: str) -> str:
    if record.ended_by != "returned":
        return "the last reading beyond"
    return crossed if record.end_crossed else after


def _extent(record: ExcursionRecord, zone: tzinfo | None) -> Iterator[Fact]:
    how = "by time outside" if record.mean_of == "time" else "of the readings beyond"
    side = "highest" if record.direction == "high" else "lowest"
    yield Fact("Limit", f"{measure(record.limit, record.unit)} ({record.direction})")
    yield Fact(f"Extreme ({side})", measure(record.extreme, record.unit))
    yield Fact("Extreme at", _both(record.extreme_time, zone))
    yield Fact("Beyond the limit by", measure(abs(record.extreme - record.limit), record.unit))
    yield Fact(f"Mean, {how}", measure(record.mean, record.unit))
    yield Fact("Area beyond the limit", area(record.unit_minutes, record.unit))


def _data(record: ExcursionRecord) -> Iterator[Fact]:
    yield Fact("Usable readings", str(record.samples))
    yield Fact("Bad readings", str(record.bad_samples))
    yield Fact("Read every", f"{record.period_seconds:g} s")
    yield Fact("Source", record.source)
    yield Fact("Probe serial", record.serial or UNKNOWN)
    yield Fact("Calibration due", record.calibration_due or UNKNOWN)
    yield Fact("Clock synchronised", _answer(record.clock_synchronised))
    yield Fact("Clock steps during it", str(record.clock_steps))
    yield Fact("Gateway started anew during it", _answer(record.bridged))


def _circumstances(record: ExcursionRecord) -> Iterator[Fact]:
    door = record.door_open_seconds
    yield Fact("State of the equipment at its start", _plain(record.equipment_state) or UNKNOWN)
    yield Fact("Phase at its start", record.phase or UNKNOWN)
    yield Fact("Batches inside", ", ".join(record.batches) or "none known")
    yield Fact("Door open during it", "no door contact" if door is None else duration(door))
    yield Fact("Alarms of the channel", str(len(record.alarms)))
    yield Fact("Minor (nobody told by an alarm of it)", _answer(record.minor))


def _budgets(record: ExcursionRecord) -> Iterator[Fact]:
    yield Fact("24 hours to its end, this equipment", _budget(record.day))
    for each in record.per_batch:
        yield Fact(f"Batch {each.batch}, wherever it was", _budget(each))


def _budget(each: Budget) -> str:
    times = "1 excursion" if each.excursions == 1 else f"{each.excursions} excursions"
    return (
        f"{times}, {duration(each.outside_seconds)} outside, {area(each.unit_minutes, each.unit)},"
        f" extremes {each.lowest:.6g} to {measure(each.highest, each.unit)}"
    )


def _kinetic(record: ExcursionRecord, kinetic: float | None) -> Fact:
    hours = WINDOWS[Storage(record.storage)] // HOUR
    window = f"{hours} hours" if hours <= LONGEST_IN_HOURS else f"{hours // 24} days"
    name = f"Mean kinetic temperature, {window} to its end ({record.storage})"
    return Fact(name, "no readings" if kinetic is None else f"{kinetic:.2f} °C")


def _identity(record: ExcursionRecord) -> Iterator[Fact]:
    yield Fact("Excursion", record.excursion)
    yield Fact("Alarm", f"{record.equipment}/{record.channel}/{record.rule}")
    yield Fact("Kind of equipment", _plain(record.kind))
    yield Fact("Site, area, gateway", f"{record.site}, {record.area}, {record.gateway}")
    yield Fact("Configuration (SHA-256)", record.config)
    yield Fact("Record", record.store_id)


def flat(found: Sequence[Section]) -> list[Fact]:
    """Return all lines of all tables."""
    return [fact for section in found for fact in section.facts]


def _both(text: str, zone: tzinfo | None) -> str:
    return f"{utc(text)} ({local(text, zone)})"


def _answer(so: bool | None) -> str:  # noqa: FBT001 - it is the answer itself
    match so:
        case None:
            return UNKNOWN
        case True:
            return "yes"
        case False:
            return "no"


def _plain(name: str) -> str:
    return name.replace("_", " ")
