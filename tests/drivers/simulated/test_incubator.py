"""The physics against closed forms, conservation, and what a chamber is known to do."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.incubator import (
    Chamber,
    Controls,
    Incubator,
    Inputs,
    Programme,
    Room,
    State,
    advance,
    is_ready,
    relative_humidity,
    saturation,
    settled,
)

ROOM = Room()
MAKE = Incubator()
SETTLED = settled(MAKE, ROOM)
HOT, COOLING = (Inputs(programme=each) for each in (Programme.HOT, Programme.COOLING))
CLOSED, OPEN, NO_GAS = Inputs(), Inputs(door_open=True), Inputs(gas=False)


def close(state: State, other: State, *, within: float) -> bool:
    return all(
        math.isclose(a, b, rel_tol=within, abs_tol=within)
        for a, b in zip(state, other, strict=True)
    )


def seconds_until(state: State, inputs: Inputs, part: str, beyond: float) -> int:
    """Seconds until a part of the state, from below, is above ``beyond``."""
    for second in range(0, 7200, 5):
        if getattr(state, part) > beyond:
            return second
        state = advance(MAKE, state, inputs, 5)
    raise AssertionError(f"{part} is not above {beyond} after two hours")


@pytest.mark.parametrize(
    ("temperature", "grams"), [(0.0, 4.85), (22.0, 19.4), (37.0, 43.9), (100.0, 598.0)]
)
def test_saturation_is_that_of_the_steam_tables(temperature: float, grams: float) -> None:
    assert saturation(temperature) == pytest.approx(grams, rel=0.02)


def test_relative_humidity_is_of_saturation_and_mist_is_a_hundred() -> None:
    assert relative_humidity(saturation(37) / 2, 37) == pytest.approx(50)
    assert relative_humidity(saturation(37), 20) == 100.0


def test_an_incubator_that_is_left_alone_stays_as_it_is() -> None:
    assert close(advance(MAKE, SETTLED, CLOSED, 86_400), SETTLED, within=1e-6)
    assert relative_humidity(SETTLED.vapour, SETTLED.air) == pytest.approx(90.9, abs=0.2)


@pytest.mark.parametrize("seconds", [1, 26, 60, 600])
def test_a_probe_answers_a_step_as_first_order_does(seconds: float) -> None:
    tight = Incubator(replace(Chamber(), leak=0.0), Controls(co2=0.0))
    state = SETTLED._replace(co2=8.0, co2_probe=0.0)
    shown = advance(tight, state, NO_GAS, seconds).co2_probe
    assert shown == pytest.approx(8.0 * (1 - math.exp(-seconds / 26.0)), rel=1e-5)


@pytest.mark.parametrize("hours", [0.1, 1.0, 3.0])
def test_co2_leaks_away_exponentially_when_the_bottle_is_empty(hours: float) -> None:
    left = advance(MAKE, SETTLED, NO_GAS, hours * 3600).co2
    expected = ROOM.co2 + (5.0 - ROOM.co2) * math.exp(-hours / 1.5)
    assert left == pytest.approx(expected, rel=1e-6)


def test_without_losses_the_heat_of_air_and_wall_stays_the_same() -> None:
    chamber = replace(Chamber(), wall_room=0.0, leak=0.0, evaporation=0.0, heater=0.0)
    state = SETTLED._replace(air=25.0, wall=39.0)

    def heat(state: State) -> float:
        return chamber.air_capacity * state.air + chamber.wall_capacity * state.wall

    later = advance(Incubator(chamber), state, CLOSED, 3600)
    assert heat(later) == pytest.approx(heat(state), rel=1e-9)
    assert later.air == pytest.approx(later.wall, abs=0.01)


def test_an_open_door_empties_the_chamber_of_co2_in_seconds() -> None:
    assert advance(MAKE, SETTLED, OPEN, 10).co2 < 1.0
    shown = advance(MAKE, SETTLED, OPEN, 10).co2_probe
    assert shown < 4.5, "the probe is past its low limit within ten seconds"
    assert shown > 3.0, "but lags behind the air"


@pytest.mark.parametrize("opened", [30, 120, 420])
def test_recovery_takes_minutes_and_humidity_longest(opened: float) -> None:
    state = advance(MAKE, SETTLED, OPEN, opened)
    temperature = seconds_until(state, CLOSED, "air_probe", 36.5)
    co2 = seconds_until(state, CLOSED, "co2_probe", 4.6)
    humidity = seconds_until(state, CLOSED, "humidity_probe", 82.0)
    assert 120 <= temperature <= 720, "the walls have cooled as well"
    assert 120 <= co2 <= 600
    assert 600 <= humidity <= 2400
    assert humidity > max(temperature, co2)


@pytest.mark.parametrize("opened", [10, 30, 120, 420])
def test_control_does_not_overshoot_by_what_would_harm(opened: float) -> None:
    state = advance(MAKE, SETTLED, OPEN, opened)
    for _ in range(360):
        state = advance(MAKE, state, CLOSED, 10)
        assert state.air < 37.5
        assert state.co2 < 5.3


def test_a_decontamination_is_hot_and_moist_without_gas_and_cools_to_its_set_point() -> None:
    hot = advance(MAKE, SETTLED, HOT, 1500)
    assert hot.air_probe == pytest.approx(90, abs=3)
    assert hot.humidity_probe > 80
    assert hot.co2 < SETTLED.co2 * math.exp(-1500 / 5400) + 0.05, "nothing but what leaks"
    assert not is_ready(MAKE, hot)
    cold = advance(MAKE, hot, COOLING, 1500)
    assert cold.air_probe == pytest.approx(37, abs=0.2)
    assert not is_ready(MAKE, cold), "there is no CO2"
    assert is_ready(MAKE, advance(MAKE, cold, CLOSED, 900))


def test_held_hot_for_hours_it_stays_at_ninety_degrees() -> None:
    state = advance(MAKE, SETTLED, HOT, 3600)
    for _ in range(12):
        state = advance(MAKE, state, HOT, 600)
        assert state.air == pytest.approx(90, abs=1.5)
        assert state.wall < 100


def test_it_cools_from_above_and_never_below_what_cells_need() -> None:
    state = advance(MAKE, SETTLED, HOT, 3600)
    for _ in range(200):
        state = advance(MAKE, state, COOLING, 30)
        assert state.air > 36.7
    assert state.air == pytest.approx(37, abs=0.1)


def test_moist_air_that_cools_leaves_its_water_on_the_walls() -> None:
    moist = SETTLED._replace(vapour=2 * saturation(SETTLED.wall))
    dry = advance(MAKE, moist, CLOSED, 300)
    assert dry.vapour < 1.01 * saturation(dry.wall)
    assert dry.wall > SETTLED.wall, "and its heat"


happenings = st.lists(
    st.tuples(
        st.builds(
            Inputs,
            door_open=st.booleans(),
            gas=st.booleans(),
            programme=st.sampled_from(Programme),
            room=st.builds(
                Room,
                temperature=st.floats(15, 30),
                co2=st.floats(0.03, 0.2),
                humidity=st.floats(10, 80),
            ),
        ),
        st.floats(0.1, 1800),
    ),
    max_size=6,
)


@given(happenings)
@settings(max_examples=25, deadline=None)
def test_whatever_happens_every_part_stays_in_its_bounds(
    story: list[tuple[Inputs, float]],
) -> None:
    state = SETTLED
    for inputs, seconds in story:
        state = advance(MAKE, state, inputs, seconds)
        assert 14.0 < state.air < 100.0
        assert 14.0 < state.wall < 110.0
        assert 0.02 < state.co2 < 7.0
        assert 0.0 < state.vapour < saturation(110.0)
        assert 0.0 < state.humidity_probe <= 100.0
        assert 0.0 <= state.valve_integral <= MAKE.chamber.gas_flow


@given(st.lists(st.floats(0.05, 90), min_size=1, max_size=20), st.sampled_from([OPEN, CLOSED]))
@settings(max_examples=25, deadline=None)
def test_how_time_is_cut_does_not_show(pieces: list[float], inputs: Inputs) -> None:
    start = advance(MAKE, SETTLED, OPEN, 20)
    state = start
    for seconds in pieces:
        state = advance(MAKE, state, inputs, seconds)
    assert close(state, advance(MAKE, start, inputs, sum(pieces)), within=2e-3)


def test_no_time_changes_nothing() -> None:
    assert advance(MAKE, SETTLED, OPEN, 0) is SETTLED
