"""Walks an alarm through a rehearsal, step by step, and keeps what was expected and seen of it.

Its shadow (``alarms.rehearsal``) is told made-up readings; what it tells takes the way of every
alarm: on the record, then to the sinks. What is seen is read off the record and off what the sinks
have confirmed. The rehearsal begins and ends on the record, with who and why; one that is cut off
ends there and then, and one that the daemon did not survive ends with its next start.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import NamedTuple

from config.model import spell
from config.plant import Place
from config.units import sign
from drivers.reading import Moment, Quality, Value
from monitor import VERSION
from monitor.alarms.conditions import condition_of
from monitor.alarms.facts import (
    Acknowledge,
    Act,
    AlarmEvent,
    Change,
    Confirm,
    Observation,
    Refusal,
    Reset,
)
from monitor.alarms.rehearsal import Known, Script, is_shadow, write
from monitor.alarms.watch import Watched
from monitor.clock import synchronised
from monitor.messages import Act as Right
from monitor.messages import Actor, AlarmEventMessage, rfc3339
from monitor.operators.alarm_test import (
    AlarmTestMessage,
    AlarmTestRequest,
    AlarmTestStep,
    Meanwhile,
    Outcome,
    StepName,
    Verdict,
)
from monitor.operators.base import Rehearsed
from monitor.recorder import Recorder
from monitor.store import Event

SECOND = 10**9
LONGEST = 3600 * SECOND
"""Of a rehearsal, all its steps together (ns)."""
AT_ONCE = 3
"""Rehearsals."""
GRACE = 30 * SECOND
"""What there is at least (ns) to tell the end, whatever came before."""
SLICE = 200
"""Events that are read at once."""
MOST_TOLD = 50
"""Transitions of the real alarm that are kept."""

Allowed = Callable[[Actor, Right], Actor | Refusal]


class Found(NamedTuple):
    """What was seen of a step."""

    outcome: Outcome
    seen: str
    time: str | None = None
    event_id: str = ""


class Part(NamedTuple):
    """A step that is to be taken."""

    step: StepName
    expected: str
    take: Callable[[], Awaitable[Found]]


class Told(NamedTuple):
    """A transition of the shadow, as it stands on the record."""

    number: int
    message: AlarmEventMessage


class Rehearsals:
    """All that go on at this gateway: few at once, and one of each alarm."""

    def __init__(self, recorder: Recorder, allowed: Allowed, unheard: Callable[[], bool]) -> None:
        self._recorder = recorder
        self._allowed = allowed
        self._unheard = unheard
        self._under_way: set[str] = set()

    async def run(self, request: AlarmTestRequest) -> AsyncGenerator[Rehearsed, None]:
        """Rehearse; see ``operators.base.Desk.rehearse``."""
        walk = self._begin(request)
        if isinstance(walk, Refusal):
            self._note_refusal(request, walk)
            await self._recorder.committed()
            yield walk
            return
        self._under_way.add(request.alarm)
        try:
            for part in walk.parts():
                yield await walk.take(part)
        finally:
            self._under_way.discard(request.alarm)
            record = walk.end()
        await self._recorder.committed()
        yield record.model_copy(update={"head": self._recorder.store.last.head})

    def _begin(self, request: AlarmTestRequest) -> "Walk | Refusal":
        """Return a rehearsal that has begun, or why it may not."""
        watched = self._recorder.board.watched.get(request.alarm)
        if watched is None or is_shadow(request.alarm):
            return Refusal("unknown_alarm", f"there is no alarm {request.alarm} to be tested")
        actor = self._allowed(request.actor, "test")
        if isinstance(actor, Refusal):
            return actor
        if refusal := self._refuse_another(request.alarm):
            return refusal
        script = write(watched, known(self._recorder, watched), self._recorder.clock())
        if isinstance(script, Refusal):
            return script
        asked = request.model_copy(update={"actor": actor})
        return _too_long(script, request.patience) or Walk(
            self._recorder, asked, watched, script, self._unheard
        )

    def _refuse_another(self, alarm: str) -> Refusal | None:
        if alarm in self._under_way:
            return Refusal("under_way", f"{alarm} is being tested already")
        if len(self._under_way) >= AT_ONCE:
            return Refusal("too_many", f"{AT_ONCE} tests go on; wait for one of them")
        return None

    def _note_refusal(self, request: AlarmTestRequest, refusal: Refusal) -> None:
        said = {"act": "test", "result": "refused", "word": refusal.word, "text": refusal.text}
        body = {**said, **request.actor.told(), "reason": request.reason}
        self._recorder.note("refusal", request.alarm, body)


def longest(script: Script) -> int:
    """Return the time (ns) that the rule itself may take to be raised and to return."""
    return script.raised_within[1] + script.returned_within[1]


def _too_long(script: Script, patience: int) -> Refusal | None:
    length = longest(script) + patience
    if length <= LONGEST:
        return None
    text = f"it would take up to {spell(length)}, and {spell(LONGEST)} is the longest"
    return Refusal("too_long", text)


def known(recorder: Recorder, watched: Watched) -> Known:
    """Return what is known of the channel of an alarm just now."""
    if watched.source is None or watched.channel_index is None:
        return Known()
    source = recorder.plant.sources[watched.source]
    channel = source.channels[watched.channel_index]
    value = _said(recorder, (watched.source, watched.channel_index))
    other = _said(recorder, watched.compared) if watched.compared else None
    number = None if other is None or isinstance(other, str) else float(other)
    return Known(channel.type, channel.names, source.period, value, number)


def _said(recorder: Recorder, place: Place) -> Value | None:
    scan = recorder.latest[place[0]]
    if scan is None:
        return None
    reading = scan.reading(place[1])
    return None if reading.quality is Quality.BAD else reading.value


class Walk:
    """One rehearsal: what was said and seen so far."""

    def __init__(
        self,
        recorder: Recorder,
        request: AlarmTestRequest,
        real: Watched,
        script: Script,
        unheard: Callable[[], bool],
    ) -> None:
        self._recorder = recorder
        self._unheard = unheard
        self._request = request
        self._actor = request.actor
        self._real = real
        self._script = script
        now = self._begun = script.begun
        self._deadline = now.boot + longest(script) + request.patience
        self._turned: Moment | None = None
        self._over = False
        self._untold = False
        self._read = recorder.store.last.event
        self._told: dict[Change, Told] = {}
        self._when: dict[Change, Moment] = {}
        self._real_before = recorder.board.alarm(real.name).state
        self._real_events: list[Meanwhile] = []
        self._scans: list[int] = []
        self._steps: list[AlarmTestStep] = []
        self._used = self._usage()
        self._shadow = recorder.board.rehearse(real.name)
        self._note_begin()

    def parts(self) -> Sequence[Part]:
        """Return the steps that this alarm takes, in their order."""
        rule, by = self._shadow.rule, self._by_whom()
        parts = [
            Part("condition", f"{self._made_up()} is taken in, flagged as a test", self._condition),
            Part("raised", f"raised {self._in_time(self._script.raised_within)}", self._raised),
            Part(
                "delivered_mqtt",
                "the broker accepts the event, and somebody listens",
                self._delivered_mqtt,
            ),
            Part("delivered_influxdb", "the database accepts the event", self._delivered_influxdb),
            Part("acknowledged", f"acknowledged by {by}", self._acknowledged),
        ]
        if rule.confirm:
            parts.append(Part("confirmed", f"confirmed by {by}", self._confirmed))
        back = f"returns {self._in_time(self._script.returned_within)}"
        parts.append(Part("returned", back, self._returned))
        if rule.latching:
            parts.append(Part("reset", f"latched, and reset by {by}", self._reset))
        return [*parts, Part("ended", "over, and its state at the broker is cleared", self._ended)]

    async def take(self, part: Part) -> AlarmTestStep:
        """Take a step, and return what was seen; after one that failed, only the end is taken."""
        if self._failed and part.step != "ended":
            found = Found("not_reached", "")
        else:
            found = await part.take()
        step = AlarmTestStep(step=part.step, expected=part.expected, **found._asdict())
        self._steps.append(step)
        return step

    def end(self) -> AlarmTestMessage:
        """Put the end on the record, also of one that is cut off; return the whole of it."""
        reached = bool(self._steps) and self._steps[-1].step == "ended"
        self._end_shadow()
        verdict: Verdict = "abandoned" if not reached else "failed" if self._failed else "passed"
        record = self._record(verdict)
        said = record.model_dump(mode="json", by_alias=True, exclude={"head", "event"})
        number = self._recorder.note("alarm_test", self._real.name, said)
        return record.model_copy(update={"event": number})

    @property
    def _failed(self) -> bool:
        return any(step.outcome == "not_as_expected" for step in self._steps)

    async def _condition(self) -> Found:
        now = self._say()
        await self._recorder.committed()
        where = f" in scan {self._scans[-1]}, origin test" if self._scans else ""
        return Found("as_expected", f"{self._made_up()}{where}", rfc3339(now.at))

    async def _raised(self) -> Found:
        if not await self._until(lambda: Change.RAISED in self._told):
            return self._late("not raised")
        told, after = self._told[Change.RAISED], self._when[Change.RAISED].boot - self._begun.boot
        heard = told.message.test and told.message.annunciated
        too_early = after < self._script.raised_within[0]
        words = f"{told.message.state}, {_seconds(after)} after the condition began"
        flags = f"; test {told.message.test}, annunciated {told.message.annunciated}".lower()
        return _found(told, words + flags, well=heard and not too_early)

    async def _delivered_mqtt(self) -> Found:
        settings = self._recorder.plant.mqtt
        where = f"{settings.host}:{settings.port}" if settings else None
        found = await self._delivered("mqtt", where, Change.RAISED)
        if found.outcome != "as_expected" or not self._unheard():
            return found
        said = f"{found.seen}, which says that nobody listens there"
        return found._replace(outcome="not_as_expected", seen=said)

    async def _delivered_influxdb(self) -> Found:
        settings = self._recorder.plant.influxdb
        name, url = (settings.name, settings.url) if settings else ("influxdb", None)
        return await self._delivered(name, url, Change.RAISED)

    async def _delivered(self, sink: str, where: str | None, change: Change) -> Found:
        if where is None:
            return Found("not_configured", f"not configured: the site has no {sink}")
        told = self._told[change]
        if not await self._until(lambda: self._confirmed_by(sink) >= told.number):
            return self._late(f"not accepted by {where}: it waits in the record")
        at = rfc3339(self._recorder.clock().at)
        return Found("as_expected", f"accepted by {where}", at, told.message.event_id)

    def _confirmed_by(self, sink: str) -> int:
        return self._recorder.store.lags(sink)["events"].confirmed

    async def _acknowledged(self) -> Found:
        return await self._acted(Acknowledge(), Change.ACKNOWLEDGED)

    async def _confirmed(self) -> Found:
        return await self._acted(Confirm(), Change.CONFIRMED)

    async def _reset(self) -> Found:
        return await self._acted(Reset(), Change.RESET)

    async def _acted(self, act: Act, change: Change) -> Found:
        if not self._request.by_hand:
            self._do(act)
        if not await self._until(lambda: change in self._told):
            return self._late(f"not {change}")
        told = self._told[change]
        message = told.message
        role = f" ({message.role})" if message.role else ""
        why = f": {message.comment}" if message.comment else ""
        words = f"{message.state}, by {message.actor}{role} over {message.via}{why}"
        return _found(told, words, well=True)

    async def _returned(self) -> Found:
        turned = self._turned = self._recorder.clock()
        if not await self._until(lambda: self._back() is not None):
            return self._late("not returned")
        change = self._back() or Change.CLEARED
        told, after = self._told[change], self._when[change].boot - turned.boot
        words = f"{told.message.state}, {_seconds(after)} after the condition was gone"
        return _found(told, words, well=after >= self._script.returned_within[0])

    def _back(self) -> Change | None:
        return next((c for c in (Change.CLEARED, Change.RETURNED) if c in self._told), None)

    async def _ended(self) -> Found:
        self._end_shadow()
        self._deadline = max(self._deadline, self._recorder.clock().boot + GRACE)
        if not await self._until(lambda: Change.ENDED in self._told):
            return self._late("not ended")
        if self._recorder.plant.mqtt is None:
            return _found(self._told[Change.ENDED], "over; the site has no mqtt", well=True)
        where = f"{self._recorder.plant.mqtt.host}:{self._recorder.plant.mqtt.port}"
        found = await self._delivered("mqtt", where, Change.ENDED)
        return found._replace(seen=f"over; {found.seen}")

    async def _until(self, so: Callable[[], bool]) -> bool:
        """Go on saying what is to be said until something is so, or time is up."""
        while True:
            if not self._over:
                self._say()
            await self._commit()
            await self._hear()
            if so():
                return True
            if self._recorder.clock().boot > self._deadline:
                return False
            await asyncio.sleep(self._script.pace / SECOND)

    async def _commit(self) -> None:
        """Return when what was told is on the record: at once where nothing was."""
        if self._untold:
            self._untold = False
            await self._recorder.committed()

    def _say(self) -> Moment:
        now = self._recorder.clock()
        said = self._script.say(now, self._turned)
        real = self._real
        if isinstance(said, Observation) and None not in (real.source, real.channel_index):
            place = real.source or 0, real.channel_index or 0
            self._scans.append(self._recorder.record_test(place, said, now))
            del self._scans[1:-1]
        scan = self._scans[-1] if self._scans else 0
        self._tell(self._recorder.board.say(self._shadow.name, said, now), scan=scan)
        return now

    def _do(self, act: Act) -> None:
        """Act in the name of who runs it; what an operator does meanwhile comes first."""
        board, name = self._recorder.board, self._shadow.name
        events = board.act(name, act, self._recorder.clock())
        if not isinstance(events, Refusal):
            self._tell(events, actor=self._actor)

    def _end_shadow(self) -> None:
        if self._over:
            return
        self._over = True
        board, name = self._recorder.board, self._shadow.name
        self._tell(board.end_rehearsal(name, self._recorder.clock()))
        board.forget(name)

    def _tell(
        self, events: Sequence[AlarmEvent], *, scan: int = 0, actor: Actor | None = None
    ) -> None:
        for event in events:
            self._when[event.change] = event.now
        if events:
            self._untold = True
            comment = self._request.reason if actor else ""
            self._recorder.tell(events, scan=scan, actor=actor, comment=comment)

    async def _hear(self) -> None:
        """Read what is on the record by now of the shadow, and of the real alarm."""
        while events := await self._recorder.store.events(self._read, SLICE):
            self._read = events[-1].number
            for event in events:
                self._take_in(event)

    def _take_in(self, event: Event) -> None:
        if event.kind != "alarm" or event.subject not in {self._shadow.name, self._real.name}:
            return
        message = AlarmEventMessage.model_validate_json(event.body)
        if event.subject == self._shadow.name:
            self._told[message.change] = Told(event.number, message)
        elif len(self._real_events) < MOST_TOLD:
            self._real_events.append(
                Meanwhile(
                    time=message.time,
                    change=message.change,
                    state=message.state,
                    event_id=message.event_id,
                )
            )

    def _late(self, what: str) -> Found:
        waited = _seconds(self._recorder.clock().boot - self._begun.boot)
        return Found("not_as_expected", f"{what} when the test's time was up, after {waited}")

    def _made_up(self) -> str:
        said = self._script.say(self._begun, None)
        if not isinstance(said, Observation):
            return f'"{condition_of(self._shadow, sign(self._shadow.unit))}"'
        if said.value is None:
            return "a reading that cannot be used"
        value = self._shadow.told(said.value)
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        quantity = f"{shown} {sign(self._shadow.unit)}".rstrip()
        return quantity if said.other is None else f"{quantity} against {said.other:.6g}"

    def _by_whom(self) -> str:
        return "an operator" if self._request.by_hand else "the test, for who runs it"

    def _in_time(self, within: tuple[int, int]) -> str:
        earliest, latest = within
        if latest == 0:
            return "at once"
        if earliest == latest:
            return f"after {spell(latest)}"
        least = f"after {spell(earliest)}, and " if earliest else ""
        return f"{least}within {_seconds(latest)}"

    def _usage(self) -> str:
        known = self._real.equipment in self._recorder.plant.by_name
        return self._recorder.usage(self._real.equipment).state.value if known else ""

    def _note_begin(self) -> None:
        body = {
            "phase": "begin",
            "test_alarm": self._shadow.name,
            "by_hand": self._request.by_hand,
            **self._actor.told(),
            "reason": self._request.reason,
        }
        self._recorder.note("alarm_test", self._real.name, body)

    def _record(self, verdict: Verdict) -> AlarmTestMessage:
        recorder, shadow, rule = self._recorder, self._shadow, self._shadow.rule
        scans = (self._scans[0], self._scans[-1]) if self._scans else (0, 0)
        return AlarmTestMessage.model_validate(
            {
                **self._actor.told(),
                "site": recorder.plant.site,
                "area": shadow.area,
                "gateway": recorder.plant.gateway,
                "host": socket.gethostname(),
                "version": VERSION,
                "config": recorder.plant.digest,
                "store_id": recorder.store.store_id,
                "alarm": self._real.name,
                "test_alarm": shadow.name,
                "equipment": shadow.equipment,
                "kind": shadow.kind,
                "channel": shadow.channel,
                "rule": self._real.rule_name,
                "rule_kind": rule.kind,
                "condition": condition_of(self._real, sign(shadow.unit)),
                "unit": shadow.unit,
                "limit": shadow.limit,
                "on_delay": rule.on_delay / SECOND,
                "off_delay": rule.off_delay / SECOND,
                "latching": rule.latching,
                "confirm": rule.confirm,
                "priority": rule.priority,
                "severity": rule.priority.severity,
                "alarm_class": rule.alarm_class or "",
                "response": rule.response,
                "consequence": rule.consequence,
                "time_to_respond": rule.time_to_respond and rule.time_to_respond / SECOND,
                "delay_justification": rule.delay_justification,
                "equipment_state": self._used,
                "reason": self._request.reason,
                "by_hand": self._request.by_hand,
                "started": rfc3339(self._begun.at),
                "ended": rfc3339(recorder.clock().at),
                "clock_synchronised": synchronised(),
                "steps": self._steps,
                "verdict": verdict,
                "real_before": self._real_before,
                "real_after": recorder.board.alarm(self._real.name).state,
                "real_events": self._real_events,
                "scans": scans,
            }
        )


def _found(told: Told, words: str, *, well: bool) -> Found:
    message = told.message
    outcome: Outcome = "as_expected" if well else "not_as_expected"
    return Found(outcome, words, message.time, message.event_id)


def _seconds(duration: int) -> str:
    return f"{duration / SECOND:.1f} s"
