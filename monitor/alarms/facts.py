"""What is known of one alarm, the state that it amounts to, and what can happen to it.

Facts, not a table of states: each is independent of the others, the ISA-18.2 state is read off
them, and an event is the difference between two states.
Durations run on ``Moment.boot``; ``Moment.at`` is for the record.
"""

from enum import StrEnum
from typing import NamedTuple

from config.rules import EquipmentState
from drivers.reading import Moment, Quality, Reason, Value


class State(StrEnum):
    """The ISA-18.2 state (letters as in its figure 3), for people and on the wire."""

    NORMAL = "normal"
    """A"""
    UNACKNOWLEDGED = "unacknowledged"
    """B: active, not acknowledged"""
    ACKNOWLEDGED = "acknowledged"
    """C: active, acknowledged"""
    RETURNED = "returned"
    """D: returned to normal, not acknowledged"""
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    """E: returned, waiting for acknowledgement and reset"""
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    """F: returned and acknowledged, waiting for reset"""
    UNCONFIRMED = "unconfirmed"
    """returned and acknowledged, but nobody confirmed yet that something was done"""
    SHELVED = "shelved"
    """G"""
    SUPPRESSED = "suppressed"
    """H: by design: a cause, a state of the equipment or a worse level speaks for it"""
    OUT_OF_SERVICE = "out_of_service"
    """I"""
    ENDED = "ended"
    """Its rule is no longer in the file: the last thing ever told of it."""


class Change(StrEnum):
    """What happened: the word of an event."""

    RAISED = "raised"
    RAISED_AGAIN = "raised_again"
    """another occurrence, while an earlier one was still owed an acknowledgement or reset"""
    RETURNED = "returned"
    """the condition is gone, a debt (acknowledge, reset) is left"""
    CLEARED = "cleared"
    """the alarm is normal again"""
    ACKNOWLEDGED = "acknowledged"
    CONFIRMED = "confirmed"
    RE_ALARMED = "re_alarmed"
    """still active so long after its acknowledgement that it asks for another"""
    ESCALATED = "escalated"
    """nobody has acknowledged it in its time: it is told anew, at a higher priority"""
    RESET = "reset"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    REMOVED_FROM_SERVICE = "removed_from_service"
    RETURNED_TO_SERVICE = "returned_to_service"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    CHANGED = "changed"
    """its rule changed in a reload while the alarm was not normal"""
    ENDED = "ended"
    """its rule is gone while the alarm was not normal"""


class Pending(NamedTuple):
    """A condition that holds, while its on-delay runs: it becomes an occurrence when it is due."""

    since: Moment
    """The first scan at which the condition held."""
    peak: float | None = None
    """The worst value, difference or rate so far; None for what has no levels."""
    peak_at: int | None = None
    """Record time of the peak (ns, UTC)."""
    doubtful: bool = False
    """The last reading could not be used: time counts on, but only a usable one may raise."""
    state: Value | None = None
    """The last value beyond, where that is not the peak: an off-normal state, a status word."""


class Sample(NamedTuple):
    """One reading that a rule looks back on."""

    boot: int
    """Elapsed time of its scan (``Moment.boot``)."""
    value: float
    doubtful: bool = False


class Alarm(NamedTuple):
    """Where one alarm stands."""

    condition: bool = False
    """What the last usable reading said, before any delay (the deadband is applied)."""
    pending: Pending | None = None
    """While not active: the condition whose on-delay runs. While active, of a flatline that has
    moved: the value that stands anew, until it has for long enough to be the condition again."""
    condition_start: Moment | None = None
    """The scan at which the condition of the current or last occurrence began."""
    inside_since: Moment | None = None
    """While active: since when the readings are back inside, for the off-delay."""
    active: bool = False
    alarm_time: Moment | None = None
    """The scan that decided to raise the current or last occurrence."""
    acknowledged: bool = True
    latched: bool = False
    """Returned, but held until reset."""
    confirmed: bool = True
    """False from a raise until an operator confirms, where the rule asks for it."""
    acknowledged_at: int | None = None
    """Elapsed time of the acknowledgement, while acknowledged and active: re-alarm counts on it."""
    re_alarms: int = 0
    """How often the current or last occurrence has asked anew."""
    unacknowledged_since: int | None = None
    """Elapsed time since when people are asked to acknowledge it, without a break: escalation
    counts on it. None while it is acknowledged, or nobody is told of it."""
    escalations: int = 0
    """How many steps of its escalation it has taken; an acknowledgement takes them back."""
    shelved_until: int | None = None
    """Elapsed time (``Moment.boot``) at which the shelf ends."""
    one_shot: bool = False
    """The shelf ends with the return of the condition too."""
    out_of_service_until: int | None = None
    """Elapsed time at which it is back in service."""
    suppressed_by: str = ""
    """Who speaks for this one: the name of the alarm that is the cause, or ``state:`` and the state
    of the equipment that suppresses it by design."""
    superseded_by: str = ""
    """Name of the worse level of the same side, while it is active."""
    occurrence: int = 0
    """Counts occurrences of this alarm; the number of the current or last one."""
    peak: float | None = None
    """The worst value, difference or rate of the current occurrence."""
    peak_at: int | None = None
    """Record time of the peak (ns, UTC)."""
    value: Value | None = None
    """The last usable value when the alarm last changed state."""
    other: float | None = None
    """What ``value``, or the peak if that came later, was compared with."""
    version: int = 0
    """Counts the events of this alarm; an act that names an older version is stale."""
    source_time: int | None = None
    """Of a stale channel: the source time that stands still (ns, UTC)."""
    standing: Value | None = None
    """Of a channel that does not change: the value at which it stands."""
    samples: tuple[Sample, ...] = ()
    """Of a rule that looks back (rate, repeated): what it has to know of earlier readings, the
    oldest first."""
    rule: str = ""
    """The rule that these facts were found under, as JSON: a restart sees by it what changed."""
    bridged: bool = False
    """The machine was started anew since: the wall clock stood in for elapsed time meanwhile."""

    @property
    def at_rest(self) -> bool:
        """Nothing was ever told of it and nothing is under way: nothing of it need be kept."""
        return self.version == 0 and self.pending is None and not self.samples

    @property
    def annunciated(self) -> bool:
        """Whether people are to be told: silenced by nobody, and no worse level is active."""
        return not self.silenced and not self.superseded_by

    @property
    def silenced(self) -> bool:
        """Whether it is out of service, shelved or suppressed: any of the three, or all."""
        return (
            self.shelved_until is not None
            or self.suppressed_by != ""
            or self.out_of_service_until is not None
        )

    @property
    def asks(self) -> bool:
        """Whether people are asked to acknowledge it."""
        return not self.acknowledged and self.annunciated

    @property
    def unheard(self) -> bool:
        """Whether it was raised while silenced and never annunciated since: nobody was asked."""
        asked = not self.acknowledged or self.acknowledged_at is not None
        return self.active and self.silenced and not asked

    @property
    def unsuppressed_state(self) -> State:
        """The state underneath shelving, suppression and removal from service."""
        if self.active:
            return State.ACKNOWLEDGED if self.acknowledged else State.UNACKNOWLEDGED
        match self.latched, self.acknowledged, self.confirmed:
            case True, False, _:
                return State.LATCHED_UNACKNOWLEDGED
            case True, True, _:
                return State.LATCHED_ACKNOWLEDGED
            case False, False, _:
                return State.RETURNED
            case False, True, False:
                return State.UNCONFIRMED
            case _:
                return State.NORMAL

    @property
    def state(self) -> State:
        """The ISA-18.2 state that these facts amount to.

        Of several that silence it, the one with the most weight behind it is named: out of service
        (under administrative control) before shelved (by an operator) before suppressed (by design,
        or by a worse level). The flags themselves are told beside it.
        A normal alarm that a cause or a worse level speaks for stays normal: there is nothing to
        tell of it, and an outage of a line is one alarm and not one per channel.
        """
        if self.out_of_service_until is not None:
            return State.OUT_OF_SERVICE
        if self.shelved_until is not None:
            return State.SHELVED
        underneath = self.unsuppressed_state
        if underneath is not State.NORMAL and (self.suppressed_by or self.superseded_by):
            return State.SUPPRESSED
        return underneath


NORMAL = Alarm()
"""Shared by every alarm of which nothing has ever been told."""


class Acknowledge(NamedTuple):
    """An operator has seen the alarm."""


class Reset(NamedTuple):
    """An operator ends a latched alarm."""


class Confirm(NamedTuple):
    """An operator has done something about it."""


class Shelve(NamedTuple):
    """An operator silences the alarm for a time."""

    duration: int
    """Nanoseconds of elapsed time."""
    one_shot: bool = False
    """Or until the condition returns, whichever comes first."""


class Unshelve(NamedTuple):
    """An operator ends a shelf early."""


class RemoveFromService(NamedTuple):
    """The alarm is removed under administrative control, for a time."""

    duration: int
    """Nanoseconds of elapsed time."""


class ReturnToService(NamedTuple):
    """The alarm is back before its time."""


Act = Acknowledge | Confirm | Reset | Shelve | Unshelve | RemoveFromService | ReturnToService


class Observation(NamedTuple):
    """What one scan says to one rule."""

    value: Value | None
    quality: Quality
    reason: Reason | None = None
    source_time: int | None = None
    previous_time: int | None = None
    """The source time of the reading before this one, where it is remembered."""
    still_since: Moment | None = None
    """When the source time was first seen to be the same as before; None: with this reading."""
    unchanged_since: Moment | None = None
    """Since when the value has been what it is, where that is long enough to ask a rule."""
    rate: float | None = None
    """How fast the value rises, as a rule that looks back has found."""
    other: float | None = None
    """What the channel says that the rule compares with (set-point, second probe), or None where
    that cannot be used just now."""


class Circumstances(NamedTuple):
    """What of an equipment its alarms depend on."""

    state: EquipmentState = EquipmentState.IN_USE
    phase: str = ""
    """Empty where none is known."""
    suppresses: bool = True
    """Whether the state suppresses still, or has done so for as long as it may."""
    phase_suppresses: bool = True
    """Likewise of the phase."""


class Elapsed(NamedTuple):
    """Time has passed and nothing new was said: what is due falls due."""


class Condition(NamedTuple):
    """What is known of a thing that is simply so or not so: a silent unit, a lost line."""

    holds: bool | None
    """None: nothing can be said of it just now, as with a bad reading."""


Stimulus = Observation | Condition | Elapsed | Act


class AlarmEvent(NamedTuple):
    """One transition of one alarm: the difference between two states."""

    name: str
    """``equipment/channel/rule``; ``_`` stands for the channel of a whole equipment."""
    change: Change
    before: State
    after: State
    now: Moment
    """Of the scan or act that decided."""
    alarm: Alarm
    """The facts after it."""

    @property
    def annunciated(self) -> bool:
        """Whether people are to be told; what becomes normal while suppressed is not news."""
        unsaid = self.before is State.SUPPRESSED and self.after is State.NORMAL
        return self.alarm.annunciated and not unsaid


class Refusal(NamedTuple):
    """Why an act was not done: a word for programs and a sentence for people."""

    word: str
    """unknown_alarm, stale, illegal_transition, already_done, not_shelvable, too_long, forbidden"""
    text: str
