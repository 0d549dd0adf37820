"""The two strands of the chain gone through, entry by entry, wherever they are read from. Pure.

Each entry is held against the one before as it stands, so one edit shows where it is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from monitor.store import chain
from monitor.store.events import Event


class Place(NamedTuple):
    """A strand's head after an entry."""

    number: int
    head: bytes


START = Place(0, chain.START)


class ToldBlob(NamedTuple):
    """An entry of the telemetry strand as it is read."""

    entry: chain.BlobEntry
    sha256: bytes
    """Of the readings that are there."""
    head: bytes


class ToldLink(NamedTuple):
    """An entry of the record strand as it is read."""

    entry: chain.LinkEntry
    events: Sequence[Event]
    last_event: int
    head: bytes


def blob_problems(before: Place, blobs: Iterable[ToldBlob]) -> Iterator[str]:
    """Say in a sentence each what is amiss with the readings that follow ``before``."""
    for entry, sha256, told in blobs:
        number = entry.number
        where = f"readings: blob {number} (scans {entry.first_scan} to {entry.last_scan})"
        if number != before.number + 1:
            yield f"readings: blobs {before.number + 1} to {number - 1} are missing"
        if sha256 != entry.sha256:
            yield f"{where}: the lines were changed"
        if number == before.number + 1 and chain.blob_head(before.head, entry) != told:
            yield f"{where}: it, or the one before, was changed or moved"
        before = Place(number, told)


def link_problems(
    before: Place,
    last_event: int,
    links: Iterable[ToldLink],
    telemetry: Callable[[int], bytes | None],
    first_blob: int,
) -> Iterator[str]:
    """Say what is amiss with the record that follows ``before`` and the event ``last_event``.

    ``telemetry`` gives the head of a blob, asked for in the order of links; what a link says of
    blobs before ``first_blob`` cannot be looked at.
    """
    for entry, events, last, told in links:
        if entry.number != before.number + 1:
            yield f"record: links {before.number + 1} to {entry.number - 1} are missing"
        if not _are_all(events, last_event, last):
            yield f"events {last_event + 1} to {last}: some are missing"
        elif entry.number == before.number + 1 and told != chain.link_head(
            before.head, entry, events
        ):
            yield f"events {last_event + 1} to {last} (link {entry.number}): changed or moved"
        if entry.last_blob >= first_blob:
            yield from _bound(entry, telemetry(entry.last_blob))
        before, last_event = Place(entry.number, told), last


def _are_all(events: Sequence[Event], after: int, last: int) -> bool:
    """Whether these are the events that follow ``after`` up to ``last``, which may be nonsense."""
    numbered = enumerate(events, after + 1)
    return len(events) == last - after and all(event.number == number for number, event in numbered)


def _bound(link: chain.LinkEntry, head: bytes | None) -> Iterator[str]:
    """What a link binds of the readings."""
    if head is None:
        yield f"readings: blob {link.last_blob}, which link {link.number} speaks of, is missing"
    elif head != link.telemetry:
        yield f"readings: up to blob {link.last_blob} not those that link {link.number} speaks of"
