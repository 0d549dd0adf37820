"""What messages look like to people: one line each, the same in a pipe as on a terminal. Pure.

Colour only repeats what a word says. Whatever a device or a person typed is made harmless first.
"""

import json
from collections.abc import Mapping, Sequence

import click
from pydantic import JsonValue, ValidationError

from config.problems import plain
from config.units import sign
from monitor.excursions.record import ExcursionRecord
from monitor.messages import AlarmEventMessage, AlarmMessage
from monitor.operators.protocol import EventMessage, UsageMessage, ValueMessage
from monitor.pages.facts import sentence

COLOURS = {"critical": "bright_red", "high": "red", "medium": "yellow", "low": "cyan"}
GRADES = {"good": None, "uncertain": "yellow", "bad": "red"}
PHASES = {"begin": "begins: ", "change": "now: ", "end": "well again after: "}
HEADS = {"equipment_state": "STATE"}
"""Of kinds of events whose name is too long for its column."""
SHOWN = 80
"""Characters of a value in a note."""
_IN_WORDS = {
    "calibration_due", "deviation", "discrepancy", "flatline", "rate", "repeated", "status_bits",
}  # fmt: skip
"""Kinds of rules of which the limit alone would say too little."""
_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def figure(value: float | bool | str | None) -> str:
    """Return a value as it is shown: at most six significant digits; ``-`` where there is none."""
    match value:
        case None:
            return "-"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)


def quantity(value: float | bool | str | None, unit: str) -> str:
    """Return a value with its unit as it is shown."""
    return f"{figure(value)} {sign(unit)}".rstrip()


def size(count: int) -> str:
    """Return a number of bytes in the unit that suits it (kB is 1000 bytes)."""
    suiting = (each for each in _SIZES if count >= each[0])
    least, unit = next(suiting, (1, "bytes"))
    return f"{count / least:.4g} {unit}"


def letter(priority: str) -> str:
    """Return the priority by letter and word."""
    return f"{priority[:1].upper()} {priority:<8}"


def event_line(event: EventMessage) -> str:
    """Return an event as one line, coloured by its priority."""
    if event.kind != "alarm":
        return click.style(plain(_note(event)), dim=True)
    try:
        told = AlarmEventMessage.model_validate(event.body)
    except ValidationError:
        # Recorded by another release; its words are still worth showing.
        return plain(_note(event))
    return transition_line(told)


def transition_line(told: AlarmEventMessage) -> str:
    """Return a transition as one line, coloured by its priority."""
    return _coloured(plain(_transition(told)), told)


def alarm_line(alarm: AlarmMessage, used: UsageMessage | None = None) -> str:
    """Return an alarm that stands as one line, coloured by its priority.

    ``used`` says how its equipment is used, where it is a state of that which suppresses it.
    """
    mark = " " if alarm.acked_state else "!"
    parts = [
        f"{mark} {letter(alarm.priority)}",
        f"{alarm.state:<22}",
        _named(alarm),
        _against(alarm),
        f"since {alarm.alarm_time}" if alarm.alarm_time else "",
        _escalated(alarm),
        *_aside(alarm, used),
        alarm.response if alarm.active_state else "",
    ]
    return _coloured(plain("  ".join(part for part in parts if part)), alarm)


def _aside(alarm: AlarmMessage, used: UsageMessage | None) -> list[str]:
    """Each reason why nobody is told of an alarm: by whom, until when and why."""
    out = alarm.out_of_service_by, alarm.out_of_service_until, alarm.out_of_service_reason
    shelf = alarm.shelved_by, alarm.shelved_until, alarm.shelved_reason
    once = " for once" if alarm.shelving_state == "OneShotShelved" else ""
    return [
        f"({_signed('out of service', *out)})" if alarm.out_of_service_until else "",
        f"({_signed('shelved' + once, *shelf)})" if alarm.shelved_until else "",
        _because(alarm, used),
    ]


def _signed(what: str, user: str, until: str | None, reason: str) -> str:
    by = f" by {user}" if user else ""
    end = f" until {until}" if until else ""
    return f"{what}{by}{end}{': ' if reason else ''}{reason}"


def usage_line(used: UsageMessage) -> str:
    """Return how an equipment is used as one line."""
    batches = ", ".join(f"{each.batch} @ {each.position or '-'}" for each in used.batches)
    parts = [
        f"{used.equipment:<24}",
        f"{used.state:<14}",
        f"since {used.since}" if used.since else "",
        f"({told})" if (told := _who_says(used)) else "",
        _suppressing(used),
        f"phase {used.phase}" if used.phase else "",
        f"batches {batches}" if batches else "",
    ]
    return plain("  ".join(part for part in parts if part)).rstrip()


def _suppressing(used: UsageMessage) -> str:
    end = _silent_until(used)
    until = f" until {end}" if end else ""
    count = len(used.suppressed)
    if not count:
        return f"suppressing{until}" if until else ""
    return f"suppressing {count} alarm{'s' if count > 1 else ''}{until}"


def _silent_until(used: UsageMessage) -> str | None:
    """Return when its alarms are told again: with the act that set the state, or before that."""
    if used.suppressing_until is None or used.until is None:
        return used.suppressing_until
    return min(used.until, used.suppressing_until)


def _who_says(used: UsageMessage) -> str:
    if used.user:
        return _signed("set", used.user, used.until, used.reason)
    return f"{used.told} cannot be read" if used.cause == "unknown" else used.told


def value_line(value: ValueMessage) -> str:
    """Return what a channel says as one line."""
    age = "-" if value.age is None else f"{value.age:.1f} s"
    name = f"{value.equipment}/{value.channel}"
    quality = f"{value.quality} ({value.reason})" if value.reason else value.quality
    said = quantity(value.value, value.unit)
    text = plain(f"{name:<36}  {said:>14}  {age:>8}  {quality}")
    return click.style(text, fg=GRADES[value.quality])


def figures(known: Mapping[str, JsonValue]) -> list[tuple[str, str]]:
    """Return the figures of a store as names and words; those that say nothing are left out."""
    return [
        (name.removesuffix("_bytes").replace("_", " "), _figure(name, fact))
        for name, fact in known.items()
        if fact not in (None, {})
    ]


def _figure(name: str, fact: JsonValue) -> str:
    in_bytes = name == "quota" or name.endswith("bytes")
    match fact:
        case str():
            return fact
        case int() if in_bytes:
            return size(fact)
        case dict():
            return ", ".join(f"{key}: {each}" for key, each in fact.items())
        case _:
            return json.dumps(fact)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with their columns aligned."""
    safe = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in safe
    ]


def _transition(told: AlarmEventMessage) -> str:
    parts = [
        told.time,
        letter(told.priority),
        f"{told.change.upper():<12}",
        _named(told),
        _against(told),
        f"[{told.after}]",
        _escalated(told),
        _because(told),
        _who(told),
        told.response if told.change.startswith(("raised", "escalated")) else "",
    ]
    return "  ".join(part for part in parts if part)


def _named(alarm: AlarmMessage) -> str:
    """Return the name of an alarm; of one that is not real, that before it."""
    return f"TEST {alarm.alarm}" if alarm.test else alarm.alarm


def _escalated(alarm: AlarmMessage) -> str:
    """Return what an alarm that nobody has acknowledged has come to, and from where."""
    if not alarm.escalations:
        return ""
    if alarm.priority == alarm.configured_priority:
        return f"(escalated, {alarm.priority} as before)"
    return f"(escalated from {alarm.configured_priority} to {alarm.priority})"


def _against(alarm: AlarmMessage) -> str:
    """What was read, and the limit; where that is none of the value itself, all that the rule says.

    So with a set-point, a rate or a day, of which a bare figure says too little.
    """
    if alarm.rule_kind in _IN_WORDS:
        condition = alarm.condition.partition(", back")[0]
        return condition if alarm.value is None else f"{_read(alarm)} ({condition})"
    limit = "" if alarm.limit is None else f" (limit {figure(alarm.limit)})"
    said = "" if alarm.value is None else quantity(alarm.value, alarm.unit)
    return (said + limit).strip()


def _read(alarm: AlarmMessage) -> str:
    beside = "" if alarm.reference is None else f" against {quantity(alarm.reference, alarm.unit)}"
    return quantity(alarm.value, alarm.unit) + beside


def _because(alarm: AlarmMessage, used: UsageMessage | None = None) -> str:
    cause = alarm.suppressed_by or alarm.superseded_by
    _, by_state, state = cause.partition("state:")
    if not by_state:
        return f"(behind {cause})" if cause else ""
    words = f"suppressed while {state.replace('_', ' ')}"
    if used is None:
        return f"({words})"
    return f"({_signed(words, used.user, _silent_until(used), used.reason or used.told)})"


def _who(told: AlarmEventMessage) -> str:
    if not told.actor:
        return ""
    name = _name(told.actor, told.claimed, told.role)
    return f"by {name}: {told.comment}" if told.comment else f"by {name}"


def _note(event: EventMessage) -> str:
    subject = event.subject[:8] if event.kind == "config" else event.subject
    kind = f"{HEADS.get(event.kind, event.kind.upper()):<12}"
    said = _used(event) or _asked(event) or _tested(event) or _body(event)
    parts = (event.time, "- -       ", kind, subject, said)
    return "  ".join(part for part in parts if part)


def _body(event: EventMessage) -> str:  # noqa: PLR0911 - one for each kind
    """Return what an event says; its facts as they are where there are no words for them here."""
    match event.kind, event.body:
        case "start", {"version": version, "config": str(config), "away": away}:
            return f"cytowatch {version}, configuration {config[:8]}; before it: {away}"
        case "config", {"was": str(was)}:
            return f"in place of {was[:8]}" if was else "the first configuration"
        case "excursion", {"schema": "cytowatch.excursion.v1"} as record:
            return _excursion(record)
        case "outage", {"phase": str(phase), "text": text}:
            return f"{PHASES.get(phase, '')}{text}"
        case "unmonitored", {"from": start, "to": end, "seconds": seconds, "cause": cause}:
            return f"{cause}: for {seconds} s, from {start} to {end}"
        case "notified", {"command": command, "failed": failed}:
            told = f"{command} was run, since nobody had it"
            return f"{told}; it failed: {failed}" if failed else told
        case "clock_step", {"kind": kind, "before": before, "after": after}:
            return f"{kind}, from {before} to {after}"
        case _, body:
            return _facts(body)


def _facts(body: Mapping[str, JsonValue]) -> str:
    facts = {key: value for key, value in body.items() if value not in (None, "")}
    return " ".join(f"{key}={_short(value)}" for key, value in facts.items())


def _excursion(body: Mapping[str, JsonValue]) -> str:
    try:
        record = ExcursionRecord.model_validate(body)
    except ValidationError:
        return _facts(body)
    return f"{sentence(record)} {record.excursion}"


def _used(event: EventMessage) -> str:
    """Return what became of the use of an equipment; empty for what is about something else."""
    match event.kind, event.body:
        case "equipment_state", {"change": "phase", "phase": phase, "phase_before": before}:
            return f"phase {phase or '-'} (was {before or '-'})"
        case "equipment_state", {"change": "suppression_ended", "state": state}:
            return f"{state} for as long as it may suppress: its alarms are told again"
        case "equipment_state", {"change": "phase_suppression_ended", "phase": phase}:
            return f"phase {phase} for as long as it may switch limits off: they hold again"
        case "equipment_state", {"state": state, "before": before}:
            return f"{state} (was {before}){_source(event.body)}{_silent(event.body)}"
        case "occupancy", {"act": act, "batch": batch, "position": position}:
            done = "loaded" if act == "load" else "unloaded"
            return f"{batch} {done}{f' at {position}' if position else ''}{done_by(event.body)}"
        case _:
            return ""


def _asked(event: EventMessage) -> str:
    """Return what an operator did or was refused; empty for what is about something else."""
    match event.kind, event.body:
        case "act", {"act": str(act), "user": _, "what": str(what)}:
            return f"{act} of {what}{done_by(event.body)}"
        case "act", {"act": str(act), "user": _}:
            return f"{act.replace('_', ' ')}{done_by(event.body)}"
        case "refusal", {"act": str(act), "word": word, "text": text}:
            asked = act.replace("_", " ")
            return f"{asked} refused ({word}): {text}; asked{done_by(event.body)}"
        case _:
            return ""


def _tested(event: EventMessage) -> str:
    """Return what became of the rehearsal of an alarm; empty for what is about something else."""
    match event.kind, event.body:
        case "alarm_test", {"phase": "begin"}:
            return f"TEST begins{done_by(event.body)}"
        case "alarm_test", {"phase": "end", "verdict": str(verdict)}:
            return f"TEST {verdict}{done_by(event.body)}"
        case _:
            return ""


def _silent(said: Mapping[str, JsonValue]) -> str:
    """Return until when the state suppresses, where it may outlast that."""
    end, until = said.get("until"), said.get("suppressing_until")
    if not until or (end and str(end) <= str(until)):
        return ""
    return f", suppresses until {until}"


def _source(said: Mapping[str, JsonValue]) -> str:
    """Return who says in what state an equipment is."""
    match said.get("cause"):
        case "channel":
            return f" as told by {said.get('told')}"
        case "unknown":
            return f" since {said.get('told')} cannot be read"
        case "act":
            until = f" until {said['until']}" if said.get("until") else ""
            return f"{until}{done_by(said)}"
        case _:
            return done_by(said)


def done_by(said: Mapping[str, JsonValue]) -> str:
    """Return who did it, in which role, and why, as the end of a sentence."""
    user, claimed, role, reason = (
        str(said.get(name) or "") for name in ("user", "claimed", "role", "reason")
    )
    return (f" by {_name(user, claimed, role)}" if user else "") + (f": {reason}" if reason else "")


def _name(user: str, claimed: str, role: str) -> str:
    """Return who it was: the proven name, and what else is known in brackets."""
    known = ", ".join(each for each in (f"as {claimed}" if claimed else "", role) if each)
    return f"{user} ({known})" if known else user


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _coloured(text: str, alarm: AlarmMessage) -> str:
    if not alarm.active_state:
        return click.style(text, fg="green" if alarm.acked_state else None)
    urgent = alarm.priority == "critical" and not alarm.acked_state
    return click.style(text, fg=COLOURS.get(alarm.priority), bold=urgent or None)
