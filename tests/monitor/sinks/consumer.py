"""A consumer that sends receipts, as ``docs/messages.md`` wants it, and a broker that drops."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt

from tests.support.servers import HOST, Mosquitto

SITE = "cytowatch/v1/les-ulis"
EVENTS = f"{SITE}/equipment/+/+/+/event", f"{SITE}/gateway/+/alarm/+/event"


class Forgetful(Mosquitto):
    """A broker that keeps few messages for a consumer that is away, or slow."""

    def settings(self) -> str:
        return super().settings() + "max_queued_messages 5\n"


class Consumer:
    """Keeps each alarm event once, and says up to where it has them all."""

    def __init__(self, port: int, name: str = "scada") -> None:
        self.events: dict[int, str] = {}
        """What it has made durable, by seq: the text of each."""
        self.heard = 0
        self._port = port
        self._name = name

    @property
    def upto(self) -> int:
        """All events up to this one are durable."""
        return next(seq for seq in range(len(self.events) + 1) if seq + 1 not in self.events)

    @asynccontextmanager
    async def listening(self, slow: float = 0.0) -> AsyncIterator[None]:
        """Listen inside the block, in a session that outlives it.

        ``slow`` is how many seconds each event takes.
        """
        async with aiomqtt.Client(
            HOST, self._port, identifier=self._name, clean_session=False, max_inflight_messages=5
        ) as client:
            await client.subscribe([(each, 1) for each in EVENTS])
            task = asyncio.create_task(self._listen(client, slow))
            try:
                yield
            finally:
                # Python 3.11's wait_for, by which aiomqtt waits, can lose a cancellation.
                while not task.done():
                    task.cancel()
                    await asyncio.wait({task}, timeout=0.1)

    async def _listen(self, client: aiomqtt.Client, slow: float) -> None:
        async for message in client.messages:
            text = message.payload.decode()
            event = json.loads(text)
            await asyncio.sleep(slow)
            self.heard += 1
            assert self.events.setdefault(event["seq"], text) == text
            said = {"gateway": "gw-1", "store_id": event["store_id"], "seq": self.upto}
            receipt = json.dumps({"schema": "cytowatch.receipt.v1", **said})
            await client.publish(f"{SITE}/cmd/{self._name}/receipt", receipt.encode(), qos=1)
