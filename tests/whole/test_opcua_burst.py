"""Many changes at once: all is on the record, and what a server had to drop is counted and told."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from drivers.reading import Quality
from monitor.store.events import Event
from tests.support.opcua_servers import MAKES, Change, Make, Node, OpcUaServer, Told
from tests.support.servers import HOST
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.ears import SITE
from tests.whole.wire import wire

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

EVER = 2**63 - 1
RACKS, PLACES = 30, 50
DEEP = 50
"""Changes of one node at once: as many as the server is asked to keep."""
PATIENCE = "keep_alive: 30s, timeout: 60s, connect_timeout: 60s"
"""What a line tells while it is lost is not all that changed; the machine is not to lose it."""
DROPPED = "gateway/_/values-dropped"


def node(rack: int, place: int) -> Node:
    """A node that counts."""
    return Node(f"s={rack}.{place}", 0, "Int32")


NODES = [node(rack, place) for rack in range(RACKS) for place in range(PLACES)]
HASTY = Node("s=hasty", 0, "Int32")
"""A node on a line of its own, for which the server is asked to keep little."""


def node_of(equipment: str, channel: str) -> Node:
    """Where a channel comes from."""
    if equipment == "hasty":
        return HASTY
    return node(int(equipment.removeprefix("rack-")), int(channel.removeprefix("c")))


def site(port: int, other: int) -> str:
    """Racks of counters, each node a channel, and one more on a second line to the same server."""
    channels = ", ".join(f"c{place}: {{type: counter}}" for place in range(PLACES))
    text = f"""\
site: {SITE}
gateway: gw-1
store: {{tick: 200ms}}
kinds:
  rack: {{{channels}}}
lines:
  - name: few
    opcua:
      {{endpoint: "opc.tcp://{HOST}:{other}", publishing: 1s, sampling: 0s, queue: 2, {PATIENCE}}}
  - name: many
    opcua:
      {{endpoint: "opc.tcp://{HOST}:{port}", publishing: 200ms, sampling: 0s, queue: {DEEP},
       {PATIENCE}}}
equipment:
  - name: hasty
    kind: rack
    area: suite-a
    sources: [{{line: few, every: 2s, channels: {{c0: {{node: "{HASTY.id}"}}}}}}]
"""
    for rack in range(RACKS):
        text += f"  - name: rack-{rack}\n    kind: rack\n    area: suite-a\n    sources:\n"
        text += "      - line: many\n        every: 2s\n        channels:\n"
        for place in range(PLACES):
            text += f'          c{place}: {{node: "{node(rack, place).id}"}}\n'
    return text


def recorded(daemon: Daemon) -> dict[str, list[Told]]:
    """The good readings of each node, each value once, in the order of their coming."""
    found: dict[str, dict[Told, None]] = {each.id: {} for each in (*NODES, HASTY)}
    if not daemon.store.exists():
        return {}
    with daemon.reader() as reader:
        for point in reader.readings(0, EVER):
            if point.quality is Quality.GOOD:
                assert isinstance(point.value, int)
                assert point.source_time is not None
                told = Told(point.value, "Good", point.source_time // 10**6)
                found[node_of(point.equipment, point.channel).id][told] = None
    return {name: list(told) for name, told in found.items()}


async def arrived(daemon: Daemon, server: OpcUaServer) -> dict[str, list[Told]]:
    """What is recorded, once it has the newest value of every node."""
    end = time.monotonic() + 2 * GENEROUS
    while True:
        found = await asyncio.to_thread(recorded, daemon)
        late = [n for n, served in server.served.items() if found.get(n, [])[-1:] != served[-1:]]
        if not late:
            return found
        assert time.monotonic() < end, f"{len(late)} nodes, {late[:3]}: {daemon.words()}"
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("make", MAKES)
async def test_a_burst_arrives_whole_and_what_a_server_drops_is_counted(
    tmp_path: Path, make: Make
) -> None:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(OpcUaServer(tmp_path / make, make, [*NODES, HASTY]))
        another_way = await stack.enter_async_context(wire(server.port))
        text = site(server.port, another_way.port)
        daemon = stack.enter_context(Daemon(tmp_path / "daemon", text))
        await daemon.ready()
        await arrived(daemon, server)
        await asyncio.to_thread(server.set, *(Change(each.id, 1) for each in NODES))
        assert await arrived(daemon, server) == server.served
        await asyncio.to_thread(server.set, *some_nodes_often())
        assert await arrived(daemon, server) == server.served
        assert DROPPED not in await daemon.alarms()
        if make == "node-opcua":  # The server of asyncua 2.1 drops without a word.
            await too_much_is_counted(daemon, server)
        assert await daemon.stop() == 0


def some_nodes_often() -> Sequence[Change]:
    return [Change(node(rack, 0).id, 2 + n) for n in range(DEEP) for rack in range(RACKS)]


async def too_much_is_counted(daemon: Daemon, server: OpcUaServer) -> None:
    """More than twice between two publishings there is another value, and two are kept."""
    for value in range(1, 41):
        await asyncio.to_thread(server.set, Change(HASTY.id, value))
        await asyncio.sleep(0.05)
    found = await arrived(daemon, server)
    assert set(found[HASTY.id]) < set(server.served[HASTY.id])
    for each in NODES:
        assert found[each.id] == server.served[each.id], each
    async with asyncio.timeout(GENEROUS):
        while DROPPED not in await daemon.alarms():  # noqa: ASYNC110 - the daemon is asked
            await asyncio.sleep(0.2)
    async with asyncio.timeout(GENEROUS):
        while not (losses := told_of_loss(daemon)):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.2)
    assert {event.subject for event in losses} == {"line/few"}
    begin = json.loads(losses[0].body)
    assert begin.pop("phase") == "begin"
    assert all(count > 0 for count in begin.values())


def told_of_loss(daemon: Daemon) -> list[Event]:
    with daemon.reader() as reader:
        return [event for event in reader.events(0, EVER) if event.kind == "loss"]
