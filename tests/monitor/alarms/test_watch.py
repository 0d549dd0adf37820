"""Every alarm that can be, with its name."""

import pytest

from config.rules import (
    Flatline,
    High,
    Low,
    OffNormal,
    Priority,
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
        StatusBits(bits=(3, 7)),
        Flatline(flatline=1800 * SECOND),
        Unreadable(on_delay=60 * SECOND),
        Stale(),
        Silent(name="silent"),
    ],
)
def test_a_rule_is_kept_with_its_facts_and_read_again(rule: Rule) -> None:
    assert rule_of(rule_text(rule)) == rule
