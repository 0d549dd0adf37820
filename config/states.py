"""What each state of an equipment suppresses by design: as a site writes it, and as shipped.

In use suppresses nothing and never may, and what is not known counts as in use. What is idle may
still hold cells that nobody has loaded, and what is quarantined does until it is emptied: both
suppress nothing unless a site says so.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from config.model import NANOSECONDS, Duration, Model, between
from config.rules import EquipmentState, Pattern, Suppression

_HOUR, _DAY = NANOSECONDS["h"], NANOSECONDS["d"]

PROCESS_VALUES = (
    *("temperature*", "*_temperature", "humidity", "dew_point", "co2", "o2"),
    *("ph", "dissolved_oxygen"),
)
"""What a cleaning or a sterilisation takes far out of its limits. Doors, pressures and the
instruments themselves are still watched."""

SHIPPED: Mapping[EquipmentState, Suppression] = MappingProxyType(
    {
        EquipmentState.IDLE: Suppression(longest=30 * _DAY),
        # A dry-heat decontamination takes up to a day, and nobody may come at once.
        EquipmentState.CLEANING: Suppression(suppress=PROCESS_VALUES, longest=26 * _HOUR),
        # On the way up only: what gets too hot, or too rich in CO2, is told.
        EquipmentState.WARMING_UP: Suppression(suppress=("*/low",), longest=12 * _HOUR),
        EquipmentState.MAINTENANCE: Suppression(suppress=("*",), longest=7 * _DAY),
        EquipmentState.OUT_OF_SERVICE: Suppression(suppress=("*",), longest=30 * _DAY),
        EquipmentState.QUARANTINED: Suppression(longest=7 * _DAY),
    }
)
"""For every state but in use; without a pattern it suppresses nothing."""


class StateSetting(Model):
    """What a site says about a state; what it leaves out stays as shipped."""

    suppress: tuple[Pattern, ...] | None = None
    """In place of the shipped patterns."""
    longest: Annotated[Duration, between(60 * 10**9, 366 * _DAY)] | None = None
    """How long it suppresses at most, whatever the state still is."""

    def given(self) -> dict[str, Any]:
        """What is said at all, ready to be laid over what is shipped."""
        return {name: value for name, value in self if value is not None}


def suppression(
    settings: Mapping[EquipmentState, StateSetting],
) -> dict[EquipmentState, Suppression]:
    """What each state suppresses, and for how long at most.

    A state without a pattern is there, too: a limit may be switched off in it, for no longer.
    """
    return {
        state: shipped.model_copy(update=settings[state].given() if state in settings else {})
        for state, shipped in SHIPPED.items()
    }
