"""The physics of a CO2 incubator: pure functions from one state, and what acts on it, to the next.

Four balances in SI units, with temperatures in degrees Celsius and CO2 in % v/v:

    air     C_a dT/dt  = UA_aw (T_w - T) - rho cp Q (T - T_room)
    wall    C_w dTw/dt = P - UA_aw (T_w - T) - UA_wr (T_w - T_room) - L E
    CO2     V dc/dt    = F (100 - c) - Q (c - c_room)
    vapour  V dw/dt    = E - Q (w - w_room)       E = K (w_sat(T_w) - w)

with P the heater's power (W), F the flow of pure CO2 (m3/s), and Q the exchange of air with the
room (m3/s): the leak of a closed chamber, or through an open door the buoyancy-driven exchange of
a rectangular opening, Q = C_d/3 A sqrt(g H dT/T) (orifice formula for two-way flow, ASHRAE
Fundamentals, "Ventilation and infiltration").
Magnus' formula (WMO-No. 8, constants of Sonntag 1990) gives the saturation of water vapour.
Each probe lags behind what it measures by a time constant of its own.  Heater and gas valve are PI
controllers on their probe, held while the door is open, as incubators do with a door switch.
K is that of the water pan while water evaporates, and of all walls while it condenses on them.
A decontamination with moist heat heats the walls to some 90 degC with heaters of its own and the
gas shut, and then cools them from outside by a blower until the chamber is at its set-point.

The parameters are general engineering values for a chamber of 170 l (see ``Chamber``), chosen to
recover from a door opening as such chambers do: CO2 and temperature in 5 to 10 minutes, humidity
in half an hour.
"""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from drivers.simulated import physics
from drivers.simulated.physics import proportional_integral

LONGEST_STEP = 1.0
"""Physical seconds: a quarter of the fastest time constant (air through the open door)."""

READY_TEMPERATURE, READY_CO2 = 0.3, 0.1
"""How far from its set-points (K, % v/v) an incubator is ready for cells."""
GRAVITY = 9.81  # m/s2
AIR_HEAT = 1206.0  # rho cp of air, J/(m3 K)
EVAPORATION_HEAT = 2.41e3  # of water at 37 degC, J/g
KELVIN = 273.15


class State(NamedTuple):
    """What an incubator remembers: the four balances, its probes and its two controllers."""

    air: float
    """Temperature of the chamber's air and shelves, degC."""
    wall: float
    """Temperature of the walls and of the water pan, degC."""
    co2: float
    """% v/v"""
    vapour: float
    """Water vapour in the air, g/m3."""
    air_probe: float
    """What the temperature probe shows, degC, before its noise."""
    co2_probe: float
    """% v/v"""
    humidity_probe: float
    """% RH"""
    heater_integral: float
    """The heater's integral part, W."""
    valve_integral: float
    """The gas valve's integral part, m3/s."""


@dataclass(frozen=True)
class Room:
    """What is around the incubator, and gets in."""

    temperature: float = 22.0
    """degC"""
    co2: float = 0.05
    """% v/v: people breathe"""
    humidity: float = 45.0
    """% RH"""


@dataclass(frozen=True)
class Chamber:
    """A chamber of 170 l: sizes by its data sheets' dimensions, conductances by textbook values."""

    volume: float = 0.17
    """m3"""
    air_capacity: float = 2.0e3
    """J/K: 0.2 of air, the rest of thin steel shelves."""
    wall_capacity: float = 27e3
    """J/K: 30 kg of steel, 3 l of water."""
    air_wall: float = 15.0
    """W/K: 1.9 m2 of wall at 8 W/(m2 K), a fan turning slowly."""
    wall_room: float = 2.5
    """W/K: 1.9 m2 behind 30 mm of insulation."""
    heater: float = 300.0
    """W at most."""
    hot_heater: float = 2000.0
    """W at most in a decontamination, from one socket of the wall."""
    stirred: float = 45.0
    """W/K between air and walls while a decontamination turns the fan fast."""
    flooded: float = 1.1e-3
    """m3/s: its water stands on the whole floor, 0.27 m2."""
    blower: float = 80.0
    """W/K from the walls to the room at the most while it cools: 40 W/(m2 K), blown behind them."""
    leak: float = 0.17 / 5400
    """m3/s: the chamber's air once in an hour and a half."""
    door_area: float = 0.36
    """m2"""
    door_height: float = 0.6
    """m"""
    discharge: float = 0.6
    """Of a sharp-edged opening."""
    evaporation: float = 2.4e-4
    """m3/s: 0.06 m2 of water at a mass transfer of 4 mm/s."""
    condensation: float = 7.6e-3
    """m3/s: the same on 1.9 m2 of wall."""
    gas_flow: float = 1.0e-4
    """m3/s of CO2 at most (6 l/min), behind its pressure reducer."""
    air_probe: float = 15.0
    """Time constant, s; a capacitive humidity and temperature probe with a steel filter."""
    co2_probe: float = 26.0
    """Time constant, s: 90 % in a minute, as an infrared probe behind a sintered filter."""
    humidity_probe: float = 30.0
    """Time constant, s."""


@dataclass(frozen=True)
class Controls:
    """Set-points and gains of the incubator's own two controllers."""

    temperature: float = 37.0
    """Set-point, degC."""
    co2: float = 5.0
    """Set-point, % v/v."""
    heater_gain: float = 40.0
    """W/K"""
    heater_time: float = 7200.0
    """Integral time, s."""
    valve_gain: float = 1.5e-5
    """m3/s per % v/v"""
    valve_time: float = 7200.0
    """Integral time, s."""
    hot: float = 90.0
    """Set-point in a decontamination, degC."""
    hot_gain: float = 200.0
    """W/K"""
    blower_gain: float = 0.5
    """Of the blower's most, per K of the walls above the set-point."""


class Programme(Enum):
    """What an incubator's own controller is at."""

    CULTURE = "culture"
    HOT = "hot"
    """A decontamination heats and holds."""
    COOLING = "cooling"
    """It cools down, and waits at the set-point with the gas still shut."""


@dataclass(frozen=True)
class Inputs:
    """What acts on the incubator from outside."""

    door_open: bool = False
    gas: bool = True
    """Whether the bottle still has pressure."""
    programme: Programme = Programme.CULTURE
    room: Room = field(default_factory=Room)


@dataclass(frozen=True)
class Incubator:
    """One make of incubator."""

    chamber: Chamber = field(default_factory=Chamber)
    controls: Controls = field(default_factory=Controls)


def saturation(temperature: float) -> float:
    """Return the water vapour of saturated air at ``temperature`` (degC) in g/m3."""
    pressure = 611.2 * math.exp(17.62 * temperature / (243.12 + temperature))
    return 2.16679 * pressure / (temperature + KELVIN)


def relative_humidity(vapour: float, temperature: float) -> float:
    """Return % RH of air with ``vapour`` g/m3 at ``temperature`` (degC); mist counts as 100."""
    return min(100.0, 100.0 * vapour / saturation(temperature))


def settled(incubator: Incubator, room: Room) -> State:
    """Return the state of an incubator that has stood closed, at its set-points, for a day."""
    chamber, controls = incubator.chamber, incubator.controls
    exchange, outside = chamber.leak, saturation(room.temperature) * room.humidity / 100
    to_room = AIR_HEAT * exchange * (controls.temperature - room.temperature)
    wall = controls.temperature + to_room / chamber.air_wall
    evaporation, saturated = chamber.evaporation, saturation(wall)
    vapour = (evaporation * saturated + exchange * outside) / (evaporation + exchange)
    latent = EVAPORATION_HEAT * evaporation * (saturated - vapour)
    return State(
        air=controls.temperature,
        wall=wall,
        co2=controls.co2,
        vapour=vapour,
        air_probe=controls.temperature,
        co2_probe=controls.co2,
        humidity_probe=relative_humidity(vapour, controls.temperature),
        heater_integral=to_room + chamber.wall_room * (wall - room.temperature) + latent,
        valve_integral=exchange * (controls.co2 - room.co2) / (100 - controls.co2),
    )


def is_cool(incubator: Incubator, state: State) -> bool:
    """Whether it is no warmer than cells may have it."""
    return state.air_probe < incubator.controls.temperature + READY_TEMPERATURE


def is_ready(incubator: Incubator, state: State) -> bool:
    """Whether temperature and CO2 are as they should be for cells."""
    controls = incubator.controls
    off = abs(state.air_probe - controls.temperature), abs(state.co2_probe - controls.co2)
    return off[0] < READY_TEMPERATURE and off[1] < READY_CO2


def advance(incubator: Incubator, state: State, inputs: Inputs, seconds: float) -> State:
    """Return the state after ``seconds`` of physical time under constant ``inputs``."""
    return physics.advance(
        State._make, state, lambda now: rates(incubator, now, inputs), seconds, LONGEST_STEP
    )


def rates(incubator: Incubator, state: State, inputs: Inputs) -> State:
    """Return the change of each part of ``state`` per second."""
    chamber, room = incubator.chamber, inputs.room
    exchange = _exchange(chamber, state.air, inputs)
    evaporated = _evaporation(chamber, state, inputs)
    outside = saturation(room.temperature) * room.humidity / 100
    to_air = _stirring(chamber, inputs) * (state.wall - state.air)
    to_room = _insulation(incubator, state, inputs) * (state.wall - room.temperature)
    heater, heater_rate = _heater(incubator, state, inputs)
    gas, gas_rate = _valve(incubator, state, inputs)
    humidity = relative_humidity(state.vapour, state.air)
    by_door = AIR_HEAT * exchange * (state.air - room.temperature)
    return State(
        air=(to_air - by_door) / chamber.air_capacity,
        wall=(heater - to_air - to_room - EVAPORATION_HEAT * evaporated) / chamber.wall_capacity,
        co2=(gas * (100 - state.co2) - exchange * (state.co2 - room.co2)) / chamber.volume,
        vapour=(evaporated - exchange * (state.vapour - outside)) / chamber.volume,
        air_probe=(state.air - state.air_probe) / chamber.air_probe,
        co2_probe=(state.co2 - state.co2_probe) / chamber.co2_probe,
        humidity_probe=(humidity - state.humidity_probe) / chamber.humidity_probe,
        heater_integral=heater_rate,
        valve_integral=gas_rate,
    )


def _exchange(chamber: Chamber, air: float, inputs: Inputs) -> float:
    """Air that goes out and is replaced by the room's, m3/s."""
    if not inputs.door_open:
        return chamber.leak
    outside = inputs.room.temperature
    buoyancy = abs(air - outside) / (outside + KELVIN)
    speed = math.sqrt(GRAVITY * chamber.door_height * buoyancy)
    return chamber.leak + chamber.discharge / 3 * chamber.door_area * speed


def _evaporation(chamber: Chamber, state: State, inputs: Inputs) -> float:
    """Water that evaporates, or with a minus condenses on the walls, g/s."""
    short = saturation(state.wall) - state.vapour
    if short < 0:
        return short * chamber.condensation
    return short * (chamber.flooded if inputs.programme is Programme.HOT else chamber.evaporation)


def _stirring(chamber: Chamber, inputs: Inputs) -> float:
    """What goes between air and walls, W/K."""
    return chamber.air_wall if inputs.programme is Programme.CULTURE else chamber.stirred


def _insulation(incubator: Incubator, state: State, inputs: Inputs) -> float:
    """What the walls lose to the room, W/K; the blower helps while there is something to cool."""
    chamber, controls = incubator.chamber, incubator.controls
    if inputs.programme is not Programme.COOLING:
        return chamber.wall_room
    wanted = controls.blower_gain * (state.wall - controls.temperature)
    return chamber.wall_room + chamber.blower * max(0.0, min(1.0, wanted))


def _heater(incubator: Incubator, state: State, inputs: Inputs) -> tuple[float, float]:
    """The heater's power (W), and how fast its integral part changes (W/s)."""
    controls, chamber = incubator.controls, incubator.chamber
    if inputs.door_open:
        return max(0.0, min(chamber.heater, state.heater_integral)), 0.0
    if inputs.programme is Programme.HOT:
        wanted = controls.hot_gain * (controls.hot - state.air_probe)
        return max(0.0, min(chamber.hot_heater, wanted)), 0.0
    return proportional_integral(
        controls.temperature - state.air_probe,
        state.heater_integral,
        controls.heater_gain,
        controls.heater_time,
        chamber.heater,
    )


def _valve(incubator: Incubator, state: State, inputs: Inputs) -> tuple[float, float]:
    """The flow of CO2 (m3/s), and how fast the valve's integral part changes."""
    controls = incubator.controls
    if inputs.door_open or not inputs.gas or inputs.programme is not Programme.CULTURE:
        return 0.0, 0.0
    return proportional_integral(
        controls.co2 - state.co2_probe,
        state.valve_integral,
        controls.valve_gain,
        controls.valve_time,
        incubator.chamber.gas_flow,
    )
