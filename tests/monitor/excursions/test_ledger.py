from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.reading import Cause, Moment, Origin, Scan
from monitor.alarms.performance import nanoseconds
from monitor.excursions.ledger import MOST_ALARMS
from monitor.excursions.record import ExcursionAct, ExcursionAlarm, ExcursionRecord
from monitor.messages import rfc3339
from tests.monitor.alarms.small_plant import SECOND, lost, moment
from tests.monitor.excursions.stage import (
    DOUBT,
    HIGH,
    OLD,
    Stage,
    Step,
    late,
    opens,
    play,
    says,
    series,
    site,
    tell,
)


def at(seconds: float) -> str:
    return rfc3339(moment(seconds).at)


def test_the_figures_of_a_simple_excursion() -> None:
    [record] = tell(site(), series(0, 5.0, 5.5, 6.5, 7.0, 6.5, 5.5))
    assert record.excursion == f"s1/{HIGH}/x3"
    assert (record.start, record.start_crossed) == (at(1.5), True)
    assert (record.first_beyond, record.last_beyond) == (at(2), at(4))
    assert (record.end, record.end_crossed, record.ended_by) == (at(4.5), True, "returned")
    assert record.duration_seconds == record.outside_seconds == 3.0
    assert (record.inside_seconds, record.gap_seconds) == (0.0, 0.0)
    assert (record.extreme, record.extreme_time) == (7.0, at(3))
    # Two triangles of half a second and 0.5, two trapezoids from 0.5 to 1.0.
    assert record.unit_minutes == pytest.approx((0.125 + 0.75 + 0.75 + 0.125) / 60)
    assert record.mean == pytest.approx(6 + 1.75 / 3)
    assert record.mean_of == "time"
    assert (record.samples, record.bad_samples) == (3, 0)
    assert (record.direction, record.limit, record.unit) == ("high", 6.0, "%")
    assert (record.open, record.minor) == (False, True)
    assert (record.clock_synchronised, record.clock_steps, record.bridged) == (True, 0, False)


def test_a_low_limit_is_measured_downwards() -> None:
    [record] = tell(site(), series(0, 5.0, 3.0, 5.0))
    assert (record.direction, record.extreme, record.rule) == ("low", 3.0, "low")
    assert record.outside_seconds == pytest.approx(1.0)
    assert record.unit_minutes == pytest.approx(0.5 / 60)


def test_the_limit_alone_counts_and_not_its_deadband() -> None:
    [record] = tell(site(), series(0, 5.0, 6.5, 5.9, 5.9))
    assert record.ended_by == "returned"


def test_on_the_limit_is_not_beyond_it() -> None:
    assert tell(site(), series(0, 5.0, 6.0, 5.0)) == []


def test_a_single_reading_beyond_with_nothing_beside_it() -> None:
    """Nothing was measured: the mean is that of the readings, and says so."""
    [record] = tell(site(), [says(0, 7.0), says(100, 5.0)])
    assert (record.start, record.start_crossed) == (at(0), False)
    assert (record.end, record.end_crossed) == (at(100), False)
    assert (record.outside_seconds, record.gap_seconds) == (0.0, 100.0)
    assert (record.mean, record.mean_of, record.unit_minutes) == (7.0, "readings", 0.0)


def test_bad_readings_end_nothing_and_are_a_gap() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0, None, None, 7.0))
    assert stage.records == []
    [record] = stage(*series(5, 5.0)).records
    assert (record.samples, record.bad_samples) == (2, 2)
    assert record.gap_seconds == 3.0
    assert record.outside_seconds == pytest.approx(1.0)  # Half a second on each side.


def test_missing_data_at_its_end_ends_with_the_first_usable_reading_inside() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0, None, None))
    assert stage.records == []
    [record] = stage(says(60, 5.0)).records
    assert (record.end, record.end_crossed) == (at(60), False)
    assert (record.last_beyond, record.gap_seconds) == (at(1), 59.0)
    assert record.duration_seconds == record.gap_seconds + record.outside_seconds


def test_a_line_is_drawn_over_three_periods_and_no_further() -> None:
    [near] = tell(site(), [says(0, 7.0), says(3, 5.0)])
    [far] = tell(site(), [says(0, 7.0), says(3.5, 5.0)])
    assert (near.outside_seconds, near.gap_seconds) == (1.5, 0.0)
    assert (far.outside_seconds, far.gap_seconds) == (0.0, 3.5)


def test_an_uncertain_reading_may_begin_one_but_not_end_it() -> None:
    stage = Stage(site())(says(0, 5.0), says(1, 7.0, DOUBT), says(2, 5.0, DOUBT))
    assert stage.records == []
    [record] = stage(says(3, 5.0)).records
    assert (record.samples, record.bad_samples) == (1, 1)


def test_the_last_usable_value_of_a_device_is_no_reading() -> None:
    assert tell(site(), [says(0, 7.0, OLD), says(1, 5.0)]) == []


@pytest.mark.parametrize("origin", [Origin.LATE, Origin.TEST])
def test_late_scans_and_tests_are_not_judged(origin: Origin) -> None:
    stage = Stage(site())(late(says(0, 7.0), origin), says(1, 5.0))
    assert (stage.records, stage.ledger.cases) == ([], {})
    stage(says(2, 7.0), late(says(3, 5.0), origin))
    assert list(stage.ledger.cases) == [HIGH]


def test_what_lies_no_further_apart_than_the_rejoin_time_is_one() -> None:
    """Crossings at 0.5, 1.5, 11.5 and 12.5: ten seconds inside."""
    scans = [*series(0, 5.0, 7.0, *[5.0] * 10, 7.0, 5.0), *series(14, *[5.0] * 12)]
    [one] = tell(site(rejoin=10), scans)
    assert one.duration_seconds == 12.0
    assert one.inside_seconds == pytest.approx(10.0)
    assert one.outside_seconds == pytest.approx(2.0)
    assert one.unit_minutes == pytest.approx(1.0 / 60)
    assert (one.samples, one.end) == (12, at(12.5))
    first, second = tell(site(rejoin=9.9), scans)
    assert (first.end, second.start) == (at(1.5), at(11.5))
    assert first.outside_seconds == second.outside_seconds == pytest.approx(1.0)


def test_what_follows_the_end_is_not_counted() -> None:
    scans = [*series(0, 5.0, 7.0, 5.0, None, 5.0), *series(5, *[5.0] * 12)]
    [record] = tell(site(rejoin=10), scans)
    assert (record.samples, record.bad_samples, record.gap_seconds) == (1, 0, 0.0)
    assert record.end == at(1.5)


def test_a_gap_between_two_parts_is_the_records_when_they_rejoin() -> None:
    scans = [*series(0, 5.0, 7.0, 5.0, None, 5.0, 7.0, 5.0), *series(7, *[5.0] * 12)]
    [record] = tell(site(rejoin=10), scans)
    assert (record.bad_samples, record.gap_seconds, record.samples) == (1, 2.0, 4)
    total = record.outside_seconds + record.inside_seconds + record.gap_seconds
    assert record.duration_seconds == pytest.approx(total)


def test_another_limit_ends_it_with_that_reason_and_may_begin_another() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0, 7.0))
    stage.limit(HIGH, 6.5)
    [record] = stage(says(3, 7.0)).records
    assert (record.ended_by, record.limit, record.end) == ("limit_changed", 6.0, at(3))
    assert record.outside_seconds == pytest.approx(2.5)
    assert stage.ledger.cases[HIGH].track.limit.value == 6.5
    [_, second] = stage(says(4, 6.0)).records
    assert (second.start, second.start_crossed, second.limit) == (at(3), False, 6.5)


def test_a_limit_that_is_switched_off_has_no_excursions() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0))
    stage.switch(HIGH, off=True)
    [record] = stage(*series(2, 7.0, 7.0, 7.0)).records
    assert record.ended_by == "limit_changed"
    stage.switch(HIGH, off=False)
    stage(says(5, 7.0))
    assert list(stage.ledger.cases) == [HIGH]


def test_a_rule_that_is_gone_from_the_file_ends_it() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0, 7.0))
    other = site()
    probe = other.sources[0]
    bare = probe.channels[0].__class__(
        "co2", probe.channels[0].type, "%", probe.channels[0].address
    )
    gone = replace(other, sources=(replace(probe, channels=(bare,)), other.sources[1]))
    stage.restart(gone, now=moment(3))
    [record] = stage.records
    assert (record.ended_by, record.limit, record.last_beyond) == ("rule_removed", 6.0, at(2))
    assert stage.ledger.take_changed() == {HIGH: None}


def test_the_time_a_door_stood_open_within_it() -> None:
    """Opened before it began and shut while it lasted, then open over its end."""
    steps = [
        says(0, 5.0), opens(0.2), says(1, 7.0), says(2, 7.0), opens(2.2, stands=False),
        says(3, 7.0), says(4, 7.0), opens(4.2), says(5, 5.0),
    ]  # fmt: skip
    [record] = tell(site(), steps)
    assert (record.start, record.end) == (at(0.5), at(4.5))
    assert record.door_open_seconds == pytest.approx((2.2 - 0.5) + (4.5 - 4.2))
    assert record.doors == ("door",)


def test_a_door_counts_that_opens_between_parts_which_rejoin() -> None:
    steps = [
        *series(0, 5.0, 7.0, 5.0), opens(2.1), says(3, 5.0), opens(3.1, stands=False),
        *series(4, 7.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0),
    ]  # fmt: skip
    [one] = tell(site(rejoin=5), steps)
    assert one.door_open_seconds == pytest.approx(1.0)
    first, second = tell(site(rejoin=1), steps)
    assert (first.door_open_seconds, second.door_open_seconds) == (0.0, 0.0)


def test_alarms_acts_and_batches_of_the_time() -> None:
    stage = Stage(site())
    stage.setting = stage.setting._replace(batches=("B-1",), phase="expansion")
    stage(*series(0, 5.0, 7.0))
    alarm = ExcursionAlarm(alarm=HIGH, occurrence=f"s1/{HIGH}/1", raised=at(1))
    stage.ledger.sounded(alarm)
    stage.ledger.sounded(alarm)
    stage.ledger.sounded(ExcursionAlarm(alarm="incubator-8/co2/high", occurrence="x", raised=None))
    act = ExcursionAct(time=at(2), subject=HIGH, act="acknowledge", user="anna", reason="seen")
    stage.ledger.acted(act)
    stage.ledger.acted(act.model_copy(update={"subject": "incubator-7/humidity/high"}))
    remark = act.model_copy(update={"act": "comment", "subject": "incubator-7"})
    stage.ledger.acted(remark)
    stage.ledger.loaded("incubator-7", ["B-1", "B-2"])
    stage.ledger.loaded("incubator-8", ["B-3"])
    [record] = stage(says(2, 5.0)).records
    assert (record.alarms, record.acts, record.minor) == ((alarm,), (act, remark), False)
    assert (record.batches, record.phase, record.equipment_state) == (
        ("B-1", "B-2"), "expansion", "in_use",
    )  # fmt: skip


def test_an_alarm_that_nobody_is_told_of_leaves_it_minor() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0))
    silent = ExcursionAlarm(alarm=HIGH, occurrence="1", raised=at(1), annunciated=False)
    stage.ledger.sounded(silent)
    [record] = stage.ledger.open_records(0)
    assert (record.minor, record.alarms) == (True, (silent,))
    told = silent.model_copy(update={"annunciated": True})
    stage.ledger.sounded(told)
    stage.ledger.sounded(silent)
    [record] = stage(says(2, 5.0)).records
    assert (record.minor, record.alarms) == (False, (told,))


def test_an_alarm_that_comes_and_goes_for_days_makes_it_no_longer_without_end() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0))
    for number in range(2 * MOST_ALARMS):
        silent = ExcursionAlarm(alarm=HIGH, occurrence=str(number), raised=None, annunciated=False)
        stage.ledger.sounded(silent)
    for number in range(5):
        told = ExcursionAlarm(alarm=HIGH, occurrence=f"told {number}", raised=None)
        stage.ledger.sounded(told)
    [record] = stage(says(2, 5.0)).records
    assert [a.occurrence for a in record.alarms] == [*map(str, range(MOST_ALARMS)), "told 0"]
    assert record.minor is False


def test_an_alarm_of_another_rule_does_not_make_it_more_than_minor() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0))
    stage.ledger.sounded(
        ExcursionAlarm(alarm="incubator-7/co2/unreadable", occurrence="x", raised=None)
    )
    [record] = stage(says(2, 5.0)).records
    assert (len(record.alarms), record.minor) == (1, True)


def test_a_step_of_the_clock_is_counted_and_lengthens_nothing() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0))
    stage.ledger.stepped()
    hour = 3600 * SECOND
    stage(*(s._replace(at=s.at + hour) for s in series(2, 7.0, 5.0)))
    [record] = stage.records
    assert (record.clock_steps, record.duration_seconds) == (1, 2.0)


def test_a_clock_that_is_unsure_at_its_end_is_unsure() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0))
    stage.setting = stage.setting._replace(synchronised=False)
    assert stage(says(2, 5.0)).records[0].clock_synchronised is False


def test_time_in_which_nobody_watched_is_a_gap() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0))
    stage.ledger.missed("incubator-8")
    stage.ledger.missed("incubator-7")
    [record] = stage(says(3, 7.0), says(4, 5.0)).records
    assert record.gap_seconds == 2.0


def test_only_what_is_outside_is_tracked_with_the_doors_beside_it() -> None:
    stage = Stage(site())(*series(0, 5.0))
    assert stage.ledger.tracked == set()
    stage(says(1, 7.0))
    assert stage.ledger.tracked == {0, 1}
    stage(says(2, 5.0))
    assert stage.ledger.tracked == set()


def test_an_outage_says_nothing_to_what_is_inside() -> None:
    stage = Stage(site())(lost(0, Cause.LINE, 1))
    assert (stage.records, stage.ledger.take_changed()) == ([], {})


def test_one_that_goes_on_is_told_as_it_stands() -> None:
    stage = Stage(site())(*series(0, 5.0, 7.0, 8.0))
    [record] = stage.ledger.open_records(moment(3).at)
    assert (record.open, record.end, record.ended_by) == (True, None, "")
    assert (record.duration_seconds, record.extreme) == (1.5, 8.0)


def test_what_excursions_add_up_to() -> None:
    stage = Stage(site())
    stage.setting = stage.setting._replace(batches=("B-1",))
    stage(*series(0, 5.0, 7.0, 5.0))
    stage.setting = stage.setting._replace(batches=("B-1", "B-2"))
    day = 86_400
    stage(*series(day - 10, 5.0, 8.0, 5.0), *series(day + 10, 5.0, 7.0, 5.0))
    first, second, third = (record.day for record in stage.records)
    assert first.excursions == 1
    assert first.outside_seconds == pytest.approx(1.0)
    assert (second.excursions, second.highest, second.lowest) == (2, 8.0, 7.0)
    assert third.excursions == 2  # The first one is a day ago.
    one, two = stage.records[-1].per_batch
    assert (one.batch, one.excursions, two.batch, two.excursions) == ("B-1", 3, "B-2", 2)
    assert one.unit_minutes == pytest.approx(sum(r.unit_minutes for r in stage.records))


STORIES: dict[str, list[Step]] = {
    "simple": [*series(0, 5.0, 5.5, 6.5, 7.0, 6.5, 5.5, 5.0, 5.0, 5.0)],
    "both sides": [*series(0, 5.0, 7.0, 3.0, 7.0, 5.0, 5.0, 5.0, 5.0)],
    "bad in it": [*series(0, 5.0, 7.0, None, 7.0, None, None, 5.0), *series(7, *[5.0] * 6)],
    "rejoins": [*series(0, 5.0, 7.0, 5.0, 5.0, 7.0, 5.0, None, 7.0, 5.0), *series(9, *[5.0] * 6)],
    "gap": [says(0, 5.0), says(1, 7.0), says(9, 7.0), says(10, 5.0), *series(11, *[5.0] * 6)],
    "door": [
        says(0, 5.0), opens(0.2), says(1, 7.0), opens(1.2, stands=False), says(2, 5.0), opens(2.2),
        says(3, 7.0), opens(3.2, stands=False), says(4, 5.0), *series(5, *[5.0] * 6),
    ],
    "limit": [
        *series(0, 5.0, 7.0, 7.0), lambda s: s.limit(HIGH, 6.5), *series(3, 7.0, 6.0, 7.0, 5.0),
        lambda s: s.limit(HIGH, 6.0), *series(7, *[5.0] * 6),
    ],
    "told": [
        *series(0, 5.0, 7.0),
        lambda s: s.ledger.sounded(ExcursionAlarm(alarm=HIGH, occurrence="1", raised=at(1))),
        lambda s: s.ledger.acted(ExcursionAct(time=at(1), subject=HIGH, act="reset", user="kim")),
        lambda s: s.ledger.stepped(), lambda s: s.ledger.loaded("incubator-7", ["B-1"]),
        lambda s: s.ledger.missed("incubator-7"), *series(2, 7.0, 5.0), *series(4, *[5.0] * 6),
    ],
}  # fmt: skip


def _now(steps: list[Step], place: int) -> Moment:
    scans = [step for step in steps[:place] if isinstance(step, Scan)]
    return scans[-1].moment if scans else moment(0)


def _played(steps: list[Step], restart: int | None = None, boot: str = "") -> list[ExcursionRecord]:
    stage = Stage(site(rejoin=2))
    for place, step in enumerate(steps):
        if place == restart:
            watched = dict(stage.watched)
            stage.restart(now=_now(steps, place), boot_id=boot)
            stage.watched.update(watched)  # The board puts into effect what is.
        play(stage, [step])
    return stage.records


@pytest.mark.parametrize("name", STORIES)
def test_a_restart_before_any_step_changes_nothing(name: str) -> None:
    steps = STORIES[name]
    told = _played(steps)
    assert told
    for place in range(len(steps)):
        assert _played(steps, place) == told


@pytest.mark.parametrize("name", STORIES)
def test_a_reboot_before_any_step_is_told_and_changes_nothing_else(name: str) -> None:
    """The machine's elapsed time begins anew; record time bridges it."""
    steps = STORIES[name]
    told = _played(steps)
    for place in range(len(steps)):
        found = _played(steps, place, "boot-2")
        assert [one.model_copy(update={"bridged": False}) for one in found] == told


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(2, 9).map(lambda value: round(value, 2))), max_size=40),
    st.integers(0, 6),
)
def test_figures_are_those_of_a_plain_integration(values: list[float | None], rejoin: int) -> None:
    """Small steps along the straight lines between usable neighbours, all records together."""
    scans = [*series(0, 5.0, *values), *series(len(values) + 1, *[5.0] * (rejoin + 2))]
    records = [r for r in tell(site(rejoin=rejoin), scans) if r.rule == "high"]
    area, time = _integrated([scan.values[0] for scan in scans], 6.0)
    assert sum(r.unit_minutes for r in records) * 60 == pytest.approx(area, abs=1e-3)
    assert sum(r.outside_seconds for r in records) == pytest.approx(time, abs=2e-3 * len(scans))
    beyond = [v for v in values if v is not None and v > 6.0]
    assert sum(r.bad_samples for r in records) <= values.count(None)
    assert max((r.extreme for r in records), default=None) == max(beyond, default=None)
    for record in records:
        parts = record.outside_seconds + record.inside_seconds + record.gap_seconds
        assert record.duration_seconds == pytest.approx(parts, abs=1e-5)
    for one, other in pairwise(records):
        assert _after(one, other) > rejoin - 0.002


def _after(one: ExcursionRecord, other: ExcursionRecord) -> float:
    assert one.end is not None
    return (nanoseconds(other.start) - nanoseconds(one.end)) / 10**9


def _integrated(values: list[object], limit: float, steps: int = 1000) -> tuple[float, float]:
    area = time = 0.0
    for before, after in pairwise(values):
        if isinstance(before, float) and isinstance(after, float):
            for n in range(steps):
                depth = before + (after - before) * (n + 0.5) / steps - limit
                if depth > 0:
                    area += depth / steps
                    time += 1 / steps
    return area, time
