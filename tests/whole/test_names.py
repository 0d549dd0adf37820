"""A name whose address changes: whoever was connected goes to the new one, on every wire.
Where nobody says what it means, the address that was known is taken.

Two relays stand before each real server, at two addresses of the loopback and one port; the name
means the one, and then the other. The first goes on answering, so that nobody is driven away from
it but by the end of his connection.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from config.load import load
from monitor import supervise
from monitor.app import running
from tests.drivers.modbus.hostile import Hostile
from tests.drivers.opcua.harness import PH
from tests.monitor.sinks.database import database
from tests.support.opcua_servers import OpcUaServer
from tests.support.servers import HOST, Mosquitto, free_port
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

NAME = "plant.example"
FIRST, SECOND = "127.0.0.2", "127.0.0.3"


class Relay:
    """What comes to two addresses, handed on to a server; counted by the address it came to."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.came = {FIRST: 0, SECOND: 0}
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> list[asyncio.Server]:
        return [
            await asyncio.start_server(partial(self._relay, host), host, self.port)
            for host in (FIRST, SECOND)
        ]

    def cut(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(
        self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.came[host] += 1
        there, back = await asyncio.open_connection(HOST, self._target)
        self._writers |= {writer, back}
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            self._writers -= {writer, back}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def relays(**servers: int) -> AsyncIterator[dict[str, Relay]]:
    made = {name: Relay(port) for name, port in servers.items()}
    listening = [server for relay in made.values() for server in await relay.listen()]
    try:
        yield made
    finally:
        for relay in made.values():
            relay.cut()
        for server in listening:
            server.close()
            await server.wait_closed()
        await eventually(lambda: not any(relay._writers for relay in made.values()))


class Names:
    """The one who is asked for addresses, instead of the machine's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.address = FIRST
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0
        """How often, while there was no answer."""
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.find)

    def find(self, host: str, *args: object, **more: object) -> object:
        if host == NAME and not self.answers.is_set():
            self.asked += 1
            self.answers.wait(GENEROUS)
        meant = self.address if host == NAME else host
        return self._real(meant, *args, **more)  # type: ignore[arg-type]  # handed on as it came


def site(folder: Path, ports: dict[str, Relay]) -> str:
    return f"""\
site: lab
gateway: gw-1
store: {{tick: 200ms, directory: {folder / "state"}}}
influxdb: {{url: "http://{NAME}:{ports["influxdb"].port}", bucket: b, org: o, timeout: 6s}}
mqtt: {{host: {NAME}, port: {ports["mqtt"].port}, timeout: 6s}}
lines:
  - {{name: bus, modbus: {{host: {NAME}, port: {ports["modbus"].port}, timeout: 20s}}}}
  - name: reactor
    opcua:
      endpoint: "opc.tcp://{NAME}:{ports["opcua"].port}"
      security: "None"
      connect_timeout: 8s
      timeout: 20s
equipment:
  - name: incubator-1
    kind: incubator
    area: lab
    sources:
      - {{line: bus, unit: 1, every: 200ms, channels: {{co2: {{holding: 4, type: uint16}}}}}}
  - name: bioreactor-1
    kind: bioreactor
    area: lab
    sources:
      - line: reactor
        every: 200ms
        channels: {{ph: {{node: "{PH.id}", unit: pH}}}}
"""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    monkeypatch.setattr(supervise, "Backoff", partial(supervise.Backoff, first=0.1, most=0.5))
    return Names(monkeypatch)


async def test_a_name_that_means_another_address_is_followed_on_every_wire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mosquitto: Mosquitto, names: Names
) -> None:
    monkeypatch.setenv("CYTOWATCH_SOCKET", str(tmp_path / "s"))
    async with AsyncExitStack() as stack:
        device = await stack.enter_async_context(Hostile())
        reactor = stack.enter_context(OpcUaServer(tmp_path / "reactor", "asyncua", [PH]))
        influx = await stack.enter_async_context(database())
        wires = await stack.enter_async_context(
            relays(
                modbus=device.port,
                opcua=reactor.port,
                influxdb=int(influx.url.rpartition(":")[2]),
                mqtt=mosquitto.port,
            )
        )
        file = tmp_path / "site.yaml"
        file.write_text(site(tmp_path, wires))
        daemon = await stack.enter_async_context(running(load(file, environ={})))
        outages = [*daemon.desk._lines, *daemon.desk._sinks]
        await eventually(lambda: all(each.held for each in outages), GENEROUS)
        assert all(wire.came[SECOND] == 0 for wire in wires.values())
        names.address = SECOND
        before = {name: wire.came[FIRST] for name, wire in wires.items()}
        assert min(before.values()) > 0
        for wire in wires.values():
            wire.cut()
        await eventually(lambda: all(wire.came[SECOND] for wire in wires.values()), GENEROUS)
        await eventually(lambda: all(each.held for each in outages), GENEROUS)
        assert {name: wire.came[FIRST] for name, wire in wires.items()} == before

        names.answers.clear()
        after = {name: wire.came[SECOND] for name, wire in wires.items()}
        for wire in wires.values():
            wire.cut()
        await eventually(
            lambda: all(wire.came[SECOND] > after[name] for name, wire in wires.items()), GENEROUS
        )
        assert names.asked == len(wires), "nobody who waits for an answer asks once more"
        assert {name: wire.came[FIRST] for name, wire in wires.items()} == before
        names.answers.set()
