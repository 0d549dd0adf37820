"""What operators ask for: decided, done and put on the record before it is answered.

The one arrow that points back: an act goes to the same board, or the same usage, as every scan. It
is decided by who asks, by why, by what was seen, and by the alarm or equipment itself, in this
order; the first that speaks against it is what is told.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, assert_never

from monitor.alarms.facts import (
    Acknowledge,
    Act,
    AlarmEvent,
    Confirm,
    Refusal,
    RemoveFromService,
    Reset,
    ReturnToService,
    Shelve,
    Unshelve,
)
from monitor.alarms.rehearsal import is_shadow
from monitor.messages import Act as Right
from monitor.messages import Actor, ActReply, ActRequest, AlarmAct, EquipmentRequest
from monitor.operators.base import Copy
from monitor.operators.roles import EMERGENCY, acting_as
from monitor.recorder import Recorder

log = logging.getLogger(__name__)

Request = ActRequest | EquipmentRequest
Body = Mapping[str, object]


class Done(NamedTuple):
    """What became of a request that was granted."""

    actor: Actor
    """Who asked, in the role in which it was allowed."""
    text: str
    """For whoever asked."""
    events: Sequence[AlarmEvent] = ()
    """Still to be told."""


class Acts:
    """Does what operators ask, or refuses; either is on the record before it is answered."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._owners = frozenset({0, os.geteuid()})
        self._answering: dict[str, asyncio.Task[ActReply]] = {}

    async def act(self, request: Request) -> ActReply:
        """Do what is asked, or refuse; see ``operators.base.Desk.act``."""
        task = self._answering.get(request.request_id)
        if task is None:
            task = asyncio.ensure_future(self._answer(request))
            self._answering[request.request_id] = task
            task.add_done_callback(lambda _: self._answering.pop(request.request_id, None))
        return await asyncio.shield(task)

    async def answered(self, request_id: str) -> ActReply | None:
        """Return what a request of this id was answered before."""
        reply = await self._recorder.store.reply_to(request_id)
        return None if reply is None else ActReply.model_validate_json(reply)

    async def refuse(self, subject: str, body: Body) -> None:
        """Put on the record a request that never became an act, and return when it stands there."""
        self._recorder.note("refusal", subject, body)
        await self._recorder.committed()

    async def resending(self, first: int, last: int, actor: Actor, reason: str) -> Refusal | None:
        """Put on the record that events are published again, and return when it stands there.

        Returns why not, where the actor may not ask for them.
        """
        allowed = self.allowed(actor, "resend")
        if isinstance(allowed, Refusal):
            return allowed
        body = {"act": "resend", "first": first, "last": last, "reason": reason}
        self._recorder.note("act", self._recorder.plant.gateway, {**body, **allowed.told()})
        await self._recorder.committed()
        return None

    async def copying(self, actor: Actor, copy: Copy) -> None:
        """Put on the record that somebody is given a copy of it; return when it stands there."""
        body = {"act": copy.act, "what": copy.what, **actor.told()}
        self._recorder.note("act", self._recorder.plant.gateway, body)
        await self._recorder.committed()

    async def used_nonce(self, user: str, nonce: str) -> str | None:
        """Return the id of the request that used a nonce before, by the record."""
        return await self._recorder.store.reply_to(_nonce(user, nonce))

    def use_nonce(self, user: str, nonce: str, request_id: str) -> None:
        """Keep who used a nonce, so that a replay is known as one after a restart, too."""
        self._recorder.remember(_nonce(user, nonce), request_id)

    async def _answer(self, request: Request) -> ActReply:
        return await self.answered(request.request_id) or await self._act(request)

    async def _act(self, request: Request) -> ActReply:
        match request:
            case ActRequest():
                reply = self._on_alarm(request)
            case EquipmentRequest():
                reply = self._on_equipment(request)
            case _:
                assert_never(request)
        self._recorder.remember(request.request_id, reply.model_dump_json(by_alias=True))
        await self._recorder.committed()
        return reply

    def _on_alarm(self, request: ActRequest) -> ActReply:
        outcome = self._decide(request)
        reply = _reply(request.request_id, request.alarm, outcome)
        self._note(request.alarm, reply, outcome, request, _of_alarm(request))
        if isinstance(outcome, Refusal):
            return reply
        told = self._recorder.tell(outcome.events, actor=outcome.actor, comment=request.reason)
        changes = {"state": told[0].state, "event_id": told[0].event_id} if told else {}
        return reply.model_copy(update=changes)

    def _on_equipment(self, request: EquipmentRequest) -> ActReply:
        outcome = self._use(request)
        reply = _reply(request.request_id, request.equipment, outcome)
        self._note(request.equipment, reply, outcome, request, _of_equipment(request))
        return reply

    def _decide(self, request: ActRequest) -> Done | Refusal:
        watched = self._recorder.board.watched.get(request.alarm)
        if watched is None:
            return Refusal("unknown_alarm", f"there is no alarm {request.alarm}")
        actor = self.allowed(request.actor, request.act, watched.rule.roles)
        if isinstance(actor, Refusal):
            return actor
        if not request.reason.strip() and (watched.rule.reason_required or _is_comment(request)):
            return Refusal("reason_required", "say why")
        if not _is_its_excursion(request):
            return Refusal("invalid", f"{request.excursion} is no excursion of this alarm")
        occurrence = self._occurrence(request)
        if isinstance(occurrence, Refusal):
            return occurrence
        events = self._do(request, occurrence, watched.rule.longest_shelf)
        return events if isinstance(events, Refusal) else Done(actor, _DONE[request.act], events)

    def _do(
        self, request: ActRequest, occurrence: int | None, longest_shelf: int
    ) -> Sequence[AlarmEvent] | Refusal:
        if is_shadow(request.alarm) and request.act not in _ON_A_TEST:
            return Refusal("test", "this is a test: it ends by itself, and cannot be put aside")
        act = _act_of(request, longest_shelf)
        if act is None or isinstance(act, Refusal):
            return act or ()
        return self._recorder.board.act(
            request.alarm,
            act,
            self._recorder.clock(),
            expect_occurrence=occurrence,
            expect_version=request.version,
        )

    def _use(self, request: EquipmentRequest) -> Done | Refusal:
        if request.equipment not in self._recorder.plant.by_name:
            return Refusal("unknown_equipment", f"there is no equipment {request.equipment}")
        actor = self.allowed(request.actor, request.act)
        if isinstance(actor, Refusal):
            return actor
        if request.act in {"set_state", "comment"} and not request.reason.strip():
            return Refusal("reason_required", "say why")
        state = self._recorder.usage(request.equipment).state
        if request.seen is not None and request.seen is not state:
            return Refusal("stale", f"{request.equipment} is {state} by now: look at it again")
        text = self._recorder.use(request.model_copy(update={"actor": actor}))
        return text if isinstance(text, Refusal) else Done(actor, text)

    def allowed(self, actor: Actor, act: Right, only: Sequence[str] = ()) -> Actor | Refusal:
        """Return the actor in the role that may do it, or why not."""
        role = acting_as(self._recorder.plant.operators, actor, act, only, self._owners)
        if role == EMERGENCY:
            log.warning("%s acts without a role that may %s: EMERGENCY", actor.user, act)
        return role if isinstance(role, Refusal) else actor.model_copy(update={"role": role})

    def _occurrence(self, request: ActRequest) -> int | Refusal | None:
        """Return the number in an occurrence's id, which names the store and the alarm too.

        What is put aside before it ever was raised stands with none: an empty id, and number 0.
        In a store that was put back from a backup, what stands bears the name of the one before.
        """
        if not request.occurrence:
            return None if request.occurrence is None else 0
        store_id, _, rest = request.occurrence.partition("/")
        alarm, _, number = rest.rpartition("/")
        stands = self._recorder.standing(request.alarm)
        told = stands is not None and stands.occurrence == request.occurrence
        ours = told or store_id == self._recorder.store.store_id
        if not ours or alarm != request.alarm or not number.isdecimal():
            return Refusal("stale", "that is no occurrence of this alarm in this store")
        return int(number)

    def _note(
        self,
        subject: str,
        reply: ActReply,
        outcome: Done | Refusal,
        request: Request,
        about: Body,
    ) -> None:
        """Put the act or its refusal on the record."""
        kind, actor = "refusal", request.actor
        if isinstance(outcome, Done):
            kind, actor = "act", outcome.actor
        said = {"act": request.act, "result": reply.result, "word": reply.word, "text": reply.text}
        why = {"reason": request.reason, "request_id": request.request_id}
        self._recorder.note(kind, subject, {**said, **actor.told(), **why, **about})


_ON_A_TEST: frozenset[AlarmAct] = frozenset({"acknowledge", "confirm", "reset", "comment"})
_DONE: Mapping[AlarmAct, str] = {
    "acknowledge": "acknowledged",
    "confirm": "confirmed",
    "reset": "reset",
    "shelve": "shelved",
    "unshelve": "taken off the shelf",
    "remove_from_service": "removed from service",
    "return_to_service": "returned to service",
    "comment": "noted",
}


def _act_of(request: ActRequest, longest_shelf: int) -> Act | Refusal | None:  # noqa: PLR0911 - one for each act
    """Return what the board is to do; None where it is nothing: a comment changes no fact."""
    match request.act:
        case "acknowledge":
            return Acknowledge()
        case "confirm":
            return Confirm()
        case "reset":
            return Reset()
        case "shelve":
            return _shelf(request, longest_shelf)
        case "unshelve":
            return Unshelve()
        case "remove_from_service":
            if request.duration is None:
                return Refusal("illegal_transition", "say for how long it is out of service")
            return RemoveFromService(request.duration)
        case "return_to_service":
            return ReturnToService()
        case "comment":
            return None
        case _:
            assert_never(request.act)


def _shelf(request: ActRequest, longest: int) -> Shelve | Refusal:
    """A one-shot shelf that says no end has the longest that its alarm allows."""
    if request.duration is None and not request.one_shot:
        return Refusal("illegal_transition", "say for how long to shelve it")
    return Shelve(request.duration or longest, one_shot=request.one_shot)


def _is_comment(request: ActRequest) -> bool:
    return request.act == "comment"


def _is_its_excursion(request: ActRequest) -> bool:
    """Whether the excursion that a comment names, if any, is one of the alarm."""
    place, _, number = request.excursion.rpartition("/x")
    named = place.endswith(f"/{request.alarm}") and number.isdecimal()
    return not request.excursion or (named and _is_comment(request))


def _reply(request_id: str, subject: str, outcome: Done | Refusal) -> ActReply:
    result: Literal["done", "refused"] = "done" if isinstance(outcome, Done) else "refused"
    word = "done" if isinstance(outcome, Done) else outcome.word
    return ActReply(
        request_id=request_id, result=result, word=word, text=outcome.text, alarm=subject
    )


def _of_alarm(request: ActRequest) -> Body:
    return {
        "duration_s": _seconds(request.duration),
        "one_shot": request.one_shot,
        "occurrence": request.occurrence,
        "version": request.version,
        **({"excursion": request.excursion} if request.excursion else {}),
    }


def _of_equipment(request: EquipmentRequest) -> Body:
    return {
        "duration_s": _seconds(request.duration),
        "state": request.state,
        "seen": request.seen,
        "batch": request.batch,
        "position": request.position,
    }


def _seconds(duration: int | None) -> float | None:
    return None if duration is None else duration / 10**9


def _nonce(user: str, nonce: str) -> str:
    return f"nonce/{user}/{nonce}"
