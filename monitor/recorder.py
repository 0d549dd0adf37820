"""The middle of the line: every scan passes here, is judged, and goes on the record.

``accept`` is called by the drivers for each scan: hear how its equipment is used, encode, put into
the open tick, judge. One task (``commit_ticks``) commits the tick, once a period, and at once when
there is something to tell.
No alarm, event or point is told to anyone before its commit; only the values of this instant
(``latest``, ``watching``) are shown to people at the gateway as they come.
The open tick is the only thing that is held in memory, and it is bounded in time: when a commit
takes longer than ``LONGEST_COMMIT`` the daemon ends rather than look alive.
"""

import asyncio
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import assert_never

from config.plant import Place, Plant
from drivers.reading import Fault, Moment, Origin, Quality, Scan, Value, over
from monitor import VERSION, kept
from monitor.alarms.board import Board
from monitor.alarms.facts import AlarmEvent, Observation, Refusal, State
from monitor.alarms.rehearsal import is_shadow, real_name
from monitor.alarms.unmonitored import unmonitored
from monitor.alarms.usage import Load, Occupancy, SetState, Unload, Usage, UsageEvent
from monitor.alarms.usages import Event as UseEvent
from monitor.alarms.usages import Usages
from monitor.asides import Asides
from monitor.before import Before, recalled, spent, stood
from monitor.clock import ClockStep, RecordClock, synchronised
from monitor.describe import Describer, Told, equipment_state, occupancy, standing_part, used_now
from monitor.excursions.case import Case, Setting
from monitor.excursions.ledger import Ledger
from monitor.excursions.record import ExcursionAct, ExcursionAlarm, ExcursionRecord
from monitor.messages import Actor, AlarmEventMessage, AlarmMessage, EquipmentRequest, rfc3339
from monitor.release import code
from monitor.store import Event, Store, StoreError, Template, Tick, line_protocol
from monitor.troubles import gateway_rules

log = logging.getLogger(__name__)


MILLISECOND = 10**6
GROUP = 100
"""Equipments that share a gzip member: enough to compress well, few enough to read one alone."""
NO_EQUIPMENT = ()
"""The group of the gateway's own points."""
CLOCK_LOOK = 10 * 10**9
"""How often (ns) it is asked whether the clock is kept."""
LONGEST_COMMIT = 30.0
"""Seconds after which a disk that does not answer ends the daemon."""


class Recorder:
    """Judges and records; ``await Recorder.start(...)`` makes one that is ready for scans."""

    def __init__(
        self, plant: Plant, store: Store, board: Board, usages: Usages, clock: RecordClock
    ) -> None:
        self.plant = plant
        self.store = store
        self.board = board
        self.clock = clock
        self.latest: list[Scan | None] = [None] * len(plant.sources)
        """The newest scan of each source, by its index."""
        self.scans = 0
        """Accepted since the start."""
        self.commits = 0
        """Ticks that are through since the start, those that were empty too."""
        self.commit_seconds = 0.0
        """Seconds that they took altogether."""
        self.missed = 0
        """Grid points since the start for which a source gave no scan."""
        self._all_readings = 0
        self._readings: Counter[Quality] = Counter()
        self.changes: Counter[str] = Counter()
        """Alarm transitions since the start, by the word of the change; rehearsals are none."""
        self.excursions = Ledger(plant, board.watched, store.store_id, self._around)
        """What lies beyond a limit just now."""
        self._recalled: Mapping[int, Scan] = {}
        """What sources said last before the start, where that is not long ago."""
        self._describer = Describer(plant, store.store_id)
        self._usages = usages
        self._tellers = usages.sources
        self._templates = [Template(plant, source) for source in plant.sources]
        self._clock_synchronised = synchronised()
        self._clock_asked = clock().boot
        for equipment in plant.equipment:
            self._write_state(equipment.name)
        self._groups: list[int] = []
        self._own_group = 0
        self._last_ms = [0] * len(plant.sources)
        self._last_test_ms: dict[int, int] = {}
        self._last_health = 0
        last = store.last
        self._scan, self._event, self._seq = last.scan, last.event, last.seq
        self._unseen = dict(store.last_seen)
        self._away = "unknown"
        self._standing: dict[str, AlarmEventMessage] = {}
        self._asides = Asides()
        self._tick = Tick()
        self._untold: list[AlarmEventMessage] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._urgent = asyncio.Event()
        self._committing = asyncio.Lock()
        self._failed = False
        self._ended = False
        self._watchers: list[Callable[[Scan], None]] = []

    @classmethod
    async def start(cls, plant: Plant, store: Store, clock: RecordClock) -> "Recorder":
        """Take the record up where it was left, and put the start itself on it.

        Raises ``StoreError`` when that cannot be written, or a later release wrote the record.
        """
        before = await Before.read(store)
        step = clock.resume(store.last.at, before.clock_epoch, before.known_in(clock.boot_id))
        now = clock()
        stood = kept.load(store, clock.boot_id, now)
        used = Usages(plant, stood.usages, now)
        board = Board(plant, stood.alarms, gateway_rules(plant), used.circumstances())
        recorder = cls(plant, store, board, used, clock)
        await recorder._take_up(before, stood.excursions, step, now)
        return recorder

    @property
    def readings(self) -> Mapping[Quality, int]:
        """Accepted since the start, by quality."""
        faulty = self._readings[Quality.UNCERTAIN], self._readings[Quality.BAD]
        return dict(zip(Quality, (self._all_readings - sum(faulty), *faulty), strict=True))

    def accept(self, scan: Scan) -> None:
        """Judge and record one scan; the ``Emit`` of every driver."""
        if self._ended:
            return
        source = scan.source
        self.scans += 1
        self._scan += 1
        if source in self._tellers:
            self._follow(self._usages.observe(scan), scan=self._scan)
        ms = max(scan.at // MILLISECOND, self._last_ms[source] + 1)
        self._last_ms[source] = ms
        line = self._templates[source].encode(scan, self._scan, ms)
        self._tick.add(self._groups[source], line, self._scan, ms * MILLISECOND)
        if self._unseen or scan.missed:
            self._look_back(scan)
        before = self.latest[source]
        self.latest[source] = over(before, scan)
        self._all_readings += len(scan.values) if scan.spoke is None else len(scan.spoke)
        for fault in scan.faults.values():
            self._readings[fault.quality] += 1
        events = self.board.observe(scan)
        if events:
            self.tell(events, scan=self._scan)
        if source in self.board.attentive or source in self.excursions.tracked:
            known = before or self._recalled.get(source)
            ended = self.excursions.observe(scan, self._scan, known, self.latest)
            self._tell_excursions(ended, scan.moment)
        for watcher in self._watchers:
            watcher(scan)

    def tell(
        self,
        events: Sequence[AlarmEvent],
        *,
        scan: int = 0,
        actor: Actor | None = None,
        comment: str = "",
    ) -> list[AlarmEventMessage]:
        """Put alarm transitions on the record; they are delivered as soon as they are committed."""
        told_before = len(self._untold)
        for event in events:
            self._seq += 1
            watched = self.board.watched[event.name]
            known = watched.equipment in self.plant.by_name
            usage = self._usages[watched.equipment] if known else None
            told = Told(self._seq, scan, actor, comment, usage, self._clock_synchronised)
            message = self._asides.signed(self._describer.event(watched, event, told))
            self.changes[event.change.value] += not message.test
            self._untold.append(message)
            self._append("alarm", event.now, event.name, message.model_dump_json(by_alias=True))
            if message.active_state and not message.test:
                self.excursions.sounded(_alarm_of(message))
        self._urgent.set()
        return self._untold[told_before:]

    def note(self, kind: str, subject: str, body: Mapping[str, object]) -> int:
        """Put anything else on the record: it is committed with the tick; return its number."""
        now = self.clock()
        self._note(kind, now, subject, body)
        if kind == "act" and not is_shadow(subject):
            self.excursions.acted(_act_on(subject, body, now))
        return self._event

    def record_test(self, place: Place, made_up: Observation, now: Moment) -> int:
        """Record a made-up reading, flagged as a test; return the number of its scan.

        It is not what the channel says: nobody judges it, and nobody is shown it as that.
        """
        source = place[0]
        self._scan += 1
        ms = max(now.at // MILLISECOND, self._last_test_ms.get(source, 0) + 1)
        self._last_test_ms[source] = ms
        scan = _as_a_test(place, len(self.plant.sources[source].channels), made_up, now)
        line = self._templates[source].encode(scan, self._scan, ms)
        self._tick.add(self._groups[source], line, self._scan, ms * MILLISECOND)
        return self._scan

    def usage(self, equipment: str) -> Usage:
        """Return how ``equipment`` is used: its state, its phase and the batches in it."""
        return self._usages[equipment]

    def use(self, request: EquipmentRequest) -> str | Refusal:
        """Do what an operator says of an equipment, and put what changes on the record.

        Returns what is so now, in words. That somebody asked, and why, is for the caller to
        put on the record, which is all that there is of a comment.
        """
        name = request.equipment
        if name not in self.plant.by_name:
            return Refusal("unknown_equipment", f"there is no equipment {name}")
        act = _use(request)
        if act is None:
            return "noted"
        now = self.clock()
        self._follow(self._usages.look(now))
        events = self._usages.act(name, act, now)
        if isinstance(events, Refusal):
            return events
        self._follow(events, actor=request.actor, reason=request.reason)
        return used_now(act, self.usage(name), self._usages.suppressing_until(name), now)

    def follow_use(self) -> None:
        """Let fall due what of the use of equipment hangs on time; called once a second."""
        self._follow(self._usages.look(self.clock()))

    def report(self, name: str, *, holds: bool) -> None:
        """Say whether one of the gateway's own troubles (``sink-mqtt`` …) is there just now."""
        if events := self.board.report(name, holds, self.clock()):
            self.tell(events)

    def record_health(self, figures: Mapping[str, line_protocol.Figure]) -> None:
        """Record how the gateway is: a point of its own, in the tick of the newest scans."""
        ms = self._next_own()
        line = line_protocol.health(figures, self.plant.site, self.plant.gateway, ms)
        self._tick.add(self._own_group, line, self._scan, ms * MILLISECOND)

    def record_alarm_performance(
        self, by_area: Mapping[str, Mapping[str, line_protocol.Figure]]
    ) -> None:
        """Record how alarms do in each area, and altogether (an empty name): a point each."""
        site, gateway, ms = self.plant.site, self.plant.gateway, self._next_own()
        for area, figures in by_area.items():
            line = line_protocol.alarm_performance(figures, site, gateway, area, ms)
            self._tick.add(self._own_group, line, self._scan, ms * MILLISECOND)

    def remember(self, request_id: str, reply: str) -> None:
        """Keep the answer to an operator's request, in the same commit as its effect."""
        self._tick.replies[request_id] = reply

    async def committed(self) -> None:
        """Return when everything accepted until now is on the disk."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._urgent.set()
        await future

    async def commit_ticks(self) -> None:
        """Commit the open tick, again and again; the daemon's heartbeat.

        Ends only by being cancelled, or with ``StoreError``, and then the daemon must end too.
        """
        period = self.plant.store.tick / 10**9
        while True:
            try:
                async with asyncio.timeout(period):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            await self.commit()

    async def commit(self) -> None:
        """Commit the open tick now; raises ``StoreError`` when the disk fails or is stuck."""
        async with self._committing:
            self._urgent.clear()
            tick, untold, waiting = self._open_next()
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await self._store(tick)
            self.commit_seconds += loop.time() - begun
            self.commits += 1
            self._stand(untold)
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def follow_clock(self) -> None:
        """Look whether the wall clock stepped, and what is due by it; called once a second."""
        if step := self.clock.check():
            self._step(step)
        now = self.clock()
        if now.boot - self._clock_asked >= CLOCK_LOOK:
            self._clock_asked = now.boot
            self._flag_clock(synchronised())
        if events := self.board.look(now):
            self.tell(events)

    @contextmanager
    def watching(self, watcher: Callable[[Scan], None]) -> Iterator[None]:
        """Hand every scan to ``watcher`` too, until the block is left; it must be quick."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    def standing(self, name: str) -> AlarmMessage | None:
        """Return the alarm as it stands on the record; None where nothing was ever told of it."""
        event = self._standing.get(name)
        return event and standing_part(event)

    @property
    def alarms_standing(self) -> int:
        """How many alarms are not normal, on the record; rehearsals are none."""
        return sum(not event.test for event in self._standing.values())

    def standing_as_told(self) -> list[AlarmMessage]:
        """Return what was last told of every alarm that is not normal: to be counted.

        It costs nothing; ``active`` takes some 30 µs for each, and in a flood there are hundreds.
        """
        return list(self._standing.values())

    def active(self) -> list[AlarmMessage]:
        """Return every alarm that is not normal, as it stands on the record."""
        return [standing_part(event) for event in self._standing.values()]

    def end(self) -> None:
        """Accept nothing more: what a line says as we let it go is not what its devices said."""
        self._ended = True

    async def close(self) -> None:
        """Commit what is left, with the fact that the daemon was stopped; not on a failed disk."""
        if not self._failed:
            self.note("stop", self.plant.gateway, {"reason": "told to"})
            await self.commit()

    def _next_own(self) -> int:
        """Return the time (ms, UTC) of the next of the gateway's own points."""
        self._last_health = max(self.clock().at // MILLISECOND, self._last_health + 1)
        return self._last_health

    async def _store(self, tick: Tick) -> None:
        if tick.empty:
            return
        try:
            async with asyncio.timeout(LONGEST_COMMIT):
                await self.store.commit(tick)
        except TimeoutError as error:
            self._failed = True
            raise StoreError(f"the disk took over {LONGEST_COMMIT:.0f} s to commit") from error
        except StoreError:
            self._failed = True
            raise

    def _open_next(self) -> tuple[Tick, list[AlarmEventMessage], list[asyncio.Future[None]]]:
        tick, self._tick = self._tick, Tick()
        untold, self._untold = self._untold, []
        waiting, self._waiting = self._waiting, []
        now = self.clock()
        tick.facts = kept.save(
            self.board.take_changed(),
            self._usages.take_changed(),
            self.excursions.take_changed(),
            self.clock.boot_id,
            now,
        )
        return tick, untold, waiting

    def _stand(self, told: Sequence[AlarmEventMessage]) -> None:
        for message in told:
            if message.retain:
                self._standing[message.alarm] = message
            else:
                self._standing.pop(message.alarm, None)

    def _follow(
        self,
        events: Sequence[UseEvent],
        *,
        scan: int = 0,
        actor: Actor | None = None,
        reason: str = "",
    ) -> None:
        """Put changes of use on the record; points and alarms follow them. Committed at once."""
        for event in events:
            self._note_use(event, actor, reason)
        for name, now in {e.equipment: e.now for e in events if isinstance(e, UsageEvent)}.items():
            self._write_state(name)
            if alarms := self.board.place(name, self._usages[name].circumstances, now):
                self.tell(alarms, scan=scan)

    def _note_use(self, event: UseEvent, actor: Actor | None, reason: str) -> None:
        match event:
            case UsageEvent():
                until = self._usages.suppressing_until(event.equipment)
                kind, body = "equipment_state", equipment_state(event, until, actor, reason)
            case Occupancy():
                kind, body = "occupancy", occupancy(event, actor, reason)
                batches = self._usages[event.equipment].batches
                self.excursions.loaded(event.equipment, batches)
            case _:
                assert_never(event)
        self._note(kind, event.now, event.equipment, body)
        self._urgent.set()

    def _around(self, place: Place) -> Setting:
        """Say how things stand around a channel that passes a limit, or is back."""
        usage = self._usages[self.plant.sources[place[0]].equipment]
        return self._describer.setting(place, self.board, usage, synchronised())

    def _tell_excursions(self, ended: Sequence[ExcursionRecord], now: Moment) -> None:
        """Put excursions that are over on the record."""
        for record in ended:
            subject = f"{record.equipment}/{record.channel}/{record.rule}"
            self._append("excursion", now, subject, record.model_dump_json(by_alias=True))

    def _write_state(self, equipment: str) -> None:
        """Have every point of an equipment say in what state it is."""
        state, doubtful = self._usages[equipment].state, self._clock_synchronised is False
        for source in self.plant.by_name[equipment].sources:
            self._templates[source].be(state, clock_doubtful=doubtful)

    def _flag_clock(self, kept: bool | None) -> None:  # noqa: FBT001 - it is the thing told, not an option
        """Have everything that is recorded say whether its time is one of a clock that is kept."""
        if kept is not self._clock_synchronised:
            self._clock_synchronised = kept
            for equipment in self.plant.equipment:
                self._write_state(equipment.name)

    def _note(self, kind: str, now: Moment, subject: str, body: Mapping[str, object]) -> None:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        self._append(kind, now, subject, text)

    def _append(self, kind: str, now: Moment, subject: str, body: str) -> None:
        self._event += 1
        seq = self._seq if kind == "alarm" else None
        self._tick.events.append(Event(self._event, seq, kind, now.at, now.boot, subject, body))

    def _look_back(self, scan: Scan) -> None:
        """End an unmonitored interval: since the last run, or since the daemon or line stalled."""
        self.missed += scan.missed
        name = self.plant.sources[scan.source].equipment
        last, cause = self._unseen.pop(name, None), self._away
        previous = self.latest[scan.source]
        if last is None and previous is not None and scan.missed:
            elapsed = scan.boot - previous.boot  # A step of the wall clock is no gap.
            last, cause = scan.at - elapsed, f"{scan.missed} grid points missed"
        if last is None:
            return
        for gap in unmonitored({name: last}, scan.at, self.plant):
            body = {
                "from": rfc3339(gap.start),
                "to": rfc3339(gap.end),
                "seconds": round(gap.seconds, 3),
                "cause": cause,
            }
            self.note("unmonitored", name, body)
            self.excursions.missed(name)
            if events := self.board.missed(name, scan.moment):
                self.tell(events, scan=self._scan)

    def _step(self, step: ClockStep) -> None:
        if step.kind == "backward":
            self._last_ms = [0] * len(self._last_ms)
            self._last_test_ms.clear()
            self._last_health = 0
        told = step.told()
        log.warning("the wall clock stepped: from %s to %s", told["before"], told["after"])
        self.note("clock_step", "", told)
        self.excursions.stepped()
        self._retake()
        self._urgent.set()

    def _retake(self) -> None:
        self.board.retake()
        self._usages.retake()

    async def _take_up(
        self, before: Before, cases: Mapping[str, Case], step: ClockStep | None, now: Moment
    ) -> None:
        """Begin the record of this run: who we are, what stands, and why we were away."""
        self._groups = await self._group_sources()
        self._away = before.why_away(self.clock.boot_id)
        self._standing = await stood(self.store, (name for name, _ in self.board.standing()))
        self._asides = Asides(self._standing.values())
        self._note_start(before)
        past = await spent(self.store, now)
        self._tell_excursions(self.excursions.resume(cases, past, now), now)
        if step:
            self._step(step)
            if step.kind != "slewed":  # A step of the wall clock is no gap, and hides none.
                by = step.after - step.before
                self._unseen = {name: at + by for name, at in self._unseen.items()}
        elif (before.boot_id, before.config) == (self.clock.boot_id, self.plant.digest):
            self._recalled = await recalled(self.plant, self.store, now)
        if before.boot_id != self.clock.boot_id:
            self._retake()  # Saved anew, so that the reboot is bridged only once.
        if events := self.board.reconcile(now):
            self.tell(events)
            self._end_tests(events)
        self._follow(self._usages.reconcile(now))
        await self.commit()

    def _end_tests(self, ended: Sequence[AlarmEvent]) -> None:
        """Say of the rehearsals that the last run left in the middle that they are over."""
        for event in ended:
            if is_shadow(event.name) and event.after is State.ENDED:
                body = {"phase": "end", "verdict": "interrupted", "test_alarm": event.name}
                self.note("alarm_test", real_name(event.name), {**body, "away": self._away})
                self.board.forget(event.name)

    def _note_start(self, before: Before) -> None:
        plant = self.plant
        start = {
            "version": VERSION,
            "code": code(),
            "pid": os.getpid(),
            "boot_id": self.clock.boot_id,
            "clock_epoch": self.clock.epoch,
            "config": plant.digest,
            "away": self._away,
        }
        self.note("start", plant.gateway, start)
        if before.config != plant.digest:
            self._tick.config = (plant.digest, plant.text)
            self.note("config", plant.digest, {"was": before.config})
        if salvaged := self.store.salvaged:
            what = {"what": "a damaged store was moved aside", **salvaged._asdict()}
            self.note("store", "", what)

    async def _group_sources(self) -> list[int]:
        names = [equipment.name for equipment in self.plant.equipment]
        parts = [tuple(names[at : at + GROUP]) for at in range(0, len(names), GROUP)]
        *ids, self._own_group = await self.store.groups([*parts, NO_EQUIPMENT])
        group_of = {name: id_ for part, id_ in zip(parts, ids, strict=True) for name in part}
        return [group_of[source.equipment] for source in self.plant.sources]


def _alarm_of(message: AlarmEventMessage) -> ExcursionAlarm:
    return ExcursionAlarm(
        alarm=message.alarm,
        occurrence=message.occurrence,
        raised=message.alarm_time,
        annunciated=message.annunciated,
    )


def _as_a_test(place: Place, channels: int, made_up: Observation, now: Moment) -> Scan:
    source, channel = place
    values: list[Value | None] = [None] * channels
    values[channel] = made_up.value
    fault, time = made_up.reason, made_up.source_time
    return Scan(
        source,
        *now,
        tuple(values),
        {} if fault is None else {channel: Fault(made_up.quality, fault)},
        {} if time is None else {channel: time},
        origin=Origin.TEST,
        spoke=frozenset({channel}),
    )


_ACTED = ("act", "user", "claimed", "role", "reason")


def _act_on(subject: str, body: Mapping[str, object], now: Moment) -> ExcursionAct:
    said = {name: str(body.get(name) or "") for name in _ACTED}
    return ExcursionAct.model_validate({**said, "time": rfc3339(now.at), "subject": subject})


def _use(request: EquipmentRequest) -> SetState | Load | Unload | None:
    """Return what is to be done; None for a comment, which changes nothing."""
    match request.act:
        case "set_state":
            return SetState(request.state, request.actor.user, request.reason, request.duration)
        case "load":
            return Load(request.batch, request.position)
        case "unload":
            return Unload(request.batch, request.position)
        case "comment":
            return None
        case _:
            assert_never(request.act)
