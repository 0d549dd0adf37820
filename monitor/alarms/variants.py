"""What holds of an equipment's rules while it is in some state and phase. Pure.

A limit that differs (``When``) is laid over the rule. Two things suppress an alarm by design: a
variant that switches the limit off, and what the plant's file says of the state. Neither stops the
rule from being judged.
"""

from collections.abc import Mapping

from config.plant import Plant
from config.rules import EquipmentState, High, Low, Rule, Suppression, When
from monitor.alarms.facts import Circumstances
from monitor.alarms.watch import Watched


def place(of_file: Watched, circumstances: Circumstances, plant: Plant) -> Watched:
    """Return an alarm as it is watched under ``circumstances``, given it as the file has it.

    Where that is no different it is the same object: there are tens of thousands.
    """
    rule, off = effective(of_file.rule, circumstances)
    by_design = off or _suppressed(of_file, circumstances, plant.suppression)
    if rule is of_file.rule and not by_design:
        return of_file
    return of_file._replace(rule=rule, by_design=by_design, off=off != "")


def effective(rule: Rule, circumstances: Circumstances) -> tuple[Rule, str]:
    """Return ``rule`` as it holds, and what switches it off: empty where nothing does."""
    if not isinstance(rule, High | Low):
        return rule, ""
    for when in rule.when:
        if _fits(when, circumstances):
            return _laid_over(rule, when), _off(when, circumstances)
    return rule, ""


def _fits(when: When, circumstances: Circumstances) -> bool:
    """What a state or phase switches off is on again when that has suppressed for long enough."""
    suppresses = circumstances.phase_suppresses if when.phases else circumstances.suppresses
    over = when.off and not suppresses
    return when.fits(circumstances.state, circumstances.phase) and not over


def _laid_over(rule: High | Low, when: When) -> Rule:
    said = {"limit": when.limit, "deadband": when.deadband, "on_delay": when.on_delay}
    return rule.model_copy(update={name: each for name, each in said.items() if each is not None})


def _off(when: When, circumstances: Circumstances) -> str:
    if not when.off:
        return ""
    return f"phase:{circumstances.phase}" if when.phases else f"state:{circumstances.state}"


def _suppressed(
    of_file: Watched,
    circumstances: Circumstances,
    suppression: Mapping[EquipmentState, Suppression],
) -> str:
    said = suppression.get(circumstances.state)
    if said is None or not circumstances.suppresses:
        return ""
    return f"state:{circumstances.state}" if said.covers(of_file.channel, of_file.rule) else ""
