"""``alarm-test``: each step as it comes, the page, and how it ends."""

import json
from pathlib import Path

import pytest

from monitor.alarms.facts import Refusal
from monitor.cli.alarm_test import step_line
from monitor.operators.answers import BY_HAND, BY_ITSELF
from tests.monitor.cli.conftest import LOW, Gateway, lines
from tests.monitor.pages.test_alarm_test import STEPS, recorded, step

MINUTE = 60 * 10**9


def rehearsed(gateway: Gateway, **given: object) -> None:
    gateway.desk.rehearsal = (*STEPS, recorded(**given))


def test_each_step_is_a_line_and_the_last_one_the_verdict(gateway: Gateway) -> None:
    rehearsed(gateway)
    result = gateway.ask("alarm-test", LOW, "-r", "monthly", "--as", "Ada", "--role", "lead")
    assert result.exit_code == 0
    *steps, last = result.stdout.splitlines()
    assert len(steps) == len(STEPS)
    assert steps[1] == (
        "ok    2026-02-02T02:15:00.400Z  raised                 expected: raised after 15m; seen: "
        "unacknowledged, 900.4 s after the condition began; test true, annunciated true"
    )
    assert last.startswith("TEST of incubator-07/temperature/high-high: passed; event 311 on")
    assert recorded().head in last
    [request] = gateway.desk.tested
    assert (request.alarm, request.reason, request.by_hand) == (LOW, "monthly", False)
    assert (request.actor.claimed, request.actor.role) == ("Ada", "lead")
    assert request.patience == BY_ITSELF


@pytest.mark.parametrize(
    ("options", "patience"), [((), BY_HAND), (("--timeout", "3m"), 3 * MINUTE)]
)
def test_by_hand_it_says_what_to_acknowledge(
    gateway: Gateway, options: tuple[str, ...], patience: int
) -> None:
    rehearsed(gateway)
    result = gateway.ask("alarm-test", LOW, "--ack-by-hand", *options)
    assert "cytowatch ack incubator-07/co2/test-low" in result.stderr
    [request] = gateway.desk.tested
    assert (request.by_hand, request.patience) == (True, patience)


@pytest.mark.parametrize("verdict", ["failed", "abandoned"])
def test_what_did_not_pass_is_1_and_has_its_page(
    gateway: Gateway, tmp_path: Path, verdict: str
) -> None:
    rehearsed(gateway, verdict=verdict)
    page = tmp_path / "page.html"
    result = gateway.ask("alarm-test", LOW, "-o", str(page))
    assert result.exit_code == 1
    assert f": {verdict};" in result.stdout
    assert verdict.capitalize() in page.read_text(encoding="utf-8")


def test_json_is_one_object_a_line(gateway: Gateway) -> None:
    rehearsed(gateway)
    told = lines(gateway.ask("alarm-test", LOW, "--json", "--ack-by-hand").stdout)
    assert [each["schema"] for each in told] == [
        *["cytowatch.alarm_test_step.v1"] * len(STEPS),
        "cytowatch.alarm_test.v1",
    ]
    assert told[-1] == json.loads(recorded().model_dump_json(by_alias=True))


def test_what_is_refused_leaves_no_page(gateway: Gateway, tmp_path: Path) -> None:
    gateway.desk.rehearsal = (Refusal("under_way", f"{LOW} is being tested already"),)
    result = gateway.ask("alarm-test", LOW, "-o", str(tmp_path / "page.html"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is being tested already" in result.stderr
    assert not list(tmp_path.glob("*page*"))


def test_an_alarm_that_is_not_there_is_not_asked_for(gateway: Gateway) -> None:
    result = gateway.ask("alarm-test", "incubator-07/co2/lov")
    assert result.exit_code == 1
    assert f"did you mean {LOW}" in result.stderr
    assert gateway.desk.tested == []


def test_a_page_that_cannot_be_written_is_said_before_anything_is_begun(
    gateway: Gateway, tmp_path: Path
) -> None:
    rehearsed(gateway)
    result = gateway.ask("alarm-test", LOW, "-o", str(tmp_path / "none" / "page.html"))
    assert result.exit_code == 74
    assert gateway.desk.tested == []


def test_what_was_typed_is_made_harmless() -> None:
    line = step_line(step("acknowledged", 1, seen="acknowledged: \x1b[2J"))
    assert "\\x1b[2J" in line
