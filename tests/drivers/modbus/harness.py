"""Sources made by hand, and a line under test that keeps every scan it gives."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Self

from config.lines import Modbus
from config.lines import ModbusLine as Settings
from config.plant import Channel, ChannelType, Encoding, Grouping, Register, Source, Table
from config.rules import Silent
from drivers.base import LineLost
from drivers.modbus.line import ModbusLine, Sweeper
from drivers.reading import Moment, Scan
from tests.support.waiting import eventually

MILLISECOND = 10**6


def now() -> Moment:
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return Moment(time.time_ns(), boot)


def words(*addresses: int) -> list[Register]:
    """Holding registers with a plain number each."""
    return [Register(Table.HOLDING, address, Encoding.UINT16) for address in addresses]


def source(
    index: int = 0,
    registers: Sequence[Register] = (),
    *,
    unit: int = 1,
    period: float = 1000,
    timeout: float = 50,
    grouping: Grouping | None = None,
    line: str = "line",
) -> Source:
    """A source of analog channels; period and time-out in milliseconds."""
    channels = tuple(
        Channel(f"c{number}", ChannelType.ANALOG, "", register)
        for number, register in enumerate(registers or words(0, 1, 2))
    )
    return Source(
        index,
        f"equipment-{index}",
        "source",
        line,
        unit,
        round(period * MILLISECOND),
        round(timeout * MILLISECOND),
        channels,
        grouping or Grouping(),
        Silent(name="silent"),
    )


class Held(AbstractAsyncContextManager["Held"]):
    """A line that is held again at once after each loss, and the scans that it gave."""

    def __init__(
        self,
        port: int,
        *sources: Source,
        pause: float = 0,
        framing: Literal["tcp", "rtu-over-tcp"] = "tcp",
        connect_timeout: float = 500,
    ) -> None:
        modbus = Modbus(
            host="127.0.0.1",
            port=port,
            connect_timeout=round(connect_timeout * MILLISECOND),
            framing=framing,
            pause=round(pause * MILLISECOND),
        )
        self.sources = sources
        self.scans: list[Scan] = []
        self.visits: Counter[int] = Counter()
        self.overruns: Counter[int] = Counter()
        self.losses: list[str] = []
        self.held = 0
        self.line = ModbusLine(
            Settings(name="line", modbus=modbus), sources, now, self._take, Sweeper(0.005)
        )
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._hold())
        await self.until(lambda: self.line._transport is not None or bool(self.losses))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for given in self.sources:
            scans = [scan for scan in self.scans if scan.source == given.index]
            assert len(scans) == self.visits[given.index] - self.overruns[given.index]
            assert sum(scan.missed for scan in scans) >= self.overruns[given.index]
            self.believe(given)

    def believe(self, given: Source) -> None:
        """No reading may have any value but the one that lies at its address."""
        for scan in self.scans:
            if scan.source == given.index:
                for channel, reading in scan.readings():
                    address = given.channels[channel].register.address
                    assert reading.value in {None, 1000.0 * given.unit + address}
                    assert (reading.value is None) == (reading.reason is not None)

    async def until(self, condition: Callable[[], bool]) -> None:
        await eventually(condition)

    def visit(self, index: int = 0) -> None:
        self.visits[index] += 1
        self.overruns[index] += self.line._polls[index].busy
        self.line.visit(index)

    async def read(self, index: int = 0) -> Scan:
        """Visit the source and return its scan."""
        before = len(self.scans)
        self.visit(index)
        async with asyncio.timeout(60):
            while not any(scan.source == index for scan in self.scans[before:]):
                self._came.clear()
                await self._came.wait()
        return next(scan for scan in self.scans[before:] if scan.source == index)

    async def read_good(self, index: int = 0) -> Scan:
        """Visit the source until all of it is good."""
        async with asyncio.timeout(60):
            while True:
                scan = await self.read(index)
                if not scan.faults:
                    return scan
                await asyncio.sleep(0.005)

    def _take(self, scan: Scan) -> None:
        self.scans.append(scan)
        self._came.set()

    def _stands(self) -> None:
        self.held += 1

    async def _hold(self) -> None:
        while True:
            try:
                await self.line.hold(self._stands)
            except LineLost as error:
                self.losses.append(str(error))
            await asyncio.sleep(0.01)
