"""The one base class of everything a site may write, and the small types that its files are made of."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

NANOSECONDS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_ID = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class Model(BaseModel):
    """A frozen model that refuses keys it does not know, so that a typo is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def nanoseconds(text: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the file holds
    """Return a duration such as ``500ms``, ``1s``, ``2m``, ``1.5h`` or ``7d`` in nanoseconds.

    An integer is taken as nanoseconds already (it is what code hands over); a bare number in a
    file has no unit and is refused with a message that says which units there are.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if isinstance(text, str):
        number = text.rstrip("mshd")
        unit = text[len(number) :]
        if unit in NANOSECONDS:
            try:
                return round(float(number) * NANOSECONDS[unit])
            except (ValueError, OverflowError):
                pass
    raise ValueError("a duration is a number with a unit: 500ms, 1s, 2m, 8h, 7d")


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError("a duration cannot be negative")
    return value


Id = Annotated[str, Field(pattern=_ID)]
"""A name that goes into topics and tags: lower case letters, digits, ``_`` and ``-``, at most 63."""

Duration = Annotated[int, BeforeValidator(nanoseconds), AfterValidator(_not_negative)]
"""Nanoseconds; in a file a number with a unit (``500ms``, ``1s``, ``2m``)."""
