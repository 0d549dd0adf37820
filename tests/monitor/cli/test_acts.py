import json
from pathlib import Path

import pytest

from monitor.alarms.performance import nanoseconds
from monitor.cli.acts import concerns
from monitor.excursions.record import ExcursionRecord
from monitor.store.events import Event
from tests.monitor.cli.conftest import LOW, Gateway, lines
from tests.monitor.pages import scene
from tests.support.desk import SECOND, alarm_event, standing

HIGH = "incubator-07/co2/high"
OTHER = "incubator-08/co2/low"


def test_ack_is_bound_to_what_was_seen(gateway: Gateway) -> None:
    gateway.desk.alarms = {LOW: standing(alarm_event(1, version=7))}
    result = gateway.ask("ack", LOW, "--reason", "bottle changed", "--as", "Ada", "--role", "lead")
    assert (result.exit_code, result.stdout) == (0, f"{LOW}: acknowledge done, now acknowledged\n")
    [request] = gateway.desk.acted
    assert (request.act, request.version) == ("acknowledge", 7)
    assert request.occurrence == f"s1/{LOW}/1"
    assert (request.reason, request.actor.claimed) == ("bottle changed", "Ada")
    assert request.actor.role == "lead"


@pytest.mark.parametrize(
    ("arguments", "act", "duration", "one_shot"),
    [
        (["shelve", LOW, "--for", "30m", "-r", "x"], "shelve", 1800 * SECOND, False),
        (["shelve", LOW, "--one-shot", "-r", "x"], "shelve", None, True),
        (["shelve", LOW, "--one-shot", "--for", "1h", "-r", "x"], "shelve", 3600 * SECOND, True),
        (["unshelve", LOW, "-r", "x"], "unshelve", None, False),
        (["reset", LOW, "-r", "x"], "reset", None, False),
        (["confirm", LOW, "-r", "x"], "confirm", None, False),
        (["in-service", LOW, "-r", "x"], "return_to_service", None, False),
        (
            ["out-of-service", LOW, "--for", "8h", "-r", "x"],
            *("remove_from_service", 8 * 3600 * SECOND, False),
        ),
        (["comment", LOW, "x"], "comment", None, False),
    ],
)
def test_other_acts(
    gateway: Gateway, arguments: list[str], act: str, duration: int | None, one_shot: bool
) -> None:
    [reply] = lines(gateway.ask(*arguments, "--json").stdout)
    assert reply["result"] == "done"
    [request] = gateway.desk.acted
    assert (request.act, request.duration, request.occurrence) == (act, duration, None)
    assert (request.one_shot, request.reason) == (one_shot, "x")


def test_a_refused_act_says_why_and_is_1(gateway: Gateway) -> None:
    gateway.desk.refusal = ("stale", "it was raised again\x1b[2J")
    result = gateway.ask("ack", LOW, OTHER, "-r", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{LOW}: refused (stale): it was raised again\\x1b[2J" in result.stderr
    assert len(gateway.desk.acted) == 2


@pytest.mark.parametrize("name", ["incubator-7/co2/low", "incubator-7", "*/co3"])
def test_an_unknown_alarm_is_answered_and_nothing_is_done(gateway: Gateway, name: str) -> None:
    result = gateway.ask("ack", LOW, name, "-r", "x")
    assert (result.exit_code, gateway.desk.acted) == (1, [])
    assert f"there is no alarm {name}" in result.stderr
    near = {"incubator-7/co2/low": LOW, "incubator-7": "incubator-07"}.get(name, "")
    assert near in result.stderr


def stand(gateway: Gateway) -> None:
    told = [
        alarm_event(1),
        alarm_event(2, HIGH, acked_state=True),
        alarm_event(3, OTHER, shelving_state="TimedShelved"),
    ]
    gateway.desk.alarms = {each.alarm: standing(each) for each in told}


@pytest.mark.parametrize(
    ("arguments", "alarms"),
    [
        (["ack", "*"], [LOW, OTHER]),
        (["ack", "incubator-07"], [LOW]),
        (["ack", "incubator-07/co2", HIGH], [LOW, HIGH]),
        (["ack", "incubator-0?/co2/*"], [LOW, OTHER]),
        (["shelve", "*/co2", "--for", "1h"], [LOW, HIGH]),
        (["unshelve", "*"], [OTHER]),
        (["unshelve", "incubator-07"], []),
        (["out-of-service", "incubator-*", "--for", "1h"], [LOW, HIGH, OTHER]),
        (["out-of-service", "gateway", "--for", "1h"], ["gateway/_/sink-mqtt"]),
        (["ack", "gateway"], []),
    ],
)
def test_a_pattern_is_for_those_that_the_act_concerns(
    gateway: Gateway, arguments: list[str], alarms: list[str]
) -> None:
    stand(gateway)
    result = gateway.ask(*arguments, "-r", "x")
    assert result.exit_code == 0
    assert sorted(request.alarm for request in gateway.desk.acted) == sorted(alarms)
    assert ("Nothing that fits is there to" in result.stderr) == (not alarms)
    assert len(result.stdout.splitlines()) == len(alarms)


def test_what_speaks_for_others_comes_after_them(gateway: Gateway) -> None:
    """To silence a worse level lets the milder speak: seen before that, it would be stale."""
    sink = "gateway/_/sink-mqtt"
    told = [
        alarm_event(1, sink, severity=600),
        alarm_event(2, HIGH, severity=600),
        alarm_event(3, LOW, severity=1000, superseded_by=HIGH),
        alarm_event(4, OTHER, severity=1000, suppressed_by=sink),
    ]
    gateway.desk.alarms = {each.alarm: standing(each) for each in told}
    assert gateway.ask("out-of-service", "*", "--for", "8h", "-r", "x").exit_code == 0
    order = [request.alarm for request in gateway.desk.acted]
    assert order[-4:] == [LOW, OTHER, HIGH, sink]


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["ack", LOW, "-r", "x" * 1001], "reason: should have at most 1000 characters"),
        (["ack", LOW, "-r", "x", "--as", "x" * 201], "claimed: should have at most 200"),
        (["ack", *[LOW] * 101, "-r", "x"], "fit: should have at most 100 items"),
        (["comment", "incubator-07", "x" * 65_536], "reason: should have at most 1000"),
        (["load", "incubator-07", "x" * 65], "batch: should have at most 64"),
        (["equipment", *["incubator-07"] * 101], "fit: should have at most 100"),
        (["alarm-test", LOW, "-r", "x" * 1001], "reason: should have at most 1000"),
        (["excursions", "show", "x" * 1001], "excursion: should have at most"),
    ],
)
def test_what_is_too_long_to_be_asked_is_an_error_of_usage(
    gateway: Gateway, arguments: list[str], wrong: str
) -> None:
    result = gateway.ask(*arguments)
    assert (result.exit_code, gateway.desk.acted, gateway.desk.used) == (2, [], [])
    assert f"Error: {wrong}" in result.stderr


def test_a_dry_run_does_nothing(gateway: Gateway) -> None:
    stand(gateway)
    result = gateway.ask("ack", "*", "--dry-run")
    assert (result.exit_code, gateway.desk.acted) == (0, [])
    assert result.stdout.splitlines() == [
        f"{LOW}: would acknowledge, now unacknowledged",
        f"{OTHER}: would acknowledge, now unacknowledged",
    ]
    told = lines(gateway.ask("out-of-service", HIGH, "--for", "1h", "--dry-run", "--json").stdout)
    assert [each["alarm"] for each in told] == [HIGH]
    assert gateway.desk.acted == []


def test_the_text_of_a_comment_is_its_reason(gateway: Gateway) -> None:
    result = gateway.ask("comment", LOW, "seal replaced", "-r", "x")
    assert (result.exit_code, gateway.desk.acted) == (2, [])
    assert "leave --reason out" in result.stderr


def test_a_comment_is_about_an_alarm_or_an_equipment(gateway: Gateway) -> None:
    stand(gateway)
    assert gateway.ask("comment", "incubator-07", "seal replaced").exit_code == 0
    [used] = gateway.desk.used
    assert (used.act, used.equipment, used.reason) == ("comment", "incubator-07", "seal replaced")
    assert gateway.ask("comment", "*/co2", "seal replaced").exit_code == 0
    assert [request.alarm for request in gateway.desk.acted] == [LOW, HIGH, OTHER]
    assert {request.reason for request in gateway.desk.acted} == {"seal replaced"}


NAME = "incubator-07/temperature/high"


@pytest.fixture
def excursion(gateway: Gateway) -> ExcursionRecord:
    """An excursion that is over and on the record."""
    text = scene.recorded().model_dump_json(by_alias=True).replace("incubator-7", "incubator-07")
    record = ExcursionRecord.model_validate_json(text)
    at = nanoseconds(str(record.end)) + SECOND
    gateway.add(Event(1, None, "excursion", at, 0, NAME, text))
    gateway.desk.watched = (*gateway.desk.watched, NAME)
    return record


def test_a_comment_may_be_about_an_excursion(gateway: Gateway, excursion: ExcursionRecord) -> None:
    result = gateway.ask("comment", "--excursion", "high/x902", "deviation 2026-117")
    assert result.exit_code == 0, result.output
    [request] = gateway.desk.acted
    assert (request.act, request.alarm, request.excursion) == (
        *("comment", NAME, excursion.excursion),
    )
    assert request.occurrence is None
    unknown = gateway.ask("comment", "--excursion", "high/x9", "deviation 2026-117")
    assert (unknown.exit_code, len(gateway.desk.acted)) == (1, 1)


def test_what_was_said_of_an_excursion_later_stands_with_it(
    gateway: Gateway, excursion: ExcursionRecord, tmp_path: Path
) -> None:
    later = nanoseconds(str(excursion.end)) + 86_400 * SECOND
    said = {"act": "comment", "user": "kim", "role": "qa", "reason": "deviation 2026-117"}
    of_it = json.dumps(said | {"excursion": excursion.excursion})
    of_another = json.dumps(said | {"excursion": "s1/x1", "reason": "nothing to see"})
    gateway.add(
        Event(2, None, "act", later, 0, NAME, of_it),
        Event(3, None, "act", later, 0, NAME, of_another),
    )
    shown = gateway.ask("excursions", "show", "x902").stdout
    assert "comment by kim (qa): deviation 2026-117" in shown
    assert "nothing to see" not in shown
    page = tmp_path / "page.html"
    assert gateway.ask("excursions", "page", "x902", "--output", str(page)).exit_code == 0
    text = page.read_text()
    assert "deviation 2026-117" in text
    assert "kim (qa)" in text
    assert "nothing to see" not in text


@pytest.mark.parametrize(
    ("changed", "acts"),
    [
        ({}, {"acknowledge", "shelve"}),
        ({"acked_state": True}, {"shelve"}),
        ({"acked_state": True, "confirmed_state": False}, {"confirm", "shelve"}),
        ({"acked_state": True, "latched_state": True}, {"reset", "shelve"}),
        ({"shelving_state": "OneShotShelved"}, {"acknowledge", "unshelve"}),
        ({"out_of_service_state": True}, {"acknowledge", "shelve", "return_to_service"}),
    ],
)
def test_what_concerns_an_alarm(changed: dict[str, object], acts: set[str]) -> None:
    alarm = standing(alarm_event(1, **changed))  # type: ignore[arg-type]  # fields by name
    every = (
        *("acknowledge", "confirm", "reset", "shelve", "unshelve"),
        *("remove_from_service", "return_to_service", "comment"),
    )
    removable = set() if changed.get("out_of_service_state") else {"remove_from_service"}
    assert {act for act in every if concerns(act, alarm)} == acts | removable | {"comment"}  # type: ignore[arg-type]  # each is one
    assert {act for act in every if concerns(act, None)} == {"remove_from_service"}  # type: ignore[arg-type]
