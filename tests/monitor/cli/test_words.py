import json
from typing import TYPE_CHECKING, Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.problems import plain
from monitor.cli.words import (
    alarm_line,
    event_line,
    figure,
    figures,
    quantity,
    size,
    table,
    transition_line,
    usage_line,
    value_line,
)
from monitor.messages import rfc3339
from monitor.operators.protocol import EventMessage, UsageMessage, ValueMessage
from tests.support.desk import NOON, SECOND, alarm_event, noted, standing

if TYPE_CHECKING:
    from pydantic import JsonValue


def told(number: int, **changed: object) -> EventMessage:
    message = alarm_event(number, **changed)  # type: ignore[arg-type]  # fields by name
    body = json.loads(message.model_dump_json(by_alias=True))
    return EventMessage(
        store_id="s1", number=number, seq=number, kind="alarm", time=message.time,
        subject=message.alarm, body=body,
    )  # fmt: skip


def note(kind: str, subject: str, /, **body: object) -> EventMessage:
    event = noted(1, kind, subject, **body)
    return EventMessage(
        store_id="s1", number=1, seq=None, kind=kind, time=rfc3339(NOON), subject=subject,
        body=json.loads(event.body),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            told(1),
            (
                "2026-01-31T12:00:01.000Z  H high      RAISED        incubator-07/co2/low"
                "  4.1 % (limit 4.5)  [unacknowledged]  Check the gas supply"
            ),
        ),
        (
            told(
                2,
                change="acknowledged",
                after="acknowledged",
                actor="ada",
                claimed="Ada L.",
                comment="bottle changed",
            ),
            (
                "2026-01-31T12:00:02.000Z  H high      ACKNOWLEDGED  incubator-07/co2/low"
                "  4.1 % (limit 4.5)  [acknowledged]  by ada (as Ada L.): bottle changed"
            ),
        ),
        (
            told(3, change="suppressed", after="suppressed", superseded_by="incubator-07/co2/ll"),
            (
                "2026-01-31T12:00:03.000Z  H high      SUPPRESSED    incubator-07/co2/low"
                "  4.1 % (limit 4.5)  [suppressed]  (behind incubator-07/co2/ll)"
            ),
        ),
        (
            told(
                1,
                value=4.1,
                limit=-0.5,
                reference=5.0,
                rule_kind="deviation",
                condition="more than 0.5 % under co2_setpoint, back with 0.1 % less",
            ),
            (
                "2026-01-31T12:00:01.000Z  H high      RAISED        incubator-07/co2/low"
                "  4.1 % against 5 % (more than 0.5 % under co2_setpoint)  [unacknowledged]"
                "  Check the gas supply"
            ),
        ),
        (
            told(
                1,
                value=None,
                limit=None,
                rule_kind="calibration_due",
                condition="calibration was due (2026-01-31)",
            ),
            (
                "2026-01-31T12:00:01.000Z  H high      RAISED        incubator-07/co2/low"
                "  calibration was due (2026-01-31)  [unacknowledged]  Check the gas supply"
            ),
        ),
        (
            told(4, priority="critical", value=None, limit=None, unit="", response=""),
            (
                "2026-01-31T12:00:04.000Z  C critical  RAISED        incubator-07/co2/low"
                "  [unacknowledged]"
            ),
        ),
        (
            note("start", "gw-1", version="0.1.0", pid=3, was=""),
            "2026-01-31T12:00:00.000Z  - -         START         gw-1  version=0.1.0 pid=3",
        ),
        (
            note("start", "gw-1", version="0.1.0", pid=3, config="0123456789ab", away="killed"),
            (
                "2026-01-31T12:00:00.000Z  - -         START         gw-1"
                "  cytowatch 0.1.0, configuration 01234567; before it: killed"
            ),
        ),
        (
            note("config", "0123456789ab", was=""),
            (
                "2026-01-31T12:00:00.000Z  - -         CONFIG        01234567"
                "  the first configuration"
            ),
        ),
        (
            note("config", "0123456789ab", was="ba9876543210"),
            ("2026-01-31T12:00:00.000Z  - -         CONFIG        01234567  in place of ba987654"),
        ),
        (
            note("outage", "line/suite-a", phase="begin", text="refused"),
            ("2026-01-31T12:00:00.000Z  - -         OUTAGE        line/suite-a  begins: refused"),
        ),
        (
            note("outage", "line/suite-a", phase="change", text="no route"),
            ("2026-01-31T12:00:00.000Z  - -         OUTAGE        line/suite-a  now: no route"),
        ),
        (
            note("outage", "line/suite-a", phase="end", text="no route"),
            (
                "2026-01-31T12:00:00.000Z  - -         OUTAGE        line/suite-a"
                "  well again after: no route"
            ),
        ),
        (
            note(
                "unmonitored",
                "incubator-07",
                **{"from": rfc3339(NOON), "to": rfc3339(NOON + SECOND)},
                seconds=1.0,
                cause="killed",
            ),
            (
                "2026-01-31T12:00:00.000Z  - -         UNMONITORED   incubator-07"
                "  killed: for 1.0 s, from 2026-01-31T12:00:00.000Z to 2026-01-31T12:00:01.000Z"
            ),
        ),
        (
            note("clock_step", "", kind="forward", before=rfc3339(0), after=rfc3339(NOON)),
            (
                "2026-01-31T12:00:00.000Z  - -         CLOCK_STEP    forward,"
                " from 1970-01-01T00:00:00.000Z to 2026-01-31T12:00:00.000Z"
            ),
        ),
        (
            note("line", "bus\x1b[31m", text="gone\r\nroot: all well\u202e"),
            (
                "2026-01-31T12:00:00.000Z  - -         LINE          bus\\x1b[31m"
                "  text=gone\\r\\nroot: all well\\u202e"
            ),
        ),
    ],
)
def test_an_event_is_one_stable_line(event: EventMessage, line: str) -> None:
    assert click.unstyle(event_line(event)) == line


STATE = {
    "change": "state",
    "state": "cleaning",
    "before": "in_use",
    "phase": "harvest",
    "phase_before": "",
    "cause": "channel",
    "told": "decontamination: running",
    "until": None,
    "suppresses": True,
    "suppressing_until": None,
    "user": "",
    "reason": "",
}
BATCH = {"act": "load", "batch": "B-1", "position": "", "user": "kim", "claimed": "", "reason": ""}


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (
            "equipment_state",
            {**STATE, "suppressing_until": "T1"},
            "cleaning (was in_use) as told by decontamination: running, suppresses until T1",
        ),
        (
            "equipment_state",
            {**STATE, "state": "in_use", "cause": "unknown", "told": "mode"},
            "in_use (was in_use) since mode cannot be read",
        ),
        (
            "equipment_state",
            {**STATE, "cause": "act", "user": "kim", "reason": "a spill", "until": "T1"},
            "cleaning (was in_use) until T1 by kim: a spill",
        ),
        (
            "equipment_state",
            {**STATE, "cause": "act", "user": "kim", "until": "T1", "suppressing_until": "T2"},
            "cleaning (was in_use) until T1 by kim",
        ),
        (
            "equipment_state",
            {**STATE, "cause": "act", "user": "kim", "until": "T2", "suppressing_until": "T1"},
            "cleaning (was in_use) until T2 by kim, suppresses until T1",
        ),
        (
            "equipment_state",
            {**STATE, "cause": "default", "user": "kim", "claimed": "Kim", "reason": "done"},
            "cleaning (was in_use) by kim (as Kim): done",
        ),
        ("equipment_state", {**STATE, "cause": "default"}, "cleaning (was in_use)"),
        ("equipment_state", {**STATE, "change": "phase"}, "phase harvest (was -)"),
        (
            "equipment_state",
            {**STATE, "change": "suppression_ended"},
            "cleaning for as long as it may suppress: its alarms are told again",
        ),
        (
            "equipment_state",
            {**STATE, "change": "phase_suppression_ended"},
            "phase harvest for as long as it may switch limits off: they hold again",
        ),
        ("occupancy", BATCH, "B-1 loaded by kim"),
        (
            "occupancy",
            {**BATCH, "act": "unload", "position": "shelf 2", "reason": "harvest"},
            "B-1 unloaded at shelf 2 by kim: harvest",
        ),
        ("occupancy", {"new": 1}, "new=1"),
    ],
)
def test_the_use_of_an_equipment_in_words(kind: str, body: dict[str, object], words: str) -> None:
    line = click.unstyle(event_line(note(kind, "incubator-07", **body)))
    assert line.endswith(f"incubator-07  {words}")


ACT = {"act": "remove_from_service", "user": "kim", "claimed": "", "role": "", "reason": "WO-1"}


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("act", ACT, "remove from service by kim: WO-1"),
        ("act", ACT | {"role": "supervisor"}, "remove from service by kim (supervisor): WO-1"),
        (
            "act",
            ACT | {"act": "comment", "claimed": "Kim K.", "role": "supervisor"},
            "comment by kim (as Kim K., supervisor): WO-1",
        ),
        (
            "act",
            {"act": "archive", "what": "the record from its beginning to now", "user": "kim"},
            "archive of the record from its beginning to now by kim",
        ),
        (
            "refusal",
            ACT | {"act": "confirm", "word": "forbidden", "text": "supervisor may"},
            "confirm refused (forbidden): supervisor may; asked by kim: WO-1",
        ),
        ("refusal", {"word": "too_many", "count": 50}, "word=too_many count=50"),
    ],
)
def test_what_an_operator_did_in_words(kind: str, body: dict[str, object], words: str) -> None:
    line = click.unstyle(event_line(note(kind, "incubator-07", **body)))
    assert line.endswith(f"incubator-07  {words}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"phase": "begin", "user": "kim", "reason": "monthly"}, "TEST begins by kim: monthly"),
        ({"phase": "end", "verdict": "passed", "user": "kim"}, "TEST passed by kim"),
        ({"phase": "end", "verdict": "interrupted", "away": "killed"}, "TEST interrupted"),
        ({"new": 1}, "new=1"),
    ],
)
def test_a_rehearsal_in_words(body: dict[str, object], words: str) -> None:
    line = click.unstyle(event_line(note("alarm_test", "incubator-07/co2/low", **body)))
    assert line.endswith(f"incubator-07/co2/low  {words}")


def test_what_is_not_real_is_called_a_test() -> None:
    real, rehearsed = alarm_event(1), alarm_event(1, test=True)
    for of, shown in ((real, False), (rehearsed, True)):
        assert (f"TEST {of.alarm}" in transition_line(of)) is shown
        assert (f"TEST {of.alarm}" in alarm_line(standing(of))) is shown


def test_who_did_it_in_an_emergency_is_seen() -> None:
    line = event_line(told(1, change="reset", actor="root", role="EMERGENCY", comment="fire"))
    assert "by root (EMERGENCY): fire" in line


def aside(**changed: object) -> str:
    """The line of an alarm without what every line has."""
    message = standing(alarm_event(1, response="", annunciated=False, **changed))  # type: ignore[arg-type]  # fields by name
    line = click.unstyle(alarm_line(message, cleaning()))
    return line.partition("(limit 4.5)")[2].strip()


def cleaning(**changed: object) -> UsageMessage:
    fields: dict[str, object] = {
        "equipment": "incubator-07",
        "kind": "incubator",
        "area": "suite-a",
        "state": "cleaning",
        "since": "T0",
        "cause": "act",
        "told": "",
        "user": "kim",
        "reason": "a spill",
        "until": "T1",
        "suppressing_until": "T2",
        "phase": "",
        "batches": (),
    }
    return UsageMessage.model_validate(fields | changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"shelved_until": "T1", "shelved_by": "ada", "shelved_reason": "calibration"},
            "(shelved by ada until T1: calibration)",
        ),
        (
            {"shelved_until": "T1", "shelved_by": "ada", "shelving_state": "OneShotShelved"},
            "(shelved for once by ada until T1)",
        ),
        (
            {
                "out_of_service_until": "T3",
                "out_of_service_by": "kim",
                "out_of_service_reason": "WO-1",
                "shelved_until": "T1",
            },
            "(out of service by kim until T3: WO-1)  (shelved until T1)",
        ),
        ({"suppressed_by": "incubator-07/_/silent-probe"}, "(behind incubator-07/_/silent-probe)"),
        ({"superseded_by": "incubator-07/co2/ll"}, "(behind incubator-07/co2/ll)"),
        (
            {"suppressed_by": "state:cleaning"},
            "(suppressed while cleaning by kim until T1: a spill)",
        ),
    ],
)
def test_an_alarm_that_nobody_is_told_of_says_by_whom_until_when_and_why(
    changed: dict[str, object], words: str
) -> None:
    assert aside(**changed) == words


def test_a_state_that_a_channel_tells_is_the_reason() -> None:
    used = cleaning(user="", reason="", told="decontamination: running", until=None)
    line = alarm_line(standing(alarm_event(1, suppressed_by="state:cleaning")), used)
    assert "(suppressed while cleaning until T2: decontamination: running)" in line
    alone = alarm_line(standing(alarm_event(1, suppressed_by="state:warming_up")))
    assert "(suppressed while warming up)" in alone


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "cleaning        since T0  (set by kim until T1: a spill)  suppressing until T1"),
        (
            {"until": "T3", "reason": ""},
            "cleaning        since T0  (set by kim until T3)  suppressing until T2",
        ),
        (
            {"suppressed": ("a/b/c", "a/b/d"), "reason": ""},
            "cleaning        since T0  (set by kim until T1)  suppressing 2 alarms until T1",
        ),
        (
            {"suppressed": ("a/b/c",), "suppressing_until": None},
            "cleaning        since T0  (set by kim until T1: a spill)  suppressing 1 alarm",
        ),
        (
            {"cause": "channel", "user": "", "told": "mode: clean", "suppressing_until": None},
            "cleaning        since T0  (mode: clean)",
        ),
        (
            {
                "state": "in_use",
                "since": None,
                "cause": "unknown",
                "user": "",
                "told": "mode",
                "suppressing_until": None,
            },
            "in_use          (mode cannot be read)",
        ),
        (
            {
                "state": "in_use",
                "since": None,
                "cause": "default",
                "user": "",
                "suppressing_until": None,
                "phase": "expansion",
                "batches": (
                    {"batch": "COI-1", "position": "shelf 1", "since": "T0"},
                    {"batch": "COI-\x1b[2J", "position": "", "since": "T0"},
                ),
            },
            r"in_use          phase expansion  batches COI-1 @ shelf 1, COI-\x1b[2J @ -",
        ),
    ],
)
def test_how_an_equipment_is_used_is_one_line(changed: dict[str, object], words: str) -> None:
    assert usage_line(cleaning(**changed)) == f"{'incubator-07':<24}  {words}"


def test_an_event_of_another_release_is_still_shown() -> None:
    assert "ALARM" in event_line(note("alarm", "a/b/c", word="new"))


def test_an_alarm_that_stands() -> None:
    alarm = standing(alarm_event(1, alarm_time=rfc3339(NOON + SECOND)))
    assert click.unstyle(alarm_line(alarm)) == (
        "! H high      unacknowledged          incubator-07/co2/low  4.1 % (limit 4.5)"
        "  since 2026-01-31T12:00:01.000Z  Check the gas supply"
    )


URGENT: dict[str, Any] = {"escalations": 1, "priority": "high", "configured_priority": "medium"}


def test_an_alarm_that_nobody_acknowledges_says_what_it_has_come_to() -> None:
    told = alarm_event(1, change="escalated", before="unacknowledged", **URGENT)
    assert click.unstyle(transition_line(told)) == (
        "2026-01-31T12:00:01.000Z  H high      ESCALATED     incubator-07/co2/low"
        "  4.1 % (limit 4.5)  [unacknowledged]  (escalated from medium to high)"
        "  Check the gas supply"
    )
    assert "(escalated from medium to high)  Check" in click.unstyle(alarm_line(standing(told)))


def test_an_escalation_of_what_is_critical_already_says_that_too() -> None:
    critical: dict[str, Any] = {
        "escalations": 2,
        "priority": "critical",
        "configured_priority": "critical",
    }
    line = click.unstyle(alarm_line(standing(alarm_event(1, **critical))))
    assert "(escalated, critical as before)" in line


def test_an_alarm_without_a_reading_says_its_limit_alone() -> None:
    line = alarm_line(standing(alarm_event(1, value=None, peak=None)))
    assert "incubator-07/co2/low  (limit 4.5)" in click.unstyle(line)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            {"value": 4.123456789, "unit": "%", "quality": "good", "reason": "", "age": 1.24},
            "incubator-07/co2                           4.12346 %     1.2 s  good",
        ),
        (
            {"value": None, "unit": "%", "quality": "bad", "reason": "timed_out", "age": None},
            "incubator-07/co2                                 - %         -  bad (timed_out)",
        ),
    ],
)
def test_a_value(said: dict[str, object], line: str) -> None:
    more = {"equipment": "incubator-07", "channel": "co2", "source": "probe"}
    times = {"time": None, "source_time": None}
    message = ValueMessage.model_validate(said | more | times)
    assert click.unstyle(value_line(message)) == line


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (True, "on"), (False, "off"), (37.0, "37"), (0.1 + 0.2, "0.3"), (7, "7"),
     ("open", "open")],
)  # fmt: skip
def test_a_figure(value: float | str | None, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(37.0, "Cel", "37 °C"), (5.0, "%", "5 %"), (True, "", "on"), (None, "bar", "- bar")],
)
def test_a_quantity(value: float | None, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (341_968, "342 kB"),
     (8 * 2**30, "8.59 GB")],
)  # fmt: skip
def test_a_size(count: int, text: str) -> None:
    assert size(count) == text


def test_the_figures_of_a_store_are_words_and_leave_out_what_says_nothing() -> None:
    known: dict[str, JsonValue] = {
        "file_bytes": 341_968, "quota": 8 * 10**9, "blobs": 7, "oldest": rfc3339(NOON),
        "dead_letters": {"influxdb": 3}, "moved_aside": None,
    }  # fmt: skip
    assert figures(known) == [
        ("file", "342 kB"),
        ("quota", "8 GB"),
        ("blobs", "7"),
        ("oldest", rfc3339(NOON)),
        ("dead letters", "influxdb: 3"),
    ]
    assert figures({"dead_letters": {}}) == []


@given(st.text())
def test_nothing_a_terminal_obeys_gets_through(text: str) -> None:
    assert plain(text).isprintable()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"])))
def test_what_is_harmless_stays(text: str) -> None:
    assert plain(text) == text


def test_columns_are_aligned() -> None:
    assert table([("a", "b"), ("long", "")]) == ["a     b", "long"]
    assert table([]) == []
