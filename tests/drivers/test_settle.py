"""What a source says soon after it has come back is not believed, where the file asks that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.lines import Line as Settings
from config.lines import Modbus, ModbusLine, OpcUaLine
from config.plant import Plant, Source
from config.rules import Silent
from config.site import StoreSettings
from drivers import open_lines
from drivers.base import LineLost
from drivers.meaning import bad
from drivers.reading import Cause, Quality, Reason, Scan
from drivers.settle import settled
from tests.drivers.modbus.harness import now, words
from tests.drivers.modbus.harness import source as registers
from tests.drivers.modbus.hostile import Asked, Hostile, silent
from tests.drivers.opcua.harness import PH, channel, settings
from tests.drivers.opcua.harness import source as nodes
from tests.support.opcua_servers import Change, OpcUaServer
from tests.support.servers import HOST
from tests.support.waiting import eventually

SECOND = 10**9
SETTLE = 30
LOST, SILENT, RESTING, BUSY, START = "lost", "silent", "resting", "busy", "start"
BLANK: Mapping[str, tuple[Cause, Reason]] = {
    LOST: (Cause.LINE, Reason.LINE_DOWN),
    SILENT: (Cause.SOURCE, Reason.TIMED_OUT),
    RESTING: (Cause.SOURCE, Reason.BACKING_OFF),
    BUSY: (Cause.SOURCE, Reason.BUSY),
    START: (Cause.UNKNOWN, Reason.LINE_DOWN),
}
Said = str | float
Step = tuple[float, Said]


def said(second: float, what: Said, index: int = 0) -> Scan:
    """A scan with that value in both channels, or with none for that reason."""
    boot = round(second * SECOND)
    if isinstance(what, str):
        cause, reason = BLANK[what]
        faults = dict.fromkeys((0, 1), bad(reason))
        return Scan(index, boot, boot, (None, None), faults, cause=cause)
    return Scan(index, boot, boot, (what, what), source_times={0: boot})


def through(scans: Sequence[Scan]) -> list[Scan]:
    """What is handed on of these: the first source settles, the second does not."""
    handed: list[Scan] = []
    first = replace(registers(0, words(0, 1)), settle=SETTLE * SECOND)
    take = settled([first, registers(1, words(0, 1))], handed.append)
    for scan in scans:
        take(scan)
    return handed


def believed(steps: Sequence[Step], index: int = 0) -> list[float]:
    """The seconds at which a value came through."""
    handed = through([said(*step, index) for step in steps])
    assert len(handed) == len(steps)
    return [scan.boot / SECOND for scan in handed if scan.cause is Cause.NONE]


def each_second(first: int, last: int, what: Said) -> list[Step]:
    return [(second, what) for second in range(first, last + 1)]


@pytest.mark.parametrize(
    ("steps", "first"),
    [
        ([(0, 0.0)], 0),
        ([(0, START), (1, 0.0)], 1),
        ([(0, 1.0), (1, LOST), (2, 0.0), *each_second(3, 40, 1.0)], 2 + SETTLE),
        ([(0, LOST), (2, 0.0), *each_second(3, 40, 1.0)], 2 + SETTLE),
        ([(0, 1.0), (1, SILENT), (2, RESTING), (3, 1.0)], 3),
        ([(0, 1.0), (1, SILENT), (2, SILENT), *each_second(3, 40, 1.0)], 3 + SETTLE),
        ([(0, 1.0), (1, BUSY), (2, RESTING), (4, BUSY), *each_second(5, 40, 1.0)], 5 + SETTLE),
        ([(0, 1.0), (60, SILENT), (120, 0.0), (180, 1.0)], 180),
        ([(0, 1.0), (1, SILENT), (2, 1.0), (3, SILENT), (4, 1.0)], 4),
        ([(0, LOST), (1, 1.0), (9, LOST), *each_second(10, 50, 1.0)], 10 + SETTLE),
        ([(0, LOST), (1, 1.0), (9, SILENT), *each_second(10, 40, 1.0)], 1 + SETTLE),
    ],
    ids=[
        "what speaks as we start has settled",
        "and so it has when our first try took a while",
        "a line that was lost",
        "what was away as we started",
        "a reply that was lost is no reboot",
        "two in a row may be one",
        "busy and resting: two were asked",
        "one that is asked once a minute",
        "now and then a lost reply",
        "lost anew: it settles anew",
        "a reply lost while it settles",
    ],
)
def test_it_is_believed_from_then_on(steps: Sequence[Step], first: float) -> None:
    last_away = max((at for at, what in steps if what in {LOST, SILENT, BUSY, START}), default=-1)
    assert next(at for at in believed(steps) if at > last_away) == first


def test_what_settles_has_no_value_and_says_why() -> None:
    *_, settling = through([said(0, LOST), said(1, 0.0)])
    for index, reading in settling.readings():
        assert index in {0, 1}
        assert reading == (None, Quality.BAD, Reason.SETTLING, None)
    assert settling.cause is Cause.SOURCE, "its silence still speaks for its channels"


def test_a_change_that_comes_while_it_settles_is_nobodys() -> None:
    change = Scan(0, 0, 2 * SECOND, (0.0, None), spoke=frozenset({0}))
    later = change._replace(boot=40 * SECOND)
    handed = through([said(0, LOST), said(1, 0.0), change, later])
    assert [scan.boot // SECOND for scan in handed] == [0, 1, 40]
    assert handed[-1] == later


def test_who_is_not_asked_to_settle_never_does() -> None:
    assert believed([(0, 1.0), (1, LOST), (2, 0.0)], index=1) == [0, 2]


@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from([*BLANK, 0.0])), max_size=40))
def test_a_value_comes_through_only_long_after_a_loss(gaps: list[tuple[int, Said]]) -> None:
    """And what comes through is what was said, in its order and at its time."""
    at, scans = 0, []
    for gap, what in gaps:
        at += gap
        scans.append(said(at, what))
    handed = through(scans)
    assert [scan.boot for scan in handed] == [scan.boot for scan in scans]
    back: int | None = None
    lost = False
    for given_, scan in zip(scans, handed, strict=True):
        if given_.cause is Cause.NONE:
            back = scan.boot if lost else back
            lost = False
            settling = back is not None and scan.boot - back < SETTLE * SECOND
            assert not (settling and scan.cause is Cause.NONE)
        else:
            assert scan == given_
            lost = lost or given_.cause is Cause.LINE
        assert scan == given_ or scan.cause is Cause.SOURCE


# Both wires, with a device that is switched off and says zero when it is back


def plant(line: Settings, source: Source) -> Plant:
    silences = {line.name: Silent(name="silent")}
    return Plant(
        "site", "gw-1", {line.name: line}, silences, (), (source,), StoreSettings(), None, None, "",
        "",
    )  # fmt: skip


@asynccontextmanager
async def watched(line: Settings, source: Source, folder: Path) -> AsyncIterator[list[Scan]]:
    """Read the source, five times a second, into what is yielded."""
    scans: list[Scan] = []
    [opened] = open_lines(plant(line, source), now, scans.append, folder)

    async def hold() -> None:
        while True:
            with contextlib.suppress(LineLost):
                await opened.hold(lambda: None)
            await asyncio.sleep(0.1)

    async def visit() -> None:
        while True:
            opened.visit(0)
            await asyncio.sleep(0.2)

    tasks = [asyncio.create_task(hold()), asyncio.create_task(visit())]
    try:
        yield scans
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def values(scans: Sequence[Scan]) -> set[object]:
    return {value for scan in scans for value in scan.values if value is not None}


def settling(scans: Sequence[Scan]) -> bool:
    return any(fault.reason is Reason.SETTLING for scan in scans for fault in scan.faults.values())


def zeros(asked: Asked) -> Sequence[bytes]:
    return [asked.frame(payload=bytes(2 * asked.count))]


def away(scans: Sequence[Scan]) -> bool:
    """Whether the line was lost, or two requests in a row were not answered."""
    reasons = [scan.faults[0].reason if scan.faults else None for scan in scans]
    return reasons[-1:] == [Reason.LINE_DOWN] or reasons.count(Reason.TIMED_OUT) > 1


# The longest that a site may write: however slow this machine is, it is not over.
LONGEST = 900 * SECOND


@pytest.mark.parametrize("plug", [True, False], ids=["the line is lost", "the unit is silent"])
async def test_zeros_after_a_reboot_are_no_values_over_modbus(plug: bool, tmp_path: Path) -> None:
    async with Hostile() as device:
        line = ModbusLine(name="line", modbus=Modbus(host=HOST, port=device.port))
        source = replace(registers(0, words(4, 5), timeout=50), settle=LONGEST)
        async with watched(line, source, tmp_path) as scans:
            await eventually(lambda: values(scans) == {1004.0, 1005.0})
            device.usual = silent
            if plug:
                await device.stop()
            await eventually(lambda: away(scans))
            device.usual = zeros
            if plug:
                await device.listen()
            await eventually(lambda: settling(scans))
        assert values(scans) == {1004.0, 1005.0}


@pytest.mark.real
@pytest.mark.timeout(240)
async def test_zeros_after_a_reboot_are_no_values_over_opcua(tmp_path: Path) -> None:
    with OpcUaServer(tmp_path, "asyncua", [PH]) as server:
        line = OpcUaLine(name="line", opcua=settings(server.endpoint))
        source = replace(nodes([channel(PH)]), settle=LONGEST)
        async with watched(line, source, tmp_path) as scans:
            await eventually(lambda: values(scans) == {7.0}, 60)
            server.kill()
            await eventually(lambda: away(scans), 60)
            server.nodes[PH.id] = replace(PH, value=0.0)
            server.start()
            await eventually(lambda: settling(scans), 60)
            server.set(Change(PH.id, 0.5))
            seen = len(scans)
            await eventually(lambda: len(scans) > seen + 5)
        assert values(scans) == {7.0}
