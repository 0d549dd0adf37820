"""Keep a line or a sink going: hold it, and when it is lost wait and hold it again.

The only place that reconnects, and the only one that catches what it does not expect: a bug in one
driver or sink must not silence thirty incubators. What breaks the common path (recorder, store)
is not caught here; it ends the process, and systemd starts it anew.
A fault is told when it begins, when it reads differently and when it ends, not at every try.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from monitor.ending import out_of_memory

log = logging.getLogger(__name__)

MOST_TOLD = 8
"""Texts of one outage that are told: a peer that sends garbage reads differently at every try."""

STEADY = 10 * 10**9
"""For how long (ns) what was held must have stood, that its loss is the first one again: a peer
that lets us in and throws us out would else be knocked at twice a second for ever."""

Held = Callable[[], None]
Hold = Callable[[Held], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: wait anything up to a ceiling that doubles with each failure in a row.

    The spread keeps four hundred lines from knocking at the same instant after a switch was
    rebooted (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
    """

    first: float = 0.5
    """Seconds."""
    most: float = 10.0
    """Seconds: what has come back is watched again within so many, however long it was away."""

    def ceiling(self, failures: int) -> float:
        """Return the longest wait, in seconds, after ``failures`` (from 1) in a row."""
        return min(self.most, self.first * 2.0 ** min(failures - 1, 16))

    def wait(self, failures: int) -> float:
        """Return how long to wait, in seconds, after ``failures`` (from 1) in a row."""
        ceiling = self.ceiling(failures)
        return random.uniform(ceiling / 10, ceiling)  # noqa: S311 - jitter is no secret


class Outage:
    """What is known of the trouble of one supervised thing; tells only what is news."""

    def __init__(self, name: str, tell: Callable[[str, str], None], now: Callable[[], int]) -> None:
        self.name = name
        self.since: int | None = None
        """When it was last held or lost, as ``now`` says; None before the first try."""
        self.text = ""
        """Why it is down; empty while it is held or was not tried yet."""
        self.held = False
        self.tries = 0
        """Begun since the start."""
        self.trying = False
        """A try is under way that is neither held nor lost yet."""
        self.failures = 0
        """Losses in a row: with nothing between them that stood for long."""
        self._told: set[str] = set()
        """What was told of this outage: two texts that take turns are news only once each."""
        self._tell = tell
        self._now = now

    def begun(self) -> None:
        """Take note that it is tried."""
        self.tries += 1
        self.trying = True

    def lost(self, text: str) -> None:
        """Take note of a failure, and tell it if it is a new one or reads as none before it did."""
        now = self._now()
        if self.held and self.since is not None and now - self.since >= STEADY:
            self.failures = 0
        if self.held or self.since is None:
            self.since = now
        self.held = self.trying = False
        self.failures += 1
        self.text = text
        if text not in self._told and len(self._told) < MOST_TOLD:
            self._tell("change" if self._told else "begin", text)
            self._told.add(text)

    def regained(self) -> None:
        """Take note that it is held, and tell the end of an outage if there was one."""
        self.trying = False
        if self.held:
            return
        self.held = True
        self.since = self._now()
        if self.text:
            self._tell("end", self.text)
            self.text = ""
            self._told.clear()


async def keep_running(
    hold: Hold,
    outage: Outage,
    expected: type[Exception],
    backoff: Backoff | None = None,
) -> None:
    """Hold, and after every loss wait and hold again; ends only by being cancelled.

    ``expected`` is the exception by which ``hold`` says that the connection is lost. Any other
    one is a mistake in our program: logged with its trace, and tried again like the rest. So is a
    cancellation that nobody asked us for: a library's own, which would end the task in silence.
    """
    backoff = backoff or Backoff()
    while True:
        try:
            outage.begun()
            await hold(outage.regained)
            outage.lost("ended for no reason")
        except expected as error:
            outage.lost(str(error))
        except MemoryError:
            out_of_memory()
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            if not outage.text:
                log.exception("%s: a mistake in cytowatch; it goes on trying", outage.name)
            outage.lost(f"internal error: {type(error).__name__}: {error}")
        await asyncio.sleep(backoff.wait(outage.failures))


def _is_cancelled() -> bool:
    """Whether somebody has asked this task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
