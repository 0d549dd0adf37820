"""The judge: holds what was served against the record, the database and what a consumer was told.

Every promise is a function of evidence that was gathered before; it returns what speaks against
it, so that an empty list is a promise that was kept.  It knows no clock of its own and asserts no
timing: order, numbers and ids are all it looks at.
"""

import json
from bisect import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from monitor.store.events import Event
from monitor.store.points import Point
from tests.ledger.devices import PERIOD, Device
from tests.ledger.serials import Number, number_of
from tests.whole.ears import Payload

MILLISECOND = 10**6
NOT_HEARD = "nothing good of who is not heard"
"""Where nobody was deaf for longer than what was heard may be believed, nothing was looked at."""
TROUBLES = frozenset({"loss", "unmonitored", "outage"})
LATE = 20_000
"""Milliseconds after which the record tells at the latest that a server dropped values."""
FOR_EVER = 2**63
ENDS_OF_GRID = 3
"""Points of the grid that the first and the last scan of a life may be late by, together."""
BEGINS = frozenset({"raised", "raised_again"})
ENDS = frozenset({"returned", "cleared"})
Row = Mapping[str, Any]


class Told(NamedTuple):
    """One channel in one scan: on the record and in the database it must be the same."""

    value: float | int | str | bool | None
    quality: int
    source: int | None = None
    """Milliseconds, UTC, by the device's clock; None where it gives no time."""


class Scan(NamedTuple):
    """One scan, wherever it was read back from."""

    equipment: str
    at: int
    """Milliseconds, UTC."""
    channels: Mapping[str, Told]


class Word(NamedTuple):
    """A value that one scan has of one channel."""

    scan: int
    serial: int
    """The how many-th value of its channel it is."""
    held: bool | None
    """Whether it was told again at a point of the grid; None where that cannot be known."""


class Deaf(NamedTuple):
    """A time in which nothing can have been heard on a line, nor what was heard be believed."""

    line: str
    since: int
    """Milliseconds, UTC."""
    until: int


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
    times: Mapping[float, Collection[int | None]] = field(default_factory=dict)
    """By value that a subscribed device served, the times that it gave it (ms, UTC)."""
    deaf: Sequence[Deaf] = ()
    floods: Mapping[str, Collection[int]] = field(default_factory=dict)
    """By line, when more changed than its server keeps (ms, UTC)."""
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
    unheard = list(of_the_deaf(evidence))
    rows = {int(row["seq"]): str(row["event_id"]) for row in evidence.alarm_points}
    return [
        Verdict("no value that nobody served", len(record), list(invented(evidence))),
        Verdict("no read twice or out of order", len(record), list(disordered(evidence))),
        Verdict("no hole that is not told of", len(record), list(untold_holes(evidence))),
        Verdict("every grid point has its scan", len(record), list(off_grid(evidence))),
        Verdict("each change told once, then held", len(record), list(mistold(evidence))),
        Verdict(NOT_HEARD, len(unheard), list(believed(evidence, unheard))),
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
        source = None if point.source_time is None else point.source_time // MILLISECOND
        found[point.scan][point.channel] = Told(point.value, int(point.quality), source)
        where[point.scan] = (point.equipment, point.time // MILLISECOND)
    return {number: Scan(*where[number], channels) for number, channels in found.items()}


def scan_of_row(row: Row) -> tuple[int, Scan]:
    """The scan that a point of InfluxDB is, with its number."""
    names = [name.removesuffix("_quality") for name in row if name.endswith("_quality")]
    channels = {
        name: Told(row.get(name), int(row[f"{name}_quality"]), row.get(f"{name}_source"))
        for name in names
        if row[f"{name}_quality"] is not None
    }
    return int(row["scan"]), Scan(row["equipment"], row["time"] // MILLISECOND, channels)


def alarm_bodies(events: Iterable[Event]) -> list[Payload]:
    """Alarm transitions as they are told, in order of seq."""
    alarms = sorted((e for e in events if e.seq is not None), key=lambda e: e.seq or 0)
    return [json.loads(event.body) for event in alarms]


def numbers(evidence: Evidence) -> Iterator[tuple[int, Device, int, Number]]:
    """Every value of the record: scan, device, channel and what it says of itself."""
    devices = {device.equipment: device for device in evidence.devices}
    for number, scan in sorted(evidence.scans.items()):
        device = devices[scan.equipment]
        for index, channel in enumerate(device.channels):
            told = scan.channels.get(channel.name)
            if told is not None and told.value is not None:
                yield number, device, index, number_of(float(told.value))


def invented(evidence: Evidence) -> Iterator[str]:
    """Values that are not, to the last bit, what their device served, or not of that time."""
    for scan, device, channel, said in numbers(evidence):
        ours = (said.device, said.channel) == (device.number, channel)
        known = ours and 0 < said.serial <= len(device.served[channel])
        told = evidence.scans[scan].channels[device.channels[channel].name]
        if not known or device.value(channel, said.serial) != told.value:
            yield f"scan {scan}: {device.equipment} {channel}: {told.value!r} was never served"
        elif device.subscribed and told.source not in evidence.times[told.value]:
            yield f"scan {scan}: {device.equipment} {channel}: {told} was not of that time"


def runs(evidence: Evidence) -> Iterator[tuple[Device, int, list[Word]]]:
    """What was told of each channel of each device, in order of the scans."""
    found: dict[tuple[str, int], list[Word]] = defaultdict(list)
    held = dict(grid_points(evidence))
    for scan, device, channel, said in numbers(evidence):
        found[device.equipment, channel].append(Word(scan, said.serial, held[scan]))
    for device in evidence.devices:
        for channel in range(len(device.channels)):
            yield device, channel, found[device.equipment, channel]


def grid_points(evidence: Evidence) -> Iterator[tuple[int, bool | None]]:
    """Of each scan whether it is of the grid: then all channels speak, also those that are steady;
    a scan in which one of these has something to tell may be either."""
    devices = {device.equipment: device for device in evidence.devices}
    before: dict[str, list[Told | None]] = {}
    for number, scan in sorted(evidence.scans.items()):
        device = devices[scan.equipment]
        told = [scan.channels.get(c.name) for c in device.channels if c.steady]
        if len(scan.channels) < len(device.channels):
            yield number, False
        else:
            good = told == before.get(scan.equipment, told) and all(
                t and t.value is not None for t in told
            )
            yield number, True if good else None
        if all(told):
            before[scan.equipment] = told


def disordered(evidence: Evidence) -> Iterator[str]:
    """Scans that are missing without a word, and counts that go back."""
    wanted = set(range(1, max(evidence.scans, default=0) + 1))
    if len(missing := wanted - evidence.scans.keys()) > evidence.lost:
        yield f"{len(missing)} scans are missing, from {min(missing)}; {evidence.lost} told lost"
    for device, channel, told in runs(evidence):
        for one, two in pairwise(told):
            if two.serial < one.serial or (two.serial == one.serial and not device.subscribed):
                yield _both(device, channel, one, two)


class Troubles:
    """What the record tells of troubles: bad scans, missed points, starts, outages and losses."""

    def __init__(self, evidence: Evidence) -> None:
        self._scans = evidence.scans
        self._bad: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._missed: dict[str, list[int]] = defaultdict(list)
        for number, scan in sorted(evidence.scans.items()):
            for name, told in scan.channels.items():
                if told.value is None:
                    self._bad[scan.equipment, name].append(number)
            if evidence.missed.get(number):
                self._missed[scan.equipment].append(number)
        self._spans = {d.line: list(_spans(evidence, d.line)) for d in evidence.devices}

    def between(self, device: Device, channel: int, one: int, two: int) -> bool:
        """Whether there is any of that channel, after one scan and not after the other.

        A point that was missed is none for a subscription, which tells what changed all the same.
        """
        told = [*self._bad[device.equipment, device.channels[channel].name]]
        told += [] if device.subscribed else self._missed[device.equipment]
        if any(one < number <= two for number in told):
            return True
        if not all(number in self._scans for number in range(one, two)):
            return True
        since, until = self._scans[one].at, self._scans[two].at
        return any(since <= last and first <= until for first, last in self._spans[device.line])


def _spans(evidence: Evidence, line: str) -> Iterator[tuple[int, int]]:
    """When the record tells of a trouble of the line or of all (ms, UTC): moments but where a
    server drops values, of which it is told a little later, or never if the daemon was killed."""
    began = None
    for event in evidence.events:
        at, own = event.at // MILLISECOND, event.subject == f"line/{line}"
        if event.kind == "start":
            yield at, at
            yield from ((flood, at) for flood in evidence.floods.get(line, ()) if near(flood, at))
        elif event.kind == "loss" and own:
            began = at - LATE if began is None else began
            if json.loads(event.body)["phase"] == "end":
                yield began, at
                began = None
        elif event.kind in TROUBLES and (own or not event.subject.startswith("line/")):
            yield at, at
    if began is not None:
        yield began, FOR_EVER


def near(flood: int, at: int) -> bool:
    """Whether something came so soon after it that it may not have been told of."""
    return 0 <= at - flood <= LATE


def untold_holes(evidence: Evidence) -> Iterator[str]:
    """Counts that are missing where the record tells of no trouble between those before and
    after."""
    troubles = Troubles(evidence)
    for device, channel, told in runs(evidence):
        for one, two in pairwise(told):
            hole = two.serial > one.serial + 1
            if hole and not troubles.between(device, channel, one.scan, two.scan):
                yield _both(device, channel, one, two)


def off_grid(evidence: Evidence) -> Iterator[str]:
    """Lives of the daemon in which an equipment has fewer whole scans than its grid has points,
    but for those that it says were missed, and those at both ends."""
    starts = [event.at // MILLISECOND for event in evidence.events if event.kind == "start"]
    lives: dict[tuple[str, int], list[int]] = defaultdict(list)
    sizes = {device.equipment: len(device.channels) for device in evidence.devices}
    for number, scan in sorted(evidence.scans.items()):
        if len(scan.channels) == sizes[scan.equipment]:
            lives[scan.equipment, bisect(starts, scan.at)].append(number)
    for (equipment, life), scans in lives.items():
        points = sum(1 + evidence.missed.get(number, 0) for number in scans)
        first, last = evidence.scans[scans[0]].at, evidence.scans[scans[-1]].at
        owed = (last - first) // PERIOD - ENDS_OF_GRID
        if points + evidence.lost < owed:
            yield f"{equipment}, life {life}: {points} of {owed} points, from scan {scans[0]}"


def mistold(evidence: Evidence) -> Iterator[str]:
    """Changes of subscribed devices that were told twice, and grid points that say what was not
    told before, where the record tells of no trouble in between."""
    troubles = Troubles(evidence)
    for device, channel, told in runs(evidence):
        for one, two in pairwise(told if device.subscribed else ()):
            wrong = two.held is not None and (one.serial == two.serial) is not two.held
            if wrong and not troubles.between(device, channel, one.scan, two.scan):
                yield _both(device, channel, one, two)


def _both(device: Device, channel: int, one: Word, two: Word) -> str:
    name = device.channels[channel].name
    return f"{device.equipment} {name}: {one.serial} in scan {one.scan}, {two.serial} in {two.scan}"


def of_the_deaf(evidence: Evidence) -> Iterator[tuple[Deaf, int]]:
    """The scans of a line on which nothing was heard any more, by number."""
    lines = {device.equipment: device.line for device in evidence.devices}
    for deaf in evidence.deaf:
        for number, scan in evidence.scans.items():
            if lines[scan.equipment] == deaf.line and deaf.since < scan.at < deaf.until:
                yield deaf, number


def believed(evidence: Evidence, unheard: Iterable[tuple[Deaf, int]]) -> Iterator[str]:
    """Those of them that have a value all the same."""
    for deaf, number in unheard:
        scan = evidence.scans[number]
        if any(told.value is not None for told in scan.channels.values()):
            yield f"scan {number}: {scan}, {scan.at - deaf.since} ms after {deaf}"


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
