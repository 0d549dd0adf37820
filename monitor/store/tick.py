"""What goes in and comes out: a tick to commit, blobs to deliver, and how the store fares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from monitor.store.events import Event

Lane = Literal["telemetry", "events"]
"""Of what waits for a sink: blobs, counted by id, and events, counted by number."""
Counted = Literal[Lane, "receipts"]
"""What has cursors: the lanes, and the receipts of consumers, counted by ``seq``."""


@dataclass(slots=True)
class Tick:
    """Everything that happened since the last commit; handed over whole, then not touched again."""

    lines: dict[int, list[bytes]] = field(default_factory=dict)
    """By group: lines of line protocol, without their newlines."""
    first_scan: int = 0
    last_scan: int = 0
    first_at: int = 0
    """The earliest time of a scan (ns, UTC)."""
    last_at: int = 0
    """The latest."""
    facts: dict[str, str] = field(default_factory=dict)
    """By alarm: its snapshot as JSON; an empty one forgets the alarm."""
    events: list[Event] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    """By request id: the answer as JSON."""
    config: tuple[str, str] | None = None
    """SHA-256 (hex) and text of the configuration, when it is a new one."""

    def add(self, group: int, line: bytes, scan: int, at: int) -> None:
        """Add the line of one scan; scans come in the order of their numbers."""
        lines = self.lines.get(group)
        if lines is None:
            lines = self.lines[group] = []
        lines.append(line)
        if not self.first_scan:
            self.first_scan = scan
            self.first_at = self.last_at = at
        self.last_scan = scan
        if at > self.last_at:
            self.last_at = at
        elif at < self.first_at:
            self.first_at = at

    @property
    def empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.lines or self.facts or self.events or self.replies or self.config)


class Lag(NamedTuple):
    """How far a sink is in one lane: numbers of events, or ids of blobs."""

    confirmed: int
    newest: int

    @property
    def behind(self) -> int:
        """How many of them at most are not delivered yet: ids may jump."""
        return self.newest - self.confirmed


class Last(NamedTuple):
    """The newest of everything that is committed."""

    scan: int = 0
    event: int = 0
    seq: int = 0
    at: int = 0
    """Record time (ns, UTC) of the newest entry."""
    head: str = ""
    """Of the hash chain (``chain.whole``)."""


class Blob(NamedTuple):
    """A tick's readings of one group of equipment, ready to be sent."""

    id: int
    group: int
    first_scan: int
    last_scan: int
    first_at: int
    last_at: int
    """First and last time of its tick (ns, UTC)."""
    lines: int
    """None where the blob is spoilt, and in quarantine: there is nothing to send."""
    body: bytes
    """One gzip member; each of its lines ends with a newline, so members can be joined."""


class LaneStatus(NamedTuple):
    """How far one sink is on one lane."""

    sink: str
    lane: Counted
    confirmed: int
    """Id of the newest blob, or number or ``seq`` of the newest event, that it has confirmed."""
    behind: int
    """Blobs or events that it has not."""
    behind_bytes: int
    """Compressed bytes of those blobs; 0 in the other lanes."""
    oldest_at: int | None
    """Time (ns, UTC) of the oldest that it has not; None when there is none."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What the store says of itself."""

    store_id: str
    path: Path
    last: Last
    file_bytes: int
    """On the disk, log included."""
    telemetry_bytes: int
    """Compressed readings kept."""
    quota: int
    blobs: int
    oldest_at: int | None
    """Time (ns, UTC) of the oldest readings kept."""
    lost_lines: int
    """Points that left for the quota before every sink had them, ever."""
    lanes: tuple[LaneStatus, ...]
    dead_letters: Mapping[str, int]
    """By sink."""
    dead_letters_gone: int
    """Those that left, ever, since there were too many."""
    moved_aside: Path | None
    """A damaged file that was found at the start."""
    spoilt: int = 0
    """Entries in quarantine: met, and not as they were written."""
