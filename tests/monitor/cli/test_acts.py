import pytest

from tests.monitor.cli.conftest import LOW, Gateway, lines
from tests.support.desk import SECOND, alarm_event, standing


def test_ack_is_bound_to_what_was_seen(gateway: Gateway) -> None:
    gateway.desk.alarms = {LOW: standing(alarm_event(1, version=7))}
    result = gateway.ask("ack", LOW, "--reason", "bottle changed", "--as", "Ada")
    assert (result.exit_code, result.stdout) == (0, f"{LOW}: acknowledge done, now acknowledged\n")
    [request] = gateway.desk.acted
    assert (request.act, request.version) == ("acknowledge", 7)
    assert request.occurrence == f"s1/{LOW}/1"
    assert (request.reason, request.actor.claimed) == ("bottle changed", "Ada")


@pytest.mark.parametrize(
    ("arguments", "act", "duration"),
    [
        (["shelve", LOW, "--for", "30m", "-r", "x"], "shelve", 1800 * SECOND),
        (["unshelve", LOW, "-r", "x"], "unshelve", None),
        (["reset", LOW, "-r", "x"], "reset", None),
    ],
)
def test_other_acts(gateway: Gateway, arguments: list[str], act: str, duration: int | None) -> None:
    [reply] = lines(gateway.ask(*arguments, "--json").stdout)
    assert reply["result"] == "done"
    [request] = gateway.desk.acted
    assert (request.act, request.duration, request.occurrence) == (act, duration, None)


def test_a_refused_act_says_why_and_is_1(gateway: Gateway) -> None:
    gateway.desk.refusal = ("stale", "it was raised again\x1b[2J")
    result = gateway.ask("ack", LOW, "incubator-08/co2/low", "-r", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{LOW}: refused (stale): it was raised again\\x1b[2J" in result.stderr
    assert len(gateway.desk.acted) == 2


def test_an_unknown_alarm_is_answered_with_near_ones(gateway: Gateway) -> None:
    result = gateway.ask("ack", "incubator-7/co2/low", "-r", "x")
    assert (result.exit_code, gateway.desk.acted) == (1, [])
    assert f"did you mean {LOW}" in result.stderr
