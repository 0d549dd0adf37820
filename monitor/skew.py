"""By how much the clocks of devices are off, judged by the times that they give their values.

A value that has changed between two looks came to be after the first and before the second, so its
time by the device's clock lies between them too; by as much as it does not, that clock is off. A
value that stands keeps its old time, and one that is told for the first time may be old: neither
says anything. It costs nothing where readings pass: it looks, once a second, at what sources said
last.
Alarms never hang on a device's clock but for the one about it; what is spoilt are the source times.
"""

import logging
from collections import deque
from collections.abc import Iterable, Sequence

from config.lines import OpcUaLine
from config.plant import Plant, Source
from drivers.reading import Scan
from monitor.clock import synchronised
from monitor.recorder import Recorder

SECOND = 10**9
ENOUGH = 3
"""Changes in a row that must agree: a single time that jumps is a jump, not a clock."""
log = logging.getLogger(__name__)


def skew_of(before: Scan, scan: Scan, late: int) -> int | None:
    """Return by how much (ns) a source's clock is ahead of ours, less than nought when behind.

    ``before`` and ``scan`` are what the source said as a whole at two looks; ``late`` is how long
    (ns) after a change the server may tell of it. Nought is anything that may be right. Of several
    channels that changed the one counts that is nearest to us. None where none did.
    """
    earliest, latest = before.at - late, scan.at
    off = [time - min(max(time, earliest), latest) for time in _fresh(before, scan)]
    return min(off, key=abs, default=None)


def _fresh(before: Scan, scan: Scan) -> Iterable[int]:
    """Give the times of the channels that have changed."""
    for channel, time in scan.source_times.items():
        was, value = before.values[channel], scan.values[channel]
        stood = before.source_times.get(channel, time)
        if time != stood and was is not None and value is not None and value != was:
            yield time


class SourceSkew:
    """The clock behind one source, by its last few changes."""

    def __init__(self, index: int, key: str) -> None:
        self.index = index
        self.key = key
        """``equipment/source``."""
        self._before: Scan | None = None
        self._last: deque[int] = deque(maxlen=ENOUGH)

    @property
    def skew(self) -> int | None:
        """By how much (ns) it is ahead; None as long as too little has changed to know."""
        return min(self._last, key=abs) if len(self._last) == ENOUGH else None

    def look(self, scan: Scan | None, late: int) -> None:
        """Take note of what it said last."""
        if scan is None or scan is self._before:
            return
        off = None if self._before is None else skew_of(self._before, scan, late)
        if off is not None:
            self._last.append(off)
        self._before = scan

    def forget(self) -> None:
        """Begin anew: our own clock is not what it was."""
        self._before = None
        self._last.clear()


class LineSkew:
    """The clocks behind one line; called once a second, it says whether one of them is off."""

    def __init__(self, line: OpcUaLine, sources: Sequence[Source], recorder: Recorder) -> None:
        self.line = line.name
        self.sources = [SourceSkew(source.index, source.key) for source in sources]
        self._tolerance = line.opcua.clock_tolerance
        self._late = line.opcua.publishing + line.opcua.sampling
        self._recorder = recorder
        self._epoch = recorder.clock.epoch
        self._off: bool | None = None
        self._told: SourceSkew | None = None

    def __call__(self) -> bool | None:
        """Look, and return whether a clock is off; None as long as nobody knows.

        While our own clock is not kept, or after it stepped, no other one is judged by it.
        """
        if self._epoch != self._recorder.clock.epoch:
            self._epoch = self._recorder.clock.epoch
            self._forget()
        for source in self.sources:
            source.look(self._recorder.latest[source.index], self._late)
        worst = self.worst
        if worst is not None and worst.skew is not None:
            self._off = abs(worst.skew) > self._tolerance
            if self._off and synchronised() is False:
                self._forget()
        self._tell(worst if self._off else None)
        return self._off

    @property
    def worst(self) -> SourceSkew | None:
        """The source whose clock is off most; None where no clock is known."""
        known = [source for source in self.sources if source.skew is not None]
        return max(known, key=lambda source: abs(source.skew or 0), default=None)

    def _forget(self) -> None:
        for source in self.sources:
            source.forget()
        self._off = False if self._off is not None else None

    def _tell(self, off: SourceSkew | None) -> None:
        """Say in the log and on the record which clock it is, when that begins and ends."""
        if off is not None and self._told is None:
            self._told = off
            self._note("begin", off)
            log.warning("%s: the clock behind %s is %s", self.line, off.key, _words(off.skew or 0))
        elif off is None and self._told is not None:
            self._note("end", self._told)
            log.info("%s: the clock behind %s is off no more", self.line, self._told.key)
            self._told = None

    def _note(self, phase: str, source: SourceSkew) -> None:
        known = {} if source.skew is None else {"seconds": round(source.skew / SECOND, 3)}
        self._recorder.note("skew", source.key, {"phase": phase, **known})


def line_skews(plant: Plant, recorder: Recorder) -> list[LineSkew]:
    """Return those of the lines whose devices give the times of their values."""
    return [
        LineSkew(line, [s for s in plant.sources if s.line == name], recorder)
        for name, line in plant.lines.items()
        if isinstance(line, OpcUaLine)
    ]


def worst(lines: Iterable[LineSkew]) -> int | None:
    """Return what the clock that is off most is ahead of ours (ns); None where none is known."""
    found = [line.worst for line in lines]
    skews = [source.skew for source in found if source is not None and source.skew is not None]
    return max(skews, key=abs, default=None)


def _words(skew: int) -> str:
    return f"{abs(skew) / SECOND:.1f} s {'ahead of' if skew > 0 else 'behind'} ours"
