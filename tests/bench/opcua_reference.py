"""The script that an engineer writes in an afternoon for OPC UA, beside which ours is measured.

The same job as the daemon's, with the same libraries and without anything durable: a subscription
with a handler (asyncua), a Point for each change to InfluxDB through the asynchronous client once a
second, a message by paho when a limit is crossed.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.common.subscription import DataChangeNotif
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.client.write.point import Point
from paho.mqtt.enums import CallbackAPIVersion


class Script:
    """All of it: points on their way, alarms that stand."""

    def __init__(self, broker: mqtt.Client) -> None:
        self.broker = broker
        self.points: list[Point] = []
        self.standing: set[tuple[str, str]] = set()

    async def watch(
        self, endpoint: str, namespace: str, nodes: dict[str, tuple[str, str, float]]
    ) -> None:
        """Subscribe to one server's nodes."""
        async with Client(endpoint, timeout=10) as client:
            index = await client.get_namespace_index(namespace)
            channels = {
                ua.NodeId.from_string(f"ns={index};{identifier}"): channel
                for identifier, channel in nodes.items()
            }
            handler = Handler(self, channels)
            subscription = await client.create_subscription(500, handler)
            await subscription.subscribe_data_change([client.get_node(node) for node in channels])
            await asyncio.Event().wait()

    def judge(self, equipment: str, channel: str, limit: float, value: float) -> None:
        """Publish a crossing of the channel's limit, either way."""
        beyond, known = value > limit, (equipment, channel) in self.standing
        if beyond == known:
            return
        (self.standing.add if beyond else self.standing.discard)((equipment, channel))
        told = json.dumps({"active": beyond, "value": value})
        self.broker.publish(f"reference/{equipment}/{channel}", told, qos=1)

    async def write(self, url: str) -> None:
        """Send what was gathered, once a second."""
        async with InfluxDBClientAsync(url, "token", "bench") as client:
            while True:
                await asyncio.sleep(1.0)
                points, self.points = self.points, []
                await client.write_api().write("bench", record=points)


class Handler:
    """What asyncua calls with each change of one server."""

    def __init__(self, script: Script, channels: dict[ua.NodeId, tuple[str, str, float]]) -> None:
        self._script = script
        self._channels = channels

    def datachange_notification(
        self, node: Node, value: float | None, data: DataChangeNotif
    ) -> None:
        """Make a point of a value and compare it."""
        equipment, channel, limit = self._channels[node.nodeid]
        changed = data.monitored_item.Value
        point = Point("script").tag("equipment", equipment)  # type: ignore[no-untyped-call]
        point.field(f"{channel}_status", changed.StatusCode.name)
        if value is not None:
            point.field(channel, value)
            self._script.judge(equipment, channel, limit, value)
        self._script.points.append(point.time(changed.SourceTimestamp or time.time_ns()))


async def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--nodes", type=Path, required=True, help="JSON: by endpoint and node")
    parser.add_argument("--influx", required=True)
    parser.add_argument("--mqtt-port", type=int, required=True)
    options = parser.parse_args()
    broker = mqtt.Client(CallbackAPIVersion.VERSION2)
    broker.connect("127.0.0.1", options.mqtt_port)
    broker.loop_start()
    script = Script(broker)
    watched = json.loads(options.nodes.read_text())
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(script.write(options.influx))]
        tasks += [
            group.create_task(script.watch(endpoint, options.namespace, nodes))
            for endpoint, nodes in watched.items()
        ]

        def stop() -> None:
            for task in tasks:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    broker.loop_stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
