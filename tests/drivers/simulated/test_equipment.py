"""Incubators and bioreactors with their sensors: how they begin, and what befalls them."""

from dataclasses import replace
from itertools import groupby

import pytest

from drivers.simulated.bioreactor import Phase
from drivers.simulated.equipment import CULTURES, Chamber, Tank
from drivers.simulated.incubator import Inputs, Programme
from drivers.simulated.instruments import Mode
from drivers.simulated.sensors import IN_BIOREACTOR, IN_INCUBATOR, Failing, Failure, Quantity


def test_an_incubator_begins_at_its_set_points_and_a_bioreactor_amid_its_batch() -> None:
    chamber, tank = Chamber.settled("a", 1), Tank.settled("b", 1, 1)
    assert set(chamber.shown) == set(IN_INCUBATOR)
    assert set(tank.shown) == set(IN_BIOREACTOR)
    assert chamber.shown[Quantity.CO2] == pytest.approx(5.0, abs=0.1)
    assert tank.shown[Quantity.CELL_DENSITY] == pytest.approx(4e6, rel=0.05)
    assert tank.shown[Quantity.OXYGEN_UPTAKE] == pytest.approx(1.0, rel=0.1)
    assert tank.shown[Quantity.WEIGHT] == pytest.approx(9.93, abs=0.02)


def test_gases_make_up_what_the_sparger_is_given() -> None:
    tank = Tank.settled("b", 1, 1)
    gases = (Quantity.AIR_FLOW, Quantity.O2_FLOW, Quantity.CO2_FLOW)
    assert sum(tank.shown[gas] or 0.0 for gas in gases) == pytest.approx(1000, abs=15)
    tank.inputs = replace(tank.inputs, gas=False)
    tank.advance(1.0)
    assert sum(tank.shown[gas] or 0.0 for gas in gases) < 15


def test_bioreactors_begin_differently_and_a_fourth_as_the_first() -> None:
    phases = [Tank.settled("x", 1, index).inputs.phase for index in range(4)]
    assert phases == [Phase.INOCULATION, Phase.GROWTH, Phase.GROWTH, Phase.INOCULATION]
    assert len(CULTURES) == 3


def test_the_first_bioreactor_begins_to_grow_after_half_an_hour() -> None:
    tank, phases = Tank.settled("x", 1, 0), []
    for _ in range(2):
        tank.advance(0.99 * 1800)
        phases.append(tank.inputs.phase)
    assert phases == [Phase.INOCULATION, Phase.GROWTH]
    assert tank.in_phase == 0.0


def test_after_a_decontamination_an_incubator_warms_up_until_it_is_ready_for_cells() -> None:
    chamber = Chamber.settled("a", 1)
    seen: list[Mode] = []
    programmes = [Programme.CULTURE, Programme.HOT, Programme.COOLING, *[Programme.CULTURE] * 9]
    for programme in programmes:
        chamber.inputs = Inputs(programme=programme)
        for _ in range(1 if programme is Programme.CULTURE else 20):
            chamber.advance(60)
        if not seen or seen[-1] is not chamber.signals.mode:
            seen.append(chamber.signals.mode)
    assert seen == [Mode.CULTURE, Mode.DECONTAMINATION, Mode.WARMING_UP, Mode.CULTURE]
    assert chamber.shown[Quantity.CO2] == pytest.approx(5.0, abs=0.25)


def test_a_decontamination_is_not_over_before_the_chamber_is_cool() -> None:
    chamber = Chamber.settled("a", 1)
    chamber.inputs = Inputs(programme=Programme.HOT)
    chamber.advance(1200)
    chamber.undisturbed()
    modes = []
    for _ in range(300):
        chamber.advance(10)
        modes.append(chamber.signals.mode)
        assert modes[-1] is Mode.DECONTAMINATION or 36.5 < chamber.state.air_probe < 37.4
    order = [Mode.DECONTAMINATION, Mode.WARMING_UP, Mode.CULTURE]
    assert [mode for mode, _ in groupby(modes)] == order


def test_a_door_in_passing_is_no_decontamination() -> None:
    chamber = Chamber.settled("a", 1)
    chamber.inputs = Inputs(door_open=True)
    chamber.advance(300)
    assert chamber.signals.mode is Mode.CULTURE


@pytest.mark.parametrize("equipment", [Chamber.settled("a", 1), Tank.settled("b", 1, 0)])
def test_undisturbed_everything_is_as_it_should_be(equipment: Chamber | Tank) -> None:
    well = equipment.inputs
    equipment.failing = {Quantity.TEMPERATURE: Failing(Failure.BROKEN, 0.0)}
    equipment.inputs = replace(equipment.inputs, gas=False)
    equipment.advance(0.1)
    assert equipment.shown[Quantity.TEMPERATURE] is None
    equipment.undisturbed()
    equipment.advance(0.1)
    assert equipment.inputs == well
    assert equipment.shown[Quantity.TEMPERATURE] == pytest.approx(37, abs=0.2)
