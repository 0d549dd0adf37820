"""Everything that is real, wired together: devices of two makes, daemon, broker and database."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any, NamedTuple

from drivers.simulated.servers import ModbusHost
from monitor.store.events import Event
from tests.support.servers import HOST, InfluxDB, SecureMosquitto
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.devices import CHANNELS, Probe, SecondMake, Served, single
from tests.whole.ears import SITE, Ears, listening
from tests.whole.proxy import CountingProxy, counting_proxy

EVER = 2**63 - 1
MILLISECOND = 10**6
LIMIT = 6.0
"""Of co2, above which it is an alarm, and below 5.9 again none."""
CLOCKS = 60 * MILLISECOND
"""Record time may differ from the wall clock by so much without being called a step."""
EQUIPMENT = ("incubator-1", "incubator-2", "incubator-3")


class Timing(NamedTuple):
    """How fast everything goes, as a site writes it."""

    every: str = "500ms"
    tick: str = "1s"
    on_delay: str = "1500ms"


def site(
    folder: Path,
    broker: SecureMosquitto,
    ports: tuple[int, int, int],
    database: str,
    timing: Timing,
) -> str:
    """Two lines and three incubators; the first two share a host."""
    first, second, influxdb = ports
    password = folder / "password"
    password.write_text(broker.passwords["gateway"])
    password.chmod(0o600)
    return f"""\
site: {SITE}
gateway: gw-1
store: {{tick: {timing.tick}}}
influxdb: {{url: "http://{HOST}:{influxdb}", api: v1, database: {database}, timeout: 60s}}
mqtt:
  host: {HOST}
  port: {broker.port}
  user: gateway
  password: {{file: {password}}}
  tls: {{ca_file: {broker.ca_file}}}
  commands: true
  digest: 1s
kinds:
  incubator: {{reads: {{type: counter}}}}
limits:
  chamber:
    co2:
      - {{name: high, high: {LIMIT}, deadband: 0.1, on_delay: {timing.on_delay}, priority: high,
         response: "Check the CO2 valve"}}
      - {{name: low, low: 4.0, deadband: 0.1, priority: medium}}
lines:
  - {{name: bus-a, modbus: {{host: {HOST}, port: {first}, timeout: 60s}}}}
  - {{name: io-b, modbus: {{host: {HOST}, port: {second}, timeout: 60s}}}}
equipment:
{_equipment("incubator-1", "bus-a", 1, timing)}
{_equipment("incubator-2", "bus-a", 2, timing)}
{_equipment("incubator-3", "io-b", 1, timing)}
"""


def _equipment(name: str, line: str, unit: int, timing: Timing) -> str:
    return f"""\
  - name: {name}
    kind: incubator
    area: suite-a
    limits: chamber
    sources:
      - line: {line}
        unit: {unit}
        every: {timing.every}
        channels:
{CHANNELS}"""


class Row(NamedTuple):
    """One scan, wherever it was read back from."""

    equipment: str
    at: int
    """Milliseconds, UTC."""
    co2: float | None
    reads: int | None
    bad: bool


@dataclass
class Rig:
    """All of it, running."""

    daemon: Daemon
    broker: SecureMosquitto
    influxdb: InfluxDB
    database: str
    proxy: CountingProxy
    probes: dict[str, Probe]
    ears: Ears

    def recorded(self) -> dict[int, Row]:
        """Every scan in the daemon's own record, by number."""
        fields: dict[int, dict[str, Any]] = defaultdict(dict)
        rows: dict[int, Row] = {}
        with self.daemon.reader() as reader:
            for point in reader.readings(0, EVER):
                fields[point.scan][point.channel] = point.value
                known = fields[point.scan]
                at = point.time // MILLISECOND
                bad = bool(point.quality) or (point.scan in rows and rows[point.scan].bad)
                rows[point.scan] = Row(
                    point.equipment, at, known.get("co2"), known.get("reads"), bad
                )
        return rows

    def events(self) -> list[Event]:
        """Everything else in the daemon's own record."""
        with self.daemon.reader() as reader:
            return list(reader.events(0, EVER))

    def stored(self) -> list[tuple[int, Row]]:
        """Every point in InfluxDB: the number of its scan, and the rest."""
        return [
            (
                int(row["scan"]),
                Row(
                    row["equipment"],
                    row["time"] // MILLISECOND,
                    row.get("co2"),
                    row.get("reads"),
                    bool(row["co2_quality"] or row["reads_quality"]),
                ),
            )
            for row in self.query("SELECT * FROM incubator")
        ]

    def query(self, influxql: str) -> Sequence[dict[str, Any]]:
        """Ask InfluxDB itself."""
        return self.influxdb.query(influxql, self.database)

    async def scan_later(self) -> None:
        """Return when every probe was read once more."""
        before = {name: len(probe.served) for name, probe in self.probes.items()}
        await eventually(
            lambda: all(len(p.served) > before[name] for name, p in self.probes.items()), GENEROUS
        )


def alarm(equipment: str, rule: str = "high") -> str:
    """The name of an alarm of the site."""
    return f"{equipment}/co2/{rule}"


def once_connected(rows: Iterable[Row]) -> list[Row]:
    """All but the points of the grid that came before its line stood, the first time."""
    return list(dropwhile(lambda row: row.bad and row.reads is None, rows))


def believable(row: Row, served: Sequence[Served]) -> bool:
    """Whether a scan says what was served, at a time between that read and the next."""
    if row.reads is None or row.co2 is None or not 0 < row.reads <= len(served):
        return False
    told = served[row.reads - 1]
    after = served[row.reads].at if row.reads < len(served) else EVER
    in_time = told.at - CLOCKS <= row.at * MILLISECOND <= after + CLOCKS
    return in_time and single(row.co2) == told.co2


@asynccontextmanager
async def rig(
    folder: Path, broker: SecureMosquitto, influxdb: InfluxDB, timing: Timing | None = None
) -> AsyncIterator[Rig]:
    """Start everything; the daemon is killed in the end, if it still runs."""
    probes = {name: Probe() for name in EQUIPMENT}
    database = f"rig_{broker.port}"
    influxdb.create(database)
    async with AsyncExitStack() as stack:
        host = ModbusHost({1: probes["incubator-1"].blocks, 2: probes["incubator-2"].blocks})
        stack.push_async_callback(host.close)
        await host.plug()
        second = stack.enter_context(SecondMake(probes["incubator-3"]))
        proxy = await stack.enter_async_context(counting_proxy(influxdb.url))
        for probe in probes.values():
            probe.forget()
        ears = await stack.enter_async_context(
            listening(broker, "reader", "cytowatch/v1/#", name="consumer")
        )
        ports = (host.port, second.port, proxy.port)
        text = site(folder, broker, ports, database, timing or Timing())
        daemon = stack.enter_context(Daemon(folder / "daemon", text))
        await daemon.ready()
        yield Rig(daemon, broker, influxdb, database, proxy, probes, ears)
