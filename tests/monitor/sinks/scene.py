"""A real record with alarm events to tell, a consumer at a real broker, and a sink that is held."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiomqtt

from drivers.reading import Moment
from monitor.alarms.facts import Change, State
from monitor.describe import standing_part
from monitor.messages import AlarmEventMessage, AlarmMessage, rfc3339
from monitor.sinks.base import SinkLost
from monitor.store import Event, Store, Tick

SECOND = 10**9
NOON = 1_769_860_800 * SECOND
"""2026-01-31T12:00:00Z"""
HIGH = "incubator-0/co2/high"


def now() -> Moment:
    """A clock that stands still."""
    return Moment(NOON, SECOND)


def transition(
    store_id: str, seq: int, name: str = HIGH, state: State = State.UNACKNOWLEDGED, version: int = 0
) -> AlarmEventMessage:
    """The message of one alarm transition."""
    equipment, channel, rule = name.split("/")
    active = state in {State.UNACKNOWLEDGED, State.ACKNOWLEDGED}
    return AlarmEventMessage.model_validate(
        {
            "site": "les-ulis",
            "gateway": "gw-1",
            "area": "suite-a",
            "equipment": equipment,
            "kind": "incubator",
            "channel": channel,
            "rule": rule,
            "alarm": name,
            "event_id": f"{store_id}-{seq}",
            "seq": seq,
            "store_id": store_id,
            "version": version or seq,
            "occurrence": f"{store_id}/{name}/1",
            "state": state,
            "active_state": active,
            "acked_state": state is not State.UNACKNOWLEDGED,
            "latched_state": False,
            "shelving_state": "Unshelved",
            "suppressed_state": False,
            "suppressed_or_shelved": False,
            "retain": state not in {State.NORMAL, State.ENDED},
            "annunciated": True,
            "suppressed_by": "",
            "superseded_by": "",
            "shelved_until": None,
            "priority": "high",
            "severity": 800,
            "value": 5.5,
            "unit": "%",
            "limit": 5.0,
            "peak": 5.5,
            "peak_time": rfc3339(NOON),
            "condition_start": rfc3339(NOON),
            "alarm_time": rfc3339(NOON),
            "time": rfc3339(NOON),
            "response": 'Close the "door"\nand look',
            "config": "0123abcd",
            "change": Change.RAISED if active else Change.CLEARED,
            "before": State.NORMAL,
            "after": state,
            "scan": seq,
            "actor": "",
            "claimed": "",
            "via": "",
            "comment": "",
        }
    )


@dataclass
class Scene:
    """A record and how its alarms stand; what the sinks take for the recorder."""

    store: Store
    standing: dict[str, AlarmMessage] = field(default_factory=dict)

    @property
    def clock(self) -> Callable[[], Moment]:
        return now

    def active(self) -> Sequence[AlarmMessage]:
        return list(self.standing.values())

    async def happen(self, *transitions: tuple[str, State], at: int = NOON) -> list[Event]:
        """Commit these transitions, as the recorder does."""
        last = self.store.last
        events = []
        for index, (name, state) in enumerate(transitions, start=1):
            message = transition(self.store.store_id, last.seq + index, name, state)
            body = message.model_dump_json(by_alias=True)
            number = last.event + index
            events.append(Event(number, last.seq + index, "alarm", at, SECOND, name, body))
            self.standing.pop(name, None)
            if message.retain:
                self.standing[name] = standing_part(message)
        await self.store.commit(Tick(events=events))
        return events

    async def note(self, kind: str) -> None:
        """Commit an event that is no alarm's."""
        number = self.store.last.event + 1
        await self.store.commit(Tick(events=[Event(number, None, kind, NOON, SECOND, "", "{}")]))

    async def read(self, group: int, lines: Iterable[bytes]) -> None:
        """Commit a tick of readings, one scan a line."""
        tick = Tick()
        for scan, line in enumerate(lines, start=self.store.last.scan + 1):
            tick.add(group, line, scan, NOON)
        await self.store.commit(tick)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Scene]:
    async with Store.open(folder / "cytowatch.db", quota=2**30) as store:
        yield Scene(store)


class Sink(Protocol):
    async def hold(self, held: Callable[[], None]) -> None: ...


@asynccontextmanager
async def holding(sink: Sink) -> AsyncIterator["asyncio.Task[None]"]:
    """Hold a sink in the background; in the end it is cancelled, and a loss is left to the test."""
    task = asyncio.create_task(sink.hold(lambda: None))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, SinkLost):
            await task


async def loss(sink: Sink) -> str:
    """Hold a sink until it is lost; return why."""
    try:
        async with asyncio.timeout(60):
            await sink.hold(lambda: None)
    except SinkLost as error:
        return str(error)
    raise AssertionError("the sink ended without a word")


@asynccontextmanager
async def hearing(
    port: int, *filters: str, before: Sequence[aiomqtt.Message] = (), to_the_end: bool = False
) -> AsyncIterator[list[aiomqtt.Message]]:
    """A consumer at a broker open to all; the list grows as it hears, after what it heard before.

    With ``to_the_end`` it hears all that the broker had sent when it was killed.
    """
    messages = list(before)

    async def listen(client: aiomqtt.Client) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            async for message in client.messages:
                messages.append(message)  # noqa: PERF401 - each is seen as it comes

    client = aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5)
    try:
        async with client:
            for each in filters:
                await client.subscribe(each, qos=0)
            task = asyncio.create_task(listen(client))
            try:
                yield messages
            finally:
                await asyncio.wait({task}, timeout=60 if to_the_end else 0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    except aiomqtt.MqttError:
        pass
