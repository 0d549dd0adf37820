"""The nodes of a simulated bioreactor: what its OPC UA server shows, and what each value is. Pure.

Named as a maker names them (``bioreactor-01.PH``), with engineering units by their UNECE codes and
the range in which a value can be.  The phase is an enumeration with the names beside it, as most
controllers have it, and the operating state a string, as some do.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from drivers.simulated.bioreactor import Phase
from drivers.simulated.equipment import TANK, Tank
from drivers.simulated.sensors import Quantity

NAMESPACE = "urn:simulated-plant:bioreactor"
"""The URI of the namespace in which the nodes are."""
PHASES = tuple(Phase)
"""In the order of their numbers."""
PHASE, OPERATION = "Phase", "OperatingState"


class Analog(NamedTuple):
    """A measured or wanted value: its channel in the catalogue, its node, unit and range."""

    channel: str
    node: str
    """Behind the equipment's name."""
    unit: str
    """Symbol of ``config.units``."""
    low: float
    high: float


MEASURED: Mapping[Quantity, Analog] = {
    quantity: Analog(quantity.value, *rest)
    for quantity, rest in {
        Quantity.TEMPERATURE: ("Temperature", "Cel", 0.0, 60.0),
        Quantity.PH: ("PH", "pH", 0.0, 14.0),
        Quantity.DISSOLVED_OXYGEN: ("DissolvedOxygen", "%", 0.0, 500.0),
        Quantity.AGITATION: ("Agitation", "rpm", 0.0, 300.0),
        Quantity.AIR_FLOW: ("AirFlow", "mL/min", 0.0, 2000.0),
        Quantity.O2_FLOW: ("OxygenFlow", "mL/min", 0.0, 2000.0),
        Quantity.CO2_FLOW: ("CarbonDioxideFlow", "mL/min", 0.0, 500.0),
        Quantity.BASE_FLOW: ("BaseFlow", "mL/min", 0.0, 20.0),
        Quantity.WEIGHT: ("Weight", "kg", 0.0, 20.0),
        Quantity.GLUCOSE: ("Glucose", "g/L", 0.0, 10.0),
        Quantity.LACTATE: ("Lactate", "g/L", 0.0, 10.0),
        Quantity.CELL_DENSITY: ("CellDensity", "1/mL", 0.0, 1e8),
        Quantity.OXYGEN_UPTAKE: ("OxygenUptakeRate", "mmol/L/h", 0.0, 20.0),
        Quantity.HEATER: ("Heater", "%", 0.0, 100.0),
    }.items()
}

SETPOINTS: Mapping[Analog, float] = {
    Analog("temperature_setpoint", "Temperature.SetPoint", "Cel", 0.0, 60.0): (
        TANK.controls.temperature
    ),
    Analog("ph_setpoint", "PH.SetPoint", "pH", 0.0, 14.0): TANK.controls.ph,
    Analog("dissolved_oxygen_setpoint", "DissolvedOxygen.SetPoint", "%", 0.0, 500.0): (
        TANK.controls.oxygen
    ),
}

ANALOGS = (*MEASURED.values(), *SETPOINTS)
"""Every node with a unit."""


class Status(Enum):
    """How far the server vouches for a value."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    """The sensor may not be accurate."""
    BAD = "bad"
    """The sensor has failed: there is no value."""


class Shown(NamedTuple):
    """What a node shows."""

    value: float | str | None
    """None exactly when the status is bad; the phase is its number."""
    status: Status = Status.GOOD


def shown(tank: Tank) -> Mapping[str, Shown]:
    """Return what each node of ``tank`` shows now, by its name behind the equipment's."""
    uncertain = tank.uncertain
    measured = {
        analog.node: _measured(tank.shown[quantity], sure=quantity not in uncertain)
        for quantity, analog in MEASURED.items()
    }
    wanted = {analog.node: Shown(value) for analog, value in SETPOINTS.items()}
    phase = Shown(PHASES.index(tank.inputs.phase))
    return measured | wanted | {PHASE: phase, OPERATION: Shown(tank.operation.value)}


def _measured(value: float | None, *, sure: bool) -> Shown:
    if value is None:
        return Shown(None, Status.BAD)
    return Shown(value, Status.GOOD if sure else Status.UNCERTAIN)
