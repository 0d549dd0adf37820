"""Plants of a few lines to judge alarms on, and short ways to write scans of them."""

from collections.abc import Mapping, Sequence

from config.lines import Modbus, ModbusLine
from config.plant import (
    Channel,
    ChannelType,
    Encoding,
    Equipment,
    Grouping,
    Plant,
    Register,
    Source,
    Table,
)
from config.rules import ChannelRule, Silent
from config.site import StoreSettings
from drivers.reading import Cause, Fault, Moment, Quality, Reason, Scan, Value

SECOND = 10**9
MINUTE = 60 * SECOND
NOON = 1_770_000_000 * SECOND
BOOTED = 5_000 * SECOND
"""Elapsed time of the machine at NOON: the two clocks agree on nothing but their pace."""


def moment(seconds: float) -> Moment:
    """Return the instant ``seconds`` after noon."""
    passed = round(seconds * SECOND)
    return Moment(NOON + passed, BOOTED + passed)


def minute(minutes: float) -> Moment:
    """Return the instant ``minutes`` after noon."""
    return moment(minutes * 60)


def channel(
    name: str, *rules: ChannelRule, kind: ChannelType = ChannelType.ANALOG, timed: bool = False
) -> Channel:
    register = Register(Table.INPUT, 0, Encoding.FLOAT32)
    return Channel(name, kind, "%", register, rules, has_source_time=timed)


def door(*rules: ChannelRule) -> Channel:
    """Return a channel of two states, closed and open."""
    register = Register(Table.INPUT, 0, Encoding.BIT)
    return Channel("door", ChannelType.STATE, "", register, rules, {0: "closed", 1: "open"})


def source(
    index: int,
    equipment: str,
    name: str,
    line: str,
    channels: Sequence[Channel],
    silent: Silent | None = None,
) -> Source:
    rule = silent or Silent(name=f"silent-{name}", on_delay=3 * SECOND)
    return Source(
        index, equipment, name, line, index, SECOND, SECOND, tuple(channels), Grouping(), rule
    )


def plant(*sources: Source, line_silent: Mapping[str, Silent] | None = None) -> Plant:
    lines = sorted({one.line for one in sources})
    names = list(dict.fromkeys(one.equipment for one in sources))
    silent = {line: Silent(name=f"line-{line}", on_delay=2 * SECOND) for line in lines} | dict(
        line_silent or {}
    )
    return Plant(
        site="les-ulis",
        gateway="gw-1",
        lines={line: ModbusLine(name=line, modbus=Modbus(host="127.0.0.1")) for line in lines},
        line_silent=silent,
        equipment=tuple(
            Equipment(
                name, "incubator", "suite-a", tuple(s.index for s in sources if s.equipment == name)
            )
            for name in names
        ),
        sources=sources,
        store=StoreSettings(),
        influxdb=None,
        mqtt=None,
        text="",
        digest="0" * 64,
    )


BAD = Fault(Quality.BAD, Reason.SENTINEL)
DOUBTFUL = Fault(Quality.UNCERTAIN, Reason.DEVICE_STATUS)


def scan(
    seconds: float,
    *values: Value | None,
    source: int = 0,
    faults: Mapping[int, Fault] | None = None,
    times: Mapping[int, int] | None = None,
    spoke: frozenset[int] | None = None,
) -> Scan:
    """Return what ``source`` said; a None that spoke is a bad reading."""
    missing = {i: BAD for i, v in enumerate(values) if v is None and (spoke is None or i in spoke)}
    return Scan(
        source, *moment(seconds), values, missing | dict(faults or {}), times or {}, spoke=spoke
    )


def lost(seconds: float, cause: Cause, channels: int, source: int = 0) -> Scan:
    """Return the bad scan of a source that could not be read."""
    reason = Reason.LINE_DOWN if cause is Cause.LINE else Reason.TIMED_OUT
    fault = Fault(Quality.BAD, reason)
    faults = dict.fromkeys(range(channels), fault)
    return Scan(source, *moment(seconds), (None,) * channels, faults, cause=cause)
