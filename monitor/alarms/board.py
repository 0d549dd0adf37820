"""All alarms of the gateway: takes scans, acts and reports in, gives events out, owns the facts.

A scan in which every value lies in its band and nothing waits for time is done after one pass over
flat lists, without allocating; the few texts that a rule asks for are looked up besides.
Everything else goes through ``engine``, channel by channel; both ways tell the same.

A held value bears the source time that it came with: that this stands still from one grid point to
the next says nothing yet. After ``STILL`` periods it does, and counts from its first moment.

What a state or phase of an equipment makes of its rules is put in place when the state changes
(``place``), and not asked at each scan. A cause speaks before the design where both do.

One cause, one alarm (docs/decisions/0004): the line's alarm speaks for its sources, a source's for
its channels, from the scan at which it is active until the source has spoken itself.
Reading, then gates: what begins to speak for an alarm does so before a reading is judged, what
ceases does so after it, so that an alarm whose condition is gone is not annunciated once more.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from types import MappingProxyType
from typing import NamedTuple, assert_never

from config.plant import Place, Plant
from config.rules import CalibrationDue, Rule, Silent
from drivers.reading import Cause, Moment, Origin, Scan
from monitor.alarms import engine
from monitor.alarms.bands import (
    ANYTHING,
    EVERYWHERE,
    Words,
    awake,
    band,
    narrower,
    restless,
    words,
)
from monitor.alarms.bounds import (
    CAUSES,
    LINE,
    OUTAGE,
    SOURCE,
    Bounds,
    inside,
    is_steady,
    mark,
    part_inside,
    remember,
    said_of,
    touched,
)
from monitor.alarms.facts import (
    NORMAL,
    Act,
    Alarm,
    AlarmEvent,
    Change,
    Circumstances,
    Condition,
    Elapsed,
    Observation,
    Refusal,
    State,
    Stimulus,
)
from monitor.alarms.inputs import Reference
from monitor.alarms.rehearsal import is_shadow, shadow
from monitor.alarms.variants import place
from monitor.alarms.verdict import is_due
from monitor.alarms.watch import (
    Watched,
    ended,
    ranked,
    rule_of,
    watch,
)

NOTHING: tuple[AlarmEvent, ...] = ()
NO_RULES: Mapping[str, Rule] = MappingProxyType({})
NO_CIRCUMSTANCES: Mapping[str, Circumstances] = MappingProxyType({})
"""Every equipment in use, in no phase that is known."""
_UNKNOWN = Condition(None)
_GRID_POINT = (Observation, Condition, Elapsed)
"""At these the time is looked at; an act ends no shelf but its own."""

LOOK_EVERY = 60 * 10**9
"""How often (ns of elapsed time) the calendar is looked at."""


class _Turn:
    """One scan, act or report being worked through: when, and what is to be told of it."""

    __slots__ = ("events", "now")

    def __init__(self, now: Moment) -> None:
        self.now = now
        self.events: list[AlarmEvent] = []


class _Gates(NamedTuple):
    """Names of those who speak for an alarm; empty where nobody does."""

    suppressed_by: str = ""
    superseded_by: str = ""


_OPEN = _Gates()


class Board:
    """Every alarm of the gateway, and where each stands."""

    def __init__(
        self,
        plant: Plant,
        facts: Mapping[str, Alarm],
        gateway_rules: Mapping[str, Rule] = NO_RULES,
        circumstances: Mapping[str, Circumstances] = NO_CIRCUMSTANCES,
    ) -> None:
        self.watched: dict[str, Watched] = watch(plant, gateway_rules)
        """Every alarm that can be, by name, as it is watched just now; after ``reconcile`` also
        those that ended by it."""
        self.attentive: set[int] = set()
        """Indices of the sources of which some alarm is active, or whose last scan was looked at
        closely."""
        self._plant = plant
        self._facts = {name: alarm for name, alarm in facts.items() if not alarm.at_rest}
        self._changed: dict[str, Alarm] = {}
        self._sources = [Bounds(source, self.watched) for source in plant.sources]
        self._own: dict[str, list[Watched]] = {one.name: [] for one in plant.equipment}
        """What is watched of an equipment's sources as a whole, as the file has the rules."""
        for one in self.watched.values():
            if one.source is not None and one.channel_index is not None:
                self._sources[one.source].of_file[one.channel_index] += (one,)
            elif one.source is not None:
                self._own[one.equipment].append(one)
        self._dated = [one for one in self.watched.values() if one.day is not None]
        """What waits for a day, as the file has the rules; the worse level first."""
        self._looked: int | None = None
        """When (elapsed time) the calendar was last looked at."""
        self._references = self._find_references(plant)
        """What alarms compare themselves with, by the place of the channel."""
        for equipment in plant.by_name:
            self._arrange(equipment, circumstances.get(equipment, Circumstances()))
        for source in self._sources:
            self._restore(source)

    def observe(self, scan: Scan) -> Sequence[AlarmEvent]:
        """Judge one scan; the steady case returns the shared empty tuple."""
        source = self._sources[scan.source]
        if source.references and scan.origin is not Origin.LATE:
            self._hear_references(source, scan)
        if (
            not scan.faults
            and scan.cause is Cause.NONE
            and not source.restless
            and (inside(source, scan) if scan.spoke is None else part_inside(source, scan))
            and (source.at_ease or is_steady(source, scan))
        ):
            if not source.at_ease:
                self._after_steady(source, scan)
            return NOTHING
        return self._judge(source, scan)

    def act(
        self,
        name: str,
        act: Act,
        now: Moment,
        *,
        expect_occurrence: int | None = None,
        expect_version: int | None = None,
    ) -> Sequence[AlarmEvent] | Refusal:
        """Do what an operator asks, bound to the alarm as it was seen (None: as it stands)."""
        watched = self.watched.get(name)
        if watched is None:
            return Refusal("unknown_alarm", f"there is no alarm {name}")
        alarm = self.alarm(name)
        if refusal := _outdated(alarm, expect_occurrence, expect_version):
            return refusal
        if refusal := engine.refuse(watched.rule, alarm, act):
            return refusal
        turn = _Turn(now)
        gates = _Gates(alarm.suppressed_by, alarm.superseded_by)
        if self._advance(watched, act, turn, gates):
            self._settle_alarm(watched)
        self._follow(watched, turn)
        return tuple(turn.events)

    def place(
        self, equipment: str, circumstances: Circumstances, now: Moment
    ) -> Sequence[AlarmEvent]:
        """Put into effect what a state and phase of ``equipment`` make of its rules.

        What is suppressed by it is so at once, and what no longer is and stands is annunciated
        anew. A limit that becomes another one is what the next reading is held against.
        """
        turn = _Turn(now)
        arranged = self._arrange(equipment, circumstances)
        for one in self._own[equipment]:
            self._regate(self.watched[one.name], turn)
        for source, channel in arranged:
            self._judge_channel(source, channel, None, turn)
            self._settle(source, channel)
        return tuple(turn.events)

    def report(self, name: str, holds: bool | None, now: Moment) -> Sequence[AlarmEvent]:  # noqa: FBT001 - it is the thing reported, not an option
        """Say whether one of the gateway's own troubles, ``name`` of ``gateway_rules``, is there.

        To be called again and again: a delay or a shelf that is over is seen only then.
        """
        turn = _Turn(now)
        self._advance_alone(self.watched[f"gateway/_/{name}"], Condition(holds), turn)
        return tuple(turn.events)

    def look(self, now: Moment) -> Sequence[AlarmEvent]:
        """Look at the calendar: what has become due, or no longer is.

        To be called again and again; it does so about once a minute. The day is that of record
        time: what a wrong clock has raised is over once the clock is right.
        """
        if self._looked is not None and now.boot - self._looked < LOOK_EVERY:
            return NOTHING
        self._looked, turn = now.boot, _Turn(now)
        for one in self._dated:
            self._advance_alone(self.watched[one.name], Condition(_has_come(one, now)), turn)
        return tuple(turn.events)

    def missed(self, equipment: str, now: Moment) -> Sequence[AlarmEvent]:
        """Say that ``equipment`` was not watched for a while: missing data, as bad readings are."""
        turn = _Turn(now)
        for index in self._plant.by_name[equipment].sources:
            source = self._sources[index]
            self._advance_alone(source.silent, _UNKNOWN, turn, self._line_gate(source))
            self._judge_awake(source, _UNKNOWN, turn)
        return tuple(turn.events)

    def rehearse(self, name: str) -> Watched:
        """Begin the rehearsal of the alarm ``name``: watch its shadow, which only ``say`` reaches.

        What an operator does about the shadow, ``act`` does.
        """
        one = shadow(self.watched[name])
        self.watched[one.name] = one
        # The counts of an earlier rehearsal go on.
        self._keep(one.name, self.alarm(one.name)._replace(rule=one.rest.rule), one.rest)
        return one

    def say(self, rehearsed: str, stimulus: Stimulus, now: Moment) -> Sequence[AlarmEvent]:
        """Let a shadow see what was made up for it."""
        turn = _Turn(now)
        self._advance(self.watched[rehearsed], stimulus, turn, _OPEN)
        return tuple(turn.events)

    def end_rehearsal(self, rehearsed: str, now: Moment) -> Sequence[AlarmEvent]:
        """End a rehearsal, wherever it is; ``forget`` its shadow when that was told."""
        turn = _Turn(now)
        self._facts.setdefault(rehearsed, self.watched[rehearsed].rest)
        self._end(rehearsed, turn)
        return tuple(turn.events)

    def forget(self, rehearsed: str) -> None:
        """Watch a shadow no longer."""
        del self.watched[rehearsed]

    def reconcile(self, now: Moment) -> Sequence[AlarmEvent]:
        """Hold restored facts against today's rules; called once, before the first scan.

        What vanished ends, what changed goes on under its new rule, each with an event if it
        stood. The counts of an ended alarm stay, so that no id is ever given twice.
        """
        turn = _Turn(now)
        for name in sorted(self._facts):
            if name not in self.watched:
                self._end(name, turn)
            else:
                self._change_rule(self.watched[name], turn)
        for own in self._own.values():
            for one in own:
                self._regate(self.watched[one.name], turn)
        for source in self._sources:
            self._judge_awake(source, None, turn)
            self._restore(source)
        return tuple(turn.events)

    def alarm(self, name: str) -> Alarm:
        """Return where the alarm ``name`` stands."""
        if alarm := self._facts.get(name):
            return alarm
        watched = self.watched.get(name)
        return NORMAL if watched is None else watched.rest

    def standing(self) -> list[tuple[str, Alarm]]:
        """Return every alarm that is not normal, with its name."""
        return [(n, a) for n, a in self._facts.items() if a.state is not State.NORMAL]

    def take_changed(self) -> dict[str, Alarm]:
        """Return the facts that changed since the last call, by name.

        One that is ``at_rest`` need not be kept any longer.
        """
        changed, self._changed = self._changed, {}
        return changed

    def by_design(self, equipment: str) -> dict[str, str]:
        """Return which of its alarms are suppressed by design just now, normal or not, and why."""
        own = [self.watched[one.name] for one in self._own[equipment]]
        sources = [self._sources[index] for index in self._plant.by_name[equipment].sources]
        every = chain(own, (one for source in sources for each in source.channels for one in each))
        return {one.name: one.by_design for one in every if one.by_design}

    def retake(self) -> None:
        """Have all facts saved anew: after a step of the clock by which a reboot is bridged."""
        self._changed.update(self._facts)

    def _after_steady(self, source: Bounds, scan: Scan) -> None:
        """Do what is left to do when nothing changed, where the bands are not all there is."""
        if source.remembers and scan.origin is not Origin.LATE:
            remember(source, scan)
        if source.looked_at:
            source.looked_at, source.at_ease = False, not (source.words or source.remembers)
            mark(self.attentive, source.index, on=bool(source.active))

    def _judge(self, source: Bounds, scan: Scan) -> Sequence[AlarmEvent]:
        if scan.origin is Origin.LATE:
            return NOTHING  # It is history: it may not speak against what was read since.
        source.looked_at, source.at_ease = True, False
        self.attentive.add(source.index)
        turn = _Turn(scan.moment)
        if scan.cause is not Cause.NONE or not source.restless.isdisjoint(CAUSES):
            self._judge_causes(source, scan.cause, turn)
        if scan.cause is not Cause.NONE:
            self._judge_awake(source, _UNKNOWN, turn)
        else:
            for channel in sorted(touched(source, scan)):
                self._judge_channel(source, channel, said_of(source, scan, channel), turn)
            remember(source, scan)
        return tuple(turn.events) if turn.events else NOTHING

    def _judge_causes(self, source: Bounds, cause: Cause, turn: _Turn) -> None:
        """The line first, then the source; then who speaks for the source's channels."""
        lost = None if cause is Cause.UNKNOWN else cause is Cause.LINE
        self._advance_alone(source.line, Condition(lost), turn)
        match cause:
            case Cause.NONE:
                source.gate = ""
                self._advance_alone(source.silent, Condition(holds=False), turn)
            case Cause.SOURCE:
                self._advance_alone(source.silent, Condition(holds=True), turn)
                self._let_speak(source, source.silent)
            case Cause.LINE | Cause.UNKNOWN:
                self._let_speak(source, source.line)
                gate = self._line_gate(source, lost=True)
                self._advance_alone(source.silent, _UNKNOWN, turn, gate)
            case _:
                assert_never(cause)
        mark(source.restless, OUTAGE, on=source.gate != "")

    def _let_speak(self, source: Bounds, cause: Watched) -> None:
        """An alarm speaks for others once it is active; until then who spoke before still does."""
        if self.alarm(cause.name).active:
            source.gate = cause.name

    def _line_gate(self, source: Bounds, *, lost: bool = False) -> str:
        """Name of the line's alarm while it is what speaks for the source's own.

        That may be over while it still speaks for the channels, until the source has spoken.
        """
        line = source.line.name
        begins = lost and self.alarm(line).active
        return line if begins or self.alarm(source.silent.name).suppressed_by == line else ""

    def _judge_awake(self, source: Bounds, stimulus: Stimulus | None, turn: _Turn) -> None:
        """Let every alarm that is not at peace see what says nothing to all others."""
        for channel in sorted(source.awake):
            self._judge_channel(source, channel, stimulus, turn)

    def _judge_channel(
        self, source: Bounds, channel: int, stimulus: Stimulus | None, turn: _Turn
    ) -> None:
        """Let each rule of a channel see ``stimulus``; None: only look who speaks for whom."""
        stirred = False
        for watched in source.channels[channel]:
            said = self._beside(watched, stimulus, turn.now)
            if self._advance(watched, said, turn, self._gates(watched, source.gate)):
                stirred = True
        if stirred:
            self._settle(source, channel)

    def _beside(self, watched: Watched, stimulus: Stimulus | None, now: Moment) -> Stimulus | None:
        """Put what an alarm compares itself with beside the reading."""
        if watched.compared is None or not isinstance(stimulus, Observation):
            return stimulus
        return self._references[watched.compared].beside(stimulus, now)

    def _gates(self, watched: Watched, cause: str) -> _Gates:
        by, worse = cause or watched.by_design, self._worse_now(watched)
        return _Gates(by, worse) if by or worse else _OPEN

    def _worse_now(self, watched: Watched) -> str:
        """Name of the nearest worse level that is active and would be heard."""
        for name in watched.worse:
            alarm = self._facts.get(name)
            if alarm is not None and alarm.active and self._would_be_heard(name, alarm):
                return name
        return ""

    def _would_be_heard(self, name: str, alarm: Alarm) -> bool:
        """What was silenced on purpose speaks for nobody; an outage silences all levels alike."""
        removed = alarm.shelved_until is not None or alarm.out_of_service_until is not None
        return not removed and not self.watched[name].by_design

    def _advance(
        self, watched: Watched, stimulus: Stimulus | None, turn: _Turn, gates: _Gates
    ) -> bool:
        """Take one alarm one stimulus further; return whether any fact of it changed."""
        before = self._facts.get(watched.name, watched.rest)
        if gates is _OPEN and before.annunciated and stimulus is not None:
            return self._step(watched, before, stimulus, turn)
        gated = judged = before
        if stimulus is not None:
            gated = engine.gate(
                watched.rule,
                before,
                gates.suppressed_by or before.suppressed_by,
                gates.superseded_by or before.superseded_by,
                turn.now,
            )
            judged = engine.step(watched.rule, gated, stimulus, turn.now)
        freed = engine.gate(watched.rule, judged, *gates, turn.now)
        lapsed = over = freed
        if isinstance(stimulus, _GRID_POINT):  # A shelf and a removal may end at the same instant.
            lapsed = engine.lapse(watched.rule, freed, turn.now)
            over = engine.lapse(watched.rule, lapsed, turn.now)
        after = engine.ungated(over)
        if after is before or after == before:
            return False
        for earlier, later in pairwise((before, gated, judged, freed, lapsed, over)):
            if event := engine.transition(watched.name, earlier, later, turn.now):
                turn.events.append(event)
        self._keep(watched.name, after, watched.rest)
        return True

    def _step(self, watched: Watched, before: Alarm, stimulus: Stimulus, turn: _Turn) -> bool:
        """``_advance`` where nobody speaks for the alarm and no shelf ends: at most one event."""
        after = engine.step(watched.rule, before, stimulus, turn.now)
        if after is before or after == before:
            return False
        if event := engine.transition(watched.name, before, after, turn.now):
            turn.events.append(event)
        self._keep(watched.name, after, watched.rest)
        return True

    def _advance_alone(
        self, watched: Watched, stimulus: Stimulus | None, turn: _Turn, cause: str = ""
    ) -> None:
        """``_advance`` for what is not judged as one of a channel's rules."""
        if self._advance(watched, stimulus, turn, self._gates(watched, cause)):
            self._settle_alarm(watched)

    def _regate(self, own: Watched, turn: _Turn) -> None:
        """Look who speaks for an alarm of a whole source."""
        if own.source is not None:
            of_line = isinstance(own.rule, Silent)
            cause = self._line_gate(self._sources[own.source]) if of_line else ""
            self._advance_alone(own, None, turn, cause)

    def _arrange(self, equipment: str, circumstances: Circumstances) -> list[tuple[Bounds, int]]:
        """Lay out an equipment's alarms as they are watched; return the channels that changed."""
        for own in self._own[equipment]:
            self.watched[own.name] = place(own, circumstances, self._plant)
        arranged = []
        for index in self._plant.by_name[equipment].sources:
            source = self._sources[index]
            source.silent = self.watched[source.silent.name]
            for channel, of_file in enumerate(source.of_file):
                new = tuple(ranked([place(one, circumstances, self._plant) for one in of_file]))
                if new != source.channels[channel]:
                    source.channels[channel] = new
                    self.watched |= {one.name: one for one in new}
                    arranged.append((source, channel))
        return arranged

    def _find_references(self, plant: Plant) -> dict[Place, Reference]:
        places = {one.compared for one in self.watched.values() if one.compared is not None}
        references = {}
        for index, channel in places:
            reference = Reference(channel, plant.sources[index].period)
            references[index, channel] = reference
            self._sources[index].references.append(reference)
        for one in self.watched.values():
            if one.compared is not None and one.source is not None:
                references[one.compared].beholders.add((one.source, one.channel_index or 0))
        return references

    def _hear_references(self, source: Bounds, scan: Scan) -> None:
        """Keep what readings are held against; bands around it move with it."""
        for one in source.references:
            if one.hear(scan):
                for index, channel in one.beholders:
                    self._settle(self._sources[index], channel)

    def _keep(self, name: str, alarm: Alarm, rest: Alarm) -> None:
        if alarm.at_rest:
            self._facts.pop(name, None)
            self._changed[name] = rest
        else:
            self._facts[name] = self._changed[name] = alarm

    def _follow(self, watched: Watched, turn: _Turn) -> None:
        """After an act: a worse level may have begun or ceased to speak for the milder ones."""
        if watched.source is not None and watched.channel_index is not None:
            source = self._sources[watched.source]
            self._judge_channel(source, watched.channel_index, None, turn)
        elif watched.day is not None:
            for one in self._own[watched.equipment]:
                self._regate(self.watched[one.name], turn)

    def _settle_alarm(self, watched: Watched) -> None:
        """Find anew what must be looked at on every scan, after a change of one alarm."""
        if watched.day is not None:
            return  # No scan says anything of it.
        waits = restless(watched.rule, self.alarm(watched.name))
        if watched.source is None:
            for source in self._sources:
                if source.line is watched:
                    mark(source.restless, LINE, on=waits)
        elif watched.channel_index is None:
            mark(self._sources[watched.source].restless, SOURCE, on=waits)
        else:
            self._settle(self._sources[watched.source], watched.channel_index)

    def _settle(self, source: Bounds, channel: int) -> None:
        """Find anew a channel's band, and whether it must be looked at on every scan."""
        waits = stirs = active = False
        rest = EVERYWHERE
        for one in source.channels[channel]:
            alarm = self._facts.get(one.name)
            if alarm is not None:  # One at rest waits for nothing.
                waits = waits or restless(one.rule, alarm)
                stirs = stirs or awake(alarm)
                active = active or alarm.active
            other = None if one.compared is None else self._references[one.compared].value
            rest = narrower(rest, band(one.rule, alarm or one.rest, other))
        mark(source.restless, channel, on=waits)
        mark(source.awake, channel, on=stirs)
        mark(source.active, channel, on=active)
        if active or waits:
            self.attentive.add(source.index)
        if channel in source.places:
            at = source.places[channel]
            source.lowest[at], source.highest[at] = rest
        elif channel in source.words:
            source.words[channel] = self._words(source.channels[channel])

    def _words(self, of_channel: Sequence[Watched]) -> Words:
        rest = ANYTHING
        for one in of_channel:
            rest = rest.within(words(one.rule, self.alarm(one.name)))
        return rest

    def _restore(self, source: Bounds) -> None:
        """Derive from the facts all that is kept beside them to be quick."""
        for channel in range(len(source.channels)):
            self._settle(source, channel)
        for channel, unchanged in source.unchanged.items():
            for one in source.channels[channel]:
                unchanged.resume(self.alarm(one.name))
        for watched, which in ((source.line, LINE), (source.silent, SOURCE)):
            waits = restless(watched.rule, self.alarm(watched.name))
            mark(source.restless, which, on=waits)
        own = [source.silent, *(one for channel in source.channels for one in channel)]
        gates = (self.alarm(one.name).suppressed_by for one in reversed(own))
        causes = source.line.name, source.silent.name
        source.gate = next((gate for gate in gates if gate in causes), "")
        mark(source.restless, OUTAGE, on=source.gate != "")

    def _end(self, name: str, turn: _Turn) -> None:
        alarm = self._facts[name]
        # Of a shadow it is always told: what was begun is seen to end.
        stood = alarm.state is not State.NORMAL or (is_shadow(name) and alarm.rule != "")
        version = alarm.version + 1 if stood else alarm.version
        after = Alarm(occurrence=alarm.occurrence, version=version)
        if stood:
            self.watched[name] = ended(self._plant, name, alarm)
            event = AlarmEvent(name, Change.ENDED, alarm.state, State.ENDED, turn.now, after)
            turn.events.append(event)
        if after != alarm:
            self._keep(name, after, NORMAL)

    def _change_rule(self, watched: Watched, turn: _Turn) -> None:
        alarm = self._facts[watched.name]
        if alarm.rule == watched.rest.rule:
            return
        same = rule_of(alarm.rule) == rule_of(watched.rest.rule)
        stands = alarm.state is not State.NORMAL and not same
        version = alarm.version + 1 if stands else alarm.version
        after = alarm._replace(rule=watched.rest.rule, version=version)
        if stands:
            state = after.state
            event = AlarmEvent(watched.name, Change.CHANGED, state, state, turn.now, after)
            turn.events.append(event)
        self._keep(watched.name, after, watched.rest)


def _has_come(dated: Watched, now: Moment) -> bool | None:
    if dated.day is None or not isinstance(dated.rule, CalibrationDue):
        return None
    return is_due(dated.rule, dated.day, now.at)


def _outdated(alarm: Alarm, occurrence: int | None, version: int | None) -> Refusal | None:
    if occurrence is not None and occurrence != alarm.occurrence:
        return Refusal("stale", "the alarm has come anew since it was seen: look at it again")
    if version is not None and version != alarm.version:
        return Refusal("stale", "the alarm has changed since it was seen: look at it again")
    return None
