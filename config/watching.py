"""Whether rules can do what they are for: be raised, be cleared, and find their channel."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from config.catalogue import Entry
from config.channels import ChannelSpec
from config.levels import level_findings
from config.limits import LimitSet, OffNormalEntry, RuleEntry, StaleEntry, as_rule
from config.meaning import NUMBERS, limits_of
from config.nodes import NodeSpec
from config.plant import ChannelType
from config.problems import Finding, Path, did_you_mean
from config.resolve import specs_of
from config.rules import High, Low, RuleSetting
from config.salvage import Draft
from config.sources import EquipmentSpec
from config.units import UnitError
from config.wiring import Wiring


def set_findings(rules: Sequence[RuleEntry]) -> Iterator[Finding]:
    """What is wrong with the rules of one channel among themselves.

    Paths are relative to the channel.
    """
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        name = as_rule(rule).name
        if name in seen:
            yield Finding((index,), f"rule {name!r} is there twice")
        seen.add(name)
        if isinstance(rule, OffNormalEntry) and rule.off_normal and rule.normal:
            yield Finding(
                (index, "normal"), "normal and off_normal are two ways to say it: give one"
            )
    yield from level_findings([as_rule(entry) for entry in rules])


def watch_findings(draft: Draft, wiring: Wiring) -> Iterator[Finding]:
    """What is wrong between limit sets and the channels that they watch."""
    anywhere = {channel for entries in wiring.kinds.values() for channel in entries}
    for name, saved in draft.limits.items():
        for channel in saved.value.keys() - anywhere:
            text = f"no kind has a channel {channel!r}{did_you_mean(channel, anywhere)}"
            yield Finding(("limits", name, channel), text, at_key=True)
    yield from _timeless(draft, wiring)
    seen: dict[tuple[object, ...], tuple[Finding, ...]] = {}
    for index, each in draft.equipment.items():
        equipment = each.value
        limits = draft.limits.get(equipment.limits or "")
        if limits is None or equipment.kind not in wiring.kinds:
            continue
        entries = wiring.kinds[equipment.kind]
        key = _composition(equipment)
        if key is None or key not in seen:
            specs = _specs(equipment, wiring)
            found = tuple(_rule_findings(equipment.limits or "", limits.value, specs, entries))
            whole = each.whole and wiring.complete(equipment)
            missing = tuple(_missing(equipment, limits.value, specs, anywhere)) if whole else ()
            seen[key or (index,)] = (*found, *missing)
        for finding in seen[key or (index,)]:
            yield finding.under(("equipment", index)) if finding.path == ("limits",) else finding


def _timeless(draft: Draft, wiring: Wiring) -> Iterator[Finding]:
    """Rules for source times on channels that nobody who uses the limit set has one of."""
    asked = {
        (name, channel): index
        for name, saved in draft.limits.items()
        for channel, rules in saved.value.items()
        for index, rule in enumerate(rules)
        if isinstance(rule, StaleEntry) and isinstance(rule.stale, RuleSetting)
    }
    if not asked or not draft.whole:
        return
    given: dict[tuple[str, str], bool] = {}
    for saved in draft.equipment.values():
        limits = saved.value.limits or ""
        for channel, spec in _specs(saved.value, wiring).items():
            timed = isinstance(spec, NodeSpec)
            given[limits, channel] = given.get((limits, channel), False) or timed
    for (name, channel), index in asked.items():
        if not given.get((name, channel), True):
            text = "could never be raised: what is read over Modbus has no time of its own"
            yield Finding(("limits", name, channel, index, "stale"), text)


def _composition(equipment: EquipmentSpec) -> tuple[object, ...] | None:
    """What an equipment's channels and rules follow from; None where it spells its own."""
    if any(source.channels for source in equipment.sources):
        return None
    profiles = tuple(source.profile for source in equipment.sources)
    return equipment.kind, equipment.limits, profiles


def _specs(equipment: EquipmentSpec, wiring: Wiring) -> dict[str, ChannelSpec]:
    return {
        name: spec
        for source in equipment.sources
        for name, spec in specs_of(source, wiring.profile(source)).items()
    }


def _missing(
    equipment: EquipmentSpec,
    limits: LimitSet,
    specs: Mapping[str, ChannelSpec],
    anywhere: set[str],
) -> Iterator[Finding]:
    for channel in limits:
        if channel in anywhere and channel not in specs:
            text = f"limit set {equipment.limits!r} watches {channel!r}, which no source here gives"
            yield Finding(("limits",), f"{text}{did_you_mean(channel, specs)}")


def _rule_findings(
    name: str,
    limits: LimitSet,
    specs: Mapping[str, ChannelSpec],
    entries: Mapping[str, Entry],
) -> Iterator[Finding]:
    for channel in limits.keys() & specs.keys() & entries.keys():
        for index, rule in enumerate(limits[channel]):
            if isinstance(rule, High | Low):
                found = _limit_findings(rule, specs[channel], entries[channel])
                yield from (each.under(("limits", name, channel, index)) for each in found)
            elif isinstance(rule, OffNormalEntry):
                states = _state_findings(rule, specs[channel], entries[channel])
                yield from (each.under(("limits", name, channel, index)) for each in states)


def _limit_findings(rule: High | Low, spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    """What is wrong with the limit of ``rule`` and its variants; paths are relative to it."""
    if entry.type not in NUMBERS:
        yield Finding((rule.kind,), f"a {entry.type} has no {rule.kind} limit")
        return
    levels: dict[Path, tuple[float, float]] = {(rule.kind,): (rule.limit, rule.deadband)}
    for index, when in enumerate(rule.when):
        if when.limit is not None:
            deadband = rule.deadband if when.deadband is None else when.deadband
            levels["when", index, "limit"] = (when.limit, deadband)
    for path, (limit, deadband) in levels.items():
        text = _beyond_valid(rule.kind, limit, deadband, spec, entry)
        if text:
            yield Finding(path, text)


def _beyond_valid(
    side: Literal["high", "low"], limit: float, deadband: float, spec: ChannelSpec, entry: Entry
) -> str:
    """What keeps a limit from being passed, or passed back; empty where nothing does."""
    try:
        valid = limits_of(spec, entry)
    except (UnitError, OverflowError):
        return ""  # said where the channel is
    if valid is None:
        return ""
    sign = 1 if side == "high" else -1
    reach = [sign * valid[0], sign * valid[1]]
    if sign * limit >= max(reach):
        return f"can never be raised: readings {_outside(valid, entry)} are bad"
    if sign * limit - deadband <= min(reach):
        return f"can never clear: readings {_outside(valid, entry)} are bad"
    return ""


def _outside(valid: tuple[float, float], entry: Entry) -> str:
    return f"outside {valid[0]:g} to {valid[1]:g} {entry.unit}".rstrip()


def _state_findings(rule: OffNormalEntry, spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    """What is wrong with the states that ``rule`` names; paths are relative to it."""
    if entry.type in NUMBERS:
        yield Finding((rule.said,), f"{_an(entry.type)} has no states: give it high or low")
        return
    names = set((entry.names or spec.names).values())
    if not names:  # A text is then whatever the device says.
        if entry.type is ChannelType.STATE:
            yield Finding((rule.said,), "its states have no names; give it names of 0 and of 1")
        return
    for index, word in enumerate(rule.states):
        if word not in names:
            text = f"there is no state {word!r}{did_you_mean(word, names) or _choice(names)}"
            yield Finding((rule.said, index), text)
    if names <= set(rule.states):
        never = "be raised" if rule.normal else "clear"
        yield Finding((rule.said,), f"can never {never}: these are all states that there are")


def _an(kind: ChannelType) -> str:
    return f"an {kind}" if kind is ChannelType.ANALOG else f"a {kind}"


def _choice(names: set[str]) -> str:
    return f"; there are {', '.join(sorted(names))}"
