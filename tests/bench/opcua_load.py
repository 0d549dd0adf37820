"""Bioreactors on OPC UA for the bench, of which every channel changes once a second.

`python opcua_load.py --equipments 40 --channels 25 --ports 4841 4842 --served FILE --record FILE`
opens a server (asyncua) on each of these ports of the loopback, and says so in a line of JSON on
stdout once all listen. The equipments are spread over the servers; each has a moment of the second
that is its own, at which all of its channels change at once, as a controller's scan changes them:
never to the value from before. One change in a hundred is one to a bad status.

What was served is told in ``--served``, a line for each equipment and second, with the source time
of the changes: so who counts what arrived can say whether all of it did. Every 1.2 s one channel of
the next equipment goes beyond its limit for some seconds; ``--record`` tells of each such change
when the publish that first carries it has been sent.
"""

import argparse
import asyncio
import json
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import NamedTuple, TextIO

from asyncua import ua
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.server import Server
from asyncua.ua.status_codes import StatusCodes

from config.catalogue import CATALOGUE
from config.plant import ChannelType
from drivers.simulated.load import BAD, HOST, MARGIN, NOISE, base, limit

NAMESPACE = "urn:cytowatch:bench"
CHANNELS = tuple(
    (name, entry.unit)
    for name, entry in CATALOGUE["bioreactor"].items()
    if entry.type is ChannelType.ANALOG
)
"""Those of the catalogue that are numbers, with their unit."""
BETWEEN_CROSSINGS = 1.2
BEYOND = 5.0
"""Seconds."""
WELL = ua.StatusCode(ua.UInt32(StatusCodes.Good))
FAILED = ua.StatusCode(ua.UInt32(StatusCodes.BadSensorFailure))


@dataclass
class Reactor:
    """One equipment, and which of its channels is beyond its limit."""

    name: str
    server: Server
    nodes: Sequence[ua.NodeId]
    beyond: int | None = None
    told_beyond: bool = False
    """Whether the crossing that is on has been served."""
    back_at: float = 0.0


class Crossing(NamedTuple):
    """A change that went beyond a limit, or came back."""

    equipment: str
    channel: str
    beyond: bool


@dataclass
class Untold:
    """Crossings of one server that no publish has carried yet."""

    record: TextIO
    crossings: list[Crossing] = field(default_factory=list)

    def tell(self) -> None:
        """Tell of them: they have been sent."""
        for crossing in self.crossings:
            line = {
                "equipment": crossing.equipment,
                "channel": crossing.channel,
                "to": "beyond" if crossing.beyond else "within",
                "sent_boot_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            }
            self.record.write(json.dumps(line) + "\n")
        self.record.flush()
        self.crossings.clear()

    def follow(self, server: Server) -> None:
        """Have every subscription of ``server`` tell when it has sent what is untold."""
        for one in server.iserver.subscription_service.subscriptions.values():
            if not isinstance(one.pub_result_callback, _Telling):
                one.pub_result_callback = _Telling(self, one)


class _Telling:
    """Sends a publish as asyncua does, and tells what it carried."""

    def __init__(self, untold: Untold, subscription: InternalSubscription) -> None:
        self._untold = untold
        self._send: Callable[..., Awaitable[None]] = subscription.pub_result_callback

    async def __call__(self, *arguments: object) -> None:
        await self._send(*arguments)
        if self._untold.crossings:
            self._untold.tell()


class Load:
    """All reactors, and their changes."""

    def __init__(self, reactors: Sequence[Reactor], served: TextIO, record: TextIO) -> None:
        self._reactors = reactors
        self._served = served
        self._untold = {id(reactor.server): Untold(record) for reactor in reactors}
        self._chance = random.Random(1)  # noqa: S311 - noise, no secret

    async def change(self) -> None:
        """Change every channel of every reactor once a second, without end."""
        loop = asyncio.get_running_loop()
        start, count, crossing_at = loop.time(), 0, 0.0
        while True:
            await asyncio.sleep(start + count / len(self._reactors) - loop.time())
            reactor = self._reactors[count % len(self._reactors)]
            count += 1
            if loop.time() >= crossing_at and reactor.beyond is None:
                crossing_at = loop.time() + BETWEEN_CROSSINGS
                reactor.beyond = count % len(reactor.nodes)
                reactor.back_at = loop.time() + BEYOND
            await self._change(reactor, loop.time())

    async def _change(self, reactor: Reactor, now: float) -> None:
        crossing = self._cross(reactor, now)
        if crossing is not None:
            untold = self._untold[id(reactor.server)]
            untold.follow(reactor.server)
            untold.crossings.append(crossing)
        at = ua.DateTime.now(UTC)
        for channel, node in enumerate(reactor.nodes):
            crossed = crossing is not None and crossing.channel == CHANNELS[channel][0]
            value = self._value(channel, steady=crossed, beyond=reactor.beyond == channel)
            value.SourceTimestamp = at
            await reactor.server.write_attribute_value(node, value)
        told = {"ms": round(at.timestamp() * 1e6) // 1000, "changes": len(reactor.nodes)}
        self._served.write(json.dumps(told) + "\n")
        self._served.flush()

    def _cross(self, reactor: Reactor, now: float) -> Crossing | None:
        """Return the crossing that this change of ``reactor`` is, and remember it."""
        if reactor.beyond is None:
            return None
        channel = CHANNELS[reactor.beyond][0]
        if not reactor.told_beyond:
            reactor.told_beyond = True
            return Crossing(reactor.name, channel, beyond=True)
        if now < reactor.back_at:
            return None
        reactor.beyond, reactor.told_beyond = None, False
        return Crossing(reactor.name, channel, beyond=False)

    def _value(self, channel: int, *, steady: bool, beyond: bool) -> ua.DataValue:
        """Noise about where the channel is; a crossing itself is never a bad one."""
        middle = limit(channel) + MARGIN if beyond else base(channel)
        variant = ua.Variant(self._chance.gauss(middle, NOISE), ua.VariantType.Double)
        if not (steady or beyond) and self._chance.random() < BAD:
            return ua.DataValue(variant, FAILED)
        return ua.DataValue(variant, WELL)


def equipment_name(index: int) -> str:
    """``reactor-01`` for index 0."""
    return f"reactor-{index + 1:02}"


def identifier(equipment: str, channel: str) -> str:
    """The node of a channel, without its namespace."""
    return f"s={equipment}.{channel}"


def node_id(index: int, identifier: str) -> ua.NodeId:
    """A node in the namespace that has this index on its server."""
    return ua.NodeId.from_string(f"ns={index};{identifier}")


def server_of(equipment: int, servers: int) -> int:
    """Which of so many servers the equipment with this index is on."""
    return equipment % servers


async def make_server(port: int) -> Server:
    """A server without security; that belongs to another budget."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://{HOST}:{port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace(NAMESPACE)
    return server


async def add_reactor(server: Server, name: str, channels: int) -> Reactor:
    """Give the server an object with the channels' nodes, doubles all."""
    index = await server.get_namespace_index(NAMESPACE)
    place = await server.nodes.objects.add_object(node_id(index, f"s={name}"), f"{index}:{name}")
    nodes = []
    for channel, (label, _) in enumerate(CHANNELS[:channels]):
        node = node_id(index, identifier(name, label))
        await place.add_variable(node, f"{index}:{label}", base(channel), ua.VariantType.Double)
        nodes.append(node)
    return Reactor(name, server, nodes)


async def main() -> None:
    """Serve until SIGTERM."""
    options = parse()
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    servers = [await make_server(port) for port in options.ports]
    reactors = [
        await add_reactor(
            servers[server_of(index, len(servers))], equipment_name(index), options.channels
        )
        for index in range(options.equipments)
    ]
    for server in servers:
        await server.start()
    print(json.dumps({"ports": options.ports}), flush=True)
    with ExitStack() as files:
        served, record = (
            files.enter_context(path.open("a", encoding="utf-8"))
            for path in (options.served, options.record)
        )
        changing = asyncio.create_task(Load(reactors, served, record).change())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, changing.cancel)
        await asyncio.wait([changing])
    if not changing.cancelled():
        changing.result()


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--equipments", type=int, required=True)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--ports", type=int, nargs="+", required=True, help="one for each server")
    parser.add_argument("--served", type=Path, required=True)
    parser.add_argument("--record", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
