"""Bioreactors on OPC UA servers, beside an incubator on Modbus, under one daemon of its own.

Each ``Reactor`` is a server of one make, the wire to it and the equipment behind it; a test does
something to one, waits for what the record says of it, and holds the record against what was
served: ``served`` of the server knows every value with its source time.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import dropwhile, pairwise
from pathlib import Path
from typing import NamedTuple

from drivers.reading import Quality, Reason, Value
from monitor.alarms.watch import line_alarm
from monitor.store.points import Point
from tests.support.opcua_servers import OTHER, Change, Make, Manner, Node, OpcUaServer, Told
from tests.support.servers import HOST, InfluxDB, SecureMosquitto
from tests.support.stalls import Stalls, watching_stalls
from tests.whole.daemon import Daemon
from tests.whole.devices import CHANNELS, Probe, SecondMake
from tests.whole.ears import PATIENCE, SITE, Ears, listening
from tests.whole.wire import Wire, wire

EVER = 2**63 - 1
SECOND = 10**9
MILLISECOND = 10**6

PERIOD = SECOND // 2
"""Of every grid (ns)."""
KEEP_ALIVE = 2 * SECOND
TIMEOUT = 2 * SECOND
"""How long an answer is waited for (ns)."""
GRACE = SECOND
"""What a machine that is busy with other tests may be late by (ns)."""
BELIEVED = 2 * KEEP_ALIVE // PERIOD + 4
"""Points of the grid at which something may still be believed that a server said before its
trouble: two keep-alives of them, and a few. A machine that is busy makes them fewer, never more."""
SLOW = ("nothing published for ", "no answer within ", "no session within ")
"""Why a line is lost whose server is only late: a busy machine may do that at any time."""
DOUBTED = Reason.NOT_PROVEN
UNPROVEN = frozenset({DOUBTED, Reason.LINE_DOWN})
TRIES = 3
"""Sessions that one outage may take: each try whose answer was too late has left one."""

RECENT = 20 * SECOND
"""Of the record, what tells how things stand (ns)."""

Key = tuple[str, str]
"""Equipment and channel."""

PH = Node("s=pH", 6.0, unit="pH")
TEMPERATURE = Node("s=Temperature", 37.0, "Float", unit="Cel", namespace=OTHER)
PHASE = Node("i=77", 0, "Int32")
COUNT = Node("s=Count", 0, "Int32", namespace=OTHER)
WEIGHT = Node("s=Weight", 3.0, unit="kg")
FEED_PH = Node("s=Feed.pH", 7.0, unit="pH")
GHOST = Node("s=Nobody", 0.0)
"""A node that the file names and no server has."""
PHASES = ("inoculation", "growth", "harvest")
NODES = (PH, TEMPERATURE, PHASE, COUNT, WEIGHT, FEED_PH)


def reactor_equipment(name: str) -> str:
    """The equipment behind the line ``name``, as a site writes it."""
    names = ", ".join(f"{number}: {phase}" for number, phase in enumerate(PHASES))
    return _equipment(
        f"{name}-vessel",
        name,
        f'ph: {{node: "{PH.id}", unit: pH}}',
        f'temperature: {{node: "{TEMPERATURE.id}", unit: Cel}}',
        f'phase: {{node: "{PHASE.id}", names: {{{names}}}}}',
        f'count: {{node: "{COUNT.id}"}}',
    ) + _equipment(
        f"{name}-feed",
        name,
        f'weight: {{node: "{WEIGHT.id}", unit: kg}}',
        f'ph: {{node: "{FEED_PH.id}", unit: pH}}',
        f'dissolved_oxygen: {{node: "{GHOST.id}", unit: "%"}}',
    )


def _equipment(name: str, line: str, *channels: str) -> str:
    listed = "".join(f"          {channel}\n" for channel in channels)
    return f"""\
  - name: {name}
    kind: bioreactor
    area: suite-a
    sources:
      - line: {line}
        every: {PERIOD // MILLISECOND}ms
        channels:
{listed}"""


def opcua_line(name: str, port: int, extra: str = "") -> str:
    """A line, as a site writes it."""
    return (
        f'  - {{name: {name}, opcua: {{endpoint: "opc.tcp://{HOST}:{port}", publishing: 200ms,'
        f" keep_alive: {KEEP_ALIVE // SECOND}s, timeout: {TIMEOUT // SECOND}s,"
        f" connect_timeout: 5s{extra}}}}}\n"
    )


@dataclass
class Reactor:
    """One server, the wire to it, and what the record says of the equipment behind it."""

    name: str
    server: OpcUaServer
    wire: Wire
    scene: "Scene"
    number: int = 0
    """Of the last values that were set."""
    gone: set[Node] = field(default_factory=set)
    """Nodes that were taken away."""

    @property
    def nodes(self) -> dict[Key, Node]:
        """Where each channel comes from, but for the one that has no node."""
        vessel, feed = f"{self.name}-vessel", f"{self.name}-feed"
        return {
            (vessel, "ph"): PH,
            (vessel, "temperature"): TEMPERATURE,
            (vessel, "phase"): PHASE,
            (vessel, "count"): COUNT,
            (feed, "weight"): WEIGHT,
            (feed, "ph"): FEED_PH,
        }

    @property
    def ghost(self) -> Key:
        return f"{self.name}-feed", "dissolved_oxygen"

    @property
    def line_alarm(self) -> str:
        return line_alarm(self.name)

    def points(self, since: int = 0) -> list[Point]:
        """What is recorded of its equipment."""
        return [p for p in self.scene.points(since) if p.equipment.startswith(f"{self.name}-")]

    def alarms(self) -> list[tuple[str, str]]:
        """Which alarms of its own were raised and returned, but for that of the missing node.

        Nobody acknowledges any, so all but the first are raised again; that makes no difference.
        """
        ghost = f"{self.ghost[0]}/{self.ghost[1]}/unreadable"
        changes = [
            (str(event["alarm"]), str(event["change"]).removesuffix("_again"))
            for event in self.scene.ears.events()
            if f"{self.name}-" in event["alarm"] or event["alarm"] == self.line_alarm
        ]
        return [(a, what) for a, what in changes if a != ghost and what in {"raised", "returned"}]

    async def set_others(self) -> None:
        """Give every node a value that it never had before."""
        self.number += 1
        n = self.number
        values = {
            PH: 6 + n / 1000,
            TEMPERATURE: 30 + n / 8,
            PHASE: n % len(PHASES),
            COUNT: n,
            WEIGHT: 3 + n / 1000,
            FEED_PH: 7 + n / 1000,
        }
        there = [Change(node.id, values[node]) for node in NODES if node not in self.gone]
        await asyncio.to_thread(self.server.set, *there)

    async def flows(self, times: int = 3) -> None:
        """Change every value, again and again; return when the record has the last of each."""
        for _ in range(times):
            await self.set_others()
            await self.until(self._is_up_to_date, "the newest values on the record")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for what the record will say."""
        end = time.monotonic() + PATIENCE
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.2)
            if time.monotonic() < end:
                continue
            latest = {key: point[8:12] for key, point in self.latest().items()}
            raise AssertionError(
                f"{self.name}: no {what}; the last: {latest}\n"
                f"{self.server.counts() if self.server.runs else 'no server'}\n"
                f"{self.scene.daemon.words()[-4000:]}"
            )

    async def suffers(
        self,
        begin: Callable[[], object],
        end: Callable[[], object],
        *,
        victims: Collection[Key] | None = None,
        reasons: Collection[Reason] = UNPROVEN,
        alarms: Sequence[str] | None = None,
        words: str = "",
        lasting: float = 0,
    ) -> None:
        """Have it a trouble, and hold the record against what had to happen.

        ``victims`` (its channels all together, unless told) go bad for one of ``reasons``, and
        nothing else does; each of ``alarms`` (that of its line) is raised and returns. It lasts
        until all that is told, and the log has ``words``, and ``lasting`` seconds at least.
        """
        victims = self.nodes.keys() if victims is None else victims
        alarms = [self.line_alarm] if alarms is None else alarms
        told = len(self.alarms())
        since = time.time_ns()
        await asyncio.to_thread(begin)
        began = time.time_ns()
        await self.until(lambda: self._are_bad(victims, since), f"bad readings of {victims}")
        await self.until_told([(alarm, "raised") for alarm in alarms], told, since)
        await self.until(lambda: words in self.scene.daemon.words(), f"word of {words!r}")
        await asyncio.sleep(lasting - (time.time_ns() - began) / SECOND)
        ended = time.time_ns()
        await asyncio.to_thread(end)
        await self.flows()
        changes = ("raised", "returned")
        await self.until_told([(a, change) for change in changes for a in alarms], told, since)
        self._suffered(since, began, ended, victims, reasons)

    async def gets_over(self, what: Callable[[], object]) -> None:
        """Have it a trouble that ends by what the daemon does of itself.

        It may be too short to be told, or even to be seen on the record; but when two keep-alives
        are over, nothing that was said before it is believed any more.
        """
        told, before = len(self.alarms()), self.server.counts()
        since = time.time_ns()
        await asyncio.to_thread(what)
        await self.set_others()
        changed = time.time_ns()
        await self.flows()
        after = self.server.counts()
        assert after.subscriptions >= 1, after
        sessions = after.sessions_ever - before.sessions_ever
        assert sessions <= 1 + TRIES * len(self.slow(since)), f"{before} {after}"
        if self.alarms()[told:]:
            both = [(self.line_alarm, what) for what in ("raised", "returned")]
            await self.until_told(both, told, since)
        old: Counter[Key] = Counter()
        for point in self.points(since):
            key = (point.equipment, point.channel)
            if point.quality is Quality.GOOD and point.time > changed:
                old[key] += (point.source_time or 0) < since - MILLISECOND
            elif point.quality is Quality.BAD and key != self.ghost:
                assert point.reason in UNPROVEN, point
        assert not old or max(old.values()) <= BELIEVED, old

    def _suffered(
        self,
        since: int,
        began: int,
        ended: int,
        victims: Collection[Key],
        reasons: Collection[Reason],
    ) -> None:
        late = bool(self.slow(since))
        told: dict[Key, list[Point]] = defaultdict(list)
        for point in self.points(since):
            told[point.equipment, point.channel].append(point)
        told.pop(self.ghost, None)
        for key in told.keys() - set(victims):
            others = [point for point in told[key] if point.quality is not Quality.GOOD]
            doubted = [point for point in others if point.reason in UNPROVEN]
            assert others == doubted, f"{others} had no part in it"
            assert late or len(doubted) <= 1, f"{doubted} had no part in it"
        for key in told.keys() & set(victims):
            bad = {point.reason for point in told[key] if point.quality is Quality.BAD}
            assert bad <= {*reasons, *(UNPROVEN if late else ())}, f"{key}: {bad}"
            self._was_not_believed([p for p in told[key] if began < p.time < ended], ended - began)

    @staticmethod
    def _was_not_believed(points: Sequence[Point], lasted: int) -> None:
        """Soon, and from then on until the end."""
        believed = [n for n, point in enumerate(points) if point.quality is not Quality.BAD]
        assert len(believed) <= BELIEVED, f"{points[believed[-1]]} of {len(believed)} in {lasted}"
        sure = [n for n, p in enumerate(points) if n not in believed and p.reason is not DOUBTED]
        assert not believed or not sure or believed[-1] < sure[0], points[believed[-1]]

    def _are_bad(self, victims: Collection[Key], since: int) -> bool:
        latest = self.latest(since)
        return all(k in latest and latest[k].quality is Quality.BAD for k in victims)

    async def until_told(
        self, alarms: Sequence[tuple[str, str]], before: int = 0, since: int = 0
    ) -> None:
        """Wait until just that happened to its alarms, but for the first ``before`` changes.

        If the record says that the server was too slow besides, since then, they may have been
        raised and have returned so much more often.
        """
        wanted = {self.line_alarm: "returned", **dict(alarms)}

        def so() -> bool:
            told = self.alarms()[before:]
            last = {self.line_alarm: "returned", **dict(told)}
            return last == wanted and not Counter(alarms) - Counter(told)

        try:
            await self.scene.ears.until(so)
        except TimeoutError:
            raise AssertionError(f"{self.alarms()[before:]}, not {alarms}") from None
        told = self.alarms()[before:]
        if told != list(alarms):
            own = (self.line_alarm, "raised") in alarms
            besides = min(len(self.outages(since)) - own, len(self.slow(since)))
            more = Counter(told) - Counter(alarms)
            assert len(told) - len(alarms) <= 2 * len(wanted) * besides, f"{more} {besides=}"

    def outages(self, since: int) -> list[str]:
        """Why its line was lost, each time, from then on (ns, UTC)."""
        with self.scene.daemon.reader() as reader:
            events = [e for e in reader.events(since, EVER) if e.subject == f"line/{self.name}"]
        bodies = [json.loads(event.body) for event in events if event.kind == "outage"]
        return [str(body["text"]) for body in bodies if body["phase"] == "begin"]

    def slow(self, since: int) -> list[str]:
        """When it was lost because the server was too late with something."""
        return [text for text in self.outages(since) if any(words in text for words in SLOW)]

    def latest(self, since: int = 0) -> dict[Key, Point]:
        """The last reading of each channel, where it is younger than ``RECENT``."""
        since = max(since, time.time_ns() - RECENT)
        return {(point.equipment, point.channel): point for point in self.points(since)}

    def _is_up_to_date(self) -> bool:
        latest = self.latest()
        return all(
            key in latest and _is(latest[key], node, self.server.served[node.id][-1])
            for key, node in self.nodes.items()
            if node not in self.gone
        )

    def everything_was_served(self) -> None:
        """Every value on the record is one that the server had, with its time."""
        told = {key: self.server.served[node.id] for key, node in self.nodes.items()}
        known = {key: {each.at: each for each in every} for key, every in told.items()}
        for point in self.points():
            key = (point.equipment, point.channel)
            if point.quality is Quality.BAD:
                assert point.value is None, point
                continue
            assert point.source_time is not None, point
            served = known[key].get(point.source_time // MILLISECOND)
            assert served is not None, f"{point} was never served"
            assert point.value == _as_recorded(self.nodes[key], served), f"{point}: {served}"
            assert served.status.startswith(point.quality.name.capitalize()), f"{point}: {served}"

    def the_grid_was_kept(self, stalls: "Stalled") -> None:
        """No grid point is without its scan, however the server was."""
        no_gaps(self.points(), f"{self.name}-", stalls)


def _is(point: Point, node: Node, told: Told) -> bool:
    at = (point.source_time or 0) // MILLISECOND
    good = point.quality is Quality.GOOD
    return good and (point.value, at) == (_as_recorded(node, told), told.at)


def _as_recorded(node: Node, told: Told) -> Value:
    """A phase has a name; the rest is recorded as it is told."""
    return PHASES[int(told.value)] if node == PHASE else told.value


class Stalled(NamedTuple):
    """How long the machine held up whoever is needed for a scan."""

    until: int
    """UTC (ns); what came after that is not known."""
    worst: int
    """At most (ns)."""


def no_gaps(points: Sequence[Point], equipment: str, stalled: Stalled) -> None:
    """Every equipment of that name has a scan for each point of its grid, but for one or two that
    a busy machine may have cost it, or an answer that was waited for, and its stalls."""
    times: dict[str, dict[int, None]] = defaultdict(dict)
    for point in points:
        if point.equipment.startswith(equipment) and point.time <= stalled.until:
            times[point.equipment][point.time] = None
    assert times
    for name, at in times.items():
        ordered = sorted(at)
        gap, where = max((b - a, a) for a, b in pairwise(ordered))
        assert gap < 3 * PERIOD + TIMEOUT + GRACE + stalled.worst, (
            f"{name}: nothing for {gap / SECOND} s at {where}"
        )


@dataclass
class Scene:
    """The daemon between its plant, its broker and its database."""

    daemon: Daemon
    influxdb: InfluxDB
    database: str
    probe: Probe
    ears: Ears
    stalls: Stalls
    reactors: dict[str, Reactor] = field(default_factory=dict)

    def points(self, since: int = 0) -> list[Point]:
        """What is recorded from then on (ns, UTC)."""
        if not self.daemon.store.exists():
            return []
        with self.daemon.reader() as reader:
            return list(reader.readings(since, EVER))

    async def stalled(self) -> Stalled:
        """How the machine was until now: with the devices here, and by the daemon's own word."""
        status = await self.daemon.status()
        worst = round(status.grid.deviation_ms_worst * MILLISECOND) + self.stalls.worst
        return Stalled(time.time_ns() - SECOND, worst)

    def the_incubator_is_well(self, stalled: Stalled) -> None:
        """What is on Modbus was read in time, whatever the servers did, and is what was served."""
        everything = [p for p in self.points() if p.equipment == "incubator-1"]
        points = list(dropwhile(lambda p: p.reason is Reason.LINE_DOWN, everything))
        assert {point.quality for point in points} == {Quality.GOOD}
        reads = [point.value for point in points if point.channel == "reads"]
        assert reads == list(range(1, len(reads) + 1)), "each read is there once"
        assert len(self.probe.served) - len(reads) <= 2
        no_gaps(points, "incubator-1", stalled)
        assert not [e["alarm"] for e in self.ears.events() if "incubator-1" in e["alarm"]]
        assert not self.ears.changes(line_alarm("io"))

    async def the_database_has_it_all(self) -> None:
        """Every scan is in InfluxDB once, with the values that the record has."""
        await self.daemon.until_delivered()
        rows = {
            int(str(row["scan"])): row
            for kind in ("bioreactor", "incubator")
            for row in self.influxdb.query(f"SELECT * FROM {kind}", self.database)  # noqa: S608
        }
        for point in self.points():
            if point.scan <= max(rows):
                assert rows[point.scan].get(point.channel) == point.value, point
                assert rows[point.scan]["equipment"] == point.equipment


@dataclass(frozen=True)
class Behind:
    """A server that a scene is to have, and how its line is written."""

    make: Make
    manner: Manner = field(default_factory=Manner)
    line: str = ""
    """More of the line's settings: ``, security: None``."""
    running: bool = True
    """Whether it runs when the daemon starts."""


@asynccontextmanager
async def scene(
    folder: Path, broker: SecureMosquitto, influxdb: InfluxDB, behind: dict[str, Behind]
) -> AsyncIterator[Scene]:
    """Start it all; the servers first, unless they are to be away."""
    database = f"reactors_{broker.port}"
    influxdb.create(database)
    probe = Probe()
    async with AsyncExitStack() as stack:
        second = stack.enter_context(SecondMake(probe))
        listening_ = listening(broker, "reader", "cytowatch/v1/#", name="consumer")
        ears = await stack.enter_async_context(listening_)
        servers, wires = {}, {}
        for name, each in behind.items():
            server = OpcUaServer(folder / name, each.make, NODES, each.manner)
            stack.callback(server.kill)
            servers[name] = server
            wires[name] = await stack.enter_async_context(wire(server.port))
        away = [servers[name].start for name, each in behind.items() if each.running]
        await asyncio.gather(*map(asyncio.to_thread, away))
        lines = "".join(
            opcua_line(name, wires[name].port, each.line) for name, each in behind.items()
        )
        equipment = "".join(map(reactor_equipment, behind))
        text = site(folder, broker, influxdb, database, second.port, lines, equipment)
        daemon = stack.enter_context(Daemon(folder / "daemon", text))
        stalls = await stack.enter_async_context(watching_stalls())
        whole = Scene(daemon, influxdb, database, probe, ears, stalls)
        whole.reactors = {n: Reactor(n, servers[n], wires[n], whole) for n in behind}
        await daemon.ready()
        yield whole


def site(
    folder: Path,
    broker: SecureMosquitto,
    influxdb: InfluxDB,
    database: str,
    modbus: int,
    lines: str,
    equipment: str,
) -> str:
    """The whole file; the delays of alarms are short, so that a test need not wait for them."""
    password = folder / "password"
    password.write_text(broker.passwords["gateway"])
    password.chmod(0o600)
    return f"""\
site: {SITE}
gateway: gw-1
store: {{tick: 200ms}}
influxdb: {{url: "{influxdb.url}", api: v1, database: {database}, timeout: 10s}}
mqtt:
  host: {HOST}
  port: {broker.port}
  user: gateway
  password: {{file: {password}}}
  tls: {{ca_file: {broker.ca_file}}}
  digest: 1s
kinds:
  incubator: {{reads: {{type: counter}}}}
  bioreactor: {{count: {{type: counter}}}}
defaults:
  silent: {{on_delay: 1s}}
  unreadable: {{on_delay: 2s}}
lines:
  - {{name: io, modbus: {{host: {HOST}, port: {modbus}, timeout: 60s}}}}
{lines}equipment:
  - name: incubator-1
    kind: incubator
    area: suite-a
    sources:
      - line: io
        unit: 1
        every: {PERIOD // MILLISECOND}ms
        channels:
{CHANNELS}
{equipment}"""
