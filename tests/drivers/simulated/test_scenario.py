"""The script: what it takes, refuses, and how it goes on."""

from itertools import islice

import pytest

from drivers.simulated.scenario import (
    CALM,
    SECOND,
    BottleEmpty,
    DecontaminationRuns,
    DoorLeftOpen,
    Scenario,
    ScenarioError,
    SensorFails,
    minute,
    read,
)
from drivers.simulated.simulation import check

NAMES = ("incubator-01", "incubator-02")
TANKS = ("bioreactor-01",)


def test_a_happening_stands_from_its_time_for_as_long_as_it_lasts() -> None:
    door = DoorLeftOpen(at=5 * SECOND, lasts=10 * SECOND, incubator="incubator-01")
    assert [door.stands(second * SECOND) for second in (4, 5, 14, 15)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_decontamination_is_hot_for_its_first_half() -> None:
    run = DecontaminationRuns(at=2 * SECOND, lasts=10 * SECOND, incubator="incubator-01")
    assert [run.cools(second * SECOND) for second in (2, 6, 7, 11)] == [False, False, True, True]


def test_a_scenario_is_read_from_yaml() -> None:
    text = "happenings: [{what: bottle-empty, at: 1s, lasts: 500ms, incubators: [incubator-01]}]"
    empty = BottleEmpty(at=SECOND, lasts=SECOND // 2, incubators=("incubator-01",))
    assert read(text) == Scenario(happenings=(empty,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("happenings: [{what: flood, at: 1s, lasts: 1s}]", "door-left-open"),
        ("happenings: [{what: door-left-open, at: 1s, lasts: 1s}]", "incubator: Field required"),
        (
            "happenings: [{what: door-left-open, at: 1s, lasts: 0s, incubator: a}]",
            "greater than 0",
        ),
        ("happenings: [{what: door-left-open, at: 1, lasts: x, incubator: a}]", "a number with"),
        ("happening: []", "happening"),
        ("happenings: [", "not YAML"),
    ],
)
def test_what_cannot_be_played_is_refused_with_words(text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        read(text)


def test_the_minute_shows_troubles_of_every_kind_and_leaves_ninety_seconds_to_recover() -> None:
    scenario = minute()
    assert {each.what for each in scenario.happenings} == {
        "door-left-open",
        "bottle-empty",
        "decontamination-runs",
        "sensor-fails",
        "gas-fails",
        "network-pulled",
        "unit-silent",
    }
    assert scenario.end <= 70 * SECOND


def test_happenings_come_in_their_order_and_the_seed_decides_what_follows() -> None:
    scenario = minute()
    first, again = (list(islice(scenario.play(NAMES, TANKS, 3), 40)) for _ in range(2))
    other = list(islice(scenario.play(NAMES, TANKS, 4), 40))
    assert first == again
    assert first != other
    assert [each.at for each in first] == sorted(each.at for each in first)
    calm = scenario.end + 30 * SECOND
    assert calm > 90 * SECOND, "the demo's ninety seconds show the script and nothing else"
    assert all(each.at >= calm for each in first[len(scenario.happenings) :])


def test_a_calm_plant_has_no_happenings() -> None:
    assert list(CALM.play(NAMES, TANKS, 1)) == []


def test_by_chance_everything_happens_to_what_it_can_happen_to() -> None:
    after = list(islice(Scenario().play(NAMES, TANKS, 5), 400))
    check(Scenario(happenings=tuple(after)), NAMES, TANKS, {})
    assert {each.what for each in after} == {
        "door-left-open",
        "bottle-empty",
        "sensor-fails",
        "gas-fails",
        "agitator-stops",
    }
    failed = {each.equipment for each in after if isinstance(each, SensorFails)}
    assert failed == {*NAMES, *TANKS}


def test_a_plant_without_bioreactors_goes_on_without_them() -> None:
    after = list(islice(Scenario().play(NAMES, (), 5), 100))
    check(Scenario(happenings=tuple(after)), NAMES, (), {})
