"""An OPC UA line: one session and the sources that live on its subscriptions."""

from collections.abc import Callable, Sequence
from pathlib import Path

from config.lines import OpcUaLine as LineSettings
from config.plant import Source
from drivers.base import Clock, Emit, LineLost
from drivers.reading import Cause, Fault, Quality, Reason, Scan


class OpcUaLine:
    """One OPC UA server and the nodes behind it (a ``drivers.base.Line``)."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a line is made of
        self,
        settings: LineSettings,
        sources: Sequence[Source],
        clock: Clock,
        emit: Emit,
        gateway: str,  # noqa: ARG002 - names the client
        directory: Path,  # noqa: ARG002 - keeps its certificate
    ) -> None:
        self._settings = settings
        self._sources = {source.index: source for source in sources}
        self._clock = clock
        self._emit = emit
        self.dropped = 0

    @property
    def name(self) -> str:
        """The line's name in the file."""
        return self._settings.name

    async def hold(self, held: Callable[[], None]) -> None:  # noqa: ARG002 - see below
        """See ``drivers.base.Line``."""
        raise LineLost(f"{self._settings.opcua.endpoint}: no session")

    def visit(self, source: int) -> None:
        """See ``drivers.base.Line``."""
        now = self._clock()
        channels = self._sources[source].channels
        fault = Fault(Quality.BAD, Reason.LINE_DOWN)
        faults = dict.fromkeys(range(len(channels)), fault)
        none = (None,) * len(channels)
        self._emit(Scan(source, now.at, now.boot, none, faults, cause=Cause.UNKNOWN))
