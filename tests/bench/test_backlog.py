"""A backlog in small, and that its checks can fail."""

import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.simulated.load import limit
from monitor.operators.protocol import GridStatus
from tests.bench.backlog import (
    Backlog,
    BacklogRun,
    Drain,
    Mark,
    Stretch,
    backlog_run,
    check_room,
    level,
    others_of,
)
from tests.bench.backlog_rows import WRONG, backlog_rows, wrong
from tests.bench.backlog_sink import Arrived, Database, Numbers
from tests.bench.backlog_store import (
    LENGTH,
    PERIOD,
    RESOLUTIONS,
    Made,
    beyond,
    column,
    excursion,
    make_images,
    single,
)
from tests.bench.latency import Delays
from tests.bench.scene import BenchError, Size

CHANCE = random.Random(1)  # noqa: S311 - noise, no secret
GIB = 2**30

# --- what is made ------------------------------------------------------------------------------


def test_values_lie_on_the_steps_of_their_instrument_and_within_limits() -> None:
    for channel, step in enumerate(RESOLUTIONS):
        values = [value for value in column(channel, CHANCE) if value is not None]
        assert all(value == single(value) < limit(channel) for value in values)
        if step:
            assert all(value == single(round(value / step) * step) for value in values)
        assert len(set(values)) > 10


def test_an_excursion_is_one_channel_beyond_its_limit_for_its_time() -> None:
    seconds = [second for second in range(PERIOD) if beyond(10, second, 5) is not None]
    assert len(seconds) == LENGTH
    assert {beyond(11, second, 5) for second in range(PERIOD)} == {None}
    image = make_images(5, CHANCE)[0]
    values = enumerate(excursion(image, 1).values)
    assert [n for n, value in values if isinstance(value, float) and value > limit(n)] == [1]


# --- what arrives ------------------------------------------------------------------------------


def scan(number: int, at: float, equipment: str = "load-001") -> bytes:
    return b"load,equipment=%b,source=s c01=1,c01_quality=0i,scan=%di %d" % (
        equipment.encode(),
        number,
        round(at * 1000),
    )


def alarm(seq: int, value: float = 1.0) -> bytes:
    return b'alarm_event,alarm=a to="RAISED",seq=%di,value=%f,scan=7i %d' % (seq, value, seq)


def body(*lines: bytes) -> bytes:
    return b"\n".join(lines) + b"\n"


def test_numbers_tell_what_came_twice_and_up_to_where_all_came() -> None:
    numbers = Numbers()
    assert [numbers.add(n) for n in (2, 1, 9, 2)] == [True, True, True, False]
    assert (numbers.count, numbers.again, numbers.whole()) == (3, 1, 2)
    for number in range(3, 9):
        numbers.add(number)
    assert numbers.whole() == 9


def test_a_scan_is_counted_once_for_its_equipment_and_only_where_it_was_made() -> None:
    database = Database(began=0, made=2, newest=0)
    database.take(
        body(scan(1, 1), scan(2, 1, "load-002"), scan(3, 2), b"gateway,site=s scan=3i 1"), 3
    )
    database.take(body(scan(2, 1, "load-002")), 3)
    arrived = database.arrived(3)
    assert (arrived.scans, arrived.doubled, arrived.whole) == (3, 1, 3)
    assert database.by_equipment == {"load-001": 1, "load-002": 1}


def test_an_alarm_event_that_comes_again_is_the_same_or_it_is_told() -> None:
    database = Database(began=0, made=0, newest=2)
    database.take(body(alarm(1), alarm(2)), 1)
    database.take(body(alarm(1)), 1)
    assert database.arrived(1).changed == 0
    database.take(body(alarm(2, 5.0)), 1)
    arrived = database.arrived(1)
    assert (arrived.alarms, arrived.alarms_whole, arrived.changed) == (2, 2, 1)


def test_what_came_before_the_newest_alarm_is_counted() -> None:
    database = Database(began=0, made=0, newest=2)
    database.take(body(alarm(1), scan(1, 1), scan(2, 1)), 1)
    assert database.arrived(1).before_newest is None
    database.take(body(alarm(2), scan(3, 1)), 1)
    arrived = database.arrived(1)
    assert (arrived.before_newest, arrived.requests_before) == (2, 1)


def test_live_readings_are_as_old_as_the_newest_of_them_was_before_the_next() -> None:
    database = Database(began=1000, made=0, newest=0)
    database.take(body(scan(1, 10)), 1001)
    assert (database.arrived(1002).live_after, database.arrived(1002).lag) == (None, None)
    database.take(body(scan(2, 1002)), 1003)
    database.take(body(scan(3, 1005)), 1006)
    database.take(body(scan(4, 20)), 1006)
    arrived = database.arrived(1007)
    assert (arrived.live_after, arrived.lag) == (3, 4)
    assert database.arrived(1007).lag == 2


# --- what is made of it ------------------------------------------------------------------------


def test_what_has_no_room_is_refused_before_it_begins() -> None:
    day = Backlog(Size(400, 25), 24 * 3600, 60, 10)
    check_room(day, quota=8 * GIB, free=20 * GIB)
    with pytest.raises(BenchError, match="the disk has"):
        check_room(day, quota=8 * GIB, free=10 * GIB)
    with pytest.raises(BenchError, match="a gateway keeps"):
        check_room(replace(day, seconds=2 * day.seconds), quota=8 * GIB, free=200 * GIB)


ARRIVED = Arrived(9, 1000, 0, 1000, 40, 40, 0, 0, 0, 0.5, 1.0)
LOOP = {"longest": 5e6, "longest_cpu": 4e6, "longest_is": "a", "most_cpu": 4e6, "most_cpu_is": "a"}
PART = Stretch(Mark(0, 90.0), Mark(1, 91.0), Delays([5.0], 0), LOOP)
DRAIN = Drain(10.0, 800, [0.5, 1.0], ARRIVED, 1000, 40, 0)
RUN = BacklogRun(
    Backlog(Size(8, 5), 100, 1, 1),
    Made(800, 4000, 30, 40_000, 32_000, 1.0),
    8 * GIB,
    1.5,
    PART,
    PART,
    95.0,
    GridStatus(visits=8, skipped=0, deviation_ms_p50=1, deviation_ms_p99=2, deviation_ms_worst=3),
    DRAIN,
)


def missed(run: BacklogRun) -> set[str]:
    return {row.key.removeprefix("backlog_") for row in backlog_rows(run) if row.kept is False}


def but(arrived: Arrived) -> BacklogRun:
    return replace(RUN, drain=replace(DRAIN, arrived=arrived))


@pytest.mark.parametrize(
    ("run", "key"),
    [
        pytest.param(but(replace(ARRIVED, whole=999)), "missing", id="a scan is lost"),
        pytest.param(but(replace(ARRIVED, doubled=1)), "doubled", id="a scan came twice"),
        pytest.param(
            but(replace(ARRIVED, alarms_whole=39)), "alarms_missing", id="an alarm event is lost"
        ),
        pytest.param(
            but(replace(ARRIVED, changed=1)),
            "alarms_changed",
            id="an alarm event was told differently",
        ),
        pytest.param(but(replace(ARRIVED, before_newest=1)), "alarms_late", id="a scan came first"),
        pytest.param(
            but(replace(ARRIVED, before_newest=None)),
            "alarms_late",
            id="the newest alarm never came",
        ),
        pytest.param(replace(RUN, drain=replace(DRAIN, others=1)), "others", id="one has fewer"),
        pytest.param(replace(RUN, drain=replace(DRAIN, seconds=50)), "drain_share", id="slow"),
        pytest.param(replace(RUN, drain=replace(DRAIN, lags=[9.0])), "lag_s", id="no longer live"),
        pytest.param(replace(RUN, most=121), "memory_mb", id="too much memory"),
        pytest.param(
            replace(RUN, away=replace(PART, last=Mark(1, 110.0))), "away_grown_mb", id="it grows"
        ),
        pytest.param(replace(RUN, start=3.5), "start_s", id="a slow start"),
    ],
)
def test_each_row_can_be_missed(run: BacklogRun, key: str) -> None:
    assert missed(RUN) == set()
    assert missed(run) == {key}
    assert bool(wrong(backlog_rows(run))) == (f"backlog_{key}" in WRONG)


@pytest.mark.parametrize(
    ("came", "others"),
    [
        ({"load-001": 400, "load-002": 400}, 0),
        ({"load-001": 400, "load-002": 399}, 1),
        ({"load-001": 401, "load-002": 399}, 2),
        ({"load-001": 400}, 1),
        ({"load-001": 400, "load-002": 400, "load-003": 1}, 1),
    ],
)
def test_each_equipment_has_as_many_scans_as_were_made(came: dict[str, int], others: int) -> None:
    assert others_of(came, RUN.made, Size(2, 5)) == others


@pytest.mark.parametrize(("whole", "reached"), [(1000, True), (976, True), (975, False)])
def test_it_is_through_when_nothing_waits_but_what_was_said_just_now(
    whole: int, reached: bool
) -> None:
    assert level(replace(ARRIVED, whole=whole), 1000, Size(8, 5)) is reached


@pytest.mark.real
def test_a_backlog_in_small_is_all_there_in_the_end() -> None:
    with tempfile.TemporaryDirectory() as folder:  # A socket's path must be short.
        small = Backlog(Size(8, 5), seconds=30, away=0.5, warm_up=0.0, influxdb=True)
        run = backlog_run(small, Path(folder) / "backlog", lambda _: None)
    rows = {row.key: row for row in backlog_rows(run)}
    assert wrong(list(rows.values())) == []
    assert rows["backlog_alarms_late"].value == 0
    assert run.made.scans == 30 * 8 < run.drain.waiting <= run.drain.due
