"""Whether the levels of one channel stand in order, in every state and phase of its equipment.

A high limit is above every low one with its deadband, and what is worse stays worse: the levels of
a side speak for each other in the order of their limits. Paths are relative to the channel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from config.problems import Finding, Path
from config.rules import Deviation, EquipmentState, High, Low, Rule, When

Situation = tuple[EquipmentState | None, str | None]
"""A state and a phase; None for one that no variant speaks of."""
_APART: Situation = (None, None)


@dataclass(frozen=True, slots=True)
class _Level:
    """A limit as it stands in one situation."""

    index: int
    rule: High | Low
    variant: int | None
    """Which of the rule's variants is in effect."""

    @property
    def when(self) -> When:
        return When() if self.variant is None else self.rule.when[self.variant]

    @property
    def limit(self) -> float:
        return self.rule.limit if self.when.limit is None else self.when.limit

    @property
    def deadband(self) -> float:
        return self.rule.deadband if self.when.deadband is None else self.when.deadband

    @property
    def at(self) -> Path:
        """Where the limit is written."""
        if self.variant is None or self.when.limit is None:
            return (self.index, self.rule.kind)
        return (self.index, "when", self.variant, "limit")

    @property
    def deadband_at(self) -> Path:
        """Where that is written which makes the deadband too wide."""
        if self.variant is None:
            return (self.index, "deadband")
        key = "limit" if self.when.deadband is None else "deadband"
        return (self.index, "when", self.variant, key)


def level_findings(rules: Sequence[Rule]) -> Iterator[Finding]:
    """What is wrong with limits among themselves, each said for the first situation it is met in.

    ``rules`` are all of the channel, at their index in the file.
    """
    limits = [(index, rule) for index, rule in enumerate(rules) if isinstance(rule, High | Low)]
    seen: set[Path] = set()
    for situation in (_APART, *situations([rule for _, rule in limits])):
        levels = [_Level(index, rule, in_effect(rule, situation)) for index, rule in limits]
        for finding in _disorder([each for each in levels if not each.when.off]):
            if finding.path not in seen:
                seen.add(finding.path)
                yield finding._replace(text=f"{finding.text}{_where(situation)}")
    yield from _deviation_findings(rules)


def in_effect(rule: High | Low, situation: Situation) -> int | None:
    """Which variant of ``rule`` holds in ``situation``; None where none does."""
    state, phase = situation
    fitting = (index for index, when in enumerate(rule.when) if when.fits(state, phase))
    return next(fitting, None)


def situations(rules: Sequence[High | Low]) -> Iterator[Situation]:
    """Every state with every phase that a variant speaks of, and with any other phase."""
    phases = dict.fromkeys(word for rule in rules for when in rule.when for word in when.phases)
    if any(rule.when for rule in rules):
        yield from product(EquipmentState, (None, *phases))


def _where(situation: Situation) -> str:
    state, phase = situation
    words = [f"while {state}"] if state else []
    words += [f"in phase {phase}"] if phase else []
    return f" ({', '.join(words)})" if words else ""


def _disorder(levels: Sequence[_Level]) -> Iterator[Finding]:
    highs = [each for each in levels if isinstance(each.rule, High)]
    lows = [each for each in levels if isinstance(each.rule, Low)]
    if highs and lows:
        yield from _between(highs, lows)
    yield from _overtaken(highs, 1)
    yield from _overtaken(lows, -1)


def _between(highs: Sequence[_Level], lows: Sequence[_Level]) -> Iterator[Finding]:
    """A high limit is above every low one, and its deadband ends before it."""
    lowest_high = min(highs, key=lambda level: level.limit)
    highest_low = max(lows, key=lambda level: level.limit)
    floor, ceiling = highest_low.limit, lowest_high.limit
    for high in highs:
        if high.limit <= floor and _to_blame(high, highest_low):
            yield Finding(high.at, f"{high.limit:g} is not above the low limit {floor:g}")
        elif high.limit <= floor:
            text = f"{floor:g} is not below the high limit {high.limit:g}"
            yield Finding(highest_low.at, text)
        elif high.limit - high.deadband <= floor:
            text = f"can never clear: the deadband reaches the low limit {floor:g}"
            yield _stuck(high, highest_low, text)
    for low in lows:
        if low.limit < ceiling <= low.limit + low.deadband:
            text = f"can never clear: the deadband reaches the high limit {ceiling:g}"
            yield _stuck(low, lowest_high, text)


def _to_blame(one: _Level, other: _Level) -> bool:
    """Whether it is rather ``one`` that does not fit: what a variant says is held to the rest."""
    return one.variant is not None or other.variant is None


def _stuck(one: _Level, other: _Level, text: str) -> Finding:
    if _to_blame(one, other):
        return Finding(one.deadband_at, text)
    return Finding(other.at, f"rule {one.rule.name!r} {text}")


def _overtaken(levels: Sequence[_Level], side: int) -> Iterator[Finding]:
    """Worse levels that a variant makes no worse than milder ones."""
    ordered = sorted(levels, key=lambda level: side * level.rule.limit)
    for milder, worse in pairwise(ordered):
        if milder.rule.limit != worse.rule.limit and side * worse.limit <= side * milder.limit:
            one, other = (worse, milder) if _to_blame(worse, milder) else (milder, worse)
            name, limit = other.rule.name, other.limit
            yield Finding(one.at, f"{one.limit:g} no longer is in order with {limit:g} of {name!r}")


def _deviation_findings(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Levels about one set-point of which neither lies inside the other."""
    deviations = [(n, rule) for n, rule in enumerate(rules) if isinstance(rule, Deviation)]
    for position, (_, first) in enumerate(deviations):
        for index, second in deviations[position + 1 :]:
            if first.setpoint == second.setpoint and _crossed(first, second):
                text = f"is wider than {first.name!r} on one side and narrower on the other"
                yield Finding((index,), text)


def _crossed(one: Deviation, other: Deviation) -> bool:
    if one.above is None or one.below is None or other.above is None or other.below is None:
        return False
    return (one.above - other.above) * (one.below - other.below) < 0
