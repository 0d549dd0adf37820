"""What the nodes of a bioreactor show, and that the catalogue knows them."""

from config.catalogue import CATALOGUE
from drivers.simulated.equipment import Tank
from drivers.simulated.nodes import (
    ANALOGS,
    MEASURED,
    OPERATION,
    PHASE,
    PHASES,
    SETPOINTS,
    Shown,
    Status,
    shown,
)
from drivers.simulated.sensors import IN_BIOREACTOR, Failing, Failure, Quantity


def test_every_channel_is_the_catalogue_s_in_its_unit() -> None:
    known = CATALOGUE["bioreactor"]
    assert {each.channel: each.unit for each in ANALOGS} == {
        each.channel: known[each.channel].unit for each in ANALOGS
    }
    assert {"phase", "operating_state"} <= set(known)
    assert set(MEASURED) == set(IN_BIOREACTOR)


def test_every_node_shows_something_within_its_range() -> None:
    sample = shown(Tank.settled("bioreactor-01", 1, 0))
    assert set(sample) == {each.node for each in ANALOGS} | {PHASE, OPERATION}
    for each in ANALOGS:
        value, status = sample[each.node]
        assert isinstance(value, float)
        assert each.low <= value <= each.high
        assert status is Status.GOOD
    assert sample[PHASE] == Shown(PHASES.index(Tank.settled("x", 1, 0).inputs.phase))
    assert sample[OPERATION] == Shown("running")
    assert {sample[each.node].value for each in SETPOINTS} == {37.0, 7.2, 40.0}


def test_a_failed_sensor_is_bad_without_a_value_and_an_uncertain_one_has_one() -> None:
    tank = Tank.settled("bioreactor-02", 1, 1)
    tank.failing = {
        Quantity.PH: Failing(Failure.BROKEN, 0.0),
        Quantity.GLUCOSE: Failing(Failure.UNCERTAIN, 0.0),
    }
    tank.advance(0.1)
    sample = shown(tank)
    assert sample["PH"] == Shown(None, Status.BAD)
    assert sample["Glucose"].status is Status.UNCERTAIN
    assert sample["Glucose"].value is not None
    assert sample["Lactate"].status is Status.GOOD
