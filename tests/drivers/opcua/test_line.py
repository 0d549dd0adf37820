"""The line before real servers of two makes, each in a process of its own."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.plant import ChannelType
from drivers.reading import Cause, Reason
from tests.drivers.opcua.harness import channel, held, source
from tests.support.opcua_servers import MAKES, OTHER, VENDOR, Change, Make, Node, OpcUaServer

pytestmark = pytest.mark.real

PH = Node("s=R3.pH", 7.0, unit="pH")
WEIGHT = Node("s=R3.Weight", 3.0, unit="kg", namespace=OTHER)
PHASE = Node("i=77", 1, type="Int32")
GHOST = Node("s=Nobody")
SOURCE = source(
    [channel(PH), channel(WEIGHT), channel(PHASE, ChannelType.TEXT, _0="lag", _1="growth")],
    period=200,
)


@pytest.fixture(params=MAKES)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpcUaServer]:
    make: Make = request.param
    with OpcUaServer(tmp_path, make, [PH, WEIGHT, PHASE]) as running:
        yield running


async def test_changes_come_when_they_happen_and_the_grid_repeats_what_is_held(
    server: OpcUaServer, tmp_path: Path
) -> None:
    async with held(server, tmp_path, SOURCE) as line:
        first = await line.until_good()
        assert first.values == (7.0, 3.0, "growth")
        assert set(first.source_times) == {0, 1, 2}
        assert line.causes() <= {Cause.UNKNOWN, Cause.NONE}
        assert line.held == 1
        seen = len(line.scans)
        server.set(Change(PH.id, 6.5))
        await line.until(lambda: line.changes(0, since=seen)[-1:] == [6.5])
        partial = next(scan for scan in line.scans[seen:] if scan.spoke is not None)
        assert partial.spoke == {0}
        assert partial.values == (6.5, None, None)
        assert partial.source_times[0] // 10**6 == server.served[PH.id][-1].at
        assert (await line.until_good()).values == (6.5, 3.0, "growth")
        assert line.line.dropped == 0
        assert not line.losses
    assert server.counts().sessions == 0
