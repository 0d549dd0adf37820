"""Whether a rule makes sense by itself, wherever it is used."""

from collections.abc import Iterator

from config.levels import in_effect, situations
from config.limits import OffNormalEntry, RuleEntry
from config.problems import Finding
from config.rules import Deviation, Discrepancy, EquipmentState, High, Low, Rate, Repeated


def sense_findings(rule: RuleEntry) -> Iterator[Finding]:
    """What ``rule`` says that cannot be meant; paths are relative to it."""
    match rule:
        case High() | Low():
            yield from (each.under(("when",)) for each in _variant_findings(rule))
        case OffNormalEntry():
            if rule.off_normal and rule.normal:
                text = "normal and off_normal are two ways to say it: give one"
                yield Finding(("normal",), text)
        case Deviation():
            yield from _deviation_findings(rule)
        case Discrepancy():
            if rule.deadband >= rule.tolerance:
                text = f"can never clear: it is not less than the tolerance {rule.tolerance:g}"
                yield Finding(("deadband",), text)
        case Rate():
            if rule.rising is None and rule.falling is None:
                yield Finding((), "how fast is too fast: give rising, falling or both")
        case Repeated():
            yield from _repeated_findings(rule)
        case _:
            pass


def _variant_findings(rule: High | Low) -> Iterator[Finding]:
    """Variants that say nothing, or are never met."""
    met = {in_effect(rule, situation) for situation in situations([rule])}
    for index, when in enumerate(rule.when):
        changes = [when.limit, when.deadband, when.on_delay]
        if not when.states and not when.phases:
            yield Finding((index,), "holds always: say in which states or phases")
        elif index not in met:
            yield Finding((index,), "never holds: wherever it would, an earlier one does")
        if when.off and EquipmentState.IN_USE in when.states:
            yield Finding((index, "off"), "what is in use is watched whole: no limit is off in it")
        if "longest" in when.model_fields_set and not (when.off and when.phases):
            yield Finding((index, "longest"), "ends what a phase switches off: give phases and off")
        if when.off and changes != [None, None, None]:
            yield Finding((index, "off"), "off leaves no limit, deadband or delay to change")
        elif not when.off and changes == [None, None, None]:
            yield Finding((index,), "changes nothing: give it a limit, deadband, on_delay or off")


def _deviation_findings(rule: Deviation) -> Iterator[Finding]:
    sides = [width for width in (rule.above, rule.below) if width is not None]
    if not sides:
        yield Finding(("setpoint",), "how far is too far: give above, below or both")
    elif rule.deadband >= min(sides):
        text = f"would not clear at the set-point itself: it is not less than {min(sides):g}"
        yield Finding(("deadband",), text)


def _repeated_findings(rule: Repeated) -> Iterator[Finding]:
    if rule.high is None and rule.low is None:
        yield Finding(("x",), "beyond what limit: give high or low")
    elif rule.high is not None and rule.low is not None:
        yield Finding(("low",), "high and low are two trends: give each a rule of its own")
    if rule.x > rule.of:
        yield Finding(("x",), f"{rule.x} of the last {rule.of} readings there never are")
