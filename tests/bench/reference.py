"""The script that an engineer writes in an afternoon, beside which cytowatch is measured.

The same job as the daemon's, with the same libraries and without anything durable: poll each
device once a second with pymodbus, compare with a limit, one Point per device to InfluxDB through
the asynchronous client once a second, a message by paho when a limit is crossed.
Prints a JSON line of its own counts when it is terminated.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import math
import signal
import time
from collections.abc import Sequence

import paho.mqtt.client as mqtt
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.client.write.point import Point
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class Script:
    """All of it: devices, points on their way, alarms that stand."""

    def __init__(self, limits: Sequence[float], broker: mqtt.Client) -> None:
        self.limits = limits
        self.broker = broker
        self.points: list[Point] = []
        self.standing: set[tuple[int, int]] = set()
        self.readings = 0

    async def watch(self, number: int, port: int, phase: float) -> None:
        """Poll one device once a second, for ever."""
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)
        await client.connect()
        due = time.monotonic() + phase
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += 1.0
            reply = await client.read_holding_registers(0, count=2 * len(self.limits))
            if not reply.isError():
                self.take(number, client, list(reply.registers))

    def take(self, number: int, client: AsyncModbusTcpClient, registers: list[int]) -> None:
        """Convert the values of one reply, compare them, and make a point of them."""
        values = client.convert_from_registers(
            registers, client.DATATYPE.FLOAT32, word_order="little"
        )
        assert isinstance(values, list)  # more than one value, so a list
        point: Point = Point("incubator")  # type: ignore[no-untyped-call]
        point.tag("equipment", f"incubator-{number:03d}")  # type: ignore[no-untyped-call]
        for channel, value in enumerate(values):
            if math.isnan(value):
                continue
            point.field(f"c{channel:02d}", value)  # type: ignore[no-untyped-call]
            self.judge(number, channel, value)
        self.points.append(point.time(time.time_ns()))  # type: ignore[no-untyped-call]
        self.readings += len(values)

    def judge(self, number: int, channel: int, value: float) -> None:
        """Publish a crossing of the channel's limit, either way."""
        beyond, known = value > self.limits[channel], (number, channel) in self.standing
        if beyond == known:
            return
        (self.standing.add if beyond else self.standing.discard)((number, channel))
        self.broker.publish(
            f"reference/{number}/{channel}", json.dumps({"active": beyond, "value": value}), qos=1
        )

    async def write(self, url: str) -> None:
        """Send what was gathered, once a second."""
        async with InfluxDBClientAsync(url, "token", "bench") as client:
            while True:
                await asyncio.sleep(1.0)
                points, self.points = self.points, []
                await client.write_api().write("bench", record=points)


async def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", required=True, help="a JSON list")
    parser.add_argument("--limits", required=True, help="a JSON list: of each channel its own")
    parser.add_argument("--influx", required=True)
    parser.add_argument("--mqtt-port", type=int, required=True)
    options = parser.parse_args()
    broker = mqtt.Client(CallbackAPIVersion.VERSION2)
    broker.connect("127.0.0.1", options.mqtt_port)
    broker.loop_start()
    script = Script(json.loads(options.limits), broker)
    ports = json.loads(options.ports)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(script.write(options.influx))]
        tasks += [
            group.create_task(script.watch(number, port, number / len(ports)))
            for number, port in enumerate(ports)
        ]

        def stop() -> None:
            for task in tasks:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    broker.loop_stop()
    print(json.dumps({"readings": script.readings}), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
