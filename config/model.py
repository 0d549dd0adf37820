"""The one base class of everything a site may write, and the small types it is made of."""

import re
from datetime import date
from fractions import Fraction
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

NANOSECONDS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_ID = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_DURATION = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"
_WRITTEN = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)(ms|s|m|h|d)", re.ASCII)
_LONGEST = 2**63 - 1


class Model(BaseModel):
    """A frozen model that refuses keys it does not know, so that a typo is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Bare(int):
    """A number out of a file, which bears no unit: good for a count, not for a duration."""


def nanoseconds(text: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the file holds
    """Return a duration such as ``500ms``, ``1s``, ``2m``, ``1.5h`` or ``7d`` in nanoseconds.

    An integer is taken as nanoseconds already (it is what code hands over); a bare number in a
    file has no unit and is refused with a message that says which units there are.
    """
    if isinstance(text, int) and not isinstance(text, bool | Bare):
        return text
    if isinstance(text, str) and (written := _WRITTEN.fullmatch(text)):
        return round(Fraction(written[1]) * NANOSECONDS[written[2]])
    raise ValueError("a duration is a number with a unit: 500ms, 1s, 2m, 8h, 7d")


def spell(duration: int) -> str:
    """Write ``duration`` (ns) as a file has it, in the largest unit that divides it: ``90s``."""
    for unit in ("d", "h", "m", "s"):
        if duration and duration % NANOSECONDS[unit] == 0:
            return f"{duration // NANOSECONDS[unit]}{unit}"
    whole, rest = divmod(duration, NANOSECONDS["ms"])
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".") + "ms"


def between(least: int, most: int) -> AfterValidator:
    """Return what holds a duration to these bounds (ns), both included."""

    def held(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"should be from {spell(least)} to {spell(most)}")
        return value

    return AfterValidator(held)


def _bounded(value: int) -> int:
    if value < 0:
        raise ValueError("a duration cannot be negative")
    if value > _LONGEST:
        raise ValueError("a duration of centuries is none")
    return value


def _not_boolean(value: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004 - pydantic asks for ValueError
    return value


def _boolean(value: Any) -> Any:  # noqa: ANN401 - as above
    words = {"true": True, "false": False}  # the environment knows text only
    value = words.get(value, value) if isinstance(value, str) else value
    if not isinstance(value, bool):
        raise ValueError("should be true or false")  # noqa: TRY004 - as above
    return value


def _day(value: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("should be a day such as 2027-03-01") from None


Id = Annotated[str, Field(pattern=_ID)]
"""A name for topics and tags: lower case letters, digits, ``_`` and ``-``, at most 63."""

Duration = Annotated[
    int,
    BeforeValidator(nanoseconds),
    AfterValidator(_bounded),
    WithJsonSchema({"type": "string", "pattern": _DURATION}),
]
"""Nanoseconds; in a file a number with a unit (``500ms``, ``1s``, ``2m``)."""

Whole = Annotated[int, BeforeValidator(_not_boolean)]
"""An integer; ``true`` is none."""

Real = Annotated[float, BeforeValidator(_not_boolean), Field(allow_inf_nan=False)]
"""A finite number; ``true`` is none."""

Flag = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema({"type": "boolean"})]
"""``true`` or ``false`` and no other word."""

Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A calendar day, ``2027-03-01``."""
