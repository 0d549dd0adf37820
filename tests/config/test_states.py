"""What each state suppresses, as shipped and as a site says it."""

from config.rules import EquipmentState, High, Low, OffNormal, Unreadable
from config.states import SHIPPED, StateSetting, suppression

HOUR = 3600 * 10**9
HIGH, LOW = High(limit=38), Low(name="alert", limit=36)
OPEN = OffNormal(name="open", off_normal=(True,))


def test_what_is_in_use_is_never_suppressed_and_all_else_has_a_longest() -> None:
    assert SHIPPED.keys() == set(EquipmentState) - {EquipmentState.IN_USE}
    assert all(each.longest > 0 for each in SHIPPED.values())
    assert EquipmentState.IN_USE not in suppression({})


def test_what_may_still_hold_cells_suppresses_nothing_unless_asked() -> None:
    shipped = suppression({})
    for state in (EquipmentState.IDLE, EquipmentState.QUARANTINED):
        assert shipped[state].suppress == ()
    asked = suppression({EquipmentState.IDLE: StateSetting(suppress=("*/deviation",))})
    assert asked[EquipmentState.IDLE].suppress == ("*/deviation",)
    assert asked[EquipmentState.IDLE].longest == SHIPPED[EquipmentState.IDLE].longest


def test_cleaning_takes_the_process_out_of_its_limits_and_not_the_door_or_the_instrument() -> None:
    cleaning = suppression({})[EquipmentState.CLEANING]
    assert cleaning.longest == 26 * HOUR
    for channel in ("temperature", "co2_probe_temperature", "humidity", "co2", "o2", "ph"):
        assert cleaning.covers(channel, HIGH)
        assert cleaning.covers(channel, LOW)
        assert not cleaning.covers(channel, Unreadable())
    assert not cleaning.covers("door", OPEN)
    assert not cleaning.covers("pressure", HIGH)


def test_warming_up_is_only_too_cold() -> None:
    warming_up = suppression({})[EquipmentState.WARMING_UP]
    assert warming_up.covers("temperature", LOW)
    assert not warming_up.covers("temperature", HIGH)
    assert not warming_up.covers("door", OPEN)


def test_maintenance_suppresses_all() -> None:
    for state in (EquipmentState.MAINTENANCE, EquipmentState.OUT_OF_SERVICE):
        assert suppression({})[state].covers("temperature", Unreadable())


def test_a_site_says_only_what_is_different() -> None:
    said = {EquipmentState.CLEANING: StateSetting(longest=3 * HOUR)}
    assert suppression(said)[EquipmentState.CLEANING].longest == 3 * HOUR
    assert (
        suppression(said)[EquipmentState.CLEANING].suppress
        == SHIPPED[EquipmentState.CLEANING].suppress
    )
    nothing = {EquipmentState.CLEANING: StateSetting(suppress=())}
    assert suppression(nothing)[EquipmentState.CLEANING].suppress == ()
