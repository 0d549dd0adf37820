"""The hash chain: what each entry binds, so that edits, deletions and reorderings show.

The chain has two strands, because readings leave with age and events never do. The telemetry
strand has one entry per blob, the record strand one link per transaction that holds events or a
configuration; each link binds the head of the telemetry strand as well. An entry's head is the
SHA-256 of the head before it and of its content as compact JSON, so that anybody can check it
with a dozen lines of their own. The head of the whole is both heads, with their entries' numbers.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from monitor.store.events import Event

_WHOLE = re.compile(r"(\d{1,18})\.([0-9a-f]{64}):(\d{1,18})\.([0-9a-f]{64})")
START = bytes(32)
"""The head before the first entry."""


class BlobEntry(NamedTuple):
    """What the telemetry strand binds of one blob."""

    number: int
    names: str
    """The JSON list of the equipment in its group."""
    first_scan: int
    last_scan: int
    first_at: int
    last_at: int
    lines: int
    sha256: bytes
    """Of its body."""


class LinkEntry(NamedTuple):
    """What the record strand binds of one transaction, beside its events."""

    number: int
    at: int
    last_blob: int
    """The newest blob there was when it was written."""
    telemetry: bytes
    """The telemetry strand's head there."""
    config: str | None
    """SHA-256 of the configuration's text, where one was recorded."""


def blob_head(before: bytes, blob: BlobEntry) -> bytes:
    """Return the telemetry strand's head after a blob."""
    return _after(before, [*blob[:-1], blob.sha256.hex()])


def link_head(before: bytes, link: LinkEntry, events: Sequence[Event]) -> bytes:
    """Return the record strand's head after a link."""
    told = [list(event) for event in events]
    return _after(
        before,
        [link.number, link.at, link.last_blob, link.telemetry.hex(), link.config, told],
    )


def whole(link: int, record: bytes, blob: int, telemetry: bytes) -> str:
    """Return the head of the whole, as it is published; it says which entries it is of."""
    return f"{link}.{record.hex()}:{blob}.{telemetry.hex()}"


def read_whole(head: str) -> tuple[int, bytes, int, bytes]:
    """Read what ``whole`` wrote; raises ValueError."""
    found = _WHOLE.fullmatch(head)
    if not found:
        raise ValueError(
            f"{head!r} is no head of a record: it reads 12.<64 digits>:345.<64 digits>"
        )
    link, record, blob, telemetry = found.groups()
    return int(link), bytes.fromhex(record), int(blob), bytes.fromhex(telemetry)


def _after(before: bytes, content: Sequence[object]) -> bytes:
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(before + text.encode("ascii")).digest()
