"""Scans and events as lines of InfluxDB line protocol.

One line per scan: measurement = kind of equipment; tags in alphabetical order; then for each
channel, in the order of its source, its value and ``<channel>_quality`` (and ``_reason``,
``_source`` where there is one), then how the scan is as a whole (``bad``, ``quality`` and
``readings``), ``missed`` when there were any, ``config``, the equipment's ``state`` and ``scan``.
A bad reading has no value field; a scan without any value is still a line. Times are milliseconds.
Transitions are points of ``alarm_event``, what else happens of ``event``, health of ``gateway``,
the alarm rates of the gateway and its areas of ``alarm_performance``.
Nearly every scan is whole and good: for it there is one %-template per source; what a subscription
brings, and what is not good, is put together from a part for each channel.
https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import NamedTuple, assert_never

from config.plant import Channel, ChannelType, Plant, Source
from config.rules import EquipmentState
from drivers.reading import Fault, Origin, Quality, Reason, Scan, Value
from monitor.store.events import Event

MILLISECOND = 10**6
LONGEST_TEXT = 60_000
"""InfluxDB takes strings of up to 64 KiB."""
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")
_INT64 = range(-(2**63), 2**63)
_NAN = Fault(Quality.BAD, Reason.NOT_A_NUMBER)
_BEYOND = Fault(Quality.BAD, Reason.OUT_OF_RANGE)

Figure = bool | int | float | str | None
"""What is told of the gateway's health; None where it is not known."""
Write = Callable[[Value], bytes | None]
"""Writes a value as a field's value; None where line protocol has none for it."""


def word(text: str) -> bytes:
    """Return ``text`` as a measurement, a tag or the name of a field.

    What has a meaning there is escaped; what cannot be escaped for every server (line breaks and
    other control characters, backslashes) becomes ``_``, and so does an empty text.
    """
    safe = _UNSAFE.sub("_", text) or "_"
    for char in ", =":
        safe = safe.replace(char, f"\\{char}")
    return safe.encode("utf-8", "replace")


def quoted(text: str) -> bytes:
    """Return ``text`` as the value of a string field; a line break becomes a backslash and n."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return b'"' + safe.encode("utf-8", "replace") + b'"'


class _Field(NamedTuple):
    """How one channel is written."""

    name: bytes
    write: Write
    place: bytes
    """Where its value goes in a template."""
    unwritable: Fault
    """What a value is that line protocol cannot hold."""

    def judged(self, value: Value | None, fault: Fault | None) -> tuple[bytes | None, Fault | None]:
        """Return the value as it is written (None when bad), and why the reading is not good."""
        if fault is not None and fault.quality is Quality.BAD:
            return None, fault
        text = None if value is None else self.write(value)
        return text, self.unwritable if text is None else fault

    def encode(self, text: bytes | None, fault: Fault | None, source_time: int | None) -> bytes:
        """Return the fields of one reading that was judged."""
        parts = [] if text is None else [b"%b=%b," % (self.name, text)]
        parts.append(b"%b_quality=%di," % (self.name, fault.quality if fault else Quality.GOOD))
        if fault:
            parts.append(b"%b_reason=%b," % (self.name, _REASONS[fault.reason]))
        if source_time is not None:
            parts.append(b"%b_source=%di," % (self.name, source_time // MILLISECOND))
        return b"".join(parts)


class Template:
    """Writes the scans of one source."""

    def __init__(self, plant: Plant, source: Source) -> None:
        self._fields = tuple(_field(channel) for channel in source.channels)
        self._written = tuple(
            (index, field.write) for index, field in enumerate(self._fields) if field.place == b"%b"
        )
        self._heads = {origin: _head(plant, source, origin) for origin in Origin}
        self._config = b"config=" + quoted(plant.digest[:8])
        self._every = range(len(self._fields))
        self._parts = [self._part(index, None, timed=False) for index in self._every]
        self._timed = [self._part(index, None, timed=True) for index in self._every]
        self._faulty: dict[tuple[int, bool, Fault], bytes] = {}
        """What stands in the place of a part (with a source time or without) that is not good."""
        self.be(EquipmentState.IN_USE)

    def be(self, state: EquipmentState, *, clock_doubtful: bool = False) -> None:
        """Write ``state`` as that of the equipment from now on; it costs nothing per scan.

        Where nobody keeps our clock, the times may be wrong: every point says so.
        """
        clock = b",clock_synchronised=false" if clock_doubtful else b""
        self._tail = self._config + clock + b",state=" + quoted(state) + b",scan=%di %d"
        whole = b"".join((*self._parts, _summary(len(self._fields), ()), self._tail))
        self._good = {origin: _literal(head) + whole for origin, head in self._heads.items()}

    def encode(self, scan: Scan, number: int, ms: int) -> bytes:
        """Return the line, without a newline, of the scan with that number at ``ms`` (UTC)."""
        values: Sequence[Value | bytes | None] = scan.values
        if self._written:
            values = self._with_words(scan.values)
        if scan.faults or scan.source_times or scan.missed or scan.spoke is not None:
            line = self._from_parts(scan, values, number, ms)
        else:
            line = self._good[scan.origin] % (*values, number, ms)
        if b"=nan" in line or b"inf," in line or b"=None" in line:
            return self._slowly(scan, number, ms)
        return line

    def _from_parts(
        self, scan: Scan, values: Sequence[Value | bytes | None], number: int, ms: int
    ) -> bytes:
        """Write the channels that spoke, each as good or faulty as it is."""
        every, faults, times = self._every, scan.faults, scan.source_times
        spoke = every if scan.spoke is None else sorted(scan.spoke)
        parts, places, faulty = [_literal(self._heads[scan.origin])], [], []
        for index in spoke:
            fault, time = faults.get(index), times.get(index)
            if fault is None:
                parts.append(self._parts[index] if time is None else self._timed[index])
                places.append(values[index])
            else:
                parts.append(self._faulty_part(index, fault, timed=time is not None))
                faulty.append(fault.quality)
                if fault.quality is not Quality.BAD:
                    places.append(values[index])
            if time is not None:
                places.append(time // MILLISECOND)
        parts.append(_summary(len(spoke), faulty))
        if scan.missed:
            parts.append(b"missed=%di," % scan.missed)
        parts.append(self._tail)
        return b"".join(parts) % (*places, number, ms)

    def _faulty_part(self, index: int, fault: Fault, *, timed: bool) -> bytes:
        key = index, timed, fault
        part = self._faulty.get(key)
        if part is None:
            part = self._faulty[key] = self._part(index, fault, timed=timed)
        return part

    def _part(self, index: int, fault: Fault | None, *, timed: bool) -> bytes:
        """Return the template of one reading."""
        name, place = _literal(self._fields[index].name), self._fields[index].place
        quality = Quality.GOOD if fault is None else fault.quality
        part = b"" if quality is Quality.BAD else b"%b=%b," % (name, place)
        part += b"%b_quality=%di," % (name, quality)
        if fault is not None:
            part += b"%b_reason=%b," % (name, _literal(_REASONS[fault.reason]))
        return part + b"%b_source=%%di," % name if timed else part

    def _with_words(self, values: Sequence[Value | None]) -> list[Value | bytes | None]:
        """Write what a template cannot: states, counters and texts."""
        places: list[Value | bytes | None] = list(values)
        for index, write in self._written:
            value = values[index]
            places[index] = (None if value is None else write(value)) or b"None"
        return places

    def _slowly(self, scan: Scan, number: int, ms: int) -> bytes:
        spoke = range(len(self._fields)) if scan.spoke is None else sorted(scan.spoke)
        parts, faulty = [self._heads[scan.origin]], []
        for index in spoke:
            field = self._fields[index]
            text, fault = field.judged(scan.values[index], scan.faults.get(index))
            parts.append(field.encode(text, fault, scan.source_times.get(index)))
            faulty += [fault.quality] if fault else []
        parts.append(_summary(len(spoke), faulty))
        if scan.missed:
            parts.append(b"missed=%di," % scan.missed)
        parts.append(self._tail % (number, ms))
        return b"".join(parts)


def _summary(readings: int, faulty: Sequence[Quality]) -> bytes:
    """Return how a scan is as a whole: what a dashboard shows of equipment whose channels differ.

    ``quality`` is the worst of its readings; a scan without any has none.
    """
    if not readings:
        return b"bad=0i,readings=0i,"
    worst = max(faulty, default=Quality.GOOD)
    return b"bad=%di,quality=%di,readings=%di," % (faulty.count(Quality.BAD), worst, readings)


def alarm_event(event: Event) -> bytes:
    """Return the line of an alarm transition, without a newline.

    Its body is the JSON of an ``AlarmEventMessage``. A value that is no number is ``value_text``,
    so that ``value`` is a float everywhere.
    """
    body: Mapping[str, object] = json.loads(event.body)
    tags = {name: str(body[name]) for name in ("alarm", "area", "equipment", "gateway", "site")}
    value = body.get("value")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fields = {
        **{name: _text(body.get(key)) for key, name in _ALARM_TEXTS.items()},
        **{name: _integer(body.get(name)) for name in _ALARM_INTEGERS},
        **{name: _flag(body.get(name)) for name in _ALARM_FLAGS},
        **{name: _number(body.get(name)) for name in ("limit", "peak")},
        "value": _number(value) if is_number else None,
        "value_text": None if is_number or value is None else _text(str(value)[:LONGEST_TEXT]),
        "batches": _names(body.get("batches")),
    }
    return _line("alarm_event", tags, fields, event.ms)


def event(event: Event, site: str, gateway: str) -> bytes:
    """Return the line of anything else that was recorded, without a newline."""
    body = event.body.encode()
    fields = {
        "number": b"%di" % event.number,
        "subject": _text(event.subject),
        "body": _text(body[:LONGEST_TEXT].decode("utf-8", "ignore")),
        "truncated": b"true" if len(body) > LONGEST_TEXT else None,
    }
    tags = {"gateway": gateway, "kind": event.kind, "site": site}
    return _line("event", tags, fields, event.ms)


def health(figures: Mapping[str, Figure], site: str, gateway: str, ms: int) -> bytes:
    """Return the line, without a newline, of how the gateway is at ``ms`` (UTC)."""
    fields = {name: _figure(figure) for name, figure in figures.items()}
    return _line("gateway", {"gateway": gateway, "site": site}, fields, ms)


def alarm_performance(
    figures: Mapping[str, Figure], site: str, gateway: str, area: str, ms: int
) -> bytes:
    """Return the line of how alarms do at ``ms`` (UTC); an empty ``area`` is the whole gateway."""
    fields = {name: _figure(figure) for name, figure in figures.items()}
    return _line("alarm_performance", {"area": area, "gateway": gateway, "site": site}, fields, ms)


_REASONS = {reason: quoted(reason.value) for reason in Reason}
_ALARM_TEXTS = {
    "event_id": "event_id",
    "occurrence": "occurrence",
    "change": "change",
    "before": "from",
    "after": "to",
    "channel": "channel",
    "rule": "rule",
    "kind": "kind",
    "priority": "priority",
    "configured_priority": "configured_priority",
    "unit": "unit",
    "time": "decided",
    "condition_start": "condition_start",
    "alarm_time": "alarm_time",
    "peak_time": "peak_time",
    "shelving_state": "shelving_state",
    "shelved_until": "shelved_until",
    "out_of_service_until": "out_of_service_until",
    "suppressed_by": "suppressed_by",
    "superseded_by": "superseded_by",
    "actor": "actor",
    "claimed": "claimed",
    "role": "role",
    "via": "via",
    "comment": "comment",
    "equipment_state": "equipment_state",
    "phase": "phase",
    "config": "config",
}
_ALARM_INTEGERS = ("seq", "version", "severity", "owner_epoch", "re_alarms", "escalations", "scan")
_ALARM_FLAGS = (
    "clock_synchronised",
    "active_state",
    "acked_state",
    "confirmed_state",
    "latched_state",
    "out_of_service_state",
    "suppressed_state",
    "annunciated",
    "test",
)


def _field(channel: Channel) -> _Field:
    name = word(channel.name)
    match channel.type:
        case ChannelType.ANALOG if channel.single_precision:
            return _Field(name, _single, b"%.9g", _NAN)
        case ChannelType.ANALOG:
            return _Field(name, _double, b"%a", _NAN)
        case ChannelType.COUNTER:
            return _Field(name, _counter, b"%b", _BEYOND)
        case ChannelType.STATE:
            return _Field(name, _state, b"%b", _BEYOND)
        case ChannelType.TEXT:
            return _Field(name, _name, b"%b", _BEYOND)
        case _:
            assert_never(channel.type)


def _single(value: Value) -> bytes | None:
    number = float(value)
    return b"%.9g" % number if isfinite(number) else None


def _double(value: Value) -> bytes | None:
    number = float(value)
    return b"%a" % number if isfinite(number) else None


def _counter(value: Value) -> bytes | None:
    return b"%di" % int(value) if value in _INT64 else None


def _state(value: Value) -> bytes:
    return b"true" if value else b"false"


def _name(value: Value) -> bytes:
    return quoted(str(value)[:LONGEST_TEXT])


def _head(plant: Plant, source: Source, origin: Origin) -> bytes:
    equipment = plant.by_name[source.equipment]
    tags = {
        "area": equipment.area,
        "equipment": equipment.name,
        "gateway": plant.gateway,
        "origin": origin.value,
        "site": plant.site,
        "source": source.name,
    }
    return _series(equipment.kind, tags) + b" "


def _series(measurement: str, tags: Mapping[str, str]) -> bytes:
    pairs = [b"%b=%b" % (word(name), word(value)) for name, value in sorted(tags.items())]
    return b",".join([word(measurement), *pairs])


def _line(
    measurement: str, tags: Mapping[str, str], fields: Mapping[str, bytes | None], ms: int
) -> bytes:
    written = [b"%b=%b" % (word(name), text) for name, text in fields.items() if text is not None]
    return b"%b %b %d" % (_series(measurement, tags), b",".join(written), ms)


def _literal(text: bytes) -> bytes:
    """Return ``text`` so that a template leaves it as it is."""
    return text.replace(b"%", b"%%")


def _figure(figure: Figure) -> bytes | None:
    match figure:
        case bool():
            return _state(figure)
        case int():
            return _integer(figure)
        case float():
            return _double(figure)
        case str():
            return quoted(figure)
        case None:
            return None
        case _:
            assert_never(figure)


def _text(value: object) -> bytes | None:
    return None if value is None else quoted(str(value))


def _names(value: object) -> bytes | None:
    """Return names as one text, a JSON array: any character may be in one; None for none."""
    if not isinstance(value, list) or not value:
        return None
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return _text(text[:LONGEST_TEXT].decode("utf-8", "ignore"))


def _integer(value: object) -> bytes | None:
    return b"%di" % value if isinstance(value, int) and value in _INT64 else None


def _flag(value: object) -> bytes | None:
    return _state(value) if isinstance(value, bool) else None


def _number(value: object) -> bytes | None:
    return _double(float(value)) if isinstance(value, int | float) else None
