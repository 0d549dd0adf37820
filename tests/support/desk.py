"""A gateway without a plant: what the local socket and the command line talk to in tests."""

import asyncio
import json
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from config.plant import (
    Channel,
    ChannelType,
    Encoding,
    Equipment,
    Grouping,
    Plant,
    Register,
    Source,
    Table,
)
from config.rules import Silent
from config.site import StoreSettings
from drivers.reading import Moment, Scan
from monitor.alarms.facts import Change, State
from monitor.alarms.usage import UNUSED, Usage
from monitor.excursions.record import ExcursionRecord
from monitor.messages import (
    Actor,
    ActReply,
    ActRequest,
    AlarmEventMessage,
    AlarmMessage,
    EquipmentRequest,
    rfc3339,
)
from monitor.operators.alarm_test import AlarmTestRequest
from monitor.operators.base import Copy, Rehearsed
from monitor.operators.protocol import (
    AskLetter,
    GridStatus,
    LetterReply,
    LineStatus,
    ReceiptStatus,
    SinkStatus,
    StatusMessage,
    StoreStatusMessage,
)
from monitor.store.archive import Piece, Plan, Taken, Wanted
from monitor.store.errors import StoreError
from monitor.store.events import Event
from monitor.store.points import Point
from monitor.store.reader import DeadLetter, Reader

NOON = 1_769_860_800 * 10**9
"""2026-01-31T12:00:00Z"""
SECOND = 10**9
START = Moment(NOON, 1000 * SECOND)


def _channel(name: str, unit: str, type_: ChannelType = ChannelType.ANALOG) -> Channel:
    names = {0: "closed", 1: "open"} if type_ is ChannelType.STATE else {}
    return Channel(name, type_, unit, Register(Table.HOLDING, 0, Encoding.FLOAT32), names=names)


def _source(index: int, equipment: str, *channels: Channel) -> Source:
    silent = Silent(name="silent")
    return Source(index, equipment, "probe", "bus", 1, SECOND, SECOND, channels, Grouping(), silent)


PLANT = Plant(
    site="les-ulis",
    gateway="gw-1",
    lines={},
    line_silent={},
    equipment=(
        Equipment("incubator-07", "incubator", "suite-a", (0,)),
        Equipment("incubator-08", "incubator", "suite-a", (1,)),
    ),
    sources=(
        _source(0, "incubator-07", _channel("co2", "%"), _channel("door", "", ChannelType.STATE)),
        _source(1, "incubator-08", _channel("co2", "%")),
    ),
    store=StoreSettings(),
    influxdb=None,
    mqtt=None,
    text="",
    digest="0123456789abcdef",
)


def alarm_event(
    number: int, alarm: str = "incubator-07/co2/low", **changed: object
) -> AlarmEventMessage:
    """One transition, whole; what the test is about is changed by name."""
    equipment, channel, rule = alarm.split("/")
    fields: dict[str, object] = {
        "site": "les-ulis",
        "gateway": "gw-1",
        "area": "suite-a",
        "equipment": equipment,
        "kind": "incubator",
        "channel": channel,
        "rule": rule,
        "alarm": alarm,
        "event_id": f"s1-{number}",
        "seq": number,
        "store_id": "s1",
        "version": 1,
        "occurrence": f"s1/{alarm}/1",
        "state": State.UNACKNOWLEDGED,
        "active_state": True,
        "acked_state": False,
        "latched_state": False,
        "shelving_state": "Unshelved",
        "suppressed_state": False,
        "suppressed_or_shelved": False,
        "retain": True,
        "annunciated": True,
        "suppressed_by": "",
        "superseded_by": "",
        "shelved_until": None,
        "priority": "high",
        "severity": 800,
        "value": 4.1,
        "unit": "%",
        "limit": 4.5,
        "peak": 4.0,
        "peak_time": None,
        "condition_start": None,
        "alarm_time": None,
        "time": rfc3339(NOON + number * SECOND),
        "response": "Check the gas supply",
        "config": "01234567",
        "change": Change.RAISED,
        "before": State.NORMAL,
        "after": State.UNACKNOWLEDGED,
        "scan": 7,
        "actor": "",
        "claimed": "",
        "via": "",
        "comment": "",
    }
    return AlarmEventMessage.model_validate(fields | changed)


def standing(message: AlarmEventMessage) -> AlarmMessage:
    """The alarm as it stands after a transition."""
    fields = set(AlarmMessage.model_fields) - {"schema_"}
    return AlarmMessage.model_validate(message.model_dump(include=fields))


def recorded(message: AlarmEventMessage) -> Event:
    """The transition as an event of the record."""
    at = NOON + message.seq * SECOND
    body = message.model_dump_json(by_alias=True)
    return Event(message.seq, message.seq, "alarm", at, at, message.alarm, body)


def noted(number: int, kind: str, subject: str, /, **body: object) -> Event:
    """Any other event."""
    at = NOON + number * SECOND
    return Event(number, None, kind, at, at, subject, json.dumps(body))


class Last(NamedTuple):
    """How far the record goes."""

    event: int


@dataclass
class FakeStore:
    """A record in a list."""

    recorded: list[Event] = field(default_factory=list)
    store_id: str = "s1"
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def last(self) -> Last:
        return Last(self.recorded[-1].number if self.recorded else 0)

    def add(self, *events: Event) -> None:
        """Commit."""
        self.recorded += events
        self._news.set()

    async def events(self, after: int, limit: int) -> Sequence[Event]:
        return [event for event in self.recorded if event.number > after][:limit]

    async def wait(self, lane: str, beyond: int) -> None:
        assert lane == "events"
        while self.last.event <= beyond:
            self._news.clear()
            await self._news.wait()


@dataclass
class FakeHistory:
    """What a span of the record holds."""

    store: FakeStore
    rows: Sequence[Point]
    letters: Sequence[DeadLetter] = ()
    file: Path = Path()
    """A store that archives are taken from."""

    def dead_letters(self) -> Iterator[DeadLetter]:
        yield from self.letters

    def readings(self, start: int, end: int, equipment: str | None) -> Iterator[Point]:
        for row in self.rows:
            if start <= row.time < end and equipment in {None, row.equipment}:
                yield row

    def events(self, start: int, end: int) -> Iterator[Event]:
        yield from (event for event in self.store.recorded if start <= event.at < end)

    def archive(self, wanted: Wanted) -> Iterator[Plan | Piece | Taken]:
        with Reader(self.file) as reader:
            yield from reader.archive(wanted)

    def of_kind(self, kind: str, start: int) -> Iterator[Event]:
        events = self.store.recorded
        yield from (event for event in events if event.kind == kind and event.at >= start)


@dataclass
class FakeDesk:
    """A gateway whose answers are laid out by the test."""

    folder: Path
    plant: Plant = PLANT
    store: FakeStore = field(default_factory=FakeStore)
    latest: list[Scan | None] = field(default_factory=lambda: [None, None])
    alarms: dict[str, AlarmMessage] = field(default_factory=dict)
    watched: tuple[str, ...] = (
        "incubator-07/co2/low",
        "incubator-07/co2/high",
        "incubator-08/co2/low",
        "gateway/_/sink-mqtt",
    )
    rows: Sequence[Point] = ()
    going_on: Sequence[ExcursionRecord] = ()
    usages: dict[str, Usage] = field(default_factory=dict)
    suppressed: dict[str, list[str]] = field(default_factory=dict)
    """By equipment: its alarms that are suppressed by design."""
    acted: list[ActRequest] = field(default_factory=list)
    used: list[EquipmentRequest] = field(default_factory=list)
    tested: list[AlarmTestRequest] = field(default_factory=list)
    rehearsal: Sequence[Rehearsed] = ()
    letters: list[DeadLetter] = field(default_factory=list)
    settled: list[tuple[AskLetter, Actor]] = field(default_factory=list)
    refused: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    copies: list[tuple[str, Copy]] = field(default_factory=list)
    refusal: tuple[str, str] | None = None
    """Word and text with which acts are refused."""
    time: Moment = START

    def now(self) -> Moment:
        return self.time

    def standing(self, name: str) -> AlarmMessage | None:
        return self.alarms.get(name)

    def active(self) -> Sequence[AlarmMessage]:
        return list(self.alarms.values())

    def excursions(self) -> Sequence[ExcursionRecord]:
        return self.going_on

    async def committed(self) -> None:
        """What the test laid out is on the record."""

    def usage(self, equipment: str) -> Usage:
        return self.usages.get(equipment, UNUSED)

    def by_design(self, equipment: str) -> Collection[str]:
        return self.suppressed.get(equipment, ())

    async def act(self, request: ActRequest | EquipmentRequest) -> ActReply:
        if isinstance(request, EquipmentRequest):
            self.used.append(request)
            subject, state = request.equipment, None
        else:
            self.acted.append(request)
            subject, state = request.alarm, State.ACKNOWLEDGED
        word, text = self.refusal or ("done", "as you say")
        return ActReply(
            request_id=request.request_id,
            result="refused" if self.refusal else "done",
            word=word,
            text=text,
            alarm=subject,
            state=state,
        )

    async def rehearse(self, request: AlarmTestRequest) -> AsyncGenerator[Rehearsed, None]:
        self.tested.append(request)
        for told in self.rehearsal:
            yield told

    async def refuse(self, subject: str, body: Mapping[str, object]) -> None:
        self.refused.append((subject, body))

    async def status(self) -> StatusMessage:
        return StatusMessage(
            site="les-ulis",
            gateway="gw-1",
            version="0.1.0",
            pid=42,
            started=rfc3339(NOON),
            time=rfc3339(NOON),
            config="01234567",
            clock_synchronised=True,
            last_scan=17,
            last_seq=3,
            equipment=2,
            channels=3,
            alarms_standing=len(self.alarms),
            alarms_unacknowledged=sum(not alarm.acked_state for alarm in self.alarms.values()),
            lines=(
                LineStatus(name="suite-a", state="up", since=rfc3339(NOON)),
                LineStatus(
                    name="suite-b", state="down", since=rfc3339(NOON), text="refused\x1b[31m"
                ),
            ),
            sinks=(
                SinkStatus(
                    name="mqtt",
                    state="up",
                    since=rfc3339(NOON),
                    events_behind=2,
                    receipts=(
                        ReceiptStatus(consumer="scada", seq=1, behind=2, oldest=rfc3339(NOON)),
                        ReceiptStatus(consumer="pager", seq=3, behind=0, oldest=None),
                    ),
                    warnings=("nothing is retained",),
                ),
            ),
            grid=GridStatus(
                visits=99,
                skipped=1,
                deviation_ms_p50=0.5,
                deviation_ms_p99=2.0,
                deviation_ms_worst=9.0,
            ),
            store=StoreStatusMessage(
                path=str(self.folder / "store.db"),
                store_id="s1",
                last_scan=17,
                last_event=self.store.last.event,
                last_seq=3,
                chain_head="abc",
                figures={"bytes": 4096},
            ),
        )

    async def settle(self, ask: AskLetter, actor: Actor) -> LetterReply:
        self.settled.append((ask, actor))
        found = next((each for each in self.letters if each.id == ask.id), None)
        if found is None:
            return LetterReply(id=ask.id, result="unknown", text="there is no such")
        if ask.line == "poison":
            return LetterReply(id=ask.id, result="refused", text="still wrong")
        self.letters.remove(found)
        return LetterReply(id=ask.id, result="dropped" if ask.act == "drop" else "taken", text="")

    async def copying(self, actor: Actor, copy: Copy) -> None:
        self.copies.append((actor.user, copy))

    async def backup(self, name: str, actor: Actor) -> Path:
        await self.copying(actor, Copy("backup", name))
        path = self.folder / name
        if path.exists():
            raise StoreError(f"{path} is there already")
        path.write_bytes(b"copy")
        return path

    @contextmanager
    def history(self) -> Iterator[FakeHistory]:
        yield FakeHistory(self.store, self.rows, list(self.letters), self.folder / "store.db")
