"""The figures of alarm performance, each with its target and a verdict. Pure.

The targets are those of ISA-18.2-2016 (table in clause 16) and EEMUA 191 for one operator position;
both want at least 30 days of data behind them.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, assert_never

from config.rules import Priority
from monitor.alarms.performance import (
    DAY,
    HOUR,
    SECOND,
    TEN_MINUTES,
    Tally,
)

ENOUGH = 30 * DAY
"""A span (ns) from which on the targets are meant."""
TOP = 10
BUSY_HOUR = 30
BUSY_TEN = 10
_STEPS = ((1.0, "very likely acceptable"), (2.0, "manageable"), (5.0, "likely over-demanding"))
_BURSTS = ((10, "manageable"), (100, "hard to cope with"))


class Verdict(StrEnum):
    """How a figure compares with its target."""

    WITHIN = "within"
    MANAGEABLE = "manageable"
    OVER = "over"
    NONE = ""
    """There is no target, or nothing to hold against it."""


class Figure(NamedTuple):
    """One row of the report."""

    key: str
    words: str
    value: float | str | None
    unit: str = ""
    target: str = ""
    verdict: Verdict = Verdict.NONE


class Suppressed(NamedTuple):
    """How many alarms nobody is told of just now, by whom."""

    shelved: int = 0
    by_design: int = 0
    out_of_service: int = 0


class Now(NamedTuple):
    """What stands just now."""

    standing: int = 0
    """Active, and people see it."""
    suppressed: Suppressed = Suppressed()


def figures(tally: Tally, now: Now, start: int, end: int) -> list[Figure]:
    """Return every figure of a span (ns, UTC) that has passed."""
    return [
        *_rates(tally, start, end),
        *_floods(tally, end - start),
        *_nuisances(tally),
        *_priorities(tally),
        *_responses(tally, now),
    ]


def at_most(value: float, target: float, manageable: float | None = None) -> Verdict:
    """Judge a figure that should be ``target`` at most, and can be borne up to ``manageable``."""
    if value <= target:
        return Verdict.WITHIN
    if manageable is not None and value <= manageable:
        return Verdict.MANAGEABLE
    return Verdict.OVER


def below(value: float, target: float) -> Verdict:
    """Judge a figure that should be less than ``target``."""
    return Verdict.WITHIN if value < target else Verdict.OVER


def _rates(tally: Tally, start: int, end: int) -> Iterator[Figure]:
    span = end - start
    day, hour, ten = (tally.alarms * unit / span for unit in (DAY, HOUR, TEN_MINUTES))
    yield Figure("per_day", "alarms per day", day, "", "≤ 150, ≤ 300", at_most(day, 150, 300))
    yield Figure("worst_day", "  on the worst day", _most(tally.by_day))
    yield Figure("per_hour", "alarms per hour", hour, "", "≤ 6, ≤ 12", at_most(hour, 6, 12))
    yield Figure("worst_hour", "  in the worst hour", _most(tally.by_hour))
    busy = _share(tally.by_hour, BUSY_HOUR, _periods(start, end, HOUR))
    yield Figure("busy_hours", "  hours with more than 30", busy, "%", "< 1 %", below(busy, 1))
    yield Figure("per_10_min", "alarms per 10 min", ten, "", "≤ 1, ≤ 2", at_most(ten, 1, 2))
    most = tally.watch.most
    yield Figure("worst_10_min", "  in any 10 min", most, "", "≤ 10", at_most(most, 10))
    busy = _share(tally.by_ten, BUSY_TEN, _periods(start, end, TEN_MINUTES))
    yield Figure("busy_10_min", "  10 min with more than 10", busy, "%", "< 1 %", below(busy, 1))
    yield Figure("eemua_steady", "EEMUA 191, steady state", _steady(ten))
    yield Figure("eemua_upset", "EEMUA 191, worst 10 min", _upset(most))


def _floods(tally: Tally, span: int) -> Iterator[Figure]:
    floods = tally.floods
    share = 100 * floods.total / span
    yield Figure("floods", "floods", floods.number)
    yield Figure("longest_flood", "  the longest", floods.longest / SECOND, "s")
    yield Figure("worst_flood", "  most alarms in one", floods.worst)
    yield Figure("in_flood", "  time in flood", share, "%", "< 1 %", below(share, 1))


def _nuisances(tally: Tally) -> Iterator[Figure]:
    chattering, fleeting = len(tally.chattering), len(tally.fleeting)
    stale = max(map(len, tally.stale.values()), default=0)
    top = sum(count for _, count in tally.by_alarm.most_common(TOP))
    share = 100 * top / tally.alarms if tally.alarms else None
    verdict = Verdict.NONE if share is None else at_most(share, 1, 5)
    yield Figure("top_ten", "share of the ten most frequent", share, "%", "≤ 1 %, ≤ 5 %", verdict)
    yield Figure("chattering", "chattering alarms", chattering, "", "0", at_most(chattering, 0))
    yield Figure("fleeting", "fleeting alarms", fleeting, "", "0", at_most(fleeting, 0))
    yield Figure("stale", "stale alarms, on the worst day", stale, "", "< 5", below(stale, 5))


def _priorities(tally: Tally) -> Iterator[Figure]:
    """80 % low, 15 % medium, 5 % high; of four levels the highest has less than 1 %."""
    for priority, share in shares(tally).items():
        target, verdict = _priority(priority, share or 0)
        judged = Verdict.NONE if share is None else verdict
        words = f"{priority.value} priority"
        yield Figure(f"{priority.value}_share", words, share, "%", target, judged)


def _priority(priority: Priority, share: float) -> tuple[str, Verdict]:
    match priority:
        case Priority.LOW:
            return "≥ 80 %", at_most(80, share)
        case Priority.MEDIUM:
            return "≤ 15 %", at_most(share, 15)
        case Priority.HIGH:
            return "≤ 5 %", at_most(share, 5)
        case Priority.CRITICAL:
            return "< 1 %", below(share, 1)
        case _:
            assert_never(priority)


def shares(tally: Tally) -> Mapping[Priority, float | None]:
    """Return the share (%) of each priority; None where there was no alarm at all."""
    whole = tally.alarms
    return {p: 100 * tally.by_priority[p] / whole if whole else None for p in Priority}


def _responses(tally: Tally, now: Now) -> Iterator[Figure]:
    shelved = now.suppressed.shelved
    yield Figure("to_acknowledge", "mean time to acknowledge", tally.to_acknowledge.seconds, "s")
    yield Figure("to_return", "mean time to return", tally.to_return.seconds, "s")
    standing = now.standing
    yield Figure("standing", "standing now", standing, "", "< 10", below(standing, 10))
    yield Figure("shelved", "shelved now", shelved, "", "< 30", below(shelved, 30))
    yield Figure("suppressed", "suppressed by design now", now.suppressed.by_design)
    yield Figure("out_of_service", "out of service now", now.suppressed.out_of_service)
    words = {"shelved": "times shelved", "suppressed": "times suppressed by design"}
    words |= {"out_of_service": "times taken out of service"}
    for kind, text in words.items():
        yield Figure(f"times_{kind}", text, tally.suppressions[kind])


def _most(counted: Mapping[int, int]) -> int:
    return max(counted.values(), default=0)


def _share(counted: Mapping[int, int], busy: int, periods: int) -> float:
    return 100 * sum(count > busy for count in counted.values()) / periods


def _periods(start: int, end: int, period: int) -> int:
    """Return how many periods of the clock a span touches."""
    return (end - 1) // period - start // period + 1


def _steady(ten: float) -> str:
    return next((words for upto, words in _STEPS if ten <= upto), "very likely unacceptable")


def _upset(most: int) -> str:
    return next((words for upto, words in _BURSTS if most <= upto), "excessive")
