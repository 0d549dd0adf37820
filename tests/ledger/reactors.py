"""A bioreactor of numbered values on an OPC UA server, and what can happen to it.

Each method that makes a trouble is undone by the one beside it; whoever calls them is alone with
the server, since each order waits for its answer.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from drivers.opcua.decode import EARLIEST, LATEST
from tests.ledger.devices import BIOREACTOR, Device
from tests.support.opcua_servers import (
    Change,
    Identity,
    Make,
    Manner,
    OpcUaServer,
    identity,
)

PASSWORD = "correct-horse"
HOURS = 24 * 8
"""For which certificates are valid: longer than any soak."""
CHANNEL = 20_000
"""Milliseconds for which the keys of a secure channel hold: they are renewed all the time."""
QUEUE = 500
"""Changes of a node that a server is asked to keep."""
BURSTS, BURST, FLOOD = 0.02, 30, QUEUE + 100
"""How often a channel changes many times at once, how many, and how many are too many."""
HOUR = 3_600_000
JUMPS = (-HOUR, HOUR, 24 * HOUR, -30 * 365 * 24 * HOUR, 50 * 365 * 24 * HOUR)
"""Milliseconds by which a server's clock is wrong."""
FAULT = 6
"""The ServerState of a server that has lost its devices (communication fault)."""


@dataclass
class Reactor:
    """A bioreactor and its OPC UA server."""

    device: Device
    server: OpcUaServer
    other: Identity | None = None
    """A certificate that nobody vouched for."""
    away: set[int] = field(default_factory=set)
    """Channels that have no node now, or none that could tell a value of theirs."""
    floods: list[int] = field(default_factory=list)
    """When there were any (ms, UTC)."""
    _orders: threading.Lock = field(default_factory=threading.Lock)

    def alone(self, do: Callable[[], None]) -> None:
        """Do something to the server while nobody else does."""
        with self._orders:
            do()

    def times(self) -> Iterator[tuple[float, int | None]]:
        """Every number that was served with its time (ms, UTC), None where that cannot be one."""
        first, last = EARLIEST.timestamp() * 1000, LATEST.timestamp() * 1000
        for told in list(self.server.served.values()):
            for value, _, at in told:
                if isinstance(value, float):
                    yield value, at if first <= at <= last else None

    def publish(self, chance: random.Random) -> None:
        """Let one channel have its next value, or many of them at once."""
        moving = [n for n, c in enumerate(self.device.channels) if not c.steady]
        channel = chance.choice(moving)
        many = BURST if chance.random() < BURSTS else 1
        if channel not in self.away:
            self._change(channel, many)

    def flood(self) -> None:
        """Let the first channel change more often at once than the server keeps: it drops some."""
        self.floods.append(time.time_ns() // 10**6)
        try:
            self._change(0, FLOOD)
        except RuntimeError:  # node-opcua ends itself where what it drops was not good.
            self.server.kill()
            self.server.start()

    def _change(self, channel: int, times: int) -> None:
        values = [self.device.next_of(channel) for _ in range(times)]
        self.server.set(*(Change(self.device.node(channel), value) for value in values))

    def change_certificate(self) -> None:
        """Start anew as the other of the two: one that nobody vouched for, or the right one."""
        self.server.kill()
        shown = self.server.manner.identity
        self.server.manner, self.other = replace(self.server.manner, identity=self.other), shown
        self.server.start()

    def take_node(self, chance: random.Random) -> None:
        """Take one of the nodes out of the address space."""
        self.server.remove(self.device.node(self._choose(chance)))

    def spoil_node(self, chance: random.Random) -> None:
        """Have one of the nodes tell text, as after a wrong download to the controller."""
        self.server.retype(self.device.node(self._choose(chance)), "String", "###")

    def bring_nodes(self) -> None:
        """Have all nodes as they were."""
        for channel in sorted(self.away):
            node, value = self.device.node(channel), self.device.last(channel)
            if self.server.nodes[node].type == "Double":
                self.server.restore(node)
            else:
                self.server.retype(node, "Double", value)
        self.away.clear()

    def _choose(self, chance: random.Random) -> int:
        channel = chance.randrange(len(self.device.channels))
        self.away.add(channel)
        return channel

    def fail_sensor(self) -> None:
        """Have the first channel say that it has no value."""
        self.away.add(0)
        self.server.set(Change(self.device.node(0), 0.0, "BadSensorFailure"))

    def mend_sensor(self) -> None:
        """Have it tell its next one."""
        self.server.set(Change(self.device.node(0), self.device.next_of(0)))
        self.away.clear()

    def set_clock(self, chance: random.Random) -> None:
        """Put the server's clock forward or back."""
        self.server.set_clock(chance.choice(JUMPS))


def reactor(folder: Path, make: Make, number: int, line: str) -> Reactor:
    """A reactor whose server does not run yet; that of node-opcua does not let everybody in."""
    device = Device(f"bioreactor-{number}", number, BIOREACTOR, line, subscribed=True)
    server = OpcUaServer(folder / make, make, device.nodes())
    if make == "asyncua":
        return Reactor(device, server)
    right, other = (identity(folder / make / name, HOURS) for name in ("right", "other"))
    server.manner = Manner(users={"cytowatch": PASSWORD}, identity=right, channel=CHANNEL)
    return Reactor(device, server, other)
