"""Everything that leaves for MQTT, the terminal or a file, and every request that comes in.

The JSON Schemas in ``docs/schemas/`` are made from these models (``monitor.schemas``).
Names of alarm facts follow OPC UA Part 9; times are RFC 3339, UTC, milliseconds, with a Z.
An alarm event is stored as the JSON of its ``AlarmEventMessage``, so what is told, kept, exported
and resent is one and the same text.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from config import operators
from config.rules import EquipmentState
from monitor.alarms.facts import Change, State

VERSION = "cytowatch/v1"
MOST_RESENT = 10_000
"""Events published again for one request."""


def rfc3339(nanoseconds: int) -> str:
    """Return UTC ``nanoseconds`` as ``2026-01-31T12:00:00.123Z``."""
    seconds, rest = divmod(nanoseconds, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // 10**6:03d}Z"


class Message(BaseModel):
    """A frozen message; unknown keys in what comes in are refused, without quoting it in a log."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AlarmMessage(Message):
    """An alarm as it stands, whole: the retained state."""

    schema_: Literal["cytowatch.alarm.v1"] = Field("cytowatch.alarm.v1", alias="schema")
    site: str
    gateway: str
    area: str
    """Empty for an alarm of the gateway itself."""
    equipment: str
    """``gateway`` for an alarm of the gateway itself."""
    kind: str
    channel: str
    """``_`` for an alarm of the whole equipment."""
    rule: str
    alarm: str
    """``equipment/channel/rule``"""
    event_id: str
    """``{store_id}-{seq}`` of the event that made it so."""
    seq: int
    """Contiguous per gateway and ``store_id``."""
    store_id: str
    owner_epoch: int = 1
    version: int
    occurrence: str
    """``{store_id}/{alarm}/{n}``; empty before the first."""
    state: State
    active_state: bool
    acked_state: bool
    confirmed_state: bool = True
    latched_state: bool
    shelving_state: Literal["Unshelved", "TimedShelved", "OneShotShelved"]
    suppressed_state: bool
    out_of_service_state: bool = False
    suppressed_or_shelved: bool
    retain: bool
    """Whether it still is of interest: active, not acknowledged, latched or shelved."""
    annunciated: bool
    suppressed_by: str
    superseded_by: str
    shelved_until: str | None
    shelved_by: str = ""
    """Who shelved it, and why: for as long as the shelf lasts."""
    shelved_reason: str = ""
    out_of_service_until: str | None = None
    out_of_service_by: str = ""
    """Who removed it from service, and why: until it is back."""
    out_of_service_reason: str = ""
    re_alarms: int = 0
    """How often this occurrence has asked anew for an acknowledgement."""
    escalations: int = 0
    """How many steps it has escalated, since nobody has acknowledged it."""
    priority: str
    """What it has escalated to."""
    severity: int
    configured_priority: str = ""
    """What the file says; empty where an earlier release told it."""
    alarm_class: str = ""
    value: float | int | bool | str | None
    unit: str
    limit: float | None
    """What ``peak`` is compared with: a value, or of some rules a difference or a rate, which is
    negative where it lies below or goes down."""
    rule_kind: str = ""
    """What kind of rule: ``high``, ``deviation``, …; empty where an earlier release told it."""
    condition: str = ""
    """When it is raised and when it returns, in words."""
    reference: float | None = None
    """What the value was compared with: the set-point, or what a second probe said."""
    peak: float | None
    peak_time: str | None
    condition_start: str | None
    alarm_time: str | None
    time: str
    """Of the scan or act that decided."""
    response: str
    consequence: str = ""
    time_to_respond: float | None = None
    """Seconds."""
    equipment_state: str = ""
    """As in ``config.rules.EquipmentState``; empty for an alarm of the gateway itself."""
    phase: str = ""
    batches: tuple[str, ...] = ()
    """Ids of the batches that were in the equipment, opaque."""
    test: bool = False
    """A rehearsal: nothing of it is real."""
    config: str
    """First eight characters of the configuration's hash."""


class AlarmEventMessage(AlarmMessage):
    """One transition: the alarm after it, and what it was."""

    schema_: Literal["cytowatch.alarm_event.v1"] = Field(  # type: ignore[assignment]  # its own name on the wire
        "cytowatch.alarm_event.v1", alias="schema"
    )
    change: Change
    before: State
    after: State
    scan: int
    """Number of the scan that decided; 0 when an act or the passing of time did."""
    actor: str
    """Who acted; empty where nobody did."""
    claimed: str
    """The name that the actor gave by hand, beside the proven one."""
    role: str = ""
    """In which the actor did it."""
    via: str
    """``socket``, ``mqtt`` or empty."""
    comment: str
    clock_synchronised: bool | None = None
    """Whether the clock that all these times are by was kept in step; null where nobody says."""


class Actor(Message):
    """Who asks. ``user`` is proven (peer credentials, broker's access list); ``claimed`` is not."""

    user: str
    claimed: str = ""
    role: str = ""
    """What the user asks to be acting as; once it is done, the role in which it was allowed."""
    via: Literal["socket", "mqtt"]
    uid: int | None = None

    def told(self) -> dict[str, object]:
        """Return what the record says of who acted."""
        return {
            "user": self.user,
            "claimed": self.claimed,
            "role": self.role,
            "uid": self.uid,
            "via": self.via,
        }


AlarmAct = operators.AlarmAct
"""What can be done about an alarm; a comment changes nothing of it."""
EquipmentAct = operators.EquipmentAct
"""What can be done about an equipment."""
Act = operators.Act
"""Everything that a role may be allowed."""


class EquipmentRequest(Message):
    """What an operator says of an equipment: how it is used, and what is in it."""

    act: EquipmentAct
    equipment: str
    actor: Actor
    reason: str
    state: EquipmentState | None = None
    """For ``set_state``; None: as its channels tell."""
    seen: EquipmentState | None = None
    """For ``set_state``: refused as stale when it is in another by now; None: whatever it is."""
    duration: int | None = None
    """For ``set_state``: after this (ns) its channels tell again; None: until the next act."""
    batch: str = ""
    """For ``load`` and ``unload``: an opaque id, never a part of a topic nor a tag."""
    position: str = ""
    """For ``load`` and ``unload``: where in the equipment; left out of the latter: wherever."""
    request_id: str
    """A repeated one is answered as before and does nothing."""


class ActRequest(Message):
    """What an operator asks for, bound to the alarm as it was seen."""

    act: AlarmAct
    alarm: str
    actor: Actor
    reason: str
    duration: int | None = None
    """Nanoseconds; for ``shelve`` and ``remove_from_service``; a one-shot shelf may do without."""
    one_shot: bool = False
    """For ``shelve``: it ends with the return of the condition too."""
    occurrence: str | None = None
    """Refused as stale when the alarm is at another one; None: whatever stands now."""
    version: int | None = None
    excursion: str = ""
    """For ``comment``: the excursion of this alarm that it is about, by its id."""
    request_id: str
    """A repeated one is answered as before and does nothing."""


class ActReply(Message):
    """The answer to a request, after its effect is committed."""

    schema_: Literal["cytowatch.reply.v1"] = Field("cytowatch.reply.v1", alias="schema")
    request_id: str
    result: Literal["done", "refused"]
    word: str
    """``done``, or why not: unknown_alarm, stale, illegal_transition, reason_required, …"""
    text: str
    alarm: str
    """The alarm, or the equipment, that it was about."""
    state: State | None = None
    event_id: str | None = None


class StatusMessage(Message):
    """Whether the gateway is connected: retained, and the broker's last word for it (the will)."""

    schema_: Literal["cytowatch.status.v1"] = Field("cytowatch.status.v1", alias="schema")
    site: str
    gateway: str
    owner_epoch: int = 1
    online: bool
    store_id: str
    sequence: int
    """Counts the heartbeats of one connection from 1; 0 in the will."""
    time: str | None
    """When it was said; None in the will, which the broker says at its own time."""


class DigestMessage(Message):
    """What a consumer must have heard by now, so that it notices a hole and asks for a resend."""

    schema_: Literal["cytowatch.digest.v1"] = Field("cytowatch.digest.v1", alias="schema")
    site: str
    gateway: str
    owner_epoch: int = 1
    store_id: str
    sequence: int
    """That of the heartbeat it goes out with."""
    time: str
    last_seq: int
    """Of the newest alarm event: all up to it were published before this digest."""
    last_event: int
    """Number of the newest event of any kind on the record."""
    last_scan: int
    """Number of the newest committed scan."""
    last_time: str | None
    """Record time of what was committed last; None while the record is empty."""
    head: str
    """The head of the record's hash chain (SHA-256, hex)."""
    active: tuple[tuple[str, State, int, str], ...]
    """Every alarm that is not normal: name, state, version, event_id."""


class ReceiptMessage(Message):
    """A consumer has made durable what it was told, all of it up to ``seq``."""

    schema_: Literal["cytowatch.receipt.v1"] = Field("cytowatch.receipt.v1", alias="schema")
    gateway: str
    store_id: str
    seq: int = Field(ge=0)
    """0: it has none of them yet."""


class Resend(NamedTuple):
    """A checked request to publish a range of alarm events once more."""

    first: int
    last: int
    """``seq`` of the last event wanted, inclusive."""
    reply: Callable[[int], bytes]
    """Makes the answer from the number of events that were published again."""


OnCommand = Callable[[str, str, bytes, bool], Awaitable[bytes | Resend | None]]
"""Takes a request from the broker: user, act, payload, and whether it was retained.

Returns the answer's JSON, a checked ``Resend``, or None where this gateway has to stay silent.
"""
