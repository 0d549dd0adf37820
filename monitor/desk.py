"""The running gateway as its people see it: what stands, how it is, and what they ask of it.

An act is the one arrow that points back: it goes to the same board as every scan, and its effect,
or its refusal, is on the record before it is answered.
"""

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, assert_never

from config.plant import Plant
from drivers.grid import Grid
from drivers.reading import Moment, Scan
from monitor import VERSION
from monitor.alarms.facts import (
    Acknowledge,
    Act,
    AlarmEvent,
    Refusal,
    Reset,
    Shelve,
    Unshelve,
)
from monitor.clock import synchronised
from monitor.messages import Actor, ActReply, ActRequest, AlarmMessage, Resend, rfc3339
from monitor.operators.base import History
from monitor.operators.commands import Commands
from monitor.operators.protocol import (
    GridStatus,
    LineStatus,
    SinkStatus,
    StatusMessage,
    StoreStatusMessage,
)
from monitor.recorder import Recorder
from monitor.store import Store, StoreStatus
from monitor.store.reader import Reader
from monitor.supervise import Outage

MILLISECOND = 10**6


class Desk:
    """What ``operators`` asks of the daemon (``operators.base.Desk``)."""

    def __init__(
        self, recorder: Recorder, grid: Grid, lines: Sequence[Outage], sinks: Sequence[Outage]
    ) -> None:
        self._recorder = recorder
        self._grid = grid
        self._lines = lines
        self._sinks = sinks
        self._started = recorder.clock()
        self._commands = Commands(self)
        self._answering: dict[str, asyncio.Task[ActReply]] = {}

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

    def owns(self, alarm: str) -> bool:
        """Whether it is this gateway that answers for an alarm of that name."""
        return alarm in self.watched

    def now(self) -> Moment:
        """Return this instant."""
        return self._recorder.clock()

    def standing(self, name: str) -> AlarmMessage | None:
        """Return the alarm as it stands on the record; None where it is normal."""
        return self._recorder.standing(name)

    def active(self) -> Sequence[AlarmMessage]:
        """Return every alarm that is not normal, as it stands on the record."""
        return self._recorder.active()

    async def answered(self, request_id: str) -> ActReply | None:
        """Return what a request of this id was answered before."""
        reply = await self.store.reply_to(request_id)
        return None if reply is None else ActReply.model_validate_json(reply)

    async def act(self, request: ActRequest) -> ActReply:
        """Do what an operator asks, or refuse; returns when either is on the record.

        A request id that was answered before is answered the same, and nothing is done.
        """
        task = self._answering.get(request.request_id)
        if task is None:
            task = asyncio.ensure_future(self._answer(request))
            self._answering[request.request_id] = task
            task.add_done_callback(lambda _: self._answering.pop(request.request_id, None))
        return await asyncio.shield(task)

    async def refuse(self, subject: str, body: Mapping[str, object]) -> None:
        """Put on the record a request that never became an act, and return when it stands there."""
        self._recorder.note("refusal", subject, body)
        await self._recorder.committed()

    async def resending(self, first: int, last: int, actor: Actor, reason: str) -> None:
        """Put on the record that events are published again, and return when it stands there."""
        body = {"act": "resend", "first": first, "last": last, "reason": reason}
        self._recorder.note("act", self.gateway, {**body, "user": actor.user, "via": actor.via})
        await self._recorder.committed()

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
        active = self.active()
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
            lines=tuple(LineStatus(**_how(outage)) for outage in self._lines),
            sinks=tuple(_sink(outage, store) for outage in self._sinks),
            grid=self._punctuality(),
            store=_store(store),
        )

    async def backup(self, name: str) -> Path:
        """Copy the store into its folder ``backups`` and return the copy's path.

        Raises ``StoreError`` when there is such a file already or the disk refuses.
        """
        path = self.store.path.parent / "backups" / name
        await self.store.backup(path)
        return path

    def history(self) -> AbstractContextManager[History]:
        """Open the record for reading, in the thread that calls; it holds up nobody."""
        return Reader(self.store.path)

    def _punctuality(self) -> GridStatus:
        kept = self._grid.punctuality()
        return GridStatus(
            visits=kept.starts,
            skipped=kept.skipped,
            deviation_ms_p50=kept.percentile(0.5) / MILLISECOND,
            deviation_ms_p99=kept.percentile(0.99) / MILLISECOND,
            deviation_ms_worst=kept.worst / MILLISECOND,
        )

    async def _answer(self, request: ActRequest) -> ActReply:
        return await self.answered(request.request_id) or await self._act(request)

    async def _act(self, request: ActRequest) -> ActReply:
        recorder = self._recorder
        outcome = self._decide(request)
        if isinstance(outcome, Refusal):
            reply = _reply(request, "refused", outcome.word, outcome.text)
            recorder.note("refusal", request.alarm, _told(request, reply))
        else:
            reply = _reply(request, "done", "done", _DONE[request.act])
            recorder.note("act", request.alarm, _told(request, reply))
            told = recorder.tell(outcome, actor=request.actor, comment=request.reason)
            changes = {"state": told[0].state, "event_id": told[0].event_id} if told else {}
            reply = reply.model_copy(update=changes)
        recorder.remember(request.request_id, reply.model_dump_json(by_alias=True))
        await recorder.committed()
        return reply

    def _decide(self, request: ActRequest) -> Sequence[AlarmEvent] | Refusal:
        if not request.reason.strip():
            return Refusal("reason_required", "say why")
        act = _act_of(request)
        if isinstance(act, Refusal):
            return act
        occurrence = self._occurrence(request)
        if isinstance(occurrence, Refusal):
            return occurrence
        return self._recorder.board.act(
            request.alarm,
            act,
            self.now(),
            expect_occurrence=occurrence,
            expect_version=request.version,
        )

    def _occurrence(self, request: ActRequest) -> int | Refusal | None:
        """Return the number in an occurrence's id, which names the store and the alarm too.

        In a store that was put back from a backup, what stands bears the name of the one before.
        """
        if request.occurrence is None:
            return None
        store_id, _, rest = request.occurrence.partition("/")
        alarm, _, number = rest.rpartition("/")
        stands = self.standing(request.alarm)
        told = stands is not None and stands.occurrence == request.occurrence
        ours = told or store_id == self.store.store_id
        if not ours or alarm != request.alarm or not number.isdecimal():
            return Refusal("stale", "that is no occurrence of this alarm in this store")
        return int(number)


_DONE = {
    "acknowledge": "acknowledged",
    "reset": "reset",
    "shelve": "shelved",
    "unshelve": "taken off the shelf",
}


def _act_of(request: ActRequest) -> Act | Refusal:
    match request.act:
        case "acknowledge":
            return Acknowledge()
        case "reset":
            return Reset()
        case "shelve":
            if request.duration is None:
                return Refusal("illegal_transition", "say for how long to shelve it")
            return Shelve(request.duration)
        case "unshelve":
            return Unshelve()
        case "confirm" | "remove_from_service" | "return_to_service" | "comment":
            return Refusal("unknown_act", f"{request.act} is not known yet")
        case _:
            assert_never(request.act)


def _reply(
    request: ActRequest, result: Literal["done", "refused"], word: str, text: str
) -> ActReply:
    return ActReply(
        request_id=request.request_id, result=result, word=word, text=text, alarm=request.alarm
    )


def _told(request: ActRequest, reply: ActReply) -> dict[str, object]:
    """What the record says of an act or of its refusal."""
    return {
        "act": request.act,
        "result": reply.result,
        "word": reply.word,
        "text": reply.text,
        "user": request.actor.user,
        "claimed": request.actor.claimed,
        "role": request.actor.role,
        "uid": request.actor.uid,
        "via": request.actor.via,
        "reason": request.reason,
        "duration_s": None if request.duration is None else request.duration / 10**9,
        "occurrence": request.occurrence,
        "version": request.version,
        "request_id": request.request_id,
    }


def _how(outage: Outage) -> dict[str, Any]:
    state = "up" if outage.held else ("down" if outage.text else "starting")
    since = None if outage.since is None else rfc3339(outage.since)
    return {"name": outage.name, "state": state, "since": since, "text": outage.text}


def _sink(outage: Outage, store: StoreStatus) -> SinkStatus:
    lanes = {lane.lane: lane for lane in store.lanes if lane.sink == outage.name}
    telemetry, events = lanes.get("telemetry"), lanes.get("events")
    return SinkStatus(
        **_how(outage),
        telemetry_behind=telemetry.behind if telemetry else 0,
        telemetry_behind_bytes=telemetry.behind_bytes if telemetry else 0,
        # One that never reached its broker has not asked for its cursor yet.
        events_behind=events.behind if events else store.last.event,
    )


def _store(status: StoreStatus) -> StoreStatusMessage:
    figures = {
        "file_bytes": status.file_bytes,
        "telemetry_bytes": status.telemetry_bytes,
        "quota": status.quota,
        "blobs": status.blobs,
        "oldest": None if status.oldest_at is None else rfc3339(status.oldest_at),
        "lost_lines": status.lost_lines,
        "dead_letters": dict(status.dead_letters),
        "moved_aside": None if status.moved_aside is None else str(status.moved_aside),
    }
    return StoreStatusMessage(
        path=str(status.path),
        store_id=status.store_id,
        last_scan=status.last.scan,
        last_event=status.last.event,
        last_seq=status.last.seq,
        chain_head=status.last.head,
        figures=figures,
    )
