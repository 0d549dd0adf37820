"""Every alarm that can be: the plant's rules with their names and what messages say of them.

Three kinds of name, so that one cause is one alarm: ``gateway/_/line-{line}`` for a lost line,
``{equipment}/_/silent-{source}`` for a silent unit, ``{equipment}/{channel}/{rule}`` for a channel.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from config.plant import ChannelType, Equipment, Plant, Source
from config.rules import ChannelRule, High, Low, Priority, Rule, Silent
from drivers.reading import Value
from monitor.alarms.facts import Alarm

_RULE: TypeAdapter[Rule] = TypeAdapter(Annotated[Rule, Field(discriminator="kind")])

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
    worse: tuple[str, ...] = ()
    """Names of the worse levels of the same side, nearest first."""
    by_design: str = ""
    """What suppresses it by design just now: ``state:cleaning``, ``phase:harvest``, or nothing."""
    off: bool = False
    """Its limit is switched off just now: there is nothing to be beyond of."""
    states: Mapping[int, str] = _NO_NAMES
    """What False (0) and True (1) are called, where the channel is a state."""

    def told(self, value: Value | None) -> Value | None:
        """Return ``value`` as people are told it: a state by its name."""
        return self.states.get(int(value), value) if isinstance(value, bool) else value

    @property
    def priority(self) -> Priority:
        """How urgent the response is."""
        return self.rule.priority

    @property
    def limit(self) -> float | None:
        """The limit in the channel's unit; None for what has no level."""
        return self.rule.limit if isinstance(self.rule, High | Low) else None


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
        rest=Alarm(),
        equipment=equipment,
        area=known.area if known else "",
        kind=known.kind if known else "",
        channel=channel,
        rule_name=rule_name,
    )


def line_alarm(line: str) -> str:
    """Return the name of the alarm of a lost line."""
    return f"gateway/_/line-{line}"


def source_alarm(source: Source) -> str:
    """Return the name of the alarm of a silent unit."""
    return f"{source.equipment}/_/silent-{source.name}"


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
    return Watched(name, rule, Alarm(), "gateway", "", "gateway", "_", rule_name, line=line)


def _of_source(plant: Plant, source: Source) -> Iterator[Watched]:
    equipment = plant.by_name[source.equipment]
    yield Watched(
        name=source_alarm(source),
        rule=source.silent,
        rest=Alarm(),
        equipment=equipment.name,
        area=equipment.area,
        kind=equipment.kind,
        channel="_",
        rule_name=f"silent-{source.name}",
        line=source.line,
        source=source.index,
    )
    for index, channel in enumerate(source.channels):
        yield from ranked([_of_channel(equipment, source, index, rule) for rule in channel.rules])


def _of_channel(equipment: Equipment, source: Source, index: int, rule: ChannelRule) -> Watched:
    channel = source.channels[index]
    return Watched(
        name=f"{equipment.name}/{channel.name}/{rule.name}",
        rule=rule,
        rest=Alarm(),
        equipment=equipment.name,
        area=equipment.area,
        kind=equipment.kind,
        channel=channel.name,
        rule_name=rule.name,
        unit=channel.unit,
        line=source.line,
        source=source.index,
        channel_index=index,
        states=channel.names if channel.type is ChannelType.STATE else _NO_NAMES,
    )


def ranked(of_channel: Sequence[Watched]) -> list[Watched]:
    """Return the alarms of one channel, worse levels first, each with the names of the worse.

    In this order they are judged, so that the milder one knows whether it is spoken for.
    """
    levels = sorted(of_channel, key=lambda one: _rank(one.rule))
    return [one._replace(worse=tuple(_worse(one, levels))) for one in levels]


def _rank(rule: Rule) -> tuple[int, float]:
    """The side of a level (0, 1), and how far out it is (the smaller, the further)."""
    match rule:
        case High():
            return 0, -rule.limit
        case Low():
            return 1, rule.limit
        case _:
            return 2, 0.0


def _worse(one: Watched, levels: Sequence[Watched]) -> Iterator[str]:
    side, depth = _rank(one.rule)
    for other in reversed(levels):
        if _rank(other.rule)[0] == side and _rank(other.rule)[1] < depth:
            yield other.name
