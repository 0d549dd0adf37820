"""The threads of the event loop's own executor, all of them made at the start.

Made when they are first needed, a machine that allows no more would say so in the middle of a
delivery or an acknowledgement; at the start somebody is there to read it.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

MANY = 6
"""Each compresses a batch, reads a certificate, looks up a user: seldom, and not for long."""
TOGETHER = 60.0
"""Seconds in which all of them have begun."""


class NoThreadError(Exception):
    """The process may have no more threads; the text says what to do."""


def ready(many: int = MANY) -> ThreadPoolExecutor:
    """Return an executor whose threads are there. Raises NoThreadError."""
    pool = ThreadPoolExecutor(many, "work")
    together = Barrier(many + 1)
    try:
        for _ in range(many):
            pool.submit(together.wait, TOGETHER)  # So that each needs a thread of its own.
        together.wait(TOGETHER)
    except (RuntimeError, BrokenBarrierError) as error:
        together.abort()
        pool.shutdown(wait=False, cancel_futures=True)
        raise NoThreadError(
            "this machine lets cytowatch have no more threads: "
            "raise TasksMax of the service, or the limit of its user (ulimit -u)"
        ) from error
    return pool
