"""The alarm rules once more, written from the documents alone, to hold the engine against.

The sources are docs/alarms.md, docs/limits.md and the decisions 0004 and 0012; nothing here was
taken from the engine. It is judged reading by reading in the plainest way: no bands, no shortcuts,
one timer for each thing that has one. Times are seconds of elapsed time, counted over restarts.
Where the documents are silent a comment says so, and the engine's answer is taken over.
"""

from dataclasses import dataclass, field

from config.plant import Plant, Source
from config.rules import (
    ChannelRule,
    Deviation,
    Discrepancy,
    Escalation,
    Flatline,
    High,
    Low,
    OffNormal,
    Priority,
    Repeated,
    Silent,
    StatusBits,
    Unreadable,
)
from drivers.reading import Cause, Quality, Reading, Reason, Scan
from monitor.alarms.facts import (
    Acknowledge,
    Act,
    Change,
    Circumstances,
    Confirm,
    RemoveFromService,
    Reset,
    ReturnToService,
    Shelve,
    State,
    Unshelve,
)

SECOND = 10**9
LONGEST_REMOVAL = 30 * 86_400
PRIORITIES = [Priority.LOW, Priority.MEDIUM, Priority.HIGH, Priority.CRITICAL]


@dataclass(frozen=True)
class Told:
    """One event as the model expects it."""

    change: Change
    before: State
    after: State
    occurrence: int
    version: int
    annunciated: bool

    def __repr__(self) -> str:
        loud = "" if self.annunciated else ", silently"
        number = f"occurrence {self.occurrence}, version {self.version}"
        return f"<{self.change}: {self.before} to {self.after}, {number}{loud}>"


@dataclass
class DocumentedAlarm:
    """One alarm of the documents: what is the matter, what is owed, and who silences it."""

    rule: ChannelRule | Silent
    active: bool = False
    holds_since: int | None = None
    inside_since: int | None = None
    began: int | None = None
    raised: int | None = None
    occurrence: int = 0
    owes_acknowledgement: bool = False
    owes_confirmation: bool = False
    owes_reset: bool = False
    acknowledged_at: int | None = None
    re_alarms: int = 0
    asked_since: int | None = None
    escalations: int = 0
    shelved_until: int | None = None
    one_shot: bool = False
    shot: bool = False
    out_until: int | None = None
    cause: str = ""
    design: str = ""
    worse: str = ""
    version: int = 0
    told: list[Told] = field(default_factory=list)

    @property
    def suppressed_by(self) -> str:
        """Where both do, the cause is named."""
        return self.cause or self.design

    @property
    def silenced(self) -> bool:
        return bool(self.shelved_until or self.out_until or self.suppressed_by)

    @property
    def owing(self) -> bool:
        return self.owes_acknowledgement or self.owes_confirmation or self.owes_reset

    @property
    def underneath(self) -> State:
        seen = not self.owes_acknowledgement
        if self.active:
            return State.ACKNOWLEDGED if seen else State.UNACKNOWLEDGED
        if self.owes_reset:
            return State.LATCHED_ACKNOWLEDGED if seen else State.LATCHED_UNACKNOWLEDGED
        if not seen:
            return State.RETURNED
        return State.UNCONFIRMED if self.owes_confirmation else State.NORMAL

    @property
    def state(self) -> State:
        if self.out_until:
            return State.OUT_OF_SERVICE
        if self.shelved_until:
            return State.SHELVED
        if self.underneath is not State.NORMAL and (self.suppressed_by or self.worse):
            return State.SUPPRESSED
        return self.underneath

    @property
    def asks(self) -> bool:
        """Whether people are told of it, and asked to acknowledge it."""
        return self.owes_acknowledgement and not self.silenced and not self.worse

    @property
    def steps(self) -> list[Escalation]:
        said = self.rule.escalate
        return [said] if isinstance(said, Escalation) else list(said)

    @property
    def priority(self) -> Priority:
        """What it has escalated to; without ``to`` the one above, and critical stays."""
        level = PRIORITIES.index(self.rule.priority)
        for step in self.steps[: self.escalations]:
            level = max(level, PRIORITIES.index(step.to)) if step.to else min(level + 1, 3)
        return PRIORITIES[level]

    @property
    def speaks(self) -> bool:
        """A worse level that was silenced on purpose supersedes nobody."""
        return self.active and not (self.shelved_until or self.out_until or self.design)

    def _tell(self, change: Change, before: State) -> None:
        self.version += 1
        unsaid = before is State.SUPPRESSED and self.state is State.NORMAL
        # A normal alarm that is suppressed stays normal: it bears no name, and is told as it is.
        normal = self.state is State.NORMAL
        annunciated = normal or not (self.silenced or self.worse)
        self.told.append(
            Told(
                change,
                before,
                self.state,
                self.occurrence,
                self.version,
                annunciated and not unsaid,
            )
        )

    def _ask(self) -> None:
        self.owes_acknowledgement = True
        self.owes_confirmation = self.rule.confirm
        self.owes_reset = self.rule.latching
        self.acknowledged_at = None

    def judge(self, holds: bool | None, now: int, *, on_delay: int) -> None:
        """Take what a scan says: the condition holds, is gone, or nothing can be said of it."""
        if not self.active:
            if holds is False:
                self.holds_since = None
            elif holds:
                self.holds_since = now if self.holds_since is None else self.holds_since
                if now - self.holds_since >= on_delay:
                    self._raise(now)
        elif holds is False:
            self.inside_since = now if self.inside_since is None else self.inside_since
            if now - self.inside_since >= self.rule.off_delay // SECOND:
                self._return()
        else:
            self.inside_since = None

    def _raise(self, now: int) -> None:
        before, again = self.state, self.owing
        self.active, self.occurrence = True, self.occurrence + 1
        self.began, self.raised, self.holds_since = self.holds_since, now, None
        self.re_alarms = 0
        if not self.silenced:
            self._ask()
        self._tell(Change.RAISED_AGAIN if again else Change.RAISED, before)

    def _return(self) -> None:
        before = self.state
        self.active, self.inside_since, self.acknowledged_at = False, None, None
        self._tell(Change.RETURNED if self.owing else Change.CLEARED, before)
        self.shot = self.one_shot

    def end_what_is_over(self, now: int) -> None:
        """A shelf or removal whose time is over, or a shelf that was for this return alone."""
        if self.shot or (self.shelved_until and now >= self.shelved_until):
            self._unshelve()
        if self.out_until and now >= self.out_until:
            self._return_to_service()

    def ask_again(self, now: int) -> None:
        """Where it is still active so long after its acknowledgement, and people are told of it."""
        if not self.active or self.silenced or self.worse or self.acknowledged_at is None:
            return
        if self.rule.re_alarm and now - self.acknowledged_at >= self.rule.re_alarm // SECOND:
            before = self.state
            self.owes_acknowledgement, self.acknowledged_at = True, None
            self.re_alarms += 1
            self._tell(Change.RE_ALARMED, before)

    def escalate(self, now: int) -> None:
        """Where nobody has acknowledged it for so long, while it is active or latched."""
        latched = self.owes_reset and not self.active
        if not self.asks or self.asked_since is None or not (self.active or latched):
            return
        asked = (now - self.asked_since) * SECOND
        due = len([step for step in self.steps if asked >= step.after])
        if due > self.escalations:
            before, self.escalations = self.state, due
            self._tell(Change.ESCALATED, before)

    def count_on(self, now: int) -> None:
        """Its time runs while people are asked without a break."""
        if not self.asks:
            self.asked_since = None
        elif self.asked_since is None:
            self.asked_since = now

    def _heard(self) -> None:
        """The last silence has ended: what still holds is annunciated anew."""
        if self.active and not self.silenced:
            self._ask()

    def _unshelve(self) -> None:
        before = self.state
        self.shelved_until, self.one_shot, self.shot = None, False, False
        self._heard()
        self._tell(Change.UNSHELVED, before)

    def _return_to_service(self) -> None:
        before = self.state
        self.out_until = None
        self._heard()
        self._tell(Change.RETURNED_TO_SERVICE, before)

    def gate(
        self, *, cause: str | None = None, design: str | None = None, worse: str | None = None
    ) -> None:
        """Let others speak for it, or no longer; None leaves that one as it is."""
        before, names, silenced = self.state, (self.suppressed_by, self.worse), self.silenced
        self.cause = self.cause if cause is None else cause
        self.design = self.design if design is None else design
        self.worse = self.worse if worse is None else worse
        if names == (self.suppressed_by, self.worse):
            return
        if silenced:
            self._heard()
        if self.underneath is not State.NORMAL:
            spoken_for = self.suppressed_by or self.worse
            self._tell(Change.SUPPRESSED if spoken_for else Change.UNSUPPRESSED, before)

    def may(self, act: Act) -> bool:  # noqa: PLR0911 - one arm for each act
        match act:
            case Acknowledge():
                return self.owes_acknowledgement
            case Confirm():
                return self.owes_confirmation and not self.owes_acknowledgement
            case Reset():
                return self.owes_reset and not self.active and not self.owes_acknowledgement
            case Shelve(duration):
                return self.rule.shelvable and duration <= self.rule.longest_shelf
            case Unshelve():
                return self.shelved_until is not None
            case RemoveFromService(duration):
                return duration <= LONGEST_REMOVAL * SECOND
            case ReturnToService():
                return self.out_until is not None

    def do(self, act: Act, now: int) -> None:
        before = self.state
        match act:
            case Acknowledge():
                self.owes_acknowledgement, self.escalations = False, 0
                self.acknowledged_at = now if self.active else None
                self._tell(Change.ACKNOWLEDGED, before)
            case Confirm():
                self.owes_confirmation = False
                self._tell(Change.CONFIRMED, before)
            case Reset():
                self.owes_reset = False
                self._tell(Change.RESET, before)
            case Shelve(duration, one_shot):
                shelf = now + duration // SECOND, one_shot
                if shelf != (self.shelved_until, self.one_shot):  # Else there is nothing to tell.
                    self.shelved_until, self.one_shot = shelf
                    self._tell(Change.SHELVED, before)
            case Unshelve():
                self._unshelve()
            case RemoveFromService(duration):
                end = now + duration // SECOND
                if end != self.out_until:
                    self.out_until = end
                    self._tell(Change.REMOVED_FROM_SERVICE, before)
            case ReturnToService():
                self._return_to_service()


@dataclass(frozen=True)
class InEffect:
    """What of a limit holds in a state and phase."""

    limit: float
    deadband: float
    on_delay: int
    off: str = ""


def in_effect(rule: High | Low, here: Circumstances) -> InEffect:
    """The first line under ``when`` that fits holds; what it leaves out stays as it is."""
    usual = InEffect(rule.limit, rule.deadband, rule.on_delay // SECOND)
    for line in rule.when:
        if line.states and here.state not in line.states:
            continue
        if line.phases and here.phase not in line.phases:
            continue
        if line.off:
            # By a state it is switched off for no longer than the state may suppress.
            if line.states:
                return InEffect(
                    usual.limit,
                    usual.deadband,
                    usual.on_delay,
                    f"state:{here.state}" if here.suppresses else "",
                )
            return InEffect(usual.limit, usual.deadband, usual.on_delay, f"phase:{here.phase}")
        return InEffect(
            usual.limit if line.limit is None else line.limit,
            usual.deadband if line.deadband is None else line.deadband,
            usual.on_delay if line.on_delay is None else line.on_delay // SECOND,
        )
    return usual


def usable(reading: Reading) -> bool:
    """A value that the device repeats from before counts as a bad one."""
    return reading.quality is not Quality.BAD and reading.reason is not Reason.LAST_USABLE


@dataclass
class Heard:
    """What a channel said last, and what is remembered of earlier readings."""

    reading: Reading | None = None
    at: int = 0
    lost: bool = False
    standing: object = None
    standing_since: int = 0
    seen: int = 0


@dataclass
class Documented:
    """All alarms of a plant with one equipment, as the documents have them."""

    plant: Plant
    alarms: dict[str, DocumentedAlarm] = field(default_factory=dict)
    here: Circumstances = field(default_factory=Circumstances)
    heard: dict[str, Heard] = field(default_factory=dict)
    last_cause: dict[int, Cause] = field(default_factory=dict)
    last: dict[str, list[bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line, silent in self.plant.line_silent.items():
            self.alarms[line_alarm(line)] = DocumentedAlarm(silent)
        for source in self.plant.sources:
            self.alarms[source_alarm(source)] = DocumentedAlarm(source.silent)
            for channel in source.channels:
                self.heard[channel.name] = Heard()
                for rule in channel.rules:
                    self.alarms[f"{source.equipment}/{channel.name}/{rule.name}"] = DocumentedAlarm(
                        rule
                    )

    def observe(self, scan: Scan, now: int) -> None:
        """Judge one scan at ``now``; the late ones are history."""
        source = self.plant.sources[scan.source]
        line, silent = line_alarm(source.line), source_alarm(source)
        self.last_cause[source.index] = scan.cause
        holds = {Cause.LINE: True, Cause.UNKNOWN: None}.get(scan.cause, False)
        self._judge(line, holds, now, on_delay=delay(self.alarms[line].rule))
        holds = {Cause.SOURCE: True, Cause.NONE: False}.get(scan.cause)
        cause = self._speaks_for_source(scan.cause, line)
        self._judge(silent, holds, now, on_delay=delay(source.silent), cause=cause)
        cause = self._speaks_for_channels(scan.cause, line, silent)
        self._remember(source, scan, now)
        for name, index, rule in self._of(source):
            spoke = scan.cause is Cause.NONE
            holds = self._holds(name, rule, scan.reading(index), now) if spoke else None
            self._judge(name, holds, now, on_delay=self._delay(rule), cause=cause)
        self._count_on(now)

    def _speaks_for_source(self, cause: Cause, line: str) -> str | None:
        """Who speaks for a source's own alarm; empty: nobody any longer; None: whoever did so far.

        That the unit is silent says that the line is well, also while the line's own alarm waits
        for its off-delay: the documents leave that open, and the unit is alarmed itself.
        """
        if cause in {Cause.LINE, Cause.UNKNOWN} and self.alarms[line].active:
            return line
        return "" if cause in {Cause.NONE, Cause.SOURCE} else None

    def _speaks_for_channels(self, cause: Cause, line: str, silent: str) -> str | None:
        if cause in {Cause.LINE, Cause.UNKNOWN} and self.alarms[line].active:
            return line
        if cause is Cause.SOURCE and self.alarms[silent].active:
            return silent
        return "" if cause is Cause.NONE else None

    def _judge(
        self, name: str, holds: bool | None, now: int, *, on_delay: int, cause: str | None = None
    ) -> None:
        """Who begins to speak for an alarm does so before the reading is judged, who ceases after.

        A cause is written only into alarms that are not normal. Where the state speaks on for one
        whose cause is over, no document says when the name changes: it is before the reading. Nor
        is it said when in a scan a shelf ends (at last), and when an alarm asks again (so that one
        of which a worse level has just ceased to speak waits for the next scan).
        """
        alarm = self.alarms[name]
        before, was = cause or None, alarm.active
        if alarm.underneath is State.NORMAL or (cause == "" and alarm.design):
            before = ""
        alarm.gate(cause=before, worse=self._worse(name) or None)
        alarm.judge(holds, now, on_delay=on_delay)
        # The first reading of a flatline's value is when its condition began.
        if isinstance(alarm.rule, Flatline) and alarm.raised == now:
            alarm.began = self.heard[name.split("/")[1]].standing_since
        alarm.ask_again(now)
        if alarm.active is was:  # Else the raise or return is told first.
            alarm.escalate(now)
        alarm.gate(cause="" if cause == "" else None, worse=self._worse(name))
        alarm.end_what_is_over(now)

    def _of(self, source: Source) -> list[tuple[str, int, ChannelRule]]:
        """By name, channel and rule, the worse levels before the milder ones."""
        found = [
            (f"{source.equipment}/{channel.name}/{rule.name}", index, rule)
            for index, channel in enumerate(source.channels)
            for rule in channel.rules
        ]
        return sorted(found, key=lambda one: one[0] in WORSE)

    def _worse(self, name: str) -> str:
        """The worse level that speaks for the alarm ``name`` just now."""
        worse = WORSE.get(name, "")
        return worse if worse and self.alarms[worse].speaks else ""

    def _supersede(self) -> None:
        for milder in WORSE:
            self.alarms[milder].gate(worse=self._worse(milder))

    def _delay(self, rule: ChannelRule) -> int:
        if isinstance(rule, High | Low):
            return in_effect(rule, self.here).on_delay
        return delay(rule)

    def _remember(self, source: Source, scan: Scan, now: int) -> None:
        for index, channel in enumerate(source.channels):
            heard = self.heard[channel.name]
            heard.lost = scan.cause is not Cause.NONE
            heard.reading, heard.at = scan.reading(index), now

    def _holds(self, name: str, rule: ChannelRule, reading: Reading, now: int) -> bool | None:
        if isinstance(rule, Unreadable):
            return not usable(reading)
        if isinstance(rule, Flatline):
            return self._stands(name, rule, reading, now)
        if not usable(reading):
            return None
        holds = self._beyond(name, rule, reading, now)
        return None if reading.quality is Quality.UNCERTAIN and not holds else holds

    def _beyond(self, name: str, rule: ChannelRule, reading: Reading, now: int) -> bool | None:  # noqa: PLR0911 - one arm for each rule
        value, active = reading.value, self.alarms[name].active
        if isinstance(rule, OffNormal):
            assert isinstance(value, bool | str)
            return value in rule.off_normal if rule.off_normal else value not in rule.normal
        assert isinstance(value, int | float)
        match rule:
            case High():
                now_here = in_effect(rule, self.here)
                return past(value - now_here.limit, 0, now_here.deadband, active=active)
            case Low():
                now_here = in_effect(rule, self.here)
                return past(now_here.limit - value, 0, now_here.deadband, active=active)
            case Deviation():
                return self._deviates(rule, value, now, active=active)
            case StatusBits():
                return any(int(value) >> bit & 1 for bit in rule.bits)
            case Repeated():
                return self._repeats(name, rule, value, reading.quality)
            case Discrepancy():
                return self._differs(rule, value, now, active=active)
            case _:
                raise NotImplementedError(rule)

    def _deviates(self, rule: Deviation, value: float, now: int, *, active: bool) -> bool | None:
        setpoint = self._other(rule.setpoint, now)
        if setpoint is None:
            return None
        difference, far = value - number(setpoint), False
        if rule.above is not None:
            far = past(difference, rule.above, rule.deadband, active=active)
        if rule.below is not None and not far:
            far = past(-difference, rule.below, rule.deadband, active=active)
        return None if setpoint.quality is Quality.UNCERTAIN and not far else far

    def _differs(self, rule: Discrepancy, value: float, now: int, *, active: bool) -> bool | None:
        probe = self._other(rule.against, now)
        if probe is None:
            return None
        far = past(abs(value - number(probe)), rule.tolerance, rule.deadband, active=active)
        return None if probe.quality is Quality.UNCERTAIN and not far else far

    def _other(self, channel: str, now: int) -> Reading | None:
        """The newest of a set-point or second probe, for three of its periods."""
        heard = self.heard[channel]
        old = now - heard.at > 3 * self._period(channel)
        if heard.reading is None or heard.lost or old or not usable(heard.reading):
            return None
        return heard.reading

    def _stands(self, name: str, rule: Flatline, reading: Reading, now: int) -> bool | None:
        """Whether the value was the same to its last digit for as long as the rule says."""
        heard = self.heard[name.split("/")[1]]
        if not usable(reading):
            return None
        good = reading.quality is Quality.GOOD
        if heard.standing is None or (good and reading.value != heard.standing):
            heard.standing, heard.standing_since = reading.value, now
        if reading.value != heard.standing:
            return None
        heard.seen = now
        stands = now - heard.standing_since >= (rule.flatline + rule.on_delay) // SECOND
        return stands if good or stands else None

    def _period(self, channel: str) -> int:
        for source in self.plant.sources:
            if any(one.name == channel for one in source.channels):
                return source.period // SECOND
        raise LookupError(channel)

    def _repeats(self, name: str, rule: Repeated, value: float, quality: Quality) -> bool:
        beyond = value > rule.high if rule.high is not None else value < (rule.low or 0)
        last = self.last.setdefault(name, [])
        if beyond or quality is Quality.GOOD:
            last.append(beyond)
        del last[: -rule.of]
        return sum(last) >= rule.x

    def place(self, here: Circumstances, now: int) -> None:
        """The equipment is in another state or phase."""
        self.here = here
        suppression = self.plant.suppression.get(here.state)
        for source in self.plant.sources:
            everything = suppression and here.suppresses and suppression.covers("_", source.silent)
            design = f"state:{here.state}" if everything else ""
            self.alarms[source_alarm(source)].gate(design=design)
            for name, index, rule in self._of(source):
                channel = source.channels[index].name
                off = in_effect(rule, here).off if isinstance(rule, High | Low) else ""
                covered = suppression and here.suppresses and suppression.covers(channel, rule)
                # Where a phase switches off what the state suppresses, no document says which of
                # the two is named: the one that switches off is.
                by_state = f"state:{here.state}" if covered else ""
                self.alarms[name].gate(design=off or by_state, worse=self._worse(name))
        self._count_on(now)

    def act(self, name: str, act: Act, now: int) -> bool:
        """Do what an operator asks; False where it may not be done."""
        if not self.alarms[name].may(act):
            return False
        self.alarms[name].do(act, now)
        self._supersede()
        self._count_on(now)
        return True

    def missed(self, now: int) -> None:
        """Nobody looked for a while: missing data, as bad readings are."""
        for source in self.plant.sources:
            for name in (source_alarm(source), *(name for name, _, _ in self._of(source))):
                self.alarms[name].judge(None, now, on_delay=0)
                self.alarms[name].ask_again(now)
                self.alarms[name].escalate(now)
                self.alarms[name].end_what_is_over(now)
        self._supersede()
        self._count_on(now)

    def _count_on(self, now: int) -> None:
        for alarm in self.alarms.values():
            alarm.count_on(now)

    def restart(self) -> None:
        """What was said in the last three periods is forgotten, and a set-point asked for again."""
        for name, heard in self.heard.items():
            heard.reading = None
            if heard.seen - heard.standing_since < 3 * self._period(name):
                heard.standing = None

    def take_told(self) -> dict[str, list[Told]]:
        told = {name: alarm.told for name, alarm in self.alarms.items() if alarm.told}
        for alarm in self.alarms.values():
            alarm.told = []
        return told


def delay(rule: ChannelRule | Silent) -> int:
    """How long its condition has to hold; a flatline's is added to the flatline itself."""
    return 0 if isinstance(rule, Flatline) else rule.on_delay // SECOND


def number(reading: Reading) -> float:
    assert isinstance(reading.value, int | float)
    return reading.value


def past(excess: float, limit: float, deadband: float, *, active: bool) -> bool:
    """Strictly beyond the limit; an active alarm is back only when closer by the deadband."""
    return excess >= limit - deadband if active else excess > limit


WORSE = {"incubator-1/temperature/high": "incubator-1/temperature/high-high"}
"""By the milder level, the worse one of its side."""


def line_alarm(line: str) -> str:
    return f"gateway/_/line-{line}"


def source_alarm(source: Source) -> str:
    return f"{source.equipment}/_/silent-{source.name}"
