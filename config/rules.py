"""The rules: what may not happen on a channel, a source or a line.

A rule is data only; what it means is decided in ``monitor.alarms``.
To add a rule: a class here, a member of ``Rule``, and the arm that mypy then asks for there.
"""

import re
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema

from config.model import NANOSECONDS, Duration, Flag, Id, Model, Real, Whole, between

SECOND = 10**9

Interval = Annotated[Duration, between(SECOND, 366 * NANOSECONDS["d"])]
"""A time that may not be nothing (ns)."""


class Priority(StrEnum):
    """How urgent the response is: consequence times the time left to respond (ISA-18.2)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def severity(self) -> int:
        """The OPC UA severity (1 to 1000) that stands for this priority on the wire."""
        return {"low": 200, "medium": 500, "high": 800, "critical": 950}[self.value]

    @property
    def above(self) -> "Priority":
        """The next higher one; of the highest, itself."""
        every = list(Priority)
        return every[min(every.index(self) + 1, len(every) - 1)]


class EquipmentState(StrEnum):
    """What an equipment is doing: which of its alarms are of interest hangs on it."""

    IN_USE = "in_use"
    """It holds cells or product; what is not known counts as this."""
    IDLE = "idle"
    """Clean and released, and empty."""
    CLEANING = "cleaning"
    """Cleaned, sterilised or decontaminated."""
    WARMING_UP = "warming_up"
    """On the way back to its set-points."""
    MAINTENANCE = "maintenance"
    """Maintained, calibrated, qualified or mapped."""
    OUT_OF_SERVICE = "out_of_service"
    QUARANTINED = "quarantined"
    """To be emptied and cleaned, or failed."""


class When(Model):
    """What of a limit is different in some states or phases of its equipment.

    It fits when the state is one of ``states`` (none named: any) and the phase one of ``phases``
    (likewise). Of several that fit, the first one holds.
    """

    states: tuple[EquipmentState, ...] = ()
    phases: tuple[str, ...] = ()
    """Words of the equipment's phase channel."""
    limit: Real | None = None
    """In place of the rule's ``high`` or ``low``, in the same unit."""
    deadband: Annotated[Real, Field(ge=0)] | None = None
    on_delay: Duration | None = None
    off: Flag = False
    """The rule does not hold there: its alarm is suppressed by design."""
    longest: Interval = 24 * 3600 * SECOND
    """For how long (ns) a phase switches it off at most, whatever the phase still is; where only
    ``states`` are named, it is for as long as the state may suppress."""

    def fits(self, state: EquipmentState | None, phase: str | None) -> bool:
        """Whether it speaks of ``state`` and ``phase``; None is one that nothing speaks of."""
        return (not self.states or state in self.states) and (
            not self.phases or phase in self.phases
        )


class Escalation(Model):
    """An alarm that nobody has acknowledged for ``after`` is told anew, at a higher priority."""

    after: Interval
    """Since it asks to be acknowledged (ns)."""
    to: Priority | None = None
    """At least this; None: the one above."""


def _form_of_steps(value: Any) -> str:  # noqa: ANN401 - pydantic hands over whatever the file holds
    return "steps" if isinstance(value, list | tuple) else "a step"


Escalate = Annotated[
    Annotated[Escalation, Tag("a step")] | Annotated[tuple[Escalation, ...], Tag("steps")],
    Discriminator(_form_of_steps),
]
"""One step, or several of which each waits longer; an empty list is none."""


def steps_of(escalate: Escalate) -> tuple[Escalation, ...]:
    """The steps of what is written as one step or as several."""
    return (escalate,) if isinstance(escalate, Escalation) else escalate


class _Rule(Model):
    name: Id
    alarm_class: Id | None = Field(None, alias="class")
    """Name of the class that it belongs to; ``resolve`` has laid what the class says under it."""
    priority: Priority = Priority.MEDIUM
    on_delay: Duration = 0
    """How long the condition must hold before the alarm is raised (ns)."""
    off_delay: Duration = 0
    """How long the condition must be gone before the alarm returns (ns)."""
    latching: Flag = False
    """Whether the alarm stays after its return until an operator resets it."""
    response: str = ""
    """What the operator is to do."""
    consequence: str = ""
    """What it comes to if nobody does."""
    time_to_respond: Duration | None = None
    """How long there is to do it before the consequence (ns)."""
    delay_justification: str = ""
    """Why the delays do no harm: EU GMP Annex 1 asks for it."""
    re_alarm: Interval | None = None
    """How long after its acknowledgement an alarm that still is active asks for another (ns)."""
    escalate: Escalate = ()
    """When it becomes more urgent, where nobody acknowledges it."""
    confirm: Flag = False
    """Whether an operator has to confirm, after the acknowledgement, that something was done."""
    reason_required: Flag = True
    """Whether an act on it needs a reason."""
    shelvable: Flag = True
    longest_shelf: Duration = 24 * 3600 * SECOND
    """The longest that it can be shelved (ns)."""
    roles: tuple[str, ...] = ()
    """Who may act on it, beside being allowed the act itself; none named: all of these."""

    @property
    def steps(self) -> tuple[Escalation, ...]:
        """The steps of escalation, in their order."""
        return steps_of(self.escalate)

    def priority_after(self, escalations: int) -> Priority:
        """The priority after so many steps; one that was higher already stays what it was."""
        priority = self.priority
        for step in self.steps[:escalations]:
            priority = max(priority, step.to or priority.above, key=lambda each: each.severity)
        return priority


class High(_Rule):
    """The value is above ``limit`` (strictly); it is back when below ``limit - deadband``."""

    kind: Literal["high"] = "high"
    name: Id = "high"
    limit: Real = Field(alias="high")
    deadband: Annotated[Real, Field(ge=0)] = 0.0
    when: tuple[When, ...] = ()


class Low(_Rule):
    """The value is below ``limit`` (strictly); it is back when above ``limit + deadband``."""

    kind: Literal["low"] = "low"
    name: Id = "low"
    limit: Real = Field(alias="low")
    deadband: Annotated[Real, Field(ge=0)] = 0.0
    when: tuple[When, ...] = ()


class OffNormal(_Rule):
    """The channel is in one of the states ``off_normal``, or in none of the states ``normal``.

    Exactly one of the two is given: ``True`` and ``False`` for a channel of type ``STATE``, words
    for a ``TEXT``. It is back with the first good reading of any other state.
    """

    kind: Literal["off_normal"] = "off_normal"
    name: Id = "off-normal"
    off_normal: tuple[bool | str, ...] = ()
    normal: tuple[bool | str, ...] = ()

    def is_off(self, state: float | str) -> bool:
        """Whether ``state`` is off-normal."""
        return state in self.off_normal if self.off_normal else state not in self.normal


class Deviation(_Rule):
    """The value is further than ``above`` over or ``below`` under a set-point (both strictly).

    It is back when closer than that by ``deadband``. Either of the two may be left out, not both.
    While the set-point cannot be used, nothing can be said.
    """

    kind: Literal["deviation"] = "deviation"
    name: Id = "deviation"
    setpoint: Id
    """A channel of the same equipment, in the same unit."""
    above: Annotated[Real, Field(gt=0)] | None = None
    below: Annotated[Real, Field(gt=0)] | None = None
    deadband: Annotated[Real, Field(ge=0)] = 0.0


class Discrepancy(_Rule):
    """The value and that of another channel of the same quantity differ by more than ``tolerance``.

    Strictly; back when by less than ``tolerance - deadband``. A control probe against an
    independent one: which of the two is wrong, nobody knows.
    """

    kind: Literal["discrepancy"] = "discrepancy"
    name: Id = "discrepancy"
    against: Id
    """A channel of the same equipment, in the same unit."""
    tolerance: Annotated[Real, Field(gt=0)]
    deadband: Annotated[Real, Field(ge=0)] = 0.0


class Rate(_Rule):
    """Over ``window`` the value rises faster than ``rising``, or falls faster than ``falling``.

    Both are positive and in the channel's unit per ``per``; either may be left out, not both. The
    rate is the slope of the least-squares line through the readings of the window; nothing is said
    until they cover it. It is back when slower by a tenth.
    """

    kind: Literal["rate"] = "rate"
    name: Id = "rate"
    rising: Annotated[Real, Field(gt=0)] | None = None
    falling: Annotated[Real, Field(gt=0)] | None = None
    per: Interval = 60 * SECOND
    window: Duration


class Flatline(_Rule):
    """The value has not changed at all for ``flatline``: the sensor is frozen.

    What the device says, to its last digit; back with the first other value.
    """

    kind: Literal["flatline"] = "flatline"
    name: Id = "flatline"
    flatline: Duration


class Repeated(_Rule):
    """``x`` of the last ``of`` usable readings lie beyond a limit (EU GMP Annex 1: trend).

    Exactly one of ``high`` and ``low`` is given. It is back when fewer than ``x`` do.
    """

    kind: Literal["repeated"] = "repeated"
    name: Id = "repeated"
    x: Annotated[Whole, Field(ge=1)]
    of: Annotated[Whole, Field(ge=2, le=1000)]
    high: Real | None = None
    low: Real | None = None


class StatusBits(_Rule):
    """One of the bits ``bits`` of a counter channel is set (0 is the least significant)."""

    kind: Literal["status_bits"] = "status_bits"
    name: Id = "status"
    bits: Annotated[tuple[Annotated[Whole, Field(ge=0, le=62)], ...], Field(min_length=1)]


class CalibrationDue(_Rule):
    """The calibration of a source's instrument is due within ``ahead``, or was due.

    Of the whole source, as ``Silent`` is. On by default wherever ``calibration_due`` is given: once
    30 days ahead (low), and once on the day itself (medium), which then stands in for the first.
    """

    kind: Literal["calibration_due"] = "calibration_due"
    priority: Priority = Priority.LOW
    ahead: Duration = 30 * 86_400 * SECOND


class Unreadable(_Rule):
    """The channel gave no usable reading for ``on_delay``, for a reason of its own.

    On by default on every channel, with three periods but at least a minute.
    Readings lost to a silent unit or a lost line belong to that unit's or line's ``Silent``.
    """

    kind: Literal["unreadable"] = "unreadable"
    name: Id = "unreadable"


class Stale(_Rule):
    """Readings arrive and are good, but their source time stands still for ``on_delay``.

    On by default, with ten minutes, where the catalogue calls the channel noisy and it has a source
    time (decision 0009); elsewhere where a limit set asks for it.
    """

    kind: Literal["stale"] = "stale"
    name: Id = "stale"


class Silent(_Rule):
    """A whole source (unit) or a whole line does not answer; the cause that others hang on."""

    kind: Literal["silent"] = "silent"
    priority: Priority = Priority.HIGH


ChannelRule = (
    High
    | Low
    | OffNormal
    | Deviation
    | Discrepancy
    | StatusBits
    | Flatline
    | Rate
    | Repeated
    | Unreadable
    | Stale
)
Rule = ChannelRule | Silent | CalibrationDue


class AlarmClass(Model):
    """What the alarms of one class have in common; what a rule itself says comes first."""

    priority: Priority | None = None
    latching: Flag | None = None
    re_alarm: Interval | None = None
    escalate: Escalate | None = None
    confirm: Flag | None = None
    reason_required: Flag | None = None
    shelvable: Flag | None = None
    longest_shelf: Interval | None = None
    roles: tuple[Id, ...] | None = None

    def given(self) -> dict[str, Any]:
        """What is said at all, ready to be laid over a rule's own values, or under them."""
        return {name: value for name, value in self if value is not None}


class RuleSetting(AlarmClass):
    """What a site says about a rule that is on by default; what it leaves out stays as it was."""

    alarm_class: Id | None = Field(None, alias="class")
    on_delay: Duration | None = None
    off_delay: Duration | None = None
    response: str | None = None
    consequence: str | None = None
    time_to_respond: Duration | None = None
    delay_justification: str | None = None


_OF_INSTRUMENTS = (Unreadable, Stale, Silent, Flatline, CalibrationDue)
"""The rules by which an instrument is known to work."""

_PATTERN = r"^[a-z0-9_*?-]{1,63}(/[a-z0-9_*?-]{1,63})?$"


def _pattern(text: str) -> str:
    if not re.fullmatch(_PATTERN, text, re.ASCII):
        raise ValueError("should be a channel, or channel/rule, with * and ? where any will do")
    return text


Pattern = Annotated[
    str, AfterValidator(_pattern), WithJsonSchema({"type": "string", "pattern": _PATTERN})
]
"""``channel/rule`` with ``*`` and ``?``, or a channel alone; see ``Suppression``."""


class Suppression(Model):
    """Which alarms a state of the equipment suppresses by design, and for how long at most.

    A pattern's part after the slash fits a rule by its name, by its kind (``off_normal``), or by
    its side: ``*/low`` is every rule that only looks below something, whatever it is called. The
    channel of an alarm of the whole equipment is ``_``.
    """

    suppress: tuple[Pattern, ...] = ()
    """Patterns of ``channel/rule`` (``*`` and ``?``); one without a slash is a channel. The rules
    by which an instrument is known to work (unreadable, stale, silent, flatline, calibration_due)
    only where a pattern names the rule without ``*`` and ``?``, or is ``*``."""
    longest: Duration
    """After this (ns) they are annunciated again, whatever the state still is."""

    def covers(self, channel: str, rule: Rule) -> bool:
        """Whether the alarm of ``rule`` on ``channel`` (``_``: the whole equipment) is among them.

        Nothing is remembered here: to be asked when a state begins, not at each reading.
        """
        return any(covered(pattern, channel, rule) for pattern in self.suppress)


def covered(pattern: str, channel: str, rule: Rule) -> bool:
    """Whether ``pattern`` (see ``Suppression``) means the alarm of ``rule`` on ``channel``."""
    if pattern == "*":
        return True
    of_channel, _, of_rule = pattern.partition("/")
    if isinstance(rule, _OF_INSTRUMENTS) and (not of_rule or set("*?") & set(of_rule)):
        return False
    return fnmatchcase(channel, of_channel) and any(
        fnmatchcase(word, of_rule or "*") for word in (rule.name, rule.kind, side_of(rule))
    )


def compared_with(rule: Model) -> str | None:
    """The other channel that ``rule`` holds its own against; None where there is none."""
    match rule:
        case Deviation():
            return rule.setpoint
        case Discrepancy():
            return rule.against
        case _:
            return None


def side_of(rule: Rule) -> Literal["high", "low", ""]:
    """The one side on which ``rule`` has a limit; empty where it has both or none."""
    match rule:
        case High() | Deviation(below=None) | Repeated(low=None):
            return "high"
        case Low() | Deviation(above=None) | Repeated():
            return "low"
        case _:
            return ""
