"""The physics of a stirred-tank bioreactor: pure functions from one state to the next.

Balances of amounts in the broth, so that what flows in or out needs no terms of dilution (SI:
mol, m3, s, W; temperatures in degC; a concentration in mol/m3 is one in mmol/L):

    cells       dN/dt = mu N                   mu = mu_max  S/(K_S + S)  O/(K_O + O)   (Monod)
    glucose     dG/dt = -(mu/Y + m S/(K_S + S)) N
    lactate     dL/dt = Y_L (-dG/dt)
    oxygen      dO/dt = kLa (O* - O) V - q O/(K_O + O) N
    CO2         dC/dt = RQ uptake + dL/dt - kLa_C (C - C*) V
    alkalinity  dA/dt = base - dL/dt           pH = pK + log10(A / C)     (Henderson-Hasselbalch)
    broth       M c dT/dt = UA (T_j - T) - UA_room (T - T_room) + heat of respiration
    jacket      C_j dT_j/dt = P - UA (T_j - T)

(the last two of CO2 and alkalinity: a proton of lactic acid turns a bicarbonate into CO2), with
kLa = 0.026 (P/V)^0.4 v^0.5, the form of van 't Riet (Ind. Eng. Chem. Process Des. Dev. 18 (1979)
357) for coalescing water, where P/V is the stirrer's power in W/m3 and v the superficial velocity
of the gas in m/s.  It is used below the powers that it was fitted to, as is usual for cells.

Left out, since they are small here: aeration by the surface, the change of the gas while it rises,
water vapour, buffers other than bicarbonate, what temperature and lactate do to growth.

The controllers are PI on their probes: dissolved oxygen by the stirrer first and by oxygen in the
gas when the stirrer is at its most; pH by CO2, and by base when it is too low without any; the
temperature by the jacket's heater.  A batch is drawn and filled: what is left after a harvest
inoculates the next.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from drivers.simulated import physics
from drivers.simulated.physics import proportional_integral

LONGEST_STEP = 3.0
"""Physical seconds: a fifth of the fastest time constants (the probe of pH, oxygen at its end)."""

KELVIN = 273.15
WATER = 993.0
"""kg/m3 at 37 degC; what is dissolved in a medium is left out."""
WATER_HEAT = 4.18e3
"""J/(kg K)"""
RESPIRATION_HEAT = 460e3
"""J per mol of O2: the oxycaloric value, about the same for every substrate."""
AIR_OXYGEN = 0.2095
"""Mole fraction of O2 in air."""
OXYGEN_SOLUBILITY = 0.21 / AIR_OXYGEN
"""mol/m3 in water at 37 degC under an atmosphere of O2: 0.21 under air, 6.7 mg/L."""
CO2_SOLUBILITY = 23.3
"""mol/m3 in plasma or medium at 37 degC under an atmosphere of CO2: 0.0307 mmol/L per mmHg."""
ACIDITY = 6.1
"""The apparent pK of carbonic acid in plasma and medium at 37 degC."""
CO2_TRANSFER = 0.91
"""kLa of CO2 over that of O2: the root of the ratio of their diffusivities."""


class Phase(StrEnum):
    """Where a batch stands."""

    INOCULATION = "inoculation"
    """Fresh medium flows to the cells, which do not divide until they are used to it."""
    GROWTH = "growth"
    HARVEST = "harvest"
    """The broth is drawn off but for the heel, which waits for the next medium."""


class Operation(StrEnum):
    """What the reactor's own controller is doing; the words are those of ISA-88."""

    RUNNING = "running"
    HELD = "held"
    """The stirrer's drive has tripped: liquids and gases wait for somebody."""
    COMPLETE = "complete"
    """Harvested, before the next batch."""


class State(NamedTuple):
    """What a bioreactor remembers: amounts in the broth, probes, controllers."""

    volume: float
    """m3"""
    cells: float
    """Living cells in the broth (a number)."""
    glucose: float
    """mol"""
    lactate: float
    """mol"""
    oxygen: float
    """Dissolved, mol."""
    co2: float
    """Dissolved, mol, bicarbonate not counted."""
    alkalinity: float
    """mol of bicarbonate"""
    broth: float
    """degC"""
    jacket: float
    """degC"""
    oxygen_probe: float
    """What the probe shows before its noise, % of saturation with air."""
    ph_probe: float
    broth_probe: float
    """degC"""
    oxygen_integral: float
    """Of the cascade: 0 to 1 stirs faster, 1 to 2 replaces air by oxygen."""
    co2_integral: float
    """m3/s"""
    heater_integral: float
    """W"""

    def per_volume(self, amount: float) -> float:
        """Concentration of an amount in the broth: mol/m3, which is mmol/L, or cells per m3."""
        return amount / self.volume


class Feed(NamedTuple):
    """What flows into the broth beside gas, and out of it (m3/s)."""

    base: float = 0.0
    medium: float = 0.0
    harvest: float = 0.0


@dataclass(frozen=True)
class Cells:
    """A line of cells.

    Growth, yields and maintenance are those of the CHO culture in Bioengineering 5 (2018) 25,
    table 2.  The uptake of oxygen lies within 0.07 to 0.36 pmol/h, which is what Ruffieux et al.
    (J. Biotechnol. 63 (1998) 85) found in the literature on animal cells.
    """

    growth: float = 0.039 / 3600
    """mu_max, 1/s: they double in 18 hours."""
    half_glucose: float = 1.0
    """K_S, mol/m3"""
    half_oxygen: float = 0.004
    """K_O, mol/m3: 2 % of saturation with air."""
    glucose_yield: float = 0.357e12
    """Y, cells per mol"""
    maintenance: float = 69.2e-15 / 3600
    """m, mol of glucose per cell and s"""
    lactate_yield: float = 0.70
    """Y_L, mol per mol of glucose"""
    uptake: float = 0.25e-12 / 3600
    """q, mol of O2 per cell and s"""
    respiratory_quotient: float = 1.0
    """RQ, mol of CO2 per mol of O2"""


@dataclass(frozen=True)
class Medium:
    """What comes in at an inoculation, warm, and saturated with air."""

    glucose: float = 25.0
    """mol/m3"""
    alkalinity: float = 24.0
    """mol/m3 of bicarbonate"""


@dataclass(frozen=True)
class Vessel:
    """A vessel of 10 l: sizes of a bench-top reactor, conductances by textbook values."""

    full: float = 0.010
    """m3"""
    heel: float = 0.002
    """m3 that stay at a harvest."""
    area: float = 0.038
    """m2: 0.22 m across."""
    impeller: float = 0.11
    """m across, half of the vessel."""
    power_number: float = 1.5
    """Of a pitched-blade impeller."""
    slowest: float = 50 / 60
    """1/s: what keeps the cells in suspension."""
    fastest: float = 180 / 60
    """1/s: faster would harm them."""
    gas: float = 1.0e-3 / 60
    """m3/s through the sparger, a tenth of the volume in a minute."""
    co2: float = 0.2e-3 / 60
    """m3/s of CO2 at most, out of ``gas``."""
    base_pump: float = 10e-6 / 60
    """m3/s at most"""
    base: float = 893.0
    """mol/m3: sodium bicarbonate, 7.5 % by weight."""
    pump: float = 0.5e-3 / 60
    """m3/s of the pumps for medium and harvest."""
    jacket_broth: float = 30.0
    """W/K: 0.15 m2 at 200 W/(m2 K)."""
    jacket_capacity: float = 10e3
    """J/K: 2 l of water and steel."""
    broth_room: float = 1.5
    """W/K"""
    heater: float = 400.0
    """W at most"""
    oxygen_probe: float = 30.0
    """Time constant, s: an optical sensor."""
    ph_probe: float = 15.0
    """Time constant, s."""
    broth_probe: float = 20.0
    """Time constant, s."""


@dataclass(frozen=True)
class Controls:
    """Set-points and gains of the reactor's own controllers."""

    temperature: float = 37.0
    """degC"""
    ph: float = 7.2
    oxygen: float = 40.0
    """% of saturation with air"""
    oxygen_gain: float = 0.008
    """Of the cascade, per %."""
    oxygen_time: float = 400.0
    """Integral time, s."""
    co2_gain: float = 1.0e-5
    """m3/s per pH"""
    co2_time: float = 900.0
    """Integral time, s."""
    base_gain: float = 8.0e-7
    """m3/s per pH"""
    base_band: float = 0.05
    """Base begins that much below the set-point."""
    heater_gain: float = 100.0
    """W/K"""
    heater_time: float = 1800.0
    """Integral time, s."""


@dataclass(frozen=True)
class Batch:
    """When a phase ends."""

    adaptation: float = 4 * 3600
    """s from the inoculation to the first division."""
    density: float = 6.0e12
    """Cells per m3 (6 million per mL) at which the culture is harvested."""
    starved: float = 0.5
    """mol/m3 of glucose, at which it is harvested too."""
    turnaround: float = 1800.0
    """s from the start of the harvest to the next inoculation, at least."""


@dataclass(frozen=True)
class Bioreactor:
    """One make of bioreactor, and what is grown in it."""

    vessel: Vessel = field(default_factory=Vessel)
    controls: Controls = field(default_factory=Controls)
    cells: Cells = field(default_factory=Cells)
    medium: Medium = field(default_factory=Medium)
    batch: Batch = field(default_factory=Batch)


@dataclass(frozen=True)
class Inputs:
    """What acts on the bioreactor from outside."""

    phase: Phase = Phase.GROWTH
    gas: bool = True
    """Whether the gases still have pressure."""
    drive: bool = True
    """Whether the stirrer still turns."""
    room: float = 22.0
    """degC"""


class Actuators(NamedTuple):
    """What the controllers do now, and how fast their integral parts change."""

    stirring: float
    """1/s"""
    air: float
    """m3/s"""
    oxygen: float
    """m3/s"""
    co2: float
    """m3/s"""
    feed: Feed
    heater: float
    """W"""
    oxygen_rate: float
    co2_rate: float
    heater_rate: float

    @property
    def gas(self) -> float:
        """All that goes through the sparger, m3/s."""
        return self.air + self.oxygen + self.co2


def acidity(state: State) -> float:
    """Return the pH of the broth."""
    return ACIDITY + math.log10(max(state.alkalinity, 1e-9) / max(state.co2, 1e-9))


def saturation(state: State) -> float:
    """Return the dissolved oxygen, % of what air would dissolve."""
    return 100 * state.per_volume(state.oxygen) / (OXYGEN_SOLUBILITY * AIR_OXYGEN)


def growth(cells: Cells, glucose: float, oxygen: float) -> float:
    """Return Monod's specific growth rate (1/s) at these concentrations (mol/m3)."""
    by_glucose = glucose / (cells.half_glucose + glucose)
    return cells.growth * by_glucose * oxygen / (cells.half_oxygen + oxygen)


def uptake(make: Bioreactor, state: State) -> float:
    """Return the oxygen that the cells take up, mol/(m3 s)."""
    oxygen = max(0.0, state.per_volume(state.oxygen))
    share = oxygen / (make.cells.half_oxygen + oxygen)
    return make.cells.uptake * state.per_volume(state.cells) * share


def transfer(vessel: Vessel, volume: float, stirring: float, gas: float) -> float:
    """Return kLa of oxygen (1/s), for a stirrer at ``stirring`` (1/s) and ``gas`` (m3/s)."""
    power = vessel.power_number * WATER * stirring**3 * vessel.impeller**5
    return float(0.026 * (power / volume) ** 0.4 * (gas / vessel.area) ** 0.5)


def operation(make: Bioreactor, state: State, inputs: Inputs) -> Operation:
    """Return what the reactor's own controller says that it is doing."""
    if not inputs.drive:
        return Operation.HELD
    if inputs.phase is Phase.HARVEST and state.volume <= make.vessel.heel:
        return Operation.COMPLETE
    return Operation.RUNNING


def following(make: Bioreactor, state: State, phase: Phase, seconds: float) -> Phase:
    """Return the phase after one that has stood for ``seconds``: the same unless it is over."""
    match phase:
        case Phase.INOCULATION:
            over = seconds >= make.batch.adaptation and state.volume >= make.vessel.full
            return Phase.GROWTH if over else phase
        case Phase.GROWTH:
            dense = state.per_volume(state.cells) >= make.batch.density
            over = dense or state.per_volume(state.glucose) <= make.batch.starved
            return Phase.HARVEST if over else phase
        case Phase.HARVEST:
            over = seconds >= make.batch.turnaround and state.volume <= make.vessel.heel
            return Phase.INOCULATION if over else phase


def grown(make: Bioreactor, density: float, inputs: Inputs) -> State:
    """Return a full vessel whose cells have grown to ``density`` (per m3) since their inoculation.

    They took of the medium what growth at ``mu_max`` takes, and the controllers have settled.
    """
    cells, medium, vessel = make.cells, make.medium, make.vessel
    grown = max(0.0, density - make.batch.density * vessel.heel / vessel.full)
    eaten = grown * (1 / cells.glucose_yield + cells.maintenance / cells.growth)
    lactate = cells.lactate_yield * eaten
    alkalinity = max(medium.alkalinity - lactate, 5.0)
    controls, volume = make.controls, vessel.full
    rough = State(
        volume=volume,
        cells=density * volume,
        glucose=max(medium.glucose - eaten, 1.0) * volume,
        lactate=lactate * volume,
        oxygen=controls.oxygen / 100 * OXYGEN_SOLUBILITY * AIR_OXYGEN * volume,
        co2=alkalinity / 10 ** (controls.ph - ACIDITY) * volume,
        alkalinity=alkalinity * volume,
        broth=controls.temperature,
        jacket=controls.temperature,
        oxygen_probe=controls.oxygen,
        ph_probe=controls.ph,
        broth_probe=controls.temperature,
        oxygen_integral=0.0,
        co2_integral=0.0,
        heater_integral=0.0,
    )
    return _settled(make, rough, inputs)


def _settled(make: Bioreactor, state: State, inputs: Inputs) -> State:
    """The state with the controllers at what keeps oxygen, CO2 and temperature where they are."""
    state = _settled_heat(make, state, inputs)
    for _ in range(20):  # CO2 in the gas leaves less room for oxygen, and the stirrer moves both.
        state = _settled_oxygen(make, state, inputs)
        state = _settled_co2(make, state, inputs)
    return state


def _settled_heat(make: Bioreactor, state: State, inputs: Inputs) -> State:
    vessel = make.vessel
    respiration = RESPIRATION_HEAT * uptake(make, state) * state.volume
    needed = max(0.0, vessel.broth_room * (state.broth - inputs.room) - respiration)
    jacket = state.broth + needed / vessel.jacket_broth
    return state._replace(jacket=jacket, heater_integral=needed)


def _settled_oxygen(make: Bioreactor, state: State, inputs: Inputs) -> State:
    def rate(demand: float) -> float:
        return rates(make, state._replace(oxygen_integral=demand), inputs).oxygen

    return state._replace(oxygen_integral=_bisected(rate, 2.0))


def _settled_co2(make: Bioreactor, state: State, inputs: Inputs) -> State:
    def rate(flow: float) -> float:
        return rates(make, state._replace(co2_integral=flow), inputs).co2

    return state._replace(co2_integral=_bisected(rate, make.vessel.co2))


def _bisected(rising: Callable[[float], float], most: float) -> float:
    """Where a function that rises is nought between 0 and ``most``, or the nearer of these."""
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def advance(make: Bioreactor, state: State, inputs: Inputs, seconds: float) -> State:
    """Return the state after ``seconds`` of physical time under constant ``inputs``."""
    return physics.advance(
        State._make, state, lambda now: rates(make, now, inputs), seconds, LONGEST_STEP
    )


def rates(make: Bioreactor, state: State, inputs: Inputs) -> State:
    """Return the change of each part of ``state`` per second."""
    vessel, cells, act = make.vessel, make.cells, actuators(make, state, inputs)
    feed, out = act.feed, act.feed.harvest / state.volume
    glucose = max(0.0, state.per_volume(state.glucose))
    oxygen = max(0.0, state.per_volume(state.oxygen))
    rate = 0.0 if inputs.phase is Phase.INOCULATION else growth(cells, glucose, oxygen)
    kept = cells.maintenance * glucose / (cells.half_glucose + glucose)
    eaten = (rate / cells.glucose_yield + kept) * state.cells
    acid = cells.lactate_yield * eaten
    breathed = uptake(make, state) * state.volume
    dissolved, stripped = _exchanged(vessel, state, act)
    medium = _medium(make)
    return State(
        volume=feed.base + feed.medium - feed.harvest,
        cells=rate * state.cells - out * state.cells,
        glucose=feed.medium * medium.glucose - eaten - out * state.glucose,
        lactate=acid - out * state.lactate,
        oxygen=dissolved - breathed + feed.medium * medium.oxygen - out * state.oxygen,
        co2=cells.respiratory_quotient * breathed + acid - stripped
        + feed.medium * medium.co2 - out * state.co2,
        alkalinity=feed.base * vessel.base - acid
        + feed.medium * medium.alkalinity - out * state.alkalinity,
        broth=_warming(make, state, inputs, feed, breathed),
        jacket=(act.heater - vessel.jacket_broth * (state.jacket - state.broth))
        / vessel.jacket_capacity,
        oxygen_probe=(saturation(state) - state.oxygen_probe) / vessel.oxygen_probe,
        ph_probe=(acidity(state) - state.ph_probe) / vessel.ph_probe,
        broth_probe=(state.broth - state.broth_probe) / vessel.broth_probe,
        oxygen_integral=act.oxygen_rate,
        co2_integral=act.co2_rate,
        heater_integral=act.heater_rate,
    )  # fmt: skip


class _Dissolved(NamedTuple):
    """What a cubic metre of fresh medium brings, mol."""

    glucose: float
    oxygen: float
    co2: float
    alkalinity: float


def _medium(make: Bioreactor) -> _Dissolved:
    """Fresh medium, in equilibrium with air and at the set-point of pH."""
    alkalinity = make.medium.alkalinity
    co2 = alkalinity / 10 ** (make.controls.ph - ACIDITY)
    return _Dissolved(make.medium.glucose, OXYGEN_SOLUBILITY * AIR_OXYGEN, co2, alkalinity)


def _exchanged(vessel: Vessel, state: State, act: Actuators) -> tuple[float, float]:
    """Oxygen that dissolves out of the gas, and CO2 that goes into it (mol/s)."""
    gas = act.gas
    if gas <= 0:
        return 0.0, 0.0
    transferred = transfer(vessel, state.volume, act.stirring, gas) * state.volume
    oxygen = OXYGEN_SOLUBILITY * (AIR_OXYGEN * act.air + act.oxygen) / gas
    co2 = CO2_SOLUBILITY * act.co2 / gas
    dissolved = transferred * (oxygen - state.per_volume(state.oxygen))
    return dissolved, CO2_TRANSFER * transferred * (state.per_volume(state.co2) - co2)


def _warming(make: Bioreactor, state: State, inputs: Inputs, feed: Feed, breathed: float) -> float:
    """Of the broth, K/s; base comes at the room's temperature, medium warm."""
    vessel = make.vessel
    from_jacket = vessel.jacket_broth * (state.jacket - state.broth)
    to_room = vessel.broth_room * (state.broth - inputs.room)
    heat = from_jacket - to_room + RESPIRATION_HEAT * breathed
    mixed = feed.base * (inputs.room - state.broth)
    mixed += feed.medium * (make.controls.temperature - state.broth)
    return (heat / (WATER * WATER_HEAT) + mixed) / state.volume


def actuators(make: Bioreactor, state: State, inputs: Inputs) -> Actuators:
    """Return what the controllers do in ``state``.

    Without gas or stirrer those of oxygen and CO2 hold their integral parts, as real ones do.
    """
    vessel, controls = make.vessel, make.controls
    flowing = inputs.gas and inputs.drive
    demand, oxygen_rate = proportional_integral(
        controls.oxygen - state.oxygen_probe,
        state.oxygen_integral,
        controls.oxygen_gain,
        controls.oxygen_time,
        2.0,
    )
    co2, co2_rate = proportional_integral(
        state.ph_probe - controls.ph,
        state.co2_integral,
        controls.co2_gain,
        controls.co2_time,
        vessel.co2,
    )
    heater, heater_rate = proportional_integral(
        controls.temperature - state.broth_probe,
        state.heater_integral,
        controls.heater_gain,
        controls.heater_time,
        vessel.heater,
    )
    faster = vessel.slowest + min(1.0, demand) * (vessel.fastest - vessel.slowest)
    rest = vessel.gas - co2
    enriched = rest * max(0.0, demand - 1.0)
    return Actuators(
        stirring=faster if inputs.drive else 0.0,
        air=rest - enriched if flowing else 0.0,
        oxygen=enriched if flowing else 0.0,
        co2=co2 if flowing else 0.0,
        feed=_feed(make, state, inputs),
        heater=heater,
        oxygen_rate=oxygen_rate if flowing else 0.0,
        co2_rate=co2_rate if flowing else 0.0,
        heater_rate=heater_rate,
    )


def _feed(make: Bioreactor, state: State, inputs: Inputs) -> Feed:
    """What the pumps for base, medium and harvest do."""
    vessel, controls = make.vessel, make.controls
    if not inputs.drive:
        return Feed()
    short = controls.ph - controls.base_band - state.ph_probe
    base = max(0.0, min(vessel.base_pump, controls.base_gain * short))
    fills = inputs.phase is Phase.INOCULATION and state.volume < vessel.full
    draws = inputs.phase is Phase.HARVEST and state.volume > vessel.heel
    return Feed(base, vessel.pump * fills, vessel.pump * draws)
