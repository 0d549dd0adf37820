"""``alarm-test``: walk one alarm through a test, show each step, and write a page as evidence."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from monitor.cli.asking import within_bounds
from monitor.cli.exits import FOUND, leave
from monitor.cli.options import NEW_FILE, SPAN, json_option, socket_option

if TYPE_CHECKING:
    from monitor.operators.alarm_test import AlarmTestMessage, AlarmTestStep
    from monitor.operators.protocol import AskTest

MARKS = {
    "as_expected": ("ok  ", "green"),
    "not_as_expected": ("FAIL", "red"),
    "not_configured": ("--  ", "yellow"),
    "not_reached": ("--  ", "red"),
}


@click.command()
@click.argument("alarm", metavar="EQUIPMENT/CHANNEL/RULE")
@click.option("--reason", "-r", default="", help="Why; kept on the record and on the page.")
@click.option(
    "--output", "-o", type=NEW_FILE,
    help="Write the evidence as a page (HTML) into this file.",
)  # fmt: skip
@click.option(
    "--ack-by-hand", "by_hand", is_flag=True,
    help="Wait for an operator to acknowledge it, as in a true drill.",
)  # fmt: skip
@click.option(
    "--timeout", type=SPAN,
    help="How long it may take beside the delays of the rule: 1m, and 10m by hand.",
)  # fmt: skip
@click.option("--as", "claimed", default="", help="Your name, beside your login.")
@click.option("--role", default="", help="As what, of the roles that you have.")
@json_option
@socket_option
def alarm_test(
    alarm: str,
    reason: str,
    output: Path | None,
    by_hand: bool,
    timeout: int | None,
    claimed: str,
    role: str,
    as_json: bool,
    socket_path: Path,
) -> None:
    """Walk an alarm through condition, delay, delivery, acknowledgement and return.

    What it judges is made up and flagged as a test, under a name of its own (test-RULE): the real
    alarm goes on beside it, untouched. Exit 0 only if every step was as expected; Ctrl-C ends it.
    """
    from monitor.cli.export import opened
    from monitor.operators.protocol import AskTest

    with within_bounds():
        asked = AskTest(
            alarm=alarm,
            by_hand=by_hand,
            claimed=claimed,
            role=role,
            reason=reason,
            duration=timeout,
            request_id=uuid.uuid4().hex,
        )
    with opened(output) if output else _nowhere() as page:
        record = _followed(socket_path, asked, as_json=as_json)
        if output:
            page.write(_page(record))
    leave(0 if record.verdict == "passed" else FOUND)


@contextmanager
def _nowhere() -> Iterator[TextIO]:
    yield StringIO()


def _followed(path: Path, asked: "AskTest", *, as_json: bool) -> "AlarmTestMessage":
    """Show each step as it is taken; return the whole record."""
    from monitor.cli.client import Gone, ask, understood
    from monitor.operators.alarm_test import AlarmTestMessage, AlarmTestStep

    if asked.by_hand and not as_json:
        shadow = "/test-".join(asked.alarm.rsplit("/", 1))
        click.echo(f"When it stands, acknowledge it elsewhere: cytowatch ack {shadow}", err=True)
    for text in ask(path, asked):
        if as_json:
            click.echo(text)
        if not text.startswith('{"schema":"cytowatch.alarm_test_step.'):
            record = understood(AlarmTestMessage, text)
            if not as_json:
                click.echo(_last_line(record))
            return record
        if not as_json:
            click.echo(step_line(understood(AlarmTestStep, text)))
    raise Gone("the daemon went away")


def step_line(step: "AlarmTestStep") -> str:
    """Return a step as one line: how it went, when, what was expected and what was seen."""
    from config.problems import plain
    from monitor.operators.alarm_test import STEPS

    mark, colour = MARKS[step.outcome]
    time = step.time or " " * len("2026-01-31T12:00:00.000Z")
    seen = f"; seen: {step.seen}" if step.seen else ""
    text = f"{mark}  {time}  {STEPS[step.step]:<21}  expected: {step.expected}{seen}"
    return click.style(plain(text), fg=colour)


def _last_line(record: "AlarmTestMessage") -> str:
    from config.problems import plain

    good = record.verdict == "passed"
    text = (
        f"TEST of {record.alarm}: {record.verdict};"
        f" event {record.event} on the record, chain head {record.head}"
    )
    return click.style(plain(text), fg="green" if good else "red", bold=True)


def _page(record: "AlarmTestMessage") -> str:
    from datetime import UTC, datetime

    from monitor.pages.alarm_test import page

    return page(record, made=datetime.now(UTC).astimezone())
