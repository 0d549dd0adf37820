"""One site's file tried on recorded readings: what would have been told, and how often. Pure.

The board, the states of equipment and the words are those of the daemon. Nobody acts: nothing is
acknowledged, shelved or reset, and so nothing escalates, which else everything would. A state that
an operator had set is taken from the record, where the file has no channel that tells it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from config.plant import Channel, Place, Plant, Source
from config.rules import CalibrationDue, ChannelRule, EquipmentState, Silent, Stale, Unreadable
from drivers.reading import Moment, Scan, over
from monitor.alarms.board import Board
from monitor.alarms.facts import NORMAL, Alarm, AlarmEvent, Change
from monitor.alarms.unmonitored import unnoticed
from monitor.alarms.usage import SetState
from monitor.alarms.usages import Usages
from monitor.describe import Describer, Told
from monitor.excursions.case import Setting
from monitor.excursions.ledger import Ledger
from monitor.excursions.record import ExcursionAlarm, ExcursionRecord
from monitor.messages import AlarmEventMessage
from monitor.replay.rows import Recorded
from monitor.replay.scans import Scans, Step

AnyRule = TypeVar("AnyRule", ChannelRule, Silent, CalibrationDue)
ReplayTold = AlarmEventMessage | ExcursionRecord
"""A transition of an alarm, or an excursion that is over."""

SECOND = 10**9
NAME = "replay"
"""Stands where messages name their store."""
_BEGIN = Moment(0, 0)
_RAISES = frozenset({Change.RAISED, Change.RAISED_AGAIN})


@dataclass
class Tally:
    """What one rule would have told. Durations are nanoseconds."""

    raised: int = 0
    annunciated: int = 0
    """Of those: how many people would have been told of at once."""
    standing: int = 0
    """Altogether."""
    shortest: int | None = None
    longest: int | None = None
    stands: bool = False
    """At the end."""
    brief: int = 0
    """How often the condition held, but not for as long as the on-delay. A reading or two that are
    lost are no excursions: rules that watch the instrument have none."""
    longest_brief: int = 0
    excursions: int = 0
    """Intervals beyond the limit, alarm or not, that of the end too; only limits have them."""
    outside: float = 0.0
    """Seconds beyond the limit, altogether."""
    longest_excursion: float = 0.0
    """Seconds."""


@dataclass
class Judged:
    """How much was gone through."""

    readings: int = 0
    scans: int = 0
    first: int | None = None
    """Record time (ns, UTC)."""
    last: int | None = None


class Trial:
    """Takes what was recorded, in its order, and tells what the file would have made of it."""

    def __init__(self, plant: Plant, steps: Sequence[Step] = ()) -> None:
        self.plant = plant = _unattended(plant)
        self.judged = Judged()
        self.tallies: dict[str, Tally] = {}
        """By alarm, of those of which anything was seen."""
        self._scans = Scans(plant, steps)
        self._usages = Usages(plant, {}, _BEGIN)
        self._board = Board(plant, {}, circumstances=self._usages.circumstances())
        self._describer = Describer(plant, NAME)
        self._ledger = Ledger(plant, self._board.watched, NAME, self._around)
        self._latest: list[Scan | None] = [None] * len(plant.sources)
        self._seq = 0
        self._known: dict[str, Alarm] = {}
        self._now = _BEGIN
        self._looked = 0
        self._last: dict[int, int] = {}
        """Elapsed time of the last scan of each source."""
        self._unnoticed = [unnoticed(plant, source.equipment) for source in plant.sources]
        self._told_by_record = {e.name for e in plant.equipment if not e.state_from}
        self._states: dict[str, str] = {}

    @property
    def unknown(self) -> Mapping[str, int]:
        """Readings left out, by ``equipment/source/channel``: the file has no such channel."""
        return self._scans.unknown

    def take(self, recorded: Recorded) -> Sequence[ReplayTold]:
        """Judge what one source said at one time; return what would have been told."""
        scan = self._scans.scan(recorded)
        if scan is None:
            return ()
        self._count(scan)
        self._now = scan.moment
        events = [*self._use(recorded, scan), *self._look_back(scan)]
        events += self._board.observe(scan)
        if changed := self._board.take_changed():
            self._follow(changed)
        told: list[ReplayTold] = [self._tell(event, recorded.scan) for event in events]
        return [*told, *self._measure(scan, recorded.scan)]

    def close(self) -> Mapping[str, Tally]:
        """Let it end: what stands has stood until the last scan, and what is outside until it."""
        for record in self._ledger.open_records(self._now.at):
            self._add(record)
        for name, alarm in self._known.items():
            if alarm.active and alarm.alarm_time:
                self._stood(self.tallies[name], alarm.alarm_time, self._now)
                self.tallies[name].stands = True
        return self.tallies

    def _count(self, scan: Scan) -> None:
        judged = self.judged
        judged.scans += 1
        judged.readings += len(scan.values) if scan.spoke is None else len(scan.spoke)
        if judged.first is None:
            judged.first = scan.at
        judged.last = scan.at

    def _use(self, recorded: Recorded, scan: Scan) -> Iterator[AlarmEvent]:
        """Put into effect what equipment is used for, as channels or the record tell it."""
        name, now = recorded.equipment, scan.moment
        moved = set()
        if scan.boot >= self._looked + SECOND:
            self._looked = scan.boot
            moved |= {event.equipment for event in self._usages.look(now)}
        if recorded.state != self._states.get(name, "") and name in self._told_by_record:
            self._states[name] = recorded.state
            self._set_state(name, recorded.state, now)
            moved.add(name)
        moved |= {event.equipment for event in self._usages.observe(scan)}
        for each in sorted(moved):
            yield from self._board.place(each, self._usages[each].circumstances, now)

    def _set_state(self, equipment: str, state: str, now: Moment) -> None:
        known = EquipmentState(state) if state in set(EquipmentState) else None
        self._usages.act(equipment, SetState(known, NAME, "as it was recorded"), now)

    def _look_back(self, scan: Scan) -> Sequence[AlarmEvent]:
        """Tell the board of a time in which nobody watched, as the daemon does after a gap."""
        last = self._last.get(scan.source)
        self._last[scan.source] = scan.boot
        if last is None or scan.boot - last <= self._unnoticed[scan.source]:
            return ()
        equipment = self.plant.sources[scan.source].equipment
        self._ledger.missed(equipment)
        return self._board.missed(equipment, scan.moment)

    def _measure(self, scan: Scan, number: int) -> Sequence[ExcursionRecord]:
        """Follow what is outside of its limits; return the excursions that are over."""
        source, latest = scan.source, self._latest
        before, latest[source] = latest[source], over(latest[source], scan)
        if source not in self._board.attentive and source not in self._ledger.tracked:
            return ()
        ended = self._ledger.observe(scan, number, before, latest)
        for record in ended:
            self._add(record)
        return ended

    def _around(self, place: Place) -> Setting:
        usage = self._usages[self.plant.sources[place[0]].equipment]
        return self._describer.setting(place, self._board, usage, synchronised=None)

    def _add(self, record: ExcursionRecord) -> None:
        tally = self._tally(f"{record.equipment}/{record.channel}/{record.rule}")
        tally.excursions += 1
        tally.outside += record.outside_seconds
        tally.longest_excursion = max(tally.longest_excursion, record.duration_seconds)

    def _tell(self, event: AlarmEvent, scan: int) -> AlarmEventMessage:
        self._seq += 1
        watched = self._board.watched[event.name]
        known = watched.equipment in self.plant.by_name
        usage = self._usages[watched.equipment] if known else None
        message = self._describer.event(watched, event, Told(self._seq, scan, usage=usage))
        if event.change in _RAISES:
            self._tally(event.name).annunciated += message.annunciated
            alarm = ExcursionAlarm(
                alarm=message.alarm, occurrence=message.occurrence, raised=message.alarm_time
            )
            self._ledger.sounded(alarm)
        return message

    def _follow(self, changed: Mapping[str, Alarm]) -> None:
        """Count what the facts say that no event does: conditions that were over too soon."""
        for name, after in changed.items():
            before = self._known.get(name, NORMAL)
            if after.at_rest:
                self._known.pop(name, None)
            else:
                self._known[name] = after
            self._compare(name, before, after)

    def _compare(self, name: str, before: Alarm, after: Alarm) -> None:
        if after.occurrence != before.occurrence:
            self._tally(name).raised += 1
        elif before.active:
            pass  # What waited then took nothing but a return back.
        elif before.pending is not None and after.pending is None and self._measures(name):
            tally = self._tally(name)
            tally.brief += 1
            held = self._now.boot - before.pending.since.boot
            tally.longest_brief = max(tally.longest_brief, held)
        if before.active and not after.active and before.alarm_time:
            self._stood(self._tally(name), before.alarm_time, self._now)

    def _measures(self, name: str) -> bool:
        return not isinstance(self._board.watched[name].rule, Unreadable | Stale | Silent)

    def _tally(self, name: str) -> Tally:
        return self.tallies.setdefault(name, Tally())

    def _stood(self, tally: Tally, since: Moment, until: Moment) -> None:
        stood = until.boot - since.boot
        tally.standing += stood
        tally.shortest = stood if tally.shortest is None else min(tally.shortest, stood)
        tally.longest = stood if tally.longest is None else max(tally.longest, stood)


def _unattended(plant: Plant) -> Plant:
    """Return ``plant`` without escalations: nobody is there who could acknowledge."""
    silent = {line: _patient(rule) for line, rule in plant.line_silent.items()}
    return replace(plant, line_silent=silent, sources=tuple(map(_of_source, plant.sources)))


def _of_source(source: Source) -> Source:
    return replace(
        source,
        silent=_patient(source.silent),
        calibration=tuple(map(_patient, source.calibration)),
        channels=tuple(map(_of_channel, source.channels)),
    )


def _of_channel(channel: Channel) -> Channel:
    return replace(channel, rules=tuple(map(_patient, channel.rules)))


def _patient(rule: AnyRule) -> AnyRule:
    return rule.model_copy(update={"escalate": ()}) if rule.steps else rule
