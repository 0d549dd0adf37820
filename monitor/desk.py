"""The running gateway as its people see it: what stands, how it is, and what they ask of it."""

import os
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from config.plant import Plant
from drivers.grid import Grid
from drivers.reading import Moment, Scan
from monitor import VERSION
from monitor.acts import Acts, Request
from monitor.alarms.facts import Refusal
from monitor.alarms.usage import Usage
from monitor.clock import synchronised
from monitor.excursions.record import ExcursionRecord
from monitor.figures import grid_status, line_status, sink_status, store_status
from monitor.letters import Letters
from monitor.messages import Actor, ActReply, AlarmMessage, Resend, rfc3339
from monitor.operators.alarm_test import AlarmTestRequest
from monitor.operators.base import Copy, History, Rehearsed
from monitor.operators.commands import Commands
from monitor.operators.protocol import AskLetter, LetterReply, StatusMessage
from monitor.recorder import Recorder
from monitor.rehearsals import Rehearsals
from monitor.sinks.base import Redelivery
from monitor.store import Store
from monitor.store.backup import FOLDER as BACKUPS
from monitor.store.reader import Reader
from monitor.supervise import Outage


class Broker(Protocol):
    """Where alarms are told."""

    @property
    def name(self) -> str:
        """The name of its place in the record."""

    @property
    def warnings(self) -> Sequence[str]:
        """What is not as it should be though it takes what is delivered."""

    @property
    def unheard(self) -> bool | None:
        """Whether nobody listened to the last of them, as it says; None: that is not known."""


class Desk:
    """What ``operators`` asks of the daemon (``operators.base.Desk``)."""

    def __init__(
        self,
        recorder: Recorder,
        grid: Grid,
        lines: Sequence[Outage],
        sinks: Sequence[Outage],
        databases: Sequence[Redelivery] = (),
    ) -> None:
        self._recorder = recorder
        self._grid = grid
        self._lines = lines
        self._sinks = sinks
        self._started = recorder.clock()
        self._acts = Acts(recorder)
        self._letters = Letters(recorder, self._acts, databases)
        self._brokers: Sequence[Broker] = ()
        self._rehearsals = Rehearsals(recorder, self._acts.allowed, self._nobody_listens)
        self._commands = Commands(self)

    @property
    def plant(self) -> Plant:
        """What is watched."""
        return self._recorder.plant

    @property
    def gateway(self) -> str:
        """The name of this gateway."""
        return self.plant.gateway

    @property
    def store(self) -> Store:
        """The record."""
        return self._recorder.store

    @property
    def latest(self) -> Sequence[Scan | None]:
        """The newest scan of each source, by its index; None before the first."""
        return self._recorder.latest

    @property
    def watched(self) -> Collection[str]:
        """The name of every alarm that can be."""
        return self._recorder.board.watched

    def owns(self, subject: str) -> bool:
        """Whether it is this gateway that answers for an alarm, or equipment, of that name.

        Also where its equipment has no such alarm: else nobody would say so.
        """
        return subject in self.watched or subject.partition("/")[0] in self.plant.by_name

    def now(self) -> Moment:
        """Return this instant."""
        return self._recorder.clock()

    def standing(self, name: str) -> AlarmMessage | None:
        """Return the alarm as it stands on the record; None where it is normal."""
        return self._recorder.standing(name)

    def active(self) -> Sequence[AlarmMessage]:
        """Return every alarm that is not normal, as it stands on the record."""
        return self._recorder.active()

    def excursions(self) -> Sequence[ExcursionRecord]:
        """Return the excursions that go on, as they stand just now."""
        return self._recorder.excursions.open_records(self.now().at)

    async def committed(self) -> None:
        """Return when all that happened until now is on the record."""
        await self._recorder.committed()

    def usage(self, equipment: str) -> Usage:
        """Return how an equipment is used: its state, its phase and what is in it."""
        return self._recorder.usage(equipment)

    def by_design(self, equipment: str) -> Collection[str]:
        """Return which of its alarms are suppressed by design, also those that are normal."""
        return self._recorder.board.by_design(equipment)

    async def answered(self, request_id: str) -> ActReply | None:
        """Return what a request of this id was answered before."""
        return await self._acts.answered(request_id)

    async def act(self, request: Request) -> ActReply:
        """Do what an operator asks, or refuse; returns when either is on the record.

        A request id that was answered before is answered the same, and nothing is done.
        """
        return await self._acts.act(request)

    def ask_of(self, brokers: Sequence[Broker]) -> None:
        """Say where alarms are told, once that is known."""
        self._brokers = brokers

    def _nobody_listens(self) -> bool:
        return any(broker.unheard for broker in self._brokers)

    def rehearse(self, request: AlarmTestRequest) -> AsyncGenerator[Rehearsed, None]:
        """Rehearse an alarm; see ``operators.base.Desk.rehearse``."""
        return self._rehearsals.run(request)

    async def refuse(self, subject: str, body: Mapping[str, object]) -> None:
        """Put on the record a request that never became an act, and return when it stands there."""
        await self._acts.refuse(subject, body)

    async def resending(self, first: int, last: int, actor: Actor, reason: str) -> Refusal | None:
        """Put on the record that events are published again, and return when it stands there.

        Returns why not, where the actor may not ask for them.
        """
        return await self._acts.resending(first, last, actor, reason)

    async def used_nonce(self, user: str, nonce: str) -> str | None:
        """Return the id of the request that used a nonce before, by the record."""
        return await self._acts.used_nonce(user, nonce)

    def use_nonce(self, user: str, nonce: str, request_id: str) -> None:
        """Keep who used a nonce; on the record no later than what the request does."""
        self._acts.use_nonce(user, nonce, request_id)

    async def command(
        self,
        user: str,
        act: str,
        payload: bytes,
        retained: bool,  # noqa: FBT001 - as the broker says it
    ) -> bytes | Resend | None:
        """Answer a request that came over MQTT (``messages.OnCommand``)."""
        answer = await self._commands.handle(
            user, act, payload, retained=retained, now=self.now().at
        )
        return answer.encode() if isinstance(answer, str) else answer

    async def status(self) -> StatusMessage:
        """Return how the gateway is."""
        now, last, store = self.now(), self.store.last, await self.store.status()
        active = [alarm for alarm in self._recorder.standing_as_told() if not alarm.test]
        warnings = {broker.name: broker.warnings for broker in self._brokers}
        return StatusMessage(
            site=self.plant.site,
            gateway=self.plant.gateway,
            version=VERSION,
            pid=os.getpid(),
            started=rfc3339(self._started.at),
            time=rfc3339(now.at),
            config=self.plant.digest[:8],
            clock_synchronised=synchronised(),
            last_scan=last.scan,
            last_seq=last.seq,
            equipment=len(self.plant.equipment),
            channels=sum(len(source.channels) for source in self.plant.sources),
            alarms_standing=len(active),
            alarms_unacknowledged=sum(not alarm.acked_state for alarm in active),
            lines=tuple(line_status(outage) for outage in self._lines),
            sinks=tuple(
                sink_status(outage, store, store.last.event, warnings.get(outage.name, ()))
                for outage in self._sinks
            ),
            grid=grid_status(self._grid),
            store=store_status(store),
        )

    async def settle(self, ask: AskLetter, actor: Actor) -> LetterReply:
        """Offer a dead letter to its database anew, or drop it; say what became of it."""
        return await self._letters.settle(ask, actor)

    async def copying(self, actor: Actor, copy: Copy) -> None:
        """Put on the record that somebody is given a copy of it; return when it stands there."""
        await self._acts.copying(actor, copy)

    async def backup(self, name: str, actor: Actor) -> Path:
        """Copy the store into its folder ``backups`` and return the copy's path.

        That it was made, and for whom, is on the record then.

        Raises ``StoreError`` when there is such a file already or the disk refuses.
        """
        path = self.store.path.parent / BACKUPS / name
        await self.store.backup(path)
        await self.copying(actor, Copy("backup", str(path)))
        return path

    def history(self) -> AbstractContextManager[History]:
        """Open the record for reading, in the thread that calls; it holds up nobody."""
        return Reader(self.store.path)
