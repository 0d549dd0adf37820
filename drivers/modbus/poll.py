"""What a line remembers of its sources and units from one request to the next. No I/O.

A visit of a source goes through its parts, one request each. What is refused or silent rests for a
while, longer each time, so that it costs the others little: a part alone where its unit answers
to others, else the whole unit. A part of several channels that is refused is halved on the spot,
so that in the same scan no channel but the refused one is bad.
Times are seconds of the event loop's clock, unless they are called moments.
"""

import random
from collections.abc import Mapping

from config.plant import Source
from drivers.meaning import bad
from drivers.modbus.decode import Decoded, Decoder
from drivers.modbus.frame import Request
from drivers.modbus.plan import Block, halves, plan
from drivers.points import Points
from drivers.reading import NO_FAULTS, NO_TIMES, Cause, Fault, Moment, Reason, Scan, Value

SECOND = 10**9
LONGEST_REST = 30.0
"""A silent unit is probed, a refused or silent part asked again, after this at the latest."""
REPLAN = 600.0
"""Blocks that were halved are tried whole again after this."""


def rest(first: float, failures: int) -> float:
    """Return for how long to leave alone what failed so many times in a row (from 1).

    Doubling and jittered, but never next to nothing as full jitter may be: a probe of a silent
    unit takes the line from the others for as long as a time-out.
    """
    longest = min(LONGEST_REST, first * 2.0 ** min(failures - 1, 16))
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter is no secret


class Unit:
    """One unit behind the line: whether it speaks."""

    __slots__ = ("failures", "late", "number", "silent_until")

    def __init__(self, number: int) -> None:
        self.number = number
        self.failures = 0
        """Requests in a row that it did not answer."""
        self.silent_until = 0.0
        """Left alone until then."""
        self.late = False
        """Whether it answers after its time; then it is given all of it when it is probed."""

    def fail(self, now: float, timeout: float) -> None:
        """Take note of a request without an answer, and leave the unit alone for a while."""
        self.failures += 1
        self.silent_until = now + rest(timeout, self.failures)

    def speak(self) -> None:
        """Take note of an answer in time."""
        self.failures = 0
        self.silent_until = 0.0
        self.late = False


class Part:
    """One block of a source, and how it fared."""

    __slots__ = ("block", "decoder", "failures", "reason", "request", "rests_until")

    def __init__(self, block: Block, source: Source) -> None:
        self.block = block
        self.decoder = Decoder(block, source.channels)
        self.request = Request(source.unit, block.table, block.address, block.count)
        self.failures = 0
        self.rests_until = 0.0
        self.reason = Reason.REFUSED
        """What is said of its channels while it rests."""

    def fail(self, now: float, period: float, reason: Reason) -> None:
        """Take note of a refusal or silence of this part alone, and let it rest."""
        self.failures += 1
        self.rests_until = now + rest(2 * period, self.failures)
        self.reason = reason

    @property
    def is_refused(self) -> bool:
        """Whether the unit refused it the last time that it was asked."""
        return self.failures > 0 and self.reason is Reason.REFUSED

    def recover(self) -> None:
        """Take note that it was read."""
        self.failures = 0
        self.rests_until = 0.0


class Poll:
    """One source as its line polls it: the visit under way, and what earlier ones taught."""

    def __init__(self, source: Source, unit: Unit) -> None:
        self.source = source
        self.unit = unit
        self.timeout = source.timeout / SECOND
        self.busy = False
        """A visit is under way, or waits for its turn."""
        self.started = False
        """Whether its turn has come."""
        self.answered = False
        """Whether the unit answered anything in this visit."""
        self.moment = Moment(0, 0)
        """Of the grid point; once there was one, of the last answer."""
        self.whole = False
        """Whether there is one part, whose values are the scan's just as they are."""
        self.refused: set[Block] = set()
        """Blocks whose refusal was told; until they are read, there is nothing new to tell."""
        self._period = source.period / SECOND
        self._registers = [channel.register for channel in source.channels]
        self._nothing: tuple[None, ...] = (None,) * len(source.channels)
        self._planned = [Part(block, source) for block in plan(self._registers, source.grouping)]
        self._parts: list[Part] = []
        self._next = 0
        self._replan_at = 0.0
        self.points = Points(source.period)
        self._spoke = False
        """Whether the unit said anything about its registers, be it that it refuses them."""
        self._values: list[Value | None] = []
        self._faults: dict[int, Fault] = {}
        self._set_parts(self._planned)

    # Grid points

    def await_turn(self, moment: Moment) -> None:
        """Let a visit wait for the line."""
        self.busy = True
        self.started = False
        self.moment = moment

    # A visit

    def start(self, now: float) -> None:
        """Begin to read."""
        self.started = True
        self.answered = self._spoke = False
        self._next = 0
        self._values = list(self._nothing)
        self._faults = {}
        if self._replan_at and now >= self._replan_at:
            self._replan_at = 0.0
            self._set_parts(self._planned)

    def next_part(self, now: float) -> Part | None:
        """Return the part to ask for now; None when the visit is complete."""
        while self._next < len(self._parts):
            part = self._parts[self._next]
            if part.rests_until <= now:
                return part
            self._spoil(part, part.reason)
            self._spoke = self._spoke or part.reason is Reason.REFUSED
            self._next += 1
        return None

    @property
    def part(self) -> Part:
        """The part that was asked for."""
        return self._parts[self._next]

    def read(self, decoded: Decoded, moment: Moment) -> None:
        """Take what the part says."""
        part = self.part
        values, faults = decoded
        for channel, value in zip(part.block.channels, values, strict=True):
            self._values[channel] = value
        self._faults.update(faults)
        self._spoke = True
        part.recover()
        self.refused.discard(part.block)
        self._answer(moment)
        self._next += 1

    def put_off(self, moment: Moment) -> None:
        """Take it that the unit has no time for this part now."""
        self._spoil(self.part, Reason.BUSY)
        self._answer(moment)
        self._next += 1

    def refuse(self, moment: Moment, now: float) -> Part | None:
        """Take it that the part is refused; return it where it cannot be halved any more."""
        part = self.part
        self._spoke = True
        self._answer(moment)
        smaller = halves(part.block, self._registers)
        if smaller:
            self._halve([Part(block, self.source) for block in smaller], now)
            return None
        self._spoil(part, Reason.REFUSED)
        part.fail(now, self._period, Reason.REFUSED)
        self._next += 1
        return part

    def give_up(self, reason: Reason, now: float) -> None:
        """Read no further, since the part got no reply; let it rest, or its unit.

        The part goes to the end, so that it is another one by which the unit is probed.
        """
        part = self.part
        self.spoil(reason)
        self._parts.append(self._parts.pop(self._next))
        if self.answered:
            part.fail(now, self._period, Reason.BACKING_OFF)
        else:
            self.unit.fail(now, self.timeout)

    def spoil(self, reason: Reason) -> None:
        """Make bad, for this reason, everything that was not read yet."""
        for part in self._parts[self._next :]:
            self._spoil(part, reason)

    # Its end

    def scan(self, cause: Cause) -> Scan:
        """End the visit with what was read; where nothing was said, ``cause`` is to blame."""
        if self._replan_at and all(part.is_refused for part in self._parts):
            self._rejoin()
        faults = self._faults or NO_FAULTS
        cause = Cause.NONE if self._spoke else cause
        return self._end(self.moment, tuple(self._values), faults, cause)

    def whole_scan(self, decoded: Decoded, moment: Moment) -> Scan:
        """End the visit of a source that is read as a whole, with what its one part says."""
        part = self._parts[0]
        if part.failures:
            part.recover()
        if self.refused:
            self.refused.clear()
        values, faults = decoded
        return self._end(moment, values, faults, Cause.NONE)

    def bad_scan(self, reason: Reason, cause: Cause, moment: Moment) -> Scan:
        """Give a scan with nothing read."""
        faults = dict.fromkeys(range(len(self._nothing)), bad(reason))
        return self._end(moment, self._nothing, faults, cause)

    def _end(
        self,
        moment: Moment,
        values: tuple[Value | None, ...],
        faults: Mapping[int, Fault],
        cause: Cause,
    ) -> Scan:
        missed = self.points.take_missed()
        self.busy = False
        at, boot = moment
        return Scan(self.source.index, at, boot, values, faults, NO_TIMES, cause, missed)

    def _answer(self, moment: Moment) -> None:
        self.moment = moment
        self.answered = True

    def _spoil(self, part: Part, reason: Reason) -> None:
        fault = bad(reason)
        for channel in part.block.channels:
            self._faults[channel] = fault

    def _set_parts(self, parts: list[Part]) -> None:
        self._parts = list(parts)
        everything = tuple(range(len(self._registers)))
        self.whole = len(parts) == 1 and parts[0].block.channels == everything

    def _halve(self, smaller: list[Part], now: float) -> None:
        """Put the halves in the place of the part that was refused."""
        parts = self._parts
        self._set_parts(parts[: self._next] + smaller + parts[self._next + 1 :])
        self._replan_at = now + REPLAN

    def _rejoin(self) -> None:
        """Undo the halving, which taught nothing: all is refused alike, so let it rest alike."""
        resting = max(self._parts, key=lambda part: part.rests_until)
        for part in self._planned:
            part.failures = max(part.failures, resting.failures)
            part.rests_until = resting.rests_until
            part.reason = resting.reason
        self._replan_at = 0.0
        self._set_parts(self._planned)
