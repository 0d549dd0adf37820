"""What an export holds, as it was recorded: readings, and which of them were one scan. Pure.

JSON lines and CSV are those of ``cytowatch export``; what a store gives is the same. The readings
of one scan stand together, and scans in the order of their numbers.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from drivers.reading import Fault, Origin, Quality, Reason, Value
from monitor.alarms.performance import nanoseconds
from monitor.store.points import Point

_ORIGINS = {origin.value: origin for origin in Origin}
_GRADES = {quality.name.lower(): quality for quality in Quality}
_FAULTS = {
    (quality.name.lower(), reason.value): Fault(quality, reason)
    for quality in (Quality.UNCERTAIN, Quality.BAD)
    for reason in Reason
}
_COLUMNS = (
    "time", "equipment", "source", "channel", "value", "quality", "reason", "source_time", "scan",
    "origin",
)  # fmt: skip


class RowError(Exception):
    """A line is not what ``cytowatch export`` writes; the text says which and why."""


class Row(NamedTuple):
    """One reading."""

    time: int
    """Record time (ns, UTC)."""
    equipment: str
    source: str
    channel: str
    value: Value | None
    """Out of CSV still a text: only the channel tells what it is one of."""
    fault: Fault | None
    source_time: int | None
    scan: int
    origin: Origin
    state: str
    """Of the equipment, as it was recorded; empty where it was not."""


class Recorded(NamedTuple):
    """The readings of one scan."""

    time: int
    equipment: str
    source: str
    scan: int
    origin: Origin
    state: str
    rows: list[Row]


def recorded(rows: Iterable[Row]) -> Iterator[Recorded]:
    """Put readings together that were one scan."""
    scan, equipment, source = -1, "", ""
    own: list[Row] = []
    for row in rows:
        if row.scan != scan or row.source != source or row.equipment != equipment:
            if own:
                yield _together(own)
            scan, equipment, source, own = row.scan, row.equipment, row.source, [row]
        else:
            own.append(row)
    if own:
        yield _together(own)


def _together(rows: list[Row]) -> Recorded:
    first = rows[0]
    return Recorded(
        first.time, first.equipment, first.source, first.scan, first.origin, first.state, rows
    )


def rows_of_json(lines: Iterable[str]) -> Iterator[Row]:
    """Read JSON lines. Raises ``RowError``."""
    times = _Times()
    number = 0
    try:
        for number, line in enumerate(lines, 1):  # noqa: B007 - told of when a line is spoilt
            said = json.loads(line)
            source_time = said["source_time"]
            yield Row(
                times.nanoseconds(said["time"]),
                said["equipment"],
                said["source"],
                said["channel"],
                said["value"],
                _fault(said["quality"], said["reason"]),
                None if source_time is None else nanoseconds(source_time),
                said["scan"],
                _ORIGINS[said["origin"]],
                said.get("state", ""),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise _spoilt(number, error) from error


def rows_of_csv(lines: Iterable[str]) -> Iterator[Row]:
    """Read CSV with a header. Raises ``RowError``."""
    times = _Times()
    table = csv.reader(lines)
    header = next(table, [])
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise RowError(f"line 1: there is no column {missing[0]}; export writes {_COLUMNS}")
    time, equipment, source, channel, value, quality, reason, at, scan, origin = map(
        header.index, _COLUMNS
    )
    state = header.index("state") if "state" in header else None
    try:
        for cells in table:
            grade = cells[quality]
            yield Row(
                times.nanoseconds(cells[time]),
                cells[equipment],
                cells[source],
                cells[channel],
                None if grade == "bad" else cells[value],
                _fault(grade, cells[reason]),
                nanoseconds(cells[at]) if cells[at] else None,
                int(cells[scan]),
                _ORIGINS[cells[origin]],
                "" if state is None else cells[state],
            )
    except (ValueError, KeyError, IndexError, csv.Error) as error:
        raise _spoilt(table.line_num, error) from error


def rows_of_text(lines: Iterator[str]) -> Iterator[Row]:
    """Read either, as the first line tells. Raises ``RowError``."""
    first = next(lines, "")
    whole = chain([first], lines)
    return rows_of_json(whole) if first.startswith("{") else rows_of_csv(whole)


def rows_of_points(points: Iterable[Point]) -> Iterator[Row]:
    """Read what a store gives."""
    for point in points:
        fault = None if point.reason is None else Fault(point.quality, point.reason)
        yield Row(
            point.time,
            point.equipment,
            point.source,
            point.channel,
            point.value,
            fault,
            point.source_time,
            point.scan,
            point.origin,
            point.state,
        )


class _Times:
    """Reads record times: those of a scan are the same, and stand together."""

    def __init__(self) -> None:
        self._text = ""
        self._time = 0

    def nanoseconds(self, text: str) -> int:
        if text != self._text:
            self._time = nanoseconds(text)
            self._text = text
        return self._time


def _fault(grade: str, reason: str) -> Fault | None:
    return None if grade == "good" else _FAULTS[grade, reason]


def _spoilt(number: int, error: Exception) -> RowError:
    what = f"has no {error}" if isinstance(error, KeyError) else str(error)
    return RowError(f"line {number}: this is no reading of cytowatch export ({what})")
