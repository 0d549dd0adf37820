"""A subscriber that does nothing with what it gets: the least that asyncua alone costs.

At SIGUSR1 it prints what it counted so far as a line of JSON: readings, and the CPU of all of it.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.subscription import DataChangeEvent

PARAMETERS = ua.CreateSubscriptionParameters(
    RequestedPublishingInterval=500,
    RequestedLifetimeCount=60,
    RequestedMaxKeepAliveCount=10,
    MaxNotificationsPerPublish=0,
    PublishingEnabled=True,
    Priority=0,
)


class Counter:
    """What came."""

    def __init__(self) -> None:
        self.readings = 0

    async def watch(self, endpoint: str, namespace: str, identifiers: list[str]) -> None:
        """Take what one server sends, for ever: by iteration, which costs less than a handler."""
        async with Client(endpoint, timeout=10) as client:
            index = await client.get_namespace_index(namespace)
            nodes = [client.get_node(f"ns={index};{identifier}") for identifier in identifiers]
            subscription = await client.create_subscription(
                PARAMETERS, queue_maxsize=20 * len(nodes)
            )
            await subscription.subscribe_data_change(nodes, queuesize=50)
            async for event in subscription:
                self.readings += isinstance(event, DataChangeEvent)

    def tell(self) -> None:
        """Say what was counted."""
        told = {"readings": self.readings, "cpu_ns": time.process_time_ns()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


async def main() -> None:
    """Run until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--nodes", type=Path, required=True, help="JSON: by endpoint and node")
    options = parser.parse_args()
    watched = json.loads(options.nodes.read_text())
    counter = Counter()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, counter.tell)
    async with asyncio.TaskGroup() as group:
        for endpoint, nodes in watched.items():
            group.create_task(counter.watch(endpoint, options.namespace, list(nodes)))


if __name__ == "__main__":
    asyncio.run(main())
