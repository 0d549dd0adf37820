"""From what a site wrote, checked, to the plant that the daemon runs: everything filled in.

What is equal is made once and shared: chambers of one kind, profile, limit set and period have the
very same channels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import assert_never

from config import shipped
from config.catalogue import CATALOGUE, Entry
from config.channels import ChannelSpec, build
from config.lines import Line, ModbusLine, OpcUaLine
from config.nodes import STANDARD
from config.operators import operators
from config.plant import Channel, Equipment, Grouping, Plant, Source
from config.rulebook import Rulebook, silent_name
from config.rules import ChannelRule, Silent
from config.signals import doors_of, phase_of, state_from
from config.site import databases
from config.sources import EquipmentSpec, GroupingSpec, Profile, SourceSpec
from config.states import suppression
from config.written import SiteFile


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


def resolve(site: SiteFile, text: str) -> Plant:
    """The plant of ``site`` (read from ``text``) for its gateway. ``check`` found no fault."""
    return _Resolver(site).plant(text)


class _Resolver:
    """Holds what is shared while one plant is made."""

    def __init__(self, site: SiteFile) -> None:
        self.site = site
        self.kinds = kinds_of(site.kinds)
        self.rulebook = Rulebook(site.classes, site.defaults)
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
                equipment.append(self.equipment(each, sources[first:]))
        return Plant(
            site=self.site.site,
            gateway=self.site.gateway,
            lines=self.lines,
            line_silent=self.line_silent(sources),
            equipment=tuple(equipment),
            sources=tuple(sources),
            store=self.site.store,
            influxdb=next(iter(databases(self.site.influxdb)), None),
            other_databases=databases(self.site.influxdb)[1:],
            mqtt=self.site.mqtt,
            text=text,
            digest=sha256(text.encode()).hexdigest(),
            suppression=suppression(self.site.states),
            rejoin=self.site.excursions.rejoin,
            operators=operators(self.site.operators),
            http=self.site.http,
            notify=self.site.notify,
        )

    def equipment(self, spec: EquipmentSpec, sources: Sequence[Source]) -> Equipment:
        """The equipment of ``spec``, of which this gateway reads ``sources``."""
        places = {
            channel.name: (source.index, position)
            for source in sources
            for position, channel in enumerate(source.channels)
        }
        channels = {each.name: each for source in sources for each in source.channels}
        entries = self.kinds[spec.kind]
        return Equipment(
            name=spec.name,
            kind=spec.kind,
            area=spec.area,
            sources=tuple(source.index for source in sources),
            state_from=tuple(
                state_from(each, channels[each.channel], places[each.channel])
                for each in spec.state
                if each.channel in places
            ),
            phase_from=places.get(phase_of(spec, entries, places) or ""),
            doors=tuple(places[each] for each in doors_of(spec, entries, places) if each in places),
            storage=spec.storage,
        )

    def source(self, index: int, equipment: EquipmentSpec, source: SourceSpec) -> Source:
        silent = self.rulebook.silent(silent_name(source.label), source.every, source.silent)
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
            settle=source.settle,
            serial=source.serial,
            calibration_due=source.calibration_due,
            calibration=self.rulebook.calibration(source.label) if source.calibration_due else (),
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
            book, noisy = self.rulebook, entry.noisy
            self.rules[key] = book.of_channel(entries, channel, period, noisy=noisy)
        return self.rules[key]

    def grouping(self, source: SourceSpec) -> Grouping:
        profile = profile_of(self.site.profiles, source.profile)
        spec = source.grouping or (profile.grouping if profile else GroupingSpec())
        return self.groupings.setdefault(spec, _grouping(spec))

    def line_silent(self, sources: Iterable[Source]) -> dict[str, Silent]:
        """The rule of each line, by the shortest period on it."""
        shortest: dict[str, int] = {}
        for source in sources:
            shortest[source.line] = min(source.period, shortest.get(source.line, source.period))
        return {
            name: self.rulebook.silent("silent", shortest.get(name, 0), line.silent)
            for name, line in self.lines.items()
        }


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
