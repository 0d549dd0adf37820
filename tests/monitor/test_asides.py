from monitor.alarms.facts import Change
from monitor.asides import Asides
from monitor.messages import AlarmEventMessage
from tests.support.desk import alarm_event

SOON = "2026-01-31T13:00:00.000Z"


def shelved(number: int, change: Change = Change.SHELVED, **more: str) -> AlarmEventMessage:
    return alarm_event(number, change=change, shelved_until=SOON, **more)


def said(message: AlarmEventMessage) -> tuple[str, str, str, str]:
    return (
        message.shelved_by,
        message.shelved_reason,
        message.out_of_service_by,
        message.out_of_service_reason,
    )


def test_who_shelved_it_is_told_until_the_shelf_ends() -> None:
    asides = Asides()
    first = asides.signed(shelved(1, actor="anna", comment="calibration"))
    under = asides.signed(shelved(2, Change.RETURNED, actor="", comment=""))
    acked = asides.signed(shelved(3, Change.ACKNOWLEDGED, actor="kim", comment="seen"))
    over = asides.signed(alarm_event(4, change=Change.UNSHELVED, actor="kim"))
    after = asides.signed(alarm_event(5))
    assert [said(m)[:2] for m in (first, under, acked)] == [("anna", "calibration")] * 3
    assert said(over) == said(after) == ("", "", "", "")


def test_a_longer_shelf_is_by_whoever_made_it_longer() -> None:
    asides = Asides()
    asides.signed(shelved(1, actor="anna", comment="calibration"))
    assert said(asides.signed(shelved(2, actor="kim", comment="it takes longer")))[0] == "kim"


def test_a_shelf_and_out_of_service_are_two_things() -> None:
    asides = Asides()
    asides.signed(shelved(1, actor="anna", comment="calibration"))
    both = alarm_event(
        2,
        change=Change.REMOVED_FROM_SERVICE,
        shelved_until=SOON,
        out_of_service_until=SOON,
        actor="kim",
        comment="WO-4711",
    )
    assert said(asides.signed(both)) == ("anna", "calibration", "kim", "WO-4711")
    one = alarm_event(3, change=Change.UNSHELVED, out_of_service_until=SOON, actor="anna")
    assert said(asides.signed(one)) == ("", "", "kim", "WO-4711")


def test_a_restart_forgets_nothing() -> None:
    before = Asides().signed(shelved(1, actor="anna", comment="calibration"))
    after = Asides([before, alarm_event(1, "incubator-08/co2/low")])
    assert said(after.signed(shelved(2, Change.RETURNED)))[:2] == ("anna", "calibration")


def test_who_shelved_it_under_a_release_that_kept_no_names_is_taken_from_the_act_itself() -> None:
    asides = Asides([shelved(1, actor="anna", comment="calibration")])
    assert said(asides.signed(shelved(2, Change.RETURNED, actor="")))[:2] == ("anna", "calibration")


def test_one_alarm_is_not_another() -> None:
    asides = Asides()
    asides.signed(shelved(1, actor="anna", comment="calibration"))
    other = alarm_event(2, "incubator-08/co2/low", shelved_until=SOON, change=Change.RETURNED)
    assert asides.signed(other) is other
