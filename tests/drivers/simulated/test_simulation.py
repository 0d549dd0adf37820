"""The plant under its scenario, without servers and without waiting."""

from collections.abc import Sequence

import pytest

from drivers.simulated.bioreactor import Operation, Phase, acidity, saturation
from drivers.simulated.instruments import Mode
from drivers.simulated.scenario import (
    CALM,
    SECOND,
    AgitatorStops,
    BottleEmpty,
    DecontaminationRuns,
    DoorLeftOpen,
    GasFails,
    Happening,
    NetworkPulled,
    Scenario,
    ScenarioError,
    SensorFails,
    UnitSilent,
    minute,
)
from drivers.simulated.sensors import Failure, Quantity, Shown
from drivers.simulated.simulation import Simulation, check

NAMES = [f"incubator-{number:02}" for number in range(1, 7)]
TANKS = ["bioreactor-01", "bioreactor-02"]
UNITS: dict[str, set[int]] = {
    **{f"{name}-probes": {240, 241} for name in NAMES},
    "suite-a-io": {1},
    **{name: set() for name in TANKS},
}
DOOR = DoorLeftOpen(at=5 * SECOND, lasts=14 * SECOND, incubator="incubator-03")


def under(*happenings: Happening, time_factor: float = 30.0, seed: int = 1) -> Simulation:
    scenario = Scenario(happenings=happenings, goes_on=False)
    return Simulation(NAMES, TANKS, scenario, seed=seed, time_factor=time_factor)


def fails(equipment: str, quantity: Quantity, failure: Failure) -> SensorFails:
    return SensorFails(at=0, lasts=SECOND, equipment=equipment, quantity=quantity, failure=failure)


def everything(plant: Simulation) -> list[Shown]:
    chambers = [each.shown for each in plant.chambers.values()]
    return chambers + [each.shown for each in plant.tanks.values()]


def shown(plant: Simulation, name: str, quantity: Quantity) -> float | None:
    return (plant.chambers if name in plant.chambers else plant.tanks)[name].shown[quantity]


def course(plant: Simulation, name: str, quantity: Quantity, seconds: Sequence[int]) -> list[float]:
    """What is shown at each of these seconds; every value is there."""
    values = []
    for second in seconds:
        plant.advance(second * SECOND)
        value = shown(plant, name, quantity)
        assert value is not None
        values.append(value)
    return values


def first_second(values: Sequence[float], *, below: float, start: int = 0) -> int:
    return next(second for second, value in enumerate(values) if second >= start and value < below)


def test_the_same_seed_gives_the_same_run_however_often_one_looks() -> None:
    often, seldom, other = (
        Simulation(NAMES, TANKS, minute(), seed=s, time_factor=30) for s in (5, 5, 6)
    )
    for second in range(1, 31):
        often.advance(second * SECOND)
    seldom.advance(30 * SECOND)
    other.advance(30 * SECOND)
    assert everything(often) == everything(seldom)
    assert everything(often) != everything(other)


def test_time_does_not_go_back() -> None:
    plant = under()
    plant.advance(10 * SECOND)
    before = dict(plant.chambers["incubator-01"].shown)
    plant.advance(5 * SECOND)
    assert plant.chambers["incubator-01"].shown == before


@pytest.mark.parametrize("factor", [1, 10, 60])
def test_the_time_factor_speeds_the_physics_only(factor: int) -> None:
    minutes = 420  # seconds of physical time with the door open
    door = DoorLeftOpen(at=0, lasts=10_000 * SECOND, incubator="incubator-01")
    plant = under(door, time_factor=factor)
    plant.advance(minutes * SECOND // factor)
    state = plant.chambers["incubator-01"].state
    assert state.air == pytest.approx(26.75, abs=0.1)
    assert state.co2 == pytest.approx(0.05, abs=0.01)


def test_a_door_left_open_brings_co2_below_its_limit_soon_and_it_recovers() -> None:
    plant = under(DOOR)
    co2 = course(plant, "incubator-03", Quantity.CO2, range(45))
    fell = first_second(co2, below=4.5)
    assert fell <= 8
    assert min(co2) < 1.0
    assert all(value < 4.5 for value in co2[fell:20]), "long enough for an on-delay"
    assert all(value > 4.6 for value in co2[31:]), "back within the minute"
    assert shown(plant, "incubator-04", Quantity.CO2) == pytest.approx(5.0, abs=0.1)


def test_an_empty_bottle_brings_co2_down_slowly_and_a_new_one_up() -> None:
    empty = BottleEmpty(at=2 * SECOND, lasts=36 * SECOND, incubators=("incubator-05",))
    plant = under(empty)
    co2 = course(plant, "incubator-05", Quantity.CO2, range(60))
    assert 15 <= first_second(co2, below=4.5) <= 28
    assert co2[59] > 4.8
    plant = under(empty)
    pressure = course(plant, "incubator-05", Quantity.GAS_PRESSURE, range(60))
    assert pressure[1] > 0.9
    assert max(pressure[3:38]) < 0.1
    assert pressure[39] > 0.9


def test_a_decontamination_heats_cools_and_leaves_the_others_alone() -> None:
    run = DecontaminationRuns(at=2 * SECOND, lasts=64 * SECOND, incubator="incubator-04")
    plant = under(run)
    chamber, modes = plant.chambers["incubator-04"], {}
    heat = []
    for second in range(90):
        plant.advance(second * SECOND)
        modes[second] = chamber.signals.mode
        heat.append(chamber.state.air_probe)
    assert {modes[second] for second in (*range(2), *range(85, 90))} == {Mode.CULTURE}
    assert {modes[second] for second in range(2, 66)} == {Mode.DECONTAMINATION}
    assert modes[66] is Mode.WARMING_UP
    assert max(heat) == pytest.approx(88, abs=3)
    assert heat[65] == pytest.approx(37, abs=0.2)
    assert shown(plant, "incubator-03", Quantity.TEMPERATURE) == pytest.approx(37.0, abs=0.12)


def test_a_sensor_fails_and_is_mended() -> None:
    fails = SensorFails(
        at=SECOND,
        lasts=SECOND,
        equipment="incubator-02",
        quantity=Quantity.CO2,
        failure=Failure.BROKEN,
    )
    plant = under(fails)
    seen = []
    for tenths in (9, 10, 19, 20):
        plant.advance(tenths * SECOND // 10)
        seen.append(shown(plant, "incubator-02", Quantity.CO2) is None)
    assert seen == [False, True, True, False]


def test_two_troubles_of_one_kind_end_each_in_its_time() -> None:
    longer = DoorLeftOpen(at=0, lasts=10 * SECOND, incubator="incubator-01")
    shorter = DoorLeftOpen(at=SECOND, lasts=2 * SECOND, incubator="incubator-01")
    plant = under(longer, shorter)
    seen = []
    for second in (2, 5, 11):
        plant.advance(second * SECOND)
        seen.append(plant.chambers["incubator-01"].signals.door_open)
    assert seen == [True, True, False]


def test_what_is_off_the_network_and_who_is_silent_follow_from_the_scenario() -> None:
    line = "incubator-01-probes"
    plant = under(
        NetworkPulled(at=SECOND, lasts=SECOND, line=line),
        UnitSilent(at=SECOND, lasts=2 * SECOND, line=line, unit=241),
    )
    seen = []
    for second in (0, 1, 2, 3):
        plant.advance(second * SECOND)
        seen.append((plant.pulled, plant.silent(line)))
    assert seen == [(set(), set()), ({line}, {241}), (set(), {241}), (set(), set())]


@pytest.mark.parametrize(
    ("happening", "said"),
    [
        (DoorLeftOpen(at=0, lasts=1, incubator="incubator-9"), "incubator incubator-9"),
        (BottleEmpty(at=0, lasts=1, incubators=("incubator-01", "x")), "incubator x"),
        (DecontaminationRuns(at=0, lasts=1, incubator="w"), "incubator w"),
        (NetworkPulled(at=0, lasts=1, line="y"), "line y"),
        (UnitSilent(at=0, lasts=1, line="suite-a-io", unit=7), "unit of suite-a-io 7"),
        (UnitSilent(at=0, lasts=1, line="bioreactor-01", unit=1), "the plant has none"),
        (GasFails(at=0, lasts=1, bioreactor="incubator-01"), "bioreactor incubator-01"),
        (AgitatorStops(at=0, lasts=1, bioreactor="z"), "bioreactor z"),
        (fails("z", Quantity.PH, Failure.STUCK), "equipment z"),
        (fails("incubator-01", Quantity.PH, Failure.STUCK), "it has co2, gas_pressure"),
        (fails("bioreactor-01", Quantity.CO2, Failure.STUCK), "it has agitation, air_flow"),
        (fails("incubator-01", Quantity.CO2, Failure.UNCERTAIN), "Modbus has no word"),
    ],
)
def test_a_scenario_that_names_what_is_not_there_is_refused(
    happening: Happening, said: str
) -> None:
    with pytest.raises(ScenarioError, match=said):
        check(Scenario(happenings=(happening,)), NAMES, TANKS, UNITS)


def test_the_minute_fits_the_demo_s_plant() -> None:
    check(minute(), NAMES, TANKS, UNITS)


def test_small_troubles_go_on_for_minutes_and_the_plant_stays_believable() -> None:
    plant = Simulation(NAMES, TANKS, minute(), seed=2, time_factor=5)
    for second in range(0, 600, 10):
        plant.advance(second * SECOND)
        for name, chamber in plant.chambers.items():
            assert 20 < chamber.state.air < (60 if name == "incubator-04" else 39)
            assert 0 < chamber.state.co2 < 7
        for tank in plant.tanks.values():
            assert 0 <= saturation(tank.state) < 150
            assert 6.8 < acidity(tank.state) < 7.5
            assert tank.state.broth == pytest.approx(37, abs=0.5)


def test_a_calm_plant_stays_in_its_limits() -> None:
    plant = Simulation(NAMES, TANKS, CALM, time_factor=60)
    for second in range(60):
        plant.advance(second * SECOND)
        for name in NAMES:
            assert shown(plant, name, Quantity.CO2) == pytest.approx(5.0, abs=0.1)
            assert shown(plant, name, Quantity.TEMPERATURE) == pytest.approx(37.0, abs=0.12)
        for name in TANKS:
            assert shown(plant, name, Quantity.DISSOLVED_OXYGEN) == pytest.approx(40, abs=2)
            assert shown(plant, name, Quantity.PH) == pytest.approx(7.2, abs=0.04)
            assert shown(plant, name, Quantity.TEMPERATURE) == pytest.approx(37.0, abs=0.12)


def test_without_gas_a_dense_culture_has_no_oxygen_in_seconds_and_recovers() -> None:
    plant = under(GasFails(at=2 * SECOND, lasts=15 * SECOND, bioreactor="bioreactor-02"))
    oxygen = course(plant, "bioreactor-02", Quantity.DISSOLVED_OXYGEN, range(60))
    assert 5 <= first_second(oxygen, below=30) <= 8
    assert 8 <= first_second(oxygen, below=20) <= 11
    assert min(oxygen) < 2
    assert all(33 < value < 60 for value in oxygen[33:])
    assert all(35 < o < 45 for o in course(plant, "bioreactor-01", Quantity.DISSOLVED_OXYGEN, [60]))


def test_without_its_stirrer_a_bioreactor_is_held() -> None:
    plant = under(AgitatorStops(at=SECOND, lasts=5 * SECOND, bioreactor="bioreactor-02"))
    tank, seen = plant.tanks["bioreactor-02"], []
    for second in (0, 2, 7):
        plant.advance(second * SECOND)
        seen.append((tank.operation, (tank.shown[Quantity.AGITATION] or 0) > 100))
    assert seen == [
        (Operation.RUNNING, True),
        (Operation.HELD, False),
        (Operation.RUNNING, True),
    ]


def test_a_batch_goes_from_phase_to_phase_by_itself() -> None:
    plant = Simulation([], TANKS[:1], CALM, time_factor=3600)
    tank, seen = plant.tanks[TANKS[0]], [Phase.INOCULATION]
    for quarters in range(200):
        plant.advance(quarters * SECOND // 4)
        if seen[-1] is not tank.inputs.phase:
            seen.append(tank.inputs.phase)
    assert seen == [Phase.INOCULATION, Phase.GROWTH, Phase.HARVEST, Phase.INOCULATION]


def test_what_a_sensor_is_not_sure_of_is_known() -> None:
    plant = under(fails("bioreactor-01", Quantity.GLUCOSE, Failure.UNCERTAIN))
    seen = []
    for tenths in (1, 11):
        plant.advance(tenths * SECOND // 10)
        seen.append(plant.tanks["bioreactor-01"].uncertain)
    assert seen == [{Quantity.GLUCOSE}, frozenset()]
