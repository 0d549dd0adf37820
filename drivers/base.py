"""The contract between the daemon and every kind of line.

Three things can go wrong, and they differ by type: a refused channel is a bad reading in a good
scan (``Fault``), a silent unit is a scan whose ``cause`` is the source, and a dead connection is a
``LineLost`` that leaves ``hold`` and makes every scan of the line bad until it is held again.
"""

from collections.abc import Callable
from typing import Protocol

from config.problems import plain
from drivers.reading import Moment, Scan

Clock = Callable[[], Moment]
"""Gives the instant; read in one place only (``monitor.clock``)."""

Emit = Callable[[Scan], None]
"""Takes a scan down the line. It never raises and never waits."""


class LineLost(Exception):  # noqa: N818 - it is an event of the plant, not a mistake in a program
    """The connection could not be made, or is gone; the text says why. Try again later."""

    def __init__(self, text: str) -> None:
        super().__init__(plain(text))


class Line(Protocol):
    """One connection and the sources behind it; made once, held again after every loss."""

    @property
    def name(self) -> str:
        """The line's name in the file."""

    @property
    def dropped(self) -> int:
        """Values that the device says it had to drop before we could have them, since the start.

        At least so many: an OPC UA server says that it dropped some, and not how many.
        Of a line that is polled nothing can be lost so: 0.
        """

    async def hold(self, held: Callable[[], None]) -> None:
        """Connect, call ``held`` once the connection stands, and stay until it is lost.

        Called again and again by ``monitor.supervise``, which does all waiting between tries.
        Raises ``LineLost``; never returns otherwise. When cancelled, it closes and lets go at once.
        """

    def visit(self, source: int) -> None:
        """A grid point of ``source`` has come; called from the event loop, must not block.

        Leads to exactly one scan handed to ``Emit``: the one read, the one held by a subscription,
        or a bad one with the reason; at once or when the reply is in. Where the scan of an earlier
        grid point is still under way, the point is skipped and counted in the next ``missed``.
        """
