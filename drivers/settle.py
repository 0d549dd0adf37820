"""What a source says soon after it has come back is not believed, where the site's file asks that.

An instrument that has just been switched on may answer at once, and say zero, or the last thing it
knew, until it has warmed up. For ``settle`` after the source has come back, its scans have no value
and the reason ``settling``; their cause is the source, so that its silence still speaks for its
channels and no rule begins to wait for a good reading. Pure.

Back it is when its line was lost, or when it left two requests in a row unanswered, or one for a
long time: a single reply that is lost is no reboot. What answers from our own start on has settled
long ago; what was away as we started has not.
"""

from collections.abc import Sequence

from config.plant import Source
from drivers.base import Emit
from drivers.meaning import bad
from drivers.reading import NO_TIMES, Cause, Reason, Scan

UNANSWERED = 2
"""Requests in a row without an answer, after which it may have been rebooted."""
LONG = 10 * 10**9
"""Without a word for so long (ns), it may have been rebooted though only one was asked."""
_NOT_ASKED = frozenset({Reason.BACKING_OFF, Reason.NOT_PROVEN})
"""Reasons of silence for which nothing was asked that could have been answered."""


class Settling:
    """One source: whether what it says is believed yet."""

    def __init__(self, settle: int) -> None:
        """``settle`` is how long it is not, in ns of elapsed time."""
        self._settle = settle
        self._away = False
        self._unanswered = 0
        self._heard: int | None = None
        """When (elapsed time) it last said anything."""
        self._until = 0

    def judge(self, scan: Scan) -> Scan | None:
        """Return the scan as it may be handed on.

        None for a change that comes while the source settles: its grid points say that it does.
        """
        if scan.cause is not Cause.NONE:
            self._miss(scan)
            return scan
        if self._away:
            self._until = scan.boot + self._settle
        self._away, self._unanswered, self._heard = False, 0, scan.boot
        if scan.boot >= self._until:
            return scan
        return unsettled(scan) if scan.spoke is None else None

    def _miss(self, scan: Scan) -> None:
        """Take note of a scan without a word from the source."""
        if scan.cause is Cause.LINE:
            self._away = True
        elif scan.cause is Cause.SOURCE and not _NOT_ASKED & _reasons(scan):
            self._unanswered += 1
            long = self._heard is not None and scan.boot - self._heard >= LONG
            self._away = self._away or long or self._unanswered >= UNANSWERED


def unsettled(scan: Scan) -> Scan:
    """Return a whole scan with every value taken out of it."""
    nothing = (None,) * len(scan.values)
    faults = dict.fromkeys(range(len(nothing)), bad(Reason.SETTLING))
    return scan._replace(values=nothing, faults=faults, source_times=NO_TIMES, cause=Cause.SOURCE)


def settled(sources: Sequence[Source], emit: Emit) -> Emit:
    """Return what takes the scans of these sources and hands them on as they may be believed."""
    settling = {each.index: Settling(each.settle) for each in sources if each.settle}
    if not settling:
        return emit

    def hand_on(scan: Scan) -> None:
        one = settling.get(scan.source)
        judged = scan if one is None else one.judge(scan)
        if judged is not None:
            emit(judged)

    return hand_on


def _reasons(scan: Scan) -> set[Reason]:
    return {fault.reason for fault in scan.faults.values()}
