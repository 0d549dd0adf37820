"""One place reconnects, and tells a fault when it begins, changes and ends."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.supervise import MOST_TOLD, STEADY, Backoff, Held, Outage, keep_running

AT_ONCE = Backoff(first=0.0, most=0.0)


class LostError(Exception):
    """The connection is gone."""


class Script:
    """A hold that does one step a try, and then stays held."""

    def __init__(self, *steps: Exception | None) -> None:
        self.steps = list(steps)
        self.done = asyncio.Event()

    async def hold(self, held: Held) -> None:
        if not self.steps:
            held()
            self.done.set()
            await asyncio.Event().wait()
        step = self.steps.pop(0)
        if step is None:
            held()
            raise LostError("hung up")
        raise step


async def told_by(script: Script) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    outage = Outage("line-1", lambda phase, text: told.append((phase, text)), lambda: 0)
    task = asyncio.create_task(keep_running(script.hold, outage, LostError, AT_ONCE))
    await script.done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told


async def test_the_same_fault_is_told_once_however_often_it_is_tried() -> None:
    script = Script(*[LostError("refused")] * 5)

    assert await told_by(script) == [("begin", "refused"), ("end", "refused")]


async def test_a_fault_that_reads_differently_is_told_as_a_change() -> None:
    script = Script(LostError("refused"), LostError("no route"), LostError("no route"))

    assert await told_by(script) == [
        ("begin", "refused"),
        ("change", "no route"),
        ("end", "no route"),
    ]


async def test_faults_that_take_turns_are_told_once_each() -> None:
    refused, no_route = LostError("refused"), LostError("no route")
    script = Script(refused, no_route, refused, no_route, refused)

    assert await told_by(script) == [
        ("begin", "refused"),
        ("change", "no route"),
        ("end", "refused"),
    ]


async def test_a_fault_that_never_reads_the_same_is_not_told_for_ever() -> None:
    told = await told_by(Script(*[LostError(f"garbage {number}") for number in range(100)]))

    assert len(told) == MOST_TOLD + 1
    assert told[-1] == ("end", "garbage 99")


async def test_a_connection_that_comes_and_goes_is_told_each_time() -> None:
    assert await told_by(Script(None, None)) == [
        ("begin", "hung up"),
        ("end", "hung up"),
        ("begin", "hung up"),
        ("end", "hung up"),
    ]


async def test_a_connection_that_stands_at_once_tells_nothing() -> None:
    assert await told_by(Script()) == []


async def test_a_mistake_of_ours_is_logged_with_its_trace_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        told = await told_by(Script(KeyError("x"), KeyError("x")))

    assert told[0] == ("begin", "internal error: KeyError: 'x'")
    assert [record.exc_info is not None for record in caplog.records] == [True]


@given(st.integers(1, 10_000))
def test_the_wait_is_spread_and_capped(failures: int) -> None:
    backoff = Backoff(first=0.5, most=30.0)

    assert 0.05 <= backoff.wait(failures) <= backoff.ceiling(failures) <= 30.0


def test_what_is_lost_soon_after_each_try_is_tried_more_and_more_seldom() -> None:
    now = 0
    outage = Outage("line-1", lambda _phase, _text: None, lambda: now)
    for tries in range(1, 6):
        outage.begun()
        outage.regained()
        now += STEADY - 1
        outage.lost("thrown out")
        assert outage.failures == tries
    outage.regained()
    now += STEADY
    outage.lost("hung up")
    assert outage.failures == 1


async def test_a_cancellation_that_nobody_asked_for_ends_no_task() -> None:
    """A library's own, that leaks out of ``hold``, would leave a line untried for ever."""
    script = Script(LostError("refused"))
    hold = script.hold
    leaked = [True]

    async def leaky(held: Held) -> None:
        if leaked:
            leaked.clear()
            raise asyncio.CancelledError
        await hold(held)

    outage = Outage("line-1", lambda _phase, _text: None, lambda: 0)
    task = asyncio.create_task(keep_running(leaky, outage, LostError, AT_ONCE))
    await script.done.wait()
    assert outage.held
    assert outage.tries == 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_try_is_under_way_until_it_is_held_or_lost() -> None:
    outage = Outage("line-1", lambda _phase, _text: None, lambda: 0)
    seen = [(outage.tries, outage.trying)]
    for step in (outage.begun, lambda: outage.lost("refused"), outage.begun, outage.regained):
        step()
        seen.append((outage.tries, outage.trying))
    assert seen == [(0, False), (1, True), (1, False), (2, True), (2, False)]
