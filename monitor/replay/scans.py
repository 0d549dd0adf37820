"""Recorded readings back as the scans that they were, for one plant. Pure.

What the record does not hold is inferred: whose trouble a scan without a word was, by its reasons.
Elapsed time is record time, but for steps of the clock: where these are known (they are events of
the record) they are taken out. A step back shows by itself, since the times of one source only grow
without one; then a period is taken to have passed.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from config.plant import ChannelType, Plant, Source
from drivers.reading import NO_FAULTS, NO_TIMES, Cause, Fault, Origin, Reason, Scan, Value
from monitor.replay.rows import Recorded, Row

MILLISECOND = 10**6
_SILENCE = frozenset(
    {
        Reason.LINE_DOWN,
        Reason.TIMED_OUT,
        Reason.BACKING_OFF,
        Reason.MALFORMED,
        Reason.BUSY,
        Reason.NOT_PROVEN,
    }
)
"""Reasons for which nothing at all was said."""


class Step(NamedTuple):
    """A step of the wall clock, as it was recorded (ns, UTC)."""

    before: int
    after: int


class _Place:
    """Where the readings of one source go."""

    __slots__ = ("channels", "heard", "last", "last_boot", "nothing", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.channels = {each.name: (i, each.type) for i, each in enumerate(source.channels)}
        self.nothing: tuple[None, ...] = (None,) * len(source.channels)
        self.last: int | None = None
        """Record time of its last scan; None before the first, and after a step back."""
        self.last_boot: int | None = None
        self.heard = False
        """Whether it has said anything since its line was last lost."""


class Scans:
    """Makes the scans of one plant, in the order of the record."""

    def __init__(self, plant: Plant, steps: Sequence[Step] = ()) -> None:
        self._places = {(each.equipment, each.name): _Place(each) for each in plant.sources}
        self._by_line: dict[str, list[_Place]] = {}
        for place in self._places.values():
            self._by_line.setdefault(place.source.line, []).append(place)
        self._proven: set[str] = set()
        """Lines on which anything was said since they were last lost."""
        self._steps = deque(steps)
        self._shift = 0
        """How far record time is ahead of elapsed time."""
        self.unknown: Counter[str] = Counter()
        """Readings that the plant has no channel for, by ``equipment/source/channel``."""

    def scan(self, of: Recorded) -> Scan | None:
        """Return the scan; None where nothing of it can be judged: late, a test, or unknown."""
        place = self._places.get((of.equipment, of.source))
        if place is None:
            self.unknown.update(f"{of.equipment}/{of.source}/{row.channel}" for row in of.rows)
            return None
        if of.origin is not Origin.LIVE:
            return None
        boot = self._elapsed(place, of.time)
        values: list[Value | None] = list(place.nothing)
        faults: dict[int, Fault] = {}
        times: dict[int, int] = {}
        spoke = self._lay(place, of.rows, values, faults, times)
        if not spoke:
            return None
        cause = self._cause(place, faults, spoke)
        place.last, place.last_boot = of.time, boot
        return Scan(
            place.source.index,
            of.time,
            boot,
            tuple(values),
            faults or NO_FAULTS,
            times or NO_TIMES,
            cause,
            spoke=None if len(spoke) == len(values) else frozenset(spoke),
        )

    def _lay(
        self,
        place: _Place,
        rows: Sequence[Row],
        values: list[Value | None],
        faults: dict[int, Fault],
        times: dict[int, int],
    ) -> list[int]:
        """Lay readings in their places, and return which channels spoke."""
        spoke = []
        for row in rows:
            index, type_ = place.channels.get(row.channel, (-1, ChannelType.TEXT))
            value = row.value if index < 0 or row.value is None else typed(row.value, type_)
            if index < 0 or (value is None) is not (row.value is None):
                self.unknown[f"{row.equipment}/{row.source}/{row.channel}"] += 1
                continue
            spoke.append(index)
            values[index] = value
            if row.fault is not None:
                faults[index] = row.fault
            if row.source_time is not None:
                times[index] = row.source_time
        return spoke

    def _elapsed(self, place: _Place, at: int) -> int:
        """Return the elapsed time of a scan at ``at``, both clocks taken to be one at first."""
        steps = self._steps
        while steps and steps[0].after > steps[0].before and at >= _to_ms(steps[0].after):
            self._shift += steps[0].after - steps[0].before
            steps.popleft()
        if place.last is not None and place.last_boot is not None and at < place.last:
            self._step_back(place.last_boot + place.source.period, at)
        return at - self._shift

    def _step_back(self, expected: int, at: int) -> None:
        steps = self._steps
        if steps and steps[0].after < steps[0].before:
            self._shift += steps[0].after - steps[0].before
            steps.popleft()
        else:
            self._shift = at - expected
        for place in self._places.values():
            place.last = None

    def _cause(self, place: _Place, faults: Mapping[int, Fault], spoke: Sequence[int]) -> Cause:
        """Whose trouble it is when nothing was said, by the reasons that were recorded."""
        line = place.source.line
        reasons = {faults[index].reason if index in faults else None for index in spoke}
        if Reason.SETTLING in reasons:
            place.heard = True
            self._proven.add(line)
            return Cause.SOURCE
        if len(spoke) < len(place.nothing) or not reasons <= _SILENCE:
            place.heard = True
            self._proven.add(line)
            return Cause.NONE
        if Reason.LINE_DOWN in reasons:
            self._proven.discard(line)
            for each in self._by_line[line]:
                each.heard = False
            return Cause.LINE
        if reasons == {Reason.NOT_PROVEN}:
            return Cause.LINE if place.heard else Cause.SOURCE
        return Cause.SOURCE if line in self._proven else Cause.LINE


def typed(value: Value, type_: ChannelType) -> Value | None:
    """Return ``value`` (out of CSV: its text) as the channel has it; None where it is no such."""
    match type_:
        case ChannelType.TEXT:
            return value if isinstance(value, str) else None
        case ChannelType.STATE:
            return (
                {"true": True, "false": False}.get(value)
                if isinstance(value, str)
                else _state(value)
            )
        case _ if isinstance(value, bool):
            return None
        case _ if isinstance(value, str):
            return _number(value, type_)
        case _:
            return value


def _state(value: Value) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(text: str, type_: ChannelType) -> float | None:
    try:
        return int(text) if type_ is ChannelType.COUNTER else float(text)
    except ValueError:
        return None


def _to_ms(time: int) -> int:
    return time // MILLISECOND * MILLISECOND
