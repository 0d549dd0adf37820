"""From what a site wrote, checked, to the plant that the daemon runs: everything filled in.

What is equal is made once and shared: chambers of one kind, profile, limit set and period have the
very same channels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar, assert_never

from config import shipped
from config.catalogue import CATALOGUE, Entry
from config.channels import ChannelSpec, build
from config.limits import Defaults, RuleEntry, StaleEntry, UnreadableEntry
from config.lines import Line, ModbusLine, OpcUaLine
from config.nodes import STANDARD
from config.plant import Channel, ChannelType, Equipment, Grouping, Plant, Source
from config.rules import (
    SECOND,
    ChannelRule,
    High,
    Low,
    OffNormal,
    RuleSetting,
    Silent,
    Stale,
    Unreadable,
)
from config.sources import EquipmentSpec, GroupingSpec, Profile, SourceSpec
from config.written import SiteFile

DefaultRule = TypeVar("DefaultRule", Unreadable, Stale, Silent)

SILENCE_PERIODS = 3
SILENCE_LEAST = 60 * SECOND
"""A source or channel is missed after three periods, but not before a minute."""
STALE_LEAST = 600 * SECOND
"""A measured value may stand still for a while, as far as its digits show it."""
_LEAST = {"unreadable": SILENCE_LEAST, "stale": STALE_LEAST, "silent": SILENCE_LEAST}
"""Before this no default comes due, where the site says nothing else."""


def profile_of(site_profiles: Mapping[str, Profile], name: str | None) -> Profile | None:
    """The profile called ``name``, the site's own or a shipped one; None where there is no name."""
    if name is None:
        return None
    return site_profiles.get(name) or shipped.profile(name)


def specs_of(source: SourceSpec, profile: Profile | None) -> Mapping[str, ChannelSpec]:
    """The channels of a source: the profile's, and its own beside or in place of them."""
    base: Mapping[str, ChannelSpec] = profile.channels if profile else {}
    if not source.channels:
        return base
    own = {name: spec for name, spec in source.channels.items() if spec != "off"}
    kept = {name: spec for name, spec in base.items() if name not in source.channels}
    return {**kept, **own}


def namespace_of(source: SourceSpec, profile: Profile | None) -> str:
    """The URI of the namespace in which a node of the source is that is written without one."""
    return source.namespace or (profile.namespace if profile else None) or STANDARD


def kinds_of(site_kinds: Mapping[str, Mapping[str, Entry]]) -> dict[str, dict[str, Entry]]:
    """The catalogue with what the site adds; what the catalogue has stays as it is."""
    names = CATALOGUE.keys() | site_kinds.keys()
    return {name: {**site_kinds.get(name, {}), **CATALOGUE.get(name, {})} for name in names}


def silent_name(label: str) -> str:
    """The name of the rule that watches a source: unique in its equipment, as the source's is."""
    return f"silent-{label}"


def resolve(site: SiteFile, text: str) -> Plant:
    """The plant of ``site`` (read from ``text``) for its gateway. ``check`` found no fault."""
    return _Resolver(site).plant(text)


class _Resolver:
    """Holds what is shared while one plant is made."""

    def __init__(self, site: SiteFile) -> None:
        self.site = site
        self.kinds = kinds_of(site.kinds)
        self.lines = {line.name: line for line in site.lines if _owned(line, site.gateway)}
        self.rules: dict[tuple[object, ...], tuple[ChannelRule, ...]] = {}
        self.channels: dict[tuple[str | int | None, ...], tuple[Channel, ...]] = {}
        self.groupings: dict[GroupingSpec, Grouping] = {}

    def plant(self, text: str) -> Plant:
        equipment: list[Equipment] = []
        sources: list[Source] = []
        for each in self.site.equipment:
            first = len(sources)
            owned = (source for source in each.sources if source.line in self.lines)
            sources += (self.source(first + n, each, source) for n, source in enumerate(owned))
            if len(sources) > first:
                indices = tuple(range(first, len(sources)))
                equipment.append(Equipment(each.name, each.kind, each.area, indices))
        return Plant(
            site=self.site.site,
            gateway=self.site.gateway,
            lines=self.lines,
            line_silent=self.line_silent(sources),
            equipment=tuple(equipment),
            sources=tuple(sources),
            store=self.site.store,
            influxdb=self.site.influxdb,
            mqtt=self.site.mqtt,
            text=text,
            digest=sha256(text.encode()).hexdigest(),
        )

    def source(self, index: int, equipment: EquipmentSpec, source: SourceSpec) -> Source:
        silent = self.silent(silent_name(source.label), source.every, source.silent)
        timeout = source.timeout
        return Source(
            index=index,
            equipment=equipment.name,
            name=source.label,
            line=source.line,
            unit=source.unit or 0,
            period=source.every,
            timeout=_patience(self.lines[source.line]) if timeout is None else timeout,
            channels=self.channels_of(equipment, source),
            grouping=self.grouping(source),
            silent=silent,
            serial=source.serial,
            calibration_due=source.calibration_due,
        )

    def channels_of(self, equipment: EquipmentSpec, source: SourceSpec) -> tuple[Channel, ...]:
        if source.channels:
            return self.make_channels(equipment, source)
        key = (
            *(equipment.kind, equipment.limits),
            *(source.profile, source.namespace, source.every),
        )
        if key not in self.channels:
            self.channels[key] = self.make_channels(equipment, source)
        return self.channels[key]

    def make_channels(self, equipment: EquipmentSpec, source: SourceSpec) -> tuple[Channel, ...]:
        entries = self.kinds[equipment.kind]
        profile = profile_of(self.site.profiles, source.profile)
        namespace = namespace_of(source, profile)
        made = {
            name: build(name, spec, entries[name], namespace)
            for name, spec in specs_of(source, profile).items()
        }
        return tuple(
            replace(each, rules=self.rules_of(each, entries[name], equipment.limits, source.every))
            for name, each in made.items()
        )

    def rules_of(
        self, channel: Channel, entry: Entry, limits: str | None, period: int
    ) -> tuple[ChannelRule, ...]:
        timed = channel.has_source_time
        names = tuple(channel.names.items())
        key = limits, channel.name, channel.type, names, period, timed, entry.noisy
        if key not in self.rules:
            entries = self.site.limits[limits].get(channel.name, ()) if limits else ()
            rules = rules_of(entries, self.site.defaults, period, timed=timed, noisy=entry.noisy)
            self.rules[key] = tuple(
                _in_values(rule, channel) if isinstance(rule, OffNormal) else rule for rule in rules
            )
        return self.rules[key]

    def grouping(self, source: SourceSpec) -> Grouping:
        profile = profile_of(self.site.profiles, source.profile)
        spec = source.grouping or (profile.grouping if profile else GroupingSpec())
        return self.groupings.setdefault(spec, _grouping(spec))

    def silent(self, name: str, period: int, own: RuleSetting) -> Silent:
        """The rule that watches a source or a line as a whole."""
        return laid_over(Silent(name=name), self.site.defaults.silent, own, period)

    def line_silent(self, sources: Iterable[Source]) -> dict[str, Silent]:
        """The rule of each line, by the shortest period on it."""
        shortest: dict[str, int] = {}
        for source in sources:
            shortest[source.line] = min(source.period, shortest.get(source.line, source.period))
        return {
            name: self.silent("silent", shortest.get(name, 0), line.silent)
            for name, line in self.lines.items()
        }


def rules_of(
    entries: Sequence[RuleEntry], defaults: Defaults, period: int, *, timed: bool, noisy: bool
) -> tuple[ChannelRule, ...]:
    """The rules of one channel: those of its limit set, and the ones that are on by default.

    ``timed``: it has a source time; ``noisy``: as the catalogue has it.
    """
    limits = [entry for entry in entries if isinstance(entry, High | Low | OffNormal)]
    own_unreadable: RuleSetting | str = RuleSetting()
    own_stale: RuleSetting | str = RuleSetting() if noisy else "off"
    for entry in entries:
        if isinstance(entry, UnreadableEntry):
            own_unreadable = entry.unreadable
        elif isinstance(entry, StaleEntry):
            own_stale = entry.stale
    watch: list[ChannelRule] = []
    if isinstance(own_unreadable, RuleSetting):
        watch.append(laid_over(Unreadable(), defaults.unreadable, own_unreadable, period))
    if isinstance(own_stale, RuleSetting) and timed:
        watch.append(laid_over(Stale(), defaults.stale, own_stale, period))
    return (*limits, *watch)


def laid_over(
    rule: DefaultRule, default: RuleSetting, own: RuleSetting, period: int
) -> DefaultRule:
    """``rule`` as the site's defaults and then the place itself say it.

    A default never comes due before three periods, so that one lost reply is no alarm; what the
    place itself says is taken as it is.
    """
    least = _LEAST[rule.kind] if default.on_delay is None else default.on_delay
    delay = {"on_delay": max(SILENCE_PERIODS * period, least)}
    return rule.model_copy(update={**default.given(), **delay, **own.given()})


def _in_values(rule: OffNormal, channel: Channel) -> OffNormal:
    """``rule`` in what ``channel`` gives: a state is true or false, and not a word."""
    said = rule.model_dump(include=set(OffNormal.model_fields))
    if channel.type is ChannelType.STATE:
        for key in ("off_normal", "normal"):
            said[key] = tuple(bool(n) for n, word in channel.names.items() if word in said[key])
    return OffNormal(**said)


def _patience(line: Line) -> int:
    """How long an answer on ``line`` is waited for (ns)."""
    match line:
        case ModbusLine():
            return line.modbus.timeout
        case OpcUaLine():
            return line.opcua.timeout
        case _:
            assert_never(line)


def _owned(line: Line, gateway: str) -> bool:
    return not line.on or gateway in line.on


def _grouping(spec: GroupingSpec) -> Grouping:
    return Grouping(
        max_gap=spec.max_gap,
        max_registers=spec.max_registers,
        max_bits=spec.max_bits,
        exact=tuple(block for each in spec.exact for block in each.blocks),
    )
