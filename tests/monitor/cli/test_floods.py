"""A flood in ``tail``: summed up where one reads along, whole where one does not."""

import subprocess
import sys

import click
import pytest

from monitor.alarms.flood import WINDOW
from monitor.cli import floods
from monitor.cli.tail import heard
from monitor.operators.answers import as_message
from monitor.operators.protocol import EventMessage, TailRequest
from monitor.store.events import Event
from tests.monitor.cli.conftest import Gateway
from tests.support.desk import NOON, SECOND, alarm_event, noted, recorded


def burst(count: int, first: int = 1) -> list[Event]:
    return [
        recorded(alarm_event(n, f"incubator-{n:02}/co2/low", area="suite-a"))
        for n in range(first, first + count)
    ]


def messages(*events: Event) -> list[EventMessage]:
    return [as_message(event, "s1") for event in events]


def test_a_flood_is_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    critical = recorded(alarm_event(20, "tank-1/ph/high", priority="critical"))
    excursion = noted(18, "excursion", "incubator-01/co2/low")
    events = messages(*burst(17), excursion, noted(19, "start", "gw-1"), critical)
    later = NOON + 20 * SECOND + 2 * WINDOW
    monkeypatch.setattr("monitor.cli.floods.time.time_ns", lambda: later)
    told = [click.unstyle(text) for text in floods.lines([*events, None, None])]
    assert [text.split()[3] for text in told[:10]] == ["RAISED"] * 10
    began, on, start, worst, later_on, over = told[10:]
    assert began.split("FLOOD")[1].strip() == (
        "begins: 10 alarms in 9 s; first incubator-01/co2/low; suite-a 10"
        " (incubator-01 1, incubator-02 1, incubator-03 1, incubator-04 1);"
        " from now on in summaries, critical ones singly"
    )
    assert "5 raised; worst high incubator-11/co2/low; suite-a 5" in on
    assert "15 in all, first incubator-01/co2/low" in on
    assert "START" in start
    assert "tank-1/ph/high" in worst
    assert "1 excursion;" in over
    assert "3 raised, 1 excursion; worst critical tank-1/ph/high" in later_on
    assert "18 alarms, 18 in the worst 10 min" in over
    assert "worst critical tank-1/ph/high" in over
    assert over.endswith("cytowatch tail --since 2026-01-31T12:00:01.000Z --no-follow")


def test_what_no_flood_is_made_of_is_told_as_ever() -> None:
    odd = as_message(
        Event(3, 3, "alarm", NOON, NOON, "x", '{"written": "by another release"}'), "s1"
    )
    told = [click.unstyle(text) for text in floods.lines([*messages(*burst(2)), odd, None])]
    assert [text.split()[3] for text in told] == ["RAISED", "RAISED", "ALARM"]


@pytest.mark.parametrize("option", ["--no-follow", "--json"])
def test_all_of_it_is_there_for_who_asks(gateway: Gateway, option: str) -> None:
    gateway.add(*burst(30))
    result = gateway.ask("tail", "--no-follow", option, "-n", "100")
    assert len(result.stdout.splitlines()) == 30
    assert "FLOOD" not in result.stdout


def tail(gateway: Gateway, lines: int, *options: str) -> list[str]:
    command = [sys.executable, "-m", "monitor.cli", "tail", "--socket", str(gateway.path)]
    with subprocess.Popen(
        [*command, "-n", "100", *options], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        told = [child.stdout.readline() for _ in range(lines)]
        child.kill()
    return told


def test_a_follower_is_told_that_it_began_and_that_it_is_over(gateway: Gateway) -> None:
    """The flood is of long ago: that it is over shows as soon as no event comes any more."""
    gateway.add(*burst(13))
    told = tail(gateway, 12)
    assert ["FLOOD" in line for line in told] == [False] * 10 + [True] * 2
    assert "13 alarms" in told[-1]


def test_every_event_can_be_asked_for(gateway: Gateway) -> None:
    gateway.add(*burst(30))
    assert not any("FLOOD" in line for line in tail(gateway, 30, "--every-event"))


def test_a_moment_without_an_event_is_told(gateway: Gateway) -> None:
    gateway.add(*burst(1))
    events = heard(gateway.path, TailRequest(last=10), once=True, beat=0.01)
    first = next(events)
    assert first is not None
    assert next(events) is None
    gateway.add(*burst(1, first=2))
    later = (event for event in events if event is not None)
    assert next(later).number == 2
    events.close()  # type: ignore[attr-defined]  # a generator
