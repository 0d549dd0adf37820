"""A flood in summaries: nothing critical is hidden, nothing else is lost from the counts."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from config.rules import Priority
from monitor.alarms.facts import Change
from monitor.alarms.flood import BEGINS, WINDOW
from monitor.alarms.flood_summary import EVERY, FloodSummary, Phase, Summary
from monitor.alarms.performance import SECOND, Transition
from tests.monitor.alarms.test_performance import (
    NORMAL,
    RETURNED,
    START,
    UNACK,
    acknowledged,
    raised,
    told,
)


def critical(at: int, alarm: str = "tank-1/ph/high") -> Transition:
    return told(at, Change.RAISED, NORMAL, UNACK, alarm=alarm, priority=Priority.CRITICAL)


def hear(
    flood: FloodSummary, transitions: Sequence[Transition]
) -> tuple[list[Transition], list[Summary]]:
    shown, summaries = [], []
    for each in transitions:
        heard = flood.take(each)
        summaries += [*heard.before, *heard.after]
        shown += [each] if heard.shown else []
    return shown, summaries


def burst(count: int, start: int = 0, every: int = SECOND) -> list[Transition]:
    areas = ("suite-a", "suite-b")
    return [
        raised(start + n * every, f"incubator-{n % 3}/co2/rule-{n}", areas[n % 2])
        for n in range(count)
    ]


def test_what_is_no_flood_is_told_as_ever() -> None:
    flood = FloodSummary()
    nine = burst(9)
    assert hear(flood, nine) == (nine, [])
    assert flood.advance(START + 3 * WINDOW) == ()


def test_it_begins_with_the_tenth_which_is_told_itself() -> None:
    ten = burst(10)
    shown, [began] = hear(FloodSummary(), ten)
    assert shown == ten
    assert (began.phase, began.first_out) == (Phase.BEGAN, "incubator-0/co2/rule-0")
    assert began.flood.alarms == 10
    assert began.areas == (("suite-a", 5), ("suite-b", 5))
    assert began.equipment == (("incubator-0", 4), ("incubator-1", 3), ("incubator-2", 3))


def test_what_escalates_is_counted_apart_and_told_where_it_becomes_critical() -> None:
    flood = FloodSummary()
    hear(flood, burst(10))
    milder = told(11 * SECOND, Change.ESCALATED, UNACK, UNACK, priority=Priority.HIGH)
    worst = told(12 * SECOND, Change.ESCALATED, UNACK, UNACK, priority=Priority.CRITICAL)
    shown, _ = hear(flood, [milder, worst])
    assert shown == [worst]
    [on] = flood.advance(START + 12 * SECOND + EVERY)
    assert (on.counts, on.worst) == ((("escalated", 2),), Priority.CRITICAL)


def test_then_it_is_told_every_few_seconds_and_in_the_end() -> None:
    flood = FloodSummary()
    shown, [_, on, *rest] = hear(flood, burst(16))
    assert len(shown) == 10
    assert (on.phase, on.counts, on.flood.alarms) == (Phase.ON, (("raised", 5),), 15)
    assert rest == []
    [last] = flood.advance(START + 15 * SECOND + EVERY)
    assert last.counts == (("raised", 1),)
    assert flood.advance(START + 100 * SECOND) == (), "nothing new is not told"
    [over] = flood.advance(START + 2 * WINDOW)
    assert (over.phase, over.counts, over.flood.alarms) == (Phase.OVER, (("raised", 16),), 16)
    assert over.at == START + 11 * SECOND + WINDOW
    assert hear(flood, [raised(3 * WINDOW)])[0] != []


def test_critical_alarms_keep_a_line_each_and_are_the_worst() -> None:
    flood = FloodSummary()
    hear(flood, burst(10))
    one = critical(20 * SECOND)
    shown, [on] = hear(flood, [raised(19 * SECOND), one, raised(21 * SECOND)])
    assert shown == [one]
    assert (on.worst, on.counts) == (Priority.LOW, (("raised", 1),))
    [later] = flood.advance(START + 40 * SECOND)
    assert (later.worst, later.worst_alarm) == (Priority.CRITICAL, one.alarm)


def test_what_returns_and_is_acknowledged_is_counted_by_its_kind() -> None:
    flood = FloodSummary()
    hear(flood, burst(10))
    gone = told(11 * SECOND, Change.RETURNED, UNACK, RETURNED)
    shown, _ = hear(flood, [gone, acknowledged(12 * SECOND), gone._replace(change=Change.SHELVED)])
    assert shown == []
    [on] = flood.advance(START + 30 * SECOND)
    assert dict(on.counts) == {"returned": 1, "acknowledged": 1, "other": 1}


def test_excursions_that_end_in_a_flood_are_counted_and_no_others() -> None:
    flood = FloodSummary()
    assert flood.count("excursion", START).shown
    hear(flood, burst(10))
    at = START + 11 * SECOND
    assert not any(flood.count("excursion", at).shown for _ in range(3))
    [summary] = flood.advance(at + EVERY)
    assert dict(summary.counts) == {"excursion": 3}
    [over] = flood.advance(at + 2 * WINDOW)
    assert dict(over.counts) == {"raised": 10, "excursion": 3}
    assert flood.count("excursion", at + 2 * WINDOW).shown


def test_the_first_out_is_the_first_of_those_that_made_it() -> None:
    early = [raised(-3 * WINDOW, "old/co2/high"), raised(-2 * WINDOW, "older/co2/high")]
    _, [began] = hear(FloodSummary(), [*early, *burst(10)])
    assert began.first_out == "incubator-0/co2/rule-0"


@given(st.lists(st.tuples(st.integers(0, 90), st.booleans()), max_size=60))
def test_whatever_is_not_shown_is_counted(given_: list[tuple[int, bool]]) -> None:
    history = [
        critical(at * 20 * SECOND) if worst else raised(at * 20 * SECOND)
        for at, worst in sorted(given_)
    ]
    flood = FloodSummary()
    shown, summaries = hear(flood, history)
    summaries += flood.advance(START + 90 * 20 * SECOND + EVERY)
    summaries += flood.advance(START + 90 * 20 * SECOND + 3 * WINDOW)
    assert {each for each in history if each.priority is Priority.CRITICAL} <= set(shown)
    counts = Counter(each.phase for each in summaries)
    assert counts[Phase.BEGAN] == counts[Phase.OVER]
    whole = sum(each.flood.alarms for each in summaries if each.phase is Phase.OVER)
    in_all = sum(dict(e.counts)["raised"] for e in summaries if e.phase is Phase.OVER)
    since = sum(dict(e.counts)["raised"] for e in summaries if e.phase is Phase.ON)
    hidden = len(history) - len(shown)
    assert whole == in_all
    assert max(hidden, since) <= whole - BEGINS * counts[Phase.BEGAN]
