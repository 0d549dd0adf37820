"""The evidence of a rehearsal: what stands on its page, and how a browser shows and prints it."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from monitor.operators.alarm_test import AlarmTestMessage, AlarmTestStep, Meanwhile, StepName
from monitor.pages.alarm_test import page
from tests.monitor.pages.test_excursion import Elements, chromium, printed

MADE = datetime(2026, 2, 3, 8, 0, tzinfo=UTC)
PARIS = timezone(timedelta(hours=1))
REASON = "monthly <script>alert('2')</script> challenge"
SHADOW = "incubator-07/temperature/test-high-high"


def step(name: StepName, second: float, **given: str) -> AlarmTestStep:
    minutes, seconds = divmod(second, 60)
    said = {
        "step": name,
        "expected": "as the rule has it",
        "seen": "so it was",
        "outcome": "as_expected",
        "time": f"2026-02-02T02:{int(minutes):02d}:{seconds:06.3f}Z",
        "event_id": f"k3j9x2ab-{int(second)}",
    }
    return AlarmTestStep.model_validate(said | given)


STEPS = (
    step("condition", 0, expected="38.385 °C is taken in, flagged as a test", event_id=""),
    step(
        "raised", 900.4, expected="raised after 15m",
        seen="unacknowledged, 900.4 s after the condition began; test true, annunciated true",
    ),
    step(
        "delivered_mqtt", 901, expected="the broker accepts the event",
        seen="accepted by mqtt.les-ulis.example:8883",
    ),
    step(
        "delivered_influxdb", 902, expected="the database accepts the event",
        outcome="not_configured", seen="not configured: the site has no influxdb", event_id="",
    ),
    step(
        "acknowledged", 1010, expected="acknowledged by an operator",
        seen="acknowledged, by anna (operator) over mqtt: heard it at the panel",
    ),
    step("confirmed", 1060, expected="confirmed by an operator"),
    step("returned", 1071, expected="returns after 10s"),
    step("reset", 1100, expected="latched, and reset by an operator"),
    step(
        "ended", 1101, expected="over, and its state at the broker is cleared",
        seen="over; accepted by mqtt.les-ulis.example:8883",
    ),
)  # fmt: skip


def recorded(**given: object) -> AlarmTestMessage:
    said = {
        "site": "les-ulis",
        "area": "suite-a",
        "gateway": "gw-1",
        "host": "gw-1.les-ulis.example",
        "version": "0.4.0",
        "config": "5d41402abc4b2a76b9719d911017c592" * 2,
        "store_id": "k3j9x2ab",
        "alarm": "incubator-07/temperature/high-high",
        "test_alarm": SHADOW,
        "equipment": "incubator-07",
        "kind": "incubator",
        "channel": "temperature",
        "rule": "high-high",
        "rule_kind": "high",
        "condition": "above 38 °C, back below 37.9 °C",
        "unit": "Cel",
        "limit": 38.0,
        "on_delay": 900.0,
        "off_delay": 10.0,
        "latching": True,
        "confirm": True,
        "priority": "critical",
        "severity": 950,
        "alarm_class": "gmp-critical",
        "response": "Move the batch to the spare incubator and call the process owner",
        "consequence": "Cells lose viability; the batch cannot be made again",
        "time_to_respond": 1800.0,
        "delay_justification": "The chamber takes an hour to leave 37 °C by more than 1 °C",
        "equipment_state": "in_use",
        "user": "kim",
        "claimed": "Kim L.",
        "role": "supervisor",
        "uid": 1007,
        "via": "socket",
        "reason": REASON,
        "by_hand": True,
        "started": "2026-02-02T02:00:00.000Z",
        "ended": "2026-02-02T02:18:21.500Z",
        "clock_synchronised": True,
        "steps": STEPS,
        "verdict": "passed",
        "real_before": "normal",
        "real_after": "unacknowledged",
        "real_events": (
            Meanwhile(
                time="2026-02-02T02:12:00.000Z", change="raised", state="unacknowledged",
                event_id="k3j9x2ab-880",
            ),
        ),
        "scans": (41233, 42334),
        "head": "88.9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "event": 311,
    }  # fmt: skip
    return AlarmTestMessage.model_validate(said | given)


def made(record: AlarmTestMessage) -> str:
    return page(record, made=MADE, zone=PARIS)


def test_who_when_expected_seen_and_the_configuration_stand_on_it() -> None:
    record = recorded()
    said = Elements(made(record)).said
    for words in (
        "kim (uid 1007)",
        "supervisor",
        REASON,
        "2026-02-02 02:00:00.000 UTC (03:00:00 UTC+01:00)",
        "gw-1, gw-1.les-ulis.example",
        "above 38 °C, back below 37.9 °C",
        "38 °C",
        "15 min, 10 s",
        "critical (severity 950)",
        "gmp-critical",
        "acknowledge, confirm, reset",
        record.response,
        record.consequence,
        record.delay_justification,
        "30 min",
        SHADOW,
        "scans 41233 to 42334, origin test",
        record.config,
        record.head,
        "311",
        "1 transition, below",
        "k3j9x2ab-880",
        "Passed: every step was as expected. Nothing is configured for: delivered, InfluxDB.",
    ):
        assert words in said
    for each in STEPS:
        assert each.expected in said
        assert each.seen in said


def test_it_needs_nothing_else_and_runs_nothing() -> None:
    text = made(recorded())
    elements = Elements(text)
    assert "&lt;script&gt;alert(" in text
    assert not [tag for tag, _ in elements.found if tag == "script"]
    assert not [a for _, a in elements.found if {"src", "href"} & a.keys()]
    assert "default-src 'none'" in text
    assert "url(" not in text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("failed", "Failed: not every step"), ("abandoned", "Abandoned: it was cut off")],
)
def test_what_did_not_pass_does_not_look_as_if_it_had(verdict: str, words: str) -> None:
    late = step("raised", 960, outcome="not_as_expected", seen="not raised", time="", event_id="")
    steps = (
        STEPS[0],
        late.model_copy(update={"time": None}),
        *(
            each.model_copy(update={"outcome": "not_reached", "seen": "", "time": None})
            for each in STEPS[2:]
        ),
    )
    text = made(recorded(verdict=verdict, steps=steps, real_events=(), limit=None, role=""))
    assert words in text
    assert "Passed" not in text
    assert re.findall(r'<td class="(\w+)">', text) == [
        "as_expected", "not_as_expected", *["not_reached"] * 7
    ]  # fmt: skip
    assert "NOT as expected" in text


def test_one_that_was_cut_off_at_once_has_a_page_too() -> None:
    assert "It was cut off before the first." in made(recorded(verdict="abandoned", steps=()))


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    file = tmp_path / "evidence.html"
    file.write_text(made(recorded()), encoding="utf-8")
    return file


@pytest.mark.real
def test_a_browser_shows_it_whole_and_prints_it_on_one_page(shown: Path) -> None:
    screen, paper = shown.with_suffix(".png"), shown.with_suffix(".pdf")
    chromium(shown, "--window-size=1100,1400", f"--screenshot={screen}")
    assert screen.read_bytes()[:4] == b"\x89PNG"
    chromium(shown, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    said, pages = printed(paper)
    words = " ".join(said.split())
    assert pages == 1
    assert "Passed: every step was as expected." in words
    assert "the panel" in words
    assert "alert('2')" in words


@pytest.mark.real
@pytest.mark.parametrize("width", [1100, 500])
def test_nothing_of_it_is_wider_than_the_window(shown: Path, width: int) -> None:
    measure = (
        "<script>onload=()=>{const w=document.documentElement;"
        "document.title=String(w.scrollWidth-w.clientWidth)}</script>"
    )
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", shown.read_text())
    shown.write_text(text.replace("</body>", measure + "</body>"), encoding="utf-8")
    dom = chromium(shown, "--dump-dom", f"--window-size={width},900")
    found = re.search(r"<title>(.*?)</title>", dom)
    assert found is not None
    assert int(found[1]) <= 0
