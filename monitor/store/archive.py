"""What an archive of the record is made of: an open format that needs no cytowatch. Pure.

One ZIP file. ``README.txt`` says how to read and check it, with common tools and with a small
program that stands in it. Texts are JSON, one object a line; readings are line protocol in gzip
members as the store keeps them, many joined to a file. ``manifest.json`` comes last and has the
SHA-256 of every other member. Both strands of the chain can be computed anew from what is there.
"""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from monitor.messages import Message, rfc3339
from monitor.store.chain import BlobEntry, LinkEntry
from monitor.store.events import Event

MANIFEST = "manifest.json"
README = "README.txt"
LINKS = "links.jsonl"
EVENTS = "events.jsonl"
SPOILT = "spoilt.jsonl"
LONGEST_TAGS = 2**16
"""Bytes; ids are at most 63 long."""
README_TEXT = Path(__file__).with_suffix(".txt")
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=0, lt=2**63)]


class Range(Message):
    """Entries by their numbers, both ends included; none where the last is the one before."""

    first: Number
    last: Number

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


class Member(Message):
    """One file in the archive."""

    name: str
    bytes: Number
    sha256: Hex


class Manifest(Message):
    """What an archive says of itself: ``manifest.json``."""

    schema_: Literal["cytowatch.archive.v1"] = Field("cytowatch.archive.v1", alias="schema")
    site: str
    """As its newest readings say; without any, as the daemon that made it did. Empty, as is the
    gateway, where it was made of a file in which nothing says them."""
    gateway: str
    store_id: str
    release: str
    """Of the cytowatch that made it."""
    made: str
    made_by: str
    """The login of whoever asked a daemon for it, which has that on its record; empty where it was
    made of a file."""
    asked_from: str
    """What was asked for: times, or numbers of events; empty where nothing was said."""
    asked_to: str
    links: Range
    """Of the record strand."""
    events: Range
    readings: Range
    """Blobs of the telemetry strand."""
    before: str
    """The chain's head before the first of them, and after the last."""
    after: str
    spoilt: Number
    """Entries that were not as they had been written when the archive was made."""
    members: tuple[Member, ...] = ()
    """Every one but the manifest."""


class Wanted(NamedTuple):
    """Which part of the record; what is None is not said, and all None is everything."""

    start: int | None = None
    """Committed at or after this time (ns, UTC), and before ``end``."""
    end: int | None = None
    first: int | None = None
    """Numbers of events, with all that was committed together with them; in place of times."""
    last: int | None = None


class Plan(NamedTuple):
    """What will be there, before it is read."""

    bytes: int
    """About so many, rather more than too few."""
    store: Path
    """What it is taken from: on the same disk, an archive must not take what the daemon needs."""


class Piece(NamedTuple):
    """The next bytes of a member; all of one member come together."""

    member: str
    data: bytes


class Taken(NamedTuple):
    """What was read, once all of it was."""

    store_id: str
    links: Range
    events: Range
    readings: Range
    before: str
    after: str
    spoilt: int
    place: tuple[str, str]
    """Site and gateway by the newest readings; empty where there are none that say them."""


class _Timed(Message):
    """A line with its time, once for programs and once for people."""

    at: int
    time: str

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        """The chain binds only the first."""
        if self.time != time_of(self.at):
            raise ValueError("the two times differ")
        return self


class LinkLine(_Timed):
    """A line of ``links.jsonl``."""

    link: Number
    last_blob: Number
    telemetry: Hex
    config: str | None
    last_event: Number
    head: Hex

    def entry(self) -> LinkEntry:
        """Return what the chain binds."""
        telemetry = bytes.fromhex(self.telemetry)
        return LinkEntry(self.link, self.at, self.last_blob, telemetry, self.config)


class EventLine(_Timed):
    """A line of ``events.jsonl``; the body is the JSON text that the chain binds."""

    number: Number
    seq: int | None
    kind: str
    boot: int
    subject: str
    body: str
    ms: int

    def entry(self) -> Event:
        """Return what the chain binds."""
        return Event(*(getattr(self, name) for name in Event._fields))


class BlobLine(Message):
    """A line beside the readings: one gzip member of the file ``telemetry/….lp.gz``, in order."""

    blob: Number
    equipment: str
    first_scan: int
    last_scan: int
    first_at: int
    last_at: int
    lines: int
    sha256: Hex
    bytes: Number
    spoilt: bool = False
    """Its bytes are in a file of their own then, so that all others can be unpacked."""
    head: Hex

    def entry(self) -> BlobEntry:
        """Return what the chain binds."""
        span = (self.first_scan, self.last_scan, self.first_at, self.last_at)
        sha256 = bytes.fromhex(self.sha256)
        return BlobEntry(self.blob, self.equipment, *span, self.lines, sha256)


def readings_file(number: int) -> str:
    """Return the name of a file of readings, from 1 on."""
    return f"telemetry/{number:06}.lp.gz"


def index_file(readings: str) -> str:
    """Return the name of what stands beside a file of readings: which gzip member is what."""
    return readings.removesuffix(".lp.gz") + ".jsonl"


def spoilt_file(blob: int) -> str:
    """Return where the bytes of a blob are that are not as they were written."""
    return f"spoilt/{blob}.bin"


def configuration_file(digest: str) -> str:
    """Return the name of a configuration's text."""
    return f"configurations/{digest}.yaml"


def digest_in(name: str) -> str:
    """Return the SHA-256 by which a configuration's file is named; empty where it is none."""
    prefix, suffix = configuration_file("|").split("|")
    return name.removeprefix(prefix).removesuffix(suffix) if name.startswith(prefix) else ""


def line_of(told: dict[str, object]) -> bytes:
    """Return one line of a member; what a bad disk made of a text or number is shown as it is."""
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), default=_odd)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def time_of(at: object) -> str:
    """Return a time (ns, UTC) for people; nothing where it is none."""
    try:
        return rfc3339(at) if isinstance(at, int) else ""
    except (ValueError, OverflowError, OSError):
        return ""


def place_of(body: bytes) -> tuple[str, str]:
    """Return site and gateway by the tags of a gzip member's first line; empty where unreadable.

    Its beginning is enough.
    """
    try:
        begins = zlib.decompressobj(wbits=31).decompress(body, LONGEST_TAGS)
        head = begins.split(b" ", 1)[0].decode()
    except (zlib.error, ValueError):
        return "", ""
    tags = dict(pair.partition("=")[::2] for pair in head.split(","))
    return tags.get("site", ""), tags.get("gateway", "")


def joined(lines: Sequence[dict[str, object]]) -> bytes:
    """Return lines of a member."""
    return b"".join(line_of(told) for told in lines)


def _odd(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
