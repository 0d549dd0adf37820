"""Our own lines of line protocol read back: the inverse of what ``line_protocol`` writes.

It reads every line that ``Template`` writes, and no other dialect: tags are plain words, so the
first space ends them; in a quoted string a backslash stands before quotes and backslashes, and
makes a line break of ``n`` and ``r``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from drivers.reading import Origin, Quality, Reason, Value

MILLISECOND = 10**6
_FIELD = re.compile(rb'([^=,]+)=("(?:[^"\\]|\\.)*"|[^,]+)(?:,|$)', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"r": b"\r"}
_SEEN = re.compile(
    rb",equipment=([^, ]+),(?!(?:[^ \n]*,)?origin=test)[^\n]* (-?\d+)$", re.MULTILINE
)
"""Of a rehearsal nothing was seen."""


class Point(NamedTuple):
    """One reading of one channel, as it was recorded."""

    time: int
    """UTC nanoseconds (the record keeps milliseconds)."""
    site: str
    area: str
    equipment: str
    kind: str
    source: str
    gateway: str
    channel: str
    value: Value | None
    quality: Quality
    reason: Reason | None
    source_time: int | None
    """UTC nanoseconds by the device's clock."""
    scan: int
    origin: Origin
    state: str = ""
    """That of the equipment; empty where an earlier release wrote the line."""


def read_line(line: bytes) -> Iterator[Point]:
    """Read the readings of one line, one scan, in the order of its channels."""
    head, rest = line.split(b" ", 1)
    body, ms = rest.rsplit(b" ", 1)
    kind, *pairs = head.decode().split(",")
    tags = dict(pair.split("=", 1) for pair in pairs)
    fields = {name.decode(): text for name, text in _FIELD.findall(body)}
    scan, state = int(fields["scan"][:-1]), _text(fields.get("state", b'""'))
    for name in fields:
        channel = name.removesuffix("_quality")
        if channel != name:
            yield Point(
                int(ms) * MILLISECOND,
                tags["site"],
                tags["area"],
                tags["equipment"],
                kind,
                tags["source"],
                tags["gateway"],
                channel,
                *_reading(fields, channel),
                scan,
                Origin(tags["origin"]),
                state,
            )


def newest_times(lines: bytes) -> Mapping[str, int]:
    """Return the newest time (ns, UTC) of each equipment in some lines."""
    newest: dict[str, int] = {}
    for equipment, ms in _SEEN.findall(lines):
        name = equipment.decode()
        newest[name] = max(int(ms) * MILLISECOND, newest.get(name, 0))
    return newest


def _reading(
    fields: Mapping[str, bytes], channel: str
) -> tuple[Value | None, Quality, Reason | None, int | None]:
    quality = Quality(int(fields[f"{channel}_quality"][:-1]))
    value = fields.get(channel)
    reason = fields.get(f"{channel}_reason")
    source = fields.get(f"{channel}_source")
    return (
        None if value is None else _value(value),
        quality,
        None if reason is None else Reason(_text(reason)),
        None if source is None else int(source[:-1]) * MILLISECOND,
    )


def _value(text: bytes) -> Value:
    if text[:1] == b'"':
        return _text(text)
    if text in {b"true", b"false"}:
        return text == b"true"
    return int(text[:-1]) if text[-1:] == b"i" else float(text)


def _text(quoted: bytes) -> str:
    plain = _ESCAPED.sub(lambda found: _PLAIN.get(found[1], found[1]), quoted[1:-1])
    return plain.decode()
