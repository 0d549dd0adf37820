import json

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli.words import alarm_line, event_line, figure, plain, table, value_line
from monitor.messages import rfc3339
from monitor.operators.protocol import EventMessage, ValueMessage
from tests.support.desk import NOON, SECOND, alarm_event, noted, standing


def told(number: int, **changed: object) -> EventMessage:
    message = alarm_event(number, **changed)  # type: ignore[arg-type]  # fields by name
    body = json.loads(message.model_dump_json(by_alias=True))
    return EventMessage(
        store_id="s1", number=number, seq=number, kind="alarm", time=message.time,
        subject=message.alarm, body=body,
    )  # fmt: skip


def note(kind: str, subject: str, **body: object) -> EventMessage:
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


def test_an_event_of_another_release_is_still_shown() -> None:
    assert "ALARM" in event_line(note("alarm", "a/b/c", word="new"))


def test_an_alarm_that_stands() -> None:
    alarm = standing(alarm_event(1, alarm_time=rfc3339(NOON + SECOND)))
    assert click.unstyle(alarm_line(alarm)) == (
        "! H high      unacknowledged          incubator-07/co2/low  4.1 % (limit 4.5)"
        "  since 2026-01-31T12:00:01.000Z  Check the gas supply"
    )


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


@given(st.text())
def test_nothing_a_terminal_obeys_gets_through(text: str) -> None:
    assert plain(text).isprintable()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"])))
def test_what_is_harmless_stays(text: str) -> None:
    assert plain(text) == text


def test_columns_are_aligned() -> None:
    assert table([("a", "b"), ("long", "")]) == ["a     b", "long"]
    assert table([]) == []
