"""Each figure against its target: just within, just over."""

import pytest

from config.rules import Priority
from monitor.alarms.performance import DAY, HOUR, TEN_MINUTES, Tally
from monitor.alarms.targets import Figure, Now, Suppressed, Verdict, figures
from tests.monitor.alarms.test_performance import START, raised

NOTHING = Now()


def shown(tally: Tally, now: Now = NOTHING, days: int = 30) -> dict[str, Figure]:
    return {each.key: each for each in figures(tally, now, START, START + days * DAY)}


def of(count: int, *, every: int = 0) -> Tally:
    """So many alarms, each of its own name."""
    tally = Tally()
    for number in range(count):
        tally.annunciate(raised(number * every, alarm=f"a/b/{number}"), START + 30 * DAY)
    tally.end(START + 30 * DAY)
    return tally


@pytest.mark.parametrize(
    ("count", "verdict"),
    [(150, "within"), (151, "manageable"), (300, "manageable"), (301, "over")],
)
def test_alarms_a_day(count: int, verdict: str) -> None:
    figure = shown(of(count, every=HOUR // 60), days=1)["per_day"]
    assert (figure.value, figure.verdict) == (count, verdict)


def test_hours_and_ten_minutes() -> None:
    told = shown(of(31), days=1)
    assert (told["worst_hour"].value, told["busy_hours"].value) == (31, 100 / 24)
    assert told["busy_hours"].verdict is Verdict.OVER
    assert (told["worst_10_min"].value, told["worst_10_min"].verdict) == (31, Verdict.OVER)
    assert told["busy_10_min"].value == 100 / 144
    assert told["busy_10_min"].verdict is Verdict.WITHIN
    assert told["per_10_min"].value == 31 * TEN_MINUTES / DAY
    assert told["eemua_upset"].value == "hard to cope with"


def test_a_flood_is_timed() -> None:
    told = shown(of(20), days=1)
    assert (told["floods"].value, told["longest_flood"].value) == (1, 600)
    assert told["in_flood"].value == 100 * 600 / 86400
    assert told["in_flood"].verdict is Verdict.WITHIN


def test_the_ten_most_frequent() -> None:
    told = shown(of(1000, every=HOUR // 60), days=1)
    assert (told["top_ten"].value, told["top_ten"].verdict) == (1, Verdict.WITHIN)
    assert shown(of(200))["top_ten"].verdict is Verdict.MANAGEABLE
    assert shown(of(100))["top_ten"].verdict is Verdict.OVER


def test_priorities_are_held_against_80_15_5() -> None:
    tally = of(100)
    tally.by_priority.clear()
    tally.by_priority.update(
        {Priority.LOW: 80, Priority.MEDIUM: 14, Priority.HIGH: 5, Priority.CRITICAL: 1}
    )
    verdicts = [shown(tally)[f"{each}_share"].verdict for each in Priority]
    assert verdicts == ["within", "within", "within", "over"]


def test_without_an_alarm_there_is_no_share_to_judge() -> None:
    told = shown(Tally())
    assert (told["top_ten"].value, told["low_share"].value) == (None, None)
    assert (told["top_ten"].verdict, told["low_share"].verdict) == ("", "")
    assert told["eemua_steady"].value == "very likely acceptable"


def test_what_stands_now() -> None:
    told = shown(Tally(), Now(standing=10, suppressed=Suppressed(29, 3, 1)))
    assert (told["standing"].verdict, told["shelved"].verdict) == ("over", "within")
    assert (told["suppressed"].value, told["out_of_service"].value) == (3, 1)
