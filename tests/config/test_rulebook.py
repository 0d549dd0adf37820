"""What is on by default for an instrument whose calibration comes due, and what a site changes."""

from pathlib import Path

import pytest

from config.plant import Source
from config.rules import CalibrationDue, EquipmentState, Priority, Suppression
from tests.config.site_text import GOOD, loaded, problems, spoilt

DAY = 86_400 * 10**9
DUE = GOOD.replace("every: 1s", "every: 1s, calibration_due: 2027-03-01")


def source(folder: Path, text: str) -> Source:
    return loaded(folder, text).sources[0]


def test_a_calibration_is_told_a_month_ahead_and_again_on_the_day(tmp_path: Path) -> None:
    assert source(tmp_path, GOOD).calibration == ()
    assert source(tmp_path, DUE).calibration == (
        CalibrationDue(name="calibration-own-1", ahead=30 * DAY, priority=Priority.LOW),
        CalibrationDue(name="calibration-expired-own-1", ahead=0, priority=Priority.MEDIUM),
    )


def test_a_site_changes_both_and_each(tmp_path: Path) -> None:
    text = DUE + (
        "classes: {gmp: {confirm: true, re_alarm: 1d}}\n"
        "defaults:\n  calibration: {ahead: 60d, priority: medium, class: gmp, response: Order it, "
        "expired: {response: Take it out of service}}\n"
    )
    ahead, expired = source(tmp_path, text).calibration
    assert (ahead.ahead, ahead.priority, ahead.response) == (60 * DAY, Priority.MEDIUM, "Order it")
    assert (ahead.alarm_class, ahead.confirm, ahead.re_alarm) == ("gmp", True, DAY)
    assert (expired.ahead, expired.priority) == (0, Priority.MEDIUM)
    assert (expired.response, expired.confirm) == ("Take it out of service", True)


def test_the_day_itself_may_be_of_another_class(tmp_path: Path) -> None:
    text = DUE + (
        "classes: {gmp: {priority: critical, confirm: true}, advisory: {priority: low}}\n"
        "defaults: {calibration: {class: advisory, expired: {class: gmp, confirm: false}}}\n"
    )
    ahead, expired = source(tmp_path, text).calibration
    assert (ahead.alarm_class, ahead.priority) == ("advisory", Priority.LOW)
    assert (expired.alarm_class, expired.priority) == ("gmp", Priority.CRITICAL)
    assert not expired.confirm


def test_a_site_may_do_without(tmp_path: Path) -> None:
    assert source(tmp_path, DUE + "defaults: {calibration: off}\n").calibration == ()


FAULTS = {
    "no time ahead": (
        "defaults: {calibration: {ahead: 0s}}",
        ["28:33: defaults.calibration.ahead: should be from 1s to 366d"],
    ),
    "another word": (
        "defaults: {calibration: on}",
        ["28:25: defaults.calibration: should be 'off'"],
    ),
    "how far ahead of the day itself": (
        "defaults: {calibration: {expired: {ahead: 1d}}}",
        ["28:36: defaults.calibration.expired.ahead: unknown key 'ahead'"],
    ),
}


@pytest.mark.parametrize(("defaults", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, defaults: str, said: list[str]
) -> None:
    assert problems(tmp_path, f"{DUE}{defaults}\n") == said


def test_the_names_of_its_alarms_fit_and_are_its_own(tmp_path: Path) -> None:
    name = "x" * 50
    long = spoilt("profile: own,", f"profile: own, name: {name},", GOOD)
    assert problems(tmp_path, long) == []
    due = long.replace("every: 1s", "every: 1s, calibration_due: 2027-03-01")
    assert problems(tmp_path, due) == [
        f"24:52: equipment.0.sources.0.name: the name '{name}' is too long"
    ]
    states = "states: {cleaning: {suppress: [x*]}}\n"
    assert problems(tmp_path, due + states)[0].endswith("is too long"), "while patterns are held"
    shared = spoilt("unit: 2\n", "unit: 2\n        name: expired-own-1\n", DUE)
    assert problems(tmp_path, shared) == [
        (
            "27:15: equipment.0.sources.1.name: "
            "'expired-own-1' would share an alarm with another source here"
        )
    ]


def test_a_state_may_suppress_it_by_its_kind(tmp_path: Path) -> None:
    text = DUE + "states: {out_of_service: {suppress: [_/calibration_due]}}\n"
    suppression = loaded(tmp_path, text).suppression[EquipmentState.OUT_OF_SERVICE]
    ahead, expired = source(tmp_path, text).calibration
    assert suppression.covers("_", ahead)
    assert suppression.covers("_", expired)
    assert not Suppression(suppress=("_",), longest=1).covers("_", ahead)
    assert problems(tmp_path, text.replace(", calibration_due: 2027-03-01", "")) == [
        "28:38: states.out_of_service.suppress.0: means no alarm of any equipment"
    ]
