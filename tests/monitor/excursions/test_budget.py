from hypothesis import given
from hypothesis import strategies as st

from monitor.alarms.performance import nanoseconds
from monitor.excursions.budget import DAY, Spent, of_batch, of_day, spent, spent_by
from monitor.messages import rfc3339
from tests.monitor.alarms.small_plant import NOON, moment
from tests.monitor.pages import scene


def one(until: int = NOON, **changed: object) -> Spent:
    usual = Spent("incubator-7", "co2", "high", "%", ("B-1",), until, 60.0, 5.0, 2.0, 6.5)
    return usual._replace(**changed)  # type: ignore[arg-type]  # the test says which


def test_what_ended_within_24_hours_is_of_the_day() -> None:
    every = [one(NOON - DAY), one(NOON - DAY + 1, extreme=7.5), one(NOON, unit_minutes=1.0)]
    [budget] = of_day(every, NOON)
    assert (budget.excursions, budget.outside_seconds, budget.gap_seconds) == (2, 120.0, 10.0)
    assert (budget.unit_minutes, budget.lowest, budget.highest) == (3.0, 6.5, 7.5)


def test_limits_and_equipment_are_not_thrown_together() -> None:
    every = [one(), one(rule="low"), one(channel="o2"), one(equipment="incubator-8")]
    assert [budget.excursions for budget in of_day(every, NOON)] == [1, 1, 1, 1]


def test_a_batch_is_followed_wherever_it_was() -> None:
    every = [one(), one(equipment="incubator-8", until=NOON - 9 * DAY), one(batches=("B-2",))]
    [budget] = of_batch(every, "B-1")
    assert (budget.excursions, budget.equipment, budget.batch) == (2, "", "B-1")
    assert of_batch(every, "B-3") == []


def test_nothing_adds_up_to_nothing() -> None:
    assert of_day([], NOON) == []


def test_a_record_adds_what_it_says() -> None:
    record = scene.recorded()
    found = spent(record, 0)
    assert found.until == nanoseconds(str(record.end))
    assert (found.outside, found.unit_minutes) == (record.outside_seconds, record.unit_minutes)
    going_on = record.model_copy(update={"end": None})
    assert spent(going_on, NOON).until == NOON
    assert spent_by(record.model_dump_json(by_alias=True), 0) == found


def test_a_record_of_another_release_is_left_out() -> None:
    assert spent_by('{"schema":"cytowatch.excursion.v9"}', 0) is None


@given(st.integers(0, 2**61 // 10**6))
def test_a_time_is_read_as_it_was_written(milliseconds: int) -> None:
    time = milliseconds * 10**6
    if time < 4 * 10**18:
        assert nanoseconds(rfc3339(time)) == time


def test_what_goes_on_is_in_the_day() -> None:
    record = scene.recorded().model_copy(update={"end": None})
    assert of_day([spent(record, moment(0).at)], moment(0).at)[0].excursions == 1
