"""Whether the steps of an escalation go up, in time and in priority, wherever they are written.

What a class or a default says may go to a priority that a single rule is above already: such a rule
stays where it is (``Rule.priority_after``), so that is no finding.
"""

from collections.abc import Iterator, Sequence

from config.belonging import all_named
from config.limits import Defaults
from config.model import spell
from config.problems import Finding, Path
from config.rules import (
    CalibrationDue,
    ChannelRule,
    Escalate,
    Escalation,
    Priority,
    RuleSetting,
    Silent,
    Stale,
    Unreadable,
    steps_of,
)
from config.salvage import Draft

_USUAL = {
    "unreadable": Unreadable().priority,
    "stale": Stale().priority,
    "silent": Silent(name="silent").priority,
    "calibration": CalibrationDue(name="calibration").priority,
    "expired": Priority.MEDIUM,
}
"""The priorities of what is on by default, by the key that its settings stand under."""


def escalation_findings(draft: Draft) -> Iterator[Finding]:
    """Steps that come no later, or are no higher, than what was before them."""
    for name, saved in draft.classes.items():
        found = _step_findings(saved.value.escalate or (), saved.value.priority)
        yield from (each.under(("classes", name, "escalate")) for each in found)
    for path, named in all_named(draft):
        found = _step_findings(named.escalate or (), _priority(draft, path, named))
        yield from (each.under((*path, "escalate")) for each in found)


def _step_findings(escalate: Escalate, priority: Priority | None) -> Iterator[Finding]:
    """``priority``: what it begins with; None where that is not known."""
    steps, before = steps_of(escalate), 0
    for index, step in enumerate(steps):
        place: Path = () if isinstance(escalate, Escalation) else (index,)
        if step.after <= before:
            text = f"is no later than the step before it, {spell(before)}: each step waits longer"
            yield Finding((*place, "after"), text)
        if step.to and priority and step.to.severity < priority.severity:
            whose = "the step before it" if index else "the alarm itself"
            text = f"is below {priority}, which {whose} has: name one that is not, or leave it out"
            yield Finding((*place, "to"), text)
        before = step.after
        priority = step.to or (priority.above if priority else None)


def _priority(draft: Draft, path: Path, named: ChannelRule | RuleSetting) -> Priority:
    """What ``named`` escalates from: its own priority, its class's, or the default's."""
    if not isinstance(named, RuleSetting):
        own = named.priority if "priority" in named.model_fields_set else None
        return own or _of_class(draft, named.alarm_class) or named.priority
    kind = str(path[-1])
    settings = [named, *_defaults(draft, kind)]
    said = (each.priority or _of_class(draft, each.alarm_class) for each in settings)
    return next(filter(None, said), _USUAL[kind])


def _of_class(draft: Draft, name: str | None) -> Priority | None:
    known = draft.classes.get(name or "")
    return known.value.priority if known else None


def _defaults(draft: Draft, kind: str) -> Sequence[RuleSetting]:
    defaults = draft.defaults or Defaults()
    of_kind = {
        "unreadable": defaults.unreadable,
        "stale": defaults.stale,
        "silent": defaults.silent,
    }
    return [of_kind[kind]] if kind in of_kind else []
