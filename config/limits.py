"""Limit sets as a site writes them: rules by channel, under a name that equal chambers share."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from config.model import Id, Model
from config.rules import High, Low, RuleSetting


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


KINDS_OF_RULE = ("high", "low", "unreadable", "stale")


def _kind_of_rule(value: Any) -> str | None:  # noqa: ANN401 - as above
    if isinstance(value, High | Low):
        return f"a {value.kind} rule"
    keys = value if isinstance(value, Mapping) else ()
    return next((f"a {kind} rule" for kind in KINDS_OF_RULE if kind in keys), None)


RuleEntry = Annotated[
    Annotated[High, Tag("a high rule")]
    | Annotated[Low, Tag("a low rule")]
    | Annotated[UnreadableEntry, Tag("a unreadable rule")]
    | Annotated[StaleEntry, Tag("a stale rule")],
    Discriminator(_kind_of_rule),
]

LimitSet = Mapping[Id, tuple[RuleEntry, ...]]
"""Rules by channel."""


class Defaults(Model):
    """What holds for every channel, source and line that says nothing else."""

    unreadable: RuleSetting = RuleSetting()
    stale: RuleSetting = RuleSetting()
    silent: RuleSetting = RuleSetting()
