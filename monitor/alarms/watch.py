"""Every alarm that can be: the plant's rules with their names and what messages say of them.

Three kinds of name, so that one cause is one alarm: ``gateway/_/line-{line}`` for a lost line,
``{equipment}/_/silent-{source}`` for a silent unit, ``{equipment}/{channel}/{rule}`` for a channel.
What is due of a unit's instrument is ``{equipment}/_/calibration-{source}``, and
``calibration-expired-{source}`` once it is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from config.plant import ChannelType, Equipment, Place, Plant, Source
from config.rulebook import silent_name
from config.rules import (
    CalibrationDue,
    ChannelRule,
    Deviation,
    Discrepancy,
    High,
    Low,
    Priority,
    Rate,
    Repeated,
    Rule,
    Silent,
    compared_with,
)
from drivers.reading import Value
from monitor.alarms.facts import NORMAL, Alarm
from monitor.alarms.verdict import tolerated

_RULE: TypeAdapter[Rule] = TypeAdapter(Annotated[Rule, Field(discriminator="kind")])

Sides = tuple[float | None, float | None]
"""How far out a level lies, upwards and downwards; None where it has none on that side."""
_NO_NAMES: Mapping[int, str] = MappingProxyType({})


class Watched(NamedTuple):
    """One rule at its place, and what is said of it to people."""

    name: str
    """``equipment/channel/rule``"""
    rule: Rule
    """As it holds just now: with the limits of the state and phase of its equipment."""
    rest: Alarm
    """The facts of an alarm of which nothing was ever told; shared by all under an equal rule. The
    rule that they name is that of the file, whatever state or phase it is."""
    equipment: str
    area: str
    kind: str
    channel: str
    """``_`` for a whole equipment."""
    rule_name: str
    unit: str = ""
    line: str = ""
    source: int | None = None
    """Index into ``Plant.sources``; None where no single source is watched."""
    channel_index: int | None = None
    """Index into ``Source.channels``."""
    compared: Place | None = None
    """The channel that it is compared with; None where there is none on this gateway."""
    day: date | None = None
    """When the calibration is due."""
    worse: tuple[str, ...] = ()
    """Names of the worse levels of the same side, nearest first."""
    by_design: str = ""
    """What suppresses it by design just now: ``state:cleaning``, ``phase:harvest``, or nothing."""
    off: bool = False
    """Its limit is switched off just now: there is nothing to be beyond of."""
    states: Mapping[int, str] = _NO_NAMES
    """What False (0) and True (1) are called, where the channel is a state."""
    test: bool = False
    """A rehearsal (``rehearsal.shadow``): nothing of it is real."""

    def told(self, value: Value | None) -> Value | None:
        """Return ``value`` as people are told it: a state by its name."""
        return self.states.get(int(value), value) if isinstance(value, bool) else value

    @property
    def priority(self) -> Priority:
        """How urgent the response is."""
        return self.rule.priority

    @property
    def limit(self) -> float | None:
        """What the peak is compared with, in the channel's unit; None for what has no level."""
        return self.limit_at(None)

    def limit_at(self, peak: float | None) -> float | None:
        """Return ``limit`` on the side of ``peak``, where there are two; signed as it is."""
        match self.rule:
            case High() | Low():
                return self.rule.limit
            case Deviation():
                return _on_side(peak, self.rule.above, self.rule.below)
            case Discrepancy():
                return self.rule.tolerance
            case Rate():
                return _on_side(peak, self.rule.rising, self.rule.falling)
            case Repeated():
                return self.rule.low if self.rule.high is None else self.rule.high
            case _:
                return None


def _on_side(peak: float | None, above: float | None, below: float | None) -> float | None:
    if below is not None and (above is None or (peak is not None and peak < 0)):
        return -below
    return above


def rule_text(rule: Rule) -> str:
    """Return ``rule`` as it is kept with the facts that were found under it."""
    return rule.model_dump_json()


def rule_of(text: str) -> Rule | None:
    """Return the rule that facts were found under; None where this release cannot read it."""
    try:
        return _RULE.validate_json(text)
    except ValidationError:
        return None


def ended(plant: Plant, name: str, alarm: Alarm) -> Watched:
    """Return what can still be said of an alarm whose rule is no longer in the file."""
    equipment, channel, rule_name = name.split("/")
    known = plant.by_name.get(equipment)
    return Watched(
        name=name,
        rule=rule_of(alarm.rule) or Silent(name="silent"),
        rest=NORMAL,
        equipment=equipment,
        area=known.area if known else "",
        kind=known.kind if known else "",
        channel=channel,
        rule_name=rule_name,
        test=rule_name.startswith("test-"),
    )


def line_alarm(line: str) -> str:
    """Return the name of the alarm of a lost line."""
    return f"gateway/_/line-{line}"


def source_alarm(source: Source) -> str:
    """Return the name of the alarm of a silent unit."""
    return f"{source.equipment}/_/{silent_name(source.name)}"


def watch(plant: Plant, gateway_rules: Mapping[str, Rule]) -> dict[str, Watched]:
    """Return every alarm of ``plant`` and of the gateway itself, by name."""
    rests: dict[str, Alarm] = {}
    own = {f"gateway/_/{name}": rule for name, rule in gateway_rules.items()}
    every = [_of_gateway(name, rule) for name, rule in own.items()]
    every += [_of_gateway(line_alarm(n), rule, n) for n, rule in plant.line_silent.items()]
    for source in plant.sources:
        every += _of_source(plant, source)
    return {watched.name: _rested(watched, rests) for watched in every}


def _rested(watched: Watched, rests: dict[str, Alarm]) -> Watched:
    text = rule_text(watched.rule)
    return watched._replace(rest=rests.setdefault(text, Alarm(rule=text)))


def _of_gateway(name: str, rule: Rule, line: str = "") -> Watched:
    rule_name = name.rpartition("/")[2]
    return Watched(name, rule, NORMAL, "gateway", "", "gateway", "_", rule_name, line=line)


def _of_source(plant: Plant, source: Source) -> Iterator[Watched]:
    equipment = plant.by_name[source.equipment]
    silent = Watched(
        name=source_alarm(source),
        rule=source.silent,
        rest=NORMAL,
        equipment=equipment.name,
        area=equipment.area,
        kind=equipment.kind,
        channel="_",
        rule_name=silent_name(source.name),
        line=source.line,
        source=source.index,
    )
    yield silent
    yield from ranked([_on_its_day(silent, source, rule) for rule in source.calibration])
    for index, channel in enumerate(source.channels):
        yield from ranked([_of_channel(plant, source, index, rule) for rule in channel.rules])


def _on_its_day(of_source: Watched, source: Source, rule: CalibrationDue) -> Watched:
    name = f"{of_source.equipment}/_/{rule.name}"
    day = source.calibration_due
    return of_source._replace(name=name, rule=rule, rule_name=rule.name, day=day)


def _of_channel(plant: Plant, source: Source, index: int, rule: ChannelRule) -> Watched:
    equipment, channel = plant.by_name[source.equipment], source.channels[index]
    return Watched(
        name=f"{equipment.name}/{channel.name}/{rule.name}",
        rule=rule,
        rest=NORMAL,
        equipment=equipment.name,
        area=equipment.area,
        kind=equipment.kind,
        channel=channel.name,
        rule_name=rule.name,
        unit=channel.unit,
        line=source.line,
        source=source.index,
        channel_index=index,
        compared=_compared(plant, equipment, rule),
        states=channel.names if channel.type is ChannelType.STATE else _NO_NAMES,
    )


def _compared(plant: Plant, equipment: Equipment, rule: ChannelRule) -> Place | None:
    name = compared_with(rule)
    for index in equipment.sources if name else ():
        for place, channel in enumerate(plant.sources[index].channels):
            if channel.name == name:
                return index, place
    return None


def ranked(of_channel: Sequence[Watched]) -> list[Watched]:
    """Return the alarms of one channel, worse levels first, each with the names of the worse.

    In this order they are judged, so that the milder one knows whether it is spoken for.
    """
    alike: dict[object, list[Watched]] = {}
    for one in of_channel:
        alike.setdefault(_measure(one.rule), []).append(one)
    apart = [alike.pop(measure, []) for measure in ("high", "low")]
    rest = alike.pop(None, [])
    return [one for group in (*apart, *alike.values()) for one in _levelled(group)] + rest


def _measure(rule: Rule) -> object:
    """What levels have in common of which a worse one speaks for a milder; None: no level."""
    match rule:
        case High() | Low() | CalibrationDue():
            return rule.kind
        case Deviation():
            return rule.kind, rule.setpoint
        case Discrepancy():
            return rule.kind, rule.against
        case Rate():
            return rule.kind, rule.window
        case _:
            return None


def _sides(rule: Rule) -> Sides:
    match rule:
        case High():
            return rule.limit, None
        case Low():
            return None, -rule.limit
        case Deviation() | Discrepancy():
            return tolerated(rule)
        case CalibrationDue():
            return -rule.ahead, None
        case Rate():
            return _per_second(rule.rising, rule.per), _per_second(rule.falling, rule.per)
        case _:
            return None, None


def _per_second(rate: float | None, per: int) -> float | None:
    return None if rate is None else rate * 10**9 / per


def _levelled(alike: Sequence[Watched]) -> list[Watched]:
    left, levels = [(one, _sides(one.rule)) for one in alike], []
    while left:
        # In a ring of which each is worse than the next on another side, none is the worst.
        worst = (one for one in left if not any(_is_worse(w, one[1]) for _, w in left))
        levels.append(next(worst, left[0]))
        left.remove(levels[-1])
    return [_above(one, tuple(_worse(sides, levels))) for one, sides in levels]


def _above(one: Watched, worse: tuple[str, ...]) -> Watched:
    """Return ``one`` with the names of the worse levels; itself where it has them: most are alone.

    There are tens of thousands.
    """
    return one if one.worse == worse else one._replace(worse=worse)


def _worse(sides: Sides, levels: Sequence[tuple[Watched, Sides]]) -> Iterator[str]:
    return (one.name for one, others in reversed(levels) if _is_worse(others, sides))


def _is_worse(one: Sides, other: Sides) -> bool:
    """Whether ``one`` is further out on each side that both of them have."""
    shared = [
        far > near
        for far, near in zip(one, other, strict=True)
        if far is not None and near is not None
    ]
    return bool(shared) and all(shared)
