"""A plant of numbered values under one daemon, with a wire of ours wherever two of it talk."""

import asyncio
import random
import shutil
import subprocess
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from pyModbusTCP.server import ModbusServer

from drivers.simulated.servers import ModbusHost
from monitor.alarms.facts import State
from monitor.cli.exits import Failure
from tests.ledger.devices import INCUBATOR, PERIOD, Bank, Device
from tests.ledger.judge import (
    MILLISECOND,
    Deaf,
    Evidence,
    Witness,
    alarm_bodies,
    scan_of_row,
    scans_of,
)
from tests.ledger.reactors import PASSWORD, QUEUE, Reactor, reactor
from tests.support.opcua_servers import MAKES, Make
from tests.support.servers import HOST, InfluxDB, SecureMosquitto, free_port
from tests.support.stalls import Stalls, watching_stalls
from tests.support.waiting import eventually
from tests.whole.daemon import Daemon
from tests.whole.ears import SITE, Ears, envelope, listening, operator
from tests.whole.wire import Wire, wire

EVER = 2**63 - 1
GATEWAY = "gw-1"
PATIENCE = 240.0
"""Seconds in which what has to come after a trouble must have come."""
DISK = 128 * 2**20
"""Bytes of a small disk."""
PUBLISHED = 0.25
"""Seconds between two changes of an OPC UA server."""
PROOF = 5.0
"""Seconds for which a line may believe what it heard last: one and a half of its keep-alives, and
what was on its way. What the machine holds us up comes besides."""
ACTIVE = frozenset({State.UNACKNOWLEDGED, State.ACKNOWLEDGED})
OVER = frozenset({None, State.NORMAL, State.RETURNED})
"""Of the others, such as suppressed, it is not seen whether the excursion goes on."""


class BrokenError(Exception):
    """A promise is broken in a way that nothing more can be waited for."""


@dataclass
class Plant:
    """All of it, running."""

    folder: Path
    daemon: Daemon
    broker: SecureMosquitto
    influxdb: InfluxDB
    database: str
    reactors: Mapping[Make, Reactor]
    host: ModbusHost
    wires: Mapping[str, Wire]
    devices: list[Device]
    ears: Ears
    stalls: Stalls
    excursions: Counter[str] = field(default_factory=Counter)
    witnessed: list[Witness] = field(default_factory=list)
    standing: Mapping[str, State] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    orders: threading.Lock = field(default_factory=threading.Lock)
    """Whoever ends or starts the daemon is alone with it."""
    deaf: list[Deaf] = field(default_factory=list)
    """When nothing was heard on a line."""
    stopped: list[tuple[int, int]] = field(default_factory=list)
    """When the daemon was held up by us (ms, UTC)."""
    lost: int = 0
    """Scans of which the daemon says that nobody has them."""
    resent: int = 0
    """Alarm events that the consumer had to ask for."""

    async def publish(self, reactor: Reactor, chance: random.Random) -> None:
        """Let a reactor have new values, for ever."""
        while True:
            with suppress(RuntimeError, OSError, ValueError):  # It is away, or goes just now.
                await asyncio.to_thread(reactor.alone, partial(reactor.publish, chance))
            await asyncio.sleep(PUBLISHED)

    async def witness(self) -> None:
        """Keep what the daemon says of itself, for ever."""
        while True:
            with suppress(Failure):
                status = (await self.daemon.status()).store
                self.lost = int(str(status.figures["lost_lines"]))
                self.witnessed.append(
                    Witness(status.store_id, status.last_scan, status.last_event, status.chain_head)
                )
                self.standing = {name: a.state for name, a in (await self.daemon.alarms()).items()}
            await asyncio.sleep(0.3)

    async def go_wrong(self, device: Device, chance: random.Random, done: asyncio.Event) -> None:
        """Let one excursion of a device follow another until it is enough."""
        name = f"{device.equipment}/{device.channels[0].name}/high"
        while not done.is_set():
            self.excursions[name] += 1
            device.high = True
            await self._until(name, active=True)
            await asyncio.sleep(chance.uniform(0.5, 3.0))
            device.high = False
            await self._until(name, active=False)
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0.5, 6.0)):
                    await done.wait()

    async def _until(self, name: str, *, active: bool) -> None:
        wanted = ACTIVE if active else OVER
        try:
            await eventually(lambda: self.standing.get(name) in wanted, PATIENCE)
        except TimeoutError:
            raise BrokenError(
                f"{name} should be {'raised' if active else 'returned'} for {PATIENCE:g} s"
            ) from None

    async def settle(self) -> None:
        """Return when database and consumer have all that they are to have."""
        for name, between in self.wires.items():
            assert between.manner.value == "whole", name
        await self.daemon.ready()
        await self._until_delivered()
        await self._until_told()

    async def _until_delivered(self) -> None:
        waiting = 1
        try:
            async with asyncio.timeout(PATIENCE):
                while waiting:
                    sinks = (await self.daemon.status()).sinks
                    waiting = sum(s.telemetry_behind + s.events_behind for s in sinks)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise BrokenError(f"not delivered within {PATIENCE:g} s: {waiting}") from None

    async def _until_told(self) -> None:
        """Ask for what is missing, as a consumer does who sees a hole in ``seq``."""
        wanted = (await self.daemon.status()).last_seq
        async with operator(self.broker, "anna") as ask:
            while first_and_last := self._hole(wanted):
                first, last = first_and_last
                request = envelope({}, "anna", gateway=GATEWAY, first=first, last=last)
                reply = await ask("resend", request)
                if reply["result"] != "done":
                    raise BrokenError(f"seq {first} to {last} is not told again: {reply}")
                self.resent += last - first + 1
                try:
                    await eventually(lambda f=first_and_last: self._hole(wanted) != f, PATIENCE)  # type: ignore[misc]
                except TimeoutError:
                    raise BrokenError(f"seq {first} to {last} never came") from None

    def _hole(self, wanted: int) -> tuple[int, int] | None:
        told = {int(event["seq"]) for event in self.ears.of("alarm_event")}
        missing = [seq for seq in range(1, wanted + 1) if seq not in told]
        if not missing:
            return None
        first = missing[0]
        last = next((n for n in range(first, wanted + 1) if n + 1 not in missing), wanted)
        return first, min(last, first + 99)

    def evidence(self, until: int) -> Evidence:
        """All that is known now, the daemon standing still."""
        with self.daemon.reader() as reader:
            scans = scans_of(reader.readings(0, EVER))
            events = list(reader.events(0, EVER))
            letters = [f"dead letter: {each}" for each in reader.dead_letters()]
        rows = [
            row
            for kind in ("incubator", "bioreactor")
            for row in self.influxdb.query(f"SELECT * FROM {kind}", self.database)  # noqa: S608
        ]
        stored = [scan_of_row(row) for row in rows]
        first = min(scans, default=EVER)
        told = self.influxdb.query("SELECT * FROM alarm_event", self.database)
        last = len(alarm_bodies(events))
        return Evidence(
            devices=self.devices,
            scans={number: scan for number, scan in stored if number < first} | scans,
            events=events,
            until=until,
            stored=stored,
            missed={int(str(row["scan"])): int(str(row.get("missed") or 0)) for row in rows},
            alarm_points=[row for row in told if int(str(row["seq"])) <= last],
            heard=self.ears.of("alarm_event"),
            excursions=self.excursions,
            lost=self.lost,
            witnessed=self.witnessed,
            times=self._times(),
            floods={each.device.line: each.floods for each in self.reactors.values()},
            deaf=list(self._deaf()),
            strange=[*self.strange, *letters],
        )

    def _times(self) -> Mapping[float, Collection[int | None]]:
        told: dict[float, set[int | None]] = defaultdict(set)
        for value, at in chain.from_iterable(each.times() for each in self.reactors.values()):
            told[value].add(at)
        return told

    def _deaf(self) -> Iterator[Deaf]:
        """When nothing of what was heard could be believed any more.

        Who was held up as it began has heard it only afterwards; the machine is late besides.
        """
        for line, since, until in self.deaf:
            late = self.stalls.worst_between(since * MILLISECOND, until * MILLISECOND)
            heard = [last for first, last in self.stopped if first < since + 1000 and last > since]
            proven = max([since, *heard]) + round(PROOF * 1000 + 4 * late / MILLISECOND)
            if proven < until:
                yield Deaf(line, proven, until)


def site(
    broker: SecureMosquitto,
    ports: Mapping[str, int],
    folder: Path,
    database: str,
    reactors: Iterable[Reactor],
) -> str:
    """Two lines of incubators and some of bioreactors; whatever talks goes over a wire of ours."""
    password = secret(folder / "password", broker.passwords["gateway"])
    return f"""\
site: {SITE}
gateway: {GATEWAY}
store: {{tick: 500ms}}
influxdb: {{url: "http://{HOST}:{ports["database"]}", api: v1, database: {database}, timeout: 5s}}
mqtt:
  host: {HOST}
  port: {ports["broker"]}
  user: gateway
  password: {{file: {password}}}
  tls: {{ca_file: {broker.ca_file}}}
  commands: true
  digest: 1s
limits:
  chamber: {{co2: [{{name: high, high: 6.5, deadband: 0.4, on_delay: 1s, priority: high}}]}}
  vessel: {{ph: [{{name: high, high: 8.5, deadband: 0.4, on_delay: 1s, priority: high}}]}}
lines:
  - {{name: bus-a, modbus: {{host: {HOST}, port: {ports["bus-a"]}}}}}
  - {{name: io-b, modbus: {{host: {HOST}, port: {ports["io-b"]}}}}}
{"".join(_opcua_line(each, ports, folder) for each in reactors)}equipment:
{_incubator(1, "bus-a", 1)}{_incubator(2, "bus-a", 2)}{_incubator(3, "io-b", 1)}\
{"".join(_bioreactor(each.device) for each in reactors)}"""


def secret(file: Path, words: str) -> Path:
    """A file that nobody else reads."""
    file.write_text(words)
    file.chmod(0o600)
    return file


def _opcua_line(one: Reactor, ports: Mapping[str, int], folder: Path) -> str:
    """The server is asked for every change, and to keep more than may come between two answers."""
    name, shown = one.device.line, one.server.manner.identity
    secured = (
        ""
        if shown is None
        else f"""
      security: Basic256Sha256/SignAndEncrypt
      user: cytowatch
      password: {{file: {secret(folder / f"password-{name}", PASSWORD)}}}
      server_fingerprint: "{shown.fingerprint}\""""
    )
    return f"""\
  - name: {name}
    opcua:
      endpoint: "opc.tcp://{HOST}:{ports[name]}"
      publishing: 200ms
      keep_alive: 2s
      sampling: 0s
      queue: {QUEUE}{secured}
"""


def _incubator(number: int, line: str, unit: int) -> str:
    return f"""\
  - name: incubator-{number}
    kind: incubator
    area: suite-a
    limits: chamber
    sources:
      - line: {line}
        unit: {unit}
        every: {PERIOD}ms
        channels:
          co2: {{holding: 0, type: float64, order: ABCD, unit: "%"}}
          temperature: {{holding: 4, type: float64, order: ABCD, unit: Cel}}
"""


def _bioreactor(device: Device) -> str:
    text = f"""\
  - name: {device.equipment}
    kind: bioreactor
    area: suite-b
    limits: vessel
    sources:
      - line: {device.line}
        every: {PERIOD}ms
        channels:
"""
    for number, channel in enumerate(device.channels):
        text += (
            f'          {channel.name}: {{node: "{device.node(number)}", unit: {channel.unit}}}\n'
        )
    return text


LINES: Mapping[Make, str] = {"asyncua": "opc-c", "node-opcua": "opc-d"}


@asynccontextmanager
async def plant(
    folder: Path, makes: Sequence[Make] = MAKES, *, small_disk: bool = False
) -> AsyncIterator[Plant]:
    """Start everything in a folder; what still runs in the end is killed.

    On a small disk the daemon's state lies in memory, and is copied to the folder in the end; only
    root may make one.
    """
    lines = {1: "bus-a", 2: "bus-a", 3: "io-b"}
    incubators = [Device(f"incubator-{n}", n, INCUBATOR, line) for n, line in lines.items()]
    reactors = {make: reactor(folder, make, 4 + n, LINES[make]) for n, make in enumerate(makes)}
    async with AsyncExitStack() as stack:
        stalls = await stack.enter_async_context(watching_stalls())
        broker, influxdb, second = await asyncio.to_thread(_servers, folder, incubators[2], stack)
        for each in reactors.values():
            await asyncio.to_thread(stack.enter_context, each.server)
        host = ModbusHost({1: incubators[0].blocks, 2: incubators[1].blocks})
        stack.push_async_callback(host.close)
        await host.plug()
        targets = {
            "bus-a": host.port,
            "io-b": second,
            "broker": broker.port,
            "database": influxdb.port,
        }
        targets |= {each.device.line: each.server.port for each in reactors.values()}
        wires = {
            name: await stack.enter_async_context(wire(port)) for name, port in targets.items()
        }
        ears = await stack.enter_async_context(
            listening(broker, "reader", "cytowatch/v1/#", name="consumer")
        )
        if small_disk:
            stack.enter_context(disk(folder / "daemon/state", folder / "state"))
        ports = {name: between.port for name, between in wires.items()}
        text = site(broker, ports, folder, "ledger", reactors.values())
        daemon = stack.enter_context(Daemon(folder / "daemon", text))
        devices = [*incubators, *(reactor.device for reactor in reactors.values())]
        yield Plant(
            folder, daemon, broker, influxdb, "ledger", reactors, host, wires, devices, ears, stalls
        )


@contextmanager
def disk(where: Path, kept: Path) -> Iterator[None]:
    """A disk of its own at a folder, with little room; in the end what is on it is copied."""
    where.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={DISK}"]
    subprocess.run(["mount", *options, "tmpfs", where], check=True)
    try:
        yield
    finally:
        shutil.copytree(where, kept, dirs_exist_ok=True)
        subprocess.run(["umount", "-l", where], check=True)


def _servers(
    folder: Path, device: Device, stack: AsyncExitStack
) -> tuple[SecureMosquitto, InfluxDB, int]:
    """Start the servers that are processes, and the host of the second make on its port."""
    broker = stack.enter_context(SecureMosquitto(folder / "broker"))
    influxdb = stack.enter_context(InfluxDB(folder / "influxdb"))
    influxdb.create("ledger")
    port = free_port()
    second = ModbusServer(HOST, port, no_block=True, data_bank=Bank(device))
    second.start()
    stack.callback(second.stop)
    return broker, influxdb, port
