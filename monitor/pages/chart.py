"""The chart of an interval: where each thing is drawn. Pure; the template only writes it down.

Readings may be millions: they are gathered by columns of the drawing, and of each column its first,
lowest, highest and last are kept, so the line looks the same and no extreme is ever lost.
Lengths are the units of the drawing's view box, times nanoseconds (UTC).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil, floor, log10
from typing import NamedTuple

SECOND = 10**9
WIDTH, HEIGHT = 1000, 430
LEFT, RIGHT, BOTTOM = 70, 984, 380
TOP = 58
"""Above it is the room of the marks."""
LANES = 3
LANE = 17
RUNS = 6
"""Pieces of a line in one column; what is broken more often there is drawn as one."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
STEPS = (
    1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY, 30 * DAY,
)  # fmt: skip
"""Seconds between ticks."""
MOST_TICKS = 9


class Point(NamedTuple):
    """One reading, or a place in the drawing."""

    x: float
    y: float


class Tick(NamedTuple):
    """A place on an axis with its label."""

    at: float
    label: str


class Band(NamedTuple):
    """A stretch of time."""

    x: float
    width: float


class Mark(NamedTuple):
    """Something that happened."""

    x: float
    y: float
    number: int


@dataclass(slots=True)
class _Column:
    """What is drawn of the readings of one column."""

    first: Point
    last: Point
    lowest: Point
    highest: Point

    def add(self, point: Point) -> None:
        self.last = point
        if point.y < self.lowest.y:
            self.lowest = point
        if point.y > self.highest.y:
            self.highest = point

    def points(self) -> list[Point]:
        return sorted({self.first, self.lowest, self.highest, self.last})


@dataclass
class Line:
    """Gathers readings, in the order of their times, between two of them."""

    start: int
    end: int
    longest: int
    """Readings that are further apart have a gap between them."""
    runs: list[dict[int, _Column]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """From the last usable reading to the next."""
    lowest: float | None = None
    highest: float | None = None
    _newest: int | None = None
    _broken: bool = False

    def add(self, time: int, value: float | None) -> None:
        """Add a reading; None is one that cannot be used."""
        if value is None:
            self._broken = True
            return
        before = self.start if self._newest is None else self._newest
        if self._broken or time - before > self.longest:
            self._gap(before, time)
        column = int(self._x(time))
        if not self.runs or (self._broken and self._runs_in(column) < RUNS):
            self.runs.append({})
        self._put(column, Point(self._x(time), value))
        self._newest, self._broken = time, False

    def finish(self) -> None:
        """Say that there are no more."""
        newest = self.start if self._newest is None else self._newest
        if self._broken or self.end - newest > self.longest:
            self._gap(newest, self.end)

    def _gap(self, start: int, end: int) -> None:
        self._broken = True
        if self.gaps and self._x(start) - self._x(self.gaps[-1][1]) < 1:
            self.gaps[-1] = (self.gaps[-1][0], end)
        else:
            self.gaps.append((start, end))

    def _runs_in(self, column: int) -> int:
        return sum(column in run for run in self.runs[-RUNS:])

    def _put(self, column: int, point: Point) -> None:
        run = self.runs[-1]
        if column in run:
            run[column].add(point)
        else:
            run[column] = _Column(point, point, point, point)
        self.lowest = point.y if self.lowest is None else min(self.lowest, point.y)
        self.highest = point.y if self.highest is None else max(self.highest, point.y)

    def _x(self, time: int) -> float:
        return across(time, self.start, self.end)


def across(time: int, start: int, end: int) -> float:
    """Return where a time is, from the left."""
    share = (time - start) / max(1, end - start)
    return LEFT + min(1.0, max(0.0, share)) * (RIGHT - LEFT)


@dataclass(frozen=True)
class Scale:
    """From values to heights."""

    low: float
    high: float

    def y(self, value: float) -> float:
        """Return where a value is, from the top."""
        share = (value - self.low) / (self.high - self.low)
        return round(BOTTOM - min(1.0, max(0.0, share)) * (BOTTOM - TOP), 2)


def scale(values: Sequence[float]) -> Scale:
    """Return one that all of ``values`` fit in, with room above and below."""
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * 0.08
    return Scale(low - room, high + room)


def paths(line: Line, to: Scale) -> list[str]:
    """Return the line, piece by piece, as SVG paths."""
    return ["M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece) for piece in _pieces(line, to)]


def areas(line: Line, to: Scale, limit: float) -> list[str]:
    """Return what lies between the line and a limit, piece by piece; to be clipped to one side."""
    base = to.y(limit)
    return [
        f"M{piece[0].x:.1f} {base:.1f}L"
        + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece)
        + f"L{piece[-1].x:.1f} {base:.1f}Z"
        for piece in _pieces(line, to)
        if len(piece) > 1
    ]


def _pieces(line: Line, to: Scale) -> list[list[Point]]:
    found = []
    for run in line.runs:
        piece = [Point(x, to.y(y)) for _, column in sorted(run.items()) for x, y in column.points()]
        # One reading alone is a dot: a line of no length with round ends.
        found.append(piece if len(piece) > 1 else [*piece, *piece])
    return found


def bands(times: Sequence[tuple[int, int]], start: int, end: int) -> list[Band]:
    """Return stretches of time, each wide enough to be seen."""
    found = []
    for begin, stop in times:
        x = across(begin, start, end)
        found.append(Band(round(x, 1), round(max(1.0, across(stop, start, end) - x), 1)))
    return found


def time_ticks(start: int, end: int) -> list[Tick]:
    """Return round times (UTC), those of a new day with its date."""
    span = (end - start) / SECOND
    step = next((s for s in STEPS if span / s <= MOST_TICKS), STEPS[-1])
    first = ceil(start / SECOND / step) * step
    times = range(first, floor(end / SECOND) + 1, step)
    found: list[Tick] = []
    day = None
    for time in times:
        moment = datetime.fromtimestamp(time, UTC)
        label = f"{moment:%H:%M:%S}" if step < MINUTE else f"{moment:%H:%M}"
        label = f"{moment:%d %b}" if step >= DAY else label
        if day != moment.date() and step < DAY:
            label = f"{label}|{moment:%d %b %Y}"
        day = moment.date()
        found.append(Tick(round(across(time * SECOND, start, end), 1), label))
    return found


def value_ticks(to: Scale) -> list[Tick]:
    """Return round values."""
    raw = (to.high - to.low) / 7
    power = 10.0 ** floor(log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw)
    first, last = ceil(to.low / step), floor(to.high / step)
    digits = len(f"{step:.9f}".rstrip("0").partition(".")[2])
    return [Tick(to.y(n * step), f"{n * step:.{digits}f}") for n in range(first, last + 1)]


def marks(times: Sequence[int], start: int, end: int) -> list[Mark]:
    """Number what happened, side by side or in lanes above each other where it is close."""
    ends = [float("-inf")] * LANES
    found = []
    for number, time in enumerate(times, 1):
        x = across(time, start, end)
        free = (lane for lane in range(LANES) if x - ends[lane] >= LANE)
        lane = next(free, LANES - 1)
        ends[lane] = x
        found.append(Mark(round(x, 1), TOP - 11 - lane * LANE, number))
    return found
