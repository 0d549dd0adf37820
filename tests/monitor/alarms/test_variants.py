"""Which limit holds in which state and phase, and what is suppressed by design there."""

from dataclasses import replace

import pytest

from config.rules import (
    ChannelRule,
    EquipmentState,
    High,
    Low,
    OffNormal,
    Silent,
    Suppression,
    Unreadable,
    When,
)
from monitor.alarms.facts import Circumstances
from monitor.alarms.variants import effective, place
from monitor.alarms.watch import Watched, ranked, watch
from tests.monitor.alarms.small_plant import MINUTE, channel, plant, source

IN_USE, IDLE = EquipmentState.IN_USE, EquipmentState.IDLE
CLEANING, WARMING_UP = EquipmentState.CLEANING, EquipmentState.WARMING_UP

RULE = High(
    limit=37.5,
    deadband=0.1,
    on_delay=15 * MINUTE,
    when=(
        When(states=(WARMING_UP,), off=True),
        When(phases=("transduction",), limit=34.5, deadband=0.2, on_delay=MINUTE),
        When(states=(IDLE,), phases=("harvest", "transduction"), off=True),
        When(states=(IDLE,), limit=40.0),
        When(phases=("rinse",), off=True),
    ),
)


@pytest.mark.parametrize(
    ("circumstances", "limit", "off"),
    [
        (Circumstances(), 37.5, ""),
        (Circumstances(phase="expansion"), 37.5, ""),
        (Circumstances(phase="transduction"), 34.5, ""),
        (Circumstances(IDLE), 40.0, ""),
        (Circumstances(IDLE, "transduction"), 34.5, ""),
        (Circumstances(IDLE, "harvest"), 37.5, "phase:harvest"),
        (Circumstances(phase="harvest"), 37.5, ""),
        (Circumstances(phase="rinse"), 37.5, "phase:rinse"),
        (Circumstances(phase="rinse", suppresses=False), 37.5, "phase:rinse"),
        (Circumstances(phase="rinse", phase_suppresses=False), 37.5, ""),
        (Circumstances(phase="transduction", phase_suppresses=False), 34.5, ""),
        (Circumstances(IDLE, "harvest", phase_suppresses=False), 40.0, ""),
        (Circumstances(WARMING_UP), 37.5, "state:warming_up"),
        (Circumstances(WARMING_UP, "transduction"), 37.5, "state:warming_up"),
        (Circumstances(WARMING_UP, suppresses=False), 37.5, ""),
        (Circumstances(WARMING_UP, "transduction", suppresses=False), 34.5, ""),
    ],
)
def test_the_first_variant_that_fits_holds(
    circumstances: Circumstances, limit: float, off: str
) -> None:
    """A limit that a state switches off is on again when the state has lasted too long."""
    rule, why = effective(RULE, circumstances)
    assert isinstance(rule, High)
    assert (rule.limit, why) == (limit, off)


def test_what_a_variant_leaves_out_stays_as_it_was() -> None:
    rule, _ = effective(RULE, Circumstances(phase="transduction"))
    assert rule == RULE.model_copy(update={"limit": 34.5, "deadband": 0.2, "on_delay": MINUTE})
    rule, _ = effective(RULE, Circumstances(IDLE))
    assert rule == RULE.model_copy(update={"limit": 40.0})


def test_a_rule_without_variants_is_always_the_same() -> None:
    door = OffNormal(off_normal=(True,))
    assert effective(door, Circumstances(CLEANING, "rinse")) == (door, "")


HIGH, LOW = High(limit=37.5), Low(limit=36.0)
SITE = replace(
    plant(source(0, "inc", "probe", "bus", [channel("temp", HIGH, LOW, Unreadable())])),
    suppression={
        CLEANING: Suppression(suppress=("temp",), longest=MINUTE),
        WARMING_UP: Suppression(suppress=("*/low", "_/silent-probe"), longest=MINUTE),
        EquipmentState.MAINTENANCE: Suppression(suppress=("*",), longest=MINUTE),
    },
)
OF_FILE = watch(SITE, {})


def by_design(circumstances: Circumstances) -> set[str]:
    placed = [place(one, circumstances, SITE) for one in OF_FILE.values()]
    return {f"{one.name} {one.by_design}" for one in placed if one.by_design and one.source == 0}


def test_in_use_nothing_is_suppressed() -> None:
    assert by_design(Circumstances()) == set()


def test_the_rules_by_which_an_instrument_is_known_to_work_are_not_meant_by_its_channel() -> None:
    assert by_design(Circumstances(CLEANING)) == {
        "inc/temp/high state:cleaning",
        "inc/temp/low state:cleaning",
    }


def test_a_whole_equipment_has_alarms_too() -> None:
    assert by_design(Circumstances(WARMING_UP)) == {
        "inc/temp/low state:warming_up",
        "inc/_/silent-probe state:warming_up",
    }


def test_a_star_is_everything() -> None:
    assert len(by_design(Circumstances(EquipmentState.MAINTENANCE))) == 4


def test_after_the_longest_time_nothing_is_suppressed_any_more() -> None:
    assert by_design(Circumstances(CLEANING, suppresses=False)) == set()


def test_the_facts_go_on_naming_the_rule_of_the_file() -> None:
    varied = High(limit=37.5, when=(When(states=(IDLE,), limit=40.0),))
    site = plant(source(0, "inc", "probe", "bus", [channel("temp", varied)]))
    of_file = watch(site, {})["inc/temp/high"]
    placed = place(of_file, Circumstances(IDLE), site)
    assert placed.limit == 40.0
    assert placed.rest is of_file.rest


def levels(*rules: ChannelRule) -> list[Watched]:
    site = plant(source(0, "inc", "probe", "bus", [channel("temp", *rules)]))
    found = watch(site, {})
    return [one for one in found.values() if one.channel == "temp"]


def test_which_level_is_worse_follows_the_limits_as_they_hold() -> None:
    one, other = levels(High(name="a", limit=38.0), High(name="b", limit=39.0))
    assert [(each.name, each.worse) for each in (one, other)] == [
        ("inc/temp/b", ()),
        ("inc/temp/a", ("inc/temp/b",)),
    ]
    lower = one._replace(rule=High(name="b", limit=37.0))
    assert [(each.rule_name, each.worse) for each in ranked([lower, other])] == [
        ("a", ()),
        ("b", ("inc/temp/a",)),
    ]


def test_equal_levels_speak_for_nobody() -> None:
    assert [
        each.worse for each in levels(High(name="a", limit=38.0), High(name="b", limit=38.0))
    ] == [
        (),
        (),
    ]


def test_silence_of_a_source_has_no_level() -> None:
    assert OF_FILE["inc/_/silent-probe"].worse == ()
    assert isinstance(OF_FILE["inc/_/silent-probe"].rule, Silent)


def test_what_is_no_different_is_no_copy() -> None:
    site = plant(source(0, "inc", "probe", "bus", [channel("temp", RULE, Unreadable())]))
    of_file = [one for one in watch(site, {}).values() if one.channel == "temp"]
    assert all(place(one, Circumstances(), site) is one for one in of_file)
    assert place(of_file[0], Circumstances(phase="rinse"), site) is not of_file[0]
    assert ranked(of_file) == of_file
    assert all(again is one for again, one in zip(ranked(of_file), of_file, strict=True))
