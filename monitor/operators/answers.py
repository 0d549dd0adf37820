"""What each request on the local socket is answered: lines of JSON, made from what the desk knows.

Everything that can be long is drawn by its reader: a tail follows the record itself, so a reader
that pauses costs no memory and misses nothing, and an export is read in slices by a thread of its
own, so the event loop never waits for the disk.
"""

import asyncio
import json
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from difflib import get_close_matches
from functools import partial
from itertools import islice
from typing import TypeVar, assert_never

from config.plant import ChannelType, Source
from config.rules import Priority
from drivers.reading import Quality, Reading, Scan
from monitor.alarms.facts import Refusal
from monitor.alarms.rehearsal import is_shadow
from monitor.messages import (
    Actor,
    ActRequest,
    AlarmMessage,
    EquipmentRequest,
    Message,
    rfc3339,
)
from monitor.operators import excursions, used
from monitor.operators.alarm_test import AlarmTestRequest
from monitor.operators.archives import Maker, archived, said
from monitor.operators.base import Copy, Desk, History
from monitor.operators.patterns import fitting
from monitor.operators.protocol import (
    AlarmsRequest,
    ArchiveRequest,
    Ask,
    AskLetter,
    AskTest,
    AskUse,
    BackupMessage,
    BackupRequest,
    DeadLetterMessage,
    DeadLettersRequest,
    EventMessage,
    ExcursionsRequest,
    ExportRequest,
    Grade,
    NameMessage,
    NamesRequest,
    ReadingMessage,
    Request,
    StatusRequest,
    StoreStatusRequest,
    TailRequest,
    UsageMessage,
    UsageRequest,
    ValueMessage,
    ValuesRequest,
)
from monitor.store.events import Event
from monitor.store.points import Point
from monitor.store.reader import DeadLetter

Row = TypeVar("Row")

SLICE = 200
"""Rows that are read at once: a few milliseconds of work."""
PIECES = 8
"""Pieces of an archive that are read at once: each may be some hundred KiB."""
LOOK_BACK = 20_000
"""Events that are gone through, at most, for the last few that pass a filter."""
EVER = 2**63 - 1
BY_ITSELF, BY_HAND = 60 * 10**9, 600 * 10**9
"""How long (ns) a rehearsal may take beside its delays, where nothing is said of it."""


class Declined(Exception):  # noqa: N818 - an answer to whoever asked, not a mistake of ours
    """A request that cannot be answered: a word for programs, a sentence for people."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word = word


def streams(request: Request) -> bool:
    """Whether the answer goes on until the client closes."""
    follows = isinstance(request, TailRequest | ValuesRequest) and request.follow
    return follows or isinstance(request, AskTest)


def answer(  # noqa: C901, PLR0911, PLR0912 - one for each kind of request
    request: Request, desk: Desk, actor: Actor, *, pause: float = 1.0
) -> AsyncGenerator[str, None]:
    """Give the answer to ``request`` line by line; raises ``Declined``, also while it is drawn.

    ``pause`` is the time (s) between two looks at the channels whose values are followed.
    """
    match request:
        case StatusRequest():
            return _one(desk.status())
        case StoreStatusRequest():
            return _one(_store(desk))
        case AlarmsRequest():
            return _each(_alarms(request, desk))
        case NamesRequest():
            return _each(_names(request, desk))
        case UsageRequest():
            return _each(_usages(request, desk))
        case Ask():
            return _one(desk.act(_act(request, actor)))
        case AskUse():
            return _one(desk.act(_use(request, actor)))
        case AskTest():
            return _rehearsed(request, desk, actor)
        case BackupRequest():
            return _one(_backup(request, desk, actor))
        case ArchiveRequest():
            return _archive(request, desk, actor)
        case DeadLettersRequest():
            return _dead_letters(request, desk)
        case AskLetter():
            asker = actor.model_copy(update={"claimed": request.claimed, "role": request.role})
            return _one(desk.settle(request, asker))
        case ValuesRequest():
            return _values(request, desk, pause)
        case TailRequest():
            return _told(request, desk)
        case ExcursionsRequest():
            return _excursions(request, desk)
        case ExportRequest():
            return _export(request, desk)
        case _:
            assert_never(request)


async def _one(message: Awaitable[Message]) -> AsyncGenerator[str, None]:
    yield line(await message)


async def _each(messages: Awaitable[Sequence[Message]]) -> AsyncGenerator[str, None]:
    for message in await messages:
        yield line(message)


async def _store(desk: Desk) -> Message:
    return (await desk.status()).store


async def _told(request: TailRequest, desk: Desk) -> AsyncGenerator[str, None]:
    async with aclosing(_tail(request, desk)) as events:
        async for event in events:
            yield line(as_message(event, desk.store.store_id))


def line(message: Message) -> str:
    """Return the message as it is sent."""
    return message.model_dump_json(by_alias=True)


def as_message(event: Event, store_id: str) -> EventMessage:
    """Return an event as it is told."""
    return EventMessage(
        store_id=store_id,
        number=event.number,
        seq=event.seq,
        kind=event.kind,
        time=rfc3339(event.at),
        subject=event.subject,
        body=json.loads(event.body),
    )


def as_reading(point: Point) -> ReadingMessage:
    """Return a recorded reading as it is told."""
    return ReadingMessage(
        time=rfc3339(point.time),
        site=point.site,
        area=point.area,
        equipment=point.equipment,
        kind=point.kind,
        source=point.source,
        gateway=point.gateway,
        channel=point.channel,
        value=point.value,
        quality=_GRADES[point.quality],
        reason=point.reason or "",
        source_time=None if point.source_time is None else rfc3339(point.source_time),
        scan=point.scan,
        origin=point.origin,
        state=point.state,
    )


def passes(event: Event, wanted: TailRequest) -> bool:
    """Whether the event is one that the filters let through."""
    if event.kind in {"act", "refusal"} and not wanted.acts and not _is_comment(event):
        return False
    if wanted.equipment and event.subject.split("/")[0] not in wanted.equipment:
        return False
    if wanted.priority is None and not wanted.states:
        return True
    return event.kind == "alarm" and _alarm_passes(json.loads(event.body), wanted)


def _is_comment(event: Event) -> bool:
    """Whether it is an act that leads to nothing else that would be told."""
    return event.kind == "act" and json.loads(event.body).get("act") == "comment"


def _alarm_passes(body: dict[str, str], wanted: TailRequest) -> bool:
    if wanted.states and body["state"] not in wanted.states:
        return False
    least = wanted.priority
    return least is None or Priority(body["priority"]).severity >= least.severity


def _act(asked: Ask, actor: Actor) -> ActRequest:
    fields = asked.model_dump(exclude={"request", "claimed", "role"})
    return ActRequest.model_validate({**fields, **_asker(asked, actor)})


def _use(asked: AskUse, actor: Actor) -> EquipmentRequest:
    fields = asked.model_dump(exclude={"request", "claimed", "role"})
    return EquipmentRequest.model_validate({**fields, **_asker(asked, actor)})


async def _rehearsed(asked: AskTest, desk: Desk, actor: Actor) -> AsyncGenerator[str, None]:
    if not is_shadow(asked.alarm):
        _known(asked.alarm, [name for name in desk.watched if not is_shadow(name)], "alarm")
    request = AlarmTestRequest(
        alarm=asked.alarm,
        actor=actor.model_copy(update={"claimed": asked.claimed, "role": asked.role}),
        reason=asked.reason,
        by_hand=asked.by_hand,
        patience=asked.duration or (BY_HAND if asked.by_hand else BY_ITSELF),
    )
    async with aclosing(desk.rehearse(request)) as steps:
        async for told in steps:
            if isinstance(told, Refusal):
                raise Declined(told.word, told.text)
            yield line(told)


def _asker(asked: Ask | AskUse, actor: Actor) -> Mapping[str, object]:
    said = {"claimed": asked.claimed, "role": asked.role}
    # One person's id is not another's: nobody is answered what somebody else asked.
    request_id = f"socket/{actor.user}/{asked.request_id}"
    return {"actor": actor.model_copy(update=said), "request_id": request_id}


async def _alarms(request: AlarmsRequest, desk: Desk) -> Sequence[AlarmMessage]:
    for name in request.names:
        _known(name, desk.watched, "alarm")
    for name in request.equipment:
        _known(name, _subjects(desk), "equipment")
    if request.names or request.fit:
        names = [*request.names, *await _fitting(request.fit, desk.watched, "alarm")]
        return [alarm for name in names if (alarm := desk.standing(name))]
    wanted = request.equipment
    return [alarm for alarm in desk.active() if not wanted or alarm.equipment in wanted]


async def _names(request: NamesRequest, desk: Desk) -> Sequence[NameMessage]:
    return [NameMessage(alarm=name) for name in await _fitting(request.fit, desk.watched, "alarm")]


async def _usages(request: UsageRequest, desk: Desk) -> Sequence[UsageMessage]:
    names = list(desk.plant.by_name)
    wanted = await _fitting(request.fit, names, "equipment") if request.fit else names
    return [_usage(desk, name) for name in wanted]


def _usage(desk: Desk, name: str) -> UsageMessage:
    message = used.usage(desk.plant, name, desk.usage(name), desk.now())
    return message.model_copy(update={"suppressed": tuple(sorted(desk.by_design(name)))})


async def _fitting(patterns: Sequence[str], names: Collection[str], what: str) -> Sequence[str]:
    """The names that are meant; a pattern that means none is declined."""
    # In a thread: a plant has tens of thousands of alarms.
    found, idle = await asyncio.to_thread(fitting, list(names), patterns)
    if idle is not None:
        _known(idle, {*names, *(name.split("/")[0] for name in names)}, what)
    return found


def _subjects(desk: Desk) -> Collection[str]:
    return [*desk.plant.by_name, "gateway"]


def _known(name: str, names: Collection[str], what: str) -> None:
    if name in names:
        return
    close = get_close_matches(name, names, n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise Declined(f"unknown_{what}", f"there is no {what} {name}{hint}")


async def _backup(request: BackupRequest, desk: Desk, actor: Actor) -> BackupMessage:
    path = await desk.backup(request.name, actor)
    return BackupMessage(path=str(path), bytes=path.stat().st_size)


async def _archive(request: ArchiveRequest, desk: Desk, actor: Actor) -> AsyncGenerator[str, None]:
    """It is on the record before a byte of it has left."""
    await desk.copying(actor, Copy("archive", said(request)))
    plant, made = desk.plant, desk.now().at
    maker = Maker(made, actor.user, plant.site, plant.gateway)
    rows = _sliced(desk, lambda history: archived(request, history, maker), PIECES)
    async with aclosing(rows) as texts:
        async for text in texts:
            yield text


async def _values(request: ValuesRequest, desk: Desk, pause: float) -> AsyncGenerator[str, None]:
    places = _places(request, desk)
    told: dict[int, Scan | None] = {}
    while True:
        for source, channels in places:
            scan = desk.latest[source.index]
            if source.index in told and told[source.index] is scan:
                continue
            told[source.index] = scan
            for channel in channels:
                yield line(value(source, channel, scan, desk.now().boot))
        if not request.follow:
            return
        await asyncio.sleep(pause)


def _places(request: ValuesRequest, desk: Desk) -> list[tuple[Source, list[int]]]:
    channels = {
        f"{source.equipment}/{channel.name}"
        for source in desk.plant.sources
        for channel in source.channels
    }
    for name in request.of:
        _known(name, channels if "/" in name else desk.plant.by_name.keys(), _what(name))
    places = [(source, _wanted(source, request.of)) for source in desk.plant.sources]
    return [(source, wanted) for source, wanted in places if wanted]


def _what(name: str) -> str:
    return "channel" if "/" in name else "equipment"


def _wanted(source: Source, names: Collection[str]) -> list[int]:
    return [
        index
        for index, channel in enumerate(source.channels)
        if not names or source.equipment in names or f"{source.equipment}/{channel.name}" in names
    ]


def value(source: Source, index: int, scan: Scan | None, boot: int) -> ValueMessage:
    """Return what a channel says, at the elapsed time ``boot`` (ns)."""
    channel = source.channels[index]
    reading = scan.reading(index) if scan else Reading(None, Quality.BAD, None, None)
    said = reading.value
    if channel.type is ChannelType.STATE and isinstance(said, bool):
        said = channel.names.get(int(said), said)
    return ValueMessage(
        equipment=source.equipment,
        channel=channel.name,
        source=source.name,
        value=said,
        unit=channel.unit,
        quality=_GRADES[reading.quality],
        reason=reading.reason or ("" if scan else "not_read_yet"),
        time=rfc3339(scan.at) if scan else None,
        age=round((boot - scan.boot) / 10**9, 3) if scan else None,
        source_time=None if reading.source_time is None else rfc3339(reading.source_time),
    )


_GRADES: Mapping[Quality, Grade] = {
    Quality.GOOD: "good",
    Quality.UNCERTAIN: "uncertain",
    Quality.BAD: "bad",
}


async def _tail(request: TailRequest, desk: Desk) -> AsyncGenerator[Event, None]:
    for name in request.equipment:
        _known(name, _subjects(desk), "equipment")
    upto = desk.store.last.event
    async with aclosing(_earlier(request, desk, upto)) as earlier:
        async for event in earlier:
            yield event
    while request.follow:
        for event in await desk.store.events(upto, SLICE):
            upto = event.number
            if passes(event, request):
                yield event
        if upto >= desk.store.last.event:
            await desk.store.wait("events", upto)


async def _earlier(request: TailRequest, desk: Desk, upto: int) -> AsyncGenerator[Event, None]:
    """Events up to the number ``upto`` that were asked for."""
    if request.after is not None:
        after = request.after if request.store_id == desk.store.store_id else 0
        events = _numbered(desk, after, upto)
    elif request.since is not None:
        since = request.since
        events = _sliced(desk, lambda history: history.events(since, EVER))
    else:
        events = _in_order(await _newest(request, desk, upto))
    async with aclosing(events):
        async for event in events:
            if event.number <= upto and passes(event, request):
                yield event


async def _numbered(desk: Desk, after: int, upto: int) -> AsyncGenerator[Event, None]:
    while after < upto:
        events = await desk.store.events(after, SLICE)
        if not events:
            return
        for event in events:
            yield event
        after = events[-1].number


async def _newest(request: TailRequest, desk: Desk, upto: int) -> list[Event]:
    """The last few that pass, found by going back through the record."""
    found: list[Event] = []
    high = upto
    while high > max(0, upto - LOOK_BACK) and len(found) < request.last:
        low = max(0, high - SLICE)
        events = await desk.store.events(low, high - low)
        found = [e for e in events if e.number <= high and passes(e, request)] + found
        high = low
    return found[-request.last :] if request.last else []


async def _in_order(events: Sequence[Row]) -> AsyncGenerator[Row, None]:
    for event in events:
        yield event


async def _excursions(request: ExcursionsRequest, desk: Desk) -> AsyncGenerator[str, None]:
    if request.equipment is not None:
        _known(request.equipment, desk.plant.by_name, "equipment")
    going_on, told = desk.excursions(), set[str]()
    if not request.only_open:
        await desk.committed()  # What is over is on the record, also what ended just now.
        rows = _sliced(desk, partial(excursions.recorded, request))
        async with aclosing(rows) as texts:
            async for text in texts:
                told.add(json.loads(text)["excursion"])
                yield text
    for record in going_on:
        if record.excursion not in told and excursions.is_asked_for(record.model_dump(), request):
            yield line(record)


async def _export(request: ExportRequest, desk: Desk) -> AsyncGenerator[str, None]:
    if request.equipment is not None:
        _known(request.equipment, _subjects(desk), "equipment")
    store_id = desk.store.store_id

    def rows(history: History) -> Iterator[str]:
        return exported(request, history, store_id)

    async with aclosing(_sliced(desk, rows)) as texts:
        async for text in texts:
            yield text


def exported(request: ExportRequest, history: History, store_id: str) -> Iterator[str]:
    """Rows of an export, as JSON."""
    match request.what:
        case "readings":
            for reading in history.readings(request.start, request.end, request.equipment):
                if not request.channels or reading.channel in request.channels:
                    yield line(as_reading(reading))
        case "events":
            for event in history.events(request.start, request.end):
                if request.equipment in {None, event.subject.split("/")[0]}:
                    yield line(as_message(event, store_id))
        case _:
            assert_never(request.what)


async def _dead_letters(request: DeadLettersRequest, desk: Desk) -> AsyncGenerator[str, None]:
    async with aclosing(_sliced(desk, lambda history: history.dead_letters())) as letters:
        async for letter in letters:
            if request.sink in {"", letter.sink}:
                yield line(as_letter(letter))


def as_letter(letter: DeadLetter) -> DeadLetterMessage:
    """Return a dead letter as it is told."""
    text = letter.line.decode(errors="replace")
    return DeadLetterMessage(id=letter.id, sink=letter.sink, line=text, words=letter.words)


async def _sliced(
    desk: Desk, rows: Callable[[History], Iterator[Row]], at_once: int = SLICE
) -> AsyncGenerator[Row, None]:
    """Draw rows out of the record in a thread of its own, a slice whenever the last is taken."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "export") as thread:
        opened = await loop.run_in_executor(thread, desk.history)
        history = await loop.run_in_executor(thread, opened.__enter__)
        try:
            source = rows(history)
            while part := await loop.run_in_executor(thread, lambda: list(islice(source, at_once))):
                for row in part:
                    yield row
        finally:
            await loop.run_in_executor(thread, opened.__exit__, None, None, None)
