"""The plant as the daemon runs it: every profile, limit set and default of the file filled in.

Nothing here is written by hand at a site; ``config.load`` makes it from what is.
All tuples are in a fixed order: the index of a source in ``Plant.sources`` and of a channel in
``Source.channels`` is how scans, alarms and templates speak of them, so that the hot path is
list access and not a search by name.
Times are nanoseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property

from config.lines import Line
from config.rules import CalibrationDue, ChannelRule, EquipmentState, Silent, Suppression
from config.site import Http, InfluxDb, Mqtt, Notify, StoreSettings


class ChannelType(StrEnum):
    """What a channel's values are, everywhere and for ever (InfluxDB freezes it at first sight)."""

    ANALOG = "analog"
    """float, in the channel's unit"""
    COUNTER = "counter"
    """signed 64-bit integer"""
    STATE = "state"
    """bool: two states, named in ``Channel.names`` under 0 and 1"""
    TEXT = "text"
    """str: a name out of ``Channel.names``, or what the device says"""


class Table(StrEnum):
    """The four Modbus tables."""

    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"


class Encoding(StrEnum):
    """How a value lies there. ``BIT`` is a coil, a discrete input or one bit of a register."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BIT = "bit"
    STRING = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a raw value means.

    ``value = raw * scale / divisor + offset`` in the channel's unit: a conversion from the device's
    unit is already in them. A tenth is ``divisor=10``, since ``302 / 10`` is 30.2 and
    ``302 * 0.1`` is not.
    """

    scale: float = 1.0
    divisor: float = 1.0
    offset: float = 0.0
    sentinels: frozenset[float] = frozenset()
    """Raw values that mean "no value" (0x8000, -9999): the reading is bad."""
    valid_min: float | None = None
    """Below this, in the channel's unit, a value cannot be true: the reading is bad."""
    valid_max: float | None = None
    inverted: bool = False
    """For a ``STATE``: raw 0 is true and 1 is false, since the contact is wired the other way."""


@dataclass(frozen=True, slots=True)
class Register(Meaning):
    """Where one channel lies in a Modbus unit, and what its raw value means."""

    table: Table
    address: int
    """The address on the wire (zero-based), whatever the manual counts from."""
    encoding: Encoding
    words_swapped: bool = False
    """Least significant register first (CDAB); most significant first is ABCD."""
    bytes_swapped: bool = False
    """Bytes swapped inside each register (BADC, and DCBA with ``words_swapped``)."""
    bit: int | None = None
    """For ``BIT`` in a register: 0 is the least significant bit of the (unswapped) register."""
    length: int = 1
    """Registers that the value takes (strings: two characters each)."""


@dataclass(frozen=True, slots=True)
class Node(Meaning):
    """Which node of an OPC UA server one channel is, and what its raw value means."""

    namespace: str
    """The namespace's URI: its index is looked up at every connect, since it may change."""
    identifier: str
    """As OPC 10000-6 (5.3.1.10) writes it, without the namespace: ``s=R3.pH``, ``i=2258``."""
    unit: str = ""
    """The symbol (``config.units``) that the values come in, if the server were to say another one
    the values would be bad; empty where there is no unit to compare."""


Address = Register | Node
"""Where a driver finds a channel; a new wire is a new member."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured or reported quantity of one equipment."""

    name: str
    type: ChannelType
    unit: str
    """The unit of the catalogue (UCUM-like: ``Cel``, ``%``, ``ppm``); empty where there is none."""
    address: Address
    rules: tuple[ChannelRule, ...] = ()
    """Every rule that watches it, the defaults (unreadable, stale) included."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Names of raw values for enumerations; of False (0) and True (1) for states."""
    single_precision: bool = False
    """Whether nine significant digits tell the value exactly (an unscaled float32)."""
    has_source_time: bool = False

    @property
    def register(self) -> Register:
        """Its address as the driver of a Modbus line needs it. Raises TypeError elsewhere."""
        if isinstance(self.address, Register):
            return self.address
        raise TypeError(f"{self.name} is no register: {self.address}")

    @property
    def node(self) -> Node:
        """Its address as the driver of an OPC UA line needs it. Raises TypeError elsewhere."""
        if isinstance(self.address, Node):
            return self.address
        raise TypeError(f"{self.name} is no node: {self.address}")


@dataclass(frozen=True, slots=True)
class Grouping:
    """How the registers of a unit may be read together."""

    max_gap: int = 16
    """Registers that may be read for nothing to save a request."""
    max_registers: int = 125
    max_bits: int = 2000
    exact: tuple[tuple[Table, int, int], ...] = ()
    """Blocks ``(table, address, count)`` to be read just so, never split and never merged."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where some of an equipment's channels come from: a unit on a line, and how often."""

    index: int
    equipment: str
    name: str
    """Unique in its equipment; the ``source`` tag."""
    line: str
    unit: int
    """The Modbus unit; 0 on a line that has none."""
    period: int
    timeout: int
    channels: tuple[Channel, ...]
    grouping: Grouping
    silent: Silent
    """The rule that says when the unit itself is the trouble."""
    serial: str = ""
    calibration_due: date | None = None
    settle: int = 0
    """For so long after it has come back, what it says is not believed."""
    calibration: tuple[CalibrationDue, ...] = ()
    """The rules on that day, where there is one: ahead of it, and from it on."""

    @property
    def key(self) -> str:
        """``equipment/source``: unique in the plant."""
        return f"{self.equipment}/{self.name}"


class Storage(StrEnum):
    """Storage conditions of drug product (USP <659>): where mean kinetic temperature is told."""

    COLD = "2-8C"
    """Over 24 hours."""
    ROOM = "15-25C"
    """Controlled room temperature, over 30 days."""


@dataclass(frozen=True, slots=True)
class Operators:
    """Who may do what. Where a file says nothing of it, whoever reaches the gateway may act."""

    roles: Mapping[str, frozenset[str]]
    """By role: the acts (``messages.Act``) that it may do."""
    users: Mapping[str, tuple[str, ...]]
    """By the proven name (login on the gateway, user at the broker): the roles that one has."""
    others: tuple[str, ...] = ()
    """The roles of everybody else."""


Place = tuple[int, int]
"""Of a channel: index into ``Plant.sources``, and into ``Source.channels`` there."""


@dataclass(frozen=True, slots=True)
class StateFrom:
    """A channel that tells the state of its equipment."""

    place: Place
    states: Mapping[float | bool | str, EquipmentState]
    """By what the channel says; what is not named says nothing of the state."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """One incubator, bioreactor, freezer or room."""

    name: str
    kind: str
    area: str
    sources: tuple[int, ...]
    """Indices into ``Plant.sources``."""
    state_from: tuple[StateFrom, ...] = ()
    """The first of them that tells a state decides; none given: in use until an operator's act."""
    phase_from: Place | None = None
    """The channel that tells the phase of the process (a text, or a named state)."""
    doors: tuple[Place, ...] = ()
    """Channels that are true while something stands open: door, inner_door, lid."""
    storage: Storage | None = None
    """What drug product is stored here, where mean kinetic temperature has a meaning."""


@dataclass(frozen=True)
class Plant:
    """Everything the daemon needs to know before it opens its first connection."""

    site: str
    gateway: str
    lines: Mapping[str, Line]
    """By name; only those that this gateway owns."""
    line_silent: Mapping[str, Silent]
    """By line name: the rule that says when the line itself is the trouble."""
    equipment: tuple[Equipment, ...]
    sources: tuple[Source, ...]
    store: StoreSettings
    influxdb: InfluxDb | None
    mqtt: Mqtt | None
    text: str
    """The file as it was read; kept with the record whenever it changes."""
    digest: str
    """SHA-256 of ``text``, in hex; its first eight characters go out with every scan."""
    suppression: Mapping[EquipmentState, Suppression] = field(default_factory=dict)
    """What each state suppresses, and for how long a limit is switched off in it at most; a state
    that is not there suppresses nothing."""
    rejoin: int = 0
    """Excursions of one limit that lie no further apart than this are one (ns)."""
    operators: Operators | None = None
    http: Http | None = None
    notify: Notify | None = None
    other_databases: tuple[InfluxDb, ...] = ()
    """Beside ``influxdb``, which is the first or only one."""

    @property
    def databases(self) -> tuple[InfluxDb, ...]:
        """All databases that readings and events are delivered to."""
        return (*((self.influxdb,) if self.influxdb else ()), *self.other_databases)

    @cached_property
    def by_name(self) -> Mapping[str, Equipment]:
        """Equipment by its name."""
        return {equipment.name: equipment for equipment in self.equipment}
