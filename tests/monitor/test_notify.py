"""The command for alarms that reach nobody: real programs, on a real record."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from config.rules import Priority
from config.site import Notify as Settings
from drivers.reading import Moment
from monitor import notify as module
from monitor.alarms.facts import State
from monitor.messages import AlarmMessage
from monitor.notify import Notifying, asks, run
from monitor.store import Event, Store, Tick
from tests.monitor.sinks.scene import HIGH, NOON, SECOND, opened, transition
from tests.support.waiting import eventually

MS = 10**6
OTHER = "incubator-1/co2/high"


@dataclass
class Recorder:
    """As much of the recorder as is asked for: notes are committed at once."""

    store: Store
    standing_now: dict[str, AlarmMessage] = field(default_factory=dict)
    at: int = NOON
    _notes: list[Event] = field(default_factory=list)

    def clock(self) -> Moment:
        return Moment(self.at, SECOND)

    def standing(self, name: str) -> AlarmMessage | None:
        return self.standing_now.get(name)

    def note(self, kind: str, subject: str, body: Mapping[str, object]) -> int:
        number = self.store.last.event + 1
        self._notes.append(Event(number, None, kind, self.at, SECOND, subject, json.dumps(body)))
        return number

    async def committed(self) -> None:
        notes, self._notes = self._notes, []
        await self.store.commit(Tick(events=notes))

    async def happen(self, name: str, **changed: object) -> Event:
        """Raise an alarm, critical unless said otherwise."""
        last = self.store.last
        message = transition(self.store.store_id, last.seq + 1, name).model_copy(
            update={"priority": "critical", "severity": 950} | changed
        )
        self.standing_now[name] = message
        body = message.model_dump_json(by_alias=True)
        event = Event(last.event + 1, last.seq + 1, "alarm", NOON, SECOND, name, body)
        await self.store.commit(Tick(events=[event]))
        return event

    async def notes(self) -> list[dict[str, object]]:
        events = await self.store.events(0, 1000)
        return [json.loads(event.body) for event in events if event.kind == "notified"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where ``siren`` writes down what it is told."""
    return tmp_path / "log"


@pytest.fixture
def siren(log: Path) -> list[str]:
    """A command that takes all that it is told."""
    return ["/bin/sh", "-c", 'cat >> "$0"', str(log)]


def told(log: Path) -> list[str]:
    """The event ids that the siren was told of."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line)["event_id"] for line in lines]


def id_of(event: Event) -> str:
    return str(json.loads(event.body)["event_id"])


def settings(*command: object, **more: object) -> Settings:
    made = {"command": [str(each) for each in command], "after": 50 * MS}
    return Settings.model_validate(made | more)


@asynccontextmanager
async def recording(folder: Path) -> AsyncIterator[Recorder]:
    async with opened(folder) as scene:
        await scene.note("start")
        yield Recorder(scene.store)


@asynccontextmanager
async def holding(notifying: Notifying) -> AsyncIterator[None]:
    task = asyncio.create_task(notifying.hold(lambda: None))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def done(recorder: Recorder) -> Callable[[], bool]:
    """Whether all that is on the record was seen to."""
    store = recorder.store
    return lambda: store.cursor(module.NAME, "events") == store.last.event


def failed(notifying: Notifying) -> bool:
    return notifying.failed


def nobody(_: Event) -> bool:
    """Nobody has it."""
    return False


async def test_what_reaches_nobody_is_told_to_the_command_once_per_occurrence(
    tmp_path: Path, siren: list[str], log: Path
) -> None:
    quick = settings(*siren)
    async with recording(tmp_path) as recorder:
        before = await recorder.happen(OTHER)
        notifying = Notifying(quick, recorder, nobody)
        async with holding(notifying):
            first = await recorder.happen(HIGH)
            await eventually(done(recorder))
            await recorder.happen(HIGH, re_alarms=1)
            again = await recorder.happen(HIGH, occurrence="another")
            await eventually(done(recorder))
        assert not notifying.failed
        both = [id_of(first), id_of(again)]
        assert told(log) == both, f"and not {before.number}, which was before"
    async with recording(tmp_path) as recorder:
        async with holding(Notifying(quick, recorder, nobody)):
            await recorder.happen(HIGH, occurrence="another", re_alarms=2)
            await eventually(done(recorder))
        assert told(log) == both, "a restart knows it"
        assert [note["failed"] for note in await recorder.notes()] == ["", ""]


async def test_what_somebody_has_is_left_to_him(
    tmp_path: Path, siren: list[str], log: Path
) -> None:
    has = asyncio.Event()
    slow = settings(*siren, after=3600 * SECOND)
    async with recording(tmp_path) as recorder:
        async with holding(Notifying(slow, recorder, lambda _: has.is_set())):
            event = await recorder.happen(HIGH)
            has.set()
            await eventually(done(recorder))
            has.clear()
            recorder.at += 7200 * SECOND  # Of another, it is over two hours ago.
            other = await recorder.happen(OTHER)
            await eventually(done(recorder))
        assert told(log) == [id_of(other)]
        assert event.number < other.number


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"acked_state": True, "state": State.ACKNOWLEDGED},
        {"annunciated": False, "state": State.SHELVED},
        {"occurrence": "another"},
        None,
    ],
    ids=["acknowledged", "shelved", "another occurrence", "over"],
)
async def test_what_is_settled_when_its_time_is_over_wakes_nobody(
    tmp_path: Path, siren: list[str], log: Path, meanwhile: dict[str, object] | None
) -> None:
    async with recording(tmp_path) as recorder:
        notifying = Notifying(settings(*siren), recorder, nobody)
        await recorder.happen(HIGH)
        now = recorder.standing_now.pop(HIGH)
        if meanwhile is not None:
            recorder.standing_now[HIGH] = now.model_copy(update=meanwhile)
        async with holding(notifying):
            await eventually(done(recorder))
        assert told(log) == []


@pytest.mark.parametrize(
    ("changed", "asking"),
    [
        ({}, True),
        ({"priority": "high", "severity": 800}, False),
        ({"test": True}, False),
        ({"annunciated": False}, False),
        ({"acked_state": True}, False),
        ({"active_state": False}, False),
    ],
)
def test_only_what_is_urgent_and_asks_for_somebody_is_told(
    changed: dict[str, object], asking: bool
) -> None:
    usual = {"priority": "critical", "severity": 950}
    message = transition("k3f9x2aq", 1).model_copy(update=usual | changed)
    event = Event(1, 1, "alarm", NOON, SECOND, HIGH, message.model_dump_json(by_alias=True))
    assert asks(event, Priority.CRITICAL) is asking
    assert not asks(event._replace(kind="act"), Priority.CRITICAL)


async def test_a_command_that_fails_is_a_trouble_until_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "broken"
    program.write_text('#!/bin/sh\necho "no modem\nat all" >&2\nexit 3\n')
    program.chmod(0o755)
    async with recording(tmp_path) as recorder:
        notifying = Notifying(settings(program), recorder, nobody)
        async with holding(notifying):
            await recorder.happen(HIGH)
            await eventually(done(recorder))
            assert failed(notifying)
            program.write_text("#!/bin/sh\ncat > /dev/null\n")
            await recorder.happen(OTHER)
            await eventually(done(recorder))
            assert not failed(notifying)
        words = f"{program} ended with 3: no modem at all"
        assert [note["failed"] for note in await recorder.notes()] == [words, ""]
    assert words in caplog.text


async def test_a_command_that_is_not_there_is_a_trouble_before_it_is_needed(tmp_path: Path) -> None:
    async with recording(tmp_path) as recorder:
        notifying = Notifying(settings(tmp_path / "nothing"), recorder, nobody)
        async with holding(notifying):
            await eventually(lambda: notifying.failed)
            await recorder.happen(HIGH)
            await eventually(done(recorder))
        (note,) = await recorder.notes()
        assert str(note["failed"]).endswith("nothing: No such file or directory")


async def test_a_command_that_does_not_end_is_ended_with_all_that_it_began(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; echo said; wait"
    wrong = ""
    for time in (500 * MS, 5 * SECOND, 50 * SECOND):  # On a stalled machine it begins late.
        wrong = await run(settings("/bin/sh", "-c", text, timeout=time), b"{}")
        assert wrong.startswith("/bin/sh took longer than it may")
        if wrong.endswith(": said"):
            break
    assert wrong == "/bin/sh took longer than it may: said"
    await eventually(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


async def test_whoever_is_stopped_in_the_middle_leaves_nothing_behind_and_begins_anew(
    tmp_path: Path, siren: list[str], log: Path
) -> None:
    pids = tmp_path / "pids"
    hanging = settings("/bin/sh", "-c", f"echo $$ >> {pids}; sleep 600")
    async with recording(tmp_path) as recorder:
        notifying = Notifying(hanging, recorder, nobody)
        async with holding(notifying):
            event = await recorder.happen(HIGH)
            await eventually(lambda: pids.exists() and pids.read_text() != "")
    await eventually(lambda: not alive(int(pids.read_text())))
    async with recording(tmp_path) as recorder:
        recorder.standing_now[HIGH] = AlarmMessage.model_validate(
            {
                key: value
                for key, value in json.loads(event.body).items()
                if key in AlarmMessage.model_fields
            }
        )
        quick = settings(*siren)
        async with holding(Notifying(quick, recorder, nobody)):
            await eventually(done(recorder))
    assert told(log) == [id_of(event)]


async def test_a_command_need_not_listen_and_may_talk_without_end() -> None:
    deaf = settings("/bin/sh", "-c", "exec 0<&-; seq 100000; exit 4")
    wrong = await run(deaf, b"x" * 2**19)
    assert wrong.startswith("/bin/sh ended with 4: ")
    assert wrong.endswith(" 99999 100000")
    assert len(wrong) < 2000


async def test_what_is_for_the_daemon_alone_is_not_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/nothing")
    assert not await run(settings("/bin/sh", "-c", 'test -z "$NOTIFY_SOCKET"'), b"{}")


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
