"""The page of one rehearsal of an alarm: the evidence that it works, for the screen and for paper.

It needs nothing else and runs nothing; whatever a person typed is escaped by the template engine.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo

from config.units import sign
from monitor import VERSION
from monitor.operators.alarm_test import STEPS, AlarmTestMessage, AlarmTestStep, Meanwhile
from monitor.pages.facts import UNKNOWN, Fact, Section, local, offset, utc
from monitor.pages.figures import duration
from monitor.pages.templates import environment

OUTCOMES: Mapping[str, str] = {
    "as_expected": "as expected",
    "not_as_expected": "NOT as expected",
    "not_configured": "not configured",
    "not_reached": "not reached",
}
VERDICTS: Mapping[str, str] = {
    "passed": "Passed: every step was as expected.",
    "failed": "Failed: not every step was as expected.",
    "abandoned": "Abandoned: it was cut off before its end.",
}


def page(record: AlarmTestMessage, *, made: datetime, zone: tzinfo | None = None) -> str:
    """Return the page, made at ``made``; local times are those of ``zone`` (None: here)."""
    started = datetime.fromisoformat(record.started).astimezone(zone)
    return (
        environment()
        .get_template("alarm_test.html")
        .render(
            record=record,
            verdict=_verdict(record),
            columns=_columns(record, zone),
            steps=[_step(number, step, zone) for number, step in enumerate(record.steps, 1)],
            meanwhile=[_meanwhile(each) for each in record.real_events],
            offset=offset(started),
            made=f"{made.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            version=VERSION,
        )
    )


def _verdict(record: AlarmTestMessage) -> str:
    """The verdict, and what of it had nothing to be held against."""
    missing = [STEPS[step.step] for step in record.steps if step.outcome == "not_configured"]
    rest = f" Nothing is configured for: {'; '.join(missing)}." if missing else ""
    return VERDICTS[record.verdict] + rest


def _columns(record: AlarmTestMessage, zone: tzinfo | None) -> list[list[Section]]:
    return [
        [
            Section("Who and when", tuple(_who(record, zone))),
            Section("Where", tuple(_where(record))),
            Section("The real alarm meanwhile", tuple(_beside(record))),
        ],
        [
            Section("What was tested", tuple(_what(record))),
            Section("Identity", tuple(_identity(record))),
        ],
    ]


def _who(record: AlarmTestMessage, zone: tzinfo | None) -> Iterator[Fact]:
    yield Fact(
        "Tested by", record.user + (f" (uid {record.uid})" if record.uid is not None else "")
    )
    if record.claimed:
        yield Fact("Name given by hand", record.claimed)
    yield Fact("In the role", record.role or "no roles are configured")
    yield Fact("Reason", record.reason or "none given")
    yield Fact("Begun", _both(record.started, zone))
    yield Fact("Over", _both(record.ended, zone))
    by_hand = "by an operator, by hand" if record.by_hand else "by the test, for who ran it"
    yield Fact("To be acknowledged", by_hand)
    yield Fact("Clock synchronised", _answer(record.clock_synchronised))


def _where(record: AlarmTestMessage) -> Iterator[Fact]:
    yield Fact("Site, area", ", ".join(filter(None, (record.site, record.area))))
    yield Fact("Gateway, host", f"{record.gateway}, {record.host}")
    yield Fact("Equipment", f"{record.equipment} ({record.kind.replace('_', ' ')})")
    yield Fact("State of the equipment", record.equipment_state.replace("_", " ") or UNKNOWN)


def _beside(record: AlarmTestMessage) -> Iterator[Fact]:
    yield Fact("Its state before", record.real_before.replace("_", " "))
    yield Fact("Its state after", record.real_after.replace("_", " "))
    told = len(record.real_events)
    transitions = "1 transition" if told == 1 else f"{told} transitions"
    yield Fact("What it told meanwhile", f"{transitions}, below" if told else "nothing")


def _what(record: AlarmTestMessage) -> Iterator[Fact]:
    yield Fact("Channel, rule", f"{record.channel}, {record.rule} ({_plain(record.rule_kind)})")
    yield Fact("Raised when", record.condition)
    if record.limit is not None:
        yield Fact("Limit", f"{record.limit:.6g} {sign(record.unit)}".rstrip())
    yield Fact("On-delay, off-delay", f"{_delay(record.on_delay)}, {_delay(record.off_delay)}")
    if record.delay_justification:
        yield Fact("Why the delays do no harm", record.delay_justification)
    yield Fact("Priority", f"{record.priority} (severity {record.severity})")
    yield Fact("Class", record.alarm_class or "none")
    asks = [word for word, so in (("confirm", record.confirm), ("reset", record.latching)) if so]
    yield Fact("Asks for", ", ".join(["acknowledge", *asks]))
    yield Fact("Response", record.response or "none given")
    yield Fact("Consequence", record.consequence or "none given")
    if record.time_to_respond is not None:
        yield Fact("Time to respond", duration(record.time_to_respond))


def _identity(record: AlarmTestMessage) -> Iterator[Fact]:
    yield Fact("Alarm", record.alarm)
    yield Fact("Told under the name", record.test_alarm)
    if record.scans[0]:
        yield Fact("Made-up readings", f"scans {record.scans[0]} to {record.scans[1]}, origin test")
    yield Fact("Configuration (SHA-256)", record.config)
    yield Fact("Record", record.store_id)
    yield Fact("Event of this test", str(record.event))
    yield Fact("Chain head after it (SHA-256)", record.head)


def _step(number: int, step: AlarmTestStep, zone: tzinfo | None) -> dict[str, str]:
    time = None if step.time is None else datetime.fromisoformat(step.time)
    return {
        "number": str(number),
        "name": STEPS[step.step],
        "expected": step.expected,
        "seen": step.seen,
        "utc": "" if time is None else f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d}",
        "local": "" if time is None else f"{time.astimezone(zone):%H:%M:%S}",
        "event": step.event_id,
        "outcome": OUTCOMES[step.outcome],
        "mark": step.outcome,
    }


def _meanwhile(each: Meanwhile) -> dict[str, str]:
    words = each.change.replace("_", " "), each.state.replace("_", " ")
    return dict(
        zip(
            ("utc", "change", "state", "event"),
            (utc(each.time), *words, each.event_id),
            strict=True,
        )
    )


def _both(text: str, zone: tzinfo | None) -> str:
    return f"{utc(text)} ({local(text, zone)})"


def _delay(seconds: float) -> str:
    return duration(seconds) if seconds else "none"


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _answer(so: bool | None) -> str:  # noqa: FBT001 - it is the answer itself
    return UNKNOWN if so is None else "yes" if so else "no"
