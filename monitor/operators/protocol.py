"""What is said on the local socket: a request, then answers, then an end; a line of JSON each.

Each connection carries one request. Alarms are told as ``AlarmMessage`` and acts are answered by
``ActReply``, as everywhere; what only the local socket says has its models here.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from config.model import Id
from config.rules import EquipmentState, Priority
from monitor.alarms.facts import State
from monitor.excursions.record import ExcursionRecord
from monitor.messages import AlarmAct, AlarmEventMessage, EquipmentAct, Message

Names = tuple[str, ...]
Patterns = Annotated[tuple[str, ...], Field(max_length=100)]
"""See ``operators.patterns``."""
Grade = Literal["good", "uncertain", "bad"]


class StatusRequest(Message):
    """How the gateway is."""

    request: Literal["status"] = "status"


class AlarmsRequest(Message):
    """What is not normal now; with ``names`` or ``fit`` just these of them."""

    request: Literal["alarms"] = "alarms"
    names: Names = ()
    fit: Patterns = ()
    """One that fits no alarm that can be is declined."""
    equipment: Names = ()


class NamesRequest(Message):
    """The names of the alarms that can be and fit one of the patterns ``fit``."""

    request: Literal["names"] = "names"
    fit: Patterns


class UsageRequest(Message):
    """How equipment is used; with ``fit`` just what fits one of these patterns."""

    request: Literal["usage"] = "usage"
    fit: Patterns = ()


class ValuesRequest(Message):
    """What channels say now."""

    request: Literal["values"] = "values"
    of: Names = ()
    """``equipment`` or ``equipment/channel``; empty: all."""
    follow: bool = False
    """Goes on with what is new, until the client closes."""


class TailRequest(Message):
    """Events as they are committed, and some that were."""

    request: Literal["tail"] = "tail"
    last: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Begin with so many earlier events that pass the filters."""
    since: int | None = None
    """Begin with what was recorded from this time on (ns, UTC)."""
    after: int | None = None
    """Begin with what follows the event of this number in ``store_id``: to go on after a break."""
    store_id: str = ""
    follow: bool = True
    equipment: Names = ()
    states: tuple[State, ...] = ()
    priority: Priority | None = None
    """This one and worse; acts and the like have none and are left out."""
    acts: bool = False
    """Also the acts and refusals themselves, beside the transitions that they led to."""


class _Asking(Message):
    """Who asks is read off the socket."""

    claimed: Annotated[str, Field(max_length=200)] = ""
    role: Annotated[str, Field(max_length=64)] = ""
    """As what one acts; empty: as whichever of one's roles may do it."""
    reason: Annotated[str, Field(max_length=1000)] = ""
    duration: Annotated[int, Field(gt=0)] | None = None
    """Nanoseconds."""
    request_id: Annotated[str, Field(min_length=1, max_length=64)]


class Ask(_Asking):
    """An operator's act on an alarm, as the command line asks for it."""

    request: Literal["act"] = "act"
    act: AlarmAct
    alarm: Annotated[str, Field(max_length=200)]
    one_shot: bool = False
    excursion: Annotated[str, Field(max_length=300)] = ""
    """For ``comment``: which of the alarm's it is about."""
    occurrence: Annotated[str, Field(max_length=300)] | None = None
    version: int | None = None


class AskUse(_Asking):
    """An operator's act on an equipment, as the command line asks for it."""

    request: Literal["use"] = "use"
    act: EquipmentAct
    equipment: Annotated[str, Field(max_length=64)]
    state: EquipmentState | None = None
    """For ``set_state``; None: as its channels tell."""
    seen: EquipmentState | None = None
    batch: Annotated[str, Field(max_length=64)] = ""
    position: Annotated[str, Field(max_length=64)] = ""


class AskTest(_Asking):
    """The rehearsal of an alarm. Told step by step; who hangs up ends it.

    ``duration`` is for how long, beside the delays of the rule, it may go on.
    """

    request: Literal["alarm-test"] = "alarm-test"
    alarm: str
    by_hand: bool = False


class DeadLettersRequest(Message):
    """The lines that a database refused for good."""

    request: Literal["dead-letters"] = "dead-letters"
    sink: Annotated[str, Field(max_length=64)] = ""
    """Only of this database."""


class AskLetter(Message):
    """What is to be done about one of them; who asks is read off the socket."""

    request: Literal["dead-letter"] = "dead-letter"
    act: Literal["replay", "drop"]
    id: int
    line: Annotated[str, Field(max_length=60_000)] | None = None
    """For ``replay``: the mended line; None: as it is."""
    claimed: Annotated[str, Field(max_length=200)] = ""
    role: Annotated[str, Field(max_length=64)] = ""
    reason: Annotated[str, Field(max_length=1000)] = ""


class StoreStatusRequest(Message):
    """How the store is."""

    request: Literal["store-status"] = "store-status"


class BackupRequest(Message):
    """A consistent copy of the store, made while it is in use, in its folder ``backups``."""

    request: Literal["backup"] = "backup"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """A file name and not a path: who may ask is not who owns the disk."""


class ArchiveRequest(Message):
    """All that was recorded in a span, to be kept for good: times, or else numbers of events."""

    request: Literal["archive"] = "archive"
    start: int | None = None
    end: int | None = None
    """Nanoseconds, UTC; the end is not included."""
    first: Annotated[int, Field(ge=1)] | None = None
    last: Annotated[int, Field(ge=1)] | None = None
    """Included."""


class ExcursionsRequest(Message):
    """Excursions on the record, oldest first, then those that go on."""

    request: Literal["excursions"] = "excursions"
    since: int | None = None
    """Those that went on at or after this time (ns, UTC)."""
    until: int | None = None
    """Those that had begun before."""
    equipment: Id | None = None
    batch: Annotated[str, Field(max_length=64)] = ""
    excursion: Annotated[str, Field(max_length=400)] = ""
    """Its id, or the end of it from a slash on."""
    only_open: bool = False


class ExportRequest(Message):
    """What was recorded in a span of time, oldest first."""

    request: Literal["export"] = "export"
    what: Literal["readings", "events"]
    start: int
    end: int
    """Nanoseconds, UTC; the end is not included."""
    equipment: Id | None = None
    channels: Names = ()
    """Of readings: only these; none named: all."""


Request = Annotated[
    StatusRequest
    | AlarmsRequest
    | NamesRequest
    | UsageRequest
    | ValuesRequest
    | TailRequest
    | Ask
    | AskUse
    | AskTest
    | DeadLettersRequest
    | AskLetter
    | StoreStatusRequest
    | BackupRequest
    | ArchiveRequest
    | ExcursionsRequest
    | ExportRequest,
    Field(discriminator="request"),
]
REQUEST: TypeAdapter[Request] = TypeAdapter(Request)


class End(Message):
    """The last line of every answer."""

    schema_: Literal["cytowatch.end.v1"] = Field("cytowatch.end.v1", alias="schema")
    result: Literal["done", "failed"]
    word: str
    """``done``, or what went wrong: invalid, too_large, too_many, too_slow, unknown_name, …"""
    text: str = ""


class NameMessage(Message):
    """The name of an alarm that can be."""

    schema_: Literal["cytowatch.name.v1"] = Field("cytowatch.name.v1", alias="schema")
    alarm: str


class LoadedMessage(Message):
    """A batch at a place."""

    batch: str
    """Opaque."""
    position: str
    """Empty where none was said."""
    since: str


class UsageMessage(Message):
    """How one equipment is used just now."""

    schema_: Literal["cytowatch.usage.v1"] = Field("cytowatch.usage.v1", alias="schema")
    equipment: str
    kind: str
    area: str
    state: EquipmentState
    since: str | None
    """None: it was never in another."""
    cause: str
    """Who says so: ``act``, ``channel``, ``default``, or ``unknown`` where a channel should."""
    told: str
    """Where a channel tells it: which, and what it says."""
    user: str
    """Where an act says it: whose, and why."""
    reason: str
    until: str | None
    """When that act's word ends; None: with the next one."""
    suppressing_until: str | None
    """When its alarms are told again, whatever the state is then; None: it suppresses nothing."""
    suppressed: tuple[str, ...] = ()
    """Which of its alarms its state or phase suppresses just now, also those that are normal."""
    phase: str
    batches: tuple[LoadedMessage, ...]


class ValueMessage(Message):
    """What one channel says now."""

    schema_: Literal["cytowatch.value.v1"] = Field("cytowatch.value.v1", alias="schema")
    equipment: str
    channel: str
    source: str
    value: float | int | bool | str | None
    unit: str
    quality: Grade
    reason: str
    """Empty when good."""
    time: str | None
    """Of the scan; none before the first."""
    age: float | None
    """Seconds since then, by elapsed time."""
    source_time: str | None


class EventMessage(Message):
    """Anything recorded: the event as it stands in the store."""

    schema_: Literal["cytowatch.event.v1"] = Field("cytowatch.event.v1", alias="schema")
    store_id: str
    number: int
    seq: int | None
    kind: str
    time: str
    subject: str
    body: dict[str, JsonValue]
    """For the kind ``alarm`` an ``AlarmEventMessage``."""


class ReadingMessage(Message):
    """One reading as it was recorded."""

    schema_: Literal["cytowatch.reading.v1"] = Field("cytowatch.reading.v1", alias="schema")
    time: str
    site: str
    area: str
    equipment: str
    kind: str
    source: str
    gateway: str
    channel: str
    value: float | int | bool | str | None
    quality: Grade
    reason: str
    """Empty when good."""
    source_time: str | None
    scan: int
    origin: str
    state: str = ""
    """Of the equipment; empty where an earlier release recorded it."""


class LineStatus(Message):
    """One line: held or not."""

    name: str
    state: Literal["starting", "up", "down"]
    since: str | None
    text: str = ""
    """Why it is down."""


class ReceiptStatus(Message):
    """How far one consumer is with what it says that it has made durable."""

    consumer: str
    seq: int
    """It has everything up to this one."""
    behind: int
    """Alarm events committed since, which it has not said that it has."""
    oldest: str | None
    """When the first of them happened."""


class SinkStatus(Message):
    """One sink: what it has delivered and what waits."""

    name: str
    state: Literal["starting", "up", "down"]
    since: str | None
    text: str = ""
    telemetry_behind: int = 0
    """Blobs (a tick's readings of a group of equipment) committed and not yet delivered."""
    telemetry_behind_bytes: int = 0
    """Of those, compressed."""
    events_behind: int = 0
    receipts: tuple[ReceiptStatus, ...] = ()
    """Of the consumers that the site asks for them."""
    warnings: tuple[str, ...] = ()
    """What is not as it should be though it is up."""


class GridStatus(Message):
    """How well the grid points are kept, since the start."""

    visits: int
    skipped: int
    """Grid points that were not kept."""
    deviation_ms_p50: float
    deviation_ms_p99: float
    deviation_ms_worst: float


class StoreStatusMessage(Message):
    """The store in figures."""

    schema_: Literal["cytowatch.store_status.v1"] = Field(
        "cytowatch.store_status.v1", alias="schema"
    )
    path: str
    store_id: str
    last_scan: int
    last_event: int
    last_seq: int
    chain_head: str
    figures: dict[str, JsonValue]
    """The rest, as the store names it: bytes, quota, dead letters, …"""


class StatusMessage(Message):
    """How the gateway is, whole."""

    schema_: Literal["cytowatch.gateway_status.v1"] = Field(
        "cytowatch.gateway_status.v1", alias="schema"
    )
    site: str
    gateway: str
    version: str
    pid: int
    started: str
    time: str
    config: str
    """First eight characters of the configuration's hash."""
    clock_synchronised: bool | None
    """None: nobody knows."""
    last_scan: int
    """Number of the last committed scan."""
    last_seq: int
    equipment: int
    channels: int
    alarms_standing: int
    alarms_unacknowledged: int
    lines: tuple[LineStatus, ...]
    sinks: tuple[SinkStatus, ...]
    grid: GridStatus
    store: StoreStatusMessage


class DeadLetterMessage(Message):
    """A line that a database refused for good."""

    schema_: Literal["cytowatch.dead_letter.v1"] = Field("cytowatch.dead_letter.v1", alias="schema")
    id: int
    sink: str
    line: str
    """Line protocol with a time in milliseconds; a comment (``#``) stands for many."""
    words: str
    """What the database said."""


class LetterReply(Message):
    """What became of a dead letter."""

    schema_: Literal["cytowatch.dead_letter_reply.v1"] = Field(
        "cytowatch.dead_letter_reply.v1", alias="schema"
    )
    id: int
    result: Literal["taken", "dropped", "refused", "away", "unknown"]
    """In the last three cases it is as it was."""
    text: str


class HealthMessage(Message):
    """Whether everything gets on, for who watches from outside: ``/health``."""

    schema_: Literal["cytowatch.health.v1"] = Field("cytowatch.health.v1", alias="schema")
    site: str
    gateway: str
    version: str
    well: bool
    reasons: tuple[str, ...]
    """What is stuck, as the watchdog says it; nothing when all is well."""
    lines_down: tuple[str, ...]
    """What is down is not stuck: it is tried again, and alarmed."""
    sinks_down: tuple[str, ...]


class BackupMessage(Message):
    """Where the copy lies."""

    schema_: Literal["cytowatch.backup.v1"] = Field("cytowatch.backup.v1", alias="schema")
    path: str
    bytes: int


class ArchivePlanMessage(Message):
    """What an archive will need, before its pieces."""

    schema_: Literal["cytowatch.archive_plan.v1"] = Field(
        "cytowatch.archive_plan.v1", alias="schema"
    )
    store: str
    """Path of what it is taken from."""
    bytes: int
    """About so many, rather more than too few."""


class ArchivePieceMessage(Message):
    """The next bytes of one of its members; in the end comes its manifest."""

    schema_: Literal["cytowatch.archive_piece.v1"] = Field(
        "cytowatch.archive_piece.v1", alias="schema"
    )
    member: str
    data: str
    """Base64 (RFC 4648, section 4)."""


class ReportFigure(Message):
    """One figure of alarm performance, against its target."""

    key: str
    words: str
    value: float | str | None
    """None where there was nothing to make it of."""
    unit: str
    target: str
    """What should be, and after a comma what can be managed; empty where there is none."""
    verdict: Literal["within", "manageable", "over", ""]


class ReportedAlarm(Message):
    """One of the most frequent alarms."""

    alarm: str
    times: int
    share: float
    """Of all alarms, in percent."""
    chattering: int
    """How often it was the third time or more within a minute."""
    fleeting: int
    """How often it returned by itself within a minute, and did not come again at once."""


class AlarmReportMessage(Message):
    """How the alarms of a gateway, or of one of its areas, performed over a span."""

    schema_: Literal["cytowatch.alarm_report.v1"] = Field(
        "cytowatch.alarm_report.v1", alias="schema"
    )
    site: str
    gateway: str
    area: str
    """Empty: the whole gateway, its own alarms too."""
    start: str
    """The record may be younger than what was asked for."""
    end: str
    days: float
    enough: bool
    """Whether it is the 30 days that the targets are meant for."""
    alarms: int
    """Annunciated."""
    figures: tuple[ReportFigure, ...]
    most_frequent: tuple[ReportedAlarm, ...]
    """The ten most frequent."""
    stale: tuple[str, ...]
    """What people saw as active for more than 24 hours."""


class ReplayedRule(Message):
    """What one rule would have told of recorded readings; durations are seconds."""

    alarm: str
    raised: int
    annunciated: int
    """How often people would have been told of it at once."""
    standing: float
    """Altogether."""
    shortest: float | None
    longest: float | None
    stands: bool
    """At the end."""
    brief: int
    """How often its condition held, but not for as long as its on-delay."""
    longest_brief: float
    excursions: int
    """Intervals beyond its limit, alarm or not, that of the end too; only limits have them."""
    outside: float
    """Beyond it, altogether."""
    longest_excursion: float


class ReplayedMessage(Message):
    """What one of two files, or both, would have told."""

    schema_: Literal["cytowatch.replayed.v1"] = Field("cytowatch.replayed.v1", alias="schema")
    by: Literal["=", "1", "2"]
    """Both, the first alone, the second alone."""
    told: AlarmEventMessage | ExcursionRecord


class ReplayMessage(Message):
    """What a site's file would have told of recorded readings."""

    schema_: Literal["cytowatch.replay.v1"] = Field("cytowatch.replay.v1", alias="schema")
    site: str
    gateway: str
    config: str
    """First eight characters of the file's hash."""
    start: str | None
    """Of the first and of the last scan; none where nothing was recorded."""
    end: str | None
    readings: int
    scans: int
    rules: tuple[ReplayedRule, ...]
    """Of which anything was seen, the most frequent first."""
    unknown: dict[str, int]
    """Readings left out by ``equipment/source/channel``: the file has no such channel."""
