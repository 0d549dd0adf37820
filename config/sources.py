"""Equipment and its sources as a site writes them, and the profiles that spare the repeating."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from config.channels import Address, ChannelSpec
from config.model import Day, Duration, Id, Model, Whole
from config.plant import Table
from config.rules import RuleSetting

Unit = Annotated[Whole, Field(ge=0, le=255)]
Count = Annotated[Whole, Field(ge=1, le=2000)]


class ExactBlock(Model):
    """A block that the device gives only whole: ``{holding: 2090, count: 10}``."""

    coil: Address | None = None
    discrete: Address | None = None
    input: Address | None = None
    holding: Address | None = None
    count: Count

    @property
    def blocks(self) -> list[tuple[Table, int, int]]:
        """One for each table named; a good block names one."""
        named = {
            Table.COIL: self.coil,
            Table.DISCRETE: self.discrete,
            Table.INPUT: self.input,
            Table.HOLDING: self.holding,
        }
        return [(table, at, self.count) for table, at in named.items() if at is not None]


class GroupingSpec(Model):
    """How a unit's registers may be read together."""

    max_gap: Annotated[Whole, Field(ge=0, le=124)] = 16
    """Registers that may be read for nothing to save a request."""
    max_registers: Annotated[Whole, Field(ge=1, le=125)] = 125
    max_bits: Annotated[Whole, Field(ge=1, le=2000)] = 2000
    exact: tuple[ExactBlock, ...] = ()


def _word_or_channel(value: Any) -> str:  # noqa: ANN401 - pydantic hands over whatever the file holds
    return "the word off" if isinstance(value, str) else "a channel"


ChannelOrOff = Annotated[
    Annotated[ChannelSpec, Tag("a channel")] | Annotated[Literal["off"], Tag("the word off")],
    Discriminator(_word_or_channel),
]
"""``off`` leaves out a channel that the profile has."""


class Profile(Model):
    """A reusable description of an instrument."""

    instrument: str = ""
    """Maker and model, for people."""
    certainty: Literal["verified", "documented", "experimental"] = "experimental"
    """Read from a real device; from its maker's manual; from less."""
    facts: tuple[str, ...] = ()
    """Where the map was taken from, and what to know before trusting it."""
    grouping: GroupingSpec = GroupingSpec()
    channels: Mapping[Id, ChannelSpec]


class SourceSpec(Model):
    """Where some of an equipment's channels come from: a unit on a line, and how often."""

    line: Id
    unit: Unit
    name: Id | None = None
    """When not given: the profile's or else the line's name, and the unit."""
    profile: Id | None = None
    every: Duration = 10**9
    timeout: Duration | None = None
    """When not given: the line's."""
    serial: str = ""
    calibration_due: Day | None = None
    channels: Mapping[Id, ChannelOrOff] = Field(default_factory=dict)
    """Beside the profile's, or in place of those of the same name."""
    grouping: GroupingSpec | None = None
    """In place of the profile's."""
    silent: RuleSetting = RuleSetting()
    """How the alarm of a silent unit differs from the default."""

    @property
    def label(self) -> str:
        """The name given, or the default one."""
        return self.name or f"{self.profile or self.line}-{self.unit}"


class EquipmentSpec(Model):
    """One incubator, bioreactor, freezer or room."""

    name: Id
    kind: Id
    area: Id
    limits: Id | None = None
    """The limit set that watches it."""
    sources: Annotated[tuple[SourceSpec, ...], Field(min_length=1)]
