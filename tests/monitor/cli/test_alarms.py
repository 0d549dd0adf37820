from config.rules import EquipmentState
from monitor.alarms.usage import Override, ToldBy, Usage
from tests.monitor.cli.conftest import LOW, Gateway, lines
from tests.support.desk import START, alarm_event, standing


def test_alarms_are_shown_by_urgency(gateway: Gateway) -> None:
    told = [
        alarm_event(1, acked_state=True, state="acknowledged", priority="critical", severity=950),
        alarm_event(2, "incubator-07/co2/high", priority="low", severity=200),
        alarm_event(3, "incubator-08/co2/low"),
        alarm_event(
            4,
            "gateway/_/sink-mqtt",
            annunciated=False,
            state="shelved",
            shelving_state="TimedShelved",
        ),
    ]
    gateway.desk.alarms = {each.alarm: standing(each) for each in told}
    result = gateway.ask("alarms", "--check")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["!", "!", "C", "!"]
    assert result.stderr == "3 annunciated, 1 shelved.\n"
    assert result.exit_code == 1
    everything = lines(gateway.ask("alarms", "--json").stdout)
    assert [alarm["alarm"] for alarm in everything] == [
        "incubator-08/co2/low",
        "incubator-07/co2/high",
        LOW,
        "gateway/_/sink-mqtt",
    ]


def test_what_is_put_aside_is_shown_and_counted_by_why(gateway: Gateway) -> None:
    told = [
        alarm_event(1),
        alarm_event(2, "incubator-07/co2/high", annunciated=False, suppressed_by="state:cleaning"),
        alarm_event(3, "incubator-08/co2/low", annunciated=False, superseded_by=LOW),
        alarm_event(4, "incubator-08/co2/high", annunciated=False, out_of_service_state=True),
    ]
    gateway.desk.alarms = {each.alarm: standing(each) for each in told}
    result = gateway.ask("alarms", "--suppressed")
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == (
        "1 annunciated, 1 behind a worse level, 1 out of service, 1 suppressed.\n"
    )
    assert result.exit_code == 0
    assert gateway.ask("alarms", "--suppressed", "--check").exit_code == 1


def test_a_state_that_suppresses_is_shown_with_who_set_it(gateway: Gateway) -> None:
    told = alarm_event(1, annunciated=False, state="suppressed", suppressed_by="state:cleaning")
    gateway.desk.alarms = {LOW: standing(told)}
    by = Override(EquipmentState.CLEANING, "kim", "a spill", START)
    gateway.desk.usages = {
        "incubator-07": Usage(EquipmentState.CLEANING, START, ToldBy.ACT, override=by)
    }
    result = gateway.ask("alarms")
    assert "(suppressed while cleaning by kim: a spill)" in result.stdout
    assert result.stderr == "0 annunciated, 1 suppressed.\n"


def test_what_nobody_is_told_of_is_no_alarm_to_a_check(gateway: Gateway) -> None:
    aside = alarm_event(1, annunciated=False, suppressed_by="state:cleaning")
    gateway.desk.alarms = {LOW: standing(aside)}
    assert gateway.ask("alarms", "--check").exit_code == 0


def test_a_rehearsal_is_shown_as_one_and_is_no_alarm_to_a_check(gateway: Gateway) -> None:
    gateway.desk.alarms = {LOW: standing(alarm_event(1, test=True))}
    result = gateway.ask("alarms", "--check")
    assert (result.exit_code, result.stderr) == (0, "0 annunciated, 1 under test.\n")
    assert f"TEST {LOW}" in result.stdout


def test_no_alarm_is_said_beside_the_data(gateway: Gateway) -> None:
    result = gateway.ask("alarms", "--check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No alarm stands.\n")
