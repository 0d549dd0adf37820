"""What a request over MQTT looks like, and what can be said of one by itself. Pure.

``read`` makes a request out of a payload, or says why not; it never raises, whatever comes in.
``check`` holds its envelope against the time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self, assert_never

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from config.model import Id, nanoseconds
from config.rules import EquipmentState
from monitor.messages import (
    MOST_RESENT,
    Actor,
    ActRequest,
    AlarmAct,
    EquipmentAct,
    EquipmentRequest,
    Message,
)

LARGEST = 4096
"""Bytes of a payload."""
DEEPEST = 4
"""Brackets inside brackets: a request needs one, and a parser should not meet thousands."""
FURTHEST = 10 * 60 * 10**9
"""A request may be valid for so long (ns): its nonce is remembered until then, and longer."""

FIRST_YEAR, LAST_YEAR = 2000, 2200

Words = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Label = Annotated[str, Field(max_length=64)]


def _time(text: str) -> str:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None or not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError("a time is written with its zone, as in 2026-01-31T12:00:00Z")
    return text


def _duration(text: object) -> int:
    if not isinstance(text, str):
        raise ValueError("a duration is a text with a unit: 30m, 8h")  # noqa: TRY004 - for pydantic
    return int(nanoseconds(text))


Span = Annotated[int, Field(gt=0), BeforeValidator(_duration, json_schema_input_type=str)]
"""Nanoseconds; in the request a text with a unit, such as ``30m``."""


class Envelope(Message):
    """What every request carries."""

    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    user: Id
    role: Label
    """What the user asks to be acting as; empty: as whichever of one's roles may do it."""
    reason: Words
    expiry: Annotated[str, Field(max_length=40), AfterValidator(_time)]
    """RFC 3339; at most ten minutes ahead."""
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/=_-]{16,64}$")]


class AlarmCommand(Envelope):
    """ack, confirm, reset, unshelve or in-service: bound to the alarm as it was seen."""

    schema_: Literal["cytowatch.alarm_command.v1"] = Field(
        "cytowatch.alarm_command.v1", alias="schema"
    )
    alarm: Name
    occurrence: Annotated[str, Field(max_length=300)]
    version: Annotated[int, Field(ge=0)]


class ShelveCommand(AlarmCommand):
    """As the others, with how long; a one-shot shelf may leave that out."""

    schema_: Literal["cytowatch.shelve_command.v1"] = Field(  # type: ignore[assignment]  # its own name on the wire
        "cytowatch.shelve_command.v1", alias="schema"
    )
    duration: Span | None = None
    one_shot: bool = False
    """It ends with the return of the condition too."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.duration is None and not self.one_shot:
            raise ValueError("say for how long, in duration, or that it is one_shot")
        return self


class OutOfServiceCommand(AlarmCommand):
    """As the others, with how long."""

    schema_: Literal["cytowatch.out_of_service_command.v1"] = Field(  # type: ignore[assignment]  # its own name on the wire
        "cytowatch.out_of_service_command.v1", alias="schema"
    )
    duration: Span


class CommentCommand(Envelope):
    """A comment, the ``reason``, on an alarm or on an equipment."""

    schema_: Literal["cytowatch.comment_command.v1"] = Field(
        "cytowatch.comment_command.v1", alias="schema"
    )
    alarm: Name | None = None
    occurrence: Annotated[str, Field(max_length=300)] | None = None
    """Which of the alarm's it is about; left out: the alarm as such."""
    excursion: Annotated[str, Field(max_length=300)] = ""
    """Which of the alarm's excursions it is about, by its id."""
    equipment: Id | None = None

    @model_validator(mode="after")
    def _is_about_one(self) -> Self:
        if (self.alarm is None) is (self.equipment is None):
            raise ValueError("say what it is about: either alarm or equipment")
        if self.excursion and self.alarm is None:
            raise ValueError("say of which alarm the excursion is")
        return self


class StateCommand(Envelope):
    """set-state: bound to the state that was seen."""

    schema_: Literal["cytowatch.state_command.v1"] = Field(
        "cytowatch.state_command.v1", alias="schema"
    )
    equipment: Id
    state: EquipmentState | None
    """None: as its channels tell."""
    seen: EquipmentState
    """The state that it was seen in: refused as stale when it is in another by now."""
    duration: Span | None = None


class BatchCommand(Envelope):
    """load or unload: a batch and where it is."""

    schema_: Literal["cytowatch.batch_command.v1"] = Field(
        "cytowatch.batch_command.v1", alias="schema"
    )
    equipment: Id
    batch: Annotated[str, Field(min_length=1, max_length=64)]
    """An opaque id."""
    position: Label = ""


class ResendCommand(Envelope):
    """Events to be published again, by their ``seq``; both ends are included."""

    schema_: Literal["cytowatch.resend_command.v1"] = Field(
        "cytowatch.resend_command.v1", alias="schema"
    )
    gateway: Id
    first: Annotated[int, Field(ge=1)]
    last: Annotated[int, Field(ge=1)]


_ALARM_ACTS: Mapping[str, tuple[AlarmAct, type[AlarmCommand]]] = {
    "ack": ("acknowledge", AlarmCommand),
    "acknowledge": ("acknowledge", AlarmCommand),
    "confirm": ("confirm", AlarmCommand),
    "reset": ("reset", AlarmCommand),
    "shelve": ("shelve", ShelveCommand),
    "unshelve": ("unshelve", AlarmCommand),
    "out-of-service": ("remove_from_service", OutOfServiceCommand),
    "in-service": ("return_to_service", AlarmCommand),
}
_EQUIPMENT_ACTS: Mapping[str, tuple[EquipmentAct, type[StateCommand | BatchCommand]]] = {
    "set-state": ("set_state", StateCommand),
    "load": ("load", BatchCommand),
    "unload": ("unload", BatchCommand),
}
ACTS = ("ack", *list(_ALARM_ACTS)[2:], *_EQUIPMENT_ACTS, "comment", "resend")
"""What a topic may end in; ``ack`` may be written out."""


@dataclass(frozen=True, slots=True)
class AlarmAsked:
    """A request about an alarm, well formed."""

    act: AlarmAct
    body: AlarmCommand | CommentCommand
    subject: str
    """The alarm."""


@dataclass(frozen=True, slots=True)
class EquipmentAsked:
    """A request about an equipment, well formed."""

    act: EquipmentAct
    body: StateCommand | BatchCommand | CommentCommand
    subject: str
    """The equipment."""


@dataclass(frozen=True, slots=True)
class ResendAsked:
    """A request for events, well formed."""

    body: ResendCommand
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is not done: with what could be made out of it for the answer."""

    word: str
    text: str
    request_id: str = ""
    subject: str = ""
    """The alarm or equipment that it is about."""


Asked = AlarmAsked | EquipmentAsked | ResendAsked


def read(act: str, payload: bytes, *, retained: bool) -> Asked | Refused:
    """Make a request out of what came in."""
    if retained:
        return Refused("retained", "a retained request is not taken: publish it without retain")
    if act not in ACTS and act not in _ALARM_ACTS:
        return Refused("unknown_act", f"no such act; there are {', '.join(ACTS)}")
    if len(payload) > LARGEST:
        return Refused("too_large", f"a request has at most {LARGEST} bytes")
    if _depth(payload) > DEEPEST:
        return Refused("too_deep", f"a request has at most {DEEPEST} levels")
    try:
        return _asked(act, payload)
    except ValidationError as error:
        return _invalid(payload, error)


def _asked(act: str, payload: bytes) -> Asked:
    if act == "resend":
        return ResendAsked(ResendCommand.model_validate_json(payload))
    if act == "comment":
        return _comment(CommentCommand.model_validate_json(payload))
    if act in _EQUIPMENT_ACTS:
        done, form = _EQUIPMENT_ACTS[act]
        used = form.model_validate_json(payload)
        return EquipmentAsked(done, used, used.equipment)
    doing, model = _ALARM_ACTS[act]
    body = model.model_validate_json(payload)
    return AlarmAsked(doing, body, body.alarm)


def _comment(body: CommentCommand) -> Asked:
    if body.alarm is not None:
        return AlarmAsked("comment", body, body.alarm)
    return EquipmentAsked("comment", body, body.equipment or "")


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
    """What is wrong first; with the request's id and subject where these at least can be read."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    text = f"{where}: {first['msg']}" if where else str(first["msg"])
    subject = _text_at(payload, "alarm") or _text_at(payload, "equipment")
    return Refused("invalid", text, _text_at(payload, "request_id"), subject)


def _text_at(payload: bytes, key: str) -> str:
    try:
        body = json.loads(payload)
    except ValueError:
        return ""
    found = body.get(key) if isinstance(body, dict) else None
    return found[:200] if isinstance(found, str) else ""


def check(body: Envelope, now: int) -> tuple[str, str] | None:
    """Return why (a word, a sentence) the request cannot be taken at ``now`` (ns, UTC).

    Whether an act needs a reason hangs on what it is about, and is not looked at here.
    """
    until = expiry(body)
    if until <= now:
        return "expired", f"the request was valid until {body.expiry}"
    if until > now + FURTHEST:
        return "expiry_too_far", f"expiry is at most {FURTHEST // 60_000_000_000} minutes ahead"
    return _check_resend(body) if isinstance(body, ResendCommand) else None


def _check_resend(body: ResendCommand) -> tuple[str, str] | None:
    if not body.reason.strip():
        return "reason_required", "say why, in reason"
    if not 0 <= body.last - body.first < MOST_RESENT:
        return "invalid", f"first to last: from 1 to {MOST_RESENT} events"
    return None


def expiry(body: Envelope) -> int:
    """Return until when a request may be done (ns, UTC)."""
    return round(datetime.fromisoformat(body.expiry).timestamp() * 10**9)


def alarm_request(asked: AlarmAsked, actor: Actor, request_id: str) -> ActRequest:
    """Return what the desk is asked for."""
    body = asked.body
    return ActRequest(
        act=asked.act,
        alarm=asked.subject,
        actor=actor,
        reason=body.reason,
        duration=body.duration if isinstance(body, ShelveCommand | OutOfServiceCommand) else None,
        one_shot=isinstance(body, ShelveCommand) and body.one_shot,
        occurrence=body.occurrence,
        version=body.version if isinstance(body, AlarmCommand) else None,
        excursion=body.excursion if isinstance(body, CommentCommand) else "",
        request_id=request_id,
    )


def equipment_request(asked: EquipmentAsked, actor: Actor, request_id: str) -> EquipmentRequest:
    """Return what the desk is asked for."""
    request = EquipmentRequest(
        act=asked.act,
        equipment=asked.subject,
        actor=actor,
        reason=asked.body.reason,
        request_id=request_id,
    )
    return request.model_copy(update=_of_equipment(asked.body))


def _of_equipment(body: StateCommand | BatchCommand | CommentCommand) -> Mapping[str, object]:
    match body:
        case StateCommand():
            return {"state": body.state, "seen": body.seen, "duration": body.duration}
        case BatchCommand():
            return {"batch": body.batch, "position": body.position}
        case CommentCommand():
            return {}
        case _:
            assert_never(body)
