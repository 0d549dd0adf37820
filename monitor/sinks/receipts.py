"""What consumers say that they have made durable, and what is told again until they do.

A receipt is cumulative: all alarm events up to ``seq``. How far each consumer is stands on the
record, so a restart goes on where it was. What is owed longer than ``within`` is told again from
the first missing on, a few at once, and ever more rarely to one that does not say anything.
Time is counted only while the broker is held: nobody can answer while it is away.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError

from config.site import Receipts as Settings
from monitor.messages import ReceiptMessage
from monitor.sinks.base import Outbox

TOGETHER = 20
"""Events told again at once: as many as a broker hands on to a consumer before it queues them."""
LONGEST_REST = 3600.0
"""Seconds between two windows for a consumer that says nothing, at most."""
LARGEST = 1024
"""Bytes of a receipt."""
_GRAIN = 64
"""Parts of ``within`` in which events count as told together."""
_SECOND = 10**9

log = logging.getLogger(__name__)


class Told:
    """Which events were told longer ago than ``within`` (s): up to which ``seq``."""

    def __init__(self, within: float) -> None:
        self._within = within
        self._marks: deque[tuple[float, int]] = deque()
        self._due = 0

    def tell(self, seq: int, now: float) -> None:
        """Take note that everything up to ``seq`` is told by now."""
        if self._marks and now - self._marks[-1][0] < self._within / _GRAIN:
            now, _ = self._marks.pop()
        self._marks.append((now, seq))

    def due(self, now: float) -> int:
        """Return up to which ``seq`` a consumer has had its time."""
        while self._marks and now - self._marks[0][0] >= self._within:
            self._due = max(self._due, self._marks.popleft()[1])
        return self._due

    @property
    def next_due(self) -> float:
        """When something more is due; never where nothing was told."""
        return self._marks[0][0] + self._within if self._marks else math.inf


@dataclass(slots=True)
class Pace:
    """When one consumer is told again what it owes, in seconds; decides only by what it is told."""

    within: float
    rest: float
    """Until the window after the next, while nothing is said."""
    at: float = 0.0
    """When it may be told the next window."""
    upto: int = 0
    """The last ``seq`` of the newest window."""

    def tried(self, upto: int, now: float) -> None:
        """Take note that it was told again; the next time is ever later."""
        self.at, self.upto = now + self.rest, upto
        self.rest = min(2 * self.rest, LONGEST_REST)

    def heard(self, seq: int, now: float, *, more: bool) -> None:
        """Take note of a receipt up to ``seq``; ``more``: that is more than it had.

        Who has the whole window is told the next at once; who got on with it is given time, and
        who is back after a long silence is not made to wait for the end of it.
        """
        self.rest = self.within
        if more and seq >= self.upto:
            self.at = now
        elif more:
            self.at = now + self.within
        else:
            self.at = min(self.at, now + self.within)


class Window(NamedTuple):
    """Alarm events to be told again, by ``seq``, both inclusive."""

    first: int
    last: int


class Receipts:
    """Keeps the receipts of the consumers that a site names."""

    def __init__(self, settings: Settings | None, gateway: str, outbox: Outbox) -> None:
        self.consumers: Sequence[str] = settings.consumers if settings else ()
        self.news = asyncio.Event()
        """Set by each receipt: something may have fallen due."""
        self._gateway = gateway
        self._outbox = outbox
        within = settings.within / _SECOND if settings else 0.0
        self._told = Told(within)
        self._paces = {name: Pace(within, within) for name in self.consumers}
        self._behind: set[str] = set()
        """Consumers of whom the log says that they are told again."""
        self._complaints: set[tuple[str, str]] = set()
        """Of whom (empty: everybody else) the log says why receipts are ignored."""
        self._before: int | None = None
        """Up to which ``seq`` it is not known when it was told: in the run before."""
        self._held_for = 0.0
        self._held_since: float | None = None
        for name in self.consumers:
            outbox.begin(name, "receipts")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside the block the broker is held, and time counts."""
        self._held_since = _time()
        self._complaints.clear()
        if self._before is None:
            self._before = self._outbox.last.seq
            self.told(self._before)
        try:
            yield
        finally:
            self._held_for, self._held_since = self._now, None

    def has(self, seq: int) -> bool:
        """Whether any consumer has made the event of this ``seq`` durable."""
        return any(self._upto(name) >= seq for name in self.consumers)

    def told(self, seq: int) -> None:
        """Take note that the broker has accepted everything up to ``seq``."""
        if self.consumers:
            self._told.tell(seq, self._now)

    def take(self, user: str, payload: bytes, *, retained: bool) -> None:
        """Take a receipt that came under the topic of ``user``; one that cannot be is ignored."""
        known = user if user in self._paces else ""
        receipt = _read(payload)
        if isinstance(receipt, ReceiptMessage) and receipt.gateway != self._gateway:
            return
        if wrong := self._why_not(known, receipt, retained=retained):
            self._complain(user, known, wrong)
        elif isinstance(receipt, ReceiptMessage):
            self._take(user, receipt.seq)

    def late(self, consumer: str) -> bool | None:
        """Whether it owes a receipt for longer than it may; None: that cannot be known just now."""
        if self._held_since is None or self._before is None:
            return None
        upto = self._upto(consumer)
        if upto < self._told.due(self._now):
            return True
        return None if upto < self._before else False

    def again(self) -> Window | None:
        """Return what is to be told again now, and take note that it is; None: nothing just now."""
        now, due = self._now, self._told.due(self._now)
        owing = {name: upto for name, upto in self._owing(due) if now >= self._paces[name].at}
        if not owing:
            return None
        first = min(owing.values()) + 1
        last = min(first + TOGETHER - 1, due)
        for name, upto in owing.items():
            if upto < last:
                self._paces[name].tried(last, now)
                self._begin(name, upto)
        return Window(first, last)

    def next_in(self) -> float:
        """Return in how many seconds something may have to be told again; inf: not by itself."""
        now = self._now
        waits = [self._paces[name].at for name, _ in self._owing(self._told.due(now))]
        return max(0.0, min([self._told.next_due, *waits]) - now)

    def _owing(self, due: int) -> Iterator[tuple[str, int]]:
        """Give who owes what is due, and the ``seq`` up to which they have all."""
        for name in self.consumers:
            if (upto := self._upto(name)) < due:
                yield name, upto

    def _take(self, user: str, seq: int) -> None:
        before, now = self._upto(user), self._now
        self._outbox.confirm(user, "receipts", seq)
        self._paces[user].heard(seq, now, more=seq > before)
        if user in self._behind and self._upto(user) >= self._told.due(now):
            self._behind.remove(user)
            log.info("%s has made durable all that it owed", user)
        self.news.set()

    def _why_not(self, known: str, receipt: ReceiptMessage | str, *, retained: bool) -> str:
        """Return why a receipt is not taken; empty when it is."""
        if not known:
            return "nobody named it in mqtt.receipts"
        if retained:
            return "it is retained, so it may be an old one"
        if isinstance(receipt, str):
            return receipt
        if receipt.store_id != self._outbox.store_id:
            return "it is of another record than ours; its numbers mean nothing here"
        if receipt.seq > self._outbox.last.seq:
            return "it is of events that there are not yet"
        return ""

    def _begin(self, name: str, upto: int) -> None:
        if name not in self._behind:
            self._behind.add(name)
            log.warning("%s owes a receipt from seq %d on, and is told it again", name, upto + 1)

    def _complain(self, user: str, known: str, wrong: str) -> None:
        """Tell why receipts of one consumer are ignored: each reason once in a connection.

        So one whose every second receipt is wrong does not fill the log.
        """
        if (known, wrong) not in self._complaints:
            self._complaints.add((known, wrong))
            log.warning("a receipt of %s is ignored: %s", user, wrong)

    def _upto(self, consumer: str) -> int:
        return self._outbox.cursor(consumer, "receipts")

    @property
    def _now(self) -> float:
        """Seconds for which the broker was held, since the start."""
        if self._held_since is None:
            return self._held_for
        return self._held_for + _time() - self._held_since


def _time() -> float:
    return asyncio.get_running_loop().time()


def _read(payload: bytes) -> ReceiptMessage | str:
    """Return the receipt, or what is wrong with it."""
    if len(payload) > LARGEST:
        return f"it is larger than {LARGEST} bytes"
    try:
        return ReceiptMessage.model_validate_json(payload)
    except ValidationError:
        return "it is not as cytowatch.receipt.v1 says"
