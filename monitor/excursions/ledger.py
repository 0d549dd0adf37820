"""Every excursion of the gateway: takes scans in, gives the records of those that ended out.

A source is looked at only while the board looks at it closely or something of it is outside
(``tracked``), so a steady plant costs nothing. Late scans and tests are not judged. What holds is
the limit in effect: where state, phase or a reload changes it, the excursion ends with that as its
reason, and may begin anew. Pure: what it has to know beside the scans is handed to it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from config.plant import ChannelType, Place, Plant
from config.rules import High, Low, Rule
from drivers.reading import Moment, Origin, Quality, Scan, Value
from monitor.alarms.facts import Observation
from monitor.alarms.verdict import beyond, usable
from monitor.alarms.watch import Watched
from monitor.excursions import budget, track
from monitor.excursions.case import Case, Setting
from monitor.excursions.record import (
    MINUTE,
    SECOND,
    Ending,
    ExcursionAct,
    ExcursionAlarm,
    ExcursionRecord,
    measured,
    place,
    seconds,
)
from monitor.excursions.segment import Limit
from monitor.excursions.track import Seen
from monitor.messages import rfc3339

MILLISECOND = 10**6
PERIODS = 3
"""Readings that are further apart than so many periods have a gap between them."""
MOST_ACTS = 200
"""Acts that an excursion names; all stand on the record by themselves."""
MOST_ALARMS = 200
"""Occurrences that it names, but for the first of each alarm that people are told of: one that
comes and goes for days must not grow without end."""
NOTHING: tuple[ExcursionRecord, ...] = ()

Around = Callable[[Place], Setting]
"""Says how things stand around a channel just now."""


class _Look(NamedTuple):
    """One scan, and what it is held against."""

    scan: Scan
    number: int
    before: Scan | None
    """The last one of its source."""
    latest: Sequence[Scan | None]
    """The newest of each source, this one included."""
    longest: int
    """Readings that are further apart (ns) have a gap between them."""


class Ledger:
    """The excursions that go on, and what those of late add up to."""

    def __init__(
        self, plant: Plant, watched: Mapping[str, Watched], store_id: str, around: Around
    ) -> None:
        self._plant = plant
        self._watched = watched
        self._store_id = store_id
        self._around = around
        self._names = _by_source(plant, watched)
        self._of_doors = {source for one in plant.equipment for source, _ in one.doors}
        """Indices of the sources that tell of doors."""
        self._past: defaultdict[tuple[str, str], list[budget.Spent]] = defaultdict(list)
        """What counts in budgets, oldest first, by channel and rule: only the like add up."""
        self._changed: set[str] = set()
        self.cases: dict[str, Case] = {}
        """Those that go on, by the name ``equipment/channel/rule``."""
        self.tracked: set[int] = set()
        """Indices of the sources whose every scan they want, those of the doors included."""

    def resume(
        self, cases: Mapping[str, Case], past: Iterable[budget.Spent], now: Moment
    ) -> Sequence[ExcursionRecord]:
        """Take up what was saved, and what of the record counts in budgets; called once.

        A case whose rule is no longer in the file ends with that.
        """
        for one in past:
            self._past[one.channel, one.rule].append(one)
        self.cases = dict(cases)
        self.retake()  # So that a reboot is bridged only once.
        gone = [name for name in sorted(cases) if not _is_limit(self._watched.get(name))]
        ended = [self._close(name, "rule_removed", now.at) for name in gone]
        self._retrack()
        return ended

    def observe(
        self, scan: Scan, number: int, before: Scan | None, latest: Sequence[Scan | None]
    ) -> Sequence[ExcursionRecord]:
        """Take one scan; return what ended by it.

        ``number`` is that of the scan, ``before`` the last one of its source, ``latest`` the newest
        of each, this one included.
        """
        if scan.origin is not Origin.LIVE:
            return NOTHING
        if self.cases and scan.source in self._of_doors:
            self._see_doors(scan, latest)
        stirred = [
            (channel, name)
            for channel, name in self._names[scan.source]
            if name in self.cases or _passes(scan.values[channel], self._watched[name].rule)
        ]
        if not stirred:
            return NOTHING
        longest = PERIODS * self._plant.sources[scan.source].period
        look = _Look(scan, number, before, latest, longest)
        ended: list[ExcursionRecord] = []
        for channel, name in stirred:
            if scan.spoke is None or channel in scan.spoke:
                ended += self._judge(name, channel, look)
        return ended or NOTHING

    def missed(self, equipment: str) -> None:
        """Say that ``equipment`` was not watched for a while: a gap, however short."""
        for name, case in self._of(equipment):
            self._keep(name, replace(case, track=replace(case.track, broken=True)))

    def stepped(self) -> None:
        """Say that the wall clock stepped."""
        for name, case in self.cases.items():
            self._keep(name, replace(case, clock_steps=case.clock_steps + 1))

    def sounded(self, alarm: ExcursionAlarm) -> None:
        """Say that an alarm of a channel is active, and whether people are told."""
        for name, case in self._of_channel(alarm.alarm):
            if (alarms := _with(case.setting.alarms, alarm)) is not None:
                setting = case.setting._replace(alarms=alarms)
                self._keep(name, replace(case, setting=setting))

    def acted(self, act: ExcursionAct) -> None:
        """Say what somebody did about an alarm or an equipment, or said of it."""
        cases = self._of_channel(act.subject) if "/" in act.subject else self._of(act.subject)
        for name, case in cases:
            if len(case.acts) < MOST_ACTS:
                self._keep(name, replace(case, acts=(*case.acts, act)))

    def loaded(self, equipment: str, batches: Sequence[str]) -> None:
        """Say which batches are in ``equipment`` now."""
        for name, case in self._of(equipment):
            both = tuple(dict.fromkeys((*case.setting.batches, *batches)))
            self._keep(name, replace(case, setting=case.setting._replace(batches=both)))

    def open_records(self, now: int) -> list[ExcursionRecord]:
        """Return those that go on, as they stand at ``now`` (ns, UTC)."""
        return [self._record(case, "", now) for _, case in sorted(self.cases.items())]

    def retake(self) -> None:
        """Have all saved anew: after a step of the clock by which a reboot is bridged."""
        self._changed.update(self.cases)

    def take_changed(self) -> dict[str, Case | None]:
        """Return what changed since the last call, by name; None for one that is over."""
        changed, self._changed = self._changed, set()
        return {name: self.cases.get(name) for name in sorted(changed)}

    def _judge(self, name: str, channel: int, look: _Look) -> Sequence[ExcursionRecord]:
        """Take one limit one scan further: what goes on may end, and another may begin."""
        case, limit = self.cases.get(name), _limit(self._watched.get(name))
        if case is None:
            if limit is not None:
                self._begin(name, channel, limit, _before(look, channel, limit), look)
            return NOTHING
        line = track.before(case.track, look.scan.moment, look.longest)
        why = self._follow(name, case, _depth(look.scan, channel, case.track.limit), limit, look)
        if not why:
            return NOTHING
        ended = self._close(name, why, look.scan.at)
        if limit is not None:  # There is no line from one limit to another.
            self._begin(name, channel, limit, line if limit == case.track.limit else None, look)
        return [ended]

    def _follow(
        self, name: str, case: Case, depth: float | None, limit: Limit | None, look: _Look
    ) -> Ending:
        """Take a case one reading further, by the limit it began with; return why it ends."""
        now, back, rejoin = look.scan.moment, case.track.back, self._plant.rejoin
        if depth is not None and depth > 0 and back is not None:
            apart = track.onset(case.track, now, depth, look.longest) - back.end.boot
            if apart > rejoin:
                return "returned"  # What this reading begins is another one.
        after = track.follow(case.track, now, depth, look.longest)
        self._keep(name, replace(case, track=after))
        if track.over(after, now.boot, rejoin):
            return "returned"
        if limit == after.limit:
            return ""
        return "returned" if after.back else "limit_changed"

    def _begin(
        self, name: str, channel: int, limit: Limit, before: Seen | None, look: _Look
    ) -> None:
        """Begin an excursion where the scan lies beyond its limit."""
        scan = look.scan
        depth = _depth(scan, channel, limit)
        if depth is None or depth <= 0:
            return
        source = self._plant.sources[scan.source]
        begun = track.begin(limit, before, scan.moment, depth)
        if _any_open(self._plant, source.equipment, look.latest):
            begun = track.door(begun, begun.start.boot, opened=True)
        case = Case(
            excursion=f"{self._store_id}/{name}/x{look.number}",
            place=place(self._plant, source, channel, name.rpartition("/")[2]),
            track=begun,
            worse=self._watched[name].worse,
            config=self._plant.digest,
            setting=self._around((scan.source, channel)),
        )
        self._keep(name, case)
        self._retrack()

    def _close(self, name: str, why: Ending, now: int) -> ExcursionRecord:
        case = self.cases[name]
        watched = self._watched.get(name)
        if case.setting.synchronised and watched and watched.source is not None:
            # What was unsure at its start is unsure for all of it.
            now_so = self._around((watched.source, watched.channel_index or 0)).synchronised
            case = replace(case, setting=case.setting._replace(synchronised=now_so))
        record = self._record(case, why, now)
        alike = case.place.channel, case.place.rule
        past = [one for one in self._past[alike] if one.until > now - budget.KEPT]
        self._past[alike] = [*past, _spent(case, case.track.end.at)]
        del self.cases[name]
        self._changed.add(name)
        self._retrack()
        return record

    def _record(self, case: Case, why: Ending, now: int) -> ExcursionRecord:
        setting, past = case.setting, self._past[case.place.channel, case.place.rule]
        mine = _spent(case, case.track.end.at if why else now)
        here = [one for one in past if one.equipment == mine.equipment]
        fields = {
            **case.place._asdict(),
            **measured(case.track),
            "excursion": case.excursion,
            "open": why == "",
            "end": rfc3339(case.track.end.at) if why else None,
            "ended_by": why,
            "equipment_state": setting.state,
            "phase": setting.phase,
            "batches": setting.batches,
            "door_open_seconds": case.track.door_open / SECOND if case.place.doors else None,
            "alarms": setting.alarms,
            "acts": case.acts,
            "minor": case.speakers.isdisjoint(a.alarm for a in setting.alarms if a.annunciated),
            "config": case.config,
            "clock_synchronised": setting.synchronised,
            "clock_steps": case.clock_steps,
            "bridged": case.bridged,
            "store_id": self._store_id,
            "day": budget.of_day([*here, mine], mine.until)[0],
            "per_batch": [
                each for batch in setting.batches for each in budget.of_batch([*past, mine], batch)
            ],
        }
        return ExcursionRecord.model_validate(fields)

    def _see_doors(self, scan: Scan, latest: Sequence[Scan | None]) -> None:
        equipment = self._plant.sources[scan.source].equipment
        opened = _any_open(self._plant, equipment, latest)
        for name, case in self._of(equipment):
            seen = track.door(case.track, scan.boot, opened=opened)
            if seen is not case.track:
                self._keep(name, replace(case, track=seen))

    def _of_channel(self, alarm: str) -> list[tuple[str, Case]]:
        return self._of(alarm.rpartition("/")[0])

    def _of(self, place: str) -> list[tuple[str, Case]]:
        """Return those of an equipment, or of a channel."""
        return [(name, case) for name, case in self.cases.items() if name.startswith(f"{place}/")]

    def _keep(self, name: str, case: Case) -> None:
        self.cases[name] = case
        self._changed.add(name)

    def _retrack(self) -> None:
        self.tracked.clear()
        for name, case in self.cases.items():
            watched = self._watched.get(name)
            if watched is not None and watched.source is not None:
                self.tracked.add(watched.source)
                doors = self._plant.by_name[case.place.equipment].doors
                self.tracked.update(source for source, _ in doors)


def _by_source(plant: Plant, watched: Mapping[str, Watched]) -> list[tuple[tuple[int, str], ...]]:
    """By source: the index of the channel and the name, of each limit."""
    names: list[tuple[tuple[int, str], ...]] = [() for _ in plant.sources]
    for name, one in watched.items():
        if one.source is None or one.channel_index is None or not _is_limit(one):
            continue
        channel = plant.sources[one.source].channels[one.channel_index]
        if channel.type is not ChannelType.TEXT:
            names[one.source] += ((one.channel_index, name),)
    return names


def _passes(value: Value | None, rule: Rule) -> bool:
    """Whether a value may begin an excursion; what it is worth is not looked at yet."""
    if value is None or isinstance(value, str) or not isinstance(rule, High | Low):
        return False
    return beyond(rule, value)


def _is_limit(watched: Watched | None) -> bool:
    return watched is not None and isinstance(watched.rule, High | Low)


def _with(
    alarms: Sequence[ExcursionAlarm], alarm: ExcursionAlarm
) -> tuple[ExcursionAlarm, ...] | None:
    """Return the alarms of an excursion with this one; None where it says nothing new."""
    known = {each.occurrence: each for each in alarms}
    before = known.get(alarm.occurrence)
    if before is not None and (before.annunciated or not alarm.annunciated):
        return None
    if before is None and len(known) >= MOST_ALARMS:
        heard = {each.alarm for each in alarms if each.annunciated}
        if not alarm.annunciated or alarm.alarm in heard:
            return None
    known[alarm.occurrence] = alarm
    return tuple(known.values())


def _limit(watched: Watched | None) -> Limit | None:
    """Return the limit that is in effect; None where it is switched off or there is none."""
    if watched is None or watched.off or not isinstance(watched.rule, High | Low):
        return None
    return Limit(watched.rule.limit, isinstance(watched.rule, High))


def _depth(scan: Scan, channel: int, limit: Limit) -> float | None:
    """Return how far a reading is beyond; None where it cannot be used.

    As with alarms, an uncertain one may say that something is wrong, but not that it is well.
    """
    value, fault = scan.values[channel], scan.faults.get(channel)
    if value is None or isinstance(value, str):
        return None
    depth = limit.depth(value)
    if fault is None:
        return depth if depth == depth else None  # noqa: PLR0124 - not a number is not itself
    if not usable(Observation(value, *fault)):
        return None
    return depth if fault.quality is Quality.GOOD or depth > 0 else None


def _before(look: _Look, channel: int, limit: Limit) -> Seen | None:
    """Return the reading right before, where it can be used."""
    before = look.before
    if before is None or before.origin is not Origin.LIVE:
        return None
    if not 0 < look.scan.boot - before.boot <= look.longest:
        return None
    depth = _depth(before, channel, limit)
    return None if depth is None else Seen(before.moment, depth)


def _spent(case: Case, until: int) -> budget.Spent:
    place, tally = case.place, case.track.tally
    return budget.Spent(
        place.equipment,
        place.channel,
        place.rule,
        place.unit,
        case.setting.batches,
        until - until % MILLISECOND,  # As the record tells it.
        seconds(tally.outside),
        seconds(tally.gap),
        tally.area / MINUTE,
        case.track.extreme,
    )


def _any_open(plant: Plant, equipment: str, latest: Sequence[Scan | None]) -> bool:
    """Whether a door is said to stand open."""
    for source, channel in plant.by_name[equipment].doors:
        scan = latest[source]
        if scan is not None and scan.values[channel] is True:
            return True
    return False
