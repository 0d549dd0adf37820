"""A plant in small, scans of it, and ticks to commit: what the store's tests are about."""

from collections.abc import Sequence

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
from config.rules import Silent
from config.site import StoreSettings
from drivers.reading import Scan, Value
from monitor.store import Event, Tick

SECOND = 10**9
NOON = 1_769_860_800 * SECOND
"""2026-01-31T12:00:00Z"""
REGISTER = Register(Table.INPUT, 0, Encoding.FLOAT32)
QUOTA = 2**30


def channel(name: str, type_: ChannelType = ChannelType.ANALOG, *, single: bool = False) -> Channel:
    return Channel(name, type_, "", REGISTER, single_precision=single)


def plant_of(*channels: Channel, equipments: int = 1) -> Plant:
    """Equipments ``incubator-0``, ``incubator-1`` …, each with one source of these channels."""
    sources = tuple(
        Source(
            index=index,
            equipment=f"incubator-{index}",
            name="probe",
            line="bus",
            unit=1,
            period=SECOND,
            timeout=SECOND,
            channels=channels,
            grouping=Grouping(),
            silent=Silent(name="silent"),
        )
        for index in range(equipments)
    )
    return Plant(
        site="les-ulis",
        gateway="gw-1",
        lines={},
        line_silent={},
        equipment=tuple(
            Equipment(source.equipment, "incubator", "suite-a", (source.index,))
            for source in sources
        ),
        sources=sources,
        store=StoreSettings(),
        influxdb=None,
        mqtt=None,
        text="",
        digest="0123456789abcdef" * 4,
    )


def scan_of(*values: Value | None, source: int = 0, at: int = NOON) -> Scan:
    return Scan(source, at, at, values)


def line_of(equipment: str, scan: int, at: int) -> bytes:
    """A line as ``Template`` writes it, of one good reading."""
    return (
        f"incubator,area=suite-a,equipment={equipment},gateway=gw-1,origin=live,site=les-ulis,"
        f"source=probe co2=5.{scan % 10},co2_quality=0i,"
        f'bad=0i,quality=0i,readings=1i,config="01234567",scan={scan}i'
        f" {at // 10**6}"
    ).encode()


def tick_of(
    groups: Sequence[int], first_scan: int, *, scans: int = 4, at: int = NOON, width: int = 1
) -> Tick:
    """Scans from ``first_scan`` on, a tenth of a second apart, dealt to the groups in turn."""
    tick = Tick()
    for scan in range(first_scan, first_scan + scans):
        group = scan % len(groups)
        time = at + scan * SECOND // 10
        tick.add(groups[group], line_of(f"incubator-{group}", scan, time) * width, scan, time)
    return tick


def event(number: int, seq: int | None = None, *, at: int = NOON, kind: str = "") -> Event:
    body = f'{{"number":{number}}}'
    return Event(number, seq, kind or ("alarm" if seq else "start"), at, at, "a/co2/high", body)
