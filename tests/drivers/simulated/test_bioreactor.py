"""The bioreactor against closed forms, balances, and what a culture is known to do."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.bioreactor import (
    AIR_OXYGEN,
    CO2_SOLUBILITY,
    LONGEST_STEP,
    OXYGEN_SOLUBILITY,
    Batch,
    Bioreactor,
    Cells,
    Controls,
    Inputs,
    Medium,
    Operation,
    Phase,
    State,
    Vessel,
    acidity,
    actuators,
    advance,
    following,
    grown,
    growth,
    operation,
    rates,
    saturation,
    transfer,
    uptake,
)

MAKE = Bioreactor()
RUNNING, NO_GAS, NO_DRIVE = Inputs(), Inputs(gas=False), Inputs(drive=False)
DENSE = grown(MAKE, 4e12, RUNNING)
IDLE = replace(MAKE, cells=Cells(growth=0.0, maintenance=0.0, uptake=0.0))
"""Cells that do nothing: the vessel alone."""
HOUR = 3600.0


def close(state: State, other: State, *, within: float) -> bool:
    return all(
        math.isclose(a, b, rel_tol=within, abs_tol=within)
        for a, b in zip(state, other, strict=True)
    )


@pytest.mark.parametrize(
    ("glucose", "oxygen", "share"),
    [(1e9, 1e9, 1.0), (1.0, 1e9, 0.5), (1e9, 0.004, 0.5), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)],
)
def test_growth_is_monod_s_in_glucose_and_in_oxygen(
    glucose: float, oxygen: float, share: float
) -> None:
    expected = share * MAKE.cells.growth
    assert growth(MAKE.cells, glucose, oxygen) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("hours", [1.0, 6.0, 24.0])
def test_with_plenty_of_everything_growth_is_exponential(hours: float) -> None:
    cells = replace(MAKE.cells, half_glucose=1e-9, half_oxygen=1e-12)
    make = replace(MAKE, cells=cells)
    later = advance(make, grown(make, 1.5e12, RUNNING), RUNNING, hours * HOUR)
    expected = 1.5e12 * 0.010 * math.exp(0.039 * hours)
    assert later.cells == pytest.approx(expected, rel=1e-6)


def test_without_glucose_nothing_grows_and_nothing_is_made() -> None:
    starved = DENSE._replace(glucose=0.0)
    later = advance(MAKE, starved, RUNNING, 6 * HOUR)
    assert later.cells == starved.cells
    assert later.glucose == 0.0
    assert later.lactate == starved.lactate


def test_cells_that_are_inoculated_do_not_divide_yet_but_eat() -> None:
    later = advance(MAKE, DENSE, Inputs(phase=Phase.INOCULATION), HOUR)
    assert later.cells == DENSE.cells
    assert later.glucose < DENSE.glucose


def test_what_grows_and_what_is_kept_alive_is_paid_in_glucose_and_leaves_lactate() -> None:
    make = replace(MAKE, cells=replace(MAKE.cells, half_glucose=1e-9, half_oxygen=1e-12))
    start = grown(make, 2e12, RUNNING)
    later = advance(make, start, RUNNING, 10 * HOUR)
    cells = make.cells
    lived = (later.cells - start.cells) / cells.growth  # cells times seconds
    eaten = (later.cells - start.cells) / cells.glucose_yield + cells.maintenance * lived
    assert start.glucose - later.glucose == pytest.approx(eaten, rel=1e-6)
    assert later.lactate - start.lactate == pytest.approx(0.70 * eaten, rel=1e-6)
    # No base was needed: alkalinity is what the lactic acid left of it.
    assert start.alkalinity - later.alkalinity == pytest.approx(0.70 * eaten, rel=1e-6)


def test_transfer_has_van_t_riet_s_form() -> None:
    vessel = MAKE.vessel
    base = transfer(vessel, 0.010, 2.0, 1e-5)
    assert transfer(vessel, 0.010, 4.0, 1e-5) / base == pytest.approx(2 ** (3 * 0.4))
    assert transfer(vessel, 0.010, 2.0, 4e-5) / base == pytest.approx(2.0)
    assert transfer(vessel, 0.005, 2.0, 1e-5) / base == pytest.approx(2**0.4)
    assert 1 < transfer(vessel, 0.010, 150 / 60, vessel.gas) * HOUR < 20, "as in cell culture"
    assert transfer(vessel, 0.010, 2.0, 0.0) == transfer(vessel, 0.010, 0.0, 1e-5) == 0.0


@pytest.mark.parametrize("minutes", [1, 10, 60])
def test_without_cells_oxygen_comes_to_that_of_air_exponentially(minutes: float) -> None:
    make = replace(IDLE, controls=Controls(oxygen=0.0, ph=14.0, co2_gain=0.0, base_band=14.0))
    start = DENSE._replace(oxygen=0.0, co2_integral=0.0, oxygen_integral=0.0)
    rate = transfer(make.vessel, 0.010, make.vessel.slowest, make.vessel.gas)
    shown = saturation(advance(make, start, RUNNING, 60 * minutes))
    assert shown == pytest.approx(100 * (1 - math.exp(-rate * 60 * minutes)), rel=1e-6)


@pytest.mark.parametrize("seconds", [30, 90, 180])
def test_without_gas_oxygen_falls_by_what_the_cells_take_up(seconds: float) -> None:
    greedy = replace(MAKE, cells=replace(MAKE.cells, half_oxygen=1e-12))
    later = advance(greedy, DENSE, NO_GAS, seconds)
    taken = 0.25e-12 / HOUR * 4e12 * seconds  # mol/m3, before any cell has divided
    left = 100 * (0.4 * 0.21 - taken) / 0.21
    assert saturation(later) == pytest.approx(left, rel=0.02)


def test_without_gas_a_dense_culture_has_no_oxygen_in_minutes() -> None:
    assert saturation(advance(MAKE, DENSE, NO_GAS, 480)) < 0.5
    back = advance(MAKE, advance(MAKE, DENSE, NO_GAS, 480), RUNNING, 900)
    assert back.oxygen_probe == pytest.approx(40, abs=8)


def test_oxygen_stays_where_it_is_set_by_the_stirrer_first_and_by_oxygen_then() -> None:
    seen = []
    for density in (1.5e12, 3e12, 6e12, 9e12):
        state = grown(MAKE, density, RUNNING)
        act = actuators(MAKE, state, RUNNING)
        seen.append((act.stirring, act.oxygen > 0))
        later = advance(MAKE, state, RUNNING, 2 * HOUR)
        assert saturation(later) == pytest.approx(40, abs=1.5)
    stirring = [each for each, _ in seen]
    assert stirring == sorted(stirring)
    assert [enriched for _, enriched in seen] == [False, False, True, True]


def test_the_uptake_of_oxygen_is_that_of_its_cells() -> None:
    assert HOUR * uptake(MAKE, DENSE) == pytest.approx(1.0, rel=0.06), "mmol/L/h at 4 million/mL"
    assert uptake(MAKE, DENSE._replace(oxygen=0.0)) == 0.0


def test_carbon_is_neither_lost_nor_found_when_no_gas_flows() -> None:
    later = advance(MAKE, DENSE, NO_GAS, 600)
    respired = DENSE.oxygen - later.oxygen
    inorganic = later.co2 + later.alkalinity - DENSE.co2 - DENSE.alkalinity
    assert inorganic == pytest.approx(respired, rel=1e-6), "lactic acid moves it, and no more"
    assert acidity(later) < acidity(DENSE)


def test_ph_is_henderson_s_and_hasselbalch_s() -> None:
    state = DENSE._replace(alkalinity=0.24, co2=0.012)
    assert acidity(state) == pytest.approx(6.1 + math.log10(20))


def test_too_much_acid_is_met_with_base_which_is_bicarbonate_and_weighs() -> None:
    sour = DENSE._replace(alkalinity=0.05, ph_probe=acidity(DENSE._replace(alkalinity=0.05)))
    assert sour.ph_probe < 6.8
    still = replace(MAKE, cells=IDLE.cells)
    later = advance(still, sour, RUNNING, 2 * HOUR)
    added = later.volume - sour.volume
    assert added > 0
    assert later.alkalinity - sour.alkalinity == pytest.approx(893 * added, rel=1e-9)
    assert acidity(later) > 7.1
    assert actuators(still, later, RUNNING).feed.base < actuators(still, sour, RUNNING).feed.base


def test_too_little_acid_is_met_with_co2() -> None:
    basic = DENSE._replace(co2=DENSE.co2 / 3)
    basic = basic._replace(ph_probe=acidity(basic))
    assert actuators(MAKE, basic, RUNNING).co2 > actuators(MAKE, DENSE, RUNNING).co2
    assert acidity(advance(MAKE, basic, RUNNING, 2 * HOUR)) == pytest.approx(7.2, abs=0.05)


def test_the_jacket_keeps_the_broth_warm_and_no_heat_is_lost_in_between() -> None:
    shut = replace(IDLE, vessel=replace(Vessel(), broth_room=0.0, heater=0.0))
    cold = DENSE._replace(broth=30.0, jacket=45.0, co2_integral=0.0)

    def heat(state: State) -> float:
        return 993 * 4180 * 0.010 * state.broth + 10e3 * state.jacket

    later = advance(shut, cold, RUNNING, 4 * HOUR)
    assert heat(later) == pytest.approx(heat(cold), rel=1e-6)
    assert later.broth == pytest.approx(later.jacket, abs=0.01)
    assert advance(MAKE, DENSE._replace(broth=36.0), RUNNING, HOUR).broth == pytest.approx(
        37, abs=0.3
    )


def test_a_culture_that_is_left_alone_stays_where_it_is_controlled() -> None:
    idle = grown(MAKE, 2e12, RUNNING)
    # Nothing takes oxygen up, so air brings it above its set-point; all else stands still.
    later = advance(IDLE, idle, RUNNING, 24 * HOUR)
    assert saturation(later) == pytest.approx(100, rel=0.1)
    assert acidity(later) == pytest.approx(7.2, abs=0.01)
    assert later.broth == pytest.approx(37.0, abs=0.001)
    grows = advance(MAKE, DENSE, RUNNING, HOUR)
    assert saturation(grows) == pytest.approx(40, abs=1)
    assert acidity(grows) == pytest.approx(7.2, abs=0.005)
    assert grows.broth == pytest.approx(37.0, abs=0.01)


@pytest.mark.parametrize("density", [1.2e12, 4e12])
def test_it_begins_settled(density: float) -> None:
    state = grown(MAKE, density, RUNNING)
    slopes = rates(MAKE, state, RUNNING)
    assert abs(slopes.oxygen) * HOUR < 1e-3 * state.oxygen
    assert abs(slopes.co2) * HOUR < 1e-3 * state.co2
    assert abs(slopes.broth) * HOUR < 1e-3
    assert abs(slopes.jacket) * HOUR < 1e-3


def test_draw_and_fill_balance() -> None:
    out = advance(MAKE, DENSE, Inputs(phase=Phase.HARVEST), 900)
    assert out.volume == pytest.approx(DENSE.volume - 900 * MAKE.vessel.pump)
    density = out.cells / out.volume
    assert density == pytest.approx(4e12 * math.exp(0.039 * 900 / HOUR), rel=0.01), (
        "drawn, not lost"
    )
    filled = advance(IDLE, out, Inputs(phase=Phase.INOCULATION), 600)
    medium = Medium().glucose * (filled.volume - out.volume)
    assert filled.glucose - out.glucose == pytest.approx(medium, rel=1e-6)
    assert filled.cells == out.cells


@pytest.mark.parametrize(
    ("phase", "seconds", "state", "then"),
    [
        (Phase.INOCULATION, 3 * HOUR, DENSE, Phase.INOCULATION),
        (Phase.INOCULATION, 4 * HOUR, DENSE, Phase.GROWTH),
        (Phase.INOCULATION, 9 * HOUR, DENSE._replace(volume=0.009), Phase.INOCULATION),
        (Phase.GROWTH, 0, DENSE, Phase.GROWTH),
        (Phase.GROWTH, 0, DENSE._replace(cells=6e10), Phase.HARVEST),
        (Phase.GROWTH, 0, DENSE._replace(glucose=0.004), Phase.HARVEST),
        (Phase.HARVEST, 9 * HOUR, DENSE, Phase.HARVEST),
        (Phase.HARVEST, 60, DENSE._replace(volume=0.002), Phase.HARVEST),
        (Phase.HARVEST, Batch().turnaround, DENSE._replace(volume=0.002), Phase.INOCULATION),
    ],
)
def test_a_phase_ends_by_time_and_by_what_is_in_the_vessel(
    phase: Phase, seconds: float, state: State, then: Phase
) -> None:
    assert following(MAKE, state, phase, seconds) is then


def test_what_its_controller_says() -> None:
    empty = DENSE._replace(volume=0.002)
    assert operation(MAKE, DENSE, RUNNING) is Operation.RUNNING
    assert operation(MAKE, DENSE, NO_DRIVE) is Operation.HELD
    assert operation(MAKE, DENSE, Inputs(phase=Phase.HARVEST)) is Operation.RUNNING
    assert operation(MAKE, empty, Inputs(phase=Phase.HARVEST)) is Operation.COMPLETE


def test_without_its_stirrer_it_holds_liquids_and_gases() -> None:
    sour = DENSE._replace(ph_probe=6.5)
    act = actuators(MAKE, sour, NO_DRIVE)
    assert act.stirring == act.gas == act.feed.base == 0.0
    assert actuators(MAKE, sour, NO_GAS).feed.base > 0


happenings = st.lists(
    st.tuples(
        st.builds(
            Inputs,
            phase=st.sampled_from(Phase),
            gas=st.booleans(),
            drive=st.booleans(),
            room=st.floats(15, 30),
        ),
        st.floats(1, 3600),
    ),
    max_size=6,
)


@given(happenings, st.floats(1e12, 6e12))
@settings(max_examples=20, deadline=None)
def test_whatever_happens_every_part_stays_in_its_bounds(
    story: list[tuple[Inputs, float]], density: float
) -> None:
    state, most = grown(MAKE, density, RUNNING), 100 / AIR_OXYGEN
    for inputs, seconds in story:
        state = advance(MAKE, state, inputs, seconds)
        assert MAKE.vessel.heel * 0.98 <= state.volume <= MAKE.vessel.full * 1.06
        assert state.cells > 0
        assert -1e-9 <= state.glucose <= 0.25 * 1.06
        assert -1e-3 <= saturation(state) <= most
        assert -0.1 <= state.oxygen_probe <= most
        assert 0 < state.co2 / state.volume < CO2_SOLUBILITY
        assert 6.0 < acidity(state) < 8.0
        assert 20 < state.broth < 42
        assert 0 <= state.oxygen_integral <= 2
        assert 0 <= state.co2_integral <= MAKE.vessel.co2


@given(st.lists(st.floats(0.05, 120), min_size=1, max_size=15), st.sampled_from([RUNNING, NO_GAS]))
@settings(max_examples=20, deadline=None)
def test_how_time_is_cut_does_not_show(pieces: list[float], inputs: Inputs) -> None:
    start = advance(MAKE, DENSE, NO_GAS, 120)
    state = start
    for seconds in pieces:
        state = advance(MAKE, state, inputs, seconds)
    assert close(state, advance(MAKE, start, inputs, sum(pieces)), within=2e-3)


def test_half_the_step_gives_the_same() -> None:
    whole = half = advance(MAKE, DENSE, NO_GAS, 240)
    for _ in range(200):
        whole = advance(MAKE, whole, RUNNING, LONGEST_STEP)
        half = advance(
            MAKE, advance(MAKE, half, RUNNING, LONGEST_STEP / 2), RUNNING, LONGEST_STEP / 2
        )
    assert close(whole, half, within=1e-4)


def test_no_time_changes_nothing() -> None:
    assert advance(MAKE, DENSE, NO_GAS, 0) is DENSE


def test_air_dissolves_what_the_tables_say() -> None:
    # 6.7 mg/L of oxygen in water at 37 degC under air.
    dissolved = 32.0 * OXYGEN_SOLUBILITY * AIR_OXYGEN
    assert dissolved == pytest.approx(6.7, abs=0.05)
