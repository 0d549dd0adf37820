"""Every alarm that can be, with its name."""

import pytest

from config.rules import (
    CalibrationDue,
    ChannelRule,
    Deviation,
    Discrepancy,
    Flatline,
    High,
    Low,
    OffNormal,
    Priority,
    Rate,
    Repeated,
    Rule,
    Silent,
    Stale,
    StatusBits,
    Unreadable,
)
from monitor.alarms.watch import rule_of, rule_text, watch
from tests.monitor.alarms.small_plant import SECOND, channel, plant, source

HIGHS = [High(name=f"above-{limit}", limit=limit) for limit in (38, 41, 39)]
LOWS = [Low(name=f"below-{limit}", limit=limit) for limit in (30, 36, 33)]


def test_worse_levels_are_named_nearest_first_and_judged_first() -> None:
    mixed = [rule for pair in zip(HIGHS, LOWS, strict=True) for rule in pair]
    watched = watch(plant(source(0, "inc", "probe", "bus", [channel("t", Stale(), *mixed)])), {})
    worse = {one.rule_name: [w.rpartition("/")[2] for w in one.worse] for one in watched.values()}
    assert list(worse)[2:] == [
        *("above-41", "above-39", "above-38"),
        *("below-30", "below-33", "below-36", "stale"),
    ]
    assert worse["above-38"] == ["above-39", "above-41"]
    assert worse["below-36"] == ["below-33", "below-30"]
    assert worse["above-41"] == worse["below-30"] == worse["stale"] == []


def test_two_limits_at_one_height_do_not_supersede_each_other() -> None:
    same = [High(name="soon", limit=38), High(name="later", limit=38, on_delay=SECOND)]
    watched = watch(plant(source(0, "inc", "probe", "bus", [channel("t", *same)])), {})
    assert [one.worse for one in watched.values() if one.channel == "t"] == [(), ()]


def off(name: str, above: float | None, below: float | None, setpoint: str = "sp") -> Deviation:
    return Deviation(name=name, setpoint=setpoint, above=above, below=below)


def apart(name: str, tolerance: float, against: str = "t2") -> Discrepancy:
    return Discrepancy(name=name, against=against, tolerance=tolerance)


def pace(name: str, rising: float, per: int, window: int = 300) -> Rate:
    return Rate(name=name, rising=rising, per=per * SECOND, window=window * SECOND)


@pytest.mark.parametrize(
    ("rules", "worse"),
    [
        ([off("near", 1, 1), off("far", 2, 2)], {"far": [], "near": ["far"]}),
        ([off("near", 1, 1), off("far", 2, None)], {"far": [], "near": ["far"]}),
        ([off("near", 1, None), off("far", 2, 0.5)], {"far": [], "near": ["far"]}),
        ([off("one", 1, 2), off("two", 2, 1)], {"one": [], "two": []}),
        ([off("up", 1, None), off("down", None, 2)], {"up": [], "down": []}),
        ([off("near", 1, 1), off("other", 2, 2, "sp2")], {"near": [], "other": []}),
        ([off("a", 1, 1), off("b", 1, 2)], {"a": [], "b": []}),
        (
            [apart("soon", 1), apart("far", 2), off("off", 1, 1, "t2"), apart("else", 3, "t3")],
            {"far": [], "soon": ["far"], "off": [], "else": []},
        ),
        (
            [pace("slow", 30, 3600), pace("quick", 1, 60), pace("long", 9, 60, window=900)],
            {"quick": [], "slow": ["quick"], "long": []},
        ),
        ([pace("slow", 1, 60), pace("fast", 90, 3600)], {"fast": [], "slow": ["fast"]}),
        (
            [off("a", 1, 1), off("b", 2, 2), off("c", 3, None)],
            {"c": [], "b": ["c"], "a": ["b", "c"]},
        ),
    ],
)
def test_the_wider_deviation_speaks_for_the_narrower_on_each_side_they_share(
    rules: list[ChannelRule], worse: dict[str, list[str]]
) -> None:
    watched = watch(plant(source(0, "inc", "probe", "bus", [channel("t", *rules)])), {})
    found = {one.rule_name: one for one in watched.values() if one.channel == "t"}
    assert {n: [w.rpartition("/")[2] for w in one.worse] for n, one in found.items()} == worse
    assert list(found) == list(worse)


def test_a_ring_of_deviations_is_judged_in_some_order() -> None:
    ring = [off("a", 5, None), off("b", 4, 10), off("c", None, 8), off("d", 6, 7)]
    watched = watch(plant(source(0, "inc", "probe", "bus", [channel("t", *ring)])), {})
    worse = {one.rule_name: one.worse for one in watched.values() if one.channel == "t"}
    assert worse == {
        "a": ("inc/t/d",),
        "b": ("inc/t/a",),
        "c": ("inc/t/b",),
        "d": ("inc/t/c",),
    }


@pytest.mark.parametrize(
    ("rule", "peak", "limit"),
    [
        (HIGHS[0], 39.0, 38.0),
        (LOWS[0], 29.0, 30.0),
        (off("both", 1, 2), 1.5, 1.0),
        (off("both", 1, 2), -2.5, -2.0),
        (off("both", 1, 2), None, 1.0),
        (off("below", None, 2), None, -2.0),
        (off("above", 1, None), -9.0, 1.0),
        (Discrepancy(against="t2", tolerance=0.5), 0.7, 0.5),
        (Repeated(x=3, of=5, high=20.0), 22.0, 20.0),
        (Repeated(x=3, of=5, low=-5.0), -6.0, -5.0),
        (Rate(rising=0.5, falling=1.0, window=600), 0.7, 0.5),
        (Rate(rising=0.5, falling=1.0, window=600), -1.7, -1.0),
        (Unreadable(), None, None),
    ],
)
def test_the_limit_is_told_of_the_side_on_which_the_peak_lies(
    rule: ChannelRule, peak: float | None, limit: float | None
) -> None:
    watched = watch(plant(source(0, "inc", "probe", "bus", [channel("t", rule)])), {})
    assert watched[f"inc/t/{rule.name}"].limit_at(peak) == limit


def test_what_is_compared_with_may_come_from_another_source_of_the_equipment() -> None:
    sources = [
        source(0, "inc", "probe", "bus", [channel("t", off("a", 1, 1), off("b", 1, 1, "nowhere"))]),
        source(1, "rea", "controller", "bus", [channel("sp")]),
        source(2, "inc", "controller", "bus", [channel("x"), channel("sp")]),
    ]
    watched = watch(plant(*sources), {})
    assert watched["inc/t/a"].compared == (2, 1)
    assert watched["inc/t/b"].compared is None


def test_alarms_under_an_equal_rule_share_their_facts_at_rest() -> None:
    two = [channel("a", HIGHS[0]), channel("b", HIGHS[0])]
    watched = watch(plant(source(0, "inc", "probe", "bus", two)), {})
    assert watched["inc/a/above-38"].rest is watched["inc/b/above-38"].rest


@pytest.mark.parametrize(
    "rule",
    [
        High(name="high", limit=37.5, deadband=0.1, on_delay=SECOND, priority=Priority.CRITICAL),
        Low(name="low", limit=-80.0, latching=True, response="Fill up the nitrogen"),
        OffNormal(name="open", off_normal=(True,)),
        OffNormal(normal=("running", "true"), on_delay=SECOND),
        Deviation(setpoint="sp", above=0.5, deadband=0.1),
        Discrepancy(against="t2", tolerance=0.5),
        Rate(rising=0.5, window=300 * SECOND),
        Repeated(x=3, of=5, high=20.0),
        CalibrationDue(name="calibration-probe"),
        StatusBits(bits=(3, 7)),
        Flatline(flatline=1800 * SECOND),
        Unreadable(on_delay=60 * SECOND),
        Stale(),
        Silent(name="silent"),
    ],
)
def test_a_rule_is_kept_with_its_facts_and_read_again(rule: Rule) -> None:
    assert rule_of(rule_text(rule)) == rule
