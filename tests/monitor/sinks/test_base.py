"""Jobs side by side: the first that ends, or fails, ends them all."""

import asyncio

import pytest

from monitor.sinks.base import SinkLost, until_one_ends


async def lost() -> None:
    raise SinkLost("the line is cut")


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("let go")


async def test_a_failure_ends_the_others_and_is_raised() -> None:
    ended: list[str] = []
    with pytest.raises(SinkLost, match="the line is cut"):
        await until_one_ends(forever(ended), lost())
    assert ended == ["let go"]


async def test_the_first_that_ends_ends_the_others() -> None:
    ended: list[str] = []
    await until_one_ends(forever(ended), asyncio.sleep(0))
    assert ended == ["let go"]


async def test_being_cancelled_ends_them_all() -> None:
    ended: list[str] = []
    task = asyncio.create_task(until_one_ends(forever(ended), forever(ended)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["let go", "let go"]
