"""The contract of a sink, and what a sink needs of the rest of the daemon.

A sink has ``async hold(held)``: connect, call ``held`` once that has worked, and deliver whatever
is on the record until the connection is lost (``SinkLost``). It waits for nothing between tries;
``monitor.supervise`` does, and calls ``hold`` again.
What was delivered is confirmed to the outbox only when the other side has said so.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from config.problems import plain
from drivers.base import Clock
from monitor.messages import AlarmMessage
from monitor.store.events import Event
from monitor.store.tick import Blob, Counted, Lag, Lane, Last


class SinkLost(Exception):  # noqa: N818 - it is an event of the plant, not a mistake in a program
    """Nothing can be delivered just now; the text says why and what to do. Try again later."""

    def __init__(self, text: str) -> None:
        super().__init__(plain(text))


class Outbox(Protocol):
    """The record, as far as a sink sees it: what is committed, and how far each sink is."""

    @property
    def store_id(self) -> str:
        """Names this record; numbers count anew in another."""

    @property
    def last(self) -> Last:
        """The newest of everything that is committed."""

    def cursor(self, sink: str, lane: Counted) -> int:
        """Return the number (events), id (telemetry) or seq (receipts) that is confirmed."""

    def begin(self, sink: str, lane: Counted) -> None:
        """Follow ``sink`` there; one that is new to the record begins at the present."""

    def confirm(self, sink: str, lane: Counted, upto: int) -> None:
        """Move the cursor: everything up to ``upto`` is delivered."""

    async def telemetry(self, after: int, limit_bytes: int) -> Sequence[Blob]:
        """Return the blobs after ``after``, in order: about ``limit_bytes``, at least one."""

    async def events(self, after: int, limit: int) -> Sequence[Event]:
        """Return at most ``limit`` events after the number ``after``, in order."""

    async def events_by_seq(self, first: int, last: int) -> Sequence[Event]:
        """Return the alarm events with these ``seq`` (both inclusive), in order."""

    def lags(self, sink: str) -> Mapping[Lane, Lag]:
        """Return how far the sink is in each lane that waits for it, and in that of the events."""

    async def wait(self, lane: Lane, beyond: int) -> None:
        """Return when something newer than ``beyond`` is committed."""

    async def dead_letter(self, sink: str, line: bytes, words: str) -> None:
        """Keep a line that the other side refuses for good, with its words."""


class Record(Protocol):
    """The recorder, as far as a sink sees it that also tells how things stand."""

    @property
    def store(self) -> Outbox:
        """What is committed."""

    @property
    def clock(self) -> Clock:
        """Gives record time."""

    def active(self) -> Sequence[AlarmMessage]:
        """Return every alarm that is not normal, as it stands on the record."""


class Delivery(Protocol):
    """What there is to see of a sink from outside, while it delivers."""

    @property
    def name(self) -> str:
        """The name of its place in the record."""

    @property
    def tally(self) -> "Tally":
        """What it has done."""

    @property
    def patience(self) -> float:
        """Seconds that may pass between two requests while it delivers, however slow the peer."""


class Redelivery(Protocol):
    """A sink that takes what it refused before."""

    @property
    def name(self) -> str:
        """The name of its place in the record."""

    async def offer(self, line: bytes) -> str:
        """Send a dead letter's line, now; return why it is refused, empty when it is taken.

        Raises SinkLost when there is no answer about it.
        """


class Gateway(NamedTuple):
    """Who we are."""

    site: str
    name: str


@dataclass(slots=True)
class Tally:
    """What a sink has done since the start, for status and summaries."""

    delivered: int = 0
    """Lines (InfluxDB), or alarm events (MQTT), confirmed by the other side."""
    requests: int = 0
    """Write requests (InfluxDB), or messages (MQTT), sent."""
    too_large: int = 0
    """Messages (MQTT) that were larger than the broker takes, and are not told."""
    dead: int = 0
    """Lines that the other side refused for good."""


async def until_one_ends(*jobs: Coroutine[object, object, object]) -> None:
    """Run the jobs side by side until the first of them ends or fails; the others are cancelled.

    Raises what that one raised.
    """
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
