"""Rolling rates, and the same counted anew."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.alarms.performance import DAY, HOUR, MINUTE, SECOND, TEN_MINUTES, WHOLE
from monitor.alarms.rates import Rates
from tests.monitor.alarms.test_performance import START, raised, returned


def test_nothing_came() -> None:
    now = Rates().now(START)
    assert list(now) == [WHOLE]
    assert now[WHOLE] == (0, 0, 0, False, 0, 0)


def test_only_what_people_are_told_of_counts_for_the_whole_and_its_area() -> None:
    rates = Rates()
    rates.take(raised(0))
    rates.take(returned(SECOND))
    now = rates.now(START + MINUTE)
    assert now[WHOLE] == now["suite-a"] == (1, 1, 1, False, 0, 0)


def test_the_gateways_own_alarms_belong_to_no_area() -> None:
    rates = Rates()
    rates.take(raised(0, alarm="gateway/_/line-bus", area=""))
    assert list(rates.now(START)) == [WHOLE]
    assert rates.now(START)[WHOLE].last_10_min == 1


def test_floods_are_counted_for_a_day() -> None:
    rates = Rates()
    for again in (0, 2 * HOUR):
        for at in range(10):
            rates.take(raised(again + at * SECOND))
    assert rates.now(START + 2 * HOUR + 10 * SECOND)[WHOLE] == (10, 10, 20, True, 2, 1.0)
    assert rates.now(START + 3 * HOUR)[WHOLE].flood is False
    assert rates.now(START + 25 * HOUR)[WHOLE].floods == 1


@given(st.lists(st.integers(0, 3 * 24 * 60), max_size=50), st.integers(0, 4 * 24 * 60))
def test_as_counted_from_the_whole_list(minutes: list[int], now: int) -> None:
    at = now * MINUTE
    times = sorted(minute * MINUTE for minute in minutes if minute <= now)
    rates = Rates()
    for each in times:
        rates.take(raised(each))
    told = rates.now(START + at)[WHOLE]
    for back, count in (
        (TEN_MINUTES, told.last_10_min),
        (HOUR, told.last_hour),
        (DAY, told.last_day),
    ):
        assert count == sum(at - back < each <= at for each in times)
