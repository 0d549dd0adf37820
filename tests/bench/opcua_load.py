"""Bioreactors on OPC UA for the bench, of which every channel changes once a second.

`python opcua_load.py --equipments 40 --channels 25 --ports 4841 4842 --served FILE --record FILE`
opens a server (asyncua) on each of these ports of the loopback, and says so in a line of JSON on
stdout once all listen. The equipments are spread over the servers; each channel changes at a moment
of the second that is its own (of ``TICKS`` in all), always to another value than before. One change
in a hundred is one to a bad status.

What was served is told in ``--served``, a line for each tick, with the source time of its changes:
so who counts what arrived can say whether all of it did. Every 6 s another channel goes beyond
its limit for some seconds; ``--record`` tells of each such change when the publish that first
carries it has been sent.
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
TICKS = 40
"""A second: so many moments at which some of the channels change."""
BETWEEN_CROSSINGS = 6.0
"""Seconds; each makes two transitions: for each reading twice as many as in the load on Modbus."""
BEYOND = 5.0
"""Seconds."""
WELL = ua.StatusCode(ua.UInt32(StatusCodes.Good))
FAILED = ua.StatusCode(ua.UInt32(StatusCodes.BadSensorFailure))


@dataclass(eq=False)
class Channel:
    """One channel of one equipment, on its server."""

    equipment: str
    index: int
    """In ``CHANNELS``."""
    server: Server
    node: ua.NodeId
    back_at: float | None = None
    """When it comes back from beyond its limit (loop time); None while it is within."""
    failed: bool = False
    """Whether its value is a bad one, after which another would be no change."""


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
    """All channels, and their changes."""

    def __init__(self, channels: Sequence[Channel], served: TextIO, record: TextIO) -> None:
        self._served = served
        self._untold = {channel.server: Untold(record) for channel in channels}
        self._chance = random.Random(1)  # noqa: S311 - noise, no secret
        mixed = self._chance.sample(channels, len(channels))
        self._ticks = [mixed[tick::TICKS] for tick in range(TICKS)]
        self._next_crossing = 0.0

    async def change(self) -> None:
        """Change every channel once a second, without end."""
        loop = asyncio.get_running_loop()
        start, count = loop.time(), 0
        while True:
            await asyncio.sleep(start + count / TICKS - loop.time())
            if channels := self._ticks[count % TICKS]:
                await self._change(channels, loop.time())
            count += 1

    async def _change(self, channels: Sequence[Channel], now: float) -> None:
        at = ua.DateTime.now(UTC)
        for channel in channels:
            crossing = self.cross(channel, now)
            if crossing is not None:
                untold = self._untold[channel.server]
                untold.follow(channel.server)
                untold.crossings.append(crossing)
            value = self._value(channel, steady=crossing is not None)
            value.SourceTimestamp = at
            await channel.server.write_attribute_value(channel.node, value)
        told = {"ms": round(at.timestamp() * 1e6) // 1000, "changes": len(channels)}
        self._served.write(json.dumps(told) + "\n")
        self._served.flush()

    def cross(self, channel: Channel, now: float) -> Crossing | None:
        """Return the crossing that this change of ``channel`` is, and remember it."""
        if channel.back_at is None:
            if now < self._next_crossing:
                return None
            self._next_crossing = now + BETWEEN_CROSSINGS
            channel.back_at = now + BEYOND
        elif now < channel.back_at:
            return None
        else:
            channel.back_at = None
        beyond = channel.back_at is not None
        return Crossing(channel.equipment, CHANNELS[channel.index][0], beyond)

    def _value(self, channel: Channel, *, steady: bool) -> ua.DataValue:
        """Noise about where the channel is; one that crosses, or is beyond, is never bad."""
        beyond = channel.back_at is not None
        middle = limit(channel.index) + MARGIN if beyond else base(channel.index)
        variant = ua.Variant(self._chance.gauss(middle, NOISE), ua.VariantType.Double)
        fails = not (steady or beyond or channel.failed) and self._chance.random() < BAD
        channel.failed = fails
        return ua.DataValue(variant, FAILED if fails else WELL)


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


async def add_reactor(server: Server, name: str, channels: int) -> list[Channel]:
    """Give the server an object with the channels' nodes, doubles all."""
    index = await server.get_namespace_index(NAMESPACE)
    place = await server.nodes.objects.add_object(node_id(index, f"s={name}"), f"{index}:{name}")
    added = []
    for channel, (label, _) in enumerate(CHANNELS[:channels]):
        node = node_id(index, identifier(name, label))
        await place.add_variable(node, f"{index}:{label}", base(channel), ua.VariantType.Double)
        added.append(Channel(name, channel, server, node))
    return added


async def main() -> None:
    """Serve until SIGTERM."""
    options = parse()
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    servers = [await make_server(port) for port in options.ports]
    channels = [
        channel
        for index in range(options.equipments)
        for channel in await add_reactor(
            servers[server_of(index, len(servers))], equipment_name(index), options.channels
        )
    ]
    for server in servers:
        await server.start()
    print(json.dumps({"ports": options.ports}), flush=True)
    with ExitStack() as files:
        served, record = (
            files.enter_context(path.open("a", encoding="utf-8"))
            for path in (options.served, options.record)
        )
        changing = asyncio.create_task(Load(channels, served, record).change())
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
