"""Which names people mean by what they type. Pure.

A pattern has as many parts as one cares to give: ``incubator-07`` is all of it,
``incubator-07/co2`` all of that channel, ``incubator-*/co2/low`` one rule on many.
In a part, ``*`` stands for any text and ``?`` for any character.
"""

import re
from collections.abc import Collection, Iterable, Sequence


def fitting(names: Collection[str], patterns: Iterable[str]) -> tuple[Sequence[str], str | None]:
    """Return the names that fit, each once and in their order, and the first idle pattern.

    A name is that of an alarm (``equipment/channel/rule``) or of an equipment; a pattern is idle
    (None: none is) when it fits no name at all.
    """
    fit: set[str] = set()
    idle: list[str] = []
    for pattern in patterns:
        found = list(filter(_regex(pattern).fullmatch, names))
        fit.update(found)
        idle += [] if found else [pattern]
    return [name for name in names if name in fit], next(iter(idle), None)


def is_pattern(text: str) -> bool:
    """Whether what was typed may mean several alarms, and not one by its whole name."""
    return "*" in text or "?" in text or text.count("/") < 2  # noqa: PLR2004 - equipment/channel/rule


def _regex(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.compile(f"{text}(/.*)?")
