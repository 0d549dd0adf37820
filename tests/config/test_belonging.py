"""Classes and roles that are named: they are there, and what a class says goes under the rules."""

from pathlib import Path

import pytest

from config.plant import Plant
from config.rules import ChannelRule, OffNormal, Priority
from tests.config.site_text import GOOD, loaded, problems, spoilt

MINUTE = 60 * 10**9
HIGH = "{name: high, high: 37.5, deadband: 0.1}"
CLASSES = """\
classes:
  gmp: {priority: critical, confirm: true, re_alarm: 30m, longest_shelf: 2h, roles: [chief]}
  quiet: {priority: low, shelvable: false}
operators: {roles: {chief: all, crew: [comment]}}
"""


def rule(plant: Plant, name: str) -> ChannelRule:
    return next(
        rule
        for source in plant.sources
        for channel in source.channels
        for rule in channel.rules
        if rule.name == name
    )


def classed(text: str, *swaps: tuple[str, str]) -> str:
    for old, new in swaps:
        text = spoilt(old, new, text)
    return text + CLASSES


def test_a_rule_has_what_its_class_says_and_its_own_comes_first(tmp_path: Path) -> None:
    text = classed(
        GOOD, (HIGH, "{name: high, high: 37.5, class: gmp, re_alarm: 1h, latching: true}")
    )
    high = rule(loaded(tmp_path, text), "high")
    assert (high.alarm_class, high.priority, high.confirm) == ("gmp", Priority.CRITICAL, True)
    assert (high.re_alarm, high.longest_shelf, high.roles) == (
        60 * MINUTE,
        120 * MINUTE,
        ("chief",),
    )
    assert high.latching
    assert high.reason_required


def test_a_rule_says_the_default_itself_and_the_class_does_not_change_it(tmp_path: Path) -> None:
    text = classed(
        GOOD, (HIGH, "{high: 37.5, class: gmp, priority: medium, confirm: false, roles: []}")
    )
    high = rule(loaded(tmp_path, text), "high")
    assert (high.priority, high.confirm, high.roles) == (Priority.MEDIUM, False, ())


def test_a_rule_of_states_is_of_its_class_too(tmp_path: Path) -> None:
    door = "    door: [{off_normal: [open], class: quiet, latching: true}]\n    co2: [{low"
    text = classed(GOOD, ("    co2: [{low", door))
    assert rule(loaded(tmp_path, text), "off-normal") == OffNormal(
        off_normal=(True,),
        alarm_class="quiet",
        priority=Priority.LOW,
        shelvable=False,
        latching=True,
    )


def test_a_default_s_class_goes_under_the_place_s_own(tmp_path: Path) -> None:
    text = classed(
        GOOD,
        ("co2: [{low", "co2: [{unreadable: {class: quiet, on_delay: 5m}}, {low"),
        ("192.0.2.1}", "192.0.2.1}, silent: {priority: high, consequence: blind}"),
    )
    text += "defaults: {unreadable: {class: gmp, re_alarm: 5m}, silent: {class: gmp}}\n"
    plant = loaded(tmp_path, text)
    temperature, co2 = plant.sources[0].channels
    by_default, own = temperature.rules[-1], co2.rules[-1]
    assert (by_default.priority, by_default.re_alarm) == (Priority.CRITICAL, 5 * MINUTE)
    assert (own.alarm_class, own.priority, own.shelvable) == ("quiet", Priority.LOW, False)
    assert (own.on_delay, own.re_alarm, own.confirm) == (5 * MINUTE, 5 * MINUTE, True)
    line = plant.line_silent["bus-1"]
    assert (line.priority, line.confirm, line.consequence) == (Priority.HIGH, True, "blind")


FAULTS = {
    "a rule's class": (
        HIGH,
        "{high: 37.5, class: gpm}",
        ["8:29: limits.warm.temperature.0.class: there is no class 'gpm'; did you mean 'gmp'?"],
    ),
    "a rule's role": (
        HIGH,
        "{high: 37.5, roles: [chief, chef]}",
        ["8:37: limits.warm.temperature.0.roles.1: there is no role 'chef'; did you mean 'chief'?"],
    ),
    "the class of a default's exception": (
        "co2: [{low",
        "co2: [{unreadable: {class: x}}, {low",
        [
            (
                "10:32: limits.warm.co2.0.unreadable.class: "
                "there is no class 'x'; there are gmp, quiet"
            )
        ],
    ),
    "a line's class": (
        "192.0.2.1}",
        "192.0.2.1}, silent: {class: quite}",
        ["17:62: lines.0.silent.class: there is no class 'quite'; did you mean 'quiet'?"],
    ),
    "a source's role": (
        "every: 1s}",
        "every: 1s, silent: {roles: [cheif]}}",
        [
            (
                "24:74: equipment.0.sources.0.silent.roles.0: "
                "there is no role 'cheif'; did you mean 'chief'?"
            )
        ],
    ),
    "a default's class": (
        "profiles:",
        "defaults: {calibration: {expired: {class: gpm}}, silent: {class: quit}}\nprofiles:",
        [
            (
                "11:43: defaults.calibration.expired.class: "
                "there is no class 'gpm'; did you mean 'gmp'?"
            ),
            "11:66: defaults.silent.class: there is no class 'quit'; did you mean 'quiet'?",
        ],
    ),
    "no time at all": (
        HIGH,
        "{high: 37.5, re_alarm: 0s}",
        ["8:32: limits.warm.temperature.0.re_alarm: should be from 1s to 366d"],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert problems(tmp_path, classed(GOOD, (old, new))) == said


def test_where_nothing_is_declared_that_is_said(tmp_path: Path) -> None:
    text = spoilt(HIGH, "{high: 37.5, class: gmp, roles: [chief]}")
    assert problems(tmp_path, text) == [
        (
            "8:29: limits.warm.temperature.0.class: "
            "there is no class 'gmp'; it is declared under classes:"
        ),
        (
            "8:42: limits.warm.temperature.0.roles.0: "
            "there is no role 'chief'; it is declared under operators: roles:"
        ),
    ]


def test_a_class_s_roles_must_be_there(tmp_path: Path) -> None:
    text = GOOD + CLASSES.replace("[chief]", "[cheif]")
    assert problems(tmp_path, text) == [
        "29:86: classes.gmp.roles.0: there is no role 'cheif'; did you mean 'chief'?"
    ]


def test_a_class_that_could_not_be_read_is_not_called_unknown_as_well(tmp_path: Path) -> None:
    text = classed(GOOD, (HIGH, "{high: 37.5, class: odd}")).replace(
        "classes:\n", "classes:\n  odd: [1]\n"
    )
    assert problems(tmp_path, text) == ["29:8: classes.odd: should be keys and values"]
