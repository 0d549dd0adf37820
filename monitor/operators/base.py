"""What the people's side needs of the running system; its parts fit these by their shape."""

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from config.plant import Plant
from drivers.reading import Moment, Scan
from monitor.alarms.facts import Refusal
from monitor.alarms.usage import Usage
from monitor.excursions.record import ExcursionRecord
from monitor.messages import Actor, ActReply, ActRequest, AlarmMessage, EquipmentRequest
from monitor.operators.alarm_test import AlarmTestMessage, AlarmTestRequest, AlarmTestStep
from monitor.operators.protocol import AskLetter, LetterReply, StatusMessage
from monitor.store.archive import Piece, Plan, Taken, Wanted
from monitor.store.events import Event
from monitor.store.points import Point
from monitor.store.reader import DeadLetter

Rehearsed = AlarmTestStep | AlarmTestMessage | Refusal
"""What is told of a rehearsal."""


class Copy(NamedTuple):
    """A copy of the record, or of a part of it, that leaves it."""

    act: Literal["archive", "backup"]
    what: str
    """Which part, or where it lies."""


class Last(Protocol):
    """How far the record goes."""

    @property
    def event(self) -> int:
        """Number of the newest committed event; 0 when there is none."""


class Record(Protocol):
    """The store, as far as it is read from here; only what is committed is seen."""

    @property
    def store_id(self) -> str:
        """Names this store; in another one, numbers count anew."""

    @property
    def last(self) -> Last:
        """What is committed now."""

    async def events(self, after: int, limit: int) -> Sequence[Event]:
        """Return at most ``limit`` events that follow the number ``after``, in order."""

    async def wait(self, lane: Literal["telemetry", "events"], beyond: int) -> None:
        """Return when something with a number beyond ``beyond`` is committed."""


class History(Protocol):
    """What was recorded in a span of time, read a little at a time; used in one thread only."""

    def readings(self, start: int, end: int, equipment: str | None) -> Iterator[Point]:
        """Readings from ``start`` to before ``end`` (ns, UTC), oldest first."""

    def events(self, start: int, end: int) -> Iterator[Event]:
        """Events from ``start`` to before ``end`` (ns, UTC), in the order of their numbers."""

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Lines that a database refused for good, in the order in which it did."""

    def of_kind(self, kind: str, start: int) -> Iterator[Event]:
        """Events of one kind from ``start`` (ns, UTC) on, in the order of their numbers."""

    def archive(self, wanted: Wanted) -> Iterator[Plan | Piece | Taken]:
        """What an archive is made of: the plan, the pieces, and what it was in the end."""


class Desk(Protocol):
    """The running gateway, as those who serve its people see it."""

    @property
    def plant(self) -> Plant:
        """What is watched."""

    @property
    def latest(self) -> Sequence[Scan | None]:
        """The newest scan of each source, by its index; None before the first."""

    @property
    def store(self) -> Record:
        """The record."""

    @property
    def watched(self) -> Collection[str]:
        """The name of every alarm that can be."""

    def now(self) -> Moment:
        """Return this instant."""

    def standing(self, name: str) -> AlarmMessage | None:
        """Return the alarm as it stands on the record; None where it is normal."""

    def active(self) -> Sequence[AlarmMessage]:
        """Return every alarm that is not normal, as it stands on the record."""

    def excursions(self) -> Sequence[ExcursionRecord]:
        """Return the excursions that go on, as they stand just now."""

    async def committed(self) -> None:
        """Return when all that happened until now is on the record."""

    def usage(self, equipment: str) -> Usage:
        """Return how an equipment is used: its state, its phase and what is in it."""

    def by_design(self, equipment: str) -> Collection[str]:
        """Return which of its alarms are suppressed by design, also those that are normal."""

    async def act(self, request: ActRequest | EquipmentRequest) -> ActReply:
        """Do what an operator asks, or refuse; returns when either is on the record.

        A request id that was answered before is answered the same, and nothing is done.
        """

    def rehearse(self, request: AlarmTestRequest) -> AsyncGenerator[Rehearsed, None]:
        """Rehearse an alarm: give each step when it is taken, and in the end the whole record.

        A ``Refusal`` is all that there is where it may not be. To close it is to end it.
        """

    async def refuse(self, subject: str, body: Mapping[str, object]) -> None:
        """Put on the record a request that never became an act, and return when it stands there."""

    async def settle(self, ask: AskLetter, actor: Actor) -> LetterReply:
        """Offer a dead letter to its database anew, or drop it; say what became of it."""

    async def status(self) -> StatusMessage:
        """Return how the gateway is."""

    async def copying(self, actor: Actor, copy: Copy) -> None:
        """Put on the record that somebody is given a copy of it; return when it stands there."""

    async def backup(self, name: str, actor: Actor) -> Path:
        """Copy the store into its folder ``backups`` and return the copy's path.

        Raises ``StoreError`` when there is such a file already or the disk refuses.
        """

    def history(self) -> AbstractContextManager[History]:
        """Open the record for reading, in the thread that calls; it holds up nobody."""
