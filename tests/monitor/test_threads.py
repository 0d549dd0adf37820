import threading
from threading import Barrier

import pytest

from monitor import threads
from monitor.threads import NoThreadError


def test_all_of_them_are_there_before_there_is_any_work() -> None:
    before = threading.active_count()
    with threads.ready(4):
        assert threading.active_count() == before + 4
    assert threading.active_count() == before


def test_they_work_side_by_side() -> None:
    together = Barrier(3)
    with threads.ready(3) as pool:
        done = [pool.submit(together.wait, 60) for _ in range(3)]
        assert sorted(each.result() for each in done) == [0, 1, 2]


@pytest.mark.parametrize("many", [0, 2])
def test_a_thread_that_cannot_be_had_is_said_and_none_is_left(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    started = iter(range(many))
    start = threading.Thread.start

    def scarce(thread: threading.Thread) -> None:
        if next(started, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    with pytest.raises(NoThreadError, match=r"no more threads: raise TasksMax"):
        threads.ready()
    for thread in threading.enumerate():
        if thread.name.startswith("work"):
            thread.join(60)
    assert threading.active_count() == before
