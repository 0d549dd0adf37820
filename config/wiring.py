"""Whether each source can give its channels: in the catalogue, well placed, each given once."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from config.catalogue import Entry
from config.channels import ChannelSpec, faults
from config.fitting import fit_findings
from config.plant import Table
from config.problems import Finding, Path, did_you_mean
from config.registers import LAST_ADDRESS, RegisterSpec
from config.resolve import profile_of, specs_of
from config.salvage import Draft, Saved
from config.shipped import names as shipped_names
from config.sources import EquipmentSpec, GroupingSpec, Profile, SourceSpec

_BITS = frozenset({Table.COIL, Table.DISCRETE})
MOST_REGISTERS = 125
MOST_BITS = 2000

Faults = Mapping[str, tuple[Finding, ...]]
"""What is wrong with each channel of a profile for a kind; channels without fault are left out."""


class Wiring:
    """The channels of every equipment. What many share is looked at once and remembered."""

    def __init__(self, draft: Draft, kinds: Mapping[str, Mapping[str, Entry]]) -> None:
        self.draft = draft
        self.kinds = kinds
        self.site_profiles = {name: each.value for name, each in draft.profiles.items()}
        self.lines = {each.value.name: each.value for each in draft.lines.values()}
        self.known = self.site_profiles.keys() | shipped_names()
        self.shared: list[Finding] = []
        """Found in profiles of the site, whoever uses them."""
        self._faults: dict[tuple[str, str], Faults] = {}

    def profile(self, source: SourceSpec) -> Profile | None:
        """The profile of ``source``, where it has one that there is."""
        return profile_of(
            self.site_profiles, source.profile if source.profile in self.known else None
        )

    def specs(self, equipment: EquipmentSpec) -> dict[str, ChannelSpec]:
        """All channels of ``equipment``, of whatever source."""
        return {
            name: spec
            for source in equipment.sources
            for name, spec in specs_of(source, self.profile(source)).items()
        }

    def complete(self, equipment: EquipmentSpec) -> bool:
        """Whether all profiles that it speaks of are known and whole."""
        names = [source.profile for source in equipment.sources if source.profile]
        saved = self.draft.profiles
        return all(
            name in self.known and (name not in saved or saved[name].whole) for name in names
        )

    def findings(self, saved: Saved[EquipmentSpec]) -> Iterator[Finding]:
        """What is wrong with the sources of an equipment; paths are relative to it.

        Only where nothing had to be left out is a channel that is not there missing.
        """
        equipment = saved.value
        complete = self.complete(equipment)
        whole = saved.whole and complete
        entries = self.kinds.get(equipment.kind)
        given: dict[str, int] = {}
        for index, source in enumerate(equipment.sources):
            profile = self.profile(source)
            path = ("sources", index)
            if whole and not specs_of(source, profile):
                yield Finding(path, "gives no channel: name a profile or channels")
            found = [*self._doubled(source, profile, given), *_ungroupable(source, profile)]
            line = self.lines.get(source.line)
            if line is not None:
                found += fit_findings(source, profile, line, clean=saved.clean and complete)
            if entries is not None:
                found += self._own(equipment.kind, entries, source)
                found += self._of_profile(equipment.kind, entries, source, profile)
            yield from (each.under(path) for each in found)
            given.update(dict.fromkeys(specs_of(source, profile), index))

    def _doubled(
        self, source: SourceSpec, profile: Profile | None, given: Mapping[str, int]
    ) -> Iterator[Finding]:
        specs = specs_of(source, profile)
        for name in specs:
            if name in given:
                own = name in source.channels
                path: Path = ("channels", name) if own else ("profile",)
                text = f"channel {name!r} comes from source {given[name]} already"
                yield Finding(
                    path, text if own else f"{text}; leave it out with channels: {{{name}: off}}"
                )
        for name, spec in source.channels.items():
            if spec == "off" and profile and name not in profile.channels:
                hint = did_you_mean(name, profile.channels)
                yield Finding(
                    ("channels", name), f"the profile has no channel {name!r}{hint}", at_key=True
                )
            elif spec == "off" and not source.profile:
                yield Finding(("channels", name), "off is for the channels of a profile")

    @staticmethod
    def _own(kind: str, entries: Mapping[str, Entry], source: SourceSpec) -> Iterator[Finding]:
        for name, spec in source.channels.items():
            path = ("channels", name)
            if spec != "off":
                found = _channel_findings(kind, entries, name, spec)
                yield from (each.under(path) for each in found)

    def _of_profile(
        self, kind: str, entries: Mapping[str, Entry], source: SourceSpec, profile: Profile | None
    ) -> Iterator[Finding]:
        if profile is None or source.profile is None:
            return
        key = kind, source.profile
        if key not in self._faults:
            self._faults[key] = {
                name: found
                for name, spec in profile.channels.items()
                if (found := tuple(_channel_findings(kind, entries, name, spec)))
            }
        for name, found in self._faults[key].items():
            if name in source.channels:
                continue
            if source.profile in self.site_profiles and name in entries:
                path = ("profiles", source.profile, "channels", name)
                self.shared += (each.under(path) for each in found)
            else:
                yield from (_in_profile(name, each) for each in found)


def _in_profile(name: str, finding: Finding) -> Finding:
    return Finding(("profile",), f"{finding.text}; leave it out with channels: {{{name}: off}}")


def _channel_findings(
    kind: str, entries: Mapping[str, Entry], name: str, spec: ChannelSpec
) -> Iterator[Finding]:
    if name in entries:
        yield from faults(spec, entries[name])
    else:
        hint = (
            did_you_mean(name, entries)
            or f"; a channel of your own is declared under kinds: {kind}:"
        )
        yield Finding((), f"{kind} has no channel {name!r} in the catalogue{hint}", at_key=True)


def _ungroupable(source: SourceSpec, profile: Profile | None) -> Iterator[Finding]:
    """Channels that cannot be read the way that the registers are to be read together."""
    grouping = source.grouping or (profile.grouping if profile else GroupingSpec())
    blocks = [block for each in grouping.exact for block in each.blocks]
    for name, spec in specs_of(source, profile).items():
        if not isinstance(spec, RegisterSpec) or len(spec.addresses) != 1:
            continue
        path: Path = ("channels", name) if name in source.channels else ("profile",)
        first, last = spec.addresses[spec.table], spec.addresses[spec.table] + spec.width - 1
        if spec.width > grouping.max_registers:
            text = f"channel {name!r} takes {spec.width} registers, and max_registers is less"
            yield Finding(path, text)
        for table, start, count in blocks:
            inside = [start <= each < start + count for each in (first, last)]
            if table is spec.table and any(inside) and not all(inside):
                yield Finding(path, f"channel {name!r} lies partly in an exact block")


def grouping_findings(grouping: GroupingSpec) -> Iterator[Finding]:
    """What is wrong with how registers are to be read; paths are relative to ``grouping``."""
    good: list[tuple[Table, int, int, int]] = []
    for index, block in enumerate(grouping.exact):
        path = ("exact", index)
        if len(block.blocks) != 1:
            yield Finding(path, "a block is in one of coil, discrete, input, holding")
            continue
        table, address, count = block.blocks[0]
        most = MOST_BITS if table in _BITS else MOST_REGISTERS
        if count > most:
            yield Finding((*path, "count"), f"a request can ask for {most} of {table} at most")
        if address + count - 1 > LAST_ADDRESS:
            yield Finding(path, f"the block would end past {LAST_ADDRESS}")
        good.append((table, address, count, index))
    for (table, address, count, _), (other, start, _, index) in pairwise(sorted(good)):
        if table is other and start < address + count:
            yield Finding(("exact", index), "overlaps another exact block")
