import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from drivers.grid import EARLY, SLOT, SPREAD, Grid, Punctuality
from drivers.reading import Moment

MILLISECOND = 10**6
SECOND = 10**9


class Time:
    """A boot clock that moves when it is told to, and turns the grid's wheel with it."""

    def __init__(self) -> None:
        self.boot = 1000 * SECOND + 7 * MILLISECOND

    def __call__(self) -> Moment:
        return Moment(self.boot, self.boot)

    def turn(self, grid: Grid, until: int) -> None:
        """Let every timer before ``until`` (ns) go off at its time."""
        while grid._instants and grid._instants[0] <= until:
            self.boot = max(self.boot, grid._instants[0])
            grid._turn()
        self.boot = until


@asynccontextmanager
async def running(grid: Grid) -> AsyncIterator[None]:
    task = asyncio.create_task(grid.run())
    await asyncio.sleep(0)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def note(time: Time, starts: list[int]) -> Callable[[], None]:
    return lambda: starts.append(time.boot)


@pytest.mark.parametrize("period", [SECOND, 20 * MILLISECOND, 250 * MILLISECOND, 60 * SECOND])
async def test_points_never_drift(period: int) -> None:
    time, starts = Time(), list[int]()
    grid = Grid(time)
    grid.add(period, "incubator-07/probe", note(time, starts))
    async with running(grid):
        time.turn(grid, time.boot + 50 * period)
    assert len(starts) in {50, 51}
    assert {(start - starts[0]) % period for start in starts} == {0}
    if period % SLOT == 0:
        assert starts[0] % SLOT == 0


@pytest.mark.parametrize("period", [333 * MILLISECOND, 7 * MILLISECOND, 1_234_567])
async def test_a_period_that_is_no_multiple_of_the_slot_is_kept_exactly(period: int) -> None:
    time, starts = Time(), list[int]()
    grid = Grid(time)
    grid.add(period, "a", note(time, starts))
    async with running(grid):
        time.turn(grid, time.boot + 1000 * period)
    assert starts == [starts[0] + k * period for k in range(1000)]


async def test_many_keys_share_few_wake_ups_and_spread_over_them() -> None:
    time = Time()
    grid = Grid(time)
    for number in range(400):
        grid.add(SECOND, f"equipment-{number}/source", lambda: None)
    assert len(grid._instants) == SECOND // SLOT
    assert max(map(len, grid._wheel.values())) < 1.5 * 400 / (SECOND // SLOT)


async def test_the_phase_of_a_key_is_its_own_and_always_the_same() -> None:
    first, second = Grid(Time()), Grid(Time())
    later = second._clock
    assert isinstance(later, Time)
    later.boot += 123 * MILLISECOND
    for grid in (first, second):
        grid.add(SECOND, "a", lambda: None)
    assert first._instants[0] % SECOND == second._instants[0] % SECOND


async def test_what_is_read_once_an_hour_is_read_soon_after_the_start() -> None:
    time, starts = Time(), list[int]()
    grid = Grid(time)
    for number in range(50):
        grid.add(3600 * SECOND, f"{number}", note(time, starts))
    begin = time.boot
    async with running(grid):
        time.turn(grid, begin + SPREAD)
    assert len(starts) == 50


async def test_missed_points_are_skipped_and_counted() -> None:
    time, starts = Time(), list[int]()
    grid = Grid(time)
    grid.add(100 * MILLISECOND, "a", note(time, starts))
    async with running(grid):
        time.turn(grid, time.boot + SECOND)
        before = len(starts)
        time.boot += 5 * SECOND
        grid._turn()
        assert len(starts) == before + 1, "no burst"
        time.turn(grid, time.boot + SECOND)
    assert {(start - starts[0]) % (100 * MILLISECOND) for start in starts[before + 1 :]} == {0}
    punctuality = grid.punctuality()
    assert punctuality.skipped in {49, 50}
    assert punctuality.starts == len(starts)


async def test_points_between_adding_and_running_are_nobodys() -> None:
    time, starts = Time(), list[int]()
    grid = Grid(time)
    grid.add(100 * MILLISECOND, "a", note(time, starts))
    time.boot += 10 * SECOND
    async with running(grid):
        time.turn(grid, time.boot + SECOND)
    assert len(starts) == 10
    assert grid.punctuality().skipped == 0


async def test_a_wake_up_that_is_too_early_waits_on() -> None:
    time, starts = Time(), list[int]()
    grid = Grid(time)
    grid.add(SECOND, "a", note(time, starts))
    async with running(grid):
        time.boot = grid._instants[0] - EARLY - 1
        grid._turn()
        assert not starts
        time.boot += 1
        grid._turn()
        assert len(starts) == 1
    assert grid.punctuality().worst == 0


async def test_a_defect_surfaces_once_and_stops_nobody() -> None:
    time, starts = Time(), list[int]()
    grid = Grid(time)
    surfaced: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: surfaced.append(context))

    def broken() -> None:
        raise ZeroDivisionError

    grid.add(100 * MILLISECOND, "broken", broken)
    grid.add(100 * MILLISECOND, "well", note(time, starts))
    async with running(grid):
        time.turn(grid, time.boot + SECOND)
    assert len(starts) == 10
    assert [context["message"] for context in surfaced] == ["the visit of broken failed"]


async def test_every_is_called_and_may_be_added_while_it_runs() -> None:
    time, starts = Time(), list[int]()
    grid = Grid(time)
    async with running(grid):
        grid.every(50 * MILLISECOND, note(time, starts))
        time.turn(grid, time.boot + SECOND)
    assert len(starts) == 20


@pytest.mark.parametrize("period", [0, -1])
def test_a_period_must_be_positive(period: int) -> None:
    grid = Grid(Time())
    with pytest.raises(ValueError, match="positive"):
        grid.add(period, "a", lambda: None)
    with pytest.raises(ValueError, match="positive"):
        grid.every(period, lambda: None)


async def test_with_a_real_clock_it_turns() -> None:
    loop = asyncio.get_running_loop()

    def clock() -> Moment:
        now = round(loop.time() * 1e9)
        return Moment(now, now)

    starts = 0
    enough = asyncio.Event()

    def start() -> None:
        nonlocal starts
        starts += 1
        if starts == 5:
            enough.set()

    grid = Grid(clock)
    grid.add(10 * MILLISECOND, "a", start)
    async with running(grid), asyncio.timeout(60):
        await enough.wait()
    assert grid.punctuality().starts == 5


def test_percentiles_are_read_off_the_bins() -> None:
    bins = (90, 0, 9, *([0] * 100), 1)
    punctuality = Punctuality(100, 0, 11 * MILLISECOND, bins)
    assert punctuality.percentile(0.5) == MILLISECOND // 10
    assert punctuality.percentile(0.99) == 3 * MILLISECOND // 10
    assert punctuality.percentile(1) == 104 * MILLISECOND // 10
