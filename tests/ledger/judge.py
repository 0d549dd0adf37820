"""The judge: holds what was served against the record, the database and what a consumer was told.

Every promise is a function of evidence that was gathered before; it returns what speaks against
it, so that an empty list is a promise that was kept.  It knows no clock of its own and asserts no
timing: order, numbers and ids are all it looks at.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from drivers.reading import Quality
from monitor.store.events import Event
from monitor.store.points import Point
from tests.ledger.devices import Device
from tests.ledger.serials import Number, number_of
from tests.whole.ears import Payload

MILLISECOND = 10**6
BEGINS = frozenset({"raised", "raised_again"})
ENDS = frozenset({"returned", "cleared"})
Row = Mapping[str, Any]


class Told(NamedTuple):
    """One channel in one scan: on the record and in the database it must be the same."""

    value: float | int | str | bool | None
    quality: int


class Scan(NamedTuple):
    """One scan, wherever it was read back from."""

    equipment: str
    at: int
    """Milliseconds, UTC."""
    channels: Mapping[str, Told]

    @property
    def bad(self) -> bool:
        return any(told.value is None for told in self.channels.values())


class Witness(NamedTuple):
    """What the daemon itself said at some time: from then on it stands."""

    store_id: str
    last_scan: int
    last_event: int
    head: str


@dataclass(frozen=True)
class Evidence:
    """All that the judge is shown."""

    devices: Sequence[Device]
    scans: Mapping[int, Scan]
    """The record, by number; what has left it since, as the database has it."""
    events: Sequence[Event]
    """The rest of the record."""
    until: int
    """The last scan that has to be in the database."""
    stored: Sequence[tuple[int, Scan]]
    """Every point of the database, by the number of its scan."""
    missed: Mapping[int, int]
    """By scan, how many points of the grid before it were missed, as the record tells."""
    alarm_points: Sequence[Row]
    heard: Sequence[Payload]
    """Alarm events, in the order in which they came, as often as they came."""
    excursions: Mapping[str, int]
    """By alarm, how often it was to be raised and to return."""
    lost: int = 0
    """Scans of which the daemon says that nobody has them, for want of room."""
    witnessed: Sequence[Witness] = ()
    strange: Sequence[str] = field(default_factory=tuple)
    """What speaks against the daemon and was seen besides: that it ended, what it logged."""


class Verdict(NamedTuple):
    """One promise, and what speaks against it."""

    promise: str
    looked_at: int
    """How many things were held against each other."""
    against: Sequence[str]


def judge(evidence: Evidence) -> list[Verdict]:
    """Every promise, in the order in which a value goes through the daemon."""
    record, alarms = evidence.scans, alarm_bodies(evidence.events)
    rows = {int(row["seq"]): str(row["event_id"]) for row in evidence.alarm_points}
    return [
        Verdict("no value that nobody served", len(record), list(invented(evidence))),
        Verdict("no read twice or out of order", len(record), list(disordered(evidence))),
        Verdict("no hole that is not told of", len(record), list(untold_holes(evidence))),
        Verdict("what was said to stand stands", len(evidence.witnessed), list(unsaid(evidence))),
        Verdict(
            "the database has the record",
            len(evidence.stored),
            list(differing(record, evidence.stored, evidence.until)),
        ),
        Verdict("the database has the alarms", len(rows), list(missing_points(alarms, rows))),
        Verdict(
            "every alarm event told, never otherwise",
            len(evidence.heard),
            list(untold(alarms, evidence.heard)),
        ),
        Verdict("every alarm's steps in order", len(alarms), list(out_of_step(alarms))),
        Verdict(
            "every excursion raised and returned once",
            sum(evidence.excursions.values()),
            list(wrong_excursions(alarms, evidence.excursions)),
        ),
        Verdict("nothing else went wrong", 1, evidence.strange),
    ]


def scans_of(points: Iterable[Point]) -> dict[int, Scan]:
    """The scans that the record's readings amount to, by number."""
    found: dict[int, dict[str, Told]] = defaultdict(dict)
    where: dict[int, tuple[str, int]] = {}
    for point in points:
        found[point.scan][point.channel] = Told(point.value, int(point.quality))
        where[point.scan] = (point.equipment, point.time // MILLISECOND)
    return {number: Scan(*where[number], channels) for number, channels in found.items()}


def scan_of_row(row: Row) -> tuple[int, Scan]:
    """The scan that a point of InfluxDB is, with its number."""
    names = [name.removesuffix("_quality") for name in row if name.endswith("_quality")]
    channels = {
        name: Told(row.get(name), int(row[f"{name}_quality"]))
        for name in names
        if row[f"{name}_quality"] is not None
    }
    return int(row["scan"]), Scan(row["equipment"], row["time"] // MILLISECOND, channels)


def alarm_bodies(events: Iterable[Event]) -> list[Payload]:
    """Alarm transitions as they are told, in order of seq."""
    alarms = sorted((e for e in events if e.seq is not None), key=lambda e: e.seq or 0)
    return [json.loads(event.body) for event in alarms]


def numbers(evidence: Evidence) -> Iterator[tuple[int, Device, int, Number]]:
    """Every good value of the record: scan, device, channel and what it says of itself."""
    for number, scan in sorted(evidence.scans.items()):
        for device in (d for d in evidence.devices if d.equipment == scan.equipment):
            for index, channel in enumerate(device.channels):
                told = scan.channels.get(channel.name)
                if told is not None and told.quality == Quality.GOOD:
                    yield number, device, index, number_of(float(told.value or 0))


def invented(evidence: Evidence) -> Iterator[str]:
    """Values that are not, to the last bit, what their device served."""
    for scan, device, channel, said in numbers(evidence):
        ours = (said.device, said.channel) == (device.number, channel)
        known = ours and 0 < said.serial <= len(device.served)
        recorded = evidence.scans[scan].channels[device.channels[channel].name].value
        if not known or device.value(channel, said.serial) != recorded:
            yield f"scan {scan}: {device.equipment} {channel}: {recorded!r} was never served"


def runs(evidence: Evidence) -> dict[tuple[str, int], list[tuple[int, int]]]:
    """By equipment and channel, scan and count of each good value, in order of the scans."""
    found: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for scan, device, channel, said in numbers(evidence):
        found[device.equipment, channel].append((scan, said.serial))
    return found


def disordered(evidence: Evidence) -> Iterator[str]:
    """Scans that are missing without a word, and counts that go back."""
    wanted = set(range(1, max(evidence.scans, default=0) + 1))
    if len(missing := wanted - evidence.scans.keys()) > evidence.lost:
        yield f"{len(missing)} scans are missing, from {min(missing)}; {evidence.lost} told lost"
    polled = {d.equipment for d in evidence.devices if d.polled}
    for (equipment, channel), values in runs(evidence).items():
        for (scan, count), (later, then) in pairwise(values):
            if then < count or (then == count and equipment in polled):
                yield f"{equipment} {channel}: {count} in scan {scan}, {then} in scan {later}"


def untold_holes(evidence: Evidence) -> Iterator[str]:
    """Counts that are missing where the record tells of no trouble: no bad scan, missed point,
    start of the daemon or loss between those before and after, and no scan that is counted lost."""
    troubled: dict[str, list[int]] = defaultdict(list)
    for number, each in evidence.scans.items():
        if each.bad or evidence.missed.get(number):
            troubled[each.equipment].append(number)
    kinds = {"start", "loss", "unmonitored", "outage"}
    moments = [e.at // MILLISECOND for e in evidence.events if e.kind in kinds]
    for (equipment, channel), values in runs(evidence).items():
        for (scan, count), (later, then) in pairwise(values):
            if then > count + 1:
                first, last = evidence.scans[scan].at, evidence.scans[later].at
                told = any(scan < bad <= later for bad in troubled[equipment]) or not all(
                    number in evidence.scans for number in range(scan, later)
                )
                if not told and not any(first <= at <= last for at in moments):
                    yield f"{equipment} {channel}: {count} in scan {scan}, {then} in {later}"


def unsaid(evidence: Evidence) -> Iterator[str]:
    """What the daemon said to be committed, and what is not there."""
    last_scan, last_event = max(evidence.scans, default=0), len(evidence.events)
    for said in evidence.witnessed:
        if said.last_scan > last_scan or said.last_event > last_event:
            yield f"{said} was said; the record ends with {last_scan} and {last_event}"
    if len({said.store_id for said in evidence.witnessed}) > 1:
        yield "the record was begun anew"


def differing(
    record: Mapping[int, Scan], stored: Iterable[tuple[int, Scan]], until: int
) -> Iterator[str]:
    """Points that differ from the record, come twice or are missing, up to a scan."""
    found: dict[int, Scan] = {}
    for number, scan in stored:
        if number in found:
            yield f"scan {number} is there twice"
        if record.get(number) != scan:
            yield f"scan {number}: {scan} in the database, {record.get(number)} on the record"
        found[number] = scan
    missing = [number for number in record if number <= until and number not in found]
    if missing:
        yield f"{len(missing)} scans are not there, from {missing[0]} to {missing[-1]}"


def missing_points(alarms: Iterable[Payload], rows: Mapping[int, str]) -> Iterator[str]:
    """Transitions whose point is not there or is another."""
    for body in alarms:
        if rows.get(int(body["seq"])) != body["event_id"]:
            yield f"{body['alarm']} {body['change']} (seq {body['seq']})"


def untold(alarms: Sequence[Payload], heard: Iterable[Payload]) -> Iterator[str]:
    """Events that nobody was told of, or that were told otherwise than they are recorded."""
    if [body["seq"] for body in alarms] != list(range(1, len(alarms) + 1)):
        yield "the record's alarm events are not numbered from 1 without a hole"
    recorded = {body["event_id"]: body for body in alarms}
    if len(recorded) != len(alarms):
        yield "two alarm events have one event_id"
    told = set()
    for event in heard:
        told.add(event["event_id"])
        if recorded.get(event["event_id"]) != event:
            yield f"{event['event_id']} was told otherwise than it is recorded"
    for body in alarms:
        if body["event_id"] not in told:
            yield f"{body['alarm']} {body['change']} (seq {body['seq']}) was told to nobody"


def by_alarm(alarms: Iterable[Payload]) -> dict[str, list[Payload]]:
    """The transitions of each alarm."""
    ordered = sorted(alarms, key=lambda body: (body["alarm"], body["seq"]))
    return {name: list(life) for name, life in groupby(ordered, key=lambda b: str(b["alarm"]))}


def out_of_step(alarms: Iterable[Payload]) -> Iterator[str]:
    """Alarms whose versions have a hole, or whose states do not follow from each other."""
    for name, steps in by_alarm(alarms).items():
        if [step["version"] for step in steps] != list(range(1, len(steps) + 1)):
            yield f"{name}: versions {[step['version'] for step in steps]}"
        if steps[0]["before"] != "normal":
            yield f"{name}: began as {steps[0]['before']}"
        if any(one["after"] != two["before"] for one, two in pairwise(steps)):
            yield f"{name}: states do not follow from each other"


def wrong_excursions(alarms: Iterable[Payload], excursions: Mapping[str, int]) -> Iterator[str]:
    """Excursions that were not raised once and returned once, each in an occurrence of its own."""
    lives = by_alarm(alarms)
    for name, times in excursions.items():
        steps = [s for s in lives.get(name, ()) if s["change"] in BEGINS | ENDS]
        turns = ["begin" if step["change"] in BEGINS else "end" for step in steps]
        if turns != ["begin", "end"] * times:
            yield f"{name}: {times} excursions, but {[s['change'] for s in steps]}"
        if len({step["occurrence"] for step in steps}) != times:
            yield f"{name}: {times} excursions in other occurrences than one each"
