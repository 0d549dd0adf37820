"""Every query of the committed dashboard, asked of an InfluxDB that a real run has filled.

What must come out is counted anew from the daemon's own record, which is another way than the
database's, and from what the devices served and the operator did.
"""

import gzip
import subprocess
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pytest

from config.rules import Priority
from drivers.reading import Quality
from drivers.simulated.servers import ModbusHost
from monitor.alarms.facts import State
from monitor.dashboards.questions import select
from monitor.health import PERIOD
from monitor.messages import ActReply, AlarmEventMessage
from monitor.operators.protocol import Ask
from monitor.store import line_protocol
from monitor.store.points import Point
from monitor.store.reader import Reader
from tests.support import grafana
from tests.support.grafana import Asked, Shown
from tests.support.opcua_servers import Change, Node, OpcUaServer
from tests.support.servers import HOST, InfluxDB, Mosquitto, free_port
from tests.support.waiting import eventually
from tests.whole.daemon import GENEROUS, Daemon
from tests.whole.devices import CHANNELS, Probe, SecondMake, single

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

Row = dict[str, Any]
EVER = 2**63 - 1
MILLISECOND = 10**6
SECOND = 1000
"""Milliseconds."""
HOUR = 3600 * SECOND
BOARD = grafana.read("site-overview")
SITE = "les-ulis"
EQUIPMENT = {
    "incubator-1": ("incubator", "suite-a", "bus", 1),
    "incubator-2": ("incubator", "suite-a", "bus", 2),
    "incubator-3": ("incubator", "suite-b", "io", 1),
    "incubator-4": ("incubator", "suite-b", "gone", 1),
    "bioreactor-1": ("bioreactor", "suite-b", "reactor", 0),
}
"""By name: kind, area, line and unit."""
WARM = '          temperature: {holding: 0, type: float32, order: ABCD, scale: 7, unit: "Cel"}'
PH, OXYGEN = Node("s=pH", 7.0, unit="pH"), Node("s=DO", 40.0, unit="%")
PHASE = Node("s=Phase", "growth", "String")
TANK = f"""\
          ph: {{node: "{PH.id}", unit: pH}}
          dissolved_oxygen: {{node: "{OXYGEN.id}", unit: "%"}}
          phase: {{node: "{PHASE.id}"}}"""
ACID_RULE = "      - {name: high, high: 7.4, deadband: 0.1, priority: critical}\n"
LOW_PH_RULE = "      - {name: low, low: 6.0}\n"
HIGH, LOW, ACID = "incubator-1/co2/high", "incubator-3/co2/low", "bioreactor-1/ph/high"


def site(influxdb: InfluxDB, database: str, broker: Mosquitto, ports: Mapping[str, int]) -> str:
    text = f"""\
site: {SITE}
gateway: gw-1
store: {{tick: 200ms}}
influxdb: {{url: "http://{HOST}:{influxdb.port}", api: v1, database: {database}}}
mqtt: {{host: {HOST}, port: {broker.port}}}
kinds:
  incubator: {{reads: {{type: counter}}}}
defaults:
  silent: {{on_delay: 1s}}
limits:
  incubator:
    co2:
      - {{name: high, high: 6.0, deadband: 0.1, priority: high}}
      - {{name: low, low: 4.0, deadband: 0.1, priority: medium}}
  bioreactor:
    ph:
{ACID_RULE}{LOW_PH_RULE}lines:
  - {{name: reactor, opcua: {{endpoint: "opc.tcp://{HOST}:{ports["reactor"]}"}}}}
"""
    for name in ("bus", "io", "gone"):
        modbus = f"host: {HOST}, port: {ports[name]}, timeout: 20s"
        text += f"  - {{name: {name}, modbus: {{{modbus}}}}}\n"
    text += "equipment:\n"
    for name, (kind, area, line, unit) in EQUIPMENT.items():
        channels, place = f"{CHANNELS}\n{WARM}", f"        unit: {unit}\n"
        if name == "incubator-2":  # It will be silent, and not hold up its neighbour for long.
            place += "        timeout: 5s\n"
        if kind == "bioreactor":
            channels, place = TANK, ""
        text += f"  - name: {name}\n    kind: {kind}\n    area: {area}\n    limits: {kind}\n"
        text += f"    sources:\n      - line: {line}\n{place}        every: 500ms\n"
        text += f"        channels:\n{channels}\n"
    return text


@dataclass
class Scene:
    """The plant, the daemon and the database."""

    daemon: Daemon
    influxdb: InfluxDB
    database: str
    probes: Mapping[str, Probe]
    host: ModbusHost
    reactor: OpcUaServer

    def query(self, influxql: str) -> list[Row]:
        return self.influxdb.query(influxql, self.database)

    async def until_raised(self, *alarms: str) -> None:
        for _ in range(int(GENEROUS * 20)):
            if set(alarms) <= set(await self.daemon.alarms()):
                return
            await self.until_read("incubator-3")
        raise AssertionError(f"{alarms}: {list(await self.daemon.alarms())}")

    async def until_read(self, name: str) -> None:
        """Return when a device was read once more."""
        served = self.probes[name].served
        before = len(served)
        await eventually(lambda: len(served) > before, GENEROUS)

    async def acknowledge(self, alarm: str) -> None:
        request = Ask(act="acknowledge", alarm=alarm, reason="seen", request_id=f"ack-{alarm}")
        [reply] = await self.daemon.ask(request, ActReply)
        assert reply.result == "done", reply


@asynccontextmanager
async def scene(folder: Path, influxdb: InfluxDB, broker: Mosquitto) -> AsyncIterator[Scene]:
    probes = {name: Probe() for name in ("incubator-1", "incubator-2", "incubator-3")}
    database = f"dashboard_{broker.port}"
    influxdb.create(database)
    async with AsyncExitStack() as stack:
        host = ModbusHost({1: probes["incubator-1"].blocks, 2: probes["incubator-2"].blocks})
        stack.push_async_callback(host.close)
        await host.plug()
        second = stack.enter_context(SecondMake(probes["incubator-3"]))
        server = OpcUaServer(folder / "reactor", "asyncua", [PH, OXYGEN, PHASE])
        reactor = stack.enter_context(server)
        ports = {"bus": host.port, "io": second.port, "gone": free_port(), "reactor": reactor.port}
        text = site(influxdb, database, broker, ports)
        daemon = stack.enter_context(Daemon(folder / "daemon", text))
        await daemon.ready()
        yield Scene(daemon, influxdb, database, probes, host, reactor)


async def a_shift(scene: Scene) -> None:
    """What happens: alarms raised, acknowledged and returned, a unit that falls silent."""
    await scene.until_raised("gateway/_/line-gone")
    scene.probes["incubator-1"].co2 = 6.4
    await scene.until_raised(HIGH)
    await scene.acknowledge(HIGH)
    doubtful = "UncertainSensorNotAccurate"
    scene.reactor.set(Change(PH.id, 7.6), Change(OXYGEN.id, 35.5, doubtful))
    scene.probes["incubator-3"].co2 = 3.5
    await scene.until_raised(ACID, LOW)
    await scene.acknowledge(ACID)
    scene.probes["incubator-1"].co2 = 5.25
    scene.host.silent.add(2)
    while len(await scene.daemon.alarms()) != 4:  # That of incubator-1 is gone, a silence came.
        await scene.until_read("incubator-3")


async def told(scene: Scene) -> int:
    """Return when the gateway has said how it is, the time of that in milliseconds."""
    newest: Row = {}

    def has_told() -> bool:
        fields = 'last("alarms_standing"), "alarms_unacknowledged", "mqtt_events_behind"'
        rows = scene.query(select(fields, '"gateway"'))
        newest.update(*rows)
        return [newest.get(name) for name in ("last", "mqtt_events_behind")] == [4, 0]

    await eventually(has_told, 6 * PERIOD)
    await scene.daemon.until_delivered()
    return int(newest["time"]) // MILLISECOND


class Wanted(NamedTuple):
    """The truth of what is shown: the daemon's record, as far as the choices let it through."""

    shown: Shown
    points: Sequence[Point]
    """In the shown time, of the chosen equipment."""
    events: Sequence[AlarmEventMessage]
    """Until the end of the shown time, of the chosen equipment and the gateway."""
    all_events: Sequence[AlarmEventMessage]
    """Until then, of everything."""

    @property
    def standing(self) -> list[AlarmEventMessage]:
        return _standing(self.events)

    def lately(self) -> list[Point]:
        start = self.shown.end - 120 * SECOND
        return [point for point in self.points if _ms(point) > start]


def _ms(point: Point) -> int:
    return point.time // MILLISECOND


def _standing(events: Sequence[AlarmEventMessage]) -> list[AlarmEventMessage]:
    newest = {event.alarm: event for event in events}
    return [event for event in newest.values() if event.after not in {"normal", "ended"}]


def wanted(scene: Scene, shown: Shown) -> Wanted:
    def chosen(equipment: str) -> bool:
        kind, area, _, _ = EQUIPMENT[equipment]
        pairs = {"equipment": equipment, "kind": kind, "area": area}
        return all(value in shown.choices[name] for name, value in pairs.items())

    with scene.daemon.reader() as reader:
        points = [p for p in reader.readings(0, EVER) if chosen(p.equipment)]
        kept = [e for e in reader.events(0, EVER) if e.kind == "alarm" and e.ms <= shown.end]
    events = [AlarmEventMessage.model_validate_json(event.body) for event in kept]
    return Wanted(
        shown,
        [p for p in points if shown.start <= _ms(p) <= shown.end],
        [e for e in events if e.equipment == "gateway" or chosen(e.equipment)],
        events,
    )


Check = Callable[[Scene, Wanted, Asked, list[Row]], None]


def not_acknowledged(_: Scene, wanted: Wanted, __: Asked, rows: list[Row]) -> None:
    [row] = rows
    assert row["alarms"] == sum(not e.acked_state for e in _standing(wanted.all_events)) == 3


def standing(_: Scene, wanted: Wanted, __: Asked, rows: list[Row]) -> None:
    [row] = rows
    assert row["alarms"] == len(_standing(wanted.all_events)) == 4


def lines(_: Scene, __: Wanted, ___: Asked, rows: list[Row]) -> None:
    [row] = rows
    assert (row["down"], row["of"]) == (1, 4)


def bad_data(_: Scene, wanted: Wanted, __: Asked, rows: list[Row]) -> None:
    worst: dict[str, Quality] = defaultdict(lambda: Quality.GOOD)
    for point in wanted.lately():
        worst[point.equipment] = max(worst[point.equipment], point.quality)
    bad = {name for name, quality in worst.items() if quality is Quality.BAD}
    assert bad >= {"incubator-2", "incubator-4"} & set(worst)
    assert sum(row["bad"] for row in rows) == len(bad)
    assert sum(row["of"] for row in rows) == len(worst)


def usable(_: Scene, wanted: Wanted, __: Asked, rows: list[Row]) -> None:
    newest = {
        (p.equipment, p.source): _ms(p) for p in wanted.points if p.quality is not Quality.BAD
    }
    times = {(row["equipment"], row["source"]): row["time"] // MILLISECOND for row in rows}
    assert times == newest
    assert "incubator-4" not in {equipment for equipment, _ in times}, "it never gave one"


def heard(_: Scene, __: Wanted, ___: Asked, rows: list[Row]) -> None:
    [row] = rows
    assert row.get("heard", row.get("of")) == 1


def last_word(_: Scene, wanted: Wanted, __: Asked, rows: list[Row]) -> None:
    [row] = rows
    assert (row["gateway"], row["time"] // MILLISECOND) == ("gw-1", wanted.shown.end)


def waiting(scene: Scene, wanted: Wanted, _: Asked, rows: list[Row]) -> None:
    at = f"time = {wanted.shown.end}ms"
    [told] = scene.query(select("*", '"gateway"', at))
    [row] = rows
    assert row["InfluxDB"] == told["influxdb_telemetry_behind_bytes"] < 10**6
    assert row["MQTT events"] == told["mqtt_events_behind"] == 0


def alarms_standing(_: Scene, wanted: Wanted, __: Asked, rows: list[Row]) -> None:
    found = {
        (row["equipment"], row["channel"], row["rule"]): (
            row["severity"],
            row["acked_state"],
            row["alarm_time"],
            row["value"],
            row["limit"],
            row["unit"],
            row["state"],
        )
        for row in rows
    }
    assert len(found) == len(rows)
    assert found == {
        (e.equipment, e.channel, e.rule): (
            Priority(e.priority).severity,
            e.acked_state,
            e.alarm_time,
            e.value,
            e.limit,
            e.unit,
            e.after,
        )
        for e in wanted.standing
    }


def transitions(_: Scene, wanted: Wanted, asked: Asked, rows: list[Row]) -> None:
    kinds = [*(each.value for each in Priority), "others"]
    kind = kinds["ABCDE".index(asked.ref)]
    shown = wanted.shown
    events = [e for e in wanted.events if shown.start <= ms(e.time) <= shown.end]
    counted = Counter(
        hour(ms(event.time))
        for event in events
        if kind == (event.priority if event.change in {"raised", "raised_again"} else "others")
    )
    found = {row["time"] // MILLISECOND: row["n"] for row in rows if row["n"]}
    assert found == counted, kind


def ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def hour(at: int) -> int:
    return at // HOUR * HOUR


def alarm_rate(scene: Scene, wanted: Wanted, asked: Asked, rows: list[Row]) -> None:
    """Each point is as counted from the record; the panel shows the worst of each step."""
    shown = wanted.shown
    span = f"time >= {shown.start}ms AND time <= {shown.end}ms AND \"area\" = '_'"
    points = scene.query(select("*", '"alarm_performance"', span))
    worst: dict[int, int] = {}
    for point in points:
        at = point["time"] // MILLISECOND
        assert point["last_10_min"] == len(_rung(wanted.all_events, at)) == point["last_day"]
        step = at // (120 * SECOND) * 120 * SECOND
        worst[step] = max(worst.get(step, 0), point["last_10_min"])
    found = {row["time"] // MILLISECOND: row["told in 10 min"] for row in rows}
    assert {at: count for at, count in found.items() if count is not None} == worst
    assert asked.step == "2m"
    assert max(worst.values()) >= 5
    assert {row["gateway"] for row in rows} == {"gw-1"}


def _rung(events: Sequence[AlarmEventMessage], at: int) -> list[AlarmEventMessage]:
    """What people were told of in the ten minutes before, by the record."""
    return [
        event
        for event in events
        if event.annunciated
        and event.change in {"raised", "raised_again"}
        and at - 600 * SECOND < ms(event.time) <= at
    ]


def quality(_: Scene, wanted: Wanted, asked: Asked, rows: list[Row]) -> None:
    worst = over_time(wanted, asked, lambda p: float(p.quality), max)
    series(rows, worst, "quality")
    of = {name: {q for (n, _), q in worst.items() if n == name} for name, _ in worst}
    assert of.get("incubator-4", {2}) == {2}
    # A minute in which it was bad too, before its line stood, shows as bad.
    told = {point.quality for point in wanted.points if point.equipment == "bioreactor-1"}
    assert Quality.UNCERTAIN in (told or {Quality.UNCERTAIN})


def bad_share(_: Scene, wanted: Wanted, __: Asked, rows: list[Row]) -> None:
    all_of_it = Counter(point.equipment for point in wanted.points)
    bad = Counter(p.equipment for p in wanted.points if p.quality is Quality.BAD)
    found = {row["equipment"]: row["share"] for row in rows}
    assert found == {name: pytest.approx(bad[name] / count) for name, count in all_of_it.items()}
    assert found.get("incubator-4", 1) == 1
    assert 0 < found.get("incubator-2", 0.5) < 1


def trend(channel: str) -> Check:
    def check(_: Scene, wanted: Wanted, asked: Asked, rows: list[Row]) -> None:
        def value(point: Point) -> float | None:
            is_it = point.channel == channel and isinstance(point.value, int | float)
            return float(point.value) if is_it and point.value is not None else None

        series(rows, over_time(wanted, asked, value, fmean), channel)
        assert "incubator-4" not in {row["equipment"] for row in rows if row[channel] is not None}

    return check


def over_time(
    wanted: Wanted,
    asked: Asked,
    value: Callable[[Point], float | None],
    together: Callable[[Sequence[float]], float],
) -> dict[tuple[str, int], float]:
    """What each equipment amounts to in each step of time, where there is anything."""
    step = int(asked.step[:-1]) * {"s": SECOND, "m": 60 * SECOND}[asked.step[-1]]
    kept: dict[tuple[str, int], list[float]] = defaultdict(list)
    for point in wanted.points:
        each = value(point)
        if each is not None:
            kept[point.equipment, _ms(point) // step * step].append(each)
    return {place: together(values) for place, values in kept.items()}


def series(rows: list[Row], expected: Mapping[tuple[str, int], float], column: str) -> None:
    found = {(row["equipment"], row["time"] // MILLISECOND): row[column] for row in rows}
    assert len(found) == len(rows)
    there = {place: value for place, value in found.items() if value is not None}
    assert there == {place: pytest.approx(value) for place, value in expected.items()}
    assert not expected or len(found) > len(there), "what is missing is a gap"


CHECKS: Mapping[tuple[str, str], Check] = {
    ("Not acknowledged", "A"): not_acknowledged,
    ("Alarms", "A"): standing,
    ("Lines", "A"): lines,
    ("Bad data", "A"): bad_data,
    ("Oldest data", "A"): usable,
    ("Gateways", "A"): heard,
    ("Gateways", "B"): heard,
    ("Last word", "A"): last_word,
    ("To be delivered", "A"): waiting,
    ("Alarms standing", "A"): alarms_standing,
    **{("Alarm transitions per hour", ref): transitions for ref in "ABCDE"},
    ("Alarm rate", "A"): alarm_rate,
    ("Quality of data", "A"): quality,
    ("Last usable reading", "A"): usable,
    ("Bad readings", "A"): bad_share,
    ("Temperature", "A"): trend("temperature"),
    ("CO2", "A"): trend("co2"),
    ("pH", "A"): trend("ph"),
    ("Dissolved oxygen", "A"): trend("dissolved_oxygen"),
}
CHOSEN = ("${channel}", "A")
"""The panel of the channel that is chosen."""


async def test_every_query_returns_what_the_run_is_known_to_have_made(
    tmp_path: Path, influxdb16: InfluxDB, mosquitto: Mosquitto
) -> None:
    async with scene(tmp_path, influxdb16, mosquitto) as plant:
        await a_shift(plant)
        end = await told(plant)
        choices = all_that_is_offered(plant, end)
        shown = Shown(end - 10 * 60 * SECOND, end, choices)
        panels_say_what_is_so(plant, shown)
        newest_values_are_what_the_devices_serve(plant, shown)
        for narrower in ({"area": ["suite-b"]}, {"equipment": ["incubator-1", "incubator-3"]}):
            panels_say_what_is_so(plant, shown._replace(choices={**choices, **narrower}))
        each_channel_can_be_chosen(plant, shown)
        alarms_are_marked(plant, shown)
        the_past_can_be_looked_at(plant, shown)
        await an_alarm_whose_rule_is_gone_stands_no_more(plant, shown)
        assert await plant.daemon.stop() == 0


def all_that_is_offered(plant: Scene, end: int) -> Mapping[str, Sequence[str]]:
    """Fill the variables one after the other, as Grafana does; choose all, or the usual one."""
    offered: dict[str, Sequence[str]] = {}
    choices: dict[str, Sequence[str]] = {}
    asked = grafana.of_variables(BOARD)
    for variable, question in zip(grafana.variables(BOARD), asked, strict=True):
        name = variable["name"]
        rows = plant.query(Shown(0, end, choices).fill(question))
        offered[name] = grafana.offered(variable, rows)
        first = variable["current"].get("value", offered[name][0])
        choices[name] = offered[name] if variable["multi"] else [first]
    assert offered == {
        "site": [SITE],
        "kind": ["bioreactor", "incubator"],
        "area": ["suite-a", "suite-b"],
        "equipment": sorted(EQUIPMENT),
        "channel": ["co2", "dissolved_oxygen", "ph", "reads", "temperature"],
    }
    return choices


def panels_say_what_is_so(plant: Scene, shown: Shown) -> None:
    truth = wanted(plant, shown)
    every = {(asked.owner, asked.ref): asked for asked in grafana.of_panels(BOARD)}
    assert every.keys() == CHECKS.keys() | {CHOSEN}, "no query without a check"
    for place, asked in every.items():
        check = trend(*shown.choices["channel"]) if place == CHOSEN else CHECKS[place]
        check(plant, truth, asked, plant.query(shown.fill(asked)))


def newest_values_are_what_the_devices_serve(plant: Scene, shown: Shown) -> None:
    every = {asked.owner: asked._replace(step="1s") for asked in grafana.of_panels(BOARD)}
    serves = {name: single(probe.co2) for name, probe in plant.probes.items()}
    expected: Mapping[str, Mapping[str, Any]] = {
        "Temperature": {name: 7 * serves[name] for name in ("incubator-1", "incubator-3")},
        "CO2": {name: serves[name] for name in ("incubator-1", "incubator-3")},
        "pH": {"bioreactor-1": plant.reactor.served[PH.id][-1].value},
        "Dissolved oxygen": {"bioreactor-1": plant.reactor.served[OXYGEN.id][-1].value},
    }
    for title, values in expected.items():
        newest = {}
        for row in plant.query(shown.fill(every[title])):
            (channel,) = row.keys() - {"time", "equipment"}
            if row[channel] is not None:
                newest[row["equipment"]] = row[channel]
        newest.pop("incubator-2", None)  # It fell silent: what it said before is a line that ends.
        assert newest == {name: pytest.approx(value) for name, value in values.items()}, title


def each_channel_can_be_chosen(plant: Scene, shown: Shown) -> None:
    truth = wanted(plant, shown)
    [asked] = [a for a in grafana.of_panels(BOARD) if (a.owner, a.ref) == CHOSEN]
    for channel in ("co2", "dissolved_oxygen", "ph", "reads", "temperature"):
        chosen = shown._replace(choices={**shown.choices, "channel": [channel]})
        trend(channel)(plant, truth, asked, plant.query(chosen.fill(asked)))


def alarms_are_marked(plant: Scene, shown: Shown) -> None:
    [asked] = grafana.of_annotations(BOARD)
    [annotation] = BOARD["annotations"]["list"]
    columns = (annotation["target"]["textColumn"], annotation["target"]["tagsColumn"])
    marks = [tuple(row[name] for name in columns) for row in plant.query(shown.fill(asked))]
    raised = [e for e in wanted(plant, shown).events if e.change == "raised"]
    assert marks == [(event.alarm, event.priority) for event in raised]
    assert {HIGH, LOW, ACID, "gateway/_/line-gone"} < {alarm for alarm, _ in marks}


def the_past_can_be_looked_at(plant: Scene, shown: Shown) -> None:
    """What stood when the first excursion was raised, in a time that begins after other alarms."""
    [raised] = [e for e in wanted(plant, shown).events if (e.alarm, e.change) == (HIGH, "raised")]
    with plant.daemon.reader() as reader:
        [at] = [e.ms for e in reader.events(0, EVER) if e.seq == raised.seq]
    then = shown._replace(start=at, end=at)
    truth = wanted(plant, then)
    assert {event.alarm for event in truth.standing} == {HIGH, "gateway/_/line-gone"}
    [asked] = [a for a in grafana.of_panels(BOARD) if a.owner == "Alarms standing"]
    alarms_standing(plant, truth, asked, plant.query(then.fill(asked)))


async def an_alarm_whose_rule_is_gone_stands_no_more(plant: Scene, shown: Shown) -> None:
    assert await plant.daemon.stop() == 0
    text = plant.daemon.file.read_text(encoding="utf-8")
    plant.daemon.file.write_text(text.replace(ACID_RULE, ""), encoding="utf-8")
    plant.daemon.start()
    await plant.daemon.ready()
    ended = select('"alarm", "seq"', '"alarm_event"', f"\"to\" = '{State.ENDED}'")
    await eventually(lambda: [row["alarm"] for row in plant.query(ended)] == [ACID], GENEROUS)
    await plant.daemon.until_delivered()
    [newest] = plant.query(select('last("seq")', '"alarm_event"'))
    now = shown._replace(end=newest["time"] // MILLISECOND)
    truth = wanted(plant, now)
    assert ACID not in {event.alarm for event in truth.standing}
    [asked] = [a for a in grafana.of_panels(BOARD) if a.owner == "Alarms standing"]
    alarms_standing(plant, truth, asked, plant.query(now.fill(asked)))


def test_what_the_demo_stored_answers_every_query(tmp_path: Path, influxdb16: InfluxDB) -> None:
    keep, database = tmp_path / "kept", "dashboard_demo"
    demo = Daemon.command("demo", "--for", "30s", "--json", "--keep", str(keep))
    env = Daemon(tmp_path / "nowhere", "").environment
    subprocess.run(demo, env=env, check=True, capture_output=True, timeout=180)
    with Reader(keep / "state" / "cytowatch.db") as reader:
        bodies = [body for _, body in reader._blobs(0, EVER, None)]
        points, events = list(reader.readings(0, EVER)), list(reader.events(0, EVER))
    lines = [gzip.decompress(body).decode().strip() for body in bodies]
    lines += [line_protocol.alarm_event(e).decode() for e in events if e.kind == "alarm"]
    influxdb16.create(database)
    influxdb16.write(database, "\n".join(lines), "ms")
    end = max(points[-1].time // MILLISECOND, events[-1].ms)
    choices: dict[str, Sequence[str]] = {}
    for variable, asked in zip(grafana.variables(BOARD), grafana.of_variables(BOARD), strict=True):
        rows = influxdb16.query(Shown(0, end, choices).fill(asked), database)
        choices[variable["name"]] = grafana.offered(variable, rows)
    assert choices["kind"] == ["bioreactor", "incubator"], "both wires"
    shown = Shown(end - 600 * SECOND, end, choices | {"channel": ["temperature"]})
    every = [*grafana.of_panels(BOARD), *grafana.of_annotations(BOARD)]
    answers = {(a.owner, a.ref): influxdb16.query(shown.fill(a), database) for a in every}
    silent = {place for place, rows in answers.items() if not rows}
    # The demo has no database, and not every priority is raised in half a minute.
    may_be = {("Alarm transitions per hour", ref) for ref in "ABCDE"}
    assert silent <= {("To be delivered", "A"), *may_be}
    told = [AlarmEventMessage.model_validate_json(e.body) for e in events if e.kind == "alarm"]
    table = {(r["equipment"], r["channel"], r["rule"]) for r in answers["Alarms standing", "A"]}
    assert table == {(e.equipment, e.channel, e.rule) for e in _standing(told)}
    all_of_it = Counter(point.equipment for point in points)
    bad = Counter(p.equipment for p in points if p.quality is Quality.BAD)
    shares = {row["equipment"]: row["share"] for row in answers["Bad readings", "A"]}
    assert shares == {name: pytest.approx(bad[name] / all_of_it[name]) for name in all_of_it}
