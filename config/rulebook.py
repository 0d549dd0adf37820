"""The rules of each channel, source and line: what a limit set says, and what is on by default.

What a rule says itself comes before what its class says, and that before the site's defaults (which
may name a class of their own).
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from config.limits import Defaults, OffNormalEntry, RuleEntry, StaleEntry, UnreadableEntry
from config.plant import Channel, ChannelType
from config.rules import (
    SECOND,
    AlarmClass,
    CalibrationDue,
    ChannelRule,
    OffNormal,
    Priority,
    RuleSetting,
    Silent,
    Stale,
    Unreadable,
)

DefaultRule = TypeVar("DefaultRule", Unreadable, Stale, Silent)

SILENCE_PERIODS = 3
SILENCE_LEAST = 60 * SECOND
"""A source or channel is missed after three periods, but not before a minute."""
STALE_LEAST = 600 * SECOND
"""A measured value may stand still for a while, as far as its digits show it."""
_LEAST = {"unreadable": SILENCE_LEAST, "stale": STALE_LEAST, "silent": SILENCE_LEAST}
"""Before this no default comes due, where the site says nothing else."""


def silent_name(label: str) -> str:
    """The name of the rule that watches a source: unique in its equipment, as the source's is."""
    return f"silent-{label}"


def calibration_name(label: str) -> str:
    """The name of the rule that says ahead of time that a source's calibration is due."""
    return f"calibration-{label}"


def expired_name(label: str) -> str:
    """The name of the rule that says that it was due."""
    return f"calibration-expired-{label}"


class Rulebook:
    """The classes and defaults of a site, laid under whatever rule is asked for."""

    def __init__(self, classes: Mapping[str, AlarmClass], defaults: Defaults) -> None:
        self._classes = classes
        self._defaults = defaults

    def of_channel(
        self, entries: Sequence[RuleEntry], channel: Channel, period: int, *, noisy: bool
    ) -> tuple[ChannelRule, ...]:
        """The rules of ``channel``: those of its limit set, and the ones that are on by default.

        ``noisy``: as the catalogue has it.
        """
        own_unreadable: RuleSetting | str = RuleSetting()
        own_stale: RuleSetting | str = RuleSetting() if noisy else "off"
        rules: list[ChannelRule] = []
        for entry in entries:
            match entry:
                case UnreadableEntry():
                    own_unreadable = entry.unreadable
                case StaleEntry():
                    own_stale = entry.stale
                case OffNormalEntry():
                    rules.append(self._in_its_class(_in_values(entry, channel)))
                case _:
                    rules.append(self._in_its_class(entry))
        if isinstance(own_unreadable, RuleSetting):
            default = self._defaults.unreadable
            rules.append(self._laid_over(Unreadable(), default, own_unreadable, period))
        if isinstance(own_stale, RuleSetting) and channel.has_source_time:
            rules.append(self._laid_over(Stale(), self._defaults.stale, own_stale, period))
        return tuple(rules)

    def silent(self, name: str, period: int, own: RuleSetting) -> Silent:
        """The rule that watches a source or a line as a whole."""
        return self._laid_over(Silent(name=name), self._defaults.silent, own, period)

    def calibration(self, label: str) -> tuple[CalibrationDue, ...]:
        """The rules on the day when the calibration of the source called ``label`` is due."""
        setting = self._defaults.calibration
        if isinstance(setting, str):
            return ()
        ahead = CalibrationDue(name=calibration_name(label))
        expired = CalibrationDue(name=expired_name(label), ahead=0, priority=Priority.MEDIUM)
        of_class = self._of_class(setting.expired.alarm_class or setting.alarm_class)
        return (
            ahead.model_copy(update=self._said(setting)),
            expired.model_copy(update={**of_class, **setting.given_expired()}),
        )

    def _in_its_class(self, rule: ChannelRule) -> ChannelRule:
        """``rule`` with what its class says where it says nothing itself."""
        unsaid = self._of_class(rule.alarm_class).items()
        said = rule.model_fields_set
        return rule.model_copy(update={key: value for key, value in unsaid if key not in said})

    def _laid_over(
        self, rule: DefaultRule, default: RuleSetting, own: RuleSetting, period: int
    ) -> DefaultRule:
        """``rule`` as the site's defaults and then the place itself say it.

        A default never comes due before three periods, so that one lost reply is no alarm; what
        the place itself says is taken as it is.
        """
        least = _LEAST[rule.kind] if default.on_delay is None else default.on_delay
        delay = {"on_delay": max(SILENCE_PERIODS * period, least)}
        return rule.model_copy(update={**self._said(default), **delay, **self._said(own)})

    def _said(self, setting: RuleSetting) -> dict[str, Any]:
        return {**self._of_class(setting.alarm_class), **setting.given()}

    def _of_class(self, name: str | None) -> dict[str, Any]:
        return self._classes[name].given() if name else {}


def _in_values(rule: OffNormal, channel: Channel) -> OffNormal:
    """``rule`` in what ``channel`` gives: a state is true or false, and not a word."""
    said = rule.model_dump(include=set(OffNormal.model_fields), exclude_unset=True)
    if channel.type is ChannelType.STATE:
        for key in {"off_normal", "normal"} & said.keys():
            said[key] = tuple(bool(n) for n, word in channel.names.items() if word in said[key])
    return OffNormal(**said)
