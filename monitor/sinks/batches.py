"""What is sent to a database in one request, and what is to blame when it is refused. Pure."""

import gzip
import re
from collections.abc import Sequence
from typing import NamedTuple

from monitor.sinks.answers import PartlyWritten, Poison, TooLarge
from monitor.store.tick import Lane

Refused = TooLarge | Poison | PartlyWritten

MOST_NAMED = 100
"""Lines that v3 names at most, however many it refuses."""


class Batch(NamedTuple):
    """The body of one request, and what it stands for."""

    lane: Lane
    first: int
    """Event number or blob id."""
    upto: int
    lines: int
    body: bytes
    """Gzip members, each of whole lines."""
    at: int
    """Time (ns, UTC) of its oldest."""


def culprits(lines: Sequence[bytes], refused: Refused) -> Sequence[bytes] | None:
    """Return the lines that were refused, where that is known; None where it is to be found out."""
    if len(lines) == 1:
        return lines
    if not isinstance(refused, PartlyWritten) or not refused.named:
        return None
    told_all = refused.dropped in {None, 0, len(refused.named)} and len(refused.named) < MOST_NAMED
    return refused.named if told_all and set(refused.named) <= set(lines) else None


def compress(lines: Sequence[bytes]) -> bytes:
    """Return the lines as one gzip member; the same lines always give the same bytes."""
    return gzip.compress(b"".join(line + b"\n" for line in lines), 1, mtime=0)


def split(body: bytes) -> list[bytes]:
    """Return the lines of joined gzip members; no text in them holds a line break (``quoted``)."""
    return gzip.decompress(body).rstrip(b"\n").split(b"\n")


def summary(batch: Batch, lines: Sequence[bytes], dropped: int) -> bytes:
    """Return a comment of line protocol that stands for points too many to be sought."""
    return b"# %d of %d points dropped, of %b %d to %d; the first line was: %b" % (
        dropped,
        len(lines),
        batch.lane.encode(),
        batch.first,
        batch.upto,
        lines[0],
    )


_SUMMARY = re.compile(rb"# \d+ of \d+ points dropped, of (events|telemetry) (\d+) to (\d+);")


def summarised(line: bytes) -> tuple[Lane, int, int] | None:
    """Return where on the record those points are that a summary stands for; None for a line."""
    found = _SUMMARY.match(line)
    if found is None:
        return None
    lane: Lane = "events" if found[1] == b"events" else "telemetry"
    return lane, int(found[2]), int(found[3])
