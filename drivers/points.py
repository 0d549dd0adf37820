"""The grid points of one source: which were reached, and how many went by without a scan. Pure."""


class Points:
    """Counts what is missed of a grid of ``period`` ns."""

    def __init__(self, period: int) -> None:
        self._period = period
        self._due = 0
        self._missed = 0

    def reach(self, boot: int) -> None:
        """Take note of the grid point at ``boot`` (ns), and of any before it that never came."""
        due = self._due + self._period
        if boot < due or not self._due:
            self._due = boot
        else:
            missed = (boot - due) // self._period
            self._missed += missed
            self._due = due + missed * self._period

    def skip(self) -> None:
        """Pass over a grid point, because the scan of an earlier one is still under way."""
        self._missed += 1

    def take_missed(self) -> int:
        """Return how many were missed since the last call."""
        missed, self._missed = self._missed, 0
        return missed
