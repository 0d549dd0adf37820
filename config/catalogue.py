"""The catalogue: for each kind of equipment its channels, the same at every site.

InfluxDB freezes a field's type at first sight, and seven sites share one set of dashboards; so type
and unit of ``incubator``/``co2`` are decided here once. A site adds what it needs under ``kinds:``
in its file: a kind of its own, or further channels of a kind; it cannot change what stands here.
"""

from collections.abc import Mapping

from pydantic import Field

from config.model import Flag, Id, Model
from config.plant import ChannelType

RESERVED_KINDS = frozenset({"gateway", "event", "alarm_event", "alarm_performance"})
"""Measurements of our own."""
RESERVED_EQUIPMENT = frozenset({"gateway"})
"""The gateway's own alarms stand under this name."""
RESERVED_CHANNELS = frozenset(
    {"site", "area", "equipment", "source", "gateway", "origin", "time"}
    | {"scan", "missed", "state", "config", "clock_synchronised"}
    | {"quality", "readings", "bad"}
)
"""Tags and fields of our own in every point."""
RESERVED_ENDINGS = ("_quality", "_reason", "_source")
"""What follows a channel's name in the fields that go with it."""


class Entry(Model):
    """What a channel is, wherever it is met."""

    type: ChannelType = ChannelType.ANALOG
    unit: str = ""
    """For ``analog`` and ``counter``; empty: a bare number that is not converted."""
    names: Mapping[int, str] = Field(default_factory=dict)
    """For ``state``: what 0 (false) and 1 (true) are called, whichever way the contact is wired."""
    noisy: Flag = False
    """A measured value that a living instrument never leaves quite as it is: where its source time
    stands still, the rule ``stale`` says so without being asked."""

    def is_like(self, other: "Entry") -> bool:
        """Whether both are the same thing on the record."""
        return (self.type, self.unit, self.names) == (other.type, other.unit, other.names)


Kind = Mapping[Id, Entry]
"""Channels of one kind of equipment, by name."""


def _analog(unit: str) -> Entry:
    return Entry(unit=unit)


def _noisy(unit: str) -> Entry:
    return Entry(unit=unit, noisy=True)


def _state(false: str, true: str) -> Entry:
    return Entry(type=ChannelType.STATE, names={0: false, 1: true})


_TEXT = Entry(type=ChannelType.TEXT)
_CELSIUS, _PERCENT = _analog("Cel"), _analog("%")
"""Of what is set, or is measured only now and then, or stands still in good operation."""
_TEMPERATURE, _HUMIDITY, _GAS = _noisy("Cel"), _noisy("%RH"), _noisy("%")
_DOOR, _POWER, _CONTACT = (
    _state("closed", "open"),
    _state("off", "on"),
    _state("normal", "alarm"),
)

_CHAMBER: Mapping[str, Entry] = {
    "temperature": _TEMPERATURE,
    "temperature_setpoint": _CELSIUS,
    "temperature_reference": _TEMPERATURE,
    "door": _DOOR,
    "power": _POWER,
    "alarm_contact": _CONTACT,
    "device_status": Entry(type=ChannelType.COUNTER),
    "mode": _TEXT,
}
"""What everything with a door and a temperature has; the reference is a probe of one's own, that no
control depends on."""

_COLD_STORE: Mapping[str, Entry] = {
    **_CHAMBER,
    "temperature_top": _TEMPERATURE,
    "temperature_bottom": _TEMPERATURE,
    "temperature_product": _CELSIUS,
    "compressor": _POWER,
}

CATALOGUE: Mapping[str, Mapping[str, Entry]] = {
    "incubator": {
        **_CHAMBER,
        "co2": _GAS,
        "co2_setpoint": _PERCENT,
        "co2_probe_temperature": _TEMPERATURE,
        "o2": _GAS,
        "o2_setpoint": _PERCENT,
        "humidity": _HUMIDITY,
        "dew_point": _TEMPERATURE,
        "inner_door": _DOOR,
        "heater": _PERCENT,
        "co2_valve": _PERCENT,
        "co2_supply_pressure": _analog("bar"),
        "n2_supply_pressure": _analog("bar"),
        "decontamination": _state("off", "running"),
    },
    "bioreactor": {
        **_CHAMBER,
        "ph": _noisy("pH"),
        "ph_setpoint": _analog("pH"),
        "dissolved_oxygen": _noisy("%"),
        "dissolved_oxygen_setpoint": _PERCENT,
        "agitation": _analog("rpm"),
        "agitation_setpoint": _analog("rpm"),
        "rocking_angle": _analog("deg"),
        "air_flow": _analog("mL/min"),
        "o2_flow": _analog("mL/min"),
        "n2_flow": _analog("mL/min"),
        "co2_flow": _analog("mL/min"),
        "base_flow": _analog("mL/min"),
        "feed_flow": _analog("mL/min"),
        "harvest_flow": _analog("mL/min"),
        "pressure": _analog("mbar"),
        "volume": _analog("L"),
        "weight": _analog("kg"),
        "glucose": _analog("g/L"),
        "lactate": _analog("g/L"),
        "conductivity": _noisy("mS/cm"),
        "cell_density": _analog("1/mL"),
        "oxygen_uptake": _analog("mmol/L/h"),
        "phase": _TEXT,
        "operating_state": _TEXT,
        "heater": _PERCENT,
    },
    "freezer": _COLD_STORE,
    "refrigerator": {**_COLD_STORE, "humidity": _HUMIDITY},
    "ln2-dewar": {
        **_COLD_STORE,
        "level": _analog("mm"),
        "level_percent": _PERCENT,
        "lid": _DOOR,
        "filling": _state("off", "on"),
    },
    "room": {
        **_CHAMBER,
        "humidity": _HUMIDITY,
        "dew_point": _TEMPERATURE,
        "differential_pressure": _noisy("Pa"),
        "co2": _noisy("ppm"),
        "o2": _GAS,
        "particles_0_5um": _analog("1/m3"),
        "particles_5um": _analog("1/m3"),
        "air_velocity": _noisy("m/s"),
    },
    "generic": {
        **_CHAMBER,
        "humidity": _HUMIDITY,
        "co2": _PERCENT,
        "o2": _PERCENT,
        "pressure": _analog("mbar"),
        "contact_1": _state("open", "closed"),
        "contact_2": _state("open", "closed"),
        "contact_3": _state("open", "closed"),
        "contact_4": _state("open", "closed"),
    },
}


def reserved(channel: str) -> bool:
    """Whether a channel of this name would meet a tag or field of our own."""
    return channel in RESERVED_CHANNELS or channel.endswith(RESERVED_ENDINGS)
