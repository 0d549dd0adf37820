"""Whether the classes and roles that are named are there: in rules, settings, classes and users."""

from collections.abc import Iterable, Iterator

from config.limits import Defaults, RuleEntry, StaleEntry, UnreadableEntry
from config.operators import OperatorSettings
from config.problems import Finding, Path, did_you_mean
from config.rules import ChannelRule, RuleSetting
from config.salvage import Draft

Named = tuple[Path, ChannelRule | RuleSetting]
"""What may name a class and roles, and where it stands."""


def belonging_findings(draft: Draft) -> Iterator[Finding]:
    """Classes and roles that are named and not there."""
    if draft.operators is not None:
        yield from _user_findings(draft.operators)
    for path, named in all_named(draft):
        yield from (each.under(path) for each in _class_findings(draft, named))
        yield from (each.under(path) for each in _role_findings(draft, named.roles or ()))
    for name, saved in draft.classes.items():
        found = _role_findings(draft, saved.value.roles or ())
        yield from (each.under(("classes", name)) for each in found)


def all_named(draft: Draft) -> Iterator[Named]:
    """All rules and settings of rules that the site writes, each with its place."""
    for name, limits in draft.limits.items():
        for channel, entries in limits.value.items():
            for index, entry in enumerate(entries):
                yield from _of_entry(("limits", name, channel, index), entry)
    yield from _of_defaults(draft.defaults or Defaults())
    for index, line in draft.lines.items():
        yield ("lines", index, "silent"), line.value.silent
    for index, equipment in draft.equipment.items():
        for position, source in enumerate(equipment.value.sources):
            yield ("equipment", index, "sources", position, "silent"), source.silent


def _of_entry(path: Path, entry: RuleEntry) -> Iterator[Named]:
    match entry:
        case UnreadableEntry(unreadable=RuleSetting() as setting):
            yield (*path, "unreadable"), setting
        case StaleEntry(stale=RuleSetting() as setting):
            yield (*path, "stale"), setting
        case UnreadableEntry() | StaleEntry():
            return
        case _:
            yield path, entry


def _of_defaults(defaults: Defaults) -> Iterator[Named]:
    yield ("defaults", "unreadable"), defaults.unreadable
    yield ("defaults", "stale"), defaults.stale
    yield ("defaults", "silent"), defaults.silent
    if isinstance(defaults.calibration, RuleSetting):
        yield ("defaults", "calibration"), defaults.calibration
        yield ("defaults", "calibration", "expired"), defaults.calibration.expired


def _class_findings(draft: Draft, named: ChannelRule | RuleSetting) -> Iterator[Finding]:
    name = named.alarm_class
    if name and name not in draft.classes and ("classes", name) not in draft.lost:
        hint = did_you_mean(name, draft.classes) or _undeclared("classes:", draft.classes)
        yield Finding(("class",), f"there is no class {name!r}{hint}")


def _role_findings(draft: Draft, roles: Iterable[str]) -> Iterator[Finding]:
    if draft.roles is not None:
        yield from (each.under(("roles",)) for each in _unknown_roles(roles, draft.roles))


def _user_findings(operators: OperatorSettings) -> Iterator[Finding]:
    for user, roles in operators.users.items():
        found = _unknown_roles(roles, operators.roles)
        yield from (each.under(("operators", "users", user)) for each in found)
    found = _unknown_roles(operators.others, operators.roles)
    yield from (each.under(("operators", "others")) for each in found)


def _unknown_roles(roles: Iterable[str], known: Iterable[str]) -> Iterator[Finding]:
    known = set(known)
    for index, role in enumerate(roles):
        if role not in known:
            hint = did_you_mean(role, known) or _undeclared("operators: roles:", known)
            yield Finding((index,), f"there is no role {role!r}{hint}")


def _undeclared(where: str, known: Iterable[str]) -> str:
    """What there is in place of it, or where it would be declared."""
    names = ", ".join(sorted(known))
    return f"; there are {names}" if names else f"; it is declared under {where}"
