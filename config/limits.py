"""Limit sets as a site writes them: rules by channel, under a name that equal chambers share."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from config.model import Id, Model
from config.rules import (
    ChannelRule,
    Deviation,
    Discrepancy,
    Flatline,
    High,
    Interval,
    Low,
    OffNormal,
    Rate,
    Repeated,
    RuleSetting,
    Stale,
    StatusBits,
    Unreadable,
)


def _word_or_setting(value: Any) -> str:  # noqa: ANN401 - pydantic hands over whatever the file holds
    return "the word off" if isinstance(value, str) else "a setting"


Default = Annotated[
    Annotated[RuleSetting, Tag("a setting")] | Annotated[Literal["off"], Tag("the word off")],
    Discriminator(_word_or_setting),
]
"""``off``, or what is different from the default."""


class UnreadableEntry(Model):
    """``unreadable: {on_delay: 2m}`` or ``unreadable: off`` among a channel's rules."""

    unreadable: Default


class StaleEntry(Model):
    """``stale: {on_delay: 10m}`` or ``stale: off`` among a channel's rules."""

    stale: Default


States = Annotated[tuple[str, ...], Field(min_length=1)]
"""States of a channel by their names."""


class OffNormalEntry(OffNormal):
    """``{name: open, off_normal: [open], on_delay: 1m}``, or with ``normal: [closed]``."""

    off_normal: States = ()
    """The condition holds while the channel is in one of these."""
    normal: States = ()
    """The condition holds while the channel is in none of these."""

    @property
    def said(self) -> Literal["off_normal", "normal"]:
        """Which of the two keys is there."""
        return "off_normal" if self.off_normal else "normal"

    @property
    def states(self) -> tuple[str, ...]:
        """The states that it names."""
        return self.off_normal or self.normal


RULE_KEYS = {
    "high": "high",
    "low": "low",
    "off_normal": "off_normal",
    "normal": "off_normal",
    "setpoint": "deviation",
    "against": "discrepancy",
    "rising": "rate",
    "falling": "rate",
    "x": "repeated",
    "bits": "status_bits",
    "flatline": "flatline",
    "unreadable": "unreadable",
    "stale": "stale",
}
"""The keys by which a rule is known, and its kind."""
RULE_TAGS = frozenset(f"a {kind} rule" for kind in RULE_KEYS.values())


def _kind_of_rule(value: Any) -> str | None:  # noqa: ANN401 - as above
    if isinstance(value, ChannelRule):
        return f"a {value.kind} rule"
    keys = value if isinstance(value, Mapping) else ()
    if "x" in keys:
        return "a repeated rule"  # which has high or low, too
    kind = next((kind for key, kind in RULE_KEYS.items() if key in keys), None)
    return kind and f"a {kind} rule"


RuleEntry = Annotated[
    Annotated[High, Tag("a high rule")]
    | Annotated[Low, Tag("a low rule")]
    | Annotated[OffNormalEntry, Tag("a off_normal rule")]
    | Annotated[Deviation, Tag("a deviation rule")]
    | Annotated[Discrepancy, Tag("a discrepancy rule")]
    | Annotated[Rate, Tag("a rate rule")]
    | Annotated[Repeated, Tag("a repeated rule")]
    | Annotated[StatusBits, Tag("a status_bits rule")]
    | Annotated[Flatline, Tag("a flatline rule")]
    | Annotated[UnreadableEntry, Tag("a unreadable rule")]
    | Annotated[StaleEntry, Tag("a stale rule")],
    Discriminator(_kind_of_rule),
]

LimitSet = Mapping[Id, tuple[RuleEntry, ...]]
"""Rules by channel."""


def as_rule(entry: RuleEntry) -> ChannelRule:
    """The rule that an entry is or speaks of, as far as the entry alone tells."""
    match entry:
        case UnreadableEntry():
            return Unreadable()
        case StaleEntry():
            return Stale()
        case _:
            return entry


class CalibrationSetting(RuleSetting):
    """What is different about an instrument whose calibration is coming due, or was."""

    ahead: Interval | None = None
    """How long before the day it is told the first time (ns)."""
    expired: RuleSetting = RuleSetting()
    """What is different from the day itself on; the priority is not taken over."""

    def given(self) -> dict[str, Any]:
        """What is said of the first alarm."""
        return {name: value for name, value in super().given().items() if name != "expired"}

    def given_expired(self) -> dict[str, Any]:
        """What is said of the second."""
        shared = self.model_dump(exclude={"priority", "ahead", "expired"}, exclude_none=True)
        return {**shared, **self.expired.given()}


CalibrationDefault = Annotated[
    Annotated[CalibrationSetting, Tag("a setting")]
    | Annotated[Literal["off"], Tag("the word off")],
    Discriminator(_word_or_setting),
]
"""``off``, or what is different from the default."""


class Defaults(Model):
    """What holds for every channel, source and line that says nothing else."""

    unreadable: RuleSetting = RuleSetting()
    stale: RuleSetting = RuleSetting()
    silent: RuleSetting = RuleSetting()
    calibration: CalibrationDefault = CalibrationSetting()
