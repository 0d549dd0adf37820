"""Whether what the file says of how an equipment is used can hold: state, phase, doors, storage."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from config.catalogue import Entry
from config.channels import ChannelSpec
from config.limits import as_rule
from config.plant import ChannelType
from config.problems import Finding, Path, did_you_mean
from config.rulebook import calibration_name, expired_name, silent_name
from config.rules import CalibrationDue, EquipmentState, Rule, Silent, Stale, Unreadable, covered
from config.salvage import Draft
from config.signals import WORDED
from config.sources import EquipmentSpec, StateSpec
from config.wiring import Wiring

_SHUT = frozenset({"closed", "normal", "off", "shut"})
"""Words for a contact that says nothing is open."""


def use_findings(draft: Draft, wiring: Wiring) -> Iterator[Finding]:
    """What is wrong with the channels that tell how an equipment is used."""
    for index, saved in draft.equipment.items():
        each = saved.value
        entries = wiring.kinds.get(each.kind)
        if entries is not None and saved.whole and wiring.complete(each):
            signals = _Signals(each, wiring.specs(each), entries)
            yield from (found.under(("equipment", index)) for found in signals.findings())
    yield from _state_findings(draft, wiring)


class _Signals:
    """One equipment and its channels; paths of findings are relative to it."""

    def __init__(
        self,
        equipment: EquipmentSpec,
        specs: Mapping[str, ChannelSpec],
        entries: Mapping[str, Entry],
    ) -> None:
        self.equipment = equipment
        self.specs = {name: spec for name, spec in specs.items() if name in entries}
        self.entries = entries

    def findings(self) -> Iterator[Finding]:
        each = self.equipment
        for index, spec in enumerate(each.state):
            yield from (found.under(("state", index)) for found in self.state(spec))
        if each.phase not in {None, "off"}:
            yield from self.phase(str(each.phase))
        for index, door in enumerate(each.doors or ()):
            yield from self.door(("doors", index), door)
        measured = {self.entries[name].unit for name in self.specs}
        if each.storage and "Cel" not in measured:
            text = "mean kinetic temperature needs a temperature, and no source here gives one"
            yield Finding(("storage",), text)

    def missing(self, path: Path, name: str) -> Iterator[Finding]:
        if name not in self.specs:
            hint = did_you_mean(name, self.specs)
            yield Finding(path, f"no source here gives a channel {name!r}{hint}")

    def words(self, name: str) -> set[str]:
        """What its values are called; nothing where it may say anything."""
        return set((self.entries[name].names or self.specs[name].names).values())

    def state(self, spec: StateSpec) -> Iterator[Finding]:
        yield from self.missing(("channel",), spec.channel)
        if spec.channel not in self.specs:
            return
        match self.entries[spec.channel].type:
            case ChannelType.ANALOG:
                yield Finding(("channel",), "a measured value tells no state")
            case ChannelType.COUNTER:
                yield from (_number(word) for word in spec.states if not _is_number(word))
            case ChannelType.STATE | ChannelType.TEXT:
                yield from self.state_words(spec)

    def state_words(self, spec: StateSpec) -> Iterator[Finding]:
        names = self.words(spec.channel)
        if not names and self.entries[spec.channel].type is ChannelType.STATE:
            yield Finding(("channel",), "its states have no names; give it names of 0 and of 1")
            return
        for word in spec.states:
            if names and word not in names:
                hint = did_you_mean(str(word), names) or f"; there are {', '.join(sorted(names))}"
                text = f"{spec.channel} never says {str(word)!r}{hint}"
                yield Finding(("states", word), text, at_key=True)

    def phase(self, name: str) -> Iterator[Finding]:
        yield from self.missing(("phase",), name)
        if name in self.specs and self.entries[name].type not in WORDED:
            yield Finding(("phase",), f"a phase has a name, and {name!r} gives numbers")

    def door(self, path: Path, name: str) -> Iterator[Finding]:
        yield from self.missing(path, name)
        if name not in self.specs:
            return
        entry = self.entries[name]
        said = (entry.names or self.specs[name].names).get(1, "")
        if entry.type is not ChannelType.STATE:
            yield Finding(path, f"a door is open or closed, and {name!r} is of type {entry.type}")
        elif said in _SHUT:
            text = f"{name!r} is true while {said!r}, and a door while it is open"
            yield Finding(path, f"{text}; give the contact to a channel such as door")


def _is_number(word: str | int) -> bool:
    try:
        int(word)
    except ValueError:
        return False
    return True


def _number(word: str | int) -> Finding:
    return Finding(("states", word), f"it counts, and {word!r} is no whole number", at_key=True)


def _state_findings(draft: Draft, wiring: Wiring) -> Iterator[Finding]:
    """What is wrong with what the states suppress."""
    if EquipmentState.IN_USE in draft.states:
        text = "what is in use is watched whole: nothing of it is ever suppressed"
        yield Finding(("states", "in_use"), text, at_key=True)
    patterns = {
        ("states", str(state), "suppress", index): pattern
        for state, saved in draft.states.items()
        for index, pattern in enumerate(saved.value.suppress or ())
    }
    if not patterns or not draft.whole:
        return
    alarms = list(_alarms(draft, wiring))
    channels = {channel for channel, _ in alarms}
    for path, pattern in patterns.items():
        channel = pattern.partition("/")[0]
        if channel == pattern and any(fnmatchcase(each, pattern) for each in channels):
            continue  # it has no limit yet, and would be meant if it had
        if not any(covered(pattern, channel, rule) for channel, rule in alarms):
            hint = "" if channel in channels else did_you_mean(channel, channels)
            yield Finding(path, f"means no alarm of any equipment{hint}")


def _alarms(draft: Draft, wiring: Wiring) -> Iterator[tuple[str, Rule]]:
    """Every alarm that some equipment could have, by its channel and rule."""
    each_of = [saved.value for saved in draft.equipment.values()]
    watched = {(each.limits, name) for each in each_of for name in wiring.specs(each)}
    for name, channel in watched:
        limits = draft.limits.get(name or "")
        for entry in limits.value.get(channel, ()) if limits else ():
            yield channel, as_rule(entry)
    for channel in {channel for _, channel in watched}:
        yield channel, Unreadable()
        yield channel, Stale()
    for source in (source for each in each_of for source in each.sources):
        # Not looked through again: a name that is too long is told of at its source.
        yield "_", Silent.model_construct(name=silent_name(source.label))
        if source.calibration_due:
            for name in (calibration_name(source.label), expired_name(source.label)):
                yield "_", CalibrationDue.model_construct(name=name)
