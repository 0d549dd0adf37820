from tests.monitor.cli.conftest import LOW, Gateway, lines
from tests.support.desk import alarm_event, standing


def test_alarms_are_shown_by_urgency(gateway: Gateway) -> None:
    told = [
        alarm_event(1, acked_state=True, state="acknowledged", priority="critical", severity=950),
        alarm_event(2, "incubator-07/co2/high", priority="low", severity=200),
        alarm_event(3, "incubator-08/co2/low"),
        alarm_event(4, "gateway/_/sink-mqtt", annunciated=False, state="shelved"),
    ]
    gateway.desk.alarms = {each.alarm: standing(each) for each in told}
    result = gateway.ask("alarms", "--check")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["!", "!", "C"]
    assert "1 more are shelved or suppressed" in result.stderr
    assert result.exit_code == 1
    everything = lines(gateway.ask("alarms", "--all", "--json").stdout)
    assert [alarm["alarm"] for alarm in everything] == [
        "gateway/_/sink-mqtt",
        "incubator-08/co2/low",
        "incubator-07/co2/high",
        LOW,
    ]


def test_no_alarm_is_said_beside_the_data(gateway: Gateway) -> None:
    result = gateway.ask("alarms", "--check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No alarm stands.\n")
