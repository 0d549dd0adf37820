"""Equipment and its sources as a site writes them, and the profiles that spare the repeating."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from config.model import NANOSECONDS, Day, Duration, Id, Model, Whole, between
from config.nodes import Namespace, NodeSpec
from config.plant import Storage, Table
from config.registers import Address, RegisterSpec
from config.rules import EquipmentState, RuleSetting

Unit = Annotated[Whole, Field(ge=0, le=255)]
LONGEST_SETTLE = 15 * NANOSECONDS["m"]
"""Who is blind for longer than this does not watch."""
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
    return "the word off" if isinstance(value, str) else _wire_of(value)


def _wire_of(value: Any) -> str:  # noqa: ANN401 - as above
    node = isinstance(value, NodeSpec) or (isinstance(value, Mapping) and "node" in value)
    return "a node" if node else "a register"


_Register = Annotated[RegisterSpec, Tag("a register")]
_Node = Annotated[NodeSpec, Tag("a node")]
Written = Annotated[_Register | _Node, Discriminator(_wire_of)]
"""A channel; what has the key ``node`` is one, and all else a register."""

ChannelOrOff = Annotated[
    _Register | _Node | Annotated[Literal["off"], Tag("the word off")],
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
    """Of registers."""
    namespace: Namespace | None = None
    """URI of the namespace of the nodes that are written without ``nsu=``."""
    channels: Mapping[Id, Written]


class SourceSpec(Model):
    """Where some of an equipment's channels come from: a unit on a line, and how often."""

    line: Id
    unit: Unit | None = None
    """The Modbus unit; an OPC UA line has none."""
    name: Id | None = None
    """When not given: the profile's or else the line's name, and the unit where there is one."""
    profile: Id | None = None
    every: Duration = 10**9
    """How often it is read; over OPC UA how often it is on the record, whether or not it changed:
    a change is judged and recorded when it arrives."""
    timeout: Duration | None = None
    """Of a Modbus unit; when not given, the line's."""
    settle: Annotated[Duration, between(0, LONGEST_SETTLE)] = 0
    """For so long after it has come back from silence or a lost line, its readings are bad: what an
    instrument says while it warms up."""
    serial: str = ""
    calibration_due: Day | None = None
    channels: Mapping[Id, ChannelOrOff] = Field(default_factory=dict)
    """Beside the profile's, or in place of those of the same name."""
    grouping: GroupingSpec | None = None
    """Of registers; in place of the profile's."""
    namespace: Namespace | None = None
    """Of nodes written without ``nsu=``, the profile's too; in place of the profile's."""
    silent: RuleSetting = RuleSetting()
    """How the alarm of a silent unit differs from the default."""

    @property
    def label(self) -> str:
        """The name given, or the default one."""
        usual = self.profile or self.line
        return self.name or (usual if self.unit is None else f"{usual}-{self.unit}")


class StateSpec(Model):
    """A channel that tells the state: ``{channel: decontamination, states: {running: cleaning}}``.

    What its words do not name says nothing of the state.
    """

    channel: Id
    states: Annotated[Mapping[str | Whole, EquipmentState], Field(min_length=1)]
    """By the words of a state or a text, or the numbers of a counter."""


class EquipmentSpec(Model):
    """One incubator, bioreactor, freezer or room."""

    name: Id
    kind: Id
    area: Id
    limits: Id | None = None
    """The limit set that watches it."""
    sources: Annotated[tuple[SourceSpec, ...], Field(min_length=1)]
    state: tuple[StateSpec, ...] = ()
    """The first that tells a state decides; none given: in use until an operator says otherwise."""
    phase: Id | None = None
    """The channel that tells the phase of the process; ``phase`` when not given and there is one,
    and with ``off`` none at all."""
    doors: tuple[Id, ...] | None = None
    """Channels that are true while something stands open; ``door``, ``inner_door`` and ``lid`` when
    not given, those that there are."""
    storage: Storage | None = None
    """Only where drug product is stored: mean kinetic temperature says nothing of living cells."""
