"""People at the broker: a consumer who keeps all that is told, and an operator who asks."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support.servers import HOST, SecureMosquitto
from tests.support.waiting import eventually

SITE = "les-ulis"
HOUR = 3600
PATIENCE = 60.0
"""Seconds in which anything that is told must have come, reconnecting included."""

Payload = Mapping[str, Any]


class Heard(NamedTuple):
    """One message."""

    topic: str
    payload: Payload
    retained: bool


def client(broker: SecureMosquitto, user: str, *, name: str | None = None) -> aiomqtt.Client:
    """A connection as that user; one with a name has a session that outlives it."""
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own
    kept.SessionExpiryInterval = HOUR
    return aiomqtt.Client(
        HOST,
        broker.port,
        identifier=name,
        username=user,
        password=broker.passwords[user],
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=broker.client_context(),
        clean_start=name is None,
        properties=None if name is None else kept,
    )


@dataclass
class Ears:
    """All that one user ever heard, in the order in which it came."""

    heard: list[Heard] = field(default_factory=list)
    connected: bool = False

    def of(self, schema: str) -> list[Payload]:
        """The messages of one kind, such as ``digest``."""
        wanted = f"cytowatch.{schema}.v1"
        return [each.payload for each in self.heard if each.payload.get("schema") == wanted]

    def events(self, alarm: str | None = None) -> list[Payload]:
        """Alarm events as a consumer takes them: each ``event_id`` once, in order of ``seq``."""
        once = {event["event_id"]: event for event in self.of("alarm_event")}
        found = sorted(once.values(), key=lambda event: int(event["seq"]))
        return [event for event in found if alarm in {None, event["alarm"]}]

    def changes(self, alarm: str) -> list[str]:
        """The words of what happened to one alarm."""
        return [str(event["change"]) for event in self.events(alarm)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when it holds; raises TimeoutError if it does not in time."""
        await eventually(condition, PATIENCE)

    async def until_changed(self, alarm: str, *changes: str) -> Payload:
        """Return the newest event of an alarm once just this has happened to it."""
        try:
            await self.until(lambda: self.changes(alarm) == list(changes))
        except TimeoutError:
            raise AssertionError(f"{alarm}: {self.changes(alarm)}, not {changes}") from None
        return self.events(alarm)[-1]


@asynccontextmanager
async def listening(
    broker: SecureMosquitto, user: str, topic: str, *, name: str | None = None
) -> AsyncIterator[Ears]:
    """Hear as that user until the block is left; one with a name is told what it missed."""
    ears = Ears()
    task = asyncio.create_task(_hear(broker, user, topic, name, ears))
    try:
        await ears.until(lambda: ears.connected)
        yield ears
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _hear(
    broker: SecureMosquitto, user: str, topic: str, name: str | None, ears: Ears
) -> None:
    while True:
        try:
            async with client(broker, user, name=name) as connection:
                await connection.subscribe(topic, qos=1)
                ears.connected = True
                async for message in connection.messages:
                    text = message.payload or b"{}"
                    heard = Heard(message.topic.value, json.loads(text), message.retain)
                    ears.heard.append(heard)
        except aiomqtt.MqttError:
            ears.connected = False
            await asyncio.sleep(0.1)


async def retained(broker: SecureMosquitto, topic: str) -> dict[str, Payload]:
    """What a late subscriber is told at once, by topic."""
    end = f"cytowatch/v1/{SITE}/cmd/anna/nothing/more"  # Two levels more than a request.
    async with client(broker, "reader") as late, client(broker, "anna") as anna:
        await late.subscribe([(topic, 1), (end, 1)])
        # What is retained is sent with the subscription, so before anything that follows.
        await anna.publish(end, b"{}", qos=1)
        found: dict[str, Payload] = {}
        async with asyncio.timeout(PATIENCE):
            async for message in late.messages:
                if message.topic.value == end:
                    return found
                if message.retain:
                    found[message.topic.value] = json.loads(message.payload)
    raise AssertionError("the broker hung up")


def envelope(seen: Payload, user: str, **given: object) -> dict[str, object]:
    """A whole request about an alarm, bound to it as it was seen; without one, about none."""
    expiry = datetime.now(UTC) + timedelta(minutes=5)
    return {
        "request_id": uuid.uuid4().hex,
        "user": user,
        "role": "operator",
        "reason": "looked into it",
        "expiry": expiry.isoformat(),
        "nonce": uuid.uuid4().hex,
        **{key: seen[key] for key in ("alarm", "occurrence", "version") if key in seen},
        **given,
    }


Ask = Callable[[str, Mapping[str, object]], Awaitable[Payload]]


@asynccontextmanager
async def operator(broker: SecureMosquitto, user: str) -> AsyncIterator[Ask]:
    """Give a way to ask as that user, and be answered."""
    topic = f"cytowatch/v1/{SITE}/reply/{user}"
    async with listening(broker, user, topic) as ears, client(broker, user) as connection:

        async def ask(act: str, request: Mapping[str, object]) -> Payload:
            before = len(ears.heard)
            where = f"cytowatch/v1/{SITE}/cmd/{user}/{act}"
            await connection.publish(where, json.dumps(request).encode(), qos=1)
            await ears.until(lambda: len(ears.heard) > before)
            return ears.heard[before].payload

        yield ask
