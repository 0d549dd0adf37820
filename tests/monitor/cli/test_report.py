"""``alarms report`` against a record whose figures are known."""

import pytest

from monitor.cli.report import duration
from monitor.store.events import Event
from tests.monitor.cli.conftest import Gateway, lines
from tests.support.desk import alarm_event, noted, recorded, standing

SPAN = ("--since", "2026-01-01T00:00:00Z", "--until", "2026-02-01T00:00:00Z")


def told(number: int, alarm: str = "incubator-07/co2/low", **changed: object) -> Event:
    return recorded(alarm_event(number, alarm, **changed))


def burst() -> list[Event]:
    """Twelve alarms in twelve seconds, of two areas."""
    areas = ("suite-a", "suite-b")
    return [
        told(n, f"incubator-{n:02}/co2/low", area=areas[n % 2], priority="low")
        for n in range(1, 13)
    ]


def test_a_report_is_told_by_gateway_and_area(gateway: Gateway) -> None:
    gateway.add(*burst())
    found = lines(gateway.ask("alarms", "report", *SPAN, "--json").stdout)
    assert [(each["area"], each["alarms"]) for each in found] == [
        ("", 12),
        ("suite-a", 6),
        ("suite-b", 6),
    ]
    figures = found[0]["figures"]
    assert isinstance(figures, list)
    known = {each["key"]: each for each in figures}
    assert (known["floods"]["value"], known["worst_10_min"]["verdict"]) == (1, "over")
    assert known["low_share"]["value"] == 100


def test_people_get_a_table_with_targets_and_verdicts(gateway: Gateway) -> None:
    gateway.add(*burst())
    result = gateway.ask("alarms", "report", *SPAN)
    assert result.exit_code == 0, result.output
    first, *rest = result.stdout.splitlines()
    assert first == (
        "Alarm performance of gateway gw-1 (les-ulis), 0.5 days,"
        " 2026-01-31T12:00:01.000Z to 2026-02-01T00:00:00.000Z (UTC)"
    )
    assert any(text.startswith("The targets are meant for 30 days") for text in rest)
    [worst] = [text.split() for text in rest if text.startswith("  in any 10 min")]
    assert worst[-4:] == ["12", "≤", "10", "over"]
    assert any(text.startswith("incubator-01/co2/low") for text in rest)
    assert any(text.split()[:2] == ["suite-b", "12"] for text in rest)


def test_a_span_that_the_record_covers_is_said_as_asked(gateway: Gateway) -> None:
    gateway.add(noted(7, "start", "gw-1"))
    [found] = lines(gateway.ask("alarms", "report", *SPAN, "--json").stdout)
    assert (found["start"], found["days"], found["enough"]) == (
        "2026-01-01T00:00:00.000Z",
        31,
        True,
    )


def test_rehearsals_and_what_nobody_was_told_do_not_count(gateway: Gateway) -> None:
    gateway.add(told(1, test=True), told(2, annunciated=False, suppressed_by="x"), told(3))
    [whole, _] = lines(gateway.ask("alarms", "report", *SPAN, "--json").stdout)
    assert whole["alarms"] == 1


def test_what_stands_and_is_suppressed_now(gateway: Gateway) -> None:
    shelved = standing(
        alarm_event(2, "incubator-08/co2/low", annunciated=False, shelving_state="TimedShelved")
    )
    since = alarm_event(1, alarm_time="2026-01-02T00:00:00.000Z")
    gateway.desk.alarms = {shelved.alarm: shelved, since.alarm: standing(since)}
    [whole, area] = lines(gateway.ask("alarms", "report", *SPAN, "--json").stdout)
    for found in (whole, area):
        figures = found["figures"]
        assert isinstance(figures, list)
        known = {each["key"]: each["value"] for each in figures}
        assert (known["standing"], known["shelved"], known["stale"]) == (1, 1, 1)
        assert found["stale"] == ["incubator-07/co2/low"]


def test_one_area_is_shown_whole_and_an_unknown_one_is_named(gateway: Gateway) -> None:
    gateway.add(*burst())
    result = gateway.ask("alarms", "report", *SPAN, "--area", "suite-b", "--area", "suite-x")
    assert result.stdout.startswith("Alarm performance of area suite-b (les-ulis)")
    assert "no alarm of an area suite-x" in result.stderr


def test_a_span_that_ends_before_it_begins_is_refused(gateway: Gateway) -> None:
    span = ("--since", "2026-02-01", "--until", "2026-01-01")
    assert gateway.ask("alarms", "report", *span).exit_code == 2


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.94, "59.9 s"), (90, "1.5 min"), (7200, "2 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_record_is_younger_than_the_span(gateway: Gateway) -> None:
    gateway.add(noted(1, "start", "gw-1"))
    [found] = lines(gateway.ask("alarms", "report", *SPAN, "--json").stdout)
    assert found["start"] == "2026-01-31T12:00:01.000Z"
