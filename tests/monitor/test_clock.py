"""Record time goes on, whatever the wall clock does."""

from itertools import chain, count
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import clock, timekeepers
from monitor.clock import TOLERANCE, Anchor, RecordClock, boot_id, follow, synchronised

SECOND = 10**9
NOON = 1_700_000_000 * SECOND
RUNNING = Anchor(at=NOON, boot=100 * SECOND)


@pytest.mark.parametrize(
    ("wall_error", "kind", "epoch", "slewing"),
    [
        (0, None, 1, False),
        (TOLERANCE, None, 1, False),
        (-TOLERANCE, None, 1, False),
        (60 * SECOND, "forward", 2, False),
        (SECOND, "forward", 2, False),
        (-SECOND, "slewed", 1, True),
        (-10 * SECOND, "slewed", 1, True),
        (-11 * SECOND, "backward", 2, False),
        (-3600 * SECOND, "backward", 2, False),
    ],
)
def test_a_step_of_the_wall_clock(
    wall_error: int, kind: str | None, epoch: int, slewing: bool
) -> None:
    boot = RUNNING.boot + 5 * SECOND
    anchor, step = follow(RUNNING, NOON + 5 * SECOND + wall_error, boot)

    assert (step and step.kind) == kind
    assert anchor.epoch == epoch
    assert anchor.slewing is slewing


def test_a_clock_that_is_a_second_behind_is_met_in_ten_seconds_and_told_once() -> None:
    anchor, told, last, boot = RUNNING, list[str](), NOON, RUNNING.boot
    for second in range(1, 13):
        boot = RUNNING.boot + second * SECOND
        anchor, step = follow(anchor, NOON + (second - 1) * SECOND, boot)
        told += [step.kind] if step else []
        assert anchor.record_time(boot) > last
        last = anchor.record_time(boot)

    assert told == ["slewed"]
    assert not anchor.slewing
    assert abs(anchor.record_time(boot) - (NOON + 11 * SECOND)) <= TOLERANCE


@given(
    st.lists(
        st.tuples(
            st.integers(1, 5 * SECOND),  # elapsed since the last look
            st.integers(-9 * SECOND, 9 * SECOND),  # how wrong the wall clock is at this look
        ),
        min_size=1,
        max_size=30,
    )
)
def test_record_time_goes_back_only_in_a_new_epoch(looks: list[tuple[int, int]]) -> None:
    anchor, boot, last, epoch = RUNNING, RUNNING.boot, NOON, 1
    for elapsed, error in looks:
        boot += elapsed
        wall = NOON + boot - RUNNING.boot + error
        anchor, step = follow(anchor, wall, boot)
        if anchor.epoch == epoch:
            assert anchor.record_time(boot) >= last
        else:
            assert step is not None
        last, epoch = anchor.record_time(boot), anchor.epoch


def test_a_restart_goes_on_after_the_newest_time_on_the_record() -> None:
    clock = RecordClock()
    ahead_by_two_seconds = clock().at + 2 * SECOND

    step = clock.resume(ahead_by_two_seconds, 3)

    assert step is not None
    assert step.kind == "slewed"
    assert clock().at > ahead_by_two_seconds
    assert clock.epoch == 3


def test_a_restart_with_a_clock_an_hour_behind_the_record_is_a_new_epoch() -> None:
    clock = RecordClock()
    an_hour_ahead = clock().at + 3600 * SECOND

    step = clock.resume(an_hour_ahead, 1)

    assert step is not None
    assert step.kind == "backward"
    assert clock().at < an_hour_ahead
    assert clock.epoch == 2


def test_a_boot_has_a_name() -> None:
    assert len(boot_id()) == 36


@pytest.mark.parametrize(
    ("kernel", "chrony", "timesyncd", "expected"),
    [
        (0, None, None, True),
        (1, False, False, True),
        (5, True, True, False),
        (-1, True, False, True),
        (-1, False, True, False),
        (-1, None, True, True),
        (-1, None, False, False),
        (-1, None, None, None),
    ],
)
def test_the_kernel_says_whether_it_is_kept_in_step_and_else_who_keeps_it(
    kernel: int,
    chrony: bool | None,
    timesyncd: bool | None,
    expected: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service with ``ProtectClock`` is not answered by the kernel: -1."""
    monkeypatch.setattr("monitor.clock._LIBC", SimpleNamespace(adjtimex=lambda _: kernel))
    monkeypatch.setattr(timekeepers, "chrony", lambda: chrony)
    monkeypatch.setattr(timekeepers, "timesyncd", lambda: timesyncd)
    assert synchronised() is expected


def test_a_process_that_is_held_up_between_two_clocks_does_not_see_a_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boots = iter([1_000, 1_000 + SECOND, 2 * SECOND, 2 * SECOND + 100])
    walls = iter([NOON + SECOND, NOON + 2 * SECOND])
    monkeypatch.setattr("time.clock_gettime_ns", lambda _: next(boots))
    monkeypatch.setattr("time.time_ns", lambda: next(walls))
    assert clock.both_clocks() == (2 * SECOND + 50, NOON + 2 * SECOND)


def test_of_clocks_that_are_never_read_at_one_time_the_closest_pair_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = [(n * SECOND, n * SECOND + 10**7 * abs(n - 4) + 10**6) for n in range(clock.TRIES)]
    boots = chain.from_iterable(pairs)
    walls = count(NOON, SECOND)
    monkeypatch.setattr("time.clock_gettime_ns", lambda _: next(boots))
    monkeypatch.setattr("time.time_ns", lambda: next(walls))
    assert clock.both_clocks() == (4 * SECOND + 5 * 10**5, NOON + 4 * SECOND)
