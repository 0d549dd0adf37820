import asyncio
import threading

import pytest

from monitor.store.errors import StoreError
from monitor.store.thread import Worker


async def test_calls_are_done_one_after_the_other_in_one_thread() -> None:
    worker = Worker("test")
    done: list[tuple[int, str]] = []
    calls = [
        worker.call(lambda number=number: done.append((number, threading.current_thread().name)))  # type: ignore[misc]  # bound as it is made
        for number in range(5)
    ]
    await asyncio.gather(*calls)
    await worker.close()
    assert done == [(number, "test") for number in range(5)]


async def test_an_error_comes_to_the_caller_and_stops_nothing() -> None:
    worker = Worker("test")
    with pytest.raises(ZeroDivisionError):
        await worker.call(lambda: 1 // 0)
    assert await worker.call(lambda: 5) == 5
    await worker.close()


async def test_a_thread_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(StoreError, match=r"no thread for the store: raise TasksMax"):
        Worker("store")


async def test_whoever_is_cancelled_does_not_stop_the_call() -> None:
    worker = Worker("test")
    may_end, ended = threading.Event(), threading.Event()

    def work() -> None:
        may_end.wait()
        ended.set()

    task = asyncio.create_task(worker.call(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_end.set()
    await worker.close()
    assert ended.is_set()


async def test_a_closed_worker_refuses_and_leaves_nobody_waiting() -> None:
    worker = Worker("test")
    await worker.close()
    with pytest.raises(RuntimeError, match="closed"):
        await worker.call(lambda: 5)


async def test_closing_does_first_what_is_queued() -> None:
    worker = Worker("test")
    done: list[int] = []
    worker.start(lambda: done.append(1))
    await worker.close()
    assert done == [1]
