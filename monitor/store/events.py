"""What stands on the record beside the readings: one thing that happened, who, what and when."""

import json
import zlib
from typing import NamedTuple


class Event(NamedTuple):
    """Anything recorded: transitions, acts, refusals, starts, steps of the clock."""

    number: int
    """Contiguous over all events of a store, from 1."""
    seq: int | None
    """Contiguous over the alarm transitions of a store, from 1; None for every other kind."""
    kind: str
    """One of: alarm, excursion, act, refusal, equipment_state, occupancy, start, stop, unmonitored,
    config, clock_step, outage, store, loss, notified; and spoilt in place of what cannot be read
    any more."""
    at: int
    """Record time (ns, UTC)."""
    boot: int
    """The same instant by CLOCK_BOOTTIME (ns)."""
    subject: str
    """What it is about: the name of an alarm, an equipment, a line; may be empty."""
    body: str
    """A JSON object."""
    ms: int = 0
    """The time (ms, UTC) under which it is delivered to InfluxDB.

    Given by the store as the event is committed: the time of the event, moved by milliseconds to
    one that no other event of the store has, so that none overwrites another and a retry is the
    same point. 0 until then.
    """


def checksum_of_fact(name: str, snapshot: str) -> int:
    """Return the CRC-32 by which a fact is known; hundreds of them may be in a tick."""
    return zlib.crc32(snapshot.encode(), zlib.crc32(name.encode()))


def checksum(*content: object) -> int:
    """Return the CRC-32 of some texts and numbers: it tells what a bad disk has changed."""
    return zlib.crc32(json.dumps(content, separators=(",", ":")).encode("ascii"))
