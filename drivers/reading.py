"""What travels down the line: readings with their quality, and the scans that hold them.

A scan is columnar: a tuple of values in the order of ``Source.channels`` and, only for what is not
good, a fault by index. So the good case, which is nearly every case, costs nothing per reading.
``Scan.reading`` and ``Scan.readings`` give the row view to everyone who is not in a hurry.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeVar

Value = float | int | bool | str
_T = TypeVar("_T")


class Quality(IntEnum):
    """OPC UA's three grades, as they are stored."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(StrEnum):
    """Why a reading is not good: the word that is stored, shown and alarmed."""

    REFUSED = "refused"
    """the device answered, and refused this register"""
    TIMED_OUT = "timed_out"
    """the unit did not answer in time"""
    BUSY = "busy"
    """the device or the gateway before it said that it is busy or found nobody behind it"""
    BACKING_OFF = "backing_off"
    """the unit was silent and is only probed now and then"""
    LINE_DOWN = "line_down"
    """there is no connection"""
    MALFORMED = "malformed"
    """a reply came, and was not one to this request"""
    NOT_A_NUMBER = "not_a_number"
    """NaN or infinity"""
    SENTINEL = "sentinel"
    """a raw value by which the device says that it has none"""
    OUT_OF_RANGE = "out_of_range"
    """a value that cannot be true"""
    UNKNOWN_STATE = "unknown_state"
    """a raw value that has no name"""
    NOT_TEXT = "not_text"
    """bytes that are no text"""
    DEVICE_STATUS = "device_status"
    """the device itself calls the value doubtful or bad"""
    UNIT_MISMATCH = "unit_mismatch"
    """the device reports another engineering unit than the file says"""
    NOT_PROVEN = "not_proven"
    """a held value whose subscription is not proven alive"""
    LAST_USABLE = "last_usable"
    """the device repeats an old value"""
    SETTLING = "settling"
    """the device has just come back, and is not believed yet"""


class Cause(IntEnum):
    """Whose trouble it is when a whole scan failed; it decides which one alarm is raised."""

    NONE = 0
    """The source spoke; single channels may still be bad."""
    SOURCE = 1
    """The unit is silent, backing off or not settled yet; the line is well."""
    LINE = 2
    """There is no connection."""
    UNKNOWN = 3
    """The first connection is still being made: nobody can say yet."""


class Origin(StrEnum):
    """How a scan came to be; a tag, fixed for ever."""

    LIVE = "live"
    LATE = "late"
    TEST = "test"


class Fault(NamedTuple):
    """Why a reading is not good."""

    quality: Quality
    reason: Reason


class Moment(NamedTuple):
    """One instant on both clocks, integer nanoseconds."""

    at: int
    """Record time: UTC since 1970, never going backwards by itself."""
    boot: int
    """CLOCK_BOOTTIME: elapsed time, which no clock step touches; all durations run on it."""


class Reading(NamedTuple):
    """One channel's value; None exactly when the quality is bad."""

    value: Value | None
    quality: Quality
    reason: Reason | None
    source_time: int | None
    """UTC nanoseconds by the device's clock, where it has one."""


NO_FAULTS: Mapping[int, Fault] = MappingProxyType({})
NO_TIMES: Mapping[int, int] = MappingProxyType({})


class Scan(NamedTuple):
    """What one source said at one time."""

    source: int
    """Index into ``Plant.sources``."""
    at: int
    """Record time (ns, UTC): of the reply's last byte; of the grid point where none came."""
    boot: int
    """The same instant by CLOCK_BOOTTIME (ns)."""
    values: tuple[Value | None, ...]
    """One per channel of the source; None exactly where bad, or where ``spoke`` leaves it out."""
    faults: Mapping[int, Fault] = NO_FAULTS
    """By channel index, for every reading that is not good."""
    source_times: Mapping[int, int] = NO_TIMES
    """By channel index: the device's own time (ns, UTC)."""
    cause: Cause = Cause.NONE
    missed: int = 0
    """Grid points skipped since the last scan, because the one before was still being read."""
    origin: Origin = Origin.LIVE
    spoke: frozenset[int] | None = None
    """The channels that this scan is about; None: all (a subscription reports only changes)."""

    @property
    def moment(self) -> Moment:
        """When the scan was taken."""
        return Moment(self.at, self.boot)

    def reading(self, channel: int) -> Reading:
        """The reading of the channel with index ``channel``."""
        fault = self.faults.get(channel)
        time = self.source_times.get(channel)
        if fault is None:
            return Reading(self.values[channel], Quality.GOOD, None, time)
        return Reading(self.values[channel], fault.quality, fault.reason, time)

    def readings(self) -> Iterator[tuple[int, Reading]]:
        """Each channel that spoke, by index, with its reading."""
        for channel in range(len(self.values)):
            if self.spoke is None or channel in self.spoke:
                yield channel, self.reading(channel)


def over(before: Scan | None, scan: Scan) -> Scan | None:
    """What a source says as a whole after ``scan``, which may be about some channels only."""
    if scan.spoke is None:
        return scan
    if before is None:
        return None
    spoke, values = scan.spoke, list(before.values)
    for channel in spoke:
        values[channel] = scan.values[channel]
    return scan._replace(
        values=tuple(values),
        faults=_laid_over(before.faults, scan.faults, spoke),
        source_times=_laid_over(before.source_times, scan.source_times, spoke),
        spoke=None,
    )


def _laid_over(
    before: Mapping[int, _T], now: Mapping[int, _T], spoke: frozenset[int]
) -> Mapping[int, _T]:
    """What is known by channel, when those that spoke have ``now`` and nothing else."""
    if len(now) == len(spoke) or not before:
        return {**before, **now}
    return {**{channel: one for channel, one in before.items() if channel not in spoke}, **now}
