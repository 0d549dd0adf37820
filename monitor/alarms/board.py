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

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple, assert_never

from config.plant import ChannelType, Place, Plant, Source
from config.rules import CalibrationDue, Flatline, OffNormal, Rule, Silent, Stale
from drivers.reading import Cause, Moment, Origin, Quality, Scan, Value
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
from monitor.alarms.inputs import STILL, Reference, Unchanged, patience
from monitor.alarms.rehearsal import is_shadow, shadow
from monitor.alarms.variants import place
from monitor.alarms.verdict import is_due
from monitor.alarms.watch import (
    Watched,
    ended,
    line_alarm,
    ranked,
    rule_of,
    source_alarm,
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
_LINE, _SOURCE, _OUTAGE = -1, -2, -3
_CAUSES = frozenset({_LINE, _SOURCE, _OUTAGE})
"""Stand in ``_Source.restless`` for what is no channel: the line's alarm, the source's, a gate."""


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


class _Source:
    """What one source's scans are held against."""

    __slots__ = (
        "at_ease", "awake", "channels", "gate", "highest", "index", "levels", "line", "looked_at",
        "lowest", "of_file", "patience", "pick", "places", "references", "remembers", "restless",
        "silent", "still", "timed", "times", "unchanged", "words",
    )  # fmt: skip

    def __init__(self, source: Source, watched: Mapping[str, Watched]) -> None:
        self.index = source.index
        self.line = watched[line_alarm(source.line)]
        self.silent = watched[source_alarm(source)]
        self.of_file: list[tuple[Watched, ...]] = [() for _ in source.channels]
        """The alarms of each channel, as the file has their rules."""
        self.channels: list[tuple[Watched, ...]] = [() for _ in source.channels]
        """The same as they are watched just now."""
        self.levels = _levels(source)
        """Indices of the channels that have a band, in the order of ``lowest`` and ``highest``."""
        self.places = {channel: place for place, channel in enumerate(self.levels)}
        self.pick = None if len(self.levels) == len(source.channels) else _pick(self.levels)
        self.lowest = [0.0] * len(self.levels)
        self.highest = [0.0] * len(self.levels)
        self.words: dict[int, Words] = {
            i: ANYTHING
            for i, c in enumerate(source.channels)
            if c.type is ChannelType.TEXT and any(isinstance(r, OffNormal) for r in c.rules)
        }
        """Where nothing changes of a text that a rule asks for, by the index of its channel."""
        self.timed = tuple(i for i, c in enumerate(source.channels) if _has_stale(c.rules))
        """Indices of the channels whose source time is watched."""
        self.times: list[int | None] = [None] * len(source.channels)
        self.still: list[Moment | None] = [None] * len(source.channels)
        """Since when a source time stands still; None while it moves."""
        self.patience = [_patience(source.period, channel.rules) for channel in source.channels]
        """How long (ns) it may do so before a rule is asked."""
        self.unchanged = _unchanged(source)
        """By channel: what has to change, where a rule asks for it."""
        self.references: list[Reference] = []
        """What others compare themselves with."""
        self.remembers = bool(self.timed or self.unchanged)
        """Whether a scan has to be held against those before it."""
        self.restless: set[int] = set()
        """Channels (and ``_CAUSES``) to be looked at on every scan."""
        self.awake: set[int] = set()
        """Channels of which some alarm is not at peace."""
        self.looked_at = False
        """Whether the last scan was looked at closely."""
        self.at_ease = not (self.words or self.remembers)
        """Whether its bands are all there is to a steady scan: no words, nothing to remember, and
        the last scan was steady too."""
        self.gate = ""
        """Name of the alarm that speaks for this source's channels."""


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
        """Indices of the sources of which some alarm is not at peace, or whose last scan was looked
        at closely."""
        self._plant = plant
        self._facts = {name: alarm for name, alarm in facts.items() if not alarm.at_rest}
        self._changed: dict[str, Alarm] = {}
        self._sources = [_Source(source, self.watched) for source in plant.sources]
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
            and (_inside(source, scan) if scan.spoke is None else _part_inside(source, scan))
            and (source.at_ease or _is_steady(source, scan))
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
            self._judge_awake(self._sources[index], _UNKNOWN, turn)
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

    def _after_steady(self, source: _Source, scan: Scan) -> None:
        """Do what is left to do when nothing changed, where the bands are not all there is."""
        if source.remembers and scan.origin is not Origin.LATE:
            _remember(source, scan)
        if source.looked_at:
            source.looked_at, source.at_ease = False, not (source.words or source.remembers)
            _mark(self.attentive, source.index, on=bool(source.awake))

    def _judge(self, source: _Source, scan: Scan) -> Sequence[AlarmEvent]:
        if scan.origin is Origin.LATE:
            return NOTHING  # It is history: it may not speak against what was read since.
        source.looked_at, source.at_ease = True, False
        self.attentive.add(source.index)
        turn = _Turn(scan.moment)
        if scan.cause is not Cause.NONE or not source.restless.isdisjoint(_CAUSES):
            self._judge_causes(source, scan.cause, turn)
        if scan.cause is not Cause.NONE:
            self._judge_awake(source, _UNKNOWN, turn)
        else:
            for channel in sorted(_touched(source, scan)):
                self._judge_channel(source, channel, _stimulus(source, scan, channel), turn)
            _remember(source, scan)
        return tuple(turn.events) if turn.events else NOTHING

    def _judge_causes(self, source: _Source, cause: Cause, turn: _Turn) -> None:
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
                self._advance_alone(source.silent, _UNKNOWN, turn, _line_gate(source))
            case _:
                assert_never(cause)
        _mark(source.restless, _OUTAGE, on=source.gate != "")

    def _let_speak(self, source: _Source, cause: Watched) -> None:
        """An alarm speaks for others once it is active; until then who spoke before still does."""
        if self.alarm(cause.name).active:
            source.gate = cause.name

    def _judge_awake(self, source: _Source, stimulus: Stimulus | None, turn: _Turn) -> None:
        """Let every alarm that is not at peace see what says nothing to all others."""
        for channel in sorted(source.awake):
            self._judge_channel(source, channel, stimulus, turn)

    def _judge_channel(
        self, source: _Source, channel: int, stimulus: Stimulus | None, turn: _Turn
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
            )
            judged = engine.step(watched.rule, gated, stimulus, turn.now)
        freed = engine.gate(watched.rule, judged, *gates)
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
            cause = _line_gate(self._sources[own.source]) if of_line else ""
            self._advance_alone(own, None, turn, cause)

    def _arrange(self, equipment: str, circumstances: Circumstances) -> list[tuple[_Source, int]]:
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

    def _hear_references(self, source: _Source, scan: Scan) -> None:
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
                    _mark(source.restless, _LINE, on=waits)
        elif watched.channel_index is None:
            _mark(self._sources[watched.source].restless, _SOURCE, on=waits)
        else:
            self._settle(self._sources[watched.source], watched.channel_index)

    def _settle(self, source: _Source, channel: int) -> None:
        """Find anew a channel's band, and whether it must be looked at on every scan."""
        waits = stirs = False
        rest = EVERYWHERE
        for one in source.channels[channel]:
            alarm = self._facts.get(one.name)
            if alarm is not None:  # One at rest waits for nothing.
                waits = waits or restless(one.rule, alarm)
                stirs = stirs or awake(alarm)
            other = None if one.compared is None else self._references[one.compared].value
            rest = narrower(rest, band(one.rule, alarm or one.rest, other))
        _mark(source.restless, channel, on=waits)
        _mark(source.awake, channel, on=stirs)
        if stirs:
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

    def _restore(self, source: _Source) -> None:
        """Derive from the facts all that is kept beside them to be quick."""
        for channel in range(len(source.channels)):
            self._settle(source, channel)
        for watched, mark in ((source.line, _LINE), (source.silent, _SOURCE)):
            waits = restless(watched.rule, self.alarm(watched.name))
            _mark(source.restless, mark, on=waits)
        own = [source.silent, *(one for channel in source.channels for one in channel)]
        gates = (self.alarm(one.name).suppressed_by for one in reversed(own))
        causes = source.line.name, source.silent.name
        source.gate = next((gate for gate in gates if gate in causes), "")
        _mark(source.restless, _OUTAGE, on=source.gate != "")

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


def _line_gate(source: _Source) -> str:
    """Name of the line's alarm while it is what speaks for the source."""
    return source.gate if source.gate == source.line.name else ""


def _has_come(dated: Watched, now: Moment) -> bool | None:
    if dated.day is None or not isinstance(dated.rule, CalibrationDue):
        return None
    return is_due(dated.rule, dated.day, now.at)


def _levels(source: Source) -> tuple[int, ...]:
    """Every channel that is no text may have a band; all of them when none is text: no picking."""
    return tuple(i for i, c in enumerate(source.channels) if c.type is not ChannelType.TEXT)


def _pick(places: Sequence[int]) -> Callable[[Sequence[Value | None]], Sequence[Value | None]]:
    match places:
        case []:
            return lambda _: ()
        case [only]:
            return lambda values: (values[only],)
        case _:
            return itemgetter(*places)


def _has_stale(rules: Sequence[Rule]) -> bool:
    return any(isinstance(rule, Stale) for rule in rules)


def _unchanged(source: Source) -> dict[int, Unchanged]:
    return {
        index: Unchanged(index, min(patience(source.period, rule) for rule in channel.rules))
        for index, channel in enumerate(source.channels)
        if any(isinstance(rule, Flatline) for rule in channel.rules)
    }


def _mark(marks: set[int], mark: int, *, on: bool) -> None:
    if on:
        marks.add(mark)
    else:
        marks.discard(mark)


def _patience(period: int, rules: Sequence[Rule]) -> int:
    """A rule that is itself less patient is asked as soon as it may raise."""
    delays = [rule.on_delay for rule in rules if isinstance(rule, Stale)]
    return min([STILL * period, *delays])


def _inside(source: _Source, scan: Scan) -> bool:
    """Whether every value of a whole scan without a fault lies in its band."""
    values = scan.values if source.pick is None else source.pick(scan.values)
    for value, lowest, highest in zip(values, source.lowest, source.highest, strict=False):
        if not lowest <= value <= highest:  # type: ignore[operator]  # without a fault each is a number
            return False
    return True


def _part_inside(source: _Source, scan: Scan) -> bool:
    """Whether every value that a scan without a fault brings lies in its band."""
    values, places, lowest, highest = scan.values, source.places, source.lowest, source.highest
    for channel in scan.spoke or ():
        place = places.get(channel)
        if place is not None and not lowest[place] <= values[channel] <= highest[place]:  # type: ignore[operator]  # no text has a place
            return False
    return True


def _touched(source: _Source, scan: Scan) -> set[int]:
    """The channels of which something may change: all others are steady."""
    touched = source.restless - _CAUSES
    touched.update(scan.faults)
    values = scan.values if source.pick is None else source.pick(scan.values)
    place = 0
    for value, lowest, highest in zip(values, source.lowest, source.highest, strict=True):
        if value is not None and not lowest <= value <= highest:  # type: ignore[operator]  # no text is picked
            touched.add(source.levels[place])
        place += 1  # noqa: SIM113 - enumerate would make a tuple for each of all channels
    touched.update(c for c in source.words if _stirs(source, scan, c))
    if source.remembers:
        touched.update(c for c in source.timed if _stands_still(source, scan, c))
        touched.update(c for c, one in source.unchanged.items() if one.lasting(scan))
    return touched


def _is_steady(source: _Source, scan: Scan) -> bool:
    """Whether no word says anything new, and nothing has stood still for too long."""
    return not (
        (source.words and _any_word_stirs(source, scan))
        or (source.remembers and _any_stands_still(source, scan))
    )


def _any_word_stirs(source: _Source, scan: Scan) -> bool:
    return any(_stirs(source, scan, channel) for channel in source.words)


def _stirs(source: _Source, scan: Scan, channel: int) -> bool:
    """Whether a text says what changes something."""
    word = scan.values[channel]
    return word is not None and not source.words[channel].has(word)


def _any_stands_still(source: _Source, scan: Scan) -> bool:
    return any(_stands_still(source, scan, channel) for channel in source.timed) or any(
        one.lasting(scan) for one in source.unchanged.values()
    )


def _stands_still(source: _Source, scan: Scan, channel: int) -> bool:
    """Whether the channel's source time has been the same for so long that a rule is asked."""
    time = scan.source_times.get(channel)
    if time is None or time != source.times[channel]:
        return False
    since = source.still[channel]
    return scan.boot - (scan.boot if since is None else since.boot) >= source.patience[channel]


def _remember(source: _Source, scan: Scan) -> None:
    """Keep what the next scan is held against."""
    for one in source.unchanged.values():
        one.remember(scan)
    if source.timed:
        _remember_times(source, scan)


def _remember_times(source: _Source, scan: Scan) -> None:
    """Keep the source times of good readings, to see with the next whether they moved."""
    for channel in source.timed:
        time = scan.source_times.get(channel)
        fault = scan.faults.get(channel)
        if time is None or (fault is not None and fault.quality is Quality.BAD):
            continue
        if time != source.times[channel]:
            source.times[channel], source.still[channel] = time, None
        elif source.still[channel] is None:
            source.still[channel] = scan.moment


def _stimulus(source: _Source, scan: Scan, channel: int) -> Observation | Elapsed:
    if scan.spoke is not None and channel not in scan.spoke:
        return Elapsed()
    fault = scan.faults.get(channel)
    time, previous, still = scan.source_times.get(channel), source.times[channel], None
    if time is not None and time == previous:
        still = source.still[channel]
        previous = time if _stands_still(source, scan, channel) else None
    quality, reason = (Quality.GOOD, None) if fault is None else fault
    unchanged = source.unchanged.get(channel)
    return Observation(
        value=scan.values[channel],
        quality=quality,
        reason=reason,
        source_time=time,
        previous_time=previous,
        still_since=still,
        unchanged_since=unchanged.lasting(scan) if unchanged else None,
    )


def _outdated(alarm: Alarm, occurrence: int | None, version: int | None) -> Refusal | None:
    if occurrence is not None and occurrence != alarm.occurrence:
        return Refusal("stale", "the alarm has come anew since it was seen: look at it again")
    if version is not None and version != alarm.version:
        return Refusal("stale", "the alarm has changed since it was seen: look at it again")
    return None
