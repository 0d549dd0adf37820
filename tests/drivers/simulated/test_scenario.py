"""The script: what it takes, refuses, and how it goes on."""

from itertools import islice

import pytest

from drivers.simulated.scenario import (
    CALM,
    SECOND,
    BottleEmpty,
    DoorLeftOpen,
    Scenario,
    ScenarioError,
    minute,
    read,
)

NAMES = ("incubator-01", "incubator-02")


def test_a_happening_stands_from_its_time_for_as_long_as_it_lasts() -> None:
    door = DoorLeftOpen(at=5 * SECOND, lasts=10 * SECOND, incubator="incubator-01")
    assert [door.stands(second * SECOND) for second in (4, 5, 14, 15)] == [
        False,
        True,
        True,
        False,
    ]


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


def test_the_minute_shows_every_trouble_and_all_is_over_within_it() -> None:
    scenario = minute()
    assert {each.what for each in scenario.happenings} == {
        "door-left-open",
        "bottle-empty",
        "sensor-fails",
        "network-pulled",
        "unit-silent",
    }
    assert scenario.end <= 50 * SECOND


def test_happenings_come_in_their_order_and_the_seed_decides_what_follows() -> None:
    scenario = minute()
    first, again = (list(islice(scenario.play(NAMES, 3), 40)) for _ in range(2))
    other = list(islice(scenario.play(NAMES, 4), 40))
    assert first == again
    assert first != other
    assert [each.at for each in first] == sorted(each.at for each in first)
    assert all(each.at > scenario.end for each in first[len(scenario.happenings) :])


def test_a_calm_plant_has_no_happenings() -> None:
    assert list(CALM.play(NAMES, 1)) == []
