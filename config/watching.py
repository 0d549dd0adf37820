"""Whether rules can do what they are for: be raised, be cleared, and find their channel."""

from collections.abc import Iterator, Mapping, Sequence

from config.catalogue import Entry
from config.channels import ChannelSpec
from config.levels import level_findings
from config.limits import LimitSet, RuleEntry, StaleEntry, as_rule
from config.nodes import NodeSpec
from config.problems import Finding, Path, did_you_mean
from config.resolve import specs_of
from config.rules import High, Low, RuleSetting, compared_with
from config.salvage import Draft
from config.sense import sense_findings
from config.signals import phase_of
from config.sources import EquipmentSpec
from config.suiting import Watched, suit_findings
from config.wiring import Wiring

RESERVED_RULE = "test-"
"""Before the name of a rule, in an alarm that is only a test (``monitor.alarms.rehearsal``)."""


def set_findings(rules: Sequence[RuleEntry], *, whole: bool) -> Iterator[Finding]:
    """What is wrong with the rules of one channel among themselves.

    Paths are relative to the channel. ``whole``: nothing had to be left out of them, so that what
    a rule does not say is not said.
    """
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        name = as_rule(rule).name
        if name in seen:
            yield Finding((index,), f"rule {name!r} is there twice")
        if name.startswith(RESERVED_RULE):
            advice = f"a name with {RESERVED_RULE!r} before it is that of its test"
            yield Finding((index, "name"), f"rule {name!r} cannot be called so: {advice}")
        seen.add(name)
        yield from (each.under((index,)) for each in sense_findings(rule) if whole)
    yield from level_findings([as_rule(entry) for entry in rules])


def watch_findings(draft: Draft, wiring: Wiring) -> Iterator[Finding]:
    """What is wrong between limit sets and the channels that they watch."""
    anywhere = {channel for entries in wiring.kinds.values() for channel in entries}
    for name, saved in draft.limits.items():
        for channel in saved.value.keys() - anywhere:
            text = f"no kind has a channel {channel!r}{did_you_mean(channel, anywhere)}"
            yield Finding(("limits", name, channel), text, at_key=True)
    yield from _timeless(draft, wiring)
    yield from _phase_findings(draft, wiring)
    seen: dict[tuple[object, ...], tuple[Finding, ...]] = {}
    for index, each in draft.equipment.items():
        equipment = each.value
        limits = draft.limits.get(equipment.limits or "")
        if limits is None or equipment.kind not in wiring.kinds:
            continue
        entries = wiring.kinds[equipment.kind]
        key = _composition(equipment)
        if key is None or key not in seen:
            specs = wiring.specs(equipment)
            rules = equipment.limits or "", limits.value
            found = tuple(_rule_findings(*rules, specs, entries, _periods(equipment, wiring)))
            whole = each.whole and wiring.complete(equipment)
            missing = tuple(_missing(equipment, limits.value, specs, anywhere)) if whole else ()
            seen[key or (index,)] = (*found, *missing)
        yield from (
            each.under(("equipment", index)) for each in _apart(equipment, limits.value, wiring)
        )
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
        for channel, spec in wiring.specs(saved.value).items():
            timed = isinstance(spec, NodeSpec)
            given[limits, channel] = given.get((limits, channel), False) or timed
    for (name, channel), index in asked.items():
        if not given.get((name, channel), True):
            text = "could never be raised: what is read over Modbus has no time of its own"
            yield Finding(("limits", name, channel, index, "stale"), text)


def _phase_findings(draft: Draft, wiring: Wiring) -> Iterator[Finding]:
    """Phases that no equipment with the limit set can be in."""
    for name, saved in draft.limits.items() if draft.whole else ():
        asked = list(_phases(saved.value))
        users = [each.value for each in draft.equipment.values() if each.value.limits == name]
        if not asked or not users:
            continue
        words = _phase_words(users, wiring)
        for path, word in asked:
            if words is not None and word not in words:
                text = f"no equipment with this limit set has a phase {word!r}"
                hint = did_you_mean(word, words) or _choice(words)
                yield Finding(("limits", name, *path), f"{text}{hint}")


def _phases(limits: LimitSet) -> Iterator[tuple[Path, str]]:
    for channel, rules in limits.items():
        for index, rule in enumerate(rules):
            for variant, when in enumerate(rule.when if isinstance(rule, High | Low) else ()):
                for position, word in enumerate(when.phases):
                    yield (channel, index, "when", variant, "phases", position), word


def _phase_words(users: Sequence[EquipmentSpec], wiring: Wiring) -> set[str] | None:
    """What the phases of ``users`` are called; None where one may call them anything."""
    words: set[str] = set()
    for each in users:
        entries = wiring.kinds.get(each.kind, {})
        specs = wiring.specs(each)
        phase = phase_of(each, entries, specs)
        if phase in specs and phase in entries:
            names = entries[phase].names or specs[phase].names
            if not names:
                return None
            words |= set(names.values())
    return words


def _choice(words: set[str]) -> str:
    return f"; there are {', '.join(sorted(words))}" if words else ""


def _composition(equipment: EquipmentSpec) -> tuple[object, ...] | None:
    """What an equipment's channels and rules follow from; None where it spells its own."""
    if any(source.channels for source in equipment.sources):
        return None
    sources = tuple((source.profile, source.every) for source in equipment.sources)
    return equipment.kind, equipment.limits, sources


def _periods(equipment: EquipmentSpec, wiring: Wiring) -> dict[str, int]:
    return {
        name: source.every
        for source in equipment.sources
        for name in specs_of(source, wiring.profile(source))
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
        others = {compared_with(rule) for rule in limits[channel]} - {None}
        for other in sorted(str(each) for each in others):
            if channel in specs and other in anywhere and other not in specs:
                text = f"limit set {equipment.limits!r} holds {channel!r} against {other!r}"
                hint = did_you_mean(other, specs)
                yield Finding(("limits",), f"{text}, which no source here gives{hint}")


def _apart(equipment: EquipmentSpec, limits: LimitSet, wiring: Wiring) -> Iterator[Finding]:
    """Channels that a gateway reads without the one that they are held against."""
    pairs = {
        (channel, other)
        for channel, rules in limits.items()
        for rule in rules
        if (other := compared_with(rule)) is not None
    }
    gateways = _gateways(equipment, wiring) if pairs else {}
    for channel, other in sorted(pairs):
        ours, theirs = (gateways.get(name, frozenset()) for name in (channel, other))
        if theirs and not (ours and ours <= theirs):
            text = f"limit set {equipment.limits!r} holds {channel!r} against {other!r}"
            reading = ", ".join(sorted(theirs))
            yield Finding(("limits",), f"{text}, which nobody but {reading} reads")


def _gateways(equipment: EquipmentSpec, wiring: Wiring) -> dict[str, frozenset[str]]:
    """The gateways that read each channel; none named: all of them."""
    return {
        name: frozenset(wiring.lines[source.line].on if source.line in wiring.lines else ())
        for source in equipment.sources
        for name in specs_of(source, wiring.profile(source))
    }


def _rule_findings(
    name: str,
    limits: LimitSet,
    specs: Mapping[str, ChannelSpec],
    entries: Mapping[str, Entry],
    periods: Mapping[str, int],
) -> Iterator[Finding]:
    for channel in limits.keys() & specs.keys() & entries.keys():
        watched = Watched(channel, specs, entries, periods[channel])
        for index, rule in enumerate(limits[channel]):
            path = ("limits", name, channel, index)
            yield from (each.under(path) for each in suit_findings(rule, watched))
