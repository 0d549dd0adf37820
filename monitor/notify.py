"""The last resort: a command that is run when an alarm has reached nobody over MQTT in its time.

It follows the record with a cursor of its own, event by event, so a restart neither forgets one nor
tells one twice; only a command that was cut off is run again. Each run is on the record.
The command gets the alarm's event on its standard input, without a shell; it has a time limit.
"""

import asyncio
import fcntl
import json
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Protocol, Self

from config.rules import Priority
from config.site import Notify as Settings
from drivers.base import Clock
from monitor.messages import AlarmMessage
from monitor.store import Event, Store
from monitor.supervise import Held

NAME = "notify"
"""Of its cursor."""
TOLD = "notified"
"""The kind of what it puts on the record."""
LOOK = 0.5
"""Seconds between two looks whether somebody has the alarm meanwhile."""
MOST_READ = 100
TAIL = 1000
"""Bytes of what a command said, at most."""
_SLICE = 2**16
_KILLED_WITHIN = 1.0
"""Seconds in which what was killed is gone."""
_OURS_ALONE = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_SECOND = 10**9

log = logging.getLogger(__name__)


class Record(Protocol):
    """The recorder, as far as this sees it."""

    @property
    def store(self) -> Store:
        """What is committed."""

    @property
    def clock(self) -> Clock:
        """Gives record time."""

    def standing(self, name: str) -> AlarmMessage | None:
        """Return the alarm as it stands on the record; None where it is normal."""

    def note(self, kind: str, subject: str, body: Mapping[str, object]) -> int:
        """Put something on the record; return its number."""

    async def committed(self) -> None:
        """Return when all that happened until now is on the record."""


class Notifying:
    """Runs the command where it has to be; ``reached`` says whether somebody has an event."""

    def __init__(
        self, settings: Settings, record: Record, reached: Callable[[Event], bool]
    ) -> None:
        self.failed = False
        """Whether the last run failed, or the next one would."""
        self._settings = settings
        self._record = record
        self._store = record.store
        self._reached = reached
        self._store.begin(NAME, "events")

    async def hold(self, held: Held) -> None:
        """Follow the record; ends only by being cancelled. Raises StoreError."""
        program = self._settings.command[0]
        if not os.access(program, os.X_OK):
            self._fail(f"{program} is not there, or may not be run")
        held()
        while True:
            for event in await self._store.events(self._cursor, MOST_READ):
                if asks(event, self._settings.priority):
                    await self._see_to(event)
                self._store.confirm(NAME, "events", event.number)
            await self._store.wait("events", self._cursor)

    async def _see_to(self, event: Event) -> None:
        occurrence = json.loads(event.body)["occurrence"]
        if await self._was_told(event.subject, occurrence) or await self._gets_through(event):
            return
        now = self._record.standing(event.subject)
        if now is None or now.acked_state or not now.annunciated or now.occurrence != occurrence:
            return  # Somebody saw to it, it is silenced, or it is over.
        wrong = await self._run(event)
        result = {"occurrence": occurrence, "command": self._settings.command[0], "failed": wrong}
        self._record.note(TOLD, event.subject, result)
        await self._record.committed()

    async def _was_told(self, alarm: str, occurrence: str) -> bool:
        last = await self._store.newest(TOLD, alarm)
        return last is not None and json.loads(last.body)["occurrence"] == occurrence

    async def _gets_through(self, event: Event) -> bool:
        """Wait until somebody has it, at most for its time; return whether somebody has."""
        loop = asyncio.get_running_loop()
        age = max(self._record.clock().at - event.at, 0) / _SECOND
        due = loop.time() + self._settings.after / _SECOND - age
        while not self._reached(event):
            left = due - loop.time()
            if left <= 0:
                return False
            await asyncio.sleep(min(left, LOOK))
        return True

    async def _run(self, event: Event) -> str:
        """Run the command for an event; return what was wrong with that, empty if nothing."""
        log.warning("%s reaches nobody: %s is run", event.subject, self._settings.command[0])
        try:
            wrong = await run(self._settings, event.body.encode())
        except OSError as error:
            wrong = f"{self._settings.command[0]}: {error.strerror}"
        if wrong:
            self._fail(wrong)
        self.failed = bool(wrong)
        return wrong

    def _fail(self, words: str) -> None:
        self.failed = True
        log.error("nobody could be notified: %s", words)

    @property
    def _cursor(self) -> int:
        return self._store.cursor(NAME, "events")


def asks(event: Event, least: Priority) -> bool:
    """Whether an event tells of an alarm, as urgent as ``least`` or more, that asks for somebody.

    A rehearsal asks nobody.
    """
    if event.kind != "alarm":
        return False
    known: Mapping[str, Any] = json.loads(event.body)
    asking = known["active_state"] and not known["acked_state"] and known["annunciated"]
    return bool(asking and not known.get("test") and known["severity"] >= least.severity)


async def run(settings: Settings, told: bytes) -> str:
    """Run the command; return what was wrong, empty if nothing. Raises OSError if it cannot be.

    When its time is over, or we are ended, it is ended with all that it has started.
    """
    with _Child(settings.command, told) as child:
        try:
            async with asyncio.timeout(settings.timeout / _SECOND):
                await child.ended.wait()
        except TimeoutError:
            return f"{settings.command[0]} took longer than it may{child.said()}"
        code = child.process.wait()
        return f"{settings.command[0]} ended with {code}{child.said()}" if code else ""


class _Child:
    """A process that the event loop watches by its pidfd; whoever leaves it leaves none behind.

    asyncio's own waits until nobody holds the output any more, which may be a child's child, and
    for ever where it is cancelled while it starts (Python 3.11).
    """

    def __init__(self, command: Sequence[str], told: bytes) -> None:
        self.ended = asyncio.Event()
        self._tail = bytearray()
        self._loop = asyncio.get_running_loop()
        environ = {name: text for name, text in os.environ.items() if name not in _OURS_ALONE}
        with ExitStack() as files:
            hears = files.enter_context(_holding(told))
            self._output, says = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            files.callback(os.close, says)
            os.set_blocking(says, True)
            try:
                self.process = subprocess.Popen(  # noqa: S603 - the site's own file names it
                    command,
                    stdin=hears,
                    stdout=says,
                    stderr=subprocess.STDOUT,
                    env=environ,
                    start_new_session=True,
                )
            except BaseException:
                os.close(self._output)
                raise

    def __enter__(self) -> Self:
        self._pidfd = os.pidfd_open(self.process.pid)
        self._loop.add_reader(self._pidfd, self.ended.set)
        self._loop.add_reader(self._output, self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_KILLED_WITHIN)
        for descriptor in (self._pidfd, self._output):
            self._loop.remove_reader(descriptor)
            os.close(descriptor)

    def said(self) -> str:
        """Return the last of what it said until now, in one line."""
        self._listen()
        text = " ".join(self._tail.decode(errors="replace").split())
        return f": {text}" if text else ""

    def _listen(self) -> None:
        """Take in what there is of its output, a slice at a time."""
        try:
            chunk = os.read(self._output, _SLICE)
        except BlockingIOError:
            return
        if not chunk:
            self._loop.remove_reader(self._output)
        self._tail += chunk
        del self._tail[:-TAIL]


@contextmanager
def _holding(told: bytes) -> Iterator[int]:
    """Give a pipe out of which ``told`` can be read, and no more."""
    hears, tells = os.pipe()
    try:
        with os.fdopen(tells, "wb") as pipe:
            fcntl.fcntl(tells, fcntl.F_SETPIPE_SZ, max(len(told) + 1, _SLICE))
            pipe.write(told + b"\n")
        yield hears
    finally:
        os.close(hears)
