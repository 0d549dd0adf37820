"""Floods, by hand and counted anew without any memory."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from monitor.alarms.flood import BEGINS, ENDS, WINDOW, Flood, FloodWatch

SECOND = 10**9
MINUTE = 60 * SECOND


def floods(times: Sequence[int], end: int) -> list[Flood]:
    """Every flood that is over by ``end``, and the one that is on."""
    watch = FloodWatch()
    found = [flood for at in times if (flood := watch.annunciate(at))]
    last = watch.advance(end) or watch.flood
    return [*found, last] if last else found


def test_nine_in_ten_minutes_are_no_flood() -> None:
    assert floods([i * SECOND for i in range(9)], MINUTE) == []


def test_ten_are_one_and_it_ends_when_four_are_left() -> None:
    times = [i * SECOND for i in range(10)]
    end = times[-5] + WINDOW
    assert floods(times, end - 1) == [Flood(0, 9 * SECOND, 10, 10)]
    assert floods(times, end) == [Flood(0, 9 * SECOND, 10, 10, end)]


def test_it_goes_on_while_five_come_in_ten_minutes() -> None:
    burst = [i * SECOND for i in range(12)]
    drip = [burst[-1] + i * 2 * MINUTE for i in range(1, 30)]
    [flood] = floods([*burst, *drip], drip[-1])
    assert (flood.start, flood.alarms, flood.peak) == (9 * SECOND, 41, 16)
    assert flood.end is None


def test_one_may_follow_another() -> None:
    first = [i * SECOND for i in range(10)]
    second = [WINDOW * 3 + at for at in first]
    ended, going_on = floods([*first, *second], second[-1])
    assert (ended.end, going_on.first) == (first[-5] + WINDOW, second[0])


def test_it_ends_when_several_leave_at_the_time_of_the_next() -> None:
    times = [0] * 6 + [SECOND] * 4
    watch = FloodWatch()
    for at in times:
        watch.annunciate(at)
    for at in (MINUTE, 2 * MINUTE):
        watch.annunciate(at)
    assert watch.annunciate(WINDOW + SECOND) is None
    ended = watch.annunciate(WINDOW + MINUTE)
    assert ended == Flood(0, SECOND, 13, 12, WINDOW + SECOND)
    assert watch.flood is None


def test_a_step_back_of_the_clock_is_met_as_no_time_passing() -> None:
    watch = FloodWatch()
    watch.annunciate(MINUTE)
    watch.annunciate(0)
    assert watch.lately == 2
    assert watch.advance(MINUTE + WINDOW) is None
    assert watch.lately == 0


def test_after_a_long_step_back_everything_begins_anew() -> None:
    watch = FloodWatch()
    for at in range(10):
        watch.annunciate(WINDOW * 9 + at)
    ended = watch.annunciate(WINDOW)
    assert ended is not None
    assert ended.end == WINDOW * 9 + 9
    assert (watch.flood, watch.lately) == (None, 1)


def naive(times: Sequence[int], step: int, end: int) -> list[tuple[int, int | None]]:
    """Look at every instant of a grid on which all times lie: is there a flood?"""
    found: list[tuple[int, int | None]] = []
    on = False
    for now in range(0, end + 1, step):
        count = sum(now - WINDOW < at <= now for at in times)
        if on and count < ENDS:
            found[-1] = (found[-1][0], now)
            on = False
        if not on and count >= BEGINS:
            found.append((now, None))
            on = True
    return found


@given(st.lists(st.integers(0, 120) | st.sampled_from([0, 1, 20, 21]), max_size=60))
def test_as_counted_at_every_instant(minutes: list[int]) -> None:
    times = sorted(at * 30 * SECOND for at in minutes)
    end = 150 * 30 * SECOND
    assert [(flood.start, flood.end) for flood in floods(times, end)] == naive(
        times, 30 * SECOND, end
    )
