"""Commands over MQTT: who asks, how often, whether anew; then done, or refused on the record.

The broker's access list binds the topic to its user; all else is checked here. ``envelopes`` reads
and checks a request by itself, ``Commands.handle`` acts around that and never raises for what a
payload holds. A request that no gateway can be told to own is answered by each.
Nothing here can keep an alarm from being raised: what is in doubt is refused, on the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from monitor.alarms.facts import Refusal
from monitor.messages import Actor, ActReply, ActRequest, EquipmentRequest, Resend
from monitor.operators.envelopes import (
    AlarmAsked,
    Asked,
    Envelope,
    EquipmentAsked,
    Refused,
    ResendAsked,
    alarm_request,
    check,
    equipment_request,
    expiry,
    read,
)

BURST = 60
"""Requests that one user can make at once; one more a second after that."""
MOST_USERS = 1000
MOST_NONCES = 10_000


class Submit(Protocol):
    """Where requests go that are in order, and refusals that go on the record."""

    @property
    def gateway(self) -> str:
        """The name of this gateway."""

    def owns(self, subject: str) -> bool:
        """Whether it is this gateway that answers for an alarm, or equipment, of that name."""

    async def answered(self, request_id: str) -> ActReply | None:
        """Return what a request of this id was answered before."""

    async def act(self, request: ActRequest | EquipmentRequest) -> ActReply:
        """Do what is asked, or refuse; returns after the commit. See ``base.Desk.act``."""

    async def resending(self, first: int, last: int, actor: Actor, reason: str) -> Refusal | None:
        """Put on the record that this range of ``seq`` is published again, or say why it is not.

        Returns after the commit; a refusal is on no record yet.
        """

    async def refuse(self, subject: str, body: Mapping[str, object]) -> None:
        """Put a refusal on the record; returns after the commit."""

    async def used_nonce(self, user: str, nonce: str) -> str | None:
        """Return the id of the request that used a nonce before, in this run or another."""

    def use_nonce(self, user: str, nonce: str, request_id: str) -> None:
        """Keep who used a nonce: in the commit of what the request does, or an earlier one."""


@dataclass
class _Allowance:
    """How many requests a user has left."""

    left: float
    at: int
    """When that was reckoned (ns)."""
    refused: int = 0
    """In a row, just now: only the first of them and their count go on the record."""


@dataclass
class Commands:
    """Handles what comes in; remembers what was used up."""

    submit: Submit
    _allowances: dict[str, _Allowance] = field(default_factory=dict)
    _nonces: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    """By user and nonce: the request that used it, and until when (ns, UTC) it could be done."""

    async def handle(
        self, user: str, act: str, payload: bytes, *, retained: bool, now: int
    ) -> str | Resend | None:
        """Return the answer (JSON) to publish to ``user``, or None where it is not ours to answer.

        A ``Resend`` is checked and on the record: publish those events, then what it replies.
        ``user`` and ``act`` are parts of the topic, ``now`` is record time (ns, UTC).
        """
        if too_many := await self._too_many(user, act, now):
            return _json(too_many)
        asked = read(act, payload, retained=retained)
        if isinstance(asked, Refused):
            return await self._refuse(user, act, asked)
        if not self._ours(asked):
            return None
        return await self._answer(user, act, asked, now)

    async def _answer(self, user: str, act: str, asked: Asked, now: int) -> str | Resend:
        body = asked.body
        if body.user != user:
            why = "forbidden", f"the topic is of {user}, the request says {body.user}"
            return await self._refuse(user, act, _about(asked, *why))
        if earlier := await self.submit.answered(_own_id(user, body)):
            return _json(earlier.model_copy(update={"request_id": body.request_id}))
        if refusal := check(body, now) or await self._used_up(user, body, now):
            return await self._refuse(user, act, _about(asked, *refusal))
        actor = Actor(user=user, role=body.role, via="mqtt")
        if isinstance(asked, ResendAsked):
            return await self._resend(asked, actor)
        reply = await self.submit.act(_request(asked, actor))
        return _json(reply.model_copy(update={"request_id": body.request_id}))

    def _ours(self, asked: Asked) -> bool:
        if isinstance(asked, ResendAsked):
            return asked.body.gateway == self.submit.gateway
        return self.submit.owns(asked.subject)

    async def _resend(self, asked: ResendAsked, actor: Actor) -> str | Resend:
        body = asked.body

        def reply(count: int) -> bytes:
            text = f"{count} events are published again"
            done = ActReply(
                request_id=body.request_id, result="done", word="done", text=text, alarm=""
            )
            return _json(done).encode()

        refusal = await self.submit.resending(body.first, body.last, actor, body.reason)
        if refusal is not None:
            return await self._refuse(actor.user, "resend", _about(asked, *refusal))
        return Resend(body.first, body.last, reply)

    async def _used_up(self, user: str, body: Envelope, now: int) -> tuple[str, str] | None:
        """Use up the request's nonce; return why not, where another request did that before."""
        self._forget_nonces(now)
        key = user, body.nonce
        if key not in self._nonces:
            earlier = await self.submit.used_nonce(user, body.nonce)
            # Another request of this nonce may have come in meanwhile: the first one has it.
            self._nonces.setdefault(key, (earlier or body.request_id, expiry(body)))
        if self._nonces[key][0] != body.request_id:
            return "replayed", "this nonce was used by another request"
        self.submit.use_nonce(user, body.nonce, body.request_id)
        return None

    def _forget_nonces(self, now: int) -> None:
        """Keep memory bounded: what is forgotten here still stands on the record."""
        if len(self._nonces) < MOST_NONCES:
            return
        kept = {key: used for key, used in self._nonces.items() if used[1] > now}
        self._nonces = dict(list(kept.items())[-MOST_NONCES // 2 :])

    async def _too_many(self, user: str, act: str, now: int) -> ActReply | None:
        allowance = self._allowance(user, now)
        if allowance.left >= 1:
            allowance.left -= 1
            if allowance.refused > 1:
                body = {"word": "too_many", "count": allowance.refused, "via": "mqtt"}
                await self.submit.refuse(user, body)
            allowance.refused = 0
            return None
        allowance.refused += 1
        refused = Refused("too_many", f"{BURST} requests at once, then one a second")
        if allowance.refused == 1:
            await self._refuse(user, act, refused)
        return _reply(refused)

    def _allowance(self, user: str, now: int) -> _Allowance:
        if user not in self._allowances and len(self._allowances) >= MOST_USERS:
            self._allowances.pop(next(iter(self._allowances)))
        allowance = self._allowances.setdefault(user, _Allowance(BURST, now))
        allowance.left = min(BURST, allowance.left + max(0, now - allowance.at) / 10**9)
        allowance.at = now
        return allowance

    async def _refuse(self, user: str, act: str, refused: Refused) -> str:
        body = {
            "word": refused.word,
            "text": refused.text,
            "user": user[:64],
            "act": act[:64],
            "request_id": refused.request_id,
            "via": "mqtt",
        }
        await self.submit.refuse(refused.subject or user[:64], body)
        return _json(_reply(refused))


def _request(asked: AlarmAsked | EquipmentAsked, actor: Actor) -> ActRequest | EquipmentRequest:
    request_id = _own_id(actor.user, asked.body)
    match asked:
        case AlarmAsked():
            return alarm_request(asked, actor, request_id)
        case EquipmentAsked():
            return equipment_request(asked, actor, request_id)
        case _:
            assert_never(asked)


def _own_id(user: str, body: Envelope) -> str:
    """One person's id is not another's: nobody is answered what somebody else asked."""
    return f"mqtt/{user}/{body.request_id}"


def _about(asked: Asked, word: str, text: str) -> Refused:
    return Refused(word, text, asked.body.request_id, asked.subject)


def _reply(refused: Refused) -> ActReply:
    return ActReply(
        request_id=refused.request_id,
        result="refused",
        word=refused.word,
        text=refused.text,
        alarm=refused.subject,
    )


def _json(reply: ActReply) -> str:
    return reply.model_dump_json(by_alias=True)
