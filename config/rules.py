"""The rules: what may not happen on a channel, a source or a line.

A rule is data only; what it means is decided in ``monitor.alarms``.
To add a rule: a class here, a member of ``Rule``, and the arm that mypy then asks for there.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from config.model import Duration, Flag, Id, Model, Real

SECOND = 10**9


class Priority(StrEnum):
    """How urgent the response is: consequence times the time left to respond (ISA-18.2)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def severity(self) -> int:
        """The OPC UA severity (1 to 1000) that stands for this priority on the wire."""
        return {"low": 200, "medium": 500, "high": 800, "critical": 950}[self.value]


class _Rule(Model):
    name: Id
    priority: Priority = Priority.MEDIUM
    on_delay: Duration = 0
    """How long the condition must hold before the alarm is raised (ns)."""
    off_delay: Duration = 0
    """How long the condition must be gone before the alarm returns (ns)."""
    latching: Flag = False
    """Whether the alarm stays after its return until an operator resets it."""
    response: str = ""
    """What the operator is to do."""


class High(_Rule):
    """The value is above ``limit`` (strictly); it is back when below ``limit - deadband``."""

    kind: Literal["high"] = "high"
    name: Id = "high"
    limit: Real = Field(alias="high")
    deadband: Annotated[Real, Field(ge=0)] = 0.0


class Low(_Rule):
    """The value is below ``limit`` (strictly); it is back when above ``limit + deadband``."""

    kind: Literal["low"] = "low"
    name: Id = "low"
    limit: Real = Field(alias="low")
    deadband: Annotated[Real, Field(ge=0)] = 0.0


class OffNormal(_Rule):
    """The channel is in one of the states ``off_normal``, or in none of the states ``normal``.

    Exactly one of the two is given: ``True`` and ``False`` for a channel of type ``STATE``, words
    for a ``TEXT``. It is back with the first good reading of any other state.
    """

    kind: Literal["off_normal"] = "off_normal"
    name: Id = "off-normal"
    off_normal: tuple[bool | str, ...] = ()
    normal: tuple[bool | str, ...] = ()

    def is_off(self, state: float | str) -> bool:
        """Whether ``state`` is off-normal."""
        return state in self.off_normal if self.off_normal else state not in self.normal


class Unreadable(_Rule):
    """The channel gave no usable reading for ``on_delay``, for a reason of its own.

    On by default on every channel, with three periods but at least a minute.
    Readings lost to a silent unit or a lost line belong to that unit's or line's ``Silent``.
    """

    kind: Literal["unreadable"] = "unreadable"
    name: Id = "unreadable"


class Stale(_Rule):
    """Readings arrive and are good, but their source time stands still for ``on_delay``.

    On by default, with ten minutes, where the catalogue calls the channel noisy and it has a source
    time (decision 0009); elsewhere where a limit set asks for it.
    """

    kind: Literal["stale"] = "stale"
    name: Id = "stale"


class Silent(_Rule):
    """A whole source (unit) or a whole line does not answer; the cause that others hang on."""

    kind: Literal["silent"] = "silent"
    priority: Priority = Priority.HIGH


Rule = High | Low | OffNormal | Unreadable | Stale | Silent
ChannelRule = High | Low | OffNormal | Unreadable | Stale


class RuleSetting(Model):
    """What a site says about a rule that is on by default; what it leaves out stays as it was."""

    on_delay: Duration | None = None
    off_delay: Duration | None = None
    priority: Priority | None = None
    latching: Flag | None = None
    response: str | None = None

    def given(self) -> dict[str, Any]:
        """What is said at all, ready to be laid over a rule's own values."""
        return {name: value for name, value in self if value is not None}
