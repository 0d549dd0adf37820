"""Record time: the one file that reads a clock.

Record time is an anchor plus elapsed boot time, so it never goes backwards by itself. A wall clock
that is found behind by up to ten seconds is met slowly (record time runs a tenth slower until they
agree); a larger step back, or any step forward, is a new anchor and a new epoch, on the record.
What to do is decided in ``follow``, which is pure; ``RecordClock`` reads the clocks around it.
"""

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from drivers.reading import Moment
from monitor import timekeepers
from monitor.messages import rfc3339

MILLISECOND = 10**6
TOLERANCE = 50 * MILLISECOND
"""Differences below this are left alone: NTP slews."""
CLOSE = MILLISECOND // 10
"""Two clocks were read at one time when they were read within this."""
TRIES = 10
"""On a machine that is held up each time, the closest of so many pairs is taken."""
_TIMEX_BYTES = 256
"""More than ``struct timex`` takes on any architecture (208 on those with 64 bits)."""
_TIME_ERROR = 5
_LIBC = ctypes.CDLL(None)
"""Opened once: it is asked each second, and each opening leaves a class to the collector."""
SLEWED = 10 * 10**9
"""A wall clock behind by at most this is met slowly."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where record time starts from, and how fast it runs."""

    at: int
    """Record time (ns, UTC) at ``boot``."""
    boot: int
    slewing: bool = False
    """Whether record time runs a tenth slower than elapsed time."""
    epoch: int = 1
    """Counts the anchors that did not continue the one before."""

    def record_time(self, boot: int) -> int:
        """Return the record time (ns, UTC) at ``boot`` (ns, CLOCK_BOOTTIME)."""
        elapsed = boot - self.boot
        return self.at + (elapsed - elapsed // 10 if self.slewing else elapsed)


class ClockStep(NamedTuple):
    """The wall clock did not go on as elapsed time did."""

    kind: Literal["forward", "backward", "slewed"]
    before: int
    """Record time (ns, UTC) that the old anchor gives."""
    after: int
    """What the wall clock says."""
    epoch: int

    def told(self) -> dict[str, object]:
        """Return what the record says of it."""
        return {
            "kind": self.kind,
            "before": rfc3339(self.before),
            "after": rfc3339(self.after),
            "clock_epoch": self.epoch,
        }


def follow(anchor: Anchor, wall: int, boot: int) -> tuple[Anchor, ClockStep | None]:
    """Return the anchor to use from ``boot`` on, when the wall clock says ``wall`` (ns, UTC)."""
    record = anchor.record_time(boot)
    ahead = record - wall
    if abs(ahead) <= TOLERANCE:
        return (
            (Anchor(record, boot, epoch=anchor.epoch), None) if anchor.slewing else (anchor, None)
        )
    if 0 < ahead <= SLEWED:
        slewing = Anchor(record, boot, slewing=True, epoch=anchor.epoch)
        step = None if anchor.slewing else ClockStep("slewed", record, wall, anchor.epoch)
        return slewing, step
    epoch = anchor.epoch + 1
    kind: Literal["forward", "backward"] = "forward" if ahead < 0 else "backward"
    return Anchor(wall, boot, epoch=epoch), ClockStep(kind, record, wall, epoch)


def boot_id() -> str:
    """Return the kernel's name of this boot: elapsed times compare only within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def both_clocks() -> tuple[int, int]:
    """Return elapsed and wall time of one instant (``CLOCK_BOOTTIME``; UTC; ns).

    A process that is held up between the two would take its own delay for a step of the clock.
    """
    pairs = []
    for _ in range(TRIES):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        wall = time.time_ns()
        took = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - before
        pairs.append((took, before + took // 2, wall))
        if took <= CLOSE:
            break
    _, boot, wall = min(pairs)
    return boot, wall


def synchronised() -> bool | None:
    """Return whether the machine's clock is kept in step with another; None where nobody says.

    ``adjtimex(2)`` with no mode set only reads, and returns ``TIME_ERROR`` for an unsynchronised
    clock; chrony (with ``rtcsync``), ntpd and timesyncd all clear that. A service with
    ``ProtectClock``, as ours is, may not even ask: then the word of chrony counts, or of timesyncd.
    """
    if (kernel := _kernel_state()) >= 0:
        return kernel != _TIME_ERROR
    said = timekeepers.chrony()
    return timekeepers.timesyncd() if said is None else said


def _kernel_state() -> int:
    """Return what ``adjtimex`` returns; less than nought where it may not be asked."""
    adjtimex = getattr(_LIBC, "adjtimex", None)
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) if adjtimex else -1
    return state


class RecordClock:
    """Gives moments; told about steps by ``check``, which the daemon calls once a second."""

    def __init__(self) -> None:
        boot, wall = both_clocks()
        self._anchor = Anchor(wall, boot)
        self.boot_id = boot_id()

    def __call__(self) -> Moment:
        """Return this instant on both clocks."""
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return Moment(self._anchor.record_time(boot), boot)

    @property
    def epoch(self) -> int:
        """Changes whenever record time did not simply go on."""
        return self._anchor.epoch

    def ahead(self) -> int:
        """Return by how much (ns) record time is ahead of the wall clock just now."""
        boot, wall = both_clocks()
        return self._anchor.record_time(boot) - wall

    def resume(self, last: int, epoch: int, known: Moment | None = None) -> ClockStep | None:
        """Go on after ``last`` (ns, UTC), the newest time on the record, and ``epoch``, its epoch.

        A wall clock that is behind the record by a little is met slowly; one that is far behind
        is believed, and the step that is returned must go on the record. ``known`` is an instant
        on the record, of this boot: by it steps of more than ``SLEWED`` show, forward ones too,
        that were made while nobody looked.
        """
        boot, wall = both_clocks()
        due = wall if known is None else known.at + boot - known.boot
        if abs(due - wall) > SLEWED:
            self._anchor, step = follow(Anchor(due, boot, epoch=epoch), wall, boot)
            return step
        if wall > last:
            self._anchor = Anchor(wall, boot, epoch=epoch)
            return None
        self._anchor, step = follow(Anchor(last + MILLISECOND, boot, epoch=epoch), wall, boot)
        return step

    def check(self) -> ClockStep | None:
        """Compare with the wall clock; return the step if it made one."""
        boot, wall = both_clocks()
        self._anchor, step = follow(self._anchor, wall, boot)
        return step
