"""The rehearsal of an alarm: its shadow, and what is made up for it to judge. Pure.

The shadow is the same rule under a name of its own (``test-`` before the rule's), with facts of its
own. It stands beside the real alarm: neither speaks for the other, nothing suppresses it, and no
reading of a device reaches it.
What it is told goes through the same engine as any reading: something beyond the limit for as long
as it is to be raised, then something inside.
"""

from collections.abc import Mapping
from math import ceil, floor, isfinite
from types import MappingProxyType
from typing import NamedTuple, assert_never

from config.plant import ChannelType
from config.rules import (
    CalibrationDue,
    Deviation,
    Discrepancy,
    Flatline,
    High,
    Low,
    OffNormal,
    Rate,
    Repeated,
    Rule,
    Silent,
    Stale,
    StatusBits,
    Unreadable,
)
from drivers.reading import Fault, Moment, Quality, Reason, Value
from monitor.alarms.facts import Alarm, Condition, Observation, Refusal
from monitor.alarms.verdict import Verdict, verdict
from monitor.alarms.watch import Watched

PREFIX = "test-"
"""Before the name of a rule: that of its shadow. ``config`` keeps it from the rules of a site."""
LONGEST_NAME = 63
"""Of a rule, in a topic."""
SECOND = 10**9
QUICKEST = SECOND // 10
"""Between two made-up readings (ns), where a rule does not ask for more of them."""
PARTS = 8
"""Readings in the window of a rate."""
STEEPER = 2
"""Times the allowed rate."""

Said = Observation | Condition
_NO_NAMES: Mapping[int, str] = MappingProxyType({})
_UNUSABLE = Fault(Quality.BAD, Reason.DEVICE_STATUS)


class Known(NamedTuple):
    """What is known of a channel just now: what is made up for it has to suit it."""

    type: ChannelType | None = None
    """None where no channel is watched: a line, a unit, the gateway."""
    names: Mapping[int, str] = _NO_NAMES
    period: int = SECOND
    value: Value | None = None
    """What it said last, where that can be used."""
    other: float | None = None
    """What the channel that it is compared with said last, where that can be used."""


class Script(NamedTuple):
    """What a shadow is told in the course of a rehearsal."""

    rule: Rule
    begun: Moment
    beyond: Value | None
    """None where there is no value to be told: the thing itself is so or not so."""
    inside: Value | None
    other: float | None = None
    pace: int = SECOND
    """Between two readings (ns)."""
    whole: bool = False
    """Whether its values are whole numbers."""

    def say(self, now: Moment, turned: Moment | None) -> Said:
        """Return what is said at ``now``; ``turned`` is when it was to come back, None: not yet."""
        match self.rule:
            case Silent() | CalibrationDue():
                return Condition(turned is None)
            case Unreadable() if turned is None:
                return Observation(None, *_UNUSABLE)
            case Stale():
                return self._timed(now, turned)
            case Flatline() if turned is None:
                return Observation(self.beyond, Quality.GOOD, unchanged_since=self.begun)
            case Rate():
                return Observation(self._on_the_way(turned or now), Quality.GOOD)
            case _:
                value = self.beyond if turned is None else self.inside
                return Observation(value, Quality.GOOD, other=self.other)

    def _timed(self, now: Moment, turned: Moment | None) -> Observation:
        """A source time that stands still since the beginning, or moves again."""
        time, since = (self.begun.at, self.begun) if turned is None else (now.at, None)
        return Observation(
            self.inside,
            Quality.GOOD,
            source_time=time,
            previous_time=self.begun.at,
            still_since=since,
        )

    def _on_the_way(self, now: Moment) -> Value | None:
        """A value that changes too fast, up to ``now``."""
        if not isinstance(self.rule, Rate) or not isinstance(self.beyond, float | int):
            return None
        steps = (now.boot - self.begun.boot) / self.rule.per
        value = self.beyond + STEEPER * _steepest(self.rule) * steps
        return round(value) if self.whole else value

    @property
    def raised_within(self) -> tuple[int, int]:
        """The time (ns) after which it is raised at the earliest, and at the latest."""
        rule, delay = self.rule, self.rule.on_delay
        match rule:
            case Flatline():
                return delay + rule.flatline, delay + rule.flatline
            case Rate():
                return delay, delay + rule.window
            case Repeated():
                return delay, delay + rule.x * self.pace
            case _:
                return delay, delay

    @property
    def returned_within(self) -> tuple[int, int]:
        """The same of its return, after what is said is inside again."""
        rule, delay = self.rule, self.rule.off_delay
        match rule:
            case Rate():
                return delay, delay + rule.window
            case Repeated():
                return delay, delay + (rule.of - rule.x + 1) * self.pace
            case _:
                return delay, delay


def shadow_name(name: str) -> str:
    """Return the name of the shadow of the alarm ``name``."""
    place, _, rule = name.rpartition("/")
    return f"{place}/{PREFIX}{rule}"


def real_name(shadow: str) -> str:
    """Return the name of the alarm of which ``shadow`` is the shadow."""
    place, _, rule = shadow.rpartition("/")
    return f"{place}/{rule.removeprefix(PREFIX)}"


def is_shadow(name: str) -> bool:
    """Whether an alarm of that name is a shadow."""
    return name.rpartition("/")[2].startswith(PREFIX)


def shadow(watched: Watched) -> Watched:
    """Return the shadow of an alarm as it is watched just now, with its limits of this instant.

    It asks for one acknowledgement and for no second one, at no other priority, and cannot be
    shelved.
    """
    once = {"re_alarm": None, "escalate": (), "shelvable": False}
    rule = watched.rule.model_copy(update=once)
    return watched._replace(
        name=shadow_name(watched.name),
        rule=rule,
        rest=Alarm(rule=rule.model_dump_json()),
        rule_name=f"{PREFIX}{watched.rule_name}",
        source=None,
        channel_index=None,
        compared=None,
        worse=(),
        by_design="",
        off=False,
        test=True,
    )


def write(watched: Watched, known: Known, begun: Moment) -> Script | Refusal:
    """Return what to tell the shadow of ``watched``, or why nothing can honestly be made up."""
    if len(PREFIX + watched.rule_name) > LONGEST_NAME:
        most = LONGEST_NAME - len(PREFIX)
        return Refusal("not_testable", f"a rule that is tested has a name of {most} letters")
    rule, whole = watched.rule, known.type is ChannelType.COUNTER
    made = _made_up(rule, known)
    if isinstance(made, Refusal):
        return made
    pace = _pace(rule, known.period)
    script = Script(rule, begun, made[0], made[1], _beside(rule, known), pace, whole)
    return script if _says_so(script) else _REFUSED


def _says_so(script: Script) -> bool:
    """Whether the rule takes what is made up as beyond, and as inside; what looks back may not."""
    if isinstance(script.rule, Rate | Repeated):
        return True
    out, back = script.say(script.begun, None), script.say(_later(script.begun), script.begun)
    kept = Alarm(active=True, standing=script.beyond, source_time=script.begun.at)
    return (
        verdict(script.rule, Alarm(), out) is Verdict.BEYOND
        and verdict(script.rule, kept, back) is Verdict.CLEAR
    )


def _later(moment: Moment) -> Moment:
    return Moment(moment.at + SECOND, moment.boot + SECOND)


_REFUSED = Refusal(
    "not_testable", "no value that the channel can have is beyond this limit, and another inside it"
)
_NO_REFERENCE = "what it is compared with cannot be read just now: it could not be raised"

Made = tuple[Value | None, Value | None]
"""A value beyond, and one inside."""


def _made_up(rule: Rule, known: Known) -> Made | Refusal:  # noqa: PLR0911 - an arm for each kind
    match rule:
        case Silent() | CalibrationDue():
            return None, None
        case Unreadable() | Stale():
            return None, _some(known)
        case High() | Low():
            return _around(rule.limit, rule.deadband, known, up=isinstance(rule, High))
        case Repeated():
            limit = rule.low if rule.high is None else rule.high
            return _around(limit or 0.0, 0.0, known, up=rule.high is not None)
        case Deviation() | Discrepancy():
            return _apart(rule, known)
        case Rate():
            value = _some(known)
            return value, value
        case Flatline():
            value = _some(known)
            return value, _other_than(value)
        case StatusBits():
            return 1 << rule.bits[0], 0
        case OffNormal():
            return _states(rule, known)
        case _:
            assert_never(rule)


def _around(limit: float, deadband: float, known: Known, *, up: bool) -> Made | Refusal:
    """Values on both sides of a limit, no nearer to it than they have to be."""
    side = 1 if up else -1
    step = side * max(deadband, abs(limit) / 100, 0.0 if limit else 1.0)
    out, back = limit + step, limit - side * deadband - step
    if not (isfinite(out) and isfinite(back)):
        return _REFUSED
    return _suiting(out, known, up=up), _suiting(back, known, up=not up)


def _apart(rule: Deviation | Discrepancy, known: Known) -> Made | Refusal:
    """Values far from, and as, what the channel is compared with says just now."""
    if known.other is None:
        return Refusal("not_testable", _NO_REFERENCE)
    if isinstance(rule, Discrepancy):
        distance = rule.tolerance
    else:
        distance = rule.above if rule.above is not None else -(rule.below or 0.0)
    up, back = distance >= 0, _suiting(known.other, known, up=True)
    return _suiting(known.other + 1.5 * distance, known, up=up), back


def _states(rule: OffNormal, known: Known) -> Made | Refusal:
    """States of the channel that are off-normal and normal; a free word where it has no names."""
    if known.type is ChannelType.STATE:
        every: list[bool | str] = [False, True]
    else:
        every = [*rule.off_normal, *rule.normal, *known.names.values()]
        every += [] if known.names else ["test"]
    off = [state for state in every if rule.is_off(state)]
    normal = [state for state in every if not rule.is_off(state)]
    return (off[0], normal[0]) if off and normal else _REFUSED


def _suiting(value: float, known: Known, *, up: bool) -> float:
    """Return ``value`` as the channel can say it; a whole number the next one outwards."""
    if known.type is ChannelType.COUNTER:
        return ceil(value) if up else floor(value)
    return float(f"{value:.9g}")


def _some(known: Known) -> Value:
    """Return a value that the channel may well have: its last one."""
    if known.value is not None:
        return known.value
    match known.type:
        case ChannelType.TEXT:
            return next(iter(known.names.values()), "test")
        case ChannelType.STATE:
            return False
        case ChannelType.COUNTER:
            return 0
        case _:
            return 0.0


def _other_than(value: Value) -> Value:
    match value:
        case bool():
            return not value
        case str():
            return f"{value} test"
        case int():
            return value + 1 if value < 2**62 else value - 1
        case _:
            return value + max(1.0, abs(value) / 100)


def _beside(rule: Rule, known: Known) -> float | None:
    return known.other if isinstance(rule, Deviation | Discrepancy) else None


def _pace(rule: Rule, period: int) -> int:
    """As often as its source is read, but once a second at least; a rate needs a full window."""
    pace = min(max(period, QUICKEST), SECOND)
    return min(pace, rule.window // PARTS) if isinstance(rule, Rate) else pace


def _steepest(rule: Rate) -> float:
    """The allowed rate, down with a minus."""
    return rule.rising if rule.rising is not None else -(rule.falling or 0.0)
