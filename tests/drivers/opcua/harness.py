"""Sources of nodes made by hand, and a line under test that keeps every scan it gives."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Self

from config.lines import OpcUa
from config.lines import OpcUaLine as Settings
from config.plant import Channel, ChannelType, Grouping, Source
from config.plant import Node as Address
from config.rules import Silent
from drivers.base import LineLost
from drivers.opcua.line import OpcUaLine
from drivers.reading import Cause, Moment, Quality, Reading, Reason, Scan
from tests.support.opcua_servers import OTHER, Node, OpcUaServer
from tests.support.waiting import eventually

MILLISECOND = 10**6
SECOND = 10**9

PH = Node("s=R3.pH", 7.0, unit="pH")
WEIGHT = Node("s=R3.Weight", 3.0, "Float", unit="kg", namespace=OTHER)
PHASE = Node("i=77", 1, "Int32")
NODES = (PH, WEIGHT, PHASE)
GOOD = (7.0, 3.0, "growth")
"""What these say as they start."""


def now() -> Moment:
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return Moment(time.time_ns(), boot)


def address(node: Node) -> Address:
    return Address(namespace=node.namespace, identifier=node.identifier, unit=node.unit)


def channel(node: Node, kind: ChannelType = ChannelType.ANALOG, **names: str) -> Channel:
    """A channel of that node; ``_0="closed"`` names raw values."""
    named = {int(key.removeprefix("_")): name for key, name in names.items()}
    return Channel(node.identifier, kind, "", address(node), names=named)


def source(
    channels: Sequence[Channel], index: int = 0, *, period: float = 1000, line: str = "line"
) -> Source:
    """A source of these channels; the period in milliseconds."""
    return Source(
        index,
        f"equipment-{index}",
        "source",
        line,
        0,
        round(period * MILLISECOND),
        SECOND,
        tuple(channels),
        Grouping(),
        Silent(name="silent"),
    )


def reactor(index: int = 0, *more: Channel, period: float = 200) -> Source:
    """The source of ``NODES``, and of more."""
    phase = channel(PHASE, ChannelType.TEXT, _0="lag", _1="growth", _2="harvest")
    return source([channel(PH), channel(WEIGHT), phase, *more], index, period=period)


def settings(endpoint: str, **given: object) -> OpcUa:
    """How to reach a server that is not lost because the machine is busy for a moment."""
    usual: Mapping[str, object] = {"keep_alive": "10s", "publishing": "100ms", "timeout": "20s"}
    return OpcUa.model_validate({"endpoint": endpoint, "connect_timeout": "60s", **usual, **given})


SOON: Mapping[str, object] = {"keep_alive": "1s", "timeout": "2s"}
"""The shortest times that a site may write, where a server is to be found silent."""


class Held(AbstractAsyncContextManager["Held"]):
    """A line that is held again soon after each loss, and the scans that it gave."""

    def __init__(self, opcua: OpcUa, folder: Path, *sources: Source, grid: bool = True) -> None:
        self.sources = sources
        self.scans: list[Scan] = []
        self.losses: list[str] = []
        self.held = 0
        self.line = OpcUaLine(
            Settings(name="line", opcua=opcua), sources, now, self.scans.append, "gw-1", folder
        )
        self._grid = grid
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._hold())]
        if self._grid:
            self._tasks += [asyncio.create_task(self._visit(given)) for given in self.sources]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
        self.believe()

    def believe(self) -> None:
        """A reading has no value exactly when it is bad, and bears a reason when it is not good."""
        for scan in self.scans:
            for _, reading in scan.readings():
                assert (reading.value is None) == (reading.quality is Quality.BAD)
                assert (reading.reason is None) == (reading.quality is Quality.GOOD)

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        await eventually(condition, seconds)

    async def until_good(self, source: int = 0) -> Scan:
        """Wait for a whole scan of the source in which everything is good, and return it."""
        seen = len(self.scans)

        def good() -> Scan | None:
            return next((s for s in self.full(source, seen) if not s.faults), None)

        await self.until(lambda: good() is not None)
        scan = good()
        assert scan is not None
        return scan

    async def until_reads(self, reason: Reason, channel: int = 0, source: int = 0) -> Scan:
        """Wait for a grid scan in which the channel is bad for that reason."""
        seen = len(self.scans)

        def bad() -> Scan | None:
            scans = self.full(source, seen)
            return next((s for s in scans if s.reading(channel).reason is reason), None)

        await self.until(lambda: bad() is not None)
        scan = bad()
        assert scan is not None
        return scan

    def full(self, source: int = 0, since: int = 0) -> Iterator[Scan]:
        return (s for s in self.scans[since:] if s.source == source and s.spoke is None)

    def told(self, channel: int, source: int = 0, since: int = 0) -> list[Reading]:
        """What was said of a channel, whenever it spoke; grid points repeat what is held."""
        scans = (scan for scan in self.scans[since:] if scan.source == source)
        return [
            scan.reading(channel) for scan in scans if scan.spoke is None or channel in scan.spoke
        ]

    def changes(self, channel: int, source: int = 0, since: int = 0) -> list[object]:
        """The values that the channel went through, each once."""
        values = [reading.value for reading in self.told(channel, source, since)]
        return [v for i, v in enumerate(values) if v is not None and (not i or values[i - 1] != v)]

    def causes(self, since: int = 0) -> set[Cause]:
        return {scan.cause for scan in self.scans[since:]}

    async def _visit(self, given: Source) -> None:
        while True:
            self.line.visit(given.index)
            await asyncio.sleep(given.period / SECOND)

    def _stands(self) -> None:
        self.held += 1

    async def _hold(self) -> None:
        while True:
            try:
                await self.line.hold(self._stands)
            except LineLost as error:
                self.losses.append(str(error))
            await asyncio.sleep(0.2)


def held(server: OpcUaServer, folder: Path, *sources: Source, **given: object) -> Held:
    return Held(settings(server.endpoint, **given), folder, *sources)
