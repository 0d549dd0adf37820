"""The master alarm database: every alarm with what it is for, in words and as JSON."""

import json
from pathlib import Path

import pytest

from config.rules import (
    EquipmentState,
    High,
    Unreadable,
    When,
)
from monitor.cli import main
from monitor.cli.justify import unless

MINUTE = 60 * 10**9
DOOR = {0: "closed", 1: "open"}


def test_what_is_different_in_some_states_and_phases() -> None:
    rule = High(
        limit=37.5,
        when=(
            When(phases=("transduction",), limit=34.5, deadband=0.2, on_delay=5 * MINUTE),
            When(states=(EquipmentState.IDLE, EquipmentState.CLEANING), phases=("x",), off=True),
        ),
    )
    assert list(unless(rule, "Cel")) == [
        "in phase transduction: limit 34.5 °C, deadband 0.2 °C, for 5m",
        "while idle or cleaning, in phase x: off",
    ]
    assert list(unless(Unreadable(), "")) == []


SITE = """\
site: lab
gateway: gw-1
classes: {gmp: {priority: critical, confirm: true, re_alarm: 30m, roles: [chief], shelvable: false,
  escalate: {after: 20m}}}
operators: {roles: {chief: all}}
limits:
  warm:
    co2:
      - {unreadable: off}
      - name: low
        low: 4.5
        on_delay: 10m
        class: gmp
        consequence: "The medium turns \\e[31m"
        response: "Change the bottle"
        time_to_respond: 1h
        delay_justification: "A door takes five minutes"
lines:
  - {name: bus-1, modbus: {host: 192.0.2.1}}
equipment:
"""
CHAMBER = (
    "  - {name: incubator-%d, kind: incubator, area: lab, limits: warm, sources: "
    "[{line: bus-1, unit: %d, channels: {co2: {input: 1, type: int16}}}]}\n"
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE + "".join(CHAMBER % (n, n) for n in range(1, 6)), encoding="utf-8")
    return path


def test_alarms_of_one_definition_are_told_together(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--justify", str(site)]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("incubator-1/co2/low"))
    assert lines[at : at + 7] == [
        "incubator-1/co2/low, incubator-2/co2/low, incubator-3/co2/low and 2 more",
        "    below 4.5 %, for 10m",
        (
            "    priority critical, class gmp, to be confirmed, again 30m after its "
            "acknowledgement, critical after 20m without an acknowledgement, never shelved, "
            "by chief"
        ),
        "    consequence: The medium turns \\x1b[31m",
        "    response: Change the bottle",
        "    time to respond: 1h",
        "    delay is justified by: A door takes five minutes",
    ]
    silent = next(n for n, line in enumerate(lines) if "/_/silent-bus-1-1" in line)
    assert "    consequence: -" in lines[silent : silent + 7]
    assert "alarms, " in told.err
    assert "delayed without a justification" in told.err


def test_each_alarm_is_an_object(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--justify", "--json", str(site)]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    alarms = {each["alarm"]: each for each in told}
    assert len(alarms) == len(told)
    assert {each["schema"] for each in told} == {"cytowatch.alarm_definition.v1"}
    assert "gateway/_/line-bus-1" in alarms
    low = alarms["incubator-5/co2/low"]
    assert (low["condition"], low["priority"], low["severity"]) == ("below 4.5 %", "critical", 950)
    assert (low["on_delay"], low["re_alarm"], low["time_to_respond"]) == (600, 1800, 3600)
    assert low["escalate"] == [{"after": 1200, "to": "critical"}]
    assert (low["class"], low["roles"], low["shelvable"]) == ("gmp", ["chief"], False)
    assert low["delay_justification"] == "A door takes five minutes"


def test_a_bad_file_is_not_justified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("site: lab\n", encoding="utf-8")
    assert main(["check", "--justify", str(path)]) == 78
    assert "lines: is missing" in capsys.readouterr().out
