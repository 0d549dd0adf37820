"""Whether a rule suits the channel that it watches: its type, unit, states, pace and neighbours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from config.catalogue import Entry
from config.channels import ChannelSpec
from config.limits import OffNormalEntry, RuleEntry, StaleEntry, UnreadableEntry
from config.meaning import NUMBERS, limits_of
from config.model import spell
from config.plant import ChannelType
from config.problems import Finding, Path, did_you_mean
from config.rules import (
    Deviation,
    Discrepancy,
    Flatline,
    High,
    Low,
    Rate,
    Repeated,
    StatusBits,
)
from config.units import UnitError

LEAST_OF_A_WINDOW = 5
"""Readings of a rate's window: a gap of over a quarter of it says nothing."""
LEAST_READINGS = 3
"""Fewer are no standstill."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A channel of one equipment, among the others."""

    name: str
    specs: Mapping[str, ChannelSpec]
    """Of all channels of the equipment."""
    entries: Mapping[str, Entry]
    """Of all channels of its kind."""
    period: int
    """How often it is read (ns)."""

    @property
    def spec(self) -> ChannelSpec:
        """How it is read."""
        return self.specs[self.name]

    @property
    def entry(self) -> Entry:
        """What it is."""
        return self.entries[self.name]


def suit_findings(rule: RuleEntry, watched: Watched) -> Iterator[Finding]:  # noqa: C901 - an arm for each rule
    """Why ``rule`` could not do its work on the channel; paths are relative to the rule."""
    match rule:
        case High() | Low():
            yield from _limit_findings(rule, watched.spec, watched.entry)
        case OffNormalEntry():
            yield from _state_findings(rule, watched.spec, watched.entry)
        case StatusBits():
            if watched.entry.type is not ChannelType.COUNTER:
                text = f"only a counter has bits, and this is {_an(watched.entry.type)}"
                yield Finding(("bits",), text)
        case Flatline():
            yield from _numbers_only(("flatline",), watched)
            yield from _too_short("flatline", rule.flatline, LEAST_READINGS, watched)
        case Rate():
            key = "falling" if rule.rising is None else "rising"
            yield from _numbers_only((key,), watched)
            yield from _too_short("window", rule.window, LEAST_OF_A_WINDOW, watched)
        case Repeated():
            yield from _repeated_findings(rule, watched)
        case Deviation():
            yield from _against("setpoint", rule.setpoint, watched)
        case Discrepancy():
            yield from _against("against", rule.against, watched)
        case UnreadableEntry() | StaleEntry():
            return
        case _:
            assert_never(rule)


def _numbers_only(path: Path, watched: Watched) -> Iterator[Finding]:
    if watched.entry.type not in NUMBERS:
        yield Finding(path, f"is for numbers, and this is a {watched.entry.type}")


def _too_short(key: str, span: int, readings: int, watched: Watched) -> Iterator[Finding]:
    least = readings * watched.period
    if span < least:
        every = spell(watched.period)
        text = f"is too short: with a reading every {every} it should be {spell(least)} at least"
        yield Finding((key,), text)


def _repeated_findings(rule: Repeated, watched: Watched) -> Iterator[Finding]:
    side: Literal["high", "low"] = "low" if rule.high is None else "high"
    limit = rule.low if rule.high is None else rule.high
    yield from _numbers_only((side,), watched)
    if limit is not None and watched.entry.type in NUMBERS:
        text = _beyond_valid(side, limit, 0.0, watched.spec, watched.entry)
        yield from [Finding((side,), text)] if text else []


def _against(key: str, other: str, watched: Watched) -> Iterator[Finding]:
    """What keeps the channel from being held against ``other``."""
    if watched.entry.type is not ChannelType.ANALOG:
        text = f"is for measured values, and this is a {watched.entry.type}"
        yield Finding((key,), text)
    elif other == watched.name:
        yield Finding((key,), "a value does not differ from itself: name another channel")
    elif other not in watched.entries:
        hint = did_you_mean(other, watched.entries)
        yield Finding((key,), f"there is no channel {other!r} in the catalogue{hint}")
    elif watched.entries[other].type is not ChannelType.ANALOG:
        kind = watched.entries[other].type
        yield Finding((key,), f"{other!r} is no measured value, but {_an(kind)}")
    elif watched.entries[other].unit != watched.entry.unit:
        theirs, ours = watched.entries[other].unit, watched.entry.unit
        yield Finding((key,), f"{other!r} is in {theirs!r}, and {watched.name!r} in {ours!r}")


def _limit_findings(rule: High | Low, spec: ChannelSpec, entry: Entry) -> Iterator[Finding]:
    """What is wrong with the limit of ``rule`` and its variants; paths are relative to it."""
    if entry.type not in NUMBERS:
        yield Finding((rule.kind,), f"a {entry.type} has no {rule.kind} limit")
        return
    levels: dict[Path, tuple[float, float]] = {(rule.kind,): (rule.limit, rule.deadband)}
    for index, when in enumerate(rule.when):
        limit = rule.limit if when.limit is None else when.limit
        deadband = rule.deadband if when.deadband is None else when.deadband
        if (limit, deadband) != (rule.limit, rule.deadband) and not when.off:
            key = "deadband" if when.limit is None else "limit"
            levels["when", index, key] = (limit, deadband)
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
