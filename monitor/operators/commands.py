"""Commands over MQTT: every check of the envelope, before anything is done.

The broker's access list binds the topic to its user; all else is checked here. ``read`` and
``check`` decide, and are pure; ``Commands.handle`` acts around them and never raises for what a
payload holds. A request that no gateway can be told to own is answered by each.
Nothing here can keep an alarm from being raised: what is in doubt is refused, on the record.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, Protocol, assert_never

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from config.model import Id, nanoseconds
from monitor.messages import MOST_RESENT, Actor, ActReply, ActRequest, Message, Resend

LARGEST = 4096
"""Bytes of a payload."""
DEEPEST = 4
"""Brackets inside brackets: a request needs one, and a parser should not meet thousands."""
FURTHEST = 10 * 60 * 10**9
"""A request may be valid for so long (ns): its nonce is remembered until then."""
BURST = 60
"""Requests that one user can make at once; one more a second after that."""
MOST_USERS = 1000
MOST_NONCES = 10_000

FIRST_YEAR, LAST_YEAR = 2000, 2200

Words = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _time(text: str) -> str:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None or not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError("a time is written with its zone, as in 2026-01-31T12:00:00Z")
    return text


def _duration(text: object) -> int:
    if not isinstance(text, str):
        raise ValueError("a duration is a text with a unit: 30m, 8h")  # noqa: TRY004 - for pydantic
    return int(nanoseconds(text))


class Envelope(Message):
    """What every request carries."""

    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    user: Id
    role: Annotated[str, Field(max_length=64)]
    """What the user says to be acting as; recorded with the reason."""
    reason: Words
    expiry: Annotated[str, Field(max_length=40), AfterValidator(_time)]
    """RFC 3339; at most ten minutes ahead."""
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/=_-]{16,64}$")]


class AlarmCommand(Envelope):
    """acknowledge, reset or unshelve: bound to the alarm as it was seen."""

    schema_: Literal["cytowatch.alarm_command.v1"] = Field(
        "cytowatch.alarm_command.v1", alias="schema"
    )
    alarm: Name
    occurrence: Annotated[str, Field(max_length=300)]
    version: Annotated[int, Field(ge=0)]


class ShelveCommand(AlarmCommand):
    """As the others, with how long."""

    schema_: Literal["cytowatch.shelve_command.v1"] = Field(  # type: ignore[assignment]  # its own name on the wire
        "cytowatch.shelve_command.v1", alias="schema"
    )
    duration: Annotated[int, Field(gt=0), BeforeValidator(_duration, json_schema_input_type=str)]
    """Nanoseconds; in the request a text with a unit, such as ``30m``."""


class ResendCommand(Envelope):
    """Events to be published again, by their ``seq``; both ends are included."""

    schema_: Literal["cytowatch.resend_command.v1"] = Field(
        "cytowatch.resend_command.v1", alias="schema"
    )
    gateway: Id
    first: Annotated[int, Field(ge=1)]
    last: Annotated[int, Field(ge=1)]


Act = Literal["acknowledge", "reset", "shelve", "unshelve"]
_ALARM_ACTS: Mapping[str, Act] = {
    "ack": "acknowledge",
    "acknowledge": "acknowledge",
    "reset": "reset",
    "unshelve": "unshelve",
    "shelve": "shelve",
}


@dataclass(frozen=True, slots=True)
class AlarmAsked:
    """A request about an alarm, well formed."""

    act: Act
    body: AlarmCommand

    @property
    def duration(self) -> int | None:
        """Of a shelf (ns)."""
        return self.body.duration if isinstance(self.body, ShelveCommand) else None


@dataclass(frozen=True, slots=True)
class ResendAsked:
    """A request for events, well formed."""

    body: ResendCommand


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is not done: with what could be made out of it for the answer."""

    word: str
    text: str
    request_id: str = ""
    alarm: str = ""


Asked = AlarmAsked | ResendAsked


class Submit(Protocol):
    """Where requests go that are in order, and refusals that go on the record."""

    @property
    def gateway(self) -> str:
        """The name of this gateway."""

    def owns(self, alarm: str) -> bool:
        """Whether it is this gateway that answers for an alarm of that name."""

    async def answered(self, request_id: str) -> ActReply | None:
        """Return what a request of this id was answered before."""

    async def act(self, request: ActRequest) -> ActReply:
        """Do what is asked, or refuse; returns after the commit. See ``base.Desk.act``."""

    async def resending(self, first: int, last: int, actor: Actor, reason: str) -> None:
        """Put on the record that this range of ``seq`` is published again; after the commit."""

    async def refuse(self, subject: str, body: Mapping[str, object]) -> None:
        """Put a refusal on the record; returns after the commit."""


def read(act: str, payload: bytes, *, retained: bool) -> Asked | Refused:
    """Make a request out of what came in."""
    if retained:
        return Refused("retained", "a retained request is not taken: publish it without retain")
    if act not in _ALARM_ACTS and act != "resend":
        return Refused("unknown_act", f"no such act; there are {_KNOWN}")
    if len(payload) > LARGEST:
        return Refused("too_large", f"a request has at most {LARGEST} bytes")
    if _depth(payload) > DEEPEST:
        return Refused("too_deep", f"a request has at most {DEEPEST} levels")
    try:
        return _asked(act, payload)
    except ValidationError as error:
        return _invalid(payload, error)


_KNOWN = "ack, reset, shelve, unshelve and resend"


def _asked(act: str, payload: bytes) -> Asked:
    if act == "resend":
        return ResendAsked(ResendCommand.model_validate_json(payload))
    model = ShelveCommand if act == "shelve" else AlarmCommand
    return AlarmAsked(_ALARM_ACTS[act], model.model_validate_json(payload))


def _depth(payload: bytes) -> int:
    """The most brackets that are ever open at once, those in strings included."""
    depth = deepest = 0
    for byte in payload:
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _invalid(payload: bytes, error: ValidationError) -> Refused:
    """What is wrong first; with the request's id and alarm where these at least can be read."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    text = f"{where}: {first['msg']}" if where else str(first["msg"])
    return Refused("invalid", text, _text_at(payload, "request_id"), _text_at(payload, "alarm"))


def _text_at(payload: bytes, key: str) -> str:
    try:
        body = json.loads(payload)
    except ValueError:
        return ""
    found = body.get(key) if isinstance(body, dict) else None
    return found[:200] if isinstance(found, str) else ""


def check(body: Envelope, now: int) -> tuple[str, str] | None:
    """Return why (a word, a sentence) the request cannot be taken at ``now`` (ns, UTC)."""
    expiry = _nanoseconds(body.expiry)
    if expiry <= now:
        return "expired", f"the request was valid until {body.expiry}"
    if expiry > now + FURTHEST:
        return "expiry_too_far", f"expiry is at most {FURTHEST // 60_000_000_000} minutes ahead"
    if not body.reason.strip():
        return "reason_required", "say why, in reason"
    if isinstance(body, ResendCommand) and not 0 <= body.last - body.first < MOST_RESENT:
        return "invalid", f"first to last: from 1 to {MOST_RESENT} events"
    return None


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
    """By user and nonce: the request that used it, and until when (ns, UTC) it is remembered."""

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
        if refusal := check(body, now) or self._used_up(user, body, now):
            return await self._refuse(user, act, _about(asked, *refusal))
        actor = Actor(user=user, role=body.role, via="mqtt")
        match asked:
            case AlarmAsked():
                reply = await self.submit.act(_request(asked, actor))
            case ResendAsked(resend):
                return await self._resend(resend, actor)
            case _:
                assert_never(asked)
        return _json(reply.model_copy(update={"request_id": body.request_id}))

    def _ours(self, asked: Asked) -> bool:
        match asked:
            case AlarmAsked():
                return self.submit.owns(asked.body.alarm)
            case ResendAsked():
                return asked.body.gateway == self.submit.gateway
            case _:
                assert_never(asked)

    async def _resend(self, body: ResendCommand, actor: Actor) -> Resend:
        def reply(count: int) -> bytes:
            text = f"{count} events are published again"
            done = ActReply(
                request_id=body.request_id, result="done", word="done", text=text, alarm=""
            )
            return _json(done).encode()

        await self.submit.resending(body.first, body.last, actor, body.reason)
        return Resend(body.first, body.last, reply)

    def _used_up(self, user: str, body: Envelope, now: int) -> tuple[str, str] | None:
        """Use up the request's nonce; return why not, where another request did that before."""
        self._forget_nonces(now)
        request_id, _ = self._nonces.setdefault(
            (user, body.nonce), (body.request_id, _nanoseconds(body.expiry))
        )
        if request_id == body.request_id:
            return None
        return "replayed", "this nonce was used by another request"

    def _forget_nonces(self, now: int) -> None:
        if len(self._nonces) < MOST_NONCES:
            return
        kept = {key: used for key, used in self._nonces.items() if used[1] > now}
        # Should they all be valid still, the older half goes: memory is bounded, and a request
        # stays bound to the occurrence and version that it names.
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
        await self.submit.refuse(refused.alarm or user[:64], body)
        return _json(_reply(refused))


def _request(asked: AlarmAsked, actor: Actor) -> ActRequest:
    return ActRequest(
        act=asked.act,
        alarm=asked.body.alarm,
        actor=actor,
        reason=asked.body.reason,
        duration=asked.duration,
        occurrence=asked.body.occurrence,
        version=asked.body.version,
        request_id=_own_id(actor.user, asked.body),
    )


def _own_id(user: str, body: Envelope) -> str:
    """One person's id is not another's: nobody is answered what somebody else asked."""
    return f"mqtt/{user}/{body.request_id}"


def _about(asked: Asked, word: str, text: str) -> Refused:
    alarm = asked.body.alarm if isinstance(asked, AlarmAsked) else ""
    return Refused(word, text, asked.body.request_id, alarm)


def _reply(refused: Refused) -> ActReply:
    return ActReply(
        request_id=refused.request_id,
        result="refused",
        word=refused.word,
        text=refused.text,
        alarm=refused.alarm,
    )


def _json(reply: ActReply) -> str:
    return reply.model_dump_json(by_alias=True)


def _nanoseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 10**9)
